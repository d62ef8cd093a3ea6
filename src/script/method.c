/* Methods of values other than strings and dates, and the tables of all. */
#include "script/parts.h"

#include "base/strmap.h"

#include <math.h>
#include <stdio.h>

#define LIST VZ_MASK(VZ_CELL_LIST)
#define MAP VZ_MASK(VZ_CELL_MAP)
#define FIELD VZ_MASK(VZ_CELL_FIELD)
#define GEO VZ_MASK(VZ_CELL_GEO)
#define ANY ((1u << VZ_CELL_COUNT) - 1 - VZ_MASK(VZ_CELL_NULL))

#define METHOD(name)                                                                               \
    static bool name(struct vz_machine *vm, struct vz_cell *args, unsigned argc,                   \
                     struct vz_cell *out)
/* For methods that do not use all of their parameters. */
#define UNUSED ((void)vm, (void)args, (void)argc, (void)out)

static bool give_null(struct vz_cell *out)
{
    *out = (struct vz_cell){.tag = VZ_CELL_NULL};
    return true;
}

static bool give_tree(struct vz_value *value, struct vz_cell *out)
{
    if (!value)
        return give_null(out);
    *out = vz_cell_from(value);
    return true;
}

/* ---- lists ----------------------------------------------------------------------------------- */

METHOD(list_size)
{
    UNUSED;
    *out = vz_cell_int((int64_t)args[0].value->array.count);
    return true;
}

METHOD(list_is_empty)
{
    UNUSED;
    *out = vz_cell_bool(args[0].value->array.count == 0);
    return true;
}

/* An index below `limit`. */
static bool want_index(struct vz_machine *vm, struct vz_cell *cell, size_t limit, size_t *out)
{
    if (!vz_convert(vm, VZ_TYPE_INT, false, cell))
        return false;
    if (cell->integer < 0 || (uint64_t)cell->integer >= limit)
        return vz_machine_fail(vm, "index_out_of_bounds_exception",
                               "Index %lld out of bounds for length %zu", (long long)cell->integer,
                               limit);
    *out = (size_t)cell->integer;
    return true;
}

METHOD(list_get)
{
    size_t at = 0;
    UNUSED;
    return want_index(vm, &args[1], args[0].value->array.count, &at) &&
           give_tree(args[0].value->array.items[at], out);
}

METHOD(list_set)
{
    size_t at = 0;
    UNUSED;
    struct vz_value *list = args[0].value;
    if (!vz_machine_may_change(vm, list) || !want_index(vm, &args[1], list->array.count, &at))
        return false;
    give_tree(list->array.items[at], out);
    list->array.items[at] = vz_cell_value(&args[2], vm->arena);
    return true;
}

METHOD(list_add)
{
    size_t at = 0;
    struct vz_value *list = args[0].value;
    if (!vz_machine_may_change(vm, list))
        return false;
    if (argc == 1) {
        *out = vz_cell_bool(true);
        return vz_machine_append(vm, list, &args[1]);
    }
    give_null(out);
    if (!want_index(vm, &args[1], list->array.count + 1, &at))
        return false;
    vz_value_insert(list, at, vz_cell_value(&args[2], vm->arena));
    return vz_machine_work(vm, list->array.count / 8);
}

/* As Java's collections compare: an Integer is no Long. */
static bool is_equal(struct vz_machine *vm, const struct vz_cell *a, const struct vz_cell *b)
{
    return a->tag == b->tag && vz_cells_equal(vm, a, b);
}

/* An int is an index, anything else a value. */
METHOD(list_remove)
{
    size_t at = 0;
    UNUSED;
    struct vz_value *list = args[0].value;
    if (!vz_machine_may_change(vm, list) || !vz_machine_work(vm, list->array.count / 8))
        return false;
    if (args[1].tag == VZ_CELL_INT)
        return want_index(vm, &args[1], list->array.count, &at) &&
               give_tree(vz_value_take(list, at), out);
    *out = vz_cell_bool(false);
    for (at = 0; at < list->array.count; at++) {
        struct vz_cell item = vz_cell_from(list->array.items[at]);
        if (is_equal(vm, &item, &args[1])) {
            vz_value_take(list, at);
            *out = vz_cell_bool(true);
            break;
        }
    }
    return vm->status == VZ_OK;
}

static int64_t find_in(struct vz_machine *vm, const struct vz_value *list,
                       const struct vz_cell *what, bool last)
{
    int64_t found = -1;
    for (size_t i = 0; i < list->array.count; i++) {
        struct vz_cell item = vz_cell_from(list->array.items[i]);
        if (!is_equal(vm, &item, what))
            continue;
        found = (int64_t)i;
        if (!last)
            break;
    }
    return found;
}

METHOD(list_contains)
{
    UNUSED;
    *out = vz_cell_bool(find_in(vm, args[0].value, &args[1], false) >= 0);
    return vm->status == VZ_OK && vz_machine_work(vm, args[0].value->array.count);
}

METHOD(list_index_of)
{
    UNUSED;
    *out = vz_cell_int(find_in(vm, args[0].value, &args[1], false));
    return vm->status == VZ_OK && vz_machine_work(vm, args[0].value->array.count);
}

METHOD(list_last_index_of)
{
    UNUSED;
    *out = vz_cell_int(find_in(vm, args[0].value, &args[1], true));
    return vm->status == VZ_OK && vz_machine_work(vm, args[0].value->array.count);
}

METHOD(list_clear)
{
    UNUSED;
    if (!vz_machine_may_change(vm, args[0].value))
        return false;
    args[0].value->array.count = 0;
    return give_null(out);
}

static bool want_list(struct vz_machine *vm, struct vz_cell *cell)
{
    if (cell->tag == VZ_CELL_FIELD) {
        const struct vz_script_field *field = cell->field;
        struct vz_value *list = vz_machine_list(vm);
        for (size_t i = 0; i < field->count; i++) {
            struct vz_cell item = vz_machine_field_at(vm, field, i);
            if (!vz_machine_append(vm, list, &item))
                return false;
        }
        *cell = (struct vz_cell){.tag = VZ_CELL_LIST, .value = list};
    }
    return cell->tag == VZ_CELL_LIST ||
           vz_machine_fail(vm, "class_cast_exception", "Cannot cast from [%s] to [List].",
                           vz_cell_type_name(cell));
}

METHOD(list_add_all)
{
    UNUSED;
    struct vz_value *list = args[0].value;
    if (!vz_machine_may_change(vm, list) || !want_list(vm, &args[1]))
        return false;
    const struct vz_value *from = args[1].value;
    size_t count = from->array.count; /* the list itself may be added to it */
    for (size_t i = 0; i < count; i++) {
        if (!vz_machine_work(vm, 1) || !vz_machine_bytes(vm, 0))
            return false;
        vz_value_append(list, from->array.items[i]);
    }
    *out = vz_cell_bool(count > 0);
    return true;
}

METHOD(list_sub_list)
{
    size_t from = 0, to = 0;
    UNUSED;
    const struct vz_value *list = args[0].value;
    if (!want_index(vm, &args[1], list->array.count + 1, &from) ||
        !want_index(vm, &args[2], list->array.count + 1, &to))
        return false;
    if (from > to)
        return vz_machine_fail(vm, "illegal_argument_exception", "fromIndex(%zu) > toIndex(%zu)",
                               from, to);
    struct vz_value *part = vz_machine_list(vm);
    if (!vz_machine_work(vm, to - from) || !vz_machine_bytes(vm, (to - from) * 16))
        return false;
    for (size_t i = from; i < to; i++)
        vz_value_append(part, list->array.items[i]);
    *out = (struct vz_cell){.tag = VZ_CELL_LIST, .value = part};
    return true;
}

METHOD(list_join)
{
    struct vz_buf text = {0};
    struct vz_slice between = {"", 0};
    const struct vz_value *list = args[0].value;
    if (argc && !vz_convert(vm, VZ_TYPE_STRING, false, &args[1]))
        return false;
    if (argc && args[1].tag == VZ_CELL_STRING)
        between = args[1].value->string;
    bool fine = vz_machine_may_walk(vm, list);
    for (size_t i = 0; fine && i < list->array.count; i++) {
        struct vz_cell item = vz_cell_from(list->array.items[i]);
        if (i)
            vz_buf_append_slice(&text, between);
        fine = vz_cell_print(vm, &item, &text) && vz_machine_bytes(vm, text.len);
    }
    if (fine)
        *out = vz_machine_string(
            vm, vz_arena_copy(vm->arena, (struct vz_slice){text.len ? text.data : "", text.len}));
    vz_buf_deinit(&text);
    return fine && vz_machine_work(vm, list->array.count);
}

/* As Painless: a double. */
METHOD(list_sum)
{
    double sum = 0;
    UNUSED;
    const struct vz_value *list = args[0].value;
    for (size_t i = 0; i < list->array.count; i++) {
        struct vz_cell item = vz_cell_from(list->array.items[i]);
        if (!vz_convert(vm, VZ_TYPE_DOUBLE, true, &item))
            return false;
        sum += item.number;
    }
    *out = vz_cell_double(sum);
    return vz_machine_work(vm, list->array.count);
}

METHOD(itself)
{
    UNUSED;
    *out = args[0];
    return true;
}

/* ---- maps ------------------------------------------------------------------------------------ */

METHOD(map_size)
{
    UNUSED;
    *out = vz_cell_int((int64_t)args[0].value->object.count);
    return true;
}

METHOD(map_is_empty)
{
    UNUSED;
    *out = vz_cell_bool(args[0].value->object.count == 0);
    return true;
}

/* The text that a key is: JSON knows no others. */
static bool want_key(struct vz_machine *vm, struct vz_cell *cell, struct vz_slice *key)
{
    if (cell->tag != VZ_CELL_STRING) {
        struct vz_buf text = {0};
        bool fine =
            cell->tag != VZ_CELL_LIST && cell->tag != VZ_CELL_MAP && vz_cell_print(vm, cell, &text);
        if (fine)
            *cell = vz_machine_string(vm, vz_arena_copy(vm->arena, vz_buf_slice(&text)));
        vz_buf_deinit(&text);
        if (!fine)
            return vz_machine_fail(vm, "class_cast_exception", "a key of type [%s]",
                                   vz_cell_type_name(cell));
    }
    *key = cell->value->string;
    return true;
}

METHOD(map_get)
{
    struct vz_slice key = {0};
    UNUSED;
    return want_key(vm, &args[1], &key) && give_tree(vz_value_get(args[0].value, key), out);
}

METHOD(map_get_or_default)
{
    struct vz_slice key = {0};
    UNUSED;
    if (!want_key(vm, &args[1], &key))
        return false;
    struct vz_value *found = vz_value_get(args[0].value, key);
    *out = found ? vz_cell_from(found) : args[2];
    return true;
}

METHOD(map_contains_key)
{
    struct vz_slice key = {0};
    UNUSED;
    if (!want_key(vm, &args[1], &key))
        return false;
    *out = vz_cell_bool(vz_value_get(args[0].value, key) != NULL);
    return true;
}

METHOD(map_contains_value)
{
    UNUSED;
    const struct vz_value *map = args[0].value;
    *out = vz_cell_bool(false);
    for (size_t i = 0; i < map->object.count; i++) {
        struct vz_cell item = vz_cell_from(map->object.members[i].value);
        if (is_equal(vm, &item, &args[1]))
            *out = vz_cell_bool(true);
    }
    return vm->status == VZ_OK && vz_machine_work(vm, map->object.count);
}

METHOD(map_put)
{
    struct vz_slice key = {0};
    UNUSED;
    if (!vz_machine_may_change(vm, args[0].value) || !want_key(vm, &args[1], &key))
        return false;
    give_tree(vz_value_get(args[0].value, key), out);
    vz_value_put(args[0].value, key, vz_cell_value(&args[2], vm->arena));
    return true;
}

METHOD(map_put_if_absent)
{
    struct vz_slice key = {0};
    UNUSED;
    if (!vz_machine_may_change(vm, args[0].value) || !want_key(vm, &args[1], &key))
        return false;
    struct vz_value *found = vz_value_get(args[0].value, key);
    give_tree(found, out);
    if (!found || found->type == VZ_VALUE_NULL)
        vz_value_put(args[0].value, key, vz_cell_value(&args[2], vm->arena));
    return true;
}

METHOD(map_put_all)
{
    UNUSED;
    if (!vz_machine_may_change(vm, args[0].value))
        return false;
    if (args[1].tag != VZ_CELL_MAP)
        return vz_machine_fail(vm, "class_cast_exception", "Cannot cast from [%s] to [Map].",
                               vz_cell_type_name(&args[1]));
    const struct vz_value *from = args[1].value;
    for (size_t i = 0; i < from->object.count; i++) {
        if (!vz_machine_bytes(vm, 0))
            return false;
        vz_value_put(args[0].value, from->object.members[i].key, from->object.members[i].value);
    }
    give_null(out);
    return vz_machine_work(vm, from->object.count);
}

METHOD(map_remove)
{
    struct vz_slice key = {0};
    UNUSED;
    if (!vz_machine_may_change(vm, args[0].value) || !want_key(vm, &args[1], &key))
        return false;
    size_t count = args[0].value->object.count;
    return give_tree(vz_value_remove(args[0].value, key), out) && vz_machine_work(vm, count / 8);
}

METHOD(map_clear)
{
    UNUSED;
    if (!vz_machine_may_change(vm, args[0].value))
        return false;
    while (args[0].value->object.count) /* from the end: nothing moves */
        vz_value_remove(args[0].value,
                        args[0].value->object.members[args[0].value->object.count - 1].key);
    return give_null(out);
}

enum map_part { KEYS, VALUES, ENTRIES };

static bool list_map(struct vz_machine *vm, const struct vz_value *map, enum map_part part,
                     struct vz_cell *out)
{
    struct vz_value *list = vz_machine_list(vm);
    size_t count = map->object.count;
    if (!vz_machine_work(vm, count) || !vz_machine_bytes(vm, count * 64))
        return false;
    for (size_t i = 0; i < count; i++) {
        const struct vz_value_member *member = &map->object.members[i];
        struct vz_value *item = member->value;
        struct vz_cell key = {.tag = VZ_CELL_NULL};
        if (part != VALUES) {
            key = vz_machine_string(vm, member->key);
            item = key.value;
        }
        if (part == ENTRIES) {
            item = vz_value_object(vm->arena);
            vz_value_put(item, VZ_SLICE("key"), key.value);
            vz_value_put(item, VZ_SLICE("value"), member->value);
        }
        vz_value_append(list, item);
    }
    *out = (struct vz_cell){.tag = VZ_CELL_LIST, .value = list};
    return vz_machine_bytes(vm, 0);
}

METHOD(map_key_set)
{
    UNUSED;
    return list_map(vm, args[0].value, KEYS, out);
}

METHOD(map_values)
{
    UNUSED;
    return list_map(vm, args[0].value, VALUES, out);
}

METHOD(map_entry_set)
{
    UNUSED;
    return list_map(vm, args[0].value, ENTRIES, out);
}

/* Of an entry of entrySet(). */
METHOD(entry_key)
{
    UNUSED;
    return give_tree(vz_value_get(args[0].value, VZ_SLICE("key")), out);
}

METHOD(entry_value)
{
    UNUSED;
    return give_tree(vz_value_get(args[0].value, VZ_SLICE("value")), out);
}

/* ---- doc values ------------------------------------------------------------------------------ */

METHOD(field_value)
{
    UNUSED;
    return vz_machine_field_value(vm, args[0].field, out);
}

METHOD(field_values)
{
    UNUSED;
    *out = args[0];
    return want_list(vm, out);
}

METHOD(field_size)
{
    UNUSED;
    bool vector = args[0].field->kind == VZ_SCRIPT_VECTOR;
    *out = vz_cell_int(vector ? args[0].field->count > 0 : (int64_t)args[0].field->count);
    return true;
}

METHOD(field_is_empty)
{
    UNUSED;
    *out = vz_cell_bool(args[0].field->count == 0);
    return true;
}

METHOD(field_get)
{
    size_t at = 0;
    UNUSED;
    if (args[0].field->count == 0)
        return vz_machine_field_value(vm, args[0].field, out);
    if (!want_index(vm, &args[1], args[0].field->count, &at))
        return false;
    *out = vz_machine_field_at(vm, args[0].field, at);
    return true;
}

METHOD(field_contains)
{
    UNUSED;
    *out = vz_cell_bool(false);
    for (size_t i = 0; i < args[0].field->count; i++) {
        struct vz_cell item = vz_machine_field_at(vm, args[0].field, i);
        if (is_equal(vm, &item, &args[1]))
            *out = vz_cell_bool(true);
    }
    return vm->status == VZ_OK && vz_machine_work(vm, args[0].field->count);
}

static bool want_vector(struct vz_machine *vm, const struct vz_script_field *field)
{
    if (field->kind != VZ_SCRIPT_VECTOR)
        return vz_machine_fail(vm, "illegal_argument_exception",
                               "the field is no [dense_vector] field");
    return field->count > 0 ||
           vz_machine_fail(vm, "illegal_argument_exception",
                           "A document doesn't have a value for a vector field!");
}

METHOD(field_vector_value)
{
    UNUSED;
    *out = args[0];
    return want_vector(vm, args[0].field) && want_list(vm, out);
}

METHOD(field_magnitude)
{
    double sum = 0;
    UNUSED;
    if (!want_vector(vm, args[0].field))
        return false;
    for (size_t i = 0; i < args[0].field->count; i++)
        sum += (double)args[0].field->floats[i] * (double)args[0].field->floats[i];
    *out = (struct vz_cell){.tag = VZ_CELL_FLOAT, .number = (double)(float)sqrt(sum)};
    return true;
}

/* ---- places ---------------------------------------------------------------------------------- */

static bool want_point(struct vz_machine *vm, const struct vz_cell *cell, struct vz_script_geo *out)
{
    struct vz_cell value = *cell;
    if (cell->tag == VZ_CELL_FIELD && !vz_machine_field_value(vm, cell->field, &value))
        return false;
    if (value.tag != VZ_CELL_GEO)
        return vz_machine_fail(vm, "illegal_argument_exception",
                               "the field is no [geo_point] field");
    *out = *value.geo;
    return true;
}

METHOD(geo_lat)
{
    struct vz_script_geo point = {0};
    UNUSED;
    if (!want_point(vm, &args[0], &point))
        return false;
    *out = vz_cell_double(point.lat);
    return true;
}

METHOD(geo_lon)
{
    struct vz_script_geo point = {0};
    UNUSED;
    if (!want_point(vm, &args[0], &point))
        return false;
    *out = vz_cell_double(point.lon);
    return true;
}

/* Meters on a sphere, as Lucene's haversin. */
METHOD(geo_arc_distance)
{
    struct vz_script_geo from = {0};
    UNUSED;
    if (!want_point(vm, &args[0], &from) || !vz_convert(vm, VZ_TYPE_DOUBLE, false, &args[1]) ||
        !vz_convert(vm, VZ_TYPE_DOUBLE, false, &args[2]))
        return false;
    double radians = M_PI / 180, a = from.lat * radians, b = args[1].number * radians;
    double x = sin((b - a) / 2), y = sin((args[2].number - from.lon) * radians / 2);
    double h = x * x + cos(a) * cos(b) * y * y;
    *out = vz_cell_double(2 * 6371008.7714 * asin(VZ_MIN(1.0, sqrt(h))));
    return true;
}

/* ---- numbers and all ------------------------------------------------------------------------- */

#define CAST(name, type)                                                                           \
    METHOD(name)                                                                                   \
    {                                                                                              \
        UNUSED;                                                                                    \
        *out = args[0];                                                                            \
        return vz_convert(vm, type, true, out);                                                    \
    }
CAST(int_value, VZ_TYPE_INT)
CAST(long_value, VZ_TYPE_LONG)
CAST(float_value, VZ_TYPE_FLOAT)
CAST(double_value, VZ_TYPE_DOUBLE)
CAST(short_value, VZ_TYPE_SHORT)
CAST(byte_value, VZ_TYPE_BYTE)

METHOD(number_compare_to)
{
    struct vz_cell less, more;
    UNUSED;
    if (!vz_binary(vm, VZ_OP_LT, &args[0], &args[1], &less) ||
        !vz_binary(vm, VZ_OP_GT, &args[0], &args[1], &more))
        return false;
    *out = vz_cell_int((int64_t)more.boolean - less.boolean);
    return true;
}

METHOD(number_is_nan)
{
    UNUSED;
    *out = vz_cell_bool(args[0].tag >= VZ_CELL_FLOAT && isnan(args[0].number));
    return true;
}

METHOD(equals)
{
    UNUSED;
    *out = vz_cell_bool(vz_cells_equal(vm, &args[0], &args[1]));
    return vm->status == VZ_OK;
}

METHOD(to_string)
{
    struct vz_buf text = {0};
    UNUSED;
    bool fine = vz_cell_print(vm, &args[0], &text) && vz_machine_bytes(vm, text.len);
    if (fine)
        *out = vz_machine_string(
            vm, vz_arena_copy(vm->arena, (struct vz_slice){text.len ? text.data : "", text.len}));
    vz_buf_deinit(&text);
    return fine;
}

/* Java's for strings and numbers; for the others some number that equal ones share. */
METHOD(hash_code)
{
    UNUSED;
    const struct vz_cell *cell = &args[0];
    uint64_t bits = 0;
    if (cell->tag == VZ_CELL_STRING &&
        vz_utf16_length(cell->value->string) == cell->value->string.len) {
        uint32_t hash = 0;
        for (size_t i = 0; i < cell->value->string.len; i++)
            hash = hash * 31 + (unsigned char)cell->value->string.ptr[i];
        *out = vz_cell_int((int32_t)hash);
        return vz_machine_work(vm, cell->value->string.len / 16);
    }
    if (cell->tag == VZ_CELL_BOOL)
        bits = cell->boolean ? 1231 : 1237;
    else if (cell->tag == VZ_CELL_DOUBLE || cell->tag == VZ_CELL_LONG) {
        memcpy(&bits, &cell->integer, sizeof bits);
        bits = (uint32_t)(bits ^ bits >> 32);
    } else if (cell->tag == VZ_CELL_INT || cell->tag == VZ_CELL_CHAR)
        bits = (uint64_t)cell->integer;
    else {
        struct vz_cell text;
        if (!to_string(vm, args, 0, &text))
            return false;
        bits = vz_hash(text.value->string, 0);
    }
    *out = vz_cell_int((int32_t)(uint32_t)bits);
    return true;
}

METHOD(doc_contains_key)
{
    UNUSED;
    return vz_machine_fail(vm, "illegal_argument_exception", "unexpected use of doc");
}

const struct vz_method vz_methods_values[] = {
    {"size", LIST, 0, 0, list_size},
    {"getLength", LIST, 0, 0, list_size},
    {"isEmpty", LIST, 0, 0, list_is_empty},
    {"get", LIST, 1, 1, list_get},
    {"set", LIST, 2, 2, list_set},
    {"add", LIST, 1, 2, list_add},
    {"remove", LIST, 1, 1, list_remove},
    {"contains", LIST, 1, 1, list_contains},
    {"indexOf", LIST, 1, 1, list_index_of},
    {"lastIndexOf", LIST, 1, 1, list_last_index_of},
    {"clear", LIST, 0, 0, list_clear},
    {"addAll", LIST, 1, 1, list_add_all},
    {"subList", LIST, 2, 2, list_sub_list},
    {"join", LIST, 0, 1, list_join},
    {"sum", LIST, 0, 0, list_sum},
    {"asList", LIST, 0, 0, itself},
    {"asCollection", LIST, 0, 0, itself},
    {"size", MAP, 0, 0, map_size},
    {"isEmpty", MAP, 0, 0, map_is_empty},
    {"get", MAP, 1, 1, map_get},
    {"getOrDefault", MAP, 2, 2, map_get_or_default},
    {"containsKey", MAP, 1, 1, map_contains_key},
    {"containsValue", MAP, 1, 1, map_contains_value},
    {"put", MAP, 2, 2, map_put},
    {"putIfAbsent", MAP, 2, 2, map_put_if_absent},
    {"putAll", MAP, 1, 1, map_put_all},
    {"remove", MAP, 1, 1, map_remove},
    {"clear", MAP, 0, 0, map_clear},
    {"keySet", MAP, 0, 0, map_key_set},
    {"values", MAP, 0, 0, map_values},
    {"entrySet", MAP, 0, 0, map_entry_set},
    {"getKey", MAP, 0, 0, entry_key},
    {"getValue", MAP, 0, 0, entry_value},
    {"getValue", FIELD, 0, 0, field_value},
    {"getValues", FIELD, 0, 0, field_values},
    {"getLength", FIELD, 0, 0, field_size},
    {"size", FIELD, 0, 0, field_size},
    {"isEmpty", FIELD, 0, 0, field_is_empty},
    {"get", FIELD, 1, 1, field_get},
    {"contains", FIELD, 1, 1, field_contains},
    {"getVectorValue", FIELD, 0, 0, field_vector_value},
    {"getMagnitude", FIELD, 0, 0, field_magnitude},
    {"getLat", FIELD | GEO, 0, 0, geo_lat},
    {"getLon", FIELD | GEO, 0, 0, geo_lon},
    {"arcDistance", FIELD | GEO, 2, 2, geo_arc_distance},
    {"intValue", VZ_MASK_NUMBERS, 0, 0, int_value},
    {"longValue", VZ_MASK_NUMBERS, 0, 0, long_value},
    {"floatValue", VZ_MASK_NUMBERS, 0, 0, float_value},
    {"doubleValue", VZ_MASK_NUMBERS, 0, 0, double_value},
    {"shortValue", VZ_MASK_NUMBERS, 0, 0, short_value},
    {"byteValue", VZ_MASK_NUMBERS, 0, 0, byte_value},
    {"compareTo", VZ_MASK_NUMBERS, 1, 1, number_compare_to},
    {"isNaN", VZ_MASK_NUMBERS, 0, 0, number_is_nan},
    {"equals", ANY, 1, 1, equals},
    {"toString", ANY, 0, 0, to_string},
    {"hashCode", ANY, 0, 0, hash_code},
    {"containsKey", VZ_MASK(VZ_CELL_DOC), 1, 1, doc_contains_key}, /* compiled otherwise */
};
const size_t vz_methods_values_count = VZ_COUNT_OF(vz_methods_values);

/* ---- the tables ------------------------------------------------------------------------------ */

static const struct {
    const struct vz_method *methods;
    const size_t *count;
} tables[] = {
    {vz_methods_values, &vz_methods_values_count},
    {vz_methods_text, &vz_methods_text_count},
    {vz_methods_date, &vz_methods_date_count},
};

bool vz_method_exists(struct vz_slice name, unsigned argc, bool *any_args)
{
    *any_args = false;
    for (size_t t = 0; t < VZ_COUNT_OF(tables); t++) {
        for (size_t i = 0; i < *tables[t].count; i++) {
            const struct vz_method *method = &tables[t].methods[i];
            if (!vz_slice_is(name, method->name))
                continue;
            *any_args = true;
            if (argc >= method->min_args && argc <= method->max_args)
                return true;
        }
    }
    return false;
}

const struct vz_method *vz_method_find(struct vz_slice name, enum vz_cell_tag receiver,
                                       unsigned argc)
{
    for (size_t t = 0; t < VZ_COUNT_OF(tables); t++) {
        for (size_t i = 0; i < *tables[t].count; i++) {
            const struct vz_method *method = &tables[t].methods[i];
            if ((method->receivers & VZ_MASK(receiver)) && argc >= method->min_args &&
                argc <= method->max_args && vz_slice_is(name, method->name))
                return method;
        }
    }
    return NULL;
}

bool vz_method_is_elsewhere(struct vz_slice name)
{
    static const char *const names[] = {
        "stream",
        "forEach",
        "removeIf",
        "sort",
        "each",
        "collect",
        "find",
        "findAll",
        "any",
        "every",
        "replaceAll",
        "replaceFirst",
        "matches",
        "matcher",
        "split",
        "chars",
        "computeIfAbsent",
        "computeIfPresent",
        "compute",
        "merge",
        "replaceAll",
        "iterator",
        "listIterator",
        "getByPath",
        "sha1",
        "sha256",
        "planeDistance",
        "planeDistanceWithDefault",
        "arcDistanceWithDefault",
        "geohashDistance",
        "format",
        "toLocalDate",
        "toLocalDateTime",
        "withZoneSameInstant",
        "truncatedTo",
        "append",
        "retainAll",
        "removeAll",
        "codePointAt",
        "toArray",
        "eachWithIndex",
        "groupBy",
        "withDayOfMonth",
        "getZone",
    };
    for (size_t i = 0; i < VZ_COUNT_OF(names); i++)
        if (vz_slice_is(name, names[i]))
            return true;
    return false;
}
