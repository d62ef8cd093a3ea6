/* Aggregations that make buckets: which ones a document falls into.
 *
 * Buckets with keys are found in a table of (owner, key), or where keys are small numbers (ordinals,
 * intervals) in an array of (owner, key) while that stays small; those of a fixed set (ranges,
 * filters) are numbered owner * set + place. Terms of a keyword at the top, in one target, need no
 * table: the ordinal is the bucket. Where every document of a block has one value, the buckets are
 * worked out for the whole block and given to the children as they are, without a copy.
 */
#include "query/agg.h"

#include "base/hash.h"

#include <math.h>
#include <stdlib.h>

#define MAX_GRID ((size_t)1 << 22) /* entries of 4 bytes */
#define MAX_RANGE 65536            /* of whole numbers that an array leads from */

/* ---- buckets with keys -------------------------------------------------------------------------
 */

static size_t slot_of(const struct vz_agg_node *node, uint32_t owner, int64_t key)
{
    return (size_t)vz_hash_number(key, owner) & (node->slot_count - 1);
}

static bool grow_slots(struct vz_agg_node *node)
{
    size_t count = VZ_MAX(node->slot_count * 4, (size_t)64);
    if (!vz_agg_more(node->run, (count - node->slot_count) * sizeof *node->slots))
        return false;
    free(node->slots);
    node->slots = vz_calloc(count, sizeof *node->slots);
    node->slot_count = count;
    for (size_t i = 0; i < node->bucket_count; i++) {
        size_t at = slot_of(node, node->keys[i].owner, node->keys[i].value);
        while (node->slots[at])
            at = (at + 1) & (count - 1);
        node->slots[at] = (uint32_t)i + 1;
    }
    return true;
}

uint32_t vz_agg_bucket(struct vz_agg_node *node, uint32_t owner, int64_t key)
{
    if ((node->bucket_count + 1) * 2 > node->slot_count && !grow_slots(node))
        return VZ_AGG_NOTHING;
    size_t at = slot_of(node, owner, key);
    for (uint32_t found; (found = node->slots[at]) != 0; at = (at + 1) & (node->slot_count - 1))
        if (node->keys[found - 1].value == key && node->keys[found - 1].owner == owner)
            return found - 1;
    if (!vz_agg_reserve(node, node->bucket_count + 1))
        return VZ_AGG_NOTHING;
    uint32_t bucket = (uint32_t)node->bucket_count++;
    node->keys[bucket] = (struct vz_agg_key){owner, key};
    node->slots[at] = bucket + 1;
    return bucket;
}

static bool grow_grid(struct vz_agg_node *node, uint32_t owner)
{
    size_t owners = VZ_MAX((size_t)owner + 1, node->grid_owners * 2);
    if (owners * node->grid_width > MAX_GRID)
        owners = (size_t)owner + 1;
    size_t old = node->grid_owners * node->grid_width, items = owners * node->grid_width;
    if (items > MAX_GRID || !vz_agg_more(node->run, (items - old) * sizeof *node->grid))
        return false;
    node->grid = vz_realloc(node->grid, items * sizeof *node->grid);
    memset(node->grid + old, 0, (items - old) * sizeof *node->grid);
    node->grid_owners = owners;
    return true;
}

uint32_t vz_agg_small_bucket(struct vz_agg_node *node, uint32_t owner, int64_t key, uint32_t small,
                             size_t width)
{
    if (node->grid_width != width) { /* another target's keys are numbered otherwise */
        free(node->grid);
        node->grid = NULL;
        node->grid_owners = 0;
        node->grid_width = width;
    }
    if (owner >= node->grid_owners &&
        (((size_t)owner + 1) * width > MAX_GRID || !grow_grid(node, owner)))
        return vz_agg_bucket(node, owner, key);
    uint32_t *place = &node->grid[owner * width + small];
    if (*place == 0) {
        uint32_t bucket = vz_agg_bucket(node, owner, key);
        if (bucket == VZ_AGG_NOTHING)
            return bucket;
        *place = bucket + 1;
    }
    return *place - 1;
}

void vz_agg_count_key(struct vz_agg_node *node, uint32_t docno, uint32_t owner, int64_t key)
{
    uint32_t bucket = vz_agg_bucket(node, owner, key);
    if (bucket != VZ_AGG_NOTHING)
        vz_agg_count(node, docno, bucket);
}

/* ---- terms -------------------------------------------------------------------------------------
 */

/* A keyword at the top in one target: a bucket's number is the ordinal, and one more for what
 * `missing` stands for. */
static bool begin_direct(struct vz_agg_node *node)
{
    size_t ordinals =
        vz_field_ordinal_count(node->run->last->snap, node->values[0].field);
    if (!vz_agg_reserve(node, ordinals + 1))
        return false;
    node->direct = true;
    node->bucket_count = ordinals + 1;
    return true;
}

/* Documents of a column with several values for some, all of a row of them, no children. */
static void count_entries(struct vz_agg_node *node, const struct vz_agg_block *block)
{
    const struct vz_column *column = &node->values[0].column;
    const uint32_t *docnos = column->docnos, *ordinals = column->ordinals;
    uint32_t first = block->docs[0], last = block->docs[block->count - 1];
    size_t from, to;
    vz_agg_entries(&node->values[0], first, &from, &to);
    for (size_t at = from, end; at < column->count && docnos[at] <= last; at = end) {
        for (end = at + 1; end < column->count && docnos[end] == docnos[at];)
            end++;
        if (end - at > 16) {
            int64_t *keys;
            node->values[0].at = at;
            size_t count = vz_agg_keys(&node->values[0], docnos[at], &keys);
            for (size_t k = 0; k < count; k++)
                node->counts[keys[k]]++;
            continue;
        }
        for (size_t e = at; e < end; e++) { /* a value twice in a document counts once */
            bool again = false;
            for (size_t before = at; before < e; before++)
                again |= ordinals[before] == ordinals[e];
            node->counts[ordinals[e]] += !again;
        }
    }
}

static void take_direct(struct vz_agg_node *node, const struct vz_agg_block *block)
{
    struct vz_agg_values *values = &node->values[0];
    const uint32_t *ordinals = values->column.ordinals;
    size_t missing = node->bucket_count - 1;
    if (values->missing >= 0)
        missing = (size_t)values->missing;
    if (values->dense && block->whole) {
        ordinals += block->docs[0];
        for (size_t i = 0; i < block->count; i++)
            node->counts[ordinals[i]]++;
        vz_agg_hand_on(node, block, ordinals);
        return;
    }
    if (values->dense) {
        uint32_t buckets[VZ_AGG_BLOCK];
        for (size_t i = 0; i < block->count; i++)
            node->counts[buckets[i] = ordinals[block->docs[i]]]++;
        vz_agg_hand_on(node, block, buckets);
        return;
    }
    if (block->whole && !node->subs && !values->has_missing) {
        count_entries(node, block);
        return;
    }
    for (size_t i = 0; i < block->count; i++) {
        int64_t *keys;
        size_t count = vz_agg_keys(values, block->docs[i], &keys);
        for (size_t k = 0; k < count; k++)
            vz_agg_count(node, block->docs[i],
                         keys == &values->missing ? (uint32_t)missing : (uint32_t)keys[k]);
    }
}

bool vz_agg_small_keys(struct vz_agg_values *values, int64_t *base, size_t *width)
{
    const struct vz_column *column = &values->column;
    *base = 0;
    if (column->kind == VZ_COLUMN_ORDINAL && !values->global && !values->numbered) {
        *width = vz_field_ordinal_count(values->node->run->last->snap, values->field);
        return *width > 0 && *width <= MAX_RANGE;
    }
    if (column->kind != VZ_COLUMN_I64 || !values->dense)
        return false;
    if (!values->ranged) {
        int64_t low = INT64_MAX, high = INT64_MIN;
        for (size_t i = 0; i < column->count; i++) {
            low = VZ_MIN(low, column->i64[i]);
            high = VZ_MAX(high, column->i64[i]);
        }
        values->ranged = true;
        values->low = low;
        values->high = high;
    }
    *base = values->low;
    *width = (uint64_t)values->high - (uint64_t)values->low < MAX_RANGE
                 ? (size_t)(values->high - values->low) + 1
                 : 0;
    return *width > 0;
}

/* One value each, and small ones. */
static bool take_small(struct vz_agg_node *node, const struct vz_agg_block *block)
{
    struct vz_agg_values *values = &node->values[0];
    uint32_t buckets[VZ_AGG_BLOCK];
    int64_t base;
    size_t width;
    if (!values->dense || (block->count < VZ_AGG_BLOCK / 4 && !values->ranged) ||
        !vz_agg_small_keys(values, &base, &width))
        return false;
    bool ordinals = values->column.kind == VZ_COLUMN_ORDINAL;
    for (size_t i = 0; i < block->count; i++) {
        uint32_t docno = block->docs[i], owner = block->owners ? block->owners[i] : 0;
        int64_t key = ordinals ? values->column.ordinals[docno] : values->column.i64[docno];
        uint32_t bucket =
            vz_agg_small_bucket(node, owner, key, (uint32_t)(key - base), width);
        if (bucket == VZ_AGG_NOTHING)
            return true;
        node->counts[bucket]++;
        buckets[i] = bucket;
    }
    vz_agg_hand_on(node, block, buckets);
    return true;
}

static void take_terms(struct vz_agg_node *node, const struct vz_agg_block *block)
{
    struct vz_agg_values *values = &node->values[0];
    if (!node->parent)
        node->top_count += block->count;
    if (values->column.kind == VZ_COLUMN_ORDINAL && !values->numbered && !node->parent) {
        if (node->direct || begin_direct(node))
            take_direct(node, block);
        return;
    }
    if (take_small(node, block))
        return;
    for (size_t i = 0; i < block->count && node->run->status == VZ_OK; i++) {
        int64_t *keys;
        size_t count = vz_agg_keys(values, block->docs[i], &keys);
        for (size_t k = 0; k < count; k++)
            vz_agg_count_key(node, block->docs[i], block->owners ? block->owners[i] : 0, keys[k]);
    }
}

/* ---- fixed sets --------------------------------------------------------------------------------
 */

static bool in_range(struct vz_agg_node *node, size_t range, size_t from, size_t to)
{
    for (size_t e = from; e < to; e++) {
        double value = vz_agg_number(&node->values[0], e);
        if (value >= node->range_from[range] && value < node->range_to[range])
            return true;
    }
    return false;
}

/* One value each and no children: range by range. */
static void count_ranges(struct vz_agg_node *node, const struct vz_agg_block *block)
{
    double numbers[VZ_AGG_BLOCK];
    size_t set = node->agg->range_count;
    if (!vz_agg_reserve_set(node, 0, set))
        return;
    vz_agg_gather(&node->values[0], block, numbers);
    for (size_t r = 0; r < set; r++) {
        double low = node->range_from[r], high = node->range_to[r];
        uint32_t in = 0;
        for (size_t i = 0; i < block->count; i++)
            in += (numbers[i] >= low) & (numbers[i] < high);
        node->counts[r] += in;
    }
}

static void take_ranges(struct vz_agg_node *node, const struct vz_agg_block *block)
{
    struct vz_agg_values *values = &node->values[0];
    size_t from, to, set = node->agg->range_count;
    if (values->dense && !block->owners && !node->subs) {
        count_ranges(node, block);
        return;
    }
    for (size_t i = 0; i < block->count && node->run->status == VZ_OK; i++) {
        uint32_t docno = block->docs[i], owner = block->owners ? block->owners[i] : 0;
        bool some = vz_agg_entries(values, docno, &from, &to);
        if ((!some && !values->has_missing) || !vz_agg_reserve_set(node, owner, set))
            continue;
        for (size_t r = 0; r < set; r++) {
            bool in = some ? in_range(node, r, from, to)
                           : values->missing_number >= node->range_from[r] &&
                                 values->missing_number < node->range_to[r];
            if (in)
                vz_agg_count(node, docno, (uint32_t)(owner * set + r));
        }
    }
}

/* Documents in a row that a set has: bits of whole words are counted. */
static uint64_t count_in_row(const struct vz_docset *set, uint32_t first, size_t count)
{
    uint64_t found = 0;
    uint32_t docno = first, end = first + (uint32_t)count;
    if (set->kind != VZ_SET_BITS)
        return set->kind == VZ_SET_ALL ? count : 0;
    for (; docno < end && docno % 64; docno++)
        found += vz_bitset_has(&set->bits, docno);
    for (; docno + 64 <= end && docno + 64 <= set->bits.bits; docno += 64)
        found += (uint64_t)__builtin_popcountll(set->bits.words[docno / 64]);
    for (; docno < end; docno++)
        found += vz_bitset_has(&set->bits, docno);
    return found;
}

static void take_filters(struct vz_agg_node *node, const struct vz_agg_block *block)
{
    size_t filters = node->agg->filters.count;
    size_t set = filters + (node->agg->kind == VZ_AGG_FILTERS && node->agg->other_key.len > 0);
    if (block->whole && !block->owners && !node->subs && set == filters) {
        for (size_t f = 0; f < filters && vz_agg_reserve_set(node, 0, set); f++)
            node->counts[f] += count_in_row(&node->filters[f], block->docs[0], block->count);
        return;
    }
    for (size_t i = 0; i < block->count; i++) {
        uint32_t docno = block->docs[i], owner = block->owners ? block->owners[i] : 0;
        bool any = false;
        if (!vz_agg_reserve_set(node, owner, set))
            return;
        for (size_t f = 0; f < filters; f++) {
            if (!vz_docset_has(&node->filters[f], docno))
                continue;
            any = true;
            vz_agg_count(node, docno, (uint32_t)(owner * set + f));
        }
        if (!any && set > filters)
            vz_agg_count(node, docno, (uint32_t)(owner * set + filters));
    }
}

/* Each filter, and each pair of filters: place f, and behind them the pairs in order. */
static void take_adjacency(struct vz_agg_node *node, const struct vz_agg_block *block)
{
    size_t n = node->agg->filters.count, set = n + n * (n - 1) / 2;
    for (size_t i = 0; i < block->count; i++) {
        uint32_t docno = block->docs[i], owner = block->owners ? block->owners[i] : 0;
        if (!vz_agg_reserve_set(node, owner, set))
            return;
        size_t pair = owner * set + n;
        for (size_t a = 0; a < n; pair += n - 1 - a, a++) {
            if (!vz_docset_has(&node->filters[a], docno))
                continue;
            vz_agg_count(node, docno, (uint32_t)(owner * set + a));
            for (size_t b = a + 1; b < n; b++)
                if (vz_docset_has(&node->filters[b], docno))
                    vz_agg_count(node, docno, (uint32_t)(pair + b - a - 1));
        }
    }
}

/* One bucket for each owner: global, missing. */
static void take_single(struct vz_agg_node *node, const struct vz_agg_block *block)
{
    size_t from, to;
    bool missing = node->agg->kind == VZ_AGG_MISSING;
    for (size_t i = 0; i < block->count; i++) {
        uint32_t docno = block->docs[i], owner = block->owners ? block->owners[i] : 0;
        if (missing && (node->values[0].has_missing ||
                        (node->values[0].readable &&
                         vz_agg_entries(&node->values[0], docno, &from, &to))))
            continue;
        if (!vz_agg_reserve_set(node, owner, 1))
            return;
        vz_agg_count(node, docno, owner);
    }
}

void vz_agg_take_buckets(struct vz_agg_node *node, const struct vz_agg_block *block)
{
    enum vz_agg_kind kind = node->agg->kind;
    bool several = kind == VZ_AGG_COMPOSITE || kind == VZ_AGG_MULTI_TERMS;
    if (kind < VZ_AGG_FILTERS && !several && !node->values[0].readable)
        return; /* unmapped in this index */
    switch (kind) {
    case VZ_AGG_TERMS:
    case VZ_AGG_RARE_TERMS:
    case VZ_AGG_SIGNIFICANT_TERMS:
        take_terms(node, block);
        return;
    case VZ_AGG_MULTI_TERMS:
    case VZ_AGG_COMPOSITE:
        vz_agg_take_keys(node, block);
        return;
    case VZ_AGG_GEOHASH_GRID:
    case VZ_AGG_GEOTILE_GRID:
        vz_agg_take_grid(node, block);
        return;
    case VZ_AGG_HISTOGRAM:
    case VZ_AGG_DATE_HISTOGRAM:
        vz_agg_take_histogram(node, block);
        return;
    case VZ_AGG_RANGE:
    case VZ_AGG_DATE_RANGE:
        take_ranges(node, block);
        return;
    case VZ_AGG_GEO_DISTANCE:
        vz_agg_take_distance(node, block);
        return;
    case VZ_AGG_FILTER:
    case VZ_AGG_FILTERS:
        take_filters(node, block);
        return;
    case VZ_AGG_ADJACENCY:
        take_adjacency(node, block);
        return;
    case VZ_AGG_NESTED:
        vz_agg_take_nested(node, block);
        return;
    case VZ_AGG_REVERSE_NESTED:
        vz_agg_take_reverse(node, block);
        return;
    case VZ_AGG_SAMPLER:
    case VZ_AGG_DIVERSIFIED_SAMPLER:
        vz_agg_take_sample(node, block);
        return;
    default:
        take_single(node, block);
    }
}

/* ---- binding -----------------------------------------------------------------------------------
 */

static bool bind_ranges(struct vz_agg_node *node)
{
    const struct vz_agg *agg = node->agg;
    struct vz_agg_values *values = &node->values[0];
    node->range_from = vz_arena_alloc(node->run->arena, agg->range_count * sizeof(double));
    node->range_to = vz_arena_alloc(node->run->arena, agg->range_count * sizeof(double));
    for (size_t i = 0; i < agg->range_count; i++) {
        const struct vz_agg_range *range = &agg->ranges[i];
        node->range_from[i] = agg->kind == VZ_AGG_GEO_DISTANCE ? 0 : -INFINITY;
        node->range_to[i] = INFINITY;
        bool distance = agg->kind == VZ_AGG_GEO_DISTANCE;
        if (vz_json_type(range->from) != VZ_JSON_MISSING) {
            if (distance && !vz_json_as_double(range->from, &node->range_from[i]))
                return vz_agg_fail(node->run, VZ_BAD_ARGUMENT, "a bound of [%.*s] is no number",
                                   VZ_ARG(agg->name));
            if (!distance &&
                !vz_agg_read_number(values, range->from, false, &node->range_from[i]))
                return false;
        }
        if (vz_json_type(range->to) != VZ_JSON_MISSING) {
            if (distance && !vz_json_as_double(range->to, &node->range_to[i]))
                return vz_agg_fail(node->run, VZ_BAD_ARGUMENT, "a bound of [%.*s] is no number",
                                   VZ_ARG(agg->name));
            if (!distance && !vz_agg_read_number(values, range->to, false, &node->range_to[i]))
                return false;
        }
    }
    return true;
}

static bool bind_filters(struct vz_agg_node *node, struct vz_eval *eval)
{
    const struct vz_agg *agg = node->agg;
    node->filters = vz_calloc(agg->filters.count + 1, sizeof *node->filters);
    for (size_t i = 0; i < agg->filters.count; i++) {
        struct vz_node_list one = {&agg->filters.items[i], 1};
        struct vz_error inner = {0};
        if (node->nest && agg->kind != VZ_AGG_SIGNIFICANT_TERMS) {
            if (!vz_agg_nest_filter(node->nest, agg->filters.items[i], &node->filters[i]))
                return false;
            continue;
        }
        enum vz_status status = vz_filters_eval(eval, one, &node->filters[i], &inner);
        if (status != VZ_OK) {
            node->run->status = status;
            if (node->run->err)
                *node->run->err = inner;
            return false;
        }
    }
    return true;
}

/* min_doc_count 0 over several targets: every term of each is a bucket. */
static bool bind_all_terms(struct vz_agg_node *node, struct vz_eval *eval)
{
    struct vz_agg_values *values = &node->values[0];
    if (!node->agg->has_min_doc_count || node->agg->min_doc_count || !values->global)
        return true;
    if (node->parent)
        return vz_agg_fail(node->run, VZ_UNSUPPORTED,
                           "[terms] [min_doc_count] of 0 below another aggregation over several "
                           "indices is not supported yet by vizsla");
    struct vz_bitset ordinals;
    struct vz_arena scratch = {0};
    vz_field_ordinals(eval, values->field, &ordinals);
    for (size_t o = vz_bitset_next(&ordinals, 0); o < ordinals.bits && node->run->status == VZ_OK;
         o = vz_bitset_next(&ordinals, o + 1)) {
        struct vz_slice text = vz_field_term(eval->snap, values->field, (uint32_t)o, &scratch);
        vz_agg_bucket(node, 0, vz_agg_intern(node->run, text));
        vz_arena_reset(&scratch);
    }
    vz_bitset_deinit(&ordinals);
    vz_arena_deinit(&scratch);
    return node->run->status == VZ_OK;
}

/* How many documents of the whole index, or of background_filter, have each term. */
static bool bind_background(struct vz_agg_node *node, struct vz_eval *eval)
{
    struct vz_agg_values *values = &node->values[0];
    const struct vz_docset *within = node->agg->filters.count ? &node->filters[0] : NULL;
    if (!values->readable || values->class != VZ_CLASS_TEXT || values->script || node->nest)
        return !values->readable ||
               vz_agg_fail(node->run, VZ_UNSUPPORTED,
                           "[significant_terms] of anything but keyword fields of whole documents "
                           "is not supported yet by vizsla");
    for (uint32_t d = 0; d < eval->limit; d++) {
        int64_t *keys;
        if (!vz_snapshot_live(eval->snap, d) || (within && !vz_docset_has(within, d)))
            continue;
        node->background_total++;
        size_t count = vz_agg_keys(values, d, &keys);
        for (size_t k = 0; k < count; k++) {
            if (keys[k] < 0)
                continue;
            if (!vz_agg_grow(node->run, (void **)&node->background, &node->background_capacity,
                             sizeof *node->background, (size_t)keys[k]))
                return false;
            node->background[keys[k]]++;
        }
    }
    values->at = 0;
    return true;
}

bool vz_agg_bind(struct vz_agg_node *node, struct vz_eval *eval)
{
    enum vz_agg_kind kind = node->agg->kind;
    node->nest = NULL;
    for (struct vz_agg_node *up = node->parent; up; up = up->parent)
        if (up->agg->kind == VZ_AGG_NESTED || up->agg->kind == VZ_AGG_REVERSE_NESTED) {
            node->nest = up->inside;
            break;
        }
    for (size_t i = 0; i < node->value_count; i++)
        if (!vz_agg_values_bind(&node->values[i], eval))
            return false;
    if (kind == VZ_AGG_FILTER || kind == VZ_AGG_FILTERS || kind == VZ_AGG_ADJACENCY ||
        (kind == VZ_AGG_SIGNIFICANT_TERMS && node->agg->filters.count))
        if (!bind_filters(node, eval))
            return false;
    switch (kind) {
    case VZ_AGG_TERMS:
        return bind_all_terms(node, eval);
    case VZ_AGG_SIGNIFICANT_TERMS:
        return bind_background(node, eval);
    case VZ_AGG_NESTED:
    case VZ_AGG_REVERSE_NESTED:
        return vz_agg_nest_open(node);
    case VZ_AGG_RANGE:
    case VZ_AGG_DATE_RANGE:
    case VZ_AGG_GEO_DISTANCE:
        return bind_ranges(node);
    case VZ_AGG_COMPOSITE:
        return vz_agg_keys_bind(node);
    case VZ_AGG_TOP_HITS:
        return vz_agg_hits_bind(node, eval);
    case VZ_AGG_HISTOGRAM:
    case VZ_AGG_DATE_HISTOGRAM:
        node->hard_low = -INFINITY;
        node->hard_high = INFINITY;
        return (vz_json_type(node->agg->hard_min) == VZ_JSON_MISSING ||
                vz_agg_read_number(&node->values[0], node->agg->hard_min, false,
                                   &node->hard_low)) &&
               (vz_json_type(node->agg->hard_max) == VZ_JSON_MISSING ||
                vz_agg_read_number(&node->values[0], node->agg->hard_max, false,
                                   &node->hard_high));
    default:
        return true;
    }
}

void vz_agg_unbind(struct vz_agg_node *node)
{
    for (size_t i = 0; node->filters && i < node->agg->filters.count; i++)
        vz_docset_deinit(&node->filters[i]);
    free(node->filters);
    node->filters = NULL;
    for (size_t i = 0; i < node->value_count; i++)
        vz_agg_values_unbind(&node->values[i]);
    vz_agg_histogram_unbind(node);
    free(node->last_seen);
    node->last_seen = NULL;
    node->last_capacity = 0;
    node->grid_width = 0; /* ordinals mean other texts in the next target */
    if (node->agg->kind == VZ_AGG_TOP_HITS)
        vz_agg_hits_unbind(node);
}
