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

enum vz_status vz_doc_note(struct vz_doc_reader *reader, struct vz_slice path,
                           struct vz_slice definition)
{
    if (!vz_strmap_put(&reader->fresh_paths, path, 1))
        return VZ_OK;
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

static struct vz_slice string_definition(const struct vz_mapping *mapping, struct vz_slice text)
{
    bool maybe_date = text.len && text.len < 64 &&
                      (memchr(text.ptr, '-', text.len) || memchr(text.ptr, ':', text.len) ||
                       memchr(text.ptr, '/', text.len));
    if (mapping->date_detection && maybe_date) {
        if (parses_as(VZ_SLICE("strict_date_optional_time"), text))
            return VZ_SLICE("{\"type\":\"date\"}");
        if (parses_as(slash_dates, text))
            return VZ_SLICE("{\"type\":\"date\",\"format\":\"yyyy/MM/dd HH:mm:ss||yyyy/MM/dd||"
                            "epoch_millis\"}");
    }
    int64_t whole;
    double decimal;
    if (mapping->numeric_detection && vz_text_to_i64(text, &whole))
        return VZ_SLICE("{\"type\":\"long\"}");
    if (mapping->numeric_detection && vz_text_to_double(text, &decimal))
        return VZ_SLICE("{\"type\":\"float\"}");
    return VZ_SLICE("{\"type\":\"text\",\"fields\":{\"keyword\":{\"type\":\"keyword\","
                    "\"ignore_above\":256}}}");
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
    switch (vz_json_type(value)) {
    case VZ_JSON_STRING:
        return vz_doc_note(reader, path, string_definition(reader->mapping, vz_json_string(value)));
    case VZ_JSON_BOOL:
        return vz_doc_note(reader, path, VZ_SLICE("{\"type\":\"boolean\"}"));
    case VZ_JSON_INT:
    case VZ_JSON_UINT:
        return vz_doc_note(reader, path, VZ_SLICE("{\"type\":\"long\"}"));
    case VZ_JSON_DOUBLE:
        return vz_doc_note(reader, path, VZ_SLICE("{\"type\":\"float\"}"));
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
