/* semantic, and match on a semantic_text field: the question becomes a vector by the field's own
 * model, and the documents with the nearest chunks are its hits.
 *
 * What a field is is known only when the query meets an index, so a match carries the question with
 * it (node->question) and becomes one where its field is semantic. As in Elasticsearch k is the
 * request's size, and 10 at least, so that aggregations have something to count. */
#include "query/dsl.h"
#include "query/filter.h"

#define LEAST_K 10

static void note_question(struct vz_parser *parser, struct vz_knn_clause *clause)
{
    if (parser->question_count == parser->question_capacity) {
        parser->question_capacity = VZ_MAX(parser->question_capacity * 2, (size_t)4);
        struct vz_knn_clause **grown =
            vz_arena_alloc(parser->arena, parser->question_capacity * sizeof(*grown));
        if (parser->question_count)
            memcpy(grown, parser->questions, parser->question_count * sizeof(*grown));
        parser->questions = grown;
    }
    parser->questions[parser->question_count++] = clause;
}

struct vz_node *vz_semantic_question(struct vz_parser *parser, struct vz_slice field,
                                     struct vz_json text, float boost, bool is_match)
{
    struct vz_node *node = vz_arena_zalloc(parser->arena, sizeof(*node));
    struct vz_knn_clause *clause = vz_arena_zalloc(parser->arena, sizeof(*clause));
    node->kind = VZ_NODE_KNN;
    node->boost = 1;
    node->field = field;
    node->knn = clause;
    clause->field = field;
    clause->boost = boost;
    clause->builder_kind = VZ_SLICE("text_embedding");
    clause->builder = text;
    clause->question = is_match ? VZ_QUESTION_MATCH : VZ_QUESTION_SEMANTIC;
    int64_t k = VZ_MAX(parser->size, (int64_t)LEAST_K);
    clause->k = (uint32_t)VZ_MIN(k, (int64_t)VZ_MAX_CANDIDATES);
    note_question(parser, clause);
    return node;
}

enum vz_status vz_dsl_parse_semantic(struct vz_parser *parser, struct vz_json value,
                                     struct vz_node *node, struct vz_error *err)
{
    struct vz_json_iter it = vz_json_iterate(value);
    struct vz_slice key, field = {0};
    struct vz_json member, query = {0};
    while (vz_json_next(&it, &key, &member)) {
        bool handled;
        enum vz_status status = vz_dsl_common("semantic", key, member, &node->boost, &handled, err);
        if (status != VZ_OK)
            return status;
        if (handled)
            continue;
        bool is_field = vz_slice_is(key, "field"), is_query = vz_slice_is(key, "query");
        if (!is_field && !is_query)
            return vz_fail(err, VZ_BAD_QUERY, "[semantic] unknown field [%.*s]", VZ_ARG(key));
        if (vz_json_type(member) != VZ_JSON_STRING)
            return vz_fail(err, VZ_BAD_QUERY, "[semantic] %s doesn't support values of type: %s",
                           is_field ? "field" : "query", vz_query_token(member));
        if (is_field)
            field = vz_json_string(member);
        else
            query = member;
    }
    if (!field.len || vz_json_type(query) == VZ_JSON_MISSING)
        return vz_fail(err, VZ_BAD_QUERY, "[semantic] requires %s value",
                       field.len ? "a query" : "a field");
    *node = *vz_semantic_question(parser, field, query, node->boost, false);
    return VZ_OK;
}

const struct vz_node *vz_semantic_match(const struct vz_eval *eval, const struct vz_node *node)
{
    if (!node->question || node->kind != VZ_NODE_TERM)
        return NULL;
    const struct vz_field *field = vz_mapping_find(eval->mapping, node->field);
    return field && field->type == VZ_FIELD_SEMANTIC_TEXT ? node->question : NULL;
}

enum vz_status vz_semantic_resolve(const struct vz_mapping *mapping,
                                   const struct vz_knn_clause *clause,
                                   const struct vz_field **field, struct vz_error *err)
{
    const struct vz_field *named = *field;
    if (named && named->type != VZ_FIELD_SEMANTIC_TEXT) {
        if (clause->question != VZ_QUESTION_SEMANTIC)
            return VZ_OK;
        return vz_query_fail(err, VZ_BAD_QUERY,
                             "Field [%.*s] of type [%s] does not support semantic queries",
                             VZ_ARG(named->path), vz_filter_type_name(named->type));
    }
    if (!named)
        return VZ_OK;
    if (clause->inner)
        return vz_fail(err, VZ_UNSUPPORTED,
                       "[inner_hits] of the semantic field [%.*s] is not supported yet by vizsla",
                       VZ_ARG(named->path));
    *field = vz_mapping_vectors(mapping, named);
    return VZ_OK;
}
