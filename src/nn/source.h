/* nn/source.h - where a model's constructor finds its tensors: model files (weights.h), or what a
 * test or bench makes up. The views must live as long as the model: large embedding tables are read
 * from them and not copied. */
#ifndef VZ_NN_SOURCE_H
#define VZ_NN_SOURCE_H

#include "nn/weights.h"

struct vz_tensor_source {
    const struct vz_tensor_view *(*find)(void *context,
                                         const char *name); /* NULL: no such tensor */
    void *context;
};

static inline const struct vz_tensor_view *vz_source_find_in_weights(void *weights,
                                                                     const char *name)
{
    return vz_weights_find((const struct vz_weights *)weights, name);
}
static inline struct vz_tensor_source vz_source_of_weights(struct vz_weights *weights)
{
    struct vz_tensor_source source = {vz_source_find_in_weights, weights};
    return source;
}

/* "A.B.3.C" by a format; NULL when there is none, or the name is longer than 255 bytes. */
const struct vz_tensor_view *vz_source_find(const struct vz_tensor_source *source,
                                            const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* The same, VZ_CORRUPT "tensor [...] is missing" and checked to hold `count` numbers (0: any). */
enum vz_status vz_source_need(const struct vz_tensor_source *source, uint64_t count,
                              const struct vz_tensor_view **view, struct vz_error *err,
                              const char *format, ...) __attribute__((format(printf, 5, 6)));

#endif
