/* inference: a model's answer about fields of a document, put into it.
 *
 * Two forms, as in Elasticsearch: "input_output" names each input field and where its answer goes;
 * without it "field_map" says which field is the model's "text_field" and the whole answer goes to
 * "target_field". Our own: a field may hold a picture (a data URI, base64 under a field whose entry
 * says "type": "image", or {"type": "image", "value": ...}). */
#include "ingest/parts.h"

#include <stdlib.h>

#define MAX_FIELDS 50

struct io {
    struct vz_slice input, output;
    struct vz_slice base, name; /* output cut at its last dot; base is empty at the root */
    bool is_image;
};

struct inference {
    struct vz_slice model, target, results_field;
    struct io *fields; /* input_output, or one with only an input */
    size_t count;
    bool whole; /* the form with target_field */
    bool ignore_missing;
    enum vz_task task;
    struct vz_slice query, *labels, template;
    size_t label_count;
    bool multi_label;
    uint32_t top_classes;
};

/* ---- compiling ------------------------------------------------------------------------------- */

static struct vz_slice member_text(struct vz_config *c, struct vz_json object, const char *name,
                                   bool required)
{
    struct vz_json value;
    if (c->status != VZ_OK)
        return (struct vz_slice){NULL, 0};
    if (!vz_json_get(object, name, &value)) {
        if (required)
            vz_config_fail(c, name, "required property is missing");
        return (struct vz_slice){NULL, 0};
    }
    if (vz_json_type(value) != VZ_JSON_STRING) {
        vz_config_fail(c, name, "property isn't a string, but of type [%s]",
                       vz_java_type_of_json(value));
        return (struct vz_slice){NULL, 0};
    }
    return vz_arena_copy(c->arena, vz_json_string(value));
}

static void read_io(struct vz_config *c, struct vz_json object, struct io *io)
{
    if (vz_json_type(object) != VZ_JSON_OBJECT) {
        vz_config_fail(c, "input_output",
                       "property isn't a list of maps, but holds a value of "
                       "type [%s]",
                       vz_java_type_of_json(object));
        return;
    }
    struct vz_json_iter it = vz_json_iterate(object);
    struct vz_slice key;
    struct vz_json value;
    while (vz_json_next(&it, &key, &value))
        if (!vz_slice_is(key, "input_field") && !vz_slice_is(key, "output_field") &&
            !vz_slice_is(key, "type"))
            vz_config_fail(c, "input_output", "doesn't support the parameter [%.*s]", VZ_S(key));
    io->input = member_text(c, object, "input_field", true);
    io->output = member_text(c, object, "output_field", true);
    struct vz_slice type = member_text(c, object, "type", false);
    io->is_image = type.ptr && vz_slice_is(type, "image");
    if (type.ptr && !io->is_image && !vz_slice_is(type, "text"))
        vz_config_fail(c, "type", "must be [text] or [image], but is [%.*s]", VZ_S(type));
    if (c->status != VZ_OK)
        return;
    const char *dot = memrchr(io->output.ptr, '.', io->output.len);
    size_t base = dot ? (size_t)(dot - io->output.ptr) : 0;
    io->base = (struct vz_slice){io->output.ptr, base};
    io->name = dot ? (struct vz_slice){dot + 1, io->output.len - base - 1} : io->output;
}

static void read_input_output(struct vz_config *c, struct inference *inference,
                              struct vz_json value)
{
    struct vz_json other, item;
    static const char *const against[] = {"target_field", "field_map", "field_mappings"};
    for (size_t i = 0; i < VZ_COUNT_OF(against); i++)
        if (vz_config_has(c, against[i], &other))
            vz_config_fail(c, against[i], "option is incompatible with [input_output]");
    bool list = vz_json_type(value) == VZ_JSON_ARRAY;
    size_t count = list ? vz_json_count(value) : 1;
    if (count == 0)
        vz_config_fail(c, "input_output", "property cannot be empty at least one is required");
    if (count > MAX_FIELDS)
        vz_config_fail(c, "input_output", "holds more than [%d] fields", MAX_FIELDS);
    if (c->status != VZ_OK)
        return;
    inference->fields = vz_arena_zalloc(c->arena, count * sizeof *inference->fields);
    inference->count = count;
    struct vz_json_iter it = vz_json_iterate(value);
    if (!list)
        read_io(c, value, &inference->fields[0]);
    for (size_t i = 0; list && c->status == VZ_OK && vz_json_next(&it, NULL, &item); i++)
        read_io(c, item, &inference->fields[i]);
}

/* Which field of the document the model's "text_field" (or "image_field") is. */
static void read_field_map(struct vz_config *c, struct inference *inference)
{
    struct vz_json map = {0}, value;
    struct vz_slice key;
    inference->whole = true;
    inference->fields = vz_arena_zalloc(c->arena, sizeof *inference->fields);
    inference->count = 1;
    struct io *io = inference->fields;
    io->input = VZ_SLICE("text_field");
    struct vz_slice standard =
        c->tag.len ? vz_slice_from(vz_arena_printf(c->arena, "ml.inference.%.*s", VZ_S(c->tag)))
                   : VZ_SLICE("ml.inference");
    inference->target = vz_config_text_or(c, "target_field", standard.ptr);
    if (c->status != VZ_OK ||
        (!vz_config_has(c, "field_map", &map) && !vz_config_has(c, "field_mappings", &map)))
        return;
    if (vz_json_type(map) != VZ_JSON_OBJECT) {
        vz_config_fail(c, "field_map", "property isn't a map, but of type [%s]",
                       vz_java_type_of_json(map));
        return;
    }
    struct vz_json_iter it = vz_json_iterate(map);
    while (vz_json_next(&it, &key, &value)) {
        bool image = vz_slice_is(vz_json_string(value), "image_field");
        if (!image && !vz_slice_is(vz_json_string(value), "text_field") && vz_json_count(map) > 1)
            continue;
        io->input = vz_arena_copy(c->arena, key);
        io->is_image = image;
    }
}

static void read_labels(struct vz_config *c, struct inference *inference, struct vz_json options)
{
    struct vz_json labels, label;
    if (!vz_json_get(options, "labels", &labels) || vz_json_count(labels) == 0 ||
        vz_json_count(labels) > 1000) {
        vz_config_fail(c, "labels", "zero_shot_classification needs 1 to 1000 labels");
        return;
    }
    inference->labels = vz_arena_alloc(c->arena, vz_json_count(labels) * sizeof *inference->labels);
    struct vz_json_iter it = vz_json_iterate(labels);
    while (vz_json_next(&it, NULL, &label))
        inference->labels[inference->label_count++] =
            vz_arena_copy(c->arena, vz_json_string(label));
    if (vz_json_get(options, "multi_label", &label))
        inference->multi_label = vz_json_bool(label);
    if (vz_json_get(options, "hypothesis_template", &label))
        inference->template = vz_arena_copy(c->arena, vz_json_string(label));
}

static void read_inference_config(struct vz_config *c, struct inference *inference)
{
    static const struct {
        const char *name;
        enum vz_task task;
    } tasks[] = {
        {"text_embedding", VZ_TASK_EMBED},      {"embedding", VZ_TASK_EMBED},
        {"image_embedding", VZ_TASK_EMBED},     {"text_classification", VZ_TASK_CLASSIFY},
        {"classification", VZ_TASK_CLASSIFY},   {"zero_shot_classification", VZ_TASK_ZERO_SHOT},
        {"text_similarity", VZ_TASK_SIMILARITY}};
    struct vz_json config, options, value;
    struct vz_slice name;
    int64_t number;
    if (c->status != VZ_OK || !vz_config_has(c, "inference_config", &config))
        return;
    struct vz_json_iter it = vz_json_iterate(config);
    if (vz_json_type(config) != VZ_JSON_OBJECT || vz_json_count(config) != 1 ||
        !vz_json_next(&it, &name, &options) || vz_json_type(options) != VZ_JSON_OBJECT) {
        vz_config_fail(c, NULL,
                       "inference_config must be an object with one inference type "
                       "mapped to an object.");
        return;
    }
    size_t i = 0;
    while (i < VZ_COUNT_OF(tasks) && !vz_slice_is(name, tasks[i].name))
        i++;
    if (i == VZ_COUNT_OF(tasks)) {
        vz_config_unsupported(c, "inference_config", "the inference type [%.*s] is not supported",
                              VZ_S(name));
        return;
    }
    inference->task = tasks[i].task;
    inference->results_field = member_text(c, options, "results_field", false);
    if (vz_json_get(options, "num_top_classes", &value) && vz_json_as_int(value, &number))
        inference->top_classes = number < 0 ? UINT32_MAX : (uint32_t)VZ_MIN(number, 10000);
    if (inference->task == VZ_TASK_SIMILARITY)
        inference->query = member_text(c, options, "text", true);
    if (inference->task == VZ_TASK_ZERO_SHOT)
        read_labels(c, inference, options);
}

void vz_inference_compile(struct vz_config *c, struct vz_processor *processor)
{
    struct inference *inference = processor->config = vz_arena_zalloc(c->arena, sizeof *inference);
    struct vz_json value;
    inference->model = vz_config_text(c, "model_id");
    inference->ignore_missing = vz_config_bool(c, "ignore_missing", false);
    if (c->status != VZ_OK)
        return;
    if (vz_config_has(c, "input_output", &value))
        read_input_output(c, inference, value);
    else
        read_field_map(c, inference);
    read_inference_config(c, inference);
}

/* ---- answers into documents ------------------------------------------------------------------ */

static struct vz_value *class_list(struct vz_arena *arena, const struct vz_infer_one *one,
                                   size_t count)
{
    struct vz_value *list = vz_value_array(arena);
    for (size_t i = 0; i < one->class_count && i < count; i++) {
        struct vz_value *entry = vz_value_object(arena);
        vz_value_put(entry, VZ_SLICE("class_name"), vz_value_string(arena, one->classes[i].label));
        vz_value_put(entry, VZ_SLICE("class_probability"),
                     vz_value_double(arena, one->classes[i].probability));
        vz_value_put(entry, VZ_SLICE("class_score"),
                     vz_value_double(arena, one->classes[i].probability));
        vz_value_append(list, entry);
    }
    return list;
}

/* The members of an answer, the predicted value under `name`. */
static struct vz_value *answer_of(const struct inference *inference, const struct vz_ask *ask,
                                  const struct vz_ask_about *about, struct vz_slice name,
                                  bool with_model)
{
    struct vz_arena *arena = ask->doc->arena;
    const struct vz_infer_one *one = &ask->one;
    struct vz_value *out = vz_value_object(arena);
    if (one->vector) {
        vz_value_put(out, name, vz_ask_vector(arena, one->vector, about->dims));
    } else if (one->class_count) {
        vz_value_put(out, name, vz_value_string(arena, one->classes[0].label));
        if (inference->top_classes)
            vz_value_put(out, VZ_SLICE("top_classes"),
                         class_list(arena, one, inference->top_classes));
        vz_value_put(out, VZ_SLICE("prediction_probability"),
                     vz_value_double(arena, one->classes[0].probability));
    } else {
        vz_value_put(out, name, vz_value_double(arena, one->score));
    }
    if (one->is_truncated)
        vz_value_put(out, VZ_SLICE("is_truncated"), vz_value_bool(arena, true));
    if (with_model)
        vz_value_put(out, VZ_SLICE("model_id"), vz_value_string(arena, inference->model));
    return out;
}

static enum vz_status put_answer(const struct inference *inference, const struct io *io,
                                 const struct vz_ask *ask, const struct vz_ask_about *about,
                                 struct vz_error *err)
{
    struct vz_ingest_doc *doc = ask->doc;
    enum vz_status status = VZ_OK;
    if (inference->whole) {
        struct vz_slice name =
            inference->results_field.ptr ? inference->results_field : VZ_SLICE("predicted_value");
        struct vz_value *answer = answer_of(inference, ask, about, name, true);
        status = vz_path_set(doc, inference->target, answer, err);
        if (status == VZ_OK && ask->one.vector)
            vz_doc_mark(doc,
                        vz_slice_from(vz_arena_printf(doc->arena, "%.*s.%.*s",
                                                      VZ_S(inference->target), VZ_S(name))),
                        about);
        return status;
    }
    struct vz_value *answer = answer_of(inference, ask, about, io->name, io == inference->fields);
    for (size_t i = 0; status == VZ_OK && i < answer->object.count; i++) {
        const struct vz_value_member *member = &answer->object.members[i];
        struct vz_slice path = member->key;
        if (io->base.len)
            path = vz_slice_from(
                vz_arena_printf(doc->arena, "%.*s.%.*s", VZ_S(io->base), VZ_S(member->key)));
        status = vz_path_set(doc, path, member->value, err);
    }
    if (status == VZ_OK && ask->one.vector)
        vz_doc_mark(doc, io->output, about);
    return status;
}

static void collect(const struct inference *inference, struct vz_run *run,
                    struct vz_ingest_doc *doc, struct vz_ask *asks, size_t *count)
{
    for (size_t i = 0; doc->status == VZ_OK && i < inference->count; i++) {
        const struct io *io = &inference->fields[i];
        struct vz_ask ask = {.doc = doc, .context = &inference->fields[i]};
        struct vz_error err = {.offset = VZ_NO_OFFSET};
        struct vz_value *value;
        bool usable = true;
        enum vz_status status = vz_path_get(doc, io->input, &value, &err);
        bool missing = status != VZ_OK || value->type == VZ_VALUE_NULL;
        if (missing && inference->ignore_missing)
            continue;
        if (missing && (inference->whole || status == VZ_OK))
            status = vz_fail(&err, VZ_BAD_ARGUMENT,
                             "Input field [%.*s] does not exist in the source document",
                             VZ_S(io->input));
        if (status == VZ_OK)
            status = vz_ask_input(run->ingest, value, io->is_image, doc->arena, &ask.input, &usable,
                                  &err);
        if (status == VZ_OK && !usable)
            status = vz_fail(&err, VZ_BAD_ARGUMENT,
                             "field [%.*s] of type [%s] cannot be cast to [java.lang.String]",
                             VZ_S(io->input), vz_java_type(value));
        if (status != VZ_OK)
            vz_doc_fail(doc, &err);
        else
            asks[(*count)++] = ask;
    }
}

VZ_KIND_RUN_MANY(inference)
{
    const struct inference *inference = processor->config;
    struct vz_ask *asks = vz_calloc(count * inference->count + 1, sizeof *asks);
    struct vz_ask_about about;
    struct vz_arena scratch = {0};
    size_t asked = 0;
    for (size_t i = 0; i < count; i++)
        collect(inference, run, docs[i], asks, &asked);
    /* A document with one bad input asks for nothing. */
    for (size_t i = 0; i < asked; i++)
        asks[i].status = asks[i].doc->status;
    const struct vz_infer_request request = {
        .model = inference->model,
        .task = inference->task,
        .query = inference->query,
        .labels = inference->labels,
        .label_count = inference->label_count,
        .multi_label = inference->multi_label,
        .template = inference->template,
        .top_classes =
            inference->top_classes == UINT32_MAX ? 0 : VZ_MAX(inference->top_classes, 1u)};
    vz_ask_all(run->ingest, &request, asks, asked, &scratch, &about);
    for (size_t i = 0; i < asked; i++) {
        struct vz_ask *ask = &asks[i];
        struct vz_error err = {.offset = VZ_NO_OFFSET};
        if (ask->doc->status != VZ_OK)
            continue;
        if (ask->status != VZ_OK)
            vz_doc_fail(ask->doc, &ask->error);
        else if (put_answer(inference, ask->context, ask, &about, &err) != VZ_OK)
            vz_doc_fail(ask->doc, &err);
    }
    free(asks);
    vz_arena_deinit(&scratch);
}
