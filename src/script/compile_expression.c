/* Expressions: literals and operators; one table says who compiles the others. */
#include "script/compile.h"

static enum vz_type literal(struct vz_compiler *c, const struct vz_ast *node)
{
    bool list = node->kind == VZ_AST_LIST;
    vz_emit(c, node, list ? VZ_CODE_LIST : VZ_CODE_MAP);
    for (const struct vz_ast *item = node->list; item; item = item->next) {
        vz_compile_expression(c, item, true);
        if (!list) {
            item = item->next;
            vz_compile_expression(c, item, true);
        }
        vz_emit(c, node, list ? VZ_CODE_APPEND : VZ_CODE_MAP_PUT);
    }
    return list ? VZ_TYPE_LIST : VZ_TYPE_MAP;
}

static enum vz_type logic(struct vz_compiler *c, const struct vz_ast *node)
{
    bool both = node->kind == VZ_AST_BOTH;
    vz_compile_condition(c, node->a);
    int32_t decided = vz_emit(c, node, both ? VZ_CODE_IF_FALSE : VZ_CODE_IF_TRUE);
    vz_compile_condition(c, node->b);
    vz_emit_with(c, node, VZ_CODE_CONVERT, VZ_TYPE_BOOL, 0, 0);
    int32_t end = vz_emit(c, node, VZ_CODE_JUMP);
    c->height--;
    vz_emit_land(c, decided);
    vz_emit_constant(c, node, vz_cell_bool(!both));
    vz_emit_land(c, end);
    return VZ_TYPE_BOOL;
}

static enum vz_type choice(struct vz_compiler *c, const struct vz_ast *node)
{
    vz_compile_condition(c, node->a);
    int32_t no = vz_emit(c, node, VZ_CODE_IF_FALSE);
    enum vz_type a = vz_compile_expression(c, node->b, true);
    int32_t end = vz_emit(c, node, VZ_CODE_JUMP);
    c->height--;
    vz_emit_land(c, no);
    enum vz_type b = vz_compile_expression(c, node->c, true);
    vz_emit_land(c, end);
    if (a == b)
        return a;
    if (!vz_type_is_number(a) || !vz_type_is_number(b))
        return VZ_TYPE_DEF;
    /* Java promotes both to one type. */
    enum vz_type type = VZ_MAX(VZ_MAX(a, b), VZ_TYPE_INT);
    vz_emit_with(c, node, VZ_CODE_CAST, type, 0, 0);
    return type;
}

static enum vz_type elvis(struct vz_compiler *c, const struct vz_ast *node)
{
    vz_compile_expression(c, node->a, true);
    int32_t set = vz_emit(c, node, VZ_CODE_IF_SET);
    vz_compile_expression(c, node->b, true);
    vz_emit_land(c, set);
    return VZ_TYPE_DEF;
}

static enum vz_type unary(struct vz_compiler *c, const struct vz_ast *node)
{
    enum vz_type type = vz_compile_expression(c, node->a, true);
    bool truth = node->op == VZ_OP_NOT;
    if (type != VZ_TYPE_DEF && type <= VZ_TYPE_STRING &&
        (truth ? type != VZ_TYPE_BOOL : !vz_type_is_number(type)))
        vz_compile_fail(c, VZ_BAD_ARGUMENT, node, "Cannot apply [%s] operation to type [%s].",
                        vz_op_text(node->op), vz_type_name(type));
    vz_emit_with(c, node, VZ_CODE_UNARY, node->op, 0, 0);
    return truth ? VZ_TYPE_BOOL : vz_type_is_number(type) ? VZ_MAX(type, VZ_TYPE_INT) : VZ_TYPE_DEF;
}

void vz_compile_condition(struct vz_compiler *c, const struct vz_ast *node)
{
    enum vz_type type = vz_compile_expression(c, node, true);
    if (type != VZ_TYPE_DEF && type != VZ_TYPE_BOOL && type != VZ_TYPE_BOXED_BOOL)
        vz_compile_fail(c, VZ_BAD_ARGUMENT, node, "Cannot cast from [%s] to [boolean].",
                        vz_type_name(type));
}

/* ---- expressions ----------------------------------------------------------------------------- */

static enum vz_type value(struct vz_compiler *c, const struct vz_ast *node)
{
    struct vz_cell cell;
    c->met_params = false;
    if (vz_fold(c, node, &cell)) {
        vz_emit_constant(c, node, cell);
        return c->met_params ? VZ_TYPE_DEF : vz_type_of(&cell);
    }
    switch (node->kind) {
    case VZ_AST_NAME:
        return vz_compile_variable(c, node);
    case VZ_AST_MEMBER:
        return vz_compile_member(c, node);
    case VZ_AST_INDEX:
        return vz_compile_index(c, node);
    case VZ_AST_CALL:
        return vz_compile_call(c, node);
    case VZ_AST_METHOD:
        return vz_compile_method(c, node);
    case VZ_AST_NEW:
        return vz_compile_new(c, node);
    case VZ_AST_LIST:
    case VZ_AST_MAP:
        return literal(c, node);
    case VZ_AST_UNARY:
        return unary(c, node);
    case VZ_AST_BINARY: {
        enum vz_type a = vz_compile_expression(c, node->a, true),
                     b = vz_compile_expression(c, node->b, true);
        vz_emit_with(c, node, VZ_CODE_BINARY, node->op, 0, 0);
        return vz_type_of_binary(c, node, a, b);
    }
    case VZ_AST_BOTH:
    case VZ_AST_EITHER:
        return logic(c, node);
    case VZ_AST_CHOICE:
        return choice(c, node);
    case VZ_AST_ELVIS:
        return elvis(c, node);
    case VZ_AST_CAST:
        vz_compile_expression(c, node->a, true);
        vz_emit_with(c, node, VZ_CODE_CAST, node->type, 0, 0);
        return node->type;
    case VZ_AST_INSTANCE:
        vz_compile_expression(c, node->a, true);
        vz_emit_with(c, node, VZ_CODE_INSTANCE, node->type, 0, 0);
        return VZ_TYPE_BOOL;
    default:
        vz_compile_fail(c, VZ_BAD_ARGUMENT, node, "not an expression");
        return VZ_TYPE_DEF;
    }
}

/* Leaves the value on the stack when it is wanted. */
enum vz_type vz_compile_expression(struct vz_compiler *c, const struct vz_ast *node, bool want)
{
    if (c->status != VZ_OK)
        return VZ_TYPE_DEF;
    if (node->kind == VZ_AST_ASSIGN || node->kind == VZ_AST_COMPUTE || node->kind == VZ_AST_STEP)
        return vz_compile_assign(c, node, want);
    enum vz_type type = value(c, node);
    if (!want)
        vz_emit(c, node, VZ_CODE_POP);
    return type;
}
