/* What models are asked about, as clients write it: texts and pictures, alone, in lists, in lists
 * of lists, in form uploads. One reader for `_inference`, `_infer` and query_vector_builder, so
 * that a picture is accepted wherever an input is. */
#include "rest/ml.h"

#include <stdio.h>
#include <strings.h>

#define MAX_INPUTS 10000
#define MAX_PARTS 1000

/* ---- one input ----------------------------------------------------------------------------------
 */

static enum vz_status read_text(const struct vz_infer *infer, struct vz_slice text,
                                struct vz_arena *arena, struct vz_infer_input *out,
                                struct vz_error *err)
{
    if (vz_infer_is_data_uri(text)) {
        out->is_image = true;
        return vz_infer_data_uri(infer, text, arena, &out->bytes, err);
    }
    if (vz_slice_starts(text, "data:image/"))
        return vz_fail(err, VZ_BAD_ARGUMENT,
                       "expected a picture as [data:image/...;base64,...], got [%.*s]",
                       (int)VZ_MIN(text.len, (size_t)40), text.ptr);
    out->text = vz_arena_copy(arena, text);
    return VZ_OK;
}

static enum vz_status read_image(const struct vz_infer *infer, struct vz_json object,
                                 struct vz_arena *arena, struct vz_infer_input *out,
                                 struct vz_error *err)
{
    struct vz_json value;
    out->is_image = true;
    if (vz_json_get(object, "file", &value))
        return vz_infer_file(infer, vz_json_string(value), arena, &out->bytes, err);
    struct vz_slice text = vz_json_string(vz_ml_get(object, "value"));
    if (vz_slice_starts(text, "data:"))
        return vz_infer_data_uri(infer, text, arena, &out->bytes, err);
    return vz_infer_base64(infer, text, arena, &out->bytes, err);
}

static enum vz_status read_object(const struct vz_infer *infer, struct vz_json object,
                                  struct vz_arena *arena, struct vz_infer_input *out,
                                  struct vz_error *err)
{
    static const char *const known[] = {"type", "format", "value", "file", "weight"};
    struct vz_json_iter it = vz_json_iterate(object);
    struct vz_slice key;
    struct vz_json value;
    while (vz_json_next(&it, &key, &value)) {
        size_t i = 0;
        while (i < VZ_COUNT_OF(known) && !vz_slice_is(key, known[i]))
            i++;
        if (i == VZ_COUNT_OF(known))
            return vz_fail(err, VZ_BAD_QUERY, "[InferenceString] unknown field [%.*s]",
                           (int)VZ_MIN(key.len, (size_t)60), key.ptr);
    }
    if (vz_json_get(object, "weight", &value)) {
        out->weight = (float)vz_json_double(value);
        if (!vz_json_is_number(value) || !(out->weight > -1e6f && out->weight < 1e6f) ||
            out->weight == 0)
            return vz_fail(err, VZ_BAD_ARGUMENT, "[weight] must be a number other than 0");
    }
    struct vz_slice type = vz_json_string(vz_ml_get(object, "type"));
    struct vz_slice format = vz_json_string(vz_ml_get(object, "format"));
    bool is_text = vz_slice_is(type, "text"), is_image = vz_slice_is(type, "image");
    bool has_value = vz_json_type(vz_ml_get(object, "value")) == VZ_JSON_STRING;
    bool has_file = vz_json_type(vz_ml_get(object, "file")) == VZ_JSON_STRING;
    if (!is_text && !is_image)
        return vz_fail(err, VZ_BAD_ARGUMENT, "[type] of an input is [text] or [image], not [%.*s]",
                       (int)VZ_MIN(type.len, (size_t)40), type.ptr ? type.ptr : "");
    if (has_value == has_file || (has_file && is_text))
        return vz_fail(err, VZ_BAD_ARGUMENT, "an input of type [%.*s] wants %s", (int)type.len,
                       type.ptr, is_text ? "a [value]" : "either a [value] or a [file]");
    if (format.len && !vz_slice_is(format, is_text ? "text" : "base64"))
        return vz_fail(err, VZ_BAD_ARGUMENT, "[format] of an input of type [%.*s] is [%s]",
                       (int)type.len, type.ptr, is_text ? "text" : "base64");
    if (is_image)
        return read_image(infer, object, arena, out, err);
    out->text = vz_arena_copy(arena, vz_json_string(vz_ml_get(object, "value")));
    return VZ_OK;
}

enum vz_status vz_ml_input(const struct vz_infer *infer, struct vz_json value,
                           struct vz_arena *arena, struct vz_infer_input *out, struct vz_error *err)
{
    *out = (struct vz_infer_input){0};
    enum vz_json_type type = vz_json_type(value);
    if (type == VZ_JSON_STRING)
        return read_text(infer, vz_json_string(value), arena, out, err);
    if (type == VZ_JSON_OBJECT)
        return read_object(infer, value, arena, out, err);
    return vz_fail(err, VZ_BAD_ARGUMENT,
                   "an input is a string or an object with [type] and [value], not %s",
                   vz_json_type_name(value));
}

enum vz_status vz_ml_alone(const struct vz_infer_input *input, struct vz_error *err)
{
    if (input->weight == 0)
        return VZ_OK;
    return vz_fail(err, VZ_BAD_ARGUMENT,
                   "[weight] of an input that stands alone: it weighs the parts of one question");
}

/* ---- groups -------------------------------------------------------------------------------- */

static size_t count_inputs(struct vz_json value)
{
    size_t count = 0;
    struct vz_json item, content;
    if (vz_json_type(value) == VZ_JSON_OBJECT && vz_json_get(value, "content", &content))
        return count_inputs(content);
    if (vz_json_type(value) != VZ_JSON_ARRAY)
        return 1;
    struct vz_json_iter it = vz_json_iterate(value);
    while (vz_json_next(&it, NULL, &item))
        count += count_inputs(item);
    return count;
}

/* One group: an input, a list of inputs, or {"content": either}. */
static enum vz_status read_group(const struct vz_infer *infer, struct vz_json value,
                                 struct vz_arena *arena, struct vz_ml_groups *out,
                                 struct vz_error *err)
{
    struct vz_json content, item;
    size_t *size = &out->sizes[out->count++];
    *size = 0;
    if (vz_json_type(value) == VZ_JSON_OBJECT && vz_json_get(value, "content", &content)) {
        if (vz_json_count(value) != 1)
            return vz_fail(err, VZ_BAD_QUERY, "an object with [content] has no other members");
        value = content;
    }
    if (vz_json_type(value) != VZ_JSON_ARRAY) {
        *size = 1;
        return vz_ml_input(infer, value, arena, &out->inputs[out->input_count++], err);
    }
    struct vz_json_iter it = vz_json_iterate(value);
    enum vz_status status = VZ_OK;
    while (status == VZ_OK && vz_json_next(&it, NULL, &item)) {
        status = vz_ml_input(infer, item, arena, &out->inputs[out->input_count++], err);
        ++*size;
    }
    if (status == VZ_OK && !*size)
        status = vz_fail(err, VZ_BAD_ARGUMENT, "an input that is a list must not be empty");
    return status;
}

enum vz_status vz_ml_groups(const struct vz_infer *infer, struct vz_json value,
                            struct vz_arena *arena, struct vz_ml_groups *out, struct vz_error *err)
{
    struct vz_json item;
    *out = (struct vz_ml_groups){0};
    size_t count = count_inputs(value);
    if (count > MAX_INPUTS)
        return vz_fail(err, VZ_LIMIT, "%zu inputs in one request: the limit is %d", count,
                       MAX_INPUTS);
    bool is_list = vz_json_type(value) == VZ_JSON_ARRAY;
    size_t groups = is_list ? vz_json_count(value) : 1;
    out->inputs = vz_arena_zalloc(arena, (count + 1) * sizeof *out->inputs);
    out->sizes = vz_arena_zalloc(arena, (groups + 1) * sizeof *out->sizes);
    out->is_single = !is_list;
    if (!is_list)
        return read_group(infer, value, arena, out, err);
    struct vz_json_iter it = vz_json_iterate(value);
    enum vz_status status = VZ_OK;
    while (status == VZ_OK && vz_json_next(&it, NULL, &item))
        status = read_group(infer, item, arena, out, err);
    if (status == VZ_OK && !out->count)
        status = vz_fail(err, VZ_BAD_ARGUMENT, "[input] must not be empty");
    return status;
}

/* ---- uploads ------------------------------------------------------------------------------- */

/* The boundary of multipart/form-data (RFC 7578, RFC 2046: 1 to 70 characters). */
static struct vz_slice boundary_of(struct vz_slice type)
{
    const char *at = type.len ? memmem(type.ptr, type.len, "boundary=", 9) : NULL;
    struct vz_slice out = {0};
    if (!at)
        return out;
    at += 9;
    const char *end = type.ptr + type.len;
    bool quoted = at < end && *at == '"';
    at += quoted;
    out.ptr = at;
    while (at < end && (quoted ? *at != '"' : *at != ';' && *at != ' ' && *at != ','))
        at++;
    out.len = (size_t)(at - out.ptr);
    return out.len >= 1 && out.len <= 70 ? out : (struct vz_slice){0};
}

/* The value of `name="..."` in a part's Content-Disposition. */
static bool disposition(struct vz_slice head, const char *name, struct vz_slice *value)
{
    char want[32];
    int len = snprintf(want, sizeof want, "%s=\"", name);
    for (const char *at = head.ptr, *end = head.ptr + head.len; at + len <= end; at++) {
        bool begins = at == head.ptr || at[-1] == ' ' || at[-1] == ';' || at[-1] == '\t';
        if (!begins || strncasecmp(at, want, (size_t)len) != 0)
            continue;
        const char *close = memchr(at + len, '"', (size_t)(end - at) - (size_t)len);
        if (!close)
            return false;
        *value = (struct vz_slice){at + len, (size_t)(close - at) - (size_t)len};
        return true;
    }
    return false;
}

/* The next part: *head and *content; advances *rest behind it. False at the closing boundary or
 * where the form is broken (*broken). */
static bool next_part(struct vz_slice *rest, struct vz_slice mark, struct vz_slice *head,
                      struct vz_slice *content, bool *broken)
{
    *broken = false;
    if (rest->len >= 2 && memcmp(rest->ptr, "--", 2) == 0)
        return false;
    *broken = true;
    if (rest->len < 2 || memcmp(rest->ptr, "\r\n", 2) != 0)
        return false;
    const char *blank = memmem(rest->ptr, rest->len, "\r\n\r\n", 4);
    if (!blank)
        return false;
    *head = (struct vz_slice){rest->ptr + 2, (size_t)(blank - rest->ptr) - 2 + 2};
    const char *start = blank + 4, *end = rest->ptr + rest->len;
    const char *close = memmem(start, (size_t)(end - start), mark.ptr, mark.len);
    if (!close)
        return false;
    *content = (struct vz_slice){start, (size_t)(close - start)};
    rest->ptr = close + mark.len;
    rest->len = (size_t)(end - rest->ptr);
    *broken = false;
    return true;
}

enum vz_status
vz_ml_multipart(const struct vz_infer *infer, struct vz_slice content_type, struct vz_slice body,
                struct vz_arena *arena, struct vz_ml_groups *out,
                void (*field)(void *context, struct vz_slice name, struct vz_slice value),
                void *context, struct vz_error *err)
{
    struct vz_slice boundary = boundary_of(content_type), head, content;
    bool broken = false;
    *out = (struct vz_ml_groups){0};
    if (!boundary.len)
        return vz_fail(err, VZ_BAD_ARGUMENT, "multipart/form-data without a boundary");
    char *mark = vz_arena_printf(arena, "\r\n--%.*s", VZ_S(boundary));
    struct vz_slice marks = vz_slice_from(mark), first = {mark + 2, marks.len - 2}, rest = body;
    if (rest.len < first.len || memcmp(rest.ptr, first.ptr, first.len) != 0)
        return vz_fail(err, VZ_BAD_ARGUMENT, "the form does not begin with its boundary");
    rest.ptr += first.len;
    rest.len -= first.len;
    out->inputs = vz_arena_zalloc(arena, MAX_PARTS * sizeof *out->inputs);
    out->sizes = vz_arena_zalloc(arena, MAX_PARTS * sizeof *out->sizes);
    while (next_part(&rest, marks, &head, &content, &broken)) {
        struct vz_slice name = {0}, file;
        disposition(head, "name", &name);
        bool is_file =
            disposition(head, "filename", &file) || memmem(head.ptr, head.len, "image/", 6) != NULL;
        if (!is_file && !vz_slice_is(name, "input")) {
            field(context, name, content);
            continue;
        }
        if (out->count == MAX_PARTS)
            return vz_fail(err, VZ_LIMIT, "more than %d inputs in one form", MAX_PARTS);
        struct vz_infer_input *input = &out->inputs[out->input_count++];
        out->sizes[out->count++] = 1;
        *input = (struct vz_infer_input){.is_image = true, .bytes = content};
        enum vz_status status = VZ_OK;
        if (!is_file) {
            *input = (struct vz_infer_input){0};
            status = read_text(infer, content, arena, input, err);
        }
        if (status != VZ_OK)
            return status;
    }
    if (broken)
        return vz_fail(err, VZ_BAD_ARGUMENT, "the form is cut off or broken");
    if (!out->count)
        return vz_fail(err, VZ_BAD_ARGUMENT, "the form has no file and no [input]");
    return VZ_OK;
}
