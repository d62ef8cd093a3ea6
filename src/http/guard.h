/* http/guard.h - inside the room: telling requests that a foreign web page makes through a browser
 * on this machine from those of programs.
 *
 * A server on loopback is reached by every page that its user opens. Browsers name the page's host
 * in Origin where a request can change something, so a foreign Origin is refused. A page whose
 * owner points its own name at 127.0.0.1 (DNS rebinding) counts as the same origin and can also
 * read, but then that name stands in Host: a server that listens on loopback alone is asked for by
 * an address or as localhost. Programs send no Origin, and one of these hosts. */
#ifndef VZ_HTTP_GUARD_H
#define VZ_HTTP_GUARD_H

#include "base/mem.h"

/* Whether a Host header ("localhost:9200", "[::1]", empty when absent) names loopback, is an
 * address, or is in `names`: comma-separated, without ports, "*" for any; NULL for none. */
bool vz_http_host_is_known(struct vz_slice host, const char *names);

/* Whether an Origin header (empty when absent) is that of a page from loopback, from the host that
 * the request names, or from one of `names`. "null", which any page can bring about, is not. */
bool vz_http_origin_is_known(struct vz_slice origin, struct vz_slice host, const char *names);

#endif
