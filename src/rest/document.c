/* Single documents: index, create, get, source, delete, update, mget. */
#include "rest/by_query.h"
#include "rest/semantic.h"

#include <stdlib.h>

/* ---- writing ------------------------------------------------------------------------------- */

static bool check_id(struct vz_call *call, struct vz_slice id)
{
    if (id.len > 512)
        return vz_call_fail(call, 400, "action_request_validation_exception",
                            "Validation Failed: 1: id [%.*s] is too long, must be no longer than "
                            "512 bytes but was: %zu;",
                            VZ_S(id), id.len);
    return true;
}

bool vz_version_type(struct vz_slice type, struct vz_write *op, bool *known)
{
    *known = true;
    if (vz_slice_is(type, "external") || vz_slice_is(type, "external_gt"))
        return true;
    if (vz_slice_is(type, "external_gte")) {
        op->version_gte = true;
        return true;
    }
    *known = vz_slice_is(type, "internal");
    return false;
}

/* version, version_type, if_seq_no, if_primary_term of the URL. */
static bool read_versions(struct vz_call *call, struct vz_write *op)
{
    struct vz_slice value;
    int64_t version = vz_call_int(call, "version", -3);
    bool known = true;
    bool external = vz_version_type(
        vz_call_param(call, "version_type", &value) ? value : VZ_SLICE("internal"), op, &known);
    if (!known)
        return vz_call_fail(call, 400, "illegal_argument_exception", "No version type match [%.*s]",
                            VZ_S(value));
    if (version != -3 && !external)
        return vz_call_fail(call, 400, "action_request_validation_exception",
                            "Validation Failed: 1: internal versioning can not be used for "
                            "optimistic concurrency control. Please use `if_seq_no` and "
                            "`if_primary_term` instead;");
    if (external && version < 0)
        return vz_call_fail(call, 400, "action_request_validation_exception",
                            "Validation Failed: 1: illegal version value [%lld] for version type "
                            "[%s];",
                            (long long)version, op->version_gte ? "EXTERNAL_GTE" : "EXTERNAL");
    if (external) {
        op->has_version = true;
        op->version = (uint64_t)version;
    }
    int64_t seq_no = vz_call_int(call, "if_seq_no", -2);
    int64_t term = vz_call_int(call, "if_primary_term", 0);
    if ((seq_no >= 0) != (term > 0))
        return vz_call_fail(call, 400, "action_request_validation_exception",
                            seq_no >= 0
                                ? "Validation Failed: 1: ifSeqNo is set, but primary term is [0];"
                                : "Validation Failed: 1: ifSeqNo is unassigned, but primary term "
                                  "is [%lld];",
                            (long long)term);
    if (seq_no >= 0) {
        op->has_if_seq_no = true;
        op->if_seq_no = (uint64_t)seq_no;
        op->if_primary_term = (uint64_t)term;
    }
    return true;
}

static void print_result(struct vz_call *call, struct vz_index *index, const struct vz_write *op,
                         enum vz_refresh refresh)
{
    const char *word;
    call->response->status = vz_write_status(op->result, &word);
    struct vz_json_writer *w = &call->w;
    vz_json_field_string(w, "_index", vz_index_name(index));
    vz_json_field_string(w, "_id", op->id);
    vz_json_key(w, "_version");
    vz_json_put_uint(w, op->out_version);
    vz_json_field_str(w, "result", word);
    if (refresh == VZ_REFRESH_TRUE && op->result != VZ_RESULT_NOOP)
        vz_json_field_bool(w, "forced_refresh", true);
    if (op->result == VZ_RESULT_NOOP)
        vz_call_shards(w, 0, 0, false);
    else
        vz_call_shards(w, 1 + vz_index_replicas(index), 1, false);
    vz_json_key(w, "_seq_no");
    vz_json_put_uint(w, op->out_seq_no);
    vz_json_field_int(w, "_primary_term", 1);
}

/* Does one write and prints the members of its answer; the braces are the caller's. */
static bool write_one(struct vz_call *call, struct vz_index *index, struct vz_write *op,
                      const uint64_t *semantics)
{
    struct vz_error err = {0};
    struct vz_write_options options = {.arena = call->arena, .semantics = semantics};
    if (!vz_call_refresh(call, &options.refresh))
        return false;
    if (vz_index_write(index, op, 1, &options, &err) != VZ_OK)
        return vz_call_fail_index(call, &err, VZ_AT_REQUEST, index);
    if (op->status != VZ_OK)
        return vz_call_fail_index(call, &op->error, VZ_AT_DOCUMENT, index);
    print_result(call, index, op, options.refresh);
    return true;
}

static struct vz_index *index_to_write(struct vz_call *call, bool create)
{
    return vz_resolve_write(call->store, call->arena, call->args[0], create,
                            vz_call_bool(call, "require_alias", false), &call->problem);
}

/* A pipeline dropped the document: not written, and that is no error. */
static void print_dropped(struct vz_call *call, const struct vz_ingest_item *item)
{
    struct vz_json_writer *w = &call->w;
    vz_json_field_string(w, "_index", item->index);
    vz_json_field_string(w, "_id", item->id.len ? item->id : VZ_SLICE("auto-generated"));
    vz_json_field_int(w, "_version", -3);
    vz_json_field_str(w, "result", "noop");
    vz_call_shards(w, 0, 0, false);
    vz_json_field_int(w, "_seq_no", -2);
    vz_json_field_int(w, "_primary_term", 0);
}

/* Pipelines and models, see rest/ingest.h: changes *op and item->index. False with a problem. *work
 * holds the new texts. */
static bool ingest_one(struct vz_call *call, struct vz_write *op, struct vz_ingest_item *item,
                       struct vz_ingest_work **work)
{
    struct vz_slice name;
    *item = (struct vz_ingest_item){
        .index = call->args[0],
        .id = op->id,
        .routing = vz_call_text(call, "routing"),
        .source = op->source,
        .pipeline = vz_call_param(call, "pipeline", &name) ? name : (struct vz_slice){NULL, 0},
        .verb = (uint8_t)op->verb,
        .require_alias = vz_call_bool(call, "require_alias", false)};
    *work = vz_ingest_work_new(call);
    if (!vz_ingest_work_needs(*work, item))
        return true;
    vz_ingest_work_run(*work, item, 1);
    op->source = item->source;
    op->id = item->id;
    if (item->problem)
        call->problem = *item->problem;
    return !item->problem;
}

/* A problem's texts may live in the work: the call's arena outlives it. */
static void end_ingest(struct vz_call *call, struct vz_ingest_work *work)
{
    struct vz_problem *p = &call->problem;
    if (p->status) {
        p->reason = vz_arena_copy(call->arena, p->reason);
        p->cause_reason = vz_arena_copy(call->arena, p->cause_reason);
    }
    vz_ingest_work_free(work);
}

static bool read_op_type(struct vz_call *call, struct vz_write *op)
{
    struct vz_slice type;
    op->verb = VZ_WRITE_INDEX;
    if (strstr(call->route->path, "/_create/")) {
        op->verb = VZ_WRITE_CREATE;
    } else if (vz_call_param(call, "op_type", &type)) {
        if (vz_slice_is(type, "create"))
            op->verb = VZ_WRITE_CREATE;
        else if (!vz_slice_is(type, "index"))
            return vz_call_fail(call, 400, "illegal_argument_exception",
                                "opType must be 'create' or 'index', found: [%.*s]", VZ_S(type));
    }
    return true;
}

static void put_one(struct vz_call *call, struct vz_ingest_work *work, struct vz_ingest_item *item,
                    struct vz_write *op)
{
    struct vz_index *index = vz_resolve_write(call->store, call->arena, item->index, true,
                                              item->require_alias, &call->problem);
    if (!index)
        return;
    if (check_id(call, op->id) && !vz_ingest_remember(call, index, item))
        call->problem = *item->problem;
    else if (!call->problem.status)
        write_one(call, index, op,
                  vz_ingest_work_semantics(work, item->index, item->require_alias));
    vz_index_release(index);
}

void vz_rest_doc_put(struct vz_call *call)
{
    struct vz_write op = {.id = call->args[1], .source = call->request->body};
    enum vz_refresh refresh;
    if (!check_id(call, op.id) || !read_op_type(call, &op) || !read_versions(call, &op) ||
        !vz_call_refresh(call, &refresh))
        return;
    if (call->request->body.len == 0) {
        vz_call_fail(call, 400, "parse_exception", "request body is required");
        return;
    }
    if (op.verb == VZ_WRITE_CREATE && op.has_version) {
        vz_call_fail(call, 400, "action_request_validation_exception",
                     "Validation Failed: 1: create operations only support internal versioning. "
                     "use index instead;");
        return;
    }
    if (op.id.len == 0 && (op.has_version || op.has_if_seq_no)) {
        vz_call_fail(call, 400, "action_request_validation_exception",
                     "Validation Failed: 1: an id must be provided if version type or value are "
                     "set;");
        return;
    }
    struct vz_ingest_item item;
    struct vz_ingest_work *work;
    bool ok = ingest_one(call, &op, &item, &work);
    vz_json_begin_object(&call->w);
    if (ok && item.dropped)
        print_dropped(call, &item);
    else if (ok)
        put_one(call, work, &item, &op);
    vz_json_end_object(&call->w);
    end_ingest(call, work);
}

void vz_rest_doc_delete(struct vz_call *call)
{
    struct vz_write op = {.verb = VZ_WRITE_DELETE, .id = call->args[1]};
    if (!check_id(call, op.id) || !read_versions(call, &op))
        return;
    /* An external version makes Elasticsearch create the index even for a delete. */
    struct vz_index *index = index_to_write(call, op.has_version);
    if (!index)
        return;
    vz_json_begin_object(&call->w);
    write_one(call, index, &op, NULL);
    vz_json_end_object(&call->w);
    vz_index_release(index);
}

static void print_got_members(struct vz_call *call, const struct vz_stored_doc *doc,
                              const struct vz_source_choice *choice)
{
    struct vz_json_writer *w = &call->w;
    vz_json_key(w, "_seq_no");
    vz_json_put_uint(w, doc->seq_no);
    vz_json_field_int(w, "_primary_term", 1);
    vz_json_field_bool(w, "found", true);
    if (!choice->off) {
        vz_json_key(w, "_source");
        vz_source_print(choice, doc->source, w);
    }
}

/* Reads, runs the script, writes; again when another write came between, as often as asked for. */
static bool update_by_script(struct vz_call *call, struct vz_index *index,
                             const struct vz_write *op)
{
    struct vz_write_options options = {.arena = call->arena, .semantics = &vz_semantic_none};
    unsigned left = op->has_if_seq_no ? 0 : op->retry_on_conflict;
    if (!vz_call_refresh(call, &options.refresh))
        return false;
    for (;; left--) {
        struct vz_write attempt = *op;
        struct vz_error err = {0};
        bool noop;
        if (!vz_update_prepare(call, index, call->args[0], &attempt, call->arena, &noop,
                               &call->problem))
            return false;
        if (!noop && vz_index_write(index, &attempt, 1, &options, &err) != VZ_OK)
            return vz_call_fail_index(call, &err, VZ_AT_REQUEST, index);
        if (attempt.status == VZ_CONFLICT && left)
            continue;
        if (attempt.status != VZ_OK)
            return vz_call_fail_index(call, &attempt.error, VZ_AT_DOCUMENT, index);
        print_result(call, index, &attempt, options.refresh);
        return true;
    }
}

static bool update_one(struct vz_call *call, struct vz_index *index, struct vz_write *op,
                       const uint64_t *semantics)
{
    return vz_update_has_script(op->source) ? update_by_script(call, index, op)
                                            : write_one(call, index, op, semantics);
}

void vz_rest_doc_update(struct vz_call *call)
{
    struct vz_write op = {.verb = VZ_WRITE_UPDATE,
                          .id = call->args[1],
                          .source = call->request->body,
                          .retry_on_conflict =
                              (unsigned)VZ_MAX(0, vz_call_int(call, "retry_on_conflict", 0))};
    struct vz_json body, source = {0}, upsert;
    struct vz_source_choice choice;
    struct vz_slice value;
    if (!check_id(call, op.id) || !read_versions(call, &op) ||
        !vz_call_body(call, VZ_AT_BODY, true, &body) || !vz_update_check(call, body, &source))
        return;
    bool wants_source = vz_json_type(source) != VZ_JSON_MISSING ||
                        vz_call_param(call, "_source", &value) ||
                        vz_call_param(call, "_source_includes", &value) ||
                        vz_call_param(call, "_source_excludes", &value);
    if (vz_json_type(source) != VZ_JSON_MISSING) {
        if (!vz_source_of_json(call->arena, source, &choice)) {
            vz_call_fail(call, 400, "parsing_exception", "[_source] has an unknown form");
            return;
        }
    } else {
        vz_source_of_params(call, &choice);
    }
    bool creates = vz_json_get(body, "upsert", &upsert) ||
                   vz_json_get(body, "doc_as_upsert", &upsert) ||
                   vz_json_get(body, "scripted_upsert", &upsert);
    struct vz_ingest_item item;
    struct vz_ingest_work *work;
    struct vz_index *index = NULL;
    if (ingest_one(call, &op, &item, &work) && !item.dropped)
        index = index_to_write(call, creates);
    vz_json_begin_object(&call->w);
    struct vz_stored_doc stored;
    if (index && !vz_ingest_remember(call, index, &item))
        call->problem = *item.problem;
    if (item.dropped)
        print_dropped(call, &item);
    else if (index && !call->problem.status &&
             update_one(call, index, &op,
                        vz_ingest_work_semantics(work, item.index, item.require_alias)) &&
             wants_source && !choice.off &&
             vz_index_get(index, op.id, VZ_DOC_SOURCE, call->arena, &stored, NULL) == VZ_OK) {
        vz_json_key(&call->w, "get");
        vz_json_begin_object(&call->w);
        print_got_members(call, &stored, &choice);
        vz_json_end_object(&call->w);
    }
    vz_json_end_object(&call->w);
    if (index)
        vz_index_release(index);
    end_ingest(call, work);
}

/* ---- reading ------------------------------------------------------------------------------- */

static bool check_read_version(struct vz_call *call, struct vz_index *index,
                               const struct vz_stored_doc *doc)
{
    int64_t version = vz_call_int(call, "version", -3);
    struct vz_slice type = vz_call_text(call, "version_type");
    if (version == -3)
        return true;
    bool ok = vz_slice_is(type, "external_gte") ? doc->version <= (uint64_t)version
                                                : doc->version == (uint64_t)version;
    if (ok)
        return true;
    struct vz_error err = {0};
    vz_fail(&err, VZ_CONFLICT,
            "[%.*s]: version conflict, current version [%llu] is different than the one provided "
            "[%lld]",
            VZ_S(doc->id), (unsigned long long)doc->version, (long long)version);
    return vz_call_fail_index(call, &err, VZ_AT_DOCUMENT, index);
}

/* By id: real-time, or (realtime=false) as searches see it. */
static enum vz_status get_doc(struct vz_call *call, struct vz_index *index, struct vz_slice id,
                              enum vz_doc_parts parts, struct vz_arena *arena,
                              struct vz_stored_doc *doc, struct vz_error *err)
{
    if (vz_call_bool(call, "realtime", true))
        return vz_index_get(index, id, parts, arena, doc, err);
    uint32_t docno;
    struct vz_snapshot *snap = vz_index_snapshot(index);
    enum vz_status status = vz_snapshot_find(snap, id, &docno, err);
    if (status == VZ_OK)
        status = vz_snapshot_doc(snap, docno, parts, arena, doc, err);
    vz_snapshot_release(snap);
    return status;
}

/* The document of the path, or nothing: *found tells which. False with a problem. */
static bool read_doc(struct vz_call *call, struct vz_index *index, enum vz_doc_parts parts,
                     struct vz_stored_doc *doc, bool *found)
{
    struct vz_error err = {0};
    enum vz_refresh refresh;
    if (!vz_call_refresh(call, &refresh))
        return false;
    if (refresh != VZ_REFRESH_NONE && vz_index_refresh(index, &err) != VZ_OK)
        return vz_call_fail_index(call, &err, VZ_AT_REQUEST, index);
    enum vz_status status = get_doc(call, index, call->args[1], parts, call->arena, doc, &err);
    if (status != VZ_OK && status != VZ_NOT_FOUND)
        return vz_call_fail_index(call, &err, VZ_AT_REQUEST, index);
    *found = status == VZ_OK;
    return !*found || check_read_version(call, index, doc);
}

void vz_rest_doc_get(struct vz_call *call)
{
    struct vz_source_choice choice;
    vz_source_of_params(call, &choice);
    struct vz_index *index =
        vz_resolve_one(call->store, call->arena, call->args[0], &call->problem);
    if (!index)
        return;
    struct vz_stored_doc doc;
    bool found;
    enum vz_doc_parts parts = choice.off || call->is_head ? VZ_DOC_META : VZ_DOC_SOURCE;
    if (read_doc(call, index, parts, &doc, &found)) {
        struct vz_json_writer *w = &call->w;
        if (call->is_head)
            choice.off = true;
        vz_json_begin_object(w);
        vz_json_field_string(w, "_index", vz_index_name(index));
        vz_json_field_string(w, "_id", call->args[1]);
        if (found) {
            vz_json_key(w, "_version");
            vz_json_put_uint(w, doc.version);
            print_got_members(call, &doc, &choice);
        } else {
            vz_json_field_bool(w, "found", false);
            call->response->status = 404;
        }
        vz_json_end_object(w);
    }
    vz_index_release(index);
}

void vz_rest_doc_get_source(struct vz_call *call)
{
    struct vz_source_choice choice;
    vz_source_of_params(call, &choice);
    if (choice.off) {
        vz_call_fail(call, 400, "action_request_validation_exception",
                     "Validation Failed: 1: fetching source can not be disabled;");
        return;
    }
    struct vz_index *index =
        vz_resolve_one(call->store, call->arena, call->args[0], &call->problem);
    if (!index)
        return;
    struct vz_stored_doc doc;
    bool found;
    if (read_doc(call, index, call->is_head ? VZ_DOC_META : VZ_DOC_SOURCE, &doc, &found)) {
        if (!found)
            vz_call_fail(call, 404, "resource_not_found_exception",
                         "Document not found [%.*s]/[%.*s]", VZ_S(vz_index_name(index)),
                         VZ_S(call->args[1]));
        else if (!call->is_head)
            vz_source_print(&choice, doc.source, &call->w);
    }
    vz_index_release(index);
}

/* ---- mget ---------------------------------------------------------------------------------- */

struct wanted_doc {
    struct vz_slice index, id;
    struct vz_source_choice choice;
};

static void print_mget_problem(struct vz_call *call, const struct wanted_doc *want,
                               const struct vz_problem *problem)
{
    struct vz_json_writer *w = &call->w;
    vz_json_begin_object(w);
    vz_json_field_string(w, "_index", want->index);
    vz_json_field_string(w, "_id", want->id);
    vz_json_key(w, "error");
    vz_problem_print_full(problem, false, w);
    vz_json_end_object(w);
}

/* The arena is for this document alone. */
static void print_mget_doc(struct vz_call *call, const struct wanted_doc *want,
                           struct vz_arena *arena)
{
    struct vz_problem problem = {0};
    struct vz_error err = {0};
    struct vz_stored_doc doc;
    struct vz_json_writer *w = &call->w;
    struct vz_index *index = vz_resolve_one(call->store, arena, want->index, &problem);
    if (!index) {
        print_mget_problem(call, want, &problem);
        return;
    }
    enum vz_doc_parts parts = want->choice.off ? VZ_DOC_META : VZ_DOC_SOURCE;
    enum vz_status status = get_doc(call, index, want->id, parts, arena, &doc, &err);
    if (status != VZ_OK && status != VZ_NOT_FOUND) {
        vz_problem_from(arena, &err, VZ_AT_REQUEST, (struct vz_slice){NULL, 0},
                        vz_index_name(index), vz_index_uuid(index), &problem);
        print_mget_problem(call, want, &problem);
    } else {
        vz_json_begin_object(w);
        vz_json_field_string(w, "_index", vz_index_name(index));
        vz_json_field_string(w, "_id", want->id);
        if (status == VZ_OK) {
            vz_json_key(w, "_version");
            vz_json_put_uint(w, doc.version);
            print_got_members(call, &doc, &want->choice);
        } else {
            vz_json_field_bool(w, "found", false);
        }
        vz_json_end_object(w);
    }
    vz_index_release(index);
}

static bool read_wanted(struct vz_call *call, struct vz_json item, struct wanted_doc *want)
{
    struct vz_json_iter it = vz_json_iterate(item);
    struct vz_slice key;
    struct vz_json value;
    if (vz_json_type(item) != VZ_JSON_OBJECT)
        return vz_call_fail(call, 400, "illegal_argument_exception",
                            "docs array element should include an object");
    while (vz_json_next(&it, &key, &value)) {
        bool ok = true;
        if (vz_slice_is(key, "_index"))
            ok = vz_call_scalar(call, value, &want->index);
        else if (vz_slice_is(key, "_id"))
            ok = vz_call_scalar(call, value, &want->id);
        else if (vz_slice_is(key, "_source"))
            ok = vz_source_of_json(call->arena, value, &want->choice);
        else if (vz_slice_is(key, "stored_fields"))
            return vz_call_unsupported(call, "[stored_fields] in [_mget] is");
        else if (!vz_slice_is(key, "routing") && !vz_slice_is(key, "version") &&
                 !vz_slice_is(key, "version_type") && !vz_slice_is(key, "_version"))
            return vz_call_fail(call, 400, "parsing_exception",
                                "unexpected field [%.*s]. Expected one of [_index, _id, routing, "
                                "version, version_type, _source, stored_fields]",
                                VZ_S(key));
        if (!ok)
            return vz_call_fail(call, 400, "parsing_exception", "[%.*s] has an unknown form",
                                VZ_S(key));
    }
    return true;
}

static bool read_all_wanted(struct vz_call *call, struct vz_json body, struct wanted_doc *wants,
                            size_t *count)
{
    struct vz_source_choice choice;
    vz_source_of_params(call, &choice);
    struct vz_json list, item;
    struct vz_json_iter it;
    if (vz_json_get(body, "docs", &list)) {
        it = vz_json_iterate(list);
        while (vz_json_next(&it, NULL, &item)) {
            struct wanted_doc *want = &wants[(*count)++];
            *want = (struct wanted_doc){.index = call->args[0], .choice = choice};
            if (!read_wanted(call, item, want))
                return false;
        }
    }
    if (vz_json_get(body, "ids", &list)) {
        if (call->args[0].len == 0)
            return vz_call_fail(call, 400, "action_request_validation_exception",
                                "Validation Failed: 1: index is missing for doc 0;");
        it = vz_json_iterate(list);
        while (vz_json_next(&it, NULL, &item)) {
            struct wanted_doc *want = &wants[(*count)++];
            *want = (struct wanted_doc){.index = call->args[0], .choice = choice};
            if (!vz_call_scalar(call, item, &want->id))
                return vz_call_fail(call, 400, "illegal_argument_exception",
                                    "ids array element should only contain ids");
        }
    }
    return true;
}

static bool check_wanted(struct vz_call *call, const struct wanted_doc *wants, size_t count)
{
    struct vz_buf text = {0};
    size_t problems = 0;
    if (count == 0)
        vz_buf_printf(&text, " %zu: no documents to get;", ++problems);
    for (size_t i = 0; i < count; i++) {
        if (wants[i].index.len == 0)
            vz_buf_printf(&text, " %zu: index is missing for doc %zu;", ++problems, i);
        if (wants[i].id.len == 0)
            vz_buf_printf(&text, " %zu: id is missing for doc %zu;", ++problems, i);
    }
    if (problems)
        vz_call_fail(call, 400, "action_request_validation_exception", "Validation Failed:%s",
                     text.data);
    vz_buf_deinit(&text);
    return problems == 0;
}

static bool check_mget_keys(struct vz_call *call, struct vz_json body)
{
    struct vz_json_iter it = vz_json_iterate(body);
    struct vz_slice key;
    struct vz_json value;
    while (vz_json_next(&it, &key, &value)) {
        bool known = vz_slice_is(key, "docs") || vz_slice_is(key, "ids");
        if (!known)
            return vz_call_fail(call, 400, "parsing_exception",
                                "unknown key [%.*s] for a %s, expected [docs] or [ids]", VZ_S(key),
                                vz_json_type(value) == VZ_JSON_ARRAY ? "START_ARRAY"
                                                                     : "VALUE_STRING");
        if (vz_json_type(value) != VZ_JSON_ARRAY)
            return vz_call_fail(call, 400, "parsing_exception",
                                "unexpected token [%s], expected [FIELD_NAME] or [START_ARRAY]",
                                vz_json_type_name(value));
    }
    return true;
}

void vz_rest_doc_mget(struct vz_call *call)
{
    struct vz_json body, docs = {0}, ids = {0};
    if (!vz_call_body(call, VZ_AT_BODY, true, &body) || !check_mget_keys(call, body))
        return;
    vz_json_get(body, "docs", &docs);
    vz_json_get(body, "ids", &ids);
    size_t room = vz_json_count(docs) + vz_json_count(ids) + 1, count = 0;
    struct wanted_doc *wants = vz_arena_alloc(call->arena, room * sizeof *wants);
    if (!read_all_wanted(call, body, wants, &count) || !check_wanted(call, wants, count))
        return;
    vz_json_begin_object(&call->w);
    vz_json_key(&call->w, "docs");
    vz_json_begin_array(&call->w);
    struct vz_arena arena = {0};
    bool fits = true;
    for (size_t i = 0; i < count && fits; i++) {
        print_mget_doc(call, &wants[i], &arena);
        vz_arena_reset(&arena);
        fits = vz_call_fits(call, call->response->body.len);
    }
    vz_arena_deinit(&arena);
    if (!fits)
        return;
    vz_json_end_array(&call->w);
    vz_json_end_object(&call->w);
}
