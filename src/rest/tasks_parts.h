/* rest/tasks_parts.h - inside the registry of tasks: shared by tasks.c and tasks_api.c alone.
 *
 * Functions that end in _locked want the caller to hold tasks->lock. */
#ifndef VZ_REST_TASKS_PARTS_H
#define VZ_REST_TASKS_PARTS_H

#include "rest/tasks.h"

struct vz_task_result {
    struct vz_task_result *next; /* the next newer one */
    uint64_t number;
    struct vz_buf answer; /* what GET _tasks/{id} answers */
};

struct vz_tasks {
    struct vz_rest *rest; /* immutable */
    pthread_mutex_t lock; /* guards all below */
    pthread_cond_t ended, nudged;
    unsigned waiters;                 /* on `ended` */
    struct vz_running *list, *newest; /* from the oldest */
    uint64_t last_number;
    unsigned background, long_requests, waiting; /* the last: for tasks to end */
    bool stopping;
    struct vz_task_result *oldest, *last_result;
    size_t result_count, result_bytes;
};

struct vz_running *vz_task_find_locked(struct vz_tasks *tasks, uint64_t number);
struct vz_task_result *vz_task_result_locked(struct vz_tasks *tasks, uint64_t number);
/* And its children. */
void vz_task_cancel_locked(struct vz_tasks *tasks, struct vz_running *task);
/* Gives `per_second` (0: no limit) to what of the task still runs; how many parts that are. */
unsigned vz_task_rethrottle_locked(struct vz_tasks *tasks, struct vz_running *task,
                                   double per_second);
/* One wait for any task to end; false when the time is over or the server stops. */
bool vz_tasks_wait_locked(struct vz_tasks *tasks, uint64_t until_ns);
/* {"node", "id", "type", "action", ...}; `detailed`: its description and status, too. */
void vz_task_print_locked(struct vz_tasks *tasks, const struct vz_running *task, bool detailed,
                          struct vz_json_writer *w);
/* One more request that keeps its client waiting; false with a problem when there are too many. */
bool vz_task_wait_enter(struct vz_call *call);
void vz_task_wait_leave(struct vz_call *call);

#endif
