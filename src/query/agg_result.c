/* Aggregations: what came out, as a tree: buckets chosen, put in order, each with its children's
 * part for that bucket. Then the pipelines run over the tree, and it is written. */
#include "query/agg.h"

#include <math.h>
#include <stdlib.h>

/* The buckets of a node by owner. */
struct vz_agg_view {
    uint32_t *sorted;
    uint32_t *offsets; /* of owners in it; owner_count + 1 of them */
    size_t owner_count;
};

uint64_t vz_agg_count_of(const struct vz_agg_node *node, size_t bucket)
{
    return bucket < node->bucket_count ? node->counts[bucket] : 0;
}

int64_t vz_agg_key_at(const struct vz_agg_node *node, uint32_t bucket)
{
    if (!node->direct)
        return node->keys[bucket].value;
    return bucket == node->bucket_count - 1 ? -1 : (int64_t)bucket;
}

static struct vz_agg_view *view_of(struct vz_agg_node *node)
{
    struct vz_arena *arena = node->run->arena;
    if (node->view)
        return node->view;
    struct vz_agg_view *view = node->view = vz_arena_zalloc(arena, sizeof *view);
    if (node->direct)
        return view;
    for (size_t i = 0; i < node->bucket_count; i++)
        view->owner_count = VZ_MAX(view->owner_count, (size_t)node->keys[i].owner + 1);
    view->offsets = vz_arena_zalloc(arena, (view->owner_count + 2) * sizeof(uint32_t));
    view->sorted = vz_arena_alloc(arena, (node->bucket_count + 1) * sizeof(uint32_t));
    for (size_t i = 0; i < node->bucket_count; i++)
        view->offsets[node->keys[i].owner + 2]++;
    for (size_t i = 2; i < view->owner_count + 2; i++)
        view->offsets[i] += view->offsets[i - 1];
    for (size_t i = 0; i < node->bucket_count; i++)
        view->sorted[view->offsets[node->keys[i].owner + 1]++] = (uint32_t)i;
    return view;
}

size_t vz_agg_buckets_of(struct vz_agg_node *node, uint32_t owner, uint32_t **out)
{
    struct vz_agg_view *view = view_of(node);
    *out = NULL;
    if (node->direct) {
        size_t count = 0;
        *out = vz_arena_alloc(node->run->arena, (node->bucket_count + 1) * sizeof(uint32_t));
        bool zeros = node->agg->has_min_doc_count && node->agg->min_doc_count == 0;
        for (size_t i = 0; i < node->bucket_count; i++)
            if (node->counts[i] || zeros)
                (*out)[count++] = (uint32_t)i;
        return owner == 0 ? count : 0;
    }
    if (owner >= view->owner_count)
        return 0;
    *out = view->sorted + view->offsets[owner];
    return view->offsets[owner + 1] - view->offsets[owner];
}

/* ---- choosing ----------------------------------------------------------------------------------
 */

struct chooser {
    struct vz_agg_node *node;
    int (*compare)(struct vz_agg_node *node, uint32_t a, uint32_t b);
};

static int compare_pointers(const void *a, const void *b, void *chooser_void)
{
    const struct chooser *c = chooser_void;
    return c->compare(c->node, *(const uint32_t *)a, *(const uint32_t *)b);
}

static void sift(const struct chooser *c, uint32_t *heap, size_t count, size_t at)
{
    uint32_t moving = heap[at];
    for (;;) {
        size_t child = 2 * at + 1;
        if (child >= count)
            break;
        if (child + 1 < count && c->compare(c->node, heap[child + 1], heap[child]) > 0)
            child++;
        if (c->compare(c->node, heap[child], moving) <= 0)
            break;
        heap[at] = heap[child];
        at = child;
    }
    heap[at] = moving;
}

size_t vz_agg_select(struct vz_agg_node *node, uint32_t *buckets, size_t count, size_t size,
                     int (*compare)(struct vz_agg_node *node, uint32_t a, uint32_t b))
{
    struct chooser c = {node, compare};
    if (count > size) {
        for (size_t i = size / 2; i-- > 0;) /* the worst of the kept on top */
            sift(&c, buckets, size, i);
        for (size_t i = size; i < count; i++) {
            if (c.compare(node, buckets[i], buckets[0]) >= 0)
                continue;
            uint32_t worst = buckets[0];
            buckets[0] = buckets[i];
            buckets[i] = worst;
            sift(&c, buckets, size, 0);
        }
        count = size;
    }
    if (count)
        qsort_r(buckets, count, sizeof *buckets, compare_pointers, &c);
    return count;
}

/* ---- building ----------------------------------------------------------------------------------
 */

struct vz_slice vz_agg_members(struct vz_agg_run *run, struct vz_buf *object)
{
    struct vz_slice text = vz_buf_slice(object);
    if (text.len < 2)
        return (struct vz_slice){0};
    return vz_arena_copy(run->arena, (struct vz_slice){text.ptr + 1, text.len - 2});
}

struct vz_agg_bucket *vz_agg_add_bucket(struct vz_agg_result *result, struct vz_agg_node *node,
                                        uint32_t number, uint64_t doc_count)
{
    struct vz_agg_run *run = node->run;
    if (++run->printed > VZ_MAX_BUCKETS) {
        vz_agg_fail(run, VZ_LIMIT,
                    "Trying to create too many buckets. Must be less than or equal to: [%d] but "
                    "was [%zu]. This limit can be set by changing the [search.max_buckets] "
                    "cluster level setting.",
                    VZ_MAX_BUCKETS, run->printed);
        return NULL;
    }
    if (result->bucket_count == result->bucket_capacity) {
        size_t capacity = result->bucket_capacity * 2 + 8;
        struct vz_agg_bucket *grown = vz_arena_alloc(run->arena, capacity * sizeof *grown);
        if (result->bucket_count)
            memcpy(grown, result->buckets, result->bucket_count * sizeof *grown);
        result->buckets = grown;
        result->bucket_capacity = capacity;
    }
    struct vz_agg_bucket *bucket = &result->buckets[result->bucket_count++];
    *bucket = (struct vz_agg_bucket){.number = NAN, .doc_count = doc_count};
    vz_agg_results(node, number, bucket);
    return bucket;
}

struct vz_agg_result *vz_agg_add_result(struct vz_agg_run *run, struct vz_agg_bucket *bucket,
                                        const struct vz_agg *agg)
{
    if (bucket->sub_count == bucket->sub_capacity) {
        size_t capacity = bucket->sub_capacity * 2 + 4;
        struct vz_agg_result *grown = vz_arena_alloc(run->arena, capacity * sizeof *grown);
        if (bucket->sub_count)
            memcpy(grown, bucket->subs, bucket->sub_count * sizeof *grown);
        bucket->subs = grown;
        bucket->sub_capacity = capacity;
    }
    struct vz_agg_result *result = &bucket->subs[bucket->sub_count++];
    *result = (struct vz_agg_result){.agg = agg, .type = vz_agg_kind_name(agg->kind)};
    return result;
}

static const char *type_of(const struct vz_agg_node *node)
{
    enum vz_agg_class class = node->value_count ? node->values[0].class : VZ_CLASS_NONE;
    bool text = class == VZ_CLASS_TEXT, real = class == VZ_CLASS_DOUBLE;
    switch (node->agg->kind) {
    case VZ_AGG_TERMS:
        return class == VZ_CLASS_NONE ? "umterms" : text ? "sterms" : real ? "dterms" : "lterms";
    case VZ_AGG_RARE_TERMS:
        return class == VZ_CLASS_NONE ? "umrareterms" : text ? "srareterms" : "lrareterms";
    case VZ_AGG_SIGNIFICANT_TERMS:
        return class == VZ_CLASS_NONE ? "umsigterms" : text ? "sigsterms" : "siglterms";
    case VZ_AGG_SAMPLER:
    case VZ_AGG_DIVERSIFIED_SAMPLER:
        return "sampler";
    case VZ_AGG_PERCENTILES:
        return node->agg->hdr ? "hdr_percentiles" : "tdigest_percentiles";
    case VZ_AGG_PERCENTILE_RANKS:
        return node->agg->hdr ? "hdr_percentile_ranks" : "tdigest_percentile_ranks";
    default:
        return vz_agg_kind_name(node->agg->kind);
    }
}

static void fill(struct vz_agg_result *result, struct vz_agg_node *node, uint32_t owner)
{
    enum vz_agg_kind kind = node->agg->kind;
    result->type = type_of(node);
    result->node = node;
    result->owner = owner;
    if (vz_agg_is_metric(kind)) {
        result->form = VZ_FORM_FIGURE;
        return;
    }
    if (vz_agg_is_single(kind)) {
        struct vz_agg_bucket *bucket = vz_arena_zalloc(node->run->arena, sizeof *bucket);
        result->form = VZ_FORM_SINGLE;
        result->buckets = bucket;
        result->bucket_count = 1;
        bucket->number = NAN;
        bucket->doc_count =
            vz_agg_count_of(node, owner == VZ_AGG_NOTHING ? SIZE_MAX : (size_t)owner);
        vz_agg_results(node, owner, bucket);
        return;
    }
    result->form = VZ_FORM_BUCKETS;
    switch (kind) {
    case VZ_AGG_TERMS:
    case VZ_AGG_MULTI_TERMS:
        vz_agg_result_terms(result, node, owner);
        return;
    case VZ_AGG_RARE_TERMS:
        vz_agg_result_rare(result, node, owner);
        return;
    case VZ_AGG_SIGNIFICANT_TERMS:
        vz_agg_result_significant(result, node, owner);
        return;
    case VZ_AGG_COMPOSITE:
        vz_agg_result_composite(result, node, owner);
        return;
    case VZ_AGG_GEOHASH_GRID:
    case VZ_AGG_GEOTILE_GRID:
        vz_agg_result_grid(result, node, owner);
        return;
    case VZ_AGG_HISTOGRAM:
    case VZ_AGG_DATE_HISTOGRAM:
        vz_agg_result_histogram(result, node, owner);
        return;
    default:
        vz_agg_result_set(result, node, owner);
    }
}

void vz_agg_results(struct vz_agg_node *parent, uint32_t owner, struct vz_agg_bucket *into)
{
    size_t count = parent->agg->sub_count;
    into->sub_capacity = count + parent->agg->pipeline_count;
    into->subs = vz_arena_zalloc(parent->run->arena, (into->sub_capacity + 1) * sizeof *into->subs);
    for (size_t i = 0; i < count && parent->run->status == VZ_OK; i++) {
        struct vz_agg_result *result =
            vz_agg_add_result(parent->run, into, parent->subs[i].agg);
        fill(result, &parent->subs[i], owner);
    }
}

/* ---- writing ----------------------------------------------------------------------------------- */

static void write_results(struct vz_agg_run *run, const struct vz_agg_bucket *bucket,
                          struct vz_json_writer *w);

/* Members made before, behind those that are written. */
static void put_members(struct vz_json_writer *w, struct vz_slice members)
{
    if (members.len == 0)
        return;
    uint64_t bit = 1ull << (w->depth - 1); /* of an object that is open */
    if (w->has_member & bit)
        vz_buf_append_char(w->out, ',');
    w->has_member |= bit;
    vz_buf_append_slice(w->out, members);
}

static void write_bucket(struct vz_agg_run *run, const struct vz_agg_bucket *bucket,
                         struct vz_json_writer *w)
{
    vz_json_begin_object(w);
    put_members(w, bucket->head);
    vz_json_field_int(w, "doc_count", (int64_t)bucket->doc_count);
    put_members(w, bucket->tail);
    write_results(run, bucket, w);
    vz_json_end_object(w);
}

static void write_buckets(struct vz_agg_run *run, const struct vz_agg_result *result,
                          struct vz_json_writer *w)
{
    put_members(w, result->prefix);
    vz_json_key(w, "buckets");
    if (result->keyed)
        vz_json_begin_object(w);
    else
        vz_json_begin_array(w);
    for (size_t i = 0; i < result->bucket_count && run->status == VZ_OK; i++) {
        if (result->keyed)
            vz_json_key_slice(w, result->buckets[i].name);
        write_bucket(run, &result->buckets[i], w);
    }
    if (result->keyed)
        vz_json_end_object(w);
    else
        vz_json_end_array(w);
    put_members(w, result->suffix);
}

static void write_result(struct vz_agg_run *run, const struct vz_agg_result *result,
                         struct vz_json_writer *w)
{
    struct vz_slice name = result->agg->name;
    if (run->typed)
        name = vz_slice_from(vz_arena_printf(run->arena, "%s#%.*s", result->type, VZ_ARG(name)));
    vz_json_key_slice(w, name);
    vz_json_begin_object(w);
    if (vz_json_type(result->agg->meta) != VZ_JSON_MISSING) {
        vz_json_key(w, "meta");
        vz_json_put_value(w, result->agg->meta);
    }
    switch (result->form) {
    case VZ_FORM_FIGURE:
        vz_agg_print_metric(result->node, result->owner, w);
        break;
    case VZ_FORM_SINGLE:
        vz_json_field_int(w, "doc_count", (int64_t)result->buckets[0].doc_count);
        write_results(run, &result->buckets[0], w);
        break;
    case VZ_FORM_BUCKETS:
        write_buckets(run, result, w);
        break;
    case VZ_FORM_COMPUTED:
        put_members(w, result->body);
        break;
    }
    vz_json_end_object(w);
}

static void write_results(struct vz_agg_run *run, const struct vz_agg_bucket *bucket,
                          struct vz_json_writer *w)
{
    for (size_t i = 0; i < bucket->sub_count && run->status == VZ_OK; i++)
        write_result(run, &bucket->subs[i], w);
}

enum vz_status vz_agg_print(struct vz_agg_run *run, struct vz_slice *out, struct vz_error *err)
{
    struct vz_buf buf = {0};
    struct vz_json_writer writer = vz_json_writer_on(&buf);
    struct vz_agg_bucket top = {.number = NAN};
    run->err = err;
    vz_agg_results(&run->root, 0, &top);
    if (run->status == VZ_OK)
        vz_agg_reduce_top(run, &top);
    if (run->status == VZ_OK) {
        vz_json_begin_object(&writer);
        write_results(run, &top, &writer);
        vz_json_end_object(&writer);
    }
    if (run->status == VZ_OK)
        *out = vz_arena_copy(run->arena, vz_buf_slice(&buf));
    vz_buf_deinit(&buf);
    run->err = NULL;
    return run->status;
}
