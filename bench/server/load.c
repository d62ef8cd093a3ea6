/* bench/server/load.c - a load generator for the running server, and the same queries in process.
 *
 *     load bulk   PORT INDEX DOCS BATCH CONNECTIONS       index DOCS documents of 512-d vectors
 *     load knn    PORT INDEX DOCS SECONDS CONNECTIONS EF  kNN searches over keep-alive connections
 *     load direct DATA INDEX DOCS SECONDS THREADS EF      the same queries, without HTTP and JSON
 *
 * All bodies are made before the clock starts, so that what is measured is the server and one
 * write/read a request. Vectors are seeded (see make_vector): DOCS must be the same in all three for
 * queries to be of the same distribution. Prints one JSON object. bench/server/run drives it.
 */
#include "base/clock.h"
#include "base/mem.h"
#include "base/text.h"
#include "json/json.h"
#include "store/store.h"

#include <arpa/inet.h>
#include <math.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define DIMS 512
#define QUERIES 1000
#define TOPICS 200

static void die(const char *what)
{
    perror(what);
    exit(1);
}

/* A unit vector that looks like an image embedding's: one of TOPICS directions, a decaying
 * spectrum of variation around it, and a common offset. */
static void make_vector(uint64_t index, float *out)
{
    uint64_t topic = index * 0x9E3779B97F4A7C15ull % TOPICS + 1, own = index + 1000003;
    double norm = 0;
    for (int i = 0; i < DIMS; i++) {
        double scale = 1.0 / (1 + i * 0.02);
        out[i] = (float)(scale * (0.6 * vz_rng_normal(&topic) + 0.8 * vz_rng_normal(&own)) +
                         (i % 7 == 0 ? 0.3 : 0.0));
        norm += (double)out[i] * (double)out[i];
    }
    for (int i = 0; i < DIMS; i++)
        out[i] = (float)((double)out[i] / sqrt(norm));
}

struct worker {
    pthread_t thread;
    int port;
    const char *index;
    struct vz_buf *bodies; /* whole requests */
    size_t count;
    atomic_size_t *next;
    uint64_t until_ns; /* 0: until all bodies are sent once */
    double *latencies_ms;
    size_t done, failed, capacity;
    struct vz_snapshot *snap; /* direct */
    const struct vz_field *field;
    const float *queries;
    unsigned ef;
};

static int open_connection(int port)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM, 0), on = 1;
    if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof to) != 0)
        die("connect");
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return fd;
}

static void send_all(int fd, const char *bytes, size_t len)
{
    while (len) {
        ssize_t sent = write(fd, bytes, len);
        if (sent <= 0)
            die("write");
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
            die("read");
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

static void note(struct worker *worker, uint64_t began, bool good)
{
    if (worker->done < worker->capacity)
        worker->latencies_ms[worker->done] = (double)(vz_now_ns() - began) / 1e6;
    worker->done++;
    worker->failed += !good;
}

static void *send_bodies(void *context)
{
    struct worker *worker = context;
    struct vz_buf answer = {0};
    int fd = open_connection(worker->port);
    for (;;) {
        size_t i = atomic_fetch_add(worker->next, 1);
        uint64_t began = vz_now_ns();
        if (worker->until_ns ? began >= worker->until_ns : i >= worker->count)
            break;
        const struct vz_buf *body = &worker->bodies[i % worker->count];
        send_all(fd, body->data, body->len);
        const char *text = read_answer(fd, &answer);
        note(worker, began,
             strncmp(answer.data, "HTTP/1.1 200", 12) == 0 && !strstr(text, "\"errors\":true"));
    }
    close(fd);
    vz_buf_deinit(&answer);
    return NULL;
}

static void *search_directly(void *context)
{
    struct worker *worker = context;
    for (;;) {
        size_t i = atomic_fetch_add(worker->next, 1);
        uint64_t began = vz_now_ns();
        if (began >= worker->until_ns)
            break;
        struct vz_knn knn = {.field = worker->field,
                             .query = worker->queries + i % QUERIES * DIMS,
                             .k = 10,
                             .num_candidates = worker->ef};
        struct vz_knn_hit hits[10];
        uint32_t found = 0;
        enum vz_status status = vz_snapshot_knn(worker->snap, &knn, hits, &found, NULL, NULL);
        note(worker, began, status == VZ_OK && found == 10);
    }
    return NULL;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static void run_workers(const char *what, struct worker *proto, int count, void *(*run)(void *),
                        double per_request)
{
    struct worker workers[64];
    atomic_size_t next = 0;
    uint64_t began = vz_now_ns();
    for (int i = 0; i < count; i++) {
        workers[i] = *proto;
        workers[i].next = &next;
        workers[i].capacity = 2000000;
        workers[i].latencies_ms = vz_alloc(workers[i].capacity * sizeof(double));
        if (pthread_create(&workers[i].thread, NULL, run, &workers[i]) != 0)
            die("pthread_create");
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

static void wrap_request(struct vz_buf *out, const char *path, const char *type,
                         const struct vz_buf *body)
{
    vz_buf_printf(out,
                  "POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Type: %s\r\n"
                  "Content-Length: %zu\r\n\r\n",
                  path, type, body->len);
    vz_buf_append_slice(out, vz_buf_slice(body));
}

static void bulk(int port, const char *index, size_t docs, size_t batch, int connections)
{
    size_t count = (docs + batch - 1) / batch;
    struct vz_buf *requests = vz_calloc(count, sizeof *requests);
    char path[300];
    snprintf(path, sizeof path, "/%s/_bulk", index);
    for (size_t i = 0; i < count; i++) {
        struct vz_buf body = {0};
        for (size_t d = i * batch; d < VZ_MIN(docs, (i + 1) * batch); d++) {
            float vector[DIMS];
            make_vector(d, vector);
            vz_buf_printf(&body, "{\"index\":{\"_id\":\"%zu\"}}\n{\"dog_id\":\"dog %zu\",", d, d);
            vz_buf_printf(&body, "\"breed\":\"breed %zu\",\"age\":%zu,\"image_embedding\":", d % 120,
                          d % 15);
            vz_json_append_floats(&body, vector, DIMS);
            vz_buf_append_str(&body, "}\n");
        }
        wrap_request(&requests[i], path, "application/x-ndjson", &body);
        vz_buf_deinit(&body);
    }
    struct worker worker = {.port = port, .index = index, .bodies = requests, .count = count};
    run_workers("bulk", &worker, connections, send_bodies, (double)docs / (double)count);
}

/* Queries are vectors past the documents', of the same kind. */
static float *make_queries(size_t docs)
{
    float *queries = vz_alloc(QUERIES * DIMS * sizeof *queries);
    for (size_t i = 0; i < QUERIES; i++)
        make_vector(docs + 12345 + i, queries + i * DIMS);
    return queries;
}

static void knn(int port, const char *index, size_t docs, int seconds, int connections, unsigned ef)
{
    float *queries = make_queries(docs);
    struct vz_buf *requests = vz_calloc(QUERIES, sizeof *requests);
    char path[300];
    snprintf(path, sizeof path, "/%s/_search", index);
    for (size_t i = 0; i < QUERIES; i++) {
        struct vz_buf body = {0};
        vz_buf_append_str(&body, "{\"knn\":{\"field\":\"image_embedding\",\"query_vector\":");
        vz_json_append_floats(&body, queries + i * DIMS, DIMS);
        vz_buf_printf(&body, ",\"k\":10,\"num_candidates\":%u},\"size\":10,\"_source\":[\"dog_id\"]}",
                      ef);
        wrap_request(&requests[i], path, "application/json", &body);
        vz_buf_deinit(&body);
    }
    struct worker worker = {.port = port,
                            .index = index,
                            .bodies = requests,
                            .count = QUERIES,
                            .until_ns = vz_now_ns() + (uint64_t)seconds * 1000000000u};
    run_workers("knn over HTTP", &worker, connections, send_bodies, 1);
}

static void direct(const char *data, const char *index, size_t docs, int seconds, int threads,
                   unsigned ef)
{
    struct vz_store *store;
    struct vz_error err = {0};
    if (vz_store_open(data, &(struct vz_store_options){0}, &store, &err) != VZ_OK) {
        fprintf(stderr, "%s\n", err.text);
        exit(1);
    }
    struct vz_index *open_index = vz_store_index(store, vz_slice_from(index));
    struct vz_snapshot *snap = vz_index_snapshot(open_index);
    struct worker worker = {.snap = snap,
                            .field = vz_mapping_find(vz_snapshot_mapping(snap),
                                                     VZ_SLICE("image_embedding")),
                            .queries = make_queries(docs),
                            .ef = ef,
                            .until_ns = vz_now_ns() + (uint64_t)seconds * 1000000000u};
    run_workers("knn in process", &worker, threads, search_directly, 1);
    vz_snapshot_release(snap);
    vz_index_release(open_index);
    vz_store_close(store);
}

int main(int argc, char **argv)
{
    if (argc == 7 && strcmp(argv[1], "bulk") == 0)
        bulk(atoi(argv[2]), argv[3], strtoul(argv[4], NULL, 10), strtoul(argv[5], NULL, 10),
             atoi(argv[6]));
    else if (argc == 8 && strcmp(argv[1], "knn") == 0)
        knn(atoi(argv[2]), argv[3], strtoul(argv[4], NULL, 10), atoi(argv[5]), atoi(argv[6]),
            (unsigned)atoi(argv[7]));
    else if (argc == 8 && strcmp(argv[1], "direct") == 0)
        direct(argv[2], argv[3], strtoul(argv[4], NULL, 10), atoi(argv[5]), atoi(argv[6]),
               (unsigned)atoi(argv[7]));
    else
        return fprintf(stderr, "see the top of bench/server/load.c\n"), 2;
    return 0;
}
