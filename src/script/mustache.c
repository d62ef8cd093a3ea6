/* Mustache: source to a tree of parts, a tree and values to text. See mustache.h.
 *
 * After the public description (mustache(5)) and what Elasticsearch adds to it. A tree's parts lie
 * in one array in the order of the source; a section knows where it ends, so that walking needs no
 * pointers. Rendering keeps a stack of the values that sections stand on; a name is looked for from
 * the innermost out, its first part decides where, the others follow from there. */
#include "script/mustache.h"
#include "base/text.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

#define MAX_DELIMITER 16

enum kind { TEXT, VARIABLE, RAW, SECTION, INVERTED, TO_JSON, JOIN, URL };

struct part {
    enum kind kind;
    struct vz_slice text;      /* TEXT: it; others: the name */
    struct vz_slice delimiter; /* JOIN */
    size_t end;                /* sections: the part behind their last one */
};

struct vz_mustache {
    struct part *parts;
    size_t count;
    enum vz_mustache_escape escape;
};

/* ---- compiling ------------------------------------------------------------------------------- */

struct compiler {
    struct vz_slice source;
    size_t at;
    char open[MAX_DELIMITER], close[MAX_DELIMITER];
    struct vz_arena *arena;
    struct part *parts; /* malloc'd */
    size_t count, capacity;
    size_t sections[VZ_MUSTACHE_MAX_DEPTH]; /* the open ones */
    struct vz_slice names[VZ_MUSTACHE_MAX_DEPTH];
    unsigned depth;
    struct vz_error *err;
};

struct tag {
    char sigil; /* 0: a variable */
    struct vz_slice inner;
    size_t begin, end; /* in the source */
};

static struct part *add(struct compiler *c, enum kind kind, struct vz_slice text)
{
    if (c->count == c->capacity) {
        c->capacity = c->capacity ? c->capacity * 2 : 16;
        c->parts = vz_realloc(c->parts, c->capacity * sizeof *c->parts);
    }
    c->parts[c->count] = (struct part){.kind = kind, .text = text};
    return &c->parts[c->count++];
}

static const char *find(struct vz_slice source, size_t from, const char *what)
{
    return memmem(source.ptr + from, source.len - from, what, strlen(what));
}

/* The tag that opens at `begin`. */
static enum vz_status read_tag(struct compiler *c, size_t begin, struct tag *tag)
{
    size_t open = strlen(c->open), inner = begin + open;
    bool triple = inner < c->source.len && c->source.ptr[inner] == '{';
    bool sets = inner < c->source.len && c->source.ptr[inner] == '=';
    char close[MAX_DELIMITER + 1];
    snprintf(close, sizeof close, "%s%s", triple ? "}" : sets ? "=" : "", c->close);
    const char *end = inner + (triple || sets) <= c->source.len
                          ? find(c->source, inner + (triple || sets), close)
                          : NULL;
    if (!end)
        return vz_fail_at(c->err, VZ_BAD_ARGUMENT, begin, "Improperly closed variable");
    tag->begin = begin;
    tag->end = (size_t)(end - c->source.ptr) + strlen(close);
    tag->sigil = 0;
    tag->inner = (struct vz_slice){c->source.ptr + inner, (size_t)(end - c->source.ptr) - inner};
    if (tag->inner.len && strchr("#^/!>&={$<", tag->inner.ptr[0])) {
        tag->sigil = tag->inner.ptr[0];
        tag->inner = (struct vz_slice){tag->inner.ptr + 1, tag->inner.len - 1};
    }
    return VZ_OK;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

/* A tag of structure that is alone on its line takes the line with it: the white space before it
 * off the last text, what is behind it off the source. */
static void take_line(struct compiler *c, const struct tag *tag)
{
    const char *text = c->source.ptr;
    size_t from = tag->begin, to = tag->end;
    while (from && is_blank(text[from - 1]))
        from--;
    while (to < c->source.len && is_blank(text[to]))
        to++;
    bool at_end = to == c->source.len;
    size_t skip = at_end ? 0 : text[to] == '\n' ? 1 : 0;
    if (!at_end && text[to] == '\r' && to + 1 < c->source.len && text[to + 1] == '\n')
        skip = 2;
    if ((from && text[from - 1] != '\n') || (!at_end && !skip))
        return;
    struct part *last = c->count ? &c->parts[c->count - 1] : NULL;
    size_t cut = tag->begin - from;
    if (cut && last && last->kind == TEXT) {
        last->text.len -= VZ_MIN(cut, last->text.len);
        if (!last->text.len)
            c->count--;
    }
    c->at = to + skip;
}

static enum vz_status set_delimiters(struct compiler *c, const struct tag *tag)
{
    struct vz_slice inner = vz_slice_trim_of(tag->inner, VZ_BLANKS);
    size_t first = 0;
    while (first < inner.len && !isspace((unsigned char)inner.ptr[first]))
        first++;
    struct vz_slice open = {inner.ptr, first},
                    close = vz_slice_trim_of(
                        (struct vz_slice){inner.ptr + first, inner.len - first}, VZ_BLANKS);
    bool ok = open.len && close.len && open.len < MAX_DELIMITER && close.len < MAX_DELIMITER;
    for (size_t i = 0; ok && i < open.len; i++)
        ok = open.ptr[i] != '=' && open.ptr[i] != '\0';
    for (size_t i = 0; ok && i < close.len; i++)
        ok = close.ptr[i] != '=' && close.ptr[i] != '\0' && !isspace((unsigned char)close.ptr[i]);
    if (!ok)
        return vz_fail_at(c->err, VZ_BAD_ARGUMENT, tag->begin, "Invalid delimiter string: %.*s",
                          (int)inner.len, inner.ptr);
    memcpy(c->open, open.ptr, open.len);
    c->open[open.len] = '\0';
    memcpy(c->close, close.ptr, close.len);
    c->close[close.len] = '\0';
    return VZ_OK;
}

static bool same_word(struct vz_slice text, const char *word)
{
    return text.len == strlen(word) && strncasecmp(text.ptr, word, text.len) == 0;
}

/* "join delimiter='; '" */
static bool join_delimiter(struct vz_slice name, struct vz_slice *delimiter)
{
    static const struct vz_slice head = {"join delimiter='", 16};
    if (name.len < head.len + 1 || memcmp(name.ptr, head.ptr, head.len) != 0 ||
        name.ptr[name.len - 1] != '\'')
        return false;
    *delimiter = (struct vz_slice){name.ptr + head.len, name.len - head.len - 1};
    return true;
}

static enum vz_status open_section(struct compiler *c, const struct tag *tag)
{
    struct vz_slice name = vz_slice_trim_of(tag->inner, VZ_BLANKS), delimiter = VZ_SLICE(",");
    if (c->depth == VZ_MUSTACHE_MAX_DEPTH)
        return vz_fail_at(c->err, VZ_LIMIT, tag->begin,
                          "sections are nested deeper than [%d] levels", VZ_MUSTACHE_MAX_DEPTH);
    if (!name.len)
        return vz_fail_at(c->err, VZ_BAD_ARGUMENT, tag->begin, "a section has no name");
    enum kind kind = tag->sigil == '^'                                             ? INVERTED
                     : same_word(name, "toJson")                                   ? TO_JSON
                     : same_word(name, "url")                                      ? URL
                     : same_word(name, "join") || join_delimiter(name, &delimiter) ? JOIN
                                                                                   : SECTION;
    c->names[c->depth] = name;
    c->sections[c->depth++] = c->count;
    add(c, kind, name)->delimiter = delimiter;
    return VZ_OK;
}

static enum vz_status close_section(struct compiler *c, const struct tag *tag)
{
    struct vz_slice name = vz_slice_trim_of(tag->inner, VZ_BLANKS);
    if (!c->depth)
        return vz_fail_at(c->err, VZ_BAD_ARGUMENT, tag->begin,
                          "Mismatched start/end tags: null != %.*s", (int)name.len, name.ptr);
    struct vz_slice opened = c->names[--c->depth];
    struct part *part = &c->parts[c->sections[c->depth]];
    if (!vz_slice_eq(opened, name))
        return vz_fail_at(c->err, VZ_BAD_ARGUMENT, tag->begin,
                          "Mismatched start/end tags: %.*s != %.*s", (int)opened.len, opened.ptr,
                          (int)name.len, name.ptr);
    part->end = c->count;
    if (part->kind != TO_JSON && part->kind != JOIN)
        return VZ_OK;
    /* What stands within is the name. */
    if (part->end != c->sections[c->depth] + 2 || part[1].kind != TEXT)
        return vz_fail_at(c->err, VZ_BAD_ARGUMENT, tag->begin,
                          "Mustache function [%s] must contain one and only one identifier",
                          part->kind == JOIN ? "join" : "toJson");
    part->text = vz_slice_trim_of(part[1].text, VZ_BLANKS);
    return VZ_OK;
}

static enum vz_status take_tag(struct compiler *c, const struct tag *tag)
{
    struct vz_slice name = vz_slice_trim_of(tag->inner, VZ_BLANKS);
    c->at = tag->end;
    switch (tag->sigil) {
    case '!':
        take_line(c, tag);
        return VZ_OK;
    case '=':
        take_line(c, tag);
        return set_delimiters(c, tag);
    case '#':
    case '^':
        take_line(c, tag);
        return open_section(c, tag);
    case '/':
        take_line(c, tag);
        return close_section(c, tag);
    case '>':
    case '$':
    case '<':
        return vz_fail_at(c->err, VZ_BAD_ARGUMENT, tag->begin,
                          "Cannot expand '%.*s' because partial templates are not supported",
                          (int)name.len, name.ptr);
    default:
        if (!name.len)
            return vz_fail_at(c->err, VZ_BAD_ARGUMENT, tag->begin, "Empty mustache");
        add(c, tag->sigil ? RAW : VARIABLE, name);
        return VZ_OK;
    }
}

static enum vz_status compile(struct compiler *c)
{
    enum vz_status status = VZ_OK;
    while (status == VZ_OK && c->at < c->source.len) {
        const char *open = find(c->source, c->at, c->open);
        size_t end = open ? (size_t)(open - c->source.ptr) : c->source.len;
        struct tag tag = {0};
        if (end > c->at)
            add(c, TEXT, (struct vz_slice){c->source.ptr + c->at, end - c->at});
        c->at = end;
        if (!open)
            break;
        status = read_tag(c, end, &tag);
        if (status == VZ_OK)
            status = take_tag(c, &tag);
    }
    if (status == VZ_OK && c->depth) {
        struct vz_slice name = c->names[c->depth - 1];
        status = vz_fail_at(c->err, VZ_BAD_ARGUMENT, c->source.len, "Failed to close '%.*s' tag",
                            (int)name.len, name.ptr);
    }
    return status;
}

enum vz_status vz_mustache_compile(struct vz_slice text, const struct vz_mustache_options *options,
                                   struct vz_arena *arena, struct vz_mustache **out,
                                   struct vz_error *err)
{
    if (text.len > VZ_MUSTACHE_MAX_SOURCE)
        return vz_fail(err, VZ_LIMIT, "a template is longer than [%zu] bytes",
                       VZ_MUSTACHE_MAX_SOURCE);
    struct compiler c = {.source = vz_arena_copy(arena, text),
                         .open = "{{",
                         .close = "}}",
                         .arena = arena,
                         .err = err};
    enum vz_status status = compile(&c);
    if (status == VZ_OK) {
        struct vz_mustache *template = vz_arena_zalloc(arena, sizeof *template);
        template->count = c.count;
        template->escape = options ? options->escape : VZ_MUSTACHE_JSON;
        template->parts = vz_arena_alloc(arena, (c.count + 1) * sizeof *template->parts);
        if (c.count)
            memcpy(template->parts, c.parts, c.count * sizeof *c.parts);
        *out = template;
    }
    free(c.parts);
    return status;
}

bool vz_mustache_is_constant(const struct vz_mustache *template)
{
    for (size_t i = 0; i < template->count; i++)
        if (template->parts[i].kind != TEXT)
            return false;
    return true;
}

/* ---- values ---------------------------------------------------------------------------------- */

static void display_tree(const struct vz_value *value, struct vz_buf *out)
{
    bool is_list = value->type == VZ_VALUE_ARRAY;
    size_t count = is_list ? value->array.count : value->object.count;
    vz_buf_append_char(out, is_list ? '[' : '{');
    for (size_t i = 0; i < count; i++) {
        if (i)
            vz_buf_append_str(out, ", ");
        if (is_list) {
            vz_value_display(value->array.items[i], out);
            continue;
        }
        vz_buf_append_slice(out, value->object.members[i].key);
        vz_buf_append_char(out, '=');
        vz_value_display(value->object.members[i].value, out);
    }
    vz_buf_append_char(out, is_list ? ']' : '}');
}

void vz_value_display(const struct vz_value *value, struct vz_buf *out)
{
    struct vz_json_writer w = vz_json_writer_on(out);
    switch (value->type) {
    case VZ_VALUE_NULL:
        vz_buf_append_str(out, "null");
        break;
    case VZ_VALUE_BOOL:
        vz_buf_append_str(out, value->boolean ? "true" : "false");
        break;
    case VZ_VALUE_INT:
        vz_buf_printf(out, "%lld", (long long)value->integer);
        break;
    case VZ_VALUE_DOUBLE:
        vz_json_put_double(&w, value->number);
        break;
    case VZ_VALUE_STRING:
        vz_buf_append_slice(out, value->string);
        break;
    case VZ_VALUE_ARRAY:
    case VZ_VALUE_OBJECT:
        display_tree(value, out);
        break;
    }
}

/* ---- rendering ------------------------------------------------------------------------------- */

struct renderer {
    const struct vz_mustache *template;
    const struct vz_mustache_scope *scope;
    const struct vz_value *stack[VZ_MUSTACHE_MAX_DEPTH]; /* of sections, the innermost last */
    struct vz_value sizes[VZ_MUSTACHE_MAX_DEPTH];        /* of "list.size" on the stack */
    unsigned depth;
    struct vz_value size; /* of the last "list.size" looked up */
    size_t steps, max_bytes, first_byte;
    struct vz_buf *out;
    struct vz_error *err;
};

static const struct vz_value *member(struct renderer *r, const struct vz_value *of,
                                     struct vz_slice name)
{
    if (of->type == VZ_VALUE_OBJECT)
        return vz_value_get(of, name);
    if (of->type != VZ_VALUE_ARRAY || !name.len)
        return NULL;
    if (vz_slice_is(name, "size")) {
        r->size = (struct vz_value){.type = VZ_VALUE_INT, .integer = (int64_t)of->array.count};
        return &r->size;
    }
    size_t at = 0;
    for (size_t i = 0; i < name.len; i++) {
        if (!isdigit((unsigned char)name.ptr[i]) || at > of->array.count)
            return NULL;
        at = at * 10 + (size_t)(name.ptr[i] - '0');
    }
    return at < of->array.count ? of->array.items[at] : NULL;
}

static struct vz_slice cut(struct vz_slice *path)
{
    const char *dot = path->len ? memchr(path->ptr, '.', path->len) : NULL;
    struct vz_slice part = {path->ptr, dot ? (size_t)(dot - path->ptr) : path->len};
    size_t skip = part.len + (dot != NULL);
    *path = (struct vz_slice){path->ptr + skip, path->len - skip};
    return part;
}

static const struct vz_value *follow(struct renderer *r, const struct vz_value *value,
                                     struct vz_slice path)
{
    while (value && path.len)
        value = member(r, value, cut(&path));
    return value;
}

/* NULL: there is none. */
static const struct vz_value *look_up(struct renderer *r, struct vz_slice name)
{
    struct vz_slice rest = name;
    if (vz_slice_is(name, "."))
        return r->depth ? r->stack[r->depth - 1] : r->scope->root;
    struct vz_slice first = cut(&rest);
    for (unsigned i = r->depth; i > 0; i--) {
        const struct vz_value *found = member(r, r->stack[i - 1], first);
        if (found)
            return follow(r, found, rest);
    }
    if (r->scope->find)
        return r->scope->find(r->scope->context, name);
    if (!r->scope->root)
        return NULL;
    const struct vz_value *top = member(r, r->scope->root, first);
    return top ? follow(r, top, rest) : NULL;
}

static bool is_true(const struct vz_value *value)
{
    if (!value || value->type == VZ_VALUE_NULL)
        return false;
    if (value->type == VZ_VALUE_BOOL)
        return value->boolean;
    if (value->type == VZ_VALUE_STRING)
        return value->string.len > 0;
    return value->type != VZ_VALUE_ARRAY || value->array.count > 0;
}

static void append_url(struct vz_slice text, struct vz_buf *out)
{
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        if (isalnum(c) || c == '.' || c == '-' || c == '*' || c == '_')
            vz_buf_append_char(out, (char)c);
        else if (c == ' ')
            vz_buf_append_char(out, '+');
        else
            vz_buf_printf(out, "%%%02X", c);
    }
}

/* The writer's quotes are taken off again. */
static void append_json(struct vz_slice text, struct vz_buf *out)
{
    size_t start = out->len;
    struct vz_json_writer w = vz_json_writer_on(out);
    vz_json_put_string(&w, text);
    memmove(out->data + start, out->data + start + 1, out->len - start - 2);
    out->len -= 2;
    out->data[out->len] = '\0';
}

static void append_value(struct renderer *r, const struct vz_value *value, bool raw)
{
    struct vz_buf text = {0};
    enum vz_mustache_escape escape = raw ? VZ_MUSTACHE_PLAIN : r->template->escape;
    if (!value || value->type == VZ_VALUE_NULL)
        return;
    vz_value_display(value, &text);
    if (escape == VZ_MUSTACHE_JSON)
        append_json(vz_buf_slice(&text), r->out);
    else if (escape == VZ_MUSTACHE_URL)
        append_url(vz_buf_slice(&text), r->out);
    else
        vz_buf_append_slice(r->out, vz_buf_slice(&text));
    vz_buf_deinit(&text);
}

/* Lists and objects as JSON, anything else as it reads. */
static void append_tree(struct renderer *r, const struct vz_value *value)
{
    if (!value || value->type == VZ_VALUE_NULL)
        return;
    if (value->type == VZ_VALUE_ARRAY || value->type == VZ_VALUE_OBJECT)
        vz_value_print(value, r->out);
    else
        vz_value_display(value, r->out);
}

/* What is no list is not joined: the name stays, as Elasticsearch leaves it. */
static void append_joined(struct renderer *r, const struct part *part)
{
    const struct vz_value *list = look_up(r, part->text);
    if (!list || list->type != VZ_VALUE_ARRAY) {
        vz_buf_append_slice(r->out, part->text);
        return;
    }
    /* A delimiter may be as long as a template: what is too much is seen here, not behind it. */
    for (size_t i = 0; i < list->array.count && r->out->len - r->first_byte <= r->max_bytes; i++) {
        if (i)
            vz_buf_append_slice(r->out, part->delimiter);
        vz_value_display(list->array.items[i], r->out);
    }
}

static enum vz_status render(struct renderer *r, size_t from, size_t to);

static enum vz_status render_on(struct renderer *r, const struct vz_value *value, size_t from,
                                size_t to)
{
    /* "list.size" is looked up into a place that the next one takes. */
    if (value == &r->size) {
        r->sizes[r->depth] = r->size;
        value = &r->sizes[r->depth];
    }
    r->stack[r->depth++] = value;
    enum vz_status status = render(r, from, to);
    r->depth--;
    return status;
}

static enum vz_status render_section(struct renderer *r, size_t at)
{
    const struct part *part = &r->template->parts[at];
    const struct vz_value *value = look_up(r, part->text);
    if (!is_true(value))
        return VZ_OK;
    if (value->type != VZ_VALUE_ARRAY)
        return render_on(r, value, at + 1, part->end);
    enum vz_status status = VZ_OK;
    for (size_t i = 0; status == VZ_OK && i < value->array.count; i++)
        status = render_on(r, value->array.items[i], at + 1, part->end);
    return status;
}

static enum vz_status render_url(struct renderer *r, size_t at)
{
    struct vz_buf inner = {0}, *outer = r->out;
    size_t first_byte = r->first_byte;
    r->out = &inner;
    r->first_byte = 0;
    enum vz_status status = render(r, at + 1, r->template->parts[at].end);
    r->out = outer;
    r->first_byte = first_byte;
    if (status == VZ_OK)
        append_url(vz_buf_slice(&inner), outer);
    vz_buf_deinit(&inner);
    return status;
}

static enum vz_status render(struct renderer *r, size_t from, size_t to)
{
    enum vz_status status = VZ_OK;
    for (size_t i = from; status == VZ_OK && i < to;) {
        const struct part *part = &r->template->parts[i];
        if (++r->steps > VZ_MUSTACHE_MAX_STEPS)
            return vz_fail(r->err, VZ_LIMIT, "rendering a template takes more than [%d] steps",
                           VZ_MUSTACHE_MAX_STEPS);
        switch (part->kind) {
        case TEXT:
            vz_buf_append_slice(r->out, part->text);
            break;
        case VARIABLE:
        case RAW:
            append_value(r, look_up(r, part->text), part->kind == RAW);
            break;
        case SECTION:
            status = render_section(r, i);
            break;
        case INVERTED:
            if (!is_true(look_up(r, part->text)))
                status = render(r, i + 1, part->end);
            break;
        case TO_JSON:
            append_tree(r, look_up(r, part->text));
            break;
        case JOIN:
            append_joined(r, part);
            break;
        case URL:
            status = render_url(r, i);
            break;
        }
        i = part->end ? part->end : i + 1;
        if (status == VZ_OK && r->out->len - r->first_byte > r->max_bytes)
            status =
                vz_fail(r->err, VZ_LIMIT, "a template gives more than [%zu] bytes", r->max_bytes);
    }
    return status;
}

enum vz_status vz_mustache_render(const struct vz_mustache *template,
                                  const struct vz_mustache_scope *scope, size_t max_bytes,
                                  struct vz_buf *out, struct vz_error *err)
{
    struct renderer r = {.template = template,
                         .scope = scope,
                         .max_bytes = max_bytes,
                         .first_byte = out->len,
                         .out = out,
                         .err = err};
    return render(&r, 0, template->count);
}
