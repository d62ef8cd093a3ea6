/* store/mapping_vector.h - the parameters of dense_vector. Private to mapping*.c. */
#ifndef VZ_STORE_MAPPING_VECTOR_H
#define VZ_STORE_MAPPING_VECTOR_H

#include "store/mapping_parts.h"

#define VZ_MAX_DIMS 4096
#define VZ_MAX_BITS (VZ_MAX_DIMS * 8)
#define VZ_MIN_DYNAMIC_DIMS 128

enum vz_status vz_mapping_read_vector(struct vz_mapping *mapping, struct vz_mapping_node *node,
                                      struct vz_json definition, struct vz_error *err);
enum vz_status vz_mapping_check_vector_update(const struct vz_mapping_node *from,
                                              const struct vz_mapping_node *to,
                                              struct vz_error *err);
/* Writes the members dims .. index_options. */
void vz_mapping_print_vector(const struct vz_mapping_node *node, uint32_t dims,
                             struct vz_json_writer *w);


#endif
