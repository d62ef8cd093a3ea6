/* The registry of running requests, and the threads of work behind answers. See tasks.h.
 *
 * Order of locks: none is taken under tasks->lock.
 *
 * Whoever waits for a task to end waits on `ended`, which is told of every end while somebody
 * waits; a throttled task sleeps on `nudged`, which only cancelling and rethrottling tell. */
#include "rest/tasks_parts.h"

#include "base/log.h"

#include <stdlib.h>
#include <time.h>

/* ---- actions ------------------------------------------------------------------------------- */

static const struct {
    void (*handle)(struct vz_call *call);
    const char *action;
} actions[] = {
    {vz_rest_search, "indices:data/read/search"},
    {vz_rest_count, "indices:data/read/search"},
    {vz_rest_msearch, "indices:data/read/msearch"},
    {vz_rest_search_template, "indices:data/read/search/template"},
    {vz_rest_msearch_template, "indices:data/read/msearch/template"},
    {vz_rest_rank_eval, "indices:data/read/rank_eval"},
    {vz_rest_scroll_next, "indices:data/read/scroll"},
    {vz_rest_scroll_clear, "indices:data/read/scroll/clear"},
    {vz_rest_explain, "indices:data/read/explain"},
    {vz_rest_doc_get, "indices:data/read/get"},
    {vz_rest_doc_get_source, "indices:data/read/get"},
    {vz_rest_doc_mget, "indices:data/read/mget"},
    {vz_rest_termvectors, "indices:data/read/tv"},
    {vz_rest_mtermvectors, "indices:data/read/mtv"},
    {vz_rest_doc_put, "indices:data/write/index"},
    {vz_rest_doc_delete, "indices:data/write/delete"},
    {vz_rest_doc_update, "indices:data/write/update"},
    {vz_rest_bulk, "indices:data/write/bulk"},
    {vz_rest_delete_by_query, "indices:data/write/delete/byquery"},
    {vz_rest_update_by_query, "indices:data/write/update/byquery"},
    {vz_rest_reindex, "indices:data/write/reindex"},
    {vz_rest_index_create, "indices:admin/create"},
    {vz_rest_index_delete, "indices:admin/delete"},
    {vz_rest_index_refresh, "indices:admin/refresh"},
    {vz_rest_index_flush, "indices:admin/flush"},
    {vz_rest_index_forcemerge, "indices:admin/forcemerge"},
    {vz_rest_index_stats, "indices:monitor/stats"},
    {vz_rest_mapping_put, "indices:admin/mapping/put"},
    {vz_rest_mapping_get, "indices:admin/mappings/get"},
    {vz_rest_settings_put, "indices:admin/settings/update"},
    {vz_rest_alias_update, "indices:admin/aliases"},
    {vz_rest_analyze, "indices:admin/analyze"},
    {vz_rest_ingest_put, "cluster:admin/ingest/pipeline/put"},
    {vz_rest_ingest_simulate, "cluster:admin/ingest/pipeline/simulate"},
    {vz_rest_ml_infer, "cluster:monitor/xpack/ml/inference/infer"},
    {vz_rest_ml_start, "cluster:admin/xpack/ml/trained_models/deployment/start"},
    {vz_rest_inference_run, "cluster:internal/xpack/inference"},
    {vz_rest_cluster_health, "cluster:monitor/health"},
    {vz_rest_nodes_stats, "cluster:monitor/nodes/stats"},
    {vz_rest_tasks, "cluster:monitor/tasks/lists"},
    {vz_rest_cat_tasks, "cluster:monitor/tasks/lists"},
    {vz_rest_task_get, "cluster:monitor/task/get"},
    {vz_rest_tasks_cancel, "cluster:admin/tasks/cancel"},
    {vz_rest_rethrottle, "cluster:admin/reindex/rethrottle"},
};

const char *vz_task_action(const struct vz_route *route)
{
    for (size_t i = 0; i < VZ_COUNT_OF(actions); i++)
        if (route->handle == actions[i].handle)
            return actions[i].action;
    return NULL;
}

bool vz_task_is_search(const char *action)
{
    return action && (strncmp(action, "indices:data/read/search", 24) == 0 ||
                      strncmp(action, "indices:data/read/msearch", 25) == 0);
}

/* ---- life ---------------------------------------------------------------------------------- */

struct vz_tasks *vz_tasks_new(struct vz_rest *rest)
{
    struct vz_tasks *tasks = vz_calloc(1, sizeof *tasks);
    pthread_condattr_t attributes;
    tasks->rest = rest;
    pthread_mutex_init(&tasks->lock, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&tasks->ended, &attributes);
    pthread_cond_init(&tasks->nudged, &attributes);
    pthread_condattr_destroy(&attributes);
    return tasks;
}

static void cancel_locked(struct vz_tasks *tasks, struct vz_running *task, const char *reason)
{
    if (vz_task_cancelled(task))
        return;
    task->cancel_reason = reason;
    atomic_store_explicit(&task->cancelled, true, memory_order_relaxed);
    for (struct vz_running *child = tasks->list; child; child = child->next)
        if (child->parent == task->number && child->cancellable)
            cancel_locked(tasks, child, reason);
}

void vz_task_cancel_locked(struct vz_tasks *tasks, struct vz_running *task)
{
    cancel_locked(tasks, task, "by user request");
    pthread_cond_broadcast(&tasks->nudged);
}

void vz_tasks_stop(struct vz_tasks *tasks)
{
    pthread_mutex_lock(&tasks->lock);
    tasks->stopping = true;
    for (struct vz_running *task = tasks->list; task; task = task->next)
        if (task->cancellable)
            cancel_locked(tasks, task, "the node is stopping");
    pthread_cond_broadcast(&tasks->nudged);
    pthread_cond_broadcast(&tasks->ended);
    pthread_mutex_unlock(&tasks->lock);
}

static void free_result(struct vz_task_result *result)
{
    vz_buf_deinit(&result->answer);
    free(result);
}

void vz_tasks_free(struct vz_tasks *tasks)
{
    if (!tasks)
        return;
    vz_tasks_stop(tasks);
    pthread_mutex_lock(&tasks->lock);
    while (tasks->background) {
        tasks->waiters++;
        pthread_cond_wait(&tasks->ended, &tasks->lock);
        tasks->waiters--;
    }
    pthread_mutex_unlock(&tasks->lock);
    while (tasks->oldest) {
        struct vz_task_result *next = tasks->oldest->next;
        free_result(tasks->oldest);
        tasks->oldest = next;
    }
    pthread_cond_destroy(&tasks->nudged);
    pthread_cond_destroy(&tasks->ended);
    pthread_mutex_destroy(&tasks->lock);
    free(tasks);
}

void vz_tasks_lock(struct vz_tasks *tasks)
{
    pthread_mutex_lock(&tasks->lock);
}

void vz_tasks_unlock(struct vz_tasks *tasks)
{
    pthread_mutex_unlock(&tasks->lock);
}

/* ---- the list ------------------------------------------------------------------------------ */

static void begin_locked(struct vz_tasks *tasks, struct vz_running *task)
{
    task->number = ++tasks->last_number;
    task->prev = tasks->newest;
    task->next = NULL;
    if (tasks->newest)
        tasks->newest->next = task;
    else
        tasks->list = task;
    tasks->newest = task;
    /* A child of what was cancelled before it began. */
    for (struct vz_running *other = task->parent ? tasks->list : NULL; other; other = other->next)
        if (other->number == task->parent && vz_task_cancelled(other))
            cancel_locked(tasks, task, other->cancel_reason);
    if (tasks->stopping && task->cancellable)
        cancel_locked(tasks, task, "the node is stopping");
}

void vz_task_begin(struct vz_tasks *tasks, struct vz_running *task)
{
    task->start_ms = vz_wall_ms();
    task->start_ns = vz_now_ns();
    pthread_mutex_lock(&tasks->lock);
    begin_locked(tasks, task);
    pthread_mutex_unlock(&tasks->lock);
}

static void end_locked(struct vz_tasks *tasks, struct vz_running *task)
{
    if (task->prev)
        task->prev->next = task->next;
    else
        tasks->list = task->next;
    if (task->next)
        task->next->prev = task->prev;
    else
        tasks->newest = task->prev;
    if (tasks->waiters)
        pthread_cond_broadcast(&tasks->ended);
}

void vz_task_end(struct vz_tasks *tasks, struct vz_running *task)
{
    pthread_mutex_lock(&tasks->lock);
    end_locked(tasks, task);
    pthread_mutex_unlock(&tasks->lock);
}

struct vz_running *vz_task_find_locked(struct vz_tasks *tasks, uint64_t number)
{
    struct vz_running *task = tasks->list;
    while (task && task->number != number)
        task = task->next;
    return task;
}

struct vz_task_result *vz_task_result_locked(struct vz_tasks *tasks, uint64_t number)
{
    struct vz_task_result *result = tasks->oldest;
    while (result && result->number != number)
        result = result->next;
    return result;
}

static struct timespec at_time(uint64_t ns)
{
    return (struct timespec){.tv_sec = (time_t)(ns / 1000000000u),
                             .tv_nsec = (long)(ns % 1000000000u)};
}

bool vz_tasks_wait_locked(struct vz_tasks *tasks, uint64_t until_ns)
{
    const struct timespec until = at_time(until_ns);
    tasks->waiters++;
    pthread_cond_timedwait(&tasks->ended, &tasks->lock, &until);
    tasks->waiters--;
    return vz_now_ns() < until_ns && !tasks->stopping;
}

/* ---- throttling ---------------------------------------------------------------------------- */

void vz_task_throttle(struct vz_tasks *tasks, struct vz_running *task, struct vz_progress *progress,
                      uint64_t start_ns, size_t count)
{
    pthread_mutex_lock(&tasks->lock);
    uint64_t began = vz_now_ns();
    while (!vz_task_cancelled(task) && progress->per_second > 0) {
        double wait_ns = (double)count / progress->per_second * 1e9;
        /* A year is as good as for ever, and fits. */
        uint64_t until_ns = start_ns + (uint64_t)VZ_MIN(wait_ns, 3.2e16);
        if (vz_now_ns() >= until_ns)
            break;
        const struct timespec until = at_time(until_ns);
        progress->throttled_until_ns = until_ns;
        pthread_cond_timedwait(&tasks->nudged, &tasks->lock, &until);
    }
    progress->throttled_until_ns = 0;
    progress->throttled_ns += vz_now_ns() - began;
    pthread_mutex_unlock(&tasks->lock);
}

unsigned vz_task_rethrottle_locked(struct vz_tasks *tasks, struct vz_running *task,
                                   double per_second)
{
    unsigned running = 0;
    for (size_t i = 0; i < task->progress_count; i++)
        running += !task->progress[i].done;
    for (size_t i = 0; i < task->progress_count; i++)
        if (!task->progress[i].done)
            task->progress[i].per_second = per_second / running;
    task->is_rethrottled = task->progress_count == 0;
    task->rethrottled = per_second;
    pthread_cond_broadcast(&tasks->nudged);
    return running;
}

/* ---- work ---------------------------------------------------------------------------------- */

struct background {
    struct vz_tasks *tasks;
    struct vz_running task;
    struct vz_call call;
    struct vz_http_request request;
    struct vz_http_response response;
    struct vz_arena arena; /* the copy of the request */
    void (*work)(struct vz_call *call);
};

static void drop_results_locked(struct vz_tasks *tasks)
{
    while (tasks->oldest && (tasks->result_count > VZ_TASK_MAX_RESULTS ||
                             tasks->result_bytes > VZ_TASK_MAX_RESULT_BYTES)) {
        struct vz_task_result *result = tasks->oldest;
        tasks->oldest = result->next;
        if (!tasks->oldest)
            tasks->last_result = NULL;
        tasks->result_count--;
        tasks->result_bytes -= result->answer.len;
        free_result(result);
    }
}

/* {"completed":true,"task":{...},"response" or "error":...}, as it is asked for later. */
static struct vz_task_result *result_of(struct background *job)
{
    struct vz_task_result *result = vz_calloc(1, sizeof *result);
    struct vz_json_writer w = vz_json_writer_on(&result->answer);
    result->number = job->task.number;
    vz_json_begin_object(&w);
    vz_json_field_bool(&w, "completed", true);
    vz_json_key(&w, "task");
    pthread_mutex_lock(&job->tasks->lock);
    vz_task_print_locked(job->tasks, &job->task, true, &w);
    pthread_mutex_unlock(&job->tasks->lock);
    if (job->call.problem.status) {
        vz_json_key(&w, "error");
        vz_problem_print(&job->call.problem, &w);
    } else {
        vz_json_key(&w, "response");
        vz_json_put_raw(&w, vz_buf_slice(&job->response.body));
    }
    vz_json_end_object(&w);
    return result;
}

static void *run_behind(void *job_void)
{
    struct background *job = job_void;
    struct vz_tasks *tasks = job->tasks;
    vz_thread_name("task");
    job->work(&job->call);
    if (job->call.doc)
        vz_json_free(job->call.doc);
    struct vz_task_result *result = result_of(job);
    pthread_mutex_lock(&tasks->lock);
    if (tasks->last_result)
        tasks->last_result->next = result;
    else
        tasks->oldest = result;
    tasks->last_result = result;
    tasks->result_count++;
    tasks->result_bytes += result->answer.len;
    drop_results_locked(tasks);
    end_locked(tasks, &job->task);
    pthread_mutex_unlock(&tasks->lock);
    vz_buf_deinit(&job->response.body);
    vz_arena_deinit(&job->response.arena);
    vz_arena_deinit(&job->arena);
    free(job);
    /* Last: vz_tasks_free may go on now. */
    pthread_mutex_lock(&tasks->lock);
    tasks->background--;
    pthread_cond_broadcast(&tasks->ended);
    pthread_mutex_unlock(&tasks->lock);
    return NULL;
}

static struct vz_slice keep(struct background *job, struct vz_slice text)
{
    return vz_arena_copy(&job->arena, text);
}

static void copy_request(struct background *job, const struct vz_call *from)
{
    const struct vz_http_request *request = from->request;
    struct vz_http_param *params =
        vz_arena_alloc(&job->arena, (request->param_count + 1) * sizeof *params);
    for (size_t i = 0; i < request->param_count; i++)
        params[i] = (struct vz_http_param){keep(job, request->params[i].name),
                                           keep(job, request->params[i].value)};
    /* With the padding that parsers read over. */
    char *body = vz_arena_zalloc(&job->arena, request->body.len + 64);
    if (request->body.len)
        memcpy(body, request->body.ptr, request->body.len);
    job->request = *request;
    job->request.params = params;
    job->request.path = keep(job, request->path);
    job->request.opaque_id = keep(job, request->opaque_id);
    job->request.body = (struct vz_slice){body, request->body.len};
    job->request.internal = NULL;
    job->call = *from;
    job->call.request = &job->request;
    job->call.response = &job->response;
    job->call.arena = &job->response.arena;
    job->call.w = vz_json_writer_on(&job->response.body);
    job->call.doc = NULL;
    job->call.task = &job->task;
    job->call.start_ns = vz_now_ns();
    for (size_t i = 0; i < VZ_MAX_SEGMENTS; i++)
        job->call.args[i] = keep(job, from->args[i]);
}

static bool too_many(struct vz_call *call, unsigned limit)
{
    return vz_call_fail(call, 429, "es_rejected_execution_exception",
                        "rejected execution: [%u] long requests are running already", limit);
}

static void start_behind(struct vz_call *call, struct vz_slice description,
                         void (*work)(struct vz_call *call))
{
    struct vz_tasks *tasks = call->rest->tasks;
    struct background *job = vz_calloc(1, sizeof *job);
    pthread_t thread;
    job->tasks = tasks;
    job->work = work;
    copy_request(job, call);
    job->task.action = call->task->action;
    job->task.description = keep(job, description);
    job->task.opaque_id = job->request.opaque_id;
    job->task.cancellable = true;
    job->task.start_ms = vz_wall_ms();
    job->task.start_ns = vz_now_ns();
    pthread_mutex_lock(&tasks->lock);
    bool full = tasks->background >= VZ_TASK_MAX_BACKGROUND || tasks->stopping;
    if (!full) {
        tasks->background++;
        begin_locked(tasks, &job->task);
    }
    uint64_t number = job->task.number;
    pthread_mutex_unlock(&tasks->lock);
    bool failed = full || pthread_create(&thread, NULL, run_behind, job) != 0;
    if (!failed) {
        pthread_detach(thread);
        vz_json_begin_object(&call->w);
        vz_json_field_string(
            &call->w, "task",
            vz_call_format(call, "%s:%llu", call->rest->node_id, (unsigned long long)number));
        vz_json_end_object(&call->w);
        return;
    }
    if (!full) {
        vz_log(VZ_LOG_WARN, "rest", "no thread for a task");
        pthread_mutex_lock(&tasks->lock);
        tasks->background--;
        end_locked(tasks, &job->task);
        pthread_mutex_unlock(&tasks->lock);
    }
    vz_arena_deinit(&job->arena);
    free(job);
    too_many(call, VZ_TASK_MAX_BACKGROUND);
}

void vz_task_run(struct vz_call *call, struct vz_slice description,
                 void (*work)(struct vz_call *call))
{
    struct vz_tasks *tasks = call->rest->tasks;
    if (!vz_call_bool(call, "wait_for_completion", true)) {
        start_behind(call, description, work);
        return;
    }
    pthread_mutex_lock(&tasks->lock);
    bool full = tasks->long_requests >= VZ_TASK_MAX_LONG || tasks->stopping;
    if (!full) {
        tasks->long_requests++;
        call->task->description = vz_arena_copy(call->arena, description);
        call->task->cancellable = true;
    }
    pthread_mutex_unlock(&tasks->lock);
    if (full) {
        too_many(call, VZ_TASK_MAX_LONG);
        return;
    }
    work(call);
    pthread_mutex_lock(&tasks->lock);
    tasks->long_requests--;
    call->task->progress = NULL; /* its memory is the work's */
    call->task->progress_count = 0;
    pthread_mutex_unlock(&tasks->lock);
}

bool vz_task_wait_enter(struct vz_call *call)
{
    struct vz_tasks *tasks = call->rest->tasks;
    pthread_mutex_lock(&tasks->lock);
    bool full = tasks->waiting >= VZ_TASK_MAX_WAITING;
    tasks->waiting += !full;
    pthread_mutex_unlock(&tasks->lock);
    return !full || too_many(call, VZ_TASK_MAX_WAITING);
}

void vz_task_wait_leave(struct vz_call *call)
{
    pthread_mutex_lock(&call->rest->tasks->lock);
    call->rest->tasks->waiting--;
    pthread_mutex_unlock(&call->rest->tasks->lock);
}
