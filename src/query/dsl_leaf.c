/* Queries that look at values: match_all, exists, ids, term, terms, prefix, wildcard, range.
 */
#include "query/dsl.h"

#include "base/zone.h"

/* ---- match_all, match_none, exists, ids ----------------------------------------------------- */

enum vz_status vz_dsl_parse_all(struct vz_parser *parser, struct vz_json value,
                                struct vz_node *node, struct vz_error *err)
{
    node->kind = VZ_NODE_ALL;
    return vz_dsl_walk(parser, "match_all", value, node, NULL, err);
}

enum vz_status vz_dsl_parse_none(struct vz_parser *parser, struct vz_json value,
                                 struct vz_node *node, struct vz_error *err)
{
    node->kind = VZ_NODE_NONE;
    return vz_dsl_walk(parser, "match_none", value, node, NULL, err);
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

enum vz_status vz_dsl_parse_exists(struct vz_parser *parser, struct vz_json value,
                                   struct vz_node *node, struct vz_error *err)
{
    node->kind = VZ_NODE_EXISTS;
    enum vz_status status = vz_dsl_walk(parser, "exists", value, node, visit_exists, err);
    if (status == VZ_OK && node->field.len == 0)
        return vz_fail(err, VZ_BAD_QUERY, "[exists] must be provided with a [field]");
    return status;
}

/* An array (or one scalar) into node->values. */
enum vz_status vz_dsl_take_values(struct vz_parser *parser, const char *query, struct vz_node *node,
                                  struct vz_json value, struct vz_error *err)
{
    size_t count = vz_json_type(value) == VZ_JSON_ARRAY ? vz_json_count(value) : 1;
    node->values = vz_arena_alloc(parser->arena, (count + 1) * sizeof(*node->values));
    node->value_count = 0;
    if (vz_dsl_is_scalar(value)) {
        node->values[node->value_count++] = value;
        return VZ_OK;
    }
    struct vz_json_iter it = vz_json_iterate(value);
    struct vz_json element;
    while (vz_json_next(&it, NULL, &element)) {
        if (vz_json_type(element) == VZ_JSON_NULL)
            return vz_fail(err, VZ_BAD_QUERY, "No value specified for %s query", query);
        if (!vz_dsl_is_scalar(element))
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
    if (!vz_dsl_is_scalar(value) && vz_json_type(value) != VZ_JSON_ARRAY)
        return vz_fail(err, VZ_BAD_QUERY, "[ids] values doesn't support values of type: %s",
                       vz_query_token(value));
    return vz_dsl_take_values(parser, "ids", node, value, err);
}

enum vz_status vz_dsl_parse_ids(struct vz_parser *parser, struct vz_json value,
                                struct vz_node *node, struct vz_error *err)
{
    node->kind = VZ_NODE_IDS;
    return vz_dsl_walk(parser, "ids", value, node, visit_ids, err);
}

/* ---- term, terms, prefix, wildcard --------------------------------------------------- */

/* rewrite methods choose scores only among exotic ones; the default is what is done here. */
enum vz_status vz_dsl_check_rewrite(const char *query, struct vz_json value, struct vz_error *err)
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
    if (!vz_dsl_is_scalar(value))
        return vz_fail(err, VZ_BAD_QUERY, "[term] query does not support array of values");
    return vz_dsl_take_values(parser, "term", node, value, err);
}

enum vz_status vz_dsl_parse_term(struct vz_parser *parser, struct vz_json value,
                                 struct vz_node *node, struct vz_error *err)
{
    struct vz_json inner;
    node->kind = VZ_NODE_TERM;
    enum vz_status status = vz_dsl_one_field("term", value, &node->field, &inner, err);
    if (status != VZ_OK)
        return status;
    if (vz_json_type(inner) == VZ_JSON_ARRAY)
        return vz_fail(err, VZ_BAD_QUERY, "[term] query does not support array of values");
    if (vz_dsl_is_scalar(inner))
        status = vz_dsl_take_values(parser, "term", node, inner, err);
    else
        status = vz_dsl_walk(parser, "term", inner, node, visit_term, err);
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
    return vz_dsl_take_values(parser, "terms", node, value, err);
}

enum vz_status vz_dsl_parse_terms(struct vz_parser *parser, struct vz_json value,
                                  struct vz_node *node, struct vz_error *err)
{
    node->kind = VZ_NODE_TERMS;
    enum vz_status status = vz_dsl_walk(parser, "terms", value, node, visit_terms, err);
    if (status == VZ_OK && node->field.len == 0)
        return vz_fail(err, VZ_BAD_QUERY,
                       "[terms] query requires a field name, followed by array "
                       "of terms or a document lookup specification");
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
            if (!vz_dsl_is_scalar(member))
                return vz_dsl_unknown(query, key, err);
            node->text = vz_query_scalar_text(member, parser->arena);
        } else if (vz_slice_is(key, "case_insensitive"))
            status = vz_dsl_bool(query, "case_insensitive", member, &node->fold_case, err);
        else if (vz_slice_is(key, "rewrite"))
            status = vz_dsl_check_rewrite(query, member, err);
        else
            return vz_dsl_unknown(query, key, err);
        if (status != VZ_OK)
            return status;
    }
    if (!node->text.ptr)
        return vz_fail(err, VZ_BAD_QUERY, "value cannot be null");
    return VZ_OK;
}

enum vz_status vz_dsl_parse_prefix(struct vz_parser *parser, struct vz_json value,
                                   struct vz_node *node, struct vz_error *err)
{
    node->kind = VZ_NODE_PREFIX;
    return parse_pattern(parser, "prefix", "prefix", value, node, err);
}

enum vz_status vz_dsl_parse_wildcard(struct vz_parser *parser, struct vz_json value,
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

enum vz_status vz_dsl_zone(struct vz_json value, int64_t *ms, const struct vz_zone **zone,
                           struct vz_error *err)
{
    struct vz_slice text = vz_json_string(value);
    *zone = NULL;
    if (parse_zone(text, ms))
        return VZ_OK;
    *zone = text.len ? vz_zone_find(text) : NULL;
    if (*zone)
        return VZ_OK;
    return vz_fail(err, VZ_BAD_ARGUMENT,
                   memchr(text.ptr ? text.ptr : "", '/', text.len)
                       ? "Unknown time-zone ID: %.*s"
                       : "Invalid ID for ZoneOffset, invalid format: %.*s",
                   VZ_ARG(text));
}

static void set_bound(struct vz_bound *bound, struct vz_json value, bool inclusive)
{
    *bound = (struct vz_bound){vz_json_type(value) != VZ_JSON_NULL, inclusive, value};
}

static enum vz_status visit_range(struct vz_parser *parser, struct vz_node *node,
                                  struct vz_slice key, struct vz_json value, struct vz_error *err)
{
    if (!vz_dsl_is_scalar(value))
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
        if (vz_dsl_zone(value, &node->range.zone_ms, &node->range.zone, err) != VZ_OK)
            return VZ_UNSUPPORTED;
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

enum vz_status vz_dsl_parse_range(struct vz_parser *parser, struct vz_json value,
                                  struct vz_node *node, struct vz_error *err)
{
    struct vz_json inner;
    node->kind = VZ_NODE_RANGE;
    enum vz_status status = vz_dsl_one_field("range", value, &node->field, &inner, err);
    if (status != VZ_OK)
        return status;
    if (vz_json_type(inner) != VZ_JSON_OBJECT)
        return vz_dsl_unknown("range", node->field, err);
    return vz_dsl_walk(parser, "range", inner, node, visit_range, err);
}
