/* _scripts: stored scripts and templates, and reading what a body says of a script. See scripts.h.
 *
 * Bodies of searches name stored scripts in many places (queries, sorts, fields, aggregations), and
 * the query room knows no store of scripts: so names are replaced by sources before it reads the
 * body, and only in bodies that have both words in them. */
#include "rest/scripts.h"

#include "ingest/ingest.h"
#include "rest/ingest.h"
#include "rest/lookups.h"
#include "script/mustache.h"
#include "script/script.h"

#include <stdlib.h>

#define MAX_SCRIPT_BYTES 65535
#define MAX_SCRIPTS 10000
#define MAX_ID 512
#define EXCERPT 120

/* ---- looking up ------------------------------------------------------------------------------ */

bool vz_script_stored(struct vz_rest *rest, struct vz_slice id, struct vz_arena *arena,
                      struct vz_slice *source, struct vz_slice *lang)
{
    struct vz_buf text = {0};
    struct vz_json_doc *doc;
    struct vz_json root, value;
    bool found = vz_store_get_blob(rest->store, VZ_BLOB_SCRIPT, id, &text) &&
                 vz_json_parse(vz_buf_slice(&text), &doc, &root, NULL) == VZ_OK;
    if (found) {
        *source = (struct vz_slice){"", 0};
        *lang = VZ_SLICE("painless");
        if (vz_json_get(root, "source", &value))
            *source = vz_arena_copy(arena, vz_json_string(value));
        if (vz_json_get(root, "lang", &value))
            *lang = vz_arena_copy(arena, vz_json_string(value));
        vz_json_free(doc);
    }
    vz_buf_deinit(&text);
    return found;
}

static bool refuse(struct vz_arena *arena, struct vz_problem *problem, int status, const char *type,
                   const char *format, ...) __attribute__((format(printf, 5, 6)));

static bool refuse(struct vz_arena *arena, struct vz_problem *problem, int status, const char *type,
                   const char *format, ...)
{
    struct vz_buf text = {0};
    va_list args;
    va_start(args, format);
    vz_buf_vprintf(&text, format, args);
    va_end(args);
    *problem = (struct vz_problem){
        .status = status, .type = type, .reason = vz_arena_copy(arena, vz_buf_slice(&text))};
    vz_buf_deinit(&text);
    return false;
}

static bool not_stored(struct vz_arena *arena, struct vz_slice id, struct vz_problem *problem)
{
    return refuse(arena, problem, 404, "resource_not_found_exception",
                  "unable to find script [%.*s] in cluster state", VZ_S(id));
}

static bool read_member(struct vz_arena *arena, struct vz_slice key, struct vz_json value,
                        struct vz_script_named *script, struct vz_problem *problem)
{
    bool is_text = vz_json_type(value) == VZ_JSON_STRING;
    if (vz_slice_is(key, "source") || vz_slice_is(key, "inline")) {
        if (vz_json_type(value) == VZ_JSON_OBJECT) { /* a template written as JSON */
            struct vz_buf text = {0};
            vz_json_print(value, &text);
            script->source = vz_arena_copy(arena, vz_buf_slice(&text));
            vz_buf_deinit(&text);
            return true;
        }
        script->source = vz_json_string(value);
    } else if (vz_slice_is(key, "id") || vz_slice_is(key, "stored")) {
        script->id = vz_json_string(value);
    } else if (vz_slice_is(key, "lang")) {
        script->lang = vz_json_string(value);
    } else if (vz_slice_is(key, "params")) {
        script->params = value;
        return vz_json_type(value) == VZ_JSON_OBJECT ||
               refuse(arena, problem, 400, "x_content_parse_exception",
                      "[script] params doesn't support values of type: %s",
                      vz_json_type_name(value));
    } else if (vz_slice_is(key, "options")) {
        return true;
    } else {
        return refuse(arena, problem, 400, "x_content_parse_exception",
                      "[script] unknown field [%.*s]", VZ_S(key));
    }
    return is_text || refuse(arena, problem, 400, "x_content_parse_exception",
                             "[script] %.*s doesn't support values of type: %s", VZ_S(key),
                             vz_json_type_name(value));
}

bool vz_script_read(struct vz_rest *rest, struct vz_arena *arena, struct vz_json value,
                    struct vz_script_named *script, struct vz_problem *problem)
{
    *script = (struct vz_script_named){.lang = VZ_SLICE("painless")};
    if (vz_json_type(value) == VZ_JSON_STRING) {
        script->source = vz_json_string(value);
        return true;
    }
    if (vz_json_type(value) != VZ_JSON_OBJECT)
        return refuse(arena, problem, 400, "parsing_exception",
                      "[script] must be a string or an object but got %s",
                      vz_json_type_name(value));
    struct vz_json_iter it = vz_json_iterate(value);
    struct vz_slice key;
    struct vz_json member;
    while (vz_json_next(&it, &key, &member))
        if (!read_member(arena, key, member, script, problem))
            return false;
    if (script->id.ptr && script->source.ptr)
        return refuse(arena, problem, 400, "illegal_argument_exception",
                      "must specify either [source] for an inline script or [id] for a stored "
                      "script, not both");
    if (script->id.ptr)
        return vz_script_stored(rest, script->id, arena, &script->source, &script->lang) ||
               not_stored(arena, script->id, problem);
    return script->source.ptr || refuse(arena, problem, 400, "illegal_argument_exception",
                                        "must specify either [source] for an inline script or "
                                        "[id] for a stored script");
}

void vz_script_problem(struct vz_arena *arena, const char *what, struct vz_slice source,
                       enum vz_status status, const struct vz_error *err, struct vz_problem *p)
{
    size_t at = err->offset == VZ_NO_OFFSET ? 0 : VZ_MIN(err->offset, source.len);
    size_t from = at > EXCERPT ? at - EXCERPT : 0, to = VZ_MIN(at + EXCERPT, source.len);
    while (from && (source.ptr[from] & 0xC0) == 0x80)
        from--;
    while (to < source.len && (source.ptr[to] & 0xC0) == 0x80)
        to++;
    *p = (struct vz_problem){
        .status = 400,
        .type = "script_exception",
        .reason = vz_slice_from(what),
        .is_script = true,
        .script_at = (unsigned)(at - from),
        .script = vz_arena_copy(arena, (struct vz_slice){source.ptr + from, to - from}),
        .cause_type = status == VZ_UNSUPPORTED ? "unsupported_operation_exception"
                      : err->cause[0]          ? vz_arena_strdup(arena, vz_slice_from(err->cause))
                                               : "illegal_argument_exception",
        .cause_reason = vz_arena_copy(arena, vz_slice_from(err->text))};
}

/* ---- names in bodies ------------------------------------------------------------------------- */

bool vz_scripts_may_be_named(struct vz_slice body)
{
    return (body.ptr && memmem(body.ptr, body.len, "script\"", 7) &&
            memmem(body.ptr, body.len, "\"id\"", 4)) ||
           vz_lookups_may_be_there(body);
}

static bool is_script_key(struct vz_slice key)
{
    static const struct vz_slice tail = {"_script", 7};
    return vz_slice_is(key, "script") ||
           (key.len > tail.len && memcmp(key.ptr + key.len - tail.len, tail.ptr, tail.len) == 0);
}

struct inlining {
    struct vz_call *call;
    struct vz_arena *arena;
    struct vz_problem *problem;
    bool changed;
    unsigned depth;
};

static bool inline_one(struct inlining *in, struct vz_value *script)
{
    const struct vz_value *id = vz_value_get(script, VZ_SLICE("id"));
    struct vz_slice source, lang;
    if (!id || id->type != VZ_VALUE_STRING || vz_value_get(script, VZ_SLICE("source")))
        return true;
    if (!vz_script_stored(in->call->rest, id->string, in->arena, &source, &lang))
        return not_stored(in->arena, id->string, in->problem);
    vz_value_remove(script, VZ_SLICE("id"));
    vz_value_put(script, VZ_SLICE("source"), vz_value_string(in->arena, source));
    vz_value_put(script, VZ_SLICE("lang"), vz_value_string(in->arena, lang));
    in->changed = true;
    return true;
}

static bool look_up(struct inlining *in, struct vz_value *object)
{
    bool changed;
    /* A query in a query in a query ends, as each is shorter than what it was in. */
    do {
        changed = false;
        if (!vz_lookup_wrapper(in->arena, object, &changed, in->problem))
            return false;
        in->changed |= changed;
    } while (changed);
    struct vz_value *terms = vz_value_get(object, VZ_SLICE("terms"));
    if (!terms || terms->type != VZ_VALUE_OBJECT)
        return true;
    return vz_lookup_terms(in->call, in->arena, terms, &in->changed, in->problem);
}

/* As deep as the parser lets a body be, and what was unwrapped in it. */
static bool inline_all(struct inlining *in, struct vz_value *value)
{
    if (value->type == VZ_VALUE_ARRAY)
        for (size_t i = 0; i < value->array.count; i++)
            if (!inline_all(in, value->array.items[i]))
                return false;
    if (value->type != VZ_VALUE_OBJECT)
        return true;
    if (in->depth >= VZ_JSON_MAX_DEPTH)
        return true; /* it is refused when it is read */
    in->depth++;
    if (!look_up(in, value))
        return false;
    for (size_t i = 0; i < value->object.count; i++) {
        const struct vz_value_member *member = &value->object.members[i];
        if (is_script_key(member->key) && member->value->type == VZ_VALUE_OBJECT &&
            !inline_one(in, member->value))
            return false;
        if (!vz_slice_is(member->key, "params") && !vz_slice_is(member->key, "meta") &&
            !inline_all(in, member->value))
            return false;
    }
    in->depth--;
    return true;
}

bool vz_scripts_inline(struct vz_call *call, struct vz_arena *arena, struct vz_slice text,
                       struct vz_slice *out, struct vz_problem *problem)
{
    struct vz_json_doc *doc;
    struct vz_json root;
    struct inlining in = {.call = call, .arena = arena, .problem = problem};
    *out = text;
    call->lookups.count = 0;
    call->lookups.held_bytes = 0;
    if (vz_json_parse(text, &doc, &root, NULL) != VZ_OK)
        return true; /* who reads the body says it better */
    struct vz_value *tree = vz_value_from(arena, root);
    vz_json_free(doc);
    if (!inline_all(&in, tree))
        return false;
    if (!in.changed)
        return true;
    struct vz_buf made = {0};
    vz_value_print(tree, &made);
    char *copy = vz_arena_zalloc(arena, made.len + 64);
    memcpy(copy, made.data, made.len);
    *out = (struct vz_slice){copy, made.len};
    vz_buf_deinit(&made);
    return true;
}

/* ---- _scripts -------------------------------------------------------------------------------- */

/* Pipelines keep their scripts compiled: those that name one are compiled again. One that does not
 * compile any more stays as it was, and fails to when the server starts next, as the log then
 * says. */
static void renew_pipelines(struct vz_call *call, struct vz_slice id)
{
    struct vz_pipeline **list;
    size_t count = vz_ingest_list(call->rest->ingest, call->arena, &list);
    for (size_t i = 0; i < count; i++) {
        struct vz_slice source = vz_pipeline_source(list[i]);
        struct vz_json_doc *doc;
        struct vz_json root;
        struct vz_pipeline *renewed;
        struct vz_error err = {0};
        if (vz_scripts_may_be_named(source) && id.len &&
            memmem(source.ptr, source.len, id.ptr, id.len) &&
            vz_json_parse(source, &doc, &root, NULL) == VZ_OK) {
            if (vz_pipeline_compile(call->rest->ingest, vz_pipeline_id(list[i]), root, &renewed,
                                    NULL, &err) == VZ_OK)
                vz_ingest_put(call->rest->ingest, renewed);
            vz_json_free(doc);
        }
        vz_pipeline_release(list[i]);
    }
}

static bool check_id(struct vz_call *call, struct vz_slice id)
{
    if (memchr(id.ptr, '#', id.len))
        return vz_call_fail(call, 400, "action_request_validation_exception",
                            "Validation Failed: 1: id cannot contain '#' for stored script;");
    return id.len <= MAX_ID ||
           vz_call_fail(call, 400, "illegal_argument_exception",
                        "the id of a stored script is longer than [%d] bytes", MAX_ID);
}

static bool check_template(struct vz_call *call, struct vz_slice source)
{
    struct vz_mustache *template;
    struct vz_error err = {.offset = VZ_NO_OFFSET};
    if (vz_mustache_compile(source, NULL, call->arena, &template, &err) == VZ_OK)
        return true;
    vz_script_problem(call->arena, "compile error", source, err.status, &err, &call->problem);
    return false;
}

/* Reads {"script": {"lang", "source", "options"}}. */
static bool read_put(struct vz_call *call, struct vz_json body, struct vz_script_named *script)
{
    struct vz_json value, lang;
    struct vz_json_iter it = vz_json_iterate(body);
    struct vz_slice key;
    while (vz_json_next(&it, &key, &value))
        if (!vz_slice_is(key, "script"))
            return vz_call_fail(call, 400, "illegal_argument_exception",
                                "unexpected field [%.*s], expected [script]", VZ_S(key));
    if (!vz_json_get(body, "script", &value) || vz_json_type(value) != VZ_JSON_OBJECT)
        return vz_call_fail(call, 400, "illegal_argument_exception",
                            "must specify stored script with an object under [script]");
    if (!vz_json_get(value, "lang", &lang) || !vz_json_string(lang).len)
        return vz_call_fail(call, 400, "illegal_argument_exception",
                            "must specify lang for stored script");
    if (vz_json_get(value, "id", &lang))
        return vz_call_fail(call, 400, "x_content_parse_exception",
                            "[stored script source] unknown field [id]");
    if (!vz_script_read(call->rest, call->arena, value, script, &call->problem))
        return false;
    if (script->source.len > MAX_SCRIPT_BYTES)
        return vz_call_fail(call, 400, "illegal_argument_exception",
                            "exceeded max allowed stored script size in bytes [%d] with size "
                            "[%zu] for script [%.*s]",
                            MAX_SCRIPT_BYTES, script->source.len, VZ_S(call->args[0]));
    if (vz_slice_is(script->lang, "mustache"))
        return check_template(call, script->source);
    if (!script->source.len)
        return vz_call_fail(call, 400, "illegal_argument_exception", "source cannot be empty");
    return vz_slice_is(script->lang, "painless") || vz_slice_is(script->lang, "expression") ||
           vz_call_fail(call, 400, "illegal_argument_exception",
                        "unable to put stored script with unsupported lang [%.*s]",
                        VZ_S(script->lang));
}

void vz_rest_script_put(struct vz_call *call)
{
    struct vz_json body;
    struct vz_script_named script;
    struct vz_slice *names, old;
    struct vz_error err = {0};
    if (!check_id(call, call->args[0]) || !vz_call_body(call, VZ_AT_BODY, true, &body) ||
        !read_put(call, body, &script))
        return;
    if (vz_store_blob_names(call->store, VZ_BLOB_SCRIPT, call->arena, &names) >= MAX_SCRIPTS &&
        !vz_script_stored(call->rest, call->args[0], call->arena, &old, &old)) {
        vz_call_fail(call, 400, "illegal_argument_exception",
                     "there are [%d] stored scripts already, delete some", MAX_SCRIPTS);
        return;
    }
    struct vz_buf text = {0};
    struct vz_json_writer w = vz_json_writer_on(&text);
    vz_json_begin_object(&w);
    vz_json_field_string(&w, "lang", script.lang);
    vz_json_field_string(&w, "source", script.source);
    if (vz_slice_is(script.lang, "mustache")) {
        vz_json_key(&w, "options");
        vz_json_put_raw(&w, VZ_SLICE("{\"content_type\":\"application/json; charset=utf-8\"}"));
    }
    vz_json_end_object(&w);
    if (vz_store_put_blob(call->store, VZ_BLOB_SCRIPT, call->args[0], vz_buf_slice(&text), &err) !=
        VZ_OK)
        vz_call_fail_error(call, &err, VZ_AT_REQUEST);
    vz_buf_deinit(&text);
    if (call->problem.status)
        return;
    renew_pipelines(call, call->args[0]);
    vz_call_acknowledge(call);
}

void vz_rest_script_get(struct vz_call *call)
{
    struct vz_buf text = {0};
    struct vz_json_writer *w = &call->w;
    bool found = vz_store_get_blob(call->store, VZ_BLOB_SCRIPT, call->args[0], &text);
    vz_json_begin_object(w);
    vz_json_field_string(w, "_id", call->args[0]);
    vz_json_field_bool(w, "found", found);
    if (found) {
        vz_json_key(w, "script");
        vz_json_put_raw(w, vz_buf_slice(&text));
    } else {
        call->response->status = 404;
    }
    vz_json_end_object(w);
    vz_buf_deinit(&text);
}

void vz_rest_script_delete(struct vz_call *call)
{
    struct vz_error err = {0};
    struct vz_slice source, lang;
    if (!vz_script_stored(call->rest, call->args[0], call->arena, &source, &lang))
        vz_call_fail(call, 404, "resource_not_found_exception",
                     "stored script [%.*s] does not exist and cannot be deleted",
                     VZ_S(call->args[0]));
    else if (vz_store_delete_blob(call->store, VZ_BLOB_SCRIPT, call->args[0], &err) != VZ_OK)
        vz_call_fail_error(call, &err, VZ_AT_REQUEST);
    else
        vz_call_acknowledge(call);
}
