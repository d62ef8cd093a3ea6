/* Pipeline aggregations: reading them, and in which order they run. */
#include "query/agg.h"

#include <math.h>
#include <stdlib.h>

#define MAX_PATHS 64

static enum vz_status add_path(struct vz_parser *parser, struct vz_agg *agg, struct vz_slice name,
                               struct vz_json value, struct vz_error *err)
{
    struct vz_agg_steps_of_path steps;
    struct vz_slice path = vz_json_string(value);
    if (vz_json_type(value) != VZ_JSON_STRING || agg->path_count == MAX_PATHS)
        return vz_agg_bad(agg, VZ_SLICE("buckets_path"), value, err);
    if (!vz_agg_path_parse(path, &steps))
        return vz_fail(err, VZ_BAD_ARGUMENT, "Invalid path [%.*s] in [%.*s]", VZ_ARG(path),
                       VZ_ARG(agg->name));
    if (!agg->paths)
        agg->paths = vz_arena_zalloc(parser->arena, MAX_PATHS * sizeof(*agg->paths));
    agg->paths[agg->path_count++] = (struct vz_agg_path){name, path};
    return VZ_OK;
}

static enum vz_status parse_paths(struct vz_parser *parser, struct vz_agg *agg,
                                  struct vz_json value, struct vz_error *err)
{
    bool named = agg->kind == VZ_AGG_BUCKET_SCRIPT || agg->kind == VZ_AGG_BUCKET_SELECTOR;
    struct vz_json_iter it = vz_json_iterate(value);
    struct vz_slice key;
    struct vz_json member;
    enum vz_status status = VZ_OK;
    agg->path_count = 0;
    if (vz_json_type(value) == VZ_JSON_STRING)
        return add_path(parser, agg, named ? VZ_SLICE("_value") : (struct vz_slice){0}, value, err);
    if (vz_json_type(value) == VZ_JSON_ARRAY) {
        for (int i = 0; status == VZ_OK && vz_json_next(&it, NULL, &member); i++)
            status = add_path(parser, agg,
                              vz_slice_from(vz_arena_printf(parser->arena, "_value%d", i)), member,
                              err);
        return status;
    }
    if (vz_json_type(value) != VZ_JSON_OBJECT || !named)
        return vz_agg_bad(agg, VZ_SLICE("buckets_path"), value, err);
    while (status == VZ_OK && vz_json_next(&it, &key, &member))
        status = add_path(parser, agg, key, member, err);
    return status;
}

static enum vz_status parse_gap(struct vz_agg *agg, struct vz_json value, struct vz_error *err)
{
    struct vz_slice text = vz_json_string(value);
    if (vz_slice_is(text, "skip"))
        agg->gap = VZ_GAP_SKIP;
    else if (vz_slice_is(text, "insert_zeros"))
        agg->gap = VZ_GAP_ZEROS;
    else if (vz_slice_is(text, "keep_values"))
        agg->gap = VZ_GAP_KEEP;
    else
        return vz_fail(err, VZ_BAD_QUERY,
                       "Invalid gap policy: [%.*s], accepted values: [insert_zeros, skip, "
                       "keep_values]",
                       VZ_ARG(text));
    return VZ_OK;
}

static enum vz_status parse_sort(struct vz_parser *parser, struct vz_agg *agg,
                                 struct vz_json value, struct vz_error *err)
{
    struct vz_sort_key *keys;
    size_t count;
    bool descending_score = false;
    struct vz_agg_steps_of_path steps;
    enum vz_status status = vz_sort_parse(value, parser->arena, &keys, &count, err);
    if (status != VZ_OK)
        return status;
    if (count > VZ_MAX_AGG_ORDERS)
        return vz_fail(err, VZ_BAD_QUERY, "more than [%d] sort keys", VZ_MAX_AGG_ORDERS);
    agg->order = vz_arena_zalloc(parser->arena, VZ_MAX_AGG_ORDERS * sizeof(*agg->order));
    (void)descending_score;
    for (size_t i = 0; i < count; i++) {
        if (keys[i].kind != VZ_SORT_FIELD || !vz_agg_path_parse(keys[i].field, &steps))
            return vz_fail(err, VZ_BAD_ARGUMENT, "Invalid sort of the aggregation [%.*s]",
                           VZ_ARG(agg->name));
        agg->order[agg->order_count++] = (struct vz_agg_order){keys[i].field, keys[i].descending};
    }
    return VZ_OK;
}

static enum vz_status parse_unsigned(const struct vz_agg *agg, struct vz_slice key,
                                     struct vz_json value, int64_t least, uint32_t *out,
                                     struct vz_error *err)
{
    int64_t number;
    if (!vz_json_as_int(value, &number))
        return vz_agg_bad(agg, key, value, err);
    if (number < least)
        return vz_fail(err, VZ_BAD_ARGUMENT,
                       least ? "[%.*s] must be a positive integer: [%lld]"
                             : "[%.*s] must be a non-negative integer: [%lld]",
                       VZ_ARG(key), (long long)number);
    *out = (uint32_t)VZ_MIN(number, (int64_t)INT32_MAX);
    return VZ_OK;
}

static enum vz_status parse_unit(struct vz_agg *agg, struct vz_json value, struct vz_error *err)
{
    static const struct {
        const char *name;
        double ms;
    } units[] = {{"second", 1e3},    {"1s", 1e3},       {"minute", 6e4},     {"1m", 6e4},
                 {"hour", 36e5},     {"1h", 36e5},      {"day", 864e5},      {"1d", 864e5},
                 {"week", 6048e5},   {"1w", 6048e5},    {"month", 2629746e3}, {"1M", 2629746e3},
                 {"quarter", 7889238e3}, {"1q", 7889238e3}, {"year", 31556952e3}, {"1y", 31556952e3}};
    struct vz_slice text = vz_json_string(value);
    for (size_t i = 0; i < VZ_COUNT_OF(units); i++)
        if (vz_slice_is(text, units[i].name)) {
            agg->unit_ms = units[i].ms;
            return VZ_OK;
        }
    if (vz_query_duration(text, &agg->unit_ms) && agg->unit_ms > 0)
        return VZ_OK;
    return vz_agg_bad(agg, VZ_SLICE("unit"), value, err);
}

static enum vz_status parse_percents(struct vz_parser *parser, struct vz_agg *agg,
                                     struct vz_json value, struct vz_error *err)
{
    size_t count = vz_json_count(value);
    struct vz_json_iter it = vz_json_iterate(value);
    struct vz_json element;
    if (vz_json_type(value) != VZ_JSON_ARRAY || count > 1000)
        return vz_agg_bad(agg, VZ_SLICE("percents"), value, err);
    agg->percents = vz_arena_alloc(parser->arena, (count + 1) * sizeof(double));
    agg->percent_count = 0;
    while (vz_json_next(&it, NULL, &element)) {
        double number;
        if (!vz_json_as_double(element, &number) || !(number >= 0 && number <= 100))
            return vz_fail(err, VZ_BAD_ARGUMENT,
                           "percents must only contain non-null doubles from 0.0-100.0 inclusive");
        agg->percents[agg->percent_count++] = number;
    }
    return VZ_OK;
}

enum vz_status vz_agg_pipeline_option(struct vz_parser *parser, struct vz_agg *agg,
                                      struct vz_slice key, struct vz_json value,
                                      struct vz_error *err)
{
    enum vz_agg_kind kind = agg->kind;
    bool scripted = kind == VZ_AGG_BUCKET_SCRIPT || kind == VZ_AGG_BUCKET_SELECTOR;
    if (vz_slice_is(key, "buckets_path") && kind != VZ_AGG_BUCKET_SORT)
        return parse_paths(parser, agg, value, err);
    if (vz_slice_is(key, "gap_policy") && kind != VZ_AGG_CUMULATIVE_SUM)
        return parse_gap(agg, value, err);
    if (vz_slice_is(key, "format") && kind != VZ_AGG_BUCKET_SELECTOR &&
        kind != VZ_AGG_BUCKET_SORT) {
        agg->source.format = vz_json_string(value);
        return VZ_OK;
    }
    if (vz_slice_is(key, "script") && scripted) {
        struct vz_script_text *script = vz_arena_zalloc(parser->arena, sizeof *script);
        agg->script = script;
        return vz_script_text_parse(vz_agg_kind_name(kind), value, script, err);
    }
    if (kind == VZ_AGG_BUCKET_SORT) {
        if (vz_slice_is(key, "sort"))
            return parse_sort(parser, agg, value, err);
        if (vz_slice_is(key, "from"))
            return parse_unsigned(agg, key, value, 0, &agg->from, err);
        if (vz_slice_is(key, "size"))
            return parse_unsigned(agg, key, value, 1, &agg->size, err);
    }
    if (kind == VZ_AGG_SERIAL_DIFF && vz_slice_is(key, "lag"))
        return parse_unsigned(agg, key, value, 1, &agg->lag, err);
    if (kind == VZ_AGG_DERIVATIVE && vz_slice_is(key, "unit"))
        return parse_unit(agg, value, err);
    if (kind == VZ_AGG_PERCENTILES_BUCKET && vz_slice_is(key, "percents"))
        return parse_percents(parser, agg, value, err);
    if (kind == VZ_AGG_PERCENTILES_BUCKET && vz_slice_is(key, "keyed")) {
        agg->has_keyed = true;
        return vz_json_as_bool(value, &agg->keyed) ? VZ_OK : vz_agg_bad(agg, key, value, err);
    }
    if (kind == VZ_AGG_EXTENDED_STATS_BUCKET && vz_slice_is(key, "sigma"))
        return vz_json_as_double(value, &agg->sigma) && agg->sigma >= 0
                   ? VZ_OK
                   : vz_fail(err, VZ_BAD_QUERY, "[sigma] must be a non-negative double");
    return VZ_NOT_FOUND;
}

/* ---- together ----------------------------------------------------------------------------------
 */

static const struct vz_agg *find_sub(const struct vz_agg *subs, struct vz_slice name)
{
    for (const struct vz_agg *sub = subs; sub; sub = sub->next)
        if (vz_slice_eq(sub->name, name))
            return sub;
    return NULL;
}

static struct vz_agg *find_pipeline(struct vz_agg **pipelines, size_t count, struct vz_slice name)
{
    for (size_t i = 0; i < count; i++)
        if (vz_slice_eq(pipelines[i]->name, name))
            return pipelines[i];
    return NULL;
}

static bool is_multi(enum vz_agg_kind kind)
{
    return kind <= VZ_AGG_ADJACENCY;
}

/* A pipeline over siblings' buckets: the path leads through single buckets to several. */
static enum vz_status check_sibling(const struct vz_agg *agg, const struct vz_agg *subs,
                                    struct vz_error *err)
{
    struct vz_agg_steps_of_path steps;
    if (agg->path_count != 1)
        return vz_fail(err, VZ_BAD_QUERY,
                       "Validation Failed: 1: buckets_path must contain a single entry for "
                       "aggregation [%.*s];",
                       VZ_ARG(agg->name));
    vz_agg_path_parse(agg->paths[0].path, &steps);
    const struct vz_agg *at = find_sub(subs, steps.items[0].name);
    if (!at)
        return vz_fail(err, VZ_BAD_QUERY,
                       "Validation Failed: 1: buckets_path aggregation does not exist for "
                       "aggregation [%.*s]: %.*s;",
                       VZ_ARG(agg->name), VZ_ARG(agg->paths[0].path));
    for (size_t i = 1; at && vz_agg_is_single(at->kind) && i < steps.count; i++)
        at = find_sub(at->subs, steps.items[i].name);
    if (!at || !is_multi(at->kind))
        return vz_fail(err, VZ_BAD_QUERY,
                       "Validation Failed: 1: Unable to find unqualified multi-bucket aggregation "
                       "in buckets_path. Path must include a multi-bucket aggregation for "
                       "aggregation [%.*s] found :%s for buckets path: %.*s;",
                       VZ_ARG(agg->name), at ? vz_agg_kind_name(at->kind) : "nothing",
                       VZ_ARG(agg->paths[0].path));
    return VZ_OK;
}

static enum vz_status check_parent(const struct vz_agg *agg, const struct vz_agg *parent,
                                   struct vz_error *err)
{
    const char *kind = vz_agg_kind_name(agg->kind);
    bool sequential = agg->kind == VZ_AGG_CUMULATIVE_SUM || agg->kind == VZ_AGG_DERIVATIVE ||
                      agg->kind == VZ_AGG_SERIAL_DIFF;
    if (!parent && sequential)
        return vz_fail(err, VZ_BAD_QUERY,
                       "Validation Failed: 1: %s aggregation [%.*s] must have a histogram, "
                       "date_histogram or auto_date_histogram as parent but doesn't have a parent;",
                       kind, VZ_ARG(agg->name));
    if (!parent || !is_multi(parent->kind))
        return vz_fail(err, VZ_BAD_QUERY,
                       "Validation Failed: 1: %s aggregation [%.*s] must be declared inside of "
                       "another aggregation;",
                       kind, VZ_ARG(agg->name));
    if (!sequential)
        return VZ_OK;
    if (parent->kind != VZ_AGG_HISTOGRAM && parent->kind != VZ_AGG_DATE_HISTOGRAM)
        return vz_fail(err, VZ_BAD_QUERY,
                       "Validation Failed: 1: %s aggregation [%.*s] must have a histogram, "
                       "date_histogram or auto_date_histogram as parent;",
                       kind, VZ_ARG(agg->name));
    if (parent->has_min_doc_count && parent->min_doc_count > 0)
        return vz_fail(err, VZ_BAD_QUERY,
                       "Validation Failed: 1: parent histogram of %s aggregation [%.*s] must have "
                       "min_doc_count of 0;",
                       kind, VZ_ARG(agg->name));
    return VZ_OK;
}

static enum vz_status check_pipeline(const struct vz_agg *agg, const struct vz_agg *parent,
                                     const struct vz_agg *subs, struct vz_agg **all, size_t count,
                                     struct vz_error *err)
{
    if (agg->kind == VZ_AGG_BUCKET_SORT) {
        if (agg->order_count == 0 && agg->from == 0 && agg->size == UINT32_MAX)
            return vz_fail(err, VZ_BAD_QUERY,
                           "Validation Failed: 1: [%.*s] is configured to perform nothing. Please "
                           "set either of [sort, size, from] to use bucket_sort;",
                           VZ_ARG(agg->name));
        return check_parent(agg, parent, err);
    }
    if (agg->path_count == 0)
        return vz_fail(err, VZ_BAD_QUERY, "Required [buckets_path]");
    if ((agg->kind == VZ_AGG_BUCKET_SCRIPT || agg->kind == VZ_AGG_BUCKET_SELECTOR) && !agg->script)
        return vz_fail(err, VZ_BAD_QUERY, "Required [script]");
    if (vz_agg_is_sibling(agg->kind))
        return check_sibling(agg, subs, err);
    for (size_t i = 0; i < agg->path_count; i++) {
        struct vz_agg_steps_of_path steps;
        vz_agg_path_parse(agg->paths[i].path, &steps);
        struct vz_slice first = steps.items[0].name;
        if (!vz_slice_is(first, "_count") && !vz_slice_is(first, "_key") && !find_sub(subs, first) &&
            !find_pipeline(all, count, first))
            return vz_fail(err, VZ_BAD_ARGUMENT, "No aggregation found for path [%.*s]",
                           VZ_ARG(agg->paths[i].path));
    }
    return check_parent(agg, parent, err);
}

/* Does `agg` read what `other` computes? */
static bool depends_on(const struct vz_agg *agg, const struct vz_agg *other)
{
    struct vz_agg_steps_of_path steps;
    for (size_t i = 0; i < agg->path_count; i++) {
        vz_agg_path_parse(agg->paths[i].path, &steps);
        if (vz_slice_eq(steps.items[0].name, other->name))
            return true;
    }
    for (size_t i = 0; agg->kind == VZ_AGG_BUCKET_SORT && i < agg->order_count; i++) {
        vz_agg_path_parse(agg->order[i].path, &steps);
        if (vz_slice_eq(steps.items[0].name, other->name))
            return true;
    }
    return false;
}

enum vz_status vz_agg_pipelines_resolve(struct vz_arena *arena, const struct vz_agg *parent,
                                        const struct vz_agg *subs, struct vz_agg **pipelines,
                                        size_t count, struct vz_error *err)
{
    struct vz_agg **sorted = vz_arena_alloc(arena, (count + 1) * sizeof(*sorted));
    bool *done = vz_arena_zalloc(arena, count + 1);
    size_t placed = 0;
    for (size_t i = 0; i < count; i++) {
        enum vz_status status = check_pipeline(pipelines[i], parent, subs, pipelines, count, err);
        if (status != VZ_OK)
            return status;
    }
    while (placed < count) {
        size_t before = placed;
        for (size_t i = 0; i < count; i++) {
            bool ready = !done[i];
            for (size_t j = 0; j < count && ready; j++)
                ready = done[j] || !depends_on(pipelines[i], pipelines[j]);
            if (!ready)
                continue;
            done[i] = true;
            sorted[placed++] = pipelines[i];
        }
        if (placed == before)
            return vz_fail(err, VZ_BAD_ARGUMENT,
                           "Cyclical dependency found with pipeline aggregator [%.*s]",
                           VZ_ARG(pipelines[0]->name));
    }
    if (count)
        memcpy(pipelines, sorted, count * sizeof(*sorted));
    return VZ_OK;
}
