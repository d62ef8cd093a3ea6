/* store/document.c - reading one JSON document against a mapping.
 *
 * The text is parsed once; then the parsed values are walked, and beside them a cursor moves
 * through the text itself. The cursor gives what the parsed form has lost: where a vector's array
 * stands (it is cut out), the digits of a number (keyword keeps "1.0"), places for error messages,
 * and strings that need no copy because they have no escapes.
 *
 * Rule for every walk_ function: on entry the cursor is at the first byte of the value, on success
 * it is just behind its last byte.
 *
 * A field the mapping does not have is noted and not read; the caller merges the noted fields and
 * reads the document again. Values keep the order of the text within a field: they are gathered in
 * the order of the text and then distributed by field.
 */
#include "store/document_parts.h"
#include "store/completion.h"

#include <stdio.h>
#include <stdlib.h>

/* The object whose members are being read. */
struct scope {
    uint16_t id; /* VZ_NO_FIELD: the root, or an object that is not mapped yet */
    bool is_root;
    enum vz_dynamic dynamic;
};

static enum vz_status walk_field(struct vz_doc_reader *reader, const struct vz_field *field,
                                 struct vz_json value);
static enum vz_status walk_members(struct vz_doc_reader *reader, struct scope scope,
                                   struct vz_json object);
static enum vz_status walk_unmapped(struct vz_doc_reader *reader, struct scope scope,
                                    struct vz_slice name, struct vz_json value);

/* ---- small things ------------------------------------------------------------------------- */

void *vz_doc_grow(struct vz_doc_reader *reader, void *old, size_t count, size_t *capacity,
                  size_t bytes)
{
    if (count < *capacity)
        return old;
    size_t grown = VZ_MAX(*capacity * 2, (size_t)8);
    void *new = vz_arena_alloc(reader->arena, grown * bytes);
    if (count)
        memcpy(new, old, count * bytes);
    *capacity = grown;
    return new;
}

enum vz_status vz_doc_fault(struct vz_doc_reader *reader, const char *place, const char *format,
                            ...)
{
    size_t line = 1, column = 1;
    for (const char *p = reader->source.ptr; p < place; p++) {
        column = *p == '\n' ? 1 : column + 1;
        line += *p == '\n';
    }
    struct vz_buf text = {0};
    va_list args;
    va_start(args, format);
    vz_buf_vprintf(&text, format, args);
    va_end(args);
    vz_fail_at(reader->err, VZ_BAD_DOCUMENT, (size_t)(place - reader->source.ptr), "[%zu:%zu] %s",
               line, column, text.data);
    vz_buf_deinit(&text);
    return VZ_BAD_DOCUMENT;
}

static void skip_space(struct vz_doc_reader *reader)
{
    while (reader->at < reader->end && (*reader->at == ' ' || *reader->at == '\n' ||
                                        *reader->at == '\r' || *reader->at == '\t'))
        reader->at++;
}

/* The cursor is at a quote. */
static void skip_string(struct vz_doc_reader *reader)
{
    const char *p = reader->at + 1;
    for (;;) {
        const char *quote = memchr(p, '"', (size_t)(reader->end - p));
        if (!quote) {
            reader->at = reader->end; /* cannot be in text that was parsed */
            return;
        }
        const char *before = quote;
        while (before > reader->at + 1 && before[-1] == '\\')
            before--;
        p = quote + 1;
        if ((quote - before) % 2 == 0)
            break;
    }
    reader->at = p;
}

/* Behind the value at the cursor, whatever it is. */
static void skip_value(struct vz_doc_reader *reader)
{
    size_t depth = 0;
    while (reader->at < reader->end) {
        char c = *reader->at;
        if (c == '"') {
            skip_string(reader);
        } else if (c == '{' || c == '[') {
            depth++;
            reader->at++;
            continue;
        } else if (c == '}' || c == ']') {
            if (depth == 0)
                return;
            depth--;
            reader->at++;
        } else if (c == ',' || c == ':' || (unsigned char)c <= ' ') {
            if (depth == 0)
                return;
            reader->at++;
            continue;
        } else {
            while (reader->at < reader->end && !memchr(",:]} \n\r\t", *reader->at, 8))
                reader->at++;
        }
        if (depth == 0)
            return;
    }
}

/* An array of numbers only: the first closing bracket is its end. */
static void skip_flat_array(struct vz_doc_reader *reader)
{
    const char *close = memchr(reader->at, ']', (size_t)(reader->end - reader->at));
    reader->at = close ? close + 1 : reader->end;
}

/* ---- duplicate keys ----------------------------------------------------------------------- */

/* The keys of one object. Few: compared one by one. Many: a table of hashes. */
struct key_set {
    struct vz_slice few[12];
    size_t count;
    struct vz_strmap many;
};

static bool key_set_add(struct key_set *set, struct vz_slice key)
{
    if (set->count < VZ_COUNT_OF(set->few)) {
        for (size_t i = 0; i < set->count; i++) {
            if (vz_slice_eq(set->few[i], key))
                return false;
        }
        set->few[set->count++] = key;
        return true;
    }
    if (set->count == VZ_COUNT_OF(set->few)) {
        for (size_t i = 0; i < set->count; i++)
            vz_strmap_put(&set->many, set->few[i], 1);
        set->count++;
    }
    return vz_strmap_put(&set->many, key, 1);
}

/* ---- values ------------------------------------------------------------------------------- */

void vz_doc_add_value(struct vz_doc_reader *reader, const struct vz_typed_value *value)
{
    if (value->kind == VZ_COLUMN_PRESENCE) {
        uint64_t bit = 1ull << (value->field & 63), *word = &reader->seen[value->field >> 6];
        if (*word & bit)
            return;
        *word |= bit;
    }
    reader->values = vz_doc_grow(reader, reader->values, reader->value_count,
                                 &reader->value_capacity, sizeof *reader->values);
    if (reader->value_count && reader->values[reader->value_count - 1].field > value->field)
        reader->values_sorted = false;
    reader->values[reader->value_count++] = *value;
}

/* "failed to parse field [price] of type [float] in document with id 'x'. Preview of ..." */
static enum vz_status field_fault(struct vz_doc_reader *reader, const struct vz_field *field,
                                  const char *place, struct vz_slice preview, const char *reason)
{
    size_t shown = VZ_MIN(preview.len, (size_t)100);
    while (shown < preview.len && shown && ((unsigned char)preview.ptr[shown] & 0xC0) == 0x80)
        shown--;
    vz_doc_fault(reader, place,
                 "failed to parse field [%.*s] of type [%s] in document with id '%.*s'. Preview of "
                 "field's value: '%.*s'",
                 (int)field->path.len, field->path.ptr, vz_field_type_name(field->type),
                 (int)reader->id.len, reader->id.ptr, (int)shown, preview.ptr);
    vz_fail_cause(reader->err, "%s", reason);
    return VZ_BAD_DOCUMENT;
}

/* The value the mapping has for null, or nothing. */
static enum vz_status read_null(struct vz_doc_reader *reader, const struct vz_field *field)
{
    struct vz_json_doc *doc;
    struct vz_json root;
    struct vz_error inner = {0};
    struct vz_typed_value value = {.field = field->id, .kind = field->column};
    struct vz_scalar_rules rules = {0};
    bool nothing = false;
    if (!field->has_null_value || field->under_nested)
        return VZ_OK;
    if (vz_json_parse(field->null_value, &doc, &root, &inner) != VZ_OK)
        return VZ_OK;
    struct vz_scalar scalar = {.type = vz_json_type(root), .json = root};
    scalar.text = scalar.type == VZ_JSON_STRING ? vz_json_string(root) : field->null_value;
    enum vz_status status = VZ_OK;
    if (field->type == VZ_FIELD_GEO_POINT)
        status = vz_geo_parse(root, &value.geo.lat, &value.geo.lon, &inner);
    else
        status = vz_scalar_read(field, &scalar, &rules, reader->arena, &value, &nothing, &inner);
    if (status == VZ_OK && !nothing && value.kind != VZ_COLUMN_NONE)
        vz_doc_add_value(reader, &value);
    else if (status != VZ_OK)
        status = field_fault(reader, field, reader->at, field->null_value, inner.text);
    vz_json_free(doc);
    return status;
}

static void add_text(struct vz_doc_reader *reader, const struct vz_field *field,
                     const struct vz_scalar *scalar)
{
    reader->texts = vz_doc_grow(reader, reader->texts, reader->text_count, &reader->text_capacity,
                                sizeof *reader->texts);
    reader->texts[reader->text_count++] = (struct vz_doc_text){
        field->id, scalar->borrowed ? scalar->text : vz_arena_copy(reader->arena, scalar->text)};
}

/* The first value of a constant_keyword without one is that of the whole index. */
static enum vz_status note_constant(struct vz_doc_reader *reader, const struct vz_field *field,
                                    const struct vz_scalar *scalar, const char *place)
{
    if (scalar->type == VZ_JSON_NULL)
        return field_fault(reader, field, place, VZ_SLICE("null"), "a value is needed");
    struct vz_buf text = {0};
    struct vz_json_writer w = vz_json_writer_on(&text);
    vz_json_begin_object(&w);
    vz_json_field_str(&w, "type", "constant_keyword");
    vz_json_field_string(&w, "value", scalar->text);
    vz_json_end_object(&w);
    enum vz_status status = vz_doc_note(reader, field->path, vz_buf_slice(&text));
    vz_buf_deinit(&text);
    return status;
}

static enum vz_status read_completion(struct vz_doc_reader *reader, const struct vz_field *field,
                                      const struct vz_scalar *scalar, const char *place)
{
    struct vz_error inner = {0};
    enum vz_status status =
        scalar->type == VZ_JSON_STRING
            ? vz_completion_add(reader, field, scalar->text, 1, &inner)
            : vz_fail(&inner, VZ_BAD_ARGUMENT, "expected text or object, but got a %s",
                      vz_json_type_name(scalar->json));
    return status == VZ_OK ? VZ_OK
                           : field_fault(reader, field, place, scalar->text, inner.text);
}

/* One scalar for one field, not for its multi-fields. */
static enum vz_status read_one(struct vz_doc_reader *reader, const struct vz_field *field,
                               const struct vz_scalar *scalar, const char *place)
{
    struct vz_typed_value value = {.field = field->id, .kind = field->column};
    struct vz_error inner = {0};
    struct vz_scalar_rules rules = {0};
    bool nothing = false;
    if (field->type == VZ_FIELD_CONSTANT_KEYWORD && !field->has_value)
        return note_constant(reader, field, scalar, place);
    if (scalar->type == VZ_JSON_NULL && field->type == VZ_FIELD_CONSTANT_KEYWORD) {
        char reason[240];
        snprintf(reason, sizeof reason,
                 "[constant_keyword] field [%.*s] doesn't accept [null] values",
                 (int)field->path.len, field->path.ptr);
        return field_fault(reader, field, place, VZ_SLICE("null"), reason);
    }
    if (scalar->type == VZ_JSON_NULL)
        return read_null(reader, field);
    if (field->type == VZ_FIELD_SEMANTIC_TEXT) {
        vz_doc_add_value(reader, &value);
        return VZ_OK;
    }
    enum vz_status status;
    if (field->type == VZ_FIELD_COMPLETION)
        return read_completion(reader, field, scalar, place);
    if (field->type == VZ_FIELD_GEO_POINT)
        status = vz_geo_parse(scalar->json, &value.geo.lat, &value.geo.lon, &inner);
    else
        status = vz_scalar_read(field, scalar, &rules, reader->arena, &value, &nothing, &inner);
    if (status != VZ_OK) {
        if (field->ignore_malformed)
            return VZ_OK;
        return field_fault(reader, field, place, scalar->text, inner.text);
    }
    if (nothing) {
        /* An empty string for a number is null; an over-long keyword is kept in the source only. */
        return vz_field_is_keyword(field) ? VZ_OK : read_null(reader, field);
    }
    if (field->type == VZ_FIELD_CONSTANT_KEYWORD)
        return VZ_OK; /* all documents have it, see add_constants */
    bool again = field->type == VZ_FIELD_RANK_FEATURE && reader->value_count &&
                 reader->values[reader->value_count - 1].field == field->id;
    if (again && !field->under_nested)
        return field_fault(reader, field, place, scalar->text,
                           "[rank_feature] fields do not support indexing multiple values for the "
                           "same field in the same document");
    if (field->column != VZ_COLUMN_NONE && !field->under_nested)
        vz_doc_add_value(reader, &value);
    if (field->type == VZ_FIELD_TEXT && field->indexed && !field->under_nested)
        add_text(reader, field, scalar);
    return VZ_OK;
}

static enum vz_status read_multi_fields(struct vz_doc_reader *reader, const struct vz_field *field,
                                        const struct vz_scalar *scalar, const char *place)
{
    enum vz_status status = read_one(reader, field, scalar, place);
    const struct vz_mapping_node *nodes = reader->mapping->nodes;
    uint16_t id = vz_mapping_node_of(field)->first_child;
    for (; status == VZ_OK && id != VZ_NO_FIELD; id = nodes[id].next_sibling)
        status = read_multi_fields(reader, &nodes[id].field, scalar, place);
    return status;
}

/* copy_to: the value as if it stood in each of those fields, too. */
static enum vz_status copy_value(struct vz_doc_reader *reader, const struct vz_mapping_node *from,
                                 const struct vz_scalar *scalar, const char *place)
{
    enum vz_status status = VZ_OK;
    for (size_t i = 0; status == VZ_OK && i < from->copy_to_count; i++) {
        uint64_t id;
        if (vz_strmap_get(&reader->mapping->by_path, from->copy_to[i], &id)) {
            const struct vz_field *to = &reader->mapping->nodes[id].field;
            if (to->type == VZ_FIELD_ALIAS)
                status = vz_doc_fault(reader, place, "Cannot copy to a field alias [%.*s].",
                                      (int)to->path.len, to->path.ptr);
            else if (to->type == VZ_FIELD_FLATTENED)
                status = field_fault(reader, to, place, scalar->text,
                                     "Failed to parse object: expecting token of type "
                                     "[START_OBJECT] but found another");
            else if (!vz_field_is_object(to) && to->type != VZ_FIELD_DENSE_VECTOR)
                status = read_multi_fields(reader, to, scalar, place);
        } else if (reader->mapping->dynamic == VZ_DYNAMIC_STRICT) {
            status = vz_doc_fault(reader, place,
                                  "mapping set to strict, dynamic introduction of [%.*s] within "
                                  "[_doc] is not allowed",
                                  (int)from->copy_to[i].len, from->copy_to[i].ptr);
        } else if (reader->mapping->dynamic == VZ_DYNAMIC_TRUE) {
            status = vz_doc_note_value(reader, from->copy_to[i], scalar->json, place);
        }
    }
    return status;
}

static enum vz_status read_with_multi_fields(struct vz_doc_reader *reader,
                                             const struct vz_field *field,
                                             const struct vz_scalar *scalar, const char *place)
{
    const struct vz_mapping_node *node = vz_mapping_node_of(field);
    enum vz_status status = read_multi_fields(reader, field, scalar, place);
    if (status == VZ_OK && node->copy_to_count && scalar->type != VZ_JSON_NULL)
        status = copy_value(reader, node, scalar, place);
    return status;
}

static enum vz_status walk_scalar(struct vz_doc_reader *reader, const struct vz_field *field,
                                  struct vz_json value)
{
    struct vz_scalar scalar = {.type = vz_json_type(value), .json = value, .borrowed = true};
    const char *start = reader->at;
    if (scalar.type == VZ_JSON_STRING) {
        skip_string(reader);
        scalar.text = vz_json_string(value);
        /* Escapes make the text longer than what it means: without them it needs no copy. */
        if ((size_t)(reader->at - start) == scalar.text.len + 2)
            scalar.text.ptr = start + 1;
        else
            scalar.borrowed = false;
    } else {
        skip_value(reader);
        scalar.text = (struct vz_slice){start, (size_t)(reader->at - start)};
    }
    return read_with_multi_fields(reader, field, &scalar, start);
}

/* ---- arrays and objects as values --------------------------------------------------------- */

/* To the next element or behind the closing bracket; false there. */
static bool next_element(struct vz_doc_reader *reader)
{
    skip_space(reader);
    if (reader->at < reader->end && (*reader->at == ',' || *reader->at == '[')) {
        reader->at++;
        skip_space(reader);
    }
    if (reader->at < reader->end && *reader->at == ']') {
        reader->at++;
        return false;
    }
    return reader->at < reader->end;
}

static enum vz_status walk_array(struct vz_doc_reader *reader, const struct vz_field *field,
                                 struct vz_json array)
{
    struct vz_json_iter it = vz_json_iterate(array);
    struct vz_json element;
    enum vz_status status = VZ_OK;
    bool more = next_element(reader);
    while (more && status == VZ_OK && vz_json_next(&it, NULL, &element)) {
        status = walk_field(reader, field, element);
        if (status == VZ_OK)
            more = next_element(reader);
    }
    return status;
}

static bool holds_numbers(struct vz_json array)
{
    struct vz_json_iter it = vz_json_iterate(array);
    struct vz_json first;
    return vz_json_next(&it, NULL, &first) && vz_json_is_number(first);
}

static enum vz_status walk_geo(struct vz_doc_reader *reader, const struct vz_field *field,
                               struct vz_json value)
{
    enum vz_json_type type = vz_json_type(value);
    if (type == VZ_JSON_ARRAY && !holds_numbers(value))
        return walk_array(reader, field, value);
    if (type != VZ_JSON_ARRAY && type != VZ_JSON_OBJECT)
        return walk_scalar(reader, field, value);
    const char *start = reader->at;
    skip_value(reader);
    struct vz_scalar scalar = {
        .type = type, .json = value, .text = {start, (size_t)(reader->at - start)}};
    return read_one(reader, field, &scalar, start);
}

static enum vz_status walk_vector(struct vz_doc_reader *reader, const struct vz_field *field,
                                  struct vz_json value)
{
    const char *start = reader->at;
    enum vz_json_type type = vz_json_type(value);
    if (type == VZ_JSON_NULL) {
        skip_value(reader);
        return VZ_OK;
    }
    if (type != VZ_JSON_ARRAY && type != VZ_JSON_STRING)
        return vz_doc_fault(reader, start,
                            "failed to parse: The [dense_vector] field [%.*s] must be an array of "
                            "numbers, got %s",
                            (int)field->path.len, field->path.ptr, vz_json_type_name(value));
    if (type == VZ_JSON_ARRAY && holds_numbers(value))
        skip_flat_array(reader); /* wrong when something else follows: an error, no cut then */
    else
        skip_value(reader);
    return vz_doc_read_vector(reader, field, value, start, reader->at);
}

/* What it holds was given to a model before; here counts that it holds something. */
static enum vz_status walk_semantic(struct vz_doc_reader *reader, const struct vz_field *field,
                                    struct vz_json value)
{
    enum vz_json_type type = vz_json_type(value);
    struct vz_typed_value present = {.field = field->id, .kind = VZ_COLUMN_PRESENCE};
    skip_value(reader);
    if (type != VZ_JSON_NULL && (type != VZ_JSON_ARRAY || vz_json_count(value)))
        vz_doc_add_value(reader, &present);
    return VZ_OK;
}

static enum vz_status walk_object_field(struct vz_doc_reader *reader, const struct vz_field *field,
                                        struct vz_json value)
{
    enum vz_json_type type = vz_json_type(value);
    if (!field->enabled) {
        skip_value(reader);
        return VZ_OK;
    }
    if (type == VZ_JSON_ARRAY)
        return walk_array(reader, field, value);
    if (type == VZ_JSON_NULL) {
        skip_value(reader);
        return VZ_OK;
    }
    if (type != VZ_JSON_OBJECT)
        return vz_doc_fault(reader, reader->at,
                            "object mapping for [%.*s] tried to parse field [%.*s] as object, but "
                            "found a concrete value",
                            (int)field->path.len, field->path.ptr, (int)field->name.len,
                            field->name.ptr);
    if (field->type == VZ_FIELD_NESTED &&
        ++reader->nested_count > reader->mapping->rules.nested_objects)
        return vz_doc_fault(reader, reader->at,
                            "The number of nested documents has exceeded the allowed limit of "
                            "[%u]. This limit can be set by changing the "
                            "[index.mapping.nested_objects.limit] index level setting.",
                            reader->mapping->rules.nested_objects);
    size_t base = reader->path.len;
    vz_buf_clear(&reader->path);
    vz_buf_append_slice(&reader->path, field->path);
    vz_buf_append_char(&reader->path, '.');
    enum vz_status status =
        walk_members(reader, (struct scope){field->id, false, field->dynamic}, value);
    /* Back to the parent's path, which is a prefix of this one. */
    reader->path.len = base;
    return status;
}

static enum vz_status walk_flat(struct vz_doc_reader *reader, const struct vz_field *field,
                                struct vz_slice prefix, struct vz_json value)
{
    const char *start = reader->at;
    struct vz_error inner = {0};
    skip_value(reader);
    if (vz_doc_read_flat(reader, field, prefix, value, &inner) == VZ_OK)
        return VZ_OK;
    struct vz_slice preview = {start, (size_t)(reader->at - start)};
    return field_fault(reader, field, start, preview, inner.text);
}

struct completion_walk {
    struct vz_doc_reader *reader;
    const struct vz_field *field;
    const char *place;
    struct vz_error inner;
    bool told; /* the fault of a multi-field stands in the reader's error */
};

static enum vz_status walk_input(void *walk_void, struct vz_slice input, uint32_t weight)
{
    struct completion_walk *walk = walk_void;
    const struct vz_mapping_node *nodes = walk->reader->mapping->nodes;
    struct vz_scalar scalar = {.type = VZ_JSON_STRING, .text = input};
    enum vz_status status =
        vz_completion_add(walk->reader, walk->field, input, weight, &walk->inner);
    uint16_t id = vz_mapping_node_of(walk->field)->first_child;
    for (; status == VZ_OK && id != VZ_NO_FIELD; id = nodes[id].next_sibling) {
        const struct vz_field *child = &nodes[id].field;
        if (child->type == VZ_FIELD_COMPLETION) {
            status = vz_completion_add(walk->reader, child, input, weight, &walk->inner);
        } else {
            status = read_one(walk->reader, child, &scalar, walk->place);
            walk->told = status != VZ_OK;
        }
    }
    return status;
}

static enum vz_status walk_completion(struct vz_doc_reader *reader, const struct vz_field *field,
                                      struct vz_json object)
{
    struct completion_walk walk = {.reader = reader, .field = field, .place = reader->at};
    uint32_t weight;
    skip_value(reader);
    enum vz_status status =
        vz_completion_read_object(field, object, &weight, walk_input, &walk, &walk.inner);
    if (status == VZ_OK || walk.told)
        return status;
    struct vz_slice preview = {walk.place, (size_t)(reader->at - walk.place)};
    return field_fault(reader, field, walk.place, preview, walk.inner.text);
}

static enum vz_status walk_field(struct vz_doc_reader *reader, const struct vz_field *field,
                                 struct vz_json value)
{
    if (field->type == VZ_FIELD_COMPLETION && vz_json_type(value) == VZ_JSON_OBJECT)
        return walk_completion(reader, field, value);
    if (vz_field_is_object(field))
        return walk_object_field(reader, field, value);
    if (field->type == VZ_FIELD_DENSE_VECTOR)
        return walk_vector(reader, field, value);
    if (field->type == VZ_FIELD_SEMANTIC_TEXT)
        return walk_semantic(reader, field, value);
    if (field->type == VZ_FIELD_GEO_POINT)
        return walk_geo(reader, field, value);
    enum vz_json_type type = vz_json_type(value);
    if (type == VZ_JSON_ARRAY)
        return walk_array(reader, field, value);
    if (field->type == VZ_FIELD_FLATTENED)
        return walk_flat(reader, field, (struct vz_slice){0}, value);
    if (type == VZ_JSON_OBJECT) {
        const char *start = reader->at;
        skip_value(reader);
        if (field->ignore_malformed)
            return VZ_OK;
        struct vz_slice preview = {start, (size_t)(reader->at - start)};
        return field_fault(reader, field, start, preview, "Can't get text on a START_OBJECT");
    }
    return walk_scalar(reader, field, value);
}

/* ---- members ------------------------------------------------------------------------------ */

static struct vz_slice scope_name(const struct vz_doc_reader *reader)
{
    if (reader->path.len == 0)
        return VZ_SLICE("_doc");
    return (struct vz_slice){reader->path.data, reader->path.len - 1};
}

static enum vz_status strict_fault(struct vz_doc_reader *reader, struct vz_slice name,
                                   const char *place)
{
    struct vz_slice within = scope_name(reader);
    vz_doc_fault(reader, place,
                 "mapping set to strict, dynamic introduction of [%.*s] within [%.*s] is not "
                 "allowed",
                 (int)name.len, name.ptr, (int)within.len, within.ptr);
    if (reader->err)
        reader->err->status = VZ_STRICT_MAPPING;
    return VZ_STRICT_MAPPING;
}

static struct vz_slice push_name(struct vz_doc_reader *reader, struct vz_slice name)
{
    if (reader->path.len == 0)
        return name;
    size_t base = reader->path.len;
    vz_buf_append_slice(&reader->path, name);
    struct vz_slice path = {reader->path.data, reader->path.len};
    reader->path.len = base; /* the bytes stay until the next append */
    return path;
}

static enum vz_status walk_unmapped_object(struct vz_doc_reader *reader, struct scope scope,
                                           struct vz_slice name, struct vz_json value)
{
    size_t base = reader->path.len;
    size_t before = reader->fresh_count;
    enum vz_status noted;
    if (vz_doc_note_object(reader, push_name(reader, name), &noted)) {
        skip_value(reader); /* read when the template's field is there */
        return noted;
    }
    vz_buf_append_slice(&reader->path, name);
    vz_buf_append_char(&reader->path, '.');
    enum vz_status status =
        walk_members(reader, (struct scope){VZ_NO_FIELD, false, scope.dynamic}, value);
    /* Walks within only append behind their own beginning: the path still stands there. */
    struct vz_slice path = {reader->path.data, base + name.len};
    reader->path.len = base;
    if (status == VZ_OK && reader->fresh_count == before)
        return vz_doc_note(reader, path, VZ_SLICE("{\"type\":\"object\"}"));
    return status;
}

static bool has_objects(struct vz_json array)
{
    struct vz_json_iter it = vz_json_iterate(array);
    struct vz_json element;
    while (vz_json_next(&it, NULL, &element)) {
        enum vz_json_type type = vz_json_type(element);
        if (type == VZ_JSON_OBJECT || (type == VZ_JSON_ARRAY && has_objects(element)))
            return true;
        if (type != VZ_JSON_NULL && type != VZ_JSON_ARRAY)
            return false; /* the first value decides */
    }
    return false;
}

static enum vz_status walk_unmapped(struct vz_doc_reader *reader, struct scope scope,
                                    struct vz_slice name, struct vz_json value)
{
    const char *place = reader->at;
    enum vz_json_type type = vz_json_type(value);
    if (scope.dynamic == VZ_DYNAMIC_STRICT)
        return strict_fault(reader, name, place);
    if (scope.dynamic != VZ_DYNAMIC_TRUE || type == VZ_JSON_NULL) {
        skip_value(reader);
        return VZ_OK;
    }
    if (type == VZ_JSON_OBJECT)
        return walk_unmapped_object(reader, scope, name, value);
    if (type != VZ_JSON_ARRAY || !has_objects(value)) {
        skip_value(reader);
        return vz_doc_note_value(reader, push_name(reader, name), value, place);
    }
    struct vz_json_iter it = vz_json_iterate(value);
    struct vz_json element;
    enum vz_status status = VZ_OK;
    bool more = next_element(reader);
    while (more && status == VZ_OK && vz_json_next(&it, NULL, &element)) {
        enum vz_json_type inner = vz_json_type(element);
        if (inner == VZ_JSON_OBJECT || inner == VZ_JSON_ARRAY)
            status = walk_unmapped(reader, scope, name, element);
        else
            skip_value(reader);
        if (status == VZ_OK)
            more = next_element(reader);
    }
    return status;
}

static const struct vz_field *find_child(struct vz_doc_reader *reader, struct scope scope,
                                         struct vz_slice name)
{
    uint64_t id;
    if (!scope.is_root && scope.id == VZ_NO_FIELD)
        return NULL;
    if (!vz_strmap_get(&reader->mapping->by_path, push_name(reader, name), &id))
        return NULL;
    return &reader->mapping->nodes[id].field;
}

static enum vz_status check_key(struct vz_doc_reader *reader, struct scope scope,
                                struct vz_slice key, const char *place)
{
    static const char *const metadata[] = {"_id",     "_index",      "_source",      "_routing",
                                           "_seq_no", "_version",    "_field_names", "_ignored",
                                           "_tier",   "_nested_path", VZ_INFERENCE_FIELDS};
    if (reader->path.len + key.len > VZ_MAX_PATH_BYTES) {
        vz_doc_fault(reader, place, "failed to parse: field name [%.*s...] is longer than %d bytes",
                     (int)VZ_MIN(key.len, (size_t)100), key.ptr, VZ_MAX_PATH_BYTES);
        return VZ_BAD_DOCUMENT;
    }
    if (key.len && (unsigned char)key.ptr[0] > ' ' && key.ptr[0] != '_' && key.ptr[0] != '.')
        return VZ_OK; /* nearly all */
    size_t blank = 0;
    while (blank < key.len && (unsigned char)key.ptr[blank] <= ' ')
        blank++;
    if (key.len == 0)
        return vz_doc_fault(reader, place, "failed to parse: Field name cannot be an empty string");
    if (blank == key.len)
        return vz_doc_fault(reader, place, "Field name cannot contain only whitespace: [%.*s%.*s]",
                            (int)reader->path.len, reader->path.data ? reader->path.data : "",
                            (int)key.len, key.ptr);
    for (size_t i = 0; scope.is_root && i < VZ_COUNT_OF(metadata); i++) {
        if (!vz_slice_is(key, metadata[i]))
            continue;
        /* With semantic fields the layer above put it there, and refused a client's. */
        if (vz_slice_is(key, VZ_INFERENCE_FIELDS) && find_child(reader, scope, key))
            continue;
        vz_doc_fault(reader, place,
                     "failed to parse field [%s] of type [%s] in document with id '%.*s'.",
                     metadata[i], metadata[i], (int)reader->id.len, reader->id.ptr);
        vz_fail_cause(reader->err,
                      "Field [%s] is a metadata field and cannot be added inside a document. Use "
                      "the index API request parameters.",
                      metadata[i]);
        return VZ_BAD_DOCUMENT;
    }
    return VZ_OK;
}

static enum vz_status walk_member(struct vz_doc_reader *reader, struct scope scope,
                                  struct vz_slice name, struct vz_json value)
{
    const struct vz_field *field = find_child(reader, scope, name);
    if (!field)
        return walk_unmapped(reader, scope, name, value);
    if (field->type == VZ_FIELD_ALIAS)
        return vz_doc_fault(reader, reader->at, "Cannot write to a field alias [%.*s].",
                            (int)field->path.len, field->path.ptr);
    if (scope.id != VZ_NO_FIELD && field->is_multi_field)
        return vz_doc_fault(reader, reader->at, "Cannot write to the multi-field [%.*s].",
                            (int)field->path.len, field->path.ptr);
    return walk_field(reader, field, value);
}

/* "a.b.c": 1 means {"a": {"b": {"c": 1}}}. */
static enum vz_status walk_dotted(struct vz_doc_reader *reader, struct scope scope,
                                  struct vz_slice key, struct vz_json value)
{
    if (key.ptr[0] == '.' || key.ptr[key.len - 1] == '.' || memmem(key.ptr, key.len, "..", 2))
        return vz_doc_fault(reader, reader->at,
                            "failed to parse: field name starting or ending with a [.] makes "
                            "object resolution ambiguous: [%.*s]",
                            (int)key.len, key.ptr);
    size_t base = reader->path.len;
    const char *dot;
    enum vz_status status = VZ_OK;
    bool skipped = false;
    while (status == VZ_OK && !skipped && (dot = memchr(key.ptr, '.', key.len))) {
        struct vz_slice part = {key.ptr, (size_t)(dot - key.ptr)};
        const struct vz_field *field = find_child(reader, scope, part);
        if (field && field->type == VZ_FIELD_FLATTENED) {
            reader->path.len = base;
            return walk_flat(reader, field, (struct vz_slice){dot + 1, key.len - part.len - 1},
                             value);
        }
        if (!field && scope.dynamic == VZ_DYNAMIC_STRICT) {
            status = strict_fault(reader, part, reader->at);
        } else if (!field && scope.dynamic != VZ_DYNAMIC_TRUE) {
            skipped = true;
        } else if (field && !vz_field_is_object(field)) {
            status = vz_doc_fault(reader, reader->at,
                                  "failed to parse: Could not dynamically add mapping for field "
                                  "[%.*s]. Existing mapping for [%.*s] must be of type object but "
                                  "found [%s].",
                                  (int)key.len, key.ptr, (int)field->path.len, field->path.ptr,
                                  vz_field_type_name(field->type));
        } else if (field && !field->enabled) {
            skipped = true;
        }
        scope = field ? (struct scope){field->id, false, field->dynamic}
                      : (struct scope){VZ_NO_FIELD, false, scope.dynamic};
        vz_buf_append_slice(&reader->path, part);
        vz_buf_append_char(&reader->path, '.');
        key.len -= part.len + 1;
        key.ptr = dot + 1;
    }
    if (skipped)
        skip_value(reader);
    else if (status == VZ_OK)
        status = walk_member(reader, scope, key, value);
    reader->path.len = base;
    return status;
}

/* At '{'; ends behind '}'. */
static enum vz_status walk_members(struct vz_doc_reader *reader, struct scope scope,
                                   struct vz_json object)
{
    struct vz_json_iter it = vz_json_iterate(object);
    struct vz_slice key;
    struct vz_json value;
    struct key_set keys;
    keys.count = 0;
    keys.many = (struct vz_strmap){0};
    enum vz_status status = VZ_OK;
    size_t base = reader->path.len;
    reader->at++; /* '{' */
    while (status == VZ_OK && vz_json_next(&it, &key, &value)) {
        skip_space(reader);
        if (*reader->at == ',')
            reader->at++;
        skip_space(reader);
        const char *place = reader->at;
        skip_string(reader);
        skip_space(reader);
        reader->at++; /* ':' */
        skip_space(reader);
        if (!key_set_add(&keys, key))
            status = vz_doc_fault(reader, place, "failed to parse: Duplicate field '%.*s'",
                                  (int)key.len, key.ptr);
        else
            status = check_key(reader, scope, key, place);
        if (status == VZ_OK)
            status = memchr(key.ptr, '.', key.len) ? walk_dotted(reader, scope, key, value)
                                                   : walk_member(reader, scope, key, value);
        reader->path.len = base;
    }
    if (status == VZ_OK) {
        skip_space(reader);
        if (reader->at < reader->end)
            reader->at++; /* '}' */
    }
    vz_strmap_deinit(&keys.many);
    return status;
}

/* ---- the whole ---------------------------------------------------------------------------- */

/* By field, the order of the text kept within a field: counted and distributed. */
static void sort_values(struct vz_doc_reader *reader)
{
    if (reader->values_sorted || reader->value_count < 2)
        return;
    size_t fields = reader->mapping->count;
    uint32_t *starts = vz_arena_zalloc(reader->arena, (fields + 1) * sizeof *starts);
    for (size_t i = 0; i < reader->value_count; i++)
        starts[reader->values[i].field + 1]++;
    for (size_t i = 1; i <= fields; i++)
        starts[i] += starts[i - 1];
    struct vz_typed_value *sorted =
        vz_arena_alloc(reader->arena, reader->value_count * sizeof *sorted);
    for (size_t i = 0; i < reader->value_count; i++)
        sorted[starts[reader->values[i].field]++] = reader->values[i];
    reader->values = sorted;
}

/* Documents that do not say a constant_keyword have it all the same. */
static void add_constants(struct vz_doc_reader *reader)
{
    const struct vz_mapping *mapping = reader->mapping;
    for (size_t i = 0; mapping->has_constants && i < mapping->count; i++) {
        const struct vz_field *field = &mapping->nodes[i].field;
        struct vz_typed_value value = {.field = field->id, .kind = field->column};
        if (field->type != VZ_FIELD_CONSTANT_KEYWORD || !field->has_value || field->under_nested)
            continue;
        /* The mapping may be gone before the writer comes to it. */
        value.term = vz_arena_copy(reader->arena, field->value);
        vz_doc_add_value(reader, &value);
    }
}

static enum vz_status read_root(struct vz_doc_reader *reader, struct vz_json root)
{
    if (reader->source.len >= 3 && memcmp(reader->at, "\xEF\xBB\xBF", 3) == 0)
        reader->at += 3;
    skip_space(reader);
    if (vz_json_type(root) != VZ_JSON_OBJECT)
        return vz_doc_fault(reader, reader->at,
                            "failed to parse: Malformed content, must start with an object");
    struct scope scope = {VZ_NO_FIELD, true, reader->mapping->dynamic};
    return walk_members(reader, scope, root);
}

enum vz_status vz_document_parse(const struct vz_mapping *mapping, struct vz_slice id,
                                 struct vz_slice source, struct vz_arena *arena,
                                 struct vz_document *doc, struct vz_error *err)
{
    struct vz_json_doc *json;
    struct vz_json root;
    *doc = (struct vz_document){0};
    if (source.len > UINT32_MAX)
        return vz_fail(err, VZ_LIMIT, "a document is limited to 4 GiB");
    enum vz_status status = vz_json_parse(source, &json, &root, err);
    if (status != VZ_OK)
        return status;
    struct vz_doc_reader reader = {.mapping = mapping,
                                   .id = id,
                                   .source = source,
                                   .arena = arena,
                                   .err = err,
                                   .at = source.ptr,
                                   .end = source.ptr + source.len,
                                   .values_sorted = true};
    status = read_root(&reader, root);
    if (status == VZ_OK) {
        add_constants(&reader);
        doc->new_fields = vz_doc_new_fields(&reader);
        doc->new_field_count = reader.new_count;
        sort_values(&reader);
        doc->values = reader.values;
        doc->value_count = reader.value_count;
        doc->texts = reader.texts;
        doc->text_count = reader.text_count;
        vz_doc_cut(&reader, doc);
    }
    vz_json_free(json);
    vz_json_free(reader.templates_doc);
    vz_buf_deinit(&reader.path);
    vz_strmap_deinit(&reader.fresh_paths);
    return status;
}
