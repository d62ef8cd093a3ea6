/* Trained models: what there is (installed ones and those that were put), statistics, deleting,
 * aliases. */
#include "rest/ml.h"

#include "embed/registry.h"

#include <stdio.h>
#include <stdlib.h>

#define PAGE 100

/* One model as the API lists it: installed, put, or both. */
struct listed {
    struct vz_slice id;
    const struct vz_infer_model *model; /* NULL: put and not installed */
    bool is_put;
};

static int by_id(const void *a, const void *b)
{
    return vz_slice_cmp(((const struct listed *)a)->id, ((const struct listed *)b)->id);
}

/* ---- listing ------------------------------------------------------------------------------- */

static bool has_tags(struct vz_rest *rest, struct vz_slice id, struct vz_slice tags)
{
    struct vz_json config, list, tag;
    if (!tags.len)
        return true;
    struct vz_json_doc *doc = vz_ml_put_config(rest, id, &config);
    bool all = doc && vz_json_get(config, "tags", &list);
    while (all && tags.len) {
        const char *comma = memchr(tags.ptr, ',', tags.len);
        struct vz_slice want = {tags.ptr, comma ? (size_t)(comma - tags.ptr) : tags.len};
        struct vz_json_iter it = vz_json_iterate(list);
        bool found = false;
        while (vz_json_next(&it, NULL, &tag))
            found |= vz_slice_eq(vz_json_string(tag), want);
        all = found;
        size_t skip = comma ? want.len + 1 : want.len;
        tags.ptr += skip;
        tags.len -= skip;
    }
    vz_json_free(doc);
    return all;
}

/* What one pattern of the path means, aliases and other names of a model among them. */
static bool means(struct vz_call *call, struct vz_slice patterns, const struct listed *item)
{
    struct vz_slice *names, *models;
    struct vz_infer_model found;
    if (vz_ml_matches(patterns, item->id))
        return true;
    size_t count = vz_infer_aliases(call->rest->infer, call->arena, &names, &models);
    for (size_t i = 0; i < count; i++)
        if (vz_ml_matches(patterns, names[i]) && vz_slice_eq(models[i], item->id))
            return true;
    return item->model && !memchr(patterns.ptr, ',', patterns.len) &&
           vz_infer_find(call->rest->infer, patterns, call->arena, &found, NULL) == VZ_OK &&
           vz_slice_eq(found.id, item->id);
}

/* All models that the path and ?tags= name, by id; false with a problem. */
static bool list_models(struct vz_call *call, struct listed **out, size_t *count)
{
    struct vz_infer_model *models;
    struct vz_slice *puts, patterns = call->args[0];
    struct vz_error err = {0};
    size_t model_count, all = 0;
    if (vz_infer_models(call->rest->infer, call->arena, &models, &model_count, &err) != VZ_OK)
        return vz_ml_fail(call, &err);
    size_t put_count = vz_store_blob_names(call->store, VZ_BLOB_MODEL, call->arena, &puts);
    struct listed *list =
        vz_arena_zalloc(call->arena, (model_count + put_count + 1) * sizeof *list);
    for (size_t i = 0; i < model_count; i++)
        list[all++] = (struct listed){.id = models[i].id, .model = &models[i]};
    for (size_t i = 0; i < put_count; i++) {
        size_t k = 0;
        while (k < model_count && !vz_slice_eq(list[k].id, puts[i]))
            k++;
        if (k == model_count)
            k = all++;
        list[k].id = puts[i];
        list[k].is_put = true;
    }
    *count = 0;
    for (size_t i = 0; i < all; i++)
        if (means(call, patterns, &list[i]) &&
            has_tags(call->rest, list[i].id, vz_call_text(call, "tags")))
            list[(*count)++] = list[i];
    qsort(list, *count, sizeof *list, by_id);
    *out = list;
    bool pattern =
        !patterns.len || vz_slice_is(patterns, "_all") || memchr(patterns.ptr, '*', patterns.len);
    if (!*count && (!pattern || !vz_call_bool(call, "allow_no_match", true)))
        return vz_call_fail(call, 404, "resource_not_found_exception",
                            "No known trained model with model_id [%.*s]", VZ_S(patterns));
    return true;
}

/* ?from= and ?size=. */
static bool page_of(struct vz_call *call, size_t count, size_t *first, size_t *end)
{
    int64_t from = vz_call_int(call, "from", 0), size = vz_call_int(call, "size", PAGE);
    if (from < 0 || size < 0)
        return vz_call_fail(call, 400, "illegal_argument_exception", "Parameter [%s] cannot be < 0",
                            from < 0 ? "from" : "size");
    *first = VZ_MIN((size_t)from, count);
    *end = VZ_MIN((size_t)size, count - *first) + *first;
    return true;
}

/* ---- a configuration ----------------------------------------------------------------------- */

/* "2026-11-20T12:34:56.789Z" to milliseconds; 0 for others. */
static int64_t parse_iso(struct vz_slice text)
{
    char copy[32] = "";
    int year, month, day, hour, minute, second, ms;
    memcpy(copy, text.ptr ? text.ptr : "", VZ_MIN(text.len, sizeof copy - 1));
    if (sscanf(copy, "%4d-%2d-%2dT%2d:%2d:%2d.%3dZ", &year, &month, &day, &hour, &minute, &second,
               &ms) != 7)
        return 0;
    return ((vz_days_from_civil(year, month, day) * 24 + hour) * 60 + minute) * 60000 +
           second * 1000 + ms;
}

static const char *tokenization_of(struct vz_slice type)
{
    static const char *const kinds[][2] = {{"bert", "bert"},
                                           {"distilbert", "bert"},
                                           {"mpnet", "mpnet"},
                                           {"roberta", "roberta"},
                                           {"clip", "clip"},
                                           {"xlm-roberta", "xlm_roberta"},
                                           {"camembert", "xlm_roberta"}};
    for (size_t i = 0; i < VZ_COUNT_OF(kinds); i++)
        if (vz_slice_is(type, kinds[i][0]))
            return kinds[i][1];
    return NULL;
}

static void put_inference_config(struct vz_json_writer *w, const struct vz_infer_model *m)
{
    static const char *const names[] = {
        [VZ_MADE_TO_EMBED] = "text_embedding",
        [VZ_MADE_TO_CLASSIFY] = "text_classification",
        [VZ_MADE_TO_RANK] = "text_similarity",
        [VZ_MADE_TO_ENTAIL] = "zero_shot_classification",
    };
    const char *tokenization = tokenization_of(m->about.type);
    vz_json_key(w, "inference_config");
    vz_json_begin_object(w);
    vz_json_key(w, names[m->about.made_for]);
    vz_json_begin_object(w);
    if (tokenization) {
        vz_json_key(w, "tokenization");
        vz_json_begin_object(w);
        vz_json_key(w, tokenization);
        vz_json_begin_object(w);
        vz_json_field_bool(w, "with_special_tokens", true);
        vz_json_field_int(w, "max_sequence_length", m->about.max_tokens);
        vz_json_field_str(w, "truncate", "first");
        vz_json_field_int(w, "span", -1);
        vz_json_end_object(w);
        vz_json_end_object(w);
    }
    if (m->about.dims)
        vz_json_field_int(w, "embedding_size", m->about.dims);
    if (m->about.made_for != VZ_MADE_TO_EMBED && m->about.made_for != VZ_MADE_TO_RANK) {
        vz_json_key(w, "classification_labels");
        vz_json_begin_array(w);
        for (size_t i = 0; i < m->about.label_count; i++)
            vz_json_put_string(w, m->about.labels[i]);
        vz_json_end_array(w);
    }
    vz_json_end_object(w);
    vz_json_end_object(w);
}

static void put_aliases(struct vz_call *call, struct vz_slice id)
{
    struct vz_slice *names, *models;
    size_t count = vz_infer_aliases(call->rest->infer, call->arena, &names, &models);
    vz_json_key(&call->w, "model_aliases");
    vz_json_begin_array(&call->w);
    for (size_t i = 0; i < count; i++)
        if (vz_slice_eq(models[i], id))
            vz_json_put_string(&call->w, names[i]);
    vz_json_end_array(&call->w);
}

/* What was put, member by member; what is made here is left to the caller. */
static void put_config(struct vz_call *call, const struct listed *item, struct vz_json config)
{
    static const char *const copied[] = {
        "description",           "inference_config", "input", "tags", "prefix_strings",
        "platform_architecture", "default_field_map"};
    struct vz_json_writer *w = &call->w;
    struct vz_json value;
    vz_json_field_string(w, "model_type", vz_json_string(vz_ml_get(config, "model_type")));
    for (size_t i = 0; i < VZ_COUNT_OF(copied); i++)
        if (vz_json_get(config, copied[i], &value)) {
            vz_json_key(w, copied[i]);
            vz_json_put_value(w, value);
        }
    if (!vz_json_get(config, "tags", &value)) {
        vz_json_key(w, "tags");
        vz_json_put_raw(w, VZ_SLICE("[]"));
    }
    vz_json_key(w, "metadata");
    vz_json_begin_object(w);
    struct vz_json_iter it = vz_json_iterate(vz_ml_get(config, "metadata"));
    struct vz_slice key;
    while (vz_json_next(&it, &key, &value)) {
        vz_json_key_slice(w, key);
        vz_json_put_value(w, value);
    }
    put_aliases(call, item->id);
    vz_json_end_object(w);
}

static void put_installed(struct vz_call *call, const struct listed *item)
{
    struct vz_json_writer *w = &call->w;
    const struct vz_infer_model *m = item->model;
    bool is_eye = !m->folder.len;
    vz_json_field_str(w, "model_type", "pytorch");
    if (is_eye)
        vz_json_field_str(w, "description",
                          "The built-in eye: pictures to vectors without any download");
    vz_json_key(w, "tags");
    vz_json_put_raw(w, VZ_SLICE("[]"));
    vz_json_key(w, "input");
    vz_json_put_raw(w, m->about.reads ? VZ_SLICE("{\"field_names\":[\"text_field\"]}")
                                      : VZ_SLICE("{\"field_names\":[\"image_field\"]}"));
    if (m->status == VZ_OK)
        put_inference_config(w, m);
    vz_json_key(w, "metadata");
    vz_json_begin_object(w);
    vz_json_field_string(w, "name", m->name);
    if (m->source.len)
        vz_json_field_string(w, "source", m->source);
    if (m->license.len)
        vz_json_field_string(w, "license", m->license);
    vz_json_field_str(w, "digest", m->digest);
    vz_json_field_string(w, "type", m->about.type);
    vz_json_field_bool(w, "sees", m->about.sees);
    vz_json_field_bool(w, "reads", m->about.reads);
    if (m->status != VZ_OK)
        vz_json_field_string(w, "cannot_be_run", m->why);
    put_aliases(call, item->id);
    vz_json_end_object(w);
    if (m->about.query_prefix.len || m->about.document_prefix.len) {
        vz_json_key(w, "prefix_strings");
        vz_json_begin_object(w);
        vz_json_field_string(w, "search", m->about.query_prefix);
        vz_json_field_string(w, "ingest", m->about.document_prefix);
        vz_json_end_object(w);
    }
}

static void put_model(struct vz_call *call, const struct listed *item, bool with_status,
                      bool exclude_generated)
{
    struct vz_json_writer *w = &call->w;
    struct vz_ml_put_state state = {0};
    struct vz_json config;
    struct vz_json_doc *doc = item->is_put ? vz_ml_put_config(call->rest, item->id, &config) : NULL;
    bool is_put = doc && vz_ml_put_state(call, item->id, &state);
    if (!doc && !item->model)
        return; /* deleted since it was listed, or damaged */
    vz_json_begin_object(w);
    vz_json_field_string(w, "model_id", item->id);
    if (!exclude_generated) {
        int64_t created = is_put        ? state.created_ms
                          : item->model ? parse_iso(item->model->installed)
                                        : 0;
        vz_json_field_str(w, "created_by", is_put ? "api_user" : "vizsla");
        vz_json_field_str(w, "version", "12.0.0");
        vz_json_field_int(w, "create_time", created);
        vz_json_field_int(w, "model_size_bytes",
                          (int64_t)(item->model ? item->model->bytes : state.total_bytes));
        vz_json_field_int(w, "estimated_operations", 0);
        vz_json_field_str(w, "license_level", "basic");
    }
    if (doc)
        put_config(call, item, config);
    else if (item->model)
        put_installed(call, item);
    if (with_status)
        vz_json_field_bool(w, "fully_defined", item->model != NULL);
    vz_json_key(w, "location");
    vz_json_put_raw(w, VZ_SLICE("{\"index\":{\"name\":\".ml-inference-native-000002\"}}"));
    vz_json_end_object(w);
    vz_json_free(doc);
}

void vz_rest_ml_get(struct vz_call *call)
{
    struct listed *list;
    size_t count, first = 0, end = 0;
    struct vz_slice include = vz_call_text(call, "include");
    bool with_status = memmem(include.ptr, include.len, "definition_status", 17) != NULL;
    if (!vz_ml_there(call))
        return;
    if (vz_slice_is(include, "definition")) {
        vz_call_unsupported(call, "[include=definition] is");
        return;
    }
    if (!list_models(call, &list, &count) || !page_of(call, count, &first, &end))
        return;
    vz_json_begin_object(&call->w);
    vz_json_field_int(&call->w, "count", (int64_t)count);
    vz_json_key(&call->w, "trained_model_configs");
    vz_json_begin_array(&call->w);
    for (size_t i = first; i < end; i++)
        put_model(call, &list[i], with_status, vz_call_bool(call, "exclude_generated", false));
    vz_json_end_array(&call->w);
    vz_json_end_object(&call->w);
}

/* ---- statistics ---------------------------------------------------------------------------- */

static double average_ms(const struct vz_deployment *d, uint64_t count)
{
    return count ? (double)d->time_ns / 1e6 / (double)count : 0;
}

static void put_node(struct vz_call *call, const struct vz_deployment *d)
{
    struct vz_json_writer *w = &call->w;
    uint64_t computed = d->inference_count - VZ_MIN(d->cache_hits, d->inference_count);
    vz_json_begin_object(w);
    vz_json_key(w, "node");
    vz_json_begin_object(w);
    vz_call_node(call);
    vz_json_end_object(w);
    vz_json_key(w, "routing_state");
    vz_json_put_raw(w, VZ_SLICE("{\"routing_state\":\"started\"}"));
    vz_json_field_int(w, "inference_count", (int64_t)d->inference_count);
    vz_json_field_double(w, "average_inference_time_ms", average_ms(d, d->inference_count));
    vz_json_field_double(w, "average_inference_time_ms_excluding_cache_hits",
                         average_ms(d, computed));
    vz_json_field_int(w, "inference_cache_hit_count", (int64_t)d->cache_hits);
    if (d->last_access_ms)
        vz_json_field_int(w, "last_access", d->last_access_ms);
    vz_json_field_int(w, "number_of_pending_requests", d->waiting);
    vz_json_field_int(w, "error_count", (int64_t)d->error_count);
    vz_json_field_int(w, "rejected_execution_count", (int64_t)d->rejected_count);
    vz_json_field_int(w, "timeout_count", (int64_t)d->timeout_count);
    vz_json_field_int(w, "start_time", d->started_ms);
    vz_json_field_int(w, "threads_per_allocation", d->threads ? d->threads : vz_ml_processors());
    vz_json_field_int(w, "number_of_allocations", d->allocations);
    vz_json_field_int(w, "peak_throughput_per_minute", (int64_t)d->peak_throughput_per_minute);
    vz_json_field_int(w, "throughput_last_minute", (int64_t)d->throughput_last_minute);
    vz_json_end_object(w);
}

static void put_deployment(struct vz_call *call, const struct vz_deployment *d)
{
    static const char *const states[] = {
        [VZ_STARTING] = "starting", [VZ_STARTED] = "started", [VZ_STOPPING] = "stopping"};
    struct vz_json_writer *w = &call->w;
    vz_json_key(w, "deployment_stats");
    vz_json_begin_object(w);
    vz_json_field_string(w, "deployment_id", d->id);
    vz_json_field_string(w, "model_id", d->model_id);
    vz_json_field_int(w, "threads_per_allocation", d->threads ? d->threads : vz_ml_processors());
    vz_json_field_int(w, "number_of_allocations", d->allocations);
    vz_json_field_int(w, "queue_capacity", d->queue_capacity);
    vz_json_key(w, "cache_size");
    vz_json_put_string(w, vz_call_format(call, "%llub", (unsigned long long)d->cache_bytes));
    vz_json_field_str(w, "priority", d->is_low_priority ? "low" : "normal");
    vz_json_field_str(w, "state", states[d->state]);
    vz_json_key(w, "allocation_status");
    vz_json_begin_object(w);
    vz_json_field_int(w, "allocation_count", d->state == VZ_STARTED ? d->allocations : 0);
    vz_json_field_int(w, "target_allocation_count", d->allocations);
    vz_json_field_str(w, "state", d->state == VZ_STARTED ? "fully_allocated" : "starting");
    vz_json_end_object(w);
    vz_json_field_int(w, "start_time", d->started_ms);
    vz_json_field_int(w, "inference_count", (int64_t)d->inference_count);
    vz_json_field_int(w, "error_count", (int64_t)d->error_count);
    vz_json_field_int(w, "rejected_execution_count", (int64_t)d->rejected_count);
    vz_json_field_int(w, "timeout_count", (int64_t)d->timeout_count);
    vz_json_field_int(w, "peak_throughput_per_minute", (int64_t)d->peak_throughput_per_minute);
    vz_json_key(w, "nodes");
    vz_json_begin_array(w);
    put_node(call, d);
    vz_json_end_array(w);
    vz_json_end_object(w);
}

/* One entry for a deployment, or for a model without any. */
static void put_stats(struct vz_call *call, const struct listed *item,
                      const struct vz_deployment *d)
{
    struct vz_json_writer *w = &call->w;
    struct vz_ml_put_state state = {0};
    if (item->is_put)
        vz_ml_put_state(call, item->id, &state);
    uint64_t bytes = item->model ? item->model->bytes : state.total_bytes;
    uint64_t memory = d && d->memory_bytes ? d->memory_bytes
                      : item->model        ? item->model->memory_bytes
                                           : state.total_bytes;
    vz_json_begin_object(w);
    vz_json_field_string(w, "model_id", item->id);
    vz_json_key(w, "model_size_stats");
    vz_json_begin_object(w);
    vz_json_field_int(w, "model_size_bytes", (int64_t)bytes);
    vz_json_field_int(w, "required_native_memory_bytes", (int64_t)memory);
    vz_json_end_object(w);
    vz_json_field_int(w, "pipeline_count", 0);
    vz_json_key(w, "inference_stats");
    vz_json_begin_object(w);
    vz_json_field_int(w, "failure_count", d ? (int64_t)d->error_count : 0);
    vz_json_field_int(w, "inference_count", d ? (int64_t)d->inference_count : 0);
    vz_json_field_int(w, "cache_miss_count",
                      d ? (int64_t)(d->inference_count - VZ_MIN(d->cache_hits, d->inference_count))
                        : 0);
    vz_json_field_int(w, "missing_all_fields_count", 0);
    vz_json_field_int(w, "timestamp", vz_wall_ms());
    vz_json_end_object(w);
    if (d)
        put_deployment(call, d);
    vz_json_end_object(w);
}

/* A deployment's id stands for its model, of which only that deployment is told then. Writes the
 * models' ids into the path's argument; by_id[k]: the path names deployment k. */
static void name_models(struct vz_call *call, const struct vz_deployment *deployments, size_t count,
                        bool *by_id)
{
    struct vz_slice *parts;
    struct vz_buf names = {0};
    size_t part_count = vz_split(call->arena, call->args[0], &parts);
    bool any = false;
    for (size_t i = 0; i < part_count; i++) {
        struct vz_slice name = parts[i];
        for (size_t k = 0; k < count; k++) {
            if (!vz_slice_eq(deployments[k].id, parts[i]) ||
                vz_slice_eq(deployments[k].model_id, parts[i]))
                continue;
            name = deployments[k].model_id;
            any = by_id[k] = true;
        }
        vz_buf_printf(&names, "%s%.*s", i ? "," : "", VZ_S(name));
    }
    if (any)
        call->args[0] = vz_arena_copy(call->arena, vz_buf_slice(&names));
    vz_buf_deinit(&names);
}

void vz_rest_ml_stats(struct vz_call *call)
{
    struct listed *list;
    struct vz_deployment *deployments;
    size_t count, first = 0, end = 0;
    if (!vz_ml_there(call))
        return;
    size_t running = vz_infer_deployments(call->rest->infer, call->arena, &deployments);
    struct vz_slice asked = call->args[0];
    bool *by_id = vz_arena_zalloc(call->arena, running + 1);
    name_models(call, deployments, running, by_id);
    if (!list_models(call, &list, &count) || !page_of(call, count, &first, &end))
        return;
    vz_json_begin_object(&call->w);
    vz_json_field_int(&call->w, "count", (int64_t)count);
    vz_json_key(&call->w, "trained_model_stats");
    vz_json_begin_array(&call->w);
    for (size_t i = first; i < end; i++) {
        bool any = false, only = false, named = means(call, asked, &list[i]);
        for (size_t k = 0; k < running; k++)
            only |= by_id[k] && !named && vz_slice_eq(deployments[k].model_id, list[i].id);
        for (size_t k = 0; k < running; k++)
            if (vz_slice_eq(deployments[k].model_id, list[i].id) && (!only || by_id[k])) {
                put_stats(call, &list[i], &deployments[k]);
                any = true;
            }
        if (!any)
            put_stats(call, &list[i], NULL);
    }
    vz_json_end_array(&call->w);
    vz_json_end_object(&call->w);
}

void vz_rest_ml_info(struct vz_call *call)
{
    uint64_t used, most;
    if (!vz_ml_there(call))
        return;
    vz_infer_memory(call->rest->infer, &used, &most);
    vz_json_begin_object(&call->w);
    vz_json_key(&call->w, "defaults");
    vz_json_put_raw(&call->w, VZ_SLICE("{\"anomaly_detectors\":{},\"datafeeds\":{}}"));
    vz_json_field_bool(&call->w, "upgrade_mode", false);
    vz_json_key(&call->w, "native_code");
    vz_json_put_raw(&call->w, VZ_SLICE("{\"version\":\"" VZ_ES_VERSION "\",\"build_hash\":\"\"}"));
    vz_json_key(&call->w, "limits");
    vz_json_begin_object(&call->w);
    vz_json_key(&call->w, "effective_max_model_memory_limit");
    vz_json_put_string(&call->w, vz_call_format(call, "%llumb", (unsigned long long)most >> 20));
    vz_json_key(&call->w, "total_ml_memory");
    vz_json_put_string(&call->w, vz_call_format(call, "%llumb", (unsigned long long)most >> 20));
    vz_json_field_int(&call->w, "total_ml_processors", vz_ml_processors());
    vz_json_field_int(&call->w, "max_single_ml_node_processors", vz_ml_processors());
    vz_json_end_object(&call->w);
    vz_json_end_object(&call->w);
}

/* ---- deleting ------------------------------------------------------------------------------ */

static bool may_delete(struct vz_call *call, const struct listed *item)
{
    struct vz_deployment *list;
    struct vz_error err = {0};
    if (item->model && !item->model->folder.len)
        return vz_call_fail(call, 409, "status_exception",
                            "the built-in eye [%.*s] cannot be deleted", VZ_S(item->id));
    size_t count = vz_infer_deployments(call->rest->infer, call->arena, &list);
    /* Those with names of their own first: then the model's name means the one that is left. */
    for (size_t n = 0; n < 2 * count; n++) {
        size_t i = n % count;
        if (!vz_slice_eq(list[i].model_id, item->id) || list[i].is_explicit != (n < count))
            continue;
        if (list[i].is_explicit && !vz_call_bool(call, "force", false))
            return vz_call_fail(call, 409, "status_exception",
                                "Cannot delete model [%.*s] as it is currently deployed",
                                VZ_S(item->id));
        enum vz_status status = vz_infer_stop(call->rest->infer, list[i].id, &err);
        if (status != VZ_OK && status != VZ_NOT_FOUND)
            return vz_ml_fail(call, &err);
        vz_store_delete_blob(call->store, VZ_BLOB_DEPLOYMENT, list[i].id, NULL);
    }
    return true;
}

static void drop_aliases(struct vz_call *call, struct vz_slice id)
{
    struct vz_slice *names, *models;
    size_t count = vz_infer_aliases(call->rest->infer, call->arena, &names, &models);
    for (size_t i = 0; i < count; i++)
        if (vz_slice_eq(models[i], id)) {
            vz_infer_alias(call->rest->infer, names[i], (struct vz_slice){0}, NULL);
            vz_store_delete_blob(call->store, VZ_BLOB_ALIAS, names[i], NULL);
        }
}

void vz_rest_ml_delete(struct vz_call *call)
{
    struct listed *list;
    struct vz_error err = {0};
    size_t count;
    if (!vz_ml_there(call))
        return;
    struct vz_slice id = call->args[0];
    if (vz_slice_is(id, "_all") || memchr(id.ptr, '*', id.len) || memchr(id.ptr, '?', id.len) ||
        memchr(id.ptr, ',', id.len)) {
        vz_call_fail(call, 400, "illegal_argument_exception",
                     "delete one model at a time, by its id");
        return;
    }
    if (!list_models(call, &list, &count) || !may_delete(call, &list[0]))
        return;
    if (list[0].model) {
        char *name = vz_arena_strdup(call->arena, list[0].model->name);
        const char *folder = vz_infer_models_folder(call->rest->infer);
        if (vz_model_remove(folder, name, NULL, &err) != VZ_OK) {
            vz_ml_fail(call, &err);
            return;
        }
    }
    if (list[0].is_put)
        vz_ml_put_remove(call->rest, list[0].id);
    drop_aliases(call, list[0].id);
    vz_call_acknowledge(call);
}

/* ---- aliases ------------------------------------------------------------------------------- */

void vz_rest_ml_alias_put(struct vz_call *call)
{
    struct vz_slice id = call->args[0], alias = call->args[1], old;
    struct vz_infer_model model, other;
    struct vz_error err = {0};
    if (!vz_ml_there(call) || !vz_ml_check_id(call, "model_alias", alias))
        return;
    if (vz_infer_find(call->rest->infer, id, call->arena, &model, &err) != VZ_OK) {
        vz_call_fail(call, 404, "resource_not_found_exception",
                     "No known trained model with model_id [%.*s]", VZ_S(id));
        return;
    }
    bool exists = vz_infer_alias_get(call->rest->infer, alias, call->arena, &old);
    if (!exists && vz_infer_find(call->rest->infer, alias, call->arena, &other, NULL) == VZ_OK) {
        vz_call_fail(call, 400, "action_request_validation_exception",
                     "Validation Failed: 1: model_alias [%.*s] cannot be the same as a model_id;",
                     VZ_S(alias));
        return;
    }
    if (exists && !vz_slice_eq(old, model.id) && !vz_call_bool(call, "reassign", false)) {
        vz_call_fail(
            call, 400, "status_exception",
            "cannot assign model_alias [%.*s] to model_id [%.*s] as model_alias already "
            "refers to [%.*s]. Set parameter [reassign] to [true] if model_alias should be "
            "reassigned.",
            VZ_S(alias), VZ_S(model.id), VZ_S(old));
        return;
    }
    if (exists && vz_infer_find(call->rest->infer, old, call->arena, &other, NULL) == VZ_OK &&
        other.about.made_for != model.about.made_for) {
        vz_call_fail(
            call, 400, "status_exception",
            "cannot reassign model_alias [%.*s] to model [%.*s] as it has a different task "
            "than [%.*s]",
            VZ_S(alias), VZ_S(model.id), VZ_S(old));
        return;
    }
    if (vz_store_put_blob(call->store, VZ_BLOB_ALIAS, alias, model.id, &err) != VZ_OK) {
        vz_call_fail_error(call, &err, VZ_AT_REQUEST);
        return;
    }
    vz_infer_alias(call->rest->infer, alias, model.id, NULL);
    vz_call_acknowledge(call);
}

void vz_rest_ml_alias_delete(struct vz_call *call)
{
    struct vz_slice id = call->args[0], alias = call->args[1], model;
    struct vz_infer_model found;
    struct vz_error err = {0};
    if (!vz_ml_there(call))
        return;
    if (!vz_infer_alias_get(call->rest->infer, alias, call->arena, &model)) {
        vz_call_fail(call, 404, "resource_not_found_exception",
                     "model_alias [%.*s] could not be found", VZ_S(alias));
        return;
    }
    if (vz_infer_find(call->rest->infer, id, call->arena, &found, NULL) == VZ_OK)
        id = found.id;
    if (!vz_slice_eq(model, id)) {
        vz_call_fail(call, 404, "resource_not_found_exception",
                     "model_alias [%.*s] does not refer to provided model_id [%.*s]", VZ_S(alias),
                     VZ_S(id));
        return;
    }
    if (vz_store_delete_blob(call->store, VZ_BLOB_ALIAS, alias, &err) != VZ_OK) {
        vz_call_fail_error(call, &err, VZ_AT_REQUEST);
        return;
    }
    vz_infer_alias(call->rest->infer, alias, (struct vz_slice){0}, NULL);
    vz_call_acknowledge(call);
}
