/* POST _inference: vectors of texts and pictures, and documents in order of a question. */
#include "rest/ml.h"

#include <stdlib.h>

#define TIMEOUT_MS 30000

struct asked {
    struct vz_slice task, model;
    struct vz_ml_groups groups;
    struct vz_slice query;
    bool is_query, without_prefix, is_composed;
    bool return_documents;
    int64_t top_n; /* 0: all */
};

/* ---- reading ------------------------------------------------------------------------------- */

/* "search" and "ingest" choose the model's prefixes; Elasticsearch's other words mean neither. */
static bool read_input_type(struct vz_call *call, struct vz_slice word, struct asked *asked)
{
    static const char *const others[] = {
        "", "classification", "clustering", "unspecified", "internal_search", "internal_ingest"};
    asked->without_prefix = true;
    if (vz_slice_is(word, "search") || vz_slice_is(word, "ingest") || vz_slice_is(word, "SEARCH") ||
        vz_slice_is(word, "INGEST")) {
        asked->without_prefix = false;
        asked->is_query = (word.ptr[0] | 0x20) == 's';
        return true;
    }
    for (size_t i = 0; i < VZ_COUNT_OF(others); i++)
        if (vz_slice_is(word, others[i]))
            return true;
    return vz_call_fail(call, 400, "status_exception",
                        "unrecognized input_type [%.*s]: it is [search] or [ingest]", VZ_S(word));
}

static void read_task_settings(struct vz_json settings, struct asked *asked)
{
    struct vz_json value;
    if (vz_json_get(settings, "top_n", &value))
        asked->top_n = vz_json_int(value);
    if (vz_json_get(settings, "return_documents", &value))
        vz_json_as_bool(value, &asked->return_documents);
}

/* What a form says beside its inputs. */
struct form {
    struct vz_call *call;
    struct asked *asked;
    struct vz_slice unknown;
    bool bad;
};

static void form_field(void *context, struct vz_slice name, struct vz_slice value)
{
    struct form *form = context;
    if (vz_slice_is(name, "input_type"))
        form->bad |= !read_input_type(form->call, value, form->asked);
    else if (vz_slice_is(name, "compose"))
        form->asked->is_composed = !vz_slice_is(value, "false");
    else if (vz_slice_is(name, "query"))
        form->asked->query = value;
    else
        form->unknown = name;
}

static bool is_form(const struct vz_call *call)
{
    return vz_slice_starts(call->request->content_type, "multipart/form-data");
}

static bool read_form(struct vz_call *call, struct asked *asked)
{
    struct form form = {.call = call, .asked = asked};
    struct vz_error err = {0};
    read_input_type(call, VZ_SLICE(""), asked);
    enum vz_status status =
        vz_ml_multipart(call->rest->infer, call->request->content_type, call->request->body,
                        call->arena, &asked->groups, form_field, &form, &err);
    if (status != VZ_OK)
        return vz_ml_fail(call, &err);
    if (form.unknown.ptr)
        return vz_call_fail(
            call, 400, "illegal_argument_exception",
            "the form's field [%.*s] is neither a file nor input, input_type, query "
            "or compose",
            VZ_S(form.unknown));
    if (asked->is_composed) {
        asked->groups.sizes[0] = asked->groups.input_count;
        asked->groups.count = 1;
    }
    return !form.bad;
}

static bool read_json(struct vz_call *call, struct asked *asked)
{
    static const char *const known[] = {
        "input", "query", "input_type", "task_settings", "return_documents", "top_n"};
    struct vz_json body, input, key_value;
    struct vz_slice key;
    struct vz_error err = {0};
    if (!vz_call_body(call, VZ_AT_BODY, true, &body))
        return false;
    struct vz_json_iter it = vz_json_iterate(body);
    while (vz_json_next(&it, &key, &key_value)) {
        size_t i = 0;
        while (i < VZ_COUNT_OF(known) && !vz_slice_is(key, known[i]))
            i++;
        if (i == VZ_COUNT_OF(known))
            return vz_call_fail(call, 400, "x_content_parse_exception",
                                "[inference_action_request] unknown field [%.*s]", VZ_S(key));
    }
    if (!vz_json_get(body, "input", &input))
        return vz_call_fail(call, 400, "action_request_validation_exception",
                            "Validation Failed: 1: Field [input] cannot be null;");
    read_task_settings(vz_ml_get(body, "task_settings"), asked);
    read_task_settings(body, asked);
    asked->query = vz_json_string(vz_ml_get(body, "query"));
    if (!read_input_type(call, vz_json_string(vz_ml_get(body, "input_type")), asked))
        return false;
    if (vz_ml_groups(call->rest->infer, input, call->arena, &asked->groups, &err) != VZ_OK)
        return vz_ml_fail(call, &err);
    return true;
}

/* Task and model: of an endpoint that was put, or an installed model's own. */
static bool read_path(struct vz_call *call, struct asked *asked)
{
    struct vz_slice task = call->args[1].len ? call->args[0] : (struct vz_slice){"", 0};
    struct vz_slice id = call->args[1].len ? call->args[1] : call->args[0], own;
    struct vz_infer_about about;
    struct vz_error err = {0};
    vz_ml_endpoint(call->rest, id, call->arena, &asked->model, &own);
    if (own.len && task.len && !vz_slice_eq(own, task) && !vz_slice_is(task, "_inference"))
        return vz_call_fail(call, 400, "status_exception",
                            "Incompatible task_type, the requested type [%.*s] does not match the "
                            "model type [%.*s]",
                            VZ_S(task), VZ_S(own));
    enum vz_status status =
        vz_infer_about(call->rest->infer, asked->model, call->arena, &about, &err);
    if (status == VZ_NOT_FOUND && !own.len)
        return vz_call_fail(call, 404, "resource_not_found_exception",
                            "Inference endpoint not found [%.*s]: %s", VZ_S(id), err.text);
    if (status != VZ_OK)
        return vz_ml_fail(call, &err);
    asked->task = task.len ? task : own;
    if (!asked->task.len)
        asked->task = about.task == VZ_TASK_SIMILARITY ? VZ_SLICE("rerank")
                      : about.sees                     ? VZ_SLICE("embedding")
                                                       : VZ_SLICE("text_embedding");
    if (vz_slice_is(asked->task, "text_embedding") || vz_slice_is(asked->task, "embedding") ||
        vz_slice_is(asked->task, "rerank"))
        return true;
    return vz_call_unsupported(call, "inference task type [%.*s] is", VZ_S(asked->task));
}

/* ---- answering ----------------------------------------------------------------------------- */

static void put_vector(struct vz_json_writer *w, const float *vector, size_t dims)
{
    struct vz_buf text = {0};
    vz_json_append_floats(&text, vector, dims);
    vz_json_begin_object(w);
    vz_json_key(w, "embedding");
    vz_json_put_raw(w, vz_buf_slice(&text));
    vz_json_end_object(w);
    vz_buf_deinit(&text);
}

/* Another model was put under this name between two groups: their vectors do not go together. */
static bool model_changed(struct vz_call *call, const struct asked *asked)
{
    return vz_call_fail(call, 409, "status_exception",
                        "the model [%.*s] was replaced while it worked: ask again",
                        VZ_S(asked->model));
}

/* Inputs that stand alone go in one request, each composed group in its own; vectors[group]. */
static bool embed_groups(struct vz_call *call, const struct asked *asked, const float **vectors,
                         uint32_t *dims)
{
    const struct vz_ml_groups *groups = &asked->groups;
    struct vz_infer_input *alone =
        vz_arena_zalloc(call->arena, (groups->count + 1) * sizeof *alone);
    size_t *places = vz_arena_zalloc(call->arena, (groups->count + 1) * sizeof *places);
    struct vz_infer_answer answer;
    struct vz_error err = {0};
    struct vz_infer_request request = {.model = asked->model,
                                       .is_query = asked->is_query,
                                       .without_prefix = asked->without_prefix,
                                       .deadline_ns = vz_ml_deadline(call, TIMEOUT_MS)};
    size_t alone_count = 0;
    for (size_t i = 0, at = 0; i < groups->count; at += groups->sizes[i++]) {
        if (groups->sizes[i] == 1) {
            if (vz_ml_alone(&groups->inputs[at], &err) != VZ_OK)
                return vz_ml_fail(call, &err);
            places[alone_count] = i;
            alone[alone_count++] = groups->inputs[at];
            continue;
        }
        request.task = VZ_TASK_COMPOSE;
        request.inputs = groups->inputs + at;
        request.count = groups->sizes[i];
        if (vz_infer_run(call->rest->infer, &request, call->arena, &answer, &err) != VZ_OK)
            return vz_ml_fail(call, &err);
        vectors[i] = answer.ones[0].vector;
        if (*dims && *dims != answer.dims)
            return model_changed(call, asked);
        *dims = answer.dims;
    }
    request.task = VZ_TASK_EMBED;
    request.inputs = alone;
    request.count = alone_count;
    if (alone_count &&
        vz_infer_run(call->rest->infer, &request, call->arena, &answer, &err) != VZ_OK)
        return vz_ml_fail(call, &err);
    if (alone_count && *dims && *dims != answer.dims)
        return model_changed(call, asked);
    for (size_t i = 0; i < alone_count; i++)
        vectors[places[i]] = answer.ones[i].vector;
    if (alone_count)
        *dims = answer.dims;
    return true;
}

static void embed(struct vz_call *call, const struct asked *asked)
{
    const float **vectors =
        vz_arena_zalloc(call->arena, (asked->groups.count + 1) * sizeof *vectors);
    uint32_t dims = 0;
    if (!embed_groups(call, asked, vectors, &dims))
        return;
    if (!vz_call_fits(call, asked->groups.count * dims * 14))
        return;
    vz_json_begin_object(&call->w);
    vz_json_key(&call->w, vz_slice_is(asked->task, "embedding") ? "embeddings" : "text_embedding");
    vz_json_begin_array(&call->w);
    for (size_t i = 0; i < asked->groups.count; i++)
        put_vector(&call->w, vectors[i], dims);
    vz_json_end_array(&call->w);
    vz_json_end_object(&call->w);
}

struct ranked {
    size_t index;
    double score;
};

static int by_score(const void *a, const void *b)
{
    const struct ranked *x = a, *y = b;
    if (x->score != y->score)
        return x->score < y->score ? 1 : -1;
    return x->index < y->index ? -1 : x->index > y->index;
}

static void rerank(struct vz_call *call, const struct asked *asked)
{
    const struct vz_ml_groups *groups = &asked->groups;
    struct vz_infer_answer answer;
    struct vz_error err = {0};
    for (size_t i = 0; i < groups->count; i++)
        if (groups->sizes[i] != 1) {
            vz_call_fail(call, 400, "illegal_argument_exception",
                         "rerank wants one text an input, input [%zu] has %zu", i,
                         groups->sizes[i]);
            return;
        }
    for (size_t i = 0; i < groups->count; i++)
        if (vz_ml_alone(&groups->inputs[i], &err) != VZ_OK) {
            vz_ml_fail(call, &err);
            return;
        }
    if (!asked->query.len) {
        vz_call_fail(call, 400, "action_request_validation_exception",
                     "Validation Failed: 1: Field [query] cannot be null or empty;");
        return;
    }
    const struct vz_infer_request request = {.model = asked->model,
                                             .task = VZ_TASK_SIMILARITY,
                                             .inputs = groups->inputs,
                                             .count = groups->count,
                                             .query = asked->query,
                                             .deadline_ns = vz_ml_deadline(call, TIMEOUT_MS)};
    if (vz_infer_run(call->rest->infer, &request, call->arena, &answer, &err) != VZ_OK) {
        vz_ml_fail(call, &err);
        return;
    }
    struct ranked *order = vz_arena_zalloc(call->arena, (answer.count + 1) * sizeof *order);
    for (size_t i = 0; i < answer.count; i++)
        order[i] = (struct ranked){i, answer.ones[i].score};
    qsort(order, answer.count, sizeof *order, by_score);
    size_t count = asked->top_n > 0 ? VZ_MIN(answer.count, (size_t)asked->top_n) : answer.count;
    vz_json_begin_object(&call->w);
    vz_json_key(&call->w, "rerank");
    vz_json_begin_array(&call->w);
    for (size_t i = 0; i < count; i++) {
        vz_json_begin_object(&call->w);
        vz_json_field_int(&call->w, "index", (int64_t)order[i].index);
        vz_json_key(&call->w, "relevance_score");
        vz_json_put_float(&call->w, (float)order[i].score);
        if (asked->return_documents)
            vz_json_field_string(&call->w, "text", groups->inputs[order[i].index].text);
        vz_json_end_object(&call->w);
    }
    vz_json_end_array(&call->w);
    vz_json_end_object(&call->w);
}

void vz_rest_inference_run(struct vz_call *call)
{
    struct asked asked = {0};
    if (!vz_ml_there(call) || !read_path(call, &asked))
        return;
    /* An endpoint's own task_settings come first, the request's over them. */
    struct vz_slice id = call->args[1].len ? call->args[1] : call->args[0];
    struct vz_json kept;
    struct vz_json_doc *doc = vz_ml_blob(call->rest, VZ_BLOB_ENDPOINT, id, &kept);
    if (doc)
        read_task_settings(vz_ml_get(kept, "task_settings"), &asked);
    vz_json_free(doc);
    if (!(is_form(call) ? read_form(call, &asked) : read_json(call, &asked)))
        return;
    if (vz_slice_is(asked.task, "rerank"))
        rerank(call, &asked);
    else
        embed(call, &asked);
}
