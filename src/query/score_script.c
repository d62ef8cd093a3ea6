/* script_score: the documents of a query, scored by a script.
 *
 * A script that is a vector function times a factor plus a summand, which is what exact vector
 * search sends, is run over the rows without the machine in between; everything else a document at
 * a time. As in Elasticsearch a score that is negative or no number ends the search.
 */
#include "query/dsl.h"
#include "query/scripting.h"

#include <math.h>
#include <stdlib.h>

struct vz_script_clause {
    struct vz_node *query;
    struct vz_script_text script;
    bool has_script, has_min_score;
    float min_score;
};

static enum vz_status visit(struct vz_parser *parser, struct vz_node *node, struct vz_slice key,
                            struct vz_json value, struct vz_error *err)
{
    struct vz_script_clause *clause = node->script;
    if (vz_slice_is(key, "query")) {
        if (vz_json_type(value) != VZ_JSON_OBJECT)
            return vz_fail(err, VZ_BAD_QUERY,
                           "[script_score] query malformed, no start_object "
                           "after query name");
        return vz_query_parse(parser, value, &clause->query, err);
    }
    if (vz_slice_is(key, "script")) {
        clause->has_script = true;
        return vz_script_text_parse("script_score", value, &clause->script, err);
    }
    if (vz_slice_is(key, "min_score")) {
        clause->has_min_score = true;
        return vz_dsl_float("script_score", "min_score", value, &clause->min_score, err);
    }
    return VZ_NOT_FOUND;
}

enum vz_status vz_dsl_parse_script_score(struct vz_parser *parser, struct vz_json value,
                                         struct vz_node *node, struct vz_error *err)
{
    node->kind = VZ_NODE_SCRIPT_SCORE;
    node->script = vz_arena_zalloc(parser->arena, sizeof(*node->script));
    struct vz_script_clause *clause = node->script;
    enum vz_status status = vz_dsl_walk(parser, "script_score", value, node, visit, err);
    if (status != VZ_OK)
        return status;
    if (!clause->query || !clause->has_script)
        return vz_fail(err, VZ_BAD_QUERY, "Required [%s]", clause->query ? "script" : "query");
    return VZ_OK;
}

enum vz_status vz_score_refuse(const char *what, float score, uint32_t docno, struct vz_error *err)
{
    char number[32];
    const char *text = isnan(score)   ? "NaN"
                       : isinf(score) ? score > 0 ? "Infinity" : "-Infinity"
                                      : vz_query_number((double)score, number);
    return vz_fail(err, VZ_BAD_ARGUMENT,
                   "%s returned an invalid score [%s] for doc [%u]. Must be a non-negative score!",
                   what, text, docno);
}

#define LATE_EVERY 1024

/* Each document of the set through the machine. */
static enum vz_status run_each(struct vz_eval *eval, struct vz_doc_script *script,
                               struct vz_docset *set, float *scores, struct vz_error *err)
{
    size_t since = 0;
    double value;
    for (size_t i = vz_bitset_next(&set->bits, 0); i < set->bits.bits;
         i = vz_bitset_next(&set->bits, i + 1)) {
        float inner = set->scores ? set->scores[i] : set->constant;
        enum vz_status status =
            vz_doc_script_number(script, (uint32_t)i, (double)inner, &value, err);
        if (status != VZ_OK)
            return status;
        scores[i] = (float)value;
        if (++since % LATE_EVERY == 0 && vz_eval_late(eval))
            return vz_fail(err, VZ_CANCELLED, "the search took too long");
    }
    return VZ_OK;
}

/* Boosts and min_score; refuses what is no score. */
static enum vz_status settle(const struct vz_node *node, struct vz_docset *set, float *scores,
                             struct vz_error *err)
{
    const struct vz_script_clause *clause = node->script;
    for (size_t i = vz_bitset_next(&set->bits, 0); i < set->bits.bits;
         i = vz_bitset_next(&set->bits, i + 1)) {
        if (!(scores[i] >= 0))
            return vz_score_refuse("script_score script", scores[i], (uint32_t)i, err);
        scores[i] *= node->boost;
        if (clause->has_min_score && scores[i] < clause->min_score)
            vz_bitset_clear(&set->bits, i);
    }
    return VZ_OK;
}

enum vz_status vz_script_score_eval(struct vz_eval *eval, const struct vz_node *node, bool scores,
                                    struct vz_docset *out, struct vz_error *err)
{
    const struct vz_script_clause *clause = node->script;
    struct vz_doc_script *script;
    /* Compiled first, so that a broken script is told of also when nothing matches. */
    enum vz_status status = vz_doc_script_open(eval, &clause->script, true, &script, err);
    if (status != VZ_OK)
        return status;
    bool needed = scores || clause->has_min_score;
    status =
        vz_node_eval(eval, clause->query, needed && vz_doc_script_uses_score(script), out, err);
    if (status == VZ_OK && needed && out->kind != VZ_SET_NONE) {
        vz_docset_materialize(out, eval);
        vz_docset_settle(out, eval);
        float *made = vz_calloc((size_t)eval->limit + 1, sizeof(float));
        if (!vz_doc_script_scan(script, &out->bits, made, &status, err))
            status = run_each(eval, script, out, made, err);
        if (status == VZ_OK)
            status = settle(node, out, made, err);
        free(out->scores);
        out->scores = made;
    }
    vz_doc_script_close(script);
    if (status != VZ_OK)
        vz_docset_deinit(out);
    return status;
}

const struct vz_node *vz_script_score_query(const struct vz_node *node)
{
    return node->script->query;
}

struct vz_slice vz_script_score_source(const struct vz_node *node)
{
    return node->script->script.source;
}
