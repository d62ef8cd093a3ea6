/* scan.c - a slow, exact reader of JSON that only runs when the parser refused a text: it finds the
 * first byte that is wrong and says what was expected there.
 *
 * Recursion is bounded by VZ_JSON_MAX_DEPTH, which it checks itself. It must refuse whatever
 * simdjson refuses, or the message would have no place; two things it tells apart on purpose:
 * integers beyond 64 bits, which Elasticsearch accepts and which are then read as doubles, and
 * numbers beyond a double, which are errors.
 */
#include "base/text.h"
#include "json/doc.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

struct scan {
    const char *text, *end, *at;
    unsigned depth;
    bool big_integers;
    struct vz_buf *wide; /* NULL, or where vz_json_widen_integers collects its copy */
    const char *copied;  /* all before it is in `wide` */
    struct vz_error *err;
};

static enum vz_status scan_value(struct scan *s);

static void place(const struct scan *s, const char *where, size_t *line, size_t *column)
{
    *line = 1;
    const char *start = s->text;
    for (const char *p = s->text; p < where; p++) {
        if (*p == '\n') {
            ++*line;
            start = p + 1;
        }
    }
    *column = (size_t)(where - start) + 1;
}

static enum vz_status wrong(struct scan *s, const char *where, const char *expected)
{
    size_t line, column, offset = (size_t)(where - s->text);
    place(s, where, &line, &column);
    if (where >= s->end)
        return vz_fail_at(s->err, VZ_BAD_JSON, offset,
                          "unexpected end of text at line %zu column %zu, expected %s", line,
                          column, expected);
    unsigned char c = (unsigned char)*where;
    if (c > 0x20 && c < 0x7F)
        return vz_fail_at(s->err, VZ_BAD_JSON, offset,
                          "unexpected character '%c' at line %zu column %zu, expected %s", c, line,
                          column, expected);
    return vz_fail_at(s->err, VZ_BAD_JSON, offset,
                      "unexpected byte 0x%02x at line %zu column %zu, expected %s", c, line, column,
                      expected);
}

static enum vz_status say(struct scan *s, const char *where, enum vz_status status,
                          const char *what)
{
    size_t line, column;
    place(s, where, &line, &column);
    return vz_fail_at(s->err, status, (size_t)(where - s->text), "%s at line %zu column %zu", what,
                      line, column);
}

static void skip_space(struct scan *s)
{
    while (s->at < s->end && (*s->at == ' ' || *s->at == '\n' || *s->at == '\r' || *s->at == '\t'))
        s->at++;
}

/* Four hex digits at `at`, or -1. */
static int hex4(const struct scan *s, const char *at)
{
    if (s->end - at < 4)
        return -1;
    int code = 0;
    for (int i = 0; i < 4; i++) {
        char c = at[i];
        int digit = c >= '0' && c <= '9'   ? c - '0'
                    : c >= 'a' && c <= 'f' ? c - 'a' + 10
                    : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                           : -1;
        if (digit < 0)
            return -1;
        code = code * 16 + digit;
    }
    return code;
}

/* At the character behind a backslash. */
static enum vz_status scan_escape(struct scan *s)
{
    const char *start = s->at - 1;
    if (s->at >= s->end)
        return wrong(s, s->at, "an escape");
    char c = *s->at++;
    if (strchr("\"\\/bfnrt", c) && c)
        return VZ_OK;
    if (c != 'u')
        return wrong(s, s->at - 1, "one of \"\\/bfnrtu after a backslash");
    int code = hex4(s, s->at);
    if (code < 0)
        return say(s, start, VZ_BAD_JSON, "\\u without four hexadecimal digits");
    s->at += 4;
    if (code >= 0xDC00 && code <= 0xDFFF)
        return say(s, start, VZ_BAD_JSON, "half of a surrogate pair");
    if (code >= 0xD800 && code <= 0xDBFF) {
        int low =
            s->end - s->at >= 6 && s->at[0] == '\\' && s->at[1] == 'u' ? hex4(s, s->at + 2) : -1;
        if (low < 0xDC00 || low > 0xDFFF)
            return say(s, start, VZ_BAD_JSON, "half of a surrogate pair");
        s->at += 6;
    }
    return VZ_OK;
}

/* At the opening quote. */
static enum vz_status scan_string(struct scan *s)
{
    const char *open = s->at++;
    while (s->at < s->end) {
        unsigned char c = (unsigned char)*s->at;
        if (c == '"') {
            s->at++;
            return VZ_OK;
        }
        if (c == '\\') {
            s->at++;
            enum vz_status status = scan_escape(s);
            if (status != VZ_OK)
                return status;
        } else if (c < 0x20) {
            return say(s, s->at, VZ_BAD_JSON, "unescaped control character in a string");
        } else if (c < 0x80) {
            s->at++;
        } else {
            size_t left = (size_t)(s->end - s->at), len = c >= 0xF0 ? 4 : c >= 0xE0 ? 3 : 2;
            if (left < len || vz_utf8_valid_prefix(s->at, len) != len)
                return say(s, s->at, VZ_BAD_JSON, "invalid UTF-8 in a string");
            s->at += len;
        }
    }
    size_t line, column;
    place(s, open, &line, &column);
    return vz_fail_at(s->err, VZ_BAD_JSON, (size_t)(s->end - s->text),
                      "unexpected end of text in the string that begins at line %zu column %zu",
                      line, column);
}

static bool digit_at(const struct scan *s)
{
    return s->at < s->end && *s->at >= '0' && *s->at <= '9';
}

static void skip_digits(struct scan *s)
{
    while (digit_at(s))
        s->at++;
}

static bool fits_64_bits(const char *digits, size_t len, bool negative)
{
    const char *largest = negative ? "9223372036854775808" : "18446744073709551615";
    size_t max = strlen(largest);
    return len < max || (len == max && memcmp(digits, largest, len) <= 0);
}

static bool fits_double(const char *start, size_t len)
{
    char small[64];
    char *copy = len < sizeof small ? small : vz_alloc(len + 1);
    memcpy(copy, start, len);
    copy[len] = 0;
    bool fits = isfinite(strtod(copy, NULL));
    if (copy != small)
        free(copy);
    return fits;
}

static enum vz_status scan_number(struct scan *s)
{
    const char *start = s->at;
    bool negative = *s->at == '-', whole = true;
    if (negative)
        s->at++;
    const char *digits = s->at;
    if (!digit_at(s))
        return wrong(s, s->at, "a digit");
    if (*s->at == '0') {
        s->at++;
        if (digit_at(s))
            return say(s, s->at, VZ_BAD_JSON, "a number with a leading zero");
    }
    skip_digits(s);
    size_t digit_count = (size_t)(s->at - digits);
    if (s->at < s->end && *s->at == '.') {
        whole = false;
        s->at++;
        if (!digit_at(s))
            return wrong(s, s->at, "a digit after the decimal point");
        skip_digits(s);
    }
    if (s->at < s->end && (*s->at == 'e' || *s->at == 'E')) {
        whole = false;
        s->at++;
        if (s->at < s->end && (*s->at == '+' || *s->at == '-'))
            s->at++;
        if (!digit_at(s))
            return wrong(s, s->at, "a digit in the exponent");
        skip_digits(s);
    }
    bool big = whole && !fits_64_bits(digits, digit_count, negative);
    if ((big || !whole) && !fits_double(start, (size_t)(s->at - start)))
        return say(s, start, VZ_BAD_JSON, "a number out of the range of a double");
    if (big) {
        s->big_integers = true;
        if (s->wide) {
            vz_buf_append(s->wide, s->copied, (size_t)(s->at - s->copied));
            vz_buf_append_str(s->wide, "e0");
            s->copied = s->at;
        }
    }
    return VZ_OK;
}

/* At '{' or '['. */
static enum vz_status scan_container(struct scan *s)
{
    bool object = *s->at == '{';
    char close = object ? '}' : ']';
    if (++s->depth > VZ_JSON_MAX_DEPTH)
        return say(s, s->at, VZ_LIMIT, "nested deeper than 64 levels");
    s->at++;
    skip_space(s);
    if (s->at < s->end && *s->at == close) {
        s->at++;
        s->depth--;
        return VZ_OK;
    }
    for (;;) {
        enum vz_status status;
        skip_space(s);
        if (object) {
            if (s->at >= s->end || *s->at != '"')
                return wrong(s, s->at, "a key in double quotes");
            if ((status = scan_string(s)) != VZ_OK)
                return status;
            skip_space(s);
            if (s->at >= s->end || *s->at != ':')
                return wrong(s, s->at, "':' after a key");
            s->at++;
        }
        if ((status = scan_value(s)) != VZ_OK)
            return status;
        skip_space(s);
        if (s->at < s->end && *s->at == ',') {
            s->at++;
            continue;
        }
        if (s->at >= s->end || *s->at != close)
            return wrong(s, s->at, object ? "',' or '}'" : "',' or ']'");
        s->at++;
        s->depth--;
        return VZ_OK;
    }
}

static enum vz_status scan_word(struct scan *s, const char *word)
{
    for (const char *w = word; *w; w++, s->at++) {
        if (s->at >= s->end || *s->at != *w) {
            char expected[32];
            snprintf(expected, sizeof expected, "'%s'", word);
            return wrong(s, s->at, expected);
        }
    }
    return VZ_OK;
}

static enum vz_status scan_value(struct scan *s)
{
    skip_space(s);
    if (s->at >= s->end)
        return wrong(s, s->at, "a value");
    switch (*s->at) {
    case '{':
    case '[':
        return scan_container(s);
    case '"':
        return scan_string(s);
    case 't':
        return scan_word(s, "true");
    case 'f':
        return scan_word(s, "false");
    case 'n':
        return scan_word(s, "null");
    default:
        if (*s->at == '-' || digit_at(s))
            return scan_number(s);
        return wrong(s, s->at, "a value");
    }
}

static enum vz_status scan_all(struct scan *s)
{
    enum vz_status status = scan_value(s);
    if (status != VZ_OK)
        return status;
    skip_space(s);
    return s->at < s->end ? wrong(s, s->at, "nothing behind the value") : VZ_OK;
}

enum vz_status vz_json_scan(struct vz_slice text, bool *big_integers, struct vz_error *err)
{
    const char *start = text.ptr ? text.ptr : "";
    struct scan s = {.text = start, .end = start + text.len, .at = start, .err = err};
    enum vz_status status = scan_all(&s);
    *big_integers = s.big_integers;
    return status;
}

void vz_json_widen_integers(struct vz_slice text, struct vz_buf *out)
{
    struct scan s = {.text = text.ptr,
                     .end = text.ptr + text.len,
                     .at = text.ptr,
                     .wide = out,
                     .copied = text.ptr};
    scan_all(&s);
    vz_buf_append(out, s.copied, (size_t)(s.end - s.copied));
}
