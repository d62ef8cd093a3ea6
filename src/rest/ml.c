/* Small things of the machine learning groups: errors in Elasticsearch's words, ids, deadlines. */
#include "rest/ml.h"

#include "base/thread.h"

#include <ctype.h>

bool vz_ml_there(struct vz_call *call)
{
    if (call->rest->infer)
        return true;
    return vz_call_fail(call, 400, "illegal_argument_exception",
                        "this process runs no models; start it with `vizsla serve`");
}

bool vz_ml_fail(struct vz_call *call, const struct vz_error *err)
{
    static const struct {
        enum vz_status status;
        int http;
        const char *type;
    } table[] = {
        {VZ_NOT_FOUND, 404, "resource_not_found_exception"},
        {VZ_CANCELLED, 408, "status_exception"},
        {VZ_BUSY, 429, "es_rejected_execution_exception"},
        {VZ_EXISTS, 409, "status_exception"},
        {VZ_BAD_NAME, 400, "illegal_argument_exception"},
        {VZ_UNSUPPORTED, 400, "illegal_argument_exception"},
        {VZ_CORRUPT, 400, "illegal_argument_exception"},
        {VZ_BAD_JSON, 400, "illegal_argument_exception"},
        {VZ_BAD_QUERY, 400, "illegal_argument_exception"},
    };
    for (size_t i = 0; i < VZ_COUNT_OF(table); i++)
        if (table[i].status == err->status)
            return vz_call_fail(call, table[i].http, table[i].type, "%s", err->text);
    return vz_call_fail_error(call, err, VZ_AT_REQUEST);
}

enum vz_status vz_ml_search_error(enum vz_status status, struct vz_error *err)
{
    if (status == VZ_BAD_NAME || status == VZ_CORRUPT || status == VZ_BAD_IMAGE ||
        status == VZ_UNSUPPORTED || status == VZ_BAD_JSON) {
        if (err)
            err->status = VZ_BAD_ARGUMENT;
        return VZ_BAD_ARGUMENT;
    }
    return status;
}

static bool timeout_is_positive(const struct vz_call *call)
{
    struct vz_slice text = vz_call_text(call, "timeout");
    for (size_t i = 0; i < text.len; i++)
        if (text.ptr[i] >= '1' && text.ptr[i] <= '9')
            return true;
    return false;
}

uint64_t vz_ml_deadline(struct vz_call *call, int64_t otherwise_ms)
{
    struct vz_slice text;
    int64_t ms = otherwise_ms;
    if (vz_call_param(call, "timeout", &text))
        vz_time_parse(text, &ms); /* checked by the router */
    /* "1micros" is no time at all, which is not the same as no limit. */
    if (ms == 0 && timeout_is_positive(call))
        return call->start_ns + 1;
    return ms > 0 && ms < INT64_MAX / 1000000 ? call->start_ns + (uint64_t)ms * 1000000 : 0;
}

bool vz_ml_check_id(struct vz_call *call, const char *what, struct vz_slice name)
{
    bool good = name.len > 0 && name.len <= 64;
    for (size_t i = 0; good && i < name.len; i++) {
        char c = name.ptr[i];
        bool edge = i == 0 || i + 1 == name.len;
        good = islower((unsigned char)c) || isdigit((unsigned char)c) ||
               (!edge && (c == '-' || c == '_' || c == '.'));
    }
    if (good)
        return true;
    return vz_call_fail(
        call, 400, "action_request_validation_exception",
        "Validation Failed: 1: Invalid %s; '%.*s' can contain lowercase alphanumeric (a-z and "
        "0-9), "
        "hyphens or underscores; must start and end with alphanumeric and be at most 64 "
        "characters;",
        what, VZ_S(name));
}

struct vz_json_doc *vz_ml_blob(struct vz_rest *rest, struct vz_slice kind, struct vz_slice name,
                               struct vz_json *root)
{
    struct vz_buf text = {0};
    struct vz_json_doc *doc = NULL;
    if (!vz_store_get_blob(rest->store, kind, name, &text) ||
        vz_json_parse(vz_buf_slice(&text), &doc, root, NULL) != VZ_OK)
        doc = NULL;
    vz_buf_deinit(&text);
    return doc;
}

bool vz_ml_matches(struct vz_slice patterns, struct vz_slice id)
{
    if (!patterns.len || vz_slice_is(patterns, "_all"))
        return true;
    while (patterns.len) {
        const char *comma = memchr(patterns.ptr, ',', patterns.len);
        size_t len = comma ? (size_t)(comma - patterns.ptr) : patterns.len;
        if (len && vz_wildcard_match((struct vz_slice){patterns.ptr, len}, id))
            return true;
        size_t skip = comma ? len + 1 : len;
        patterns.ptr += skip;
        patterns.len -= skip;
    }
    return false;
}

struct vz_json vz_ml_get(struct vz_json object, const char *key)
{
    struct vz_json value = {0};
    vz_json_get(object, key, &value);
    return value;
}

unsigned vz_ml_processors(void)
{
    return vz_cpu_count();
}
