/* Aggregations: reading the tree of them from a body. Tables of kinds lead the way (the options of
 * each are agg_options.c's); what Elasticsearch has and vizsla has not is refused by name. */
#include "query/agg.h"

#include <stdlib.h>

static const char *const kinds[VZ_AGG_KINDS] = {
    [VZ_AGG_TERMS] = "terms",
    [VZ_AGG_RARE_TERMS] = "rare_terms",
    [VZ_AGG_SIGNIFICANT_TERMS] = "significant_terms",
    [VZ_AGG_MULTI_TERMS] = "multi_terms",
    [VZ_AGG_COMPOSITE] = "composite",
    [VZ_AGG_GEOHASH_GRID] = "geohash_grid",
    [VZ_AGG_GEOTILE_GRID] = "geotile_grid",
    [VZ_AGG_HISTOGRAM] = "histogram",
    [VZ_AGG_DATE_HISTOGRAM] = "date_histogram",
    [VZ_AGG_RANGE] = "range",
    [VZ_AGG_DATE_RANGE] = "date_range",
    [VZ_AGG_GEO_DISTANCE] = "geo_distance",
    [VZ_AGG_FILTERS] = "filters",
    [VZ_AGG_ADJACENCY] = "adjacency_matrix",
    [VZ_AGG_FILTER] = "filter",
    [VZ_AGG_GLOBAL] = "global",
    [VZ_AGG_MISSING] = "missing",
    [VZ_AGG_NESTED] = "nested",
    [VZ_AGG_REVERSE_NESTED] = "reverse_nested",
    [VZ_AGG_SAMPLER] = "sampler",
    [VZ_AGG_DIVERSIFIED_SAMPLER] = "diversified_sampler",
    [VZ_AGG_MIN] = "min",
    [VZ_AGG_MAX] = "max",
    [VZ_AGG_AVG] = "avg",
    [VZ_AGG_SUM] = "sum",
    [VZ_AGG_STATS] = "stats",
    [VZ_AGG_EXTENDED_STATS] = "extended_stats",
    [VZ_AGG_VALUE_COUNT] = "value_count",
    [VZ_AGG_WEIGHTED_AVG] = "weighted_avg",
    [VZ_AGG_CARDINALITY] = "cardinality",
    [VZ_AGG_PERCENTILES] = "percentiles",
    [VZ_AGG_PERCENTILE_RANKS] = "percentile_ranks",
    [VZ_AGG_MEDIAN_DEVIATION] = "median_absolute_deviation",
    [VZ_AGG_BOXPLOT] = "boxplot",
    [VZ_AGG_STRING_STATS] = "string_stats",
    [VZ_AGG_GEO_BOUNDS] = "geo_bounds",
    [VZ_AGG_GEO_CENTROID] = "geo_centroid",
    [VZ_AGG_TOP_HITS] = "top_hits",
    [VZ_AGG_AVG_BUCKET] = "avg_bucket",
    [VZ_AGG_SUM_BUCKET] = "sum_bucket",
    [VZ_AGG_MIN_BUCKET] = "min_bucket",
    [VZ_AGG_MAX_BUCKET] = "max_bucket",
    [VZ_AGG_STATS_BUCKET] = "stats_bucket",
    [VZ_AGG_EXTENDED_STATS_BUCKET] = "extended_stats_bucket",
    [VZ_AGG_PERCENTILES_BUCKET] = "percentiles_bucket",
    [VZ_AGG_CUMULATIVE_SUM] = "cumulative_sum",
    [VZ_AGG_DERIVATIVE] = "derivative",
    [VZ_AGG_SERIAL_DIFF] = "serial_diff",
    [VZ_AGG_BUCKET_SCRIPT] = "bucket_script",
    [VZ_AGG_BUCKET_SELECTOR] = "bucket_selector",
    [VZ_AGG_BUCKET_SORT] = "bucket_sort",
};
static const char *const refused_kinds[] = {
    "auto_date_histogram",
    "bucket_correlation",
    "bucket_count_ks_test",
    "categorize_text",
    "change_point",
    "children",
    "cumulative_cardinality",
    "frequent_item_sets",
    "geo_line",
    "geohex_grid",
    "inference",
    "ip_prefix",
    "ip_range",
    "cartesian_bounds",
    "cartesian_centroid",
    "matrix_stats",
    "moving_fn",
    "moving_percentiles",
    "normalize",
    "parent",
    "random_sampler",
    "rate",
    "scripted_metric",
    "significant_text",
    "t_test",
    "time_series",
    "top_metrics",
    "variable_width_histogram",
};

const char *vz_agg_kind_name(enum vz_agg_kind kind)
{
    return kinds[kind];
}

struct reader {
    struct vz_parser *parser;
    unsigned depth, count;
    bool need_scores;
};

/* The children of one place: buckets and figures in a list, pipelines beside them. */
struct children {
    struct vz_agg *first;
    size_t count;
    struct vz_agg **pipelines;
    size_t pipeline_count;
};

static enum vz_status parse_body(struct reader *reader, struct vz_agg *agg, struct vz_json value,
                                 struct vz_error *err)
{
    struct vz_json_iter it = vz_json_iterate(value);
    struct vz_slice key;
    struct vz_json member;
    if (vz_json_type(value) != VZ_JSON_OBJECT)
        return vz_fail(err, VZ_BAD_QUERY,
                       "Expected [START_OBJECT] under [%s], but got a [%s] in [%.*s]",
                       kinds[agg->kind], vz_query_token(value), VZ_ARG(agg->name));
    if (agg->kind == VZ_AGG_FILTER)
        return vz_query_parse_list(reader->parser, value, &agg->filters, err);
    if (agg->kind == VZ_AGG_TOP_HITS)
        return vz_agg_option(reader->parser, agg, (struct vz_slice){0}, value, err);
    while (vz_json_next(&it, &key, &member)) {
        enum vz_status status = vz_agg_option(reader->parser, agg, key, member, err);
        if (status == VZ_NOT_FOUND)
            return vz_fail(err, VZ_BAD_QUERY, "[%s] unknown field [%.*s]", kinds[agg->kind],
                           VZ_ARG(key));
        if (status != VZ_OK)
            return status;
    }
    return vz_agg_check(agg, err);
}

static enum vz_status find_kind(struct vz_slice key, struct vz_agg *agg, struct vz_error *err)
{
    for (size_t i = 0; i < VZ_AGG_KINDS; i++) {
        if (vz_slice_is(key, kinds[i])) {
            agg->kind = (enum vz_agg_kind)i;
            return VZ_OK;
        }
    }
    for (size_t i = 0; i < VZ_COUNT_OF(refused_kinds); i++)
        if (vz_slice_is(key, refused_kinds[i]))
            return vz_fail(err, VZ_UNSUPPORTED, "aggregation [%s] is not supported yet by vizsla",
                           refused_kinds[i]);
    return vz_fail(err, VZ_BAD_QUERY, "Unknown aggregation type [%.*s]", VZ_ARG(key));
}

static enum vz_status parse_list(struct reader *reader, const struct vz_agg *parent,
                                 struct vz_json value, struct children *out, struct vz_error *err);

static void set_defaults(struct vz_agg *agg)
{
    static double percents[] = {1, 5, 25, 50, 75, 95, 99};
    agg->size = agg->kind == VZ_AGG_GEOHASH_GRID || agg->kind == VZ_AGG_GEOTILE_GRID ? 10000 : 10;
    agg->precision = agg->kind == VZ_AGG_GEOHASH_GRID ? 5 : 7;
    if (agg->kind == VZ_AGG_BUCKET_SORT)
        agg->size = UINT32_MAX;
    agg->sigma = 2;
    agg->shard_size = 100;
    agg->per_value = 1;
    agg->max_doc_count = 1;
    agg->meters = 1;
    agg->lag = 1;
    if (agg->kind != VZ_AGG_PERCENTILE_RANKS) {
        agg->percents = percents;
        agg->percent_count = VZ_COUNT_OF(percents);
    }
}

static enum vz_status parse_one(struct reader *reader, struct vz_agg *agg, struct vz_json value,
                                struct vz_json *subs, struct vz_error *err)
{
    struct vz_json_iter it = vz_json_iterate(value);
    struct vz_slice key;
    struct vz_json member;
    bool found = false;
    *subs = (struct vz_json){0};
    while (vz_json_next(&it, &key, &member)) {
        enum vz_status status = VZ_OK;
        if (vz_slice_is(key, "aggs") || vz_slice_is(key, "aggregations")) {
            *subs = member;
        } else if (vz_slice_is(key, "meta")) {
            agg->meta = member;
        } else if (found) {
            status = vz_fail(err, VZ_BAD_QUERY,
                             "Found two aggregation type definitions in [%.*s]: [%s] and [%.*s]",
                             VZ_ARG(agg->name), kinds[agg->kind], VZ_ARG(key));
        } else {
            found = true;
            status = find_kind(key, agg, err);
            if (status == VZ_OK) {
                set_defaults(agg);
                status = parse_body(reader, agg, member, err);
            }
        }
        if (status != VZ_OK)
            return status;
    }
    if (!found)
        return vz_fail(err, VZ_BAD_QUERY, "Missing definition for aggregation [%.*s]",
                       VZ_ARG(agg->name));
    if (vz_json_type(*subs) == VZ_JSON_MISSING)
        return VZ_OK;
    if ((vz_agg_is_metric(agg->kind) || vz_agg_is_pipeline(agg->kind)) && vz_json_count(*subs))
        return vz_fail(err, VZ_BAD_QUERY,
                       vz_agg_is_pipeline(agg->kind)
                           ? "Aggregation [%.*s] cannot define sub-aggregations of [%s]"
                           : "Aggregator [%.*s] of type [%s] cannot accept sub-aggregations",
                       VZ_ARG(agg->name), kinds[agg->kind]);
    return VZ_OK;
}

static bool good_name(struct vz_slice name)
{
    for (size_t i = 0; i < name.len; i++)
        if (name.ptr[i] == '[' || name.ptr[i] == ']' || name.ptr[i] == '>')
            return false;
    return name.len > 0;
}

/* Where an aggregation may stand. */
static enum vz_status check_place(const struct vz_agg *parent, const struct vz_agg *agg,
                                  struct vz_error *err)
{
    if (agg->kind == VZ_AGG_GLOBAL && parent)
        return vz_fail(err, VZ_BAD_QUERY,
                       "Aggregation [%.*s] cannot have a global sub-aggregation",
                       VZ_ARG(parent->name));
    if (agg->kind == VZ_AGG_COMPOSITE && parent && parent->kind != VZ_AGG_NESTED &&
        parent->kind != VZ_AGG_FILTER)
        return vz_fail(err, VZ_BAD_ARGUMENT,
                       "[composite] aggregation cannot be used with a parentAggregation of type: "
                       "[%s]",
                       kinds[parent->kind]);
    return VZ_OK;
}

static enum vz_status parse_named(struct reader *reader, const struct vz_agg *parent,
                                  struct vz_slice name, struct vz_json value, struct vz_agg **out,
                                  struct vz_error *err)
{
    struct vz_json subs;
    struct children children = {0};
    if (!good_name(name))
        return vz_fail(err, VZ_BAD_QUERY,
                       "Invalid aggregation name [%.*s]. Aggregation names can contain any "
                       "character except '[', ']', and '>'",
                       VZ_ARG(name));
    if (++reader->count > VZ_MAX_AGGS)
        return vz_fail(err, VZ_BAD_QUERY, "more than [%d] aggregations", VZ_MAX_AGGS);
    if (vz_json_type(value) != VZ_JSON_OBJECT)
        return vz_fail(err, VZ_BAD_QUERY,
                       "Aggregation definition for [%.*s] starts with a [%s], expected a "
                       "[START_OBJECT].",
                       VZ_ARG(name), vz_query_token(value));
    struct vz_agg *agg = *out = vz_arena_zalloc(reader->parser->arena, sizeof *agg);
    agg->name = name;
    enum vz_status status = parse_one(reader, agg, value, &subs, err);
    if (status == VZ_OK)
        status = check_place(parent, agg, err);
    if (status == VZ_OK && vz_json_type(subs) != VZ_JSON_MISSING)
        status = parse_list(reader, agg, subs, &children, err);
    agg->subs = children.first;
    agg->sub_count = children.count;
    agg->pipelines = children.pipelines;
    agg->pipeline_count = children.pipeline_count;
    reader->need_scores |= agg->kind == VZ_AGG_TOP_HITS || agg->kind == VZ_AGG_SAMPLER ||
                           agg->kind == VZ_AGG_DIVERSIFIED_SAMPLER || agg->source.script;
    return status;
}

static enum vz_status parse_list(struct reader *reader, const struct vz_agg *parent,
                                 struct vz_json value, struct children *out, struct vz_error *err)
{
    struct vz_json_iter it = vz_json_iterate(value);
    struct vz_slice name;
    struct vz_json member;
    struct vz_agg **end = &out->first;
    if (vz_json_type(value) != VZ_JSON_OBJECT)
        return vz_fail(err, VZ_BAD_QUERY, "[aggs] expected an object but got %s",
                       vz_query_token(value));
    if (++reader->depth > VZ_MAX_AGG_DEPTH)
        return vz_fail(err, VZ_BAD_QUERY, "aggregations are nested deeper than [%d] levels",
                       VZ_MAX_AGG_DEPTH);
    out->pipelines = vz_arena_alloc(reader->parser->arena,
                                    (vz_json_count(value) + 1) * sizeof(*out->pipelines));
    while (vz_json_next(&it, &name, &member)) {
        struct vz_agg *agg = NULL;
        enum vz_status status = parse_named(reader, parent, name, member, &agg, err);
        if (status != VZ_OK)
            return status;
        if (vz_agg_is_pipeline(agg->kind)) {
            out->pipelines[out->pipeline_count++] = agg;
            continue;
        }
        *end = agg;
        end = &agg->next;
        out->count++;
    }
    reader->depth--;
    return vz_agg_pipelines_resolve(reader->parser->arena, parent, out->first, out->pipelines,
                                    out->pipeline_count, err);
}

enum vz_status vz_agg_parse(struct vz_parser *parser, struct vz_json value, struct vz_aggs **out,
                            struct vz_error *err)
{
    struct reader reader = {.parser = parser};
    struct children children = {0};
    *out = NULL;
    enum vz_status status = parse_list(&reader, NULL, value, &children, err);
    if (status != VZ_OK || (children.count == 0 && children.pipeline_count == 0))
        return status;
    struct vz_aggs *aggs = *out = vz_arena_zalloc(parser->arena, sizeof *aggs);
    *aggs = (struct vz_aggs){children.first, children.count, children.pipelines,
                             children.pipeline_count, reader.need_scores};
    return VZ_OK;
}
