/* Tokenizers: standard, uax_url_email, whitespace, keyword, letter, lowercase, ngram, edge_ngram,
 * pattern, simple_pattern_split and char_group, path_hierarchy. What each gives is Lucene's. */
#include "text/analysis_parts.h"

#include <stdlib.h>

typedef enum vz_status run_fn(const struct vz_tokenizer *, const struct vz_source *,
                              struct vz_tokens *, struct vz_error *);

static struct vz_token *add_span(struct vz_tokens *tokens, struct vz_utf16 *cursor, size_t from,
                                 size_t to)
{
    struct vz_token *token = vz_tokens_push(tokens);
    token->text = (struct vz_slice){cursor->source->text.ptr + from, to - from};
    token->start = vz_offset_at(cursor, from);
    token->end = vz_offset_at(cursor, to);
    return token;
}

static void finish(struct vz_tokens *tokens, struct vz_utf16 *cursor)
{
    tokens->end_offset = vz_offset_at(cursor, cursor->source->text.len);
}

/* ---- runs of characters -----------------------------------------------------------------------
 */

/* Java's Character.isWhitespace: no-break spaces are none. */
static bool is_space(UChar32 c)
{
    if (c < 0x80)
        return c == ' ' || (c >= 9 && c <= 13) || (c >= 0x1C && c <= 0x1F);
    return c != 0xA0 && c != 0x2007 && c != 0x202F &&
           (U_GET_GC_MASK(c) & (U_GC_ZS_MASK | U_GC_ZL_MASK | U_GC_ZP_MASK)) != 0;
}

struct runs {
    bool (*in)(const struct runs *runs, UChar32 c);
    bool lower;
    unsigned max_length;
    /* char_group */
    bool whitespace, letter, digit, punctuation, symbol;
    UChar32 *chars;
    size_t char_count;
};

static bool not_space(const struct runs *runs, UChar32 c)
{
    return !is_space(c);
}
static bool a_letter(const struct runs *runs, UChar32 c)
{
    return u_isalpha(c);
}
static bool not_in_group(const struct runs *runs, UChar32 c)
{
    if ((runs->whitespace && is_space(c)) || (runs->letter && u_isalpha(c)) ||
        (runs->digit && u_isdigit(c)) ||
        (runs->punctuation && (U_GET_GC_MASK(c) & U_GC_P_MASK) != 0) ||
        (runs->symbol && (U_GET_GC_MASK(c) & U_GC_S_MASK) != 0))
        return false;
    for (size_t i = 0; i < runs->char_count; i++)
        if (runs->chars[i] == c)
            return false;
    return true;
}

static enum vz_status run_runs(const struct vz_tokenizer *tokenizer, const struct vz_source *source,
                               struct vz_tokens *tokens, struct vz_error *err)
{
    const struct runs *runs = tokenizer->config;
    struct vz_utf16 cursor = {source, 0, 0};
    struct vz_slice text = source->text;
    size_t start = 0, units = 0;
    bool inside = false;
    for (size_t at = 0; at <= text.len;) {
        size_t here = at;
        bool in = false;
        UChar32 c = 0;
        if (at < text.len) {
            c = vz_next_char(text, &at);
            in = runs->in(runs, c);
        } else {
            at++;
        }
        if (in && !inside) {
            start = here;
            units = 0;
        }
        if (in)
            units += c > 0xFFFF ? 2 : 1;
        bool full = in && units >= runs->max_length;
        if ((inside && !in) || full) {
            struct vz_token *token = add_span(tokens, &cursor, start, full ? at : here);
            if (runs->lower)
                token->text = vz_lowercase(token->text, &tokens->arena);
            if (tokens->count > vz_tokens_limit(tokens))
                return vz_tokens_check(tokens, err);
        }
        inside = in && !full;
    }
    finish(tokens, &cursor);
    return VZ_OK;
}

static enum vz_status make_runs(const struct vz_making *making, struct vz_tokenizer *out,
                                bool (*in)(const struct runs *, UChar32), bool lower,
                                struct vz_error *err)
{
    struct runs *runs = vz_making_zalloc(making, sizeof *runs);
    int64_t max = 255;
    enum vz_status status = vz_making_check(making, "max_token_length tokenize_on_chars", err);
    if (status == VZ_OK)
        status = vz_making_int(making, "max_token_length", 1, 1 << 20, &max, err);
    runs->in = in;
    runs->lower = lower;
    runs->max_length = (unsigned)max;
    out->config = runs;
    out->run = run_runs;
    return status;
}

static bool escape_char(struct vz_slice text, UChar32 *c)
{
    size_t at = 0;
    *c = vz_next_char(text, &at);
    if (*c != '\\')
        return at == text.len;
    if (text.len == 2) {
        static const char from[] = "\\ntrbf", to[] = "\\\n\t\r\b\f";
        const char *found = strchr(from, text.ptr[1]);
        if (!found || !text.ptr[1])
            return false;
        *c = to[found - from];
        return true;
    }
    if (text.len == 6 && text.ptr[1] == 'u') {
        char digits[5] = {text.ptr[2], text.ptr[3], text.ptr[4], text.ptr[5], 0};
        char *end;
        *c = (UChar32)strtol(digits, &end, 16);
        return *end == '\0';
    }
    return false;
}

static enum vz_status make_char_group(const struct vz_making *making, struct vz_tokenizer *out,
                                      struct vz_error *err)
{
    enum vz_status status = make_runs(making, out, not_in_group, false, err);
    struct runs *runs = out->config;
    struct vz_json list;
    if (status != VZ_OK || !vz_making_get(making, "tokenize_on_chars", &list))
        return status;
    runs->chars = vz_making_zalloc(making, (vz_json_count(list) + 1) * sizeof *runs->chars);
    struct vz_json_iter it = vz_json_iterate(list);
    struct vz_json item;
    while (vz_json_next(&it, NULL, &item)) {
        struct vz_slice text = vz_json_string(item);
        if (text.len == 0)
            return vz_fail(err, VZ_BAD_MAPPING,
                           "[tokenize_on_chars] cannot contain empty characters");
        if (vz_slice_is(text, "whitespace"))
            runs->whitespace = true;
        else if (vz_slice_is(text, "letter"))
            runs->letter = true;
        else if (vz_slice_is(text, "digit"))
            runs->digit = true;
        else if (vz_slice_is(text, "punctuation"))
            runs->punctuation = true;
        else if (vz_slice_is(text, "symbol"))
            runs->symbol = true;
        else if (!escape_char(text, &runs->chars[runs->char_count++]))
            return vz_fail(err, VZ_BAD_MAPPING, "Invalid escaped char in [%.*s]", (int)text.len,
                           text.ptr);
    }
    return VZ_OK;
}

/* ---- keyword, standard ------------------------------------------------------------------------
 */

static enum vz_status run_keyword(const struct vz_tokenizer *tokenizer,
                                  const struct vz_source *source, struct vz_tokens *tokens,
                                  struct vz_error *err)
{
    struct vz_utf16 cursor = {source, 0, 0};
    add_span(tokens, &cursor, 0, source->text.len);
    finish(tokens, &cursor);
    return VZ_OK;
}

static enum vz_status run_standard(const struct vz_tokenizer *tokenizer,
                                   const struct vz_source *source, struct vz_tokens *tokens,
                                   struct vz_error *err)
{
    return vz_standard_run(source->text, source, *(const unsigned *)tokenizer->config, false,
                           tokens, err);
}

static enum vz_status run_url_email(const struct vz_tokenizer *tokenizer,
                                    const struct vz_source *source, struct vz_tokens *tokens,
                                    struct vz_error *err)
{
    return vz_standard_run(source->text, source, *(const unsigned *)tokenizer->config, true, tokens,
                           err);
}

unsigned vz_tokenizer_standard_length(const struct vz_tokenizer *tokenizer)
{
    return tokenizer->run == run_standard ? *(const unsigned *)tokenizer->config : 0;
}

static enum vz_status make_standard(const struct vz_making *making, struct vz_tokenizer *out,
                                    run_fn *run, struct vz_error *err)
{
    unsigned *length = vz_making_zalloc(making, sizeof *length);
    int64_t max = 255;
    enum vz_status status = vz_making_check(making, "max_token_length", err);
    if (status == VZ_OK)
        status = vz_making_int(making, "max_token_length", 1, 1 << 20, &max, err);
    *length = (unsigned)max;
    out->config = length;
    out->run = run;
    return status;
}

/* ---- n-grams ----------------------------------------------------------------------------------
 */

struct grams {
    unsigned min, max;
    bool edge, any; /* any: every character is a token's */
    bool letter, digit, whitespace, punctuation, symbol;
    UChar32 *custom;
    size_t custom_count;
};

static bool gram_char(const struct grams *grams, UChar32 c)
{
    if (grams->any || (grams->letter && u_isalpha(c)) || (grams->digit && u_isdigit(c)) ||
        (grams->whitespace && is_space(c)) ||
        (grams->punctuation && (U_GET_GC_MASK(c) & U_GC_P_MASK) != 0) ||
        (grams->symbol && (U_GET_GC_MASK(c) & U_GC_S_MASK) != 0))
        return true;
    for (size_t i = 0; i < grams->custom_count; i++)
        if (grams->custom[i] == c)
            return true;
    return false;
}

/* All grams of text[from, to), which holds only wanted characters. */
static enum vz_status grams_of(const struct grams *grams, struct vz_utf16 *cursor, size_t from,
                               size_t to, struct vz_tokens *tokens, struct vz_error *err)
{
    struct vz_slice text = cursor->source->text;
    size_t unit = vz_utf16_at(cursor, from);
    for (size_t start = from; start < to;) {
        size_t end = start, units = 0;
        size_t next = start;
        UChar32 first = vz_next_char(text, &next);
        for (unsigned n = 1; n <= grams->max && end < to; n++) {
            UChar32 c = vz_next_char(text, &end);
            units += c > 0xFFFF ? 2 : 1;
            if (n < grams->min)
                continue;
            struct vz_token *token = vz_tokens_push(tokens);
            token->text = (struct vz_slice){text.ptr + start, end - start};
            token->start = vz_offset_correct(cursor->source, unit);
            token->end = vz_offset_correct(cursor->source, unit + units);
        }
        if (tokens->count > vz_tokens_limit(tokens))
            return vz_tokens_check(tokens, err);
        if (grams->edge)
            break;
        unit += first > 0xFFFF ? 2 : 1;
        start = next;
    }
    return VZ_OK;
}

static enum vz_status run_grams(const struct vz_tokenizer *tokenizer,
                                const struct vz_source *source, struct vz_tokens *tokens,
                                struct vz_error *err)
{
    const struct grams *grams = tokenizer->config;
    struct vz_utf16 cursor = {source, 0, 0};
    struct vz_slice text = source->text;
    enum vz_status status = VZ_OK;
    for (size_t at = 0; at < text.len && status == VZ_OK;) {
        size_t start = at, end = at;
        while (at < text.len && gram_char(grams, vz_next_char(text, &at)))
            end = at;
        if (end > start)
            status = grams_of(grams, &cursor, start, end, tokens, err);
    }
    finish(tokens, &cursor);
    return status;
}

static enum vz_status gram_classes(const struct vz_making *making, struct grams *grams,
                                   struct vz_error *err)
{
    struct vz_slice *items;
    size_t count;
    grams->any = true;
    if (!vz_making_list(making, "token_chars", &items, &count))
        return VZ_OK;
    for (size_t i = 0; i < count; i++) {
        grams->any = false;
        if (vz_slice_is(items[i], "letter"))
            grams->letter = true;
        else if (vz_slice_is(items[i], "digit"))
            grams->digit = true;
        else if (vz_slice_is(items[i], "whitespace"))
            grams->whitespace = true;
        else if (vz_slice_is(items[i], "punctuation"))
            grams->punctuation = true;
        else if (vz_slice_is(items[i], "symbol"))
            grams->symbol = true;
        else if (vz_slice_is(items[i], "custom")) {
            struct vz_slice chars = vz_making_text(making, "custom_token_chars", "");
            if (chars.len == 0)
                return vz_fail(err, VZ_BAD_MAPPING,
                               "Token type: 'custom' requires setting `custom_token_chars`");
            grams->custom = vz_making_zalloc(making, (chars.len + 1) * sizeof *grams->custom);
            for (size_t at = 0; at < chars.len;)
                grams->custom[grams->custom_count++] = vz_next_char(chars, &at);
        } else {
            return vz_fail(err, VZ_BAD_MAPPING,
                           "Unknown token type: '%.*s', must be one of [letter, digit, whitespace, "
                           "punctuation, symbol, custom]",
                           (int)items[i].len, items[i].ptr);
        }
    }
    return VZ_OK;
}

static enum vz_status make_grams(const struct vz_making *making, struct vz_tokenizer *out,
                                 bool edge, struct vz_error *err)
{
    struct grams *grams = vz_making_zalloc(making, sizeof *grams);
    int64_t min = 1, max = 2;
    enum vz_status status =
        vz_making_check(making, "min_gram max_gram token_chars custom_token_chars", err);
    if (status == VZ_OK)
        status = vz_making_int(making, "min_gram", 1, 10000, &min, err);
    if (status == VZ_OK)
        status = vz_making_int(making, "max_gram", 1, 10000, &max, err);
    if (status == VZ_OK)
        status = gram_classes(making, grams, err);
    if (status == VZ_OK)
        status = vz_making_check_grams(making, edge, min, max, err);
    grams->min = (unsigned)min;
    grams->max = (unsigned)max;
    grams->edge = edge;
    out->config = grams;
    out->run = run_grams;
    return status;
}

/* ---- pattern ----------------------------------------------------------------------------------
 */

struct by_pattern {
    struct vz_pattern *pattern;
    int group; /* -1: split */
};

static void pattern_deinit(struct vz_tokenizer *tokenizer)
{
    struct by_pattern *by = tokenizer->config;
    vz_pattern_free(by->pattern);
}

static enum vz_status run_pattern(const struct vz_tokenizer *tokenizer,
                                  const struct vz_source *source, struct vz_tokens *tokens,
                                  struct vz_error *err)
{
    const struct by_pattern *by = tokenizer->config;
    struct vz_utf16 cursor = {source, 0, 0};
    struct vz_slice text = source->text;
    size_t *spans = vz_alloc((vz_pattern_groups(by->pattern) + 1) * 2 * sizeof *spans);
    size_t from = 0, at = 0;
    enum vz_status status = VZ_OK;
    for (bool found = true; found && at <= text.len;) {
        status = vz_pattern_find(by->pattern, text, at, spans, &found, err);
        if (status != VZ_OK || !found)
            break;
        size_t group = by->group < 0 ? 0 : (size_t)by->group;
        if (by->group >= 0) {
            if (spans[2 * group] != SIZE_MAX && spans[2 * group + 1] > spans[2 * group])
                add_span(tokens, &cursor, spans[2 * group], spans[2 * group + 1]);
        } else {
            if (spans[0] > from)
                add_span(tokens, &cursor, from, spans[0]);
            from = spans[1];
        }
        at = spans[1];
        if (spans[1] == spans[0]) { /* an empty match: on by a character */
            if (at >= text.len)
                break;
            vz_next_char(text, &at);
        }
        if (tokens->count > vz_tokens_limit(tokens))
            break;
    }
    if (status == VZ_OK && by->group < 0 && from < text.len)
        add_span(tokens, &cursor, from, text.len);
    free(spans);
    finish(tokens, &cursor);
    return status == VZ_OK ? vz_tokens_check(tokens, err) : status;
}

static enum vz_status make_pattern(const struct vz_making *making, struct vz_tokenizer *out,
                                   const char *otherwise, int group, struct vz_error *err)
{
    struct by_pattern *by = vz_making_zalloc(making, sizeof *by);
    int64_t number = group;
    enum vz_status status = vz_making_check(making, "pattern flags group lowercase", err);
    if (status == VZ_OK)
        status = vz_making_int(making, "group", -1, 100, &number, err);
    if (status == VZ_OK)
        status = vz_pattern_new(vz_making_text(making, "pattern", otherwise),
                                vz_making_text(making, "flags", ""), &by->pattern, err);
    out->config = by;
    by->group = (int)number;
    if (status == VZ_OK && number > (int64_t)vz_pattern_groups(by->pattern)) {
        status = vz_fail(err, VZ_BAD_MAPPING,
                         "invalid group specified: pattern only has: %u "
                         "capturing groups",
                         vz_pattern_groups(by->pattern));
        vz_pattern_free(by->pattern);
        by->pattern = NULL;
    }
    out->deinit = pattern_deinit;
    out->run = run_pattern;
    return status;
}

/* ---- path_hierarchy ---------------------------------------------------------------------------
 */

struct path {
    char delimiter[8], replacement[8];
    size_t delimiter_len, replacement_len;
    unsigned skip;
    bool reverse;
};

static struct vz_slice replaced(const struct path *path, struct vz_slice text,
                                struct vz_arena *arena)
{
    struct vz_slice d = {path->delimiter, path->delimiter_len};
    if (vz_slice_eq(d, (struct vz_slice){path->replacement, path->replacement_len}))
        return text;
    struct vz_buf out = {0};
    vz_buf_append_str(&out, "");
    for (size_t i = 0; i < text.len;) {
        if (text.len - i >= d.len && memcmp(text.ptr + i, d.ptr, d.len) == 0) {
            vz_buf_append(&out, path->replacement, path->replacement_len);
            i += d.len;
        } else {
            vz_buf_append_char(&out, text.ptr[i++]);
        }
    }
    struct vz_slice copy = vz_arena_copy(arena, vz_buf_slice(&out));
    vz_buf_deinit(&out);
    return copy;
}

static void add_path(const struct path *path, struct vz_tokens *tokens, struct vz_utf16 *cursor,
                     size_t from, size_t to)
{
    struct vz_token *token = vz_tokens_push(tokens);
    token->text = replaced(path, (struct vz_slice){cursor->source->text.ptr + from, to - from},
                           &tokens->arena);
    token->start = vz_offset_at(cursor, from);
    token->end = vz_offset_at(cursor, to);
    token->increment = tokens->count == 1;
}

/* Where delimiters are; `*count` of them. */
static size_t *delimiters(const struct path *path, struct vz_slice text, size_t *count)
{
    size_t *at = vz_alloc((text.len + 1) * sizeof *at);
    *count = 0;
    for (size_t i = 0; i + path->delimiter_len <= text.len; i++)
        if (memcmp(text.ptr + i, path->delimiter, path->delimiter_len) == 0)
            at[(*count)++] = i;
    return at;
}

static enum vz_status run_path(const struct vz_tokenizer *tokenizer, const struct vz_source *source,
                               struct vz_tokens *tokens, struct vz_error *err)
{
    const struct path *path = tokenizer->config;
    struct vz_utf16 cursor = {source, 0, 0};
    struct vz_slice text = source->text;
    size_t count, *at = delimiters(path, text, &count);
    enum vz_status status = VZ_OK;
    uint64_t bytes = 0; /* each token repeats the ones before */
    if (text.len && !path->reverse) {
        /* Parts end at delimiters; a leading one belongs to the part behind it. */
        size_t from = 0, part = 0;
        bool leading = count && at[0] == 0;
        if (path->skip) {
            size_t index = path->skip - 1 + leading;
            from = index < count ? at[index] : text.len;
        }
        for (size_t i = 0; i <= count; i++) {
            size_t end = i < count ? at[i] : text.len;
            if (i < count && end == 0)
                continue;
            if (i == count && count && at[count - 1] + path->delimiter_len == text.len &&
                text.len > path->delimiter_len)
                end = text.len; /* a trailing delimiter is a last token */
            if (part++ < path->skip)
                continue;
            if (end > from && (bytes += end - from) < VZ_MAX_TOKEN_BYTES / 16)
                add_path(path, tokens, &cursor, from, end);
        }
    } else if (text.len) {
        /* From each part's start to the end, without the last `skip` parts. */
        bool trailing = count && at[count - 1] + path->delimiter_len == text.len;
        size_t end = text.len, starts = count + !trailing;
        if (path->skip) {
            size_t keep = starts > path->skip ? starts - path->skip : 0;
            end = keep ? at[keep - 1] + path->delimiter_len : 0;
            starts = keep;
        }
        for (size_t i = 0; i < starts; i++) {
            size_t from = i ? at[i - 1] + path->delimiter_len : 0;
            if (end > from && (bytes += end - from) < VZ_MAX_TOKEN_BYTES / 16)
                add_path(path, tokens, &cursor, from, end);
        }
    }
    free(at);
    if (bytes >= VZ_MAX_TOKEN_BYTES / 16)
        status = vz_fail(err, VZ_LIMIT, "a path has too many parts");
    finish(tokens, &cursor);
    return status;
}

static enum vz_status make_path(const struct vz_making *making, struct vz_tokenizer *out,
                                struct vz_error *err)
{
    struct path *path = vz_making_zalloc(making, sizeof *path);
    int64_t skip = 0;
    enum vz_status status =
        vz_making_check(making, "delimiter replacement skip reverse buffer_size", err);
    struct vz_slice d = vz_making_text(making, "delimiter", "/");
    char otherwise[8] = "";
    if (status == VZ_OK && (vz_char_count(d) != 1 || d.len > 4))
        status = vz_fail(err, VZ_BAD_MAPPING, "delimiter must be a one char value");
    if (status != VZ_OK)
        return status;
    memcpy(otherwise, d.ptr, d.len);
    struct vz_slice r = vz_making_text(making, "replacement", otherwise);
    if (vz_char_count(r) != 1 || r.len > 4)
        return vz_fail(err, VZ_BAD_MAPPING, "replacement must be a one char value");
    memcpy(path->delimiter, d.ptr, d.len);
    memcpy(path->replacement, r.ptr, r.len);
    path->delimiter_len = d.len;
    path->replacement_len = r.len;
    status = vz_making_int(making, "skip", 0, 1 << 20, &skip, err);
    if (status == VZ_OK)
        status = vz_making_bool(making, "reverse", &path->reverse, err);
    path->skip = (unsigned)skip;
    out->config = path;
    out->run = run_path;
    return status;
}

/* ---- by name ----------------------------------------------------------------------------------
 */

enum vz_status vz_tokenizer_make(const struct vz_making *making, struct vz_slice type,
                                 struct vz_tokenizer *out, struct vz_error *err)
{
    static const char *const refused[] = {"classic", "simple_pattern", "icu_tokenizer",
                                          "nori_tokenizer", "kuromoji_tokenizer"};
    if (vz_slice_is(type, "standard"))
        return make_standard(making, out, run_standard, err);
    if (vz_slice_is(type, "uax_url_email"))
        return make_standard(making, out, run_url_email, err);
    if (vz_slice_is(type, "keyword")) {
        out->run = run_keyword;
        return vz_making_check(making, "buffer_size", err);
    }
    if (vz_slice_is(type, "whitespace"))
        return make_runs(making, out, not_space, false, err);
    if (vz_slice_is(type, "letter"))
        return make_runs(making, out, a_letter, false, err);
    if (vz_slice_is(type, "lowercase"))
        return make_runs(making, out, a_letter, true, err);
    if (vz_slice_is(type, "char_group"))
        return make_char_group(making, out, err);
    if (vz_slice_is(type, "ngram") || vz_slice_is(type, "nGram"))
        return make_grams(making, out, false, err);
    if (vz_slice_is(type, "edge_ngram") || vz_slice_is(type, "edgeNGram"))
        return make_grams(making, out, true, err);
    if (vz_slice_is(type, "pattern"))
        return make_pattern(making, out, "\\W+", -1, err);
    if (vz_slice_is(type, "simple_pattern_split"))
        return make_pattern(making, out, "", -1, err);
    if (vz_slice_is(type, "path_hierarchy") || vz_slice_is(type, "PathHierarchy"))
        return make_path(making, out, err);
    if (vz_slice_is(type, "thai"))
        return vz_thai_make(making, out, err);
    for (size_t i = 0; i < VZ_COUNT_OF(refused); i++)
        if (vz_slice_is(type, refused[i]))
            return vz_fail(err, VZ_UNSUPPORTED, "tokenizer type [%.*s] is not supported",
                           (int)type.len, type.ptr);
    return VZ_NOT_FOUND;
}
