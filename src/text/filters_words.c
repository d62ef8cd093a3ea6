/* Token filters that make several tokens of one, or one of several: ngram, edge_ngram, shingle,
 * word_delimiter_graph. Each walks the list once and writes a new one. */
#include "text/analysis_parts.h"

#include <stdlib.h>

static enum vz_status finish(struct vz_tokens *tokens, struct vz_tokens *out)
{
    vz_tokens_swap_items(tokens, out);
    free(out->items);
    return VZ_OK;
}

/* ---- ngram, edge_ngram ------------------------------------------------------------------------
 */

struct grams {
    size_t min, max;
    bool edge, back, preserve;
};

static enum vz_status run_grams(const struct vz_token_filter *filter, struct vz_tokens *tokens,
                                struct vz_error *err)
{
    const struct grams *grams = filter->config;
    struct vz_tokens out = {0};
    uint32_t increment = 0;
    for (size_t i = 0; i < tokens->count; i++) {
        struct vz_token token = tokens->items[i];
        size_t chars = vz_char_count(token.text);
        size_t before = out.count;
        increment += token.increment;
        for (size_t from = 0; chars >= grams->min && from + grams->min <= chars; from++) {
            if (grams->edge && from)
                break;
            for (size_t n = grams->min; n <= grams->max && from + n <= chars; n++) {
                size_t first = grams->back ? chars - n : from;
                struct vz_token *gram = vz_tokens_push(&out);
                *gram = token;
                size_t start = vz_char_offset(token.text, first);
                gram->text.ptr = token.text.ptr + start;
                gram->text.len =
                    vz_char_offset((struct vz_slice){gram->text.ptr, token.text.len - start}, n);
                gram->increment = increment;
                increment = 0;
            }
            if (out.count > vz_tokens_limit(tokens)) {
                free(out.items);
                return vz_fail(err, VZ_LIMIT, "n-grams make more than [%zu] tokens",
                               vz_tokens_limit(tokens));
            }
        }
        /* The word itself where no gram is all of it. */
        if (grams->preserve && (chars < grams->min || chars > grams->max)) {
            struct vz_token *whole = vz_tokens_push(&out);
            *whole = token;
            whole->increment = out.count - 1 > before ? 0 : increment;
            increment = 0;
        }
    }
    tokens->end_increment += increment;
    return finish(tokens, &out);
}

static enum vz_status make_grams(const struct vz_making *making, bool edge,
                                 struct vz_token_filter *out, struct vz_error *err)
{
    struct grams *grams = vz_making_zalloc(making, sizeof *grams);
    int64_t min = 1, max = 2;
    enum vz_status status =
        vz_making_check(making, "min_gram max_gram preserve_original side", err);
    if (status == VZ_OK)
        status = vz_making_int(making, "min_gram", 1, 10000, &min, err);
    if (status == VZ_OK)
        status = vz_making_int(making, "max_gram", 1, 10000, &max, err);
    if (status == VZ_OK)
        status = vz_making_bool(making, "preserve_original", &grams->preserve, err);
    if (status == VZ_OK)
        status = vz_making_check_grams(making, edge, min, max, err);
    grams->min = (size_t)min;
    grams->max = (size_t)max;
    grams->edge = edge;
    grams->back = edge && vz_slice_is(vz_making_text(making, "side", "front"), "back");
    out->config = grams;
    out->run = run_grams;
    return status;
}

enum vz_status vz_make_ngram(const struct vz_making *making, struct vz_token_filter *out,
                             struct vz_error *err)
{
    return make_grams(making, false, out, err);
}

enum vz_status vz_make_edge_ngram(const struct vz_making *making, struct vz_token_filter *out,
                                  struct vz_error *err)
{
    return make_grams(making, true, out, err);
}

/* ---- shingle ----------------------------------------------------------------------------------
 */

struct shingle {
    size_t min, max;
    bool unigrams, unigrams_if_none;
    struct vz_slice separator, filler;
};

/* The tokens with a filler for each hole, at most max - 1 for one hole. A filler has no text. */
static void with_fillers(const struct shingle *shingle, const struct vz_tokens *tokens,
                         struct vz_tokens *out)
{
    for (size_t i = 0; i <= tokens->count; i++) {
        const struct vz_token *token = i < tokens->count ? &tokens->items[i] : NULL;
        uint32_t holes =
            token ? (token->increment ? token->increment - 1 : 0) : tokens->end_increment;
        for (uint32_t h = 0; h < holes && h < shingle->max - 1; h++) {
            struct vz_token *filler = vz_tokens_push(out);
            filler->start = filler->end = token ? token->start : tokens->end_offset;
        }
        if (token)
            *vz_tokens_push(out) = *token;
    }
}

static void add_shingle(const struct shingle *shingle, struct vz_tokens *tokens,
                        const struct vz_token *parts, size_t count, struct vz_buf *text,
                        struct vz_tokens *out)
{
    vz_buf_clear(text);
    for (size_t i = 0; i < count; i++) {
        if (i)
            vz_buf_append_slice(text, shingle->separator);
        vz_buf_append_slice(text, parts[i].text.ptr ? parts[i].text : shingle->filler);
    }
    struct vz_token *token = vz_tokens_push(out);
    *token = parts[0];
    token->text = vz_arena_copy(&tokens->arena, vz_buf_slice(text));
    token->end = parts[count - 1].end;
    token->type = VZ_TOKEN_SHINGLE;
    token->keyword = false;
    token->position_length =
        shingle->unigrams ? (uint32_t)count : (uint32_t)(count - shingle->min + 1);
}

static enum vz_status run_shingle(const struct vz_token_filter *filter, struct vz_tokens *tokens,
                                  struct vz_error *err)
{
    const struct shingle *shingle = filter->config;
    struct vz_tokens in = {0}, out = {0};
    struct vz_buf text = {0};
    enum vz_status status = VZ_OK;
    bool unigrams = shingle->unigrams;
    tokens->overlaps |= unigrams || shingle->min != shingle->max;
    with_fillers(shingle, tokens, &in);
    if (!unigrams && shingle->unigrams_if_none && in.count < shingle->min)
        unigrams = true;
    for (size_t i = 0; i < in.count && status == VZ_OK; i++) {
        size_t before = out.count, fillers = 0;
        if (unigrams && in.items[i].text.ptr)
            *vz_tokens_push(&out) = in.items[i];
        for (size_t n = 1; n <= shingle->max && i + n <= in.count; n++) {
            fillers += in.items[i + n - 1].text.ptr == NULL;
            if (n >= shingle->min && fillers < n)
                add_shingle(shingle, tokens, in.items + i, n, &text, &out);
        }
        for (size_t o = before; o < out.count; o++)
            out.items[o].increment = o == before;
        if (out.count > vz_tokens_limit(tokens))
            status = vz_fail(err, VZ_LIMIT, "shingles make more than [%zu] tokens",
                             vz_tokens_limit(tokens));
        else
            status = vz_tokens_check(tokens, err);
    }
    vz_buf_deinit(&text);
    free(in.items);
    if (status != VZ_OK) {
        free(out.items);
        return status;
    }
    return finish(tokens, &out);
}

enum vz_status vz_make_shingle(const struct vz_making *making, struct vz_token_filter *out,
                               struct vz_error *err)
{
    struct shingle *shingle = vz_making_zalloc(making, sizeof *shingle);
    int64_t min = 2, max = 2;
    shingle->unigrams = true;
    enum vz_status status =
        vz_making_check(making,
                        "min_shingle_size max_shingle_size output_unigrams "
                        "output_unigrams_if_no_shingles token_separator filler_token",
                        err);
    if (status == VZ_OK)
        status = vz_making_int(making, "max_shingle_size", 2, 1000, &max, err);
    if (status == VZ_OK)
        status = vz_making_int(making, "min_shingle_size", 2, 1000, &min, err);
    if (status == VZ_OK)
        status = vz_making_bool(making, "output_unigrams", &shingle->unigrams, err);
    if (status == VZ_OK)
        status = vz_making_bool(making, "output_unigrams_if_no_shingles",
                                &shingle->unigrams_if_none, err);
    int64_t spread = max - min + (shingle->unigrams ? 1 : 0);
    if (status == VZ_OK && min > max)
        status = vz_fail(err, VZ_BAD_MAPPING, "Min shingle size must be <= max shingle size");
    if (status == VZ_OK && spread > making->options->max_shingle_diff)
        status = vz_fail(err, VZ_BAD_MAPPING,
                         "In Shingle TokenFilter the difference between max_shingle_size and "
                         "min_shingle_size (and +1 if outputting unigrams) must be less than or "
                         "equal to: [%u] but was [%lld]. This limit can be set by changing the "
                         "[index.max_shingle_diff] index level setting.",
                         making->options->max_shingle_diff, (long long)spread);
    shingle->min = (size_t)min;
    shingle->max = (size_t)max;
    shingle->separator = vz_making_text(making, "token_separator", " ");
    shingle->filler = vz_making_text(making, "filler_token", "_");
    out->config = shingle;
    out->run = run_shingle;
    out->graphs = true;
    return status;
}

/* ---- word_delimiter_graph ---------------------------------------------------------------------
 */

enum { LOWER = 1, UPPER = 2, DIGIT = 4, DELIMITER = 8, ALPHA = 3, ALPHANUM = 7 };

struct delimiter {
    bool word_parts, number_parts, catenate_words, catenate_numbers, catenate_all;
    bool case_change, numerics, preserve, possessive, adjust, ignore_keywords;
    struct vz_word_set protected_words;
    struct { /* type_table */
        UChar32 c;
        unsigned char type;
    } * types;
    size_t type_count;
};

static unsigned char_type(const struct delimiter *config, UChar32 c)
{
    for (size_t i = 0; i < config->type_count; i++)
        if (config->types[i].c == c)
            return config->types[i].type;
    if (c < 0x80)
        return c >= 'a' && c <= 'z'   ? LOWER
               : c >= 'A' && c <= 'Z' ? UPPER
               : c >= '0' && c <= '9' ? DIGIT
                                      : DELIMITER;
    if (c < 256) /* Lucene has a table of these by other properties */
        return u_isULowercase(c) ? LOWER : u_isUUppercase(c) ? UPPER : DELIMITER;
    if (c > 0xFFFF)
        return ALPHA | DIGIT; /* Lucene sees two surrogates */
    switch (u_charType(c)) {
    case U_UPPERCASE_LETTER:
        return UPPER;
    case U_LOWERCASE_LETTER:
        return LOWER;
    case U_TITLECASE_LETTER:
    case U_MODIFIER_LETTER:
    case U_OTHER_LETTER:
    case U_NON_SPACING_MARK:
    case U_ENCLOSING_MARK:
    case U_COMBINING_SPACING_MARK:
        return ALPHA;
    case U_DECIMAL_DIGIT_NUMBER:
    case U_LETTER_NUMBER:
    case U_OTHER_NUMBER:
        return DIGIT;
    default:
        return DELIMITER;
    }
}

/* A token as characters: where each begins in bytes and in UTF-16 units, and its type. */
struct letters {
    UChar32 *chars;
    uint32_t *bytes, *units;
    unsigned char *types;
    size_t count;
};

static void letters_of(const struct delimiter *config, struct vz_slice text, struct letters *out)
{
    size_t room = text.len + 1;
    out->chars = vz_alloc(room * (sizeof *out->chars + 2 * sizeof *out->bytes + 1));
    out->bytes = (uint32_t *)(out->chars + room);
    out->units = out->bytes + room;
    out->types = (unsigned char *)(out->units + room);
    size_t at = 0, unit = 0, count = 0;
    while (at < text.len) {
        out->bytes[count] = (uint32_t)at;
        out->units[count] = (uint32_t)unit;
        UChar32 c = out->chars[count] = vz_next_char(text, &at);
        out->types[count++] = (unsigned char)char_type(config, c);
        unit += c > 0xFFFF ? 2 : 1;
    }
    out->bytes[count] = (uint32_t)at;
    out->units[count] = (uint32_t)unit;
    out->count = count;
}

/* Walks the parts of a word. */
struct parts {
    const struct delimiter *config;
    const struct letters *l;
    size_t first, last; /* without delimiters at the ends */
    size_t from, to;    /* the part; from == DONE: no more */
    bool final_possessive, skip_possessive;
};
#define DONE SIZE_MAX

static bool possessive_at(const struct parts *p, size_t at)
{
    const struct letters *l = p->l;
    return p->config->possessive && at > 2 && l->chars[at - 2] == '\'' &&
           (l->chars[at - 1] == 's' || l->chars[at - 1] == 'S') && (l->types[at - 3] & ALPHA) &&
           !(l->types[at - 3] & DELIMITER) && (at == p->last || l->types[at] & DELIMITER);
}

static bool breaks(const struct delimiter *config, unsigned before, unsigned type)
{
    if (before & type)
        return false;
    bool alpha = before & ALPHA, next_alpha = type & ALPHA;
    if (!config->case_change && alpha && next_alpha)
        return false;
    if ((before & UPPER) && next_alpha)
        return false;
    return config->numerics || !((alpha && (type & DIGIT)) || ((before & DIGIT) && next_alpha));
}

static void next_part(struct parts *p)
{
    size_t at = p->to;
    if (at == DONE) {
        p->from = DONE;
        return;
    }
    if (p->skip_possessive) {
        at += 2;
        p->skip_possessive = false;
    }
    while (at < p->last && p->l->types[at] & DELIMITER)
        at++;
    if (at >= p->last) {
        p->from = p->to = DONE;
        return;
    }
    p->from = at;
    unsigned before = p->l->types[at];
    for (p->to = at + 1; p->to < p->last; p->to++) {
        unsigned type = p->l->types[p->to];
        if (breaks(p->config, before, type))
            break;
        before = type;
    }
    if (p->to + 1 < p->last && possessive_at(p, p->to + 2))
        p->skip_possessive = true;
}

static unsigned part_type(const struct parts *p)
{
    unsigned type = p->l->types[p->from];
    return type == LOWER || type == UPPER ? ALPHA : type;
}

static void parts_of(struct parts *p, const struct delimiter *config, const struct letters *l)
{
    *p = (struct parts){.config = config, .l = l, .last = l->count};
    while (p->first < l->count && l->types[p->first] & DELIMITER)
        p->first++;
    while (p->last > p->first && l->types[p->last - 1] & DELIMITER)
        p->last--;
    p->final_possessive = possessive_at(p, p->last);
    p->to = p->first;
    next_part(p);
}

/* What one token becomes, before it is put in order. */
struct piece {
    uint32_t start_pos, end_pos;
    size_t from, to;      /* letters; for what is put together, of its first and last part */
    struct vz_slice text; /* of what is put together; else NULL */
    size_t order;
};
struct pieces {
    struct piece *items;
    size_t count, capacity;
};
struct joined {
    struct vz_buf text;
    unsigned type;
    uint32_t start_pos;
    size_t from, to, parts;
};
struct splitting {
    const struct delimiter *config;
    struct vz_slice text;
    const struct letters *l;
    struct pieces *pieces;
    struct vz_arena *arena;
    uint32_t pos;
    size_t last_joined;
    struct joined some, all;
};

static void add_piece(struct splitting *s, uint32_t start_pos, uint32_t end_pos, size_t from,
                      size_t to, struct vz_slice text)
{
    struct pieces *pieces = s->pieces;
    if (pieces->count == pieces->capacity) {
        pieces->capacity = pieces->capacity ? pieces->capacity * 2 : 16;
        pieces->items = vz_realloc(pieces->items, pieces->capacity * sizeof *pieces->items);
    }
    pieces->items[pieces->count] =
        (struct piece){start_pos, end_pos, from, to, text, pieces->count + 1};
    pieces->count++;
}

static bool wants_part(const struct delimiter *config, unsigned type)
{
    return (config->word_parts && (type & ALPHA)) || (config->number_parts && (type & DIGIT));
}

static void join(struct splitting *s, struct joined *joined, const struct parts *p)
{
    if (joined->parts++ == 0) {
        joined->type = part_type(p);
        joined->start_pos = s->pos;
        joined->from = p->from;
        vz_buf_clear(&joined->text);
    }
    joined->to = p->to;
    vz_buf_append(&joined->text, s->text.ptr + s->l->bytes[p->from],
                  s->l->bytes[p->to] - s->l->bytes[p->from]);
}

static void write_joined(struct splitting *s, struct joined *joined)
{
    add_piece(s, joined->start_pos, s->pos, joined->from, joined->to,
              vz_arena_copy(s->arena, vz_buf_slice(&joined->text)));
}

static void flush_some(struct splitting *s)
{
    if (s->pos == s->some.start_pos)
        s->pos++;
    s->last_joined = s->some.parts;
    if (s->some.parts != 1 || !wants_part(s->config, s->some.type))
        write_joined(s, &s->some);
    s->some.parts = 0;
}

static void split(struct splitting *s, struct parts *p)
{
    const struct delimiter *config = s->config;
    /* A word with nothing but delimiters around it is given whatever the flags say. */
    if (p->from == p->first && p->to == p->last - (p->final_possessive ? 2 : 0)) {
        add_piece(s, 0, 1, p->from, p->to, (struct vz_slice){NULL, 0});
        s->pos = 1;
        p->from = DONE;
    }
    for (; p->from != DONE; next_part(p)) {
        unsigned type = part_type(p);
        if (s->some.parts && !(s->some.type & type))
            flush_some(s);
        if ((config->catenate_words && (type & ALPHA)) ||
            (config->catenate_numbers && (type & DIGIT)))
            join(s, &s->some, p);
        if (config->catenate_all)
            join(s, &s->all, p);
        if (wants_part(config, type)) {
            add_piece(s, s->pos, s->pos + 1, p->from, p->to, (struct vz_slice){NULL, 0});
            s->pos++;
        }
    }
    if (s->some.parts)
        flush_some(s);
    if (s->all.parts && s->all.parts > s->last_joined) {
        if (s->pos == s->all.start_pos)
            s->pos++;
        write_joined(s, &s->all);
    }
    if (config->preserve) {
        if (s->pos == 0)
            s->pos++;
        add_piece(s, 0, s->pos, 0, s->l->count, (struct vz_slice){NULL, 0});
        s->pieces->items[s->pieces->count - 1].order = 0; /* before what is as long */
    }
}

static int by_place(const void *a, const void *b)
{
    const struct piece *x = a, *y = b;
    if (x->start_pos != y->start_pos)
        return x->start_pos < y->start_pos ? -1 : 1;
    if (x->end_pos != y->end_pos)
        return x->end_pos > y->end_pos ? -1 : 1;
    return x->order < y->order ? -1 : x->order > y->order;
}

static void emit(struct splitting *s, const struct vz_token *token, uint32_t *increment,
                 struct vz_tokens *out)
{
    struct pieces *pieces = s->pieces;
    bool odd_offsets = token->end - token->start != s->l->units[s->l->count];
    uint32_t pos = 0;
    if (pieces->count)
        qsort(pieces->items, pieces->count, sizeof *pieces->items, by_place);
    for (size_t i = 0; i < pieces->count; i++) {
        const struct piece *piece = &pieces->items[i];
        struct vz_token *made = vz_tokens_push(out);
        *made = *token;
        made->text = piece->text.ptr
                         ? piece->text
                         : (struct vz_slice){s->text.ptr + s->l->bytes[piece->from],
                                             s->l->bytes[piece->to] - s->l->bytes[piece->from]};
        made->increment = *increment + piece->start_pos - pos;
        made->position_length = piece->end_pos - piece->start_pos;
        *increment = 0;
        pos = piece->start_pos;
        if (s->config->adjust && !odd_offsets) {
            made->start = token->start + s->l->units[piece->from];
            made->end = token->start + s->l->units[piece->to];
        }
    }
}

static enum vz_status run_delimiter(const struct vz_token_filter *filter, struct vz_tokens *tokens,
                                    struct vz_error *err)
{
    const struct delimiter *config = filter->config;
    struct vz_tokens out = {0};
    struct pieces pieces = {0};
    uint32_t increment = 0;
    enum vz_status status = VZ_OK;
    for (size_t i = 0; i < tokens->count && status == VZ_OK; i++) {
        struct vz_token token = tokens->items[i];
        struct letters l;
        struct parts p;
        letters_of(config, token.text, &l);
        parts_of(&p, config, &l);
        increment += token.increment;
        bool whole = (p.from == 0 && p.to == l.count) ||
                     vz_word_set_has(&config->protected_words, token.text) ||
                     (config->ignore_keywords && token.keyword);
        if (whole || (p.from == DONE && config->preserve)) {
            token.increment = increment;
            increment = 0;
            *vz_tokens_push(&out) = token;
        } else if (p.from != DONE) {
            struct splitting s = {.config = config,
                                  .text = token.text,
                                  .l = &l,
                                  .pieces = &pieces,
                                  .arena = &tokens->arena};
            pieces.count = 0;
            split(&s, &p);
            emit(&s, &token, &increment, &out);
            vz_buf_deinit(&s.some.text);
            vz_buf_deinit(&s.all.text);
        }
        free(l.chars);
        if (out.count > vz_tokens_limit(tokens))
            status = vz_fail(err, VZ_LIMIT, "the text gives more than [%zu] tokens",
                             vz_tokens_limit(tokens));
        else
            status = vz_tokens_check(tokens, err);
    }
    free(pieces.items); /* what was dropped at the end is not told, as in Lucene */
    if (status != VZ_OK) {
        free(out.items);
        return status;
    }
    return finish(tokens, &out);
}

static void delimiter_deinit(struct vz_token_filter *filter)
{
    vz_word_set_deinit(&((struct delimiter *)filter->config)->protected_words);
}

static enum vz_status read_type_table(const struct vz_making *making, struct delimiter *config,
                                      struct vz_error *err)
{
    static const struct {
        const char *name;
        unsigned char type;
    } names[] = {{"LOWER", LOWER}, {"UPPER", UPPER},       {"ALPHA", ALPHA},
                 {"DIGIT", DIGIT}, {"ALPHANUM", ALPHANUM}, {"SUBWORD_DELIM", DELIMITER}};
    struct vz_slice *rules;
    size_t count;
    vz_making_list(making, "type_table", &rules, &count);
    config->types = vz_making_zalloc(making, (count + 1) * sizeof *config->types);
    for (size_t i = 0; i < count; i++) {
        struct vz_slice rule = rules[i];
        const char *arrow = memmem(rule.ptr, rule.len, "=>", 2);
        size_t left = arrow ? (size_t)(arrow - rule.ptr) : 0;
        while (left > 1 && rule.ptr[left - 1] == ' ')
            left--;
        struct vz_slice from = {rule.ptr, left}, name = {NULL, 0};
        if (arrow)
            name = (struct vz_slice){arrow + 2, rule.len - (size_t)(arrow + 2 - rule.ptr)};
        while (name.len && name.ptr[0] == ' ')
            name.ptr++, name.len--;
        while (name.len && name.ptr[name.len - 1] == ' ')
            name.len--;
        if (from.len > 1 && from.ptr[0] == '\\')
            from.ptr++, from.len--;
        size_t type = 0, at = 0;
        while (type < VZ_COUNT_OF(names) && !vz_slice_is(name, names[type].name))
            type++;
        if (vz_char_count(from) != 1 || type == VZ_COUNT_OF(names))
            return vz_fail(err, VZ_BAD_MAPPING, "Invalid Mapping Rule : [%.*s]", (int)rule.len,
                           rule.ptr);
        config->types[config->type_count].c = vz_next_char(from, &at);
        config->types[config->type_count++].type = names[type].type;
    }
    return VZ_OK;
}

enum vz_status vz_make_word_delimiter_graph(const struct vz_making *making,
                                            struct vz_token_filter *out, struct vz_error *err)
{
    struct delimiter *config = vz_making_zalloc(making, sizeof *config);
    const struct {
        const char *name;
        bool *value, initial;
    } flags[] = {
        {"generate_word_parts", &config->word_parts, true},
        {"generate_number_parts", &config->number_parts, true},
        {"catenate_words", &config->catenate_words, false},
        {"catenate_numbers", &config->catenate_numbers, false},
        {"catenate_all", &config->catenate_all, false},
        {"split_on_case_change", &config->case_change, true},
        {"split_on_numerics", &config->numerics, true},
        {"preserve_original", &config->preserve, false},
        {"stem_english_possessive", &config->possessive, true},
        {"adjust_offsets", &config->adjust, true},
        {"ignore_keywords", &config->ignore_keywords, false},
    };
    enum vz_status status = vz_making_check(
        making,
        "generate_word_parts generate_number_parts catenate_words catenate_numbers catenate_all "
        "split_on_case_change split_on_numerics preserve_original stem_english_possessive "
        "adjust_offsets ignore_keywords protected_words type_table",
        err);
    for (size_t i = 0; i < VZ_COUNT_OF(flags) && status == VZ_OK; i++) {
        *flags[i].value = flags[i].initial;
        status = vz_making_bool(making, flags[i].name, flags[i].value, err);
    }
    if (status == VZ_OK)
        status = read_type_table(making, config, err);
    struct vz_slice *words;
    size_t count;
    vz_making_list(making, "protected_words", &words, &count);
    for (size_t i = 0; i < count; i++)
        vz_word_set_add(&config->protected_words, words[i]);
    out->config = config;
    out->deinit = delimiter_deinit;
    out->run = run_delimiter;
    out->graphs = true;
    return status;
}
