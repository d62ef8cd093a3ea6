/* cosineSimilarity, dotProduct, l1norm, l2norm and hamming over the rows of a dense_vector field.
 *
 * The exact search that everything else is held against: every document's row is read as it lies
 * in the mapped file, with the same kernels as the exact scan of knn. What Elasticsearch computes
 * on the vector as it was given, while a cosine field keeps it at unit length, is computed on the
 * floats that the document's record gives back: dotProduct, l1norm and l2norm of such fields cost
 * a look into the store for each document.
 */
#include "base/text.h"
#include "query/scripting.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define BLOCK 64

static enum vz_status refuse(struct vz_error *err, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static enum vz_status refuse(struct vz_error *err, const char *format, ...)
{
    char text[300];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    vz_fail(err, VZ_BAD_ARGUMENT, "%s", text);
    vz_fail_cause(err, "illegal_argument_exception");
    return VZ_BAD_ARGUMENT;
}

void vz_vector_calls_free(struct vz_vector_call *calls)
{
    while (calls) {
        struct vz_vector_call *next = calls->next;
        free(calls->query);
        free(calls->bytes);
        free(calls->raw);
        free(calls);
        calls = next;
    }
}

/* ---- the query ----------------------------------------------------------------------------- */

static bool number_of(const struct vz_value *value, double *out)
{
    if (value->type == VZ_VALUE_INT)
        *out = (double)value->integer;
    else if (value->type == VZ_VALUE_DOUBLE)
        *out = value->number;
    else
        return false;
    return isfinite((float)*out);
}

/* The elements as doubles: of a list, or a hex string of bytes. */
static enum vz_status read_elements(const struct vz_value *value, double **out, size_t *count,
                                    struct vz_error *err)
{
    bool hex = value->type == VZ_VALUE_STRING;
    *out = NULL;
    if (!hex && value->type != VZ_VALUE_ARRAY)
        return refuse(err, "the query vector must be a list of numbers or a hex string");
    *count = hex ? value->string.len / 2 : value->array.count;
    if (*count == 0 || *count > 4096 || (hex && value->string.len % 2))
        return refuse(err, "The query vector has a length of [%zu], 1 to 4096 are allowed", *count);
    *out = vz_alloc(*count * sizeof **out);
    for (size_t i = 0; i < *count; i++) {
        if (hex) {
            int high = vz_hex_digit(value->string.ptr[2 * i]);
            int low = vz_hex_digit(value->string.ptr[2 * i + 1]);
            if (high < 0 || low < 0)
                return refuse(err, "the query vector is no hex string");
            (*out)[i] = (int8_t)(uint8_t)(high << 4 | low);
        } else if (!number_of(value->array.items[i], &(*out)[i])) {
            return refuse(err, "element [%zu] of the query vector is no finite number", i);
        }
    }
    return VZ_OK;
}

static enum vz_status set_bytes(struct vz_vector_call *call, const double *elements, size_t count,
                                struct vz_error *err)
{
    call->bytes = vz_try_alloc_aligned(count, 1);
    for (size_t i = 0; i < count; i++) {
        if (elements[i] != floor(elements[i]) || elements[i] < -128 || elements[i] > 255 ||
            (elements[i] > 127 && call->field->element != VZ_ELEMENT_BIT))
            return refuse(err, "element [%zu] of the query vector is no byte", i);
        call->bytes[i] = (int8_t)(uint8_t)(int)elements[i];
    }
    return VZ_OK;
}

static enum vz_status set_query(struct vz_vector_call *call, const double *elements, size_t count,
                                struct vz_error *err)
{
    bool bits = call->field->element == VZ_ELEMENT_BIT;
    uint32_t dims = call->field->dims;
    double sum = 0;
    if (dims && (bits ? count * 8 : count) != dims)
        return refuse(err,
                      "The query vector has a different number of dimensions [%zu] than the "
                      "document vectors [%u].",
                      bits ? count * 8 : count, dims);
    call->dims = count;
    for (size_t i = 0; i < count; i++)
        sum += elements[i] * elements[i];
    call->length = sqrt(sum);
    if (call->measure == VZ_MEASURE_COSINE && sum == 0)
        return refuse(err, "The [cosine] similarity does not support vectors with zero magnitude.");
    if (call->field->element == VZ_ELEMENT_BYTE || bits)
        return set_bytes(call, elements, count, err);
    call->query = vz_try_alloc_aligned(count, sizeof(float));
    double scale = call->measure == VZ_MEASURE_COSINE ? 1 / call->length : 1;
    for (size_t i = 0; i < count; i++)
        call->query[i] = (float)(elements[i] * scale);
    return VZ_OK;
}

static enum vz_status check_measure(const struct vz_vector_call *call, struct vz_error *err)
{
    enum vz_element element = call->field->element;
    bool bytes = element == VZ_ELEMENT_BYTE || element == VZ_ELEMENT_BIT;
    if (call->measure == VZ_MEASURE_HAMMING && !bytes)
        return refuse(err, "hamming distance is only supported for byte or bit vectors");
    if (element == VZ_ELEMENT_BIT &&
        (call->measure == VZ_MEASURE_COSINE || call->measure == VZ_MEASURE_DOT))
        return refuse(err, "[%s] is not supported for bit vectors",
                      call->measure == VZ_MEASURE_COSINE ? "cosineSimilarity" : "dotProduct");
    return VZ_OK;
}

enum vz_status vz_vector_prepare(struct vz_doc_script *script, enum vz_vector_measure measure,
                                 const struct vz_value *const *constant, void **prepared,
                                 struct vz_error *err)
{
    if (!constant[0] || !constant[1] || constant[1]->type != VZ_VALUE_STRING)
        return vz_fail(err, VZ_UNSUPPORTED,
                       "vizsla wants the query vector in params or as a list of numbers, and the "
                       "field's name as a string");
    struct vz_slice name = constant[1]->string;
    const struct vz_field *field = vz_mapping_find(script->eval->mapping, name);
    if (!field)
        return refuse(err, "No field found for [%.*s] in mapping", VZ_ARG(name));
    if (field->type != VZ_FIELD_DENSE_VECTOR)
        return refuse(err, "the field [%.*s] is no [dense_vector] field", VZ_ARG(name));
    struct vz_vector_call *call = vz_calloc(1, sizeof *call);
    call->next = script->vectors;
    script->vectors = call;
    call->measure = measure;
    call->field = field;
    *prepared = call;
    double *elements;
    size_t count = 0;
    enum vz_status status = read_elements(constant[0], &elements, &count, err);
    if (status == VZ_OK)
        status = check_measure(call, err);
    if (status == VZ_OK)
        status = set_query(call, elements, count, err);
    free(elements);
    if (status != VZ_OK)
        return status;
    if (!field->under_nested)
        vz_snapshot_vectors(script->eval->snap, field->id, &call->rows);
    call->needs_raw = call->query && field->similarity == VZ_COSINE && measure != VZ_MEASURE_COSINE;
    call->raw = vz_try_alloc_aligned(count, sizeof(float));
    return VZ_OK;
}

/* ---- a document ---------------------------------------------------------------------------- */

static bool find_row(struct vz_vector_call *call, uint32_t docno)
{
    const struct vz_vector_rows *rows = &call->rows;
    uint32_t row = call->row;
    /* One vector in each document: the row is the docno. Otherwise it is mostly the next one. */
    if (docno < rows->count && rows->docnos[docno] == docno &&
        (docno == 0 || rows->docnos[docno - 1] != docno)) {
        call->row = docno;
        return true;
    }
    for (int i = 0; i < 4 && row < rows->count && rows->docnos[row] < docno; i++)
        row++;
    if (row >= rows->count || rows->docnos[row] != docno || (row && rows->docnos[row - 1] == docno))
        row = vz_vector_rows_find(rows, docno);
    if (row >= rows->count)
        return false;
    call->row = row;
    return true;
}

static double l1_floats(const float *a, const float *b, size_t dims)
{
    float lanes[16] = {0};
    size_t i = 0;
    double sum = 0;
    for (; i + 16 <= dims; i += 16)
        for (size_t j = 0; j < 16; j++)
            lanes[j] += fabsf(a[i + j] - b[i + j]);
    for (; i < dims; i++)
        sum += fabs((double)a[i] - (double)b[i]);
    for (size_t j = 0; j < 16; j++)
        sum += (double)lanes[j];
    return sum;
}

static double measure_floats(const struct vz_vector_call *call, const float *row)
{
    size_t dims = call->dims;
    switch (call->measure) {
    case VZ_MEASURE_COSINE: {
        double dot = (double)vz_dot_f32(call->query, row, dims);
        if (call->field->similarity == VZ_COSINE)
            return dot;
        return dot / sqrt((double)vz_dot_f32(row, row, dims));
    }
    case VZ_MEASURE_DOT:
        return (double)vz_dot_f32(call->query, row, dims);
    case VZ_MEASURE_L1:
        return l1_floats(call->query, row, dims);
    default:
        return sqrt((double)vz_l2sq_f32(call->query, row, dims));
    }
}

static double measure_bytes(const struct vz_vector_call *call, const int8_t *row)
{
    const int8_t *query = call->bytes;
    size_t dims = call->dims;
    double sum = 0;
    switch (call->measure) {
    case VZ_MEASURE_COSINE:
        return vz_dot_i8(query, row, dims) / (call->length * sqrt(vz_dot_i8(row, row, dims)));
    case VZ_MEASURE_DOT:
        return vz_dot_i8(query, row, dims);
    case VZ_MEASURE_L1:
        for (size_t i = 0; i < dims; i++)
            sum += abs(query[i] - row[i]);
        return sum;
    case VZ_MEASURE_L2:
        return sqrt(vz_l2sq_i8(query, row, dims));
    case VZ_MEASURE_HAMMING:
        return vz_hamming((const uint8_t *)query, (const uint8_t *)row, dims);
    }
    return sum;
}

enum vz_status vz_vector_measure(struct vz_doc_script *script, struct vz_vector_call *call,
                                 double *out, struct vz_error *err)
{
    const struct vz_vector_rows *rows = &call->rows;
    if (!find_row(call, script->docno))
        return refuse(err, "A document doesn't have a value for a vector field!");
    const void *row = rows->base + (size_t)call->row * rows->stride_bytes;
    switch (rows->element) {
    case VZ_ELEMENT_BYTE:
        *out = measure_bytes(call, row);
        return VZ_OK;
    case VZ_ELEMENT_BIT: {
        double differ = vz_hamming((const uint8_t *)call->bytes, row, call->dims);
        *out = call->measure == VZ_MEASURE_L2 ? sqrt(differ) : differ;
        return VZ_OK;
    }
    case VZ_ELEMENT_FLOAT:
    case VZ_ELEMENT_BFLOAT16:
        break;
    }
    if (call->needs_raw) {
        enum vz_status status =
            vz_snapshot_vector(script->eval->snap, call->field->id, call->row, call->raw, err);
        if (status != VZ_OK)
            return status;
        row = call->raw;
    } else if (rows->element == VZ_ELEMENT_BFLOAT16) {
        for (size_t i = 0; i < call->dims; i++)
            call->raw[i] = vz_bf16_to(((const uint16_t *)row)[i]);
        row = call->raw;
    }
    *out = measure_floats(call, row);
    return VZ_OK;
}

enum vz_status vz_vector_measure_block(struct vz_doc_script *script, struct vz_vector_call *call,
                                       const uint32_t *docs, size_t count, double *out,
                                       struct vz_error *err)
{
    const struct vz_vector_rows *rows = &call->rows;
    const float *at[BLOCK];
    bool plain = rows->element == VZ_ELEMENT_FLOAT && !call->needs_raw && count <= BLOCK;
    for (size_t i = 0; i < count; i++) {
        script->docno = docs[i];
        if (!plain) {
            enum vz_status status = vz_vector_measure(script, call, &out[i], err);
            if (status != VZ_OK)
                return status;
        } else if (!find_row(call, docs[i])) {
            return refuse(err, "A document doesn't have a value for a vector field!");
        } else {
            at[i] =
                (const float *)(const void *)(rows->base + (size_t)call->row * rows->stride_bytes);
        }
    }
    if (!plain)
        return VZ_OK;
    bool dot = call->measure == VZ_MEASURE_DOT ||
               (call->measure == VZ_MEASURE_COSINE && call->field->similarity == VZ_COSINE);
    for (size_t i = 0; dot && i < count; i++) /* nothing between the rows: loads run ahead */
        out[i] = (double)vz_dot_f32(call->query, at[i], call->dims);
    for (size_t i = 0; !dot && i < count; i++)
        out[i] = measure_floats(call, at[i]);
    return VZ_OK;
}
