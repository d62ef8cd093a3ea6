/* Several lists of hits made one, another order of one, or a part of it: retrievers, rank,
 * rescoring, collapsing, boosts of indices, slices, points in time. */
#include "query/parse.h"

#include <math.h>

enum vz_status vz_body_parse_retriever(struct vz_body *body, struct vz_json value,
                                       struct vz_error *err)
{
    return vz_retriever_parse(&body->parser, value, &body->search->retriever, err);
}

enum vz_status vz_body_parse_rank(struct vz_body *body, struct vz_json value, struct vz_error *err)
{
    body->search->rank = value; /* read when the queries are there */
    return VZ_OK;
}

enum vz_status vz_body_parse_sub_searches(struct vz_body *body, struct vz_json value,
                                          struct vz_error *err)
{
    struct vz_search *search = body->search;
    struct vz_json_iter it = vz_json_iterate(value);
    struct vz_json element, query;
    if (vz_json_type(value) != VZ_JSON_ARRAY)
        return vz_body_unknown(value, VZ_SLICE("sub_searches"), err);
    if (vz_json_count(value) > VZ_MAX_RETRIEVERS)
        return vz_fail(err, VZ_BAD_QUERY,
                       "[sub_searches] has [%zu] searches, at most [%d] are "
                       "allowed",
                       vz_json_count(value), VZ_MAX_RETRIEVERS);
    search->sub_searches =
        vz_arena_alloc(body->parser.arena, (vz_json_count(value) + 1) * sizeof(struct vz_node *));
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

enum vz_status vz_body_parse_rescore(struct vz_body *body, struct vz_json value,
                                     struct vz_error *err)
{
    size_t inners = vz_inner_enter(&body->parser);
    enum vz_status status = vz_rescore_parse(&body->parser, value, &body->search->rescores,
                                             &body->search->rescore_count, err);
    return status == VZ_OK ? vz_inner_leave(&body->parser, inners, NULL, err) : status;
}

enum vz_status vz_body_parse_collapse(struct vz_body *body, struct vz_json value,
                                      struct vz_error *err)
{
    return vz_collapse_parse(&body->parser, value, &body->search->collapse, err);
}

static enum vz_status add_boost(struct vz_body *body, struct vz_json object, struct vz_error *err)
{
    struct vz_search *search = body->search;
    struct vz_json_iter it = vz_json_iterate(object);
    struct vz_slice name;
    struct vz_json value;
    double boost;
    while (vz_json_next(&it, &name, &value)) {
        if (!vz_json_as_double(value, &boost) || !isfinite((float)boost) || boost < 0)
            return vz_body_bad_value("indices_boost", value, "a boost of zero or more", err);
        search->boosts[search->boost_count++] =
            (struct vz_index_boost){.index = name, .boost = (float)boost};
    }
    return VZ_OK;
}

/* [{"a": 1.4}, {"b": 1.3}], or the older {"a": 1.4, "b": 1.3}. */
enum vz_status vz_body_parse_boosts(struct vz_body *body, struct vz_json value,
                                    struct vz_error *err)
{
    bool many = vz_json_type(value) == VZ_JSON_ARRAY;
    struct vz_json_iter it = vz_json_iterate(value);
    struct vz_json element;
    if (!many && vz_json_type(value) != VZ_JSON_OBJECT)
        return vz_body_unknown(value, VZ_SLICE("indices_boost"), err);
    body->search->boosts = vz_arena_alloc(body->parser.arena, (vz_json_count(value) + 1) *
                                                                  sizeof(*body->search->boosts));
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

enum vz_status vz_body_parse_slice(struct vz_body *body, struct vz_json value, struct vz_error *err)
{
    struct vz_search_slice *slice = &body->search->slice;
    struct vz_json_iter it = vz_json_iterate(value);
    struct vz_slice key;
    struct vz_json member;
    slice->id = -1;
    if (vz_json_type(value) != VZ_JSON_OBJECT)
        return vz_body_unknown(value, VZ_SLICE("slice"), err);
    while (vz_json_next(&it, &key, &member)) {
        if (vz_slice_is(key, "field"))
            slice->field = vz_json_string(member);
        else if (!vz_slice_is(key, "id") && !vz_slice_is(key, "max"))
            return vz_fail(err, VZ_BAD_QUERY, "[slice] unknown field [%.*s]", VZ_ARG(key));
        else if (!vz_json_as_int(member, vz_slice_is(key, "id") ? &slice->id : &slice->max))
            return vz_body_bad_value("slice", member, "an integer", err);
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

enum vz_status vz_body_parse_pit(struct vz_body *body, struct vz_json value, struct vz_error *err)
{
    struct vz_search_pit *pit = &body->search->pit;
    struct vz_json_iter it = vz_json_iterate(value);
    struct vz_slice key;
    struct vz_json member;
    if (vz_json_type(value) != VZ_JSON_OBJECT)
        return vz_body_unknown(value, VZ_SLICE("pit"), err);
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

/* The value that a group is about is shown as a field of its hit. */
void vz_body_show_group(struct vz_search *search, struct vz_arena *arena)
{
    struct vz_field_requests *requests = &search->docvalue_fields;
    struct vz_slice field = search->collapse->field;
    for (size_t i = 0; i < requests->count; i++)
        if (vz_slice_eq(requests->items[i].pattern, field))
            return;
    struct vz_field_request *items = vz_arena_alloc(arena, (requests->count + 1) * sizeof(*items));
    if (requests->count)
        memcpy(items, requests->items, requests->count * sizeof(*items));
    items[requests->count] = (struct vz_field_request){.pattern = field};
    *requests = (struct vz_field_requests){items, requests->count + 1};
}
