/* http/http.h - an HTTP/1.1 server: sockets, requests, responses, limits. Knows no search.
 *
 * libmicrohttpd reads and writes on network threads; each complete request is handed to a worker
 * pool, where the one handler may take its time and block. Only what the caller's `quick` calls
 * cheap runs on the network thread that read it. Bodies arrive whole
 * (bounded) and already decompressed (Content-Encoding: gzip, deflate); answers are compressed when
 * the client accepts gzip and they are worth it.
 *
 * Threads: start/stop from one thread; the handler runs on any of these threads, several at once.
 *
 *     static void hello(void *ctx, const struct vz_http_request *rq, struct vz_http_response *rs)
 *     { rs->status = 200; vz_buf_append_str(&rs->body, "{}"); }
 *     vz_http_start(&(struct vz_http_options){.port = 9200, .handle = hello}, &server, &err);
 */
#ifndef VZ_HTTP_HTTP_H
#define VZ_HTTP_HTTP_H

#include "base/mem.h"
#include "base/status.h"

struct vz_http_param {
    struct vz_slice name, value; /* percent-decoded; value {"",0} for "?pretty" */
};

struct vz_http_request {
    const char *method;   /* "GET", "HEAD", ... upper case */
    struct vz_slice path; /* as sent, before decoding, without the query: "/a%2Fb/_doc/1" */
    const struct vz_http_param *params;
    size_t param_count;
    struct vz_slice body;         /* decompressed; empty when none. data[len] is NUL and at least 64
                                   * readable bytes follow, as fast parsers want */
    struct vz_slice content_type; /* empty when absent */
    struct vz_slice accept;
    struct vz_slice authorization;
    struct vz_slice opaque_id; /* X-Opaque-Id */
    const char *remote;        /* "127.0.0.1" */
    void *internal;
};

struct vz_http_response {
    int status;               /* 0 means 200 */
    const char *content_type; /* NULL means "application/json"; static or from `arena` */
    struct vz_buf body;       /* taken by the server */
    /* Extra headers, "Name: value" each; static or from `arena`. */
    const char *headers[8];
    size_t header_count;
    struct vz_arena arena; /* for the handler's use; freed after the answer is sent */
};

struct vz_http_options {
    const char *host;         /* numeric address; NULL means "127.0.0.1" */
    uint16_t port;            /* 0: any free one, see vz_http_port */
    unsigned network_threads; /* 0 means 1 */
    unsigned worker_threads;  /* 0 means the number of cores */
    size_t max_queue;         /* waiting requests before 429; 0 means 1024 */
    size_t max_body_bytes;    /* after decompression too; 0 means 100 MiB */
    size_t max_bodies_bytes;  /* of all requests being received or worked on, as sent; what is over
                               * it is answered 429; 0 means 1 GiB, or max_body_bytes if larger */
    unsigned max_connections; /* 0 means 4096 */
    unsigned idle_timeout_s;  /* 0 means 120 */
    const char *const *all_headers; /* NULL-terminated "Name: value" sent on EVERY answer, also on
                                     * those the server makes itself (404, 413, 429, 400) */
    /* Against foreign web pages in a browser on this machine (guard.h says how they are told):
     * answer 403 where Origin names a page that is neither from loopback, nor from the request's
     * own host, nor from known_hosts; and, for a server on loopback alone, where Host is no
     * address, no localhost and not in known_hosts. Programs send no Origin. */
    bool guard_origin, guard_host;
    const char *known_hosts; /* "dogs.example.org,other.example", "*" for any; NULL for none. Not
                              * copied: must live as long as the server */
    /* Whether this request is so cheap that handing it to a worker (some 15 us) costs more than
     * running it: then `handle` runs on the network thread, and must not block. Sees all but the
     * body, and is not asked about bodies over 16 KiB. NULL: never. */
    bool (*quick)(void *context, const struct vz_http_request *request);
    void (*handle)(void *context, const struct vz_http_request *request,
                   struct vz_http_response *response);
    /* Makes the body of an answer that the server gives without the handler: 400 malformed escape
     * or damaged compression, 403 foreign page, 413 body too large, 415 unknown Content-Encoding,
     * 429 queue full or bodies over their limit, 503 stopping. On a network thread or a worker; must not block. NULL:
     * plain text. What libmicrohttpd itself cannot parse it answers by itself, without this and
     * without all_headers. */
    void (*reject)(void *context, int status, const char *reason,
                   struct vz_http_response *response);
    void *context;
};

struct vz_http_counts {
    uint64_t requests, rejected, connections_total;
    uint64_t bytes_in, bytes_out; /* of bodies, as on the wire */
    uint64_t bodies_bytes;        /* held now by unfinished requests */
    unsigned connections_open, queued, running;
    uint64_t by_class[6]; /* answers by status / 100 */
};

struct vz_http_server;
/* Errors: VZ_BUSY when the port is taken (text names it), VZ_BAD_ARGUMENT. all_headers must live as
 * long as the server; the rest of `options` is copied. Raises the soft limit of open files to what
 * max_connections needs, as far as the hard limit allows. */
enum vz_status vz_http_start(const struct vz_http_options *options, struct vz_http_server **server,
                             struct vz_error *err);
uint16_t vz_http_port(const struct vz_http_server *server);
void vz_http_count(const struct vz_http_server *server, struct vz_http_counts *counts);
/* Graceful: takes no new connections, lets requests finish for up to grace_ms, closes. Blocks. A
 * handler cannot be interrupted: after the grace, those that run are still waited for, requests
 * that wait for a worker are answered 503. Requests that are still being sent get one second of it.
 * Frees the server; NULL is allowed. */
void vz_http_stop(struct vz_http_server *server, unsigned grace_ms);

/* Whether the client has closed its connection (or its half of it), so that nobody waits for the
 * answer. Of a request whose handler runs; false for one that came over no socket. Cheap. */
bool vz_http_gone(const struct vz_http_request *request);

/* Request helpers. vz_http_param gives the first parameter of that name. In parameters, as in HTML
 * forms and Elasticsearch, '+' is a space. */
bool vz_http_param(const struct vz_http_request *request, const char *name, struct vz_slice *value);
/* Percent-decodes into the arena ('+' stays '+'); false on a malformed escape or a NUL. */
bool vz_http_decode(struct vz_slice text, struct vz_arena *arena, struct vz_slice *out);

/* A client for the same protocol (libcurl): the command line speaks to a running server with it.
 * Blocking; a connection is kept per thread. `url` is the base ("http://127.0.0.1:9200"); `path`
 * starts with '/'. An HTTP error status is no error here. Errors, with an empty *answer: VZ_IO
 * (cannot connect, or no HTTP; the text says to what), VZ_LIMIT (an answer without end). */
#define VZ_HTTP_MAX_ANSWER_BYTES (256 << 20)
struct vz_http_answer {
    int status;
    struct vz_buf body;
};
/* How this process shows who it is to the servers that it calls, and which certificates it trusts.
 * The texts are borrowed for the rest of the process; called once, before the first call. */
struct vz_http_access {
    const char *api_key;  /* "Authorization: ApiKey ..." as the server gave it; NULL: none */
    const char *ca_certs; /* a file of certificates in PEM; NULL: the system's */
    bool insecure;        /* certificates are not checked */
};
void vz_http_client_access(const struct vz_http_access *access);
enum vz_status vz_http_call(const char *url, const char *method, const char *path,
                            struct vz_slice body, const char *content_type,
                            struct vz_http_answer *answer, struct vz_error *err);
/* The same to somebody else's server: within so many seconds altogether, without this process's
 * key, and as `user` ("name:password"; NULL: nobody) if it wants to know. Asks `stops` (or NULL)
 * about once a second, in the calling thread, whether to give up: VZ_IO. */
struct vz_http_foreign {
    const char *user;
    unsigned timeout_s;
    bool (*stops)(const void *context);
    const void *context;
};
enum vz_status vz_http_call_foreign(const char *url, const char *method, const char *path,
                                    struct vz_slice body, const struct vz_http_foreign *how,
                                    struct vz_http_answer *answer, struct vz_error *err);

#endif
