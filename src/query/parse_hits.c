/* Which hits a body asks for, how many, and in which order: query, knn, filters, paging, sort. */
#include "query/parse.h"

#include <math.h>
#include <stdlib.h>

enum vz_status vz_body_parse_query(struct vz_body *body, struct vz_json value, struct vz_error *err)
{
    if (vz_json_type(value) != VZ_JSON_OBJECT)
        return vz_body_unknown(value, VZ_SLICE("query"), err);
    return vz_query_parse(&body->parser, value, &body->search->query, err);
}

enum vz_status vz_body_parse_post_filter(struct vz_body *body, struct vz_json value,
                                         struct vz_error *err)
{
    if (vz_json_type(value) != VZ_JSON_OBJECT)
        return vz_body_unknown(value, VZ_SLICE("post_filter"), err);
    return vz_query_parse(&body->parser, value, &body->search->post_filter, err);
}

enum vz_status vz_body_parse_knn(struct vz_body *body, struct vz_json value, struct vz_error *err)
{
    enum vz_json_type type = vz_json_type(value);
    struct vz_search *search = body->search;
    if (type != VZ_JSON_OBJECT && type != VZ_JSON_ARRAY)
        return vz_body_unknown(value, VZ_SLICE("knn"), err);
    size_t count = type == VZ_JSON_ARRAY ? vz_json_count(value) : 1;
    if (count > VZ_MAX_KNN)
        return vz_fail(err, VZ_BAD_QUERY, "[knn] has [%zu] clauses, at most [%d] are allowed",
                       count, VZ_MAX_KNN);
    search->knn = vz_arena_alloc(body->parser.arena, (count + 1) * sizeof(*search->knn));
    if (type == VZ_JSON_OBJECT) {
        enum vz_status status =
            vz_knn_parse(&body->parser, value, VZ_KNN_TOP, &search->knn[0], err);
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

enum vz_status vz_body_parse_size(struct vz_body *body, struct vz_json value, struct vz_error *err)
{
    if (!vz_json_as_int(value, &body->size))
        return vz_body_bad_value("size", value, "an integer", err);
    return VZ_OK;
}

enum vz_status vz_body_parse_from(struct vz_body *body, struct vz_json value, struct vz_error *err)
{
    if (!vz_json_as_int(value, &body->from))
        return vz_body_bad_value("from", value, "an integer", err);
    return VZ_OK;
}

enum vz_status vz_body_set_total(struct vz_search *search, bool is_bool, bool truth, int64_t number,
                                 struct vz_error *err)
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

enum vz_status vz_body_parse_track_total(struct vz_body *body, struct vz_json value,
                                         struct vz_error *err)
{
    bool truth = false;
    int64_t number = 0;
    bool is_bool = !vz_json_is_number(value) && vz_json_as_bool(value, &truth);
    if (!is_bool && !vz_json_as_int(value, &number))
        return vz_body_bad_value("track_total_hits", value, "a boolean or an integer", err);
    return vz_body_set_total(body->search, is_bool, truth, number, err);
}

enum vz_status vz_body_parse_sort(struct vz_body *body, struct vz_json value, struct vz_error *err)
{
    body->search->has_sort = true;
    return vz_sort_parse(value, body->parser.arena, &body->search->sort, &body->search->sort_count,
                         err);
}

enum vz_status vz_body_parse_search_after(struct vz_body *body, struct vz_json value,
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

enum vz_status vz_body_parse_min_score(struct vz_body *body, struct vz_json value,
                                       struct vz_error *err)
{
    double number;
    if (!vz_json_as_double(value, &number) || isnan(number))
        return vz_body_bad_value("min_score", value, "a number", err);
    body->search->has_min_score = true;
    body->search->min_score = (float)number;
    return VZ_OK;
}

enum vz_status vz_body_parse_timeout(struct vz_body *body, struct vz_json value,
                                     struct vz_error *err)
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

enum vz_status vz_body_parse_terminate(struct vz_body *body, struct vz_json value,
                                       struct vz_error *err)
{
    int64_t number;
    if (!vz_json_as_int(value, &number))
        return vz_body_bad_value("terminate_after", value, "an integer", err);
    if (number < 0)
        return vz_fail(err, VZ_BAD_QUERY, "terminateAfter must be > 0");
    body->search->terminate_after = (uint64_t)number;
    return VZ_OK;
}

enum vz_status vz_body_parse_version(struct vz_body *body, struct vz_json value,
                                     struct vz_error *err)
{
    return vz_body_read_bool("version", value, &body->search->with_version, err);
}

enum vz_status vz_body_parse_seq_no(struct vz_body *body, struct vz_json value,
                                    struct vz_error *err)
{
    return vz_body_read_bool("seq_no_primary_term", value, &body->search->with_seq_no, err);
}

enum vz_status vz_body_parse_explain(struct vz_body *body, struct vz_json value,
                                     struct vz_error *err)
{
    return vz_body_read_bool("explain", value, &body->search->with_explain, err);
}

enum vz_status vz_body_parse_profile(struct vz_body *body, struct vz_json value,
                                     struct vz_error *err)
{
    return vz_body_read_bool("profile", value, &body->search->profile, err);
}

enum vz_status vz_body_parse_track_scores(struct vz_body *body, struct vz_json value,
                                          struct vz_error *err)
{
    return vz_body_read_bool("track_scores", value, &body->search->track_scores, err);
}
