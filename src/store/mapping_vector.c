/* store/mapping_vector.c - dense_vector: dims, similarity, index_options; their defaults, limits
 * and the changes that are allowed later. */
#include "store/mapping_vector.h"
#include "store/elements.h"
#include "vector/hnsw.h"

static const char *const similarity_names[] = {
    [VZ_COSINE] = "cosine",
    [VZ_DOT] = "dot_product",
    [VZ_L2] = "l2_norm",
    [VZ_MAX_INNER] = "max_inner_product",
};

/* In the order of Elasticsearch's allowed upgrades: a later kind may replace an earlier one. */
static const struct index_kind {
    const char *name;
    bool flat;
    enum vz_quantize quantize;
    bool even_dims;
    uint32_t min_dims;
} index_kinds[] = {
    {"flat", true, VZ_QUANTIZE_NONE, false, 1},
    {"int8_flat", true, VZ_QUANTIZE_INT8, false, 1},
    {"int4_flat", true, VZ_QUANTIZE_INT4, true, 1},
    {"bbq_flat", true, VZ_QUANTIZE_BIT, false, 64},
    {"hnsw", false, VZ_QUANTIZE_NONE, false, 1},
    {"int8_hnsw", false, VZ_QUANTIZE_INT8, false, 1},
    {"int4_hnsw", false, VZ_QUANTIZE_INT4, true, 1},
    {"bbq_hnsw", false, VZ_QUANTIZE_BIT, false, 64},
    /* Elasticsearch's clusters on disk: here one-bit codes and links in memory, floats on disk. */
    {"bbq_disk", false, VZ_QUANTIZE_BIT, false, 64},
};
#define BBQ_OVERSAMPLE 3.0f
#define DEFAULT_KIND 5 /* int8_hnsw, as 8.19 */
#define PLAIN_KIND 4   /* hnsw */

const char *vz_similarity_name(enum vz_similarity similarity)
{
    return similarity_names[similarity];
}

static size_t find_kind(struct vz_slice name)
{
    size_t i = 0;
    while (i < VZ_COUNT_OF(index_kinds) && !vz_slice_is(name, index_kinds[i].name))
        i++;
    return i;
}

static enum vz_status check_dims(const struct vz_field *field, int64_t dims, struct vz_error *err)
{
    bool bits = field->element == VZ_ELEMENT_BIT;
    int least = bits ? 8 : 1, most = bits ? VZ_MAX_BITS : VZ_MAX_DIMS;
    if (dims < least || dims > most)
        return vz_mapping_fault(
            err, "The number of dimensions should be in the range [%d, %d] but was [%lld]", least,
            most, (long long)dims);
    if (bits && dims % 8)
        return vz_mapping_fault(
            err, "The number of dimensions for should be a multiple of 8 but was [%lld]",
            (long long)dims);
    return VZ_OK;
}

static enum vz_status read_dims(struct vz_mapping_node *node, struct vz_json definition,
                                struct vz_error *err)
{
    struct vz_json value;
    int64_t dims;
    if (!vz_json_get(definition, "dims", &value))
        return VZ_OK;
    if (!vz_json_as_int(value, &dims))
        return vz_mapping_fault(err, "[dims] of field [%.*s] must be an integer, got %s",
                                (int)node->field.path.len, node->field.path.ptr,
                                vz_json_type_name(value));
    enum vz_status status = check_dims(&node->field, dims, err);
    if (status != VZ_OK)
        return status;
    node->field.dims = (uint32_t)dims;
    node->dims_in_params = true;
    return VZ_OK;
}

static enum vz_status read_element_type(struct vz_mapping_node *node, struct vz_json definition,
                                        struct vz_error *err)
{
    struct vz_json value;
    if (!vz_json_get(definition, "element_type", &value))
        return VZ_OK;
    struct vz_slice name = vz_json_string(value);
    if (vz_element_find(name, &node->field.element))
        return VZ_OK;
    return vz_mapping_fault(
        err, "invalid element_type [%.*s]; available types are [float, bfloat16, byte, bit]",
        (int)name.len, name.ptr);
}

static enum vz_status read_similarity(struct vz_mapping_node *node, struct vz_json definition,
                                      struct vz_error *err)
{
    struct vz_json value;
    bool bits = node->field.element == VZ_ELEMENT_BIT;
    node->field.similarity = bits ? VZ_L2 : VZ_COSINE;
    if (!vz_json_get(definition, "similarity", &value))
        return VZ_OK;
    if (!node->field.indexed)
        return vz_mapping_fault(err, "Field [similarity] can only be specified for a field of type "
                                     "[dense_vector] when it is indexed");
    struct vz_slice name = vz_json_string(value);
    for (size_t i = 0; i < VZ_COUNT_OF(similarity_names); i++) {
        if (vz_slice_is(name, similarity_names[i])) {
            node->field.similarity = (enum vz_similarity)i;
            if (bits && i != VZ_L2)
                return vz_mapping_fault(err,
                                        "The [%s] similarity does not support indexing bit vectors",
                                        similarity_names[i]);
            return VZ_OK;
        }
    }
    return vz_mapping_fault(err,
                            "Unknown value [%.*s] for field [similarity] - accepted values are "
                            "[l2_norm, cosine, dot_product, max_inner_product]",
                            (int)name.len, name.ptr);
}

static enum vz_status read_count(struct vz_json options, const char *name, int64_t max,
                                 uint32_t *out, struct vz_error *err)
{
    struct vz_json value;
    int64_t number;
    if (!vz_json_get(options, name, &value))
        return VZ_OK;
    if (!vz_json_as_int(value, &number) || number < 1 || number > max)
        return vz_mapping_fault(err,
                                "[%s] of [index_options] must be an integer in the range "
                                "[1, %lld]",
                                name, (long long)max);
    *out = (uint32_t)number;
    return VZ_OK;
}

static struct vz_slice print_copy(struct vz_mapping *mapping, struct vz_json value)
{
    struct vz_buf text = {0};
    vz_json_print(value, &text);
    struct vz_slice copy = vz_arena_copy(&mapping->arena, vz_buf_slice(&text));
    vz_buf_deinit(&text);
    return copy;
}

static enum vz_status read_quantizing(struct vz_mapping *mapping, struct vz_mapping_node *node,
                                      const struct index_kind *kind, struct vz_json options,
                                      struct vz_error *err)
{
    struct vz_json value, oversample;
    double number;
    if (kind->quantize == VZ_QUANTIZE_BIT)
        node->field.oversample = BBQ_OVERSAMPLE;
    if (vz_json_get(options, "confidence_interval", &value)) {
        if (kind->quantize == VZ_QUANTIZE_NONE || vz_slice_starts(vz_slice_from(kind->name), "bbq"))
            return vz_mapping_fault(err,
                                    "Mapping definition for [%.*s] has unsupported "
                                    "parameters:  [confidence_interval]",
                                    (int)node->field.path.len, node->field.path.ptr);
        if (!vz_json_as_double(value, &number) || (number != 0 && (number < 0.9 || number > 1)))
            return vz_mapping_fault(
                err, "confidence_interval must be between 0.9 and 1.0 or 0; but was [%g]",
                vz_json_double(value));
        node->confidence = print_copy(mapping, value);
    }
    if (vz_json_get(options, "rescore_vector", &value)) {
        if (kind->quantize == VZ_QUANTIZE_NONE)
            return vz_mapping_fault(err,
                                    "Mapping definition for [%.*s] has unsupported "
                                    "parameters:  [rescore_vector]",
                                    (int)node->field.path.len, node->field.path.ptr);
        if (vz_json_type(value) != VZ_JSON_OBJECT ||
            !vz_json_get(value, "oversample", &oversample) ||
            !vz_json_as_double(oversample, &number))
            return vz_mapping_fault(err, "Invalid rescore_vector value. Missing required field "
                                         "oversample");
        if (number != 0 && (number < 1 || number > 10))
            return vz_mapping_fault(err, "oversample must be 0 or in the range [1, 10], got [%g]",
                                    number);
        node->rescore = print_copy(mapping, value);
        node->field.oversample = (float)number;
    }
    return VZ_OK;
}

static enum vz_status check_option_names(const struct vz_mapping_node *node,
                                         const struct index_kind *kind, struct vz_json options,
                                         struct vz_error *err)
{
    struct vz_json_iter it = vz_json_iterate(options);
    struct vz_slice key;
    struct vz_json value;
    while (vz_json_next(&it, &key, &value)) {
        if (vz_slice_is(key, "type") || vz_slice_is(key, "confidence_interval") ||
            vz_slice_is(key, "rescore_vector"))
            continue;
        if (!kind->flat && (vz_slice_is(key, "m") || vz_slice_is(key, "ef_construction")))
            continue;
        struct vz_slice shown = {0};
        struct vz_buf text = {0};
        vz_json_print(value, &text);
        shown = vz_buf_slice(&text);
        vz_mapping_fault(err,
                         "Mapping definition for [%.*s] has unsupported parameters:  "
                         "[%.*s : %.*s]",
                         (int)node->field.path.len, node->field.path.ptr, (int)key.len, key.ptr,
                         (int)VZ_MIN(shown.len, (size_t)60), shown.ptr);
        vz_buf_deinit(&text);
        return VZ_BAD_MAPPING;
    }
    return VZ_OK;
}

static enum vz_status read_options(struct vz_mapping *mapping, struct vz_mapping_node *node,
                                   struct vz_json definition, struct vz_error *err)
{
    struct vz_field *field = &node->field;
    struct vz_json options, value;
    bool small = !vz_element_is_float(field->element); /* nothing to quantize */
    size_t at = small ? PLAIN_KIND : DEFAULT_KIND;
    bool asked = vz_json_get(definition, "index_options", &options);
    field->m = 16;
    field->ef_construction = 100;
    if (asked) {
        if (!field->indexed)
            return vz_mapping_fault(err, "Field [index_options] can only be specified for a field "
                                         "of type [dense_vector] when it is indexed");
        if (vz_json_type(options) != VZ_JSON_OBJECT || !vz_json_get(options, "type", &value))
            return vz_mapping_fault(err, "[index_options] requires field [type] to be configured");
        struct vz_slice name = vz_json_string(value);
        at = find_kind(name);
        if (at == VZ_COUNT_OF(index_kinds))
            return vz_mapping_fault(err,
                                    "Unknown vector index options type [%.*s] for field "
                                    "[%.*s]",
                                    (int)name.len, name.ptr, (int)field->path.len, field->path.ptr);
        if (small && index_kinds[at].quantize != VZ_QUANTIZE_NONE)
            return vz_mapping_fault(err, "[element_type] cannot be [%s] when using index type [%s]",
                                    vz_element_name(field->element), index_kinds[at].name);
        enum vz_status status = check_option_names(node, &index_kinds[at], options, err);
        if (status == VZ_OK)
            status = read_count(options, "m", 512, &field->m, err);
        if (status == VZ_OK)
            status = read_count(options, "ef_construction", 3200, &field->ef_construction, err);
        if (status == VZ_OK)
            status = read_quantizing(mapping, node, &index_kinds[at], options, err);
        if (status != VZ_OK)
            return status;
    }
    const struct index_kind *kind = &index_kinds[at];
    field->flat = kind->flat;
    field->quantize = kind->quantize;
    field->index_type = vz_slice_from(kind->name);
    if (field->dims && kind->even_dims && field->dims % 2)
        return vz_mapping_fault(err, "%s only supports even dimensions; provided=%u", kind->name,
                                field->dims);
    if (field->dims && field->dims < kind->min_dims)
        return vz_mapping_fault(err, "%s does not support dimensions fewer than %u; provided=%u",
                                kind->name, kind->min_dims, field->dims);
    return VZ_OK;
}

enum vz_status vz_mapping_read_vector(struct vz_mapping *mapping, struct vz_mapping_node *node,
                                      struct vz_json definition, struct vz_error *err)
{
    struct vz_json value;
    bool indexed = true;
    if (vz_json_get(definition, "index", &value) && !vz_json_as_bool(value, &indexed))
        return vz_mapping_fault(err, "Could not convert [%.*s.index] to boolean",
                                (int)node->field.path.len, node->field.path.ptr);
    node->field.indexed = indexed;
    enum vz_status status = read_element_type(node, definition, err);
    if (status == VZ_OK)
        status = read_dims(node, definition, err);
    if (status == VZ_OK)
        status = read_similarity(node, definition, err);
    if (status == VZ_OK)
        status = read_options(mapping, node, definition, err);
    return status;
}

/* ---- updates ------------------------------------------------------------------------------ */

static enum vz_status conflict(const struct vz_mapping_node *node, const char *name,
                               const char *from, const char *to, struct vz_error *err)
{
    return vz_fail(err, VZ_BAD_MAPPING,
                   "Mapper for [%.*s] conflicts with existing mapper:\n\tCannot update parameter "
                   "[%s] from [%s] to [%s]",
                   (int)node->field.path.len, node->field.path.ptr, name, from, to);
}

static void describe_options(const struct vz_field *field, char *out, size_t out_bytes)
{
    struct vz_buf text = {0};
    vz_buf_printf(&text, "{type=%.*s", (int)field->index_type.len, field->index_type.ptr);
    if (!field->flat)
        vz_buf_printf(&text, ", m=%u, ef_construction=%u", field->m, field->ef_construction);
    vz_buf_append_char(&text, '}');
    size_t len = VZ_MIN(text.len, out_bytes - 1);
    memcpy(out, text.data, len);
    out[len] = 0;
    vz_buf_deinit(&text);
}

enum vz_status vz_mapping_check_vector_update(const struct vz_mapping_node *from,
                                              const struct vz_mapping_node *to,
                                              struct vz_error *err)
{
    const struct vz_field *old = &from->field, *new = &to->field;
    char a[96], b[96];
    if (old->element != new->element)
        return conflict(from, "element_type", vz_element_name(old->element),
                        vz_element_name(new->element), err);
    if (old->dims && old->dims != new->dims) {
        struct vz_buf text = {0};
        vz_buf_printf(&text, new->dims ? "%u" : "null", new->dims);
        size_t len = VZ_MIN(text.len, sizeof b - 1);
        memcpy(b, text.data, len);
        b[len] = 0;
        vz_buf_clear(&text);
        vz_buf_printf(&text, "%u", old->dims);
        conflict(from, "dims", text.data, b, err);
        vz_buf_deinit(&text);
        return VZ_BAD_MAPPING;
    }
    if (old->indexed != new->indexed)
        return conflict(from, "index", old->indexed ? "true" : "false",
                        new->indexed ? "true" : "false", err);
    if (!old->indexed)
        return VZ_OK;
    if (old->similarity != new->similarity)
        return conflict(from, "similarity", vz_similarity_name(old->similarity),
                        vz_similarity_name(new->similarity), err);
    bool upgraded = find_kind(new->index_type) >= find_kind(old->index_type);
    /* As Elasticsearch: more links than before are fine, fewer are not. */
    if (upgraded && (old->flat || new->m >= old->m))
        return VZ_OK;
    describe_options(old, a, sizeof a);
    describe_options(new, b, sizeof b);
    return conflict(from, "index_options", a, b, err);
}

/* ---- printing ----------------------------------------------------------------------------- */

void vz_mapping_print_vector(const struct vz_mapping_node *node, uint32_t dims,
                             struct vz_json_writer *w)
{
    const struct vz_field *field = &node->field;
    if (dims)
        vz_json_field_int(w, "dims", dims);
    vz_json_field_bool(w, "index", field->indexed);
    if (!field->indexed)
        return;
    vz_json_field_str(w, "similarity", vz_similarity_name(field->similarity));
    vz_json_key(w, "index_options");
    vz_json_begin_object(w);
    vz_json_field_string(w, "type", field->index_type);
    if (!field->flat) {
        vz_json_field_int(w, "m", field->m);
        vz_json_field_int(w, "ef_construction", field->ef_construction);
    }
    if (node->confidence.len) {
        vz_json_key(w, "confidence_interval");
        vz_json_put_raw(w, node->confidence);
    }
    if (node->rescore.len) {
        vz_json_key(w, "rescore_vector");
        vz_json_put_raw(w, node->rescore);
    } else if (vz_slice_starts(field->index_type, "bbq")) {
        vz_json_key(w, "rescore_vector");
        vz_json_put_raw(w, VZ_SLICE("{\"oversample\":3.0}"));
    }
    vz_json_end_object(w);
}
