/* text/batch_parts.h - what batch.c gathers and builder.c reads; private to the room. */
#ifndef VZ_TEXT_BATCH_PARTS_H
#define VZ_TEXT_BATCH_PARTS_H

#include "text/batch.h"
#include "text/slots.h"

struct vz_batch_term {
    struct vz_term_key key;
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
    struct vz_term_slots slots;
    struct vz_batch_use *uses; /* as they came, and the term of each; gone when finished */
    uint32_t *use_terms;
    size_t use_count, use_capacity;
    struct vz_batch_use *sorted;
    struct vz_batch_field *fields;
    size_t field_count, field_capacity;
    uint32_t docs;
};

#endif
