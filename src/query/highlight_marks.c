/* query/highlight_marks.c - what of a document's text a query matched.
 *
 * The query is taken apart once a target into leaves; each knows how it looks at tokens (the same
 * vz_text_query that the search ran, or a test of single terms for keywords) and which bool clauses
 * stand above it. As in Lucene's Weight.matches, a leaf counts only when every bool above it
 * matches the document: where the hit itself does not imply that, the bool is evaluated once over
 * the index and its documents are kept as a docset.
 *
 * Phrases: the places of a phrase are lists of positions, moved by the place's own offset; a match
 * is a set of positions, one a place, no token twice, that lie within the slop. The least place
 * goes forward until it passes the next one, so each match is as short as it can be from where it
 * begins (Lucene's sloppy phrase matcher).
 */
#include "query/filter.h"
#include "query/fusion.h"
#include "query/highlight.h"

#include "base/strmap.h"
#include "text/analysis.h"

#include <stdlib.h>

/* A phrase of many words over a text that repeats them: past so many looks the rest stays unmarked.
 */
#define MAX_PHRASE_LOOKS 50000000u
#define MAX_DISTINCT_PLACES 64
#define MANY_TERMS 16 /* from here on a leaf's terms are sorted, and the text's looked up in them  \
                       */

/* A bool that a document may fail. */
struct guard {
    const struct vz_node *node;
    struct vz_docset set;
    bool known;
    struct guard *above;
    struct guard *next; /* all of a marking */
};

struct leaf {
    const struct vz_node *node;
    const struct vz_field *field;
    struct vz_text_query *query; /* text fields */
    struct vz_slice *terms;      /* keyword fields: TERM and TERMS, normalized, sorted */
    size_t term_count;
    struct vz_matcher *matcher; /* REGEXP of keyword fields: made once, asked for each value; owned */
    uint32_t id; /* of its first term; others follow */
    struct guard *guard;
};

struct vz_marking {
    struct vz_eval *eval;
    struct leaf *leaves;
    size_t count, capacity;
    struct guard *guards;
    bool guarded;
    uint32_t ids;
    struct vz_strmap by_terms; /* the id of a term of the query, so that equal ones count as one */
};

/* ---- leaves ---------------------------------------------------------------------------------- */

static int by_slice(const void *a, const void *b)
{
    return vz_slice_cmp(*(const struct vz_slice *)a, *(const struct vz_slice *)b);
}

static enum vz_status keyword_terms(struct vz_marking *marking, struct leaf *leaf,
                                    struct vz_error *err)
{
    const struct vz_node *node = leaf->node;
    struct vz_arena *arena = marking->eval->arena;
    leaf->terms = vz_arena_alloc(arena, (node->value_count + 1) * sizeof *leaf->terms);
    for (size_t i = 0; i < node->value_count; i++) {
        struct vz_slice text = vz_query_scalar_text(node->values[i], arena);
        if (leaf->field->normalizer) {
            enum vz_status status = vz_normalize(leaf->field->normalizer, text, arena, &text, err);
            if (status != VZ_OK)
                return status;
        }
        leaf->terms[leaf->term_count++] = text;
    }
    qsort(leaf->terms, leaf->term_count, sizeof *leaf->terms, by_slice);
    return VZ_OK;
}

/* Long lists of terms are searched in, so they are sorted; the query is this marking's own. */
static void sort_terms(struct vz_text_query *query, struct vz_arena *arena)
{
    if (query->kind == VZ_TEXT_TERM && query->term_count > MANY_TERMS) {
        struct vz_slice *sorted = vz_arena_alloc(arena, query->term_count * sizeof *sorted);
        memcpy(sorted, query->terms, query->term_count * sizeof *sorted);
        qsort(sorted, query->term_count, sizeof *sorted, by_slice);
        query->terms = sorted;
    }
    for (size_t i = 0; i < query->part_count; i++)
        sort_terms(query->parts[i], arena);
}

static void keep_leaf(struct vz_marking *marking, struct leaf leaf)
{
    if (marking->count == marking->capacity) {
        marking->capacity = VZ_MAX(marking->capacity * 2, (size_t)16);
        marking->leaves = vz_realloc(marking->leaves, marking->capacity * sizeof *marking->leaves);
    }
    marking->leaves[marking->count++] = leaf;
}

static enum vz_status add_leaf(struct vz_marking *marking, const struct vz_node *node,
                               struct guard *guard, struct vz_error *err)
{
    struct vz_eval *eval = marking->eval;
    const struct vz_field *field = vz_mapping_find(eval->mapping, node->field);
    struct leaf leaf = {.node = node, .field = field, .guard = guard};
    enum vz_status status = VZ_OK;
    if (!field || !field->indexed ||
        (field->type != VZ_FIELD_TEXT && !vz_highlight_keyword(field)))
        return VZ_OK;
    if (field->type == VZ_FIELD_TEXT)
        status = vz_text_build(eval, node, field, &leaf.query, err);
    else if (node->kind == VZ_NODE_TERM || node->kind == VZ_NODE_TERMS)
        status = keyword_terms(marking, &leaf, err);
    else if (field->normalizer &&
             (node->kind == VZ_NODE_PREFIX || node->kind == VZ_NODE_WILDCARD)) {
        struct vz_node *normal = vz_arena_zalloc(eval->arena, sizeof *normal);
        *normal = *node;
        status = vz_normalize(field->normalizer, node->text, eval->arena, &normal->text, err);
        leaf.node = normal;
    }
    if (status == VZ_OK && !leaf.query && node->kind == VZ_NODE_REGEXP) {
        struct vz_walk walk = vz_regexp_walk(node);
        status = vz_matcher_open(&walk, &leaf.matcher, err);
    }
    if (status != VZ_OK)
        return node->lenient ? VZ_OK : status;
    if (leaf.query)
        sort_terms(leaf.query, eval->arena);
    keep_leaf(marking, leaf);
    return VZ_OK;
}

/* What a query over several fields asks of one; NULL: nothing. */
static struct vz_text_query *of_field(const struct vz_text_query *query, uint16_t field,
                                      struct vz_arena *arena)
{
    struct vz_text_query *copy = vz_arena_alloc(arena, sizeof *copy);
    bool asks = query->kind != VZ_TEXT_NONE && query->field == field;
    *copy = *query;
    for (size_t i = 0; query->kind == VZ_TEXT_COMBINED && !asks && i < query->field_count; i++)
        asks = query->fields[i].id == field;
    if (query->kind == VZ_TEXT_COMBINED) {
        copy->kind = VZ_TEXT_TERM;
        copy->field = field;
    }
    if (query->part_count == 0)
        return asks ? copy : NULL;
    struct vz_text_query **parts =
        vz_arena_alloc(arena, query->part_count * sizeof(struct vz_text_query *));
    copy->parts = parts;
    copy->part_count = 0;
    for (size_t i = 0; i < query->part_count; i++) {
        parts[copy->part_count] = of_field(query->parts[i], field, arena);
        copy->part_count += parts[copy->part_count] != NULL;
    }
    return copy->part_count ? copy : NULL;
}

/* A query made by expanding: a leaf for each field of the mapping that it asks. */
static void add_text(struct vz_marking *marking, const struct vz_node *node, struct guard *guard)
{
    struct vz_eval *eval = marking->eval;
    for (size_t i = 0; i < vz_mapping_count(eval->mapping); i++) {
        const struct vz_field *field = vz_mapping_field(eval->mapping, (uint16_t)i);
        struct leaf leaf = {.node = node, .field = field, .guard = guard};
        if (field->type != VZ_FIELD_TEXT || !field->indexed)
            continue;
        leaf.query = of_field(node->text_query, field->id, eval->arena);
        if (!leaf.query)
            continue;
        sort_terms(leaf.query, eval->arena);
        keep_leaf(marking, leaf);
    }
}

static enum vz_status gather(struct vz_marking *marking, const struct vz_node *node,
                             struct guard *guard, bool implied, struct vz_error *err);

static enum vz_status gather_list(struct vz_marking *marking, struct vz_node_list list,
                                  struct guard *guard, bool implied, struct vz_error *err)
{
    enum vz_status status = VZ_OK;
    for (size_t i = 0; status == VZ_OK && i < list.count; i++)
        status = gather(marking, list.items[i], guard, implied, err);
    return status;
}

static enum vz_status gather_bool(struct vz_marking *marking, const struct vz_node *node,
                                  struct guard *guard, bool implied, struct vz_error *err)
{
    size_t required =
        node->boolean.must.count + node->boolean.filter.count + node->boolean.must_not.count;
    bool demanding = required || node->boolean.minimum.len;
    if (!implied && demanding && marking->guarded) {
        struct guard *own = vz_calloc(1, sizeof *own);
        *own = (struct guard){.node = node, .above = guard, .next = marking->guards};
        marking->guards = guard = own;
        implied = true; /* its required clauses, by the guard */
    }
    enum vz_status status = gather_list(marking, node->boolean.must, guard, implied, err);
    if (status == VZ_OK)
        status = gather_list(marking, node->boolean.filter, guard, implied, err);
    if (status == VZ_OK)
        status = gather_list(marking, node->boolean.should, guard, false, err);
    return status;
}

static enum vz_status gather(struct vz_marking *marking, const struct vz_node *node,
                             struct guard *guard, bool implied, struct vz_error *err)
{
    const struct vz_node *tree, *inner = NULL;
    enum vz_status status;
    switch (node->kind) {
    case VZ_NODE_TERM:
    case VZ_NODE_TERMS:
    case VZ_NODE_RANGE:
    case VZ_NODE_PREFIX:
    case VZ_NODE_WILDCARD:
    case VZ_NODE_REGEXP:
    case VZ_NODE_FUZZY:
        return add_leaf(marking, node, guard, err);
    case VZ_NODE_TEXT:
        add_text(marking, node, guard);
        return VZ_OK;
    case VZ_NODE_MULTI_MATCH:
    case VZ_NODE_QUERY_STRING:
    case VZ_NODE_SIMPLE_STRING:
    case VZ_NODE_INTERVALS:
    case VZ_NODE_SPAN:
    case VZ_NODE_MORE_LIKE_THIS:
        status = vz_node_expand(marking->eval, node, &tree, err);
        return status == VZ_OK ? gather(marking, tree, guard, false, err) : status;
    case VZ_NODE_BOOL:
        return gather_bool(marking, node, guard, implied, err);
    case VZ_NODE_CONSTANT:
        return gather_list(marking, node->parts, guard, implied, err);
    case VZ_NODE_DIS_MAX:
        return gather_list(marking, node->parts, guard, false, err);
    case VZ_NODE_TERMS_SET:
        return gather_list(marking, vz_terms_set_terms(node), guard, false, err);
    case VZ_NODE_BOOSTING:
        inner = node->parts.items[0];
        break;
    case VZ_NODE_NESTED:
        inner = node->nested.query;
        break;
    case VZ_NODE_PINNED:
        inner = node->pinned->organic;
        implied = false; /* a pin need not match it */
        break;
    case VZ_NODE_SCRIPT_SCORE:
        inner = vz_script_score_query(node);
        break;
    case VZ_NODE_FUNCTION_SCORE:
        inner = vz_function_score_query(node);
        break;
    default:
        break;
    }
    if (!inner)
        return VZ_OK;
    if (node->kind != VZ_NODE_NESTED)
        return gather(marking, inner, guard, implied, err);
    /* Which object matched is not known here: clauses within are not checked. */
    bool guarded = marking->guarded;
    marking->guarded = false;
    status = gather(marking, inner, guard, true, err);
    marking->guarded = guarded;
    return status;
}

enum vz_status vz_marking_open(struct vz_eval *eval, const struct vz_node *query, bool implied,
                               bool guarded, struct vz_marking **out, struct vz_error *err)
{
    struct vz_marking *marking = vz_calloc(1, sizeof *marking);
    marking->eval = eval;
    marking->guarded = guarded;
    *out = marking;
    return query ? gather(marking, query, NULL, implied, err) : VZ_OK;
}

void vz_marking_close(struct vz_marking *marking)
{
    if (!marking)
        return;
    while (marking->guards) {
        struct guard *guard = marking->guards;
        marking->guards = guard->next;
        vz_docset_deinit(&guard->set);
        free(guard);
    }
    vz_strmap_deinit(&marking->by_terms);
    for (size_t i = 0; i < marking->count; i++)
        vz_matcher_close(marking->leaves[i].matcher);
    free(marking->leaves);
    free(marking);
}

static enum vz_status passes(struct vz_marking *marking, struct guard *guard, uint32_t docno,
                             bool *pass, struct vz_error *err)
{
    *pass = true;
    for (; guard && *pass; guard = guard->above) {
        if (!guard->known) {
            enum vz_status status =
                vz_node_eval(marking->eval, guard->node, false, &guard->set, err);
            if (status != VZ_OK)
                return status;
            guard->known = true;
        }
        *pass = vz_docset_has(&guard->set, docno);
    }
    return VZ_OK;
}

/* ---- marks of terms -------------------------------------------------------------------------- */

struct collect {
    struct vz_marking *marking;
    struct vz_marked_tokens *tokens;
    struct vz_mark_list *marks;
    bool whole;
    float boost;
};

static uint32_t id_of(struct vz_marking *marking, const struct vz_slice *terms, size_t count)
{
    struct vz_buf key = {0};
    uint64_t id;
    for (size_t i = 0; i < count && i < MANY_TERMS; i++) {
        vz_buf_append_slice(&key, terms[i]);
        vz_buf_append_char(&key, ' ');
    }
    if (!vz_strmap_get(&marking->by_terms, vz_buf_slice(&key), &id)) {
        id = marking->ids++;
        vz_strmap_put(&marking->by_terms, vz_buf_slice(&key), id);
    }
    vz_buf_deinit(&key);
    return (uint32_t)id;
}

static void add_mark(struct collect *c, uint32_t start, uint32_t end, uint32_t id, uint32_t freq,
                     float boost)
{
    struct vz_mark_list *marks = c->marks;
    if (start >= end)
        return;
    if (marks->count == marks->capacity) {
        marks->capacity = VZ_MAX(marks->capacity * 2, (size_t)32);
        marks->items = vz_realloc(marks->items, marks->capacity * sizeof *marks->items);
    }
    marks->items[marks->count++] = (struct vz_mark){
        .start = start, .end = end, .term = id, .freq = VZ_MAX(freq, 1u), .weight = boost};
}

/* All tokens of the term that begins at `first`. */
static void mark_term(struct collect *c, uint32_t first, uint32_t id, float boost)
{
    const struct vz_marked_tokens *tokens = c->tokens;
    for (uint32_t at = first; at != UINT32_MAX; at = tokens->next[at])
        add_mark(c, tokens->tokens[at].start, tokens->tokens[at].end, id,
                 c->whole ? 1 : tokens->freqs[first], boost);
}

static bool find_term(const struct vz_marked_tokens *tokens, struct vz_slice term, uint32_t *first)
{
    uint64_t at;
    if (!vz_strmap_get(tokens->by_term, term, &at))
        return false;
    *first = (uint32_t)at;
    return true;
}

static bool collect_terms(struct collect *c, const struct vz_slice *terms, size_t count,
                          float boost)
{
    const struct vz_marked_tokens *tokens = c->tokens;
    size_t before = c->marks->count;
    uint32_t first, id = id_of(c->marking, terms, count);
    if (count > MANY_TERMS) {
        for (size_t i = 0; i < tokens->distinct_count; i++) {
            first = tokens->distinct[i];
            if (bsearch(&tokens->terms[first], terms, count, sizeof *terms, by_slice))
                mark_term(c, first, id, boost);
        }
    } else {
        for (size_t i = 0; i < count; i++)
            if (find_term(tokens, terms[i], &first))
                mark_term(c, first, id, boost);
    }
    return c->marks->count > before;
}

/* ---- phrases --------------------------------------------------------------------------------- */

/* Where a place of a phrase may stand: tokens in order of position. */
struct place {
    uint32_t *tokens;
    size_t count, at;
    int64_t offset; /* of the place in the phrase */
};

static int64_t place_position(const struct vz_marked_tokens *tokens, const struct place *place)
{
    return (int64_t)tokens->tokens[place->tokens[place->at]].position - place->offset;
}

static int by_index(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

static void place_add(const struct vz_marked_tokens *tokens, struct place *place,
                      struct vz_slice term)
{
    uint32_t first;
    size_t more = 0;
    if (!find_term(tokens, term, &first))
        return;
    for (uint32_t at = first; at != UINT32_MAX; at = tokens->next[at])
        more++;
    place->tokens = vz_realloc(place->tokens, (place->count + more) * sizeof *place->tokens);
    for (uint32_t at = first; at != UINT32_MAX; at = tokens->next[at])
        place->tokens[place->count++] = at;
}

static bool uses_token_twice(const struct place *places, size_t count)
{
    for (size_t i = 0; i < count; i++)
        for (size_t j = i + 1; j < count; j++)
            if (places[i].tokens[places[i].at] == places[j].tokens[places[j].at])
                return true;
    return false;
}

static void mark_phrase(struct collect *c, const struct place *places, size_t count, uint32_t id,
                        float boost)
{
    const struct vz_marked_tokens *tokens = c->tokens;
    uint32_t start = UINT32_MAX, end = 0;
    for (size_t i = 0; i < count; i++) {
        uint32_t at = places[i].tokens[places[i].at];
        const struct vz_plain_token *token = &tokens->tokens[at];
        start = VZ_MIN(start, token->start);
        end = VZ_MAX(end, token->end);
        if (!c->whole) {
            uint64_t first = at;
            vz_strmap_get(tokens->by_term, tokens->terms[at], &first);
            add_mark(c, token->start, token->end, id_of(c->marking, &tokens->terms[at], 1),
                     tokens->freqs[first], boost);
        }
    }
    if (c->whole)
        add_mark(c, start, end, id, 1, boost);
}

/* The places whose positions are least and next to it, and the largest position. */
static void extremes(const struct vz_marked_tokens *tokens, const struct place *places,
                     size_t count, size_t *least, int64_t *next, int64_t *most)
{
    *least = 0;
    *next = *most = INT64_MIN;
    for (size_t i = 0; i < count; i++) {
        int64_t position = place_position(tokens, &places[i]);
        *most = VZ_MAX(*most, position);
        if (position < place_position(tokens, &places[*least]))
            *least = i;
    }
    *next = INT64_MAX;
    for (size_t i = 0; i < count; i++)
        if (i != *least)
            *next = VZ_MIN(*next, place_position(tokens, &places[i]));
}

static void walk_phrase(struct collect *c, struct place *places, size_t count, uint32_t slop,
                        uint32_t id, float boost)
{
    for (uint64_t looks = 0; looks < MAX_PHRASE_LOOKS; looks += count) {
        size_t least;
        int64_t next, most;
        extremes(c->tokens, places, count, &least, &next, &most);
        struct place *place = &places[least];
        /* As near to the others as it can go. */
        while (place->at + 1 < place->count) {
            place->at++;
            bool beyond = place_position(c->tokens, place) > next;
            if (beyond) {
                place->at--;
                break;
            }
        }
        /* Without slop positions are as different as the places are. */
        bool checked = slop == 0 || count > MAX_DISTINCT_PLACES;
        if (most - place_position(c->tokens, place) <= (int64_t)slop &&
            (checked || !uses_token_twice(places, count)))
            mark_phrase(c, places, count, id, boost);
        if (++place->at == place->count)
            return;
    }
}

static bool collect_phrase(struct collect *c, const struct vz_text_query *query, float boost)
{
    size_t before = c->marks->count, count = 0;
    struct place *places = vz_calloc(query->term_count + 1, sizeof *places);
    bool all = query->term_count > 0;
    for (size_t i = 0; i < query->term_count; i++) {
        int64_t offset = query->positions ? query->positions[i] : (int64_t)i;
        if (count == 0 || places[count - 1].offset != offset)
            places[count++].offset = offset;
        place_add(c->tokens, &places[count - 1], query->terms[i]);
    }
    for (size_t i = 0; i < count; i++) {
        all &= places[i].count > 0;
        if (places[i].count > 1)
            qsort(places[i].tokens, places[i].count, sizeof *places[i].tokens, by_index);
    }
    if (all)
        walk_phrase(c, places, count, query->slop,
                    id_of(c->marking, query->terms, query->term_count), boost);
    for (size_t i = 0; i < count; i++)
        free(places[i].tokens);
    free(places);
    return c->marks->count > before;
}

/* ---- queries over postings ------------------------------------------------------------------- */

/* The words that intervals are made of, wherever they stand; not those that must not be near. */
static bool collect_intervals(struct collect *c, const struct vz_intervals *source, float boost)
{
    size_t before = c->marks->count;
    bool negates = source->kind >= VZ_INTERVAL_NOT_CONTAINING;
    if (source->kind == VZ_INTERVAL_TERMS)
        for (size_t i = 0; i < source->term_count; i++)
            collect_terms(c, &source->terms[i], 1, boost);
    for (size_t i = 0; i < (negates ? 1 : source->part_count); i++)
        collect_intervals(c, source->parts[i], boost);
    return c->marks->count > before;
}

/* The same of spans. */
static bool collect_spans(struct collect *c, const struct vz_spans *spans, float boost)
{
    size_t before = c->marks->count;
    if (spans->kind == VZ_SPAN_TERM)
        collect_terms(c, &spans->term, 1, boost);
    for (size_t i = 0; i < (spans->kind == VZ_SPAN_NOT ? 1 : spans->part_count); i++)
        collect_spans(c, spans->parts[i], boost);
    return c->marks->count > before;
}

static bool collect_query(struct collect *c, const struct vz_text_query *query, float boost)
{
    size_t before = c->marks->count, matched = 0;
    boost *= query->boost;
    switch (query->kind) {
    case VZ_TEXT_NONE:
        return false;
    case VZ_TEXT_TERM:
        return collect_terms(c, query->terms, query->term_count, boost);
    case VZ_TEXT_PHRASE:
        return collect_phrase(c, query, boost);
    case VZ_TEXT_SPANS:
        return collect_spans(c, query->spans, boost);
    case VZ_TEXT_INTERVALS:
        return collect_intervals(c, query->intervals, boost);
    default:
        break;
    }
    for (size_t i = 0; i < query->part_count; i++)
        matched += collect_query(c, query->parts[i], boost);
    bool enough = query->kind == VZ_TEXT_EVERY ? matched == query->part_count
                                               : matched >= VZ_MAX(query->minimum, (size_t)1);
    if (!enough && c->whole)
        c->marks->count = before;
    return c->marks->count > before;
}

/* ---- keywords -------------------------------------------------------------------------------- */

static bool in_range(struct vz_marking *marking, const struct vz_node *node, struct vz_slice term)
{
    const struct vz_bound *lower = &node->range.lower, *upper = &node->range.upper;
    struct vz_arena *arena = marking->eval->arena;
    int low = lower->set ? vz_slice_cmp(term, vz_query_scalar_text(lower->value, arena)) : 1;
    int high = upper->set ? vz_slice_cmp(term, vz_query_scalar_text(upper->value, arena)) : -1;
    return (low > 0 || (low == 0 && lower->inclusive)) &&
           (high < 0 || (high == 0 && upper->inclusive));
}

static void keyword_matches(struct vz_marking *marking, const struct leaf *leaf,
                            struct vz_slice term, bool *match)
{
    const struct vz_node *node = leaf->node;
    switch (node->kind) {
    case VZ_NODE_TERM:
    case VZ_NODE_TERMS:
        *match = bsearch(&term, leaf->terms, leaf->term_count, sizeof term, by_slice) != NULL;
        for (size_t i = 0; !*match && node->fold_case && i < leaf->term_count; i++)
            *match = vz_folded_equal(term, leaf->terms[i]);
        break;
    case VZ_NODE_RANGE:
        *match = in_range(marking, node, term);
        break;
    case VZ_NODE_PREFIX:
    case VZ_NODE_WILDCARD:
        *match = vz_pattern_matches(node, term);
        break;
    case VZ_NODE_REGEXP:
        *match = vz_matcher_matches(leaf->matcher, term);
        break;
    default: /* a fuzzy query of a keyword field was refused by the search */
        *match = false;
        break;
    }
}

static void collect_keyword(struct collect *c, const struct leaf *leaf)
{
    const struct vz_marked_tokens *tokens = c->tokens;
    for (size_t i = 0; i < tokens->distinct_count; i++) {
        uint32_t first = tokens->distinct[i];
        bool match = false;
        keyword_matches(c->marking, leaf, tokens->terms[first], &match);
        if (match)
            mark_term(c, first, id_of(c->marking, &tokens->terms[first], 1), leaf->node->boost);
    }
}

enum vz_status vz_marking_collect(struct vz_marking *marking, uint32_t docno,
                                  const struct vz_field *field, bool whole,
                                  struct vz_marked_tokens *tokens, struct vz_mark_list *marks,
                                  struct vz_error *err)
{
    struct collect c = {
        .marking = marking, .tokens = tokens, .marks = marks, .whole = whole, .boost = 1};
    enum vz_status status = VZ_OK;
    for (size_t i = 0; status == VZ_OK && i < marking->count; i++) {
        const struct leaf *leaf = &marking->leaves[i];
        bool pass = true;
        if (field && leaf->field != field)
            continue;
        if (whole)
            status = passes(marking, leaf->guard, docno, &pass, err);
        if (status != VZ_OK || !pass)
            continue;
        if (leaf->query)
            collect_query(&c, leaf->query, 1);
        else
            collect_keyword(&c, leaf);
    }
    return status;
}
