/* ingest/ingest.h - what happens to a document before it is stored: pipelines of processors.
 *
 * A pipeline is compiled once from its JSON and never changes; it is reference counted, so that one
 * can be replaced while requests still run it. `struct vz_ingest` is the set of pipelines by id. A
 * document is a tree of JSON values ("ctx", as scripts call it) with the metadata members _index,
 * _id, _routing, _version beside its fields.
 * Documents are run many at a time, processor by processor instead of document by document, so that
 * a model sees all their inputs in batches. One that fails leaves the group; it is never half done:
 * what it became is thrown away by the caller.
 * Not for: HTTP and the words of its errors, keeping pipelines on disk (src/rest), what models
 * compute (src/infer), the language of conditions (src/script).
 *
 * Limits (VZ_LIMIT): VZ_INGEST_MAX_PROCESSORS in one pipeline, VZ_INGEST_MAX_NESTING levels of
 * on_failure, foreach and pipelines that call others, VZ_INGEST_MAX_STEPS processors run for one
 * document, VZ_INGEST_MAX_BYTES of memory for one document, VZ_INGEST_MAX_STRING for one string,
 * and a second of regular expressions for one document.
 *
 * Threads: a `struct vz_ingest` and pipelines from any thread; a document from one at a time.
 *
 *     vz_pipeline_compile(ingest, VZ_SLICE("p"), body, &pipeline, &fault, &err);
 *     vz_ingest_put(ingest, pipeline);
 *     pipeline = vz_ingest_get(ingest, VZ_SLICE("p"));
 *     vz_ingest_doc_init(&doc, &arena, source, &(struct vz_ingest_meta){.index =
 * VZ_SLICE("dogs")}); vz_pipeline_apply(pipeline, &docs, 1, NULL); if (doc.status == VZ_OK &&
 * !doc.dropped && vz_ingest_doc_finish(&doc) == VZ_OK) ...doc.ctx vz_pipeline_release(pipeline);
 */
#ifndef VZ_INGEST_INGEST_H
#define VZ_INGEST_INGEST_H

#include "infer/infer.h"
#include "json/value.h"

#define VZ_INGEST_MAX_PROCESSORS 1000
#define VZ_INGEST_MAX_NESTING 32
#define VZ_INGEST_MAX_STEPS 100000
#define VZ_INGEST_MAX_BYTES ((size_t)256 << 20)
#define VZ_INGEST_MAX_STRING ((size_t)32 << 20)

struct vz_ingest;
struct vz_pipeline;

struct vz_ingest_options {
    struct vz_infer *infer; /* borrowed; NULL: processors that need a model fail */
    /* Another name for a model (an inference endpoint's id): puts the model's into *model, or
     * leaves it. May be NULL. Called from any thread. */
    void (*endpoint)(void *context, struct vz_slice name, struct vz_arena *arena,
                     struct vz_slice *model);
    /* A stored script's source in the arena; false when there is none of that id. NULL: there are
     * no stored scripts. Called while pipelines are compiled. */
    bool (*stored_script)(void *context, struct vz_slice id, struct vz_arena *arena,
                          struct vz_slice *source, struct vz_slice *lang);
    void *context;
};
struct vz_ingest *vz_ingest_new(const struct vz_ingest_options *options);
/* No document may be running. NULL is allowed. */
void vz_ingest_free(struct vz_ingest *ingest);

/* ---- pipelines ----------------------------------------------------------------------------- */

/* Where in a pipeline's definition the error is; empty strings: not there. */
struct vz_ingest_fault {
    char property[128], processor[64], tag[128];
    bool is_script;         /* a condition or script does not compile */
    struct vz_slice script; /* its source, in the caller's JSON */
};

/* `body` is {"description", "processors", "on_failure", "version", "_meta"}. *out has one
 * reference. Errors: VZ_BAD_ARGUMENT in Elasticsearch's words ("[field] required property is
 * missing"), VZ_UNSUPPORTED (a processor or option that Elasticsearch has and this has not),
 * VZ_LIMIT. `fault` may be NULL. */
enum vz_status vz_pipeline_compile(struct vz_ingest *ingest, struct vz_slice id,
                                   struct vz_json body, struct vz_pipeline **out,
                                   struct vz_ingest_fault *fault, struct vz_error *err);
struct vz_pipeline *vz_pipeline_acquire(struct vz_pipeline *pipeline);
/* NULL is allowed. */
void vz_pipeline_release(struct vz_pipeline *pipeline);
struct vz_slice vz_pipeline_id(const struct vz_pipeline *pipeline);
/* The definition as compact JSON. */
struct vz_slice vz_pipeline_source(const struct vz_pipeline *pipeline);
struct vz_slice vz_pipeline_description(const struct vz_pipeline *pipeline);
/* False when the definition has no "version". */
bool vz_pipeline_version(const struct vz_pipeline *pipeline, int64_t *version);

/* Takes the reference; replaces a pipeline of that id. */
void vz_ingest_put(struct vz_ingest *ingest, struct vz_pipeline *pipeline);
/* False when there is none of that id. */
bool vz_ingest_remove(struct vz_ingest *ingest, struct vz_slice id);
/* A reference, or NULL. */
struct vz_pipeline *vz_ingest_get(struct vz_ingest *ingest, struct vz_slice id);
/* All, sorted by id, each with a reference; the list is in the arena. */
size_t vz_ingest_list(struct vz_ingest *ingest, struct vz_arena *arena,
                      struct vz_pipeline ***pipelines);

/* ---- documents ----------------------------------------------------------------------------- */

/* What went wrong, where a status alone does not say it. */
enum vz_ingest_kind {
    VZ_INGEST_PLAIN,  /* the status says it */
    VZ_INGEST_FAILED, /* the fail processor */
    VZ_INGEST_SCRIPT, /* a script or condition threw */
    VZ_INGEST_GRAPH,  /* pipelines that call themselves */
    VZ_INGEST_STATE,  /* a pipeline that is named and not there */
    VZ_INGEST_MISSING /* an endpoint that a field names and that is not there */
};

/* A vector that a model made, and where it was put. */
struct vz_ingest_mark {
    struct vz_slice path; /* "image_embedding" */
    struct vz_slice model;
    char digest[65];
    uint32_t dims;
    struct vz_ingest_mark *next;
};

struct vz_ingest_meta {
    struct vz_slice index, id, routing, version_type; /* empty: absent */
    bool has_version;
    int64_t version;
};

struct vz_ingest_doc {
    struct vz_arena *arena;     /* borrowed; all values below live in it */
    struct vz_value *ctx;       /* an object */
    struct vz_ingest_meta meta; /* as it came in; after vz_ingest_doc_finish as it goes on */
    enum vz_status status;
    struct vz_error error; /* when status is not VZ_OK */
    enum vz_ingest_kind kind;
    bool dropped;
    struct vz_ingest_mark *marks;

    /* The room's own. */
    struct vz_value *ingest; /* the members of _ingest */
    const struct vz_pipeline_frame *frame;
    size_t bytes_before, steps;
    uint64_t regex_ns;
    unsigned depth;
    const char *failed_type; /* the processor whose failure is on its way out */
    struct vz_slice failed_tag;
};

/* `source` must be an object of the same arena; it becomes ctx and is changed in place. The strings
 * of `meta` are borrowed for as long as the document. */
void vz_ingest_doc_init(struct vz_ingest_doc *doc, struct vz_arena *arena, struct vz_value *source,
                        const struct vz_ingest_meta *meta);
/* Takes the metadata out of ctx into doc->meta: ctx is then the document alone. Errors:
 * VZ_BAD_ARGUMENT (a script made _index a number). */
enum vz_status vz_ingest_doc_finish(struct vz_ingest_doc *doc);
/* {"_index", "_id", "_version", "_source", "_ingest"} as _simulate shows it; ctx keeps its
 * metadata. `with_pipeline`: _ingest.pipeline too. */
void vz_ingest_doc_print(const struct vz_ingest_doc *doc, bool with_pipeline,
                         struct vz_json_writer *w);

/* ---- running ------------------------------------------------------------------------------- */

enum vz_ingest_outcome {
    VZ_OUTCOME_SUCCESS,
    VZ_OUTCOME_ERROR,
    VZ_OUTCOME_ERROR_IGNORED,
    VZ_OUTCOME_SKIPPED,
    VZ_OUTCOME_DROPPED
};
struct vz_ingest_step {
    const char *processor;
    struct vz_slice tag, description; /* empty: none */
    struct vz_slice condition;        /* its source; empty: none */
    bool condition_result;
    enum vz_ingest_outcome outcome;
    bool without_doc;             /* a pipeline about to begin: its processors follow */
    const struct vz_error *error; /* ERROR, ERROR_IGNORED */
    enum vz_ingest_kind kind;
};
/* Told after each processor; for _simulate?verbose with one document. */
struct vz_ingest_trace {
    void (*step)(void *context, const struct vz_ingest_step *step, const struct vz_ingest_doc *doc);
    void *context;
};

/* Runs all documents whose status is VZ_OK and that are not dropped; each gets its own outcome.
 * Blocks while models compute. `trace` may be NULL. */
void vz_pipeline_apply(struct vz_pipeline *pipeline, struct vz_ingest_doc **docs, size_t count,
                       const struct vz_ingest_trace *trace);

/* ---- without a pipeline -------------------------------------------------------------------- */

/* A vector field and the model that makes its vectors. */
struct vz_ingest_vector {
    struct vz_slice path; /* "image_embedding", "photos.vector" */
    struct vz_slice model;
    struct vz_slice digest; /* goes before the name where a model has it; empty: unknown */
};
/* Replaces every picture or text that stands where a vector is expected ("data:image/...;base64,"
 * or {"type": "image" | "text", "value": ...}) by its vector, in batches over all documents; other
 * values are left for the store to judge. Documents whose status is not VZ_OK are passed over. */
void vz_ingest_embed(struct vz_ingest *ingest, const struct vz_ingest_vector *vectors, size_t count,
                     struct vz_ingest_doc **docs, size_t doc_count);
/* Whether a text of JSON may hold such a value for one of the fields; false is certain but for
 * names that are written with escapes. Cheap: documents without are not parsed for this. */
bool vz_ingest_may_embed(const struct vz_ingest_vector *vectors, size_t count,
                         struct vz_slice source);

/* ---- semantic fields ------------------------------------------------------------------------ */

struct vz_chunking;
/* A field whose values a model makes vectors of, chunk by chunk. */
struct vz_ingest_semantic {
    struct vz_slice path;
    const struct vz_slice *sources; /* the fields that its values stand in */
    size_t source_count;
    struct vz_slice inference_id; /* empty: no model could be chosen */
    struct vz_slice digest;       /* of the model that made what is there; empty: unknown */
    const struct vz_chunking *chunking; /* ingest/chunk.h */
    bool is_known;                      /* the mapping has its vectors already */
};
/* Puts the chunks of all fields into the documents, as the root member "_inference_fields", and
 * marks the fields' paths. is_update[i]: docs[i] is a part of a document: what it does not name
 * stays as it is. Documents whose status is not VZ_OK are passed over; one that fails has nothing
 * put into it that anybody will see. Blocks while models compute. */
void vz_ingest_semantic(struct vz_ingest *ingest, const struct vz_ingest_semantic *fields,
                        size_t count, struct vz_ingest_doc **docs, const bool *is_update,
                        size_t doc_count);
/* The best installed model for texts, by its id, in the arena; false: there is none. */
bool vz_ingest_default_model(struct vz_ingest *ingest, struct vz_arena *arena,
                             struct vz_slice *model);

/* The patterns grok knows, as a JSON object; `sorted` by name; `v1`: ecs_compatibility. */
void vz_ingest_grok_print(bool sorted, bool v1, struct vz_json_writer *w);

#endif
