/* `_ingest/pipeline`: put, get, delete; the patterns of grok; what is kept over a restart. */
#include "rest/scripts.h"
#include "rest/ingest.h"

#include "base/log.h"
#include "rest/ml.h"

#include <stdlib.h>

#define MAX_PIPELINES 10000

/* ---- errors ---------------------------------------------------------------------------------- */

void vz_ingest_problem(struct vz_arena *arena, const struct vz_error *err, enum vz_ingest_kind kind,
                       struct vz_problem *p)
{
    struct vz_slice none = {NULL, 0};
    vz_problem_from(arena, err, VZ_AT_REQUEST, none, none, NULL, p);
    struct vz_slice text = vz_slice_from(vz_arena_strdup(arena, vz_slice_from(err->text)));
    switch (kind) {
    case VZ_INGEST_PLAIN:
        /* A model that is not there is the pipeline's mistake, not a missing resource. */
        if (err->status == VZ_NOT_FOUND || err->status == VZ_BAD_JSON)
            *p = (struct vz_problem){
                .status = 400, .type = "illegal_argument_exception", .reason = text};
        break;
    case VZ_INGEST_FAILED:
        *p = (struct vz_problem){.status = 500, .type = "fail_processor_exception", .reason = text};
        break;
    case VZ_INGEST_SCRIPT:
        *p = (struct vz_problem){.status = 400,
                                 .type = "script_exception",
                                 .reason = VZ_SLICE("runtime error"),
                                 .cause_type = "illegal_argument_exception",
                                 .cause_reason = text};
        break;
    case VZ_INGEST_GRAPH:
        *p =
            (struct vz_problem){.status = 400, .type = "graph_structure_exception", .reason = text};
        break;
    case VZ_INGEST_MISSING:
        *p = (struct vz_problem){
            .status = 404, .type = "resource_not_found_exception", .reason = text};
        break;
    case VZ_INGEST_STATE:
        *p = (struct vz_problem){.status = 500, .type = "illegal_state_exception", .reason = text};
        break;
    }
}

void vz_ingest_bad_pipeline(struct vz_call *call, const struct vz_error *err,
                            const struct vz_ingest_fault *fault)
{
    if (err->status != VZ_BAD_ARGUMENT && !fault->is_script) {
        vz_call_fail_error(call, err, VZ_AT_REQUEST);
    } else if (fault->is_script) {
        vz_call_fail(call, 400, "script_exception", "compile error");
        call->problem.cause_type = "illegal_argument_exception";
        call->problem.cause_reason = vz_call_format(call, "%s", err->text);
    } else {
        vz_call_fail(call, 400, "parse_exception", "%s", err->text);
    }
    struct vz_arena *arena = call->arena;
    if (fault->property[0])
        call->problem.property_name = vz_arena_strdup(arena, vz_slice_from(fault->property));
    if (fault->processor[0])
        call->problem.processor_type = vz_arena_strdup(arena, vz_slice_from(fault->processor));
    if (fault->tag[0])
        call->problem.processor_tag = vz_arena_strdup(arena, vz_slice_from(fault->tag));
}

/* ---- over a restart -------------------------------------------------------------------------- */

static bool stored_script(void *rest, struct vz_slice id, struct vz_arena *arena,
                          struct vz_slice *source, struct vz_slice *lang)
{
    return vz_script_stored(rest, id, arena, source, lang);
}

static void endpoint(void *context, struct vz_slice name, struct vz_arena *arena,
                     struct vz_slice *model)
{
    struct vz_slice task;
    vz_ml_endpoint(context, name, arena, model, &task);
}

static void restore_one(struct vz_rest *rest, struct vz_slice id)
{
    struct vz_buf text = {0};
    struct vz_json_doc *doc = NULL;
    struct vz_json root;
    struct vz_pipeline *pipeline;
    struct vz_error err = {0};
    if (vz_store_get_blob(rest->store, VZ_BLOB_PIPELINE, id, &text) &&
        vz_json_parse(vz_buf_slice(&text), &doc, &root, &err) == VZ_OK &&
        vz_pipeline_compile(rest->ingest, id, root, &pipeline, NULL, &err) == VZ_OK)
        vz_ingest_put(rest->ingest, pipeline);
    else
        vz_log(VZ_LOG_WARN, "rest", "the pipeline [%.*s] cannot be used: %s", VZ_S(id), err.text);
    vz_json_free(doc);
    vz_buf_deinit(&text);
}

void vz_ingest_restore(struct vz_rest *rest)
{
    struct vz_arena arena = {0};
    struct vz_slice *names;
    rest->ingest = vz_ingest_new(&(struct vz_ingest_options){
        .infer = rest->infer, .endpoint = rest->infer ? endpoint : NULL,
        .stored_script = stored_script, .context = rest});
    size_t count = vz_store_blob_names(rest->store, VZ_BLOB_PIPELINE, &arena, &names);
    for (size_t i = 0; i < count; i++)
        restore_one(rest, names[i]);
    vz_arena_deinit(&arena);
}

void vz_ingest_stop(struct vz_rest *rest)
{
    vz_pool_free(rest->ingest_pool);
    vz_ingest_free(rest->ingest);
}

void vz_ingest_settings(struct vz_index *index, struct vz_arena *arena,
                        struct vz_slice *default_name, struct vz_slice *final_name)
{
    struct vz_buf text = {0};
    struct vz_json_doc *doc;
    struct vz_json root, settings, value;
    *default_name = *final_name = (struct vz_slice){NULL, 0};
    vz_index_print_settings(index, &text);
    if (vz_json_parse(vz_buf_slice(&text), &doc, &root, NULL) == VZ_OK) {
        if (vz_json_get(root, "index", &settings)) {
            if (vz_json_get(settings, "default_pipeline", &value))
                *default_name = vz_arena_copy(arena, vz_json_string(value));
            if (vz_json_get(settings, "final_pipeline", &value))
                *final_name = vz_arena_copy(arena, vz_json_string(value));
        }
        vz_json_free(doc);
    }
    vz_buf_deinit(&text);
}

/* ---- put ------------------------------------------------------------------------------------- */

static bool check_version(struct vz_call *call, struct vz_slice id)
{
    struct vz_slice wanted;
    if (!vz_call_param(call, "if_version", &wanted))
        return true;
    int64_t want = vz_call_int(call, "if_version", 0), version = 0;
    struct vz_pipeline *old = vz_ingest_get(call->rest->ingest, id);
    bool has = old && vz_pipeline_version(old, &version);
    if (!old)
        vz_call_fail(call, 400, "illegal_argument_exception",
                     "version conflict, required version [%lld] for pipeline [%.*s] but no "
                     "pipeline was found",
                     (long long)want, VZ_S(id));
    else if (!has || version != want)
        vz_call_fail(call, 400, "illegal_argument_exception",
                     "version conflict, required version [%lld] for pipeline [%.*s] while current "
                     "version is [%lld]",
                     (long long)want, VZ_S(id), (long long)version);
    vz_pipeline_release(old);
    return call->problem.status == 0;
}

void vz_rest_ingest_put(struct vz_call *call)
{
    struct vz_json body;
    struct vz_pipeline *pipeline, **all;
    struct vz_ingest_fault fault;
    struct vz_error err = {0};
    struct vz_slice id = call->args[0];
    struct vz_ingest *ingest = call->rest->ingest;
    if (id.len > 255 || id.len == 0 || id.ptr[0] == '_') {
        vz_call_fail(call, 400, "illegal_argument_exception",
                     "a pipeline's id must have 1 to 255 bytes and not begin with [_], but is "
                     "[%.*s]",
                     VZ_S(id));
        return;
    }
    if (!vz_call_body(call, VZ_AT_MAP_BODY, true, &body) || !check_version(call, id))
        return;
    if (vz_pipeline_compile(ingest, id, body, &pipeline, &fault, &err) != VZ_OK) {
        vz_ingest_bad_pipeline(call, &err, &fault);
        return;
    }
    size_t count = vz_ingest_list(ingest, call->arena, &all);
    for (size_t i = 0; i < count; i++)
        vz_pipeline_release(all[i]);
    if (count >= MAX_PIPELINES) {
        vz_call_fail(call, 400, "illegal_argument_exception", "there are [%zu] pipelines already",
                     count);
        vz_pipeline_release(pipeline);
        return;
    }
    /* Kept first: what runs is never what a restart forgets. */
    if (vz_store_put_blob(call->store, VZ_BLOB_PIPELINE, id, vz_pipeline_source(pipeline), &err) !=
        VZ_OK) {
        vz_call_fail_error(call, &err, VZ_AT_REQUEST);
        vz_pipeline_release(pipeline);
        return;
    }
    vz_ingest_put(ingest, pipeline);
    vz_call_acknowledge(call);
}

/* ---- get, delete ----------------------------------------------------------------------------- */

static bool wanted(const struct vz_slice *patterns, size_t count, struct vz_slice id, bool *literal)
{
    for (size_t i = 0; i < count; i++) {
        if (vz_slice_is(patterns[i], "_all") || vz_wildcard_match(patterns[i], id)) {
            *literal |= vz_slice_eq(patterns[i], id);
            return true;
        }
    }
    return count == 0;
}

void vz_rest_ingest_get(struct vz_call *call)
{
    struct vz_pipeline **all;
    struct vz_slice *patterns;
    bool summary = vz_call_bool(call, "summary", false), literal = false, any = false;
    bool wildcard = call->args[0].len == 0;
    size_t wants = vz_split(call->arena, call->args[0], &patterns);
    size_t count = vz_ingest_list(call->rest->ingest, call->arena, &all);
    struct vz_json_writer *w = &call->w;
    for (size_t i = 0; i < wants; i++)
        wildcard |=
            memchr(patterns[i].ptr, '*', patterns[i].len) || vz_slice_is(patterns[i], "_all");
    vz_json_begin_object(w);
    for (size_t i = 0; i < count; i++) {
        if (wanted(patterns, wants, vz_pipeline_id(all[i]), &literal)) {
            any = true;
            vz_json_key_slice(w, vz_pipeline_id(all[i]));
            if (summary) {
                struct vz_slice description = vz_pipeline_description(all[i]);
                vz_json_begin_object(w);
                if (description.ptr)
                    vz_json_field_string(w, "description", description);
                vz_json_end_object(w);
            } else {
                vz_json_put_raw(w, vz_pipeline_source(all[i]));
            }
        }
        vz_pipeline_release(all[i]);
    }
    vz_json_end_object(w);
    if (!any && !wildcard)
        call->response->status = 404;
}

/* Elasticsearch keeps pipelines that an index names. */
static bool in_use(struct vz_call *call, struct vz_slice id)
{
    static const char *const words[] = {"default pipeline", "final pipeline"};
    struct vz_slice *names, used[2];
    size_t count = vz_store_names(call->store, call->arena, &names), users[2] = {0};
    struct vz_buf lists[2] = {0};
    for (size_t i = 0; i < count; i++) {
        struct vz_index *index = vz_store_index(call->store, names[i]);
        if (!index)
            continue;
        vz_ingest_settings(index, call->arena, &used[0], &used[1]);
        for (size_t s = 0; s < 2; s++)
            if (vz_slice_eq(used[s], id) && users[s]++ < 3)
                vz_buf_printf(&lists[s], "%s%.*s", lists[s].len ? "," : "", VZ_S(names[i]));
        vz_index_release(index);
    }
    for (size_t s = 0; s < 2; s++) {
        if (users[s])
            vz_call_fail(call, 400, "illegal_argument_exception",
                         "pipeline [%.*s] cannot be deleted because it is the %s for %zu "
                         "index(es) including [%s]",
                         VZ_S(id), words[s], users[s], lists[s].data);
        vz_buf_deinit(&lists[s]);
    }
    return call->problem.status != 0;
}

void vz_rest_ingest_delete(struct vz_call *call)
{
    struct vz_pipeline **all;
    struct vz_slice *patterns;
    struct vz_error err = {0};
    bool literal = false, any = false;
    size_t wants = vz_split(call->arena, call->args[0], &patterns);
    size_t count = vz_ingest_list(call->rest->ingest, call->arena, &all);
    for (size_t i = 0; i < count; i++) {
        struct vz_slice id = vz_pipeline_id(all[i]);
        if (!call->problem.status && wanted(patterns, wants, id, &literal) && !in_use(call, id)) {
            any = true;
            if (vz_store_delete_blob(call->store, VZ_BLOB_PIPELINE, id, &err) != VZ_OK &&
                err.status != VZ_NOT_FOUND)
                vz_call_fail_error(call, &err, VZ_AT_REQUEST);
            else
                vz_ingest_remove(call->rest->ingest, id);
        }
        vz_pipeline_release(all[i]);
    }
    if (call->problem.status)
        return;
    if (!any && !vz_slice_is(call->args[0], "*") && !vz_slice_is(call->args[0], "_all"))
        vz_call_fail(call, 404, "resource_not_found_exception", "pipeline [%.*s] is missing",
                     VZ_S(call->args[0]));
    else
        vz_call_acknowledge(call);
}

void vz_rest_ingest_grok(struct vz_call *call)
{
    struct vz_slice ecs = vz_call_text(call, "ecs_compatibility");
    bool v1 = vz_slice_is(ecs, "v1");
    if (ecs.len && !v1 && !vz_slice_is(ecs, "disabled")) {
        vz_call_fail(call, 400, "illegal_argument_exception",
                     "unsupported ECS compatibility mode "
                     "[%.*s]",
                     VZ_S(ecs));
        return;
    }
    vz_json_begin_object(&call->w);
    vz_json_key(&call->w, "patterns");
    vz_ingest_grok_print(vz_call_bool(call, "s", false), v1, &call->w);
    vz_json_end_object(&call->w);
}
