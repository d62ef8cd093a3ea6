/* text/block.h - looking through a decoded block of 128 numbers. Private to the room.
 *
 * SSE2, which every x86-64 has, and the same in plain C for others: they give the same answers.
 * Both may read all 128 numbers, also those behind a block's count: what is there is not used. */
#ifndef VZ_TEXT_BLOCK_H
#define VZ_TEXT_BLOCK_H

#include "text/pack.h"

#include <stdbool.h>

#if defined(__SSE2__)
#include <emmintrin.h>

/* A bit for each of sixteen numbers from `at` that is over `least`. SSE2 compares signed numbers:
 * the top bits are turned over first. */
static inline unsigned vz_sixteen_over(const uint32_t *at, uint32_t least)
{
    const __m128i flip = _mm_set1_epi32(INT32_MIN);
    const __m128i bound = _mm_set1_epi32((int)(least ^ 0x80000000u));
    const __m128i *from = (const __m128i *)(const void *)at;
    __m128i a = _mm_cmpgt_epi32(_mm_xor_si128(_mm_loadu_si128(from), flip), bound);
    __m128i b = _mm_cmpgt_epi32(_mm_xor_si128(_mm_loadu_si128(from + 1), flip), bound);
    __m128i c = _mm_cmpgt_epi32(_mm_xor_si128(_mm_loadu_si128(from + 2), flip), bound);
    __m128i d = _mm_cmpgt_epi32(_mm_xor_si128(_mm_loadu_si128(from + 3), flip), bound);
    return (unsigned)_mm_movemask_epi8(
        _mm_packs_epi16(_mm_packs_epi32(a, b), _mm_packs_epi32(c, d)));
}
#else
static inline unsigned vz_sixteen_over(const uint32_t *at, uint32_t least)
{
    unsigned mask = 0;
    for (unsigned i = 0; i < 16; i++)
        mask |= (unsigned)(at[i] > least) << i;
    return mask;
}
#endif

/* A bit for each of the first `count` numbers that is over `least`. */
static inline void vz_block_over(const uint32_t *values, unsigned count, uint32_t least,
                                 uint64_t mask[2])
{
    mask[0] = mask[1] = 0;
    for (unsigned i = 0; i < VZ_BLOCK; i += 16)
        mask[i / 64] |= (uint64_t)vz_sixteen_over(values + i, least) << i % 64;
    if (count < 64)
        mask[0] &= (1ull << count) - 1;
    if (count < VZ_BLOCK)
        mask[1] &= count <= 64 ? 0 : (1ull << (count - 64)) - 1;
}

/* The place of the first of rising numbers, from place `at` on, that is not below `target`; there
 * is one. */
static inline unsigned vz_block_find(const uint32_t *values, unsigned at, uint32_t target)
{
    if (target == 0)
        return at;
    for (unsigned i = at & ~15u; i < VZ_BLOCK; i += 16) {
        unsigned not_below = vz_sixteen_over(values + i, target - 1);
        if (not_below) {
            unsigned found = i + (unsigned)__builtin_ctz(not_below);
            return found > at ? found : at;
        }
    }
    return at;
}

/* Which of the documents docs[places[0]], docs[places[1]] ... (rising) are among the rising
 * others[at .. count): places of both. Ends with the first that is behind the last of them; *used:
 * how many were looked at. Gives how many were found. `others` has room for VZ_BLOCK. block.c. */
struct vz_meeting {
    uint8_t mine[VZ_BLOCK], theirs[VZ_BLOCK];
};
unsigned vz_block_meet(const uint32_t *docs, const uint8_t *places, unsigned place_count,
                       const uint32_t *others, unsigned at, unsigned count, struct vz_meeting *out,
                       unsigned *used);
/* The same in plain C, for tests. */
unsigned vz_block_meet_plain(const uint32_t *docs, const uint8_t *places, unsigned place_count,
                             const uint32_t *others, unsigned at, unsigned count,
                             struct vz_meeting *out, unsigned *used);

#endif
