/* vector/pool.h - internal to src/vector: the nearest so far, an array of keys sorted best first.
 *
 * A pool may hold one row a group (a document with several rows): the best of each. It then knows
 * the key of every group it holds from a hash table beside it, open addressing with linear probing,
 * at most a quarter full. */
#ifndef VZ_VECTOR_POOL_H
#define VZ_VECTOR_POOL_H

#include "vector/graph.h"

/* A pool holds enough copies already: the key pushes out the last of them, or nothing. `low` is
 * where it would go. */
static inline uint32_t vz_pool_insert_copy(uint64_t *pool, uint32_t count, uint32_t low,
                                           uint32_t last, uint64_t key, uint64_t *evicted)
{
    *evicted = key;
    if (low > last)
        return count;
    *evicted = pool[last];
    memmove(pool + low + 1, pool + low, (last - low) * sizeof *pool);
    pool[low] = key;
    return low;
}

/* Puts a key into a pool sorted best first, dropping the worst when there are more than ef, and the
 * last of its equals when there are more than `ties`. Returns where it went; `count` when it was
 * not taken. *evicted is what was dropped (the key itself when it was not taken) or 0. */
static inline uint32_t vz_pool_insert(uint64_t *pool, uint32_t *count, uint32_t ef, uint32_t ties,
                                      uint64_t key, uint64_t *evicted)
{
    uint32_t low = 0, high = *count;
    *evicted = key;
    if (high == ef && key <= pool[high - 1])
        return high;
    /* Half of these comparisons go either way: nothing to predict, so nothing is. */
    for (uint32_t left = high; left;) {
        uint32_t half = (left + 1) / 2;
        low += half & -(uint32_t)(pool[low + half - 1] > key);
        left -= half;
    }
    uint32_t order = vz_key_order(key);
    if ((low && vz_key_order(pool[low - 1]) == order) ||
        (low < *count && vz_key_order(pool[low]) == order)) {
        uint32_t from = low, to = low;
        while (from && vz_key_order(pool[from - 1]) == order)
            from--;
        while (to < *count && vz_key_order(pool[to]) == order)
            to++;
        if (to - from >= ties)
            return vz_pool_insert_copy(pool, *count, low, to - 1, key, evicted);
    }
    *evicted = *count < ef ? 0 : pool[ef - 1];
    uint32_t keep = *count < ef ? (*count)++ : ef - 1;
    memmove(pool + low + 1, pool + low, (keep - low) * sizeof *pool);
    pool[low] = key;
    return low;
}

/* The k largest keys, the least of them on top; a heap of room for k. */
struct vz_best {
    uint64_t *heap;
    uint32_t k, count;
};

/* Sifts `key` down from `at` in a min-heap of `count` keys. */
static inline void vz_heap_sift(uint64_t *heap, uint32_t count, uint32_t at, uint64_t key)
{
    for (;;) {
        uint64_t child = 2 * (uint64_t)at + 1;
        if (child >= count)
            break;
        if (child + 1 < count && heap[child + 1] < heap[child])
            child++;
        if (heap[child] >= key)
            break;
        heap[at] = heap[child];
        at = (uint32_t)child;
    }
    heap[at] = key;
}

static inline void vz_best_offer(struct vz_best *best, uint64_t key)
{
    if (best->count == best->k) {
        if (key > best->heap[0])
            vz_heap_sift(best->heap, best->count, 0, key);
        return;
    }
    uint32_t at = best->count++;
    for (; at && best->heap[(at - 1) / 2] > key; at = (at - 1) / 2)
        best->heap[at] = best->heap[(at - 1) / 2];
    best->heap[at] = key;
}

#endif
