/* Hits as JSON: those of an answer, and those within a hit. */
#include "query/parts.h"

#include <math.h>

void vz_score_put(struct vz_json_writer *w, float score)
{
    if (isinf(score))
        vz_json_put_str(w, score > 0 ? "Infinity" : "-Infinity");
    else
        vz_json_put_float(w, score);
}

void vz_hit_begin(struct vz_json_writer *w, const struct vz_search_hit *hit, bool without_id)
{
    vz_json_begin_object(w);
    if (hit->explanation.len) {
        vz_json_key(w, "_shard");
        struct vz_buf shard = {0};
        vz_buf_printf(&shard, "[%.*s][0]", VZ_ARG(hit->index));
        vz_json_put_string(w, vz_buf_slice(&shard));
        vz_buf_deinit(&shard);
        vz_json_field_str(w, "_node", "vizsla");
    }
    vz_json_field_string(w, "_index", hit->index);
    if (!without_id)
        vz_json_field_string(w, "_id", hit->id);
}

void vz_hit_put_versions(struct vz_json_writer *w, const struct vz_search_hit *hit, bool version,
                         bool seq_no)
{
    if (version) {
        vz_json_key(w, "_version");
        vz_json_put_uint(w, hit->version);
    }
    if (seq_no) {
        vz_json_key(w, "_seq_no");
        vz_json_put_uint(w, hit->seq_no);
        vz_json_field_int(w, "_primary_term", 1);
    }
}

void vz_hit_put_score(struct vz_json_writer *w, const char *key, bool has_score, float score)
{
    vz_json_key(w, key);
    if (has_score)
        vz_score_put(w, score);
    else
        vz_json_put_null(w);
}

static void print_hit(struct vz_json_writer *w, const struct vz_search_result *result,
                      const struct vz_search_hit *hit)
{
    vz_hit_begin(w, hit, result->without_id);
    vz_hit_put_versions(w, hit, result->with_version, result->with_seq_no);
    vz_hit_put_score(w, "_score", hit->has_score, hit->score);
    if (hit->rank)
        vz_json_field_int(w, "_rank", hit->rank);
    vz_json_field_raw(w, "_source", hit->source);
    vz_json_field_raw(w, "fields", hit->fields);
    vz_json_field_raw(w, "highlight", hit->highlight);
    vz_json_field_raw(w, "sort", hit->sort);
    vz_json_field_raw(w, "matched_queries", hit->matched_queries);
    vz_json_field_raw(w, "_explanation", hit->explanation);
    vz_json_field_raw(w, "inner_hits", hit->inner_hits);
    vz_json_end_object(w);
}

static void put_total(struct vz_json_writer *w, uint64_t total, const char *relation)
{
    vz_json_key(w, "total");
    vz_json_begin_object(w);
    vz_json_key(w, "value");
    vz_json_put_uint(w, total);
    vz_json_field_str(w, "relation", relation);
    vz_json_end_object(w);
}

void vz_hits_begin(struct vz_json_writer *w, uint64_t total, bool has_score, float max_score)
{
    vz_json_begin_object(w);
    put_total(w, total, "eq");
    vz_hit_put_score(w, "max_score", has_score, max_score);
    vz_json_key(w, "hits");
    vz_json_begin_array(w);
}

static void print_total(struct vz_json_writer *w, const struct vz_search_result *result,
                        bool as_int)
{
    if (!as_int) {
        put_total(w, result->total, result->total_is_lower_bound ? "gte" : "eq");
        return;
    }
    vz_json_key(w, "total");
    vz_json_put_uint(w, result->total);
}

void vz_search_hits_print(struct vz_json_writer *w, const struct vz_search_result *result,
                          bool total_as_int)
{
    vz_json_begin_object(w);
    if (result->track_total)
        print_total(w, result, total_as_int);
    else if (total_as_int)
        vz_json_field_int(w, "total", -1);
    vz_hit_put_score(w, "max_score", result->has_max_score, result->max_score);
    vz_json_key(w, "hits");
    vz_json_begin_array(w);
    for (size_t i = 0; i < result->hit_count; i++)
        print_hit(w, result, &result->hits[i]);
    vz_json_end_array(w);
    vz_json_end_object(w);
}
