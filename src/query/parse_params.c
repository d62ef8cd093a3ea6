/* The URL parameters beside a body; they win. */
#include "query/parse.h"
#include "query/suggest.h"

#include <stdlib.h>

static enum vz_status apply_source_params(struct vz_body *body,
                                          const struct vz_search_params *params)
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

enum vz_status vz_body_apply_params(struct vz_body *body, const struct vz_search_params *params,
                                    struct vz_error *err)
{
    struct vz_search *search = body->search;
    if (params->uri.q.ptr &&
        vz_query_string_of(&body->parser, &params->uri, &search->query, err) != VZ_OK)
        return err->status;
    if (params->suggest_field.len) {
        struct vz_suggest *suggest;
        enum vz_status status = vz_suggest_parse_params(params, body->parser.arena, &suggest, err);
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
        enum vz_status status = vz_body_set_total(search, is_bool, truth, number, err);
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
