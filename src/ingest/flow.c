/* script, foreach, fail, drop, pipeline. */
#include "ingest/parts.h"

#include <stdlib.h>

/* ---- script ---------------------------------------------------------------------------------- */

struct script_config {
    struct vz_script *script;
    struct vz_slice source;
};

void vz_script_processor_compile(struct vz_config *c, struct vz_processor *processor)
{
    struct script_config *config = processor->config = vz_arena_zalloc(c->arena, sizeof *config);
    struct vz_json value;
    static const char *const names[] = {"source", "inline", "lang", "params", "id"};
    for (size_t i = 0; i < VZ_COUNT_OF(names); i++)
        vz_config_has(c, names[i], &value);
    config->script = vz_config_script(c, c->object, NULL, &config->source);
}

VZ_KIND_RUN(script_processor)
{
    const struct script_config *config = processor->config;
    struct vz_value *out;
    /* What the script makes becomes part of the document: the document's arena. */
    const struct vz_script_run one = {.arena = doc->arena, .ctx = doc->ctx};
    enum vz_status status = vz_script_run(config->script, &one, &out, err);
    if (status == VZ_OK)
        status = vz_doc_check(doc, err);
    if (status != VZ_OK)
        doc->kind = VZ_INGEST_SCRIPT;
    return status;
}

/* ---- fail, drop ------------------------------------------------------------------------------ */

void vz_fail_compile(struct vz_config *c, struct vz_processor *processor)
{
    processor->config = vz_config_template(c, "message", true);
}

VZ_KIND_RUN(fail)
{
    struct vz_slice message;
    enum vz_status status = vz_template_render(processor->config, doc, &message, err);
    if (status != VZ_OK)
        return status;
    doc->kind = VZ_INGEST_FAILED;
    return vz_fail(err, VZ_BAD_ARGUMENT, "%.*s", VZ_S(message));
}

void vz_drop_compile(struct vz_config *c, struct vz_processor *processor)
{
    processor->config = NULL;
}

VZ_KIND_RUN(drop)
{
    doc->dropped = true;
    return VZ_OK;
}

/* ---- foreach --------------------------------------------------------------------------------- */

struct foreach {
    struct vz_slice field;
    struct vz_processors inner; /* one */
    bool ignore_missing;
};

void vz_foreach_compile(struct vz_config *c, struct vz_processor *processor)
{
    struct foreach *loop = processor->config = vz_arena_zalloc(c->arena, sizeof *loop);
    struct vz_json value;
    loop->field = vz_config_text(c, "field");
    loop->ignore_missing = vz_config_bool(c, "ignore_missing", false);
    if (c->status != VZ_OK)
        return;
    if (!vz_config_has(c, "processor", &value)) {
        vz_config_fail(c, "processor", "required property is missing");
        return;
    }
    if (vz_json_type(value) != VZ_JSON_OBJECT) {
        vz_config_fail(c, "processor", "property isn't a map, but of type [%s]",
                       vz_java_type_of_json(value));
        return;
    }
    if (vz_json_count(value) != 1) {
        vz_config_fail(c, "processor", "Must specify exactly one processor type");
        return;
    }
    loop->inner.items = vz_arena_zalloc(c->arena, sizeof *loop->inner.items);
    loop->inner.count = 1;
    vz_processor_compile(c, value, loop->inner.items);
}

/* Runs the inner processor with _ingest._value (and _key); gives what the value became. */
static enum vz_status each(const struct foreach *loop, struct vz_run *run,
                           struct vz_ingest_doc *doc, struct vz_slice *key, struct vz_value **value,
                           struct vz_error *err)
{
    struct vz_slice value_name = VZ_SLICE("_value"), key_name = VZ_SLICE("_key");
    struct vz_value *outer = vz_value_remove(doc->ingest, value_name);
    struct vz_value *outer_key = key ? vz_value_remove(doc->ingest, key_name) : NULL;
    vz_value_put(doc->ingest, value_name, *value);
    if (key)
        vz_value_put(doc->ingest, key_name, vz_value_string(doc->arena, *key));
    vz_processors_run(&loop->inner, run, &doc, 1);
    struct vz_value *became = vz_value_remove(doc->ingest, value_name);
    *value = became ? became : vz_value_null(doc->arena);
    if (key) {
        struct vz_value *new_key = vz_value_remove(doc->ingest, key_name);
        if (new_key && new_key->type == VZ_VALUE_STRING)
            *key = new_key->string;
    }
    if (outer)
        vz_value_put(doc->ingest, value_name, outer);
    if (outer_key)
        vz_value_put(doc->ingest, key_name, outer_key);
    if (doc->status == VZ_OK)
        return VZ_OK;
    *err = doc->error;
    doc->status = VZ_OK; /* the caller leaves it in the document again */
    return err->status;
}

VZ_KIND_RUN(foreach)
{
    const struct foreach *loop = processor->config;
    struct vz_value *list, *made;
    enum vz_status status = vz_path_get(doc, loop->field, &list, err);
    if (status != VZ_OK)
        return loop->ignore_missing && status == VZ_BAD_ARGUMENT ? VZ_OK : status;
    if (list->type == VZ_VALUE_NULL && loop->ignore_missing)
        return VZ_OK;
    if (list->type == VZ_VALUE_NULL)
        return vz_fail(err, VZ_BAD_ARGUMENT, "field [%.*s] is null, cannot loop over its elements.",
                       VZ_S(loop->field));
    bool is_map = list->type == VZ_VALUE_OBJECT;
    if (!is_map && list->type != VZ_VALUE_ARRAY)
        return vz_fail(err, VZ_BAD_ARGUMENT,
                       "field [%.*s] of type [%s] cannot be cast to a list or map",
                       VZ_S(loop->field), vz_java_type(list));
    const struct vz_ingest_trace *trace = run->trace;
    run->trace = NULL; /* as in Elasticsearch the steps within are not told */
    size_t count = is_map ? list->object.count : list->array.count;
    made = is_map ? vz_value_object(doc->arena) : vz_value_array(doc->arena);
    /* A list of its own: the inner processor may change the field that is looped over, or put it
     * into one of its elements. */
    list = count == 0 ? list : vz_value_copy(doc->arena, list);
    for (size_t i = 0; status == VZ_OK && !doc->dropped && i < count; i++) {
        struct vz_value *value = NULL;
        struct vz_slice key = {NULL, 0};
        value = is_map ? list->object.members[i].value : list->array.items[i];
        if (is_map)
            key = list->object.members[i].key;
        status = each(loop, run, doc, is_map ? &key : NULL, &value, err);
        if (status != VZ_OK)
            break;
        if (is_map)
            vz_value_put(made, key, value);
        else
            vz_value_append(made, value);
    }
    run->trace = trace;
    if (status != VZ_OK || doc->dropped)
        return status;
    return vz_path_set(doc, loop->field, made, err);
}

/* ---- pipeline -------------------------------------------------------------------------------- */

struct call {
    struct vz_template *name;
    bool ignore_missing;
};

void vz_pipeline_processor_compile(struct vz_config *c, struct vz_processor *processor)
{
    struct call *call = processor->config = vz_arena_zalloc(c->arena, sizeof *call);
    call->name = vz_config_template(c, "name", true);
    call->ignore_missing = vz_config_bool(c, "ignore_missing_pipeline", false);
}

static void tell(const struct vz_processor *processor, struct vz_run *run,
                 const struct vz_ingest_doc *doc)
{
    if (!run->trace)
        return;
    bool failed = doc->status != VZ_OK;
    const struct vz_ingest_step step = {.processor = processor->kind->name,
                                        .tag = processor->tag,
                                        .description = processor->description,
                                        .condition = processor->condition_text,
                                        .condition_result = true,
                                        .outcome = !failed ? VZ_OUTCOME_SUCCESS
                                                   : processor->ignore_failure
                                                       ? VZ_OUTCOME_ERROR_IGNORED
                                                       : VZ_OUTCOME_ERROR,
                                        .without_doc = !failed,
                                        .error = failed ? &doc->error : NULL,
                                        .kind = doc->kind};
    run->trace->step(run->trace->context, &step, doc);
}

static void no_pipeline(const struct vz_processor *processor, struct vz_run *run,
                        struct vz_ingest_doc *doc, struct vz_slice name)
{
    const struct call *call = processor->config;
    if (!call->ignore_missing) {
        doc->status =
            vz_fail(&doc->error, VZ_BAD_ARGUMENT,
                    "Pipeline processor configured for non-existent pipeline [%.*s]", VZ_S(name));
        doc->kind = VZ_INGEST_STATE;
    }
    tell(processor, run, doc);
}

VZ_KIND_RUN_MANY(pipeline_processor)
{
    const struct call *call = processor->config;
    struct vz_ingest_doc **same = vz_alloc((count + 1) * sizeof *same);
    struct vz_slice *names = vz_alloc((count + 1) * sizeof *names);
    for (size_t i = 0; i < count; i++) {
        struct vz_error err = {.offset = VZ_NO_OFFSET};
        if (vz_template_render(call->name, docs[i], &names[i], &err) != VZ_OK) {
            vz_doc_fail(docs[i], &err);
            tell(processor, run, docs[i]);
        }
    }
    /* Documents that go to the same pipeline go together: mostly all of them. */
    for (size_t i = 0; i < count; i++) {
        if (docs[i]->status != VZ_OK || !names[i].ptr)
            continue;
        struct vz_slice name = names[i];
        struct vz_pipeline *pipeline = vz_ingest_get(run->ingest, name);
        size_t group = 0;
        for (size_t k = i; k < count; k++) {
            if (docs[k]->status != VZ_OK || !names[k].ptr || !vz_slice_eq(names[k], name))
                continue;
            if (k != i)
                names[k].ptr = NULL;
            if (pipeline) {
                same[group++] = docs[k];
                tell(processor, run, docs[k]);
            } else {
                no_pipeline(processor, run, docs[k], name);
            }
        }
        if (pipeline)
            vz_pipeline_run_within(pipeline, run, same, group);
        vz_pipeline_release(pipeline);
    }
    free(same);
    free(names);
}
