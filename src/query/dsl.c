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
    if (vz_slice_is(key, "_name")) { /* read_name takes it */
        if (vz_json_type(value) != VZ_JSON_STRING)
            return vz_fail(err, VZ_BAD_QUERY, "[%s] [_name] must be a string but got %s", query,
                           vz_query_token(value));
        return VZ_OK;
    }
    *handled = false;
    return VZ_OK;
}

enum vz_status vz_dsl_unknown(const char *query, struct vz_slice key, struct vz_error *err)
{
    return vz_fail(err, VZ_BAD_QUERY, "[%s] query does not support [%.*s]", query, VZ_ARG(key));
}

enum vz_status vz_dsl_walk(struct vz_parser *parser, const char *query, struct vz_json object,
                           struct vz_node *node, vz_dsl_visit *each, struct vz_error *err)
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

bool vz_dsl_is_scalar(struct vz_json value)
{
    enum vz_json_type type = vz_json_type(value);
    return type != VZ_JSON_OBJECT && type != VZ_JSON_ARRAY && type != VZ_JSON_MISSING;
}

/* ---- the table ------------------------------------------------------------------------------ */

static const struct {
    const char *name;
    enum vz_status (*parse)(struct vz_parser *parser, struct vz_json value, struct vz_node *node,
                            struct vz_error *err);
} served[] = {
    {"match_all", vz_dsl_parse_all},
    {"match_none", vz_dsl_parse_none},
    {"term", vz_dsl_parse_term},
    {"terms", vz_dsl_parse_terms},
    {"range", vz_dsl_parse_range},
    {"bool", vz_dsl_parse_bool},
    {"exists", vz_dsl_parse_exists},
    {"ids", vz_dsl_parse_ids},
    {"knn", vz_dsl_parse_knn_query},
    {"nested", vz_dsl_parse_nested},
    {"semantic", vz_dsl_parse_semantic},
    {"match", vz_dsl_parse_match},
    {"match_phrase", vz_dsl_parse_match_phrase},
    {"match_phrase_prefix", vz_dsl_parse_match_phrase_prefix},
    {"match_bool_prefix", vz_dsl_parse_match_bool_prefix},
    {"multi_match", vz_dsl_parse_multi_match},
    {"combined_fields", vz_dsl_parse_combined},
    {"query_string", vz_dsl_parse_query_string},
    {"simple_query_string", vz_dsl_parse_simple_string},
    {"more_like_this", vz_dsl_parse_like},
    {"mlt", vz_dsl_parse_like},
    {"fuzzy", vz_dsl_parse_fuzzy},
    {"intervals", vz_dsl_parse_intervals},
    {"span_term", vz_dsl_parse_span_term},
    {"span_or", vz_dsl_parse_span_or},
    {"span_near", vz_dsl_parse_span_near},
    {"span_not", vz_dsl_parse_span_not},
    {"span_first", vz_dsl_parse_span_first},
    {"span_containing", vz_dsl_parse_span_containing},
    {"span_within", vz_dsl_parse_span_within},
    {"span_multi", vz_dsl_parse_span_multi},
    {"span_field_masking", vz_dsl_parse_span_mask},
    {"field_masking_span", vz_dsl_parse_span_mask},
    {"regexp", vz_dsl_parse_regexp},
    {"prefix", vz_dsl_parse_prefix},
    {"wildcard", vz_dsl_parse_wildcard},
    {"constant_score", vz_dsl_parse_constant},
    {"dis_max", vz_dsl_parse_dis_max},
    {"boosting", vz_dsl_parse_boosting},
    {"script_score", vz_dsl_parse_script_score},
    {"function_score", vz_dsl_parse_function_score},
    {"pinned", vz_dsl_parse_pinned},
    {"script", vz_dsl_parse_script},
    {"terms_set", vz_dsl_parse_terms_set},
    {"distance_feature", vz_dsl_parse_distance_feature},
    {"rank_feature", vz_dsl_parse_rank_feature},
    {"geo_distance", vz_geo_parse_distance},
    {"geo_bounding_box", vz_geo_parse_box},
};

static const char *const elsewhere[] = {
    "sparse_vector",
    "text_expansion",
    "has_child",
    "has_parent",
    "parent_id",
    "type",
    "geo_shape",
    "geo_grid",
    "geo_polygon",
    "shape",
    "percolate",
    "rule",
    "wrapper", /* but in bodies, where rest/lookups.c opens them */
    "weighted_tokens",
    "span_gap",
};

static enum vz_status refuse(struct vz_slice name, struct vz_error *err)
{
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

/* `_name` stands beside the options: those of a query over one field are a level down. */
static struct vz_slice read_name(struct vz_json inner, enum vz_node_kind kind)
{
    struct vz_json name, field;
    struct vz_json_iter it = vz_json_iterate(inner);
    if (vz_json_get(inner, "_name", &name) && vz_json_type(name) == VZ_JSON_STRING)
        return vz_json_string(name);
    bool leaf = kind == VZ_NODE_TERM || kind == VZ_NODE_RANGE || kind == VZ_NODE_PREFIX ||
                kind == VZ_NODE_WILDCARD || kind == VZ_NODE_REGEXP ||
                kind == VZ_NODE_FUZZY || kind == VZ_NODE_TERMS_SET ||
                kind == VZ_NODE_INTERVALS || kind == VZ_NODE_SPAN;
    if (leaf && vz_json_next(&it, NULL, &field) && vz_json_get(field, "_name", &name))
        return vz_json_string(name);
    return (struct vz_slice){0};
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
    unsigned scripts = parser->scripts;
    enum vz_status status = parse_named(parser, name, inner, node, err);
    node->runs_script = parser->scripts != scripts;
    if (status == VZ_OK)
        node->name = read_name(inner, node->kind);
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
