#include "base/strmap.h"

#include "base/text.h"

#define XXH_INLINE_ALL
#include <stdlib.h>
#include <xxhash.h>

struct vz_strmap_slot {
    uint64_t hash; /* 0: empty */
    struct vz_slice key;
    uint64_t value;
};

uint64_t vz_hash(struct vz_slice bytes, uint64_t seed)
{
    return XXH3_64bits_withSeed(bytes.ptr, bytes.len, seed);
}

static uint64_t key_hash(const struct vz_strmap *map, struct vz_slice key)
{
    uint64_t hash = vz_hash(key, map->seed);
    return hash ? hash : 1;
}

/* The slot that holds the key, or the empty one where it would go. */
static struct vz_strmap_slot *find(const struct vz_strmap *map, struct vz_slice key, uint64_t hash)
{
    size_t mask = map->capacity - 1;
    for (size_t i = hash & mask;; i = (i + 1) & mask) {
        struct vz_strmap_slot *slot = &map->slots[i];
        if (!slot->hash || (slot->hash == hash && vz_slice_eq(slot->key, key)))
            return slot;
    }
}

bool vz_strmap_get(const struct vz_strmap *map, struct vz_slice key, uint64_t *value)
{
    if (!map->count)
        return false;
    const struct vz_strmap_slot *slot = find(map, key, key_hash(map, key));
    if (!slot->hash)
        return false;
    *value = slot->value;
    return true;
}

static void grow(struct vz_strmap *map)
{
    struct vz_strmap old = *map;
    if (!map->seed)
        vz_random_bytes(&map->seed, sizeof map->seed);
    map->capacity = old.capacity ? old.capacity * 2 : 16;
    map->slots = vz_calloc(map->capacity, sizeof *map->slots);
    for (size_t i = 0; i < old.capacity; i++)
        if (old.slots[i].hash)
            *find(map, old.slots[i].key, old.slots[i].hash) = old.slots[i];
    free(old.slots);
}

bool vz_strmap_put(struct vz_strmap *map, struct vz_slice key, uint64_t value)
{
    if ((map->count + 1) * 4 > map->capacity * 3)
        grow(map);
    uint64_t hash = key_hash(map, key);
    struct vz_strmap_slot *slot = find(map, key, hash);
    bool is_new = !slot->hash;
    if (is_new) {
        slot->hash = hash;
        slot->key = vz_arena_copy(&map->keys, key);
        map->count++;
    }
    slot->value = value;
    return is_new;
}

void vz_strmap_clear(struct vz_strmap *map)
{
    if (map->slots)
        memset(map->slots, 0, map->capacity * sizeof *map->slots);
    map->count = 0;
    vz_arena_reset(&map->keys);
}

void vz_strmap_deinit(struct vz_strmap *map)
{
    free(map->slots);
    vz_arena_deinit(&map->keys);
    *map = (struct vz_strmap){0};
}
