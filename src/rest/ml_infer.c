/* POST _ml/trained_models/{id}/_infer: documents in, what the model says of each out. */
#include "rest/ml.h"

#define TIMEOUT_MS 10000
#define MAX_DOCS 10000

struct asked {
    struct vz_infer_request request;
    struct vz_slice results_field;
    int64_t num_top_classes; /* -1: not said */
};

/* Elasticsearch's names of tasks; those without one here are refused aloud. */
static const struct {
    const char *name;
    enum vz_task task;
    bool is_done;
} kinds[] = {
    {"text_embedding", VZ_TASK_EMBED, true},
    {"text_classification", VZ_TASK_CLASSIFY, true},
    {"zero_shot_classification", VZ_TASK_ZERO_SHOT, true},
    {"text_similarity", VZ_TASK_SIMILARITY, true},
    {"ner", VZ_TASK_AUTO, false},
    {"fill_mask", VZ_TASK_AUTO, false},
    {"question_answering", VZ_TASK_AUTO, false},
    {"text_expansion", VZ_TASK_AUTO, false},
    {"pass_through", VZ_TASK_AUTO, false},
    {"regression", VZ_TASK_AUTO, false},
    {"classification", VZ_TASK_AUTO, false},
    {"learning_to_rank", VZ_TASK_AUTO, false},
};

/* ---- inference_config ---------------------------------------------------------------------- */

static bool read_labels(struct vz_call *call, struct vz_json labels, struct asked *asked)
{
    size_t count = vz_json_count(labels), i = 0;
    struct vz_slice *list = vz_arena_zalloc(call->arena, (count + 1) * sizeof *list);
    struct vz_json_iter it = vz_json_iterate(labels);
    struct vz_json item;
    while (vz_json_next(&it, NULL, &item)) {
        if (vz_json_type(item) != VZ_JSON_STRING)
            return vz_call_fail(call, 400, "illegal_argument_exception",
                                "[labels] must be a list of strings");
        list[i++] = vz_arena_copy(call->arena, vz_json_string(item));
    }
    asked->request.labels = list;
    asked->request.label_count = count;
    return true;
}

/* {"bert": {"truncate": "none", "span": -1, ...}}: only what changes an answer is looked at. */
static bool read_tokenization(struct vz_call *call, struct vz_json tokenization,
                              struct asked *asked)
{
    struct vz_json_iter it = vz_json_iterate(tokenization);
    struct vz_json options, span;
    while (vz_json_next(&it, NULL, &options)) {
        struct vz_slice truncate = vz_json_string(vz_ml_get(options, "truncate"));
        asked->request.refuse_long = vz_slice_is(truncate, "none");
        asked->request.cut = vz_slice_is(truncate, "second")  ? VZ_CUT_SECOND
                             : vz_slice_is(truncate, "first") ? VZ_CUT_FIRST
                                                              : VZ_CUT_LONGER;
        if (truncate.len && !asked->request.refuse_long && asked->request.cut == VZ_CUT_LONGER)
            return vz_call_fail(call, 400, "x_content_parse_exception",
                                "[truncate] is none, first or second, not [%.*s]", VZ_S(truncate));
        if (vz_json_get(options, "span", &span) && vz_json_int(span) != -1)
            return vz_call_unsupported(call, "[span] is");
    }
    return true;
}

static bool read_option(struct vz_call *call, struct vz_slice key, struct vz_json value,
                        struct asked *asked)
{
    /* Of a stored configuration; they describe the model and ask nothing. */
    static const char *const known[] = {"vocabulary", "embedding_size", "classification_labels",
                                        "span_score_combination_function"};
    bool is_labels = vz_slice_is(key, "labels") && asked->request.task == VZ_TASK_ZERO_SHOT;
    is_labels |=
        vz_slice_is(key, "classification_labels") && asked->request.task == VZ_TASK_CLASSIFY;
    struct vz_infer_request *r = &asked->request;
    if (vz_slice_is(key, "results_field"))
        asked->results_field = vz_arena_copy(call->arena, vz_json_string(value));
    else if (vz_slice_is(key, "num_top_classes"))
        asked->num_top_classes = vz_json_int(value);
    else if (vz_slice_is(key, "tokenization"))
        return read_tokenization(call, value, asked);
    else if (is_labels)
        return read_labels(call, value, asked);
    else if (vz_slice_is(key, "multi_label") && r->task == VZ_TASK_ZERO_SHOT)
        r->multi_label = vz_json_bool(value);
    else if (vz_slice_is(key, "hypothesis_template") && r->task == VZ_TASK_ZERO_SHOT)
        r->template = vz_arena_copy(call->arena, vz_json_string(value));
    else if (vz_slice_is(key, "text") && r->task == VZ_TASK_SIMILARITY)
        r->query = vz_arena_copy(call->arena, vz_json_string(value));
    else
        for (size_t i = 0; i <= VZ_COUNT_OF(known); i++) {
            if (i == VZ_COUNT_OF(known))
                return vz_call_fail(call, 400, "x_content_parse_exception",
                                    "[inference_config] unknown field [%.*s]", VZ_S(key));
            if (vz_slice_is(key, known[i]))
                break;
        }
    return true;
}

static bool read_config(struct vz_call *call, struct vz_json config, struct asked *asked)
{
    struct vz_json_iter it = vz_json_iterate(config);
    struct vz_slice kind, key;
    struct vz_json options, value;
    if (!vz_json_next(&it, &kind, &options))
        return true;
    size_t i = 0;
    while (i < VZ_COUNT_OF(kinds) && !vz_slice_is(kind, kinds[i].name))
        i++;
    if (i == VZ_COUNT_OF(kinds))
        return vz_call_fail(call, 400, "x_content_parse_exception",
                            "[inference_config] unknown field [%.*s]", VZ_S(kind));
    if (!kinds[i].is_done)
        return vz_call_unsupported(call, "inference with [%.*s] is", VZ_S(kind));
    asked->request.task = kinds[i].task;
    it = vz_json_iterate(options);
    while (vz_json_next(&it, &key, &value))
        if (!read_option(call, key, value, asked))
            return false;
    return true;
}

/* ---- docs ---------------------------------------------------------------------------------- */

/* A document's text or picture: the field the model was put with, or text_field or image_field. */
static bool read_doc(struct vz_call *call, struct vz_json doc, size_t number, struct vz_slice field,
                     struct vz_infer_input *out)
{
    const char *const names[] = {vz_arena_strdup(call->arena, field), "text_field", "image_field"};
    struct vz_json value;
    struct vz_error err = {0};
    for (size_t i = 0; i < VZ_COUNT_OF(names); i++) {
        if (!names[i][0] || !vz_json_get(doc, names[i], &value))
            continue;
        bool bare = i == 2 && vz_json_type(value) == VZ_JSON_STRING &&
                    !vz_slice_starts(vz_json_string(value), "data:");
        enum vz_status status = bare
                                    ? vz_infer_base64(call->rest->infer, vz_json_string(value),
                                                      call->arena, &out->bytes, &err)
                                    : vz_ml_input(call->rest->infer, value, call->arena, out, &err);
        out->is_image |= bare;
        if (status == VZ_OK)
            status = vz_ml_alone(out, &err);
        return status == VZ_OK || vz_ml_fail(call, &err);
    }
    return vz_call_fail(call, 400, "illegal_argument_exception",
                        "[docs] [%zu]: Input field [%s] does not exist in the document", number,
                        field.len ? names[0] : "text_field");
}

static bool read_docs(struct vz_call *call, struct vz_json body, struct vz_slice field,
                      struct asked *asked)
{
    struct vz_json docs, doc;
    bool is_there = vz_json_get(body, "docs", &docs);
    size_t count = is_there ? vz_json_count(docs) : 0;
    if (!count || vz_json_type(docs) != VZ_JSON_ARRAY)
        return vz_call_fail(call, 400, "illegal_argument_exception",
                            "Failed to build [infer_trained_model_request]: [docs] must not be "
                            "empty");
    if (count > MAX_DOCS)
        return vz_call_fail(call, 400, "illegal_argument_exception",
                            "%zu [docs] in one request: the limit is %d", count, MAX_DOCS);
    struct vz_infer_input *inputs = vz_arena_zalloc(call->arena, count * sizeof *inputs);
    struct vz_json_iter it = vz_json_iterate(docs);
    for (size_t i = 0; vz_json_next(&it, NULL, &doc); i++)
        if (!read_doc(call, doc, i, field, &inputs[i]))
            return false;
    asked->request.inputs = inputs;
    asked->request.count = count;
    return true;
}

/* What the model was put with: its input field, its configuration. */
static bool read_stored(struct vz_call *call, struct asked *asked, struct vz_slice *field)
{
    struct vz_infer_model model;
    struct vz_json config, names, name;
    struct vz_error err = {0};
    bool good = true;
    if (vz_infer_find(call->rest->infer, asked->request.model, call->arena, &model, &err) != VZ_OK)
        return true; /* perhaps a deployment; vz_infer_run says */
    struct vz_json_doc *doc = vz_ml_put_config(call->rest, model.id, &config);
    if (!doc)
        return true;
    good = read_config(call, vz_ml_get(config, "inference_config"), asked);
    if (vz_json_get(vz_ml_get(config, "input"), "field_names", &names)) {
        struct vz_json_iter it = vz_json_iterate(names);
        if (vz_json_next(&it, NULL, &name))
            *field = vz_arena_copy(call->arena, vz_json_string(name));
    }
    vz_json_free(doc);
    return good;
}

/* ---- answering ----------------------------------------------------------------------------- */

static void put_classes(struct vz_json_writer *w, const struct vz_infer_one *one, size_t count)
{
    vz_json_key(w, "top_classes");
    vz_json_begin_array(w);
    for (size_t i = 0; i < VZ_MIN(count, one->class_count); i++) {
        vz_json_begin_object(w);
        vz_json_field_string(w, "class_name", one->classes[i].label);
        vz_json_field_double(w, "class_probability", one->classes[i].probability);
        vz_json_field_double(w, "class_score", one->classes[i].probability);
        vz_json_end_object(w);
    }
    vz_json_end_array(w);
}

static void put_result(struct vz_call *call, const struct asked *asked,
                       const struct vz_infer_answer *answer, const struct vz_infer_one *one)
{
    struct vz_json_writer *w = &call->w;
    struct vz_buf floats = {0};
    vz_json_begin_object(w);
    vz_json_key_slice(w, asked->results_field.len ? asked->results_field
                                                  : VZ_SLICE("predicted_value"));
    if (answer->task == VZ_TASK_EMBED) {
        vz_json_append_floats(&floats, one->vector, answer->dims);
        vz_json_put_raw(w, vz_buf_slice(&floats));
    } else if (answer->task == VZ_TASK_SIMILARITY) {
        vz_json_put_double(w, one->score);
    } else {
        size_t top = asked->num_top_classes > 0 ? (size_t)asked->num_top_classes : 0;
        vz_json_put_string(w, one->classes[0].label);
        if (answer->task == VZ_TASK_ZERO_SHOT && asked->num_top_classes < 0)
            top = one->class_count;
        if (top)
            put_classes(w, one, top);
        vz_json_field_double(w, "prediction_probability", one->classes[0].probability);
    }
    if (one->is_truncated)
        vz_json_field_bool(w, "is_truncated", true);
    vz_json_end_object(w);
    vz_buf_deinit(&floats);
}

static bool read_body(struct vz_call *call, struct vz_slice field, struct asked *asked)
{
    static const char *const known[] = {"docs", "inference_config"};
    struct vz_slice key;
    struct vz_json body, config, value;
    if (!vz_call_body(call, VZ_AT_BODY, true, &body))
        return false;
    struct vz_json_iter it = vz_json_iterate(body);
    while (vz_json_next(&it, &key, &value))
        if (!vz_slice_is(key, known[0]) && !vz_slice_is(key, known[1]))
            return vz_call_fail(call, 400, "x_content_parse_exception",
                                "[infer_trained_model_request] unknown field [%.*s]", VZ_S(key));
    return read_docs(call, body, field, asked) &&
           (!vz_json_get(body, "inference_config", &config) || read_config(call, config, asked));
}

/* ---- forms ---------------------------------------------------------------------------------- */

struct form {
    struct vz_slice config, unknown;
};

static void form_field(void *context, struct vz_slice name, struct vz_slice value)
{
    struct form *form = context;
    if (vz_slice_is(name, "inference_config"))
        form->config = value;
    else
        form->unknown = name;
}

/* Files and texts as the parts of an upload; `inference_config` as JSON. */
static bool read_form(struct vz_call *call, struct asked *asked)
{
    struct form form = {0};
    struct vz_ml_groups groups;
    struct vz_json config;
    struct vz_error err = {0};
    if (vz_ml_multipart(call->rest->infer, call->request->content_type, call->request->body,
                        call->arena, &groups, form_field, &form, &err) != VZ_OK)
        return vz_ml_fail(call, &err);
    if (form.unknown.ptr)
        return vz_call_fail(call, 400, "illegal_argument_exception",
                            "the form's field [%.*s] is neither a file nor input or "
                            "inference_config",
                            VZ_S(form.unknown));
    asked->request.inputs = groups.inputs;
    asked->request.count = groups.input_count;
    if (!form.config.len)
        return true;
    if (vz_json_parse(form.config, &call->doc, &config, &err) != VZ_OK)
        return vz_call_fail_error(call, &err, VZ_AT_BODY);
    return read_config(call, config, asked); /* the call frees the document */
}

/* About what the answer will take: labels are the client's, and come back with every document. */
static size_t answer_bytes(const struct vz_infer_answer *answer)
{
    size_t bytes = answer->count * ((size_t)answer->dims + 16) * 14;
    for (size_t i = 0; i < answer->count; i++)
        for (size_t k = 0; k < answer->ones[i].class_count; k++)
            bytes += answer->ones[i].classes[k].label.len + 100;
    return bytes;
}

void vz_rest_ml_infer(struct vz_call *call)
{
    struct asked asked = {.num_top_classes = -1};
    struct vz_slice field = {"", 0};
    struct vz_infer_answer answer;
    struct vz_error err = {0};
    asked.request.model = call->args[0];
    bool is_form = vz_slice_starts(call->request->content_type, "multipart/form-data");
    if (!vz_ml_there(call) || !read_stored(call, &asked, &field) ||
        !(is_form ? read_form(call, &asked) : read_body(call, field, &asked)))
        return;
    asked.request.without_prefix = true;
    asked.request.deadline_ns = vz_ml_deadline(call, TIMEOUT_MS);
    enum vz_status status =
        vz_infer_run(call->rest->infer, &asked.request, call->arena, &answer, &err);
    if (status == VZ_CANCELLED && asked.request.deadline_ns &&
        vz_now_ns() >= asked.request.deadline_ns)
        vz_call_fail(call, 408, "status_exception", "timeout [%.*s] waiting for inference result",
                     VZ_S(vz_call_text(call, "timeout").len ? vz_call_text(call, "timeout")
                                                            : VZ_SLICE("10s")));
    if (status != VZ_OK) {
        vz_ml_fail(call, &err);
        return;
    }
    if (!vz_call_fits(call, answer_bytes(&answer)))
        return;
    vz_json_begin_object(&call->w);
    vz_json_key(&call->w, "inference_results");
    vz_json_begin_array(&call->w);
    for (size_t i = 0; i < answer.count; i++)
        put_result(call, &asked, &answer, &answer.ones[i]);
    vz_json_end_array(&call->w);
    vz_json_end_object(&call->w);
}
