/* Queries over analysed text of a field: what a match, a phrase, a pattern is in terms of a field's postings.
 *
 * A node becomes a tree of struct vz_text_query (src/text/score.h), built as Elasticsearch builds
 * Lucene's queries: a text is analysed by the field's search analyzer, tokens of one position are
 * alternatives scored as one term, positions are clauses; where a graph forks (synonyms of several
 * words), each way is a phrase. Patterns become the terms that they match.
 *
 * Two ways to run it: vz_text_eval gives a docset with scores, to be combined with anything;
 * vz_text_plan is for a search whose query is texts and filters only: its best hits are found
 * without looking at all matches.
 *
 * Scores of fuzzy terms: as in Lucene, all terms that a fuzzy term stands for are scored with the
 * largest of their document frequencies, each times 1 - edits / length.
 */
#include "query/filter.h"
#include "query/texts.h"

#include "base/text.h"

#include <stdio.h>
#include <stdlib.h>

#define MAX_PATHS 1024


static const struct vz_match defaults = {.query = "match", .max_expansions = 50};

struct build {
    struct vz_eval *eval;
    const struct vz_text_view *view;
    const struct vz_field *field;
    const struct vz_match *match;
    struct vz_error *err;
    const struct vz_spread *spread; /* NULL: the field alone */
    bool *listed;
};

/* ---- pieces of queries ----------------------------------------------------------------------- */

static struct vz_text_query *new_query(const struct build *b, enum vz_text_kind kind)
{
    struct vz_text_query *query = vz_arena_zalloc(b->eval->arena, sizeof *query);
    query->kind = kind;
    query->boost = 1;
    if (b->field) {
        query->field = b->field->id;
        query->field_name = b->field->path;
        /* No saturation is a k1 that is nearly none: 0 stands for the default there. */
        query->k1 = b->field->scoring.k1 > 0 ? b->field->scoring.k1 : 1e-30f;
        query->b = b->field->scoring.b;
        query->has_b = true;
        query->constant =
            b->field->scoring.is_boolean && (kind == VZ_TEXT_TERM || kind == VZ_TEXT_PHRASE);
    }
    return query;
}

static struct vz_text_query *of_parts(const struct build *b, enum vz_text_kind kind,
                                      struct vz_text_query *const *parts, size_t count)
{
    if (count == 1)
        return parts[0];
    struct vz_text_query *query = new_query(b, count ? kind : VZ_TEXT_NONE);
    if (count == 0)
        query->source = VZ_SLICE(""); /* something was asked for, nothing is there */
    struct vz_text_query **copy =
        vz_arena_alloc(b->eval->arena, (count + 1) * sizeof(struct vz_text_query *));
    if (count)
        memcpy(copy, parts, count * sizeof(struct vz_text_query *));
    query->parts = copy;
    query->part_count = count;
    return query;
}

static struct vz_text_query *of_terms(const struct build *b, const struct vz_slice *terms,
                                      size_t count)
{
    struct vz_text_query *query = new_query(b, count ? VZ_TEXT_TERM : VZ_TEXT_NONE);
    struct vz_slice *copy = vz_arena_alloc(b->eval->arena, (count + 1) * sizeof *copy);
    if (count)
        memcpy(copy, terms, count * sizeof *copy);
    query->terms = copy;
    query->term_count = count;
    return query;
}

/* A term of each field, by one document frequency; the best counts. */
static struct vz_text_query *across(const struct build *b, const struct vz_slice *terms,
                                    size_t count)
{
    const struct vz_spread *spread = b->spread;
    size_t room = spread->count * count, n = 0;
    struct vz_text_query **parts =
        vz_arena_alloc(b->eval->arena, (room + 1) * sizeof(struct vz_text_query *));
    struct vz_blend *blends = vz_arena_zalloc(b->eval->arena, (room + 1) * sizeof *blends);
    for (size_t f = 0; f < spread->count; f++) {
        struct build one = *b;
        struct vz_field_stats stats = {0};
        one.field = spread->fields[f];
        if (b->view)
            vz_text_field_stats(b->view, one.field->id, &stats);
        for (size_t i = 0; i < count; i++, n++) {
            struct vz_term_stats term = {0};
            if (b->view)
                vz_text_term_stats(b->view, one.field->id, terms[i], &term);
            blends[n] = (struct vz_blend){.doc_freq = term.doc_freq,
                                          .field_docs = stats.doc_count,
                                          .field_freqs = stats.sum_total_freqs};
            parts[n] = of_terms(&one, &terms[i], 1);
            parts[n]->boost = spread->boosts[f];
        }
    }
    vz_text_blend(blends, n, b->eval->limit);
    for (size_t i = 0; i < n; i++)
        parts[i]->doc_freq = blends[i].blended;
    struct vz_text_query *best = of_parts(b, VZ_TEXT_BEST, parts, n);
    if (n > 1)
        best->tie = spread->tie;
    return best;
}

/* All fields as one. */
static struct vz_text_query *combined(const struct build *b, const struct vz_slice *terms,
                                      size_t count)
{
    const struct vz_spread *spread = b->spread;
    struct vz_text_query *query = of_terms(b, terms, count);
    struct vz_text_field_weight *fields =
        vz_arena_alloc(b->eval->arena, (spread->count + 1) * sizeof *fields);
    for (size_t f = 0; f < spread->count; f++)
        fields[f] = (struct vz_text_field_weight){spread->fields[f]->id, spread->fields[f]->path,
                                                  spread->boosts[f]};
    query->kind = VZ_TEXT_COMBINED;
    query->fields = fields;
    query->field_count = spread->count;
    return query;
}

/* The terms of one place. */
static struct vz_text_query *of_place(const struct build *b, const struct vz_slice *terms,
                                      size_t count)
{
    if (!b->spread)
        return of_terms(b, terms, count);
    return b->spread->combined ? combined(b, terms, count) : across(b, terms, count);
}

static enum vz_status walk(const struct build *b, const struct vz_walk *how,
                           struct vz_walk_term **terms, size_t *count)
{
    struct vz_walk limits = *how;
    bool truncated = false;
    uint64_t looked_at = 0;
    *terms = NULL;
    *count = 0;
    limits.cancelled = vz_text_late;
    limits.context = b->eval;
    limits.looked_at = &looked_at;
    if (!b->view)
        return VZ_OK;
    enum vz_status status = vz_text_walk(b->view, b->field->id, &limits, b->eval->arena, terms,
                                         count, &truncated, b->err);
    if (status == VZ_OK && truncated && !how->max_terms)
        return vz_fail(b->err, VZ_LIMIT, "a pattern on field [%.*s] matches more than [%zu] terms",
                       VZ_ARG(b->field->path), VZ_MAX_WALK_TERMS);
    return status == VZ_OK ? vz_eval_spend(b->eval, looked_at, *count, b->err) : status;
}

/* ---- fuzzy ----------------------------------------------------------------------------------- */

static size_t code_points(struct vz_slice text)
{
    size_t count = 0;
    for (size_t i = 0; i < text.len; i++)
        count += ((unsigned char)text.ptr[i] & 0xC0) != 0x80;
    return count;
}

unsigned vz_fuzzy_distance(struct vz_slice fuzziness, struct vz_slice word)
{
    unsigned low = 3, high = 6;
    if (fuzziness.len && fuzziness.ptr[0] >= '0' && fuzziness.ptr[0] <= '2')
        return (unsigned)(fuzziness.ptr[0] - '0');
    if (fuzziness.len > 5) {
        char copy[32] = "";
        memcpy(copy, fuzziness.ptr, VZ_MIN(fuzziness.len, sizeof copy - 1));
        if (sscanf(copy + 5, "%u,%u", &low, &high) != 2)
            low = 3, high = 6;
    }
    size_t len = code_points(word);
    return len < low ? 0 : len < high ? 1 : 2;
}

struct near_term {
    struct vz_slice term;
    uint64_t doc_freq;
    float boost;
};

static int by_boost(const void *a, const void *b)
{
    const struct near_term *x = a, *y = b;
    if (x->boost != y->boost)
        return x->boost > y->boost ? -1 : 1;
    return vz_slice_cmp(x->term, y->term);
}

static enum vz_status build_fuzzy(const struct build *b, struct vz_slice word,
                                  struct vz_text_query **out)
{
    struct vz_walk how = {.kind = VZ_WALK_FUZZY,
                          .text = word,
                          .distance = vz_fuzzy_distance(b->match->fuzziness, word),
                          .prefix_length = b->match->prefix_length,
                          .transpositions = !b->match->no_transpositions};
    struct vz_walk_term *terms;
    size_t count, length = code_points(word);
    if (how.distance == 0) {
        *out = of_terms(b, &word, 1);
        return VZ_OK;
    }
    enum vz_status status = walk(b, &how, &terms, &count);
    if (status != VZ_OK)
        return status;
    struct near_term *near = vz_arena_alloc(b->eval->arena, (count + 1) * sizeof *near);
    uint64_t most = 0;
    for (size_t i = 0; i < count; i++) {
        size_t shorter = VZ_MAX(VZ_MIN(length, code_points(terms[i].term)), (size_t)1);
        near[i] = (struct near_term){terms[i].term, terms[i].stats.doc_freq,
                                     1.0f - (float)terms[i].edits / (float)shorter};
    }
    qsort(near, count, sizeof *near, by_boost);
    count = VZ_MIN(count, (size_t)b->match->max_expansions);
    for (size_t i = 0; i < count; i++)
        most = VZ_MAX(most, near[i].doc_freq);
    struct vz_text_query **parts =
        vz_arena_alloc(b->eval->arena, (count + 1) * sizeof(struct vz_text_query *));
    for (size_t i = 0; i < count; i++) {
        parts[i] = of_terms(b, &near[i].term, 1);
        parts[i]->boost = near[i].boost;
        parts[i]->doc_freq = most;
    }
    *out = of_parts(b, VZ_TEXT_ANY, parts, count);
    return VZ_OK;
}

/* ---- patterns -------------------------------------------------------------------------------- */

static enum vz_status pattern_of(const struct vz_node *node, struct vz_walk *how,
                                 struct vz_error *err)
{
    *how = (struct vz_walk){.text = node->text, .ignore_case = node->fold_case};
    if (node->kind == VZ_NODE_PREFIX)
        how->kind = VZ_WALK_PREFIX;
    else if (node->kind == VZ_NODE_WILDCARD)
        how->kind = VZ_WALK_WILDCARD;
    else
        *how = vz_regexp_walk(node);
    if (node->kind == VZ_NODE_REGEXP && node->text.len > VZ_MAX_REGEX_BYTES)
        return vz_query_fail(
            err, VZ_BAD_QUERY,
            "The length of regex [%zu] used in the Regexp Query request has exceeded the allowed "
            "maximum of [%d]. This maximum can be set by changing the [index.max_regex_length] "
            "index level setting.",
            node->text.len, VZ_MAX_REGEX_BYTES);
    return VZ_OK;
}

/* All terms of a walk: every match scores the same. */
static enum vz_status build_constant(const struct build *b, const struct vz_walk *how,
                                     struct vz_text_query **out)
{
    static const char *const before[] = {[VZ_WALK_REGEXP] = "/"};
    static const char *const after[] = {[VZ_WALK_PREFIX] = "*", [VZ_WALK_REGEXP] = "/"};
    const char *head = how->kind < VZ_COUNT_OF(before) ? before[how->kind] : NULL;
    const char *tail = how->kind < VZ_COUNT_OF(after) ? after[how->kind] : NULL;
    struct vz_walk_term *terms;
    size_t count;
    enum vz_status status = walk(b, how, &terms, &count);
    if (status != VZ_OK)
        return status;
    struct vz_slice *texts = vz_arena_alloc(b->eval->arena, (count + 1) * sizeof *texts);
    for (size_t i = 0; i < count; i++)
        texts[i] = terms[i].term;
    *out = new_query(b, count ? VZ_TEXT_TERM : VZ_TEXT_NONE);
    (*out)->terms = texts;
    (*out)->term_count = count;
    (*out)->constant = true;
    if (how->kind == VZ_WALK_RANGE)
        (*out)->source = vz_slice_from(vz_arena_printf(
            b->eval->arena, "%.*s:%c%.*s TO %.*s%c", VZ_ARG(b->field->path),
            how->lower.ptr && how->lower_inclusive ? '[' : '{',
            how->lower.ptr ? (int)how->lower.len : 1, how->lower.ptr ? how->lower.ptr : "*",
            how->upper.ptr ? (int)how->upper.len : 1, how->upper.ptr ? how->upper.ptr : "*",
            how->upper.ptr && how->upper_inclusive ? ']' : '}'));
    else
        (*out)->source = vz_slice_from(
            vz_arena_printf(b->eval->arena, "%.*s:%s%.*s%s", VZ_ARG(b->field->path),
                            head ? head : "", VZ_ARG(how->text), tail ? tail : ""));
    return VZ_OK;
}

/* One term, whatever the case of its letters. */
static enum vz_status build_folded(const struct build *b, struct vz_slice term,
                                   struct vz_text_query **out)
{
    struct vz_buf pattern = {0};
    for (size_t i = 0; i < term.len; i++) {
        if (strchr("*?\\", term.ptr[i]))
            vz_buf_append_char(&pattern, '\\');
        vz_buf_append_char(&pattern, term.ptr[i]);
    }
    struct vz_walk how = {.kind = VZ_WALK_WILDCARD,
                          .text = vz_arena_copy(b->eval->arena, vz_buf_slice(&pattern)),
                          .ignore_case = true};
    vz_buf_deinit(&pattern);
    return build_constant(b, &how, out);
}

/* ---- search_as_you_type ---------------------------------------------------------------------- */

#define LONGEST_BEGINNING 20 /* UTF-16 units */

static size_t utf16_length(struct vz_slice text)
{
    size_t units = code_points(text);
    for (size_t i = 0; i < text.len; i++)
        units += ((unsigned char)text.ptr[i] & 0xF8) == 0xF0;
    return units;
}

/* The field of beginnings that answers a prefix query of this text; NULL: the terms do. */
static const struct vz_field *beginnings_of(const struct build *b, struct vz_slice text)
{
    const struct vz_field *field = b->field;
    if (field->is_prefix)
        return text.len ? field : NULL;
    if (!(field->as_you_type || field->shingles) || text.len == 0 ||
        utf16_length(text) > LONGEST_BEGINNING)
        return NULL;
    return vz_mapping_field(b->eval->mapping, field->prefix_field);
}

/* *out stays NULL where the field has no index of beginnings for it. */
static enum vz_status build_beginning(const struct build *b, struct vz_slice text, bool fold_case,
                                      struct vz_text_query **out)
{
    struct build one = *b;
    *out = NULL;
    one.field = beginnings_of(b, text);
    if (!one.field)
        return VZ_OK;
    if (fold_case)
        return build_folded(&one, text, out);
    *out = of_terms(&one, &text, 1);
    (*out)->constant |= !b->field->is_prefix;
    return VZ_OK;
}

/* A phrase of a search_as_you_type is one of its longest shingles that have no more words. */
static enum vz_status shingle_phrase(const struct build *b, struct vz_tokens *tokens,
                                     struct build *out)
{
    const struct vz_field *field = b->field;
    uint32_t places = 0;
    bool gaps = false;
    *out = *b;
    for (size_t i = 0; i < tokens->count; i++) {
        const struct vz_token *token = &tokens->items[i];
        gaps = gaps || token->increment > 1 || token->position_length > 1;
        places += token->increment;
    }
    if (!field->as_you_type || b->spread || b->match->slop || gaps || places < 2)
        return VZ_OK;
    uint8_t size = (uint8_t)VZ_MIN(places, (uint32_t)field->as_you_type);
    for (uint16_t id = field->id + 1; id < vz_mapping_count(b->eval->mapping); id++) {
        const struct vz_field *below = vz_mapping_field(b->eval->mapping, id);
        if (below->parent == field->id && below->shingles == size && !below->is_prefix)
            out->field = below;
    }
    return vz_tokens_shingle(tokens, size, b->err);
}

/* ---- match ----------------------------------------------------------------------------------- */

static enum vz_status analyzer_for(const struct build *b, const struct vz_analyzer **out)
{
    bool quoted = b->match->type == VZ_MATCH_PHRASE || b->match->type == VZ_MATCH_PHRASE_PREFIX;
    *out = quoted ? b->field->search_quote_analyzer : b->field->search_analyzer;
    if (b->match->analyzer.len == 0)
        return VZ_OK;
    return vz_text_analyzer(b->eval, b->match->query, b->match->analyzer, out, b->err);
}

enum vz_status vz_text_analyzer(struct vz_eval *eval, const char *query, struct vz_slice name,
                                const struct vz_analyzer **out, struct vz_error *err)
{
    *out = vz_analysis_analyzer(vz_mapping_analysis(eval->mapping), name);
    if (*out)
        return VZ_OK;
    return vz_query_fail(err, VZ_BAD_QUERY, "[%s] analyzer [%.*s] not found", query, VZ_ARG(name));
}

/* One place of a boolean match: a term and its alternatives. `last`: bool_prefix's. */
static enum vz_status build_place(const struct build *b, const struct vz_slice *terms, size_t count,
                                  bool last, struct vz_text_query **out)
{
    if (last && b->match->type == VZ_MATCH_BOOL_PREFIX && count == 1) {
        struct vz_walk how = {.kind = VZ_WALK_PREFIX, .text = terms[0]};
        enum vz_status status = build_beginning(b, terms[0], false, out);
        return status != VZ_OK || *out ? status : build_constant(b, &how, out);
    }
    if (b->match->fuzziness.len && count == 1 && !b->spread)
        return build_fuzzy(b, terms[0], out);
    *out = of_place(b, terms, count);
    return VZ_OK;
}

/* Tokens as edges between positions. */
struct path {
    const struct vz_token *edges[64];
    size_t length;
};
struct fork {
    const struct build *b;
    const struct vz_tokens *tokens;
    uint32_t end;
    bool phrase;
    struct path path;
    struct vz_text_query **ways;
    size_t count;
};

/* A phrase of one field, or of each. */
static struct vz_text_query *phrase_way(const struct build *b, const struct vz_slice *terms,
                                        size_t count)
{
    const struct vz_spread *spread = b->spread;
    size_t fields = spread ? spread->count : 1;
    struct vz_text_query **parts =
        vz_arena_alloc(b->eval->arena, (fields + 1) * sizeof(struct vz_text_query *));
    for (size_t f = 0; f < fields; f++) {
        struct build one = *b;
        one.field = spread ? spread->fields[f] : b->field;
        parts[f] = of_terms(&one, terms, count);
        parts[f]->kind = VZ_TEXT_PHRASE;
        parts[f]->slop = b->match->type == VZ_MATCH_PHRASE ? b->match->slop : 0;
        parts[f]->boost = spread ? spread->boosts[f] : 1;
    }
    if (!spread)
        return parts[0];
    struct vz_text_query *all =
        of_parts(b, spread->combined ? VZ_TEXT_ANY : VZ_TEXT_BEST, parts, fields);
    if (fields > 1)
        all->tie = spread->tie;
    return all;
}

static void add_way(struct fork *fork)
{
    const struct build *b = fork->b;
    struct vz_slice *terms =
        vz_arena_alloc(b->eval->arena, (fork->path.length + 1) * sizeof *terms);
    for (size_t i = 0; i < fork->path.length; i++)
        terms[i] = fork->path.edges[i]->text;
    struct vz_text_query *way = of_place(b, terms, 1);
    if (fork->path.length > 1 && fork->phrase) {
        way = phrase_way(b, terms, fork->path.length);
    } else if (fork->path.length > 1) {
        struct vz_text_query **parts = vz_arena_alloc(
            b->eval->arena, (fork->path.length + 1) * sizeof(struct vz_text_query *));
        for (size_t i = 0; i < fork->path.length; i++)
            parts[i] = of_place(b, &terms[i], 1);
        way = of_parts(b, VZ_TEXT_EVERY, parts, fork->path.length);
    }
    fork->ways[fork->count++] = way;
}

static bool walk_paths(struct fork *fork, uint32_t from)
{
    if (from >= fork->end) {
        add_way(fork);
        return fork->count < MAX_PATHS;
    }
    if (fork->path.length == VZ_COUNT_OF(fork->path.edges))
        return false;
    bool any = false, more = true;
    for (size_t i = 0; more && i < fork->tokens->count; i++) {
        const struct vz_token *token = &fork->tokens->items[i];
        if (token->position != from)
            continue;
        any = true;
        fork->path.edges[fork->path.length++] = token;
        more = walk_paths(fork, from + VZ_MAX(token->position_length, 1u));
        fork->path.length--;
    }
    return any ? more : walk_paths(fork, from + 1); /* a removed word */
}

/* All ways from `from` to `to` through the graph. */
static enum vz_status build_fork(const struct build *b, const struct vz_tokens *tokens,
                                 uint32_t from, uint32_t to, bool phrase,
                                 struct vz_text_query **out)
{
    struct fork fork = {.b = b, .tokens = tokens, .end = to, .phrase = phrase};
    fork.ways = vz_arena_alloc(b->eval->arena, (MAX_PATHS + 1) * sizeof(struct vz_text_query *));
    if (!walk_paths(&fork, from))
        return vz_fail(b->err, VZ_LIMIT, "the synonyms of a query on field [%.*s] are too many",
                       VZ_ARG(b->field->path));
    *out = of_parts(b, VZ_TEXT_ANY, fork.ways, fork.count);
    return VZ_OK;
}

/* Where the paths that start at tokens[at] meet again. */
static uint32_t meeting_point(const struct vz_tokens *tokens, size_t at, size_t *next)
{
    uint32_t end = tokens->items[at].position + 1;
    while (at < tokens->count && tokens->items[at].position < end) {
        end = VZ_MAX(end, tokens->items[at].position + tokens->items[at].position_length);
        at++;
    }
    *next = at;
    return end;
}

static enum vz_status build_boolean(const struct build *b, const struct vz_tokens *tokens,
                                    struct vz_text_query **out)
{
    struct vz_slice *terms = vz_arena_alloc(b->eval->arena, (tokens->count + 1) * sizeof *terms);
    struct vz_text_query **parts =
        vz_arena_alloc(b->eval->arena, (tokens->count + 1) * sizeof(struct vz_text_query *));
    size_t count = 0, next;
    enum vz_status status = VZ_OK;
    for (size_t at = 0; status == VZ_OK && at < tokens->count; at = next) {
        uint32_t from = tokens->items[at].position, end = meeting_point(tokens, at, &next);
        bool plain = true; /* every edge goes straight there */
        for (size_t i = at; i < next; i++) {
            terms[i - at] = tokens->items[i].text;
            plain = plain && tokens->items[i].position == from &&
                    from + tokens->items[i].position_length == end;
        }
        if (plain)
            status = build_place(b, terms, next - at, next == tokens->count, &parts[count]);
        else
            status = build_fork(b, tokens, from, end, !b->match->no_synonym_phrases, &parts[count]);
        count++;
    }
    if (status != VZ_OK)
        return status;
    *out = of_parts(b, b->match->every ? VZ_TEXT_EVERY : VZ_TEXT_ANY, parts, count);
    if (b->listed)
        *b->listed = count > 1;
    if (count > 1 && !b->match->every && b->match->minimum.len) {
        size_t minimum;
        status = vz_minimum_should_match(b->match->minimum, count, &minimum, b->err);
        (*out)->minimum = status == VZ_OK ? minimum : 0;
    }
    return status;
}

/* The last place of a phrase_prefix stands for the terms that begin so. */
static enum vz_status expand_last(const struct build *b, struct vz_slice **terms,
                                  uint32_t **positions, size_t *count, size_t last)
{
    size_t places = last;
    uint32_t position = (*positions)[last];
    struct vz_arena *arena = b->eval->arena;
    struct vz_slice *more = vz_arena_alloc(arena, (last + 1) * sizeof *more);
    memcpy(more, *terms, last * sizeof *more);
    for (size_t i = last; i < *count && places - last < b->match->max_expansions; i++) {
        struct vz_walk how = {.kind = VZ_WALK_PREFIX,
                              .text = (*terms)[i],
                              .max_terms = b->match->max_expansions - (places - last)};
        struct vz_walk_term *found;
        size_t found_count, before = places;
        enum vz_status status = walk(b, &how, &found, &found_count);
        if (status != VZ_OK)
            return status;
        /* As long as what was found: max_expansions is as large as a client likes. */
        struct vz_slice *longer = vz_arena_alloc(arena, (places + found_count + 1) * sizeof *more);
        memcpy(longer, more, places * sizeof *more);
        more = longer;
        for (size_t f = 0; f < found_count; f++) {
            bool known = false; /* by an earlier walk: one finds no term twice */
            for (size_t k = last; k < before && !known; k++)
                known = vz_slice_eq(more[k], found[f].term);
            if (!known)
                more[places++] = found[f].term;
        }
    }
    uint32_t *where = vz_arena_alloc(arena, (places + 1) * sizeof *where);
    memcpy(where, *positions, last * sizeof *where);
    for (size_t k = last; k < places; k++)
        where[k] = position;
    *terms = more;
    *positions = where;
    *count = places;
    return VZ_OK;
}

static enum vz_status build_phrase(const struct build *b, const struct vz_tokens *tokens,
                                   struct vz_text_query **out)
{
    size_t count = tokens->count, last = 0, places = 0;
    struct vz_slice *terms = vz_arena_alloc(b->eval->arena, (count + 1) * sizeof *terms);
    uint32_t *positions = vz_arena_alloc(b->eval->arena, (count + 1) * sizeof *positions);
    bool prefix = b->match->type == VZ_MATCH_PHRASE_PREFIX;
    for (size_t i = 0; i < count; i++) {
        terms[i] = tokens->items[i].text;
        positions[i] = tokens->items[i].position - tokens->items[0].position;
        if (i == 0 || positions[i] != positions[i - 1]) {
            last = i;
            places++;
        }
        if (tokens->items[i].position_length > 1 && !prefix)
            return build_fork(b, tokens, tokens->items[0].position, tokens->end_position, true,
                              out);
    }
    if (prefix && last == 0 && b->field->shingles && !b->spread) {
        bool all = true;
        for (size_t i = 0; i < count; i++)
            all = all && utf16_length(terms[i]) <= LONGEST_BEGINNING;
        struct build one = *b;
        one.field = vz_mapping_field(b->eval->mapping, b->field->prefix_field);
        if (all) {
            *out = of_terms(&one, terms, count);
            return VZ_OK;
        }
    }
    if (prefix) {
        enum vz_status status = expand_last(b, &terms, &positions, &count, last);
        if (status != VZ_OK)
            return status;
        if (count == last) { /* no term begins so */
            *out = new_query(b, VZ_TEXT_NONE);
            (*out)->source = VZ_SLICE(""); /* something was asked for */
            return VZ_OK;
        }
    }
    if (places == 1 && prefix) {
        struct vz_text_query **parts =
            vz_arena_alloc(b->eval->arena, (count + 1) * sizeof(struct vz_text_query *));
        for (size_t i = 0; i < count; i++)
            parts[i] = of_terms(b, &terms[i], 1);
        *out = of_parts(b, VZ_TEXT_ANY, parts, count);
        return VZ_OK;
    }
    *out = of_terms(b, terms, count);
    if (places > 1) {
        (*out)->kind = VZ_TEXT_PHRASE;
        (*out)->positions = positions;
        (*out)->slop = b->match->slop;
    }
    return VZ_OK;
}

/* The tokens outlive the analysis: queries point to their texts. */
static void keep_tokens(struct vz_tokens *tokens, struct vz_arena *arena)
{
    for (size_t i = 0; i < tokens->count; i++)
        tokens->items[i].text = vz_arena_copy(arena, tokens->items[i].text);
}

static enum vz_status build_match(const struct build *b, struct vz_slice text, bool *everything,
                                  struct vz_text_query **out)
{
    struct vz_tokens tokens = {0};
    const struct vz_analyzer *analyzer;
    enum vz_status status = analyzer_for(b, &analyzer);
    if (status == VZ_OK)
        status = vz_analyze_query(analyzer, text, &tokens, b->err);
    if (status == VZ_OK && tokens.count > VZ_MAX_CLAUSES)
        status = vz_fail(b->err, VZ_BAD_QUERY,
                         "Query contains too many nested clauses; maxClauseCount is set to %d",
                         VZ_MAX_CLAUSES);
    if (status == VZ_OK) {
        bool phrase = b->match->type == VZ_MATCH_PHRASE || b->match->type == VZ_MATCH_PHRASE_PREFIX;
        struct build shingled = *b;
        if (phrase && tokens.count)
            status = shingle_phrase(b, &tokens, &shingled);
        if (shingled.field != b->field)
            b = &shingled; /* lives as long as this block uses it */
        keep_tokens(&tokens, b->eval->arena);
        *everything = tokens.count == 0 && b->match->zero_terms_all;
        if (tokens.count == 0)
            *out = new_query(b, VZ_TEXT_NONE);
        else if (status == VZ_OK)
            status = phrase ? build_phrase(b, &tokens, out) : build_boolean(b, &tokens, out);
    }
    vz_tokens_deinit(&tokens);
    return status;
}

enum vz_status vz_text_build_match(struct vz_eval *eval, const struct vz_field *field,
                             const struct vz_match *match, const struct vz_spread *spread,
                             struct vz_slice text, struct vz_text_built *out,
                             struct vz_error *err)
{
    *out = (struct vz_text_built){0};
    struct build b = {eval, vz_snapshot_texts(eval->snap), field, match, err, spread,
                      &out->listed};
    bool everything;
    if (!field->indexed)
        return vz_query_fail(err, VZ_BAD_QUERY,
                             "Cannot search on field [%.*s] since it is not indexed.",
                             VZ_ARG(field->path));
    enum vz_status status = build_match(&b, text, &everything, &out->query);
    if (status != VZ_OK || (out->query->kind == VZ_TEXT_NONE && !out->query->source.ptr))
        out->query = NULL;
    return status;
}

struct vz_text_query *vz_text_term(struct vz_eval *eval, const struct vz_field *field,
                                   struct vz_slice term)
{
    struct build b = {.eval = eval, .field = field};
    return of_terms(&b, &term, 1);
}

struct vz_node *vz_text_node(struct vz_eval *eval, struct vz_text_query *query)
{
    struct vz_node *node = vz_made_node(eval, VZ_NODE_TEXT);
    node->boost = query->boost;
    query->boost = 1;
    node->text_query = query;
    return node;
}

/* ---- a leaf ---------------------------------------------------------------------------------- */

static struct vz_slice bound_text(const struct vz_bound *bound, struct vz_arena *arena)
{
    return bound->set ? vz_query_scalar_text(bound->value, arena) : (struct vz_slice){0};
}

static enum vz_status build_terms(const struct build *b, const struct vz_node *node,
                                  struct vz_text_query **out)
{
    size_t count = node->value_count;
    struct vz_slice *terms = vz_arena_alloc(b->eval->arena, (count + 1) * sizeof *terms);
    for (size_t i = 0; i < count; i++)
        terms[i] = vz_query_scalar_text(node->values[i], b->eval->arena);
    if (node->fold_case)
        return build_folded(b, terms[0], out);
    *out = of_terms(b, terms, count);
    (*out)->constant |= node->kind == VZ_NODE_TERMS;
    return VZ_OK;
}

/* *everything: a text without terms that shall match all. */
static enum vz_status build_leaf(struct vz_eval *eval, const struct vz_node *node,
                                 const struct vz_field *field, bool *everything,
                                 struct vz_text_query **out, struct vz_error *err)
{
    struct build b = {eval, vz_snapshot_texts(eval->snap), field,
                      node->match ? node->match : &defaults, err, NULL, NULL};
    struct vz_walk how;
    enum vz_status status = VZ_OK;
    *everything = false;
    if (!field->indexed)
        return vz_query_fail(err, VZ_BAD_QUERY,
                             "Cannot search on field [%.*s] since it is not indexed.",
                             VZ_ARG(field->path));
    switch (node->kind) {
    case VZ_NODE_TERM:
    case VZ_NODE_TERMS:
        if (node->is_match)
            status = build_match(&b, vz_query_scalar_text(node->values[0], eval->arena), everything,
                                 out);
        else
            status = build_terms(&b, node, out);
        break;
    case VZ_NODE_RANGE:
        how = (struct vz_walk){.kind = VZ_WALK_RANGE,
                               .lower = bound_text(&node->range.lower, eval->arena),
                               .upper = bound_text(&node->range.upper, eval->arena),
                               .lower_inclusive = node->range.lower.inclusive,
                               .upper_inclusive = node->range.upper.inclusive};
        status = build_constant(&b, &how, out);
        break;
    case VZ_NODE_FUZZY:
        status = build_fuzzy(&b, node->text, out);
        break;
    default:
        status = pattern_of(node, &how, err);
        *out = NULL;
        if (status == VZ_OK && node->kind == VZ_NODE_PREFIX)
            status = build_beginning(&b, node->text, node->fold_case, out);
        if (status == VZ_OK && !*out)
            status = build_constant(&b, &how, out);
    }
    if (status != VZ_OK)
        return status;
    if (node->boost != 1) { /* parts may be shared with nobody: the root's boost is free to use */
        struct vz_text_query *copy = new_query(&b, VZ_TEXT_NONE);
        *copy = **out;
        copy->boost *= node->boost;
        *out = copy;
    }
    return VZ_OK;
}

static enum vz_status run_query(struct vz_eval *eval, const struct vz_text_query *query,
                                bool scores, struct vz_docset *out, struct vz_error *err)
{
    const struct vz_text_view *view = vz_snapshot_texts(eval->snap);
    if (!view || query->kind == VZ_TEXT_NONE)
        return VZ_OK;
    vz_docset_begin(out, eval);
    if (query->kind == VZ_TEXT_TERM && query->constant) {
        for (size_t i = 0; i < query->term_count; i++)
            vz_text_term_docs(view, query->field, query->terms[i], &out->bits);
        out->constant = query->boost;
        return VZ_OK;
    }
    if (scores)
        out->scores = vz_calloc((size_t)eval->limit + 1, sizeof(float));
    return vz_text_collect(view, query, &out->bits, out->scores, vz_text_late, eval, err);
}

enum vz_status vz_text_build(struct vz_eval *eval, const struct vz_node *node,
                             const struct vz_field *field, struct vz_text_query **out,
                             struct vz_error *err)
{
    bool everything;
    *out = NULL;
    return build_leaf(eval, node, field, &everything, out, err);
}

/* The query of a TEXT node with the node's boost. */
static struct vz_text_query *boosted(struct vz_eval *eval, const struct vz_node *node)
{
    struct build b = {.eval = eval};
    if (node->boost == 1)
        return node->text_query;
    struct vz_text_query *copy = new_query(&b, VZ_TEXT_NONE);
    *copy = *node->text_query;
    copy->boost *= node->boost;
    return copy;
}

enum vz_status vz_text_run(struct vz_eval *eval, const struct vz_node *node, bool scores,
                           struct vz_docset *out, struct vz_error *err)
{
    enum vz_status status = run_query(eval, boosted(eval, node), scores, out, err);
    if (status != VZ_OK)
        vz_docset_deinit(out);
    return status;
}

enum vz_status vz_text_eval(struct vz_eval *eval, const struct vz_node *node,
                            const struct vz_field *field, bool scores, struct vz_docset *out,
                            struct vz_error *err)
{
    struct vz_text_query *query;
    bool everything;
    enum vz_status status = build_leaf(eval, node, field, &everything, &query, err);
    if (status != VZ_OK)
        return status;
    if (everything) {
        out->kind = VZ_SET_ALL;
        return VZ_OK;
    }
    return run_query(eval, query, scores, out, err);
}

/* ---- queries that postings alone answer ------------------------------------------------------ */

static enum vz_status plan(struct vz_eval *eval, const struct vz_node *node,
                           struct vz_text_query **out, struct vz_error *err);

/* *out stays NULL when one of them cannot. */
static enum vz_status plan_list(struct vz_eval *eval, struct vz_node_list list,
                                enum vz_text_kind kind, struct vz_text_query **out,
                                struct vz_error *err)
{
    struct build b = {.eval = eval};
    struct vz_text_query **parts =
        vz_arena_alloc(eval->arena, (list.count + 1) * sizeof(struct vz_text_query *));
    *out = NULL;
    for (size_t i = 0; i < list.count; i++) {
        enum vz_status status = plan(eval, list.items[i], &parts[i], err);
        if (status != VZ_OK || !parts[i])
            return status;
    }
    *out = new_query(&b, kind);
    (*out)->parts = parts;
    (*out)->part_count = list.count;
    return VZ_OK;
}

/* Only must clauses, or only should ones, or both with a minimum: no clause is without effect on
 * who matches. Filters are the caller's. */
static enum vz_status plan_bool(struct vz_eval *eval, const struct vz_node *node, bool filtered,
                                struct vz_text_query **out, struct vz_error *err)
{
    struct build b = {.eval = eval};
    const struct vz_node_list *must = &node->boolean.must, *should = &node->boolean.should;
    struct vz_text_query *parts[2];
    size_t minimum = 0, count = 0;
    enum vz_status status = VZ_OK;
    *out = NULL;
    if (node->boolean.minimum.len)
        status = vz_minimum_should_match(node->boolean.minimum, should->count, &minimum, err);
    if (status != VZ_OK || must->count + should->count == 0)
        return status;
    if (minimum == 0 && must->count == 0 && !filtered)
        minimum = 1;
    if ((should->count && minimum == 0) || minimum > should->count)
        return VZ_OK;
    /* One clause is itself: wrapped it would hide that it is of terms alone (vz_text_top). */
    if (must->count) {
        status = must->count == 1 ? plan(eval, must->items[0], &parts[count], err)
                                  : plan_list(eval, *must, VZ_TEXT_EVERY, &parts[count], err);
        if (status != VZ_OK || !parts[count++])
            return status;
    }
    if (should->count == 1) {
        status = plan(eval, should->items[0], &parts[count], err);
        if (status != VZ_OK || !parts[count++])
            return status;
    } else if (should->count) {
        status = plan_list(eval, *should, VZ_TEXT_ANY, &parts[count], err);
        if (status != VZ_OK || !parts[count])
            return status;
        parts[count++]->minimum = minimum;
    }
    *out = count == 1 ? parts[0] : of_parts(&b, VZ_TEXT_EVERY, parts, count);
    if (node->boost != 1) { /* a copy: a clause by itself may be the request's own */
        struct vz_text_query *copy = new_query(&b, VZ_TEXT_NONE);
        *copy = **out;
        copy->boost *= node->boost;
        *out = copy;
    }
    return VZ_OK;
}

static enum vz_status plan(struct vz_eval *eval, const struct vz_node *node,
                           struct vz_text_query **out, struct vz_error *err)
{
    const struct vz_field *field;
    const struct vz_node *tree;
    bool everything = false;
    enum vz_status status;
    *out = NULL;
    if (vz_node_expands(node)) {
        status = vz_node_expand(eval, node, &tree, err);
        return status == VZ_OK ? plan(eval, tree, out, err) : status;
    }
    switch (node->kind) {
    case VZ_NODE_TERM:
    case VZ_NODE_FUZZY:
        field = vz_filter_field(eval, node->field);
        if (!field || field->type != VZ_FIELD_TEXT)
            return VZ_OK;
        status = build_leaf(eval, node, field, &everything, out, err);
        if (everything)
            *out = NULL;
        return status;
    case VZ_NODE_TEXT:
        *out = boosted(eval, node);
        return VZ_OK;
    case VZ_NODE_DIS_MAX:
        status = plan_list(eval, node->parts, VZ_TEXT_BEST, out, err);
        if (*out) {
            (*out)->tie = node->factor;
            (*out)->boost *= node->boost;
        }
        return status;
    case VZ_NODE_BOOL:
        if (node->boolean.filter.count + node->boolean.must_not.count)
            return VZ_OK;
        return plan_bool(eval, node, false, out, err);
    default:
        return VZ_OK;
    }
}

enum vz_status vz_text_plan(struct vz_eval *eval, const struct vz_node *node,
                            struct vz_text_query **query, struct vz_docset *filter,
                            struct vz_error *err)
{
    *query = NULL;
    *filter = (struct vz_docset){.kind = VZ_SET_ALL};
    if (!vz_snapshot_texts(eval->snap) || node->runs_script) /* scripts are asked of matches alone */
        return VZ_OK;
    enum vz_status status = vz_node_expand(eval, node, &node, err);
    if (status != VZ_OK)
        return status;
    bool is_bool = node->kind == VZ_NODE_BOOL;
    status = is_bool ? plan_bool(eval, node, node->boolean.filter.count > 0, query, err)
                     : plan(eval, node, query, err);
    if (status != VZ_OK || !*query)
        return status;
    if (is_bool && node->boolean.filter.count + node->boolean.must_not.count) {
        struct vz_node narrow = {.kind = VZ_NODE_BOOL, .boost = 1};
        narrow.boolean.filter = node->boolean.filter;
        narrow.boolean.must_not = node->boolean.must_not;
        status = vz_node_eval(eval, &narrow, false, filter, err);
        if (status != VZ_OK)
            return status;
    }
    vz_docset_settle(filter, eval);
    if (eval->alias && filter->kind == VZ_SET_BITS)
        vz_bitset_and(&filter->bits, eval->alias);
    return VZ_OK;
}
