#include "base/status.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* vsnprintf may cut a multi-byte character in two; step back to a whole one. */
static void trim_to_utf8(char *text, size_t capacity)
{
    size_t len = strlen(text);
    if (len + 1 < capacity)
        return;
    while (len > 0 && ((unsigned char)text[len - 1] & 0xC0) == 0x80)
        len--;
    if (len > 0 && (unsigned char)text[len - 1] >= 0xC0)
        len--;
    text[len] = '\0';
}

static void fill(struct vz_error *err, enum vz_status status, size_t offset, const char *format,
                 va_list args)
{
    if (!err)
        return;
    err->status = status;
    err->offset = offset;
    err->cause[0] = '\0';
    vsnprintf(err->text, sizeof err->text, format, args);
    trim_to_utf8(err->text, sizeof err->text);
}

enum vz_status vz_fail(struct vz_error *err, enum vz_status status, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fill(err, status, VZ_NO_OFFSET, format, args);
    va_end(args);
    return status;
}

enum vz_status vz_fail_at(struct vz_error *err, enum vz_status status, size_t offset,
                          const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fill(err, status, offset, format, args);
    va_end(args);
    return status;
}

void vz_fail_cause(struct vz_error *err, const char *format, ...)
{
    if (!err)
        return;
    va_list args;
    va_start(args, format);
    vsnprintf(err->cause, sizeof err->cause, format, args);
    va_end(args);
    trim_to_utf8(err->cause, sizeof err->cause);
}

static enum vz_status status_of_errno(int errno_value)
{
    switch (errno_value) {
    case ENOSPC:
    case EDQUOT:
        return VZ_DISK_FULL;
    case EROFS:
    case EACCES:
    case EPERM:
        return VZ_READ_ONLY;
    case ENOENT:
        return VZ_NOT_FOUND;
    default:
        return VZ_IO;
    }
}

enum vz_status vz_fail_errno(struct vz_error *err, int errno_value, const char *format, ...)
{
    enum vz_status status = status_of_errno(errno_value);
    char what[300];
    va_list args;
    va_start(args, format);
    vsnprintf(what, sizeof what, format, args);
    va_end(args);
    trim_to_utf8(what, sizeof what);
    char reason[128];
    const char *text = strerror_r(errno_value, reason, sizeof reason);
    return vz_fail(err, status, "%s: %s", what, text);
}

const char *vz_status_name(enum vz_status status)
{
    static const char *const names[] = {
        [VZ_OK] = "ok",
        [VZ_BAD_ARGUMENT] = "bad_argument",
        [VZ_BAD_JSON] = "bad_json",
        [VZ_BAD_DOCUMENT] = "bad_document",
        [VZ_BAD_MAPPING] = "bad_mapping",
        [VZ_BAD_QUERY] = "bad_query",
        [VZ_BAD_IMAGE] = "bad_image",
        [VZ_BAD_NAME] = "bad_name",
        [VZ_UNSUPPORTED] = "unsupported",
        [VZ_STRICT_MAPPING] = "strict_mapping",
        [VZ_NOT_FOUND] = "not_found",
        [VZ_NO_INDEX] = "no_index",
        [VZ_CLOSED] = "closed",
        [VZ_EXISTS] = "exists",
        [VZ_CONFLICT] = "conflict",
        [VZ_LIMIT] = "limit",
        [VZ_BUDGET] = "budget",
        [VZ_BUSY] = "busy",
        [VZ_CANCELLED] = "cancelled",
        [VZ_IO] = "io",
        [VZ_DISK_FULL] = "disk_full",
        [VZ_READ_ONLY] = "read_only",
        [VZ_CORRUPT] = "corrupt",
        [VZ_INTERNAL] = "internal",
    };
    if ((size_t)status >= sizeof names / sizeof names[0] || !names[status])
        return "unknown";
    return names[status];
}
