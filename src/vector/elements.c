/* Rows that are not floats: the scalar twins, and the public functions of one pair. */
#include "vector/distance.h"
#include "vector/kernels.h"

#include <stdbool.h>

#define LANES 8 /* as in distance.c */

static float bf16_scalar(const float *a, const uint16_t *b, size_t dims, bool l2)
{
    float sum[LANES] = {0};
    for (size_t d = 0; d < dims; d++) {
        float value = vz_bf16_to(b[d]), gap = a[d] - value;
        sum[d % LANES] += l2 ? gap * gap : a[d] * value;
    }
    return ((sum[0] + sum[4]) + (sum[1] + sum[5])) + ((sum[2] + sum[6]) + (sum[3] + sum[7]));
}

static void dot_bf16_scalar(const float *query, const uint16_t *const *rows,
                            const uint16_t *const *next, size_t dims, float *out)
{
    out[0] = bf16_scalar(query, rows[0], dims, false);
}

static void l2sq_bf16_scalar(const float *query, const uint16_t *const *rows,
                             const uint16_t *const *next, size_t dims, float *out)
{
    out[0] = bf16_scalar(query, rows[0], dims, true);
}

static void dot4_bf16_scalar(const float *query, const uint16_t *const *rows,
                             const uint16_t *const *next, size_t dims, float *out)
{
    for (int i = 0; i < 4; i++)
        out[i] = bf16_scalar(query, rows[i], dims, false);
}

static void l2sq4_bf16_scalar(const float *query, const uint16_t *const *rows,
                              const uint16_t *const *next, size_t dims, float *out)
{
    for (int i = 0; i < 4; i++)
        out[i] = bf16_scalar(query, rows[i], dims, true);
}

static void bytes_scalar(const int8_t *query, const int8_t *const *rows, const int8_t *const *next,
                         size_t dims, int32_t *dots, int32_t *norms)
{
    int32_t dot = 0, norm = 0;
    for (size_t d = 0; d < dims; d++) {
        dot += query[d] * rows[0][d];
        norm += rows[0][d] * rows[0][d];
    }
    dots[0] = dot;
    norms[0] = norm;
}

static void bytes4_scalar(const int8_t *query, const int8_t *const *rows, const int8_t *const *next,
                          size_t dims, int32_t *dots, int32_t *norms)
{
    for (int i = 0; i < 4; i++)
        bytes_scalar(query, rows + i, next, dims, dots + i, norms + i);
}

static void hamming_scalar(const uint8_t *query, const uint8_t *const *rows,
                           const uint8_t *const *next, size_t bytes, uint32_t *out)
{
    uint32_t sum = 0;
    for (size_t d = 0; d < bytes; d++)
        sum += (uint32_t)__builtin_popcount((unsigned)(query[d] ^ rows[0][d]));
    out[0] = sum;
}

static void hamming4_scalar(const uint8_t *query, const uint8_t *const *rows,
                            const uint8_t *const *next, size_t bytes, uint32_t *out)
{
    for (int i = 0; i < 4; i++)
        hamming_scalar(query, rows + i, next, bytes, out + i);
}

const struct vz_element_kernels vz_elements_scalar = {
    .dot_bf16 = dot_bf16_scalar,
    .l2sq_bf16 = l2sq_bf16_scalar,
    .dot4_bf16 = dot4_bf16_scalar,
    .l2sq4_bf16 = l2sq4_bf16_scalar,
    .bytes = bytes_scalar,
    .bytes4 = bytes4_scalar,
    .hamming = hamming_scalar,
    .hamming4 = hamming4_scalar,
};

/* ---- one pair ---- */

float vz_dot_bf16(const float *a, const uint16_t *b, size_t dims)
{
    float out;
    vz_kernels()->elements->dot_bf16(a, &b, &b, dims, &out);
    return out;
}

float vz_l2sq_bf16(const float *a, const uint16_t *b, size_t dims)
{
    float out;
    vz_kernels()->elements->l2sq_bf16(a, &b, &b, dims, &out);
    return out;
}

int32_t vz_dot_i8(const int8_t *a, const int8_t *b, size_t dims)
{
    int32_t dot, norm;
    vz_kernels()->elements->bytes(a, &b, &b, dims, &dot, &norm);
    return dot;
}

int32_t vz_l2sq_i8(const int8_t *a, const int8_t *b, size_t dims)
{
    int32_t dot, norm, own, own_norm;
    vz_kernels()->elements->bytes(a, &b, &b, dims, &dot, &norm);
    vz_kernels()->elements->bytes(a, &a, &a, dims, &own, &own_norm);
    return own_norm + norm - 2 * dot;
}

uint32_t vz_hamming(const uint8_t *a, const uint8_t *b, size_t bytes)
{
    uint32_t out;
    vz_kernels()->elements->hamming(a, &b, &b, bytes, &out);
    return out;
}

float vz_similarity_score(enum vz_element element, enum vz_similarity kind, uint32_t dims,
                          float similarity)
{
    if (element == VZ_ELEMENT_BIT)
        return ((float)dims + similarity) / (float)dims;
    switch (kind) {
    case VZ_L2:
        return 1 / (1 - similarity);
    case VZ_MAX_INNER:
        return similarity < 0 ? 1 / (1 - similarity) : 1 + similarity;
    case VZ_DOT:
        if (element == VZ_ELEMENT_BYTE)
            return 0.5f + similarity / (32768.0f * (float)dims);
        break;
    case VZ_COSINE:
        break;
    }
    return (1 + similarity) / 2;
}
