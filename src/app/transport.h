/* app/transport.h - how the applications reach a REST API: one function.
 *
 * The command line provides two: into this process (no server holds the data folder) and over
 * HTTP. Threads: one call at a time.
 */
#ifndef VZ_APP_TRANSPORT_H
#define VZ_APP_TRANSPORT_H

#include "base/mem.h"
#include "base/status.h"

struct vz_transport {
    /* Sends one request and waits. `path` may carry a query string; an empty body sends none.
     * content_type NULL means "application/json". The answer's body is appended to *answer. Any
     * HTTP status is VZ_OK; VZ_IO when the other side is not there. */
    enum vz_status (*call)(void *context, const char *method, const char *path,
                           struct vz_slice body, const char *content_type, int *http_status,
                           struct vz_buf *answer, struct vz_error *err);
    void *context;
};

/* Turns an answer that is no success into an error: VZ_NO_INDEX for a missing index, VZ_BUSY for
 * 429, VZ_DISK_FULL/VZ_IO for 5xx, VZ_BAD_ARGUMENT otherwise; the text is the answer's
 * error.reason (or its first bytes), prefixed by `doing`. VZ_OK for 2xx. */
enum vz_status vz_transport_check(int http_status, struct vz_slice answer, const char *doing,
                                  struct vz_error *err);

#endif
