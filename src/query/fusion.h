/* query/fusion.h - what makes one list of hits out of several, or another order of one: retrievers,
 * rescoring, collapsing, pinned documents. Private to the room.
 *
 * The model. A retriever is a tree. Its leaves are searches of their own (a query, a knn clause)
 * over the request's snapshots, each cut to the window of the retriever above; a compound makes one
 * ranked list of its children's lists. The list of the root is the answer's hits, while totals and
 * aggregations are about everything that any leaf's query matches (retriever.c).
 *
 * Everything parsed is the request's arena's and does not change while a search runs, but for the
 * ranked lists.
 */
#ifndef VZ_QUERY_FUSION_H
#define VZ_QUERY_FUSION_H

#include "query/parts.h"

#define VZ_MAX_RETRIEVERS 256 /* of a body: each leaf is a search */
#define VZ_MAX_RETRIEVER_DEPTH 16
#define VZ_DEFAULT_WINDOW 10        /* rank_window_size and window_size */
#define VZ_MAX_RESCORE_WINDOW 10000 /* index.max_rescore_window */
#define VZ_MAX_PINNED 100

/* ---- rescore.c ----------------------------------------------------------------------------- */

enum vz_rescore_mode {
    VZ_RESCORE_TOTAL,
    VZ_RESCORE_MULTIPLY,
    VZ_RESCORE_AVG,
    VZ_RESCORE_MAX,
    VZ_RESCORE_MIN
};
struct vz_rescore {
    struct vz_node *query;
    float query_weight, rescore_weight;
    enum vz_rescore_mode mode;
    uint32_t window;
};
/* An object or an array of them. */
enum vz_status vz_rescore_parse(struct vz_parser *parser, struct vz_json value,
                                struct vz_rescore **out, size_t *count, struct vz_error *err);
/* The largest window. */
uint32_t vz_rescore_window(const struct vz_rescore *rescores, size_t count);
/* Rescores the best documents of one target in place, best first before and after. `found` has
 * score and docno. */
enum vz_status vz_rescore_apply(struct vz_eval *eval, const struct vz_rescore *rescores,
                                size_t rescore_count, struct vz_found *found, size_t count,
                                struct vz_error *err);

/* ---- pinned.c ------------------------------------------------------------------------------ */

struct vz_pin {
    struct vz_slice index, id; /* index empty: any */
};
/* Pinned documents before what the organic query finds. */
struct vz_pinned {
    struct vz_pin *pins;
    size_t count;
    struct vz_node *organic;
};
/* The arrays of `ids` and `docs`, at most one of which is not MISSING. `what` names the caller. */
enum vz_status vz_pins_parse(struct vz_parser *parser, struct vz_json ids, struct vz_json docs,
                             struct vz_pinned *out, struct vz_error *err);

/* ---- collapse.c ---------------------------------------------------------------------------- */

struct vz_collapse {
    struct vz_slice field;
    struct vz_inner **inners;
    size_t inner_count;
};
enum vz_status vz_collapse_parse(struct vz_parser *parser, struct vz_json value,
                                 struct vz_collapse **out, struct vz_error *err);

/* ---- retrievers ---------------------------------------------------------------------------- */

enum vz_retriever_kind {
    VZ_RETRIEVER_STANDARD,
    VZ_RETRIEVER_KNN,
    VZ_RETRIEVER_RRF,
    VZ_RETRIEVER_LINEAR,
    VZ_RETRIEVER_RERANK, /* text_similarity_reranker */
    VZ_RETRIEVER_RESCORER,
    VZ_RETRIEVER_PINNED
};
enum vz_normalizer { VZ_NORMALIZE_NONE, VZ_NORMALIZE_MINMAX, VZ_NORMALIZE_L2 };

struct vz_retriever {
    enum vz_retriever_kind kind;
    struct vz_slice name; /* _name */
    struct vz_node_list filters;
    bool has_min_score;
    float min_score;
    /* STANDARD */
    struct vz_node *query; /* or NULL */
    struct vz_sort_key *sort;
    size_t sort_count;
    struct vz_json search_after;
    uint64_t terminate_after;
    struct vz_collapse *collapse;
    /* KNN */
    struct vz_knn_clause *knn;
    /* The others */
    int64_t window; /* may be negative until it was checked */
    struct vz_retriever **children;
    float *weights;                  /* RRF, LINEAR: a child's */
    enum vz_normalizer *normalizers; /* LINEAR: a child's */
    size_t child_count;
    int64_t rank_constant;
    struct vz_json text, fields; /* RRF, LINEAR in the form of one query over fields */
    bool has_normalizer;
    enum vz_normalizer normalizer; /* of that form */
    struct vz_slice inference_id, inference_text, field;
    bool may_fail;  /* allow_rerank_failures */
    bool is_legacy; /* RRF that came as `rank`: hits have ranks, ties go by the queries' scores */
    struct vz_rescore *rescores;
    size_t rescore_count;
    struct vz_pinned pins;
    /* Of the run. */
    struct vz_scored *docs; /* best first */
    size_t doc_count;
    uint64_t total; /* leaves: matches, counted up to the search's limit and one more */
};

/* retriever.c: the score at `at` of a list that was run, as a linear sum takes it. */
float vz_retriever_normalized(const struct vz_retriever *child, enum vz_normalizer how, size_t at);
/* pinned.c: what an organic score is at most. */
float vz_pin_cap(float score);
bool vz_retriever_is_compound(const struct vz_retriever *retriever);
const char *vz_retriever_name(const struct vz_retriever *retriever);
enum vz_status vz_retriever_parse(struct vz_parser *parser, struct vz_json value,
                                  struct vz_retriever **out, struct vz_error *err);
/* The body's `rank` with its query, sub_searches and knn: the same as a tree. */
enum vz_status vz_rank_parse(struct vz_parser *parser, struct vz_json rank,
                             struct vz_search *search, struct vz_error *err);
/* What Elasticsearch says about the whole body, all at once: "Validation Failed: 1: ...;2: ...;" */
enum vz_status vz_fusion_check(const struct vz_search *search, struct vz_error *err);
/* A leaf at the root is a plain search: its parts become the body's. A compound's filters go down
 * to its leaves; what highlights and nested hits are made of is any query of a leaf. */
enum vz_status vz_retriever_settle(struct vz_search *search, struct vz_arena *arena,
                                   struct vz_error *err);

#endif
