/* query/retriever.h - a tree of retrievers in a run. Private to the room. */
#ifndef VZ_QUERY_RETRIEVER_H
#define VZ_QUERY_RETRIEVER_H

#include "query/fusion.h"
#include "query/run.h"

/* Runs the tree of run->search over the open targets and fills *last with the search that is left
 * to do: run->nearest has the tree's documents with their scores, run->collector may hold no more
 * than those. Errors: those of the leaves, VZ_BAD_ARGUMENT around them. */
enum vz_status vz_retriever_run(struct vz_run *run, struct vz_search *last, struct vz_error *err);

/* The first value of a field of a document as text, as `fields` would show it; empty when there is
 * none. In the eval's arena. */
enum vz_status vz_field_text(struct vz_eval *eval, uint32_t docno, struct vz_slice field,
                             struct vz_slice *out, struct vz_error *err);
/* find.c: how many of some documents (distinct, ascending, of one target) a query of texts and
 * filters matches; false for other queries. */
bool vz_texts_matching(struct vz_eval *eval, const struct vz_node *query,
                       const struct vz_scored *docs, size_t count, uint64_t *matching);
/* pinned.c: the document of a pin; false when this target does not show it. */
bool vz_pin_find(struct vz_eval *eval, const struct vz_pin *pin, uint32_t *docno);
/* The score of pin number `at` of `count`. */
float vz_pin_score(size_t at, size_t count);

#endif
