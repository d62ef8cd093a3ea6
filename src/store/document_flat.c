/* store/document_flat.c - a `flattened` field: an object, whatever its shape, as two lists of
 * terms.
 *
 * Each leaf gives its text to the field itself ("urgent") and, behind its key and a NUL, to the
 * hidden keyed field ("labels.priority\0urgent"). Keys of objects within objects are joined with
 * dots; arrays are taken apart. Numbers and booleans are the text they print as.
 */
#include "store/document_parts.h"

#define MAX_KEYED_BYTES 32766

struct flat {
    struct vz_doc_reader *reader;
    const struct vz_field *field;
    struct vz_buf key;
    bool any_key;
    struct vz_error *err; /* the reason alone */
};

static size_t utf16_units(struct vz_slice text)
{
    size_t count = 0;
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        count += (c & 0xC0) != 0x80;
        count += c >= 0xF0;
    }
    return count;
}

static enum vz_status add_leaf(struct flat *flat, struct vz_slice text)
{
    const struct vz_field *field = flat->field;
    struct vz_arena *arena = flat->reader->arena;
    if (field->ignore_above && text.len > field->ignore_above &&
        utf16_units(text) > field->ignore_above)
        return VZ_OK;
    size_t len = flat->key.len + 1 + text.len;
    if (len > MAX_KEYED_BYTES)
        return vz_fail(flat->err, VZ_BAD_ARGUMENT,
                       "Flattened field [%.*s] contains one immense field whose keyed encoding is "
                       "longer than the allowed max length of %d bytes. Key length: %zu, value "
                       "length: %zu for key starting with [%.*s]",
                       (int)field->path.len, field->path.ptr, MAX_KEYED_BYTES, flat->key.len,
                       text.len, (int)VZ_MIN(flat->key.len, (size_t)50), flat->key.data);
    if (field->column != VZ_COLUMN_ORDINAL || field->under_nested) {
        struct vz_typed_value present = {.field = field->id, .kind = VZ_COLUMN_PRESENCE};
        if (field->column == VZ_COLUMN_PRESENCE && !field->under_nested)
            vz_doc_add_value(flat->reader, &present);
        return VZ_OK;
    }
    char *keyed = vz_arena_alloc(arena, len + 1);
    memcpy(keyed, flat->key.data, flat->key.len);
    keyed[flat->key.len] = 0;
    if (text.len)
        memcpy(keyed + flat->key.len + 1, text.ptr, text.len);
    keyed[len] = 0;
    struct vz_typed_value value = {.field = field->id, .kind = VZ_COLUMN_ORDINAL};
    value.term = (struct vz_slice){keyed + flat->key.len + 1, text.len};
    vz_doc_add_value(flat->reader, &value);
    value.field = field->keyed;
    value.term = (struct vz_slice){keyed, len};
    vz_doc_add_value(flat->reader, &value);
    return VZ_OK;
}

static enum vz_status add_scalar(struct flat *flat, struct vz_json value)
{
    if (vz_json_type(value) == VZ_JSON_STRING)
        return add_leaf(flat, vz_json_string(value));
    struct vz_buf text = {0};
    vz_json_print(value, &text);
    enum vz_status status = add_leaf(flat, vz_buf_slice(&text));
    vz_buf_deinit(&text);
    return status;
}

static enum vz_status add_null(struct flat *flat)
{
    struct vz_json_doc *doc;
    struct vz_json root;
    if (!flat->field->has_null_value ||
        vz_json_parse(flat->field->null_value, &doc, &root, NULL) != VZ_OK)
        return VZ_OK;
    enum vz_status status = add_scalar(flat, root);
    vz_json_free(doc);
    return status;
}

/* depth: objects that the value lies in, the root among them. JSON's own limit bounds the
 * recursion through arrays, depth_limit the one through objects. */
static enum vz_status add_value(struct flat *flat, struct vz_json value, uint32_t depth)
{
    enum vz_json_type type = vz_json_type(value);
    struct vz_json_iter it = vz_json_iterate(value);
    struct vz_slice key;
    struct vz_json member;
    enum vz_status status = VZ_OK;
    if (type == VZ_JSON_NULL)
        return add_null(flat);
    if (type != VZ_JSON_ARRAY && type != VZ_JSON_OBJECT)
        return add_scalar(flat, value);
    if (type == VZ_JSON_ARRAY) {
        while (status == VZ_OK && vz_json_next(&it, NULL, &member))
            status = add_value(flat, member, depth);
        return status;
    }
    if (depth > flat->field->depth_limit)
        return vz_fail(flat->err, VZ_BAD_ARGUMENT,
                       "The provided [flattened] field [%.*s] exceeds the maximum depth limit of "
                       "[%u].",
                       (int)flat->field->path.len, flat->field->path.ptr, flat->field->depth_limit);
    size_t base = flat->key.len;
    bool any = flat->any_key;
    while (status == VZ_OK && vz_json_next(&it, &key, &member)) {
        if (memchr(key.ptr, 0, key.len))
            return vz_fail(flat->err, VZ_BAD_ARGUMENT,
                           "Keys in [flattened] fields cannot contain the reserved character \\0. "
                           "Offending key: [%.*s].",
                           (int)VZ_MIN(key.len, (size_t)100), key.ptr);
        if (any)
            vz_buf_append_char(&flat->key, '.');
        vz_buf_append_slice(&flat->key, key);
        flat->any_key = true;
        status =
            flat->key.len > VZ_MAX_PATH_BYTES
                ? vz_fail(flat->err, VZ_BAD_ARGUMENT, "a key of [%.*s] is longer than %d bytes",
                          (int)flat->field->path.len, flat->field->path.ptr, VZ_MAX_PATH_BYTES)
                : add_value(flat, member, depth + 1);
        flat->key.len = base;
        flat->any_key = any;
    }
    return status;
}

enum vz_status vz_doc_read_flat(struct vz_doc_reader *reader, const struct vz_field *field,
                                struct vz_slice prefix, struct vz_json value, struct vz_error *err)
{
    struct flat flat = {.reader = reader, .field = field, .err = err};
    enum vz_json_type type = vz_json_type(value);
    if (type == VZ_JSON_NULL && prefix.len == 0)
        return VZ_OK;
    if (type != VZ_JSON_OBJECT && prefix.len == 0)
        return vz_fail(err, VZ_BAD_ARGUMENT,
                       "Failed to parse object: expecting token of type [START_OBJECT] but found "
                       "[VALUE_%s]",
                       type == VZ_JSON_STRING ? "STRING"
                       : type == VZ_JSON_BOOL ? "BOOLEAN"
                                              : "NUMBER");
    vz_buf_reserve(&flat.key, 64);
    vz_buf_append_slice(&flat.key, prefix);
    flat.any_key = prefix.len > 0;
    uint32_t depth = 1;
    for (size_t i = 0; prefix.len && i <= prefix.len; i++)
        depth += i == prefix.len || prefix.ptr[i] == '.';
    enum vz_status status = add_value(&flat, value, depth);
    vz_buf_deinit(&flat.key);
    return status;
}
