/* NEON kernels for rows that are not floats, with and without the dot product instructions. One
 * body for one row and four, equal to the bit, as in distance_neon.c. */
#if defined(__aarch64__)

#include "vector/kernels.h"

#include <arm_neon.h>
#include <stdbool.h>

#define INLINED static inline __attribute__((always_inline))
#define DOT __attribute__((target("arch=armv8.2-a+dotprod")))

/* ---- bfloat16: widened by a shift, chunks of 8 ---- */

INLINED float32x4_t step_128(float32x4_t sum, float32x4_t query, uint16x4_t halves, bool l2)
{
    float32x4_t row = vreinterpretq_f32_u32(vshll_n_u16(halves, 16));
    if (!l2)
        return vfmaq_f32(sum, query, row);
    float32x4_t gap = vsubq_f32(query, row);
    return vfmaq_f32(sum, gap, gap);
}

INLINED float widen(uint16_t value)
{
    return vgetq_lane_f32(vreinterpretq_f32_u32(vdupq_n_u32((uint32_t)value << 16)), 0);
}

INLINED void bf16_128(const float *query, const uint16_t *const *rows, const uint16_t *const *next,
                      size_t dims, float *out, int count, bool l2)
{
    for (int i = 0; i < count; i++) {
        float32x4_t sum[2] = {vdupq_n_f32(0), vdupq_n_f32(0)};
        size_t d = 0;
        for (; d + 8 <= dims; d += 8) {
            if (count > 1 && d % 32 == 0)
                __builtin_prefetch(next[i] + d);
            uint16x8_t row = vld1q_u16(rows[i] + d);
            sum[0] = step_128(sum[0], vld1q_f32(query + d), vget_low_u16(row), l2);
            sum[1] = step_128(sum[1], vld1q_f32(query + d + 4), vget_high_u16(row), l2);
        }
        float tail = 0;
        for (; d < dims; d++) {
            float value = widen(rows[i][d]), gap = query[d] - value;
            tail += l2 ? gap * gap : query[d] * value;
        }
        out[i] = vaddvq_f32(vaddq_f32(sum[0], sum[1])) + tail;
    }
}

static void dot_bf16_128(const float *query, const uint16_t *const *rows,
                         const uint16_t *const *next, size_t dims, float *out)
{
    bf16_128(query, rows, next, dims, out, 1, false);
}

static void l2sq_bf16_128(const float *query, const uint16_t *const *rows,
                          const uint16_t *const *next, size_t dims, float *out)
{
    bf16_128(query, rows, next, dims, out, 1, true);
}

static void dot4_bf16_128(const float *query, const uint16_t *const *rows,
                          const uint16_t *const *next, size_t dims, float *out)
{
    bf16_128(query, rows, next, dims, out, 4, false);
}

static void l2sq4_bf16_128(const float *query, const uint16_t *const *rows,
                           const uint16_t *const *next, size_t dims, float *out)
{
    bf16_128(query, rows, next, dims, out, 4, true);
}

/* ---- bytes ---- */

INLINED void bytes_tail(const int8_t *query, const int8_t *row, size_t from, size_t dims,
                        int32_t *dot, int32_t *norm)
{
    for (size_t d = from; d < dims; d++) {
        *dot += query[d] * row[d];
        *norm += row[d] * row[d];
    }
}

/* Two products of -128 * -128 do not fit 16 bits: each half is added up at once. */
INLINED void bytes_128(const int8_t *query, const int8_t *const *rows, const int8_t *const *next,
                       size_t dims, int32_t *dots, int32_t *norms, int count)
{
    for (int i = 0; i < count; i++) {
        int32x4_t dot = vdupq_n_s32(0), norm = vdupq_n_s32(0);
        size_t d = 0;
        for (; d + 16 <= dims; d += 16) {
            if (count > 1 && d % 64 == 0)
                __builtin_prefetch(next[i] + d);
            int8x16_t row = vld1q_s8(rows[i] + d), part = vld1q_s8(query + d);
            dot = vpadalq_s16(dot, vmull_s8(vget_low_s8(row), vget_low_s8(part)));
            dot = vpadalq_s16(dot, vmull_s8(vget_high_s8(row), vget_high_s8(part)));
            norm = vpadalq_s16(norm, vmull_s8(vget_low_s8(row), vget_low_s8(row)));
            norm = vpadalq_s16(norm, vmull_s8(vget_high_s8(row), vget_high_s8(row)));
        }
        dots[i] = vaddvq_s32(dot);
        norms[i] = vaddvq_s32(norm);
        bytes_tail(query, rows[i], d, dims, dots + i, norms + i);
    }
}

static void bytes1_128(const int8_t *query, const int8_t *const *rows, const int8_t *const *next,
                       size_t dims, int32_t *dots, int32_t *norms)
{
    bytes_128(query, rows, next, dims, dots, norms, 1);
}

static void bytes4_128(const int8_t *query, const int8_t *const *rows, const int8_t *const *next,
                       size_t dims, int32_t *dots, int32_t *norms)
{
    bytes_128(query, rows, next, dims, dots, norms, 4);
}

INLINED DOT void bytes_dot(const int8_t *query, const int8_t *const *rows,
                           const int8_t *const *next, size_t dims, int32_t *dots, int32_t *norms,
                           int count)
{
    for (int i = 0; i < count; i++) {
        int32x4_t dot = vdupq_n_s32(0), norm = vdupq_n_s32(0);
        size_t d = 0;
        for (; d + 16 <= dims; d += 16) {
            if (count > 1 && d % 64 == 0)
                __builtin_prefetch(next[i] + d);
            int8x16_t row = vld1q_s8(rows[i] + d);
            dot = vdotq_s32(dot, row, vld1q_s8(query + d));
            norm = vdotq_s32(norm, row, row);
        }
        dots[i] = vaddvq_s32(dot);
        norms[i] = vaddvq_s32(norm);
        bytes_tail(query, rows[i], d, dims, dots + i, norms + i);
    }
}

DOT static void bytes1_dot(const int8_t *query, const int8_t *const *rows,
                           const int8_t *const *next, size_t dims, int32_t *dots, int32_t *norms)
{
    bytes_dot(query, rows, next, dims, dots, norms, 1);
}

DOT static void bytes4_dot(const int8_t *query, const int8_t *const *rows,
                           const int8_t *const *next, size_t dims, int32_t *dots, int32_t *norms)
{
    bytes_dot(query, rows, next, dims, dots, norms, 4);
}

/* ---- bits ---- */

INLINED void hamming_128(const uint8_t *query, const uint8_t *const *rows,
                         const uint8_t *const *next, size_t bytes, uint32_t *out, int count)
{
    for (int i = 0; i < count; i++) {
        uint32x4_t sum = vdupq_n_u32(0);
        size_t d = 0;
        for (; d + 16 <= bytes; d += 16) {
            if (count > 1 && d % 64 == 0)
                __builtin_prefetch(next[i] + d);
            uint8x16_t differ = veorq_u8(vld1q_u8(query + d), vld1q_u8(rows[i] + d));
            sum = vpadalq_u16(sum, vpaddlq_u8(vcntq_u8(differ)));
        }
        uint32_t total = vaddvq_u32(sum);
        for (; d < bytes; d++)
            total += (uint32_t)__builtin_popcount((unsigned)(query[d] ^ rows[i][d]));
        out[i] = total;
    }
}

static void hamming1_128(const uint8_t *query, const uint8_t *const *rows,
                         const uint8_t *const *next, size_t bytes, uint32_t *out)
{
    hamming_128(query, rows, next, bytes, out, 1);
}

static void hamming4_128(const uint8_t *query, const uint8_t *const *rows,
                         const uint8_t *const *next, size_t bytes, uint32_t *out)
{
    hamming_128(query, rows, next, bytes, out, 4);
}

const struct vz_element_kernels vz_elements_neon = {
    .dot_bf16 = dot_bf16_128,
    .l2sq_bf16 = l2sq_bf16_128,
    .dot4_bf16 = dot4_bf16_128,
    .l2sq4_bf16 = l2sq4_bf16_128,
    .bytes = bytes1_128,
    .bytes4 = bytes4_128,
    .hamming = hamming1_128,
    .hamming4 = hamming4_128,
};

const struct vz_element_kernels vz_elements_neon_dot = {
    .dot_bf16 = dot_bf16_128,
    .l2sq_bf16 = l2sq_bf16_128,
    .dot4_bf16 = dot4_bf16_128,
    .l2sq4_bf16 = l2sq4_bf16_128,
    .bytes = bytes1_dot,
    .bytes4 = bytes4_dot,
    .hamming = hamming1_128,
    .hamming4 = hamming4_128,
};

#else
typedef int vz_elements_neon_unused; /* ISO C wants a declaration */
#endif
