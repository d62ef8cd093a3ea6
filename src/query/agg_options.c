/* Aggregations: the options of each kind. A table says which options a kind takes; what is not in
 * it is refused in Elasticsearch's words. */
#include "query/agg.h"
#include "text/postings.h"
#include "query/dsl.h"

#include <math.h>
#include <stdlib.h>

#define MAX_RANGES 10000
#define MAX_FILTERS 1024
#define MAX_MATRIX_FILTERS 100

enum vz_status vz_agg_bad(const struct vz_agg *agg, struct vz_slice key, struct vz_json value,
                          struct vz_error *err)
{
    return vz_fail(err, VZ_BAD_QUERY, "[%s] [%.*s] of aggregation [%.*s] cannot be %s",
                   vz_agg_kind_name(agg->kind), VZ_ARG(key), VZ_ARG(agg->name),
                   vz_query_token(value));
}

static enum vz_status parse_bounds(struct vz_agg *agg, struct vz_json value, bool hard,
                                   struct vz_error *err)
{
    struct vz_json_iter it = vz_json_iterate(value);
    struct vz_slice key;
    struct vz_json member;
    while (vz_json_next(&it, &key, &member)) {
        if (!vz_dsl_is_scalar(member))
            return vz_agg_bad(agg, key, member, err);
        if (vz_json_type(member) == VZ_JSON_NULL)
            continue;
        if (vz_slice_is(key, "min"))
            *(hard ? &agg->hard_min : &agg->bounds_min) = member;
        else if (vz_slice_is(key, "max"))
            *(hard ? &agg->hard_max : &agg->bounds_max) = member;
        else
            return vz_fail(err, VZ_BAD_QUERY, "[bounds] unknown field [%.*s]", VZ_ARG(key));
    }
    return VZ_OK;
}

static enum vz_status parse_order_object(struct vz_agg *agg, struct vz_json value,
                                         struct vz_error *err)
{
    struct vz_json_iter it = vz_json_iterate(value);
    struct vz_slice key;
    struct vz_json member;
    if (vz_json_type(value) != VZ_JSON_OBJECT)
        return vz_agg_bad(agg, VZ_SLICE("order"), value, err);
    while (vz_json_next(&it, &key, &member)) {
        struct vz_slice text = vz_json_string(member);
        bool descending = text.len == 4 && strncasecmp(text.ptr, "desc", 4) == 0;
        if (!descending && !(text.len == 3 && strncasecmp(text.ptr, "asc", 3) == 0))
            return vz_fail(err, VZ_BAD_QUERY, "Unknown order direction [%.*s]", VZ_ARG(text));
        if (vz_slice_is(key, "_term") || vz_slice_is(key, "_time"))
            key = VZ_SLICE("_key");
        if (agg->order_count == VZ_MAX_AGG_ORDERS)
            return vz_fail(err, VZ_BAD_QUERY, "more than [%d] orders", VZ_MAX_AGG_ORDERS);
        agg->order[agg->order_count++] = (struct vz_agg_order){key, descending};
    }
    return VZ_OK;
}

static enum vz_status parse_order(struct vz_parser *parser, struct vz_agg *agg,
                                  struct vz_json value, struct vz_error *err)
{
    agg->order = vz_arena_zalloc(parser->arena, VZ_MAX_AGG_ORDERS * sizeof(*agg->order));
    if (vz_json_type(value) != VZ_JSON_ARRAY)
        return parse_order_object(agg, value, err);
    struct vz_json_iter it = vz_json_iterate(value);
    struct vz_json element;
    enum vz_status status = VZ_OK;
    while (status == VZ_OK && vz_json_next(&it, NULL, &element))
        status = parse_order_object(agg, element, err);
    return status;
}

static enum vz_status parse_range(struct vz_agg *agg, struct vz_json value, struct vz_error *err)
{
    struct vz_agg_range *range = &agg->ranges[agg->range_count++];
    struct vz_json_iter it = vz_json_iterate(value);
    struct vz_slice key;
    struct vz_json member;
    if (vz_json_type(value) != VZ_JSON_OBJECT)
        return vz_agg_bad(agg, VZ_SLICE("ranges"), value, err);
    while (vz_json_next(&it, &key, &member)) {
        if (!vz_dsl_is_scalar(member))
            return vz_agg_bad(agg, key, member, err);
        if (vz_json_type(member) == VZ_JSON_NULL)
            continue;
        if (vz_slice_is(key, "from"))
            range->from = member;
        else if (vz_slice_is(key, "to"))
            range->to = member;
        else if (vz_slice_is(key, "key"))
            range->key = vz_json_string(member);
        else
            return vz_fail(err, VZ_BAD_QUERY, "[range] unknown field [%.*s]", VZ_ARG(key));
    }
    return VZ_OK;
}

static enum vz_status parse_ranges(struct vz_parser *parser, struct vz_agg *agg,
                                   struct vz_json value, struct vz_error *err)
{
    size_t count = vz_json_count(value);
    struct vz_json_iter it = vz_json_iterate(value);
    struct vz_json element;
    enum vz_status status = VZ_OK;
    if (vz_json_type(value) != VZ_JSON_ARRAY || count > MAX_RANGES)
        return vz_agg_bad(agg, VZ_SLICE("ranges"), value, err);
    agg->ranges = vz_arena_zalloc(parser->arena, (count + 1) * sizeof(*agg->ranges));
    agg->range_count = 0;
    while (status == VZ_OK && vz_json_next(&it, NULL, &element))
        status = parse_range(agg, element, err);
    return status;
}

static enum vz_status parse_filters(struct vz_parser *parser, struct vz_agg *agg,
                                    struct vz_json value, struct vz_error *err)
{
    size_t count = vz_json_count(value), at = 0;
    size_t most = agg->kind == VZ_AGG_ADJACENCY ? MAX_MATRIX_FILTERS : MAX_FILTERS;
    bool named = vz_json_type(value) == VZ_JSON_OBJECT;
    if (!named && (vz_json_type(value) != VZ_JSON_ARRAY || agg->kind == VZ_AGG_ADJACENCY))
        return vz_agg_bad(agg, VZ_SLICE("filters"), value, err);
    if (count > most)
        return vz_fail(err, VZ_BAD_ARGUMENT,
                       "Number of filters is too large, must be less than or equal to: [%zu] but "
                       "was [%zu].",
                       most, count);
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
    size_t count = vz_json_type(value) == VZ_JSON_ARRAY ? vz_json_count(value) : 1;
    struct vz_json_iter it = vz_json_iterate(value);
    struct vz_json element = value;
    bool ranks = agg->kind == VZ_AGG_PERCENTILE_RANKS;
    if (count == 0)
        return vz_fail(err, VZ_BAD_ARGUMENT,
                       ranks ? "[values] must not be an empty array: [%.*s]"
                             : "[percents] must not be empty: [%.*s]",
                       VZ_ARG(agg->name));
    if (count > 1000)
        return vz_agg_bad(agg, VZ_SLICE("percents"), value, err);
    agg->percents = vz_arena_alloc(parser->arena, count * sizeof(double));
    agg->percent_count = 0;
    for (size_t i = 0; i < count; i++) {
        double number;
        if (vz_json_type(value) == VZ_JSON_ARRAY)
            vz_json_next(&it, NULL, &element);
        if (!vz_json_as_double(element, &number) || !isfinite(number))
            return vz_agg_bad(agg, VZ_SLICE("percents"), element, err);
        if (!ranks && (number < 0 || number > 100)) {
            char text[32];
            return vz_fail(err, VZ_BAD_ARGUMENT,
                           "percent must be in [0,100], got [%s]: [%.*s]",
                           vz_query_number(number, text), VZ_ARG(agg->name));
        }
        agg->percents[agg->percent_count++] = number;
    }
    return VZ_OK;
}

static enum vz_status parse_count(const struct vz_agg *agg, struct vz_slice key,
                                  struct vz_json value, int64_t least, uint32_t *out,
                                  struct vz_error *err)
{
    int64_t number;
    if (!vz_json_as_int(value, &number))
        return vz_agg_bad(agg, key, value, err);
    if (number < least)
        return vz_fail(err, VZ_BAD_ARGUMENT,
                       least ? "[%.*s] must be greater than 0. Found [%lld] in [%.*s]"
                             : "[%.*s] must be greater than or equal to 0. Found [%lld] in [%.*s]",
                       VZ_ARG(key), (long long)number, VZ_ARG(agg->name));
    *out = (uint32_t)VZ_MIN(number, (int64_t)INT32_MAX);
    return VZ_OK;
}

static enum vz_status parse_partition(struct vz_agg *agg, struct vz_slice key,
                                      struct vz_json value, struct vz_agg_terms_filter *filter,
                                      struct vz_error *err)
{
    struct vz_json partition, partitions;
    int64_t which, of;
    if (!vz_json_get(value, "partition", &partition) ||
        !vz_json_get(value, "num_partitions", &partitions))
        return vz_fail(err, VZ_BAD_ARGUMENT,
                       "Missing [partition] or [num_partitions] parameter for partition-based "
                       "include");
    if (!vz_slice_is(key, "include") || !vz_json_as_int(partition, &which) ||
        !vz_json_as_int(partitions, &of))
        return vz_agg_bad(agg, key, value, err);
    if (of < 2)
        return vz_fail(err, VZ_BAD_ARGUMENT, "num_partitions must be >= 2");
    if (which < 0 || which >= of || of > INT32_MAX)
        return vz_fail(err, VZ_BAD_ARGUMENT,
                       "partition must be a zero-based index less than num_partitions");
    filter->has_partition = true;
    filter->partition = (uint32_t)which;
    filter->partitions = (uint32_t)of;
    return VZ_OK;
}

static enum vz_status parse_include(struct vz_agg *agg, struct vz_slice key, struct vz_json value,
                                    struct vz_error *err)
{
    bool include = vz_slice_is(key, "include");
    struct vz_agg_terms_filter *filter = include ? &agg->include : &agg->exclude;
    bool matches;
    switch (vz_json_type(value)) {
    case VZ_JSON_ARRAY:
        if (vz_json_count(value) > VZ_MAX_TERMS)
            return vz_agg_bad(agg, key, value, err);
        filter->list = value;
        return VZ_OK;
    case VZ_JSON_STRING:
        filter->text = vz_json_string(value);
        if (filter->text.len > 1000)
            return vz_fail(err, VZ_BAD_ARGUMENT,
                           "The length of regex [%zu] used in the [%.*s] of an aggregation has "
                           "exceeded the allowed maximum of [1000]. This maximum can be set by "
                           "changing the [index.max_regex_length] index level setting.",
                           filter->text.len, VZ_ARG(key));
        struct vz_walk walk = {.kind = VZ_WALK_REGEXP, .text = filter->text};
        return vz_walk_matches(&walk, VZ_SLICE(""), &matches, err);
    case VZ_JSON_OBJECT:
        return parse_partition(agg, key, value, filter, err);
    default:
        return vz_agg_bad(agg, key, value, err);
    }
}

static enum vz_status parse_origin(struct vz_agg *agg, struct vz_slice key, struct vz_json value,
                                   struct vz_error *err)
{
    struct vz_slice text = vz_json_string(value);
    if (vz_slice_is(key, "origin") || vz_slice_is(key, "point") || vz_slice_is(key, "center"))
        return vz_geo_parse(value, &agg->lat, &agg->lon, err);
    if (vz_slice_is(key, "unit")) {
        agg->meters = vz_query_unit_meters(text);
        return agg->meters > 0 ? VZ_OK
                               : vz_fail(err, VZ_BAD_ARGUMENT, "No distance unit match [%.*s]",
                                         VZ_ARG(text));
    }
    if (vz_slice_is(key, "distance_type")) {
        return vz_geo_check_distance_type(value, &agg->plane, err);
    }
    return VZ_NOT_FOUND;
}

static enum vz_status parse_grid_bounds(struct vz_agg *agg, struct vz_json value,
                                        struct vz_error *err)
{
    struct vz_json corner;
    enum vz_status status = VZ_OK;
    double number[4];
    static const char *const sides[] = {"top", "left", "bottom", "right"};
    agg->has_bounds = true;
    if (vz_json_get(value, "top_left", &corner)) {
        status = vz_geo_parse(corner, &agg->top, &agg->left, err);
        if (status == VZ_OK && vz_json_get(value, "bottom_right", &corner))
            return vz_geo_parse(corner, &agg->bottom, &agg->right, err);
    } else {
        for (size_t i = 0; i < 4; i++)
            if (!vz_json_get(value, sides[i], &corner) || !vz_json_as_double(corner, &number[i]))
                return vz_agg_bad(agg, VZ_SLICE("bounds"), value, err);
        agg->top = number[0];
        agg->left = number[1];
        agg->bottom = number[2];
        agg->right = number[3];
        return VZ_OK;
    }
    return status != VZ_OK ? status : vz_agg_bad(agg, VZ_SLICE("bounds"), value, err);
}

/* How many characters a geohash has whose cell's diagonal is no longer than a distance, in
 * Elasticsearch's steps (WGS 84); -1: it is none. */
static int64_t hash_levels(struct vz_slice text, struct vz_error *err)
{
    const double equator = 2 * M_PI * 6378137.0, polar = M_PI * 6356752.314245;
    double meters;
    if (!vz_query_distance(text, &meters) || !(meters >= 0)) {
        vz_fail(err, VZ_BAD_ARGUMENT, "For input string: \"%.*s\"", VZ_ARG(text));
        return -1;
    }
    double part = meters > 0 ? ceil(equator / (meters / (1 + polar / equator))) : INFINITY;
    if (!isfinite(part))
        return 24;
    int bits = (int)ceil(log(part) / log(2)), left = bits % 5;
    return part == 1 ? 1 : 2 * (bits / 5) + (left > 0) + (left > 3);
}

static enum vz_status grid_option(struct vz_agg *agg, struct vz_slice key, struct vz_json value,
                                  struct vz_error *err)
{
    int64_t number, least = agg->kind == VZ_AGG_GEOHASH_GRID, most = least ? 12 : 29;
    if (vz_slice_is(key, "bounds"))
        return parse_grid_bounds(agg, value, err);
    if (!vz_slice_is(key, "precision"))
        return VZ_NOT_FOUND;
    if (!vz_json_as_int(value, &number)) {
        struct vz_slice text = vz_json_string(value);
        if (agg->kind != VZ_AGG_GEOHASH_GRID || !text.len)
            return vz_agg_bad(agg, key, value, err);
        number = hash_levels(text, err);
        if (number > most)
            return vz_fail(err, VZ_BAD_ARGUMENT, "precision too high [%.*s]", VZ_ARG(text));
        if (number < 0)
            return VZ_BAD_ARGUMENT;
    }
    if (number < least || number > most)
        return vz_fail(err, VZ_BAD_ARGUMENT,
                       least ? "Invalid geohash aggregation precision of %lld. Must be between 1 "
                               "and 12."
                             : "Invalid geotile_grid precision of %lld. Must be between 0 and 29.",
                       (long long)number);
    agg->precision = (unsigned)number;
    return VZ_OK;
}

/* ---- top_hits ----------------------------------------------------------------------------------
 */

static enum vz_status parse_hits(struct vz_parser *parser, struct vz_agg *agg,
                                 struct vz_json value, struct vz_error *err)
{
    static const char *const known[] = {"from",          "size",          "sort",
                                        "_source",       "fields",        "docvalue_fields",
                                        "script_fields", "stored_fields", "version",
                                        "explain",       "highlight",     "seq_no_primary_term",
                                        "track_scores"};
    struct vz_json_iter it = vz_json_iterate(value);
    struct vz_slice key;
    struct vz_json member;
    struct vz_search *search;
    struct vz_search_params params = {.size = 3, .has_size = !vz_json_get(value, "size", &member)};
    while (vz_json_next(&it, &key, &member)) {
        bool found = false;
        for (size_t i = 0; i < VZ_COUNT_OF(known) && !found; i++)
            found = vz_slice_is(key, known[i]);
        if (!found)
            return vz_fail(err, VZ_BAD_QUERY, "Unknown key for a %s in [%.*s]: [%.*s].",
                           vz_query_token(member), VZ_ARG(agg->name), VZ_ARG(key));
    }
    enum vz_status status = vz_search_parse(value, &params, parser->arena, &search, err);
    if (status != VZ_OK)
        return status;
    if (search->size > INT32_MAX - search->from)
        return vz_fail(err, VZ_BAD_ARGUMENT,
                       "from + size of the top hits aggregator [%.*s] is too large",
                       VZ_ARG(agg->name));
    for (size_t i = 0; i < search->sort_count; i++)
        if (search->sort[i].kind == VZ_SORT_SCRIPT || search->sort[i].nested)
            return vz_fail(err, VZ_UNSUPPORTED,
                           "[top_hits] sort by [%s] is not supported yet by vizsla",
                           search->sort[i].nested ? "nested" : "_script");
    agg->hits = search;
    return VZ_OK;
}

/* ---- by kind -----------------------------------------------------------------------------------
 */

static bool one_of(struct vz_slice key, const char *const *names)
{
    for (; *names; names++)
        if (vz_slice_is(key, *names))
            return true;
    return false;
}

/* Options that say how Elasticsearch is to do what is exact here, or what is in no answer. */
static bool is_hint(enum vz_agg_kind kind, struct vz_slice key)
{
    static const char *const terms[] = {"shard_size",   "shard_min_doc_count", "execution_hint",
                                        "collect_mode", NULL};
    static const char *const digests[] = {"compression", "execution_hint", NULL};
    static const char *const counts[] = {"precision_threshold", "execution_hint", "rehash", NULL};
    switch (kind) {
    case VZ_AGG_TERMS:
    case VZ_AGG_MULTI_TERMS:
    case VZ_AGG_SIGNIFICANT_TERMS:
        return one_of(key, terms);
    case VZ_AGG_RARE_TERMS:
        return vz_slice_is(key, "precision");
    case VZ_AGG_GEOHASH_GRID:
    case VZ_AGG_GEOTILE_GRID:
        return vz_slice_is(key, "shard_size");
    case VZ_AGG_PERCENTILES:
    case VZ_AGG_PERCENTILE_RANKS:
    case VZ_AGG_MEDIAN_DEVIATION:
    case VZ_AGG_BOXPLOT:
        return one_of(key, digests);
    case VZ_AGG_CARDINALITY:
        return one_of(key, counts);
    case VZ_AGG_GEO_BOUNDS:
        return vz_slice_is(key, "wrap_longitude");
    case VZ_AGG_DIVERSIFIED_SAMPLER:
        return vz_slice_is(key, "execution_hint");
    default:
        return false;
    }
}

static bool has_keyed(enum vz_agg_kind kind)
{
    return kind == VZ_AGG_RANGE || kind == VZ_AGG_DATE_RANGE || kind == VZ_AGG_GEO_DISTANCE ||
           kind == VZ_AGG_HISTOGRAM || kind == VZ_AGG_DATE_HISTOGRAM || kind == VZ_AGG_FILTERS ||
           kind == VZ_AGG_PERCENTILES || kind == VZ_AGG_PERCENTILE_RANKS ||
           kind == VZ_AGG_PERCENTILES_BUCKET;
}

static bool has_size(enum vz_agg_kind kind)
{
    return kind <= VZ_AGG_GEOTILE_GRID && kind != VZ_AGG_RARE_TERMS;
}

static bool is_histogram(enum vz_agg_kind kind)
{
    return kind == VZ_AGG_HISTOGRAM || kind == VZ_AGG_DATE_HISTOGRAM;
}

static enum vz_status bucket_option(struct vz_parser *parser, struct vz_agg *agg,
                                    struct vz_slice key, struct vz_json value,
                                    struct vz_error *err)
{
    int64_t number;
    enum vz_agg_kind kind = agg->kind;
    bool terms = kind == VZ_AGG_TERMS || kind == VZ_AGG_MULTI_TERMS;
    if (vz_slice_is(key, "keyed") && has_keyed(kind)) {
        agg->has_keyed = true;
        return vz_json_as_bool(value, &agg->keyed) ? VZ_OK : vz_agg_bad(agg, key, value, err);
    }
    if (vz_slice_is(key, "size") && has_size(kind))
        return parse_count(agg, key, value, 1, &agg->size, err);
    if (vz_slice_is(key, "min_doc_count") &&
        (terms || is_histogram(kind) || kind == VZ_AGG_SIGNIFICANT_TERMS)) {
        if (!vz_json_as_int(value, &number))
            return vz_agg_bad(agg, key, value, err);
        if (number < 0)
            return vz_fail(err, VZ_BAD_ARGUMENT,
                           "[minDocCount] must be greater than or equal to 0. Found [%lld] in "
                           "[%.*s]",
                           (long long)number, VZ_ARG(agg->name));
        agg->has_min_doc_count = true;
        agg->min_doc_count = (uint64_t)number;
        return VZ_OK;
    }
    if (vz_slice_is(key, "order") && (terms || is_histogram(kind)))
        return parse_order(parser, agg, value, err);
    if (vz_slice_is(key, "show_term_doc_count_error") && terms)
        return vz_json_as_bool(value, &agg->show_error) ? VZ_OK : vz_agg_bad(agg, key, value, err);
    if ((vz_slice_is(key, "include") || vz_slice_is(key, "exclude")) &&
        (kind == VZ_AGG_TERMS || kind == VZ_AGG_RARE_TERMS || kind == VZ_AGG_SIGNIFICANT_TERMS))
        return parse_include(agg, key, value, err);
    if (is_histogram(kind) &&
        (vz_slice_is(key, "extended_bounds") || vz_slice_is(key, "hard_bounds")))
        return parse_bounds(agg, value, vz_slice_is(key, "hard_bounds"), err);
    if (vz_slice_is(key, "ranges") &&
        (kind == VZ_AGG_RANGE || kind == VZ_AGG_DATE_RANGE || kind == VZ_AGG_GEO_DISTANCE))
        return parse_ranges(parser, agg, value, err);
    return VZ_NOT_FOUND;
}

static enum vz_status background_filter(struct vz_parser *parser, struct vz_agg *agg,
                                        struct vz_slice key, struct vz_json value,
                                        struct vz_error *err)
{
    static const char *const others[] = {"gnd", "chi_square", "mutual_information", "percentage",
                                         "script_heuristic", "p_value", NULL};
    if (vz_slice_is(key, "background_filter"))
        return vz_query_parse_list(parser, value, &agg->filters, err);
    if (vz_slice_is(key, "jlh"))
        return VZ_OK;
    if (one_of(key, others))
        return vz_fail(err, VZ_UNSUPPORTED,
                       "[significant_terms] heuristic [%.*s] is not supported yet by vizsla, only "
                       "[jlh]",
                       VZ_ARG(key));
    return VZ_NOT_FOUND;
}

static enum vz_status weights_option(struct vz_parser *parser, struct vz_agg *agg,
                                     struct vz_slice key, struct vz_json value,
                                     struct vz_error *err)
{
    size_t which = vz_slice_is(key, "weight");
    struct vz_json_iter it = vz_json_iterate(value);
    struct vz_slice inner;
    struct vz_json member;
    if (vz_slice_is(key, "format")) {
        agg->source.format = vz_json_string(value);
        return VZ_OK;
    }
    if (vz_slice_is(key, "value_type"))
        return VZ_OK;
    if (!which && !vz_slice_is(key, "value"))
        return VZ_NOT_FOUND;
    if (!agg->sources)
        agg->sources = vz_arena_zalloc(parser->arena, 2 * sizeof(*agg->sources));
    agg->source_count = 2;
    while (vz_json_next(&it, &inner, &member)) {
        enum vz_status status = vz_agg_source_option(parser, &agg->sources[which], "weighted_avg",
                                                     inner, member, err);
        if (status == VZ_NOT_FOUND)
            return vz_fail(err, VZ_BAD_QUERY, "[%s] unknown field [%.*s]",
                           which ? "weight" : "value", VZ_ARG(inner));
        if (status != VZ_OK)
            return status;
    }
    return VZ_OK;
}

static enum vz_status other_option(struct vz_parser *parser, struct vz_agg *agg,
                                   struct vz_slice key, struct vz_json value, struct vz_error *err)
{
    bool truth;
    int64_t number;
    switch (agg->kind) {
    case VZ_AGG_HISTOGRAM:
    case VZ_AGG_DATE_HISTOGRAM:
        return vz_agg_interval_option(&agg->source.interval, key, value, err);
    case VZ_AGG_GEO_DISTANCE:
        return parse_origin(agg, key, value, err);
    case VZ_AGG_GEOHASH_GRID:
    case VZ_AGG_GEOTILE_GRID:
        return grid_option(agg, key, value, err);
    case VZ_AGG_FILTERS:
        if (vz_slice_is(key, "other_bucket_key")) {
            agg->other_key = vz_json_string(value);
            return VZ_OK;
        }
        if (vz_slice_is(key, "other_bucket")) {
            if (vz_json_as_bool(value, &truth) && truth && !agg->other_key.len)
                agg->other_key = VZ_SLICE("_other_");
            return VZ_OK;
        }
        return vz_slice_is(key, "filters") ? parse_filters(parser, agg, value, err) : VZ_NOT_FOUND;
    case VZ_AGG_ADJACENCY:
        if (vz_slice_is(key, "separator")) {
            agg->other_key = vz_json_string(value);
            return VZ_OK;
        }
        return vz_slice_is(key, "filters") ? parse_filters(parser, agg, value, err) : VZ_NOT_FOUND;
    case VZ_AGG_NESTED:
    case VZ_AGG_REVERSE_NESTED:
        if (!vz_slice_is(key, "path"))
            return VZ_NOT_FOUND;
        agg->path = vz_json_string(value);
        return VZ_OK;
    case VZ_AGG_SAMPLER:
    case VZ_AGG_DIVERSIFIED_SAMPLER:
        if (vz_slice_is(key, "shard_size"))
            return parse_count(agg, key, value, 1, &agg->shard_size, err);
        if (agg->kind == VZ_AGG_DIVERSIFIED_SAMPLER && vz_slice_is(key, "max_docs_per_value"))
            return parse_count(agg, key, value, 1, &agg->per_value, err);
        return VZ_NOT_FOUND;
    case VZ_AGG_PERCENTILES:
        return vz_slice_is(key, "percents") ? parse_percents(parser, agg, value, err)
                                            : VZ_NOT_FOUND;
    case VZ_AGG_PERCENTILE_RANKS:
        return vz_slice_is(key, "values") ? parse_percents(parser, agg, value, err)
                                          : VZ_NOT_FOUND;
    case VZ_AGG_EXTENDED_STATS:
        if (!vz_slice_is(key, "sigma"))
            return VZ_NOT_FOUND;
        if (!vz_json_as_double(value, &agg->sigma) || !(agg->sigma >= 0))
            return vz_fail(err, VZ_BAD_ARGUMENT,
                           "[sigma] must be greater than or equal to 0. Found [%.*s] in [%.*s]",
                           VZ_ARG(vz_query_scalar_text(value, parser->arena)), VZ_ARG(agg->name));
        return VZ_OK;
    case VZ_AGG_STRING_STATS:
        return vz_slice_is(key, "show_distribution") &&
                       vz_json_as_bool(value, &agg->show_distribution)
                   ? VZ_OK
                   : VZ_NOT_FOUND;
    case VZ_AGG_RARE_TERMS:
        if (!vz_slice_is(key, "max_doc_count"))
            return VZ_NOT_FOUND;
        if (!vz_json_as_int(value, &number) || number < 1 || number > 100)
            return vz_fail(err, VZ_BAD_ARGUMENT,
                           "[max_doc_count] must be smaller than or equal to 100 and greater than "
                           "0 in [%.*s]",
                           VZ_ARG(agg->name));
        agg->max_doc_count = (uint64_t)number;
        return VZ_OK;
    case VZ_AGG_SIGNIFICANT_TERMS:
        return background_filter(parser, agg, key, value, err);
    case VZ_AGG_COMPOSITE:
        if (vz_slice_is(key, "sources"))
            return vz_agg_sources_parse(parser, agg, value, err);
        if (!vz_slice_is(key, "after"))
            return VZ_NOT_FOUND;
        agg->after = value;
        return vz_json_type(value) == VZ_JSON_OBJECT ? VZ_OK : vz_agg_bad(agg, key, value, err);
    case VZ_AGG_MULTI_TERMS:
        return vz_slice_is(key, "terms") ? vz_agg_sources_parse(parser, agg, value, err)
                                         : VZ_NOT_FOUND;
    case VZ_AGG_WEIGHTED_AVG:
        return weights_option(parser, agg, key, value, err);
    default:
        return VZ_NOT_FOUND;
    }
}

static bool has_source(enum vz_agg_kind kind)
{
    return (kind <= VZ_AGG_GEO_DISTANCE && kind != VZ_AGG_MULTI_TERMS &&
            kind != VZ_AGG_COMPOSITE) ||
           kind == VZ_AGG_MISSING || kind == VZ_AGG_DIVERSIFIED_SAMPLER ||
           (vz_agg_is_metric(kind) && kind != VZ_AGG_TOP_HITS && kind != VZ_AGG_WEIGHTED_AVG);
}

/* How Elasticsearch is to come near percentiles, which are exact here: read, checked and, but for the
 * type's name, without effect. */
static enum vz_status digest_method(struct vz_agg *agg, struct vz_slice key, struct vz_json value,
                                    struct vz_error *err)
{
    bool hdr = vz_slice_is(key, "hdr");
    struct vz_json_iter it = vz_json_iterate(value);
    struct vz_slice name;
    struct vz_json member;
    double number;
    if (vz_json_type(value) != VZ_JSON_OBJECT)
        return vz_agg_bad(agg, key, value, err);
    if (agg->has_digest_method)
        return vz_fail(err, VZ_BAD_ARGUMENT, "Only one percentiles method should be declared.");
    agg->has_digest_method = true;
    agg->hdr = hdr;
    while (vz_json_next(&it, &name, &member)) {
        bool is_hint = !hdr && vz_slice_is(name, "execution_hint");
        bool is_count =
            vz_slice_is(name, hdr ? "number_of_significant_value_digits" : "compression");
        if (!is_hint && !is_count)
            return vz_fail(err, VZ_BAD_QUERY, "[%s] unknown field [%.*s]", hdr ? "hdr" : "tdigest",
                           VZ_ARG(name));
        if (is_hint && !vz_slice_is(vz_json_string(member), "default") &&
            !vz_slice_is(vz_json_string(member), "high_accuracy"))
            return vz_fail(err, VZ_BAD_ARGUMENT,
                           "Invalid execution_hint [%.*s]. It should be one of [default, "
                           "high_accuracy]",
                           VZ_ARG(vz_json_string(member)));
        if (is_count && !vz_json_as_double(member, &number))
            return vz_agg_bad(agg, name, member, err);
        if (is_count && hdr && !(number >= 0 && number <= 5))
            return vz_fail(err, VZ_BAD_ARGUMENT,
                           "[numberOfSignificantValueDigits] must be between 0 and 5");
        if (is_count && !(number >= 0))
            return vz_fail(err, VZ_BAD_ARGUMENT,
                           "[compression] must be greater than or equal to 0. Found [%g]", number);
    }
    return VZ_OK;
}

enum vz_status vz_agg_option(struct vz_parser *parser, struct vz_agg *agg, struct vz_slice key,
                             struct vz_json value, struct vz_error *err)
{
    if (agg->kind == VZ_AGG_TOP_HITS)
        return parse_hits(parser, agg, value, err);
    if (vz_agg_is_pipeline(agg->kind))
        return vz_agg_pipeline_option(parser, agg, key, value, err);
    agg->source.interval.dates =
        agg->kind == VZ_AGG_DATE_HISTOGRAM || agg->kind == VZ_AGG_DATE_RANGE;
    if (is_hint(agg->kind, key))
        return VZ_OK;
    if ((agg->kind == VZ_AGG_PERCENTILES || agg->kind == VZ_AGG_PERCENTILE_RANKS) &&
        (vz_slice_is(key, "hdr") || vz_slice_is(key, "tdigest")))
        return digest_method(agg, key, value, err);
    if (vz_slice_is(key, "time_zone") && !agg->source.interval.dates &&
        agg->kind != VZ_AGG_TERMS)
        return VZ_NOT_FOUND;
    enum vz_status status = bucket_option(parser, agg, key, value, err);
    if (status == VZ_NOT_FOUND)
        status = other_option(parser, agg, key, value, err);
    if (status == VZ_NOT_FOUND && has_source(agg->kind))
        status = vz_agg_source_option(parser, &agg->source, vz_agg_kind_name(agg->kind), key, value,
                                      err);
    return status;
}

static enum vz_status check_source(const struct vz_agg_source *source, struct vz_error *err)
{
    if (source->field.len && source->script)
        return vz_fail(err, VZ_UNSUPPORTED,
                       "[script] beside [field] (with [_value]) is not supported yet by vizsla");
    if (source->field.len || source->script)
        return VZ_OK;
    return vz_fail(err, VZ_BAD_ARGUMENT,
                   "Required one of fields [field, script], but none were specified. ");
}

enum vz_status vz_agg_check(struct vz_agg *agg, struct vz_error *err)
{
    enum vz_agg_kind kind = agg->kind;
    enum vz_status status = VZ_OK;
    if (has_source(kind))
        status = check_source(&agg->source, err);
    for (size_t i = 0; i < agg->source_count && status == VZ_OK; i++)
        status = check_source(&agg->sources[i], err);
    if (status != VZ_OK)
        return status;
    if (is_histogram(kind) && !(agg->source.interval.width > 0))
        return vz_fail(err, VZ_BAD_ARGUMENT,
                       kind == VZ_AGG_HISTOGRAM
                           ? "[interval] must be >0 for histogram aggregation [%.*s]"
                           : "Invalid interval specified, must be non-null and non-empty [%.*s]",
                       VZ_ARG(agg->name));
    if ((kind == VZ_AGG_RANGE || kind == VZ_AGG_DATE_RANGE || kind == VZ_AGG_GEO_DISTANCE) &&
        agg->range_count == 0)
        return vz_fail(err, VZ_BAD_ARGUMENT, "No [ranges] specified for the [%.*s] aggregation",
                       VZ_ARG(agg->name));
    if ((kind == VZ_AGG_FILTERS || kind == VZ_AGG_ADJACENCY) && agg->filters.count == 0)
        return vz_fail(err, VZ_BAD_ARGUMENT, "[filters] cannot be empty.");
    if (kind == VZ_AGG_NESTED && agg->path.len == 0)
        return vz_fail(err, VZ_BAD_QUERY, "Missing [path] field for nested aggregation [%.*s]",
                       VZ_ARG(agg->name));
    if ((kind == VZ_AGG_COMPOSITE || kind == VZ_AGG_MULTI_TERMS) && agg->source_count == 0)
        return vz_fail(err, VZ_BAD_ARGUMENT, "Required [%s]",
                       kind == VZ_AGG_COMPOSITE ? "sources" : "terms");
    if (kind == VZ_AGG_WEIGHTED_AVG && agg->source_count == 0)
        return vz_fail(err, VZ_BAD_ARGUMENT, "Required one of fields [value, weight]");
    if (kind == VZ_AGG_PERCENTILE_RANKS && agg->percent_count == 0)
        return vz_fail(err, VZ_BAD_ARGUMENT, "Required [values]");
    if (kind == VZ_AGG_COMPOSITE && agg->size > VZ_MAX_BUCKETS)
        return vz_fail(err, VZ_LIMIT,
                       "Trying to create too many buckets. Must be less than or equal to: [%d] but "
                       "was [%u]. This limit can be set by changing the [search.max_buckets] "
                       "cluster level setting.",
                       VZ_MAX_BUCKETS, agg->size);
    return VZ_OK;
}
