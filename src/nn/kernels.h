/* nn/kernels.h - inside the room: everything between two matrix multiplications.
 *
 * One text (kernels_body.h) in GCC's vector types, compiled for AVX-512, AVX2 and what the
 * machine has anyway (SSE2, NEON); chosen at run time by base/cpu.h. tests/unit/nn/test_kernels.c
 * holds each against a plain double-precision twin.
 *
 * Rows are contiguous; widths are multiples of 16 (checked where models are built), pointers need
 * no alignment. A range [first, last) is of rows, so that cores can share a tensor. No allocation,
 * no state.
 */
#ifndef VZ_NN_KERNELS_H
#define VZ_NN_KERNELS_H

#include "nn/context.h"

enum vz_activation {
    VZ_ACT_NONE,
    VZ_ACT_GELU,       /* x * (1 + erf(x / sqrt 2)) / 2 */
    VZ_ACT_QUICK_GELU, /* x * sigmoid(1.702 x) */
    VZ_ACT_GELU_TANH,  /* x * (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) / 2 */
    VZ_ACT_RELU,
    VZ_ACT_SILU, /* x * sigmoid(x) */
    VZ_ACT_TANH,
};

/* A quantized row's numbers are scale * (q - zero), q 0..255. */
struct nn_row_scale {
    float scale, zero;
};

/* Rows as the next multiplication reads them. */
struct nn_act {
    enum vz_precision precision;
    void *data;                  /* [rows, width] f32, bf16 or u8 */
    struct nn_row_scale *scales; /* [rows], INT8 only */
};

/* What turns an INT8 multiplication's sums into numbers:
 * y[m][n] = rows[m].scale * weight[n] * (sum[m][n] - rows[m].zero * total[n]) + bias[n] */
struct nn_dequant {
    const struct nn_row_scale *rows;
    const float *weight; /* [out] scale of each output channel */
    const float *total;  /* [out] sum of the channel's quantized weights */
    const float *bias;   /* [out] */
};

struct nn_attention {
    const float *q, *k, *v;   /* [tokens, ld...] of one sequence; q already divided by sqrt(dims) */
    size_t q_ld, kv_ld;       /* floats from one row to the next */
    size_t q_count, kv_count; /* rows */
    size_t q_first;           /* position of q's first row in the sequence (causal, bias) */
    size_t head_dims;         /* a multiple of 16, at most NN_MAX_HEAD_DIMS */
    bool causal;
    /* NULL, or added to the score of (query i, key j) at bias[j - i], i and j positions. */
    const float *bias;
    float *scratch;                  /* nn_attention_scratch(kv_count, head_dims) floats */
    enum vz_precision out_precision; /* F32 or BF16 */
    void *out;                       /* [q_count, out_ld] */
    size_t out_ld;
};

#define NN_MAX_HEAD_DIMS 256
#define NN_MAX_WIDTH 8192 /* of a layer norm: a row on the stack */

static inline size_t nn_attention_scratch(size_t kv_count, size_t head_dims)
{
    size_t padded = (kv_count + 15) & ~(size_t)15;
    return padded * head_dims + 6 * padded + 6 * head_dims + 64;
}

struct nn_kernels {
    const char *name;
    /* out = (x - mean) / sqrt(variance + eps) * gamma + beta; `copy` (NULL: none) gets it as f32
     * and may be x itself. `out.data` NULL: only the copy. */
    void (*norm)(const float *x, size_t width, const float *gamma, const float *beta, float eps,
                 float *copy, struct nn_act out, size_t first, size_t last);
    /* f(x) -> out. `sums` NULL: x is f32; else x holds the s32 sums of a multiplication. */
    void (*activate)(float *x, size_t width, const struct nn_dequant *sums, enum vz_activation f,
                     struct nn_act out, size_t first, size_t last);
    /* s32 sums -> f32. add: y += instead of y =. `out` may be `sums`. */
    void (*dequant)(const int32_t *sums, size_t width, const struct nn_dequant *by, bool add,
                    float *out, size_t first, size_t last);
    /* One head of one sequence. */
    void (*attention)(const struct nn_attention *a);
    /* x *= scale; false when a number is not finite. Any count. */
    bool (*scale_finite)(float *x, size_t count, float scale);
    /* A channel's weights -> -127..127; gives the scale, and the sum of the results in *total. */
    float (*quantize_weights)(const float *x, size_t count, int8_t *out, float *total);
    /* x *= 1 / |x|; a zero row stays zero. */
    void (*normalize)(float *x, size_t width);
};

const struct nn_kernels *nn_kernels(void);
extern const struct nn_kernels nn_kernels_plain;
#if defined(__x86_64__)
extern const struct nn_kernels nn_kernels_avx2;
extern const struct nn_kernels nn_kernels_avx512;
#endif

#endif
