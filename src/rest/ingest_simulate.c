/* `_ingest/pipeline/_simulate`: a pipeline tried on documents, nothing stored. */
#include "rest/ingest.h"

#include <stdlib.h>

#define MAX_DOCS 10000

static bool parse_fail(struct vz_call *call, const char *property, const char *what)
{
    vz_call_fail(call, 400, "parse_exception", "[%s] %s", property, what);
    call->problem.property_name = property;
    return false;
}

/* A string, or a number as one. */
static bool read_text(struct vz_call *call, struct vz_json doc, const char *name,
                      struct vz_slice *out)
{
    struct vz_json value;
    if (!vz_json_get(doc, name, &value) || vz_json_type(value) == VZ_JSON_NULL)
        return true;
    if (vz_json_type(value) == VZ_JSON_STRING) {
        *out = vz_json_string(value);
        return true;
    }
    if (!vz_json_is_number(value))
        return parse_fail(call, name, "property isn't a string or int");
    struct vz_buf text = {0};
    vz_json_print(value, &text);
    *out = vz_arena_copy(call->arena, vz_buf_slice(&text));
    vz_buf_deinit(&text);
    return true;
}

static bool read_doc(struct vz_call *call, struct vz_json item, struct vz_ingest_doc *doc)
{
    struct vz_json source, version;
    struct vz_ingest_meta meta = {
        .index = VZ_SLICE("_index"), .id = VZ_SLICE("_id"), .has_version = true, .version = -3};
    if (vz_json_type(item) != VZ_JSON_OBJECT)
        return vz_call_fail(call, 400, "illegal_argument_exception",
                            "malformed [docs] section, should include an inner object");
    if (!vz_json_get(item, "_source", &source))
        return parse_fail(call, "_source", "required property is missing");
    if (vz_json_type(source) != VZ_JSON_OBJECT)
        return parse_fail(call, "_source", "property isn't a map");
    if (!read_text(call, item, "_index", &meta.index) || !read_text(call, item, "_id", &meta.id) ||
        !read_text(call, item, "_routing", &meta.routing) ||
        !read_text(call, item, "_version_type", &meta.version_type))
        return false;
    if (vz_json_get(item, "_version", &version) && !vz_json_as_int(version, &meta.version))
        return parse_fail(call, "_version", "property cannot be converted to a long");
    vz_ingest_doc_init(doc, call->arena, vz_value_from(call->arena, source), &meta);
    return true;
}

static void print_error(struct vz_call *call, const struct vz_error *err, enum vz_ingest_kind kind)
{
    struct vz_problem problem;
    vz_ingest_problem(call->arena, err, kind, &problem);
    vz_json_key(&call->w, "error");
    vz_problem_print_full(&problem, false, &call->w);
}

/* ---- verbose --------------------------------------------------------------------------------- */

static const char *const outcomes[] = {
    [VZ_OUTCOME_SUCCESS] = "success",
    [VZ_OUTCOME_ERROR] = "error",
    [VZ_OUTCOME_ERROR_IGNORED] = "error_ignored",
    [VZ_OUTCOME_SKIPPED] = "skipped",
    [VZ_OUTCOME_DROPPED] = "dropped",
};

static void print_step(void *context, const struct vz_ingest_step *step,
                       const struct vz_ingest_doc *doc)
{
    struct vz_call *call = context;
    struct vz_json_writer *w = &call->w;
    /* Each step prints the whole document. */
    if (!vz_call_fits(call, call->response->body.len))
        return;
    vz_json_begin_object(w);
    vz_json_field_str(w, "processor_type", step->processor);
    vz_json_field_str(w, "status", outcomes[step->outcome]);
    if (step->description.ptr)
        vz_json_field_string(w, "description", step->description);
    if (step->tag.ptr)
        vz_json_field_string(w, "tag", step->tag);
    if (step->condition.ptr) {
        vz_json_key(w, "if");
        vz_json_begin_object(w);
        vz_json_field_string(w, "condition", step->condition);
        vz_json_field_bool(w, "result", step->condition_result);
        vz_json_end_object(w);
    }
    if (step->error) {
        bool ignored = step->outcome == VZ_OUTCOME_ERROR_IGNORED;
        if (ignored) {
            vz_json_key(w, "ignored_error");
            vz_json_begin_object(w);
        }
        print_error(call, step->error, step->kind);
        if (ignored)
            vz_json_end_object(w);
    }
    if (!step->without_doc &&
        (step->outcome == VZ_OUTCOME_SUCCESS || step->outcome == VZ_OUTCOME_ERROR_IGNORED)) {
        vz_json_key(w, "doc");
        vz_ingest_doc_print(doc, true, w);
    }
    vz_json_end_object(w);
}

/* ---- the request ----------------------------------------------------------------------------- */

static void print_doc(struct vz_call *call, const struct vz_ingest_doc *doc)
{
    struct vz_json_writer *w = &call->w;
    if (doc->dropped) {
        vz_json_put_null(w);
        return;
    }
    vz_json_begin_object(w);
    if (doc->status != VZ_OK) {
        print_error(call, &doc->error, doc->kind);
    } else {
        vz_json_key(w, "doc");
        vz_ingest_doc_print(doc, false, w);
    }
    vz_json_end_object(w);
}

static void run(struct vz_call *call, struct vz_pipeline *pipeline, struct vz_ingest_doc **docs,
                size_t count)
{
    struct vz_json_writer *w = &call->w;
    bool verbose = vz_call_bool(call, "verbose", false);
    const struct vz_ingest_trace trace = {print_step, call};
    if (!verbose)
        vz_pipeline_apply(pipeline, docs, count, NULL);
    vz_json_begin_object(w);
    vz_json_key(w, "docs");
    vz_json_begin_array(w);
    for (size_t i = 0; i < count; i++) {
        if (verbose) {
            vz_json_begin_object(w);
            vz_json_key(w, "processor_results");
            vz_json_begin_array(w);
            vz_pipeline_apply(pipeline, &docs[i], 1, &trace);
            vz_json_end_array(w);
            vz_json_end_object(w);
        } else {
            print_doc(call, docs[i]);
        }
        if (!vz_call_fits(call, call->response->body.len))
            return;
    }
    vz_json_end_array(w);
    vz_json_end_object(w);
}

/* The pipeline of the path, or the one in the body. A reference; NULL with a problem. */
static struct vz_pipeline *pipeline_of(struct vz_call *call, struct vz_json body)
{
    struct vz_json definition;
    struct vz_pipeline *pipeline = NULL;
    struct vz_ingest_fault fault;
    struct vz_error err = {0};
    if (call->args[0].len) {
        pipeline = vz_ingest_get(call->rest->ingest, call->args[0]);
        if (!pipeline)
            vz_call_fail(call, 400, "illegal_argument_exception", "pipeline [%.*s] does not exist",
                         VZ_S(call->args[0]));
        return pipeline;
    }
    if (!vz_json_get(body, "pipeline", &definition)) {
        parse_fail(call, "pipeline", "required property is missing");
        return NULL;
    }
    if (vz_pipeline_compile(call->rest->ingest, VZ_SLICE("_simulate_pipeline"), definition,
                            &pipeline, &fault, &err) != VZ_OK)
        vz_ingest_bad_pipeline(call, &err, &fault);
    return pipeline;
}

void vz_rest_ingest_simulate(struct vz_call *call)
{
    struct vz_json body, list, item;
    size_t count = 0;
    if (!vz_call_body(call, VZ_AT_MAP_BODY, true, &body))
        return;
    struct vz_pipeline *pipeline = pipeline_of(call, body);
    if (!pipeline)
        return;
    if (!vz_json_get(body, "docs", &list)) {
        parse_fail(call, "docs", "required property is missing");
    } else if (vz_json_type(list) != VZ_JSON_ARRAY) {
        parse_fail(call, "docs", "property isn't a list");
    } else if (vz_json_count(list) == 0) {
        vz_call_fail(call, 400, "illegal_argument_exception",
                     "must specify at least one document in [docs]");
    } else if (vz_json_count(list) > MAX_DOCS) {
        vz_call_fail(call, 400, "illegal_argument_exception",
                     "at most [%d] documents can be simulated at once", MAX_DOCS);
    } else {
        size_t room = vz_json_count(list);
        struct vz_ingest_doc *docs = vz_arena_zalloc(call->arena, room * sizeof *docs);
        struct vz_ingest_doc **order = vz_arena_alloc(call->arena, room * sizeof *order);
        struct vz_json_iter it = vz_json_iterate(list);
        bool ok = true;
        while (ok && vz_json_next(&it, NULL, &item)) {
            order[count] = &docs[count];
            ok = read_doc(call, item, &docs[count++]);
        }
        if (ok)
            run(call, pipeline, order, count);
    }
    vz_pipeline_release(pipeline);
}
