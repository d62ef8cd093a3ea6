/* rest/rest.h - the Elasticsearch REST API over a store: requests in, answers out.
 *
 * One file per API group; the one room that knows HTTP status codes and Elasticsearch's error
 * types. vz_rest_handle serves a request from a socket (src/http calls it) or from the same
 * process (the command line calls it on a data folder that no server holds): one behaviour.
 * Threads: any number of vz_rest_handle at once.
 */
#ifndef VZ_REST_REST_H
#define VZ_REST_REST_H

#include "http/http.h"
#include "store/store.h"

struct vz_rest;
struct vz_infer; /* infer/infer.h */

struct vz_rest_options {
    const char *node_name;    /* NULL: the machine's name */
    const char *cluster_name; /* NULL: "vizsla" */
    struct vz_infer *infer;   /* models; NULL: whatever needs one is refused aloud */
    /* How many requests run at a time, those to models (_ml, _inference) not counted: they wait in
     * their deployment's queue, and whoever waits there must not keep others from running. The
     * server wants more workers than this, then. 0: as many as come. */
    unsigned concurrency;
    /* "host:port,..." that a _reindex may read from, '*' for any part of it; NULL: none. Borrowed
     * for as long as the rest. */
    const char *reindex_remotes;
};

/* `store` and `options->infer` are borrowed and outlive the rest. */
struct vz_rest *vz_rest_new(struct vz_store *store, const struct vz_rest_options *options);
void vz_rest_free(struct vz_rest *rest);
/* Before the server stops: cancels long requests (_reindex and its like), which would keep it from
 * stopping, and takes no new ones. From any thread, once. */
void vz_rest_stop(struct vz_rest *rest);
/* Opens the models that were started by name (deployments) before this process; a server calls it
 * once. What cannot be opened is logged. Blocks while files are read. */
void vz_rest_start_models(struct vz_rest *rest);
/* The server's counters for /metrics and _nodes/stats, and the address for _nodes/http. May be
 * called once after the server has started. */
void vz_rest_attach_server(struct vz_rest *rest, const struct vz_http_server *server,
                           const char *publish_address);

/* The http room's handler (context is a struct vz_rest). */
void vz_rest_handle(void *context, const struct vz_http_request *request,
                    struct vz_http_response *response);
/* The http room's rejecter: Elasticsearch-shaped bodies for 413, 429, 400. */
void vz_rest_reject(void *context, int status, const char *reason,
                    struct vz_http_response *response);
/* The http room's `quick`: searches that are likely cheaper than handing them to a worker. */
bool vz_rest_quick(void *context, const struct vz_http_request *request);
/* Headers that every answer carries (X-Elastic-Product); for vz_http_options.all_headers. */
extern const char *const vz_rest_headers[];

/* In-process call: method, path with query string, body. Answers as over the socket, uncompressed.
 * The caller deinits answer->body. */
void vz_rest_call(struct vz_rest *rest, const char *method, const char *path_and_query,
                  struct vz_slice body, struct vz_http_answer *answer);

#endif
