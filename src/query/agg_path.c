/* buckets_path: "a>b['key']>c.value", "_count", "stats.avg", "percentiles[99.0]". */
#include "query/agg.h"

#include <math.h>
#include <stdlib.h>

/* One element between two ">". A dot parts a name from a property, brackets hold either. */
static bool read_step(struct vz_slice text, struct vz_agg_step *step)
{
    *step = (struct vz_agg_step){.name = text};
    const char *open = text.len ? memchr(text.ptr, '[', text.len) : NULL;
    const char *dot = text.len ? memchr(text.ptr, '.', text.len) : NULL;
    const char *end = text.ptr + text.len;
    if (open && (!dot || open < dot)) {
        const char *close = memchr(open, ']', (size_t)(end - open));
        if (!close)
            return false;
        step->name.len = (size_t)(open - text.ptr);
        struct vz_slice inside = {open + 1, (size_t)(close - open) - 1};
        bool quoted = inside.len >= 2 && (*inside.ptr == '\'' || *inside.ptr == '"') &&
                      inside.ptr[inside.len - 1] == *inside.ptr;
        if (quoted) {
            step->has_key = true;
            step->key = (struct vz_slice){inside.ptr + 1, inside.len - 2};
        } else {
            step->property = inside;
        }
        if (close + 1 < end && close[1] == '.')
            step->property = (struct vz_slice){close + 2, (size_t)(end - close) - 2};
        else if (close + 1 < end)
            return false;
    } else if (dot) {
        step->name.len = (size_t)(dot - text.ptr);
        step->property = (struct vz_slice){dot + 1, (size_t)(end - dot) - 1};
    }
    return step->name.len > 0;
}

bool vz_agg_path_parse(struct vz_slice path, struct vz_agg_steps_of_path *out)
{
    out->count = 0;
    for (;;) {
        const char *next = NULL;
        bool quoted = false;
        for (size_t i = 0; i < path.len && !next; i++) {
            if (path.ptr[i] == '\'' || path.ptr[i] == '"')
                quoted = !quoted;
            if (path.ptr[i] == '>' && !quoted)
                next = path.ptr + i;
        }
        struct vz_slice one = {path.ptr, next ? (size_t)(next - path.ptr) : path.len};
        if (out->count == VZ_COUNT_OF(out->items) || !read_step(one, &out->items[out->count]))
            return false;
        out->count++;
        if (!next)
            return true;
        path = (struct vz_slice){next + 1, path.len - one.len - 1};
    }
}

/* ---- numbers at paths --------------------------------------------------------------------------
 */

static bool no_path(struct vz_agg_run *run, struct vz_slice name, struct vz_slice within)
{
    return vz_agg_fail(run, VZ_BAD_ARGUMENT, "Cannot find an aggregation named [%.*s] in [%.*s]",
                       VZ_ARG(name), VZ_ARG(within));
}

static bool computed_value(const struct vz_agg_result *result, struct vz_slice property,
                           double *out)
{
    enum vz_agg_kind kind = result->agg->kind;
    if (kind == VZ_AGG_STATS_BUCKET || kind == VZ_AGG_EXTENDED_STATS_BUCKET)
        return vz_agg_stats_value(&result->stats, result->agg->sigma,
                                  kind == VZ_AGG_EXTENDED_STATS_BUCKET, property, out);
    if (kind == VZ_AGG_PERCENTILES_BUCKET) {
        struct vz_buf copy = {0};
        vz_buf_append_slice(&copy, property);
        double percent = property.len ? strtod(copy.data, NULL) : NAN;
        vz_buf_deinit(&copy);
        if (!(percent >= 0 && percent <= 100))
            return false;
        *out = result->item_count ? vz_agg_bucket_percentile(result, percent) : NAN;
        return true;
    }
    bool normalized = kind == VZ_AGG_DERIVATIVE && vz_slice_is(property, "normalized_value");
    *out = normalized ? result->normalized : result->value;
    return property.len == 0 || normalized || vz_slice_is(property, "value");
}

static bool result_number(struct vz_agg_run *run, const struct vz_agg_result *result,
                          struct vz_slice property, struct vz_slice path, double *out)
{
    bool fine = false;
    switch (result->form) {
    case VZ_FORM_FIGURE: {
        struct vz_agg_metric m = vz_agg_metric_of(result->node, result->owner);
        fine = vz_agg_metric_value(result->node, property, result->owner, out);
        enum vz_agg_kind kind = result->agg->kind;
        if ((kind == VZ_AGG_MIN || kind == VZ_AGG_MAX) && m.count == 0)
            *out = kind == VZ_AGG_MIN ? INFINITY : -INFINITY;
        break;
    }
    case VZ_FORM_COMPUTED:
        fine = computed_value(result, property, out);
        break;
    case VZ_FORM_SINGLE:
        *out = (double)result->buckets[0].doc_count;
        fine = vz_slice_is(property, "_count") || vz_slice_is(property, "doc_count");
        break;
    case VZ_FORM_BUCKETS:
        *out = (double)result->bucket_count;
        fine = vz_slice_is(property, "_bucket_count");
        break;
    }
    if (fine)
        return true;
    if (property.len)
        return vz_agg_fail(run, VZ_BAD_ARGUMENT, "path not supported for [%.*s]: [%.*s].",
                           VZ_ARG(result->agg->name), VZ_ARG(property));
    return vz_agg_fail(run, VZ_BAD_ARGUMENT,
                       "buckets_path must reference either a number value or a single value numeric "
                       "metric aggregation, but [%.*s] contains multiple values. Please specify "
                       "which to use.",
                       VZ_ARG(path));
}

static const struct vz_agg_bucket *find_bucket(const struct vz_agg_result *result,
                                               struct vz_slice key)
{
    for (size_t i = 0; i < result->bucket_count; i++)
        if (vz_slice_eq(result->buckets[i].name, key))
            return &result->buckets[i];
    return NULL;
}

bool vz_agg_path_number(struct vz_agg_run *run, const struct vz_agg_bucket *bucket,
                        struct vz_slice path, const struct vz_agg_result *parent, double *out)
{
    struct vz_agg_steps_of_path steps;
    struct vz_slice within = parent ? parent->agg->name : VZ_SLICE("aggs");
    vz_agg_path_parse(path, &steps);
    *out = NAN;
    run->path_absent = false;
    for (size_t s = 0; s < steps.count; s++) {
        const struct vz_agg_step *step = &steps.items[s];
        const struct vz_agg_result *found = NULL;
        bool last = s + 1 == steps.count;
        if (last && vz_slice_is(step->name, "_count")) {
            *out = (double)bucket->doc_count;
            return true;
        }
        if (last && vz_slice_is(step->name, "_key")) {
            *out = bucket->number;
            return true;
        }
        for (size_t i = 0; i < bucket->sub_count && !found; i++)
            if (vz_slice_eq(bucket->subs[i].agg->name, step->name))
                found = &bucket->subs[i];
        if (!found) {
            if (parent && s == 0)
                for (size_t i = 0; i < parent->agg->pipeline_count; i++)
                    if (vz_slice_eq(parent->agg->pipelines[i]->name, step->name))
                        return run->path_absent = true;
            return no_path(run, step->name, within);
        }
        if (last && !step->has_key)
            return result_number(run, found, step->property, path, out);
        if (step->has_key) {
            if (found->form != VZ_FORM_BUCKETS)
                return no_path(run, step->name, within);
            bucket = find_bucket(found, step->key);
            if (!bucket)
                return true; /* a gap */
            if (last) {
                *out = (double)bucket->doc_count;
                return vz_slice_is(step->property, "_count") ||
                       result_number(run, found, VZ_SLICE("value"), path, out);
            }
        } else if (found->form == VZ_FORM_SINGLE) {
            bucket = &found->buckets[0];
        } else if (found->form == VZ_FORM_BUCKETS && s + 2 == steps.count &&
                   vz_slice_is(steps.items[s + 1].name, "_bucket_count")) {
            *out = (double)found->bucket_count;
            return true;
        } else {
            return result_number(run, found, steps.items[s + 1].name, path, out);
        }
        within = found->agg->name;
        parent = NULL;
    }
    return true;
}
