/* store/ip.c - reading and printing addresses. The text form of version 6 is RFC 5952's. */
#include "store/ip.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

static const unsigned char mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF};

static bool read(struct vz_slice text, unsigned char out[VZ_IP_BYTES], bool *is_v4)
{
    char copy[VZ_IP_TEXT];
    if (text.len == 0 || text.len >= sizeof copy || memchr(text.ptr, 0, text.len))
        return false;
    memcpy(copy, text.ptr, text.len);
    copy[text.len] = 0;
    *is_v4 = !memchr(copy, ':', text.len);
    if (!*is_v4)
        return inet_pton(AF_INET6, copy, out) == 1;
    memcpy(out, mapped, sizeof mapped);
    return inet_pton(AF_INET, copy, out + sizeof mapped) == 1;
}

enum vz_status vz_ip_parse(struct vz_slice text, unsigned char out[VZ_IP_BYTES],
                           struct vz_error *err)
{
    bool is_v4;
    if (read(text, out, &is_v4))
        return VZ_OK;
    return vz_fail(err, VZ_BAD_ARGUMENT, "'%.*s' is not an IP string literal.",
                   (int)VZ_MIN(text.len, (size_t)100), text.ptr);
}

enum vz_status vz_ip_parse_cidr(struct vz_slice text, unsigned char low[VZ_IP_BYTES],
                                unsigned char high[VZ_IP_BYTES], struct vz_error *err)
{
    const char *slash = memchr(text.ptr, '/', text.len);
    bool is_v4 = false;
    unsigned prefix = 0;
    size_t digits = slash ? (size_t)(text.ptr + text.len - slash - 1) : 0;
    bool ok = slash && digits >= 1 && digits <= 3;
    for (size_t i = 0; ok && i < digits; i++) {
        ok = slash[1 + i] >= '0' && slash[1 + i] <= '9';
        prefix = prefix * 10 + (unsigned)(slash[1 + i] - '0');
    }
    if (!ok)
        return vz_fail(err, VZ_BAD_ARGUMENT, "Expected [ip/prefix] but was [%.*s]",
                       (int)VZ_MIN(text.len, (size_t)100), text.ptr);
    struct vz_slice address = {text.ptr, (size_t)(slash - text.ptr)};
    if (!read(address, low, &is_v4))
        return vz_ip_parse(address, low, err);
    if (prefix > (is_v4 ? 32u : 128u))
        return vz_fail(err, VZ_BAD_ARGUMENT,
                       "illegal prefix length [%u] in [%.*s]. Must be 0-32 for IPv4 ranges, 0-128 "
                       "for IPv6 ranges",
                       prefix, (int)text.len, text.ptr);
    /* ::ffff:10.0.0.0/104 names a block of version 4 too: its bits are counted as they lie. */
    unsigned bits = prefix + (is_v4 ? 96 : 0);
    memcpy(high, low, VZ_IP_BYTES);
    for (unsigned bit = bits; bit < 128; bit++) {
        low[bit / 8] &= (unsigned char)~(0x80u >> bit % 8);
        high[bit / 8] |= (unsigned char)(0x80u >> bit % 8);
    }
    return VZ_OK;
}

void vz_ip_print(const unsigned char address[VZ_IP_BYTES], char out[VZ_IP_TEXT])
{
    if (memcmp(address, mapped, sizeof mapped) == 0) {
        snprintf(out, VZ_IP_TEXT, "%u.%u.%u.%u", address[12], address[13], address[14],
                 address[15]);
        return;
    }
    unsigned part[8];
    int best = -1, best_len = 1; /* a lone zero is not shortened */
    for (int i = 0; i < 8; i++)
        part[i] = (unsigned)address[2 * i] << 8 | address[2 * i + 1];
    for (int i = 0; i < 8; i++) {
        int len = 0;
        while (i + len < 8 && part[i + len] == 0)
            len++;
        if (len > best_len) {
            best = i;
            best_len = len;
        }
        i += len;
    }
    char *at = out;
    for (int i = 0; i < 8; i++) {
        if (i == best) {
            *at++ = ':';
            *at++ = ':';
            i += best_len - 1;
            continue;
        }
        bool colon = i > 0 && (best < 0 || i != best + best_len);
        at += sprintf(at, "%s%x", colon ? ":" : "", part[i]);
    }
    *at = 0;
}
