/* Instructions and what they point at, as the compiler makes them: the stack's height is followed,
 * jumps are linked and land later.
 */
#include "script/compile.h"

#include <stdio.h>

void vz_compile_fail(struct vz_compiler *c, enum vz_status status, const struct vz_ast *node,
                     const char *format, ...)
{
    char text[320];
    if (c->status != VZ_OK)
        return;
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    c->status = vz_fail_at(c->err, status, node->offset, "%s", text);
    vz_fail_cause(c->err, "illegal_argument_exception");
}

size_t vz_emit_item(struct vz_compiler *c, struct vz_table *table, const void *item, size_t bytes)
{
    if (table->count == table->capacity) {
        table->capacity = VZ_MAX(table->capacity * 2, (size_t)16);
        void *items = vz_arena_alloc(c->arena, table->capacity * bytes);
        if (table->count)
            memcpy(items, table->items, table->count * bytes);
        table->items = items;
    }
    memcpy((char *)table->items + table->count * bytes, item, bytes);
    return table->count++;
}

/* How the stack's height changes; b and a as in vz_instruction. */
static int effect(enum vz_code code, unsigned a, unsigned b)
{
    switch (code) {
    case VZ_CODE_CONST:
    case VZ_CODE_NULL:
    case VZ_CODE_LOCAL:
    case VZ_CODE_DUP:
    case VZ_CODE_UNDER:
    case VZ_CODE_UNDER1:
    case VZ_CODE_SCORE:
    case VZ_CODE_CTX:
    case VZ_CODE_VARIABLE:
    case VZ_CODE_DOC_FIELD:
    case VZ_CODE_DOC_VALUE:
    case VZ_CODE_EACH:
        return 1;
    case VZ_CODE_DUP2:
        return 2;
    case VZ_CODE_LIST:
    case VZ_CODE_MAP:
        return b ? 0 : 1;
    case VZ_CODE_STORE:
    case VZ_CODE_POP:
    case VZ_CODE_AT:
    case VZ_CODE_BINARY:
    case VZ_CODE_IF_FALSE:
    case VZ_CODE_IF_TRUE:
    case VZ_CODE_IF_SET:
    case VZ_CODE_FIELD_GET:
    case VZ_CODE_APPEND:
    case VZ_CODE_EACH_START:
    case VZ_CODE_RETURN:
    case VZ_CODE_THROW:
        return -1;
    case VZ_CODE_SET:
    case VZ_CODE_MAP_PUT:
        return -2;
    case VZ_CODE_PUT:
        return -3;
    case VZ_CODE_METHOD:
        return -(int)a;
    case VZ_CODE_STATIC:
        return 1 - (int)a;
    case VZ_CODE_HOST:
        return 1 - (int)b;
    default:
        return 0;
    }
}

int32_t vz_emit_with(struct vz_compiler *c, const struct vz_ast *node, enum vz_code code,
                     unsigned a, unsigned b, int64_t arg)
{
    struct vz_instruction in = {(uint8_t)code, (uint8_t)a, (uint16_t)b, (int32_t)arg};
    c->height += effect(code, a, b);
    c->most_height = VZ_MAX(c->most_height, c->height + 2); /* some look one above */
    vz_emit_item(c, &c->places, &node->offset, sizeof node->offset);
    return (int32_t)vz_emit_item(c, &c->code, &in, sizeof in);
}

int32_t vz_emit(struct vz_compiler *c, const struct vz_ast *node, enum vz_code code)
{
    return vz_emit_with(c, node, code, 0, 0, 0);
}

struct vz_instruction *vz_emit_at(struct vz_compiler *c, int32_t at)
{
    return (struct vz_instruction *)c->code.items + at;
}

void vz_emit_land(struct vz_compiler *c, int32_t jump)
{
    vz_emit_at(c, jump)->c = (int32_t)c->code.count;
}

/* All jumps of a chain go to `target`. */
void vz_emit_land_chain(struct vz_compiler *c, int32_t chain, int32_t target)
{
    while (chain >= 0) {
        int32_t next = vz_emit_at(c, chain)->c;
        vz_emit_at(c, chain)->c = target;
        chain = next;
    }
}

void vz_emit_constant(struct vz_compiler *c, const struct vz_ast *node, struct vz_cell cell)
{
    if (cell.tag == VZ_CELL_STRING) /* the tree's strings go with the tree */
        cell.value = vz_value_string(c->arena, cell.value->string);
    size_t at = vz_emit_item(c, &c->constants, &cell, sizeof cell);
    vz_emit_with(c, node, VZ_CODE_CONST, 0, 0, (int64_t)at);
}

size_t vz_emit_name(struct vz_compiler *c, struct vz_slice text, unsigned argc)
{
    struct vz_name name = {.text = vz_arena_copy(c->arena, text), .argc = argc};
    return vz_emit_item(c, &c->names, &name, sizeof name);
}
