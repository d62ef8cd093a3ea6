/* Deployments by name: start, stop, update, and starting again after the server was down. */
#include "rest/ml.h"

#include "base/log.h"

#include <stdlib.h>

#define START_TIMEOUT_MS 20000
#define MAX_ALLOCATIONS 1024
#define MAX_QUEUE 100000

/* ---- reading ------------------------------------------------------------------------------- */

/* "10mb", "4kb", "100b", "1024". */
static bool parse_bytes(struct vz_slice text, uint64_t *out)
{
    static const struct {
        const char *unit;
        unsigned shift;
    } units[] = {{"b", 0}, {"kb", 10}, {"mb", 20}, {"gb", 30}, {"", 0}};
    size_t digits = 0;
    *out = 0;
    while (digits < text.len && digits < 15 && text.ptr[digits] >= '0' && text.ptr[digits] <= '9')
        *out = *out * 10 + (uint64_t)(text.ptr[digits++] - '0');
    struct vz_slice unit = {text.ptr + digits, text.len - digits};
    for (size_t i = 0; digits && i < VZ_COUNT_OF(units); i++)
        if (vz_slice_is(unit, units[i].unit)) {
            bool fits = *out < (UINT64_C(1) << 40) >> units[i].shift;
            *out <<= units[i].shift;
            return fits;
        }
    return false;
}

static bool read_count(struct vz_call *call, const char *name, int64_t most, uint32_t *out)
{
    int64_t number = vz_call_int(call, name, 0);
    struct vz_slice text;
    if (vz_call_param(call, name, &text) && (number < 1 || number > most))
        return vz_call_fail(call, 400, "action_request_validation_exception",
                            "Validation Failed: 1: [%s] must be a positive integer of at most "
                            "%lld;",
                            name, (long long)most);
    *out = (uint32_t)number;
    return true;
}

static bool read_options(struct vz_call *call, struct vz_deployment_options *options)
{
    struct vz_slice priority = vz_call_text(call, "priority"), cache;
    struct vz_slice wait_for = vz_call_text(call, "wait_for");
    options->model = call->args[0];
    options->id = vz_call_text(call, "deployment_id");
    if (options->id.len && !vz_ml_check_id(call, "deployment_id", options->id))
        return false;
    if (!read_count(call, "number_of_allocations", MAX_ALLOCATIONS, &options->allocations) ||
        !read_count(call, "threads_per_allocation", 32, &options->threads) ||
        !read_count(call, "queue_capacity", MAX_QUEUE, &options->queue_capacity))
        return false;
    if (options->threads & (options->threads - 1))
        return vz_call_fail(call, 400, "action_request_validation_exception",
                            "Validation Failed: 1: [threads_per_allocation] must be a power of 2 "
                            "less than or equal to 32;");
    options->is_low_priority = vz_slice_is(priority, "low");
    if (priority.len && !options->is_low_priority && !vz_slice_is(priority, "normal"))
        return vz_call_fail(call, 400, "illegal_argument_exception",
                            "[priority] is [normal] or [low], not [%.*s]", VZ_S(priority));
    if (wait_for.len && !vz_slice_is(wait_for, "started") && !vz_slice_is(wait_for, "starting") &&
        !vz_slice_is(wait_for, "fully_allocated"))
        return vz_call_fail(call, 400, "illegal_argument_exception",
                            "[wait_for] is [starting], [started] or [fully_allocated], not [%.*s]",
                            VZ_S(wait_for));
    if (vz_call_param(call, "cache_size", &cache)) {
        if (!parse_bytes(cache, &options->cache_bytes))
            return vz_call_fail(call, 400, "illegal_argument_exception",
                                "failed to parse setting [cache_size] with value [%.*s] as a size "
                                "in bytes",
                                VZ_S(cache));
        options->cache_bytes = VZ_MAX(options->cache_bytes, UINT64_C(1)); /* 0: no room at all */
    }
    return true;
}

/* ---- answering ----------------------------------------------------------------------------- */

static const struct vz_deployment *find(struct vz_call *call, struct vz_slice id)
{
    struct vz_deployment *list;
    size_t count = vz_infer_deployments(call->rest->infer, call->arena, &list);
    for (size_t i = 0; i < count; i++)
        if (list[i].is_explicit && vz_slice_eq(list[i].id, id))
            return &list[i];
    return NULL;
}

static void print_assignment(struct vz_call *call, const struct vz_deployment *d)
{
    struct vz_json_writer *w = &call->w;
    char start[32];
    vz_format_iso_ms(d->started_ms, start, sizeof start);
    vz_json_begin_object(w);
    vz_json_key(w, "assignment");
    vz_json_begin_object(w);
    vz_json_key(w, "task_parameters");
    vz_json_begin_object(w);
    vz_json_field_string(w, "model_id", d->model_id);
    vz_json_field_string(w, "deployment_id", d->id);
    vz_json_field_int(w, "model_bytes", (int64_t)d->memory_bytes);
    vz_json_field_int(w, "threads_per_allocation", d->threads ? d->threads : vz_ml_processors());
    vz_json_field_int(w, "number_of_allocations", d->allocations);
    vz_json_field_int(w, "queue_capacity", d->queue_capacity);
    vz_json_key(w, "cache_size");
    vz_json_put_string(w, vz_call_format(call, "%llub", (unsigned long long)d->cache_bytes));
    vz_json_field_str(w, "priority", d->is_low_priority ? "low" : "normal");
    vz_json_field_int(w, "per_deployment_memory_bytes", (int64_t)d->memory_bytes);
    vz_json_field_int(w, "per_allocation_memory_bytes", 0);
    vz_json_end_object(w);
    vz_json_key(w, "routing_table");
    vz_json_begin_object(w);
    vz_json_key(w, call->rest->node_id);
    vz_json_begin_object(w);
    vz_json_field_int(w, "current_allocations", d->allocations);
    vz_json_field_int(w, "target_allocations", d->allocations);
    vz_json_field_str(w, "routing_state", "started");
    vz_json_field_str(w, "reason", "");
    vz_json_end_object(w);
    vz_json_end_object(w);
    vz_json_field_str(w, "assignment_state", "started");
    vz_json_field_str(w, "start_time", start);
    vz_json_field_int(w, "max_assigned_allocations", d->allocations);
    vz_json_end_object(w);
    vz_json_end_object(w);
}

/* What the server starts with next time. */
static bool keep(struct vz_call *call, const struct vz_deployment *d)
{
    struct vz_buf text = {0};
    struct vz_error err = {0};
    struct vz_json_writer w = vz_json_writer_on(&text);
    vz_json_begin_object(&w);
    vz_json_field_string(&w, "model_id", d->model_id);
    vz_json_field_int(&w, "number_of_allocations", d->allocations);
    vz_json_field_int(&w, "threads_per_allocation", d->threads);
    vz_json_field_int(&w, "queue_capacity", d->queue_capacity);
    vz_json_field_int(&w, "cache_bytes", (int64_t)d->cache_bytes);
    vz_json_field_bool(&w, "is_low_priority", d->is_low_priority);
    vz_json_end_object(&w);
    enum vz_status status =
        vz_store_put_blob(call->store, VZ_BLOB_DEPLOYMENT, d->id, vz_buf_slice(&text), &err);
    vz_buf_deinit(&text);
    return status == VZ_OK || vz_call_fail_error(call, &err, VZ_AT_REQUEST);
}

/* ---- the calls --------------------------------------------------------------------------------
 */

/* A model that was put and is not whole, or cannot be run. */
static bool check_put(struct vz_call *call, struct vz_slice id)
{
    struct vz_ml_put_state state;
    if (!vz_ml_put_state(call, id, &state) || state.is_installed)
        return true;
    if (state.why_not.len)
        return vz_call_fail(call, 400, "illegal_argument_exception",
                            "model [%.*s] cannot be run: %.*s", VZ_S(id), VZ_S(state.why_not));
    return vz_call_fail(call, 400, "illegal_argument_exception",
                        "Could not start deployment: model [%.*s] is not fully defined: %u of %u "
                        "definition parts and %s vocabulary came",
                        VZ_S(id), state.parts, state.total_parts,
                        state.has_vocabulary ? "the" : "no");
}

void vz_rest_ml_start(struct vz_call *call)
{
    struct vz_deployment_options options = {0};
    struct vz_infer_model model;
    struct vz_json body;
    struct vz_error err = {0};
    if (!vz_ml_there(call) || !read_options(call, &options) ||
        !vz_call_body(call, VZ_AT_BODY, false, &body) || !check_put(call, options.model))
        return;
    if (vz_json_count(body)) {
        vz_call_unsupported(call, "a body for starting a deployment (adaptive_allocations) is");
        return;
    }
    if (vz_infer_find(call->rest->infer, options.model, call->arena, &model, &err) != VZ_OK) {
        vz_call_fail(call, 404, "resource_not_found_exception",
                     "No known trained model with model_id [%.*s]: %s", VZ_S(options.model),
                     err.text);
        return;
    }
    if (!options.id.len)
        options.id = model.id;
    if (vz_infer_start(call->rest->infer, &options, vz_ml_deadline(call, START_TIMEOUT_MS), &err) !=
        VZ_OK) {
        vz_ml_fail(call, &err);
        return;
    }
    const struct vz_deployment *d = find(call, options.id);
    if (!d)
        vz_call_fail(call, 409, "status_exception", "deployment [%.*s] was stopped meanwhile",
                     VZ_S(options.id));
    else if (keep(call, d))
        print_assignment(call, d);
}

void vz_rest_ml_stop(struct vz_call *call)
{
    struct vz_deployment *list;
    struct vz_infer_model model;
    struct vz_ml_put_state put;
    struct vz_slice wanted = call->args[0];
    struct vz_error err = {0};
    if (!vz_ml_there(call))
        return;
    /* A model's other names mean the deployment of its id; one without any is stopped already. */
    bool known = vz_infer_find(call->rest->infer, wanted, call->arena, &model, NULL) == VZ_OK;
    if (known && !find(call, wanted))
        wanted = model.id;
    known = known || vz_ml_put_state(call, wanted, &put);
    size_t count = vz_infer_deployments(call->rest->infer, call->arena, &list), stopped = 0;
    bool pattern = vz_slice_is(wanted, "_all") || memchr(wanted.ptr, '*', wanted.len);
    for (size_t i = 0; i < count; i++) {
        bool is_eye = vz_slice_is(list[i].id, "eye");
        if (!list[i].is_explicit || (is_eye && pattern) || !vz_ml_matches(wanted, list[i].id))
            continue;
        enum vz_status status = vz_infer_stop(call->rest->infer, list[i].id, &err);
        if (status != VZ_OK && status != VZ_NOT_FOUND) {
            vz_ml_fail(call, &err);
            return;
        }
        stopped++;
        vz_store_delete_blob(call->store, VZ_BLOB_DEPLOYMENT, list[i].id, NULL);
    }
    if (!stopped && !known && (!pattern || !vz_call_bool(call, "allow_no_match", true))) {
        vz_call_fail(call, 404, "resource_not_found_exception",
                     "No known model deployment with id [%.*s]", VZ_S(call->args[0]));
        return;
    }
    vz_json_begin_object(&call->w);
    vz_json_field_bool(&call->w, "stopped", true);
    vz_json_end_object(&call->w);
}

void vz_rest_ml_update(struct vz_call *call)
{
    struct vz_json body, value;
    struct vz_error err = {0};
    int64_t allocations = vz_call_int(call, "number_of_allocations", 0);
    if (!vz_ml_there(call) || !vz_call_body(call, VZ_AT_BODY, false, &body))
        return;
    if (vz_json_get(body, "adaptive_allocations", &value)) {
        vz_call_unsupported(call, "[adaptive_allocations] is");
        return;
    }
    if (vz_json_get(body, "number_of_allocations", &value))
        allocations = vz_json_int(value);
    if (allocations < 1 || allocations > MAX_ALLOCATIONS) {
        vz_call_fail(call, 400, "action_request_validation_exception",
                     "Validation Failed: 1: [number_of_allocations] must be a positive integer of "
                     "at most %d;",
                     MAX_ALLOCATIONS);
        return;
    }
    if (!find(call, call->args[0])) {
        vz_call_fail(call, 404, "resource_not_found_exception",
                     "deployment [%.*s] was not found; is it started?", VZ_S(call->args[0]));
        return;
    }
    if (vz_infer_update(call->rest->infer, call->args[0], (uint32_t)allocations, &err) != VZ_OK) {
        vz_ml_fail(call, &err);
        return;
    }
    const struct vz_deployment *d = find(call, call->args[0]);
    if (d && keep(call, d))
        print_assignment(call, d);
}

void vz_rest_ml_clear_cache(struct vz_call *call)
{
    struct vz_error err = {0};
    if (!vz_ml_there(call))
        return;
    if (vz_infer_clear_cache(call->rest->infer, call->args[0], &err) != VZ_OK) {
        vz_ml_fail(call, &err);
        return;
    }
    vz_json_begin_object(&call->w);
    vz_json_field_bool(&call->w, "cleared", true);
    vz_json_end_object(&call->w);
}

/* ---- after a restart ----------------------------------------------------------------------------
 */

static uint32_t number_of(struct vz_json object, const char *key)
{
    int64_t number = vz_json_int(vz_ml_get(object, key));
    return number > 0 && number < 1 << 20 ? (uint32_t)number : 0;
}

static void start_again(struct vz_rest *rest, struct vz_slice id)
{
    struct vz_json kept;
    struct vz_error err = {0};
    struct vz_json_doc *doc = vz_ml_blob(rest, VZ_BLOB_DEPLOYMENT, id, &kept);
    if (!doc)
        return;
    const struct vz_deployment_options options = {
        .id = id,
        .model = vz_json_string(vz_ml_get(kept, "model_id")),
        .allocations = number_of(kept, "number_of_allocations"),
        .threads = number_of(kept, "threads_per_allocation"),
        .queue_capacity = number_of(kept, "queue_capacity"),
        .cache_bytes = (uint64_t)vz_json_int(vz_ml_get(kept, "cache_bytes")),
        .is_low_priority = vz_json_bool(vz_ml_get(kept, "is_low_priority")),
    };
    if (vz_infer_start(rest->infer, &options, 0, &err) != VZ_OK)
        vz_log(VZ_LOG_WARN, "rest", "deployment [%.*s] was not started again: %s", VZ_S(id),
               err.text);
    vz_json_free(doc);
}

void vz_ml_restore(struct vz_rest *rest, bool open)
{
    struct vz_arena arena = {0};
    struct vz_slice *names;
    if (!rest->infer)
        return;
    size_t count = vz_store_blob_names(rest->store, VZ_BLOB_ALIAS, &arena, &names);
    for (size_t i = 0; i < count; i++) {
        struct vz_buf model = {0};
        if (vz_store_get_blob(rest->store, VZ_BLOB_ALIAS, names[i], &model) && model.len)
            vz_infer_alias(rest->infer, names[i], vz_buf_slice(&model), NULL);
        vz_buf_deinit(&model);
    }
    count = vz_store_blob_names(rest->store, VZ_BLOB_MODEL, &arena, &names);
    for (size_t i = 0; i < count; i++) {
        struct vz_json config, strings;
        struct vz_json_doc *doc = vz_ml_put_config(rest, names[i], &config);
        if (doc && vz_json_get(config, "prefix_strings", &strings))
            vz_infer_prefixes(rest->infer, names[i], vz_json_string(vz_ml_get(strings, "search")),
                              vz_json_string(vz_ml_get(strings, "ingest")));
        vz_json_free(doc);
    }
    count = vz_store_blob_names(rest->store, VZ_BLOB_DEPLOYMENT, &arena, &names);
    for (size_t i = 0; open && i < count; i++)
        start_again(rest, names[i]);
    vz_arena_deinit(&arena);
}
