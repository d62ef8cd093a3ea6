/* rank_feature: documents with a feature, scored by it, in the steps of Lucene's FeatureField: a
 * value is kept there with nine significant bits of a float, which is done here when it is asked;
 * the default pivot is the average of those bits, which is near the geometric average of the
 * values. A field whose positive_score_impact is false counts by 1 / value. */
#include "query/dsl.h"
#include "query/filter.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define FREQ_SHIFT 15 /* of a float's bits that Lucene leaves away */

enum rank_function { RANK_SATURATION, RANK_LOG, RANK_SIGMOID, RANK_LINEAR };
struct vz_rank_feature {
    enum rank_function function;
    unsigned functions; /* that were given */
    bool has_pivot, has_exponent, has_scaling;
    float pivot, exponent, scaling;
};

static enum vz_status read_function(struct vz_rank_feature *rank, enum rank_function function,
                                    struct vz_slice name, struct vz_json value,
                                    struct vz_error *err)
{
    struct vz_json_iter it = vz_json_iterate(value);
    struct vz_slice key;
    struct vz_json member;
    char query[16];
    snprintf(query, sizeof query, "%.*s", VZ_ARG(name));
    if (vz_json_type(value) != VZ_JSON_OBJECT)
        return vz_fail(err, VZ_BAD_QUERY, "[feature] %s doesn't support values of type: %s", query,
                       vz_query_token(value));
    rank->function = function;
    rank->functions++;
    while (vz_json_next(&it, &key, &member)) {
        enum vz_status status;
        if (vz_slice_is(key, "pivot") &&
            (function == RANK_SATURATION || function == RANK_SIGMOID)) {
            rank->has_pivot = true;
            status = vz_dsl_float(query, "pivot", member, &rank->pivot, err);
        } else if (vz_slice_is(key, "exponent") && function == RANK_SIGMOID) {
            rank->has_exponent = true;
            status = vz_dsl_float(query, "exponent", member, &rank->exponent, err);
        } else if (vz_slice_is(key, "scaling_factor") && function == RANK_LOG) {
            rank->has_scaling = true;
            status = vz_dsl_float(query, "scaling_factor", member, &rank->scaling, err);
        } else
            status = vz_fail(err, VZ_BAD_QUERY, "[%s] unknown field [%.*s]", query, VZ_ARG(key));
        if (status != VZ_OK)
            return status;
    }
    const char *missing = function == RANK_LOG && !rank->has_scaling        ? "scaling_factor"
                          : function == RANK_SIGMOID && !rank->has_pivot    ? "pivot"
                          : function == RANK_SIGMOID && !rank->has_exponent ? "exponent"
                                                                            : NULL;
    return missing ? vz_fail(err, VZ_BAD_ARGUMENT, "Required [%s]", missing) : VZ_OK;
}

static enum vz_status visit(struct vz_parser *parser, struct vz_node *node, struct vz_slice key,
                            struct vz_json value, struct vz_error *err)
{
    static const char *const functions[] = {"saturation", "log", "sigmoid", "linear"};
    (void)parser;
    if (vz_slice_is(key, "field") && vz_json_type(value) == VZ_JSON_STRING) {
        node->field = vz_json_string(value);
        return VZ_OK;
    }
    for (size_t i = 0; i < VZ_COUNT_OF(functions); i++)
        if (vz_slice_is(key, functions[i]))
            return read_function(node->rank, (enum rank_function)i, key, value, err);
    return VZ_NOT_FOUND;
}

enum vz_status vz_dsl_parse_rank_feature(struct vz_parser *parser, struct vz_json value,
                                         struct vz_node *node, struct vz_error *err)
{
    struct vz_rank_feature *rank = vz_arena_zalloc(parser->arena, sizeof *rank);
    node->kind = VZ_NODE_RANK_FEATURE;
    node->rank = rank;
    enum vz_status status = vz_dsl_walk(parser, "rank_feature", value, node, visit, err);
    char number[32];
    if (status != VZ_OK)
        return status;
    if (!node->field.len)
        return vz_fail(err, VZ_BAD_ARGUMENT, "Required [field]");
    if (rank->functions > 1)
        return vz_fail(err, VZ_BAD_ARGUMENT,
                       "Can only specify one of [log], [saturation], [sigmoid] and [linear]");
    if (rank->has_pivot && !(rank->pivot > 0))
        return vz_fail(err, VZ_BAD_ARGUMENT, "pivot must be > 0, got: %s",
                       vz_query_number((double)rank->pivot, number));
    if (rank->has_exponent && !(rank->exponent > 0))
        return vz_fail(err, VZ_BAD_ARGUMENT, "exp must be > 0, got: %s",
                       vz_query_number((double)rank->exponent, number));
    if (rank->has_scaling && !(rank->scaling >= 1))
        return vz_fail(err, VZ_BAD_ARGUMENT, "scalingFactor must be >= 1, got: %s",
                       vz_query_number((double)rank->scaling, number));
    return VZ_OK;
}

/* ---- in a snapshot --------------------------------------------------------------------------- */

static uint32_t freq_of(const struct vz_field *field, double value)
{
    union {
        float number;
        uint32_t bits;
    } as = {.number = field->negative_impact ? 1 / (float)value : (float)value};
    return as.bits >> FREQ_SHIFT;
}

static float value_of(uint32_t freq)
{
    union {
        uint32_t bits;
        float number;
    } as = {.bits = freq << FREQ_SHIFT};
    return as.number;
}

/* What half of the highest score stands at when nobody says. */
static float default_pivot(struct vz_eval *eval, const struct vz_field *field,
                           const struct vz_column *column)
{
    uint64_t sum = 0, count = 0;
    for (size_t i = 0; i < column->count; i++)
        if (vz_snapshot_live(eval->snap, column->docnos[i])) {
            sum += freq_of(field, column->f64[i]);
            count++;
        }
    return count ? value_of((uint32_t)(float)((double)sum / (double)count)) : 1;
}

static float score_of(const struct vz_rank_feature *rank, float weight, float pivot, double power,
                      float f)
{
    switch (rank->function) {
    case RANK_LINEAR:
        return weight * f;
    case RANK_LOG:
        return (float)((double)weight * log((double)(rank->scaling + f)));
    case RANK_SIGMOID:
        return (float)((double)weight *
                       (1 - power / (pow((double)f, (double)rank->exponent) + power)));
    default:
        return weight * (1 - pivot / (f + pivot));
    }
}

enum vz_status vz_rank_feature_eval(struct vz_eval *eval, const struct vz_node *node, bool scores,
                                    struct vz_docset *out, struct vz_error *err)
{
    const struct vz_rank_feature *rank = node->rank;
    const struct vz_field *field = vz_filter_field(eval, node->field);
    struct vz_column column;
    *out = (struct vz_docset){.constant = node->boost};
    if (!field)
        return VZ_OK;
    if (field->type != VZ_FIELD_RANK_FEATURE)
        return vz_query_fail(
            err, VZ_BAD_QUERY,
            "[rank_feature] query only works on [rank_feature] fields and features "
            "of [rank_features] fields, not [%s]",
            vz_filter_type_name(field->type));
    if (rank->function == RANK_LOG && field->negative_impact)
        return vz_query_fail(err, VZ_BAD_QUERY,
                             "Cannot use the [log] function with a field that has a negative score "
                             "impact as it would trigger negative scores");
    vz_field_column(eval, field, &column);
    if (column.kind != VZ_COLUMN_F64 || column.count == 0)
        return VZ_OK;
    vz_docset_begin(out, eval);
    float pivot = rank->pivot;
    if (rank->function == RANK_SATURATION && !rank->has_pivot)
        pivot = default_pivot(eval, field, &column);
    double power = rank->function == RANK_SIGMOID ? pow((double)pivot, (double)rank->exponent) : 0;
    if (scores)
        out->scores = vz_calloc((size_t)eval->limit + 1, sizeof *out->scores);
    for (size_t i = 0; i < column.count; i++) {
        vz_bitset_set(&out->bits, column.docnos[i]);
        if (scores)
            out->scores[column.docnos[i]] =
                score_of(rank, node->boost, pivot, power, value_of(freq_of(field, column.f64[i])));
    }
    return VZ_OK;
}
