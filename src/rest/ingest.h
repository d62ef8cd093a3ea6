/* rest/ingest.h - what the files of the ingest group share with bulk.c and document.c. Private to
 * the room.
 *
 * A write passes through here between being read and being grouped by index: pipelines (of the
 * request, of the index: default_pipeline, final_pipeline) change its document, and pictures or
 * texts that stand where a vector belongs become vectors. A request none of whose indices has any
 * of this pays for one look at the settings and mapping of each index.
 *
 * Pipelines are kept in the store's blobs of the kind "pipeline" and compiled in rest->ingest.
 */
#ifndef VZ_REST_INGEST_H
#define VZ_REST_INGEST_H

#include "ingest/ingest.h"
#include "rest/parts.h"

#define VZ_BLOB_PIPELINE VZ_SLICE("pipeline")

/* One write of a request. What comes out replaces what came in. */
struct vz_ingest_item {
    struct vz_slice index; /* as addressed */
    struct vz_slice id;    /* empty: none */
    struct vz_slice routing;
    struct vz_slice source;   /* with 64 readable bytes behind it */
    struct vz_slice pipeline; /* named by the request; ptr NULL: not named; "_none" */
    uint8_t verb;             /* enum vz_write_verb */
    bool require_alias;
    /* Filled: */
    struct vz_problem *problem; /* NULL: it may be written */
    bool dropped;               /* by a pipeline: not written, and that is well */
    struct vz_ingest_mark *marks;
    uint32_t of; /* the caller's own number for it */
};

/* Everything that the items' new texts live in. */
struct vz_ingest_work;
struct vz_ingest_work *vz_ingest_work_new(struct vz_call *call);
void vz_ingest_work_free(struct vz_ingest_work *work);
/* Whether an item has to pass vz_ingest_work_run: its request or its index names a pipeline, or its
 * document may hold a picture for a vector. Cheap. */
bool vz_ingest_work_needs(struct vz_ingest_work *work, const struct vz_ingest_item *item);
/* For vz_write_options, of documents that passed here; NULL for no work. Valid as long as that. */
const uint64_t *vz_ingest_work_semantics(struct vz_ingest_work *work, struct vz_slice name,
                                         bool require_alias);
/* Runs them all, on all cores when there are many. Blocks. */
void vz_ingest_work_run(struct vz_ingest_work *work, struct vz_ingest_item *items, size_t count);
/* Holds the vectors that models made for `index` against the models its fields remember, and makes
 * those remember that do not. False with item->problem: another model's. */
bool vz_ingest_remember(struct vz_call *call, struct vz_index *index, struct vz_ingest_item *item);
/* The tree of a mapping's "properties", in the arena; NULL: it has none. */
struct vz_value *vz_ingest_properties(const struct vz_mapping *mapping, struct vz_arena *arena);
/* Adds these properties to an index's mapping. */
enum vz_status vz_ingest_put_properties(struct vz_index *index, struct vz_arena *arena,
                                        struct vz_value *properties, struct vz_error *err);

/* In Elasticsearch's words. */
void vz_ingest_problem(struct vz_arena *arena, const struct vz_error *err, enum vz_ingest_kind kind,
                       struct vz_problem *problem);
/* A definition that does not compile. */
void vz_ingest_bad_pipeline(struct vz_call *call, const struct vz_error *err,
                            const struct vz_ingest_fault *fault);
/* For vz_rest_new: pipelines as the store remembers them. */
void vz_ingest_restore(struct vz_rest *rest);
/* For vz_rest_free. */
void vz_ingest_stop(struct vz_rest *rest);
/* The pipelines that an index names, empty when it names none; the arena's. */
void vz_ingest_settings(struct vz_index *index, struct vz_arena *arena,
                        struct vz_slice *default_name, struct vz_slice *final_name);

#endif
