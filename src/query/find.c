/* Who matches and who is best: knn first, then each target's matches into one heap.
 *
 * What a search costs. A knn clause alone costs its walk: its hits are a short list, and nothing as
 * long as the index is touched. A query whose matches all score the same (match_all, filters) is
 * counted by population count and gives its first documents without looking at the others. Texts
 * are asked for their best alone. Only other scores that differ, or a sort by a field, look at
 * every match.
 *
 * How knn and query meet: a document's score is the sum of every knn clause it was found by and of
 * the query's if it matches; the matches are the union. The k nearest are chosen over all targets
 * together, as one clause's list, before the query is looked at.
 */
#include "query/collapse.h"
#include "query/fusion.h"
#include "query/retriever.h"

#include "base/clock.h"
#include "text/score.h"

#include <math.h>
#include <stdlib.h>

#define LATE_EVERY 16384 /* values of a sort that are read */
#define SPARSE 512       /* a filter passes fewer than one of so many: each is asked alone */

/* ---- knn ------------------------------------------------------------------------------------- */

int vz_scored_compare(const void *a, const void *b)
{
    const struct vz_scored *x = a, *y = b;
    if (x->score != y->score)
        return x->score > y->score ? -1 : 1;
    if (x->target != y->target)
        return x->target < y->target ? -1 : 1;
    return x->docno < y->docno ? -1 : x->docno > y->docno;
}

int vz_scored_compare_place(const void *a, const void *b)
{
    const struct vz_scored *x = a, *y = b;
    if (x->target != y->target)
        return x->target < y->target ? -1 : 1;
    return x->docno < y->docno ? -1 : x->docno > y->docno;
}

/* Appends a clause's k nearest over all targets to run->nearest. */
static enum vz_status run_clause(struct vz_run *run, const struct vz_knn_clause *clause,
                                 struct vz_error *err)
{
    struct vz_scored **found = vz_arena_alloc(run->arena, (run->target_count + 1) * sizeof(*found));
    size_t *counts = vz_arena_zalloc(run->arena, (run->target_count + 1) * sizeof(*counts));
    size_t sum = 0;
    for (size_t t = 0; t < run->target_count; t++) {
        enum vz_status status =
            vz_knn_eval(&run->targets[t].eval, clause, &found[t], &counts[t], err);
        if (status != VZ_OK)
            return status;
        for (size_t i = 0; i < counts[t]; i++)
            found[t][i].target = (uint32_t)t;
        sum += counts[t];
    }
    size_t before = run->nearest_count;
    if (before + sum > run->nearest_capacity) {
        run->nearest_capacity = VZ_MAX(run->nearest_capacity * 2, before + sum);
        struct vz_scored *grown =
            vz_arena_alloc(run->arena, run->nearest_capacity * sizeof(*grown));
        if (before)
            memcpy(grown, run->nearest, before * sizeof(*grown));
        run->nearest = grown;
    }
    struct vz_scored *all = run->nearest;
    size_t count = before;
    for (size_t t = 0; t < run->target_count; t++) {
        if (counts[t])
            memcpy(all + count, found[t], counts[t] * sizeof(*all));
        count += counts[t];
    }
    if (run->target_count > 1 && sum)
        qsort(all + before, sum, sizeof(*all), vz_scored_compare);
    run->nearest_count = before + VZ_MIN(sum, (size_t)clause->k);
    return VZ_OK;
}

/* Vectors that are to be made from texts, pictures or other documents. */
enum vz_status vz_target_embed(const struct vz_search *search, const struct vz_target *target,
                               struct vz_error *err)
{
    for (size_t i = 0; i < search->built_count + search->question_count; i++) {
        struct vz_knn_clause *clause =
            i < search->built_count ? search->built[i] : search->questions[i - search->built_count];
        enum vz_status status =
            vz_knn_embed(search, vz_index_name(target->index), target->eval.mapping, clause, err);
        if (status != VZ_OK)
            return status;
    }
    return VZ_OK;
}

static enum vz_status run_knn(struct vz_run *run, struct vz_error *err)
{
    for (size_t i = 0; i < run->search->knn_count; i++) {
        enum vz_status status = run_clause(run, run->search->knn[i], err);
        if (status != VZ_OK)
            return status;
    }
    if (run->nearest_count == 0)
        return VZ_OK;
    qsort(run->nearest, run->nearest_count, sizeof(*run->nearest), vz_scored_compare_place);
    size_t kept = 0;
    for (size_t i = 1; i < run->nearest_count; i++) {
        if (vz_scored_compare_place(&run->nearest[kept], &run->nearest[i]) == 0)
            run->nearest[kept].score += run->nearest[i].score;
        else
            run->nearest[++kept] = run->nearest[i];
    }
    run->nearest_count = kept + 1;
    return VZ_OK;
}

/* ---- matches of one target ------------------------------------------------------------------- */

/* Documents in ascending order: of a docset, of knn hits, or of both. */
struct matches {
    struct vz_docset set;
    struct vz_scored *nearest;
    size_t nearest_count;
};

static uint64_t count_matches(const struct matches *matches, struct vz_eval *eval)
{
    uint64_t count = vz_docset_count(&matches->set, eval);
    for (size_t i = 0; i < matches->nearest_count; i++)
        count += !vz_docset_has(&matches->set, matches->nearest[i].docno);
    return count;
}

static float score_of(const struct vz_docset *set, uint32_t docno)
{
    return set->scores ? set->scores[docno] : set->constant;
}

/* Keeps knn hits for which the set has the document. */
static void filter_nearest(struct matches *matches, const struct vz_docset *by)
{
    size_t kept = 0;
    for (size_t i = 0; i < matches->nearest_count; i++)
        if (vz_docset_has(by, matches->nearest[i].docno))
            matches->nearest[kept++] = matches->nearest[i];
    matches->nearest_count = kept;
}

/* terminate_after: only the first matches in docno order. True when any was left out. */
static bool cut_matches(struct matches *matches, struct vz_eval *eval, uint64_t limit)
{
    if (count_matches(matches, eval) <= limit)
        return false;
    vz_docset_materialize(&matches->set, eval);
    uint64_t seen = 0;
    size_t near = 0;
    uint32_t docno = 0;
    while (seen < limit) {
        uint32_t in_set = vz_docset_next(&matches->set, eval, docno);
        uint32_t in_near =
            near < matches->nearest_count ? matches->nearest[near].docno : eval->limit;
        near += in_near <= in_set;
        docno = VZ_MIN(in_set, in_near) + 1;
        seen++;
    }
    matches->nearest_count = near;
    for (size_t i = vz_bitset_next(&matches->set.bits, docno); i < eval->limit;
         i = vz_bitset_next(&matches->set.bits, i + 1))
        vz_bitset_clear(&matches->set.bits, i);
    return true;
}

/* Before the post_filter, which is what it is for; min_score counts. */
static enum vz_status aggregate(struct vz_run *run, uint32_t t, struct matches *matches,
                                struct vz_error *err)
{
    struct vz_eval *eval = &run->targets[t].eval;
    const struct vz_docset *set = &matches->set;
    struct vz_docset passing = {0};
    if (!run->search->has_min_score)
        return vz_agg_collect(&run->aggs, eval, set, matches->nearest, matches->nearest_count, err);
    vz_docset_begin(&passing, eval);
    passing.scores = vz_calloc((size_t)eval->limit + 1, sizeof *passing.scores);
    size_t near = 0;
    for (uint32_t d = 0; d < eval->limit; d++) {
        float score = vz_docset_has(set, d) ? score_of(set, d) : 0;
        bool match = vz_docset_has(set, d) && vz_snapshot_live(eval->snap, d);
        while (near < matches->nearest_count && matches->nearest[near].docno < d)
            near++;
        if (near < matches->nearest_count && matches->nearest[near].docno == d) {
            match = true;
            score += matches->nearest[near].score;
        }
        if (match && score >= run->search->min_score) {
            vz_bitset_set(&passing.bits, d);
            passing.scores[d] = score;
        }
    }
    enum vz_status status = vz_agg_collect(&run->aggs, eval, &passing, NULL, 0, err);
    vz_docset_deinit(&passing);
    return status;
}

/* indices_boost */
static void boost_matches(struct matches *matches, float boost)
{
    struct vz_docset *set = &matches->set;
    if (boost == 1)
        return;
    set->constant *= boost;
    if (set->scores)
        for (size_t i = vz_bitset_next(&set->bits, 0); i < set->bits.bits;
             i = vz_bitset_next(&set->bits, i + 1))
            set->scores[i] *= boost;
    for (size_t i = 0; i < matches->nearest_count; i++)
        matches->nearest[i].score *= boost;
}

/* A target's part of what knn found. */
static void take_nearest(const struct vz_run *run, uint32_t t, struct matches *matches)
{
    size_t first = 0;
    *matches = (struct matches){0};
    if (run->nearest_count == 0)
        return;
    while (first < run->nearest_count && run->nearest[first].target < t)
        first++;
    matches->nearest = run->nearest + first;
    while (first + matches->nearest_count < run->nearest_count &&
           matches->nearest[matches->nearest_count].target == t)
        matches->nearest_count++;
}

static enum vz_status find_matches(struct vz_run *run, uint32_t t, struct matches *matches,
                                   struct vz_error *err)
{
    const struct vz_search *search = run->search;
    struct vz_eval *eval = &run->targets[t].eval;
    take_nearest(run, t, matches);
    if (search->query) {
        enum vz_status status =
            vz_node_eval(eval, search->query, run->need_scores, &matches->set, err);
        if (status != VZ_OK)
            return status;
    } else if (search->knn_count == 0)
        matches->set = (struct vz_docset){.kind = VZ_SET_ALL, .constant = 1};
    vz_docset_settle(&matches->set, eval);
    boost_matches(matches, run->targets[t].boost);
    if (eval->alias)
        vz_docset_and(&matches->set, &run->targets[t].alias);
    if (search->aggs) {
        enum vz_status status = aggregate(run, t, matches, err);
        if (status != VZ_OK)
            return status;
    }
    if (search->post_filter) {
        struct vz_docset post;
        struct vz_node *filter = search->post_filter;
        struct vz_within within = {&matches->set, eval->within};
        if (matches->nearest_count == 0)
            eval->within = &within;
        enum vz_status status =
            vz_filters_eval(eval, (struct vz_node_list){&filter, 1}, &post, err);
        eval->within = within.outer;
        if (status != VZ_OK)
            return status;
        vz_docset_and(&matches->set, &post);
        filter_nearest(matches, &post);
        vz_docset_deinit(&post);
    }
    if (search->terminate_after)
        run->terminated_early |= cut_matches(matches, eval, search->terminate_after);
    return VZ_OK;
}

/* ---- collecting ------------------------------------------------------------------------------ */

/* Every match in order, each with its own score. */
static enum vz_status collect_each(struct vz_run *run, uint32_t t, struct matches *matches,
                                   bool offer, struct vz_error *err)
{
    const struct vz_search *search = run->search;
    struct vz_eval *eval = &run->targets[t].eval;
    struct vz_sort_reader *readers = run->bound[t].readers;
    bool in_doc_order = search->sort_count && search->sort[0].kind == VZ_SORT_DOC &&
                        !search->sort[0].descending && !search->has_min_score;
    bool kept_any = false, may_fail = false;
    for (size_t i = 0; i < run->bound[t].reader_count; i++)
        may_fail |= readers[i].failure != NULL;
    enum vz_status status = VZ_OK;
    uint64_t counted = 0;
    size_t near = 0;
    uint32_t in_set = vz_docset_next(&matches->set, eval, 0);
    for (;;) {
        uint32_t in_near =
            near < matches->nearest_count ? matches->nearest[near].docno : eval->limit;
        uint32_t docno = VZ_MIN(in_set, in_near);
        if (docno >= eval->limit)
            break;
        float score = 0;
        if (docno == in_near)
            score += matches->nearest[near++].score;
        if (docno == in_set) {
            score += score_of(&matches->set, docno);
            in_set = vz_docset_next(&matches->set, eval, docno + 1);
        }
        if (search->has_min_score && score < search->min_score)
            continue;
        if (counted++ % LATE_EVERY == LATE_EVERY - 1 && vz_eval_late(eval)) {
            status = vz_fail(err, VZ_CANCELLED, "the search took too long");
            break;
        }
        if (!offer)
            continue;
        bool kept = vz_collector_offer(&run->collector, readers, t, docno, score);
        kept_any |= kept;
        if (in_doc_order && !kept && run->collector.count == run->collector.limit &&
            (kept_any || !run->collector.after)) {
            counted = count_matches(matches, eval);
            break; /* later documents sort behind */
        }
        if (!kept && may_fail && vz_sort_failed(readers, search->sort_count, err) != VZ_OK)
            break;
    }
    run->total += counted;
    return status != VZ_OK ? status : vz_sort_failed(readers, run->bound[t].reader_count, err);
}

/* All matches of the set score alike and nothing sorts them: its first documents are its best. */
static void collect_alike(struct vz_run *run, uint32_t t, struct matches *matches)
{
    const struct vz_search *search = run->search;
    struct vz_eval *eval = &run->targets[t].eval;
    struct vz_collector *collector = &run->collector;
    float alike = matches->set.constant;
    bool set_passes = !search->has_min_score || alike >= search->min_score;
    uint64_t in_both = 0;
    for (size_t i = 0; i < matches->nearest_count; i++) {
        bool both = vz_docset_has(&matches->set, matches->nearest[i].docno);
        float score = matches->nearest[i].score + (both ? alike : 0);
        in_both += both;
        if (search->has_min_score && score < search->min_score)
            continue;
        run->total++;
        vz_collector_offer(collector, NULL, t, matches->nearest[i].docno, score);
    }
    if (!set_passes)
        return;
    run->total += vz_docset_count(&matches->set, eval) - in_both;
    size_t near = 0;
    for (uint32_t d = vz_docset_next(&matches->set, eval, 0); d < eval->limit && collector->limit;
         d = vz_docset_next(&matches->set, eval, d + 1)) {
        while (near < matches->nearest_count && matches->nearest[near].docno < d)
            near++;
        if (near < matches->nearest_count && matches->nearest[near].docno == d)
            continue;
        if (!vz_collector_offer(collector, NULL, t, d, alike))
            break;
    }
}

static enum vz_status bind_target(struct vz_run *run, uint32_t t, struct vz_error *err)
{
    const struct vz_search *search = run->search;
    size_t count = search->sort_count;
    struct vz_eval *eval = &run->targets[t].eval;
    struct vz_run_part *bound = &run->bound[t];
    if (count == 0)
        return VZ_OK;
    bound->readers = vz_arena_zalloc(run->arena, count * sizeof(*bound->readers));
    for (size_t i = 0; i < count; i++) {
        bound->reader_count++;
        enum vz_status status = vz_sort_bind(&search->sort[i], eval, &bound->readers[i], err);
        if (status != VZ_OK)
            return status;
    }
    if (vz_json_type(search->search_after) == VZ_JSON_MISSING)
        return VZ_OK;
    struct vz_sort_value *after = vz_arena_alloc(run->arena, count * sizeof(*after));
    struct vz_json_iter it = vz_json_iterate(search->search_after);
    struct vz_json value;
    for (size_t i = 0; i < count && vz_json_next(&it, NULL, &value); i++) {
        enum vz_status status =
            vz_sort_after(&bound->readers[i], value, eval->now_ms, &after[i], err);
        if (status != VZ_OK)
            return status;
    }
    run->collector.after = after;
    return VZ_OK;
}

/* What knn found, and whether the texts' query finds it, too: those few are asked about by
 * themselves. Adds the texts' scores; *both is how many. */
static enum vz_status meet_nearest(struct vz_eval *eval, const struct vz_text_query *query,
                                   const struct vz_bitset *may, struct vz_scored *nearest,
                                   size_t count, size_t *both, struct vz_error *err)
{
    uint32_t *docs = vz_arena_alloc(eval->arena, (count + 1) * sizeof *docs);
    float *scores = vz_arena_alloc(eval->arena, (count + 1) * sizeof *scores);
    for (size_t i = 0; i < count; i++)
        docs[i] = nearest[i].docno;
    enum vz_status status = vz_text_pick(vz_snapshot_texts(eval->snap), query, docs, count, scores,
                                         vz_text_late, eval, err);
    *both = 0;
    for (size_t i = 0; i < count && status == VZ_OK; i++)
        if (!isnan(scores[i]) && (!may || vz_bitset_has(may, docs[i]))) {
            nearest[i].score += scores[i];
            (*both)++;
        }
    return status;
}

/* A filter that lets few through: they are asked one by one, and counted with that. */
static enum vz_status few_texts(struct vz_run *run, uint32_t t, const struct vz_text_query *query,
                                const struct vz_bitset *may, size_t few, const struct matches *near,
                                struct vz_error *err)
{
    struct vz_eval *eval = &run->targets[t].eval;
    uint32_t *docs = vz_alloc((few + 1) * sizeof *docs);
    float *scores = vz_alloc((few + 1) * sizeof *scores);
    size_t count = 0, at = 0;
    for (size_t d = vz_bitset_next(may, 0); d < may->bits; d = vz_bitset_next(may, d + 1))
        docs[count++] = (uint32_t)d;
    enum vz_status status = vz_text_pick(vz_snapshot_texts(eval->snap), query, docs, count, scores,
                                         vz_text_late, eval, err);
    run->total += status == VZ_OK ? near->nearest_count : 0;
    for (size_t i = 0; i < count && status == VZ_OK; i++) {
        while (at < near->nearest_count && near->nearest[at].docno < docs[i])
            at++;
        bool is_near = at < near->nearest_count && near->nearest[at].docno == docs[i];
        if (isnan(scores[i]))
            continue;
        if (is_near) {
            near->nearest[at].score += scores[i];
            continue;
        }
        run->total++;
        vz_collector_offer(&run->collector, NULL, t, docs[i], scores[i]);
    }
    for (size_t i = 0; i < near->nearest_count && status == VZ_OK; i++)
        vz_collector_offer(&run->collector, NULL, t, near->nearest[i].docno,
                           near->nearest[i].score);
    free(docs);
    free(scores);
    return status;
}

/* The best of the texts, and of the texts and what knn found together: whoever is not among the
 * texts' first `limit` and as many as knn found is not among the first of both, unless knn found
 * it. */
static enum vz_status best_texts(struct vz_run *run, uint32_t t, struct vz_text_query *query,
                                 const struct vz_bitset *may, const struct matches *near,
                                 struct vz_error *err)
{
    const struct vz_search *search = run->search;
    struct vz_eval *eval = &run->targets[t].eval;
    struct vz_text_search how = {.filter = may,
                                 .k = run->collector.limit + near->nearest_count,
                                 .cancelled = vz_text_late,
                                 .context = eval};
    struct vz_text_hit *hits = vz_arena_alloc(run->arena, (how.k + 1) * sizeof *hits);
    struct vz_text_result found = {0};
    size_t both = 0;
    size_t pass = may ? vz_bitset_count(may) : eval->limit;
    if (may && pass < eval->limit / SPARSE)
        return few_texts(run, t, query, may, pass, near, err);
    how.excluded = may ? eval->limit - pass : 0;
    if (search->track_total)
        how.total_limit = search->track_limit;
    enum vz_status status =
        vz_text_top(vz_snapshot_texts(eval->snap), query, &how, hits, &found, err);
    if (status == VZ_OK && near->nearest_count)
        status = meet_nearest(eval, query, may, near->nearest, near->nearest_count, &both, err);
    for (size_t i = 0; status == VZ_OK && i < found.count; i++) {
        struct vz_scored place = {.target = t, .docno = hits[i].docno};
        if (!near->nearest_count || !bsearch(&place, near->nearest, near->nearest_count,
                                             sizeof place, vz_scored_compare_place))
            vz_collector_offer(&run->collector, NULL, t, hits[i].docno, hits[i].score);
    }
    for (size_t i = 0; status == VZ_OK && i < near->nearest_count; i++)
        vz_collector_offer(&run->collector, NULL, t, near->nearest[i].docno,
                           near->nearest[i].score);
    if (!found.total_exact && search->track_total && found.count)
        found.total = VZ_MAX(found.total, search->track_limit + 1);
    run->total += found.total + near->nearest_count - both;
    return status;
}

/* Aggregations want to know who matches and no scores: the lists are gathered as they are. */
static enum vz_status aggregate_texts(struct vz_run *run, struct vz_eval *eval,
                                      const struct vz_text_query *query,
                                      const struct vz_bitset *may, const struct matches *near,
                                      struct vz_error *err)
{
    struct vz_docset all = {0};
    vz_docset_begin(&all, eval);
    enum vz_status status = vz_text_collect(vz_snapshot_texts(eval->snap), query, &all.bits, NULL,
                                            vz_text_late, eval, err);
    if (status == VZ_OK && may)
        vz_bitset_and(&all.bits, may);
    if (status == VZ_OK)
        status = vz_agg_collect(&run->aggs, eval, &all, near->nearest, near->nearest_count, err);
    vz_docset_deinit(&all);
    return status;
}

/* A query of texts and filters, with knn or without, nothing that looks at every score: the best
 * hits alone are looked for. *done: they were. */
static enum vz_status collect_texts(struct vz_run *run, uint32_t t, bool *done,
                                    struct vz_error *err)
{
    const struct vz_search *search = run->search;
    struct vz_eval *eval = &run->targets[t].eval;
    struct vz_docset filter = {0};
    struct vz_text_query *query = NULL;
    struct matches near = {0};
    *done = false;
    if (!search->query || search->sort_count || (search->aggs && search->aggs->need_scores) ||
        search->collapse || search->has_min_score || search->post_filter || search->terminate_after)
        return VZ_OK;
    enum vz_status status = vz_text_plan(eval, search->query, &query, &filter, err);
    if (status != VZ_OK || !query || filter.kind == VZ_SET_NONE) {
        vz_docset_deinit(&filter);
        return status;
    }
    bool dead = vz_snapshot_doc_count(eval->snap) != eval->limit;
    const struct vz_bitset *may = filter.kind == VZ_SET_BITS ? &filter.bits
                                  : eval->alias              ? eval->alias
                                  : dead                     ? vz_eval_live(eval)
                                                             : NULL;
    take_nearest(run, t, &near);
    query->boost *= run->targets[t].boost;
    boost_matches(&near, run->targets[t].boost);
    status = best_texts(run, t, query, may, &near, err);
    if (status == VZ_OK && search->aggs)
        status = aggregate_texts(run, eval, query, may, &near, err);
    *done = status == VZ_OK;
    vz_docset_deinit(&filter);
    return status;
}

bool vz_texts_matching(struct vz_eval *eval, const struct vz_node *query,
                       const struct vz_scored *docs, size_t count, uint64_t *matching)
{
    struct vz_docset filter = {0};
    struct vz_text_query *plan = NULL;
    uint32_t *docnos = vz_arena_alloc(eval->arena, (count + 1) * sizeof *docnos);
    float *scores = vz_arena_alloc(eval->arena, (count + 1) * sizeof *scores);
    bool done = vz_text_plan(eval, query, &plan, &filter, NULL) == VZ_OK && plan;
    for (size_t i = 0; i < count; i++)
        docnos[i] = docs[i].docno;
    done = done && vz_text_pick(vz_snapshot_texts(eval->snap), plan, docnos, count, scores,
                                vz_text_late, eval, NULL) == VZ_OK;
    *matching = 0;
    for (size_t i = 0; i < count && done; i++)
        *matching += !isnan(scores[i]) && vz_docset_has(&filter, docnos[i]);
    vz_docset_deinit(&filter);
    return done;
}

static enum vz_status collect_target(struct vz_run *run, uint32_t t, struct vz_error *err)
{
    const struct vz_search *search = run->search;
    struct matches matches;
    enum vz_status status = bind_target(run, t, err);
    if (status != VZ_OK)
        return status;
    bool done;
    status = collect_texts(run, t, &done, err);
    if (status != VZ_OK || done)
        return status;
    status = find_matches(run, t, &matches, err);
    if (status == VZ_OK) {
        bool alike = !matches.set.scores;
        bool none_wanted = run->collector.limit == 0;
        if (none_wanted && !search->has_min_score)
            run->total += count_matches(&matches, &run->targets[t].eval);
        else if (alike && search->sort_count == 0 && !search->collapse)
            collect_alike(run, t, &matches);
        else
            status = collect_each(run, t, &matches, !none_wanted, err);
    }
    vz_docset_deinit(&matches.set);
    return status;
}

bool vz_run_needs_scores(const struct vz_search *search)
{
    if (search->sort_count == 0 || search->track_scores || search->has_min_score ||
        (search->aggs && search->aggs->need_scores))
        return true;
    for (size_t i = 0; i < search->sort_count; i++)
        if (search->sort[i].kind == VZ_SORT_SCORE || search->sort[i].kind == VZ_SORT_SCRIPT)
            return true;
    return false;
}

/* Each target's best are rescored apart, as a shard's are; then they meet. */
static enum vz_status collect_rescored(struct vz_run *run, uint32_t t, struct vz_error *err)
{
    const struct vz_search *search = run->search;
    struct vz_collector whole = run->collector;
    uint32_t window = vz_rescore_window(search->rescores, search->rescore_count);
    struct vz_collector own;
    vz_collector_init(&own, NULL, 0,
                      VZ_MIN(VZ_MAX(whole.limit, (size_t)window),
                             (size_t)vz_snapshot_doc_count(run->targets[t].snap)),
                      run->arena);
    if (search->collapse)
        own.collapser = vz_collapser_new(search->collapse, run);
    run->collector = own;
    enum vz_status status = collect_target(run, t, err);
    own = run->collector;
    run->collector = whole;
    if (status == VZ_OK) {
        vz_collector_finish(&own);
        status = vz_collapser_failed(own.collapser, err);
    }
    if (status == VZ_OK)
        status = vz_rescore_apply(&run->targets[t].eval, search->rescores, search->rescore_count,
                                  own.heap, own.count, err);
    for (size_t i = 0; i < own.count && status == VZ_OK; i++)
        vz_collector_offer(&run->collector, NULL, t, own.heap[i].docno, own.heap[i].score);
    vz_collapser_free(own.collapser);
    return status;
}

enum vz_status vz_run_find(struct vz_run *run, struct vz_error *err)
{
    bool rescores = run->search->rescore_count && run->collector.limit;
    if (run->search->rescore_count && run->search->sort_count)
        return vz_fail(err, VZ_BAD_ARGUMENT,
                       "Cannot use [sort] option in conjunction with [rescore].");
    enum vz_status status = run_knn(run, err);
    for (uint32_t t = 0; t < run->target_count && status == VZ_OK; t++) {
        uint64_t started_ns = vz_now_ns();
        status = rescores ? collect_rescored(run, t, err) : collect_target(run, t, err);
        run->targets[t].query_ns = vz_now_ns() - started_ns;
    }
    if (status == VZ_CANCELLED && vz_run_is_over(run->search, run->deadline_ns)) {
        /* what was found by then is the answer */
        run->timed_out = true;
        run->aggs.status = VZ_OK;
        status = VZ_OK;
    }
    if (status == VZ_OK) {
        vz_collector_finish(&run->collector);
        status = vz_collapser_failed(run->collector.collapser, err);
    }
    return status;
}
