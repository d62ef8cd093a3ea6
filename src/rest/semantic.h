/* rest/semantic.h - semantic fields between a mapping and the models; private to the room. */
#ifndef VZ_REST_SEMANTIC_H
#define VZ_REST_SEMANTIC_H

#include "rest/ingest.h"

/* The semantic fields of a mapping, in the arena but for their chunkings. Errors: VZ_BAD_ARGUMENT
 * (a separator is no regular expression). */
enum vz_status vz_semantic_plan(struct vz_rest *rest, const struct vz_mapping *mapping,
                                struct vz_arena *arena, struct vz_ingest_semantic **fields,
                                size_t *count, struct vz_error *err);
void vz_semantic_plan_deinit(struct vz_ingest_semantic *fields, size_t count);

/* Whether a script may update documents of the index: not where chunks would have to be made of what
 * it leaves, which Elasticsearch refuses too. */
bool vz_semantic_may_script(struct vz_index *index, struct vz_problem *problem);
/* For vz_write_options, of what a script left: it was run for an index without semantic fields. */
extern const uint64_t vz_semantic_none;

/* Holds the model that made a document's chunks against the one the field remembers; makes the
 * field remember it when it does not. False with item->problem. */
bool vz_semantic_remember(struct vz_call *call, struct vz_index *index, struct vz_ingest_item *item,
                          const struct vz_ingest_mark *mark);

#endif
