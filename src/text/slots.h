/* text/slots.h - which of many terms has a field and a text: open addressing over an array of them
 * that somebody else keeps. Private to the room.
 *
 * The terms are structs of `stride` bytes that begin with a struct vz_term_key. There are always
 * free slots: who adds a term calls vz_term_slots_grow before they are few. */
#ifndef VZ_TEXT_SLOTS_H
#define VZ_TEXT_SLOTS_H

#include "base/hash.h"
#include "base/strmap.h"

struct vz_term_key {
    const char *text;
    uint32_t hash; /* vz_term_hash */
    uint16_t len, field;
};

struct vz_term_slots {
    uint32_t *at;   /* the term's place + 1; 0: free. On the heap, the owner's to free */
    uint32_t count; /* a power of two, or 0 at first */
};

/* Of a term in a field, seeded (base/hash.h). Most terms are short: two overlapping loads and two
 * multiplications. Their length and field go in by a secret factor: added or xored as they are,
 * those of one term could make up for those of another. */
static inline uint32_t vz_term_hash(uint16_t field, struct vz_slice text)
{
    uint64_t a = 0, b = 0;
    if (text.len >= 8) {
        memcpy(&a, text.ptr, 8);
        memcpy(&b, text.ptr + text.len - 8, 8);
    } else if (text.len >= 4) {
        memcpy(&a, text.ptr, 4);
        memcpy(&b, text.ptr + text.len - 4, 4);
    } else if (text.len) {
        a = (unsigned char)text.ptr[0] | (unsigned)(unsigned char)text.ptr[text.len / 2] << 8;
        b = (unsigned char)text.ptr[text.len - 1];
    }
    if (text.len > 16)
        b ^= vz_hash(text, vz_hash_seed.c);
    a ^= vz_hash_seed.a + ((uint64_t)field << 32 | (uint32_t)text.len) * vz_hash_seed.c;
    uint64_t mixed = vz_hash_fold(a, b ^ vz_hash_seed.b);
    return (uint32_t)(mixed ^ mixed >> 29);
}

/* Twice as many slots, with the first `term_count` terms in them. */
void vz_term_slots_grow(struct vz_term_slots *slots, const void *terms, size_t stride,
                        uint32_t term_count);

/* The slot of the term, or the free one where it goes. */
static inline uint32_t *vz_term_slots_find(const struct vz_term_slots *slots, const void *terms,
                                           size_t stride, uint16_t field, struct vz_slice text,
                                           uint32_t hash)
{
    uint32_t mask = slots->count - 1, slot = hash & mask;
    for (; slots->at[slot]; slot = (slot + 1) & mask) {
        const struct vz_term_key *key =
            (const void *)((const char *)terms + (slots->at[slot] - 1) * stride);
        if (key->hash == hash && key->field == field && key->len == text.len &&
            memcmp(key->text, text.ptr, text.len) == 0)
            break;
    }
    return &slots->at[slot];
}

#endif
