/* Search templates: _search/template, _msearch/template, _render/template. A template is rendered
 * to the body of a search, and the search's own handler does the rest. */
#include "rest/by_query.h"
#include "rest/inner.h"
#include "rest/scripts.h"

#include "script/mustache.h"

#include <stdlib.h>

#define MAX_RENDERED ((size_t)16 << 20)

/* ---- one request within another -------------------------------------------------------------- */

void vz_inner_call_run(struct vz_inner_call *inner, const struct vz_call *outer,
                       struct vz_slice body, void (*handle)(struct vz_call *call))
{
    *inner = (struct vz_inner_call){.request = *outer->request, .call = *outer};
    inner->request.body = body;
    inner->call.request = &inner->request;
    inner->call.response = &inner->response;
    inner->call.arena = &inner->response.arena;
    inner->call.w = vz_json_writer_on(&inner->response.body);
    inner->call.doc = NULL;
    inner->call.problem = (struct vz_problem){0};
    inner->call.start_ns = vz_now_ns();
    handle(&inner->call);
    if (inner->call.doc)
        vz_json_free(inner->call.doc);
    inner->call.doc = NULL;
}

void vz_inner_call_deinit(struct vz_inner_call *inner)
{
    vz_buf_deinit(&inner->response.body);
    vz_arena_deinit(&inner->response.arena);
}

/* ---- rendering ------------------------------------------------------------------------------- */

static bool refuse(struct vz_arena *arena, struct vz_problem *problem, const char *type,
                   const char *format, struct vz_slice what)
{
    struct vz_buf text = {0};
    vz_buf_printf(&text, format, VZ_S(what));
    *problem = (struct vz_problem){
        .status = 400, .type = type, .reason = vz_arena_copy(arena, vz_buf_slice(&text))};
    vz_buf_deinit(&text);
    return false;
}

bool vz_search_template_text(struct vz_arena *arena, struct vz_slice source, struct vz_json params,
                             struct vz_slice *out, struct vz_problem *problem)
{
    struct vz_mustache *template;
    struct vz_error err = {.offset = VZ_NO_OFFSET};
    struct vz_buf text = {0};
    enum vz_status status = vz_mustache_compile(source, NULL, arena, &template, &err);
    if (status != VZ_OK) {
        vz_script_problem(arena, "compile error", source, status, &err, problem);
        problem->script_lang = "mustache";
        return false;
    }
    const struct vz_mustache_scope scope = {.root = vz_json_type(params) == VZ_JSON_OBJECT
                                                        ? vz_value_from(arena, params)
                                                        : vz_value_object(arena)};
    status = vz_mustache_render(template, &scope, MAX_RENDERED, &text, &err);
    if (status == VZ_OK)
        *out = vz_padded_copy(arena, vz_buf_slice(&text));
    else
        vz_problem_from(arena, &err, VZ_AT_REQUEST, source, (struct vz_slice){NULL, 0}, NULL,
                        problem);
    vz_buf_deinit(&text);
    return status == VZ_OK;
}

struct template_request {
    struct vz_slice source, id;
    struct vz_json params;
    bool explain, profile;
};

static bool read_request(struct vz_arena *arena, struct vz_json body,
                         struct template_request *request, struct vz_problem *problem)
{
    struct vz_json_iter it = vz_json_iterate(body);
    struct vz_slice key;
    struct vz_json value;
    while (vz_json_next(&it, &key, &value)) {
        bool is_text = vz_json_type(value) == VZ_JSON_STRING;
        if (vz_slice_is(key, "id") && is_text) {
            request->id = vz_json_string(value);
        } else if (vz_slice_is(key, "source") &&
                   (is_text || vz_json_type(value) == VZ_JSON_OBJECT)) {
            struct vz_buf text = {0};
            if (is_text)
                vz_buf_append_slice(&text, vz_json_string(value));
            else
                vz_json_print(value, &text);
            request->source = vz_arena_copy(arena, vz_buf_slice(&text));
            vz_buf_deinit(&text);
        } else if (vz_slice_is(key, "params") && vz_json_type(value) == VZ_JSON_OBJECT) {
            request->params = value;
        } else if (vz_slice_is(key, "explain") && vz_json_as_bool(value, &request->explain)) {
            continue;
        } else if (vz_slice_is(key, "profile") && vz_json_as_bool(value, &request->profile)) {
            continue;
        } else {
            static const char *const known[] = {"id", "source", "params", "explain", "profile"};
            for (size_t i = 0; i < VZ_COUNT_OF(known); i++)
                if (vz_slice_is(key, known[i]))
                    return refuse(arena, problem, "x_content_parse_exception",
                                  "[search_template] %.*s doesn't support values of that type",
                                  key);
            return refuse(arena, problem, "x_content_parse_exception",
                          "[search_template] unknown field [%.*s]", key);
        }
    }
    return true;
}

/* "explain" and "profile" stand beside the template and go into the search. */
static bool add_flags(struct vz_arena *arena, const struct template_request *request,
                      struct vz_slice *text, struct vz_problem *problem)
{
    struct vz_json_doc *doc;
    struct vz_json root;
    struct vz_error err = {.offset = VZ_NO_OFFSET};
    struct vz_buf made = {0};
    if (!request->explain && !request->profile)
        return true;
    if (vz_json_parse(*text, &doc, &root, &err) != VZ_OK || vz_json_type(root) != VZ_JSON_OBJECT) {
        if (err.status)
            vz_problem_from(arena, &err, VZ_AT_SEARCH, *text, (struct vz_slice){NULL, 0}, NULL,
                            problem);
        else
            vz_json_free(doc);
        return err.status ? false : true; /* the search says what it wants */
    }
    struct vz_value *tree = vz_value_from(arena, root);
    vz_json_free(doc);
    if (request->explain)
        vz_value_put(tree, VZ_SLICE("explain"), vz_value_bool(arena, true));
    if (request->profile)
        vz_value_put(tree, VZ_SLICE("profile"), vz_value_bool(arena, true));
    vz_value_print(tree, &made);
    *text = vz_padded_copy(arena, vz_buf_slice(&made));
    vz_buf_deinit(&made);
    return true;
}

bool vz_search_template_render(struct vz_call *call, struct vz_arena *arena, struct vz_json body,
                               struct vz_slice id, struct vz_slice *out, struct vz_problem *problem)
{
    struct template_request request = {.id = id};
    struct vz_slice lang;
    struct vz_slice none = {"", 0};
    if (!read_request(arena, body, &request, problem))
        return false;
    if (request.id.len) {
        if (!vz_script_stored(call->rest, request.id, arena, &request.source, &lang)) {
            refuse(arena, problem, "resource_not_found_exception",
                   "unable to find script [%.*s] in cluster state", request.id);
            problem->status = 404;
            return false;
        }
        if (!vz_slice_is(lang, "mustache"))
            return refuse(arena, problem, "illegal_argument_exception",
                          "[%.*s] is a stored script, not a template", request.id);
    }
    if (!request.source.len)
        return refuse(arena, problem, "action_request_validation_exception",
                      "Validation Failed: 1: template is missing;%.*s", none);
    return vz_search_template_text(arena, request.source, request.params, out, problem) &&
           add_flags(arena, &request, out, problem);
}

bool vz_search_template_line(struct vz_call *call, struct vz_arena *arena, struct vz_slice line,
                             struct vz_slice *out, struct vz_problem *problem)
{
    struct vz_json_doc *doc;
    struct vz_json root;
    struct vz_error err = {.offset = VZ_NO_OFFSET};
    struct vz_slice none = {NULL, 0};
    if (vz_json_parse(line, &doc, &root, &err) != VZ_OK) {
        vz_problem_from(arena, &err, VZ_AT_BODY, line, none, NULL, problem);
        return false;
    }
    bool ok = vz_search_template_render(call, arena, root, none, out, problem);
    vz_json_free(doc);
    return ok;
}

/* ---- the requests ---------------------------------------------------------------------------- */

void vz_rest_search_template(struct vz_call *call)
{
    struct vz_json body;
    struct vz_slice rendered, none = {NULL, 0};
    if (!vz_call_body(call, VZ_AT_BODY, true, &body) ||
        !vz_search_template_render(call, call->arena, body, none, &rendered, &call->problem))
        return;
    /* From here on it is a search with another body. */
    const struct vz_http_request *asked = call->request;
    struct vz_http_request request = *asked;
    request.body = rendered;
    vz_json_free(call->doc);
    call->doc = NULL;
    call->request = &request;
    vz_rest_search(call);
    call->request = asked;
}

void vz_rest_msearch_template(struct vz_call *call)
{
    vz_rest_msearch(call); /* which renders each line, see there */
}

void vz_rest_render_template(struct vz_call *call)
{
    struct vz_json body, root;
    struct vz_slice rendered;
    struct vz_json_doc *doc;
    struct vz_error err = {.offset = VZ_NO_OFFSET};
    struct vz_slice none = {NULL, 0};
    if (!vz_call_body(call, VZ_AT_BODY, false, &body) ||
        !vz_search_template_render(call, call->arena, body, call->args[0], &rendered,
                                   &call->problem))
        return;
    if (vz_json_parse(rendered, &doc, &root, &err) != VZ_OK) {
        vz_problem_from(call->arena, &err, VZ_AT_BODY, rendered, none, NULL, &call->problem);
        return;
    }
    vz_json_begin_object(&call->w);
    vz_json_key(&call->w, "template_output");
    vz_json_put_value(&call->w, root);
    vz_json_end_object(&call->w);
    vz_json_free(doc);
}
