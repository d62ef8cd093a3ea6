/* server.c - connections on libmicrohttpd's threads, handlers on workers.
 *
 * One request is one `struct exchange`, owned by one side at a time:
 *
 *     READING   network thread: target seen, headers and body arrive
 *     HANDED    a worker (or its queue): the connection is suspended, libmicrohttpd leaves it alone
 *     READY     network thread again: the answer is there, or was refused without a handler
 *     ANSWERED  queued for sending; freed when libmicrohttpd says that the request is over
 *
 *   target_seen -> on_request (many calls) -> hand_over -> work -> on_request -> finished
 *
 * Ownership moves to the worker through the pool's mutex and back through libmicrohttpd's own (its
 * resume takes a lock that its loop takes too), so the fields need no locks of their own. The
 * counters are relaxed atomics: each is only ever read alone.
 *
 * Invariants
 *  1. A connection is suspended before its exchange is pushed; otherwise the worker could resume it
 *     first and it would sleep for ever.
 *  2. Nothing of an exchange is touched after MHD_resume_connection: the network thread may free
 *     it at once.
 *  3. Every exchange that target_seen made is freed by `finished`, also on broken connections, so
 *     exchanges_open == 0 means that nothing is being read, worked on or sent, and complete == 0
 *     that no request that arrived in full waits for its answer.
 *
 * Known of libmicrohttpd 0.9.75: when part of a request and the end of the stream arrive in one go,
 * its edge-triggered loop does not see the end, and the connection is held until the idle timeout.
 * Stopping therefore waits for requests still being read for READING_GRACE_MS at most.
 *
 * What the hand-off costs, measured on two cores shared with the client, two keep-alive
 * connections, a handler that does nothing (bench/http/rate.c): on workers 29,000 to 39,000
 * requests a second, on the network thread 56,000, on two network threads up to 110,000. The
 * difference, some 15 us, is two thread wake-ups (a futex for the worker, an eventfd for the
 * network thread). So:
 *
 *   - a request that the caller's `quick` calls cheap runs where it was read; the rest, which take
 *     longer than the hand-off, go to workers. A network thread is held up only by what `quick`
 *     misjudges, so whoever gives one must bound that (src/rest/rest.c does, for searches);
 *   - rejected: handlers on several network threads for all requests: fastest, but one slow commit
 *     stalls every connection that shares its thread;
 *   - connections are let in by one thread, which gives each to the network thread with the fewest.
 *     Rejected: libmicrohttpd's pool of threads on one listening socket (MHD_OPTION_THREAD_POOL_SIZE):
 *     of four clients that came together often all were on one thread, and searches had half the
 *     requests a second (bench/search, terms: 10,300 where 17,300 were possible).
 *   - rejected: workers that spin before they sleep: they take the core the client needs (20,000).
 *
 * POOL_BYTES is what an idle connection costs, because libmicrohttpd clears all of it after each
 * request. 24 KiB holds 16 KB of headers, and bodies arrive at 1.4 GB/s with it, as with 128 KiB.
 *
 * libmicrohttpd answers what it cannot parse by itself (a broken request line, headers too large):
 * these answers carry none of `all_headers`.
 */
#include "http/http.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/thread.h"
#include "http/coding.h"
#include "http/guard.h"
#include "http/request.h"

#include <arpa/inet.h>
#include <errno.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    PADDING = 64,          /* readable bytes behind a body, as http.h promises */
    GZIP_MIN_BYTES = 1024, /* smaller answers are sent as they are */
    BODY_AHEAD = 1 << 20,  /* a body of known length gets its buffer at once up to this size */
    READING_GRACE_MS =
        1000, /* how long stopping waits for requests that have not arrived in full */
    SENDING_GRACE_MS = 2000, /* and, when the grace is over, for the sending of the last answers */
    QUICK_MAX_BODY = 16 * 1024,
    POOL_BYTES = 24 * 1024, /* libmicrohttpd's memory a connection: request line, headers, reads */
};

/* A network thread: a daemon of its own, which is given its connections. */
struct network {
    struct vz_http_server *server;
    struct MHD_Daemon *daemon;
    atomic_uint connections;
};

struct vz_http_server {
    /* Immutable after start. */
    struct vz_http_options options;
    struct network *networks; /* options.network_threads */
    struct vz_pool *pool;
    int listener;
    pthread_t acceptor;
    uint16_t port;

    /* Guards pushes against the end of the pool. */
    pthread_mutex_t gate;
    bool closed; /* guarded by gate */

    /* Relaxed counters; see the essay. */
    atomic_uint_fast64_t requests, rejected, connections_total, bytes_in, bytes_out, by_class[6];
    atomic_uint connections_open, running, exchanges_open, complete;
    atomic_size_t bodies_bytes; /* held by requests that are not finished */
    atomic_bool stopping;       /* answers say "Connection: close" */
    atomic_bool hurrying;       /* the grace is over: what is still queued is refused */
};

enum phase { READING, HANDED, READY, ANSWERED };

struct exchange {
    struct vz_http_server *server;
    struct MHD_Connection *connection;
    enum phase phase;
    bool headers_seen;
    struct vz_slice content_encoding, accept_encoding, host, origin;
    size_t content_length;
    bool has_content_length;
    bool head;
    bool target_ok;
    bool gzipped;      /* response.body is compressed */
    size_t body_bytes; /* of the request, as received, also of those dropped */
    size_t held_bytes; /* this request's part of bodies_bytes */
    bool crowded_out;  /* the bodies of all requests together were too large */
    int fd;
    struct vz_buf body; /* as received, later decompressed */
    struct vz_http_request request;
    struct vz_http_response response;
    struct vz_arena arena; /* target, parameters, texts of the request */
    char remote[INET6_ADDRSTRLEN];
};

static const char NO_BODY[PADDING + 1];

#define COUNT(counter) atomic_fetch_add_explicit(&(counter), 1, memory_order_relaxed)
#define ADD(counter, n) atomic_fetch_add_explicit(&(counter), (n), memory_order_relaxed)
#define DROP(counter) atomic_fetch_sub_explicit(&(counter), 1, memory_order_relaxed)
#define READ(counter) atomic_load_explicit(&(counter), memory_order_relaxed)

/* ---- an exchange's life ---------------------------------------------------------------------- */

/* libmicrohttpd calls this with the raw target, once a request, before it reads the headers. */
static void *target_seen(void *context, const char *target, struct MHD_Connection *connection)
{
    struct vz_http_server *server = context;
    struct exchange *x = vz_calloc(1, sizeof *x);
    x->server = server;
    x->connection = connection;
    COUNT(server->exchanges_open);
    struct vz_slice copy = vz_arena_copy(&x->arena, vz_slice_from(target));
    struct vz_http_param *params;
    x->target_ok =
        vz_http_split_target(copy, &x->arena, &x->request.path, &params, &x->request.param_count);
    x->request.params = params;
    return x;
}

static void drop_body(struct exchange *x)
{
    vz_buf_deinit(&x->body);
    atomic_fetch_sub_explicit(&x->server->bodies_bytes, x->held_bytes, memory_order_relaxed);
    x->held_bytes = 0;
}

static void finished(void *context, struct MHD_Connection *connection, void **state,
                     enum MHD_RequestTerminationCode code)
{
    struct vz_http_server *server = context;
    struct exchange *x = *state;
    *state = NULL;
    if (!x)
        return;
    drop_body(x);
    vz_buf_deinit(&x->response.body);
    vz_arena_deinit(&x->response.arena);
    vz_arena_deinit(&x->arena);
    if (x->phase != READING)
        DROP(server->complete);
    free(x);
    DROP(server->exchanges_open);
}

static void count_out(struct network *network)
{
    DROP(network->server->connections_open);
    DROP(network->connections);
}

static void connection_changed(void *context, struct MHD_Connection *connection, void **state,
                               enum MHD_ConnectionNotificationCode code)
{
    if (code == MHD_CONNECTION_NOTIFY_CLOSED)
        count_out(context); /* assign() counted it in */
}

/* ---- answers --------------------------------------------------------------------------------- */

static bool may_shrink(const char *content_type)
{
    static const char *const dense[] = {"image/",          "video/",           "audio/",
                                        "application/zip", "application/gzip", "font/"};
    for (size_t i = 0; content_type && i < VZ_COUNT_OF(dense); i++) {
        if (strncmp(content_type, dense[i], strlen(dense[i])) == 0)
            return strcmp(content_type, "image/svg+xml") == 0;
    }
    return true;
}

/* Any thread that owns the exchange. */
static void compress_answer(struct exchange *x)
{
    struct vz_buf *body = &x->response.body;
    if (x->head || body->len <= GZIP_MIN_BYTES || !may_shrink(x->response.content_type) ||
        !vz_http_accepts_gzip(x->accept_encoding))
        return;
    struct vz_buf small = {0};
    if (!vz_http_gzip(vz_buf_slice(body), &small)) {
        vz_buf_deinit(&small);
        return;
    }
    vz_buf_deinit(body);
    *body = small;
    x->gzipped = true;
}

/* Fills the response as the caller of vz_http_start wants refusals to look. Any thread. */
static void refuse(struct exchange *x, int status, const char *reason)
{
    const struct vz_http_options *options = &x->server->options;
    COUNT(x->server->rejected);
    vz_buf_clear(&x->response.body);
    x->response.header_count = 0;
    x->response.content_type = NULL;
    x->response.status = status;
    if (options->reject) {
        options->reject(options->context, status, reason, &x->response);
        if (x->response.status == 0)
            x->response.status = status;
    } else {
        x->response.content_type = "text/plain; charset=UTF-8";
        vz_buf_printf(&x->response.body, "%s\n", reason);
    }
}

static void add_header_line(struct MHD_Response *response, const char *line)
{
    const char *colon = strchr(line, ':');
    if (!colon)
        return;
    char name[128];
    size_t len = (size_t)(colon - line);
    if (len == 0 || len >= sizeof name)
        return;
    memcpy(name, line, len);
    name[len] = 0;
    const char *value = colon + 1;
    while (*value == ' ')
        value++;
    MHD_add_response_header(response, name, value);
}

/* Network thread: the request will be answered. */
static void leave_reading(struct exchange *x, enum phase phase)
{
    if (x->phase == READING)
        COUNT(x->server->complete);
    x->phase = phase;
}

/* Network thread: gives the filled response to libmicrohttpd. */
static enum MHD_Result send_answer(struct exchange *x, bool close_after)
{
    struct vz_http_server *server = x->server;
    struct vz_http_response *rs = &x->response;
    int status = rs->status ? rs->status : 200;
    struct MHD_Response *response = MHD_create_response_from_buffer(
        rs->body.len, rs->body.len ? rs->body.data : (char *)(uintptr_t)NO_BODY,
        MHD_RESPMEM_PERSISTENT); /* the exchange outlives the sending */
    if (!response)
        return MHD_NO;
    MHD_add_response_header(response, "content-type",
                            rs->content_type ? rs->content_type : "application/json");
    if (x->gzipped)
        MHD_add_response_header(response, "content-encoding", "gzip");
    for (const char *const *line = server->options.all_headers; line && *line; line++)
        add_header_line(response, *line);
    for (size_t i = 0; i < rs->header_count; i++)
        add_header_line(response, rs->headers[i]);
    if (close_after || READ(server->stopping))
        MHD_add_response_header(response, "Connection", "close");
    COUNT(server->by_class[status >= 100 && status < 600 ? status / 100 : 0]);
    ADD(server->bytes_out, x->head ? 0 : rs->body.len);
    leave_reading(x, ANSWERED);
    enum MHD_Result result = MHD_queue_response(x->connection, (unsigned)status, response);
    MHD_destroy_response(response);
    return result;
}

/* ---- the worker's side ----------------------------------------------------------------------- */

static void pad_body(struct vz_buf *body)
{
    vz_buf_reserve(body, PADDING);
    memset(body->data + body->len, 0, PADDING);
}

/* False when the body was refused. */
static bool decode_body(struct exchange *x)
{
    if (x->body.len == 0) {
        x->request.body = (struct vz_slice){NO_BODY, 0};
        return true;
    }
    enum vz_http_coding coding = vz_http_coding_of(x->content_encoding);
    if (coding == VZ_HTTP_UNKNOWN_CODING) {
        refuse(x, 415, "the Content-Encoding of the request is not supported: use gzip or deflate");
        return false;
    }
    if (coding != VZ_HTTP_IDENTITY) {
        struct vz_buf plain = {0};
        struct vz_error err = {0};
        enum vz_status status = vz_http_inflate(coding, vz_buf_slice(&x->body),
                                                x->server->options.max_body_bytes, &plain, &err);
        vz_buf_deinit(&x->body);
        x->body = plain;
        if (status != VZ_OK) {
            refuse(x, status == VZ_LIMIT ? 413 : status == VZ_BUDGET ? 503 : 400, err.text);
            return false;
        }
    }
    pad_body(&x->body);
    x->request.body = vz_buf_slice(&x->body);
    return true;
}

static void run_handler(struct exchange *x)
{
    struct vz_http_server *server = x->server;
    if (READ(server->hurrying)) {
        refuse(x, 503, "the server is stopping");
    } else if (decode_body(x)) {
        COUNT(server->running);
        server->options.handle(server->options.context, &x->request, &x->response);
        DROP(server->running);
    }
    compress_answer(x);
}

/* On a worker. */
static void work(void *context)
{
    struct exchange *x = context;
    struct MHD_Connection *connection = x->connection;
    run_handler(x);
    x->phase = READY;
    MHD_resume_connection(connection); /* invariant 2: x is not ours any more */
}

/* ---- the network thread's side --------------------------------------------------------------- */

static enum MHD_Result see_header(void *context, enum MHD_ValueKind kind, const char *name,
                                  const char *text)
{
    struct exchange *x = context;
    struct vz_slice value = vz_slice_from(text);
    if (strcasecmp(name, "content-type") == 0) {
        x->request.content_type = value;
    } else if (strcasecmp(name, "accept") == 0) {
        x->request.accept = value;
    } else if (strcasecmp(name, "authorization") == 0) {
        x->request.authorization = value;
    } else if (strcasecmp(name, "x-opaque-id") == 0) {
        x->request.opaque_id = value;
    } else if (strcasecmp(name, "content-encoding") == 0) {
        x->content_encoding = value;
    } else if (strcasecmp(name, "accept-encoding") == 0) {
        x->accept_encoding = value;
    } else if (strcasecmp(name, "host") == 0) {
        x->host = value;
    } else if (strcasecmp(name, "origin") == 0) {
        x->origin = value;
    } else if (strcasecmp(name, "content-length") == 0) {
        char *end;
        errno = 0;
        unsigned long long length = strtoull(text, &end, 10);
        x->has_content_length = true;
        x->content_length = errno || *end || length > SIZE_MAX ? SIZE_MAX : (size_t)length;
    }
    return MHD_YES;
}

static void see_remote(struct exchange *x)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(x->connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    const struct sockaddr *address = info ? info->client_addr : NULL;
    if (address && address->sa_family == AF_INET)
        inet_ntop(AF_INET, &((const struct sockaddr_in *)(const void *)address)->sin_addr,
                  x->remote, sizeof x->remote);
    else if (address && address->sa_family == AF_INET6)
        inet_ntop(AF_INET6, &((const struct sockaddr_in6 *)(const void *)address)->sin6_addr,
                  x->remote, sizeof x->remote);
    x->request.remote = x->remote;
}

/* Immutable while a handler runs, and the socket stays open until the exchange is finished. */
static void see_socket(struct exchange *x)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(x->connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    x->fd = info ? info->connect_fd : -1;
}

bool vz_http_gone(const struct vz_http_request *request)
{
    const struct exchange *x = request->internal;
    if (!x || x->fd < 0)
        return false;
    struct pollfd socket = {.fd = x->fd, .events = POLLRDHUP};
    return poll(&socket, 1, 0) == 1 && (socket.revents & (POLLRDHUP | POLLHUP | POLLERR));
}

/* Refuses what a foreign web page sends; false when it did. */
static bool admit(struct exchange *x)
{
    const struct vz_http_options *o = &x->server->options;
    char reason[400];
    if (o->guard_host && !vz_http_host_is_known(x->host, o->known_hosts)) {
        snprintf(reason, sizeof reason,
                 "requests for the host [%.100s] are refused, because a web page can have pointed "
                 "that name at this machine; name it in --allow-host if it is yours",
                 x->host.ptr);
        refuse(x, 403, reason);
        return false;
    }
    if (o->guard_origin && !vz_http_origin_is_known(x->origin, x->host, o->known_hosts)) {
        snprintf(reason, sizeof reason,
                 "requests of web pages from [%.100s] are refused; name its host in --allow-host "
                 "if it is yours",
                 x->origin.ptr);
        refuse(x, 403, reason);
        return false;
    }
    return true;
}

/* First call of a request: the headers are there, nothing of the body was read. */
static enum MHD_Result headers_arrived(struct exchange *x, const char *method)
{
    struct vz_http_server *server = x->server;
    x->headers_seen = true;
    x->request.method = method;
    x->request.internal = x;
    x->head = strcmp(method, "HEAD") == 0;
    COUNT(server->requests);
    MHD_get_connection_values(x->connection, MHD_HEADER_KIND, see_header, x);
    see_remote(x);
    see_socket(x);
    if (!admit(x))
        return send_answer(x, true);
    if (x->has_content_length && x->content_length > server->options.max_body_bytes) {
        char reason[128];
        snprintf(reason, sizeof reason, "the request body is over the limit of %zu bytes",
                 server->options.max_body_bytes);
        refuse(x, 413, reason);
        return send_answer(x, true);
    }
    if (x->has_content_length && x->content_length > 0)
        vz_buf_reserve(&x->body, VZ_MIN(x->content_length, (size_t)BODY_AHEAD) + PADDING);
    return MHD_YES;
}

/* A chunked body shows its size only as it comes. libmicrohttpd cannot answer in the middle of one,
 * so what is over the limit is dropped unread, and a client that sends twice the limit is cut. */
static enum MHD_Result body_arrived(struct exchange *x, const char *bytes, size_t *len)
{
    struct vz_http_server *server = x->server;
    size_t limit = server->options.max_body_bytes;
    x->body_bytes += *len;
    ADD(server->bytes_in, *len);
    if (x->body_bytes > limit || x->crowded_out) {
        drop_body(x);
    } else if (ADD(server->bodies_bytes, *len) + *len > server->options.max_bodies_bytes) {
        x->held_bytes += *len;
        x->crowded_out = true;
        drop_body(x);
    } else {
        x->held_bytes += *len;
        vz_buf_append(&x->body, bytes, *len);
    }
    *len = 0;
    return x->body_bytes / 2 > limit ? MHD_NO : MHD_YES;
}

/* The request is complete: to a worker, or refused at once. */
static enum MHD_Result hand_over(struct exchange *x)
{
    struct vz_http_server *server = x->server;
    const struct vz_http_options *options = &server->options;
    if (x->body_bytes > options->max_body_bytes) {
        char reason[128];
        snprintf(reason, sizeof reason, "the request body is over the limit of %zu bytes",
                 options->max_body_bytes);
        refuse(x, 413, reason);
        return send_answer(x, true);
    }
    if (x->crowded_out) {
        refuse(x, 429, "the request bodies being received are over the limit of all together");
        return send_answer(x, false);
    }
    if (!x->target_ok) {
        refuse(x, 400, "malformed percent escape in the query string");
        return send_answer(x, false);
    }
    if (options->quick && x->body_bytes <= QUICK_MAX_BODY &&
        options->quick(options->context, &x->request)) {
        run_handler(x);
        return send_answer(x, false);
    }
    leave_reading(x, HANDED);
    MHD_suspend_connection(x->connection); /* invariant 1 */
    pthread_mutex_lock(&server->gate);
    bool closed = server->closed;
    bool pushed = !closed && vz_pool_push(server->pool, work, x) == VZ_OK;
    pthread_mutex_unlock(&server->gate);
    if (!pushed) {
        refuse(x, closed ? 503 : 429,
               closed ? "the server is stopping" : "too many requests are waiting");
        x->phase = READY;
        MHD_resume_connection(x->connection);
    }
    return MHD_YES;
}

static enum MHD_Result on_request(void *context, struct MHD_Connection *connection, const char *url,
                                  const char *method, const char *version, const char *bytes,
                                  size_t *len, void **state)
{
    struct exchange *x = *state;
    if (!x->headers_seen)
        return headers_arrived(x, method);
    if (*len > 0)
        return body_arrived(x, bytes, len);
    switch (x->phase) {
    case READING:
        return hand_over(x);
    case READY:
        return send_answer(x, false);
    case HANDED: /* libmicrohttpd's promise: not called while suspended */
    case ANSWERED:
        break;
    }
    return MHD_YES;
}

/* ---- start and stop -------------------------------------------------------------------------- */

/* The target is decoded by us, from its raw form; what libmicrohttpd makes of it is not used. */
static size_t no_unescape(void *context, struct MHD_Connection *connection, char *text)
{
    return strlen(text);
}

static void log_daemon(void *context, const char *format, va_list args)
{
    char line[400];
    if (!vz_log_enabled(VZ_LOG_DEBUG))
        return;
    vsnprintf(line, sizeof line, format, args);
    vz_log(VZ_LOG_DEBUG, "http", "%s", line);
}

static enum vz_status open_listener(const struct vz_http_options *options, int *out, uint16_t *port,
                                    struct vz_error *err)
{
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } address = {0};
    socklen_t len;
    if (inet_pton(AF_INET, options->host, &address.v4.sin_addr) == 1) {
        address.v4.sin_family = AF_INET;
        address.v4.sin_port = htons(options->port);
        len = sizeof address.v4;
    } else if (inet_pton(AF_INET6, options->host, &address.v6.sin6_addr) == 1) {
        address.v6.sin6_family = AF_INET6;
        address.v6.sin6_port = htons(options->port);
        len = sizeof address.v6;
    } else {
        return vz_fail(err, VZ_BAD_ARGUMENT, "[%s] is not a numeric address", options->host);
    }
    int fd = socket(address.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return vz_fail_errno(err, errno, "cannot make a socket");
    int on = 1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on); /* accepted sockets inherit it */
    if (bind(fd, &address.any, len) != 0 || listen(fd, SOMAXCONN) != 0) {
        int code = errno;
        close(fd);
        if (code == EADDRINUSE)
            return vz_fail(err, VZ_BUSY, "port %u of %s is in use", options->port, options->host);
        if (code == EADDRNOTAVAIL)
            return vz_fail(err, VZ_BAD_ARGUMENT, "%s is no address of this machine", options->host);
        return vz_fail_errno(err, code, "cannot listen on port %u of %s", options->port,
                             options->host);
    }
    getsockname(fd, &address.any, &len);
    *port = ntohs(address.any.sa_family == AF_INET ? address.v4.sin_port : address.v6.sin6_port);
    *out = fd;
    return VZ_OK;
}

/* Each connection is a descriptor; the soft limit is often 1,024 where the hard one is far above.
 */
static void allow_descriptors(unsigned connections)
{
    struct rlimit limit;
    rlim_t wanted = (rlim_t)connections + 256;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= wanted)
        return;
    limit.rlim_cur = VZ_MIN(wanted, limit.rlim_max);
    setrlimit(RLIMIT_NOFILE, &limit);
}

/* ---- letting in ------------------------------------------------------------------------------ */

/* The network thread with the fewest connections; `turn` decides between equals. Had all threads
 * the listening socket, the one that wakes first would take whoever waits there: four clients that
 * come at once often shared one thread, and one core, for as long as they stayed. */
static struct network *least(struct vz_http_server *server, unsigned turn)
{
    unsigned count = server->options.network_threads;
    struct network *best = &server->networks[turn % count];
    for (unsigned i = 1; i < count; i++) {
        struct network *other = &server->networks[(turn + i) % count];
        if (READ(other->connections) < READ(best->connections))
            best = other;
    }
    return best;
}

/* Whoever comes while the server is full waits in the backlog. */
static void wait_for_place(struct vz_http_server *server)
{
    while (READ(server->connections_open) >= server->options.max_connections &&
           !READ(server->stopping))
        usleep(1000);
}

/* Counted here and not when the network thread comes to it: by then the next ones may have been
 * shared out, and let in, as if this one were not there. */
static void assign(struct network *network, int fd, const struct sockaddr *from, socklen_t len)
{
    COUNT(network->server->connections_total);
    COUNT(network->server->connections_open);
    COUNT(network->connections);
    if (MHD_add_connection(network->daemon, fd, from, len) != MHD_YES)
        count_out(network); /* it is closed already */
}

/* The acceptor's thread, until the listener is shut down. A server that stops lets nobody in. */
static void *let_in(void *context)
{
    struct vz_http_server *server = context;
    vz_thread_name("accept");
    for (unsigned turn = 0;; turn++) {
        struct sockaddr_storage address;
        socklen_t len = sizeof address;
        wait_for_place(server);
        int fd = accept4(server->listener, (struct sockaddr *)&address, &len,
                         SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0 && (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM))
            usleep(10000); /* somebody may leave */
        else if (fd < 0 && (errno == EINVAL || errno == EBADF))
            return NULL; /* shut down */
        else if (fd >= 0 && READ(server->stopping))
            close(fd);
        else if (fd >= 0)
            assign(least(server, turn), fd, (struct sockaddr *)&address, len);
    }
}

static struct MHD_Daemon *start_daemon(struct network *network)
{
    struct vz_http_server *server = network->server;
    const struct vz_http_options *o = &server->options;
    return MHD_start_daemon(
        MHD_USE_EPOLL_INTERNAL_THREAD | MHD_USE_NO_LISTEN_SOCKET | MHD_ALLOW_SUSPEND_RESUME |
            MHD_USE_TURBO | MHD_USE_SUPPRESS_DATE_NO_CLOCK | MHD_USE_ERROR_LOG,
        0, NULL, NULL, on_request, server, MHD_OPTION_EXTERNAL_LOGGER, log_daemon, NULL,
        MHD_OPTION_URI_LOG_CALLBACK, target_seen, server, MHD_OPTION_NOTIFY_COMPLETED, finished,
        server, MHD_OPTION_NOTIFY_CONNECTION, connection_changed, network,
        MHD_OPTION_UNESCAPE_CALLBACK, no_unescape, NULL, MHD_OPTION_CONNECTION_LIMIT,
        o->max_connections + 16, MHD_OPTION_CONNECTION_TIMEOUT, o->idle_timeout_s,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)POOL_BYTES,
        MHD_OPTION_CONNECTION_MEMORY_INCREMENT, (size_t)4096, MHD_OPTION_END);
}

static void stop_networks(struct vz_http_server *server)
{
    for (unsigned i = 0; i < server->options.network_threads; i++)
        if (server->networks[i].daemon)
            MHD_stop_daemon(server->networks[i].daemon);
    free(server->networks);
}

static bool start_networks(struct vz_http_server *server)
{
    unsigned count = server->options.network_threads;
    server->networks = vz_calloc(count, sizeof *server->networks);
    for (unsigned i = 0; i < count; i++) {
        server->networks[i].server = server;
        server->networks[i].daemon = start_daemon(&server->networks[i]);
        if (!server->networks[i].daemon)
            return false;
    }
    return pthread_create(&server->acceptor, NULL, let_in, server) == 0;
}

static void fill_defaults(struct vz_http_options *o)
{
    o->host = o->host ? o->host : "127.0.0.1";
    o->network_threads = o->network_threads ? o->network_threads : 1;
    o->worker_threads = o->worker_threads ? o->worker_threads : vz_cpu_count();
    o->max_queue = o->max_queue ? o->max_queue : 1024;
    o->max_body_bytes = o->max_body_bytes ? o->max_body_bytes : (size_t)100 << 20;
    /* Or a body that max_body_bytes allows could never come in. */
    if (!o->max_bodies_bytes)
        o->max_bodies_bytes = VZ_MAX((size_t)1 << 30, o->max_body_bytes);
    o->max_connections = o->max_connections ? o->max_connections : 4096;
    o->idle_timeout_s = o->idle_timeout_s ? o->idle_timeout_s : 120;
}

enum vz_status vz_http_start(const struct vz_http_options *options, struct vz_http_server **out,
                             struct vz_error *err)
{
    *out = NULL;
    if (!options->handle)
        return vz_fail(err, VZ_BAD_ARGUMENT, "a server needs a handler");
    struct vz_http_server *server = vz_calloc(1, sizeof *server);
    server->options = *options;
    fill_defaults(&server->options);
    pthread_mutex_init(&server->gate, NULL);
    enum vz_status status = open_listener(&server->options, &server->listener, &server->port, err);
    if (status != VZ_OK) {
        free(server);
        return status;
    }
    allow_descriptors(server->options.max_connections);
    server->pool = vz_pool_new("http", server->options.worker_threads, server->options.max_queue);
    if (!start_networks(server)) {
        stop_networks(server);
        vz_pool_free(server->pool);
        close(server->listener);
        free(server);
        return vz_fail(err, VZ_IO, "cannot start the HTTP threads");
    }
    *out = server;
    return VZ_OK;
}

uint16_t vz_http_port(const struct vz_http_server *server)
{
    return server->port;
}

void vz_http_count(const struct vz_http_server *server, struct vz_http_counts *counts)
{
    *counts = (struct vz_http_counts){.requests = READ(server->requests),
                                      .rejected = READ(server->rejected),
                                      .connections_total = READ(server->connections_total),
                                      .bytes_in = READ(server->bytes_in),
                                      .bytes_out = READ(server->bytes_out),
                                      .bodies_bytes = READ(server->bodies_bytes),
                                      .connections_open = READ(server->connections_open),
                                      .queued = (unsigned)vz_pool_queued(server->pool),
                                      .running = READ(server->running)};
    for (size_t i = 0; i < VZ_COUNT_OF(counts->by_class); i++)
        counts->by_class[i] = READ(server->by_class[i]);
}

/* Until nothing is being read, worked on or sent, or the time is over. Stopping is rare: polling
 * spares every request a lock. */
static void wait_for_exchanges(struct vz_http_server *server, unsigned reading_ms,
                               unsigned grace_ms)
{
    uint64_t start_ns = vz_now_ns();
    for (;;) {
        uint64_t waited_ms = (vz_now_ns() - start_ns) / 1000000;
        bool reading = waited_ms < reading_ms && READ(server->exchanges_open) > 0;
        if (waited_ms >= grace_ms || (!reading && READ(server->complete) == 0))
            return;
        usleep(500);
    }
}

void vz_http_stop(struct vz_http_server *server, unsigned grace_ms)
{
    if (!server)
        return;
    atomic_store_explicit(&server->stopping, true, memory_order_relaxed);
    wait_for_exchanges(server, READING_GRACE_MS, grace_ms);
    atomic_store_explicit(&server->hurrying, true, memory_order_relaxed);
    /* A suspended connection must be resumed before the daemon may stop, and a handler cannot be
     * interrupted: those that run are waited for, those that wait are refused. */
    pthread_mutex_lock(&server->gate);
    server->closed = true;
    pthread_mutex_unlock(&server->gate);
    vz_pool_free(server->pool);
    wait_for_exchanges(server, 0, SENDING_GRACE_MS);
    shutdown(server->listener, SHUT_RDWR);
    pthread_join(server->acceptor, NULL);
    close(server->listener);
    stop_networks(server);
    pthread_mutex_destroy(&server->gate);
    free(server);
}
