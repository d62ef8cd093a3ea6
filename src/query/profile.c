/* "profile": true, in Elasticsearch's shape: what each knn clause did and what the query took. Only
 * what is known here is told: a clause's vector operations and times, one time for the query. */
#include "query/parts.h"

static void put_breakdown(struct vz_json_writer *w, uint64_t time_ns)
{
    static const char *const parts[] = {"build_scorer", "create_weight", "next_doc",
                                        "advance",      "match",         "score"};
    vz_json_key(w, "breakdown");
    vz_json_begin_object(w);
    for (size_t i = 0; i < VZ_COUNT_OF(parts); i++)
        vz_json_field_int(w, parts[i], i == 0 ? (int64_t)time_ns : 0);
    vz_json_end_object(w);
}

static void put_query(struct vz_json_writer *w, const char *type, const char *description,
                      uint64_t time_ns)
{
    vz_json_key(w, "query");
    vz_json_begin_array(w);
    vz_json_begin_object(w);
    vz_json_field_str(w, "type", type);
    vz_json_field_str(w, "description", description);
    vz_json_field_int(w, "time_in_nanos", (int64_t)time_ns);
    put_breakdown(w, time_ns);
    vz_json_end_object(w);
    vz_json_end_array(w);
}

static void put_collector(struct vz_json_writer *w, uint64_t time_ns)
{
    vz_json_key(w, "collector");
    vz_json_begin_array(w);
    vz_json_begin_object(w);
    vz_json_field_str(w, "name", "SimpleTopScoreDocCollector");
    vz_json_field_str(w, "reason", "search_top_hits");
    vz_json_field_int(w, "time_in_nanos", (int64_t)time_ns);
    vz_json_end_object(w);
    vz_json_end_array(w);
}

static void put_knn(struct vz_json_writer *w, const struct vz_knn_profile *profile)
{
    const struct vz_knn_clause *clause = profile->clause;
    struct vz_buf text = {0};
    vz_buf_printf(&text, "knn on [%.*s], k [%u], num_candidates [", VZ_ARG(clause->field),
                  clause->k);
    if (clause->num_candidates)
        vz_buf_printf(&text, "%u], ", clause->num_candidates);
    else
        vz_buf_append_str(&text, "default], ");
    vz_buf_printf(&text, "%zu found by %s", profile->found,
                  profile->scanned ? "a scan of all that match" : "a walk of the graph");
    vz_json_begin_object(w);
    vz_json_field_int(w, "vector_operations_count", (int64_t)profile->visited);
    put_query(w, clause->exact ? "ExactKnnQuery" : "KnnFloatVectorQuery", text.data,
              profile->time_ns);
    vz_json_field_int(w, "rewrite_time", (int64_t)profile->time_ns);
    put_collector(w, 0);
    vz_json_end_object(w);
    vz_buf_deinit(&text);
}

void vz_profile_shard(const struct vz_eval *eval, const struct vz_search *search, uint64_t query_ns,
                      struct vz_json_writer *w)
{
    struct vz_slice index = vz_index_name(vz_snapshot_index(eval->snap));
    struct vz_buf id = {0};
    vz_buf_printf(&id, "[vizsla][%.*s][0]", VZ_ARG(index));
    vz_json_begin_object(w);
    vz_json_field_string(w, "id", vz_buf_slice(&id));
    vz_json_field_str(w, "node_id", "vizsla");
    vz_json_field_int(w, "shard_id", 0);
    vz_json_field_string(w, "index", index);
    vz_json_field_str(w, "cluster", "(local)");
    if (eval->profile) {
        vz_json_key(w, "dfs");
        vz_json_begin_object(w);
        vz_json_key(w, "knn");
        vz_json_begin_array(w);
        for (const struct vz_knn_profile *at = eval->profile; at; at = at->next)
            put_knn(w, at);
        vz_json_end_array(w);
        vz_json_end_object(w);
    }
    vz_json_key(w, "searches");
    vz_json_begin_array(w);
    vz_json_begin_object(w);
    put_query(w, search->query ? "BooleanQuery" : "MatchAllDocsQuery",
              search->query ? "the query and the clauses below it" : "*:*", query_ns);
    vz_json_field_int(w, "rewrite_time", 0);
    put_collector(w, query_ns);
    vz_json_end_object(w);
    vz_json_end_array(w);
    vz_json_key(w, "aggregations");
    vz_json_begin_array(w);
    vz_json_end_array(w);
    vz_json_end_object(w);
    vz_buf_deinit(&id);
}
