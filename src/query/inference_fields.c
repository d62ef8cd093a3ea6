/* `fields: ["_inference_fields"]`: the chunks of a hit's semantic fields and their vectors, in its
 * _source as Elasticsearch puts them there, whatever the source filter says. Nobody else sees them:
 * they cost a document's whole text and every vector of it. */
#include "query/filter.h"
#include "store/elements.h"

bool vz_inference_fields_wanted(const struct vz_search *search)
{
    for (size_t i = 0; i < search->fields.count; i++)
        if (vz_slice_is(search->fields.items[i].pattern, VZ_INFERENCE_FIELDS))
            return true;
    return false;
}

static void put_vector(const struct vz_field *field, struct vz_json value, struct vz_arena *arena,
                       struct vz_json_writer *w)
{
    struct vz_given_vector given;
    vz_json_begin_array(w);
    if (vz_vector_of_text(field, vz_json_string(value), arena, &given, NULL) == VZ_OK)
        for (size_t i = 0; given.floats && i < given.dims; i++)
            vz_json_put_float(w, given.floats[i]);
    vz_json_end_array(w);
}

static struct vz_slice source_of(struct vz_json chunk, const struct vz_field *field)
{
    struct vz_json source;
    return vz_json_get(chunk, "source", &source) ? vz_json_string(source) : field->path;
}

/* The chunks of one source field, which stand together. */
static void put_source(const struct vz_field *field, const struct vz_field *vectors,
                       struct vz_json list, struct vz_slice source, struct vz_arena *arena,
                       struct vz_json_writer *w)
{
    struct vz_json_iter it = vz_json_iterate(list);
    struct vz_json chunk, value;
    vz_json_key_slice(w, source);
    vz_json_begin_array(w);
    while (vz_json_next(&it, NULL, &chunk)) {
        if (!vz_slice_eq(source_of(chunk, field), source))
            continue;
        vz_json_begin_object(w);
        if (vz_json_get(chunk, "start", &value))
            vz_json_field_int(w, "start_offset", vz_json_int(value));
        if (vz_json_get(chunk, "end", &value))
            vz_json_field_int(w, "end_offset", vz_json_int(value));
        vz_json_key(w, "embeddings");
        if (vz_json_get(chunk, "embeddings", &value))
            put_vector(vectors, value, arena, w);
        else
            vz_json_put_null(w);
        vz_json_end_object(w);
    }
    vz_json_end_array(w);
}

static void put_chunks(const struct vz_field *field, const struct vz_field *vectors,
                       struct vz_json list, struct vz_arena *arena, struct vz_json_writer *w)
{
    struct vz_json_iter it = vz_json_iterate(list);
    struct vz_json chunk;
    struct vz_slice last = {0};
    vz_json_key(w, "chunks");
    vz_json_begin_object(w);
    while (vz_json_next(&it, NULL, &chunk)) {
        struct vz_slice source = source_of(chunk, field);
        if (!vz_slice_eq(source, last))
            put_source(field, vectors, list, source, arena, w);
        last = source;
    }
    vz_json_end_object(w);
}

static void put_field(const struct vz_field *field, const struct vz_field *vectors,
                      struct vz_json list, struct vz_arena *arena, struct vz_json_writer *w)
{
    vz_json_key_slice(w, field->path);
    vz_json_begin_object(w);
    vz_json_key(w, "inference");
    vz_json_begin_object(w);
    vz_json_field_string(w, "inference_id", field->inference_id);
    vz_json_key(w, "model_settings");
    vz_json_begin_object(w);
    vz_json_field_str(w, "service", "elasticsearch");
    vz_json_field_str(w, "task_type", "text_embedding");
    vz_json_field_int(w, "dimensions", field->dims);
    vz_json_field_str(w, "similarity", vz_similarity_name(vectors->similarity));
    vz_json_field_str(w, "element_type", "float");
    vz_json_end_object(w);
    put_chunks(field, vectors, list, arena, w);
    vz_json_end_object(w);
    vz_json_end_object(w);
}

/* The chunks of a field, by its whole path. */
static bool find_list(struct vz_json all, struct vz_slice path, struct vz_json *list)
{
    struct vz_json_iter it = vz_json_iterate(all);
    struct vz_slice key;
    struct vz_json value;
    while (vz_json_next(&it, &key, &value)) {
        if (vz_slice_eq(key, path)) {
            *list = value;
            return vz_json_type(value) == VZ_JSON_ARRAY;
        }
    }
    return false;
}

enum vz_status vz_inference_fields_put(struct vz_eval *eval, uint32_t docno,
                                       struct vz_arena *scratch, struct vz_search_hit *hit,
                                       struct vz_error *err)
{
    struct vz_stored_doc doc;
    struct vz_json_doc *parsed;
    struct vz_json root, all, list;
    struct vz_buf text = {0};
    enum vz_status status =
        vz_snapshot_doc(eval->snap, docno, VZ_DOC_WHOLE_SOURCE, scratch, &doc, err);
    if (status == VZ_OK)
        status = vz_json_parse(doc.source, &parsed, &root, err);
    if (status != VZ_OK)
        return status;
    if (vz_json_get(root, VZ_INFERENCE_FIELDS, &all)) {
        size_t len = hit->source.len;
        while (len && hit->source.ptr[len - 1] != '}')
            len--;
        vz_buf_append(&text, len ? hit->source.ptr : "{", len ? len - 1 : 1);
        size_t empty = text.len;
        while (empty && (unsigned char)text.data[empty - 1] <= ' ')
            empty--;
        vz_buf_printf(&text,
                      "%s\"" VZ_INFERENCE_FIELDS "\":", text.data[empty - 1] == '{' ? "" : ",");
        struct vz_json_writer w = vz_json_writer_on(&text);
        vz_json_begin_object(&w);
        for (size_t i = 0; i < vz_mapping_count(eval->mapping); i++) {
            const struct vz_field *field = vz_mapping_field(eval->mapping, (uint16_t)i);
            const struct vz_field *vectors = vz_mapping_vectors(eval->mapping, field);
            if (vectors && find_list(all, field->path, &list))
                put_field(field, vectors, list, scratch, &w);
        }
        vz_json_end_object(&w);
        vz_buf_append_char(&text, '}');
        hit->source = vz_arena_copy(eval->arena, vz_buf_slice(&text));
    }
    vz_json_free(parsed);
    vz_buf_deinit(&text);
    return VZ_OK;
}
