/* Pictures as clients send them, to bytes and to what a model takes. Everything here comes from
 * outside: sizes are checked before memory is taken, file names before anything is opened. */
#include "infer/parts.h"

#include "base/file.h"
#include "base/text.h"
#include "image/image.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#define SIDE_MEGAPIXELS 100

/* ---- base64 ---- */

static bool starts_without_case(struct vz_slice text, const char *prefix)
{
    size_t len = strlen(prefix);
    return text.len >= len && strncasecmp(text.ptr, prefix, len) == 0;
}

/* The comma behind the data URI's head; NULL when there is none where one may be. */
static const char *data_comma(struct vz_slice text)
{
    return text.len ? memchr(text.ptr, ',', VZ_MIN(text.len, (size_t)200)) : NULL;
}

bool vz_infer_is_data_uri(struct vz_slice text)
{
    const char *comma;
    if (!starts_without_case(text, "data:image/") || !(comma = data_comma(text)))
        return false;
    return comma - text.ptr >= 7 && strncasecmp(comma - 7, ";base64", 7) == 0;
}

enum vz_status vz_infer_base64(const struct vz_infer *infer, struct vz_slice text,
                               struct vz_arena *arena, struct vz_slice *bytes, struct vz_error *err)
{
    struct vz_buf out = {0};
    enum vz_status status = VZ_OK;
    if (text.len / 4 > infer->max_image_bytes / 3 + 1)
        return vz_fail(err, VZ_LIMIT, "a picture of %zu bytes of base64: the limit is %zu bytes",
                       text.len, infer->max_image_bytes);
    if (!vz_base64_decode(text, &out))
        status = vz_fail(err, VZ_BAD_ARGUMENT, "the picture is no base64: byte %zu of %zu",
                         out.len / 3 * 4, text.len);
    else if (!out.len)
        status = vz_fail(err, VZ_BAD_ARGUMENT, "the picture is empty");
    else if (out.len > infer->max_image_bytes)
        status = vz_fail(err, VZ_LIMIT, "a picture of %zu bytes: the limit is %zu", out.len,
                         infer->max_image_bytes);
    else
        *bytes = vz_arena_copy(arena, vz_buf_slice(&out));
    vz_buf_deinit(&out);
    return status;
}

enum vz_status vz_infer_data_uri(const struct vz_infer *infer, struct vz_slice text,
                                 struct vz_arena *arena, struct vz_slice *bytes,
                                 struct vz_error *err)
{
    if (!vz_infer_is_data_uri(text))
        return vz_fail(err, VZ_BAD_ARGUMENT,
                       "expected a picture as [data:image/...;base64,...], got [%.*s]",
                       (int)VZ_MIN(text.len, (size_t)40), text.ptr ? text.ptr : "");
    const char *start = data_comma(text) + 1;
    return vz_infer_base64(infer, (struct vz_slice){start, (size_t)(text.ptr + text.len - start)},
                           arena, bytes, err);
}

/* ---- files ---- */

static enum vz_status check_name(struct vz_slice name, struct vz_error *err)
{
    bool bad = !name.len || name.ptr[0] == '/' || name.len > 1000 ||
               vz_utf8_valid_prefix(name.ptr, name.len) != name.len;
    for (size_t i = 0; !bad && i < name.len; i++)
        bad = (unsigned char)name.ptr[i] < 0x20 || name.ptr[i] == '\\';
    for (size_t i = 0, start = 0; !bad && i <= name.len; i++)
        if (i == name.len || name.ptr[i] == '/') {
            size_t len = i - start;
            bad = !len || (len == 1 && name.ptr[start] == '.') ||
                  (len == 2 && memcmp(name.ptr + start, "..", 2) == 0);
            start = i + 1;
        }
    if (bad)
        return vz_fail(err, VZ_BAD_ARGUMENT,
                       "[%.*s] is no relative file name: no \"..\", no leading slash",
                       (int)VZ_MIN(name.len, (size_t)100), name.ptr ? name.ptr : "");
    return VZ_OK;
}

/* The real path must stay below the folder, so that links lead nowhere else. */
static enum vz_status open_below(const struct vz_infer *infer, struct vz_slice name, int *fd,
                                 struct vz_error *err)
{
    struct vz_buf path = {0};
    enum vz_status status = VZ_OK;
    size_t folder_len = strlen(infer->image_folder);
    vz_buf_printf(&path, "%s/%.*s", infer->image_folder, (int)name.len, name.ptr);
    char *real = realpath(path.data, NULL);
    *fd = -1;
    if (!real)
        status = vz_fail_errno(err, errno, "picture [%.*s] below the image folder", (int)name.len,
                               name.ptr);
    else if (strncmp(real, infer->image_folder, folder_len) != 0 ||
             (folder_len > 1 && real[folder_len] != '/'))
        status = vz_fail(err, VZ_BAD_ARGUMENT, "[%.*s] leads out of the image folder", (int)name.len,
                         name.ptr);
    else if ((*fd = open(real, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK)) < 0)
        status = vz_fail_errno(err, errno, "picture [%.*s]", (int)name.len, name.ptr);
    free(real);
    vz_buf_deinit(&path);
    return status;
}

static enum vz_status read_all(int fd, size_t bytes, struct vz_slice name, struct vz_arena *arena,
                               struct vz_slice *out, struct vz_error *err)
{
    char *data = vz_arena_alloc(arena, bytes + 1);
    size_t got = 0;
    while (got < bytes) {
        ssize_t n = read(fd, data + got, bytes - got);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return vz_fail_errno(err, errno, "picture [%.*s]", (int)name.len, name.ptr);
        if (n == 0)
            break;
        got += (size_t)n;
    }
    *out = (struct vz_slice){data, got};
    return VZ_OK;
}

enum vz_status vz_infer_file(const struct vz_infer *infer, struct vz_slice name,
                             struct vz_arena *arena, struct vz_slice *bytes, struct vz_error *err)
{
    struct stat info;
    int fd;
    if (!infer->image_folder)
        return vz_fail(err, VZ_UNSUPPORTED,
                       "pictures by file name are not allowed here: start the server with "
                       "--image-folder FOLDER to allow those below it");
    enum vz_status status = check_name(name, err);
    if (status == VZ_OK)
        status = open_below(infer, name, &fd, err);
    if (status != VZ_OK)
        return status;
    if (fstat(fd, &info) != 0)
        status = vz_fail_errno(err, errno, "picture [%.*s]", (int)name.len, name.ptr);
    else if (!S_ISREG(info.st_mode))
        status = vz_fail(err, VZ_BAD_ARGUMENT, "[%.*s] is no file", (int)name.len, name.ptr);
    else if ((uint64_t)info.st_size > infer->max_image_bytes)
        status = vz_fail(err, VZ_LIMIT, "[%.*s] holds %lld bytes, the limit is %zu", (int)name.len,
                         name.ptr, (long long)info.st_size, infer->max_image_bytes);
    else
        status = read_all(fd, (size_t)info.st_size, name, arena, bytes, err);
    close(fd);
    return status;
}

/* ---- pixels ---- */

/* "input [3]: " in front of what went wrong. */
static enum vz_status name_input(enum vz_status status, size_t number, struct vz_error *err)
{
    if (err && status != VZ_OK) {
        struct vz_error inner = *err;
        vz_fail(err, status, "input [%zu]: %s", number, inner.text);
        if (inner.cause[0])
            vz_fail_cause(err, "%s", inner.cause);
    }
    return status;
}

enum vz_status image_prepare(const struct vz_infer *infer, const struct vz_opened_model *model,
                             struct vz_slice bytes, size_t number, float *pixels, float *vector,
                             struct vz_error *err)
{
    const struct vz_image_limits limits = {.max_bytes = infer->max_image_bytes,
                                           .max_megapixels = SIDE_MEGAPIXELS};
    struct vz_image image = {0};
    enum vz_status status =
        vz_image_decode(bytes, &limits, vz_model_image_side(model), &image, err);
    if (status == VZ_OK)
        status = pixels ? vz_model_prepare_image(model, &image, pixels, err)
                        : vz_model_embed_image(model, &image, vector, err);
    vz_image_deinit(&image);
    return name_input(status, number, err);
}
