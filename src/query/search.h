/* query/search.h - a search body to hits: Query DSL, kNN, fusion, sort, fields.
 *
 * Works on indices of the store (one index is one "shard"); knows no HTTP and no index names'
 * wildcards (src/rest resolves them). Scores are Elasticsearch's exactly (see each similarity).
 * Threads: a search runs on the calling thread; everything of one search lives in its arena.
 *
 *     vz_search_parse(body, &params, &arena, &request, &err);   // shape, limits, unknown fields
 *     vz_search_run(targets, count, &request, &arena, &result, &err);
 */
#ifndef VZ_QUERY_SEARCH_H
#define VZ_QUERY_SEARCH_H

#include "store/store.h"
#include "json/json.h"

/* One index to search in. */
struct vz_search_target {
    struct vz_index *index;       /* borrowed */
    struct vz_slice alias_filter; /* JSON query that every hit must also match; empty: none */
    struct vz_snapshot *snap;     /* borrowed: what to search in; NULL: the newest */
    bool has_boost;
    float boost;   /* scores are times this (indices_boost) */
    size_t at, of; /* vz_search_each with slices: which of how many targets this is */
};

/* What a `query_vector_builder` is asked for: a vector of this field. */
struct vz_query_embedder_field {
    struct vz_slice index, path;         /* for messages and for what an index names */
    uint32_t dims;                       /* 0: no vector was ever written, any length will do */
    struct vz_slice model, model_digest; /* what the mapping's meta remembers; empty: unknown */
    struct vz_slice inference_id; /* of a semantic field, for questions; empty: none */
    bool is_question;             /* the builder is the text itself */
};

/* Turns {"text_embedding": {...}} into a vector. `kind` is the builder's one member's name, builder
 * its value. Called on the searching thread, once for a clause and search, after the mapping is
 * known and before anything is searched; it may block for as long as a model takes. The vector goes
 * to the arena. *model and *digest say what made it, empty when nobody knows (a `lookup` of a field
 * without a model): a field that remembers another model refuses the vector. Errors are the
 * caller's of the search as they are; an unknown kind is VZ_BAD_QUERY, "unknown field [kind]". */
struct vz_query_embedder {
    enum vz_status (*embed)(void *context, struct vz_slice kind, struct vz_json builder,
                            const struct vz_query_embedder_field *field, struct vz_arena *arena,
                            const float **vector, size_t *dims, struct vz_slice *model,
                            struct vz_slice *digest, struct vz_error *err);
    void *context;
};

/* A query in the URL: ?q= and what goes with it. */
struct vz_uri_query {
    struct vz_slice q, df, default_operator, analyzer; /* q empty: none */
    bool analyze_wildcard, has_lenient, lenient;
};

/* Puts texts in the order of a question: for the retriever text_similarity_reranker. scores[count],
 * larger is nearer. Called on the searching thread; may block for as long as a model takes. */
struct vz_query_reranker {
    enum vz_status (*rerank)(void *context, struct vz_slice inference_id, struct vz_slice question,
                             const struct vz_slice *texts, size_t count, float *scores,
                             struct vz_error *err);
    void *context;
};

/* Who asks may stop wanting the answer. Asked often while a search works, on its thread: cheap. */
struct vz_query_stop {
    bool (*stopped)(void *context);
    void *context;
};

/* What URL parameters may override or add; zeroed means absent. */
struct vz_search_params {
    bool has_size, has_from, has_track_total_hits, has_source;
    int64_t size, from;
    struct vz_slice track_total_hits; /* "true", "false" or a number */
    struct vz_slice sort;             /* "price:desc,_score" */
    struct vz_slice source;           /* ?_source=true|false|a,b */
    struct vz_slice source_includes, source_excludes;
    struct vz_uri_query uri; /* instead of the body's query */
    /* ?suggest_field=... : a term suggestion of that name, its text that of ?q when none is given */
    struct vz_slice suggest_field, suggest_text, suggest_mode;
    int64_t suggest_size; /* 0: 5 */
    bool version, seq_no_primary_term, explain;
    bool named_scores; /* include_named_queries_score */
    bool typed_keys; /* "sterms#brands" instead of "brands" */
    size_t max_bytes; /* of the hits' documents together, else VZ_BUDGET; 0: 512 MiB */
    /* NULL: a query_vector_builder is refused. Must live as long as the parsed search. */
    const struct vz_query_embedder *embedder;
    const struct vz_query_reranker *reranker; /* the same, for text_similarity_reranker */
    const struct vz_query_stop *stop; /* the same; VZ_CANCELLED when it says so. NULL: never */
    bool is_scroll;      /* the search begins a scroll */
    bool allows_partial; /* allow_partial_search_results=true was given */
};

/* A point in time that a body names: the caller looks in its snapshots then. */
struct vz_search_pit {
    struct vz_slice id; /* empty: none */
    struct vz_slice keep_alive;
};

struct vz_search; /* opaque: a parsed request, valid as long as its arena and body */

/* Checks the whole body without knowing any mapping: unknown keys ("unknown query [foo]",
 * "unknown key for a ... in [x]"), types, limits (from + size <= 10,000 is checked per index in
 * run), nesting depth. A missing body is match_all. Errors: VZ_BAD_QUERY, VZ_UNSUPPORTED. */
enum vz_status vz_search_parse(struct vz_json body, const struct vz_search_params *params,
                               struct vz_arena *arena, struct vz_search **out,
                               struct vz_error *err);

/* indices_boost of a parsed body, in order: for the caller to set the targets' boosts by. */
struct vz_index_boost {
    struct vz_slice index; /* a name, an alias or a pattern */
    float boost;
};
const struct vz_index_boost *vz_search_boosts(const struct vz_search *search, size_t *count);
/* Whether the body wants one slice of the documents. */
bool vz_search_is_sliced(const struct vz_search *search);
/* What `pit` of a parsed body says. */
struct vz_search_pit vz_search_pit_of(const struct vz_search *search);

struct vz_search_hit {
    struct vz_slice index, id;
    uint32_t rank;            /* of the old `rank` section; 0: not told */
    bool has_score; /* false when a sort leaves scores out */
    float score;
    struct vz_slice source;   /* filtered JSON, or empty when not asked for */
    struct vz_slice fields;   /* JSON object of "fields", or empty */
    struct vz_slice sort;     /* JSON array of sort values, or empty */
    struct vz_slice highlight;  /* JSON object of fragments by field, or empty */
    struct vz_slice inner_hits; /* JSON object by name, or empty */
    struct vz_slice matched_queries; /* JSON array of names, or object of scores; or empty */
    struct vz_slice explanation; /* JSON object of how the score came about, or empty */
    uint64_t version, seq_no; /* printed only when asked, see result */
};

struct vz_search_result {
    struct vz_search_hit *hits;
    size_t hit_count;
    uint64_t total;
    bool total_is_lower_bound; /* relation "gte" */
    bool track_total;          /* false: no "total" in the answer */
    bool has_max_score;
    float max_score;
    bool with_version, with_seq_no, without_id;
    bool timed_out;
    bool has_terminated_early; /* terminate_after was asked for: print "terminated_early" */
    bool terminated_early;
    struct vz_slice aggregations; /* JSON object, or empty when not asked for */
    struct vz_slice suggest; /* JSON object, or empty when not asked for */
    struct vz_slice profile; /* JSON object, or empty when not asked for */
};

/* Runs it. Errors: VZ_BAD_QUERY (dims, field types: "failed to create query: [knn] queries are
 * only supported on [dense_vector] fields", "[price] is not ..."), VZ_LIMIT ("Result window is too
 * large, from + size must be less than or equal to: [10000] but was [...]"), VZ_BUDGET (the hits'
 * documents are more than max_bytes), VZ_CANCELLED. */
enum vz_status vz_search_run(const struct vz_search_target *targets, size_t target_count,
                             const struct vz_search *search, struct vz_arena *arena,
                             struct vz_search_result *result, struct vz_error *err);

/* {"total", "max_score", "hits": [...]}. */
void vz_search_hits_print(struct vz_json_writer *w, const struct vz_search_result *result,
                          bool total_as_int);

/* Documents that match {"query": ...} (missing: all). */
enum vz_status vz_search_count(const struct vz_search_target *targets, size_t target_count,
                               const struct vz_search *search, uint64_t *count,
                               struct vz_error *err);

/* Whether the search's query can be asked of the target, and how Lucene would print it. Errors: those
 * of running it. */
enum vz_status vz_search_validate(const struct vz_search_target *target,
                                  const struct vz_search *search, struct vz_arena *arena,
                                  struct vz_slice *text, struct vz_error *err);

/* How the document of an id scores by the search's query: *explanation is JSON in the arena.
 * Errors: VZ_NOT_FOUND when there is no such document. */
enum vz_status vz_search_explain(const struct vz_search_target *target,
                                 const struct vz_search *search, struct vz_slice id,
                                 struct vz_arena *arena, bool *matched,
                                 struct vz_slice *explanation, struct vz_error *err);

/* Calls `each` for every live match of the search's query in docno order, without scores or limits;
 * stops when it returns false. For _delete_by_query, scroll and exports. */
enum vz_status vz_search_each(const struct vz_search_target *target, const struct vz_search *search,
                              bool (*each)(void *context, const struct vz_snapshot *snap,
                                           uint32_t docno),
                              void *context, struct vz_error *err);

/* _termvectors: the terms of one document's fields. Everything is borrowed. */
struct vz_term_filter {
    int64_t max_num_terms, min_term_freq, max_term_freq, min_doc_freq, max_doc_freq;
    int64_t min_word_length, max_word_length; /* UTF-16 units; 0: no limit */
};
struct vz_field_analyzer {
    struct vz_slice field, name;
};
struct vz_term_vectors {
    const struct vz_slice *fields; /* patterns; none: fields that keep vectors by their mapping */
    size_t field_count;
    const struct vz_field_analyzer *analyzers; /* instead of the fields' own */
    size_t analyzer_count;
    bool positions, offsets, payloads, term_statistics, field_statistics, filtered;
    struct vz_term_filter filter;
    const struct vz_query_stop *stop; /* NULL: never */
    uint64_t deadline_ns;             /* 0: none */
};
/* Writes "term_vectors": {...}. artificial: `source` is no document of the index. VZ_BAD_DOCUMENT,
 * VZ_LIMIT, VZ_BAD_JSON, VZ_CANCELLED; what was written is of no use then. */
enum vz_status vz_term_vectors_print(struct vz_index *index, struct vz_slice source,
                                     bool artificial, const struct vz_term_vectors *how,
                                     struct vz_arena *arena, struct vz_json_writer *w,
                                     struct vz_error *err);

/* _terms_enum: terms of a field in byte order, each once over all targets; alias filters are not
 * looked at. `complete`: false when time ran out. */
struct vz_terms_enum {
    struct vz_slice field, prefix;
    struct vz_slice after; /* terms behind this one; ptr NULL: all */
    size_t size;
    bool ignore_case; /* of ASCII letters */
    uint64_t timeout_ms;
};
enum vz_status vz_terms_enum_run(const struct vz_search_target *targets, size_t target_count,
                                 const struct vz_terms_enum *how, struct vz_arena *arena,
                                 struct vz_slice **out, size_t *count, bool *complete,
                                 struct vz_error *err);

#endif
