/* embed/traced_parts.h - between traced.c (files) and traced_match.c (the graph). */
#ifndef VZ_EMBED_TRACED_PARTS_H
#define VZ_EMBED_TRACED_PARTS_H

#include "embed/model_config.h"
#include "nn/torchscript.h"

#define VZ_TRACED_MAX_LAYERS 64
#define VZ_TRACED_MAX_DENSE 4

struct traced_linear {
    const struct vz_tensor_view *weight, *bias; /* bias NULL: none */
};
struct traced_norm {
    const struct vz_tensor_view *weight, *bias;
};
struct traced_layer {
    struct traced_linear q, k, v, out, up, down;
    struct traced_norm norm1, norm2;
};

/* What was recognised. Views belong to the module. */
struct traced_model {
    enum vz_text_family family;
    const struct vz_tensor_view *words, *positions, *types, *relative; /* NULL: none */
    struct traced_norm norm;
    size_t layer_count, width, heads, mlp;
    struct traced_layer layers[VZ_TRACED_MAX_LAYERS]; /* the first one first */
    const char *activation;                           /* as config.json names it */
    double eps;
    int64_t pad_id;
    bool is_classifier;
    struct traced_linear head[2];
    enum vz_pooling pooling;
    struct traced_dense {
        struct traced_linear linear;
        const char *activation; /* torch's class */
    } dense[VZ_TRACED_MAX_DENSE];
    size_t dense_count;
    bool unit;
};

/* VZ_UNSUPPORTED names the part that is not as expected. */
enum vz_status traced_match(const struct vz_script_node *result, struct traced_model *model,
                            struct vz_error *err);

#endif
