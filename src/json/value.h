/* json/value.h - JSON that can be changed: a tree of values in an arena.
 *
 * For what edits documents (ingest pipelines) and for what scripts compute with. Reading large
 * bodies stays with json.h, whose documents are compact and never change. Nothing is freed before
 * the arena is; a value that was taken out of its container stays valid.
 *
 * Objects keep the order in which keys were first put, and have no key twice (a later one replaces).
 * Threads: a tree belongs to one thread at a time.
 *
 *     struct vz_value *doc = vz_value_from(&arena, root);
 *     vz_value_put(doc, VZ_SLICE("price"), vz_value_int(&arena, 12));
 *     vz_value_print(doc, &buf);
 */
#ifndef VZ_JSON_VALUE_H
#define VZ_JSON_VALUE_H

#include "json/json.h"

enum vz_value_type {
    VZ_VALUE_NULL,
    VZ_VALUE_BOOL,
    VZ_VALUE_INT,    /* int64 */
    VZ_VALUE_DOUBLE, /* and unsigned numbers over int64 */
    VZ_VALUE_STRING,
    VZ_VALUE_ARRAY,
    VZ_VALUE_OBJECT
};

struct vz_value_member;
struct vz_value {
    enum vz_value_type type;
    uint8_t java; /* src/script's own: which of Java's numbers this was; 0 from anybody else */
    union {
        bool boolean;
        int64_t integer;
        double number;
        struct vz_slice string; /* the arena's or static; UTF-8 */
        struct {
            struct vz_arena *arena; /* grows here */
            struct vz_value **items;
            size_t count, capacity;
        } array;
        struct {
            struct vz_arena *arena;
            struct vz_value_member *members;
            size_t count, capacity;
            uint32_t *buckets; /* NULL while there are few members */
        } object;
    };
};
struct vz_value_member {
    struct vz_slice key;
    struct vz_value *value;
};

/* A deep copy of a parsed value; strings are copied into the arena. A missing value is null. */
struct vz_value *vz_value_from(struct vz_arena *arena, struct vz_json json);
/* A deep copy of a tree into `arena`. */
struct vz_value *vz_value_copy(struct vz_arena *arena, const struct vz_value *value);

struct vz_value *vz_value_null(struct vz_arena *arena);
struct vz_value *vz_value_bool(struct vz_arena *arena, bool value);
struct vz_value *vz_value_int(struct vz_arena *arena, int64_t value);
struct vz_value *vz_value_double(struct vz_arena *arena, double value);
struct vz_value *vz_value_string(struct vz_arena *arena, struct vz_slice text); /* copied */
struct vz_value *vz_value_array(struct vz_arena *arena);
struct vz_value *vz_value_object(struct vz_arena *arena);

/* NULL when `object` is no object or has no such key. Constant time for large objects. */
struct vz_value *vz_value_get(const struct vz_value *object, struct vz_slice key);
/* `object` must be one; the key is copied, the value kept by pointer. */
void vz_value_put(struct vz_value *object, struct vz_slice key, struct vz_value *value);
/* What was there, or NULL. The order of the others stays. */
struct vz_value *vz_value_remove(struct vz_value *object, struct vz_slice key);
/* `array` must be one. at <= count. */
void vz_value_insert(struct vz_value *array, size_t at, struct vz_value *value);
void vz_value_append(struct vz_value *array, struct vz_value *value);
struct vz_value *vz_value_take(struct vz_value *array, size_t at);

/* Deep; 1 and 1.0 are equal. */
bool vz_value_equal(const struct vz_value *a, const struct vz_value *b);

/* Whether a tree is at most so many levels deep and has at most so many values, each counted as
 * often as it is met: false for one that holds itself. For what a script has made, before it is
 * printed, copied or compared. A walk of at most max_nodes; max_depth is a few hundred at most. */
bool vz_value_within(const struct vz_value *value, unsigned max_depth, size_t max_nodes);

/* ---- paths: "a.b.0.c" as ingest pipelines write them --------------------------------------- */

/* Keys and array indices between dots. NULL when there is no such place. */
struct vz_value *vz_value_at(struct vz_value *root, struct vz_slice path);
/* Makes objects for what is missing on the way. VZ_BAD_ARGUMENT names the part that stands in the
 * way ("cannot set [a.b]: [a] is a number"), and an array index that is out of bounds. */
enum vz_status vz_value_put_at(struct vz_value *root, struct vz_slice path, struct vz_value *value,
                               struct vz_error *err);
/* What was there, or NULL. */
struct vz_value *vz_value_remove_at(struct vz_value *root, struct vz_slice path);

/* Compact JSON. Numbers as vz_json_put_*. Containers deeper than VZ_JSON_MAX_DEPTH are null. */
void vz_value_print(const struct vz_value *value, struct vz_buf *out);
void vz_value_write(const struct vz_value *value, struct vz_json_writer *w);

#endif
