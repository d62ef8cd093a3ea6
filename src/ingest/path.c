/* Fields of a document by path: reading, setting, removing, appending, in Elasticsearch's words.
 *
 * A path's first part chooses the tree: "_ingest." the ingest metadata, "_source." or nothing the
 * document, in which the metadata members _index, _id, ... stand beside the fields. Dots always
 * separate: a key with a dot in it is reached by dot_expander alone, as in Elasticsearch. */
#include "ingest/parts.h"

#include "base/strmap.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define MAX_PARTS 64

const char *vz_java_type(const struct vz_value *value)
{
    switch (value->type) {
    case VZ_VALUE_NULL:
        return "null";
    case VZ_VALUE_BOOL:
        return "java.lang.Boolean";
    case VZ_VALUE_INT:
        return value->integer >= INT32_MIN && value->integer <= INT32_MAX ? "java.lang.Integer"
                                                                          : "java.lang.Long";
    case VZ_VALUE_DOUBLE:
        return "java.lang.Double";
    case VZ_VALUE_STRING:
        return "java.lang.String";
    case VZ_VALUE_ARRAY:
        return "java.util.ArrayList";
    case VZ_VALUE_OBJECT:
        return "java.util.HashMap";
    }
    return "java.lang.Object";
}

struct vz_value *vz_value_of_float(struct vz_arena *arena, float value)
{
    char text[40];
    struct vz_buf out = {0};
    struct vz_json_writer w = vz_json_writer_on(&out);
    vz_json_put_float(&w, value);
    size_t len = VZ_MIN(out.len, sizeof text - 1);
    memcpy(text, out.data, len);
    text[len] = '\0';
    vz_buf_deinit(&out);
    return isfinite(value) ? vz_value_double(arena, strtod(text, NULL)) : vz_value_null(arena);
}

/* ---- walking --------------------------------------------------------------------------------- */

struct way {
    struct vz_slice path; /* as it was given */
    struct vz_value *root;
    struct vz_slice parts[MAX_PARTS];
    size_t count;
};

static enum vz_status split_path(struct vz_ingest_doc *doc, struct vz_slice path, struct way *way,
                                 struct vz_error *err)
{
    way->path = path;
    way->root = doc->ctx;
    way->count = 0;
    if (path.len == 0)
        return vz_fail(err, VZ_BAD_ARGUMENT, "path cannot be null nor empty");
    struct vz_slice rest = path;
    if (vz_slice_starts(rest, "_ingest.")) {
        way->root = doc->ingest;
        rest = (struct vz_slice){rest.ptr + 8, rest.len - 8};
    } else if (vz_slice_starts(rest, "_source.")) {
        rest = (struct vz_slice){rest.ptr + 8, rest.len - 8};
    }
    while (rest.len) {
        const char *dot = memchr(rest.ptr, '.', rest.len);
        size_t len = dot ? (size_t)(dot - rest.ptr) : rest.len;
        if (len) {
            if (way->count == MAX_PARTS)
                return vz_fail(err, VZ_LIMIT, "path [%.*s] has more than [%d] parts", VZ_S(path),
                               MAX_PARTS);
            way->parts[way->count++] = (struct vz_slice){rest.ptr, len};
        }
        size_t skip = dot ? len + 1 : len;
        rest = (struct vz_slice){rest.ptr + skip, rest.len - skip};
    }
    if (way->count == 0)
        return vz_fail(err, VZ_BAD_ARGUMENT, "path [%.*s] is not valid", VZ_S(path));
    return VZ_OK;
}

static enum vz_status index_of(const struct way *way, struct vz_slice part, size_t count,
                               size_t *at, struct vz_error *err)
{
    char digits[16], *end;
    size_t len = VZ_MIN(part.len, sizeof digits - 1);
    memcpy(digits, part.ptr, len);
    digits[len] = '\0';
    long index = strtol(digits, &end, 10);
    if (part.len > len || *end || end == digits)
        return vz_fail(err, VZ_BAD_ARGUMENT,
                       "[%.*s] is not an integer, cannot be used as an index as part of path "
                       "[%.*s]",
                       VZ_S(part), VZ_S(way->path));
    if (index < 0 || (size_t)index >= count)
        return vz_fail(err, VZ_BAD_ARGUMENT,
                       "[%ld] is out of bounds for array with length [%zu] as part of path [%.*s]",
                       index, count, VZ_S(way->path));
    *at = (size_t)index;
    return VZ_OK;
}

/* What is under `part` of *value. */
static enum vz_status step(const struct way *way, struct vz_slice part, struct vz_value **value,
                           struct vz_error *err)
{
    struct vz_value *from = *value;
    if (from->type == VZ_VALUE_OBJECT) {
        *value = vz_value_get(from, part);
        if (*value)
            return VZ_OK;
        return vz_fail(err, VZ_BAD_ARGUMENT, "field [%.*s] not present as part of path [%.*s]",
                       VZ_S(part), VZ_S(way->path));
    }
    if (from->type == VZ_VALUE_ARRAY) {
        size_t at;
        enum vz_status status = index_of(way, part, from->array.count, &at, err);
        if (status == VZ_OK)
            *value = from->array.items[at];
        return status;
    }
    if (from->type == VZ_VALUE_NULL)
        return vz_fail(err, VZ_BAD_ARGUMENT,
                       "cannot resolve [%.*s] from null as part of path [%.*s]", VZ_S(part),
                       VZ_S(way->path));
    return vz_fail(err, VZ_BAD_ARGUMENT,
                   "cannot resolve [%.*s] from object of type [%s] as part of path [%.*s]",
                   VZ_S(part), vz_java_type(from), VZ_S(way->path));
}

enum vz_status vz_path_get(struct vz_ingest_doc *doc, struct vz_slice path, struct vz_value **value,
                           struct vz_error *err)
{
    struct way way;
    enum vz_status status = split_path(doc, path, &way, err);
    *value = way.root;
    for (size_t i = 0; status == VZ_OK && i < way.count; i++)
        status = step(&way, way.parts[i], value, err);
    return status;
}

struct vz_value *vz_path_find(struct vz_ingest_doc *doc, struct vz_slice path)
{
    struct vz_value *value;
    return vz_path_get(doc, path, &value, NULL) == VZ_OK ? value : NULL;
}

/* The container of the last part, made where it is missing. */
static enum vz_status parent_of(struct vz_ingest_doc *doc, struct way *way, struct vz_value **out,
                                struct vz_error *err)
{
    struct vz_value *value = way->root;
    for (size_t i = 0; i + 1 < way->count; i++) {
        struct vz_slice part = way->parts[i];
        if (value->type == VZ_VALUE_OBJECT && !vz_value_get(value, part))
            vz_value_put(value, part, vz_value_object(doc->arena));
        enum vz_status status = step(way, part, &value, err);
        if (status != VZ_OK)
            return status;
    }
    *out = value;
    return VZ_OK;
}

static enum vz_status not_a_parent(const struct way *way, const struct vz_value *parent,
                                   const char *what, struct vz_error *err)
{
    struct vz_slice part = way->parts[way->count - 1];
    if (parent->type == VZ_VALUE_NULL)
        return vz_fail(err, VZ_BAD_ARGUMENT,
                       "cannot %s [%.*s] with null parent as part of path [%.*s]", what, VZ_S(part),
                       VZ_S(way->path));
    return vz_fail(err, VZ_BAD_ARGUMENT,
                   "cannot %s [%.*s] with parent object of type [%s] as part of path [%.*s]", what,
                   VZ_S(part), vz_java_type(parent), VZ_S(way->path));
}

enum vz_status vz_path_set(struct vz_ingest_doc *doc, struct vz_slice path, struct vz_value *value,
                           struct vz_error *err)
{
    struct way way;
    struct vz_value *parent = NULL;
    enum vz_status status = split_path(doc, path, &way, err);
    if (status == VZ_OK)
        status = parent_of(doc, &way, &parent, err);
    if (status != VZ_OK)
        return status;
    struct vz_slice last = way.parts[way.count - 1];
    if (parent->type == VZ_VALUE_OBJECT) {
        vz_value_put(parent, last, value);
        return VZ_OK;
    }
    if (parent->type != VZ_VALUE_ARRAY)
        return not_a_parent(&way, parent, "set", err);
    size_t at;
    status = index_of(&way, last, parent->array.count, &at, err);
    if (status == VZ_OK)
        parent->array.items[at] = value;
    return status;
}

enum vz_status vz_path_remove(struct vz_ingest_doc *doc, struct vz_slice path, struct vz_error *err)
{
    struct way way;
    enum vz_status status = split_path(doc, path, &way, err);
    struct vz_value *parent = way.root;
    for (size_t i = 0; status == VZ_OK && i + 1 < way.count; i++)
        status = step(&way, way.parts[i], &parent, err);
    if (status != VZ_OK)
        return status;
    struct vz_slice last = way.parts[way.count - 1];
    if (parent->type == VZ_VALUE_OBJECT) {
        if (vz_value_remove(parent, last))
            return VZ_OK;
        return vz_fail(err, VZ_BAD_ARGUMENT, "field [%.*s] not present as part of path [%.*s]",
                       VZ_S(last), VZ_S(path));
    }
    if (parent->type != VZ_VALUE_ARRAY)
        return not_a_parent(&way, parent, "remove", err);
    size_t at;
    status = index_of(&way, last, parent->array.count, &at, err);
    if (status == VZ_OK)
        vz_value_take(parent, at);
    return status;
}

/* ---- appending ------------------------------------------------------------------------------- */

#define MAX_COMPARED 10000000 /* lists and objects with what is there, of one append */

/* What a list holds: scalars by a key that equal ones share, so that many can be asked for. */
struct held {
    struct vz_strmap scalars;
    struct vz_value *list;
    size_t entered;  /* of the list's values */
    size_t compared; /* lists and objects are looked at one by one */
};

/* False for a list or an object. */
static bool key_of(const struct vz_value *value, struct vz_buf *key)
{
    double whole = value->type == VZ_VALUE_DOUBLE ? value->number : 0.5;
    vz_buf_clear(key);
    if (value->type == VZ_VALUE_ARRAY || value->type == VZ_VALUE_OBJECT)
        return false;
    if (value->type == VZ_VALUE_STRING) {
        vz_buf_append_char(key, 's');
        vz_buf_append_slice(key, value->string);
    } else if (value->type == VZ_VALUE_INT)
        vz_buf_printf(key, "%lld", (long long)value->integer);
    else if (value->type == VZ_VALUE_DOUBLE && whole == trunc(whole) && fabs(whole) < 0x1p63)
        vz_buf_printf(key, "%lld", (long long)whole);
    else if (value->type == VZ_VALUE_DOUBLE)
        vz_buf_printf(key, "%a", value->number);
    else
        vz_buf_printf(key, "%s", value->type != VZ_VALUE_BOOL ? "n" : value->boolean ? "t" : "f");
    return true;
}

static bool contains(struct held *held, const struct vz_value *value)
{
    struct vz_buf key = {0};
    uint64_t ignored;
    bool found = false;
    for (; held->entered < held->list->array.count; held->entered++)
        if (key_of(held->list->array.items[held->entered], &key))
            vz_strmap_put(&held->scalars, vz_buf_slice(&key), 1);
    if (key_of(value, &key)) {
        found = vz_strmap_get(&held->scalars, vz_buf_slice(&key), &ignored);
    } else {
        held->compared += held->list->array.count;
        for (size_t i = 0; i < held->list->array.count && !found; i++)
            found =
                held->compared <= MAX_COMPARED && vz_value_equal(held->list->array.items[i], value);
    }
    vz_buf_deinit(&key);
    return found;
}

static enum vz_status append_all(struct vz_value *list, struct vz_value *value,
                                 bool allow_duplicates, struct vz_error *err)
{
    struct held held = {.list = list};
    bool several = value->type == VZ_VALUE_ARRAY;
    for (size_t i = 0; i < (several ? value->array.count : 1); i++) {
        struct vz_value *one = several ? value->array.items[i] : value;
        if (allow_duplicates || !contains(&held, one))
            vz_value_append(list, one);
    }
    vz_strmap_deinit(&held.scalars);
    if (held.compared > MAX_COMPARED)
        return vz_fail(err, VZ_LIMIT, "[append] compares more than [%d] lists and objects",
                       MAX_COMPARED);
    return VZ_OK;
}

enum vz_status vz_path_append(struct vz_ingest_doc *doc, struct vz_slice path,
                              struct vz_value *value, bool allow_duplicates, struct vz_error *err)
{
    struct vz_value *there = vz_path_find(doc, path), *list = there;
    if (!there || there->type == VZ_VALUE_NULL) {
        list = vz_value_array(doc->arena);
        enum vz_status status = vz_path_set(doc, path, list, err);
        if (status != VZ_OK)
            return status;
    } else if (there->type != VZ_VALUE_ARRAY) {
        /* A single value that is there already stays single. */
        struct vz_value *one = vz_value_array(doc->arena);
        vz_value_append(one, there);
        size_t before = one->array.count;
        enum vz_status status = append_all(one, value, allow_duplicates, err);
        return status != VZ_OK || one->array.count == before ? status
                                                             : vz_path_set(doc, path, one, err);
    }
    return append_all(list, value, allow_duplicates, err);
}

enum vz_status vz_path_text(struct vz_ingest_doc *doc, struct vz_slice path, bool ignore_missing,
                            struct vz_slice *text, bool *found, struct vz_error *err)
{
    struct vz_value *value;
    *found = false;
    enum vz_status status = vz_path_get(doc, path, &value, err);
    if (status != VZ_OK)
        return ignore_missing && status == VZ_BAD_ARGUMENT ? VZ_OK : status;
    if (value->type == VZ_VALUE_NULL) {
        if (ignore_missing)
            return VZ_OK;
        return vz_fail(err, VZ_BAD_ARGUMENT, "field [%.*s] is null, cannot process it.",
                       VZ_S(path));
    }
    if (value->type != VZ_VALUE_STRING)
        return vz_fail(err, VZ_BAD_ARGUMENT,
                       "field [%.*s] of type [%s] cannot be cast to [java.lang.String]", VZ_S(path),
                       vz_java_type(value));
    *text = value->string;
    *found = true;
    return VZ_OK;
}
