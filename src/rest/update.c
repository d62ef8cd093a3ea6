/* Updates by script: the document is read, the script changes it, and what comes of it is written
 * if the document is still what it was. The store merges partial documents by itself; scripts are
 * run here, because the store knows none. */
#include "rest/by_query.h"
#include "rest/semantic.h"

#include <stdlib.h>

/* A document may have a field of that name: what has the word is parsed. */
bool vz_update_has_script(struct vz_slice body)
{
    struct vz_json_doc *doc;
    struct vz_json root, script;
    if (!body.len || !memmem(body.ptr, body.len, "script\"", 7) ||
        vz_json_parse(body, &doc, &root, NULL) != VZ_OK)
        return false;
    bool has = vz_json_get(root, "script", &script);
    vz_json_free(doc);
    return has;
}

static bool fails(struct vz_call *call, const char *text)
{
    return vz_call_fail(call, 400, "action_request_validation_exception", "Validation Failed: %s",
                        text);
}

bool vz_update_check(struct vz_call *call, struct vz_json body, struct vz_json *returns)
{
    bool has_doc = false, has_script = false, truth;
    struct vz_json as_upsert;
    struct vz_json_iter it = vz_json_iterate(body);
    struct vz_slice key;
    struct vz_json value;
    while (vz_json_next(&it, &key, &value)) {
        bool is_flag = vz_slice_is(key, "doc_as_upsert") || vz_slice_is(key, "detect_noop") ||
                       vz_slice_is(key, "scripted_upsert");
        if (vz_slice_is(key, "doc"))
            has_doc = true;
        else if (vz_slice_is(key, "script"))
            has_script = true;
        else if (vz_slice_is(key, "_source"))
            *returns = value;
        else if (!is_flag && !vz_slice_is(key, "upsert"))
            return vz_call_fail(call, 400, "x_content_parse_exception",
                                "[UpdateRequest] unknown field [%.*s]", VZ_S(key));
        if (is_flag && !vz_json_as_bool(value, &truth))
            return vz_call_fail(call, 400, "x_content_parse_exception",
                                "[UpdateRequest] [%.*s] must be a boolean", VZ_S(key));
        if (vz_slice_is(key, "upsert") && vz_json_type(value) != VZ_JSON_OBJECT)
            return vz_call_fail(call, 400, "x_content_parse_exception",
                                "[UpdateRequest] upsert must be an object");
    }
    if (!has_doc && !has_script)
        return fails(call, "1: script or doc is missing;");
    if (has_doc && has_script)
        return fails(call, "1: can't provide both script and doc;");
    if (!has_doc && vz_json_get(body, "doc_as_upsert", &as_upsert) && vz_json_bool(as_upsert))
        return fails(call, "1: doc must be specified if doc_as_upsert is enabled;");
    return true;
}

/* ---- one update ------------------------------------------------------------------------------ */

static void missing(struct vz_arena *arena, struct vz_index *index, const struct vz_write *op,
                    struct vz_problem *problem)
{
    struct vz_error err = {.offset = VZ_NO_OFFSET};
    struct vz_slice none = {NULL, 0};
    vz_fail(&err, VZ_NOT_FOUND, "[%.*s]: document missing", VZ_S(op->id));
    err.offset = VZ_NO_OFFSET;
    vz_problem_from(arena, &err, VZ_AT_DOCUMENT, none, vz_index_name(index), vz_index_uuid(index),
                    problem);
}

static bool conflicting(struct vz_arena *arena, struct vz_index *index, const struct vz_write *op,
                        const struct vz_stored_doc *doc, bool found, struct vz_problem *problem)
{
    struct vz_error err = {.offset = VZ_NO_OFFSET};
    struct vz_slice none = {NULL, 0};
    if (!op->has_if_seq_no || (found && doc->seq_no == op->if_seq_no && op->if_primary_term == 1))
        return false;
    if (found)
        vz_fail(&err, VZ_CONFLICT,
                "[%.*s]: version conflict, required seqNo [%llu], primary term [%llu]. current "
                "document has seqNo [%llu] and primary term [1]",
                VZ_S(op->id), (unsigned long long)op->if_seq_no,
                (unsigned long long)op->if_primary_term, (unsigned long long)doc->seq_no);
    else
        vz_fail(&err, VZ_CONFLICT,
                "[%.*s]: version conflict, required seqNo [%llu], primary term [%llu]. but no "
                "document was found",
                VZ_S(op->id), (unsigned long long)op->if_seq_no,
                (unsigned long long)op->if_primary_term);
    err.offset = VZ_NO_OFFSET;
    vz_problem_from(arena, &err, VZ_AT_DOCUMENT, none, vz_index_name(index), vz_index_uuid(index),
                    problem);
    return true;
}

/* The script's failure is the update's, as Elasticsearch wraps it. */
static bool run_script(struct vz_ctx_script *script, enum vz_ctx_kind kind, struct vz_ctx_doc *doc,
                       struct vz_arena *arena, struct vz_problem *problem)
{
    if (vz_ctx_script_run(script, kind, doc, arena, problem))
        return true;
    problem->wrapped_in = "failed to execute script";
    return false;
}

static void leave_alone(struct vz_write *op, const struct vz_stored_doc *doc)
{
    op->status = VZ_OK;
    op->result = VZ_RESULT_NOOP;
    op->out_version = doc ? doc->version : 0;
    op->out_seq_no = doc ? doc->seq_no : 0;
}

static bool upsert(struct vz_json body, struct vz_ctx_script *script, struct vz_slice index_name,
                   struct vz_write *op, struct vz_arena *arena, bool *noop,
                   struct vz_problem *problem)
{
    struct vz_json value, scripted;
    struct vz_buf text = {0};
    bool has_upsert = vz_json_get(body, "upsert", &value);
    vz_json_get(body, "scripted_upsert", &scripted);
    if (has_upsert)
        vz_json_print(value, &text);
    else
        vz_buf_append_str(&text, "{}");
    op->source = vz_padded_copy(arena, vz_buf_slice(&text));
    vz_buf_deinit(&text);
    op->verb = VZ_WRITE_CREATE;
    op->has_if_seq_no = false;
    if (!vz_json_get(body, "scripted_upsert", &scripted) || !vz_json_bool(scripted))
        return true;
    struct vz_ctx_doc doc = {
        .index = index_name, .id = op->id, .version = -1, .source = op->source};
    if (!run_script(script, VZ_CTX_UPSERT, &doc, arena, problem))
        return false;
    op->source = doc.source;
    *noop = doc.op == VZ_CTX_NOOP;
    if (*noop)
        leave_alone(op, NULL);
    return true;
}

static bool change(struct vz_ctx_script *script, struct vz_slice index_name, struct vz_write *op,
                   const struct vz_stored_doc *stored, struct vz_arena *arena, bool *noop,
                   struct vz_problem *problem)
{
    struct vz_ctx_doc doc = {.index = index_name,
                             .id = op->id,
                             .version = (int64_t)stored->version,
                             .source = stored->source};
    if (!run_script(script, VZ_CTX_UPDATE, &doc, arena, problem))
        return false;
    *noop = doc.op == VZ_CTX_NOOP;
    if (*noop)
        leave_alone(op, stored);
    op->verb = doc.op == VZ_CTX_DELETE ? VZ_WRITE_DELETE : VZ_WRITE_INDEX;
    op->source = doc.source;
    op->has_if_seq_no = true;
    op->if_seq_no = stored->seq_no;
    op->if_primary_term = 1;
    return true;
}

static bool prepare(struct vz_call *call, struct vz_index *index, struct vz_slice index_name,
                    struct vz_json body, struct vz_write *op, struct vz_arena *arena, bool *noop,
                    struct vz_problem *problem)
{
    struct vz_json value = {0}, ignored;
    struct vz_stored_doc stored;
    struct vz_error err = {0};
    vz_json_get(body, "script", &value);
    struct vz_call here = *call; /* what is compiled dies with the caller's arena */
    here.arena = arena;
    struct vz_ctx_script *script = vz_ctx_script_new(&here, value, problem);
    if (!script) {
        if (problem->is_script)
            problem->wrapped_in = "failed to execute script";
        return false;
    }
    enum vz_status status = vz_index_get(index, op->id, VZ_DOC_SOURCE, arena, &stored, &err);
    if (status != VZ_OK && status != VZ_NOT_FOUND) {
        vz_problem_from(arena, &err, VZ_AT_DOCUMENT, op->source, vz_index_name(index),
                        vz_index_uuid(index), problem);
        return false;
    }
    bool scripted = vz_json_get(body, "scripted_upsert", &value) && vz_json_bool(value);
    if (status == VZ_NOT_FOUND && !scripted && !vz_json_get(body, "upsert", &ignored)) {
        missing(arena, index, op, problem);
        return false;
    }
    if (conflicting(arena, index, op, &stored, status == VZ_OK, problem))
        return false;
    return status == VZ_OK ? change(script, index_name, op, &stored, arena, noop, problem)
                           : upsert(body, script, index_name, op, arena, noop, problem);
}

bool vz_update_prepare(struct vz_call *call, struct vz_index *index, struct vz_slice index_name,
                       struct vz_write *op, struct vz_arena *arena, bool *noop,
                       struct vz_problem *problem)
{
    struct vz_json_doc *doc;
    struct vz_json body, returns;
    struct vz_error err = {.offset = VZ_NO_OFFSET};
    *noop = false;
    if (!vz_semantic_may_script(index, problem))
        return false;
    if (vz_json_parse(op->source, &doc, &body, &err) != VZ_OK) {
        vz_problem_from(arena, &err, VZ_AT_BODY, op->source, index_name, NULL, problem);
        return false;
    }
    struct vz_call checked = *call;
    checked.arena = arena;
    checked.problem = (struct vz_problem){0};
    bool ok = vz_json_type(body) == VZ_JSON_OBJECT
                  ? vz_update_check(&checked, body, &returns)
                  : vz_call_fail(&checked, 400, "parsing_exception",
                                 "an update request must be an object");
    if (!ok)
        *problem = checked.problem;
    else
        ok = prepare(call, index, index_name, body, op, arena, noop, problem);
    vz_json_free(doc);
    return ok;
}
