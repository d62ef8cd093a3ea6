#include "base/bitset.h"

#include <stdlib.h>

void vz_bitset_init(struct vz_bitset *set, size_t bits)
{
    set->bits = bits;
    set->words = vz_calloc(VZ_MAX((bits + 63) / 64, (size_t)1), sizeof *set->words);
}

void vz_bitset_deinit(struct vz_bitset *set)
{
    free(set->words);
    *set = (struct vz_bitset){0};
}

void vz_bitset_copy(struct vz_bitset *to, const struct vz_bitset *from)
{
    vz_bitset_init(to, from->bits);
    memcpy(to->words, from->words, vz_bitset_word_count(from) * sizeof *to->words);
}

void vz_bitset_set_all(struct vz_bitset *set)
{
    memset(set->words, 0xFF, vz_bitset_word_count(set) * sizeof *set->words);
    if (set->bits % 64)
        set->words[set->bits / 64] = (1ull << (set->bits % 64)) - 1;
}

size_t vz_bitset_count(const struct vz_bitset *set)
{
    size_t count = 0, words = vz_bitset_word_count(set);
    for (size_t i = 0; i < words; i++)
        count += (size_t)__builtin_popcountll(set->words[i]);
    return count;
}

void vz_bitset_and(struct vz_bitset *to, const struct vz_bitset *other)
{
    size_t words = vz_bitset_word_count(to);
    for (size_t i = 0; i < words; i++)
        to->words[i] &= other->words[i];
}

void vz_bitset_or(struct vz_bitset *to, const struct vz_bitset *other)
{
    size_t words = vz_bitset_word_count(to);
    for (size_t i = 0; i < words; i++)
        to->words[i] |= other->words[i];
}

void vz_bitset_and_not(struct vz_bitset *to, const struct vz_bitset *other)
{
    size_t words = vz_bitset_word_count(to);
    for (size_t i = 0; i < words; i++)
        to->words[i] &= ~other->words[i];
}

size_t vz_bitset_next(const struct vz_bitset *set, size_t from)
{
    if (from >= set->bits)
        return set->bits;
    size_t words = vz_bitset_word_count(set), i = from / 64;
    uint64_t word = set->words[i] & (~0ull << (from % 64));
    while (!word) {
        if (++i == words)
            return set->bits;
        word = set->words[i];
    }
    return i * 64 + (size_t)__builtin_ctzll(word);
}
