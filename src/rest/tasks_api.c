/* _tasks: listing, one task, cancelling, and rethrottling of by-query requests. */
#include "rest/tasks_parts.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define DESCRIBED_BODY 1024 /* bytes of a search's body that its description shows */
#define DEFAULT_WAIT_MS 30000

/* ---- printing ------------------------------------------------------------------------------ */

static void print_status(const struct vz_progress *p, bool created, bool updated,
                         struct vz_json_writer *w)
{
    if (p->slice >= 0)
        vz_json_field_int(w, "slice_id", p->slice);
    vz_json_field_int(w, "total", p->total);
    if (updated)
        vz_json_field_int(w, "updated", p->updated);
    if (created)
        vz_json_field_int(w, "created", p->created);
    vz_json_field_int(w, "deleted", p->deleted);
    vz_json_field_int(w, "batches", p->batches);
    vz_json_field_int(w, "version_conflicts", p->conflicts);
    vz_json_field_int(w, "noops", p->noops);
    vz_json_key(w, "retries");
    vz_json_begin_object(w);
    vz_json_field_int(w, "bulk", p->bulk_retries);
    vz_json_field_int(w, "search", p->search_retries);
    vz_json_end_object(w);
    vz_json_field_int(w, "throttled_millis", (int64_t)(p->throttled_ns / 1000000));
    vz_json_key(w, "requests_per_second");
    vz_json_put_float(w, p->per_second > 0 ? (float)p->per_second : -1.0f);
}

static void print_end(const struct vz_progress *p, const struct vz_running *task,
                      struct vz_json_writer *w)
{
    uint64_t now = vz_now_ns();
    if (task->cancel_reason)
        vz_json_field_str(w, "canceled", task->cancel_reason);
    vz_json_field_int(
        w, "throttled_until_millis",
        p->throttled_until_ns > now ? (int64_t)((p->throttled_until_ns - now) / 1000000) : 0);
}

static struct vz_progress sum_of(const struct vz_running *task)
{
    struct vz_progress sum = {.slice = -1};
    for (size_t i = 0; i < task->progress_count; i++) {
        const struct vz_progress *p = &task->progress[i];
        sum.total += p->total;
        sum.updated += p->updated;
        sum.created += p->created;
        sum.deleted += p->deleted;
        sum.batches += p->batches;
        sum.conflicts += p->conflicts;
        sum.noops += p->noops;
        sum.bulk_retries += p->bulk_retries;
        sum.search_retries += p->search_retries;
        sum.throttled_ns += p->throttled_ns;
        sum.per_second += p->per_second;
        if (p->throttled_until_ns &&
            (!sum.throttled_until_ns || p->throttled_until_ns < sum.throttled_until_ns))
            sum.throttled_until_ns = p->throttled_until_ns;
    }
    return sum;
}

static void print_progress_locked(const struct vz_running *task, bool created, bool updated,
                                  struct vz_json_writer *w)
{
    const struct vz_progress sum = sum_of(task);
    print_status(&sum, created, updated, w);
    print_end(&sum, task, w);
    if (!task->is_sliced)
        return;
    vz_json_key(w, "slices");
    vz_json_begin_array(w);
    for (size_t i = 0; i < task->progress_count; i++) {
        vz_json_begin_object(w);
        print_status(&task->progress[i], created, updated, w);
        print_end(&task->progress[i], task, w);
        vz_json_end_object(w);
    }
    vz_json_end_array(w);
}

void vz_task_print_progress(struct vz_tasks *tasks, const struct vz_running *task, bool created,
                            bool updated, struct vz_json_writer *w)
{
    pthread_mutex_lock(&tasks->lock);
    print_progress_locked(task, created, updated, w);
    pthread_mutex_unlock(&tasks->lock);
}

/* What Elasticsearch says of a search; of other requests, what they are. */
static void print_description(const struct vz_running *task, struct vz_json_writer *w)
{
    const struct vz_http_request *request = task->request;
    if (task->description.len || !request || !task->route) {
        vz_json_field_string(w, "description",
                             task->description.len ? task->description : VZ_SLICE(""));
        return;
    }
    struct vz_buf text = {0};
    struct vz_slice body = request->body;
    body.len = VZ_MIN(body.len, DESCRIBED_BODY);
    if (task->route->handle == vz_rest_search)
        vz_buf_printf(&text, "indices[%.*s], search_type[QUERY_THEN_FETCH], source[%.*s]",
                      VZ_S(task->target), VZ_S(body));
    else
        vz_buf_printf(&text, "%s %.*s", request->method, VZ_S(request->path));
    vz_json_field_string(w, "description", vz_buf_slice(&text));
    vz_buf_deinit(&text);
}

static void print_id(struct vz_tasks *tasks, const char *key, uint64_t number,
                     struct vz_json_writer *w)
{
    char text[64];
    snprintf(text, sizeof text, "%s:%llu", tasks->rest->node_id, (unsigned long long)number);
    vz_json_field_str(w, key, text);
}

static void print_members_locked(struct vz_tasks *tasks, const struct vz_running *task,
                                 bool detailed, struct vz_json_writer *w)
{
    vz_json_field_str(w, "node", tasks->rest->node_id);
    vz_json_field_int(w, "id", (int64_t)task->number);
    vz_json_field_str(w, "type", "transport");
    vz_json_field_str(w, "action", task->action);
    if (detailed && task->progress) {
        vz_json_key(w, "status");
        vz_json_begin_object(w);
        print_progress_locked(task, true, true, w);
        vz_json_end_object(w);
    }
    if (detailed)
        print_description(task, w);
    vz_json_field_int(w, "start_time_in_millis", task->start_ms);
    vz_json_field_int(w, "running_time_in_nanos", (int64_t)(vz_now_ns() - task->start_ns));
    vz_json_field_bool(w, "cancellable", task->cancellable);
    if (task->cancellable)
        vz_json_field_bool(w, "cancelled", vz_task_cancelled(task));
    if (task->parent)
        print_id(tasks, "parent_task_id", task->parent, w);
    vz_json_key(w, "headers");
    vz_json_begin_object(w);
    if (task->opaque_id.len)
        vz_json_field_string(w, "X-Opaque-Id", task->opaque_id);
    vz_json_end_object(w);
}

void vz_task_print_locked(struct vz_tasks *tasks, const struct vz_running *task, bool detailed,
                          struct vz_json_writer *w)
{
    vz_json_begin_object(w);
    print_members_locked(tasks, task, detailed, w);
    vz_json_end_object(w);
}

/* ---- which tasks --------------------------------------------------------------------------- */

struct choice {
    struct vz_slice *actions;
    size_t action_count;
    uint64_t parent; /* 0: any */
    bool here;       /* this node is among `nodes` */
};

/* "node:7" of this node. False with a problem for what is no id; *number is 0 for other nodes. */
static bool read_id(struct vz_call *call, struct vz_slice text, uint64_t *number)
{
    const char *colon = text.len ? memchr(text.ptr, ':', text.len) : NULL;
    size_t at = colon ? (size_t)(colon - text.ptr) : 0;
    char digits[24] = "", *end = digits;
    if (colon && text.len - at - 1 < sizeof digits)
        memcpy(digits, colon + 1, text.len - at - 1);
    *number = digits[0] >= '0' && digits[0] <= '9' ? strtoull(digits, &end, 10) : 0;
    if (!digits[0] || end == digits || *end)
        return vz_call_fail(call, 400, "illegal_argument_exception", "malformed task id %.*s",
                            VZ_S(text));
    if (at == 0 || !vz_slice_is((struct vz_slice){text.ptr, at}, call->rest->node_id))
        *number = 0;
    return true;
}

static bool names_node(struct vz_call *call, struct vz_slice nodes)
{
    struct vz_slice *names;
    size_t count = vz_split(call->arena, nodes, &names);
    for (size_t i = 0; i < count; i++)
        if (vz_slice_is(names[i], "_local") || vz_slice_is(names[i], "_all") ||
            vz_wildcard_match(names[i], vz_slice_from(call->rest->node_id)) ||
            vz_wildcard_match(names[i], vz_slice_from(call->rest->node_name)))
            return true;
    return count == 0;
}

static bool read_choice(struct vz_call *call, struct choice *choice)
{
    struct vz_slice parent = vz_call_text(call, "parent_task_id");
    *choice = (struct choice){.here = names_node(call, vz_call_text(call, "nodes"))};
    choice->action_count = vz_split(call->arena, vz_call_text(call, "actions"), &choice->actions);
    if (!parent.len)
        return true;
    if (!read_id(call, parent, &choice->parent))
        return false;
    if (!choice->parent)
        choice->here = false;
    return true;
}

static bool chosen(const struct choice *choice, const struct vz_running *task)
{
    bool named = choice->action_count == 0;
    for (size_t i = 0; i < choice->action_count && !named; i++)
        named = vz_wildcard_match(choice->actions[i], vz_slice_from(task->action));
    return choice->here && named && (!choice->parent || task->parent == choice->parent);
}

/* ---- lists --------------------------------------------------------------------------------- */

static void print_node_head(struct vz_call *call)
{
    struct vz_json_writer *w = &call->w;
    vz_json_field_str(w, "name", call->rest->node_name);
    vz_json_field_str(w, "transport_address", vz_publish_address(call->rest));
    vz_json_field_string(w, "host", vz_publish_ip(call));
    vz_json_field_string(w, "ip", vz_publish_ip(call));
    vz_json_key(w, "roles");
    vz_json_put_raw(w, VZ_SLICE("[\"data\",\"ingest\",\"master\"]"));
}

static void print_keyed_locked(struct vz_call *call, const struct vz_running *task, bool detailed)
{
    char key[64];
    snprintf(key, sizeof key, "%s:%llu", call->rest->node_id, (unsigned long long)task->number);
    vz_json_key(&call->w, key);
    vz_task_print_locked(call->rest->tasks, task, detailed, &call->w);
}

static void print_nodes_locked(struct vz_call *call, struct vz_running **list, size_t count,
                               bool detailed)
{
    struct vz_json_writer *w = &call->w;
    vz_json_key(w, "nodes");
    vz_json_begin_object(w);
    if (count) {
        vz_json_key(w, call->rest->node_id);
        vz_json_begin_object(w);
        print_node_head(call);
        vz_json_key(w, "tasks");
        vz_json_begin_object(w);
        for (size_t i = 0; i < count; i++)
            print_keyed_locked(call, list[i], detailed);
        vz_json_end_object(w);
        vz_json_end_object(w);
    }
    vz_json_end_object(w);
}

/* Children are one level deep: what they do is no task. */
static void print_family_locked(struct vz_call *call, struct vz_running **list, size_t count,
                                bool detailed)
{
    struct vz_json_writer *w = &call->w;
    vz_json_key(w, "tasks");
    vz_json_begin_object(w);
    for (size_t i = 0; i < count; i++) {
        bool has_parent = false, has_children = false;
        char key[64];
        for (size_t k = 0; k < count; k++) {
            has_parent |= list[k]->number == list[i]->parent;
            has_children |= list[k]->parent == list[i]->number;
        }
        if (has_parent)
            continue;
        snprintf(key, sizeof key, "%s:%llu", call->rest->node_id,
                 (unsigned long long)list[i]->number);
        vz_json_key(w, key);
        vz_json_begin_object(w);
        print_members_locked(call->rest->tasks, list[i], detailed, w);
        if (has_children) {
            vz_json_key(w, "children");
            vz_json_begin_array(w);
            for (size_t k = 0; k < count; k++)
                if (list[k]->parent == list[i]->number)
                    vz_task_print_locked(call->rest->tasks, list[k], detailed, w);
            vz_json_end_array(w);
        }
        vz_json_end_object(w);
    }
    vz_json_end_object(w);
}

static void print_list_locked(struct vz_call *call, struct vz_running **list, size_t count,
                              bool detailed, struct vz_slice group_by)
{
    struct vz_json_writer *w = &call->w;
    if (vz_slice_is(group_by, "none")) {
        vz_json_key(w, "tasks");
        vz_json_begin_array(w);
        for (size_t i = 0; i < count; i++)
            vz_task_print_locked(call->rest->tasks, list[i], detailed, w);
        vz_json_end_array(w);
    } else if (vz_slice_is(group_by, "parents")) {
        print_family_locked(call, list, count, detailed);
    } else {
        print_nodes_locked(call, list, count, detailed);
    }
}

static void print_node_failure(struct vz_call *call, const char *type, struct vz_slice reason)
{
    struct vz_json_writer *w = &call->w;
    vz_json_key(w, "node_failures");
    vz_json_begin_array(w);
    vz_json_begin_object(w);
    vz_json_field_str(w, "type", "failed_node_exception");
    vz_json_field_string(w, "reason",
                         vz_call_format(call, "Failed node [%s]", call->rest->node_id));
    vz_json_field_str(w, "node_id", call->rest->node_id);
    vz_json_key(w, "caused_by");
    vz_json_begin_object(w);
    vz_json_field_str(w, "type", type);
    vz_json_field_string(w, "reason", reason);
    vz_json_end_object(w);
    vz_json_end_object(w);
    vz_json_end_array(w);
}

static bool check_group_by(struct vz_call *call, struct vz_slice *group_by)
{
    *group_by = VZ_SLICE("nodes");
    if (!vz_call_param(call, "group_by", group_by) || vz_slice_is(*group_by, "nodes") ||
        vz_slice_is(*group_by, "parents") || vz_slice_is(*group_by, "none"))
        return true;
    return vz_call_fail(call, 400, "illegal_argument_exception",
                        "group_by should be one of [nodes, parents, none] but was [%.*s]",
                        VZ_S(*group_by));
}

static size_t collect_locked(struct vz_call *call, const struct choice *choice,
                             struct vz_running ***list)
{
    struct vz_tasks *tasks = call->rest->tasks;
    size_t count = 0, room = 1;
    for (struct vz_running *task = tasks->list; task; task = task->next)
        room++;
    *list = vz_arena_alloc(call->arena, room * sizeof **list);
    for (struct vz_running *task = tasks->list; task; task = task->next)
        if (chosen(choice, task))
            (*list)[count++] = task;
    return count;
}

static int64_t wait_ms(struct vz_call *call)
{
    struct vz_slice text;
    int64_t ms = DEFAULT_WAIT_MS;
    if (vz_call_param(call, "timeout", &text))
        vz_time_parse(text, &ms);
    return ms < 0 ? 24 * 3600 * 1000LL : ms;
}

/* Waits until what is chosen now has ended; false when the time was over first. */
static bool wait_chosen_locked(struct vz_call *call, const struct choice *choice)
{
    struct vz_tasks *tasks = call->rest->tasks;
    uint64_t until = vz_now_ns() + (uint64_t)wait_ms(call) * 1000000u, last = tasks->last_number;
    for (;;) {
        bool runs = false;
        for (struct vz_running *task = tasks->list; task && !runs; task = task->next)
            runs = task != call->task && task->number <= last && chosen(choice, task) &&
                   task->action != call->task->action;
        if (!runs)
            return true;
        if (!vz_tasks_wait_locked(tasks, until))
            return false;
    }
}

void vz_rest_tasks(struct vz_call *call)
{
    struct vz_tasks *tasks = call->rest->tasks;
    struct choice choice;
    struct vz_slice group_by;
    struct vz_running **list;
    bool waits = vz_call_bool(call, "wait_for_completion", false), in_time = true;
    if (!read_choice(call, &choice) || !check_group_by(call, &group_by) ||
        (waits && !vz_task_wait_enter(call)))
        return;
    vz_json_begin_object(&call->w);
    pthread_mutex_lock(&tasks->lock);
    if (waits)
        in_time = wait_chosen_locked(call, &choice);
    size_t count = collect_locked(call, &choice, &list);
    if (!in_time)
        print_node_failure(call, "timeout_exception",
                           VZ_SLICE("Timed out waiting for completion of tasks"));
    print_list_locked(call, list, count, vz_call_bool(call, "detailed", false), group_by);
    pthread_mutex_unlock(&tasks->lock);
    vz_json_end_object(&call->w);
    if (waits)
        vz_task_wait_leave(call);
}

/* ---- one task ------------------------------------------------------------------------------ */

static void print_one_locked(struct vz_call *call, uint64_t number)
{
    struct vz_tasks *tasks = call->rest->tasks;
    struct vz_running *task = vz_task_find_locked(tasks, number);
    struct vz_task_result *result = task ? NULL : vz_task_result_locked(tasks, number);
    if (result) {
        vz_buf_append_slice(&call->response->body, vz_buf_slice(&result->answer));
    } else if (task) {
        vz_json_begin_object(&call->w);
        vz_json_field_bool(&call->w, "completed", false);
        vz_json_key(&call->w, "task");
        vz_task_print_locked(tasks, task, true, &call->w);
        vz_json_end_object(&call->w);
    } else {
        vz_call_fail(call, 404, "resource_not_found_exception",
                     "task [%.*s] isn't running and hasn't stored its results",
                     VZ_S(call->args[0]));
    }
}

void vz_rest_task_get(struct vz_call *call)
{
    struct vz_tasks *tasks = call->rest->tasks;
    uint64_t number;
    bool waits = vz_call_bool(call, "wait_for_completion", false), in_time = true;
    if (!read_id(call, call->args[0], &number) || (waits && !vz_task_wait_enter(call)))
        return;
    uint64_t until = vz_now_ns() + (uint64_t)wait_ms(call) * 1000000u;
    pthread_mutex_lock(&tasks->lock);
    while (waits && in_time && number != call->task->number && vz_task_find_locked(tasks, number))
        in_time = vz_tasks_wait_locked(tasks, until);
    if (in_time)
        print_one_locked(call, number);
    pthread_mutex_unlock(&tasks->lock);
    if (!in_time)
        vz_call_fail(call, 429, "timeout_exception", "Timed out waiting for completion of task");
    if (waits)
        vz_task_wait_leave(call);
}

/* ---- cancelling ---------------------------------------------------------------------------- */

static bool not_cancellable(struct vz_call *call, struct vz_running *task)
{
    if (!task)
        print_node_failure(call, "resource_not_found_exception",
                           vz_call_format(call, "task [%.*s] is not found", VZ_S(call->args[0])));
    else
        print_node_failure(
            call, "illegal_argument_exception",
            vz_call_format(call, "task [%.*s] doesn't support cancellation", VZ_S(call->args[0])));
    return false;
}

/* The chosen ones that can be cancelled; false when one was named that cannot. */
static bool pick_cancelled_locked(struct vz_call *call, const struct choice *choice,
                                  uint64_t number, struct vz_running ***list, size_t *count)
{
    size_t kept = 0;
    if (call->args[0].len) {
        struct vz_running *task = number ? vz_task_find_locked(call->rest->tasks, number) : NULL;
        *count = 0;
        if (!task || !task->cancellable)
            return not_cancellable(call, task);
        *list = vz_arena_alloc(call->arena, sizeof **list);
        (*list)[(*count)++] = task;
        return true;
    }
    *count = collect_locked(call, choice, list);
    for (size_t i = 0; i < *count; i++)
        if ((*list)[i]->cancellable)
            (*list)[kept++] = (*list)[i];
    *count = kept;
    return true;
}

static void wait_ended_locked(struct vz_tasks *tasks, const uint64_t *numbers, size_t count)
{
    uint64_t until = vz_now_ns() + (uint64_t)DEFAULT_WAIT_MS * 1000000u;
    for (size_t i = 0; i < count; i++)
        while (vz_task_find_locked(tasks, numbers[i]))
            if (!vz_tasks_wait_locked(tasks, until))
                return;
}

void vz_rest_tasks_cancel(struct vz_call *call)
{
    struct vz_tasks *tasks = call->rest->tasks;
    struct choice choice;
    struct vz_slice group_by;
    struct vz_running **list = NULL;
    uint64_t number = 0;
    size_t count = 0;
    bool waits = vz_call_bool(call, "wait_for_completion", false);
    if (!read_choice(call, &choice) || !check_group_by(call, &group_by) ||
        (call->args[0].len && !read_id(call, call->args[0], &number)) ||
        (waits && !vz_task_wait_enter(call)))
        return;
    vz_json_begin_object(&call->w);
    pthread_mutex_lock(&tasks->lock);
    bool found = pick_cancelled_locked(call, &choice, number, &list, &count);
    uint64_t *numbers = vz_arena_alloc(call->arena, (count + 1) * sizeof *numbers);
    for (size_t i = 0; i < count; i++) {
        numbers[i] = list[i]->number;
        vz_task_cancel_locked(tasks, list[i]);
    }
    print_list_locked(call, list, found ? count : 0, true, group_by);
    if (waits)
        wait_ended_locked(tasks, numbers, count);
    pthread_mutex_unlock(&tasks->lock);
    vz_json_end_object(&call->w);
    if (waits)
        vz_task_wait_leave(call);
}

/* ---- rethrottling -------------------------------------------------------------------------- */

bool vz_call_per_second(struct vz_call *call, bool required, double *per_second)
{
    struct vz_slice text;
    char copy[64], *end;
    *per_second = 0;
    if (!vz_call_param(call, "requests_per_second", &text))
        return !required || vz_call_fail(call, 400, "illegal_argument_exception",
                                         "requests_per_second is a required parameter");
    if (vz_slice_is(text, "-1"))
        return true;
    size_t len = VZ_MIN(text.len, sizeof copy - 1);
    if (len)
        memcpy(copy, text.ptr, len);
    copy[len] = '\0';
    *per_second = strtod(copy, &end);
    bool plain = len && strspn(copy, "0123456789.eE+-") == len;
    if (plain && *end == '\0' && *per_second > 0 && isfinite(*per_second))
        return true;
    if (plain && *end == '\0' && *per_second == -1) {
        *per_second = 0;
        return true;
    }
    return vz_call_fail(call, 400, "illegal_argument_exception",
                        "[requests_per_second] must be a float greater than 0. Use -1 to disable "
                        "throttling.");
}

void vz_rest_rethrottle(struct vz_call *call)
{
    struct vz_tasks *tasks = call->rest->tasks;
    struct vz_slice group_by;
    uint64_t number;
    double per_second;
    if (!read_id(call, call->args[0], &number) || !check_group_by(call, &group_by) ||
        !vz_call_per_second(call, true, &per_second))
        return;
    vz_json_begin_object(&call->w);
    pthread_mutex_lock(&tasks->lock);
    struct vz_running *task = number ? vz_task_find_locked(tasks, number) : NULL;
    bool fits = task && task->cancellable && strstr(task->action, "indices:data/write/");
    if (!task)
        print_node_failure(call, "resource_not_found_exception",
                           vz_call_format(call, "task [%.*s] is missing", VZ_S(call->args[0])));
    else if (!fits)
        print_node_failure(call, "illegal_argument_exception",
                           vz_call_format(call, "task [%.*s] doesn't support this operation",
                                          VZ_S(call->args[0])));
    else
        vz_task_rethrottle_locked(tasks, task, per_second);
    print_list_locked(call, &task, fits ? 1 : 0, true, group_by);
    pthread_mutex_unlock(&tasks->lock);
    vz_json_end_object(&call->w);
}
