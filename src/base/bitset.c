#include "base/bitset.h"

#include "base/cpu.h"

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

/* Three times the same loop: without the processor's own instruction a word is a call. */
static size_t count_plain(const uint64_t *words, size_t count)
{
    size_t sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += (size_t)__builtin_popcountll(words[i]);
    return sum;
}

#if defined(__x86_64__)
__attribute__((target("popcnt"))) static size_t count_popcnt(const uint64_t *words, size_t count)
{
    size_t sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += (size_t)__builtin_popcountll(words[i]);
    return sum;
}

__attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512vpopcntdq"))) static size_t
count_avx512(const uint64_t *words, size_t count)
{
    size_t sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += (size_t)__builtin_popcountll(words[i]);
    return sum;
}
#endif

size_t vz_words_count(const uint64_t *words, size_t count)
{
#if defined(__x86_64__)
    if (vz_cpu()->avx512_vpopcnt)
        return count_avx512(words, count);
    if (vz_cpu()->avx2_fma) /* every such processor has it */
        return count_popcnt(words, count);
#endif
    return count_plain(words, count);
}

size_t vz_bitset_count(const struct vz_bitset *set)
{
    return vz_words_count(set->words, vz_bitset_word_count(set));
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

size_t vz_bitset_next_word(const struct vz_bitset *set, size_t word)
{
    size_t words = vz_bitset_word_count(set);
    while (word < words && !set->words[word])
        word++;
    return word < words ? word * 64 + (size_t)__builtin_ctzll(set->words[word]) : set->bits;
}

uint32_t vz_bitset_list(const struct vz_bitset *set, size_t from, uint32_t *out, uint32_t max)
{
    size_t words = vz_bitset_word_count(set), at = from / 64;
    uint32_t count = 0;
    if (from >= set->bits)
        return 0;
    uint64_t word = set->words[at] & ~0ull << (from % 64);
    while (count < max) {
        if (!word) {
            const uint64_t *eight = set->words + ++at;
            for (; at + 8 <= words && !(eight[0] | eight[1] | eight[2] | eight[3] | eight[4] |
                                        eight[5] | eight[6] | eight[7]);
                 eight += 8)
                at += 8;
            if (at >= words)
                break;
            word = set->words[at];
            continue;
        }
        out[count++] = (uint32_t)(at * 64) + (uint32_t)__builtin_ctzll(word);
        word &= word - 1;
    }
    return count;
}
