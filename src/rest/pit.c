/* Points in time: indices as they were when one was opened, for any number of searches.
 *
 * A point in time pins a snapshot of each index and nothing else; searches in it run beside each
 * other. One lock guards the table and the counts of who is using what; a point that is closed or
 * past its keep-alive while a search runs goes when that search ends. At most MAX_OPEN are open;
 * expiry is looked at with every request.
 */
#include "rest/pit.h"

#include <stdlib.h>

#define MAX_OPEN 500
#define MAX_KEEP_ALIVE_MS (24 * 3600 * 1000LL)
#define ID_PREFIX "vizpit0001"

struct vz_pit {
    struct vz_pit *next;
    char id[33];
    /* Guarded by the table's lock. */
    unsigned users;
    bool doomed; /* no longer in the table */
    uint64_t expires_ns;
    /* Immutable. */
    struct vz_arena arena;
    struct vz_search_target *targets;
    size_t count;
};

struct vz_pits {
    pthread_mutex_t lock;
    struct vz_pit *list;
    unsigned count;
    _Atomic uint64_t next_expiry_ns; /* relaxed: a late look only delays */
};

/* ---- the table ------------------------------------------------------------------------------- */

struct vz_pits *vz_pits_new(void)
{
    struct vz_pits *pits = vz_calloc(1, sizeof *pits);
    pthread_mutex_init(&pits->lock, NULL);
    atomic_store_explicit(&pits->next_expiry_ns, UINT64_MAX, memory_order_relaxed);
    return pits;
}

static void free_pit(struct vz_pit *pit)
{
    for (size_t i = 0; i < pit->count; i++) {
        vz_snapshot_release(pit->targets[i].snap);
        vz_index_release(pit->targets[i].index);
    }
    vz_arena_deinit(&pit->arena);
    free(pit);
}

void vz_pits_free(struct vz_pits *pits)
{
    while (pits->list) {
        struct vz_pit *next = pits->list->next;
        free_pit(pits->list);
        pits->list = next;
    }
    pthread_mutex_destroy(&pits->lock);
    free(pits);
}

unsigned vz_pits_open(struct vz_pits *pits)
{
    pthread_mutex_lock(&pits->lock);
    unsigned count = pits->count;
    pthread_mutex_unlock(&pits->lock);
    return count;
}

static void free_chain(struct vz_pit *chain)
{
    while (chain) {
        struct vz_pit *next = chain->next;
        free_pit(chain);
        chain = next;
    }
}

/* Takes out what is due, or what has the id; returns those that nobody uses, for freeing outside
 * the lock. A used one goes with its last user. */
static struct vz_pit *take_locked(struct vz_pits *pits, uint64_t now_ns, struct vz_slice id,
                                  unsigned *picked)
{
    struct vz_pit *taken = NULL;
    uint64_t next = UINT64_MAX;
    for (struct vz_pit **link = &pits->list; *link;) {
        struct vz_pit *pit = *link;
        bool due = id.len ? vz_slice_is(id, pit->id) : pit->expires_ns <= now_ns && !pit->users;
        if (!due) {
            next = VZ_MIN(next, pit->expires_ns);
            link = &pit->next;
            continue;
        }
        (*picked)++;
        pits->count--;
        *link = pit->next;
        pit->next = NULL;
        pit->doomed = true;
        if (pit->users == 0) {
            pit->next = taken;
            taken = pit;
        }
    }
    atomic_store_explicit(&pits->next_expiry_ns, next, memory_order_relaxed);
    return taken;
}

void vz_pits_expire(struct vz_pits *pits, uint64_t now_ns)
{
    unsigned picked = 0;
    if (atomic_load_explicit(&pits->next_expiry_ns, memory_order_relaxed) > now_ns)
        return;
    pthread_mutex_lock(&pits->lock);
    struct vz_pit *due = take_locked(pits, now_ns, (struct vz_slice){0}, &picked);
    pthread_mutex_unlock(&pits->lock);
    free_chain(due);
}

static void touch_locked(struct vz_pits *pits, struct vz_pit *pit, int64_t keep_ms)
{
    uint64_t until_ns = vz_now_ns() + (uint64_t)keep_ms * 1000000u;
    pit->expires_ns = VZ_MAX(pit->expires_ns, until_ns);
    if (pit->expires_ns < atomic_load_explicit(&pits->next_expiry_ns, memory_order_relaxed))
        atomic_store_explicit(&pits->next_expiry_ns, pit->expires_ns, memory_order_relaxed);
}

/* ---- searching in one ------------------------------------------------------------------------ */

static bool fail(struct vz_arena *arena, struct vz_problem *problem, int status, const char *type,
                 const char *format, struct vz_slice text)
{
    *problem = (struct vz_problem){.status = status, .type = type};
    const char *colon = strstr(format, "%s");
    problem->reason = vz_slice_from(
        vz_arena_printf(arena, "%.*s%.*s%s", (int)(colon - format), format, VZ_S(text), colon + 2));
    return false;
}

static bool read_keep_alive(struct vz_arena *arena, struct vz_slice text, int64_t *keep_ms,
                            struct vz_problem *problem)
{
    if (!vz_time_parse(text, keep_ms) || *keep_ms <= 0)
        return fail(arena, problem, 400, "illegal_argument_exception",
                    "failed to parse setting [keep_alive] with value [%s] as a time value: unit is "
                    "missing or unrecognized",
                    text);
    if (*keep_ms > MAX_KEEP_ALIVE_MS)
        return fail(arena, problem, 400, "illegal_argument_exception",
                    "Keep alive for request (%s) is too large. It must be less than (1d). This "
                    "limit can be set by changing the [search.max_keep_alive] cluster level "
                    "setting.",
                    text);
    return true;
}

struct vz_pit *vz_pit_acquire(struct vz_pits *pits, const struct vz_search_pit *asked,
                              struct vz_arena *arena, struct vz_problem *problem)
{
    int64_t keep_ms = 0;
    if (asked->keep_alive.len && !read_keep_alive(arena, asked->keep_alive, &keep_ms, problem))
        return NULL;
    if (asked->id.len != 32 || !vz_slice_starts(asked->id, ID_PREFIX)) {
        fail(arena, problem, 400, "illegal_argument_exception", "invalid id: [%s]", asked->id);
        return NULL;
    }
    pthread_mutex_lock(&pits->lock);
    struct vz_pit *pit = pits->list;
    while (pit && !vz_slice_is(asked->id, pit->id))
        pit = pit->next;
    if (pit) {
        pit->users++;
        if (keep_ms)
            touch_locked(pits, pit, keep_ms);
    }
    pthread_mutex_unlock(&pits->lock);
    if (!pit)
        fail(arena, problem, 404, "search_context_missing_exception",
             "No search context found for id [%s]", asked->id);
    return pit;
}

void vz_pit_release(struct vz_pits *pits, struct vz_pit *pit)
{
    pthread_mutex_lock(&pits->lock);
    bool last = --pit->users == 0 && pit->doomed;
    pthread_mutex_unlock(&pits->lock);
    if (last)
        free_pit(pit);
}

struct vz_search_target *vz_pit_targets(const struct vz_pit *pit, struct vz_arena *arena,
                                        size_t *count)
{
    struct vz_search_target *targets = vz_arena_alloc(arena, (pit->count + 1) * sizeof *targets);
    if (pit->count)
        memcpy(targets, pit->targets, pit->count * sizeof *targets);
    *count = pit->count;
    return targets;
}

bool vz_pit_check(struct vz_call *call)
{
    static const char *const params[] = {"routing", "preference", "scroll"};
    static const char *const options[] = {"ignore_unavailable", "allow_no_indices",
                                          "expand_wildcards", "ignore_throttled"};
    struct vz_buf text = {0};
    struct vz_slice value;
    unsigned count = 0;
    if (call->args[0].len)
        vz_buf_printf(&text,
                      "%u: [indices] cannot be used with point in time. Do not specify any index "
                      "with point in time.;",
                      ++count);
    bool has_options = false;
    for (size_t i = 0; i < VZ_COUNT_OF(options); i++)
        has_options |= vz_call_param(call, options[i], &value);
    if (has_options)
        vz_buf_printf(&text, "%u: [indicesOptions] cannot be used with point in time;", ++count);
    for (size_t i = 0; i < VZ_COUNT_OF(params); i++)
        if (vz_call_param(call, params[i], &value))
            vz_buf_printf(&text,
                          i == 2 ? "%u: using [point in time] is not allowed in a scroll "
                                   "context;"
                                 : "%u: [%s] cannot be used with point in time;",
                          ++count, params[i]);
    if (count)
        vz_call_fail(call, 400, "action_request_validation_exception", "Validation Failed: %.*s",
                     (int)text.len, text.data);
    vz_buf_deinit(&text);
    return count == 0;
}

/* ---- opening and closing --------------------------------------------------------------------- */

static struct vz_pit *new_pit(const struct vz_resolved *resolved)
{
    struct vz_pit *pit = vz_calloc(1, sizeof *pit);
    strcpy(pit->id, ID_PREFIX);
    vz_new_uuid(pit->id + strlen(ID_PREFIX));
    pit->targets = vz_arena_zalloc(&pit->arena, (resolved->count + 1) * sizeof *pit->targets);
    for (size_t i = 0; i < resolved->count; i++)
        pit->targets[pit->count++] = (struct vz_search_target){
            .index = vz_index_acquire(resolved->indices[i]),
            .snap = vz_index_snapshot(resolved->indices[i]),
            .alias_filter = vz_arena_copy(&pit->arena, resolved->filters[i])};
    return pit;
}

static bool read_open(struct vz_call *call, int64_t *keep_ms)
{
    struct vz_json body, value;
    struct vz_json_iter it;
    struct vz_slice key, keep = vz_call_text(call, "keep_alive");
    bool no_index = call->args[0].len == 0;
    if (no_index || !keep.len) {
        const char *second = no_index && !keep.len ? "2" : "1";
        return vz_call_fail(call, 400, "action_request_validation_exception",
                            "Validation Failed: %s%s%s%s",
                            no_index ? "1: [index] is not specified;" : "", keep.len ? "" : second,
                            keep.len ? "" : ": [keep_alive] is not specified;", "");
    }
    if (!read_keep_alive(call->arena, keep, keep_ms, &call->problem) ||
        !vz_call_body(call, VZ_AT_BODY, false, &body))
        return false;
    it = vz_json_iterate(body);
    while (vz_json_next(&it, &key, &value)) {
        if (vz_slice_is(key, "index_filter"))
            return vz_call_unsupported(call, "[index_filter] is");
        return vz_call_fail(call, 400, "x_content_parse_exception",
                            "[open_point_in_time_request] unknown field [%.*s]", VZ_S(key));
    }
    return true;
}

void vz_rest_pit_open(struct vz_call *call)
{
    struct vz_pits *pits = call->rest->pits;
    struct vz_resolved resolved;
    int64_t keep_ms;
    if (!read_open(call, &keep_ms) ||
        !vz_resolve(call, call->args[0], VZ_RESOLVE_ALIASES | VZ_RESOLVE_SOME | VZ_RESOLVE_READ, &resolved))
        return;
    struct vz_pit *pit = new_pit(&resolved);
    char id[sizeof pit->id]; /* a short keep-alive may end it before the answer is written */
    memcpy(id, pit->id, sizeof id);
    pthread_mutex_lock(&pits->lock);
    bool full = pits->count >= MAX_OPEN;
    if (!full) {
        touch_locked(pits, pit, keep_ms);
        pit->next = pits->list;
        pits->list = pit;
        pits->count++;
    }
    pthread_mutex_unlock(&pits->lock);
    if (full) {
        free_pit(pit);
        vz_call_fail(call, 429, "es_rejected_execution_exception",
                     "Trying to create too many points in time. Must be less than or equal to: "
                     "[%d]; close some",
                     MAX_OPEN);
    } else {
        vz_json_begin_object(&call->w);
        vz_json_field_str(&call->w, "id", id);
        vz_call_shards(&call->w, (unsigned)resolved.count, (unsigned)resolved.count, true);
        vz_json_end_object(&call->w);
    }
    vz_resolved_release(&resolved);
}

void vz_rest_pit_close(struct vz_call *call)
{
    struct vz_pits *pits = call->rest->pits;
    struct vz_json body, value;
    struct vz_json_iter it;
    struct vz_slice key, id = {0};
    unsigned freed = 0;
    if (!vz_call_body(call, VZ_AT_BODY, true, &body))
        return;
    it = vz_json_iterate(body);
    while (vz_json_next(&it, &key, &value)) {
        if (!vz_slice_is(key, "id")) {
            vz_call_fail(call, 400, "x_content_parse_exception",
                         "[ClosePointInTimeRequest] unknown field [%.*s]", VZ_S(key));
            return;
        }
        id = vz_json_string(value);
    }
    if (!id.len) {
        vz_call_fail(call, 400, "action_request_validation_exception",
                     "Validation Failed: 1: [id] is empty;");
        return;
    }
    if (id.len != 32 || !vz_slice_starts(id, ID_PREFIX)) {
        vz_call_fail(call, 400, "illegal_argument_exception", "invalid id: [%.*s]", VZ_S(id));
        return;
    }
    pthread_mutex_lock(&pits->lock);
    struct vz_pit *taken = take_locked(pits, 0, id, &freed);
    pthread_mutex_unlock(&pits->lock);
    free_chain(taken);
    vz_json_begin_object(&call->w);
    vz_json_field_bool(&call->w, "succeeded", true);
    vz_json_field_int(&call->w, "num_freed", freed);
    vz_json_end_object(&call->w);
    if (freed == 0)
        call->response->status = 404;
}
