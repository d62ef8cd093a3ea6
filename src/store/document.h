/* store/document.h - one JSON document read against a mapping: typed values, vectors, and the
 * source text with its vectors cut out.
 *
 * Private to the store room and its tests. Runs on the thread of the request, many at a time; the
 * result goes to the index's writer, which assigns docno and ordinals.
 *
 * The cut source: every vector array that is indexed is replaced in the text by `null`, and a
 * splice remembers where; the floats go to row files only. On reading the array is printed back.
 * All other bytes of the text stay as the client sent them.
 */
#ifndef VZ_STORE_DOCUMENT_H
#define VZ_STORE_DOCUMENT_H

#include "store/mapping.h"

struct vz_typed_value {
    uint16_t field;
    enum vz_column_kind kind;
    union {
        int64_t i64;
        double f64;
        struct vz_slice term; /* VZ_COLUMN_ORDINAL: the writer finds its ordinal */
        struct {
            double lat, lon;
        } geo;
    };
};

struct vz_doc_vector {
    uint16_t field;
    uint32_t offset;     /* of the `null` in the cut source */
    /* As they go into the row: floats (unit length for cosine), bfloat16s (likewise), bytes, bits.
     */
    union {
        const void *elements;
        const float *floats;
    };
    /* Floats as given; NULL when the row gives them back: bit for bit, or for bfloat16 as well as
     * it can without a scale. */
    const float *raw;
    uint32_t dims;
    uint8_t element, form; /* enum vz_element, enum vz_vector_form */
};

/* One value of a text field, to be analysed. */
struct vz_doc_text {
    uint16_t field;
    struct vz_slice text; /* borrows the source, or lives in the arena */
};

struct vz_document {
    struct vz_slice source;        /* the cut source */
    const struct vz_typed_value *values; /* ascending by field, then as they stand in the text */
    size_t value_count;
    const struct vz_doc_vector *vectors; /* ascending by offset */
    size_t vector_count;
    const struct vz_doc_text *texts; /* as they stand in the text */
    size_t text_count;
    /* Fields the mapping did not have (dynamic: true), and vectors whose dims it did not know: a
     * mappings body to merge before the document can be written, or empty. When it is not empty the
     * rest of this struct is not complete: the caller merges it into the index's newest mapping,
     * then parses again. A merge can fail because another document gave the field another type in
     * the meantime; parsing again against that mapping says so in the right words. */
    struct vz_slice new_fields;
    size_t new_field_count; /* what they come to, multi-fields counted */
};

/* Reads `source`. Everything in *doc lives in the arena or borrows `source`. Errors: VZ_BAD_JSON
 * (offset), VZ_BAD_DOCUMENT ("failed to parse field [price] of type [float] in document with id
 * 'x'. Preview of field's value: 'abc'", with "[line:column] " in front as Elasticsearch has it,
 * the offset, and the reason as the cause; dims, NaN, zero vector with cosine, dot_product not of
 * unit length, more than one vector outside nested), VZ_STRICT_MAPPING. `id` is for messages. */
enum vz_status vz_document_parse(const struct vz_mapping *mapping, struct vz_slice id,
                                 struct vz_slice source, struct vz_arena *arena,
                                 struct vz_document *doc, struct vz_error *err);

/* A mapping that makes no new fields and refuses none, to read documents with once more. One
 * reference. */
struct vz_mapping *vz_mapping_lenient(const struct vz_mapping *mapping);

/* Parses a value for a query against a field as indexing would: term, range and ids use it. Terms
 * borrow the arena. An error's text is the reason alone ("For input string: \"abc\"").
 *
 * round_up: the bound of gt or lte (false: of gte, lt, and for term). Dates go to the last moment
 * of what was given, with date math. A decimal against an integer field goes to the next integer
 * that keeps the meaning (x > 1.5 is x > 1, x >= 1.5 is x >= 2); for term, a decimal that is no
 * whole number equals nothing, which the caller checks. Bounds beyond the field's range are taken;
 * beyond 64 bits they become the nearest integer, for floats infinity.
 * Errors: VZ_BAD_ARGUMENT, VZ_UNSUPPORTED (the field has no values: text, vectors, objects). */
enum vz_status vz_value_parse(const struct vz_field *field, struct vz_json value, bool round_up,
                              struct vz_arena *arena, struct vz_typed_value *out,
                              struct vz_error *err);

/* A number as a scaled_float of that factor keeps it. */
double vz_scaled(double number, double factor);

#endif
