/* store/document_vector.c - a dense_vector's array: its floats into the arena, checked and made
 * unit length; its place in the text remembered; and the source with all of them cut out.
 *
 * This is the hot part of bulk loading. The floats come straight from the parsed tape, the array's
 * extent was found by one memchr, and the norm runs over eight lanes of doubles that the compiler
 * turns into vector code.
 */
#include "store/document_parts.h"
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

/* "Preview of invalid vector: [-12.1, 2.7, ...]" */
static enum vz_status bad_magnitude(struct vz_doc_reader *reader, const char *place,
                                    const struct vz_field *field, const float *v, size_t dims,
                                    const char *reason)
{
    struct vz_buf text = {0};
    struct vz_buf shown = {0};
    for (size_t i = 0; i < VZ_MIN(dims, (size_t)5); i++) {
        struct vz_json_writer w = vz_json_writer_on(&shown);
        vz_json_put_float(&w, v[i]);
        vz_buf_append_str(&shown, i + 1 < dims ? ", " : "");
    }
    if (dims > 5)
        vz_buf_append_str(&shown, "...");
    vz_buf_printf(&text, "%s Preview of invalid vector: [%.*s]", reason, (int)shown.len,
                  shown.data);
    vz_doc_fault(reader, place, "failed to parse: field [%.*s]: %s", (int)field->path.len,
                 field->path.ptr, text.data);
    vz_fail_cause(reader->err, "%s", text.data);
    vz_buf_deinit(&shown);
    vz_buf_deinit(&text);
    return VZ_BAD_DOCUMENT;
}

static enum vz_status finish_floats(struct vz_doc_reader *reader, const struct vz_field *field,
                                    const char *place, float *v, struct vz_doc_vector *out)
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

static enum vz_status wrong_dims(struct vz_doc_reader *reader, const struct vz_field *field,
                                 const char *place, size_t count)
{
    if (field->dims == 0)
        return vz_doc_fault(reader, place,
                            "failed to parse: The number of dimensions of field [%.*s] should be "
                            "in the range [1, %d] but was [%zu]",
                            (int)field->path.len, field->path.ptr, VZ_MAX_DIMS, count);
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
        (struct vz_value){.field = field->id, .kind = VZ_COLUMN_PRESENCE};
    reader->values_sorted = false;
}

enum vz_status vz_doc_read_vector(struct vz_doc_reader *reader, const struct vz_field *field,
                                  struct vz_json array, const char *start, const char *end)
{
    size_t count = vz_json_count(array);
    if (field->dims ? count != field->dims : count < 1 || count > VZ_MAX_DIMS) {
        /* A list that does not hold numbers is not short of dimensions: say what it holds. */
        float one;
        struct vz_error inner = {0};
        if (count && vz_json_floats(array, &one, 1, &count, &inner) != VZ_OK)
            return vz_doc_fault(reader, start,
                                "failed to parse: The [dense_vector] field [%.*s]: "
                                "%s",
                                (int)field->path.len, field->path.ptr, inner.text);
        return wrong_dims(reader, field, start, count);
    }
    if (!field->under_nested && set_seen(reader, field))
        return vz_doc_fault(reader, start,
                            "failed to parse: Field [%.*s] of type [dense_vector] doesn't support "
                            "indexing multiple values for the same field in the same document",
                            (int)field->path.len, field->path.ptr);
    float *v = vz_arena_alloc(reader->arena, count * sizeof *v);
    struct vz_error inner = {0};
    size_t given = count;
    if (vz_json_floats(array, v, count, &given, &inner) != VZ_OK)
        return vz_doc_fault(reader, start, "failed to parse: The [dense_vector] field [%.*s]: %s",
                            (int)field->path.len, field->path.ptr, inner.text);
    struct vz_doc_vector vector = {.field = field->id, .dims = (uint32_t)count};
    if (field->indexed) {
        enum vz_status status = finish_floats(reader, field, start, v, &vector);
        if (status != VZ_OK)
            return status;
    }
    add_presence(reader, field);
    if (field->dims == 0)
        return note_dims(reader, field, count);
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
