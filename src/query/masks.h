/* query/masks.h - many values against one condition, a bit each: what column scans are made of.
 *
 * 64 values become one 64-bit mask, value j bit j. Run-time dispatch (AVX-512, AVX2, plain C);
 * every level gives the same bits, tests/unit/query/test_masks.c holds them against each other. NaN
 * is in no range. Threads: pure functions.
 */
#ifndef VZ_QUERY_MASKS_H
#define VZ_QUERY_MASKS_H

#include <stddef.h>
#include <stdint.h>

#define VZ_MASK_SET 1024

/* masks[w] of values[64 w .. 64 w + 63], for w below `words`. */
struct vz_mask_kernels {
    const char *name;
    void (*equal_u32)(const uint32_t *values, size_t words, uint32_t wanted, uint64_t *masks);
    /* value < end, and the bit value % 1024 of `set` is set */
    void (*among_u32)(const uint32_t *values, size_t words, const uint32_t set[VZ_MASK_SET / 32],
                      uint32_t end, uint64_t *masks);
    /* low <= value <= high */
    void (*range_i64)(const int64_t *values, size_t words, int64_t low, int64_t high,
                      uint64_t *masks);
    void (*range_f64)(const double *values, size_t words, double low, double high, uint64_t *masks);
    /* first <= code <= last; `ends`: code is one of the two */
    void (*range_u16)(const uint16_t *codes, size_t words, uint16_t first, uint16_t last,
                      const uint16_t ends[2], uint64_t *masks, uint64_t *at_ends);
};
/* What this processor can do best. */
const struct vz_mask_kernels *vz_mask_kernels(void);
/* All it can do, for tests: at most 3 into list; gives the count. */
size_t vz_mask_kernels_all(const struct vz_mask_kernels *list[3]);

#endif
