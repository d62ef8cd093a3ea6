/* store/mapping_text.c - what a mapping says about analysis and postings: analyzers, normalizers,
 * index_options, norms, copy_to. */
#include "store/mapping_parts.h"
#include "text/analysis.h"
#include "text/postings.h"

/* ---- reading ------------------------------------------------------------------------------- */

static enum vz_status read_copy_to(struct vz_mapping *mapping, struct vz_mapping_node *node,
                                   struct vz_json value, struct vz_error *err)
{
    bool list = vz_json_type(value) == VZ_JSON_ARRAY;
    size_t count = list ? vz_json_count(value) : 1;
    struct vz_slice path = node->field.path;
    node->copy_to = vz_arena_alloc(&mapping->arena, (count + 1) * sizeof *node->copy_to);
    node->copy_to_count = 0;
    if (!list && vz_json_type(value) != VZ_JSON_STRING)
        return vz_mapping_fault(err, "[copy_to] of field [%.*s] must be a string or a list of them",
                                (int)path.len, path.ptr);
    if (!list) {
        node->copy_to[node->copy_to_count++] =
            vz_arena_copy(&mapping->arena, vz_json_string(value));
        return VZ_OK;
    }
    struct vz_json_iter it = vz_json_iterate(value);
    struct vz_json element;
    while (vz_json_next(&it, NULL, &element)) {
        if (vz_json_type(element) != VZ_JSON_STRING)
            return vz_mapping_fault(err,
                                    "[copy_to] of field [%.*s] must be a string or a list of them",
                                    (int)path.len, path.ptr);
        node->copy_to[node->copy_to_count++] =
            vz_arena_copy(&mapping->arena, vz_json_string(element));
    }
    return VZ_OK;
}

static enum vz_status check_index_options(const struct vz_field *field, struct vz_slice text,
                                          struct vz_error *err)
{
    bool is_text = field->type == VZ_FIELD_TEXT || field->type == VZ_FIELD_AS_YOU_TYPE;
    if (vz_slice_is(text, "docs") || vz_slice_is(text, "freqs") ||
        (is_text && (vz_slice_is(text, "positions") || vz_slice_is(text, "offsets"))))
        return VZ_OK;
    return vz_mapping_fault(err,
                            "Unknown value [%.*s] for field [index_options] - accepted values are "
                            "[docs, freqs%s]",
                            (int)text.len, text.ptr, is_text ? ", positions, offsets" : "");
}

static bool is_term_vector(struct vz_slice text)
{
    static const char *const known[] = {"no",
                                        "yes",
                                        "with_positions",
                                        "with_offsets",
                                        "with_positions_offsets",
                                        "with_positions_payloads",
                                        "with_positions_offsets_payloads"};
    for (size_t i = 0; i < VZ_COUNT_OF(known); i++)
        if (vz_slice_is(text, known[i]))
            return true;
    return false;
}

enum vz_status vz_mapping_read_text(struct vz_mapping *mapping, struct vz_mapping_node *node,
                                    struct vz_slice name, struct vz_json value,
                                    struct vz_error *err)
{
    const struct vz_field *field = &node->field;
    struct vz_slice text = vz_json_string(value);
    int64_t number = 0;
    if (vz_slice_is(name, "copy_to"))
        return read_copy_to(mapping, node, value, err);
    if (vz_slice_is(name, "index_options")) {
        enum vz_status status = check_index_options(field, text, err);
        if (status != VZ_OK)
            return status;
    }
    if (vz_slice_is(name, "index_options") && !mapping->loading && field->type != VZ_FIELD_TEXT &&
        field->type != VZ_FIELD_AS_YOU_TYPE && vz_slice_is(text, "freqs"))
        return vz_mapping_unsupported(err,
                                      "[index_options: freqs] of the field [%.*s] of type [%s] is "
                                      "not supported yet by vizsla",
                                      (int)field->path.len, field->path.ptr,
                                      vz_field_type_name(field->type));
    if (vz_slice_is(name, "term_vector") && !is_term_vector(text))
        return vz_mapping_fault(
            err,
            "Unknown value [%.*s] for field [term_vector] - accepted values are [no, yes, "
            "with_positions, with_offsets, with_positions_offsets, with_positions_payloads, "
            "with_positions_offsets_payloads]",
            (int)text.len, text.ptr);
    if (vz_slice_is(name, "position_increment_gap") &&
        (!vz_json_as_int(value, &number) || number < 0 || number > INT32_MAX / 2))
        return vz_mapping_fault(err, "[positions_increment_gap] must be positive, got [%lld]",
                                (long long)number);
    return VZ_OK;
}

/* ---- finding analyzers --------------------------------------------------------------------- */

static struct vz_slice given(const struct vz_mapping_node *node, const char *name)
{
    for (size_t i = 0; i < node->param_count; i++) {
        struct vz_slice json = node->params[i].json;
        if (!vz_slice_is(node->params[i].name, name))
            continue;
        if (json.len >= 2 && json.ptr[0] == '"')
            return (struct vz_slice){json.ptr + 1, json.len - 2};
        return json;
    }
    return (struct vz_slice){0};
}

/* The analyzer that a parameter names, or `otherwise`. */
static enum vz_status find(struct vz_mapping *mapping, const struct vz_mapping_node *node,
                           const char *param, const struct vz_analyzer *otherwise, bool lenient,
                           const struct vz_analyzer **out, struct vz_error *err)
{
    struct vz_slice name = given(node, param);
    *out = otherwise;
    if (name.len == 0)
        return VZ_OK;
    const struct vz_analyzer *found = vz_analysis_analyzer(mapping->analysis, name);
    if (found)
        *out = found;
    else if (!lenient)
        return vz_mapping_fault(err, "analyzer [%.*s] has not been configured in mappings",
                                (int)name.len, name.ptr);
    return VZ_OK;
}

static uint8_t flags_of(const struct vz_mapping_node *node)
{
    struct vz_slice options = given(node, "index_options");
    unsigned flags = VZ_TEXT_FREQS | VZ_TEXT_POSITIONS;
    if (vz_slice_is(options, "docs"))
        flags = VZ_TEXT_DOCS;
    else if (vz_slice_is(options, "freqs"))
        flags = VZ_TEXT_FREQS;
    if (!vz_slice_is(given(node, "norms"), "false"))
        flags |= VZ_TEXT_NORMS;
    return (uint8_t)flags;
}

/* How matches of the field are scored: by its `similarity`, else as the index says "default" is. */
static enum vz_status resolve_scoring(struct vz_mapping *mapping, struct vz_mapping_node *node,
                                      bool lenient, struct vz_error *err)
{
    const struct vz_mapping_rules *rules = &mapping->rules;
    struct vz_slice name = given(node, "similarity"), path = node->field.path;
    struct vz_similarity_rule *scoring = &node->field.scoring;
    *scoring = (struct vz_similarity_rule){.k1 = 1.2f, .b = 0.75f};
    if (name.len == 0)
        name = VZ_SLICE("default");
    for (size_t i = 0; i < rules->similarity_count; i++) {
        if (!vz_slice_is(name, rules->similarities[i].name))
            continue;
        *scoring = rules->similarities[i];
        return VZ_OK;
    }
    scoring->is_boolean = vz_slice_is(name, "boolean");
    if (scoring->is_boolean || lenient || vz_slice_is(name, "default") || vz_slice_is(name, "BM25"))
        return VZ_OK;
    return vz_mapping_fault(err, "Unknown Similarity type [%.*s] for field [%.*s]", (int)name.len,
                            name.ptr, (int)path.len, path.ptr);
}

static enum vz_status resolve_text(struct vz_mapping *mapping, struct vz_mapping_node *node,
                                   bool lenient, struct vz_error *err)
{
    struct vz_analysis *analysis = mapping->analysis;
    struct vz_field *field = &node->field;
    const struct vz_analyzer *standard = vz_analysis_analyzer(analysis, VZ_SLICE("default"));
    const struct vz_analyzer *search = vz_analysis_analyzer(analysis, VZ_SLICE("default_search"));
    enum vz_status status =
        find(mapping, node, "analyzer", standard, lenient, &field->analyzer, err);
    struct vz_slice late = field->analyzer ? vz_analyzer_search_only(field->analyzer)
                                           : (struct vz_slice){NULL, 0};
    if (status == VZ_OK && late.len && !lenient) {
        struct vz_slice name = vz_analyzer_name(field->analyzer);
        return vz_mapping_fault(err,
                                "analyzer [%.*s] contains filters [%.*s] that are not allowed to "
                                "run in index time mode.",
                                (int)name.len, name.ptr, (int)late.len, late.ptr);
    }
    /* A field's own analyzer is for searches too; without one the index's search default counts. */
    if (given(node, "analyzer").len || !search)
        search = field->analyzer;
    if (status == VZ_OK)
        status =
            find(mapping, node, "search_analyzer", search, lenient, &field->search_analyzer, err);
    if (status == VZ_OK)
        status = find(mapping, node, "search_quote_analyzer", field->search_analyzer, lenient,
                      &field->search_quote_analyzer, err);
    field->text_flags = flags_of(node);
    struct vz_slice vectors = given(node, "term_vector");
    field->has_vector_offsets = vz_slice_is(vectors, "with_positions_offsets") ||
                                vz_slice_is(vectors, "with_positions_offsets_payloads");
    field->has_offsets = field->has_vector_offsets || vz_slice_is(vectors, "with_offsets") ||
                         vz_slice_is(given(node, "index_options"), "offsets");
    bool keeps = vectors.len && !vz_slice_is(vectors, "no");
    field->vector_parts = keeps ? VZ_VECTOR_TERMS : 0;
    if (keeps && memmem(vectors.ptr, vectors.len, "positions", 9))
        field->vector_parts |= VZ_VECTOR_POSITIONS;
    if (keeps && memmem(vectors.ptr, vectors.len, "offsets", 7))
        field->vector_parts |= VZ_VECTOR_OFFSETS;
    struct vz_slice gap = given(node, "position_increment_gap");
    field->gap = field->analyzer ? vz_analyzer_gap(field->analyzer) : 100;
    if (gap.len) {
        field->gap = 0;
        for (size_t i = 0; i < gap.len && gap.ptr[i] >= '0' && gap.ptr[i] <= '9'; i++)
            field->gap = field->gap * 10 + (uint32_t)(gap.ptr[i] - '0');
    }
    return status;
}

static enum vz_status resolve_keyword(struct vz_mapping *mapping, struct vz_mapping_node *node,
                                      bool lenient, struct vz_error *err)
{
    struct vz_slice name = given(node, "normalizer"), path = node->field.path;
    node->field.normalizer = NULL;
    if (name.len == 0 || vz_slice_is(name, "default"))
        return VZ_OK;
    node->field.normalizer = vz_analysis_normalizer(mapping->analysis, name);
    if (node->field.normalizer || lenient)
        return VZ_OK;
    return vz_mapping_fault(err, "normalizer [%.*s] not found for field [%.*s]", (int)name.len,
                            name.ptr, (int)path.len, path.ptr);
}

static enum vz_status resolve_completion(struct vz_mapping *mapping, struct vz_mapping_node *node,
                                         bool lenient, struct vz_error *err)
{
    struct vz_field *field = &node->field;
    const struct vz_analyzer *simple =
        vz_analysis_analyzer(mapping->analysis, VZ_SLICE("simple"));
    enum vz_status status =
        find(mapping, node, "analyzer", simple, lenient, &field->analyzer, err);
    if (status == VZ_OK)
        status = find(mapping, node, "search_analyzer", field->analyzer, lenient,
                      &field->search_analyzer, err);
    struct vz_slice most = given(node, "max_input_length");
    field->no_separators = vz_slice_is(given(node, "preserve_separators"), "false");
    field->no_gaps = vz_slice_is(given(node, "preserve_position_increments"), "false");
    field->text_flags = VZ_TEXT_DOCS;
    field->max_input_length = most.len ? 0 : 50;
    for (size_t i = 0; i < most.len && most.ptr[i] >= '0' && most.ptr[i] <= '9'; i++)
        field->max_input_length = field->max_input_length * 10 + (uint32_t)(most.ptr[i] - '0');
    return status;
}

enum vz_status vz_mapping_resolve_analyzers(struct vz_mapping *mapping, bool lenient,
                                            struct vz_error *err)
{
    enum vz_status status = VZ_OK;
    for (size_t i = 0; status == VZ_OK && i < mapping->count; i++) {
        struct vz_mapping_node *node = &mapping->nodes[i];
        bool scored = node->field.type == VZ_FIELD_TEXT || vz_field_is_keyword(&node->field);
        if (scored && (status = resolve_scoring(mapping, node, lenient, err)) != VZ_OK)
            return status;
        if (node->field.shingles)
            status = vz_mapping_resolve_shingles(mapping, node, err);
        else if (node->field.type == VZ_FIELD_TEXT)
            status = resolve_text(mapping, node, lenient, err);
        else if (node->field.type == VZ_FIELD_COMPLETION)
            status = resolve_completion(mapping, node, lenient, err);
        else if (node->field.type == VZ_FIELD_KEYWORD)
            status = resolve_keyword(mapping, node, lenient, err);
    }
    return status;
}

bool vz_field_copies_to(const struct vz_field *from, struct vz_slice path)
{
    const struct vz_mapping_node *node = vz_mapping_node_of(from);
    for (size_t i = 0; i < node->copy_to_count; i++)
        if (vz_slice_eq(node->copy_to[i], path))
            return true;
    return false;
}
