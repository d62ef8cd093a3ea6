/* regexp, and the `rewrite` that queries of many terms take. */
#include "query/dsl.h"
#include "query/filter.h"

#include <strings.h>

/* ---- rewrite --------------------------------------------------------------------------------- */

enum method {
    METHOD_CONSTANT, /* every match scores the boost: the default of all but fuzzy */
    METHOD_SCORING,
    METHOD_TOP,
    METHOD_TOP_BOOST,
    METHOD_TOP_BLENDED, /* fuzzy's default */
    METHOD_UNKNOWN
};

/* Elasticsearch's names; *most is the number behind those that have one. */
static enum method read_method(struct vz_slice text, uint32_t *most)
{
    static const struct {
        struct vz_slice name;
        enum method method;
    } sized[] = {
        {{"top_terms_blended_freqs_", 24}, METHOD_TOP_BLENDED},
        {{"top_terms_boost_", 16}, METHOD_TOP_BOOST},
        {{"top_terms_", 10}, METHOD_TOP},
    };
    if (vz_slice_is(text, "constant_score") || vz_slice_is(text, "constant_score_blended") ||
        vz_slice_is(text, "constant_score_boolean") || vz_slice_is(text, "constant_score_auto") ||
        vz_slice_is(text, "constant_score_filter"))
        return METHOD_CONSTANT;
    if (vz_slice_is(text, "scoring_boolean"))
        return METHOD_SCORING;
    for (size_t i = 0; i < VZ_COUNT_OF(sized); i++) {
        size_t len = sized[i].name.len;
        if (text.len <= len || text.len > len + 9 || memcmp(text.ptr, sized[i].name.ptr, len) != 0)
            continue;
        *most = 0;
        for (size_t at = len; at < text.len; at++) {
            if (text.ptr[at] < '0' || text.ptr[at] > '9')
                return METHOD_UNKNOWN;
            *most = *most * 10 + (uint32_t)(text.ptr[at] - '0');
        }
        return sized[i].method;
    }
    return METHOD_UNKNOWN;
}

static enum vz_status refuse_method(const char *query, enum method method, struct vz_slice text,
                                    struct vz_error *err)
{
    if (method == METHOD_UNKNOWN)
        return vz_query_fail(err, VZ_BAD_QUERY, "Failed to parse rewrite_method [%.*s]",
                             VZ_ARG(text));
    return vz_fail(err, VZ_UNSUPPORTED, "[%s] rewrite method [%.*s] is not supported yet by vizsla",
                   query, VZ_ARG(text));
}

enum vz_status vz_dsl_check_rewrite(const char *query, struct vz_json value, struct vz_error *err)
{
    struct vz_slice text = vz_json_string(value);
    uint32_t most;
    enum method method = read_method(text, &most);
    if (method == METHOD_CONSTANT || vz_json_type(value) == VZ_JSON_NULL)
        return VZ_OK;
    return refuse_method(query, method, text, err);
}

enum vz_status vz_dsl_fuzzy_rewrite(const char *query, struct vz_json value, uint32_t *expansions,
                                    struct vz_error *err)
{
    struct vz_slice text = vz_json_string(value);
    uint32_t most;
    enum method method = read_method(text, &most);
    if (vz_json_type(value) == VZ_JSON_NULL)
        return VZ_OK;
    if (method != METHOD_TOP_BLENDED)
        return refuse_method(query, method, text, err);
    *expansions = VZ_MIN(most, 1024u); /* as Lucene's boolean queries are bounded */
    return VZ_OK;
}

/* ---- regexp ---------------------------------------------------------------------------------- */

/* "COMPLEMENT|INTERVAL": the operators that are on; all where nothing is said. */
static enum vz_status read_flags(struct vz_slice text, unsigned *off, struct vz_error *err)
{
    static const struct {
        const char *name;
        unsigned flag;
    } names[] = {
        {"INTERSECTION", VZ_REGEXP_INTERSECTION},
        {"COMPLEMENT", VZ_REGEXP_COMPLEMENT},
        {"EMPTY", VZ_REGEXP_EMPTY},
        {"ANYSTRING", VZ_REGEXP_ANYSTRING},
        {"INTERVAL", VZ_REGEXP_INTERVAL},
        {"AUTOMATON", VZ_REGEXP_AUTOMATON},
        {"ALL", VZ_REGEXP_FLAGS},
        {"NONE", 0},
    };
    unsigned on = 0;
    *off = 0;
    if (text.len == 0)
        return VZ_OK;
    for (size_t at = 0; at <= text.len;) {
        const char *start = text.ptr + at, *bar = memchr(start, '|', text.len - at);
        size_t len = bar ? (size_t)(bar - start) : text.len - at, i = 0;
        while (i < VZ_COUNT_OF(names) &&
               (strlen(names[i].name) != len || strncasecmp(names[i].name, start, len) != 0))
            i++;
        if (len && i == VZ_COUNT_OF(names))
            return vz_fail(err, VZ_BAD_ARGUMENT, "Unknown regexp flag [%.*s]", (int)len, start);
        if (len)
            on |= names[i].flag;
        at += len + 1;
    }
    *off = VZ_REGEXP_FLAGS & ~on;
    return VZ_OK;
}

static enum vz_status visit(struct vz_parser *parser, struct vz_node *node, struct vz_slice key,
                            struct vz_json value, struct vz_error *err)
{
    uint32_t number = 0;
    if (vz_slice_is(key, "value")) {
        if (!vz_dsl_is_scalar(value))
            return VZ_NOT_FOUND;
        node->text = vz_query_scalar_text(value, parser->arena);
        return VZ_OK;
    }
    if (vz_slice_is(key, "case_insensitive"))
        return vz_dsl_bool("regexp", "case_insensitive", value, &node->fold_case, err);
    if (vz_slice_is(key, "rewrite"))
        return vz_dsl_check_rewrite("regexp", value, err);
    if (vz_slice_is(key, "flags"))
        return read_flags(vz_json_string(value), &node->regexp_off, err);
    if (vz_slice_is(key, "flags_value")) {
        enum vz_status status = vz_dsl_count("regexp", "flags_value", value, &number, err);
        node->regexp_off = VZ_REGEXP_FLAGS & ~number;
        return status;
    }
    if (vz_slice_is(key, "max_determinized_states")) {
        enum vz_status status =
            vz_dsl_count("regexp", "max_determinized_states", value, &number, err);
        node->max_determinized = VZ_MIN(number, (uint32_t)VZ_REGEXP_MAX_DETERMINIZED * 10) + 1;
        return status;
    }
    return VZ_NOT_FOUND;
}

enum vz_status vz_dsl_parse_regexp(struct vz_parser *parser, struct vz_json value,
                                   struct vz_node *node, struct vz_error *err)
{
    struct vz_json inner;
    node->kind = VZ_NODE_REGEXP;
    enum vz_status status = vz_dsl_one_field("regexp", value, &node->field, &inner, err);
    if (status == VZ_OK && vz_json_type(inner) == VZ_JSON_STRING)
        node->text = vz_json_string(inner);
    else if (status == VZ_OK)
        status = vz_dsl_walk(parser, "regexp", inner, node, visit, err);
    if (status == VZ_OK && !node->text.ptr)
        return vz_fail(err, VZ_BAD_QUERY, "value cannot be null");
    return status;
}

struct vz_walk vz_regexp_walk(const struct vz_node *node)
{
    return (struct vz_walk){.kind = VZ_WALK_REGEXP,
                            .text = node->text,
                            .ignore_case = node->fold_case,
                            .regexp_off = node->regexp_off,
                            .max_determinized = node->max_determinized};
}
