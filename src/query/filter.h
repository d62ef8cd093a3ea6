/* query/filter.h - between filter.c (leaf queries), scan.c (columns) and values.c (values of a
 * query as a column has them). */
#ifndef VZ_QUERY_FILTER_H
#define VZ_QUERY_FILTER_H

#include "query/parts.h"
#include "text/postings.h"

/* Values from low to high, both included; empty when low > high. */
struct vz_span {
    int64_t low, high;
};
struct vz_span_f64 {
    double low, high;
};

/* What a term of a field kept as I64 equals: one number, or the milliseconds of a day for a date
 * given as a day. Empty for a number with a fraction. VZ_BAD_QUERY when it cannot be read. */
enum vz_status vz_term_span(struct vz_eval *eval, const struct vz_field *field,
                            struct vz_json value, struct vz_span *out, struct vz_error *err);
/* The same for a range of a query. */
enum vz_status vz_range_span(struct vz_eval *eval, const struct vz_node *node,
                             const struct vz_field *field, struct vz_span *out,
                             struct vz_error *err);
/* Fields kept as F64. A value is rounded as the field's values are. */
enum vz_status vz_term_f64(struct vz_eval *eval, const struct vz_field *field, struct vz_json value,
                           double *out, struct vz_error *err);
enum vz_status vz_range_f64(struct vz_eval *eval, const struct vz_node *node,
                            const struct vz_field *field, struct vz_span_f64 *out,
                            struct vz_error *err);

/* Each sets the bits of documents with an entry that is the ordinal, is in the set of ordinals, is
 * in [low, high], is there at all. */
void vz_scan_ordinal(const struct vz_column *column, uint32_t ordinal, struct vz_bitset *bits);
void vz_scan_ordinals(const struct vz_column *column, const struct vz_bitset *wanted,
                      struct vz_bitset *bits);
void vz_scan_i64(const struct vz_column *column, int64_t low, int64_t high, struct vz_bitset *bits);
void vz_scan_f64(const struct vz_column *column, double low, double high, struct vz_bitset *bits);
/* The same into bits that are all zero, of the whole column of a snapshot: what was asked before is
 * remembered, only newer documents are looked at (store/remembered.h). */
void vz_filter_ordinal(struct vz_eval *eval, const struct vz_field *field,
                       const struct vz_column *column, uint32_t ordinal, struct vz_bitset *bits);
void vz_filter_ordinals(struct vz_eval *eval, const struct vz_field *field,
                        const struct vz_column *column, const struct vz_bitset *wanted,
                        struct vz_bitset *bits);
void vz_filter_i64(struct vz_eval *eval, const struct vz_field *field,
                   const struct vz_column *column, int64_t low, int64_t high,
                   struct vz_bitset *bits);
void vz_filter_f64(struct vz_eval *eval, const struct vz_field *field,
                   const struct vz_column *column, double low, double high, struct vz_bitset *bits);
void vz_scan_present(const struct vz_column *column, struct vz_bitset *bits);
/* Documents with any term of the field's dictionary for which `match` is true; *out stays NONE when
 * no term does. */
void vz_scan_dictionary(struct vz_eval *eval, const struct vz_field *field,
                        const struct vz_column *column,
                        bool (*match)(const void *context, struct vz_slice term),
                        const void *context, struct vz_docset *out);
/* Live documents with any value in the column. */
uint64_t vz_scan_docs(struct vz_eval *eval, const struct vz_column *column);

/* Live documents with a value in the column, and their distinct values. */
void vz_field_totals(struct vz_eval *eval, const struct vz_field *field,
                     const struct vz_column *column, uint64_t *docs, uint64_t *values);
/* BM25 of a term in a field that keeps neither freqs nor norms, in Lucene's steps: the freq is 1,
 * the length 1, the average length that of distinct values a document. */
float vz_keyword_score(const struct vz_field *field, uint64_t docs, uint64_t values,
                       uint64_t doc_freq, float boost);
/* fuzzy.c: a FUZZY or fuzzy match node (its `match`) on a keyword field; `word` normalized. */
enum vz_status vz_keyword_fuzzy(struct vz_eval *eval, const struct vz_node *node,
                                const struct vz_field *field, struct vz_slice word, bool scores,
                                struct vz_docset *out, struct vz_error *err);
/* text.c: how many edits a word may have: Elasticsearch's Fuzziness.asDistance. */
unsigned vz_fuzzy_distance(struct vz_slice fuzziness, struct vz_slice word);
/* What a TERM node's value counts in a keyword field: live documents with it, documents with the
 * field, distinct values of all of these. */
enum vz_status vz_keyword_stats(struct vz_eval *eval, const struct vz_node *node,
                                const struct vz_field *field, uint64_t *doc_freq,
                                uint64_t *field_docs, uint64_t *field_freqs, struct vz_error *err);

/* A field whose values documents have; NULL for unmapped ones, objects and what is below a nested
 * object (its values belong to no document of their own). */
const struct vz_field *vz_filter_field(struct vz_eval *eval, struct vz_slice path);
/* A keyword against PREFIX or WILDCARD; two texts without the case of ASCII letters; a place
 * against GEO_DISTANCE or GEO_BOX. */
bool vz_pattern_matches(const struct vz_node *node, struct vz_slice term);
bool vz_folded_equal(struct vz_slice a, struct vz_slice b);
bool vz_place_matches(const struct vz_node *node, const struct vz_geo *at);
/* filter_types.c: TERM, TERMS and RANGE of addresses, where a term may be a block ("10.0.0.0/8");
 * any leaf on a constant_keyword, which matches all documents or none. */
enum vz_status vz_ip_eval(struct vz_eval *eval, const struct vz_node *node,
                          const struct vz_field *field, const struct vz_column *column,
                          struct vz_docset *out, struct vz_error *err);
enum vz_status vz_ip_matches(struct vz_eval *eval, const struct vz_node *node,
                             struct vz_slice address, bool *matches, struct vz_error *err);
enum vz_status vz_constant_eval(struct vz_eval *eval, const struct vz_node *node,
                                const struct vz_field *field, struct vz_docset *out,
                                struct vz_error *err);
/* An address's text as bytes that sort as addresses do, and back. */
struct vz_slice vz_ip_sort_key(struct vz_slice text, struct vz_arena *arena);
void vz_ip_put_sort_key(struct vz_slice key, struct vz_json_writer *writer);

/* dsl_regexp.c: a REGEXP node as a pattern. */
struct vz_walk vz_regexp_walk(const struct vz_node *node);

/* "keyword", "long" ... */
const char *vz_filter_type_name(enum vz_field_type type);
bool vz_filter_type_from(struct vz_slice name, enum vz_field_type *type);

#endif
