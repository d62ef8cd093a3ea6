/* query/nested.h - objects below `nested` fields: where they lie, whether a query matches one, and
 * which rows of a vector field they hold. Private to the room.
 *
 * Nested values are in no column of the documents. A nested query asks an index of the objects
 * (objects.h); filters of rows and sorts, and a vector's presence, read a document's source and ask
 * its objects one by one. That costs some microseconds a document, so whoever can tell by a column
 * first does.
 */
#ifndef VZ_QUERY_NESTED_H
#define VZ_QUERY_NESTED_H

#include "query/parts.h"

#define VZ_MAX_NEST 8

/* From the outermost nested field in: the offset is the object's among those of its parent. */
struct vz_nest_place {
    uint16_t fields[VZ_MAX_NEST];
    uint32_t offsets[VZ_MAX_NEST];
    unsigned depth;
};

/* The nearest nested object a field lies in, or NULL. */
const struct vz_field *vz_nest_scope(const struct vz_mapping *mapping,
                                     const struct vz_field *field);
/* Calls `each` for every object of the nested field, in the order of the text; false stops. */
void vz_nest_each(const struct vz_mapping *mapping, const struct vz_field *scope,
                  struct vz_json source,
                  bool (*each)(void *context, const struct vz_nest_place *place,
                               struct vz_json object),
                  void *context);
/* Calls `visit` for each value that the object has for a field below it; false stops. */
void vz_nest_values(const struct vz_field *scope, const struct vz_field *field,
                    struct vz_json object, bool (*visit)(void *context, struct vz_json value),
                    void *context);
/* The object alone in a document of its own, at its whole path. In the arena. */
struct vz_slice vz_nest_wrap(const struct vz_field *scope, struct vz_json object,
                             struct vz_arena *arena);
/* Does the object, of the nested field `scope`, match? VZ_UNSUPPORTED for queries that can only be
 * answered for whole documents. */
enum vz_status vz_nest_match(struct vz_eval *eval, const struct vz_node *node,
                             const struct vz_field *scope, struct vz_json object, bool *match,
                             struct vz_error *err);
/* Is the query about fields of the nested object alone? */
bool vz_nest_owns(const struct vz_mapping *mapping, const struct vz_field *scope,
                  const struct vz_node *node);
/* The row of the object's vector in VZ_DOC_ROW_SOURCE; false when it has none. */
bool vz_nest_row(const struct vz_field *scope, const struct vz_field *vector, struct vz_json object,
                 uint32_t *row);

/* Rows of a vector field whose objects match all of some queries; made as rows are asked about. */
struct vz_nest_rows {
    struct vz_eval *eval;
    const struct vz_field *scope, *vector;
    struct vz_node_list nodes;
    struct vz_bitset known, passing; /* by row */
    struct vz_arena arena;
    enum vz_status status; /* of the first document that could not be read */
    struct vz_error err;
};
void vz_nest_rows_init(struct vz_nest_rows *rows, struct vz_eval *eval,
                       const struct vz_field *scope, const struct vz_field *vector,
                       struct vz_node_list nodes);
void vz_nest_rows_deinit(struct vz_nest_rows *rows);
/* For vz_knn.accept_row. */
bool vz_nest_rows_accept(void *rows, uint32_t docno, uint32_t row);

/* A nested query: documents with an object that matches. */
enum vz_status vz_nested_eval(struct vz_eval *eval, const struct vz_node *node, bool scores,
                              struct vz_docset *out, struct vz_error *err);

#endif
