/* A search body and the URL parameters beside it. A table of keys leads to a function each; keys
 * that Elasticsearch knows and vizsla does not serve are refused by name unless what they ask for
 * is nothing ("aggs": {}); keys nobody knows get Elasticsearch's own words. */
#include "query/parse.h"
#include "query/agg.h"
#include "query/highlight.h"
#include "query/suggest.h"

enum vz_status vz_body_unknown(struct vz_json value, struct vz_slice key, struct vz_error *err)
{
    return vz_fail(err, VZ_BAD_QUERY, "Unknown key for a %s in [%.*s].", vz_query_token(value),
                   VZ_ARG(key));
}

enum vz_status vz_body_bad_value(const char *key, struct vz_json value, const char *wanted,
                                 struct vz_error *err)
{
    return vz_fail(err, VZ_BAD_QUERY, "Failed to parse [%s]: expected %s but got %s", key, wanted,
                   vz_query_token(value));
}

enum vz_status vz_body_read_bool(const char *key, struct vz_json value, bool *out,
                                 struct vz_error *err)
{
    return vz_json_as_bool(value, out) ? VZ_OK : vz_body_bad_value(key, value, "a boolean", err);
}

/* ---- the table ------------------------------------------------------------------------------- */

static enum vz_status parse_aggs(struct vz_body *body, struct vz_json value, struct vz_error *err)
{
    struct vz_aggs *aggs;
    size_t inners = vz_inner_enter(&body->parser); /* filters have none */
    enum vz_status status = vz_agg_parse(&body->parser, value, &aggs, err);
    body->search->aggs = aggs;
    return status == VZ_OK ? vz_inner_leave(&body->parser, inners, NULL, err) : status;
}

static enum vz_status parse_script_fields(struct vz_body *body, struct vz_json value,
                                          struct vz_error *err)
{
    return vz_script_fields_parse(value, body->search, err);
}

static enum vz_status parse_highlight(struct vz_body *body, struct vz_json value,
                                      struct vz_error *err)
{
    struct vz_highlight *highlight;
    enum vz_status status = vz_highlight_parse(&body->parser, value, &highlight, err);
    body->search->highlight = highlight;
    return status;
}

static enum vz_status parse_suggest(struct vz_body *body, struct vz_json value,
                                    struct vz_error *err)
{
    struct vz_suggest *suggest;
    enum vz_status status = vz_suggest_parse(&body->parser, value, &suggest, err);
    body->search->suggest = suggest;
    return status;
}

static enum vz_status parse_nothing(struct vz_body *body, struct vz_json value,
                                    struct vz_error *err)
{
    return VZ_OK; /* groups for statistics: part of no answer */
}

static enum vz_status parse_runtime(struct vz_body *body, struct vz_json value,
                                    struct vz_error *err)
{
    return vz_runtime_parse(body->search, value, err);
}

static const struct {
    const char *name;
    vz_body_parse *parse;
} served[] = {
    {"query", vz_body_parse_query},
    {"knn", vz_body_parse_knn},
    {"size", vz_body_parse_size},
    {"from", vz_body_parse_from},
    {"sort", vz_body_parse_sort},
    {"_source", vz_body_parse_source},
    {"fields", vz_body_parse_fields},
    {"docvalue_fields", vz_body_parse_docvalue},
    {"stored_fields", vz_body_parse_stored},
    {"aggs", parse_aggs},
    {"aggregations", parse_aggs},
    {"script_fields", parse_script_fields},
    {"highlight", parse_highlight},
    {"suggest", parse_suggest},
    {"track_total_hits", vz_body_parse_track_total},
    {"track_scores", vz_body_parse_track_scores},
    {"profile", vz_body_parse_profile},
    {"min_score", vz_body_parse_min_score},
    {"search_after", vz_body_parse_search_after},
    {"post_filter", vz_body_parse_post_filter},
    {"version", vz_body_parse_version},
    {"seq_no_primary_term", vz_body_parse_seq_no},
    {"explain", vz_body_parse_explain},
    {"timeout", vz_body_parse_timeout},
    {"terminate_after", vz_body_parse_terminate},
    {"stats", parse_nothing},
    {"retriever", vz_body_parse_retriever},
    {"rank", vz_body_parse_rank},
    {"sub_searches", vz_body_parse_sub_searches},
    {"rescore", vz_body_parse_rescore},
    {"collapse", vz_body_parse_collapse},
    {"indices_boost", vz_body_parse_boosts},
    {"slice", vz_body_parse_slice},
    {"pit", vz_body_parse_pit},
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

enum vz_status vz_body_parse_member(struct vz_body *body, struct vz_slice key, struct vz_json value,
                                    struct vz_error *err)
{
    for (size_t i = 0; i < VZ_COUNT_OF(served); i++)
        if (vz_slice_is(key, served[i].name)) {
            if (vz_json_type(value) == VZ_JSON_NULL)
                return vz_body_unknown(value, key, err);
            return served[i].parse(body, value, err);
        }
    for (size_t i = 0; i < VZ_COUNT_OF(refused); i++)
        if (vz_slice_is(key, refused[i])) {
            if (asks_for_nothing(value))
                return VZ_OK;
            return vz_fail(err, VZ_UNSUPPORTED, "[%s] is not supported yet by vizsla", refused[i]);
        }
    return vz_body_unknown(value, key, err);
}

/* ---- the whole ------------------------------------------------------------------------------- */

/* Sizes first: a knn clause takes its k from them. */
static enum vz_status read_sizes(struct vz_body *body, struct vz_json value,
                                 const struct vz_search_params *params, struct vz_error *err)
{
    struct vz_json member;
    enum vz_status status = VZ_OK;
    body->size = VZ_DEFAULT_SIZE;
    body->search->has_size = vz_json_get(value, "size", &member) || (params && params->has_size);
    if (vz_json_get(value, "size", &member))
        status = vz_body_parse_size(body, member, err);
    if (status == VZ_OK && vz_json_get(value, "from", &member))
        status = vz_body_parse_from(body, member, err);
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
    keys[count] = (struct vz_sort_key){.kind = VZ_SORT_SHARD_DOC, .field = VZ_SLICE("_shard_doc")};
    search->sort = keys;
    search->sort_count = count + 1;
}

static enum vz_status settle_fusion(struct vz_body *body, struct vz_error *err)
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
        vz_body_show_group(search, body->parser.arena);
    return status;
}

enum vz_status vz_search_parse(struct vz_json value, const struct vz_search_params *params,
                               struct vz_arena *arena, struct vz_search **out, struct vz_error *err)
{
    struct vz_search *search = vz_arena_zalloc(arena, sizeof(*search));
    struct vz_body body = {.parser = {.arena = arena}, .search = search};
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
        status = vz_body_parse_member(&body, key, member, err);
        if (status != VZ_OK)
            return status;
    }
    if (params)
        status = vz_body_apply_params(&body, params, err);
    if (status != VZ_OK)
        return status;
    vz_body_settle_source(&body);
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
