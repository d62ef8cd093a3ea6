/* query/filter.h - between filter.c (columns) and values.c (values of a query as a column's). */
#ifndef VZ_QUERY_FILTER_H
#define VZ_QUERY_FILTER_H

#include "query/parts.h"

/* Values from low to high, both included; empty when low > high. */
struct vz_span {
    int64_t low, high;
};
struct vz_span_f64 {
    double low, high;
};

/* What a term of a field kept as I64 equals: one number, or the milliseconds of a day for a date
 * given as a day. Empty for a number with a fraction. VZ_BAD_QUERY when it cannot be read. */
enum vz_status vz_term_span(struct vz_eval *eval, const struct vz_field *field, struct vz_json value,
                            struct vz_span *out, struct vz_error *err);
/* The same for a range of a query. */
enum vz_status vz_range_span(struct vz_eval *eval, const struct vz_node *node,
                             const struct vz_field *field, struct vz_span *out,
                             struct vz_error *err);
/* Fields kept as F64. A value is rounded as the field's values are. */
enum vz_status vz_term_f64(struct vz_eval *eval, const struct vz_field *field, struct vz_json value,
                           double *out, struct vz_error *err);
enum vz_status vz_range_f64(struct vz_eval *eval, const struct vz_node *node,
                            const struct vz_field *field, struct vz_span_f64 *out,
                            struct vz_error *err);

/* A field whose values documents have; NULL for unmapped ones, objects and what is below a nested
 * object (its values belong to no document of their own). */
const struct vz_field *vz_filter_field(struct vz_eval *eval, struct vz_slice path);
/* "keyword", "long" ... */
const char *vz_filter_type_name(enum vz_field_type type);
bool vz_filter_type_from(struct vz_slice name, enum vz_field_type *type);

#endif
