/* text/score.h - queries over a view: BM25 as Elasticsearch scores it, the best k without looking
 * at the rest.
 *
 * The model. A query is a small tree in the caller's memory: terms, phrases, and any / all / best
 * of other queries. Weights are worked out over the whole view (N, n and the average length are
 * those of all its segments), then each segment is walked by itself.
 *
 *  vz_text_top      the k best by score, ties by lower docno. Blocks and windows that cannot hold
 *                   one of them are skipped (block-max MAXSCORE) once enough matches are counted.
 *  vz_text_collect  all matches as bits and, when wanted, their scores: for queries that are
 * combined with others. vz_text_explain  one document's score as a tree of numbers.
 *
 * Threads: any number at a time on one view. Nothing is kept between calls.
 */
#ifndef VZ_TEXT_SCORE_H
#define VZ_TEXT_SCORE_H

#include "text/intervals.h"
#include "text/postings.h"
#include "text/spans.h"

enum vz_text_kind {
    VZ_TEXT_NONE,
    VZ_TEXT_TERM, /* terms[0 .. count): alternatives of one place, scored as one term (synonyms) */
    VZ_TEXT_PHRASE, /* terms at positions; equal positions are alternatives */
    VZ_TEXT_ANY,    /* at least `minimum` of parts (0: one); scores added */
    VZ_TEXT_EVERY,  /* all of parts; scores added */
    VZ_TEXT_BEST,   /* any of parts; the best score + tie * the others */
    VZ_TEXT_COMBINED, /* terms of one place in several fields, as if these were one (BM25F) */
    VZ_TEXT_INTERVALS, /* where `intervals` has any (intervals.h) */
    VZ_TEXT_SPANS      /* where `spans` has any (spans.h); terms: those of vz_spans_terms */
};

struct vz_text_field_weight {
    uint16_t id;
    struct vz_slice name;
    float weight; /* 1 or more */
};

struct vz_text_query {
    enum vz_text_kind kind;
    float boost;   /* 0 is 0: set 1 */
    bool constant; /* TERM, PHRASE: every match scores `boost` */
    uint16_t field;
    struct vz_slice field_name; /* for explain */
    const struct vz_slice *terms;
    size_t term_count;
    const uint32_t *positions; /* PHRASE: of each term; NULL: 0, 1, 2 ... */
    uint32_t slop;
    struct vz_text_query *const *parts;
    size_t part_count;
    size_t minimum;
    float tie;
    float k1, b; /* 0: 1.2, and b 0.75 unless has_b */
    bool has_b;
    uint64_t doc_freq;      /* TERM: what the idf is worked out from; 0: the terms' own */
    struct vz_slice source; /* TERM that is constant: "f:qui*", what the terms came from */
    const struct vz_text_field_weight *fields; /* COMBINED */
    size_t field_count;
    const struct vz_intervals *intervals;
    const struct vz_spans *spans;
    const uint16_t *term_fields; /* SPANS: of each term */
};

struct vz_text_hit {
    uint32_t docno;
    float score;
};
struct vz_text_search {
    const struct vz_bitset *filter; /* documents that may be found; those past its end may not.
                                     * NULL: all */
    uint64_t excluded;              /* how many documents of the view the filter may take away, or
                                     * UINT64_MAX when nobody knows */
    size_t k;                       /* hits wanted; 0: only count */
    uint64_t total_limit;           /* count matches exactly up to here; 0: do not count */
    bool (*cancelled)(void *context);
    void *context;
};
struct vz_text_result {
    size_t count; /* of hits */
    uint64_t total;
    bool total_exact; /* false: at least `total` */
};
/* hits[k], best first. VZ_CANCELLED; VZ_BAD_QUERY for a phrase on a field without positions ("field
 * [title] was indexed without position data; cannot run PhraseQuery"). */
enum vz_status vz_text_top(const struct vz_text_view *view, const struct vz_text_query *query,
                           const struct vz_text_search *search, struct vz_text_hit *hits,
                           struct vz_text_result *result, struct vz_error *err);

/* scores[i] of docs[i] (ascending, distinct); NAN where the query does not match. VZ_CANCELLED,
 * VZ_BAD_QUERY as vz_text_top. */
enum vz_status vz_text_pick(const struct vz_text_view *view, const struct vz_text_query *query,
                            const uint32_t *docs, size_t count, float *scores,
                            bool (*cancelled)(void *context), void *context, struct vz_error *err);

/* Sets the bit of every match below bits->bits and, when scores is not NULL, scores[docno] (not
 * touched for others). Dead documents are matched, too. */
enum vz_status vz_text_collect(const struct vz_text_view *view, const struct vz_text_query *query,
                               struct vz_bitset *bits, float *scores,
                               bool (*cancelled)(void *context), void *context,
                               struct vz_error *err);

struct vz_explanation {
    bool match;
    bool whole; /* value counts something: shown without a fraction */
    float value;
    struct vz_slice description;
    struct vz_explanation **details;
    size_t detail_count;
};
/* Appends the query as Lucene prints it: "+title:quick (body:brown | title:brown^2.0)". */
void vz_text_describe(const struct vz_text_query *query, struct vz_buf *out);
/* In the arena, worded as Lucene does. `boost`: of what is above the query. */
enum vz_status vz_text_explain(const struct vz_text_view *view, const struct vz_text_query *query,
                               float boost, uint32_t docno, struct vz_arena *arena,
                               struct vz_explanation **out, struct vz_error *err);

#endif
