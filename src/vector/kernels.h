/* vector/kernels.h - internal to src/vector: the kernels of one instruction set, in a table.
 *
 * Every table answers the four-row functions with exactly the bits of the one-row functions, so
 * that a row has one similarity to a query no matter which path computed it (results of a graph
 * search and of an exact scan are merged by equality). Tables are constant; thread-safe.
 */
#ifndef VZ_VECTOR_KERNELS_H
#define VZ_VECTOR_KERNELS_H

#include <stddef.h>
#include <stdint.h>

typedef float vz_kernel_one(const float *a, const float *b, size_t dims);
/* out[i] = kernel(query, rows[i]). The cache lines of next[i] are prefetched on the way; pass
 * `rows` again when nothing follows. */
typedef void vz_kernel_four(const float *query, const float *const rows[4],
                            const float *const next[4], size_t dims, float out[4]);
/* out[i] = sum over d of (query[d] as unsigned) * (rows[i][d] as signed); bytes a multiple of 64.
 */
typedef void vz_kernel_codes(const uint8_t *query, const int8_t *const rows[4],
                             const int8_t *const next[4], size_t bytes, int32_t out[4]);

struct vz_kernels {
    const char *name;
    vz_kernel_one *dot, *l2sq;
    vz_kernel_four *dot4, *l2sq4;
    vz_kernel_codes *codes4;
};

extern const struct vz_kernels vz_kernels_scalar;
#if defined(__x86_64__)
extern const struct vz_kernels vz_kernels_avx2;
extern const struct vz_kernels vz_kernels_avx512;      /* F, BW, DQ, VL */
extern const struct vz_kernels vz_kernels_avx512_vnni; /* and VNNI for codes */
#elif defined(__aarch64__)
extern const struct vz_kernels vz_kernels_neon;
#endif

/* The best table this processor (or VIZSLA_CPU) allows; resolved once. */
const struct vz_kernels *vz_kernels(void);

#endif
