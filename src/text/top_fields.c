/* The best k of words in several fields: any-of searches (top_any.c), one after the other, into one
 * heap.
 *
 * A query of single terms is a tree of sums and of bests ("the best part's score and `tie` times
 * the others'"). What it comes to:
 *
 *  - any of terms, be it in several fields: one search over all its terms;
 *  - the best of parts, tie 0 (multi_match's best_fields): who is among the k best has its score
 *    from one part, and is among the k best of that part. So each part is searched by itself, with
 *    the threshold that the ones before left;
 *  - the best of parts with a tie: max + tie * (sum - max) is the largest over the parts f of
 *    S_f + tie * (the sum of the others), each of them a sum of terms with weights: again a search
 *    for each part;
 *  - the best of parts that want all of their terms (operator and): all-of searches (top_every.c)
 * in the same way. Matches are counted as they are met, each once;
 *  - bests below a sum (cross_fields): one search for the sum of all terms, which is a bound.
 *
 *  - fields as if they were one (BM25F): a term's score there is not over the sum of what it would
 * be in each field alone, as scores rise ever less with freq, with that field's length for that of
 *    all, which is not shorter. So it is bounded by terms with a table of inverse lengths of their
 * own.
 *
 * Where the sum over a search's terms is the score of the query's part, to the bit (`whole`), it is
 * offered as it is, and the heap keeps the highest of a document's scores. Else it is a bound but
 * for rounding: a document whose bound is over the threshold is judged once, by a scorer that
 * stands beside the search (scorer.c), so that scores are those that a walk over all matches gives.
 *
 * Rejected: one search with bounds that are trees, too. Its lists are cut by the sum of the parts'
 * bounds as soon as fields take turns in being essential, and top_any.c's ways past single words
 * (least_freq, meet) do not bear it. */
#include "text/top_parts.h"

#include <math.h>
#include <stdlib.h>

/* Of the largest sum: a term's score is weight - weight / (1 + x), which is rounded as the weight
 * is. */
#define SLACK 0x1p-19f
#define MOST_PARTS 1024 /* of all searches together, where there are several */
/* Of a plan: a leaf takes some two KiB, and words times fields may be a million of them. With more
 * the documents are walked, where fields that are one are a weight a word. */
#define MOST_LEAVES 4096
#define MOST_WEIGHT 0x1p20f /* of a field among some that are one: lengths and freqs times it */

/* ---- what a query comes to ---------------------------------------------------------------------
 */

struct gather {
    struct vz_arena *arena;
    const struct vz_weight **parts;
    size_t count, capacity;
    bool above;
};

static void gather_leaf(struct gather *g, const struct vz_weight *weight, float scale)
{
    if (g->count == g->capacity) {
        size_t capacity = VZ_MAX(g->capacity * 2, (size_t)16);
        const struct vz_weight **grown = vz_arena_alloc(g->arena, capacity * sizeof *grown);
        if (g->count)
            memcpy(grown, g->parts, g->count * sizeof *grown);
        g->parts = grown;
        g->capacity = capacity;
    }
    if (scale != 1) {
        struct vz_weight *copy = vz_arena_alloc(g->arena, sizeof *copy);
        *copy = *weight;
        copy->bm25.weight *= scale;
        copy->constant *= scale;
        weight = copy;
    }
    g->parts[g->count++] = weight;
}

/* What a term gives in one field of several that are one; see the top. */
static struct vz_weight *combined_leaf(struct gather *g, const struct vz_weight *weight, size_t f,
                                       size_t t)
{
    const struct vz_text_query *query = weight->query;
    const struct vz_text_field_weight *field = &query->fields[f];
    struct vz_text_query *term = vz_arena_zalloc(g->arena, sizeof *term);
    struct vz_weight *leaf = vz_arena_alloc(g->arena, sizeof *leaf);
    bool norms = weight->field.flags & VZ_TEXT_NORMS;
    *term = (struct vz_text_query){.kind = VZ_TEXT_TERM,
                                   .boost = 1,
                                   .field = field->id,
                                   .terms = &query->terms[t],
                                   .term_count = 1};
    *leaf = *weight;
    leaf->query = term;
    leaf->doc_freq = query->field_count * query->term_count == 1 ? weight->doc_freq : 0;
    for (unsigned norm = 0; norm < 256; norm++) {
        float length = field->weight * (float)vz_norm_decode((unsigned char)norm);
        unsigned char all = vz_norm_encode((uint32_t)fminf(length, (float)(1u << 30)));
        leaf->bm25.inverse[norm] = field->weight * weight->bm25.inverse[norms ? all : 1];
    }
    return leaf;
}

/* All terms of a tree. False when there is something else in it, there are too many, or a sum is no
 * bound. */
static bool gather(struct gather *g, const struct vz_weight *weight, float scale)
{
    const struct vz_text_query *query = weight->query;
    if (query->kind == VZ_TEXT_NONE)
        return true;
    if (query->kind == VZ_TEXT_TERM && query->term_count == 1) {
        if (g->count >= MOST_LEAVES)
            return false;
        gather_leaf(g, weight, scale);
        return true;
    }
    if (query->kind == VZ_TEXT_COMBINED) {
        if (query->field_count * query->term_count > MOST_LEAVES - g->count)
            return false;
        for (size_t i = 0; i < query->field_count; i++)
            if (!(query->fields[i].weight <= MOST_WEIGHT))
                return false;
        g->above = true;
        for (size_t i = 0; i < query->field_count * query->term_count; i++)
            gather_leaf(g, combined_leaf(g, weight, i / query->term_count, i % query->term_count),
                        scale);
        return true;
    }
    if (!(query->kind == VZ_TEXT_ANY && query->minimum <= 1) &&
        !(query->kind == VZ_TEXT_BEST && query->tie >= 0 && query->tie <= 1))
        return false;
    for (size_t i = 0; i < query->part_count; i++)
        if (!gather(g, weight->parts[i], scale))
            return false;
    return true;
}

/* Whether a part's score is the sum over its terms, rounded once. */
static bool is_flat(const struct vz_text_query *query)
{
    if (query->kind != VZ_TEXT_ANY)
        return query->kind == VZ_TEXT_TERM;
    for (size_t i = 0; i < query->part_count; i++)
        if (query->parts[i]->kind != VZ_TEXT_TERM)
            return false;
    return true;
}

static void add_pass(struct vz_top_plan *plan, const struct gather *g, bool whole)
{
    struct vz_top_pass *pass = &plan->passes[plan->pass_count++];
    *pass = (struct vz_top_pass){
        .parts = g->parts, .count = g->count, .whole = whole, .above = g->above};
    for (size_t i = 0; i < g->count; i++)
        pass->most +=
            g->parts[i]->query->constant ? g->parts[i]->constant : g->parts[i]->bm25.weight;
}

static int most_first(const void *a, const void *b)
{
    const struct vz_top_pass *x = a, *y = b;
    return x->most > y->most ? -1 : x->most < y->most;
}

/* All of several terms, or one: gathered. */
static bool gather_every(struct gather *g, const struct vz_weight *weight)
{
    const struct vz_text_query *query = weight->query;
    if (query->kind == VZ_TEXT_TERM && query->term_count == 1) {
        gather_leaf(g, weight, 1);
        return true;
    }
    if (query->kind != VZ_TEXT_EVERY || query->part_count == 0)
        return false;
    for (size_t i = 0; i < query->part_count; i++) {
        if (query->parts[i]->kind != VZ_TEXT_TERM || query->parts[i]->term_count != 1)
            return false;
        gather_leaf(g, weight->parts[i], 1);
    }
    return true;
}

/* The best of all-of searches, as of a multi_match with operator and. */
static bool plan_best_every(const struct vz_weight *weight, struct vz_arena *arena,
                            struct vz_top_plan *plan)
{
    const struct vz_text_query *query = weight->query;
    *plan = (struct vz_top_plan){0};
    if (query->kind != VZ_TEXT_BEST || query->tie != 0 || query->part_count > MOST_PARTS)
        return false;
    plan->passes = vz_arena_alloc(arena, (query->part_count + 1) * sizeof *plan->passes);
    for (size_t i = 0; i < query->part_count; i++) {
        struct gather g = {.arena = arena};
        if (query->parts[i]->kind == VZ_TEXT_NONE)
            continue;
        if (!gather_every(&g, weight->parts[i])) {
            plan->pass_count = 0;
            return false;
        }
        add_pass(plan, &g, true);
        plan->passes[plan->pass_count - 1].every = true;
    }
    qsort(plan->passes, plan->pass_count, sizeof *plan->passes, most_first);
    return plan->pass_count > 0;
}

/* A search for each part of a best. */
static bool plan_best(const struct vz_weight *weight, struct vz_arena *arena,
                      struct vz_top_plan *plan)
{
    const struct vz_text_query *query = weight->query;
    size_t sum = 0;
    plan->passes = vz_arena_alloc(arena, query->part_count * sizeof *plan->passes);
    for (size_t i = 0; i < query->part_count; i++) {
        struct gather g = {.arena = arena};
        if (!gather(&g, weight->parts[i], 1))
            return false;
        if (g.count == 0)
            continue;
        for (size_t other = 0; other < query->part_count && query->tie != 0; other++)
            if (other != i && !gather(&g, weight->parts[other], query->tie))
                return false;
        if ((sum += g.count) > MOST_PARTS)
            return false;
        add_pass(plan, &g, query->tie == 0 && is_flat(query->parts[i]));
    }
    qsort(plan->passes, plan->pass_count, sizeof *plan->passes, most_first);
    return true;
}

/* Boosts that are finite make weights that are not: no sum is a bound of anything then. */
static bool is_bounded(const struct vz_top_plan *plan)
{
    for (size_t i = 0; i < plan->pass_count; i++)
        if (!isfinite(plan->passes[i].most))
            return false;
    return true;
}

static bool make_plan(const struct vz_weight *weight, struct vz_arena *arena,
                      struct vz_top_plan *plan)
{
    const struct vz_text_query *query = weight->query;
    struct gather g = {.arena = arena};
    *plan = (struct vz_top_plan){0};
    if (!gather(&g, weight, 1))
        return plan_best_every(weight, arena, plan);
    if (g.count == 0)
        return false;
    plan->leaves = g.parts;
    plan->leaf_count = g.count;
    if (query->kind == VZ_TEXT_BEST && query->tie < 1 && query->part_count > 1)
        return plan_best(weight, arena, plan);
    plan->passes = vz_arena_alloc(arena, sizeof *plan->passes);
    add_pass(plan, &g, is_flat(query));
    return true;
}

bool vz_top_plan(const struct vz_weight *weight, struct vz_arena *arena, struct vz_top_plan *plan)
{
    return make_plan(weight, arena, plan) && is_bounded(plan);
}

/* ---- what is found ----------------------------------------------------------------------------
 */

#define JUDGED 0x80000000u /* docnos are less */

/* Of one segment. */
struct vz_judge {
    const struct vz_weight *weight;
    const struct vz_segment *segment;
    struct vz_arena *arena;
    struct vz_scorer *scorer; /* of the whole query; NULL until one is judged */
    bool whole, several;
    uint32_t *met; /* documents + 1 that were offered or judged, hashed; only with several passes */
    size_t met_count, met_size;
    uint64_t *counted; /* documents of the segment, a bit each; NULL until one is */
};

/* The place of a document, or where it would be. */
static uint32_t *place_of(const struct vz_judge *judge, uint32_t docno)
{
    size_t at = docno * 0x9E3779B1u >> 8;
    for (;; at++) {
        uint32_t *place = &judge->met[at & (judge->met_size - 1)];
        if (*place == 0 || (*place & ~JUDGED) == docno + 1)
            return place;
    }
}

static void grow(struct vz_judge *judge)
{
    struct vz_judge before = *judge;
    judge->met_size = VZ_MAX(before.met_size * 2, (size_t)256);
    judge->met = vz_calloc(judge->met_size, sizeof *judge->met);
    for (size_t i = 0; i < before.met_size; i++)
        if (before.met[i])
            *place_of(judge, (before.met[i] & ~JUDGED) - 1) = before.met[i];
    free(before.met);
}

void vz_top_met(struct vz_top *top, uint32_t docno)
{
    struct vz_judge *judge = top->judge;
    if (!top->counting)
        return;
    if (judge && judge->several) {
        size_t at = docno - judge->segment->base;
        if (!judge->counted)
            judge->counted = vz_calloc((judge->segment->limit - judge->segment->base) / 64 + 1,
                                       sizeof *judge->counted);
        if (judge->counted[at / 64] >> at % 64 & 1)
            return;
        judge->counted[at / 64] |= 1ull << at % 64;
    }
    vz_top_count(top, 1);
}

static bool score_whole(struct vz_judge *judge, uint32_t docno, float *score)
{
    if (!judge->scorer)
        judge->scorer = vz_scorer_new(judge->weight, judge->segment, judge->arena);
    if (!judge->scorer || vz_scorer_advance(judge->scorer, docno) != docno)
        return false; /* a damaged list */
    *score = vz_scorer_score(judge->scorer);
    return true;
}

void vz_judge_found(struct vz_top *top, uint32_t docno, float score)
{
    struct vz_judge *judge = top->judge;
    bool known = false;
    if (judge->several) {
        if (judge->met_count * 2 >= judge->met_size)
            grow(judge);
        uint32_t *place = place_of(judge, docno);
        if (*place & JUDGED)
            return;
        known = *place != 0;
        judge->met_count += !known;
        *place = (docno + 1) | (judge->whole ? 0 : JUDGED);
    }
    if (!judge->whole && !score_whole(judge, docno, &score))
        return;
    if (judge->several)
        vz_top_offer_again(top, docno, score, known);
    else
        vz_top_offer(top, docno, score);
}

/* ---- a segment --------------------------------------------------------------------------------
 */

static void run_pass(struct vz_top *top, const struct vz_top_pass *pass,
                     const struct vz_segment *segment)
{
    struct vz_clause *clauses = vz_try_alloc_aligned(pass->count, sizeof *clauses);
    size_t open = 0;
    for (size_t i = 0; clauses && i < pass->count; i++)
        open += vz_clause_open(&clauses[open], pass->parts[i], segment);
    if (open)
        vz_top_any(top, clauses, open, segment);
    for (size_t i = 0; i < open; i++)
        vz_postings_close(&clauses[i].p);
    free(clauses);
}

void vz_top_fields(struct vz_top *top, const struct vz_weight *weight,
                   const struct vz_top_plan *plan, const struct vz_segment *segment,
                   struct vz_arena *arena)
{
    struct vz_judge judge = {
        .weight = weight, .segment = segment, .arena = arena, .several = plan->pass_count > 1};
    if (top->search->k == 0 && !top->counting)
        return;
    for (size_t i = 0; i < plan->pass_count && !top->stopped; i++) {
        const struct vz_top_pass *pass = &plan->passes[i];
        judge.whole = pass->whole;
        top->above = pass->above;
        top->judge = judge.several || !judge.whole ? &judge : NULL;
        vz_top_mode(top, i > 0, pass->whole ? 0 : pass->most * SLACK);
        if (pass->every)
            vz_top_every(top, pass->parts, pass->count, segment);
        else
            run_pass(top, pass, segment);
        vz_scorer_close(judge.scorer); /* it only goes forward */
        judge.scorer = NULL;
    }
    top->judge = NULL;
    vz_top_mode(top, false, 0);
    free(judge.met);
    free(judge.counted);
}
