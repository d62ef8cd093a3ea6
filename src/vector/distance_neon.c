/* NEON kernels for 64-bit Arm. The same shape as distance_x86.c: one body for one row and four,
 * equal to the bit. Codes use the widening multiply that every Armv8 has. */
#if defined(__aarch64__)

#include "vector/kernels.h"

#include <arm_neon.h>
#include <stdbool.h>

#define INLINED static inline __attribute__((always_inline))

INLINED float32x4_t step_128(float32x4_t sum, float32x4_t query, float32x4_t row, bool l2)
{
    if (!l2)
        return vfmaq_f32(sum, query, row);
    float32x4_t gap = vsubq_f32(query, row);
    return vfmaq_f32(sum, gap, gap);
}

INLINED void rows_128(const float *query, const float *const *rows, const float *const *next,
                      size_t dims, float *out, int count, bool l2)
{
    float32x4_t sum[4][4]; /* [row][chunk % 4] */
#pragma GCC unroll 8
    for (int i = 0; i < count; i++)
#pragma GCC unroll 8
        for (int c = 0; c < 4; c++)
            sum[i][c] = vdupq_n_f32(0);
    size_t d = 0;
    for (; d + 16 <= dims; d += 16) {
#pragma GCC unroll 8
        for (int i = 0; i < count; i++)
            if (count > 1)
                __builtin_prefetch(next[i] + d);
#pragma GCC unroll 8
        for (int c = 0; c < 4; c++) {
            float32x4_t part = vld1q_f32(query + d + 4 * c);
#pragma GCC unroll 8
            for (int i = 0; i < count; i++)
                sum[i][c] = step_128(sum[i][c], part, vld1q_f32(rows[i] + d + 4 * c), l2);
        }
    }
    for (int i = 0; i < count; i++) {
        float tail = 0;
        for (size_t t = d; t < dims; t++)
            tail += l2 ? (query[t] - rows[i][t]) * (query[t] - rows[i][t]) : query[t] * rows[i][t];
        out[i] = vaddvq_f32(
                     vaddq_f32(vaddq_f32(sum[i][0], sum[i][1]), vaddq_f32(sum[i][2], sum[i][3]))) +
                 tail;
    }
}

static float dot_128(const float *a, const float *b, size_t dims)
{
    float out;
    rows_128(a, &b, &b, dims, &out, 1, false);
    return out;
}

static float l2sq_128(const float *a, const float *b, size_t dims)
{
    float out;
    rows_128(a, &b, &b, dims, &out, 1, true);
    return out;
}

static void dot_run_128(const float *query, const float *rows, size_t stride, size_t count,
                        size_t dims, float *out)
{
    for (size_t i = 0; i < count; i++, rows += stride)
        out[i] = dot_128(query, rows, dims);
}

static void l2sq_run_128(const float *query, const float *rows, size_t stride, size_t count,
                         size_t dims, float *out)
{
    for (size_t i = 0; i < count; i++, rows += stride)
        out[i] = l2sq_128(query, rows, dims);
}

static void dot4_128(const float *query, const float *const rows[4], const float *const next[4],
                     size_t dims, float out[4])
{
    rows_128(query, rows, next, dims, out, 4, false);
}

static void l2sq4_128(const float *query, const float *const rows[4], const float *const next[4],
                      size_t dims, float out[4])
{
    rows_128(query, rows, next, dims, out, 4, true);
}

static void codes4_128(const uint8_t *query, const uint8_t *const rows[4],
                       const uint8_t *const next[4], size_t bytes, int32_t out[4])
{
    int32x4_t sum[4];
#pragma GCC unroll 8
    for (int i = 0; i < 4; i++)
        sum[i] = vdupq_n_s32(0);
    for (size_t d = 0; d < bytes; d += 8) {
        int16x8_t part = vreinterpretq_s16_u16(vmovl_u8(vld1_u8(query + d)));
#pragma GCC unroll 8
        for (int i = 0; i < 4; i++) {
            if (d % 64 == 0)
                __builtin_prefetch(next[i] + d);
            int16x8_t row = vmovl_s8(vreinterpret_s8_u8(vld1_u8(rows[i] + d)));
            sum[i] = vmlal_s16(sum[i], vget_low_s16(part), vget_low_s16(row));
            sum[i] = vmlal_s16(sum[i], vget_high_s16(part), vget_high_s16(row));
        }
    }
#pragma GCC unroll 8
    for (int i = 0; i < 4; i++)
        out[i] = vaddvq_s32(sum[i]);
}

/* Nibbles fit signed bytes; two products of at most 15 * 128 fit 16 bits. */
static void nibbles4_128(const uint8_t *query, const uint8_t *const rows[4],
                         const uint8_t *const next[4], size_t bytes, int32_t out[4])
{
    int32x4_t sum[4];
#pragma GCC unroll 8
    for (int i = 0; i < 4; i++)
        sum[i] = vdupq_n_s32(0);
    for (size_t d = 0; d < bytes; d += 16) {
        int8x16_t first = vreinterpretq_s8_u8(vld1q_u8(query + d));
        int8x16_t second = vreinterpretq_s8_u8(vld1q_u8(query + bytes + d));
#pragma GCC unroll 8
        for (int i = 0; i < 4; i++) {
            if (d % 64 == 0)
                __builtin_prefetch(next[i] + d);
            uint8x16_t row = vld1q_u8(rows[i] + d);
            int8x16_t low = vreinterpretq_s8_u8(vandq_u8(row, vdupq_n_u8(15)));
            int8x16_t high = vreinterpretq_s8_u8(vshrq_n_u8(row, 4));
            int16x8_t products = vmull_s8(vget_low_s8(low), vget_low_s8(first));
            products = vmlal_s8(products, vget_low_s8(high), vget_low_s8(second));
            sum[i] = vpadalq_s16(sum[i], products);
            products = vmull_s8(vget_high_s8(low), vget_high_s8(first));
            products = vmlal_s8(products, vget_high_s8(high), vget_high_s8(second));
            sum[i] = vpadalq_s16(sum[i], products);
        }
    }
#pragma GCC unroll 8
    for (int i = 0; i < 4; i++)
        out[i] = vaddvq_s32(sum[i]);
}

static void bits4_128(const uint8_t *query, const uint8_t *const rows[4],
                      const uint8_t *const next[4], size_t bytes, int32_t out[4])
{
    for (int i = 0; i < 4; i++) {
        uint32x4_t sum[VZ_BIT_PLANES];
        for (int j = 0; j < VZ_BIT_PLANES; j++)
            sum[j] = vdupq_n_u32(0);
        __builtin_prefetch(next[i]);
        for (size_t d = 0; d < bytes; d += 16) {
            uint8x16_t row = vld1q_u8(rows[i] + d);
#pragma GCC unroll 8
            for (int j = 0; j < VZ_BIT_PLANES; j++) {
                uint8x16_t both = vandq_u8(row, vld1q_u8(query + (size_t)j * bytes + d));
                sum[j] = vpadalq_u16(sum[j], vpaddlq_u8(vcntq_u8(both)));
            }
        }
        uint32_t total = 0;
        for (int j = 0; j < VZ_BIT_PLANES; j++)
            total += vaddvq_u32(sum[j]) << j;
        out[i] = (int32_t)total;
    }
}

/* ---- with the dot product instructions ---- */

#define DOT __attribute__((target("arch=armv8.2-a+dotprod")))

/* Queries are unsigned, rows signed: the query less 128 is signed, and what that takes away is 128
 * times the sum of the row. */
DOT static void codes4_dot(const uint8_t *query, const uint8_t *const rows[4],
                           const uint8_t *const next[4], size_t bytes, int32_t out[4])
{
    int32x4_t sum[4], row_sum[4];
    const int8x16_t ones = vdupq_n_s8(1);
#pragma GCC unroll 8
    for (int i = 0; i < 4; i++)
        sum[i] = row_sum[i] = vdupq_n_s32(0);
    for (size_t d = 0; d < bytes; d += 16) {
        int8x16_t part = vreinterpretq_s8_u8(veorq_u8(vld1q_u8(query + d), vdupq_n_u8(0x80)));
#pragma GCC unroll 8
        for (int i = 0; i < 4; i++) {
            if (d % 64 == 0)
                __builtin_prefetch(next[i] + d);
            int8x16_t row = vreinterpretq_s8_u8(vld1q_u8(rows[i] + d));
            sum[i] = vdotq_s32(sum[i], row, part);
            row_sum[i] = vdotq_s32(row_sum[i], row, ones);
        }
    }
#pragma GCC unroll 8
    for (int i = 0; i < 4; i++)
        out[i] = vaddvq_s32(sum[i]) + 128 * vaddvq_s32(row_sum[i]);
}

DOT static void nibbles4_dot(const uint8_t *query, const uint8_t *const rows[4],
                             const uint8_t *const next[4], size_t bytes, int32_t out[4])
{
    int32x4_t sum[4];
#pragma GCC unroll 8
    for (int i = 0; i < 4; i++)
        sum[i] = vdupq_n_s32(0);
    for (size_t d = 0; d < bytes; d += 16) {
        int8x16_t first = vreinterpretq_s8_u8(vld1q_u8(query + d));
        int8x16_t second = vreinterpretq_s8_u8(vld1q_u8(query + bytes + d));
#pragma GCC unroll 8
        for (int i = 0; i < 4; i++) {
            if (d % 64 == 0)
                __builtin_prefetch(next[i] + d);
            uint8x16_t row = vld1q_u8(rows[i] + d);
            int8x16_t low = vreinterpretq_s8_u8(vandq_u8(row, vdupq_n_u8(15)));
            int8x16_t high = vreinterpretq_s8_u8(vshrq_n_u8(row, 4));
            sum[i] = vdotq_s32(vdotq_s32(sum[i], low, first), high, second);
        }
    }
#pragma GCC unroll 8
    for (int i = 0; i < 4; i++)
        out[i] = vaddvq_s32(sum[i]);
}

const struct vz_kernels vz_kernels_neon = {
    .name = "neon",
    .elements = &vz_elements_neon,
    .dot = dot_128,
    .l2sq = l2sq_128,
    .dot4 = dot4_128,
    .l2sq4 = l2sq4_128,
    .dot_run = dot_run_128,
    .l2sq_run = l2sq_run_128,
    .codes4 = codes4_128,
    .nibbles4 = nibbles4_128,
    .bits4 = bits4_128,
};

const struct vz_kernels vz_kernels_neon_dot = {
    .name = "neon+dot",
    .elements = &vz_elements_neon_dot,
    .dot = dot_128,
    .l2sq = l2sq_128,
    .dot4 = dot4_128,
    .l2sq4 = l2sq4_128,
    .dot_run = dot_run_128,
    .l2sq_run = l2sq_run_128,
    .codes4 = codes4_dot,
    .nibbles4 = nibbles4_dot,
    .bits4 = bits4_128,
};

#else
typedef int vz_distance_neon_unused; /* ISO C wants a declaration */
#endif
