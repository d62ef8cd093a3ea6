/* store/mapping_rules.c - what an index's settings say about its mapping: limits, defaults of
 * parameters, similarities. See mapping.h. */
#include "store/index.h"
#include "store/mapping_parts.h"

#include <math.h>
#include <stdlib.h>

/* ---- settings ------------------------------------------------------------------------------ */

static struct vz_slice setting(const struct vz_settings *settings, const char *key)
{
    for (size_t i = 0; i < settings->count; i++) {
        struct vz_slice text = vz_slice_from(settings->list[i].value);
        if (strcmp(settings->list[i].key, key) != 0)
            continue;
        if (text.len >= 2 && text.ptr[0] == '"')
            text = (struct vz_slice){text.ptr + 1, text.len - 2};
        return text;
    }
    return (struct vz_slice){0};
}

static bool read_count(struct vz_slice text, int64_t *out)
{
    char copy[24], *end;
    if (text.len == 0 || text.len >= sizeof copy)
        return false;
    memcpy(copy, text.ptr, text.len);
    copy[text.len] = 0;
    *out = strtoll(copy, &end, 10);
    return *end == 0;
}

static bool read_number(struct vz_slice text, double *out)
{
    return vz_text_number(text, out) && isfinite(*out);
}

static const struct limit {
    const char *key;
    size_t at; /* in struct vz_mapping_rules, a uint32_t */
    int64_t standard, least, most;
} limits[] = {
    {"index.mapping.total_fields.limit", offsetof(struct vz_mapping_rules, total_fields),
     VZ_MAX_FIELDS, 0, VZ_MAX_FIELDS},
    {"index.mapping.depth.limit", offsetof(struct vz_mapping_rules, depth), VZ_MAX_MAPPING_DEPTH, 1,
     VZ_MAX_MAPPING_DEPTH},
    {"index.mapping.nested_fields.limit", offsetof(struct vz_mapping_rules, nested_fields), 100, 0,
     VZ_MAX_FIELDS},
    {"index.mapping.nested_objects.limit", offsetof(struct vz_mapping_rules, nested_objects), 10000,
     0, INT32_MAX},
    {"index.mapping.field_name_length.limit", offsetof(struct vz_mapping_rules, name_length),
     INT32_MAX, 1, INT32_MAX},
};

/* check: refuse what is out of range; else it is brought into it, as an index must open. */
static enum vz_status read_limits(const struct vz_settings *settings, bool check,
                                  struct vz_mapping_rules *rules, struct vz_error *err)
{
    for (size_t i = 0; i < VZ_COUNT_OF(limits); i++) {
        struct vz_slice text = setting(settings, limits[i].key);
        int64_t value = limits[i].standard;
        if (text.len && !read_count(text, &value) && check)
            return vz_fail(err, VZ_BAD_MAPPING, "Failed to parse value [%.*s] for setting [%s]",
                           (int)text.len, text.ptr, limits[i].key);
        if (value < limits[i].least && check)
            return vz_fail(err, VZ_BAD_MAPPING,
                           "Failed to parse value [%lld] for setting [%s] must be >= %lld",
                           (long long)value, limits[i].key, (long long)limits[i].least);
        if (value > limits[i].most && limits[i].most < INT32_MAX && check)
            return vz_fail(err, VZ_UNSUPPORTED,
                           "setting [%s] above [%lld] is not supported by vizsla", limits[i].key,
                           (long long)limits[i].most);
        value = VZ_MAX(limits[i].least, VZ_MIN(value, limits[i].most));
        uint32_t narrow = (uint32_t)value;
        memcpy((char *)rules + limits[i].at, &narrow, sizeof narrow);
    }
    return VZ_OK;
}

static enum vz_status read_flag(const struct vz_settings *settings, const char *key, bool standard,
                                bool check, bool *out, struct vz_error *err)
{
    struct vz_slice text = setting(settings, key);
    *out = standard;
    if (vz_slice_is(text, "true") || vz_slice_is(text, "false"))
        *out = vz_slice_is(text, "true");
    else if (text.len && check)
        return vz_fail(err, VZ_BAD_MAPPING,
                       "Failed to parse value [%.*s] as only [true] or [false] are allowed.",
                       (int)text.len, text.ptr);
    return VZ_OK;
}

/* ---- similarities -------------------------------------------------------------------------- */

static struct vz_similarity_rule *find_similarity(struct vz_mapping_rules *rules,
                                                  struct vz_slice name)
{
    for (size_t i = 0; i < rules->similarity_count; i++)
        if (vz_slice_is(name, rules->similarities[i].name))
            return &rules->similarities[i];
    return NULL;
}

static enum vz_status read_similarity(struct vz_similarity_rule *rule, struct vz_slice key,
                                      struct vz_slice value, bool check, struct vz_error *err)
{
    static const char *const foreign[] = {"DFR",     "DFI", "IB", "LMDirichlet", "LMJelinekMercer",
                                          "scripted"};
    double number;
    bool is_k1 = vz_slice_is(key, "k1");
    if (vz_slice_is(key, "type")) {
        rule->is_boolean = vz_slice_is(value, "boolean");
        bool known = rule->is_boolean || vz_slice_is(value, "BM25");
        for (size_t i = 0; i < VZ_COUNT_OF(foreign) && check; i++)
            if (vz_slice_is(value, foreign[i]))
                return vz_fail(err, VZ_UNSUPPORTED,
                               "the similarity type [%s] of [%s] is not supported yet by vizsla",
                               foreign[i], rule->name);
        if (!known && check)
            return vz_fail(err, VZ_BAD_MAPPING, "Unknown Similarity type [%.*s] for [%s]",
                           (int)value.len, value.ptr, rule->name);
    } else if (is_k1 || vz_slice_is(key, "b")) {
        bool ok = read_number(value, &number) && number >= 0 && (is_k1 || number <= 1);
        if (!ok && check)
            return vz_fail(err, VZ_BAD_MAPPING,
                           is_k1 ? "illegal k1 value: %.*s, must be a non-negative finite value"
                                 : "illegal b value: %.*s, must be between 0 and 1",
                           (int)value.len, value.ptr);
        if (ok && is_k1)
            rule->k1 = (float)number;
        else if (ok)
            rule->b = (float)number;
    } else if (check && !(vz_slice_is(key, "discount_overlaps") && vz_slice_is(value, "true"))) {
        return vz_fail(err, vz_slice_is(key, "discount_overlaps") ? VZ_UNSUPPORTED : VZ_BAD_MAPPING,
                       vz_slice_is(key, "discount_overlaps")
                           ? "[discount_overlaps: false] of the similarity [%s] is not supported "
                             "yet by vizsla%.*s"
                           : "Unknown settings for similarity [%s]: [%.*s]",
                       rule->name, vz_slice_is(key, "discount_overlaps") ? 0 : (int)key.len,
                       key.ptr);
    }
    return VZ_OK;
}

/* types: only the types, which say what the other parameters mean; else only the others. */
static enum vz_status read_similarities(const struct vz_settings *settings, bool types, bool check,
                                        struct vz_mapping_rules *rules, struct vz_error *err)
{
    static const char prefix[] = "index.similarity.";
    for (size_t i = 0; i < settings->count; i++) {
        struct vz_slice key = vz_slice_from(settings->list[i].key);
        if (!vz_slice_starts(key, prefix))
            continue;
        key = (struct vz_slice){key.ptr + sizeof prefix - 1, key.len - (sizeof prefix - 1)};
        const char *dot = memrchr(key.ptr, '.', key.len);
        struct vz_slice name = {key.ptr, dot ? (size_t)(dot - key.ptr) : key.len};
        struct vz_similarity_rule *rule = find_similarity(rules, name);
        if (dot && types != (strcmp(dot, ".type") == 0))
            continue;
        bool fits = dot && name.len && name.len < sizeof rule->name;
        if (!fits || (!rule && rules->similarity_count == VZ_MAX_SIMILARITIES)) {
            if (check)
                return vz_fail(err, VZ_BAD_MAPPING,
                               fits ? "more than %d similarities" : "a similarity without a name",
                               VZ_MAX_SIMILARITIES);
            continue;
        }
        if (!rule) {
            rule = &rules->similarities[rules->similarity_count++];
            *rule = (struct vz_similarity_rule){.k1 = 1.2f, .b = 0.75f};
            memcpy(rule->name, name.ptr, name.len);
        }
        struct vz_slice value = vz_slice_from(settings->list[i].value);
        if (value.len >= 2 && value.ptr[0] == '"')
            value = (struct vz_slice){value.ptr + 1, value.len - 2};
        enum vz_status status = read_similarity(
            rule, (struct vz_slice){dot + 1, key.len - name.len - 1}, value, check, err);
        if (status != VZ_OK)
            return status;
    }
    return VZ_OK;
}

enum vz_status vz_settings_mapping_rules(const struct vz_settings *settings, bool check,
                                         struct vz_mapping_rules *rules, struct vz_error *err)
{
    *rules = (struct vz_mapping_rules){.coerce = true};
    enum vz_status status = read_limits(settings, check, rules, err);
    if (status == VZ_OK)
        status = read_flag(settings, "index.mapping.total_fields.ignore_dynamic_beyond_limit",
                           false, check, &rules->ignore_beyond, err);
    if (status == VZ_OK)
        status = read_flag(settings, "index.mapping.ignore_malformed", false, check,
                           &rules->ignore_malformed, err);
    if (status == VZ_OK)
        status = read_flag(settings, "index.mapping.coerce", true, check, &rules->coerce, err);
    if (status == VZ_OK)
        status = read_similarities(settings, true, check, rules, err);
    return status == VZ_OK ? read_similarities(settings, false, check, rules, err) : status;
}

/* ---- applying them ------------------------------------------------------------------------- */

static bool is_given(const struct vz_mapping_node *node, const char *name)
{
    for (size_t i = 0; i < node->param_count; i++)
        if (vz_slice_is(node->params[i].name, name))
            return true;
    return false;
}

void vz_mapping_apply_rules(const struct vz_mapping *mapping, struct vz_mapping_node *node)
{
    struct vz_field *field = &node->field;
    if (!is_given(node, "ignore_malformed"))
        field->ignore_malformed =
            mapping->rules.ignore_malformed && vz_mapping_takes(field->type, "ignore_malformed");
    if (!is_given(node, "coerce"))
        node->coerce = mapping->rules.coerce;
}

void vz_mapping_set_rules(struct vz_mapping *mapping, const struct vz_mapping_rules *rules)
{
    mapping->rules = *rules;
    for (size_t i = 0; i < mapping->count; i++)
        vz_mapping_apply_rules(mapping, &mapping->nodes[i]);
    vz_mapping_resolve_analyzers(mapping, true, NULL);
}

const struct vz_mapping_rules *vz_mapping_get_rules(const struct vz_mapping *mapping)
{
    return &mapping->rules;
}

const struct vz_mapping_rules vz_mapping_standard_rules = {
    .total_fields = VZ_MAX_FIELDS,
    .depth = VZ_MAX_MAPPING_DEPTH,
    .nested_fields = 100,
    .nested_objects = 10000,
    .name_length = INT32_MAX,
    .coerce = true,
};

static enum vz_status check_one(const struct vz_mapping *mapping, const struct vz_field *field,
                                size_t *nested, struct vz_error *err)
{
    const struct vz_mapping_rules *rules = &mapping->rules;
    *nested += field->type == VZ_FIELD_NESTED;
    if (*nested > rules->nested_fields)
        return vz_fail(err, VZ_LIMIT, "Limit of nested fields [%u] has been exceeded",
                       rules->nested_fields);
    if (field->name.len <= rules->name_length)
        return VZ_OK;
    size_t characters = 0;
    for (size_t i = 0; i < field->name.len; i++)
        characters += ((unsigned char)field->name.ptr[i] & 0xC0) != 0x80;
    if (characters <= rules->name_length)
        return VZ_OK;
    return vz_fail(err, VZ_LIMIT, "Field name [%.*s] is longer than the limit of [%u] characters",
                   (int)VZ_MIN(field->name.len, (size_t)300), field->name.ptr, rules->name_length);
}

enum vz_status vz_mapping_check_limits(const struct vz_mapping *mapping, size_t before,
                                       struct vz_error *err)
{
    size_t count = 0, nested = 0;
    if (mapping->count == before)
        return VZ_OK;
    for (size_t i = 0; i < mapping->count; i++) {
        const struct vz_field *field = &mapping->nodes[i].field;
        count += field->type != VZ_FIELD_FLATTENED_KEYED;
        enum vz_status status = check_one(mapping, field, &nested, err);
        if (status != VZ_OK)
            return status;
    }
    if (count > mapping->rules.total_fields)
        return vz_fail(err, VZ_LIMIT, "Limit of total fields [%u] has been exceeded",
                       mapping->rules.total_fields);
    return VZ_OK;
}
