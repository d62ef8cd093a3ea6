/* How a document's score came about, node by node, in the words of Lucene and Elasticsearch. A
 * boost is told at the leaves, as Lucene does: there it is multiplied in. */
#include "query/explain.h"

#include "query/filter.h"
#include "query/scripting.h"
#include "text/bm25.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

struct vz_sample {
    struct vz_sample *next;
    const struct vz_node *node;
    bool *match;
    float *score;
};

/* ---- samples --------------------------------------------------------------------------------- */

static size_t place_of(const struct vz_sampler *sampler, uint32_t docno)
{
    size_t low = 0, high = sampler->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (sampler->docnos[middle] < docno)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

enum vz_status vz_sample_node(struct vz_sampler *sampler, const struct vz_node *node,
                              uint32_t docno, bool *match, float *score, struct vz_error *err)
{
    struct vz_sample **bucket =
        &sampler->samples[(uintptr_t)node / sizeof *node % VZ_COUNT_OF(sampler->samples)];
    struct vz_sample *at = *bucket;
    size_t place = place_of(sampler, docno);
    while (at && at->node != node)
        at = at->next;
    if (!at) {
        struct vz_docset set, hits = {0};
        struct vz_within within = {&hits, sampler->eval->within};
        if (node->runs_script) { /* it may fail on what is no hit */
            vz_docset_begin(&hits, sampler->eval);
            for (size_t i = 0; i < sampler->count; i++)
                vz_bitset_set(&hits.bits, sampler->docnos[i]);
            sampler->eval->within = &within;
        }
        enum vz_status status = vz_node_eval(sampler->eval, node, true, &set, err);
        sampler->eval->within = within.outer;
        vz_docset_deinit(&hits);
        if (status != VZ_OK)
            return status;
        vz_docset_settle(&set, sampler->eval);
        at = vz_arena_zalloc(sampler->eval->arena, sizeof *at);
        at->node = node;
        at->match = vz_arena_zalloc(sampler->eval->arena, sampler->count + 1);
        at->score = vz_arena_zalloc(sampler->eval->arena, (sampler->count + 1) * sizeof(float));
        for (size_t i = 0; i < sampler->count; i++) {
            uint32_t d = sampler->docnos[i];
            at->match[i] = vz_docset_has(&set, d);
            if (at->match[i])
                at->score[i] = set.scores ? set.scores[d] : set.constant;
        }
        vz_docset_deinit(&set);
        at->next = *bucket;
        *bucket = at;
    }
    bool known = place < sampler->count && sampler->docnos[place] == docno;
    *match = known && at->match[place];
    *score = known ? at->score[place] : 0;
    return VZ_OK;
}

/* ---- pieces ---------------------------------------------------------------------------------- */

struct vz_explanation *vz_explained(struct vz_arena *arena, bool match, float value, size_t details,
                                    const char *format, ...)
{
    struct vz_explanation *node = vz_arena_zalloc(arena, sizeof *node);
    struct vz_buf text = {0};
    va_list args;
    va_start(args, format);
    vz_buf_vprintf(&text, format, args);
    va_end(args);
    node->match = match;
    node->value = match ? value : 0;
    node->description = vz_arena_copy(arena, vz_buf_slice(&text));
    vz_buf_deinit(&text);
    node->details = vz_arena_zalloc(arena, (details + 1) * sizeof *node->details);
    return node;
}

static void add(struct vz_explanation *node, struct vz_explanation *detail)
{
    node->details[node->detail_count++] = detail;
}

static const char *described(struct vz_eval *eval, const struct vz_node *node)
{
    struct vz_buf text = {0};
    vz_node_describe_plain(eval, node, &text);
    const char *copy = vz_arena_strdup(eval->arena, vz_buf_slice(&text));
    vz_buf_deinit(&text);
    return copy;
}

struct asked {
    struct vz_sampler *sampler;
    struct vz_eval *eval;
    struct vz_arena *arena;
    uint32_t docno;
    struct vz_error *err;
};

static enum vz_status explain(const struct asked *asked, const struct vz_node *node, float boost,
                              struct vz_explanation **out);

/* "price:[1 TO 5]^2.0" */
static struct vz_explanation *constant(const struct asked *asked, const char *text, bool match,
                                       float value)
{
    char number[32];
    if (!match)
        return vz_explained(asked->arena, false, 0, 0, "%s doesn't match id %u", text,
                            asked->docno);
    return vz_explained(asked->arena, true, value, 0, "%s%s%s", text, value != 1 ? "^" : "",
                        value != 1 ? vz_query_number((double)value, number) : "");
}

/* ---- leaves ---------------------------------------------------------------------------------- */

/* BM25 of a keyword's term: freq and length are 1. */
static struct vz_explanation *keyword_term(const struct asked *asked, const struct vz_node *node,
                                           const struct vz_field *field, float boost, float value)
{
    struct vz_column column;
    struct vz_arena *arena = asked->arena;
    uint64_t docs, values, doc_freq = node->doc_freq, ignored;
    const char *text = described(asked->eval, node);
    vz_snapshot_column(asked->eval->snap, field->id, &column);
    vz_field_totals(asked->eval, field, &column, &docs, &values);
    if (!doc_freq && vz_keyword_stats(asked->eval, node, field, &doc_freq, &ignored, &ignored,
                                      asked->err) != VZ_OK)
        doc_freq = 0;
    struct vz_bm25 bm25;
    struct vz_bm25_stats stats = {.boost = boost,
                                  .k1 = field->scoring.k1,
                                  .b = field->scoring.b,
                                  .doc_count = docs,
                                  .sum_total_freqs = values};
    vz_bm25_init(&bm25, &stats, &doc_freq, 1);
    struct vz_explanation *outer =
        vz_explained(arena, true, value, 1,
                     "weight(%s in %u) [PerFieldSimilarity], result of:", text, asked->docno);
    struct vz_explanation *score =
        vz_explained(arena, true, value, 3, "score(freq=1.0), computed as boost * idf * tf from:");
    add(outer, score);
    if (boost * (1 + bm25.k1) != 1)
        add(score, vz_explained(arena, true, boost * (1 + bm25.k1), 0, "boost"));
    struct vz_explanation *idf = vz_explained(
        arena, true, bm25.idf, 2, "idf, computed as log(1 + (N - n + 0.5) / (n + 0.5)) from:");
    add(score, idf);
    add(idf,
        vz_explained(arena, true, (float)doc_freq, 0, "n, number of documents containing term"));
    add(idf, vz_explained(arena, true, (float)docs, 0, "N, total number of documents with field"));
    idf->details[0]->whole = idf->details[1]->whole = true;
    struct vz_explanation *tf =
        vz_explained(arena, true, vz_bm25_tf(&bm25, 1, 1), 5,
                     "tf, computed as freq / (freq + k1 * (1 - b + b * dl / avgdl)) from:");
    add(score, tf);
    add(tf, vz_explained(arena, true, 1, 0, "freq, occurrences of term within document"));
    add(tf, vz_explained(arena, true, bm25.k1, 0, "k1, term saturation parameter"));
    add(tf, vz_explained(arena, true, bm25.b, 0, "b, length normalization parameter"));
    add(tf, vz_explained(arena, true, 1, 0, "dl, length of field"));
    add(tf, vz_explained(arena, true, bm25.average_length, 0, "avgdl, average length of field"));
    return outer;
}

static enum vz_status explain_text(const struct asked *asked, const struct vz_text_query *query,
                                   float boost, struct vz_explanation **out)
{
    const struct vz_text_view *view = vz_snapshot_texts(asked->eval->snap);
    if (!view) {
        *out = vz_explained(asked->arena, false, 0, 0, "no matching term");
        return VZ_OK;
    }
    return vz_text_explain(view, query, boost, asked->docno, asked->arena, out, asked->err);
}

static enum vz_status explain_leaf(const struct asked *asked, const struct vz_node *node,
                                   float boost, struct vz_explanation **out)
{
    const struct vz_field *field = vz_filter_field(asked->eval, node->field);
    struct vz_text_query *query;
    bool match;
    float value;
    bool zero_terms = node->match && node->match->zero_terms_all;
    if (field && field->type == VZ_FIELD_TEXT && node->kind != VZ_NODE_EXISTS &&
        node->kind < VZ_NODE_SCRIPT && !zero_terms) {
        struct vz_node plain = *node;
        plain.boost = 1;
        enum vz_status status = vz_text_build(asked->eval, &plain, field, &query, asked->err);
        return status == VZ_OK ? explain_text(asked, query, boost * node->boost, out) : status;
    }
    enum vz_status status =
        vz_sample_node(asked->sampler, node, asked->docno, &match, &value, asked->err);
    if (status != VZ_OK)
        return status;
    value *= boost;
    bool term =
        field && node->kind == VZ_NODE_TERM && !node->fold_case && field->indexed &&
        !field->scoring.is_boolean &&
        (field->type == VZ_FIELD_KEYWORD || field->type == VZ_FIELD_BOOLEAN) &&
        !(node->match && (node->match->fuzziness.len || node->match->type == VZ_MATCH_BOOL_PREFIX));
    if (term && match)
        *out = keyword_term(asked, node, field, boost * node->boost, value);
    else if (term)
        *out = vz_explained(asked->arena, false, 0, 0, "no matching term");
    else
        *out = constant(asked, described(asked->eval, node), match, value);
    return VZ_OK;
}

/* ---- bool ------------------------------------------------------------------------------------ */

enum role { REQUIRED, FILTER, PROHIBITED, OPTIONAL };

struct sum {
    struct vz_explanation *good, *bad; /* the details if it matches, if it does not */
    double value;
    size_t optional;
    bool any, failed;
};

static enum vz_status explain_list(const struct asked *asked, struct vz_node_list list,
                                   enum role role, float boost, struct sum *sum)
{
    for (size_t i = 0; i < list.count; i++) {
        struct vz_explanation *part;
        const struct vz_node *node = list.items[i];
        enum vz_status status = explain(asked, node, boost, &part);
        if (status != VZ_OK)
            return status;
        if (part->match && role == PROHIBITED) {
            struct vz_explanation *no =
                vz_explained(asked->arena, false, 0, 1, "match on prohibited clause (%s)",
                             described(asked->eval, node));
            add(no, part);
            add(sum->bad, no);
            sum->failed = true;
        } else if (part->match && role == FILTER) {
            struct vz_explanation *required =
                vz_explained(asked->arena, true, 0, 2, "match on required clause, product of:");
            add(required, vz_explained(asked->arena, true, 0, 0, "# clause"));
            add(required, part);
            add(sum->good, required);
            add(sum->bad, required);
            sum->any = true;
        } else if (part->match) {
            add(sum->good, part);
            add(sum->bad, part);
            sum->value += (double)part->value;
            sum->any = true;
            sum->optional += role == OPTIONAL;
        } else if (role == REQUIRED || role == FILTER) {
            struct vz_explanation *no =
                vz_explained(asked->arena, false, 0, 1, "no match on required clause (%s)",
                             described(asked->eval, node));
            add(no, part);
            add(sum->bad, no);
            sum->failed = true;
        }
    }
    return VZ_OK;
}

static enum vz_status explain_bool(const struct asked *asked, const struct vz_node *node,
                                   float boost, struct vz_explanation **out)
{
    const struct vz_node_list *must = &node->boolean.must, *filter = &node->boolean.filter;
    const struct vz_node_list *should = &node->boolean.should, *not = &node->boolean.must_not;
    size_t room = must->count + filter->count + should->count + not ->count + 1, minimum = 0;
    struct sum sum = {0};
    enum vz_status status = VZ_OK;
    if (room == 1) {
        *out = constant(asked, "*:*", true, boost);
        return VZ_OK;
    }
    if (node->boolean.minimum.len)
        status =
            vz_minimum_should_match(node->boolean.minimum, should->count, &minimum, asked->err);
    if (status != VZ_OK)
        return status;
    bool pure_negative = must->count + filter->count + should->count == 0;
    sum.good = vz_explained(asked->arena, true, 0, room, "sum of:");
    sum.bad = vz_explained(asked->arena, true, 0, room, "sum of:");
    status = explain_list(asked, *must, REQUIRED, boost, &sum);
    if (status == VZ_OK)
        status = explain_list(asked, *not, PROHIBITED, boost, &sum);
    if (status == VZ_OK)
        status = explain_list(asked, *should, OPTIONAL, boost, &sum);
    if (status == VZ_OK)
        status = explain_list(asked, *filter, FILTER, boost, &sum);
    if (status != VZ_OK)
        return status;
    if (pure_negative && !sum.failed) {
        struct vz_explanation *required =
            vz_explained(asked->arena, true, 0, 2, "match on required clause, product of:");
        add(required, vz_explained(asked->arena, true, 0, 0, "# clause"));
        add(required, constant(asked, "*:*", true, 1));
        add(sum.good, required);
        sum.any = true;
    }
    if (!sum.failed && sum.any && sum.optional >= minimum) {
        *out = sum.good;
        (*out)->value = (float)sum.value;
        return VZ_OK;
    }
    *out =
        vz_explained(asked->arena, false, 0, 0, "%s%s",
                     sum.failed ? "Failure to meet condition(s) of required/prohibited clause(s)"
                     : !sum.any ? "No matching clauses"
                                : "Failure to match minimum number of optional clauses: ",
                     sum.failed || !sum.any ? "" : vz_arena_printf(asked->arena, "%zu", minimum));
    (*out)->details = sum.bad->details;
    (*out)->detail_count = sum.bad->detail_count;
    return VZ_OK;
}

/* ---- the others ------------------------------------------------------------------------------ */

static enum vz_status explain_dis_max(const struct asked *asked, const struct vz_node *node,
                                      float boost, struct vz_explanation **out)
{
    char number[32];
    size_t room = node->parts.count + 1;
    struct vz_explanation *good =
        node->factor == 0
            ? vz_explained(asked->arena, true, 0, room, "max of:")
            : vz_explained(asked->arena, true, 0, room, "max plus %s times others of:",
                           vz_query_number((double)node->factor, number));
    struct vz_explanation *bad = vz_explained(asked->arena, false, 0, room, "No matching clause");
    double best = 0, others = 0;
    for (size_t i = 0; i < node->parts.count; i++) {
        struct vz_explanation *part;
        enum vz_status status = explain(asked, node->parts.items[i], boost, &part);
        if (status != VZ_OK)
            return status;
        add(part->match ? good : bad, part);
        if (!part->match)
            continue;
        others += (double)part->value >= best ? best : (double)part->value;
        best = VZ_MAX(best, (double)part->value);
    }
    good->value = (float)(best + others * (double)node->factor);
    *out = good->detail_count ? good : bad;
    return VZ_OK;
}

static enum vz_status explain_boosting(const struct asked *asked, const struct vz_node *node,
                                       float boost, struct vz_explanation **out)
{
    struct vz_explanation *positive, *negative;
    const char *text = described(asked->eval, node);
    enum vz_status status = explain(asked, node->parts.items[0], 1, &positive);
    if (status == VZ_OK)
        status = explain(asked, node->parts.items[1], 1, &negative);
    *out = positive;
    if (status != VZ_OK || !positive->match)
        return status;
    struct vz_explanation *product = positive;
    if (negative->match) {
        product =
            vz_explained(asked->arena, true, positive->value * node->factor, 2, "product of:");
        struct vz_explanation *matched =
            vz_explained(asked->arena, true, node->factor, 1, "Matched boosting query %s",
                         described(asked->eval, node->parts.items[1]));
        add(matched, negative);
        add(product, positive);
        add(product, matched);
    }
    *out = vz_explained(asked->arena, true, product->value * boost, 2, "weight(%s), %s of:", text,
                        boost != 1 ? "product" : "result");
    if (boost != 1)
        add(*out, vz_explained(asked->arena, true, boost, 0, "boost"));
    add(*out, product);
    return VZ_OK;
}

static enum vz_status explain_constant(const struct asked *asked, const struct vz_node *node,
                                       float boost, struct vz_explanation **out)
{
    bool match;
    float value;
    enum vz_status status =
        vz_sample_node(asked->sampler, node, asked->docno, &match, &value, asked->err);
    if (status == VZ_OK)
        *out = constant(asked, described(asked->eval, node), match, boost);
    return status;
}

/* Values of vectors, scripts and objects are what their evaluation says. */
static enum vz_status explain_sampled(const struct asked *asked, const struct vz_node *node,
                                      float boost, struct vz_explanation **out)
{
    bool match;
    float value, own = node->boost != 0 ? boost / node->boost : 1;
    static const char *const modes[] = {"Avg", "Max", "Min", "Total", "None"};
    struct vz_explanation *inner;
    enum vz_status status =
        vz_sample_node(asked->sampler, node, asked->docno, &match, &value, asked->err);
    if (status != VZ_OK)
        return status;
    value *= own;
    if (node->kind == VZ_NODE_KNN) {
        *out = match
                   ? vz_explained(asked->arena, true, value, 0, "within top %u docs", node->knn->k)
                   : vz_explained(asked->arena, false, 0, 0, "not in top %u docs", node->knn->k);
        return VZ_OK;
    }
    if (node->kind == VZ_NODE_PINNED) {
        *out = vz_explained(asked->arena, match, value, 0,
                            match ? "pinned or organic, score of:" : "neither pinned nor organic");
        return VZ_OK;
    }
    if (node->kind == VZ_NODE_NESTED) {
        *out = match ? vz_explained(asked->arena, true, value, 0,
                                    "Score based on child docs of %u, using score mode %s",
                                    asked->docno, modes[node->nested.mode])
                     : vz_explained(asked->arena, false, 0, 0, "Not a match");
        return VZ_OK;
    }
    status = explain(asked, vz_script_score_query(node), 1, &inner);
    *out = inner;
    if (status != VZ_OK || !inner->match)
        return status;
    struct vz_slice source = vz_script_score_source(node);
    if (!match) {
        *out = vz_explained(asked->arena, false, 0, 0, "Score value is too low");
        return VZ_OK;
    }
    *out = vz_explained(asked->arena, true, value, 1,
                        "script score function, computed with script:\"Script{type=inline, "
                        "lang='painless', idOrCode='%.*s', options={}, params={}}\"",
                        VZ_ARG(source));
    struct vz_explanation *score = vz_explained(asked->arena, true, inner->value, 1, "_score: ");
    add(score, inner);
    add(*out, score);
    return VZ_OK;
}

static enum vz_status explain_functions(const struct asked *asked, const struct vz_node *node,
                                        float boost, struct vz_explanation **out)
{
    const struct vz_node *query = vz_function_score_query(node);
    struct vz_explanation *inner;
    enum vz_status status = VZ_OK;
    if (query)
        status = explain(asked, query, boost, &inner);
    else
        inner = constant(asked, "*:*", true, boost);
    *out = inner;
    if (status != VZ_OK || !inner->match)
        return status;
    return vz_function_score_explain(asked->sampler, node, asked->docno, inner, out, asked->err);
}

static enum vz_status explain(const struct asked *asked, const struct vz_node *node, float boost,
                              struct vz_explanation **out)
{
    enum vz_status status = vz_node_expand(asked->eval, node, &node, asked->err);
    if (status != VZ_OK)
        return status;
    float own = boost * node->boost;
    switch (node->kind) {
    case VZ_NODE_ALL:
        *out = constant(asked, "*:*", true, own);
        return VZ_OK;
    case VZ_NODE_NONE:
        *out = vz_explained(asked->arena, false, 0, 0, "%s", described(asked->eval, node));
        return VZ_OK;
    case VZ_NODE_TEXT:
        return explain_text(asked, node->text_query, own, out);
    case VZ_NODE_BOOL:
        return explain_bool(asked, node, own, out);
    case VZ_NODE_DIS_MAX:
        return explain_dis_max(asked, node, own, out);
    case VZ_NODE_CONSTANT:
        return explain_constant(asked, node, own, out);
    case VZ_NODE_BOOSTING:
        return explain_boosting(asked, node, own, out);
    case VZ_NODE_KNN:
    case VZ_NODE_NESTED:
    case VZ_NODE_PINNED:
    case VZ_NODE_SCRIPT_SCORE:
        return explain_sampled(asked, node, own, out);
    case VZ_NODE_FUNCTION_SCORE:
        return explain_functions(asked, node, own, out);
    default:
        return explain_leaf(asked, node, boost, out);
    }
}

/* ---- a search -------------------------------------------------------------------------------- */

static void print(const struct vz_explanation *explanation, struct vz_json_writer *w)
{
    vz_json_begin_object(w);
    vz_json_key(w, "value");
    if (explanation->whole)
        vz_json_put_uint(w, (uint64_t)explanation->value);
    else
        vz_json_put_float(w, explanation->value);
    vz_json_field_string(w, "description", explanation->description);
    vz_json_key(w, "details");
    vz_json_begin_array(w);
    for (size_t i = 0; i < explanation->detail_count; i++)
        print(explanation->details[i], w);
    vz_json_end_array(w);
    vz_json_end_object(w);
}

/* The query and the knn clauses beside it, as clauses of one bool. */
static const struct vz_node *all_of(struct vz_eval *eval, const struct vz_search *search)
{
    if (search->knn_count == 0 && search->query)
        return search->query;
    struct vz_node *all = vz_arena_zalloc(eval->arena, sizeof *all);
    all->kind = search->knn_count ? VZ_NODE_BOOL : VZ_NODE_ALL;
    all->boost = 1;
    struct vz_node_list *should = &all->boolean.should;
    if (!search->knn_count)
        return all;
    should->items = vz_arena_alloc(eval->arena, (search->knn_count + 2) * sizeof(struct vz_node *));
    if (search->query)
        should->items[should->count++] = search->query;
    for (size_t i = 0; i < search->knn_count; i++) {
        struct vz_node *knn = vz_arena_zalloc(eval->arena, sizeof *knn);
        knn->kind = VZ_NODE_KNN;
        knn->boost = 1;
        knn->knn = search->knn[i];
        should->items[should->count++] = knn;
    }
    return should->count == 1 ? should->items[0] : all;
}

struct vz_slice vz_explanation_json(const struct vz_explanation *explanation,
                                    struct vz_arena *arena)
{
    struct vz_buf text = {0};
    struct vz_json_writer w = vz_json_writer_on(&text);
    print(explanation, &w);
    struct vz_slice json = vz_arena_copy(arena, vz_buf_slice(&text));
    vz_buf_deinit(&text);
    return json;
}

enum vz_status vz_explain_node(struct vz_sampler *sampler, const struct vz_node *node,
                               uint32_t docno, struct vz_explanation **out, struct vz_error *err)
{
    struct asked asked = {sampler, sampler->eval, sampler->eval->arena, docno, err};
    return explain(&asked, node, 1, out);
}

enum vz_status vz_explain_search(struct vz_sampler *sampler, const struct vz_search *search,
                                 uint32_t docno, bool *matched, struct vz_slice *out,
                                 struct vz_error *err)
{
    struct vz_explanation *explanation;
    if (!sampler->whole)
        sampler->whole = all_of(sampler->eval, search);
    enum vz_status status = vz_explain_node(sampler, sampler->whole, docno, &explanation, err);
    if (status == VZ_OK && search->rescore_count)
        status = vz_rescore_explain(sampler, search->rescores, search->rescore_count, docno,
                                    &explanation, err);
    if (status != VZ_OK)
        return status;
    *matched = explanation->match;
    *out = vz_explanation_json(explanation, sampler->eval->arena);
    return VZ_OK;
}
