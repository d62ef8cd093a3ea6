/* Queries that analyse a text: match, match_phrase, match_phrase_prefix, match_bool_prefix,
 * multi_match; and those that look through terms: fuzzy, regexp. text.c runs them. */
#include "query/dsl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct vz_match *new_match(struct vz_parser *parser, const char *query,
                                  enum vz_match_type type)
{
    struct vz_match *match = vz_arena_zalloc(parser->arena, sizeof *match);
    match->query = query;
    match->type = type;
    match->max_expansions = 50;
    return match;
}

enum vz_status vz_dsl_count(const char *query, const char *key, struct vz_json value,
                                 uint32_t *out, struct vz_error *err)
{
    int64_t number;
    if (!vz_json_as_int(value, &number) || number < 0 || number > INT32_MAX)
        return vz_fail(err, VZ_BAD_QUERY, "[%s] requires [%s] to be zero or more", query, key);
    *out = (uint32_t)number;
    return VZ_OK;
}

enum vz_status vz_dsl_operator(const char *query, struct vz_json value, bool *every,
                                    struct vz_error *err)
{
    struct vz_slice text = vz_json_string(value);
    *every = vz_slice_is(text, "and") || vz_slice_is(text, "AND") || vz_slice_is(text, "And");
    if (*every || vz_slice_is(text, "or") || vz_slice_is(text, "OR") || vz_slice_is(text, "Or"))
        return VZ_OK;
    return vz_fail(err, VZ_BAD_QUERY,
                   "[%s] No enum constant org.elasticsearch.index.query.Operator.%.*s", query,
                   VZ_ARG(text));
}

/* "AUTO", "AUTO:low,high", 0, 1, 2 */
enum vz_status vz_dsl_fuzziness(struct vz_parser *parser, const char *query,
                                     struct vz_json value, struct vz_slice *out,
                                     struct vz_error *err)
{
    struct vz_slice text = vz_query_scalar_text(value, parser->arena);
    *out = text;
    if (vz_slice_is(text, "0") || vz_slice_is(text, "1") || vz_slice_is(text, "2") ||
        vz_slice_is(text, "AUTO") || vz_slice_is(text, "auto") || vz_slice_is(text, "0.0") ||
        vz_slice_is(text, "1.0") || vz_slice_is(text, "2.0"))
        return VZ_OK;
    unsigned low, high;
    char copy[32] = "";
    memcpy(copy, text.ptr, VZ_MIN(text.len, sizeof copy - 1));
    if ((vz_slice_starts(text, "AUTO:") || vz_slice_starts(text, "auto:")) &&
        sscanf(copy + 5, "%u,%u", &low, &high) == 2 && low <= high)
        return VZ_OK;
    return vz_fail(err, VZ_BAD_QUERY, "[%s] Invalid fuzziness value: [%.*s]", query, VZ_ARG(text));
}

/* The options that match and multi_match share. VZ_NOT_FOUND: not one of them. */
static enum vz_status read_option(struct vz_parser *parser, struct vz_match *match,
                                  struct vz_slice key, struct vz_json value, struct vz_error *err)
{
    const char *query = match->query;
    bool on;
    enum vz_status status;
    if (vz_slice_is(key, "operator"))
        return vz_dsl_operator(query, value, &match->every, err);
    if (vz_slice_is(key, "minimum_should_match")) {
        match->minimum = vz_query_scalar_text(value, parser->arena);
        return VZ_OK;
    }
    if (vz_slice_is(key, "analyzer")) {
        if (vz_json_type(value) != VZ_JSON_STRING)
            return vz_fail(err, VZ_BAD_QUERY, "[%s] [analyzer] must be a string", query);
        match->analyzer = vz_json_string(value);
        return VZ_OK;
    }
    if (vz_slice_is(key, "slop") && match->type != VZ_MATCH_BOOL_PREFIX)
        return vz_dsl_count(query, "slop", value, &match->slop, err);
    if (vz_slice_is(key, "max_expansions"))
        return vz_dsl_count(query, "max_expansions", value, &match->max_expansions, err);
    if (vz_slice_is(key, "prefix_length"))
        return vz_dsl_count(query, "prefix_length", value, &match->prefix_length, err);
    if (vz_slice_is(key, "fuzziness"))
        return vz_dsl_fuzziness(parser, query, value, &match->fuzziness, err);
    if (vz_slice_is(key, "fuzzy_transpositions") || vz_slice_is(key, "transpositions")) {
        status = vz_dsl_bool(query, "fuzzy_transpositions", value, &on, err);
        match->no_transpositions = status == VZ_OK && !on;
        return status;
    }
    if (vz_slice_is(key, "auto_generate_synonyms_phrase_query")) {
        status = vz_dsl_bool(query, "auto_generate_synonyms_phrase_query", value, &on, err);
        match->no_synonym_phrases = status == VZ_OK && !on;
        return status;
    }
    if (vz_slice_is(key, "zero_terms_query")) {
        struct vz_slice text = vz_json_string(value);
        match->zero_terms_all = vz_slice_is(text, "all") || vz_slice_is(text, "ALL");
        if (match->zero_terms_all || vz_slice_is(text, "none") || vz_slice_is(text, "NONE"))
            return VZ_OK;
        return vz_fail(err, VZ_BAD_QUERY, "Unsupported zero_terms_query value [%.*s]",
                       VZ_ARG(text));
    }
    if (vz_slice_is(key, "fuzzy_rewrite"))
        return vz_dsl_fuzzy_rewrite(query, value, &match->max_expansions, err);
    if (vz_slice_is(key, "cutoff_frequency"))
        return vz_fail(err, VZ_UNSUPPORTED, "[%s] option [%.*s] is not supported yet by vizsla",
                       query, VZ_ARG(key));
    return VZ_NOT_FOUND;
}

static enum vz_status visit_match(struct vz_parser *parser, struct vz_node *node,
                                  struct vz_slice key, struct vz_json value, struct vz_error *err)
{
    /* The clause is this node's own, made in parse_match. */
    union {
        const struct vz_match *from;
        struct vz_match *to;
    } match = {.from = node->match};
    const char *query = node->match->query;
    if (vz_slice_is(key, "query")) {
        if (!vz_dsl_is_scalar(value))
            return vz_fail(err, VZ_BAD_QUERY, "[%s] unknown token [%s] after [query]", query,
                           vz_query_token(value));
        return vz_dsl_take_values(parser, query, node, value, err);
    }
    if (vz_slice_is(key, "lenient"))
        return vz_dsl_bool(query, "lenient", value, &node->lenient, err);
    return read_option(parser, match.to, key, value, err);
}

static enum vz_status parse_match(struct vz_parser *parser, const char *query,
                                  enum vz_match_type type, struct vz_json value,
                                  struct vz_node *node, struct vz_error *err)
{
    struct vz_json inner;
    node->kind = VZ_NODE_TERM;
    node->is_match = true;
    node->match = new_match(parser, query, type);
    enum vz_status status = vz_dsl_one_field(query, value, &node->field, &inner, err);
    if (status != VZ_OK)
        return status;
    if (vz_json_type(inner) == VZ_JSON_ARRAY)
        return vz_fail(err, VZ_BAD_QUERY, "[%s] unknown token [START_ARRAY] after [%.*s]", query,
                       VZ_ARG(node->field));
    if (vz_dsl_is_scalar(inner))
        status = vz_dsl_take_values(parser, query, node, inner, err);
    else
        status = vz_dsl_walk(parser, query, inner, node, visit_match, err);
    if (status == VZ_OK &&
        (node->value_count == 0 || vz_json_type(node->values[0]) == VZ_JSON_NULL))
        return vz_fail(err, VZ_BAD_QUERY, "No text specified for text query");
    if (status == VZ_OK && type == VZ_MATCH_BOOLEAN)
        node->question =
            vz_semantic_question(parser, node->field, node->values[0], node->boost, true);
    return status;
}

enum vz_status vz_dsl_parse_match(struct vz_parser *parser, struct vz_json value,
                                  struct vz_node *node, struct vz_error *err)
{
    return parse_match(parser, "match", VZ_MATCH_BOOLEAN, value, node, err);
}

enum vz_status vz_dsl_parse_match_phrase(struct vz_parser *parser, struct vz_json value,
                                         struct vz_node *node, struct vz_error *err)
{
    return parse_match(parser, "match_phrase", VZ_MATCH_PHRASE, value, node, err);
}

enum vz_status vz_dsl_parse_match_phrase_prefix(struct vz_parser *parser, struct vz_json value,
                                                struct vz_node *node, struct vz_error *err)
{
    return parse_match(parser, "match_phrase_prefix", VZ_MATCH_PHRASE_PREFIX, value, node, err);
}

enum vz_status vz_dsl_parse_match_bool_prefix(struct vz_parser *parser, struct vz_json value,
                                              struct vz_node *node, struct vz_error *err)
{
    return parse_match(parser, "match_bool_prefix", VZ_MATCH_BOOL_PREFIX, value, node, err);
}

/* ---- multi_match ---------------------------------------------------------------------------- */

static const struct {
    const char *name;
    enum vz_match_type type;
    float tie;
} multi_types[] = {
    {"best_fields", VZ_MATCH_BOOLEAN, 0},     {"most_fields", VZ_MATCH_BOOLEAN, 1},
    {"phrase", VZ_MATCH_PHRASE, 0},           {"phrase_prefix", VZ_MATCH_PHRASE_PREFIX, 0},
    {"bool_prefix", VZ_MATCH_BOOL_PREFIX, 1},
};

/* "title^3" */
static enum vz_status read_field(const char *query, struct vz_slice text,
                                 struct vz_multi_field *out, struct vz_error *err)
{
    const char *hat = text.len ? memchr(text.ptr, '^', text.len) : NULL;
    *out = (struct vz_multi_field){.pattern = text, .boost = 1};
    if (!hat)
        return VZ_OK;
    char copy[32] = "", *end;
    size_t len = (size_t)(text.ptr + text.len - hat) - 1;
    memcpy(copy, hat + 1, VZ_MIN(len, sizeof copy - 1));
    out->boost = strtof(copy, &end);
    out->pattern.len = (size_t)(hat - text.ptr);
    if (end == copy || *end || !(out->boost >= 0) || out->boost > 3e38f)
        return vz_fail(err, VZ_BAD_QUERY, "[%s] the boost of [%.*s] is no number", query,
                       VZ_ARG(text));
    return VZ_OK;
}

enum vz_status vz_dsl_fields(struct vz_parser *parser, const char *query, struct vz_json value,
                             struct vz_multi_field **fields, size_t *field_count,
                             struct vz_error *err)
{
    bool list = vz_json_type(value) == VZ_JSON_ARRAY;
    size_t count = list ? vz_json_count(value) : 1;
    *fields = vz_arena_alloc(parser->arena, (count + 1) * sizeof **fields);
    *field_count = 0;
    if (!list && vz_json_type(value) != VZ_JSON_STRING)
        return vz_fail(err, VZ_BAD_QUERY, "[%s] unknown token [%s] after [fields]", query,
                       vz_query_token(value));
    if (!list)
        return read_field(query, vz_json_string(value), &(*fields)[(*field_count)++], err);
    struct vz_json_iter it = vz_json_iterate(value);
    struct vz_json element;
    enum vz_status status = VZ_OK;
    while (status == VZ_OK && vz_json_next(&it, NULL, &element)) {
        if (vz_json_type(element) != VZ_JSON_STRING)
            return vz_fail(err, VZ_BAD_QUERY, "[%s] unknown token [%s] after [fields]", query,
                           vz_query_token(element));
        status = read_field(query, vz_json_string(element), &(*fields)[(*field_count)++], err);
    }
    return status;
}

enum vz_status vz_dsl_multi_type(const char *query, struct vz_json value,
                                 struct vz_multi_match *multi, struct vz_error *err)
{
    struct vz_slice text = vz_json_string(value);
    if (vz_slice_is(text, "cross_fields")) {
        multi->kind = VZ_MULTI_CROSS;
        multi->match.type = VZ_MATCH_BOOLEAN;
        multi->tie = 0;
        return VZ_OK;
    }
    for (size_t i = 0; i < VZ_COUNT_OF(multi_types); i++)
        if (vz_slice_is(text, multi_types[i].name)) {
            multi->match.type = multi_types[i].type;
            multi->tie = multi_types[i].tie;
            return VZ_OK;
        }
    return vz_fail(err, VZ_BAD_QUERY, "failed to parse [%s] query type [%.*s]. unknown type.",
                   query, VZ_ARG(text));
}

static enum vz_status visit_multi(struct vz_parser *parser, struct vz_node *node,
                                  struct vz_slice key, struct vz_json value, struct vz_error *err)
{
    struct vz_multi_match *multi = node->multi;
    if (vz_slice_is(key, "query")) {
        if (!vz_dsl_is_scalar(value))
            return vz_fail(err, VZ_BAD_QUERY, "[multi_match] unknown token [%s] after [query]",
                           vz_query_token(value));
        multi->value = value;
        return VZ_OK;
    }
    if (vz_slice_is(key, "fields"))
        return vz_dsl_fields(parser, "multi_match", value, &multi->fields, &multi->field_count,
                             err);
    if (vz_slice_is(key, "type") || vz_slice_is(key, "tie_breaker"))
        return VZ_OK; /* read before the others and after them */
    if (vz_slice_is(key, "lenient"))
        return vz_dsl_bool("multi_match", "lenient", value, &multi->lenient, err);
    return read_option(parser, &multi->match, key, value, err);
}

enum vz_status vz_dsl_parse_multi_match(struct vz_parser *parser, struct vz_json value,
                                        struct vz_node *node, struct vz_error *err)
{
    struct vz_multi_match *multi = vz_arena_zalloc(parser->arena, sizeof *multi);
    struct vz_json member;
    multi->match = *new_match(parser, "multi_match", VZ_MATCH_BOOLEAN);
    node->kind = VZ_NODE_MULTI_MATCH;
    node->multi = multi;
    enum vz_status status = VZ_OK;
    if (vz_json_get(value, "type", &member))
        status = vz_dsl_multi_type("multi_match", member, multi, err);
    if (status == VZ_OK)
        status = vz_dsl_walk(parser, "multi_match", value, node, visit_multi, err);
    if (status == VZ_OK && vz_json_get(value, "tie_breaker", &member))
        status = vz_dsl_float("multi_match", "tie_breaker", member, &multi->tie, err);
    if (status == VZ_OK && (vz_json_type(multi->value) == VZ_JSON_MISSING ||
                            vz_json_type(multi->value) == VZ_JSON_NULL))
        return vz_fail(err, VZ_BAD_QUERY, "No text specified for multi_match query");
    bool whole = multi->kind == VZ_MULTI_CROSS || multi->match.type == VZ_MATCH_PHRASE ||
                 multi->match.type == VZ_MATCH_PHRASE_PREFIX;
    if (status == VZ_OK && whole && multi->match.fuzziness.len)
        return vz_fail(err, VZ_BAD_QUERY, "Fuzziness not allowed for type [%s]",
                       multi->kind == VZ_MULTI_CROSS            ? "cross_fields"
                       : multi->match.type == VZ_MATCH_PHRASE ? "phrase"
                                                                : "phrase_prefix");
    return status;
}

/* ---- combined_fields ------------------------------------------------------------------------- */

static enum vz_status visit_combined(struct vz_parser *parser, struct vz_node *node,
                                     struct vz_slice key, struct vz_json value,
                                     struct vz_error *err)
{
    struct vz_multi_match *multi = node->multi;
    if (vz_slice_is(key, "query")) {
        if (!vz_dsl_is_scalar(value))
            return vz_fail(err, VZ_BAD_QUERY, "[combined_fields] unknown token [%s] after [query]",
                           vz_query_token(value));
        multi->value = value;
        return VZ_OK;
    }
    if (vz_slice_is(key, "fields"))
        return vz_dsl_fields(parser, "combined_fields", value, &multi->fields,
                             &multi->field_count, err);
    if (vz_slice_is(key, "operator") || vz_slice_is(key, "minimum_should_match") ||
        vz_slice_is(key, "zero_terms_query") ||
        vz_slice_is(key, "auto_generate_synonyms_phrase_query"))
        return read_option(parser, &multi->match, key, value, err);
    return vz_fail(err, VZ_BAD_QUERY, "[combined_fields] unknown field [%.*s]", VZ_ARG(key));
}

enum vz_status vz_dsl_parse_combined(struct vz_parser *parser, struct vz_json value,
                                     struct vz_node *node, struct vz_error *err)
{
    struct vz_multi_match *multi = vz_arena_zalloc(parser->arena, sizeof *multi);
    multi->match = *new_match(parser, "combined_fields", VZ_MATCH_BOOLEAN);
    multi->kind = VZ_MULTI_COMBINED;
    node->kind = VZ_NODE_MULTI_MATCH;
    node->multi = multi;
    enum vz_status status = vz_dsl_walk(parser, "combined_fields", value, node, visit_combined, err);
    if (status != VZ_OK)
        return status;
    if (vz_json_type(multi->value) == VZ_JSON_MISSING)
        return vz_fail(err, VZ_BAD_QUERY, "Required [query]");
    if (multi->field_count == 0)
        return vz_fail(err, VZ_BAD_QUERY, "Required [fields]");
    for (size_t i = 0; i < multi->field_count; i++)
        if (multi->fields[i].boost < 1)
            return vz_fail(err, VZ_BAD_QUERY,
                           "[combined_fields] requires field boosts to be 1.0 or greater");
    return VZ_OK;
}

/* ---- fuzzy ---------------------------------------------------------------------------------- */

enum vz_status vz_dsl_parse_fuzzy(struct vz_parser *parser, struct vz_json value,
                                  struct vz_node *node, struct vz_error *err)
{
    struct vz_json inner, member;
    struct vz_match *match = new_match(parser, "fuzzy", VZ_MATCH_BOOLEAN);
    node->kind = VZ_NODE_FUZZY;
    node->match = match;
    match->fuzziness = VZ_SLICE("AUTO");
    enum vz_status status = vz_dsl_one_field("fuzzy", value, &node->field, &inner, err);
    if (status != VZ_OK)
        return status;
    if (vz_dsl_is_scalar(inner)) {
        node->text = vz_query_scalar_text(inner, parser->arena);
        return VZ_OK;
    }
    struct vz_json_iter it = vz_json_iterate(inner);
    struct vz_slice key;
    while (status == VZ_OK && vz_json_next(&it, &key, &member)) {
        bool handled;
        status = vz_dsl_common("fuzzy", key, member, &node->boost, &handled, err);
        if (status != VZ_OK || handled)
            continue;
        if (vz_slice_is(key, "value") || vz_slice_is(key, "term"))
            node->text = vz_query_scalar_text(member, parser->arena);
        else if (vz_slice_is(key, "rewrite"))
            status = vz_dsl_fuzzy_rewrite("fuzzy", member, &match->max_expansions, err);
        else if (vz_slice_is(key, "fuzziness") || vz_slice_is(key, "prefix_length") ||
                 vz_slice_is(key, "max_expansions") || vz_slice_is(key, "transpositions"))
            status = read_option(parser, match, key, member, err);
        else
            status = vz_dsl_unknown("fuzzy", key, err);
    }
    if (status == VZ_OK && !node->text.ptr)
        return vz_fail(err, VZ_BAD_QUERY, "query value cannot be null");
    return status;
}
