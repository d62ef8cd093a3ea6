/* Retrievers: reading the tree, and what is refused of it. Nothing of an index is known here. */
#include "query/dsl.h"
#include "query/fusion.h"

#include <math.h>

static const char *const kind_names[] = {
    "standard", "knn", "rrf", "linear", "text_similarity_reranker", "rescorer", "pinned"};

bool vz_retriever_is_compound(const struct vz_retriever *retriever)
{
    return retriever->kind != VZ_RETRIEVER_STANDARD && retriever->kind != VZ_RETRIEVER_KNN;
}

const char *vz_retriever_name(const struct vz_retriever *retriever)
{
    return kind_names[retriever->kind];
}

/* ---- members --------------------------------------------------------------------------------- */

static enum vz_status bad_member(const char *name, struct vz_slice key, struct vz_json value,
                                 struct vz_error *err)
{
    return vz_fail(err, VZ_BAD_QUERY, "[%s] %.*s doesn't support values of type: %s", name,
                   VZ_ARG(key), vz_query_token(value));
}

static enum vz_status take_text(const char *name, struct vz_slice key, struct vz_json value,
                                struct vz_slice *out, struct vz_error *err)
{
    if (vz_json_type(value) != VZ_JSON_STRING)
        return bad_member(name, key, value, err);
    *out = vz_json_string(value);
    return VZ_OK;
}

static enum vz_status take_int(const char *name, struct vz_slice key, struct vz_json value,
                               int64_t *out, struct vz_error *err)
{
    if (!vz_json_as_int(value, out))
        return bad_member(name, key, value, err);
    if (*out > INT32_MAX || *out < INT32_MIN)
        return vz_fail(err, VZ_BAD_QUERY, "Numeric value (%lld) out of range of int",
                       (long long)*out);
    return VZ_OK;
}

static enum vz_status take_normalizer(struct vz_json value, enum vz_normalizer *out,
                                      struct vz_error *err)
{
    static const char *const names[] = {"none", "minmax", "l2_norm"};
    struct vz_slice text = vz_json_string(value);
    for (size_t i = 0; i < VZ_COUNT_OF(names); i++)
        if (text.len == strlen(names[i]) && strncasecmp(text.ptr, names[i], text.len) == 0) {
            *out = (enum vz_normalizer)i;
            return VZ_OK;
        }
    vz_fail(err, VZ_BAD_QUERY, "[linear] failed to parse field [normalizer]");
    vz_fail_cause(err, "Unknown normalizer [%.*s]", VZ_ARG(text));
    return VZ_BAD_QUERY;
}

static enum vz_status take_weight(const char *name, struct vz_json value, float *out,
                                  struct vz_error *err)
{
    double number;
    if (!vz_json_as_double(value, &number) || !isfinite((float)number))
        return bad_member(name, VZ_SLICE("weight"), value, err);
    *out = (float)number;
    if (*out >= 0)
        return VZ_OK;
    char shown[32];
    vz_fail(err, VZ_BAD_QUERY, "[%s] failed to parse field [retrievers]", name);
    vz_fail_cause(err, "[weight] must be non-negative, found [%s]", vz_query_number(number, shown));
    return VZ_BAD_QUERY;
}

/* What every retriever has. VZ_NOT_FOUND: not that. */
static enum vz_status take_common(struct vz_parser *parser, struct vz_retriever *into,
                                  struct vz_slice key, struct vz_json value, struct vz_error *err)
{
    const char *name = vz_retriever_name(into);
    if (vz_slice_is(key, "filter")) {
        if (vz_json_type(value) != VZ_JSON_OBJECT && vz_json_type(value) != VZ_JSON_ARRAY)
            return bad_member(name, key, value, err);
        return vz_query_parse_list(parser, value, &into->filters, err);
    }
    if (vz_slice_is(key, "min_score")) {
        into->has_min_score = true;
        return vz_dsl_float(name, "min_score", value, &into->min_score, err);
    }
    if (!vz_slice_is(key, "_name"))
        return VZ_NOT_FOUND;
    if (vz_json_type(value) != VZ_JSON_STRING)
        return bad_member(name, key, value, err);
    into->name = vz_json_string(value);
    return VZ_OK;
}

/* ---- the leaves ------------------------------------------------------------------------------ */

static enum vz_status standard_member(struct vz_parser *parser, struct vz_retriever *into,
                                      struct vz_slice key, struct vz_json value,
                                      struct vz_error *err)
{
    int64_t number = 0;
    if (vz_slice_is(key, "query"))
        return vz_query_parse(parser, value, &into->query, err);
    if (vz_slice_is(key, "sort"))
        return vz_sort_parse(value, parser->arena, &into->sort, &into->sort_count, err);
    if (vz_slice_is(key, "collapse"))
        return vz_collapse_parse(parser, value, &into->collapse, err);
    if (vz_slice_is(key, "search_after")) {
        if (vz_json_type(value) != VZ_JSON_ARRAY || vz_json_count(value) == 0)
            return vz_fail(err, VZ_BAD_QUERY, "Values must contains at least one value.");
        into->search_after = value;
        return VZ_OK;
    }
    if (!vz_slice_is(key, "terminate_after"))
        return VZ_NOT_FOUND;
    enum vz_status status = take_int("standard", key, value, &number, err);
    if (status == VZ_OK && number < 0)
        return vz_fail(err, VZ_BAD_QUERY, "terminateAfter must be > 0");
    into->terminate_after = (uint64_t)number;
    return status;
}

/* A knn clause with other rules: k and num_candidates are required, boost and inner_hits are not
 * there. */
static enum vz_status parse_knn(struct vz_parser *parser, struct vz_json value,
                                struct vz_retriever *into, struct vz_error *err)
{
    static const char *const missing[] = {"boost", "inner_hits"};
    struct vz_json ignored;
    for (size_t i = 0; i < VZ_COUNT_OF(missing); i++)
        if (vz_json_get(value, missing[i], &ignored))
            return vz_fail(err, VZ_BAD_QUERY, "[knn] unknown field [%s]", missing[i]);
    if (vz_json_get(value, "_name", &ignored)) {
        enum vz_status status = take_common(parser, into, VZ_SLICE("_name"), ignored, err);
        if (status != VZ_OK)
            return status;
    }
    bool has[3] = {vz_json_get(value, "field", &ignored), vz_json_get(value, "k", &ignored),
                   vz_json_get(value, "num_candidates", &ignored)};
    if (!has[0] || !has[1] || !has[2])
        return vz_fail(err, VZ_BAD_QUERY, "Required [%s%s%s%s%s]", has[0] ? "" : "field",
                       has[0] || has[1] ? "" : ", ", has[1] ? "" : "k",
                       (has[0] && has[1]) || has[2] ? "" : ", ", has[2] ? "" : "num_candidates");
    if (vz_json_get(value, "min_score", &ignored)) {
        enum vz_status status = take_common(parser, into, VZ_SLICE("min_score"), ignored, err);
        if (status != VZ_OK)
            return status;
    }
    return vz_knn_parse(parser, value, VZ_KNN_RETRIEVER, &into->knn, err);
}

/* ---- the compounds --------------------------------------------------------------------------- */

static enum vz_status parse_tree(struct vz_parser *parser, struct vz_json value,
                                 struct vz_retriever **out, struct vz_error *err);

static void make_children(struct vz_parser *parser, struct vz_retriever *into, size_t count)
{
    into->children = vz_arena_zalloc(parser->arena, (count + 1) * sizeof(struct vz_retriever *));
    into->weights = vz_arena_zalloc(parser->arena, (count + 1) * sizeof(*into->weights));
    into->normalizers = vz_arena_zalloc(parser->arena, (count + 1) * sizeof(*into->normalizers));
    for (size_t i = 0; i < count; i++)
        into->weights[i] = 1;
}

/* {"retriever": {...}, "weight": 2, "normalizer": "minmax"}; rrf takes the bare tree, too. */
static enum vz_status parse_component(struct vz_parser *parser, struct vz_json value,
                                      struct vz_retriever *into, struct vz_error *err)
{
    bool is_linear = into->kind == VZ_RETRIEVER_LINEAR;
    const char *name = is_linear ? "component" : "rrf_component";
    size_t at = into->child_count;
    struct vz_json member;
    struct vz_slice key;
    if (vz_json_type(value) != VZ_JSON_OBJECT)
        return bad_member(vz_retriever_name(into), VZ_SLICE("retrievers"), value, err);
    if (!is_linear && !vz_json_get(value, "retriever", &member) &&
        !vz_json_get(value, "weight", &member))
        return parse_tree(parser, value, &into->children[at], err);
    struct vz_json_iter it = vz_json_iterate(value);
    while (vz_json_next(&it, &key, &member)) {
        enum vz_status status;
        if (vz_slice_is(key, "retriever"))
            status = parse_tree(parser, member, &into->children[at], err);
        else if (vz_slice_is(key, "weight"))
            status = take_weight(vz_retriever_name(into), member, &into->weights[at], err);
        else if (vz_slice_is(key, "normalizer") && is_linear)
            status = take_normalizer(member, &into->normalizers[at], err);
        else
            status = vz_fail(err, VZ_BAD_QUERY, "[%s] unknown field [%.*s]", name, VZ_ARG(key));
        if (status != VZ_OK)
            return status;
    }
    if (!into->children[at])
        return vz_fail(err, VZ_BAD_QUERY, "Required [retriever]");
    return VZ_OK;
}

static enum vz_status parse_children(struct vz_parser *parser, struct vz_json value,
                                     struct vz_retriever *into, struct vz_error *err)
{
    struct vz_json_iter it = vz_json_iterate(value);
    struct vz_json element;
    if (vz_json_type(value) != VZ_JSON_ARRAY)
        return bad_member(vz_retriever_name(into), VZ_SLICE("retrievers"), value, err);
    make_children(parser, into, vz_json_count(value));
    while (vz_json_next(&it, NULL, &element)) {
        enum vz_status status = parse_component(parser, element, into, err);
        if (status != VZ_OK)
            return status;
        into->child_count++;
    }
    return VZ_OK;
}

static enum vz_status fused_member(struct vz_parser *parser, struct vz_retriever *into,
                                   struct vz_slice key, struct vz_json value, struct vz_error *err)
{
    bool is_rrf = into->kind == VZ_RETRIEVER_RRF;
    if (vz_slice_is(key, "retrievers"))
        return parse_children(parser, value, into, err);
    if (vz_slice_is(key, "query")) {
        into->text = value;
        return vz_json_type(value) == VZ_JSON_STRING
                   ? VZ_OK
                   : bad_member(vz_retriever_name(into), key, value, err);
    }
    if (vz_slice_is(key, "fields")) {
        into->fields = value;
        return vz_json_type(value) == VZ_JSON_ARRAY || vz_json_type(value) == VZ_JSON_STRING
                   ? VZ_OK
                   : bad_member(vz_retriever_name(into), key, value, err);
    }
    if (is_rrf && vz_slice_is(key, "rank_constant"))
        return take_int("rrf", key, value, &into->rank_constant, err);
    if (!is_rrf && vz_slice_is(key, "normalizer")) {
        into->has_normalizer = true;
        return take_normalizer(value, &into->normalizer, err);
    }
    return VZ_NOT_FOUND;
}

static enum vz_status only_child(struct vz_parser *parser, struct vz_json value,
                                 struct vz_retriever *into, struct vz_error *err)
{
    make_children(parser, into, 1);
    into->child_count = 1;
    return parse_tree(parser, value, &into->children[0], err);
}

static enum vz_status rerank_member(struct vz_parser *parser, struct vz_retriever *into,
                                    struct vz_slice key, struct vz_json value, struct vz_error *err)
{
    const char *name = vz_retriever_name(into);
    if (vz_slice_is(key, "retriever"))
        return only_child(parser, value, into, err);
    if (vz_slice_is(key, "inference_id"))
        return take_text(name, key, value, &into->inference_id, err);
    if (vz_slice_is(key, "inference_text"))
        return take_text(name, key, value, &into->inference_text, err);
    if (vz_slice_is(key, "field"))
        return take_text(name, key, value, &into->field, err);
    if (vz_slice_is(key, "allow_rerank_failures"))
        return vz_dsl_bool(name, "allow_rerank_failures", value, &into->may_fail, err);
    if (vz_slice_is(key, "chunk_rescorer"))
        return vz_fail(err, VZ_UNSUPPORTED, "[%s] [chunk_rescorer] is not supported yet by vizsla",
                       name);
    return VZ_NOT_FOUND;
}

static enum vz_status rescorer_member(struct vz_parser *parser, struct vz_retriever *into,
                                      struct vz_slice key, struct vz_json value,
                                      struct vz_error *err)
{
    if (vz_slice_is(key, "retriever"))
        return only_child(parser, value, into, err);
    if (vz_slice_is(key, "rescore"))
        return vz_rescore_parse(parser, value, &into->rescores, &into->rescore_count, err);
    return VZ_NOT_FOUND;
}

static enum vz_status take_member(struct vz_parser *parser, struct vz_retriever *into,
                                  struct vz_slice key, struct vz_json value, struct vz_json pins[2],
                                  struct vz_error *err)
{
    enum vz_status status = take_common(parser, into, key, value, err);
    if (status != VZ_NOT_FOUND)
        return status;
    bool has_window = vz_retriever_is_compound(into) && into->kind != VZ_RETRIEVER_RESCORER;
    if (has_window && vz_slice_is(key, "rank_window_size"))
        return take_int(vz_retriever_name(into), key, value, &into->window, err);
    switch (into->kind) {
    case VZ_RETRIEVER_STANDARD:
        return standard_member(parser, into, key, value, err);
    case VZ_RETRIEVER_RRF:
    case VZ_RETRIEVER_LINEAR:
        return fused_member(parser, into, key, value, err);
    case VZ_RETRIEVER_RERANK:
        return rerank_member(parser, into, key, value, err);
    case VZ_RETRIEVER_RESCORER:
        return rescorer_member(parser, into, key, value, err);
    case VZ_RETRIEVER_PINNED:
        if (vz_slice_is(key, "retriever"))
            return only_child(parser, value, into, err);
        if (!vz_slice_is(key, "ids") && !vz_slice_is(key, "docs"))
            return VZ_NOT_FOUND;
        pins[vz_slice_is(key, "docs")] = value;
        return VZ_OK;
    default:
        return VZ_NOT_FOUND;
    }
}

/* ---- when all members are there -------------------------------------------------------------- */

/* {"query": "text", "fields": ["title^2"]}: one multi_match over the fields, as a child. */
static enum vz_status expand_fields(struct vz_parser *parser, struct vz_retriever *into,
                                    struct vz_error *err)
{
    struct vz_multi_match *multi = vz_arena_zalloc(parser->arena, sizeof *multi);
    struct vz_node *node = vz_arena_zalloc(parser->arena, sizeof *node);
    struct vz_retriever *child = vz_arena_zalloc(parser->arena, sizeof *child);
    bool many = vz_json_type(into->fields) == VZ_JSON_ARRAY;
    struct vz_json_iter it = vz_json_iterate(into->fields);
    struct vz_json element = into->fields;
    multi->match = (struct vz_match){
        .query = "multi_match", .type = VZ_MATCH_BOOLEAN, .max_expansions = 50};
    multi->value = into->text;
    multi->tie = 1; /* most_fields */
    while (vz_json_type(into->fields) != VZ_JSON_MISSING &&
           (!many || vz_json_next(&it, NULL, &element))) {
        struct vz_slice text = vz_json_string(element);
        const char *hat = text.len ? memchr(text.ptr, '^', text.len) : NULL;
        if (hat && hat + 1 < text.ptr + text.len && hat[1] == '-')
            return vz_fail(err, VZ_BAD_QUERY, "[%s] per-field weights must be non-negative",
                           vz_retriever_name(into));
        if (!many)
            break;
    }
    if (vz_json_type(into->fields) != VZ_JSON_MISSING) {
        enum vz_status status = vz_dsl_fields(parser, vz_retriever_name(into), into->fields,
                                              &multi->fields, &multi->field_count, err);
        if (status != VZ_OK)
            return status;
    }
    node->kind = VZ_NODE_MULTI_MATCH;
    node->boost = 1;
    node->multi = multi;
    child->query = node;
    make_children(parser, into, 1);
    into->children[0] = child;
    into->normalizers[0] = into->normalizer;
    into->child_count = 1;
    return VZ_OK;
}

/* ids and docs; the query they are put before is whatever the child finds. */
static enum vz_status settle_pins(struct vz_parser *parser, struct vz_retriever *into,
                                  struct vz_json pins[2], struct vz_error *err)
{
    bool has_ids = vz_json_type(pins[0]) != VZ_JSON_MISSING;
    bool has_docs = vz_json_type(pins[1]) != VZ_JSON_MISSING;
    if (has_ids && has_docs)
        return vz_fail(err, VZ_BAD_QUERY,
                       "Both 'ids' and 'docs' cannot be specified at the same time");
    enum vz_status status = vz_pins_parse(parser, pins[0], pins[1], &into->pins, err);
    if (status == VZ_OK && into->pins.count == 0)
        return vz_fail(
            err, VZ_BAD_QUERY,
            "Either 'ids' or 'docs' must be provided and non-empty for pinned retriever");
    return status;
}

static enum vz_status settle(struct vz_parser *parser, struct vz_retriever *into,
                             struct vz_json pins[2], struct vz_error *err)
{
    bool has_text = vz_json_type(into->text) == VZ_JSON_STRING;
    switch (into->kind) {
    case VZ_RETRIEVER_RRF:
    case VZ_RETRIEVER_LINEAR:
        return has_text && vz_json_string(into->text).len && into->child_count == 0
                   ? expand_fields(parser, into, err)
                   : VZ_OK;
    case VZ_RETRIEVER_RERANK:
        if (!into->child_count || !into->inference_text.len || !into->field.len)
            return vz_fail(err, VZ_BAD_QUERY, "Required [%s]",
                           !into->child_count          ? "retriever"
                           : !into->inference_text.len ? "inference_text"
                                                       : "field");
        return VZ_OK;
    case VZ_RETRIEVER_RESCORER:
        if (!into->child_count || !into->rescores)
            return vz_fail(err, VZ_BAD_QUERY, "Required [%s]",
                           into->child_count ? "rescore" : "retriever");
        if (into->rescore_count == 0)
            return vz_fail(err, VZ_BAD_QUERY, "Missing rescore definition");
        into->window = INT32_MAX;
        for (size_t i = 0; i < into->rescore_count; i++)
            into->window = VZ_MIN(into->window, (int64_t)into->rescores[i].window);
        return VZ_OK;
    case VZ_RETRIEVER_PINNED:
        if (!into->child_count)
            return vz_fail(err, VZ_BAD_QUERY, "Required [retriever]");
        return settle_pins(parser, into, pins, err);
    default:
        return VZ_OK;
    }
}

static enum vz_status parse_kind(struct vz_parser *parser, struct vz_slice name,
                                 struct vz_json value, struct vz_retriever *into,
                                 struct vz_error *err)
{
    static const char *const elsewhere[] = {"rule", "random_reranker", "diversify"};
    struct vz_json_iter it = vz_json_iterate(value);
    struct vz_json member, pins[2] = {{0}, {0}};
    struct vz_slice key;
    size_t kind = 0;
    while (kind < VZ_COUNT_OF(kind_names) && !vz_slice_is(name, kind_names[kind]))
        kind++;
    for (size_t i = 0; i < VZ_COUNT_OF(elsewhere); i++)
        if (vz_slice_is(name, elsewhere[i]))
            return vz_fail(err, VZ_UNSUPPORTED, "[%s] retriever is not supported yet by vizsla",
                           elsewhere[i]);
    if (kind == VZ_COUNT_OF(kind_names))
        return vz_fail(err, VZ_BAD_QUERY, "unknown retriever [%.*s]", VZ_ARG(name));
    if (vz_json_type(value) != VZ_JSON_OBJECT)
        return vz_fail(err, VZ_BAD_QUERY,
                       "[%s] retriever malformed, no [START_OBJECT] after retriever name",
                       kind_names[kind]);
    into->kind = (enum vz_retriever_kind)kind;
    into->window = VZ_DEFAULT_WINDOW;
    into->rank_constant = 60;
    if (into->kind == VZ_RETRIEVER_KNN)
        return parse_knn(parser, value, into, err);
    while (vz_json_next(&it, &key, &member)) {
        enum vz_status status = take_member(parser, into, key, member, pins, err);
        if (status == VZ_NOT_FOUND)
            return vz_fail(err, VZ_BAD_QUERY, "[%s] unknown field [%.*s]", kind_names[kind],
                           VZ_ARG(key));
        if (status != VZ_OK)
            return status;
    }
    return settle(parser, into, pins, err);
}

static enum vz_status parse_tree(struct vz_parser *parser, struct vz_json value,
                                 struct vz_retriever **out, struct vz_error *err)
{
    struct vz_json_iter it = vz_json_iterate(value);
    struct vz_slice name, second;
    struct vz_json inner, ignored;
    if (vz_json_type(value) != VZ_JSON_OBJECT)
        return vz_fail(err, VZ_BAD_QUERY, "retriever malformed, must start with [START_OBJECT]");
    if (!vz_json_next(&it, &name, &inner))
        return vz_fail(err, VZ_BAD_QUERY, "retriever malformed, empty clause found");
    if (++parser->retrievers > VZ_MAX_RETRIEVERS)
        return vz_fail(err, VZ_BAD_QUERY, "[retriever] has more than [%d] retrievers",
                       VZ_MAX_RETRIEVERS);
    if (++parser->retriever_depth > VZ_MAX_RETRIEVER_DEPTH)
        return vz_fail(err, VZ_BAD_QUERY,
                       "the nested depth of the [%.*s] retriever exceeds the maximum nested depth "
                       "[%d] for retrievers",
                       VZ_ARG(name), VZ_MAX_RETRIEVER_DEPTH);
    struct vz_retriever *retriever = vz_arena_zalloc(parser->arena, sizeof *retriever);
    enum vz_status status = parse_kind(parser, name, inner, retriever, err);
    if (status == VZ_OK && vz_json_next(&it, &second, &ignored))
        status = vz_fail(err, VZ_BAD_QUERY,
                         "[%.*s] malformed retriever, expected [END_OBJECT] but found [FIELD_NAME]",
                         VZ_ARG(name));
    parser->retriever_depth--;
    *out = retriever;
    return status;
}

enum vz_status vz_retriever_parse(struct vz_parser *parser, struct vz_json value,
                                  struct vz_retriever **out, struct vz_error *err)
{
    return parse_tree(parser, value, out, err);
}
