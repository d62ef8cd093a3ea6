/* The filters synonym and synonym_graph: rules in Solr's form, read through the chain in front.
 *
 * A rule maps a sequence of words to sequences. Matching is greedy: at each token the longest rule
 * that fits is taken and its words are not looked at again. synonym_graph writes a proper graph:
 * each sequence is a path from the position before the match to the one behind it. synonym lays the
 * words of a sequence over the positions of the match and those that follow, as Lucene's older
 * filter does; what does not fit runs on over the next tokens.
 *
 * Bounds: MAX_RULES rules of at most MAX_WORDS words. */
#include "text/analysis_parts.h"

#include <stdlib.h>

#define MAX_RULES 200000
#define MAX_WORDS 64

struct entry {
    struct vz_slice *outputs; /* words joined by NUL */
    size_t count, capacity;
    bool keep;
};
struct synonyms {
    struct vz_strmap entries; /* words joined by NUL -> index */
    struct entry *items;
    size_t count, capacity;
    unsigned longest;         /* words of an input */
    struct vz_word_set first; /* first words of inputs */
};

static void deinit(struct vz_token_filter *filter)
{
    struct synonyms *synonyms = filter->config;
    for (size_t i = 0; i < synonyms->count; i++)
        free(synonyms->items[i].outputs);
    free(synonyms->items);
    vz_strmap_deinit(&synonyms->entries);
    vz_word_set_deinit(&synonyms->first);
}

/* ---- reading rules ----------------------------------------------------------------------------
 */

struct reading {
    const struct vz_making *making;
    struct synonyms *synonyms;
    struct vz_tokens tokens; /* scratch */
    struct vz_arena *arena;
    bool expand, lenient;
};

/* The words of `text` as the chain in front gives them, joined by NUL. */
static enum vz_status words_of(struct reading *r, struct vz_slice text, struct vz_slice *out,
                               struct vz_error *err)
{
    enum vz_status status = vz_analyzer_run(r->making->before, text, &r->tokens, NULL, NULL, err);
    struct vz_buf joined = {0};
    if (status != VZ_OK)
        return status;
    vz_buf_append_str(&joined, "");
    for (size_t i = 0; i < r->tokens.count && status == VZ_OK; i++) {
        const struct vz_token *token = &r->tokens.items[i];
        if (token->text.len == 0)
            status = vz_fail(err, VZ_BAD_MAPPING, "term: %.*s analyzed to a zero-length token",
                             (int)text.len, text.ptr);
        else if (token->increment != 1)
            status = vz_fail(err, VZ_BAD_MAPPING,
                             "term: %.*s analyzed to a token (%.*s) with position increment != 1 "
                             "(got: %u)",
                             (int)text.len, text.ptr, (int)token->text.len, token->text.ptr,
                             token->increment);
        if (i)
            vz_buf_append_char(&joined, '\0');
        vz_buf_append_slice(&joined, token->text);
    }
    if (status == VZ_OK && r->tokens.count == 0)
        status = vz_fail(err, VZ_BAD_MAPPING, "term: %.*s was completely eliminated by analyzer",
                         (int)text.len, text.ptr);
    if (status == VZ_OK && r->tokens.count > MAX_WORDS)
        status = vz_fail(err, VZ_LIMIT, "a synonym of more than [%d] words", MAX_WORDS);
    if (status == VZ_OK)
        *out = vz_arena_copy(r->arena, vz_buf_slice(&joined));
    vz_buf_deinit(&joined);
    return status;
}

static unsigned word_count(struct vz_slice joined)
{
    unsigned count = 1;
    for (size_t i = 0; i < joined.len; i++)
        count += joined.ptr[i] == '\0';
    return count;
}

static void add_output(struct synonyms *synonyms, struct vz_slice input, struct vz_slice output,
                       bool keep)
{
    uint64_t index;
    if (!vz_strmap_get(&synonyms->entries, input, &index)) {
        if (synonyms->count == synonyms->capacity) {
            synonyms->capacity = synonyms->capacity ? synonyms->capacity * 2 : 64;
            synonyms->items =
                vz_realloc(synonyms->items, synonyms->capacity * sizeof *synonyms->items);
        }
        index = synonyms->count++;
        synonyms->items[index] = (struct entry){0};
        vz_strmap_put(&synonyms->entries, input, index);
        synonyms->longest = VZ_MAX(synonyms->longest, word_count(input));
        vz_word_set_add(&synonyms->first,
                        (struct vz_slice){input.ptr, strnlen(input.ptr, input.len)});
    }
    struct entry *entry = &synonyms->items[index];
    entry->keep |= keep;
    for (size_t i = 0; i < entry->count; i++)
        if (vz_slice_eq(entry->outputs[i], output))
            return;
    if (entry->count == entry->capacity) {
        entry->capacity = entry->capacity ? entry->capacity * 2 : 4;
        entry->outputs = vz_realloc(entry->outputs, entry->capacity * sizeof *entry->outputs);
    }
    entry->outputs[entry->count++] = output;
}

/* Splits at commas that no backslash stands before; takes backslashes off. */
static enum vz_status read_side(struct reading *r, struct vz_slice side, struct vz_slice **out,
                                size_t *count, struct vz_error *err)
{
    size_t room = 1;
    for (size_t i = 0; i < side.len; i++)
        room += side.ptr[i] == ',';
    *out = vz_arena_alloc(r->arena, room * sizeof **out);
    *count = 0;
    struct vz_buf one = {0};
    enum vz_status status = VZ_OK;
    for (size_t i = 0; i <= side.len && status == VZ_OK; i++) {
        if (i < side.len && side.ptr[i] == '\\' && i + 1 < side.len) {
            vz_buf_append_char(&one, side.ptr[++i]);
            continue;
        }
        if (i < side.len && side.ptr[i] != ',') {
            vz_buf_append_char(&one, side.ptr[i]);
            continue;
        }
        size_t from = 0, to = one.len;
        while (from < to && (unsigned char)one.data[from] <= ' ')
            from++;
        while (to > from && (unsigned char)one.data[to - 1] <= ' ')
            to--;
        if (to > from) {
            struct vz_error why = {0};
            status =
                words_of(r, (struct vz_slice){one.data + from, to - from}, &(*out)[*count], &why);
            if (status == VZ_OK)
                (*count)++;
            else if (r->lenient && status == VZ_BAD_MAPPING)
                status = VZ_OK;
            else if (err)
                *err = why;
        }
        vz_buf_clear(&one);
    }
    vz_buf_deinit(&one);
    return status;
}

static enum vz_status read_rule(struct reading *r, struct vz_slice rule, struct vz_error *err)
{
    struct vz_slice *left, *right = NULL;
    size_t left_count, right_count = 0;
    while (rule.len && (unsigned char)rule.ptr[0] <= ' ')
        rule.ptr++, rule.len--;
    if (rule.len == 0 || rule.ptr[0] == '#')
        return VZ_OK;
    if (r->synonyms->count > MAX_RULES)
        return vz_fail(err, VZ_LIMIT, "more than [%d] synonym rules", MAX_RULES);
    const char *arrow = memmem(rule.ptr, rule.len, "=>", 2);
    struct vz_slice before = {rule.ptr, arrow ? (size_t)(arrow - rule.ptr) : rule.len};
    enum vz_status status = read_side(r, before, &left, &left_count, err);
    if (status != VZ_OK)
        return status;
    if (arrow) {
        struct vz_slice after = {arrow + 2, rule.len - (size_t)(arrow + 2 - rule.ptr)};
        if (after.len >= 2 && memmem(after.ptr, after.len, "=>", 2))
            return vz_fail(err, VZ_BAD_MAPPING,
                           "more than one explicit mapping specified on the same line");
        status = read_side(r, after, &right, &right_count, err);
        for (size_t i = 0; i < left_count && status == VZ_OK; i++)
            for (size_t j = 0; j < right_count; j++)
                add_output(r->synonyms, left[i], right[j], false);
        return status;
    }
    for (size_t i = 0; i < left_count; i++) {
        if (!r->expand) {
            if (left_count)
                add_output(r->synonyms, left[i], left[0], false);
            continue;
        }
        for (size_t j = 0; j < left_count; j++)
            if (i != j)
                add_output(r->synonyms, left[i], left[j], true);
    }
    return VZ_OK;
}

static enum vz_status read_lines(struct reading *r, struct vz_slice text, struct vz_error *err)
{
    enum vz_status status = VZ_OK;
    while (text.len && status == VZ_OK) {
        const char *line_end = memchr(text.ptr, '\n', text.len);
        size_t len = line_end ? (size_t)(line_end - text.ptr) : text.len;
        status = read_rule(r, (struct vz_slice){text.ptr, len}, err);
        text.ptr += len + (line_end != NULL);
        text.len -= len + (line_end != NULL);
    }
    return status;
}

static enum vz_status read_all(struct reading *r, struct vz_error *err)
{
    const struct vz_making *making = r->making;
    struct vz_json list, set;
    if (vz_making_get(making, "synonyms_set", &set)) {
        struct vz_buf rules = {0};
        struct vz_slice name = vz_json_string(set);
        bool found = making->options->synonyms_set &&
                     making->options->synonyms_set(making->options->context, name, &rules);
        enum vz_status status = found ? read_lines(r, vz_buf_slice(&rules), err)
                                      : vz_fail(err, VZ_BAD_MAPPING, "Synonym set [%.*s] not found",
                                                (int)name.len, name.ptr);
        vz_buf_deinit(&rules);
        return status;
    }
    if (!vz_making_get(making, "synonyms", &list))
        return vz_fail(err, VZ_BAD_MAPPING,
                       "synonym requires either `synonyms`, `synonyms_set` or `synonyms_path` to "
                       "be configured");
    if (vz_json_type(list) != VZ_JSON_ARRAY)
        return read_lines(r, vz_json_string(list), err);
    struct vz_json_iter it = vz_json_iterate(list);
    struct vz_json item;
    enum vz_status status = VZ_OK;
    while (status == VZ_OK && vz_json_next(&it, NULL, &item))
        status = read_rule(r, vz_json_string(item), err);
    return status;
}

/* ---- matching ---------------------------------------------------------------------------------
 */

/* The longest rule that starts at token `at`; *words is how many tokens it takes. */
static const struct entry *match(const struct synonyms *synonyms, const struct vz_tokens *tokens,
                                 size_t at, struct vz_buf *key, size_t *words)
{
    const struct entry *best = NULL;
    if (!vz_word_set_has(&synonyms->first, tokens->items[at].text))
        return NULL;
    vz_buf_clear(key);
    for (size_t n = 0; n < synonyms->longest && at + n < tokens->count; n++) {
        uint64_t index;
        if (n)
            vz_buf_append_char(key, '\0');
        vz_buf_append_slice(key, tokens->items[at + n].text);
        if (vz_strmap_get(&synonyms->entries, vz_buf_slice(key), &index)) {
            best = &synonyms->items[index];
            *words = n + 1;
        }
    }
    return best;
}

static bool next_word(struct vz_slice *joined, struct vz_slice *word)
{
    if (!joined->ptr)
        return false;
    const char *nul = memchr(joined->ptr, '\0', joined->len);
    word->ptr = joined->ptr;
    word->len = nul ? (size_t)(nul - joined->ptr) : joined->len;
    joined->len = nul ? joined->len - word->len - 1 : 0;
    joined->ptr = nul ? nul + 1 : NULL;
    return true;
}

/* ---- synonym_graph ----------------------------------------------------------------------------
 */

/* Writes tokens with the node they leave from; increments come from those at the end. */
struct graph {
    struct vz_tokens *out;
    uint32_t node;      /* where the next token of the input leaves from */
    uint32_t last_node; /* of the last token written */
};

static struct vz_token *put(struct graph *g, const struct vz_token *like, uint32_t from,
                            uint32_t to)
{
    struct vz_token *token = vz_tokens_push(g->out);
    *token = *like;
    token->increment = from - g->last_node;
    token->position_length = to - from;
    g->last_node = from;
    return token;
}

static void put_word(struct graph *g, const struct vz_token *first, const struct vz_token *last,
                     struct vz_slice word, uint32_t from, uint32_t to)
{
    struct vz_token *token = put(g, first, from, to);
    token->text = word;
    token->end = last->end;
    token->type = VZ_TOKEN_SYNONYM;
    token->keyword = false;
}

static void put_match(struct graph *g, const struct entry *entry, const struct vz_token *input,
                      size_t words)
{
    const struct vz_token *last = &input[words - 1];
    uint32_t start = g->node, inner = 0;
    for (size_t i = 0; i < entry->count; i++)
        inner += word_count(entry->outputs[i]) - 1;
    if (entry->keep)
        inner += (uint32_t)words - 1;
    uint32_t end = start + inner + 1, next = start + 1;
    /* The first word of each path leaves from the start ... */
    for (size_t i = 0; i < entry->count; i++) {
        struct vz_slice rest = entry->outputs[i], word = {NULL, 0};
        unsigned count = word_count(rest);
        next_word(&rest, &word);
        put_word(g, input, last, word, start, count == 1 ? end : next);
        next += count - 1;
    }
    if (entry->keep)
        put(g, &input[0], start, words == 1 ? end : next);
    /* ... and the others follow, path by path. */
    next = start + 1;
    for (size_t i = 0; i < entry->count; i++) {
        struct vz_slice rest = entry->outputs[i], word = {NULL, 0};
        unsigned count = word_count(rest);
        next_word(&rest, &word);
        for (unsigned w = 1; next_word(&rest, &word); w++)
            put_word(g, input, last, word, next + w - 1, w + 1 == count ? end : next + w);
        next += count - 1;
    }
    for (size_t w = 1; entry->keep && w < words; w++)
        put(g, &input[w], next + (uint32_t)w - 1, w + 1 == words ? end : next + (uint32_t)w);
    g->node = end;
}

static enum vz_status run_graph(const struct vz_token_filter *filter, struct vz_tokens *tokens,
                                struct vz_error *err)
{
    const struct synonyms *synonyms = filter->config;
    struct vz_tokens out = {0};
    struct vz_buf key = {0};
    struct graph g = {.out = &out, .node = 0, .last_node = UINT32_MAX};
    bool any = false;
    for (size_t i = 0; i < tokens->count;) {
        size_t words = 0;
        const struct entry *entry = match(synonyms, tokens, i, &key, &words);
        uint32_t increment = tokens->items[i].increment;
        /* Holes and overlaps of the input stay, but for a hole before a match, as in Lucene. */
        if (!entry && (any || increment > 1))
            g.node += increment - 1;
        any = true;
        if (entry) {
            put_match(&g, entry, &tokens->items[i], words);
            i += words;
        } else {
            put(&g, &tokens->items[i], g.node, g.node + tokens->items[i].position_length);
            g.node++;
            i++;
        }
        if (out.count > vz_tokens_limit(tokens))
            break;
    }
    vz_buf_deinit(&key);
    vz_tokens_swap_items(tokens, &out);
    free(out.items);
    return vz_tokens_check(tokens, err);
}

/* ---- synonym ----------------------------------------------------------------------------------
 */

/* Words that wait for a position to come. */
struct waiting {
    struct vz_slice word;
    uint32_t at; /* how many input tokens from the start */
    uint32_t position_length;
    bool has_end;
    uint32_t end;
};
struct queue {
    struct waiting *items;
    size_t count, capacity;
};

static void wait_for(struct queue *queue, struct waiting waiting)
{
    if (queue->count == queue->capacity) {
        queue->capacity = queue->capacity ? queue->capacity * 2 : 16;
        queue->items = vz_realloc(queue->items, queue->capacity * sizeof *queue->items);
    }
    queue->items[queue->count++] = waiting;
}

static void wait_outputs(struct queue *queue, const struct entry *entry, size_t at, size_t words,
                         uint32_t end)
{
    for (size_t i = 0; i < entry->count; i++) {
        struct vz_slice rest = entry->outputs[i], word = {NULL, 0};
        unsigned count = word_count(rest);
        for (uint32_t w = 0; next_word(&rest, &word); w++)
            wait_for(queue, (struct waiting){word, (uint32_t)at + w,
                                             count == 1 && entry->keep ? (uint32_t)words : 1,
                                             count == 1, end});
    }
}

/* Writes what waits for place `at`. `kept`: a token stands there already. */
static void write_waiting(struct queue *queue, uint32_t at, const struct vz_token *like, bool kept,
                          struct vz_tokens *out)
{
    size_t left = 0;
    for (size_t i = 0; i < queue->count; i++) {
        struct waiting *waiting = &queue->items[i];
        if (waiting->at != at) {
            queue->items[left++] = *waiting;
            continue;
        }
        struct vz_token *token = vz_tokens_push(out);
        *token = *like;
        token->text = waiting->word;
        token->increment = kept ? 0 : VZ_MAX(like->increment, 1);
        token->position_length = waiting->position_length;
        token->type = VZ_TOKEN_SYNONYM;
        token->keyword = false;
        if (waiting->has_end)
            token->end = waiting->end;
        kept = true;
    }
    queue->count = left;
}

static enum vz_status run_flat(const struct vz_token_filter *filter, struct vz_tokens *tokens,
                               struct vz_error *err)
{
    const struct synonyms *synonyms = filter->config;
    struct vz_tokens out = {0};
    struct vz_buf key = {0};
    struct queue queue = {0};
    struct vz_token last = {0};
    size_t matched_until = 0;
    bool keep = true;
    for (size_t i = 0; i < tokens->count; i++) {
        struct vz_token *token = &tokens->items[i];
        if (i >= matched_until) {
            size_t words = 1;
            const struct entry *entry = match(synonyms, tokens, i, &key, &words);
            keep = !entry || entry->keep;
            matched_until = i + words;
            if (entry)
                wait_outputs(&queue, entry, i, words, tokens->items[i + words - 1].end);
        }
        if (keep)
            *vz_tokens_push(&out) = *token;
        write_waiting(&queue, (uint32_t)i, token, keep, &out);
        last = *token;
        if (out.count > vz_tokens_limit(tokens))
            break;
    }
    if (out.count > vz_tokens_limit(tokens))
        queue.count = 0; /* it is refused below */
    /* What reaches past the end stands at places of its own. */
    last.increment = 1;
    for (uint32_t at = (uint32_t)tokens->count; queue.count; at++)
        write_waiting(&queue, at, &last, false, &out);
    free(queue.items);
    vz_buf_deinit(&key);
    vz_tokens_swap_items(tokens, &out);
    free(out.items);
    return vz_tokens_check(tokens, err);
}

/* ---- making -----------------------------------------------------------------------------------
 */

static enum vz_status make(const struct vz_making *making, struct vz_token_filter *out,
                           struct vz_error *err)
{
    struct synonyms *synonyms = vz_making_zalloc(making, sizeof *synonyms);
    struct reading r = {.making = making,
                        .synonyms = synonyms,
                        .arena = &making->components->arena,
                        .expand = true};
    enum vz_status status =
        vz_making_check(making, "synonyms synonyms_set expand lenient updateable format", err);
    out->config = synonyms;
    out->deinit = deinit;
    if (status == VZ_OK)
        status = vz_making_bool(making, "expand", &r.expand, err);
    if (status == VZ_OK)
        status = vz_making_bool(making, "updateable", &out->search_only, err);
    r.lenient = out->search_only; /* as the default; a set must not break an index */
    if (status == VZ_OK)
        status = vz_making_bool(making, "lenient", &r.lenient, err);
    struct vz_slice format = vz_making_text(making, "format", "solr");
    if (status == VZ_OK && !vz_slice_is(format, "solr") && format.len)
        status = vz_fail(err, VZ_UNSUPPORTED, "synonyms in the format [%.*s] are not supported",
                         (int)format.len, format.ptr);
    if (status == VZ_OK)
        status = read_all(&r, err);
    vz_tokens_deinit(&r.tokens);
    return status;
}

enum vz_status vz_make_synonym(const struct vz_making *making, struct vz_token_filter *out,
                               struct vz_error *err)
{
    out->run = run_flat;
    return make(making, out, err);
}

enum vz_status vz_make_synonym_graph(const struct vz_making *making, struct vz_token_filter *out,
                                     struct vz_error *err)
{
    out->run = run_graph;
    out->graphs = true;
    return make(making, out, err);
}
