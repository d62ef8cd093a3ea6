/* Reading a processor's properties, with Elasticsearch's complaints. */
#include "ingest/parts.h"

#include <stdio.h>
#include <stdlib.h>

const char *vz_java_type_of_json(struct vz_json value)
{
    switch (vz_json_type(value)) {
    case VZ_JSON_BOOL:
        return "java.lang.Boolean";
    case VZ_JSON_INT:
        return vz_json_int(value) >= INT32_MIN && vz_json_int(value) <= INT32_MAX
                   ? "java.lang.Integer"
                   : "java.lang.Long";
    case VZ_JSON_UINT:
        return "java.math.BigInteger";
    case VZ_JSON_DOUBLE:
        return "java.lang.Double";
    case VZ_JSON_STRING:
        return "java.lang.String";
    case VZ_JSON_ARRAY:
        return "java.util.ArrayList";
    case VZ_JSON_OBJECT:
        return "java.util.LinkedHashMap";
    default:
        return "null";
    }
}

static void note(char *to, size_t room, const char *text, size_t len)
{
    len = VZ_MIN(len, room - 1);
    len = vz_utf8_valid_prefix(text, len);
    if (len)
        memcpy(to, text, len);
    to[len] = '\0';
}

static enum vz_status fail_with(struct vz_config *c, enum vz_status status, const char *property,
                                const char *format, va_list args)
{
    if (c->status != VZ_OK)
        return c->status;
    struct vz_buf text = {0};
    vz_buf_vprintf(&text, format, args);
    c->status = property && property[0] ? vz_fail(c->err, status, "[%s] %s", property, text.data)
                                        : vz_fail(c->err, status, "%s", text.data);
    vz_buf_deinit(&text);
    struct vz_ingest_fault *fault = c->fault;
    if (fault) {
        note(fault->property, sizeof fault->property, property ? property : "",
             property ? strlen(property) : 0);
        note(fault->processor, sizeof fault->processor, c->type ? c->type : "",
             c->type ? strlen(c->type) : 0);
        note(fault->tag, sizeof fault->tag, c->tag.ptr, c->tag.len);
    }
    return c->status;
}

enum vz_status vz_config_fail(struct vz_config *c, const char *property, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    enum vz_status status = fail_with(c, VZ_BAD_ARGUMENT, property, format, args);
    va_end(args);
    return status;
}

enum vz_status vz_config_unsupported(struct vz_config *c, const char *property, const char *format,
                                     ...)
{
    va_list args;
    va_start(args, format);
    enum vz_status status = fail_with(c, VZ_UNSUPPORTED, property, format, args);
    va_end(args);
    return status;
}

bool vz_config_has(struct vz_config *c, const char *name, struct vz_json *value)
{
    struct vz_json_iter it = vz_json_iterate(c->object);
    struct vz_slice key;
    struct vz_json member;
    bool found = false;
    /* The last of equal keys counts, as in a map; all of them are read then. */
    for (size_t i = 0; vz_json_next(&it, &key, &member) && i < VZ_CONFIG_MAX; i++) {
        if (!vz_slice_is(key, name))
            continue;
        c->used |= 1ull << i;
        if (vz_json_type(member) != VZ_JSON_NULL) {
            *value = member;
            found = true;
        }
    }
    return found;
}

static bool require(struct vz_config *c, const char *name, struct vz_json *value)
{
    if (c->status != VZ_OK)
        return false;
    if (vz_config_has(c, name, value))
        return true;
    vz_config_fail(c, name, "required property is missing");
    return false;
}

static struct vz_slice text_of(struct vz_config *c, const char *name, struct vz_json value)
{
    if (vz_json_type(value) == VZ_JSON_STRING)
        return vz_arena_copy(c->arena, vz_json_string(value));
    vz_config_fail(c, name, "property isn't a string, but of type [%s]",
                   vz_java_type_of_json(value));
    return VZ_SLICE("");
}

struct vz_slice vz_config_text(struct vz_config *c, const char *name)
{
    struct vz_json value;
    return require(c, name, &value) ? text_of(c, name, value) : VZ_SLICE("");
}

struct vz_slice vz_config_text_or(struct vz_config *c, const char *name, const char *otherwise)
{
    struct vz_json value;
    if (c->status == VZ_OK && vz_config_has(c, name, &value))
        return text_of(c, name, value);
    return otherwise ? vz_slice_from(otherwise) : (struct vz_slice){NULL, 0};
}

bool vz_config_bool(struct vz_config *c, const char *name, bool otherwise)
{
    struct vz_json value;
    if (c->status != VZ_OK || !vz_config_has(c, name, &value))
        return otherwise;
    if (vz_json_type(value) == VZ_JSON_BOOL)
        return vz_json_bool(value);
    vz_config_fail(c, name, "property isn't a boolean, but of type [%s]",
                   vz_java_type_of_json(value));
    return otherwise;
}

int64_t vz_config_int(struct vz_config *c, const char *name, int64_t otherwise)
{
    struct vz_json value;
    int64_t number;
    if (c->status != VZ_OK || !vz_config_has(c, name, &value))
        return otherwise;
    if (vz_json_type(value) != VZ_JSON_DOUBLE && vz_json_as_int(value, &number))
        return number;
    struct vz_buf text = {0};
    vz_json_print(value, &text);
    vz_config_fail(c, name, "property cannot be converted to an int [%s]", text.data);
    vz_buf_deinit(&text);
    return otherwise;
}

size_t vz_config_list(struct vz_config *c, const char *name, bool required, bool single,
                      struct vz_slice **out)
{
    struct vz_json value, item;
    *out = NULL;
    if (c->status != VZ_OK)
        return 0;
    if (!(required ? require(c, name, &value) : vz_config_has(c, name, &value)))
        return 0;
    if (single && vz_json_type(value) == VZ_JSON_STRING) {
        *out = vz_arena_alloc(c->arena, sizeof **out);
        (*out)[0] = vz_arena_copy(c->arena, vz_json_string(value));
        return 1;
    }
    if (vz_json_type(value) != VZ_JSON_ARRAY) {
        vz_config_fail(c, name, "property isn't a list, but of type [%s]",
                       vz_java_type_of_json(value));
        return 0;
    }
    size_t count = 0;
    *out = vz_arena_alloc(c->arena, (vz_json_count(value) + 1) * sizeof **out);
    struct vz_json_iter it = vz_json_iterate(value);
    while (vz_json_next(&it, NULL, &item)) {
        if (vz_json_type(item) != VZ_JSON_STRING) {
            vz_config_fail(c, name,
                           "property isn't a list of strings, but holds a value of type "
                           "[%s]",
                           vz_java_type_of_json(item));
            return 0;
        }
        (*out)[count++] = vz_arena_copy(c->arena, vz_json_string(item));
    }
    return count;
}

enum vz_status vz_config_finish(struct vz_config *c)
{
    if (c->status != VZ_OK)
        return c->status;
    struct vz_json_iter it = vz_json_iterate(c->object);
    struct vz_slice key;
    struct vz_json member;
    struct vz_buf names = {0};
    for (size_t i = 0; vz_json_next(&it, &key, &member) && names.len < 200; i++) {
        if (i < VZ_CONFIG_MAX && (c->used >> i & 1))
            continue;
        vz_buf_printf(&names, "%s%.*s", names.len ? ", " : "", VZ_S(key));
    }
    if (names.len && c->type)
        vz_config_fail(c, NULL,
                       "processor [%s] doesn't support one or more provided configuration "
                       "parameters [%s]",
                       c->type, names.data);
    else if (names.len)
        vz_config_fail(c, NULL,
                       "pipeline [%.*s] doesn't support one or more provided configuration "
                       "parameters [%s]",
                       VZ_S(c->pipeline->id), names.data);
    vz_buf_deinit(&names);
    return c->status;
}

static bool stored_script(struct vz_config *c, struct vz_slice id, struct vz_slice *source,
                          struct vz_slice *lang)
{
    const struct vz_ingest_options *options = vz_ingest_options_of(c->pipeline->ingest);
    return options->stored_script &&
           options->stored_script(options->context, id, c->arena, source, lang);
}

struct vz_script *vz_config_script(struct vz_config *c, struct vz_json script, const char *property,
                                   struct vz_slice *source)
{
    struct vz_json value;
    const struct vz_value *params = NULL;
    struct vz_slice text = vz_json_string(script), lang = VZ_SLICE("painless");
    if (c->status != VZ_OK)
        return NULL;
    if (vz_json_type(script) == VZ_JSON_OBJECT) {
        struct vz_json id = {0};
        bool stored = vz_json_get(script, "id", &id);
        bool given = vz_json_get(script, "source", &value) || vz_json_get(script, "inline", &value);
        if (stored == given) {
            vz_config_fail(c, property,
                           stored ? "must specify either [source] or [id], not both"
                                  : "must specify [source] of an inline script or [id] of a stored "
                                    "one");
            return NULL;
        }
        if (stored && !stored_script(c, vz_json_string(id), &text, &lang)) {
            vz_config_fail(c, property, "unable to find script [%.*s] in cluster state",
                           VZ_S(vz_json_string(id)));
            return NULL;
        }
        if (given)
            text = vz_json_string(value);
        if (given && vz_json_type(value) != VZ_JSON_STRING) {
            vz_config_fail(c, "source", "property isn't a string, but of type [%s]",
                           vz_java_type_of_json(value));
            return NULL;
        }
        if (given && vz_json_get(script, "lang", &value))
            lang = vz_json_string(value);
        if (vz_json_get(script, "params", &value) && vz_json_type(value) == VZ_JSON_OBJECT)
            params = vz_value_from(c->arena, value);
    } else if (vz_json_type(script) != VZ_JSON_STRING) {
        vz_config_fail(c, property, "property isn't a string, but of type [%s]",
                       vz_java_type_of_json(script));
        return NULL;
    }
    if (!vz_slice_is(lang, "painless")) {
        vz_config_unsupported(c, property, "scripts in [%.*s] are not supported; [painless] are",
                              VZ_S(lang));
        return NULL;
    }
    const struct vz_script_host host = {.has_ctx = true, .params = params};
    struct vz_script *program = NULL;
    struct vz_error err = {0};
    enum vz_status status = vz_script_compile(text, &host, c->arena, &program, &err);
    *source = vz_arena_copy(c->arena, text);
    if (status == VZ_OK)
        return program;
    vz_config_fail(c, NULL, "%s", err.text);
    c->status = status;
    if (c->err) {
        c->err->status = status;
        c->err->offset = err.offset;
    }
    if (c->fault) {
        c->fault->is_script = status != VZ_UNSUPPORTED;
        c->fault->script = text;
    }
    return NULL;
}
