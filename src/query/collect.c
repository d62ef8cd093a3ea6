/* The best documents of a search: a heap of at most `limit`, the worst on top.
 *
 * The order is total: sort keys, or the score descending; then the target as asked for, then the
 * docno. So the same search gives the same order, page after page.
 */
#include "query/collapse.h"

#include <stdlib.h>

void vz_collector_init(struct vz_collector *collector, const struct vz_sort_key *keys,
                       size_t key_count, size_t limit, struct vz_arena *arena)
{
    *collector = (struct vz_collector){.keys = keys, .key_count = key_count, .limit = limit};
    collector->heap = vz_arena_alloc(arena, (limit + 1) * sizeof(*collector->heap));
    if (key_count == 0)
        return;
    struct vz_sort_value *values = vz_arena_alloc(arena, (limit + 1) * key_count * sizeof(*values));
    for (size_t i = 0; i < limit; i++)
        collector->heap[i].values = values + i * key_count;
    collector->scratch = values + limit * key_count;
}

int vz_found_compare(const struct vz_sort_key *keys, size_t key_count, const struct vz_found *a,
                     const struct vz_found *b)
{
    for (size_t i = 0; i < key_count; i++) {
        int order = vz_sort_compare(&keys[i], &a->values[i], &b->values[i]);
        if (order)
            return order;
    }
    if (key_count == 0 && a->score != b->score)
        return a->score > b->score ? -1 : 1;
    if (a->target != b->target)
        return a->target < b->target ? -1 : 1;
    return a->docno < b->docno ? -1 : a->docno > b->docno;
}

int vz_collector_compare(const struct vz_collector *collector, const struct vz_found *a,
                         const struct vz_found *b)
{
    return vz_found_compare(collector->keys, collector->key_count, a, b);
}

static void swap(struct vz_collector *collector, size_t i, size_t j)
{
    struct vz_found found = collector->heap[i];
    collector->heap[i] = collector->heap[j];
    collector->heap[j] = found;
}

static void sift_up(struct vz_collector *collector, size_t i)
{
    while (i > 0) {
        size_t parent = (i - 1) / 2;
        if (vz_collector_compare(collector, &collector->heap[i], &collector->heap[parent]) < 0)
            return;
        swap(collector, i, parent);
        i = parent;
    }
}

static void sift_down(struct vz_collector *collector, size_t i, size_t count)
{
    for (;;) {
        size_t worst = i, child = 2 * i + 1;
        for (size_t c = child; c < child + 2 && c < count; c++)
            if (vz_collector_compare(collector, &collector->heap[c], &collector->heap[worst]) > 0)
                worst = c;
        if (worst == i)
            return;
        swap(collector, i, worst);
        i = worst;
    }
}

/* Whether a document comes behind the one search_after names. Ties are not: they were shown. */
static bool is_after(const struct vz_collector *collector, const struct vz_sort_value *values)
{
    for (size_t i = 0; i < collector->key_count; i++) {
        int order = vz_sort_compare(&collector->keys[i], &values[i], &collector->after[i]);
        if (order)
            return order > 0;
    }
    return false;
}

bool vz_collector_offer(struct vz_collector *collector, struct vz_sort_reader *readers,
                        uint32_t target, uint32_t docno, float score)
{
    struct vz_found found = {
        .target = target, .docno = docno, .score = score, .values = collector->scratch};
    if (!collector->any || score > collector->max_score)
        collector->max_score = score;
    collector->any = true;
    if (collector->limit == 0)
        return false;
    for (size_t i = 0; i < collector->key_count; i++) {
        found.values[i] = vz_sort_read(&readers[i], docno, score);
        if (readers[i].failure && readers[i].failure->status != VZ_OK)
            return false; /* that was no value */
    }
    if (collector->after && !is_after(collector, found.values))
        return false;
    if (collector->collapser) {
        vz_collapser_offer(collector->collapser, collector, &found);
        return true;
    }
    size_t slot = collector->count;
    if (slot == collector->limit) {
        if (vz_collector_compare(collector, &found, &collector->heap[0]) > 0)
            return false;
        slot = 0;
    }
    struct vz_sort_value *values = collector->heap[slot].values;
    if (collector->key_count)
        memcpy(values, found.values, collector->key_count * sizeof(*values));
    else
        values = NULL;
    found.values = values;
    collector->heap[slot] = found;
    if (slot == 0 && collector->count == collector->limit)
        sift_down(collector, 0, collector->count);
    else
        sift_up(collector, collector->count++);
    return true;
}

void vz_collector_finish(struct vz_collector *collector)
{
    if (collector->collapser) {
        vz_collapser_finish(collector->collapser, collector);
        return;
    }
    /* Heap sort: the worst goes to the end each time. */
    for (size_t n = collector->count; n > 1; n--) {
        swap(collector, 0, n - 1);
        sift_down(collector, 0, n - 1);
    }
}
