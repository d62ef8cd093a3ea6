/* Functions and constants of classes: Math.max(a, b), Integer.parseInt(s), ChronoUnit.DAYS. */
#include "script/parts.h"

#include "base/clock.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

#define FUNCTION(name)                                                                             \
    static bool name(struct vz_machine *vm, struct vz_cell *args, unsigned argc,                   \
                     struct vz_cell *out)

static bool want_double(struct vz_machine *vm, struct vz_cell *cell)
{
    return vz_convert(vm, VZ_TYPE_DOUBLE, false, cell);
}

/* ---- Math ------------------------------------------------------------------------------------ */

#define MATH1(name, expression)                                                                    \
    FUNCTION(name)                                                                                 \
    {                                                                                              \
        (void)argc;                                                                                \
        if (!want_double(vm, &args[0]))                                                            \
            return false;                                                                          \
        double x = args[0].number;                                                                 \
        *out = vz_cell_double(expression);                                                         \
        return true;                                                                               \
    }
#define MATH2(name, expression)                                                                    \
    FUNCTION(name)                                                                                 \
    {                                                                                              \
        (void)argc;                                                                                \
        if (!want_double(vm, &args[0]) || !want_double(vm, &args[1]))                              \
            return false;                                                                          \
        double x = args[0].number, y = args[1].number;                                             \
        *out = vz_cell_double(expression);                                                         \
        return true;                                                                               \
    }
MATH1(math_sqrt, sqrt(x))
MATH1(math_cbrt, cbrt(x))
MATH1(math_exp, exp(x))
MATH1(math_expm1, expm1(x))
MATH1(math_log, log(x))
MATH1(math_log10, log10(x))
MATH1(math_log1p, log1p(x))
MATH1(math_sin, sin(x))
MATH1(math_cos, cos(x))
MATH1(math_tan, tan(x))
MATH1(math_asin, asin(x))
MATH1(math_acos, acos(x))
MATH1(math_atan, atan(x))
MATH1(math_sinh, sinh(x))
MATH1(math_cosh, cosh(x))
MATH1(math_tanh, tanh(x))
MATH1(math_ceil, ceil(x))
MATH1(math_floor, floor(x))
MATH1(math_rint, nearbyint(x))
MATH1(math_signum, x > 0 ? 1.0 : x < 0 ? -1.0 : x)
MATH1(math_degrees, x *(180.0 / M_PI))
MATH1(math_radians, x *(M_PI / 180.0))
MATH2(math_pow, pow(x, y))
MATH2(math_atan2, atan2(x, y))
MATH2(math_hypot, hypot(x, y))

/* Math.round: half up, to long, or to int for a float. */
FUNCTION(math_round)
{
    (void)argc;
    if (!vz_cell_is_number(&args[0]))
        return want_double(vm, &args[0]);
    if (args[0].tag < VZ_CELL_FLOAT) {
        *out = args[0].tag == VZ_CELL_LONG ? args[0] : vz_cell_int(args[0].integer);
        return true;
    }
    /* Not floor(x + 0.5), which is off by one just below 0.5. */
    double x = args[0].number, down = floor(x);
    double nearest = x - down >= 0.5 ? down + 1 : down;
    *out = args[0].tag == VZ_CELL_FLOAT ? vz_cell_int(vz_double_to_int(nearest))
                                        : vz_cell_long(vz_double_to_long(nearest));
    return true;
}

FUNCTION(math_abs)
{
    (void)argc;
    if (!vz_cell_is_number(&args[0]))
        return want_double(vm, &args[0]);
    bool real = args[0].tag >= VZ_CELL_FLOAT;
    if (real ? signbit(args[0].number) : args[0].integer < 0)
        return vz_unary(vm, VZ_OP_NEG, &args[0], out);
    return vz_unary(vm, VZ_OP_PLUS, &args[0], out);
}

static bool pick(struct vz_machine *vm, struct vz_cell *args, bool larger, struct vz_cell *out)
{
    struct vz_cell zero = vz_cell_int(0), a, b;
    /* Adding nothing promotes; -0.0 and NaN are dealt with by fmin and fmax. */
    if (!vz_cell_is_number(&args[0]) || !vz_cell_is_number(&args[1]))
        return want_double(vm, vz_cell_is_number(&args[0]) ? &args[1] : &args[0]);
    enum vz_cell_tag tag = VZ_MAX(args[0].tag, args[1].tag);
    if (tag >= VZ_CELL_FLOAT) {
        double x = vz_cell_as_double(&args[0]), y = vz_cell_as_double(&args[1]);
        double value = isnan(x) || isnan(y) ? NAN : larger ? fmax(x, y) : fmin(x, y);
        *out = (struct vz_cell){.tag = tag, .number = value};
        if (tag == VZ_CELL_FLOAT)
            out->number = (double)(float)value;
        return true;
    }
    if (tag == VZ_CELL_LONG)
        zero = vz_cell_long(0);
    bool first = larger ? args[0].integer >= args[1].integer : args[0].integer <= args[1].integer;
    a = args[first ? 0 : 1];
    b = zero;
    return vz_binary(vm, VZ_OP_ADD, &a, &b, out);
}

FUNCTION(math_max)
{
    (void)argc;
    return pick(vm, args, true, out);
}

FUNCTION(math_min)
{
    (void)argc;
    return pick(vm, args, false, out);
}

static bool floored(struct vz_machine *vm, struct vz_cell *args, bool remainder,
                    struct vz_cell *out)
{
    struct vz_cell quotient, product;
    if (!vz_convert(vm, VZ_TYPE_LONG, false, &args[1]))
        return false;
    if (args[0].tag > VZ_CELL_LONG)
        return vz_convert(vm, VZ_TYPE_LONG, false, &args[0]);
    if (!vz_binary(vm, VZ_OP_DIV, &args[0], &args[1], &quotient) ||
        !vz_binary(vm, VZ_OP_MUL, &quotient, &args[1], &product))
        return false;
    bool opposite = (args[0].integer < 0) != (args[1].integer < 0);
    if (opposite && product.integer != args[0].integer)
        quotient.integer--;
    if (!remainder) {
        *out = quotient;
        return true;
    }
    return vz_binary(vm, VZ_OP_MUL, &quotient, &args[1], &product) &&
           vz_binary(vm, VZ_OP_SUB, &args[0], &product, out);
}

FUNCTION(math_floor_div)
{
    (void)argc;
    return floored(vm, args, false, out);
}

FUNCTION(math_floor_mod)
{
    (void)argc;
    return floored(vm, args, true, out);
}

/* ---- numbers and text ------------------------------------------------------------------------ */

static bool bad_number(struct vz_machine *vm, struct vz_slice text)
{
    return vz_machine_fail(vm, "number_format_exception", "For input string: \"%.*s\"",
                           (int)VZ_MIN(text.len, (size_t)60), text.ptr);
}

static bool want_text(struct vz_machine *vm, struct vz_cell *cell, struct vz_slice *out)
{
    if (cell->tag == VZ_CELL_NULL)
        return vz_machine_fail(vm, "number_format_exception", "Cannot parse null string: null");
    if (!vz_convert(vm, VZ_TYPE_STRING, false, cell))
        return false;
    *out = cell->value->string;
    return true;
}

static bool parse_whole(struct vz_machine *vm, struct vz_cell *args, unsigned argc, int64_t low,
                        int64_t high, int64_t *value)
{
    struct vz_slice text = {0};
    char copy[80], *end;
    int64_t base = 10;
    if (!want_text(vm, &args[0], &text))
        return false;
    if (argc > 1) {
        if (!vz_convert(vm, VZ_TYPE_INT, false, &args[1]))
            return false;
        base = args[1].integer;
    }
    bool starts = text.len && (text.ptr[0] == '-' || text.ptr[0] == '+' ||
                               (text.ptr[0] > ' ' && text.ptr[0] < 0x7F));
    if (!starts || text.len >= sizeof copy || base < 2 || base > 36)
        return bad_number(vm, text);
    memcpy(copy, text.ptr, text.len);
    copy[text.len] = '\0';
    errno = 0;
    long long parsed = strtoll(copy, &end, (int)base);
    bool prefixed = base == 16 && strpbrk(copy, "xX");
    if (errno || end != copy + text.len || end == copy || parsed < low || parsed > high || prefixed)
        return bad_number(vm, text);
    *value = parsed;
    return true;
}

FUNCTION(parse_int)
{
    int64_t value = 0;
    if (!parse_whole(vm, args, argc, INT32_MIN, INT32_MAX, &value))
        return false;
    *out = vz_cell_int(value);
    return true;
}

FUNCTION(parse_long)
{
    int64_t value = 0;
    if (!parse_whole(vm, args, argc, INT64_MIN, INT64_MAX, &value))
        return false;
    *out = vz_cell_long(value);
    return true;
}

FUNCTION(parse_double)
{
    struct vz_slice text = {0};
    char copy[400], *end;
    (void)argc;
    if (!want_text(vm, &args[0], &text))
        return false;
    while (text.len && (unsigned char)text.ptr[0] <= ' ') {
        text.ptr++;
        text.len--;
    }
    while (text.len && (unsigned char)text.ptr[text.len - 1] <= ' ')
        text.len--;
    if (text.len == 0)
        return vz_machine_fail(vm, "number_format_exception", "empty String");
    if (text.len >= sizeof copy)
        return bad_number(vm, text);
    memcpy(copy, text.ptr, text.len);
    copy[text.len] = '\0';
    if (strspn(copy, "0123456789+-.eEdDfFNaInity") < text.len)
        return bad_number(vm, text);
    double value = strtod(copy, &end);
    bool suffix = strchr("dDfF", *end) && *end && end[1] == '\0';
    if (end == copy || (*end && !suffix))
        return bad_number(vm, text);
    *out = vz_cell_double(value);
    return true;
}

FUNCTION(parse_float)
{
    if (!parse_double(vm, args, argc, out))
        return false;
    *out = (struct vz_cell){.tag = VZ_CELL_FLOAT, .number = (double)(float)out->number};
    return true;
}

FUNCTION(parse_boolean)
{
    (void)vm;
    (void)argc;
    static const char truth[] = "true";
    bool is = args[0].tag == VZ_CELL_STRING && args[0].value->string.len == 4;
    for (size_t i = 0; is && i < 4; i++)
        is = (args[0].value->string.ptr[i] | 0x20) == truth[i];
    *out = vz_cell_bool(is);
    return true;
}

FUNCTION(value_of_text)
{
    struct vz_buf text = {0};
    (void)argc;
    bool fine = vz_cell_print(vm, &args[0], &text) && vz_machine_bytes(vm, text.len);
    if (fine)
        *out =
            vz_machine_string(vm, vz_arena_copy(vm->arena, (struct vz_slice){text.data, text.len}));
    vz_buf_deinit(&text);
    return fine;
}

FUNCTION(int_value_of)
{
    if (args[0].tag == VZ_CELL_STRING)
        return parse_int(vm, args, argc, out);
    *out = args[0];
    return vz_convert(vm, VZ_TYPE_INT, false, out);
}

FUNCTION(long_value_of)
{
    if (args[0].tag == VZ_CELL_STRING)
        return parse_long(vm, args, argc, out);
    *out = args[0];
    return vz_convert(vm, VZ_TYPE_LONG, false, out);
}

FUNCTION(double_value_of)
{
    if (args[0].tag == VZ_CELL_STRING)
        return parse_double(vm, args, argc, out);
    *out = args[0];
    return vz_convert(vm, VZ_TYPE_DOUBLE, false, out);
}

FUNCTION(number_is_nan)
{
    (void)argc;
    if (!want_double(vm, &args[0]))
        return false;
    *out = vz_cell_bool(isnan(args[0].number));
    return true;
}

FUNCTION(number_is_infinite)
{
    (void)argc;
    if (!want_double(vm, &args[0]))
        return false;
    *out = vz_cell_bool(isinf(args[0].number));
    return true;
}

FUNCTION(number_is_finite)
{
    (void)argc;
    if (!want_double(vm, &args[0]))
        return false;
    *out = vz_cell_bool(isfinite(args[0].number));
    return true;
}

FUNCTION(number_compare)
{
    struct vz_cell less, more;
    (void)argc;
    if (!vz_binary(vm, VZ_OP_LT, &args[0], &args[1], &less) ||
        !vz_binary(vm, VZ_OP_GT, &args[0], &args[1], &more))
        return false;
    *out = vz_cell_int((int64_t)more.boolean - less.boolean);
    return true;
}

FUNCTION(text_join)
{
    struct vz_slice between = {0};
    (void)argc;
    if (!want_text(vm, &args[0], &between))
        return false;
    if (args[1].tag != VZ_CELL_LIST)
        return vz_machine_fail(vm, "class_cast_exception", "Cannot cast from [%s] to [List].",
                               vz_cell_type_name(&args[1]));
    struct vz_cell call[2] = {args[1], args[0]};
    const struct vz_method *join = vz_method_find(VZ_SLICE("join"), VZ_CELL_LIST, 1);
    return join->call(vm, call, 1, out);
}

/* ---- objects --------------------------------------------------------------------------------- */

FUNCTION(objects_equals)
{
    (void)argc;
    *out = vz_cell_bool(vz_cells_equal(vm, &args[0], &args[1]));
    return vm->status == VZ_OK;
}

FUNCTION(objects_is_null)
{
    (void)vm;
    (void)argc;
    *out = vz_cell_bool(args[0].tag == VZ_CELL_NULL);
    return true;
}

FUNCTION(objects_non_null)
{
    (void)vm;
    (void)argc;
    *out = vz_cell_bool(args[0].tag != VZ_CELL_NULL);
    return true;
}

FUNCTION(arrays_as_list)
{
    struct vz_value *list = vz_machine_list(vm);
    for (unsigned i = 0; i < argc; i++)
        if (!vz_machine_append(vm, list, &args[i]))
            return false;
    *out = (struct vz_cell){.tag = VZ_CELL_LIST, .value = list};
    return true;
}

FUNCTION(empty_list)
{
    (void)args;
    (void)argc;
    *out = (struct vz_cell){.tag = VZ_CELL_LIST, .value = vz_machine_list(vm)};
    return true;
}

FUNCTION(empty_map)
{
    (void)args;
    (void)argc;
    *out = (struct vz_cell){.tag = VZ_CELL_MAP, .value = vz_value_object(vm->arena)};
    return true;
}

static bool extreme(struct vz_machine *vm, const struct vz_cell *list, enum vz_op op,
                    struct vz_cell *out)
{
    if (list->tag != VZ_CELL_LIST)
        return vz_machine_fail(vm, "class_cast_exception", "Cannot cast from [%s] to [List].",
                               vz_cell_type_name(list));
    if (list->value->array.count == 0)
        return vz_machine_fail(vm, "no_such_element_exception", "the list is empty");
    *out = vz_cell_from(list->value->array.items[0]);
    for (size_t i = 1; i < list->value->array.count; i++) {
        struct vz_cell item = vz_cell_from(list->value->array.items[i]), better;
        if (!vz_binary(vm, op, &item, out, &better))
            return false;
        if (better.boolean)
            *out = item;
    }
    return vz_machine_work(vm, list->value->array.count);
}

FUNCTION(collections_max)
{
    (void)argc;
    return extreme(vm, &args[0], VZ_OP_GT, out);
}

FUNCTION(collections_min)
{
    (void)argc;
    return extreme(vm, &args[0], VZ_OP_LT, out);
}

/* Two strings or two numbers. */
static int by_value(const void *a, const void *b)
{
    const struct vz_value *x = *(const struct vz_value *const *)a;
    const struct vz_value *y = *(const struct vz_value *const *)b;
    if (x->type == VZ_VALUE_STRING)
        return vz_slice_cmp(x->string, y->string);
    if (x->type == VZ_VALUE_INT && y->type == VZ_VALUE_INT)
        return (x->integer > y->integer) - (x->integer < y->integer);
    double p = x->type == VZ_VALUE_INT ? (double)x->integer : x->number;
    double q = y->type == VZ_VALUE_INT ? (double)y->integer : y->number;
    return (p > q) - (p < q);
}

FUNCTION(collections_sort)
{
    (void)argc;
    const struct vz_cell *list = &args[0];
    if (list->tag != VZ_CELL_LIST)
        return vz_machine_fail(vm, "class_cast_exception", "Cannot cast from [%s] to [List].",
                               vz_cell_type_name(list));
    struct vz_value *tree = list->value;
    if (!vz_machine_may_change(vm, tree))
        return false;
    size_t texts = 0, numbers = 0, count = tree->array.count;
    for (size_t i = 0; i < count; i++) {
        struct vz_cell cell = vz_cell_from(tree->array.items[i]);
        texts += cell.tag == VZ_CELL_STRING;
        numbers += vz_cell_is_number(&cell);
    }
    if (texts != count && numbers != count)
        return vz_machine_fail(vm, "class_cast_exception",
                               "a list of other than numbers or strings cannot be sorted");
    if (count)
        qsort(tree->array.items, count, sizeof(struct vz_value *), by_value);
    *out = (struct vz_cell){.tag = VZ_CELL_NULL};
    return vz_machine_work(vm, count * 8);
}

static bool read_date(struct vz_machine *vm, struct vz_cell *cell, struct vz_cell *out)
{
    struct vz_slice text = {0};
    if (!want_text(vm, cell, &text))
        return false;
    *out = (struct vz_cell){.tag = VZ_CELL_DATE};
    if (!vz_date_read(text, &out->integer))
        return vz_machine_fail(vm, "date_time_parse_exception",
                               "Text '%.*s' could not be parsed at index 0",
                               (int)VZ_MIN(text.len, (size_t)60), text.ptr);
    return true;
}

FUNCTION(date_parse)
{
    (void)argc;
    return read_date(vm, &args[0], out);
}

FUNCTION(date_of_millis)
{
    (void)argc;
    if (!vz_convert(vm, VZ_TYPE_LONG, false, &args[0]))
        return false;
    *out = (struct vz_cell){.tag = VZ_CELL_DATE, .integer = args[0].integer};
    return true;
}

FUNCTION(date_of_seconds)
{
    (void)argc;
    int64_t ms;
    if (!vz_convert(vm, VZ_TYPE_LONG, false, &args[0]))
        return false;
    if (__builtin_mul_overflow(args[0].integer, (int64_t)1000, &ms))
        return vz_machine_fail(vm, "arithmetic_exception", "long overflow");
    *out = (struct vz_cell){.tag = VZ_CELL_DATE, .integer = ms};
    return true;
}

FUNCTION(system_millis)
{
    (void)vm;
    (void)args;
    (void)argc;
    *out = vz_cell_long(vz_wall_ms());
    return true;
}

static const struct vz_static functions[] = {
    {"Math", "abs", 1, 1, math_abs, true},
    {"Math", "max", 2, 2, math_max, true},
    {"Math", "min", 2, 2, math_min, true},
    {"Math", "round", 1, 1, math_round, true},
    {"Math", "floor", 1, 1, math_floor, true},
    {"Math", "ceil", 1, 1, math_ceil, true},
    {"Math", "rint", 1, 1, math_rint, true},
    {"Math", "sqrt", 1, 1, math_sqrt, true},
    {"Math", "cbrt", 1, 1, math_cbrt, true},
    {"Math", "pow", 2, 2, math_pow, true},
    {"Math", "exp", 1, 1, math_exp, true},
    {"Math", "expm1", 1, 1, math_expm1, true},
    {"Math", "log", 1, 1, math_log, true},
    {"Math", "log10", 1, 1, math_log10, true},
    {"Math", "log1p", 1, 1, math_log1p, true},
    {"Math", "sin", 1, 1, math_sin, true},
    {"Math", "cos", 1, 1, math_cos, true},
    {"Math", "tan", 1, 1, math_tan, true},
    {"Math", "asin", 1, 1, math_asin, true},
    {"Math", "acos", 1, 1, math_acos, true},
    {"Math", "atan", 1, 1, math_atan, true},
    {"Math", "atan2", 2, 2, math_atan2, true},
    {"Math", "sinh", 1, 1, math_sinh, true},
    {"Math", "cosh", 1, 1, math_cosh, true},
    {"Math", "tanh", 1, 1, math_tanh, true},
    {"Math", "hypot", 2, 2, math_hypot, true},
    {"Math", "signum", 1, 1, math_signum, true},
    {"Math", "toDegrees", 1, 1, math_degrees, true},
    {"Math", "toRadians", 1, 1, math_radians, true},
    {"Math", "floorDiv", 2, 2, math_floor_div, true},
    {"Math", "floorMod", 2, 2, math_floor_mod, true},
    {"Integer", "parseInt", 1, 2, parse_int, false},
    {"Integer", "valueOf", 1, 1, int_value_of, false},
    {"Integer", "toString", 1, 1, value_of_text, false},
    {"Integer", "compare", 2, 2, number_compare, true},
    {"Integer", "max", 2, 2, math_max, true},
    {"Integer", "min", 2, 2, math_min, true},
    {"Long", "parseLong", 1, 2, parse_long, false},
    {"Long", "valueOf", 1, 1, long_value_of, false},
    {"Long", "toString", 1, 1, value_of_text, false},
    {"Long", "compare", 2, 2, number_compare, true},
    {"Double", "parseDouble", 1, 1, parse_double, false},
    {"Double", "valueOf", 1, 1, double_value_of, false},
    {"Double", "toString", 1, 1, value_of_text, false},
    {"Double", "compare", 2, 2, number_compare, true},
    {"Double", "isNaN", 1, 1, number_is_nan, true},
    {"Double", "isInfinite", 1, 1, number_is_infinite, true},
    {"Double", "isFinite", 1, 1, number_is_finite, true},
    {"Float", "parseFloat", 1, 1, parse_float, false},
    {"Float", "isNaN", 1, 1, number_is_nan, true},
    {"Float", "toString", 1, 1, value_of_text, false},
    {"Boolean", "parseBoolean", 1, 1, parse_boolean, false},
    {"Boolean", "toString", 1, 1, value_of_text, false},
    {"String", "valueOf", 1, 1, value_of_text, false},
    {"String", "join", 2, 2, text_join, false},
    {"Objects", "equals", 2, 2, objects_equals, false},
    {"Objects", "isNull", 1, 1, objects_is_null, false},
    {"Objects", "nonNull", 1, 1, objects_non_null, false},
    {"Objects", "toString", 1, 1, value_of_text, false},
    {"Arrays", "asList", 0, VZ_SCRIPT_MAX_ARGS, arrays_as_list, false},
    {"Collections", "emptyList", 0, 0, empty_list, false},
    {"Collections", "emptyMap", 0, 0, empty_map, false},
    {"Collections", "singletonList", 1, 1, arrays_as_list, false},
    {"Collections", "max", 1, 1, collections_max, false},
    {"Collections", "min", 1, 1, collections_min, false},
    {"Collections", "sort", 1, 1, collections_sort, false},
    {"ZonedDateTime", "parse", 1, 1, date_parse, false},
    {"Instant", "parse", 1, 1, date_parse, false},
    {"Instant", "ofEpochMilli", 1, 1, date_of_millis, false},
    {"Instant", "ofEpochSecond", 1, 1, date_of_seconds, false},
    {"System", "currentTimeMillis", 0, 0, system_millis, false},
};

bool vz_static_class(struct vz_slice name)
{
    for (size_t i = 0; i < VZ_COUNT_OF(functions); i++)
        if (vz_slice_is(name, functions[i].class_name))
            return true;
    return vz_slice_is(name, "ChronoUnit");
}

const struct vz_static *vz_static_find(struct vz_slice class_name, struct vz_slice name,
                                       unsigned argc)
{
    for (size_t i = 0; i < VZ_COUNT_OF(functions); i++)
        if (vz_slice_is(class_name, functions[i].class_name) &&
            vz_slice_is(name, functions[i].name) && argc >= functions[i].min_args &&
            argc <= functions[i].max_args)
            return &functions[i];
    return NULL;
}

bool vz_static_constant(struct vz_slice class_name, struct vz_slice name, struct vz_cell *out)
{
    const struct {
        const char *class_name, *name;
        struct vz_cell value;
    } table[] = {
        {"Math", "PI", vz_cell_double(M_PI)},
        {"Math", "E", vz_cell_double(M_E)},
        {"Integer", "MAX_VALUE", vz_cell_int(INT32_MAX)},
        {"Integer", "MIN_VALUE", vz_cell_int(INT32_MIN)},
        {"Long", "MAX_VALUE", vz_cell_long(INT64_MAX)},
        {"Long", "MIN_VALUE", vz_cell_long(INT64_MIN)},
        {"Double", "MAX_VALUE", vz_cell_double(0x1.fffffffffffffp1023)},
        {"Double", "MIN_VALUE", vz_cell_double(0x1p-1074)},
        {"Double", "NaN", vz_cell_double(NAN)},
        {"Double", "POSITIVE_INFINITY", vz_cell_double(INFINITY)},
        {"Double", "NEGATIVE_INFINITY", vz_cell_double(-INFINITY)},
        {"Float", "MAX_VALUE", {.tag = VZ_CELL_FLOAT, .number = 0x1.fffffep127}},
        {"Boolean", "TRUE", vz_cell_bool(true)},
        {"Boolean", "FALSE", vz_cell_bool(false)},
    };
    for (size_t i = 0; i < VZ_COUNT_OF(table); i++) {
        if (vz_slice_is(class_name, table[i].class_name) && vz_slice_is(name, table[i].name)) {
            *out = table[i].value;
            return true;
        }
    }
    if (!vz_slice_is(class_name, "ChronoUnit"))
        return false;
    *out = (struct vz_cell){.tag = VZ_CELL_UNIT};
    return vz_unit_find(name, &out->integer);
}
