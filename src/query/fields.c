/* "fields" and "docvalue_fields": values of a hit as arrays, in the form their mapping gives them.
 *
 * `fields` reads _source: a keyword's value as text, dates printed in the field's format, places as
 * GeoJSON, objects' members by their full path, what lies in a nested object grouped under it. What
 * the mapping would have ignored (too long for ignore_above, malformed) is left out.
 * `docvalue_fields` reads the columns: sorted, terms once each.
 */
#include "query/filter.h"

#include "base/text.h"
#include "store/document.h"
#include "store/elements.h"
#include "store/ip.h"

#include <stdlib.h>

const struct vz_field_request *vz_fields_request(const struct vz_field_requests *requests,
                                                 const struct vz_field *field)
{
    for (size_t i = 0; i < requests->count; i++)
        if (vz_wildcard_match(requests->items[i].pattern, field->path))
            return &requests->items[i];
    return NULL;
}

/* The nearest nested object a field lies in, or VZ_NO_FIELD. */
static uint16_t nested_scope(const struct vz_mapping *mapping, const struct vz_field *field)
{
    uint16_t id = field->parent;
    while (id != VZ_NO_FIELD) {
        const struct vz_field *parent = vz_mapping_field(mapping, id);
        if (parent->type == VZ_FIELD_NESTED)
            return id;
        id = parent->parent;
    }
    return VZ_NO_FIELD;
}

/* ---- values at a path ------------------------------------------------------------------------ */

/* Calls `each` for every value at a dotted path, through arrays and through keys with dots. */
struct path_walk {
    void (*each)(struct path_walk *walk, struct vz_json value);
    const struct vz_field *field;
    struct vz_slice format;
    struct vz_json_writer *writer;
    struct vz_arena *arena;
    size_t written;
    void *context;
};

static void walk_path(struct path_walk *walk, struct vz_json value, struct vz_slice path)
{
    struct vz_json_iter it = vz_json_iterate(value);
    struct vz_slice key;
    struct vz_json member;
    if (path.len == 0) {
        walk->each(walk, value);
        return;
    }
    if (vz_json_type(value) == VZ_JSON_ARRAY) {
        while (vz_json_next(&it, NULL, &member))
            walk_path(walk, member, path);
        return;
    }
    if (vz_json_type(value) != VZ_JSON_OBJECT)
        return;
    while (vz_json_next(&it, &key, &member)) {
        if (key.len > path.len || memcmp(key.ptr, path.ptr, key.len) != 0)
            continue;
        if (key.len == path.len)
            walk_path(walk, member, (struct vz_slice){0});
        else if (path.ptr[key.len] == '.')
            walk_path(walk, member,
                      (struct vz_slice){path.ptr + key.len + 1, path.len - key.len - 1});
    }
}

/* ---- one value in its field's form ----------------------------------------------------------- */

static size_t characters(struct vz_slice text)
{
    size_t count = 0;
    for (size_t i = 0; i < text.len; i++)
        count += ((unsigned char)text.ptr[i] & 0xC0) != 0x80;
    return count;
}

/* Opens the field's array before its first value. */
static void begin_value(struct path_walk *walk)
{
    if (walk->written++)
        return;
    vz_json_key_slice(walk->writer, *(const struct vz_slice *)walk->context);
    vz_json_begin_array(walk->writer);
}

static void put_date(struct path_walk *walk, struct vz_json value)
{
    int64_t ms;
    struct vz_slice text = vz_query_scalar_text(value, walk->arena);
    if (vz_date_parse(walk->field->format, text, false, false, 0, &ms, NULL) != VZ_OK)
        return;
    struct vz_buf buf = {0};
    vz_date_print(walk->format.len ? walk->format : walk->field->format, ms, &buf);
    begin_value(walk);
    vz_json_put_string(walk->writer, vz_buf_slice(&buf));
    vz_buf_deinit(&buf);
}

static void put_geo(struct path_walk *walk, struct vz_json value)
{
    double lat, lon;
    if (vz_geo_parse(value, &lat, &lon, NULL) != VZ_OK)
        return;
    begin_value(walk);
    vz_json_begin_object(walk->writer);
    vz_json_key(walk->writer, "coordinates");
    vz_json_begin_array(walk->writer);
    vz_json_put_double(walk->writer, lon);
    vz_json_put_double(walk->writer, lat);
    vz_json_end_array(walk->writer);
    vz_json_field_str(walk->writer, "type", "Point");
    vz_json_end_object(walk->writer);
}

/* A vector that was said as a string, as the numbers it means. */
static void put_encoded(struct path_walk *walk, struct vz_slice text)
{
    struct vz_given_vector given;
    if (vz_vector_of_text(walk->field, text, walk->arena, &given, NULL) != VZ_OK)
        return;
    size_t count =
        given.bytes && walk->field->element == VZ_ELEMENT_BIT ? given.dims / 8 : given.dims;
    for (size_t i = 0; i < count; i++) {
        begin_value(walk);
        if (given.bytes)
            vz_json_put_int(walk->writer, given.bytes[i]);
        else
            vz_json_put_float(walk->writer, given.floats[i]);
    }
}

static void put_ip(struct path_walk *walk, struct vz_json value)
{
    struct vz_typed_value typed;
    if (vz_value_parse(walk->field, value, false, walk->arena, &typed, NULL) != VZ_OK)
        return;
    begin_value(walk);
    vz_json_put_string(walk->writer, typed.term);
}

static void put_number(struct path_walk *walk, struct vz_json value)
{
    const struct vz_field *field = walk->field;
    if (field->type == VZ_FIELD_DENSE_VECTOR && vz_json_type(value) == VZ_JSON_STRING) {
        put_encoded(walk, vz_json_string(value));
        return;
    }
    double number;
    int64_t whole;
    if (vz_json_type(value) == VZ_JSON_BOOL || !vz_json_as_double(value, &number))
        return;
    begin_value(walk);
    if (walk->field->type == VZ_FIELD_SCALED_FLOAT)
        vz_json_put_double(walk->writer, vz_scaled(number, walk->field->scaling_factor));
    else if (walk->field->type == VZ_FIELD_DOUBLE)
        vz_json_put_double(walk->writer, number);
    else if (walk->field->column == VZ_COLUMN_F64 || walk->field->type == VZ_FIELD_FLOAT ||
             walk->field->type == VZ_FIELD_HALF_FLOAT ||
             (field->type == VZ_FIELD_DENSE_VECTOR && vz_element_is_float(field->element)))
        vz_json_put_float(walk->writer, (float)number);
    else if (vz_json_type(value) == VZ_JSON_UINT)
        vz_json_put_value(walk->writer, value);
    else if (vz_json_as_int(value, &whole))
        vz_json_put_int(walk->writer, whole);
    else
        vz_json_put_int(walk->writer, (int64_t)number);
}

static void put_value(struct path_walk *walk, struct vz_json value)
{
    const struct vz_field *field = walk->field;
    enum vz_json_type type = vz_json_type(value);
    struct vz_json_iter it = vz_json_iterate(value);
    struct vz_json element;
    bool truth;
    if (type == VZ_JSON_ARRAY) {
        /* [lon, lat] is one place. */
        bool point = field->type == VZ_FIELD_GEO_POINT && vz_json_next(&it, NULL, &element) &&
                     vz_json_is_number(element);
        it = vz_json_iterate(value);
        if (point)
            put_geo(walk, value);
        else
            while (vz_json_next(&it, NULL, &element))
                put_value(walk, element);
        return;
    }
    if (type == VZ_JSON_NULL) {
        if (!field->has_null_value)
            return;
        begin_value(walk);
        vz_json_put_raw(walk->writer, field->null_value);
        return;
    }
    if (field->type == VZ_FIELD_GEO_POINT) {
        put_geo(walk, value);
        return;
    }
    if (field->type == VZ_FIELD_FLATTENED && type == VZ_JSON_OBJECT) {
        begin_value(walk);
        vz_json_put_value(walk->writer, value);
        return;
    }
    if (field->type == VZ_FIELD_COMPLETION) { /* as it was given */
        begin_value(walk);
        vz_json_put_value(walk->writer, value);
        return;
    }
    if (type == VZ_JSON_OBJECT)
        return;
    switch (field->type) {
    case VZ_FIELD_IP:
        put_ip(walk, value);
        return;
    case VZ_FIELD_FLATTENED:
        return;
    case VZ_FIELD_FLATTENED_KEYED:
    case VZ_FIELD_WILDCARD:
    case VZ_FIELD_KEYWORD:
    case VZ_FIELD_TEXT:
    case VZ_FIELD_SEMANTIC_TEXT:
    case VZ_FIELD_BINARY: {
        struct vz_slice text = vz_query_scalar_text(value, walk->arena);
        if (field->ignore_above && characters(text) > field->ignore_above)
            return;
        begin_value(walk);
        vz_json_put_string(walk->writer, text);
        return;
    }
    case VZ_FIELD_BOOLEAN:
        if (!vz_json_as_bool(value, &truth))
            return;
        begin_value(walk);
        vz_json_put_bool(walk->writer, truth);
        return;
    case VZ_FIELD_DATE:
        put_date(walk, value);
        return;
    default:
        put_number(walk, value);
        return;
    }
}

/* ---- fields ---------------------------------------------------------------------------------- */

struct field_run {
    const struct vz_search *search;
    struct vz_eval *eval;
    struct vz_json_writer *writer;
};

static enum vz_status check_format(const struct vz_field *field,
                                   const struct vz_field_request *request, struct vz_error *err)
{
    if (request->format.len == 0 || field->type == VZ_FIELD_DATE)
        return VZ_OK;
    if (vz_wildcard_match(VZ_SLICE("*[*]*"), request->pattern))
        return VZ_OK;
    if (memchr(request->pattern.ptr, '*', request->pattern.len))
        return VZ_OK;
    if (field->type == VZ_FIELD_GEO_POINT && vz_slice_is(request->format, "geojson"))
        return VZ_OK;
    if (field->type == VZ_FIELD_GEO_POINT)
        return vz_fail(err, VZ_UNSUPPORTED,
                       "[fields] format [%.*s] of places is not supported yet "
                       "by vizsla",
                       VZ_ARG(request->format));
    return vz_fail(err, VZ_BAD_QUERY, "Field [%.*s] of type [%s] doesn't support formats.",
                   VZ_ARG(field->path), vz_filter_type_name(field->type));
}

/* The part of a path below a scope's. */
static struct vz_slice below(const struct vz_mapping *mapping, uint16_t scope, struct vz_slice path)
{
    if (scope == VZ_NO_FIELD)
        return path;
    size_t skip = vz_mapping_field(mapping, scope)->path.len + 1;
    return (struct vz_slice){path.ptr + skip, path.len - skip};
}

/* A constant is in every document's fields, whatever the document says. */
static bool write_constant(struct field_run *run, const struct vz_field *field, struct vz_slice key)
{
    if (field->type != VZ_FIELD_CONSTANT_KEYWORD)
        return false;
    if (!field->has_value)
        return true;
    vz_json_key_slice(run->writer, key);
    vz_json_begin_array(run->writer);
    vz_json_put_string(run->writer, field->value);
    vz_json_end_array(run->writer);
    return true;
}

static enum vz_status write_leaf(struct field_run *run, uint16_t scope,
                                 const struct vz_field *named, struct vz_json source,
                                 struct vz_error *err)
{
    const struct vz_mapping *mapping = run->eval->mapping;
    const struct vz_field *field =
        named->type == VZ_FIELD_ALIAS ? vz_mapping_field(mapping, named->alias_of) : named;
    const struct vz_field_request *request = vz_fields_request(&run->search->fields, named);
    enum vz_status status = check_format(field, request, err);
    if (status != VZ_OK)
        return status;
    struct vz_slice path = vz_field_source_path(field);
    struct vz_slice key = below(mapping, scope, named->path);
    struct path_walk walk = {.each = put_value,
                             .field = field,
                             .format = request->format,
                             .writer = run->writer,
                             .arena = run->eval->arena,
                             .context = &key};
    if (write_constant(run, field, key))
        return VZ_OK;
    walk_path(&walk, source, below(mapping, scope, path));
    if (walk.written)
        vz_json_end_array(run->writer);
    return VZ_OK;
}

static enum vz_status write_scope(struct field_run *run, uint16_t scope, struct vz_json source,
                                  struct vz_error *err);

struct nested_walk {
    struct field_run *run;
    uint16_t scope;
    enum vz_status status;
    struct vz_error *err;
};

static void put_nested(struct path_walk *walk, struct vz_json value)
{
    struct nested_walk *nested = walk->context;
    if (vz_json_type(value) == VZ_JSON_ARRAY) {
        struct vz_json_iter it = vz_json_iterate(value);
        struct vz_json element;
        while (vz_json_next(&it, NULL, &element))
            put_nested(walk, element);
        return;
    }
    if (vz_json_type(value) != VZ_JSON_OBJECT || nested->status != VZ_OK)
        return;
    vz_json_begin_object(walk->writer);
    nested->status = write_scope(nested->run, nested->scope, value, nested->err);
    vz_json_end_object(walk->writer);
}

/* Whether any field asked for lies below a nested object. */
static bool wants_below(struct field_run *run, const struct vz_field *nested)
{
    const struct vz_mapping *mapping = run->eval->mapping;
    for (size_t i = 0; i < vz_mapping_count(mapping); i++) {
        const struct vz_field *field = vz_mapping_field(mapping, (uint16_t)i);
        if (field->path.len > nested->path.len + 1 && field->type != VZ_FIELD_OBJECT &&
            field->type != VZ_FIELD_NESTED && field->path.ptr[nested->path.len] == '.' &&
            memcmp(field->path.ptr, nested->path.ptr, nested->path.len) == 0 &&
            vz_fields_request(&run->search->fields, field))
            return true;
    }
    return false;
}

static enum vz_status write_nested(struct field_run *run, uint16_t scope,
                                   const struct vz_field *field, struct vz_json source,
                                   struct vz_error *err)
{
    if (!wants_below(run, field))
        return VZ_OK;
    struct nested_walk nested = {.run = run, .scope = field->id, .err = err};
    struct path_walk walk = {.each = put_nested, .writer = run->writer, .context = &nested};
    struct vz_slice path = below(run->eval->mapping, scope, field->path);
    vz_json_key_slice(run->writer, path);
    vz_json_begin_array(run->writer);
    walk_path(&walk, source, path);
    vz_json_end_array(run->writer);
    return nested.status;
}

/* Keys within flattened fields, which only a request by their whole path names. */
static enum vz_status write_keys(struct field_run *run, struct vz_json source, struct vz_error *err)
{
    const struct vz_field_requests *requests = &run->search->fields;
    for (size_t i = 0; i < requests->count; i++) {
        struct vz_slice path = requests->items[i].pattern;
        struct vz_field key;
        if (vz_mapping_find(run->eval->mapping, path) ||
            !vz_mapping_find_key(run->eval->mapping, path, &key) || key.under_nested)
            continue;
        if (requests->items[i].format.len)
            return vz_fail(err, VZ_BAD_QUERY,
                           "Field [%.*s] of type [flattened] doesn't support formats.",
                           VZ_ARG(path));
        struct path_walk walk = {.each = put_value,
                                 .field = &key,
                                 .writer = run->writer,
                                 .arena = run->eval->arena,
                                 .context = &path};
        walk_path(&walk, source, path);
        if (walk.written)
            vz_json_end_array(run->writer);
    }
    return VZ_OK;
}

/* All fields whose nearest nested object is `scope`, out of one object of it. */
static enum vz_status write_scope(struct field_run *run, uint16_t scope, struct vz_json source,
                                  struct vz_error *err)
{
    const struct vz_mapping *mapping = run->eval->mapping;
    enum vz_status status = VZ_OK;
    for (size_t i = 0; i < vz_mapping_count(mapping) && status == VZ_OK; i++) {
        const struct vz_field *field = vz_mapping_field(mapping, (uint16_t)i);
        if (field->type == VZ_FIELD_OBJECT || field->type == VZ_FIELD_FLATTENED_KEYED ||
            nested_scope(mapping, field) != scope || vz_field_is_hidden(field) ||
            vz_runtime_field(run->eval, field->path))
            continue;
        if (field->type == VZ_FIELD_NESTED)
            status = write_nested(run, scope, field, source, err);
        else if (vz_fields_request(&run->search->fields, field))
            status = write_leaf(run, scope, field, source, err);
    }
    return scope == VZ_NO_FIELD && status == VZ_OK ? write_keys(run, source, err) : status;
}

/* ---- docvalue_fields ------------------------------------------------------------------------- */

static int compare_ips(const void *a, const void *b)
{
    unsigned char x[VZ_IP_BYTES] = {0}, y[VZ_IP_BYTES] = {0};
    vz_ip_parse(*(const struct vz_slice *)a, x, NULL);
    vz_ip_parse(*(const struct vz_slice *)b, y, NULL);
    return memcmp(x, y, VZ_IP_BYTES);
}

static int compare_slices(const void *a, const void *b)
{
    return vz_slice_cmp(*(const struct vz_slice *)a, *(const struct vz_slice *)b);
}

static int compare_i64(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return x < y ? -1 : x > y;
}

static int compare_f64(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static void put_terms(struct vz_eval *eval, const struct vz_field *field,
                      const struct vz_column *column, size_t from, size_t to,
                      struct vz_json_writer *writer)
{
    struct vz_slice *terms = vz_arena_alloc(eval->arena, (to - from) * sizeof(*terms));
    for (size_t i = from; i < to; i++)
        terms[i - from] = vz_field_term(eval->snap, field, column->ordinals[i], eval->arena);
    qsort(terms, to - from, sizeof(*terms),
          field->type == VZ_FIELD_IP ? compare_ips : compare_slices);
    for (size_t i = 0; i < to - from; i++)
        if (i == 0 || !vz_slice_eq(terms[i], terms[i - 1]))
            vz_json_put_string(writer, terms[i]);
}

/* A number by a pattern is a text. */
static void put_formatted(struct vz_slice format, double value, struct vz_json_writer *writer)
{
    struct vz_buf text = {0};
    vz_decimal_format(format, value, &text);
    vz_json_put_string(writer, vz_buf_slice(&text));
    vz_buf_deinit(&text);
}

static void put_integers(struct vz_eval *eval, const struct vz_field *field,
                         const struct vz_column *column, size_t from, size_t to,
                         struct vz_slice format, struct vz_json_writer *writer)
{
    int64_t *values = vz_arena_alloc(eval->arena, (to - from) * sizeof(*values));
    memcpy(values, column->i64 + from, (to - from) * sizeof(*values));
    qsort(values, to - from, sizeof(*values), compare_i64);
    for (size_t i = 0; i < to - from; i++) {
        if (field->type == VZ_FIELD_BOOLEAN)
            vz_json_put_bool(writer, values[i] != 0);
        else if (field->type == VZ_FIELD_UNSIGNED_LONG && format.len)
            put_formatted(format, (double)((uint64_t)values[i] ^ 0x8000000000000000ull), writer);
        else if (field->type == VZ_FIELD_UNSIGNED_LONG)
            vz_json_put_uint(writer, (uint64_t)values[i] ^ 0x8000000000000000ull);
        else if (field->type == VZ_FIELD_DATE) {
            struct vz_buf buf = {0};
            vz_date_print(format.len ? format : field->format, values[i], &buf);
            vz_json_put_string(writer, vz_buf_slice(&buf));
            vz_buf_deinit(&buf);
        } else if (format.len)
            put_formatted(format, (double)values[i], writer);
        else
            vz_json_put_int(writer, values[i]);
    }
}

static void put_doubles(struct vz_eval *eval, const struct vz_field *field,
                        const struct vz_column *column, size_t from, size_t to,
                        struct vz_slice format, struct vz_json_writer *writer)
{
    double *values = vz_arena_alloc(eval->arena, (to - from) * sizeof(*values));
    memcpy(values, column->f64 + from, (to - from) * sizeof(*values));
    qsort(values, to - from, sizeof(*values), compare_f64);
    for (size_t i = 0; i < to - from; i++) {
        if (format.len)
            put_formatted(format, values[i], writer);
        else /* Elasticsearch shows a float's double here */
            vz_json_put_double(writer, values[i]);
    }
}

static void put_places(const struct vz_column *column, size_t from, size_t to,
                       struct vz_json_writer *writer)
{
    for (size_t i = from; i < to; i++) {
        struct vz_buf buf = {0};
        struct vz_json_writer numbers = vz_json_writer_on(&buf);
        vz_json_put_double(&numbers, column->geo[i].lat);
        vz_buf_append_str(&buf, ", ");
        struct vz_json_writer second = vz_json_writer_on(&buf);
        vz_json_put_double(&second, column->geo[i].lon);
        vz_json_put_string(writer, vz_buf_slice(&buf));
        vz_buf_deinit(&buf);
    }
}

static enum vz_status write_docvalue(struct field_run *run, const struct vz_field *field,
                                     const struct vz_field_request *request, uint32_t docno,
                                     struct vz_error *err)
{
    bool by_name = !memchr(request->pattern.ptr, '*', request->pattern.len);
    if (field->column == VZ_COLUMN_PRESENCE || field->column == VZ_COLUMN_NONE) {
        if (!by_name || field->column == VZ_COLUMN_NONE)
            return VZ_OK;
        return vz_fail(err, VZ_BAD_QUERY,
                       "Can't load fielddata on [%.*s] because fielddata is "
                       "unsupported on fields of type [%s]. Use doc values instead.",
                       VZ_ARG(field->path), vz_filter_type_name(field->type));
    }
    enum vz_status status = vz_field_check_doc_values(field, err);
    if (status != VZ_OK)
        return by_name ? status : VZ_OK;
    struct vz_slice format = request->format;
    if (vz_slice_is(format, "use_field_mapping"))
        format = (struct vz_slice){0};
    if (format.len) {
        status = vz_value_format_check(field, format, err);
        if (status != VZ_OK)
            return status;
    }
    struct vz_column column;
    vz_field_column(run->eval, field, &column);
    size_t from = vz_column_find(&column, docno), to = from;
    while (to < column.count && column.docnos[to] == docno)
        to++;
    if (from == to)
        return VZ_OK;
    vz_json_key_slice(run->writer, field->path);
    vz_json_begin_array(run->writer);
    switch (column.kind) {
    case VZ_COLUMN_ORDINAL:
        put_terms(run->eval, field, &column, from, to, run->writer);
        break;
    case VZ_COLUMN_I64:
        put_integers(run->eval, field, &column, from, to, format, run->writer);
        break;
    case VZ_COLUMN_F64:
        put_doubles(run->eval, field, &column, from, to, format, run->writer);
        break;
    case VZ_COLUMN_GEO:
        put_places(&column, from, to, run->writer);
        break;
    default:
        break;
    }
    vz_json_end_array(run->writer);
    return VZ_OK;
}

enum vz_status vz_fields_write(const struct vz_search *search, struct vz_eval *eval, uint32_t docno,
                               struct vz_json source, struct vz_json_writer *writer,
                               struct vz_error *err)
{
    struct field_run run = {search, eval, writer};
    enum vz_status status = VZ_OK;
    if (search->fields.count)
        status = write_scope(&run, VZ_NO_FIELD, source, err);
    for (size_t i = 0; i < vz_mapping_count(eval->mapping) && status == VZ_OK; i++) {
        const struct vz_field *field = vz_mapping_field(eval->mapping, (uint16_t)i);
        const struct vz_field_request *request = vz_fields_request(&search->docvalue_fields, field);
        if (!request || field->under_nested || field->type == VZ_FIELD_FLATTENED_KEYED ||
            vz_fields_request(&search->fields, field) || vz_runtime_field(eval, field->path))
            continue;
        status = write_docvalue(&run, field, request, docno, err);
    }
    const struct vz_field *made;
    for (size_t i = 0; status == VZ_OK && (made = vz_runtime_at(eval, i)); i++) {
        const struct vz_field_request *request = vz_fields_request(&search->fields, made);
        if (!request)
            request = vz_fields_request(&search->docvalue_fields, made);
        if (request)
            status = write_docvalue(&run, made, request, docno, err);
    }
    for (size_t i = 0; i < search->docvalue_fields.count && status == VZ_OK; i++) {
        const struct vz_field_request *request = &search->docvalue_fields.items[i];
        struct vz_field key;
        if (!vz_mapping_find(eval->mapping, request->pattern) &&
            vz_mapping_find_key(eval->mapping, request->pattern, &key) && !key.under_nested)
            status = write_docvalue(&run, &key, request, docno, err);
    }
    return status;
}
