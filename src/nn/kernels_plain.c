/* The kernels with what every machine of this architecture has (SSE2, NEON). */
#include "nn/kernels.h"

#define VEC_BYTES 16
#define TILE_VECS 2
#define KERNELS nn_kernels_plain
#define KERNELS_NAME "plain"
#include "nn/kernels_body.h"

#include "base/cpu.h"

const struct nn_kernels *nn_kernels(void)
{
#if defined(__x86_64__)
    if (vz_cpu()->avx512)
        return &nn_kernels_avx512;
    if (vz_cpu()->avx2_fma)
        return &nn_kernels_avx2;
#endif
    return &nn_kernels_plain;
}
