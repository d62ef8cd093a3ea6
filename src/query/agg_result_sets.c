/* Results of histograms, ranges and filters. */
#include "query/agg.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- histograms --------------------------------------------------------------------------------
 */

/* One bucket of a histogram: also those that nothing fell into. */
struct step {
    int64_t key;
    uint32_t bucket;
};
struct steps {
    struct step *items;
    size_t count, capacity;
};

static bool add_step(struct vz_agg_node *node, struct steps *steps, int64_t key, uint32_t bucket)
{
    if (steps->count > VZ_MAX_BUCKETS) {
        node->run->printed = VZ_MAX_BUCKETS;
        return vz_agg_fail(
            node->run, VZ_LIMIT,
            "Trying to create too many buckets. Must be less than or equal to: [%d] but was [%zu]. "
            "This limit can be set by changing the [search.max_buckets] cluster level setting.",
            VZ_MAX_BUCKETS, steps->count);
    }
    if (steps->count == steps->capacity) {
        steps->capacity = steps->capacity * 2 + 64;
        steps->items = vz_realloc(steps->items, steps->capacity * sizeof *steps->items);
    }
    steps->items[steps->count++] = (struct step){key, bucket};
    return true;
}

static int64_t next_key(const struct vz_agg *agg, int64_t key)
{
    const struct vz_agg_interval *interval = &agg->source.interval;
    return interval->dates ? vz_agg_date_next(interval, key) : key + 1;
}

static bool bound_key(struct vz_agg_node *node, struct vz_json bound, int64_t *key)
{
    double number;
    if (vz_json_type(bound) == VZ_JSON_MISSING)
        return false;
    return vz_agg_read_number(&node->values[0], bound, false, &number) &&
           vz_agg_interval_key(node->run, &node->agg->source.interval, number, key);
}

static int by_bucket_key(const void *a, const void *b, void *node_void)
{
    const struct vz_agg_node *node = node_void;
    int64_t x = node->keys[*(const uint32_t *)a].value, y = node->keys[*(const uint32_t *)b].value;
    return (x > y) - (x < y);
}

/* Ascending, with the gaps filled when empty buckets are wanted. */
static void make_steps(struct vz_agg_node *node, uint32_t owner, struct steps *steps)
{
    const struct vz_agg *agg = node->agg;
    uint32_t *buckets;
    size_t count = vz_agg_buckets_of(node, owner, &buckets), at = 0;
    uint64_t least = agg->has_min_doc_count ? agg->min_doc_count : 0;
    int64_t low = 0, high = 0, bound;
    if (count)
        qsort_r(buckets, count, sizeof *buckets, by_bucket_key, node);
    if (least > 0) {
        for (size_t i = 0; i < count; i++)
            if (vz_agg_count_of(node, buckets[i]) >= least &&
                !add_step(node, steps, node->keys[buckets[i]].value, buckets[i]))
                return;
        return;
    }
    bool any = count > 0, has_low = bound_key(node, agg->bounds_min, &bound);
    if (any) {
        low = node->keys[buckets[0]].value;
        high = node->keys[buckets[count - 1]].value;
    }
    if (has_low)
        low = any ? VZ_MIN(low, bound) : bound;
    if (bound_key(node, agg->bounds_max, &bound))
        high = any ? VZ_MAX(high, bound) : bound;
    else if (!any)
        return;
    if ((!any && !has_low) || node->run->status != VZ_OK)
        return;
    for (int64_t key = low; key <= high; key = next_key(agg, key)) {
        bool here = at < count && node->keys[buckets[at]].value == key;
        if (!add_step(node, steps, key, here ? buckets[at] : VZ_AGG_NOTHING))
            return;
        at += here;
    }
}

/* A bucket that nothing fell into stands behind the others when a child's figure orders. */
static int compare_steps(const void *a, const void *b, void *node_void)
{
    struct vz_agg_node *node = node_void;
    const struct step *x = a, *y = b;
    for (size_t i = 0; i < node->agg->order_count; i++) {
        const struct vz_agg_order *order = &node->agg->order[i];
        int result = 0;
        if (vz_slice_is(order->path, "_key")) {
            result = (x->key > y->key) - (x->key < y->key);
        } else if (vz_slice_is(order->path, "_count")) {
            uint64_t p = vz_agg_count_of(node, x->bucket), q = vz_agg_count_of(node, y->bucket);
            result = (p > q) - (p < q);
        } else {
            double p = vz_agg_order_value(node, order->path, x->bucket);
            double q = vz_agg_order_value(node, order->path, y->bucket);
            if (!isfinite(p) || !isfinite(q)) {
                if (isfinite(p) != isfinite(q))
                    return isfinite(p) ? -1 : 1;
            } else {
                result = (p > q) - (p < q);
            }
        }
        if (result)
            return order->descending ? -result : result;
    }
    return (x->key > y->key) - (x->key < y->key);
}

static void name_step(struct vz_agg_node *node, int64_t key, struct vz_agg_bucket *bucket)
{
    const struct vz_agg_interval *interval = &node->agg->source.interval;
    struct vz_buf name = {0}, text = {0};
    struct vz_json_writer w = vz_json_writer_on(&text);
    double number =
        interval->dates ? (double)key : (double)key * interval->width + interval->offset;
    char digits[32];
    bool shown = vz_agg_number_text(&node->values[0], number, &name);
    vz_json_begin_object(&w);
    if (shown)
        vz_json_field_string(&w, "key_as_string", vz_buf_slice(&name));
    else
        vz_buf_append_str(&name, vz_query_number(number, digits));
    if (interval->dates)
        vz_json_field_int(&w, "key", key);
    else
        vz_json_field_double(&w, "key", number);
    vz_json_end_object(&w);
    bucket->number = number;
    bucket->head = vz_agg_members(node->run, &text);
    bucket->name = vz_arena_copy(node->run->arena, vz_buf_slice(&name));
    vz_buf_deinit(&name);
    vz_buf_deinit(&text);
}

void vz_agg_result_histogram(struct vz_agg_result *result, struct vz_agg_node *node,
                             uint32_t owner)
{
    const struct vz_agg *agg = node->agg;
    struct steps steps = {0};
    result->keyed = agg->keyed;
    if (!vz_agg_check_order(node))
        return;
    make_steps(node, owner, &steps);
    if (agg->order_count && steps.count)
        qsort_r(steps.items, steps.count, sizeof *steps.items, compare_steps, node);
    for (size_t i = 0; i < steps.count && node->run->status == VZ_OK; i++) {
        struct step step = steps.items[i];
        struct vz_agg_bucket *bucket = vz_agg_add_bucket(
            result, node, step.bucket,
            vz_agg_count_of(node, step.bucket == VZ_AGG_NOTHING ? SIZE_MAX : step.bucket));
        if (bucket)
            name_step(node, step.key, bucket);
    }
    free(steps.items);
}

/* ---- fixed sets --------------------------------------------------------------------------------
 */

static size_t place_of(uint32_t owner, size_t set, size_t place)
{
    return owner == VZ_AGG_NOTHING ? SIZE_MAX : owner * set + place;
}

static struct vz_agg_bucket *add_place(struct vz_agg_result *result, struct vz_agg_node *node,
                                       size_t place)
{
    return vz_agg_add_bucket(result, node, place >= VZ_AGG_NOTHING ? VZ_AGG_NOTHING : (uint32_t)place,
                             vz_agg_count_of(node, place));
}

static double range_bound(const struct vz_agg_node *node, size_t range, bool to)
{
    const double *bounds = to ? node->range_to : node->range_from;
    if (bounds)
        return bounds[range];
    struct vz_json given = to ? node->agg->ranges[range].to : node->agg->ranges[range].from;
    double number;
    return vz_json_as_double(given, &number) ? number : to ? INFINITY : -INFINITY;
}

static bool has_text(const struct vz_agg_node *node)
{
    const struct vz_agg_values *values = &node->values[0];
    return node->agg->kind == VZ_AGG_DATE_RANGE || values->class == VZ_CLASS_DATE ||
           (values->source->format.len && node->agg->kind == VZ_AGG_RANGE);
}

static void bound_text(const struct vz_agg_node *node, double bound, struct vz_buf *out)
{
    char digits[32];
    vz_buf_clear(out);
    if (isinf(bound))
        vz_buf_append_char(out, '*');
    else if (!has_text(node) || !vz_agg_number_text(&node->values[0], bound, out))
        vz_buf_append_str(out, vz_query_number(bound, digits));
}

static int by_bounds(const void *a, const void *b, void *node)
{
    size_t x = *(const size_t *)a, y = *(const size_t *)b;
    double p = range_bound(node, x, false), q = range_bound(node, y, false);
    if (p == q) {
        p = range_bound(node, x, true);
        q = range_bound(node, y, true);
    }
    if (p == q)
        return (x > y) - (x < y);
    return p < q ? -1 : 1;
}

static void name_range(struct vz_agg_node *node, size_t range, struct vz_agg_bucket *bucket)
{
    const struct vz_agg *agg = node->agg;
    double from = range_bound(node, range, false), to = range_bound(node, range, true);
    bool texts = has_text(node);
    struct vz_buf from_text = {0}, to_text = {0}, key = {0}, text = {0};
    struct vz_json_writer w = vz_json_writer_on(&text);
    bound_text(node, from, &from_text);
    bound_text(node, to, &to_text);
    if (agg->ranges[range].key.len)
        vz_buf_append_slice(&key, agg->ranges[range].key);
    else if (agg->kind == VZ_AGG_GEO_DISTANCE && from == 0 &&
             vz_json_type(agg->ranges[range].from) == VZ_JSON_MISSING)
        vz_buf_printf(&key, "*-%s", to_text.data);
    else
        vz_buf_printf(&key, "%s-%s", from_text.data, to_text.data);
    vz_json_begin_object(&w);
    if (!agg->keyed)
        vz_json_field_string(&w, "key", vz_buf_slice(&key));
    if (!isinf(from))
        vz_json_field_double(&w, "from", from);
    if (!isinf(from) && texts)
        vz_json_field_string(&w, "from_as_string", vz_buf_slice(&from_text));
    if (!isinf(to))
        vz_json_field_double(&w, "to", to);
    if (!isinf(to) && texts)
        vz_json_field_string(&w, "to_as_string", vz_buf_slice(&to_text));
    vz_json_end_object(&w);
    bucket->head = vz_agg_members(node->run, &text);
    bucket->name = vz_arena_copy(node->run->arena, vz_buf_slice(&key));
    vz_buf_deinit(&from_text);
    vz_buf_deinit(&to_text);
    vz_buf_deinit(&key);
    vz_buf_deinit(&text);
}

static void add_ranges(struct vz_agg_result *result, struct vz_agg_node *node, uint32_t owner)
{
    const struct vz_agg *agg = node->agg;
    size_t *order = vz_arena_alloc(node->run->arena, (agg->range_count + 1) * sizeof *order);
    for (size_t i = 0; i < agg->range_count; i++)
        order[i] = i;
    qsort_r(order, agg->range_count, sizeof *order, by_bounds, node);
    for (size_t i = 0; i < agg->range_count && node->run->status == VZ_OK; i++) {
        struct vz_agg_bucket *bucket =
            add_place(result, node, place_of(owner, agg->range_count, order[i]));
        if (bucket)
            name_range(node, order[i], bucket);
    }
}

static void add_filters(struct vz_agg_result *result, struct vz_agg_node *node, uint32_t owner)
{
    const struct vz_agg *agg = node->agg;
    size_t set = agg->filters.count + (agg->other_key.len > 0);
    bool named = agg->filter_keys != NULL;
    result->keyed = named && (!agg->has_keyed || agg->keyed);
    for (size_t i = 0; i < set && node->run->status == VZ_OK; i++) {
        struct vz_agg_bucket *bucket = add_place(result, node, place_of(owner, set, i));
        if (!bucket || !named)
            continue;
        bucket->name = i < agg->filters.count ? agg->filter_keys[i] : agg->other_key;
        if (!result->keyed) {
            struct vz_buf text = {0};
            struct vz_json_writer w = vz_json_writer_on(&text);
            vz_json_begin_object(&w);
            vz_json_field_string(&w, "key", bucket->name);
            vz_json_end_object(&w);
            bucket->head = vz_agg_members(node->run, &text);
            vz_buf_deinit(&text);
        }
    }
}

/* ---- adjacency_matrix --------------------------------------------------------------------------
 */

struct cell {
    struct vz_slice name;
    size_t place;
};

static int by_name(const void *a, const void *b)
{
    return vz_slice_cmp(((const struct cell *)a)->name, ((const struct cell *)b)->name);
}

static void add_matrix(struct vz_agg_result *result, struct vz_agg_node *node, uint32_t owner)
{
    const struct vz_agg *agg = node->agg;
    size_t n = agg->filters.count, set = n + n * (n - 1) / 2, at = 0;
    struct vz_slice with = agg->other_key.len ? agg->other_key : VZ_SLICE("&");
    struct cell *cells = vz_arena_alloc(node->run->arena, (set + 1) * sizeof *cells);
    for (size_t a = 0; a < n; a++)
        cells[at++] = (struct cell){agg->filter_keys[a], a};
    for (size_t a = 0; a < n; a++)
        for (size_t b = a + 1; b < n; b++, at++) {
            struct vz_slice x = agg->filter_keys[a], y = agg->filter_keys[b];
            bool swap = vz_slice_cmp(x, y) > 0;
            cells[at] = (struct cell){
                vz_slice_from(vz_arena_printf(node->run->arena, "%.*s%.*s%.*s",
                                              VZ_ARG(swap ? y : x), VZ_ARG(with),
                                              VZ_ARG(swap ? x : y))),
                at};
        }
    qsort(cells, set, sizeof *cells, by_name);
    for (size_t i = 0; i < set && node->run->status == VZ_OK; i++) {
        size_t place = place_of(owner, set, cells[i].place);
        if (vz_agg_count_of(node, place) == 0)
            continue;
        struct vz_agg_bucket *bucket = add_place(result, node, place);
        if (!bucket)
            return;
        struct vz_buf text = {0};
        struct vz_json_writer w = vz_json_writer_on(&text);
        vz_json_begin_object(&w);
        vz_json_field_string(&w, "key", cells[i].name);
        vz_json_end_object(&w);
        bucket->name = cells[i].name;
        bucket->head = vz_agg_members(node->run, &text);
        vz_buf_deinit(&text);
    }
}

void vz_agg_result_set(struct vz_agg_result *result, struct vz_agg_node *node, uint32_t owner)
{
    result->keyed = node->agg->keyed;
    if (node->agg->kind == VZ_AGG_FILTERS)
        add_filters(result, node, owner);
    else if (node->agg->kind == VZ_AGG_ADJACENCY)
        add_matrix(result, node, owner);
    else
        add_ranges(result, node, owner);
}
