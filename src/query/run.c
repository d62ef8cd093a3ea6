/* A search over its targets: knn first, then each target's matches into one heap, then the
 * documents of the winners.
 *
 * What a search costs. A knn clause alone costs its walk: its hits are a short list, and nothing as
 * long as the index is touched. A query whose matches all score the same (match_all, filters) is
 * counted by population count and gives its first documents without looking at the others. Only
 * scores that differ, or a sort by a field, look at every match.
 *
 * How knn and query meet: a document's score is the sum of every knn clause it was found by and of
 * the query's if it matches; the matches are the union. The k nearest are chosen over all targets
 * together, as one clause's list, before the query is looked at.
 *
 * Time: a search that runs past `timeout` stops evaluating and answers with what it has.
 */
#include "query/agg.h"

#include "base/clock.h"
#include "text/score.h"

#include <stdlib.h>

struct target {
    struct vz_index *index;
    struct vz_snapshot *snap;
    struct vz_eval eval;
    struct vz_json_doc *alias_doc; /* the alias filter's JSON */
    struct vz_docset alias;
    struct vz_sort_reader *readers;
    size_t reader_count;
    struct vz_fetch_plan plan;
    bool planned;
    uint64_t query_ns;
};

struct run {
    const struct vz_search *search;
    struct vz_arena *arena;
    struct target *targets;
    size_t target_count;
    uint64_t started_ns, deadline_ns;
    struct vz_scored *nearest; /* of all knn clauses: ascending by target, docno; summed scores */
    size_t nearest_count, nearest_capacity;
    struct vz_collector collector;
    struct vz_agg_run aggs;
    bool need_scores;
    uint64_t total;
    bool timed_out, terminated_early;
};

/* ---- targets --------------------------------------------------------------------------------- */

static enum vz_status open_alias(struct target *target, struct vz_slice filter,
                                 struct vz_arena *arena, struct vz_error *err)
{
    struct vz_json value;
    struct vz_parser parser = {.arena = arena, .size = VZ_DEFAULT_SIZE};
    struct vz_node_list list = {0};
    enum vz_status status = vz_json_parse(filter, &target->alias_doc, &value, err);
    if (status == VZ_OK)
        status = vz_query_parse_list(&parser, value, &list, err);
    if (status == VZ_OK)
        status = vz_filters_eval(&target->eval, list, &target->alias, err);
    if (status != VZ_OK)
        return status;
    vz_docset_materialize(&target->alias, &target->eval);
    target->eval.alias = &target->alias.bits;
    return VZ_OK;
}

static enum vz_status open_target(struct target *target, const struct vz_search_target *from,
                                  struct vz_arena *arena, int64_t now_ms, uint64_t deadline_ns,
                                  struct vz_error *err)
{
    *target = (struct target){.index = from->index,
                              .snap = from->snap ? vz_snapshot_acquire(from->snap)
                                                 : vz_index_snapshot(from->index)};
    vz_eval_init(&target->eval, target->snap, arena, now_ms, deadline_ns);
    if (from->alias_filter.len == 0)
        return VZ_OK;
    return open_alias(target, from->alias_filter, arena, err);
}

static void close_target(struct target *target)
{
    for (size_t i = 0; i < target->reader_count; i++)
        vz_sort_unbind(&target->readers[i]);
    vz_script_fields_close(&target->plan);
    vz_arena_deinit(&target->plan.scratch);
    vz_docset_deinit(&target->alias);
    if (target->alias_doc)
        vz_json_free(target->alias_doc);
    vz_eval_deinit(&target->eval);
    if (target->snap)
        vz_snapshot_release(target->snap);
}

static void close_targets(struct run *run)
{
    for (size_t i = 0; i < run->target_count; i++)
        close_target(&run->targets[i]);
}

static enum vz_status open_targets(struct run *run, const struct vz_search_target *targets,
                                   size_t count, struct vz_error *err)
{
    int64_t now_ms = vz_wall_ms();
    run->targets = vz_arena_zalloc(run->arena, (count + 1) * sizeof(*run->targets));
    for (size_t i = 0; i < count; i++) {
        run->target_count++;
        enum vz_status status =
            open_target(&run->targets[i], &targets[i], run->arena, now_ms, run->deadline_ns, err);
        run->targets[i].eval.profiled = run->search->profile;
        if (status != VZ_OK)
            return status;
    }
    return VZ_OK;
}

static enum vz_status check_windows(const struct vz_search *search,
                                    const struct vz_search_target *targets, size_t count,
                                    struct vz_error *err)
{
    uint64_t window = (uint64_t)search->from + search->size;
    for (size_t i = 0; i < count; i++) {
        uint32_t max = vz_index_max_result_window(targets[i].index);
        if (window > max)
            return vz_fail(err, VZ_LIMIT,
                           "Result window is too large, from + size must be less "
                           "than or equal to: [%u] but was [%llu]. See the scroll api for a more "
                           "efficient way "
                           "to request large data sets. This limit can be set by changing the "
                           "[index.max_result_window] index level setting.",
                           max, (unsigned long long)window);
    }
    return VZ_OK;
}

/* ---- knn ------------------------------------------------------------------------------------- */

static int by_score(const void *a, const void *b)
{
    const struct vz_scored *x = a, *y = b;
    if (x->score != y->score)
        return x->score > y->score ? -1 : 1;
    if (x->target != y->target)
        return x->target < y->target ? -1 : 1;
    return x->docno < y->docno ? -1 : x->docno > y->docno;
}

static int by_place(const void *a, const void *b)
{
    const struct vz_scored *x = a, *y = b;
    if (x->target != y->target)
        return x->target < y->target ? -1 : 1;
    return x->docno < y->docno ? -1 : x->docno > y->docno;
}

/* Appends a clause's k nearest over all targets to run->nearest. */
static enum vz_status run_clause(struct run *run, const struct vz_knn_clause *clause,
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
        qsort(all + before, sum, sizeof(*all), by_score);
    run->nearest_count = before + VZ_MIN(sum, (size_t)clause->k);
    return VZ_OK;
}

/* Vectors that are to be made from texts, pictures or other documents. */
static enum vz_status embed(const struct vz_search *search, const struct target *target,
                            struct vz_error *err)
{
    for (size_t i = 0; i < search->built_count; i++) {
        enum vz_status status = vz_knn_embed(search, vz_index_name(target->index),
                                             target->eval.mapping, search->built[i], err);
        if (status != VZ_OK)
            return status;
    }
    return VZ_OK;
}

static enum vz_status run_knn(struct run *run, struct vz_error *err)
{
    for (size_t i = 0; i < run->search->knn_count; i++) {
        enum vz_status status = run_clause(run, run->search->knn[i], err);
        if (status != VZ_OK)
            return status;
    }
    if (run->nearest_count == 0)
        return VZ_OK;
    qsort(run->nearest, run->nearest_count, sizeof(*run->nearest), by_place);
    size_t kept = 0;
    for (size_t i = 1; i < run->nearest_count; i++) {
        if (by_place(&run->nearest[kept], &run->nearest[i]) == 0)
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

static uint32_t next_of_set(const struct vz_docset *set, const struct vz_eval *eval, uint32_t from)
{
    if (set->kind == VZ_SET_NONE)
        return eval->limit;
    if (set->kind == VZ_SET_BITS)
        return (uint32_t)vz_bitset_next(&set->bits, from);
    while (from < eval->limit && !vz_snapshot_live(eval->snap, from))
        from++;
    return from;
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
        uint32_t in_set = next_of_set(&matches->set, eval, docno);
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
static enum vz_status aggregate(struct run *run, uint32_t t, struct matches *matches,
                                struct vz_error *err)
{
    struct vz_eval *eval = &run->targets[t].eval;
    const struct vz_docset *set = &matches->set;
    struct vz_docset passing = {0};
    if (!run->search->has_min_score)
        return vz_agg_collect(&run->aggs, eval, set, matches->nearest, matches->nearest_count, err);
    vz_docset_begin(&passing, eval);
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
        if (match && score >= run->search->min_score)
            vz_bitset_set(&passing.bits, d);
    }
    enum vz_status status = vz_agg_collect(&run->aggs, eval, &passing, NULL, 0, err);
    vz_docset_deinit(&passing);
    return status;
}

static enum vz_status find_matches(struct run *run, uint32_t t, struct matches *matches,
                                   struct vz_error *err)
{
    const struct vz_search *search = run->search;
    struct vz_eval *eval = &run->targets[t].eval;
    *matches = (struct matches){0};
    size_t first = 0;
    while (first < run->nearest_count && run->nearest[first].target < t)
        first++;
    matches->nearest = run->nearest + first;
    while (first + matches->nearest_count < run->nearest_count &&
           matches->nearest[matches->nearest_count].target == t)
        matches->nearest_count++;
    if (search->query) {
        enum vz_status status =
            vz_node_eval(eval, search->query, run->need_scores, &matches->set, err);
        if (status != VZ_OK)
            return status;
    } else if (search->knn_count == 0)
        matches->set = (struct vz_docset){.kind = VZ_SET_ALL, .constant = 1};
    vz_docset_settle(&matches->set, eval);
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
        enum vz_status status =
            vz_filters_eval(eval, (struct vz_node_list){&filter, 1}, &post, err);
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
static void collect_each(struct run *run, uint32_t t, struct matches *matches, bool offer)
{
    const struct vz_search *search = run->search;
    struct vz_eval *eval = &run->targets[t].eval;
    struct vz_sort_reader *readers = run->targets[t].readers;
    bool in_doc_order = search->sort_count && search->sort[0].kind == VZ_SORT_DOC &&
                        !search->sort[0].descending && !search->has_min_score;
    bool kept_any = false;
    uint64_t counted = 0;
    size_t near = 0;
    uint32_t in_set = next_of_set(&matches->set, eval, 0);
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
            in_set = next_of_set(&matches->set, eval, docno + 1);
        }
        if (search->has_min_score && score < search->min_score)
            continue;
        counted++;
        if (!offer)
            continue;
        bool kept = vz_collector_offer(&run->collector, readers, t, docno, score);
        kept_any |= kept;
        if (in_doc_order && !kept && run->collector.count == run->collector.limit &&
            (kept_any || !run->collector.after)) {
            counted = count_matches(matches, eval);
            break; /* later documents sort behind */
        }
    }
    run->total += counted;
}

/* All matches of the set score alike and nothing sorts them: its first documents are its best. */
static void collect_alike(struct run *run, uint32_t t, struct matches *matches)
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
    for (uint32_t d = next_of_set(&matches->set, eval, 0); d < eval->limit && collector->limit;
         d = next_of_set(&matches->set, eval, d + 1)) {
        while (near < matches->nearest_count && matches->nearest[near].docno < d)
            near++;
        if (near < matches->nearest_count && matches->nearest[near].docno == d)
            continue;
        if (!vz_collector_offer(collector, NULL, t, d, alike))
            break;
    }
}

static enum vz_status bind_target(struct run *run, struct target *target, struct vz_error *err)
{
    const struct vz_search *search = run->search;
    size_t count = search->sort_count;
    if (count == 0)
        return VZ_OK;
    target->readers = vz_arena_zalloc(run->arena, count * sizeof(*target->readers));
    for (size_t i = 0; i < count; i++) {
        target->reader_count++;
        enum vz_status status =
            vz_sort_bind(&search->sort[i], &target->eval, &target->readers[i], err);
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
            vz_sort_after(&target->readers[i], value, target->eval.now_ms, &after[i], err);
        if (status != VZ_OK)
            return status;
    }
    run->collector.after = after;
    return VZ_OK;
}

/* A query of texts and filters, nothing that looks at every match: the best hits alone are looked
 * for. *done: they were. */
static enum vz_status collect_texts(struct run *run, uint32_t t, bool *done, struct vz_error *err)
{
    const struct vz_search *search = run->search;
    struct vz_eval *eval = &run->targets[t].eval;
    struct vz_docset filter = {0};
    struct vz_text_query *query = NULL;
    *done = false;
    if (!search->query || search->knn_count || search->sort_count || search->aggs ||
        search->has_min_score || search->post_filter || search->terminate_after)
        return VZ_OK;
    enum vz_status status = vz_text_plan(eval, search->query, &query, &filter, err);
    if (status != VZ_OK || !query) {
        vz_docset_deinit(&filter);
        return status;
    }
    bool dead = vz_snapshot_doc_count(eval->snap) != eval->limit;
    const struct vz_bitset *may = filter.kind == VZ_SET_BITS  ? &filter.bits
                                  : eval->alias               ? eval->alias
                                  : dead                      ? vz_eval_live(eval)
                                                              : NULL;
    struct vz_text_search how = {.filter = may,
                                 .k = run->collector.limit,
                                 .cancelled = vz_text_late,
                                 .context = eval};
    if (may)
        how.excluded = eval->limit - vz_bitset_count(may);
    if (search->track_total)
        how.total_limit = search->track_limit;
    struct vz_text_hit *hits = vz_arena_alloc(run->arena, (how.k + 1) * sizeof *hits);
    struct vz_text_result found = {0};
    if (filter.kind != VZ_SET_NONE)
        status = vz_text_top(vz_snapshot_texts(eval->snap), query, &how, hits, &found, err);
    for (size_t i = 0; status == VZ_OK && i < found.count; i++)
        vz_collector_offer(&run->collector, NULL, t, hits[i].docno, hits[i].score);
    if (!found.total_exact && search->track_total && found.count)
        found.total = VZ_MAX(found.total, search->track_limit + 1);
    run->total += found.total;
    *done = status == VZ_OK;
    vz_docset_deinit(&filter);
    return status;
}

static enum vz_status collect_target(struct run *run, uint32_t t, struct vz_error *err)
{
    const struct vz_search *search = run->search;
    struct matches matches;
    enum vz_status status = bind_target(run, &run->targets[t], err);
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
        else if (alike && search->sort_count == 0)
            collect_alike(run, t, &matches);
        else
            collect_each(run, t, &matches, !none_wanted);
        status = vz_sort_failed(run->targets[t].readers, run->targets[t].reader_count, err);
    }
    vz_docset_deinit(&matches.set);
    return status;
}

static bool scores_are_needed(const struct vz_search *search)
{
    if (search->sort_count == 0 || search->track_scores || search->has_min_score)
        return true;
    for (size_t i = 0; i < search->sort_count; i++)
        if (search->sort[i].kind == VZ_SORT_SCORE || search->sort[i].kind == VZ_SORT_SCRIPT)
            return true;
    return false;
}

/* ---- the answer ------------------------------------------------------------------------------ */

static void print_sort(struct run *run, const struct vz_found *found, struct vz_search_hit *hit)
{
    const struct vz_search *search = run->search;
    struct vz_buf buf = {0};
    struct vz_json_writer writer = vz_json_writer_on(&buf);
    vz_json_begin_array(&writer);
    for (size_t i = 0; i < search->sort_count; i++)
        vz_sort_print(&search->sort[i], run->targets[found->target].readers[i].field,
                      &found->values[i], &writer);
    vz_json_end_array(&writer);
    hit->sort = vz_arena_copy(run->arena, vz_buf_slice(&buf));
    vz_buf_deinit(&buf);
}

static enum vz_status explain_hit(struct run *run, struct target *target, uint32_t docno,
                                  struct vz_search_hit *hit, struct vz_error *err)
{
    bool matched;
    if (!run->search->query || run->search->knn_count)
        return vz_fail(err, VZ_UNSUPPORTED,
                       "[explain] of anything but full-text queries is not supported yet by vizsla");
    return vz_text_explanation(&target->eval, run->search->query, docno, &matched,
                               &hit->explanation, err);
}

static enum vz_status fetch_hits(struct run *run, struct vz_search_result *result,
                                 struct vz_error *err)
{
    const struct vz_search *search = run->search;
    const struct vz_collector *collector = &run->collector;
    size_t first = VZ_MIN((size_t)search->from, collector->count);
    size_t count = VZ_MIN((size_t)search->size, collector->count - first);
    bool has_score = search->sort_count == 0 || search->track_scores;
    size_t bytes = 0;
    for (size_t i = 0; i < search->sort_count; i++)
        has_score |= search->sort[i].kind == VZ_SORT_SCORE;
    result->hits = vz_arena_zalloc(run->arena, (count + 1) * sizeof(*result->hits));
    for (size_t i = 0; i < count; i++) {
        const struct vz_found *found = &collector->heap[first + i];
        struct target *target = &run->targets[found->target];
        struct vz_search_hit *hit = &result->hits[i];
        if (!target->planned)
            vz_fetch_prepare(search, &target->eval, &target->plan);
        target->planned = true;
        enum vz_status status =
            vz_fetch_hit(search, &target->plan, &target->eval, found->docno, hit, err);
        if (status != VZ_OK)
            return status;
        if (search->with_explain)
            status = explain_hit(run, target, found->docno, hit, err);
        if (status != VZ_OK)
            return status;
        bytes += hit->source.len + hit->fields.len;
        if (bytes > search->max_bytes)
            return vz_fail(err, VZ_BUDGET,
                           "[request] Data too large, the documents of the first [%zu] of [%zu] "
                           "hits are [%zu] bytes, which is larger than the limit of [%zu]",
                           i + 1, count, bytes, search->max_bytes);
        hit->has_score = has_score;
        hit->score = found->score;
        if (search->sort_count)
            print_sort(run, found, hit);
        result->hit_count++;
    }
    return VZ_OK;
}

static void put_totals(struct run *run, struct vz_search_result *result)
{
    const struct vz_search *search = run->search;
    result->track_total = search->track_total;
    result->total = run->total;
    if (search->track_total && run->total > search->track_limit) {
        result->total = search->track_limit;
        result->total_is_lower_bound = true;
    }
    bool by_score = search->sort_count == 0 || search->sort[0].kind == VZ_SORT_SCORE;
    result->has_max_score =
        run->collector.any && search->size > 0 && (by_score || search->track_scores);
    result->max_score = result->has_max_score ? run->collector.max_score : 0;
    result->with_version = search->with_version;
    result->with_seq_no = search->with_seq_no;
    result->timed_out = run->timed_out;
    result->has_terminated_early = search->terminate_after > 0;
    result->terminated_early = run->terminated_early;
}

static void put_profile(struct run *run, struct vz_search_result *result)
{
    struct vz_buf text = {0};
    struct vz_json_writer w = vz_json_writer_on(&text);
    vz_json_begin_object(&w);
    vz_json_key(&w, "shards");
    vz_json_begin_array(&w);
    for (size_t t = 0; t < run->target_count; t++)
        vz_profile_shard(&run->targets[t].eval, run->search, run->targets[t].query_ns, &w);
    vz_json_end_array(&w);
    vz_json_end_object(&w);
    result->profile = vz_arena_copy(run->arena, vz_buf_slice(&text));
    vz_buf_deinit(&text);
}

static enum vz_status find_all(struct run *run, struct vz_error *err)
{
    enum vz_status status = VZ_OK;
    for (size_t t = 0; t < run->target_count && status == VZ_OK; t++)
        status = embed(run->search, &run->targets[t], err);
    if (status == VZ_OK)
        status = run_knn(run, err);
    for (uint32_t t = 0; t < run->target_count && status == VZ_OK; t++) {
        uint64_t started_ns = vz_now_ns();
        status = collect_target(run, t, err);
        run->targets[t].query_ns = vz_now_ns() - started_ns;
    }
    if (status == VZ_CANCELLED && run->deadline_ns) { /* what was found by then is the answer */
        run->timed_out = true;
        run->aggs.status = VZ_OK;
        return VZ_OK;
    }
    return status;
}

enum vz_status vz_search_run(const struct vz_search_target *targets, size_t target_count,
                             const struct vz_search *search, struct vz_arena *arena,
                             struct vz_search_result *result, struct vz_error *err)
{
    struct run run = {.search = search,
                      .arena = arena,
                      .started_ns = vz_now_ns(),
                      .need_scores = scores_are_needed(search)};
    *result = (struct vz_search_result){0};
    enum vz_status status = check_windows(search, targets, target_count, err);
    if (status != VZ_OK)
        return status;
    if (search->timeout_ns)
        run.deadline_ns = run.started_ns + search->timeout_ns;
    status = open_targets(&run, targets, target_count, err);
    if (status == VZ_OK) {
        uint64_t docs = 0, wanted = search->size ? (uint64_t)search->from + search->size : 0;
        for (size_t t = 0; t < run.target_count; t++)
            docs += vz_snapshot_doc_count(run.targets[t].snap);
        vz_collector_init(&run.collector, search->sort, search->sort_count,
                          (size_t)VZ_MIN(wanted, docs), arena);
        if (search->aggs)
            vz_agg_begin(&run.aggs, search->aggs, run.target_count == 1, search->typed_keys, arena);
        status = find_all(&run, err);
    }
    if (status == VZ_OK && search->aggs)
        status = vz_agg_print(&run.aggs, &result->aggregations, err);
    vz_agg_end(&run.aggs);
    if (status == VZ_OK) {
        vz_collector_finish(&run.collector);
        put_totals(&run, result);
        status = fetch_hits(&run, result, err);
    }
    if (status == VZ_OK && search->profile)
        put_profile(&run, result);
    uint64_t took = vz_now_ns() - run.started_ns;
    for (size_t t = 0; t < run.target_count; t++)
        if (status == VZ_OK)
            vz_index_note_search(run.targets[t].index, took);
    close_targets(&run);
    return status;
}

/* ---- counting and walking -------------------------------------------------------------------- */

/* The search's query in one target: settled, seen through the alias. */
static enum vz_status match_target(struct target *target, const struct vz_search *search,
                                   struct vz_docset *set, struct vz_error *err)
{
    *set = (struct vz_docset){.kind = VZ_SET_ALL};
    if (search->query) {
        enum vz_status status = embed(search, target, err);
        if (status == VZ_OK)
            status = vz_node_eval(&target->eval, search->query, false, set, err);
        if (status != VZ_OK)
            return status;
    }
    vz_docset_settle(set, &target->eval);
    if (target->eval.alias)
        vz_docset_and(set, &target->alias);
    return VZ_OK;
}

enum vz_status vz_search_count(const struct vz_search_target *targets, size_t target_count,
                               const struct vz_search *search, uint64_t *count,
                               struct vz_error *err)
{
    struct vz_arena arena = {0};
    int64_t now_ms = vz_wall_ms();
    enum vz_status status = VZ_OK;
    *count = 0;
    for (size_t t = 0; t < target_count && status == VZ_OK; t++) {
        struct target target;
        struct vz_docset set;
        status = open_target(&target, &targets[t], &arena, now_ms, 0, err);
        if (status == VZ_OK)
            status = match_target(&target, search, &set, err);
        if (status == VZ_OK) {
            uint64_t found = vz_docset_count(&set, &target.eval);
            if (search->terminate_after)
                found = VZ_MIN(found, search->terminate_after);
            *count += found;
            vz_docset_deinit(&set);
        }
        close_target(&target);
    }
    vz_arena_deinit(&arena);
    return status;
}

enum vz_status vz_search_explain(const struct vz_search_target *target,
                                 const struct vz_search *search, struct vz_slice id,
                                 struct vz_arena *arena, bool *matched,
                                 struct vz_slice *explanation, struct vz_error *err)
{
    struct target opened;
    uint32_t docno = 0;
    *matched = false;
    enum vz_status status = open_target(&opened, target, arena, vz_wall_ms(), 0, err);
    if (status == VZ_OK)
        status = vz_snapshot_find(opened.snap, id, &docno, err);
    if (status == VZ_OK && !search->query)
        status = vz_fail(err, VZ_BAD_QUERY, "Validation Failed: 1: query is missing;");
    if (status == VZ_OK)
        status =
            vz_text_explanation(&opened.eval, search->query, docno, matched, explanation, err);
    close_target(&opened);
    return status;
}

enum vz_status vz_search_each(const struct vz_search_target *target, const struct vz_search *search,
                              bool (*each)(void *context, const struct vz_snapshot *snap,
                                           uint32_t docno),
                              void *context, struct vz_error *err)
{
    struct vz_arena arena = {0};
    struct target opened;
    struct vz_docset set;
    enum vz_status status = open_target(&opened, target, &arena, vz_wall_ms(), 0, err);
    if (status == VZ_OK)
        status = match_target(&opened, search, &set, err);
    if (status == VZ_OK) {
        for (uint32_t d = next_of_set(&set, &opened.eval, 0); d < opened.eval.limit;
             d = next_of_set(&set, &opened.eval, d + 1))
            if (!each(context, opened.snap, d))
                break;
        vz_docset_deinit(&set);
    }
    close_target(&opened);
    vz_arena_deinit(&arena);
    return status;
}
