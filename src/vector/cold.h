/* vector/cold.h - rows in a mapped file that memory does not hold.
 *
 * Whoever is about to read several such rows asks the disk for all of them first (base/ahead.h),
 * but not for those that were asked for lately: the page cache has them still, and asking costs a
 * third of a microsecond each, hundreds of them an insert.
 *
 * Threads: vz_cold_begin once, by one thread; everything else by any number at any time.
 */
#ifndef VZ_VECTOR_COLD_H
#define VZ_VECTOR_COLD_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct vz_cold {
    atomic_bool on;               /* false: memory holds the rows. Zeroed is that */
    _Atomic uint64_t *asked;      /* a bit a row, modulo VZ_COLD_BITS; NULL: no memory for it */
    _Atomic uint32_t count, most; /* asked for since the bits were cleared; cleared at `most` */
};

enum { VZ_COLD_BITS = 1 << 27 };

/* From now on the rows are larger than memory, of which there are `memory_bytes`: what a quarter of
 * them takes in pages is believed to stay. Takes up to 16 MB. */
void vz_cold_begin(struct vz_cold *cold, size_t memory_bytes);
void vz_cold_deinit(struct vz_cold *cold);

static inline bool vz_cold_is_on(const struct vz_cold *cold)
{
    return cold && atomic_load_explicit(&cold->on, memory_order_acquire);
}

/* Notes that `row` is asked for; whether it was not lately. */
bool vz_cold_note(struct vz_cold *cold, uint32_t row);

#endif
