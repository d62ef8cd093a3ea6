/* base/bitset.h - a plain bitset over document numbers.
 *
 * Not thread-safe; build it, then share it read-only. Bits past `bits` are always zero, so whole
 * words can be counted and scanned.
 */
#ifndef VZ_BASE_BITSET_H
#define VZ_BASE_BITSET_H

#include "base/mem.h"

struct vz_bitset {
    uint64_t *words;
    size_t bits;
};

static inline size_t vz_bitset_word_count(const struct vz_bitset *set)
{
    return (set->bits + 63) / 64;
}
/* All zero. Owns its memory until deinit. */
void vz_bitset_init(struct vz_bitset *set, size_t bits);
void vz_bitset_deinit(struct vz_bitset *set);
void vz_bitset_copy(struct vz_bitset *to, const struct vz_bitset *from);
static inline void vz_bitset_set(struct vz_bitset *set, size_t bit)
{
    set->words[bit >> 6] |= 1ull << (bit & 63);
}
static inline void vz_bitset_clear(struct vz_bitset *set, size_t bit)
{
    set->words[bit >> 6] &= ~(1ull << (bit & 63));
}
/* False past the end. */
static inline bool vz_bitset_has(const struct vz_bitset *set, size_t bit)
{
    return bit < set->bits && (set->words[bit >> 6] >> (bit & 63) & 1);
}
void vz_bitset_set_all(struct vz_bitset *set);
size_t vz_bitset_count(const struct vz_bitset *set);
/* The set bits of some words. */
size_t vz_words_count(const uint64_t *words, size_t count);
/* to &= other, to |= other, to &= ~other; both of the same size. */
void vz_bitset_and(struct vz_bitset *to, const struct vz_bitset *other);
void vz_bitset_or(struct vz_bitset *to, const struct vz_bitset *other);
void vz_bitset_and_not(struct vz_bitset *to, const struct vz_bitset *other);
/* The first set bit of a word or a later one, or `bits` when there is none. */
size_t vz_bitset_next_word(const struct vz_bitset *set, size_t word);
/* The first set bit at or after `from`, or `bits` when there is none. */
static inline size_t vz_bitset_next(const struct vz_bitset *set, size_t from)
{
    if (from >= set->bits)
        return set->bits;
    uint64_t rest = set->words[from / 64] >> (from % 64);
    return rest ? from + (size_t)__builtin_ctzll(rest) : vz_bitset_next_word(set, from / 64 + 1);
}
/* The set bits at or after `from`, ascending, at most `max` of them; how many. */
uint32_t vz_bitset_list(const struct vz_bitset *set, size_t from, uint32_t *out, uint32_t max);

#endif
