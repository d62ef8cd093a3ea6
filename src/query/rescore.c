/* rescore: the best documents of one target scored again by a query that may cost more.
 *
 * As in Elasticsearch each shard rescores its own best: the first `window_size` get their score
 * combined with the second query's, the others only times query_weight, and all are put in order
 * again; several rescorers come one after the other. A document that the second query does not
 * match keeps its score times query_weight, whatever the mode.
 */
#include "query/dsl.h"
#include "query/explain.h"
#include "query/fusion.h"

#include "text/score.h"

#include <math.h>
#include <stdlib.h>

/* ---- reading --------------------------------------------------------------------------------- */

static enum vz_status parse_mode(struct vz_json value, enum vz_rescore_mode *out,
                                 struct vz_error *err)
{
    static const char *const names[] = {"total", "multiply", "avg", "max", "min"};
    struct vz_slice text = vz_json_string(value);
    for (size_t i = 0; i < VZ_COUNT_OF(names); i++)
        if (text.len == strlen(names[i]) && strncasecmp(text.ptr, names[i], text.len) == 0) {
            *out = (enum vz_rescore_mode)i;
            return VZ_OK;
        }
    vz_fail(err, VZ_BAD_QUERY, "[query] failed to parse field [score_mode]");
    vz_fail_cause(err, "illegal score_mode [%.*s]", VZ_ARG(text));
    return VZ_BAD_QUERY;
}

static enum vz_status parse_query(struct vz_parser *parser, struct vz_json value,
                                  struct vz_rescore *out, struct vz_error *err)
{
    struct vz_json_iter it = vz_json_iterate(value);
    struct vz_slice key;
    struct vz_json member;
    while (vz_json_next(&it, &key, &member)) {
        enum vz_status status;
        if (vz_slice_is(key, "rescore_query"))
            status = vz_query_parse(parser, member, &out->query, err);
        else if (vz_slice_is(key, "query_weight"))
            status = vz_dsl_float("query", "query_weight", member, &out->query_weight, err);
        else if (vz_slice_is(key, "rescore_query_weight"))
            status =
                vz_dsl_float("query", "rescore_query_weight", member, &out->rescore_weight, err);
        else if (vz_slice_is(key, "score_mode"))
            status = parse_mode(member, &out->mode, err);
        else
            status = vz_fail(err, VZ_BAD_QUERY, "[query] unknown field [%.*s]", VZ_ARG(key));
        if (status != VZ_OK)
            return status;
    }
    if (!out->query)
        return vz_fail(err, VZ_BAD_ARGUMENT, "rescore_query cannot be null");
    return VZ_OK;
}

static enum vz_status parse_window(struct vz_json value, struct vz_rescore *out,
                                   struct vz_error *err)
{
    int64_t window;
    if (!vz_json_as_int(value, &window))
        return vz_fail(err, VZ_BAD_QUERY,
                       "Failed to parse [window_size]: expected an integer but got %s",
                       vz_query_token(value));
    if (window < 0)
        return vz_fail(err, VZ_BAD_QUERY, "[window_size] must be zero or more, found [%lld]",
                       (long long)window);
    if (window > VZ_MAX_RESCORE_WINDOW)
        return vz_fail(err, VZ_BAD_ARGUMENT,
                       "Rescore window [%lld] is too large. It must be less than [%d]. This "
                       "prevents allocating massive heaps for storing the results to be rescored. "
                       "This limit can be set by changing the [index.max_rescore_window] index "
                       "level setting.",
                       (long long)window, VZ_MAX_RESCORE_WINDOW);
    out->window = (uint32_t)window;
    return VZ_OK;
}

static enum vz_status parse_one(struct vz_parser *parser, struct vz_json value,
                                struct vz_rescore *out, struct vz_error *err)
{
    struct vz_json_iter it = vz_json_iterate(value);
    struct vz_slice key;
    struct vz_json member;
    *out = (struct vz_rescore){.query_weight = 1, .rescore_weight = 1, .window = VZ_DEFAULT_WINDOW};
    if (vz_json_type(value) != VZ_JSON_OBJECT)
        return vz_fail(err, VZ_BAD_QUERY, "unexpected token [%s] after [rescore]",
                       vz_query_token(value));
    while (vz_json_next(&it, &key, &member)) {
        enum vz_status status;
        bool is_object = vz_json_type(member) == VZ_JSON_OBJECT;
        if (vz_slice_is(key, "window_size"))
            status = parse_window(member, out, err);
        else if (is_object && out->query)
            status =
                vz_fail(err, VZ_BAD_QUERY, "you can either define [query] or [script], not both.");
        else if (is_object && vz_slice_is(key, "query"))
            status = parse_query(parser, member, out, err);
        else if (is_object && (vz_slice_is(key, "script") || vz_slice_is(key, "learning_to_rank")))
            status = vz_fail(err, VZ_UNSUPPORTED, "[rescore] [%.*s] is not supported yet by vizsla",
                             VZ_ARG(key));
        else if (is_object)
            status = vz_fail(err, VZ_BAD_QUERY, "unknown field [%.*s]", VZ_ARG(key));
        else
            status = vz_fail(err, VZ_BAD_QUERY, "rescore doesn't support [%.*s]", VZ_ARG(key));
        if (status != VZ_OK)
            return status;
    }
    return out->query ? VZ_OK : vz_fail(err, VZ_BAD_QUERY, "missing rescore type");
}

enum vz_status vz_rescore_parse(struct vz_parser *parser, struct vz_json value,
                                struct vz_rescore **out, size_t *count, struct vz_error *err)
{
    bool many = vz_json_type(value) == VZ_JSON_ARRAY;
    size_t most = many ? vz_json_count(value) : 1;
    struct vz_json_iter it = vz_json_iterate(value);
    struct vz_json element = value;
    if (most > VZ_MAX_RETRIEVERS)
        return vz_fail(err, VZ_BAD_QUERY, "[rescore] has [%zu] rescorers, at most [%d] are allowed",
                       most, VZ_MAX_RETRIEVERS);
    *out = vz_arena_zalloc(parser->arena, (most + 1) * sizeof(**out));
    *count = 0;
    while (*count < most && (!many || vz_json_next(&it, NULL, &element))) {
        enum vz_status status = parse_one(parser, element, &(*out)[*count], err);
        if (status != VZ_OK)
            return status;
        (*count)++;
    }
    return VZ_OK;
}

uint32_t vz_rescore_window(const struct vz_rescore *rescores, size_t count)
{
    uint32_t window = 0;
    for (size_t i = 0; i < count; i++)
        window = VZ_MAX(window, rescores[i].window);
    return window;
}

/* ---- running --------------------------------------------------------------------------------- */

static int by_score(const void *a, const void *b)
{
    const struct vz_found *x = a, *y = b;
    if (x->score != y->score)
        return x->score > y->score ? -1 : 1;
    return x->docno < y->docno ? -1 : x->docno > y->docno;
}

static float combine(enum vz_rescore_mode mode, float first, float second)
{
    switch (mode) {
    case VZ_RESCORE_MULTIPLY:
        return first * second;
    case VZ_RESCORE_AVG:
        return (first + second) / 2.0f;
    case VZ_RESCORE_MAX:
        return fmaxf(first, second);
    case VZ_RESCORE_MIN:
        return fminf(first, second);
    default:
        return first + second;
    }
}

static int by_docno(const void *a, const void *b)
{
    const struct vz_found *x = *(const struct vz_found *const *)a;
    const struct vz_found *y = *(const struct vz_found *const *)b;
    return x->docno < y->docno ? -1 : x->docno > y->docno;
}

/* Texts are asked about these documents alone. *done: they were. scores[i] is NAN where found[i]
 * does not match. */
static enum vz_status score_texts(struct vz_eval *eval, const struct vz_node *query,
                                  const struct vz_found *found, size_t count, float *scores,
                                  bool *done, struct vz_error *err)
{
    struct vz_text_query *plan = NULL;
    struct vz_docset filter = {0};
    enum vz_status status = vz_text_plan(eval, query, &plan, &filter, err);
    *done = status == VZ_OK && plan;
    if (!*done) {
        vz_docset_deinit(&filter);
        return status;
    }
    const struct vz_found **order = vz_alloc((count + 1) * sizeof *order);
    uint32_t *docs = vz_alloc((count + 1) * sizeof *docs);
    float *picked = vz_alloc((count + 1) * sizeof *picked);
    for (size_t i = 0; i < count; i++)
        order[i] = &found[i];
    qsort(order, count, sizeof *order, by_docno);
    for (size_t i = 0; i < count; i++)
        docs[i] = order[i]->docno;
    status = vz_text_pick(vz_snapshot_texts(eval->snap), plan, docs, count, picked, vz_text_late,
                          eval, err);
    for (size_t i = 0; i < count && status == VZ_OK; i++)
        if (vz_docset_has(&filter, docs[i]))
            scores[order[i] - found] = picked[i];
    free(order);
    free(docs);
    free(picked);
    vz_docset_deinit(&filter);
    return status;
}

static enum vz_status second_scores(struct vz_eval *eval, const struct vz_node *query,
                                    const struct vz_found *found, size_t count, float *scores,
                                    struct vz_error *err)
{
    struct vz_docset set;
    bool done;
    for (size_t i = 0; i < count; i++)
        scores[i] = NAN;
    enum vz_status status = score_texts(eval, query, found, count, scores, &done, err);
    if (status != VZ_OK || done)
        return status;
    status = vz_node_eval(eval, query, true, &set, err);
    if (status != VZ_OK)
        return status;
    for (size_t i = 0; i < count; i++)
        if (vz_docset_has(&set, found[i].docno))
            scores[i] = set.scores ? set.scores[found[i].docno] : set.constant;
    vz_docset_deinit(&set);
    return VZ_OK;
}

/* Which documents of a target a rescorer scored again. */
struct vz_rescored {
    struct vz_rescored *next;
    const struct vz_rescore *by;
    uint32_t *docnos; /* ascending */
    size_t count;
};

static int by_number(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

static void remember(struct vz_eval *eval, const struct vz_rescore *by,
                     const struct vz_found *found, size_t count)
{
    struct vz_rescored *done = vz_arena_zalloc(eval->arena, sizeof *done);
    done->by = by;
    done->docnos = vz_arena_alloc(eval->arena, (count + 1) * sizeof *done->docnos);
    done->count = count;
    for (size_t i = 0; i < count; i++)
        done->docnos[i] = found[i].docno;
    qsort(done->docnos, count, sizeof *done->docnos, by_number);
    done->next = eval->rescored;
    eval->rescored = done;
}

static bool was_rescored(const struct vz_eval *eval, const struct vz_rescore *by, uint32_t docno)
{
    for (const struct vz_rescored *done = eval->rescored; done; done = done->next)
        if (done->by == by &&
            bsearch(&docno, done->docnos, done->count, sizeof *done->docnos, by_number))
            return true;
    return false;
}

enum vz_status vz_rescore_apply(struct vz_eval *eval, const struct vz_rescore *rescores,
                                size_t rescore_count, struct vz_found *found, size_t count,
                                struct vz_error *err)
{
    float *scores = vz_alloc((count + 1) * sizeof *scores);
    enum vz_status status = VZ_OK;
    for (size_t r = 0; r < rescore_count && status == VZ_OK && count; r++) {
        const struct vz_rescore *rescore = &rescores[r];
        size_t window = VZ_MIN((size_t)rescore->window, count);
        if (eval->explained)
            remember(eval, rescore, found, window);
        status = second_scores(eval, rescore->query, found, window, scores, err);
        for (size_t i = 0; i < count && status == VZ_OK; i++) {
            found[i].score *= rescore->query_weight;
            if (i < window && !isnan(scores[i]))
                found[i].score =
                    combine(rescore->mode, found[i].score, scores[i] * rescore->rescore_weight);
        }
        if (status == VZ_OK)
            qsort(found, count, sizeof *found, by_score);
    }
    free(scores);
    return status;
}

/* ---- explaining ------------------------------------------------------------------------------ */

static struct vz_explanation *weighted(struct vz_arena *arena, struct vz_explanation *score,
                                       float weight, const char *name)
{
    struct vz_explanation *product =
        vz_explained(arena, true, score->value * weight, 2, "product of:");
    product->details[product->detail_count++] = score;
    product->details[product->detail_count++] = vz_explained(arena, true, weight, 0, "%s", name);
    return product;
}

static enum vz_status explain_one(struct vz_sampler *sampler, const struct vz_rescore *rescore,
                                  uint32_t docno, struct vz_explanation **explanation,
                                  struct vz_error *err)
{
    static const char *const modes[] = {"sum", "product", "avg", "max", "min"};
    struct vz_arena *arena = sampler->eval->arena;
    struct vz_explanation *first = *explanation, *second, *both;
    if (first->match) {
        first = weighted(arena, first, rescore->query_weight, "primaryWeight");
    } else {
        first = vz_explained(arena, false, 0, 1, "First pass did not match");
        first->details[first->detail_count++] = *explanation;
    }
    *explanation = first;
    if (!was_rescored(sampler->eval, rescore, docno))
        return VZ_OK;
    enum vz_status status = vz_explain_node(sampler, rescore->query, docno, &second, err);
    if (status != VZ_OK || !second->match)
        return status;
    second = weighted(arena, second, rescore->rescore_weight, "secondaryWeight");
    both = vz_explained(arena, true, combine(rescore->mode, first->value, second->value), 2,
                        "%s of:", modes[rescore->mode]);
    both->details[both->detail_count++] = first;
    both->details[both->detail_count++] = second;
    *explanation = both;
    return VZ_OK;
}

enum vz_status vz_rescore_explain(struct vz_sampler *sampler, const struct vz_rescore *rescores,
                                  size_t count, uint32_t docno, struct vz_explanation **explanation,
                                  struct vz_error *err)
{
    enum vz_status status = VZ_OK;
    for (size_t i = 0; i < count && status == VZ_OK; i++)
        status = explain_one(sampler, &rescores[i], docno, explanation, err);
    return status;
}
