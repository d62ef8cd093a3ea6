#include "text/slots.h"

#include <stdlib.h>

void vz_term_slots_grow(struct vz_term_slots *slots, const void *terms, size_t stride,
                        uint32_t term_count)
{
    uint32_t count = slots->count ? slots->count * 2 : 4096;
    free(slots->at);
    slots->at = vz_calloc(count, sizeof *slots->at);
    slots->count = count;
    for (uint32_t i = 0; i < term_count; i++) {
        const struct vz_term_key *key = (const void *)((const char *)terms + i * stride);
        uint32_t slot = key->hash & (count - 1);
        while (slots->at[slot])
            slot = (slot + 1) & (count - 1);
        slots->at[slot] = i + 1;
    }
}
