/* AVX2 and AVX-512 kernels for rows that are not floats. Shaped like distance_x86.c: one body for
 * one row and four, `count` a constant after inlining, and equal to the bit.
 *
 * bfloat16: widened to float by a shift and multiplied by the query as it is. The instruction for
 *     pairs of bfloat16 (VDPBF16PS) would round the query too, or take two passes over a split one,
 *     for a kernel that waits for memory anyway.
 * bytes: VNNI multiplies unsigned by signed bytes. With u = x + 128 (one exclusive or),
 *         dot(q, x) = sum(u q) - 128 sum(q)      |x|^2 = sum(u x) - 128 sum(x)
 *     and the sums of q and x are products with ones. 32-bit sums of up to 4,096 such products stay
 *     below 2^28. Without VNNI bytes are widened to 16 bits.
 * bits: population counts of 64 bits. */
#if defined(__x86_64__)

#include "vector/kernels.h"

#include <immintrin.h>
#include <stdbool.h>
#include <string.h>

#define AVX2 __attribute__((target("avx2,fma")))
#define AVX512 __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl")))
#define VNNI __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")))
#define VPOPCNT __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512vpopcntdq")))
#define POPCNT __attribute__((target("avx2,fma,popcnt")))
#define INLINED static inline __attribute__((always_inline))

/* ---- bfloat16, AVX-512: chunks of 16, two accumulators a row ---- */

INLINED AVX512 __m512 widen_512(__m256i halves)
{
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(halves), 16));
}

INLINED AVX512 __m512 step_512(__m512 sum, __m512 query, __m512 row, bool l2)
{
    if (!l2)
        return _mm512_fmadd_ps(query, row, sum);
    __m512 gap = _mm512_sub_ps(query, row);
    return _mm512_fmadd_ps(gap, gap, sum);
}

INLINED AVX512 void bf16_512(const float *query, const uint16_t *const *rows,
                             const uint16_t *const *next, size_t dims, float *out, int count,
                             bool l2)
{
    __m512 sum[4][2];
#pragma GCC unroll 8
    for (int i = 0; i < count; i++)
        sum[i][0] = sum[i][1] = _mm512_setzero_ps();
    size_t d = 0;
    for (; d + 32 <= dims; d += 32) {
        __m512 first = _mm512_loadu_ps(query + d), second = _mm512_loadu_ps(query + d + 16);
#pragma GCC unroll 8
        for (int i = 0; i < count; i++) {
            if (count > 1)
                _mm_prefetch((const char *)(next[i] + d), _MM_HINT_T1);
            __m256i low = _mm256_loadu_si256((const __m256i *)(rows[i] + d));
            __m256i high = _mm256_loadu_si256((const __m256i *)(rows[i] + d + 16));
            sum[i][0] = step_512(sum[i][0], first, widen_512(low), l2);
            sum[i][1] = step_512(sum[i][1], second, widen_512(high), l2);
        }
    }
#pragma GCC unroll 8
    for (int c = 0; c < 2; c++) {
        if (d >= dims)
            break;
        size_t left = dims - d;
        __mmask16 mask = left >= 16 ? (__mmask16)0xffff : (__mmask16)((1u << left) - 1);
        __m512 part = _mm512_maskz_loadu_ps(mask, query + d);
#pragma GCC unroll 8
        for (int i = 0; i < count; i++)
            sum[i][c] = step_512(sum[i][c], part,
                                 widen_512(_mm256_maskz_loadu_epi16(mask, rows[i] + d)), l2);
        d += 16;
    }
#pragma GCC unroll 8
    for (int i = 0; i < count; i++)
        out[i] = _mm512_reduce_add_ps(_mm512_add_ps(sum[i][0], sum[i][1]));
}

AVX512 static void dot_bf16_512(const float *query, const uint16_t *const *rows,
                                const uint16_t *const *next, size_t dims, float *out)
{
    bf16_512(query, rows, next, dims, out, 1, false);
}

AVX512 static void l2sq_bf16_512(const float *query, const uint16_t *const *rows,
                                 const uint16_t *const *next, size_t dims, float *out)
{
    bf16_512(query, rows, next, dims, out, 1, true);
}

AVX512 static void dot4_bf16_512(const float *query, const uint16_t *const *rows,
                                 const uint16_t *const *next, size_t dims, float *out)
{
    bf16_512(query, rows, next, dims, out, 4, false);
}

AVX512 static void l2sq4_bf16_512(const float *query, const uint16_t *const *rows,
                                  const uint16_t *const *next, size_t dims, float *out)
{
    bf16_512(query, rows, next, dims, out, 4, true);
}

/* ---- bfloat16, AVX2: chunks of 8, two accumulators a row ---- */

INLINED AVX2 __m256 step_256(__m256 sum, __m256 query, __m128i halves, bool l2)
{
    __m256 row = _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(halves), 16));
    if (!l2)
        return _mm256_fmadd_ps(query, row, sum);
    __m256 gap = _mm256_sub_ps(query, row);
    return _mm256_fmadd_ps(gap, gap, sum);
}

INLINED AVX2 void bf16_256(const float *query, const uint16_t *const *rows,
                           const uint16_t *const *next, size_t dims, float *out, int count, bool l2)
{
    __m256 sum[4][2];
#pragma GCC unroll 8
    for (int i = 0; i < count; i++)
        sum[i][0] = sum[i][1] = _mm256_setzero_ps();
    size_t d = 0;
    for (; d + 16 <= dims; d += 16) {
#pragma GCC unroll 8
        for (int i = 0; i < count; i++) {
            if (count > 1 && d % 32 == 0)
                _mm_prefetch((const char *)(next[i] + d), _MM_HINT_T1);
#pragma GCC unroll 8
            for (int c = 0; c < 2; c++)
                sum[i][c] = step_256(sum[i][c], _mm256_loadu_ps(query + d + 8 * c),
                                     _mm_loadu_si128((const __m128i *)(rows[i] + d + 8 * c)), l2);
        }
    }
    for (int c = 0; d < dims; c++, d += 8) { /* at most two: what is left, and zeros behind it */
        size_t left = dims - d < 8 ? dims - d : 8;
        float part[8] = {0};
        memcpy(part, query + d, left * sizeof *part);
#pragma GCC unroll 8
        for (int i = 0; i < count; i++) {
            uint16_t halves[8] = {0};
            memcpy(halves, rows[i] + d, left * sizeof *halves);
            sum[i][c] = step_256(sum[i][c], _mm256_loadu_ps(part),
                                 _mm_loadu_si128((const __m128i *)halves), l2);
        }
    }
#pragma GCC unroll 8
    for (int i = 0; i < count; i++) {
        __m256 both = _mm256_add_ps(sum[i][0], sum[i][1]);
        __m128 half = _mm_add_ps(_mm256_castps256_ps128(both), _mm256_extractf128_ps(both, 1));
        half = _mm_add_ps(half, _mm_movehl_ps(half, half));
        out[i] = _mm_cvtss_f32(_mm_add_ss(half, _mm_movehdup_ps(half)));
    }
}

AVX2 static void dot_bf16_256(const float *query, const uint16_t *const *rows,
                              const uint16_t *const *next, size_t dims, float *out)
{
    bf16_256(query, rows, next, dims, out, 1, false);
}

AVX2 static void l2sq_bf16_256(const float *query, const uint16_t *const *rows,
                               const uint16_t *const *next, size_t dims, float *out)
{
    bf16_256(query, rows, next, dims, out, 1, true);
}

AVX2 static void dot4_bf16_256(const float *query, const uint16_t *const *rows,
                               const uint16_t *const *next, size_t dims, float *out)
{
    bf16_256(query, rows, next, dims, out, 4, false);
}

AVX2 static void l2sq4_bf16_256(const float *query, const uint16_t *const *rows,
                                const uint16_t *const *next, size_t dims, float *out)
{
    bf16_256(query, rows, next, dims, out, 4, true);
}

/* ---- bytes ---- */

INLINED VNNI void bytes_vnni(const int8_t *query, const int8_t *const *rows,
                             const int8_t *const *next, size_t dims, int32_t *dots, int32_t *norms,
                             int count)
{
    const __m512i ones = _mm512_set1_epi8(1), shift = _mm512_set1_epi8((char)0x80);
    __m512i dot[4], norm[4], sum[4], query_sum = _mm512_setzero_si512();
#pragma GCC unroll 8
    for (int i = 0; i < count; i++)
        dot[i] = norm[i] = sum[i] = _mm512_setzero_si512();
    for (size_t d = 0; d < dims; d += 64) {
        size_t left = dims - d;
        __mmask64 mask = left >= 64 ? ~(__mmask64)0 : ((__mmask64)1 << left) - 1;
        __m512i part = _mm512_maskz_loadu_epi8(mask, query + d);
        query_sum = _mm512_dpbusd_epi32(query_sum, ones, part);
#pragma GCC unroll 8
        for (int i = 0; i < count; i++) {
            if (count > 1)
                _mm_prefetch((const char *)next[i] + d, _MM_HINT_T1);
            __m512i row = _mm512_maskz_loadu_epi8(mask, rows[i] + d);
            __m512i shifted = _mm512_xor_si512(row, shift);
            dot[i] = _mm512_dpbusd_epi32(dot[i], shifted, part);
            norm[i] = _mm512_dpbusd_epi32(norm[i], shifted, row);
            sum[i] = _mm512_dpbusd_epi32(sum[i], ones, row);
        }
    }
    int32_t of_query = 128 * _mm512_reduce_add_epi32(query_sum);
#pragma GCC unroll 8
    for (int i = 0; i < count; i++) {
        dots[i] = _mm512_reduce_add_epi32(dot[i]) - of_query;
        norms[i] = _mm512_reduce_add_epi32(norm[i]) - 128 * _mm512_reduce_add_epi32(sum[i]);
    }
}

VNNI static void bytes1_vnni(const int8_t *query, const int8_t *const *rows,
                             const int8_t *const *next, size_t dims, int32_t *dots, int32_t *norms)
{
    bytes_vnni(query, rows, next, dims, dots, norms, 1);
}

VNNI static void bytes4_vnni(const int8_t *query, const int8_t *const *rows,
                             const int8_t *const *next, size_t dims, int32_t *dots, int32_t *norms)
{
    bytes_vnni(query, rows, next, dims, dots, norms, 4);
}

INLINED AVX2 int32_t sum_256(__m256i sum)
{
    __m128i half = _mm_add_epi32(_mm256_castsi256_si128(sum), _mm256_extracti128_si256(sum, 1));
    half = _mm_add_epi32(half, _mm_shuffle_epi32(half, 0x4e));
    half = _mm_add_epi32(half, _mm_shuffle_epi32(half, 0xb1));
    return _mm_cvtsi128_si32(half);
}

INLINED AVX2 void bytes_256(const int8_t *query, const int8_t *const *rows,
                            const int8_t *const *next, size_t dims, int32_t *dots, int32_t *norms,
                            int count)
{
    __m256i dot[4], norm[4];
#pragma GCC unroll 8
    for (int i = 0; i < count; i++)
        dot[i] = norm[i] = _mm256_setzero_si256();
    size_t d = 0;
    for (; d + 16 <= dims; d += 16) {
        __m256i part = _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)(query + d)));
#pragma GCC unroll 8
        for (int i = 0; i < count; i++) {
            if (count > 1 && d % 64 == 0)
                _mm_prefetch((const char *)next[i] + d, _MM_HINT_T1);
            __m256i row = _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)(rows[i] + d)));
            dot[i] = _mm256_add_epi32(dot[i], _mm256_madd_epi16(part, row));
            norm[i] = _mm256_add_epi32(norm[i], _mm256_madd_epi16(row, row));
        }
    }
#pragma GCC unroll 8
    for (int i = 0; i < count; i++) {
        dots[i] = sum_256(dot[i]);
        norms[i] = sum_256(norm[i]);
        for (size_t t = d; t < dims; t++) {
            dots[i] += query[t] * rows[i][t];
            norms[i] += rows[i][t] * rows[i][t];
        }
    }
}

AVX2 static void bytes1_256(const int8_t *query, const int8_t *const *rows,
                            const int8_t *const *next, size_t dims, int32_t *dots, int32_t *norms)
{
    bytes_256(query, rows, next, dims, dots, norms, 1);
}

AVX2 static void bytes4_256(const int8_t *query, const int8_t *const *rows,
                            const int8_t *const *next, size_t dims, int32_t *dots, int32_t *norms)
{
    bytes_256(query, rows, next, dims, dots, norms, 4);
}

/* ---- bits ---- */

INLINED VPOPCNT void hamming_512(const uint8_t *query, const uint8_t *const *rows,
                                 const uint8_t *const *next, size_t bytes, uint32_t *out, int count)
{
    __m512i sum[4];
#pragma GCC unroll 8
    for (int i = 0; i < count; i++)
        sum[i] = _mm512_setzero_si512();
    for (size_t d = 0; d < bytes; d += 64) {
        size_t left = bytes - d;
        __mmask64 mask = left >= 64 ? ~(__mmask64)0 : ((__mmask64)1 << left) - 1;
        __m512i part = _mm512_maskz_loadu_epi8(mask, query + d);
#pragma GCC unroll 8
        for (int i = 0; i < count; i++) {
            if (count > 1)
                _mm_prefetch((const char *)next[i] + d, _MM_HINT_T0);
            __m512i differ = _mm512_xor_si512(part, _mm512_maskz_loadu_epi8(mask, rows[i] + d));
            sum[i] = _mm512_add_epi64(sum[i], _mm512_popcnt_epi64(differ));
        }
    }
#pragma GCC unroll 8
    for (int i = 0; i < count; i++)
        out[i] = (uint32_t)_mm512_reduce_add_epi64(sum[i]);
}

VPOPCNT static void hamming1_512(const uint8_t *query, const uint8_t *const *rows,
                                 const uint8_t *const *next, size_t bytes, uint32_t *out)
{
    hamming_512(query, rows, next, bytes, out, 1);
}

VPOPCNT static void hamming4_512(const uint8_t *query, const uint8_t *const *rows,
                                 const uint8_t *const *next, size_t bytes, uint32_t *out)
{
    hamming_512(query, rows, next, bytes, out, 4);
}

INLINED POPCNT void hamming_64(const uint8_t *query, const uint8_t *const *rows,
                               const uint8_t *const *next, size_t bytes, uint32_t *out, int count)
{
    for (int i = 0; i < count; i++) {
        uint64_t sum = 0, one, other;
        size_t d = 0;
        for (; d + 8 <= bytes; d += 8) {
            if (count > 1 && d % 64 == 0)
                _mm_prefetch((const char *)next[i] + d, _MM_HINT_T0);
            memcpy(&one, query + d, sizeof one);
            memcpy(&other, rows[i] + d, sizeof other);
            sum += (uint64_t)__builtin_popcountll(one ^ other);
        }
        for (; d < bytes; d++)
            sum += (uint64_t)__builtin_popcount((unsigned)(query[d] ^ rows[i][d]));
        out[i] = (uint32_t)sum;
    }
}

POPCNT static void hamming1_64(const uint8_t *query, const uint8_t *const *rows,
                               const uint8_t *const *next, size_t bytes, uint32_t *out)
{
    hamming_64(query, rows, next, bytes, out, 1);
}

POPCNT static void hamming4_64(const uint8_t *query, const uint8_t *const *rows,
                               const uint8_t *const *next, size_t bytes, uint32_t *out)
{
    hamming_64(query, rows, next, bytes, out, 4);
}

const struct vz_element_kernels vz_elements_avx2 = {
    .dot_bf16 = dot_bf16_256,
    .l2sq_bf16 = l2sq_bf16_256,
    .dot4_bf16 = dot4_bf16_256,
    .l2sq4_bf16 = l2sq4_bf16_256,
    .bytes = bytes1_256,
    .bytes4 = bytes4_256,
    .hamming = hamming1_64,
    .hamming4 = hamming4_64,
};

const struct vz_element_kernels vz_elements_avx512 = {
    .dot_bf16 = dot_bf16_512,
    .l2sq_bf16 = l2sq_bf16_512,
    .dot4_bf16 = dot4_bf16_512,
    .l2sq4_bf16 = l2sq4_bf16_512,
    .bytes = bytes1_256,
    .bytes4 = bytes4_256,
    .hamming = hamming1_64,
    .hamming4 = hamming4_64,
};

const struct vz_element_kernels vz_elements_avx512_vnni = {
    .dot_bf16 = dot_bf16_512,
    .l2sq_bf16 = l2sq_bf16_512,
    .dot4_bf16 = dot4_bf16_512,
    .l2sq4_bf16 = l2sq4_bf16_512,
    .bytes = bytes1_vnni,
    .bytes4 = bytes4_vnni,
    .hamming = hamming1_64,
    .hamming4 = hamming4_64,
};

const struct vz_element_kernels vz_elements_avx512_vpopcnt = {
    .dot_bf16 = dot_bf16_512,
    .l2sq_bf16 = l2sq_bf16_512,
    .dot4_bf16 = dot4_bf16_512,
    .l2sq4_bf16 = l2sq4_bf16_512,
    .bytes = bytes1_vnni,
    .bytes4 = bytes4_vnni,
    .hamming = hamming1_512,
    .hamming4 = hamming4_512,
};

#else
typedef int vz_elements_x86_unused; /* ISO C wants a declaration */
#endif
