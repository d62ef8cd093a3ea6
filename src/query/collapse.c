/* collapse: of all documents with the same value of a field only the best is a hit.
 *
 * The best N groups in bounded memory. Candidates are gathered up to some multiple of N; then they
 * are put in order, only the first of each group is kept and only N of those, and whatever is worse
 * than the last of them is turned away from then on. A group that was cut off comes back only with
 * a better document, which is then its best: nothing that was forgotten matters.
 *
 * Documents without a value are one group. What is shown of a group's other documents (inner_hits)
 * is a search of its own for the same query within the group.
 */
#include "query/collapse.h"

#include "query/dsl.h"
#include "query/filter.h"
#include "query/run.h"

#include "base/hash.h"
#include "base/strmap.h"

#include <stdlib.h>

#define MAX_EXPANSIONS 10000 /* searches for groups in one request */
#define MAX_INNERS 64

/* ---- reading --------------------------------------------------------------------------------- */

static enum vz_status add_inner(struct vz_parser *parser, struct vz_json value,
                                struct vz_collapse *out, struct vz_error *err)
{
    struct vz_inner *inner;
    enum vz_status status = vz_inner_parse_group(parser, value, &inner, err);
    if (status != VZ_OK)
        return status;
    if (!inner->name.len)
        return vz_fail(
            err, VZ_BAD_QUERY,
            "inner_hits must have a [name]; set the [name] field in the inner_hits definition");
    out->inners[out->inner_count++] = inner;
    return VZ_OK;
}

static enum vz_status parse_inners(struct vz_parser *parser, struct vz_json value,
                                   struct vz_collapse *out, struct vz_error *err)
{
    bool many = vz_json_type(value) == VZ_JSON_ARRAY;
    size_t count = many ? vz_json_count(value) : 1;
    struct vz_json_iter it = vz_json_iterate(value);
    struct vz_json element;
    if (count > MAX_INNERS)
        return vz_fail(err, VZ_BAD_QUERY,
                       "[collapse] has [%zu] inner_hits, at most [%d] are allowed", count,
                       MAX_INNERS);
    out->inners = vz_arena_alloc(parser->arena, (count + 1) * sizeof(struct vz_inner *));
    if (!many)
        return add_inner(parser, value, out, err);
    while (vz_json_next(&it, NULL, &element)) {
        if (vz_json_type(element) != VZ_JSON_OBJECT)
            return vz_fail(err, VZ_BAD_QUERY, "Invalid token in inner_hits array");
        enum vz_status status = add_inner(parser, element, out, err);
        if (status != VZ_OK)
            return status;
    }
    return VZ_OK;
}

enum vz_status vz_collapse_parse(struct vz_parser *parser, struct vz_json value,
                                 struct vz_collapse **out, struct vz_error *err)
{
    struct vz_json_iter it = vz_json_iterate(value);
    struct vz_slice key;
    struct vz_json member;
    int64_t number;
    *out = vz_arena_zalloc(parser->arena, sizeof(**out));
    if (vz_json_type(value) != VZ_JSON_OBJECT)
        return vz_fail(err, VZ_BAD_QUERY, "Unknown key for a %s in [collapse].",
                       vz_query_token(value));
    while (vz_json_next(&it, &key, &member)) {
        enum vz_status status = VZ_OK;
        if (vz_slice_is(key, "field"))
            (*out)->field = vz_json_string(member);
        else if (vz_slice_is(key, "inner_hits"))
            status = parse_inners(parser, member, *out, err);
        else if (!vz_slice_is(key, "max_concurrent_group_searches"))
            status = vz_fail(err, VZ_BAD_QUERY, "[collapse] unknown field [%.*s]", VZ_ARG(key));
        else if (!vz_json_as_int(member, &number) || number < 1)
            status = vz_fail(err, VZ_BAD_QUERY, "maxConcurrentGroupRequests` must be positive");
        if (status != VZ_OK)
            return status;
    }
    if (!(*out)->field.len)
        return vz_fail(err, VZ_BAD_ARGUMENT, "no collapse field specified");
    return VZ_OK;
}

/* ---- keys ------------------------------------------------------------------------------------ */

enum key_kind { KEY_NONE, KEY_TEXT, KEY_NUMBER }; /* NONE: no value */
struct key {
    enum key_kind kind;
    uint64_t value; /* TEXT: a number of the collapser's own; NUMBER: a column's bits */
};

struct candidate {
    struct vz_found found; /* values are the slot's own */
    struct key key;
};

struct place {
    const struct vz_snapshot *snap;
    const struct vz_field *field;
    struct vz_column column;
    uint64_t *numbers; /* of ordinals, plus 1; 0: not asked yet */
};

struct vz_collapser {
    const struct vz_collapse *collapse;
    struct vz_arena *arena; /* the request's */
    struct place *places;
    size_t place_count;
    struct vz_strmap texts;
    struct candidate *items;
    size_t count, capacity;
    bool has_worst;
    size_t worst; /* a place in items: what comes behind it is turned away */
    enum vz_status status;
    struct vz_error err;
};

static enum vz_status bind(struct place *place, const struct vz_target *target,
                           struct vz_slice name, struct vz_error *err)
{
    const struct vz_field *field = vz_mapping_find(target->eval.mapping, name);
    place->snap = target->snap;
    place->field = field;
    if (!field || field->type == VZ_FIELD_OBJECT || field->type == VZ_FIELD_NESTED)
        return vz_fail(err, VZ_BAD_ARGUMENT, "no mapping found for `%.*s` in order to collapse on",
                       VZ_ARG(name));
    bool is_number = (field->column == VZ_COLUMN_I64 || field->column == VZ_COLUMN_F64) &&
                     field->type != VZ_FIELD_DATE && field->type != VZ_FIELD_BOOLEAN;
    if (!is_number && field->type != VZ_FIELD_KEYWORD)
        return vz_fail(err, VZ_BAD_ARGUMENT,
                       "collapse is not supported for the field [%.*s] of the type [%s]",
                       VZ_ARG(name), vz_filter_type_name(field->type));
    if (field->column == VZ_COLUMN_PRESENCE)
        return vz_fail(err, VZ_BAD_ARGUMENT, "cannot collapse on field `%.*s` without `doc_values`",
                       VZ_ARG(name));
    vz_snapshot_column(target->snap, field->id, &place->column);
    if (field->type == VZ_FIELD_KEYWORD)
        place->numbers = vz_calloc((size_t)vz_field_ordinal_count(target->snap, field) + 1,
                                   sizeof(uint64_t));
    return VZ_OK;
}

struct vz_collapser *vz_collapser_new(const struct vz_collapse *collapse, const struct vz_run *run)
{
    struct vz_collapser *collapser = vz_calloc(1, sizeof *collapser);
    *collapser = (struct vz_collapser){.collapse = collapse, .arena = run->arena};
    collapser->places = vz_calloc(run->target_count + 1, sizeof *collapser->places);
    for (size_t t = 0; t < run->target_count && collapser->status == VZ_OK; t++) {
        collapser->place_count++;
        collapser->status =
            bind(&collapser->places[t], &run->targets[t], collapse->field, &collapser->err);
    }
    return collapser;
}

void vz_collapser_free(struct vz_collapser *collapser)
{
    if (!collapser)
        return;
    for (size_t i = 0; i < collapser->place_count; i++)
        free(collapser->places[i].numbers);
    vz_strmap_deinit(&collapser->texts);
    free(collapser->places);
    free(collapser->items);
    free(collapser);
}

enum vz_status vz_collapser_failed(const struct vz_collapser *collapser, struct vz_error *err)
{
    if (collapser && collapser->status != VZ_OK && err)
        *err = collapser->err;
    return collapser ? collapser->status : VZ_OK;
}

static uint64_t text_number(struct vz_collapser *collapser, struct place *place, uint32_t ordinal)
{
    uint64_t *number = &place->numbers[ordinal];
    if (*number)
        return *number;
    struct vz_slice text =
        vz_snapshot_ordinal_term(place->snap, place->field->id, ordinal, collapser->arena);
    if (!vz_strmap_get(&collapser->texts, text, number)) {
        *number = collapser->texts.count + 1;
        vz_strmap_put(&collapser->texts, text, *number);
    }
    return *number;
}

static struct key key_of(struct vz_collapser *collapser, uint32_t target, uint32_t docno)
{
    struct place *place = &collapser->places[target];
    const struct vz_column *column = &place->column;
    size_t at = vz_column_find(column, docno);
    if (at >= column->count)
        return (struct key){.kind = KEY_NONE};
    if (at + 1 < column->count && column->docnos[at + 1] == docno)
        collapser->status =
            vz_fail(&collapser->err, VZ_INTERNAL,
                    "failed to collapse %u, the collapse field must be single valued", docno);
    if (place->numbers)
        return (struct key){KEY_TEXT, text_number(collapser, place, column->ordinals[at])};
    return (struct key){KEY_NUMBER, (uint64_t)column->i64[at]};
}

/* ---- groups ---------------------------------------------------------------------------------- */

static int by_order(const void *a, const void *b, void *collector)
{
    return vz_collector_compare(collector, &((const struct candidate *)a)->found,
                                &((const struct candidate *)b)->found);
}

/* In order, the first of each group, no more than `limit`. */
static void prune(struct vz_collapser *collapser, struct vz_collector *collector)
{
    size_t slots = 16, kept = 0;
    struct candidate *items = collapser->items;
    while (slots < collapser->count * 2)
        slots *= 2;
    uint32_t *seen = vz_calloc(slots, sizeof *seen); /* place in items, plus 1 */
    qsort_r(items, collapser->count, sizeof *items, by_order, collector);
    for (size_t i = 0; i < collapser->count && kept < collector->limit; i++) {
        struct key key = items[i].key;
        size_t slot = (size_t)vz_hash_number((int64_t)key.value, key.kind) & (slots - 1);
        while (seen[slot] && (items[seen[slot] - 1].key.kind != key.kind ||
                              items[seen[slot] - 1].key.value != key.value))
            slot = (slot + 1) & (slots - 1);
        if (seen[slot])
            continue;
        struct candidate best = items[i]; /* swapped: each keeps a slot of values */
        items[i] = items[kept];
        items[kept] = best;
        seen[slot] = (uint32_t)++kept;
    }
    free(seen);
    collapser->count = kept;
    collapser->has_worst = kept == collector->limit;
    collapser->worst = kept - 1;
}

/* Room for some times the limit, with values for each. */
static void make_room(struct vz_collapser *collapser, const struct vz_collector *collector)
{
    size_t keys = collector->key_count;
    collapser->capacity = VZ_MAX(collector->limit * 4, (size_t)256);
    collapser->items = vz_calloc(collapser->capacity, sizeof *collapser->items);
    if (!keys)
        return;
    struct vz_sort_value *values =
        vz_arena_alloc(collapser->arena, collapser->capacity * keys * sizeof *values);
    for (size_t i = 0; i < collapser->capacity; i++)
        collapser->items[i].found.values = values + i * keys;
}

void vz_collapser_offer(struct vz_collapser *collapser, struct vz_collector *collector,
                        const struct vz_found *found)
{
    if (collapser->status != VZ_OK || collector->limit == 0)
        return;
    if (!collapser->items)
        make_room(collapser, collector);
    if (collapser->has_worst &&
        vz_collector_compare(collector, found, &collapser->items[collapser->worst].found) > 0)
        return;
    if (collapser->count == collapser->capacity)
        prune(collapser, collector);
    struct candidate *item = &collapser->items[collapser->count++];
    struct vz_sort_value *values = item->found.values;
    item->key = key_of(collapser, found->target, found->docno);
    item->found = *found;
    item->found.values = values;
    if (collector->key_count)
        memcpy(values, found->values, collector->key_count * sizeof *values);
}

void vz_collapser_finish(struct vz_collapser *collapser, struct vz_collector *collector)
{
    collector->count = 0;
    if (collapser->status != VZ_OK || !collapser->items)
        return;
    prune(collapser, collector);
    for (size_t i = 0; i < collapser->count; i++)
        collector->heap[i] = collapser->items[i].found;
    collector->count = collapser->count;
}

/* ---- inner_hits ------------------------------------------------------------------------------ */

static struct vz_node *new_node(struct vz_arena *arena, enum vz_node_kind kind)
{
    struct vz_node *node = vz_arena_zalloc(arena, sizeof *node);
    node->kind = kind;
    node->boost = 1;
    return node;
}

static void put_key(const struct place *place, size_t at, struct vz_arena *arena,
                    struct vz_buf *text)
{
    struct vz_json_writer w = vz_json_writer_on(text);
    const struct vz_column *column = &place->column;
    if (place->numbers)
        vz_json_put_string(&w, vz_snapshot_ordinal_term(place->snap, place->field->id,
                                                        column->ordinals[at], arena));
    else if (column->kind == VZ_COLUMN_F64)
        vz_json_put_double(&w, column->f64[at]);
    else if (place->field->type == VZ_FIELD_UNSIGNED_LONG)
        vz_json_put_uint(&w, (uint64_t)column->i64[at] ^ 0x8000000000000000ull);
    else
        vz_json_put_int(&w, column->i64[at]);
}

/* A query for the group of a hit; *doc has its value and is freed by the caller. */
static enum vz_status group_filter(const struct vz_collapser *collapser,
                                   const struct vz_found *found, struct vz_node **out,
                                   struct vz_json_doc **doc, struct vz_error *err)
{
    const struct place *place = &collapser->places[found->target];
    struct vz_arena *arena = collapser->arena;
    size_t at = vz_column_find(&place->column, found->docno);
    bool has_value = at < place->column.count;
    struct vz_node *leaf = new_node(arena, has_value ? VZ_NODE_TERM : VZ_NODE_EXISTS);
    struct vz_node **items = vz_arena_alloc(arena, sizeof(struct vz_node *));
    struct vz_buf text = {0};
    struct vz_json *value = vz_arena_zalloc(arena, sizeof *value);
    enum vz_status status = VZ_OK;
    *doc = NULL;
    items[0] = leaf;
    leaf->field = collapser->collapse->field;
    *out = new_node(arena, VZ_NODE_BOOL);
    if (has_value) {
        put_key(place, at, arena, &text);
        status = vz_json_parse(vz_buf_slice(&text), doc, value, err);
        leaf->values = value;
        leaf->value_count = 1;
        (*out)->boolean.filter = (struct vz_node_list){items, 1};
    } else {
        (*out)->boolean.must_not = (struct vz_node_list){items, 1};
    }
    vz_buf_deinit(&text);
    return status;
}

/* The query of the request, as it is asked within a group. */
static void ask_again(const struct vz_run *run, const struct vz_inner *inner, struct vz_node *group,
                      struct vz_search *out)
{
    const struct vz_search *search = run->search;
    struct vz_node *query = search->query;
    struct vz_node **filters = vz_arena_alloc(run->arena, 2 * sizeof(struct vz_node *));
    size_t count = 0;
    *out = *inner->fetch;
    out->arena = run->arena;
    out->max_bytes = search->max_bytes;
    out->track_total = true;
    out->track_limit = VZ_DEFAULT_TRACK_TOTAL;
    if (!query || search->retriever) { /* scores are of documents that a list named, else 0 */
        struct vz_node *all = new_node(run->arena, VZ_NODE_CONSTANT);
        all->boost = 0;
        all->parts.items = vz_arena_alloc(run->arena, sizeof(struct vz_node *));
        all->parts.count = 1;
        all->parts.items[0] = query ? query : new_node(run->arena, VZ_NODE_ALL);
        query = all;
    }
    out->query = query;
    filters[count++] = group;
    if (search->post_filter)
        filters[count++] = search->post_filter;
    out->post_filter = new_node(run->arena, VZ_NODE_BOOL);
    out->post_filter->boolean.filter = (struct vz_node_list){filters, count};
}

static enum vz_status expand_one(struct vz_run *run, const struct vz_inner *inner,
                                 struct vz_node *group, struct vz_json_writer *w,
                                 struct vz_error *err)
{
    struct vz_search search;
    struct vz_search_result result = {0};
    struct vz_run child = {.arena = run->arena,
                           .targets = run->targets,
                           .target_count = run->target_count,
                           .deadline_ns = run->deadline_ns};
    ask_again(run, inner, group, &search);
    vz_run_begin(&child, &search, search.size ? (size_t)search.from + search.size : 0);
    if (run->search->retriever && run->ranked_count) {
        child.nearest = vz_arena_alloc(run->arena, run->ranked_count * sizeof *child.nearest);
        memcpy(child.nearest, run->ranked, run->ranked_count * sizeof *child.nearest);
        child.nearest_count = child.nearest_capacity = run->ranked_count;
    }
    enum vz_status status = vz_run_find(&child, err);
    if (status == VZ_OK)
        status = vz_run_answer(&child, &result, err);
    if (status == VZ_OK) {
        vz_json_key_slice(w, inner->name);
        vz_json_begin_object(w);
        vz_json_key(w, "hits");
        vz_search_hits_print(w, &result, false);
        vz_json_end_object(w);
    }
    run->timed_out |= child.timed_out;
    vz_run_end(&child);
    return status;
}

static enum vz_status expand_hit(struct vz_run *run, const struct vz_found *found,
                                 struct vz_search_hit *hit, struct vz_error *err)
{
    const struct vz_collapse *collapse = run->search->collapse;
    struct vz_json_doc *doc;
    struct vz_node *group;
    struct vz_buf text = {0};
    struct vz_json_writer w = vz_json_writer_on(&text);
    enum vz_status status = group_filter(run->collector.collapser, found, &group, &doc, err);
    vz_json_begin_object(&w);
    for (size_t i = 0; i < collapse->inner_count && status == VZ_OK; i++)
        status = expand_one(run, collapse->inners[i], group, &w, err);
    vz_json_end_object(&w);
    if (status == VZ_OK && hit->inner_hits.len > 2) { /* those of nested objects stay */
        struct vz_slice more = {text.data + 1, text.len - 1};
        hit->inner_hits.len--;
        hit->inner_hits = vz_slice_from(
            vz_arena_printf(run->arena, "%.*s,%.*s", VZ_ARG(hit->inner_hits), VZ_ARG(more)));
    } else if (status == VZ_OK) {
        hit->inner_hits = vz_arena_copy(run->arena, vz_buf_slice(&text));
    }
    vz_buf_deinit(&text);
    vz_json_free(doc);
    return status;
}

enum vz_status vz_collapse_expand(struct vz_run *run, struct vz_search_result *result,
                                  struct vz_error *err)
{
    size_t searches = result->hit_count * run->search->collapse->inner_count;
    size_t first = VZ_MIN((size_t)run->search->from, run->collector.count);
    enum vz_status status = VZ_OK;
    if (searches > MAX_EXPANSIONS)
        return vz_fail(err, VZ_BAD_ARGUMENT,
                       "[collapse] inner_hits of this many hits are [%zu] searches, at most [%d] "
                       "are allowed",
                       searches, MAX_EXPANSIONS);
    for (size_t i = 0; i < result->hit_count && status == VZ_OK; i++)
        status = expand_hit(run, &run->collector.heap[first + i], &result->hits[i], err);
    return status;
}
