/* store/mapping_types.c - the types of fields, which parameters each takes, and which of them may
 * change later. One table; dense_vector's own parameters are in mapping_vector.c. */
#include "store/mapping_semantic.h"
#include "store/mapping_vector.h"

#include <math.h>
#include <stdlib.h>

static const char *const type_names[] = {
    [VZ_FIELD_OBJECT] = "object",
    [VZ_FIELD_NESTED] = "nested",
    [VZ_FIELD_TEXT] = "text",
    [VZ_FIELD_KEYWORD] = "keyword",
    [VZ_FIELD_LONG] = "long",
    [VZ_FIELD_INTEGER] = "integer",
    [VZ_FIELD_SHORT] = "short",
    [VZ_FIELD_BYTE] = "byte",
    [VZ_FIELD_UNSIGNED_LONG] = "unsigned_long",
    [VZ_FIELD_DOUBLE] = "double",
    [VZ_FIELD_FLOAT] = "float",
    [VZ_FIELD_HALF_FLOAT] = "half_float",
    [VZ_FIELD_BOOLEAN] = "boolean",
    [VZ_FIELD_DATE] = "date",
    [VZ_FIELD_GEO_POINT] = "geo_point",
    [VZ_FIELD_DENSE_VECTOR] = "dense_vector",
    [VZ_FIELD_SEMANTIC_TEXT] = "semantic_text",
    [VZ_FIELD_BINARY] = "binary",
    [VZ_FIELD_ALIAS] = "alias",
    [VZ_FIELD_CONSTANT_KEYWORD] = "constant_keyword",
    [VZ_FIELD_WILDCARD] = "wildcard",
    [VZ_FIELD_IP] = "ip",
    [VZ_FIELD_SCALED_FLOAT] = "scaled_float",
    [VZ_FIELD_FLATTENED] = "flattened",
    [VZ_FIELD_FLATTENED_KEYED] = "flattened",
    [VZ_FIELD_COMPLETION] = "completion",
    [VZ_FIELD_RANK_FEATURE] = "rank_feature",
    [VZ_FIELD_AS_YOU_TYPE] = "search_as_you_type",
};

static const char *const foreign_types[] = {
    "aggregate_metric_double",
    "annotated_text",
    "counted_keyword",
    "date_nanos",
    "date_range",
    "double_range",
    "float_range",
    "geo_shape",
    "histogram",
    "integer_range",
    "ip_range",
    "join",
    "long_range",
    "match_only_text",
    "murmur3",
    "passthrough",
    "percolator",
    "point",
    "rank_features",
    "rank_vectors",
    "shape",
    "sparse_vector",
    "token_count",
    "version",
};

const char *vz_field_type_name(enum vz_field_type type)
{
    return type_names[type];
}

bool vz_field_type_find(struct vz_slice name, enum vz_field_type *type)
{
    if (vz_slice_is(name, "semantic")) {
        *type = VZ_FIELD_SEMANTIC_TEXT;
        return true;
    }
    for (size_t i = 0; i < VZ_COUNT_OF(type_names); i++) {
        if (i != VZ_FIELD_FLATTENED_KEYED && vz_slice_is(name, type_names[i])) {
            *type = (enum vz_field_type)i;
            return true;
        }
    }
    return false;
}

bool vz_field_type_is_foreign(struct vz_slice name)
{
    for (size_t i = 0; i < VZ_COUNT_OF(foreign_types); i++) {
        if (vz_slice_is(name, foreign_types[i]))
            return true;
    }
    return false;
}

enum vz_status vz_mapping_fault(struct vz_error *err, const char *format, ...)
{
    struct vz_buf text = {0};
    va_list args;
    va_start(args, format);
    vz_buf_vprintf(&text, format, args);
    va_end(args);
    vz_fail(err, VZ_BAD_MAPPING, "Failed to parse mapping: %s", text.data);
    vz_fail_cause(err, "%s", text.data);
    vz_buf_deinit(&text);
    return VZ_BAD_MAPPING;
}

enum vz_status vz_mapping_unsupported(struct vz_error *err, const char *format, ...)
{
    struct vz_buf text = {0};
    va_list args;
    va_start(args, format);
    vz_buf_vprintf(&text, format, args);
    va_end(args);
    vz_fail(err, VZ_UNSUPPORTED, "%s", text.data);
    vz_buf_deinit(&text);
    return VZ_UNSUPPORTED;
}

/* ---- the table ---------------------------------------------------------------------------- */

enum param_kind {
    PARAM_BOOL,
    PARAM_INT,
    PARAM_STRING,
    PARAM_STRING_MAP,
    PARAM_OBJECT,
    PARAM_ANY,
    PARAM_REFUSED,      /* known to Elasticsearch, not done here */
    PARAM_REFUSED_TRUE, /* may be there when it is false */
    PARAM_VECTOR        /* mapping_vector.c reads it */
};

#define T(type) (1ull << VZ_FIELD_##type)
#define INTEGERS (T(LONG) | T(INTEGER) | T(SHORT) | T(BYTE))
#define DECIMALS (T(DOUBLE) | T(FLOAT) | T(HALF_FLOAT) | T(SCALED_FLOAT))
#define NUMBERS (INTEGERS | T(UNSIGNED_LONG) | DECIMALS)
#define VALUES (NUMBERS | T(KEYWORD) | T(BOOLEAN) | T(DATE) | T(GEO_POINT) | T(IP))
#define LEAVES                                                                                     \
    (VALUES | T(TEXT) | T(DENSE_VECTOR) | T(BINARY) | T(SEMANTIC_TEXT) | T(CONSTANT_KEYWORD) |     \
     T(WILDCARD) | T(FLATTENED) | T(COMPLETION) | T(AS_YOU_TYPE) | \
     T(RANK_FEATURE))
#define TEXTS (T(TEXT) | T(AS_YOU_TYPE))

struct param_rule {
    const char *name;
    uint64_t types;
    enum param_kind kind;
    bool may_change;
    const char *missing; /* what an absent one means, as text; "null" when nothing */
};

static const struct param_rule rules[] = {
    {"index", VALUES | TEXTS | T(FLATTENED), PARAM_BOOL, false, "true"},
    {"index", T(DENSE_VECTOR), PARAM_VECTOR, false, "true"},
    {"doc_values", VALUES | T(FLATTENED), PARAM_BOOL, false, "true"},
    {"doc_values", T(BINARY), PARAM_BOOL, false, "false"},
    {"store", VALUES | TEXTS | T(BINARY), PARAM_BOOL, false, "false"},
    {"meta", LEAVES, PARAM_STRING_MAP, true, "{}"},
    {"copy_to", VALUES | TEXTS | T(WILDCARD), PARAM_ANY, true, "null"},
    {"synthetic_source_keep", LEAVES, PARAM_STRING, true, "null"},
    {"ignore_malformed", NUMBERS | T(DATE) | T(GEO_POINT) | T(BOOLEAN) | T(IP), PARAM_BOOL, true,
     "false"},
    {"coerce", INTEGERS | DECIMALS, PARAM_BOOL, true, "true"},
    {"null_value", VALUES | T(WILDCARD) | T(FLATTENED), PARAM_ANY, false, "null"},
    {"ignore_above", T(KEYWORD) | T(WILDCARD) | T(FLATTENED), PARAM_INT, true, "2147483647"},
    {"normalizer", T(KEYWORD), PARAM_STRING, false, "null"},
    {"eager_global_ordinals", T(KEYWORD) | T(TEXT) | T(FLATTENED), PARAM_BOOL, true, "false"},
    {"norms", T(KEYWORD), PARAM_REFUSED_TRUE, true, "false"},
    {"norms", TEXTS, PARAM_BOOL, true, "true"},
    {"split_queries_on_whitespace", T(KEYWORD) | T(FLATTENED), PARAM_REFUSED_TRUE, true, "false"},
    {"similarity", T(KEYWORD) | TEXTS | T(FLATTENED), PARAM_STRING, false, "BM25"},
    {"index_options", T(KEYWORD) | T(FLATTENED), PARAM_STRING, false, "docs"},
    {"index_options", TEXTS, PARAM_STRING, false, "positions"},
    {"time_series_dimension", VALUES, PARAM_REFUSED_TRUE, false, "false"},
    {"time_series_dimensions", T(FLATTENED), PARAM_REFUSED, false, "null"},
    {"time_series_metric", NUMBERS | T(GEO_POINT), PARAM_REFUSED, false, "null"},
    {"script", VALUES, PARAM_REFUSED, false, "null"},
    {"on_script_error", VALUES, PARAM_REFUSED, true, "fail"},
    {"analyzer", TEXTS, PARAM_STRING, false, "default"},
    {"analyzer", T(COMPLETION), PARAM_STRING, false, "simple"},
    {"search_analyzer", TEXTS, PARAM_STRING, true, "default"},
    {"search_analyzer", T(COMPLETION), PARAM_STRING, true, "simple"},
    {"preserve_separators", T(COMPLETION), PARAM_BOOL, false, "true"},
    {"preserve_position_increments", T(COMPLETION), PARAM_BOOL, false, "true"},
    {"max_input_length", T(COMPLETION), PARAM_INT, true, "50"},
    {"positive_score_impact", T(RANK_FEATURE), PARAM_BOOL, false, "true"},
    {"copy_to", T(RANK_FEATURE), PARAM_ANY, true, "null"},
    {"max_shingle_size", T(AS_YOU_TYPE), PARAM_INT, false, "3"},
    {"doc_values", T(AS_YOU_TYPE), PARAM_BOOL, false, "false"},
    {"contexts", T(COMPLETION), PARAM_REFUSED, false, "null"},
    {"search_quote_analyzer", TEXTS, PARAM_STRING, true, "default"},
    {"position_increment_gap", T(TEXT), PARAM_INT, false, "100"},
    {"term_vector", TEXTS, PARAM_STRING, false, "no"},
    {"index_phrases", T(TEXT), PARAM_BOOL, false, "false"},
    {"index_prefixes", T(TEXT), PARAM_OBJECT, false, "null"},
    {"fielddata", T(TEXT), PARAM_REFUSED_TRUE, true, "false"},
    {"fielddata_frequency_filter", T(TEXT), PARAM_REFUSED, true, "null"},
    {"format", T(DATE), PARAM_STRING, false, "strict_date_optional_time||epoch_millis"},
    {"locale", T(DATE), PARAM_STRING, false, "en"},
    {"ignore_z_value", T(GEO_POINT), PARAM_BOOL, true, "true"},
    {"dims", T(DENSE_VECTOR), PARAM_VECTOR, false, "null"},
    {"element_type", T(DENSE_VECTOR), PARAM_VECTOR, false, "float"},
    {"similarity", T(DENSE_VECTOR), PARAM_VECTOR, false, "cosine"},
    {"index_options", T(DENSE_VECTOR), PARAM_VECTOR, true, "null"},
    {"path", T(ALIAS), PARAM_STRING, true, "null"},
    {"scaling_factor", T(SCALED_FLOAT), PARAM_ANY, false, "null"},
    {"value", T(CONSTANT_KEYWORD), PARAM_ANY, false, "null"},
    {"depth_limit", T(FLATTENED), PARAM_INT, true, "20"},
    {"inference_id", T(SEMANTIC_TEXT), PARAM_STRING, false, "null"},
    {"search_inference_id", T(SEMANTIC_TEXT), PARAM_ANY, true, "null"},
    {"model_settings", T(SEMANTIC_TEXT), PARAM_ANY, true, "null"},
    {"chunking_settings", T(SEMANTIC_TEXT), PARAM_ANY, true, "null"},
    {"index_options", T(SEMANTIC_TEXT), PARAM_ANY, true, "null"},
};

static const struct param_rule *find_rule(enum vz_field_type type, struct vz_slice name)
{
    for (size_t i = 0; i < VZ_COUNT_OF(rules); i++) {
        if ((rules[i].types >> type & 1) && vz_slice_is(name, rules[i].name))
            return &rules[i];
    }
    return NULL;
}

bool vz_mapping_takes(enum vz_field_type type, const char *parameter)
{
    return find_rule(type, vz_slice_from(parameter)) != NULL;
}

/* ---- reading ------------------------------------------------------------------------------ */

void vz_mapping_param_add(struct vz_mapping *mapping, struct vz_mapping_param **params,
                          size_t *count, struct vz_slice name, struct vz_json value)
{
    /* Lists are short and grow rarely: a new array each time keeps the arena simple. */
    struct vz_mapping_param *grown = vz_arena_alloc(&mapping->arena, (*count + 1) * sizeof *grown);
    if (*count)
        memcpy(grown, *params, *count * sizeof *grown);
    struct vz_buf json = {0};
    vz_json_print(value, &json);
    grown[*count].name = vz_arena_copy(&mapping->arena, name);
    grown[*count].json = vz_arena_copy(&mapping->arena, vz_buf_slice(&json));
    vz_buf_deinit(&json);
    *params = grown;
    ++*count;
}

static struct vz_slice copy_string(struct vz_mapping *mapping, struct vz_json value)
{
    return vz_arena_copy(&mapping->arena, vz_json_string(value));
}

static enum vz_status check_string_map(struct vz_slice name, struct vz_json value,
                                       struct vz_error *err)
{
    if (vz_json_type(value) != VZ_JSON_OBJECT)
        return vz_mapping_fault(err, "[%.*s] must be an object, got %s", (int)name.len, name.ptr,
                                vz_json_type_name(value));
    struct vz_json_iter it = vz_json_iterate(value);
    struct vz_slice key;
    struct vz_json member;
    while (vz_json_next(&it, &key, &member)) {
        if (vz_json_type(member) != VZ_JSON_STRING)
            return vz_mapping_fault(err, "[meta] values can only be strings, but got %s[%.*s]",
                                    vz_json_type_name(member), (int)key.len, key.ptr);
    }
    return VZ_OK;
}

static bool is_english(struct vz_slice locale)
{
    return locale.len == 0 || vz_slice_is(locale, "ROOT") || vz_slice_is(locale, "en") ||
           vz_slice_starts(locale, "en-") || vz_slice_starts(locale, "en_") ||
           vz_slice_is(locale, "ENGLISH");
}

#define MAX_FLAT_DEPTH 1000 /* how deep JSON itself may nest */

static enum vz_status read_factor(struct vz_field *field, struct vz_json value,
                                  struct vz_error *err)
{
    double factor;
    if (!vz_json_as_double(value, &factor))
        return vz_mapping_fault(err, "Field [scaling_factor] is required");
    if (!(factor > 0) || isinf(factor))
        return vz_mapping_fault(err, "[scaling_factor] must be a positive number, got [%g]",
                                factor);
    field->scaling_factor = factor;
    return VZ_OK;
}

static enum vz_status read_constant(struct vz_mapping *mapping, struct vz_field *field,
                                    struct vz_json value, struct vz_error *err)
{
    if (vz_json_type(value) != VZ_JSON_STRING && !vz_json_is_number(value))
        return vz_mapping_fault(err,
                                "Property [value] on field [%.*s] must be a number or a string, "
                                "but got [%s]",
                                (int)field->path.len, field->path.ptr, vz_json_type_name(value));
    struct vz_buf text = {0};
    if (vz_json_type(value) == VZ_JSON_STRING)
        vz_buf_append_slice(&text, vz_json_string(value));
    else
        vz_json_print(value, &text);
    field->has_value = true;
    field->value = vz_arena_copy(&mapping->arena, vz_buf_slice(&text));
    vz_buf_deinit(&text);
    return VZ_OK;
}

/* The parameters that mean something here, into the public field. */
static enum vz_status apply(struct vz_mapping *mapping, struct vz_mapping_node *node,
                            struct vz_slice name, struct vz_json value, struct vz_error *err)
{
    struct vz_field *field = &node->field;
    bool on = false;
    int64_t number = 0;
    vz_json_as_bool(value, &on);
    vz_json_as_int(value, &number);
    if (vz_slice_is(name, "ignore_malformed")) {
        field->ignore_malformed = on;
    } else if (vz_slice_is(name, "coerce")) {
        node->coerce = on;
    } else if (vz_slice_is(name, "ignore_z_value") && !on) {
        return vz_mapping_unsupported(err,
                                      "[ignore_z_value: false] of field [%.*s] is not "
                                      "supported",
                                      (int)field->path.len, field->path.ptr);
    } else if (vz_slice_is(name, "locale") && !is_english(vz_json_string(value))) {
        return vz_mapping_unsupported(err, "[locale] of field [%.*s] can only be English",
                                      (int)field->path.len, field->path.ptr);
    } else if (vz_slice_is(name, "ignore_above")) {
        if (number < 0)
            return vz_mapping_fault(err, "[ignore_above] must be positive, got [%lld]",
                                    (long long)number);
        /* 0 means no limit in the public field; Elasticsearch's 0 keeps the empty string only. */
        field->ignore_above = (uint32_t)VZ_MIN(VZ_MAX(number, 1), INT32_MAX);
    } else if (vz_slice_is(name, "null_value") && vz_json_type(value) != VZ_JSON_NULL) {
        struct vz_buf text = {0};
        vz_json_print(value, &text);
        field->has_null_value = true;
        field->null_value = vz_arena_copy(&mapping->arena, vz_buf_slice(&text));
        vz_buf_deinit(&text);
    } else if (vz_slice_is(name, "format")) {
        field->format = copy_string(mapping, value);
        return vz_date_format_check(field->format, err);
    } else if (vz_slice_is(name, "scaling_factor")) {
        return read_factor(field, value, err);
    } else if (vz_slice_is(name, "value")) {
        return read_constant(mapping, field, value, err);
    } else if (vz_slice_is(name, "depth_limit")) {
        if (number < 0 || number > MAX_FLAT_DEPTH)
            return vz_mapping_fault(err,
                                    number < 0 ? "[depth_limit] must be positive, got [%lld]"
                                               : "[depth_limit] is limited to 1000, got [%lld]",
                                    (long long)number);
        field->depth_limit = (uint32_t)number;
    } else if (vz_slice_is(name, "max_input_length")) {
        if (number <= 0 || number > INT32_MAX)
            return vz_mapping_fault(err, "[max_input_length] must be > 0 but was [%lld]",
                                    (long long)number);
    } else if (vz_slice_is(name, "max_shingle_size")) {
        if (number < 2 || number > 4)
            return vz_mapping_fault(
                err, "[max_shingle_size] must be at least [2] and at most [4], got [%lld]",
                (long long)number);
        field->as_you_type = (uint8_t)number;
    } else if (vz_slice_is(name, "doc_values") && field->type == VZ_FIELD_AS_YOU_TYPE) {
        if (on)
            return vz_mapping_fault(
                err, "Cannot set [doc_values] on field of type [search_as_you_type]");
    } else if (vz_slice_is(name, "copy_to") ||
               ((field->type == VZ_FIELD_TEXT || field->type == VZ_FIELD_AS_YOU_TYPE || field->type == VZ_FIELD_KEYWORD ||
                 field->type == VZ_FIELD_FLATTENED) &&
                !vz_slice_is(name, "meta"))) {
        return vz_mapping_read_text(mapping, node, name, value, err);
    } else if (field->type == VZ_FIELD_SEMANTIC_TEXT && !vz_slice_is(name, "meta")) {
        return vz_mapping_read_semantic(mapping, node, name, value, err);
    } else if (vz_slice_is(name, "path")) {
        node->alias_path = copy_string(mapping, value);
    } else if (vz_slice_is(name, "meta")) {
        struct vz_json model;
        if (vz_json_get(value, "model", &model))
            field->model = copy_string(mapping, model);
        if (vz_json_get(value, "model_digest", &model))
            field->model_digest = copy_string(mapping, model);
    }
    return VZ_OK;
}

static enum vz_status check_kind(const struct vz_mapping *mapping,
                                 const struct vz_mapping_node *node, const struct param_rule *rule,
                                 struct vz_json value, struct vz_error *err)
{
    struct vz_slice path = node->field.path;
    bool on;
    int64_t number;
    switch (rule->kind) {
    case PARAM_BOOL:
    case PARAM_REFUSED_TRUE:
        if (!vz_json_as_bool(value, &on))
            return vz_mapping_fault(err,
                                    "Could not convert [%.*s.%s] to boolean: failed to parse value "
                                    "as only [true] or [false] are allowed",
                                    (int)path.len, path.ptr, rule->name);
        if (rule->kind == PARAM_REFUSED_TRUE && on && !mapping->loading)
            return vz_mapping_unsupported(err,
                                          "parameter [%s: true] of field [%.*s] is not "
                                          "supported yet by vizsla",
                                          rule->name, (int)path.len, path.ptr);
        return VZ_OK;
    case PARAM_INT:
        if (!vz_json_as_int(value, &number))
            return vz_mapping_fault(err, "[%s] of field [%.*s] must be an integer, got %s",
                                    rule->name, (int)path.len, path.ptr, vz_json_type_name(value));
        return VZ_OK;
    case PARAM_STRING:
        if (vz_json_type(value) != VZ_JSON_STRING)
            return vz_mapping_fault(err,
                                    "[%s] on mapper [%.*s] of type [%s] must be a string, got "
                                    "%s",
                                    rule->name, (int)path.len, path.ptr,
                                    vz_field_type_name(node->field.type), vz_json_type_name(value));
        return VZ_OK;
    case PARAM_STRING_MAP:
        return check_string_map(vz_slice_from(rule->name), value, err);
    case PARAM_OBJECT:
        if (vz_json_type(value) != VZ_JSON_OBJECT)
            return vz_mapping_fault(err, "[%s] on mapper [%.*s] must be an object", rule->name,
                                    (int)path.len, path.ptr);
        return VZ_OK;
    case PARAM_REFUSED:
        if (mapping->loading)
            return VZ_OK;
        return vz_mapping_unsupported(err, "parameter [%s] of field [%.*s] is not supported yet",
                                      rule->name, (int)path.len, path.ptr);
    case PARAM_ANY:
    case PARAM_VECTOR:
        return VZ_OK;
    }
    return VZ_OK;
}

static bool is_structure(enum vz_field_type type, struct vz_slice key)
{
    if (vz_slice_is(key, "type"))
        return true;
    return vz_slice_is(key, "fields") && type != VZ_FIELD_ALIAS;
}

enum vz_status vz_mapping_read_params(struct vz_mapping *mapping, struct vz_mapping_node *node,
                                      struct vz_json definition, struct vz_error *err)
{
    node->field.indexed = true;
    node->field.enabled = true;
    node->field.doc_values = true;
    node->field.depth_limit = 20;
    vz_mapping_apply_rules(mapping, node);
    struct vz_json_iter it = vz_json_iterate(definition);
    struct vz_slice key;
    struct vz_json value;
    enum vz_field_type type = node->field.type;
    struct vz_slice path = node->field.path;
    while (vz_json_next(&it, &key, &value)) {
        if (is_structure(type, key))
            continue;
        const struct param_rule *rule = find_rule(type, key);
        if (!rule)
            return vz_mapping_fault(err, "unknown parameter [%.*s] on mapper [%.*s] of type [%s]",
                                    (int)key.len, key.ptr, (int)path.len, path.ptr,
                                    vz_field_type_name(type));
        if (vz_json_type(value) == VZ_JSON_NULL && rule->kind != PARAM_ANY)
            return vz_mapping_fault(err,
                                    "[%s] on mapper [%.*s] of type [%s] must not have a [null] "
                                    "value",
                                    rule->name, (int)path.len, path.ptr, vz_field_type_name(type));
        enum vz_status status = check_kind(mapping, node, rule, value, err);
        if (status == VZ_OK)
            status = apply(mapping, node, key, value, err);
        if (status != VZ_OK)
            return status;
        vz_mapping_param_add(mapping, &node->params, &node->param_count, key, value);
    }
    if (type == VZ_FIELD_ALIAS && node->alias_path.len == 0)
        return vz_mapping_fault(err, "The [path] property must be specified for field [%.*s].",
                                (int)path.len, path.ptr);
    if (type == VZ_FIELD_SCALED_FLOAT && node->field.scaling_factor == 0)
        return vz_mapping_fault(err, "Field [scaling_factor] is required");
    if (type == VZ_FIELD_DENSE_VECTOR)
        return vz_mapping_read_vector(mapping, node, definition, err);
    return VZ_OK;
}

/* ---- after reading ------------------------------------------------------------------------ */

static struct vz_slice given(const struct vz_mapping_node *node, const char *name)
{
    for (size_t i = 0; i < node->param_count; i++) {
        if (vz_slice_is(node->params[i].name, name))
            return node->params[i].json;
    }
    return (struct vz_slice){0};
}

struct vz_slice vz_field_meta(const struct vz_field *field)
{
    return given(vz_mapping_node_of(field), "meta");
}

static bool given_false(const struct vz_mapping_node *node, const char *name)
{
    struct vz_slice json = given(node, name);
    return vz_slice_is(json, "false") || vz_slice_is(json, "\"false\"");
}

static enum vz_column_kind value_column(enum vz_field_type type)
{
    switch (type) {
    case VZ_FIELD_KEYWORD:
    case VZ_FIELD_CONSTANT_KEYWORD:
    case VZ_FIELD_WILDCARD:
    case VZ_FIELD_IP:
    case VZ_FIELD_FLATTENED:
    case VZ_FIELD_FLATTENED_KEYED:
        return VZ_COLUMN_ORDINAL;
    case VZ_FIELD_RANK_FEATURE:
    case VZ_FIELD_SCALED_FLOAT:
    case VZ_FIELD_DOUBLE:
    case VZ_FIELD_FLOAT:
    case VZ_FIELD_HALF_FLOAT:
        return VZ_COLUMN_F64;
    case VZ_FIELD_GEO_POINT:
        return VZ_COLUMN_GEO;
    case VZ_FIELD_TEXT:
    case VZ_FIELD_COMPLETION:
    case VZ_FIELD_DENSE_VECTOR:
    case VZ_FIELD_SEMANTIC_TEXT:
        return VZ_COLUMN_PRESENCE;
    case VZ_FIELD_OBJECT:
    case VZ_FIELD_NESTED:
    case VZ_FIELD_BINARY:
    case VZ_FIELD_ALIAS:
        return VZ_COLUMN_NONE;
    default:
        return VZ_COLUMN_I64;
    }
}

void vz_mapping_settle_field(struct vz_mapping_node *node)
{
    struct vz_field *field = &node->field;
    if (field->type == VZ_FIELD_AS_YOU_TYPE) {
        field->type = VZ_FIELD_TEXT;
        field->as_you_type = field->as_you_type ? field->as_you_type : 3;
    }
    field->column = value_column(field->type);
    if (vz_field_is_object(field))
        return;
    field->dynamic = VZ_DYNAMIC_TRUE; /* means nothing here, but is the same always */
    if (field->type == VZ_FIELD_DENSE_VECTOR)
        return;
    bool index = !given_false(node, "index");
    bool doc_values = !given_false(node, "doc_values");
    node->indexed_terms = index || doc_values;
    node->index_given_false = !index;
    field->doc_values = doc_values && field->type != VZ_FIELD_BINARY;
    field->indexed = index;
    if (field->type == VZ_FIELD_RANK_FEATURE) {
        field->doc_values = false;
        field->negative_impact = given_false(node, "positive_score_impact");
    }
    if (field->column > VZ_COLUMN_PRESENCE) {
        /* Elasticsearch answers queries from doc values where there is no index (slowly). Our
         * column serves both, so either one is enough for it. */
        field->indexed = index || doc_values;
        if (!field->indexed)
            field->column = VZ_COLUMN_PRESENCE;
    }
}

/* ---- updates ------------------------------------------------------------------------------ */

/* JSON text as Elasticsearch's messages show it: strings without quotes. */
static struct vz_slice bare(struct vz_slice json)
{
    if (json.len >= 2 && json.ptr[0] == '"')
        return (struct vz_slice){json.ptr + 1, json.len - 2};
    return json;
}

enum vz_status vz_mapping_check_update(const struct vz_mapping_node *from,
                                       const struct vz_mapping_node *to, struct vz_error *err)
{
    enum vz_field_type type = vz_field_declared(&from->field);
    if (type == VZ_FIELD_DENSE_VECTOR)
        return vz_mapping_check_vector_update(from, to, err);
    struct vz_slice path = from->field.path;
    for (size_t i = 0; i < VZ_COUNT_OF(rules); i++) {
        if (!(rules[i].types >> type & 1) || rules[i].may_change)
            continue;
        struct vz_slice old = bare(given(from, rules[i].name));
        struct vz_slice new = bare(given(to, rules[i].name));
        if (old.len == 0)
            old = vz_slice_from(rules[i].missing);
        if (new.len == 0)
            new = vz_slice_from(rules[i].missing);
        /* A constant that was left open may be settled later. */
        bool settles = type == VZ_FIELD_CONSTANT_KEYWORD && !from->field.has_value;
        if (!settles && !vz_slice_eq(old, new))
            return vz_fail(err, VZ_BAD_MAPPING,
                           "Mapper for [%.*s] conflicts with existing mapper:\n\tCannot update "
                           "parameter [%s] from [%.*s] to [%.*s]",
                           (int)path.len, path.ptr, rules[i].name, (int)old.len, old.ptr,
                           (int)new.len, new.ptr);
    }
    return VZ_OK;
}
