/* nn/weights_read.c - elements of any type as f32.
 *
 * The mapped bytes need not be aligned, so everything is loaded through memcpy or unaligned
 * vectors. Halves are converted by F16C or AVX-512 where the processor has them, by integer
 * arithmetic elsewhere; both give the same bits, NaNs included (quieted).
 */
#include "nn/weights.h"

#include <assert.h>

#include "base/cpu.h"

#ifdef __x86_64__
#include <immintrin.h>
#endif

/* IEEE half to single, exact. */
static float half_to_float(uint16_t half)
{
    uint32_t sign = (uint32_t)(half & 0x8000) << 16;
    uint32_t exponent = half >> 10 & 31, fraction = half & 0x3FF;
    uint32_t bits;
    if (exponent == 31)
        bits = sign | 0x7F800000 | (fraction ? 0x400000 | fraction << 13 : 0);
    else if (exponent)
        bits = sign | (exponent + 112) << 23 | fraction << 13;
    else if (fraction) { /* subnormal: shift the first one up to the hidden place */
        unsigned shift = (unsigned)__builtin_clz(fraction) - 21;
        bits = sign | (113 - shift) << 23 | (fraction << shift & 0x3FF) << 13;
    } else
        bits = sign;
    float out;
    memcpy(&out, &bits, sizeof out);
    return out;
}

static void halves_plain(const char *from, uint64_t count, float *out)
{
    for (uint64_t i = 0; i < count; i++) {
        uint16_t half;
        memcpy(&half, from + i * 2, sizeof half);
        out[i] = half_to_float(half);
    }
}

#ifdef __x86_64__
__attribute__((target("avx2,f16c"))) static void halves_avx2(const char *from, uint64_t count,
                                                             float *out)
{
    uint64_t i = 0;
    for (; i + 8 <= count; i += 8) {
        __m128i h = _mm_loadu_si128((const __m128i *)(const void *)(from + i * 2));
        _mm256_storeu_ps(out + i, _mm256_cvtph_ps(h));
    }
    halves_plain(from + i * 2, count - i, out + i);
}

__attribute__((target("avx512f"))) static void halves_avx512(const char *from, uint64_t count,
                                                             float *out)
{
    uint64_t i = 0;
    for (; i + 16 <= count; i += 16) {
        __m256i h = _mm256_loadu_si256((const __m256i *)(const void *)(from + i * 2));
        _mm512_storeu_ps(out + i, _mm512_cvtph_ps(h));
    }
    halves_plain(from + i * 2, count - i, out + i);
}
#endif

static void halves(const char *from, uint64_t count, float *out)
{
#ifdef __x86_64__
    if (vz_cpu()->avx512) {
        halves_avx512(from, count, out);
        return;
    }
    if (vz_cpu()->avx2_fma) {
        halves_avx2(from, count, out);
        return;
    }
#endif
    halves_plain(from, count, out);
}

/* A bfloat16 is the upper half of a single; the compiler makes vectors of this. */
static void brains(const char *from, uint64_t count, float *out)
{
    for (uint64_t i = 0; i < count; i++) {
        uint16_t upper;
        memcpy(&upper, from + i * 2, sizeof upper);
        uint32_t bits = (uint32_t)upper << 16;
        memcpy(out + i, &bits, sizeof bits);
    }
}

#define READ_AS(type)                                                                              \
    for (uint64_t i = 0; i < count; i++) {                                                         \
        type element;                                                                              \
        memcpy(&element, from + i * sizeof element, sizeof element);                               \
        out[i] = (float)element;                                                                   \
    }                                                                                              \
    break

void vz_tensor_read_f32(const struct vz_tensor_view *view, uint64_t first, uint64_t count,
                        float *out)
{
    assert(first <= view->count && count <= view->count - first);
    if (!count)
        return;
    const char *from = (const char *)view->data + first * vz_dtype_bytes(view->dtype);
    switch (view->dtype) {
    case VZ_F32:
        memcpy(out, from, count * sizeof *out);
        break;
    case VZ_F16:
        halves(from, count, out);
        break;
    case VZ_BF16:
        brains(from, count, out);
        break;
    case VZ_F64:
        READ_AS(double);
    case VZ_I64:
        READ_AS(int64_t);
    case VZ_I32:
        READ_AS(int32_t);
    case VZ_I16:
        READ_AS(int16_t);
    case VZ_I8:
        READ_AS(int8_t);
    case VZ_U8:
        READ_AS(uint8_t);
    case VZ_BOOL:
        for (uint64_t i = 0; i < count; i++)
            out[i] = from[i] != 0;
        break;
    }
}
