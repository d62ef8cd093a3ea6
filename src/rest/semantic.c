/* What a mapping's semantic fields want from models, and what they remember of them.
 *
 * The first document with a text for a field writes into the mapping which endpoint made its
 * vectors and how long they are (model_settings), and the model's digest into its meta; the store
 * makes the hidden fields of it. From then on another model's vectors are refused.
 *
 * Lock: rest->ingest_mutex, as in ingest_model.c: over the second look and the change. */
#include "rest/semantic.h"

#include "ingest/chunk.h"
#include "rest/ml.h"

#include <stdlib.h>

#define MAX_SOURCES 100

/* The field's own settings, else those of its endpoint. */
static struct vz_slice chunking_of(struct vz_rest *rest, const struct vz_field *field,
                                   struct vz_slice endpoint, struct vz_arena *arena)
{
    struct vz_json root, value;
    struct vz_buf text = {0};
    struct vz_slice copy = {0};
    if (field->chunking.len)
        return field->chunking;
    struct vz_json_doc *doc =
        endpoint.len ? vz_ml_blob(rest, VZ_BLOB_ENDPOINT, endpoint, &root) : NULL;
    if (doc && vz_json_get(root, "chunking_settings", &value) &&
        vz_json_type(value) == VZ_JSON_OBJECT) {
        vz_json_print(value, &text);
        copy = vz_arena_copy(arena, vz_buf_slice(&text));
    }
    vz_json_free(doc);
    vz_buf_deinit(&text);
    return copy;
}

static enum vz_status plan_field(struct vz_rest *rest, const struct vz_mapping *mapping,
                                 const struct vz_field *field, struct vz_arena *arena,
                                 struct vz_ingest_semantic *out, struct vz_error *err)
{
    struct vz_slice *sources = vz_arena_alloc(arena, MAX_SOURCES * sizeof *sources);
    struct vz_slice endpoint = field->inference_id;
    struct vz_chunking *chunking;
    size_t count = vz_mapping_semantic_sources(mapping, field, sources, MAX_SOURCES);
    for (size_t i = 0; i < count; i++)
        sources[i] = vz_arena_copy(arena, sources[i]);
    if (!endpoint.len && rest->ingest)
        vz_ingest_default_model(rest->ingest, arena, &endpoint);
    enum vz_status status =
        vz_chunking_new(chunking_of(rest, field, endpoint, arena), &chunking, err);
    if (status != VZ_OK)
        return status;
    *out = (struct vz_ingest_semantic){.path = vz_arena_copy(arena, field->path),
                                       .sources = sources,
                                       .source_count = count,
                                       .inference_id = vz_arena_copy(arena, endpoint),
                                       .digest = vz_arena_copy(arena, field->model_digest),
                                       .chunking = chunking,
                                       .is_known = field->vectors != VZ_NO_FIELD};
    return VZ_OK;
}

enum vz_status vz_semantic_plan(struct vz_rest *rest, const struct vz_mapping *mapping,
                                struct vz_arena *arena, struct vz_ingest_semantic **fields,
                                size_t *count, struct vz_error *err)
{
    size_t all = vz_mapping_count(mapping), found = 0;
    enum vz_status status = VZ_OK;
    *fields = NULL;
    *count = 0;
    for (size_t i = 0; i < all; i++)
        found += vz_mapping_field(mapping, (uint16_t)i)->type == VZ_FIELD_SEMANTIC_TEXT;
    if (found)
        *fields = vz_arena_zalloc(arena, found * sizeof **fields);
    for (size_t i = 0; found && status == VZ_OK && i < all; i++) {
        const struct vz_field *field = vz_mapping_field(mapping, (uint16_t)i);
        if (field->type != VZ_FIELD_SEMANTIC_TEXT)
            continue;
        status = plan_field(rest, mapping, field, arena, &(*fields)[*count], err);
        *count += status == VZ_OK;
    }
    return status;
}

void vz_semantic_plan_deinit(struct vz_ingest_semantic *fields, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        /* The plan owns it; the ingest room only reads. */
        union {
            const struct vz_chunking *from;
            struct vz_chunking *to;
        } chunking = {.from = fields[i].chunking};
        vz_chunking_free(chunking.to);
    }
}

const uint64_t vz_semantic_none = 0;

bool vz_semantic_may_script(struct vz_index *index, struct vz_problem *problem)
{
    struct vz_mapping *mapping = vz_index_mapping(index);
    bool has = false;
    for (size_t i = 0; i < vz_mapping_count(mapping); i++)
        has |= vz_mapping_field(mapping, (uint16_t)i)->type == VZ_FIELD_SEMANTIC_TEXT;
    vz_mapping_release(mapping);
    if (has)
        *problem = (struct vz_problem){
            .status = 400,
            .type = "status_exception",
            .reason = VZ_SLICE("Cannot apply update with a script on indices that contain "
                               "[semantic_text] field(s)")};
    return !has;
}

/* ---- remembering ----------------------------------------------------------------------------- */

static bool refuse(struct vz_call *call, struct vz_ingest_item *item,
                   const struct vz_ingest_mark *mark, const struct vz_field *field)
{
    item->problem = vz_arena_zalloc(call->arena, sizeof *item->problem);
    item->problem->status = 400;
    item->problem->type = "status_exception";
    if (field->dims && field->dims != mark->dims)
        item->problem->reason = vz_call_format(
            call,
            "Incompatible model settings for field [%.*s]. Check that the inference_id is not "
            "using different model settings: it makes vectors of [%u] dimensions, the field has "
            "[%u]",
            VZ_S(mark->path), mark->dims, field->dims);
    else
        item->problem->reason = vz_call_format(
            call,
            "field [%.*s] holds vectors of the model [%.*s]; a vector of the model [%.*s] cannot "
            "be compared with them: reindex into an index with another [inference_id]",
            VZ_S(mark->path), VZ_S(field->model), VZ_S(mark->model));
    return false;
}

/* The definition of the field within the printed properties; NULL: not found. *root: the member of
 * the root that it lies in. */
static struct vz_value *definition_of(struct vz_value *properties, struct vz_slice path,
                                      struct vz_slice *root)
{
    struct vz_value *at = properties, *definition = NULL;
    root->len = 0;
    while (at && path.len) {
        const char *dot = memchr(path.ptr, '.', path.len);
        struct vz_slice name = {path.ptr, dot ? (size_t)(dot - path.ptr) : path.len};
        if (!root->len)
            *root = name;
        definition = vz_value_get(at, name);
        path = dot ? (struct vz_slice){dot + 1, path.len - name.len - 1} : (struct vz_slice){0};
        at = definition ? vz_value_get(definition, VZ_SLICE("properties")) : NULL;
        if (!at && definition)
            at = vz_value_get(definition, VZ_SLICE("fields"));
    }
    return path.len ? NULL : definition;
}

static void put_text(struct vz_arena *arena, struct vz_value *object, const char *key,
                     struct vz_slice text)
{
    vz_value_put(object, vz_slice_from(key), vz_value_string(arena, text));
}

static void complete(struct vz_call *call, struct vz_value *definition,
                     const struct vz_ingest_mark *mark)
{
    struct vz_arena *arena = call->arena;
    struct vz_infer_model model;
    struct vz_value *meta = vz_value_get(definition, VZ_SLICE("meta"));
    if (!vz_value_get(definition, VZ_SLICE("inference_id")) &&
        vz_infer_find(call->rest->infer, mark->model, arena, &model, NULL) == VZ_OK)
        put_text(arena, definition, "inference_id", model.id);
    struct vz_value *settings = vz_value_get(definition, VZ_SLICE("model_settings"));
    if (!settings || settings->type != VZ_VALUE_OBJECT) {
        settings = vz_value_object(arena);
        put_text(arena, settings, "service", VZ_SLICE("elasticsearch"));
        put_text(arena, settings, "task_type", VZ_SLICE("text_embedding"));
        vz_value_put(settings, VZ_SLICE("dimensions"), vz_value_int(arena, mark->dims));
        put_text(arena, settings, "similarity", VZ_SLICE("cosine"));
        put_text(arena, settings, "element_type", VZ_SLICE("float"));
        vz_value_put(definition, VZ_SLICE("model_settings"), settings);
    }
    if (!meta)
        vz_value_put(definition, VZ_SLICE("meta"), meta = vz_value_object(arena));
    put_text(arena, meta, "model", mark->model);
    put_text(arena, meta, "model_digest", vz_slice_from(mark->digest));
}

static enum vz_status put_root(struct vz_index *index, struct vz_arena *arena, struct vz_slice name,
                               struct vz_value *definition, struct vz_error *err)
{
    struct vz_value *properties = vz_value_object(arena);
    vz_value_put(properties, name, definition);
    return vz_ingest_put_properties(index, arena, properties, err);
}

/* *changes: the mapping lacks something. False: the field has another model. */
static bool agrees(const struct vz_field *field, const struct vz_ingest_mark *mark, bool *changes)
{
    *changes = !field->dims || !field->model_digest.len || !field->inference_id.len;
    return (!field->dims || field->dims == mark->dims) &&
           (!field->model_digest.len || vz_slice_is(field->model_digest, mark->digest));
}

bool vz_semantic_remember(struct vz_call *call, struct vz_index *index, struct vz_ingest_item *item,
                          const struct vz_ingest_mark *mark)
{
    bool ok = true, changes = true;
    for (int tries = 0; ok && changes && tries < 2; tries++) {
        struct vz_error err = {0};
        struct vz_value *definition = NULL;
        struct vz_slice root = {0};
        if (tries)
            pthread_mutex_lock(&call->rest->ingest_mutex);
        struct vz_mapping *mapping = vz_index_mapping(index);
        const struct vz_field *field = vz_mapping_find(mapping, mark->path);
        ok = field && field->type == VZ_FIELD_SEMANTIC_TEXT;
        if (ok)
            ok = agrees(field, mark, &changes) || refuse(call, item, mark, field);
        if (ok && changes && tries) {
            struct vz_value *properties = vz_ingest_properties(mapping, call->arena);
            definition = properties ? definition_of(properties, mark->path, &root) : NULL;
            if (definition) {
                complete(call, definition, mark);
                definition = vz_value_get(properties, root);
            }
        }
        vz_mapping_release(mapping);
        if (definition && put_root(index, call->arena, root, definition, &err) != VZ_OK) {
            item->problem = vz_arena_zalloc(call->arena, sizeof *item->problem);
            vz_problem_from(call->arena, &err, VZ_AT_PUT_MAPPING, (struct vz_slice){NULL, 0},
                            vz_index_name(index), vz_index_uuid(index), item->problem);
            ok = false;
        }
        if (tries)
            pthread_mutex_unlock(&call->rest->ingest_mutex);
    }
    return ok || !item->problem;
}
