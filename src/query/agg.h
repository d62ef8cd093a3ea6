/* query/agg.h - aggregations: facets and figures over the documents of a search.
 *
 * The model. A body's tree of aggregations is parsed without a mapping (agg_parse.c,
 * agg_options.c). A run has a node of state for each (struct vz_agg_node). The matches of a target
 * come in blocks of document numbers, each with the bucket of the parent that it fell into
 * ("owner", 0 at the top); a bucket node finds the buckets of each document, counts, and hands on
 * the pairs (document, bucket) as blocks to its children; a metric node adds up what it finds. So
 * each column is walked once, in order, whatever the tree looks like, and one owner number stands
 * for the whole path above. Targets are collected one after the other into the same state, with
 * keys that mean the same in all of them: nothing is merged afterwards, counts are exact, and
 * doc_count_error_upper_bound is always 0.
 *
 *   agg_values.c     what a node reads of a document: a column, a script, a nested object's values
 *   agg_bucket.c     terms, ranges, filters: which buckets a document falls into
 *   agg_histogram.c  intervals of numbers and of calendars
 *   agg_keys.c       buckets with keys of several parts: composite, multi_terms; grids
 *   agg_nested.c     from documents to their nested objects and back
 *   agg_sample.c     samplers
 *   agg_metric.c     figures; agg_digest.c those that need all values; agg_hits.c top_hits
 *   agg_result.c     what came out, as a tree; agg_result_*.c of each kind
 *   agg_path.c       buckets_path; agg_pipeline.c what is computed from the tree
 *
 * Below `nested`, "document" means object: its number among all objects of that path in a target.
 *
 * Limits: search.max_buckets buckets in an answer, MAX_STATE_BYTES of state, depth and number of
 * aggregations.
 */
#ifndef VZ_QUERY_AGG_H
#define VZ_QUERY_AGG_H

#include "base/zone.h"
#include "query/parts.h"
#include "query/scripting.h"

#define VZ_MAX_BUCKETS 65536
#define VZ_AGG_BLOCK 2048
#define VZ_MAX_AGG_DEPTH 10
#define VZ_MAX_AGGS 256
#define VZ_MAX_AGG_ORDERS 8
#define VZ_MAX_AGG_SOURCES 32

enum vz_agg_kind {
    /* buckets with keys */
    VZ_AGG_TERMS,
    VZ_AGG_RARE_TERMS,
    VZ_AGG_SIGNIFICANT_TERMS,
    VZ_AGG_MULTI_TERMS,
    VZ_AGG_COMPOSITE,
    VZ_AGG_GEOHASH_GRID,
    VZ_AGG_GEOTILE_GRID,
    VZ_AGG_HISTOGRAM,
    VZ_AGG_DATE_HISTOGRAM,
    /* fixed sets of buckets */
    VZ_AGG_RANGE,
    VZ_AGG_DATE_RANGE,
    VZ_AGG_GEO_DISTANCE,
    VZ_AGG_FILTERS,
    VZ_AGG_ADJACENCY,
    /* one bucket */
    VZ_AGG_FILTER,
    VZ_AGG_GLOBAL,
    VZ_AGG_MISSING,
    VZ_AGG_NESTED,
    VZ_AGG_REVERSE_NESTED,
    VZ_AGG_SAMPLER,
    VZ_AGG_DIVERSIFIED_SAMPLER,
    /* figures */
    VZ_AGG_MIN,
    VZ_AGG_MAX,
    VZ_AGG_AVG,
    VZ_AGG_SUM,
    VZ_AGG_STATS,
    VZ_AGG_EXTENDED_STATS,
    VZ_AGG_VALUE_COUNT,
    VZ_AGG_WEIGHTED_AVG,
    VZ_AGG_CARDINALITY,
    VZ_AGG_PERCENTILES,
    VZ_AGG_PERCENTILE_RANKS,
    VZ_AGG_MEDIAN_DEVIATION,
    VZ_AGG_BOXPLOT,
    VZ_AGG_STRING_STATS,
    VZ_AGG_GEO_BOUNDS,
    VZ_AGG_GEO_CENTROID,
    VZ_AGG_TOP_HITS,
    /* pipelines over siblings' buckets */
    VZ_AGG_AVG_BUCKET,
    VZ_AGG_SUM_BUCKET,
    VZ_AGG_MIN_BUCKET,
    VZ_AGG_MAX_BUCKET,
    VZ_AGG_STATS_BUCKET,
    VZ_AGG_EXTENDED_STATS_BUCKET,
    VZ_AGG_PERCENTILES_BUCKET,
    /* pipelines over the parent's buckets */
    VZ_AGG_CUMULATIVE_SUM,
    VZ_AGG_DERIVATIVE,
    VZ_AGG_SERIAL_DIFF,
    VZ_AGG_BUCKET_SCRIPT,
    VZ_AGG_BUCKET_SELECTOR,
    VZ_AGG_BUCKET_SORT,
    VZ_AGG_KINDS
};

enum vz_agg_unit { /* of a calendar */
                   VZ_UNIT_FIXED,
                   VZ_UNIT_SECOND,
                   VZ_UNIT_MINUTE,
                   VZ_UNIT_HOUR,
                   VZ_UNIT_DAY,
                   VZ_UNIT_WEEK,
                   VZ_UNIT_MONTH,
                   VZ_UNIT_QUARTER,
                   VZ_UNIT_YEAR
};

/* ---- what was parsed --------------------------------------------------------------------------
 */

struct vz_agg_order {
    struct vz_slice path; /* "_count", "_key", "avg_price", "price_stats.max", "a>b" */
    bool descending;
};

struct vz_agg_range {
    struct vz_slice key; /* empty: made of the bounds */
    struct vz_json from, to;
};

/* An interval of dates or numbers, in a zone. */
struct vz_agg_interval {
    bool dates;
    double width, offset;       /* numbers */
    enum vz_agg_unit unit;      /* dates */
    int64_t fixed_ms, offset_ms;
    const struct vz_zone *zone; /* NULL: UTC */
    bool zone_fixed;            /* the offset is always zone_ms */
    int64_t zone_ms;
};

/* Where values come from. */
struct vz_agg_source {
    struct vz_slice field;
    const struct vz_script_text *script; /* or NULL */
    struct vz_json missing;
    struct vz_slice format, value_type;
    struct vz_agg_interval interval; /* its zone is also the one of dates that are read, printed */
    /* COMPOSITE */
    struct vz_slice name;
    enum vz_agg_kind kind; /* TERMS, HISTOGRAM, DATE_HISTOGRAM, GEOTILE_GRID */
    bool descending, missing_bucket;
    enum { VZ_MISSING_DEFAULT, VZ_MISSING_FIRST, VZ_MISSING_LAST } missing_order;
    unsigned precision;
};

/* include or exclude */
struct vz_agg_terms_filter {
    struct vz_json list;  /* an array or MISSING */
    struct vz_slice text; /* a regular expression, or empty */
    bool has_partition;
    uint32_t partition, partitions;
};

enum vz_agg_gap { VZ_GAP_SKIP, VZ_GAP_ZEROS, VZ_GAP_KEEP };

struct vz_agg_path {
    struct vz_slice name; /* the variable of a script, or empty */
    struct vz_slice path;
};

struct vz_agg {
    struct vz_slice name;
    enum vz_agg_kind kind;
    struct vz_agg *subs, *next; /* children (no pipelines); the next of the parent's */
    size_t sub_count;
    struct vz_agg **pipelines; /* among the children, in the order they run */
    size_t pipeline_count;
    struct vz_json meta;
    struct vz_agg_source source;   /* of all that have one */
    struct vz_agg_source *sources; /* COMPOSITE, MULTI_TERMS; WEIGHTED_AVG: value, weight */
    size_t source_count;
    bool keyed, has_keyed;
    uint64_t min_doc_count;
    bool has_min_doc_count;
    struct vz_agg_order *order;
    size_t order_count;
    /* TERMS and its kin */
    uint32_t size, from;
    bool show_error;
    struct vz_agg_terms_filter include, exclude;
    uint64_t max_doc_count; /* RARE_TERMS */
    struct vz_slice heuristic; /* SIGNIFICANT_TERMS */
    bool include_negatives, background_is_superset;
    struct vz_json after; /* COMPOSITE: an object or MISSING */
    /* RANGE, DATE_RANGE, GEO_DISTANCE */
    struct vz_agg_range *ranges;
    size_t range_count;
    double lat, lon, meters; /* meters of the unit */
    bool plane;
    bool has_digest_method, hdr; /* percentiles */
    /* HISTOGRAM, DATE_HISTOGRAM */
    struct vz_json bounds_min, bounds_max, hard_min, hard_max;
    /* FILTER, FILTERS, ADJACENCY, SIGNIFICANT_TERMS (background) */
    struct vz_node_list filters;
    struct vz_slice *filter_keys; /* NULL: they have none */
    struct vz_slice other_key;    /* empty: no other bucket */
    struct vz_slice path;         /* NESTED, REVERSE_NESTED */
    uint32_t shard_size, per_value; /* SAMPLER */
    unsigned precision;             /* grids */
    bool has_bounds;
    double top, left, bottom, right;
    /* PERCENTILES, PERCENTILE_RANKS, PERCENTILES_BUCKET */
    double *percents;
    size_t percent_count;
    double sigma; /* EXTENDED_STATS */
    bool show_distribution;
    const struct vz_search *hits; /* TOP_HITS */
    /* pipelines */
    struct vz_agg_path *paths;
    size_t path_count;
    enum vz_agg_gap gap;
    uint32_t lag;
    double unit_ms; /* DERIVATIVE; 0: none */
    const struct vz_script_text *script;
};

/* "aggs": {...}. Fills *out with the first of the list, NULL when there is none; pipelines of the
 * top are in (*out)->... of no node: they hang in *top. */
struct vz_aggs {
    struct vz_agg *first;
    size_t count;
    struct vz_agg **pipelines;
    size_t pipeline_count;
    bool need_scores;
};
enum vz_status vz_agg_parse(struct vz_parser *parser, struct vz_json value, struct vz_aggs **out,
                            struct vz_error *err);
/* Elasticsearch's name of a kind. */
const char *vz_agg_kind_name(enum vz_agg_kind kind);
static inline bool vz_agg_is_metric(enum vz_agg_kind kind)
{
    return kind >= VZ_AGG_MIN && kind <= VZ_AGG_TOP_HITS;
}
static inline bool vz_agg_is_pipeline(enum vz_agg_kind kind)
{
    return kind >= VZ_AGG_AVG_BUCKET;
}
static inline bool vz_agg_is_sibling(enum vz_agg_kind kind)
{
    return kind >= VZ_AGG_AVG_BUCKET && kind <= VZ_AGG_PERCENTILES_BUCKET;
}
/* One bucket for each of the parent's. */
static inline bool vz_agg_is_single(enum vz_agg_kind kind)
{
    return kind >= VZ_AGG_FILTER && kind <= VZ_AGG_DIVERSIFIED_SAMPLER;
}

/* agg_options.c: one member of a kind's body. VZ_NOT_FOUND: the kind has no such option. */
enum vz_status vz_agg_option(struct vz_parser *parser, struct vz_agg *agg, struct vz_slice key,
                             struct vz_json value, struct vz_error *err);
/* What can be said about the options together. */
enum vz_status vz_agg_check(struct vz_agg *agg, struct vz_error *err);
/* agg_sources.c */
enum vz_status vz_agg_source_option(struct vz_parser *parser, struct vz_agg_source *source,
                                    const char *kind, struct vz_slice key, struct vz_json value,
                                    struct vz_error *err);
enum vz_status vz_agg_sources_parse(struct vz_parser *parser, struct vz_agg *agg,
                                    struct vz_json value, struct vz_error *err);
/* calendar_interval, fixed_interval, interval, offset */
enum vz_status vz_agg_interval_option(struct vz_agg_interval *interval, struct vz_slice key,
                                      struct vz_json value, struct vz_error *err);
enum vz_status vz_agg_bad(const struct vz_agg *agg, struct vz_slice key, struct vz_json value,
                          struct vz_error *err);
/* agg_pipeline_parse.c */
enum vz_status vz_agg_pipeline_option(struct vz_parser *parser, struct vz_agg *agg,
                                      struct vz_slice key, struct vz_json value,
                                      struct vz_error *err);
/* Puts the pipelines among `all` in their order and checks what they ask for. `parent` NULL: the
 * top. */
enum vz_status vz_agg_pipelines_resolve(struct vz_arena *arena, const struct vz_agg *parent,
                                        const struct vz_agg *subs, struct vz_agg **pipelines,
                                        size_t count, struct vz_error *err);

/* ---- a run ----------------------------------------------------------------------------------- */

/* What values are, whatever the index. */
enum vz_agg_class {
    VZ_CLASS_NONE, /* unmapped everywhere so far */
    VZ_CLASS_TEXT,
    VZ_CLASS_LONG,
    VZ_CLASS_ULONG, /* as u64 bits ^ 2^63 */
    VZ_CLASS_DOUBLE,
    VZ_CLASS_DATE,
    VZ_CLASS_BOOLEAN,
    VZ_CLASS_GEO,
    VZ_CLASS_OTHER /* can only be missing or not */
};

struct vz_agg_nest;
struct vz_agg_node;
struct vz_agg_values {
    const struct vz_agg_source *source;
    struct vz_agg_node *node;

    /* Bound to the target at hand. */
    const struct vz_field *field; /* NULL: unmapped, or a script */
    struct vz_column column;      /* VZ_COLUMN_NONE: nothing to read */
    bool readable;                /* some document may have a value, `missing` among them */
    bool dense;                   /* entry i is of document i, for all */
    size_t at;
    struct vz_doc_script *script;
    uint32_t *global; /* of ordinals, plus 1; 0: not asked yet. NULL: the ordinal itself */
    bool has_missing;
    int64_t missing; /* as a key */
    double missing_number;
    struct vz_geo missing_place;
    /* Of scripts and nested objects: the column's memory. */
    void *own;
    uint32_t *own_docs;
    size_t own_capacity;
    bool ranged; /* low and high of this target's column are known */
    int64_t low, high;
    int64_t *keys; /* scratch of vz_agg_keys, in the arena */
    size_t key_capacity;

    uint32_t object;         /* agg_nested.c: the one being read */
    int64_t absent;          /* agg_keys.c: a part that stands for no value */
    struct vz_arena scratch; /* of one document's parts */

    /* Of all targets. */
    enum vz_agg_class class;
    const struct vz_field *first_field; /* for printing */
    bool numbered; /* keys of texts are numbers of run->terms, not ordinals */
    struct vz_slice *texts; /* by ordinal, as they were asked for; of a single target */
};

struct vz_agg_after { /* a part of a composite's `after` */
    bool is_text;
    int64_t part;
    struct vz_slice text;
};

struct vz_agg_metric {
    uint64_t count;
    double sum, compensation, min, max, squares, squares_compensation;
};
struct vz_agg_key {
    uint32_t owner;
    int64_t value; /* an ordinal, a whole number, a double's bits, an interval's beginning */
};
struct vz_agg_list { /* values of an owner */
    double *items;
    size_t count, capacity;
};

struct vz_sort_types { /* what printing needs of a sort key's field */
    const struct vz_field *field;
};

struct vz_agg_places {
    uint64_t count;
    struct vz_agg_metric lat, lon;
    double top, bottom, east_left, east_right, west_left, west_right;
};

struct vz_agg_run;
struct vz_agg_node {
    const struct vz_agg *agg;
    struct vz_agg_run *run;
    struct vz_agg_node *subs, *parent;
    struct vz_agg_nest *nest;   /* whose objects its documents are; NULL: documents */
    struct vz_agg_nest *inside; /* NESTED: of its children */
    struct vz_agg_values *values;
    size_t value_count;

    /* Bound to the target at hand. */
    struct vz_docset *filters; /* of this target; below nested they grow with the objects */
    double *range_from, *range_to;
    double hard_low, hard_high;
    uint32_t *last_seen; /* REVERSE_NESTED: by owner, document + 1 */
    size_t last_capacity;
    struct vz_agg_sample *sample;
    uint64_t *background; /* SIGNIFICANT_TERMS: by key, of all targets so far */
    size_t background_capacity, background_total;
    uint64_t top_count; /* SIGNIFICANT_TERMS at the top: documents */

    /* Of all targets. */
    bool direct;              /* a bucket's number is its ordinal */
    uint64_t *counts;         /* by bucket */
    struct vz_agg_key *keys;  /* by bucket, unless direct or of a fixed set */
    size_t bucket_count, bucket_capacity;
    uint32_t *slots; /* of the keys: bucket + 1 */
    size_t slot_count;
    uint32_t *grid; /* of small keys: bucket + 1 at owner * width + key */
    size_t grid_width, grid_owners;
    struct vz_agg_steps *steps; /* dates: the intervals of this target's values */
    int64_t near_base; /* numbers: keys from here on are small */
    bool has_near;
    struct vz_agg_pair *pairs; /* keys of several parts: see agg_keys.c */
    size_t pair_count, pair_capacity;
    uint32_t *pair_slots;
    size_t pair_slot_count;
    struct vz_agg_after *after; /* COMPOSITE: by source */

    struct vz_agg_metric *metrics; /* by owner */
    size_t metric_capacity;
    struct vz_agg_list *lists; /* by owner */
    size_t list_capacity;
    int64_t *set; /* CARDINALITY at the top: distinct keys but 0, by hash; 0: free */
    size_t set_size, set_count;
    bool set_zero;
    struct vz_bitset *seen; /* CARDINALITY of ordinals, by owner */
    size_t seen_capacity;
    struct vz_agg_places *places; /* GEO_BOUNDS, GEO_CENTROID: by owner */
    size_t place_capacity;
    struct vz_agg_heap *heaps; /* TOP_HITS: by owner */
    size_t heap_capacity;
    struct vz_sort_reader *readers; /* TOP_HITS: of the target at hand */
    size_t reader_count;
    struct vz_sort_types *sort_types; /* by sort key */
    const struct vz_search *hits;     /* TOP_HITS, with the search's query */
    struct vz_fetch_plan *plans;      /* by target */
    struct vz_sampler **samplers;     /* by target, for explanations */
    bool *planned;
    size_t plan_count;

    struct vz_agg_view *view; /* agg_result.c's */

    /* What goes to the children. */
    uint32_t *out_docs, *out_owners;
    size_t out_count;
};

struct vz_agg_run {
    struct vz_arena *arena;
    const struct vz_aggs *aggs;
    struct vz_node *query; /* of the search, for highlights and explanations; or NULL */
    struct vz_knn_clause **knn;
    size_t knn_count;
    bool named_scores;
    struct vz_agg_node root; /* its children are the nodes of the top */
    bool single;             /* one target only */
    size_t bytes;
    enum vz_status status;
    struct vz_error *err;
    struct vz_agg_terms *terms; /* texts: text -> number */
    struct vz_eval *last;       /* the target at hand */
    struct vz_eval **evals;     /* of all targets so far */
    size_t target_count, target_capacity;
    const struct vz_docset *set; /* of the target at hand: scores */
    const struct vz_scored *extra;
    size_t extra_count;
    struct vz_agg_nest *nests; /* all, linked */
    size_t printed;            /* buckets */
    size_t hit_bytes;
    bool typed;
    bool path_absent; /* agg_path.c: a pipeline left the last path out of the bucket */
};

/* Documents ascend; one may come several times in a row with several owners. */
struct vz_agg_block {
    const uint32_t *docs, *owners; /* owners NULL: all 0 */
    size_t count;
    bool whole; /* docs[i] is docs[0] + i */
};

void vz_agg_begin(struct vz_agg_run *run, const struct vz_aggs *aggs, bool single, bool typed,
                  struct vz_arena *arena);
/* The documents of `set` (settled) and `extra` (ascending, may be in the set, too) of one target.
 * `eval` must live until vz_agg_end. */
enum vz_status vz_agg_collect(struct vz_agg_run *run, struct vz_eval *eval,
                              const struct vz_docset *set, const struct vz_scored *extra,
                              size_t extra_count, struct vz_error *err);
/* The object of "aggregations", while the targets are still open. In the arena. */
enum vz_status vz_agg_print(struct vz_agg_run *run, struct vz_slice *out, struct vz_error *err);
void vz_agg_end(struct vz_agg_run *run);

/* ---- agg.c, for the others -------------------------------------------------------------------- */

void vz_agg_take(struct vz_agg_node *node, const struct vz_agg_block *block);
void vz_agg_flush(struct vz_agg_node *node);
/* The documents of a block with their buckets, all of which they fell into: counts are the
 * caller's. */
void vz_agg_hand_on(struct vz_agg_node *node, const struct vz_agg_block *block,
                    const uint32_t *buckets);
/* Counts a document in a bucket and hands it on. */
void vz_agg_count(struct vz_agg_node *node, uint32_t docno, uint32_t bucket);
bool vz_agg_reserve(struct vz_agg_node *node, size_t buckets);
/* Room for `set` buckets of each owner up to `owner`. */
bool vz_agg_reserve_set(struct vz_agg_node *node, uint32_t owner, size_t set);
bool vz_agg_more(struct vz_agg_run *run, size_t bytes);
bool vz_agg_fail(struct vz_agg_run *run, enum vz_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
float vz_agg_score(const struct vz_agg_run *run, uint32_t docno);
/* memory by owner that starts at zero: grows *array of *capacity items. */
bool vz_agg_grow(struct vz_agg_run *run, void **array, size_t *capacity, size_t item, size_t owner);

/* ---- agg_values.c ----------------------------------------------------------------------------- */

/* What aggregation kinds may do with a field: which columns they take. */
bool vz_agg_values_bind(struct vz_agg_values *values, struct vz_eval *eval);
void vz_agg_values_unbind(struct vz_agg_values *values);
void vz_agg_values_deinit(struct vz_agg_values *values);
/* The entries of a document; documents must not go down from call to call. False: none, `missing`
 * is the caller's to look at. */
bool vz_agg_entries(struct vz_agg_values *values, uint32_t docno, size_t *from, size_t *to);
double vz_agg_number(const struct vz_agg_values *values, size_t entry);
/* The number of each document of a block in a dense column. */
void vz_agg_gather(const struct vz_agg_values *values, const struct vz_agg_block *block,
                   double *out);
/* What a bucket is known by: an ordinal or number of a text, a number, a double's bits. */
int64_t vz_agg_key(struct vz_agg_values *values, size_t entry);
/* The distinct keys of a document, `missing` for one without any. *keys lives until the next call
 * on the node. */
size_t vz_agg_keys(struct vz_agg_values *values, uint32_t docno, int64_t **keys);
/* Sorts and takes repetitions out. */
size_t vz_agg_distinct(int64_t *keys, size_t count);
struct vz_slice vz_agg_term(struct vz_agg_values *values, int64_t key);
bool vz_agg_term_find(struct vz_agg_values *values, struct vz_slice text, int64_t *key);
uint32_t vz_agg_intern(struct vz_agg_run *run, struct vz_slice text);
void vz_agg_terms_free(struct vz_agg_terms *terms);
size_t vz_agg_terms_count(const struct vz_agg_run *run);
static inline double vz_agg_real(int64_t bits)
{
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}
static inline int64_t vz_agg_bits(double value)
{
    int64_t bits;
    value = value == 0 ? 0 : value; /* -0.0 */
    memcpy(&bits, &value, sizeof bits);
    return bits;
}
/* A key as a number. */
double vz_agg_key_number(const struct vz_agg_values *values, int64_t key);
int vz_agg_compare_keys(struct vz_agg_values *values, int64_t a, int64_t b);
/* "field", the values as members "key" and "key_as_string"; and only the value. */
void vz_agg_put_key(struct vz_agg_values *values, int64_t key, struct vz_json_writer *w);
void vz_agg_put_key_value(struct vz_agg_values *values, int64_t key, struct vz_json_writer *w);
void vz_agg_key_text(struct vz_agg_values *values, int64_t key, struct vz_buf *out);
/* A value of a request as a key; false when it is none of the class or no document has it. */
bool vz_agg_key_of(struct vz_agg_values *values, struct vz_json value, int64_t *key);
/* A number or a date in a request. */
bool vz_agg_read_number(struct vz_agg_values *values, struct vz_json value, bool round_up,
                        double *out);

/* ---- agg_format.c ------------------------------------------------------------------------------
 */

/* Milliseconds in a date format (empty: the field's own or the default), told in a zone. */
void vz_agg_date_text(struct vz_slice format, const struct vz_agg_interval *zone, int64_t ms,
                      struct vz_buf *out);
/* Java's DecimalFormat ("#,##0.00", "0.0%", "'$'0"): false when the pattern is none. */
/* vz_decimal_format: parts.h */
/* As the values' format has it; false when there is nothing to show beside the number. */
bool vz_agg_number_text(const struct vz_agg_values *values, double value, struct vz_buf *out);
/* In UTC milliseconds: the offset of a zone at that moment. */
int64_t vz_agg_zone_at(const struct vz_agg_interval *interval, int64_t ms);

/* ---- buckets ---------------------------------------------------------------------------------- */

bool vz_agg_bind(struct vz_agg_node *node, struct vz_eval *eval);
void vz_agg_unbind(struct vz_agg_node *node);
void vz_agg_take_buckets(struct vz_agg_node *node, const struct vz_agg_block *block);
/* UINT32_MAX past a limit. */
uint32_t vz_agg_bucket(struct vz_agg_node *node, uint32_t owner, int64_t key);
/* The same where keys are below `width`: a table leads to them while it stays small. */
uint32_t vz_agg_small_bucket(struct vz_agg_node *node, uint32_t owner, int64_t key, uint32_t small,
                             size_t width);
/* Whether the keys of the column are small numbers, and which: from `base`, below `width`. */
bool vz_agg_small_keys(struct vz_agg_values *values, int64_t *base, size_t *width);
void vz_agg_count_key(struct vz_agg_node *node, uint32_t docno, uint32_t owner, int64_t key);
/* agg_histogram.c */
void vz_agg_take_histogram(struct vz_agg_node *node, const struct vz_agg_block *block);
void vz_agg_histogram_unbind(struct vz_agg_node *node);
int64_t vz_agg_date_floor(const struct vz_agg_interval *interval, int64_t ms);
int64_t vz_agg_date_next(const struct vz_agg_interval *interval, int64_t key);
bool vz_agg_interval_key(struct vz_agg_run *run, const struct vz_agg_interval *interval,
                         double value, int64_t *key);
/* agg_keys.c */
bool vz_agg_keys_bind(struct vz_agg_node *node);
void vz_agg_take_keys(struct vz_agg_node *node, const struct vz_agg_block *block);
/* The parts of a bucket's key; `out` has value_count. */
void vz_agg_key_parts(const struct vz_agg_node *node, int64_t key, int64_t *out);
#define VZ_AGG_NO_KEY INT64_MIN /* a part: the missing bucket */
void vz_agg_put_part(struct vz_agg_values *values, int64_t part, struct vz_json_writer *w);
int vz_agg_compare_parts(struct vz_agg_node *node, const int64_t *a, const int64_t *b);
/* agg_geo.c */
uint64_t vz_geohash_encode(double lat, double lon, unsigned precision);
void vz_geohash_text(uint64_t hash, unsigned precision, struct vz_buf *out);
uint64_t vz_geotile_encode(double lat, double lon, unsigned zoom);
void vz_geotile_text(uint64_t tile, struct vz_buf *out);
bool vz_geotile_parse(struct vz_slice text, uint64_t *tile);
void vz_agg_take_grid(struct vz_agg_node *node, const struct vz_agg_block *block);
void vz_agg_take_distance(struct vz_agg_node *node, const struct vz_agg_block *block);
void vz_agg_take_places(struct vz_agg_node *node, const struct vz_agg_block *block);
/* As doc values keep them: 32 bits for each coordinate. */
struct vz_geo vz_agg_quantize(struct vz_geo place);
/* agg_nested.c */
bool vz_agg_nest_open(struct vz_agg_node *node);
void vz_agg_nest_unbind(struct vz_agg_run *run);
void vz_agg_nest_free(struct vz_agg_run *run);
/* Called while nodes are bound: the values are read with the objects. */
bool vz_agg_nest_values(struct vz_agg_nest *nest, struct vz_agg_values *values);
bool vz_agg_nest_filter(struct vz_agg_nest *nest, const struct vz_node *node,
                        struct vz_docset *set);
void vz_agg_take_nested(struct vz_agg_node *node, const struct vz_agg_block *block);
void vz_agg_take_reverse(struct vz_agg_node *node, const struct vz_agg_block *block);
/* The nested field whose objects a nest numbers. */
const struct vz_field *vz_agg_nest_scope(const struct vz_agg_nest *nest);
/* agg_sample.c */
void vz_agg_take_sample(struct vz_agg_node *node, const struct vz_agg_block *block);
void vz_agg_sample_replay(struct vz_agg_node *node);
void vz_agg_sample_free(struct vz_agg_node *node);

/* ---- figures ----------------------------------------------------------------------------------- */

void vz_agg_take_metrics(struct vz_agg_node *node, const struct vz_agg_block *block);
void vz_agg_take_digest(struct vz_agg_node *node, const struct vz_agg_block *block);
void vz_agg_take_cardinality(struct vz_agg_node *node, const struct vz_agg_block *block);
void vz_agg_take_strings(struct vz_agg_node *node, const struct vz_agg_block *block);
void vz_agg_take_hits(struct vz_agg_node *node, const struct vz_agg_block *block);
bool vz_agg_hits_bind(struct vz_agg_node *node, struct vz_eval *eval);
void vz_agg_hits_unbind(struct vz_agg_node *node);
void vz_agg_hits_free(struct vz_agg_node *node);
struct vz_agg_metric vz_agg_metric_of(const struct vz_agg_node *node, uint32_t owner);
void vz_agg_metric_add(struct vz_agg_metric *m, double value);
double vz_agg_variance(const struct vz_agg_metric *m, bool sample);
/* A property of a figure ("", "value", "avg", "99.0"); false when there is none of that name. */
bool vz_agg_metric_value(struct vz_agg_node *node, struct vz_slice property, uint32_t owner,
                         double *out);
bool vz_agg_digest_value(struct vz_agg_node *node, struct vz_slice property, uint32_t owner,
                         double *out);
bool vz_agg_stats_value(const struct vz_agg_metric *m, double sigma, bool extended,
                        struct vz_slice property, double *out);
void vz_agg_print_metric(struct vz_agg_node *node, uint32_t owner, struct vz_json_writer *w);
void vz_agg_print_digest(struct vz_agg_node *node, uint32_t owner, struct vz_json_writer *w);
void vz_agg_print_strings(struct vz_agg_node *node, uint32_t owner, struct vz_json_writer *w);
void vz_agg_print_places(struct vz_agg_node *node, uint32_t owner, struct vz_json_writer *w);
bool vz_agg_place_value(const struct vz_agg_node *node, struct vz_slice property, uint32_t owner,
                        double *out);
void vz_agg_print_hits(struct vz_agg_node *node, uint32_t owner, struct vz_json_writer *w);
void vz_agg_print_stats(const struct vz_agg_metric *m, double sigma, bool extended,
                        const struct vz_agg_values *values, struct vz_slice format,
                        struct vz_json_writer *w);
/* A number, "Infinity", or null when `some` is false. */
void vz_agg_put_number(struct vz_json_writer *w, const char *key, bool some, double value);
/* Of count > 0 values, in any order, which are reordered. */
double vz_agg_percentile(double *items, size_t count, double percent);

/* ---- results ----------------------------------------------------------------------------------- */

struct vz_agg_result;
struct vz_agg_bucket {
    struct vz_slice name; /* of keyed answers and of paths: the key's text */
    struct vz_slice head; /* JSON members before doc_count, comma at the end; or empty */
    struct vz_slice tail; /* behind it, comma at the beginning; or empty */
    double number;        /* the key as a number, or NaN */
    uint64_t doc_count;
    struct vz_agg_result *subs;
    size_t sub_count, sub_capacity;
};
enum vz_agg_form { VZ_FORM_FIGURE, VZ_FORM_SINGLE, VZ_FORM_BUCKETS, VZ_FORM_COMPUTED };
struct vz_agg_result {
    const struct vz_agg *agg;
    const char *type; /* for typed_keys */
    enum vz_agg_form form;
    struct vz_agg_node *node; /* FIGURE */
    uint32_t owner;
    struct vz_slice prefix, suffix; /* BUCKETS: JSON members around "buckets" */
    bool keyed;
    struct vz_agg_bucket *buckets; /* BUCKETS; SINGLE: one */
    size_t bucket_count, bucket_capacity;
    /* COMPUTED */
    struct vz_slice body; /* JSON members */
    double value, normalized;
    struct vz_agg_metric stats;
    double *items; /* PERCENTILES_BUCKET: sorted */
    size_t item_count;
};

/* Stands for a bucket that nothing fell into. */
#define VZ_AGG_NOTHING UINT32_MAX

void vz_agg_results(struct vz_agg_node *parent, uint32_t owner, struct vz_agg_bucket *into);
/* A new bucket of a result with the children's results for the node's bucket `number`. NULL past a
 * limit. */
struct vz_agg_bucket *vz_agg_add_bucket(struct vz_agg_result *result, struct vz_agg_node *node,
                                        uint32_t number, uint64_t doc_count);
struct vz_agg_result *vz_agg_add_result(struct vz_agg_run *run, struct vz_agg_bucket *bucket,
                                        const struct vz_agg *agg);
/* Writes members with `put` into the arena: "a":1,"b":2 */
struct vz_slice vz_agg_members(struct vz_agg_run *run, struct vz_buf *object);
/* agg_result_*.c: the buckets of an owner. */
void vz_agg_result_terms(struct vz_agg_result *result, struct vz_agg_node *node, uint32_t owner);
void vz_agg_result_histogram(struct vz_agg_result *result, struct vz_agg_node *node,
                             uint32_t owner);
void vz_agg_result_set(struct vz_agg_result *result, struct vz_agg_node *node, uint32_t owner);
void vz_agg_result_composite(struct vz_agg_result *result, struct vz_agg_node *node,
                             uint32_t owner);
void vz_agg_result_grid(struct vz_agg_result *result, struct vz_agg_node *node, uint32_t owner);
void vz_agg_result_rare(struct vz_agg_result *result, struct vz_agg_node *node, uint32_t owner);
void vz_agg_result_significant(struct vz_agg_result *result, struct vz_agg_node *node,
                               uint32_t owner);
/* The owner's buckets; the array is the caller's to reorder. */
size_t vz_agg_buckets_of(struct vz_agg_node *node, uint32_t owner, uint32_t **out);
uint64_t vz_agg_count_of(const struct vz_agg_node *node, size_t bucket);
int64_t vz_agg_key_at(const struct vz_agg_node *node, uint32_t bucket);
/* The best `size` in the order of the aggregation, at the array's beginning. */
size_t vz_agg_select(struct vz_agg_node *node, uint32_t *buckets, size_t count, size_t size,
                     int (*compare)(struct vz_agg_node *node, uint32_t a, uint32_t b));
/* agg_order.c: by `order`. */
bool vz_agg_check_order(struct vz_agg_node *node);
int vz_agg_compare(struct vz_agg_node *node, uint32_t a, uint32_t b);
/* The figure at a path below a bucket; NaN when there is none. */
double vz_agg_order_value(struct vz_agg_node *node, struct vz_slice path, uint32_t bucket);
/* agg_include.c */
size_t vz_agg_keep_terms(struct vz_agg_node *node, uint32_t *buckets, size_t count);

/* agg_pipeline.c: everything below a result, then its own. */
void vz_agg_reduce(struct vz_agg_run *run, struct vz_agg_result *result);
double vz_agg_bucket_percentile(const struct vz_agg_result *result, double percent);
void vz_agg_reduce_top(struct vz_agg_run *run, struct vz_agg_bucket *top);

/* agg_path.c: "a>b['key']>c.value" */
struct vz_agg_step {
    struct vz_slice name, key, property; /* ["key"], .property or [property] */
    bool has_key;
};
struct vz_agg_steps_of_path {
    struct vz_agg_step items[VZ_MAX_AGG_DEPTH + 2];
    size_t count;
};
bool vz_agg_path_parse(struct vz_slice path, struct vz_agg_steps_of_path *out);
/* The number at a path below a bucket. NaN: nothing there, a gap. False with an error: no such
 * path. */
bool vz_agg_path_number(struct vz_agg_run *run, const struct vz_agg_bucket *bucket,
                        struct vz_slice path, const struct vz_agg_result *parent, double *out);

#endif
