/* infer/parts.h - the insides of the infer room, for its files only.
 *
 * catalogue.c: which models are installed, read again when the folder changed; aliases.
 * deploy.c:    deployments and what they have open, memory, the queue before them.
 * run.c:       a request through a deployment.  tasks.c: what is computed.  inputs.c: pictures.
 *
 * Locks. `lock` guards deployments, opened models, aliases, prefixes and every counter in them; it
 * is never held while a file is read or a model computes. `catalogue_lock` guards which catalogue
 * is the newest and is held while one is read. Nobody takes one while holding the other.
 */
#ifndef VZ_INFER_PARTS_H
#define VZ_INFER_PARTS_H

#include "infer/infer.h"

#include "base/clock.h"
#include "base/strmap.h"
#include "embed/model.h"

#include <pthread.h>
#include <stdatomic.h>

#define VZ_INFER_EYE "eye"
#define VZ_INFER_EYE_DIGEST "eye-1"

/* ---- catalogue.c --------------------------------------------------------------------------- */

/* Immutable once read; shared by references. */
struct catalogue {
    struct vz_arena arena;
    struct vz_infer_model *models; /* by id */
    size_t count;
    int64_t mtime_ns; /* of the folder when it was read */
    bool is_young;    /* the folder had just changed: its clock may not show the next change */
    atomic_uint refs;
};

enum vz_status catalogue_get(struct vz_infer *infer, struct catalogue **out, struct vz_error *err);
void catalogue_release(struct catalogue *catalogue);
/* The model a name means, or NULL with VZ_NOT_FOUND. `name` is no alias. */
const struct vz_infer_model *catalogue_find(const struct vz_infer *infer,
                                            const struct catalogue *catalogue, struct vz_slice name,
                                            struct vz_error *err);
/* What a name stands for after aliases; the arena's. */
struct vz_slice alias_resolve(struct vz_infer *infer, struct vz_slice name, struct vz_arena *arena);

/* ---- deploy.c ------------------------------------------------------------------------------ */

/* Weights in memory, shared by deployments of the same files, precision and threads. */
struct opened {
    char digest[65];
    enum vz_precision precision;
    unsigned threads;
    struct vz_opened_model *model; /* one of the two; both NULL while it is being opened */
    struct vz_classifier *classifier;
    uint64_t bytes; /* estimated, then counted */
    unsigned refs;  /* deployments */
    struct opened *next;
};

struct waiter {
    pthread_cond_t go;
    bool is_let, is_stopped;
    struct waiter *next;
};

struct cache; /* cache.c */

struct deployment {
    struct vz_arena arena; /* of the texts below */
    struct vz_slice id;
    struct vz_infer_model model; /* a copy */
    struct vz_deployment_options options;
    bool is_explicit, is_doomed; /* doomed: goes when the last reference does */
    enum vz_deployment_state state;
    struct opened *opened;
    struct cache *cache; /* NULL: none */
    unsigned refs;       /* requests that run or wait, and those who start it */
    uint32_t running, waiting;
    struct waiter *first, *last;
    uint64_t last_used_ns; /* vz_now_ns, for who goes first */
    int64_t started_ms, last_access_ms;
    uint64_t inference_count, error_count, rejected_count, timeout_count, cache_hits, time_ns;
    int64_t minute; /* the current one, of the wall clock */
    uint64_t in_minute, in_last_minute, peak_in_minute;
    struct deployment *next;
};

/* Takes a place among those that run; waits in the queue for it. Errors: VZ_NOT_FOUND, VZ_BUSY,
 * VZ_CANCELLED, VZ_BUDGET, those of opening. The deployment is referenced until deployment_leave.
 */
enum vz_status deployment_enter(struct vz_infer *infer, struct vz_slice model, uint64_t deadline_ns,
                                struct deployment **out, struct vz_error *err);
/* `inputs` that were answered in `ns`, or an error. */
void deployment_leave(struct vz_infer *infer, struct deployment *deployment, bool good,
                      size_t inputs, uint64_t ns, size_t cache_hits);
void deployments_close(struct vz_infer *infer);
/* The name of the model of an explicitly started deployment; `id` itself when there is none. */
struct vz_slice deployment_model(struct vz_infer *infer, struct vz_slice id,
                                 struct vz_arena *arena);

/* ---- inputs.c ------------------------------------------------------------------------------ */

/* Decodes and prepares a picture: pixels[vz_model_pixel_count], or a vector at once for the eye. */
enum vz_status image_prepare(const struct vz_infer *infer, const struct vz_opened_model *model,
                             struct vz_slice bytes, size_t number, float *pixels, float *vector,
                             struct vz_error *err);

/* ---- tasks.c ------------------------------------------------------------------------------- */

/* Everything a task needs: `prefix` is the one to use. */
struct task {
    struct vz_infer *infer;
    struct deployment *deployment;
    const struct vz_infer_request *request;
    struct vz_slice prefix;
    struct vz_arena *arena;
    struct vz_infer_answer *answer;
    size_t cache_hits;
};
enum vz_status task_run(struct task *task, struct vz_error *err);
/* What the request's task is for this model; VZ_UNSUPPORTED when it is not its. */
enum vz_status task_choose(const struct vz_infer_model *model,
                           const struct vz_infer_request *request, enum vz_task *task,
                           struct vz_error *err);

/* ---- cache.c: vectors of texts asked again ------------------------------------------------- */

struct cache *cache_new(uint64_t max_bytes, uint32_t dims);
void cache_free(struct cache *cache);
void cache_clear(struct cache *cache); /* thread-safe; NULL is allowed */
/* Thread-safe. The key is the text with its prefix. */
bool cache_get(struct cache *cache, struct vz_slice prefix, struct vz_slice text, float *out,
               struct vz_text_note *note);
void cache_put(struct cache *cache, struct vz_slice prefix, struct vz_slice text,
               const float *vector, struct vz_text_note note);

/* ---- infer.c ------------------------------------------------------------------------------- */

struct alias {
    char *name, *model;
    struct alias *next;
};
struct prefixes {
    char *id, *query, *document;
    struct prefixes *next;
};

struct vz_infer {
    char *models, *image_folder; /* image_folder: its real path, or NULL */
    size_t max_memory_bytes, max_image_bytes;
    enum vz_precision precision;
    unsigned cores;

    pthread_mutex_t catalogue_lock;
    struct catalogue *catalogue;

    pthread_mutex_t lock;
    pthread_cond_t changed; /* a deployment came, went or opened; monotonic clock */
    struct deployment *deployments;
    struct opened *opened;
    struct alias *aliases;
    struct prefixes *prefixes;
    uint64_t used_bytes; /* of all opened, estimates among them */
    bool is_closing;
};

/* Waits until `deadline_ns` (0: for ever); false when it has passed. */
bool wait_until(pthread_cond_t *cond, pthread_mutex_t *lock, uint64_t deadline_ns);
void cond_init(pthread_cond_t *cond);

#endif
