/* Compound queries: docsets put together, scores added up.
 *
 * A docset has one score for all (`constant`) or an array of them. Arrays are made only when scores
 * differ between documents, which is when optional clauses match some and not others, or a knn
 * clause takes part; they come from calloc, so pages no match lies on are never touched.
 *
 * Scores as in Lucene: a bool's score is the sum over its matching must and should clauses times
 * its boost; filter and must_not add nothing; a bool of filters alone scores 0 and one without any
 * clause is match_all.
 */
#include "query/nested.h"

#include <stdlib.h>

#define FOR_EACH_BIT(bit, set)                                                                     \
    for (size_t bit = vz_bitset_next((set), 0); bit < (set)->bits;                                 \
         bit = vz_bitset_next((set), bit + 1))

static float *new_scores(struct vz_eval *eval)
{
    return vz_calloc((size_t)eval->limit + 1, sizeof(float));
}

static void multiply(struct vz_docset *set, float factor)
{
    if (factor == 1)
        return;
    set->constant *= factor;
    if (!set->scores)
        return;
    FOR_EACH_BIT(i, &set->bits) set->scores[i] *= factor;
}

/* scores[d] += the score of d in `part`, for d in both sets. */
static void add_scores(float *scores, const struct vz_bitset *bits, const struct vz_docset *part)
{
    if (part->kind == VZ_SET_NONE)
        return;
    if (part->kind == VZ_SET_ALL) {
        FOR_EACH_BIT(i, bits) scores[i] += part->constant;
        return;
    }
    for (size_t w = 0; w < vz_bitset_word_count(bits); w++) {
        uint64_t word = bits->words[w] & part->bits.words[w];
        while (word) {
            size_t i = w * 64 + (size_t)__builtin_ctzll(word);
            scores[i] += part->scores ? part->scores[i] : part->constant;
            word &= word - 1;
        }
    }
}

/* Clauses that run scripts come last and are asked of what the others let through. */
static void begin_within(struct vz_eval *eval, struct vz_within *within,
                         const struct vz_docset *set)
{
    *within = (struct vz_within){set, eval->within};
    eval->within = within;
}

static enum vz_status narrow(struct vz_eval *eval, struct vz_node_list list, bool late, bool negate,
                             struct vz_docset *out, struct vz_error *err)
{
    for (size_t i = 0; i < list.count; i++) {
        struct vz_docset part;
        if (list.items[i]->runs_script != late)
            continue;
        enum vz_status status = vz_node_eval(eval, list.items[i], false, &part, err);
        if (status != VZ_OK)
            return status;
        if (!negate)
            vz_docset_and(out, &part);
        else if (part.kind == VZ_SET_ALL)
            vz_docset_deinit(out);
        else if (part.kind == VZ_SET_BITS && out->kind != VZ_SET_NONE) {
            vz_docset_materialize(out, eval);
            vz_bitset_and_not(&out->bits, &part.bits);
        }
        vz_docset_deinit(&part);
    }
    return VZ_OK;
}

enum vz_status vz_filters_eval(struct vz_eval *eval, struct vz_node_list filters,
                               struct vz_docset *out, struct vz_error *err)
{
    struct vz_within within;
    *out = (struct vz_docset){.kind = VZ_SET_ALL};
    enum vz_status status = narrow(eval, filters, false, false, out, err);
    begin_within(eval, &within, out);
    if (status == VZ_OK)
        status = narrow(eval, filters, true, false, out, err);
    eval->within = within.outer;
    if (status == VZ_OK)
        vz_docset_settle(out, eval);
    else
        vz_docset_deinit(out);
    return status;
}

/* ---- bool ------------------------------------------------------------------------------------ */

/* The optional clauses together. One is evaluated at a time and let go, so that thousands of them
 * need the memory of one: who matches at least `minimum`, and the summed and largest scores. */
struct optional {
    struct vz_docset matches;
    uint16_t *counts;  /* matching clauses of each document; only for a minimum over 1 */
    float always;      /* score of the clauses that match everything ... */
    float always_best; /* ... and the largest of them */
    float *sum, *best; /* of the others; NULL while nothing is in them. best: dis_max only */
    bool alike;        /* one clause, one score: its score is in `always` */
};

static void optional_deinit(struct optional *optional)
{
    vz_docset_deinit(&optional->matches);
    free(optional->counts);
    free(optional->sum);
    free(optional->best);
}

static void count_part(struct vz_eval *eval, struct optional *optional,
                       const struct vz_docset *part)
{
    if (part->kind == VZ_SET_ALL)
        for (uint32_t i = 0; i < eval->limit; i++)
            optional->counts[i]++;
    else if (part->kind == VZ_SET_BITS)
        FOR_EACH_BIT(i, &part->bits) optional->counts[i]++;
}

static void join_part(struct vz_eval *eval, struct optional *optional, const struct vz_docset *part)
{
    struct vz_docset *matches = &optional->matches;
    if (part->kind == VZ_SET_NONE || matches->kind == VZ_SET_ALL)
        return;
    if (part->kind == VZ_SET_ALL) {
        vz_docset_deinit(matches);
        matches->kind = VZ_SET_ALL;
        return;
    }
    if (matches->kind == VZ_SET_NONE)
        vz_docset_materialize(matches, eval);
    vz_bitset_or(&matches->bits, &part->bits);
}

static void score_part(struct vz_eval *eval, struct optional *optional, bool want_best,
                       const struct vz_docset *part)
{
    if (part->kind == VZ_SET_ALL || (part->kind == VZ_SET_BITS && optional->alike)) {
        optional->always += part->constant;
        optional->always_best = VZ_MAX(optional->always_best, part->constant);
        return;
    }
    if (part->kind == VZ_SET_NONE)
        return;
    if (!optional->sum)
        optional->sum = new_scores(eval);
    if (want_best && !optional->best)
        optional->best = new_scores(eval);
    FOR_EACH_BIT(i, &part->bits)
    {
        float score = part->scores ? part->scores[i] : part->constant;
        optional->sum[i] += score;
        if (want_best)
            optional->best[i] = VZ_MAX(optional->best[i], score);
    }
}

/* With a single clause and `minimum` 1 whoever matches in the end matched it, so one score for all
 * stays one score for all. */
static enum vz_status eval_optional(struct vz_eval *eval, struct vz_node_list should, bool scores,
                                    bool want_best, size_t minimum, struct optional *out,
                                    struct vz_error *err)
{
    *out = (struct optional){0};
    if (minimum > 1)
        out->counts = vz_calloc((size_t)eval->limit + 1, sizeof(*out->counts));
    for (size_t i = 0; i < should.count; i++) {
        struct vz_docset part;
        enum vz_status status = vz_node_eval(eval, should.items[i], scores, &part, err);
        if (status != VZ_OK) {
            optional_deinit(out);
            *out = (struct optional){0};
            return status;
        }
        out->alike = should.count == 1 && minimum == 1 && !part.scores;
        if (minimum > 1)
            count_part(eval, out, &part);
        else
            join_part(eval, out, &part);
        if (scores)
            score_part(eval, out, want_best, &part);
        vz_docset_deinit(&part);
    }
    if (minimum <= 1)
        return VZ_OK;
    vz_docset_materialize(&out->matches, eval);
    for (uint32_t i = 0; i < eval->limit; i++)
        if (out->counts[i] >= minimum)
            vz_bitset_set(&out->matches.bits, i);
    return VZ_OK;
}

/* must: narrows `out`; scores are summed into constant or out->scores. */
static enum vz_status add_must(struct vz_eval *eval, struct vz_node_list must, bool late,
                               bool scores, struct vz_docset *out, struct vz_error *err)
{
    for (size_t i = 0; i < must.count; i++) {
        struct vz_docset part;
        if (must.items[i]->runs_script != late)
            continue;
        enum vz_status status = vz_node_eval(eval, must.items[i], scores, &part, err);
        if (status != VZ_OK)
            return status;
        vz_docset_and(out, &part);
        if (scores && part.scores) {
            if (!out->scores)
                out->scores = new_scores(eval);
            if (out->kind == VZ_SET_BITS)
                add_scores(out->scores, &out->bits, &part);
        } else
            out->constant += part.constant;
        vz_docset_deinit(&part);
    }
    return VZ_OK;
}

/* Adds the optional clauses' scores; makes an array when they differ between documents. */
static void add_optional(struct vz_eval *eval, struct optional *optional, struct vz_docset *out)
{
    out->constant += optional->always;
    if (!optional->sum)
        return;
    vz_docset_materialize(out, eval);
    if (!out->scores) {
        out->scores = optional->sum; /* what is in it beyond the matches is never read */
        optional->sum = NULL;
        return;
    }
    FOR_EACH_BIT(i, &out->bits) out->scores[i] += optional->sum[i];
}

static enum vz_status eval_bool(struct vz_eval *eval, const struct vz_node *node, bool scores,
                                struct vz_docset *out, struct vz_error *err)
{
    const struct vz_node_list *must = &node->boolean.must, *filter = &node->boolean.filter;
    const struct vz_node_list *should = &node->boolean.should, *not = &node->boolean.must_not;
    *out = (struct vz_docset){.kind = VZ_SET_ALL};
    if (must->count + filter->count + should->count + not ->count == 0) {
        out->constant = node->boost;
        return VZ_OK;
    }
    size_t minimum = 0;
    enum vz_status status = VZ_OK;
    if (node->boolean.minimum.len)
        status = vz_minimum_should_match(node->boolean.minimum, should->count, &minimum, err);
    if (minimum == 0 && should->count && must->count + filter->count == 0)
        minimum = 1;
    struct optional optional = {0};
    struct vz_within within;
    if (status == VZ_OK)
        status = add_must(eval, *must, false, scores, out, err);
    if (status == VZ_OK)
        status = narrow(eval, *filter, false, false, out, err);
    if (node->runs_script)
        begin_within(eval, &within, out);
    if (status == VZ_OK && node->runs_script)
        status = add_must(eval, *must, true, scores, out, err);
    if (status == VZ_OK && node->runs_script)
        status = narrow(eval, *filter, true, false, out, err);
    if (status == VZ_OK)
        status = eval_optional(eval, *should, scores, false, minimum, &optional, err);
    if (status == VZ_OK && minimum)
        vz_docset_and(out, &optional.matches);
    if (status == VZ_OK)
        status = narrow(eval, *not, false, true, out, err);
    if (status == VZ_OK && node->runs_script)
        status = narrow(eval, *not, true, true, out, err);
    if (node->runs_script)
        eval->within = within.outer;
    if (status == VZ_OK && scores && out->kind != VZ_SET_NONE)
        add_optional(eval, &optional, out);
    optional_deinit(&optional);
    if (status != VZ_OK) {
        vz_docset_deinit(out);
        return status;
    }
    if (out->scores && out->kind == VZ_SET_BITS) {
        if (out->constant != 0)
            FOR_EACH_BIT(i, &out->bits) out->scores[i] += out->constant;
    } else if (out->scores) { /* nothing matched */
        free(out->scores);
        out->scores = NULL;
    }
    multiply(out, node->boost);
    return VZ_OK;
}

/* ---- the others ------------------------------------------------------------------------------ */

/* max + tie_breaker * (sum - max) over the parts that match. */
static void dis_max_scores(const struct optional *parts, float tie_breaker, struct vz_docset *out)
{
    float best = parts->always_best, sum = parts->always;
    out->constant = best + tie_breaker * (sum - best);
    if (!parts->sum)
        return;
    FOR_EACH_BIT(i, &out->bits)
    {
        best = VZ_MAX(parts->always_best, parts->best[i]);
        sum = parts->always + parts->sum[i];
        out->scores[i] = best + tie_breaker * (sum - best);
    }
}

static enum vz_status eval_dis_max(struct vz_eval *eval, const struct vz_node *node, bool scores,
                                   struct vz_docset *out, struct vz_error *err)
{
    struct optional parts;
    enum vz_status status = eval_optional(eval, node->parts, scores, true, 1, &parts, err);
    if (status != VZ_OK)
        return status;
    *out = parts.matches;
    parts.matches = (struct vz_docset){0};
    if (scores && out->kind != VZ_SET_NONE) {
        if (parts.sum) {
            vz_docset_materialize(out, eval);
            out->scores = new_scores(eval);
        }
        dis_max_scores(&parts, node->factor, out);
    }
    optional_deinit(&parts);
    multiply(out, node->boost);
    return VZ_OK;
}

static enum vz_status eval_boosting(struct vz_eval *eval, const struct vz_node *node, bool scores,
                                    struct vz_docset *out, struct vz_error *err)
{
    struct vz_docset negative;
    enum vz_status status = vz_node_eval(eval, node->parts.items[0], scores, out, err);
    if (status != VZ_OK)
        return status;
    status = vz_node_eval(eval, node->parts.items[1], false, &negative, err);
    if (status != VZ_OK) {
        vz_docset_deinit(out);
        return status;
    }
    if (scores && out->kind != VZ_SET_NONE && negative.kind == VZ_SET_ALL)
        multiply(out, node->factor);
    else if (scores && out->kind != VZ_SET_NONE && negative.kind == VZ_SET_BITS) {
        vz_docset_materialize(out, eval);
        if (!out->scores) {
            out->scores = new_scores(eval);
            FOR_EACH_BIT(i, &out->bits) out->scores[i] = out->constant;
        }
        FOR_EACH_BIT(i, &negative.bits) out->scores[i] *= node->factor;
    }
    vz_docset_deinit(&negative);
    multiply(out, node->boost);
    return VZ_OK;
}

static enum vz_status eval_constant(struct vz_eval *eval, const struct vz_node *node,
                                    struct vz_docset *out, struct vz_error *err)
{
    enum vz_status status = vz_node_eval(eval, node->parts.items[0], false, out, err);
    free(out->scores);
    out->scores = NULL;
    out->constant = node->boost;
    return status;
}

static enum vz_status eval_knn(struct vz_eval *eval, const struct vz_node *node, bool scores,
                               struct vz_docset *out, struct vz_error *err)
{
    struct vz_scored *hits;
    size_t count;
    enum vz_status status = vz_knn_eval(eval, node->knn, &hits, &count, err);
    if (status != VZ_OK || count == 0)
        return status;
    vz_docset_materialize(out, eval);
    if (scores)
        out->scores = new_scores(eval);
    for (size_t i = 0; i < count; i++) {
        vz_bitset_set(&out->bits, hits[i].docno);
        if (scores)
            out->scores[hits[i].docno] = hits[i].score;
    }
    return VZ_OK;
}

static enum vz_status eval_expanded(struct vz_eval *eval, const struct vz_node *node, bool scores,
                                    struct vz_docset *out, struct vz_error *err)
{
    const struct vz_node *tree;
    enum vz_status status = vz_node_expand(eval, node, &tree, err);
    return status == VZ_OK ? vz_node_eval(eval, tree, scores, out, err) : status;
}

enum vz_status vz_node_eval(struct vz_eval *eval, const struct vz_node *node, bool scores,
                            struct vz_docset *out, struct vz_error *err)
{
    *out = (struct vz_docset){0};
    if (vz_eval_late(eval))
        return vz_fail(err, VZ_CANCELLED, "the search took too long");
    const struct vz_node *question = vz_semantic_match(eval, node);
    if (question)
        return eval_knn(eval, question, scores, out, err);
    switch (node->kind) {
    case VZ_NODE_BOOL:
        return eval_bool(eval, node, scores, out, err);
    case VZ_NODE_CONSTANT:
        return eval_constant(eval, node, out, err);
    case VZ_NODE_DIS_MAX:
        return eval_dis_max(eval, node, scores, out, err);
    case VZ_NODE_BOOSTING:
        return eval_boosting(eval, node, scores, out, err);
    case VZ_NODE_KNN:
        return eval_knn(eval, node, scores, out, err);
    case VZ_NODE_SCRIPT_SCORE:
        return vz_script_score_eval(eval, node, scores, out, err);
    case VZ_NODE_FUNCTION_SCORE:
        return vz_function_score_eval(eval, node, scores, out, err);
    case VZ_NODE_SCRIPT:
        return vz_script_query_eval(eval, node, out, err);
    case VZ_NODE_TERMS_SET:
        return vz_terms_set_eval(eval, node, scores, out, err);
    case VZ_NODE_RANK_FEATURE:
        return vz_rank_feature_eval(eval, node, scores, out, err);
    case VZ_NODE_DISTANCE_FEATURE:
        return vz_distance_feature_eval(eval, node, scores, out, err);
    case VZ_NODE_PINNED:
        return vz_pinned_eval(eval, node, scores, out, err);
    case VZ_NODE_NESTED:
        return vz_nested_eval(eval, node, scores, out, err);
    case VZ_NODE_MULTI_MATCH:
    case VZ_NODE_QUERY_STRING:
    case VZ_NODE_SIMPLE_STRING:
    case VZ_NODE_INTERVALS:
    case VZ_NODE_SPAN:
    case VZ_NODE_MORE_LIKE_THIS:
        return eval_expanded(eval, node, scores, out, err);
    case VZ_NODE_TEXT:
        *out = (struct vz_docset){.constant = node->boost};
        return vz_text_run(eval, node, scores, out, err);
    default:
        return vz_leaf_eval(eval, node, scores, out, err);
    }
}
