/* store/knn.c - the nearest documents of a snapshot: graph, exact tail, exact scan of few matches.
 *
 * Three ways, one answer:
 *   walk   graph rows below the snapshot's limit by HNSW, the rest ("the tail") by exact scan,
 *          merged. Whether a filter makes the graph's part a walk or a scan of the accepted rows is
 *          the graph's to decide (vector/filter.c): it gets their number and their list;
 *   list   when a filter leaves so few documents that an exact scan of their rows costs no more
 *          than the walk would: it is as fast then and misses nothing;
 *   scan   all rows exactly (exact: ground truth, flat fields, and the last resort).
 *
 * A document may have several rows, and k distinct documents are wanted. The graph knows a row's
 * document as its group and gives k of them. Of exact scans rows are collected, the best of each
 * document kept, and the scan is widened until k documents came back or there are no more rows. The
 * walk is followed by a scan when it found fewer documents than exist.
 *
 * Invariants:
 *  1. Every hit is visible in the snapshot and passes the filter.
 *  2. Fewer than k documents come back only when fewer exist (or min_similarity cut them).
 *  3. Hits are sorted by similarity, descending, ties by docno, ascending.
 */
#include "store/index.h"

#include <math.h>
#include <stdlib.h>

#define LIST_ALWAYS 1000
/* A row of an exact list costs ROW_NS + DIM_NS * dims; a filtered walk, which is mostly waiting,
 * about WALK_NS for each of ef candidates whatever the dims, and never fewer than FILTER_EF. */
#define ROW_NS 20.0
#define DIM_NS 0.15
#define WALK_NS 2500.0
#define FILTER_EF 64
#define SHORT_STEP 8

struct searcher {
    const struct vz_snapshot *snap;
    const struct vz_knn *knn;
    const struct vz_rows *rows;
    const uint32_t *docnos;
    struct vz_hnsw_options space;
    const float *query;
    uint32_t limit;    /* rows of the snapshot */
    uint32_t walkable; /* rows [0, walkable) are in the graph */
    const struct vz_hnsw *graph;
    uint32_t below;    /* accept_row refuses rows from here on */
    bool all_accepted; /* nothing dead, no filter: rows need not be asked about */
    uint32_t estimate; /* of the graph's rows that are accepted; at least 1 */
    uint64_t visited;
    bool scanned;
};

static bool accept_row(void *context, uint32_t row)
{
    const struct searcher *s = context;
    if (row >= s->below)
        return false;
    uint32_t docno = s->docnos[row];
    return vz_snapshot_live(s->snap, docno) &&
           (!s->knn->filter || vz_bitset_has(s->knn->filter, docno));
}

static uint32_t docno_of(void *context, uint32_t row)
{
    const struct searcher *s = context;
    return s->docnos[row];
}

/* The first row from `row` on whose document is `docno` or a later one: mostly a few rows on. */
static uint32_t row_from(const struct searcher *s, uint32_t row, size_t docno)
{
    for (int i = 0; i < SHORT_STEP && row < s->below; i++, row++)
        if (s->docnos[row] >= docno)
            return row;
    if (row >= s->below || docno > UINT32_MAX)
        return s->below;
    return row + (uint32_t)vz_docnos_lower(s->docnos + row, s->below - row, (uint32_t)docno);
}

/* What accept_row answers true for, as a list. */
static uint32_t accepted_rows(void *context, uint32_t row, uint32_t *rows, uint32_t max)
{
    const struct searcher *s = context;
    const struct vz_bitset *filter = s->knn->filter;
    uint32_t count = 0;
    while (row < s->below && count < max) {
        uint32_t docno = s->docnos[row];
        if (filter && !vz_bitset_has(filter, docno)) {
            size_t next = vz_bitset_next(filter, docno);
            row = next < filter->bits ? row_from(s, row + 1, next) : s->below;
        } else {
            if (vz_snapshot_live(s->snap, docno))
                rows[count++] = row;
            row++;
        }
    }
    return count;
}

static struct vz_hnsw_search search_for(struct searcher *s, uint32_t k)
{
    return (struct vz_hnsw_search){
        .query = s->query,
        .k = k,
        .ef = VZ_MAX(s->knn->num_candidates, k),
        .accept = s->all_accepted ? NULL : accept_row,
        .accept_context = s,
        .cancelled = s->knn->cancelled,
        .cancelled_context = s->knn->cancelled_context,
    };
}

/* The graph's part. It may grow meanwhile and give rows that the tail has too, or that are not
 * visible yet: accept_row refuses them; without it they are looked for afterwards. */
static enum vz_status walk_graph(struct searcher *s, uint32_t k, struct vz_near *near,
                                 uint32_t *found, struct vz_error *err)
{
    struct vz_hnsw_stats stats = {0};
    for (;;) {
        struct vz_hnsw_search search = search_for(s, VZ_MIN(k, s->knn->k));
        s->below = s->walkable;
        if (!s->all_accepted) {
            search.accept_estimate = s->estimate;
            search.accepted = accepted_rows;
        }
        if (atomic_load_explicit(&s->rows->multi, memory_order_relaxed)) {
            search.group = docno_of;
            search.group_context = s;
        }
        enum vz_status status = vz_hnsw_search(s->graph, &search, near, found, &stats, err);
        s->visited += stats.visited;
        if (status != VZ_OK || !s->all_accepted)
            return status;
        uint32_t i = 0;
        while (i < *found && near[i].row < s->walkable)
            i++;
        if (i == *found)
            return VZ_OK;
        s->all_accepted = false;
    }
}

/* Graph and tail, merged into near[k]. */
static enum vz_status walk(struct searcher *s, uint32_t k, struct vz_near *near, uint32_t *found,
                           struct vz_error *err)
{
    struct vz_near *parts = vz_try_alloc((size_t)k * 2, sizeof *parts);
    if (!parts)
        return vz_fail(err, VZ_BUDGET, "no memory for [%u] neighbours", k);
    uint32_t in_graph = 0, in_tail = 0;
    enum vz_status status = walk_graph(s, k, parts, &in_graph, err);
    if (status == VZ_OK && s->walkable < s->limit) {
        struct vz_hnsw_search search = search_for(s, k);
        s->below = s->limit;
        status =
            vz_exact_range(&s->space, &search, s->walkable, s->limit, parts + k, &in_tail, err);
        s->visited += s->limit - s->walkable;
    }
    if (status == VZ_OK)
        *found = vz_near_merge(parts, in_graph, parts + k, in_tail, k, near);
    free(parts);
    return status;
}

static enum vz_status scan(struct searcher *s, uint32_t k, struct vz_near *near, uint32_t *found,
                           struct vz_error *err)
{
    struct vz_hnsw_search search = search_for(s, k);
    s->below = s->limit;
    s->visited += s->limit;
    s->scanned = true;
    return vz_exact_range(&s->space, &search, 0, s->limit, near, found, err);
}

/* The rows of the filter's documents, ascending. */
static uint32_t *list_rows(struct searcher *s, size_t *count)
{
    size_t capacity = 1024, used = 0;
    uint32_t *list = vz_alloc(capacity * sizeof *list);
    uint32_t row = 0;
    const struct vz_bitset *filter = s->knn->filter;
    for (size_t docno = vz_bitset_next(filter, 0); docno < filter->bits && row < s->limit;
         docno = vz_bitset_next(filter, docno + 1)) {
        if (!vz_snapshot_live(s->snap, (uint32_t)docno))
            continue;
        uint32_t first = vz_rows_first(s->rows, s->limit, (uint32_t)docno);
        if (first == s->limit)
            continue;
        for (row = first; row < s->limit && s->docnos[row] == docno; row++) {
            if (used == capacity)
                list = vz_realloc(list, (capacity *= 2) * sizeof *list);
            list[used++] = row;
        }
    }
    *count = used;
    return list;
}

static enum vz_status scan_list(struct searcher *s, const uint32_t *list, size_t count, uint32_t k,
                                struct vz_near *near, uint32_t *found, struct vz_error *err)
{
    struct vz_hnsw_search search = search_for(s, k);
    s->visited += count;
    s->scanned = true;
    return vz_exact_rows(&s->space, &search, list, count, near, found, err);
}

/* Keeps the best row of each document; near is sorted. Returns the number of documents, at most
 * knn->k. Linear in k times the documents kept, unless no document has several rows. */
static uint32_t distinct(struct searcher *s, const struct vz_near *near, uint32_t found,
                         struct vz_knn_hit *hits)
{
    uint32_t kept = 0;
    bool multi = atomic_load_explicit(&s->rows->multi, memory_order_relaxed);
    for (uint32_t i = 0; i < found && kept < s->knn->k; i++) {
        uint32_t docno = s->docnos[near[i].row];
        bool again = false;
        for (uint32_t j = 0; multi && !again && j < kept; j++)
            again = hits[j].docno == docno;
        if (!again)
            hits[kept++] = (struct vz_knn_hit){docno, near[i].row, near[i].similarity};
    }
    return kept;
}

enum way { WALK, LIST, SCAN };

/* Searches with k rows, twice as many each time, until k documents or all rows came back. */
static enum vz_status widen(struct searcher *s, enum way way, struct vz_knn_hit *hits,
                            uint32_t *found, struct vz_error *err)
{
    size_t list_count = 0;
    uint32_t *list = way == LIST ? list_rows(s, &list_count) : NULL;
    uint32_t most = way == LIST ? (uint32_t)list_count : s->limit;
    uint32_t k = VZ_MIN(s->knn->k, most);
    enum vz_status status = VZ_OK;
    *found = 0;
    while (k > 0) {
        struct vz_near *near = vz_try_alloc(k, sizeof *near);
        uint32_t got = 0;
        if (!near) {
            status = vz_fail(err, VZ_BUDGET, "no memory for [%u] neighbours", k);
            break;
        }
        if (way == LIST)
            status = scan_list(s, list, list_count, k, near, &got, err);
        else
            status = way == WALK ? walk(s, k, near, &got, err) : scan(s, k, near, &got, err);
        if (status == VZ_OK)
            *found = distinct(s, near, got, hits);
        free(near);
        if (status != VZ_OK || *found >= s->knn->k || got < k || k >= most)
            break;
        k = k > most / 2 ? most : k * 2;
    }
    free(list);
    return status;
}

static enum way choose(struct searcher *s, size_t *matches)
{
    const struct vz_knn *knn = s->knn;
    *matches = knn->filter ? vz_bitset_count(knn->filter) : s->snap->live;
    if (knn->exact || !s->graph || s->walkable == 0)
        return knn->filter && *matches < s->limit / 4 ? LIST : SCAN;
    double share = (double)*matches / VZ_MAX(s->snap->watermark, 1u);
    s->estimate = VZ_MAX((uint32_t)(share * s->walkable), 1u);
    double ef = VZ_MAX(VZ_MAX(knn->num_candidates, knn->k), FILTER_EF);
    bool list = *matches <= LIST_ALWAYS ||
                share * s->limit * (ROW_NS + DIM_NS * s->rows->dims) <= ef * WALK_NS;
    return knn->filter && list ? LIST : WALK;
}

static int by_rank(const void *a_void, const void *b_void)
{
    const struct vz_knn_hit *a = a_void, *b = b_void;
    if (a->similarity != b->similarity)
        return a->similarity > b->similarity ? -1 : 1;
    return a->docno < b->docno ? -1 : a->docno > b->docno;
}

static const float *unit_query(const struct vz_knn *knn, const struct vz_rows *rows, float *scratch)
{
    if (rows->similarity != VZ_COSINE)
        return knn->query;
    double sum = 0;
    for (uint32_t i = 0; i < rows->dims; i++)
        sum += (double)knn->query[i] * knn->query[i];
    double scale = sum > 0 ? 1 / sqrt(sum) : 0;
    for (uint32_t i = 0; i < rows->dims; i++)
        scratch[i] = (float)(knn->query[i] * scale);
    return scratch;
}

static enum vz_status search_rows(struct searcher *s, struct vz_knn_hit *hits, uint32_t *found,
                                  struct vz_error *err)
{
    size_t matches;
    enum way way = choose(s, &matches);
    enum vz_status status = widen(s, way, hits, found, err);
    /* A walk may miss what is hard to reach; k are found when k exist. */
    if (status == VZ_OK && way == WALK && *found < VZ_MIN((size_t)s->knn->k, matches) &&
        !(s->knn->cancelled && s->knn->cancelled(s->knn->cancelled_context)))
        status = widen(s, s->knn->filter ? LIST : SCAN, hits, found, err);
    return status;
}

enum vz_status vz_snapshot_knn(const struct vz_snapshot *snap, const struct vz_knn *knn,
                               struct vz_knn_hit *hits, uint32_t *found,
                               struct vz_knn_report *report, struct vz_error *err)
{
    *found = 0;
    if (report)
        *report = (struct vz_knn_report){0};
    if (knn->field->type != VZ_FIELD_DENSE_VECTOR || knn->k == 0)
        return vz_fail(err, VZ_BAD_ARGUMENT, "[knn] needs a dense_vector field and k > 0");
    const struct vz_rows *rows = vz_generation_rows(snap->gen, knn->field->id);
    if (!rows)
        return VZ_OK;
    float scratch[4096] __attribute__((aligned(64)));
    struct searcher s = {
        .snap = snap,
        .knn = knn,
        .rows = rows,
        .docnos = vz_rows_docnos(rows),
        .query = unit_query(knn, rows, scratch),
        .limit = vz_rows_below(rows, snap->watermark),
        .graph = atomic_load_explicit(&rows->graph, memory_order_acquire),
    };
    vz_rows_space(rows, knn->field, &s.space);
    uint32_t in_graph = s.graph ? vz_hnsw_count(s.graph) : 0;
    s.walkable = VZ_MIN(in_graph, s.limit);
    s.all_accepted = !knn->filter && snap->live == snap->watermark && in_graph <= s.limit;
    if (s.limit == 0)
        return VZ_OK;
    enum vz_status status = search_rows(&s, hits, found, err);
    if (report)
        *report = (struct vz_knn_report){s.visited, s.scanned};
    if (status == VZ_OK && knn->cancelled && knn->cancelled(knn->cancelled_context))
        status = vz_fail(err, VZ_CANCELLED, "the search was cancelled");
    if (status != VZ_OK)
        return status;
    qsort(hits, *found, sizeof *hits, by_rank);
    while (knn->has_min_similarity && *found && hits[*found - 1].similarity < knn->min_similarity)
        --*found;
    return VZ_OK;
}
