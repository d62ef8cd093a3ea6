/* Calls: the host's functions, functions of a class, methods, new objects. */
#include "script/compile.h"

static enum vz_type host_call(struct vz_compiler *c, const struct vz_ast *node, unsigned index)
{
    const struct vz_script_function *function = &c->host->functions[index];
    struct vz_host_call call = {.function = index};
    const struct vz_value *constant[VZ_SCRIPT_MAX_ARGS];
    unsigned at = 0, on_stack = 0;
    for (const struct vz_ast *arg = node->list; arg; arg = arg->next, at++) {
        constant[at] = call.constant[at] = vz_fold_argument(c, arg);
        if (!call.constant[at]) {
            vz_compile_expression(c, arg, true);
            on_stack++;
        }
    }
    struct vz_error inner = {0};
    enum vz_status status = VZ_OK;
    if (function->prepare && c->status == VZ_OK)
        status = function->prepare(c->host->context, constant, node->count, &call.prepared, &inner);
    if (status != VZ_OK) {
        vz_compile_fail(c, status, node, "%s", inner.text);
        if (inner.cause[0])
            vz_fail_cause(c->err, "%s", inner.cause);
    }
    size_t place = vz_emit_item(c, &c->calls, &call, sizeof call);
    vz_emit_with(c, node, VZ_CODE_HOST, node->count, on_stack, (int64_t)place);
    return VZ_TYPE_DOUBLE;
}

/* field('x').get(default), $('x', default) */
static enum vz_type field_default(struct vz_compiler *c, const struct vz_ast *node,
                                  const struct vz_ast *name, const struct vz_ast *other)
{
    struct vz_cell cell;
    if (!vz_fold(c, name, &cell) || cell.tag != VZ_CELL_STRING) {
        vz_compile_fail(c, VZ_UNSUPPORTED, node,
                        "vizsla supports [field] with a constant name only");
        return VZ_TYPE_DEF;
    }
    vz_emit_with(c, node, VZ_CODE_DOC_FIELD, 1, vz_compile_doc_slot(c, node, cell.value->string),
                 0);
    if (other) {
        vz_compile_expression(c, other, true);
        vz_emit(c, node, VZ_CODE_FIELD_GET);
    }
    return VZ_TYPE_DEF;
}

static bool is_field_call(struct vz_compiler *c, const struct vz_ast *node)
{
    return c->host->has_doc && node->kind == VZ_AST_CALL && node->count == 1 &&
           vz_slice_is(node->name, "field");
}

enum vz_type vz_compile_call(struct vz_compiler *c, const struct vz_ast *node)
{
    for (unsigned i = 0; i < c->host->function_count; i++) {
        const struct vz_script_function *function = &c->host->functions[i];
        if (vz_slice_is(node->name, function->name) && node->count >= function->min_args &&
            node->count <= function->max_args)
            return host_call(c, node, i);
    }
    if (is_field_call(c, node))
        return field_default(c, node, node->list, NULL);
    if (c->host->has_doc && vz_slice_is(node->name, "$") && node->count == 2)
        return field_default(c, node, node->list, node->list->next);
    vz_compile_fail(c, VZ_BAD_ARGUMENT, node, "Unknown call [%.*s] with [%u] arguments.",
                    VZ_NAME(node->name), node->count);
    return VZ_TYPE_DEF;
}

static enum vz_type static_call(struct vz_compiler *c, const struct vz_ast *node)
{
    const struct vz_static *found = vz_static_find(node->a->name, node->name, node->count);
    if (!found) {
        vz_compile_fail(c, VZ_BAD_ARGUMENT, node, "static method [%.*s, %.*s/%u] not found",
                        VZ_NAME(node->a->name), VZ_NAME(node->name), node->count);
        return VZ_TYPE_DEF;
    }
    for (const struct vz_ast *arg = node->list; arg; arg = arg->next)
        vz_compile_expression(c, arg, true);
    size_t place = vz_emit_item(c, &c->statics, &found, sizeof(const struct vz_static *));
    vz_emit_with(c, node, VZ_CODE_STATIC, node->count, 0, (int64_t)place);
    return VZ_TYPE_DEF;
}

enum vz_type vz_compile_method(struct vz_compiler *c, const struct vz_ast *node)
{
    struct vz_slice field;
    bool any_args;
    if (vz_compile_doc_name(c, node, &field)) {
        vz_emit_with(c, node, VZ_CODE_DOC_FIELD, 0, vz_compile_doc_slot(c, node, field), 0);
        return VZ_TYPE_DEF;
    }
    if (vz_compile_is_doc(c, node->a) && vz_slice_is(node->name, "containsKey") &&
        node->count == 1) {
        vz_compile_expression(c, node->list, true);
        vz_emit(c, node, VZ_CODE_DOC_HAS);
        return VZ_TYPE_BOOL;
    }
    if (is_field_call(c, node->a) && node->count == 1 && vz_slice_is(node->name, "get"))
        return field_default(c, node, node->a->list, node->list);
    if (node->a->kind == VZ_AST_NAME && vz_static_class(node->a->name) &&
        !vz_compile_local(c, node->a->name))
        return static_call(c, node);
    if (!vz_method_exists(node->name, node->count, &any_args)) {
        if (!any_args && vz_method_is_elsewhere(node->name))
            vz_compile_fail(c, VZ_UNSUPPORTED, node, "the method [%.*s] is not supported by vizsla",
                            VZ_NAME(node->name));
        else
            vz_compile_fail(c, VZ_BAD_ARGUMENT, node, "member method [def, %.*s/%u] not found",
                            VZ_NAME(node->name), node->count);
        return VZ_TYPE_DEF;
    }
    vz_compile_expression(c, node->a, true);
    int32_t skip = node->null_safe ? vz_emit(c, node, VZ_CODE_IF_NULL) : -1;
    for (const struct vz_ast *arg = node->list; arg; arg = arg->next)
        vz_compile_expression(c, arg, true);
    size_t place = vz_emit_name(c, node->name, node->count);
    struct vz_name *name = (struct vz_name *)c->names.items + place;
    for (int tag = 0; tag < VZ_CELL_COUNT; tag++)
        name->methods[tag] = vz_method_find(node->name, (enum vz_cell_tag)tag, node->count);
    vz_emit_with(c, node, VZ_CODE_METHOD, node->count, 0, (int64_t)place);
    if (skip >= 0)
        vz_emit_land(c, skip);
    return VZ_TYPE_DEF;
}

enum vz_type vz_compile_new(struct vz_compiler *c, const struct vz_ast *node)
{
    enum vz_type type;
    bool known = vz_type_find(node->name, &type);
    bool list = known && type == VZ_TYPE_LIST, map = known && type == VZ_TYPE_MAP;
    if ((!list && !map) || node->count > 1) {
        vz_compile_fail(c, known ? VZ_BAD_ARGUMENT : VZ_UNSUPPORTED, node,
                        "[new %.*s] is not supported by vizsla, only lists and maps are",
                        VZ_NAME(node->name));
        return VZ_TYPE_DEF;
    }
    bool copies = false;
    if (node->list) { /* a container to copy; a number is a capacity and means nothing */
        struct vz_cell cell;
        copies = !(vz_fold(c, node->list, &cell) && vz_cell_is_number(&cell));
        if (copies)
            vz_compile_expression(c, node->list, true);
    }
    vz_emit_with(c, node, list ? VZ_CODE_LIST : VZ_CODE_MAP, 0, copies, 0);
    return type;
}
