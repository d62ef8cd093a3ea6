/* The best k of documents that have one term, or any of several: block-max MAXSCORE in windows of
 * WINDOW documents (H. Turtle, J. Flood, "Query evaluation: strategies and optimizations", 1995; S.
 * Ding, T. Suel, "Faster top-k document retrieval using block-max indexes", 2011; the windows are
 * Lucene's MaxScoreBulkScorer's idea). For each window the largest score of each term comes from
 * the impacts of the blocks in it. Terms that together cannot reach the k-th best score so far only
 * refine what others found. Where there is a filter, a block's documents go through it before any
 * of them is scored (pass.h). */
#include "text/pass.h"
#include "text/top_parts.h"

#include <math.h>
#include <stdlib.h>

#define WINDOW 4096

/* The largest score that a document in [low, high) can have from this clause. */
static float clause_max(struct vz_clause *clause, uint32_t low, uint32_t high)
{
    struct vz_postings *p = &clause->p;
    if (!p->skips)
        return p->doc == VZ_TEXT_END || p->docs[p->count - 1] < low || p->docs[0] >= high
                   ? 0
                   : clause->list_max;
    uint32_t block = clause->bound_block, first = low - p->base, end = high - p->base;
    while (block < p->block_count && p->skips[block].last < first)
        block++;
    clause->bound_block = block;
    float most = 0;
    for (; block < p->block_count; block++) {
        if (block && p->skips[block - 1].last + 1 >= end)
            break;
        most = fmaxf(most, vz_impact_score(clause->weight, p->skips[block].impacts));
        if (p->skips[block].last + 1 >= end)
            break;
    }
    return most;
}

struct window {
    struct vz_clause **clauses; /* by window_max, lesser first */
    size_t count, essential;    /* the first essential one */
    uint32_t low, high;
    double scores[WINDOW];
    uint64_t matched[WINDOW / 64];
};

/* Adds what the lesser clauses give for a document, unless it cannot get over the threshold. */
static void refine(struct vz_top *top, struct window *window, uint32_t doc, double score)
{
    for (size_t i = window->essential; i > 0; i--) {
        struct vz_clause *clause = window->clauses[i - 1];
        if ((float)(score + clause->before) <= top->threshold)
            return;
        if (vz_postings_advance(&clause->p, doc) == doc)
            score += vz_clause_score(clause);
    }
    vz_top_offer(top, doc, (float)score);
}

static void stand_on(struct vz_postings *p, unsigned at)
{
    p->at = at;
    p->doc = p->docs[at];
}

/* The first place of the decoded block that is of a document at or behind `high`. */
static unsigned end_in_block(const struct vz_postings *p, uint32_t high)
{
    unsigned low = p->at, end = p->count;
    if (p->docs[end - 1] < high)
        return end;
    while (low < end) {
        unsigned middle = low + (end - low) / 2;
        if (p->docs[middle] < high)
            low = middle + 1;
        else
            end = middle;
    }
    return low;
}

/* A document of the only essential clause that may be found. */
static inline void meet_single(struct vz_top *top, struct window *window, struct vz_clause *clause,
                               double lesser)
{
    if (top->counting)
        vz_top_count(top, 1);
    float score = vz_clause_score(clause);
    if ((float)(score + lesser) > top->threshold)
        refine(top, window, clause->p.doc, score);
}

/* One essential clause: its postings, block by block. */
static void walk_single(struct vz_top *top, struct window *window)
{
    struct vz_clause *clause = window->clauses[window->essential];
    struct vz_postings *p = &clause->p;
    double lesser = window->essential ? window->clauses[window->essential - 1]->before : 0;
    uint32_t doc = vz_postings_advance(p, window->low);
    uint32_t checked = UINT32_MAX;
    while (doc < window->high) {
        if (p->skips && p->block != checked && top->threshold >= 0) {
            checked = p->block;
            float most = vz_impact_score(clause->weight, p->skips[p->block].impacts);
            if ((float)(most + lesser) <= top->threshold) {
                doc = vz_postings_advance(p, p->docs[p->count - 1] + 1);
                continue;
            }
        }
        if (top->search->filter) {
            unsigned char places[VZ_BLOCK];
            unsigned end = end_in_block(p, window->high);
            unsigned count = vz_pass(p->docs, p->at, end, top->search->filter, places);
            for (unsigned i = 0; i < count; i++) {
                stand_on(p, places[i]);
                meet_single(top, window, clause, lesser);
            }
            stand_on(p, end - 1);
        } else
            meet_single(top, window, clause, lesser);
        doc = vz_postings_next(p);
    }
}

/* Adds what a clause gives to the document it stands on. */
static inline void gather(struct window *window, struct vz_clause *clause)
{
    uint32_t at = clause->p.doc - window->low;
    uint64_t bit = 1ull << at % 64;
    double score = vz_clause_score(clause);
    if (window->matched[at / 64] & bit) {
        window->scores[at] += score;
    } else {
        window->matched[at / 64] |= bit;
        window->scores[at] = score;
    }
}

/* Several: their scores gather in an array, then the documents are looked at in order. */
static void walk_several(struct vz_top *top, struct window *window)
{
    memset(window->matched, 0, sizeof window->matched);
    for (size_t i = window->essential; i < window->count; i++) {
        struct vz_clause *clause = window->clauses[i];
        struct vz_postings *p = &clause->p;
        if (clause->window_max == 0 && clause->weight->constant != 0 && !top->counting)
            continue;
        for (uint32_t doc = vz_postings_advance(p, window->low); doc < window->high;
             doc = vz_postings_next(p)) {
            if (!top->search->filter) {
                gather(window, clause);
                continue;
            }
            unsigned char places[VZ_BLOCK];
            unsigned end = end_in_block(p, window->high);
            unsigned passing = vz_pass(p->docs, p->at, end, top->search->filter, places);
            for (unsigned n = 0; n < passing; n++) {
                stand_on(p, places[n]);
                gather(window, clause);
            }
            stand_on(p, end - 1);
        }
    }
    double lesser = window->essential ? window->clauses[window->essential - 1]->before : 0;
    for (uint32_t w = 0; w < WINDOW / 64; w++) {
        uint64_t word = window->matched[w];
        for (; word; word &= word - 1) {
            uint32_t at = w * 64 + (uint32_t)__builtin_ctzll(word);
            if (top->counting)
                vz_top_count(top, 1);
            if ((float)(window->scores[at] + lesser) > top->threshold)
                refine(top, window, window->low + at, window->scores[at]);
        }
    }
}

/* Orders the clauses by what they can give in the window. False when all of them are too little. */
static bool prepare(struct vz_top *top, struct window *window)
{
    double sum = 0;
    for (size_t i = 0; i < window->count; i++) {
        struct vz_clause *clause = window->clauses[i];
        size_t at = i;
        clause->window_max = clause_max(clause, window->low, window->high);
        for (; at && window->clauses[at - 1]->window_max > clause->window_max; at--)
            window->clauses[at] = window->clauses[at - 1];
        window->clauses[at] = clause;
    }
    window->essential = window->count;
    for (size_t i = 0; i < window->count; i++) {
        sum += window->clauses[i]->window_max;
        window->clauses[i]->before = sum;
        if (window->essential == window->count && (float)sum > top->threshold)
            window->essential = i;
    }
    return window->essential < window->count;
}

void vz_top_any(struct vz_top *top, struct vz_clause *clauses, size_t count,
                const struct vz_segment *segment)
{
    struct window *window = vz_alloc(sizeof *window);
    double most = 0;
    window->clauses = vz_alloc(count * sizeof *window->clauses);
    window->count = count;
    for (size_t i = 0; i < count; i++) {
        window->clauses[i] = &clauses[i];
        most += clauses[i].list_max;
    }
    uint32_t low = segment->base;
    while (low < segment->limit && !vz_top_stop(top)) {
        if ((float)most <= top->threshold)
            break;
        window->low = low;
        window->high = segment->limit - low > WINDOW ? low + WINDOW : segment->limit;
        if (prepare(top, window)) {
            if (window->essential + 1 == count)
                walk_single(top, window);
            else
                walk_several(top, window);
        }
        low = window->high;
        /* Where nothing is for long, go there at once. */
        uint32_t next = VZ_TEXT_END;
        for (size_t i = 0; i < count; i++) {
            const struct vz_postings *p = &clauses[i].p;
            next = VZ_MIN(next, p->started ? VZ_MAX(p->doc, low) : low);
        }
        low = VZ_MAX(low, next);
    }
    free(window->clauses);
    free(window);
}
