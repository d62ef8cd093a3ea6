/* Names: variables, a document's fields, members. */
#include "script/compile.h"

struct vz_local *vz_compile_local(struct vz_compiler *c, struct vz_slice name)
{
    for (unsigned i = c->local_count; i-- > 0;)
        if (vz_slice_eq(c->locals[i].name, name))
            return &c->locals[i];
    return NULL;
}

unsigned vz_compile_doc_slot(struct vz_compiler *c, const struct vz_ast *node, struct vz_slice name)
{
    const struct vz_slice *fields = c->doc_fields.items;
    for (size_t i = 0; i < c->doc_fields.count; i++)
        if (vz_slice_eq(fields[i], name))
            return (unsigned)i;
    if (c->doc_fields.count == VZ_SCRIPT_MAX_DOC_FIELDS) {
        vz_compile_fail(c, VZ_LIMIT, node, "a script reads more than [%d] fields",
                        VZ_SCRIPT_MAX_DOC_FIELDS);
        return 0;
    }
    name = vz_arena_copy(c->arena, name);
    return (unsigned)vz_emit_item(c, &c->doc_fields, &name, sizeof name);
}

static bool is_name(const struct vz_ast *node, const char *name)
{
    return node && node->kind == VZ_AST_NAME && vz_slice_is(node->name, name);
}

bool vz_compile_is_doc(struct vz_compiler *c, const struct vz_ast *node)
{
    return c->host->has_doc && is_name(node, "doc") && !vz_compile_local(c, node->name);
}

/* doc['x'], doc.x, doc.get('x'), field('x'): the name, when it is known. */
bool vz_compile_doc_name(struct vz_compiler *c, const struct vz_ast *node, struct vz_slice *name)
{
    struct vz_cell cell;
    const struct vz_ast *text = NULL;
    if (node->kind == VZ_AST_MEMBER && vz_compile_is_doc(c, node->a)) {
        *name = node->name;
        return true;
    }
    if (node->kind == VZ_AST_INDEX && vz_compile_is_doc(c, node->a))
        text = node->b;
    else if (node->kind == VZ_AST_METHOD && vz_compile_is_doc(c, node->a) && node->count == 1 &&
             vz_slice_is(node->name, "get"))
        text = node->list;
    if (!text || !vz_fold(c, text, &cell) || cell.tag != VZ_CELL_STRING)
        return false;
    *name = cell.value->string;
    return true;
}

enum vz_type vz_compile_variable(struct vz_compiler *c, const struct vz_ast *node)
{
    struct vz_local *local = vz_compile_local(c, node->name);
    if (local) {
        vz_emit_with(c, node, VZ_CODE_LOCAL, 0, (unsigned)(local - c->locals), 0);
        return local->type;
    }
    if (c->host->has_score && vz_slice_is(node->name, "_score")) {
        c->uses_score = true;
        vz_emit(c, node, VZ_CODE_SCORE);
        return VZ_TYPE_DOUBLE;
    }
    if (c->host->has_ctx && vz_slice_is(node->name, "ctx")) {
        vz_emit(c, node, VZ_CODE_CTX);
        return VZ_TYPE_DEF;
    }
    for (unsigned i = 0; c->host->variables && c->host->variables[i]; i++) {
        if (vz_slice_is(node->name, c->host->variables[i])) {
            vz_emit_with(c, node, VZ_CODE_VARIABLE, 0, i, 0);
            return VZ_TYPE_DEF;
        }
    }
    if (vz_compile_is_doc(c, node))
        vz_compile_fail(c, VZ_UNSUPPORTED, node, "vizsla supports [doc] only as [doc['field']]");
    else
        vz_compile_fail(c, VZ_BAD_ARGUMENT, node, "cannot resolve symbol [%.*s]",
                        VZ_NAME(node->name));
    return VZ_TYPE_DEF;
}

/* ---- members --------------------------------------------------------------------------------- */

size_t vz_compile_getter(struct vz_compiler *c, struct vz_slice text)
{
    static const char *const prefixes[] = {"get", "is"};
    size_t at = vz_emit_name(c, text, 0);
    for (int tag = 0; tag < VZ_CELL_COUNT && text.len; tag++) {
        struct vz_name *name = (struct vz_name *)c->names.items + at;
        for (int p = 0; p < 2 && !name->methods[tag]; p++) {
            char first = text.ptr[0];
            if (first >= 'a' && first <= 'z')
                first = (char)(first - 32);
            char *full = vz_arena_printf(c->arena, "%s%c%.*s", prefixes[p], first,
                                         (int)text.len - 1, text.ptr + 1);
            name->methods[tag] = vz_method_find(vz_slice_from(full), (enum vz_cell_tag)tag, 0);
        }
    }
    return at;
}

enum vz_type vz_compile_member(struct vz_compiler *c, const struct vz_ast *node)
{
    struct vz_slice name;
    if (vz_compile_doc_name(c, node, &name)) {
        vz_emit_with(c, node, VZ_CODE_DOC_FIELD, 0, vz_compile_doc_slot(c, node, name), 0);
        return VZ_TYPE_DEF;
    }
    if (vz_slice_is(node->name, "value") && vz_compile_doc_name(c, node->a, &name)) {
        vz_emit_with(c, node, VZ_CODE_DOC_VALUE, 0, vz_compile_doc_slot(c, node, name), 0);
        return VZ_TYPE_DEF;
    }
    vz_compile_expression(c, node->a, true);
    int32_t skip = node->null_safe ? vz_emit(c, node, VZ_CODE_IF_NULL) : -1;
    vz_emit_with(c, node, VZ_CODE_GET, 0, 0, (int64_t)vz_compile_getter(c, node->name));
    if (skip >= 0)
        vz_emit_land(c, skip);
    return VZ_TYPE_DEF;
}

enum vz_type vz_compile_index(struct vz_compiler *c, const struct vz_ast *node)
{
    struct vz_slice name;
    if (vz_compile_doc_name(c, node, &name)) {
        vz_emit_with(c, node, VZ_CODE_DOC_FIELD, 0, vz_compile_doc_slot(c, node, name), 0);
        return VZ_TYPE_DEF;
    }
    if (vz_compile_is_doc(c, node->a)) {
        vz_compile_expression(c, node->b, true);
        vz_emit(c, node, VZ_CODE_DOC_NAMED);
        return VZ_TYPE_DEF;
    }
    vz_compile_expression(c, node->a, true);
    vz_compile_expression(c, node->b, true);
    vz_emit(c, node, VZ_CODE_AT);
    return VZ_TYPE_DEF;
}
