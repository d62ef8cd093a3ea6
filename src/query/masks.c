/* Values to masks: see masks.h. */
#include "query/masks.h"

#include "base/cpu.h"

#include <stdatomic.h>

static void equal_u32_plain(const uint32_t *values, size_t words, uint32_t wanted, uint64_t *masks)
{
    for (size_t w = 0; w < words; w++, values += 64) {
        uint64_t mask = 0;
        for (unsigned j = 0; j < 64; j++)
            mask |= (uint64_t)(values[j] == wanted) << j;
        masks[w] = mask;
    }
}

static void among_u32_plain(const uint32_t *values, size_t words,
                            const uint32_t set[VZ_MASK_SET / 32], uint32_t end, uint64_t *masks)
{
    for (size_t w = 0; w < words; w++, values += 64) {
        uint64_t mask = 0;
        for (unsigned j = 0; j < 64; j++) {
            uint32_t bit = set[values[j] / 32 % 32] >> values[j] % 32 & (values[j] < end);
            mask |= (uint64_t)bit << j;
        }
        masks[w] = mask;
    }
}

static void range_i64_plain(const int64_t *values, size_t words, int64_t low, int64_t high,
                            uint64_t *masks)
{
    for (size_t w = 0; w < words; w++, values += 64) {
        uint64_t mask = 0;
        for (unsigned j = 0; j < 64; j++)
            mask |= (uint64_t)((values[j] >= low) & (values[j] <= high)) << j;
        masks[w] = mask;
    }
}

static void range_f64_plain(const double *values, size_t words, double low, double high,
                            uint64_t *masks)
{
    for (size_t w = 0; w < words; w++, values += 64) {
        uint64_t mask = 0;
        for (unsigned j = 0; j < 64; j++)
            mask |= (uint64_t)((values[j] >= low) & (values[j] <= high)) << j;
        masks[w] = mask;
    }
}

static void range_u16_plain(const uint16_t *codes, size_t words, uint16_t first, uint16_t last,
                            const uint16_t ends[2], uint64_t *masks, uint64_t *at_ends)
{
    for (size_t w = 0; w < words; w++, codes += 64) {
        uint64_t mask = 0, end = 0;
        for (unsigned j = 0; j < 64; j++) {
            mask |= (uint64_t)((codes[j] >= first) & (codes[j] <= last)) << j;
            end |= (uint64_t)((codes[j] == ends[0]) | (codes[j] == ends[1])) << j;
        }
        masks[w] = mask;
        at_ends[w] = end;
    }
}

static const struct vz_mask_kernels plain = {"scalar",        equal_u32_plain, among_u32_plain,
                                             range_i64_plain, range_f64_plain, range_u16_plain};

#if defined(__x86_64__)
#include <immintrin.h>

#define AVX2 __attribute__((target("avx2")))
#define AVX512 __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl")))

AVX2 static void equal_u32_avx2(const uint32_t *values, size_t words, uint32_t wanted,
                                uint64_t *masks)
{
    const __m256i one = _mm256_set1_epi32((int)wanted);
    for (size_t w = 0; w < words; w++, values += 64) {
        uint64_t mask = 0;
        for (unsigned j = 0; j < 8; j++) {
            __m256i part = _mm256_loadu_si256((const __m256i *)(const void *)(values + 8 * j));
            __m256 hits = _mm256_castsi256_ps(_mm256_cmpeq_epi32(part, one));
            mask |= (uint64_t)(unsigned)_mm256_movemask_ps(hits) << 8 * j;
        }
        masks[w] = mask;
    }
}

AVX2 static void among_u32_avx2(const uint32_t *values, size_t words,
                                const uint32_t set[VZ_MASK_SET / 32], uint32_t end, uint64_t *masks)
{
    const __m256i low = _mm256_set1_epi32(31), last = _mm256_set1_epi32((int)(end - 1));
    for (size_t w = 0; w < words; w++, values += 64) {
        uint64_t mask = 0;
        for (unsigned j = 0; j < 8; j++) {
            __m256i part = _mm256_loadu_si256((const __m256i *)(const void *)(values + 8 * j));
            __m256i at = _mm256_and_si256(_mm256_srli_epi32(part, 5), low);
            __m256i bits = _mm256_i32gather_epi32((const int *)(const void *)set, at, 4);
            bits = _mm256_srlv_epi32(bits, _mm256_and_si256(part, low));
            __m256i below = _mm256_cmpeq_epi32(_mm256_min_epu32(part, last), part);
            bits = _mm256_slli_epi32(_mm256_and_si256(bits, below), 31);
            mask |= (uint64_t)(unsigned)_mm256_movemask_ps(_mm256_castsi256_ps(bits)) << 8 * j;
        }
        masks[w] = end ? mask : 0;
    }
}

AVX2 static void range_i64_avx2(const int64_t *values, size_t words, int64_t low, int64_t high,
                                uint64_t *masks)
{
    const __m256i from = _mm256_set1_epi64x(low), to = _mm256_set1_epi64x(high);
    for (size_t w = 0; w < words; w++, values += 64) {
        uint64_t out = 0;
        for (unsigned j = 0; j < 16; j++) {
            __m256i part = _mm256_loadu_si256((const __m256i *)(const void *)(values + 4 * j));
            __m256i outside =
                _mm256_or_si256(_mm256_cmpgt_epi64(from, part), _mm256_cmpgt_epi64(part, to));
            out |= (uint64_t)(unsigned)_mm256_movemask_pd(_mm256_castsi256_pd(outside)) << 4 * j;
        }
        masks[w] = ~out;
    }
}

AVX2 static void range_f64_avx2(const double *values, size_t words, double low, double high,
                                uint64_t *masks)
{
    const __m256d from = _mm256_set1_pd(low), to = _mm256_set1_pd(high);
    for (size_t w = 0; w < words; w++, values += 64) {
        uint64_t mask = 0;
        for (unsigned j = 0; j < 16; j++) {
            __m256d part = _mm256_loadu_pd(values + 4 * j);
            __m256d hits = _mm256_and_pd(_mm256_cmp_pd(part, from, _CMP_GE_OQ),
                                         _mm256_cmp_pd(part, to, _CMP_LE_OQ));
            mask |= (uint64_t)(unsigned)_mm256_movemask_pd(hits) << 4 * j;
        }
        masks[w] = mask;
    }
}

/* 32 lanes of all ones or zeros as bits. */
AVX2 static inline uint64_t bits_u16(__m256i a, __m256i b)
{
    __m256i both = _mm256_permute4x64_epi64(_mm256_packs_epi16(a, b), 0xD8);
    return (uint64_t)(unsigned)_mm256_movemask_epi8(both);
}

AVX2 static void range_u16_avx2(const uint16_t *codes, size_t words, uint16_t first, uint16_t last,
                                const uint16_t ends[2], uint64_t *masks, uint64_t *at_ends)
{
    const __m256i from = _mm256_set1_epi16((short)first), to = _mm256_set1_epi16((short)last);
    const __m256i a = _mm256_set1_epi16((short)ends[0]), b = _mm256_set1_epi16((short)ends[1]);
    for (size_t w = 0; w < words; w++, codes += 64) {
        __m256i in[4], at[4];
        for (unsigned j = 0; j < 4; j++) {
            __m256i part = _mm256_loadu_si256((const __m256i *)(const void *)(codes + 16 * j));
            __m256i over = _mm256_cmpeq_epi16(_mm256_max_epu16(part, from), part);
            __m256i under = _mm256_cmpeq_epi16(_mm256_min_epu16(part, to), part);
            in[j] = _mm256_and_si256(over, under);
            at[j] = _mm256_or_si256(_mm256_cmpeq_epi16(part, a), _mm256_cmpeq_epi16(part, b));
        }
        masks[w] = bits_u16(in[0], in[1]) | bits_u16(in[2], in[3]) << 32;
        at_ends[w] = bits_u16(at[0], at[1]) | bits_u16(at[2], at[3]) << 32;
    }
}

AVX512 static void range_u16_avx512(const uint16_t *codes, size_t words, uint16_t first,
                                    uint16_t last, const uint16_t ends[2], uint64_t *masks,
                                    uint64_t *at_ends)
{
    const __m512i from = _mm512_set1_epi16((short)first), to = _mm512_set1_epi16((short)last);
    const __m512i a = _mm512_set1_epi16((short)ends[0]), b = _mm512_set1_epi16((short)ends[1]);
    for (size_t w = 0; w < words; w++, codes += 64) {
        uint64_t mask = 0, end = 0;
        for (unsigned j = 0; j < 2; j++) {
            __m512i part = _mm512_loadu_si512(codes + 32 * j);
            __mmask32 over = _mm512_cmpge_epu16_mask(part, from);
            mask |= (uint64_t)_mm512_mask_cmple_epu16_mask(over, part, to) << 32 * j;
            end |= (uint64_t)(_mm512_cmpeq_epi16_mask(part, a) | _mm512_cmpeq_epi16_mask(part, b))
                   << 32 * j;
        }
        masks[w] = mask;
        at_ends[w] = end;
    }
}

AVX512 static void equal_u32_avx512(const uint32_t *values, size_t words, uint32_t wanted,
                                    uint64_t *masks)
{
    const __m512i one = _mm512_set1_epi32((int)wanted);
    for (size_t w = 0; w < words; w++, values += 64) {
        uint64_t mask = 0;
        for (unsigned j = 0; j < 4; j++)
            mask |= (uint64_t)_mm512_cmpeq_epi32_mask(_mm512_loadu_si512(values + 16 * j), one)
                    << 16 * j;
        masks[w] = mask;
    }
}

AVX512 static void among_u32_avx512(const uint32_t *values, size_t words,
                                    const uint32_t set[VZ_MASK_SET / 32], uint32_t end,
                                    uint64_t *masks)
{
    const __m512i first = _mm512_loadu_si512(set), second = _mm512_loadu_si512(set + 16);
    const __m512i one = _mm512_set1_epi32(1), to = _mm512_set1_epi32((int)end);
    for (size_t w = 0; w < words; w++, values += 64) {
        uint64_t mask = 0;
        for (unsigned j = 0; j < 4; j++) {
            __m512i part = _mm512_loadu_si512(values + 16 * j);
            __m512i bits = /* both take of the numbers what they need */
                _mm512_permutex2var_epi32(first, _mm512_srli_epi32(part, 5), second);
            bits = _mm512_rorv_epi32(bits, part);
            __mmask16 below = _mm512_cmplt_epu32_mask(part, to);
            mask |= (uint64_t)_mm512_mask_test_epi32_mask(below, bits, one) << 16 * j;
        }
        masks[w] = mask;
    }
}

AVX512 static void range_i64_avx512(const int64_t *values, size_t words, int64_t low, int64_t high,
                                    uint64_t *masks)
{
    const __m512i from = _mm512_set1_epi64(low), to = _mm512_set1_epi64(high);
    for (size_t w = 0; w < words; w++, values += 64) {
        uint64_t mask = 0;
        for (unsigned j = 0; j < 8; j++) {
            __m512i part = _mm512_loadu_si512(values + 8 * j);
            __mmask8 over = _mm512_cmpge_epi64_mask(part, from);
            mask |= (uint64_t)_mm512_mask_cmple_epi64_mask(over, part, to) << 8 * j;
        }
        masks[w] = mask;
    }
}

AVX512 static void range_f64_avx512(const double *values, size_t words, double low, double high,
                                    uint64_t *masks)
{
    const __m512d from = _mm512_set1_pd(low), to = _mm512_set1_pd(high);
    for (size_t w = 0; w < words; w++, values += 64) {
        uint64_t mask = 0;
        for (unsigned j = 0; j < 8; j++) {
            __m512d part = _mm512_loadu_pd(values + 8 * j);
            __mmask8 over = _mm512_cmp_pd_mask(part, from, _CMP_GE_OQ);
            mask |= (uint64_t)_mm512_mask_cmp_pd_mask(over, part, to, _CMP_LE_OQ) << 8 * j;
        }
        masks[w] = mask;
    }
}

static const struct vz_mask_kernels avx2 = {"avx2",         equal_u32_avx2, among_u32_avx2,
                                            range_i64_avx2, range_f64_avx2, range_u16_avx2};
static const struct vz_mask_kernels avx512 = {"avx512",         equal_u32_avx512, among_u32_avx512,
                                              range_i64_avx512, range_f64_avx512, range_u16_avx512};
#endif

size_t vz_mask_kernels_all(const struct vz_mask_kernels *list[3])
{
    size_t count = 0;
    list[count++] = &plain;
#if defined(__x86_64__)
    if (vz_cpu()->avx2_fma)
        list[count++] = &avx2;
    if (vz_cpu()->avx512)
        list[count++] = &avx512;
#endif
    return count;
}

const struct vz_mask_kernels *vz_mask_kernels(void)
{
    static _Atomic(const struct vz_mask_kernels *) chosen;
    const struct vz_mask_kernels *best = atomic_load_explicit(&chosen, memory_order_relaxed);
    if (!best) {
        const struct vz_mask_kernels *list[3];
        best = list[vz_mask_kernels_all(list) - 1];
        atomic_store_explicit(&chosen, best, memory_order_relaxed);
    }
    return best;
}
