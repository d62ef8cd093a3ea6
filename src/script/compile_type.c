/* Types, followed as far as they are declared. */
#include "script/compile.h"

enum vz_type vz_type_of(const struct vz_cell *cell)
{
    static const enum vz_type types[VZ_CELL_COUNT] = {
        [VZ_CELL_BOOL] = VZ_TYPE_BOOL,     [VZ_CELL_CHAR] = VZ_TYPE_CHAR,
        [VZ_CELL_INT] = VZ_TYPE_INT,       [VZ_CELL_LONG] = VZ_TYPE_LONG,
        [VZ_CELL_FLOAT] = VZ_TYPE_FLOAT,   [VZ_CELL_DOUBLE] = VZ_TYPE_DOUBLE,
        [VZ_CELL_STRING] = VZ_TYPE_STRING,
    };
    return types[cell->tag]; /* 0, DEF, for all others */
}

/* Whether Java converts by itself; unknown types are looked at when running. */
static bool converts(enum vz_type from, enum vz_type to)
{
    if (from == VZ_TYPE_DEF || to == VZ_TYPE_DEF || from == to || from > VZ_TYPE_STRING ||
        to > VZ_TYPE_STRING)
        return true;
    if (vz_type_is_number(from) && vz_type_is_number(to))
        return from < to || (from == VZ_TYPE_INT && to < VZ_TYPE_INT);
    return from == VZ_TYPE_CHAR && to == VZ_TYPE_STRING;
}

void vz_compile_convert(struct vz_compiler *c, const struct vz_ast *node, enum vz_type from,
                        enum vz_type to)
{
    if (!converts(from, to))
        vz_compile_fail(c, VZ_BAD_ARGUMENT, node, "Cannot cast from [%s] to [%s].",
                        vz_type_name(from), vz_type_name(to));
    if (from != to && to != VZ_TYPE_DEF)
        vz_emit_with(c, node, VZ_CODE_CONVERT, (unsigned)to, 0, 0);
}

enum vz_type vz_type_of_binary(struct vz_compiler *c, const struct vz_ast *node, enum vz_type a,
                               enum vz_type b)
{
    enum vz_op op = node->op;
    bool numbers = vz_type_is_number(a) && vz_type_is_number(b);
    if (op >= VZ_OP_LT && op <= VZ_OP_NOT_SAME) {
        bool ordered = op <= VZ_OP_GE;
        if (ordered && a != VZ_TYPE_DEF && b != VZ_TYPE_DEF && !numbers && a <= VZ_TYPE_STRING &&
            b <= VZ_TYPE_STRING)
            vz_compile_fail(c, VZ_BAD_ARGUMENT, node,
                            "Cannot apply [%s] operation to types [%s] and [%s].", vz_op_text(op),
                            vz_type_name(a), vz_type_name(b));
        return VZ_TYPE_BOOL;
    }
    if (op == VZ_OP_ADD && (a == VZ_TYPE_STRING || b == VZ_TYPE_STRING))
        return VZ_TYPE_STRING;
    if (a == VZ_TYPE_DEF || b == VZ_TYPE_DEF || a > VZ_TYPE_STRING || b > VZ_TYPE_STRING)
        return VZ_TYPE_DEF;
    if (a == VZ_TYPE_BOOL && b == VZ_TYPE_BOOL && op >= VZ_OP_AND)
        return VZ_TYPE_BOOL;
    if (!numbers) {
        vz_compile_fail(c, VZ_BAD_ARGUMENT, node,
                        "Cannot apply [%s] operation to types [%s] and [%s].", vz_op_text(op),
                        vz_type_name(a), vz_type_name(b));
        return VZ_TYPE_DEF;
    }
    if (op >= VZ_OP_SHL && op <= VZ_OP_USHR)
        return VZ_MAX(a, VZ_TYPE_INT);
    return VZ_MAX(VZ_MAX(a, b), VZ_TYPE_INT);
}
