#include "vector/cold.h"
#include "base/mem.h"

#include <stdlib.h>

#define PAGE_BYTES 4096
#define WORDS (VZ_COLD_BITS / 64)

void vz_cold_begin(struct vz_cold *cold, size_t memory_bytes)
{
    cold->asked = calloc(WORDS, sizeof *cold->asked); /* pages that nobody touches cost nothing */
    size_t most = memory_bytes / 4 / PAGE_BYTES;
    atomic_init(&cold->most, (uint32_t)VZ_MIN(most, (size_t)VZ_COLD_BITS / 16));
    atomic_store_explicit(&cold->on, true, memory_order_release);
}

void vz_cold_deinit(struct vz_cold *cold)
{
    free((void *)(uintptr_t)cold->asked);
    cold->asked = NULL;
}

/* Bits that others set meanwhile may be lost: their rows are asked for once more. */
static void clear(struct vz_cold *cold)
{
    for (size_t i = 0; i < WORDS; i++)
        if (atomic_load_explicit(&cold->asked[i], memory_order_relaxed))
            atomic_store_explicit(&cold->asked[i], 0, memory_order_relaxed);
}

bool vz_cold_note(struct vz_cold *cold, uint32_t row)
{
    if (!cold->asked)
        return true;
    _Atomic uint64_t *word = &cold->asked[row % VZ_COLD_BITS / 64];
    uint64_t bit = (uint64_t)1 << row % 64;
    if (atomic_load_explicit(word, memory_order_relaxed) & bit)
        return false;
    atomic_fetch_or_explicit(word, bit, memory_order_relaxed);
    uint32_t count = atomic_fetch_add_explicit(&cold->count, 1, memory_order_relaxed) + 1;
    if (count == atomic_load_explicit(&cold->most, memory_order_relaxed)) { /* one thread sees it */
        clear(cold);
        atomic_store_explicit(&cold->count, 0, memory_order_relaxed);
    }
    return true;
}
