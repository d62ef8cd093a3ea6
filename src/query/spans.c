/* The span queries: span_term, span_or, span_near, span_not, span_first, span_containing,
 * span_within, span_multi, span_field_masking. Read into struct vz_span_clause; what it is in one
 * index (the terms that a pattern matches) is worked out when the query is expanded, as a tree of
 * src/text/spans.h.
 *
 * A span query scores as one: within another no boost may stand. Those of one query are of one
 * field; span_field_masking says of another field's that they are. */
#include "query/dsl.h"
#include "query/filter.h"
#include "query/texts.h"

#include "text/spans.h"

struct vz_span_clause {
    enum vz_span_kind kind; /* TERM with `multi`: span_multi */
    struct vz_slice field, term;
    struct vz_node *multi;
    struct vz_node **parts;
    size_t part_count;
    int32_t slop, before, after;
    bool ordered;
    bool has_slop; /* span_first: end */
};

/* ---- reading --------------------------------------------------------------------------------- */

static struct vz_span_clause *new_clause(struct vz_parser *parser, struct vz_node *node,
                                         enum vz_span_kind kind)
{
    struct vz_span_clause *span = vz_arena_zalloc(parser->arena, sizeof *span);
    span->kind = kind;
    span->ordered = true;
    span->parts = vz_arena_zalloc(parser->arena, 2 * sizeof(void *));
    node->kind = VZ_NODE_SPAN;
    node->span = span;
    return span;
}

/* A span query within another. */
static enum vz_status read_inner(struct vz_parser *parser, const char *query, const char *key,
                                 struct vz_json value, struct vz_node **out, struct vz_error *err)
{
    enum vz_status status = vz_query_parse(parser, value, out, err);
    if (status != VZ_OK)
        return status;
    if ((*out)->kind != VZ_NODE_SPAN)
        return vz_fail(err, VZ_BAD_QUERY, "%s [%s] must be of type span query", query, key);
    char boost[32];
    if ((*out)->boost != 1)
        return vz_fail(err, VZ_BAD_QUERY,
                       "%s [%s] as a nested span clause can't have non-default boost value [%s]",
                       query, key, vz_query_number((*out)->boost, boost));
    return VZ_OK;
}

static enum vz_status read_clauses(struct vz_parser *parser, const char *query,
                                   struct vz_span_clause *span, struct vz_json value,
                                   struct vz_error *err)
{
    struct vz_json_iter it = vz_json_iterate(value);
    struct vz_json item;
    enum vz_status status = VZ_OK;
    if (vz_json_type(value) != VZ_JSON_ARRAY)
        return vz_fail(err, VZ_BAD_QUERY, "[%s] query does not support [clauses]", query);
    span->parts = vz_arena_zalloc(parser->arena, (vz_json_count(value) + 1) * sizeof(void *));
    span->part_count = 0;
    while (status == VZ_OK && vz_json_next(&it, NULL, &item))
        status = read_inner(parser, query, "clauses", item, &span->parts[span->part_count++], err);
    return status;
}

static enum vz_status read_number(const char *query, const char *key, struct vz_json value,
                                  int32_t *out, struct vz_error *err)
{
    int64_t number;
    if (!vz_json_as_int(value, &number) || number < INT32_MIN || number > INT32_MAX)
        return vz_fail(err, VZ_BAD_QUERY, "[%s] [%s] must be an integer", query, key);
    *out = (int32_t)number;
    return VZ_OK;
}

enum vz_status vz_dsl_parse_span_term(struct vz_parser *parser, struct vz_json value,
                                      struct vz_node *node, struct vz_error *err)
{
    struct vz_span_clause *span = new_clause(parser, node, VZ_SPAN_TERM);
    struct vz_json inner, member;
    enum vz_status status = vz_dsl_one_field("span_term", value, &span->field, &inner, err);
    if (status != VZ_OK)
        return status;
    if (vz_dsl_is_scalar(inner)) {
        if (vz_json_type(inner) != VZ_JSON_NULL)
            span->term = vz_query_scalar_text(inner, parser->arena);
    } else if (vz_json_type(inner) != VZ_JSON_OBJECT) {
        return vz_fail(err, VZ_BAD_QUERY, "[span_term] query does not support arrays");
    }
    struct vz_json_iter it = vz_json_iterate(inner);
    struct vz_slice key;
    while (vz_json_type(inner) == VZ_JSON_OBJECT && status == VZ_OK &&
           vz_json_next(&it, &key, &member)) {
        bool handled;
        status = vz_dsl_common("span_term", key, member, &node->boost, &handled, err);
        if (status != VZ_OK || handled)
            continue;
        if ((vz_slice_is(key, "value") || vz_slice_is(key, "term")) && vz_dsl_is_scalar(member)) {
            if (vz_json_type(member) != VZ_JSON_NULL)
                span->term = vz_query_scalar_text(member, parser->arena);
        } else {
            status = vz_dsl_unknown("span_term", key, err);
        }
    }
    if (status == VZ_OK && !span->term.ptr)
        return vz_fail(err, VZ_BAD_QUERY, "value cannot be null");
    return status;
}

static enum vz_status visit_or(struct vz_parser *parser, struct vz_node *node, struct vz_slice key,
                               struct vz_json value, struct vz_error *err)
{
    if (vz_slice_is(key, "clauses"))
        return read_clauses(parser, "span_or", node->span, value, err);
    return VZ_NOT_FOUND;
}

enum vz_status vz_dsl_parse_span_or(struct vz_parser *parser, struct vz_json value,
                                    struct vz_node *node, struct vz_error *err)
{
    struct vz_span_clause *span = new_clause(parser, node, VZ_SPAN_OR);
    enum vz_status status = vz_dsl_walk(parser, "span_or", value, node, visit_or, err);
    if (status == VZ_OK && span->part_count == 0)
        return vz_fail(err, VZ_BAD_QUERY, "span_or must include [clauses]");
    return status;
}

static enum vz_status visit_near(struct vz_parser *parser, struct vz_node *node,
                                 struct vz_slice key, struct vz_json value, struct vz_error *err)
{
    if (vz_slice_is(key, "clauses"))
        return read_clauses(parser, "span_near", node->span, value, err);
    if (vz_slice_is(key, "slop"))
        return read_number("span_near", "slop", value, &node->span->slop, err);
    if (vz_slice_is(key, "in_order"))
        return vz_dsl_bool("span_near", "in_order", value, &node->span->ordered, err);
    return VZ_NOT_FOUND;
}

enum vz_status vz_dsl_parse_span_near(struct vz_parser *parser, struct vz_json value,
                                      struct vz_node *node, struct vz_error *err)
{
    struct vz_span_clause *span = new_clause(parser, node, VZ_SPAN_NEAR);
    enum vz_status status = vz_dsl_walk(parser, "span_near", value, node, visit_near, err);
    if (status == VZ_OK && span->part_count == 0)
        return vz_fail(err, VZ_BAD_QUERY, "span_near must include [clauses]");
    return status;
}

static enum vz_status visit_not(struct vz_parser *parser, struct vz_node *node, struct vz_slice key,
                                struct vz_json value, struct vz_error *err)
{
    struct vz_span_clause *span = node->span;
    if (vz_slice_is(key, "include") || vz_slice_is(key, "exclude"))
        return read_inner(parser, "span_not", key.ptr[0] == 'i' ? "include" : "exclude", value,
                          &span->parts[key.ptr[0] == 'e'], err);
    bool dist = vz_slice_is(key, "dist");
    if (!dist && !vz_slice_is(key, "pre") && !vz_slice_is(key, "post"))
        return VZ_NOT_FOUND;
    if (span->has_slop && (dist || span->slop))
        return vz_fail(err, VZ_BAD_QUERY,
                       "span_not can either use [dist] or [pre] & [post] (or none)");
    int32_t number = 0;
    enum vz_status status = read_number("span_not",
                                        dist                      ? "dist"
                                        : vz_slice_is(key, "pre") ? "pre"
                                                                  : "post",
                                        value, &number, err);
    span->has_slop = true;
    span->slop |= dist; /* which of the two was given */
    if (dist || vz_slice_is(key, "pre"))
        span->before = VZ_MAX(number, 0);
    if (dist || vz_slice_is(key, "post"))
        span->after = VZ_MAX(number, 0);
    return status;
}

enum vz_status vz_dsl_parse_span_not(struct vz_parser *parser, struct vz_json value,
                                     struct vz_node *node, struct vz_error *err)
{
    struct vz_span_clause *span = new_clause(parser, node, VZ_SPAN_NOT);
    span->part_count = 2;
    enum vz_status status = vz_dsl_walk(parser, "span_not", value, node, visit_not, err);
    for (int i = 0; i < 2 && status == VZ_OK; i++)
        if (!span->parts[i])
            return vz_fail(err, VZ_BAD_QUERY, "span_not must have [%s] span query clause",
                           i ? "exclude" : "include");
    return status;
}

static enum vz_status visit_first(struct vz_parser *parser, struct vz_node *node,
                                  struct vz_slice key, struct vz_json value, struct vz_error *err)
{
    if (vz_slice_is(key, "match"))
        return read_inner(parser, "span_first", "match", value, &node->span->parts[0], err);
    if (!vz_slice_is(key, "end"))
        return VZ_NOT_FOUND;
    node->span->has_slop = true;
    return read_number("span_first", "end", value, &node->span->slop, err);
}

enum vz_status vz_dsl_parse_span_first(struct vz_parser *parser, struct vz_json value,
                                       struct vz_node *node, struct vz_error *err)
{
    struct vz_span_clause *span = new_clause(parser, node, VZ_SPAN_FIRST);
    span->part_count = 1;
    enum vz_status status = vz_dsl_walk(parser, "span_first", value, node, visit_first, err);
    if (status == VZ_OK && !span->parts[0])
        return vz_fail(err, VZ_BAD_QUERY, "span_first must have [match] span query clause");
    if (status == VZ_OK && !span->has_slop)
        return vz_fail(err, VZ_BAD_QUERY, "span_first must have [end] set for it");
    if (status == VZ_OK && span->slop < 0)
        return vz_fail(err, VZ_BAD_QUERY, "parameter [end] needs to be positive.");
    return status;
}

static enum vz_status visit_pair(struct vz_parser *parser, struct vz_node *node,
                                 struct vz_slice key, struct vz_json value, struct vz_error *err)
{
    const char *query = node->span->kind == VZ_SPAN_CONTAINING ? "span_containing" : "span_within";
    if (!vz_slice_is(key, "big") && !vz_slice_is(key, "little"))
        return VZ_NOT_FOUND;
    bool little = key.ptr[0] == 'l';
    return read_inner(parser, query, little ? "little" : "big", value, &node->span->parts[little],
                      err);
}

static enum vz_status parse_pair(struct vz_parser *parser, struct vz_json value,
                                 struct vz_node *node, enum vz_span_kind kind, struct vz_error *err)
{
    struct vz_span_clause *span = new_clause(parser, node, kind);
    const char *query = kind == VZ_SPAN_CONTAINING ? "span_containing" : "span_within";
    span->part_count = 2;
    enum vz_status status = vz_dsl_walk(parser, query, value, node, visit_pair, err);
    for (int i = 0; i < 2 && status == VZ_OK; i++)
        if (!span->parts[i])
            return vz_fail(err, VZ_BAD_QUERY, "inner clause [%s] cannot be null.",
                           i ? "little" : "big");
    return status;
}

enum vz_status vz_dsl_parse_span_containing(struct vz_parser *parser, struct vz_json value,
                                            struct vz_node *node, struct vz_error *err)
{
    return parse_pair(parser, value, node, VZ_SPAN_CONTAINING, err);
}

enum vz_status vz_dsl_parse_span_within(struct vz_parser *parser, struct vz_json value,
                                        struct vz_node *node, struct vz_error *err)
{
    return parse_pair(parser, value, node, VZ_SPAN_WITHIN, err);
}

static enum vz_status visit_multi(struct vz_parser *parser, struct vz_node *node,
                                  struct vz_slice key, struct vz_json value, struct vz_error *err)
{
    struct vz_span_clause *span = node->span;
    if (!vz_slice_is(key, "match"))
        return VZ_NOT_FOUND;
    enum vz_status status = vz_query_parse(parser, value, &span->multi, err);
    if (status != VZ_OK)
        return status;
    enum vz_node_kind kind = span->multi->kind;
    if (kind != VZ_NODE_PREFIX && kind != VZ_NODE_WILDCARD && kind != VZ_NODE_REGEXP &&
        kind != VZ_NODE_FUZZY && kind != VZ_NODE_RANGE)
        return vz_fail(err, VZ_BAD_QUERY, "[span_multi] [match] must be of type multi term query");
    span->field = span->multi->field;
    return VZ_OK;
}

enum vz_status vz_dsl_parse_span_multi(struct vz_parser *parser, struct vz_json value,
                                       struct vz_node *node, struct vz_error *err)
{
    struct vz_span_clause *span = new_clause(parser, node, VZ_SPAN_TERM);
    enum vz_status status = vz_dsl_walk(parser, "span_multi", value, node, visit_multi, err);
    if (status == VZ_OK && !span->multi)
        return vz_fail(err, VZ_BAD_QUERY, "[span_multi] must have [match] multi term query clause");
    return status;
}

static enum vz_status visit_mask(struct vz_parser *parser, struct vz_node *node,
                                 struct vz_slice key, struct vz_json value, struct vz_error *err)
{
    if (vz_slice_is(key, "query"))
        return read_inner(parser, "span_field_masking", "query", value, &node->span->parts[0], err);
    if (!vz_slice_is(key, "field") || vz_json_type(value) != VZ_JSON_STRING)
        return VZ_NOT_FOUND;
    node->span->field = vz_json_string(value);
    return VZ_OK;
}

enum vz_status vz_dsl_parse_span_mask(struct vz_parser *parser, struct vz_json value,
                                      struct vz_node *node, struct vz_error *err)
{
    struct vz_span_clause *span = new_clause(parser, node, VZ_SPAN_MASK);
    span->part_count = 1;
    enum vz_status status = vz_dsl_walk(parser, "span_field_masking", value, node, visit_mask, err);
    if (status == VZ_OK && !span->parts[0])
        return vz_fail(err, VZ_BAD_QUERY, "span_field_masking must have [query] span query clause");
    if (status == VZ_OK && !span->field.ptr)
        return vz_fail(err, VZ_BAD_QUERY, "span_field_masking must have [field] set for it");
    return status;
}

/* ---- what it means in one index -------------------------------------------------------------- */

struct build {
    struct vz_eval *eval;
    struct vz_error *err;
    size_t *terms; /* so far: each opens its postings */
};

static struct vz_spans *new_spans(const struct build *b, enum vz_span_kind kind, size_t parts)
{
    struct vz_spans *spans = vz_arena_zalloc(b->eval->arena, sizeof *spans);
    spans->kind = kind;
    spans->parts = vz_arena_zalloc(b->eval->arena, (parts + 1) * sizeof(void *));
    return spans;
}

static void set_field(struct vz_spans *spans, const struct vz_field *field, struct vz_slice path)
{
    spans->field = field ? field->id : UINT16_MAX;
    spans->field_name = field ? field->path : path;
}

static size_t count_terms(const struct vz_text_query *query)
{
    size_t count = query->kind == VZ_TEXT_TERM ? query->term_count : 0;
    for (size_t i = 0; i < query->part_count; i++)
        count += count_terms(query->parts[i]);
    return count;
}

static void take_terms(const struct build *b, const struct vz_text_query *query,
                       const struct vz_field *field, struct vz_spans *any)
{
    for (size_t i = 0; query->kind == VZ_TEXT_TERM && i < query->term_count; i++) {
        struct vz_spans *one = new_spans(b, VZ_SPAN_TERM, 0);
        set_field(one, field, field->path);
        one->term = query->terms[i];
        any->parts[any->part_count++] = one;
    }
    for (size_t i = 0; i < query->part_count; i++)
        take_terms(b, query->parts[i], field, any);
}

/* A pattern is any of the terms that it matches. NULL with an error. */
static struct vz_spans *of_multi(const struct build *b, const struct vz_span_clause *clause,
                                 const struct vz_field *field)
{
    struct vz_text_query *query = NULL;
    if (vz_text_build(b->eval, clause->multi, field, &query, b->err) != VZ_OK)
        return NULL;
    size_t count = query ? count_terms(query) : 0;
    *b->terms += count;
    if (*b->terms > VZ_MAX_CLAUSES) {
        vz_query_fail(b->err, VZ_BAD_QUERY,
                      "Query contains too many nested clauses; maxClauseCount is set to %d",
                      VZ_MAX_CLAUSES);
        return NULL;
    }
    struct vz_spans *any = new_spans(b, VZ_SPAN_OR, count);
    set_field(any, field, field->path);
    if (query)
        take_terms(b, query, field, any);
    return any;
}

/* A term, or a pattern's terms; a field that is not there has none. */
static struct vz_spans *of_leaf(const struct build *b, const struct vz_span_clause *clause)
{
    const struct vz_field *field = vz_filter_field(b->eval, clause->field);
    const struct vz_text_view *view = vz_snapshot_texts(b->eval->snap);
    struct vz_field_stats stats = {0};
    if (field && (field->type != VZ_FIELD_TEXT || !field->indexed ||
                  (view && vz_text_field_stats(view, field->id, &stats) &&
                   !(stats.flags & VZ_TEXT_POSITIONS)))) {
        vz_query_fail(b->err, VZ_BAD_QUERY,
                      "field \"%.*s\" was indexed without position data; cannot run SpanTermQuery "
                      "(term=%.*s)",
                      VZ_ARG(field->path), VZ_ARG(clause->term));
        return NULL;
    }
    if (field && clause->multi)
        return of_multi(b, clause, field);
    struct vz_spans *spans = new_spans(b, field ? VZ_SPAN_TERM : VZ_SPAN_OR, 0);
    set_field(spans, field, clause->field);
    spans->term = clause->term;
    return spans;
}

/* NULL with an error. */
static struct vz_spans *of_clause(const struct build *b, const struct vz_span_clause *clause)
{
    if (clause->kind == VZ_SPAN_TERM)
        return of_leaf(b, clause);
    if (clause->kind == VZ_SPAN_NEAR && clause->part_count == 1)
        return of_clause(b, clause->parts[0]->span);
    struct vz_spans *spans = new_spans(b, clause->kind, clause->part_count);
    spans->slop = clause->slop;
    spans->before = clause->before;
    spans->after = clause->after;
    spans->ordered = clause->ordered;
    for (size_t i = 0; i < clause->part_count; i++) {
        const struct vz_spans *part = of_clause(b, clause->parts[i]->span);
        if (!part)
            return NULL;
        if (i && !vz_slice_eq(part->field_name, spans->parts[0]->field_name)) {
            vz_query_fail(b->err, VZ_BAD_QUERY, "Clauses must have same field.");
            return NULL;
        }
        spans->parts[spans->part_count++] = part;
    }
    spans->field = spans->parts[0]->field;
    spans->field_name = spans->parts[0]->field_name;
    if (clause->kind == VZ_SPAN_MASK)
        set_field(spans, vz_filter_field(b->eval, clause->field), clause->field);
    return spans;
}

enum vz_status vz_spans_expand(struct vz_eval *eval, const struct vz_node *node,
                               struct vz_node **out, struct vz_error *err)
{
    struct vz_error own = {0};
    size_t made = 0;
    const struct build b = {eval, err ? err : &own, &made};
    const struct vz_spans *spans = of_clause(&b, node->span);
    if (!spans)
        return b.err->status != VZ_OK ? b.err->status : VZ_BAD_QUERY;
    const struct vz_field *field = vz_filter_field(eval, spans->field_name);
    if (!field)
        return VZ_OK;
    struct vz_text_query *query = vz_text_term(eval, field, (struct vz_slice){0});
    struct vz_slice *terms;
    uint16_t *fields;
    query->kind = VZ_TEXT_SPANS;
    query->spans = spans;
    query->term_count = vz_spans_terms(spans, eval->arena, &terms, &fields);
    query->terms = terms;
    query->term_fields = fields;
    *out = vz_text_node(eval, query);
    return VZ_OK;
}
