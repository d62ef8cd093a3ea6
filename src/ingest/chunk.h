/* ingest/chunk.h - a long text cut into pieces that a model reads one by one.
 *
 * As Elasticsearch's chunking_settings say: "sentence" (whole sentences up to a number of words,
 * with or without the sentence before; longer ones are split on words), "word" (windows of words
 * that overlap), "recursive" (by separators, the next one where a piece is still too long) and
 * "none". Words and sentences are ICU's.
 *
 * Threads: a chunking is immutable and may be shared; everything else belongs to its caller.
 */
#ifndef VZ_INGEST_CHUNK_H
#define VZ_INGEST_CHUNK_H

#include "base/mem.h"
#include "base/status.h"

#define VZ_MAX_CHUNKS 16384 /* of one text */

struct vz_chunking;
struct vz_chunk {
    size_t start, end; /* bytes */
};

/* `settings` is JSON; empty: sentences up to 250 words with the one before. What is out of bounds
 * was refused when it was put (vz_chunking_check). VZ_BAD_ARGUMENT: a separator is no regular
 * expression. Free it. */
enum vz_status vz_chunking_new(struct vz_slice settings, struct vz_chunking **out,
                               struct vz_error *err);
void vz_chunking_free(struct vz_chunking *chunking);

/* The pieces of `text` (UTF-8) in its order, in the arena; one for an empty text. VZ_LIMIT: more
 * than VZ_MAX_CHUNKS, or a separator that takes too long to find. */
enum vz_status vz_chunk(const struct vz_chunking *chunking, struct vz_slice text,
                        struct vz_arena *arena, struct vz_chunk **chunks, size_t *count,
                        struct vz_error *err);

#endif
