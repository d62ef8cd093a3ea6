#include "http/guard.h"

#include <arpa/inet.h>
#include <strings.h>

static bool same_name(struct vz_slice a, struct vz_slice b)
{
    return a.len == b.len && (a.len == 0 || strncasecmp(a.ptr, b.ptr, a.len) == 0);
}

/* "host:port", "[v6]:port" -> "host", "v6"; without the dot that may end a whole name. */
static struct vz_slice host_of(struct vz_slice authority)
{
    const char *from = authority.ptr;
    const char *end;
    if (authority.len && *from == '[') {
        end = memchr(from, ']', authority.len);
        return end ? (struct vz_slice){from + 1, (size_t)(end - from) - 1} : (struct vz_slice){0};
    }
    end = authority.len ? memchr(from, ':', authority.len) : NULL;
    struct vz_slice host = {from, end ? (size_t)(end - from) : authority.len};
    if (host.len && host.ptr[host.len - 1] == '.')
        host.len--;
    return host;
}

static bool is_address(struct vz_slice host, bool *loopback)
{
    char text[INET6_ADDRSTRLEN];
    struct in_addr v4;
    struct in6_addr v6;
    *loopback = false;
    if (host.len == 0 || host.len >= sizeof text)
        return false;
    memcpy(text, host.ptr, host.len);
    text[host.len] = 0;
    if (inet_pton(AF_INET, text, &v4) == 1) {
        *loopback = ntohl(v4.s_addr) >> 24 == 127;
        return true;
    }
    if (inet_pton(AF_INET6, text, &v6) != 1)
        return false;
    *loopback = IN6_IS_ADDR_LOOPBACK(&v6);
    return true;
}

/* localhost and what is below it never leave the machine (RFC 6761, 6.3). */
static bool is_localhost(struct vz_slice host)
{
    static const char below[] = ".localhost";
    size_t len = sizeof below - 1;
    return same_name(host, VZ_SLICE("localhost")) ||
           (host.len > len && strncasecmp(host.ptr + host.len - len, below, len) == 0);
}

static bool is_listed(struct vz_slice host, const char *names)
{
    while (names && *names) {
        size_t len = strcspn(names, ", ");
        struct vz_slice name = {names, len};
        if (len && (vz_slice_is(name, "*") || same_name(name, host)))
            return true;
        names += len;
        names += strspn(names, ", ");
    }
    return false;
}

bool vz_http_host_is_known(struct vz_slice authority, const char *names)
{
    bool loopback;
    struct vz_slice host = host_of(authority);
    return authority.len == 0 || is_address(host, &loopback) || is_localhost(host) ||
           is_listed(host, names);
}

bool vz_http_origin_is_known(struct vz_slice origin, struct vz_slice authority, const char *names)
{
    if (origin.len == 0)
        return true;
    const char *mark = memmem(origin.ptr, origin.len, "://", 3);
    size_t skip = mark ? (size_t)(mark - origin.ptr) + 3 : origin.len;
    struct vz_slice page = host_of((struct vz_slice){origin.ptr + skip, origin.len - skip});
    bool loopback = false;
    if (page.len == 0)
        return is_listed(origin, names); /* "null" */
    is_address(page, &loopback);
    return loopback || is_localhost(page) || same_name(page, host_of(authority)) ||
           is_listed(page, names);
}
