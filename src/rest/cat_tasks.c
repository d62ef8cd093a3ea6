/* The _cat table of requests that run. */
#include "rest/cat.h"
#include "rest/tasks_parts.h"

void vz_rest_cat_tasks(struct vz_call *call)
{
    static const struct vz_cat_column columns[] = {
        {"id", "", "id of the task with the node", true, false},
        {"action", "ac", "task action", false, false},
        {"task_id", "ti", "unique task id", false, false},
        {"parent_task_id", "pti", "parent task id", false, false},
        {"type", "ty", "task type", false, false},
        {"start_time", "start", "start time in ms", false, true},
        {"running_time_ns", "time", "running time ns", true, true},
        {"running_time", "", "running time", false, true},
        {"node_id", "ni", "unique node id", true, false},
        {"ip", "i", "ip address", false, false},
        {"node", "n", "node name", false, false},
    };
    struct vz_tasks *tasks = call->rest->tasks;
    const char *node = call->rest->node_id;
    struct vz_cat_table t;
    if (!vz_cat_begin(&t, call, columns, VZ_COUNT_OF(columns)))
        return;
    uint64_t now = vz_now_ns();
    vz_tasks_lock(tasks);
    for (const struct vz_running *task = tasks->list; task; task = task->next) {
        uint64_t ns = now > task->start_ns ? now - task->start_ns : 0;
        unsigned long long number = task->number, parent = task->parent;
        vz_cat_number(&t, number);
        vz_cat_str(&t, task->action);
        vz_cat_text(&t, vz_call_format(call, "%s:%llu", node, number));
        vz_cat_text(&t, parent ? vz_call_format(call, "%s:%llu", node, parent) : VZ_SLICE("-"));
        vz_cat_str(&t, parent ? "direct" : "transport");
        vz_cat_number(&t, (uint64_t)task->start_ms);
        vz_cat_number(&t, ns);
        vz_cat_text(&t, ns < 1000000 ? vz_call_format(call, "%.1fmicros", (double)ns / 1e3)
                                     : vz_call_format(call, "%.1fms", (double)ns / 1e6));
        vz_cat_str(&t, node);
        vz_cat_text(&t, vz_publish_ip(call));
        vz_cat_str(&t, call->rest->node_name);
    }
    vz_tasks_unlock(tasks);
    vz_cat_print(&t);
}
