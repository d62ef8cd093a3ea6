/* text/index.h - a text index on disk: a builder, its segments, their files, merging.
 *
 * The model. One writer adds documents in order of docno; `publish` makes what was added visible to
 * new views; `maintain` merges segments and writes those in memory to files, in the background. A
 * folder holds segment files text.BASE-LIMIT and nothing else of ours; which of them count is told
 * by their names: on open the longest chain from docno 0 is taken and the rest removed. So there is
 * no list to keep in step, and a crash at any point loses only documents behind the chain, which
 * the owner adds again from vz_text_index_limit on.
 *
 * All of it is derived data. A folder that does not open is emptied: the limit is 0 then.
 *
 * Threads: add and publish belong to one writer at a time (the index's writer); maintain to one
 * background thread at a time; views are taken from any thread. A lock is held for moments only.
 *
 *     vz_text_index_open(dir, NULL, &index, &err);
 *     for (docno = vz_text_index_limit(index); ...) vz_text_index_add(index, docno, field, ...);
 *     vz_text_index_publish(index, docno, &err);
 *     view = vz_text_index_view(index); ...; vz_text_view_release(view);
 */
#ifndef VZ_TEXT_INDEX_H
#define VZ_TEXT_INDEX_H

#include "text/postings.h"

struct vz_text_index;
struct vz_text_index_options {
    size_t buffer_bytes; /* a builder larger than this is sealed by itself; 0: 64 MiB */
    size_t flush_bytes;  /* segments in memory past this are written; 0: 32 MiB */
    size_t merge_fan_in; /* 0: 8 */
    uint32_t limit;      /* documents that exist: files past it are removed; 0: any */
};
/* `dir` must exist. Errors: VZ_IO, VZ_READ_ONLY; never for what is in the files. */
enum vz_status vz_text_index_open(const char *dir, const struct vz_text_index_options *options,
                                  struct vz_text_index **out, struct vz_error *err);
/* What is only in memory is lost: checkpoint first to keep it. Views stay valid. */
void vz_text_index_close(struct vz_text_index *index);
/* Documents below are in: add from here. Writer. */
uint32_t vz_text_index_limit(const struct vz_text_index *index);
/* As vz_text_builder_add; seals when the buffer is full (not visible before publish). Writer. */
enum vz_status vz_text_index_add(struct vz_text_index *index, uint32_t docno, uint16_t field,
                                 unsigned flags, const struct vz_tokens *tokens, uint32_t gap,
                                 struct vz_error *err);
enum vz_status vz_text_index_add_term(struct vz_text_index *index, uint32_t docno, uint16_t field,
                                      unsigned flags, struct vz_slice term, struct vz_error *err);
/* Views taken from now on show documents below `limit`, which is over every docno added. Cheap when
 * nothing was added. Writer. */
enum vz_status vz_text_index_publish(struct vz_text_index *index, uint32_t limit,
                                     struct vz_error *err);
/* A reference to what is published. */
struct vz_text_view *vz_text_index_view(struct vz_text_index *index);
/* One step of merging or writing; *more: call again. `live` may be NULL; documents not in it are
 * dropped by merges. Background. */
enum vz_status vz_text_index_maintain(struct vz_text_index *index, const struct vz_bitset *live,
                                      bool (*cancelled)(void *context), void *context, bool *more,
                                      struct vz_error *err);
/* Writes all published segments to files. Background. */
enum vz_status vz_text_index_checkpoint(struct vz_text_index *index, struct vz_error *err);

struct vz_text_index_stats {
    size_t segments, memory_bytes, mapped_bytes, buffer_bytes;
    uint64_t merges;
};
void vz_text_index_stats(struct vz_text_index *index, struct vz_text_index_stats *stats);

#endif
