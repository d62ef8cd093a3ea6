/* nn/encoder.h - the transformer encoder that ViT, CLIP's text tower, BERT, DistilBERT, RoBERTa,
 * XLM-R and MPNet share.
 *
 * The model: hidden states are rows [rows, width] f32, several sequences behind one another, each
 * at its own length; nothing is padded. Pre-norm (ViT, CLIP): x += attention(norm1(x)); x +=
 * mlp(norm2(x)). Post-norm (BERT and the rest): x = norm1(x + attention(x)); x = norm2(x + mlp(x)).
 * Not for: embeddings before and pooling behind it (src/embed).
 *
 * Threads: immutable after it is made; vz_encoder_run from any number of bodies at once.
 *
 *     vz_encoder_new(nn, &config, layers, &encoder, &err);
 *     vz_encoder_run(encoder, scratch, x, sequences, 2, &err);   // inside a vz_nn_run body
 */
#ifndef VZ_NN_ENCODER_H
#define VZ_NN_ENCODER_H

#include "nn/linear.h"

struct vz_encoder_config {
    size_t layers, width, heads, mlp; /* width, mlp, width / heads: multiples of 16 */
    enum vz_activation activation;
    float eps;
    bool pre_norm;
    bool causal;  /* a row sees itself and those before it */
    bool one_row; /* only one row of each sequence is wanted: the last layer computes no other */
    /* NULL, or [heads, 2 * bias_reach - 1] to add to the scores: the number for (query i, key j) is
     * at j - i + bias_reach - 1. Copied. Sequences are at most bias_reach long then. */
    const float *bias;
    size_t bias_reach;
};

struct vz_layer_weights { /* [out, in] and [out]; biases may be NULL */
    const struct vz_tensor_view *q_weight, *q_bias, *k_weight, *k_bias, *v_weight, *v_bias;
    const struct vz_tensor_view *out_weight, *out_bias;
    const struct vz_tensor_view *norm1_weight, *norm1_bias; /* before / behind the attention */
    const struct vz_tensor_view *up_weight, *up_bias, *down_weight, *down_bias; /* the MLP */
    const struct vz_tensor_view *norm2_weight, *norm2_bias; /* before / behind the MLP */
};

struct vz_sequence {
    size_t first, count; /* rows of x */
    size_t pick;         /* one_row: the row wanted, counted from `first` */
};

struct vz_encoder;

/* Views are not kept. Errors: VZ_CORRUPT (a tensor is missing or of another shape), VZ_UNSUPPORTED
 * (sizes), VZ_BUDGET, VZ_INTERNAL. */
enum vz_status vz_encoder_new(struct vz_nn *nn, const struct vz_encoder_config *config,
                              const struct vz_layer_weights *layers, struct vz_encoder **out,
                              struct vz_error *err);
void vz_encoder_free(struct vz_encoder *encoder);
size_t vz_encoder_bytes(const struct vz_encoder *encoder);

/* x: room for vz_linear_rows(rows) x width; rows = the sequences' sum, which lie without gaps from
 * row 0. In place; with one_row, row i of x is then sequence i's picked row and the others are
 * undefined. Errors: VZ_BUDGET, VZ_INTERNAL; x is undefined then. */
enum vz_status vz_encoder_run(const struct vz_encoder *encoder, struct vz_scratch *scratch,
                              float *x, const struct vz_sequence *sequences, size_t count,
                              struct vz_error *err);

/* A layer norm on its own (before and behind encoders). */
struct vz_norm {
    const float *gamma, *beta; /* [width], the context's */
    size_t width;
    float eps;
};
/* weight or bias NULL: VZ_CORRUPT "missing". Goes with the context. */
enum vz_status vz_norm_init(struct vz_nn *nn, struct vz_norm *norm, size_t width, float eps,
                            const struct vz_tensor_view *weight, const struct vz_tensor_view *bias,
                            struct vz_error *err);
/* In place. */
void vz_norm_run(struct vz_nn *nn, const struct vz_norm *norm, float *x, size_t rows);
/* x *= 1 / |x|. */
void vz_unit_length(struct vz_nn *nn, float *x, size_t width);
/* x = f(x), any count. */
void vz_activate(struct vz_nn *nn, enum vz_activation f, float *x, size_t count);

#endif
