/* Another kind for a graph that is there: its links are kept, its codes are written anew.
 *
 * Which rows a row links to is a matter of the rows, not of the copy that a walk scores: lists that
 * were selected by floats, int8 or, for kinds of few bits, by floats again, are as good for every
 * other kind. What building anew costs is the walk of each insert; here a row costs one read of its
 * elements and one code.
 *
 *   new       room for another graph, its mean; the old one is not touched
 *   advance   codes of rows that are in, some at a time: nothing else of the old graph is read, so
 *             that inserts, removals and repairs go on in it meanwhile
 *   finish    inserts and repair kept waiting: codes of what came since, then lists, places, marks
 *             and the entry point, as one copy
 *
 * The links are copied last and at once because everything in a graph names everything else: a copy
 * in parts would have to follow every change of the parts that it has already. So nothing that
 * happens to the old graph meanwhile has to be done twice, and the pause is that of copying about
 * 140 bytes a row.
 *
 * INVARIANTS
 *
 *  1. Codes of rows 0 .. coded-1 are written; all of them were in when they were coded, and a row
 *     that is in does not change (hnsw.h), so a code is right whenever it was written.
 *  2. Until finish the new graph's limit is 0: nothing but its codes and mean is there.
 *  3. The counts of removed rows are counted from the marks that were copied: a removal beside
 *     finish is in both or in neither.
 *
 * REJECTED. One graph of links shared by two sets of codes would save the copy; but an array would
 * then have two owners of which either may be freed first, and every insert two graphs to update,
 * for a state that lasts seconds. Rewriting the codes in place: searches take no lock and would see
 * codes of both kinds in one walk. */
#include "vector/graph.h"

#include <stdlib.h>

struct vz_recoding {
    struct vz_hnsw *from;
    struct vz_hnsw *to; /* NULL once it is handed out */
    uint32_t coded;
};

static enum vz_status check_pair(const struct vz_hnsw *from, const struct vz_hnsw *to,
                                 struct vz_error *err)
{
    if (from->space.dims != to->space.dims || from->space.element != to->space.element ||
        from->options.similarity != to->options.similarity)
        return vz_fail(err, VZ_BAD_ARGUMENT,
                       "a graph keeps its links only for the same dims, element and similarity");
    if (to->flat)
        return VZ_OK;
    if (from->flat)
        return vz_fail(err, VZ_BAD_ARGUMENT, "a flat index has no links to keep");
    if (from->m != to->m)
        return vz_fail(err, VZ_BAD_ARGUMENT, "lists of %u links do not become lists of %u", from->m,
                       to->m);
    return VZ_OK;
}

enum vz_status vz_recoding_new(struct vz_hnsw *from, const struct vz_hnsw_options *to,
                               struct vz_recoding **out, struct vz_error *err)
{
    struct vz_hnsw_options options = *to;
    struct vz_hnsw *graph;
    *out = NULL;
    options.seed = from->options.seed; /* the levels are those of the lists */
    enum vz_status status = vz_graph_init(&options, &graph, err);
    if (status != VZ_OK)
        return status;
    status = check_pair(from, graph, err);
    if (status != VZ_OK) {
        vz_hnsw_free(graph);
        return status;
    }
    if (vz_is_coarse(graph))
        vz_codes_mean(graph, options.sample_rows);
    struct vz_recoding *recoding = vz_calloc(1, sizeof *recoding);
    *recoding = (struct vz_recoding){.from = from, .to = graph};
    *out = recoding;
    return VZ_OK;
}

void vz_recoding_free(struct vz_recoding *recoding)
{
    if (!recoding)
        return;
    vz_hnsw_free(recoding->to);
    free(recoding);
}

uint32_t vz_recoding_count(const struct vz_recoding *recoding)
{
    return recoding->coded;
}

size_t vz_recoding_memory_bytes(const struct vz_recoding *recoding)
{
    const struct vz_hnsw *to = recoding->to;
    if (!to)
        return 0;
    return sizeof *recoding + vz_hnsw_memory_bytes(to) +
           (to->quantized ? (size_t)recoding->coded * to->code_stride : 0);
}

/* Codes of rows [coded, last), all of them in. */
static enum vz_status code_rows(struct vz_recoding *recoding, uint32_t last, struct vz_error *err)
{
    struct vz_hnsw *to = recoding->to;
    if (last > to->max_rows)
        return vz_fail(err, VZ_LIMIT, "a graph of at most %u rows cannot take %u", to->max_rows,
                       last);
    if (to->quantized && last > recoding->coded) {
        enum vz_status status = vz_grow_ensure(&to->codes, (size_t)last * to->code_stride, err);
        if (status != VZ_OK)
            return status;
        uint32_t ahead = vz_space_ahead_rows(&to->space), first = recoding->coded;
        for (uint32_t row = first; row < last; row++) {
            if (row == first || row % ahead == 0)
                vz_space_ask(&to->space, row, VZ_MIN(2 * ahead, last - row));
            vz_codes_write(to, row);
        }
    }
    recoding->coded = VZ_MAX(recoding->coded, last);
    return VZ_OK;
}

enum vz_status vz_recoding_advance(struct vz_recoding *recoding, uint32_t rows, bool *left,
                                   struct vz_error *err)
{
    uint32_t count = vz_hnsw_count(recoding->from), first = recoding->coded;
    uint32_t last = VZ_MIN(count, rows < UINT32_MAX - first ? first + rows : UINT32_MAX);
    enum vz_status status = last > first ? code_rows(recoding, last, err) : VZ_OK;
    *left = recoding->coded < count;
    return status;
}

/* ---- finish ---- */

/* Room for everything, so that nothing can fail after it. */
static enum vz_status make_room(struct vz_hnsw *to, uint32_t limit, uint32_t lists,
                                struct vz_error *err)
{
    enum vz_status status = vz_grow_ensure(&to->place, (size_t)limit * sizeof(vz_link), err);
    if (status == VZ_OK && to->quantized)
        status = vz_grow_ensure(&to->codes, (size_t)limit * to->code_stride, err);
    if (status == VZ_OK && !to->flat)
        status = vz_grow_ensure(&to->level0, (size_t)limit * to->record * sizeof(vz_link), err);
    if (status == VZ_OK && !to->flat)
        status = vz_grow_ensure(&to->upper, (size_t)lists * to->m * sizeof(vz_link), err);
    return status;
}

/* Threads that insert may have rows in whose numbers are above one that is not in yet. */
static void code_stragglers(struct vz_hnsw *to, const struct vz_hnsw *from, uint32_t first,
                            uint32_t limit)
{
    for (uint32_t row = first; to->quantized && row < limit; row++)
        if (vz_place_get(from, row) & VZ_PLACE_DONE)
            vz_codes_write(to, row);
}

static void copy_places(struct vz_hnsw *to, const struct vz_hnsw *from, uint32_t limit)
{
    const uint32_t both = VZ_PLACE_DONE | VZ_PLACE_REMOVED;
    uint32_t kept = to->flat ? both : UINT32_MAX; /* without levels nobody has upper lists */
    uint32_t removed = 0, linked = 0;
    for (uint32_t row = 0; row < limit; row++) {
        uint32_t place = vz_place_get(from, row) & kept;
        removed += (place & VZ_PLACE_REMOVED) != 0;
        linked += (place & both) == both;
        atomic_store_explicit(vz_place(to, row), place, memory_order_relaxed);
    }
    atomic_store_explicit(&to->removed, removed, memory_order_relaxed);
    atomic_store_explicit(&to->removed_linked, linked, memory_order_relaxed);
}

static enum vz_status copy_locked(struct vz_recoding *recoding, struct vz_error *err)
{
    struct vz_hnsw *to = recoding->to;
    const struct vz_hnsw *from = recoding->from;
    uint32_t limit = atomic_load_explicit(&from->limit, memory_order_acquire);
    uint32_t count = vz_hnsw_count(from);
    uint32_t lists = to->flat ? 0 : atomic_load_explicit(&from->upper_lists, memory_order_relaxed);
    enum vz_status status = code_rows(recoding, count, err);
    if (status == VZ_OK && limit > to->max_rows)
        status = vz_fail(err, VZ_LIMIT, "a graph of at most %u rows cannot take %u", to->max_rows,
                         limit);
    if (status == VZ_OK)
        status = make_room(to, limit, lists, err);
    if (status != VZ_OK)
        return status;
    code_stragglers(to, from, count, limit);
    copy_places(to, from, limit);
    uint64_t entry = 0;
    if (!to->flat) {
        entry = atomic_load_explicit(&from->entry, memory_order_acquire);
        memcpy(to->level0.base, from->level0.base, (size_t)limit * to->record * sizeof(vz_link));
        memcpy(to->upper.base, from->upper.base, (size_t)lists * to->m * sizeof(vz_link));
    }
    atomic_store_explicit(&to->upper_lists, lists, memory_order_relaxed);
    atomic_store_explicit(&to->limit, limit, memory_order_release);
    atomic_store_explicit(&to->count, count, memory_order_release);
    atomic_store_explicit(&to->entry, entry, memory_order_release);
    return VZ_OK;
}

enum vz_status vz_recoding_finish(struct vz_recoding *recoding, struct vz_hnsw **out,
                                  struct vz_error *err)
{
    struct vz_hnsw *from = recoding->from;
    *out = NULL;
    if (!recoding->to)
        return vz_fail(err, VZ_BAD_ARGUMENT, "this recoding is finished already");
    pthread_mutex_lock(&from->repair_lock);
    pthread_rwlock_wrlock(&from->insert_lock);
    enum vz_status status = copy_locked(recoding, err);
    pthread_rwlock_unlock(&from->insert_lock);
    pthread_mutex_unlock(&from->repair_lock);
    if (status == VZ_OK) {
        *out = recoding->to;
        recoding->to = NULL;
    }
    return status;
}
