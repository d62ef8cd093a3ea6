/* Meeting of two blocks: see block.h. Nothing here branches on whether a document is found: one in
 * three or so is, which no processor foresees. */
#include "text/block.h"

#include "base/cpu.h"

#include <stdatomic.h>

typedef unsigned meet_fn(const uint32_t *docs, const uint8_t *places, unsigned place_count,
                         const uint32_t *others, unsigned at, unsigned count,
                         struct vz_meeting *out, unsigned *used);

unsigned vz_block_meet_plain(const uint32_t *docs, const uint8_t *places, unsigned place_count,
                             const uint32_t *others, unsigned at, unsigned count,
                             struct vz_meeting *out, unsigned *used)
{
    unsigned found = 0, i = 0;
    for (; i < place_count; i++) {
        uint32_t doc = docs[places[i]];
        while (at < count && others[at] < doc)
            at++;
        if (at == count)
            break;
        out->mine[found] = places[i];
        out->theirs[found] = (uint8_t)at;
        found += others[at] == doc;
    }
    *used = i;
    return found;
}

static unsigned meet_sixteens(const uint32_t *docs, const uint8_t *places, unsigned place_count,
                              const uint32_t *others, unsigned at, unsigned count,
                              struct vz_meeting *out, unsigned *used)
{
    unsigned found = 0, i = 0, from = at & ~15u;
    uint32_t last = others[count - 1];
    for (; i < place_count; i++) {
        uint32_t doc = docs[places[i]];
        unsigned mask;
        if (doc > last)
            break;
        /* Some number is not below doc: the last. doc 0 is not below any. */
        while (!(mask = doc ? vz_sixteen_over(others + from, doc - 1) : 1))
            from += 16;
        unsigned place = from + (unsigned)__builtin_ctz(mask);
        out->mine[found] = places[i];
        out->theirs[found] = (uint8_t)place;
        found += others[place] == doc;
    }
    *used = i;
    return found;
}

#if defined(__x86_64__)
#include <immintrin.h>

__attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,bmi"))) static unsigned
meet_avx512(const uint32_t *docs, const uint8_t *places, unsigned place_count,
            const uint32_t *others, unsigned at, unsigned count, struct vz_meeting *out,
            unsigned *used)
{
    unsigned found = 0, i = 0, from = at & ~15u;
    uint32_t last = others[count - 1];
    __m512i sixteen = _mm512_loadu_si512(others + from);
    for (; i < place_count; i++) {
        uint32_t doc = docs[places[i]];
        __m512i wanted = _mm512_set1_epi32((int)doc);
        unsigned mask;
        if (doc > last)
            break;
        while (!(mask = _mm512_cmpge_epu32_mask(sixteen, wanted)))
            sixteen = _mm512_loadu_si512(others + (from += 16));
        unsigned at_or_behind = (unsigned)__builtin_ctz(mask);
        out->mine[found] = places[i];
        out->theirs[found] = (uint8_t)(from + at_or_behind);
        /* That one alone: what lies behind `count` may be anything. */
        found += _mm512_cmpeq_epu32_mask(sixteen, wanted) >> at_or_behind & 1;
    }
    *used = i;
    return found;
}
#endif

unsigned vz_block_meet(const uint32_t *docs, const uint8_t *places, unsigned place_count,
                       const uint32_t *others, unsigned at, unsigned count, struct vz_meeting *out,
                       unsigned *used)
{
    static meet_fn *_Atomic chosen; /* relaxed: every thread chooses the same */
    meet_fn *meet = atomic_load_explicit(&chosen, memory_order_relaxed);
    if (!meet) {
        meet = meet_sixteens;
#if defined(__x86_64__)
        if (vz_cpu()->avx512)
            meet = meet_avx512;
#endif
        atomic_store_explicit(&chosen, meet, memory_order_relaxed);
    }
    return meet(docs, places, place_count, others, at, count, out, used);
}
