/* terms_set: documents that match at least so many of a list of terms as a field of theirs, a
 * script or the request says. Scores as Lucene's CoveringQuery: the sum of the matching terms'. A
 * document for which nothing is said does not match; one of which less than one is wanted must
 * match one. */
#include "query/dsl.h"
#include "query/filter.h"
#include "query/scripting.h"

#include <math.h>
#include <stdlib.h>

#define LATE_EVERY 1024 /* documents that a script is asked about */

struct vz_terms_set {
    struct vz_node_list terms;
    bool has_terms;
    struct vz_slice minimum_field, minimum; /* empty: not given */
    struct vz_script_text script;           /* no source: not given */
};

static enum vz_status read_terms(struct vz_parser *parser, struct vz_node *node,
                                 struct vz_json value, struct vz_error *err)
{
    struct vz_terms_set *set = node->terms_set;
    struct vz_node list = {0};
    if (vz_json_type(value) != VZ_JSON_ARRAY)
        return VZ_NOT_FOUND;
    set->has_terms = true;
    enum vz_status status = vz_dsl_take_values(parser, "terms_set", &list, value, err);
    if (status != VZ_OK)
        return status;
    parser->clauses += (unsigned)VZ_MIN(list.value_count, (size_t)VZ_MAX_CLAUSES + 1);
    if (parser->clauses > VZ_MAX_CLAUSES)
        return vz_fail(err, VZ_BAD_QUERY,
                       "Query contains too many nested clauses; maxClauseCount is set to %d",
                       VZ_MAX_CLAUSES);
    set->terms.items =
        vz_arena_alloc(parser->arena, (list.value_count + 1) * sizeof(struct vz_node *));
    for (size_t i = 0; i < list.value_count; i++) {
        struct vz_node *term = vz_arena_zalloc(parser->arena, sizeof *term);
        *term = (struct vz_node){.kind = VZ_NODE_TERM, .boost = 1, .field = node->field};
        term->values = &list.values[i];
        term->value_count = 1;
        set->terms.items[set->terms.count++] = term;
    }
    return VZ_OK;
}

static enum vz_status visit(struct vz_parser *parser, struct vz_node *node, struct vz_slice key,
                            struct vz_json value, struct vz_error *err)
{
    struct vz_terms_set *set = node->terms_set;
    if (vz_slice_is(key, "terms"))
        return read_terms(parser, node, value, err);
    if (vz_slice_is(key, "minimum_should_match_field")) {
        set->minimum_field = vz_json_string(value);
        return set->minimum_field.len ? VZ_OK : VZ_NOT_FOUND;
    }
    if (vz_slice_is(key, "minimum_should_match")) {
        if (!vz_dsl_is_scalar(value))
            return VZ_NOT_FOUND;
        set->minimum = vz_query_scalar_text(value, parser->arena);
        return VZ_OK;
    }
    if (!vz_slice_is(key, "minimum_should_match_script"))
        return VZ_NOT_FOUND;
    parser->scripts++;
    return vz_script_text_parse("terms_set", value, &set->script, err);
}

enum vz_status vz_dsl_parse_terms_set(struct vz_parser *parser, struct vz_json value,
                                      struct vz_node *node, struct vz_error *err)
{
    struct vz_json inner;
    struct vz_terms_set *set = vz_arena_zalloc(parser->arena, sizeof *set);
    node->kind = VZ_NODE_TERMS_SET;
    node->terms_set = set;
    enum vz_status status = vz_dsl_one_field("terms_set", value, &node->field, &inner, err);
    if (status == VZ_OK && vz_json_type(inner) != VZ_JSON_OBJECT)
        return vz_dsl_unknown("terms_set", node->field, err);
    if (status == VZ_OK)
        status = vz_dsl_walk(parser, "terms_set", inner, node, visit, err);
    if (status != VZ_OK)
        return status;
    if (!set->has_terms)
        return vz_fail(err, VZ_BAD_QUERY, "[terms_set] requires [terms]");
    int given =
        (set->minimum_field.len > 0) + (set->minimum.len > 0) + (set->script.source.ptr != NULL);
    if (given == 0)
        return vz_fail(err, VZ_BAD_ARGUMENT, "No minimum should match has been specified");
    if (given > 1)
        return vz_fail(err, VZ_BAD_ARGUMENT,
                       "A minimum should match has already been set: [terms_set] takes one of "
                       "[minimum_should_match_field], [minimum_should_match_script] and "
                       "[minimum_should_match]");
    set->script.has_num_terms = true;
    set->script.num_terms = (int64_t)set->terms.count;
    return VZ_OK;
}

struct vz_node_list vz_terms_set_terms(const struct vz_node *node)
{
    return node->terms_set->terms;
}

/* ---- in a snapshot --------------------------------------------------------------------------- */

/* How many terms a document must have; 0: it cannot match. */
struct minimum {
    size_t whole; /* of every document; 0: it depends */
    struct vz_column column;
    size_t at;
    struct vz_doc_script *script;
};

static enum vz_status open_minimum(struct vz_eval *eval, const struct vz_terms_set *set,
                                   struct minimum *minimum, struct vz_error *err)
{
    *minimum = (struct minimum){0};
    if (set->minimum.len) {
        enum vz_status status =
            vz_minimum_should_match(set->minimum, set->terms.count, &minimum->whole, err);
        minimum->whole = VZ_MAX(minimum->whole, (size_t)1);
        return status;
    }
    if (set->script.source.ptr)
        return vz_doc_script_open(eval, &set->script, false, &minimum->script, err);
    const struct vz_field *field = vz_filter_field(eval, set->minimum_field);
    if (!field)
        return vz_query_fail(err, VZ_BAD_QUERY, "failed to find minimum_should_match field [%.*s]",
                             VZ_ARG(set->minimum_field));
    enum vz_status status = vz_field_check_doc_values(field, err);
    if (status == VZ_OK)
        vz_field_column(eval, field, &minimum->column);
    bool is_number = minimum->column.kind == VZ_COLUMN_I64 || minimum->column.kind == VZ_COLUMN_F64;
    if (status == VZ_OK && (!is_number || field->type == VZ_FIELD_DATE))
        return vz_query_fail(err, VZ_BAD_QUERY,
                             "[minimum_should_match_field] [%.*s] of type [%s] is no number",
                             VZ_ARG(field->path), vz_filter_type_name(field->type));
    return status;
}

static size_t size_of(double number)
{
    return !(number > 1) ? 1 : number > 1e9 ? (size_t)1000000000 : (size_t)number;
}

static enum vz_status minimum_of(struct minimum *minimum, uint32_t docno, size_t *out,
                                 struct vz_error *err)
{
    const struct vz_column *column = &minimum->column;
    double number, least = INFINITY;
    if (minimum->script) {
        enum vz_status status = vz_doc_script_number(minimum->script, docno, 0, &number, err);
        *out = status == VZ_OK ? size_of(number) : 0;
        return status;
    }
    *out = minimum->whole;
    if (*out)
        return VZ_OK;
    while (minimum->at < column->count && column->docnos[minimum->at] < docno)
        minimum->at++;
    for (; minimum->at < column->count && column->docnos[minimum->at] == docno; minimum->at++) {
        number = column->kind == VZ_COLUMN_I64 ? (double)column->i64[minimum->at]
                                               : trunc(column->f64[minimum->at]);
        least = VZ_MIN(least, number);
    }
    *out = isinf(least) ? 0 : size_of(least);
    return VZ_OK;
}

struct counts {
    uint16_t *terms;
    double *sums; /* NULL without scores */
};

static enum vz_status count_terms(struct vz_eval *eval, const struct vz_terms_set *set,
                                  struct counts *counts, struct vz_error *err)
{
    for (size_t i = 0; i < set->terms.count; i++) {
        struct vz_docset part;
        enum vz_status status =
            vz_node_eval(eval, set->terms.items[i], counts->sums != NULL, &part, err);
        if (status != VZ_OK)
            return status;
        vz_docset_settle(&part, eval);
        for (uint32_t d = vz_docset_next(&part, eval, 0); d < eval->limit;
             d = vz_docset_next(&part, eval, d + 1)) {
            counts->terms[d]++;
            if (counts->sums)
                counts->sums[d] += (double)(part.scores ? part.scores[d] : part.constant);
        }
        vz_docset_deinit(&part);
    }
    return VZ_OK;
}

enum vz_status vz_terms_set_eval(struct vz_eval *eval, const struct vz_node *node, bool scores,
                                 struct vz_docset *out, struct vz_error *err)
{
    const struct vz_terms_set *set = node->terms_set;
    struct counts counts = {0};
    struct minimum minimum;
    size_t since = 0;
    *out = (struct vz_docset){.constant = node->boost};
    enum vz_status status = open_minimum(eval, set, &minimum, err);
    if (status != VZ_OK || set->terms.count == 0)
        goto out;
    counts.terms = vz_calloc((size_t)eval->limit + 1, sizeof *counts.terms);
    if (scores)
        counts.sums = vz_calloc((size_t)eval->limit + 1, sizeof *counts.sums);
    status = count_terms(eval, set, &counts, err);
    if (status != VZ_OK)
        goto out;
    vz_docset_begin(out, eval);
    if (scores)
        out->scores = vz_calloc((size_t)eval->limit + 1, sizeof *out->scores);
    for (uint32_t d = 0; d < eval->limit && status == VZ_OK; d++) {
        size_t wanted;
        if (!counts.terms[d] || (minimum.script && !vz_eval_wants(eval, d)))
            continue;
        status = minimum_of(&minimum, d, &wanted, err);
        if (minimum.script && ++since % LATE_EVERY == 0 && vz_eval_late(eval) && status == VZ_OK)
            status = vz_fail(err, VZ_CANCELLED, "the search took too long");
        if (status != VZ_OK || !wanted || counts.terms[d] < wanted)
            continue;
        vz_bitset_set(&out->bits, d);
        if (scores)
            out->scores[d] = (float)counts.sums[d] * node->boost;
    }
out:
    vz_doc_script_close(minimum.script);
    free(counts.terms);
    free(counts.sums);
    if (status != VZ_OK)
        vz_docset_deinit(out);
    return status;
}
