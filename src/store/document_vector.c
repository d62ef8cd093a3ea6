/* store/document_vector.c - a dense_vector's array: its floats into the arena, checked and made
 * unit length; its place in the text remembered; and the source with all of them cut out.
 *
 * This is the hot part of bulk loading. The floats come straight from the parsed tape, the array's
 * extent was found by one memchr, and the norm runs over eight lanes of doubles that the compiler
 * turns into vector code.
 */
#include "store/document_parts.h"
#include "store/elements.h"
#include "store/mapping_vector.h"

#include <float.h>
#include <math.h>

#define LANES 8
#define UNIT_EPSILON 1e-6 /* |v|^2 this near to 1 is kept as it is */
#define DOT_EPSILON 1e-4  /* Elasticsearch's own for dot_product */

static double squared_norm(const float *v, size_t dims)
{
    double lanes[LANES] = {0}, sum = 0;
    size_t i = 0;
    for (; i + LANES <= dims; i += LANES) {
        for (size_t j = 0; j < LANES; j++)
            lanes[j] += (double)v[i + j] * (double)v[i + j];
    }
    for (; i < dims; i++)
        sum += (double)v[i] * (double)v[i];
    for (size_t j = 0; j < LANES; j++)
        sum += lanes[j];
    return sum;
}

/* A vector that is refused for what it holds. */
static enum vz_status vector_fault(struct vz_doc_reader *reader, const char *place,
                                   const struct vz_field *field, const char *reason)
{
    vz_doc_fault(reader, place, "failed to parse: field [%.*s]: %s", (int)field->path.len,
                 field->path.ptr, reason);
    vz_fail_cause(reader->err, "%s", reason);
    return VZ_BAD_DOCUMENT;
}

static enum vz_status bad_magnitude(struct vz_doc_reader *reader, const char *place,
                                    const struct vz_field *field, const float *v, size_t dims,
                                    const char *reason)
{
    struct vz_buf text = {0};
    vz_buf_printf(&text, "%s Preview of invalid vector: ", reason);
    vz_vector_preview(v, dims, &text);
    vector_fault(reader, place, field, text.data);
    vz_buf_deinit(&text);
    return VZ_BAD_DOCUMENT;
}

static enum vz_status finish_floats(struct vz_doc_reader *reader, const struct vz_field *field,
                                    const char *place, const float *v, struct vz_doc_vector *out)
{
    size_t dims = out->dims;
    double norm2 = squared_norm(v, dims);
    out->floats = v;
    out->raw = NULL;
    if (norm2 > (double)FLT_MAX)
        return bad_magnitude(reader, place, field, v, dims,
                             "NaN or Infinite magnitude detected, this usually means the vector "
                             "values are too extreme to fit within a float.");
    if (field->similarity == VZ_DOT && fabs(norm2 - 1) > DOT_EPSILON)
        return bad_magnitude(reader, place, field, v, dims,
                             "The [dot_product] similarity can only be used with unit-length "
                             "vectors.");
    if (field->similarity != VZ_COSINE || fabs(norm2 - 1) <= UNIT_EPSILON)
        return VZ_OK;
    if (norm2 == 0)
        return bad_magnitude(reader, place, field, v, dims,
                             "The [cosine] similarity does not support vectors with zero "
                             "magnitude.");
    float *unit = vz_arena_alloc(reader->arena, dims * sizeof *unit);
    double scale = 1 / sqrt(norm2);
    for (size_t i = 0; i < dims; i++)
        unit[i] = (float)((double)v[i] * scale);
    out->floats = unit;
    out->raw = v;
    return VZ_OK;
}

/* The row's bfloat16s of floats that are finished. */
static void halve(struct vz_doc_reader *reader, struct vz_doc_vector *vector)
{
    uint16_t *halves = vz_arena_alloc(reader->arena, vector->dims * sizeof *halves);
    for (uint32_t i = 0; i < vector->dims; i++)
        halves[i] = vz_bf16_of(vector->floats[i]);
    vector->elements = halves;
}

static enum vz_status finish_bytes(struct vz_doc_reader *reader, const struct vz_field *field,
                                   const char *place, const int8_t *bytes,
                                   struct vz_doc_vector *out)
{
    bool any = field->element == VZ_ELEMENT_BIT || field->similarity != VZ_COSINE;
    float shown[6] = {0};
    for (uint32_t i = 0; !any && i < out->dims; i++)
        any = bytes[i] != 0;
    out->elements = bytes;
    if (any)
        return VZ_OK;
    return bad_magnitude(reader, place, field, shown, VZ_MIN(out->dims, 6u),
                         "The [cosine] similarity does not support vectors with zero magnitude.");
}

static enum vz_status wrong_dims(struct vz_doc_reader *reader, const struct vz_field *field,
                                 const char *place, size_t count)
{
    bool bits = field->element == VZ_ELEMENT_BIT;
    if (field->dims == 0)
        return vz_doc_fault(reader, place,
                            "failed to parse: The number of dimensions of field [%.*s] should be "
                            "in the range [%d, %d] but was [%zu]",
                            (int)field->path.len, field->path.ptr, bits ? 8 : 1,
                            bits ? VZ_MAX_BITS : VZ_MAX_DIMS, count);
    return vz_doc_fault(reader, place,
                        "failed to parse: The [dense_vector] field [%.*s] in doc [document with id "
                        "'%.*s'] has a different number of dimensions [%zu] than defined in the "
                        "mapping [%u]",
                        (int)field->path.len, field->path.ptr, (int)reader->id.len, reader->id.ptr,
                        count, field->dims);
}

/* The first vector of a field without dims sets them: the whole definition is merged again. */
static enum vz_status note_dims(struct vz_doc_reader *reader, const struct vz_field *field,
                                size_t dims)
{
    struct vz_buf text = {0};
    struct vz_json_writer w = vz_json_writer_on(&text);
    vz_mapping_print_field(reader->mapping, vz_mapping_node_of(field), (uint32_t)dims, &w);
    enum vz_status status = vz_doc_note(reader, field->path, vz_buf_slice(&text));
    vz_buf_deinit(&text);
    return status;
}

static bool set_seen(struct vz_doc_reader *reader, const struct vz_field *field)
{
    uint64_t bit = 1ull << (field->id & 63), *word = &reader->seen[field->id >> 6];
    bool was = *word & bit;
    *word |= bit;
    return was;
}

static void add_presence(struct vz_doc_reader *reader, const struct vz_field *field)
{
    if (field->under_nested)
        return;
    reader->values = vz_doc_grow(reader, reader->values, reader->value_count,
                                 &reader->value_capacity, sizeof *reader->values);
    reader->values[reader->value_count++] =
        (struct vz_typed_value){.field = field->id, .kind = VZ_COLUMN_PRESENCE};
    reader->values_sorted = false;
}

static bool right_dims(const struct vz_field *field, size_t dims)
{
    size_t most = field->element == VZ_ELEMENT_BIT ? VZ_MAX_BITS : VZ_MAX_DIMS;
    return field->dims ? dims == field->dims : dims >= 1 && dims <= most;
}

static enum vz_status not_numbers(struct vz_doc_reader *reader, const struct vz_field *field,
                                  const char *place, const char *reason)
{
    return vz_doc_fault(reader, place, "failed to parse: The [dense_vector] field [%.*s]: %s",
                        (int)field->path.len, field->path.ptr, reason);
}

/* An array of numbers: floats, or bytes (of bits, eight dimensions each). */
static enum vz_status read_numbers(struct vz_doc_reader *reader, const struct vz_field *field,
                                   struct vz_json array, const char *place,
                                   struct vz_given_vector *given)
{
    size_t count = vz_json_count(array);
    struct vz_error inner = {0};
    given->dims = field->element == VZ_ELEMENT_BIT ? count * 8 : count;
    if (!right_dims(field, given->dims)) {
        /* A list that does not hold numbers is not short of dimensions: say what it holds. */
        float one;
        if (count && vz_json_floats(array, &one, 1, &count, &inner) != VZ_OK)
            return not_numbers(reader, field, place, inner.text);
        return wrong_dims(reader, field, place, given->dims);
    }
    float *v = vz_arena_alloc(reader->arena, count * sizeof *v);
    if (vz_json_floats(array, v, count, &count, &inner) != VZ_OK)
        return not_numbers(reader, field, place, inner.text);
    given->floats = v;
    if (vz_element_is_float(field->element))
        return VZ_OK;
    int8_t *bytes = vz_arena_alloc(reader->arena, count);
    given->bytes = bytes;
    if (vz_vector_bytes(field->element, v, count, bytes, &inner) != VZ_OK)
        return vector_fault(reader, place, field, inner.text);
    return VZ_OK;
}

static enum vz_status read_text(struct vz_doc_reader *reader, const struct vz_field *field,
                                struct vz_json text, const char *place,
                                struct vz_given_vector *given)
{
    struct vz_error inner = {0};
    if (vz_vector_of_text(field, vz_json_string(text), reader->arena, given, &inner) != VZ_OK)
        return vz_doc_fault(reader, place, "failed to parse: The [dense_vector] field [%.*s] %s",
                            (int)field->path.len, field->path.ptr, inner.text);
    return right_dims(field, given->dims) ? VZ_OK : wrong_dims(reader, field, place, given->dims);
}

static enum vz_status finish(struct vz_doc_reader *reader, const struct vz_field *field,
                             const char *place, const struct vz_given_vector *given,
                             struct vz_doc_vector *vector)
{
    if (!vz_element_is_float(field->element))
        return finish_bytes(reader, field, place, given->bytes, vector);
    enum vz_status status = finish_floats(reader, field, place, given->floats, vector);
    if (status == VZ_OK && field->element == VZ_ELEMENT_BFLOAT16)
        halve(reader, vector);
    return status;
}

enum vz_status vz_doc_read_vector(struct vz_doc_reader *reader, const struct vz_field *field,
                                  struct vz_json value, const char *start, const char *end)
{
    struct vz_given_vector given = {0};
    enum vz_status status = vz_json_type(value) == VZ_JSON_STRING
                                ? read_text(reader, field, value, start, &given)
                                : read_numbers(reader, field, value, start, &given);
    if (status != VZ_OK)
        return status;
    if (!field->under_nested && set_seen(reader, field))
        return vz_doc_fault(reader, start,
                            "failed to parse: Field [%.*s] of type [dense_vector] doesn't support "
                            "indexing multiple values for the same field in the same document",
                            (int)field->path.len, field->path.ptr);
    struct vz_doc_vector vector = {.field = field->id,
                                   .dims = (uint32_t)given.dims,
                                   .element = (uint8_t)field->element,
                                   .form = (uint8_t)given.form};
    if (field->indexed) {
        status = finish(reader, field, start, &given, &vector);
        if (status != VZ_OK)
            return status;
    }
    add_presence(reader, field);
    if (field->dims == 0)
        return note_dims(reader, field, given.dims);
    if (!field->indexed)
        return VZ_OK; /* stays in the source */
    size_t capacity = reader->vector_capacity;
    reader->extents = vz_doc_grow(reader, reader->extents, reader->vector_count, &capacity,
                                  sizeof *reader->extents);
    reader->vectors = vz_doc_grow(reader, reader->vectors, reader->vector_count,
                                  &reader->vector_capacity, sizeof *reader->vectors);
    reader->extents[reader->vector_count] = (struct vz_vector_extent){
        (size_t)(start - reader->source.ptr), (size_t)(end - reader->source.ptr)};
    reader->vectors[reader->vector_count++] = vector;
    return VZ_OK;
}

void vz_doc_cut(struct vz_doc_reader *reader, struct vz_document *doc)
{
    doc->source = reader->source;
    doc->vectors = reader->vectors;
    doc->vector_count = reader->vector_count;
    if (reader->vector_count == 0)
        return;
    size_t len = reader->source.len;
    for (size_t i = 0; i < reader->vector_count; i++)
        len -= reader->extents[i].end - reader->extents[i].start;
    len += 4 * reader->vector_count;
    char *cut = vz_arena_alloc(reader->arena, len + 1), *to = cut;
    size_t from = 0;
    for (size_t i = 0; i < reader->vector_count; i++) {
        const struct vz_vector_extent *extent = &reader->extents[i];
        memcpy(to, reader->source.ptr + from, extent->start - from);
        to += extent->start - from;
        reader->vectors[i].offset = (uint32_t)(to - cut);
        memcpy(to, "null", 4);
        to += 4;
        from = extent->end;
    }
    memcpy(to, reader->source.ptr + from, reader->source.len - from);
    cut[len] = 0;
    doc->source = (struct vz_slice){cut, len};
}
