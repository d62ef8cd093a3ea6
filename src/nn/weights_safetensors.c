/* nn/weights_safetensors.c - the safetensors format.
 *
 *     OFFSET  SIZE  MEANING
 *     0       8     N, length of the header
 *     8       N     JSON: {"name": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}, ..}
 *     8 + N   rest  the tensors, row-major; offsets count from here
 *
 * As the reference reader does, we hold a file to this: tensors neither overlap nor leave gaps and
 * together fill the file to its end; names are unique. Unaligned tensors are accepted, as old
 * writers made them.
 * Source: the format's own description (safetensors README), checked against its Rust reader.
 */
#include "nn/weights_parts.h"

#include <inttypes.h>
#include <stdlib.h>

#include "json/json.h"

/* Room for more than 100,000 tensors; a parsed header takes several times its length. */
#define MAX_HEADER_BYTES (16u << 20)

struct span {
    uint64_t begin, end;
    struct vz_slice name;
};

struct header {
    const struct nn_weights_file *file;
    const unsigned char *data;
    uint64_t data_bytes;
    struct span *spans;
    size_t span_count;
};

static enum vz_status fail_tensor(const struct header *h, struct vz_slice name, const char *what,
                                  struct vz_error *err)
{
    return vz_fail(err, VZ_CORRUPT, "%s: tensor [%.*s]: %s", h->file->path,
                   (int)VZ_MIN(name.len, 200), name.ptr, what);
}

static bool dtype_parse(struct vz_slice text, enum vz_dtype *out)
{
    for (int i = VZ_F32; i <= VZ_BOOL; i++)
        if (vz_slice_is(text, vz_dtype_name((enum vz_dtype)i))) {
            *out = (enum vz_dtype)i;
            return true;
        }
    return false;
}

static bool natural(struct vz_json value, uint64_t *out)
{
    int64_t number = vz_json_int(value);
    *out = (uint64_t)number;
    return vz_json_type(value) == VZ_JSON_INT && number >= 0;
}

static enum vz_status shape_read(const struct header *h, struct vz_json shape,
                                 struct vz_tensor_view *view, struct vz_error *err)
{
    if (vz_json_type(shape) != VZ_JSON_ARRAY)
        return fail_tensor(h, view->name, "no shape", err);
    if (vz_json_count(shape) > VZ_TENSOR_MAX_RANK)
        return vz_fail(err, VZ_UNSUPPORTED, "%s: tensor [%.*s] has more than %d dimensions",
                       h->file->path, (int)VZ_MIN(view->name.len, 200), view->name.ptr,
                       VZ_TENSOR_MAX_RANK);
    view->count = 1;
    struct vz_json dim;
    struct vz_json_iter it = vz_json_iterate(shape);
    while (vz_json_next(&it, NULL, &dim)) {
        uint64_t *to = &view->dims[view->rank++];
        if (!natural(dim, to))
            return fail_tensor(h, view->name, "a dimension is no natural number", err);
        if (__builtin_mul_overflow(view->count, *to, &view->count))
            return fail_tensor(h, view->name, "more elements than can be counted", err);
    }
    return VZ_OK;
}

static enum vz_status offsets_read(const struct header *h, struct vz_json offsets,
                                   struct vz_slice name, struct span *out, struct vz_error *err)
{
    struct vz_json begin, end;
    struct vz_json_iter it = vz_json_iterate(offsets);
    if (vz_json_type(offsets) != VZ_JSON_ARRAY || vz_json_count(offsets) != 2 ||
        !vz_json_next(&it, NULL, &begin) || !vz_json_next(&it, NULL, &end) ||
        !natural(begin, &out->begin) || !natural(end, &out->end))
        return fail_tensor(h, name, "data_offsets are not two natural numbers", err);
    if (out->begin > out->end || out->end > h->data_bytes)
        return fail_tensor(h, name, "data_offsets lie outside the file", err);
    out->name = name;
    return VZ_OK;
}

static enum vz_status tensor_read(struct vz_weights *weights, struct header *h,
                                  struct vz_slice name, struct vz_json entry, struct vz_error *err)
{
    struct vz_tensor_view view = {.name = name};
    struct span span;
    struct vz_json dtype = {0}, shape = {0}, offsets = {0};
    vz_json_get(entry, "dtype", &dtype);
    vz_json_get(entry, "shape", &shape);
    vz_json_get(entry, "data_offsets", &offsets);
    struct vz_slice type_name = vz_json_string(dtype);
    if (vz_json_type(dtype) != VZ_JSON_STRING)
        return fail_tensor(h, name, "no dtype", err);
    if (!dtype_parse(type_name, &view.dtype))
        return vz_fail(err, VZ_UNSUPPORTED, "%s: tensor [%.*s] is of type [%.*s]", h->file->path,
                       (int)VZ_MIN(name.len, 200), name.ptr, (int)VZ_MIN(type_name.len, 40),
                       type_name.ptr);
    enum vz_status status = shape_read(h, shape, &view, err);
    if (status == VZ_OK)
        status = offsets_read(h, offsets, name, &span, err);
    if (status != VZ_OK)
        return status;
    uint64_t bytes;
    if (__builtin_mul_overflow(view.count, (uint64_t)vz_dtype_bytes(view.dtype), &bytes) ||
        bytes != span.end - span.begin)
        return fail_tensor(h, name, "data_offsets do not fit the shape", err);
    view.data = h->data + span.begin;
    h->spans[h->span_count++] = span;
    return nn_weights_add(weights, h->file, &view, err);
}

static int span_order(const void *a, const void *b)
{
    const struct span *x = a, *y = b;
    if (x->begin != y->begin)
        return x->begin < y->begin ? -1 : 1;
    return x->end < y->end ? -1 : x->end > y->end;
}

static enum vz_status coverage_check(const struct header *h, struct vz_error *err)
{
    uint64_t at = 0;
    if (h->span_count)
        qsort(h->spans, h->span_count, sizeof *h->spans, span_order);
    for (size_t i = 0; i < h->span_count; i++) {
        if (h->spans[i].begin != at)
            return fail_tensor(
                h, h->spans[i].name,
                h->spans[i].begin < at ? "overlaps another" : "leaves a gap before it", err);
        at = h->spans[i].end;
    }
    if (at != h->data_bytes)
        return vz_fail(err, VZ_CORRUPT,
                       "%s: %" PRIu64 " bytes behind the last tensor belong to none", h->file->path,
                       h->data_bytes - at);
    return VZ_OK;
}

static enum vz_status tensors_read(struct vz_weights *weights, struct header *h,
                                   struct vz_json root, struct vz_error *err)
{
    struct vz_slice name;
    struct vz_json entry;
    if (vz_json_find_duplicate(root, &name))
        return vz_fail(err, VZ_CORRUPT, "%s: the header has two members [%.*s]", h->file->path,
                       (int)VZ_MIN(name.len, 200), name.ptr);
    struct vz_json_iter it = vz_json_iterate(root);
    while (vz_json_next(&it, &name, &entry)) {
        if (vz_slice_is(name, "__metadata__"))
            continue;
        if (vz_json_type(entry) != VZ_JSON_OBJECT)
            return fail_tensor(h, name, "is not described by an object", err);
        enum vz_status status = tensor_read(weights, h, name, entry, err);
        if (status != VZ_OK)
            return status;
    }
    return coverage_check(h, err);
}

enum vz_status nn_weights_read_safetensors(struct vz_weights *weights,
                                           const struct nn_weights_file *file, struct vz_error *err)
{
    uint64_t header_bytes;
    memcpy(&header_bytes, file->bytes, sizeof header_bytes);
    if (file->bytes[8] != '{')
        return vz_fail(err, VZ_CORRUPT, "%s is neither safetensors nor a file of torch.save",
                       file->path);
    if (header_bytes > file->size - 8)
        return vz_fail(err, VZ_CORRUPT, "%s: the header is longer than the file", file->path);
    if (header_bytes > MAX_HEADER_BYTES)
        return vz_fail(err, VZ_LIMIT,
                       "%s: a header of %" PRIu64 " bytes, more than the limit of %u", file->path,
                       header_bytes, MAX_HEADER_BYTES);
    struct vz_slice text = {(const char *)file->bytes + 8, (size_t)header_bytes};
    struct vz_json_doc *doc;
    struct vz_json root;
    struct vz_error why = {0};
    if (vz_json_parse(text, &doc, &root, &why) != VZ_OK)
        return vz_fail(err, why.status == VZ_BUDGET ? VZ_BUDGET : VZ_CORRUPT, "%s: header: %s",
                       file->path, why.text);
    struct header h = {.file = file,
                       .data = file->bytes + 8 + header_bytes,
                       .data_bytes = file->size - 8 - header_bytes};
    h.spans = vz_try_alloc(vz_json_count(root) + 1, sizeof *h.spans);
    enum vz_status status = h.spans ? tensors_read(weights, &h, root, err)
                                    : vz_fail(err, VZ_BUDGET, "%s: out of memory", file->path);
    if (status == VZ_OK)
        weights->bytes += h.data_bytes;
    free(h.spans);
    vz_json_free(doc);
    return status;
}
