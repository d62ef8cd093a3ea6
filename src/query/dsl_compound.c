/* Queries made of queries: bool, constant_score, dis_max, boosting; and knn as a query. */
#include "query/dsl.h"

/* ---- compounds ------------------------------------------------------------------------------ */

static enum vz_status visit_bool(struct vz_parser *parser, struct vz_node *node,
                                 struct vz_slice key, struct vz_json value, struct vz_error *err)
{
    struct vz_node_list *list = vz_slice_is(key, "must")     ? &node->boolean.must
                                : vz_slice_is(key, "filter") ? &node->boolean.filter
                                : vz_slice_is(key, "should") ? &node->boolean.should
                                : vz_slice_is(key, "must_not") || vz_slice_is(key, "mustNot")
                                    ? &node->boolean.must_not
                                    : NULL;
    if (list) {
        if (vz_dsl_is_scalar(value))
            return VZ_NOT_FOUND;
        return vz_query_parse_list(parser, value, list, err);
    }
    if (vz_slice_is(key, "minimum_should_match")) {
        size_t ignored;
        if (!vz_dsl_is_scalar(value))
            return VZ_NOT_FOUND;
        if (vz_json_type(value) == VZ_JSON_NULL)
            return VZ_OK;
        node->boolean.minimum = vz_query_scalar_text(value, parser->arena);
        return vz_minimum_should_match(node->boolean.minimum, 1, &ignored, err);
    }
    if (vz_slice_is(key, "adjust_pure_negative") && vz_json_bool(value))
        return VZ_OK;
    return VZ_NOT_FOUND;
}

enum vz_status vz_dsl_parse_bool(struct vz_parser *parser, struct vz_json value,
                                 struct vz_node *node, struct vz_error *err)
{
    node->kind = VZ_NODE_BOOL;
    return vz_dsl_walk(parser, "bool", value, node, visit_bool, err);
}

static enum vz_status visit_constant(struct vz_parser *parser, struct vz_node *node,
                                     struct vz_slice key, struct vz_json value,
                                     struct vz_error *err)
{
    if (!vz_slice_is(key, "filter"))
        return VZ_NOT_FOUND;
    if (vz_json_type(value) != VZ_JSON_OBJECT)
        return vz_fail(err, VZ_BAD_QUERY, "unexpected token [%s]", vz_query_token(value));
    if (node->parts.count)
        return vz_fail(err, VZ_BAD_QUERY, "[constant_score] accepts only one 'filter' element");
    return vz_query_parse_list(parser, value, &node->parts, err);
}

enum vz_status vz_dsl_parse_constant(struct vz_parser *parser, struct vz_json value,
                                     struct vz_node *node, struct vz_error *err)
{
    node->kind = VZ_NODE_CONSTANT;
    enum vz_status status = vz_dsl_walk(parser, "constant_score", value, node, visit_constant, err);
    if (status == VZ_OK && node->parts.count == 0)
        return vz_fail(err, VZ_BAD_QUERY, "[constant_score] requires a 'filter' element");
    return status;
}

static enum vz_status visit_dis_max(struct vz_parser *parser, struct vz_node *node,
                                    struct vz_slice key, struct vz_json value, struct vz_error *err)
{
    if (vz_slice_is(key, "queries") && !vz_dsl_is_scalar(value))
        return vz_query_parse_list(parser, value, &node->parts, err);
    if (vz_slice_is(key, "tie_breaker"))
        return vz_dsl_float("dis_max", "tie_breaker", value, &node->factor, err);
    return VZ_NOT_FOUND;
}

enum vz_status vz_dsl_parse_dis_max(struct vz_parser *parser, struct vz_json value,
                                    struct vz_node *node, struct vz_error *err)
{
    node->kind = VZ_NODE_DIS_MAX;
    enum vz_status status = vz_dsl_walk(parser, "dis_max", value, node, visit_dis_max, err);
    if (status == VZ_OK && node->parts.count == 0)
        return vz_fail(err, VZ_BAD_QUERY,
                       "[dis_max] requires 'queries' field with at least one clause");
    return status;
}

enum vz_status vz_dsl_parse_boosting(struct vz_parser *parser, struct vz_json value,
                                     struct vz_node *node, struct vz_error *err)
{
    struct vz_json part;
    struct vz_json_iter it = vz_json_iterate(value);
    struct vz_slice key;
    enum vz_status status;
    node->kind = VZ_NODE_BOOSTING;
    node->factor = -1;
    while (vz_json_next(&it, &key, &part)) {
        bool handled;
        status = vz_dsl_common("boosting", key, part, &node->boost, &handled, err);
        if (status != VZ_OK)
            return status;
        if (handled || vz_slice_is(key, "positive") || vz_slice_is(key, "negative"))
            continue;
        if (!vz_slice_is(key, "negative_boost"))
            return vz_dsl_unknown("boosting", key, err);
        status = vz_dsl_float("boosting", "negative_boost", part, &node->factor, err);
        if (status != VZ_OK)
            return status;
    }
    static const char *const names[] = {"positive", "negative"};
    for (int i = 0; i < 2; i++) {
        if (!vz_json_get(value, names[i], &part) || vz_json_type(part) != VZ_JSON_OBJECT)
            return vz_fail(err, VZ_BAD_QUERY, "[boosting] query requires '%s' query to be set",
                           names[i]);
        status = vz_query_parse_list(parser, part, &node->parts, err);
        if (status != VZ_OK)
            return status;
    }
    if (node->factor < 0)
        return vz_fail(
            err, VZ_BAD_QUERY,
            "[boosting] query requires 'negative_boost' to be set to be a positive value");
    return VZ_OK;
}

enum vz_status vz_dsl_parse_knn_query(struct vz_parser *parser, struct vz_json value,
                                      struct vz_node *node, struct vz_error *err)
{
    node->kind = VZ_NODE_KNN;
    return vz_knn_parse(parser, value, false, &node->knn, err);
}
