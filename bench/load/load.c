#include "load.h"

#include "base/clock.h"

#include <arpa/inet.h>
#include <math.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define TOPICS 200

void load_vector(uint64_t index, float out[LOAD_DIMS])
{
    uint64_t topic = index * 0x9E3779B97F4A7C15ull % TOPICS + 1, own = index + 1000003;
    double norm = 0;
    for (int i = 0; i < LOAD_DIMS; i++) {
        double scale = 1.0 / (1 + i * 0.02);
        out[i] = (float)(scale * (0.6 * vz_rng_normal(&topic) + 0.8 * vz_rng_normal(&own)) +
                         (i % 7 == 0 ? 0.3 : 0.0));
        norm += (double)out[i] * (double)out[i];
    }
    for (int i = 0; i < LOAD_DIMS; i++)
        out[i] = (float)((double)out[i] / sqrt(norm));
}

void load_die(const char *what)
{
    perror(what);
    exit(1);
}

static int open_connection(int port)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM, 0), on = 1;
    if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof to) != 0)
        load_die("connect");
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return fd;
}

static void send_all(int fd, const char *bytes, size_t len)
{
    while (len) {
        ssize_t sent = write(fd, bytes, len);
        if (sent <= 0)
            load_die("write");
        bytes += sent;
        len -= (size_t)sent;
    }
}

/* Reads one answer into `buf`; gives the start of its body. */
static const char *read_answer(int fd, struct vz_buf *buf)
{
    size_t need = 0, head = 0;
    buf->len = 0;
    while (!need || buf->len < need) {
        vz_buf_reserve(buf, 65536);
        ssize_t got = read(fd, buf->data + buf->len, buf->capacity - buf->len - 1);
        if (got <= 0)
            load_die("read");
        buf->len += (size_t)got;
        buf->data[buf->len] = '\0';
        char *end = need ? NULL : strstr(buf->data, "\r\n\r\n");
        if (end) {
            const char *length = strcasestr(buf->data, "content-length:");
            head = (size_t)(end - buf->data) + 4;
            need = head + (length ? (size_t)atoll(length + 15) : 0);
        }
    }
    return buf->data + head;
}

void load_note(struct load_worker *worker, uint64_t began, bool good)
{
    if (worker->done < worker->capacity)
        worker->latencies_ms[worker->done] = (double)(vz_now_ns() - began) / 1e6;
    worker->done++;
    worker->failed += !good;
}

void *load_send(void *context)
{
    struct load_worker *worker = context;
    struct vz_buf answer = {0};
    int fd = open_connection(worker->port);
    for (;;) {
        size_t i = atomic_fetch_add(worker->next, 1);
        uint64_t began = vz_now_ns();
        if (worker->until_ns ? began >= worker->until_ns : i >= worker->count)
            break;
        const struct vz_buf *body = &worker->requests[i % worker->count];
        send_all(fd, body->data, body->len);
        const char *text = read_answer(fd, &answer);
        load_note(worker, began,
                  strncmp(answer.data, "HTTP/1.1 200", 12) == 0 &&
                      !strstr(text, "\"errors\":true"));
    }
    close(fd);
    vz_buf_deinit(&answer);
    return NULL;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

void load_run(const char *what, const struct load_worker *proto, int count, void *(*run)(void *),
              double per_request)
{
    struct load_worker workers[64];
    atomic_size_t next = 0;
    uint64_t began = vz_now_ns();
    for (int i = 0; i < count; i++) {
        workers[i] = *proto;
        workers[i].next = &next;
        workers[i].capacity = 2000000;
        workers[i].latencies_ms = vz_alloc(workers[i].capacity * sizeof(double));
        if (pthread_create(&workers[i].thread, NULL, run, &workers[i]) != 0)
            load_die("pthread_create");
    }
    size_t done = 0, failed = 0;
    for (int i = 0; i < count; i++) {
        pthread_join(workers[i].thread, NULL);
        done += workers[i].done;
        failed += workers[i].failed;
    }
    double seconds = (double)(vz_now_ns() - began) / 1e9;
    double *all = vz_alloc((done + 1) * sizeof *all);
    size_t at = 0;
    for (int i = 0; i < count; i++) {
        memcpy(all + at, workers[i].latencies_ms, workers[i].done * sizeof *all);
        at += workers[i].done;
        free(workers[i].latencies_ms);
    }
    qsort(all, done, sizeof *all, compare);
    printf("{\"what\":\"%s\",\"requests\":%zu,\"failed\":%zu,\"seconds\":%.3f,"
           "\"per_second\":%.1f,\"p50_ms\":%.3f,\"p99_ms\":%.3f}\n",
           what, done, failed, seconds, (double)done * per_request / seconds,
           done ? all[done / 2] : 0, done ? all[done * 99 / 100] : 0);
    free(all);
}

void load_wrap(struct vz_buf *out, const char *path, const char *type, const struct vz_buf *body)
{
    vz_buf_printf(out,
                  "POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Type: %s\r\n"
                  "Content-Length: %zu\r\n\r\n",
                  path, type, body->len);
    vz_buf_append_slice(out, vz_buf_slice(body));
}
