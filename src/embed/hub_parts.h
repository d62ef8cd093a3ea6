/* embed/hub_parts.h - one HTTP request, as hub.c needs it. For hub*.c only. */
#ifndef VZ_EMBED_HUB_PARTS_H
#define VZ_EMBED_HUB_PARTS_H

#include "base/mem.h"
#include "base/status.h"
#include "embed/registry_parts.h"

#define VZ_HUB_UNKNOWN UINT64_MAX

struct vz_hub_client;

/* Where a body goes: appended to a file that holds `have` bytes, or to a buffer. */
struct vz_hub_sink {
    int fd; /* -1: `buf` */
    struct vz_buf *buf;
    const char *folder; /* of the file, to ask how much room there is; NULL: do not ask */
    uint64_t have;      /* asked for from here on; grows; back to 0 when the whole is sent anew */
    uint64_t expected;  /* of the whole, or VZ_HUB_UNKNOWN: then learnt from the answer */
    uint64_t limit;     /* more is refused */
    uint64_t received;  /* in all calls */
    const struct vz_model_watch *watch;
    uint64_t done_before, total; /* for the watch */
};

/* What the endpoint itself said about the file; a host it redirects to is not asked. */
struct vz_hub_reply {
    long code;
    unsigned retry_after_s;
    char digest[65]; /* "" when unknown */
    enum vz_digest_kind digest_kind;
};

/* `endpoint`, `token`: not NULL, "" for no token. Errors: VZ_BAD_ARGUMENT, VZ_BUDGET. */
enum vz_status vz_hub_client_new(const char *endpoint, const char *token, unsigned silence_s,
                                 struct vz_hub_client **out, struct vz_error *err);
void vz_hub_client_free(struct vz_hub_client *client);
const char *vz_hub_endpoint(const struct vz_hub_client *client); /* no '/' at the end */

/* One try, redirects followed. `what` names the thing in messages. *again: the failure may pass. */
enum vz_status vz_hub_get(struct vz_hub_client *client, const char *url, const char *what,
                          struct vz_hub_sink *sink, struct vz_hub_reply *reply, bool *again,
                          struct vz_error *err);

#endif
