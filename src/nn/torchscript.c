/* nn/torchscript.c - the text of a traced module's forward() to a graph.
 *
 * The grammar is the small part of Python that torch's printer uses for straight-line code:
 *
 *     class NAME(Module):
 *       __parameters__ = [] ...
 *       def forward(self: T, a: Tensor, b: Tensor) -> Tensor:
 *         x = EXPRESSION
 *         return EXPRESSION
 *
 *     EXPRESSION: NUMBER | STRING | NAME | [E, ..] | (E, ..) | NAME.NAME(E, KEY=E, ..) | E[E]
 *
 * Names are bound once to a node, so the text becomes a graph without copying anything. Anything
 * else (if, while, a method of a submodule) is refused with the line it stands in.
 */
#include "nn/torchscript.h"

#include <ctype.h>
#include <stdlib.h>

#include <zlib.h>

#include "base/text.h"
#include "nn/weights_parts.h"

#define MAX_TEXT_BYTES (8u << 20)
#define MAX_NODES (1u << 20)
#define MAX_NESTING 100
#define MAX_ARGS 64

struct vz_torchscript {
    struct vz_weights *weights; /* the constants */
    struct vz_arena arena;      /* the text and the graph */
    const struct vz_script_node *result;
};

struct parser {
    struct vz_torchscript *module;
    const char *path;
    struct vz_error *err;
    const char *at, *end;
    unsigned line, depth;
    size_t nodes;
    struct vz_strmap names; /* -> struct vz_script_node * */
};

static enum vz_status fault(struct parser *p, enum vz_status status, const char *what)
{
    return vz_fail(p->err, status, "%s: code, line %u: %s", p->path, p->line, what);
}

/* ---- words --------------------------------------------------------------------------------- */

static void skip_blanks(struct parser *p)
{
    for (; p->at < p->end && isspace((unsigned char)*p->at); p->at++)
        p->line += *p->at == '\n';
}

static bool take(struct parser *p, char c)
{
    skip_blanks(p);
    if (p->at == p->end || *p->at != c)
        return false;
    p->at++;
    return true;
}

static bool is_word_char(char c)
{
    return isalnum((unsigned char)c) || c == '_' || c == '.';
}

/* "torch.linear", "x0", "CONSTANTS.c7"; empty when there is none. */
static struct vz_slice take_word(struct parser *p)
{
    skip_blanks(p);
    const char *start = p->at;
    if (p->at < p->end && (isalpha((unsigned char)*p->at) || *p->at == '_'))
        while (p->at < p->end && is_word_char(*p->at))
            p->at++;
    return (struct vz_slice){start, (size_t)(p->at - start)};
}

static bool take_keyword(struct parser *p, const char *word)
{
    struct parser before = *p;
    if (vz_slice_is(take_word(p), word))
        return true;
    p->at = before.at;
    p->line = before.line;
    return false;
}

/* ---- expressions --------------------------------------------------------------------------- */

static struct vz_script_node *node_new(struct parser *p, enum vz_script_node_kind kind)
{
    p->nodes++;
    struct vz_script_node *node = vz_arena_zalloc(&p->module->arena, sizeof *node);
    node->kind = kind;
    return node;
}

static enum vz_status parse_expression(struct parser *p, const struct vz_script_node **out);

/* Items up to `close`, which is taken. KEY= in front of one is dropped. */
static enum vz_status parse_items(struct parser *p, char close, struct vz_script_node *node)
{
    const struct vz_script_node *items[MAX_ARGS];
    while (!take(p, close)) {
        if (node->arg_count && !take(p, ','))
            return fault(p, VZ_UNSUPPORTED, "expected a comma");
        if (take(p, close)) /* (x,) */
            break;
        if (node->arg_count == MAX_ARGS)
            return fault(p, VZ_LIMIT, "a list of more than 64 values");
        struct parser before = *p;
        if (take_word(p).len == 0 || !take(p, '=')) {
            p->at = before.at;
            p->line = before.line;
        }
        enum vz_status status = parse_expression(p, &items[node->arg_count]);
        if (status != VZ_OK)
            return status;
        node->arg_count++;
    }
    node->args = vz_arena_alloc(&p->module->arena, (node->arg_count + 1) * sizeof(*node->args));
    memcpy(node->args, items, node->arg_count * sizeof(*items));
    return VZ_OK;
}

static enum vz_status parse_number(struct parser *p, const struct vz_script_node **out)
{
    char text[64];
    size_t len = 0;
    bool is_float = false;
    while (p->at < p->end && len + 1 < sizeof text &&
           (isalnum((unsigned char)*p->at) || *p->at == '.' ||
            ((*p->at == '-' || *p->at == '+') && (len == 0 || text[len - 1] == 'e')))) {
        is_float |= *p->at == '.' || *p->at == 'e';
        text[len++] = *p->at++;
    }
    text[len] = 0;
    char *end;
    struct vz_script_node *node = node_new(p, is_float ? VZ_NODE_FLOAT : VZ_NODE_INT);
    if (is_float)
        node->number = strtod(text, &end);
    else
        node->number = (double)(node->integer = strtoll(text, &end, 10));
    *out = node;
    return len > 0 && *end == 0 ? VZ_OK : fault(p, VZ_UNSUPPORTED, "a number that cannot be read");
}

static enum vz_status parse_string(struct parser *p, const struct vz_script_node **out)
{
    const char *start = ++p->at;
    while (p->at < p->end && *p->at != '"' && *p->at != '\n')
        p->at += p->at[0] == '\\' && p->at + 1 < p->end ? 2 : 1;
    if (p->at >= p->end || *p->at != '"')
        return fault(p, VZ_UNSUPPORTED, "a string without an end");
    struct vz_script_node *node = node_new(p, VZ_NODE_WORD);
    node->name = (struct vz_slice){start, (size_t)(p->at++ - start)};
    *out = node;
    return VZ_OK;
}

static bool is_literal_word(struct vz_slice word)
{
    return vz_slice_is(word, "None") || vz_slice_is(word, "True") || vz_slice_is(word, "False");
}

/* A name that was bound, a constant, True; or a call. */
static enum vz_status parse_named(struct parser *p, const struct vz_script_node **out)
{
    struct vz_slice word = take_word(p);
    uint64_t bound;
    if (take(p, '(')) {
        struct vz_script_node *node = node_new(p, VZ_NODE_CALL);
        node->name = word;
        *out = node;
        return parse_items(p, ')', node);
    }
    if (vz_strmap_get(&p->names, word, &bound)) {
        *out = (const struct vz_script_node *)(uintptr_t)bound;
        return VZ_OK;
    }
    struct vz_script_node *node = node_new(p, VZ_NODE_WORD);
    node->name = word;
    *out = node;
    if (vz_slice_starts(word, "CONSTANTS.")) {
        size_t skip = strlen("CONSTANTS.");
        char name[32];
        if (word.len - skip < sizeof name) {
            memcpy(name, word.ptr + skip, word.len - skip);
            name[word.len - skip] = 0;
            node->kind = VZ_NODE_CONSTANT;
            node->tensor = vz_weights_find(p->module->weights, name);
        }
        return node->tensor ? VZ_OK : fault(p, VZ_CORRUPT, "a constant that the file does not hold");
    }
    if (is_literal_word(word))
        return VZ_OK;
    return vz_fail(p->err, VZ_UNSUPPORTED,
                   "%s: code, line %u: [%.*s] is not known here: only a traced and frozen module "
                   "can be read",
                   p->path, p->line, (int)VZ_MIN(word.len, 80), word.ptr);
}

static enum vz_status parse_plain(struct parser *p, const struct vz_script_node **out)
{
    skip_blanks(p);
    if (p->at == p->end)
        return fault(p, VZ_CORRUPT, "the text ends in an expression");
    if (*p->at == '[' || *p->at == '(') {
        char close = *p->at++ == '[' ? ']' : ')';
        struct vz_script_node *node = node_new(p, VZ_NODE_LIST);
        enum vz_status status = parse_items(p, close, node);
        /* (x) is x; (x,) was told apart by nothing, and no module needs the difference. */
        *out = close == ')' && node->arg_count == 1 ? node->args[0] : node;
        return status;
    }
    if (*p->at == '"')
        return parse_string(p, out);
    if (isdigit((unsigned char)*p->at) || *p->at == '-' || *p->at == '.')
        return parse_number(p, out);
    if (isalpha((unsigned char)*p->at) || *p->at == '_')
        return parse_named(p, out);
    return fault(p, VZ_UNSUPPORTED, "something that no traced module has");
}

static enum vz_status parse_expression(struct parser *p, const struct vz_script_node **out)
{
    if (++p->depth > MAX_NESTING || p->nodes > MAX_NODES)
        return fault(p, VZ_LIMIT, "nested too deeply, or too long");
    enum vz_status status = parse_plain(p, out);
    while (status == VZ_OK && take(p, '[')) { /* x[0] */
        struct vz_script_node *node = node_new(p, VZ_NODE_CALL);
        const struct vz_script_node **args =
            vz_arena_alloc(&p->module->arena, 2 * sizeof(*args));
        args[0] = *out;
        node->name = VZ_SLICE("[]");
        node->args = args;
        node->arg_count = 2;
        status = parse_expression(p, &args[1]);
        if (status == VZ_OK && !take(p, ']'))
            status = fault(p, VZ_UNSUPPORTED, "expected ]");
        *out = node;
    }
    p->depth--;
    return status;
}

/* ---- the function -------------------------------------------------------------------------- */

/* Moves behind the next `text`. */
static bool seek(struct parser *p, const char *text)
{
    const char *found = memmem(p->at, (size_t)(p->end - p->at), text, strlen(text));
    if (!found)
        return false;
    for (; p->at < found; p->at++)
        p->line += *p->at == '\n';
    p->at += strlen(text);
    return true;
}

static void skip_type(struct parser *p, const char *until)
{
    unsigned open = 0;
    for (; p->at < p->end && (open || !strchr(until, *p->at)); p->at++) {
        open += *p->at == '[' || *p->at == '(';
        open -= open && (*p->at == ']' || *p->at == ')');
        p->line += *p->at == '\n';
    }
}

/* "(self: T, a: Tensor) -> Tensor:" */
static enum vz_status parse_parameters(struct parser *p)
{
    for (bool first = true; !take(p, ')'); first = false) {
        if (!first && !take(p, ','))
            return fault(p, VZ_UNSUPPORTED, "expected a comma between parameters");
        struct vz_slice name = take_word(p);
        if (name.len == 0 || !take(p, ':'))
            return fault(p, VZ_UNSUPPORTED, "expected a parameter and its type");
        skip_type(p, ",)");
        if (first)
            continue; /* self */
        struct vz_script_node *node = node_new(p, VZ_NODE_INPUT);
        node->name = name;
        vz_strmap_put(&p->names, name, (uint64_t)(uintptr_t)node);
    }
    skip_type(p, ":");
    return take(p, ':') ? VZ_OK : fault(p, VZ_UNSUPPORTED, "expected a colon");
}

/* "x = E", "x: T = E" or "return E". */
static enum vz_status parse_line(struct parser *p, bool *done)
{
    const struct vz_script_node *value;
    if (take_keyword(p, "return")) {
        enum vz_status status = parse_expression(p, &value);
        p->module->result = value;
        *done = true;
        return status;
    }
    struct vz_slice name = take_word(p);
    if (take(p, ':'))
        skip_type(p, "=\n");
    if (name.len == 0 || memchr(name.ptr, '.', name.len) || !take(p, '='))
        return fault(p, VZ_UNSUPPORTED, "only assignments and calls can be read: no branches, no "
                                        "loops");
    enum vz_status status = parse_expression(p, &value);
    if (status == VZ_OK && !vz_strmap_put(&p->names, name, (uint64_t)(uintptr_t)value))
        status = fault(p, VZ_UNSUPPORTED, "a name is bound twice");
    return status;
}

static enum vz_status parse_forward(struct parser *p)
{
    if (!seek(p, "def forward("))
        return fault(p, VZ_UNSUPPORTED, "no function forward");
    enum vz_status status = parse_parameters(p);
    bool done = false;
    while (status == VZ_OK && !done)
        status = parse_line(p, &done);
    return status;
}

/* ---- files --------------------------------------------------------------------------------- */

static enum vz_status text_unpack(const char *path, const struct nn_traced_text *text,
                                  struct vz_arena *arena, struct vz_slice *out,
                                  struct vz_error *err)
{
    *out = text->packed;
    if (text->bytes > MAX_TEXT_BYTES)
        return vz_fail(err, VZ_LIMIT, "%s: its code is longer than %u bytes", path, MAX_TEXT_BYTES);
    if (!text->is_deflated)
        return VZ_OK;
    char *plain = vz_arena_alloc(arena, (size_t)text->bytes + 1);
    z_stream z = {.next_in = (Bytef *)(uintptr_t)text->packed.ptr,
                  .avail_in = (uInt)text->packed.len,
                  .next_out = (Bytef *)plain,
                  .avail_out = (uInt)text->bytes};
    if (text->packed.len > MAX_TEXT_BYTES || inflateInit2(&z, -MAX_WBITS) != Z_OK)
        return vz_fail(err, VZ_CORRUPT, "%s: its code cannot be unpacked", path);
    int rc = inflate(&z, Z_FINISH);
    inflateEnd(&z);
    *out = (struct vz_slice){plain, (size_t)text->bytes};
    return rc == Z_STREAM_END && z.total_out == text->bytes
               ? VZ_OK
               : vz_fail(err, VZ_CORRUPT, "%s: its code cannot be unpacked", path);
}

enum vz_status vz_torchscript_open(const char *path, struct vz_torchscript **out,
                                   struct vz_error *err)
{
    *out = NULL;
    struct vz_torchscript *module = vz_calloc(1, sizeof *module);
    struct nn_traced_text text;
    struct vz_slice code;
    enum vz_status status = nn_weights_open_traced(path, &module->weights, &text, err);
    if (status == VZ_OK)
        status = text_unpack(path, &text, &module->arena, &code, err);
    if (status == VZ_OK) {
        struct parser p = {.module = module,
                           .path = path,
                           .err = err,
                           .at = code.ptr,
                           .end = code.ptr + code.len,
                           .line = 1};
        status = parse_forward(&p);
        vz_strmap_deinit(&p.names);
    }
    if (status == VZ_OK)
        *out = module;
    else
        vz_torchscript_close(module);
    return status;
}

void vz_torchscript_close(struct vz_torchscript *module)
{
    if (!module)
        return;
    vz_weights_close(module->weights);
    vz_arena_deinit(&module->arena);
    free(module);
}

const struct vz_script_node *vz_torchscript_result(const struct vz_torchscript *module)
{
    return module->result;
}
