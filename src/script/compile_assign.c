/* Assignments: to variables and to what lies in lists and maps; =, +=, ++. */
#include "script/compile.h"

static void one(struct vz_compiler *c, const struct vz_ast *node)
{
    vz_emit_constant(c, node, vz_cell_int(1));
}

static enum vz_type assign_local(struct vz_compiler *c, const struct vz_ast *node, bool want)
{
    const struct vz_ast *target = node->a;
    struct vz_local *local = vz_compile_local(c, target->name);
    if (!local) {
        vz_compile_fail(c, VZ_BAD_ARGUMENT, target, "cannot resolve symbol [%.*s]",
                        VZ_NAME(target->name));
        return VZ_TYPE_DEF;
    }
    unsigned slot = (unsigned)(local - c->locals);
    enum vz_type type = local->type;
    bool step = node->kind == VZ_AST_STEP;
    if (step && !want && (type == VZ_TYPE_INT || type == VZ_TYPE_LONG)) {
        vz_emit_with(c, node, VZ_CODE_ADD_LOCAL, type == VZ_TYPE_LONG, slot,
                     node->op == VZ_OP_ADD ? 1 : -1);
        return type;
    }
    if (node->kind == VZ_AST_ASSIGN) {
        vz_compile_convert(c, node, vz_compile_expression(c, node->b, true), type);
    } else {
        vz_emit_with(c, node, VZ_CODE_LOCAL, 0, slot, 0);
        if (step && want && node->postfix)
            vz_emit(c, node, VZ_CODE_DUP);
        enum vz_type other = VZ_TYPE_INT;
        if (step)
            one(c, node);
        else
            other = vz_compile_expression(c, node->b, true);
        vz_type_of_binary(c, node, type, other);
        vz_emit_with(c, node, VZ_CODE_BINARY, node->op, 0, 0);
        if (type != VZ_TYPE_DEF) /* a += b is a = (type) (a + b) */
            vz_emit_with(c, node, VZ_CODE_CAST, type, 0, 0);
    }
    bool keep = want && !(step && node->postfix);
    vz_emit_with(c, node, keep ? VZ_CODE_STORE_KEEP : VZ_CODE_STORE, 0, slot, 0);
    return type;
}

enum vz_type vz_compile_assign(struct vz_compiler *c, const struct vz_ast *node, bool want)
{
    const struct vz_ast *target = node->a;
    if (target->kind == VZ_AST_NAME)
        return assign_local(c, node, want);
    if ((target->kind != VZ_AST_MEMBER && target->kind != VZ_AST_INDEX) || target->null_safe ||
        vz_compile_is_doc(c, target->a)) {
        vz_compile_fail(c, VZ_BAD_ARGUMENT, node,
                        "invalid assignment: cannot assign a value to a non-reference expression");
        return VZ_TYPE_DEF;
    }
    bool is_member = target->kind == VZ_AST_MEMBER, step = node->kind == VZ_AST_STEP;
    enum vz_code under = is_member ? VZ_CODE_UNDER1 : VZ_CODE_UNDER;
    size_t name = is_member ? vz_compile_getter(c, target->name) : 0;
    vz_compile_expression(c, target->a, true);
    if (!is_member)
        vz_compile_expression(c, target->b, true);
    if (node->kind != VZ_AST_ASSIGN) {
        vz_emit(c, node, is_member ? VZ_CODE_DUP : VZ_CODE_DUP2);
        vz_emit_with(c, node, is_member ? VZ_CODE_GET : VZ_CODE_AT, 0, 0, (int64_t)name);
        if (step && node->postfix && want)
            vz_emit(c, node, under);
    }
    if (step)
        one(c, node);
    else
        vz_compile_expression(c, node->b, true);
    if (node->kind != VZ_AST_ASSIGN)
        vz_emit_with(c, node, VZ_CODE_BINARY, node->op, 0, 0);
    if (want && !(step && node->postfix))
        vz_emit(c, node, under);
    vz_emit_with(c, node, is_member ? VZ_CODE_SET : VZ_CODE_PUT, 0, 0, (int64_t)name);
    return VZ_TYPE_DEF;
}
