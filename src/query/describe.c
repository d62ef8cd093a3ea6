/* A query as Lucene's toString() prints it: for _validate/query and explain. */
#include "query/scripting.h"
#include "query/explain.h"
#include "query/filter.h"

static void put_float(struct vz_buf *out, double value)
{
    struct vz_json_writer w = vz_json_writer_on(out);
    vz_json_put_double(&w, value);
}

static void put_boost(struct vz_buf *out, float boost)
{
    struct vz_json_writer w = vz_json_writer_on(out);
    vz_buf_append_char(out, '^');
    vz_json_put_float(&w, boost);
}

static void put_path(const struct vz_node *node, struct vz_buf *out)
{
    vz_buf_append_slice(out, node->field);
    vz_buf_append_char(out, ':');
}

/* ---- leaves ---------------------------------------------------------------------------------- */

static void describe_value(struct vz_eval *eval, const struct vz_field *field, struct vz_json value,
                           struct vz_buf *out)
{
    struct vz_span span;
    struct vz_error ignored = {0};
    double number;
    if (field && field->type == VZ_FIELD_BOOLEAN) {
        struct vz_slice text = vz_query_scalar_text(value, eval->arena);
        vz_buf_append_char(out, vz_slice_is(text, "true") ? 'T' : 'F');
    } else if (field && field->column == VZ_COLUMN_I64 &&
               vz_term_span(eval, field, value, &span, &ignored) == VZ_OK) {
        vz_buf_printf(out, "[%lld TO %lld]", (long long)span.low, (long long)span.high);
    } else if (field && field->column == VZ_COLUMN_F64 &&
               vz_term_f64(eval, field, value, &number, &ignored) == VZ_OK) {
        vz_buf_append_char(out, '[');
        put_float(out, number);
        vz_buf_append_str(out, " TO ");
        put_float(out, number);
        vz_buf_append_char(out, ']');
    } else {
        vz_buf_append_slice(out, vz_query_scalar_text(value, eval->arena));
    }
}

static void describe_terms(struct vz_eval *eval, const struct vz_node *node, struct vz_buf *out)
{
    vz_buf_append_char(out, '(');
    for (size_t i = 0; i < node->value_count; i++) {
        vz_buf_append_str(out, i ? " " : "");
        vz_buf_append_slice(out, vz_query_scalar_text(node->values[i], eval->arena));
    }
    vz_buf_append_char(out, ')');
}

static void describe_bounds(struct vz_eval *eval, const struct vz_node *node, struct vz_buf *out)
{
    const struct vz_bound *lower = &node->range.lower, *upper = &node->range.upper;
    vz_buf_append_char(out, lower->set && lower->inclusive ? '[' : '{');
    if (lower->set)
        vz_buf_append_slice(out, vz_query_scalar_text(lower->value, eval->arena));
    else
        vz_buf_append_char(out, '*');
    vz_buf_append_str(out, " TO ");
    if (upper->set)
        vz_buf_append_slice(out, vz_query_scalar_text(upper->value, eval->arena));
    else
        vz_buf_append_char(out, '*');
    vz_buf_append_char(out, upper->set && upper->inclusive ? ']' : '}');
}

static void describe_range(struct vz_eval *eval, const struct vz_node *node,
                           const struct vz_field *field, struct vz_buf *out)
{
    struct vz_span span;
    struct vz_span_f64 numbers;
    struct vz_error ignored = {0};
    put_path(node, out);
    if (field && field->column == VZ_COLUMN_I64 &&
        vz_range_span(eval, node, field, &span, &ignored) == VZ_OK) {
        bool is_int = field->type == VZ_FIELD_INTEGER || field->type == VZ_FIELD_SHORT ||
                      field->type == VZ_FIELD_BYTE;
        if (is_int)
            span = (struct vz_span){VZ_MAX(span.low, (int64_t)INT32_MIN),
                                    VZ_MIN(span.high, (int64_t)INT32_MAX)};
        vz_buf_printf(out, "[%lld TO %lld]", (long long)span.low, (long long)span.high);
    } else if (field && field->column == VZ_COLUMN_F64 &&
               vz_range_f64(eval, node, field, &numbers, &ignored) == VZ_OK) {
        vz_buf_append_char(out, '[');
        put_float(out, numbers.low);
        vz_buf_append_str(out, " TO ");
        put_float(out, numbers.high);
        vz_buf_append_char(out, ']');
    } else {
        describe_bounds(eval, node, out);
    }
}

static void describe_geo(const struct vz_node *node, struct vz_buf *out)
{
    put_path(node, out);
    if (node->kind == VZ_NODE_GEO_DISTANCE) {
        put_float(out, node->geo.lat);
        vz_buf_append_char(out, ',');
        put_float(out, node->geo.lon);
        vz_buf_append_str(out, " +/- ");
        put_float(out, node->geo.meters);
        vz_buf_append_str(out, " meters");
        return;
    }
    vz_buf_append_char(out, '[');
    put_float(out, node->geo.bottom);
    vz_buf_append_str(out, " TO ");
    put_float(out, node->geo.top);
    vz_buf_append_str(out, "],[");
    put_float(out, node->geo.left);
    vz_buf_append_str(out, " TO ");
    put_float(out, node->geo.right);
    vz_buf_append_char(out, ']');
}

static bool describe_text(struct vz_eval *eval, const struct vz_node *node,
                          const struct vz_field *field, struct vz_buf *out)
{
    struct vz_text_query *query;
    struct vz_error ignored = {0};
    struct vz_node plain = *node;
    plain.boost = 1;
    if (!field || field->type != VZ_FIELD_TEXT || node->kind == VZ_NODE_EXISTS ||
        vz_text_build(eval, &plain, field, &query, &ignored) != VZ_OK)
        return false;
    vz_text_describe(query, out);
    return true;
}

static void describe_leaf(struct vz_eval *eval, const struct vz_node *node, struct vz_buf *out)
{
    const struct vz_field *field = vz_filter_field(eval, node->field);
    bool named = vz_slice_is(node->field, "_id") || vz_slice_is(node->field, "_index");
    if (!field && !named && node->kind != VZ_NODE_EXISTS) {
        vz_buf_printf(out, "MatchNoDocsQuery(\"unmapped field [%.*s]\")", VZ_ARG(node->field));
        return;
    }
    if (describe_text(eval, node, field, out))
        return;
    switch (node->kind) {
    case VZ_NODE_TERM:
        put_path(node, out);
        describe_value(eval, field, node->values[0], out);
        break;
    case VZ_NODE_TERMS:
        put_path(node, out);
        describe_terms(eval, node, out);
        break;
    case VZ_NODE_RANGE:
        describe_range(eval, node, field, out);
        break;
    case VZ_NODE_EXISTS:
        vz_buf_printf(out, "ConstantScore(FieldExistsQuery [field=%.*s])", VZ_ARG(node->field));
        break;
    case VZ_NODE_FUZZY:
        put_path(node, out);
        vz_buf_printf(out, "%.*s~%u", VZ_ARG(node->text),
                      vz_fuzzy_distance(node->match->fuzziness, node->text));
        break;
    default:
        put_path(node, out);
        vz_buf_append_str(out, node->kind == VZ_NODE_REGEXP ? "/" : "");
        vz_buf_append_slice(out, node->text);
        vz_buf_append_str(out, node->kind == VZ_NODE_REGEXP   ? "/"
                               : node->kind == VZ_NODE_PREFIX ? "*"
                                                              : "");
    }
}

/* ---- compounds ------------------------------------------------------------------------------- */

static void describe_clauses(struct vz_eval *eval, struct vz_node_list list, const char *sign,
                             bool *first, struct vz_buf *out)
{
    for (size_t i = 0; i < list.count; i++) {
        const struct vz_node *node = list.items[i];
        struct vz_error ignored = {0};
        if (vz_node_expand(eval, node, &node, &ignored) != VZ_OK)
            node = list.items[i];
        bool wrap = node->kind == VZ_NODE_BOOL && node->boost == 1;
        if (node->kind == VZ_NODE_TEXT || node->kind == VZ_NODE_TERM) {
            const struct vz_field *field = vz_filter_field(eval, node->field);
            struct vz_text_query *query = node->text_query;
            if (node->kind == VZ_NODE_TERM &&
                (!field || field->type != VZ_FIELD_TEXT ||
                 vz_text_build(eval, node, field, &query, &ignored) != VZ_OK))
                query = NULL;
            wrap = query && node->boost == 1 &&
                   (query->kind == VZ_TEXT_ANY || query->kind == VZ_TEXT_EVERY) &&
                   query->minimum <= 1;
        }
        vz_buf_append_str(out, *first ? "" : " ");
        vz_buf_append_str(out, sign);
        vz_buf_append_str(out, wrap ? "(" : "");
        vz_node_describe(eval, node, out);
        vz_buf_append_str(out, wrap ? ")" : "");
        *first = false;
    }
}

static void describe_bool(struct vz_eval *eval, const struct vz_node *node, struct vz_buf *out)
{
    bool first = true;
    size_t minimum = 0, optional = node->boolean.should.count;
    struct vz_error ignored = {0};
    const struct vz_node_list none = {0};
    if (node->boolean.minimum.len)
        vz_minimum_should_match(node->boolean.minimum, optional, &minimum, &ignored);
    bool empty = node->boolean.must.count + node->boolean.must_not.count + optional +
                     node->boolean.filter.count ==
                 0;
    if (empty) {
        vz_buf_append_str(out, "*:*");
        return;
    }
    vz_buf_append_str(out, minimum ? "(" : "");
    describe_clauses(eval, node->boolean.must, "+", &first, out);
    describe_clauses(eval, node->boolean.must_not, "-", &first, out);
    describe_clauses(eval, optional ? node->boolean.should : none, "", &first, out);
    describe_clauses(eval, node->boolean.filter, "#", &first, out);
    if (node->boolean.must_not.count &&
        node->boolean.must.count + optional + node->boolean.filter.count == 0)
        vz_buf_append_str(out, " #*:*");
    if (minimum)
        vz_buf_printf(out, ")~%zu", minimum);
}

static void describe_parts(struct vz_eval *eval, const struct vz_node *node, struct vz_buf *out)
{
    vz_buf_append_char(out, '(');
    for (size_t i = 0; i < node->parts.count; i++) {
        vz_buf_append_str(out, i ? " | " : "");
        vz_node_describe(eval, node->parts.items[i], out);
    }
    vz_buf_append_char(out, ')');
    if (node->factor != 0) {
        struct vz_json_writer w = vz_json_writer_on(out);
        vz_buf_append_char(out, '~');
        vz_json_put_float(&w, node->factor);
    }
}

static void describe_boosting(struct vz_eval *eval, const struct vz_node *node, struct vz_buf *out)
{
    vz_buf_append_str(out, "FunctionScoreQuery(");
    vz_node_describe(eval, node->parts.items[0], out);
    vz_buf_append_str(out, ", scored by boost(queryboost(");
    vz_node_describe(eval, node->parts.items[1], out);
    vz_buf_append_char(out, ')');
    put_boost(out, node->factor);
    vz_buf_append_str(out, "))");
}

static void describe_knn(const struct vz_knn_clause *knn, struct vz_buf *out)
{
    struct vz_json_writer w = vz_json_writer_on(out);
    vz_buf_printf(out, "KnnFloatVectorQuery:%.*s[", VZ_ARG(knn->field));
    if (knn->vector && knn->dims)
        vz_json_put_float(&w, knn->vector[0]);
    vz_buf_printf(out, ",...][%u]", knn->k);
}

void vz_node_describe_plain(struct vz_eval *eval, const struct vz_node *node, struct vz_buf *out)
{
    const struct vz_node *inner = NULL;
    struct vz_error ignored = {0};
    if (vz_node_expand(eval, node, &node, &ignored) != VZ_OK) {
        vz_buf_printf(out, "MatchNoDocsQuery(\"%s\")", ignored.text);
        return;
    }
    switch (node->kind) {
    case VZ_NODE_ALL:
        vz_buf_append_str(out, "*:*");
        return;
    case VZ_NODE_NONE:
        vz_buf_append_str(out, "MatchNoDocsQuery(\"User requested \\\"match_none\\\" query.\")");
        return;
    case VZ_NODE_IDS:
        vz_buf_append_str(out, "_id:");
        describe_terms(eval, node, out);
        return;
    case VZ_NODE_TEXT:
        vz_text_describe(node->text_query, out);
        return;
    case VZ_NODE_GEO_DISTANCE:
    case VZ_NODE_GEO_BOX:
        describe_geo(node, out);
        return;
    case VZ_NODE_BOOL:
        describe_bool(eval, node, out);
        return;
    case VZ_NODE_CONSTANT:
        vz_buf_append_str(out, "ConstantScore(");
        vz_node_describe(eval, node->parts.items[0], out);
        vz_buf_append_char(out, ')');
        return;
    case VZ_NODE_DIS_MAX:
        describe_parts(eval, node, out);
        return;
    case VZ_NODE_BOOSTING:
        describe_boosting(eval, node, out);
        return;
    case VZ_NODE_KNN:
        describe_knn(node->knn, out);
        return;
    case VZ_NODE_NESTED:
        vz_buf_append_str(out, "ToParentBlockJoinQuery (");
        vz_node_describe(eval, node->nested.query, out);
        vz_buf_append_char(out, ')');
        return;
    case VZ_NODE_SCRIPT_SCORE:
        inner = vz_script_score_query(node);
        vz_buf_append_str(out, "script_score (");
        vz_node_describe(eval, inner, out);
        vz_buf_append_str(out, ")");
        return;
    case VZ_NODE_SCRIPT:
        vz_buf_printf(out, "ScriptQuery(Script{type=inline, lang='painless', idOrCode='%.*s'})",
                      VZ_ARG(node->filter_script->source));
        return;
    case VZ_NODE_TERMS_SET:
        vz_buf_append_str(out, "CoveringQuery(queries=[");
        for (size_t i = 0; i < vz_terms_set_terms(node).count; i++) {
            vz_buf_append_str(out, i ? ", " : "");
            vz_node_describe(eval, vz_terms_set_terms(node).items[i], out);
        }
        vz_buf_append_str(out, "])");
        return;
    case VZ_NODE_RANK_FEATURE:
        vz_buf_printf(out, "FeatureQuery(field=_feature, feature=%.*s)", VZ_ARG(node->field));
        return;
    case VZ_NODE_DISTANCE_FEATURE:
        vz_buf_printf(out, "DistanceFeatureQuery(field=%.*s)", VZ_ARG(node->field));
        return;
    case VZ_NODE_PINNED:
        vz_buf_append_str(out, "(pinned)");
        return;
    case VZ_NODE_FUNCTION_SCORE:
        inner = vz_function_score_query(node);
        vz_buf_append_str(out, "function score (");
        if (inner)
            vz_node_describe(eval, inner, out);
        else
            vz_buf_append_str(out, "*:*");
        vz_buf_append_char(out, ')');
        return;
    default:
        describe_leaf(eval, node, out);
    }
}

void vz_node_describe(struct vz_eval *eval, const struct vz_node *node, struct vz_buf *out)
{
    const struct vz_node *tree = node;
    struct vz_error ignored = {0};
    if (vz_node_expand(eval, node, &tree, &ignored) != VZ_OK)
        tree = node;
    vz_buf_append_str(out, tree->boost != 1 ? "(" : "");
    vz_node_describe_plain(eval, tree, out);
    if (tree->boost != 1) {
        vz_buf_append_char(out, ')');
        put_boost(out, tree->boost);
    }
}
