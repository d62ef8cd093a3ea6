/* query_vector_builder: a question as text, picture, both, or another document's vector, made into
 * a query vector by the field's model. The query room asks through a callback (query/search.h);
 * this is its other side.
 *
 *     {"text_embedding": {"model_id": "...", "model_text": "..."}}
 *     {"embedding": {"inference_id" or "model_id": "...", "input": ..., "timeout": "30s"}}
 *     {"lookup": {"index": "...", "id": "...", "path": "..."}}
 *
 * model_id and inference_id may be left out where the field remembers its model.
 *
 * And the retriever text_similarity_reranker: texts in the order of a question. */
#include "rest/ml.h"

#include "store/elements.h"

#define TIMEOUT_MS 30000
/* While such searches come, none run on network threads: a model takes longer than those may. */
#define SLOW_FOR_NS 5000000000ull

struct asked {
    struct vz_rest *rest;
    uint64_t deadline_ns;
};

static enum vz_status check_members(struct vz_json builder, struct vz_slice kind,
                                    const char *const *known, struct vz_error *err)
{
    struct vz_json_iter it = vz_json_iterate(builder);
    struct vz_slice key;
    struct vz_json value;
    if (vz_json_type(builder) != VZ_JSON_OBJECT)
        return vz_fail(err, VZ_BAD_QUERY, "[%.*s] must be an object", VZ_S(kind));
    while (vz_json_next(&it, &key, &value)) {
        const char *const *name = known;
        while (*name && !vz_slice_is(key, *name))
            name++;
        if (!*name)
            return vz_fail(err, VZ_BAD_QUERY, "[%.*s_query_vector_builder] unknown field [%.*s]",
                           VZ_S(kind), VZ_S(key));
    }
    return VZ_OK;
}

/* The model that was named, else the one the field remembers (by digest first: names change). */
static enum vz_status model_of(struct vz_rest *rest, struct vz_json builder,
                               const struct vz_query_embedder_field *field, struct vz_arena *arena,
                               struct vz_slice *model, struct vz_error *err)
{
    struct vz_slice named = vz_json_string(vz_ml_get(builder, "model_id")), task;
    struct vz_infer_about about;
    if (!named.len)
        named = vz_json_string(vz_ml_get(builder, "inference_id"));
    if (!named.len && field->inference_id.len) {
        vz_ml_endpoint(rest, field->inference_id, arena, model, &task);
        if (!field->model_digest.len ||
            vz_infer_about(rest->infer, *model, arena, &about, NULL) == VZ_OK)
            return VZ_OK;
    }
    if (named.len) {
        vz_ml_endpoint(rest, named, arena, model, &task);
        return VZ_OK;
    }
    *model = field->model;
    if (field->model_digest.len &&
        vz_infer_about(rest->infer, field->model_digest, arena, &about, NULL) == VZ_OK)
        *model = field->model_digest;
    if (model->len)
        return VZ_OK;
    return vz_fail(err, VZ_BAD_QUERY,
                   "[model_id] must be given: field [%.*s] does not remember which model made its "
                   "vectors",
                   VZ_S(field->path));
}

static enum vz_status run(struct asked *asked, const struct vz_infer_request *request,
                          struct vz_arena *arena, const float **vector, size_t *dims,
                          struct vz_slice *model, struct vz_slice *digest, struct vz_error *err)
{
    struct vz_infer_answer answer;
    enum vz_status status = vz_infer_run(asked->rest->infer, request, arena, &answer, err);
    if (status != VZ_OK)
        return status;
    *vector = answer.ones[0].vector;
    *dims = answer.dims;
    *model = answer.model;
    *digest = vz_arena_copy(arena, vz_slice_from(answer.digest));
    return VZ_OK;
}

/* ---- text_embedding ---- */

static enum vz_status text_embedding(struct asked *asked, struct vz_json builder,
                                     const struct vz_query_embedder_field *field,
                                     struct vz_arena *arena, const float **vector, size_t *dims,
                                     struct vz_slice *model, struct vz_slice *digest,
                                     struct vz_error *err)
{
    static const char *const known[] = {"model_id", "model_text", NULL};
    struct vz_json text;
    struct vz_infer_input input = {0};
    struct vz_infer_request request = {.task = VZ_TASK_EMBED,
                                       .inputs = &input,
                                       .count = 1,
                                       .is_query = true,
                                       .deadline_ns = asked->deadline_ns};
    enum vz_status status = VZ_OK;
    text = builder;
    if (!field->is_question)
        status = check_members(builder, VZ_SLICE("text_embedding"), known, err);
    if (status == VZ_OK && !field->is_question &&
        (!vz_json_get(builder, "model_text", &text) || vz_json_type(text) != VZ_JSON_STRING))
        status = vz_fail(err, VZ_BAD_QUERY, "[text_embedding] requires [model_text], a string");
    if (status == VZ_OK)
        status = model_of(asked->rest, builder, field, arena, &request.model, err);
    if (status == VZ_OK && field->is_question && vz_json_type(text) != VZ_JSON_STRING) {
        struct vz_buf printed = {0}; /* match: 7 */
        vz_json_print(text, &printed);
        input.text = vz_arena_copy(arena, vz_buf_slice(&printed));
        vz_buf_deinit(&printed);
    } else if (status == VZ_OK) {
        status = vz_ml_input(asked->rest->infer, text, arena, &input, err);
    }
    if (status == VZ_OK)
        status = run(asked, &request, arena, vector, dims, model, digest, err);
    return status;
}

/* ---- embedding ---- */

/* One input or a list that makes one question. */
static enum vz_status read_parts(struct asked *asked, struct vz_json value, struct vz_arena *arena,
                                 struct vz_infer_request *request, struct vz_error *err)
{
    struct vz_ml_groups groups;
    struct vz_json content;
    if (vz_json_type(value) == VZ_JSON_OBJECT && vz_json_get(value, "content", &content))
        value = content;
    enum vz_status status = vz_ml_groups(asked->rest->infer, value, arena, &groups, err);
    request->inputs = groups.inputs;
    request->count = groups.input_count;
    request->task = groups.input_count == 1 ? VZ_TASK_EMBED : VZ_TASK_COMPOSE;
    if (status == VZ_OK && groups.input_count == 1)
        status = vz_ml_alone(groups.inputs, err);
    return status;
}

static enum vz_status embedding(struct asked *asked, struct vz_json builder,
                                const struct vz_query_embedder_field *field, struct vz_arena *arena,
                                const float **vector, size_t *dims, struct vz_slice *model,
                                struct vz_slice *digest, struct vz_error *err)
{
    static const char *const known[] = {"inference_id", "model_id", "input", "timeout", NULL};
    struct vz_infer_request request = {.is_query = true, .deadline_ns = asked->deadline_ns};
    struct vz_json input, timeout;
    int64_t ms;
    enum vz_status status = check_members(builder, VZ_SLICE("embedding"), known, err);
    if (status == VZ_OK && !vz_json_get(builder, "input", &input))
        status = vz_fail(err, VZ_BAD_QUERY, "[embedding] requires [input]");
    if (status == VZ_OK && vz_json_get(builder, "timeout", &timeout)) {
        if (!vz_time_parse(vz_json_string(timeout), &ms) || ms <= 0)
            status = vz_fail(err, VZ_BAD_QUERY, "[embedding] [timeout] is no time");
        else
            request.deadline_ns = vz_now_ns() + (uint64_t)VZ_MIN(ms, INT64_C(3600000)) * 1000000;
    }
    if (status == VZ_OK)
        status = model_of(asked->rest, builder, field, arena, &request.model, err);
    if (status == VZ_OK)
        status = read_parts(asked, input, arena, &request, err);
    if (status == VZ_OK)
        status = run(asked, &request, arena, vector, dims, model, digest, err);
    return status;
}

/* ---- lookup ---- */

static void field_of(struct vz_index *index, struct vz_slice path, struct vz_arena *arena,
                     struct vz_slice *model, struct vz_slice *digest)
{
    struct vz_mapping *mapping = vz_index_mapping(index);
    const struct vz_field *field = vz_mapping_find(mapping, path);
    if (field) {
        *model = vz_arena_copy(arena, field->model);
        *digest = vz_arena_copy(arena, field->model_digest);
    }
    vz_mapping_release(mapping);
}

/* A vector that was sent as hex or base64, as numbers; a bit field's are bytes. */
static enum vz_status read_text(struct vz_index *index, struct vz_slice path, struct vz_slice text,
                                struct vz_arena *arena, const float **vector, size_t *dims,
                                struct vz_error *err)
{
    struct vz_given_vector given;
    struct vz_mapping *mapping = vz_index_mapping(index);
    const struct vz_field *field = vz_mapping_find(mapping, path);
    enum vz_status status =
        field && field->type == VZ_FIELD_DENSE_VECTOR
            ? vz_vector_of_text(field, text, arena, &given, err)
            : vz_fail(err, VZ_BAD_QUERY, "[lookup] [%.*s] is no vector", VZ_S(path));
    if (status == VZ_OK) {
        bool is_float = vz_element_is_float(field->element);
        *dims = is_float || field->element != VZ_ELEMENT_BIT ? given.dims : given.dims / 8;
        float *out = vz_arena_alloc(arena, *dims * sizeof *out);
        for (size_t i = 0; i < *dims; i++)
            out[i] = is_float ? given.floats[i] : (float)given.bytes[i];
        *vector = out;
    }
    vz_mapping_release(mapping);
    return status;
}

/* The numbers at a path of a document; a field with several vectors has no one vector. */
static enum vz_status read_vector(struct vz_index *index, struct vz_slice source,
                                  struct vz_slice path, struct vz_slice id, struct vz_arena *arena,
                                  const float **vector, size_t *dims, struct vz_error *err)
{
    struct vz_json_doc *doc;
    struct vz_json root, value;
    enum vz_status status = vz_json_parse(source, &doc, &root, err);
    if (status != VZ_OK)
        return status;
    char *name = vz_arena_strdup(arena, path);
    if (!vz_json_get_path(root, name, &value))
        value = (struct vz_json){0};
    if (vz_json_type(value) == VZ_JSON_STRING) {
        status = read_text(index, path, vz_json_string(value), arena, vector, dims, err);
    } else if (vz_json_type(value) != VZ_JSON_ARRAY || !vz_json_count(value)) {
        status = vz_fail(err, VZ_BAD_QUERY, "[lookup] document [%.*s] has no vector at [%s]",
                         VZ_S(id), name);
    } else {
        size_t count = vz_json_count(value);
        float *out = vz_arena_alloc(arena, count * sizeof *out);
        status = vz_json_floats(value, out, count, dims, err);
        *vector = out;
    }
    vz_json_free(doc);
    return status;
}

static enum vz_status lookup(struct asked *asked, struct vz_json builder,
                             const struct vz_query_embedder_field *field, struct vz_arena *arena,
                             const float **vector, size_t *dims, struct vz_slice *model,
                             struct vz_slice *digest, struct vz_error *err)
{
    static const char *const known[] = {"index", "id", "path", "routing", NULL};
    struct vz_problem problem = {0};
    struct vz_stored_doc doc;
    enum vz_status status = check_members(builder, VZ_SLICE("lookup"), known, err);
    if (status != VZ_OK)
        return status;
    struct vz_slice name = vz_json_string(vz_ml_get(builder, "index"));
    struct vz_slice id = vz_json_string(vz_ml_get(builder, "id"));
    struct vz_slice path = vz_json_string(vz_ml_get(builder, "path"));
    if (!id.len)
        return vz_fail(err, VZ_BAD_QUERY, "[lookup] requires [id]");
    if (!name.len)
        name = field->index;
    if (!path.len)
        path = field->path;
    struct vz_index *index = vz_resolve_one(asked->rest->store, arena, name, &problem);
    if (!index)
        return vz_fail(err, VZ_NOT_FOUND, "[lookup] %.*s", VZ_S(problem.reason));
    status = vz_index_get(index, id, VZ_DOC_SOURCE, arena, &doc, err);
    if (status == VZ_NOT_FOUND)
        vz_fail(err, status, "[lookup] document [%.*s] not found in index [%.*s]", VZ_S(id),
                VZ_S(name));
    if (status == VZ_OK)
        status = read_vector(index, doc.source, path, id, arena, vector, dims, err);
    if (status == VZ_OK)
        field_of(index, path, arena, model, digest);
    vz_index_release(index);
    return status;
}

/* ---- the callback ---- */

static enum vz_status embed(void *context, struct vz_slice kind, struct vz_json builder,
                            const struct vz_query_embedder_field *field, struct vz_arena *arena,
                            const float **vector, size_t *dims, struct vz_slice *model,
                            struct vz_slice *digest, struct vz_error *err)
{
    struct asked *asked = context;
    enum vz_status status;
    *model = *digest = (struct vz_slice){0};
    if (vz_slice_is(kind, "lookup"))
        return lookup(asked, builder, field, arena, vector, dims, model, digest, err);
    bool is_text = vz_slice_is(kind, "text_embedding");
    if (!is_text && !vz_slice_is(kind, "embedding"))
        return vz_fail(err, VZ_BAD_QUERY, "unknown field [%.*s]", VZ_S(kind));
    if (!asked->rest->infer)
        return vz_fail(err, VZ_UNSUPPORTED, "this process runs no models");
    atomic_store_explicit(&asked->rest->searches_slow_until_ns, vz_now_ns() + SLOW_FOR_NS,
                          memory_order_relaxed);
    status = (is_text ? text_embedding : embedding)(asked, builder, field, arena, vector, dims,
                                                    model, digest, err);
    return vz_ml_search_error(status, err);
}

/* ---- text_similarity_reranker ---- */

/* Each text's number against the question: of the model that was named, or behind the endpoint. */
static enum vz_status rerank(void *context, struct vz_slice inference_id, struct vz_slice question,
                             const struct vz_slice *texts, size_t count, float *scores,
                             struct vz_error *err)
{
    struct asked *asked = context;
    struct vz_arena arena = {0};
    struct vz_slice task;
    struct vz_infer_answer answer;
    struct vz_infer_request request = {.task = VZ_TASK_SIMILARITY,
                                       .count = count,
                                       .query = question,
                                       .deadline_ns = asked->deadline_ns};
    if (!asked->rest->infer)
        return vz_fail(err, VZ_UNSUPPORTED, "this process runs no models");
    if (!inference_id.len)
        return vz_fail(err, VZ_BAD_ARGUMENT,
                       "[text_similarity_reranker] [inference_id] must be given: there is no "
                       "default endpoint");
    atomic_store_explicit(&asked->rest->searches_slow_until_ns, vz_now_ns() + SLOW_FOR_NS,
                          memory_order_relaxed);
    struct vz_infer_input *inputs = vz_arena_zalloc(&arena, (count + 1) * sizeof *inputs);
    for (size_t i = 0; i < count; i++)
        inputs[i].text = texts[i];
    request.inputs = inputs;
    vz_ml_endpoint(asked->rest, inference_id, &arena, &request.model, &task);
    enum vz_status status = vz_infer_run(asked->rest->infer, &request, &arena, &answer, err);
    for (size_t i = 0; i < count && status == VZ_OK; i++)
        scores[i] = (float)answer.ones[i].score;
    vz_arena_deinit(&arena);
    return vz_ml_search_error(status, err);
}

void vz_ml_embedder(struct vz_call *call, struct vz_search_params *params)
{
    struct asked *asked = vz_arena_zalloc(call->arena, sizeof *asked);
    struct vz_query_embedder *embedder = vz_arena_zalloc(call->arena, sizeof *embedder);
    asked->rest = call->rest;
    asked->deadline_ns = call->start_ns + (uint64_t)TIMEOUT_MS * 1000000;
    *embedder = (struct vz_query_embedder){.embed = embed, .context = asked};
    params->embedder = embedder;
    struct vz_query_reranker *reranker = vz_arena_zalloc(call->arena, sizeof *reranker);
    *reranker = (struct vz_query_reranker){.rerank = rerank, .context = asked};
    params->reranker = reranker;
}
