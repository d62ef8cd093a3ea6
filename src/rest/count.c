/* _count with min_score or terminate_after: how many a search would find. Without them a count
 * needs no scores, see vz_rest_count. */
#include "rest/count.h"
#include "rest/ml.h"

#include <stdlib.h>

bool vz_count_needs_search(const struct vz_call *call)
{
    struct vz_slice value;
    return vz_call_param(call, "min_score", &value) || vz_call_int(call, "terminate_after", 0) != 0;
}

/* {"query", "min_score", "terminate_after", "size": 0, "track_total_hits": true} */
static bool make_body(struct vz_call *call, struct vz_json body, struct vz_buf *text)
{
    struct vz_json query;
    struct vz_slice value;
    int64_t stop = vz_call_int(call, "terminate_after", 0);
    if (stop < 0)
        return vz_call_fail(call, 400, "illegal_argument_exception", "terminateAfter must be > 0");
    vz_buf_append_str(text, "{\"size\":0,\"track_total_hits\":true");
    if (stop)
        vz_buf_printf(text, ",\"terminate_after\":%lld", (long long)stop);
    if (vz_call_param(call, "min_score", &value)) {
        char copy[64] = "", *end;
        memcpy(copy, value.len ? value.ptr : "", VZ_MIN(value.len, sizeof copy - 1));
        double score = strtod(copy, &end);
        if (!copy[0] || *end || strspn(copy, "0123456789.eE+-") != strlen(copy) ||
            value.len >= sizeof copy || !(score > -3.4e38 && score < 3.4e38))
            return vz_call_fail(call, 400, "illegal_argument_exception",
                                "Failed to parse float parameter [min_score] with value [%.*s]",
                                VZ_S(value));
        struct vz_json_writer w = vz_json_writer_on(text);
        vz_buf_append_str(text, ",\"min_score\":");
        vz_json_put_double(&w, score);
    }
    if (vz_json_get(body, "query", &query)) {
        vz_buf_append_str(text, ",\"query\":");
        vz_json_print(query, text);
    }
    vz_buf_append_char(text, '}');
    return true;
}

static void print(struct vz_call *call, const struct vz_search_result *result, unsigned shards)
{
    struct vz_json_writer *w = &call->w;
    vz_json_begin_object(w);
    vz_json_key(w, "count");
    vz_json_put_uint(w, result->total);
    if (vz_call_int(call, "terminate_after", 0))
        vz_json_field_bool(w, "terminated_early", result->terminated_early);
    vz_call_shards(w, shards, shards, true);
    vz_json_end_object(w);
}

void vz_count_by_search(struct vz_call *call, struct vz_json body)
{
    struct vz_buf text = {0};
    struct vz_json_doc *doc = NULL;
    struct vz_json root;
    struct vz_search *search;
    struct vz_search_result result = {.track_total = true};
    struct vz_search_params params = {0};
    struct vz_resolved resolved = {0};
    struct vz_error err = {.offset = VZ_NO_OFFSET};
    vz_uri_query_of(call, &params.uri);
    vz_ml_embedder(call, &params);
    vz_call_watch(call, true, &params);
    if (make_body(call, body, &text)) {
        if (vz_json_parse(vz_buf_slice(&text), &doc, &root, &err) != VZ_OK ||
            vz_search_parse(root, &params, call->arena, &search, &err) != VZ_OK)
            vz_call_fail_error(call, &err, VZ_AT_SEARCH);
        else if (vz_resolve(call, call->args[0], VZ_RESOLVE_ALIASES | VZ_RESOLVE_READ, &resolved)) {
            struct vz_search_target *targets = vz_search_targets(call->arena, &resolved);
            if (resolved.count &&
                vz_search_run(targets, resolved.count, search, call->arena, &result, &err) != VZ_OK)
                vz_call_fail_index(call, &err, VZ_AT_SHARD, resolved.indices[0]);
            else
                print(call, &result, (unsigned)resolved.count);
        }
    }
    vz_resolved_release(&resolved);
    if (doc)
        vz_json_free(doc);
    vz_buf_deinit(&text);
}
