/* store/document_dynamic.c - what a field becomes that no mapping knew: the first value decides, by
 * Elasticsearch's rules for dynamic mapping.
 *
 * Noted fields have dotted paths; a merge expands them to objects. One difference: Elasticsearch
 * makes a dense_vector of 128 to 4,096 numbers only when none of them is written without a decimal
 * point; here one with a point is enough, because JavaScript writes 0.0 and 1.0 as 0 and 1.
 */
#include "store/document_parts.h"
#include "store/mapping_vector.h"

static const struct vz_slice slash_dates = {"yyyy/MM/dd HH:mm:ss||yyyy/MM/dd",
                                            sizeof "yyyy/MM/dd HH:mm:ss||yyyy/MM/dd" - 1};

/* Fields that a definition makes beside its own: each has a type. */
static size_t count_multi_fields(struct vz_slice definition)
{
    size_t count = 0;
    const char *at = definition.ptr, *end = at + definition.len;
    while ((at = memmem(at, (size_t)(end - at), "\"type\":", 7))) {
        at += 7;
        count++;
    }
    return count ? count - 1 : 0;
}

enum vz_status vz_doc_note(struct vz_doc_reader *reader, struct vz_slice path,
                           struct vz_slice definition)
{
    if (!vz_strmap_put(&reader->fresh_paths, path, 1))
        return VZ_OK;
    uint64_t known;
    bool is_new = !vz_strmap_get(&reader->mapping->by_path, path, &known);
    const struct vz_mapping_rules *rules = &reader->mapping->rules;
    size_t fields = is_new ? 1 + count_multi_fields(definition) : 0;
    if (rules->ignore_beyond && is_new &&
        reader->mapping->count + reader->new_count + fields > rules->total_fields)
        return VZ_OK;
    reader->new_count += fields;
    size_t total = reader->mapping->count + reader->fresh_count + 1;
    /* Dims of a known field are no new field, but one over the limit is not worth telling apart:
     * the merge counts exactly. */
    if (total > 2 * (size_t)VZ_MAX_FIELDS)
        return vz_fail(reader->err, VZ_LIMIT,
                       "Limit of total fields [%d] has been exceeded while adding new fields [%zu]",
                       VZ_MAX_FIELDS, reader->fresh_count + 1);
    reader->fresh = vz_doc_grow(reader, reader->fresh, reader->fresh_count, &reader->fresh_capacity,
                                sizeof *reader->fresh);
    struct vz_fresh_field *fresh = &reader->fresh[reader->fresh_count++];
    fresh->path = vz_arena_copy(reader->arena, path);
    fresh->definition = vz_arena_copy(reader->arena, definition);
    return VZ_OK;
}

static bool parses_as(struct vz_slice format, struct vz_slice text)
{
    int64_t ms;
    return vz_date_parse(format, text, false, false, 0, &ms, NULL) == VZ_OK;
}

/* The definition that a template gives to a new field, or the usual one. */
static enum vz_status note_kind(struct vz_doc_reader *reader, struct vz_slice path,
                                enum vz_dynamic_kind kind, struct vz_slice date_format,
                                struct vz_slice usual)
{
    struct vz_buf text = {0};
    struct vz_json templates;
    enum vz_status status = VZ_OK;
    if (vz_doc_templates(reader, &templates) &&
        vz_templates_find(templates, path, kind, date_format, &text))
        usual = vz_buf_slice(&text);
    if (usual.len)
        status = vz_doc_note(reader, path, usual);
    vz_buf_deinit(&text);
    return status;
}

bool vz_doc_templates(struct vz_doc_reader *reader, struct vz_json *templates)
{
    struct vz_slice json = vz_mapping_root_param(reader->mapping, "dynamic_templates");
    if (json.len == 0)
        return false;
    if (!reader->templates_doc &&
        vz_json_parse(json, &reader->templates_doc, &reader->templates, NULL) != VZ_OK)
        return false;
    *templates = reader->templates;
    return true;
}

bool vz_doc_note_object(struct vz_doc_reader *reader, struct vz_slice path, enum vz_status *status)
{
    size_t before = reader->fresh_count;
    *status =
        note_kind(reader, path, VZ_DYNAMIC_OBJECT, (struct vz_slice){0}, (struct vz_slice){0});
    return *status != VZ_OK || reader->fresh_count > before;
}

/* The format of the index's own list that a text is a date of; false: none. */
static bool listed_format(struct vz_doc_reader *reader, struct vz_slice list, struct vz_slice text,
                          struct vz_slice *format)
{
    struct vz_json_doc *doc;
    struct vz_json root, one;
    bool found = false;
    if (vz_json_parse(list, &doc, &root, NULL) != VZ_OK)
        return false;
    struct vz_json_iter it = vz_json_iterate(root);
    if (vz_json_type(root) == VZ_JSON_STRING && parses_as(vz_json_string(root), text)) {
        *format = vz_arena_copy(reader->arena, vz_json_string(root));
        found = true;
    }
    while (vz_json_type(root) == VZ_JSON_ARRAY && !found && vz_json_next(&it, NULL, &one)) {
        found = parses_as(vz_json_string(one), text);
        if (found)
            *format = vz_arena_copy(reader->arena, vz_json_string(one));
    }
    vz_json_free(doc);
    return found;
}

static bool is_date(struct vz_doc_reader *reader, struct vz_slice text, struct vz_slice *format)
{
    struct vz_slice list = vz_mapping_root_param(reader->mapping, "dynamic_date_formats");
    *format = (struct vz_slice){0};
    if (text.len == 0 || text.len >= 64)
        return false;
    if (list.len)
        return listed_format(reader, list, text, format);
    if (!memchr(text.ptr, '-', text.len) && !memchr(text.ptr, ':', text.len) &&
        !memchr(text.ptr, '/', text.len))
        return false;
    if (parses_as(VZ_SLICE("strict_date_optional_time"), text))
        return true;
    *format = VZ_SLICE("yyyy/MM/dd HH:mm:ss||yyyy/MM/dd||epoch_millis");
    return parses_as(slash_dates, text);
}

static enum vz_status note_string(struct vz_doc_reader *reader, struct vz_slice path,
                                  struct vz_slice text)
{
    const struct vz_mapping *mapping = reader->mapping;
    int64_t whole;
    double decimal;
    struct vz_slice format = {0};
    bool is_long = vz_text_to_i64(text, &whole);
    bool is_double = is_long || vz_text_to_double(text, &decimal);
    if (mapping->numeric_detection && is_long)
        return note_kind(reader, path, VZ_DYNAMIC_LONG, format, VZ_SLICE("{\"type\":\"long\"}"));
    if (mapping->numeric_detection && is_double)
        return note_kind(reader, path, VZ_DYNAMIC_DOUBLE, format, VZ_SLICE("{\"type\":\"float\"}"));
    if (!is_double && mapping->date_detection && is_date(reader, text, &format)) {
        struct vz_buf usual = {0};
        struct vz_json_writer w = vz_json_writer_on(&usual);
        vz_json_begin_object(&w);
        vz_json_field_str(&w, "type", "date");
        if (format.len)
            vz_json_field_string(&w, "format", format);
        vz_json_end_object(&w);
        enum vz_status status =
            note_kind(reader, path, VZ_DYNAMIC_DATE, format, vz_buf_slice(&usual));
        vz_buf_deinit(&usual);
        return status;
    }
    return note_kind(reader, path, VZ_DYNAMIC_STRING, (struct vz_slice){0},
                     VZ_SLICE("{\"type\":\"text\",\"fields\":{\"keyword\":{\"type\":\"keyword\","
                              "\"ignore_above\":256}}}"));
}

/* The number of dimensions when an array of numbers shall be a vector, else 0. */
static size_t vector_dims(struct vz_json array)
{
    size_t count = vz_json_count(array);
    if (count < VZ_MIN_DYNAMIC_DIMS || count > VZ_MAX_DIMS)
        return 0;
    bool any_decimal = false;
    struct vz_json_iter it = vz_json_iterate(array);
    struct vz_json element;
    while (vz_json_next(&it, NULL, &element)) {
        if (!vz_json_is_number(element))
            return 0;
        any_decimal |= vz_json_type(element) == VZ_JSON_DOUBLE;
    }
    return any_decimal ? count : 0;
}

static enum vz_status note_array(struct vz_doc_reader *reader, struct vz_slice path,
                                 struct vz_json array, const char *place)
{
    size_t dims = vector_dims(array);
    if (dims) {
        char *text =
            vz_arena_printf(reader->arena, "{\"type\":\"dense_vector\",\"dims\":%zu}", dims);
        return vz_doc_note(reader, path, vz_slice_from(text));
    }
    struct vz_json_iter it = vz_json_iterate(array);
    struct vz_json element;
    while (vz_json_next(&it, NULL, &element)) {
        size_t before = reader->fresh_count;
        enum vz_status status = vz_doc_note_value(reader, path, element, place);
        if (status != VZ_OK || reader->fresh_count > before)
            return status;
    }
    return VZ_OK;
}

enum vz_status vz_doc_note_value(struct vz_doc_reader *reader, struct vz_slice path,
                                 struct vz_json value, const char *place)
{
    struct vz_slice none = {0};
    switch (vz_json_type(value)) {
    case VZ_JSON_STRING:
        return note_string(reader, path, vz_json_string(value));
    case VZ_JSON_BOOL:
        return note_kind(reader, path, VZ_DYNAMIC_BOOLEAN, none,
                         VZ_SLICE("{\"type\":\"boolean\"}"));
    case VZ_JSON_INT:
    case VZ_JSON_UINT:
        return note_kind(reader, path, VZ_DYNAMIC_LONG, none, VZ_SLICE("{\"type\":\"long\"}"));
    case VZ_JSON_DOUBLE:
        return note_kind(reader, path, VZ_DYNAMIC_DOUBLE, none, VZ_SLICE("{\"type\":\"float\"}"));
    case VZ_JSON_ARRAY:
        return note_array(reader, path, value, place);
    default:
        return VZ_OK;
    }
}

struct vz_slice vz_doc_new_fields(struct vz_doc_reader *reader)
{
    if (reader->fresh_count == 0)
        return (struct vz_slice){0};
    struct vz_buf text = {0};
    struct vz_json_writer w = vz_json_writer_on(&text);
    vz_json_begin_object(&w);
    vz_json_key(&w, "properties");
    vz_json_begin_object(&w);
    for (size_t i = 0; i < reader->fresh_count; i++) {
        vz_json_key_slice(&w, reader->fresh[i].path);
        vz_json_put_raw(&w, reader->fresh[i].definition);
    }
    vz_json_end_object(&w);
    vz_json_end_object(&w);
    struct vz_slice copy = vz_arena_copy(reader->arena, vz_buf_slice(&text));
    vz_buf_deinit(&text);
    return copy;
}
