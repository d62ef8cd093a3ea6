/* bench/load/load.h - requests over keep-alive connections to a server on loopback, timed: what the
 * load generators of bench/ share.
 *
 * All requests are made before the clock starts, so that what is measured is the server and one
 * write/read a request. */
#ifndef VZ_BENCH_LOAD_H
#define VZ_BENCH_LOAD_H

#include "base/mem.h"
#include "base/text.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

/* One thread's part. `context` is whose `run` it is. */
struct load_worker {
    pthread_t thread;
    int port;
    struct vz_buf *requests; /* whole ones, with their heads */
    size_t count;
    atomic_size_t *next;
    uint64_t until_ns; /* 0: until all are sent once */
    double *latencies_ms;
    size_t done, failed, capacity;
    const void *context;
};

#define LOAD_DIMS 512
/* A unit vector that looks like an image embedding's: one of 200 directions, a decaying spectrum of
 * variation around it, and a common offset. The same for the same index. */
void load_vector(uint64_t index, float out[LOAD_DIMS]);

/* Prints perror and ends the program. */
void load_die(const char *what);
/* One POST with a body. */
void load_wrap(struct vz_buf *out, const char *path, const char *type, const struct vz_buf *body);
/* A thread's work: sends requests in turn, reads the answers. Good: 200 without "errors":true. */
void *load_send(void *worker);
/* Counts a request of a `run` of one's own. */
void load_note(struct load_worker *worker, uint64_t began_ns, bool good);
/* Runs `count` copies of proto, at most 64, and prints one JSON object: requests, failed, seconds,
 * per_second (requests times `per_request`), p50_ms, p99_ms. */
void load_run(const char *what, const struct load_worker *proto, int count, void *(*run)(void *),
              double per_request);

#endif
