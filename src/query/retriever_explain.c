/* Why a retriever chose a document: the tree of retrievers in Elasticsearch's words, each list's
 * rank or score, and below it how its own query scored the document.
 *
 * It is about the lists that the run left in the tree, so nothing is searched again but the queries
 * of leaves, for the hits alone (the sampler). A weight of rrf that is not 1, and a list that keeps a
 * score of 0 or less in a linear sum, are told in words of our own.
 */
#include "query/explain.h"
#include "query/fusion.h"

#include <math.h>
#include <stdio.h>

static enum vz_status explain(struct vz_sampler *sampler, const struct vz_retriever *tree,
                              uint32_t docno, struct vz_explanation **out, struct vz_error *err);

/* Where a document stands in a list, from 1; 0: nowhere. */
static size_t rank_of(const struct vz_retriever *list, uint32_t target, uint32_t docno)
{
    for (size_t i = 0; i < list->doc_count; i++)
        if (list->docs[i].docno == docno && list->docs[i].target == target)
            return i + 1;
    return 0;
}

static void add(struct vz_explanation *node, struct vz_explanation *detail)
{
    node->details[node->detail_count++] = detail;
}

/* "[0]", "[0] [mine]" */
static const char *identified(const struct vz_retriever *tree, size_t child, struct vz_arena *arena)
{
    struct vz_slice name = tree->children[child]->name;
    if (!name.len)
        return vz_arena_printf(arena, "[%zu]", child);
    return vz_arena_printf(arena, "[%zu] [%.*s]", child, VZ_ARG(name));
}

static struct vz_explanation *ranked(const struct vz_retriever *list, size_t rank, size_t details,
                                     struct vz_arena *arena)
{
    char score[32];
    const struct vz_scored *doc = &list->docs[rank - 1];
    struct vz_explanation *node =
        vz_explained(arena, true, (float)rank, details,
                     "doc [%u] with an original score of [%s] is at rank [%zu] from the following "
                     "source queries.",
                     doc->docno, vz_query_number((double)doc->score, score), rank);
    node->whole = true;
    return node;
}

/* ---- leaves ---------------------------------------------------------------------------------- */

static struct vz_explanation *required(struct vz_explanation *part, struct vz_arena *arena)
{
    struct vz_explanation *node =
        vz_explained(arena, true, 0, 2, "match on required clause, product of:");
    add(node, vz_explained(arena, true, 0, 0, "# clause"));
    add(node, part);
    return node;
}

/* The vector's score, and that it is in the list. */
static enum vz_status explain_knn(struct vz_sampler *sampler, const struct vz_retriever *leaf,
                                  uint32_t docno, struct vz_explanation **out, struct vz_error *err)
{
    char number[32];
    struct vz_arena *arena = sampler->eval->arena;
    size_t rank = rank_of(leaf, sampler->eval->target, docno);
    struct vz_node_list filters = leaf->knn->filters;
    if (!rank) {
        *out = vz_explained(arena, false, 0, 0, "doc not found in top %zu rank docs",
                            leaf->doc_count);
        return VZ_OK;
    }
    float score = leaf->docs[rank - 1].score;
    *out = vz_explained(arena, true, score, filters.count + 2, "sum of:");
    add(*out, vz_explained(arena, true, score, 0, "found vector with calculated similarity: %s",
                           vz_query_number((double)score, number)));
    add(*out, required(ranked(leaf, rank, 0, arena), arena));
    enum vz_status status = VZ_OK;
    for (size_t i = 0; i < filters.count && status == VZ_OK; i++) {
        struct vz_explanation *filter;
        status = vz_explain_node(sampler, filters.items[i], docno, &filter, err);
        if (status == VZ_OK && filter->match)
            add(*out, required(filter, arena));
    }
    return status;
}

static enum vz_status explain_leaf(struct vz_sampler *sampler, const struct vz_retriever *leaf,
                                   uint32_t docno, struct vz_explanation **out,
                                   struct vz_error *err)
{
    if (leaf->kind == VZ_RETRIEVER_KNN)
        return explain_knn(sampler, leaf, docno, out, err);
    if (leaf->query)
        return vz_explain_node(sampler, leaf->query, docno, out, err);
    *out = vz_explained(sampler->eval->arena, true, 1, 0, "*:*");
    return VZ_OK;
}

/* ---- rrf, linear ----------------------------------------------------------------------------- */

static enum vz_status explain_rank(struct vz_sampler *sampler, const struct vz_retriever *tree,
                                   size_t child, size_t rank, uint32_t docno,
                                   struct vz_explanation **out, struct vz_error *err)
{
    char number[32], weight[64] = "";
    struct vz_arena *arena = sampler->eval->arena;
    const char *name = identified(tree, child, arena);
    struct vz_explanation *source;
    if (!rank) {
        *out = vz_explained(arena, false, 0, 0,
                            "rrf score: [0], result not found in query at index %s", name);
        return VZ_OK;
    }
    enum vz_status status = explain(sampler, tree->children[child], docno, &source, err);
    if (status != VZ_OK)
        return status;
    float score = tree->weights[child] * (1.0f / (float)(tree->rank_constant + (int64_t)rank));
    if (tree->weights[child] != 1)
        snprintf(weight, sizeof weight, "%s * ",
                 vz_query_number((double)tree->weights[child], number));
    *out = vz_explained(arena, true, (float)rank, 1,
                        "rrf score: [%s], for rank [%zu] in query at index %s computed as [%s1 / "
                        "(%zu + %lld)], for matching query with score",
                        vz_query_number((double)score, number), rank, name, weight, rank,
                        (long long)tree->rank_constant);
    (*out)->whole = true;
    add(*out, source);
    return VZ_OK;
}

static enum vz_status explain_rrf(struct vz_sampler *sampler, const struct vz_retriever *tree,
                                  float score, uint32_t docno, struct vz_explanation **out,
                                  struct vz_error *err)
{
    char number[32];
    struct vz_arena *arena = sampler->eval->arena;
    struct vz_buf ranks = {0};
    enum vz_status status = VZ_OK;
    bool weights = false;
    for (size_t i = 0; i < tree->child_count; i++) {
        vz_buf_printf(&ranks, "%s%zu", i ? ", " : "",
                      rank_of(tree->children[i], sampler->eval->target, docno));
        weights |= tree->weights[i] != 1;
    }
    *out = vz_explained(arena, true, score, tree->child_count,
                        "rrf score: [%s] computed for initial ranks [%.*s] with rankConstant: "
                        "[%lld] as sum of [%s1 / (rank + rankConstant)] for each query",
                        vz_query_number((double)score, number), VZ_ARG(vz_buf_slice(&ranks)),
                        (long long)tree->rank_constant, weights ? "weight * " : "");
    vz_buf_deinit(&ranks);
    for (size_t i = 0; i < tree->child_count && status == VZ_OK; i++) {
        struct vz_explanation *part;
        status = explain_rank(sampler, tree, i,
                              rank_of(tree->children[i], sampler->eval->target, docno), docno,
                              &part, err);
        if (status == VZ_OK)
            add(*out, part);
    }
    return status;
}

static enum vz_status explain_sum(struct vz_sampler *sampler, const struct vz_retriever *tree,
                                  size_t child, size_t rank, float normalized, uint32_t docno,
                                  struct vz_explanation **out, struct vz_error *err)
{
    static const char *const normalizers[] = {"none", "minmax", "l2_norm"};
    char one[32], two[32], three[32];
    struct vz_arena *arena = sampler->eval->arena;
    const char *name = identified(tree, child, arena);
    float weight = tree->weights[child];
    struct vz_explanation *source;
    if (!rank || !(normalized > 0)) {
        *out = vz_explained(arena, false, 0, 0,
                            rank ? "weighted score: [0], of no more than nothing in query at "
                                   "index %s"
                                 : "weighted score: [0], result not found in query at index %s",
                            name);
        return VZ_OK;
    }
    enum vz_status status = explain(sampler, tree->children[child], docno, &source, err);
    if (status != VZ_OK)
        return status;
    *out = vz_explained(arena, true, weight * normalized, 1,
                        "weighted score: [%s] in query at index %s computed as [%s * %s] using "
                        "score normalizer [%s] for original matching query with score:",
                        vz_query_number((double)(weight * normalized), one), name,
                        vz_query_number((double)weight, two),
                        vz_query_number((double)normalized, three),
                        normalizers[tree->normalizers[child]]);
    add(*out, source);
    return VZ_OK;
}

static enum vz_status explain_linear(struct vz_sampler *sampler, const struct vz_retriever *tree,
                                     float score, uint32_t docno, struct vz_explanation **out,
                                     struct vz_error *err)
{
    char number[32];
    struct vz_arena *arena = sampler->eval->arena;
    struct vz_buf scores = {0}, weights = {0};
    enum vz_status status = VZ_OK;
    struct vz_explanation **parts =
        vz_arena_zalloc(arena, (tree->child_count + 1) * sizeof(struct vz_explanation *));
    for (size_t i = 0; i < tree->child_count && status == VZ_OK; i++) {
        size_t rank = rank_of(tree->children[i], sampler->eval->target, docno);
        float normalized =
            rank ? vz_retriever_normalized(tree->children[i], tree->normalizers[i], rank - 1) : 0;
        vz_buf_printf(&scores, "%s%s", i ? ", " : "",
                      vz_query_number((double)normalized, number));
        vz_buf_printf(&weights, "%s%s", i ? ", " : "",
                      vz_query_number((double)tree->weights[i], number));
        status = explain_sum(sampler, tree, i, rank, normalized, docno, &parts[i], err);
    }
    *out = vz_explained(arena, true, score, tree->child_count,
                        "weighted linear combination score: [%s] computed for normalized scores "
                        "[%.*s] and weights [%.*s] as sum of (weight[i] * score[i]) for each "
                        "query.",
                        vz_query_number((double)score, number), VZ_ARG(vz_buf_slice(&scores)),
                        VZ_ARG(vz_buf_slice(&weights)));
    for (size_t i = 0; i < tree->child_count && status == VZ_OK; i++)
        add(*out, parts[i]);
    vz_buf_deinit(&scores);
    vz_buf_deinit(&weights);
    return status;
}

/* ---- another order of one -------------------------------------------------------------------- */

static enum vz_status explain_reordered(struct vz_sampler *sampler, const struct vz_retriever *tree,
                                        size_t rank, uint32_t docno, struct vz_explanation **out,
                                        struct vz_error *err)
{
    struct vz_arena *arena = sampler->eval->arena;
    const struct vz_retriever *child = tree->children[0];
    struct vz_explanation *source;
    float score = tree->docs[rank - 1].score;
    bool is_pin = tree->kind == VZ_RETRIEVER_PINNED && score > vz_pin_cap(INFINITY);
    enum vz_status status = explain(sampler, child, docno, &source, err);
    if (status != VZ_OK)
        return status;
    if (tree->kind == VZ_RETRIEVER_RERANK)
        *out = vz_explained(arena, true, score, 1,
                            "text_similarity_reranker match using inference endpoint: [%.*s] on "
                            "document field: [%.*s] matching on source query %s",
                            VZ_ARG(tree->inference_id), VZ_ARG(tree->field),
                            child->name.len
                                ? vz_arena_printf(arena, "[%.*s]", VZ_ARG(child->name))
                                : "");
    else if (is_pin)
        *out = vz_explained(arena, true, score, 1,
                            "Pinned document by %s, original explanation:",
                            tree->pins.count && tree->pins.pins[0].index.len ? "docs" : "ids");
    else
        *out = ranked(tree, rank, 1, arena);
    add(*out, source);
    return VZ_OK;
}

static enum vz_status explain(struct vz_sampler *sampler, const struct vz_retriever *tree,
                              uint32_t docno, struct vz_explanation **out, struct vz_error *err)
{
    if (!vz_retriever_is_compound(tree))
        return explain_leaf(sampler, tree, docno, out, err);
    size_t rank = rank_of(tree, sampler->eval->target, docno);
    if (!rank) {
        *out = vz_explained(sampler->eval->arena, false, 0, 0,
                            "doc not found in top %zu rank docs", tree->doc_count);
        return VZ_OK;
    }
    float score = tree->docs[rank - 1].score;
    if (tree->kind == VZ_RETRIEVER_RRF)
        return explain_rrf(sampler, tree, score, docno, out, err);
    if (tree->kind == VZ_RETRIEVER_LINEAR)
        return explain_linear(sampler, tree, score, docno, out, err);
    return explain_reordered(sampler, tree, rank, docno, out, err);
}

enum vz_status vz_retriever_explain(struct vz_sampler *sampler, const struct vz_retriever *tree,
                                    uint32_t docno, struct vz_slice *out, struct vz_error *err)
{
    struct vz_explanation *explanation;
    enum vz_status status = explain(sampler, tree, docno, &explanation, err);
    if (status == VZ_OK)
        *out = vz_explanation_json(explanation, sampler->eval->arena);
    return status;
}

/* ---- names ----------------------------------------------------------------------------------- */

bool vz_retriever_has_names(const struct vz_retriever *tree)
{
    bool any = tree->name.len > 0;
    for (size_t i = 0; i < tree->child_count && !any; i++)
        any = vz_retriever_has_names(tree->children[i]);
    return any;
}

enum vz_status vz_retriever_names(struct vz_sampler *sampler, const struct vz_retriever *tree,
                                  uint32_t docno,
                                  void (*note)(void *context, struct vz_slice name, float score),
                                  void *context, struct vz_error *err)
{
    enum vz_status status = VZ_OK;
    if (tree->name.len) {
        size_t rank = rank_of(tree, sampler->eval->target, docno);
        bool match = rank > 0;
        float score = rank ? tree->docs[rank - 1].score : 1;
        if (tree->kind == VZ_RETRIEVER_STANDARD) { /* whoever matches, in the list or not */
            match = true;
            if (tree->query)
                status = vz_sample_node(sampler, tree->query, docno, &match, &score, err);
        }
        if (status == VZ_OK && match)
            note(context, tree->name, score);
    }
    for (size_t i = 0; i < tree->child_count && status == VZ_OK; i++)
        status = vz_retriever_names(sampler, tree->children[i], docno, note, context, err);
    return status;
}
