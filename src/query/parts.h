/* query/parts.h - what the files of this room share. Private to the room and its tests.
 *
 * The life of a search:
 *   parse*.c dsl*.c  the body becomes a struct vz_search: nodes, knn clauses, sort keys, what to
 *                    fetch. No mapping is known yet, so nothing here depends on an index.
 *   filter.c scan.c  a leaf node, in one snapshot, becomes a docset (which documents match);
 *   values.c         what a request calls a value becomes what a column holds.
 *   score.c          compound nodes combine docsets and add scores up.
 *   knn.c            a knn clause becomes its nearest documents with scores.
 *   sort.c           sort keys are bound to the columns of a snapshot and read per document.
 *   collect.c        the best `from + size` documents of all targets.
 *   fetch.c fields.c _source and fields of those.
 *   run.c            the above in order, target by target.
 *
 * Everything small lives in the arena of the request. Bitsets and score arrays are as long as the
 * index, so they are on the heap and freed as soon as they have been combined.
 */
#ifndef VZ_QUERY_PARTS_H
#define VZ_QUERY_PARTS_H

#include "query/search.h"
#include "json/filter.h"

#define VZ_MAX_QUERY_DEPTH 30 /* indices.query.bool.max_nested_depth */
#define VZ_MAX_CLAUSES 4096   /* indices.query.bool.max_clause_count */
#define VZ_MAX_TERMS 65536    /* index.max_terms_count */
#define VZ_MAX_REGEX_BYTES 1000 /* index.max_regex_length */
#define VZ_MAX_CANDIDATES 10000
#define VZ_MAX_KNN 256      /* top-level knn clauses: each may leave 10,000 hits */
#define VZ_MAX_SORT_KEYS 64 /* each costs a value for every hit of the window */
#define VZ_MAX_SLICES 1024  /* index.max_slices_per_scroll */
#define VZ_DEFAULT_MAX_BYTES ((size_t)512 << 20)
#define VZ_DEFAULT_SIZE 10
#define VZ_DEFAULT_TRACK_TOTAL 10000

/* ---- a parsed query ------------------------------------------------------------------------ */

enum vz_node_kind {
    VZ_NODE_ALL,
    VZ_NODE_NONE,
    VZ_NODE_IDS,
    VZ_NODE_TERM, /* also match: text.c on analysed fields, else a term */
    VZ_NODE_TERMS,
    VZ_NODE_RANGE,
    VZ_NODE_EXISTS,
    VZ_NODE_PREFIX,
    VZ_NODE_WILDCARD,
    VZ_NODE_REGEXP,
    VZ_NODE_FUZZY,
    VZ_NODE_MULTI_MATCH, /* this and the next five: vz_node_expand tells what they stand for */
    VZ_NODE_QUERY_STRING,
    VZ_NODE_SIMPLE_STRING,
    VZ_NODE_INTERVALS,
    VZ_NODE_SPAN,
    VZ_NODE_MORE_LIKE_THIS,
    VZ_NODE_TEXT, /* made by expanding: a query over postings */
    VZ_NODE_GEO_DISTANCE,
    VZ_NODE_GEO_BOX,
    VZ_NODE_BOOL,
    VZ_NODE_CONSTANT,
    VZ_NODE_DIS_MAX,
    VZ_NODE_BOOSTING,
    VZ_NODE_KNN,
    VZ_NODE_NESTED,
    VZ_NODE_SCRIPT_SCORE,
    VZ_NODE_FUNCTION_SCORE,
    VZ_NODE_PINNED,
    VZ_NODE_SCRIPT, /* the `script` query: script_query.c */
    VZ_NODE_TERMS_SET,
    VZ_NODE_DISTANCE_FEATURE,
    VZ_NODE_RANK_FEATURE
};

struct vz_node_list {
    struct vz_node **items;
    size_t count;
};

/* How a text becomes a query over a field: match and its kin, fuzzy. */
enum vz_match_type {
    VZ_MATCH_BOOLEAN,
    VZ_MATCH_PHRASE,
    VZ_MATCH_PHRASE_PREFIX,
    VZ_MATCH_BOOL_PREFIX
};
struct vz_match {
    enum vz_match_type type;
    const char *query;        /* its name in messages */
    bool every;               /* operator: and */
    struct vz_slice minimum;  /* minimum_should_match; empty: the default */
    struct vz_slice analyzer; /* empty: the field's */
    uint32_t slop, max_expansions, prefix_length;
    struct vz_slice fuzziness; /* "AUTO", "AUTO:3,6", "0", "1", "2"; empty: exact */
    bool no_transpositions;
    bool zero_terms_all;
    bool no_synonym_phrases; /* auto_generate_synonyms_phrase_query: false */
};
/* multi_match: the match of each field, the best or all of them, or a word of the text at a time
 * over all fields. */
enum vz_multi_kind { VZ_MULTI_FIELDS, VZ_MULTI_CROSS, VZ_MULTI_COMBINED };
struct vz_multi_field {
    struct vz_slice pattern;
    float boost;
};
struct vz_multi_match {
    enum vz_multi_kind kind;
    struct vz_multi_field *fields; /* none: all text and keyword fields */
    size_t field_count;
    struct vz_json value;
    struct vz_match match;
    float tie;
    bool lenient;
};

struct vz_bound {
    bool set, inclusive;
    struct vz_json value;
};

/* How the scores of a document's nested objects are put together. */
enum vz_nested_mode {
    VZ_NESTED_AVG,
    VZ_NESTED_MAX,
    VZ_NESTED_MIN,
    VZ_NESTED_SUM,
    VZ_NESTED_NONE
};

/* An inner_hits: of a nested query (path, query) or of a knn clause, in or out of one. Those of
 * nested queries within its query are its children: shown in its hits. */
struct vz_inner {
    struct vz_slice name; /* empty: the nested path */
    struct vz_slice path;
    const struct vz_node *query;
    const struct vz_knn_clause *knn;
    struct vz_search *fetch; /* size, from, sort, what to show */
    struct vz_inner **children;
    size_t child_count;
};

/* A knn clause, at the top of a body or as a query. The vector is as given, or made by a builder
 * when the search runs (vz_knn_embed). */
struct vz_knn_clause {
    struct vz_slice field;
    const float *vector; /* NULL: a string, or until the builder made it */
    size_t dims;
    struct vz_slice encoded; /* hex or base64: what it says depends on the field */
    /* The text of a `semantic` query, or of a match that is one where its field is semantic_text:
     * the builder is the text itself. */
    enum { VZ_QUESTION_NONE, VZ_QUESTION_SEMANTIC, VZ_QUESTION_MATCH } question;
    struct vz_slice builder_kind; /* "text_embedding"; empty: the vector was given */
    struct vz_json builder;
    struct vz_slice model, model_digest; /* what made the vector; empty: nobody says */
    uint32_t k, num_candidates; /* 0: not given, the store knows how many it takes */
    bool has_oversample;
    float oversample; /* rescore_vector; else the field's own */
    bool exact;
    struct vz_inner *inner; /* or NULL */
    struct vz_node *as_node; /* of a top-level clause with a `_name` */
    float boost;
    struct vz_node_list filters; /* all must match */
    bool has_similarity;
    float similarity; /* raw, as documented per similarity */
};

struct vz_string_clause; /* query_string.h */
struct vz_like_clause;   /* more_like_this.c */
struct vz_interval_rule;
struct vz_span_clause;
struct vz_script_text;   /* scripting.h */
struct vz_terms_set;
struct vz_distance_feature;
struct vz_rank_feature;
struct vz_text_query;    /* text/score.h */

struct vz_node {
    enum vz_node_kind kind;
    float boost;
    struct vz_slice name; /* _name; empty: none */
    struct vz_slice field;
    bool runs_script; /* a script query is in it, or it is one: asked last */
    bool is_match;  /* a TERM that came as `match`: other words when refused */
    bool lenient;   /* a value that does not parse matches nothing; GEO: nor does
                     * a field that is not there */
    bool fold_case; /* TERM, PREFIX, WILDCARD: ASCII letters without case */
    const struct vz_node *question; /* TERM of a `match`: the KNN that it is on semantic fields */
    const struct vz_match *match; /* TERM that is_match, FUZZY; NULL: all defaults */
    uint64_t doc_freq; /* TERM of a keyword: what its idf is worked out from; 0: its own */
    union {
        struct { /* IDS, TERM (one), TERMS */
            struct vz_json *values;
            size_t value_count;
            struct vz_slice text; /* PREFIX, WILDCARD, REGEXP, FUZZY */
            unsigned regexp_off;  /* REGEXP: as in struct vz_walk */
            uint32_t max_determinized;
        };
        struct {
            struct vz_bound lower, upper;
            struct vz_slice format;
            bool has_zone;
            int64_t zone_ms;             /* east of Greenwich */
            const struct vz_zone *zone; /* by name; NULL: zone_ms it is */
        } range;
        struct { /* BOOL */
            struct vz_node_list must, filter, should, must_not;
            struct vz_slice minimum; /* minimum_should_match as text; empty: the default */
        } boolean;
        struct { /* CONSTANT (one), DIS_MAX, BOOSTING (positive, negative) */
            struct vz_node_list parts;
            float factor; /* tie_breaker, negative_boost */
        };
        struct vz_multi_match *multi;
        struct vz_string_clause *string; /* QUERY_STRING, SIMPLE_STRING */
        struct vz_like_clause *like;
        struct vz_interval_rule *intervals; /* INTERVALS: intervals.c */
        struct vz_span_clause *span;        /* SPAN: spans.c */
        struct vz_text_query *text_query; /* TEXT */
        struct vz_knn_clause *knn;
        struct vz_script_clause *script;      /* SCRIPT_SCORE: score_script.c */
        struct vz_function_clause *functions; /* FUNCTION_SCORE: score_function.c */
        struct vz_pinned *pinned;             /* PINNED: pinned.c */
        struct vz_script_text *filter_script; /* SCRIPT */
        struct vz_terms_set *terms_set;       /* TERMS_SET: terms_set.c */
        struct vz_distance_feature *distance; /* DISTANCE_FEATURE: distance_feature.c */
        struct vz_rank_feature *rank;         /* RANK_FEATURE: rank_feature.c */
        struct { /* NESTED */
            struct vz_slice path;
            struct vz_node *query;
            enum vz_nested_mode mode;
            bool ignore_unmapped;
        } nested;
        struct {
            double lat, lon, meters;         /* GEO_DISTANCE */
            double top, left, bottom, right; /* GEO_BOX */
            bool coerces;                    /* while it is parsed */
        } geo;
    };
};

/* Where a parse stands: limits are over a whole body. */
struct vz_parser {
    struct vz_arena *arena;
    unsigned depth, clauses;
    int64_t size; /* of the request: k's default */
    struct vz_knn_clause **built; /* the clauses with a builder */
    size_t built_count, built_capacity;
    struct vz_knn_clause **questions; /* those of semantic.c */
    size_t question_count, question_capacity;
    struct vz_inner **inners;
    size_t inner_count, inner_capacity;
    size_t inner_base; /* from here on: those of the nested query that is being read */
    unsigned retrievers, retriever_depth;
    unsigned scripts; /* of script queries */
};

/* A query object. Fills *out (in the arena). */
enum vz_status vz_query_parse(struct vz_parser *parser, struct vz_json value, struct vz_node **out,
                              struct vz_error *err);
/* An object or an array of objects, appended to a list. */
enum vz_status vz_query_parse_list(struct vz_parser *parser, struct vz_json value,
                                   struct vz_node_list *list, struct vz_error *err);
/* The object of a knn clause. Where it stands: the top-level section, a query (whose k is by default
 * no more than its num_candidates), or a retriever, whose own members are skipped. */
enum vz_knn_place { VZ_KNN_QUERY, VZ_KNN_TOP, VZ_KNN_RETRIEVER };
enum vz_status vz_knn_parse(struct vz_parser *parser, struct vz_json value, enum vz_knn_place place,
                            struct vz_knn_clause **out, struct vz_error *err);
/* Elasticsearch's minimum_should_match ("2", "-1", "75%", "-25%", "3<90% 9<-3") applied to a count
 * of optional clauses. The result may be over the count: nothing matches then. VZ_BAD_QUERY. */
enum vz_status vz_minimum_should_match(struct vz_slice text, size_t clauses, size_t *out,
                                       struct vz_error *err);

/* An inner_hits object; the caller says whose it is and adds it to the parser's. */
enum vz_status vz_inner_parse(struct vz_parser *parser, struct vz_json value, struct vz_inner **out,
                              struct vz_error *err);
/* inner_parse.c. VZ_BAD_ARGUMENT when there is one of that name beside it. */
enum vz_status vz_inner_add(struct vz_parser *parser, struct vz_inner *inner, struct vz_error *err);
/* What a nested query is read between: those added meanwhile become the inner's, or nobody's when
 * it is NULL, as in Elasticsearch; the inner itself is added. */
size_t vz_inner_enter(struct vz_parser *parser);
enum vz_status vz_inner_leave(struct vz_parser *parser, size_t entered, struct vz_inner *inner,
                              struct vz_error *err);
/* What a URL says of all hits goes for the inner ones. */
void vz_inner_settle(struct vz_search *search);
/* VZ_LIMIT when one of the inner hits of a search, of any depth, shows more than an index lets. */
enum vz_status vz_inner_check(const struct vz_search *search,
                              const struct vz_search_target *targets, size_t count,
                              struct vz_error *err);

/* The same of a collapse, whose hits are whole documents: it may sort and collapse again. */
enum vz_status vz_inner_parse_group(struct vz_parser *parser, struct vz_json value,
                                    struct vz_inner **out, struct vz_error *err);

/* The name of the token that starts a value: "START_OBJECT", "VALUE_STRING" ... */
const char *vz_query_token(struct vz_json value);
/* A slice for "%.*s". */
#define VZ_ARG(slice) (int)(slice).len, (slice).ptr
/* A float as messages show it: 1.0, 0.25. `out` has 32 bytes. */
const char *vz_query_number(double value, char out[32]);
/* A scalar as text: strings as they are, others as JSON. In the arena. */
struct vz_slice vz_query_scalar_text(struct vz_json value, struct vz_arena *arena);
/* Errors that depend on an index: "failed to create query: <text>", with the text as the cause. */
enum vz_status vz_query_fail(struct vz_error *err, enum vz_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Comma-separated names, blanks trimmed, empty ones left out. */
struct vz_json_patterns vz_query_split(struct vz_slice text, struct vz_arena *arena);
/* "10km", "5 mi", "300" (meters) -> meters; false for anything else. */
bool vz_query_distance(struct vz_slice text, double *meters);
/* Meters for one of a unit ("km", "m", "mi" ...), 0 when there is no such unit. */
double vz_query_unit_meters(struct vz_slice unit);
double vz_query_haversine(double lat1, double lon1, double lat2, double lon2);
/* "plane": as on a flat map of the place halfway. */
double vz_query_plane(double lat1, double lon1, double lat2, double lon2);

/* ---- a parsed body ------------------------------------------------------------------------- */

enum vz_sort_kind {
    VZ_SORT_SCORE,
    VZ_SORT_DOC,
    VZ_SORT_FIELD,
    VZ_SORT_GEO,
    VZ_SORT_SCRIPT,
    VZ_SORT_SHARD_DOC /* the target's number and the docno: no two are alike */
};
struct vz_script_text; /* scripting.h */
struct vz_doc_script;
enum vz_sort_mode {
    VZ_MODE_DEFAULT,
    VZ_MODE_MIN,
    VZ_MODE_MAX,
    VZ_MODE_SUM,
    VZ_MODE_AVG,
    VZ_MODE_MEDIAN
};

/* numeric_type: what values are made before they are compared. */
enum vz_sort_numeric {
    VZ_NUMERIC_AS_IS,
    VZ_NUMERIC_LONG,
    VZ_NUMERIC_DOUBLE,
    VZ_NUMERIC_DATE,
    VZ_NUMERIC_NANOS
};
struct vz_sort_key {
    enum vz_sort_kind kind;
    enum vz_sort_numeric numeric;
    bool descending;
    struct vz_slice field;
    enum vz_sort_mode mode;
    bool missing_first;
    struct vz_json missing; /* a value to sort absent ones as; or MISSING */
    struct vz_slice unmapped_type, format;
    double lat, lon, unit; /* GEO: meters of a unit */
    bool plane;              /* "distance_type" */
    bool ignore_unmapped;
    const struct vz_script_text *script; /* SCRIPT */
    bool is_text;
    const struct vz_sort_nested *nested; /* sort_nested.c; NULL: a field of whole documents */
};
/* The object of "nested", `depth` of them deep (the outermost 1). */
enum vz_status vz_sort_nested_parse(struct vz_parser *parser, struct vz_json value, unsigned depth,
                                    const struct vz_sort_nested **out, struct vz_error *err);

/* Reads a `sort` of a body. An only key of `_score` descending gives no keys, as it is what comes
 * anyway. */
enum vz_status vz_sort_parse(struct vz_json value, struct vz_arena *arena,
                             struct vz_sort_key **keys, size_t *count, struct vz_error *err);
/* "price:desc,_score" */
enum vz_status vz_sort_parse_param(struct vz_slice text, struct vz_arena *arena,
                                   struct vz_sort_key **keys, size_t *count, struct vz_error *err);

/* One entry of `fields` or `docvalue_fields`. */
struct vz_field_request {
    struct vz_slice pattern, format;
};
struct vz_field_requests {
    struct vz_field_request *items;
    size_t count;
};

struct vz_retriever; /* fusion.h */
struct vz_rescore;
struct vz_collapse;
/* One of `max` parts of all documents. */
struct vz_search_slice {
    struct vz_slice field; /* empty: by document numbers */
    int64_t id, max;       /* max 0: all */
};

/* What the patterns of a request took of dictionaries so far, see guard.c. */
struct vz_spent {
    uint64_t looked_at, matched; /* terms */
};

/* A field of the request's own, whose values a script emits. */
struct vz_runtime_field {
    struct vz_slice name, format;
    enum vz_field_type type;
    const struct vz_script_text *script;
    bool continues; /* a document on which the script fails has no values */
};

struct vz_search {
    struct vz_node *query; /* NULL: none given */
    struct vz_knn_clause **knn;
    size_t knn_count;
    struct vz_node *post_filter; /* or NULL */
    uint32_t size, from;
    struct vz_sort_key *sort;
    size_t sort_count;
    struct vz_json search_after; /* array or MISSING */
    bool track_total;
    uint64_t track_limit; /* UINT64_MAX: exact */
    bool has_min_score;
    float min_score;
    bool track_scores;
    bool with_source;
    struct vz_json_patterns includes, excludes;
    bool exclude_vectors;
    struct vz_field_requests fields, docvalue_fields;
    struct vz_json_patterns stored_fields;
    bool stored_source, stored_none; /* what stored_fields says of _source, of everything */
    const struct vz_highlight *highlight; /* highlight.h; NULL: none */
    const struct vz_suggest *suggest;     /* suggest.h; NULL: none */
    const struct vz_aggs *aggs; /* agg.h; NULL: none */
    bool typed_keys;
    struct vz_script_request *script_fields;
    size_t script_field_count;
    bool with_version, with_seq_no, with_explain;
    bool named_scores; /* matched_queries with scores */
    struct vz_runtime_field *runtime; /* runtime_mappings: runtime.c */
    size_t runtime_count;
    uint64_t timeout_ns;      /* 0: none */
    uint64_t terminate_after; /* 0: never */
    size_t max_bytes;         /* of the hits' documents */
    struct vz_arena *arena;   /* of the request: vectors that builders make go here */
    bool profile;
    const struct vz_query_embedder *embedder;
    struct vz_knn_clause **built;
    size_t built_count;
    struct vz_knn_clause **questions;
    size_t question_count;
    struct vz_inner **inners;
    size_t inner_count;

    /* Several lists, or another order of one: fusion.h. */
    struct vz_retriever *retriever; /* a compound; NULL: query and knn. Then `query` is any of its
                                     * leaves', for highlights and the like */
    struct vz_json rank;            /* as it came, or MISSING */
    struct vz_node **sub_searches;
    size_t sub_search_count;
    struct vz_rescore *rescores;
    size_t rescore_count;
    struct vz_collapse *collapse; /* or NULL */
    const struct vz_query_reranker *reranker;
    const struct vz_query_stop *stop; /* or NULL */
    struct vz_spent *spent;
    struct vz_index_boost *boosts; /* indices_boost */
    size_t boost_count;
    struct vz_search_slice slice;
    struct vz_search_pit pit;
    bool has_size, has_sort, is_scroll, allows_partial; /* what was given */
};

/* ---- evaluation in one snapshot ------------------------------------------------------------ */

/* What one knn clause did in one target, for `profile`. */
struct vz_knn_profile {
    struct vz_knn_profile *next;
    const struct vz_knn_clause *clause;
    uint64_t visited, time_ns;
    size_t found;
    bool scanned;
};

/* Documents that the clauses around one let through so far: a script query asks of no others. */
struct vz_within {
    const struct vz_docset *set;
    const struct vz_within *outer;
};

/* What one target is searched with. */
struct vz_eval {
    const struct vz_snapshot *snap;
    const struct vz_mapping *mapping;
    struct vz_arena *arena;
    uint32_t limit;        /* docnos */
    uint32_t target;       /* which of the search's */
    int64_t now_ms;        /* one "now" for the whole search */
    uint64_t deadline_ns;  /* 0: none */
    const struct vz_query_stop *stop; /* or NULL */
    struct vz_spent *spent;           /* of the search; NULL: nobody counts */
    struct vz_bitset live; /* made on first need; bits == limit then */
    bool has_live;
    struct vz_derived **derived; /* runtime fields, owned */
    size_t derived_count;
    const struct vz_within *within; /* NULL: all */
    const struct vz_bitset *alias; /* documents the alias shows, live ones; or NULL */
    bool profiled;
    struct vz_knn_profile *profile; /* the newest first */
    struct vz_arena kept;           /* of what nodes were expanded to */
    struct vz_expanded *expanded;   /* expand.c */
    struct vz_made_text *made;      /* expand.c: JSON strings of such nodes */
    struct vz_object_answer *objects; /* objects.h */
    struct vz_eval *outer;            /* of the documents whose nested objects this one is of */
    const struct vz_objects *among;   /* those objects */
    bool explained;                   /* rescorers remember whom they scored: rescore.c */
    struct vz_rescored *rescored;
};

/* keys.c. A field by its path, aliases resolved; a key within a flattened field is a field, too (in
 * the eval's arena). NULL when there is none. The functions after it are those of store.h for
 * fields that may be such keys; `vz_field_column` may read the whole dictionary for one. */
const struct vz_field *vz_eval_field(struct vz_eval *eval, struct vz_slice path);
void vz_field_column(struct vz_eval *eval, const struct vz_field *field, struct vz_column *column);
struct vz_slice vz_field_term(const struct vz_snapshot *snap, const struct vz_field *field,
                              uint32_t ordinal, struct vz_arena *arena);
bool vz_field_find_term(const struct vz_snapshot *snap, const struct vz_field *field,
                        struct vz_slice text, uint32_t *ordinal);
uint32_t vz_field_ordinal_count(const struct vz_snapshot *snap, const struct vz_field *field);
/* The ordinals of the field's dictionary that are of the field's key, in *out, which is made here. */
void vz_field_ordinals(struct vz_eval *eval, const struct vz_field *field, struct vz_bitset *out);
/* Whether one of them is. */
bool vz_field_has_ordinal(struct vz_eval *eval, const struct vz_field *field, uint32_t ordinal,
                          struct vz_arena *scratch);
/* Refuses what needs a value of each document when "doc_values" is false. */
enum vz_status vz_field_check_doc_values(const struct vz_field *field, struct vz_error *err);

/* runtime.c. Reading; making an eval's columns (VZ_BAD_QUERY: a script failed; VZ_CANCELLED), which
 * vz_eval_deinit frees; the field of a name, or the n-th, or NULL. */
enum vz_status vz_runtime_parse(struct vz_search *search, struct vz_json value,
                                struct vz_error *err);
enum vz_status vz_runtime_open(struct vz_eval *eval, const struct vz_search *search,
                               struct vz_error *err);
void vz_runtime_close(struct vz_eval *eval);
const struct vz_field *vz_runtime_field(const struct vz_eval *eval, struct vz_slice path);
const struct vz_field *vz_runtime_at(const struct vz_eval *eval, size_t at);
void vz_derived_column(const struct vz_derived *made, struct vz_column *column);
uint32_t vz_derived_term_count(const struct vz_derived *made);
struct vz_slice vz_derived_term(const struct vz_derived *made, uint32_t ordinal);
bool vz_derived_find(const struct vz_derived *made, struct vz_slice text, uint32_t *ordinal);

void vz_eval_init(struct vz_eval *eval, const struct vz_snapshot *snap, struct vz_arena *arena,
                  int64_t now_ms, uint64_t deadline_ns);
void vz_eval_deinit(struct vz_eval *eval);
const struct vz_bitset *vz_eval_live(struct vz_eval *eval);
/* guard.c. Whether its time is over or nobody wants the answer any more. */
bool vz_eval_late(const struct vz_eval *eval);
/* Counts terms that a pattern looked at and matched. VZ_BAD_QUERY when it is too much for one
 * request; that is also what every later one gets. */
enum vz_status vz_eval_spend(struct vz_eval *eval, uint64_t looked_at, uint64_t matched,
                             struct vz_error *err);
/* What a search takes over of the caller's parameters. */
void vz_search_take(struct vz_search *search, const struct vz_search_params *params);
/* Of a search that was cancelled: whether what was found by then is an answer. */
bool vz_run_is_over(const struct vz_search *search, uint64_t deadline_ns);

/* Documents a node matches. ALL and NONE need no memory. BITS may have dead documents in them until
 * vz_docset_settle. Scores: `constant` for every one, or scores[docno] where the bit is set. */
enum vz_docset_kind { VZ_SET_NONE, VZ_SET_ALL, VZ_SET_BITS };
struct vz_docset {
    enum vz_docset_kind kind;
    struct vz_bitset bits;
    float constant;
    float *scores; /* eval->limit floats, owned; or NULL */
};
void vz_docset_deinit(struct vz_docset *set);
/* An empty set with bits, from a set of no memory. */
void vz_docset_begin(struct vz_docset *set, struct vz_eval *eval);
/* Makes bits of ALL and NONE, too. */
void vz_docset_materialize(struct vz_docset *set, struct vz_eval *eval);
/* Takes dead documents out. */
void vz_docset_settle(struct vz_docset *set, struct vz_eval *eval);
/* set &= other; scores of `set` stay. */
void vz_docset_and(struct vz_docset *set, const struct vz_docset *other);
/* Of a settled set. */
uint64_t vz_docset_count(const struct vz_docset *set, const struct vz_eval *eval);
/* Whether a live document is in the set. */
bool vz_docset_has(const struct vz_docset *set, uint32_t docno);
/* The first document of a settled set at or after `from`; eval->limit when there is none. */
uint32_t vz_docset_next(const struct vz_docset *set, const struct vz_eval *eval, uint32_t from);

/* Any node, leaves and compounds (score.c). With `scores` false the score parts are not computed.
 * VZ_CANCELLED when the deadline has passed. *out is empty on error. */
enum vz_status vz_node_eval(struct vz_eval *eval, const struct vz_node *node, bool scores,
                            struct vz_docset *out, struct vz_error *err);
/* All of `filters`, settled. ALL when there are none. */
enum vz_status vz_filters_eval(struct vz_eval *eval, struct vz_node_list filters,
                               struct vz_docset *out, struct vz_error *err);
/* score_script.c, score_function.c */
enum vz_status vz_script_score_eval(struct vz_eval *eval, const struct vz_node *node, bool scores,
                                    struct vz_docset *out, struct vz_error *err);
/* script_query.c, terms_set.c, distance_feature.c, rank_feature.c */
enum vz_status vz_script_query_eval(struct vz_eval *eval, const struct vz_node *node,
                                    struct vz_docset *out, struct vz_error *err);
enum vz_status vz_terms_set_eval(struct vz_eval *eval, const struct vz_node *node, bool scores,
                                 struct vz_docset *out, struct vz_error *err);
struct vz_node_list vz_terms_set_terms(const struct vz_node *node);
enum vz_status vz_distance_feature_eval(struct vz_eval *eval, const struct vz_node *node,
                                        bool scores, struct vz_docset *out, struct vz_error *err);
enum vz_status vz_rank_feature_eval(struct vz_eval *eval, const struct vz_node *node, bool scores,
                                    struct vz_docset *out, struct vz_error *err);
/* Whether the alias shows a document and `within` lets it through. */
bool vz_eval_wants(const struct vz_eval *eval, uint32_t docno);
enum vz_status vz_pinned_eval(struct vz_eval *eval, const struct vz_node *node, bool scores,
                              struct vz_docset *out, struct vz_error *err);
enum vz_status vz_function_score_eval(struct vz_eval *eval, const struct vz_node *node, bool scores,
                                      struct vz_docset *out, struct vz_error *err);
/* The query inside, or NULL. */
const struct vz_node *vz_function_score_query(const struct vz_node *node);
const struct vz_node *vz_script_score_query(const struct vz_node *node);
struct vz_slice vz_script_score_source(const struct vz_node *node);
/* A score in an answer. Elasticsearch lets one that is too large for a float pass, and writes it as
 * a string: "Infinity" (hit.c). */
void vz_score_put(struct vz_json_writer *w, float score);
/* hit.c: what hits of every kind have. Begins the object: of an explained one "_shard" and "_node",
 * "_index", and "_id" unless `without_id`. */
void vz_hit_begin(struct vz_json_writer *w, const struct vz_search_hit *hit, bool without_id);
/* "_version"; "_seq_no" and "_primary_term". */
void vz_hit_put_versions(struct vz_json_writer *w, const struct vz_search_hit *hit, bool version,
                         bool seq_no);
/* "_score" or "max_score"; null unless `has_score`. */
void vz_hit_put_score(struct vz_json_writer *w, const char *key, bool has_score, float score);
/* Begins {"total":{"value":2,"relation":"eq"},"max_score":1.5,"hits":[ ; the caller ends both. */
void vz_hits_begin(struct vz_json_writer *w, uint64_t total, bool has_score, float max_score);
/* "`what` returned an invalid score [-1.0] for doc [7]. Must be a non-negative score!" */
enum vz_status vz_score_refuse(const char *what, float score, uint32_t docno, struct vz_error *err);
/* Leaves (filter.c). */
enum vz_status vz_leaf_eval(struct vz_eval *eval, const struct vz_node *node, bool scores,
                            struct vz_docset *out, struct vz_error *err);

/* ---- texts (text.c) ------------------------------------------------------------------------ */

/* Leaves on text fields: TERM, TERMS, RANGE, PREFIX, WILDCARD, REGEXP, FUZZY. */
enum vz_status vz_text_eval(struct vz_eval *eval, const struct vz_node *node,
                            const struct vz_field *field, bool scores, struct vz_docset *out,
                            struct vz_error *err);
/* The same leaf as a query over postings, its patterns as the terms they match: for highlighting.
 * Memory: the eval's arena. */
enum vz_status vz_text_build(struct vz_eval *eval, const struct vz_node *node,
                             const struct vz_field *field, struct vz_text_query **out,
                             struct vz_error *err);
/* A TEXT node. */
enum vz_status vz_text_run(struct vz_eval *eval, const struct vz_node *node, bool scores,
                           struct vz_docset *out, struct vz_error *err);
/* What a node stands for in this mapping and snapshot: MULTI_MATCH, QUERY_STRING, SIMPLE_STRING and
 * MORE_LIKE_THIS become other nodes, all others are themselves. Worked out once for an eval, which
 * owns the result. */
enum vz_status vz_node_expand(struct vz_eval *eval, const struct vz_node *node,
                              const struct vz_node **out, struct vz_error *err);
/* A query that the postings alone can answer, best hits first. *query NULL: this one cannot. Then
 * *filter (settled, seen through the alias) says which documents may be found; ALL when all live
 * ones may. Deinit it. */
enum vz_status vz_text_plan(struct vz_eval *eval, const struct vz_node *node,
                            struct vz_text_query **query, struct vz_docset *filter,
                            struct vz_error *err);
/* Whether the eval passed its deadline, for the text room. */
bool vz_text_late(void *eval);

/* ---- slices (slice.c) ---------------------------------------------------------------------- */

/* The live documents of a slice; `at` of `count` targets. Inits *bits. VZ_BAD_ARGUMENT for a field
 * without numbers. */
enum vz_status vz_slice_bits(struct vz_eval *eval, const struct vz_search_slice *slice, size_t at,
                             size_t count, bool is_scroll, struct vz_bitset *bits,
                             struct vz_error *err);

/* ---- knn ----------------------------------------------------------------------------------- */

/* dsl_semantic.c: the KNN node of a question asked of a field; `boost` goes to its clause. */
struct vz_node *vz_semantic_question(struct vz_parser *parser, struct vz_slice field,
                                     struct vz_json text, float boost, bool is_match);
/* The question a match on a semantic field is; NULL: it is none. */
const struct vz_node *vz_semantic_match(const struct vz_eval *eval, const struct vz_node *node);
/* *field, the one a clause names (NULL: none), becomes the one with its vectors; NULL when a
 * semantic field has none yet. VZ_BAD_QUERY: a semantic query of another field. */
enum vz_status vz_semantic_resolve(const struct vz_mapping *mapping,
                                   const struct vz_knn_clause *clause,
                                   const struct vz_field **field, struct vz_error *err);

/* Has the builder of a clause make its vector, unless it did or the field is not mapped here. */
enum vz_status vz_knn_embed(const struct vz_search *search, struct vz_slice index,
                            const struct vz_mapping *mapping, struct vz_knn_clause *clause,
                            struct vz_error *err);
/* The boosted score of each of some rows (ascending, distinct) of the clause's field; -1 for one
 * that is under the clause's `similarity`. */
enum vz_status vz_knn_scores(struct vz_eval *eval, const struct vz_knn_clause *clause,
                             const struct vz_field *field, const uint32_t *rows, size_t count,
                             float *scores, struct vz_error *err);
struct vz_scored {
    uint32_t target, docno;
    float score;
};
/* The nearest of one target, nearest first, boosted scores; the clause's filters and the alias
 * are applied before. *hits is in the arena. */
enum vz_status vz_knn_eval(struct vz_eval *eval, const struct vz_knn_clause *clause,
                           struct vz_scored **hits, size_t *count, struct vz_error *err);

/* ---- sorting and collecting ---------------------------------------------------------------- */

enum vz_sort_type { VZ_SORTED_MISSING, VZ_SORTED_I64, VZ_SORTED_F64, VZ_SORTED_TEXT };
struct vz_sort_value {
    enum vz_sort_type type;
    union {
        int64_t i64;
        double f64;
        struct vz_slice text;
    };
};

/* A key bound to the columns of a snapshot. */
struct vz_sort_reader {
    const struct vz_sort_key *key;
    const struct vz_field *field; /* NULL: unmapped, score or doc */
    enum vz_sort_type type;
    struct vz_column column;
    size_t at; /* cursor: documents are read in ascending order */
    int64_t base; /* SHARD_DOC: of the target */
    struct vz_sort_value absent;
    struct vz_slice *terms; /* by ordinal, read when first met; owned */
    bool *known;
    const struct vz_snapshot *snap;
    struct vz_arena *arena;
    bool is_min;
    struct vz_doc_script *script; /* SCRIPT */
    struct vz_error *failure;     /* of its runs: the first one, see vz_sort_failed */
    struct vz_sort_nested_reader *nested;  /* owned */
    const struct vz_slice *nested_terms;   /* of the document read last */
};
/* sort_nested.c: the part of fields below nested objects in what is declared here. A read gives the
 * count of values, which are then in reader->column, texts in reader->nested_terms, until the next
 * read. */
enum vz_status vz_sort_nested_bind(struct vz_sort_reader *reader, const struct vz_field *field,
                                   struct vz_eval *eval, struct vz_error *err);
void vz_sort_nested_unbind(struct vz_sort_nested_reader *nested);
size_t vz_sort_nested_read(struct vz_sort_reader *reader, uint32_t docno);
enum vz_status vz_sort_bind(const struct vz_sort_key *key, struct vz_eval *eval,
                            struct vz_sort_reader *reader, struct vz_error *err);
void vz_sort_unbind(struct vz_sort_reader *reader);
/* The value of a document; docnos must not go down from call to call. */
struct vz_sort_value vz_sort_read(struct vz_sort_reader *reader, uint32_t docno, float score);
/* Whether a script of the readers failed on a document: then its error. */
enum vz_status vz_sort_failed(const struct vz_sort_reader *readers, size_t count,
                              struct vz_error *err);
/* script_hits.c: the parts of scripts in what is declared above. */
enum vz_status vz_script_sort_parse(struct vz_json value, struct vz_arena *arena,
                                    struct vz_sort_key *key, struct vz_error *err);
enum vz_status vz_script_sort_bind(struct vz_sort_reader *reader, struct vz_eval *eval,
                                   struct vz_error *err);
struct vz_sort_value vz_script_sort_read(struct vz_sort_reader *reader, uint32_t docno,
                                         float score);
/* Negative when `a` comes first. */
int vz_sort_compare(const struct vz_sort_key *key, const struct vz_sort_value *a,
                    const struct vz_sort_value *b);
/* A value of search_after as the reader's field would have it. */
enum vz_status vz_sort_after(const struct vz_sort_reader *reader, struct vz_json value,
                             int64_t now_ms, struct vz_sort_value *out, struct vz_error *err);
void vz_sort_print(const struct vz_sort_key *key, const struct vz_field *field,
                   const struct vz_sort_value *value, struct vz_json_writer *writer);

struct vz_found {
    uint32_t target, docno;
    float score;
    uint32_t rank; /* 0: not told */
    struct vz_sort_value *values; /* sort_count of them; NULL without a sort */
};
/* Negative when a is better than b: by the keys, or by score without any; then as it was written.
 */
int vz_found_compare(const struct vz_sort_key *keys, size_t key_count, const struct vz_found *a,
                     const struct vz_found *b);
/* The best `limit` of what is offered: a heap with the worst on top. */
struct vz_collector {
    const struct vz_sort_key *keys;
    size_t key_count, limit, count;
    struct vz_found *heap;
    struct vz_sort_value *scratch;     /* of the document being offered */
    const struct vz_sort_value *after; /* search_after's values or NULL */
    float max_score;
    bool any;
    struct vz_collapser *collapser; /* collapse.h; NULL: every document counts for itself */
};
void vz_collector_init(struct vz_collector *collector, const struct vz_sort_key *keys,
                       size_t key_count, size_t limit, struct vz_arena *arena);
/* False when it was not kept. `readers` has key_count readers of the target. */
bool vz_collector_offer(struct vz_collector *collector, struct vz_sort_reader *readers,
                        uint32_t target, uint32_t docno, float score);
/* Negative when a is better than b. */
int vz_collector_compare(const struct vz_collector *collector, const struct vz_found *a,
                         const struct vz_found *b);
/* Best first, in place. */
void vz_collector_finish(struct vz_collector *collector);

/* ---- profiling ------------------------------------------------------------------------------- */

/* One shard of "profile": what its knn clauses and its query took. */
void vz_profile_shard(const struct vz_eval *eval, const struct vz_search *search, uint64_t query_ns,
                      struct vz_json_writer *w);

/* ---- fetching ------------------------------------------------------------------------------ */

/* What is read of each hit's document in one target, worked out once. */
struct vz_fetch_plan {
    enum vz_doc_parts parts;
    bool filter; /* _source is filtered, so it has to be parsed */
    struct vz_json_patterns includes, excludes;
    struct vz_arena scratch; /* the whole document while a part of it is kept */
    struct vz_highlighter *highlighter;
    struct vz_doc_script **scripts; /* of script_fields, opened when first needed */
    size_t script_count;
};
/* inference_fields.c: whether hits are asked for "_inference_fields"; puts them into hit->source. */
bool vz_inference_fields_wanted(const struct vz_search *search);
enum vz_status vz_inference_fields_put(struct vz_eval *eval, uint32_t docno,
                                       struct vz_arena *scratch, struct vz_search_hit *hit,
                                       struct vz_error *err);
/* script_hits.c */
enum vz_status vz_script_fields_parse(struct vz_json value, struct vz_search *search,
                                      struct vz_error *err);
enum vz_status vz_script_fields_write(const struct vz_search *search, struct vz_fetch_plan *plan,
                                      struct vz_eval *eval, uint32_t docno,
                                      struct vz_json_writer *w, struct vz_error *err);
void vz_script_fields_close(struct vz_fetch_plan *plan);
void vz_doc_script_close(struct vz_doc_script *script);
void vz_fetch_prepare(const struct vz_search *search, struct vz_eval *eval,
                      struct vz_fetch_plan *plan);
/* Fills id, version, seq_no, source and fields of a hit; texts in the arena. */
enum vz_status vz_fetch_hit(const struct vz_search *search, struct vz_fetch_plan *plan,
                            struct vz_eval *eval, uint32_t docno, struct vz_search_hit *hit,
                            struct vz_error *err);
/* excludes plus the path of every vector. */
struct vz_json_patterns vz_fetch_without_vectors(const struct vz_search *search,
                                                 struct vz_eval *eval);
/* Fills inner_hits of a hit (inner.c). */
enum vz_status vz_inner_write(const struct vz_search *search, struct vz_eval *eval, uint32_t docno,
                              struct vz_search_hit *hit, struct vz_error *err);
/* Appends the members of "fields" (writer inside an object). `source` is the document. */
enum vz_status vz_fields_write(const struct vz_search *search, struct vz_eval *eval, uint32_t docno,
                               struct vz_json source, struct vz_json_writer *writer,
                               struct vz_error *err);
/* stored_fields.c: a list of names, and what may not stand beside it. */
enum vz_status vz_stored_fields_take(struct vz_search *search, struct vz_json_patterns names,
                                     struct vz_error *err);
enum vz_status vz_stored_fields_check(const struct vz_search *search, bool source_given,
                                      struct vz_error *err);
/* Appends those that are stored; `within`: of nested objects, as the objects' index has them. */
enum vz_status vz_stored_fields_write(const struct vz_search *search, struct vz_eval *eval,
                                      uint32_t docno, struct vz_json source,
                                      struct vz_json_writer *w, struct vz_error *err);
/* docvalue_format.c: what of docvalue_fields is told of every document: "_seq_no", "_version",
 * "_index". `hit` has them. */
enum vz_status vz_meta_docvalues_write(const struct vz_search *search, struct vz_eval *eval,
                                       const struct vz_search_hit *hit, struct vz_json_writer *w,
                                       struct vz_error *err);
/* Whether values of a field can be shown in a format (not empty): VZ_BAD_ARGUMENT when not.
 * Numbers have patterns of Java's DecimalFormat. */
enum vz_status vz_value_format_check(const struct vz_field *field, struct vz_slice format,
                                     struct vz_error *err);
bool vz_field_is_number(const struct vz_field *field);
/* agg_format.c */
bool vz_decimal_format(struct vz_slice pattern, double value, struct vz_buf *out);
/* more_like_this.c: whether documents are in its `like` or `unlike`, not texts alone. */
bool vz_like_names_documents(const struct vz_node *node);
/* The request of `requests` that names the field, or NULL. */
const struct vz_field_request *vz_fields_request(const struct vz_field_requests *requests,
                                                 const struct vz_field *field);

#endif
