#include "app/transport.h"

#include "json/json.h"

static enum vz_status status_of_http(int http_status, struct vz_slice type)
{
    if (vz_slice_is(type, "index_not_found_exception"))
        return VZ_NO_INDEX;
    switch (http_status) {
    case 404:
        return VZ_NOT_FOUND;
    case 409:
        return VZ_CONFLICT;
    case 413:
        return VZ_LIMIT;
    case 429:
        return VZ_BUSY;
    case 507:
        return VZ_DISK_FULL;
    default:
        return http_status >= 500 ? VZ_IO : VZ_BAD_ARGUMENT;
    }
}

enum vz_status vz_transport_check(int http_status, struct vz_slice answer, const char *doing,
                                  struct vz_error *err)
{
    if (http_status >= 200 && http_status < 300)
        return VZ_OK;
    struct vz_json_doc *doc = NULL;
    struct vz_json root = {0}, value;
    struct vz_slice reason = {answer.ptr, VZ_MIN(answer.len, (size_t)200)}, type = {0};
    if (vz_json_parse(answer, &doc, &root, NULL) == VZ_OK) {
        if (vz_json_get_path(root, "error.reason", &value))
            reason = vz_json_string(value);
        if (vz_json_get_path(root, "error.type", &value))
            type = vz_json_string(value);
    }
    enum vz_status status =
        vz_fail(err, status_of_http(http_status, type), "%s: %.*s (HTTP %d)", doing,
                (int)VZ_MIN(reason.len, (size_t)360), reason.ptr ? reason.ptr : "", http_status);
    vz_json_free(doc);
    return status;
}
