/* Dispatch, and the scalar twins that every other kernel is tested against.
 *
 * The table is resolved once; the pointer is an atomic so that two first callers may race to store
 * the same value (relaxed: what it points to is constant). */
#include "vector/distance.h"

#include "base/cpu.h"
#include "vector/kernels.h"

#include <stdatomic.h>

/* Eight partial sums: fewer rounding errors than one and room for the compiler to vectorise. */
#define LANES 8

float vz_dot_f32_scalar(const float *a, const float *b, size_t dims)
{
    float sum[LANES] = {0};
    size_t d = 0;
    for (; d + LANES <= dims; d += LANES)
        for (size_t lane = 0; lane < LANES; lane++)
            sum[lane] += a[d + lane] * b[d + lane];
    for (size_t lane = 0; d < dims; d++, lane++)
        sum[lane] += a[d] * b[d];
    return ((sum[0] + sum[4]) + (sum[1] + sum[5])) + ((sum[2] + sum[6]) + (sum[3] + sum[7]));
}

float vz_l2sq_f32_scalar(const float *a, const float *b, size_t dims)
{
    float sum[LANES] = {0};
    size_t d = 0;
    for (; d + LANES <= dims; d += LANES)
        for (size_t lane = 0; lane < LANES; lane++) {
            float gap = a[d + lane] - b[d + lane];
            sum[lane] += gap * gap;
        }
    for (size_t lane = 0; d < dims; d++, lane++) {
        float gap = a[d] - b[d];
        sum[lane] += gap * gap;
    }
    return ((sum[0] + sum[4]) + (sum[1] + sum[5])) + ((sum[2] + sum[6]) + (sum[3] + sum[7]));
}

static void dot_run_scalar(const float *query, const float *rows, size_t stride, size_t count,
                           size_t dims, float *out)
{
    for (size_t i = 0; i < count; i++, rows += stride)
        out[i] = vz_dot_f32_scalar(query, rows, dims);
}

static void l2sq_run_scalar(const float *query, const float *rows, size_t stride, size_t count,
                            size_t dims, float *out)
{
    for (size_t i = 0; i < count; i++, rows += stride)
        out[i] = vz_l2sq_f32_scalar(query, rows, dims);
}

static void dot4_scalar(const float *query, const float *const rows[4], const float *const next[4],
                        size_t dims, float out[4])
{
    for (int i = 0; i < 4; i++)
        out[i] = vz_dot_f32_scalar(query, rows[i], dims);
}

static void l2sq4_scalar(const float *query, const float *const rows[4], const float *const next[4],
                         size_t dims, float out[4])
{
    for (int i = 0; i < 4; i++)
        out[i] = vz_l2sq_f32_scalar(query, rows[i], dims);
}

static void codes4_scalar(const uint8_t *query, const uint8_t *const rows[4],
                          const uint8_t *const next[4], size_t bytes, int32_t out[4])
{
    for (int i = 0; i < 4; i++) {
        int32_t sum = 0;
        for (size_t d = 0; d < bytes; d++)
            sum += (int32_t)query[d] * (int8_t)rows[i][d];
        out[i] = sum;
    }
}

static void nibbles4_scalar(const uint8_t *query, const uint8_t *const rows[4],
                            const uint8_t *const next[4], size_t bytes, int32_t out[4])
{
    for (int i = 0; i < 4; i++) {
        int32_t sum = 0;
        for (size_t d = 0; d < bytes; d++)
            sum +=
                (int8_t)query[d] * (rows[i][d] & 15) + (int8_t)query[bytes + d] * (rows[i][d] >> 4);
        out[i] = sum;
    }
}

static void bits4_scalar(const uint8_t *query, const uint8_t *const rows[4],
                         const uint8_t *const next[4], size_t bytes, int32_t out[4])
{
    for (int i = 0; i < 4; i++) {
        int32_t sum = 0;
        for (size_t d = 0; d < bytes; d++)
            for (int j = 0; j < VZ_BIT_PLANES; j++)
                sum += __builtin_popcount(query[(size_t)j * bytes + d] & rows[i][d]) << j;
        out[i] = sum;
    }
}

const struct vz_kernels vz_kernels_scalar = {
    .name = "scalar",
    .elements = &vz_elements_scalar,
    .dot = vz_dot_f32_scalar,
    .l2sq = vz_l2sq_f32_scalar,
    .dot4 = dot4_scalar,
    .l2sq4 = l2sq4_scalar,
    .dot_run = dot_run_scalar,
    .l2sq_run = l2sq_run_scalar,
    .codes4 = codes4_scalar,
    .nibbles4 = nibbles4_scalar,
    .bits4 = bits4_scalar,
};

static const struct vz_kernels *resolve(void)
{
#if defined(__x86_64__)
    const struct vz_cpu *cpu = vz_cpu();
    if (cpu->avx512_vnni && cpu->avx512_vpopcnt)
        return &vz_kernels_avx512_vpopcnt;
    if (cpu->avx512_vnni)
        return &vz_kernels_avx512_vnni;
    if (cpu->avx512)
        return &vz_kernels_avx512;
    if (cpu->avx2_fma)
        return &vz_kernels_avx2;
#elif defined(__aarch64__)
    if (vz_cpu()->neon_dot)
        return &vz_kernels_neon_dot;
    if (vz_cpu()->neon)
        return &vz_kernels_neon;
#endif
    return &vz_kernels_scalar;
}

const struct vz_kernels *vz_kernels(void)
{
    static _Atomic(const struct vz_kernels *) chosen;
    const struct vz_kernels *table = atomic_load_explicit(&chosen, memory_order_relaxed);
    if (!table) {
        table = resolve();
        atomic_store_explicit(&chosen, table, memory_order_relaxed);
    }
    return table;
}

float vz_dot_f32(const float *a, const float *b, size_t dims)
{
    return vz_kernels()->dot(a, b, dims);
}

float vz_l2sq_f32(const float *a, const float *b, size_t dims)
{
    return vz_kernels()->l2sq(a, b, dims);
}
