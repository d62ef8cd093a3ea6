/* text/top_parts.h - the parts of the search for the best k; private to the room.
 *
 *  top.c         the heap, counting, which way a query goes, and what goes no special way
 *  top_any.c     any of several terms, or one; top_total.c  how many have any
 *  top_every.c   all of several terms
 *  top_phrase.c  exact phrases of single terms
 *  top_fields.c  words in several fields: any-of searches one after the other
 *
 * Invariant: a document is left out only when an upper bound of its score, made with the same float
 * operations from a larger freq and a smaller length, is not over the threshold. */
#ifndef VZ_TEXT_TOP_PARTS_H
#define VZ_TEXT_TOP_PARTS_H

#include "text/scorer.h"

struct vz_judge;
struct vz_top {
    const struct vz_text_search *search;
    struct vz_judge *judge;   /* what is found goes there first; NULL: it is offered */
    struct vz_text_hit *hits; /* a heap, the worst first */
    size_t count;
    float threshold; /* a score must be over it; -1 while there is room or counting */
    float worst;
    float floor; /* k documents have more than it: known beforehand; -1 when not */
    uint64_t total;
    bool counting; /* still exact */
    bool again;    /* documents may come behind others: who has just the worst's score is wanted */
    bool above;    /* a part alone may give more than a document has: no floor comes from it */
    float slack;   /* what rounding may take from a bound; 0: bounds are sure */
    bool stopped;
    unsigned until_check;
};

/* Puts a document into the heap when it is over the worst there. Documents come in rising order,
 * so one that scores as the worst is behind it. */
void vz_top_offer(struct vz_top *top, uint32_t docno, float score);
/* The same where documents come in any order. `known`: the document may be in the heap; there it
 * keeps the higher of its scores. */
void vz_top_offer_again(struct vz_top *top, uint32_t docno, float score, bool known);
/* Sets `again` and `slack` for what follows. */
void vz_top_mode(struct vz_top *top, bool again, float slack);
/* That k documents have this score or more. */
void vz_top_floor(struct vz_top *top, float score);
/* Adds matches to the total, and ends counting past its limit. */
void vz_top_count(struct vz_top *top, uint64_t matches);
/* The first document at or behind docno that may be found. */
uint32_t vz_top_next_passing(const struct vz_top *top, uint32_t docno);
/* Whether the search was cancelled; asks at every 64th call. */
bool vz_top_stop(struct vz_top *top);

static inline bool vz_top_passes(const struct vz_top *top, uint32_t docno)
{
    return !top->search->filter || vz_bitset_has(top->search->filter, docno);
}

/* ---- one term of a segment --------------------------------------------------------------------
 */

struct vz_clause {
    struct vz_postings p;
    const struct vz_weight *weight;
    float list_max, window_max;
    uint32_t bound_block; /* where the last bound was looked up */
    double before;        /* what this and all lesser ones give at most */
    struct vz_known_max { /* bounds of impacts that were met, by their bytes; 0: none, 0 */
        uint64_t key;
        float score;
    } known[32];
};

/* The largest score that any posting under the impacts can have. */
float vz_impact_score(const struct vz_weight *weight, const struct vz_impact *impacts);
bool vz_clause_open(struct vz_clause *clause, const struct vz_weight *weight,
                    const struct vz_segment *segment);
static inline float vz_clause_score(struct vz_clause *clause)
{
    if (clause->weight->query->constant)
        return clause->weight->constant;
    return vz_bm25_score(&clause->weight->bm25, (float)vz_postings_freq(&clause->p),
                         vz_postings_norm(&clause->p));
}

/* ---- the ways ---------------------------------------------------------------------------------
 */

/* top_total.c: counts documents that have any of the terms, until there are more than the limit. */
void vz_top_total(struct vz_top *top, const struct vz_text_view *view,
                  const struct vz_weight **parts, size_t count);
/* Counts nothing: counting has ended, or vz_top_total has counted. */
void vz_top_any(struct vz_top *top, struct vz_clause *clauses, size_t count,
                const struct vz_segment *segment);

/* One any-of search. Scores are those of the query in `parts` alone (whole), or the sum of its
 * parts is a bound of a document's score, but for rounding. */
struct vz_top_pass {
    const struct vz_weight **parts;
    size_t count;
    bool whole;
    bool every; /* an all-of search instead; then all of the plan are */
    bool above; /* a part may give more than the document has */
    float most; /* the largest sum there can be */
};
/* What a query over terms comes to. `leaves`: every term that makes a document match; none where it
 * takes several: then matches are counted as they are met. */
struct vz_top_plan {
    const struct vz_weight **leaves;
    size_t leaf_count;
    struct vz_top_pass *passes; /* the one that can give most first */
    size_t pass_count;
};
/* top_fields.c. False: the query is not of single terms, of too many, or of weights that are not
 * finite. */
bool vz_top_plan(const struct vz_weight *weight, struct vz_arena *arena, struct vz_top_plan *plan);
/* Counts nothing but what all-of searches meet. */
void vz_top_fields(struct vz_top *top, const struct vz_weight *weight,
                   const struct vz_top_plan *plan, const struct vz_segment *segment,
                   struct vz_arena *arena);
/* A match that an all-of search met: counts it, once in a segment. */
void vz_top_met(struct vz_top *top, uint32_t docno);
/* What a pass found: its score there. */
void vz_judge_found(struct vz_top *top, uint32_t docno, float score);
static inline void vz_top_found(struct vz_top *top, uint32_t docno, float score)
{
    if (top->judge)
        vz_judge_found(top, docno, score);
    else
        vz_top_offer(top, docno, score);
}
/* Documents that have all of some single terms. */
void vz_top_every(struct vz_top *top, const struct vz_weight **parts, size_t count,
                  const struct vz_segment *segment);
/* False, and nothing done, when the phrase is none of single terms without slop. */
bool vz_top_phrase(struct vz_top *top, const struct vz_weight *weight,
                   const struct vz_segment *segment, struct vz_arena *arena);

#endif
