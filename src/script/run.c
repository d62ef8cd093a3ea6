/* The machine: a stack of cells, instructions of eight bytes.
 *
 * Locals are the first cells, what is being computed lies above them; the compiler has counted
 * both, so nothing is checked here. Numbers live in the cells, so that a program that computes with
 * numbers allocates nothing. Work is counted where a program can do much of it: at each way back in
 * a loop (as many steps as the loop has instructions), and in methods that walk something.
 */
#include "script/parts.h"

#include <stdio.h>

bool vz_machine_fail(struct vz_machine *vm, const char *type, const char *format, ...)
{
    char text[320];
    if (vm->status != VZ_OK)
        return false;
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    vm->status = vz_fail_at(vm->err, VZ_BAD_ARGUMENT, vm->place, "%s", text);
    vz_fail_cause(vm->err, "%s", type);
    return false;
}

bool vz_machine_limit(struct vz_machine *vm, const char *format, ...)
{
    char text[320];
    if (vm->status != VZ_OK)
        return false;
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    vm->status = vz_fail_at(vm->err, VZ_LIMIT, vm->place, "%s", text);
    vz_fail_cause(vm->err, "painless_error");
    return false;
}

static bool is_wanted(struct vz_machine *vm, size_t steps)
{
    struct vz_script_watch *watch = vm->run->watch;
    watch->steps += steps;
    if (watch->steps < VZ_SCRIPT_WATCHED_STEPS)
        return true;
    watch->steps = 0;
    if (vm->status == VZ_OK && watch->stopped(watch->context))
        vm->status = vz_fail(vm->err, VZ_CANCELLED, "the script was stopped");
    return vm->status == VZ_OK;
}

bool vz_machine_work(struct vz_machine *vm, size_t steps)
{
    vm->steps += steps;
    if (vm->run && vm->run->watch && !is_wanted(vm, steps)) /* a compiler that folds has none */
        return false;
    return vm->steps <= VZ_SCRIPT_MAX_STEPS ||
           vz_machine_limit(vm, "The maximum number of statements that can be executed in a loop "
                                "has been reached.");
}

bool vz_machine_bytes(struct vz_machine *vm, size_t bytes)
{
    return vm->arena->total_bytes - vm->first_byte + bytes <= VZ_SCRIPT_MAX_BYTES ||
           vz_machine_limit(vm, "a script makes more than [%u] bytes", VZ_SCRIPT_MAX_BYTES);
}

struct vz_cell vz_machine_string(struct vz_machine *vm, struct vz_slice text)
{
    struct vz_value *value = vz_arena_zalloc(vm->arena, sizeof *value);
    value->type = VZ_VALUE_STRING;
    value->string = text;
    return (struct vz_cell){.tag = VZ_CELL_STRING, .value = value};
}

struct vz_value *vz_machine_list(struct vz_machine *vm)
{
    return vz_value_array(vm->arena);
}

bool vz_machine_append(struct vz_machine *vm, struct vz_value *list, const struct vz_cell *cell)
{
    vz_value_append(list, vz_cell_value(cell, vm->arena));
    return vz_machine_bytes(vm, 0);
}

bool vz_machine_may_change(struct vz_machine *vm, const struct vz_value *container)
{
    return container->java != VZ_FROZEN ||
           vz_machine_fail(vm, "unsupported_operation_exception", "params cannot be changed");
}

#define MAX_NODES 200000
#define MAX_TREE_DEPTH VZ_JSON_MAX_DEPTH

bool vz_machine_may_walk(struct vz_machine *vm, const struct vz_value *value)
{
    return vz_value_within(value, MAX_TREE_DEPTH, MAX_NODES) ||
           vz_machine_fail(vm, "illegal_argument_exception",
                           "Iterable object is self-referencing itself or too large");
}

/* ---- cells ----------------------------------------------------------------------------------- */

struct vz_cell vz_cell_from(struct vz_value *value)
{
    switch (value->type) {
    case VZ_VALUE_BOOL:
        return vz_cell_bool(value->boolean);
    case VZ_VALUE_INT: {
        enum vz_cell_tag tag = value->java;
        if (tag == VZ_CELL_NULL)
            tag = value->integer == (int32_t)value->integer ? VZ_CELL_INT : VZ_CELL_LONG;
        return (struct vz_cell){.tag = tag, .integer = value->integer};
    }
    case VZ_VALUE_DOUBLE:
        return (struct vz_cell){.tag = value->java ? value->java : VZ_CELL_DOUBLE,
                                .number = value->number};
    case VZ_VALUE_STRING:
        return (struct vz_cell){.tag = VZ_CELL_STRING, .value = value};
    case VZ_VALUE_ARRAY:
        return (struct vz_cell){.tag = VZ_CELL_LIST, .value = value};
    case VZ_VALUE_OBJECT:
        return (struct vz_cell){.tag = VZ_CELL_MAP, .value = value};
    case VZ_VALUE_NULL:
        break;
    }
    return (struct vz_cell){.tag = VZ_CELL_NULL};
}

static struct vz_cell field_at(const struct vz_script_field *field, size_t at,
                               struct vz_arena *arena)
{
    switch (field->kind) {
    case VZ_SCRIPT_INTS:
        return vz_cell_long(field->ints[at]);
    case VZ_SCRIPT_DATES:
        return (struct vz_cell){.tag = VZ_CELL_DATE, .integer = field->ints[at]};
    case VZ_SCRIPT_BOOLS:
        return vz_cell_bool(field->ints[at] != 0);
    case VZ_SCRIPT_DOUBLES:
        return vz_cell_double(field->doubles[at]);
    case VZ_SCRIPT_STRINGS: {
        struct vz_value *value = vz_arena_zalloc(arena, sizeof *value);
        value->type = VZ_VALUE_STRING;
        value->string = field->strings[at];
        return (struct vz_cell){.tag = VZ_CELL_STRING, .value = value};
    }
    case VZ_SCRIPT_GEO:
        return (struct vz_cell){.tag = VZ_CELL_GEO, .geo = &field->geo[at]};
    case VZ_SCRIPT_VECTOR:
        return (struct vz_cell){.tag = VZ_CELL_FLOAT, .number = (double)field->floats[at]};
    case VZ_SCRIPT_ABSENT:
        break;
    }
    return (struct vz_cell){.tag = VZ_CELL_NULL};
}

struct vz_cell vz_machine_field_at(struct vz_machine *vm, const struct vz_script_field *field,
                                   size_t at)
{
    return field_at(field, at, vm->arena);
}

static struct vz_value *geo_value(const struct vz_script_geo *geo, struct vz_arena *arena)
{
    struct vz_value *out = vz_value_object(arena);
    vz_value_put(out, VZ_SLICE("lat"), vz_value_double(arena, geo->lat));
    vz_value_put(out, VZ_SLICE("lon"), vz_value_double(arena, geo->lon));
    return out;
}

static struct vz_value *text_value(const struct vz_cell *cell, struct vz_arena *arena)
{
    struct vz_buf text = {0};
    vz_cell_print(NULL, cell, &text);
    struct vz_value *out = vz_value_string(arena, vz_buf_slice(&text));
    vz_buf_deinit(&text);
    return out;
}

struct vz_value *vz_cell_value(const struct vz_cell *cell, struct vz_arena *arena)
{
    struct vz_value *out;
    switch (cell->tag) {
    case VZ_CELL_BOOL:
        return vz_value_bool(arena, cell->boolean);
    case VZ_CELL_INT:
    case VZ_CELL_LONG:
        out = vz_value_int(arena, cell->integer);
        out->java = (uint8_t)cell->tag;
        return out;
    case VZ_CELL_FLOAT:
    case VZ_CELL_DOUBLE:
        out = vz_value_double(arena, cell->number);
        out->java = (uint8_t)cell->tag;
        return out;
    case VZ_CELL_STRING:
        return cell->value;
    case VZ_CELL_LIST:
    case VZ_CELL_MAP: /* what belongs to the program does not get into what it makes */
        return cell->value->java == VZ_FROZEN ? vz_value_copy(arena, cell->value) : cell->value;
    case VZ_CELL_FIELD:
        out = vz_value_array(arena);
        for (size_t i = 0; i < cell->field->count; i++) {
            struct vz_cell item = field_at(cell->field, i, arena);
            vz_value_append(out, vz_cell_value(&item, arena));
        }
        return out;
    case VZ_CELL_GEO:
        return geo_value(cell->geo, arena);
    case VZ_CELL_CHAR:
    case VZ_CELL_DATE:
    case VZ_CELL_WEEKDAY:
    case VZ_CELL_MONTH:
    case VZ_CELL_UNIT:
        return text_value(cell, arena);
    case VZ_CELL_NULL:
    case VZ_CELL_DOC:
        break;
    }
    return vz_value_null(arena);
}

bool vz_machine_field_value(struct vz_machine *vm, const struct vz_script_field *field,
                            struct vz_cell *out)
{
    if (field->kind == VZ_SCRIPT_VECTOR)
        return vz_machine_fail(vm, "illegal_argument_exception",
                               "dense_vector field doesn't support [.value], use [.vectorValue]");
    if (field->count == 0)
        return vz_machine_fail(vm, "illegal_state_exception",
                               "A document doesn't have a value for a field! Use "
                               "doc[<field>].size()==0 to check if a document is missing a field!");
    *out = field_at(field, 0, vm->arena);
    return true;
}

/* ---- members --------------------------------------------------------------------------------- */

static bool null_pointer(struct vz_machine *vm, struct vz_slice name)
{
    return vz_machine_fail(vm, "null_pointer_exception",
                           "cannot access method/field [%.*s] from a null def reference",
                           (int)VZ_MIN(name.len, (size_t)100), name.ptr);
}

static bool get_member(struct vz_machine *vm, struct vz_cell *object, const struct vz_name *name)
{
    if (object->tag == VZ_CELL_NULL)
        return null_pointer(vm, name->text);
    if (object->tag == VZ_CELL_MAP) {
        struct vz_value *found = vz_value_get(object->value, name->text);
        *object = found ? vz_cell_from(found) : (struct vz_cell){.tag = VZ_CELL_NULL};
        return true;
    }
    const struct vz_method *method = name->methods[object->tag];
    if (!method)
        return vz_machine_fail(vm, "illegal_argument_exception",
                               "dynamic getter [%s, %.*s] not found", vz_cell_type_name(object),
                               (int)VZ_MIN(name->text.len, (size_t)100), name->text.ptr);
    struct vz_cell args[1] = {*object};
    return method->call(vm, args, 0, object);
}

static bool set_member(struct vz_machine *vm, struct vz_cell *object, struct vz_slice name,
                       const struct vz_cell *value)
{
    if (object->tag == VZ_CELL_NULL)
        return null_pointer(vm, name);
    if (object->tag != VZ_CELL_MAP)
        return vz_machine_fail(vm, "illegal_argument_exception",
                               "dynamic setter [%s, %.*s] not found", vz_cell_type_name(object),
                               (int)VZ_MIN(name.len, (size_t)100), name.ptr);
    if (!vz_machine_may_change(vm, object->value))
        return false;
    vz_value_put(object->value, name, vz_cell_value(value, vm->arena));
    return vz_machine_bytes(vm, 0);
}

/* Painless lets a negative index count from the end. */
static bool list_place(struct vz_machine *vm, struct vz_cell *index, size_t count, size_t *at)
{
    if (!vz_convert(vm, VZ_TYPE_INT, false, index))
        return false;
    int64_t place = index->integer < 0 ? index->integer + (int64_t)count : index->integer;
    if (place < 0 || (uint64_t)place >= count)
        return vz_machine_fail(vm, "index_out_of_bounds_exception",
                               "Index %lld out of bounds for length %zu", (long long)index->integer,
                               count);
    *at = (size_t)place;
    return true;
}

/* The text of a map's key; a string for other kinds. */
static bool key_of(struct vz_machine *vm, struct vz_cell *cell, struct vz_slice *key)
{
    if (cell->tag == VZ_CELL_LIST || cell->tag == VZ_CELL_MAP || cell->tag == VZ_CELL_FIELD)
        return vz_machine_fail(vm, "class_cast_exception", "a key of type [%s]",
                               vz_cell_type_name(cell));
    if (cell->tag != VZ_CELL_STRING)
        *cell = (struct vz_cell){.tag = VZ_CELL_STRING, .value = text_value(cell, vm->arena)};
    *key = cell->value->string;
    return vz_machine_bytes(vm, 0);
}

static bool get_at(struct vz_machine *vm, struct vz_cell *object, struct vz_cell *index)
{
    size_t at = 0;
    struct vz_slice key = {0};
    struct vz_value *found = NULL;
    switch (object->tag) {
    case VZ_CELL_LIST:
        if (!list_place(vm, index, object->value->array.count, &at))
            return false;
        found = object->value->array.items[at];
        break;
    case VZ_CELL_MAP:
        if (!key_of(vm, index, &key))
            return false;
        found = vz_value_get(object->value, key);
        break;
    case VZ_CELL_FIELD:
        if (object->field->count == 0)
            return vz_machine_field_value(vm, object->field, object);
        if (!list_place(vm, index, object->field->count, &at))
            return false;
        *object = vz_machine_field_at(vm, object->field, at);
        return true;
    case VZ_CELL_NULL:
        return null_pointer(vm, VZ_SLICE("[]"));
    default:
        return vz_machine_fail(vm, "illegal_argument_exception",
                               "Attempting to address a non-array-like type [%s] as an array.",
                               vz_cell_type_name(object));
    }
    *object = found ? vz_cell_from(found) : (struct vz_cell){.tag = VZ_CELL_NULL};
    return true;
}

static bool put_at(struct vz_machine *vm, struct vz_cell *object, struct vz_cell *index,
                   const struct vz_cell *value)
{
    size_t at = 0;
    struct vz_slice key = {0};
    if (object->tag == VZ_CELL_NULL)
        return null_pointer(vm, VZ_SLICE("[]"));
    if (object->tag != VZ_CELL_LIST && object->tag != VZ_CELL_MAP)
        return vz_machine_fail(vm, "illegal_argument_exception",
                               "Attempting to address a non-array-like type [%s] as an array.",
                               vz_cell_type_name(object));
    if (!vz_machine_may_change(vm, object->value))
        return false;
    if (object->tag == VZ_CELL_LIST) {
        if (!list_place(vm, index, object->value->array.count, &at))
            return false;
        object->value->array.items[at] = vz_cell_value(value, vm->arena);
        return vz_machine_bytes(vm, 0);
    }
    if (!key_of(vm, index, &key))
        return false;
    vz_value_put(object->value, key, vz_cell_value(value, vm->arena));
    return vz_machine_bytes(vm, 0);
}

/* ---- calls ----------------------------------------------------------------------------------- */

/* The receiver is args[0], and gets the result. */
static bool call_method(struct vz_machine *vm, struct vz_cell *args, unsigned argc,
                        const struct vz_name *name)
{
    struct vz_cell out;
    if (args[0].tag == VZ_CELL_NULL)
        return null_pointer(vm, name->text);
    const struct vz_method *method = name->methods[args[0].tag];
    if (!method)
        return vz_machine_fail(vm, "illegal_argument_exception",
                               "dynamic method [%s, %.*s/%u] not found",
                               vz_cell_type_name(&args[0]),
                               (int)VZ_MIN(name->text.len, (size_t)100), name->text.ptr, argc);
    if (!method->call(vm, args, argc, &out))
        return false;
    args[0] = out;
    return vz_machine_bytes(vm, 0);
}

static bool call_host(struct vz_machine *vm, const struct vz_host_call *call, unsigned argc,
                      struct vz_cell *args, struct vz_cell *out)
{
    const struct vz_script_function *function = &vm->script->functions[call->function];
    const struct vz_value *values[VZ_SCRIPT_MAX_ARGS];
    struct vz_value scalars[VZ_SCRIPT_MAX_ARGS];
    double result = 0;
    unsigned next = 0;
    for (unsigned i = 0; i < argc; i++) {
        values[i] = call->constant[i];
        if (values[i])
            continue;
        const struct vz_cell *cell = &args[next++];
        scalars[i] = (struct vz_value){.type = VZ_VALUE_NULL};
        values[i] = &scalars[i];
        if (cell->tag == VZ_CELL_BOOL) {
            scalars[i].type = VZ_VALUE_BOOL;
            scalars[i].boolean = cell->boolean;
        } else if (cell->tag >= VZ_CELL_FLOAT && cell->tag <= VZ_CELL_DOUBLE) {
            scalars[i].type = VZ_VALUE_DOUBLE;
            scalars[i].number = cell->number;
        } else if (vz_cell_is_number(cell)) {
            scalars[i].type = VZ_VALUE_INT;
            scalars[i].integer = cell->integer;
        } else {
            values[i] = vz_cell_value(cell, vm->arena);
        }
    }
    struct vz_error inner = {0};
    enum vz_status status =
        function->call(vm->run->context, call->prepared, values, argc, &result, &inner);
    if (status != VZ_OK) {
        vm->status = vz_fail_at(vm->err, status, vm->place, "%s", inner.text);
        vz_fail_cause(vm->err, "%s", inner.cause[0] ? inner.cause : "illegal_argument_exception");
        return false;
    }
    *out = vz_cell_double(result);
    return true;
}

/* ---- the loop -------------------------------------------------------------------------------- */

struct fields {
    uint64_t loaded; /* a bit a slot */
    struct vz_script_field slots[VZ_SCRIPT_MAX_DOC_FIELDS];
};

static bool check_field(struct vz_machine *vm, struct vz_slice name,
                        const struct vz_script_field *field)
{
    return field->kind != VZ_SCRIPT_ABSENT ||
           vz_machine_fail(vm, "illegal_argument_exception", "No field found for [%.*s] in mapping",
                           (int)VZ_MIN(name.len, (size_t)200), name.ptr);
}

static const struct vz_script_field *load_field(struct vz_machine *vm, struct fields *fields,
                                                unsigned slot, bool absent_too)
{
    struct vz_script_field *field = &fields->slots[slot];
    if (!(fields->loaded >> slot & 1)) {
        fields->loaded |= 1ull << slot;
        field->kind = VZ_SCRIPT_ABSENT;
        field->count = 0;
        vm->run->field(vm->run->context, vm->script->doc_fields[slot], field);
    }
    return absent_too || check_field(vm, vm->script->doc_fields[slot], field) ? field : NULL;
}

/* doc[expression]: its own place, as it is not known which one it is. */
static bool load_named(struct vz_machine *vm, struct vz_cell *cell, bool only_ask)
{
    if (cell->tag != VZ_CELL_STRING)
        return vz_machine_fail(vm, "class_cast_exception",
                               "Cannot cast from [%s] to [java.lang.String].",
                               vz_cell_type_name(cell));
    struct vz_slice name = cell->value->string;
    struct vz_script_field *field = vz_arena_zalloc(vm->arena, sizeof *field);
    vm->run->field(vm->run->context, name, field);
    if (only_ask) {
        *cell = vz_cell_bool(field->kind != VZ_SCRIPT_ABSENT);
        return vz_machine_bytes(vm, 0);
    }
    *cell = (struct vz_cell){.tag = VZ_CELL_FIELD, .field = field};
    return check_field(vm, name, field) && vz_machine_bytes(vm, 0);
}

static bool start_each(struct vz_machine *vm, const struct vz_cell *what, struct vz_cell *locals)
{
    if (what->tag != VZ_CELL_LIST && what->tag != VZ_CELL_FIELD)
        return vz_machine_fail(vm, "illegal_argument_exception", "Cannot iterate over [%s]",
                               vz_cell_type_name(what));
    locals[0] = *what;
    locals[1] = vz_cell_long(0);
    return true;
}

static bool next_of_each(struct vz_machine *vm, struct vz_cell *locals, struct vz_cell *out)
{
    size_t at = (size_t)locals[1].integer++;
    if (locals[0].tag == VZ_CELL_FIELD) {
        if (at >= locals[0].field->count)
            return false;
        *out = vz_machine_field_at(vm, locals[0].field, at);
        return true;
    }
    if (at >= locals[0].value->array.count)
        return false;
    *out = vz_cell_from(locals[0].value->array.items[at]);
    return true;
}

/* A list or map cell, or its copy. */
static bool copy_container(struct vz_machine *vm, struct vz_cell *cell, enum vz_cell_tag tag)
{
    if (cell->tag == VZ_CELL_FIELD && tag == VZ_CELL_LIST)
        *cell = (struct vz_cell){.tag = tag, .value = vz_cell_value(cell, vm->arena)};
    if (cell->tag != tag)
        return vz_machine_fail(vm, "class_cast_exception", "Cannot cast from [%s] to [%s].",
                               vz_cell_type_name(cell), tag == VZ_CELL_LIST ? "List" : "Map");
    const struct vz_value *from = cell->value;
    struct vz_value *copy;
    if (tag == VZ_CELL_LIST) {
        copy = vz_value_array(vm->arena);
        if (!vz_machine_work(vm, from->array.count) || !vz_machine_bytes(vm, from->array.count * 8))
            return false;
        for (size_t i = 0; i < from->array.count; i++)
            vz_value_append(copy, from->array.items[i]);
    } else {
        copy = vz_value_object(vm->arena);
        if (!vz_machine_work(vm, from->object.count) ||
            !vz_machine_bytes(vm, from->object.count * 24))
            return false;
        for (size_t i = 0; i < from->object.count; i++)
            vz_value_put(copy, from->object.members[i].key, from->object.members[i].value);
    }
    cell->value = copy;
    return vz_machine_bytes(vm, 0);
}

static bool want_truth(struct vz_machine *vm, const struct vz_cell *cell)
{
    return cell->tag == VZ_CELL_BOOL ||
           vz_machine_fail(vm, "class_cast_exception", "Cannot cast from [%s] to [boolean].",
                           vz_cell_type_name(cell));
}

/* Runs to the end; the result, or null. Long, because it is a table of what each code does. */
static bool execute(struct vz_machine *vm, struct vz_cell *result)
{
    const struct vz_script *script = vm->script;
    const struct vz_instruction *code = script->code;
    struct vz_cell cells[VZ_SCRIPT_MAX_STACK];
    struct fields fields;
    struct vz_cell *top = cells + script->local_count; /* one past the uppermost */
    const struct vz_script_field *field;
    fields.loaded = 0;

#define TRY(what)                                                                                  \
    do {                                                                                           \
        if (!(what))                                                                               \
            return false;                                                                          \
    } while (0)
    for (size_t pc = 0;; pc++) {
        const struct vz_instruction in = code[pc];
        vm->place = script->places[pc];
        switch ((enum vz_code)in.code) {
        case VZ_CODE_CONST:
            *top++ = script->constants[in.c];
            break;
        case VZ_CODE_NULL:
            *top++ = (struct vz_cell){.tag = VZ_CELL_NULL};
            break;
        case VZ_CODE_LOCAL:
            *top++ = cells[in.b];
            break;
        case VZ_CODE_STORE:
            cells[in.b] = *--top;
            break;
        case VZ_CODE_STORE_KEEP:
            cells[in.b] = top[-1];
            break;
        case VZ_CODE_ADD_LOCAL:
            cells[in.b].integer = (int64_t)((uint64_t)cells[in.b].integer + (uint64_t)in.c);
            if (!in.a)
                cells[in.b].integer = (int32_t)cells[in.b].integer;
            break;
        case VZ_CODE_POP:
            top--;
            break;
        case VZ_CODE_DUP:
            top[0] = top[-1];
            top++;
            break;
        case VZ_CODE_DUP2:
            top[0] = top[-2];
            top[1] = top[-1];
            top += 2;
            break;
        case VZ_CODE_UNDER:
            top[0] = top[-1];
            top[-1] = top[-2];
            top[-2] = top[-3];
            top[-3] = top[0];
            top++;
            break;
        case VZ_CODE_UNDER1:
            top[0] = top[-1];
            top[-1] = top[-2];
            top[-2] = top[0];
            top++;
            break;
        case VZ_CODE_SCORE:
            *top++ = vz_cell_double(vm->run->score);
            break;
        case VZ_CODE_CTX:
            *top++ =
                vm->run->ctx ? vz_cell_from(vm->run->ctx) : (struct vz_cell){.tag = VZ_CELL_NULL};
            break;
        case VZ_CODE_VARIABLE:
            *top++ = vm->run->variables && vm->run->variables[in.b]
                         ? vz_cell_from(vm->run->variables[in.b])
                         : (struct vz_cell){.tag = VZ_CELL_NULL};
            break;
        case VZ_CODE_DOC_FIELD:
            TRY(field = load_field(vm, &fields, in.b, in.a));
            *top++ = (struct vz_cell){.tag = VZ_CELL_FIELD, .field = field};
            break;
        case VZ_CODE_DOC_VALUE:
            TRY(field = load_field(vm, &fields, in.b, in.a));
            TRY(vz_machine_field_value(vm, field, top));
            top++;
            break;
        case VZ_CODE_DOC_NAMED:
            TRY(load_named(vm, &top[-1], false));
            break;
        case VZ_CODE_DOC_HAS:
            TRY(load_named(vm, &top[-1], true));
            break;
        case VZ_CODE_GET:
            TRY(get_member(vm, &top[-1], &script->names[in.c]));
            break;
        case VZ_CODE_SET:
            top -= 2;
            TRY(set_member(vm, &top[0], script->names[in.c].text, &top[1]));
            break;
        case VZ_CODE_AT:
            top--;
            TRY(get_at(vm, &top[-1], &top[0]));
            break;
        case VZ_CODE_PUT:
            top -= 3;
            TRY(put_at(vm, &top[0], &top[1], &top[2]));
            break;
        case VZ_CODE_BINARY:
            top--;
            TRY(vz_binary(vm, in.a, &top[-1], &top[0], &top[-1]));
            break;
        case VZ_CODE_UNARY:
            TRY(vz_unary(vm, in.a, &top[-1], &top[-1]));
            break;
        case VZ_CODE_CAST:
            TRY(vz_convert(vm, in.a, true, &top[-1]));
            break;
        case VZ_CODE_CONVERT:
            TRY(vz_convert(vm, in.a, false, &top[-1]));
            break;
        case VZ_CODE_INSTANCE:
            top[-1] = vz_cell_bool(vz_is_instance(&top[-1], in.a));
            break;
        case VZ_CODE_LOOP:
            TRY(vz_machine_work(vm, pc - (size_t)in.c + 1));
            pc = (size_t)in.c - 1;
            break;
        case VZ_CODE_JUMP:
            pc = (size_t)in.c - 1;
            break;
        case VZ_CODE_IF_FALSE:
            top--;
            TRY(want_truth(vm, top));
            if (!top->boolean)
                pc = (size_t)in.c - 1;
            break;
        case VZ_CODE_IF_TRUE:
            top--;
            TRY(want_truth(vm, top));
            if (top->boolean)
                pc = (size_t)in.c - 1;
            break;
        case VZ_CODE_IF_NULL:
            if (top[-1].tag == VZ_CELL_NULL)
                pc = (size_t)in.c - 1;
            break;
        case VZ_CODE_IF_SET:
            if (top[-1].tag != VZ_CELL_NULL)
                pc = (size_t)in.c - 1;
            else
                top--;
            break;
        case VZ_CODE_METHOD:
            top -= in.a;
            TRY(call_method(vm, &top[-1], in.a, &script->names[in.c]));
            break;
        case VZ_CODE_STATIC: {
            struct vz_cell out;
            top -= in.a;
            TRY(script->statics[in.c]->call(vm, top, in.a, &out));
            *top++ = out;
            TRY(vz_machine_bytes(vm, 0));
            break;
        }
        case VZ_CODE_HOST: {
            struct vz_cell out;
            top -= in.b; /* those that are not constant */
            TRY(call_host(vm, &script->calls[in.c], in.a, top, &out));
            *top++ = out;
            break;
        }
        case VZ_CODE_FIELD_GET:
            top--;
            if (top[-1].field->count == 0)
                top[-1] = top[0];
            else
                top[-1] = vz_machine_field_at(vm, top[-1].field, 0);
            break;
        case VZ_CODE_LIST:
            if (in.b)
                TRY(copy_container(vm, &top[-1], VZ_CELL_LIST));
            else
                *top++ = (struct vz_cell){.tag = VZ_CELL_LIST, .value = vz_machine_list(vm)};
            TRY(vz_machine_bytes(vm, 0));
            break;
        case VZ_CODE_APPEND:
            top--;
            TRY(vz_machine_append(vm, top[-1].value, &top[0]));
            break;
        case VZ_CODE_MAP:
            if (in.b)
                TRY(copy_container(vm, &top[-1], VZ_CELL_MAP));
            else
                *top++ = (struct vz_cell){.tag = VZ_CELL_MAP, .value = vz_value_object(vm->arena)};
            TRY(vz_machine_bytes(vm, 0));
            break;
        case VZ_CODE_MAP_PUT:
            top -= 2;
            TRY(put_at(vm, &top[-1], &top[0], &top[1]));
            break;
        case VZ_CODE_EACH_START:
            top--;
            TRY(start_each(vm, top, &cells[in.b]));
            break;
        case VZ_CODE_EACH:
            if (next_of_each(vm, &cells[in.b], top))
                top++;
            else
                pc = (size_t)in.c - 1;
            TRY(vz_machine_bytes(vm, 0));
            break;
        case VZ_CODE_RETURN:
            *result = top[-1];
            return true;
        case VZ_CODE_END:
            *result = (struct vz_cell){.tag = VZ_CELL_NULL};
            return true;
        case VZ_CODE_THROW: {
            struct vz_slice type = script->names[in.c].text;
            struct vz_slice text = {"", 0};
            if (top[-1].tag == VZ_CELL_STRING)
                text = top[-1].value->string;
            char kind[100];
            snprintf(kind, sizeof kind, "%.*s", (int)VZ_MIN(type.len, (size_t)99), type.ptr);
            return vz_machine_fail(vm, kind, "%.*s", (int)VZ_MIN(text.len, (size_t)300), text.ptr);
        }
        }
    }
#undef TRY
}

static bool run(struct vz_machine *vm, const struct vz_script *script,
                const struct vz_script_run *request, struct vz_error *err, struct vz_cell *out)
{
    *vm = (struct vz_machine){.script = script,
                              .run = request,
                              .arena = request->arena,
                              .err = err,
                              .first_byte = request->arena->total_bytes};
    return execute(vm, out) && vm->status == VZ_OK;
}

enum vz_status vz_script_run(const struct vz_script *script, const struct vz_script_run *request,
                             struct vz_value **out, struct vz_error *err)
{
    struct vz_machine vm;
    struct vz_cell cell;
    *out = NULL;
    if (!run(&vm, script, request, err, &cell))
        return vm.status;
    struct vz_value *value = vz_cell_value(&cell, request->arena);
    bool container = value->type == VZ_VALUE_ARRAY || value->type == VZ_VALUE_OBJECT;
    if ((container && !vz_machine_may_walk(&vm, value)) ||
        (request->ctx && !vz_machine_may_walk(&vm, request->ctx)))
        return vm.status;
    *out = value;
    return VZ_OK;
}

enum vz_status vz_script_run_number(const struct vz_script *script,
                                    const struct vz_script_run *request, double *out,
                                    struct vz_error *err)
{
    struct vz_machine vm;
    struct vz_cell cell;
    *out = 0;
    if (!run(&vm, script, request, err, &cell))
        return vm.status;
    if (!vz_cell_is_number(&cell)) {
        vz_machine_fail(&vm, "class_cast_exception", "Cannot cast from [%s] to [double].",
                        vz_cell_type_name(&cell));
        return vm.status;
    }
    *out = vz_cell_as_double(&cell);
    return VZ_OK;
}

enum vz_status vz_script_run_bool(const struct vz_script *script,
                                  const struct vz_script_run *request, bool *out,
                                  struct vz_error *err)
{
    struct vz_machine vm;
    struct vz_cell cell;
    *out = false;
    if (!run(&vm, script, request, err, &cell) || !want_truth(&vm, &cell))
        return vm.status;
    *out = cell.boolean;
    return VZ_OK;
}

bool vz_script_uses_score(const struct vz_script *script)
{
    return script->uses_score;
}

bool vz_script_is_linear(const struct vz_script *script, unsigned *function, void **prepared,
                         double *factor, double *summand)
{
    if (!script->is_linear)
        return false;
    *function = script->calls[0].function;
    *prepared = script->calls[0].prepared;
    *factor = script->factor;
    *summand = script->summand;
    return true;
}
