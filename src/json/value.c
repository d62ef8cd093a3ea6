/* Trees of values that can be changed.
 *
 * Objects are arrays of members in the order of their keys' first put; past SMALL members a table
 * of indices (open addressing, linear probing) finds a key. The table is twice as long as the
 * member array, so it is never more than half full, and it is built anew whenever an index in it
 * would move. Its hash is seeded with its own address: keys chosen to collide do so only by
 * accident.
 */
#include "json/value.h"

#include "base/strmap.h"

#include <assert.h>
#include <math.h>

#define SMALL 16 /* members that are looked through one by one */

static struct vz_value *new_value(struct vz_arena *arena, enum vz_value_type type)
{
    struct vz_value *value = vz_arena_zalloc(arena, sizeof *value);
    value->type = type;
    return value;
}

struct vz_value *vz_value_null(struct vz_arena *arena)
{
    return new_value(arena, VZ_VALUE_NULL);
}

struct vz_value *vz_value_bool(struct vz_arena *arena, bool value)
{
    struct vz_value *out = new_value(arena, VZ_VALUE_BOOL);
    out->boolean = value;
    return out;
}

struct vz_value *vz_value_int(struct vz_arena *arena, int64_t value)
{
    struct vz_value *out = new_value(arena, VZ_VALUE_INT);
    out->integer = value;
    return out;
}

struct vz_value *vz_value_double(struct vz_arena *arena, double value)
{
    struct vz_value *out = new_value(arena, VZ_VALUE_DOUBLE);
    out->number = value;
    return out;
}

struct vz_value *vz_value_string(struct vz_arena *arena, struct vz_slice text)
{
    struct vz_value *out = new_value(arena, VZ_VALUE_STRING);
    out->string = vz_arena_copy(arena, text);
    return out;
}

struct vz_value *vz_value_array(struct vz_arena *arena)
{
    struct vz_value *out = new_value(arena, VZ_VALUE_ARRAY);
    out->array.arena = arena;
    return out;
}

struct vz_value *vz_value_object(struct vz_arena *arena)
{
    struct vz_value *out = new_value(arena, VZ_VALUE_OBJECT);
    out->object.arena = arena;
    return out;
}

/* ---- objects --------------------------------------------------------------------------------- */

static size_t bucket_mask(const struct vz_value *object)
{
    return object->object.capacity * 2 - 1; /* the capacity is a power of two */
}

static size_t first_bucket(const struct vz_value *object, struct vz_slice key)
{
    uint64_t seed = (uint64_t)(uintptr_t)object->object.buckets;
    return (size_t)vz_hash(key, seed) & bucket_mask(object);
}

static void enter(struct vz_value *object, size_t index)
{
    size_t at = first_bucket(object, object->object.members[index].key);
    while (object->object.buckets[at])
        at = (at + 1) & bucket_mask(object);
    object->object.buckets[at] = (uint32_t)index + 1;
}

static void enter_all(struct vz_value *object)
{
    memset(object->object.buckets, 0,
           object->object.capacity * 2 * sizeof(*object->object.buckets));
    for (size_t i = 0; i < object->object.count; i++)
        enter(object, i);
}

/* The member's index, or the count when there is none. */
static size_t find(const struct vz_value *object, struct vz_slice key)
{
    size_t count = object->object.count;
    if (!object->object.buckets) {
        for (size_t i = 0; i < count; i++)
            if (vz_slice_eq(object->object.members[i].key, key))
                return i;
        return count;
    }
    size_t at = first_bucket(object, key);
    for (uint32_t entry; (entry = object->object.buckets[at]) != 0;
         at = (at + 1) & bucket_mask(object))
        if (vz_slice_eq(object->object.members[entry - 1].key, key))
            return entry - 1;
    return count;
}

static void grow_object(struct vz_value *object)
{
    size_t capacity = VZ_MAX(object->object.capacity * 2, (size_t)4);
    struct vz_arena *arena = object->object.arena;
    struct vz_value_member *members = vz_arena_alloc(arena, capacity * sizeof(*members));
    if (object->object.count)
        memcpy(members, object->object.members, object->object.count * sizeof(*members));
    object->object.members = members;
    object->object.capacity = capacity;
    if (capacity <= SMALL)
        return;
    object->object.buckets = vz_arena_alloc(arena, capacity * 2 * sizeof(*object->object.buckets));
    enter_all(object);
}

struct vz_value *vz_value_get(const struct vz_value *object, struct vz_slice key)
{
    if (!object || object->type != VZ_VALUE_OBJECT)
        return NULL;
    size_t at = find(object, key);
    return at < object->object.count ? object->object.members[at].value : NULL;
}

/* `key` is kept. */
static void add_member(struct vz_value *object, struct vz_slice key, struct vz_value *value)
{
    if (object->object.count == object->object.capacity)
        grow_object(object);
    size_t at = object->object.count++;
    object->object.members[at] = (struct vz_value_member){key, value};
    if (object->object.buckets)
        enter(object, at);
}

void vz_value_put(struct vz_value *object, struct vz_slice key, struct vz_value *value)
{
    assert(object->type == VZ_VALUE_OBJECT && value);
    size_t at = find(object, key);
    if (at < object->object.count)
        object->object.members[at].value = value;
    else
        add_member(object, vz_arena_copy(object->object.arena, key), value);
}

struct vz_value *vz_value_remove(struct vz_value *object, struct vz_slice key)
{
    if (!object || object->type != VZ_VALUE_OBJECT)
        return NULL;
    size_t at = find(object, key), count = object->object.count;
    if (at == count)
        return NULL;
    struct vz_value_member *members = object->object.members;
    struct vz_value *taken = members[at].value;
    memmove(members + at, members + at + 1, (count - at - 1) * sizeof(*members));
    object->object.count--;
    if (object->object.buckets)
        enter_all(object);
    return taken;
}

/* ---- arrays ---------------------------------------------------------------------------------- */

void vz_value_insert(struct vz_value *array, size_t at, struct vz_value *value)
{
    assert(array->type == VZ_VALUE_ARRAY && at <= array->array.count && value);
    size_t count = array->array.count;
    if (count == array->array.capacity) {
        size_t capacity = VZ_MAX(array->array.capacity * 2, (size_t)4);
        struct vz_value **items = vz_arena_alloc(array->array.arena, capacity * sizeof(*items));
        if (count)
            memcpy(items, array->array.items, count * sizeof(*items));
        array->array.items = items;
        array->array.capacity = capacity;
    }
    struct vz_value **items = array->array.items;
    memmove(items + at + 1, items + at, (count - at) * sizeof(*items));
    items[at] = value;
    array->array.count++;
}

void vz_value_append(struct vz_value *array, struct vz_value *value)
{
    vz_value_insert(array, array->array.count, value);
}

struct vz_value *vz_value_take(struct vz_value *array, size_t at)
{
    assert(array->type == VZ_VALUE_ARRAY && at < array->array.count);
    struct vz_value **items = array->array.items;
    struct vz_value *taken = items[at];
    memmove(items + at, items + at + 1, (array->array.count - at - 1) * sizeof(*items));
    array->array.count--;
    return taken;
}

/* ---- whole trees ----------------------------------------------------------------------------- */

struct vz_value *vz_value_from(struct vz_arena *arena, struct vz_json json)
{
    struct vz_json_iter it;
    struct vz_slice key;
    struct vz_json member;
    struct vz_value *out;
    switch (vz_json_type(json)) {
    case VZ_JSON_BOOL:
        return vz_value_bool(arena, vz_json_bool(json));
    case VZ_JSON_INT:
        return vz_value_int(arena, vz_json_int(json));
    case VZ_JSON_UINT:
    case VZ_JSON_DOUBLE:
        return vz_value_double(arena, vz_json_double(json));
    case VZ_JSON_STRING:
        return vz_value_string(arena, vz_json_string(json));
    case VZ_JSON_ARRAY:
        out = vz_value_array(arena);
        it = vz_json_iterate(json);
        while (vz_json_next(&it, NULL, &member))
            vz_value_append(out, vz_value_from(arena, member));
        return out;
    case VZ_JSON_OBJECT:
        out = vz_value_object(arena);
        it = vz_json_iterate(json);
        while (vz_json_next(&it, &key, &member))
            vz_value_put(out, key, vz_value_from(arena, member));
        return out;
    default:
        return vz_value_null(arena);
    }
}

struct vz_value *vz_value_copy(struct vz_arena *arena, const struct vz_value *value)
{
    struct vz_value *out;
    switch (value->type) {
    case VZ_VALUE_STRING:
        return vz_value_string(arena, value->string);
    case VZ_VALUE_ARRAY:
        out = vz_value_array(arena);
        for (size_t i = 0; i < value->array.count; i++)
            vz_value_append(out, vz_value_copy(arena, value->array.items[i]));
        return out;
    case VZ_VALUE_OBJECT:
        out = vz_value_object(arena);
        for (size_t i = 0; i < value->object.count; i++) {
            const struct vz_value_member *member = &value->object.members[i];
            add_member(out, vz_arena_copy(arena, member->key), vz_value_copy(arena, member->value));
        }
        return out;
    default:
        out = vz_arena_alloc(arena, sizeof *out);
        *out = *value;
        return out;
    }
}

/* Not by casting the integer: 2^53 + 1 is no double. */
static bool equal_numbers(int64_t a, double b)
{
    return b >= -0x1p63 && b < 0x1p63 && b == floor(b) && (int64_t)b == a;
}

static bool equal_objects(const struct vz_value *a, const struct vz_value *b)
{
    if (a->object.count != b->object.count)
        return false;
    for (size_t i = 0; i < a->object.count; i++) {
        const struct vz_value *other = vz_value_get(b, a->object.members[i].key);
        if (!other || !vz_value_equal(a->object.members[i].value, other))
            return false;
    }
    return true;
}

bool vz_value_equal(const struct vz_value *a, const struct vz_value *b)
{
    if (a == b)
        return true;
    if (a->type == VZ_VALUE_INT && b->type == VZ_VALUE_DOUBLE)
        return equal_numbers(a->integer, b->number);
    if (a->type == VZ_VALUE_DOUBLE && b->type == VZ_VALUE_INT)
        return equal_numbers(b->integer, a->number);
    if (a->type != b->type)
        return false;
    switch (a->type) {
    case VZ_VALUE_BOOL:
        return a->boolean == b->boolean;
    case VZ_VALUE_INT:
        return a->integer == b->integer;
    case VZ_VALUE_DOUBLE:
        return a->number == b->number;
    case VZ_VALUE_STRING:
        return vz_slice_eq(a->string, b->string);
    case VZ_VALUE_ARRAY:
        if (a->array.count != b->array.count)
            return false;
        for (size_t i = 0; i < a->array.count; i++)
            if (!vz_value_equal(a->array.items[i], b->array.items[i]))
                return false;
        return true;
    case VZ_VALUE_OBJECT:
        return equal_objects(a, b);
    default:
        return true;
    }
}

static bool within(const struct vz_value *value, unsigned depth, size_t *nodes)
{
    if (*nodes == 0)
        return false;
    --*nodes;
    if (value->type == VZ_VALUE_ARRAY) {
        if (depth == 0)
            return value->array.count == 0;
        for (size_t i = 0; i < value->array.count; i++)
            if (!within(value->array.items[i], depth - 1, nodes))
                return false;
    } else if (value->type == VZ_VALUE_OBJECT) {
        if (depth == 0)
            return value->object.count == 0;
        for (size_t i = 0; i < value->object.count; i++)
            if (!within(value->object.members[i].value, depth - 1, nodes))
                return false;
    }
    return true;
}

bool vz_value_within(const struct vz_value *value, unsigned max_depth, size_t max_nodes)
{
    return within(value, max_depth, &max_nodes);
}

/* ---- paths ----------------------------------------------------------------------------------- */

/* The next part of a path; false behind the last. "a..b" has an empty part. */
static bool next_part(struct vz_slice *rest, struct vz_slice *part)
{
    if (!rest->ptr)
        return false;
    const char *dot = rest->len ? memchr(rest->ptr, '.', rest->len) : NULL;
    if (!dot) {
        *part = *rest;
        *rest = (struct vz_slice){NULL, 0};
        return true;
    }
    size_t len = (size_t)(dot - rest->ptr);
    *part = (struct vz_slice){rest->ptr, len};
    *rest = (struct vz_slice){dot + 1, rest->len - len - 1};
    return true;
}

static bool read_index(struct vz_slice part, size_t *index)
{
    if (part.len == 0 || part.len > 9)
        return false;
    *index = 0;
    for (size_t i = 0; i < part.len; i++) {
        if (part.ptr[i] < '0' || part.ptr[i] > '9')
            return false;
        *index = *index * 10 + (size_t)(part.ptr[i] - '0');
    }
    return true;
}

static struct vz_value *step(struct vz_value *from, struct vz_slice part)
{
    size_t index;
    if (from->type == VZ_VALUE_OBJECT)
        return vz_value_get(from, part);
    if (from->type == VZ_VALUE_ARRAY && read_index(part, &index) && index < from->array.count)
        return from->array.items[index];
    return NULL;
}

struct vz_value *vz_value_at(struct vz_value *root, struct vz_slice path)
{
    struct vz_slice part;
    while (root && next_part(&path, &part))
        root = step(root, part);
    return root;
}

static const char *type_name(const struct vz_value *value)
{
    static const char *const names[] = {"null",     "a boolean", "a number", "a number",
                                        "a string", "an array",  "an object"};
    return names[value->type];
}

/* Why `part` cannot be set in `parent`, whose own path is the text of `path` before `part`. */
static enum vz_status refuse_put(const struct vz_value *parent, struct vz_slice path,
                                 struct vz_slice part, struct vz_error *err)
{
    size_t index, before = (size_t)(part.ptr - path.ptr);
    int parent_len = (int)(before ? before - 1 : 0), len = (int)path.len;
    if (parent->type == VZ_VALUE_ARRAY && read_index(part, &index))
        return vz_fail(err, VZ_BAD_ARGUMENT,
                       "cannot set [%.*s]: [%zu] is out of bounds for array with length [%zu]", len,
                       path.ptr, index, parent->array.count);
    if (parent->type == VZ_VALUE_ARRAY)
        return vz_fail(err, VZ_BAD_ARGUMENT,
                       "cannot set [%.*s]: [%.*s] is not an integer, cannot be used as an index",
                       len, path.ptr, (int)part.len, part.ptr);
    return vz_fail(err, VZ_BAD_ARGUMENT, "cannot set [%.*s]: [%.*s] is %s", len, path.ptr,
                   parent_len, path.ptr, type_name(parent));
}

enum vz_status vz_value_put_at(struct vz_value *root, struct vz_slice path, struct vz_value *value,
                               struct vz_error *err)
{
    struct vz_slice rest = path, part;
    if (path.len == 0)
        return vz_fail(err, VZ_BAD_ARGUMENT, "path cannot be null nor empty");
    while (next_part(&rest, &part)) {
        bool last = !rest.ptr;
        struct vz_value *next = step(root, part);
        size_t index;
        if (root->type == VZ_VALUE_OBJECT) {
            if (last) {
                vz_value_put(root, part, value);
                return VZ_OK;
            }
            if (!next) {
                next = vz_value_object(root->object.arena);
                vz_value_put(root, part, next);
            }
        } else if (!next)
            return refuse_put(root, path, part, err);
        else if (last && read_index(part, &index)) {
            root->array.items[index] = value;
            return VZ_OK;
        }
        root = next;
    }
    return VZ_OK;
}

struct vz_value *vz_value_remove_at(struct vz_value *root, struct vz_slice path)
{
    struct vz_slice part;
    while (root && next_part(&path, &part)) {
        size_t index;
        if (path.ptr) {
            root = step(root, part);
            continue;
        }
        if (root->type == VZ_VALUE_ARRAY && read_index(part, &index) && index < root->array.count)
            return vz_value_take(root, index);
        return vz_value_remove(root, part);
    }
    return NULL;
}

/* ---- writing --------------------------------------------------------------------------------- */

static void write_value(const struct vz_value *value, struct vz_json_writer *w, unsigned depth)
{
    switch (value->type) {
    case VZ_VALUE_BOOL:
        vz_json_put_bool(w, value->boolean);
        return;
    case VZ_VALUE_INT:
        vz_json_put_int(w, value->integer);
        return;
    case VZ_VALUE_DOUBLE:
        vz_json_put_double(w, value->number);
        return;
    case VZ_VALUE_STRING:
        vz_json_put_string(w, value->string);
        return;
    case VZ_VALUE_ARRAY:
        if (depth == 0)
            break;
        vz_json_begin_array(w);
        for (size_t i = 0; i < value->array.count; i++)
            write_value(value->array.items[i], w, depth - 1);
        vz_json_end_array(w);
        return;
    case VZ_VALUE_OBJECT:
        if (depth == 0)
            break;
        vz_json_begin_object(w);
        for (size_t i = 0; i < value->object.count; i++) {
            vz_json_key_slice(w, value->object.members[i].key);
            write_value(value->object.members[i].value, w, depth - 1);
        }
        vz_json_end_object(w);
        return;
    default:
        break;
    }
    vz_json_put_null(w);
}

void vz_value_write(const struct vz_value *value, struct vz_json_writer *w)
{
    unsigned used = w->depth;
    write_value(value, w, used < VZ_JSON_MAX_DEPTH ? VZ_JSON_MAX_DEPTH - used : 0);
}

void vz_value_print(const struct vz_value *value, struct vz_buf *out)
{
    struct vz_json_writer writer = vz_json_writer_on(out);
    vz_value_write(value, &writer);
}
