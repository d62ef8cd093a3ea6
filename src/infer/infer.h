/* infer/infer.h - models being run for a server: a model's name and inputs in, answers out.
 *
 * Installed models (embed/registry.h) become deployments: opened once, shared by all requests, with
 * a number of allocations (requests that compute at a time), a bounded queue before them and a
 * place in the memory budget. A model that is installed and not started is started by the first
 * request that names it, and given back when memory is needed for another; one that was started by
 * name stays. The built-in eye is always there as "eye".
 * Not for: HTTP, JSON shapes of answers (src/rest), pipelines (src/ingest), what models compute
 * (src/embed).
 *
 * Threads: everything may be called from any thread; vz_infer_run blocks while it waits and
 * computes.
 *
 *     vz_infer_new(&(struct vz_infer_options){.models = "data/models"}, &infer, &err);
 *     vz_infer_run(infer, &(struct vz_infer_request){.model = VZ_SLICE("clip-ViT-B-32"),
 *                  .task = VZ_TASK_EMBED, .inputs = inputs, .count = 2}, &arena, &answer, &err);
 */
#ifndef VZ_INFER_INFER_H
#define VZ_INFER_INFER_H

#include "base/mem.h"
#include "base/status.h"
#include "embed/model.h"
#include "nn/context.h"

struct vz_infer;

struct vz_infer_options {
    const char *models;          /* the folder of installed models */
    size_t max_memory_bytes;     /* of all deployments together; 0: half of the machine's */
    const char *image_folder;    /* pictures may be named as files below it; NULL: never */
    size_t max_image_bytes;      /* of one encoded picture; 0: 32 MiB */
    enum vz_precision precision; /* of deployments that do not say */
};

/* Opens no model yet. Errors: VZ_IO. */
enum vz_status vz_infer_new(const struct vz_infer_options *options, struct vz_infer **out,
                            struct vz_error *err);
/* Waits for running requests. NULL is allowed. */
void vz_infer_free(struct vz_infer *infer);

/* ---- inputs -------------------------------------------------------------------------------- */

/* A text, or a picture as its file's bytes (JPEG, PNG, ...). Borrowed. */
struct vz_infer_input {
    bool is_image;
    struct vz_slice text;  /* UTF-8 */
    struct vz_slice bytes; /* the encoded picture */
    float weight;          /* in a composed question; 0 means 1; negative: away from this */
};

/* Whether `text` is "data:image/...;base64,...". */
bool vz_infer_is_data_uri(struct vz_slice text);
/* The bytes of a data URI, in the arena. Errors: VZ_BAD_ARGUMENT (no base64, another media type),
 * VZ_LIMIT. */
enum vz_status vz_infer_data_uri(const struct vz_infer *infer, struct vz_slice text,
                                 struct vz_arena *arena, struct vz_slice *bytes,
                                 struct vz_error *err);
/* Plain base64 (with or without padding and line ends) of a picture. */
enum vz_status vz_infer_base64(const struct vz_infer *infer, struct vz_slice text,
                               struct vz_arena *arena, struct vz_slice *bytes,
                               struct vz_error *err);
/* A file below image_folder, by its relative name ("dogs/luigi.png"); no "..", no links that lead
 * out. Errors: VZ_UNSUPPORTED (no folder is allowed; the text says how to allow one), VZ_BAD_ARGUMENT,
 * VZ_NOT_FOUND, VZ_LIMIT, VZ_IO. */
enum vz_status vz_infer_file(const struct vz_infer *infer, struct vz_slice name,
                             struct vz_arena *arena, struct vz_slice *bytes, struct vz_error *err);

/* ---- running ------------------------------------------------------------------------------- */

enum vz_task {
    VZ_TASK_AUTO,      /* what the model is made for */
    VZ_TASK_EMBED,     /* a vector for each input: text_embedding, embedding */
    VZ_TASK_COMPOSE,   /* one unit vector for all inputs: the weighted sum of their unit vectors */
    VZ_TASK_CLASSIFY,  /* text_classification: labels with probabilities */
    VZ_TASK_ZERO_SHOT, /* `labels` for each input, pictures (CLIP) or texts */
    VZ_TASK_SIMILARITY /* text_similarity, rerank: one number an input against `query` */
};
/* "text_embedding" and so on, as Elasticsearch names the task; static. */
const char *vz_task_name(enum vz_task task);

struct vz_infer_request {
    struct vz_slice model; /* a model, a deployment or an alias */
    enum vz_task task;
    const struct vz_infer_input *inputs;
    size_t count;
    struct vz_slice query;         /* SIMILARITY */
    const struct vz_slice *labels; /* ZERO_SHOT; CLASSIFY: other names for the model's own */
    size_t label_count;
    bool multi_label;         /* ZERO_SHOT: each label on its own instead of softmax over them */
    struct vz_slice template; /* ZERO_SHOT: "This is a photo of {}."; empty: the model's own */
    uint32_t top_classes;     /* of CLASSIFY and ZERO_SHOT; 0: all */
    uint64_t deadline_ns;     /* vz_now_ns; 0: none */
    bool is_query;            /* the model's prefix for questions instead of that for documents */
    bool without_prefix;      /* neither: the texts as they are */
    bool refuse_long;         /* VZ_LIMIT instead of cutting texts */
    enum vz_cut cut; /* SIMILARITY: which of `query` and an input that are too long together */
};

struct vz_infer_class {
    struct vz_slice label;
    double probability;
};
struct vz_infer_one {
    const float *vector;            /* [dims]; EMBED, COMPOSE */
    struct vz_infer_class *classes; /* most likely first */
    size_t class_count;
    double score; /* SIMILARITY: the cross-encoder's number */
    bool is_truncated;
    uint32_t tokens;
};
struct vz_infer_answer {
    enum vz_task task; /* never AUTO */
    uint32_t dims;
    struct vz_infer_one *ones; /* one an input; COMPOSE: one */
    size_t count;
    struct vz_slice model; /* its whole name */
    char digest[65];       /* embed/registry.h: which weights; "eye-1" and so on for the eye */
};

/* Everything in *answer is the arena's. Errors: VZ_NOT_FOUND (no such model; says how to get it),
 * VZ_BUSY (the queue is full: 429), VZ_BUDGET (the model does not fit in the budget), VZ_CANCELLED
 * (the deadline passed), VZ_UNSUPPORTED (not this model's task, or it does not see pictures),
 * VZ_BAD_IMAGE and VZ_LIMIT (name the input's number), what opening a model gives. */
enum vz_status vz_infer_run(struct vz_infer *infer, const struct vz_infer_request *request,
                            struct vz_arena *arena, struct vz_infer_answer *answer,
                            struct vz_error *err);

/* What a model is, without opening its weights where that can be helped. */
struct vz_infer_about {
    struct vz_slice name;
    char digest[65];
    enum vz_task task; /* what it is made for */
    uint32_t dims;     /* 0 for classifiers */
    bool sees, reads;
};
enum vz_status vz_infer_about(struct vz_infer *infer, struct vz_slice model, struct vz_arena *arena,
                              struct vz_infer_about *about, struct vz_error *err);

/* ---- models -------------------------------------------------------------------------------- */

/* One installed model, or the eye. Everything is the arena's of the call that gave it. */
struct vz_infer_model {
    struct vz_slice id;     /* as Elasticsearch's clients name it: lower case, "__" for "/" */
    struct vz_slice name;   /* whole: "sentence-transformers/clip-ViT-B-32"; "eye" */
    struct vz_slice folder; /* empty for the eye */
    struct vz_slice source, license, installed; /* embed/registry.h; may be empty */
    char digest[65];
    uint64_t bytes;        /* of all files */
    uint64_t memory_bytes; /* what opening it is expected to take */
    struct vz_model_about about;
    enum vz_status status; /* not VZ_OK: its configuration cannot be run; `why` says why */
    struct vz_slice why;
};
/* All, by id, the eye among them. */
enum vz_status vz_infer_models(struct vz_infer *infer, struct vz_arena *arena,
                               struct vz_infer_model **models, size_t *count, struct vz_error *err);
/* By id, whole name, short name (in any case), or alias; not by a deployment's id. VZ_NOT_FOUND. */
enum vz_status vz_infer_find(struct vz_infer *infer, struct vz_slice name, struct vz_arena *arena,
                             struct vz_infer_model *model, struct vz_error *err);
/* The folder of installed models, as in the options; "" when none. */
const char *vz_infer_models_folder(const struct vz_infer *infer);
/* A name as an id: lower case, '/', '\' and ' ' to "__", the last 64 characters. */
struct vz_slice vz_infer_id_of(struct vz_slice name, struct vz_arena *arena);

/* Other names for models (kept in memory; who persists them is the caller). `model` empty: removed,
 * VZ_NOT_FOUND when there is none. */
enum vz_status vz_infer_alias(struct vz_infer *infer, struct vz_slice alias, struct vz_slice model,
                              struct vz_error *err);
/* The model's name behind an alias as it was given; false when there is no such alias. */
bool vz_infer_alias_get(struct vz_infer *infer, struct vz_slice alias, struct vz_arena *arena,
                        struct vz_slice *model);
/* All aliases: names and what they stand for. */
size_t vz_infer_aliases(struct vz_infer *infer, struct vz_arena *arena, struct vz_slice **aliases,
                        struct vz_slice **models);
/* Prefixes of a model that replace those of its files (eland's prefix_strings); both without a
 * pointer: those of its files again. Deployments keep what they were started with. */
void vz_infer_prefixes(struct vz_infer *infer, struct vz_slice id, struct vz_slice query,
                       struct vz_slice document);

/* ---- deployments --------------------------------------------------------------------------- */

enum vz_deployment_state { VZ_STARTING, VZ_STARTED, VZ_STOPPING };

struct vz_deployment_options {
    struct vz_slice id;          /* empty: the model's id */
    struct vz_slice model;       /* a model or alias */
    uint32_t allocations;        /* requests that compute at a time; 0: as many as cores */
    uint32_t threads;            /* of one request; 0: all cores that are free */
    uint32_t queue_capacity;     /* requests that wait; 0: 1024 */
    uint64_t cache_bytes;        /* for answers to texts asked again */
    bool is_low_priority;        /* reported; allocations at most 1 */
    enum vz_precision precision; /* AUTO: that of the options */
};
/* Opens the model now (blocks) and keeps it until it is stopped. Errors: VZ_NOT_FOUND, VZ_EXISTS (a
 * deployment of that id), VZ_BUDGET, VZ_CANCELLED, those of opening. */
enum vz_status vz_infer_start(struct vz_infer *infer, const struct vz_deployment_options *options,
                              uint64_t deadline_ns, struct vz_error *err);
/* Lets running requests finish, those that wait end with VZ_CANCELLED. By a deployment's id, or the
 * name of a model with one deployment. VZ_NOT_FOUND when there is none; the eye cannot be stopped
 * (VZ_UNSUPPORTED). */
enum vz_status vz_infer_stop(struct vz_infer *infer, struct vz_slice id, struct vz_error *err);
enum vz_status vz_infer_update(struct vz_infer *infer, struct vz_slice id, uint32_t allocations,
                               struct vz_error *err);

/* Forgets the vectors of texts that were asked before. VZ_NOT_FOUND. */
enum vz_status vz_infer_clear_cache(struct vz_infer *infer, struct vz_slice id,
                                    struct vz_error *err);

struct vz_deployment {
    struct vz_slice id, model_id, model;
    bool is_explicit; /* started by name: stays */
    bool is_low_priority;
    enum vz_deployment_state state;
    uint32_t allocations, threads, queue_capacity;
    uint32_t running, waiting;
    enum vz_precision precision;
    uint64_t cache_bytes, memory_bytes;
    int64_t started_ms, last_access_ms; /* 0: never */
    uint64_t inference_count, error_count, rejected_count, timeout_count, cache_hits;
    uint64_t time_ns; /* of all successful inputs together */
    uint64_t throughput_last_minute, peak_throughput_per_minute;
};
/* All, by id. */
size_t vz_infer_deployments(struct vz_infer *infer, struct vz_arena *arena,
                            struct vz_deployment **deployments);

/* Bytes that opened models hold, and may hold together. */
void vz_infer_memory(struct vz_infer *infer, uint64_t *used, uint64_t *most);

#endif
