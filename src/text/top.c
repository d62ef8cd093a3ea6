/* The best k of a query, and all of it.
 *
 * Four ways through a segment: any of several single terms, be it in several fields (or one), all
 * of several, an exact phrase (top_any.c, top_fields.c, top_every.c, top_phrase.c), and everything
 * else document by document, here.
 *
 * Ties go to the lower docno, which came first. Nothing is left out before `total_limit` matches
 * are counted; where that can be done apart (count.h) it is, and documents are left out from the
 * first on. */
#include "text/count.h"
#include "text/top_parts.h"

#include <math.h>
#include <stdlib.h>

/* ---- the best k -------------------------------------------------------------------------------
 */

static bool worse(const struct vz_text_hit *a, const struct vz_text_hit *b)
{
    return a->score != b->score ? a->score < b->score : a->docno > b->docno;
}

static void sift_down(struct vz_top *top, size_t at)
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

static void set_threshold(struct vz_top *top)
{
    bool full = top->count == top->search->k;
    top->worst = full ? (top->search->k ? top->hits[0].score : INFINITY) : -1;
    top->threshold = top->counting ? -1 : top->worst > top->floor ? top->worst : top->floor;
    if (top->again && top->threshold >= 0)
        top->threshold = nextafterf(top->threshold, -1);
    if (top->threshold > 0)
        top->threshold -= top->slack;
}

void vz_top_mode(struct vz_top *top, bool again, float slack)
{
    top->again = again;
    top->slack = slack;
    set_threshold(top);
}

void vz_top_floor(struct vz_top *top, float score)
{
    top->floor = nextafterf(score, -1); /* who has just this is to be found */
    set_threshold(top);
}

static void put(struct vz_top *top, uint32_t docno, float score)
{
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

void vz_top_offer(struct vz_top *top, uint32_t docno, float score)
{
    if (score > top->worst && score > top->threshold)
        put(top, docno, score);
}

void vz_top_offer_again(struct vz_top *top, uint32_t docno, float score, bool known)
{
    struct vz_text_hit hit = {docno, score};
    for (size_t i = 0; i < top->count && known; i++)
        if (top->hits[i].docno == docno) {
            if (score > top->hits[i].score) {
                top->hits[i].score = score;
                sift_down(top, i);
                set_threshold(top);
            }
            return;
        }
    if (top->count < top->search->k || (top->count && worse(&top->hits[0], &hit)))
        put(top, docno, score);
}

void vz_top_count(struct vz_top *top, uint64_t matches)
{
    top->total += matches;
    if (top->counting && top->total > top->search->total_limit) {
        top->counting = false;
        set_threshold(top);
    }
}

uint32_t vz_top_next_passing(const struct vz_top *top, uint32_t docno)
{
    const struct vz_bitset *filter = top->search->filter;
    if (!filter || docno == VZ_TEXT_END)
        return docno;
    size_t next = docno < filter->bits ? vz_bitset_next(filter, docno) : filter->bits;
    return next < filter->bits ? (uint32_t)next : VZ_TEXT_END;
}

bool vz_top_stop(struct vz_top *top)
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

float vz_impact_score(const struct vz_weight *weight, const struct vz_impact *impacts)
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

bool vz_clause_open(struct vz_clause *clause, const struct vz_weight *weight,
                    const struct vz_segment *segment)
{
    const struct vz_text_query *query = weight->query;
    clause->weight = weight;
    clause->bound_block = 0;
    clause->list_max = 0;
    if (!vz_postings_open(&clause->p, segment, query->field, query->terms[0]))
        return false;
    if (clause->p.has_impacts) {
        clause->list_max = vz_impact_score(weight, clause->p.head);
        return true;
    }
    /* A short list: look at all of it, and stand on its start again. */
    struct vz_postings *p = &clause->p;
    for (vz_postings_next(p); p->doc != VZ_TEXT_END; vz_postings_next(p))
        clause->list_max = fmaxf(clause->list_max, vz_clause_score(clause));
    p->at = 0;
    p->doc = p->docs[0];
    p->sparse_at = 0;
    return true;
}

/* ---- anything else ----------------------------------------------------------------------------
 */

static void top_generic(struct vz_top *top, const struct vz_weight *weight,
                        const struct vz_segment *segment, struct vz_arena *arena)
{
    struct vz_scorer *scorer = vz_scorer_new(weight, segment, arena);
    if (!scorer)
        return;
    /* From one that may be found to the next: what lies between is not looked at. */
    uint32_t doc = vz_scorer_advance(scorer, vz_top_next_passing(top, 0));
    for (unsigned steps = 0; doc != VZ_TEXT_END; steps++) {
        if (steps % 1024 == 0 && vz_top_stop(top))
            break;
        uint32_t target = vz_top_next_passing(top, doc);
        if (target == doc) {
            if (top->counting)
                vz_top_count(top, 1);
            float score = top->search->k ? vz_scorer_score(scorer) : 0;
            if (top->search->k) /* what is no number, of weights without end, has no order */
                vz_top_offer(top, doc, isnan(score) ? 0 : score);
            target = vz_top_next_passing(top, doc + 1);
        }
        if (target == VZ_TEXT_END)
            break;
        doc = vz_scorer_advance(scorer, target);
    }
    vz_scorer_close(scorer);
}

/* Whether all of several single terms must be there; then they are gathered. */
static bool every_part(const struct vz_weight *weight, struct vz_top_plan *plan,
                       struct vz_arena *arena)
{
    const struct vz_text_query *query = weight->query;
    if (query->kind != VZ_TEXT_EVERY || query->part_count == 0)
        return false;
    *plan = (struct vz_top_plan){.leaf_count = query->part_count};
    plan->leaves = vz_arena_alloc(arena, query->part_count * sizeof *plan->leaves);
    for (size_t i = 0; i < query->part_count; i++) {
        if (query->parts[i]->kind != VZ_TEXT_TERM || query->parts[i]->term_count != 1)
            return false;
        plan->leaves[i] = weight->parts[i];
    }
    return true;
}

static void top_segment(struct vz_top *top, const struct vz_weight *weight,
                        const struct vz_top_plan *plan, const struct vz_segment *segment,
                        struct vz_arena *arena)
{
    if (plan->pass_count)
        vz_top_fields(top, weight, plan, segment, arena);
    else if (plan->leaf_count)
        vz_top_every(top, plan->leaves, plan->leaf_count, segment);
    else if (!vz_top_phrase(top, weight, segment, arena))
        top_generic(top, weight, segment, arena);
}

/* Whether a single term already has more matches than are counted, so that none need be. */
static bool surely_many(const struct vz_weight *weight, const struct vz_top_plan *plan,
                        const struct vz_text_search *search, uint64_t *total)
{
    if (search->excluded == UINT64_MAX || weight->query->kind == VZ_TEXT_EVERY)
        return false;
    for (size_t i = 0; i < plan->leaf_count; i++)
        if (plan->leaves[i]->doc_freq > search->excluded &&
            plan->leaves[i]->doc_freq - search->excluded > search->total_limit) {
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
    struct vz_top top = {
        .search = search, .hits = hits, .floor = -1, .counting = search->total_limit > 0};
    struct vz_top_plan plan;
    *result = (struct vz_text_result){0};
    struct vz_weight *weight = vz_weigh(view, query, 1, &arena, err);
    if (!weight) {
        vz_arena_deinit(&arena);
        return VZ_BAD_QUERY;
    }
    if (!every_part(weight, &plan, &arena) && !vz_top_plan(weight, &arena, &plan))
        plan = (struct vz_top_plan){0};
    bool plain = plan.leaf_count > 0, every = query->kind == VZ_TEXT_EVERY;
    uint64_t many = 0, doc_freq = plan.leaf_count == 1 ? plan.leaves[0]->doc_freq : 0;
    if (top.counting && surely_many(weight, &plan, search, &many))
        top.counting = false;
    uint64_t apart = 0;
    bool counted = top.counting && plain && search->filter &&
                   vz_count_plain(view, plan.leaves, plan.leaf_count, every, search->filter,
                                  search->total_limit, &apart);
    if (counted)
        top.counting = false;
    /* One term, every document of it to be found: how many is known. */
    bool known = top.counting && plan.leaf_count == 1 && !search->filter;
    if (known)
        top.counting = false;
    bool exact = false;
    if (top.counting && plain && !every) {
        vz_top_total(&top, view, plan.leaves, plan.leaf_count);
        exact = top.counting;
        top.counting = false;
    }
    set_threshold(&top);
    for (size_t i = 0; i < view->count && !top.stopped; i++)
        top_segment(&top, weight, &plan, view->segments[i], &arena);
    vz_arena_deinit(&arena);
    if (top.stopped)
        return vz_fail(err, VZ_CANCELLED, "the search was stopped");
    qsort(hits, top.count, sizeof *hits, best_first);
    result->count = top.count;
    result->total = VZ_MAX(top.total, many);
    result->total_exact = top.counting || exact;
    if (known || (counted && apart <= search->total_limit)) {
        result->total = known ? doc_freq : apart;
        result->total_exact = true;
    } else if (!result->total_exact && search->total_limit)
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
