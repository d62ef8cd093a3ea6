/* query/dsl.h - what the parsers of single queries share (dsl.c, dsl_knn.c, dsl_geo.c). */
#ifndef VZ_QUERY_DSL_H
#define VZ_QUERY_DSL_H

#include "query/parts.h"

/* The only member of {"field": ...}. `query` names it in errors. */
enum vz_status vz_dsl_one_field(const char *query, struct vz_json value, struct vz_slice *field,
                                struct vz_json *inner, struct vz_error *err);
/* A finite number, a boolean; also as strings. */
enum vz_status vz_dsl_float(const char *query, const char *key, struct vz_json value, float *out,
                            struct vz_error *err);
enum vz_status vz_dsl_bool(const char *query, const char *key, struct vz_json value, bool *out,
                           struct vz_error *err);
/* Takes `boost`, refuses `_name`. */
enum vz_status vz_dsl_common(const char *query, struct vz_slice key, struct vz_json value,
                             float *boost, bool *handled, struct vz_error *err);
/* "[term] query does not support [foo]" */
enum vz_status vz_dsl_unknown(const char *query, struct vz_slice key, struct vz_error *err);

enum vz_status vz_geo_parse_distance(struct vz_parser *parser, struct vz_json value,
                                     struct vz_node *node, struct vz_error *err);
enum vz_status vz_geo_parse_box(struct vz_parser *parser, struct vz_json value,
                                struct vz_node *node, struct vz_error *err);

#endif
