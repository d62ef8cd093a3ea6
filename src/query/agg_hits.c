/* top_hits: the best documents of each bucket.
 *
 * A heap by owner, the worst on top, of (sort values, target, document); documents are fetched when
 * the answer is written, from targets that are still open then.
 */
#include "query/agg.h"
#include "query/explain.h"
#include "query/highlight.h"

#include <math.h>
#include <stdlib.h>

struct vz_agg_heap {
    struct vz_found *items;
    struct vz_sort_value *memory; /* the items' values */
    size_t count;
    uint64_t total;
    float max_score;
};

bool vz_agg_hits_bind(struct vz_agg_node *node, struct vz_eval *eval)
{
    const struct vz_search *hits = node->agg->hits;
    if (node->nest)
        return vz_agg_fail(node->run, VZ_UNSUPPORTED,
                           "[top_hits] below [nested] is not supported yet by vizsla");
    uint32_t most = vz_index_max_inner_result_window(vz_snapshot_index(eval->snap));
    if ((uint64_t)hits->from + hits->size > most)
        return vz_agg_fail(
            node->run, VZ_LIMIT,
            "Top hits result window is too large, the top hits aggregator [%.*s]'s from + size "
            "must be less than or equal to: [%u] but was [%llu]. This limit can be set by changing "
            "the [index.max_inner_result_window] index level setting.",
            VZ_ARG(node->agg->name), most, (unsigned long long)hits->from + hits->size);
    node->readers = vz_calloc(hits->sort_count + 1, sizeof *node->readers);
    for (size_t i = 0; i < hits->sort_count; i++) {
        struct vz_error inner = {0};
        enum vz_status status = vz_sort_bind(&hits->sort[i], eval, &node->readers[i], &inner);
        if (status != VZ_OK) {
            node->run->status = status;
            if (node->run->err)
                *node->run->err = inner;
            return false;
        }
        node->reader_count++;
        struct vz_sort_types *types = node->sort_types;
        if (!types)
            types = node->sort_types =
                vz_arena_zalloc(node->run->arena, hits->sort_count * sizeof *types);
        if (node->readers[i].field)
            types[i].field = node->readers[i].field;
    }
    return true;
}

void vz_agg_hits_unbind(struct vz_agg_node *node)
{
    for (size_t i = 0; i < node->reader_count; i++)
        vz_sort_unbind(&node->readers[i]);
    free(node->readers);
    node->readers = NULL;
    node->reader_count = 0;
}

void vz_agg_hits_free(struct vz_agg_node *node)
{
    if (node->readers)
        vz_agg_hits_unbind(node);
    for (size_t i = 0; i < node->plan_count; i++) {
        vz_script_fields_close(&node->plans[i]);
        if (node->plans[i].highlighter)
            vz_highlighter_close(node->plans[i].highlighter);
        vz_arena_deinit(&node->plans[i].scratch);
    }
    free(node->plans);
    for (size_t i = 0; i < node->heap_capacity; i++) {
        free(node->heaps[i].items);
        free(node->heaps[i].memory);
    }
    free(node->heaps);
}

/* Negative when `a` comes first. */
static int compare(const struct vz_search *hits, const struct vz_found *a, const struct vz_found *b)
{
    return vz_found_compare(hits->sort, hits->sort_count, a, b);
}

static void copy_hit(const struct vz_search *hits, struct vz_found *to, const struct vz_found *from)
{
    struct vz_sort_value *values = to->values;
    if (hits->sort_count)
        memcpy(values, from->values, hits->sort_count * sizeof *values);
    *to = *from;
    to->values = values;
}

static void swap_hits(struct vz_found *a, struct vz_found *b)
{
    struct vz_found other = *a;
    *a = *b;
    *b = other;
}

static void sift_down(const struct vz_search *hits, struct vz_found *heap, size_t count, size_t at)
{
    for (;;) {
        size_t child = 2 * at + 1;
        if (child >= count)
            return;
        if (child + 1 < count && compare(hits, &heap[child + 1], &heap[child]) > 0)
            child++;
        if (compare(hits, &heap[child], &heap[at]) <= 0)
            return;
        swap_hits(&heap[child], &heap[at]);
        at = child;
    }
}

static void sift_up(const struct vz_search *hits, struct vz_found *heap, size_t at)
{
    for (size_t parent; at > 0; at = parent) {
        parent = (at - 1) / 2;
        if (compare(hits, &heap[at], &heap[parent]) <= 0)
            return;
        swap_hits(&heap[at], &heap[parent]);
    }
}

static bool open_heap(struct vz_agg_node *node, struct vz_agg_heap *heap, size_t limit)
{
    size_t keys = node->agg->hits->sort_count;
    heap->max_score = -INFINITY;
    if (!vz_agg_more(node->run,
                     limit * (sizeof(struct vz_found) + keys * sizeof(struct vz_sort_value))))
        return false;
    heap->items = vz_calloc(limit + 1, sizeof *heap->items);
    heap->memory = vz_calloc(limit * keys + 1, sizeof *heap->memory);
    for (size_t i = 0; i < limit; i++)
        heap->items[i].values = heap->memory + i * keys;
    return true;
}

void vz_agg_take_hits(struct vz_agg_node *node, const struct vz_agg_block *block)
{
    const struct vz_search *hits = node->agg->hits;
    struct vz_agg_run *run = node->run;
    size_t limit = (size_t)hits->from + hits->size;
    struct vz_sort_value scratch[VZ_MAX_SORT_KEYS];
    uint32_t last = VZ_AGG_NOTHING;
    struct vz_found one = {.target = (uint32_t)run->target_count - 1, .values = scratch};
    for (size_t i = 0; i < block->count && run->status == VZ_OK; i++) {
        uint32_t owner = block->owners ? block->owners[i] : 0;
        if (!vz_agg_grow(run, (void **)&node->heaps, &node->heap_capacity, sizeof *node->heaps,
                         owner))
            return;
        struct vz_agg_heap *heap = &node->heaps[owner];
        if (!heap->items && !open_heap(node, heap, limit))
            return;
        if (block->docs[i] != last) {
            last = one.docno = block->docs[i];
            one.score = vz_agg_score(run, last);
            for (size_t k = 0; k < hits->sort_count; k++)
                scratch[k] = vz_sort_read(&node->readers[k], last, one.score);
        }
        heap->total++;
        heap->max_score = VZ_MAX(heap->max_score, one.score);
        if (heap->count < limit) {
            copy_hit(hits, &heap->items[heap->count], &one);
            sift_up(hits, heap->items, heap->count++);
        } else if (limit && compare(hits, &one, &heap->items[0]) < 0) {
            copy_hit(hits, &heap->items[0], &one);
            sift_down(hits, heap->items, heap->count, 0);
        }
    }
}

/* ---- printing ----------------------------------------------------------------------------------
 */

static int by_order(const void *a, const void *b, void *hits)
{
    return compare(hits, a, b);
}

/* What is fetched of hits of a target, worked out once; highlights are of the search's query. */
static struct vz_fetch_plan *plan_of(struct vz_agg_node *node, uint32_t target)
{
    struct vz_agg_run *run = node->run;
    if (!node->plans) {
        struct vz_search *hits = vz_arena_alloc(run->arena, sizeof *hits);
        *hits = *node->agg->hits;
        hits->query = run->query;
        hits->knn = run->knn;
        hits->knn_count = run->knn_count;
        hits->named_scores = run->named_scores;
        node->samplers =
            vz_arena_zalloc(run->arena, run->target_count * sizeof(struct vz_sampler *));
        node->hits = hits;
        node->plans = vz_calloc(run->target_count, sizeof *node->plans);
        node->planned = vz_arena_zalloc(run->arena, run->target_count);
        node->plan_count = run->target_count;
    }
    if (!node->planned[target])
        vz_fetch_prepare(node->hits, run->evals[target], &node->plans[target]);
    node->planned[target] = true;
    return &node->plans[target];
}

static int by_docno(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

/* Asks about all hits that a target has in any bucket at once. */
static struct vz_sampler *sampler_of(struct vz_agg_node *node, uint32_t target)
{
    struct vz_agg_run *run = node->run;
    if (node->samplers[target])
        return node->samplers[target];
    size_t most = 1;
    for (size_t h = 0; h < node->heap_capacity; h++)
        most += node->heaps[h].count;
    uint32_t *docnos = vz_arena_alloc(run->arena, most * sizeof *docnos);
    struct vz_sampler *sampler = vz_arena_zalloc(run->arena, sizeof *sampler);
    *sampler = (struct vz_sampler){.eval = run->evals[target], .docnos = docnos};
    for (size_t h = 0; h < node->heap_capacity; h++)
        for (size_t i = 0; i < node->heaps[h].count; i++)
            if (node->heaps[h].items[i].target == target)
                docnos[sampler->count++] = node->heaps[h].items[i].docno;
    qsort(docnos, sampler->count, sizeof *docnos, by_docno);
    node->samplers[target] = sampler;
    return sampler;
}

static enum vz_status tell_why(struct vz_agg_node *node, const struct vz_found *hit,
                               struct vz_search_hit *out, struct vz_error *err)
{
    const struct vz_search *hits = node->hits;
    bool matched;
    enum vz_status status = VZ_OK;
    if (!hits->with_explain && !vz_search_has_names(hits))
        return VZ_OK;
    struct vz_sampler *sampler = sampler_of(node, hit->target);
    if (hits->with_explain)
        status =
            vz_explain_search(sampler, hits, hit->docno, &matched, &out->explanation, err);
    if (status == VZ_OK)
        status = vz_matched_queries(sampler, hits, hits->named_scores, hit->docno,
                                    &out->matched_queries, err);
    return status;
}

static void print_hit(struct vz_agg_node *node, const struct vz_found *hit, bool has_score,
                      struct vz_json_writer *w)
{
    const struct vz_search *hits = node->agg->hits;
    struct vz_agg_run *run = node->run;
    struct vz_eval *eval = run->evals[hit->target];
    struct vz_fetch_plan *plan = plan_of(node, hit->target);
    struct vz_search_hit out = {0};
    struct vz_error inner = {0};
    enum vz_status status = vz_fetch_hit(node->hits, plan, eval, hit->docno, &out, &inner);
    if (status == VZ_OK)
        status = tell_why(node, hit, &out, &inner);
    run->hit_bytes += out.source.len + out.fields.len + out.explanation.len;
    if (status == VZ_OK && run->hit_bytes > VZ_DEFAULT_MAX_BYTES)
        status = vz_fail(&inner, VZ_BUDGET,
                         "[request] Data too large, the documents of [top_hits] are larger than "
                         "the limit of [%zu]",
                         VZ_DEFAULT_MAX_BYTES);
    if (status != VZ_OK) {
        if (run->status == VZ_OK && run->err)
            *run->err = inner;
        run->status = status;
        return;
    }
    vz_hit_begin(w, &out, hits->stored_none);
    vz_hit_put_versions(w, &out, hits->with_version, hits->with_seq_no);
    vz_hit_put_score(w, "_score", has_score, hit->score);
    vz_json_field_raw(w, "_source", out.source);
    vz_json_field_raw(w, "fields", out.fields);
    vz_json_field_raw(w, "highlight", out.highlight);
    if (hits->sort_count) {
        vz_json_key(w, "sort");
        vz_json_begin_array(w);
        for (size_t i = 0; i < hits->sort_count; i++)
            vz_sort_print(&hits->sort[i], node->sort_types[i].field, &hit->values[i], w);
        vz_json_end_array(w);
    }
    vz_json_field_raw(w, "matched_queries", out.matched_queries);
    vz_json_field_raw(w, "_explanation", out.explanation);
    vz_json_end_object(w);
}

void vz_agg_print_hits(struct vz_agg_node *node, uint32_t owner, struct vz_json_writer *w)
{
    const struct vz_search *hits = node->agg->hits;
    struct vz_agg_heap none = {0};
    struct vz_agg_heap *heap = owner < node->heap_capacity ? &node->heaps[owner] : &none;
    bool has_score = hits->sort_count == 0 || hits->track_scores;
    for (size_t i = 0; i < hits->sort_count; i++)
        has_score |= hits->sort[i].kind == VZ_SORT_SCORE;
    if (heap->count)
        qsort_r(heap->items, heap->count, sizeof *heap->items, by_order,
                (void *)(uintptr_t)hits);
    vz_json_key(w, "hits");
    vz_hits_begin(w, heap->total, heap->total && has_score, heap->max_score);
    for (size_t i = hits->from; i < heap->count && node->run->status == VZ_OK; i++)
        print_hit(node, &heap->items[i], has_score, w);
    vz_json_end_array(w);
    vz_json_end_object(w);
}
