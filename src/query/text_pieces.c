/* Queries over a text field's postings, in pieces: terms, alternatives, all that a walk of the
 * dictionary finds, and what a search_as_you_type has beside it. text_match.c puts them together.
 *
 * Scores of fuzzy terms: as in Lucene, all terms that a fuzzy term stands for are scored with the
 * largest of their document frequencies, each times 1 - edits / length.
 */
#include "query/filter.h"
#include "query/text_build.h"

#include "base/text.h"

#include <stdio.h>
#include <stdlib.h>

/* ---- pieces of queries ----------------------------------------------------------------------- */

struct vz_text_query *vz_build_query(const struct vz_build *b, enum vz_text_kind kind)
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

struct vz_text_query *vz_build_parts(const struct vz_build *b, enum vz_text_kind kind,
                                     struct vz_text_query *const *parts, size_t count)
{
    if (count == 1)
        return parts[0];
    struct vz_text_query *query = vz_build_query(b, count ? kind : VZ_TEXT_NONE);
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

struct vz_text_query *vz_build_terms(const struct vz_build *b, const struct vz_slice *terms,
                                     size_t count)
{
    struct vz_text_query *query = vz_build_query(b, count ? VZ_TEXT_TERM : VZ_TEXT_NONE);
    struct vz_slice *copy = vz_arena_alloc(b->eval->arena, (count + 1) * sizeof *copy);
    if (count)
        memcpy(copy, terms, count * sizeof *copy);
    query->terms = copy;
    query->term_count = count;
    return query;
}

/* A term of each field, by one document frequency; the best counts. */
static struct vz_text_query *across(const struct vz_build *b, const struct vz_slice *terms,
                                    size_t count)
{
    const struct vz_spread *spread = b->spread;
    size_t room = spread->count * count, n = 0;
    struct vz_text_query **parts =
        vz_arena_alloc(b->eval->arena, (room + 1) * sizeof(struct vz_text_query *));
    struct vz_blend *blends = vz_arena_zalloc(b->eval->arena, (room + 1) * sizeof *blends);
    for (size_t f = 0; f < spread->count; f++) {
        struct vz_build one = *b;
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
            parts[n] = vz_build_terms(&one, &terms[i], 1);
            parts[n]->boost = spread->boosts[f];
        }
    }
    vz_text_blend(blends, n, b->eval->limit);
    for (size_t i = 0; i < n; i++)
        parts[i]->doc_freq = blends[i].blended;
    struct vz_text_query *best = vz_build_parts(b, VZ_TEXT_BEST, parts, n);
    if (n > 1)
        best->tie = spread->tie;
    return best;
}

/* All fields as one. */
static struct vz_text_query *combined(const struct vz_build *b, const struct vz_slice *terms,
                                      size_t count)
{
    const struct vz_spread *spread = b->spread;
    struct vz_text_query *query = vz_build_terms(b, terms, count);
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
struct vz_text_query *vz_build_place(const struct vz_build *b, const struct vz_slice *terms,
                                     size_t count)
{
    if (!b->spread)
        return vz_build_terms(b, terms, count);
    return b->spread->combined ? combined(b, terms, count) : across(b, terms, count);
}

enum vz_status vz_build_walk(const struct vz_build *b, const struct vz_walk *how,
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

enum vz_status vz_build_fuzzy(const struct vz_build *b, struct vz_slice word,
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
        *out = vz_build_terms(b, &word, 1);
        return VZ_OK;
    }
    enum vz_status status = vz_build_walk(b, &how, &terms, &count);
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
        parts[i] = vz_build_terms(b, &near[i].term, 1);
        parts[i]->boost = near[i].boost;
        parts[i]->doc_freq = most;
    }
    *out = vz_build_parts(b, VZ_TEXT_ANY, parts, count);
    return VZ_OK;
}

/* ---- patterns -------------------------------------------------------------------------------- */

enum vz_status vz_build_pattern(const struct vz_node *node, struct vz_walk *how,
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
enum vz_status vz_build_constant(const struct vz_build *b, const struct vz_walk *how,
                                 struct vz_text_query **out)
{
    static const char *const before[] = {[VZ_WALK_REGEXP] = "/"};
    static const char *const after[] = {[VZ_WALK_PREFIX] = "*", [VZ_WALK_REGEXP] = "/"};
    const char *head = how->kind < VZ_COUNT_OF(before) ? before[how->kind] : NULL;
    const char *tail = how->kind < VZ_COUNT_OF(after) ? after[how->kind] : NULL;
    struct vz_walk_term *terms;
    size_t count;
    enum vz_status status = vz_build_walk(b, how, &terms, &count);
    if (status != VZ_OK)
        return status;
    struct vz_slice *texts = vz_arena_alloc(b->eval->arena, (count + 1) * sizeof *texts);
    for (size_t i = 0; i < count; i++)
        texts[i] = terms[i].term;
    *out = vz_build_query(b, count ? VZ_TEXT_TERM : VZ_TEXT_NONE);
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
        (*out)->source =
            vz_slice_from(vz_arena_printf(b->eval->arena, "%.*s:%s%.*s%s", VZ_ARG(b->field->path),
                                          head ? head : "", VZ_ARG(how->text), tail ? tail : ""));
    return VZ_OK;
}

/* One term, whatever the case of its letters. */
enum vz_status vz_build_folded(const struct vz_build *b, struct vz_slice term,
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
    return vz_build_constant(b, &how, out);
}

/* ---- search_as_you_type ---------------------------------------------------------------------- */

size_t vz_build_units(struct vz_slice text)
{
    size_t units = code_points(text);
    for (size_t i = 0; i < text.len; i++)
        units += ((unsigned char)text.ptr[i] & 0xF8) == 0xF0;
    return units;
}

/* The field of beginnings that answers a prefix query of this text; NULL: the terms do. */
static const struct vz_field *beginnings_of(const struct vz_build *b, struct vz_slice text)
{
    const struct vz_field *field = b->field;
    if (field->is_prefix)
        return text.len ? field : NULL;
    if (!(field->as_you_type || field->shingles) || text.len == 0 ||
        vz_build_units(text) > VZ_LONGEST_BEGINNING)
        return NULL;
    return vz_mapping_field(b->eval->mapping, field->prefix_field);
}

/* *out stays NULL where the field has no index of beginnings for it. */
enum vz_status vz_build_beginning(const struct vz_build *b, struct vz_slice text, bool fold_case,
                                  struct vz_text_query **out)
{
    struct vz_build one = *b;
    *out = NULL;
    one.field = beginnings_of(b, text);
    if (!one.field)
        return VZ_OK;
    if (fold_case)
        return vz_build_folded(&one, text, out);
    *out = vz_build_terms(&one, &text, 1);
    (*out)->constant |= !b->field->is_prefix;
    return VZ_OK;
}

/* A phrase of a search_as_you_type is one of its longest shingles that have no more words. */
enum vz_status vz_build_shingles(const struct vz_build *b, struct vz_tokens *tokens,
                                 struct vz_build *out)
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
