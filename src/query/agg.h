/* query/agg.h - aggregations: facets and figures over the documents of a search.
 *
 * The model. A body's tree of aggregations is parsed without a mapping (agg_parse.c). A run has a
 * node of state for each (struct vz_agg_node). The matches of a target come in blocks of document
 * numbers, each with the bucket of the parent that it fell into ("owner", 0 at the top); a bucket
 * node finds the buckets of each document, counts, and hands on the pairs (document, bucket) as
 * blocks to its children; a metric node adds up what it finds in the column. So each column is
 * walked once, in order, whatever the tree looks like, and one owner number stands for the whole
 * path above. Targets are collected one after the other into the same state, with keys that mean
 * the same in all of them: nothing is merged afterwards, counts are exact, and
 * doc_count_error_upper_bound is always 0.
 *
 * Limits: search.max_buckets buckets in an answer, MAX_STATE_BYTES of state, depth and number of
 * aggregations.
 */
#ifndef VZ_QUERY_AGG_H
#define VZ_QUERY_AGG_H

#include "query/parts.h"

#define VZ_MAX_BUCKETS 65535
#define VZ_AGG_BLOCK 2048
#define VZ_MAX_AGG_DEPTH 10
#define VZ_MAX_AGGS 256

enum vz_agg_kind {
    VZ_AGG_TERMS,
    VZ_AGG_RANGE,
    VZ_AGG_DATE_RANGE,
    VZ_AGG_HISTOGRAM,
    VZ_AGG_DATE_HISTOGRAM,
    VZ_AGG_FILTER,
    VZ_AGG_FILTERS,
    VZ_AGG_GLOBAL,
    VZ_AGG_MISSING,
    VZ_AGG_MIN,
    VZ_AGG_MAX,
    VZ_AGG_AVG,
    VZ_AGG_SUM,
    VZ_AGG_STATS,
    VZ_AGG_EXTENDED_STATS,
    VZ_AGG_VALUE_COUNT,
    VZ_AGG_CARDINALITY,
    VZ_AGG_PERCENTILES
};

enum vz_agg_unit { /* of a calendar */
                   VZ_UNIT_FIXED,
                   VZ_UNIT_WEEK,
                   VZ_UNIT_MONTH,
                   VZ_UNIT_QUARTER,
                   VZ_UNIT_YEAR
};

struct vz_agg_order {
    struct vz_slice path; /* "_count", "_key", "avg_price", "price_stats.max" */
    bool descending;
};

struct vz_agg_range {
    struct vz_slice key; /* empty: made of the bounds */
    struct vz_json from, to;
};

struct vz_agg {
    struct vz_slice name;
    enum vz_agg_kind kind;
    struct vz_agg *subs, *next; /* children; the next of the parent's */
    size_t sub_count;
    struct vz_json meta;
    struct vz_slice field, format;
    struct vz_json missing;
    bool keyed, has_keyed;
    uint64_t min_doc_count;
    bool has_min_doc_count;
    struct vz_agg_order *order;
    size_t order_count;
    /* TERMS */
    uint32_t size;
    struct vz_json include, exclude; /* arrays */
    /* RANGE, DATE_RANGE */
    struct vz_agg_range *ranges;
    size_t range_count;
    /* HISTOGRAM, DATE_HISTOGRAM */
    double interval, offset;
    enum vz_agg_unit unit;
    int64_t interval_ms, offset_ms, zone_ms;
    struct vz_json bounds_min, bounds_max, hard_min, hard_max;
    /* FILTER, FILTERS */
    struct vz_node_list filters;
    struct vz_slice *filter_keys; /* NULL: they have none */
    struct vz_slice other_key;    /* empty: no other bucket */
    /* PERCENTILES */
    double *percents;
    size_t percent_count;
    double sigma; /* EXTENDED_STATS */
};

/* "aggs": {...}. Fills *out with the first of the list, NULL when there is none. */
enum vz_status vz_agg_parse(struct vz_parser *parser, struct vz_json value, struct vz_agg **out,
                            struct vz_error *err);
/* Elasticsearch's name of a kind, and as ?typed_keys shows it. */
const char *vz_agg_kind_name(enum vz_agg_kind kind);

/* ---- a run ----------------------------------------------------------------------------------- */

struct vz_agg_metric {
    uint64_t count;
    double sum, compensation, min, max, squares;
};
struct vz_agg_key {
    uint32_t owner;
    int64_t value; /* an ordinal, a whole number, a double's bits, a multiple of the interval */
};

struct view;
struct vz_agg_node {
    const struct vz_agg *agg;
    struct vz_agg_run *run;
    struct vz_agg_node *subs;

    /* Bound to the target at hand. */
    struct vz_eval *eval;
    const struct vz_field *field;
    struct vz_column column;
    bool dense; /* entry i is of document i, for all */
    size_t at;
    struct vz_docset *filters; /* FILTER, FILTERS: of this target */
    uint32_t *global;          /* of ordinals, plus 1; 0: not asked yet. NULL: the ordinal itself */
    bool has_missing;
    int64_t missing; /* as a key */
    double missing_number;
    double *range_from, *range_to;

    /* Of all targets. */
    const struct vz_field *first_field; /* for printing */
    bool is_real;                       /* keys are doubles' bits */
    bool direct;                        /* a bucket's number is its ordinal */
    uint64_t *counts;                   /* by bucket */
    struct vz_agg_key *keys;            /* by bucket, unless direct or of a fixed set */
    size_t bucket_count, bucket_capacity;
    uint32_t *near; /* histograms at the top: bucket + 1 by place, see agg_bucket.c */
    int64_t near_base;
    bool has_near;
    uint32_t *slots; /* of the keys: bucket + 1 */
    size_t slot_count;
    struct vz_agg_metric *metrics; /* by owner */
    size_t metric_capacity;
    struct {
        double *items;
        size_t count, capacity;
    } * values; /* PERCENTILES: by owner */
    size_t value_capacity;

    struct view *view; /* agg_print.c's */

    /* What goes to the children. */
    uint32_t *out_docs, *out_owners;
    size_t out_count;
};

struct vz_agg_run {
    struct vz_arena *arena;
    struct vz_agg_node *nodes; /* of the top */
    size_t count;
    bool single; /* one target only */
    size_t bytes;
    enum vz_status status;
    struct vz_error *err;
    /* Terms' texts of all targets, when there are several: text -> number. */
    struct vz_agg_terms *terms;
    struct vz_eval *last; /* the last target's, for the texts of ordinals */
    size_t printed;       /* buckets */
    bool typed;
};

struct vz_agg_block {
    const uint32_t *docs, *owners; /* owners NULL: all 0 */
    size_t count;
};

void vz_agg_begin(struct vz_agg_run *run, const struct vz_agg *aggs, bool single, bool typed,
                  struct vz_arena *arena);
/* The documents of `set` (settled) and `extra` (ascending, may be in the set, too) of one target.
 */
enum vz_status vz_agg_collect(struct vz_agg_run *run, struct vz_eval *eval,
                              const struct vz_docset *set, const struct vz_scored *extra,
                              size_t extra_count, struct vz_error *err);
/* The object of "aggregations", while the last target is still open. In the arena. */
enum vz_status vz_agg_print(struct vz_agg_run *run, struct vz_slice *out, struct vz_error *err);
void vz_agg_end(struct vz_agg_run *run);

/* agg.c, for the others */
void vz_agg_take(struct vz_agg_node *node, const struct vz_agg_block *block);
void vz_agg_flush(struct vz_agg_node *node);
/* Counts a document in a bucket and hands it on. */
void vz_agg_count(struct vz_agg_node *node, uint32_t docno, uint32_t bucket);
bool vz_agg_reserve(struct vz_agg_node *node, size_t buckets);
/* The entries of a document in the node's column. */
bool vz_agg_entries(struct vz_agg_node *node, uint32_t docno, size_t *from, size_t *to);
double vz_agg_number(const struct vz_agg_node *node, size_t entry);
bool vz_agg_more(struct vz_agg_run *run, size_t bytes);
bool vz_agg_fail(struct vz_agg_run *run, enum vz_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* agg_bucket.c */
bool vz_agg_is_metric(enum vz_agg_kind kind);
bool vz_agg_bind(struct vz_agg_node *node, struct vz_eval *eval);
void vz_agg_unbind(struct vz_agg_node *node);
void vz_agg_take_buckets(struct vz_agg_node *node, const struct vz_agg_block *block);
int64_t vz_agg_date_floor(const struct vz_agg *agg, int64_t ms);
int64_t vz_agg_date_next(const struct vz_agg *agg, int64_t key);
struct vz_slice vz_agg_term(struct vz_agg_run *run, const struct vz_agg_node *node, int64_t key);
bool vz_agg_term_find(struct vz_agg_run *run, const struct vz_agg_node *node, struct vz_slice text,
                      int64_t *key);
/* What a terms bucket is known by: an ordinal, a number, a double's bits. */
int64_t vz_agg_term_key(struct vz_agg_node *node, size_t entry);
void vz_agg_terms_free(struct vz_agg_terms *terms);
/* agg_metric.c */
void vz_agg_take_metrics(struct vz_agg_node *node, const struct vz_agg_block *block);
double vz_agg_metric_value(const struct vz_agg_node *node, struct vz_slice property,
                           uint32_t owner);
void vz_agg_print_metric(struct vz_agg_node *node, uint32_t owner, struct vz_json_writer *w);

#endif
