/* The kernels for AVX2 and FMA. */
#if defined(__x86_64__)
#include "nn/kernels.h"

#include <immintrin.h>
#include <math.h>

#ifdef __clang__
#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2,fma")
#endif
#define VEC_BYTES 32
#define VEC_MAX(a, b) ((vf)_mm256_max_ps((__m256)(a), (__m256)(b)))
#define VEC_MIN(a, b) ((vf)_mm256_min_ps((__m256)(a), (__m256)(b)))
#define TILE_VECS 2
#define KERNELS nn_kernels_avx2
#define KERNELS_NAME "avx2"
#include "nn/kernels_body.h"
#ifdef __clang__
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
#endif
