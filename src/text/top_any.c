/* The best k of documents that have one term, or any of several: block-max MAXSCORE (H. Turtle, J.
 * Flood, "Query evaluation: strategies and optimizations", 1995; S. Ding, T. Suel, "Faster top-k
 * document retrieval using block-max indexes", 2011; the windows are Lucene's MaxScoreBulkScorer's
 * idea).
 *
 * Terms that together cannot get over the threshold are inessential: a document that has only them
 * need not be found, they refine what others found. While several terms are essential, documents
 * are looked at in windows of WINDOW (walk_several): for each window the largest score of each term
 * comes from the impacts of its blocks, and scores gather in an array. As soon as one alone is
 * essential, and soon it is, it leads to the end of the segment (walk_lead), a block at a time:
 *
 *  1. The impacts of its block and of the others' blocks in that range bound what is there. They
 *     also tell below which freq nothing of the block can be over the threshold: in short texts
 *     most documents have a word once, and where the best have it twice, these fall here.
 *  2. What is left is scored, and compared again with the others' bound.
 *  3. Where nothing can be over the threshold without the best of the others, both meet block by
 *     block (block.h); else the others are advanced to each document, unless their block's bound
 *     is too little.
 *
 * The threshold starts from the k-th best of what the best term gives alone in its first documents
 * (prime): that many documents have at least this score.
 *
 * In a window a document's posting is left out of the sum when it and the most of all others are
 * not over the threshold. Such a document is none of the best; its sum is too small then, and
 * falls.
 *
 * Matches are not counted here: top_total.c counts them where that is wanted. */
#include "text/block.h"
#include "text/pass.h"
#include "text/top_parts.h"

#include <math.h>
#include <stdlib.h>

#define WINDOW 4096
#define PRIMED 512     /* postings that the first threshold comes from */
#define PRIME_MOST 128 /* k up to which there is one */

struct any {
    struct vz_top *top;
    struct vz_clause **clauses; /* by list_max, lesser first; by window_max while in a window */
    size_t count, essential;    /* the first essential one */
    const struct vz_segment *segment;
};

struct window {
    uint32_t low, high;
    uint64_t touched; /* words of `matched` that are not 0 */
    uint64_t matched[WINDOW / 64];
    double scores[WINDOW];
};

/* A block's postings that can be over the threshold. */
struct picked {
    uint8_t places[VZ_BLOCK];
    float scores[VZ_BLOCK];
};

/* ---- bounds -----------------------------------------------------------------------------------
 */

/* What a block's impacts give at most. Few different ones come again and again. */
static float block_max(struct vz_clause *clause, uint32_t block)
{
    const struct vz_impact *impacts = clause->p.skips[block].impacts;
    uint64_t key;
    _Static_assert(sizeof clause->p.skips[0].impacts == sizeof key, "a key");
    memcpy(&key, impacts, sizeof key);
    struct vz_known_max *known = &clause->known[key * 0x9E3779B97F4A7C15u >> 59];
    if (known->key != key) {
        known->key = key;
        known->score = vz_impact_score(clause->weight, impacts);
    }
    return known->score;
}

/* A document before which the clause has none from `low` on; VZ_TEXT_END when it has no more. */
static uint32_t next_of(const struct vz_clause *clause, uint32_t low)
{
    const struct vz_postings *p = &clause->p;
    if (p->started && p->doc == VZ_TEXT_END)
        return VZ_TEXT_END;
    if (p->started && p->docs[p->count - 1] >= low)
        return VZ_MAX(p->doc, low) == p->doc ? p->doc : p->docs[vz_block_find(p->docs, p->at, low)];
    if (!p->skips)
        return VZ_TEXT_END;
    uint32_t block = vz_postings_find_block(p, low);
    if (block >= p->block_count)
        return VZ_TEXT_END;
    return block ? VZ_MAX(low, p->base + p->skips[block - 1].last + 1) : low;
}

/* The largest score that a document in [low, high) can have from this clause. */
static float clause_max(struct vz_clause *clause, uint32_t low, uint32_t high)
{
    struct vz_postings *p = &clause->p;
    if (next_of(clause, low) >= high)
        return 0;
    if (!p->skips)
        return clause->list_max;
    uint32_t block = clause->bound_block, first = low - p->base, end = high - p->base;
    while (block < p->block_count && p->skips[block].last < first)
        block++;
    clause->bound_block = block;
    float most = 0;
    for (; block < p->block_count; block++) {
        if (block && p->skips[block - 1].last + 1 >= end)
            break;
        float score = block_max(clause, block);
        most = score > most ? score : most;
        if (p->skips[block].last + 1 >= end)
            break;
    }
    return most;
}

static bool is_over(const struct vz_top *top, double score)
{
    return (float)score > top->threshold;
}

/* The freq over which a document of the block must be to get over the threshold with `others`.
 * Impacts rise in freq and in length: where all up to one are too little, so is every document
 * whose freq is not over that one's. */
static uint32_t least_freq(const struct vz_top *top, const struct vz_clause *clause, uint32_t block,
                           double others)
{
    const struct vz_impact *impacts = clause->p.skips[block].impacts;
    uint32_t least = 0;
    if (clause->weight->query->constant)
        return 0;
    for (unsigned i = 0; i < VZ_IMPACTS && impacts[i].freq && impacts[i].freq != 255; i++) {
        float score = vz_bm25_score(&clause->weight->bm25, impacts[i].freq, impacts[i].norm);
        if (is_over(top, score + others))
            break;
        least = impacts[i].freq;
    }
    return least;
}

static float score_of(struct vz_clause *clause, unsigned at)
{
    struct vz_postings *p = &clause->p;
    if (clause->weight->query->constant)
        return clause->weight->constant;
    uint32_t doc = p->docs[at];
    unsigned char norm = p->norms ? p->norms[doc - p->base] : vz_postings_norm_slow(p, doc);
    return vz_bm25_score(&clause->weight->bm25, (float)p->freqs[at], norm);
}

/* ---- a block ----------------------------------------------------------------------------------
 */

/* Stands on the block with the first document at or behind *low that is worth it, and decodes it;
 * *low rises past what is not. False when there is none before `high`. */
static bool next_block(struct vz_top *top, struct vz_clause *clause, uint32_t *low, uint32_t high,
                       double others)
{
    struct vz_postings *p = &clause->p;
    while (*low < high) {
        uint32_t block = vz_postings_find_block(p, *low);
        if (block >= p->block_count)
            return false;
        if (p->skips && !is_over(top, block_max(clause, block) + others)) {
            *low = p->base + p->skips[block].last + 1;
            continue;
        }
        if (!p->started || p->block != block)
            vz_postings_load(p, block);
        p->started = true;
        if (p->docs[p->count - 1] == VZ_TEXT_END || p->docs[p->count - 1] < *low)
            return false; /* a list of one block is over, or damaged */
        return p->docs[0] < high;
    }
    return false;
}

/* Keeps of `masks` the places from `from` to `end` whose documents may be found. */
static void filter_places(const struct vz_top *top, const struct vz_postings *p, unsigned from,
                          unsigned end, uint64_t masks[2])
{
    unsigned char places[VZ_BLOCK];
    uint64_t passing[2] = {0, 0};
    unsigned count = from < end ? vz_pass(p->docs, from, end, top->search->filter, places) : 0;
    for (unsigned i = 0; i < count; i++)
        passing[places[i] / 64] |= 1ull << places[i] % 64;
    masks[0] &= passing[0];
    masks[1] &= passing[1];
}

/* Postings of the decoded block in [low, high) that may be found and can be over the threshold with
 * `others`. Leaves the clause on the first document at or behind `high`, or on the block's last. */
static unsigned pick(struct vz_top *top, struct vz_clause *clause, uint32_t low, uint32_t high,
                     double others, struct picked *picked)
{
    struct vz_postings *p = &clause->p;
    unsigned count = 0, end = p->count, from = vz_block_find(p->docs, 0, low);
    uint64_t masks[2];
    /* Here, not behind pointers: places are bytes, which may change anything. */
    float threshold = top->threshold;
    uint32_t base = p->base;
    const struct vz_bm25 *bm25 = &clause->weight->bm25;
    const unsigned char *norms = clause->weight->query->constant ? NULL : p->norms;
    if (!p->freqs_ready)
        vz_postings_load_freqs(p);
    uint32_t least = p->skips ? least_freq(top, clause, p->block, others) : 0;
    if (p->docs[p->count - 1] >= high)
        end = vz_block_find(p->docs, 0, high);
    vz_block_over(p->freqs, end, least, masks);
    if (top->search->filter)
        filter_places(top, p, from, end, masks);
    for (unsigned half = 0; half < 2; half++)
        for (uint64_t left = masks[half]; left; left &= left - 1) {
            unsigned at = half * 64 + (unsigned)__builtin_ctzll(left);
            if (at < from)
                continue;
            float score = norms
                              ? vz_bm25_score(bm25, (float)p->freqs[at], norms[p->docs[at] - base])
                              : score_of(clause, at);
            picked->places[count] = (uint8_t)at;
            picked->scores[count] = score;
            count += (float)(score + others) > threshold;
        }
    p->at = end < p->count ? end : p->count - 1;
    p->doc = p->docs[p->at];
    return count;
}

/* Adds what clauses[0 .. count) give for a document, unless it cannot get over the threshold.
 * `before` of each: what it and those before it give at most. */
static void refine(struct vz_top *top, struct vz_clause **clauses, size_t count, uint32_t doc,
                   double score)
{
    for (size_t i = count; i > 0; i--) {
        struct vz_clause *clause = clauses[i - 1];
        struct vz_postings *p = &clause->p;
        if (!is_over(top, score + clause->before))
            return;
        if (p->skips && (!p->started || p->docs[p->count - 1] < doc)) {
            uint32_t block = vz_postings_find_block(p, doc);
            double lesser = i > 1 ? clauses[i - 2]->before : 0;
            if (block < p->block_count && !is_over(top, score + block_max(clause, block) + lesser))
                return;
        }
        if (vz_postings_advance(p, doc) == doc)
            score += vz_clause_score(clause);
    }
    if (is_over(top, score))
        vz_top_found(top, doc, (float)score);
}

/* ---- one essential term -----------------------------------------------------------------------
 */

/* Sums up what lesser clauses give at most. */
static double sum_before(struct vz_clause **clauses, size_t count, uint32_t low, uint32_t high)
{
    double sum = 0;
    for (size_t i = 0; i < count; i++) {
        float most = clauses[i]->list_max;
        if (low < high)
            most = clause_max(clauses[i], low, high);
        clauses[i]->before = sum += most;
    }
    return sum;
}

/* Documents of the lead's picked postings that have the best of the others, too. */
static void meet(struct any *any, const struct picked *picked, unsigned count, size_t others)
{
    struct vz_top *top = any->top;
    struct vz_postings *p = &any->clauses[others]->p;
    struct vz_clause *best = any->clauses[others - 1];
    struct vz_meeting pairs;
    float scores[VZ_BLOCK]; /* by place */
    double lesser = others > 1 ? any->clauses[others - 2]->before : 0;
    for (unsigned i = 0; i < count; i++)
        scores[picked->places[i]] = picked->scores[i];
    for (unsigned at = 0, used; at < count; at += used) {
        uint32_t doc = p->docs[picked->places[at]];
        struct vz_postings *q = &best->p;
        used = 1;
        if (q->skips && (!q->started || q->docs[q->count - 1] < doc)) {
            uint32_t block = vz_postings_find_block(q, doc);
            if (block >= q->block_count)
                return;
            if (!is_over(top, picked->scores[at] + block_max(best, block) + lesser))
                continue;
        }
        if (vz_postings_advance(q, doc) == VZ_TEXT_END)
            return;
        unsigned met = vz_block_meet(p->docs, picked->places + at, count - at, q->docs, q->at,
                                     q->count, &pairs, &used);
        used = VZ_MAX(used, 1);
        if (met && !q->freqs_ready)
            vz_postings_load_freqs(q);
        for (unsigned i = 0; i < met; i++) {
            double score = (double)scores[pairs.mine[i]] + score_of(best, pairs.theirs[i]);
            if (is_over(top, score + lesser))
                refine(top, any->clauses, others - 1, p->docs[pairs.mine[i]], score);
        }
    }
}

/* clauses[others] is the one essential clause in [low, high), those before it refine. `in_window`:
 * their bounds were made for it. */
static void walk_lead(struct any *any, size_t others, uint32_t low, uint32_t high, bool in_window)
{
    struct vz_top *top = any->top;
    struct vz_clause *lead = any->clauses[others];
    struct picked picked;
    double sum = others && in_window ? any->clauses[others - 1]->before
                                     : sum_before(any->clauses, others, 0, 0);
    while (next_block(top, lead, &low, high, sum) && !vz_top_stop(top)) {
        uint32_t last = lead->p.docs[lead->p.count - 1], end = VZ_MIN(high, last + 1);
        uint32_t from = VZ_MAX(low, lead->p.docs[0]);
        double near = sum;
        if (others && !in_window && lead->p.skips)
            near = sum_before(any->clauses, others, from, end);
        low = end;
        float most = lead->p.skips ? block_max(lead, lead->p.block) : lead->list_max;
        if (!is_over(top, most + near))
            continue;
        unsigned count = pick(top, lead, from, end, near, &picked);
        double lesser = others > 1 ? any->clauses[others - 2]->before : 0;
        if (others && !is_over(top, most + lesser)) {
            meet(any, &picked, count, others);
            continue;
        }
        for (unsigned i = 0; i < count; i++)
            if (is_over(top, picked.scores[i] + near))
                refine(top, any->clauses, others, lead->p.docs[picked.places[i]], picked.scores[i]);
    }
}

/* ---- several ----------------------------------------------------------------------------------
 */

static void add(struct window *window, uint32_t doc, float score)
{
    uint32_t at = doc - window->low, word = at / 64;
    uint64_t bit = 1ull << at % 64;
    if (!(window->touched >> word & 1)) {
        window->touched |= 1ull << word;
        window->matched[word] = 0;
    }
    if (window->matched[word] & bit) {
        window->scores[at] += score;
    } else {
        window->matched[word] |= bit;
        window->scores[at] = score;
    }
}

/* Scores gather in an array, then the documents are looked at in order. */
static void walk_several(struct any *any, struct window *window)
{
    struct vz_top *top = any->top;
    struct picked picked;
    double all = any->clauses[any->count - 1]->before;
    double lesser = any->essential ? any->clauses[any->essential - 1]->before : 0;
    window->touched = 0;
    for (size_t i = any->essential; i < any->count; i++) {
        struct vz_clause *clause = any->clauses[i];
        /* A little more, for what the subtraction may lose. */
        double others = (all - clause->window_max) * (1 + 1e-9);
        uint32_t low = window->low;
        while (next_block(top, clause, &low, window->high, others)) {
            unsigned count = pick(top, clause, low, window->high, others, &picked);
            for (unsigned n = 0; n < count; n++)
                add(window, clause->p.docs[picked.places[n]], picked.scores[n]);
            low = clause->p.docs[clause->p.count - 1] + 1;
        }
    }
    for (uint64_t words = window->touched; words; words &= words - 1) {
        uint32_t word = (uint32_t)__builtin_ctzll(words);
        for (uint64_t left = window->matched[word]; left; left &= left - 1) {
            uint32_t at = word * 64 + (uint32_t)__builtin_ctzll(left);
            if (is_over(top, window->scores[at] + lesser))
                refine(top, any->clauses, any->essential, window->low + at, window->scores[at]);
        }
    }
}

/* Orders the clauses by what they can give in the window. False when all of them are too little. */
static bool prepare(struct any *any, const struct window *window)
{
    double sum = 0;
    for (size_t i = 0; i < any->count; i++) {
        struct vz_clause *clause = any->clauses[i];
        size_t at = i;
        clause->window_max = clause_max(clause, window->low, window->high);
        for (; at && any->clauses[at - 1]->window_max > clause->window_max; at--)
            any->clauses[at] = any->clauses[at - 1];
        any->clauses[at] = clause;
    }
    any->essential = any->count;
    for (size_t i = 0; i < any->count; i++) {
        sum += any->clauses[i]->window_max;
        any->clauses[i]->before = sum;
        if (any->essential == any->count && is_over(any->top, sum))
            any->essential = i;
    }
    return any->essential < any->count;
}

/* ---- a segment --------------------------------------------------------------------------------
 */

static int lesser_first(const void *a, const void *b)
{
    const struct vz_clause *x = *(struct vz_clause *const *)a, *y = *(struct vz_clause *const *)b;
    return x->list_max < y->list_max ? -1 : x->list_max > y->list_max;
}

/* A threshold to begin with; see the top. The postings are decoded again later. */
static void prime(struct any *any)
{
    struct vz_top *top = any->top;
    struct vz_clause *clause = any->clauses[any->count - 1];
    struct vz_postings *p = &clause->p;
    float best[PRIME_MOST]; /* falling */
    size_t count = 0, k = top->search->k;
    if (any->count < 2 || top->above || top->count || !k || k > PRIME_MOST || p->doc_freq < k)
        return;
    uint32_t blocks = VZ_MIN(p->block_count, PRIMED / VZ_BLOCK);
    for (uint32_t block = 0; block < blocks; block++) {
        vz_postings_load(p, block);
        if (!p->freqs_ready)
            vz_postings_load_freqs(p);
        for (unsigned i = 0; i < p->count && p->docs[i] != VZ_TEXT_END; i++) {
            float score = score_of(clause, i);
            if ((count == k && score <= best[k - 1]) || !vz_top_passes(top, p->docs[i]))
                continue;
            size_t at = count < k ? count++ : k - 1;
            for (; at && best[at - 1] < score; at--)
                best[at] = best[at - 1];
            best[at] = score;
        }
    }
    if (count == k)
        vz_top_floor(top, best[k - 1]);
    vz_postings_load(p, 0);
    p->started = true;
    p->sparse_at = 0;
}

/* The first clause that is essential in all of the list; count when all together are too little. */
static size_t essential_of(const struct any *any)
{
    double sum = 0;
    for (size_t i = 0; i < any->count; i++) {
        sum += any->clauses[i]->list_max;
        if (is_over(any->top, sum))
            return i;
    }
    return any->count;
}

static void walk(struct any *any, struct window *window)
{
    struct vz_top *top = any->top;
    uint32_t low = any->segment->base, limit = any->segment->limit;
    while (low < limit && !vz_top_stop(top)) {
        qsort(any->clauses, any->count, sizeof *any->clauses, lesser_first);
        size_t essential = essential_of(any);
        if (essential == any->count)
            return;
        if (essential + 1 == any->count) {
            walk_lead(any, essential, low, limit, false);
            return;
        }
        uint32_t next = VZ_TEXT_END;
        for (size_t i = essential; i < any->count; i++)
            next = VZ_MIN(next, next_of(any->clauses[i], low));
        if (next >= limit)
            return;
        window->low = next;
        window->high = limit - next > WINDOW ? next + WINDOW : limit;
        low = window->high;
        if (!prepare(any, window))
            continue;
        if (any->essential + 1 == any->count)
            walk_lead(any, any->essential, window->low, window->high, true);
        else
            walk_several(any, window);
    }
}

void vz_top_any(struct vz_top *top, struct vz_clause *clauses, size_t count,
                const struct vz_segment *segment)
{
    struct any any = {.top = top, .count = count, .segment = segment};
    struct window *window = count > 1 ? vz_alloc(sizeof *window) : NULL;
    any.clauses = vz_alloc(count * sizeof *any.clauses);
    for (size_t i = 0; i < count; i++)
        any.clauses[i] = &clauses[i];
    qsort(any.clauses, count, sizeof *any.clauses, lesser_first);
    prime(&any);
    if (count > 1)
        walk(&any, window);
    else if (is_over(top, clauses[0].list_max))
        walk_lead(&any, 0, segment->base, segment->limit, false);
    free(any.clauses);
    free(window);
}
