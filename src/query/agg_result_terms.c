/* Results of terms and its kin, of grids and of composites. */
#include "query/agg.h"

#include <math.h>
#include <stdlib.h>

static struct vz_slice key_members(struct vz_agg_values *values, int64_t key)
{
    struct vz_buf text = {0};
    struct vz_json_writer w = vz_json_writer_on(&text);
    vz_json_begin_object(&w);
    vz_agg_put_key(values, key, &w);
    vz_json_end_object(&w);
    struct vz_slice out = vz_agg_members(values->node->run, &text);
    vz_buf_deinit(&text);
    return out;
}

static struct vz_slice key_name(struct vz_agg_values *values, int64_t key)
{
    struct vz_buf text = {0};
    vz_agg_key_text(values, key, &text);
    struct vz_slice out = vz_arena_copy(values->node->run->arena, vz_buf_slice(&text));
    vz_buf_deinit(&text);
    return out;
}

static void name_bucket(struct vz_agg_bucket *bucket, struct vz_agg_values *values, int64_t key)
{
    bucket->head = key_members(values, key);
    bucket->name = key_name(values, key);
    if (values->class != VZ_CLASS_TEXT)
        bucket->number = vz_agg_key_number(values, key);
}

/* "key":["a",1],"key_as_string":"a|1" */
static void name_multi(struct vz_agg_bucket *bucket, struct vz_agg_node *node, int64_t key)
{
    int64_t parts[VZ_MAX_AGG_SOURCES];
    struct vz_buf text = {0}, name = {0};
    struct vz_json_writer w = vz_json_writer_on(&text);
    vz_agg_key_parts(node, key, parts);
    vz_json_begin_object(&w);
    vz_json_key(&w, "key");
    vz_json_begin_array(&w);
    for (size_t i = 0; i < node->value_count; i++) {
        vz_agg_put_part(&node->values[i], parts[i], &w);
        if (i)
            vz_buf_append_char(&name, '|');
        vz_agg_key_text(&node->values[i], parts[i], &name);
    }
    vz_json_end_array(&w);
    vz_json_field_string(&w, "key_as_string", vz_buf_slice(&name));
    vz_json_end_object(&w);
    bucket->head = vz_agg_members(node->run, &text);
    bucket->name = vz_arena_copy(node->run->arena, vz_buf_slice(&name));
    vz_buf_deinit(&text);
    vz_buf_deinit(&name);
}

/* min_doc_count 0: terms that no matching document has, in any bucket of theirs. */
static size_t add_empty(struct vz_agg_node *node, uint32_t owner, uint32_t **buckets, size_t count)
{
    struct vz_agg_values *values = &node->values[0];
    bool zeros = node->agg->has_min_doc_count && node->agg->min_doc_count == 0;
    if (!zeros || node->direct || node->agg->kind != VZ_AGG_TERMS ||
        values->class != VZ_CLASS_TEXT || !values->first_field || values->numbered)
        return count;
    const struct vz_snapshot *snap = node->run->last->snap;
    size_t terms = vz_field_ordinal_count(snap, values->first_field);
    uint32_t *all = vz_arena_alloc(node->run->arena, (count + terms + 1) * sizeof *all);
    if (count)
        memcpy(all, *buckets, count * sizeof *all);
    if (owner == VZ_AGG_NOTHING || terms > VZ_MAX_BUCKETS * 16)
        return count;
    for (size_t t = 0; t < terms && node->run->status == VZ_OK; t++) {
        uint32_t bucket = vz_agg_bucket(node, owner, (int64_t)t);
        if (bucket != VZ_AGG_NOTHING && node->counts[bucket] == 0)
            all[count++] = bucket;
    }
    *buckets = all;
    return count;
}

void vz_agg_result_terms(struct vz_agg_result *result, struct vz_agg_node *node, uint32_t owner)
{
    const struct vz_agg *agg = node->agg;
    struct vz_agg_run *run = node->run;
    uint32_t *buckets = NULL;
    uint64_t other = 0;
    if (!vz_agg_check_order(node))
        return;
    bool known = node->value_count && node->values[0].class != VZ_CLASS_NONE;
    size_t count = known ? vz_agg_buckets_of(node, owner, &buckets) : 0;
    if (known)
        count = add_empty(node, owner, &buckets, count);
    count = vz_agg_keep_terms(node, buckets, count);
    for (size_t i = 0; i < count; i++)
        other += vz_agg_count_of(node, buckets[i]);
    count = vz_agg_select(node, buckets, count, agg->size, vz_agg_compare);
    for (size_t i = 0; i < count; i++)
        other -= vz_agg_count_of(node, buckets[i]);
    result->prefix = vz_slice_from(
        vz_arena_printf(run->arena,
                        "\"doc_count_error_upper_bound\":0,\"sum_other_doc_count\":%llu",
                        (unsigned long long)other));
    for (size_t i = 0; i < count && run->status == VZ_OK; i++) {
        struct vz_agg_bucket *bucket =
            vz_agg_add_bucket(result, node, buckets[i], vz_agg_count_of(node, buckets[i]));
        if (!bucket)
            return;
        int64_t key = vz_agg_key_at(node, buckets[i]);
        if (agg->kind == VZ_AGG_MULTI_TERMS)
            name_multi(bucket, node, key);
        else
            name_bucket(bucket, &node->values[0], key);
        if (agg->show_error)
            bucket->tail = VZ_SLICE("\"doc_count_error_upper_bound\":0");
    }
}

/* ---- rare_terms --------------------------------------------------------------------------------
 */

static int rarest_first(struct vz_agg_node *node, uint32_t a, uint32_t b)
{
    uint64_t x = vz_agg_count_of(node, a), y = vz_agg_count_of(node, b);
    if (x != y)
        return x < y ? -1 : 1;
    return vz_agg_compare_keys(&node->values[0], vz_agg_key_at(node, a), vz_agg_key_at(node, b));
}

void vz_agg_result_rare(struct vz_agg_result *result, struct vz_agg_node *node, uint32_t owner)
{
    uint32_t *buckets = NULL;
    size_t kept = 0, count = 0;
    if (node->values[0].class != VZ_CLASS_NONE)
        count = vz_agg_buckets_of(node, owner, &buckets);
    for (size_t i = 0; i < count; i++)
        if (vz_agg_count_of(node, buckets[i]) &&
            vz_agg_count_of(node, buckets[i]) <= node->agg->max_doc_count)
            buckets[kept++] = buckets[i];
    kept = vz_agg_keep_terms(node, buckets, kept);
    kept = vz_agg_select(node, buckets, kept, SIZE_MAX, rarest_first);
    for (size_t i = 0; i < kept && node->run->status == VZ_OK; i++) {
        struct vz_agg_bucket *bucket =
            vz_agg_add_bucket(result, node, buckets[i], vz_agg_count_of(node, buckets[i]));
        if (bucket)
            name_bucket(bucket, &node->values[0], vz_agg_key_at(node, buckets[i]));
    }
}

/* ---- significant_terms -------------------------------------------------------------------------
 *
 * Elasticsearch's JLH: the absolute change of a term's share times the relative one. */

static uint64_t foreground(const struct vz_agg_node *node, uint32_t bucket)
{
    uint32_t owner = node->direct ? 0 : node->keys[bucket].owner;
    if (!node->parent)
        return node->top_count;
    return vz_agg_count_of(node->parent, owner);
}

static double significance(struct vz_agg_node *node, uint32_t bucket)
{
    int64_t key = vz_agg_key_at(node, bucket);
    double inside = (double)vz_agg_count_of(node, bucket);
    double of = (double)foreground(node, bucket), all = (double)node->background_total;
    double outside = key >= 0 && (size_t)key < node->background_capacity
                         ? (double)node->background[key]
                         : 0;
    if (of == 0 || all == 0)
        return 0;
    outside = VZ_MAX(outside, 1.0);
    double share = inside / of, usual = outside / all, change = share - usual;
    return change <= 0 ? 0 : change * (share / usual);
}

static int most_significant(struct vz_agg_node *node, uint32_t a, uint32_t b)
{
    double x = significance(node, a), y = significance(node, b);
    if (x != y)
        return x > y ? -1 : 1;
    return vz_agg_compare_keys(&node->values[0], vz_agg_key_at(node, a), vz_agg_key_at(node, b));
}

void vz_agg_result_significant(struct vz_agg_result *result, struct vz_agg_node *node,
                               uint32_t owner)
{
    struct vz_agg_run *run = node->run;
    uint32_t *buckets = NULL;
    uint64_t least = node->agg->has_min_doc_count ? node->agg->min_doc_count : 3;
    size_t kept = 0, count = 0;
    if (node->values[0].class != VZ_CLASS_NONE)
        count = vz_agg_buckets_of(node, owner, &buckets);
    for (size_t i = 0; i < count; i++)
        if (vz_agg_count_of(node, buckets[i]) >= least && vz_agg_key_at(node, buckets[i]) >= 0 &&
            significance(node, buckets[i]) > 0)
            buckets[kept++] = buckets[i];
    kept = vz_agg_keep_terms(node, buckets, kept);
    kept = vz_agg_select(node, buckets, kept, node->agg->size, most_significant);
    uint64_t of = node->parent ? vz_agg_count_of(node->parent, owner) : node->top_count;
    result->prefix = vz_slice_from(vz_arena_printf(run->arena, "\"doc_count\":%llu,\"bg_count\":%zu",
                                                   (unsigned long long)of, node->background_total));
    for (size_t i = 0; i < kept && run->status == VZ_OK; i++) {
        struct vz_buf text = {0};
        struct vz_json_writer w = vz_json_writer_on(&text);
        struct vz_agg_bucket *bucket =
            vz_agg_add_bucket(result, node, buckets[i], vz_agg_count_of(node, buckets[i]));
        if (!bucket)
            return;
        int64_t key = vz_agg_key_at(node, buckets[i]);
        name_bucket(bucket, &node->values[0], key);
        vz_json_begin_object(&w);
        vz_json_field_double(&w, "score", significance(node, buckets[i]));
        vz_json_field_int(&w, "bg_count",
                          (size_t)key < node->background_capacity
                              ? (int64_t)node->background[key]
                              : 0);
        vz_json_end_object(&w);
        bucket->tail = vz_agg_members(run, &text);
        vz_buf_deinit(&text);
    }
}

/* ---- grids -------------------------------------------------------------------------------------
 */

static int fullest_cell(struct vz_agg_node *node, uint32_t a, uint32_t b)
{
    uint64_t x = vz_agg_count_of(node, a), y = vz_agg_count_of(node, b);
    if (x != y)
        return x > y ? -1 : 1;
    uint64_t p = (uint64_t)node->keys[a].value, q = (uint64_t)node->keys[b].value;
    return p > q ? -1 : p < q;
}

void vz_agg_result_grid(struct vz_agg_result *result, struct vz_agg_node *node, uint32_t owner)
{
    struct vz_agg_run *run = node->run;
    uint32_t *buckets = NULL;
    size_t count = vz_agg_buckets_of(node, owner, &buckets);
    count = vz_agg_select(node, buckets, count, node->agg->size, fullest_cell);
    for (size_t i = 0; i < count && run->status == VZ_OK; i++) {
        struct vz_buf text = {0};
        struct vz_agg_bucket *bucket =
            vz_agg_add_bucket(result, node, buckets[i], vz_agg_count_of(node, buckets[i]));
        if (!bucket)
            return;
        uint64_t key = (uint64_t)node->keys[buckets[i]].value;
        if (node->agg->kind == VZ_AGG_GEOHASH_GRID)
            vz_geohash_text(key, node->agg->precision, &text);
        else
            vz_geotile_text(key, &text);
        bucket->name = vz_arena_copy(run->arena, vz_buf_slice(&text));
        bucket->head =
            vz_slice_from(vz_arena_printf(run->arena, "\"key\":\"%.*s\"", VZ_ARG(bucket->name)));
        vz_buf_deinit(&text);
    }
}

/* ---- composite ---------------------------------------------------------------------------------
 */

static int by_parts(struct vz_agg_node *node, uint32_t a, uint32_t b)
{
    int64_t x[VZ_MAX_AGG_SOURCES], y[VZ_MAX_AGG_SOURCES];
    vz_agg_key_parts(node, node->keys[a].value, x);
    vz_agg_key_parts(node, node->keys[b].value, y);
    return vz_agg_compare_parts(node, x, y);
}

static struct vz_slice composite_key(struct vz_agg_node *node, const char *name, uint32_t bucket)
{
    int64_t parts[VZ_MAX_AGG_SOURCES];
    struct vz_buf text = {0};
    struct vz_json_writer w = vz_json_writer_on(&text);
    vz_agg_key_parts(node, node->keys[bucket].value, parts);
    vz_json_begin_object(&w);
    vz_json_key(&w, name);
    vz_json_begin_object(&w);
    for (size_t i = 0; i < node->value_count; i++) {
        vz_json_key_slice(&w, node->values[i].source->name);
        vz_agg_put_part(&node->values[i], parts[i], &w);
    }
    vz_json_end_object(&w);
    vz_json_end_object(&w);
    struct vz_slice out = vz_agg_members(node->run, &text);
    vz_buf_deinit(&text);
    return out;
}

void vz_agg_result_composite(struct vz_agg_result *result, struct vz_agg_node *node,
                             uint32_t owner)
{
    uint32_t *buckets = NULL;
    size_t count = vz_agg_buckets_of(node, owner, &buckets);
    count = vz_agg_select(node, buckets, count, node->agg->size, by_parts);
    for (size_t i = 0; i < count && node->run->status == VZ_OK; i++) {
        struct vz_agg_bucket *bucket =
            vz_agg_add_bucket(result, node, buckets[i], vz_agg_count_of(node, buckets[i]));
        if (bucket)
            bucket->head = composite_key(node, "key", buckets[i]);
    }
    if (count)
        result->prefix = composite_key(node, "after_key", buckets[count - 1]);
}
