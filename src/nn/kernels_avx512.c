/* The kernels for AVX-512 (F, BW, DQ, VL). */
#if defined(__x86_64__)
#include "nn/kernels.h"

#include <immintrin.h>
#include <math.h>

#ifdef __clang__
#pragma clang attribute push(                                                                      \
    __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,prefer-vector-width=512")
#endif
#define VEC_BYTES 64
#define VEC_MAX(a, b) ((vf)_mm512_max_ps((__m512)(a), (__m512)(b)))
#define VEC_MIN(a, b) ((vf)_mm512_min_ps((__m512)(a), (__m512)(b)))
#define VEC_RECIPROCAL(x) ((vf)_mm512_rcp14_ps((__m512)(x)))
#define TILE_VECS 4
#define KERNELS nn_kernels_avx512
#define KERNELS_NAME "avx512"
#include "nn/kernels_body.h"
#ifdef __clang__
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
#endif
