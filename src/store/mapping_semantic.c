/* store/mapping_semantic.c - semantic_text: a text (or picture) whose vectors a model makes when a
 * document is written.
 *
 * The visible field has no values of its own but the mark that a document has it. Its vectors live
 * below a hidden root object, where documents get them from the layer that asks models:
 *
 *     "content"                                semantic_text
 *     "_inference_fields.content"              nested, one object a chunk: "start", "end", ...
 *     "_inference_fields.content.embeddings"   dense_vector
 *
 * The hidden fields are ordinary ones, so that rows, graphs, recovery and "the best of several
 * vectors" are what they are for every nested vector. They come into being when the field's
 * model_settings are known: as given, or after the first use of the model, which writes them into
 * the mapping. GET _mapping does not show them, and no client's document may name their root. */
#include "store/mapping_semantic.h"
#include "store/mapping_vector.h"

#include <stdlib.h>

#define MAX_INFERENCE_ID 512
#define MAX_SEPARATORS 64

bool vz_field_is_hidden(const struct vz_field *field)
{
    struct vz_slice root = VZ_SLICE(VZ_INFERENCE_FIELDS);
    return field->path.len >= root.len && memcmp(field->path.ptr, root.ptr, root.len) == 0 &&
           (field->path.len == root.len || field->path.ptr[root.len] == '.');
}

const struct vz_field *vz_mapping_vectors(const struct vz_mapping *mapping,
                                          const struct vz_field *field)
{
    return field->type == VZ_FIELD_SEMANTIC_TEXT && field->vectors != VZ_NO_FIELD
               ? vz_mapping_field(mapping, field->vectors)
               : NULL;
}

/* ---- reading ------------------------------------------------------------------------------ */

static enum vz_status read_id(struct vz_mapping *mapping, struct vz_mapping_node *node,
                              const char *name, struct vz_json value, struct vz_slice *out,
                              struct vz_error *err)
{
    struct vz_slice text = vz_json_string(value);
    if (vz_json_type(value) == VZ_JSON_NULL && strcmp(name, "search_inference_id") == 0)
        return VZ_OK;
    if (text.len == 0 || text.len > MAX_INFERENCE_ID)
        return vz_mapping_fault(err, "[%s] on mapper [%.*s] of type [semantic_text] must %s", name,
                                (int)node->field.path.len, node->field.path.ptr,
                                text.len ? "not be longer than 512 bytes" : "not be empty");
    *out = vz_arena_copy(&mapping->arena, text);
    return VZ_OK;
}

static enum vz_status read_model(struct vz_mapping_node *node, struct vz_json settings,
                                 struct vz_error *err)
{
    struct vz_json_iter it = vz_json_iterate(settings);
    struct vz_slice key, task = {0};
    struct vz_json value;
    int64_t dims = 0;
    if (vz_json_type(settings) == VZ_JSON_NULL)
        return VZ_OK;
    if (vz_json_type(settings) != VZ_JSON_OBJECT)
        return vz_mapping_fault(err, "[model_settings] must be an object, got %s",
                                vz_json_type_name(settings));
    while (vz_json_next(&it, &key, &value)) {
        struct vz_slice text = vz_json_string(value);
        if (vz_slice_is(key, "task_type"))
            task = text;
        else if (vz_slice_is(key, "dimensions") && !vz_json_as_int(value, &dims))
            return vz_mapping_fault(err, "[dimensions] of [model_settings] must be an integer");
        else if (vz_slice_is(key, "similarity") && !vz_slice_is(text, "cosine") &&
                 !vz_slice_is(text, "dot_product") && !vz_slice_is(text, "l2_norm"))
            return vz_mapping_fault(err, "Unknown value [%.*s] for field [similarity]",
                                    (int)text.len, text.ptr);
        else if (vz_slice_is(key, "element_type") && !vz_slice_is(text, "float"))
            return vz_mapping_unsupported(
                err, "[model_settings.element_type] [%.*s] is not supported yet by vizsla: [float]",
                (int)text.len, text.ptr);
        else if (!vz_slice_is(key, "service") && !vz_slice_is(key, "task_type") &&
                 !vz_slice_is(key, "dimensions") && !vz_slice_is(key, "similarity") &&
                 !vz_slice_is(key, "element_type"))
            return vz_mapping_fault(err, "[model_settings] unknown field [%.*s]", (int)key.len,
                                    key.ptr);
    }
    if (vz_slice_is(task, "sparse_embedding"))
        return vz_mapping_unsupported(err,
                                      "[semantic_text] with [sparse_embedding] of field "
                                      "[%.*s] is not supported yet by vizsla",
                                      (int)node->field.path.len, node->field.path.ptr);
    if (!vz_slice_is(task, "text_embedding") && !vz_slice_is(task, "embedding"))
        return vz_mapping_fault(err,
                                "Wrong [task_type], expected text_embedding or sparse_embedding, "
                                "got %.*s",
                                (int)task.len, task.ptr);
    if (dims < 1 || dims > 4096)
        return vz_mapping_fault(err, "required [dimensions] field is missing for task_type [%.*s]",
                                (int)task.len, task.ptr);
    node->field.dims = (uint32_t)dims;
    return VZ_OK;
}

static enum vz_status chunking_fault(struct vz_error *err, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static enum vz_status chunking_fault(struct vz_error *err, const char *format, ...)
{
    struct vz_buf text = {0};
    va_list args;
    va_start(args, format);
    vz_buf_vprintf(&text, format, args);
    va_end(args);
    vz_mapping_fault(err, "Validation Failed: 1: %s;", text.data);
    vz_buf_deinit(&text);
    return VZ_BAD_MAPPING;
}

struct strategy {
    const char *name, *title;
    int64_t least, most; /* of max_chunk_size; most 0: no limit of Elasticsearch's */
    const char *settings[3];
};
static const struct strategy strategies[] = {
    {"none", "None", 0, 0, {NULL, NULL, NULL}},
    {"word", "Word based", 10, 300, {"max_chunk_size", "overlap", NULL}},
    {"sentence", "Sentence based", 20, 0, {"max_chunk_size", "sentence_overlap", NULL}},
    {"recursive", "Recursive", 10, 300, {"max_chunk_size", "separator_group", "separators"}},
};

static enum vz_status check_separators(struct vz_json settings, struct vz_error *err)
{
    struct vz_json list = {0}, group = {0}, item;
    bool has_group = vz_json_get(settings, "separator_group", &group);
    bool has_list = vz_json_get(settings, "separators", &list);
    struct vz_slice name = vz_json_string(group);
    if (has_group && has_list)
        return chunking_fault(err, "Recursive chunking settings can not have both separators and "
                                   "separator_set");
    if (has_group && !vz_slice_is(name, "plaintext") && !vz_slice_is(name, "markdown"))
        return chunking_fault(
            err,
            "[chunking_settings] Invalid value [%.*s] received. [separator_group] "
            "must be one of [markdown, plaintext]",
            (int)name.len, name.ptr);
    if (!has_list)
        return VZ_OK;
    if (vz_json_type(list) != VZ_JSON_ARRAY || vz_json_count(list) == 0)
        return chunking_fault(
            err, "Recursive chunking settings can not have an empty list of separators");
    if (vz_json_count(list) > MAX_SEPARATORS)
        return chunking_fault(err, "at most [%d] separators", MAX_SEPARATORS);
    struct vz_json_iter it = vz_json_iterate(list);
    while (vz_json_next(&it, NULL, &item))
        if (vz_json_type(item) != VZ_JSON_STRING || vz_json_string(item).len == 0 ||
            vz_json_string(item).len > 1000)
            return chunking_fault(err, "[separators] must be strings of 1 to 1000 bytes");
    return VZ_OK;
}

enum vz_status vz_chunking_check(struct vz_json settings, struct vz_error *err)
{
    struct vz_json value;
    struct vz_slice name = VZ_SLICE("sentence"), key;
    const struct strategy *of = NULL;
    int64_t size = 250, overlap = 0;
    if (vz_json_type(settings) != VZ_JSON_OBJECT)
        return vz_mapping_fault(err, "[chunking_settings] must be an object, got %s",
                                vz_json_type_name(settings));
    if (vz_json_get(settings, "strategy", &value))
        name = vz_json_string(value);
    for (size_t i = 0; i < VZ_COUNT_OF(strategies); i++)
        if (vz_slice_is(name, strategies[i].name))
            of = &strategies[i];
    if (!of)
        return vz_mapping_fault(err, "Invalid chunkingStrategy %.*s", (int)name.len, name.ptr);
    struct vz_json_iter it = vz_json_iterate(settings);
    while (vz_json_next(&it, &key, &value)) {
        bool known = vz_slice_is(key, "strategy");
        for (size_t i = 0; i < VZ_COUNT_OF(of->settings); i++)
            known |= of->settings[i] && vz_slice_is(key, of->settings[i]);
        if (!known)
            return chunking_fault(
                err, "%s chunking settings can not have the following settings: [%.*s]", of->title,
                (int)key.len, key.ptr);
    }
    if (strcmp(of->name, "none") == 0)
        return VZ_OK;
    if (!vz_json_get(settings, "max_chunk_size", &value))
        return chunking_fault(
            err, "[chunking_settings] does not contain the required setting [max_chunk_size]");
    if (!vz_json_as_int(value, &size) || size < of->least || size > (of->most ? of->most : 1000000))
        return chunking_fault(err,
                              "[chunking_settings] Invalid value [%lld]. [max_chunk_size] must be "
                              "a greater than or equal to [%lld]%s",
                              (long long)size, (long long)of->least,
                              of->most ? " and less than or equal to [300]" : "");
    if (strcmp(of->name, "word") == 0) {
        if (!vz_json_get(settings, "overlap", &value))
            return chunking_fault(
                err, "[chunking_settings] does not contain the required setting [overlap]");
        if (!vz_json_as_int(value, &overlap) || overlap < 0 || overlap > size / 2)
            return chunking_fault(err,
                                  "[chunking_settings] Invalid value [%lld]. [overlap] must be a "
                                  "positive integer less than or equal to [%lld]",
                                  (long long)overlap, (long long)(size / 2));
    }
    if (vz_json_get(settings, "sentence_overlap", &value) &&
        (!vz_json_as_int(value, &overlap) || overlap < 0 || overlap > 1))
        return chunking_fault(err, "sentence_overlap[%lld] must be either 0 or 1",
                              (long long)overlap);
    return check_separators(settings, err);
}

enum vz_status vz_mapping_read_semantic(struct vz_mapping *mapping, struct vz_mapping_node *node,
                                        struct vz_slice name, struct vz_json value,
                                        struct vz_error *err)
{
    struct vz_field *field = &node->field;
    bool is_null = vz_json_type(value) == VZ_JSON_NULL;
    if (vz_slice_is(name, "inference_id"))
        return read_id(mapping, node, "inference_id", value, &field->inference_id, err);
    if (vz_slice_is(name, "search_inference_id"))
        return read_id(mapping, node, "search_inference_id", value, &field->search_inference_id,
                       err);
    if (vz_slice_is(name, "model_settings"))
        return read_model(node, value, err);
    if (vz_slice_is(name, "chunking_settings") && !is_null) {
        struct vz_buf text = {0};
        vz_json_print(value, &text);
        field->chunking = vz_arena_copy(&mapping->arena, vz_buf_slice(&text));
        vz_buf_deinit(&text);
        return vz_chunking_check(value, err);
    }
    if (vz_slice_is(name, "index_options") && !is_null) {
        struct vz_json sparse;
        if (vz_json_get(value, "sparse_vector", &sparse))
            return vz_mapping_unsupported(
                err, "[index_options.sparse_vector] of field [%.*s] is not supported yet by vizsla",
                (int)field->path.len, field->path.ptr);
    }
    return VZ_OK;
}

bool vz_mapping_says_semantic(struct vz_json definition)
{
    struct vz_json type;
    return vz_json_get(definition, "type", &type) && vz_slice_is(vz_json_string(type), "semantic");
}

/* ---- updates ------------------------------------------------------------------------------ */

static struct vz_slice param(const struct vz_mapping_node *node, const char *name)
{
    for (size_t i = 0; i < node->param_count; i++)
        if (vz_slice_is(node->params[i].name, name) && !vz_slice_is(node->params[i].json, "null"))
            return node->params[i].json;
    return (struct vz_slice){0};
}

/* What the model told of itself, and which it was, stay when an update does not name them. */
static void keep_param(struct vz_mapping *mapping, const struct vz_mapping_node *from,
                       struct vz_mapping_node *to, const char *name)
{
    struct vz_slice kept = param(from, name);
    struct vz_json_doc *doc;
    struct vz_json value;
    if (!kept.len || param(to, name).len || vz_json_parse(kept, &doc, &value, NULL) != VZ_OK)
        return;
    vz_mapping_param_add(mapping, &to->params, &to->param_count, vz_slice_from(name), value);
    vz_json_free(doc);
}

enum vz_status vz_mapping_update_semantic(struct vz_mapping *mapping,
                                          const struct vz_mapping_node *from,
                                          struct vz_mapping_node *to, struct vz_error *err)
{
    const struct vz_field *old = &from->field;
    struct vz_field *new = &to->field;
    if (old->any_input != new->any_input)
        return vz_fail(err, VZ_BAD_MAPPING,
                       "mapper [%.*s] cannot be changed from type [%s] to [%s]", (int)old->path.len,
                       old->path.ptr, old->any_input ? "semantic" : "semantic_text",
                       old->any_input ? "semantic_text" : "semantic");
    if (old->dims && !new->dims) {
        new->dims = old->dims;
        keep_param(mapping, from, to, "model_settings");
    }
    if (!new->inference_id.len) {
        new->inference_id = old->inference_id;
        keep_param(mapping, from, to, "inference_id");
    }
    if (!new->model_digest.len && old->model_digest.len) {
        new->model = old->model;
        new->model_digest = old->model_digest;
        keep_param(mapping, from, to, "meta");
    }
    if (old->inference_id.len && old->dims && !vz_slice_eq(old->inference_id, new->inference_id))
        return vz_fail(err, VZ_BAD_MAPPING,
                       "Mapper for [%.*s] conflicts with existing mapper:\n\tCannot update "
                       "parameter [inference_id] from [%.*s] to [%.*s]",
                       (int)old->path.len, old->path.ptr, (int)old->inference_id.len,
                       old->inference_id.ptr, (int)new->inference_id.len, new->inference_id.ptr);
    if (old->dims && old->dims != new->dims)
        return vz_fail(err, VZ_BAD_MAPPING,
                       "Mapper for [%.*s] conflicts with existing mapper:\n\tIncompatible model "
                       "settings for field [%.*s]. Check that the inference_id is not using "
                       "different model settings",
                       (int)old->path.len, old->path.ptr, (int)old->path.len, old->path.ptr);
    return VZ_OK;
}

/* ---- the hidden fields -------------------------------------------------------------------- */

static struct vz_slice model_setting(const struct vz_mapping_node *node, const char *name,
                                     struct vz_arena *arena)
{
    struct vz_slice text = {0}, settings = param(node, "model_settings");
    struct vz_json_doc *doc;
    struct vz_json root, value;
    if (settings.len && vz_json_parse(settings, &doc, &root, NULL) == VZ_OK) {
        if (vz_json_get(root, name, &value))
            text = vz_arena_copy(arena, vz_json_string(value));
        vz_json_free(doc);
    }
    return text;
}

/* {"dense_vector": {...}} or, as some clients have it, the options themselves. */
static void print_options(const struct vz_mapping_node *node, struct vz_json_writer *w)
{
    struct vz_slice options = param(node, "index_options");
    struct vz_json_doc *doc;
    struct vz_json root, dense;
    if (!options.len || vz_json_parse(options, &doc, &root, NULL) != VZ_OK)
        return;
    vz_json_key(w, "index_options");
    vz_json_put_value(w, vz_json_get(root, "dense_vector", &dense) ? dense : root);
    vz_json_free(doc);
}

static void print_hidden(const struct vz_mapping_node *node, struct vz_buf *out)
{
    struct vz_arena arena = {0};
    struct vz_json_writer w = vz_json_writer_on(out);
    struct vz_buf name = {0};
    struct vz_slice similarity = model_setting(node, "similarity", &arena);
    vz_buf_printf(&name, "%s.%.*s", VZ_INFERENCE_FIELDS, (int)node->field.path.len,
                  node->field.path.ptr);
    vz_json_begin_object(&w);
    vz_json_key_slice(&w, vz_buf_slice(&name));
    vz_json_begin_object(&w);
    vz_json_field_str(&w, "type", "nested");
    vz_json_field_str(&w, "dynamic", "false");
    vz_json_key(&w, "properties");
    vz_json_begin_object(&w);
    vz_json_key(&w, "embeddings");
    vz_json_begin_object(&w);
    vz_json_field_str(&w, "type", "dense_vector");
    vz_json_field_int(&w, "dims", node->field.dims);
    vz_json_field_string(&w, "similarity", similarity.len ? similarity : VZ_SLICE("cosine"));
    print_options(node, &w);
    if (node->field.model.len || node->field.model_digest.len) {
        vz_json_key(&w, "meta");
        vz_json_begin_object(&w);
        vz_json_field_string(&w, "model", node->field.model);
        vz_json_field_string(&w, "model_digest", node->field.model_digest);
        vz_json_end_object(&w);
    }
    vz_json_end_object(&w);
    vz_json_end_object(&w);
    vz_json_end_object(&w);
    vz_json_end_object(&w);
    vz_buf_deinit(&name);
    vz_arena_deinit(&arena);
}

static uint16_t find_vectors(const struct vz_mapping *mapping, const struct vz_field *field)
{
    struct vz_buf path = {0};
    uint64_t id;
    vz_buf_printf(&path, "%s.%.*s.embeddings", VZ_INFERENCE_FIELDS, (int)field->path.len,
                  field->path.ptr);
    bool found = vz_strmap_get(&mapping->by_path, vz_buf_slice(&path), &id);
    vz_buf_deinit(&path);
    return found ? (uint16_t)id : VZ_NO_FIELD;
}

static enum vz_status make_hidden(struct vz_mapping *mapping, size_t at, struct vz_error *err)
{
    struct vz_buf text = {0};
    struct vz_json_doc *doc;
    struct vz_json body;
    print_hidden(&mapping->nodes[at], &text);
    enum vz_status status = vz_json_parse(vz_buf_slice(&text), &doc, &body, err);
    if (status == VZ_OK) {
        status = vz_mapping_merge_properties(mapping, VZ_NO_FIELD, body, err);
        vz_json_free(doc);
    }
    vz_buf_deinit(&text);
    return status;
}

enum vz_status vz_mapping_resolve_semantic(struct vz_mapping *mapping, bool make,
                                           struct vz_error *err)
{
    enum vz_status status = VZ_OK;
    size_t count = mapping->count;
    mapping->semantics = 0;
    for (size_t i = 0; status == VZ_OK && i < count; i++) {
        struct vz_field *field = &mapping->nodes[i].field;
        if (field->type != VZ_FIELD_SEMANTIC_TEXT)
            continue;
        mapping->semantics +=
            vz_hash(field->path, 1) | 1; /* its model may be settled on first use */
        if (field->under_nested)
            return vz_mapping_fault(err, "semantic_text field [%.*s] cannot be nested",
                                    (int)field->path.len, field->path.ptr);
        if (mapping->nodes[i].first_child != VZ_NO_FIELD)
            return vz_mapping_fault(err, "semantic_text field [%.*s] does not support multi-fields",
                                    (int)field->path.len, field->path.ptr);
        if (make && field->dims)
            status = make_hidden(mapping, i, err);
        field->vectors = find_vectors(mapping, field);
    }
    return status;
}

enum vz_status vz_mapping_refuse_hidden(struct vz_json properties, struct vz_error *err)
{
    struct vz_json_iter it = vz_json_iterate(properties);
    struct vz_slice key;
    struct vz_json value;
    while (vz_json_type(properties) == VZ_JSON_OBJECT && vz_json_next(&it, &key, &value)) {
        const struct vz_field field = {.path = key};
        if (vz_field_is_hidden(&field))
            return vz_mapping_fault(err, "Field [%s] is defined more than once",
                                    VZ_INFERENCE_FIELDS);
    }
    return VZ_OK;
}

uint64_t vz_mapping_semantics(const struct vz_mapping *mapping)
{
    return mapping->semantics;
}

/* ---- sources ------------------------------------------------------------------------------ */

size_t vz_mapping_semantic_sources(const struct vz_mapping *mapping, const struct vz_field *field,
                                   struct vz_slice *out, size_t max)
{
    size_t count = 0;
    if (field->is_multi_field)
        out[count++] = mapping->nodes[field->parent].field.path;
    else
        out[count++] = field->path;
    for (size_t i = 0; i < mapping->count; i++) {
        const struct vz_mapping_node *node = &mapping->nodes[i];
        for (size_t c = 0; c < node->copy_to_count && count < max; c++)
            if (vz_slice_eq(node->copy_to[c], field->path))
                out[count++] = node->field.path;
    }
    return count;
}
