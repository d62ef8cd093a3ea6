/* Documents against a filter: see pass.h.
 *
 * Blocks of frequent terms lie within 1,024 documents. With AVX-512 their part of the filter is
 * held in two registers and 16 documents look themselves up in it at once; a gather from memory
 * would be as slow as 16 loads. */
#include "text/pass.h"

#include "base/cpu.h"

unsigned vz_pass_plain(const uint32_t *docs, unsigned from, unsigned to,
                       const struct vz_bitset *filter, unsigned char places[VZ_BLOCK])
{
    unsigned count = 0;
    unsigned end = to;
    while (end > from && docs[end - 1] >= filter->bits)
        end--;
    for (unsigned i = from; i < end; i++) { /* without branches: who passes is hard to foretell */
        places[count] = (unsigned char)i;
        count += filter->words[docs[i] / 64] >> docs[i] % 64 & 1;
    }
    return count;
}

#if defined(__x86_64__)
#include <immintrin.h>

#define SPAN 1024

__attribute__((target("avx512f,avx512bw,avx512dq,avx512vl"))) static unsigned
pass_avx512(const uint32_t *docs, unsigned from, unsigned to, const struct vz_bitset *filter,
            unsigned char places[VZ_BLOCK])
{
    uint32_t base = docs[from] & ~31u;
    const char *part = (const char *)filter->words + base / 8;
    const __m512i low = _mm512_loadu_si512(part), high = _mm512_loadu_si512(part + 64);
    const __m512i first = _mm512_set1_epi32((int)base), one = _mm512_set1_epi32(1);
    unsigned count = 0;
    for (unsigned i = from & ~15u; i < to; i += 16) {
        __m512i doc = _mm512_loadu_si512(docs + i);
        __m512i word = _mm512_permutex2var_epi32(
            low, _mm512_srli_epi32(_mm512_sub_epi32(doc, first), 5), high);
        __m512i bit = _mm512_sllv_epi32(one, _mm512_and_si512(doc, _mm512_set1_epi32(31)));
        unsigned mask = _mm512_test_epi32_mask(word, bit);
        if (i < from)
            mask &= ~0u << (from - i);
        if (to - i < 16)
            mask &= (1u << (to - i)) - 1;
        for (; mask; mask &= mask - 1)
            places[count++] = (unsigned char)(i + (unsigned)__builtin_ctz(mask));
    }
    return count;
}
#endif

unsigned vz_pass(const uint32_t *docs, unsigned from, unsigned to, const struct vz_bitset *filter,
                 unsigned char places[VZ_BLOCK])
{
#if defined(__x86_64__)
    /* The registers read SPAN documents from a multiple of 32 on. */
    if (from < to && vz_cpu()->avx512 && docs[to - 1] - (docs[from] & ~31u) < SPAN &&
        (docs[from] & ~31u) + (size_t)SPAN <= vz_bitset_word_count(filter) * 64 &&
        docs[to - 1] < filter->bits)
        return pass_avx512(docs, from, to, filter, places);
#endif
    return vz_pass_plain(docs, from, to, filter, places);
}
