/* query/explain.h - why a document is found: the tree of its score, the named queries that match
 * it, and queries as Lucene prints them. Private to the room.
 *
 * A sampler knows the documents of one target that are asked about (the hits). A node is evaluated
 * once, whatever their number, and only what it says of these is kept: explaining costs what
 * searching with each node of the query by itself would.
 */
#ifndef VZ_QUERY_EXPLAIN_H
#define VZ_QUERY_EXPLAIN_H

#include "query/parts.h"

#include "text/score.h"

struct vz_sample;
struct vz_sampler {
    struct vz_eval *eval;
    const uint32_t *docnos; /* ascending */
    size_t count;
    struct vz_sample *samples[1024]; /* by node, in the eval's arena */
    const struct vz_node *whole;     /* the search as one node, once it was explained */
};
/* Whether a node matches one of the sampler's documents, and with which score. */
enum vz_status vz_sample_node(struct vz_sampler *sampler, const struct vz_node *node,
                              uint32_t docno, bool *match, float *score, struct vz_error *err);

/* How the score of the search's query, and of its knn clauses, came about. JSON in the arena. */
enum vz_status vz_explain_search(struct vz_sampler *sampler, const struct vz_search *search,
                                 uint32_t docno, bool *matched, struct vz_slice *out,
                                 struct vz_error *err);
/* Of one node: in the eval's arena. */
enum vz_status vz_explain_node(struct vz_sampler *sampler, const struct vz_node *node,
                               uint32_t docno, struct vz_explanation **out, struct vz_error *err);
/* As JSON, in the arena. */
struct vz_slice vz_explanation_json(const struct vz_explanation *explanation,
                                    struct vz_arena *arena);
/* rescore.c: what rescorers made of an explained score. */
enum vz_status vz_rescore_explain(struct vz_sampler *sampler, const struct vz_rescore *rescores,
                                  size_t count, uint32_t docno, struct vz_explanation **explanation,
                                  struct vz_error *err);
/* retriever_explain.c: how a compound retriever came to the score of a document that it chose. */
enum vz_status vz_retriever_explain(struct vz_sampler *sampler, const struct vz_retriever *tree,
                                    uint32_t docno, struct vz_slice *out, struct vz_error *err);
/* For each named retriever of a tree that has the document: `note` with its score. */
enum vz_status vz_retriever_names(struct vz_sampler *sampler, const struct vz_retriever *tree,
                                  uint32_t docno,
                                  void (*note)(void *context, struct vz_slice name, float score),
                                  void *context, struct vz_error *err);
bool vz_retriever_has_names(const struct vz_retriever *tree);
struct vz_explanation *vz_explained(struct vz_arena *arena, bool match, float value, size_t details,
                                    const char *format, ...) __attribute__((format(printf, 5, 6)));
/* score_function.c: the functions of a function_score for one document, given the explanation of
 * its query. */
enum vz_status vz_function_score_explain(struct vz_sampler *sampler, const struct vz_node *node,
                                         uint32_t docno, struct vz_explanation *query,
                                         struct vz_explanation **out, struct vz_error *err);

/* matched.c: JSON of "matched_queries": names, or scores by name; empty when the search names no
 * query. */
enum vz_status vz_matched_queries(struct vz_sampler *sampler, const struct vz_search *search,
                                  bool with_scores, uint32_t docno, struct vz_slice *out,
                                  struct vz_error *err);
bool vz_search_has_names(const struct vz_search *search);

/* describe.c: appends a query as Lucene prints it. */
void vz_node_describe(struct vz_eval *eval, const struct vz_node *node, struct vz_buf *out);
/* Without its boost. */
void vz_node_describe_plain(struct vz_eval *eval, const struct vz_node *node, struct vz_buf *out);

#endif
