/* store/knn.c - the nearest documents of a snapshot: what the graph has by walking, the rest ("the
 * tail", rows newer than the graph) by an exact scan, merged.
 *
 * How a filter is walked with, or when its rows are scanned instead, is the graph's to decide
 * (vector/filter.c): it gets their number and their list. Several rows may belong to one document,
 * and k distinct documents are wanted: the graph knows a row's document as its group. Exact scans
 * collect rows, keep the best of each document, and are widened until k documents came back or
 * there are no more rows; scans of one row a document never widen.
 *
 * Invariants:
 *  1. Every hit is visible in the snapshot and passes the filters.
 *  2. Fewer than k documents come back only when fewer exist (or min_similarity cut them).
 *  3. Hits are sorted by similarity, descending, ties by docno, ascending.
 *
 * Rejected: an own estimate here of when a list of rows beats a walk. It was right for int8 codes
 * on one machine; the graph measures what its walk costs as it goes and gives way to a scan.
 */
#include "store/index.h"

#include <math.h>
#include <stdlib.h>

/* Candidates where nobody said how many. With 100,000 rows of 512 dimensions like CLIP's (the bench
 * of vectors) recall@10 is 0.972 with 64 (0.962 with 48; 0.85 with the 15 of Elasticsearch, whose
 * segments are many small graphs), and with codes of one bit 0.969 with 96. */
#define CANDIDATES 64
#define CANDIDATES_BIT 96
#define CANDIDATES_A_HIT 1.5
#define MOST_OVERSAMPLED 10000
#define SHORT_STEP 8
#define LIST_BLOCK 1024

struct searcher {
    const struct vz_snapshot *snap;
    const struct vz_knn *knn;
    const struct vz_rows *rows;
    const uint32_t *docnos;
    struct vz_hnsw_options space;
    const void *query;
    bool multi;        /* a document may have several rows */
    uint32_t limit;    /* rows of the snapshot */
    uint32_t walkable; /* rows [0, walkable) are in the graph */
    const struct vz_hnsw *graph;
    uint32_t below;    /* accept_row refuses rows from here on */
    bool all_accepted; /* nothing dead, no filter: rows need not be asked about */
    bool graph_clean;  /* the graph has none of the dead of this view: neither need its rows */
    size_t matches;    /* documents that may be found */
    uint32_t ef;
    uint64_t visited;
    bool scanned;
};

static bool accept_row(void *context, uint32_t row)
{
    const struct searcher *s = context;
    const struct vz_knn *knn = s->knn;
    if (row >= s->below)
        return false;
    uint32_t docno = s->docnos[row];
    return vz_snapshot_live(s->snap, docno) &&
           (!knn->filter || vz_bitset_has(knn->filter, docno)) &&
           (!knn->accept_row || knn->accept_row(knn->accept_context, docno, row));
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
            if (accept_row(context, row))
                rows[count++] = row;
            row++;
        }
    }
    return count;
}

static struct vz_hnsw_search search_for(struct searcher *s, uint32_t k, bool in_graph)
{
    bool all = s->all_accepted || (in_graph && s->graph_clean);
    struct vz_hnsw_search search = {
        .k = k,
        .ef = VZ_MAX(s->ef, k),
        .accept = all ? NULL : accept_row,
        .accept_context = s,
        .cancelled = s->knn->cancelled,
        .cancelled_context = s->knn->cancelled_context,
    };
    search.query = s->query;
    return search;
}

/* ---- the graph's part ---------------------------------------------------------------------- */

/* The graph may grow meanwhile and give rows that the tail has too, that are not visible yet, or
 * that were dead when they came: accept_row refuses them; without it they are looked for
 * afterwards. */
static enum vz_status walk(struct searcher *s, uint32_t k, struct vz_near *near, uint32_t *found,
                           struct vz_error *err)
{
    struct vz_hnsw_stats stats = {0};
    for (;;) {
        struct vz_hnsw_search search = search_for(s, k, true);
        s->below = s->walkable;
        if (search.accept) {
            double share = (double)s->matches / VZ_MAX(s->snap->watermark, 1u);
            search.accept_estimate = VZ_MAX((uint32_t)(share * s->walkable), 1u);
            search.accepted = accepted_rows;
        }
        if (s->multi) {
            search.group = docno_of;
            search.group_context = s;
        }
        enum vz_status status = vz_hnsw_search(s->graph, &search, near, found, &stats, err);
        s->visited += stats.visited;
        s->scanned |= stats.scanned;
        if (status != VZ_OK || search.accept)
            return status;
        uint32_t i = 0;
        while (i < *found && accept_row(s, near[i].row))
            i++;
        if (i == *found)
            return VZ_OK;
        s->all_accepted = s->graph_clean = false;
    }
}

/* ---- exact scans --------------------------------------------------------------------------- */

/* The accepted rows of [first, limit), ascending; NULL when so many are that asking about each
 * as it comes is as good. */
static uint32_t *list_rows(struct searcher *s, uint32_t first, size_t *count)
{
    if (!s->knn->filter || s->matches >= s->snap->watermark / 4)
        return NULL;
    size_t capacity = LIST_BLOCK, used = 0;
    uint32_t *list = vz_alloc(capacity * sizeof *list), got;
    s->below = s->limit;
    while ((got = accepted_rows(s, first, list + used, LIST_BLOCK))) {
        used += got;
        first = list[used - 1] + 1;
        if (capacity - used < LIST_BLOCK)
            list = vz_realloc(list, (capacity *= 2) * sizeof *list);
    }
    *count = used;
    return list;
}

/* How many documents a sorted list of rows has, at most k. Only for small k or single rows. */
static uint32_t documents(const struct searcher *s, const struct vz_near *near, uint32_t found,
                          uint32_t k, struct vz_knn_hit *hits)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < found && kept < k; i++) {
        uint32_t docno = s->docnos[near[i].row];
        bool again = false;
        for (uint32_t j = 0; s->multi && !again && j < kept; j++)
            again = hits[j].docno == docno;
        if (!again)
            hits[kept++] = (struct vz_knn_hit){docno, near[i].row, near[i].similarity};
    }
    return kept;
}

/* Rows [first, limit): at least the best rows of the k nearest documents among them. *near is
 * allocated here. */
static enum vz_status scan(struct searcher *s, uint32_t first, struct vz_knn_hit *scratch,
                           struct vz_near **near, uint32_t *found, struct vz_error *err)
{
    size_t listed = 0;
    uint32_t *list = list_rows(s, first, &listed);
    uint32_t most = list ? (uint32_t)listed : s->limit - first, k = VZ_MIN(s->knn->k, most);
    enum vz_status status = VZ_OK;
    *found = 0;
    *near = NULL;
    while (k > 0 && status == VZ_OK) {
        struct vz_hnsw_search search = search_for(s, k, false);
        free(*near);
        *near = vz_try_alloc(k, sizeof **near);
        s->below = s->limit;
        s->visited +=
            VZ_MIN((size_t)most, VZ_MAX(s->matches, (size_t)k)); /* about, for rows asked */
        if (!*near)
            status = vz_fail(err, VZ_BUDGET, "no memory for [%u] neighbours", k);
        else if (list)
            status = vz_exact_rows(&s->space, &search, list, listed, *near, found, err);
        else
            status = vz_exact_range(&s->space, &search, first, s->limit, *near, found, err);
        if (status != VZ_OK || !s->multi || *found < k || k >= most ||
            documents(s, *near, *found, s->knn->k, scratch) >= s->knn->k)
            break;
        k = k > most / 2 ? most : k * 2;
    }
    free(list);
    return status;
}

/* ---- both ---------------------------------------------------------------------------------- */

static enum vz_status search_rows(struct searcher *s, struct vz_knn_hit *hits, uint32_t *found,
                                  struct vz_error *err)
{
    uint32_t k = s->knn->k, in_graph = 0, in_tail = 0;
    struct vz_near *walked = NULL, *scanned = NULL, *merged = NULL;
    enum vz_status status = VZ_OK;
    bool walks = s->graph && s->walkable && !s->knn->exact;
    if (walks) {
        walked = vz_try_alloc(k, sizeof *walked);
        status = walked ? walk(s, k, walked, &in_graph, err)
                        : vz_fail(err, VZ_BUDGET, "no memory for [%u] neighbours", k);
    }
    uint32_t first = walks ? s->walkable : 0;
    s->scanned |= !walks;
    if (status == VZ_OK && first < s->limit)
        status = scan(s, first, hits, &scanned, &in_tail, err);
    if (status == VZ_OK) {
        /* All of both: a document may be in both with its rows. */
        uint32_t all = in_graph + in_tail;
        merged = vz_try_alloc(all + 1, sizeof *merged);
        if (merged)
            all = vz_near_merge(walked, in_graph, scanned, in_tail, all, merged);
        else
            status = vz_fail(err, VZ_BUDGET, "no memory for [%u] neighbours", all);
        if (merged)
            *found = documents(s, merged, all, k, hits);
    }
    free(walked);
    free(scanned);
    free(merged);
    return status;
}

static int by_rank(const void *a_void, const void *b_void)
{
    const struct vz_knn_hit *a = a_void, *b = b_void;
    if (a->similarity != b->similarity)
        return a->similarity > b->similarity ? -1 : 1;
    return a->docno < b->docno ? -1 : a->docno > b->docno;
}

/* Floats compared by cosine are of unit length in their rows, so the query is made so too. */
static const void *unit_query(const struct vz_knn *knn, const struct vz_rows *rows, float *scratch)
{
    if (rows->similarity != VZ_COSINE || rows->element > VZ_ELEMENT_BFLOAT16)
        return knn->query;
    double sum = 0;
    for (uint32_t i = 0; i < rows->dims; i++)
        sum += (double)knn->query[i] * knn->query[i];
    double scale = sum > 0 ? 1 / sqrt(sum) : 0;
    for (uint32_t i = 0; i < rows->dims; i++)
        scratch[i] = (float)(knn->query[i] * scale);
    return scratch;
}

static uint32_t candidates(const struct vz_knn *knn, const struct vz_graph *graph)
{
    uint32_t quantize = graph ? graph->shape.quantize : VZ_QUANTIZE_NONE, ef = knn->num_candidates;
    if (ef == 0) {
        ef = quantize == VZ_QUANTIZE_BIT ? CANDIDATES_BIT : CANDIDATES;
        ef = VZ_MAX(ef, (uint32_t)lround(CANDIDATES_A_HIT * knn->k));
    }
    if (quantize != VZ_QUANTIZE_NONE && knn->oversample > 0) {
        double wanted = ceil((double)knn->k * (double)knn->oversample);
        ef = VZ_MAX(ef, (uint32_t)VZ_MIN(wanted, (double)MOST_OVERSAMPLED));
    }
    return ef;
}

static void searcher_init(struct searcher *s, const struct vz_snapshot *snap,
                          const struct vz_knn *knn, const struct vz_rows *rows,
                          const struct vz_graph *graph)
{
    *s = (struct searcher){
        .snap = snap,
        .knn = knn,
        .rows = rows,
        .docnos = vz_rows_docnos(rows),
        .multi = atomic_load_explicit(&rows->multi, memory_order_relaxed),
        .limit = vz_rows_below(rows, snap->watermark),
        .graph = graph ? graph->hnsw : NULL,
        .ef = candidates(knn, graph),
        .matches = knn->filter ? vz_bitset_count(knn->filter) : snap->live,
    };
    vz_rows_space(rows, knn->field, &s->space);
    uint32_t in_graph = s->graph ? vz_hnsw_count(s->graph) : 0;
    s->walkable = VZ_MIN(in_graph, s->limit);
    bool unfiltered = !knn->filter && !knn->accept_row && in_graph <= s->limit;
    s->all_accepted = unfiltered && snap->live == snap->watermark;
    s->graph_clean = unfiltered && graph &&
                     atomic_load_explicit(&graph->clean_epoch, memory_order_acquire) >= snap->epoch;
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
    struct vz_rows *rows = vz_generation_rows(snap->gen, knn->field->id);
    if (!rows)
        return VZ_OK;
    float scratch[4096] __attribute__((aligned(64)));
    struct searcher s;
    struct vz_graph *graph = vz_graph_acquire(rows);
    searcher_init(&s, snap, knn, rows, graph);
    s.query = unit_query(knn, rows, scratch);
    enum vz_status status = s.limit && s.matches ? search_rows(&s, hits, found, err) : VZ_OK;
    vz_graph_release(graph);
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

enum vz_status vz_snapshot_similarities(const struct vz_snapshot *snap, const struct vz_knn *knn,
                                        const uint32_t *list, size_t count, struct vz_near *near,
                                        struct vz_error *err)
{
    const struct vz_rows *rows = vz_generation_rows(snap->gen, knn->field->id);
    float scratch[4096] __attribute__((aligned(64)));
    struct vz_hnsw_options space;
    uint32_t found = 0;
    if (count == 0)
        return VZ_OK;
    if (!rows || list[count - 1] >= vz_rows_below(rows, snap->watermark))
        return vz_fail(err, VZ_BAD_ARGUMENT, "field [%.*s] has no such row",
                       (int)knn->field->path.len, knn->field->path.ptr);
    vz_rows_space(rows, knn->field, &space);
    struct vz_hnsw_search search = {.k = (uint32_t)count};
    search.query = unit_query(knn, rows, scratch);
    return vz_exact_rows(&space, &search, list, count, near, &found, err);
}
