/* The tree to instructions.
 *
 * What is known before any run is worked out here: params, literals, Math's constants and
 * arithmetic on them become constants; names become slots; a method's name becomes a table of who
 * has it. Types are followed as far as they are declared, to refuse early what Painless refuses,
 * and to leave out conversions that change nothing.
 */
#include "script/compile.h"

#include <stdlib.h>

static void freeze(struct vz_value *value)
{
    if (value->type == VZ_VALUE_ARRAY) {
        value->java = VZ_FROZEN;
        for (size_t i = 0; i < value->array.count; i++)
            freeze(value->array.items[i]);
    } else if (value->type == VZ_VALUE_OBJECT) {
        value->java = VZ_FROZEN;
        for (size_t i = 0; i < value->object.count; i++)
            freeze(value->object.members[i].value);
    }
}

static bool linear(struct vz_compiler *c, const struct vz_ast *node, double *factor,
                   double *summand)
{
    struct vz_cell cell;
    double number;
    *factor = 1;
    *summand = 0;
    if (node->kind == VZ_AST_CALL)
        return true;
    if (node->kind != VZ_AST_BINARY)
        return false;
    bool right = vz_fold(c, node->b, &cell) && vz_cell_is_number(&cell);
    bool left = !right && vz_fold(c, node->a, &cell) && vz_cell_is_number(&cell);
    if (!left && !right)
        return false;
    if (!linear(c, right ? node->a : node->b, factor, summand))
        return false;
    number = vz_cell_as_double(&cell);
    switch ((enum vz_op)node->op) {
    case VZ_OP_ADD:
        *summand += number;
        return true;
    case VZ_OP_SUB:
        *summand = right ? *summand - number : number - *summand;
        *factor = right ? *factor : -*factor;
        return true;
    case VZ_OP_MUL:
        *factor *= number;
        *summand *= number;
        return true;
    case VZ_OP_DIV:
        if (!right)
            return false;
        *factor /= number;
        *summand /= number;
        return true;
    default:
        return false;
    }
}

static void program(struct vz_compiler *c, const struct vz_ast *tree)
{
    for (const struct vz_ast *node = tree->list; node && c->status == VZ_OK; node = node->next) {
        if (node->kind == VZ_AST_EXPRESSION && !node->next) {
            /* The last expression is what the script gives. */
            vz_compile_expression(c, node->a, true);
            vz_emit(c, node, VZ_CODE_RETURN);
            c->has_result = true;
        } else {
            vz_compile_statement(c, node);
        }
    }
    vz_emit(c, tree, VZ_CODE_END);
    if (c->status == VZ_OK && c->most_locals + (unsigned)c->most_height + 2 > VZ_SCRIPT_MAX_STACK)
        vz_compile_fail(c, VZ_LIMIT, tree, "the script needs too much of the stack");
}

static void detect_linear(struct vz_compiler *c, const struct vz_ast *tree,
                          struct vz_script *script)
{
    const struct vz_ast *only = tree->list;
    if (!only || only->next || c->calls.count != 1 || !only->a ||
        (only->kind != VZ_AST_EXPRESSION && only->kind != VZ_AST_RETURN))
        return;
    for (size_t i = 0; i < c->code.count; i++) {
        const struct vz_instruction *in = vz_emit_at(c, (int32_t)i);
        if (in->code == VZ_CODE_HOST && in->b)
            return; /* an argument that is not constant */
    }
    script->is_linear = linear(c, only->a, &script->factor, &script->summand);
}

static void copy_functions(struct vz_compiler *c, struct vz_script *script)
{
    size_t bytes = c->host->function_count * sizeof(*script->functions);
    script->functions = vz_arena_alloc(c->arena, bytes + 1);
    if (bytes)
        memcpy(script->functions, c->host->functions, bytes);
}

enum vz_status vz_script_compile(struct vz_slice source, const struct vz_script_host *host,
                                 struct vz_arena *arena, struct vz_script **out,
                                 struct vz_error *err)
{
    struct vz_ast *tree;
    *out = NULL;
    if (source.len > VZ_SCRIPT_MAX_SOURCE)
        return vz_fail(err, VZ_LIMIT,
                       "Scripts may be no longer than %d characters. The passed in script is %zu "
                       "characters. Consider using a plugin if a script longer than this length is "
                       "a requirement.",
                       VZ_SCRIPT_MAX_SOURCE, source.len);
    source = vz_arena_copy(arena, source);
    struct vz_arena scratch = {0}; /* the tree */
    enum vz_status status = vz_parse(source, &scratch, &tree, err);
    if (status != VZ_OK) {
        vz_fail_cause(err, "illegal_argument_exception");
        vz_arena_deinit(&scratch);
        return status;
    }
    struct vz_compiler *c = vz_calloc(1, sizeof *c);
    c->arena = arena;
    c->host = host;
    c->err = err;
    c->params = host->params ? vz_value_copy(arena, host->params) : vz_value_object(arena);
    freeze(c->params);
    program(c, tree);
    if (c->status == VZ_OK) {
        struct vz_script *script = vz_arena_zalloc(arena, sizeof *script);
        *script = (struct vz_script){
            .source = source,
            .code = c->code.items,
            .places = c->places.items,
            .code_count = c->code.count,
            .constants = c->constants.items,
            .names = c->names.items,
            .doc_fields = c->doc_fields.items,
            .doc_field_count = (unsigned)c->doc_fields.count,
            .calls = c->calls.items,
            .statics = c->statics.items,
            .local_count = c->most_locals,
            .has_result = c->has_result,
            .uses_score = c->uses_score,
        };
        copy_functions(c, script);
        detect_linear(c, tree, script);
        *out = script;
    }
    status = c->status;
    free(c);
    vz_arena_deinit(&scratch);
    return status;
}
