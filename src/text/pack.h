/* text/pack.h - 128 numbers in as many bits each as the largest needs. Private to the room.
 *
 * Four lanes side by side (Lemire and Boytsov, "Decoding billions of integers per second through
 * vectorization", 2015): number 4 i + lane is the i-th of its lane, so that four are moved with
 * every operation. Written with the compiler's vector types: SSE2 and NEON alike. */
#ifndef VZ_TEXT_PACK_H
#define VZ_TEXT_PACK_H

#include <stdint.h>
#include <string.h>

#define VZ_BLOCK 128

typedef uint32_t vz_lanes __attribute__((vector_size(16)));

static inline unsigned vz_bits_of(uint32_t value)
{
    return value ? 32 - (unsigned)__builtin_clz(value) : 0;
}
static inline unsigned vz_pack_bits(const uint32_t *in)
{
    uint32_t any = 0;
    for (unsigned i = 0; i < VZ_BLOCK; i++)
        any |= in[i];
    return vz_bits_of(any);
}

/* Writes 16 * bits bytes. */
static inline void vz_pack(const uint32_t *in, unsigned bits, unsigned char *out)
{
    uint32_t words[32][4] = {{0}};
    for (unsigned i = 0; bits && i < VZ_BLOCK; i++) {
        unsigned at = i / 4 * bits, lane = i % 4;
        words[at / 32][lane] |= in[i] << at % 32;
        if (at % 32 + bits > 32)
            words[at / 32 + 1][lane] |= in[i] >> (32 - at % 32);
    }
    memcpy(out, words, (size_t)bits * 16);
}

static inline __attribute__((always_inline)) void
vz_unpack_const(const unsigned char *in, const unsigned bits, uint32_t *out)
{
    const uint32_t mask = bits == 32 ? UINT32_MAX : (1u << bits) - 1;
    vz_lanes word, next;
    memcpy(&word, in, 16);
#pragma GCC unroll 32
    for (unsigned i = 0; i < 32; i++) {
        unsigned at = i * bits, shift = at % 32;
        vz_lanes value = word >> shift;
        if (shift + bits >= 32 && i < 31) {
            memcpy(&next, in + (at / 32 + 1) * 16, 16);
            if (shift + bits > 32)
                value |= next << (32 - shift);
            word = next;
        }
        value &= mask;
        memcpy(out + i * 4, &value, 16);
    }
}

/* pack.c. Reads 16 * bits bytes; bits <= 32. */
void vz_unpack(const unsigned char *in, unsigned bits, uint32_t out[VZ_BLOCK]);
/* out[i] = base + in[0] + ... + in[i], each step one more when `plus` is 1. In place. */
void vz_prefix_sum(uint32_t *values, uint32_t base);

/* Numbers of any length in bytes, seven bits each. */
static inline unsigned vz_varint_put(unsigned char *out, uint64_t value)
{
    unsigned n = 0;
    while (value >= 0x80) {
        out[n++] = (unsigned char)(value | 0x80);
        value >>= 7;
    }
    out[n++] = (unsigned char)value;
    return n;
}
/* Reads nothing at or past `end`; gives 0 there. */
static inline uint64_t vz_varint_get(const unsigned char **at, const unsigned char *end)
{
    uint64_t value = 0;
    for (unsigned shift = 0; *at < end && shift < 64; shift += 7) {
        unsigned char c = *(*at)++;
        value |= (uint64_t)(c & 0x7F) << shift;
        if (c < 0x80)
            break;
    }
    return value;
}

#endif
