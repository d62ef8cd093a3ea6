/* A request's context: reading parameters and bodies, leaving problems, finishing answers. */
#include "rest/scripts.h"
#include "rest/tasks.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- problems ------------------------------------------------------------------------------ */

struct vz_slice vz_call_format(struct vz_call *call, const char *format, ...)
{
    struct vz_buf text = {0};
    va_list args;
    va_start(args, format);
    vz_buf_vprintf(&text, format, args);
    va_end(args);
    struct vz_slice copy = vz_arena_copy(call->arena, vz_buf_slice(&text));
    vz_buf_deinit(&text);
    return copy;
}

bool vz_call_scalar(struct vz_call *call, struct vz_json value, struct vz_slice *text)
{
    struct vz_buf printed = {0};
    if (vz_json_type(value) != VZ_JSON_STRING && !vz_json_is_number(value))
        return false;
    if (vz_json_type(value) == VZ_JSON_STRING)
        *text = vz_arena_copy(call->arena, vz_json_string(value));
    else {
        vz_json_print(value, &printed);
        *text = vz_arena_copy(call->arena, vz_buf_slice(&printed));
        vz_buf_deinit(&printed);
    }
    return true;
}

static struct vz_slice format_args(struct vz_call *call, const char *format, va_list args)
{
    struct vz_buf text = {0};
    vz_buf_vprintf(&text, format, args);
    struct vz_slice copy = vz_arena_copy(call->arena, vz_buf_slice(&text));
    vz_buf_deinit(&text);
    return copy;
}

bool vz_call_fail(struct vz_call *call, int status, const char *type, const char *format, ...)
{
    if (call->problem.status)
        return false;
    va_list args;
    va_start(args, format);
    call->problem = (struct vz_problem){
        .status = status, .type = type, .reason = format_args(call, format, args)};
    va_end(args);
    return false;
}

bool vz_call_fail_simple(struct vz_call *call, int status, const char *format, ...)
{
    if (call->problem.status)
        return false;
    va_list args;
    va_start(args, format);
    call->problem = (struct vz_problem){
        .status = status, .is_simple = true, .reason = format_args(call, format, args)};
    va_end(args);
    return false;
}

bool vz_call_unsupported(struct vz_call *call, const char *format, ...)
{
    if (call->problem.status)
        return false;
    va_list args;
    va_start(args, format);
    struct vz_slice what = format_args(call, format, args);
    va_end(args);
    return vz_call_fail(call, 400, "unsupported_operation_exception",
                        "%.*s not supported yet by vizsla %s; see docs/compatibility.md",
                        VZ_S(what), VZ_VERSION);
}

const struct vz_error *vz_call_cancelled(struct vz_call *call, struct vz_error *err)
{
    if (err->status != VZ_CANCELLED || !call->task || !vz_task_cancelled(call->task))
        return err;
    vz_tasks_lock(call->rest->tasks);
    snprintf(err->text, sizeof err->text, "task cancelled [%s]", call->task->cancel_reason);
    vz_tasks_unlock(call->rest->tasks);
    return err;
}

bool vz_call_fail_error(struct vz_call *call, const struct vz_error *err, enum vz_place place)
{
    struct vz_error told = *err;
    if (!call->problem.status)
        vz_problem_from(call->arena, vz_call_cancelled(call, &told), place, call->request->body,
                        (struct vz_slice){"", 0}, NULL, &call->problem);
    return false;
}

bool vz_call_fail_index(struct vz_call *call, const struct vz_error *err, enum vz_place place,
                        struct vz_index *index)
{
    struct vz_error told = *err;
    if (!call->problem.status)
        vz_problem_from(call->arena, vz_call_cancelled(call, &told), place, call->request->body,
                        vz_index_name(index), vz_index_uuid(index), &call->problem);
    return false;
}

/* ---- parameters ---------------------------------------------------------------------------- */

bool vz_call_param(const struct vz_call *call, const char *name, struct vz_slice *value)
{
    const struct vz_http_request *request = call->request;
    for (size_t i = 0; i < request->param_count; i++) {
        if (vz_slice_is(request->params[i].name, name)) {
            *value = request->params[i].value;
            return true;
        }
    }
    return false;
}

struct vz_slice vz_call_text(const struct vz_call *call, const char *name)
{
    struct vz_slice value = {"", 0};
    vz_call_param(call, name, &value);
    return value;
}

bool vz_call_bool(const struct vz_call *call, const char *name, bool otherwise)
{
    struct vz_slice value;
    if (!vz_call_param(call, name, &value))
        return otherwise;
    return !vz_slice_is(value, "false");
}

static bool parse_int(struct vz_slice text, int64_t *out)
{
    char digits[24];
    if (text.len == 0 || text.len >= sizeof digits)
        return false;
    memcpy(digits, text.ptr, text.len);
    digits[text.len] = '\0';
    char *end;
    errno = 0;
    *out = strtoll(digits, &end, 10);
    return *end == '\0' && errno == 0 && !isspace((unsigned char)digits[0]);
}

int64_t vz_call_int(const struct vz_call *call, const char *name, int64_t otherwise)
{
    struct vz_slice value;
    int64_t number;
    if (vz_call_param(call, name, &value) && parse_int(value, &number))
        return number;
    return otherwise;
}

bool vz_time_parse(struct vz_slice text, int64_t *ms)
{
    static const struct {
        const char *unit;
        double ms;
    } units[] = {{"nanos", 1e-6}, {"micros", 1e-3}, {"ms", 1},        {"s", 1000},
                 {"m", 60000},    {"h", 3600000},   {"d", 86400000.0}};
    if (vz_slice_is(text, "-1") || vz_slice_is(text, "0")) {
        *ms = text.len == 2 ? -1 : 0;
        return true;
    }
    char copy[32];
    if (text.len == 0 || text.len >= sizeof copy)
        return false;
    memcpy(copy, text.ptr, text.len);
    copy[text.len] = '\0';
    char *unit;
    double value = strtod(copy, &unit);
    if (unit == copy || !(value >= 0 && value < 1e12) || !isdigit((unsigned char)copy[0]))
        return false;
    for (size_t i = 0; i < VZ_COUNT_OF(units); i++) {
        if (strcasecmp(unit, units[i].unit) == 0) {
            double scaled = value * units[i].ms;
            *ms = scaled > 9e15 ? (int64_t)9e15 : (int64_t)scaled;
            return true;
        }
    }
    return false;
}

bool vz_call_refresh(struct vz_call *call, enum vz_refresh *refresh)
{
    struct vz_slice value;
    *refresh = VZ_REFRESH_NONE;
    if (!vz_call_param(call, "refresh", &value) || vz_slice_is(value, "false"))
        return true;
    if (value.len == 0 || vz_slice_is(value, "true"))
        *refresh = VZ_REFRESH_TRUE;
    else if (vz_slice_is(value, "wait_for"))
        *refresh = VZ_REFRESH_WAIT_FOR;
    else
        return vz_call_fail(call, 400, "illegal_argument_exception",
                            "Unknown value for refresh: [%.*s].", VZ_S(value));
    return true;
}

static bool is_blank(struct vz_slice text)
{
    for (size_t i = 0; i < text.len; i++)
        if (!isspace((unsigned char)text.ptr[i]))
            return false;
    return true;
}

bool vz_call_body(struct vz_call *call, enum vz_place place, bool required, struct vz_json *body)
{
    *body = (struct vz_json){0};
    struct vz_slice text = call->request->body;
    if (text.len == 0 || is_blank(text)) {
        if (!required)
            return true;
        return vz_call_fail(call, 400, "parse_exception", "request body is required");
    }
    struct vz_error err = {0};
    if (place == VZ_AT_SEARCH && vz_scripts_may_be_named(text) &&
        !vz_scripts_inline(call, call->arena, text, &text, &call->problem))
        return false;
    if (vz_json_parse_padded(text, &call->doc, body, &err) != VZ_OK)
        return vz_call_fail_error(call, &err, place);
    struct vz_slice twice;
    if (vz_json_find_duplicate(*body, &twice)) {
        vz_fail(&err, VZ_BAD_JSON, "Duplicate field '%.*s'", (int)twice.len, twice.ptr);
        return vz_call_fail_error(call, &err, place);
    }
    if (vz_json_type(*body) != VZ_JSON_OBJECT) {
        if (place == VZ_AT_SEARCH || place == VZ_AT_BODY)
            return vz_call_fail(
                call, 400, "parsing_exception", "Expected [START_OBJECT] but found [%s]",
                vz_json_type(*body) == VZ_JSON_ARRAY ? "START_ARRAY" : vz_json_type_name(*body));
        return vz_call_fail(call, 400, "parse_exception",
                            "Failed to parse content to map: expected an object but found [%s]",
                            vz_json_type_name(*body));
    }
    return true;
}

/* ---- answers ------------------------------------------------------------------------------- */

unsigned vz_call_took_ms(const struct vz_call *call)
{
    return (unsigned)((vz_now_ns() - call->start_ns) / 1000000u);
}

bool vz_call_fits(struct vz_call *call, size_t bytes)
{
    size_t limit = call->rest->max_answer_bytes;
    if (bytes <= limit)
        return true;
    vz_call_fail(call, 429, "circuit_breaking_exception",
                 "[request] Data too large, the answer would be [%zu] bytes, which is larger than "
                 "the limit of [%zu]",
                 bytes, limit);
    call->problem.is_circuit = true;
    return false;
}

void vz_call_acknowledge(struct vz_call *call)
{
    vz_buf_append_str(&call->response->body, "{\"acknowledged\":true}");
}

void vz_call_shards(struct vz_json_writer *w, unsigned total, unsigned successful,
                    bool with_skipped)
{
    vz_json_key(w, "_shards");
    vz_json_begin_object(w);
    vz_json_field_int(w, "total", total);
    vz_json_field_int(w, "successful", successful);
    if (with_skipped)
        vz_json_field_int(w, "skipped", 0);
    vz_json_field_int(w, "failed", 0);
    vz_json_end_object(w);
}

size_t vz_split(struct vz_arena *arena, struct vz_slice text, struct vz_slice **parts)
{
    size_t count = 0, capacity = 1;
    for (size_t i = 0; i < text.len; i++)
        capacity += text.ptr[i] == ',';
    *parts = vz_arena_alloc(arena, capacity * sizeof **parts);
    while (text.len) {
        const char *comma = memchr(text.ptr, ',', text.len);
        size_t len = comma ? (size_t)(comma - text.ptr) : text.len;
        if (len)
            (*parts)[count++] = (struct vz_slice){text.ptr, len};
        size_t skip = comma ? len + 1 : len;
        text.ptr += skip;
        text.len -= skip;
    }
    return count;
}

/* ---- _source ------------------------------------------------------------------------------- */

static struct vz_json_patterns patterns_of(struct vz_arena *arena, struct vz_slice list)
{
    struct vz_slice *items;
    size_t count = vz_split(arena, list, &items);
    return (struct vz_json_patterns){items, count};
}

void vz_source_of_params(struct vz_call *call, struct vz_source_choice *choice)
{
    struct vz_slice value;
    *choice = (struct vz_source_choice){0};
    if (vz_call_param(call, "_source", &value)) {
        if (vz_slice_is(value, "false"))
            choice->off = true;
        else if (value.len && !vz_slice_is(value, "true"))
            choice->includes = patterns_of(call->arena, value);
    }
    if (vz_call_param(call, "_source_includes", &value) && value.len)
        choice->includes = patterns_of(call->arena, value);
    if (vz_call_param(call, "_source_excludes", &value) && value.len)
        choice->excludes = patterns_of(call->arena, value);
}

static bool pattern_list(struct vz_arena *arena, struct vz_json value,
                         struct vz_json_patterns *patterns)
{
    if (vz_json_type(value) == VZ_JSON_STRING) {
        struct vz_slice *item = vz_arena_alloc(arena, sizeof *item);
        *item = vz_json_string(value);
        *patterns = (struct vz_json_patterns){item, 1};
        return true;
    }
    if (vz_json_type(value) != VZ_JSON_ARRAY)
        return false;
    size_t count = 0;
    struct vz_slice *items = vz_arena_alloc(arena, (vz_json_count(value) + 1) * sizeof *items);
    struct vz_json_iter it = vz_json_iterate(value);
    struct vz_json item;
    while (vz_json_next(&it, NULL, &item)) {
        if (vz_json_type(item) != VZ_JSON_STRING)
            return false;
        items[count++] = vz_json_string(item);
    }
    *patterns = (struct vz_json_patterns){items, count};
    return true;
}

bool vz_source_of_json(struct vz_arena *arena, struct vz_json value,
                       struct vz_source_choice *choice)
{
    *choice = (struct vz_source_choice){0};
    enum vz_json_type type = vz_json_type(value);
    if (type == VZ_JSON_MISSING)
        return true;
    if (type == VZ_JSON_BOOL) {
        choice->off = !vz_json_bool(value);
        return true;
    }
    if (type != VZ_JSON_OBJECT)
        return pattern_list(arena, value, &choice->includes);
    struct vz_json_iter it = vz_json_iterate(value);
    struct vz_slice key;
    struct vz_json member;
    while (vz_json_next(&it, &key, &member)) {
        struct vz_json_patterns *into;
        if (vz_slice_is(key, "includes") || vz_slice_is(key, "include"))
            into = &choice->includes;
        else if (vz_slice_is(key, "excludes") || vz_slice_is(key, "exclude"))
            into = &choice->excludes;
        else if (vz_slice_is(key, "exclude_vectors"))
            continue; /* vectors are in _source here unless excluded by name, as in 8.19 */
        else
            return false;
        if (!pattern_list(arena, member, into))
            return false;
    }
    return true;
}

void vz_source_print(const struct vz_source_choice *choice, struct vz_slice source,
                     struct vz_json_writer *w)
{
    if (choice->includes.count == 0 && choice->excludes.count == 0) {
        vz_json_put_raw(w, source);
        return;
    }
    struct vz_json_doc *doc;
    struct vz_json root;
    struct vz_buf filtered = {0};
    if (vz_json_parse(source, &doc, &root, NULL) == VZ_OK) {
        vz_json_filter_source(root, choice->includes, choice->excludes, &filtered);
        vz_json_put_raw(w, vz_buf_slice(&filtered));
        vz_json_free(doc);
    } else {
        vz_json_put_raw(w, VZ_SLICE("{}"));
    }
    vz_buf_deinit(&filtered);
}

int vz_write_status(enum vz_write_result result, const char **word)
{
    switch (result) {
    case VZ_RESULT_CREATED:
        *word = "created";
        return 201;
    case VZ_RESULT_UPDATED:
        *word = "updated";
        return 200;
    case VZ_RESULT_DELETED:
        *word = "deleted";
        return 200;
    case VZ_RESULT_NOT_FOUND:
        *word = "not_found";
        return 404;
    case VZ_RESULT_NOOP:
        *word = "noop";
        return 200;
    }
    *word = "updated";
    return 200;
}
