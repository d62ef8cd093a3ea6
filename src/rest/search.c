/* Searching: _search, _count, _msearch. */
#include "rest/count.h"
#include "rest/inner.h"
#include "rest/ml.h"
#include "rest/scripts.h"
#include "rest/pit.h"

#include <stdlib.h>

/* ---- printing ------------------------------------------------------------------------------ */

void vz_search_print(struct vz_json_writer *w, const struct vz_search_result *result,
                     const struct vz_search_answer_options *options)
{
    if (options->scroll_id.len)
        vz_json_field_string(w, "_scroll_id", options->scroll_id);
    if (options->pit_id.len)
        vz_json_field_string(w, "pit_id", options->pit_id);
    vz_json_field_int(w, "took", options->took_ms);
    vz_json_field_bool(w, "timed_out", result->timed_out);
    if (result->has_terminated_early)
        vz_json_field_bool(w, "terminated_early", result->terminated_early);
    vz_call_shards(w, options->shards, options->shards, true);
    vz_json_key(w, "hits");
    vz_search_hits_print(w, result, options->total_as_int);
    vz_json_field_raw(w, "aggregations", result->aggregations);
    vz_json_field_raw(w, "suggest", result->suggest);
    vz_json_field_raw(w, "profile", result->profile);
}

/* ---- one search ---------------------------------------------------------------------------- */

void vz_uri_query_of(struct vz_call *call, struct vz_uri_query *uri)
{
    struct vz_slice value;
    *uri = (struct vz_uri_query){0};
    if (!vz_call_param(call, "q", &uri->q))
        return;
    if (!uri->q.ptr)
        uri->q = VZ_SLICE("");
    uri->df = vz_call_text(call, "df");
    uri->default_operator = vz_call_text(call, "default_operator");
    uri->analyzer = vz_call_text(call, "analyzer");
    uri->analyze_wildcard = vz_call_bool(call, "analyze_wildcard", false);
    uri->has_lenient = vz_call_param(call, "lenient", &value);
    uri->lenient = vz_call_bool(call, "lenient", false);
}

void vz_search_params_of(struct vz_call *call, struct vz_search_params *params)
{
    struct vz_slice value;
    *params = (struct vz_search_params){0};
    vz_ml_embedder(call, params);
    vz_call_watch(call, true, params);
    params->has_size = vz_call_param(call, "size", &value);
    params->size = vz_call_int(call, "size", 10);
    params->has_from = vz_call_param(call, "from", &value);
    params->from = vz_call_int(call, "from", 0);
    params->has_track_total_hits =
        vz_call_param(call, "track_total_hits", &params->track_total_hits);
    params->sort = vz_call_text(call, "sort");
    params->has_source = vz_call_param(call, "_source", &params->source);
    params->source_includes = vz_call_text(call, "_source_includes");
    params->source_excludes = vz_call_text(call, "_source_excludes");
    vz_uri_query_of(call, &params->uri);
    params->version = vz_call_bool(call, "version", false);
    params->seq_no_primary_term = vz_call_bool(call, "seq_no_primary_term", false);
    params->explain = vz_call_bool(call, "explain", false);
    params->allows_partial = vz_call_bool(call, "allow_partial_search_results", false);
    params->named_scores = vz_call_bool(call, "include_named_queries_score", false);
    params->typed_keys = vz_call_bool(call, "typed_keys", false);
    params->suggest_field = vz_call_text(call, "suggest_field");
    if (!vz_call_param(call, "suggest_text", &params->suggest_text))
        params->suggest_text = (struct vz_slice){NULL, 0};
    params->suggest_mode = vz_call_text(call, "suggest_mode");
    params->suggest_size = vz_call_int(call, "suggest_size", 5);
    params->max_bytes = call->rest->max_answer_bytes;
}

struct vz_search_target *vz_search_targets(struct vz_arena *arena,
                                           const struct vz_resolved *resolved)
{
    struct vz_search_target *targets =
        vz_arena_alloc(arena, (resolved->count + 1) * sizeof *targets);
    for (size_t i = 0; i < resolved->count; i++)
        targets[i] = (struct vz_search_target){.index = resolved->indices[i],
                                                .alias_filter = resolved->filters[i]};
    return targets;
}

static bool check_search_type(struct vz_call *call)
{
    struct vz_slice type;
    /* Both mean the same where an index is one shard. */
    if (!vz_call_param(call, "search_type", &type) || vz_slice_is(type, "query_then_fetch") ||
        vz_slice_is(type, "dfs_query_then_fetch"))
        return true;
    return vz_call_fail(call, 400, "illegal_argument_exception", "No search type for [%.*s]",
                        VZ_S(type));
}

/* indices_boost: the first name that means an index counts. */
static bool set_boosts(struct vz_call *call, struct vz_arena *arena,
                       const struct vz_search *search, struct vz_search_target *targets,
                       size_t count, struct vz_problem *problem)
{
    const struct vz_resolve_options options = {
        .aliases = true, .allow_no_indices = true, .expand = true};
    size_t boost_count;
    const struct vz_index_boost *boosts = vz_search_boosts(search, &boost_count);
    for (size_t b = 0; b < boost_count; b++) {
        struct vz_resolved meant;
        if (!vz_resolve_with(call->store, arena, boosts[b].index, &options, &meant, problem)) {
            vz_resolved_release(&meant);
            return false;
        }
        for (size_t i = 0; i < meant.count; i++)
            for (size_t t = 0; t < count; t++)
                if (targets[t].index == meant.indices[i] && !targets[t].has_boost) {
                    targets[t].has_boost = true;
                    targets[t].boost = boosts[b].boost;
                }
        vz_resolved_release(&meant);
    }
    return true;
}

/* One search and where it is to be run. */
struct asked_search {
    struct vz_arena *arena;
    struct vz_json body;
    struct vz_slice text; /* of the body */
    const struct vz_search_params *params;
    const struct vz_resolved *resolved; /* unless the body names a point in time */
};

static bool run_on(struct vz_call *call, const struct asked_search *asked,
                   const struct vz_search *search, struct vz_search_target *targets, size_t count,
                   struct vz_search_result *result, struct vz_problem *problem)
{
    struct vz_error err = {.offset = VZ_NO_OFFSET};
    if (count == 0)
        return true;
    if (!set_boosts(call, asked->arena, search, targets, count, problem))
        return false;
    if (vz_search_run(targets, count, search, asked->arena, result, &err) == VZ_OK)
        return true;
    struct vz_index *index = targets[0].index;
    vz_problem_from(asked->arena, vz_call_cancelled(call, &err), VZ_AT_SHARD, asked->text,
                    vz_index_name(index), vz_index_uuid(index), problem);
    return false;
}

/* Parses and runs; the problem is the caller's to place. Fills shards and pit_id of *options. */
static bool run_search(struct vz_call *call, const struct asked_search *asked,
                       struct vz_search_result *result, struct vz_search_answer_options *options,
                       struct vz_problem *problem)
{
    struct vz_search *search;
    struct vz_error err = {.offset = VZ_NO_OFFSET};
    *result = (struct vz_search_result){.track_total = true};
    if (vz_search_parse(asked->body, asked->params, asked->arena, &search, &err) != VZ_OK) {
        vz_problem_from(asked->arena, &err, VZ_AT_SEARCH, asked->text, (struct vz_slice){NULL, 0},
                        NULL, problem);
        return false;
    }
    struct vz_search_pit of = vz_search_pit_of(search);
    size_t count = asked->resolved->count;
    if (!of.id.len) {
        options->shards = (unsigned)count;
        return run_on(call, asked, search, vz_search_targets(asked->arena, asked->resolved), count,
                      result, problem);
    }
    struct vz_pit *pit = vz_pit_acquire(call->rest->pits, &of, asked->arena, problem);
    if (!pit)
        return false;
    struct vz_search_target *targets = vz_pit_targets(pit, asked->arena, &count);
    bool ok = run_on(call, asked, search, targets, count, result, problem);
    vz_pit_release(call->rest->pits, pit);
    options->shards = (unsigned)count;
    options->pit_id = of.id;
    return ok;
}

void vz_rest_search(struct vz_call *call)
{
    struct vz_json body, pit;
    struct vz_resolved resolved = {0};
    struct vz_search_params params;
    struct vz_search_result result;
    struct vz_slice scroll;
    struct vz_search_answer_options options = {0};
    if (!check_search_type(call) || !vz_call_body(call, VZ_AT_SEARCH, false, &body))
        return;
    bool in_pit = vz_json_get(body, "pit", &pit);
    if (in_pit ? !vz_pit_check(call)
               : !vz_resolve(call, call->args[0], VZ_RESOLVE_ALIASES | VZ_RESOLVE_READ, &resolved))
        return;
    vz_search_params_of(call, &params);
    struct asked_search asked = {.arena = call->arena,
                                 .body = body,
                                 .text = call->request->body,
                                 .params = &params,
                                 .resolved = &resolved};
    if (vz_call_param(call, "scroll", &scroll)) {
        params.is_scroll = true;
        vz_scroll_start(call, body, &params, &resolved);
    } else if (run_search(call, &asked, &result, &options, &call->problem)) {
        options.total_as_int = vz_call_bool(call, "rest_total_hits_as_int", false);
        options.took_ms = vz_call_took_ms(call);
        vz_json_begin_object(&call->w);
        vz_search_print(&call->w, &result, &options);
        vz_json_end_object(&call->w);
    }
    vz_resolved_release(&resolved);
}

/* ---- count --------------------------------------------------------------------------------- */

static bool only_query(struct vz_call *call, struct vz_json body)
{
    struct vz_json_iter it = vz_json_iterate(body);
    struct vz_slice key;
    struct vz_json value;
    while (vz_json_next(&it, &key, &value))
        if (!vz_slice_is(key, "query"))
            return vz_call_fail(call, 400, "parsing_exception", "request does not support [%.*s]",
                                VZ_S(key));
    return true;
}

void vz_rest_count(struct vz_call *call)
{
    struct vz_json body;
    struct vz_resolved resolved;
    struct vz_search *search;
    struct vz_error err = {.offset = VZ_NO_OFFSET};
    uint64_t count = 0;
    struct vz_search_params params = {0};
    vz_uri_query_of(call, &params.uri);
    vz_ml_embedder(call, &params);
    vz_call_watch(call, true, &params);
    if (!vz_call_body(call, VZ_AT_SEARCH, false, &body) || !only_query(call, body))
        return;
    if (vz_count_needs_search(call)) {
        vz_count_by_search(call, body);
        return;
    }
    if (vz_search_parse(body, &params, call->arena, &search, &err) != VZ_OK) {
        vz_call_fail_error(call, &err, VZ_AT_SEARCH);
        return;
    }
    if (!vz_resolve(call, call->args[0], VZ_RESOLVE_ALIASES | VZ_RESOLVE_READ, &resolved))
        return;
    struct vz_search_target *targets = vz_search_targets(call->arena, &resolved);
    if (resolved.count && vz_search_count(targets, resolved.count, search, &count, &err) != VZ_OK) {
        vz_call_fail_index(call, &err, VZ_AT_SHARD, resolved.indices[0]);
    } else {
        vz_json_begin_object(&call->w);
        vz_json_key(&call->w, "count");
        vz_json_put_uint(&call->w, count);
        vz_call_shards(&call->w, (unsigned)resolved.count, (unsigned)resolved.count, true);
        vz_json_end_object(&call->w);
    }
    vz_resolved_release(&resolved);
}

/* ---- explain ------------------------------------------------------------------------------- */

void vz_rest_explain(struct vz_call *call)
{
    struct vz_json body;
    struct vz_resolved resolved;
    struct vz_search *search;
    struct vz_error err = {.offset = VZ_NO_OFFSET};
    struct vz_search_params params = {0};
    vz_uri_query_of(call, &params.uri);
    struct vz_slice explanation = {0};
    bool matched;
    if (!vz_call_body(call, VZ_AT_SEARCH, false, &body) || !only_query(call, body))
        return;
    if (vz_search_parse(body, &params, call->arena, &search, &err) != VZ_OK) {
        vz_call_fail_error(call, &err, VZ_AT_SEARCH);
        return;
    }
    if (!vz_resolve(call, call->args[0], VZ_RESOLVE_ALIASES | VZ_RESOLVE_READ, &resolved))
        return;
    struct vz_search_target *targets = vz_search_targets(call->arena, &resolved);
    enum vz_status status = VZ_OK;
    if (resolved.count != 1)
        vz_call_fail(call, 400, "illegal_argument_exception", "[explain] needs exactly one index");
    else
        status = vz_search_explain(&targets[0], search, call->args[1], call->arena, &matched,
                                   &explanation, &err);
    if (resolved.count == 1 && status != VZ_OK && status != VZ_NOT_FOUND) {
        vz_call_fail_index(call, &err, VZ_AT_SHARD, resolved.indices[0]);
    } else if (resolved.count == 1) {
        if (status == VZ_NOT_FOUND)
            call->response->status = 404;
        vz_json_begin_object(&call->w);
        vz_json_field_string(&call->w, "_index", vz_index_name(resolved.indices[0]));
        vz_json_field_string(&call->w, "_id", call->args[1]);
        vz_json_field_bool(&call->w, "matched", status == VZ_OK && matched);
        if (status == VZ_OK)
            vz_json_field_raw(&call->w, "explanation", explanation);
        vz_json_end_object(&call->w);
    }
    vz_resolved_release(&resolved);
}

/* ---- validate ------------------------------------------------------------------------------ */

/* "[dogs/uuid] QueryShardException[...]" */
static void put_invalid(struct vz_call *call, struct vz_index *index, const struct vz_error *err)
{
    vz_json_field_string(&call->w, "error",
                         vz_call_format(call, "[%.*s/%s] QueryShardException[%s]%s%s",
                                        VZ_S(vz_index_name(index)), vz_index_uuid(index),
                                        err->text, err->cause[0] ? "; nested: " : "",
                                        err->cause));
}

void vz_rest_validate(struct vz_call *call)
{
    struct vz_json body;
    struct vz_resolved resolved;
    struct vz_search *search;
    struct vz_error err = {.offset = VZ_NO_OFFSET};
    struct vz_search_params params = {0};
    struct vz_json_writer *w = &call->w;
    vz_uri_query_of(call, &params.uri);
    vz_ml_embedder(call, &params);
    vz_call_watch(call, true, &params);
    bool explain = vz_call_bool(call, "explain", false), rewrite = vz_call_bool(call, "rewrite", false);
    bool shards = vz_call_bool(call, "all_shards", false), valid = true;
    if (!vz_call_body(call, VZ_AT_SEARCH, false, &body) || !only_query(call, body))
        return;
    bool readable = vz_search_parse(body, &params, call->arena, &search, &err) == VZ_OK;
    if (!readable && err.status == VZ_UNSUPPORTED) {
        vz_call_fail_error(call, &err, VZ_AT_SEARCH);
        return;
    }
    if (!readable) {
        vz_json_begin_object(w);
        vz_json_field_bool(w, "valid", false);
        if (explain)
            vz_json_field_str(w, "error", err.text);
        vz_json_end_object(w);
        return;
    }
    if (!vz_resolve(call, call->args[0], VZ_RESOLVE_ALIASES, &resolved))
        return;
    struct vz_search_target *targets = vz_search_targets(call->arena, &resolved);
    struct vz_error *errors = vz_arena_zalloc(call->arena, (resolved.count + 1) * sizeof *errors);
    struct vz_slice *texts = vz_arena_zalloc(call->arena, (resolved.count + 1) * sizeof *texts);
    for (size_t i = 0; i < resolved.count; i++) {
        enum vz_status status =
            vz_search_validate(&targets[i], search, call->arena, &texts[i], &errors[i]);
        errors[i].status = status;
        valid = valid && status == VZ_OK;
    }
    vz_json_begin_object(w);
    vz_call_shards(w, (unsigned)resolved.count, (unsigned)resolved.count, false);
    vz_json_field_bool(w, "valid", valid);
    if (explain || rewrite) {
        vz_json_key(w, "explanations");
        vz_json_begin_array(w);
        for (size_t i = 0; i < resolved.count; i++) {
            vz_json_begin_object(w);
            vz_json_field_string(w, "index", vz_index_name(resolved.indices[i]));
            if (shards)
                vz_json_field_int(w, "shard", 0);
            vz_json_field_bool(w, "valid", errors[i].status == VZ_OK);
            if (errors[i].status == VZ_OK)
                vz_json_field_string(w, "explanation", texts[i]);
            else
                put_invalid(call, resolved.indices[i], &errors[i]);
            vz_json_end_object(w);
        }
        vz_json_end_array(w);
    }
    vz_json_end_object(w);
    vz_resolved_release(&resolved);
}

/* ---- msearch ------------------------------------------------------------------------------- */

struct msearch_header {
    struct vz_slice expression;
    struct vz_resolve_options options;
};

static struct vz_slice take_line(struct vz_slice *rest)
{
    const char *end = memchr(rest->ptr, '\n', rest->len);
    struct vz_slice line = {rest->ptr, (size_t)(end - rest->ptr)};
    rest->ptr += line.len + 1;
    rest->len -= line.len + 1;
    return line;
}

static bool blank(struct vz_slice text)
{
    for (size_t i = 0; i < text.len; i++)
        if (!strchr(" \t\r", text.ptr[i]))
            return false;
    return true;
}

static void read_expression(struct vz_call *call, struct vz_json value, struct vz_slice *out)
{
    if (vz_json_type(value) == VZ_JSON_STRING) {
        *out = vz_arena_copy(call->arena, vz_json_string(value));
        return;
    }
    struct vz_buf text = {0};
    struct vz_json_iter it = vz_json_iterate(value);
    struct vz_json item;
    while (vz_json_next(&it, NULL, &item))
        vz_buf_printf(&text, "%s%.*s", text.len ? "," : "", VZ_S(vz_json_string(item)));
    *out = vz_arena_copy(call->arena, vz_buf_slice(&text));
    vz_buf_deinit(&text);
}

static bool read_header_member(struct vz_call *call, struct vz_slice key, struct vz_json value,
                               struct msearch_header *header)
{
    static const char *const harmless[] = {"search_type",
                                           "preference",
                                           "routing",
                                           "request_cache",
                                           "allow_partial_search_results",
                                           "ccs_minimize_roundtrips",
                                           "max_concurrent_shard_requests",
                                           "ignore_throttled"};
    bool truth;
    if (vz_slice_is(key, "index") || vz_slice_is(key, "indices"))
        read_expression(call, value, &header->expression);
    else if (vz_slice_is(key, "ignore_unavailable") && vz_json_as_bool(value, &truth))
        header->options.ignore_unavailable = truth;
    else if (vz_slice_is(key, "allow_no_indices") && vz_json_as_bool(value, &truth))
        header->options.allow_no_indices = truth;
    else if (vz_slice_is(key, "expand_wildcards"))
        header->options.expand =
            vz_slice_is(vz_json_string(value), "none") ? 0 : VZ_EXPAND_OPEN;
    else {
        for (size_t i = 0; i < VZ_COUNT_OF(harmless); i++)
            if (vz_slice_is(key, harmless[i]))
                return true;
        return vz_call_fail(call, 400, "illegal_argument_exception",
                            "key [%.*s] is not supported in the metadata section", VZ_S(key));
    }
    return true;
}

static bool read_header(struct vz_call *call, struct vz_slice line, struct msearch_header *header)
{
    struct vz_json_doc *doc;
    struct vz_json root, value;
    struct vz_slice key;
    struct vz_error err = {0};
    *header = (struct msearch_header){
        .expression = call->args[0],
        .options = {.aliases = true,
                    .ignore_unavailable = vz_call_bool(call, "ignore_unavailable", false),
                    .allow_no_indices = vz_call_bool(call, "allow_no_indices", true),
                    .expand = VZ_EXPAND_OPEN,
                    .flags = VZ_RESOLVE_READ}};
    if (blank(line))
        return true;
    if (vz_json_parse_padded(line, &doc, &root, &err) != VZ_OK) {
        vz_problem_from(call->arena, &err, VZ_AT_BODY, line, (struct vz_slice){NULL, 0}, NULL,
                        &call->problem);
        return false;
    }
    bool ok = vz_json_type(root) == VZ_JSON_OBJECT ||
              vz_call_fail(call, 400, "illegal_argument_exception",
                           "Expected [START_OBJECT] in the metadata section but found [%s]",
                           vz_json_type_name(root));
    struct vz_json_iter it = vz_json_iterate(root);
    while (ok && vz_json_next(&it, &key, &value))
        ok = read_header_member(call, key, value, header);
    vz_json_free(doc);
    return ok;
}

static void print_msearch_problem(struct vz_call *call, const struct vz_problem *problem)
{
    struct vz_json_writer *w = &call->w;
    vz_json_begin_object(w);
    vz_json_key(w, "error");
    vz_problem_print_full(problem, false, w);
    vz_json_field_int(w, "status", problem->status);
    vz_json_end_object(w);
}

/* A template becomes the body of a search, names of stored scripts become scripts. */
static bool ready_line(struct vz_call *call, struct vz_arena *arena, struct vz_slice *line,
                       struct vz_problem *problem)
{
    bool is_template = call->route->handle == vz_rest_msearch_template;
    return (!is_template || vz_search_template_line(call, arena, *line, line, problem)) &&
           (!vz_scripts_may_be_named(*line) ||
            vz_scripts_inline(call, arena, *line, line, problem));
}

/* One search of several; its failure is its own. False only when the request as a whole is wrong.
 * What it finds is printed and let go: there may be many of them. */
static bool msearch_one(struct vz_call *call, const struct msearch_header *header,
                        struct vz_slice line)
{
    struct vz_arena arena = {0};
    struct vz_json_doc *doc;
    struct vz_json body;
    struct vz_error err = {0};
    struct vz_problem problem = {0};
    struct vz_resolved resolved;
    struct vz_search_result result;
    struct vz_search_params params = {.max_bytes = call->rest->max_answer_bytes};
    vz_ml_embedder(call, &params);
    vz_call_watch(call, true, &params);
    uint64_t start = vz_now_ns();
    if (!ready_line(call, &arena, &line, &problem)) {
        print_msearch_problem(call, &problem);
        vz_arena_deinit(&arena);
        return true;
    }
    if (vz_json_parse_padded(line, &doc, &body, &err) != VZ_OK) {
        /* What a template gives is one search's own fault, a line that is no JSON the request's. */
        bool is_template = call->route->handle == vz_rest_msearch_template;
        vz_problem_from(call->arena, &err, VZ_AT_SEARCH, line, (struct vz_slice){NULL, 0}, NULL,
                        is_template ? &problem : &call->problem);
        if (is_template)
            print_msearch_problem(call, &problem);
        vz_arena_deinit(&arena);
        return is_template;
    }
    struct asked_search asked = {
        .arena = &arena, .body = body, .text = line, .params = &params, .resolved = &resolved};
    struct vz_search_answer_options options = {
        .total_as_int = vz_call_bool(call, "rest_total_hits_as_int", false)};
    bool ok = vz_resolve_with(call->store, &arena, header->expression, &header->options, &resolved,
                              &problem);
    if (ok && run_search(call, &asked, &result, &options, &problem)) {
        options.took_ms = (unsigned)((vz_now_ns() - start) / 1000000);
        vz_json_begin_object(&call->w);
        vz_search_print(&call->w, &result, &options);
        vz_json_field_int(&call->w, "status", 200);
        vz_json_end_object(&call->w);
    } else {
        print_msearch_problem(call, &problem);
    }
    vz_resolved_release(&resolved);
    vz_json_free(doc);
    vz_arena_deinit(&arena);
    return vz_call_fits(call, call->response->body.len);
}

void vz_rest_msearch(struct vz_call *call)
{
    struct vz_slice rest = call->request->body;
    size_t searches = 0;
    if (rest.len == 0) {
        vz_call_fail(call, 400, "parse_exception", "request body is required");
        return;
    }
    if (rest.ptr[rest.len - 1] != '\n') {
        vz_call_fail(call, 400, "illegal_argument_exception",
                     "The msearch request must be terminated by a newline [\\n]");
        return;
    }
    struct vz_buf answers = {0};
    struct vz_buf *out = &call->response->body;
    vz_json_begin_array(&call->w);
    while (rest.len) {
        struct msearch_header header;
        struct vz_slice line = take_line(&rest);
        if (blank(line) && rest.len == 0)
            break;
        if (!read_header(call, line, &header))
            return;
        if (rest.len == 0) {
            vz_call_fail(call, 400, "action_request_validation_exception",
                         "Validation Failed: 1: the last search has no body;");
            return;
        }
        if (!msearch_one(call, &header, take_line(&rest)))
            return;
        searches++;
    }
    vz_json_end_array(&call->w);
    if (searches == 0) {
        vz_call_fail(call, 400, "action_request_validation_exception",
                     "Validation Failed: 1: no requests added;");
        return;
    }
    vz_buf_printf(&answers, "{\"took\":%u,\"responses\":", vz_call_took_ms(call));
    vz_buf_append_slice(&answers, vz_buf_slice(out));
    vz_buf_append_char(&answers, '}');
    vz_buf_deinit(out);
    *out = answers;
}
