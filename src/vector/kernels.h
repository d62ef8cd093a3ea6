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
/* The same for `count` rows one behind the other, `stride` floats apart: a scan. Some rows past the
 * last are prefetched, which touches nothing. */
typedef void vz_kernel_run(const float *query, const float *rows, size_t stride, size_t count,
                           size_t dims, float *out);
/* Sums over codes (codes.c), of which a row has `bytes`. The lines of next[i] are prefetched.
 *   codes4    query[d] as unsigned times rows[i][d] as signed; bytes a multiple of 64
 *   nibbles4  the low nibbles of rows[i] times query[0 .. bytes-1], the high ones times
 *             query[bytes .. 2 * bytes-1], both as signed; bytes a multiple of 16
 *   bits4     2^j for every bit set both in rows[i] and in plane j, which starts at
 *             query + j * bytes; bytes a multiple of 16 */
typedef void vz_kernel_codes(const uint8_t *query, const uint8_t *const rows[4],
                             const uint8_t *const next[4], size_t bytes, int32_t out[4]);
#define VZ_BIT_PLANES 4

/* Rows that are not floats (distance.h says what they are). `count` rows, 1 or 4; next[] as above,
 * not read for one row. Bytes are summed exactly: dots[i] = dot(query, rows[i]), norms[i] =
 * |rows[i]|^2. Row and query may start at any address; bfloat16 rows at an even one. */
typedef void vz_kernel_bf16(const float *query, const uint16_t *const *rows,
                            const uint16_t *const *next, size_t dims, float *out);
typedef void vz_kernel_bytes(const int8_t *query, const int8_t *const *rows,
                             const int8_t *const *next, size_t dims, int32_t *dots, int32_t *norms);
typedef void vz_kernel_hamming(const uint8_t *query, const uint8_t *const *rows,
                               const uint8_t *const *next, size_t bytes, uint32_t *out);

struct vz_element_kernels {
    vz_kernel_bf16 *dot_bf16, *l2sq_bf16, *dot4_bf16, *l2sq4_bf16;
    vz_kernel_bytes *bytes, *bytes4;
    vz_kernel_hamming *hamming, *hamming4;
};

struct vz_kernels {
    const char *name;
    const struct vz_element_kernels *elements;
    vz_kernel_one *dot, *l2sq;
    vz_kernel_four *dot4, *l2sq4;
    vz_kernel_run *dot_run, *l2sq_run;
    vz_kernel_codes *codes4, *nibbles4, *bits4;
};

extern const struct vz_element_kernels vz_elements_scalar;
#if defined(__x86_64__)
extern const struct vz_element_kernels vz_elements_avx2;
extern const struct vz_element_kernels vz_elements_avx512;
extern const struct vz_element_kernels vz_elements_avx512_vnni;
extern const struct vz_element_kernels vz_elements_avx512_vpopcnt;
#elif defined(__aarch64__)
extern const struct vz_element_kernels vz_elements_neon;
extern const struct vz_element_kernels vz_elements_neon_dot;
#endif

extern const struct vz_kernels vz_kernels_scalar;
#if defined(__x86_64__)
extern const struct vz_kernels vz_kernels_avx2;
extern const struct vz_kernels vz_kernels_avx512;         /* F, BW, DQ, VL */
extern const struct vz_kernels vz_kernels_avx512_vnni;    /* and VNNI for codes */
extern const struct vz_kernels vz_kernels_avx512_vpopcnt; /* and VPOPCNTDQ for bits */
#elif defined(__aarch64__)
extern const struct vz_kernels vz_kernels_neon;
extern const struct vz_kernels vz_kernels_neon_dot; /* and the dot product instructions */
#endif

/* The best table this processor (or VIZSLA_CPU) allows; resolved once. */
const struct vz_kernels *vz_kernels(void);

#endif
