/* embed/model_config.h - config.json and its neighbours, as Hugging Face and sentence-transformers
 * write them, to plain structs. What a file leaves out has transformers' default of that family.
 *
 * Numbers from files are checked here once (positive, bounded), so that sizes made of them do not
 * overflow. Not for: tensors (nn/weights.h), tokenizers.
 */
#ifndef VZ_EMBED_MODEL_CONFIG_H
#define VZ_EMBED_MODEL_CONFIG_H

#include "base/mem.h"
#include "base/status.h"
#include "nn/encoder.h"

enum vz_text_family {
    VZ_FAMILY_BERT,
    VZ_FAMILY_DISTILBERT,
    VZ_FAMILY_ROBERTA, /* RoBERTa, XLM-RoBERTa, CamemBERT */
    VZ_FAMILY_MPNET,
};

struct vz_text_config {
    enum vz_text_family family;
    size_t layers, width, heads, mlp, vocab, positions, types;
    enum vz_activation activation;
    float eps;
    uint32_t pad_id;
    size_t relative_buckets; /* MPNet */
    size_t labels;           /* classification heads; 0: no head */
};

struct vz_clip_tower {
    size_t layers, width, heads, mlp;
    enum vz_activation activation;
    float eps;
};

struct vz_clip_config {
    struct vz_clip_tower image, text;
    size_t image_side, patch; /* pixels */
    size_t vocab, positions;
    uint32_t eos_id; /* 2, a mistake of old files: the largest id of a text is its end */
    size_t dims;     /* of the common space */
    float mean[3], deviation[3];
};

enum vz_pooling { VZ_POOL_MEAN, VZ_POOL_CLS, VZ_POOL_MAX, VZ_POOL_LAST, VZ_POOL_MEAN_SQRT };

/* The text of a config.json. Errors: VZ_BAD_JSON, VZ_CORRUPT (a number that cannot be),
 * VZ_UNSUPPORTED (another model_type or activation; the text names it). */
enum vz_status vz_clip_config_read(struct vz_slice json, struct vz_clip_config *out,
                                   struct vz_error *err);
/* preprocessor_config.json: image_mean and image_std into a config already read. A crop that is not
 * the model's image side is VZ_UNSUPPORTED. */
enum vz_status vz_clip_config_read_preprocessor(struct vz_slice json, struct vz_clip_config *config,
                                                struct vz_error *err);
enum vz_status vz_text_config_read(struct vz_slice json, struct vz_text_config *out,
                                   struct vz_error *err);
/* 1_Pooling/config.json. VZ_UNSUPPORTED: several modes joined, or one not listed above. */
enum vz_status vz_pooling_read(struct vz_slice json, enum vz_pooling *out, struct vz_error *err);
/* "gelu", "quick_gelu", "gelu_new", "torch.nn.modules.activation.Tanh", ... */
enum vz_status vz_activation_read(struct vz_slice name, enum vz_activation *out,
                                  struct vz_error *err);

#endif
