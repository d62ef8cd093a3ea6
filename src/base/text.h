/* base/text.h - small things about text and chance: UTF-8, base64, random ids, seeded numbers. */
#ifndef VZ_BASE_TEXT_H
#define VZ_BASE_TEXT_H

#include "base/mem.h"

/* The length of the longest valid UTF-8 prefix; equals `len` when all of it is valid. */
size_t vz_utf8_valid_prefix(const char *text, size_t len);

void vz_base64_encode(const void *bytes, size_t len, struct vz_buf *out);
/* Standard alphabet, padding optional, white space skipped; false on any other byte (out keeps
 * what was decoded up to there). */
bool vz_base64_decode(struct vz_slice text, struct vz_buf *out);

/* Cryptographic randomness from the kernel. Blocks only at early boot. */
void vz_random_bytes(void *out, size_t len);
/* A URL-safe id of 20 characters (time-ordered, as Elasticsearch's own ids are) and a NUL. */
void vz_new_doc_id(char out[21]);
/* A URL-safe id of 22 characters (128 random bits) and a NUL: index UUIDs. */
void vz_new_uuid(char out[23]);

/* splitmix64: a seeded generator for levels, tests and benches; not for secrets. */
static inline uint64_t vz_rng_next(uint64_t *state)
{
    uint64_t z = (*state += 0x9E3779B97F4A7C15ull);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
    return z ^ (z >> 31);
}
/* Uniform in [0, 1). */
static inline double vz_rng_unit(uint64_t *state)
{
    return (double)(vz_rng_next(state) >> 11) * 0x1p-53;
}
/* A normal deviate (Box-Muller, one of the pair). */
double vz_rng_normal(uint64_t *state);

/* The value of a hexadecimal digit of either case; -1 for anything else. */
static inline int vz_hex_digit(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

/* Without spaces and control characters at its ends, as Java's String.trim(). */
struct vz_slice vz_slice_trim(struct vz_slice text);
/* Without any of `these` bytes at its ends. */
struct vz_slice vz_slice_trim_of(struct vz_slice text, const char *these);
#define VZ_BLANKS " \t\n\v\f\r" /* isspace() without a locale */
/* Takes what stands before the first separator, or all, off `rest`, and the separator with it. */
struct vz_slice vz_slice_cut(struct vz_slice *rest, char separator);

/* Shell-style match with '*' and '?' over whole text. Linear in time times the stars. */
bool vz_wildcard_match(struct vz_slice pattern, struct vz_slice text);

#endif
