/* base/cpu.h - what this processor can do, asked once at run time. Thread-safe. */
#ifndef VZ_BASE_CPU_H
#define VZ_BASE_CPU_H

#include <stdbool.h>

struct vz_cpu {
    bool avx2_fma;      /* AVX2 + FMA + F16C */
    bool avx512;        /* F, BW, DQ, VL */
    bool avx512_vnni;
    bool avx512_vpopcnt;
    bool avx512_bf16;
    bool neon;
    bool neon_dot;
};
/* VIZSLA_CPU=scalar|avx2|avx512 in the environment lowers what is reported, for tests; avx512 is
 * `avx512` without any of its three extensions. */
const struct vz_cpu *vz_cpu(void);
/* "avx512+vnni+vpopcnt+bf16", "avx2", "neon", "scalar". Static storage. */
const char *vz_cpu_describe(void);

#endif
