/* rest/tasks.h - requests that run, as tasks: listing, cancelling, waiting, work behind an answer.
 *
 * The model. Every request whose route has an action's name (action_of in tasks.c) is in one list
 * from before its handler to behind it; its struct lies on the handler's stack, so an ordinary
 * request pays two short turns of one lock and no memory. Work that outlives its request
 * (wait_for_completion=false) has a thread, a copy of the request and a task of its own; what it
 * answered is kept, the newest VZ_TASK_MAX_RESULTS of them and VZ_TASK_MAX_RESULT_BYTES together,
 * until the process ends (Elasticsearch keeps them in an index; here they do not outlive a
 * restart).
 *
 * Threads: all functions from any thread. One lock guards the list, what tasks report and the
 * results; it is never held while a request works or waits for anything but the lock's condition.
 */
#ifndef VZ_REST_TASKS_H
#define VZ_REST_TASKS_H

#include "rest/parts.h"

#define VZ_TASK_MAX_RESULTS 1000
#define VZ_TASK_MAX_RESULT_BYTES ((size_t)64 << 20)
#define VZ_TASK_MAX_BACKGROUND 32 /* pieces of work behind their answers; more: 429 */
#define VZ_TASK_MAX_LONG 24       /* long requests that keep their client waiting; more: 429 */
#define VZ_TASK_MAX_WAITING 24    /* requests that wait for tasks to end, beside those; more: 429 */

/* What a by-query request has done, and its throttle. Guarded by the tasks' lock. */
struct vz_progress {
    int slice; /* -1: not sliced */
    bool done;
    int64_t total, updated, created, deleted, batches, conflicts, noops, bulk_retries,
        search_retries;
    uint64_t throttled_ns, throttled_until_ns;
    double per_second; /* 0: as fast as it goes */
};

struct vz_running {
    struct vz_running *next, *prev;         /* of the list */
    uint64_t number, parent;                /* parent 0: none */
    const char *action;                     /* NULL: not in the list */
    struct vz_slice description, opaque_id; /* borrowed until vz_task_end */
    /* What describes it else; borrowed, and not of the call, which changes them on its way. */
    const struct vz_http_request *request; /* or NULL */
    const struct vz_route *route;
    struct vz_slice target; /* the path's first argument */
    int64_t start_ms;
    uint64_t start_ns;
    bool cancellable;
    const char *cancel_reason; /* static; by the lock */
    /* Pairs with itself, relaxed: a flag that is looked at often. */
    atomic_bool cancelled;
    struct vz_progress *progress; /* progress_count of them; NULL: no status */
    size_t progress_count;
    bool is_sliced;
    bool is_rethrottled; /* before it had a progress: to what */
    double rethrottled;
};

struct vz_tasks *vz_tasks_new(struct vz_rest *rest);
/* Cancels what runs behind answers and waits for it. */
void vz_tasks_free(struct vz_tasks *tasks);
/* Cancels everything that can be, so that nothing keeps a server from stopping. */
void vz_tasks_stop(struct vz_tasks *tasks);

/* The action of a route's handler; NULL: its requests are not listed. */
const char *vz_task_action(const struct vz_route *route);
/* Whether it is one that reads by a query: it may be cancelled, and is when its client leaves. */
bool vz_task_is_search(const char *action);
/* Puts a task into the list; action and what describes it are set by the caller. */
void vz_task_begin(struct vz_tasks *tasks, struct vz_running *task);
void vz_task_end(struct vz_tasks *tasks, struct vz_running *task);
static inline bool vz_task_cancelled(const struct vz_running *task)
{
    return atomic_load_explicit(&task->cancelled, memory_order_relaxed);
}

void vz_tasks_lock(struct vz_tasks *tasks);
void vz_tasks_unlock(struct vz_tasks *tasks);
/* Waits so long as the throttle of `progress` asks for after a batch of `count` documents begun at
 * start_ns; less when it is loosened or the task cancelled meanwhile. */
void vz_task_throttle(struct vz_tasks *tasks, struct vz_running *task, struct vz_progress *progress,
                      uint64_t start_ns, size_t count);
/* The members of a by-query status: of a single one, or the sum and "slices". `failed` leaves out
 * what is printed by nobody else. Locks. */
void vz_task_print_progress(struct vz_tasks *tasks, const struct vz_running *task, bool created,
                            bool updated, struct vz_json_writer *w);

/* Runs `work` for the call: here, or, when the URL says wait_for_completion=false, on a thread of
 * its own with a copy of the request, and then answers {"task": "node:7"}. `work` reads the call's
 * request, writes its answer or leaves a problem, and finds its task in call->task. The handler has
 * checked the request before. The description is copied. */
void vz_task_run(struct vz_call *call, struct vz_slice description,
                 void (*work)(struct vz_call *call));

/* requests_per_second of the URL; 0 for none and for -1. False with a problem. */
bool vz_call_per_second(struct vz_call *call, bool required, double *per_second);

/* A place among the requests that compute (vz_rest_options.concurrency): long work takes one for
 * each batch and waits without. */
void vz_rest_place_take(struct vz_rest *rest);
void vz_rest_place_leave(struct vz_rest *rest);

#endif
