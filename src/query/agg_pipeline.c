/* Pipelines: what is computed from the tree of results, from the leaves up. A pipeline over
 * siblings adds a figure beside the buckets it reads; one over its parent's buckets adds a figure
 * to each, or takes buckets out. */
#include "query/agg.h"

#include "script/script.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* A value of a bucket: `skip` is a gap that is to be passed over. */
static bool bucket_value(struct vz_agg_run *run, const struct vz_agg *agg, struct vz_slice path,
                         const struct vz_agg_result *parent, const struct vz_agg_bucket *bucket,
                         double *value, bool *skip)
{
    *skip = false;
    if (!vz_agg_path_number(run, bucket, path, parent, value))
        return false;
    *skip = run->path_absent; /* what a pipeline did not compute here is no gap to fill */
    if (*skip)
        return true;
    bool counts = path.len >= 6 && memcmp(path.ptr + path.len - 6, "_count", 6) == 0;
    bool gap = !isfinite(*value) || (bucket->doc_count == 0 && !counts);
    if (!gap)
        return true;
    switch (agg->gap) {
    case VZ_GAP_ZEROS:
        *value = 0;
        return true;
    case VZ_GAP_KEEP:
        *skip = !isfinite(*value);
        *value = *skip ? NAN : *value;
        return true;
    default:
        *skip = true;
        *value = NAN;
        return true;
    }
}

/* ---- figures over siblings' buckets ------------------------------------------------------------
 */

struct sequence {
    double *items;
    struct vz_slice *names;
    size_t count, capacity;
};

static void add_value(struct sequence *s, double value, struct vz_slice name)
{
    if (s->count == s->capacity) {
        s->capacity = s->capacity * 2 + 64;
        s->items = vz_realloc(s->items, s->capacity * sizeof *s->items);
        s->names = vz_realloc(s->names, s->capacity * sizeof *s->names);
    }
    s->items[s->count] = value;
    s->names[s->count++] = name;
}

/* Values of all buckets of the first aggregation of several buckets on the path. */
static bool gather(struct vz_agg_run *run, const struct vz_agg *agg,
                   const struct vz_agg_bucket *bucket, struct sequence *out)
{
    struct vz_agg_steps_of_path steps;
    struct vz_slice path = agg->paths[0].path;
    vz_agg_path_parse(path, &steps);
    const struct vz_agg_result *found = NULL;
    size_t s = 0;
    for (; s < steps.count; s++) {
        found = NULL;
        for (size_t i = 0; i < bucket->sub_count && !found; i++)
            if (vz_slice_eq(bucket->subs[i].agg->name, steps.items[s].name))
                found = &bucket->subs[i];
        if (!found || found->form != VZ_FORM_SINGLE)
            break;
        bucket = &found->buckets[0];
    }
    if (!found || found->form != VZ_FORM_BUCKETS)
        return vz_agg_fail(run, VZ_BAD_ARGUMENT, "No aggregation found for path [%.*s]",
                           VZ_ARG(path));
    struct vz_slice rest = VZ_SLICE("_count");
    if (s + 1 < steps.count) {
        const char *at = steps.items[s + 1].name.ptr;
        rest = (struct vz_slice){at, (size_t)(path.ptr + path.len - at)};
    }
    for (size_t i = 0; i < found->bucket_count; i++) {
        const struct vz_agg_bucket *one = &found->buckets[i];
        double value;
        bool skip;
        if (steps.items[s].has_key && !vz_slice_eq(one->name, steps.items[s].key))
            continue;
        if (!bucket_value(run, agg, rest, found, one, &value, &skip))
            return false;
        if (!skip)
            add_value(out, value, one->name);
    }
    return true;
}

static void put_formatted(const struct vz_agg *agg, const char *key, double value,
                          struct vz_json_writer *w)
{
    struct vz_buf text = {0};
    if (isfinite(value) && agg->source.format.len &&
        vz_decimal_format(agg->source.format, value, &text))
        vz_json_field_string(w, key, vz_buf_slice(&text));
    vz_buf_deinit(&text);
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The value nearest to the rank, none in between: as percentiles_bucket has it. */
double vz_agg_bucket_percentile(const struct vz_agg_result *result, double percent)
{
    double at = percent / 100 * (double)(result->item_count - 1);
    size_t index = (size_t)floor(at + 0.5);
    return result->items[VZ_MIN(index, result->item_count - 1)];
}

static void put_percentiles(struct vz_agg_run *run, struct vz_agg_result *result,
                            struct sequence *s, struct vz_json_writer *w)
{
    const struct vz_agg *agg = result->agg;
    bool keyed = !agg->has_keyed || agg->keyed;
    result->items = vz_arena_alloc(run->arena, (s->count + 1) * sizeof(double));
    if (s->count)
        memcpy(result->items, s->items, s->count * sizeof(double));
    result->item_count = s->count;
    if (s->count)
        qsort(result->items, s->count, sizeof(double), by_value);
    vz_json_key(w, "values");
    if (keyed)
        vz_json_begin_object(w);
    else
        vz_json_begin_array(w);
    for (size_t i = 0; i < agg->percent_count; i++) {
        char key[32];
        double value = s->count ? vz_agg_bucket_percentile(result, agg->percents[i]) : NAN;
        vz_query_number(agg->percents[i], key);
        if (!keyed) {
            vz_json_begin_object(w);
            vz_json_field_double(w, "key", agg->percents[i]);
        }
        vz_agg_put_number(w, keyed ? key : "value", s->count > 0, value);
        if (!keyed)
            vz_json_end_object(w);
    }
    if (keyed)
        vz_json_end_object(w);
    else
        vz_json_end_array(w);
}

static void put_extreme(struct vz_agg_result *result, const struct sequence *s, bool most,
                        struct vz_json_writer *w)
{
    double best = most ? -INFINITY : INFINITY;
    for (size_t i = 0; i < s->count; i++)
        best = most ? VZ_MAX(best, s->items[i]) : VZ_MIN(best, s->items[i]);
    result->value = best;
    vz_agg_put_number(w, "value", isfinite(best), best);
    put_formatted(result->agg, "value_as_string", best, w);
    vz_json_key(w, "keys");
    vz_json_begin_array(w);
    for (size_t i = 0; i < s->count; i++)
        if (s->items[i] == best)
            vz_json_put_string(w, s->names[i]);
    vz_json_end_array(w);
}

static void run_sibling(struct vz_agg_run *run, const struct vz_agg *agg,
                        struct vz_agg_bucket *beside)
{
    struct sequence s = {0};
    struct vz_buf text = {0};
    struct vz_json_writer w = vz_json_writer_on(&text);
    struct vz_agg_metric m = {.min = INFINITY, .max = -INFINITY};
    if (!gather(run, agg, beside, &s)) {
        free(s.items);
        free(s.names);
        return;
    }
    for (size_t i = 0; i < s.count; i++)
        vz_agg_metric_add(&m, s.items[i]);
    struct vz_agg_result *result = vz_agg_add_result(run, beside, agg);
    result->form = VZ_FORM_COMPUTED;
    result->stats = m;
    result->type = agg->kind == VZ_AGG_MIN_BUCKET || agg->kind == VZ_AGG_MAX_BUCKET
                       ? "bucket_metric_value"
                   : agg->kind <= VZ_AGG_SUM_BUCKET ? "simple_value"
                                                    : vz_agg_kind_name(agg->kind);
    vz_json_begin_object(&w);
    switch (agg->kind) {
    case VZ_AGG_AVG_BUCKET:
    case VZ_AGG_SUM_BUCKET:
        result->value = agg->kind == VZ_AGG_SUM_BUCKET ? m.sum : m.sum / (double)m.count;
        vz_agg_put_number(&w, "value", isfinite(result->value), result->value);
        put_formatted(agg, "value_as_string", result->value, &w);
        break;
    case VZ_AGG_MIN_BUCKET:
    case VZ_AGG_MAX_BUCKET:
        put_extreme(result, &s, agg->kind == VZ_AGG_MAX_BUCKET, &w);
        break;
    case VZ_AGG_PERCENTILES_BUCKET:
        put_percentiles(run, result, &s, &w);
        break;
    default:
        vz_agg_print_stats(&m, agg->sigma, agg->kind == VZ_AGG_EXTENDED_STATS_BUCKET, NULL,
                           agg->source.format, &w);
    }
    vz_json_end_object(&w);
    result->body = vz_agg_members(run, &text);
    vz_buf_deinit(&text);
    free(s.items);
    free(s.names);
}

/* ---- figures in the parent's buckets -----------------------------------------------------------
 */

static struct vz_agg_result *put_value(struct vz_agg_run *run, const struct vz_agg *agg,
                                       struct vz_agg_bucket *bucket, double value, double unit)
{
    struct vz_buf text = {0};
    struct vz_json_writer w = vz_json_writer_on(&text);
    struct vz_agg_result *result = vz_agg_add_result(run, bucket, agg);
    result->form = VZ_FORM_COMPUTED;
    result->type = agg->kind == VZ_AGG_DERIVATIVE ? "derivative" : "simple_value";
    result->value = value;
    vz_json_begin_object(&w);
    vz_agg_put_number(&w, "value", isfinite(value), value);
    result->normalized = unit > 0 ? value / unit : value;
    if (unit > 0)
        vz_agg_put_number(&w, "normalized_value", isfinite(value), value / unit);
    put_formatted(agg, "value_as_string", value, &w);
    vz_json_end_object(&w);
    result->body = vz_agg_members(run, &text);
    vz_buf_deinit(&text);
    return result;
}

static void cumulative_sum(struct vz_agg_run *run, const struct vz_agg *agg,
                           struct vz_agg_result *parent)
{
    double sum = 0;
    for (size_t i = 0; i < parent->bucket_count; i++) {
        double value;
        if (!vz_agg_path_number(run, &parent->buckets[i], agg->paths[0].path, parent, &value))
            return;
        if (isfinite(value))
            sum += value;
        put_value(run, agg, &parent->buckets[i], sum, 0);
    }
}

static void derivative(struct vz_agg_run *run, const struct vz_agg *agg,
                       struct vz_agg_result *parent)
{
    double last = NAN, last_key = 0;
    bool any = false;
    for (size_t i = 0; i < parent->bucket_count; i++) {
        struct vz_agg_bucket *bucket = &parent->buckets[i];
        double value;
        bool skip;
        if (!bucket_value(run, agg, agg->paths[0].path, parent, bucket, &value, &skip))
            return;
        if (run->path_absent) {
            any = false;
            continue;
        }
        if (any) /* beside a gap it is null */
            put_value(run, agg, bucket, value - last,
                      agg->unit_ms > 0 ? (bucket->number - last_key) / agg->unit_ms : 0);
        last = value;
        last_key = bucket->number;
        any = true;
    }
}

static void serial_diff(struct vz_agg_run *run, const struct vz_agg *agg,
                        struct vz_agg_result *parent)
{
    double *before = vz_alloc((parent->bucket_count + 1) * sizeof *before);
    size_t seen = 0;
    for (size_t i = 0; i < parent->bucket_count; i++) {
        double value;
        bool skip;
        if (!bucket_value(run, agg, agg->paths[0].path, parent, &parent->buckets[i], &value, &skip))
            break;
        before[seen++] = skip ? NAN : value;
        if (seen <= agg->lag)
            continue;
        double lagged = before[seen - 1 - agg->lag];
        if (!isnan(lagged) && !skip)
            put_value(run, agg, &parent->buckets[i], value - lagged, 0);
    }
    free(before);
}

/* ---- scripts -----------------------------------------------------------------------------------
 */

#define MAX_SCRIPT_STEPS ((uint64_t)1 << 28) /* of all buckets of one script: a second or two */
#define COMPILE_STEPS 8 /* what a byte of source takes: a bucket's script is compiled for it */

struct bucket_script {
    struct vz_arena program, params, scratch;
    struct vz_script *script;
    struct vz_script_watch watch;
    const struct vz_query_stop *stop;
    uint64_t asked;
};

/* The search's timeout is not looked at: what was found by then is answered whole. */
static bool is_stopped(void *script_void)
{
    struct bucket_script *s = script_void;
    return (s->stop && s->stop->stopped(s->stop->context)) ||
           ++s->asked > MAX_SCRIPT_STEPS / VZ_SCRIPT_WATCHED_STEPS;
}

static enum vz_status stopped(const struct bucket_script *s, struct vz_error *err)
{
    if (s->stop && s->stop->stopped(s->stop->context))
        return vz_fail(err, VZ_CANCELLED, "the search took too long");
    return vz_fail(err, VZ_LIMIT,
                   "The maximum number of statements that the scripts of all buckets can execute "
                   "has been reached.");
}

static bool script_failed(struct vz_agg_run *run, const struct vz_agg *agg,
                          const struct vz_error *inner, bool compiling)
{
    if (run->status != VZ_OK)
        return false;
    if (inner->status == VZ_UNSUPPORTED || inner->status == VZ_LIMIT ||
        inner->status == VZ_CANCELLED)
        return vz_agg_fail(run, inner->status, "%s", inner->text);
    size_t at = inner->offset == VZ_NO_OFFSET ? 0 : inner->offset;
    run->status = vz_fail(
        run->err, VZ_BAD_QUERY, "%s\n%zu %.*s", compiling ? "compile error" : "runtime error", at,
        (int)VZ_MIN(agg->script->source.len, (size_t)200), agg->script->source.ptr);
    if (compiling)
        vz_fail_cause(run->err, "illegal_argument_exception\n%s", inner->text);
    else
        vz_fail_cause(run->err, "%s\n%s",
                      inner->cause[0] ? inner->cause : "illegal_argument_exception", inner->text);
    return false;
}

/* A bucket's values beside the script's own params. */
static bool compile(struct vz_agg_run *run, const struct vz_agg *agg, struct bucket_script *s,
                    const double *values)
{
    struct vz_error inner = {.offset = VZ_NO_OFFSET};
    s->watch.steps += agg->script->source.len * COMPILE_STEPS;
    if (s->watch.steps >= VZ_SCRIPT_WATCHED_STEPS) {
        s->watch.steps -= VZ_SCRIPT_WATCHED_STEPS;
        if (is_stopped(s)) {
            stopped(s, &inner);
            return script_failed(run, agg, &inner, true);
        }
    }
    vz_arena_reset(&s->params);
    vz_arena_reset(&s->program);
    struct vz_value *params = vz_json_type(agg->script->params) == VZ_JSON_OBJECT
                                  ? vz_value_from(&s->params, agg->script->params)
                                  : vz_value_object(&s->params);
    for (size_t i = 0; i < agg->path_count; i++)
        vz_value_put(params, agg->paths[i].name, vz_value_double(&s->params, values[i]));
    struct vz_script_host host = {.params = params};
    if (vz_script_compile(agg->script->source, &host, &s->program, &s->script, &inner) == VZ_OK)
        return true;
    return script_failed(run, agg, &inner, true);
}

/* *given: the bucket has all that the script needs. */
static bool bucket_params(struct vz_agg_run *run, const struct vz_agg *agg,
                          const struct vz_agg_result *parent, const struct vz_agg_bucket *bucket,
                          double *values, bool *given)
{
    bool gap;
    *given = true;
    for (size_t i = 0; i < agg->path_count; i++) {
        if (!bucket_value(run, agg, agg->paths[i].path, parent, bucket, &values[i], &gap))
            return false;
        if (gap && agg->kind == VZ_AGG_BUCKET_SCRIPT && agg->gap == VZ_GAP_SKIP)
            *given = false;
    }
    return true;
}

static void run_scripts(struct vz_agg_run *run, const struct vz_agg *agg,
                        struct vz_agg_result *parent)
{
    struct bucket_script s = {.stop = run->last ? run->last->stop : NULL};
    s.watch = (struct vz_script_watch){.stopped = is_stopped, .context = &s};
    double values[64];
    bool given;
    size_t kept = 0;
    for (size_t i = 0; i < parent->bucket_count && run->status == VZ_OK; i++) {
        struct vz_agg_bucket *bucket = &parent->buckets[i];
        struct vz_error inner = {.offset = VZ_NO_OFFSET};
        bool truth = true;
        if (!bucket_params(run, agg, parent, bucket, values, &given))
            break;
        if (given && compile(run, agg, &s, values)) {
            vz_arena_reset(&s.scratch);
            struct vz_script_run once = {.arena = &s.scratch, .watch = &s.watch};
            struct vz_value *out;
            enum vz_status status;
            if (agg->kind == VZ_AGG_BUCKET_SELECTOR)
                status = vz_script_run_bool(s.script, &once, &truth, &inner);
            else
                status = vz_script_run(s.script, &once, &out, &inner);
            if (status == VZ_CANCELLED)
                status = stopped(&s, &inner);
            if (status != VZ_OK) {
                script_failed(run, agg, &inner, false);
            } else if (agg->kind == VZ_AGG_BUCKET_SCRIPT) {
                if (out->type == VZ_VALUE_INT || out->type == VZ_VALUE_DOUBLE)
                    put_value(run, agg, bucket,
                              out->type == VZ_VALUE_INT ? (double)out->integer : out->number, 0);
                else if (out->type != VZ_VALUE_NULL)
                    vz_agg_fail(run, VZ_BAD_ARGUMENT,
                                "series_arithmetic script for reducer [%.*s] must return a Number",
                                VZ_ARG(agg->name));
            }
        }
        if (truth)
            parent->buckets[kept++] = *bucket;
    }
    if (run->status == VZ_OK)
        parent->bucket_count = kept;
    vz_arena_deinit(&s.program);
    vz_arena_deinit(&s.params);
    vz_arena_deinit(&s.scratch);
}

/* ---- bucket_sort -------------------------------------------------------------------------------
 */

struct sorted {
    struct vz_agg_bucket bucket;
    size_t place;
    double values[VZ_MAX_AGG_ORDERS];
    bool gaps[VZ_MAX_AGG_ORDERS];
    const struct vz_agg *agg;
};

static int by_order(const void *a, const void *b)
{
    const struct sorted *x = a, *y = b;
    for (size_t i = 0; i < x->agg->order_count; i++) {
        const struct vz_agg_order *order = &x->agg->order[i];
        int result = 0;
        if (vz_slice_is(order->path, "_key") && isnan(x->values[i]) && isnan(y->values[i]))
            result = vz_slice_cmp(x->bucket.name, y->bucket.name);
        else if (x->gaps[i] != y->gaps[i])
            return x->gaps[i] ? 1 : -1; /* nothing comes last */
        else
            result = (x->values[i] > y->values[i]) - (x->values[i] < y->values[i]);
        if (result)
            return order->descending ? -result : result;
    }
    return x->place < y->place ? -1 : x->place > y->place;
}

static void bucket_sort(struct vz_agg_run *run, const struct vz_agg *agg,
                        struct vz_agg_result *parent)
{
    size_t count = parent->bucket_count, kept = 0;
    struct sorted *items = vz_calloc(count + 1, sizeof *items);
    for (size_t i = 0; i < count && run->status == VZ_OK; i++) {
        struct sorted *one = &items[kept];
        bool any = agg->order_count == 0;
        *one = (struct sorted){.bucket = parent->buckets[i], .place = i, .agg = agg};
        for (size_t k = 0; k < agg->order_count; k++) {
            bool is_key = vz_slice_is(agg->order[k].path, "_key");
            if (is_key)
                one->values[k] = one->bucket.number;
            else if (!bucket_value(run, agg, agg->order[k].path, parent, &parent->buckets[i],
                                   &one->values[k], &one->gaps[k]))
                break;
            any |= is_key || !one->gaps[k];
        }
        kept += any; /* a bucket without any of the values is a gap itself */
    }
    if (agg->order_count && kept)
        qsort(items, kept, sizeof *items, by_order);
    size_t from = VZ_MIN((size_t)agg->from, kept), size = VZ_MIN((size_t)agg->size, kept - from);
    for (size_t i = 0; i < size && run->status == VZ_OK; i++)
        parent->buckets[i] = items[from + i].bucket;
    if (run->status == VZ_OK)
        parent->bucket_count = size;
    free(items);
}

/* ---- the tree ----------------------------------------------------------------------------------
 */

static void run_parent(struct vz_agg_run *run, const struct vz_agg *agg,
                       struct vz_agg_result *parent)
{
    switch (agg->kind) {
    case VZ_AGG_CUMULATIVE_SUM:
        cumulative_sum(run, agg, parent);
        return;
    case VZ_AGG_DERIVATIVE:
        derivative(run, agg, parent);
        return;
    case VZ_AGG_SERIAL_DIFF:
        serial_diff(run, agg, parent);
        return;
    case VZ_AGG_BUCKET_SORT:
        bucket_sort(run, agg, parent);
        return;
    default:
        run_scripts(run, agg, parent);
    }
}

void vz_agg_reduce(struct vz_agg_run *run, struct vz_agg_result *result)
{
    if (result->form != VZ_FORM_BUCKETS && result->form != VZ_FORM_SINGLE)
        return;
    for (size_t i = 0; i < result->bucket_count; i++)
        for (size_t k = 0; k < result->buckets[i].sub_count && run->status == VZ_OK; k++)
            vz_agg_reduce(run, &result->buckets[i].subs[k]);
    for (size_t p = 0; p < result->agg->pipeline_count && run->status == VZ_OK; p++) {
        const struct vz_agg *agg = result->agg->pipelines[p];
        if (!vz_agg_is_sibling(agg->kind)) {
            run_parent(run, agg, result);
            continue;
        }
        for (size_t i = 0; i < result->bucket_count && run->status == VZ_OK; i++)
            run_sibling(run, agg, &result->buckets[i]);
    }
}

void vz_agg_reduce_top(struct vz_agg_run *run, struct vz_agg_bucket *top)
{
    for (size_t i = 0; i < top->sub_count && run->status == VZ_OK; i++)
        vz_agg_reduce(run, &top->subs[i]);
    for (size_t p = 0; p < run->aggs->pipeline_count && run->status == VZ_OK; p++)
        run_sibling(run, run->aggs->pipelines[p], top);
}
