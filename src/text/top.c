/* The best k of a query, and all of it.
 *
 * Three ways through a segment:
 *  1. One term, or any of several single terms: block-max MAXSCORE in windows of WINDOW documents
 *     (H. Turtle, J. Flood, "Query evaluation: strategies and optimizations", 1995; S. Ding,
 *     T. Suel, "Faster top-k document retrieval using block-max indexes", 2011; the windows are
 *     Lucene's MaxScoreBulkScorer's idea). For each window the largest score of each term comes
 *     from the impacts of the blocks in it. Terms that together cannot reach the k-th best score so
 *     far only refine what others found.
 *  2. All of several single terms: the rarest leads; where the blocks' largest scores add up to too
 *     little, everything to the end of the shortest block is skipped.
 *  3. Everything else: document by document.
 *
 * Invariant: a document is left out only when an upper bound of its score, made with the same float
 * operations from a larger freq and a smaller length, is not over the k-th best: ties go to the
 * lower docno, which came first. Nothing is left out before `total_limit` matches are counted. */
#include "text/scorer.h"

#include <math.h>
#include <stdlib.h>

#define WINDOW 4096

/* ---- the best k -------------------------------------------------------------------------------
 */

struct top {
    const struct vz_text_search *search;
    struct vz_text_hit *hits; /* a heap, the worst first */
    size_t count;
    float threshold; /* a score must be over it; -1 while there is room or counting */
    float worst;
    uint64_t total;
    bool counting; /* still exact */
    bool stopped;
    unsigned until_check;
};

static bool worse(const struct vz_text_hit *a, const struct vz_text_hit *b)
{
    return a->score != b->score ? a->score < b->score : a->docno > b->docno;
}

static void sift_down(struct top *top, size_t at)
{
    struct vz_text_hit hit = top->hits[at];
    for (;;) {
        size_t child = 2 * at + 1;
        if (child >= top->count)
            break;
        if (child + 1 < top->count && worse(&top->hits[child + 1], &top->hits[child]))
            child++;
        if (!worse(&top->hits[child], &hit))
            break;
        top->hits[at] = top->hits[child];
        at = child;
    }
    top->hits[at] = hit;
}

static void set_threshold(struct top *top)
{
    bool full = top->count == top->search->k;
    top->worst = full ? (top->search->k ? top->hits[0].score : INFINITY) : -1;
    top->threshold = top->counting ? -1 : top->worst;
}

static void offer(struct top *top, uint32_t docno, float score)
{
    if (score <= top->worst)
        return;
    struct vz_text_hit hit = {docno, score};
    if (top->count < top->search->k) {
        size_t at = top->count++;
        for (; at && worse(&hit, &top->hits[(at - 1) / 2]); at = (at - 1) / 2)
            top->hits[at] = top->hits[(at - 1) / 2];
        top->hits[at] = hit;
    } else {
        top->hits[0] = hit;
        sift_down(top, 0);
    }
    set_threshold(top);
}

static void count_more(struct top *top, uint64_t matches)
{
    top->total += matches;
    if (top->counting && top->total > top->search->total_limit) {
        top->counting = false;
        set_threshold(top);
    }
}

static bool passes(const struct top *top, uint32_t docno)
{
    return !top->search->filter || vz_bitset_has(top->search->filter, docno);
}

/* The first document at or behind docno that may be found. */
static uint32_t next_passing(const struct top *top, uint32_t docno)
{
    const struct vz_bitset *filter = top->search->filter;
    if (!filter || docno == VZ_TEXT_END)
        return docno;
    size_t next = docno < filter->bits ? vz_bitset_next(filter, docno) : filter->bits;
    return next < filter->bits ? (uint32_t)next : VZ_TEXT_END;
}

static bool stop(struct top *top)
{
    if (top->until_check-- == 0) {
        top->until_check = 63;
        top->stopped |= top->search->cancelled && top->search->cancelled(top->search->context);
    }
    return top->stopped;
}

static int best_first(const void *a, const void *b)
{
    return worse(a, b) ? 1 : -1;
}

/* ---- one term of a segment --------------------------------------------------------------------
 */

struct clause {
    struct vz_postings p;
    const struct vz_weight *weight;
    float list_max, window_max;
    uint32_t bound_block; /* where the last bound was looked up */
    double before;        /* window_max of this and all lesser ones */
};

static float impact_score(const struct vz_weight *weight, const struct vz_impact *impacts)
{
    float most = 0;
    if (weight->query->constant)
        return weight->constant;
    for (unsigned i = 0; i < VZ_IMPACTS && impacts[i].freq; i++) {
        float freq = impacts[i].freq == 255 ? 1e30f : impacts[i].freq;
        most = fmaxf(most, vz_bm25_score(&weight->bm25, freq, impacts[i].norm));
    }
    return most;
}

static inline float posting_score(struct clause *clause)
{
    if (clause->weight->query->constant)
        return clause->weight->constant;
    return vz_bm25_score(&clause->weight->bm25, (float)vz_postings_freq(&clause->p),
                         vz_postings_norm(&clause->p));
}

static bool open_clause(struct clause *clause, const struct vz_weight *weight,
                        const struct vz_segment *segment)
{
    const struct vz_text_query *query = weight->query;
    clause->weight = weight;
    clause->bound_block = 0;
    clause->list_max = 0;
    if (!vz_postings_open(&clause->p, segment, query->field, query->terms[0]))
        return false;
    if (clause->p.has_impacts) {
        clause->list_max = impact_score(weight, clause->p.head);
        return true;
    }
    /* A short list: look at all of it, and stand on its start again. */
    struct vz_postings *p = &clause->p;
    for (vz_postings_next(p); p->doc != VZ_TEXT_END; vz_postings_next(p))
        clause->list_max = fmaxf(clause->list_max, posting_score(clause));
    p->at = 0;
    p->doc = p->docs[0];
    p->sparse_at = 0;
    return true;
}

/* The largest score that a document in [low, high) can have from this clause. */
static float clause_max(struct clause *clause, uint32_t low, uint32_t high)
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
        most = fmaxf(most, impact_score(clause->weight, p->skips[block].impacts));
        if (p->skips[block].last + 1 >= end)
            break;
    }
    return most;
}

/* ---- any of several terms ---------------------------------------------------------------------
 */

struct window {
    struct clause **clauses; /* by window_max, lesser first */
    size_t count, essential; /* the first essential one */
    uint32_t low, high;
    double scores[WINDOW];
    uint64_t matched[WINDOW / 64];
};

/* Adds what the lesser clauses give for a document, unless it cannot get over the threshold. */
static void refine(struct top *top, struct window *window, uint32_t doc, double score)
{
    for (size_t i = window->essential; i > 0; i--) {
        struct clause *clause = window->clauses[i - 1];
        if ((float)(score + clause->before) <= top->threshold)
            return;
        if (vz_postings_advance(&clause->p, doc) == doc)
            score += posting_score(clause);
    }
    offer(top, doc, (float)score);
}

/* One essential clause: its postings, block by block. */
static void walk_single(struct top *top, struct window *window)
{
    struct clause *clause = window->clauses[window->essential];
    struct vz_postings *p = &clause->p;
    double lesser = window->essential ? window->clauses[window->essential - 1]->before : 0;
    uint32_t doc = vz_postings_advance(p, window->low);
    uint32_t checked = UINT32_MAX;
    while (doc < window->high) {
        if (p->skips && p->block != checked && top->threshold >= 0) {
            checked = p->block;
            float most = impact_score(clause->weight, p->skips[p->block].impacts);
            if ((float)(most + lesser) <= top->threshold) {
                doc = vz_postings_advance(p, p->docs[p->count - 1] + 1);
                continue;
            }
        }
        if (passes(top, doc)) {
            if (top->counting || top->search->total_limit)
                count_more(top, 1);
            float score = posting_score(clause);
            if ((float)(score + lesser) > top->threshold)
                refine(top, window, doc, score);
        }
        doc = vz_postings_next(p);
    }
}

/* Several: their scores gather in an array, then the documents are looked at in order. */
static void walk_several(struct top *top, struct window *window)
{
    memset(window->matched, 0, sizeof window->matched);
    for (size_t i = window->essential; i < window->count; i++) {
        struct clause *clause = window->clauses[i];
        struct vz_postings *p = &clause->p;
        if (clause->window_max == 0 && clause->weight->constant != 0 && !top->counting)
            continue;
        for (uint32_t doc = vz_postings_advance(p, window->low); doc < window->high;
             doc = vz_postings_next(p)) {
            uint32_t at = doc - window->low;
            uint64_t bit = 1ull << at % 64;
            double score = posting_score(clause);
            if (window->matched[at / 64] & bit) {
                window->scores[at] += score;
            } else {
                window->matched[at / 64] |= bit;
                window->scores[at] = score;
            }
        }
    }
    double lesser = window->essential ? window->clauses[window->essential - 1]->before : 0;
    for (uint32_t w = 0; w < WINDOW / 64; w++) {
        uint64_t word = window->matched[w];
        for (; word; word &= word - 1) {
            uint32_t at = w * 64 + (uint32_t)__builtin_ctzll(word);
            if (!passes(top, window->low + at))
                continue;
            if (top->counting || top->search->total_limit)
                count_more(top, 1);
            if ((float)(window->scores[at] + lesser) > top->threshold)
                refine(top, window, window->low + at, window->scores[at]);
        }
    }
}

/* Orders the clauses by what they can give in the window. False when all of them are too little. */
static bool prepare(struct top *top, struct window *window)
{
    double sum = 0;
    for (size_t i = 0; i < window->count; i++) {
        struct clause *clause = window->clauses[i];
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

static void top_any(struct top *top, struct clause *clauses, size_t count,
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
    while (low < segment->limit && !stop(top)) {
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

/* ---- all of several terms ---------------------------------------------------------------------
 */

static void top_every(struct top *top, struct clause *clauses, size_t count)
{
    struct clause *lead = &clauses[0];
    uint32_t bound_to = 0; /* the blocks' bound holds below it */
    uint32_t doc = vz_postings_advance(&lead->p, 0);
    bool bounded = false;
    for (unsigned steps = 0; doc != VZ_TEXT_END; steps++) {
        if (steps % 1024 == 0 && stop(top))
            break;
        if (top->threshold >= 0 && (!bounded || doc >= bound_to)) {
            double most = 0;
            uint32_t last = VZ_TEXT_END - 1;
            for (size_t i = 0; i < count; i++) {
                struct vz_postings *p = &clauses[i].p;
                uint32_t block = vz_postings_find_block(p, doc);
                if (!p->skips) {
                    most += clauses[i].list_max;
                } else if (block < p->block_count) {
                    most += impact_score(clauses[i].weight, p->skips[block].impacts);
                    last = VZ_MIN(last, p->base + p->skips[block].last);
                } else {
                    return; /* it ends before: so do all */
                }
            }
            bounded = true;
            bound_to = last + 1;
            if ((float)most <= top->threshold && last >= doc) {
                bounded = false;
                doc = vz_postings_advance(&lead->p, last + 1);
                continue;
            }
        }
        uint32_t at = doc;
        for (size_t i = 1; i < count && at == doc; i++)
            at = vz_postings_advance(&clauses[i].p, doc);
        if (at != doc) {
            doc = at == VZ_TEXT_END ? at : vz_postings_advance(&lead->p, at);
            continue;
        }
        if (passes(top, doc)) {
            double score = 0;
            for (size_t i = 0; i < count; i++)
                score += posting_score(&clauses[i]);
            if (top->counting || top->search->total_limit)
                count_more(top, 1);
            offer(top, doc, (float)score);
        }
        if (top->search->filter) {
            uint32_t target = next_passing(top, doc + 1);
            doc = target == VZ_TEXT_END ? target : vz_postings_advance(&lead->p, target);
        } else
            doc = vz_postings_next(&lead->p);
    }
}

/* ---- anything else ----------------------------------------------------------------------------
 */

static void top_generic(struct top *top, const struct vz_weight *weight,
                        const struct vz_segment *segment, struct vz_arena *arena)
{
    struct vz_scorer *scorer = vz_scorer_new(weight, segment, arena);
    if (!scorer)
        return;
    /* From one that may be found to the next: what lies between is not looked at. */
    uint32_t doc = vz_scorer_advance(scorer, next_passing(top, 0));
    for (unsigned steps = 0; doc != VZ_TEXT_END; steps++) {
        if (steps % 1024 == 0 && stop(top))
            break;
        uint32_t target = next_passing(top, doc);
        if (target == doc) {
            if (top->counting || top->search->total_limit)
                count_more(top, 1);
            if (top->search->k)
                offer(top, doc, vz_scorer_score(scorer));
            target = next_passing(top, doc + 1);
        }
        if (target == VZ_TEXT_END)
            break;
        doc = vz_scorer_advance(scorer, target);
    }
    vz_scorer_close(scorer);
}

static bool is_plain(const struct vz_text_query *query)
{
    return query->kind == VZ_TEXT_TERM && query->term_count == 1;
}

/* Whether the query is one of terms alone; then they are gathered. */
static bool plain_parts(const struct vz_weight *weight, const struct vz_weight ***parts,
                        size_t *count, struct vz_arena *arena)
{
    const struct vz_text_query *query = weight->query;
    if (is_plain(query)) {
        *parts = vz_arena_alloc(arena, sizeof **parts);
        (*parts)[0] = weight;
        *count = 1;
        return true;
    }
    if (!((query->kind == VZ_TEXT_ANY && query->minimum <= 1) || query->kind == VZ_TEXT_EVERY) ||
        query->part_count == 0)
        return false;
    *parts = vz_arena_alloc(arena, query->part_count * sizeof **parts);
    *count = query->part_count;
    for (size_t i = 0; i < query->part_count; i++) {
        if (!is_plain(query->parts[i]))
            return false;
        (*parts)[i] = weight->parts[i];
    }
    return true;
}

static int rarest_first(const void *a, const void *b)
{
    const struct clause *x = a, *y = b;
    return x->p.doc_freq < y->p.doc_freq ? -1 : x->p.doc_freq > y->p.doc_freq;
}

static void top_segment(struct top *top, const struct vz_weight *weight,
                        const struct vz_weight **parts, size_t count,
                        const struct vz_segment *segment, struct vz_arena *arena)
{
    if (!parts) {
        top_generic(top, weight, segment, arena);
        return;
    }
    struct clause *clauses = vz_try_alloc_aligned(count, sizeof *clauses);
    size_t open = 0;
    bool every = weight->query->kind == VZ_TEXT_EVERY;
    if (!clauses)
        return;
    for (size_t i = 0; i < count; i++) {
        if (open_clause(&clauses[open], parts[i], segment))
            open++;
        else if (every)
            break;
    }
    if (open == (every ? count : VZ_MAX(open, 1))) {
        if (every) {
            qsort(clauses, open, sizeof *clauses, rarest_first);
            top_every(top, clauses, open);
        } else {
            top_any(top, clauses, open, segment);
        }
    }
    for (size_t i = 0; i < open; i++)
        vz_postings_close(&clauses[i].p);
    free(clauses);
}

/* Whether a single term already has more matches than are counted, so that none need be. */
static bool surely_many(const struct vz_weight *weight, const struct vz_weight **parts,
                        size_t count, const struct vz_text_search *search, uint64_t *total)
{
    if (!parts || search->excluded == UINT64_MAX || weight->query->kind == VZ_TEXT_EVERY)
        return false;
    for (size_t i = 0; i < count; i++)
        if (parts[i]->doc_freq > search->excluded &&
            parts[i]->doc_freq - search->excluded > search->total_limit) {
            *total = search->total_limit + 1;
            return true;
        }
    return false;
}

enum vz_status vz_text_top(const struct vz_text_view *view, const struct vz_text_query *query,
                           const struct vz_text_search *search, struct vz_text_hit *hits,
                           struct vz_text_result *result, struct vz_error *err)
{
    struct vz_arena arena = {0};
    struct top top = {.search = search, .hits = hits, .counting = search->total_limit > 0};
    const struct vz_weight **parts = NULL;
    size_t count = 0;
    *result = (struct vz_text_result){0};
    struct vz_weight *weight = vz_weigh(view, query, 1, &arena, err);
    if (!weight) {
        vz_arena_deinit(&arena);
        return VZ_BAD_QUERY;
    }
    if (!plain_parts(weight, &parts, &count, &arena))
        parts = NULL, count = 0;
    uint64_t many = 0, doc_freq = count == 1 ? parts[0]->doc_freq : 0;
    if (top.counting && surely_many(weight, parts, count, search, &many))
        top.counting = false;
    /* One term, every document of it to be found: how many is known. */
    bool known = top.counting && parts && count == 1 && !search->filter;
    if (known)
        top.counting = false;
    set_threshold(&top);
    for (size_t i = 0; i < view->count && !top.stopped; i++)
        top_segment(&top, weight, parts, count, view->segments[i], &arena);
    vz_arena_deinit(&arena);
    if (top.stopped)
        return vz_fail(err, VZ_CANCELLED, "the search was stopped");
    qsort(hits, top.count, sizeof *hits, best_first);
    result->count = top.count;
    result->total = VZ_MAX(top.total, many);
    result->total_exact = top.counting;
    if (known) {
        result->total = doc_freq;
        result->total_exact = true;
    } else if (!top.counting && search->total_limit)
        result->total = search->total_limit + 1;
    return VZ_OK;
}

/* Whether who matches is the union of lists. */
static bool is_union(const struct vz_text_query *query)
{
    if (query->kind == VZ_TEXT_NONE || query->kind == VZ_TEXT_TERM)
        return true;
    if (query->kind != VZ_TEXT_BEST && !(query->kind == VZ_TEXT_ANY && query->minimum <= 1))
        return false;
    for (size_t i = 0; i < query->part_count; i++)
        if (!is_union(query->parts[i]))
            return false;
    return true;
}

/* List by list: no documents are met in step. False when cancelled. */
static bool collect_union(const struct vz_text_view *view, const struct vz_text_query *query,
                          struct vz_bitset *bits, bool (*cancelled)(void *context), void *context)
{
    if (query->kind == VZ_TEXT_TERM)
        for (size_t i = 0; i < query->term_count; i++) {
            if (cancelled && cancelled(context))
                return false;
            vz_text_term_docs(view, query->field, query->terms[i], bits);
        }
    for (size_t i = 0; i < query->part_count && query->kind != VZ_TEXT_TERM; i++)
        if (!collect_union(view, query->parts[i], bits, cancelled, context))
            return false;
    return true;
}

enum vz_status vz_text_collect(const struct vz_text_view *view, const struct vz_text_query *query,
                               struct vz_bitset *bits, float *scores,
                               bool (*cancelled)(void *context), void *context,
                               struct vz_error *err)
{
    struct vz_arena arena = {0};
    if (!scores && is_union(query))
        return collect_union(view, query, bits, cancelled, context)
                   ? VZ_OK
                   : vz_fail(err, VZ_CANCELLED, "the search was stopped");
    struct vz_weight *weight = vz_weigh(view, query, 1, &arena, err);
    enum vz_status status = weight ? VZ_OK : VZ_BAD_QUERY;
    for (size_t i = 0; i < view->count && status == VZ_OK; i++) {
        struct vz_scorer *scorer = vz_scorer_new(weight, view->segments[i], &arena);
        if (!scorer)
            continue;
        uint32_t doc = vz_scorer_advance(scorer, 0);
        for (unsigned steps = 0; doc < bits->bits; steps++) {
            if (steps % 4096 == 0 && cancelled && cancelled(context)) {
                status = vz_fail(err, VZ_CANCELLED, "the search was stopped");
                break;
            }
            vz_bitset_set(bits, doc);
            if (scores)
                scores[doc] = vz_scorer_score(scorer);
            doc = vz_scorer_advance(scorer, doc + 1);
        }
        vz_scorer_close(scorer);
    }
    vz_arena_deinit(&arena);
    return status;
}
