/* store/mapping_template.c - dynamic templates: which definition a new field gets by its name, its
 * path and the kind of its first value.
 *
 * They are kept as the JSON that was given and read again when a document brings a new field, which
 * is rare; so a mapping has nothing to copy but text. */
#include "store/mapping_parts.h"

#include "base/text.h"
#include "text/analysis.h"

#define MAX_TEMPLATES 256
#define MAX_PATTERNS 256 /* of one parameter */

static const struct {
    const char *name, *type;
} kinds[] = {
    [VZ_DYNAMIC_OBJECT] = {"object", "object"},    [VZ_DYNAMIC_STRING] = {"string", "text"},
    [VZ_DYNAMIC_LONG] = {"long", "long"},          [VZ_DYNAMIC_DOUBLE] = {"double", "float"},
    [VZ_DYNAMIC_BOOLEAN] = {"boolean", "boolean"}, [VZ_DYNAMIC_DATE] = {"date", "date"},
    [VZ_DYNAMIC_BINARY] = {"binary", "binary"},
};

/* ---- matching ------------------------------------------------------------------------------ */

/* A parameter's value, alone or as a list. */
static bool next_text(struct vz_json value, struct vz_json_iter *it, bool *first,
                      struct vz_slice *text)
{
    struct vz_json one = value;
    if (vz_json_type(value) != VZ_JSON_ARRAY) {
        if (!*first)
            return false;
    } else if (!vz_json_next(it, NULL, &one)) {
        return false;
    }
    *first = false;
    *text = vz_json_string(one);
    return true;
}

static bool pattern_fits(struct vz_slice pattern, struct vz_slice text, bool regex)
{
    bool fits = false;
    if (!regex)
        return vz_wildcard_match(pattern, text);
    return vz_java_pattern_fits(pattern, text, &fits, NULL) == VZ_OK && fits;
}

static bool any_fits(struct vz_json value, struct vz_slice text, bool regex)
{
    struct vz_json_iter it = vz_json_iterate(value);
    struct vz_slice pattern;
    bool first = true;
    while (next_text(value, &it, &first, &pattern))
        if (pattern_fits(pattern, text, regex))
            return true;
    return false;
}

static bool names_kind(struct vz_json value, enum vz_dynamic_kind kind)
{
    struct vz_json_iter it = vz_json_iterate(value);
    struct vz_slice name;
    bool first = true;
    while (next_text(value, &it, &first, &name))
        if (vz_slice_is(name, kinds[kind].name) || vz_slice_is(name, "*"))
            return true;
    return false;
}

static bool is_regex(struct vz_json template)
{
    struct vz_json value;
    return vz_json_get(template, "match_pattern", &value) &&
           vz_slice_is(vz_json_string(value), "regex");
}

static struct vz_slice last_part(struct vz_slice path)
{
    const char *dot = path.len ? memrchr(path.ptr, '.', path.len) : NULL;
    if (!dot)
        return path;
    return (struct vz_slice){dot + 1, (size_t)(path.ptr + path.len - dot - 1)};
}

static bool matches(struct vz_json template, struct vz_slice path, enum vz_dynamic_kind kind)
{
    struct vz_json value;
    struct vz_slice name = last_part(path);
    bool regex = is_regex(template);
    if (vz_json_get(template, "path_match", &value) && !any_fits(value, path, regex))
        return false;
    if (vz_json_get(template, "match", &value) && !any_fits(value, name, regex))
        return false;
    if (vz_json_get(template, "path_unmatch", &value) && any_fits(value, path, regex))
        return false;
    if (vz_json_get(template, "unmatch", &value) && any_fits(value, name, regex))
        return false;
    if (vz_json_get(template, "match_mapping_type", &value) && !names_kind(value, kind))
        return false;
    return !vz_json_get(template, "unmatch_mapping_type", &value) || !names_kind(value, kind);
}

/* ---- making a definition ------------------------------------------------------------------- */

/* {name}, {dynamic_type} and {dynamicType} in any text of the mapping. */
static void put_text(struct vz_json_writer *w, struct vz_slice text, struct vz_slice name,
                     const char *type, bool key)
{
    struct vz_buf out = {0};
    vz_buf_reserve(&out, text.len + 1);
    for (size_t i = 0; i < text.len;) {
        struct vz_slice rest = {text.ptr + i, text.len - i};
        if (vz_slice_starts(rest, "{name}")) {
            vz_buf_append_slice(&out, name);
            i += 6;
        } else if (vz_slice_starts(rest, "{dynamic_type}")) {
            vz_buf_append_str(&out, type);
            i += 14;
        } else if (vz_slice_starts(rest, "{dynamicType}")) {
            vz_buf_append_str(&out, type);
            i += 13;
        } else {
            vz_buf_append_char(&out, text.ptr[i++]);
        }
    }
    if (key)
        vz_json_key_slice(w, vz_buf_slice(&out));
    else
        vz_json_put_string(w, vz_buf_slice(&out));
    vz_buf_deinit(&out);
}

static void put_replaced(struct vz_json_writer *w, struct vz_json value, struct vz_slice name,
                         const char *type)
{
    struct vz_json_iter it = vz_json_iterate(value);
    struct vz_slice key;
    struct vz_json member;
    switch (vz_json_type(value)) {
    case VZ_JSON_STRING:
        put_text(w, vz_json_string(value), name, type, false);
        break;
    case VZ_JSON_ARRAY:
        vz_json_begin_array(w);
        while (vz_json_next(&it, NULL, &member))
            put_replaced(w, member, name, type);
        vz_json_end_array(w);
        break;
    case VZ_JSON_OBJECT:
        vz_json_begin_object(w);
        while (vz_json_next(&it, &key, &member)) {
            put_text(w, key, name, type, true);
            put_replaced(w, member, name, type);
        }
        vz_json_end_object(w);
        break;
    default:
        vz_json_put_value(w, value);
    }
}

static void put_definition(struct vz_json mapping, struct vz_slice name, enum vz_dynamic_kind kind,
                           struct vz_slice date_format, struct vz_buf *out)
{
    struct vz_json_writer w = vz_json_writer_on(out);
    struct vz_json_iter it = vz_json_iterate(mapping);
    struct vz_slice key, given = {0};
    struct vz_json value, type;
    bool has_type = vz_json_get(mapping, "type", &type);
    if (has_type)
        given = vz_json_string(type);
    vz_json_begin_object(&w);
    if (!has_type)
        vz_json_field_str(&w, "type", kinds[kind].type);
    while (vz_json_next(&it, &key, &value)) {
        put_text(&w, key, name, kinds[kind].type, true);
        put_replaced(&w, value, name, kinds[kind].type);
    }
    bool is_date =
        has_type ? vz_slice_is(given, "date") || vz_slice_is(given, "{dynamic_type}") : true;
    if (kind == VZ_DYNAMIC_DATE && is_date && date_format.len &&
        !vz_json_get(mapping, "format", &value))
        vz_json_field_string(&w, "format", date_format);
    vz_json_end_object(&w);
}

bool vz_templates_find(struct vz_json templates, struct vz_slice path, enum vz_dynamic_kind kind,
                       struct vz_slice date_format, struct vz_buf *out)
{
    struct vz_json_iter it = vz_json_iterate(templates);
    struct vz_json entry, template, mapping;
    while (vz_json_next(&it, NULL, &entry)) {
        struct vz_json_iter inner = vz_json_iterate(entry);
        struct vz_slice name;
        if (!vz_json_next(&inner, &name, &template) || !matches(template, path, kind) ||
            !vz_json_get(template, "mapping", &mapping))
            continue;
        put_definition(mapping, last_part(path), kind, date_format, out);
        return true;
    }
    return false;
}

/* ---- checking ------------------------------------------------------------------------------ */

static enum vz_status check_patterns(struct vz_slice template, struct vz_json value, bool regex,
                                     struct vz_error *err)
{
    struct vz_json_iter it = vz_json_iterate(value);
    struct vz_json one;
    struct vz_slice text;
    bool first = true, fits;
    if (vz_json_type(value) != VZ_JSON_STRING && vz_json_type(value) != VZ_JSON_ARRAY)
        return vz_mapping_fault(err,
                                "dynamic template [%.*s]: a pattern must be a string or a list of "
                                "strings",
                                (int)template.len, template.ptr);
    if (vz_json_count(value) > MAX_PATTERNS)
        return vz_mapping_fault(err, "dynamic template [%.*s] has more than %d patterns",
                                (int)template.len, template.ptr, MAX_PATTERNS);
    while (vz_json_type(value) == VZ_JSON_ARRAY && vz_json_next(&it, NULL, &one))
        if (vz_json_type(one) != VZ_JSON_STRING)
            return vz_mapping_fault(err, "dynamic template [%.*s]: a pattern must be a string",
                                    (int)template.len, template.ptr);
    it = vz_json_iterate(value);
    while (regex && next_text(value, &it, &first, &text))
        if (vz_java_pattern_fits(text, VZ_SLICE(""), &fits, NULL) != VZ_OK)
            return vz_mapping_fault(err,
                                    "Pattern [%.*s] of type [REGEX] is invalid. Cannot create "
                                    "dynamic template [%.*s].",
                                    (int)text.len, text.ptr, (int)template.len, template.ptr);
    return VZ_OK;
}

static enum vz_status check_kinds(struct vz_json value, struct vz_error *err)
{
    struct vz_json_iter it = vz_json_iterate(value);
    struct vz_slice text;
    bool first = true;
    while (next_text(value, &it, &first, &text)) {
        bool known = vz_slice_is(text, "*");
        for (unsigned i = 0; i < VZ_DYNAMIC_KINDS; i++)
            known |= vz_slice_is(text, kinds[i].name);
        if (!known)
            return vz_mapping_fault(err,
                                    "No field type matched on [%.*s], possible values are [object, "
                                    "string, long, double, boolean, date, binary]",
                                    (int)text.len, text.ptr);
    }
    return VZ_OK;
}

static enum vz_status check_members(struct vz_slice name, struct vz_json template,
                                    struct vz_error *err)
{
    static const char *const patterns[] = {"match", "unmatch", "path_match", "path_unmatch"};
    struct vz_json_iter it = vz_json_iterate(template);
    struct vz_slice key;
    struct vz_json value;
    bool has_mapping = false;
    while (vz_json_next(&it, &key, &value)) {
        enum vz_status status = VZ_OK;
        bool is_pattern = false;
        for (size_t i = 0; i < VZ_COUNT_OF(patterns); i++)
            is_pattern |= vz_slice_is(key, patterns[i]);
        if (is_pattern) {
            status = check_patterns(name, value, is_regex(template), err);
        } else if (vz_slice_is(key, "match_mapping_type") ||
                   vz_slice_is(key, "unmatch_mapping_type")) {
            status = check_patterns(name, value, false, err);
            if (status == VZ_OK)
                status = check_kinds(value, err);
        } else if (vz_slice_is(key, "match_pattern")) {
            struct vz_slice text = vz_json_string(value);
            if (!vz_slice_is(text, "simple") && !vz_slice_is(text, "regex"))
                return vz_mapping_fault(err, "No matching pattern matched on [%.*s]", (int)text.len,
                                        text.ptr);
        } else if (vz_slice_is(key, "mapping")) {
            has_mapping = vz_json_type(value) == VZ_JSON_OBJECT;
        } else if (vz_slice_is(key, "runtime")) {
            return vz_mapping_unsupported(err,
                                          "[runtime] of the dynamic template [%.*s] is not "
                                          "supported yet by vizsla",
                                          (int)name.len, name.ptr);
        } else {
            return vz_mapping_fault(err, "Illegal dynamic template parameter: [%.*s]", (int)key.len,
                                    key.ptr);
        }
        if (status != VZ_OK)
            return status;
    }
    if (has_mapping)
        return VZ_OK;
    return vz_mapping_fault(err, "template [%.*s] must have either mapping or runtime set",
                            (int)name.len, name.ptr);
}

/* Does the template's mapping make a field of this kind? */
static enum vz_status try_kind(struct vz_mapping *mapping, struct vz_json definition,
                               enum vz_dynamic_kind kind, struct vz_error *err)
{
    struct vz_buf text = {0};
    struct vz_json_doc *doc;
    struct vz_json root;
    struct vz_mapping *scratch = vz_mapping_new_with(mapping->analysis), *merged = NULL;
    vz_mapping_set_rules(scratch, &mapping->rules);
    vz_buf_append_str(&text, "{\"properties\":{\"__dynamic__name\":");
    put_definition(definition, VZ_SLICE("__dynamic__name"), kind, (struct vz_slice){0}, &text);
    vz_buf_append_str(&text, "}}");
    enum vz_status status = vz_json_parse(vz_buf_slice(&text), &doc, &root, err);
    if (status == VZ_OK) {
        status = vz_mapping_merge(scratch, root, &merged, err);
        vz_json_free(doc);
    }
    vz_mapping_release(merged);
    vz_mapping_release(scratch);
    vz_buf_deinit(&text);
    return status;
}

/* Where a mapping's text depends on the field's name, only that can tell: it is not tried. */
static bool has_name(struct vz_json definition)
{
    struct vz_buf text = {0};
    vz_json_print(definition, &text);
    bool found = memmem(text.data, text.len, "{name}", 6) != NULL;
    vz_buf_deinit(&text);
    return found;
}

static enum vz_status check_template(struct vz_mapping *mapping, struct vz_slice name,
                                     struct vz_json template, struct vz_error *err)
{
    struct vz_json definition = {0}, wanted, alias;
    struct vz_error inner = {0};
    enum vz_status status = check_members(name, template, err);
    if (status != VZ_OK || mapping->loading)
        return status;
    vz_json_get(template, "mapping", &definition);
    /* An alias points into a mapping that is not there yet. */
    if (has_name(definition) ||
        (vz_json_get(definition, "type", &alias) && vz_slice_is(vz_json_string(alias), "alias")))
        return VZ_OK;
    bool any = !vz_json_get(template, "match_mapping_type", &wanted);
    for (unsigned i = 0; i < VZ_DYNAMIC_KINDS; i++) {
        if (!any && !names_kind(wanted, (enum vz_dynamic_kind)i))
            continue;
        status = try_kind(mapping, definition, (enum vz_dynamic_kind)i, &inner);
        if (status == VZ_OK)
            return VZ_OK;
    }
    if (inner.status == VZ_UNSUPPORTED)
        return vz_mapping_unsupported(err, "dynamic template [%.*s]: %s", (int)name.len, name.ptr,
                                      inner.text);
    struct vz_buf text = {0};
    vz_json_print(template, &text);
    vz_mapping_fault(err, "dynamic template [%.*s] has invalid content [%.*s], caused by [%s]",
                     (int)name.len, name.ptr, (int)VZ_MIN(text.len, (size_t)160), text.data,
                     inner.cause[0] ? inner.cause : inner.text);
    vz_buf_deinit(&text);
    return VZ_BAD_MAPPING;
}

enum vz_status vz_templates_check(struct vz_mapping *mapping, struct vz_json templates,
                                  struct vz_error *err)
{
    struct vz_json_iter it = vz_json_iterate(templates);
    struct vz_json entry, template;
    struct vz_slice name;
    if (vz_json_type(templates) != VZ_JSON_ARRAY)
        return vz_mapping_fault(err, "Dynamic template syntax error. An array of named objects is "
                                     "expected.");
    if (vz_json_count(templates) > MAX_TEMPLATES)
        return vz_mapping_unsupported(err, "more than %d dynamic templates are not supported",
                                      MAX_TEMPLATES);
    while (vz_json_next(&it, NULL, &entry)) {
        struct vz_json_iter inner = vz_json_iterate(entry);
        if (vz_json_type(entry) != VZ_JSON_OBJECT || vz_json_count(entry) != 1)
            return vz_mapping_fault(err, "A dynamic template must be defined with a name");
        vz_json_next(&inner, &name, &template);
        if (vz_json_type(template) != VZ_JSON_OBJECT)
            return vz_mapping_fault(err, "A dynamic template must be defined with a name");
        enum vz_status status = check_template(mapping, name, template, err);
        if (status != VZ_OK)
            return status;
    }
    return VZ_OK;
}
