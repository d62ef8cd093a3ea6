#include "base/cpu.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#if defined(__aarch64__)
#include <sys/auxv.h>
#ifndef HWCAP_ASIMDDP
#define HWCAP_ASIMDDP (1 << 20)
#endif
#endif

static struct vz_cpu detected;
static char description[80];
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void detect(void)
{
#if defined(__x86_64__)
    __builtin_cpu_init();
    detected.avx2_fma = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
                        __builtin_cpu_supports("f16c");
    detected.avx512 = detected.avx2_fma && __builtin_cpu_supports("avx512f") &&
                      __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
                      __builtin_cpu_supports("avx512vl");
    detected.avx512_vnni = detected.avx512 && __builtin_cpu_supports("avx512vnni");
    detected.avx512_vpopcnt = detected.avx512 && __builtin_cpu_supports("avx512vpopcntdq");
    detected.avx512_bf16 = detected.avx512 && __builtin_cpu_supports("avx512bf16");
#elif defined(__aarch64__)
    detected.neon = true;
    detected.neon_dot = (getauxval(AT_HWCAP) & HWCAP_ASIMDDP) != 0;
#endif
    const char *cap = getenv("VIZSLA_CPU");
    if (cap && strcmp(cap, "scalar") == 0)
        detected = (struct vz_cpu){0};
    if (cap && strcmp(cap, "avx2") == 0)
        detected.avx512 = false;
    if (cap && (strcmp(cap, "avx2") == 0 || strcmp(cap, "avx512") == 0))
        detected.avx512_vnni = detected.avx512_vpopcnt = detected.avx512_bf16 = false;
    snprintf(description, sizeof description, "%s%s%s%s",
             detected.avx512     ? "avx512"
             : detected.avx2_fma ? "avx2"
             : detected.neon     ? "neon"
                                 : "scalar",
             detected.avx512_vnni ? "+vnni" : "", detected.avx512_vpopcnt ? "+vpopcnt" : "",
             detected.avx512_bf16 ? "+bf16" : detected.neon_dot ? "+dot" : "");
}

const struct vz_cpu *vz_cpu(void)
{
    pthread_once(&once, detect);
    return &detected;
}

const char *vz_cpu_describe(void)
{
    pthread_once(&once, detect);
    return description;
}
