/* text/dense.h - frequent terms of a segment as bits, kept with the segment; private to the room.
 *
 * A list of one document of 64 or more takes no fewer bytes than a bit for each document, and its
 * documents are found and counted 64 at a time when they are bits. A segment never changes, so
 * bits made once hold for its life. A list is kept from its second use on; at most VZ_DENSE_BYTES
 * and VZ_DENSE_MOST a segment, the one unused for longest goes first.
 *
 * Threads: any; a lock for lookups, none while bits are made or read: they are counted references.
 */
#ifndef VZ_TEXT_DENSE_H
#define VZ_TEXT_DENSE_H

#include "text/postings_parts.h"

#define VZ_DENSE_BYTES ((size_t)16 << 20)
#define VZ_DENSE_MOST 128
#define VZ_DENSE_FROM 32768 /* documents of a segment: smaller ones have none */

struct vz_dense {
    _Atomic uint32_t references;
    const unsigned char *list; /* whose: a place in the segment */
    uint64_t used;             /* guarded by the cache's lock */
    uint32_t first_word;       /* bit j of words[w] is docno (first_word + w) * 64 + j */
    uint32_t word_count;
    uint64_t words[];
};

/* With a segment; NULL where it is too small for any. */
struct vz_dense_cache;
struct vz_dense_cache *vz_dense_cache_new(const struct vz_segment *segment);
void vz_dense_cache_free(struct vz_dense_cache *cache);
size_t vz_dense_cache_bytes(struct vz_dense_cache *cache);

/* Whether a list of so many documents is kept as bits when it is asked for again. */
bool vz_dense_is(const struct vz_segment *segment, uint32_t doc_freq);
/* The bits of a list for which that is so, or NULL the first time. Release them. */
struct vz_dense *vz_dense_get(const struct vz_segment *segment,
                              const struct vz_segment_field *field,
                              const struct vz_term_info *info);
void vz_dense_release(struct vz_dense *dense);

#endif
