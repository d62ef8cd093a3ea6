/* Values of a query as a field's column keeps them: numbers, booleans, dates, and their ranges.
 *
 * Whole numbers are compared as int64 (unsigned_long moved down by 2^63), so a bound is turned into
 * the nearest number inside the range. Dates are milliseconds; a bound rounds to the unit it was
 * given in: gt and lte up to its end, gte and lt down to its start.
 */
#include "query/filter.h"

#include "base/zone.h"
#include "store/document.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>

static const struct vz_span nothing = {1, 0};

static enum vz_status not_a_number(struct vz_eval *eval, const struct vz_field *field,
                                   struct vz_json value, struct vz_error *err)
{
    struct vz_slice text = vz_query_scalar_text(value, eval->arena);
    if (field->type == VZ_FIELD_BOOLEAN)
        return vz_query_fail(err, VZ_BAD_QUERY,
                             "Can't parse boolean value [%.*s], expected [true] or [false]",
                             (int)VZ_MIN(text.len, (size_t)80), text.ptr);
    return vz_query_fail(err, VZ_BAD_QUERY, "For input string: \"%.*s\"",
                         (int)VZ_MIN(text.len, (size_t)80), text.ptr);
}

/* A number as a whole part and whether something is left of it. INT64 limits clamp: no value lies
 * beyond them. */
struct whole {
    int64_t floor;
    bool exact;
    int beyond; /* -1 under, 1 over what the column can hold */
};

#define SIGN_BIT 0x8000000000000000ull

static struct whole whole_from_u64(uint64_t value)
{
    return (struct whole){.floor = (int64_t)(value ^ SIGN_BIT), .exact = true};
}

static struct whole whole_from_double(double number, bool is_unsigned)
{
    double down = floor(number);
    if (is_unsigned) {
        if (down < 0)
            return (struct whole){.floor = INT64_MIN, .beyond = -1};
        if (down >= 18446744073709551616.0)
            return (struct whole){.floor = INT64_MAX, .beyond = 1};
        struct whole whole = whole_from_u64((uint64_t)down);
        whole.exact = down == number;
        return whole;
    }
    if (down < -9223372036854775808.0)
        return (struct whole){.floor = INT64_MIN, .beyond = -1};
    if (down >= 9223372036854775808.0)
        return (struct whole){.floor = INT64_MAX, .beyond = 1};
    return (struct whole){.floor = (int64_t)down, .exact = down == number};
}

static bool read_whole(const struct vz_field *field, struct vz_json value, struct whole *out)
{
    bool is_unsigned = field->type == VZ_FIELD_UNSIGNED_LONG;
    enum vz_json_type type = vz_json_type(value);
    if (field->type == VZ_FIELD_BOOLEAN) {
        bool truth;
        if (vz_json_is_number(value) || !vz_json_as_bool(value, &truth))
            return false;
        *out = (struct whole){.floor = truth, .exact = true};
        return true;
    }
    if (type == VZ_JSON_STRING && is_unsigned) {
        char copy[32];
        struct vz_slice text = vz_json_string(value);
        if (text.len == 0 || text.len >= sizeof(copy))
            return false;
        memcpy(copy, text.ptr, text.len);
        copy[text.len] = 0;
        char *end;
        errno = 0;
        unsigned long long number = strtoull(copy, &end, 10);
        if (isdigit((unsigned char)copy[0]) && *end == 0 && errno == 0) {
            *out = whole_from_u64(number);
            return true;
        }
    }
    int64_t integer;
    double number;
    if (type == VZ_JSON_UINT && is_unsigned) {
        struct vz_buf buf = {0}; /* no reader for uint64: its text is exact */
        vz_json_print(value, &buf);
        *out = whole_from_u64(strtoull(buf.data, NULL, 10));
        vz_buf_deinit(&buf);
        return true;
    }
    if ((type == VZ_JSON_INT || type == VZ_JSON_STRING) && vz_json_as_int(value, &integer) &&
        (type == VZ_JSON_INT || vz_json_as_double(value, &number))) {
        /* "1.5" may be read as 1: the double tells */
        if (type == VZ_JSON_INT || number == (double)integer) {
            *out = !is_unsigned  ? (struct whole){.floor = integer, .exact = true}
                   : integer < 0 ? (struct whole){.floor = INT64_MIN, .beyond = -1}
                                 : whole_from_u64((uint64_t)integer);
            return true;
        }
    }
    if (type != VZ_JSON_BOOL && vz_json_as_double(value, &number) && !isnan(number)) {
        *out = whole_from_double(number, is_unsigned);
        return true;
    }
    return false;
}

/* ---- dates ----------------------------------------------------------------------------------- */

/* Whether a date's text says its zone itself ("...Z", "...+01:00"). */
static bool has_zone(struct vz_slice text)
{
    size_t len = text.len;
    for (size_t i = 0; i + 1 < text.len; i++)
        if (text.ptr[i] == '|' && text.ptr[i + 1] == '|') {
            len = i;
            break;
        }
    const char *time = memchr(text.ptr, 'T', len);
    if (!time || vz_slice_starts(text, "now"))
        return false;
    for (const char *at = time; at < text.ptr + len; at++)
        if (*at == 'Z' || *at == '+' || *at == '-')
            return true;
    return false;
}

static int64_t floor_seconds(int64_t ms)
{
    return ms / 1000 - (ms % 1000 < 0);
}

static enum vz_status read_date(struct vz_eval *eval, const struct vz_field *field,
                                const struct vz_node *range, struct vz_json value, bool round_up,
                                int64_t *out, struct vz_error *err)
{
    struct vz_slice text = vz_query_scalar_text(value, eval->arena);
    struct vz_slice format = range && range->range.format.len ? range->range.format : field->format;
    int64_t zone_ms = range && range->range.has_zone ? range->range.zone_ms : 0;
    const struct vz_zone *zone = range && range->range.has_zone ? range->range.zone : NULL;
    bool epoch = text.len > 4; /* 1700000000000 is a moment in no zone, 2024 is a year */
    for (size_t i = 0; i < text.len && epoch; i++)
        epoch = isdigit((unsigned char)text.ptr[i]) || (i == 0 && text.ptr[i] == '-');
    if (epoch || has_zone(text) || vz_slice_is(text, "now")) {
        zone_ms = 0;
        zone = NULL;
    }
    if (zone)
        zone_ms = vz_zone_offset(zone, floor_seconds(eval->now_ms)) * 1000ll;
    struct vz_error inner = {0};
    /* Everything is reckoned in local time, as if it were UTC, and moved at the end. */
    if (vz_date_parse(format, text, true, round_up, eval->now_ms + zone_ms, out, &inner) != VZ_OK)
        return vz_query_fail(err, VZ_BAD_QUERY, "%s", inner.text);
    if (zone)
        zone_ms = vz_zone_offset_local(zone, floor_seconds(*out)) * 1000ll;
    if (__builtin_sub_overflow(*out, zone_ms, out))
        *out = zone_ms > 0 ? INT64_MIN : INT64_MAX;
    return VZ_OK;
}

static enum vz_status range_date(struct vz_eval *eval, const struct vz_node *node,
                                 const struct vz_field *field, struct vz_span *out,
                                 struct vz_error *err)
{
    const struct vz_bound *lower = &node->range.lower, *upper = &node->range.upper;
    *out = (struct vz_span){INT64_MIN, INT64_MAX};
    if (lower->set) {
        enum vz_status status =
            read_date(eval, field, node, lower->value, !lower->inclusive, &out->low, err);
        if (status != VZ_OK)
            return status;
        if (!lower->inclusive && __builtin_add_overflow(out->low, 1, &out->low))
            *out = nothing;
    }
    if (upper->set) {
        enum vz_status status =
            read_date(eval, field, node, upper->value, upper->inclusive, &out->high, err);
        if (status != VZ_OK)
            return status;
        if (!upper->inclusive && __builtin_sub_overflow(out->high, 1, &out->high))
            *out = nothing;
    }
    return VZ_OK;
}

/* ---- spans ----------------------------------------------------------------------------------- */

enum vz_status vz_term_span(struct vz_eval *eval, const struct vz_field *field,
                            struct vz_json value, struct vz_span *out, struct vz_error *err)
{
    *out = nothing;
    if (field->type == VZ_FIELD_DATE) {
        enum vz_status status = read_date(eval, field, NULL, value, false, &out->low, err);
        if (status == VZ_OK)
            status = read_date(eval, field, NULL, value, true, &out->high, err);
        return status;
    }
    struct whole whole;
    if (!read_whole(field, value, &whole))
        return not_a_number(eval, field, value, err);
    if (whole.exact && !whole.beyond)
        *out = (struct vz_span){whole.floor, whole.floor};
    return VZ_OK;
}

enum vz_status vz_range_span(struct vz_eval *eval, const struct vz_node *node,
                             const struct vz_field *field, struct vz_span *out,
                             struct vz_error *err)
{
    const struct vz_bound *lower = &node->range.lower, *upper = &node->range.upper;
    struct whole whole;
    if (field->type == VZ_FIELD_DATE)
        return range_date(eval, node, field, out, err);
    *out = (struct vz_span){INT64_MIN, INT64_MAX};
    if (lower->set) {
        if (!read_whole(field, lower->value, &whole))
            return not_a_number(eval, field, lower->value, err);
        out->low = whole.floor;
        bool past = !whole.beyond && (!whole.exact || !lower->inclusive);
        if (whole.beyond > 0 || (past && __builtin_add_overflow(out->low, 1, &out->low))) {
            *out = nothing;
            return VZ_OK;
        }
    }
    if (upper->set) {
        if (!read_whole(field, upper->value, &whole))
            return not_a_number(eval, field, upper->value, err);
        out->high = whole.floor;
        bool before = !whole.beyond && whole.exact && !upper->inclusive;
        if (whole.beyond < 0 || (before && __builtin_sub_overflow(out->high, 1, &out->high)))
            *out = nothing;
    }
    return VZ_OK;
}

enum vz_status vz_term_f64(struct vz_eval *eval, const struct vz_field *field, struct vz_json value,
                           double *out, struct vz_error *err)
{
    double number;
    if (vz_json_type(value) == VZ_JSON_BOOL || !vz_json_as_double(value, &number) || isnan(number))
        return not_a_number(eval, field, value, err);
    /* Rounded to the field's precision by whoever keeps the values. What is too large for it is
     * refused there, but is a fine bound here. */
    struct vz_typed_value parsed;
    if (vz_value_parse(field, value, false, eval->arena, &parsed, NULL) == VZ_OK &&
        parsed.kind == VZ_COLUMN_F64)
        number = parsed.f64;
    *out = number;
    return VZ_OK;
}

/* As Elasticsearch: the bounds themselves are not rounded, so that > 1.234 with a factor of 100
 * finds 1.24 and >= 1.231 does not find 1.23. */
static enum vz_status range_scaled(struct vz_eval *eval, const struct vz_node *node,
                                   const struct vz_field *field, struct vz_span_f64 *out,
                                   struct vz_error *err)
{
    const struct vz_bound *lower = &node->range.lower, *upper = &node->range.upper;
    double factor = field->scaling_factor, number;
    *out = (struct vz_span_f64){-INFINITY, INFINITY};
    if (lower->set) {
        if (vz_json_type(lower->value) == VZ_JSON_BOOL ||
            !vz_json_as_double(lower->value, &number) || isnan(number))
            return not_a_number(eval, field, lower->value, err);
        number = lower->inclusive ? number : nextafter(number, INFINITY);
        out->low = ceil(number * factor) / factor;
    }
    if (upper->set) {
        if (vz_json_type(upper->value) == VZ_JSON_BOOL ||
            !vz_json_as_double(upper->value, &number) || isnan(number))
            return not_a_number(eval, field, upper->value, err);
        number = upper->inclusive ? number : nextafter(number, -INFINITY);
        out->high = floor(number * factor) / factor;
    }
    return VZ_OK;
}

enum vz_status vz_range_f64(struct vz_eval *eval, const struct vz_node *node,
                            const struct vz_field *field, struct vz_span_f64 *out,
                            struct vz_error *err)
{
    const struct vz_bound *lower = &node->range.lower, *upper = &node->range.upper;
    if (field->type == VZ_FIELD_SCALED_FLOAT)
        return range_scaled(eval, node, field, out, err);
    *out = (struct vz_span_f64){-INFINITY, INFINITY};
    if (lower->set) {
        enum vz_status status = vz_term_f64(eval, field, lower->value, &out->low, err);
        if (status != VZ_OK)
            return status;
        if (!lower->inclusive)
            out->low = nextafter(out->low, INFINITY);
    }
    if (upper->set) {
        enum vz_status status = vz_term_f64(eval, field, upper->value, &out->high, err);
        if (status != VZ_OK)
            return status;
        if (!upper->inclusive)
            out->high = nextafter(out->high, -INFINITY);
    }
    return VZ_OK;
}
