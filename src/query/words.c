/* Small words of the query language: token names, numbers as messages show them, distances. */
#include "query/parts.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

const char *vz_query_token(struct vz_json value)
{
    switch (vz_json_type(value)) {
    case VZ_JSON_NULL:
        return "VALUE_NULL";
    case VZ_JSON_BOOL:
        return "VALUE_BOOLEAN";
    case VZ_JSON_INT:
    case VZ_JSON_UINT:
    case VZ_JSON_DOUBLE:
        return "VALUE_NUMBER";
    case VZ_JSON_STRING:
        return "VALUE_STRING";
    case VZ_JSON_ARRAY:
        return "START_ARRAY";
    case VZ_JSON_OBJECT:
        return "START_OBJECT";
    default:
        return "END_OBJECT";
    }
}

const char *vz_query_number(double value, char out[32])
{
    struct vz_buf buf = {0};
    struct vz_json_writer writer = vz_json_writer_on(&buf);
    vz_json_put_float(&writer, (float)value);
    snprintf(out, 32, "%.*s", (int)buf.len, buf.data ? buf.data : "");
    vz_buf_deinit(&buf);
    return out;
}

struct vz_slice vz_query_scalar_text(struct vz_json value, struct vz_arena *arena)
{
    if (vz_json_type(value) == VZ_JSON_STRING)
        return vz_json_string(value);
    struct vz_buf buf = {0};
    vz_json_print(value, &buf);
    struct vz_slice text = vz_arena_copy(arena, vz_buf_slice(&buf));
    vz_buf_deinit(&buf);
    return text;
}

enum vz_status vz_query_fail(struct vz_error *err, enum vz_status status, const char *format, ...)
{
    char text[sizeof((struct vz_error *)0)->cause];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    vz_fail(err, status, "failed to create query: %s", text);
    vz_fail_cause(err, "%s", text);
    return status;
}

struct vz_json_patterns vz_query_split(struct vz_slice text, struct vz_arena *arena)
{
    size_t commas = 0;
    for (size_t i = 0; i < text.len; i++)
        commas += text.ptr[i] == ',';
    struct vz_slice *items = vz_arena_alloc(arena, (commas + 1) * sizeof(*items));
    size_t count = 0, start = 0;
    for (size_t i = 0; i <= text.len; i++) {
        if (i < text.len && text.ptr[i] != ',')
            continue;
        size_t from = start, to = i;
        while (from < to && isspace((unsigned char)text.ptr[from]))
            from++;
        while (to > from && isspace((unsigned char)text.ptr[to - 1]))
            to--;
        if (to > from)
            items[count++] = (struct vz_slice){text.ptr + from, to - from};
        start = i + 1;
    }
    return (struct vz_json_patterns){items, count};
}

double vz_query_unit_meters(struct vz_slice unit)
{
    static const struct {
        const char *name;
        double meters;
    } units[] = {
        {"m", 1},
        {"meters", 1},
        {"km", 1000},
        {"kilometers", 1000},
        {"cm", 0.01},
        {"centimeters", 0.01},
        {"mm", 0.001},
        {"millimeters", 0.001},
        {"mi", 1609.344},
        {"miles", 1609.344},
        {"yd", 0.9144},
        {"yards", 0.9144},
        {"ft", 0.3048},
        {"feet", 0.3048},
        {"in", 0.0254},
        {"inch", 0.0254},
        {"NM", 1852},
        {"nmi", 1852},
        {"nauticalmiles", 1852},
    };
    for (size_t i = 0; i < VZ_COUNT_OF(units); i++)
        if (vz_slice_is(unit, units[i].name))
            return units[i].meters;
    return 0;
}

bool vz_query_distance(struct vz_slice text, double *meters)
{
    char copy[64];
    if (text.len == 0 || text.len >= sizeof(copy))
        return false;
    memcpy(copy, text.ptr, text.len);
    copy[text.len] = 0;
    if (!isdigit((unsigned char)copy[0]) && copy[0] != '.')
        return false;
    char *end;
    double value = strtod(copy, &end);
    while (*end == ' ')
        end++;
    double unit = *end ? vz_query_unit_meters(vz_slice_from(end)) : 1;
    if (unit == 0 || !isfinite(value) || value < 0)
        return false;
    *meters = value * unit;
    return true;
}

/* The sphere Lucene measures on. */
#define EARTH_METERS 6371008.7714

double vz_query_haversine(double lat1, double lon1, double lat2, double lon2)
{
    double rad = M_PI / 180;
    double a = sin((lat2 - lat1) * rad / 2), b = sin((lon2 - lon1) * rad / 2);
    double h = a * a + cos(lat1 * rad) * cos(lat2 * rad) * b * b;
    return 2 * EARTH_METERS * asin(sqrt(VZ_MIN(1.0, h)));
}

double vz_query_plane(double lat1, double lon1, double lat2, double lon2)
{
    double rad = M_PI / 180;
    double x = (lon2 - lon1) * rad * cos((lat1 + lat2) / 2 * rad), y = (lat2 - lat1) * rad;
    return sqrt(x * x + y * y) * EARTH_METERS;
}

static bool small_int(struct vz_slice text, long *out)
{
    char copy[24];
    if (text.len == 0 || text.len >= sizeof(copy))
        return false;
    memcpy(copy, text.ptr, text.len);
    copy[text.len] = 0;
    char *end;
    *out = strtol(copy, &end, 10);
    return *end == 0 && !isspace((unsigned char)copy[0]) && labs(*out) <= 1000000000L;
}

/* "2", "-1", "75%", "-25%" of `clauses`. */
static bool simple_minimum(struct vz_slice text, long clauses, long *out)
{
    bool percent = text.len && text.ptr[text.len - 1] == '%';
    if (percent)
        text.len--;
    long value;
    if (!small_int(text, &value))
        return false;
    if (percent)
        value = (long)((float)(clauses * value) * (1 / 100.0f));
    if (value < 0 || (percent && text.ptr[0] == '-'))
        value += clauses;
    *out = VZ_MAX(0, value);
    return true;
}

enum vz_status vz_minimum_should_match(struct vz_slice text, size_t clauses, size_t *out,
                                       struct vz_error *err)
{
    /* Conditions "N<M" stand in ascending N; the last one whose N is under `clauses` decides. */
    long result = (long)clauses;
    bool conditional = text.len && memchr(text.ptr, '<', text.len);
    size_t at = 0;
    do {
        while (at < text.len && text.ptr[at] == ' ')
            at++;
        size_t start = at, less = 0;
        while (at < text.len && (text.ptr[at] != ' ' || !conditional)) {
            if (text.ptr[at] == '<')
                less = at;
            at++;
        }
        size_t end = at;
        while (end > start && text.ptr[end - 1] == ' ')
            end--;
        struct vz_slice spec = {text.ptr + start, end - start};
        if (conditional) {
            long bound;
            if (end == start)
                break;
            if (!less || !small_int((struct vz_slice){spec.ptr, less - start}, &bound))
                goto bad;
            if ((long)clauses <= bound)
                break;
            spec = (struct vz_slice){text.ptr + less + 1, end - less - 1};
        }
        if (!simple_minimum(spec, (long)clauses, &result))
            goto bad;
    } while (at < text.len);
    *out = (size_t)result;
    return VZ_OK;
bad:
    return vz_fail(err, VZ_BAD_QUERY, "[minimum_should_match] cannot be read: [%.*s]",
                   VZ_ARG(text));
}
