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
#include "query/parts.h"

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
    if (factor == 1) return;
    set->constant *= factor;
    if (!set->scores) return;
    FOR_EACH_BIT(i, &set->bits) set->scores[i] *= factor;
}

/* scores[d] += the score of d in `part`, for d in both sets. */
static void add_scores(float *scores, const struct vz_bitset *bits, const struct vz_docset *part)
{
    if (part->kind == VZ_SET_NONE) return;
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

enum vz_status vz_filters_eval(struct vz_eval *eval, struct vz_node_list filters,
                               struct vz_docset *out, struct vz_error *err)
{
    *out = (struct vz_docset){.kind = VZ_SET_ALL};
    for (size_t i = 0; i < filters.count && out->kind != VZ_SET_NONE; i++) {
        struct vz_docset part;
        enum vz_status status = vz_node_eval(eval, filters.items[i], false, &part, err);
        if (status != VZ_OK) {
            vz_docset_deinit(out);
            return status;
        }
        vz_docset_and(out, &part);
        vz_docset_deinit(&part);
    }
    vz_docset_settle(out, eval);
    return VZ_OK;
}

/* ---- bool ------------------------------------------------------------------------------------ */

/* The optional clauses together: who matches at least `minimum` of them, and their summed scores. */
struct optional {
    struct vz_docset matches; /* at least `minimum` */
    struct vz_docset *parts;  /* one a clause, kept for their scores */
    size_t count;
};

static void optional_deinit(struct optional *optional)
{
    for (size_t i = 0; i < optional->count; i++) vz_docset_deinit(&optional->parts[i]);
    vz_docset_deinit(&optional->matches);
}

static void count_matches(struct vz_eval *eval, struct optional *optional, size_t minimum)
{
    uint16_t *counts = vz_calloc((size_t)eval->limit + 1, sizeof(*counts));
    for (size_t p = 0; p < optional->count; p++) {
        const struct vz_docset *part = &optional->parts[p];
        if (part->kind == VZ_SET_ALL)
            for (uint32_t i = 0; i < eval->limit; i++) counts[i]++;
        else if (part->kind == VZ_SET_BITS)
            FOR_EACH_BIT(i, &part->bits) counts[i]++;
    }
    vz_docset_materialize(&optional->matches, eval);
    for (uint32_t i = 0; i < eval->limit; i++)
        if (counts[i] >= minimum) vz_bitset_set(&optional->matches.bits, i);
    free(counts);
}

static void any_match(struct vz_eval *eval, struct optional *optional)
{
    struct vz_docset *matches = &optional->matches;
    for (size_t p = 0; p < optional->count; p++) {
        const struct vz_docset *part = &optional->parts[p];
        if (part->kind == VZ_SET_ALL) {
            vz_docset_deinit(matches);
            matches->kind = VZ_SET_ALL;
            return;
        }
        if (part->kind != VZ_SET_BITS) continue;
        if (matches->kind == VZ_SET_NONE) vz_docset_materialize(matches, eval);
        vz_bitset_or(&matches->bits, &part->bits);
    }
}

static enum vz_status eval_optional(struct vz_eval *eval, struct vz_node_list should, bool scores,
                                    size_t minimum, struct optional *out, struct vz_error *err)
{
    *out = (struct optional){
        .parts = vz_arena_zalloc(eval->arena, (should.count + 1) * sizeof(*out->parts))};
    for (size_t i = 0; i < should.count; i++) {
        enum vz_status status = vz_node_eval(eval, should.items[i], scores, &out->parts[i], err);
        if (status != VZ_OK) {
            optional_deinit(out);
            return status;
        }
        out->count++;
    }
    if (minimum > should.count) return VZ_OK;
    if (minimum > 1)
        count_matches(eval, out, minimum);
    else
        any_match(eval, out);
    return VZ_OK;
}

/* must: narrows `out`; scores are summed into constant or out->scores. */
static enum vz_status add_must(struct vz_eval *eval, struct vz_node_list must, bool scores,
                               struct vz_docset *out, struct vz_error *err)
{
    for (size_t i = 0; i < must.count; i++) {
        struct vz_docset part;
        enum vz_status status = vz_node_eval(eval, must.items[i], scores, &part, err);
        if (status != VZ_OK) return status;
        vz_docset_and(out, &part);
        if (scores && part.scores) {
            if (!out->scores) out->scores = new_scores(eval);
            if (out->kind == VZ_SET_BITS) add_scores(out->scores, &out->bits, &part);
        } else
            out->constant += part.constant;
        vz_docset_deinit(&part);
    }
    return VZ_OK;
}

static enum vz_status narrow(struct vz_eval *eval, struct vz_node_list list, bool negate,
                             struct vz_docset *out, struct vz_error *err)
{
    for (size_t i = 0; i < list.count; i++) {
        struct vz_docset part;
        enum vz_status status = vz_node_eval(eval, list.items[i], false, &part, err);
        if (status != VZ_OK) return status;
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

/* Adds the optional clauses' scores; makes an array when they differ between documents. */
static void add_optional(struct vz_eval *eval, struct optional *optional, bool required,
                         struct vz_docset *out)
{
    bool varies = out->scores != NULL;
    for (size_t i = 0; i < optional->count; i++)
        varies |= optional->parts[i].scores || optional->parts[i].kind == VZ_SET_BITS;
    if (required && optional->count == 1 && !optional->parts[0].scores) {
        out->constant += optional->parts[0].constant; /* whoever is left matches it */
        return;
    }
    if (!varies) {
        for (size_t i = 0; i < optional->count; i++)
            if (optional->parts[i].kind == VZ_SET_ALL) out->constant += optional->parts[i].constant;
        return;
    }
    vz_docset_materialize(out, eval);
    if (!out->scores) out->scores = new_scores(eval);
    for (size_t i = 0; i < optional->count; i++)
        add_scores(out->scores, &out->bits, &optional->parts[i]);
}

static enum vz_status eval_bool(struct vz_eval *eval, const struct vz_node *node, bool scores,
                                struct vz_docset *out, struct vz_error *err)
{
    const struct vz_node_list *must = &node->boolean.must, *filter = &node->boolean.filter;
    const struct vz_node_list *should = &node->boolean.should, *not = &node->boolean.must_not;
    *out = (struct vz_docset){.kind = VZ_SET_ALL};
    if (must->count + filter->count + should->count + not->count == 0) {
        out->constant = node->boost;
        return VZ_OK;
    }
    size_t minimum = 0;
    enum vz_status status = VZ_OK;
    if (node->boolean.minimum.len)
        status = vz_minimum_should_match(node->boolean.minimum, should->count, &minimum, err);
    if (minimum == 0 && should->count && must->count + filter->count == 0) minimum = 1;
    struct optional optional = {0};
    bool want_optional = minimum || (should->count && scores);
    if (status == VZ_OK) status = add_must(eval, *must, scores, out, err);
    if (status == VZ_OK) status = narrow(eval, *filter, false, out, err);
    if (status == VZ_OK && want_optional)
        status = eval_optional(eval, *should, scores, minimum, &optional, err);
    else if (status == VZ_OK && should->count) /* checked all the same */
        status = eval_optional(eval, *should, false, 0, &optional, err);
    if (status == VZ_OK && minimum) vz_docset_and(out, &optional.matches);
    if (status == VZ_OK) status = narrow(eval, *not, true, out, err);
    if (status == VZ_OK && scores && want_optional && out->kind != VZ_SET_NONE)
        add_optional(eval, &optional, minimum > 0, out);
    optional_deinit(&optional);
    if (status != VZ_OK) {
        vz_docset_deinit(out);
        return status;
    }
    if (out->scores && out->kind == VZ_SET_BITS) {
        if (out->constant != 0) FOR_EACH_BIT(i, &out->bits) out->scores[i] += out->constant;
    } else if (out->scores) { /* nothing matched */
        free(out->scores);
        out->scores = NULL;
    }
    multiply(out, node->boost);
    return VZ_OK;
}

/* ---- the others ------------------------------------------------------------------------------ */

/* max + tie_breaker * (sum - max) over the parts that match. */
static void dis_max_scores(struct vz_eval *eval, struct optional *parts, float tie_breaker,
                           struct vz_docset *out)
{
    vz_docset_materialize(out, eval);
    out->scores = new_scores(eval);
    FOR_EACH_BIT(i, &out->bits)
    {
        float best = 0, sum = 0;
        for (size_t p = 0; p < parts->count; p++) {
            const struct vz_docset *part = &parts->parts[p];
            if (!vz_docset_has(part, (uint32_t)i)) continue;
            float score = part->scores ? part->scores[i] : part->constant;
            sum += score;
            best = VZ_MAX(best, score);
        }
        out->scores[i] = best + tie_breaker * (sum - best);
    }
}

static enum vz_status eval_dis_max(struct vz_eval *eval, const struct vz_node *node, bool scores,
                                   struct vz_docset *out, struct vz_error *err)
{
    struct optional parts;
    enum vz_status status = eval_optional(eval, node->parts, scores, 1, &parts, err);
    if (status != VZ_OK) return status;
    *out = parts.matches;
    parts.matches = (struct vz_docset){0};
    if (scores && out->kind != VZ_SET_NONE) dis_max_scores(eval, &parts, node->factor, out);
    optional_deinit(&parts);
    multiply(out, node->boost);
    return VZ_OK;
}

static enum vz_status eval_boosting(struct vz_eval *eval, const struct vz_node *node, bool scores,
                                    struct vz_docset *out, struct vz_error *err)
{
    struct vz_docset negative;
    enum vz_status status = vz_node_eval(eval, node->parts.items[0], scores, out, err);
    if (status != VZ_OK) return status;
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
    if (status != VZ_OK || count == 0) return status;
    vz_docset_materialize(out, eval);
    if (scores) out->scores = new_scores(eval);
    for (size_t i = 0; i < count; i++) {
        vz_bitset_set(&out->bits, hits[i].docno);
        if (scores) out->scores[hits[i].docno] = hits[i].score;
    }
    return VZ_OK;
}

enum vz_status vz_node_eval(struct vz_eval *eval, const struct vz_node *node, bool scores,
                            struct vz_docset *out, struct vz_error *err)
{
    *out = (struct vz_docset){0};
    if (vz_eval_late(eval)) return vz_fail(err, VZ_CANCELLED, "the search took too long");
    switch (node->kind) {
    case VZ_NODE_BOOL: return eval_bool(eval, node, scores, out, err);
    case VZ_NODE_CONSTANT: return eval_constant(eval, node, out, err);
    case VZ_NODE_DIS_MAX: return eval_dis_max(eval, node, scores, out, err);
    case VZ_NODE_BOOSTING: return eval_boosting(eval, node, scores, out, err);
    case VZ_NODE_KNN: return eval_knn(eval, node, scores, out, err);
    default: return vz_leaf_eval(eval, node, scores, out, err);
    }
}
