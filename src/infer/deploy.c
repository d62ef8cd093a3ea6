/* Deployments: what is open, who may compute, what goes when memory is short.
 *
 * A deployment is made by name (vz_infer_start: it stays until stopped) or by the first request for
 * a model (it is given back, the least recently used first, when another model needs its memory
 * and nobody uses it). Its weights are a `struct opened`, shared with other deployments of the same
 * files, precision and threads.
 *
 *     STARTING --opened--> STARTED --vz_infer_stop--> STOPPING --last reference--> gone
 *         \--failed: doomed, its error for all who wait--> gone
 *
 * Invariants, under `lock`:
 * 1. running <= allocations, unless those were lowered meanwhile; waiting <= queue_capacity.
 * 2. Somebody waits only while running >= allocations: who leaves lets the first one in.
 * 3. used_bytes is the sum of bytes over `opened`, those being opened with their estimate. It stays
 *    within max_memory_bytes as far as estimates are right; after opening, the true number counts.
 * 4. A deployment with refs > 0 and the weights it uses are not freed.
 *
 * The queue is first come, first served: each waiter has its own condition, so that a place given
 * is one thread woken.
 */
#include "infer/parts.h"

#include "base/log.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

#define QUEUE_DEFAULT 1024
#define CACHE_DEFAULT_BYTES ((uint64_t)4 << 20)
#define MINUTE_MS 60000

/* ---- waiting ---- */

void cond_init(pthread_cond_t *cond)
{
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(cond, &attributes);
    pthread_condattr_destroy(&attributes);
}

bool wait_until(pthread_cond_t *cond, pthread_mutex_t *lock, uint64_t deadline_ns)
{
    if (!deadline_ns) {
        pthread_cond_wait(cond, lock);
        return true;
    }
    /* The deadline is vz_now_ns's, which may count from elsewhere than the condition's clock. */
    uint64_t now = vz_now_ns();
    if (now >= deadline_ns)
        return false;
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    uint64_t ns = (uint64_t)at.tv_nsec + (deadline_ns - now) % 1000000000;
    at.tv_sec += (time_t)((deadline_ns - now) / 1000000000 + ns / 1000000000);
    at.tv_nsec = (long)(ns % 1000000000);
    pthread_cond_timedwait(cond, lock, &at);
    return true;
}

static enum vz_status too_late(const struct deployment *d, struct vz_error *err)
{
    return vz_fail(err, VZ_CANCELLED,
                   "the request to [%.*s] timed out: %u were computing and %u waiting",
                   (int)d->id.len, d->id.ptr, d->running, d->waiting);
}

/* ---- memory ---- */

static void opened_close(const struct opened *o)
{
    vz_model_close(o->model);
    vz_classifier_close(o->classifier);
}

static void opened_free(struct opened *o)
{
    if (!o)
        return;
    opened_close(o);
    free(o);
}

/* Gives the deployment's weights back; what is to be freed, without the lock, is the result (NULL:
 * others use them). */
static struct opened *release_opened_locked(struct vz_infer *infer, struct deployment *d)
{
    struct opened *o = d->opened;
    d->opened = NULL;
    if (!o || --o->refs)
        return NULL;
    struct opened **place = &infer->opened;
    while (*place != o)
        place = &(*place)->next;
    *place = o->next;
    infer->used_bytes -= o->bytes;
    return o;
}

/* Takes a deployment out of the list, its weights too. */
static struct opened *unlink_locked(struct vz_infer *infer, struct deployment *d)
{
    struct deployment **at = &infer->deployments;
    while (*at != d)
        at = &(*at)->next;
    *at = d->next;
    return release_opened_locked(infer, d);
}

static void deployment_free(struct deployment *d)
{
    struct vz_arena arena = d->arena;
    cache_free(d->cache);
    free(d);
    vz_arena_deinit(&arena);
}

/* The idle, not explicitly started deployment that was used longest ago and whose weights would
 * go with it; NULL when none. */
static struct deployment *victim_locked(struct vz_infer *infer)
{
    struct deployment *found = NULL;
    for (struct deployment *d = infer->deployments; d; d = d->next)
        if (!d->is_explicit && !d->refs && d->state == VZ_STARTED && d->opened &&
            d->opened->bytes && (!found || d->last_used_ns < found->last_used_ns))
            found = d;
    return found;
}

/* What giving back all idle models would free. */
static uint64_t idle_bytes_locked(const struct vz_infer *infer)
{
    uint64_t bytes = 0;
    for (const struct opened *o = infer->opened; o; o = o->next) {
        unsigned idle = 0;
        for (const struct deployment *d = infer->deployments; d; d = d->next)
            idle += d->opened == o && !d->is_explicit && !d->refs && d->state == VZ_STARTED;
        bytes += idle == o->refs ? o->bytes : 0;
    }
    return bytes;
}

/* Gives back idle models until `bytes` more fit; none when that cannot be enough. */
static enum vz_status make_room_locked(struct vz_infer *infer, const struct deployment *d,
                                       uint64_t bytes, struct vz_error *err)
{
    while (infer->used_bytes + bytes > infer->max_memory_bytes) {
        bool enough =
            infer->used_bytes - idle_bytes_locked(infer) + bytes <= infer->max_memory_bytes;
        struct deployment *victim = enough ? victim_locked(infer) : NULL;
        if (!victim)
            return vz_fail(err, VZ_BUDGET,
                           "model [%.*s] would need %.1f MB of memory: %.1f MB of %.1f MB for "
                           "models are in use, by models that were started or are at work",
                           (int)d->model.name.len, d->model.name.ptr, (double)bytes / 1e6,
                           (double)infer->used_bytes / 1e6, (double)infer->max_memory_bytes / 1e6);
        vz_log(VZ_LOG_INFO, "infer", "gave back model [%.*s] for [%.*s]",
               (int)victim->model.name.len, victim->model.name.ptr, (int)d->model.name.len,
               d->model.name.ptr);
        struct opened *gone = unlink_locked(infer, victim);
        pthread_mutex_unlock(&infer->lock);
        opened_free(gone);
        deployment_free(victim);
        pthread_mutex_lock(&infer->lock);
    }
    return VZ_OK;
}

static struct opened *find_opened_locked(struct vz_infer *infer, const struct deployment *d)
{
    struct opened *o = infer->opened;
    while (o && !(strcmp(o->digest, d->model.digest) == 0 && o->precision == d->options.precision &&
                  o->threads == d->options.threads))
        o = o->next;
    return o;
}

static enum vz_status open_files(const struct deployment *d, struct opened *o, struct vz_error *err)
{
    const struct vz_nn_options options = {.precision = o->precision, .threads = o->threads};
    const char *folder = d->model.folder.len ? d->model.folder.ptr : NULL;
    uint64_t start = vz_now_ns();
    enum vz_status status = d->model.about.made_for == VZ_MADE_TO_EMBED
                                ? vz_model_open(folder, &options, &o->model, err)
                                : vz_classifier_open(folder, &options, &o->classifier, err);
    /* What about was told from the configuration sizes buffers: the weights must agree. */
    if (status == VZ_OK && o->model && vz_model_dims(o->model) != d->model.about.dims)
        status = vz_fail(err, VZ_CORRUPT,
                         "model [%.*s]: its configuration says %u dimensions, its "
                         "weights give %zu",
                         (int)d->model.name.len, d->model.name.ptr, d->model.about.dims,
                         vz_model_dims(o->model));
    if (status == VZ_OK && o->classifier && d->model.about.made_for == VZ_MADE_TO_RANK &&
        vz_classifier_label_count(o->classifier) != 1)
        status = vz_fail(
            err, VZ_CORRUPT, "model [%.*s]: its configuration says one label, its weights give %zu",
            (int)d->model.name.len, d->model.name.ptr, vz_classifier_label_count(o->classifier));
    if (status == VZ_OK && folder)
        vz_log(VZ_LOG_INFO, "infer", "opened model [%.*s] in %.0f ms", (int)d->model.name.len,
               d->model.name.ptr, (double)(vz_now_ns() - start) / 1e6);
    return status;
}

/* Gives the deployment its weights. The lock is let go while files are read. */
static enum vz_status open_locked(struct vz_infer *infer, struct deployment *d,
                                  uint64_t deadline_ns, struct vz_error *err)
{
    struct opened *o;
    while ((o = find_opened_locked(infer, d)) && !o->model && !o->classifier)
        if (!wait_until(&infer->changed, &infer->lock, deadline_ns))
            return too_late(d, err);
    if (o) {
        o->refs++;
        d->opened = o;
        return VZ_OK;
    }
    uint64_t estimate = d->model.memory_bytes;
    enum vz_status status = make_room_locked(infer, d, estimate, err);
    if (status != VZ_OK)
        return status;
    if (find_opened_locked(infer, d)) /* somebody began while room was made */
        return open_locked(infer, d, deadline_ns, err);
    o = vz_calloc(1, sizeof *o);
    memcpy(o->digest, d->model.digest, sizeof o->digest);
    o->precision = d->options.precision;
    o->threads = d->options.threads;
    o->bytes = estimate;
    o->refs = 1;
    o->next = infer->opened;
    infer->opened = o;
    infer->used_bytes += estimate;
    d->opened = o;
    struct opened fresh = *o;
    pthread_mutex_unlock(&infer->lock);
    status = open_files(d, &fresh, err);
    uint64_t bytes = fresh.model        ? vz_model_bytes(fresh.model)
                     : fresh.classifier ? vz_classifier_bytes(fresh.classifier)
                                        : 0;
    pthread_mutex_lock(&infer->lock);
    if (status == VZ_OK) {
        o->model = fresh.model;
        o->classifier = fresh.classifier;
        infer->used_bytes += bytes - o->bytes;
        o->bytes = bytes;
    } else {
        opened_close(&fresh);
        free(release_opened_locked(infer, d)); /* nobody else has a reference yet */
    }
    pthread_cond_broadcast(&infer->changed);
    return status;
}

/* ---- making ---- */

static uint32_t core_count(const struct vz_infer *infer)
{
    return infer->cores;
}

static struct deployment *deployment_new(const struct vz_infer *infer,
                                         const struct vz_infer_model *model,
                                         const struct vz_deployment_options *options,
                                         bool is_explicit)
{
    struct deployment *d = vz_calloc(1, sizeof *d);
    d->model = *model;
    d->model.id = vz_arena_copy(&d->arena, model->id);
    d->model.name = vz_arena_copy(&d->arena, model->name);
    if (model->folder.len)
        d->model.folder = vz_slice_from(vz_arena_strdup(&d->arena, model->folder));
    d->model.about.type = vz_arena_copy(&d->arena, model->about.type);
    d->model.about.query_prefix = vz_arena_copy(&d->arena, model->about.query_prefix);
    d->model.about.document_prefix = vz_arena_copy(&d->arena, model->about.document_prefix);
    size_t labels = model->about.label_count;
    d->model.about.labels = vz_arena_zalloc(&d->arena, (labels + 1) * sizeof(struct vz_slice));
    for (size_t i = 0; i < labels; i++)
        d->model.about.labels[i] = vz_arena_copy(&d->arena, model->about.labels[i]);
    d->options = *options;
    d->id = vz_arena_copy(&d->arena, options->id.len ? options->id : model->id);
    d->options.id = d->options.model = (struct vz_slice){0};
    if (!d->options.allocations)
        d->options.allocations = core_count(infer);
    if (options->is_low_priority)
        d->options.allocations = 1;
    if (!d->options.queue_capacity)
        d->options.queue_capacity = QUEUE_DEFAULT;
    if (d->options.precision == VZ_PRECISION_AUTO)
        d->options.precision = infer->precision;
    if (!d->options.cache_bytes)
        d->options.cache_bytes = CACHE_DEFAULT_BYTES;
    if (model->about.reads && model->about.dims)
        d->cache = cache_new(d->options.cache_bytes, model->about.dims);
    d->is_explicit = is_explicit;
    d->state = VZ_STARTING;
    d->last_used_ns = vz_now_ns();
    return d;
}

/* Opens a deployment that is in the list with one reference of the caller's. When that fails, who
 * waits for it finds it doomed and tries for himself. The lock is held. */
static enum vz_status start_locked(struct vz_infer *infer, struct deployment *d,
                                   uint64_t deadline_ns, struct vz_error *err)
{
    enum vz_status status = open_locked(infer, d, deadline_ns, err);
    if (status == VZ_OK && d->state == VZ_STARTING) {
        d->state = VZ_STARTED;
        d->started_ms = vz_wall_ms();
    } else if (status != VZ_OK) {
        d->is_doomed = true;
        d->state = VZ_STOPPING;
    }
    pthread_cond_broadcast(&infer->changed);
    return status;
}

/* Gives a reference back; frees a doomed deployment with its last one. The lock is let go. */
static void unref_and_unlock(struct vz_infer *infer, struct deployment *d)
{
    struct opened *gone = NULL;
    bool last = --d->refs == 0 && d->is_doomed;
    if (last)
        gone = unlink_locked(infer, d);
    pthread_cond_broadcast(&infer->changed);
    pthread_mutex_unlock(&infer->lock);
    if (last) {
        opened_free(gone);
        deployment_free(d);
    }
}

/* ---- a request's way in and out ---- */

static struct deployment *by_id_locked(struct vz_infer *infer, struct vz_slice id)
{
    struct deployment *d = infer->deployments;
    while (d && (d->is_doomed || !d->is_explicit || !vz_slice_eq(d->id, id)))
        d = d->next;
    return d;
}

/* The same files under two names are two models: prefixes and labels may differ. */
static bool same_model(const struct vz_infer_model *a, const struct vz_infer_model *b)
{
    return strcmp(a->digest, b->digest) == 0 && vz_slice_eq(a->id, b->id);
}

/* Of those of this model, the one with the least to do for each of its places. */
static struct deployment *by_model_locked(struct vz_infer *infer,
                                          const struct vz_infer_model *model)
{
    struct deployment *found = NULL;
    for (struct deployment *d = infer->deployments; d; d = d->next) {
        if (d->is_doomed || !same_model(&d->model, model))
            continue;
        uint64_t load = (uint64_t)(d->running + d->waiting);
        if (!found || load * found->options.allocations <
                          (uint64_t)(found->running + found->waiting) * d->options.allocations)
            found = d;
    }
    return found;
}

/* The deployment that is to answer for `name`, referenced; the lock is held then. */
static enum vz_status take_locked(struct vz_infer *infer, struct vz_slice name,
                                  uint64_t deadline_ns, struct deployment **out,
                                  struct vz_error *err)
{
    struct vz_arena arena = {0};
    struct catalogue *c = NULL;
    struct vz_infer_model *model = NULL, found = {0};
    enum vz_status status = VZ_OK;
    pthread_mutex_lock(&infer->lock);
    struct deployment *d = by_id_locked(infer, name);
    if (!d) {
        pthread_mutex_unlock(&infer->lock);
        status = catalogue_get(infer, &c, err);
        const struct vz_infer_model *known =
            c ? catalogue_find(infer, c, alias_resolve(infer, name, &arena), err) : NULL;
        if (status == VZ_OK && !known)
            status = VZ_NOT_FOUND;
        if (status == VZ_OK && known->status != VZ_OK)
            status =
                vz_fail(err, known->status, "model [%.*s] cannot be run: %.*s",
                        (int)known->name.len, known->name.ptr, (int)known->why.len, known->why.ptr);
        if (status == VZ_OK)
            status = vz_infer_find(infer, known->name, &arena, &found, err); /* with prefixes */
        model = &found;
        pthread_mutex_lock(&infer->lock);
        if (status == VZ_OK)
            d = by_model_locked(infer, model);
    }
    if (status == VZ_OK && infer->is_closing)
        status = vz_fail(err, VZ_CANCELLED, "the server is stopping");
    if (status == VZ_OK && d) {
        d->refs++;
    } else if (status == VZ_OK) {
        d = deployment_new(infer, model, &(struct vz_deployment_options){0}, false);
        d->refs = 1;
        d->next = infer->deployments;
        infer->deployments = d;
        status = start_locked(infer, d, deadline_ns, err);
        if (status != VZ_OK) {
            unref_and_unlock(infer, d);
            pthread_mutex_lock(&infer->lock);
        }
    }
    if (status == VZ_OK)
        *out = d;
    vz_arena_deinit(&arena);
    catalogue_release(c);
    return status;
}

/* A place among those that compute; the lock is held. */
static enum vz_status admit_locked(struct vz_infer *infer, struct deployment *d,
                                   uint64_t deadline_ns, struct vz_error *err)
{
    if (d->running < d->options.allocations && !d->waiting) {
        d->running++;
        return VZ_OK;
    }
    if (d->waiting >= d->options.queue_capacity) {
        d->rejected_count++;
        return vz_fail(err, VZ_BUSY,
                       "[%.*s] inference process queue is full. Unable to execute command: %u "
                       "requests wait, the queue capacity is %u",
                       (int)d->id.len, d->id.ptr, d->waiting, d->options.queue_capacity);
    }
    struct waiter self = {0};
    cond_init(&self.go);
    if (d->last)
        d->last->next = &self;
    else
        d->first = &self;
    d->last = &self;
    d->waiting++;
    while (!self.is_let && !self.is_stopped)
        if (!wait_until(&self.go, &infer->lock, deadline_ns))
            break;
    enum vz_status status = VZ_OK;
    if (!self.is_let) {
        struct waiter *before = NULL, *at = d->first;
        while (at != &self) {
            before = at;
            at = at->next;
        }
        if (before)
            before->next = self.next;
        else
            d->first = self.next;
        if (d->last == &self)
            d->last = before;
        d->waiting--;
        if (self.is_stopped) {
            status = vz_fail(err, VZ_CANCELLED, "deployment [%.*s] was stopped", (int)d->id.len,
                             d->id.ptr);
        } else {
            d->timeout_count++;
            status = too_late(d, err);
        }
    }
    pthread_cond_destroy(&self.go);
    return status;
}

static void let_in_locked(struct deployment *d)
{
    while (d->first && d->running < d->options.allocations) {
        struct waiter *w = d->first;
        d->first = w->next;
        if (!d->first)
            d->last = NULL;
        d->waiting--;
        d->running++;
        w->is_let = true;
        pthread_cond_signal(&w->go);
    }
}

enum vz_status deployment_enter(struct vz_infer *infer, struct vz_slice model, uint64_t deadline_ns,
                                struct deployment **out, struct vz_error *err)
{
    struct deployment *d;
    enum vz_status status;
    for (;;) {
        status = take_locked(infer, model, deadline_ns, &d, err);
        if (status != VZ_OK) {
            pthread_mutex_unlock(&infer->lock);
            return status;
        }
        bool late = false;
        while (d->state == VZ_STARTING && !late)
            late = !wait_until(&infer->changed, &infer->lock, deadline_ns);
        if (late) {
            status = too_late(d, err);
            break;
        }
        if (!d->is_doomed) {
            status = admit_locked(infer, d, deadline_ns, err);
            break;
        }
        /* It went while we waited for it: once more, from the name. */
        unref_and_unlock(infer, d);
    }
    if (status == VZ_OK) {
        *out = d;
        pthread_mutex_unlock(&infer->lock);
        return VZ_OK;
    }
    unref_and_unlock(infer, d);
    return status;
}

static void note_minute_locked(struct deployment *d, int64_t now_ms, size_t inputs)
{
    int64_t minute = now_ms / MINUTE_MS;
    if (minute != d->minute) {
        d->in_last_minute = minute == d->minute + 1 ? d->in_minute : 0;
        d->in_minute = 0;
        d->minute = minute;
    }
    d->in_minute += inputs;
    d->peak_in_minute = VZ_MAX(d->peak_in_minute, d->in_minute);
}

void deployment_leave(struct vz_infer *infer, struct deployment *d, bool good, size_t inputs,
                      uint64_t ns, size_t cache_hits)
{
    pthread_mutex_lock(&infer->lock);
    int64_t now_ms = vz_wall_ms();
    d->running--;
    d->last_used_ns = vz_now_ns();
    d->last_access_ms = now_ms;
    if (good) {
        d->inference_count += inputs;
        d->cache_hits += cache_hits;
        d->time_ns += ns;
        note_minute_locked(d, now_ms, inputs);
    } else {
        d->error_count++;
    }
    let_in_locked(d);
    unref_and_unlock(infer, d);
}

/* ---- started and stopped by name ---- */

/* The deployment of the same model that nobody started by name and nobody uses; NULL: none. */
static struct deployment *idle_implicit_locked(struct vz_infer *infer, const struct deployment *d)
{
    struct deployment *old = infer->deployments;
    while (old &&
           (old->is_explicit || old->refs || old->is_doomed || !same_model(&old->model, &d->model)))
        old = old->next;
    return old;
}

enum vz_status vz_infer_start(struct vz_infer *infer, const struct vz_deployment_options *options,
                              uint64_t deadline_ns, struct vz_error *err)
{
    struct vz_arena arena = {0};
    struct vz_infer_model model;
    enum vz_status status = vz_infer_find(infer, options->model, &arena, &model, err);
    if (status == VZ_OK && model.status != VZ_OK)
        status = vz_fail(err, model.status, "model [%.*s] cannot be run: %.*s", (int)model.name.len,
                         model.name.ptr, (int)model.why.len, model.why.ptr);
    if (status != VZ_OK) {
        vz_arena_deinit(&arena);
        return status;
    }
    struct deployment *d = deployment_new(infer, &model, options, true);
    vz_arena_deinit(&arena);
    pthread_mutex_lock(&infer->lock);
    if (infer->is_closing)
        status = vz_fail(err, VZ_CANCELLED, "the server is stopping");
    else if (by_id_locked(infer, d->id))
        status = vz_fail(err, VZ_EXISTS,
                         "Could not start model deployment because an existing deployment with the "
                         "same id [%.*s] exist",
                         (int)d->id.len, d->id.ptr);
    if (status != VZ_OK) {
        pthread_mutex_unlock(&infer->lock);
        deployment_free(d);
        return status;
    }
    d->refs = 1;
    d->next = infer->deployments;
    infer->deployments = d;
    status = start_locked(infer, d, deadline_ns, err);
    struct deployment *old = status == VZ_OK ? idle_implicit_locked(infer, d) : NULL;
    if (old) { /* what the first request made is of no more use */
        old->refs++;
        old->is_doomed = true;
        d->refs++;
        unref_and_unlock(infer, old);
        pthread_mutex_lock(&infer->lock);
        d->refs--;
    }
    unref_and_unlock(infer, d);
    return status;
}

/* The lock is held. */
static void doom_locked(struct deployment *d)
{
    d->is_doomed = true;
    d->state = VZ_STOPPING;
    for (struct waiter *w = d->first; w; w = w->next) {
        w->is_stopped = true;
        pthread_cond_signal(&w->go);
    }
}

/* By id, or the one deployment of the model that `name` means; the lock is held. */
static enum vz_status named_locked(struct vz_infer *infer, struct vz_slice name,
                                   const struct vz_infer_model *model, struct deployment **out,
                                   struct vz_error *err)
{
    size_t count = 0;
    *out = by_id_locked(infer, name);
    if (*out)
        return VZ_OK;
    for (struct deployment *d = infer->deployments; d; d = d->next)
        if (!d->is_doomed && same_model(&d->model, model)) {
            *out = d;
            count++;
        }
    if (count > 1)
        return vz_fail(err, VZ_BAD_ARGUMENT, "model [%.*s] has %zu deployments: name one",
                       (int)name.len, name.ptr, count);
    if (!count)
        return vz_fail(err, VZ_NOT_FOUND, "there is no deployment [%.*s]", (int)name.len, name.ptr);
    return VZ_OK;
}

/* Finds the deployment that `name` means; the lock is held then. */
static enum vz_status lock_and_find(struct vz_infer *infer, struct vz_slice name,
                                    struct deployment **out, struct vz_error *err)
{
    struct vz_arena arena = {0};
    struct vz_infer_model model = {0};
    if (vz_infer_find(infer, name, &arena, &model, NULL) != VZ_OK)
        model = (struct vz_infer_model){0}; /* no deployment's */
    pthread_mutex_lock(&infer->lock);
    enum vz_status status = named_locked(infer, name, &model, out, err);
    vz_arena_deinit(&arena);
    return status;
}

enum vz_status vz_infer_stop(struct vz_infer *infer, struct vz_slice id, struct vz_error *err)
{
    struct deployment *d;
    enum vz_status status = lock_and_find(infer, id, &d, err);
    if (status == VZ_OK && vz_slice_is(d->id, VZ_INFER_EYE))
        status = vz_fail(err, VZ_UNSUPPORTED, "the built-in eye is always there");
    if (status != VZ_OK) {
        pthread_mutex_unlock(&infer->lock);
        return status;
    }
    d->refs++;
    doom_locked(d);
    while (d->refs > 1)
        pthread_cond_wait(&infer->changed, &infer->lock);
    unref_and_unlock(infer, d);
    return VZ_OK;
}

enum vz_status vz_infer_update(struct vz_infer *infer, struct vz_slice id, uint32_t allocations,
                               struct vz_error *err)
{
    struct deployment *d;
    enum vz_status status = lock_and_find(infer, id, &d, err);
    if (status == VZ_OK) {
        d->options.allocations = VZ_MAX(allocations, 1u);
        let_in_locked(d);
    }
    pthread_mutex_unlock(&infer->lock);
    return status;
}

enum vz_status vz_infer_clear_cache(struct vz_infer *infer, struct vz_slice id,
                                    struct vz_error *err)
{
    struct deployment *d;
    enum vz_status status = lock_and_find(infer, id, &d, err);
    if (status == VZ_OK)
        cache_clear(d->cache);
    pthread_mutex_unlock(&infer->lock);
    return status;
}

void deployments_close(struct vz_infer *infer)
{
    pthread_mutex_lock(&infer->lock);
    infer->is_closing = true;
    while (infer->deployments) {
        struct deployment *d = infer->deployments;
        d->refs++;
        doom_locked(d);
        while (d->refs > 1)
            pthread_cond_wait(&infer->changed, &infer->lock);
        unref_and_unlock(infer, d);
        pthread_mutex_lock(&infer->lock);
    }
    pthread_mutex_unlock(&infer->lock);
}

/* ---- what there is ---- */

struct vz_slice deployment_model(struct vz_infer *infer, struct vz_slice id, struct vz_arena *arena)
{
    pthread_mutex_lock(&infer->lock);
    struct deployment *d = by_id_locked(infer, id);
    struct vz_slice model = d ? vz_arena_copy(arena, d->model.name) : id;
    pthread_mutex_unlock(&infer->lock);
    return model;
}

static int by_id(const void *a, const void *b)
{
    const struct vz_deployment *x = a, *y = b;
    return vz_slice_cmp(x->id, y->id);
}

size_t vz_infer_deployments(struct vz_infer *infer, struct vz_arena *arena,
                            struct vz_deployment **deployments)
{
    size_t count = 0;
    int64_t minute = vz_wall_ms() / MINUTE_MS;
    pthread_mutex_lock(&infer->lock);
    for (struct deployment *d = infer->deployments; d; d = d->next)
        count++;
    *deployments = vz_arena_zalloc(arena, (count + 1) * sizeof **deployments);
    struct vz_deployment *to = *deployments;
    for (struct deployment *d = infer->deployments; d; d = d->next, to++) {
        *to = (struct vz_deployment){
            .id = vz_arena_copy(arena, d->id),
            .model_id = vz_arena_copy(arena, d->model.id),
            .model = vz_arena_copy(arena, d->model.name),
            .is_explicit = d->is_explicit,
            .is_low_priority = d->options.is_low_priority,
            .state = d->state,
            .allocations = d->options.allocations,
            .threads = d->options.threads,
            .queue_capacity = d->options.queue_capacity,
            .running = d->running,
            .waiting = d->waiting,
            .precision = d->options.precision,
            .cache_bytes = d->options.cache_bytes,
            .memory_bytes = d->opened ? d->opened->bytes : 0,
            .started_ms = d->started_ms,
            .last_access_ms = d->last_access_ms,
            .inference_count = d->inference_count,
            .error_count = d->error_count,
            .rejected_count = d->rejected_count,
            .timeout_count = d->timeout_count,
            .cache_hits = d->cache_hits,
            .time_ns = d->time_ns,
            .throughput_last_minute = minute == d->minute       ? d->in_last_minute
                                      : minute == d->minute + 1 ? d->in_minute
                                                                : 0,
            .peak_throughput_per_minute = d->peak_in_minute,
        };
    }
    pthread_mutex_unlock(&infer->lock);
    qsort(*deployments, count, sizeof **deployments, by_id);
    return count;
}

void vz_infer_memory(struct vz_infer *infer, uint64_t *used, uint64_t *most)
{
    pthread_mutex_lock(&infer->lock);
    *used = infer->used_bytes;
    *most = infer->max_memory_bytes;
    pthread_mutex_unlock(&infer->lock);
}
