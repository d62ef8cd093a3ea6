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

/* A filtered walk sees fewer ways than a plain one of the same ef; below this its recall drops.
 * More in filter.c. */
#define FILTER_EF 56

static enum vz_status walk_for(struct vz_walk *walk, uint64_t entry, uint32_t ef, uint32_t keep,
                               bool removed, struct vz_error *err)
{
    const struct vz_hnsw_search *search = walk->search;
    if (search->accept || search->group || removed) {
        uint64_t groups = VZ_MIN((uint64_t)VZ_MAX(ef, keep) * VZ_WIDEST, walk->limit);
        if (search->group && !vz_scratch_group_room(walk->scratch, (uint32_t)groups))
            return vz_fail(err, VZ_BUDGET, "no memory for the groups of %u rows", ef);
        return vz_walk_filtered(walk, entry, ef, keep, err);
    }
    vz_walk_descend(walk, entry, 0, ef);
    vz_walk_level(walk, 0, ef);
    return VZ_OK;
}

/* How many candidates are scored again: what the codes lose must be among them. */
static uint32_t candidates_for(const struct vz_hnsw *graph, const struct vz_hnsw_search *search)
{
    static const uint32_t oversample[] = {1, 1, 2, 4}; /* by enum vz_quantize */
    uint64_t ef = VZ_MAX(search->ef, (uint64_t)search->k * oversample[graph->quantize]);
    if (search->accept || search->group)
        ef = VZ_MAX(ef, FILTER_EF);
    return (uint32_t)VZ_MIN(ef, UINT32_MAX);
}

/* Without links: floats at the speed of memory, or codes and the best again. */
static enum vz_status search_flat(struct vz_walk *walk, uint32_t ef, struct vz_near *out,
                                  uint32_t *found, struct vz_error *err)
{
    const struct vz_hnsw_search *search = walk->search;
    if (!walk->graph->quantized && !search->accepted && !search->group && !walk->removed) {
        walk->visited = walk->limit;
        walk->scanned = true;
        return vz_exact_range(&walk->graph->options, search, 0, walk->limit, out, found, err);
    }
    if (search->group && !vz_scratch_group_room(walk->scratch, ef))
        return vz_fail(err, VZ_BUDGET, "no memory for the groups of %u rows", ef);
    if (search->accept && !search->group) {
        if (!vz_walk_sieve(walk, VZ_MIN(search->k, walk->limit), false))
            return vz_fail(err, VZ_BUDGET, "no memory for a scan of ef %u", ef);
        return VZ_OK;
    }
    double matches =
        search->accept && search->accept_estimate ? search->accept_estimate : walk->limit;
    vz_walk_scan(walk, ef, ef, matches);
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
    uint32_t limit = graph->flat ? vz_hnsw_count(graph)
                                 : atomic_load_explicit(&graph->limit, memory_order_acquire);
    if (limit == 0 || (!entry && !graph->flat))
        return VZ_OK;
    uint32_t k = VZ_MIN(search->k, limit), ef = VZ_MIN(candidates_for(graph, search), limit);
    /* Asked once: what is removed from now on was there when this search began, and the way that it
     * goes must be the one that it takes memory for. */
    uint32_t linked = atomic_load_explicit(&graph->removed_linked, memory_order_acquire);
    uint32_t removed = atomic_load_explicit(&graph->removed, memory_order_acquire);
    bool filtered = search->accept || search->group || removed || linked;
    uint64_t room = filtered ? (uint64_t)ef * VZ_WIDEST : ef;
    struct vz_scratch *s = vz_scratch_get(graph, limit, (uint32_t)VZ_MIN(room, limit));
    if (!s)
        return vz_fail(err, VZ_BUDGET, "no memory for a search with ef %u", ef);
    struct vz_scorer scorer = vz_scorer_of_query(&graph->space, search->query);
    /* So few rows are scanned, as floats: the query's code would cost more than they. */
    bool few = search->accept && search->accept_estimate && search->accept_estimate < VZ_FEW * ef;
    if (graph->quantized && !few)
        vz_codes_query(&scorer, graph, s->codes);
    struct vz_walk walk = {.graph = graph,
                           .scorer = &scorer,
                           .scratch = s,
                           .search = search,
                           .limit = limit,
                           .removed = removed,
                           .exact = few};
    status = graph->flat ? search_flat(&walk, ef, out, found, err)
                         : walk_for(&walk, entry, ef, ef, linked, err);
    if (status == VZ_OK && graph->quantized && !walk.exact)
        vz_walk_rescore(&walk);
    if (stats)
        *stats = (struct vz_hnsw_stats){walk.visited, walk.hops, walk.scanned};
    if (status != VZ_OK || *found)
        return status;
    *found = VZ_MIN(k, s->pool_count);
    for (uint32_t i = 0; i < *found; i++)
        out[i] = (struct vz_near){vz_key_row(s->pool[i]), vz_key_similarity(s->pool[i])};
    return VZ_OK;
}
