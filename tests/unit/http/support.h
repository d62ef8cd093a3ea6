/* A server for tests and a raw socket to it. Everything has a time limit: a hang is a failure. */
#ifndef VZ_TESTS_HTTP_SUPPORT_H
#define VZ_TESTS_HTTP_SUPPORT_H

#include "base/clock.h"
#include "base/thread.h"
#include "http/http.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

enum { WAIT_MS = 60000 };

static struct vz_http_server *server;
static atomic_int handler_entered, handler_released;

static void param_line(struct vz_buf *out, const struct vz_http_param *p)
{
    vz_buf_printf(out, "%.*s=%.*s\n", (int)p->name.len, p->name.ptr, (int)p->value.len,
                  p->value.ptr);
}

static void slice_line(struct vz_buf *out, const char *name, struct vz_slice value)
{
    vz_buf_printf(out, "%s: %.*s\n", name, (int)value.len, value.ptr ? value.ptr : "");
}

/* Paths say what is done: /echo gives the body back, /show what was understood, /big 100,000 bytes,
 * /wait waits for handler_released, /status/N answers N, anything else "ok". */
static void handle(void *context, const struct vz_http_request *rq, struct vz_http_response *rs)
{
    vz_buf_reserve(&rs->body, rq->body.len);
    if (rq->body.ptr[rq->body.len] != 0)
        abort(); /* the promise of http.h */
    unsigned sum = 0;
    for (int i = 0; i < 64; i++)
        sum += (unsigned char)rq->body.ptr[rq->body.len + (size_t)i];
    if (vz_slice_is(rq->path, "/echo")) {
        rs->content_type = "application/octet-stream";
        vz_buf_append_slice(&rs->body, rq->body);
    } else if (vz_slice_is(rq->path, "/big")) {
        for (int i = 0; i < 10000; i++)
            vz_buf_append_str(&rs->body, "0123456789");
    } else if (vz_slice_is(rq->path, "/wait")) {
        atomic_fetch_add(&handler_entered, 1);
        while (!atomic_load(&handler_released))
            usleep(1000);
        vz_buf_append_str(&rs->body, "waited");
    } else if (vz_slice_starts(rq->path, "/status/")) {
        rs->status = atoi(rq->path.ptr + 8);
        vz_buf_printf(&rs->body, "%d", rs->status);
    } else if (vz_slice_starts(rq->path, "/show")) {
        rs->headers[rs->header_count++] = vz_arena_printf(&rs->arena, "X-Sum: %u", sum);
        vz_buf_printf(&rs->body, "%s %.*s\n", rq->method, (int)rq->path.len, rq->path.ptr);
        for (size_t i = 0; i < rq->param_count; i++)
            param_line(&rs->body, &rq->params[i]);
        slice_line(&rs->body, "type", rq->content_type);
        slice_line(&rs->body, "accept", rq->accept);
        slice_line(&rs->body, "auth", rq->authorization);
        slice_line(&rs->body, "id", rq->opaque_id);
        vz_buf_printf(&rs->body, "remote: %s\n", rq->remote);
    } else {
        vz_buf_append_str(&rs->body, "ok");
    }
}

static void reject(void *context, int status, const char *reason, struct vz_http_response *rs)
{
    vz_buf_printf(&rs->body, "{\"status\":%d,\"reason\":\"%s\"}", status, reason);
}

static const char *const everywhere[] = {"X-elastic-product: Elasticsearch", NULL};

static void start_with(struct vz_http_options options)
{
    struct vz_error err = {0};
    atomic_store(&handler_entered, 0);
    atomic_store(&handler_released, 0);
    options.handle = handle;
    options.all_headers = everywhere;
    if (!options.worker_threads)
        options.worker_threads = 2;
    if (vz_http_start(&options, &server, &err) != VZ_OK)
        fail_msg("%s", err.text);
}

static int start(void **state)
{
    start_with((struct vz_http_options){.reject = reject, .max_body_bytes = 1 << 20});
    return 0;
}

static int stop(void **state)
{
    atomic_store(&handler_released, 1);
    uint64_t start_ns = vz_now_ns();
    vz_http_stop(server, 2 * WAIT_MS);
    server = NULL;
    /* The clients are gone: had a request been forgotten, it would have waited for all the grace.
     */
    return vz_now_ns() - start_ns < WAIT_MS * 1000000ull ? 0 : -1;
}

static int dial_port(uint16_t port)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port)};
    inet_pton(AF_INET, "127.0.0.1", &to.sin_addr);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connect(fd, (struct sockaddr *)&to, sizeof to) != 0) {
        close(fd);
        return -1;
    }
    return fd;
}

static int dial(void)
{
    int fd = dial_port(vz_http_port(server));
    assert_true(fd >= 0);
    return fd;
}

static void send_bytes(int fd, const void *bytes, size_t len)
{
    const char *p = bytes;
    while (len > 0) {
        ssize_t sent = send(fd, p, len, MSG_NOSIGNAL);
        if (sent <= 0)
            return; /* the server hung up: what it said before is what the test looks at */
        p += sent;
        len -= (size_t)sent;
    }
}

static void send_text(int fd, const char *text)
{
    send_bytes(fd, text, strlen(text));
}

static bool comes_within(int fd, int ms)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    return poll(&p, 1, ms) == 1;
}

/* Appends what comes; false at the end of the stream. */
static bool receive_some(int fd, struct vz_buf *in)
{
    if (!comes_within(fd, WAIT_MS))
        fail_msg("nothing came within %d ms", WAIT_MS);
    vz_buf_reserve(in, 65536);
    ssize_t got = recv(fd, in->data + in->len, 65536, 0);
    if (got <= 0)
        return false;
    in->len += (size_t)got;
    in->data[in->len] = 0;
    return true;
}

struct answer {
    int status;
    char head[2000];
    struct vz_buf body;
};

/* A header's value, or NULL. */
static const char *header(const struct answer *a, const char *name)
{
    static char value[200];
    size_t len = strlen(name);
    for (const char *line = strstr(a->head, "\r\n"); line; line = strstr(line + 2, "\r\n")) {
        if (strncasecmp(line + 2, name, len) == 0 && line[2 + len] == ':') {
            const char *start = line + 3 + len;
            start += strspn(start, " ");
            snprintf(value, sizeof value, "%.*s", (int)strcspn(start, "\r"), start);
            return value;
        }
    }
    return NULL;
}

/* Takes one answer off `in`, reading as needed; what is behind it stays for the next call. */
static void receive_next(int fd, struct vz_buf *in, bool no_body, struct answer *a)
{
    *a = (struct answer){0};
    char *end;
    while (in->len == 0 || !(end = strstr(in->data, "\r\n\r\n")))
        assert_true(receive_some(fd, in));
    size_t head = (size_t)(end - in->data) + 4;
    assert_true(head < sizeof a->head);
    memcpy(a->head, in->data, head);
    assert_int_equal(sscanf(a->head, "HTTP/1.1 %d", &a->status), 1);
    const char *length = header(a, "content-length");
    size_t len = no_body || !length ? 0 : strtoull(length, NULL, 10);
    while (in->len < head + len)
        assert_true(receive_some(fd, in));
    vz_buf_append(&a->body, in->data + head, len);
    memmove(in->data, in->data + head + len, in->len - head - len + 1);
    in->len -= head + len;
}

static void receive(int fd, struct answer *a)
{
    struct vz_buf in = {0};
    receive_next(fd, &in, false, a);
    assert_int_equal(in.len, 0);
    vz_buf_deinit(&in);
}

static void expect(int fd, int status, const char *body)
{
    struct answer a;
    receive(fd, &a);
    if (a.status != status || strcmp(a.body.data, body) != 0)
        fail_msg("%d %s instead of %d %s", a.status, a.body.data, status, body);
    vz_buf_deinit(&a.body);
}

static void wait_for(atomic_int *what, int least)
{
    uint64_t until = vz_now_ns() + WAIT_MS * 1000000ull;
    while (atomic_load(what) < least) {
        if (vz_now_ns() > until)
            fail_msg("waited %d ms in vain", WAIT_MS);
        usleep(500);
    }
}

#endif
