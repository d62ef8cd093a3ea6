/* {{field}} in texts: Mustache (script/mustache.h) over a document. {{a}} and {{{a}}} are the same:
 * what comes out is a JSON string in any case, written by the store's own writer, so there is
 * nothing to escape. */
#include "ingest/parts.h"

struct vz_template {
    struct vz_slice text; /* as it was given */
    struct vz_mustache *mustache;
    bool constant;
};

struct vz_template *vz_template_compile(struct vz_config *c, struct vz_slice text,
                                        const char *property)
{
    static const struct vz_mustache_options plain = {.escape = VZ_MUSTACHE_PLAIN};
    struct vz_error err = {0};
    if (c->status != VZ_OK)
        return NULL;
    struct vz_template *t = vz_arena_zalloc(c->arena, sizeof *t);
    t->text = vz_arena_copy(c->arena, text);
    if (vz_mustache_compile(text, &plain, c->arena, &t->mustache, &err) != VZ_OK) {
        vz_config_fail(c, property, "%s in [%.*s]", err.text, VZ_S(text));
        return NULL;
    }
    t->constant = vz_mustache_is_constant(t->mustache);
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

static const struct vz_value *find_field(void *doc, struct vz_slice path)
{
    return vz_path_find(doc, path);
}

enum vz_status vz_template_render(const struct vz_template *t, struct vz_ingest_doc *doc,
                                  struct vz_slice *out, struct vz_error *err)
{
    const struct vz_mustache_scope scope = {.root = doc->ctx, .find = find_field, .context = doc};
    struct vz_buf text = {0};
    enum vz_status status =
        vz_mustache_render(t->mustache, &scope, VZ_INGEST_MAX_STRING, &text, err);
    *out = status == VZ_OK ? vz_arena_copy(doc->arena, vz_buf_slice(&text)) : VZ_SLICE("");
    vz_buf_deinit(&text);
    return status;
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
