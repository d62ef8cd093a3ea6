/* query_string and simple_query_string: their JSON, and the URL's ?q=. */
#include "query/dsl.h"
#include "query/query_string.h"

#include <stdio.h>
#include <stdlib.h>

static enum vz_status read_text(const char *query, const char *key, struct vz_json value,
                                struct vz_slice *out, struct vz_error *err)
{
    if (vz_json_type(value) == VZ_JSON_NULL)
        return VZ_OK;
    if (vz_json_type(value) != VZ_JSON_STRING)
        return vz_fail(err, VZ_BAD_QUERY, "[%s] [%s] must be a string but got %s", query, key,
                       vz_query_token(value));
    *out = vz_json_string(value);
    return VZ_OK;
}

static enum vz_status read_flag(const char *query, const char *key, struct vz_json value,
                                bool negate, bool *out, struct vz_error *err)
{
    bool on;
    enum vz_status status = vz_dsl_bool(query, key, value, &on, err);
    if (status == VZ_OK)
        *out = on != negate;
    return status;
}

/* What both take. VZ_NOT_FOUND: none of these. */
static enum vz_status visit_both(struct vz_parser *parser, struct vz_string_clause *clause,
                                 struct vz_slice key, struct vz_json value, struct vz_error *err)
{
    const char *query = clause->name;
    if (vz_slice_is(key, "query")) {
        if (!vz_dsl_is_scalar(value) || vz_json_type(value) == VZ_JSON_NULL)
            return VZ_NOT_FOUND;
        clause->query = vz_query_scalar_text(value, parser->arena);
        return VZ_OK;
    }
    if (vz_slice_is(key, "fields"))
        return vz_dsl_fields(parser, query, value, &clause->fields, &clause->field_count, err);
    if (vz_slice_is(key, "default_operator"))
        return vz_dsl_operator(query, value, &clause->every, err);
    if (vz_slice_is(key, "analyzer"))
        return read_text(query, "analyzer", value, &clause->analyzer, err);
    if (vz_slice_is(key, "quote_field_suffix"))
        return read_text(query, "quote_field_suffix", value, &clause->quote_field_suffix, err);
    if (vz_slice_is(key, "minimum_should_match")) {
        size_t ignored;
        clause->minimum = vz_query_scalar_text(value, parser->arena);
        return vz_minimum_should_match(clause->minimum, 1, &ignored, err);
    }
    if (vz_slice_is(key, "lenient")) {
        clause->has_lenient = vz_json_type(value) != VZ_JSON_NULL;
        return clause->has_lenient ? vz_dsl_bool(query, "lenient", value, &clause->lenient, err)
                                   : VZ_OK;
    }
    if (vz_slice_is(key, "analyze_wildcard"))
        return vz_dsl_bool(query, "analyze_wildcard", value, &clause->analyze_wildcard, err);
    if (vz_slice_is(key, "auto_generate_synonyms_phrase_query"))
        return read_flag(query, "auto_generate_synonyms_phrase_query", value, true,
                         &clause->no_synonym_phrases, err);
    if (vz_slice_is(key, "fuzzy_transpositions"))
        return read_flag(query, "fuzzy_transpositions", value, true, &clause->no_transpositions,
                         err);
    if (vz_slice_is(key, "fuzzy_prefix_length"))
        return vz_dsl_count(query, "fuzzy_prefix_length", value, &clause->fuzzy_prefix_length, err);
    if (vz_slice_is(key, "fuzzy_max_expansions"))
        return vz_dsl_count(query, "fuzzy_max_expansions", value, &clause->fuzzy_max_expansions,
                            err);
    return VZ_NOT_FOUND;
}

static struct vz_string_clause *new_clause(struct vz_parser *parser, struct vz_node *node,
                                           enum vz_node_kind kind)
{
    struct vz_string_clause *clause = vz_arena_zalloc(parser->arena, sizeof *clause);
    bool simple = kind == VZ_NODE_SIMPLE_STRING;
    node->kind = kind;
    node->string = clause;
    clause->name = simple ? "simple_query_string" : "query_string";
    clause->fuzziness = VZ_SLICE("AUTO");
    clause->fuzzy_max_expansions = 50;
    clause->flags = VZ_SIMPLE_ALL;
    clause->tie = simple ? 1 : 0;
    return clause;
}

/* ---- query_string ---------------------------------------------------------------------------- */

static enum vz_status read_type(struct vz_string_clause *clause, struct vz_json value,
                                struct vz_error *err)
{
    struct vz_multi_match multi = {0};
    enum vz_status status = vz_dsl_multi_type("query_string", value, &multi, err);
    clause->kind = multi.kind;
    clause->type = multi.match.type;
    clause->tie = multi.tie;
    return status;
}

static enum vz_status visit_query_string(struct vz_parser *parser, struct vz_node *node,
                                         struct vz_slice key, struct vz_json value,
                                         struct vz_error *err)
{
    struct vz_string_clause *clause = node->string;
    enum vz_status status = visit_both(parser, clause, key, value, err);
    if (status != VZ_NOT_FOUND)
        return status;
    if (vz_slice_is(key, "default_field"))
        return read_text("query_string", "default_field", value, &clause->default_field, err);
    if (vz_slice_is(key, "quote_analyzer"))
        return read_text("query_string", "quote_analyzer", value, &clause->quote_analyzer, err);
    if (vz_slice_is(key, "type") || vz_slice_is(key, "tie_breaker") ||
        vz_slice_is(key, "enable_position_increments") ||
        vz_slice_is(key, "max_determinized_states"))
        return VZ_OK; /* the first two are read afterwards */
    if (vz_slice_is(key, "allow_leading_wildcard"))
        return read_flag("query_string", "allow_leading_wildcard", value, true,
                         &clause->no_leading_wildcard, err);
    if (vz_slice_is(key, "escape"))
        return vz_dsl_bool("query_string", "escape", value, &clause->escape, err);
    if (vz_slice_is(key, "phrase_slop"))
        return vz_dsl_count("query_string", "phrase_slop", value, &clause->phrase_slop, err);
    if (vz_slice_is(key, "fuzziness"))
        return vz_dsl_fuzziness(parser, "query_string", value, &clause->fuzziness, err);
    if (vz_slice_is(key, "rewrite"))
        return vz_dsl_check_rewrite("query_string", value, err);
    if (vz_slice_is(key, "fuzzy_rewrite"))
        return vz_dsl_fuzzy_rewrite("query_string", value, &clause->fuzzy_max_expansions, err);
    if (vz_slice_is(key, "time_zone")) {
        clause->has_zone = true;
        return vz_dsl_zone(value, &clause->zone_ms, &clause->zone, err);
    }
    return VZ_NOT_FOUND;
}

enum vz_status vz_dsl_parse_query_string(struct vz_parser *parser, struct vz_json value,
                                         struct vz_node *node, struct vz_error *err)
{
    struct vz_string_clause *clause = new_clause(parser, node, VZ_NODE_QUERY_STRING);
    struct vz_json member;
    enum vz_status status =
        vz_dsl_walk(parser, "query_string", value, node, visit_query_string, err);
    if (status == VZ_OK && vz_json_get(value, "type", &member))
        status = read_type(clause, member, err);
    if (status == VZ_OK && vz_json_get(value, "tie_breaker", &member))
        status = vz_dsl_float("query_string", "tie_breaker", member, &clause->tie, err);
    if (status == VZ_OK && !clause->query.ptr)
        return vz_fail(err, VZ_BAD_QUERY, "[query_string] must be provided with a [query]");
    if (status == VZ_OK && clause->field_count && clause->default_field.len)
        return vz_fail(err, VZ_BAD_QUERY,
                       "cannot use [fields] parameter in conjunction with [default_field]");
    return status;
}

/* ---- simple_query_string --------------------------------------------------------------------- */

static enum vz_status read_flags(struct vz_string_clause *clause, struct vz_json value,
                                 struct vz_error *err)
{
    static const struct {
        const char *name;
        unsigned flag;
    } names[] = {{"ALL", VZ_SIMPLE_ALL},       {"NONE", 0},
                 {"AND", VZ_SIMPLE_AND},       {"NOT", VZ_SIMPLE_NOT},
                 {"OR", VZ_SIMPLE_OR},         {"PREFIX", VZ_SIMPLE_PREFIX},
                 {"PHRASE", VZ_SIMPLE_PHRASE}, {"PRECEDENCE", VZ_SIMPLE_PRECEDENCE},
                 {"ESCAPE", VZ_SIMPLE_ESCAPE}, {"WHITESPACE", VZ_SIMPLE_WHITESPACE},
                 {"FUZZY", VZ_SIMPLE_FUZZY},   {"NEAR", VZ_SIMPLE_NEAR},
                 {"SLOP", VZ_SIMPLE_NEAR}};
    struct vz_slice rest = vz_json_string(value);
    int64_t number;
    if (vz_json_is_number(value) && vz_json_as_int(value, &number)) {
        clause->flags = number < 0 ? VZ_SIMPLE_ALL : (unsigned)(number & VZ_SIMPLE_ALL);
        return VZ_OK;
    }
    if (rest.len == 0)
        return VZ_OK;
    clause->flags = 0;
    for (;;) {
        const char *bar = memchr(rest.ptr, '|', rest.len);
        struct vz_slice name = {rest.ptr, bar ? (size_t)(bar - rest.ptr) : rest.len};
        size_t i = 0;
        while (i < VZ_COUNT_OF(names) && (strlen(names[i].name) != name.len ||
                                          strncasecmp(names[i].name, name.ptr, name.len) != 0))
            i++;
        if (i == VZ_COUNT_OF(names))
            return vz_fail(err, VZ_BAD_QUERY, "Unknown simple_query_string flag [%.*s]",
                           VZ_ARG(name));
        if (i == 0 || i == 1) {
            clause->flags = names[i].flag;
            return VZ_OK;
        }
        clause->flags |= names[i].flag;
        if (!bar)
            return VZ_OK;
        rest = (struct vz_slice){bar + 1, rest.len - name.len - 1};
    }
}

static enum vz_status visit_simple(struct vz_parser *parser, struct vz_node *node,
                                   struct vz_slice key, struct vz_json value, struct vz_error *err)
{
    enum vz_status status = visit_both(parser, node->string, key, value, err);
    if (status == VZ_NOT_FOUND && vz_slice_is(key, "flags"))
        return read_flags(node->string, value, err);
    if (status == VZ_NOT_FOUND)
        return vz_fail(err, VZ_BAD_QUERY, "[simple_query_string] unsupported field [%.*s]",
                       VZ_ARG(key));
    return status;
}

enum vz_status vz_dsl_parse_simple_string(struct vz_parser *parser, struct vz_json value,
                                          struct vz_node *node, struct vz_error *err)
{
    struct vz_string_clause *clause = new_clause(parser, node, VZ_NODE_SIMPLE_STRING);
    enum vz_status status =
        vz_dsl_walk(parser, "simple_query_string", value, node, visit_simple, err);
    if (status == VZ_OK && !clause->query.ptr)
        return vz_fail(err, VZ_BAD_QUERY, "[simple_query_string] query text missing");
    return status;
}

/* ---- ?q= ------------------------------------------------------------------------------------- */

enum vz_status vz_query_string_of(struct vz_parser *parser, const struct vz_uri_query *uri,
                                  struct vz_node **out, struct vz_error *err)
{
    struct vz_node *node = vz_arena_zalloc(parser->arena, sizeof *node);
    struct vz_string_clause *clause = new_clause(parser, node, VZ_NODE_QUERY_STRING);
    struct vz_slice operator= uri->default_operator;
    node->boost = 1;
    clause->query = uri->q;
    clause->default_field = uri->df;
    clause->analyzer = uri->analyzer;
    clause->analyze_wildcard = uri->analyze_wildcard;
    clause->has_lenient = uri->has_lenient;
    clause->lenient = uri->lenient;
    clause->every = operator.len == 3 && strncasecmp(operator.ptr, "and", 3) == 0;
    *out = node;
    if (operator.len && !clause->every && !(operator.len == 2 &&
                                            strncasecmp(operator.ptr, "or", 2) == 0))
        return vz_fail(err, VZ_BAD_ARGUMENT,
                       "Unsupported defaultOperator [%.*s], can either be [OR] or [AND]",
                       VZ_ARG(operator));
    return VZ_OK;
}
