/* text/batch_parts.h - what batch.c gathers and builder.c reads; private to the room. */
#ifndef VZ_TEXT_BATCH_PARTS_H
#define VZ_TEXT_BATCH_PARTS_H

#include "base/hash.h"
#include "base/strmap.h"
#include "text/batch.h"

struct vz_batch_term {
    const char *text;
    uint32_t hash; /* vz_term_hash */
    uint16_t len, field;
    uint32_t from, to; /* its uses, once finished */
};
struct vz_batch_use {
    uint32_t doc, position;
};
/* What a document has of a field. */
struct vz_batch_field {
    uint32_t doc, length;
    uint32_t position; /* of its last token, -1 at first */
    uint16_t field;
    uint8_t flags;
    bool counted;
};

struct vz_text_batch {
    struct vz_arena texts;
    struct vz_batch_term *terms;
    uint32_t term_count, term_capacity;
    uint32_t *slots; /* term + 1 */
    uint32_t slot_count;
    struct vz_batch_use *uses; /* as they came, and the term of each; gone when finished */
    uint32_t *use_terms;
    size_t use_count, use_capacity;
    struct vz_batch_use *sorted;
    struct vz_batch_field *fields;
    size_t field_count, field_capacity;
    uint32_t docs;
};

/* Of a term in a field, seeded (base/hash.h). Most terms are short: two overlapping loads and two
 * multiplications. Their length and field go in by a secret factor: added or xored as they are, those
 * of one term could make up for those of another. */
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

#endif
