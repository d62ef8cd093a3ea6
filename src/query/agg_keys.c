/* Buckets with keys of several parts: composite, multi_terms.
 *
 * The parts of a key become one number, pair by pair: the number of (what stood before, this part)
 * in a table. So a bucket is (owner, number) as everywhere else, and the parts are found again by
 * walking back. Of a composite only keys behind `after` are counted.
 */
#include "query/agg.h"

#include "base/hash.h"
#include "base/text.h"

#include <math.h>
#include <stdlib.h>

#define MAX_KEYS 1000000 /* of one document */
#define MAX_PLACES ((size_t)1 << 20)

struct vz_agg_pair {
    uint32_t before; /* number of the pair before + 1; 0: the first part */
    int64_t part;
};

static size_t pair_slot(const struct vz_agg_node *node, uint32_t before, int64_t part)
{
    return (size_t)vz_hash_number(part, before) & (node->pair_slot_count - 1);
}

static bool grow_pairs(struct vz_agg_node *node)
{
    size_t count = VZ_MAX(node->pair_slot_count * 4, (size_t)256);
    if (!vz_agg_more(node->run, (count - node->pair_slot_count) *
                                    (sizeof *node->pair_slots + sizeof *node->pairs / 2)))
        return false;
    node->pairs = vz_realloc(node->pairs, (count / 2 + 1) * sizeof *node->pairs);
    free(node->pair_slots);
    node->pair_slots = vz_calloc(count, sizeof *node->pair_slots);
    node->pair_slot_count = count;
    for (size_t i = 0; i < node->pair_count; i++) {
        size_t at = pair_slot(node, node->pairs[i].before, node->pairs[i].part);
        while (node->pair_slots[at])
            at = (at + 1) & (count - 1);
        node->pair_slots[at] = (uint32_t)i + 1;
    }
    return true;
}

/* The number of a pair + 1; 0 past a limit. */
static uint32_t pair_of(struct vz_agg_node *node, uint32_t before, int64_t part)
{
    if ((node->pair_count + 1) * 2 > node->pair_slot_count && !grow_pairs(node))
        return 0;
    size_t at = pair_slot(node, before, part);
    for (uint32_t found; (found = node->pair_slots[at]) != 0;
         at = (at + 1) & (node->pair_slot_count - 1))
        if (node->pairs[found - 1].part == part && node->pairs[found - 1].before == before)
            return found;
    node->pairs[node->pair_count] = (struct vz_agg_pair){before, part};
    return node->pair_slots[at] = (uint32_t)++node->pair_count;
}

void vz_agg_key_parts(const struct vz_agg_node *node, int64_t key, int64_t *out)
{
    uint32_t at = (uint32_t)key + 1;
    for (size_t i = node->value_count; i-- > 0;) {
        out[i] = node->pairs[at - 1].part;
        at = node->pairs[at - 1].before;
    }
}

/* ---- parts -------------------------------------------------------------------------------------
 */

static bool part_of_number(struct vz_agg_values *values, double number, int64_t *part)
{
    return vz_agg_interval_key(values->node->run, &values->source->interval, number, part);
}

/* The parts that a document has for one source. */
static size_t parts_of(struct vz_agg_values *values, uint32_t docno, int64_t **parts)
{
    const struct vz_agg_source *source = values->source;
    enum vz_agg_kind kind = source->kind;
    size_t from, to, count = 0;
    bool is_composite = values->node->agg->kind == VZ_AGG_COMPOSITE;
    values->absent = VZ_AGG_NO_KEY;
    if (kind == VZ_AGG_TERMS) {
        count = values->readable ? vz_agg_keys(values, docno, parts) : 0;
    } else if (values->readable && vz_agg_entries(values, docno, &from, &to)) {
        int64_t *keys = vz_arena_alloc(&values->scratch, (to - from) * sizeof *keys);
        for (size_t e = from; e < to; e++)
            if (kind == VZ_AGG_GEOTILE_GRID)
                keys[count++] = (int64_t)vz_geotile_encode(values->column.geo[e].lat,
                                                           values->column.geo[e].lon,
                                                           source->precision);
            else if (part_of_number(values, vz_agg_number(values, e), &keys[count]))
                count++;
        *parts = keys;
        count = vz_agg_distinct(keys, count);
    }
    if (count == 0 && is_composite && source->missing_bucket) {
        *parts = &values->absent;
        return 1;
    }
    return count;
}

static int compare_part(struct vz_agg_values *values, int64_t a, int64_t b)
{
    const struct vz_agg_source *source = values->source;
    if (a == b)
        return 0;
    if (a == VZ_AGG_NO_KEY || b == VZ_AGG_NO_KEY) {
        bool first = source->missing_order == VZ_MISSING_DEFAULT
                         ? !source->descending
                         : source->missing_order == VZ_MISSING_FIRST;
        return (a == VZ_AGG_NO_KEY) == first ? -1 : 1;
    }
    int order = source->kind == VZ_AGG_TERMS ? vz_agg_compare_keys(values, a, b) : a < b ? -1 : 1;
    return source->descending ? -order : order;
}

int vz_agg_compare_parts(struct vz_agg_node *node, const int64_t *a, const int64_t *b)
{
    for (size_t i = 0; i < node->value_count; i++) {
        int order = compare_part(&node->values[i], a[i], b[i]);
        if (order)
            return order;
    }
    return 0;
}

/* A part against one of `after`, which may be a text that no document has. */
static int compare_after(struct vz_agg_node *node, size_t i, int64_t part)
{
    struct vz_agg_values *values = &node->values[i];
    const struct vz_agg_after *after = &node->after[i];
    if (!after->is_text || part == VZ_AGG_NO_KEY)
        return compare_part(values, part, after->part);
    int order = vz_slice_cmp(vz_agg_term(values, part), after->text);
    return values->source->descending ? -order : order;
}

/* ---- taking ------------------------------------------------------------------------------------
 */

struct walk {
    struct vz_agg_node *node;
    uint32_t docno, owner;
    int64_t *parts[VZ_MAX_AGG_SOURCES];
    size_t counts[VZ_MAX_AGG_SOURCES];
    size_t made;
};

/* `tied`: all parts so far are those of `after`. */
static void each_key(struct walk *walk, size_t source, uint32_t before, bool tied)
{
    struct vz_agg_node *node = walk->node;
    if (source == node->value_count) {
        if (tied)
            return; /* `after` itself was in the page before */
        if (++walk->made > MAX_KEYS)
            vz_agg_fail(node->run, VZ_LIMIT, "a document has more than [%d] keys", MAX_KEYS);
        else
            vz_agg_count_key(node, walk->docno, walk->owner, (int64_t)before - 1);
        return;
    }
    for (size_t i = 0; i < walk->counts[source] && node->run->status == VZ_OK; i++) {
        int64_t part = walk->parts[source][i];
        int order = tied ? compare_after(node, source, part) : 1;
        if (order < 0)
            continue;
        uint32_t pair = pair_of(node, before, part);
        if (!pair)
            return;
        each_key(walk, source + 1, pair, tied && order == 0);
    }
}

/* Sources with one small value in each document: a place among all combinations leads to the
 * bucket, and the key is put together once for each. */
struct places {
    int64_t base[VZ_MAX_AGG_SOURCES];
    size_t stride[VZ_MAX_AGG_SOURCES];
    size_t width;
};

static bool open_places(struct vz_agg_node *node, const struct vz_agg_block *block,
                        struct places *places)
{
    places->width = 1;
    if (block->count < VZ_AGG_BLOCK / 4 && !node->grid)
        return false;
    for (size_t s = 0; s < node->value_count; s++) {
        struct vz_agg_values *values = &node->values[s];
        size_t width;
        if (values->source->kind != VZ_AGG_TERMS || !values->dense ||
            !vz_agg_small_keys(values, &places->base[s], &width))
            return false;
        places->stride[s] = places->width;
        places->width *= width;
        if (places->width > MAX_PLACES)
            return false;
    }
    return true;
}

static int64_t dense_key(const struct vz_agg_values *values, uint32_t docno)
{
    return values->column.kind == VZ_COLUMN_ORDINAL ? values->column.ordinals[docno]
                                                    : values->column.i64[docno];
}

/* The bucket of a document's key; VZ_AGG_NOTHING before `after`, and past a limit. */
static uint32_t put_together(struct vz_agg_node *node, uint32_t docno, uint32_t owner, size_t place,
                             size_t width)
{
    bool tied = node->after != NULL;
    uint32_t pair = 0;
    for (size_t s = 0; s < node->value_count; s++) {
        int64_t part = dense_key(&node->values[s], docno);
        int order = tied ? compare_after(node, s, part) : 1;
        if (order < 0)
            return VZ_AGG_NOTHING;
        tied = tied && order == 0;
        pair = pair_of(node, pair, part);
        if (!pair)
            return VZ_AGG_NOTHING;
    }
    if (tied)
        return VZ_AGG_NOTHING;
    return vz_agg_small_bucket(node, owner, (int64_t)pair - 1, (uint32_t)place, width);
}

static bool take_places(struct vz_agg_node *node, const struct vz_agg_block *block)
{
    struct places places;
    if (!open_places(node, block, &places))
        return false;
    for (size_t i = 0; i < block->count && node->run->status == VZ_OK; i++) {
        uint32_t docno = block->docs[i], owner = block->owners ? block->owners[i] : 0, bucket;
        size_t place = 0;
        for (size_t s = 0; s < node->value_count; s++)
            place += (size_t)(dense_key(&node->values[s], docno) - places.base[s]) *
                     places.stride[s];
        if (node->grid_width == places.width && owner < node->grid_owners &&
            node->grid[owner * places.width + place])
            bucket = node->grid[owner * places.width + place] - 1;
        else
            bucket = put_together(node, docno, owner, place, places.width);
        if (bucket != VZ_AGG_NOTHING)
            vz_agg_count(node, docno, bucket);
    }
    return true;
}

void vz_agg_take_keys(struct vz_agg_node *node, const struct vz_agg_block *block)
{
    struct walk walk = {.node = node};
    if (take_places(node, block))
        return;
    for (size_t i = 0; i < block->count && node->run->status == VZ_OK; i++) {
        bool all = true;
        walk.docno = block->docs[i];
        walk.owner = block->owners ? block->owners[i] : 0;
        walk.made = 0;
        for (size_t s = 0; s < node->value_count; s++)
            vz_arena_reset(&node->values[s].scratch);
        for (size_t s = 0; s < node->value_count && all; s++) {
            walk.counts[s] = parts_of(&node->values[s], walk.docno, &walk.parts[s]);
            all = walk.counts[s] > 0;
        }
        if (all)
            each_key(&walk, 0, 0, node->after != NULL);
    }
}

/* ---- after -------------------------------------------------------------------------------------
 */

static bool bind_after(struct vz_agg_node *node, size_t i, struct vz_json value)
{
    struct vz_agg_values *values = &node->values[i];
    const struct vz_agg_source *source = values->source;
    struct vz_agg_after *after = &node->after[i];
    double number;
    uint64_t tile;
    if (vz_json_type(value) == VZ_JSON_NULL) {
        after->part = VZ_AGG_NO_KEY;
        return source->missing_bucket ||
               vz_agg_fail(node->run, VZ_BAD_ARGUMENT,
                           "Invalid value, received null for source [%.*s]", VZ_ARG(source->name));
    }
    if (source->kind == VZ_AGG_TERMS && values->class == VZ_CLASS_TEXT) {
        after->is_text = true;
        after->text = vz_query_scalar_text(value, node->run->arena);
        return true;
    }
    if (source->kind == VZ_AGG_GEOTILE_GRID) {
        if (!vz_geotile_parse(vz_json_string(value), &tile))
            return vz_agg_fail(node->run, VZ_BAD_ARGUMENT,
                               "Invalid geotile_grid hash string of %.*s. Must be three integers "
                               "in a form \"zoom/x/y\".",
                               VZ_ARG(vz_json_string(value)));
        after->part = (int64_t)tile;
        return true;
    }
    if (source->kind == VZ_AGG_TERMS && values->class != VZ_CLASS_NONE) {
        if (vz_agg_key_of(values, value, &after->part))
            return true;
        return vz_agg_fail(node->run, VZ_BAD_ARGUMENT,
                           "invalid value, expected a number in [after] of [%.*s]",
                           VZ_ARG(source->name));
    }
    if (!vz_agg_read_number(values, value, false, &number))
        return false;
    if (source->interval.dates) {
        after->part = (int64_t)number;
        return true;
    }
    after->part = source->interval.width > 0
                      ? (int64_t)round((number - source->interval.offset) / source->interval.width)
                      : (int64_t)number;
    return true;
}

bool vz_agg_keys_bind(struct vz_agg_node *node)
{
    const struct vz_agg *agg = node->agg;
    if (vz_json_type(agg->after) == VZ_JSON_MISSING)
        return true;
    if (!node->after)
        node->after =
            vz_arena_zalloc(node->run->arena, (node->value_count + 1) * sizeof(*node->after));
    if (vz_json_count(agg->after) != node->value_count)
        return vz_agg_fail(node->run, VZ_BAD_ARGUMENT,
                           "[after] has %zu value(s) but [sources] has %zu",
                           vz_json_count(agg->after), node->value_count);
    for (size_t i = 0; i < node->value_count; i++) {
        struct vz_json_iter it = vz_json_iterate(agg->after);
        struct vz_slice key;
        struct vz_json member;
        bool found = false;
        while (!found && vz_json_next(&it, &key, &member))
            found = vz_slice_eq(key, node->values[i].source->name);
        if (!found)
            return vz_agg_fail(node->run, VZ_BAD_ARGUMENT, "Missing value for [after.%.*s]",
                               VZ_ARG(node->values[i].source->name));
        if (!bind_after(node, i, member))
            return false;
    }
    return true;
}

void vz_agg_put_part(struct vz_agg_values *values, int64_t part, struct vz_json_writer *w)
{
    const struct vz_agg_source *source = values->source;
    struct vz_buf text = {0};
    double number = (double)part;
    if (part == VZ_AGG_NO_KEY) {
        vz_json_put_null(w);
        return;
    }
    if (source->kind == VZ_AGG_HISTOGRAM)
        number = (double)part * source->interval.width + source->interval.offset;
    else if (source->kind == VZ_AGG_TERMS)
        number = vz_agg_key_number(values, part);
    bool date_number = !source->format.len && values->node->agg->kind == VZ_AGG_COMPOSITE &&
                       (source->kind == VZ_AGG_DATE_HISTOGRAM || values->class == VZ_CLASS_DATE);
    if (source->kind == VZ_AGG_GEOTILE_GRID) {
        vz_geotile_text((uint64_t)part, &text);
        vz_json_put_string(w, vz_buf_slice(&text));
    } else if (values->class == VZ_CLASS_BOOLEAN) {
        vz_json_put_bool(w, part != 0);
    } else if (values->class != VZ_CLASS_TEXT && !date_number &&
               vz_agg_number_text(values, number, &text)) {
        vz_json_put_string(w, vz_buf_slice(&text));
    } else if (source->kind == VZ_AGG_HISTOGRAM) {
        vz_json_put_double(w, number);
    } else if (source->kind == VZ_AGG_DATE_HISTOGRAM) {
        vz_json_put_int(w, part);
    } else {
        vz_agg_put_key_value(values, part, w);
    }
    vz_buf_deinit(&text);
}
