/* text/batch.h - the tokens of many documents, grouped by term before they go into postings.
 *
 * A term's postings lie anywhere in megabytes, and a builder belongs to one writer: token after
 * token it would wait for memory. A batch is gathered by the thread that analysed the documents,
 * small enough for its cache; the writer then looks each term up once and adds all its documents.
 *
 * Documents are numbered from 0 in the batch; their docnos, in the same order, are given when it is
 * added, and those that have none by then are left out.
 *
 * A batch belongs to one thread at a time.
 *
 *     batch = vz_text_batch_new();
 *     vz_text_batch_add(batch, 0, field, VZ_TEXT_ALL, &tokens, 100); ...
 *     vz_text_batch_finish(batch);
 *     vz_text_index_add_batch(index, batch, docnos, &err);  */
#ifndef VZ_TEXT_BATCH_H
#define VZ_TEXT_BATCH_H

#include "text/index.h"

#define VZ_NOT_WRITTEN UINT32_MAX /* in place of a docno */

struct vz_text_batch;
struct vz_text_batch *vz_text_batch_new(void);
void vz_text_batch_free(struct vz_text_batch *batch);
/* As vz_text_builder_add; `doc` must not fall. Copies what it needs. VZ_LIMIT: 2^30 tokens. */
enum vz_status vz_text_batch_add(struct vz_text_batch *batch, uint32_t doc, uint16_t field,
                                 unsigned flags, const struct vz_tokens *tokens, uint32_t gap,
                                 struct vz_error *err);
/* Behind the last document; nothing may be added any more. */
void vz_text_batch_finish(struct vz_text_batch *batch);
/* One more than the largest document. */
uint32_t vz_text_batch_docs(const struct vz_text_batch *batch);

/* docnos[vz_text_batch_docs()]: rising, behind all that was added, or VZ_NOT_WRITTEN. Writer. */
void vz_text_builder_add_batch(struct vz_text_builder *builder, const struct vz_text_batch *batch,
                               const uint32_t *docnos);
/* The same for an index, as vz_text_index_add: seals before, not within. */
enum vz_status vz_text_index_add_batch(struct vz_text_index *index,
                                       const struct vz_text_batch *batch, const uint32_t *docnos,
                                       struct vz_error *err);

#endif
