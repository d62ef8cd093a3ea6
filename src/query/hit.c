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

static void put_slice_member(struct vz_json_writer *w, const char *key, struct vz_slice json)
{
    if (json.len) {
        vz_json_key(w, key);
        vz_json_put_raw(w, json);
    }
}

static void print_hit(struct vz_json_writer *w, const struct vz_search_result *result,
                      const struct vz_search_hit *hit)
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
    if (!result->without_id)
        vz_json_field_string(w, "_id", hit->id);
    if (result->with_version) {
        vz_json_key(w, "_version");
        vz_json_put_uint(w, hit->version);
    }
    if (result->with_seq_no) {
        vz_json_key(w, "_seq_no");
        vz_json_put_uint(w, hit->seq_no);
        vz_json_field_int(w, "_primary_term", 1);
    }
    vz_json_key(w, "_score");
    if (hit->has_score)
        vz_score_put(w, hit->score);
    else
        vz_json_put_null(w);
    if (hit->rank)
        vz_json_field_int(w, "_rank", hit->rank);
    put_slice_member(w, "_source", hit->source);
    put_slice_member(w, "fields", hit->fields);
    put_slice_member(w, "highlight", hit->highlight);
    put_slice_member(w, "sort", hit->sort);
    put_slice_member(w, "matched_queries", hit->matched_queries);
    put_slice_member(w, "_explanation", hit->explanation);
    put_slice_member(w, "inner_hits", hit->inner_hits);
    vz_json_end_object(w);
}

static void print_total(struct vz_json_writer *w, const struct vz_search_result *result,
                        bool as_int)
{
    vz_json_key(w, "total");
    if (as_int) {
        vz_json_put_uint(w, result->total);
        return;
    }
    vz_json_begin_object(w);
    vz_json_key(w, "value");
    vz_json_put_uint(w, result->total);
    vz_json_field_str(w, "relation", result->total_is_lower_bound ? "gte" : "eq");
    vz_json_end_object(w);
}

void vz_search_hits_print(struct vz_json_writer *w, const struct vz_search_result *result,
                          bool total_as_int)
{
    vz_json_begin_object(w);
    if (result->track_total)
        print_total(w, result, total_as_int);
    else if (total_as_int)
        vz_json_field_int(w, "total", -1);
    vz_json_key(w, "max_score");
    if (result->has_max_score)
        vz_score_put(w, result->max_score);
    else
        vz_json_put_null(w);
    vz_json_key(w, "hits");
    vz_json_begin_array(w);
    for (size_t i = 0; i < result->hit_count; i++)
        print_hit(w, result, &result->hits[i]);
    vz_json_end_array(w);
    vz_json_end_object(w);
}
