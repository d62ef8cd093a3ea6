/* Sort keys in a snapshot: bound to columns, read per document, compared, printed.
 *
 * A keyword's ordinals are numbered by first appearance, so they do not sort; the texts of those
 * that are met are read once and kept for the search. A document with several values sorts by the
 * smallest ascending and the largest descending, or as `mode` says. Absent values: Elasticsearch's
 * stand-ins, the largest or smallest number there is, which it prints as such.
 */
#include "query/filter.h"

#include <math.h>
#include <stdlib.h>

/* Sort value types of a field type. */
static enum vz_sort_type sorted_as(enum vz_field_type type)
{
    switch (type) {
    case VZ_FIELD_KEYWORD:
    case VZ_FIELD_CONSTANT_KEYWORD:
    case VZ_FIELD_WILDCARD:
    case VZ_FIELD_IP:
    case VZ_FIELD_FLATTENED:
    case VZ_FIELD_FLATTENED_KEYED:
        return VZ_SORTED_TEXT;
    case VZ_FIELD_SCALED_FLOAT:
    case VZ_FIELD_DOUBLE:
    case VZ_FIELD_FLOAT:
    case VZ_FIELD_HALF_FLOAT:
        return VZ_SORTED_F64;
    default:
        return VZ_SORTED_I64;
    }
}

static bool prints_as_float(const struct vz_field *field)
{
    return field->type != VZ_FIELD_DOUBLE && field->type != VZ_FIELD_SCALED_FLOAT;
}

/* Addresses sort as numbers, other texts as they are. */
static struct vz_slice sort_text(const struct vz_field *field, struct vz_slice text,
                                 struct vz_arena *arena)
{
    return field && field->type == VZ_FIELD_IP ? vz_ip_sort_key(text, arena) : text;
}

static enum vz_status set_absent(struct vz_sort_reader *reader, const struct vz_field *field,
                                 struct vz_eval *eval, struct vz_error *err)
{
    const struct vz_sort_key *key = reader->key;
    struct vz_sort_value *absent = &reader->absent;
    bool low = key->missing_first != key->descending;
    absent->type = reader->type;
    if (vz_json_type(key->missing) != VZ_JSON_MISSING && field) {
        struct vz_span span = {0};
        enum vz_status status = VZ_OK;
        if (reader->type == VZ_SORTED_TEXT)
            absent->text =
                sort_text(field, vz_query_scalar_text(key->missing, eval->arena), eval->arena);
        else if (reader->type == VZ_SORTED_F64)
            status = vz_term_f64(eval, field, key->missing, &absent->f64, err);
        else if ((status = vz_term_span(eval, field, key->missing, &span, err)) == VZ_OK)
            absent->i64 = span.low;
        return status;
    }
    if (reader->type == VZ_SORTED_TEXT)
        absent->type = VZ_SORTED_MISSING;
    else if (reader->type == VZ_SORTED_F64)
        absent->f64 = low ? -INFINITY : INFINITY;
    else
        absent->i64 = low ? INT64_MIN : INT64_MAX;
    return VZ_OK;
}

static enum vz_status bind_unmapped(struct vz_sort_reader *reader, struct vz_eval *eval,
                                    struct vz_error *err)
{
    const struct vz_sort_key *key = reader->key;
    enum vz_field_type type;
    if (key->kind == VZ_SORT_GEO && key->ignore_unmapped)
        return VZ_OK;
    if (key->kind == VZ_SORT_GEO)
        return vz_fail(err, VZ_BAD_QUERY,
                       "failed to find mapper for [%.*s] for geo distance based "
                       "sort",
                       VZ_ARG(key->field));
    if (key->unmapped_type.len == 0)
        return vz_fail(err, VZ_BAD_QUERY, "No mapping found for [%.*s] in order to sort on",
                       VZ_ARG(key->field));
    if (!vz_filter_type_from(key->unmapped_type, &type))
        return vz_fail(err, VZ_BAD_QUERY, "No mapper found for type [%.*s]",
                       VZ_ARG(key->unmapped_type));
    reader->type = sorted_as(type);
    return set_absent(reader, NULL, eval, err);
}

static enum vz_status check_sortable(const struct vz_sort_key *key, const struct vz_field *field,
                                     struct vz_eval *eval, struct vz_error *err)
{
    struct vz_slice index = vz_index_name(vz_snapshot_index(eval->snap));
    const char *type = vz_filter_type_name(field->type);
    if (key->kind == VZ_SORT_GEO)
        return field->type == VZ_FIELD_GEO_POINT
                   ? VZ_OK
                   : vz_fail(err, VZ_BAD_QUERY,
                             "unable to apply geo distance sort to field [%.*s] of type "
                             "[%s]",
                             VZ_ARG(field->path), type);
    if (field->type == VZ_FIELD_TEXT)
        return vz_fail(
            err, VZ_BAD_QUERY,
            "Fielddata is disabled on [%.*s] in [%.*s]. Text fields "
            "are not optimised for operations that require per-document field data like "
            "aggregations and sorting, so these operations are disabled by default. Please use a "
            "keyword field instead.",
            VZ_ARG(field->path), VZ_ARG(index));
    if (field->type == VZ_FIELD_GEO_POINT || field->type == VZ_FIELD_DENSE_VECTOR ||
        field->type == VZ_FIELD_BINARY)
        return vz_fail(err, VZ_BAD_QUERY,
                       "can't sort on [%s] field without using specific sorting "
                       "feature, like geo_distance: [%.*s]",
                       type, VZ_ARG(field->path));
    if (field->column == VZ_COLUMN_PRESENCE)
        return vz_fail(err, VZ_BAD_QUERY,
                       "Can't load fielddata on [%.*s] because fielddata is "
                       "unsupported on fields of type [%s]. Use doc values instead.",
                       VZ_ARG(field->path), type);
    enum vz_status status = vz_field_check_doc_values(field, err);
    if (status != VZ_OK)
        return status;
    if (field->column == VZ_COLUMN_ORDINAL && key->mode > VZ_MODE_MAX)
        return vz_fail(err, VZ_BAD_QUERY,
                       "we only support MIN and MAX mode on [%s] fields, "
                       "sort field [%.*s]",
                       type, VZ_ARG(field->path));
    return VZ_OK;
}

enum vz_status vz_sort_bind(const struct vz_sort_key *key, struct vz_eval *eval,
                            struct vz_sort_reader *reader, struct vz_error *err)
{
    *reader = (struct vz_sort_reader){.key = key,
                                      .snap = eval->snap,
                                      .arena = eval->arena,
                                      .is_min = key->mode == VZ_MODE_MIN ||
                                                (key->mode != VZ_MODE_MAX && !key->descending)};
    reader->base = key->kind == VZ_SORT_SHARD_DOC ? (int64_t)eval->target << 32 : 0;
    if (key->kind == VZ_SORT_SCORE || key->kind == VZ_SORT_DOC || key->kind == VZ_SORT_SHARD_DOC)
        return VZ_OK;
    if (key->kind == VZ_SORT_SCRIPT)
        return vz_script_sort_bind(reader, eval, err);
    if (key->kind == VZ_SORT_GEO) {
        reader->type = VZ_SORTED_F64;
        reader->absent = (struct vz_sort_value){.type = VZ_SORTED_F64, .f64 = INFINITY};
    }
    const struct vz_field *field = vz_eval_field(eval, key->field);
    if (!field || field->type == VZ_FIELD_OBJECT || field->type == VZ_FIELD_NESTED)
        return bind_unmapped(reader, eval, err);
    enum vz_status status = check_sortable(key, field, eval, err);
    if (status != VZ_OK)
        return status;
    reader->field = field;
    if (key->kind == VZ_SORT_FIELD && key->format.len) {
        status = vz_value_format_check(field, key->format, err);
        if (status != VZ_OK)
            return status;
    }
    if (key->numeric && field->type != VZ_FIELD_DATE && !vz_field_is_number(field))
        return vz_fail(err, VZ_BAD_QUERY,
                       "[numeric_type] option cannot be set on a non-numeric field, got %s",
                       vz_filter_type_name(field->type));
    if (key->nested)
        status = vz_sort_nested_bind(reader, field, eval, err);
    else if (field->under_nested)
        status = vz_fail(err, VZ_BAD_QUERY,
                         "it is mandatory to set the [nested] context on the nested sort field: "
                         "[%.*s].",
                         VZ_ARG(key->field));
    else
        vz_field_column(eval, field, &reader->column);
    if (key->kind == VZ_SORT_GEO || status != VZ_OK)
        return status;
    reader->type = sorted_as(field->type);
    if (reader->type == VZ_SORTED_TEXT && !key->nested) {
        size_t ordinals = vz_field_ordinal_count(eval->snap, field);
        reader->terms = vz_calloc(ordinals + 1, sizeof(*reader->terms));
    }
    return set_absent(reader, field, eval, err);
}

void vz_sort_unbind(struct vz_sort_reader *reader)
{
    free(reader->terms);
    reader->terms = NULL;
    if (reader->script)
        vz_doc_script_close(reader->script);
    reader->script = NULL;
    vz_sort_nested_unbind(reader->nested);
    reader->nested = NULL;
}

/* Moves the cursor to the first entry at or after docno: a few steps, then doubling ones. */
static size_t advance(struct vz_sort_reader *reader, uint32_t docno)
{
    const uint32_t *docnos = reader->column.docnos;
    size_t at = reader->at, count = reader->column.count, step = 1;
    if (at >= count || docnos[at] >= docno)
        return at;
    while (at + step < count && docnos[at + step] < docno) {
        at += step;
        step *= 2;
    }
    size_t high = VZ_MIN(count, at + step); /* docnos[at] < docno <= docnos[high] */
    while (high - at > 1) {
        size_t mid = at + (high - at) / 2;
        if (docnos[mid] < docno)
            at = mid;
        else
            high = mid;
    }
    return reader->at = high;
}

static struct vz_slice term_of(struct vz_sort_reader *reader, size_t entry)
{
    uint32_t ordinal = reader->column.ordinals[entry];
    struct vz_slice *term = &reader->terms[ordinal];
    if (!term->ptr) {
        *term = vz_field_term(reader->snap, reader->field, ordinal, reader->arena);
        *term = sort_text(reader->field, *term, reader->arena);
        if (!term->ptr)
            term->ptr = "";
    }
    return *term;
}

static double number_of(const struct vz_sort_reader *reader, size_t entry)
{
    const struct vz_column *column = &reader->column;
    if (column->kind == VZ_COLUMN_GEO)
        return (reader->key->plane ? vz_query_plane : vz_query_haversine)(
                   reader->key->lat, reader->key->lon, column->geo[entry].lat,
                   column->geo[entry].lon) /
               reader->key->unit;
    return column->kind == VZ_COLUMN_F64 ? column->f64[entry] : (double)column->i64[entry];
}

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

/* sum, avg, median of the entries [from, to). */
static double combine(const struct vz_sort_reader *reader, size_t from, size_t to)
{
    size_t count = to - from;
    double sum = 0;
    for (size_t i = from; i < to; i++)
        sum += number_of(reader, i);
    if (reader->key->mode == VZ_MODE_SUM)
        return sum;
    if (reader->key->mode == VZ_MODE_AVG)
        return sum / (double)count;
    double *values = vz_alloc(count * sizeof(*values));
    for (size_t i = 0; i < count; i++)
        values[i] = number_of(reader, from + i);
    qsort(values, count, sizeof(*values), compare_doubles);
    double median = count % 2 ? values[count / 2] : (values[count / 2 - 1] + values[count / 2]) / 2;
    free(values);
    return median;
}

static struct vz_sort_value read_column(struct vz_sort_reader *reader, size_t from, size_t to)
{
    struct vz_sort_value best = {.type = reader->type};
    const struct vz_column *column = &reader->column;
    bool is_min = reader->is_min;
    if (reader->type == VZ_SORTED_TEXT) {
        best.text = term_of(reader, from);
        for (size_t i = from + 1; i < to; i++) {
            struct vz_slice term = term_of(reader, i);
            if ((vz_slice_cmp(term, best.text) < 0) == is_min)
                best.text = term;
        }
        return best;
    }
    if (reader->key->mode > VZ_MODE_MAX) {
        double value = combine(reader, from, to);
        if (reader->type == VZ_SORTED_F64)
            best.f64 = value;
        else
            best.i64 = reader->key->mode == VZ_MODE_SUM ? (int64_t)value : (int64_t)round(value);
        return best;
    }
    if (reader->type == VZ_SORTED_F64) {
        best.f64 = number_of(reader, from);
        for (size_t i = from + 1; i < to; i++) {
            double value = number_of(reader, i);
            best.f64 = is_min ? VZ_MIN(best.f64, value) : VZ_MAX(best.f64, value);
        }
        return best;
    }
    best.i64 = column->i64[from];
    for (size_t i = from + 1; i < to; i++)
        best.i64 = is_min ? VZ_MIN(best.i64, column->i64[i]) : VZ_MAX(best.i64, column->i64[i]);
    return best;
}

/* The first or last of a document's texts, which live until the next read: the one kept is copied.
 */
static struct vz_sort_value read_nested(struct vz_sort_reader *reader, uint32_t docno)
{
    size_t count = vz_sort_nested_read(reader, docno);
    if (count == 0)
        return reader->absent;
    if (reader->type != VZ_SORTED_TEXT)
        return read_column(reader, 0, count);
    struct vz_sort_value best = {.type = VZ_SORTED_TEXT};
    for (size_t i = 0; i < count; i++) {
        struct vz_slice term = sort_text(reader->field, reader->nested_terms[i], reader->arena);
        if (i == 0 || (vz_slice_cmp(term, best.text) < 0) == reader->is_min)
            best.text = term;
    }
    best.text = vz_arena_copy(reader->arena, best.text);
    return best;
}

static struct vz_sort_value read_value(struct vz_sort_reader *reader, uint32_t docno, float score)
{
    if (reader->key->kind == VZ_SORT_SCORE)
        return (struct vz_sort_value){.type = VZ_SORTED_F64, .f64 = (double)score};
    if (reader->key->kind == VZ_SORT_DOC || reader->key->kind == VZ_SORT_SHARD_DOC)
        return (struct vz_sort_value){.type = VZ_SORTED_I64, .i64 = reader->base + docno};
    if (reader->key->kind == VZ_SORT_SCRIPT)
        return vz_script_sort_read(reader, docno, score);
    if (reader->nested)
        return read_nested(reader, docno);
    size_t from = advance(reader, docno), to = from;
    while (to < reader->column.count && reader->column.docnos[to] == docno)
        to++;
    return from == to ? reader->absent : read_column(reader, from, to);
}

/* A value of the column as numeric_type has it. */
static struct vz_sort_value cast(const struct vz_sort_reader *reader, struct vz_sort_value value)
{
    enum vz_sort_numeric numeric = reader->key->numeric;
    bool is_date = reader->field && reader->field->type == VZ_FIELD_DATE;
    bool ends = value.type == VZ_SORTED_I64 && (value.i64 == INT64_MIN || value.i64 == INT64_MAX);
    if (numeric == VZ_NUMERIC_DOUBLE && value.type == VZ_SORTED_I64) {
        double number = (double)value.i64;
        if (reader->field && reader->field->type == VZ_FIELD_UNSIGNED_LONG)
            number = (double)((uint64_t)value.i64 ^ 0x8000000000000000ull);
        if (ends && value.i64 == reader->absent.i64)
            number = value.i64 < 0 ? -INFINITY : INFINITY;
        value = (struct vz_sort_value){.type = VZ_SORTED_F64, .f64 = number};
    } else if (numeric != VZ_NUMERIC_DOUBLE && value.type == VZ_SORTED_F64) {
        double number = value.f64;
        value = (struct vz_sort_value){.type = VZ_SORTED_I64,
                                       .i64 = number >= 0x1p63    ? INT64_MAX
                                              : number <= -0x1p63 ? INT64_MIN
                                                                  : (int64_t)number};
    } else if (numeric == VZ_NUMERIC_NANOS && is_date && !ends) {
        if (__builtin_mul_overflow(value.i64, (int64_t)1000000, &value.i64))
            value.i64 = value.i64 < 0 ? INT64_MIN : INT64_MAX;
    }
    return value;
}

struct vz_sort_value vz_sort_read(struct vz_sort_reader *reader, uint32_t docno, float score)
{
    struct vz_sort_value value = read_value(reader, docno, score);
    return reader->key->numeric ? cast(reader, value) : value;
}

static double as_double(const struct vz_sort_value *value)
{
    return value->type == VZ_SORTED_F64 ? value->f64 : (double)value->i64;
}

int vz_sort_compare(const struct vz_sort_key *key, const struct vz_sort_value *a,
                    const struct vz_sort_value *b)
{
    int order;
    if (a->type == VZ_SORTED_MISSING || b->type == VZ_SORTED_MISSING) {
        if (a->type == b->type)
            return 0;
        return (a->type == VZ_SORTED_MISSING) == key->missing_first ? -1 : 1;
    }
    if (a->type != b->type) /* one field, two indices, two types: numbers first */
        order = a->type == VZ_SORTED_TEXT || b->type == VZ_SORTED_TEXT
                    ? (a->type == VZ_SORTED_TEXT) - (b->type == VZ_SORTED_TEXT)
                    : compare_doubles(&(double){as_double(a)}, &(double){as_double(b)});
    else if (a->type == VZ_SORTED_TEXT)
        order = vz_slice_cmp(a->text, b->text);
    else if (a->type == VZ_SORTED_I64)
        order = a->i64 < b->i64 ? -1 : a->i64 > b->i64;
    else
        order = a->f64 < b->f64 ? -1 : a->f64 > b->f64;
    return key->descending ? -order : order;
}

/* A key's type as it is in this reader, also for scores and docs. */
static enum vz_sort_type reader_type(const struct vz_sort_reader *reader)
{
    if (reader->key->kind == VZ_SORT_DOC || reader->key->kind == VZ_SORT_SHARD_DOC)
        return VZ_SORTED_I64;
    if (reader->key->numeric && reader->type != VZ_SORTED_TEXT)
        return reader->key->numeric == VZ_NUMERIC_DOUBLE ? VZ_SORTED_F64 : VZ_SORTED_I64;
    return reader->key->kind == VZ_SORT_SCORE ? VZ_SORTED_F64 : reader->type;
}

/* What a pattern made of a number, as a number again. */
static bool unformatted(struct vz_slice pattern, struct vz_slice text, double *out)
{
    char digits[64];
    size_t len = 0;
    for (size_t i = 0; i < text.len && len + 1 < sizeof digits; i++)
        if (text.ptr[i] && strchr("0123456789.-E", text.ptr[i]))
            digits[len++] = text.ptr[i];
    digits[len] = '\0';
    char *end;
    *out = strtod(digits, &end);
    if (memchr(pattern.ptr, '%', pattern.len))
        *out /= 100;
    return len > 0 && *end == '\0' && isfinite(*out);
}

enum vz_status vz_sort_after(const struct vz_sort_reader *reader, struct vz_json value,
                             int64_t now_ms, struct vz_sort_value *out, struct vz_error *err)
{
    const struct vz_field *field = reader->field;
    enum vz_json_type type = vz_json_type(value);
    *out = (struct vz_sort_value){.type = reader_type(reader)};
    if (type == VZ_JSON_NULL) {
        *out = reader->key->numeric ? cast(reader, reader->absent) : reader->absent;
        return VZ_OK;
    }
    if (type == VZ_JSON_ARRAY || type == VZ_JSON_OBJECT)
        return vz_fail(err, VZ_BAD_QUERY,
                       "Expected [VALUE_STRING] or [VALUE_NUMBER] or "
                       "[VALUE_BOOLEAN] or [VALUE_NULL] but found [%s] inside search_after.",
                       vz_query_token(value));
    struct vz_slice text = vz_json_string(value);
    bool is_date = field && field->type == VZ_FIELD_DATE;
    if (out->type == VZ_SORTED_TEXT) {
        out->text = sort_text(field, vz_query_scalar_text(value, reader->arena), reader->arena);
        return VZ_OK;
    }
    double number;
    if (type == VZ_JSON_STRING && reader->key->format.len && field && vz_field_is_number(field) &&
        reader->key->kind == VZ_SORT_FIELD && unformatted(reader->key->format, text, &number)) {
        bool is_unsigned = field->type == VZ_FIELD_UNSIGNED_LONG;
        out->f64 = number;
        if (out->type == VZ_SORTED_I64)
            out->i64 = number >= 0x1p63 && !is_unsigned ? INT64_MAX
                       : number <= -0x1p63              ? INT64_MIN
                       : is_unsigned ? (int64_t)((number >= 0x1p64 ? UINT64_MAX
                                                  : number < 0     ? 0
                                                                   : (uint64_t)number) ^
                                                 0x8000000000000000ull)
                                     : (int64_t)number;
        return VZ_OK;
    }
    if (out->type == VZ_SORTED_F64) {
        bool minus = vz_slice_is(text, "-Infinity");
        if (minus || vz_slice_is(text, "Infinity"))
            out->f64 = minus ? -INFINITY : INFINITY;
        else if (!vz_json_as_double(value, &out->f64))
            return vz_fail(err, VZ_BAD_QUERY,
                           "Failed to parse search_after value for field "
                           "[%.*s].",
                           VZ_ARG(reader->key->field));
        /* What was printed as a float must meet itself again. */
        if (reader->key->kind == VZ_SORT_SCORE ||
            (field && prints_as_float(field) && reader->key->kind == VZ_SORT_FIELD &&
             !reader->key->numeric))
            out->f64 = (double)(float)out->f64;
        return VZ_OK;
    }
    if (is_date && type == VZ_JSON_STRING) {
        struct vz_slice format = reader->key->format.len ? reader->key->format : field->format;
        if (vz_date_parse(format, text, false, false, now_ms, &out->i64, NULL) == VZ_OK)
            return VZ_OK;
    }
    if (type == VZ_JSON_BOOL) {
        out->i64 = vz_json_bool(value);
        return VZ_OK;
    }
    bool read = vz_json_as_int(value, &out->i64);
    if (field && field->type == VZ_FIELD_UNSIGNED_LONG) {
        text = vz_query_scalar_text(value, reader->arena);
        char copy[32] = {0};
        memcpy(copy, text.ptr, VZ_MIN(text.len, sizeof(copy) - 1));
        out->i64 = (int64_t)(strtoull(copy, NULL, 10) ^ 0x8000000000000000ull);
        read = true;
    }
    if (!read)
        return vz_fail(err, VZ_BAD_QUERY, "Failed to parse search_after value for field [%.*s].",
                       VZ_ARG(reader->key->field));
    return VZ_OK;
}

/* A number by the key's pattern, as a text. */
static bool formatted(const struct vz_sort_key *key, const struct vz_field *field, double number,
                      struct vz_json_writer *writer)
{
    struct vz_buf text = {0};
    bool shown = key->kind == VZ_SORT_FIELD && key->format.len && field &&
                 vz_field_is_number(field) && isfinite(number) &&
                 vz_decimal_format(key->format, number, &text);
    if (shown)
        vz_json_put_string(writer, vz_buf_slice(&text));
    vz_buf_deinit(&text);
    return shown;
}

void vz_sort_print(const struct vz_sort_key *key, const struct vz_field *field,
                   const struct vz_sort_value *value, struct vz_json_writer *writer)
{
    double number;
    switch (value->type) {
    case VZ_SORTED_MISSING:
        vz_json_put_null(writer);
        break;
    case VZ_SORTED_TEXT:
        if (field && field->type == VZ_FIELD_IP)
            vz_ip_put_sort_key(value->text, writer);
        else
            vz_json_put_string(writer, value->text);
        break;
    case VZ_SORTED_F64:
        if (formatted(key, field, value->f64, writer))
            break;
        if (isinf(value->f64))
            vz_json_put_str(writer, value->f64 < 0 ? "-Infinity" : "Infinity");
        else if (key->kind == VZ_SORT_SCORE ||
                 (field && prints_as_float(field) && key->kind == VZ_SORT_FIELD && !key->numeric))
            vz_json_put_float(writer, (float)value->f64);
        else
            vz_json_put_double(writer, value->f64);
        break;
    case VZ_SORTED_I64:
        number = (double)value->i64;
        if (field && field->type == VZ_FIELD_UNSIGNED_LONG)
            number = (double)((uint64_t)value->i64 ^ 0x8000000000000000ull);
        if (value->i64 != INT64_MIN && value->i64 != INT64_MAX &&
            formatted(key, field, number, writer))
            break;
        if (field && field->type == VZ_FIELD_UNSIGNED_LONG)
            vz_json_put_uint(writer, (uint64_t)value->i64 ^ 0x8000000000000000ull);
        else if (field && field->type == VZ_FIELD_DATE && key->format.len &&
                 key->numeric != VZ_NUMERIC_NANOS && value->i64 != INT64_MIN && value->i64 != INT64_MAX) {
            struct vz_buf buf = {0};
            vz_date_print(key->format, value->i64, &buf);
            vz_json_put_string(writer, vz_buf_slice(&buf));
            vz_buf_deinit(&buf);
        } else
            vz_json_put_int(writer, value->i64);
        break;
    }
}
