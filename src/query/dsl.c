/* Query nodes: {"term": {...}}, {"bool": {...}} ... A table of names leads to a function each.
 *
 * Nothing of a mapping is known here, so what depends on a field's type (is it analysed, is the
 * value a date) is checked when a node meets an index, in filter.c and knn.c. What Elasticsearch
 * knows and vizsla does not do is refused by name; nothing is skipped that would change an answer.
 */
#include "query/dsl.h"

#include <math.h>
#include <stdio.h>

enum vz_status vz_dsl_one_field(const char *query, struct vz_json value, struct vz_slice *field,
                                struct vz_json *inner, struct vz_error *err)
{
    struct vz_json_iter it = vz_json_iterate(value);
    struct vz_slice key;
    struct vz_json member;
    bool found = false;
    while (vz_json_next(&it, &key, &member)) {
        if (found)
            return vz_fail(err, VZ_BAD_QUERY,
                           "[%s] query doesn't support multiple fields, found [%.*s] and [%.*s]",
                           query, VZ_ARG(*field), VZ_ARG(key));
        found = true;
        *field = key;
        *inner = member;
    }
    if (!found || field->len == 0)
        return vz_fail(err, VZ_BAD_QUERY, "[%s] field name is null or empty", query);
    return VZ_OK;
}

enum vz_status vz_dsl_float(const char *query, const char *key, struct vz_json value, float *out,
                            struct vz_error *err)
{
    double number;
    if (!vz_json_as_double(value, &number) || !isfinite((float)number))
        return vz_fail(err, VZ_BAD_QUERY,
                       "[%s] failed to parse field [%s]: expected a number but "
                       "got %s",
                       query, key, vz_query_token(value));
    *out = (float)number;
    return VZ_OK;
}

enum vz_status vz_dsl_bool(const char *query, const char *key, struct vz_json value, bool *out,
                           struct vz_error *err)
{
    if (!vz_json_as_bool(value, out))
        return vz_fail(err, VZ_BAD_QUERY,
                       "[%s] failed to parse field [%s]: only [true] or [false] "
                       "are allowed",
                       query, key);
    return VZ_OK;
}

enum vz_status vz_dsl_common(const char *query, struct vz_slice key, struct vz_json value,
                             float *boost, bool *handled, struct vz_error *err)
{
    *handled = true;
    if (vz_slice_is(key, "boost")) {
        if (vz_dsl_float(query, "boost", value, boost, err) != VZ_OK)
            return VZ_BAD_QUERY;
        if (*boost < 0)
            return vz_fail(err, VZ_BAD_QUERY,
                           "negative [boost] are not allowed in [%s], use a "
                           "value between 0 and 1 to deboost",
                           query);
        return VZ_OK;
    }
    if (vz_slice_is(key, "_name"))
        return vz_fail(
            err, VZ_UNSUPPORTED,
            "[%s] named queries ([_name], matched_queries) are not supported yet by vizsla", query);
    *handled = false;
    return VZ_OK;
}

enum vz_status vz_dsl_unknown(const char *query, struct vz_slice key, struct vz_error *err)
{
    return vz_fail(err, VZ_BAD_QUERY, "[%s] query does not support [%.*s]", query, VZ_ARG(key));
}

/* Walks the members of a query's object: `boost` and `_name` are dealt with here, the rest is the
 * visitor's, which says VZ_NOT_FOUND for a key it does not know. */
typedef enum vz_status visit(struct vz_parser *parser, struct vz_node *node, struct vz_slice key,
                             struct vz_json value, struct vz_error *err);

static enum vz_status walk(struct vz_parser *parser, const char *query, struct vz_json object,
                           struct vz_node *node, visit *each, struct vz_error *err)
{
    struct vz_json_iter it = vz_json_iterate(object);
    struct vz_slice key;
    struct vz_json value;
    while (vz_json_next(&it, &key, &value)) {
        bool handled;
        enum vz_status status = vz_dsl_common(query, key, value, &node->boost, &handled, err);
        if (status == VZ_OK && !handled)
            status = each ? each(parser, node, key, value, err) : VZ_NOT_FOUND;
        if (status == VZ_NOT_FOUND)
            return vz_dsl_unknown(query, key, err);
        if (status != VZ_OK)
            return status;
    }
    return VZ_OK;
}

static bool is_scalar(struct vz_json value)
{
    enum vz_json_type type = vz_json_type(value);
    return type != VZ_JSON_OBJECT && type != VZ_JSON_ARRAY && type != VZ_JSON_MISSING;
}

/* ---- match_all, match_none, exists, ids ----------------------------------------------------- */

static enum vz_status parse_all(struct vz_parser *parser, struct vz_json value,
                                struct vz_node *node, struct vz_error *err)
{
    node->kind = VZ_NODE_ALL;
    return walk(parser, "match_all", value, node, NULL, err);
}

static enum vz_status parse_none(struct vz_parser *parser, struct vz_json value,
                                 struct vz_node *node, struct vz_error *err)
{
    node->kind = VZ_NODE_NONE;
    return walk(parser, "match_none", value, node, NULL, err);
}

static enum vz_status visit_exists(struct vz_parser *parser, struct vz_node *node,
                                   struct vz_slice key, struct vz_json value, struct vz_error *err)
{
    if (!vz_slice_is(key, "field"))
        return VZ_NOT_FOUND;
    if (vz_json_type(value) != VZ_JSON_STRING)
        return vz_fail(err, VZ_BAD_QUERY, "[exists] unknown token [%s] after [field]",
                       vz_query_token(value));
    node->field = vz_json_string(value);
    return VZ_OK;
}

static enum vz_status parse_exists(struct vz_parser *parser, struct vz_json value,
                                   struct vz_node *node, struct vz_error *err)
{
    node->kind = VZ_NODE_EXISTS;
    enum vz_status status = walk(parser, "exists", value, node, visit_exists, err);
    if (status == VZ_OK && node->field.len == 0)
        return vz_fail(err, VZ_BAD_QUERY, "[exists] must be provided with a [field]");
    return status;
}

/* An array (or one scalar) into node->values. */
static enum vz_status take_values(struct vz_parser *parser, const char *query, struct vz_node *node,
                                  struct vz_json value, struct vz_error *err)
{
    size_t count = vz_json_type(value) == VZ_JSON_ARRAY ? vz_json_count(value) : 1;
    node->values = vz_arena_alloc(parser->arena, (count + 1) * sizeof(*node->values));
    node->value_count = 0;
    if (is_scalar(value)) {
        node->values[node->value_count++] = value;
        return VZ_OK;
    }
    struct vz_json_iter it = vz_json_iterate(value);
    struct vz_json element;
    while (vz_json_next(&it, NULL, &element)) {
        if (vz_json_type(element) == VZ_JSON_NULL)
            return vz_fail(err, VZ_BAD_QUERY, "No value specified for %s query", query);
        if (!is_scalar(element))
            return vz_fail(err, VZ_BAD_QUERY, "[%s] query malformed, expected a value but got [%s]",
                           query, vz_query_token(element));
        node->values[node->value_count++] = element;
    }
    return VZ_OK;
}

static enum vz_status visit_ids(struct vz_parser *parser, struct vz_node *node, struct vz_slice key,
                                struct vz_json value, struct vz_error *err)
{
    if (!vz_slice_is(key, "values"))
        return VZ_NOT_FOUND;
    if (!is_scalar(value) && vz_json_type(value) != VZ_JSON_ARRAY)
        return vz_fail(err, VZ_BAD_QUERY, "[ids] values doesn't support values of type: %s",
                       vz_query_token(value));
    return take_values(parser, "ids", node, value, err);
}

static enum vz_status parse_ids(struct vz_parser *parser, struct vz_json value,
                                struct vz_node *node, struct vz_error *err)
{
    node->kind = VZ_NODE_IDS;
    return walk(parser, "ids", value, node, visit_ids, err);
}

/* ---- term, terms, match, prefix, wildcard --------------------------------------------------- */

/* rewrite methods choose scores only among exotic ones; the default is what is done here. */
static enum vz_status check_rewrite(const char *query, struct vz_json value, struct vz_error *err)
{
    struct vz_slice method = vz_json_string(value);
    if (vz_slice_is(method, "constant_score") || vz_slice_is(method, "constant_score_blended") ||
        vz_slice_is(method, "constant_score_boolean"))
        return VZ_OK;
    return vz_fail(err, VZ_UNSUPPORTED, "[%s] rewrite method [%.*s] is not supported yet by vizsla",
                   query, VZ_ARG(method));
}

static enum vz_status visit_term(struct vz_parser *parser, struct vz_node *node,
                                 struct vz_slice key, struct vz_json value, struct vz_error *err)
{
    if (vz_slice_is(key, "case_insensitive"))
        return vz_dsl_bool("term", "case_insensitive", value, &node->fold_case, err);
    if (!vz_slice_is(key, "value") && !vz_slice_is(key, "term"))
        return VZ_NOT_FOUND;
    if (!is_scalar(value))
        return vz_fail(err, VZ_BAD_QUERY, "[term] query does not support array of values");
    return take_values(parser, "term", node, value, err);
}

static enum vz_status parse_term(struct vz_parser *parser, struct vz_json value,
                                 struct vz_node *node, struct vz_error *err)
{
    struct vz_json inner;
    node->kind = VZ_NODE_TERM;
    enum vz_status status = vz_dsl_one_field("term", value, &node->field, &inner, err);
    if (status != VZ_OK)
        return status;
    if (vz_json_type(inner) == VZ_JSON_ARRAY)
        return vz_fail(err, VZ_BAD_QUERY, "[term] query does not support array of values");
    if (is_scalar(inner))
        status = take_values(parser, "term", node, inner, err);
    else
        status = walk(parser, "term", inner, node, visit_term, err);
    if (status == VZ_OK &&
        (node->value_count == 0 || vz_json_type(node->values[0]) == VZ_JSON_NULL))
        return vz_fail(err, VZ_BAD_QUERY, "value cannot be null");
    return status;
}

static enum vz_status visit_terms(struct vz_parser *parser, struct vz_node *node,
                                  struct vz_slice key, struct vz_json value, struct vz_error *err)
{
    if (vz_json_type(value) == VZ_JSON_OBJECT)
        return vz_fail(err, VZ_UNSUPPORTED, "[terms] lookup is not supported yet by vizsla");
    if (vz_json_type(value) != VZ_JSON_ARRAY)
        return VZ_NOT_FOUND;
    if (node->field.len)
        return vz_fail(err, VZ_BAD_QUERY, "[terms] query does not support multiple fields");
    node->field = key;
    return take_values(parser, "terms", node, value, err);
}

static enum vz_status parse_terms(struct vz_parser *parser, struct vz_json value,
                                  struct vz_node *node, struct vz_error *err)
{
    node->kind = VZ_NODE_TERMS;
    enum vz_status status = walk(parser, "terms", value, node, visit_terms, err);
    if (status == VZ_OK && node->field.len == 0)
        return vz_fail(err, VZ_BAD_QUERY,
                       "[terms] query requires a field name, followed by array "
                       "of terms or a document lookup specification");
    return status;
}

static enum vz_status visit_match(struct vz_parser *parser, struct vz_node *node,
                                  struct vz_slice key, struct vz_json value, struct vz_error *err)
{
    /* Options that cannot change what one exact value matches. */
    static const char *const harmless[] = {"operator",
                                           "minimum_should_match",
                                           "zero_terms_query",
                                           "auto_generate_synonyms_phrase_query",
                                           "max_expansions",
                                           "prefix_length",
                                           "fuzzy_transpositions"};
    static const char *const known[] = {"fuzziness", "fuzzy_rewrite", "analyzer",
                                        "cutoff_frequency"};
    if (vz_slice_is(key, "query")) {
        if (!is_scalar(value))
            return vz_fail(err, VZ_BAD_QUERY, "[match] unknown token [%s] after [query]",
                           vz_query_token(value));
        return take_values(parser, "match", node, value, err);
    }
    if (vz_slice_is(key, "lenient"))
        return vz_dsl_bool("match", "lenient", value, &node->lenient, err);
    for (size_t i = 0; i < VZ_COUNT_OF(harmless); i++)
        if (vz_slice_is(key, harmless[i]))
            return VZ_OK;
    for (size_t i = 0; i < VZ_COUNT_OF(known); i++)
        if (vz_slice_is(key, known[i]))
            return vz_fail(err, VZ_UNSUPPORTED,
                           "[match] option [%s] is not supported yet by vizsla", known[i]);
    return VZ_NOT_FOUND;
}

static enum vz_status parse_match(struct vz_parser *parser, struct vz_json value,
                                  struct vz_node *node, struct vz_error *err)
{
    struct vz_json inner;
    node->kind = VZ_NODE_TERM;
    node->is_match = true;
    enum vz_status status = vz_dsl_one_field("match", value, &node->field, &inner, err);
    if (status != VZ_OK)
        return status;
    if (vz_json_type(inner) == VZ_JSON_ARRAY)
        return vz_fail(err, VZ_BAD_QUERY, "[match] unknown token [START_ARRAY] after [%.*s]",
                       VZ_ARG(node->field));
    if (is_scalar(inner))
        status = take_values(parser, "match", node, inner, err);
    else
        status = walk(parser, "match", inner, node, visit_match, err);
    if (status == VZ_OK &&
        (node->value_count == 0 || vz_json_type(node->values[0]) == VZ_JSON_NULL))
        return vz_fail(err, VZ_BAD_QUERY, "No text specified for text query");
    return status;
}

/* prefix and wildcard differ in one key's name. */
static enum vz_status parse_pattern(struct vz_parser *parser, const char *query, const char *other,
                                    struct vz_json value, struct vz_node *node,
                                    struct vz_error *err)
{
    struct vz_json inner;
    enum vz_status status = vz_dsl_one_field(query, value, &node->field, &inner, err);
    if (status != VZ_OK)
        return status;
    if (vz_json_type(inner) == VZ_JSON_STRING) {
        node->text = vz_json_string(inner);
        return VZ_OK;
    }
    struct vz_json_iter it = vz_json_iterate(inner);
    struct vz_slice key;
    struct vz_json member;
    while (vz_json_next(&it, &key, &member)) {
        bool handled;
        status = vz_dsl_common(query, key, member, &node->boost, &handled, err);
        if (status != VZ_OK)
            return status;
        if (handled)
            continue;
        if (vz_slice_is(key, "value") || vz_slice_is(key, other)) {
            if (!is_scalar(member))
                return vz_dsl_unknown(query, key, err);
            node->text = vz_query_scalar_text(member, parser->arena);
        } else if (vz_slice_is(key, "case_insensitive"))
            status = vz_dsl_bool(query, "case_insensitive", member, &node->fold_case, err);
        else if (vz_slice_is(key, "rewrite"))
            status = check_rewrite(query, member, err);
        else
            return vz_dsl_unknown(query, key, err);
        if (status != VZ_OK)
            return status;
    }
    if (!node->text.ptr)
        return vz_fail(err, VZ_BAD_QUERY, "value cannot be null");
    return VZ_OK;
}

static enum vz_status parse_prefix(struct vz_parser *parser, struct vz_json value,
                                   struct vz_node *node, struct vz_error *err)
{
    node->kind = VZ_NODE_PREFIX;
    return parse_pattern(parser, "prefix", "prefix", value, node, err);
}

static enum vz_status parse_wildcard(struct vz_parser *parser, struct vz_json value,
                                     struct vz_node *node, struct vz_error *err)
{
    node->kind = VZ_NODE_WILDCARD;
    return parse_pattern(parser, "wildcard", "wildcard", value, node, err);
}

/* ---- range ---------------------------------------------------------------------------------- */

/* "+01:00", "-0530", "+2", "Z", "UTC", "GMT". */
static bool parse_zone(struct vz_slice text, int64_t *ms)
{
    static const char *const zero[] = {"Z", "UTC", "GMT", "Etc/UTC"};
    *ms = 0;
    for (size_t i = 0; i < VZ_COUNT_OF(zero); i++)
        if (vz_slice_is(text, zero[i]))
            return true;
    if (text.len < 2 || text.len > 6 || (text.ptr[0] != '+' && text.ptr[0] != '-'))
        return false;
    int digits[4], count = 0;
    for (size_t i = 1; i < text.len; i++) {
        if (text.ptr[i] == ':' && count == 2 && i == 3)
            continue;
        if (text.ptr[i] < '0' || text.ptr[i] > '9' || count == 4)
            return false;
        digits[count++] = text.ptr[i] - '0';
    }
    if (count == 3)
        return false;
    int hours = count == 1 ? digits[0] : digits[0] * 10 + digits[1];
    int minutes = count == 4 ? digits[2] * 10 + digits[3] : 0;
    if (hours > 18 || minutes > 59)
        return false;
    *ms = (hours * 60 + minutes) * 60000ll * (text.ptr[0] == '-' ? -1 : 1);
    return true;
}

static void set_bound(struct vz_bound *bound, struct vz_json value, bool inclusive)
{
    *bound = (struct vz_bound){vz_json_type(value) != VZ_JSON_NULL, inclusive, value};
}

static enum vz_status visit_range(struct vz_parser *parser, struct vz_node *node,
                                  struct vz_slice key, struct vz_json value, struct vz_error *err)
{
    if (!is_scalar(value))
        return vz_fail(err, VZ_BAD_QUERY, "[range] query does not support [%.*s]", VZ_ARG(key));
    if (vz_slice_is(key, "gt"))
        set_bound(&node->range.lower, value, false);
    else if (vz_slice_is(key, "gte"))
        set_bound(&node->range.lower, value, true);
    else if (vz_slice_is(key, "lt"))
        set_bound(&node->range.upper, value, false);
    else if (vz_slice_is(key, "lte"))
        set_bound(&node->range.upper, value, true);
    else if (vz_slice_is(key, "format") && vz_json_type(value) == VZ_JSON_STRING)
        node->range.format = vz_json_string(value);
    else if (vz_slice_is(key, "time_zone")) {
        if (!parse_zone(vz_json_string(value), &node->range.zone_ms))
            return vz_fail(err, VZ_UNSUPPORTED,
                           "[range] time zone [%.*s]: only offsets such as "
                           "[+01:00] and [UTC] are supported yet by vizsla",
                           VZ_ARG(vz_json_string(value)));
        node->range.has_zone = true;
    } else if (vz_slice_is(key, "relation"))
        return vz_fail(err, VZ_UNSUPPORTED,
                       "[range] option [relation] is not supported yet by vizsla");
    else if (vz_slice_is(key, "from") || vz_slice_is(key, "to") ||
             vz_slice_is(key, "include_lower") || vz_slice_is(key, "include_upper"))
        return vz_fail(err, VZ_UNSUPPORTED,
                       "[range] the deprecated option [%.*s] is not supported "
                       "by vizsla, use [gt], [gte], [lt], [lte]",
                       VZ_ARG(key));
    else
        return VZ_NOT_FOUND;
    return VZ_OK;
}

static enum vz_status parse_range(struct vz_parser *parser, struct vz_json value,
                                  struct vz_node *node, struct vz_error *err)
{
    struct vz_json inner;
    node->kind = VZ_NODE_RANGE;
    enum vz_status status = vz_dsl_one_field("range", value, &node->field, &inner, err);
    if (status != VZ_OK)
        return status;
    if (vz_json_type(inner) != VZ_JSON_OBJECT)
        return vz_dsl_unknown("range", node->field, err);
    return walk(parser, "range", inner, node, visit_range, err);
}

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
        if (is_scalar(value))
            return VZ_NOT_FOUND;
        return vz_query_parse_list(parser, value, list, err);
    }
    if (vz_slice_is(key, "minimum_should_match")) {
        size_t ignored;
        if (!is_scalar(value))
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

static enum vz_status parse_bool(struct vz_parser *parser, struct vz_json value,
                                 struct vz_node *node, struct vz_error *err)
{
    node->kind = VZ_NODE_BOOL;
    return walk(parser, "bool", value, node, visit_bool, err);
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

static enum vz_status parse_constant(struct vz_parser *parser, struct vz_json value,
                                     struct vz_node *node, struct vz_error *err)
{
    node->kind = VZ_NODE_CONSTANT;
    enum vz_status status = walk(parser, "constant_score", value, node, visit_constant, err);
    if (status == VZ_OK && node->parts.count == 0)
        return vz_fail(err, VZ_BAD_QUERY, "[constant_score] requires a 'filter' element");
    return status;
}

static enum vz_status visit_dis_max(struct vz_parser *parser, struct vz_node *node,
                                    struct vz_slice key, struct vz_json value, struct vz_error *err)
{
    if (vz_slice_is(key, "queries") && !is_scalar(value))
        return vz_query_parse_list(parser, value, &node->parts, err);
    if (vz_slice_is(key, "tie_breaker"))
        return vz_dsl_float("dis_max", "tie_breaker", value, &node->factor, err);
    return VZ_NOT_FOUND;
}

static enum vz_status parse_dis_max(struct vz_parser *parser, struct vz_json value,
                                    struct vz_node *node, struct vz_error *err)
{
    node->kind = VZ_NODE_DIS_MAX;
    enum vz_status status = walk(parser, "dis_max", value, node, visit_dis_max, err);
    if (status == VZ_OK && node->parts.count == 0)
        return vz_fail(err, VZ_BAD_QUERY,
                       "[dis_max] requires 'queries' field with at least one clause");
    return status;
}

static enum vz_status parse_boosting(struct vz_parser *parser, struct vz_json value,
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

static enum vz_status parse_knn_query(struct vz_parser *parser, struct vz_json value,
                                      struct vz_node *node, struct vz_error *err)
{
    node->kind = VZ_NODE_KNN;
    return vz_knn_parse(parser, value, false, &node->knn, err);
}

/* ---- the table ------------------------------------------------------------------------------ */

static const struct {
    const char *name;
    enum vz_status (*parse)(struct vz_parser *parser, struct vz_json value, struct vz_node *node,
                            struct vz_error *err);
} served[] = {
    {"match_all", parse_all},
    {"match_none", parse_none},
    {"term", parse_term},
    {"terms", parse_terms},
    {"range", parse_range},
    {"bool", parse_bool},
    {"exists", parse_exists},
    {"ids", parse_ids},
    {"knn", parse_knn_query},
    {"match", parse_match},
    {"prefix", parse_prefix},
    {"wildcard", parse_wildcard},
    {"constant_score", parse_constant},
    {"dis_max", parse_dis_max},
    {"boosting", parse_boosting},
    {"geo_distance", vz_geo_parse_distance},
    {"geo_bounding_box", vz_geo_parse_box},
};

static const char *const full_text[] = {
    "match_phrase",        "match_phrase_prefix",
    "match_bool_prefix",   "multi_match",
    "combined_fields",     "query_string",
    "simple_query_string", "intervals",
    "more_like_this",      "semantic",
    "sparse_vector",       "text_expansion",
};
static const char *const elsewhere[] = {
    "nested",
    "has_child",
    "has_parent",
    "parent_id",
    "fuzzy",
    "regexp",
    "terms_set",
    "type",
    "geo_shape",
    "geo_grid",
    "geo_polygon",
    "shape",
    "distance_feature",
    "rank_feature",
    "function_score",
    "script",
    "script_score",
    "percolate",
    "pinned",
    "rule",
    "wrapper",
    "weighted_tokens",
    "span_containing",
    "span_field_masking",
    "field_masking_span",
    "span_first",
    "span_multi",
    "span_near",
    "span_not",
    "span_or",
    "span_term",
    "span_within",
    "span_gap",
};

static enum vz_status refuse(struct vz_slice name, struct vz_error *err)
{
    for (size_t i = 0; i < VZ_COUNT_OF(full_text); i++)
        if (vz_slice_is(name, full_text[i]))
            return vz_fail(err, VZ_UNSUPPORTED,
                           "[%s] query is not supported yet by vizsla: "
                           "full-text search comes with analysed text fields",
                           full_text[i]);
    for (size_t i = 0; i < VZ_COUNT_OF(elsewhere); i++)
        if (vz_slice_is(name, elsewhere[i]))
            return vz_fail(err, VZ_UNSUPPORTED, "[%s] query is not supported yet by vizsla",
                           elsewhere[i]);
    return vz_fail(err, VZ_BAD_QUERY, "unknown query [%.*s]", VZ_ARG(name));
}

static enum vz_status parse_named(struct vz_parser *parser, struct vz_slice name,
                                  struct vz_json inner, struct vz_node *node, struct vz_error *err)
{
    for (size_t i = 0; i < VZ_COUNT_OF(served); i++) {
        if (!vz_slice_is(name, served[i].name))
            continue;
        if (vz_json_type(inner) != VZ_JSON_OBJECT)
            return vz_fail(err, VZ_BAD_QUERY,
                           "[%s] query malformed, no start_object after query name",
                           served[i].name);
        return served[i].parse(parser, inner, node, err);
    }
    return refuse(name, err);
}

enum vz_status vz_query_parse(struct vz_parser *parser, struct vz_json value, struct vz_node **out,
                              struct vz_error *err)
{
    if (vz_json_type(value) != VZ_JSON_OBJECT)
        return vz_fail(err, VZ_BAD_QUERY, "[_na] query malformed, must start with start_object");
    struct vz_json_iter it = vz_json_iterate(value);
    struct vz_slice name, second;
    struct vz_json inner, ignored;
    if (!vz_json_next(&it, &name, &inner))
        return vz_fail(err, VZ_BAD_QUERY, "query malformed, empty clause found");
    if (++parser->clauses > VZ_MAX_CLAUSES)
        return vz_fail(err, VZ_BAD_QUERY,
                       "Query contains too many nested clauses; maxClauseCount is set to %d",
                       VZ_MAX_CLAUSES);
    if (++parser->depth > VZ_MAX_QUERY_DEPTH)
        return vz_fail(err, VZ_BAD_QUERY,
                       "The nested depth of the query exceeds the maximum nested "
                       "depth for queries set in [indices.query.bool.max_nested_depth]");
    struct vz_node *node = vz_arena_zalloc(parser->arena, sizeof(*node));
    node->boost = 1;
    enum vz_status status = parse_named(parser, name, inner, node, err);
    if (status == VZ_OK && vz_json_next(&it, &second, &ignored))
        status = vz_fail(err, VZ_BAD_QUERY,
                         "[%.*s] malformed query, expected [END_OBJECT] but found [FIELD_NAME]",
                         VZ_ARG(name));
    parser->depth--;
    *out = node;
    return status;
}

enum vz_status vz_query_parse_list(struct vz_parser *parser, struct vz_json value,
                                   struct vz_node_list *list, struct vz_error *err)
{
    bool many = vz_json_type(value) == VZ_JSON_ARRAY;
    size_t more = many ? vz_json_count(value) : 1;
    struct vz_node **items =
        vz_arena_alloc(parser->arena, (list->count + more + 1) * sizeof(struct vz_node *));
    if (list->count)
        memcpy(items, list->items, list->count * sizeof(struct vz_node *));
    list->items = items;
    if (!many) {
        enum vz_status status = vz_query_parse(parser, value, &items[list->count], err);
        if (status == VZ_OK)
            list->count++;
        return status;
    }
    struct vz_json_iter it = vz_json_iterate(value);
    struct vz_json element;
    while (vz_json_next(&it, NULL, &element)) {
        enum vz_status status = vz_query_parse(parser, element, &items[list->count], err);
        if (status != VZ_OK)
            return status;
        list->count++;
    }
    return VZ_OK;
}
