/* _delete_by_query and _update_by_query: see by_query.h for how they go over their matches. */
#include "rest/by_query.h"

/* What both may have in their bodies. *query is MISSING when there is none. */
static bool read_body(struct vz_call *call, struct vz_sweep *sweep, struct vz_json *query,
                      struct vz_json *script)
{
    static const char *const known[] = {"from",          "size",         "sort",
                                        "stored_fields", "fields",       "_source",
                                        "min_score",     "search_after", "terminate_after"};
    struct vz_json body, value;
    struct vz_slice key;
    if (call->doc) { /* the request was looked at before its work began */
        vz_json_free(call->doc);
        call->doc = NULL;
    }
    if (!vz_call_body(call, VZ_AT_BODY, false, &body))
        return false;
    struct vz_json_iter it = vz_json_iterate(body);
    while (vz_json_next(&it, &key, &value)) {
        bool ok = true;
        if (vz_slice_is(key, "query"))
            *query = value;
        else if (vz_slice_is(key, "max_docs"))
            ok = vz_sweep_max_docs(call, sweep, value);
        else if (vz_slice_is(key, "conflicts"))
            ok = vz_sweep_conflicts(call, sweep, vz_json_string(value));
        else if (vz_slice_is(key, "slice"))
            ok = vz_sweep_slice(call, sweep, value);
        else if (vz_slice_is(key, "script") && sweep->kind == VZ_SWEEP_UPDATE)
            *script = value;
        else {
            for (size_t i = 0; i < VZ_COUNT_OF(known); i++)
                if (vz_slice_is(key, known[i]))
                    return vz_call_fail(call, 400, "action_request_validation_exception",
                                        "Validation Failed: 1: %s is not supported in this "
                                        "context;",
                                        known[i]);
            ok = vz_call_fail(call, 400, "parsing_exception", "Unknown key for a %s in [%.*s].",
                              vz_json_type(value) == VZ_JSON_OBJECT  ? "START_OBJECT"
                              : vz_json_type(value) == VZ_JSON_ARRAY ? "START_ARRAY"
                                                                     : "VALUE_STRING",
                              VZ_S(key));
        }
        if (!ok)
            return false;
    }
    return true;
}

static bool read_sweep(struct vz_call *call, struct vz_sweep *sweep, enum vz_sweep_kind kind)
{
    struct vz_json query = {0}, script = {0};
    struct vz_slice q;
    *sweep = (struct vz_sweep){.call = call, .kind = kind};
    if (!vz_sweep_params(call, sweep) || !read_body(call, sweep, &query, &script) ||
        !vz_sweep_check(call, sweep))
        return false;
    if (kind == VZ_SWEEP_DELETE && vz_json_type(query) == VZ_JSON_MISSING &&
        !vz_call_param(call, "q", &q))
        return vz_call_fail(call, 400, "action_request_validation_exception",
                            "Validation Failed: 1: query is missing;");
    if (vz_json_type(script) != VZ_JSON_MISSING) {
        sweep->script = vz_ctx_script_new(call, script, &call->problem);
        if (!sweep->script)
            return false;
    }
    return vz_sweep_query(call, sweep, query) &&
           vz_resolve(call, call->args[0], VZ_RESOLVE_ALIASES | VZ_RESOLVE_READ, &sweep->resolved);
}

static void work(struct vz_call *call, enum vz_sweep_kind kind)
{
    struct vz_sweep sweep;
    if (read_sweep(call, &sweep, kind))
        vz_sweep_run(&sweep);
    vz_sweep_deinit(&sweep);
}

static void work_delete(struct vz_call *call)
{
    work(call, VZ_SWEEP_DELETE);
}

static void work_update(struct vz_call *call)
{
    work(call, VZ_SWEEP_UPDATE);
}

/* Everything is checked before the work begins, which may be behind the answer. */
static void start(struct vz_call *call, enum vz_sweep_kind kind)
{
    struct vz_sweep sweep;
    bool ok = read_sweep(call, &sweep, kind);
    bool deletes = kind == VZ_SWEEP_DELETE;
    struct vz_slice script = {"", 0};
    if (ok && sweep.script)
        script = vz_ctx_script_describe(sweep.script, call->arena);
    vz_sweep_deinit(&sweep);
    if (ok)
        vz_task_run(call,
                    vz_call_format(call, "%s-by-query [%.*s]%s%.*s", deletes ? "delete" : "update",
                                   VZ_S(call->args[0]), script.len ? " updated with " : "",
                                   VZ_S(script)),
                    deletes ? work_delete : work_update);
}

void vz_rest_delete_by_query(struct vz_call *call)
{
    start(call, VZ_SWEEP_DELETE);
}

void vz_rest_update_by_query(struct vz_call *call)
{
    start(call, VZ_SWEEP_UPDATE);
}
