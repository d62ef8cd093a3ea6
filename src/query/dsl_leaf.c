/* Queries that look at values: match_all, exists, ids, term, terms, prefix, wildcard, range.
 */
#include "query/dsl.h"

#include "base/zone.h"

#include <strings.h>

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
        return vz_json_get(value, "path", &(struct vz_json){0})
                   /* Those of bodies are lists by now (rest/lookups.c). */
                   ? vz_fail(err, VZ_UNSUPPORTED,
                             "[terms] lookup is not supported yet by vizsla in an alias' filter")
                   : vz_fail(err, VZ_BAD_ARGUMENT, "Required [path]");
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

/* gt, gte, lt, lte; and what these were called before: from, to, include_lower, include_upper. The
 * later of two that say the same holds. */
static bool read_bound(struct vz_node *node, struct vz_slice key, struct vz_json value)
{
    static const struct {
        const char *name;
        bool upper, says_inclusive, inclusive;
    } names[] = {
        {"gt", false, true, false}, {"gte", false, true, true}, {"from", false, false, true},
        {"lt", true, true, false},  {"lte", true, true, true},  {"to", true, false, true},
    };
    size_t i = 0;
    while (i < VZ_COUNT_OF(names) && !vz_slice_is(key, names[i].name))
        i++;
    if (i == VZ_COUNT_OF(names))
        return false;
    struct vz_bound *bound = names[i].upper ? &node->range.upper : &node->range.lower;
    bound->set = vz_json_type(value) != VZ_JSON_NULL;
    bound->value = value;
    if (names[i].says_inclusive)
        bound->inclusive = names[i].inclusive;
    return true;
}

/* How a document's range lies to the query's: of a field of single values all allowed ones are the
 * same. */
static enum vz_status check_relation(struct vz_json value, struct vz_error *err)
{
    static const char *const allowed[] = {"intersects", "contains", "within"};
    struct vz_slice text = vz_json_string(value);
    for (size_t i = 0; i < VZ_COUNT_OF(allowed); i++)
        if (text.len == strlen(allowed[i]) && strncasecmp(text.ptr, allowed[i], text.len) == 0)
            return VZ_OK;
    return vz_fail(err, VZ_BAD_ARGUMENT,
                   text.len == 8 && strncasecmp(text.ptr, "disjoint", 8) == 0
                       ? "[range] query does not support relation [%.*s]"
                       : "%.*s is not a valid relation",
                   VZ_ARG(text));
}

static enum vz_status visit_range(struct vz_parser *parser, struct vz_node *node,
                                  struct vz_slice key, struct vz_json value, struct vz_error *err)
{
    if (!vz_dsl_is_scalar(value))
        return vz_fail(err, VZ_BAD_QUERY, "[range] query does not support [%.*s]", VZ_ARG(key));
    if (read_bound(node, key, value))
        return VZ_OK;
    if (vz_slice_is(key, "include_lower"))
        return vz_dsl_bool("range", "include_lower", value, &node->range.lower.inclusive, err);
    if (vz_slice_is(key, "include_upper"))
        return vz_dsl_bool("range", "include_upper", value, &node->range.upper.inclusive, err);
    if (vz_slice_is(key, "relation"))
        return check_relation(value, err);
    if (vz_slice_is(key, "format") && vz_json_type(value) == VZ_JSON_STRING)
        node->range.format = vz_json_string(value);
    else if (vz_slice_is(key, "time_zone")) {
        if (vz_dsl_zone(value, &node->range.zone_ms, &node->range.zone, err) != VZ_OK)
            return VZ_UNSUPPORTED;
        node->range.has_zone = true;
    } else
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
    node->range.lower.inclusive = node->range.upper.inclusive = true;
    return vz_dsl_walk(parser, "range", inner, node, visit_range, err);
}
