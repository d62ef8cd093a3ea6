/* vector/distance.h - similarity kernels over f32 rows, chosen at run time by CPU feature.
 *
 * A similarity here is a number where LARGER IS NEARER, before any Elasticsearch score transform:
 *   VZ_COSINE     dot(a, b); rows and query are unit length already
 *   VZ_DOT        dot(a, b)
 *   VZ_L2         -|a - b|^2
 *   VZ_MAX_INNER  dot(a, b)
 * Thread-safe; no allocation. Scalar twins (the _scalar functions) exist for tests.
 */
#ifndef VZ_VECTOR_DISTANCE_H
#define VZ_VECTOR_DISTANCE_H

#include <stddef.h>
#include <stdint.h>

enum vz_similarity { VZ_COSINE, VZ_DOT, VZ_L2, VZ_MAX_INNER };

/* 1 <= dims <= 4096; pointers need no alignment, faster when 64-byte aligned. */
float vz_dot_f32(const float *a, const float *b, size_t dims);
float vz_l2sq_f32(const float *a, const float *b, size_t dims);
float vz_dot_f32_scalar(const float *a, const float *b, size_t dims);
float vz_l2sq_f32_scalar(const float *a, const float *b, size_t dims);

static inline float vz_similarity_f32(enum vz_similarity kind, const float *a, const float *b,
                                      size_t dims)
{
    return kind == VZ_L2 ? -vz_l2sq_f32(a, b, dims) : vz_dot_f32(a, b, dims);
}

#endif
