/* http/coding.h - inside the room: Content-Encoding both ways, with zlib. Thread-safe; the
 * compressor keeps its state per thread (256 KiB on threads that compress). */
#ifndef VZ_HTTP_CODING_H
#define VZ_HTTP_CODING_H

#include "base/mem.h"
#include "base/status.h"

enum vz_http_coding { VZ_HTTP_IDENTITY, VZ_HTTP_GZIP, VZ_HTTP_DEFLATE, VZ_HTTP_UNKNOWN_CODING };

/* Of a Content-Encoding header; an empty one is identity. */
enum vz_http_coding vz_http_coding_of(struct vz_slice content_encoding);
/* Whether an Accept-Encoding header allows gzip (its weight is not 0). */
bool vz_http_accepts_gzip(struct vz_slice accept_encoding);

/* Appends the decompressed bytes to `out`. "deflate" may be zlib's format or, as some clients send,
 * raw. VZ_LIMIT when more than max_bytes come out: at most that much is ever held. VZ_BAD_ARGUMENT
 * on damaged or cut input. */
enum vz_status vz_http_inflate(enum vz_http_coding coding, struct vz_slice in, size_t max_bytes,
                               struct vz_buf *out, struct vz_error *err);
/* Appends the gzip form (level 1); false, with `out` unchanged, when it is not smaller. */
bool vz_http_gzip(struct vz_slice in, struct vz_buf *out);

#endif
