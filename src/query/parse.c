/* A search body and the URL parameters beside it. A table of keys leads to a function each; keys
 * that Elasticsearch knows and vizsla does not serve are refused by name unless what they ask for
 * is nothing ("aggs": {}); keys nobody knows get Elasticsearch's own words. */
#include "query/agg.h"
#include "query/dsl.h"
#include "query/fusion.h"
#include "query/highlight.h"
#include "query/suggest.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

struct body {
    struct vz_parser parser;
    struct vz_search *search;
    int64_t size, from;
    bool source_given, stored_fields_given;
};

typedef enum vz_status parse_key(struct body *body, struct vz_json value, struct vz_error *err);

static enum vz_status unknown_key(struct vz_json value, struct vz_slice key, struct vz_error *err)
{
    return vz_fail(err, VZ_BAD_QUERY, "Unknown key for a %s in [%.*s].", vz_query_token(value),
                   VZ_ARG(key));
}

static enum vz_status bad_value(const char *key, struct vz_json value, const char *wanted,
                                struct vz_error *err)
{
    return vz_fail(err, VZ_BAD_QUERY, "Failed to parse [%s]: expected %s but got %s", key, wanted,
                   vz_query_token(value));
}

static enum vz_status read_bool(const char *key, struct vz_json value, bool *out,
                                struct vz_error *err)
{
    return vz_json_as_bool(value, out) ? VZ_OK : bad_value(key, value, "a boolean", err);
}

/* ---- query, knn, paging ---------------------------------------------------------------------- */

static enum vz_status parse_query(struct body *body, struct vz_json value, struct vz_error *err)
{
    if (vz_json_type(value) != VZ_JSON_OBJECT)
        return unknown_key(value, VZ_SLICE("query"), err);
    return vz_query_parse(&body->parser, value, &body->search->query, err);
}

static enum vz_status parse_post_filter(struct body *body, struct vz_json value,
                                        struct vz_error *err)
{
    if (vz_json_type(value) != VZ_JSON_OBJECT)
        return unknown_key(value, VZ_SLICE("post_filter"), err);
    return vz_query_parse(&body->parser, value, &body->search->post_filter, err);
}

static enum vz_status parse_knn(struct body *body, struct vz_json value, struct vz_error *err)
{
    enum vz_json_type type = vz_json_type(value);
    struct vz_search *search = body->search;
    if (type != VZ_JSON_OBJECT && type != VZ_JSON_ARRAY)
        return unknown_key(value, VZ_SLICE("knn"), err);
    size_t count = type == VZ_JSON_ARRAY ? vz_json_count(value) : 1;
    if (count > VZ_MAX_KNN)
        return vz_fail(err, VZ_BAD_QUERY, "[knn] has [%zu] clauses, at most [%d] are allowed",
                       count, VZ_MAX_KNN);
    search->knn = vz_arena_alloc(body->parser.arena, (count + 1) * sizeof(*search->knn));
    if (type == VZ_JSON_OBJECT) {
        enum vz_status status = vz_knn_parse(&body->parser, value, VZ_KNN_TOP, &search->knn[0], err);
        if (status == VZ_OK)
            search->knn_count = 1;
        return status;
    }
    struct vz_json_iter it = vz_json_iterate(value);
    struct vz_json element;
    while (vz_json_next(&it, NULL, &element)) {
        enum vz_status status =
            vz_knn_parse(&body->parser, element, VZ_KNN_TOP, &search->knn[search->knn_count], err);
        if (status != VZ_OK)
            return status;
        search->knn_count++;
    }
    return VZ_OK;
}

static enum vz_status parse_size(struct body *body, struct vz_json value, struct vz_error *err)
{
    if (!vz_json_as_int(value, &body->size))
        return bad_value("size", value, "an integer", err);
    return VZ_OK;
}

static enum vz_status parse_from(struct body *body, struct vz_json value, struct vz_error *err)
{
    if (!vz_json_as_int(value, &body->from))
        return bad_value("from", value, "an integer", err);
    return VZ_OK;
}

static enum vz_status set_track_total(struct vz_search *search, bool is_bool, bool truth,
                                      int64_t number, struct vz_error *err)
{
    search->track_total = is_bool ? truth : true;
    search->track_limit = UINT64_MAX;
    if (is_bool || number == -1)
        return VZ_OK;
    if (number < 0)
        return vz_fail(err, VZ_BAD_QUERY,
                       "[track_total_hits] parameter must be positive or equals "
                       "to -1, got %lld",
                       (long long)number);
    search->track_limit = (uint64_t)number;
    return VZ_OK;
}

static enum vz_status parse_track_total(struct body *body, struct vz_json value,
                                        struct vz_error *err)
{
    bool truth = false;
    int64_t number = 0;
    bool is_bool = !vz_json_is_number(value) && vz_json_as_bool(value, &truth);
    if (!is_bool && !vz_json_as_int(value, &number))
        return bad_value("track_total_hits", value, "a boolean or an integer", err);
    return set_track_total(body->search, is_bool, truth, number, err);
}

static enum vz_status parse_sort(struct body *body, struct vz_json value, struct vz_error *err)
{
    body->search->has_sort = true;
    return vz_sort_parse(value, body->parser.arena, &body->search->sort, &body->search->sort_count,
                         err);
}

static enum vz_status parse_search_after(struct body *body, struct vz_json value,
                                         struct vz_error *err)
{
    if (vz_json_type(value) != VZ_JSON_ARRAY)
        return vz_fail(err, VZ_BAD_QUERY, "Expected [START_ARRAY] in [search_after] but found [%s]",
                       vz_query_token(value));
    if (vz_json_count(value) == 0)
        return vz_fail(err, VZ_BAD_QUERY, "Values must contains at least one value.");
    body->search->search_after = value;
    return VZ_OK;
}

static enum vz_status parse_min_score(struct body *body, struct vz_json value, struct vz_error *err)
{
    double number;
    if (!vz_json_as_double(value, &number) || isnan(number))
        return bad_value("min_score", value, "a number", err);
    body->search->has_min_score = true;
    body->search->min_score = (float)number;
    return VZ_OK;
}

static enum vz_status parse_timeout(struct body *body, struct vz_json value, struct vz_error *err)
{
    static const struct {
        const char *name;
        double ns;
    } units[] = {{"nanos", 1}, {"micros", 1e3}, {"ms", 1e6},   {"s", 1e9},
                 {"m", 6e10},  {"h", 3.6e12},   {"d", 8.64e13}};
    struct vz_slice text = vz_query_scalar_text(value, body->parser.arena);
    if (vz_slice_is(text, "-1"))
        return VZ_OK;
    char copy[32] = {0};
    memcpy(copy, text.ptr, VZ_MIN(text.len, sizeof(copy) - 1));
    char *end;
    double number = strtod(copy, &end);
    for (size_t i = 0; i < VZ_COUNT_OF(units) && end != copy && number >= 0; i++)
        if (strcmp(end, units[i].name) == 0) {
            body->search->timeout_ns = (uint64_t)VZ_MIN(number * units[i].ns, 1e18) + 1;
            return VZ_OK;
        }
    return vz_fail(err, VZ_BAD_QUERY,
                   "failed to parse setting [timeout] with value [%s] as a time "
                   "value: unit is missing or unrecognized",
                   copy);
}

static enum vz_status parse_terminate(struct body *body, struct vz_json value, struct vz_error *err)
{
    int64_t number;
    if (!vz_json_as_int(value, &number))
        return bad_value("terminate_after", value, "an integer", err);
    if (number < 0)
        return vz_fail(err, VZ_BAD_QUERY, "terminateAfter must be > 0");
    body->search->terminate_after = (uint64_t)number;
    return VZ_OK;
}

static enum vz_status parse_version(struct body *body, struct vz_json value, struct vz_error *err)
{
    return read_bool("version", value, &body->search->with_version, err);
}

static enum vz_status parse_seq_no(struct body *body, struct vz_json value, struct vz_error *err)
{
    return read_bool("seq_no_primary_term", value, &body->search->with_seq_no, err);
}

static enum vz_status parse_explain(struct body *body, struct vz_json value, struct vz_error *err)
{
    return read_bool("explain", value, &body->search->with_explain, err);
}

static enum vz_status parse_profile(struct body *body, struct vz_json value, struct vz_error *err)
{
    return read_bool("profile", value, &body->search->profile, err);
}

static enum vz_status parse_track_scores(struct body *body, struct vz_json value,
                                         struct vz_error *err)
{
    return read_bool("track_scores", value, &body->search->track_scores, err);
}

/* ---- what to fetch --------------------------------------------------------------------------- */

/* A string or an array of strings, appended to patterns. */
static enum vz_status add_patterns(struct body *body, const char *key, struct vz_json value,
                                   struct vz_json_patterns *patterns, struct vz_error *err)
{
    bool many = vz_json_type(value) == VZ_JSON_ARRAY;
    size_t count = patterns->count, more = many ? vz_json_count(value) : 1;
    struct vz_slice *items =
        vz_arena_alloc(body->parser.arena, (count + more + 1) * sizeof(*items));
    if (count)
        memcpy(items, patterns->items, count * sizeof(*items));
    struct vz_json_iter it = vz_json_iterate(value);
    struct vz_json element = value;
    while (!many || vz_json_next(&it, NULL, &element)) {
        if (vz_json_type(element) != VZ_JSON_STRING)
            return vz_fail(err, VZ_BAD_QUERY, "Unknown key for a %s in [%s].",
                           vz_query_token(element), key);
        items[count++] = vz_json_string(element);
        if (!many)
            break;
    }
    *patterns = (struct vz_json_patterns){items, count};
    return VZ_OK;
}

static enum vz_status parse_source_object(struct body *body, struct vz_json value,
                                          struct vz_error *err)
{
    struct vz_search *search = body->search;
    struct vz_json_iter it = vz_json_iterate(value);
    struct vz_slice key;
    struct vz_json member;
    while (vz_json_next(&it, &key, &member)) {
        enum vz_status status;
        if (vz_slice_is(key, "includes") || vz_slice_is(key, "include"))
            status = add_patterns(body, "includes", member, &search->includes, err);
        else if (vz_slice_is(key, "excludes") || vz_slice_is(key, "exclude"))
            status = add_patterns(body, "excludes", member, &search->excludes, err);
        else if (vz_slice_is(key, "exclude_vectors"))
            status = read_bool("exclude_vectors", member, &search->exclude_vectors, err);
        else
            return unknown_key(member, key, err);
        if (status != VZ_OK)
            return status;
    }
    return VZ_OK;
}

static enum vz_status parse_source(struct body *body, struct vz_json value, struct vz_error *err)
{
    struct vz_search *search = body->search;
    body->source_given = true;
    search->with_source = true;
    switch (vz_json_type(value)) {
    case VZ_JSON_BOOL:
        search->with_source = vz_json_bool(value);
        return VZ_OK;
    case VZ_JSON_STRING:
    case VZ_JSON_ARRAY:
        return add_patterns(body, "_source", value, &search->includes, err);
    case VZ_JSON_OBJECT:
        return parse_source_object(body, value, err);
    default:
        return vz_fail(err, VZ_BAD_QUERY,
                       "Expected one of [VALUE_BOOLEAN, START_OBJECT] but found "
                       "[%s]",
                       vz_query_token(value));
    }
}

static enum vz_status add_field(const char *key, struct vz_json value, struct vz_field_request *out,
                                struct vz_error *err)
{
    *out = (struct vz_field_request){0};
    if (vz_json_type(value) == VZ_JSON_STRING) {
        out->pattern = vz_json_string(value);
        return VZ_OK;
    }
    if (vz_json_type(value) != VZ_JSON_OBJECT)
        return vz_fail(err, VZ_BAD_QUERY, "[%s] expected a field name or an object but got %s", key,
                       vz_query_token(value));
    struct vz_json_iter it = vz_json_iterate(value);
    struct vz_slice name;
    struct vz_json member;
    while (vz_json_next(&it, &name, &member)) {
        if (vz_slice_is(name, "field"))
            out->pattern = vz_json_string(member);
        else if (vz_slice_is(name, "format"))
            out->format = vz_json_string(member);
        else if (vz_slice_is(name, "include_unmapped") && !vz_json_bool(member))
            continue;
        else if (vz_slice_is(name, "include_unmapped"))
            return vz_fail(err, VZ_UNSUPPORTED,
                           "[%s] option [include_unmapped] is not supported yet by vizsla", key);
        else
            return vz_fail(err, VZ_BAD_QUERY, "[field_and_format] unknown field [%.*s]",
                           VZ_ARG(name));
    }
    if (out->pattern.len == 0)
        return vz_fail(err, VZ_BAD_QUERY, "[field_and_format] Required [field]");
    return VZ_OK;
}

static enum vz_status add_fields(struct body *body, const char *key, struct vz_json value,
                                 struct vz_field_requests *out, struct vz_error *err)
{
    if (vz_json_type(value) != VZ_JSON_ARRAY)
        return unknown_key(value, vz_slice_from(key), err);
    out->items =
        vz_arena_alloc(body->parser.arena, (vz_json_count(value) + 1) * sizeof(*out->items));
    struct vz_json_iter it = vz_json_iterate(value);
    struct vz_json element;
    while (vz_json_next(&it, NULL, &element)) {
        enum vz_status status = add_field(key, element, &out->items[out->count], err);
        if (status != VZ_OK)
            return status;
        out->count++;
    }
    return VZ_OK;
}

static enum vz_status parse_fields(struct body *body, struct vz_json value, struct vz_error *err)
{
    return add_fields(body, "fields", value, &body->search->fields, err);
}

static enum vz_status parse_docvalue(struct body *body, struct vz_json value, struct vz_error *err)
{
    return add_fields(body, "docvalue_fields", value, &body->search->docvalue_fields, err);
}

static enum vz_status parse_stored(struct body *body, struct vz_json value, struct vz_error *err)
{
    struct vz_json_patterns names = {0};
    enum vz_status status = add_patterns(body, "stored_fields", value, &names, err);
    body->stored_fields_given = true;
    return status == VZ_OK ? vz_stored_fields_take(body->search, names, err) : status;
}

/* ---- several lists, or another order of one -------------------------------------------------- */

static enum vz_status parse_retriever(struct body *body, struct vz_json value, struct vz_error *err)
{
    return vz_retriever_parse(&body->parser, value, &body->search->retriever, err);
}

static enum vz_status parse_rank(struct body *body, struct vz_json value, struct vz_error *err)
{
    body->search->rank = value; /* read when the queries are there */
    return VZ_OK;
}

static enum vz_status parse_sub_searches(struct body *body, struct vz_json value,
                                         struct vz_error *err)
{
    struct vz_search *search = body->search;
    struct vz_json_iter it = vz_json_iterate(value);
    struct vz_json element, query;
    if (vz_json_type(value) != VZ_JSON_ARRAY)
        return unknown_key(value, VZ_SLICE("sub_searches"), err);
    if (vz_json_count(value) > VZ_MAX_RETRIEVERS)
        return vz_fail(err, VZ_BAD_QUERY, "[sub_searches] has [%zu] searches, at most [%d] are "
                                          "allowed",
                       vz_json_count(value), VZ_MAX_RETRIEVERS);
    search->sub_searches = vz_arena_alloc(body->parser.arena,
                                          (vz_json_count(value) + 1) * sizeof(struct vz_node *));
    while (vz_json_next(&it, NULL, &element)) {
        if (vz_json_count(element) != 1 || !vz_json_get(element, "query", &query))
            return vz_fail(err, VZ_BAD_QUERY, "malformed [sub_search], expected a [query]");
        enum vz_status status = vz_query_parse(
            &body->parser, query, &search->sub_searches[search->sub_search_count], err);
        if (status != VZ_OK)
            return status;
        search->sub_search_count++;
    }
    return VZ_OK;
}

static enum vz_status parse_rescore(struct body *body, struct vz_json value, struct vz_error *err)
{
    size_t inners = vz_inner_enter(&body->parser);
    enum vz_status status = vz_rescore_parse(&body->parser, value, &body->search->rescores,
                                             &body->search->rescore_count, err);
    return status == VZ_OK ? vz_inner_leave(&body->parser, inners, NULL, err) : status;
}

static enum vz_status parse_collapse(struct body *body, struct vz_json value, struct vz_error *err)
{
    return vz_collapse_parse(&body->parser, value, &body->search->collapse, err);
}

static enum vz_status add_boost(struct body *body, struct vz_json object, struct vz_error *err)
{
    struct vz_search *search = body->search;
    struct vz_json_iter it = vz_json_iterate(object);
    struct vz_slice name;
    struct vz_json value;
    double boost;
    while (vz_json_next(&it, &name, &value)) {
        if (!vz_json_as_double(value, &boost) || !isfinite((float)boost) || boost < 0)
            return bad_value("indices_boost", value, "a boost of zero or more", err);
        search->boosts[search->boost_count++] =
            (struct vz_index_boost){.index = name, .boost = (float)boost};
    }
    return VZ_OK;
}

/* [{"a": 1.4}, {"b": 1.3}], or the older {"a": 1.4, "b": 1.3}. */
static enum vz_status parse_boosts(struct body *body, struct vz_json value, struct vz_error *err)
{
    bool many = vz_json_type(value) == VZ_JSON_ARRAY;
    struct vz_json_iter it = vz_json_iterate(value);
    struct vz_json element;
    if (!many && vz_json_type(value) != VZ_JSON_OBJECT)
        return unknown_key(value, VZ_SLICE("indices_boost"), err);
    body->search->boosts = vz_arena_alloc(
        body->parser.arena, (vz_json_count(value) + 1) * sizeof(*body->search->boosts));
    if (!many)
        return add_boost(body, value, err);
    while (vz_json_next(&it, NULL, &element)) {
        if (vz_json_type(element) != VZ_JSON_OBJECT || vz_json_count(element) != 1)
            return vz_fail(err, VZ_BAD_QUERY,
                           "Expected [START_OBJECT] in [indices_boost] but found [%s]",
                           vz_query_token(element));
        enum vz_status status = add_boost(body, element, err);
        if (status != VZ_OK)
            return status;
    }
    return VZ_OK;
}

static enum vz_status parse_slice(struct body *body, struct vz_json value, struct vz_error *err)
{
    struct vz_search_slice *slice = &body->search->slice;
    struct vz_json_iter it = vz_json_iterate(value);
    struct vz_slice key;
    struct vz_json member;
    slice->id = -1;
    if (vz_json_type(value) != VZ_JSON_OBJECT)
        return unknown_key(value, VZ_SLICE("slice"), err);
    while (vz_json_next(&it, &key, &member)) {
        if (vz_slice_is(key, "field"))
            slice->field = vz_json_string(member);
        else if (!vz_slice_is(key, "id") && !vz_slice_is(key, "max"))
            return vz_fail(err, VZ_BAD_QUERY, "[slice] unknown field [%.*s]", VZ_ARG(key));
        else if (!vz_json_as_int(member, vz_slice_is(key, "id") ? &slice->id : &slice->max))
            return bad_value("slice", member, "an integer", err);
    }
    if (slice->id < 0)
        return vz_fail(err, VZ_BAD_QUERY, "id must be greater than or equal to 0");
    if (slice->max <= 1)
        return vz_fail(err, VZ_BAD_QUERY, "max must be greater than 1");
    if (slice->id >= slice->max)
        return vz_fail(err, VZ_BAD_QUERY, "max must be greater than id");
    if (slice->max > VZ_MAX_SLICES)
        return vz_fail(err, VZ_BAD_QUERY,
                       "The number of slices [%lld] is too large. It must be less than [%d]. This "
                       "limit can be set by changing the [index.max_slices_per_scroll] index level "
                       "setting.",
                       (long long)slice->max, VZ_MAX_SLICES);
    return VZ_OK;
}

static enum vz_status parse_pit(struct body *body, struct vz_json value, struct vz_error *err)
{
    struct vz_search_pit *pit = &body->search->pit;
    struct vz_json_iter it = vz_json_iterate(value);
    struct vz_slice key;
    struct vz_json member;
    if (vz_json_type(value) != VZ_JSON_OBJECT)
        return unknown_key(value, VZ_SLICE("pit"), err);
    while (vz_json_next(&it, &key, &member)) {
        if (!vz_slice_is(key, "id") && !vz_slice_is(key, "keep_alive"))
            return vz_fail(err, VZ_BAD_QUERY, "[pit] unknown field [%.*s]", VZ_ARG(key));
        if (vz_json_type(member) != VZ_JSON_STRING)
            return vz_fail(err, VZ_BAD_QUERY, "[pit] %.*s doesn't support values of type: %s",
                           VZ_ARG(key), vz_query_token(member));
        *(vz_slice_is(key, "id") ? &pit->id : &pit->keep_alive) = vz_json_string(member);
    }
    if (pit->id.len == 0)
        return vz_fail(err, VZ_BAD_QUERY, "point in time id is not provided");
    return VZ_OK;
}

const struct vz_index_boost *vz_search_boosts(const struct vz_search *search, size_t *count)
{
    *count = search->boost_count;
    return search->boosts;
}

bool vz_search_is_sliced(const struct vz_search *search)
{
    return search->slice.max > 0;
}

struct vz_search_pit vz_search_pit_of(const struct vz_search *search)
{
    return search->pit;
}

/* ---- the table ------------------------------------------------------------------------------- */

static enum vz_status parse_aggs(struct body *body, struct vz_json value, struct vz_error *err)
{
    struct vz_aggs *aggs;
    size_t inners = vz_inner_enter(&body->parser); /* filters have none */
    enum vz_status status = vz_agg_parse(&body->parser, value, &aggs, err);
    body->search->aggs = aggs;
    return status == VZ_OK ? vz_inner_leave(&body->parser, inners, NULL, err) : status;
}

static enum vz_status parse_script_fields(struct body *body, struct vz_json value,
                                          struct vz_error *err)
{
    return vz_script_fields_parse(value, body->search, err);
}

static enum vz_status parse_highlight(struct body *body, struct vz_json value, struct vz_error *err)
{
    struct vz_highlight *highlight;
    enum vz_status status = vz_highlight_parse(&body->parser, value, &highlight, err);
    body->search->highlight = highlight;
    return status;
}

static enum vz_status parse_suggest(struct body *body, struct vz_json value, struct vz_error *err)
{
    struct vz_suggest *suggest;
    enum vz_status status = vz_suggest_parse(&body->parser, value, &suggest, err);
    body->search->suggest = suggest;
    return status;
}

static enum vz_status parse_nothing(struct body *body, struct vz_json value, struct vz_error *err)
{
    return VZ_OK; /* groups for statistics: part of no answer */
}

static enum vz_status parse_runtime(struct body *body, struct vz_json value, struct vz_error *err)
{
    return vz_runtime_parse(body->search, value, err);
}

static const struct {
    const char *name;
    parse_key *parse;
} served[] = {
    {"query", parse_query},
    {"knn", parse_knn},
    {"size", parse_size},
    {"from", parse_from},
    {"sort", parse_sort},
    {"_source", parse_source},
    {"fields", parse_fields},
    {"docvalue_fields", parse_docvalue},
    {"stored_fields", parse_stored},
    {"aggs", parse_aggs},
    {"aggregations", parse_aggs},
    {"script_fields", parse_script_fields},
    {"highlight", parse_highlight},
    {"suggest", parse_suggest},
    {"track_total_hits", parse_track_total},
    {"track_scores", parse_track_scores},
    {"profile", parse_profile},
    {"min_score", parse_min_score},
    {"search_after", parse_search_after},
    {"post_filter", parse_post_filter},
    {"version", parse_version},
    {"seq_no_primary_term", parse_seq_no},
    {"explain", parse_explain},
    {"timeout", parse_timeout},
    {"terminate_after", parse_terminate},
    {"stats", parse_nothing},
    {"retriever", parse_retriever},
    {"rank", parse_rank},
    {"sub_searches", parse_sub_searches},
    {"rescore", parse_rescore},
    {"collapse", parse_collapse},
    {"indices_boost", parse_boosts},
    {"slice", parse_slice},
    {"pit", parse_pit},
    {"runtime_mappings", parse_runtime},
};

static const char *const refused[] = {
    "ext",
    "fielddata_fields",
};

static bool asks_for_nothing(struct vz_json value)
{
    enum vz_json_type type = vz_json_type(value);
    bool truth;
    if (type == VZ_JSON_OBJECT || type == VZ_JSON_ARRAY)
        return vz_json_count(value) == 0;
    return type == VZ_JSON_NULL || (vz_json_as_bool(value, &truth) && !truth);
}

static enum vz_status parse_member(struct body *body, struct vz_slice key, struct vz_json value,
                                   struct vz_error *err)
{
    for (size_t i = 0; i < VZ_COUNT_OF(served); i++)
        if (vz_slice_is(key, served[i].name)) {
            if (vz_json_type(value) == VZ_JSON_NULL)
                return unknown_key(value, key, err);
            return served[i].parse(body, value, err);
        }
    for (size_t i = 0; i < VZ_COUNT_OF(refused); i++)
        if (vz_slice_is(key, refused[i])) {
            if (asks_for_nothing(value))
                return VZ_OK;
            return vz_fail(err, VZ_UNSUPPORTED, "[%s] is not supported yet by vizsla", refused[i]);
        }
    return unknown_key(value, key, err);
}

/* ---- inner_hits ------------------------------------------------------------------------------ */

#define DEFAULT_INNER_SIZE 3

/* Objects within a hit, or (`is_group`) other documents of its group. */
static enum vz_status parse_inner_member(struct body *body, struct vz_inner *inner, bool is_group,
                                         struct vz_slice key, struct vz_json value,
                                         struct vz_error *err)
{
    static const char *const same[] = {
        "_source",      "fields",    "version", "seq_no_primary_term", "size",          "from",
        "track_scores", "highlight", "sort",    "explain",             "script_fields", "docvalue_fields",
        "stored_fields"};
    if (vz_slice_is(key, "name")) {
        inner->name = vz_json_string(value);
        return VZ_OK;
    }
    if (vz_slice_is(key, "ignore_unmapped"))
        return VZ_OK; /* what is not mapped has no inner hits here anyway */
    for (size_t i = 0; i < VZ_COUNT_OF(same); i++)
        if (vz_slice_is(key, same[i]))
            return parse_member(body, key, value, err);
    if (vz_slice_is(key, "collapse") && is_group)
        return parse_member(body, key, value, err);
    if (vz_slice_is(key, "collapse"))
        return vz_fail(err, VZ_UNSUPPORTED, "[inner_hits] [collapse] is not supported yet by vizsla");
    return vz_fail(err, VZ_BAD_QUERY, "[inner_hits] unknown field [%.*s]", VZ_ARG(key));
}

/* The value that a group is about is shown as a field of its hit. */
static void show_group(struct vz_search *search, struct vz_arena *arena)
{
    struct vz_field_requests *requests = &search->docvalue_fields;
    struct vz_slice field = search->collapse->field;
    for (size_t i = 0; i < requests->count; i++)
        if (vz_slice_eq(requests->items[i].pattern, field))
            return;
    struct vz_field_request *items =
        vz_arena_alloc(arena, (requests->count + 1) * sizeof(*items));
    if (requests->count)
        memcpy(items, requests->items, requests->count * sizeof(*items));
    items[requests->count] = (struct vz_field_request){.pattern = field};
    *requests = (struct vz_field_requests){items, requests->count + 1};
}

/* Whether _source is shown when nobody said so. */
static void settle_source(struct body *body)
{
    struct vz_search *search = body->search;
    if (body->stored_fields_given && !body->source_given)
        search->with_source = search->stored_source;
    if (search->script_field_count && !body->source_given && !body->stored_fields_given)
        search->with_source = false; /* as Elasticsearch */
}

static enum vz_status parse_inner(struct vz_parser *parser, struct vz_json value, bool is_group,
                                  struct vz_inner **out, struct vz_error *err)
{
    struct vz_search *fetch = vz_arena_zalloc(parser->arena, sizeof(*fetch));
    struct vz_inner *inner = vz_arena_zalloc(parser->arena, sizeof(*inner));
    struct body body = {
        .parser = {.arena = parser->arena, .depth = parser->depth, .clauses = parser->clauses},
        .search = fetch,
        .size = DEFAULT_INNER_SIZE};
    struct vz_json_iter it = vz_json_iterate(value);
    struct vz_slice key;
    struct vz_json member;
    if (vz_json_type(value) != VZ_JSON_OBJECT)
        return vz_fail(err, VZ_BAD_QUERY, "[inner_hits] expected an object but got %s",
                       vz_query_token(value));
    fetch->with_source = true;
    fetch->arena = parser->arena;
    inner->fetch = fetch;
    while (vz_json_next(&it, &key, &member)) {
        enum vz_status status = parse_inner_member(&body, inner, is_group, key, member, err);
        if (status != VZ_OK)
            return status;
    }
    if (body.size < 0 || body.from < 0)
        return vz_fail(err, VZ_BAD_QUERY, "illegal %s value, at least 0 required",
                       body.size < 0 ? "size" : "from");
    if (body.size > INT32_MAX || body.from > INT32_MAX)
        return vz_fail(err, VZ_BAD_QUERY, "Numeric value (%lld) out of range of int",
                       (long long)VZ_MAX(body.size, body.from));
    fetch->size = (uint32_t)body.size;
    fetch->from = (uint32_t)body.from;
    settle_source(&body);
    *out = inner;
    return VZ_OK;
}

enum vz_status vz_inner_parse(struct vz_parser *parser, struct vz_json value, struct vz_inner **out,
                              struct vz_error *err)
{
    return parse_inner(parser, value, false, out, err);
}

enum vz_status vz_inner_parse_group(struct vz_parser *parser, struct vz_json value,
                                    struct vz_inner **out, struct vz_error *err)
{
    enum vz_status status = parse_inner(parser, value, true, out, err);
    struct vz_search *fetch = status == VZ_OK ? (*out)->fetch : NULL;
    if (fetch && fetch->collapse && fetch->collapse->inner_count)
        return vz_fail(err, VZ_BAD_QUERY,
                       "[inner_hits] of a [collapse] within [inner_hits] are not allowed");
    if (fetch && fetch->collapse)
        show_group(fetch, parser->arena);
    return status;
}


/* ---- URL parameters -------------------------------------------------------------------------- */

static enum vz_status apply_source_params(struct body *body, const struct vz_search_params *params)
{
    struct vz_search *search = body->search;
    struct vz_arena *arena = body->parser.arena;
    if (params->has_source || params->source.len) {
        body->source_given = true;
        search->includes = search->excludes = (struct vz_json_patterns){0};
        search->with_source = !vz_slice_is(params->source, "false");
        if (search->with_source && !vz_slice_is(params->source, "true"))
            search->includes = vz_query_split(params->source, arena);
    }
    if (params->source_includes.len)
        search->includes = vz_query_split(params->source_includes, arena);
    if (params->source_excludes.len)
        search->excludes = vz_query_split(params->source_excludes, arena);
    if (params->source_includes.len || params->source_excludes.len) {
        body->source_given = true;
        search->with_source = true;
    }
    return VZ_OK;
}

static enum vz_status apply_params(struct body *body, const struct vz_search_params *params,
                                   struct vz_error *err)
{
    struct vz_search *search = body->search;
    if (params->uri.q.ptr &&
        vz_query_string_of(&body->parser, &params->uri, &search->query, err) != VZ_OK)
        return err->status;
    if (params->suggest_field.len) {
        struct vz_suggest *suggest;
        enum vz_status status =
            vz_suggest_parse_params(params, body->parser.arena, &suggest, err);
        if (status != VZ_OK)
            return status;
        search->suggest = suggest;
    }
    search->with_explain |= params->explain;
    if (params->has_track_total_hits) {
        struct vz_slice text = params->track_total_hits;
        bool truth = text.len == 0 || vz_slice_is(text, "true");
        bool is_bool = truth || vz_slice_is(text, "false");
        char copy[24] = {0}, *end = copy;
        if (text.len)
            memcpy(copy, text.ptr, VZ_MIN(text.len, sizeof(copy) - 1));
        int64_t number = strtoll(copy, &end, 10);
        if (!is_bool && (*end || end == copy))
            return vz_fail(err, VZ_BAD_QUERY,
                           "Failed to parse int parameter [track_total_hits] "
                           "with value [%s]",
                           copy);
        enum vz_status status = set_track_total(search, is_bool, truth, number, err);
        if (status != VZ_OK)
            return status;
    }
    if (params->sort.len) {
        search->has_sort = true;
        enum vz_status status = vz_sort_parse_param(params->sort, body->parser.arena, &search->sort,
                                                    &search->sort_count, err);
        if (status != VZ_OK)
            return status;
    }
    search->typed_keys = params->typed_keys;
    search->named_scores = params->named_scores;
    search->with_version |= params->version;
    search->with_seq_no |= params->seq_no_primary_term;
    return apply_source_params(body, params);
}

/* ---- the whole ------------------------------------------------------------------------------- */

/* Sizes first: a knn clause takes its k from them. */
static enum vz_status read_sizes(struct body *body, struct vz_json value,
                                 const struct vz_search_params *params, struct vz_error *err)
{
    struct vz_json member;
    enum vz_status status = VZ_OK;
    body->size = VZ_DEFAULT_SIZE;
    body->search->has_size = vz_json_get(value, "size", &member) || (params && params->has_size);
    if (vz_json_get(value, "size", &member))
        status = parse_size(body, member, err);
    if (status == VZ_OK && vz_json_get(value, "from", &member))
        status = parse_from(body, member, err);
    if (status != VZ_OK)
        return status;
    if (params && params->has_size)
        body->size = params->size;
    if (params && params->has_from)
        body->from = params->from;
    if (body->size < 0)
        return vz_fail(err, VZ_BAD_QUERY, "[size] parameter cannot be negative, found [%lld]",
                       (long long)body->size);
    if (body->from < 0)
        return vz_fail(err, VZ_BAD_QUERY, "[from] parameter cannot be negative but was [%lld]",
                       (long long)body->from);
    if (body->size > INT32_MAX || body->from > INT32_MAX)
        return vz_fail(err, VZ_BAD_QUERY, "Numeric value (%lld) out of range of int",
                       (long long)VZ_MAX(body->size, body->from));
    body->parser.size = body->size;
    body->search->size = (uint32_t)body->size;
    body->search->from = (uint32_t)body->from;
    return VZ_OK;
}

static enum vz_status check_together(const struct vz_search *search, struct vz_error *err)
{
    if (vz_json_type(search->search_after) == VZ_JSON_MISSING)
        return VZ_OK;
    if (search->from > 0)
        return vz_fail(err, VZ_BAD_QUERY,
                       "`from` parameter must be set to 0 when `search_after` is used");
    if (search->sort_count == 0)
        return vz_fail(err, VZ_BAD_QUERY, "Sort must contain at least one field.");
    size_t count = vz_json_count(search->search_after);
    if (count != search->sort_count)
        return vz_fail(err, VZ_BAD_QUERY, "search_after has %zu value(s) but sort has %zu.", count,
                       search->sort_count);
    return VZ_OK;
}

/* In a point in time no two documents sort alike, so that search_after can go on anywhere. */
static void break_ties(struct vz_search *search, struct vz_arena *arena)
{
    size_t count = search->sort_count;
    if (!search->pit.id.len || !search->has_sort || !search->sort)
        return;
    if (count == 0)
        count = 1; /* _score alone, which comes first in the keys */
    for (size_t i = 0; i < count; i++)
        if (search->sort[i].kind == VZ_SORT_SHARD_DOC)
            return;
    struct vz_sort_key *keys = vz_arena_alloc(arena, (count + 1) * sizeof(*keys));
    memcpy(keys, search->sort, count * sizeof(*keys));
    keys[count] =
        (struct vz_sort_key){.kind = VZ_SORT_SHARD_DOC, .field = VZ_SLICE("_shard_doc")};
    search->sort = keys;
    search->sort_count = count + 1;
}

static enum vz_status settle_fusion(struct body *body, struct vz_error *err)
{
    struct vz_search *search = body->search;
    enum vz_status status = VZ_OK;
    if (vz_json_type(search->rank) != VZ_JSON_MISSING && !search->retriever)
        status = vz_rank_parse(&body->parser, search->rank, search, err);
    if (status == VZ_OK)
        status = vz_fusion_check(search, err);
    if (status == VZ_OK)
        break_ties(search, body->parser.arena);
    if (status == VZ_OK && search->retriever)
        status = vz_retriever_settle(search, body->parser.arena, err);
    if (status == VZ_OK && search->sub_search_count == 1 && !search->retriever && !search->query)
        search->query = search->sub_searches[0];
    if (status == VZ_OK && search->collapse)
        show_group(search, body->parser.arena);
    return status;
}

enum vz_status vz_search_parse(struct vz_json value, const struct vz_search_params *params,
                               struct vz_arena *arena, struct vz_search **out, struct vz_error *err)
{
    struct vz_search *search = vz_arena_zalloc(arena, sizeof(*search));
    struct body body = {.parser = {.arena = arena}, .search = search};
    *out = NULL;
    search->track_total = true;
    search->track_limit = VZ_DEFAULT_TRACK_TOTAL;
    search->with_source = true;
    search->max_bytes = params && params->max_bytes ? params->max_bytes : VZ_DEFAULT_MAX_BYTES;
    search->arena = arena;
    vz_search_take(search, params);
    enum vz_json_type type = vz_json_type(value);
    if (type != VZ_JSON_OBJECT && type != VZ_JSON_MISSING)
        return vz_fail(err, VZ_BAD_QUERY, "Expected [START_OBJECT] but found [%s]",
                       vz_query_token(value));
    /* Every parser below may count on a member being there once: lists are made as long as it. */
    struct vz_slice twice;
    if (vz_json_find_duplicate(value, &twice))
        return vz_fail(err, VZ_BAD_JSON, "Duplicate field '%.*s'", VZ_ARG(twice));
    enum vz_status status = read_sizes(&body, value, params, err);
    if (status != VZ_OK)
        return status;
    struct vz_json_iter it = vz_json_iterate(value);
    struct vz_slice key;
    struct vz_json member;
    while (type == VZ_JSON_OBJECT && vz_json_next(&it, &key, &member)) {
        status = parse_member(&body, key, member, err);
        if (status != VZ_OK)
            return status;
    }
    if (params)
        status = apply_params(&body, params, err);
    if (status != VZ_OK)
        return status;
    settle_source(&body);
    status = vz_stored_fields_check(search, body.source_given, err);
    if (status != VZ_OK)
        return status;
    /* Suggestions alone: nothing is searched, as in Elasticsearch. */
    if (search->suggest && !search->query && !search->knn_count && !search->aggs &&
        !search->retriever && !search->sub_search_count) {
        search->query = vz_arena_zalloc(arena, sizeof *search->query);
        search->query->kind = VZ_NODE_NONE;
        search->query->boost = 1;
    }
    search->built = body.parser.built;
    search->built_count = body.parser.built_count;
    search->questions = body.parser.questions;
    search->question_count = body.parser.question_count;
    search->inners = body.parser.inners;
    search->inner_count = body.parser.inner_count;
    vz_inner_settle(search);
    status = settle_fusion(&body, err);
    if (status == VZ_OK)
        status = check_together(search, err);
    if (status == VZ_OK)
        *out = search;
    return status;
}
