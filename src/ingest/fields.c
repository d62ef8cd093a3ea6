/* set, append, remove, rename, convert, dot_expander. */
#include "ingest/parts.h"

#include <arpa/inet.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static void check_media_type(struct vz_config *c)
{
    struct vz_slice type = vz_config_text_or(c, "media_type", "application/json");
    if (!vz_slice_is(type, "application/json") && !vz_slice_is(type, "text/plain") &&
        !vz_slice_is(type, "application/x-www-form-urlencoded"))
        vz_config_fail(c, "media_type", "property does not contain a supported media type [%.*s]",
                       VZ_S(type));
    else if (vz_slice_is(type, "application/x-www-form-urlencoded"))
        vz_config_unsupported(c, "media_type", "[%.*s] is not supported", VZ_S(type));
}

/* ---- set ------------------------------------------------------------------------------------- */

struct set {
    struct vz_template *field, *copy_from;
    struct vz_source_value *value;
    bool override, ignore_empty;
};

void vz_set_compile(struct vz_config *c, struct vz_processor *processor)
{
    struct set *set = processor->config = vz_arena_zalloc(c->arena, sizeof *set);
    struct vz_json value;
    set->field = vz_config_template(c, "field", true);
    set->copy_from = vz_config_template(c, "copy_from", false);
    if (c->status == VZ_OK && set->copy_from && vz_config_has(c, "value", &value))
        vz_config_fail(c, "copy_from",
                       "cannot set both `copy_from` and `value` in the same "
                       "processor");
    if (c->status == VZ_OK && !set->copy_from) {
        struct vz_json_iter it = vz_json_iterate(c->object);
        struct vz_slice key;
        bool has = vz_config_has(c, "value", &value);
        /* "value": null is a value too. */
        while (!has && vz_json_next(&it, &key, &value))
            has = vz_slice_is(key, "value");
        if (!has)
            vz_config_fail(c, "value", "required property is missing");
        set->value = vz_source_value_compile(c, value, "value");
        check_media_type(c);
    }
    set->override = vz_config_bool(c, "override", true);
    set->ignore_empty = vz_config_bool(c, "ignore_empty_value", false);
}

static bool is_empty(const struct vz_value *value)
{
    return value->type == VZ_VALUE_NULL || (value->type == VZ_VALUE_STRING && !value->string.len);
}

VZ_KIND_RUN(set)
{
    const struct set *set = processor->config;
    struct vz_slice path, from;
    struct vz_value *value = NULL;
    enum vz_status status = vz_template_render(set->field, doc, &path, err);
    if (status != VZ_OK)
        return status;
    if (!set->override) {
        const struct vz_value *there = vz_path_find(doc, path);
        if (there && there->type != VZ_VALUE_NULL)
            return VZ_OK;
    }
    if (set->copy_from) {
        status = vz_template_render(set->copy_from, doc, &from, err);
        if (status == VZ_OK)
            status = vz_path_get(doc, from, &value, err);
        if (status != VZ_OK)
            return set->ignore_empty && status == VZ_BAD_ARGUMENT ? VZ_OK : status;
        value = vz_value_copy(doc->arena, value);
    } else {
        status = vz_source_value_make(set->value, doc, &value, err);
    }
    if (status != VZ_OK || (set->ignore_empty && is_empty(value)))
        return status;
    return vz_path_set(doc, path, value, err);
}

/* ---- append ---------------------------------------------------------------------------------- */

struct append {
    struct vz_template *field, *copy_from;
    struct vz_source_value *value;
    bool allow_duplicates, ignore_empty;
};

void vz_append_compile(struct vz_config *c, struct vz_processor *processor)
{
    struct append *append = processor->config = vz_arena_zalloc(c->arena, sizeof *append);
    struct vz_json value;
    append->field = vz_config_template(c, "field", true);
    append->copy_from = vz_config_template(c, "copy_from", false);
    append->allow_duplicates = vz_config_bool(c, "allow_duplicates", true);
    append->ignore_empty = vz_config_bool(c, "ignore_empty_values", false);
    if (c->status != VZ_OK)
        return;
    bool has = vz_config_has(c, "value", &value);
    if (has && append->copy_from)
        vz_config_fail(c, "copy_from",
                       "cannot set both `copy_from` and `value` in the same "
                       "processor");
    else if (!has && !append->copy_from)
        vz_config_fail(c, "value", "required property is missing");
    else if (has)
        append->value = vz_source_value_compile(c, value, "value");
    check_media_type(c);
}

static struct vz_value *without_empty(struct vz_arena *arena, struct vz_value *value)
{
    struct vz_value *list = vz_value_array(arena);
    if (value->type != VZ_VALUE_ARRAY)
        return is_empty(value) ? list : value;
    for (size_t i = 0; i < value->array.count; i++)
        if (!is_empty(value->array.items[i]))
            vz_value_append(list, value->array.items[i]);
    return list;
}

VZ_KIND_RUN(append)
{
    const struct append *append = processor->config;
    struct vz_slice path, from;
    struct vz_value *value = NULL;
    enum vz_status status = vz_template_render(append->field, doc, &path, err);
    if (status == VZ_OK && append->copy_from) {
        status = vz_template_render(append->copy_from, doc, &from, err);
        if (status == VZ_OK)
            status = vz_path_get(doc, from, &value, err);
        if (status == VZ_OK)
            value = vz_value_copy(doc->arena, value);
    } else if (status == VZ_OK) {
        status = vz_source_value_make(append->value, doc, &value, err);
    }
    if (status != VZ_OK)
        return status;
    if (append->ignore_empty)
        value = without_empty(doc->arena, value);
    if (append->ignore_empty && value->type == VZ_VALUE_ARRAY && value->array.count == 0)
        return VZ_OK;
    return vz_path_append(doc, path, value, append->allow_duplicates, err);
}

/* ---- remove ---------------------------------------------------------------------------------- */

struct remove {
    struct vz_template **fields, **keep;
    size_t count, keep_count;
    bool ignore_missing;
};

static struct vz_template **read_templates(struct vz_config *c, const char *name, size_t *count)
{
    struct vz_slice *texts;
    *count = vz_config_list(c, name, false, true, &texts);
    struct vz_template **list = vz_arena_alloc(c->arena, (*count + 1) * sizeof *list);
    for (size_t i = 0; i < *count; i++)
        list[i] = vz_template_compile(c, texts[i], name);
    return list;
}

void vz_remove_compile(struct vz_config *c, struct vz_processor *processor)
{
    struct remove *remove = processor->config = vz_arena_zalloc(c->arena, sizeof *remove);
    remove->fields = read_templates(c, "field", &remove->count);
    remove->keep = read_templates(c, "keep", &remove->keep_count);
    remove->ignore_missing = vz_config_bool(c, "ignore_missing", false);
    if (c->status == VZ_OK && (remove->count > 0) == (remove->keep_count > 0))
        vz_config_fail(c, "keep",
                       remove->count ? "Too many fields specified. Please specify "
                                       "either [keep] or [field], but not both"
                                     : "or [field] must be specified");
}

static bool is_meta(struct vz_slice key)
{
    return key.len && key.ptr[0] == '_' &&
           (vz_slice_is(key, "_index") || vz_slice_is(key, "_id") || vz_slice_is(key, "_routing") ||
            vz_slice_starts(key, "_version"));
}

/* Whether `a` is `b` or lies below it. */
static bool is_within(struct vz_slice a, struct vz_slice b)
{
    return a.len >= b.len && memcmp(a.ptr, b.ptr, b.len) == 0 &&
           (a.len == b.len || a.ptr[b.len] == '.');
}

static void keep_only(struct vz_value *object, struct vz_buf *path, const struct vz_slice *keep,
                      size_t count)
{
    size_t base = path->len;
    for (size_t i = 0; i < object->object.count;) {
        struct vz_value_member member = object->object.members[i];
        bool all = base == 0 && is_meta(member.key), part = false;
        path->len = base;
        vz_buf_append_slice(path, member.key);
        for (size_t k = 0; k < count; k++) {
            all |= is_within(vz_buf_slice(path), keep[k]);
            part |= is_within(keep[k], vz_buf_slice(path));
        }
        if (!all && part && member.value->type == VZ_VALUE_OBJECT) {
            vz_buf_append_char(path, '.');
            keep_only(member.value, path, keep, count);
        } else if (!all && !part) {
            vz_value_remove(object, member.key);
            continue;
        }
        i++;
    }
    path->len = base;
}

VZ_KIND_RUN(remove)
{
    const struct remove *remove = processor->config;
    enum vz_status status = VZ_OK;
    if (remove->keep_count) {
        struct vz_slice *keep = vz_arena_alloc(doc->arena, remove->keep_count * sizeof *keep);
        struct vz_buf path = {0};
        for (size_t i = 0; status == VZ_OK && i < remove->keep_count; i++)
            status = vz_template_render(remove->keep[i], doc, &keep[i], err);
        if (status == VZ_OK)
            keep_only(doc->ctx, &path, keep, remove->keep_count);
        vz_buf_deinit(&path);
        return status;
    }
    for (size_t i = 0; status == VZ_OK && i < remove->count; i++) {
        struct vz_slice path;
        status = vz_template_render(remove->fields[i], doc, &path, err);
        if (status == VZ_OK && remove->ignore_missing && (!path.len || !vz_path_find(doc, path)))
            continue;
        if (status == VZ_OK)
            status = vz_path_remove(doc, path, err);
    }
    return status;
}

/* ---- rename ---------------------------------------------------------------------------------- */

struct rename {
    struct vz_template *field, *target;
    bool ignore_missing, override;
};

void vz_rename_compile(struct vz_config *c, struct vz_processor *processor)
{
    struct rename *rename = processor->config = vz_arena_zalloc(c->arena, sizeof *rename);
    rename->field = vz_config_template(c, "field", true);
    rename->target = vz_config_template(c, "target_field", true);
    rename->ignore_missing = vz_config_bool(c, "ignore_missing", false);
    rename->override = vz_config_bool(c, "override", false);
}

VZ_KIND_RUN(rename)
{
    const struct rename *rename = processor->config;
    struct vz_slice path, target;
    enum vz_status status = vz_template_render(rename->field, doc, &path, err);
    if (status == VZ_OK)
        status = vz_template_render(rename->target, doc, &target, err);
    if (status != VZ_OK)
        return status;
    struct vz_value *value = path.len ? vz_path_find(doc, path) : NULL;
    if (!value) {
        if (rename->ignore_missing)
            return VZ_OK;
        return vz_fail(err, VZ_BAD_ARGUMENT, "field [%.*s] doesn't exist", VZ_S(path));
    }
    if (vz_path_find(doc, target) && !rename->override)
        return vz_fail(err, VZ_BAD_ARGUMENT, "field [%.*s] already exists", VZ_S(target));
    status = vz_path_remove(doc, path, err);
    if (status != VZ_OK)
        return status;
    struct vz_error why = {.offset = VZ_NO_OFFSET};
    if (vz_path_set(doc, target, value, &why) == VZ_OK)
        return VZ_OK;
    vz_path_set(doc, path, value, NULL); /* as it was */
    *err = why;
    return why.status;
}

/* ---- convert --------------------------------------------------------------------------------- */

struct convert {
    struct vz_template *field, *target;
    enum { TO_INTEGER, TO_LONG, TO_FLOAT, TO_DOUBLE, TO_STRING, TO_BOOLEAN, TO_IP, TO_AUTO } type;
    const char *type_name;
    bool ignore_missing;
};

static const char *const type_names[] = {"integer", "long",    "float", "double",
                                         "string",  "boolean", "ip",    "auto"};

void vz_convert_compile(struct vz_config *c, struct vz_processor *processor)
{
    struct convert *convert = processor->config = vz_arena_zalloc(c->arena, sizeof *convert);
    convert->field = vz_config_template(c, "field", true);
    struct vz_slice type = vz_config_text(c, "type");
    convert->target = vz_config_template(c, "target_field", false);
    convert->ignore_missing = vz_config_bool(c, "ignore_missing", false);
    size_t i = 0;
    while (i < VZ_COUNT_OF(type_names) && (type.len != strlen(type_names[i]) ||
                                           strncasecmp(type.ptr, type_names[i], type.len) != 0))
        i++;
    if (c->status == VZ_OK && i == VZ_COUNT_OF(type_names))
        vz_config_fail(c, "type", "type [%.*s] not supported, cannot convert field.", VZ_S(type));
    if (c->status != VZ_OK)
        return;
    convert->type = i;
    convert->type_name = type_names[i];
}

/* Whole numbers as Java reads them, also 0x1F and -0x1F. */
static bool to_whole(struct vz_slice text, bool is_int, int64_t *out)
{
    char digits[32], *end;
    if (text.len == 0 || text.len >= sizeof digits || (unsigned char)text.ptr[0] <= ' ')
        return false;
    memcpy(digits, text.ptr, text.len);
    digits[text.len] = '\0';
    const char *bare = digits + (digits[0] == '-' || digits[0] == '+');
    bool hex = bare[0] == '0' && (bare[1] == 'x' || bare[1] == 'X');
    errno = 0;
    *out = strtoll(digits, &end, hex ? 16 : 10);
    if (*end || errno || end == digits)
        return false;
    return !is_int || (*out >= INT32_MIN && *out <= INT32_MAX);
}

static bool to_real(struct vz_slice text, double *out)
{
    char digits[400], *end;
    while (text.len && (unsigned char)text.ptr[0] <= ' ')
        text = (struct vz_slice){text.ptr + 1, text.len - 1};
    while (text.len && (unsigned char)text.ptr[text.len - 1] <= ' ')
        text.len--;
    if (text.len == 0 || text.len >= sizeof digits)
        return false;
    memcpy(digits, text.ptr, text.len);
    digits[text.len] = '\0';
    if (strpbrk(digits, "xXpPnN")) /* what C reads and JSON cannot hold */
        return false;
    *out = strtod(digits, &end);
    if ((*end == 'd' || *end == 'D' || *end == 'f' || *end == 'F') && end > digits)
        end++;
    return *end == '\0' && isfinite(*out);
}

static bool is_ip(struct vz_slice text)
{
    char copy[64];
    struct in6_addr address;
    if (text.len == 0 || text.len >= sizeof copy)
        return false;
    memcpy(copy, text.ptr, text.len);
    copy[text.len] = '\0';
    return inet_pton(AF_INET, copy, &address) == 1 || inet_pton(AF_INET6, copy, &address) == 1;
}

static bool is_word(struct vz_slice text, const char *word)
{
    return text.len == strlen(word) && strncasecmp(text.ptr, word, text.len) == 0;
}

static struct vz_value *automatic(struct vz_arena *arena, struct vz_value *value)
{
    int64_t whole;
    double real;
    if (value->type != VZ_VALUE_STRING)
        return vz_value_copy(arena, value); /* the target may lie within it */
    struct vz_slice text = value->string;
    if (is_word(text, "true") || is_word(text, "false"))
        return vz_value_bool(arena, is_word(text, "true"));
    if (to_whole(text, false, &whole))
        return vz_value_int(arena, whole);
    if (!to_real(text, &real))
        return value;
    return fabs(real) < 3.4e38 && text.len <= 8 ? vz_value_of_float(arena, (float)real)
                                                : vz_value_double(arena, real);
}

static enum vz_status convert_one(const struct convert *convert, struct vz_arena *arena,
                                  struct vz_value *value, struct vz_value **out,
                                  struct vz_error *err)
{
    struct vz_buf buf = {0};
    int64_t whole;
    double real;
    if (convert->type == TO_AUTO) {
        *out = automatic(arena, value);
        return VZ_OK;
    }
    vz_value_display(value, &buf);
    struct vz_slice text = vz_arena_copy(arena, vz_buf_slice(&buf));
    vz_buf_deinit(&buf);
    bool ok = true;
    switch (convert->type) {
    case TO_INTEGER:
    case TO_LONG:
        if ((ok = to_whole(text, convert->type == TO_INTEGER, &whole)))
            *out = vz_value_int(arena, whole);
        break;
    case TO_FLOAT:
        if ((ok = to_real(text, &real) && fabs(real) < 3.5e38))
            *out = vz_value_of_float(arena, (float)real);
        break;
    case TO_DOUBLE:
        if ((ok = to_real(text, &real)))
            *out = vz_value_double(arena, real);
        break;
    case TO_BOOLEAN:
        if (!is_word(text, "true") && !is_word(text, "false"))
            return vz_fail(err, VZ_BAD_ARGUMENT,
                           "[%.*s] is not a boolean value, cannot convert to boolean", VZ_S(text));
        *out = vz_value_bool(arena, is_word(text, "true"));
        break;
    case TO_IP:
        if (!is_ip(text))
            return vz_fail(err, VZ_BAD_ARGUMENT, "'%.*s' is not an IP string literal.", VZ_S(text));
        *out = vz_value_string(arena, text);
        break;
    default:
        *out = vz_value_string(arena, text);
    }
    return ok ? VZ_OK
              : vz_fail(err, VZ_BAD_ARGUMENT, "unable to convert [%.*s] to %s", VZ_S(text),
                        convert->type_name);
}

VZ_KIND_RUN(convert)
{
    const struct convert *convert = processor->config;
    struct vz_slice path, target;
    enum vz_status status = vz_template_render(convert->field, doc, &path, err);
    target = path;
    if (status == VZ_OK && convert->target)
        status = vz_template_render(convert->target, doc, &target, err);
    if (status != VZ_OK)
        return status;
    struct vz_value *value, *made = NULL;
    status = vz_path_get(doc, path, &value, err);
    if (status != VZ_OK)
        return convert->ignore_missing && status == VZ_BAD_ARGUMENT ? VZ_OK : status;
    if (value->type == VZ_VALUE_NULL && convert->ignore_missing)
        return VZ_OK;
    if (value->type == VZ_VALUE_NULL)
        return vz_fail(err, VZ_BAD_ARGUMENT,
                       "Field [%.*s] is null, cannot be converted to type [%s]", VZ_S(path),
                       convert->type_name);
    if (value->type == VZ_VALUE_ARRAY) {
        made = vz_value_array(doc->arena);
        for (size_t i = 0; status == VZ_OK && i < value->array.count; i++) {
            struct vz_value *item;
            status = convert_one(convert, doc->arena, value->array.items[i], &item, err);
            if (status == VZ_OK)
                vz_value_append(made, item);
        }
    } else {
        status = convert_one(convert, doc->arena, value, &made, err);
    }
    return status == VZ_OK ? vz_path_set(doc, target, made, err) : status;
}

/* ---- dot_expander ---------------------------------------------------------------------------- */

struct expander {
    struct vz_slice field, path;
    bool override;
};

void vz_dot_expander_compile(struct vz_config *c, struct vz_processor *processor)
{
    struct expander *expander = processor->config = vz_arena_zalloc(c->arena, sizeof *expander);
    expander->field = vz_config_text(c, "field");
    expander->path = vz_config_text_or(c, "path", NULL);
    expander->override = vz_config_bool(c, "override", false);
    struct vz_slice field = expander->field;
    if (c->status != VZ_OK || vz_slice_is(field, "*"))
        return;
    if (!memchr(field.ptr, '.', field.len))
        vz_config_fail(c, "field", "field does not contain a dot and is not a wildcard");
    else if (field.ptr[0] == '.' || field.ptr[field.len - 1] == '.')
        vz_config_fail(c, "field", "Field can't start or end with a dot");
}

static enum vz_status expand_one(struct vz_ingest_doc *doc, struct vz_value *object,
                                 struct vz_slice key, struct vz_slice prefix, bool override,
                                 struct vz_error *err)
{
    struct vz_value *value = vz_value_get(object, key);
    if (!value)
        return VZ_OK;
    struct vz_slice path = key;
    if (prefix.len)
        path = vz_slice_from(vz_arena_printf(doc->arena, "%.*s.%.*s", VZ_S(prefix), VZ_S(key)));
    key = vz_arena_copy(doc->arena, key);
    vz_value_remove(object, key);
    if (override || !vz_path_find(doc, path))
        return vz_path_set(doc, path, value, err);
    return vz_path_append(doc, path, value, true, err);
}

VZ_KIND_RUN(dot_expander)
{
    const struct expander *expander = processor->config;
    struct vz_value *object = doc->ctx;
    enum vz_status status = VZ_OK;
    if (expander->path.len)
        status = vz_path_get(doc, expander->path, &object, err);
    if (status != VZ_OK || object->type != VZ_VALUE_OBJECT)
        return status;
    if (!vz_slice_is(expander->field, "*"))
        return expand_one(doc, object, expander->field, expander->path, expander->override, err);
    size_t count = object->object.count, dotted = 0;
    struct vz_slice *keys = vz_arena_alloc(doc->arena, (count + 1) * sizeof *keys);
    for (size_t i = 0; i < count; i++) {
        struct vz_slice key = object->object.members[i].key;
        if (memchr(key.ptr, '.', key.len))
            keys[dotted++] = key;
    }
    for (size_t i = 0; status == VZ_OK && i < dotted; i++)
        status = expand_one(doc, object, keys[i], expander->path, expander->override, err);
    return status;
}
