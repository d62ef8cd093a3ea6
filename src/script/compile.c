/* The tree to instructions.
 *
 * What is known before any run is worked out here: params, literals, Math's constants and
 * arithmetic on them become constants; names become slots; a method's name becomes a table of who
 * has it. Types are followed as far as they are declared, to refuse early what Painless refuses,
 * and to leave out conversions that change nothing.
 */
#include "script/parts.h"

#include <stdio.h>
#include <stdlib.h>

#define MAX_LOCALS 250

struct local {
    struct vz_slice name;
    enum vz_type type;
};

struct loop {
    struct loop *outer;
    int32_t breaks, continues; /* chains of jumps, linked through their c; -1 ends */
};

/* A growing array in the arena. */
struct table {
    void *items;
    size_t count, capacity;
};

struct compiler {
    struct vz_arena *arena;
    const struct vz_script_host *host;
    struct vz_value *params;
    struct table code, places, constants, names, doc_fields, calls, statics;
    struct local locals[MAX_LOCALS];
    unsigned local_count, most_locals;
    int height, most_height; /* of the stack */
    struct loop *loop;
    bool uses_score, has_result;
    bool met_params; /* while folding: their types are not known to who reads the source */
    enum vz_status status;
    struct vz_error *err;
};

static enum vz_type expression(struct compiler *c, const struct vz_ast *node, bool want);
static void statement(struct compiler *c, const struct vz_ast *node);

__attribute__((format(printf, 4, 5))) static void
fail(struct compiler *c, enum vz_status status, const struct vz_ast *node, const char *format, ...)
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

#define NAME(slice) (int)VZ_MIN((slice).len, (size_t)100), (slice).ptr

/* ---- what is made ---------------------------------------------------------------------------- */

static size_t add(struct compiler *c, struct table *table, const void *item, size_t bytes)
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

static int32_t emit_full(struct compiler *c, const struct vz_ast *node, enum vz_code code,
                         unsigned a, unsigned b, int64_t arg)
{
    struct vz_instruction in = {(uint8_t)code, (uint8_t)a, (uint16_t)b, (int32_t)arg};
    c->height += effect(code, a, b);
    c->most_height = VZ_MAX(c->most_height, c->height + 2); /* some look one above */
    add(c, &c->places, &node->offset, sizeof node->offset);
    return (int32_t)add(c, &c->code, &in, sizeof in);
}

static int32_t emit(struct compiler *c, const struct vz_ast *node, enum vz_code code)
{
    return emit_full(c, node, code, 0, 0, 0);
}

static struct vz_instruction *instruction(struct compiler *c, int32_t at)
{
    return (struct vz_instruction *)c->code.items + at;
}

static void land(struct compiler *c, int32_t jump)
{
    instruction(c, jump)->c = (int32_t)c->code.count;
}

/* All jumps of a chain go to `target`. */
static void land_chain(struct compiler *c, int32_t chain, int32_t target)
{
    while (chain >= 0) {
        int32_t next = instruction(c, chain)->c;
        instruction(c, chain)->c = target;
        chain = next;
    }
}

static void emit_constant(struct compiler *c, const struct vz_ast *node, struct vz_cell cell)
{
    if (cell.tag == VZ_CELL_STRING) /* the tree's strings go with the tree */
        cell.value = vz_value_string(c->arena, cell.value->string);
    size_t at = add(c, &c->constants, &cell, sizeof cell);
    emit_full(c, node, VZ_CODE_CONST, 0, 0, (int64_t)at);
}

static size_t add_name(struct compiler *c, struct vz_slice text, unsigned argc)
{
    struct vz_name name = {.text = vz_arena_copy(c->arena, text), .argc = argc};
    return add(c, &c->names, &name, sizeof name);
}

/* ---- constants ------------------------------------------------------------------------------- */

static struct local *find_local(struct compiler *c, struct vz_slice name)
{
    for (unsigned i = c->local_count; i-- > 0;)
        if (vz_slice_eq(c->locals[i].name, name))
            return &c->locals[i];
    return NULL;
}

static bool is_name(const struct vz_ast *node, const char *name)
{
    return node && node->kind == VZ_AST_NAME && vz_slice_is(node->name, name);
}

static bool is_scalar(const struct vz_cell *cell)
{
    return cell->tag <= VZ_CELL_STRING;
}

static bool fold(struct compiler *c, const struct vz_ast *node, struct vz_cell *out);

static bool fold_operation(struct compiler *c, const struct vz_ast *node, struct vz_cell *out)
{
    struct vz_cell a, b;
    struct vz_error ignored;
    struct vz_machine vm = {
        .arena = c->arena, .err = &ignored, .first_byte = c->arena->total_bytes};
    if (!fold(c, node->a, &a) || !is_scalar(&a))
        return false;
    if (node->kind == VZ_AST_UNARY)
        return vz_unary(&vm, node->op, &a, out);
    if (node->kind == VZ_AST_CAST) {
        *out = a;
        return vz_convert(&vm, node->type, true, out);
    }
    return fold(c, node->b, &b) && is_scalar(&b) && vz_binary(&vm, node->op, &a, &b, out);
}

static bool fold_static(struct compiler *c, const struct vz_ast *node, struct vz_cell *out)
{
    struct vz_cell args[VZ_SCRIPT_MAX_ARGS];
    struct vz_error ignored;
    struct vz_machine vm = {
        .arena = c->arena, .err = &ignored, .first_byte = c->arena->total_bytes};
    unsigned count = 0;
    if (node->a->kind != VZ_AST_NAME || find_local(c, node->a->name))
        return false;
    const struct vz_static *found = vz_static_find(node->a->name, node->name, node->count);
    if (!found || !found->pure)
        return false;
    for (const struct vz_ast *arg = node->list; arg; arg = arg->next)
        if (!fold(c, arg, &args[count]) || !vz_cell_is_number(&args[count++]))
            return false;
    return found->call(&vm, args, count, out);
}

static bool fold_member(struct compiler *c, const struct vz_ast *node, struct vz_cell *out)
{
    struct vz_cell object, index;
    struct vz_value *found = NULL;
    if (node->kind == VZ_AST_MEMBER && node->a->kind == VZ_AST_NAME &&
        !find_local(c, node->a->name) && vz_static_constant(node->a->name, node->name, out))
        return true;
    if (!fold(c, node->a, &object))
        return false;
    if (node->kind == VZ_AST_MEMBER) {
        if (object.tag != VZ_CELL_MAP)
            return false;
        found = vz_value_get(object.value, node->name);
    } else {
        if (!fold(c, node->b, &index))
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
static bool fold(struct compiler *c, const struct vz_ast *node, struct vz_cell *out)
{
    switch (node->kind) {
    case VZ_AST_CONST:
        *out = node->constant;
        return true;
    case VZ_AST_NAME:
        if (!vz_slice_is(node->name, "params") || find_local(c, node->name))
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
static struct vz_value *fold_argument(struct compiler *c, const struct vz_ast *node)
{
    struct vz_cell cell;
    if (fold(c, node, &cell)) {
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
        if (!fold(c, item, &cell) || !is_scalar(&cell))
            return NULL;
        struct vz_value *scalar = vz_cell_value(&cell, c->arena);
        vz_value_append(list, vz_value_copy(c->arena, scalar));
    }
    list->java = VZ_FROZEN;
    return list;
}

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

/* ---- types ----------------------------------------------------------------------------------- */

static enum vz_type type_of(const struct vz_cell *cell)
{
    static const enum vz_type types[VZ_CELL_COUNT] = {
        [VZ_CELL_BOOL] = VZ_TYPE_BOOL,     [VZ_CELL_CHAR] = VZ_TYPE_CHAR,
        [VZ_CELL_INT] = VZ_TYPE_INT,       [VZ_CELL_LONG] = VZ_TYPE_LONG,
        [VZ_CELL_FLOAT] = VZ_TYPE_FLOAT,   [VZ_CELL_DOUBLE] = VZ_TYPE_DOUBLE,
        [VZ_CELL_STRING] = VZ_TYPE_STRING,
    };
    return types[cell->tag]; /* 0, DEF, for all others */
}

static bool is_number(enum vz_type type)
{
    return type >= VZ_TYPE_CHAR && type <= VZ_TYPE_DOUBLE;
}

/* Whether Java converts by itself; unknown types are looked at when running. */
static bool converts(enum vz_type from, enum vz_type to)
{
    if (from == VZ_TYPE_DEF || to == VZ_TYPE_DEF || from == to || from > VZ_TYPE_STRING ||
        to > VZ_TYPE_STRING)
        return true;
    if (is_number(from) && is_number(to))
        return from < to || (from == VZ_TYPE_INT && to < VZ_TYPE_INT);
    return from == VZ_TYPE_CHAR && to == VZ_TYPE_STRING;
}

static void convert(struct compiler *c, const struct vz_ast *node, enum vz_type from,
                    enum vz_type to)
{
    if (!converts(from, to))
        fail(c, VZ_BAD_ARGUMENT, node, "Cannot cast from [%s] to [%s].", vz_type_name(from),
             vz_type_name(to));
    if (from != to && to != VZ_TYPE_DEF)
        emit_full(c, node, VZ_CODE_CONVERT, (unsigned)to, 0, 0);
}

static void condition(struct compiler *c, const struct vz_ast *node)
{
    enum vz_type type = expression(c, node, true);
    if (type != VZ_TYPE_DEF && type != VZ_TYPE_BOOL && type != VZ_TYPE_BOXED_BOOL)
        fail(c, VZ_BAD_ARGUMENT, node, "Cannot cast from [%s] to [boolean].", vz_type_name(type));
}

static enum vz_type binary_type(struct compiler *c, const struct vz_ast *node, enum vz_type a,
                                enum vz_type b)
{
    enum vz_op op = node->op;
    bool numbers = is_number(a) && is_number(b);
    if (op >= VZ_OP_LT && op <= VZ_OP_NOT_SAME) {
        bool ordered = op <= VZ_OP_GE;
        if (ordered && a != VZ_TYPE_DEF && b != VZ_TYPE_DEF && !numbers && a <= VZ_TYPE_STRING &&
            b <= VZ_TYPE_STRING)
            fail(c, VZ_BAD_ARGUMENT, node, "Cannot apply [%s] operation to types [%s] and [%s].",
                 vz_op_text(op), vz_type_name(a), vz_type_name(b));
        return VZ_TYPE_BOOL;
    }
    if (op == VZ_OP_ADD && (a == VZ_TYPE_STRING || b == VZ_TYPE_STRING))
        return VZ_TYPE_STRING;
    if (a == VZ_TYPE_DEF || b == VZ_TYPE_DEF || a > VZ_TYPE_STRING || b > VZ_TYPE_STRING)
        return VZ_TYPE_DEF;
    if (a == VZ_TYPE_BOOL && b == VZ_TYPE_BOOL && op >= VZ_OP_AND)
        return VZ_TYPE_BOOL;
    if (!numbers) {
        fail(c, VZ_BAD_ARGUMENT, node, "Cannot apply [%s] operation to types [%s] and [%s].",
             vz_op_text(op), vz_type_name(a), vz_type_name(b));
        return VZ_TYPE_DEF;
    }
    if (op >= VZ_OP_SHL && op <= VZ_OP_USHR)
        return VZ_MAX(a, VZ_TYPE_INT);
    return VZ_MAX(VZ_MAX(a, b), VZ_TYPE_INT);
}

/* ---- names ----------------------------------------------------------------------------------- */

static unsigned doc_slot(struct compiler *c, const struct vz_ast *node, struct vz_slice name)
{
    const struct vz_slice *fields = c->doc_fields.items;
    for (size_t i = 0; i < c->doc_fields.count; i++)
        if (vz_slice_eq(fields[i], name))
            return (unsigned)i;
    if (c->doc_fields.count == VZ_SCRIPT_MAX_DOC_FIELDS) {
        fail(c, VZ_LIMIT, node, "a script reads more than [%d] fields", VZ_SCRIPT_MAX_DOC_FIELDS);
        return 0;
    }
    name = vz_arena_copy(c->arena, name);
    return (unsigned)add(c, &c->doc_fields, &name, sizeof name);
}

static bool is_doc(struct compiler *c, const struct vz_ast *node)
{
    return c->host->has_doc && is_name(node, "doc") && !find_local(c, node->name);
}

/* doc['x'], doc.x, doc.get('x'), field('x'): the name, when it is known. */
static bool doc_field_name(struct compiler *c, const struct vz_ast *node, struct vz_slice *name)
{
    struct vz_cell cell;
    const struct vz_ast *text = NULL;
    if (node->kind == VZ_AST_MEMBER && is_doc(c, node->a)) {
        *name = node->name;
        return true;
    }
    if (node->kind == VZ_AST_INDEX && is_doc(c, node->a))
        text = node->b;
    else if (node->kind == VZ_AST_METHOD && is_doc(c, node->a) && node->count == 1 &&
             vz_slice_is(node->name, "get"))
        text = node->list;
    if (!text || !fold(c, text, &cell) || cell.tag != VZ_CELL_STRING)
        return false;
    *name = cell.value->string;
    return true;
}

static enum vz_type variable(struct compiler *c, const struct vz_ast *node)
{
    struct local *local = find_local(c, node->name);
    if (local) {
        emit_full(c, node, VZ_CODE_LOCAL, 0, (unsigned)(local - c->locals), 0);
        return local->type;
    }
    if (c->host->has_score && vz_slice_is(node->name, "_score")) {
        c->uses_score = true;
        emit(c, node, VZ_CODE_SCORE);
        return VZ_TYPE_DOUBLE;
    }
    if (c->host->has_ctx && vz_slice_is(node->name, "ctx")) {
        emit(c, node, VZ_CODE_CTX);
        return VZ_TYPE_DEF;
    }
    for (unsigned i = 0; c->host->variables && c->host->variables[i]; i++) {
        if (vz_slice_is(node->name, c->host->variables[i])) {
            emit_full(c, node, VZ_CODE_VARIABLE, 0, i, 0);
            return VZ_TYPE_DEF;
        }
    }
    if (is_doc(c, node))
        fail(c, VZ_UNSUPPORTED, node, "vizsla supports [doc] only as [doc['field']]");
    else
        fail(c, VZ_BAD_ARGUMENT, node, "cannot resolve symbol [%.*s]", NAME(node->name));
    return VZ_TYPE_DEF;
}

/* ---- members --------------------------------------------------------------------------------- */

static size_t getter_name(struct compiler *c, struct vz_slice text)
{
    static const char *const prefixes[] = {"get", "is"};
    size_t at = add_name(c, text, 0);
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

static enum vz_type member(struct compiler *c, const struct vz_ast *node)
{
    struct vz_slice name;
    if (doc_field_name(c, node, &name)) {
        emit_full(c, node, VZ_CODE_DOC_FIELD, 0, doc_slot(c, node, name), 0);
        return VZ_TYPE_DEF;
    }
    if (vz_slice_is(node->name, "value") && doc_field_name(c, node->a, &name)) {
        emit_full(c, node, VZ_CODE_DOC_VALUE, 0, doc_slot(c, node, name), 0);
        return VZ_TYPE_DEF;
    }
    expression(c, node->a, true);
    int32_t skip = node->null_safe ? emit(c, node, VZ_CODE_IF_NULL) : -1;
    emit_full(c, node, VZ_CODE_GET, 0, 0, (int64_t)getter_name(c, node->name));
    if (skip >= 0)
        land(c, skip);
    return VZ_TYPE_DEF;
}

static enum vz_type at_index(struct compiler *c, const struct vz_ast *node)
{
    struct vz_slice name;
    if (doc_field_name(c, node, &name)) {
        emit_full(c, node, VZ_CODE_DOC_FIELD, 0, doc_slot(c, node, name), 0);
        return VZ_TYPE_DEF;
    }
    if (is_doc(c, node->a)) {
        expression(c, node->b, true);
        emit(c, node, VZ_CODE_DOC_NAMED);
        return VZ_TYPE_DEF;
    }
    expression(c, node->a, true);
    expression(c, node->b, true);
    emit(c, node, VZ_CODE_AT);
    return VZ_TYPE_DEF;
}

/* ---- calls ----------------------------------------------------------------------------------- */

static enum vz_type host_call(struct compiler *c, const struct vz_ast *node, unsigned index)
{
    const struct vz_script_function *function = &c->host->functions[index];
    struct vz_host_call call = {.function = index};
    const struct vz_value *constant[VZ_SCRIPT_MAX_ARGS];
    unsigned at = 0, on_stack = 0;
    for (const struct vz_ast *arg = node->list; arg; arg = arg->next, at++) {
        constant[at] = call.constant[at] = fold_argument(c, arg);
        if (!call.constant[at]) {
            expression(c, arg, true);
            on_stack++;
        }
    }
    struct vz_error inner = {0};
    enum vz_status status = VZ_OK;
    if (function->prepare && c->status == VZ_OK)
        status = function->prepare(c->host->context, constant, node->count, &call.prepared, &inner);
    if (status != VZ_OK) {
        fail(c, status, node, "%s", inner.text);
        if (inner.cause[0])
            vz_fail_cause(c->err, "%s", inner.cause);
    }
    size_t place = add(c, &c->calls, &call, sizeof call);
    emit_full(c, node, VZ_CODE_HOST, node->count, on_stack, (int64_t)place);
    return VZ_TYPE_DOUBLE;
}

/* field('x').get(default), $('x', default) */
static enum vz_type field_default(struct compiler *c, const struct vz_ast *node,
                                  const struct vz_ast *name, const struct vz_ast *other)
{
    struct vz_cell cell;
    if (!fold(c, name, &cell) || cell.tag != VZ_CELL_STRING) {
        fail(c, VZ_UNSUPPORTED, node, "vizsla supports [field] with a constant name only");
        return VZ_TYPE_DEF;
    }
    emit_full(c, node, VZ_CODE_DOC_FIELD, 1, doc_slot(c, node, cell.value->string), 0);
    if (other) {
        expression(c, other, true);
        emit(c, node, VZ_CODE_FIELD_GET);
    }
    return VZ_TYPE_DEF;
}

static bool is_field_call(struct compiler *c, const struct vz_ast *node)
{
    return c->host->has_doc && node->kind == VZ_AST_CALL && node->count == 1 &&
           vz_slice_is(node->name, "field");
}

static enum vz_type call(struct compiler *c, const struct vz_ast *node)
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
    fail(c, VZ_BAD_ARGUMENT, node, "Unknown call [%.*s] with [%u] arguments.", NAME(node->name),
         node->count);
    return VZ_TYPE_DEF;
}

static enum vz_type static_call(struct compiler *c, const struct vz_ast *node)
{
    const struct vz_static *found = vz_static_find(node->a->name, node->name, node->count);
    if (!found) {
        fail(c, VZ_BAD_ARGUMENT, node, "static method [%.*s, %.*s/%u] not found",
             NAME(node->a->name), NAME(node->name), node->count);
        return VZ_TYPE_DEF;
    }
    for (const struct vz_ast *arg = node->list; arg; arg = arg->next)
        expression(c, arg, true);
    size_t place = add(c, &c->statics, &found, sizeof(const struct vz_static *));
    emit_full(c, node, VZ_CODE_STATIC, node->count, 0, (int64_t)place);
    return VZ_TYPE_DEF;
}

static enum vz_type method(struct compiler *c, const struct vz_ast *node)
{
    struct vz_slice field;
    bool any_args;
    if (doc_field_name(c, node, &field)) {
        emit_full(c, node, VZ_CODE_DOC_FIELD, 0, doc_slot(c, node, field), 0);
        return VZ_TYPE_DEF;
    }
    if (is_doc(c, node->a) && vz_slice_is(node->name, "containsKey") && node->count == 1) {
        expression(c, node->list, true);
        emit(c, node, VZ_CODE_DOC_HAS);
        return VZ_TYPE_BOOL;
    }
    if (is_field_call(c, node->a) && node->count == 1 && vz_slice_is(node->name, "get"))
        return field_default(c, node, node->a->list, node->list);
    if (node->a->kind == VZ_AST_NAME && vz_static_class(node->a->name) &&
        !find_local(c, node->a->name))
        return static_call(c, node);
    if (!vz_method_exists(node->name, node->count, &any_args)) {
        if (!any_args && vz_method_is_elsewhere(node->name))
            fail(c, VZ_UNSUPPORTED, node, "the method [%.*s] is not supported by vizsla",
                 NAME(node->name));
        else
            fail(c, VZ_BAD_ARGUMENT, node, "member method [def, %.*s/%u] not found",
                 NAME(node->name), node->count);
        return VZ_TYPE_DEF;
    }
    expression(c, node->a, true);
    int32_t skip = node->null_safe ? emit(c, node, VZ_CODE_IF_NULL) : -1;
    for (const struct vz_ast *arg = node->list; arg; arg = arg->next)
        expression(c, arg, true);
    size_t place = add_name(c, node->name, node->count);
    struct vz_name *name = (struct vz_name *)c->names.items + place;
    for (int tag = 0; tag < VZ_CELL_COUNT; tag++)
        name->methods[tag] = vz_method_find(node->name, (enum vz_cell_tag)tag, node->count);
    emit_full(c, node, VZ_CODE_METHOD, node->count, 0, (int64_t)place);
    if (skip >= 0)
        land(c, skip);
    return VZ_TYPE_DEF;
}

static enum vz_type new_object(struct compiler *c, const struct vz_ast *node)
{
    enum vz_type type;
    bool known = vz_type_find(node->name, &type);
    bool list = known && type == VZ_TYPE_LIST, map = known && type == VZ_TYPE_MAP;
    if ((!list && !map) || node->count > 1) {
        fail(c, known ? VZ_BAD_ARGUMENT : VZ_UNSUPPORTED, node,
             "[new %.*s] is not supported by vizsla, only lists and maps are", NAME(node->name));
        return VZ_TYPE_DEF;
    }
    bool copies = false;
    if (node->list) { /* a container to copy; a number is a capacity and means nothing */
        struct vz_cell cell;
        copies = !(fold(c, node->list, &cell) && vz_cell_is_number(&cell));
        if (copies)
            expression(c, node->list, true);
    }
    emit_full(c, node, list ? VZ_CODE_LIST : VZ_CODE_MAP, 0, copies, 0);
    return type;
}

/* ---- operators ------------------------------------------------------------------------------- */

static enum vz_type literal(struct compiler *c, const struct vz_ast *node)
{
    bool list = node->kind == VZ_AST_LIST;
    emit(c, node, list ? VZ_CODE_LIST : VZ_CODE_MAP);
    for (const struct vz_ast *item = node->list; item; item = item->next) {
        expression(c, item, true);
        if (!list) {
            item = item->next;
            expression(c, item, true);
        }
        emit(c, node, list ? VZ_CODE_APPEND : VZ_CODE_MAP_PUT);
    }
    return list ? VZ_TYPE_LIST : VZ_TYPE_MAP;
}

static enum vz_type logic(struct compiler *c, const struct vz_ast *node)
{
    bool both = node->kind == VZ_AST_BOTH;
    condition(c, node->a);
    int32_t decided = emit(c, node, both ? VZ_CODE_IF_FALSE : VZ_CODE_IF_TRUE);
    condition(c, node->b);
    emit_full(c, node, VZ_CODE_CONVERT, VZ_TYPE_BOOL, 0, 0);
    int32_t end = emit(c, node, VZ_CODE_JUMP);
    c->height--;
    land(c, decided);
    emit_constant(c, node, vz_cell_bool(!both));
    land(c, end);
    return VZ_TYPE_BOOL;
}

static enum vz_type choice(struct compiler *c, const struct vz_ast *node)
{
    condition(c, node->a);
    int32_t no = emit(c, node, VZ_CODE_IF_FALSE);
    enum vz_type a = expression(c, node->b, true);
    int32_t end = emit(c, node, VZ_CODE_JUMP);
    c->height--;
    land(c, no);
    enum vz_type b = expression(c, node->c, true);
    land(c, end);
    if (a == b)
        return a;
    if (!is_number(a) || !is_number(b))
        return VZ_TYPE_DEF;
    /* Java promotes both to one type. */
    enum vz_type type = VZ_MAX(VZ_MAX(a, b), VZ_TYPE_INT);
    emit_full(c, node, VZ_CODE_CAST, type, 0, 0);
    return type;
}

static enum vz_type elvis(struct compiler *c, const struct vz_ast *node)
{
    expression(c, node->a, true);
    int32_t set = emit(c, node, VZ_CODE_IF_SET);
    expression(c, node->b, true);
    land(c, set);
    return VZ_TYPE_DEF;
}

static enum vz_type unary(struct compiler *c, const struct vz_ast *node)
{
    enum vz_type type = expression(c, node->a, true);
    bool truth = node->op == VZ_OP_NOT;
    if (type != VZ_TYPE_DEF && type <= VZ_TYPE_STRING &&
        (truth ? type != VZ_TYPE_BOOL : !is_number(type)))
        fail(c, VZ_BAD_ARGUMENT, node, "Cannot apply [%s] operation to type [%s].",
             vz_op_text(node->op), vz_type_name(type));
    emit_full(c, node, VZ_CODE_UNARY, node->op, 0, 0);
    return truth ? VZ_TYPE_BOOL : is_number(type) ? VZ_MAX(type, VZ_TYPE_INT) : VZ_TYPE_DEF;
}

/* ---- assignment ------------------------------------------------------------------------------ */

static void one(struct compiler *c, const struct vz_ast *node)
{
    emit_constant(c, node, vz_cell_int(1));
}

static enum vz_type assign_local(struct compiler *c, const struct vz_ast *node, bool want)
{
    const struct vz_ast *target = node->a;
    struct local *local = find_local(c, target->name);
    if (!local) {
        fail(c, VZ_BAD_ARGUMENT, target, "cannot resolve symbol [%.*s]", NAME(target->name));
        return VZ_TYPE_DEF;
    }
    unsigned slot = (unsigned)(local - c->locals);
    enum vz_type type = local->type;
    bool step = node->kind == VZ_AST_STEP;
    if (step && !want && (type == VZ_TYPE_INT || type == VZ_TYPE_LONG)) {
        emit_full(c, node, VZ_CODE_ADD_LOCAL, type == VZ_TYPE_LONG, slot,
                  node->op == VZ_OP_ADD ? 1 : -1);
        return type;
    }
    if (node->kind == VZ_AST_ASSIGN) {
        convert(c, node, expression(c, node->b, true), type);
    } else {
        emit_full(c, node, VZ_CODE_LOCAL, 0, slot, 0);
        if (step && want && node->postfix)
            emit(c, node, VZ_CODE_DUP);
        enum vz_type other = VZ_TYPE_INT;
        if (step)
            one(c, node);
        else
            other = expression(c, node->b, true);
        binary_type(c, node, type, other);
        emit_full(c, node, VZ_CODE_BINARY, node->op, 0, 0);
        if (type != VZ_TYPE_DEF) /* a += b is a = (type) (a + b) */
            emit_full(c, node, VZ_CODE_CAST, type, 0, 0);
    }
    bool keep = want && !(step && node->postfix);
    emit_full(c, node, keep ? VZ_CODE_STORE_KEEP : VZ_CODE_STORE, 0, slot, 0);
    return type;
}

static enum vz_type assign(struct compiler *c, const struct vz_ast *node, bool want)
{
    const struct vz_ast *target = node->a;
    if (target->kind == VZ_AST_NAME)
        return assign_local(c, node, want);
    if ((target->kind != VZ_AST_MEMBER && target->kind != VZ_AST_INDEX) || target->null_safe ||
        is_doc(c, target->a)) {
        fail(c, VZ_BAD_ARGUMENT, node,
             "invalid assignment: cannot assign a value to a non-reference expression");
        return VZ_TYPE_DEF;
    }
    bool is_member = target->kind == VZ_AST_MEMBER, step = node->kind == VZ_AST_STEP;
    enum vz_code under = is_member ? VZ_CODE_UNDER1 : VZ_CODE_UNDER;
    size_t name = is_member ? getter_name(c, target->name) : 0;
    expression(c, target->a, true);
    if (!is_member)
        expression(c, target->b, true);
    if (node->kind != VZ_AST_ASSIGN) {
        emit(c, node, is_member ? VZ_CODE_DUP : VZ_CODE_DUP2);
        emit_full(c, node, is_member ? VZ_CODE_GET : VZ_CODE_AT, 0, 0, (int64_t)name);
        if (step && node->postfix && want)
            emit(c, node, under);
    }
    if (step)
        one(c, node);
    else
        expression(c, node->b, true);
    if (node->kind != VZ_AST_ASSIGN)
        emit_full(c, node, VZ_CODE_BINARY, node->op, 0, 0);
    if (want && !(step && node->postfix))
        emit(c, node, under);
    emit_full(c, node, is_member ? VZ_CODE_SET : VZ_CODE_PUT, 0, 0, (int64_t)name);
    return VZ_TYPE_DEF;
}

/* ---- expressions ----------------------------------------------------------------------------- */

static enum vz_type value(struct compiler *c, const struct vz_ast *node)
{
    struct vz_cell cell;
    c->met_params = false;
    if (fold(c, node, &cell)) {
        emit_constant(c, node, cell);
        return c->met_params ? VZ_TYPE_DEF : type_of(&cell);
    }
    switch (node->kind) {
    case VZ_AST_NAME:
        return variable(c, node);
    case VZ_AST_MEMBER:
        return member(c, node);
    case VZ_AST_INDEX:
        return at_index(c, node);
    case VZ_AST_CALL:
        return call(c, node);
    case VZ_AST_METHOD:
        return method(c, node);
    case VZ_AST_NEW:
        return new_object(c, node);
    case VZ_AST_LIST:
    case VZ_AST_MAP:
        return literal(c, node);
    case VZ_AST_UNARY:
        return unary(c, node);
    case VZ_AST_BINARY: {
        enum vz_type a = expression(c, node->a, true), b = expression(c, node->b, true);
        emit_full(c, node, VZ_CODE_BINARY, node->op, 0, 0);
        return binary_type(c, node, a, b);
    }
    case VZ_AST_BOTH:
    case VZ_AST_EITHER:
        return logic(c, node);
    case VZ_AST_CHOICE:
        return choice(c, node);
    case VZ_AST_ELVIS:
        return elvis(c, node);
    case VZ_AST_CAST:
        expression(c, node->a, true);
        emit_full(c, node, VZ_CODE_CAST, node->type, 0, 0);
        return node->type;
    case VZ_AST_INSTANCE:
        expression(c, node->a, true);
        emit_full(c, node, VZ_CODE_INSTANCE, node->type, 0, 0);
        return VZ_TYPE_BOOL;
    default:
        fail(c, VZ_BAD_ARGUMENT, node, "not an expression");
        return VZ_TYPE_DEF;
    }
}

/* Leaves the value on the stack when it is wanted. */
static enum vz_type expression(struct compiler *c, const struct vz_ast *node, bool want)
{
    if (c->status != VZ_OK)
        return VZ_TYPE_DEF;
    if (node->kind == VZ_AST_ASSIGN || node->kind == VZ_AST_COMPUTE || node->kind == VZ_AST_STEP)
        return assign(c, node, want);
    enum vz_type type = value(c, node);
    if (!want)
        emit(c, node, VZ_CODE_POP);
    return type;
}

/* ---- statements ------------------------------------------------------------------------------ */

static unsigned add_local(struct compiler *c, const struct vz_ast *node, struct vz_slice name,
                          enum vz_type type)
{
    if (name.len && find_local(c, name))
        fail(c, VZ_BAD_ARGUMENT, node, "variable [%.*s] already defined", NAME(name));
    if (c->local_count == MAX_LOCALS) {
        fail(c, VZ_LIMIT, node, "more than [%d] variables", MAX_LOCALS);
        return 0;
    }
    c->locals[c->local_count] = (struct local){name, type};
    c->most_locals = VZ_MAX(c->most_locals, c->local_count + 1);
    return c->local_count++;
}

static void declare(struct compiler *c, const struct vz_ast *node)
{
    enum vz_type type = node->type;
    if (node->a) {
        convert(c, node, expression(c, node->a, true), type);
    } else {
        struct vz_cell nothing = {.tag = VZ_CELL_NULL};
        if (is_number(type) || type == VZ_TYPE_BOOL) {
            struct vz_machine vm = {.status = VZ_OK};
            nothing = type == VZ_TYPE_BOOL ? vz_cell_bool(false) : vz_cell_int(0);
            vz_convert(&vm, type, true, &nothing);
        }
        emit_constant(c, node, nothing);
    }
    unsigned slot = add_local(c, node, node->name, type);
    emit_full(c, node, VZ_CODE_STORE, 0, slot, 0);
}

static void block(struct compiler *c, const struct vz_ast *node)
{
    unsigned before = c->local_count;
    for (const struct vz_ast *child = node->list; child && c->status == VZ_OK; child = child->next)
        statement(c, child);
    if (!node->name.len) /* "int a, b" has no scope of its own */
        c->local_count = before;
}

static void scoped(struct compiler *c, const struct vz_ast *node)
{
    unsigned before = c->local_count;
    statement(c, node);
    c->local_count = before;
}

static void branch(struct compiler *c, const struct vz_ast *node)
{
    condition(c, node->a);
    int32_t no = emit(c, node, VZ_CODE_IF_FALSE), end = -1;
    scoped(c, node->b);
    if (node->c)
        end = emit(c, node, VZ_CODE_JUMP);
    land(c, no);
    if (node->c) {
        scoped(c, node->c);
        land(c, end);
    }
}

static void loop_over(struct compiler *c, const struct vz_ast *node)
{
    struct loop loop = {c->loop, -1, -1};
    unsigned before = c->local_count;
    c->loop = &loop;
    for (const struct vz_ast *child = node->list; child; child = child->next) {
        if (child->kind == VZ_AST_DECLARE || child->kind == VZ_AST_BLOCK)
            statement(c, child);
        else
            expression(c, child, false);
    }
    int32_t start = (int32_t)c->code.count, leave = -1;
    if (node->a && node->kind != VZ_AST_DO) {
        condition(c, node->a);
        leave = emit(c, node, VZ_CODE_IF_FALSE);
    }
    scoped(c, node->b);
    int32_t next = (int32_t)c->code.count;
    if (node->kind == VZ_AST_DO) {
        condition(c, node->a);
        leave = emit(c, node, VZ_CODE_IF_FALSE);
    } else if (node->c) {
        expression(c, node->c, false);
    }
    emit_full(c, node, VZ_CODE_LOOP, 0, 0, start);
    if (leave >= 0)
        land(c, leave);
    land_chain(c, loop.continues, next);
    land_chain(c, loop.breaks, (int32_t)c->code.count);
    c->loop = loop.outer;
    c->local_count = before;
}

static void each(struct compiler *c, const struct vz_ast *node)
{
    struct loop loop = {c->loop, -1, -1};
    unsigned before = c->local_count;
    expression(c, node->a, true);
    unsigned hidden = add_local(c, node, (struct vz_slice){"", 0}, VZ_TYPE_DEF);
    add_local(c, node, (struct vz_slice){"", 0}, VZ_TYPE_DEF);
    unsigned item = add_local(c, node, node->name, node->type);
    c->loop = &loop;
    emit_full(c, node, VZ_CODE_EACH_START, 0, hidden, 0);
    int32_t start = emit_full(c, node, VZ_CODE_EACH, 0, hidden, 0);
    convert(c, node, VZ_TYPE_DEF, node->type);
    emit_full(c, node, VZ_CODE_STORE, 0, item, 0);
    scoped(c, node->b);
    emit_full(c, node, VZ_CODE_LOOP, 0, 0, start);
    land(c, start);
    land_chain(c, loop.continues, start);
    land_chain(c, loop.breaks, (int32_t)c->code.count);
    c->loop = loop.outer;
    c->local_count = before;
}

static void jump_out(struct compiler *c, const struct vz_ast *node)
{
    if (!c->loop) {
        fail(c, VZ_BAD_ARGUMENT, node, "%s statement outside of a loop",
             node->kind == VZ_AST_BREAK ? "break" : "continue");
        return;
    }
    int32_t *chain = node->kind == VZ_AST_BREAK ? &c->loop->breaks : &c->loop->continues;
    int32_t jump = emit(c, node, VZ_CODE_JUMP);
    instruction(c, jump)->c = *chain;
    *chain = jump;
}

/* "IllegalArgumentException" -> "illegal_argument_exception" */
static struct vz_slice snake(struct compiler *c, struct vz_slice name)
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

static void throw_out(struct compiler *c, const struct vz_ast *node)
{
    if (node->a)
        expression(c, node->a, true);
    else
        emit(c, node, VZ_CODE_NULL);
    emit_full(c, node, VZ_CODE_THROW, 0, 0, (int64_t)add_name(c, snake(c, node->name), 0));
}

static void plain_expression(struct compiler *c, const struct vz_ast *node)
{
    switch (node->kind) {
    case VZ_AST_CALL:
    case VZ_AST_METHOD:
    case VZ_AST_NEW:
    case VZ_AST_ASSIGN:
    case VZ_AST_COMPUTE:
    case VZ_AST_STEP:
        expression(c, node, false);
        return;
    default:
        fail(c, VZ_BAD_ARGUMENT, node, "not a statement: the result of the expression is not used");
    }
}

static void statement(struct compiler *c, const struct vz_ast *node)
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
            expression(c, node->a, true);
            emit(c, node, VZ_CODE_RETURN);
            c->has_result = true;
        } else {
            emit(c, node, VZ_CODE_END);
        }
        break;
    case VZ_AST_THROW:
        throw_out(c, node);
        break;
    default:
        fail(c, VZ_BAD_ARGUMENT, node, "not a statement");
    }
}

/* ---- programs -------------------------------------------------------------------------------- */

static bool linear(struct compiler *c, const struct vz_ast *node, double *factor, double *summand)
{
    struct vz_cell cell;
    double number;
    *factor = 1;
    *summand = 0;
    if (node->kind == VZ_AST_CALL)
        return true;
    if (node->kind != VZ_AST_BINARY)
        return false;
    bool right = fold(c, node->b, &cell) && vz_cell_is_number(&cell);
    bool left = !right && fold(c, node->a, &cell) && vz_cell_is_number(&cell);
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

static void program(struct compiler *c, const struct vz_ast *tree)
{
    for (const struct vz_ast *node = tree->list; node && c->status == VZ_OK; node = node->next) {
        if (node->kind == VZ_AST_EXPRESSION && !node->next) {
            /* The last expression is what the script gives. */
            expression(c, node->a, true);
            emit(c, node, VZ_CODE_RETURN);
            c->has_result = true;
        } else {
            statement(c, node);
        }
    }
    emit(c, tree, VZ_CODE_END);
    if (c->status == VZ_OK && c->most_locals + (unsigned)c->most_height + 2 > VZ_SCRIPT_MAX_STACK)
        fail(c, VZ_LIMIT, tree, "the script needs too much of the stack");
}

static void detect_linear(struct compiler *c, const struct vz_ast *tree, struct vz_script *script)
{
    const struct vz_ast *only = tree->list;
    if (!only || only->next || c->calls.count != 1 || !only->a ||
        (only->kind != VZ_AST_EXPRESSION && only->kind != VZ_AST_RETURN))
        return;
    for (size_t i = 0; i < c->code.count; i++) {
        const struct vz_instruction *in = instruction(c, (int32_t)i);
        if (in->code == VZ_CODE_HOST && in->b)
            return; /* an argument that is not constant */
    }
    script->is_linear = linear(c, only->a, &script->factor, &script->summand);
}

static void copy_functions(struct compiler *c, struct vz_script *script)
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
    struct compiler *c = vz_calloc(1, sizeof *c);
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
