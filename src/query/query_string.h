/* query/query_string.h - query strings: what both kinds are given, and what Lucene's classic syntax
 * asks of fields. Private to the room.
 *
 *   dsl_string.c          reads the JSON of query_string and simple_query_string
 *   query_string_parse.c  the classic syntax: tokens and grammar
 *   query_string.c        its terms, phrases, patterns and ranges as nodes over fields
 *   simple_query_string.c the simple syntax, which never fails
 */
#ifndef VZ_QUERY_QUERY_STRING_H
#define VZ_QUERY_QUERY_STRING_H

#include "query/texts.h"

#define VZ_MAX_STRING_BYTES ((size_t)1 << 20)
#define VZ_MAX_STRING_DEPTH 64 /* of parentheses */

enum vz_simple_flag {
    VZ_SIMPLE_AND = 1,
    VZ_SIMPLE_NOT = 2,
    VZ_SIMPLE_OR = 4,
    VZ_SIMPLE_PREFIX = 8,
    VZ_SIMPLE_PHRASE = 16,
    VZ_SIMPLE_PRECEDENCE = 32,
    VZ_SIMPLE_ESCAPE = 64,
    VZ_SIMPLE_WHITESPACE = 128,
    VZ_SIMPLE_FUZZY = 256,
    VZ_SIMPLE_NEAR = 512,
    VZ_SIMPLE_ALL = 1023
};

struct vz_string_clause {
    const char *name; /* of the query, in messages */
    struct vz_slice query;
    struct vz_multi_field *fields; /* none: default_field */
    size_t field_count;
    struct vz_slice default_field; /* empty: all fields */
    enum vz_multi_kind kind;
    enum vz_match_type type;
    float tie;
    bool every; /* default_operator: and */
    bool has_lenient, lenient;
    struct vz_slice analyzer, quote_analyzer, quote_field_suffix, minimum, fuzziness;
    uint32_t phrase_slop, fuzzy_prefix_length, fuzzy_max_expansions;
    bool no_transpositions, no_synonym_phrases;
    bool analyze_wildcard, no_leading_wildcard, escape;
    bool has_zone;
    int64_t zone_ms;
    const struct vz_zone *zone; /* by name; NULL: zone_ms it is */
    unsigned flags; /* of the simple one */
};

/* A query string at work in one eval. */
struct vz_string_run {
    struct vz_eval *eval;
    const struct vz_string_clause *clause;
    struct vz_field_list fields;   /* of terms that name none */
    struct vz_slice default_field; /* the same as a name; ptr NULL: a list of fields */
    bool lenient;
    unsigned clauses, depth;
    struct vz_error *err;
};
void vz_string_run_init(struct vz_string_run *run, struct vz_eval *eval,
                        const struct vz_string_clause *clause, struct vz_error *err);
/* Counts a clause: VZ_BAD_QUERY when there are too many. */
enum vz_status vz_string_count(struct vz_string_run *run);

/* Each: `field` with ptr NULL is the default; *out NULL when nothing is left of the text. */
/* *list as vz_multi_build's. */
enum vz_status vz_string_term(struct vz_string_run *run, struct vz_slice field,
                              struct vz_slice text, struct vz_node **out,
                              struct vz_node_list *list);
enum vz_status vz_string_phrase(struct vz_string_run *run, struct vz_slice field,
                                struct vz_slice text, uint32_t slop, struct vz_node **out);
enum vz_status vz_string_prefix(struct vz_string_run *run, struct vz_slice field,
                                struct vz_slice text, struct vz_node **out);
enum vz_status vz_string_wildcard(struct vz_string_run *run, struct vz_slice field,
                                  struct vz_slice text, struct vz_node **out);
enum vz_status vz_string_regexp(struct vz_string_run *run, struct vz_slice field,
                                struct vz_slice text, struct vz_node **out);
/* `edits`: what stands behind the tilde; empty: the default. */
enum vz_status vz_string_fuzzy(struct vz_string_run *run, struct vz_slice field,
                               struct vz_slice text, struct vz_slice edits, struct vz_node **out);
struct vz_string_bounds {
    bool has_lower, has_upper, lower_inclusive, upper_inclusive;
    struct vz_slice lower, upper;
};
enum vz_status vz_string_range(struct vz_string_run *run, struct vz_slice field,
                               const struct vz_string_bounds *bounds, struct vz_node **out);
/* "Failed to parse query [...]" with its cause. */
enum vz_status vz_string_fail(struct vz_string_run *run, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* The whole text; *out NULL: nothing is left of it. */
enum vz_status vz_string_parse(struct vz_string_run *run, struct vz_slice text,
                               struct vz_node **out);

/* Clauses on their way into a bool. */
enum vz_occur { VZ_SHOULD, VZ_MUST, VZ_MUST_NOT, VZ_FILTER };
struct vz_clause_list {
    struct {
        struct vz_node *node;
        enum vz_occur occur;
    } * items;
    size_t count, capacity;
};
void vz_clause_add(struct vz_eval *eval, struct vz_clause_list *list, struct vz_node *node,
                   enum vz_occur occur);
struct vz_node *vz_clause_bool(struct vz_eval *eval, const struct vz_clause_list *list);
/* A bool of nothing but must_not gets what it takes from: a filter of all documents. */
void vz_fix_negative(struct vz_eval *eval, struct vz_node *node);

#endif
