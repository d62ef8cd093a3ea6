/* base/hash.h - hashes for tables in memory whose keys clients choose.
 *
 * They hang on a seed that the process draws when it starts, so that nobody can make keys that meet
 * in one place of a table. Therefore: never on disk, never in an answer, and what is read out of a
 * table comes in the order of its entries, not of its places.
 *
 *     size_t at = vz_hash_number(key, owner) & (size - 1);
 *
 * Any thread. The seed is set before main and stays; only tests set another, with no table alive. */
#ifndef VZ_BASE_HASH_H
#define VZ_BASE_HASH_H

#include <stdint.h>

struct vz_hash_seed {
    uint64_t a, b, c; /* c is odd */
};
extern struct vz_hash_seed vz_hash_seed;

/* For tests: the seed made from a number, or drawn anew from 0. */
void vz_hash_reseed(uint64_t number);

/* Both halves of a product in one. Where a party to it is secret and not 0 no pair of the others is
 * known to meet. */
static inline uint64_t vz_hash_fold(uint64_t a, uint64_t b)
{
    unsigned __int128 product = (unsigned __int128)a * b;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

/* Of a number that belongs to another small one (a bucket's key and the bucket above it). All bits
 * of it may be used, the lowest as well. Numbers in steps of one size, which a product leaves in
 * steps, are stirred once more. */
static inline uint64_t vz_hash_number(int64_t key, uint32_t owner)
{
    uint64_t factor = (owner * vz_hash_seed.c ^ vz_hash_seed.b) | 1;
    uint64_t mixed = vz_hash_fold((uint64_t)key ^ vz_hash_seed.a, factor);
    mixed = (mixed ^ mixed >> 32) * 0xD6E8FEB86659FD93ull;
    return mixed ^ mixed >> 29;
}

#endif
