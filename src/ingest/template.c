/* {{field}} in texts, the part of Mustache that pipelines use: variables. Sections, partials and
 * changed delimiters are refused when compiled. {{a}} and {{{a}}} are the same: what comes out is a
 * JSON string in any case, written by the store's own writer, so there is nothing to escape. */
#include "ingest/parts.h"

struct part {
    bool is_field;
    struct vz_slice text; /* literal bytes or a path */
};
struct vz_template {
    struct vz_slice text; /* as it was given */
    struct part *parts;
    size_t count;
    bool constant;
};

static struct vz_slice trimmed(struct vz_slice text)
{
    while (text.len && (unsigned char)text.ptr[0] <= ' ')
        text = (struct vz_slice){text.ptr + 1, text.len - 1};
    while (text.len && (unsigned char)text.ptr[text.len - 1] <= ' ')
        text.len--;
    return text;
}

/* Takes the next tag off `rest`, which begins with "{{". False with a problem. */
static bool take_tag(struct vz_config *c, struct vz_slice *rest, const char *property,
                     struct vz_slice *name, bool *comment)
{
    bool triple = vz_slice_starts(*rest, "{{{");
    const char *close = triple ? "}}}" : "}}";
    size_t open = triple ? 3 : 2;
    const char *end = memmem(rest->ptr + open, rest->len - open, close, open);
    if (!end) {
        vz_config_fail(c, property, "Improperly closed variable in [%.*s]", VZ_S(*rest));
        return false;
    }
    struct vz_slice inner = {rest->ptr + open, (size_t)(end - rest->ptr) - open};
    size_t whole = (size_t)(end - rest->ptr) + open;
    *rest = (struct vz_slice){rest->ptr + whole, rest->len - whole};
    *comment = inner.len && inner.ptr[0] == '!';
    if (*comment)
        return true;
    if (inner.len && strchr("#^/>=", inner.ptr[0])) {
        vz_config_unsupported(c, property,
                              "the Mustache tag [{{%.*s}}] is not supported; variables are",
                              VZ_S(inner));
        return false;
    }
    if (inner.len && inner.ptr[0] == '&')
        inner = (struct vz_slice){inner.ptr + 1, inner.len - 1};
    *name = trimmed(inner);
    if (name->len == 0) {
        vz_config_fail(c, property, "a Mustache variable has no name");
        return false;
    }
    return true;
}

struct vz_template *vz_template_compile(struct vz_config *c, struct vz_slice text,
                                        const char *property)
{
    if (c->status != VZ_OK)
        return NULL;
    struct vz_template *t = vz_arena_zalloc(c->arena, sizeof *t);
    size_t capacity = 1;
    t->text = vz_arena_copy(c->arena, text);
    for (size_t i = 0; i + 1 < text.len; i++)
        if (text.ptr[i] == '{' && text.ptr[i + 1] == '{')
            capacity += 2;
    t->parts = vz_arena_alloc(c->arena, (capacity + 1) * sizeof *t->parts);
    struct vz_slice rest = t->text;
    while (rest.len) {
        const char *open = memmem(rest.ptr, rest.len, "{{", 2);
        size_t len = open ? (size_t)(open - rest.ptr) : rest.len;
        if (len)
            t->parts[t->count++] = (struct part){false, {rest.ptr, len}};
        rest = (struct vz_slice){rest.ptr + len, rest.len - len};
        if (!open)
            break;
        struct vz_slice name = {NULL, 0};
        bool comment;
        if (!take_tag(c, &rest, property, &name, &comment))
            return NULL;
        if (!comment)
            t->parts[t->count++] = (struct part){true, name};
    }
    t->constant = true;
    for (size_t i = 0; i < t->count; i++)
        t->constant &= !t->parts[i].is_field;
    return t;
}

struct vz_template *vz_config_template(struct vz_config *c, const char *name, bool required)
{
    struct vz_slice text = required ? vz_config_text(c, name) : vz_config_text_or(c, name, NULL);
    return text.ptr ? vz_template_compile(c, text, name) : NULL;
}

bool vz_template_is_constant(const struct vz_template *t)
{
    return t->constant;
}

enum vz_status vz_template_render(const struct vz_template *t, struct vz_ingest_doc *doc,
                                  struct vz_slice *out, struct vz_error *err)
{
    if (t->constant && t->count <= 1) {
        *out = t->count ? t->parts[0].text : VZ_SLICE("");
        return VZ_OK;
    }
    struct vz_buf text = {0};
    for (size_t i = 0; i < t->count && text.len <= VZ_INGEST_MAX_STRING; i++) {
        if (!t->parts[i].is_field) {
            vz_buf_append_slice(&text, t->parts[i].text);
            continue;
        }
        struct vz_value *value = vz_path_find(doc, t->parts[i].text);
        if (value && value->type != VZ_VALUE_NULL)
            vz_value_display(value, &text);
    }
    bool fits = text.len <= VZ_INGEST_MAX_STRING;
    if (fits)
        *out = vz_arena_copy(doc->arena, vz_buf_slice(&text));
    vz_buf_deinit(&text);
    return fits ? VZ_OK
                : vz_fail(err, VZ_LIMIT, "a template gives more than [%zu] bytes",
                          VZ_INGEST_MAX_STRING);
}

/* ---- values with templates ------------------------------------------------------------------- */

struct vz_source_value {
    enum { LITERAL, TEMPLATE, LIST, MAP } kind;
    struct vz_value *literal;
    struct vz_template *template;
    struct vz_template **keys;
    struct vz_source_value **items;
    size_t count;
};

struct vz_source_value *vz_source_value_compile(struct vz_config *c, struct vz_json value,
                                                const char *property)
{
    if (c->status != VZ_OK)
        return NULL;
    struct vz_source_value *source = vz_arena_zalloc(c->arena, sizeof *source);
    enum vz_json_type type = vz_json_type(value);
    if (type == VZ_JSON_STRING) {
        source->template = vz_template_compile(c, vz_json_string(value), property);
        if (source->template && !source->template->constant) {
            source->kind = TEMPLATE;
            return source;
        }
    }
    if (type != VZ_JSON_ARRAY && type != VZ_JSON_OBJECT) {
        source->literal = vz_value_from(c->arena, value);
        return c->status == VZ_OK ? source : NULL;
    }
    size_t count = vz_json_count(value);
    struct vz_json_iter it = vz_json_iterate(value);
    struct vz_slice key;
    struct vz_json item;
    source->kind = type == VZ_JSON_ARRAY ? LIST : MAP;
    source->items = vz_arena_alloc(c->arena, (count + 1) * sizeof *source->items);
    source->keys = vz_arena_alloc(c->arena, (count + 1) * sizeof *source->keys);
    while (c->status == VZ_OK && vz_json_next(&it, &key, &item)) {
        source->keys[source->count] =
            type == VZ_JSON_OBJECT ? vz_template_compile(c, key, property) : NULL;
        source->items[source->count++] = vz_source_value_compile(c, item, property);
    }
    return c->status == VZ_OK ? source : NULL;
}

enum vz_status vz_source_value_make(const struct vz_source_value *source, struct vz_ingest_doc *doc,
                                    struct vz_value **out, struct vz_error *err)
{
    struct vz_slice text;
    enum vz_status status = VZ_OK;
    switch (source->kind) {
    case LITERAL:
        *out = vz_value_copy(doc->arena, source->literal);
        return VZ_OK;
    case TEMPLATE:
        status = vz_template_render(source->template, doc, &text, err);
        if (status == VZ_OK)
            *out = vz_value_string(doc->arena, text);
        return status;
    case LIST:
        *out = vz_value_array(doc->arena);
        break;
    case MAP:
        *out = vz_value_object(doc->arena);
        break;
    }
    for (size_t i = 0; status == VZ_OK && i < source->count; i++) {
        struct vz_value *item;
        status = vz_source_value_make(source->items[i], doc, &item, err);
        if (status == VZ_OK && source->kind == LIST)
            vz_value_append(*out, item);
        if (status == VZ_OK && source->kind == MAP) {
            status = vz_template_render(source->keys[i], doc, &text, err);
            if (status == VZ_OK)
                vz_value_put(*out, text, item);
        }
    }
    return status;
}
