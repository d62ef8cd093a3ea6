/* rest/ml.h - what the files of the machine learning groups share: ml_*.c, inference*.c and
 * embedder.c. Private to the room.
 *
 * Models are the infer room's (infer/infer.h): what is installed is there, under its id. What
 * clients put (`PUT _ml/trained_models/...`, aliases, endpoints, deployments) is kept in the
 * store's blobs, by these kinds:
 *
 *     ml_model       id -> {"config": {...as put...}, "state": {...}}     ml_put.c
 *     ml_alias       alias -> the model's id
 *     ml_deployment  deployment's id -> the options it was started with
 *     ml_endpoint    inference id -> {"task_type", "service", "service_settings", ...}
 */
#ifndef VZ_REST_ML_H
#define VZ_REST_ML_H

#include "infer/infer.h"
#include "rest/parts.h"

#define VZ_BLOB_MODEL VZ_SLICE("ml_model")
#define VZ_BLOB_ALIAS VZ_SLICE("ml_alias")
#define VZ_BLOB_DEPLOYMENT VZ_SLICE("ml_deployment")
#define VZ_BLOB_ENDPOINT VZ_SLICE("ml_endpoint")

/* ---- ml.c: small things -----------------------------------------------------------------------
 */

/* False with a problem when this rest has no models. */
bool vz_ml_there(struct vz_call *call);
/* An error of the infer room in Elasticsearch's words: 404 for models that are not there, 408 for
 * deadlines, 429 for full queues and budgets, 400 for what a model cannot do. False. */
bool vz_ml_fail(struct vz_call *call, const struct vz_error *err);
/* The same as a status for errors inside a search, whose words are the query's. */
enum vz_status vz_ml_search_error(enum vz_status status, struct vz_error *err);
/* ?timeout= or `otherwise_ms` as a deadline. */
uint64_t vz_ml_deadline(struct vz_call *call, int64_t otherwise_ms);
/* False with a problem when `name` cannot be an id ("Invalid model_id; ..."). */
bool vz_ml_check_id(struct vz_call *call, const char *what, struct vz_slice name);
/* A stored blob parsed; NULL when there is none or it is no JSON. Free the document. */
struct vz_json_doc *vz_ml_blob(struct vz_rest *rest, struct vz_slice kind, struct vz_slice name,
                               struct vz_json *root);
/* True when one of the comma-separated patterns means this id; an empty list, "_all" and "*" do. */
bool vz_ml_matches(struct vz_slice patterns, struct vz_slice id);
/* Cores that models may use. */
unsigned vz_ml_processors(void);
/* The member of an object that is there, or a missing value. */
struct vz_json vz_ml_get(struct vz_json object, const char *key);

/* ---- ml_inputs.c: what models are asked about ---------------------------------------------------
 */

/* "text", "data:image/...;base64,...", {"type": "text|image", "format": "text|base64", "value"},
 * {"type": "image", "file": "name"}; with "weight" in composed questions. The arena's. */
enum vz_status vz_ml_input(const struct vz_infer *infer, struct vz_json value,
                           struct vz_arena *arena, struct vz_infer_input *out,
                           struct vz_error *err);

/* A weight says something only beside other inputs of one question: VZ_BAD_ARGUMENT where an input
 * that stands alone has one. */
enum vz_status vz_ml_alone(const struct vz_infer_input *input, struct vz_error *err);

/* Groups of inputs: an answer for each. */
struct vz_ml_groups {
    struct vz_infer_input *inputs; /* all, one behind the other */
    size_t input_count;
    size_t *sizes; /* [count] */
    size_t count;
    bool is_single; /* not a list: one answer */
};
/* The "input" of `_inference`: one input, a list of them, {"content": ...}, a list of those, or a
 * list of lists; each inner list and each content list is one group. */
enum vz_status vz_ml_groups(const struct vz_infer *infer, struct vz_json value,
                            struct vz_arena *arena, struct vz_ml_groups *out, struct vz_error *err);
/* The parts of multipart/form-data: files are pictures, "input" a text; other fields through
 * `field`. */
enum vz_status
vz_ml_multipart(const struct vz_infer *infer, struct vz_slice content_type, struct vz_slice body,
                struct vz_arena *arena, struct vz_ml_groups *out,
                void (*field)(void *context, struct vz_slice name, struct vz_slice value),
                void *context, struct vz_error *err);

/* ---- ml_put.c: models that clients sent ---------------------------------------------------- */

/* The configuration a model was put with, or NULL. Free the document. */
struct vz_json_doc *vz_ml_put_config(struct vz_rest *rest, struct vz_slice id,
                                     struct vz_json *config);
/* Whether all parts of a put model came and it is installed. */
struct vz_ml_put_state {
    uint64_t total_bytes;
    uint32_t total_parts, parts;
    bool has_vocabulary, is_installed;
    int64_t created_ms;
    struct vz_slice why_not; /* the call's arena: why it cannot be run */
};
bool vz_ml_put_state(struct vz_call *call, struct vz_slice id, struct vz_ml_put_state *state);
/* Everything of it but what is installed. */
void vz_ml_put_remove(struct vz_rest *rest, struct vz_slice id);

/* ---- embedder.c: query_vector_builder ------------------------------------------------------ */

/* Sets params->embedder for a search of this call; valid as long as the call. */
void vz_ml_embedder(struct vz_call *call, struct vz_search_params *params);

/* ---- ml_deploy.c --------------------------------------------------------------------------- */

/* Aliases, prefixes and deployments as the store remembers them, into the infer room. Deployments
 * are opened only when `open` (a server does, a command does not). */
void vz_ml_restore(struct vz_rest *rest, bool open);

/* ---- inference.c --------------------------------------------------------------------------- */

/* The model behind an inference id: an endpoint that was put, or the id of a model itself. *task is
 * the endpoint's, empty for models. The arena's. */
bool vz_ml_endpoint(struct vz_rest *rest, struct vz_slice inference_id, struct vz_arena *arena,
                    struct vz_slice *model, struct vz_slice *task);

#endif
