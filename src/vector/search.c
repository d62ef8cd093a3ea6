/* Searching: down the upper levels greedily, one walk on level 0, the best k of what it kept. */
#include "vector/graph.h"

static enum vz_status check(const struct vz_hnsw_search *search, struct vz_error *err)
{
    if (!search->query)
        return vz_fail(err, VZ_BAD_ARGUMENT, "a search needs a query vector");
    if (search->k < 1)
        return vz_fail(err, VZ_BAD_ARGUMENT, "k must be at least 1");
    return VZ_OK;
}

enum vz_status vz_hnsw_search(const struct vz_hnsw *graph, const struct vz_hnsw_search *search,
                              struct vz_near *out, uint32_t *found, struct vz_hnsw_stats *stats,
                              struct vz_error *err)
{
    *found = 0;
    if (stats)
        *stats = (struct vz_hnsw_stats){0};
    enum vz_status status = check(search, err);
    if (status != VZ_OK)
        return status;
    /* The entry first: its row is below any limit read later. */
    uint64_t entry = atomic_load_explicit(&graph->entry, memory_order_acquire);
    if (!entry)
        return VZ_OK;
    uint32_t limit = atomic_load_explicit(&graph->limit, memory_order_acquire);
    uint32_t k = VZ_MIN(search->k, limit), ef = VZ_MIN(VZ_MAX(search->ef, k), limit);
    struct vz_scratch *s = vz_scratch_get(graph, limit, ef);
    if (!s)
        return vz_fail(err, VZ_BUDGET, "no memory for a search with ef %u", ef);
    struct vz_scorer scorer = {.space = &graph->space, .query = search->query};
    if (graph->quantized)
        vz_codes_query(&scorer, graph, s->codes);
    struct vz_walk walk = {
        .graph = graph, .scorer = &scorer, .scratch = s, .search = search, .limit = limit};
    vz_walk_descend(&walk, entry, 0);
    if (!search->accept)
        vz_walk_level(&walk, 0, ef);
    else if (!vz_walk_accept(&walk, ef))
        return vz_fail(err, VZ_BUDGET, "no memory for a filtered search");
    if (graph->quantized)
        vz_walk_rescore(&walk);
    *found = VZ_MIN(k, s->pool_count);
    for (uint32_t i = 0; i < *found; i++)
        out[i] = (struct vz_near){vz_key_row(s->pool[i]), vz_key_similarity(s->pool[i])};
    if (stats)
        *stats = (struct vz_hnsw_stats){.visited = walk.visited, .hops = walk.hops};
    return VZ_OK;
}
