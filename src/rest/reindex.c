/* _reindex: documents of some indices, or of another server, into one. See by_query.h. */
#include "rest/by_query.h"

struct request {
    struct vz_json source, dest, script;
    struct vz_slice from; /* the source's index expression */
};

static bool validation(struct vz_call *call, const char *text)
{
    return vz_call_fail(call, 400, "action_request_validation_exception",
                        "Validation Failed: 1: %s;", text);
}

static bool unknown(struct vz_call *call, const char *where, struct vz_slice key)
{
    return vz_call_fail(call, 400, "x_content_parse_exception", "[%s] unknown field [%.*s]", where,
                        VZ_S(key));
}

static bool read_names(struct vz_call *call, struct vz_json value, struct vz_slice *out)
{
    struct vz_buf text = {0};
    struct vz_json item;
    struct vz_json_iter it = vz_json_iterate(value);
    bool ok = true;
    if (vz_json_type(value) == VZ_JSON_STRING) {
        *out = vz_json_string(value);
        return true;
    }
    ok = vz_json_type(value) == VZ_JSON_ARRAY;
    while (ok && vz_json_next(&it, NULL, &item)) {
        ok = vz_json_type(item) == VZ_JSON_STRING;
        vz_buf_printf(&text, "%s%.*s", text.len ? "," : "", VZ_S(vz_json_string(item)));
    }
    *out = vz_arena_copy(call->arena, vz_buf_slice(&text));
    vz_buf_deinit(&text);
    return ok || vz_call_fail(call, 400, "x_content_parse_exception",
                              "[source] index must be a string or a list of strings");
}

static bool read_size(struct vz_call *call, struct vz_sweep *sweep, struct vz_json value)
{
    int64_t size;
    if (!vz_json_as_int(value, &size)) {
        struct vz_slice text = vz_json_string(value);
        return vz_call_fail(call, 400, "number_format_exception", "For input string: \"%.*s\"",
                            VZ_S(text));
    }
    if (size < 1 || size > VZ_SWEEP_MAX_BATCH)
        return vz_call_fail(call, 400, "illegal_argument_exception",
                            "Batch size is too %s, size must be %s [%d] but was [%lld].",
                            size < 1 ? "small" : "large",
                            size < 1 ? "at least" : "less than or equal to:",
                            size < 1 ? 1 : VZ_SWEEP_MAX_BATCH, (long long)size);
    sweep->batch = (size_t)size;
    return true;
}

static bool read_choice(struct vz_call *call, struct vz_sweep *sweep, struct vz_json value)
{
    if (!vz_source_of_json(call->arena, value, &sweep->choice))
        return vz_call_fail(call, 400, "parsing_exception", "[_source] has an unknown form");
    if (sweep->choice.off)
        return validation(call, "_source:false is not supported in this context");
    sweep->has_choice = sweep->choice.includes.count || sweep->choice.excludes.count;
    return true;
}

static bool read_source(struct vz_call *call, struct vz_sweep *sweep, struct request *request,
                        struct vz_json *query)
{
    static const char *const barred[] = {"from",         "stored_fields", "fields",
                                         "search_after", "min_score",     "terminate_after"};
    struct vz_json_iter it = vz_json_iterate(request->source);
    struct vz_slice key;
    struct vz_json value;
    while (vz_json_next(&it, &key, &value)) {
        bool ok = true;
        if (vz_slice_is(key, "index"))
            ok = read_names(call, value, &request->from);
        else if (vz_slice_is(key, "query"))
            *query = value;
        else if (vz_slice_is(key, "size"))
            ok = read_size(call, sweep, value);
        else if (vz_slice_is(key, "_source"))
            ok = read_choice(call, sweep, value);
        else if (vz_slice_is(key, "slice"))
            ok = vz_sweep_slice(call, sweep, value);
        else if (vz_slice_is(key, "remote"))
            ok = (sweep->remote = vz_remote_read(call, value)) != NULL;
        else if (vz_slice_is(key, "sort") || vz_slice_is(key, "runtime_mappings"))
            ok = vz_call_unsupported(call, "[%.*s] in the source of [_reindex] is", VZ_S(key));
        else {
            for (size_t i = 0; i < VZ_COUNT_OF(barred); i++)
                if (vz_slice_is(key, barred[i]))
                    return validation(call, vz_arena_printf(call->arena,
                                                            "%s is not supported in this context",
                                                            barred[i]));
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

static bool read_dest_member(struct vz_call *call, struct vz_sweep *sweep, struct vz_slice key,
                             struct vz_json value)
{
    struct vz_slice text = vz_json_string(value);
    bool known = true;
    if (vz_slice_is(key, "index")) {
        sweep->dest = text;
    } else if (vz_slice_is(key, "op_type")) {
        sweep->creates = vz_slice_is(text, "create");
        known = sweep->creates || vz_slice_is(text, "index") ||
                vz_call_fail(call, 400, "illegal_argument_exception",
                             "opType must be 'create' or 'index', found: [%.*s]", VZ_S(text));
    } else if (vz_slice_is(key, "version_type")) {
        struct vz_write op = {0};
        sweep->is_external = vz_version_type(text, &op, &known);
        sweep->version_gte = op.version_gte;
        if (!known)
            vz_call_fail(call, 400, "illegal_argument_exception", "No version type match [%.*s]",
                         VZ_S(text));
    } else if (vz_slice_is(key, "pipeline")) {
        sweep->pipeline = text;
    } else if (vz_slice_is(key, "routing")) {
        /* One shard: wherever it leads, it leads there. */
        known = vz_slice_is(text, "keep") || vz_slice_is(text, "discard") ||
                vz_slice_starts(text, "=") ||
                vz_call_fail(call, 400, "action_request_validation_exception",
                             "Validation Failed: 1: routing must be unset, [keep], [discard] or "
                             "[=<some new value>] but was [%.*s];",
                             VZ_S(text));
    } else {
        return unknown(call, "dest", key);
    }
    return known;
}

static bool read_request(struct vz_call *call, struct vz_sweep *sweep, struct request *request)
{
    struct vz_json body, value;
    struct vz_slice key;
    if (call->doc) {
        vz_json_free(call->doc);
        call->doc = NULL;
    }
    if (!vz_call_body(call, VZ_AT_BODY, true, &body))
        return false;
    struct vz_json_iter it = vz_json_iterate(body);
    while (vz_json_next(&it, &key, &value)) {
        bool ok = true;
        if (vz_slice_is(key, "source"))
            request->source = value;
        else if (vz_slice_is(key, "dest"))
            request->dest = value;
        else if (vz_slice_is(key, "script"))
            request->script = value;
        else if (vz_slice_is(key, "max_docs") || vz_slice_is(key, "size"))
            ok = vz_sweep_max_docs(call, sweep, value);
        else if (vz_slice_is(key, "conflicts"))
            ok = vz_sweep_conflicts(call, sweep, vz_json_string(value));
        else
            ok = unknown(call, "reindex", key);
        if (!ok)
            return false;
    }
    it = vz_json_iterate(request->dest);
    while (vz_json_next(&it, &key, &value))
        if (!read_dest_member(call, sweep, key, value))
            return false;
    return true;
}

/* What is read must not be what is written. */
static bool check_apart(struct vz_call *call, const struct vz_sweep *sweep)
{
    struct vz_problem problem = {0};
    struct vz_index *dest =
        vz_resolve_write(call->store, call->arena, sweep->dest, false, false, &problem);
    bool apart = true;
    for (size_t i = 0; dest && i < sweep->resolved.count; i++)
        apart &= sweep->resolved.indices[i] != dest;
    if (dest)
        vz_index_release(dest);
    return apart || validation(call, vz_arena_printf(call->arena,
                                                     "reindex cannot write into an index its "
                                                     "reading from [%.*s]",
                                                     VZ_S(sweep->dest)));
}

static void ask_remote(struct vz_call *call, struct vz_sweep *sweep, struct vz_slice from,
                       struct vz_json query)
{
    struct vz_buf text = {0};
    vz_buf_append_str(&text, "{\"version\":true,\"sort\":[\"_doc\"],\"query\":");
    if (vz_json_type(query) == VZ_JSON_MISSING)
        vz_buf_append_str(&text, "{\"match_all\":{}}");
    else
        vz_json_print(query, &text);
    vz_buf_append_char(&text, '}');
    vz_remote_ask(sweep->remote, from, vz_arena_copy(call->arena, vz_buf_slice(&text)),
                  sweep->batch);
    vz_buf_deinit(&text);
}

static bool read_sweep(struct vz_call *call, struct vz_sweep *sweep, struct request *request)
{
    struct vz_json query = {0};
    *sweep = (struct vz_sweep){.call = call, .kind = VZ_SWEEP_REINDEX};
    *request = (struct request){.from = {NULL, 0}};
    if (!vz_sweep_params(call, sweep) || !read_request(call, sweep, request) ||
        !read_source(call, sweep, request, &query))
        return false;
    if (!request->from.len)
        return validation(call, "use _all if you really want to copy from all existing indexes");
    if (!sweep->dest.len)
        return validation(call, "index must be specified");
    if (sweep->creates && sweep->is_external)
        return validation(call, "create operations only support internal versioning. use index "
                                "instead");
    if (!vz_sweep_check(call, sweep))
        return false;
    if (vz_json_type(request->script) != VZ_JSON_MISSING) {
        sweep->script = vz_ctx_script_new(call, request->script, &call->problem);
        if (!sweep->script)
            return false;
    }
    if (sweep->remote) {
        ask_remote(call, sweep, request->from, query);
        return true;
    }
    struct vz_slice everything = {"", 0};
    bool all = vz_slice_is(request->from, "_all") || vz_slice_is(request->from, "*");
    return vz_sweep_query(call, sweep, query) &&
           vz_resolve(call, all ? everything : request->from, VZ_RESOLVE_ALIASES | VZ_RESOLVE_READ,
                      &sweep->resolved) &&
           check_apart(call, sweep);
}

static void work(struct vz_call *call)
{
    struct vz_sweep sweep;
    struct request request;
    if (read_sweep(call, &sweep, &request))
        vz_sweep_run(&sweep);
    if (sweep.remote)
        vz_remote_close(sweep.remote);
    vz_sweep_deinit(&sweep);
}

void vz_rest_reindex(struct vz_call *call)
{
    struct vz_sweep sweep;
    struct request request;
    struct vz_slice description = {"", 0};
    bool ok = read_sweep(call, &sweep, &request);
    if (ok) {
        struct vz_slice script = {"", 0};
        if (sweep.script)
            script = vz_ctx_script_describe(sweep.script, call->arena);
        description = vz_call_format(
            call, "reindex from %s[%.*s] to [%.*s]%s%.*s", sweep.remote ? "another server's " : "",
            VZ_S(request.from), VZ_S(sweep.dest), script.len ? " updated with " : "", VZ_S(script));
    }
    vz_sweep_deinit(&sweep);
    if (ok)
        vz_task_run(call, description, work);
}
