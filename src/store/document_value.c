/* store/document_value.c - one JSON scalar as a value of a field, with Elasticsearch's coercions.
 * Used for documents and for queries. */
#include "base/clock.h"
#include "base/text.h"
#include "store/document_parts.h"
#include "store/ip.h"
#include "text/analysis.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>

#define SIGN_BIT 0x8000000000000000ull

static enum vz_status not_a_number(struct vz_slice text, struct vz_error *err)
{
    return vz_fail(err, VZ_BAD_ARGUMENT, "For input string: \"%.*s\"",
                   (int)VZ_MIN(text.len, (size_t)100), text.ptr);
}

bool vz_text_to_double(struct vz_slice text, double *out)
{
    char copy[352], *end;
    if (text.len == 0 || text.len >= sizeof copy)
        return false;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        if (!(c >= '0' && c <= '9') && c != '+' && c != '-' && c != '.' && c != 'e' && c != 'E')
            return false;
    }
    memcpy(copy, text.ptr, text.len);
    copy[text.len] = 0;
    *out = strtod(copy, &end);
    return *end == 0;
}

bool vz_text_number(struct vz_slice text, double *out)
{
    return vz_text_to_double(text, out);
}

bool vz_text_to_i64(struct vz_slice text, int64_t *out)
{
    size_t i = 0;
    bool negative = false;
    int64_t value = 0;
    if (text.len && (text.ptr[0] == '-' || text.ptr[0] == '+'))
        negative = text.ptr[i++] == '-';
    if (i == text.len)
        return false;
    for (; i < text.len; i++) {
        int digit = text.ptr[i] - '0';
        if (digit < 0 || digit > 9 || __builtin_mul_overflow(value, 10, &value) ||
            (negative ? __builtin_sub_overflow(value, digit, &value)
                      : __builtin_add_overflow(value, digit, &value)))
            return false;
    }
    *out = value;
    return true;
}

static bool text_to_u64(struct vz_slice text, uint64_t *out)
{
    uint64_t value = 0;
    size_t i = text.len && text.ptr[0] == '+';
    if (i == text.len)
        return false;
    for (; i < text.len; i++) {
        int digit = text.ptr[i] - '0';
        if (digit < 0 || digit > 9 || __builtin_mul_overflow(value, 10u, &value) ||
            __builtin_add_overflow(value, (uint64_t)digit, &value))
            return false;
    }
    *out = value;
    return true;
}

/* ---- numbers ------------------------------------------------------------------------------ */

static void integer_range(enum vz_field_type type, int64_t *min, int64_t *max, const char **name)
{
    switch (type) {
    case VZ_FIELD_BYTE:
        *min = INT8_MIN, *max = INT8_MAX, *name = "a byte";
        break;
    case VZ_FIELD_SHORT:
        *min = INT16_MIN, *max = INT16_MAX, *name = "a short";
        break;
    case VZ_FIELD_INTEGER:
        *min = INT32_MIN, *max = INT32_MAX, *name = "an integer";
        break;
    default:
        *min = INT64_MIN, *max = INT64_MAX, *name = "a long";
    }
}

static enum vz_status out_of_range(struct vz_slice text, const char *name, struct vz_error *err)
{
    return vz_fail(err, VZ_BAD_ARGUMENT, "Value [%.*s] is out of range for %s",
                   (int)VZ_MIN(text.len, (size_t)100), text.ptr, name);
}

/* For a range's bound between two integers: x > 1.5 is x > 1, x >= 1.5 is x >= 2. */
static int64_t bound(double number, bool round_up)
{
    number = round_up ? floor(number) : ceil(number);
    return number >= 0x1p63 ? INT64_MAX : number < -0x1p63 ? INT64_MIN : (int64_t)number;
}

static enum vz_status read_integer(const struct vz_field *field, const struct vz_scalar *scalar,
                                   const struct vz_scalar_rules *rules, int64_t *out,
                                   struct vz_error *err)
{
    int64_t min, max, value;
    const char *name;
    double number;
    bool coerce = vz_mapping_node_of(field)->coerce || rules->for_query;
    integer_range(field->type, &min, &max, &name);
    if (scalar->type == VZ_JSON_STRING && !coerce)
        return vz_fail(err, VZ_BAD_ARGUMENT, "%s value passed as String",
                       field->type == VZ_FIELD_LONG ? "Long" : "Integer");
    if (scalar->type == VZ_JSON_INT) {
        value = vz_json_int(scalar->json);
    } else if (!vz_text_to_i64(scalar->text, &value)) {
        if (!vz_text_to_double(scalar->text, &number))
            return not_a_number(scalar->text, err);
        if (rules->for_query) {
            *out = bound(number, rules->round_up);
            return VZ_OK;
        }
        if (!coerce && number != trunc(number))
            return vz_fail(err, VZ_BAD_ARGUMENT, "%.*s cannot be converted to %s without data loss",
                           (int)scalar->text.len, scalar->text.ptr,
                           field->type == VZ_FIELD_LONG ? "Long" : "Integer");
        if (!(number > -0x1p63 - 1 && number < 0x1p63))
            return out_of_range(scalar->text, name, err);
        value = (int64_t)number;
    }
    if (!rules->for_query && (value < min || value > max))
        return out_of_range(scalar->text, name, err);
    *out = value;
    return VZ_OK;
}

static enum vz_status read_unsigned(const struct vz_scalar *scalar,
                                    const struct vz_scalar_rules *rules, int64_t *out,
                                    struct vz_error *err)
{
    uint64_t value;
    double number;
    if (!text_to_u64(scalar->text, &value)) {
        if (!vz_text_to_double(scalar->text, &number))
            return not_a_number(scalar->text, err);
        if (rules->for_query)
            number = rules->round_up ? floor(number) : ceil(number);
        else if (number != trunc(number))
            return vz_fail(err, VZ_BAD_ARGUMENT, "Value \"%.*s\" has a decimal part",
                           (int)scalar->text.len, scalar->text.ptr);
        bool low = number < 0, high = number >= 0x1p64;
        if ((low || high) && !rules->for_query)
            return out_of_range(scalar->text, "unsigned long", err);
        value = low ? 0 : high ? UINT64_MAX : (uint64_t)number;
    }
    *out = (int64_t)(value ^ SIGN_BIT);
    return VZ_OK;
}

/* To the nearest number of 11 significant bits, at least 2^-24 apart. */
static double to_half(double number)
{
    int exponent;
    frexp(number, &exponent);
    double step = ldexp(1, VZ_MAX(exponent - 11, -24));
    double rounded = nearbyint(number / step) * step;
    return fabs(rounded) > 65504 ? (double)INFINITY * (rounded < 0 ? -1 : 1) : rounded;
}

double vz_scaled(double number, double factor)
{
    /* As Java's Math.round: halves go up. */
    double scaled = number * factor, down = floor(scaled);
    return (down + (scaled - down >= 0.5)) / factor;
}

static enum vz_status read_decimal(const struct vz_field *field, const struct vz_scalar *scalar,
                                   const struct vz_scalar_rules *rules, double *out,
                                   struct vz_error *err)
{
    double number;
    if (scalar->type != VZ_JSON_STRING)
        number = vz_json_double(scalar->json);
    else if (!vz_mapping_node_of(field)->coerce && !rules->for_query)
        return vz_fail(err, VZ_BAD_ARGUMENT, "%s value passed as String",
                       field->type == VZ_FIELD_FLOAT || field->type == VZ_FIELD_HALF_FLOAT
                           ? "Float"
                           : "Double");
    else if (vz_slice_is(scalar->text, "NaN") || vz_slice_is(scalar->text, "Infinity") ||
             vz_slice_is(scalar->text, "-Infinity"))
        number = NAN;
    else if (!vz_text_to_double(vz_slice_trim(scalar->text), &number))
        return not_a_number(scalar->text, err);
    if (field->type == VZ_FIELD_SCALED_FLOAT && isfinite(number))
        number = vz_scaled(number, field->scaling_factor);
    if (field->type == VZ_FIELD_FLOAT)
        number = (double)(float)number;
    else if (field->type == VZ_FIELD_HALF_FLOAT && isfinite(number))
        number = to_half(number);
    /* A bound may be infinite: more than every number. */
    if (isnan(number) || (isinf(number) && !rules->for_query))
        return vz_fail(err, VZ_BAD_ARGUMENT, "[%s] %s finite values, but got [%.*s]",
                       vz_field_type_name(field->type),
                       field->type == VZ_FIELD_SCALED_FLOAT ? "only supports" : "supports only",
                       (int)VZ_MIN(scalar->text.len, (size_t)100), scalar->text.ptr);
    *out = number == 0 ? 0 : number; /* -0.0 and 0.0 are one value */
    return VZ_OK;
}

/* A feature that counts by its reciprocal must have one that can be kept, too. */
static enum vz_status read_feature(const struct vz_field *field, const struct vz_scalar *scalar,
                                   const struct vz_scalar_rules *rules, double *out,
                                   struct vz_error *err)
{
    enum vz_status status = read_decimal(field, scalar, rules, out, err);
    float value = (float)*out;
    if (status == VZ_OK && field->negative_impact)
        value = 1 / value;
    if (status == VZ_OK && !isfinite(value))
        return vz_fail(err, VZ_BAD_ARGUMENT, "featureValue must be finite, got: %g for feature %.*s",
                       (double)value, (int)field->path.len, field->path.ptr);
    if (status == VZ_OK && !(value >= FLT_MIN))
        return vz_fail(err, VZ_BAD_ARGUMENT,
                       "featureValue must be a positive normal float, got: %g for feature %.*s on "
                       "field _feature which is less than the minimum positive normal float: "
                       "1.17549435E-38",
                       (double)value, (int)field->path.len, field->path.ptr);
    return status;
}

/* ---- the rest ----------------------------------------------------------------------------- */

static enum vz_status read_boolean(const struct vz_scalar *scalar, int64_t *out,
                                   struct vz_error *err)
{
    bool is_text = scalar->type == VZ_JSON_STRING || scalar->type == VZ_JSON_BOOL;
    if (is_text && vz_slice_is(scalar->text, "true"))
        *out = 1;
    else if (is_text && (vz_slice_is(scalar->text, "false") || scalar->text.len == 0))
        *out = 0;
    else
        return vz_fail(err, VZ_BAD_ARGUMENT,
                       "Failed to parse value [%.*s] as only [true] or [false] are allowed.",
                       (int)VZ_MIN(scalar->text.len, (size_t)100), scalar->text.ptr);
    return VZ_OK;
}

#define MAX_TERM_BYTES 32766

static size_t count_characters(struct vz_slice text)
{
    size_t count = 0;
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        /* UTF-16 units, as Java counts: four bytes of UTF-8 are two. */
        count += (c & 0xC0) != 0x80;
        count += c >= 0xF0;
    }
    return count;
}

static enum vz_status read_keyword(const struct vz_field *field, const struct vz_scalar *scalar,
                                   const struct vz_scalar_rules *rules, struct vz_arena *arena,
                                   struct vz_typed_value *value, bool *nothing,
                                   struct vz_error *err)
{
    struct vz_slice text = scalar->text;
    if (!rules->for_query && field->ignore_above && text.len > field->ignore_above &&
        count_characters(text) > field->ignore_above) {
        *nothing = true;
        return VZ_OK;
    }
    if (text.len > MAX_TERM_BYTES && !rules->for_query && field->type != VZ_FIELD_WILDCARD) {
        if (!vz_mapping_node_of(field)->indexed_terms)
            return VZ_OK;
        return vz_fail(err, VZ_BAD_ARGUMENT,
                       "Document contains at least one immense term in field=\"%.*s\" (whose UTF8 "
                       "encoding is longer than the max length %d), all of which were skipped. "
                       "Please correct the analyzer to not produce such terms.",
                       (int)field->path.len, field->path.ptr, MAX_TERM_BYTES);
    }
    if (value->kind == VZ_COLUMN_ORDINAL && field->normalizer)
        return vz_normalize(field->normalizer, text, arena, &value->term, err);
    if (value->kind == VZ_COLUMN_ORDINAL)
        value->term = scalar->borrowed ? text : vz_arena_copy(arena, text);
    return VZ_OK;
}

static enum vz_status read_ip(const struct vz_scalar *scalar, struct vz_arena *arena,
                              struct vz_typed_value *value, struct vz_error *err)
{
    unsigned char address[VZ_IP_BYTES];
    char text[VZ_IP_TEXT];
    enum vz_status status = vz_ip_parse(scalar->text, address, err);
    if (status == VZ_OK && value->kind == VZ_COLUMN_ORDINAL) {
        vz_ip_print(address, text);
        value->term = vz_arena_copy(arena, vz_slice_from(text));
    }
    return status;
}

static enum vz_status read_constant(const struct vz_field *field, const struct vz_scalar *scalar,
                                    const struct vz_scalar_rules *rules,
                                    struct vz_typed_value *value, struct vz_error *err)
{
    if (!rules->for_query && field->has_value && !vz_slice_eq(field->value, scalar->text))
        return vz_fail(err, VZ_BAD_ARGUMENT,
                       "[constant_keyword] field [%.*s] only accepts values that are equal to the "
                       "value defined in the mappings [%.*s], but got [%.*s]",
                       (int)field->path.len, field->path.ptr, (int)field->value.len,
                       field->value.ptr, (int)VZ_MIN(scalar->text.len, (size_t)100),
                       scalar->text.ptr);
    value->term = rules->for_query ? scalar->text : field->value;
    return VZ_OK;
}

static enum vz_status read_binary(const struct vz_scalar *scalar, struct vz_error *err)
{
    if (scalar->type != VZ_JSON_STRING)
        return vz_fail(err, VZ_BAD_ARGUMENT, "binary values must be base64 strings");
    for (size_t i = 0; i < scalar->text.len; i++) {
        char c = scalar->text.ptr[i];
        bool ok = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
                  c == '+' || c == '/' || c == '=' || c == '-' || c == '_' || c == '\n' ||
                  c == '\r';
        if (!ok)
            return vz_fail(err, VZ_BAD_ARGUMENT, "Illegal character '%c' in base64 content",
                           c < 0x20 || c > 0x7E ? '?' : c);
    }
    return VZ_OK;
}

enum vz_status vz_scalar_read(const struct vz_field *field, const struct vz_scalar *scalar,
                              const struct vz_scalar_rules *rules, struct vz_arena *arena,
                              struct vz_typed_value *value, bool *nothing, struct vz_error *err)
{
    value->field = field->id;
    value->kind = field->column;
    *nothing = false;
    int64_t i64 = 0;
    double f64 = 0;
    enum vz_status status = VZ_OK;
    if (vz_field_is_number(field)) {
        if (scalar->type == VZ_JSON_BOOL)
            return vz_fail(err, VZ_BAD_ARGUMENT,
                           "Current token (VALUE_%s) not numeric, can not use numeric value "
                           "accessors",
                           vz_json_bool(scalar->json) ? "TRUE" : "FALSE");
        if (scalar->type == VZ_JSON_STRING && scalar->text.len == 0 && !rules->for_query &&
            vz_mapping_node_of(field)->coerce) {
            *nothing = true;
            return VZ_OK;
        }
    }
    switch (field->type) {
    case VZ_FIELD_LONG:
    case VZ_FIELD_INTEGER:
    case VZ_FIELD_SHORT:
    case VZ_FIELD_BYTE:
        status = read_integer(field, scalar, rules, &i64, err);
        break;
    case VZ_FIELD_UNSIGNED_LONG:
        status = read_unsigned(scalar, rules, &i64, err);
        break;
    case VZ_FIELD_DOUBLE:
    case VZ_FIELD_FLOAT:
    case VZ_FIELD_HALF_FLOAT:
        status = read_decimal(field, scalar, rules, &f64, err);
        break;
    case VZ_FIELD_RANK_FEATURE:
        status = read_feature(field, scalar, rules, &f64, err);
        break;
    case VZ_FIELD_BOOLEAN:
        status = read_boolean(scalar, &i64, err);
        break;
    case VZ_FIELD_DATE:
        status = vz_date_parse(field->format, scalar->text, rules->for_query, rules->round_up,
                               rules->now_ms, &i64, err);
        break;
    case VZ_FIELD_IP:
        return read_ip(scalar, arena, value, err);
    case VZ_FIELD_CONSTANT_KEYWORD:
        return read_constant(field, scalar, rules, value, err);
    case VZ_FIELD_SCALED_FLOAT:
        status = read_decimal(field, scalar, rules, &f64, err);
        break;
    case VZ_FIELD_KEYWORD:
    case VZ_FIELD_WILDCARD:
    case VZ_FIELD_FLATTENED:
        return read_keyword(field, scalar, rules, arena, value, nothing, err);
    case VZ_FIELD_BINARY:
        return read_binary(scalar, err);
    default:
        return VZ_OK;
    }
    if (value->kind == VZ_COLUMN_I64)
        value->i64 = i64;
    else if (value->kind == VZ_COLUMN_F64)
        value->f64 = f64;
    return status;
}

enum vz_status vz_null_value_check(const struct vz_field *field, struct vz_json json,
                                   struct vz_error *err)
{
    struct vz_error inner = {0};
    struct vz_arena arena = {0};
    struct vz_typed_value value = {0};
    struct vz_scalar scalar = {.type = vz_json_type(json), .json = json};
    struct vz_scalar_rules rules = {0};
    bool nothing;
    enum vz_status status;
    scalar.text = scalar.type == VZ_JSON_STRING ? vz_json_string(json) : field->null_value;
    bool is_container = scalar.type == VZ_JSON_OBJECT || scalar.type == VZ_JSON_ARRAY;
    if (field->type == VZ_FIELD_GEO_POINT)
        status = vz_geo_parse(json, &value.geo.lat, &value.geo.lon, &inner);
    else if (is_container)
        status = vz_fail(&inner, VZ_BAD_ARGUMENT, "a single value is needed");
    else
        status = vz_scalar_read(field, &scalar, &rules, &arena, &value, &nothing, &inner);
    vz_arena_deinit(&arena);
    if (status == VZ_OK)
        return VZ_OK;
    return vz_mapping_fault(err, "Error parsing [null_value] on field [%.*s]: %s",
                            (int)field->path.len, field->path.ptr, inner.text);
}

/* ---- queries ------------------------------------------------------------------------------ */

enum vz_status vz_value_parse(const struct vz_field *field, struct vz_json value, bool round_up,
                              struct vz_arena *arena, struct vz_typed_value *out,
                              struct vz_error *err)
{
    struct vz_scalar scalar = {.type = vz_json_type(value), .json = value};
    struct vz_scalar_rules rules = {.for_query = true, .round_up = round_up};
    bool nothing;
    *out = (struct vz_typed_value){.field = field->id, .kind = field->column};
    if (field->type == VZ_FIELD_GEO_POINT)
        return vz_geo_parse(value, &out->geo.lat, &out->geo.lon, err);
    if (field->column <= VZ_COLUMN_PRESENCE)
        return vz_fail(err, VZ_UNSUPPORTED, "field [%.*s] of type [%s] has no values to query",
                       (int)field->path.len, field->path.ptr, vz_field_type_name(field->type));
    switch (scalar.type) {
    case VZ_JSON_STRING:
        scalar.text = vz_json_string(value);
        break;
    case VZ_JSON_BOOL:
    case VZ_JSON_INT:
    case VZ_JSON_UINT:
    case VZ_JSON_DOUBLE: {
        struct vz_buf text = {0};
        vz_json_print(value, &text);
        scalar.text = vz_arena_copy(arena, vz_buf_slice(&text));
        scalar.borrowed = true;
        vz_buf_deinit(&text);
        break;
    }
    default:
        return vz_fail(err, VZ_BAD_ARGUMENT, "field [%.*s] of type [%s] cannot be compared with %s",
                       (int)field->path.len, field->path.ptr, vz_field_type_name(field->type),
                       vz_json_type_name(value));
    }
    if (field->type == VZ_FIELD_DATE)
        rules.now_ms = vz_wall_ms();
    return vz_scalar_read(field, &scalar, &rules, arena, out, &nothing, err);
}
