/* Aggregations: reading them from a body. Tables of kinds and options lead the way; what
 * Elasticsearch has and vizsla has not is refused by name. */
#include "query/agg.h"
#include "query/scripting.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static const char *const kinds[] = {
    "terms",       "range",       "date_range",  "histogram", "date_histogram",
    "filter",      "filters",     "global",      "missing",   "min",
    "max",         "avg",         "sum",         "stats",     "extended_stats",
    "value_count", "cardinality", "percentiles",
};
static const char *const refused_kinds[] = {
    "top_hits",
    "composite",
    "multi_terms",
    "nested",
    "reverse_nested",
    "geo_distance",
    "geohash_grid",
    "geotile_grid",
    "geo_bounds",
    "geo_centroid",
    "significant_terms",
    "sampler",
    "adjacency_matrix",
    "auto_date_histogram",
    "bucket_sort",
    "bucket_selector",
    "bucket_script",
    "cumulative_sum",
    "derivative",
    "percentile_ranks",
    "weighted_avg",
    "median_absolute_deviation",
    "scripted_metric",
    "rare_terms",
    "ip_range",
    "children",
    "parent",
    "avg_bucket",
    "max_bucket",
    "min_bucket",
    "sum_bucket",
    "stats_bucket",
    "top_metrics",
    "boxplot",
    "matrix_stats",
    "string_stats",
    "rate",
    "moving_fn",
    "diversified_sampler",
    "significant_text",
    "variable_width_histogram",
    "serial_diff",
    "random_sampler",
    "categorize_text",
    "frequent_item_sets",
    "time_series",
    "ip_prefix",
    "extended_stats_bucket",
    "percentiles_bucket",
    "normalize",
    "inference",
    "t_test",
    "geo_line",
};

const char *vz_agg_kind_name(enum vz_agg_kind kind)
{
    return kinds[kind];
}

struct reader {
    struct vz_parser *parser;
    unsigned depth, count;
};

static enum vz_status bad(const struct vz_agg *agg, struct vz_slice key, struct vz_json value,
                          struct vz_error *err)
{
    return vz_fail(err, VZ_BAD_QUERY, "[%s] [%.*s] of aggregation [%.*s] cannot be %s",
                   kinds[agg->kind], VZ_ARG(key), VZ_ARG(agg->name), vz_query_token(value));
}

/* "+02:00", "-0530", "Z", "UTC" */
static bool read_zone(struct vz_slice text, int64_t *ms)
{
    char sign, rest;
    unsigned hours, minutes = 0;
    char copy[16];
    *ms = 0;
    if (vz_slice_is(text, "Z") || vz_slice_is(text, "UTC") || vz_slice_is(text, "GMT") ||
        vz_slice_is(text, "Etc/UTC"))
        return true;
    if (text.len < 2 || text.len >= sizeof copy)
        return false;
    memcpy(copy, text.ptr, text.len);
    copy[text.len] = '\0';
    int read = sscanf(copy, "%c%2u:%2u%c", &sign, &hours, &minutes, &rest);
    if (read != 2 && read != 3)
        read = sscanf(copy, "%c%2u%2u%c", &sign, &hours, &minutes, &rest);
    if ((read != 2 && read != 3) || (sign != '+' && sign != '-') || hours > 18 || minutes > 59)
        return false;
    *ms = (int64_t)(hours * 60 + minutes) * 60000 * (sign == '-' ? -1 : 1);
    return true;
}

static enum vz_status parse_calendar(struct vz_agg *agg, struct vz_slice text, struct vz_error *err)
{
    static const struct {
        const char *name, *other;
        enum vz_agg_unit unit;
        int64_t ms;
    } table[] = {
        {"minute", "1m", VZ_UNIT_FIXED, 60000}, {"hour", "1h", VZ_UNIT_FIXED, 3600000},
        {"day", "1d", VZ_UNIT_FIXED, 86400000}, {"week", "1w", VZ_UNIT_WEEK, 0},
        {"month", "1M", VZ_UNIT_MONTH, 0},      {"quarter", "1q", VZ_UNIT_QUARTER, 0},
        {"year", "1y", VZ_UNIT_YEAR, 0},        {"second", "1s", VZ_UNIT_FIXED, 1000},
    };
    for (size_t i = 0; i < VZ_COUNT_OF(table); i++) {
        if (!vz_slice_is(text, table[i].name) && !vz_slice_is(text, table[i].other))
            continue;
        agg->unit = table[i].unit;
        agg->interval_ms = table[i].ms;
        agg->interval = 1;
        return VZ_OK;
    }
    return vz_fail(err, VZ_BAD_QUERY,
                   "The supplied interval [%.*s] could not be parsed as a calendar interval.",
                   VZ_ARG(text));
}

static enum vz_status parse_fixed(struct vz_agg *agg, struct vz_slice text, struct vz_error *err)
{
    double ms;
    if (!vz_query_duration(text, &ms) || ms < 1 || ms > 1e15)
        return vz_fail(err, VZ_BAD_QUERY,
                       "failed to parse setting [date_histogram.fixedInterval] with value [%.*s] "
                       "as a time value",
                       VZ_ARG(text));
    agg->interval_ms = (int64_t)ms;
    agg->interval = 1;
    return VZ_OK;
}

static enum vz_status parse_date_option(struct vz_agg *agg, struct vz_slice key,
                                        struct vz_json value, struct vz_error *err)
{
    struct vz_slice text = vz_json_string(value);
    double ms;
    if (vz_slice_is(key, "calendar_interval"))
        return parse_calendar(agg, text, err);
    if (vz_slice_is(key, "fixed_interval"))
        return parse_fixed(agg, text, err);
    if (vz_slice_is(key, "interval")) {
        struct vz_error ignored;
        return parse_calendar(agg, text, &ignored) == VZ_OK ? VZ_OK : parse_fixed(agg, text, err);
    }
    if (vz_slice_is(key, "offset")) {
        bool minus = text.len && text.ptr[0] == '-';
        if (minus || (text.len && text.ptr[0] == '+')) {
            text.ptr++;
            text.len--;
        }
        if (!vz_query_duration(text, &ms) || ms > 1e15)
            return bad(agg, key, value, err);
        agg->offset_ms = (int64_t)(minus ? -ms : ms);
        return VZ_OK;
    }
    return VZ_NOT_FOUND;
}

static enum vz_status parse_bounds(struct vz_agg *agg, struct vz_json value, bool hard,
                                   struct vz_error *err)
{
    struct vz_json_iter it = vz_json_iterate(value);
    struct vz_slice key;
    struct vz_json member;
    while (vz_json_next(&it, &key, &member)) {
        if (vz_slice_is(key, "min"))
            *(hard ? &agg->hard_min : &agg->bounds_min) = member;
        else if (vz_slice_is(key, "max"))
            *(hard ? &agg->hard_max : &agg->bounds_max) = member;
        else
            return bad(agg, key, value, err);
    }
    return VZ_OK;
}

static enum vz_status parse_order_object(struct vz_agg *agg, struct vz_json value,
                                         struct vz_error *err)
{
    struct vz_json_iter it = vz_json_iterate(value);
    struct vz_slice key;
    struct vz_json member;
    while (vz_json_next(&it, &key, &member)) {
        struct vz_slice text = vz_json_string(member);
        bool descending = text.len == 4 && strncasecmp(text.ptr, "desc", 4) == 0;
        if (!descending && !(text.len == 3 && strncasecmp(text.ptr, "asc", 3) == 0))
            return vz_fail(err, VZ_BAD_QUERY, "Unknown order direction [%.*s]", VZ_ARG(text));
        if (vz_slice_is(key, "_term") || vz_slice_is(key, "_time"))
            key = VZ_SLICE("_key");
        if (agg->order_count < 8)
            agg->order[agg->order_count++] = (struct vz_agg_order){key, descending};
    }
    return VZ_OK;
}

static enum vz_status parse_order(struct vz_parser *parser, struct vz_agg *agg,
                                  struct vz_json value, struct vz_error *err)
{
    agg->order = vz_arena_zalloc(parser->arena, 8 * sizeof(*agg->order));
    if (vz_json_type(value) == VZ_JSON_OBJECT)
        return parse_order_object(agg, value, err);
    struct vz_json_iter it = vz_json_iterate(value);
    struct vz_json element;
    enum vz_status status = VZ_OK;
    while (status == VZ_OK && vz_json_next(&it, NULL, &element))
        status = parse_order_object(agg, element, err);
    return status;
}

static enum vz_status parse_ranges(struct vz_parser *parser, struct vz_agg *agg,
                                   struct vz_json value, struct vz_error *err)
{
    size_t count = vz_json_count(value);
    if (vz_json_type(value) != VZ_JSON_ARRAY || count > 10000)
        return bad(agg, VZ_SLICE("ranges"), value, err);
    agg->ranges = vz_arena_zalloc(parser->arena, (count + 1) * sizeof(*agg->ranges));
    struct vz_json_iter it = vz_json_iterate(value), inner;
    struct vz_json element, member;
    struct vz_slice key;
    while (vz_json_next(&it, NULL, &element)) {
        struct vz_agg_range *range = &agg->ranges[agg->range_count++];
        inner = vz_json_iterate(element);
        while (vz_json_next(&inner, &key, &member)) {
            if (vz_json_type(member) == VZ_JSON_NULL)
                continue;
            if (vz_slice_is(key, "from"))
                range->from = member;
            else if (vz_slice_is(key, "to"))
                range->to = member;
            else if (vz_slice_is(key, "key"))
                range->key = vz_json_string(member);
            else
                return bad(agg, key, member, err);
        }
    }
    return VZ_OK;
}

static enum vz_status parse_filters(struct vz_parser *parser, struct vz_agg *agg,
                                    struct vz_json value, struct vz_error *err)
{
    size_t count = vz_json_count(value), at = 0;
    bool named = vz_json_type(value) == VZ_JSON_OBJECT;
    if (!named && vz_json_type(value) != VZ_JSON_ARRAY)
        return bad(agg, VZ_SLICE("filters"), value, err);
    agg->filters.items = vz_arena_zalloc(parser->arena, (count + 1) * sizeof(struct vz_node *));
    if (named)
        agg->filter_keys = vz_arena_zalloc(parser->arena, (count + 1) * sizeof(struct vz_slice));
    struct vz_json_iter it = vz_json_iterate(value);
    struct vz_json element;
    struct vz_slice key;
    while (vz_json_next(&it, &key, &element)) {
        if (named)
            agg->filter_keys[at] = key;
        enum vz_status status = vz_query_parse(parser, element, &agg->filters.items[at++], err);
        if (status != VZ_OK)
            return status;
        agg->filters.count = at;
    }
    return VZ_OK;
}

static enum vz_status parse_percents(struct vz_parser *parser, struct vz_agg *agg,
                                     struct vz_json value, struct vz_error *err)
{
    size_t count = vz_json_count(value);
    if (vz_json_type(value) != VZ_JSON_ARRAY || count == 0 || count > 1000)
        return bad(agg, VZ_SLICE("percents"), value, err);
    agg->percents = vz_arena_alloc(parser->arena, count * sizeof(double));
    agg->percent_count = 0;
    struct vz_json_iter it = vz_json_iterate(value);
    struct vz_json element;
    while (vz_json_next(&it, NULL, &element)) {
        double number;
        if (!vz_json_as_double(element, &number) || number < 0 || number > 100)
            return vz_fail(err, VZ_BAD_QUERY, "percent must be in [0,100]");
        agg->percents[agg->percent_count++] = number;
    }
    return VZ_OK;
}

static enum vz_status parse_terms_option(struct vz_parser *parser, struct vz_agg *agg,
                                         struct vz_slice key, struct vz_json value,
                                         struct vz_error *err)
{
    int64_t number;
    if (vz_slice_is(key, "size") || vz_slice_is(key, "shard_size")) {
        if (!vz_json_as_int(value, &number) || number < 1)
            return vz_fail(err, VZ_BAD_QUERY,
                           "[%.*s] must be greater than 0. Found [%lld] in "
                           "[%.*s]",
                           VZ_ARG(key), (long long)(vz_json_as_int(value, &number) ? number : 0),
                           VZ_ARG(agg->name));
        if (vz_slice_is(key, "size")) /* counts are exact: a shard_size changes nothing */
            agg->size = (uint32_t)VZ_MIN(number, (int64_t)INT32_MAX);
        return VZ_OK;
    }
    if (vz_slice_is(key, "include") || vz_slice_is(key, "exclude")) {
        if (vz_json_type(value) != VZ_JSON_ARRAY)
            return vz_fail(err, VZ_UNSUPPORTED,
                           "[terms] [%.*s] as a regular expression or partition is not supported "
                           "by vizsla, send a list of values",
                           VZ_ARG(key));
        *(vz_slice_is(key, "include") ? &agg->include : &agg->exclude) = value;
        return VZ_OK;
    }
    if (vz_slice_is(key, "shard_min_doc_count") || vz_slice_is(key, "execution_hint") ||
        vz_slice_is(key, "collect_mode") || vz_slice_is(key, "show_term_doc_count_error") ||
        vz_slice_is(key, "value_type"))
        return VZ_OK;
    (void)parser;
    return VZ_NOT_FOUND;
}

static bool is_histogram(enum vz_agg_kind kind)
{
    return kind == VZ_AGG_HISTOGRAM || kind == VZ_AGG_DATE_HISTOGRAM;
}

static enum vz_status parse_common(struct vz_parser *parser, struct vz_agg *agg,
                                   struct vz_slice key, struct vz_json value, struct vz_error *err)
{
    int64_t number;
    if (vz_slice_is(key, "field")) {
        agg->field = vz_json_string(value);
        return agg->field.len ? VZ_OK : bad(agg, key, value, err);
    }
    if (vz_slice_is(key, "missing")) {
        agg->missing = value;
        return VZ_OK;
    }
    if (vz_slice_is(key, "format")) {
        agg->format = vz_json_string(value);
        return VZ_OK;
    }
    if (vz_slice_is(key, "keyed")) {
        agg->has_keyed = true;
        return vz_json_as_bool(value, &agg->keyed) ? VZ_OK : bad(agg, key, value, err);
    }
    if (vz_slice_is(key, "script"))
        return vz_fail(err, VZ_UNSUPPORTED, "[%s] [script] is not supported by vizsla",
                       kinds[agg->kind]);
    if (vz_slice_is(key, "min_doc_count") && agg->kind <= VZ_AGG_DATE_HISTOGRAM) {
        if (!vz_json_as_int(value, &number) || number < 0)
            return bad(agg, key, value, err);
        agg->has_min_doc_count = true;
        agg->min_doc_count = (uint64_t)number;
        return VZ_OK;
    }
    if (vz_slice_is(key, "order") && (agg->kind == VZ_AGG_TERMS || is_histogram(agg->kind)))
        return parse_order(parser, agg, value, err);
    if (vz_slice_is(key, "time_zone") &&
        (agg->kind == VZ_AGG_DATE_HISTOGRAM || agg->kind == VZ_AGG_DATE_RANGE)) {
        if (read_zone(vz_json_string(value), &agg->zone_ms))
            return VZ_OK;
        return vz_fail(err, VZ_UNSUPPORTED,
                       "[%s] time zone [%.*s]: only offsets such as [+02:00] are supported by "
                       "vizsla",
                       kinds[agg->kind], VZ_ARG(vz_json_string(value)));
    }
    return VZ_NOT_FOUND;
}

static enum vz_status parse_option(struct vz_parser *parser, struct vz_agg *agg,
                                   struct vz_slice key, struct vz_json value, struct vz_error *err)
{
    enum vz_status status = parse_common(parser, agg, key, value, err);
    if (status != VZ_NOT_FOUND)
        return status;
    if (agg->kind == VZ_AGG_TERMS)
        return parse_terms_option(parser, agg, key, value, err);
    if (is_histogram(agg->kind) &&
        (vz_slice_is(key, "extended_bounds") || vz_slice_is(key, "hard_bounds")))
        return parse_bounds(agg, value, vz_slice_is(key, "hard_bounds"), err);
    if (agg->kind == VZ_AGG_DATE_HISTOGRAM)
        return parse_date_option(agg, key, value, err);
    if (agg->kind == VZ_AGG_HISTOGRAM &&
        (vz_slice_is(key, "interval") || vz_slice_is(key, "offset"))) {
        double *to = vz_slice_is(key, "interval") ? &agg->interval : &agg->offset;
        return vz_json_as_double(value, to) && isfinite(*to) ? VZ_OK : bad(agg, key, value, err);
    }
    if ((agg->kind == VZ_AGG_RANGE || agg->kind == VZ_AGG_DATE_RANGE) && vz_slice_is(key, "ranges"))
        return parse_ranges(parser, agg, value, err);
    if (agg->kind == VZ_AGG_FILTERS && vz_slice_is(key, "filters"))
        return parse_filters(parser, agg, value, err);
    if (agg->kind == VZ_AGG_FILTERS && vz_slice_is(key, "other_bucket_key")) {
        agg->other_key = vz_json_string(value);
        return VZ_OK;
    }
    if (agg->kind == VZ_AGG_FILTERS && vz_slice_is(key, "other_bucket")) {
        if (vz_json_bool(value) && !agg->other_key.len)
            agg->other_key = VZ_SLICE("_other_");
        return VZ_OK;
    }
    if (agg->kind == VZ_AGG_PERCENTILES && vz_slice_is(key, "percents"))
        return parse_percents(parser, agg, value, err);
    if (agg->kind == VZ_AGG_PERCENTILES && (vz_slice_is(key, "tdigest") || vz_slice_is(key, "hdr")))
        return VZ_OK; /* exact here */
    if (agg->kind == VZ_AGG_CARDINALITY &&
        (vz_slice_is(key, "precision_threshold") || vz_slice_is(key, "execution_hint") ||
         vz_slice_is(key, "rehash")))
        return VZ_OK; /* exact here */
    if (agg->kind == VZ_AGG_EXTENDED_STATS && vz_slice_is(key, "sigma"))
        return vz_json_as_double(value, &agg->sigma) ? VZ_OK : bad(agg, key, value, err);
    return VZ_NOT_FOUND;
}

static enum vz_status check(struct vz_agg *agg, struct vz_error *err)
{
    bool fieldless =
        agg->kind == VZ_AGG_FILTER || agg->kind == VZ_AGG_FILTERS || agg->kind == VZ_AGG_GLOBAL;
    if (!fieldless && agg->field.len == 0)
        return vz_fail(err, VZ_BAD_QUERY,
                       "Required one of fields [field, script], but none were "
                       "specified.");
    if (is_histogram(agg->kind) && !(agg->interval > 0))
        return vz_fail(err, VZ_BAD_QUERY,
                       agg->kind == VZ_AGG_HISTOGRAM
                           ? "[interval] must be >0 for histogram aggregation [%.*s]"
                           : "Invalid interval specified, must be non-null and non-empty [%.*s]",
                       VZ_ARG(agg->name));
    if ((agg->kind == VZ_AGG_RANGE || agg->kind == VZ_AGG_DATE_RANGE) && agg->range_count == 0)
        return vz_fail(err, VZ_BAD_QUERY, "No [ranges] specified for the [%.*s] aggregation",
                       VZ_ARG(agg->name));
    if (agg->kind == VZ_AGG_FILTERS && agg->filters.count == 0)
        return vz_fail(err, VZ_BAD_QUERY, "[filters] cannot be empty.");
    return VZ_OK;
}

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
    while (vz_json_next(&it, &key, &member)) {
        enum vz_status status = parse_option(reader->parser, agg, key, member, err);
        if (status == VZ_NOT_FOUND)
            return vz_fail(err, VZ_BAD_QUERY, "[%s] unknown field [%.*s]", kinds[agg->kind],
                           VZ_ARG(key));
        if (status != VZ_OK)
            return status;
    }
    return check(agg, err);
}

static enum vz_status find_kind(struct vz_slice key, struct vz_agg *agg, struct vz_error *err)
{
    for (size_t i = 0; i < VZ_COUNT_OF(kinds); i++) {
        if (vz_slice_is(key, kinds[i])) {
            agg->kind = (enum vz_agg_kind)i;
            return VZ_OK;
        }
    }
    for (size_t i = 0; i < VZ_COUNT_OF(refused_kinds); i++)
        if (vz_slice_is(key, refused_kinds[i]))
            return vz_fail(err, VZ_UNSUPPORTED, "aggregation [%s] is not supported by vizsla",
                           refused_kinds[i]);
    return vz_fail(err, VZ_BAD_QUERY, "Unknown aggregation type [%.*s]", VZ_ARG(key));
}

static enum vz_status parse_list(struct reader *reader, struct vz_json value, struct vz_agg **out,
                                 size_t *count, struct vz_error *err);

static void set_defaults(struct vz_agg *agg)
{
    static double percents[] = {1, 5, 25, 50, 75, 95, 99};
    agg->size = 10;
    agg->sigma = 2;
    agg->percents = percents;
    agg->percent_count = VZ_COUNT_OF(percents);
}

static enum vz_status parse_one(struct reader *reader, struct vz_agg *agg, struct vz_json value,
                                struct vz_error *err)
{
    struct vz_json_iter it = vz_json_iterate(value);
    struct vz_slice key;
    struct vz_json member, subs = {0};
    bool found = false;
    set_defaults(agg);
    while (vz_json_next(&it, &key, &member)) {
        enum vz_status status = VZ_OK;
        if (vz_slice_is(key, "aggs") || vz_slice_is(key, "aggregations")) {
            subs = member;
        } else if (vz_slice_is(key, "meta")) {
            agg->meta = member;
        } else if (found) {
            status = vz_fail(err, VZ_BAD_QUERY,
                             "Found two aggregation type definitions in [%.*s]: [%s] and [%.*s]",
                             VZ_ARG(agg->name), kinds[agg->kind], VZ_ARG(key));
        } else {
            found = true;
            status = find_kind(key, agg, err);
            if (status == VZ_OK)
                status = parse_body(reader, agg, member, err);
        }
        if (status != VZ_OK)
            return status;
    }
    if (!found)
        return vz_fail(err, VZ_BAD_QUERY, "Missing definition for aggregation [%.*s]",
                       VZ_ARG(agg->name));
    if (vz_json_type(subs) == VZ_JSON_MISSING)
        return VZ_OK;
    if (vz_agg_is_metric(agg->kind) && vz_json_count(subs))
        return vz_fail(err, VZ_BAD_QUERY,
                       "Aggregator [%.*s] of type [%s] cannot accept sub-aggregations",
                       VZ_ARG(agg->name), kinds[agg->kind]);
    return parse_list(reader, subs, &agg->subs, &agg->sub_count, err);
}

static bool good_name(struct vz_slice name)
{
    for (size_t i = 0; i < name.len; i++)
        if (name.ptr[i] == '[' || name.ptr[i] == ']' || name.ptr[i] == '>')
            return false;
    return name.len > 0;
}

static enum vz_status parse_list(struct reader *reader, struct vz_json value, struct vz_agg **out,
                                 size_t *count, struct vz_error *err)
{
    struct vz_json_iter it = vz_json_iterate(value);
    struct vz_slice name;
    struct vz_json member;
    if (vz_json_type(value) != VZ_JSON_OBJECT)
        return vz_fail(err, VZ_BAD_QUERY, "[aggs] expected an object but got %s",
                       vz_query_token(value));
    if (++reader->depth > VZ_MAX_AGG_DEPTH)
        return vz_fail(err, VZ_BAD_QUERY, "aggregations are nested deeper than [%d] levels",
                       VZ_MAX_AGG_DEPTH);
    while (vz_json_next(&it, &name, &member)) {
        if (!good_name(name))
            return vz_fail(err, VZ_BAD_QUERY,
                           "Invalid aggregation name [%.*s]. Aggregation names can contain any "
                           "character except '[', ']', and '>'",
                           VZ_ARG(name));
        if (++reader->count > VZ_MAX_AGGS)
            return vz_fail(err, VZ_BAD_QUERY, "more than [%d] aggregations", VZ_MAX_AGGS);
        if (vz_json_type(member) != VZ_JSON_OBJECT)
            return vz_fail(err, VZ_BAD_QUERY,
                           "Aggregation definition for [%.*s] starts with a [%s], expected a "
                           "[START_OBJECT].",
                           VZ_ARG(name), vz_query_token(member));
        struct vz_agg *agg = vz_arena_zalloc(reader->parser->arena, sizeof *agg);
        agg->name = name;
        enum vz_status status = parse_one(reader, agg, member, err);
        if (status != VZ_OK)
            return status;
        if (agg->kind == VZ_AGG_GLOBAL && reader->depth > 1)
            return vz_fail(err, VZ_BAD_QUERY,
                           "Aggregation [%.*s] cannot have a global sub-aggregation", VZ_ARG(name));
        *out = agg;
        out = &agg->next;
        ++*count;
    }
    reader->depth--;
    return VZ_OK;
}

enum vz_status vz_agg_parse(struct vz_parser *parser, struct vz_json value, struct vz_agg **out,
                            struct vz_error *err)
{
    struct reader reader = {.parser = parser};
    size_t count = 0;
    *out = NULL;
    return parse_list(&reader, value, out, &count, err);
}
