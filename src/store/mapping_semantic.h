/* store/mapping_semantic.h - semantic_text in a mapping; see mapping_semantic.c. Private to the
 * files of the mapping and of documents, but for what store/mapping.h declares. */
#ifndef VZ_STORE_MAPPING_SEMANTIC_H
#define VZ_STORE_MAPPING_SEMANTIC_H

#include "store/mapping_parts.h"

/* One of the field's own parameters. */
enum vz_status vz_mapping_read_semantic(struct vz_mapping *mapping, struct vz_mapping_node *node,
                                        struct vz_slice name, struct vz_json value,
                                        struct vz_error *err);
/* Whether a definition's type is `semantic`, our other name for `semantic_text`. */
bool vz_mapping_says_semantic(struct vz_json definition);
/* May `to` replace `from`? Takes over into `to` what an update need not say again. */
enum vz_status vz_mapping_update_semantic(struct vz_mapping *mapping,
                                          const struct vz_mapping_node *from,
                                          struct vz_mapping_node *to, struct vz_error *err);
/* Once all fields are there: finds each semantic field's vectors; `make`: makes or changes the
 * hidden fields of those whose model is known. */
enum vz_status vz_mapping_resolve_semantic(struct vz_mapping *mapping, bool make,
                                           struct vz_error *err);
/* A client's properties must not name the hidden root. */
enum vz_status vz_mapping_refuse_hidden(struct vz_json properties, struct vz_error *err);

#endif
