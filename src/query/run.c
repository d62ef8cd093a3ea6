/* A search over its targets: they are opened, find.c says which documents are best, and those are
 * fetched and told.
 *
 * Time: a search that runs past `timeout` stops evaluating and answers with what it has.
 */
#include "query/collapse.h"
#include "query/explain.h"
#include "query/highlight.h"
#include "query/retriever.h"
#include "query/suggest.h"

#include "base/clock.h"

#include <stdlib.h>

#define LATE_EVERY 16                     /* hits that are fetched */
#define MAX_WHY_BYTES ((size_t)512 << 20) /* what explaining hits may take beside them */

/* ---- targets --------------------------------------------------------------------------------- */

static enum vz_status open_alias(struct vz_target *target, struct vz_slice filter,
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

/* What nobody asked for is hidden as by an alias. */
static enum vz_status open_slice(struct vz_target *target, const struct vz_search *search,
                                 size_t at, size_t count, struct vz_error *err)
{
    struct vz_bitset kept;
    if (search->slice.max == 0)
        return VZ_OK;
    enum vz_status status =
        vz_slice_bits(&target->eval, &search->slice, at, count, search->is_scroll, &kept, err);
    if (status != VZ_OK)
        return status;
    if (target->eval.alias) {
        vz_bitset_and(&target->alias.bits, &kept);
        vz_bitset_deinit(&kept);
    } else {
        target->alias = (struct vz_docset){.kind = VZ_SET_BITS, .bits = kept};
        target->eval.alias = &target->alias.bits;
    }
    return VZ_OK;
}

static enum vz_status open_target(struct vz_target *target, const struct vz_search_target *from,
                                  const struct vz_search *search, struct vz_arena *arena,
                                  int64_t now_ms, uint64_t deadline_ns, struct vz_error *err)
{
    *target = (struct vz_target){.index = from->index,
                                 .snap = from->snap ? vz_snapshot_acquire(from->snap)
                                                    : vz_index_snapshot(from->index),
                                 .boost = from->has_boost ? from->boost : 1};
    vz_eval_init(&target->eval, target->snap, arena, now_ms, deadline_ns);
    target->eval.stop = search->stop;
    target->eval.spent = search->spent;
    enum vz_status status = vz_runtime_open(&target->eval, search, err);
    if (status != VZ_OK || from->alias_filter.len == 0)
        return status;
    return open_alias(target, from->alias_filter, arena, err);
}

static void close_target(struct vz_target *target)
{
    vz_docset_deinit(&target->alias);
    if (target->alias_doc)
        vz_json_free(target->alias_doc);
    vz_eval_deinit(&target->eval);
    if (target->snap)
        vz_snapshot_release(target->snap);
}

static void close_targets(struct vz_run *run)
{
    for (size_t i = 0; i < run->target_count; i++)
        close_target(&run->targets[i]);
}

static enum vz_status open_targets(struct vz_run *run, const struct vz_search_target *targets,
                                   size_t count, struct vz_error *err)
{
    int64_t now_ms = vz_wall_ms();
    run->targets = vz_arena_zalloc(run->arena, (count + 1) * sizeof(*run->targets));
    for (size_t i = 0; i < count; i++) {
        run->target_count++;
        enum vz_status status = open_target(&run->targets[i], &targets[i], run->search, run->arena,
                                            now_ms, run->deadline_ns, err);
        run->targets[i].eval.target = (uint32_t)i;
        run->targets[i].eval.profiled = run->search->profile;
        run->targets[i].eval.explained = run->search->with_explain;
        if (status == VZ_OK)
            status = open_slice(&run->targets[i], run->search, i, count, err);
        if (status == VZ_OK)
            status = vz_target_embed(run->search, &run->targets[i], err);
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
    enum vz_status status = vz_inner_check(search, targets, count, err);
    for (size_t i = 0; i < count && status == VZ_OK; i++) {
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
    return status;
}

/* ---- the answer ------------------------------------------------------------------------------ */

static void print_sort(struct vz_run *run, const struct vz_found *found, struct vz_search_hit *hit)
{
    const struct vz_search *search = run->search;
    struct vz_buf buf = {0};
    struct vz_json_writer writer = vz_json_writer_on(&buf);
    vz_json_begin_array(&writer);
    for (size_t i = 0; i < search->sort_count; i++)
        vz_sort_print(&search->sort[i], run->bound[found->target].readers[i].field,
                      &found->values[i], &writer);
    vz_json_end_array(&writer);
    hit->sort = vz_arena_copy(run->arena, vz_buf_slice(&buf));
    vz_buf_deinit(&buf);
}

static int by_docno(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

/* The hits that a target has among [first, first + count), for whoever asks about them. */
static void sample_hits(struct vz_run *run, uint32_t target, size_t first, size_t count,
                        struct vz_sampler *sampler)
{
    uint32_t *docnos = vz_arena_alloc(run->arena, (count + 1) * sizeof *docnos);
    *sampler = (struct vz_sampler){.eval = &run->targets[target].eval, .docnos = docnos};
    for (size_t i = 0; i < count; i++)
        if (run->collector.heap[first + i].target == target)
            docnos[sampler->count++] = run->collector.heap[first + i].docno;
    qsort(docnos, sampler->count, sizeof *docnos, by_docno);
}

/* Why a hit is one: its explanation, and the names of the queries that it matches. */
static enum vz_status tell_why(struct vz_run *run, const struct vz_found *found, size_t first,
                               size_t count, struct vz_sampler **samplers,
                               struct vz_search_hit *hit, struct vz_error *err)
{
    const struct vz_search *search = run->search;
    bool matched;
    enum vz_status status = VZ_OK;
    if (!samplers[found->target]) {
        samplers[found->target] = vz_arena_zalloc(run->arena, sizeof **samplers);
        sample_hits(run, found->target, first, count, samplers[found->target]);
    }
    struct vz_sampler *sampler = samplers[found->target];
    if (search->with_explain && search->retriever)
        status =
            vz_retriever_explain(sampler, search->retriever, found->docno, &hit->explanation, err);
    else if (search->with_explain)
        status = vz_explain_search(sampler, search, found->docno, &matched, &hit->explanation, err);
    if (status == VZ_OK)
        status = vz_matched_queries(sampler, search, search->named_scores, found->docno,
                                    &hit->matched_queries, err);
    return status;
}

static enum vz_status fetch_hits(struct vz_run *run, struct vz_search_result *result,
                                 struct vz_error *err)
{
    const struct vz_search *search = run->search;
    const struct vz_collector *collector = &run->collector;
    size_t first = VZ_MIN((size_t)search->from, collector->count);
    size_t count = VZ_MIN((size_t)search->size, collector->count - first);
    bool has_score = search->sort_count == 0 || search->track_scores;
    size_t bytes = 0, before = run->arena->total_bytes;
    for (size_t i = 0; i < search->sort_count; i++)
        has_score |= search->sort[i].kind == VZ_SORT_SCORE;
    result->hits = vz_arena_zalloc(run->arena, (count + 1) * sizeof(*result->hits));
    bool why = search->with_explain || vz_search_has_names(search);
    struct vz_sampler **samplers =
        vz_arena_zalloc(run->arena, (run->target_count + 1) * sizeof(struct vz_sampler *));
    for (size_t i = 0; i < count; i++) {
        const struct vz_found *found = &collector->heap[first + i];
        struct vz_target *target = &run->targets[found->target];
        struct vz_search_hit *hit = &result->hits[i];
        struct vz_run_part *bound = &run->bound[found->target];
        if (!bound->planned)
            vz_fetch_prepare(search, &target->eval, &bound->plan);
        bound->planned = true;
        if (i % LATE_EVERY == LATE_EVERY - 1 && vz_eval_late(&target->eval))
            return vz_fail(err, VZ_CANCELLED, "the search took too long");
        enum vz_status status =
            vz_fetch_hit(search, &bound->plan, &target->eval, found->docno, hit, err);
        if (status != VZ_OK)
            return status;
        if (why)
            status = tell_why(run, found, first, count, samplers, hit, err);
        if (status != VZ_OK)
            return status;
        size_t taken = run->arena->total_bytes - before;
        if (why && taken > MAX_WHY_BYTES)
            return vz_fail(err, VZ_BUDGET,
                           "[request] Data too large, explaining the first [%zu] of [%zu] hits "
                           "took [%zu] bytes, which is larger than the limit of [%zu]",
                           i + 1, count, taken, MAX_WHY_BYTES);
        bytes += hit->source.len + hit->fields.len + hit->highlight.len;
        if (bytes > search->max_bytes)
            return vz_fail(err, VZ_BUDGET,
                           "[request] Data too large, the documents of the first [%zu] of [%zu] "
                           "hits are [%zu] bytes, which is larger than the limit of [%zu]",
                           i + 1, count, bytes, search->max_bytes);
        hit->has_score = has_score;
        hit->score = found->score;
        hit->rank = found->rank;
        if (search->sort_count)
            print_sort(run, found, hit);
        result->hit_count++;
    }
    return VZ_OK;
}

static void put_totals(struct vz_run *run, struct vz_search_result *result)
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
    result->without_id = search->stored_none && !search->is_scroll;
    result->timed_out = run->timed_out;
    result->has_terminated_early = search->terminate_after > 0;
    result->terminated_early = run->terminated_early;
}

static void put_profile(struct vz_run *run, struct vz_search_result *result)
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

uint64_t vz_run_doc_count(const struct vz_run *run)
{
    uint64_t docs = 0;
    for (size_t t = 0; t < run->target_count; t++)
        docs += vz_snapshot_doc_count(run->targets[t].snap);
    return docs;
}

void vz_run_begin(struct vz_run *run, const struct vz_search *search, size_t limit)
{
    run->search = search;
    run->need_scores = vz_run_needs_scores(search);
    run->bound = vz_arena_zalloc(run->arena, (run->target_count + 1) * sizeof(*run->bound));
    vz_collector_init(&run->collector, search->sort, search->sort_count,
                      (size_t)VZ_MIN((uint64_t)limit, vz_run_doc_count(run)), run->arena);
    if (search->collapse)
        run->collector.collapser = vz_collapser_new(search->collapse, run);
}

void vz_run_end(struct vz_run *run)
{
    for (size_t t = 0; t < run->target_count && run->bound; t++) {
        struct vz_run_part *bound = &run->bound[t];
        for (size_t i = 0; i < bound->reader_count; i++)
            vz_sort_unbind(&bound->readers[i]);
        vz_script_fields_close(&bound->plan);
        vz_highlighter_close(bound->plan.highlighter);
        vz_arena_deinit(&bound->plan.scratch);
    }
    run->bound = NULL;
    vz_collapser_free(run->collector.collapser);
    run->collector.collapser = NULL;
}

enum vz_status vz_run_answer(struct vz_run *run, struct vz_search_result *result,
                             struct vz_error *err)
{
    put_totals(run, result);
    enum vz_status status = fetch_hits(run, result, err);
    if (status == VZ_OK && run->search->collapse && run->search->collapse->inner_count)
        status = vz_collapse_expand(run, result, err);
    return status;
}

/* Hits of the old `rank` come in the tree's own order, and say their place in it. */
static void rank_hits(struct vz_run *run)
{
    const struct vz_retriever *tree = run->search->retriever;
    struct vz_collector *collector = &run->collector;
    size_t kept = 0;
    if (!tree || !tree->is_legacy)
        return;
    for (size_t i = 0; i < tree->doc_count; i++)
        for (size_t h = kept; h < collector->count; h++) {
            struct vz_found found = collector->heap[h];
            if (found.target != tree->docs[i].target || found.docno != tree->docs[i].docno)
                continue;
            found.rank = (uint32_t)i + 1;
            collector->heap[h] = collector->heap[kept];
            collector->heap[kept++] = found;
            break;
        }
}

/* Finds, where time was left for it: the retrievers' lists first, then what is left of the search.
 */
static enum vz_status find(struct vz_run *run, struct vz_error *err)
{
    const struct vz_search *search = run->search;
    struct vz_search last;
    enum vz_status status = VZ_OK;
    bool opened = !run->timed_out;
    vz_run_begin(run, search, search->size ? (size_t)search->from + search->size : 0);
    if (search->retriever && opened) {
        status = vz_retriever_run(run, &last, err);
        run->search = &last;
        run->need_scores = true;
    }
    if (search->aggs) {
        vz_agg_begin(&run->aggs, search->aggs, run->target_count == 1, search->typed_keys,
                     run->arena);
        run->aggs.query = search->query;
        run->aggs.knn = search->knn;
        run->aggs.knn_count = search->knn_count;
        run->aggs.named_scores = search->named_scores;
    }
    if (status == VZ_OK && opened)
        status = vz_run_find(run, err);
    run->search = search;
    if (status == VZ_OK)
        rank_hits(run);
    return status;
}

enum vz_status vz_search_run(const struct vz_search_target *targets, size_t target_count,
                             const struct vz_search *search, struct vz_arena *arena,
                             struct vz_search_result *result, struct vz_error *err)
{
    struct vz_run run = {.search = search, .arena = arena, .started_ns = vz_now_ns()};
    *result = (struct vz_search_result){0};
    enum vz_status status = check_windows(search, targets, target_count, err);
    if (status != VZ_OK)
        return status;
    if (search->timeout_ns)
        run.deadline_ns = run.started_ns + search->timeout_ns;
    status = open_targets(&run, targets, target_count, err);
    if (status == VZ_CANCELLED && vz_run_is_over(search, run.deadline_ns)) {
        run.timed_out = true; /* while values of runtime fields were made: nothing was found yet */
        status = VZ_OK;
    }
    if (status == VZ_OK)
        status = find(&run, err);
    if (status == VZ_OK && search->aggs)
        status = vz_agg_print(&run.aggs, &result->aggregations, err);
    vz_agg_end(&run.aggs);
    if (status == VZ_OK) {
        status = vz_run_answer(&run, result, err);
        if (status == VZ_OK && search->suggest)
            status = vz_suggest_run(&run, &result->suggest, err);
        if (status == VZ_CANCELLED &&
            vz_run_is_over(search, run.deadline_ns)) { /* an answer without them */
            result->timed_out = true;
            status = VZ_OK;
        }
    }
    if (status == VZ_OK && search->profile)
        put_profile(&run, result);
    uint64_t took = vz_now_ns() - run.started_ns;
    for (size_t t = 0; t < run.target_count; t++)
        if (status == VZ_OK)
            vz_index_note_search(run.targets[t].index, took);
    vz_run_end(&run);
    close_targets(&run);
    return status;
}

/* ---- counting and walking -------------------------------------------------------------------- */

/* The search's query in one target: settled, seen through the alias. */
static enum vz_status match_target(struct vz_target *target, const struct vz_search *search,
                                   struct vz_docset *set, struct vz_error *err)
{
    *set = (struct vz_docset){.kind = VZ_SET_ALL};
    if (search->query) {
        enum vz_status status = vz_target_embed(search, target, err);
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
        struct vz_target target;
        struct vz_docset set;
        status = open_target(&target, &targets[t], search, &arena, now_ms, 0, err);
        if (status == VZ_OK)
            status = open_slice(&target, search, t, target_count, err);
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
    struct vz_target opened;
    uint32_t docno = 0;
    *matched = false;
    enum vz_status status = open_target(&opened, target, search, arena, vz_wall_ms(), 0, err);
    if (status == VZ_OK)
        status = vz_snapshot_find(opened.snap, id, &docno, err);
    if (status == VZ_OK && !search->query)
        status = vz_fail(err, VZ_BAD_QUERY, "Validation Failed: 1: query is missing;");
    if (status == VZ_OK)
        status = vz_target_embed(search, &opened, err);
    if (status == VZ_OK) {
        struct vz_sampler *sampler = vz_arena_zalloc(arena, sizeof *sampler);
        *sampler = (struct vz_sampler){.eval = &opened.eval, .docnos = &docno, .count = 1};
        status = vz_explain_search(sampler, search, docno, matched, explanation, err);
        if (opened.eval.alias && !vz_bitset_has(opened.eval.alias, docno))
            *matched = false;
    }
    close_target(&opened);
    return status;
}

enum vz_status vz_search_validate(const struct vz_search_target *target,
                                  const struct vz_search *search, struct vz_arena *arena,
                                  struct vz_slice *text, struct vz_error *err)
{
    struct vz_target opened;
    struct vz_docset set = {0};
    enum vz_status status = open_target(&opened, target, search, arena, vz_wall_ms(), 0, err);
    *text = VZ_SLICE("*:*");
    if (status == VZ_OK && search->query)
        status = vz_target_embed(search, &opened, err);
    if (status == VZ_OK && search->query)
        status = vz_node_eval(&opened.eval, search->query, false, &set, err);
    if (status == VZ_OK && search->query) {
        struct vz_buf described = {0};
        vz_node_describe(&opened.eval, search->query, &described);
        *text = vz_arena_copy(arena, vz_buf_slice(&described));
        vz_buf_deinit(&described);
    }
    vz_docset_deinit(&set);
    close_target(&opened);
    return status;
}

enum vz_status vz_search_each(const struct vz_search_target *target, const struct vz_search *search,
                              bool (*each)(void *context, const struct vz_snapshot *snap,
                                           uint32_t docno),
                              void *context, struct vz_error *err)
{
    struct vz_arena arena = {0};
    struct vz_target opened;
    struct vz_docset set;
    enum vz_status status = open_target(&opened, target, search, &arena, vz_wall_ms(), 0, err);
    if (status == VZ_OK)
        status = open_slice(&opened, search, target->at, VZ_MAX(target->of, (size_t)1), err);
    if (status == VZ_OK)
        status = match_target(&opened, search, &set, err);
    if (status == VZ_OK) {
        for (uint32_t d = vz_docset_next(&set, &opened.eval, 0); d < opened.eval.limit;
             d = vz_docset_next(&set, &opened.eval, d + 1))
            if (!each(context, opened.snap, d))
                break;
        vz_docset_deinit(&set);
    }
    close_target(&opened);
    vz_arena_deinit(&arena);
    return status;
}
