/* Vector fields remember the model that made their vectors.
 *
 * A model's vectors mean nothing beside another's. The first vector that a model puts into a field
 * writes the model's name and digest into the field's meta; from then on those of another model are
 * refused, by digest, or by name where only that is known. Vectors that clients send are not held
 * against it: where they come from is not told.
 *
 * Lock: rest->ingest_mutex is held over the second look and the change of the mapping, so that two
 * requests do not give one field two models. It is a commit of the mapping under a lock of our own,
 * once in a field's life. */
#include "rest/semantic.h"

#include <stdlib.h>

#define MIN_DYNAMIC_DIMS 128 /* fewer become a list of floats, as the store has it */

static bool refuse(struct vz_call *call, struct vz_ingest_item *item,
                   const struct vz_ingest_mark *mark, const struct vz_field *field)
{
    struct vz_problem *problem = vz_arena_zalloc(call->arena, sizeof *problem);
    problem->status = 400;
    problem->type = "illegal_argument_exception";
    problem->reason = vz_call_format(
        call,
        "field [%.*s] holds vectors of the model [%.*s]; a vector of the model [%.*s] cannot be "
        "compared with them: give it a field of its own",
        VZ_S(mark->path), VZ_S(field->model), VZ_S(mark->model));
    item->problem = problem;
    return false;
}

/* Whether the names mean one model. */
static bool same_name(struct vz_call *call, struct vz_slice a, struct vz_slice b)
{
    struct vz_infer *infer = call->rest->infer;
    struct vz_infer_about one, other;
    if (vz_slice_eq(a, b))
        return true;
    return infer && vz_infer_about(infer, a, call->arena, &one, NULL) == VZ_OK &&
           vz_infer_about(infer, b, call->arena, &other, NULL) == VZ_OK &&
           vz_slice_eq(one.name, other.name);
}

static bool same_model(struct vz_call *call, const struct vz_field *field,
                       const struct vz_ingest_mark *mark)
{
    if (field->model_digest.len && mark->digest[0])
        return vz_slice_is(field->model_digest, mark->digest);
    return same_name(call, field->model, mark->model);
}

/* The definition of the field as GET _mapping shows it, with the model in its meta, inside the
 * objects it lies in. NULL when it is not found. */
static struct vz_value *with_model(struct vz_arena *arena, struct vz_value *properties,
                                   struct vz_slice path, const struct vz_ingest_mark *mark)
{
    const char *dot = path.len ? memchr(path.ptr, '.', path.len) : NULL;
    struct vz_slice name = {path.ptr, dot ? (size_t)(dot - path.ptr) : path.len};
    struct vz_value *definition = properties ? vz_value_get(properties, name) : NULL;
    if (!definition || definition->type != VZ_VALUE_OBJECT)
        return NULL;
    struct vz_value *out = vz_value_object(arena), *made;
    if (dot) {
        struct vz_value *type = vz_value_get(definition, VZ_SLICE("type"));
        struct vz_value *inner =
            with_model(arena, vz_value_get(definition, VZ_SLICE("properties")),
                       (struct vz_slice){dot + 1, path.len - name.len - 1}, mark);
        if (!inner)
            return NULL;
        made = vz_value_object(arena);
        if (type)
            vz_value_put(made, VZ_SLICE("type"), type);
        vz_value_put(made, VZ_SLICE("properties"), inner);
    } else {
        made = definition;
        struct vz_value *meta = vz_value_get(made, VZ_SLICE("meta"));
        if (!meta)
            vz_value_put(made, VZ_SLICE("meta"), meta = vz_value_object(arena));
        if (!vz_value_get(meta, VZ_SLICE("model")))
            vz_value_put(meta, VZ_SLICE("model"), vz_value_string(arena, mark->model));
        vz_value_put(meta, VZ_SLICE("model_digest"),
                     vz_value_string(arena, vz_slice_from(mark->digest)));
    }
    vz_value_put(out, name, made);
    return out;
}

/* A field that is not there yet, as the store would make it of such a list of numbers. */
static struct vz_value *new_field(struct vz_arena *arena, const struct vz_ingest_mark *mark)
{
    struct vz_value *properties = vz_value_object(arena), *field = vz_value_object(arena),
                    *meta = vz_value_object(arena);
    vz_value_put(field, VZ_SLICE("type"), vz_value_string(arena, VZ_SLICE("dense_vector")));
    vz_value_put(field, VZ_SLICE("dims"), vz_value_int(arena, mark->dims));
    vz_value_put(meta, VZ_SLICE("model"), vz_value_string(arena, mark->model));
    vz_value_put(meta, VZ_SLICE("model_digest"),
                 vz_value_string(arena, vz_slice_from(mark->digest)));
    vz_value_put(field, VZ_SLICE("meta"), meta);
    vz_value_put(properties, mark->path, field);
    return properties;
}

enum vz_status vz_ingest_put_properties(struct vz_index *index, struct vz_arena *arena,
                                        struct vz_value *properties, struct vz_error *err)
{
    struct vz_value *body = vz_value_object(arena);
    struct vz_buf text = {0};
    struct vz_json_doc *doc;
    struct vz_json root;
    vz_value_put(body, VZ_SLICE("properties"), properties);
    vz_value_print(body, &text);
    enum vz_status status = vz_json_parse(vz_buf_slice(&text), &doc, &root, err);
    if (status == VZ_OK) {
        status = vz_index_put_mapping(index, root, err);
        vz_json_free(doc);
    }
    vz_buf_deinit(&text);
    return status;
}

struct vz_value *vz_ingest_properties(const struct vz_mapping *mapping, struct vz_arena *arena)
{
    struct vz_buf text = {0};
    struct vz_json_doc *doc;
    struct vz_json root;
    struct vz_value *properties = NULL;
    vz_mapping_print(mapping, &text);
    if (vz_json_parse(vz_buf_slice(&text), &doc, &root, NULL) == VZ_OK) {
        properties = vz_value_get(vz_value_from(arena, root), VZ_SLICE("properties"));
        vz_json_free(doc);
    }
    vz_buf_deinit(&text);
    return properties;
}

/* Under rest->ingest_mutex. */
static bool remember_locked(struct vz_call *call, struct vz_index *index,
                            struct vz_ingest_item *item, const struct vz_ingest_mark *mark)
{
    struct vz_mapping *mapping = vz_index_mapping(index);
    const struct vz_field *field = vz_mapping_find(mapping, mark->path);
    struct vz_error err = {0};
    struct vz_value *properties = NULL;
    bool ok = true;
    if (field && field->model.len)
        ok = same_model(call, field, mark) || refuse(call, item, mark, field);
    if (ok && field && !field->model_digest.len)
        properties =
            with_model(call->arena, vz_ingest_properties(mapping, call->arena), mark->path, mark);
    else if (!field)
        properties = new_field(call->arena, mark);
    vz_mapping_release(mapping);
    if (!properties || vz_ingest_put_properties(index, call->arena, properties, &err) == VZ_OK)
        return ok;
    item->problem = vz_arena_zalloc(call->arena, sizeof *item->problem);
    vz_problem_from(call->arena, &err, VZ_AT_PUT_MAPPING, (struct vz_slice){NULL, 0},
                    vz_index_name(index), vz_index_uuid(index), item->problem);
    return false;
}

static bool remember_one(struct vz_call *call, struct vz_index *index, struct vz_ingest_item *item,
                         const struct vz_ingest_mark *mark)
{
    struct vz_mapping *mapping = vz_index_mapping(index);
    const struct vz_field *field = vz_mapping_find(mapping, mark->path);
    bool changes = false, ok = true;
    if (field && field->type == VZ_FIELD_SEMANTIC_TEXT) {
        vz_mapping_release(mapping);
        return vz_semantic_remember(call, index, item, mark);
    }
    if (field && field->type == VZ_FIELD_DENSE_VECTOR) {
        ok = !field->model.len || same_model(call, field, mark) || refuse(call, item, mark, field);
        changes = ok && !field->model_digest.len && mark->digest[0];
    } else if (!field) {
        changes =
            mark->dims >= MIN_DYNAMIC_DIMS && vz_mapping_root_dynamic(mapping) == VZ_DYNAMIC_TRUE;
    }
    vz_mapping_release(mapping);
    if (!changes)
        return ok;
    pthread_mutex_lock(&call->rest->ingest_mutex);
    ok = remember_locked(call, index, item, mark);
    pthread_mutex_unlock(&call->rest->ingest_mutex);
    return ok;
}

bool vz_ingest_remember(struct vz_call *call, struct vz_index *index, struct vz_ingest_item *item)
{
    for (const struct vz_ingest_mark *mark = item->marks; mark; mark = mark->next)
        if (!remember_one(call, index, item, mark))
            return false;
    return true;
}
