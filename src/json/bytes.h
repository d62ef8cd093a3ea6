/* json/bytes.h - inside the room: finding the next interesting byte, sixteen at a time where the
 * processor has SSE2 (all x86-64), one at a time elsewhere. All return `end` when there is none and
 * read nothing at or past `end`. */
#ifndef VZ_JSON_BYTES_H
#define VZ_JSON_BYTES_H

#include <stdbool.h>
#include <stddef.h>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

static inline bool vz_byte_ends_run(unsigned char c)
{
    return c == '"' || c == '\\';
}

/* The next '"' or '\\'. */
static inline const char *vz_find_quote(const char *p, const char *end)
{
#ifdef __SSE2__
    const __m128i quote = _mm_set1_epi8('"'), slash = _mm_set1_epi8('\\');
    for (; end - p >= 16; p += 16) {
        __m128i v = _mm_loadu_si128((const __m128i *)(const void *)p);
        unsigned hits = (unsigned)_mm_movemask_epi8(
            _mm_or_si128(_mm_cmpeq_epi8(v, quote), _mm_cmpeq_epi8(v, slash)));
        if (hits)
            return p + __builtin_ctz(hits);
    }
#endif
    while (p < end && !vz_byte_ends_run((unsigned char)*p))
        p++;
    return p;
}

/* The next byte that a JSON string must escape: '"', '\\' or below 0x20. */
static inline const char *vz_find_escapable(const char *p, const char *end)
{
#ifdef __SSE2__
    const __m128i quote = _mm_set1_epi8('"'), slash = _mm_set1_epi8('\\');
    const __m128i last_control = _mm_set1_epi8(0x1F);
    for (; end - p >= 16; p += 16) {
        __m128i v = _mm_loadu_si128((const __m128i *)(const void *)p);
        __m128i control = _mm_cmpeq_epi8(_mm_min_epu8(v, last_control), v);
        unsigned hits = (unsigned)_mm_movemask_epi8(_mm_or_si128(
            control, _mm_or_si128(_mm_cmpeq_epi8(v, quote), _mm_cmpeq_epi8(v, slash))));
        if (hits)
            return p + __builtin_ctz(hits);
    }
#endif
    while (p < end && !vz_byte_ends_run((unsigned char)*p) && (unsigned char)*p >= 0x20)
        p++;
    return p;
}

/* Whether a string is ASCII without a byte that must be escaped. */
static inline bool vz_is_plain_text(const char *p, size_t len)
{
    const char *end = p + len;
#ifdef __SSE2__
    const __m128i quote = _mm_set1_epi8('"'), slash = _mm_set1_epi8('\\');
    const __m128i space = _mm_set1_epi8(0x20); /* signed: bytes from 0x80 on are below it, too */
    for (; end - p >= 16; p += 16) {
        __m128i v = _mm_loadu_si128((const __m128i *)(const void *)p);
        __m128i ends = _mm_or_si128(_mm_cmpeq_epi8(v, quote), _mm_cmpeq_epi8(v, slash));
        if (_mm_movemask_epi8(_mm_or_si128(_mm_cmplt_epi8(v, space), ends)))
            return false;
    }
#endif
    for (; p < end; p++)
        if ((signed char)*p < 0x20 || vz_byte_ends_run((unsigned char)*p))
            return false;
    return true;
}

/* The next '"', '[', ']', '{' or '}'. Setting bit 5 makes '[' into '{' and ']' into '}'; it also
 * makes 0x02 into '"', which valid JSON does not hold outside strings. */
static inline const char *vz_find_bracket(const char *p, const char *end)
{
#ifdef __SSE2__
    const __m128i bit = _mm_set1_epi8(0x20), quote = _mm_set1_epi8('"');
    const __m128i open = _mm_set1_epi8('{'), close = _mm_set1_epi8('}');
    for (; end - p >= 16; p += 16) {
        __m128i v = _mm_or_si128(_mm_loadu_si128((const __m128i *)(const void *)p), bit);
        unsigned hits = (unsigned)_mm_movemask_epi8(
            _mm_or_si128(_mm_cmpeq_epi8(v, quote),
                         _mm_or_si128(_mm_cmpeq_epi8(v, open), _mm_cmpeq_epi8(v, close))));
        if (hits)
            return p + __builtin_ctz(hits);
    }
#endif
    while (p < end && *p != '"' && (*p | 0x20) != '{' && (*p | 0x20) != '}')
        p++;
    return p;
}

static inline const char *vz_skip_space(const char *p, const char *end)
{
    while (p < end && (*p == ' ' || *p == '\n' || *p == '\r' || *p == '\t'))
        p++;
    return p;
}

/* Behind the string whose opening quote is at `p`; `end` when it is cut. */
static inline const char *vz_skip_string(const char *p, const char *end)
{
    p++;
    while ((p = vz_find_quote(p, end)) < end) {
        if (*p == '"')
            return p + 1;
        p = end - p >= 2 ? p + 2 : end;
    }
    return end;
}

#endif
