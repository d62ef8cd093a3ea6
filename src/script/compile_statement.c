/* Statements: declarations, branches, loops and the ways out of them. */
#include "script/compile.h"

static unsigned add_local(struct vz_compiler *c, const struct vz_ast *node, struct vz_slice name,
                          enum vz_type type)
{
    if (name.len && vz_compile_local(c, name))
        vz_compile_fail(c, VZ_BAD_ARGUMENT, node, "variable [%.*s] already defined", VZ_NAME(name));
    if (c->local_count == VZ_COMPILE_MAX_LOCALS) {
        vz_compile_fail(c, VZ_LIMIT, node, "more than [%d] variables", VZ_COMPILE_MAX_LOCALS);
        return 0;
    }
    c->locals[c->local_count] = (struct vz_local){name, type};
    c->most_locals = VZ_MAX(c->most_locals, c->local_count + 1);
    return c->local_count++;
}

static void declare(struct vz_compiler *c, const struct vz_ast *node)
{
    enum vz_type type = node->type;
    if (node->a) {
        vz_compile_convert(c, node, vz_compile_expression(c, node->a, true), type);
    } else {
        struct vz_cell nothing = {.tag = VZ_CELL_NULL};
        if (vz_type_is_number(type) || type == VZ_TYPE_BOOL) {
            struct vz_machine vm = {.status = VZ_OK};
            nothing = type == VZ_TYPE_BOOL ? vz_cell_bool(false) : vz_cell_int(0);
            vz_convert(&vm, type, true, &nothing);
        }
        vz_emit_constant(c, node, nothing);
    }
    unsigned slot = add_local(c, node, node->name, type);
    vz_emit_with(c, node, VZ_CODE_STORE, 0, slot, 0);
}

static void block(struct vz_compiler *c, const struct vz_ast *node)
{
    unsigned before = c->local_count;
    for (const struct vz_ast *child = node->list; child && c->status == VZ_OK; child = child->next)
        vz_compile_statement(c, child);
    if (!node->name.len) /* "int a, b" has no scope of its own */
        c->local_count = before;
}

static void scoped(struct vz_compiler *c, const struct vz_ast *node)
{
    unsigned before = c->local_count;
    vz_compile_statement(c, node);
    c->local_count = before;
}

static void branch(struct vz_compiler *c, const struct vz_ast *node)
{
    vz_compile_condition(c, node->a);
    int32_t no = vz_emit(c, node, VZ_CODE_IF_FALSE), end = -1;
    scoped(c, node->b);
    if (node->c)
        end = vz_emit(c, node, VZ_CODE_JUMP);
    vz_emit_land(c, no);
    if (node->c) {
        scoped(c, node->c);
        vz_emit_land(c, end);
    }
}

static void loop_over(struct vz_compiler *c, const struct vz_ast *node)
{
    struct vz_loop loop = {c->loop, -1, -1};
    unsigned before = c->local_count;
    c->loop = &loop;
    for (const struct vz_ast *child = node->list; child; child = child->next) {
        if (child->kind == VZ_AST_DECLARE || child->kind == VZ_AST_BLOCK)
            vz_compile_statement(c, child);
        else
            vz_compile_expression(c, child, false);
    }
    int32_t start = (int32_t)c->code.count, leave = -1;
    if (node->a && node->kind != VZ_AST_DO) {
        vz_compile_condition(c, node->a);
        leave = vz_emit(c, node, VZ_CODE_IF_FALSE);
    }
    scoped(c, node->b);
    int32_t next = (int32_t)c->code.count;
    if (node->kind == VZ_AST_DO) {
        vz_compile_condition(c, node->a);
        leave = vz_emit(c, node, VZ_CODE_IF_FALSE);
    } else if (node->c) {
        vz_compile_expression(c, node->c, false);
    }
    vz_emit_with(c, node, VZ_CODE_LOOP, 0, 0, start);
    if (leave >= 0)
        vz_emit_land(c, leave);
    vz_emit_land_chain(c, loop.continues, next);
    vz_emit_land_chain(c, loop.breaks, (int32_t)c->code.count);
    c->loop = loop.outer;
    c->local_count = before;
}

static void each(struct vz_compiler *c, const struct vz_ast *node)
{
    struct vz_loop loop = {c->loop, -1, -1};
    unsigned before = c->local_count;
    vz_compile_expression(c, node->a, true);
    unsigned hidden = add_local(c, node, (struct vz_slice){"", 0}, VZ_TYPE_DEF);
    add_local(c, node, (struct vz_slice){"", 0}, VZ_TYPE_DEF);
    unsigned item = add_local(c, node, node->name, node->type);
    c->loop = &loop;
    vz_emit_with(c, node, VZ_CODE_EACH_START, 0, hidden, 0);
    int32_t start = vz_emit_with(c, node, VZ_CODE_EACH, 0, hidden, 0);
    vz_compile_convert(c, node, VZ_TYPE_DEF, node->type);
    vz_emit_with(c, node, VZ_CODE_STORE, 0, item, 0);
    scoped(c, node->b);
    vz_emit_with(c, node, VZ_CODE_LOOP, 0, 0, start);
    vz_emit_land(c, start);
    vz_emit_land_chain(c, loop.continues, start);
    vz_emit_land_chain(c, loop.breaks, (int32_t)c->code.count);
    c->loop = loop.outer;
    c->local_count = before;
}

static void jump_out(struct vz_compiler *c, const struct vz_ast *node)
{
    if (!c->loop) {
        vz_compile_fail(c, VZ_BAD_ARGUMENT, node, "%s statement outside of a loop",
                        node->kind == VZ_AST_BREAK ? "break" : "continue");
        return;
    }
    int32_t *chain = node->kind == VZ_AST_BREAK ? &c->loop->breaks : &c->loop->continues;
    int32_t jump = vz_emit(c, node, VZ_CODE_JUMP);
    vz_emit_at(c, jump)->c = *chain;
    *chain = jump;
}

/* "IllegalArgumentException" -> "illegal_argument_exception" */
static struct vz_slice snake(struct vz_compiler *c, struct vz_slice name)
{
    char *out = vz_arena_alloc(c->arena, name.len * 2 + 1);
    size_t len = 0;
    for (size_t i = 0; i < name.len; i++) {
        bool upper = name.ptr[i] >= 'A' && name.ptr[i] <= 'Z';
        if (upper && i)
            out[len++] = '_';
        out[len++] = (char)(upper ? name.ptr[i] + 32 : name.ptr[i]);
    }
    return (struct vz_slice){out, len};
}

static void throw_out(struct vz_compiler *c, const struct vz_ast *node)
{
    if (node->a)
        vz_compile_expression(c, node->a, true);
    else
        vz_emit(c, node, VZ_CODE_NULL);
    vz_emit_with(c, node, VZ_CODE_THROW, 0, 0, (int64_t)vz_emit_name(c, snake(c, node->name), 0));
}

static void plain_expression(struct vz_compiler *c, const struct vz_ast *node)
{
    switch (node->kind) {
    case VZ_AST_CALL:
    case VZ_AST_METHOD:
    case VZ_AST_NEW:
    case VZ_AST_ASSIGN:
    case VZ_AST_COMPUTE:
    case VZ_AST_STEP:
        vz_compile_expression(c, node, false);
        return;
    default:
        vz_compile_fail(c, VZ_BAD_ARGUMENT, node,
                        "not a statement: the result of the expression is not used");
    }
}

void vz_compile_statement(struct vz_compiler *c, const struct vz_ast *node)
{
    if (c->status != VZ_OK)
        return;
    switch (node->kind) {
    case VZ_AST_BLOCK:
        block(c, node);
        break;
    case VZ_AST_DECLARE:
        declare(c, node);
        break;
    case VZ_AST_EXPRESSION:
        plain_expression(c, node->a);
        break;
    case VZ_AST_IF:
        branch(c, node);
        break;
    case VZ_AST_WHILE:
    case VZ_AST_DO:
    case VZ_AST_FOR:
        loop_over(c, node);
        break;
    case VZ_AST_EACH:
        each(c, node);
        break;
    case VZ_AST_BREAK:
    case VZ_AST_CONTINUE:
        jump_out(c, node);
        break;
    case VZ_AST_RETURN:
        if (node->a) {
            vz_compile_expression(c, node->a, true);
            vz_emit(c, node, VZ_CODE_RETURN);
            c->has_result = true;
        } else {
            vz_emit(c, node, VZ_CODE_END);
        }
        break;
    case VZ_AST_THROW:
        throw_out(c, node);
        break;
    default:
        vz_compile_fail(c, VZ_BAD_ARGUMENT, node, "not a statement");
    }
}
