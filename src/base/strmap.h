/* base/strmap.h - a hash map from byte strings to 64-bit values (or pointers cast to them).
 *
 * Keys are copied. Seeded per map against chosen collisions. Not thread-safe. */
#ifndef VZ_BASE_STRMAP_H
#define VZ_BASE_STRMAP_H

#include "base/mem.h"

struct vz_strmap_slot;
struct vz_strmap {
    struct vz_strmap_slot *slots; /* power-of-two open addressing */
    size_t capacity, count;
    uint64_t seed;
    struct vz_arena keys;
};
/* Zero-initialised is an empty map. Returns false and leaves *value when the key is absent. */
bool vz_strmap_get(const struct vz_strmap *map, struct vz_slice key, uint64_t *value);
/* Adds or replaces. Returns true when the key is new. */
bool vz_strmap_put(struct vz_strmap *map, struct vz_slice key, uint64_t value);
void vz_strmap_clear(struct vz_strmap *map);
void vz_strmap_deinit(struct vz_strmap *map);
/* XXH3 of the bytes with a seed. */
uint64_t vz_hash(struct vz_slice bytes, uint64_t seed);

#endif
