/* Pipelines: compiled from JSON, kept by id, shared by reference.
 *
 * A pipeline never changes. Replacing one puts another into the set; whoever runs the old one holds
 * a reference and finishes with it. Lock: `struct vz_ingest`'s mutex guards the set alone and is
 * held for a lookup or a swap, never while anything runs or compiles. */
#include "ingest/parts.h"

#include "base/strmap.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

struct vz_ingest {
    struct vz_ingest_options options; /* immutable */
    pthread_mutex_t mutex;
    struct vz_pipeline **items; /* sorted by id; guarded by mutex, as is all below */
    size_t count, capacity;
};

struct vz_infer *vz_ingest_infer(struct vz_ingest *ingest)
{
    return ingest->options.infer;
}

const struct vz_ingest_options *vz_ingest_options_of(const struct vz_ingest *ingest)
{
    return &ingest->options;
}

struct vz_slice vz_ingest_model(struct vz_ingest *ingest, struct vz_slice name,
                                struct vz_arena *arena)
{
    struct vz_slice model = name;
    if (ingest->options.endpoint)
        ingest->options.endpoint(ingest->options.context, name, arena, &model);
    return model;
}

struct vz_ingest *vz_ingest_new(const struct vz_ingest_options *options)
{
    struct vz_ingest *ingest = vz_calloc(1, sizeof *ingest);
    ingest->options = *options;
    pthread_mutex_init(&ingest->mutex, NULL);
    return ingest;
}

void vz_ingest_free(struct vz_ingest *ingest)
{
    if (!ingest)
        return;
    for (size_t i = 0; i < ingest->count; i++)
        vz_pipeline_release(ingest->items[i]);
    free(ingest->items);
    pthread_mutex_destroy(&ingest->mutex);
    free(ingest);
}

struct vz_pipeline *vz_pipeline_acquire(struct vz_pipeline *pipeline)
{
    atomic_fetch_add_explicit(&pipeline->references, 1, memory_order_relaxed);
    return pipeline;
}

void vz_pipeline_release(struct vz_pipeline *pipeline)
{
    if (!pipeline || atomic_fetch_sub_explicit(&pipeline->references, 1, memory_order_acq_rel) != 1)
        return;
    vz_regex_free_all(pipeline->regexes);
    vz_arena_deinit(&pipeline->arena);
    free(pipeline);
}

struct vz_slice vz_pipeline_id(const struct vz_pipeline *pipeline)
{
    return pipeline->id;
}

struct vz_slice vz_pipeline_source(const struct vz_pipeline *pipeline)
{
    return pipeline->source;
}

struct vz_slice vz_pipeline_description(const struct vz_pipeline *pipeline)
{
    return pipeline->description;
}

bool vz_pipeline_version(const struct vz_pipeline *pipeline, int64_t *version)
{
    *version = pipeline->version;
    return pipeline->has_version;
}

/* ---- the set --------------------------------------------------------------------------------- */

/* The first position whose id is not below `id`. */
static size_t position_locked(const struct vz_ingest *ingest, struct vz_slice id, bool *there)
{
    size_t low = 0, high = ingest->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (vz_slice_cmp(ingest->items[middle]->id, id) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    *there = low < ingest->count && vz_slice_eq(ingest->items[low]->id, id);
    return low;
}

void vz_ingest_put(struct vz_ingest *ingest, struct vz_pipeline *pipeline)
{
    struct vz_pipeline *old = NULL;
    bool there;
    pthread_mutex_lock(&ingest->mutex);
    size_t at = position_locked(ingest, pipeline->id, &there);
    if (there) {
        old = ingest->items[at];
    } else {
        if (ingest->count == ingest->capacity) {
            ingest->capacity = ingest->capacity ? ingest->capacity * 2 : 16;
            ingest->items = vz_realloc(ingest->items, ingest->capacity * sizeof *ingest->items);
        }
        memmove(ingest->items + at + 1, ingest->items + at,
                (ingest->count - at) * sizeof *ingest->items);
        ingest->count++;
    }
    ingest->items[at] = pipeline;
    pthread_mutex_unlock(&ingest->mutex);
    vz_pipeline_release(old);
}

bool vz_ingest_remove(struct vz_ingest *ingest, struct vz_slice id)
{
    struct vz_pipeline *old = NULL;
    bool there;
    pthread_mutex_lock(&ingest->mutex);
    size_t at = position_locked(ingest, id, &there);
    if (there) {
        old = ingest->items[at];
        ingest->count--;
        memmove(ingest->items + at, ingest->items + at + 1,
                (ingest->count - at) * sizeof *ingest->items);
    }
    pthread_mutex_unlock(&ingest->mutex);
    vz_pipeline_release(old);
    return there;
}

struct vz_pipeline *vz_ingest_get(struct vz_ingest *ingest, struct vz_slice id)
{
    bool there;
    pthread_mutex_lock(&ingest->mutex);
    size_t at = position_locked(ingest, id, &there);
    struct vz_pipeline *found = there ? vz_pipeline_acquire(ingest->items[at]) : NULL;
    pthread_mutex_unlock(&ingest->mutex);
    return found;
}

size_t vz_ingest_list(struct vz_ingest *ingest, struct vz_arena *arena,
                      struct vz_pipeline ***pipelines)
{
    pthread_mutex_lock(&ingest->mutex);
    size_t count = ingest->count;
    *pipelines = vz_arena_alloc(arena, (count + 1) * sizeof **pipelines);
    for (size_t i = 0; i < count; i++)
        (*pipelines)[i] = vz_pipeline_acquire(ingest->items[i]);
    pthread_mutex_unlock(&ingest->mutex);
    return count;
}

/* ---- compiling ------------------------------------------------------------------------------- */

static enum vz_status check_nesting(struct vz_config *c)
{
    if (++*c->processor_count > VZ_INGEST_MAX_PROCESSORS)
        c->status = vz_fail(c->err, VZ_LIMIT, "pipeline [%.*s] has more than [%d] processors",
                            VZ_S(c->pipeline->id), VZ_INGEST_MAX_PROCESSORS);
    else if (c->depth > VZ_INGEST_MAX_NESTING)
        c->status = vz_fail(c->err, VZ_LIMIT, "processors are nested deeper than [%d]",
                            VZ_INGEST_MAX_NESTING);
    return c->status;
}

/* What every processor may have. */
static void compile_common(struct vz_config *c, struct vz_processor *processor)
{
    struct vz_json value;
    struct vz_slice source = {NULL, 0};
    processor->tag = c->tag = vz_config_text_or(c, "tag", NULL);
    processor->description = vz_config_text_or(c, "description", NULL);
    processor->ignore_failure = vz_config_bool(c, "ignore_failure", false);
    if (c->status == VZ_OK && vz_config_has(c, "if", &value)) {
        processor->condition = vz_config_script(c, value, "if", &source);
        processor->condition_text = source;
    }
    if (c->status != VZ_OK || !vz_config_has(c, "on_failure", &value))
        return;
    if (vz_json_type(value) == VZ_JSON_ARRAY && vz_json_count(value) == 0)
        vz_config_fail(c, "on_failure", "processors list cannot be empty");
    else
        vz_processors_compile(c, value, "on_failure", &processor->on_failure);
}

enum vz_status vz_processor_compile(struct vz_config *parent, struct vz_json object,
                                    struct vz_processor *out)
{
    struct vz_json_iter it = vz_json_iterate(object);
    struct vz_slice name;
    struct vz_json body;
    bool is_known;
    if (vz_json_type(object) != VZ_JSON_OBJECT || vz_json_count(object) != 1)
        return vz_config_fail(parent, NULL,
                              "a processor must be an object with one member, its "
                              "type, but is %s with [%zu] members",
                              vz_json_type_name(object), vz_json_count(object));
    vz_json_next(&it, &name, &body);
    *out = (struct vz_processor){.kind = vz_processor_kind_find(name, &is_known)};
    char *type = vz_arena_strdup(parent->arena, name);
    struct vz_config c = {.pipeline = parent->pipeline,
                          .arena = parent->arena,
                          .type = type,
                          .object = body,
                          .depth = parent->depth + 1,
                          .processor_count = parent->processor_count,
                          .fault = parent->fault,
                          .err = parent->err};
    if (check_nesting(&c) != VZ_OK) {
        /* said already */
    } else if (!out->kind && is_known) {
        vz_config_unsupported(&c, NULL, "the processor [%s] is not supported", type);
    } else if (!out->kind) {
        vz_config_fail(&c, NULL, "No processor type exists with name [%s]", type);
    } else if (vz_json_type(body) == VZ_JSON_STRING && strcmp(type, "script") == 0) {
        struct vz_json nothing = {0};
        c.object = nothing;
        vz_config_unsupported(&c, NULL,
                              "a script as a bare string is not supported; give "
                              "[source]");
    } else if (vz_json_type(body) != VZ_JSON_OBJECT) {
        vz_config_fail(&c, NULL, "property [%s] isn't a map, but of type [%s]", type,
                       vz_java_type_of_json(body));
    } else {
        compile_common(&c, out);
        if (c.status == VZ_OK)
            out->kind->compile(&c, out);
        vz_config_finish(&c);
    }
    return parent->status = c.status;
}

enum vz_status vz_processors_compile(struct vz_config *parent, struct vz_json list,
                                     const char *property, struct vz_processors *out)
{
    if (vz_json_type(list) != VZ_JSON_ARRAY)
        return vz_config_fail(parent, property, "property isn't a list, but of type [%s]",
                              vz_java_type_of_json(list));
    size_t count = vz_json_count(list);
    if (count > VZ_INGEST_MAX_PROCESSORS)
        return parent->status =
                   vz_fail(parent->err, VZ_LIMIT, "pipeline [%.*s] has more than [%d] processors",
                           VZ_S(parent->pipeline->id), VZ_INGEST_MAX_PROCESSORS);
    out->items = vz_arena_zalloc(parent->arena, (count + 1) * sizeof *out->items);
    struct vz_json_iter it = vz_json_iterate(list);
    struct vz_json item;
    while (parent->status == VZ_OK && vz_json_next(&it, NULL, &item))
        vz_processor_compile(parent, item, &out->items[out->count++]);
    return parent->status;
}

static void compile_body(struct vz_config *c)
{
    struct vz_pipeline *pipeline = c->pipeline;
    struct vz_json value;
    pipeline->description = vz_config_text_or(c, "description", NULL);
    if (c->status == VZ_OK && vz_config_has(c, "version", &value)) {
        pipeline->version = vz_config_int(c, "version", 0);
        pipeline->has_version = true;
    }
    if (c->status == VZ_OK && vz_config_has(c, "_meta", &value) &&
        vz_json_type(value) != VZ_JSON_OBJECT)
        vz_config_fail(c, "_meta", "property isn't a map, but of type [%s]",
                       vz_java_type_of_json(value));
    vz_config_bool(c, "deprecated", false);
    if (c->status == VZ_OK && !vz_config_has(c, "processors", &value))
        vz_config_fail(c, "processors", "required property is missing");
    if (c->status == VZ_OK)
        vz_processors_compile(c, value, "processors", &pipeline->processors);
    if (c->status == VZ_OK && vz_config_has(c, "on_failure", &value)) {
        vz_processors_compile(c, value, "on_failure", &pipeline->on_failure);
        if (c->status == VZ_OK && pipeline->on_failure.count == 0)
            vz_config_fail(c, NULL,
                           "pipeline [%.*s] cannot have an empty on_failure option "
                           "defined",
                           VZ_S(pipeline->id));
    }
    vz_config_finish(c);
}

enum vz_status vz_pipeline_compile(struct vz_ingest *ingest, struct vz_slice id,
                                   struct vz_json body, struct vz_pipeline **out,
                                   struct vz_ingest_fault *fault, struct vz_error *err)
{
    struct vz_error unused;
    struct vz_pipeline *pipeline = vz_calloc(1, sizeof *pipeline);
    size_t count = 0;
    atomic_init(&pipeline->references, 1);
    pipeline->ingest = ingest;
    pipeline->id = vz_arena_copy(&pipeline->arena, id);
    if (fault)
        *fault = (struct vz_ingest_fault){0};
    *out = NULL;
    struct vz_config c = {.pipeline = pipeline,
                          .arena = &pipeline->arena,
                          .object = body,
                          .processor_count = &count,
                          .fault = fault,
                          .err = err ? err : &unused};
    *c.err = (struct vz_error){.offset = VZ_NO_OFFSET};
    if (vz_json_type(body) != VZ_JSON_OBJECT)
        vz_config_fail(&c, NULL, "a pipeline must be an object, but is %s",
                       vz_json_type_name(body));
    else
        compile_body(&c);
    if (c.status != VZ_OK) {
        vz_pipeline_release(pipeline);
        return c.status;
    }
    struct vz_buf text = {0};
    vz_json_print(body, &text);
    pipeline->source = vz_arena_copy(&pipeline->arena, vz_buf_slice(&text));
    vz_buf_deinit(&text);
    *out = pipeline;
    return VZ_OK;
}
