/* store/mapping_root.c - the members of a mapping's root beside "properties": dynamic, _source,
 * _meta, detection of dates and numbers. */
#include "store/mapping_parts.h"

#include "json/filter.h"

/* ---- parameters --------------------------------------------------------------------------- */

static void set_root_param(struct vz_mapping *mapping, struct vz_slice key, struct vz_json value)
{
    struct vz_mapping_param *last = NULL;
    for (size_t i = 0; i < mapping->param_count; i++) {
        if (!vz_slice_eq(mapping->params[i].name, key))
            continue;
        struct vz_buf json = {0};
        vz_json_print(value, &json);
        mapping->params[i].json = vz_arena_copy(&mapping->arena, vz_buf_slice(&json));
        vz_buf_deinit(&json);
        last = &mapping->params[i];
    }
    if (!last)
        vz_mapping_param_add(mapping, &mapping->params, &mapping->param_count, key, value);
}

struct vz_slice vz_mapping_root_param(const struct vz_mapping *mapping, const char *name)
{
    for (size_t i = 0; i < mapping->param_count; i++)
        if (vz_slice_is(mapping->params[i].name, name))
            return mapping->params[i].json;
    return (struct vz_slice){0};
}

/* ---- _source ------------------------------------------------------------------------------ */

#define MAX_SOURCE_PATTERNS 256 /* each is tried on each member of each document that is shown */

static enum vz_status read_patterns(struct vz_mapping *mapping, struct vz_slice key,
                                    struct vz_json value, struct vz_slice **out, size_t *count,
                                    struct vz_error *err)
{
    struct vz_json_iter it = vz_json_iterate(value);
    struct vz_json one;
    bool list = vz_json_type(value) == VZ_JSON_ARRAY;
    if ((!list && vz_json_type(value) != VZ_JSON_STRING) ||
        vz_json_count(value) > MAX_SOURCE_PATTERNS)
        return vz_mapping_fault(err, "[_source.%.*s] must be a list of at most %d patterns",
                                (int)key.len, key.ptr, MAX_SOURCE_PATTERNS);
    *out = vz_arena_alloc(&mapping->arena, (vz_json_count(value) + 1) * sizeof **out);
    *count = 0;
    if (!list)
        (*out)[(*count)++] = vz_arena_copy(&mapping->arena, vz_json_string(value));
    while (list && vz_json_next(&it, NULL, &one)) {
        if (vz_json_type(one) != VZ_JSON_STRING)
            return vz_mapping_fault(err, "[_source.%.*s] must be a list of strings", (int)key.len,
                                    key.ptr);
        (*out)[(*count)++] = vz_arena_copy(&mapping->arena, vz_json_string(one));
    }
    return VZ_OK;
}

bool vz_mapping_filters_source(const struct vz_mapping *mapping)
{
    return mapping->source_include_count || mapping->source_exclude_count;
}

struct vz_slice vz_mapping_filter_source(const struct vz_mapping *mapping, struct vz_slice source,
                                         struct vz_arena *arena)
{
    struct vz_json_doc *doc;
    struct vz_json root;
    struct vz_buf text = {0};
    if (vz_json_parse(source, &doc, &root, NULL) != VZ_OK)
        return source;
    struct vz_json_patterns includes = {mapping->source_includes, mapping->source_include_count};
    struct vz_json_patterns excludes = {mapping->source_excludes, mapping->source_exclude_count};
    vz_json_filter_source(root, includes, excludes, &text);
    struct vz_slice copy = vz_arena_copy(arena, vz_buf_slice(&text));
    vz_buf_deinit(&text);
    vz_json_free(doc);
    return copy;
}

static enum vz_status check_source(struct vz_mapping *mapping, struct vz_json value,
                                   struct vz_error *err)
{
    bool any = false;
    struct vz_json_iter it = vz_json_iterate(value);
    struct vz_slice key;
    struct vz_json member;
    bool on;
    if (vz_json_type(value) != VZ_JSON_OBJECT)
        return vz_mapping_fault(err, "[_source] config must be an object");
    while (vz_json_next(&it, &key, &member)) {
        bool default_mode =
            vz_slice_is(key, "mode") && vz_slice_is(vz_json_string(member), "stored");
        bool enabled = vz_slice_is(key, "enabled") && vz_json_as_bool(member, &on) && on;
        bool excludes = vz_slice_is(key, "excludes");
        if (excludes || vz_slice_is(key, "includes")) {
            enum vz_status status =
                excludes ? read_patterns(mapping, key, member, &mapping->source_excludes,
                                         &mapping->source_exclude_count, err)
                         : read_patterns(mapping, key, member, &mapping->source_includes,
                                         &mapping->source_include_count, err);
            if (status != VZ_OK)
                return status;
            any |= vz_json_type(member) != VZ_JSON_ARRAY || vz_json_count(member) > 0;
            continue;
        }
        if (!default_mode && !enabled)
            return vz_mapping_unsupported(err,
                                          "[_source.%.*s] is not supported: the source is always "
                                          "kept",
                                          (int)key.len, key.ptr);
    }
    struct vz_slice before = vz_mapping_root_param(mapping, "_source");
    struct vz_buf text = {0};
    vz_json_print(value, &text);
    bool same = before.len == text.len && memcmp(before.ptr, text.data, text.len) == 0;
    vz_buf_deinit(&text);
    if (mapping->base_count && any && !same)
        return vz_fail(err, VZ_BAD_MAPPING,
                       "Mapper for [_source] conflicts with existing mapper:\n\tCannot update "
                       "parameter [includes] or [excludes] of it");
    if (any)
        set_root_param(mapping, VZ_SLICE("_source"), value);
    return VZ_OK;
}

/* ---- the members --------------------------------------------------------------------------- */

#define MAX_DATE_FORMATS 32 /* each is tried on each new string */

static enum vz_status check_date_formats(struct vz_json value, struct vz_error *err)
{
    struct vz_json_iter it = vz_json_iterate(value);
    struct vz_json one;
    enum vz_status status = VZ_OK;
    if (vz_json_type(value) == VZ_JSON_STRING)
        return vz_date_format_check(vz_json_string(value), err);
    if (vz_json_type(value) != VZ_JSON_ARRAY || vz_json_count(value) > MAX_DATE_FORMATS)
        return vz_mapping_fault(err, "[dynamic_date_formats] must be a list of at most %d formats",
                                MAX_DATE_FORMATS);
    while (status == VZ_OK && vz_json_next(&it, NULL, &one)) {
        if (vz_json_type(one) != VZ_JSON_STRING)
            return vz_mapping_fault(err, "[dynamic_date_formats] must be a list of strings");
        status = vz_date_format_check(vz_json_string(one), err);
    }
    return status;
}

enum vz_status vz_mapping_read_root(struct vz_mapping *mapping, struct vz_slice key,
                                    struct vz_json value, struct vz_error *err)
{
    if (vz_slice_is(key, "dynamic")) {
        mapping->dynamic_set = true;
        return vz_mapping_read_dynamic(value, VZ_SLICE("_doc"), &mapping->dynamic, err);
    }
    bool is_date = vz_slice_is(key, "date_detection");
    if (is_date || vz_slice_is(key, "numeric_detection")) {
        if (!vz_json_as_bool(value,
                             is_date ? &mapping->date_detection : &mapping->numeric_detection))
            return vz_mapping_fault(err, "Could not convert [%.*s] to boolean", (int)key.len,
                                    key.ptr);
        set_root_param(mapping, key, value);
        return VZ_OK;
    }
    if (vz_slice_is(key, "_meta")) {
        if (vz_json_type(value) != VZ_JSON_OBJECT)
            return vz_mapping_fault(err, "[_meta] must be an object");
        set_root_param(mapping, key, value);
        return VZ_OK;
    }
    if (vz_slice_is(key, "_source")) {
        return check_source(mapping, value, err);
    }
    if (vz_slice_is(key, "dynamic_templates") || vz_slice_is(key, "dynamic_date_formats")) {
        enum vz_status status = vz_slice_is(key, "dynamic_templates")
                                    ? vz_templates_check(mapping, value, err)
                                    : check_date_formats(value, err);
        if (status == VZ_OK)
            set_root_param(mapping, key, value);
        return status;
    }
    bool empty = vz_json_type(value) == VZ_JSON_NULL ||
                 ((vz_json_type(value) == VZ_JSON_ARRAY || vz_json_type(value) == VZ_JSON_OBJECT) &&
                  vz_json_count(value) == 0);
    static const char *const known[] = {
        "runtime",    "_routing", "_size",       "_data_stream_timestamp",
        "subobjects", "_ignored", "_field_names"};
    for (size_t i = 0; i < VZ_COUNT_OF(known); i++) {
        if (!vz_slice_is(key, known[i]))
            continue;
        if (empty)
            return VZ_OK;
        return vz_mapping_unsupported(err, "[%s] in mappings is not supported", known[i]);
    }
    return vz_mapping_unsupported_parameter(
        (struct vz_slice){0}, key, value,
        "Root mapping definition has unsupported parameters:  ", err);
}
