/* query/run.h - a search on its way: the snapshots it looks in and what it found so far. Shared by
 * run.c (opens, answers), find.c (who matches, who is best) and what puts several searches over the
 * same snapshots together (retriever.c, collapse.c). Private to the room.
 *
 * The targets are opened once for a request and lent to every run over them, one run at a time.
 * vz_run_begin, vz_run_find, vz_run_answer, vz_run_end.
 */
#ifndef VZ_QUERY_RUN_H
#define VZ_QUERY_RUN_H

#include "query/agg.h"

/* One index: what a shard is elsewhere. */
struct vz_target {
    struct vz_index *index;
    struct vz_snapshot *snap;
    struct vz_eval eval;
    struct vz_json_doc *alias_doc; /* the alias filter's JSON */
    struct vz_docset alias;
    float boost; /* indices_boost */
    uint64_t query_ns;
};

/* What a run has of a target for itself. */
struct vz_run_part {
    struct vz_sort_reader *readers;
    size_t reader_count;
    struct vz_fetch_plan plan;
    bool planned;
};

struct vz_run {
    const struct vz_search *search;
    struct vz_arena *arena;
    struct vz_target *targets;
    struct vz_run_part *bound; /* [target_count] */
    size_t target_count;
    uint64_t started_ns, deadline_ns;
    struct vz_scored *nearest; /* of all knn clauses: ascending by target, docno; summed scores */
    size_t nearest_count, nearest_capacity;
    struct vz_scored *ranked; /* what the retrievers chose; NULL without any */
    size_t ranked_count;
    struct vz_collector collector;
    struct vz_agg_run aggs;
    bool need_scores;
    uint64_t total;
    bool timed_out, terminated_early;
};

/* Sets run->search, its collector for `limit` hits and what it keeps for each target. */
void vz_run_begin(struct vz_run *run, const struct vz_search *search, size_t limit);
/* Looks for the search's hits in all targets: they are in run->collector, best first. run->aggs is
 * the caller's when the search has aggregations; run->nearest may have documents with scores that
 * match beside the query. */
enum vz_status vz_run_find(struct vz_run *run, struct vz_error *err);
/* Totals, and the documents of the hits. */
enum vz_status vz_run_answer(struct vz_run *run, struct vz_search_result *result,
                             struct vz_error *err);
void vz_run_end(struct vz_run *run);
/* Documents of all targets. */
uint64_t vz_run_doc_count(const struct vz_run *run);
/* Vectors that are to be made from texts, pictures or other documents. */
enum vz_status vz_target_embed(const struct vz_search *search, const struct vz_target *target,
                               struct vz_error *err);
/* Whether anybody looks at the scores. */
bool vz_run_needs_scores(const struct vz_search *search);
/* Negative when a is the better one: score, then target, then docno. */
int vz_scored_compare(const void *a, const void *b);
/* By target, then docno. */
int vz_scored_compare_place(const void *a, const void *b);

#endif
