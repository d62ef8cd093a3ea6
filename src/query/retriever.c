/* Retrievers at work: each leaf is a run of its own over the request's snapshots, cut to its
 * parent's window; a compound makes one list of its children's; the root's list is handed to the
 * last run as documents that have a score already, beside everything that the leaves' queries match
 * (find.c's `nearest`), so that totals, aggregations, filters and collapsing are those of any
 * search.
 *
 * What is computed. Leaves of texts look for their best alone and count no further than
 * track_total_hits asks. Only when no leaf's count reached that limit, or an aggregation wants all
 * documents, are the leaves' queries evaluated together, without scores.
 *
 * Numbers are floats, added in the order of the children, as Elasticsearch adds them:
 *     rrf     sum of weight * (1 / (rank_constant + rank)), ranks from 1
 *     linear  sum of weight * normalized score
 * Ties go by target, then docno.
 */
#include "query/retriever.h"
#include "query/run.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>

/* A document in one child's list. */
struct entry {
    struct vz_scored doc;
    size_t list;
    uint32_t rank; /* from 1 */
};

static int by_place(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;
    int order = vz_scored_compare_place(&x->doc, &y->doc);
    return order ? order : x->list < y->list ? -1 : x->list > y->list;
}

/* ---- leaves ---------------------------------------------------------------------------------- */

static enum vz_status check_window(const struct vz_run *run, int64_t window, struct vz_error *err)
{
    for (size_t t = 0; t < run->target_count; t++) {
        uint32_t max = vz_index_max_result_window(run->targets[t].index);
        if (window > max)
            return vz_fail(err, VZ_LIMIT,
                           "Result window is too large, from + size must be less than or equal to: "
                           "[%u] but was [%lld]. See the scroll api for a more efficient way to "
                           "request large data sets. This limit can be set by changing the "
                           "[index.max_result_window] index level setting.",
                           max, (long long)window);
    }
    return VZ_OK;
}

static void keep_docs(struct vz_run *run, struct vz_retriever *leaf)
{
    const struct vz_collector *collector = &run->collector;
    leaf->doc_count = collector->count;
    leaf->docs = vz_arena_alloc(run->arena, (collector->count + 1) * sizeof *leaf->docs);
    for (size_t i = 0; i < collector->count; i++)
        leaf->docs[i] = (struct vz_scored){.target = collector->heap[i].target,
                                           .docno = collector->heap[i].docno,
                                           .score = collector->heap[i].score};
}

/* The best `window` of a leaf. `rescores` of a rescorer above it, which works on each target. */
static enum vz_status run_leaf(struct vz_run *run, struct vz_retriever *leaf,
                               const struct vz_retriever *parent, struct vz_error *err)
{
    const struct vz_search *whole = run->search;
    struct vz_search search = {.query = leaf->query,
                               .size = (uint32_t)parent->window,
                               .sort = leaf->sort,
                               .sort_count = leaf->sort_count,
                               .has_min_score = leaf->has_min_score,
                               .min_score = leaf->min_score,
                               .collapse = leaf->collapse,
                               .track_scores = true,
                               .arena = run->arena};
    if (parent->kind == VZ_RETRIEVER_RESCORER) {
        search.rescores = parent->rescores;
        search.rescore_count = parent->rescore_count;
    }
    if (leaf->kind == VZ_RETRIEVER_KNN) {
        search.knn = &leaf->knn;
        search.knn_count = 1;
    } else if (whole->track_total && !whole->aggs && whole->track_limit != UINT64_MAX) {
        search.track_total = true;
        search.track_limit = whole->track_limit;
    }
    struct vz_run child = {.arena = run->arena,
                           .targets = run->targets,
                           .target_count = run->target_count,
                           .deadline_ns = run->deadline_ns};
    enum vz_status status = check_window(run, parent->window, err);
    if (status != VZ_OK)
        return status;
    vz_run_begin(&child, &search, (size_t)parent->window);
    status = vz_run_find(&child, err);
    vz_run_end(&child);
    if (status != VZ_OK)
        return status;
    run->timed_out |= child.timed_out;
    keep_docs(&child, leaf);
    leaf->total = child.total;
    return VZ_OK;
}

/* ---- one list of several --------------------------------------------------------------------- */

static void normalize(const struct vz_retriever *child, enum vz_normalizer how, float *out)
{
    float low = FLT_MAX, high = FLT_TRUE_MIN;
    double squares = 0;
    for (size_t i = 0; i < child->doc_count; i++) {
        float score = child->docs[i].score;
        low = VZ_MIN(low, score);
        high = VZ_MAX(high, score);
        squares += (double)(score * score);
        out[i] = score;
    }
    double norm = sqrt(squares);
    bool alike = fabsf(low - high) < 1e-6f;
    for (size_t i = 0; i < child->doc_count; i++) {
        if (how == VZ_NORMALIZE_MINMAX)
            out[i] = alike ? 1.0f : (out[i] - low) / (high - low);
        else if (how == VZ_NORMALIZE_L2 && norm >= (double)1e-6f)
            out[i] = (float)((double)out[i] / norm);
    }
}

float vz_retriever_normalized(const struct vz_retriever *child, enum vz_normalizer how, size_t at)
{
    float *scores = vz_alloc((child->doc_count + 1) * sizeof *scores);
    normalize(child, how, scores);
    float score = scores[at];
    free(scores);
    return score;
}

static struct entry *gather(struct vz_run *run, const struct vz_retriever *tree, size_t *count)
{
    size_t all = 0, longest = 0;
    for (size_t c = 0; c < tree->child_count; c++) {
        all += tree->children[c]->doc_count;
        longest = VZ_MAX(longest, tree->children[c]->doc_count);
    }
    struct entry *entries = vz_arena_alloc(run->arena, (all + 1) * sizeof *entries);
    float *scores = vz_arena_alloc(run->arena, (longest + 1) * sizeof *scores);
    *count = 0;
    for (size_t c = 0; c < tree->child_count; c++) {
        const struct vz_retriever *child = tree->children[c];
        if (tree->kind == VZ_RETRIEVER_LINEAR)
            normalize(child, tree->normalizers[c], scores);
        for (size_t i = 0; i < child->doc_count; i++) {
            struct entry *entry = &entries[(*count)++];
            *entry = (struct entry){.doc = child->docs[i], .list = c, .rank = (uint32_t)i + 1};
            if (tree->kind == VZ_RETRIEVER_LINEAR)
                entry->doc.score = scores[i];
        }
    }
    qsort(entries, *count, sizeof *entries, by_place);
    return entries;
}

static float contribution(const struct vz_retriever *tree, const struct entry *entry)
{
    float weight = tree->weights[entry->list];
    if (tree->kind == VZ_RETRIEVER_LINEAR)
        return weight * entry->doc.score;
    return weight * (1.0f / (float)(tree->rank_constant + (int64_t)entry->rank));
}

/* A document of the fused list and where its entries begin. */
struct fused {
    struct vz_scored doc;
    const struct entry *first;
    size_t count;
};

static int by_score(const void *a, const void *b)
{
    return vz_scored_compare(&((const struct fused *)a)->doc, &((const struct fused *)b)->doc);
}

/* `rank`'s ties: who is in an earlier list, or scored higher there, comes first. */
static int by_score_then_lists(const void *a, const void *b)
{
    const struct fused *x = a, *y = b;
    if (x->doc.score != y->doc.score)
        return x->doc.score > y->doc.score ? -1 : 1;
    for (size_t i = 0; i < x->count && i < y->count; i++) {
        if (x->first[i].list != y->first[i].list)
            return x->first[i].list < y->first[i].list ? -1 : 1;
        if (x->first[i].doc.score != y->first[i].doc.score)
            return x->first[i].doc.score > y->first[i].doc.score ? -1 : 1;
    }
    if (x->count != y->count)
        return x->count > y->count ? -1 : 1;
    return vz_scored_compare(&x->doc, &y->doc);
}

static void fuse(struct vz_run *run, struct vz_retriever *tree)
{
    size_t count, kept = 0;
    struct entry *entries = gather(run, tree, &count);
    struct fused *fused = vz_arena_alloc(run->arena, (count + 1) * sizeof *fused);
    for (size_t i = 0; i < count; i++) {
        bool same = kept && vz_scored_compare_place(&fused[kept - 1].doc, &entries[i].doc) == 0;
        if (!same) {
            fused[kept] = (struct fused){.doc = entries[i].doc, .first = &entries[i]};
            fused[kept++].doc.score = 0;
        }
        fused[kept - 1].doc.score += contribution(tree, &entries[i]);
        fused[kept - 1].count++;
    }
    qsort(fused, kept, sizeof *fused, tree->is_legacy ? by_score_then_lists : by_score);
    tree->doc_count = VZ_MIN(kept, (size_t)tree->window);
    tree->docs = vz_arena_alloc(run->arena, (tree->doc_count + 1) * sizeof *tree->docs);
    for (size_t i = 0; i < tree->doc_count; i++)
        tree->docs[i] = fused[i].doc;
}

/* ---- another order of one -------------------------------------------------------------------- */

static struct vz_scored *copy_child(struct vz_run *run, struct vz_retriever *tree)
{
    const struct vz_retriever *child = tree->children[0];
    tree->doc_count = VZ_MIN(child->doc_count, (size_t)tree->window);
    tree->docs = vz_arena_alloc(run->arena, (tree->doc_count + 1) * sizeof *tree->docs);
    if (tree->doc_count)
        memcpy(tree->docs, child->docs, tree->doc_count * sizeof *tree->docs);
    return tree->docs;
}

/* A leaf was rescored as it was run; a compound's list is now, each target's part alone. */
static enum vz_status rescore(struct vz_run *run, struct vz_retriever *tree, struct vz_error *err)
{
    const struct vz_retriever *child = tree->children[0];
    struct vz_scored *docs = copy_child(run, tree);
    if (!vz_retriever_is_compound(child))
        return VZ_OK;
    struct vz_found *found = vz_arena_zalloc(run->arena, (tree->doc_count + 1) * sizeof *found);
    size_t kept = 0;
    for (uint32_t t = 0; t < run->target_count; t++) {
        size_t count = 0;
        for (size_t i = 0; i < tree->doc_count; i++)
            if (child->docs[i].target == t)
                found[count++] = (struct vz_found){
                    .target = t, .docno = child->docs[i].docno, .score = child->docs[i].score};
        enum vz_status status = vz_rescore_apply(&run->targets[t].eval, tree->rescores,
                                                 tree->rescore_count, found, count, err);
        if (status != VZ_OK)
            return status;
        for (size_t i = 0; i < count; i++)
            docs[kept++] =
                (struct vz_scored){.target = t, .docno = found[i].docno, .score = found[i].score};
    }
    qsort(docs, kept, sizeof *docs, vz_scored_compare);
    return VZ_OK;
}

/* Pins in their order, then the child's others; filters of the tree do not hide a pin. */
static void pin(struct vz_run *run, struct vz_retriever *tree)
{
    const struct vz_retriever *child = tree->children[0];
    size_t most = child->doc_count + tree->pins.count * run->target_count;
    struct vz_scored *docs = vz_arena_alloc(run->arena, (most + 1) * sizeof *docs);
    size_t kept = 0, pinned;
    for (size_t i = 0; i < tree->pins.count; i++)
        for (uint32_t t = 0; t < run->target_count; t++) {
            struct vz_eval *eval = &run->targets[t].eval;
            uint32_t docno;
            if (!vz_pin_find(eval, &tree->pins.pins[i], &docno))
                continue;
            docs[kept++] = (struct vz_scored){
                .target = t, .docno = docno, .score = vz_pin_score(i, tree->pins.count)};
        }
    pinned = kept;
    for (size_t i = 0; i < child->doc_count; i++) {
        bool is_pin = false;
        for (size_t p = 0; p < pinned && !is_pin; p++)
            is_pin = vz_scored_compare_place(&docs[p], &child->docs[i]) == 0;
        if (is_pin)
            continue;
        docs[kept] = child->docs[i];
        docs[kept].score = vz_pin_cap(docs[kept].score);
        kept++;
    }
    tree->docs = docs;
    tree->doc_count = VZ_MIN(kept, (size_t)tree->window);
}

static float positive(float score)
{
    return fmaxf(score, 0) + fminf((float)exp((double)score), 1);
}

static enum vz_status rerank(struct vz_run *run, struct vz_retriever *tree, struct vz_error *err)
{
    const struct vz_search *search = run->search;
    struct vz_scored *docs = copy_child(run, tree);
    struct vz_slice *texts = vz_arena_alloc(run->arena, (tree->doc_count + 1) * sizeof *texts);
    float *scores = vz_arena_alloc(run->arena, (tree->doc_count + 1) * sizeof *scores);
    enum vz_status status = VZ_OK;
    if (!search->reranker)
        return vz_fail(err, VZ_UNSUPPORTED, "[text_similarity_reranker] is not supported here");
    for (size_t i = 0; i < tree->doc_count && status == VZ_OK; i++)
        status = vz_field_text(&run->targets[docs[i].target].eval, docs[i].docno, tree->field,
                               &texts[i], err);
    if (status != VZ_OK || tree->doc_count == 0)
        return status;
    status = search->reranker->rerank(search->reranker->context, tree->inference_id,
                                      tree->inference_text, texts, tree->doc_count, scores, err);
    if (status != VZ_OK && tree->may_fail)
        return VZ_OK; /* in the order in which they came */
    if (status != VZ_OK)
        return status;
    size_t kept = 0;
    for (size_t i = 0; i < tree->doc_count; i++) {
        if (tree->has_min_score && scores[i] < tree->min_score)
            continue;
        docs[kept] = docs[i];
        docs[kept++].score = positive(scores[i]);
    }
    tree->doc_count = kept;
    qsort(docs, kept, sizeof *docs, vz_scored_compare);
    return VZ_OK;
}

/* ---- the tree -------------------------------------------------------------------------------- */

static void drop_low(struct vz_retriever *tree)
{
    size_t kept = 0;
    for (size_t i = 0; i < tree->doc_count && tree->has_min_score; i++)
        if (tree->docs[i].score >= tree->min_score)
            tree->docs[kept++] = tree->docs[i];
    if (tree->has_min_score)
        tree->doc_count = kept;
}

/* "[rrf] search failed - retrievers '[standard]' returned errors. ..." with the child's reason. */
static enum vz_status wrap_failure(const struct vz_retriever *tree,
                                   const struct vz_retriever *child, enum vz_status status,
                                   struct vz_error *err)
{
    if (!err || (status != VZ_BAD_QUERY && status != VZ_LIMIT && status != VZ_BAD_ARGUMENT) ||
        strstr(err->text, "] search failed - retrievers '"))
        return status;
    struct vz_error inner = *err;
    vz_fail(err, VZ_BAD_ARGUMENT,
            "[%s] search failed - retrievers '[%s]' returned errors. All failures are attached as "
            "suppressed exceptions.",
            vz_retriever_name(tree), vz_retriever_name(child));
    vz_fail_cause(err, "%s", inner.text);
    return VZ_BAD_ARGUMENT;
}

static enum vz_status run_tree(struct vz_run *run, struct vz_retriever *tree, struct vz_error *err)
{
    enum vz_status status = VZ_OK;
    for (size_t c = 0; c < tree->child_count && status == VZ_OK; c++) {
        struct vz_retriever *child = tree->children[c];
        status = vz_retriever_is_compound(child) ? run_tree(run, child, err)
                                                 : run_leaf(run, child, tree, err);
        if (status != VZ_OK)
            return wrap_failure(tree, child, status, err);
    }
    switch (tree->kind) {
    case VZ_RETRIEVER_RESCORER:
        status = rescore(run, tree, err);
        break;
    case VZ_RETRIEVER_PINNED:
        pin(run, tree);
        break;
    case VZ_RETRIEVER_RERANK:
        status = rerank(run, tree, err);
        break;
    default:
        fuse(run, tree);
    }
    if (status == VZ_OK)
        drop_low(tree);
    return status;
}

/* Whether a leaf alone has as many matches as anybody counts. */
static bool counted_out(const struct vz_search *search, const struct vz_retriever *tree)
{
    if (!vz_retriever_is_compound(tree))
        return tree->total > search->track_limit;
    for (size_t c = 0; c < tree->child_count; c++)
        if (counted_out(search, tree->children[c]))
            return true;
    return false;
}

/* A leaf without a query matches everything. */
static bool any_matches_all(const struct vz_retriever *tree)
{
    if (!vz_retriever_is_compound(tree))
        return tree->kind == VZ_RETRIEVER_STANDARD && !tree->query;
    for (size_t c = 0; c < tree->child_count; c++)
        if (any_matches_all(tree->children[c]))
            return true;
    return false;
}

/* What knn leaves found has no query: it matches with a score of nothing, unless it was chosen. */
static size_t knn_count(const struct vz_retriever *tree)
{
    size_t count = tree->kind == VZ_RETRIEVER_KNN ? tree->doc_count : 0;
    for (size_t c = 0; c < tree->child_count; c++)
        count += knn_count(tree->children[c]);
    return count;
}

static void add_knn(const struct vz_retriever *tree, struct vz_run *run)
{
    for (size_t i = 0; tree->kind == VZ_RETRIEVER_KNN && i < tree->doc_count; i++) {
        struct vz_scored *doc = &run->nearest[run->nearest_count++];
        *doc = tree->docs[i];
        doc->score = 0;
    }
    for (size_t c = 0; c < tree->child_count; c++)
        add_knn(tree->children[c], run);
}

/* One leaf of texts, counted to the end, beside knn: the total is its count and what knn found that
 * it did not. False when it has to be found out by looking at all. */
static bool count_beside(struct vz_run *run, const struct vz_retriever *tree, uint64_t *total)
{
    const struct vz_search *search = run->search;
    const struct vz_retriever *leaf = NULL;
    struct vz_run seen = {.nearest = NULL};
    bool plain = (tree->kind == VZ_RETRIEVER_RRF || tree->kind == VZ_RETRIEVER_LINEAR) &&
                 !search->aggs && !search->post_filter && !search->collapse &&
                 search->track_limit != UINT64_MAX;
    for (size_t c = 0; c < tree->child_count && plain; c++) {
        const struct vz_retriever *child = tree->children[c];
        plain = !vz_retriever_is_compound(child) &&
                (child->kind == VZ_RETRIEVER_KNN || (!leaf && child->query && !child->collapse));
        if (child->kind == VZ_RETRIEVER_STANDARD)
            leaf = child;
    }
    if (!plain || !leaf)
        return false;
    seen.nearest = vz_arena_alloc(run->arena, (knn_count(tree) + 1) * sizeof *seen.nearest);
    add_knn(tree, &seen);
    if (seen.nearest_count)
        qsort(seen.nearest, seen.nearest_count, sizeof *seen.nearest, vz_scored_compare_place);
    *total = leaf->total;
    for (size_t from = 0, to; from < seen.nearest_count; from = to) {
        struct vz_eval *eval = &run->targets[seen.nearest[from].target].eval;
        size_t count = 0;
        to = from;
        while (to < seen.nearest_count && seen.nearest[to].target == seen.nearest[from].target) {
            if (to == from || seen.nearest[to].docno != seen.nearest[from + count - 1].docno)
                seen.nearest[from + count++] = seen.nearest[to];
            to++;
        }
        uint64_t matching;
        if (!vz_texts_matching(eval, leaf->query, seen.nearest + from, count, &matching))
            return false;
        *total += count - matching;
    }
    return true;
}

static struct vz_node *new_node(struct vz_arena *arena, enum vz_node_kind kind)
{
    struct vz_node *node = vz_arena_zalloc(arena, sizeof *node);
    node->kind = kind;
    return node;
}

enum vz_status vz_retriever_run(struct vz_run *run, struct vz_search *last, struct vz_error *err)
{
    const struct vz_search *search = run->search;
    struct vz_retriever *tree = search->retriever;
    enum vz_status status = run_tree(run, tree, err);
    if (status != VZ_OK)
        return status;
    bool has_min_score = tree->has_min_score;
    for (size_t c = 0; c < tree->child_count; c++)
        has_min_score |= tree->children[c]->has_min_score;
    bool wants_all = search->aggs || (search->track_total && search->track_limit > tree->doc_count);
    *last = *search;
    last->retriever = NULL;
    last->knn_count = 0;
    if (has_min_score && !last->has_min_score) {
        last->has_min_score = true;
        last->min_score = FLT_TRUE_MIN;
    }
    bool at_limit = wants_all && !search->aggs && !last->has_min_score && counted_out(search, tree);
    uint64_t total = 0;
    if (wants_all && !at_limit && !last->has_min_score && count_beside(run, tree, &total)) {
        run->total = total - VZ_MIN(total, (uint64_t)tree->doc_count); /* those are counted again */
        wants_all = false;
    }
    last->query = new_node(run->arena, VZ_NODE_NONE);
    if (wants_all && !at_limit && (search->query || any_matches_all(tree))) {
        last->query = new_node(run->arena, VZ_NODE_CONSTANT); /* boost 0 */
        last->query->parts.items = vz_arena_alloc(run->arena, sizeof(struct vz_node *));
        last->query->parts.count = 1;
        last->query->parts.items[0] =
            any_matches_all(tree) ? new_node(run->arena, VZ_NODE_ALL) : search->query;
    }
    size_t extra = wants_all && !at_limit ? knn_count(tree) : 0;
    run->nearest = vz_arena_alloc(run->arena, (tree->doc_count + extra + 1) * sizeof *run->nearest);
    run->nearest_count = tree->doc_count;
    for (size_t i = 0; i < tree->doc_count; i++) {
        run->nearest[i] = tree->docs[i];
        run->nearest[i].score = VZ_MAX(run->nearest[i].score, FLT_TRUE_MIN);
    }
    run->ranked = vz_arena_alloc(run->arena, (tree->doc_count + 1) * sizeof *run->ranked);
    run->ranked_count = tree->doc_count;
    memcpy(run->ranked, run->nearest, tree->doc_count * sizeof *run->ranked);
    if (extra)
        add_knn(tree, run);
    run->nearest_capacity = run->nearest_count;
    run->collector.limit = VZ_MIN(run->collector.limit, tree->doc_count);
    if (at_limit)
        run->total = search->track_limit + 1;
    return VZ_OK;
}
