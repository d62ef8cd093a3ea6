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
    return vz_knn_parse(parser, value, VZ_KNN_QUERY, &node->knn, err);
}

/* ---- nested ---------------------------------------------------------------------------------- */

static enum vz_status read_mode(struct vz_json value, enum vz_nested_mode *mode,
                                struct vz_error *err)
{
    static const char *const names[] = {"avg", "max", "min", "sum", "none"};
    struct vz_slice name = vz_json_string(value);
    for (size_t i = 0; i < VZ_COUNT_OF(names); i++)
        if (vz_slice_is(name, names[i])) {
            *mode = (enum vz_nested_mode)i;
            return VZ_OK;
        }
    return vz_fail(err, VZ_BAD_QUERY, "No score mode for child query [%.*s] found", VZ_ARG(name));
}

enum vz_status vz_dsl_parse_nested(struct vz_parser *parser, struct vz_json value,
                                   struct vz_node *node, struct vz_error *err)
{
    struct vz_json_iter it = vz_json_iterate(value);
    struct vz_slice key;
    struct vz_json member;
    struct vz_inner *inner = NULL;
    size_t entered = vz_inner_enter(parser);
    node->kind = VZ_NODE_NESTED;
    while (vz_json_next(&it, &key, &member)) {
        bool handled;
        enum vz_status status = vz_dsl_common("nested", key, member, &node->boost, &handled, err);
        if (status == VZ_OK && !handled) {
            if (vz_slice_is(key, "path"))
                node->nested.path = vz_json_string(member);
            else if (vz_slice_is(key, "query"))
                status = vz_query_parse(parser, member, &node->nested.query, err);
            else if (vz_slice_is(key, "score_mode"))
                status = read_mode(member, &node->nested.mode, err);
            else if (vz_slice_is(key, "ignore_unmapped"))
                status = vz_dsl_bool("nested", "ignore_unmapped", member,
                                     &node->nested.ignore_unmapped, err);
            else if (vz_slice_is(key, "inner_hits"))
                status = vz_inner_parse(parser, member, &inner, err);
            else
                return vz_dsl_unknown("nested", key, err);
        }
        if (status != VZ_OK)
            return status;
    }
    if (node->nested.path.len == 0)
        return vz_fail(err, VZ_BAD_QUERY, "[nested] requires 'path' field");
    if (!node->nested.query)
        return vz_fail(err, VZ_BAD_QUERY, "[nested] requires 'query' field");
    if (inner) {
        inner->path = node->nested.path;
        inner->query = node->nested.query;
        if (node->nested.query->kind == VZ_NODE_KNN)
            inner->knn = node->nested.query->knn;
    }
    return vz_inner_leave(parser, entered, inner, err);
}
