/* What is known before any run: params, literals, constants of classes, and arithmetic and pure
 * functions of them.
 */
#include "script/compile.h"

static bool is_scalar(const struct vz_cell *cell)
{
    return cell->tag <= VZ_CELL_STRING;
}

static bool fold_operation(struct vz_compiler *c, const struct vz_ast *node, struct vz_cell *out)
{
    struct vz_cell a, b;
    struct vz_error ignored;
    struct vz_machine vm = {
        .arena = c->arena, .err = &ignored, .first_byte = c->arena->total_bytes};
    if (!vz_fold(c, node->a, &a) || !is_scalar(&a))
        return false;
    if (node->kind == VZ_AST_UNARY)
        return vz_unary(&vm, node->op, &a, out);
    if (node->kind == VZ_AST_CAST) {
        *out = a;
        return vz_convert(&vm, node->type, true, out);
    }
    return vz_fold(c, node->b, &b) && is_scalar(&b) && vz_binary(&vm, node->op, &a, &b, out);
}

static bool fold_static(struct vz_compiler *c, const struct vz_ast *node, struct vz_cell *out)
{
    struct vz_cell args[VZ_SCRIPT_MAX_ARGS];
    struct vz_error ignored;
    struct vz_machine vm = {
        .arena = c->arena, .err = &ignored, .first_byte = c->arena->total_bytes};
    unsigned count = 0;
    if (node->a->kind != VZ_AST_NAME || vz_compile_local(c, node->a->name))
        return false;
    const struct vz_static *found = vz_static_find(node->a->name, node->name, node->count);
    if (!found || !found->pure)
        return false;
    for (const struct vz_ast *arg = node->list; arg; arg = arg->next)
        if (!vz_fold(c, arg, &args[count]) || !vz_cell_is_number(&args[count++]))
            return false;
    return found->call(&vm, args, count, out);
}

static bool fold_member(struct vz_compiler *c, const struct vz_ast *node, struct vz_cell *out)
{
    struct vz_cell object, index;
    struct vz_value *found = NULL;
    if (node->kind == VZ_AST_MEMBER && node->a->kind == VZ_AST_NAME &&
        !vz_compile_local(c, node->a->name) && vz_static_constant(node->a->name, node->name, out))
        return true;
    if (!vz_fold(c, node->a, &object))
        return false;
    if (node->kind == VZ_AST_MEMBER) {
        if (object.tag != VZ_CELL_MAP)
            return false;
        found = vz_value_get(object.value, node->name);
    } else {
        if (!vz_fold(c, node->b, &index))
            return false;
        if (object.tag == VZ_CELL_MAP && index.tag == VZ_CELL_STRING)
            found = vz_value_get(object.value, index.value->string);
        else if (object.tag == VZ_CELL_LIST && index.tag == VZ_CELL_INT && index.integer >= 0 &&
                 (uint64_t)index.integer < object.value->array.count)
            found = object.value->array.items[index.integer];
        else
            return false;
    }
    *out = found ? vz_cell_from(found) : (struct vz_cell){.tag = VZ_CELL_NULL};
    return true;
}

/* Whether the node's value is known now. Lists and maps come from params only, and are frozen. */
bool vz_fold(struct vz_compiler *c, const struct vz_ast *node, struct vz_cell *out)
{
    switch (node->kind) {
    case VZ_AST_CONST:
        *out = node->constant;
        return true;
    case VZ_AST_NAME:
        if (!vz_slice_is(node->name, "params") || vz_compile_local(c, node->name))
            return false;
        c->met_params = true;
        *out = vz_cell_from(c->params);
        return true;
    case VZ_AST_MEMBER:
    case VZ_AST_INDEX:
        return fold_member(c, node, out);
    case VZ_AST_UNARY:
    case VZ_AST_BINARY:
    case VZ_AST_CAST:
        return fold_operation(c, node, out);
    case VZ_AST_METHOD:
        return fold_static(c, node, out);
    default:
        return false;
    }
}

/* An argument of a host's function; also [1.0, 2.0]. */
struct vz_value *vz_fold_argument(struct vz_compiler *c, const struct vz_ast *node)
{
    struct vz_cell cell;
    if (vz_fold(c, node, &cell)) {
        if (cell.tag == VZ_CELL_LIST || cell.tag == VZ_CELL_MAP)
            return cell.value;
        if (cell.tag == VZ_CELL_STRING)
            return vz_value_string(c->arena, cell.value->string);
        return vz_cell_value(&cell, c->arena);
    }
    if (node->kind != VZ_AST_LIST)
        return NULL;
    struct vz_value *list = vz_value_array(c->arena);
    for (const struct vz_ast *item = node->list; item; item = item->next) {
        if (!vz_fold(c, item, &cell) || !is_scalar(&cell))
            return NULL;
        struct vz_value *scalar = vz_cell_value(&cell, c->arena);
        vz_value_append(list, vz_value_copy(c->arena, scalar));
    }
    list->java = VZ_FROZEN;
    return list;
}
