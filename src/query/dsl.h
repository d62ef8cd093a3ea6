/* query/dsl.h - what the parsers of single queries share (dsl*.c, knn.c). */
#ifndef VZ_QUERY_DSL_H
#define VZ_QUERY_DSL_H

#include "query/parts.h"

/* The only member of {"field": ...}. `query` names it in errors. */
enum vz_status vz_dsl_one_field(const char *query, struct vz_json value, struct vz_slice *field,
                                struct vz_json *inner, struct vz_error *err);
/* A finite number, a boolean; also as strings. */
enum vz_status vz_dsl_float(const char *query, const char *key, struct vz_json value, float *out,
                            struct vz_error *err);
enum vz_status vz_dsl_bool(const char *query, const char *key, struct vz_json value, bool *out,
                           struct vz_error *err);
/* Takes `boost`; `_name` is taken by whoever parses the query. */
enum vz_status vz_dsl_common(const char *query, struct vz_slice key, struct vz_json value,
                             float *boost, bool *handled, struct vz_error *err);
/* "[term] query does not support [foo]" */
enum vz_status vz_dsl_unknown(const char *query, struct vz_slice key, struct vz_error *err);

/* Walks the members of a query's object: `boost` and `_name` are dealt with, the rest is the
 * visitor's (NULL: there is nothing more), which says VZ_NOT_FOUND for a key it does not know. */
typedef enum vz_status vz_dsl_visit(struct vz_parser *parser, struct vz_node *node,
                                    struct vz_slice key, struct vz_json value,
                                    struct vz_error *err);
enum vz_status vz_dsl_walk(struct vz_parser *parser, const char *query, struct vz_json object,
                           struct vz_node *node, vz_dsl_visit *each, struct vz_error *err);
/* An array (or one scalar) into node->values. */
enum vz_status vz_dsl_take_values(struct vz_parser *parser, const char *query,
                                  struct vz_node *node, struct vz_json value, struct vz_error *err);
/* `rewrite`: the methods that score as the default does. */
enum vz_status vz_dsl_check_rewrite(const char *query, struct vz_json value, struct vz_error *err);
/* The same of fuzzy terms: top_terms_blended_freqs_N, whose N goes to *expansions. */
enum vz_status vz_dsl_fuzzy_rewrite(const char *query, struct vz_json value, uint32_t *expansions,
                                    struct vz_error *err);
/* An integer from zero; "and" or "or"; "AUTO", "AUTO:3,6", 0, 1, 2; an offset from Greenwich. */
enum vz_status vz_dsl_count(const char *query, const char *key, struct vz_json value,
                            uint32_t *out, struct vz_error *err);
enum vz_status vz_dsl_operator(const char *query, struct vz_json value, bool *every,
                               struct vz_error *err);
enum vz_status vz_dsl_fuzziness(struct vz_parser *parser, const char *query, struct vz_json value,
                                struct vz_slice *out, struct vz_error *err);
enum vz_status vz_dsl_zone(struct vz_json value, int64_t *ms, const struct vz_zone **zone,
                           struct vz_error *err);
/* "title^3", or a list of such. */
enum vz_status vz_dsl_fields(struct vz_parser *parser, const char *query, struct vz_json value,
                             struct vz_multi_field **fields, size_t *field_count,
                             struct vz_error *err);
/* "best_fields" and so on: kind, match.type and tie. */
enum vz_status vz_dsl_multi_type(const char *query, struct vz_json value,
                                 struct vz_multi_match *multi, struct vz_error *err);
/* A string, number, boolean or null. */
bool vz_dsl_is_scalar(struct vz_json value);

/* The body of one query each, an object: fills kind, boost and what belongs to the kind. */
typedef enum vz_status vz_dsl_parse(struct vz_parser *parser, struct vz_json value,
                                    struct vz_node *node, struct vz_error *err);
vz_dsl_parse vz_dsl_parse_all, vz_dsl_parse_none, vz_dsl_parse_exists, vz_dsl_parse_ids,
    vz_dsl_parse_term, vz_dsl_parse_terms, vz_dsl_parse_match, vz_dsl_parse_prefix,
    vz_dsl_parse_wildcard, vz_dsl_parse_range, vz_dsl_parse_bool, vz_dsl_parse_constant,
    vz_dsl_parse_dis_max, vz_dsl_parse_boosting, vz_dsl_parse_knn_query, vz_dsl_parse_semantic, vz_dsl_parse_nested;
vz_dsl_parse vz_dsl_parse_match_phrase, vz_dsl_parse_match_phrase_prefix,
    vz_dsl_parse_match_bool_prefix, vz_dsl_parse_multi_match, vz_dsl_parse_fuzzy,
    vz_dsl_parse_regexp;
vz_dsl_parse vz_dsl_parse_combined, vz_dsl_parse_query_string, vz_dsl_parse_simple_string,
    vz_dsl_parse_like, vz_dsl_parse_intervals;
vz_dsl_parse vz_dsl_parse_span_term, vz_dsl_parse_span_or, vz_dsl_parse_span_near,
    vz_dsl_parse_span_not, vz_dsl_parse_span_first, vz_dsl_parse_span_containing,
    vz_dsl_parse_span_within, vz_dsl_parse_span_multi, vz_dsl_parse_span_mask;
vz_dsl_parse vz_dsl_parse_script_score, vz_dsl_parse_function_score, vz_dsl_parse_pinned;
/* "STRICT", "COERCE", "IGNORE_MALFORMED" without case; "arc", "plane". */
enum vz_status vz_geo_parse_validation(struct vz_json value, bool *coerces, struct vz_error *err);
enum vz_status vz_geo_check_distance_type(struct vz_json value, bool *plane, struct vz_error *err);
vz_dsl_parse vz_dsl_parse_script, vz_dsl_parse_terms_set, vz_dsl_parse_distance_feature,
    vz_dsl_parse_rank_feature;
vz_dsl_parse vz_geo_parse_distance, vz_geo_parse_box;

/* The query of a URL's ?q=. */
enum vz_status vz_query_string_of(struct vz_parser *parser, const struct vz_uri_query *uri,
                                  struct vz_node **out, struct vz_error *err);

#endif
