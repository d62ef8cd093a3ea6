/* Unpacking: one loop for each width, unrolled by the compiler. */
#include "text/pack.h"

#define CASE(n)                                                                                    \
    case n:                                                                                        \
        vz_unpack_const(in, n, out);                                                               \
        return;

void vz_unpack(const unsigned char *in, unsigned bits, uint32_t out[VZ_BLOCK])
{
    switch (bits) {
        CASE(1)
        CASE(2) CASE(3) CASE(4) CASE(5) CASE(6) CASE(7) CASE(8) CASE(9) CASE(10) CASE(11) CASE(12)
            CASE(13) CASE(14) CASE(15) CASE(16) CASE(17) CASE(18) CASE(19) CASE(20) CASE(21)
                CASE(22) CASE(23) CASE(24) CASE(25) CASE(26) CASE(27) CASE(28) CASE(29) CASE(30)
                    CASE(31) CASE(32) default : memset(out, 0, VZ_BLOCK * sizeof *out);
    }
}

void vz_prefix_sum(uint32_t *values, uint32_t base)
{
    typedef int32_t vz_places __attribute__((vector_size(16)));
    const vz_places one = {0, 4, 5, 6}, two = {0, 1, 4, 5}, last = {3, 3, 3, 3};
    const vz_lanes zero = {0, 0, 0, 0};
    vz_lanes carry = {base, base, base, base};
    for (unsigned i = 0; i < VZ_BLOCK; i += 4) {
        vz_lanes v;
        memcpy(&v, values + i, 16);
        /* (a, b, c, d) + (0, a, b, c), then + (0, 0, a, a + b) */
        v += __builtin_shuffle(zero, v, one);
        v += __builtin_shuffle(zero, v, two);
        v += carry;
        carry = __builtin_shuffle(v, last);
        memcpy(values + i, &v, 16);
    }
}
