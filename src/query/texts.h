/* query/texts.h - between the files that make queries over texts: text.c (one field; text_build.h),
 * multi.c (several), query_string.c, simple_query_string.c and more_like_this.c (which put such
 * together), expand.c (which asks them). Private to the room.
 *
 * The model. A text becomes, for each field of the mapping it is asked of, a struct vz_node: a TEXT
 * node over the field's postings, or a leaf over its column. Several fields become a dis_max of
 * these. Everything is made once for an eval and lives in eval->kept.
 */
#ifndef VZ_QUERY_TEXTS_H
#define VZ_QUERY_TEXTS_H

#include "query/parts.h"

#include "text/score.h"

/* Whether vz_node_expand makes another node of it. */
static inline bool vz_node_expands(const struct vz_node *node)
{
    return node->kind >= VZ_NODE_MULTI_MATCH && node->kind <= VZ_NODE_MORE_LIKE_THIS;
}

/* One clause asked of several fields at a time: the terms of a place become one query over all. */
struct vz_spread {
    bool combined; /* BM25F; else the best field, with one document frequency for all */
    const struct vz_field *const *fields; /* text fields of one analyzer */
    const float *boosts;
    size_t count;
    float tie;
};

struct vz_text_built {
    struct vz_text_query *query; /* NULL: nothing is left of the text */
    bool listed;                 /* the query's parts are clauses of their own */
};
/* A text as match (and its types) asks a text field for it. `spread` NULL: that field alone.
 * Texts go to eval->arena. VZ_BAD_QUERY, VZ_LIMIT. */
enum vz_status vz_text_build_match(struct vz_eval *eval, const struct vz_field *field,
                                   const struct vz_match *match, const struct vz_spread *spread,
                                   struct vz_slice text, struct vz_text_built *out,
                                   struct vz_error *err);
/* A TEXT node of a query; takes over its boost. */
struct vz_node *vz_text_node(struct vz_eval *eval, struct vz_text_query *query);
/* One term of a text field, as it is. */
struct vz_text_query *vz_text_term(struct vz_eval *eval, const struct vz_field *field,
                                   struct vz_slice term);
/* The analyzer that a request names, VZ_BAD_QUERY when there is none. `query`: for the message. */
enum vz_status vz_text_analyzer(struct vz_eval *eval, const char *query, struct vz_slice name,
                                const struct vz_analyzer **out, struct vz_error *err);

/* ---- several fields (multi.c) ---------------------------------------------------------------- */

struct vz_field_list {
    const struct vz_field **fields; /* in the order of the mapping */
    float *boosts;
    size_t count;
    bool all; /* "*" was among the patterns */
};
/* The fields that names and patterns mean; those of a pattern only when they can be searched.
 * `suffix`: a field that is there with it is taken instead. */
void vz_multi_fields(struct vz_eval *eval, const struct vz_multi_field *patterns, size_t count,
                     struct vz_slice suffix, struct vz_field_list *out);
struct vz_multi_how {
    enum vz_multi_kind kind;
    const struct vz_match *match;
    float tie;
    bool lenient;
};
/* A text asked of fields. *out NULL: nothing is left of it in any field. *list, when not NULL:
 * the clauses that it is made of where these may stand by themselves. */
enum vz_status vz_multi_build(struct vz_eval *eval, const struct vz_multi_how *how,
                              const struct vz_field_list *fields, struct vz_json value,
                              struct vz_node **out, struct vz_node_list *list,
                              struct vz_error *err);
/* dis_max of some; the only one of one; NULL of none. */
struct vz_node *vz_multi_best(struct vz_eval *eval, struct vz_node *const *parts, size_t count,
                              float tie);
/* Document frequencies of one term in several fields, made one as Elasticsearch's BlendedTermQuery
 * does: that of the most frequent, a little more for those where it is rarer. */
struct vz_blend {
    uint64_t doc_freq, field_docs, field_freqs; /* in */
    uint64_t blended;                           /* out; 0: the term is not there */
};
void vz_text_blend(struct vz_blend *items, size_t count, uint64_t max_doc);

/* ---- expanding (expand.c) -------------------------------------------------------------------- */

struct vz_node *vz_made_node(struct vz_eval *eval, enum vz_node_kind kind);
/* A JSON string that lives as long as the eval. */
struct vz_json vz_made_text(struct vz_eval *eval, struct vz_slice text);
void vz_expanded_free(struct vz_eval *eval);
/* bool and minimum_should_match: as text of the count; only where it has optional clauses. */
enum vz_status vz_made_minimum(struct vz_eval *eval, struct vz_node *node, struct vz_slice minimum,
                               struct vz_error *err);

enum vz_status vz_query_string_expand(struct vz_eval *eval, const struct vz_node *node,
                                      struct vz_node **out, struct vz_error *err);
enum vz_status vz_simple_string_expand(struct vz_eval *eval, const struct vz_node *node,
                                       struct vz_node **out, struct vz_error *err);
enum vz_status vz_intervals_expand(struct vz_eval *eval, const struct vz_node *node,
                                   struct vz_node **out, struct vz_error *err);
enum vz_status vz_spans_expand(struct vz_eval *eval, const struct vz_node *node,
                               struct vz_node **out, struct vz_error *err);
enum vz_status vz_like_expand(struct vz_eval *eval, const struct vz_node *node,
                              struct vz_node **out, struct vz_error *err);

#endif
