#include "base/text.h"

#include "base/clock.h"

#include <errno.h>
#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/random.h>

static const char STANDARD[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static const char URL_SAFE[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/* RFC 3629: no overlong forms, no surrogates, nothing past U+10FFFF. Returns 0 when invalid. */
static size_t utf8_char_len(const unsigned char *p, size_t left)
{
    if (p[0] < 0x80)
        return 1;
    if (p[0] >= 0xC2 && p[0] <= 0xDF)
        return left >= 2 && (p[1] & 0xC0) == 0x80 ? 2 : 0;
    if (p[0] >= 0xE0 && p[0] <= 0xEF) {
        if (left < 3 || (p[1] & 0xC0) != 0x80 || (p[2] & 0xC0) != 0x80)
            return 0;
        if ((p[0] == 0xE0 && p[1] < 0xA0) || (p[0] == 0xED && p[1] > 0x9F))
            return 0;
        return 3;
    }
    if (p[0] >= 0xF0 && p[0] <= 0xF4) {
        if (left < 4 || (p[1] & 0xC0) != 0x80 || (p[2] & 0xC0) != 0x80 || (p[3] & 0xC0) != 0x80)
            return 0;
        if ((p[0] == 0xF0 && p[1] < 0x90) || (p[0] == 0xF4 && p[1] > 0x8F))
            return 0;
        return 4;
    }
    return 0;
}

size_t vz_utf8_valid_prefix(const char *text, size_t len)
{
    size_t at = 0;
    while (at < len) {
        uint64_t eight;
        for (; len - at >= sizeof eight; at += sizeof eight) { /* most texts are ASCII */
            memcpy(&eight, text + at, sizeof eight);
            if (eight & 0x8080808080808080u)
                break;
        }
        if (at == len)
            break;
        size_t step = utf8_char_len((const unsigned char *)text + at, len - at);
        if (!step)
            break;
        at += step;
    }
    return at;
}

void vz_base64_encode(const void *bytes, size_t len, struct vz_buf *out)
{
    const unsigned char *in = bytes;
    vz_buf_reserve(out, (len + 2) / 3 * 4);
    for (size_t i = 0; i < len; i += 3) {
        unsigned word = (unsigned)in[i] << 16;
        if (i + 1 < len)
            word |= (unsigned)in[i + 1] << 8;
        if (i + 2 < len)
            word |= in[i + 2];
        char four[4] = {STANDARD[word >> 18], STANDARD[word >> 12 & 63],
                        i + 1 < len ? STANDARD[word >> 6 & 63] : '=',
                        i + 2 < len ? STANDARD[word & 63] : '='};
        vz_buf_append(out, four, 4);
    }
}

static int base64_value(unsigned char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

bool vz_base64_decode(struct vz_slice text, struct vz_buf *out)
{
    unsigned word = 0, bits = 0;
    size_t i = 0;
    vz_buf_reserve(out, text.len / 4 * 3 + 3);
    for (; i < text.len && text.ptr[i] != '='; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        if (c == '\n' || c == '\r' || c == ' ' || c == '\t')
            continue;
        int value = base64_value(c);
        if (value < 0)
            return false;
        word = word << 6 | (unsigned)value;
        bits += 6;
        if (bits >= 8) {
            bits -= 8;
            vz_buf_append_char(out, (char)(word >> bits & 0xFF));
        }
    }
    for (; i < text.len; i++)
        if (text.ptr[i] != '=' && text.ptr[i] != '\n' && text.ptr[i] != '\r')
            return false;
    return bits != 6; /* one lonely character carries no whole byte */
}

void vz_random_bytes(void *out, size_t len)
{
    char *at = out;
    while (len) {
        ssize_t got = getrandom(at, len, 0);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            abort();
        at += got;
        len -= (size_t)got;
    }
}

/* Encodes whole groups of 6 bits, most significant first; `chars` * 6 <= bytes * 8 + 5. */
static void url_encode(const unsigned char *bytes, size_t byte_count, char *out, size_t chars)
{
    for (size_t i = 0; i < chars; i++) {
        unsigned value = 0;
        for (size_t bit = i * 6; bit < i * 6 + 6; bit++) {
            unsigned one = bit / 8 < byte_count ? bytes[bit / 8] >> (7 - bit % 8) & 1u : 0;
            value = value << 1 | one;
        }
        out[i] = URL_SAFE[value];
    }
    out[chars] = '\0';
}

/* 6 bytes of time, 3 of a process-wide counter, 6 random bytes drawn once: unique per process
 * without asking the kernel each time, and ordered, which keeps the id tree's inserts local. */
void vz_new_doc_id(char out[21])
{
    static atomic_uint_fast32_t counter;
    static _Atomic uint64_t machine;
    uint64_t salt = atomic_load_explicit(&machine, memory_order_relaxed);
    if (!salt) {
        uint64_t fresh;
        vz_random_bytes(&fresh, sizeof fresh);
        fresh |= 1;
        salt = 0;
        if (atomic_compare_exchange_strong(&machine, &salt, fresh))
            salt = fresh;
    }
    uint64_t now = (uint64_t)vz_wall_ms();
    uint32_t count = (uint32_t)atomic_fetch_add_explicit(&counter, 1, memory_order_relaxed);
    unsigned char bytes[15];
    for (int i = 0; i < 6; i++)
        bytes[i] = (unsigned char)(now >> (40 - 8 * i));
    for (int i = 0; i < 3; i++)
        bytes[6 + i] = (unsigned char)(count >> (16 - 8 * i));
    for (int i = 0; i < 6; i++)
        bytes[9 + i] = (unsigned char)(salt >> (8 + 8 * i));
    url_encode(bytes, sizeof bytes, out, 20);
}

void vz_new_uuid(char out[23])
{
    unsigned char bytes[16];
    vz_random_bytes(bytes, sizeof bytes);
    url_encode(bytes, sizeof bytes, out, 22);
}

double vz_rng_normal(uint64_t *state)
{
    double u = 1.0 - vz_rng_unit(state), v = vz_rng_unit(state);
    return sqrt(-2.0 * log(u)) * cos(6.283185307179586 * v);
}

bool vz_wildcard_match(struct vz_slice pattern, struct vz_slice text)
{
    size_t p = 0, t = 0, star = SIZE_MAX, mark = 0;
    while (t < text.len) {
        if (p < pattern.len && (pattern.ptr[p] == '?' || pattern.ptr[p] == text.ptr[t]) &&
            pattern.ptr[p] != '*') {
            p++;
            t++;
        } else if (p < pattern.len && pattern.ptr[p] == '*') {
            star = p++;
            mark = t;
        } else if (star != SIZE_MAX) {
            p = star + 1;
            t = ++mark;
        } else {
            return false;
        }
    }
    while (p < pattern.len && pattern.ptr[p] == '*')
        p++;
    return p == pattern.len;
}

struct vz_slice vz_slice_trim(struct vz_slice text)
{
    while (text.len && (unsigned char)text.ptr[0] <= ' ')
        text.ptr++, text.len--;
    while (text.len && (unsigned char)text.ptr[text.len - 1] <= ' ')
        text.len--;
    return text;
}

struct vz_slice vz_slice_trim_of(struct vz_slice text, const char *these)
{
    size_t count = strlen(these);
    while (text.len && memchr(these, text.ptr[0], count))
        text.ptr++, text.len--;
    while (text.len && memchr(these, text.ptr[text.len - 1], count))
        text.len--;
    return text;
}

struct vz_slice vz_slice_cut(struct vz_slice *rest, char separator)
{
    const char *end = rest->len ? memchr(rest->ptr, separator, rest->len) : NULL;
    struct vz_slice part = {rest->ptr, end ? (size_t)(end - rest->ptr) : rest->len};
    size_t skip = end ? part.len + 1 : part.len;
    *rest = (struct vz_slice){rest->ptr + skip, rest->len - skip};
    return part;
}
