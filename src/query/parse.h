/* query/parse.h - what parse*.c and inner_parse.c share: a body while it is read. Private to them.
 *
 *   parse.c         the table of keys, the whole, and what must fit together
 *   parse_hits.c    query, knn, post_filter, size, from, sort, limits ...
 *   parse_lists.c   retriever, rank, sub_searches, rescore, collapse, indices_boost, slice, pit
 *   parse_fetch.c   _source, fields, docvalue_fields, stored_fields
 *   parse_params.c  the URL
 *   inner_parse.c   inner_hits: a body within a body, with some of the keys
 */
#ifndef VZ_QUERY_PARSE_H
#define VZ_QUERY_PARSE_H

#include "query/dsl.h"
#include "query/fusion.h"

struct vz_body {
    struct vz_parser parser;
    struct vz_search *search;
    int64_t size, from;
    bool source_given, stored_fields_given;
};

/* The value of one key, which is not null. VZ_BAD_QUERY in Elasticsearch's words; VZ_UNSUPPORTED.
 */
typedef enum vz_status vz_body_parse(struct vz_body *body, struct vz_json value,
                                     struct vz_error *err);
vz_body_parse vz_body_parse_query, vz_body_parse_post_filter, vz_body_parse_knn, vz_body_parse_size,
    vz_body_parse_from, vz_body_parse_track_total, vz_body_parse_sort, vz_body_parse_search_after,
    vz_body_parse_min_score, vz_body_parse_timeout, vz_body_parse_terminate, vz_body_parse_version,
    vz_body_parse_seq_no, vz_body_parse_explain, vz_body_parse_profile, vz_body_parse_track_scores,
    vz_body_parse_source, vz_body_parse_fields, vz_body_parse_docvalue, vz_body_parse_stored,
    vz_body_parse_retriever, vz_body_parse_rank, vz_body_parse_sub_searches, vz_body_parse_rescore,
    vz_body_parse_collapse, vz_body_parse_boosts, vz_body_parse_slice, vz_body_parse_pit;
/* One member of a body, by its name. */
enum vz_status vz_body_parse_member(struct vz_body *body, struct vz_slice key, struct vz_json value,
                                    struct vz_error *err);

/* "Unknown key for a VALUE_STRING in [query].", also of a value of another type than the key's. */
enum vz_status vz_body_unknown(struct vz_json value, struct vz_slice key, struct vz_error *err);
enum vz_status vz_body_bad_value(const char *key, struct vz_json value, const char *wanted,
                                 struct vz_error *err);
enum vz_status vz_body_read_bool(const char *key, struct vz_json value, bool *out,
                                 struct vz_error *err);
/* track_total_hits, a boolean (`truth`) or a number; -1 is all. */
enum vz_status vz_body_set_total(struct vz_search *search, bool is_bool, bool truth, int64_t number,
                                 struct vz_error *err);
/* After all keys: whether _source is shown when nobody said so. */
void vz_body_settle_source(struct vz_body *body);
/* The value that a group is about is shown as a field of its hit. */
void vz_body_show_group(struct vz_search *search, struct vz_arena *arena);
enum vz_status vz_body_apply_params(struct vz_body *body, const struct vz_search_params *params,
                                    struct vz_error *err);

#endif
