/* write.c - appending JSON to a buffer.
 *
 * Numbers look as Java prints them, because clients compare texts: a '.' always, plain between 1E-3
 * and 1E7, d.dddE-x outside. The digits are the shortest that read back (Ryu, C++17's to_chars).
 */
#include "base/text.h"
#include "json/bytes.h"
#include "json/doc.h"

#include <assert.h>
#include <math.h>

static void before_value(struct vz_json_writer *w)
{
    if (w->after_key) {
        w->after_key = false;
        return;
    }
    if (w->depth == 0)
        return;
    uint64_t bit = 1ull << (w->depth - 1);
    if (w->has_member & bit)
        vz_buf_append_char(w->out, ',');
    w->has_member |= bit;
}

static void begin(struct vz_json_writer *w, char c)
{
    before_value(w);
    assert(w->depth < VZ_JSON_MAX_DEPTH);
    w->depth++;
    w->has_member &= ~(1ull << (w->depth - 1));
    vz_buf_append_char(w->out, c);
}

static void end(struct vz_json_writer *w, char c)
{
    assert(w->depth > 0 && !w->after_key);
    w->depth--;
    vz_buf_append_char(w->out, c);
}

void vz_json_begin_object(struct vz_json_writer *w)
{
    begin(w, '{');
}

void vz_json_end_object(struct vz_json_writer *w)
{
    end(w, '}');
}

void vz_json_begin_array(struct vz_json_writer *w)
{
    begin(w, '[');
}

void vz_json_end_array(struct vz_json_writer *w)
{
    end(w, ']');
}

static void append_escape(struct vz_buf *out, unsigned char c)
{
    static const char hex[] = "0123456789ABCDEF";
    char text[6] = {'\\', 0, '0', '0', hex[c >> 4], hex[c & 15]};
    size_t len = 2;
    switch (c) {
    case '"':
    case '\\':
        text[1] = (char)c;
        break;
    case '\b':
        text[1] = 'b';
        break;
    case '\f':
        text[1] = 'f';
        break;
    case '\n':
        text[1] = 'n';
        break;
    case '\r':
        text[1] = 'r';
        break;
    case '\t':
        text[1] = 't';
        break;
    default:
        text[1] = 'u';
        len = 6;
    }
    vz_buf_append(out, text, len);
}

static void append_quoted(struct vz_buf *out, struct vz_slice text)
{
    const char *p = text.ptr, *end = text.ptr + text.len;
    vz_buf_reserve(out, text.len + 2);
    if (vz_is_plain_text(text.ptr, text.len)) {
        char *to = out->data + out->len;
        *to++ = '"';
        if (text.len)
            memcpy(to, text.ptr, text.len);
        to[text.len] = '"';
        to[text.len + 1] = 0;
        out->len += text.len + 2;
        return;
    }
    vz_buf_append_char(out, '"');
    while (p < end) {
        const char *valid_end = p + vz_utf8_valid_prefix(p, (size_t)(end - p));
        while (p < valid_end) {
            const char *stop = vz_find_escapable(p, valid_end);
            vz_buf_append(out, p, (size_t)(stop - p));
            p = stop;
            if (p < valid_end)
                append_escape(out, (unsigned char)*p++);
        }
        if (p < end) { /* a byte that is no UTF-8 */
            vz_buf_append(out, "\xEF\xBF\xBD", 3);
            p++;
        }
    }
    vz_buf_append_char(out, '"');
}

void vz_json_key_slice(struct vz_json_writer *w, struct vz_slice key)
{
    assert(!w->after_key);
    before_value(w);
    append_quoted(w->out, key);
    vz_buf_append_char(w->out, ':');
    w->after_key = true;
}

void vz_json_key(struct vz_json_writer *w, const char *key)
{
    vz_json_key_slice(w, vz_slice_from(key));
}

void vz_json_put_string(struct vz_json_writer *w, struct vz_slice text)
{
    before_value(w);
    append_quoted(w->out, text);
}

void vz_json_put_str(struct vz_json_writer *w, const char *text)
{
    if (text)
        vz_json_put_string(w, vz_slice_from(text));
    else
        vz_json_put_null(w);
}

/* ---- numbers --------------------------------------------------------------------------------- */

static void append_uint(struct vz_buf *out, uint64_t value)
{
    char digits[20];
    size_t at = sizeof digits;
    do {
        digits[--at] = (char)('0' + value % 10);
        value /= 10;
    } while (value);
    vz_buf_append(out, digits + at, sizeof digits - at);
}

static void append_int(struct vz_buf *out, int64_t value)
{
    if (value < 0)
        vz_buf_append_char(out, '-');
    append_uint(out, value < 0 ? 0 - (uint64_t)value : (uint64_t)value);
}

/* `text` is "[-]d[.ddd]e+XX" as to_chars gives it; laid out again as Java does. */
static void append_as_java(struct vz_buf *out, const char *text, size_t len)
{
    char digits[24];
    size_t count = 0, at = 0;
    if (text[at] == '-') {
        vz_buf_append_char(out, '-');
        at++;
    }
    for (; at < len && text[at] != 'e'; at++) {
        if (text[at] != '.')
            digits[count++] = text[at];
    }
    int exponent = 0;
    bool negative = text[++at] == '-';
    for (at++; at < len; at++)
        exponent = exponent * 10 + (text[at] - '0');
    if (negative)
        exponent = -exponent;

    if (exponent < -3 || exponent >= 7) {
        vz_buf_append_char(out, digits[0]);
        vz_buf_append_char(out, '.');
        vz_buf_append(out, count > 1 ? digits + 1 : "0", count > 1 ? count - 1 : 1);
        vz_buf_append_char(out, 'E');
        append_int(out, exponent);
        return;
    }
    if (exponent < 0) {
        vz_buf_append(out, "0.000", (size_t)(1 - exponent));
        vz_buf_append(out, digits, count);
        return;
    }
    size_t whole = (size_t)exponent + 1;
    for (size_t i = 0; i < whole; i++)
        vz_buf_append_char(out, i < count ? digits[i] : '0');
    vz_buf_append_char(out, '.');
    vz_buf_append(out, count > whole ? digits + whole : "0", count > whole ? count - whole : 1);
}

static void append_double(struct vz_buf *out, double value)
{
    char text[32];
    if (!isfinite(value))
        vz_buf_append(out, "null", 4);
    else if (value == 0)
        vz_buf_append_str(out, signbit(value) ? "-0.0" : "0.0");
    else
        append_as_java(out, text, vz_json_shortest_double(value, true, text));
}

void vz_json_put_int(struct vz_json_writer *w, int64_t value)
{
    before_value(w);
    append_int(w->out, value);
}

void vz_json_put_uint(struct vz_json_writer *w, uint64_t value)
{
    before_value(w);
    append_uint(w->out, value);
}

void vz_json_put_double(struct vz_json_writer *w, double value)
{
    before_value(w);
    append_double(w->out, value);
}

void vz_json_put_float(struct vz_json_writer *w, float value)
{
    char text[32];
    before_value(w);
    if (!isfinite(value) || value == 0)
        append_double(w->out, (double)value);
    else
        append_as_java(w->out, text, vz_json_shortest_float(value, true, text));
}

void vz_json_append_floats(struct vz_buf *out, const float *values, size_t count)
{
    vz_buf_append_char(out, '[');
    for (size_t i = 0; i < count; i++) {
        vz_buf_reserve(out, 40);
        char *p = out->data + out->len;
        if (i > 0)
            *p++ = ',';
        if (values[i] == 0 && signbit(values[i])) {
            memcpy(p, "-0.0", 4); /* -0 would be read back as the integer 0 */
            p += 4;
        } else if (isfinite(values[i])) {
            p += vz_json_shortest_float(values[i], false, p);
        } else {
            memcpy(p, "null", 4);
            p += 4;
        }
        out->len = (size_t)(p - out->data);
    }
    vz_buf_append_char(out, ']');
}

/* ---- the rest -------------------------------------------------------------------------------- */

static void put_text(struct vz_json_writer *w, const char *text)
{
    before_value(w);
    vz_buf_append_str(w->out, text);
}

void vz_json_put_bool(struct vz_json_writer *w, bool value)
{
    put_text(w, value ? "true" : "false");
}

void vz_json_put_null(struct vz_json_writer *w)
{
    put_text(w, "null");
}

void vz_json_put_raw(struct vz_json_writer *w, struct vz_slice json)
{
    before_value(w);
    vz_buf_append_slice(w->out, json);
}

static void print_scalar(struct vz_json value, struct vz_buf *out)
{
    switch (vz_json_type(value)) {
    case VZ_JSON_BOOL:
        vz_buf_append_str(out, vz_json_bool(value) ? "true" : "false");
        break;
    case VZ_JSON_INT:
        append_int(out, vz_json_int(value));
        break;
    case VZ_JSON_UINT:
        append_uint(out, value.doc->tape[value.at + 1]);
        break;
    case VZ_JSON_DOUBLE:
        append_double(out, vz_json_double(value));
        break;
    case VZ_JSON_STRING:
        append_quoted(out, vz_json_string(value));
        break;
    default:
        vz_buf_append_str(out, "null");
    }
}

/* Depth is bounded by the parser's limit. */
void vz_json_print(struct vz_json value, struct vz_buf *out)
{
    enum vz_json_type type = vz_json_type(value);
    if (type != VZ_JSON_OBJECT && type != VZ_JSON_ARRAY) {
        print_scalar(value, out);
        return;
    }
    bool object = type == VZ_JSON_OBJECT, first = true;
    vz_buf_append_char(out, object ? '{' : '[');
    struct vz_json_iter it = vz_json_iterate(value);
    struct vz_slice key;
    struct vz_json member;
    while (vz_json_next(&it, &key, &member)) {
        if (!first)
            vz_buf_append_char(out, ',');
        first = false;
        if (object) {
            append_quoted(out, key);
            vz_buf_append_char(out, ':');
        }
        vz_json_print(member, out);
    }
    vz_buf_append_char(out, object ? '}' : ']');
}

void vz_json_put_value(struct vz_json_writer *w, struct vz_json value)
{
    before_value(w);
    vz_json_print(value, w->out);
}

void vz_json_field_str(struct vz_json_writer *w, const char *key, const char *text)
{
    vz_json_key(w, key);
    vz_json_put_str(w, text);
}

void vz_json_field_string(struct vz_json_writer *w, const char *key, struct vz_slice text)
{
    vz_json_key(w, key);
    vz_json_put_string(w, text);
}

void vz_json_field_int(struct vz_json_writer *w, const char *key, int64_t value)
{
    vz_json_key(w, key);
    vz_json_put_int(w, value);
}

void vz_json_field_bool(struct vz_json_writer *w, const char *key, bool value)
{
    vz_json_key(w, key);
    vz_json_put_bool(w, value);
}

void vz_json_field_raw(struct vz_json_writer *w, const char *key, struct vz_slice json)
{
    if (json.len == 0)
        return;
    vz_json_key(w, key);
    vz_json_put_raw(w, json);
}

void vz_json_field_double(struct vz_json_writer *w, const char *key, double value)
{
    vz_json_key(w, key);
    vz_json_put_double(w, value);
}
