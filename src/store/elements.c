/* store/elements.c - a vector as it is given (numbers, hex, base64) and as a row keeps it.
 *
 * Documents and queries say vectors in the same ways, so both come here. What a string means is
 * decided as Elasticsearch does: hex when its length fits the field, else base64 of big-endian
 * elements, else the nearer of the two for the message.
 */
#include "store/elements.h"

#include "base/text.h"
#include "store/mapping_vector.h"

#include <float.h>
#include <math.h>

static const char *const names[] = {"float", "bfloat16", "byte", "bit"};

const char *vz_element_name(enum vz_element element)
{
    return names[element];
}

bool vz_element_find(struct vz_slice name, enum vz_element *out)
{
    for (size_t i = 0; i < VZ_COUNT_OF(names); i++)
        if (vz_slice_is(name, names[i])) {
            *out = (enum vz_element)i;
            return true;
        }
    return false;
}

bool vz_element_is_float(enum vz_element element)
{
    return element == VZ_ELEMENT_FLOAT || element == VZ_ELEMENT_BFLOAT16;
}

/* ---- refusals ------------------------------------------------------------------------------ */

void vz_vector_preview(const float *v, size_t count, struct vz_buf *out)
{
    struct vz_json_writer w = vz_json_writer_on(out);
    vz_buf_append_char(out, '[');
    for (size_t i = 0; i < VZ_MIN(count, (size_t)5); i++) {
        if (i)
            vz_buf_append_str(out, ", ");
        w = vz_json_writer_on(out);
        vz_json_put_float(&w, v[i]);
    }
    vz_buf_append_str(out, count > 5 ? ", ...]" : "]");
}

static enum vz_status bad_number(enum vz_element element, const float *v, size_t count, size_t at,
                                 struct vz_error *err)
{
    struct vz_buf shown = {0}, number = {0};
    struct vz_json_writer w = vz_json_writer_on(&number);
    vz_vector_preview(v, count, &shown);
    vz_json_put_float(&w, v[at]);
    /* Bits are given as bytes. */
    if (v[at] != truncf(v[at]))
        vz_fail(err, VZ_BAD_ARGUMENT,
                "element_type [%s] vectors only support non-decimal values but found decimal value "
                "[%.*s] at dim [%zu]; Preview of invalid vector: %.*s",
                names[element], (int)number.len, number.data, at, (int)shown.len, shown.data);
    else
        vz_fail(err, VZ_BAD_ARGUMENT,
                "element_type [%s] vectors only support integers between [-128, 127] but found "
                "[%.0f] at dim [%zu]; Preview of invalid vector: %.*s",
                names[element], (double)v[at], at, (int)shown.len, shown.data);
    vz_buf_deinit(&shown);
    vz_buf_deinit(&number);
    return VZ_BAD_ARGUMENT;
}

static enum vz_status not_finite(enum vz_element element, float value, size_t at,
                                 struct vz_error *err)
{
    bool nan = value != value;
    return vz_fail(err, VZ_BAD_ARGUMENT,
                   "element_type [%s] vectors do not support %s values but found [%s] at dim "
                   "[%zu];",
                   names[element], nan ? "NaN" : "infinite",
                   nan         ? "NaN"
                   : value < 0 ? "-Infinity"
                               : "Infinity",
                   at);
}

/* ---- numbers ------------------------------------------------------------------------------- */

enum vz_status vz_vector_bytes(enum vz_element element, const float *numbers, size_t count,
                               int8_t *out, struct vz_error *err)
{
    for (size_t i = 0; i < count; i++) {
        float value = numbers[i];
        if (!(value >= -128 && value <= 127) || value != truncf(value))
            return bad_number(element, numbers, count, i, err);
        out[i] = (int8_t)value;
    }
    return VZ_OK;
}

/* ---- strings ------------------------------------------------------------------------------- */

static bool decode_hex(struct vz_slice text, int8_t *out)
{
    if (text.len % 2)
        return false;
    for (size_t i = 0; i < text.len; i += 2) {
        int high = vz_hex_digit(text.ptr[i]), low = vz_hex_digit(text.ptr[i + 1]);
        if (high < 0 || low < 0)
            return false;
        out[i / 2] = (int8_t)(uint8_t)(high << 4 | low);
    }
    return true;
}

/* Without white space, so that printing it again gives the same text. */
static bool decode_base64(struct vz_slice text, struct vz_buf *out)
{
    for (size_t i = 0; i < text.len; i++)
        if ((unsigned char)text.ptr[i] <= ' ')
            return false;
    return text.len && vz_base64_decode(text, out);
}

static bool has_upper(struct vz_slice text)
{
    for (size_t i = 0; i < text.len; i++)
        if (text.ptr[i] >= 'A' && text.ptr[i] <= 'F')
            return true;
    return false;
}

static size_t dims_of_bytes(enum vz_element element, size_t bytes)
{
    return element == VZ_ELEMENT_BIT ? bytes * 8 : bytes;
}

/* Big-endian, as Java's buffers are. */
static void floats_of(const unsigned char *from, size_t count, bool half, float *out)
{
    for (size_t i = 0; i < count; i++) {
        if (half) {
            out[i] = vz_bf16_to((uint16_t)(from[2 * i] << 8 | from[2 * i + 1]));
        } else {
            uint32_t bits = (uint32_t)from[4 * i] << 24 | (uint32_t)from[4 * i + 1] << 16 |
                            (uint32_t)from[4 * i + 2] << 8 | from[4 * i + 3];
            memcpy(&out[i], &bits, 4);
        }
    }
}

static enum vz_status take_base64(const struct vz_field *field, const struct vz_buf *bytes,
                                  struct vz_arena *arena, struct vz_given_vector *out,
                                  struct vz_error *err)
{
    enum vz_element element = field->element;
    size_t len = bytes->len;
    if (!vz_element_is_float(element)) {
        out->dims = dims_of_bytes(element, len);
        out->form = VZ_FORM_BASE64;
        out->bytes = (const int8_t *)(const void *)vz_arena_copy(arena, vz_buf_slice(bytes)).ptr;
        return VZ_OK;
    }
    bool half = element == VZ_ELEMENT_BFLOAT16 &&
                (field->dims ? len == (size_t)field->dims * 2 : len % 4 != 0);
    size_t width = half ? 2 : 4;
    if (len == 0 || len % width || (field->dims && len / width != field->dims))
        return vz_fail(err, VZ_BAD_ARGUMENT,
                       "must contain a valid Base64-encoded %s vector, but the decoded bytes "
                       "length [%zu] is not compatible with the expected vector length",
                       element == VZ_ELEMENT_FLOAT ? "float" : "float or bfloat16", len);
    float *floats = vz_arena_alloc(arena, len / width * sizeof *floats);
    floats_of((const unsigned char *)bytes->data, len / width, half, floats);
    out->dims = len / width;
    out->form = half ? VZ_FORM_BASE64_HALF : VZ_FORM_BASE64;
    out->floats = floats;
    for (size_t i = 0; i < out->dims; i++)
        if (!isfinite(floats[i]))
            return not_finite(element, floats[i], i, err);
    return VZ_OK;
}

/* Bytes of a hex string; for a field of floats each is an element. */
static void take_hex(const struct vz_field *field, struct vz_slice text, const int8_t *hex,
                     struct vz_arena *arena, struct vz_given_vector *out)
{
    size_t bytes = text.len / 2;
    out->dims = dims_of_bytes(field->element, bytes);
    out->form = has_upper(text) ? VZ_FORM_HEX_UPPER : VZ_FORM_HEX;
    out->bytes = hex;
    if (!vz_element_is_float(field->element))
        return;
    float *floats = vz_arena_alloc(arena, bytes * sizeof *floats + 1);
    for (size_t i = 0; i < bytes; i++)
        floats[i] = hex[i];
    out->form = VZ_FORM_NUMBERS;
    out->bytes = NULL;
    out->floats = floats;
}

enum vz_status vz_vector_of_text(const struct vz_field *field, struct vz_slice text,
                                 struct vz_arena *arena, struct vz_given_vector *out,
                                 struct vz_error *err)
{
    *out = (struct vz_given_vector){0};
    int8_t *hex = vz_arena_alloc(arena, text.len / 2 + 1);
    bool is_hex = text.len && decode_hex(text, hex);
    bool is_float = vz_element_is_float(field->element);
    size_t hex_dims = dims_of_bytes(field->element, text.len / 2);
    if (is_hex && (field->dims ? hex_dims == field->dims : !is_float)) {
        take_hex(field, text, hex, arena, out);
        return VZ_OK;
    }
    struct vz_buf bytes = {0};
    bool is_base64 = decode_base64(text, &bytes);
    enum vz_status status = VZ_OK;
    bool fits = is_base64 && (is_float || !field->dims ||
                              dims_of_bytes(field->element, bytes.len) == field->dims);
    if (!is_hex && !is_base64)
        status = vz_fail(err, VZ_BAD_ARGUMENT, "must be a valid base64 or hex string");
    else if (fits || !is_hex)
        status = take_base64(field, &bytes, arena, out, err);
    else
        take_hex(field, text, hex, arena, out); /* the caller says that its length is wrong */
    if (status == VZ_BAD_ARGUMENT && is_hex && is_float && !out->floats) {
        take_hex(field, text, hex, arena, out);
        status = VZ_OK;
    }
    vz_buf_deinit(&bytes);
    return status;
}

/* ---- printing ------------------------------------------------------------------------------ */

static void print_hex(const uint8_t *bytes, size_t count, bool upper, struct vz_buf *out)
{
    const char *digits = upper ? "0123456789ABCDEF" : "0123456789abcdef";
    for (size_t i = 0; i < count; i++) {
        vz_buf_append_char(out, digits[bytes[i] >> 4]);
        vz_buf_append_char(out, digits[bytes[i] & 15]);
    }
}

static void print_base64(const float *floats, size_t count, bool half, struct vz_buf *out)
{
    struct vz_buf bytes = {0};
    for (size_t i = 0; i < count; i++) {
        uint32_t bits;
        memcpy(&bits, &floats[i], 4);
        if (half)
            bits = (uint32_t)vz_bf16_of(floats[i]) << 16;
        for (int shift = 24; shift >= (half ? 16 : 0); shift -= 8)
            vz_buf_append_char(&bytes, (char)(bits >> shift & 0xff));
    }
    vz_base64_encode(bytes.data, bytes.len, out);
    vz_buf_deinit(&bytes);
}

void vz_vector_print(enum vz_element element, enum vz_vector_form form, const void *elements,
                     size_t dims, struct vz_buf *out)
{
    bool is_float = vz_element_is_float(element);
    size_t count = element == VZ_ELEMENT_BIT ? (dims + 7) / 8 : dims;
    if (is_float && form == VZ_FORM_NUMBERS) {
        vz_json_append_floats(out, elements, dims);
        return;
    }
    if (form == VZ_FORM_NUMBERS) {
        const int8_t *bytes = elements;
        for (size_t i = 0; i < count; i++)
            vz_buf_printf(out, "%c%d", i ? ',' : '[', bytes[i]);
        vz_buf_append_char(out, ']');
        return;
    }
    vz_buf_append_char(out, '"');
    if (is_float)
        print_base64(elements, dims, form == VZ_FORM_BASE64_HALF, out);
    else if (form == VZ_FORM_BASE64)
        vz_base64_encode(elements, count, out);
    else
        print_hex(elements, count, form == VZ_FORM_HEX_UPPER, out);
    vz_buf_append_char(out, '"');
}
