/* Exact scans: every accepted row is scored, the k best are kept in a heap with the worst on top.
 *
 * Rows that lie together are read one behind the other, a page ahead of what is summed; gathered
 * ones four at a time while the next four are fetched: a scan runs at the speed of memory. Results
 * are keys (similarity and row in one integer) until the end, which gives the order and the tie
 * rule for free. */
#include "vector/pool.h"

#include <stdlib.h>

#define BLOCK 64          /* rows gathered before they are scored */
#define CANCEL_EVERY 1024 /* rows between two questions whether to stop */

/* ---- keys ---- */

void vz_keys_sort(uint64_t *keys, uint32_t count)
{
    for (uint32_t i = count / 2; i-- > 0;)
        vz_heap_sift(keys, count, i, keys[i]);
    /* The smallest moves to the end, again and again: largest first. */
    while (count > 1) {
        uint64_t last = keys[--count];
        uint64_t smallest = keys[0];
        vz_heap_sift(keys, count, 0, last);
        keys[count] = smallest;
    }
}

/* ---- scans ---- */

struct scan {
    struct vz_space space;
    struct vz_scorer scorer;
    struct vz_best best;
    uint32_t rows[BLOCK];
    float similarities[BLOCK];
    uint32_t held;
};

static enum vz_status scan_init(struct scan *scan, const struct vz_hnsw_options *space,
                                const struct vz_hnsw_search *search, size_t rows,
                                struct vz_error *err)
{
    if (!search->query || search->k < 1)
        return vz_fail(err, VZ_BAD_ARGUMENT, "a scan needs a query vector and k of at least 1");
    if (rows && !space->rows)
        return vz_fail(err, VZ_BAD_ARGUMENT, "a scan needs the address of its rows");
    enum vz_status status = vz_space_check(space, err);
    if (status != VZ_OK)
        return status;
    vz_space_init(&scan->space, space);
    scan->scorer = vz_scorer_of_query(&scan->space, search->query);
    scan->best.k = (uint32_t)VZ_MIN((size_t)search->k, rows);
    scan->best.heap = vz_try_alloc(VZ_MAX(scan->best.k, 1u), sizeof(uint64_t));
    if (!scan->best.heap)
        return vz_fail(err, VZ_BUDGET, "no memory to keep %u rows", search->k);
    return VZ_OK;
}

static void scan_flush(struct scan *scan)
{
    if (scan->held && scan->rows[scan->held - 1] - scan->rows[0] == scan->held - 1)
        vz_score_adjacent(&scan->scorer, scan->rows[0], scan->held, scan->similarities);
    else
        vz_score(&scan->scorer, scan->rows, scan->held, scan->similarities);
    for (uint32_t i = 0; i < scan->held; i++)
        vz_best_offer(&scan->best, vz_key(scan->similarities[i], scan->rows[i]));
    scan->held = 0;
}

static void scan_add(struct scan *scan, uint32_t row)
{
    scan->rows[scan->held++] = row;
    if (scan->held == BLOCK)
        scan_flush(scan);
}

static void scan_finish(struct scan *scan, struct vz_near *out, uint32_t *found)
{
    scan_flush(scan);
    struct vz_best *best = &scan->best;
    vz_keys_sort(best->heap, best->count);
    for (uint32_t i = 0; i < best->count; i++)
        out[i] = (struct vz_near){vz_key_row(best->heap[i]), vz_key_similarity(best->heap[i])};
    *found = best->count;
    free(best->heap);
}

static bool stop(const struct vz_hnsw_search *search, size_t at)
{
    return search->cancelled && at % CANCEL_EVERY == 0 && at &&
           search->cancelled(search->cancelled_context);
}

/* Every row of a range: nothing to gather, and nearly nothing to keep once the heap holds good
 * ones, so that what is left to do is to read. */
static void scan_all(struct scan *scan, const struct vz_hnsw_search *search, uint32_t first,
                     size_t rows)
{
    struct vz_best *best = &scan->best;
    size_t window = vz_space_ahead_rows(&scan->space) / BLOCK * BLOCK + BLOCK;
    vz_space_ask(&scan->space, first, (uint32_t)VZ_MIN(rows, window));
    for (size_t from = 0; from < rows && !stop(search, from); from += BLOCK) {
        if (from % window == 0 && from + window < rows)
            vz_space_ask(&scan->space, first + (uint32_t)(from + window),
                         (uint32_t)VZ_MIN(rows - from - window, window));
        uint32_t count = (uint32_t)VZ_MIN(rows - from, (size_t)BLOCK);
        vz_score_adjacent(&scan->scorer, first + (uint32_t)from, count, scan->similarities);
        for (uint32_t i = 0; i < count; i++) {
            uint64_t key = vz_key(scan->similarities[i], first + (uint32_t)from + i);
            if (best->count < best->k || key > best->heap[0])
                vz_best_offer(best, key);
        }
    }
}

enum vz_status vz_exact_range(const struct vz_hnsw_options *space,
                              const struct vz_hnsw_search *search, uint32_t first, uint32_t last,
                              struct vz_near *out, uint32_t *found, struct vz_error *err)
{
    *found = 0;
    size_t rows = last > first ? last - first : 0;
    struct scan scan = {0};
    enum vz_status status = scan_init(&scan, space, search, rows, err);
    if (status != VZ_OK)
        return status;
    if (!search->accept)
        scan_all(&scan, search, first, rows);
    for (size_t i = 0; search->accept && i < rows && !stop(search, i); i++) {
        uint32_t row = first + (uint32_t)i;
        if (search->accept(search->accept_context, row))
            scan_add(&scan, row);
    }
    scan_finish(&scan, out, found);
    return VZ_OK;
}

enum vz_status vz_exact_rows(const struct vz_hnsw_options *space,
                             const struct vz_hnsw_search *search, const uint32_t *rows,
                             size_t row_count, struct vz_near *out, uint32_t *found,
                             struct vz_error *err)
{
    *found = 0;
    struct scan scan = {0};
    enum vz_status status = scan_init(&scan, space, search, row_count, err);
    if (status != VZ_OK)
        return status;
    for (size_t i = 0; i < row_count && !stop(search, i); i++)
        scan_add(&scan, rows[i]);
    scan_finish(&scan, out, found);
    return VZ_OK;
}

uint32_t vz_near_merge(const struct vz_near *a, uint32_t a_count, const struct vz_near *b,
                       uint32_t b_count, uint32_t k, struct vz_near *out)
{
    uint32_t i = 0, j = 0, n = 0;
    while (n < k && (i < a_count || j < b_count)) {
        uint64_t left = i < a_count ? vz_key(a[i].similarity, a[i].row) : 0;
        uint64_t right = j < b_count ? vz_key(b[j].similarity, b[j].row) : 0;
        bool from_a = j >= b_count || (i < a_count && left >= right);
        /* A row inserted between two scans can be in both lists; kernels agree to the bit. */
        if (i < a_count && j < b_count && left == right)
            j++;
        out[n++] = from_a ? a[i++] : b[j++];
    }
    return n;
}
