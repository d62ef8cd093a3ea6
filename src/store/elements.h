/* store/elements.h - vectors as they are given, in documents and in queries alike.
 *
 * A field's elements (float, bfloat16, byte, bit) may come as an array of numbers, as a hex string
 * (byte, bit) or as base64 of big-endian elements. Threads: any. Errors carry the reason alone
 * (VZ_BAD_ARGUMENT); the caller says what was being done.
 */
#ifndef VZ_STORE_ELEMENTS_H
#define VZ_STORE_ELEMENTS_H

#include "store/mapping.h"

/* How a document said its vector; on disk in splices (docs/format/store.md). */
enum vz_vector_form {
    VZ_FORM_NUMBERS = 0,
    VZ_FORM_BASE64 = 1, /* of f32, or of bytes */
    VZ_FORM_HEX = 2,
    VZ_FORM_HEX_UPPER = 3,
    VZ_FORM_BASE64_HALF = 4, /* of bfloat16 */
    VZ_FORMS
};

/* floats for float and bfloat16 fields (as given, not normalised), bytes for byte and bit. */
struct vz_given_vector {
    const float *floats;
    const int8_t *bytes;
    size_t dims; /* bits: eight a byte */
    enum vz_vector_form form;
};

const char *vz_element_name(enum vz_element element);
bool vz_element_find(struct vz_slice name, enum vz_element *out);
/* Are its queries of floats? */
bool vz_element_is_float(enum vz_element element);

/* Numbers as bytes; for byte and bit. Each must be whole and fit. */
enum vz_status vz_vector_bytes(enum vz_element element, const float *numbers, size_t count,
                               int8_t *out, struct vz_error *err);
/* A string. Its dims are not checked against the field's: the caller words that. Messages go on
 * after the name of what was being read: "must be a valid base64 or hex string". */
enum vz_status vz_vector_of_text(const struct vz_field *field, struct vz_slice text,
                                 struct vz_arena *arena, struct vz_given_vector *out,
                                 struct vz_error *err);
/* Appends JSON. elements: floats for float and bfloat16, bytes for the others. */
void vz_vector_print(enum vz_element element, enum vz_vector_form form, const void *elements,
                     size_t dims, struct vz_buf *out);
/* "[1.0, 2.0, 3.0, 4.0, 5.0, ...]" */
void vz_vector_preview(const float *v, size_t count, struct vz_buf *out);

#endif
