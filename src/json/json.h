/* json/json.h - reading and writing JSON. Parsing is simdjson's (DOM), behind this C face.
 *
 * Reading: vz_json_parse checks a whole text (UTF-8, grammar, depth) and gives a document; values
 * are small cursors by value into it, valid until vz_json_free. Strings are borrowed from the
 * document. The text itself is not kept and may go away after the parse.
 * Writing: a writer appends to a vz_buf and places commas itself.
 * Raw: when the exact bytes of a member matter, the vz_json_raw_* functions walk valid text.
 *
 * Threads: a document belongs to one thread at a time while parsing; afterwards any number may
 * read.
 *
 *     struct vz_json_doc *doc; struct vz_json root, knn;
 *     if (vz_json_parse(body, &doc, &root, &err) != VZ_OK) return err.status;
 *     if (vz_json_get(root, "knn", &knn)) ...
 *     vz_json_free(doc);
 */
#ifndef VZ_JSON_JSON_H
#define VZ_JSON_JSON_H

#include "base/mem.h"
#include "base/status.h"

#ifdef __cplusplus
extern "C" {
#endif

enum vz_json_type {
    VZ_JSON_MISSING, /* a zeroed cursor: no value */
    VZ_JSON_NULL,
    VZ_JSON_BOOL,
    VZ_JSON_INT,  /* fits int64 */
    VZ_JSON_UINT, /* over int64, fits uint64 */
    VZ_JSON_DOUBLE,
    VZ_JSON_STRING,
    VZ_JSON_ARRAY,
    VZ_JSON_OBJECT
};

struct vz_json_doc;
struct vz_json {
    const struct vz_json_doc *doc;
    size_t at;
};

/* Levels of objects and arrays; an empty innermost one is not counted. */
#define VZ_JSON_MAX_DEPTH 64

/* Parses the whole text; anything but white space behind the value is an error. Errors:
 * VZ_BAD_JSON with offset and a text such as "unexpected character 'x' at line 3 column 7",
 * VZ_LIMIT deeper than VZ_JSON_MAX_DEPTH or over 4 GiB, VZ_BUDGET without memory. *doc is NULL
 * then. Integers beyond 64 bits are read as doubles; numbers beyond a double are errors. Parsers
 * are pooled per thread, so parsing many small texts does not allocate much. */
enum vz_status vz_json_parse(struct vz_slice text, struct vz_json_doc **doc, struct vz_json *root,
                             struct vz_error *err);
/* The same for text with at least 64 readable bytes behind it, of any content, which the parser may
 * read (HTTP bodies; a line of NDJSON inside such a body): saves copying the text. */
enum vz_status vz_json_parse_padded(struct vz_slice text, struct vz_json_doc **doc,
                                    struct vz_json *root, struct vz_error *err);
/* Any thread may free; NULL is allowed. Cursors and strings of the document die here. */
void vz_json_free(struct vz_json_doc *doc);

enum vz_json_type vz_json_type(struct vz_json value);
/* "object", "array", "string", "number", "boolean", "null", "nothing". */
const char *vz_json_type_name(struct vz_json value);
static inline bool vz_json_is_number(struct vz_json v)
{
    enum vz_json_type t = vz_json_type(v);
    return t == VZ_JSON_INT || t == VZ_JSON_UINT || t == VZ_JSON_DOUBLE;
}

/* The member of an object; false when `object` is no object or has no such key. Linear. The last
 * one of duplicate keys is not special: the first is given. */
bool vz_json_get(struct vz_json object, const char *key, struct vz_json *value);
/* A path of keys with dots: "index.number_of_shards" tries the whole key first, then nested. */
bool vz_json_get_path(struct vz_json object, const char *path, struct vz_json *value);
size_t vz_json_count(struct vz_json container); /* members or elements, 0 for others */

/* Iterates an object or array: `key` is empty for arrays (may be NULL).
 *     struct vz_json_iter it = vz_json_iterate(value);
 *     while (vz_json_next(&it, &key, &member)) ... */
struct vz_json_iter {
    struct vz_json container;
    size_t at, end;
    bool is_object;
};
struct vz_json_iter vz_json_iterate(struct vz_json container);
bool vz_json_next(struct vz_json_iter *it, struct vz_slice *key, struct vz_json *value);

/* Reads; of another type they give the empty value stated. */
bool vz_json_bool(struct vz_json value);              /* false */
struct vz_slice vz_json_string(struct vz_json value); /* {NULL, 0} */
double vz_json_double(struct vz_json value);          /* any number; else 0 */
int64_t vz_json_int(struct vz_json value); /* INT; DOUBLE truncated and clamped; else 0 */
/* Lenient forms Elasticsearch accepts: true | "true" | "false" | ""; numbers as strings "12".
 * False when it is none of these. */
bool vz_json_as_bool(struct vz_json value, bool *out);
bool vz_json_as_int(struct vz_json value, int64_t *out);
bool vz_json_as_double(struct vz_json value, double *out);

/* An array of numbers into out[max] as f32. *count is the array's length (also when over max).
 * VZ_BAD_ARGUMENT when it is no array, or an element is no number or not finite in f32 (the text
 * names the element's position). The fast path of ingest: no per-element calls. */
enum vz_status vz_json_floats(struct vz_json array, float *out, size_t max, size_t *count,
                              struct vz_error *err);

/* True when `value` or anything below it is an object with two equal keys; *key is the second one
 * then (borrowed). Linear: a 512-d document costs well under a microsecond. */
bool vz_json_find_duplicate(struct vz_json value, struct vz_slice *key);

/* Appends the value as compact JSON; a missing value prints as null. */
void vz_json_print(struct vz_json value, struct vz_buf *out);

/* ---- raw text ---------------------------------------------------------------------------- */

/* Walks the members of an object (or elements of an array) in text that vz_json_parse accepted.
 * `rest` starts as the container's text and is advanced; key is the raw key without quotes and
 * with its escapes (empty for arrays); value the exact bytes. */
bool vz_json_raw_next(struct vz_slice *rest, struct vz_slice *key, struct vz_slice *value);

/* ---- writing ----------------------------------------------------------------------------- */

struct vz_json_writer {
    struct vz_buf *out;  /* borrowed */
    uint64_t has_member; /* a bit a level */
    unsigned depth;
    bool after_key;
};
static inline struct vz_json_writer vz_json_writer_on(struct vz_buf *out)
{
    return (struct vz_json_writer){out, 0, 0, false};
}
void vz_json_begin_object(struct vz_json_writer *w);
void vz_json_end_object(struct vz_json_writer *w);
void vz_json_begin_array(struct vz_json_writer *w);
void vz_json_end_array(struct vz_json_writer *w);
void vz_json_key(struct vz_json_writer *w, const char *key);
void vz_json_key_slice(struct vz_json_writer *w, struct vz_slice key);
void vz_json_put_string(struct vz_json_writer *w,
                        struct vz_slice text);                    /* escaped; bad UTF-8 -> U+FFFD */
void vz_json_put_str(struct vz_json_writer *w, const char *text); /* NULL -> null */
void vz_json_put_int(struct vz_json_writer *w, int64_t value);
void vz_json_put_uint(struct vz_json_writer *w, uint64_t value);
/* Shortest text that reads back to the same value, always with '.' or 'E' as Jackson prints:
 * 1.0, 0.5, 1.0E10; NaN and infinities become null. */
void vz_json_put_double(struct vz_json_writer *w, double value);
void vz_json_put_float(struct vz_json_writer *w, float value);
void vz_json_put_bool(struct vz_json_writer *w, bool value);
void vz_json_put_null(struct vz_json_writer *w);
void vz_json_put_raw(struct vz_json_writer *w, struct vz_slice json); /* already JSON */
void vz_json_put_value(struct vz_json_writer *w, struct vz_json value);
/* key + value in one. */
void vz_json_field_str(struct vz_json_writer *w, const char *key, const char *text);
void vz_json_field_string(struct vz_json_writer *w, const char *key, struct vz_slice text);
void vz_json_field_int(struct vz_json_writer *w, const char *key, int64_t value);
void vz_json_field_bool(struct vz_json_writer *w, const char *key, bool value);
void vz_json_field_double(struct vz_json_writer *w, const char *key, double value);
/* Already JSON; when it is empty there is no such member. */
void vz_json_field_raw(struct vz_json_writer *w, const char *key, struct vz_slice json);

/* "[0.1,-0.25,...]": shortest f32 texts. The fast path for vectors in answers. */
void vz_json_append_floats(struct vz_buf *out, const float *values, size_t count);

/* The same JSON indented by two spaces, as ?pretty prints: "key" : value, empty ones as { } and
 * [ ], and a line feed at the end. */
void vz_json_pretty(struct vz_slice json, struct vz_buf *out);

#ifdef __cplusplus
}
#endif

#endif
