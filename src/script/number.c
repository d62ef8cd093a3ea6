/* Arithmetic, comparison and conversion as Java and Painless do them.
 *
 * Integers are kept as int64 and wrapped to 32 bits where Java's type is int; floats as doubles
 * rounded to float after every operation. Operands are promoted to the larger of their types, char
 * to int.
 */
#include "script/parts.h"

#include <math.h>
#include <stdio.h>

const char *vz_op_text(enum vz_op op)
{
    static const char *const texts[] = {
        "*",  "/",  "%",   "+",   "-", "<<", ">>", ">>>", "<", "<=", ">", ">=",
        "==", "!=", "===", "!==", "&", "^",  "|",  "-",   "+", "~",  "!",
    };
    return texts[op];
}

const char *vz_cell_type_name(const struct vz_cell *cell)
{
    static const char *const names[VZ_CELL_COUNT] = {
        "null",
        "java.lang.Boolean",
        "java.lang.Character",
        "java.lang.Integer",
        "java.lang.Long",
        "java.lang.Float",
        "java.lang.Double",
        "java.lang.String",
        "java.util.ArrayList",
        "java.util.HashMap",
        "org.elasticsearch.index.fielddata.ScriptDocValues",
        "java.time.ZonedDateTime",
        "org.elasticsearch.common.geo.GeoPoint",
        "java.time.DayOfWeek",
        "java.time.Month",
        "java.time.temporal.ChronoUnit",
        "org.elasticsearch.search.lookup.LeafDocLookup",
    };
    return names[cell->tag];
}

int64_t vz_double_to_long(double value)
{
    if (isnan(value))
        return 0;
    if (value >= 0x1p63)
        return INT64_MAX;
    return value <= -0x1p63 ? INT64_MIN : (int64_t)value;
}

int32_t vz_double_to_int(double value)
{
    if (isnan(value))
        return 0;
    if (value >= 2147483647.0)
        return INT32_MAX;
    return value <= -2147483648.0 ? INT32_MIN : (int32_t)value;
}

/* ---- arithmetic ------------------------------------------------------------------------------ */

static bool refuse_types(struct vz_machine *vm, enum vz_op op, const struct vz_cell *a,
                         const struct vz_cell *b)
{
    return vz_machine_fail(vm, "class_cast_exception",
                           "Cannot apply [%s] operation to types [%s] and [%s].", vz_op_text(op),
                           vz_cell_type_name(a), vz_cell_type_name(b));
}

static enum vz_cell_tag promoted(const struct vz_cell *a, const struct vz_cell *b)
{
    enum vz_cell_tag tag = VZ_MAX(a->tag, b->tag);
    return VZ_MAX(tag, VZ_CELL_INT);
}

static void set_whole(struct vz_cell *out, enum vz_cell_tag tag, uint64_t value)
{
    out->tag = tag;
    out->integer = tag == VZ_CELL_INT ? (int64_t)(int32_t)(uint32_t)value : (int64_t)value;
}

static void set_real(struct vz_cell *out, enum vz_cell_tag tag, double value)
{
    out->tag = tag;
    out->number = tag == VZ_CELL_FLOAT ? (double)(float)value : value;
}

static bool divide_whole(struct vz_machine *vm, enum vz_op op, enum vz_cell_tag tag, int64_t a,
                         int64_t b, struct vz_cell *out)
{
    if (b == 0)
        return vz_machine_fail(vm, "arithmetic_exception", "/ by zero");
    if (b == -1) /* INT64_MIN / -1 traps */
        set_whole(out, tag, op == VZ_OP_DIV ? -(uint64_t)a : 0);
    else
        set_whole(out, tag, (uint64_t)(op == VZ_OP_DIV ? a / b : a % b));
    return true;
}

static bool real_arithmetic(enum vz_op op, enum vz_cell_tag tag, double a, double b,
                            struct vz_cell *out)
{
    switch (op) {
    case VZ_OP_ADD:
        set_real(out, tag, a + b);
        return true;
    case VZ_OP_SUB:
        set_real(out, tag, a - b);
        return true;
    case VZ_OP_MUL:
        set_real(out, tag, a * b);
        return true;
    case VZ_OP_DIV:
        set_real(out, tag, a / b);
        return true;
    case VZ_OP_REM:
        set_real(out, tag, fmod(a, b));
        return true;
    default:
        return false;
    }
}

static bool concatenate(struct vz_machine *vm, const struct vz_cell *a, const struct vz_cell *b,
                        struct vz_cell *out)
{
    struct vz_buf text = {0};
    bool fine = vz_cell_print(vm, a, &text) && vz_cell_print(vm, b, &text) &&
                vz_machine_bytes(vm, text.len) && vz_machine_work(vm, text.len / 64);
    if (fine)
        *out = vz_machine_string(vm, vz_arena_copy(vm->arena, vz_buf_slice(&text)));
    vz_buf_deinit(&text);
    return fine;
}

static bool arithmetic(struct vz_machine *vm, enum vz_op op, const struct vz_cell *a,
                       const struct vz_cell *b, struct vz_cell *out)
{
    if (op == VZ_OP_ADD && (a->tag == VZ_CELL_STRING || b->tag == VZ_CELL_STRING))
        return concatenate(vm, a, b, out);
    if (!vz_cell_is_number(a) || !vz_cell_is_number(b))
        return refuse_types(vm, op, a, b);
    enum vz_cell_tag tag = promoted(a, b);
    if (tag >= VZ_CELL_FLOAT)
        return real_arithmetic(op, tag, vz_cell_as_double(a), vz_cell_as_double(b), out);
    uint64_t x = (uint64_t)a->integer, y = (uint64_t)b->integer;
    switch (op) {
    case VZ_OP_ADD:
        set_whole(out, tag, x + y);
        return true;
    case VZ_OP_SUB:
        set_whole(out, tag, x - y);
        return true;
    case VZ_OP_MUL:
        set_whole(out, tag, x * y);
        return true;
    default:
        return divide_whole(vm, op, tag, a->integer, b->integer, out);
    }
}

static bool is_whole(const struct vz_cell *cell)
{
    return cell->tag >= VZ_CELL_CHAR && cell->tag <= VZ_CELL_LONG;
}

/* The type is the left one's; as many bits of the distance count as the type has places. */
static bool shift(struct vz_machine *vm, enum vz_op op, const struct vz_cell *a,
                  const struct vz_cell *b, struct vz_cell *out)
{
    if (!is_whole(a) || !is_whole(b))
        return refuse_types(vm, op, a, b);
    bool wide = a->tag == VZ_CELL_LONG;
    unsigned by = (unsigned)b->integer & (wide ? 63 : 31);
    uint64_t value = (uint64_t)a->integer;
    if (op == VZ_OP_SHL)
        value <<= by;
    else if (op == VZ_OP_SHR)
        value = (uint64_t)(a->integer >> by);
    else
        value = wide ? value >> by : (uint64_t)((uint32_t)value >> by);
    set_whole(out, wide ? VZ_CELL_LONG : VZ_CELL_INT, value);
    return true;
}

static bool bitwise(struct vz_machine *vm, enum vz_op op, const struct vz_cell *a,
                    const struct vz_cell *b, struct vz_cell *out)
{
    bool truths = a->tag == VZ_CELL_BOOL && b->tag == VZ_CELL_BOOL;
    if (!truths && (!is_whole(a) || !is_whole(b)))
        return refuse_types(vm, op, a, b);
    uint64_t x = truths ? a->boolean : (uint64_t)a->integer;
    uint64_t y = truths ? b->boolean : (uint64_t)b->integer;
    uint64_t value = op == VZ_OP_AND ? x & y : op == VZ_OP_OR ? x | y : x ^ y;
    if (truths)
        *out = vz_cell_bool(value != 0);
    else
        set_whole(out, promoted(a, b), value);
    return true;
}

/* ---- comparison ------------------------------------------------------------------------------ */

static bool compare(struct vz_machine *vm, enum vz_op op, const struct vz_cell *a,
                    const struct vz_cell *b, struct vz_cell *out)
{
    bool less, equal;
    if (!vz_cell_is_number(a) || !vz_cell_is_number(b))
        return refuse_types(vm, op, a, b);
    if (promoted(a, b) >= VZ_CELL_FLOAT) {
        double x = vz_cell_as_double(a), y = vz_cell_as_double(b);
        if (isnan(x) || isnan(y)) {
            *out = vz_cell_bool(false);
            return true;
        }
        less = x < y;
        equal = x == y;
    } else {
        less = a->integer < b->integer;
        equal = a->integer == b->integer;
    }
    bool result = op == VZ_OP_LT   ? less
                  : op == VZ_OP_LE ? less || equal
                  : op == VZ_OP_GT ? !less && !equal
                                   : !less;
    *out = vz_cell_bool(result);
    return true;
}

static bool equal_numbers(const struct vz_cell *a, const struct vz_cell *b)
{
    enum vz_cell_tag tag = promoted(a, b);
    if (tag == VZ_CELL_DOUBLE)
        return vz_cell_as_double(a) == vz_cell_as_double(b);
    if (tag == VZ_CELL_FLOAT)
        return (float)vz_cell_as_double(a) == (float)vz_cell_as_double(b);
    return a->integer == b->integer;
}

bool vz_cells_equal(struct vz_machine *vm, const struct vz_cell *a, const struct vz_cell *b)
{
    if (vz_cell_is_number(a) && vz_cell_is_number(b))
        return equal_numbers(a, b);
    if (a->tag != b->tag)
        return false;
    switch (a->tag) {
    case VZ_CELL_NULL:
    case VZ_CELL_DOC:
        return true;
    case VZ_CELL_BOOL:
        return a->boolean == b->boolean;
    case VZ_CELL_STRING:
        return vz_slice_eq(a->value->string, b->value->string);
    case VZ_CELL_LIST:
    case VZ_CELL_MAP:
        return a->value == b->value ||
               (vz_machine_may_walk(vm, a->value) && vz_machine_may_walk(vm, b->value) &&
                vz_value_equal(a->value, b->value));
    case VZ_CELL_FIELD:
        return a->field == b->field;
    case VZ_CELL_GEO:
        return a->geo->lat == b->geo->lat && a->geo->lon == b->geo->lon;
    default:
        return a->integer == b->integer;
    }
}

static bool same(struct vz_machine *vm, const struct vz_cell *a, const struct vz_cell *b)
{
    if (a->tag == b->tag && (a->tag == VZ_CELL_LIST || a->tag == VZ_CELL_MAP))
        return a->value == b->value;
    return vz_cells_equal(vm, a, b);
}

bool vz_binary(struct vz_machine *vm, enum vz_op op, const struct vz_cell *a,
               const struct vz_cell *b, struct vz_cell *out)
{
    if (a->tag == VZ_CELL_DOUBLE && b->tag == VZ_CELL_DOUBLE && op <= VZ_OP_SUB)
        return real_arithmetic(op, VZ_CELL_DOUBLE, a->number, b->number, out);
    switch (op) {
    case VZ_OP_MUL:
    case VZ_OP_DIV:
    case VZ_OP_REM:
    case VZ_OP_ADD:
    case VZ_OP_SUB:
        return arithmetic(vm, op, a, b, out);
    case VZ_OP_SHL:
    case VZ_OP_SHR:
    case VZ_OP_USHR:
        return shift(vm, op, a, b, out);
    case VZ_OP_LT:
    case VZ_OP_LE:
    case VZ_OP_GT:
    case VZ_OP_GE:
        return compare(vm, op, a, b, out);
    case VZ_OP_EQ:
    case VZ_OP_NE:
        *out = vz_cell_bool(vz_cells_equal(vm, a, b) == (op == VZ_OP_EQ));
        return vm->status == VZ_OK;
    case VZ_OP_SAME:
    case VZ_OP_NOT_SAME:
        *out = vz_cell_bool(same(vm, a, b) == (op == VZ_OP_SAME));
        return vm->status == VZ_OK;
    default:
        return bitwise(vm, op, a, b, out);
    }
}

bool vz_unary(struct vz_machine *vm, enum vz_op op, const struct vz_cell *a, struct vz_cell *out)
{
    if (op == VZ_OP_NOT) {
        if (a->tag != VZ_CELL_BOOL)
            return vz_machine_fail(vm, "class_cast_exception",
                                   "Cannot cast from [%s] to [boolean].", vz_cell_type_name(a));
        *out = vz_cell_bool(!a->boolean);
        return true;
    }
    if (!vz_cell_is_number(a) || (op == VZ_OP_INVERT && !is_whole(a)))
        return vz_machine_fail(vm, "class_cast_exception",
                               "Cannot apply [%s] operation to type [%s].", vz_op_text(op),
                               vz_cell_type_name(a));
    enum vz_cell_tag tag = VZ_MAX(a->tag, VZ_CELL_INT);
    if (tag >= VZ_CELL_FLOAT)
        set_real(out, tag, op == VZ_OP_NEG ? -a->number : a->number);
    else if (op == VZ_OP_INVERT)
        set_whole(out, tag, ~(uint64_t)a->integer);
    else
        set_whole(out, tag, op == VZ_OP_NEG ? -(uint64_t)a->integer : (uint64_t)a->integer);
    return true;
}

/* ---- types ----------------------------------------------------------------------------------- */

static const struct {
    const char *name;
    enum vz_type type;
} type_names[] = {
    {"def", VZ_TYPE_DEF},
    {"boolean", VZ_TYPE_BOOL},
    {"char", VZ_TYPE_CHAR},
    {"byte", VZ_TYPE_BYTE},
    {"short", VZ_TYPE_SHORT},
    {"int", VZ_TYPE_INT},
    {"long", VZ_TYPE_LONG},
    {"float", VZ_TYPE_FLOAT},
    {"double", VZ_TYPE_DOUBLE},
    {"String", VZ_TYPE_STRING},
    {"List", VZ_TYPE_LIST},
    {"Map", VZ_TYPE_MAP},
    {"Boolean", VZ_TYPE_BOXED_BOOL},
    {"Integer", VZ_TYPE_BOXED_INT},
    {"Long", VZ_TYPE_BOXED_LONG},
    {"Float", VZ_TYPE_BOXED_FLOAT},
    {"Double", VZ_TYPE_BOXED_DOUBLE},
    {"Number", VZ_TYPE_NUMBER},
    {"ZonedDateTime", VZ_TYPE_DATE},
    /* other names of the same */
    {"Object", VZ_TYPE_DEF},
    {"ArrayList", VZ_TYPE_LIST},
    {"LinkedList", VZ_TYPE_LIST},
    {"Collection", VZ_TYPE_LIST},
    {"HashMap", VZ_TYPE_MAP},
    {"LinkedHashMap", VZ_TYPE_MAP},
    {"TreeMap", VZ_TYPE_MAP},
    {"Instant", VZ_TYPE_DATE},
};

const char *vz_type_name(enum vz_type type)
{
    return type_names[type].name;
}

bool vz_type_find(struct vz_slice name, enum vz_type *type)
{
    for (size_t i = 0; i < VZ_COUNT_OF(type_names); i++) {
        if (vz_slice_is(name, type_names[i].name)) {
            *type = type_names[i].type;
            return true;
        }
    }
    return false;
}

bool vz_is_instance(const struct vz_cell *cell, enum vz_type type)
{
    switch (type) {
    case VZ_TYPE_DEF:
        return cell->tag != VZ_CELL_NULL;
    case VZ_TYPE_BOOL:
    case VZ_TYPE_BOXED_BOOL:
        return cell->tag == VZ_CELL_BOOL;
    case VZ_TYPE_CHAR:
        return cell->tag == VZ_CELL_CHAR;
    case VZ_TYPE_INT:
    case VZ_TYPE_BOXED_INT:
        return cell->tag == VZ_CELL_INT;
    case VZ_TYPE_LONG:
    case VZ_TYPE_BOXED_LONG:
        return cell->tag == VZ_CELL_LONG;
    case VZ_TYPE_FLOAT:
    case VZ_TYPE_BOXED_FLOAT:
        return cell->tag == VZ_CELL_FLOAT;
    case VZ_TYPE_DOUBLE:
    case VZ_TYPE_BOXED_DOUBLE:
        return cell->tag == VZ_CELL_DOUBLE;
    case VZ_TYPE_NUMBER:
        return cell->tag >= VZ_CELL_INT && cell->tag <= VZ_CELL_DOUBLE;
    case VZ_TYPE_STRING:
        return cell->tag == VZ_CELL_STRING;
    case VZ_TYPE_LIST:
        return cell->tag == VZ_CELL_LIST || cell->tag == VZ_CELL_FIELD;
    case VZ_TYPE_MAP:
        return cell->tag == VZ_CELL_MAP;
    case VZ_TYPE_DATE:
        return cell->tag == VZ_CELL_DATE;
    case VZ_TYPE_BYTE:
    case VZ_TYPE_SHORT:
        break;
    }
    return false;
}

static bool no_cast(struct vz_machine *vm, enum vz_type type, const struct vz_cell *cell)
{
    return vz_machine_fail(vm, "class_cast_exception", "Cannot cast from [%s] to [%s].",
                           vz_cell_type_name(cell), vz_type_name(type));
}

/* The Java type of a number's target, as a cell's tag. */
static enum vz_cell_tag number_tag(enum vz_type type)
{
    switch (type) {
    case VZ_TYPE_CHAR:
        return VZ_CELL_CHAR;
    case VZ_TYPE_LONG:
        return VZ_CELL_LONG;
    case VZ_TYPE_FLOAT:
        return VZ_CELL_FLOAT;
    case VZ_TYPE_DOUBLE:
        return VZ_CELL_DOUBLE;
    default:
        return VZ_CELL_INT;
    }
}

static void narrow(enum vz_type type, struct vz_cell *cell)
{
    bool real = cell->tag >= VZ_CELL_FLOAT;
    enum vz_cell_tag tag = number_tag(type);
    if (tag >= VZ_CELL_FLOAT) {
        set_real(cell, tag, vz_cell_as_double(cell));
        return;
    }
    int64_t value = cell->integer;
    if (real)
        value =
            tag == VZ_CELL_LONG ? vz_double_to_long(cell->number) : vz_double_to_int(cell->number);
    if (type == VZ_TYPE_CHAR)
        value = (uint16_t)value;
    else if (type == VZ_TYPE_BYTE)
        value = (int8_t)value;
    else if (type == VZ_TYPE_SHORT)
        value = (int16_t)value;
    set_whole(cell, tag, (uint64_t)value);
}

bool vz_convert(struct vz_machine *vm, enum vz_type type, bool is_cast, struct vz_cell *cell)
{
    bool primitive = type >= VZ_TYPE_CHAR && type <= VZ_TYPE_DOUBLE;
    if (type == VZ_TYPE_DEF)
        return true;
    if (primitive) {
        if (cell->tag == VZ_CELL_STRING && type == VZ_TYPE_CHAR && is_cast &&
            cell->value->string.len == 1) {
            *cell = (struct vz_cell){.tag = VZ_CELL_CHAR,
                                     .integer = (unsigned char)cell->value->string.ptr[0]};
            return true;
        }
        if (!vz_cell_is_number(cell))
            return no_cast(vm, type, cell);
        /* Widening goes by itself; byte and short take ints here. */
        if (!is_cast && cell->tag > number_tag(type))
            return no_cast(vm, type, cell);
        narrow(type, cell);
        return true;
    }
    if (type == VZ_TYPE_BOOL)
        return cell->tag == VZ_CELL_BOOL || no_cast(vm, type, cell);
    if (cell->tag == VZ_CELL_NULL || vz_is_instance(cell, type))
        return true;
    if (type == VZ_TYPE_STRING && cell->tag == VZ_CELL_CHAR) {
        struct vz_buf text = {0};
        vz_cell_print(vm, cell, &text);
        *cell = vz_machine_string(vm, vz_arena_copy(vm->arena, vz_buf_slice(&text)));
        vz_buf_deinit(&text);
        return true;
    }
    if (type >= VZ_TYPE_BOXED_INT && type <= VZ_TYPE_BOXED_DOUBLE && vz_cell_is_number(cell)) {
        static const enum vz_type plain[] = {VZ_TYPE_INT, VZ_TYPE_LONG, VZ_TYPE_FLOAT,
                                             VZ_TYPE_DOUBLE};
        enum vz_type to = plain[type - VZ_TYPE_BOXED_INT];
        if (is_cast || cell->tag <= number_tag(to)) {
            narrow(to, cell);
            return true;
        }
    }
    return no_cast(vm, type, cell);
}

/* ---- text ------------------------------------------------------------------------------------ */

static void print_real(const struct vz_cell *cell, struct vz_buf *out)
{
    if (isnan(cell->number) || isinf(cell->number)) {
        vz_buf_append_str(out, isnan(cell->number) ? "NaN"
                               : cell->number > 0  ? "Infinity"
                                                   : "-Infinity");
        return;
    }
    struct vz_json_writer writer = vz_json_writer_on(out);
    if (cell->tag == VZ_CELL_FLOAT)
        vz_json_put_float(&writer, (float)cell->number);
    else
        vz_json_put_double(&writer, cell->number);
}

static void print_char(int64_t unit, struct vz_buf *out)
{
    unsigned c = (unsigned)unit;
    if (c < 0x80) {
        vz_buf_append_char(out, (char)c);
    } else if (c < 0x800) {
        vz_buf_append_char(out, (char)(0xC0 | c >> 6));
        vz_buf_append_char(out, (char)(0x80 | (c & 0x3F)));
    } else if (c >= 0xD800 && c < 0xE000) {
        vz_buf_append_str(out, "\xEF\xBF\xBD"); /* half of a pair */
    } else {
        vz_buf_append_char(out, (char)(0xE0 | c >> 12));
        vz_buf_append_char(out, (char)(0x80 | (c >> 6 & 0x3F)));
        vz_buf_append_char(out, (char)(0x80 | (c & 0x3F)));
    }
}

/* Java's [a, b] and {k=v}. The tree was checked by the caller. */
static void print_tree(struct vz_machine *vm, const struct vz_cell *cell, struct vz_buf *out)
{
    const struct vz_value *tree = cell->value;
    bool list = cell->tag == VZ_CELL_LIST;
    size_t count = list ? tree->array.count : tree->object.count;
    vz_buf_append_char(out, list ? '[' : '{');
    for (size_t i = 0; i < count; i++) {
        struct vz_value *item = list ? tree->array.items[i] : tree->object.members[i].value;
        struct vz_cell inner = vz_cell_from(item);
        if (i)
            vz_buf_append_str(out, ", ");
        if (!list) {
            vz_buf_append_slice(out, tree->object.members[i].key);
            vz_buf_append_char(out, '=');
        }
        if (inner.tag == VZ_CELL_LIST || inner.tag == VZ_CELL_MAP)
            print_tree(vm, &inner, out);
        else
            vz_cell_print(vm, &inner, out);
    }
    vz_buf_append_char(out, list ? ']' : '}');
}

static bool print_field(struct vz_machine *vm, const struct vz_script_field *field,
                        struct vz_buf *out)
{
    vz_buf_append_char(out, '[');
    for (size_t i = 0; i < field->count; i++) {
        struct vz_cell cell = vz_machine_field_at(vm, field, i);
        if (i)
            vz_buf_append_str(out, ", ");
        vz_cell_print(vm, &cell, out);
    }
    vz_buf_append_char(out, ']');
    return true;
}

bool vz_cell_print(struct vz_machine *vm, const struct vz_cell *cell, struct vz_buf *out)
{
    switch (cell->tag) {
    case VZ_CELL_NULL:
        vz_buf_append_str(out, "null");
        break;
    case VZ_CELL_BOOL:
        vz_buf_append_str(out, cell->boolean ? "true" : "false");
        break;
    case VZ_CELL_CHAR:
        print_char(cell->integer, out);
        break;
    case VZ_CELL_INT:
    case VZ_CELL_LONG:
        vz_buf_printf(out, "%lld", (long long)cell->integer);
        break;
    case VZ_CELL_FLOAT:
    case VZ_CELL_DOUBLE:
        print_real(cell, out);
        break;
    case VZ_CELL_STRING:
        vz_buf_append_slice(out, cell->value->string);
        break;
    case VZ_CELL_LIST:
    case VZ_CELL_MAP:
        if (!vz_machine_may_walk(vm, cell->value))
            return false;
        print_tree(vm, cell, out);
        break;
    case VZ_CELL_FIELD:
        return print_field(vm, cell->field, out);
    case VZ_CELL_DATE:
        vz_date_text(cell->integer, out);
        break;
    case VZ_CELL_GEO: {
        struct vz_cell part = vz_cell_double(cell->geo->lat);
        print_real(&part, out);
        vz_buf_append_str(out, ", ");
        part.number = cell->geo->lon;
        print_real(&part, out);
        break;
    }
    case VZ_CELL_WEEKDAY:
        vz_buf_append_str(out, vz_weekday_name(cell->integer));
        break;
    case VZ_CELL_MONTH:
        vz_buf_append_str(out, vz_month_name(cell->integer));
        break;
    case VZ_CELL_UNIT:
        vz_buf_append_str(out, vz_unit_name(cell->integer));
        break;
    case VZ_CELL_DOC:
        vz_buf_append_str(out, "doc");
        break;
    }
    return true;
}
