/* A navigable small world graph with levels, after
 *
 *   Malkov and Yashunin, "Efficient and robust approximate nearest neighbor search using
 * Hierarchical Navigable Small World graphs", 2016 (arXiv 1603.09320): levels, insert (algorithm
 * 1), the walk (algorithm 2), the neighbour selection heuristic (algorithm 4), search (algorithm
 * 5).
 *
 * This file: the essay, making and freeing a graph, levels. The verbs have a file each; graph.h
 * lists them.
 *
 * WHERE IT DIFFERS FROM THE PAPER
 *
 *  1. Levels are a function of (seed, row), not of a random generator's state. Threads that insert
 *     in any order give every row the same level, and a checkpoint need not store it.
 *  2. One array sorted best first is both heaps of the walk (walk.c). It holds what the two heaps
 *     would. On level 0 the walk is one row ahead: it expands the next best row before it scores
 *     what the last one led to, and asks for all of its codes meanwhile. 594 distances a query
 *     instead of 583 at ef 24, recall 0.9464 instead of 0.9447, and 6 % faster.
 *  3. A spanning tree in every level. Pruning a full list can cut the last way to a row; in
 *     clustered data it does. Each row therefore hangs in a tree whose links carry a mark and are
 *     never pruned: it joins as a leaf of the nearest selected neighbour whose list has room for
 *     tree links (three quarters of a list), otherwise in the middle of an existing tree link. All
 *     rows can be reached from all rows, always, by construction rather than by luck.
 *  4. Ties. A candidate as near to a chosen neighbour as to the node itself is a copy, or nearly:
 *     it is kept only when places are left at the end (the paper's keepPrunedConnections, for ties
 *     alone). And a pool keeps at most max(k, ef / 2) rows of one exact similarity. Without the two
 *     rules a crowd of copies links to itself only, fills every pool and hides what lies behind it.
 *  5. A row's own lists are written on all levels before anything links to it, and it is linked
 *     from level 0 upwards. So a search that arrives at a row half inserted still finds its way on.
 *  6. A row selects m neighbours on every level; level 0 lists have 2m places, the others m.
 *     Candidates are not extended by their neighbours.
 *  7. With `quantize`, insert and walk score a small copy of the rows (codes.c); a search scores
 *     its final candidates again with the float rows, so that what it returns has true
 *     similarities: all of them, or with int8 those that four deviations of the rounding's error
 *     may bring among the k best (32 of 96 at ef 96, 21 of 24 at ef 24, and no answer changes).
 *     For copies of less than 8 bits an insert does so too, and selects neighbours
 *     by floats: a graph is built once and searched often.
 *  8. Filters and groups: filter.c, with an essay of its own.
 *  9. A descent keeps the four best rows of a level, not one, and all four are seeds of the next:
 *     the long ways of the upper levels wear off when rows are replaced (a row that comes late
 * links to near ones only), and a greedy descent then ends in a wrong region. Twenty thousand
 *     clustered rows, half of them replaced ten times: recall@10 at ef 64 is 0.947 with one, 0.980
 *     with two, 0.997 with four and with eight; built anew it is 0.999. It also pays without:
 *     0.954 for 0.941 at ef 32 and 100,000 CLIP-like rows, in the same time.
 *     On the last level before 0 a search keeps ef / 2 of them: rows far apart, of which one lies
 * near the few neighbours that a walk from a single region misses. 100,000 CLIP-like rows at
 * recall@10 0.99: 1,380 distances a query with ef / 2, 1,580 with ef / 4, 1,737 with four, 1,560
 * with ef, 1,540 with ef / 2 on all levels; at 0.95 all about 610.
 * 10. Removal: remove.c, with an essay of its own.
 *
 * INVARIANTS (vz_hnsw_validate, in validate.c, while no insert runs)
 *
 *  1. A link names a row below `limit`, not the row itself, no row twice in a list.
 *  2. A list is its links, then zeros: no hole.
 *  3. A link on level l leads to a row of level l or higher.
 *  4. A row above level 0 owns as many adjacent upper lists as its level; no list has two owners.
 *  5. The entry point is a row of the highest level there is, and stored with that level. A graph
 *     without rows has none.
 *  6. Rows 0 .. count-1 are marked as in, or as removed and unlinked.
 *  7. Every row that is in can be reached from the entry point on level 0.
 *  8. No list of a row that is in leads to a row that a repair unlinked.
 *
 * THREADS
 *
 * Searches take no lock and never wait. They read links with acquire loads; a writer stores them
 * with release after everything they lead to is written (the row's floats, its code, its lists,
 * its place among the upper lists). While a list is rewritten a search may see part of the old list
 * and part of the new one, and a link twice or not at all; all of them are real rows. A search does
 * not follow links to rows past the `limit` it read first: its visited array ends there.
 *
 * Inserters share 1,024 striped locks, held for one list at a time and never two at once, so their
 * order does not matter. grow_lock covers growth of the arrays, entry_lock the replacement of the
 * entry point (held through the insert that raises the top level, about one in m^level),
 * count_lock the count. Order: entry_lock, then any one of the others.
 *
 * A link that leaves the tree (difference 3) is taken away only after both halves of its detour
 * exist, so that the tree's rows reach each other at every moment. If two threads split one link at
 * once, the second finds it gone and tries another.
 *
 * A repair runs beside inserts, removals and searches; one at a time (repair_lock). It keeps
 * inserts waiting for a moment at its beginning (insert_lock, which every insert holds for
 * reading), so that inserts either are over before it looks at the lists or know which rows leave.
 * Order: repair_lock, insert_lock, then as above.
 *
 * Only the allocation of room for a row can fail, and it comes first: a failed insert leaves the
 * graph as it was, and may be repeated.
 *
 * MEMORY
 *
 * Level 0 is one array of lists of fixed width (128 bytes, two cache lines, for m = 16); upper
 * lists are packed in another; each row has a 4-byte place that says where its own begin. All grow
 * inside reserved address space and never move. Links need no length: a list ends at the first 0.
 *
 * MEASURED (100,000 CLIP-like rows of 512 floats, 2,000 queries, m 16, ef_construction 100,
 * processor time of one core of an EPYC with AVX-512 that others were using heavily, hnswlib 0.8.0
 * in turns with us; its build alone was on a quieter machine)
 *
 *               build     queries/s at recall@10 0.90   0.95    0.98    0.99
 *     hnswlib   31.2 s                           7,547  4,830   2,965   1,673
 *     float     16.3 s                          16,665  11,976  8,070   4,922
 *     int8       7.7 s                          36,989  26,931  16,926  11,267
 *
 * Before a walk lost its branches, and was one row ahead, the same table had 10.4 s and 25,627,
 * 18,502, 10,814 and 6,836 for int8.
 *
 * FILTERED: filter.c, and the tables of docs/adr/0005.
 *
 * TRIED AND REJECTED (one core of an EPYC with AVX-512, 512 dims)
 *
 *  - No tree, the paper as it is: 5,894 of 6,000 rows reachable in clustered l2 data, 1,031 of
 *    11,000 when 10,000 of them are copies of one row. With the tree: all, in both.
 *  - Without the limit on ties 1,078 of 1,103 rows around such copies were found by their own
 *    vector at ef 100; with it all 1,103.
 *  - "Whoever keeps nobody is adopted": giving an unlinked new row the last place of its nearest
 *    neighbour. It protects a row at its birth only; later pruning cut it off again.
 *  - Asking for memory (int8, ef 24, one process and graph, by turns; 30,082 q/s as it is): only
 *    the first four or eight rows of a batch 26,064 and 26,564; no row ahead 28,345; also the lists
 *    of everything that enters the pool 30,526, of what is better than all open rows 29,600;
 *    the kernel's next four rows into the first level instead of the second 28,696 for 29,697, but
 *    67,006 for 66,412 at 10,000 rows: noise. Looking through the next row's list for codes to ask
 *    for without expanding it loses what it gains: the list is gone through twice.
 *  - Branches. Binary search in the pool, "visited already?" and "good enough?" each go wrong half
 *    of the time: 20,802 q/s with and 29,999 without them at 100,000 rows, 61,295 and 70,065 at
 *    10,000. Collecting links without branches but keeping them in the pool gained nothing.
 *  - A new row's own list of up to 2m rows on level 0 instead of m: 604 distances for 613 at recall
 *    0.95, 1,435 for 1,413 at 0.99.
 *  - Exact scans four rows at a time, as walks do: 13 GB/s where row after row runs at 26 and a
 *    plain read at 32; four streams confuse the hardware's own read-ahead.
 *  - Rotating the rest of a row before its signs are taken, as RaBitQ does to make its bound hold
 * for any data: recall@10 among the 40 best of 2,146 real CLIP vectors is 0.996 without and 0.998
 * with a random rotation, among 20 of them 0.964 and 0.967; of 20,000 generated ones 0.955 and
 * 0.960. Without subtracting the mean first it is 0.958 and 0.898: the mean is what counts.
 *  - Eight bits of the query instead of four against signs: 0.998 where four give 0.996.
 *  - Subtracting the mean before quantizing to int8: CLIP's rows have two coordinates of 0.55 and
 * the rest near 0.03, so 127 steps over the largest seem too coarse. They are not: recall@10 at ef
 * 64 is 0.9922 on codes and 0.9928 on floats with such rows.
 */
#include "vector/hnsw.h"

#include "base/text.h"
#include "vector/graph.h"

#include <math.h>
#include <stdlib.h>
#include <sys/mman.h>

#define DEFAULT_M 16
#define DEFAULT_EF_CONSTRUCTION 100
#define DEFAULT_SEED 42
#define MAX_ROWS 0x7fffffffu

unsigned vz_level(const struct vz_hnsw *graph, uint32_t row)
{
    uint64_t state = graph->options.seed ^ (uint64_t)row * 0xD1342543DE82EF95ull;
    vz_rng_next(&state);
    double unit = 1.0 - vz_rng_unit(&state); /* (0, 1] */
    if (graph->flat)
        return 0;
    double level = -log(unit) * graph->level_scale;
    return level >= VZ_LEVEL_MAX ? VZ_LEVEL_MAX : (unsigned)level;
}

static enum vz_status check_options(struct vz_hnsw_options *o, struct vz_error *err)
{
    enum vz_status status = vz_space_check(o, err);
    if (status != VZ_OK)
        return status;
    size_t least = o->element == VZ_ELEMENT_BIT ? (o->dims + 7) / 8 : o->dims;
    if (!o->stride)
        o->stride = least;
    if (o->stride < least)
        return vz_fail(err, VZ_BAD_ARGUMENT, "stride %zu is less than a row, %zu", o->stride,
                       least);
    if (!o->m)
        o->m = DEFAULT_M;
    if (o->m < 2 || o->m > 512)
        return vz_fail(err, VZ_BAD_ARGUMENT, "m must be 2 to 512, got %u", o->m);
    if (!o->ef_construction)
        o->ef_construction = DEFAULT_EF_CONSTRUCTION;
    if (o->ef_construction > 3200)
        return vz_fail(err, VZ_BAD_ARGUMENT, "ef_construction must be 1 to 3200, got %u",
                       o->ef_construction);
    if (!o->seed)
        o->seed = DEFAULT_SEED;
    if (!o->max_rows || o->max_rows > MAX_ROWS)
        o->max_rows = MAX_ROWS;
    if (o->quantize && o->element >= VZ_ELEMENT_BYTE)
        return vz_fail(err, VZ_BAD_ARGUMENT, "only rows of floats and bfloat16 are quantized");
    if (o->quantize > VZ_QUANTIZE_BIT)
        return vz_fail(err, VZ_BAD_ARGUMENT, "unknown quantization %u", o->quantize);
    if (!o->rows)
        return vz_fail(err, VZ_BAD_ARGUMENT, "a graph needs the address of its rows");
    return VZ_OK;
}

/* Random places of a large array: without huge pages most of them miss the TLB too. */
static enum vz_status reserve_huge(struct vz_grow *array, size_t bytes, struct vz_error *err)
{
    enum vz_status status = vz_grow_open(array, bytes, err);
#ifdef MADV_HUGEPAGE
    if (status == VZ_OK)
        (void)madvise(array->base, array->reserved_bytes, MADV_HUGEPAGE);
#endif
    return status;
}

/* Address space for max_rows. A row has 1 / (m - 1) upper lists on average; twice that and a
 * constant is never reached by chance. */
static enum vz_status reserve(struct vz_hnsw *graph, struct vz_error *err)
{
    size_t rows = graph->max_rows, m = graph->m;
    size_t lists = rows / (m - 1) * 2 + 65536;
    enum vz_status status = vz_grow_open(&graph->place, rows * sizeof(vz_link), err);
    if (status == VZ_OK && !graph->flat)
        status = reserve_huge(&graph->level0, rows * graph->record * sizeof(vz_link), err);
    if (status == VZ_OK && vz_is_coarse(graph)) {
        status = vz_grow_open(&graph->mean, graph->options.dims * sizeof(float), err);
        if (status == VZ_OK)
            status = vz_grow_ensure(&graph->mean, graph->options.dims * sizeof(float), err);
    }
    if (status == VZ_OK && !graph->flat)
        status = vz_grow_open(&graph->upper, lists * m * sizeof(vz_link), err);
    if (status == VZ_OK && graph->quantized)
        status = reserve_huge(&graph->codes, rows * graph->code_stride, err);
    return status;
}

/* A repair that waits keeps further inserts waiting: there is always another one. */
static void insert_lock_init(pthread_rwlock_t *lock)
{
    pthread_rwlockattr_t kind;
    pthread_rwlockattr_init(&kind);
    pthread_rwlockattr_setkind_np(&kind, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
    pthread_rwlock_init(lock, &kind);
    pthread_rwlockattr_destroy(&kind);
}

enum vz_status vz_graph_init(const struct vz_hnsw_options *options, struct vz_hnsw **out,
                             struct vz_error *err)
{
    struct vz_hnsw_options resolved = *options;
    enum vz_status status = check_options(&resolved, err);
    if (status != VZ_OK)
        return status;
    struct vz_hnsw *graph = vz_calloc(1, sizeof *graph);
    graph->options = resolved;
    graph->m = resolved.m;
    graph->m0 = resolved.m * 2;
    graph->record = (graph->m0 + VZ_RECORD_LINKS - 1) / VZ_RECORD_LINKS * VZ_RECORD_LINKS;
    graph->max_rows = resolved.max_rows;
    graph->level_scale = 1.0 / log(resolved.m);
    vz_space_init(&graph->space, &resolved);
    graph->quantize = (enum vz_quantize)resolved.quantize;
    graph->quantized = graph->quantize != VZ_QUANTIZE_NONE;
    graph->flat = resolved.flat;
    vz_codes_layout(graph);
    pthread_mutex_init(&graph->grow_lock, NULL);
    pthread_mutex_init(&graph->count_lock, NULL);
    pthread_mutex_init(&graph->entry_lock, NULL);
    pthread_mutex_init(&graph->repair_lock, NULL);
    insert_lock_init(&graph->insert_lock);
    for (size_t i = 0; i < VZ_STRIPES; i++)
        pthread_mutex_init(&graph->stripes[i], NULL);
    status = reserve(graph, err);
    if (status != VZ_OK) {
        vz_hnsw_free(graph);
        return status;
    }
    *out = graph;
    return VZ_OK;
}

enum vz_status vz_hnsw_new(const struct vz_hnsw_options *options, struct vz_hnsw **out,
                           struct vz_error *err)
{
    *out = NULL;
    enum vz_status status = vz_graph_init(options, out, err);
    if (status == VZ_OK && vz_is_coarse(*out))
        vz_codes_mean(*out, options->sample_rows);
    return status;
}

void vz_hnsw_free(struct vz_hnsw *graph)
{
    if (!graph)
        return;
    vz_grow_close(&graph->level0);
    vz_grow_close(&graph->place);
    vz_grow_close(&graph->upper);
    vz_grow_close(&graph->codes);
    vz_grow_close(&graph->mean);
    pthread_mutex_destroy(&graph->grow_lock);
    pthread_mutex_destroy(&graph->count_lock);
    pthread_mutex_destroy(&graph->entry_lock);
    pthread_mutex_destroy(&graph->repair_lock);
    pthread_rwlock_destroy(&graph->insert_lock);
    for (size_t i = 0; i < VZ_STRIPES; i++)
        pthread_mutex_destroy(&graph->stripes[i]);
    free(graph);
}

uint32_t vz_hnsw_count(const struct vz_hnsw *graph)
{
    return atomic_load_explicit(&graph->count, memory_order_acquire);
}

void vz_hnsw_memory_parts(const struct vz_hnsw *graph, struct vz_hnsw_memory *out)
{
    size_t rows = atomic_load_explicit(&graph->limit, memory_order_acquire);
    size_t lists = atomic_load_explicit(&graph->upper_lists, memory_order_relaxed);
    *out = (struct vz_hnsw_memory){
        .links = graph->flat ? 0 : rows * graph->record * sizeof(vz_link),
        .upper = lists * graph->m * sizeof(vz_link),
        .places = rows * sizeof(vz_link),
        .codes = graph->quantized ? rows * graph->code_stride : 0,
        .fixed = sizeof *graph + (vz_is_coarse(graph) ? graph->options.dims * sizeof(float) : 0),
    };
}

size_t vz_hnsw_memory_bytes(const struct vz_hnsw *graph)
{
    struct vz_hnsw_memory parts;
    vz_hnsw_memory_parts(graph, &parts);
    return parts.links + parts.upper + parts.places + parts.codes + parts.fixed;
}
