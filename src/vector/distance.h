/* vector/distance.h - similarity kernels, chosen at run time by CPU feature.
 *
 * A similarity here is a number where LARGER IS NEARER, before any Elasticsearch score transform:
 *
 *                 float, bfloat16                    byte                       bit
 *   VZ_COSINE     dot(a, b); rows and query are      dot(a, b) / (|a| |b|);     -
 *                 unit length already                0 when one of them is 0
 *   VZ_DOT        dot(a, b)                          dot(a, b)                  -
 *   VZ_L2         -|a - b|^2                         -|a - b|^2                 -hamming(a, b)
 *   VZ_MAX_INNER  dot(a, b)                          dot(a, b)                  -
 *
 * What the elements are in memory: float - IEEE 32 bits; bfloat16 - the upper 16 bits of such a
 * float, in a uint16_t; byte - int8_t, all of -128..127; bit - uint8_t, eight dimensions a byte,
 * unused bits of the last byte zero in rows and query alike (which end comes first changes
 * nothing). A query against bfloat16 rows is of floats; against bytes and bits it is of their kind.
 * Sums over bytes are exact in integers and rounded to float once.
 *
 * Thread-safe; no allocation. Scalar twins (the _scalar functions) exist for tests.
 */
#ifndef VZ_VECTOR_DISTANCE_H
#define VZ_VECTOR_DISTANCE_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum vz_similarity { VZ_COSINE, VZ_DOT, VZ_L2, VZ_MAX_INNER };
enum vz_element { VZ_ELEMENT_FLOAT, VZ_ELEMENT_BFLOAT16, VZ_ELEMENT_BYTE, VZ_ELEMENT_BIT };

/* Bytes of a row of `dims` elements (bits for BIT), unpadded. */
static inline size_t vz_element_bytes(enum vz_element element, size_t dims)
{
    return element == VZ_ELEMENT_FLOAT      ? dims * 4
           : element == VZ_ELEMENT_BFLOAT16 ? dims * 2
           : element == VZ_ELEMENT_BYTE     ? dims
                                            : (dims + 7) / 8;
}
/* To bfloat16: to nearest, ties to even, as processors round; NaN stays NaN. And back, exactly. */
static inline uint16_t vz_bf16_of(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    if (value != value)
        return (uint16_t)(bits >> 16 | 0x40);
    return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}
static inline float vz_bf16_to(uint16_t value)
{
    uint32_t bits = (uint32_t)value << 16;
    float result;
    memcpy(&result, &bits, sizeof result);
    return result;
}

/* 1 <= dims <= 4096; pointers need no alignment, faster when 64-byte aligned. */
float vz_dot_f32(const float *a, const float *b, size_t dims);
float vz_l2sq_f32(const float *a, const float *b, size_t dims);
float vz_dot_f32_scalar(const float *a, const float *b, size_t dims);
float vz_l2sq_f32_scalar(const float *a, const float *b, size_t dims);

/* 1 <= dims <= 4096. */
float vz_dot_bf16(const float *a, const uint16_t *b, size_t dims);
float vz_l2sq_bf16(const float *a, const uint16_t *b, size_t dims);
int32_t vz_dot_i8(const int8_t *a, const int8_t *b, size_t dims);
int32_t vz_l2sq_i8(const int8_t *a, const int8_t *b, size_t dims);
/* How many bits differ; 1 <= bytes <= 4096. */
uint32_t vz_hamming(const uint8_t *a, const uint8_t *b, size_t bytes);

/* The _score that Elasticsearch makes of a similarity (of the table above), before boosts:
 *   cosine (1 + s) / 2; dot_product (1 + s) / 2, bytes 0.5 + s / (32768 dims);
 *   l2_norm 1 / (1 - s), bits (dims + s) / dims; max_inner_product 1 / (1 - s) below 0, else 1 + s
 */
float vz_similarity_score(enum vz_element element, enum vz_similarity kind, uint32_t dims,
                          float similarity);

static inline float vz_similarity_f32(enum vz_similarity kind, const float *a, const float *b,
                                      size_t dims)
{
    return kind == VZ_L2 ? -vz_l2sq_f32(a, b, dims) : vz_dot_f32(a, b, dims);
}

#endif
