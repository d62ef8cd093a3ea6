/* `_inference` endpoints: a name for a model and a task. Every installed model has one without
 * being put, under its id and its other names; those that are put are kept in the store. */
#include "rest/ingest.h"
#include "rest/ml.h"
#include "json/value.h"

#include <stdlib.h>

/* The task an installed model has an endpoint for; NULL: none. */
static const char *task_of_model(const struct vz_model_about *about)
{
    switch (about->made_for) {
    case VZ_MADE_TO_EMBED:
        return about->sees ? "embedding" : "text_embedding";
    case VZ_MADE_TO_RANK:
        return "rerank";
    default:
        return NULL;
    }
}

static bool is_task(struct vz_slice task)
{
    return vz_slice_is(task, "text_embedding") || vz_slice_is(task, "embedding") ||
           vz_slice_is(task, "rerank");
}

/* False with a problem for a word that is no task, or one that is not done here. */
static bool check_task(struct vz_call *call, struct vz_slice task)
{
    static const char *const others[] = {"sparse_embedding", "completion", "chat_completion"};
    if (is_task(task))
        return true;
    for (size_t i = 0; i < VZ_COUNT_OF(others); i++)
        if (vz_slice_is(task, others[i]))
            return vz_call_unsupported(call, "inference task type [%.*s] is", VZ_S(task));
    return vz_call_fail(call, 400, "status_exception", "Unknown task_type [%.*s]", VZ_S(task));
}

bool vz_ml_endpoint(struct vz_rest *rest, struct vz_slice inference_id, struct vz_arena *arena,
                    struct vz_slice *model, struct vz_slice *task)
{
    struct vz_json root;
    struct vz_json_doc *doc = vz_ml_blob(rest, VZ_BLOB_ENDPOINT, inference_id, &root);
    *model = inference_id;
    *task = (struct vz_slice){"", 0};
    if (!doc)
        return false;
    struct vz_json settings = vz_ml_get(root, "service_settings");
    *model = vz_arena_copy(arena, vz_json_string(vz_ml_get(settings, "model_id")));
    *task = vz_arena_copy(arena, vz_json_string(vz_ml_get(root, "task_type")));
    vz_json_free(doc);
    return true;
}

/* ---- putting ---- */

/* The arguments of /_inference/{task}/{id} or /_inference/{id}. */
static void read_path(const struct vz_call *call, struct vz_slice *task, struct vz_slice *id)
{
    *task = call->args[1].len ? call->args[0] : (struct vz_slice){"", 0};
    *id = call->args[1].len ? call->args[1] : call->args[0];
}

static bool check_members(struct vz_call *call, struct vz_json object, const char *where,
                          const char *const *known)
{
    struct vz_json_iter it = vz_json_iterate(object);
    struct vz_slice key;
    struct vz_json value;
    while (vz_json_next(&it, &key, &value)) {
        const char *const *name = known;
        while (*name && !vz_slice_is(key, *name))
            name++;
        if (!*name)
            return vz_call_fail(call, 400, "status_exception",
                                "%s contains unknown settings [%.*s]", where, VZ_S(key));
    }
    return true;
}

static bool check_chunking(struct vz_call *call, struct vz_json body)
{
    struct vz_json value;
    struct vz_error err = {0};
    if (!vz_json_get(body, "chunking_settings", &value) || vz_json_type(value) == VZ_JSON_NULL ||
        vz_chunking_check(value, &err) == VZ_OK)
        return true;
    return vz_call_fail(call, 400, "validation_exception", "%s",
                        err.cause[0] ? err.cause : err.text);
}

static bool check_body(struct vz_call *call, struct vz_json body, struct vz_slice *model)
{
    static const char *const members[] = {"service",           "service_settings", "task_settings",
                                          "chunking_settings", "task_type",        NULL};
    static const char *const settings_members[] = {"model_id",
                                                   "num_allocations",
                                                   "num_threads",
                                                   "adaptive_allocations",
                                                   "deployment_id",
                                                   "similarity",
                                                   "dimensions",
                                                   "element_type",
                                                   NULL};
    struct vz_slice service = vz_json_string(vz_ml_get(body, "service"));
    struct vz_json settings = vz_ml_get(body, "service_settings");
    if (!check_members(call, body, "Model configuration", members))
        return false;
    if (!service.len)
        return vz_call_fail(call, 400, "action_request_validation_exception",
                            "Validation Failed: 1: [service] is missing;");
    if (!vz_slice_is(service, "vizsla") && !vz_slice_is(service, "elasticsearch"))
        return vz_call_fail(
            call, 400, "status_exception",
            "Unknown service [%.*s]: this server has [vizsla], the models installed "
            "here",
            VZ_S(service));
    *model = vz_json_string(vz_ml_get(settings, "model_id"));
    if (!model->len)
        *model = vz_json_string(vz_ml_get(settings, "deployment_id"));
    if (!model->len)
        return vz_call_fail(
            call, 400, "action_request_validation_exception",
            "Validation Failed: 1: [service_settings] does not contain the required "
            "setting [model_id];");
    return check_members(call, settings, "[service_settings]", settings_members) &&
           check_chunking(call, body);
}

/* Whether the model has this task at all. */
static bool check_model(struct vz_call *call, struct vz_slice model, struct vz_slice task,
                        struct vz_infer_about *about)
{
    struct vz_error err = {0};
    if (vz_infer_about(call->rest->infer, model, call->arena, about, &err) != VZ_OK)
        return vz_ml_fail(call, &err);
    bool embeds = about->task == VZ_TASK_EMBED;
    bool can = vz_slice_is(task, "rerank")           ? about->task == VZ_TASK_SIMILARITY
               : vz_slice_is(task, "text_embedding") ? embeds && about->reads
                                                     : embeds;
    if (can)
        return true;
    return vz_call_fail(call, 400, "status_exception",
                        "model [%.*s] does not support task type [%.*s]: it is made for [%s]",
                        VZ_S(about->name), VZ_S(task), vz_task_name(about->task));
}

/* What is kept and answered. */
static void print_endpoint(struct vz_json_writer *w, struct vz_slice id, struct vz_slice task,
                           struct vz_json body, struct vz_slice model,
                           const struct vz_infer_about *about)
{
    struct vz_json settings = vz_ml_get(body, "service_settings"), value;
    struct vz_slice service = vz_json_string(vz_ml_get(body, "service"));
    vz_json_begin_object(w);
    vz_json_field_string(w, "inference_id", id);
    vz_json_field_string(w, "task_type", task);
    vz_json_field_string(w, "service", service.len ? service : VZ_SLICE("vizsla"));
    vz_json_key(w, "service_settings");
    vz_json_begin_object(w);
    vz_json_field_string(w, "model_id", model);
    static const char *const numbers[] = {"num_allocations", "num_threads"};
    for (size_t i = 0; i < VZ_COUNT_OF(numbers); i++) {
        value = vz_ml_get(settings, numbers[i]);
        vz_json_field_int(w, numbers[i], vz_json_is_number(value) ? vz_json_int(value) : 1);
    }
    if (vz_json_get(settings, "adaptive_allocations", &value)) {
        vz_json_key(w, "adaptive_allocations");
        vz_json_put_value(w, value);
    }
    if (about->dims) {
        vz_json_field_int(w, "dimensions", about->dims);
        vz_json_field_str(w, "similarity", "cosine");
        vz_json_field_str(w, "element_type", "float");
    }
    vz_json_end_object(w);
    vz_json_key(w, "task_settings");
    if (vz_json_get(body, "task_settings", &value))
        vz_json_put_value(w, value);
    else
        vz_json_put_raw(w, vz_slice_is(task, "rerank") ? VZ_SLICE("{\"return_documents\":true}")
                                                       : VZ_SLICE("{}"));
    bool embeds = vz_slice_is(task, "text_embedding") || vz_slice_is(task, "embedding");
    bool chunks =
        vz_json_get(body, "chunking_settings", &value) && vz_json_type(value) == VZ_JSON_OBJECT;
    if (chunks || embeds)
        vz_json_key(w, "chunking_settings");
    if (chunks)
        vz_json_put_value(w, value);
    else if (embeds)
        vz_json_put_raw(w, VZ_SLICE("{\"strategy\":\"sentence\",\"max_chunk_size\":250,"
                                    "\"sentence_overlap\":1}"));
    vz_json_end_object(w);
}

/* One of the installed models' own endpoints: ids that PUT and DELETE leave alone. */
static bool is_models_own(struct vz_call *call, struct vz_slice id)
{
    struct vz_infer_model model;
    return vz_infer_find(call->rest->infer, id, call->arena, &model, NULL) == VZ_OK &&
           vz_slice_eq(model.id, id);
}

void vz_rest_inference_put(struct vz_call *call)
{
    struct vz_slice task, id, model;
    struct vz_json body, old;
    struct vz_infer_about about = {0};
    struct vz_error err = {0};
    read_path(call, &task, &id);
    if (!vz_ml_there(call) || !vz_ml_check_id(call, "inference_id", id) ||
        !vz_call_body(call, VZ_AT_BODY, true, &body))
        return;
    if (!task.len)
        task = vz_json_string(vz_ml_get(body, "task_type"));
    if (!check_body(call, body, &model))
        return;
    if (!task.len) {
        struct vz_infer_model found;
        if (vz_infer_find(call->rest->infer, model, call->arena, &found, &err) != VZ_OK) {
            vz_ml_fail(call, &err);
            return;
        }
        const char *own = task_of_model(&found.about);
        task = vz_slice_from(own ? own : "");
    }
    if (!check_task(call, task) || !check_model(call, model, task, &about))
        return;
    struct vz_json_doc *doc = vz_ml_blob(call->rest, VZ_BLOB_ENDPOINT, id, &old);
    bool exists = doc || is_models_own(call, id);
    vz_json_free(doc);
    if (exists) {
        vz_call_fail(call, 400, "resource_already_exists_exception",
                     "Inference endpoint [%.*s] already exists", VZ_S(id));
        return;
    }
    struct vz_buf kept = {0};
    struct vz_json_writer w = vz_json_writer_on(&kept);
    print_endpoint(&w, id, task, body, model, &about);
    if (vz_store_put_blob(call->store, VZ_BLOB_ENDPOINT, id, vz_buf_slice(&kept), &err) != VZ_OK)
        vz_call_fail_error(call, &err, VZ_AT_REQUEST);
    else
        vz_json_put_raw(&call->w, vz_buf_slice(&kept));
    vz_buf_deinit(&kept);
}

/* ---- getting ---- */

struct listed {
    struct vz_slice id;
    struct vz_json_doc *doc; /* of one that was put */
    struct vz_json root;
    const struct vz_infer_model *model; /* of an installed model's own */
    const char *task;
};

static int by_id(const void *a, const void *b)
{
    return vz_slice_cmp(((const struct listed *)a)->id, ((const struct listed *)b)->id);
}

static bool wanted(const char *task, struct vz_slice asked)
{
    return !asked.len || vz_slice_is(asked, "_all") || vz_slice_is(asked, task);
}

static size_t list_endpoints(struct vz_call *call, struct vz_slice task, struct vz_slice id,
                             struct listed **out)
{
    struct vz_infer_model *models = NULL;
    struct vz_slice *names;
    size_t model_count = 0, count = 0;
    size_t puts = vz_store_blob_names(call->store, VZ_BLOB_ENDPOINT, call->arena, &names);
    vz_infer_models(call->rest->infer, call->arena, &models, &model_count, NULL);
    *out = vz_arena_zalloc(call->arena, (puts + model_count + 1) * sizeof **out);
    for (size_t i = 0; i < puts; i++) {
        struct listed *item = &(*out)[count];
        *item = (struct listed){.id = names[i]};
        if (!vz_ml_matches(id, names[i]))
            continue;
        item->doc = vz_ml_blob(call->rest, VZ_BLOB_ENDPOINT, names[i], &item->root);
        char *kind =
            vz_arena_strdup(call->arena, vz_json_string(vz_ml_get(item->root, "task_type")));
        if (item->doc && wanted(kind, task))
            count++;
        else
            vz_json_free(item->doc);
    }
    for (size_t i = 0; i < model_count; i++) {
        const char *own = models[i].status == VZ_OK ? task_of_model(&models[i].about) : NULL;
        if (own && vz_ml_matches(id, models[i].id) && wanted(own, task))
            (*out)[count++] = (struct listed){.id = models[i].id, .model = &models[i], .task = own};
    }
    qsort(*out, count, sizeof **out, by_id);
    return count;
}

static void print_own(struct vz_call *call, const struct listed *item)
{
    const struct vz_infer_about about = {.dims = item->model->about.dims};
    print_endpoint(&call->w, item->id, vz_slice_from(item->task), (struct vz_json){0},
                   item->model->id, &about);
}

static bool endpoint_missing(struct vz_call *call, struct vz_slice id)
{
    return vz_call_fail(call, 404, "resource_not_found_exception",
                        "Inference endpoint not found [%.*s]", VZ_S(id));
}

void vz_rest_inference_get(struct vz_call *call)
{
    struct vz_slice task, id;
    struct listed *list;
    read_path(call, &task, &id);
    if (!vz_ml_there(call))
        return;
    /* GET /_inference/{x}: an id; a task type only with an id or _all behind it. */
    size_t count = list_endpoints(call, task, id, &list);
    struct vz_infer_model model; /* by another of its names */
    if (!count && id.len &&
        vz_infer_find(call->rest->infer, id, call->arena, &model, NULL) == VZ_OK)
        count = list_endpoints(call, task, model.id, &list);
    bool pattern = !id.len || vz_slice_is(id, "_all") || memchr(id.ptr, '*', id.len);
    if (!count && !pattern) {
        endpoint_missing(call, id);
        return;
    }
    vz_json_begin_object(&call->w);
    vz_json_key(&call->w, "endpoints");
    vz_json_begin_array(&call->w);
    for (size_t i = 0; i < count; i++) {
        if (list[i].doc)
            vz_json_put_value(&call->w, list[i].root);
        else
            print_own(call, &list[i]);
        vz_json_free(list[i].doc);
    }
    vz_json_end_array(&call->w);
    vz_json_end_object(&call->w);
}

/* ---- updating ---- */

static bool check_update(struct vz_call *call, struct vz_json body)
{
    static const char *const members[] = {"service",   "service_settings",  "task_settings",
                                          "task_type", "chunking_settings", NULL};
    static const char *const settings[] = {"num_allocations", "num_threads", "adaptive_allocations",
                                           NULL};
    struct vz_json value;
    if (!check_members(call, body, "Model configuration", members) ||
        !check_members(call, vz_ml_get(body, "service_settings"), "[service_settings]", settings) ||
        !check_chunking(call, body))
        return false;
    if (!vz_json_get(vz_ml_get(body, "service_settings"), "num_allocations", &value) ||
        (vz_json_is_number(value) && vz_json_int(value) > 0 && vz_json_int(value) <= 1024))
        return true;
    return vz_call_fail(call, 400, "validation_exception",
                        "Validation Failed: 1: [service_settings] Invalid value. "
                        "[num_allocations] must be a positive integer;");
}

/* The members of `from` over those of `to`, one level deep in objects. */
static void lay_over(struct vz_arena *arena, struct vz_value *to, struct vz_json from)
{
    struct vz_json_iter it = vz_json_iterate(from), inner;
    struct vz_slice key, name;
    struct vz_json value, member;
    while (vz_json_next(&it, &key, &value)) {
        struct vz_value *old = vz_value_get(to, key);
        bool both = old && old->type == VZ_VALUE_OBJECT && vz_json_type(value) == VZ_JSON_OBJECT &&
                    !vz_slice_is(key, "chunking_settings");
        inner = vz_json_iterate(value);
        while (both && vz_json_next(&inner, &name, &member))
            vz_value_put(old, name, vz_value_from(arena, member));
        if (!both && !vz_slice_is(key, "task_type") && !vz_slice_is(key, "service"))
            vz_value_put(to, key, vz_value_from(arena, value));
    }
}

void vz_rest_inference_update(struct vz_call *call)
{
    struct vz_slice task, id;
    struct vz_json body, root;
    struct vz_error err = {0};
    read_path(call, &task, &id);
    if (!vz_ml_there(call) || !vz_call_body(call, VZ_AT_BODY, true, &body) ||
        !check_update(call, body))
        return;
    if (!task.len)
        task = vz_json_string(vz_ml_get(body, "task_type"));
    struct vz_json_doc *doc = vz_ml_blob(call->rest, VZ_BLOB_ENDPOINT, id, &root);
    if (!doc) {
        if (is_models_own(call, id))
            vz_call_fail(call, 400, "status_exception",
                         "[%.*s] is the own endpoint of an installed model: put one of another "
                         "name to change its settings",
                         VZ_S(id));
        else
            vz_call_fail(call, 404, "resource_not_found_exception",
                         "The inference endpoint [%.*s] does not exist and cannot be updated",
                         VZ_S(id));
        return;
    }
    struct vz_value *kept = vz_value_from(call->arena, root);
    vz_json_free(doc);
    const struct vz_value *own = vz_value_get(kept, VZ_SLICE("task_type"));
    if (task.len && own && !vz_slice_eq(task, own->string)) {
        vz_call_fail(call, 400, "status_exception",
                     "The task type [%.*s] does not match the task type [%.*s] of the inference "
                     "endpoint [%.*s]",
                     VZ_S(task), VZ_S(own->string), VZ_S(id));
        return;
    }
    lay_over(call->arena, kept, body);
    struct vz_buf text = {0};
    vz_value_print(kept, &text);
    if (vz_store_put_blob(call->store, VZ_BLOB_ENDPOINT, id, vz_buf_slice(&text), &err) != VZ_OK)
        vz_call_fail_error(call, &err, VZ_AT_REQUEST);
    else
        vz_json_put_raw(&call->w, vz_buf_slice(&text));
    vz_buf_deinit(&text);
}

/* ---- deleting ---- */

static void print_users(struct vz_buf *users, struct vz_json_writer *w)
{
    vz_json_put_raw(w, users->len ? vz_buf_slice(users) : VZ_SLICE("[]"));
}

/* The indices whose semantic fields name the endpoint, as a JSON list. */
static size_t find_users(struct vz_call *call, struct vz_slice id, struct vz_buf *users)
{
    struct vz_slice *names;
    size_t count = vz_store_names(call->store, call->arena, &names), found = 0;
    struct vz_json_writer w = vz_json_writer_on(users);
    vz_json_begin_array(&w);
    for (size_t i = 0; i < count; i++) {
        struct vz_index *index = vz_store_index(call->store, names[i]);
        if (!index)
            continue;
        struct vz_mapping *mapping = vz_index_mapping(index);
        bool uses = false;
        for (size_t f = 0; f < vz_mapping_count(mapping); f++) {
            const struct vz_field *field = vz_mapping_field(mapping, (uint16_t)f);
            uses |= field->type == VZ_FIELD_SEMANTIC_TEXT &&
                    (vz_slice_eq(field->inference_id, id) ||
                     vz_slice_eq(field->search_inference_id, id));
        }
        vz_mapping_release(mapping);
        vz_index_release(index);
        if (uses)
            vz_json_put_string(&w, names[i]);
        found += uses;
    }
    vz_json_end_array(&w);
    return found;
}

/* Whether some processor in a tree of a pipeline's body is an inference of that model. */
static bool infers_by(struct vz_json value, struct vz_slice id, unsigned depth)
{
    struct vz_json_iter it = vz_json_iterate(value);
    struct vz_slice key;
    struct vz_json member, model;
    enum vz_json_type type = vz_json_type(value);
    if (depth > 64 || (type != VZ_JSON_OBJECT && type != VZ_JSON_ARRAY))
        return false;
    while (vz_json_next(&it, type == VZ_JSON_OBJECT ? &key : NULL, &member)) {
        if (type == VZ_JSON_OBJECT && vz_slice_is(key, "inference") &&
            vz_json_type(member) == VZ_JSON_OBJECT && vz_json_get(member, "model_id", &model) &&
            vz_slice_eq(vz_json_string(model), id))
            return true;
        if (infers_by(member, id, depth + 1))
            return true;
    }
    return false;
}

/* The pipelines with a processor that names the endpoint: a JSON list, and "a, b". */
static size_t find_pipelines(struct vz_call *call, struct vz_slice id, struct vz_buf *users,
                             struct vz_buf *names_text)
{
    struct vz_slice *names;
    size_t count = vz_store_blob_names(call->store, VZ_BLOB_PIPELINE, call->arena, &names);
    size_t found = 0;
    struct vz_json_writer w = vz_json_writer_on(users);
    vz_json_begin_array(&w);
    for (size_t i = 0; i < count; i++) {
        struct vz_json root;
        struct vz_json_doc *doc = vz_ml_blob(call->rest, VZ_BLOB_PIPELINE, names[i], &root);
        if (doc && infers_by(root, id, 0)) {
            vz_json_put_string(&w, names[i]);
            vz_buf_printf(names_text, "%s%.*s", found++ ? ", " : "", VZ_S(names[i]));
        }
        vz_json_free(doc);
    }
    vz_json_end_array(&w);
    return found;
}

void vz_rest_inference_delete(struct vz_call *call)
{
    struct vz_buf users = {0}, pipelines = {0}, pipeline_names = {0}, why = {0};
    struct vz_slice task, id;
    struct vz_json root;
    struct vz_error err = {0};
    read_path(call, &task, &id);
    if (!vz_ml_there(call))
        return;
    struct vz_json_doc *doc = vz_ml_blob(call->rest, VZ_BLOB_ENDPOINT, id, &root);
    bool other =
        doc && task.len && !vz_slice_eq(task, vz_json_string(vz_ml_get(root, "task_type")));
    vz_json_free(doc);
    if (!doc && is_models_own(call, id)) {
        vz_call_fail(call, 400, "status_exception",
                     "[%.*s] is the own endpoint of an installed model; it goes with the model",
                     VZ_S(id));
        return;
    }
    if (!doc || other) {
        endpoint_missing(call, id);
        return;
    }
    bool dry = vz_call_bool(call, "dry_run", false), force = vz_call_bool(call, "force", false);
    size_t count = find_users(call, id, &users);
    size_t piped = find_pipelines(call, id, &pipelines, &pipeline_names);
    if (piped && !dry && !force)
        vz_buf_printf(&why,
                      "Inference endpoint %.*s is referenced by pipelines: [%.*s]. Ensure that no "
                      "pipelines are using this inference endpoint, or use force to ignore this "
                      "warning and delete the inference endpoint.",
                      VZ_S(id), VZ_S(vz_buf_slice(&pipeline_names)));
    if (count && !dry && !force)
        vz_buf_printf(&why,
                      " Inference endpoint %.*s is being used in the mapping for indexes: %.*s. "
                      "Ensure that no index mappings are using this inference endpoint, or use "
                      "force to ignore this warning and delete the inference endpoint.",
                      VZ_S(id), VZ_S(vz_buf_slice(&users)));
    if (why.len)
        vz_call_fail(call, 409, "status_exception", "%.*s", VZ_S(vz_buf_slice(&why)));
    else if (!dry && vz_store_delete_blob(call->store, VZ_BLOB_ENDPOINT, id, &err) != VZ_OK)
        vz_call_fail_error(call, &err, VZ_AT_REQUEST);
    if (!call->problem.status) {
        vz_json_begin_object(&call->w);
        vz_json_field_bool(&call->w, "acknowledged", !dry);
        vz_json_key(&call->w, "pipelines");
        print_users(&pipelines, &call->w);
        vz_json_key(&call->w, "indexes");
        print_users(&users, &call->w);
        vz_json_end_object(&call->w);
    }
    vz_buf_deinit(&users);
    vz_buf_deinit(&pipelines);
    vz_buf_deinit(&pipeline_names);
    vz_buf_deinit(&why);
}
