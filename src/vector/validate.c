/* The invariants of the essay in hnsw.c, checked one by one. Inserts are paused meanwhile. */
#include "vector/graph.h"

#include "base/bitset.h"

#include <stdlib.h>

static enum vz_status check_list(const struct vz_hnsw *graph, uint32_t row, unsigned level,
                                 uint32_t limit, struct vz_error *err)
{
    uint32_t width, seen[1024], length = 0;
    vz_link *list = vz_list(graph, row, level, &width);
    if (!list)
        return vz_fail(err, VZ_CORRUPT, "row %u has no list on level %u", row, level);
    bool ended = false;
    for (uint32_t i = 0; i < width; i++) {
        uint32_t link = atomic_load_explicit(list + i, memory_order_acquire),
                 to = vz_link_row(link);
        if (!link) {
            ended = true;
            continue;
        }
        if (ended)
            return vz_fail(err, VZ_CORRUPT, "row %u level %u: a hole in the list", row, level);
        if (to >= limit)
            return vz_fail(err, VZ_CORRUPT, "row %u level %u links to row %u of %u", row, level, to,
                           limit);
        if (to == row)
            return vz_fail(err, VZ_CORRUPT, "row %u level %u links to itself", row, level);
        if (vz_is_leaving(graph, to))
            return vz_fail(err, VZ_CORRUPT, "row %u level %u links to row %u, which is removed",
                           row, level, to);
        if (vz_level(graph, to) < level)
            return vz_fail(err, VZ_CORRUPT, "row %u level %u links to row %u of level %u", row,
                           level, to, vz_level(graph, to));
        for (uint32_t j = 0; j < length; j++)
            if (seen[j] == to)
                return vz_fail(err, VZ_CORRUPT, "row %u level %u links twice to row %u", row, level,
                               to);
        seen[length++] = to;
    }
    return VZ_OK;
}

/* Every row above level 0 owns as many adjacent upper lists as its level, and nobody else's. */
static enum vz_status check_place(const struct vz_hnsw *graph, uint32_t row, uint32_t count,
                                  struct vz_bitset *owned, struct vz_error *err)
{
    uint32_t place = atomic_load_explicit(vz_place(graph, row), memory_order_acquire);
    uint32_t first = place & VZ_PLACE_LIST;
    unsigned level = vz_level(graph, row);
    if (row < count && !(place & (VZ_PLACE_DONE | VZ_PLACE_REMOVED)))
        return vz_fail(err, VZ_CORRUPT, "row %u of %u is not marked as in", row, count);
    if (!(place & (VZ_PLACE_DONE | VZ_PLACE_REMOVED)))
        return VZ_OK;
    if ((first != 0) != (level != 0))
        return vz_fail(err, VZ_CORRUPT, "row %u of level %u has place %u", row, level, first);
    for (unsigned l = 0; l < level; l++) {
        uint64_t list = (uint64_t)first - 1 + l;
        if (list >= owned->bits || vz_bitset_has(owned, list))
            return vz_fail(err, VZ_CORRUPT, "row %u: upper list %llu is outside or not its own",
                           row, (unsigned long long)list);
        vz_bitset_set(owned, list);
    }
    return VZ_OK;
}

static enum vz_status check_entry(const struct vz_hnsw *graph, uint32_t limit, struct vz_error *err)
{
    uint64_t entry = atomic_load_explicit(&graph->entry, memory_order_acquire);
    if (graph->flat)
        return entry ? vz_fail(err, VZ_CORRUPT, "a flat index has an entry point") : VZ_OK;
    uint32_t linked = 0;
    for (uint32_t row = 0; row < limit; row++)
        linked += !vz_is_leaving(graph, row);
    if (!entry)
        return linked ? vz_fail(err, VZ_CORRUPT, "%u rows and no entry point", linked) : VZ_OK;
    if (vz_entry_row(entry) < limit && vz_is_leaving(graph, vz_entry_row(entry)))
        return vz_fail(err, VZ_CORRUPT, "the entry point, row %u, is removed", vz_entry_row(entry));
    if (vz_entry_row(entry) >= limit)
        return vz_fail(err, VZ_CORRUPT, "the entry point is row %u of %u", vz_entry_row(entry),
                       limit);
    if (vz_level(graph, vz_entry_row(entry)) != vz_entry_level(entry))
        return vz_fail(err, VZ_CORRUPT, "the entry point, row %u, is not of level %u",
                       vz_entry_row(entry), vz_entry_level(entry));
    for (uint32_t row = 0; row < limit; row++)
        if (vz_level(graph, row) > vz_entry_level(entry) &&
            (atomic_load_explicit(vz_place(graph, row), memory_order_acquire) & VZ_PLACE_DONE))
            return vz_fail(err, VZ_CORRUPT, "row %u is above the entry point's level", row);
    return VZ_OK;
}

/* Breadth first over level 0. */
static enum vz_status check_reach(const struct vz_hnsw *graph, uint32_t limit, uint32_t count,
                                  struct vz_error *err)
{
    uint64_t entry = atomic_load_explicit(&graph->entry, memory_order_acquire);
    if (!entry)
        return VZ_OK;
    struct vz_bitset seen;
    vz_bitset_init(&seen, limit);
    uint32_t *queue = vz_try_alloc(limit, sizeof *queue);
    if (!queue) {
        vz_bitset_deinit(&seen);
        return vz_fail(err, VZ_BUDGET, "no memory to walk %u rows", limit);
    }
    uint32_t head = 0, tail = 0, width, wanted = 0;
    for (uint32_t row = 0; row < count; row++)
        wanted += !vz_is_leaving(graph, row);
    queue[tail++] = vz_entry_row(entry);
    vz_bitset_set(&seen, vz_entry_row(entry));
    while (head < tail) {
        vz_link *list = vz_list(graph, queue[head++], 0, &width);
        for (uint32_t i = 0; i < width; i++) {
            uint32_t link = atomic_load_explicit(list + i, memory_order_acquire);
            if (!link)
                break;
            if (vz_bitset_has(&seen, vz_link_row(link)))
                continue;
            vz_bitset_set(&seen, vz_link_row(link));
            queue[tail++] = vz_link_row(link);
        }
    }
    free(queue);
    vz_bitset_deinit(&seen);
    if (tail < wanted)
        return vz_fail(err, VZ_CORRUPT, "only %u of %u rows can be reached", tail, wanted);
    return VZ_OK;
}

static enum vz_status check_removed(const struct vz_hnsw *graph, uint32_t limit,
                                    struct vz_error *err)
{
    uint32_t removed = 0, linked = 0;
    for (uint32_t row = 0; row < limit; row++) {
        removed += vz_is_removed(graph, row);
        linked += vz_is_removed(graph, row) && !vz_is_leaving(graph, row);
    }
    uint32_t counted = atomic_load_explicit(&graph->removed, memory_order_acquire);
    if (removed != counted || linked != vz_hnsw_removed_count(graph))
        return vz_fail(err, VZ_CORRUPT, "%u rows are removed, %u of them linked, not %u and %u",
                       removed, linked, counted, vz_hnsw_removed_count(graph));
    return VZ_OK;
}

enum vz_status vz_hnsw_validate(const struct vz_hnsw *graph, struct vz_error *err)
{
    uint32_t limit = atomic_load_explicit(&graph->limit, memory_order_acquire);
    uint32_t count = vz_hnsw_count(graph);
    enum vz_status status = VZ_OK;
    struct vz_bitset owned;
    vz_bitset_init(&owned, atomic_load_explicit(&graph->upper_lists, memory_order_relaxed));
    for (uint32_t row = 0; row < limit && status == VZ_OK; row++) {
        status = check_place(graph, row, count, &owned, err);
        uint32_t place = atomic_load_explicit(vz_place(graph, row), memory_order_acquire);
        unsigned top = place & VZ_PLACE_LIST ? vz_level(graph, row) : 0;
        bool linked = !graph->flat && !vz_is_leaving(graph, row);
        for (unsigned level = 0; linked && level <= top && status == VZ_OK; level++)
            status = check_list(graph, row, level, limit, err);
    }
    vz_bitset_deinit(&owned);
    if (status == VZ_OK)
        status = check_entry(graph, limit, err);
    if (status == VZ_OK)
        status = check_reach(graph, limit, count, err);
    if (status == VZ_OK)
        status = check_removed(graph, limit, err);
    return status;
}
