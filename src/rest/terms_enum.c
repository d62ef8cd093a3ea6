/* _terms_enum: terms of a field that begin with a text. */
#include "rest/ml.h"
#include "rest/parts.h"

#include <stdlib.h>

#define MAX_TERMS 10000

static bool bad(struct vz_call *call, struct vz_slice key)
{
    return vz_call_fail(call, 400, "x_content_parse_exception",
                        "[terms_enum_request] failed to parse field [%.*s]", VZ_S(key));
}

/* "500ms", "1s", "2m" */
static bool read_timeout(struct vz_slice text, uint64_t *out_ms)
{
    char copy[24] = {0}, *end;
    if (text.len == 0 || text.len >= sizeof copy)
        return false;
    memcpy(copy, text.ptr, text.len);
    double number = strtod(copy, &end);
    double unit = strcmp(end, "ms") == 0  ? 1
                  : strcmp(end, "s") == 0 ? 1000
                  : strcmp(end, "m") == 0 ? 60000
                                          : 0;
    if (end == copy || unit == 0 || !(number >= 0) || number * unit > 60000)
        return false;
    *out_ms = (uint64_t)(number * unit);
    return true;
}

/* Leaves the targets in which the filter finds a document; false with a problem. */
static bool filter_targets(struct vz_call *call, struct vz_json filter,
                           struct vz_search_target *targets, size_t *count)
{
    struct vz_error err = {.offset = VZ_NO_OFFSET};
    struct vz_json_doc *doc = NULL;
    struct vz_search *search = vz_index_filter(call, filter, &doc);
    size_t kept = 0;
    bool fine = search != NULL;
    for (size_t i = 0; fine && i < *count; i++) {
        uint64_t found = 0;
        if (vz_search_count(&targets[i], 1, search, &found, &err) != VZ_OK)
            fine = vz_call_fail_index(call, &err, VZ_AT_SHARD, targets[i].index);
        if (found)
            targets[kept++] = targets[i];
    }
    *count = kept;
    vz_json_free(doc);
    return fine;
}

static bool read_member(struct vz_call *call, struct vz_slice key, struct vz_json value,
                        struct vz_terms_enum *how, struct vz_json *filter)
{
    int64_t size;
    bool is_text = vz_json_type(value) == VZ_JSON_STRING;
    if (vz_slice_is(key, "field") || vz_slice_is(key, "string") ||
        vz_slice_is(key, "search_after")) {
        if (!is_text)
            return bad(call, key);
        *(vz_slice_is(key, "field")    ? &how->field
          : vz_slice_is(key, "string") ? &how->prefix
                                       : &how->after) = vz_json_string(value);
        return true;
    }
    if (vz_slice_is(key, "size")) {
        if (!vz_json_as_int(value, &size) || size > MAX_TERMS)
            return bad(call, key);
        if (size <= 0)
            return vz_call_fail(call, 400, "action_request_validation_exception",
                                "Validation Failed: 1: size must be > 0;");
        how->size = (size_t)size;
        return true;
    }
    if (vz_slice_is(key, "case_insensitive"))
        return vz_json_as_bool(value, &how->ignore_case) || bad(call, key);
    if (vz_slice_is(key, "timeout"))
        return read_timeout(vz_json_string(value), &how->timeout_ms) || bad(call, key);
    if (vz_slice_is(key, "index_filter")) {
        *filter = value;
        return vz_json_type(value) == VZ_JSON_OBJECT || bad(call, key);
    }
    return vz_call_fail(call, 400, "x_content_parse_exception",
                        "[terms_enum_request] unknown field [%.*s]", VZ_S(key));
}

void vz_rest_terms_enum(struct vz_call *call)
{
    struct vz_terms_enum how = {.size = 10, .timeout_ms = 1000, .prefix = {"", 0}};
    struct vz_json body, value, filter = {0};
    struct vz_resolved resolved;
    struct vz_slice key, *terms;
    struct vz_error err = {.offset = VZ_NO_OFFSET};
    size_t count = 0;
    bool complete;
    if (!vz_call_body(call, VZ_AT_SEARCH, false, &body))
        return;
    struct vz_json_iter it = vz_json_iterate(body);
    while (vz_json_next(&it, &key, &value))
        if (!read_member(call, key, value, &how, &filter))
            return;
    if (how.field.len == 0) {
        vz_call_fail(call, 400, "action_request_validation_exception",
                     "Validation Failed: 1: field cannot be null;");
        return;
    }
    if (!vz_resolve(call, call->args[0], VZ_RESOLVE_ALIASES, &resolved))
        return;
    struct vz_search_target *targets = vz_search_targets(call->arena, &resolved);
    size_t target_count = resolved.count;
    if (vz_json_type(filter) == VZ_JSON_OBJECT &&
        !filter_targets(call, filter, targets, &target_count)) {
        vz_resolved_release(&resolved);
        return;
    }
    enum vz_status status = vz_terms_enum_run(targets, target_count, &how, call->arena, &terms,
                                              &count, &complete, &err);
    if (status != VZ_OK) {
        vz_call_fail_error(call, &err, VZ_AT_SEARCH);
    } else {
        vz_json_begin_object(&call->w);
        vz_call_shards(&call->w, (unsigned)resolved.count, (unsigned)resolved.count, false);
        vz_json_key(&call->w, "terms");
        vz_json_begin_array(&call->w);
        for (size_t i = 0; i < count; i++)
            vz_json_put_string(&call->w, terms[i]);
        vz_json_end_array(&call->w);
        vz_json_field_bool(&call->w, "complete", complete);
        vz_json_end_object(&call->w);
    }
    vz_resolved_release(&resolved);
}
