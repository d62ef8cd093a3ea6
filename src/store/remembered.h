/* store/remembered.h - which documents a filter matched, and how many have a field, kept with a
 * generation.
 *
 * Why it is simple. A document never changes in place and columns only grow, so what a condition on
 * a column matched among the documents below a docno holds for the life of the generation; later
 * documents are looked at when they come. Deaths are not part of it: whoever uses the bits takes
 * dead documents out, as with a fresh scan.
 *
 * A condition is kept from its second use on, so that conditions asked once push nothing out; the
 * longest unused goes first. At most VZ_REMEMBERED_BYTES a generation.
 *
 * Totals of a column are of live documents, so they hold for a number of dead ones: with no further
 * death they are counted on from where they end, else anew.
 *
 * Threads: any; one lock, held for a copy (a bit a document).
 */
#ifndef VZ_STORE_REMEMBERED_H
#define VZ_STORE_REMEMBERED_H

#include "store/store.h"

#include <pthread.h>
#include <stdatomic.h>

#define VZ_REMEMBERED_BYTES ((size_t)16 << 20)
#define VZ_REMEMBERED_MOST 128
#define VZ_REMEMBERED_SEEN 256
#define VZ_REMEMBERED_TOTALS 64

struct vz_remembered {
    pthread_mutex_t lock;
    struct vz_remembered_entry {
        struct vz_filter_key key;
        struct vz_bitset bits;
        uint64_t used;
    } entries[VZ_REMEMBERED_MOST];
    unsigned count, most_seen;
    _Atomic size_t bytes; /* of the bits; written under the lock, read by anybody */
    uint64_t clock;
    struct vz_filter_key seen[VZ_REMEMBERED_SEEN]; /* asked once, a ring */
    struct vz_remembered_totals {
        uint16_t field;
        uint32_t dead; /* documents below totals.docno */
        struct vz_column_totals totals;
    } totals[VZ_REMEMBERED_TOTALS];
    unsigned totals_count, totals_next; /* next: a ring */
};
void vz_remembered_init(struct vz_remembered *remembered);
void vz_remembered_deinit(struct vz_remembered *remembered);
/* Copies what is known into bits (which are zero). Documents below the result are answered. */
uint32_t vz_remembered_get(struct vz_remembered *remembered, const struct vz_filter_key *key,
                           struct vz_bitset *bits);
/* All documents of bits are answered. */
void vz_remembered_put(struct vz_remembered *remembered, const struct vz_filter_key *key,
                       const struct vz_bitset *bits);
/* Totals of a field with `dead` documents below the watermark; zero: not known. */
void vz_remembered_totals_get(struct vz_remembered *remembered, uint16_t field, uint32_t watermark,
                              uint32_t dead, struct vz_column_totals *totals);
void vz_remembered_totals_put(struct vz_remembered *remembered, uint16_t field, uint32_t dead,
                              const struct vz_column_totals *totals);

#endif
