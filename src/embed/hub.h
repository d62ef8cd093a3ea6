/* embed/hub.h - fetches models from a hub that serves Hugging Face's URLs, into the registry's
 * store.
 *
 * The one place of the program that reaches out to a network, and only when vz_hub_pull is called.
 * Two kinds of request: the listing of one revision, and the needed files of the commit that it
 * names. Everything the other side says is bounded and checked: names, counts, sizes, checksums.
 *
 *     GET {endpoint}/api/models/{org}/{name}/revision/{revision}?blobs=true
 *     GET {endpoint}/{org}/{name}/resolve/{commit}/{path}
 *
 * Downloads go to *.partial files in STORE/.pulling/; an interrupted one goes on where it stopped,
 * in the same call (cut connections, 5xx, 429) or the next (a killed process, a full disk).
 * The token goes to the endpoint's own scheme, host and port, and over plain http only to this
 * machine itself.
 *
 * Threads: any; one pull at a time a model (VZ_BUSY). Blocks for as long as it takes.
 *
 *     struct vz_hub_options options = {0};
 *     vz_hub_pull(store, "clip-ViT-B-32", &options, &arena, &pulled, &err);
 */
#ifndef VZ_EMBED_HUB_H
#define VZ_EMBED_HUB_H

#include "embed/registry.h"

/* Zeroed is ready to use. Borrowed during the call. */
struct vz_hub_options {
    const char *endpoint;        /* NULL: $HF_ENDPOINT, else the public hub */
    const char *token;           /* NULL: $HF_TOKEN; "": none */
    bool update;                 /* look for a newer commit of an installed model */
    unsigned retries;            /* failed tries in a row without a byte of progress; 0: 5 */
    unsigned silence_s;          /* a connection silent for so long is cut; 0: 30 */
    struct vz_model_watch watch; /* "downloading", "checking", "waiting" */
};

struct vz_hub_pulled {
    struct vz_model model;
    bool was_installed;     /* nothing was done */
    uint64_t fetched_bytes; /* in this call */
    uint64_t resumed_bytes; /* were there from an earlier one */
    size_t unchecked_count; /* files for which the hub told no checksum */
};

/* Installs the model (embed/registry.h), or finds it installed: without `update` that asks no
 * network. Errors:
 * VZ_BAD_NAME       no name of a model
 * VZ_BAD_ARGUMENT   401 or 403 (the text says what to do), or an endpoint that is no http(s) URL
 * VZ_NOT_FOUND      404, or no files this program reads
 * VZ_CORRUPT        a wrong checksum (the file is dropped), an answer that makes no sense, names
 * that lead out of the folder VZ_LIMIT          sizes or counts beyond all reason VZ_DISK_FULL
 * before, when sizes are known, or in the middle: what there is stays for resuming VZ_IO nobody
 * there, cut too often, a certificate that is not trusted VZ_BUSY, VZ_READ_ONLY, VZ_UNSUPPORTED,
 * VZ_CANCELLED The model in the store, if any, is as it was after any error. */
enum vz_status vz_hub_pull(const char *store, const char *name,
                           const struct vz_hub_options *options, struct vz_arena *arena,
                           struct vz_hub_pulled *out, struct vz_error *err);

#endif
