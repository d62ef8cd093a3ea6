/* Whether anybody still wants what a request works out: a client that closes its connection cancels
 * its search, as in Elasticsearch, and so does _tasks/_cancel. Writes go on: who sends one and
 * leaves means it. */
#include "rest/tasks.h"

#include "base/clock.h"

/* A look at the socket is a system call of less than a microsecond. */
#define LOOK_EVERY_NS 10000000ull

static bool was_cancelled(void *call_void)
{
    const struct vz_call *call = call_void;
    return vz_task_cancelled(call->task);
}

static bool is_unwanted(void *call_void)
{
    struct vz_call *call = call_void;
    if (call->gone || was_cancelled(call))
        return true;
    uint64_t now_ns = vz_now_ns();
    if (now_ns < call->look_ns)
        return false;
    call->look_ns = now_ns + LOOK_EVERY_NS;
    call->gone = vz_http_gone(call->request);
    return call->gone;
}

void vz_call_watch(struct vz_call *call, bool connection, struct vz_search_params *params)
{
    struct vz_query_stop *stop = vz_arena_alloc(call->arena, sizeof *stop);
    *stop = (struct vz_query_stop){connection ? is_unwanted : was_cancelled, call};
    params->stop = stop;
}
