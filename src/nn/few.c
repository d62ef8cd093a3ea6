/* Multiplications of a few rows.
 *
 * One block of outputs (64) at a time: its weights are `in / group` lines of 256 bytes behind one
 * another. Up to six rows take whole lines, 24 sums in registers; up to fourteen take half a line,
 * 28 sums, and go through the block twice. While a block is multiplied the next one is asked for
 * into the second cache, line by line: memory works as long as the arithmetic does. (Asking within
 * the block, 4 to 16 KB ahead, is no better than oneDNN: half of the time nothing is asked for.)
 */
#include "nn/few.h"

#include "base/cpu.h"

#if defined(__x86_64__)
#include <immintrin.h>

#define LINE 64 /* groups */
#define MOST_ROWS 14

#ifdef __clang__
#define TARGET                                                                                     \
    __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512bf16,avx512vnni,avx2,fma")))
#else
#define TARGET                                                                                     \
    __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512bf16,avx512vnni,avx2,fma,"     \
                          "prefer-vector-width=512")))
#endif
#define FORCE TARGET static inline __attribute__((always_inline))

/* sum += x[group] . w[16 outputs][group] */
FORCE __m512 step(enum vz_precision precision, __m512 sum, const char *x, __m512i w)
{
    int32_t bits;
    memcpy(&bits, x, sizeof bits);
    __m512i each = _mm512_set1_epi32(bits);
    if (precision == VZ_PRECISION_F32)
        return _mm512_fmadd_ps(_mm512_castsi512_ps(each), _mm512_castsi512_ps(w), sum);
    if (precision == VZ_PRECISION_BF16)
        return _mm512_dpbf16_ps(sum, (__m512bh)w, (__m512bh)each);
    return _mm512_castsi512_ps(_mm512_dpbusd_epi32(_mm512_castps_si512(sum), each, w));
}

/* `rows` and `vecs` (vectors of 16 outputs) are constants in each copy. */
FORCE void tile(const struct nn_few *job, enum vz_precision precision, size_t at, int rows,
                int vecs, bool ask)
{
    const size_t group = precision == VZ_PRECISION_F32 ? 1 : precision == VZ_PRECISION_BF16 ? 2 : 4;
    const size_t lines = job->in / group, x_ld = job->in * (4 / group);
    const size_t filled = (lines + 15) / 16 * 16; /* of the layout */
    const char *w = (const char *)job->weights + at / LINE * filled * LINE * 4 + at % LINE * 4;
    const char *x = job->x;
    __m512 sum[MOST_ROWS][4];
#pragma GCC unroll 14
    for (int r = 0; r < rows; r++)
#pragma GCC unroll 4
        for (int v = 0; v < vecs; v++)
            sum[r][v] = _mm512_setzero_ps();
    for (size_t i = 0; i < lines; i++, w += LINE * 4, x += 4) {
        __m512i line[4];
        if (ask) {
#pragma GCC unroll 4
            for (int v = 0; v < vecs; v++)
                _mm_prefetch(w + filled * LINE * 4 + v * 64, _MM_HINT_T1);
        }
#pragma GCC unroll 4
        for (int v = 0; v < vecs; v++)
            line[v] = _mm512_loadu_si512(w + v * 64);
#pragma GCC unroll 14
        for (int r = 0; r < rows; r++)
#pragma GCC unroll 4
            for (int v = 0; v < vecs; v++)
                sum[r][v] = step(precision, sum[r][v], x + (size_t)r * x_ld, line[v]);
    }
#pragma GCC unroll 14
    for (int r = 0; r < rows; r++)
#pragma GCC unroll 4
        for (int v = 0; v < vecs; v++) {
            float *y = (float *)job->y + (size_t)r * job->y_ld + at + (size_t)v * 16;
            __m512 result = sum[r][v];
            if (precision != VZ_PRECISION_INT8)
                result = _mm512_add_ps(result, _mm512_loadu_ps(job->bias + at + v * 16));
            if (precision != VZ_PRECISION_INT8 && job->add)
                result = _mm512_add_ps(result, _mm512_loadu_ps(y));
            _mm512_storeu_ps(y, result);
        }
}

/* One group of at most MOST_ROWS rows through one block. */
FORCE void block(const struct nn_few *job, enum vz_precision precision, size_t at, int rows,
                 bool ask)
{
    if (rows <= 6) {
        tile(job, precision, at, rows, 4, ask);
    } else {
        tile(job, precision, at, rows, 2, ask);
        tile(job, precision, at + 32, rows, 2, ask);
    }
}

#define CASE(n)                                                                                    \
    case n:                                                                                        \
        block(job, precision, at, n, ask);                                                         \
        break;
#define BLOCK(name, which)                                                                         \
    TARGET static void name(const struct nn_few *job, size_t at, bool ask)                         \
    {                                                                                              \
        const enum vz_precision precision = which;                                                 \
        switch (job->rows) {                                                                       \
            CASE(1)                                                                                \
            CASE(2)                                                                                \
            CASE(3) CASE(4) CASE(5) CASE(6) CASE(7) CASE(8) CASE(9) CASE(10) CASE(11) CASE(12)     \
                CASE(13) CASE(14)                                                                  \
        }                                                                                          \
    }
BLOCK(block_f32, VZ_PRECISION_F32)
BLOCK(block_bf16, VZ_PRECISION_BF16)
BLOCK(block_int8, VZ_PRECISION_INT8)

void nn_few_run(const struct nn_few *job)
{
    size_t groups = (job->rows + MOST_ROWS - 1) / MOST_ROWS;
    size_t x_row = job->in * (job->precision == VZ_PRECISION_F32    ? 4
                              : job->precision == VZ_PRECISION_BF16 ? 2
                                                                    : 1);
    for (size_t at = job->first; at < job->first + job->count; at += LINE)
        for (size_t g = 0; g < groups; g++) {
            size_t row = job->rows * g / groups;
            struct nn_few part = *job;
            part.rows = job->rows * (g + 1) / groups - row;
            part.x = (const char *)job->x + row * x_row;
            part.y = (float *)job->y + row * job->y_ld;
            if (job->precision == VZ_PRECISION_F32)
                block_f32(&part, at, g == 0);
            else if (job->precision == VZ_PRECISION_BF16)
                block_bf16(&part, at, g == 0);
            else
                block_int8(&part, at, g == 0);
        }
}

bool nn_few_fits(enum vz_precision precision, const dnnl_memory_desc_t *layout, size_t in,
                 size_t out)
{
    const struct vz_cpu *cpu = vz_cpu();
    const dnnl_blocking_desc_t *b = &layout->format_desc.blocking;
    int group = precision == VZ_PRECISION_F32 ? 1 : precision == VZ_PRECISION_BF16 ? 2 : 4;
    bool can = precision == VZ_PRECISION_F32    ? cpu->avx512
               : precision == VZ_PRECISION_BF16 ? cpu->avx512_bf16
                                                : cpu->avx512_vnni;
    if (!can || out % LINE || in % 16 || b->inner_nblks != (group == 1 ? 2 : 3))
        return false;
    size_t lines = (in / (size_t)group + 15) / 16 * 16;
    return b->inner_idxs[0] == 0 && b->inner_blks[0] == 16 && b->inner_idxs[1] == 1 &&
           b->inner_blks[1] == LINE &&
           (group == 1 || (b->inner_idxs[2] == 0 && b->inner_blks[2] == group)) &&
           (size_t)b->strides[0] == 16 * LINE * (size_t)group &&
           (size_t)b->strides[1] == lines * LINE * (size_t)group;
}

#else

bool nn_few_fits(enum vz_precision precision, const dnnl_memory_desc_t *layout, size_t in,
                 size_t out)
{
    return false;
}

void nn_few_run(const struct nn_few *job)
{
}

#endif
