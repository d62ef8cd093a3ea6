/* store/document_parts.h - what the files document*.c share while one document is read. */
#ifndef VZ_STORE_DOCUMENT_PARTS_H
#define VZ_STORE_DOCUMENT_PARTS_H

#include "store/document.h"
#include "store/mapping_parts.h"

/* A field the mapping does not have, or a vector whose dims it does not know. */
struct vz_fresh_field {
    struct vz_slice path;
    struct vz_slice definition; /* JSON */
};

/* Where a vector stands in the text as given. */
struct vz_vector_extent {
    size_t start, end;
};

struct vz_doc_reader {
    const struct vz_mapping *mapping;
    struct vz_slice id;
    struct vz_slice source;
    struct vz_arena *arena;
    struct vz_error *err;
    const char *at, *end; /* the text beside the parsed value being read */

    struct vz_buf path; /* of the object being read, with a dot behind it; empty at the root */

    struct vz_typed_value *values;
    size_t value_count, value_capacity;
    bool values_sorted;
    struct vz_doc_vector *vectors;
    struct vz_vector_extent *extents;
    size_t vector_count, vector_capacity;
    struct vz_doc_text *texts;
    size_t text_count, text_capacity;
    uint64_t seen[(VZ_MAX_FIELDS + 63) / 64]; /* fields with presence or a vector already */

    struct vz_fresh_field *fresh;
    size_t fresh_count, fresh_capacity;
    struct vz_strmap fresh_paths;
    size_t new_count;                  /* fields that the noted definitions will make */
    struct vz_json_doc *templates_doc; /* parsed when the first new field is met */
    struct vz_json templates;
    size_t nested_count; /* nested objects read */
};

/* One JSON value that is no object or array. */
struct vz_scalar {
    enum vz_json_type type;
    struct vz_json json;
    struct vz_slice text; /* a string's characters, or the text of a number or boolean */
    bool borrowed;        /* `text` lives as long as the document's source or the arena */
};

struct vz_scalar_rules {
    bool for_query; /* integers: no range check, decimals become a bound; dates: math */
    bool round_up;
    int64_t now_ms;
};

/* Reads a scalar as a value of the field's type. *nothing: an empty string that stands for no
 * value. Errors: VZ_BAD_ARGUMENT with the reason alone. */
enum vz_status vz_scalar_read(const struct vz_field *field, const struct vz_scalar *scalar,
                              const struct vz_scalar_rules *rules, struct vz_arena *arena,
                              struct vz_typed_value *value, bool *nothing, struct vz_error *err);

/* [+-]digits that fit; and plain decimal text (no hex, no "inf", no white space). */
bool vz_text_to_i64(struct vz_slice text, int64_t *out);
bool vz_text_to_double(struct vz_slice text, double *out);

/* "[line:column] " of a place in the source in front of a text, VZ_BAD_DOCUMENT. */
enum vz_status vz_doc_fault(struct vz_doc_reader *reader, const char *place, const char *format,
                            ...) __attribute__((format(printf, 3, 4)));

void *vz_doc_grow(struct vz_doc_reader *reader, void *old, size_t count, size_t *capacity,
                  size_t bytes);

void vz_doc_add_value(struct vz_doc_reader *reader, const struct vz_typed_value *value);

/* A flattened field's object, array of such or null; with a prefix any value, found at that key.
 * An error's text is the reason alone. */
enum vz_status vz_doc_read_flat(struct vz_doc_reader *reader, const struct vz_field *field,
                                struct vz_slice prefix, struct vz_json value, struct vz_error *err);

/* A dense_vector's array or string at [start, end) of the text. */
enum vz_status vz_doc_read_vector(struct vz_doc_reader *reader, const struct vz_field *field,
                                  struct vz_json value, const char *start, const char *end);
/* Writes the cut source and the offsets of the vectors. */
void vz_doc_cut(struct vz_doc_reader *reader, struct vz_document *doc);

/* A value for a path that the mapping does not have: notes what the field shall be. The value is
 * no object and no array with objects in it; null notes nothing. */
enum vz_status vz_doc_note_value(struct vz_doc_reader *reader, struct vz_slice path,
                                 struct vz_json value, const char *place);
/* Notes a definition in JSON, unless the path has one. */
enum vz_status vz_doc_note(struct vz_doc_reader *reader, struct vz_slice path,
                           struct vz_slice definition);
/* Notes what a template makes of a new object at a path; false (and nothing noted): no template
 * matches it. */
bool vz_doc_note_object(struct vz_doc_reader *reader, struct vz_slice path, enum vz_status *status);
bool vz_doc_templates(struct vz_doc_reader *reader, struct vz_json *templates);
/* The noted fields as a mappings body. */
struct vz_slice vz_doc_new_fields(struct vz_doc_reader *reader);

#endif
