/* AVX2+FMA and AVX-512 kernels. Compiled into every x86-64 build by function attributes and only
 * called when base/cpu.h reports the features.
 *
 * One body serves one row and four rows: `count` is a constant after inlining. Each row sums its
 * chunks into the same accumulators in the same order in both, which makes the results equal to
 * the bit. Four rows at a time read the query once and keep enough additions in flight to wait for
 * memory only; the lines of the next four rows are requested while these are summed. */
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

/* How far a scan reads ahead, into the second level: the hardware's own read-ahead ends at every
 * page of 4 KiB and starts anew behind it. Of half a page to two pages, in every level, this one is
 * best on huge and small pages alike: 0.88 to 0.93 and 0.84 to 0.87 of a plain read, where none
 * gives 0.68 and 0.61, and the first level 0.7 to 0.8. */
#define AHEAD_BYTES 4096

/* ---- AVX-512: four accumulators a row, chunks of 16 floats ---- */

INLINED AVX512 __m512 step_512(__m512 sum, __m512 query, __m512 row, bool l2)
{
    if (!l2)
        return _mm512_fmadd_ps(query, row, sum);
    __m512 gap = _mm512_sub_ps(query, row);
    return _mm512_fmadd_ps(gap, gap, sum);
}

/* next: NULL where nothing is to be prefetched. */
INLINED AVX512 void rows_512(const float *query, const float *const *rows, const float *const *next,
                             size_t dims, float *out, int count, bool l2)
{
    __m512 sum[4][4]; /* [row][chunk % 4] */
#pragma GCC unroll 8
    for (int i = 0; i < count; i++)
#pragma GCC unroll 8
        for (int c = 0; c < 4; c++)
            sum[i][c] = _mm512_setzero_ps();
    size_t d = 0;
    for (; d + 64 <= dims; d += 64) {
#pragma GCC unroll 8
        for (int c = 0; c < 4; c++) {
            __m512 part = _mm512_loadu_ps(query + d + 16 * c);
#pragma GCC unroll 8
            for (int i = 0; i < count; i++) {
                if (next)
                    _mm_prefetch((const char *)(next[i] + d + 16 * c), _MM_HINT_T1);
                sum[i][c] = step_512(sum[i][c], part, _mm512_loadu_ps(rows[i] + d + 16 * c), l2);
                /* Keeps the loads ascending, which the hardware's read-ahead wants: the compiler's
                 * order costs a scan of a single row after the other a quarter of its speed. */
                if (count == 1)
                    __asm__ volatile("" : "+v"(sum[i][c]));
            }
        }
    }
#pragma GCC unroll 8
    for (int c = 0; c < 4; c++) {
        if (d >= dims)
            break;
        size_t left = dims - d;
        __mmask16 mask = left >= 16 ? (__mmask16)0xffff : (__mmask16)((1u << left) - 1);
        __m512 part = _mm512_maskz_loadu_ps(mask, query + d);
#pragma GCC unroll 8
        for (int i = 0; i < count; i++)
            sum[i][c] = step_512(sum[i][c], part, _mm512_maskz_loadu_ps(mask, rows[i] + d), l2);
        d += 16;
    }
#pragma GCC unroll 8
    for (int i = 0; i < count; i++)
        out[i] = _mm512_reduce_add_ps(_mm512_add_ps(_mm512_add_ps(sum[i][0], sum[i][1]),
                                                    _mm512_add_ps(sum[i][2], sum[i][3])));
}

AVX512 static float dot_512(const float *a, const float *b, size_t dims)
{
    float out;
    rows_512(a, &b, NULL, dims, &out, 1, false);
    return out;
}

AVX512 static float l2sq_512(const float *a, const float *b, size_t dims)
{
    float out;
    rows_512(a, &b, NULL, dims, &out, 1, true);
    return out;
}

AVX512 static void dot_run_512(const float *query, const float *rows, size_t stride, size_t count,
                               size_t dims, float *out)
{
    for (size_t i = 0; i < count; i++, rows += stride) {
        const float *ahead = (const float *)((uintptr_t)rows + AHEAD_BYTES);
        rows_512(query, &rows, &ahead, dims, out + i, 1, false);
    }
}

AVX512 static void l2sq_run_512(const float *query, const float *rows, size_t stride, size_t count,
                                size_t dims, float *out)
{
    for (size_t i = 0; i < count; i++, rows += stride) {
        const float *ahead = (const float *)((uintptr_t)rows + AHEAD_BYTES);
        rows_512(query, &rows, &ahead, dims, out + i, 1, true);
    }
}

AVX512 static void dot4_512(const float *query, const float *const rows[4],
                            const float *const next[4], size_t dims, float out[4])
{
    rows_512(query, rows, next, dims, out, 4, false);
}

AVX512 static void l2sq4_512(const float *query, const float *const rows[4],
                             const float *const next[4], size_t dims, float out[4])
{
    rows_512(query, rows, next, dims, out, 4, true);
}

/* ---- AVX2: two accumulators a row, chunks of 8 floats ---- */

INLINED AVX2 __m256 step_256(__m256 sum, __m256 query, __m256 row, bool l2)
{
    if (!l2)
        return _mm256_fmadd_ps(query, row, sum);
    __m256 gap = _mm256_sub_ps(query, row);
    return _mm256_fmadd_ps(gap, gap, sum);
}

INLINED AVX2 __m256i tail_mask_256(size_t left)
{
    __m256i lanes = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(left >= 8 ? 8 : (int)left), lanes);
}

INLINED AVX2 float reduce_256(__m256 sum)
{
    __m128 half = _mm_add_ps(_mm256_castps256_ps128(sum), _mm256_extractf128_ps(sum, 1));
    half = _mm_add_ps(half, _mm_movehl_ps(half, half));
    return _mm_cvtss_f32(_mm_add_ss(half, _mm_movehdup_ps(half)));
}

INLINED AVX2 void rows_256(const float *query, const float *const *rows, const float *const *next,
                           size_t dims, float *out, int count, bool l2)
{
    __m256 sum[4][2]; /* [row][chunk % 2] */
#pragma GCC unroll 8
    for (int i = 0; i < count; i++)
        sum[i][0] = sum[i][1] = _mm256_setzero_ps();
    size_t d = 0;
    for (; d + 16 <= dims; d += 16) {
#pragma GCC unroll 8
        for (int i = 0; i < count; i++)
            if (next)
                _mm_prefetch((const char *)(next[i] + d), _MM_HINT_T1);
#pragma GCC unroll 8
        for (int c = 0; c < 2; c++) {
            __m256 part = _mm256_loadu_ps(query + d + 8 * c);
#pragma GCC unroll 8
            for (int i = 0; i < count; i++)
                sum[i][c] = step_256(sum[i][c], part, _mm256_loadu_ps(rows[i] + d + 8 * c), l2);
        }
    }
#pragma GCC unroll 8
    for (int c = 0; c < 2; c++) {
        if (d >= dims)
            break;
        __m256i mask = tail_mask_256(dims - d);
        __m256 part = _mm256_maskload_ps(query + d, mask);
#pragma GCC unroll 8
        for (int i = 0; i < count; i++)
            sum[i][c] = step_256(sum[i][c], part, _mm256_maskload_ps(rows[i] + d, mask), l2);
        d += 8;
    }
#pragma GCC unroll 8
    for (int i = 0; i < count; i++)
        out[i] = reduce_256(_mm256_add_ps(sum[i][0], sum[i][1]));
}

AVX2 static float dot_256(const float *a, const float *b, size_t dims)
{
    float out;
    rows_256(a, &b, NULL, dims, &out, 1, false);
    return out;
}

AVX2 static float l2sq_256(const float *a, const float *b, size_t dims)
{
    float out;
    rows_256(a, &b, NULL, dims, &out, 1, true);
    return out;
}

AVX2 static void dot_run_256(const float *query, const float *rows, size_t stride, size_t count,
                             size_t dims, float *out)
{
    for (size_t i = 0; i < count; i++, rows += stride) {
        const float *ahead = (const float *)((uintptr_t)rows + AHEAD_BYTES);
        rows_256(query, &rows, &ahead, dims, out + i, 1, false);
    }
}

AVX2 static void l2sq_run_256(const float *query, const float *rows, size_t stride, size_t count,
                              size_t dims, float *out)
{
    for (size_t i = 0; i < count; i++, rows += stride) {
        const float *ahead = (const float *)((uintptr_t)rows + AHEAD_BYTES);
        rows_256(query, &rows, &ahead, dims, out + i, 1, true);
    }
}

AVX2 static void dot4_256(const float *query, const float *const rows[4],
                          const float *const next[4], size_t dims, float out[4])
{
    rows_256(query, rows, next, dims, out, 4, false);
}

AVX2 static void l2sq4_256(const float *query, const float *const rows[4],
                           const float *const next[4], size_t dims, float out[4])
{
    rows_256(query, rows, next, dims, out, 4, true);
}

/* ---- int8 codes ---- */

INLINED AVX2 int32_t sum_256(__m256i sum)
{
    __m128i half = _mm_add_epi32(_mm256_castsi256_si128(sum), _mm256_extracti128_si256(sum, 1));
    half = _mm_add_epi32(half, _mm_shuffle_epi32(half, 0x4e));
    half = _mm_add_epi32(half, _mm_shuffle_epi32(half, 0xb1));
    return _mm_cvtsi128_si32(half);
}

VNNI static void codes4_vnni(const uint8_t *query, const uint8_t *const rows[4],
                             const uint8_t *const next[4], size_t bytes, int32_t out[4])
{
    __m512i sum[4];
#pragma GCC unroll 8
    for (int i = 0; i < 4; i++) {
        sum[i] = _mm512_setzero_si512();
        _mm_prefetch((const char *)next[i] + bytes, _MM_HINT_T1);
    }
    for (size_t d = 0; d < bytes; d += 64) {
        __m512i part = _mm512_loadu_si512(query + d);
#pragma GCC unroll 8
        for (int i = 0; i < 4; i++) {
            _mm_prefetch((const char *)next[i] + d, _MM_HINT_T1);
            sum[i] = _mm512_dpbusd_epi32(sum[i], part, _mm512_loadu_si512(rows[i] + d));
        }
    }
#pragma GCC unroll 8
    for (int i = 0; i < 4; i++)
        out[i] = _mm512_reduce_add_epi32(sum[i]);
}

/* Without VNNI: bytes are widened to 16 bits, because maddubs would saturate. */
AVX2 static void codes4_256(const uint8_t *query, const uint8_t *const rows[4],
                            const uint8_t *const next[4], size_t bytes, int32_t out[4])
{
    __m256i sum[4];
#pragma GCC unroll 8
    for (int i = 0; i < 4; i++) {
        sum[i] = _mm256_setzero_si256();
        _mm_prefetch((const char *)next[i] + bytes, _MM_HINT_T1);
    }
    for (size_t d = 0; d < bytes; d += 16) {
        __m256i part = _mm256_cvtepu8_epi16(_mm_loadu_si128((const __m128i *)(query + d)));
#pragma GCC unroll 8
        for (int i = 0; i < 4; i++) {
            if (d % 64 == 0)
                _mm_prefetch((const char *)next[i] + d, _MM_HINT_T1);
            __m256i row = _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)(rows[i] + d)));
            sum[i] = _mm256_add_epi32(sum[i], _mm256_madd_epi16(part, row));
        }
    }
#pragma GCC unroll 8
    for (int i = 0; i < 4; i++)
        out[i] = sum_256(sum[i]);
}

/* ---- int4 codes ---- */

INLINED VNNI __mmask64 bytes_mask(size_t left)
{
    return left >= 64 ? ~(__mmask64)0 : ((__mmask64)1 << left) - 1;
}

VNNI static void nibbles4_vnni(const uint8_t *query, const uint8_t *const rows[4],
                               const uint8_t *const next[4], size_t bytes, int32_t out[4])
{
    const __m512i low = _mm512_set1_epi8(15);
    __m512i sum[4];
#pragma GCC unroll 8
    for (int i = 0; i < 4; i++) {
        sum[i] = _mm512_setzero_si512();
        _mm_prefetch((const char *)next[i] + bytes, _MM_HINT_T1);
    }
    for (size_t d = 0; d < bytes; d += 64) {
        __mmask64 mask = bytes_mask(bytes - d);
        __m512i first = _mm512_maskz_loadu_epi8(mask, query + d);
        __m512i second = _mm512_maskz_loadu_epi8(mask, query + bytes + d);
#pragma GCC unroll 8
        for (int i = 0; i < 4; i++) {
            _mm_prefetch((const char *)next[i] + d, _MM_HINT_T1);
            __m512i row = _mm512_maskz_loadu_epi8(mask, rows[i] + d);
            sum[i] = _mm512_dpbusd_epi32(sum[i], _mm512_and_si512(row, low), first);
            row = _mm512_and_si512(_mm512_srli_epi16(row, 4), low);
            sum[i] = _mm512_dpbusd_epi32(sum[i], row, second);
        }
    }
#pragma GCC unroll 8
    for (int i = 0; i < 4; i++)
        out[i] = _mm512_reduce_add_epi32(sum[i]);
}

/* Two products of at most 15 * 128 do not saturate 16 bits. */
AVX2 static void nibbles4_256(const uint8_t *query, const uint8_t *const rows[4],
                              const uint8_t *const next[4], size_t bytes, int32_t out[4])
{
    const __m128i low = _mm_set1_epi8(15);
    const __m256i ones = _mm256_set1_epi16(1);
    __m256i sum[4];
#pragma GCC unroll 8
    for (int i = 0; i < 4; i++)
        sum[i] = _mm256_setzero_si256();
    for (size_t d = 0; d < bytes; d += 16) {
        __m256i part =
            _mm256_loadu2_m128i((const __m128i *)(query + bytes + d), (const __m128i *)(query + d));
#pragma GCC unroll 8
        for (int i = 0; i < 4; i++) {
            if (d % 64 == 0)
                _mm_prefetch((const char *)next[i] + d, _MM_HINT_T1);
            __m128i row = _mm_loadu_si128((const __m128i *)(rows[i] + d));
            __m256i both = _mm256_set_m128i(_mm_and_si128(_mm_srli_epi16(row, 4), low),
                                            _mm_and_si128(row, low));
            __m256i pairs = _mm256_maddubs_epi16(both, part);
            sum[i] = _mm256_add_epi32(sum[i], _mm256_madd_epi16(pairs, ones));
        }
    }
#pragma GCC unroll 8
    for (int i = 0; i < 4; i++)
        out[i] = sum_256(sum[i]);
}

/* ---- bits ---- */

VPOPCNT static void bits4_512(const uint8_t *query, const uint8_t *const rows[4],
                              const uint8_t *const next[4], size_t bytes, int32_t out[4])
{
    __m512i sum[4];
#pragma GCC unroll 8
    for (int i = 0; i < 4; i++) {
        sum[i] = _mm512_setzero_si512();
        _mm_prefetch((const char *)next[i] + bytes, _MM_HINT_T0);
    }
    for (size_t d = 0; d < bytes; d += 64) {
        __mmask64 mask = bytes - d >= 64 ? ~(__mmask64)0 : ((__mmask64)1 << (bytes - d)) - 1;
        __m512i row[4];
#pragma GCC unroll 8
        for (int i = 0; i < 4; i++) {
            _mm_prefetch((const char *)next[i] + d, _MM_HINT_T0);
            row[i] = _mm512_maskz_loadu_epi8(mask, rows[i] + d);
        }
#pragma GCC unroll 8
        for (int j = 0; j < VZ_BIT_PLANES; j++) {
            __m512i plane = _mm512_maskz_loadu_epi8(mask, query + (size_t)j * bytes + d);
#pragma GCC unroll 8
            for (int i = 0; i < 4; i++) {
                __m512i both = _mm512_popcnt_epi64(_mm512_and_si512(row[i], plane));
                sum[i] = _mm512_add_epi64(sum[i], _mm512_slli_epi64(both, (unsigned)j));
            }
        }
    }
#pragma GCC unroll 8
    for (int i = 0; i < 4; i++)
        out[i] = (int32_t)_mm512_reduce_add_epi64(sum[i]);
}

POPCNT static void bits4_64(const uint8_t *query, const uint8_t *const rows[4],
                            const uint8_t *const next[4], size_t bytes, int32_t out[4])
{
    for (int i = 0; i < 4; i++) {
        uint64_t sum = 0;
        for (size_t d = 0; d < bytes; d += 8) {
            uint64_t row, plane;
            memcpy(&row, rows[i] + d, sizeof row);
            if (d % 64 == 0)
                _mm_prefetch((const char *)next[i] + d, _MM_HINT_T0);
#pragma GCC unroll 8
            for (int j = 0; j < VZ_BIT_PLANES; j++) {
                memcpy(&plane, query + (size_t)j * bytes + d, sizeof plane);
                sum += (uint64_t)__builtin_popcountll(row & plane) << j;
            }
        }
        out[i] = (int32_t)sum;
    }
}

const struct vz_kernels vz_kernels_avx2 = {
    .name = "avx2",
    .elements = &vz_elements_avx2,
    .dot = dot_256,
    .l2sq = l2sq_256,
    .dot4 = dot4_256,
    .l2sq4 = l2sq4_256,
    .dot_run = dot_run_256,
    .l2sq_run = l2sq_run_256,
    .codes4 = codes4_256,
    .nibbles4 = nibbles4_256,
    .bits4 = bits4_64,
};

const struct vz_kernels vz_kernels_avx512 = {
    .name = "avx512",
    .elements = &vz_elements_avx512,
    .dot = dot_512,
    .l2sq = l2sq_512,
    .dot4 = dot4_512,
    .l2sq4 = l2sq4_512,
    .dot_run = dot_run_512,
    .l2sq_run = l2sq_run_512,
    .codes4 = codes4_256,
    .nibbles4 = nibbles4_256,
    .bits4 = bits4_64,
};

const struct vz_kernels vz_kernels_avx512_vnni = {
    .name = "avx512+vnni",
    .elements = &vz_elements_avx512_vnni,
    .dot = dot_512,
    .l2sq = l2sq_512,
    .dot4 = dot4_512,
    .l2sq4 = l2sq4_512,
    .dot_run = dot_run_512,
    .l2sq_run = l2sq_run_512,
    .codes4 = codes4_vnni,
    .nibbles4 = nibbles4_vnni,
    .bits4 = bits4_64,
};

const struct vz_kernels vz_kernels_avx512_vpopcnt = {
    .name = "avx512+vnni+vpopcnt",
    .elements = &vz_elements_avx512_vpopcnt,
    .dot = dot_512,
    .l2sq = l2sq_512,
    .dot4 = dot4_512,
    .l2sq4 = l2sq4_512,
    .dot_run = dot_run_512,
    .l2sq_run = l2sq_run_512,
    .codes4 = codes4_vnni,
    .nibbles4 = nibbles4_vnni,
    .bits4 = bits4_512,
};

#else
typedef int vz_distance_x86_unused; /* ISO C wants a declaration */
#endif
