/* bench/http/rate.c - requests a second through the HTTP room with a handler that does nothing, on
 * keep-alive connections, and the memory of idle ones.
 *
 *     bench_http_rate [connections] [seconds]
 *
 * Client and server share the machine's cores, as an application beside its server does. */
#include "base/clock.h"
#include "base/thread.h"
#include "http/http.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

static uint64_t end_ns;
static uint16_t port;

static void answer(void *context, const struct vz_http_request *rq, struct vz_http_response *rs)
{
    vz_buf_append_str(&rs->body, "{\"took\":0,\"timed_out\":false}");
}

static bool always(void *context, const struct vz_http_request *rq)
{
    return true;
}

static int dial(void)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port)};
    inet_pton(AF_INET, "127.0.0.1", &to.sin_addr);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (connect(fd, (struct sockaddr *)&to, sizeof to) != 0) {
        perror("connect");
        exit(1);
    }
    return fd;
}

static void *client(void *context)
{
    static const char request[] = "POST /dogs/_search?pretty=false HTTP/1.1\r\nHost: a\r\n"
                                  "Content-Type: application/json\r\nContent-Length: 15\r\n\r\n"
                                  "{\"query\": null}";
    size_t *count = context;
    char in[4096];
    int fd = dial();
    while (vz_now_ns() < end_ns) {
        if (write(fd, request, sizeof request - 1) < 0)
            abort();
        size_t have = 0;
        do { /* the answer ends with the only '}' */
            ssize_t got = read(fd, in + have, sizeof in - have);
            if (got <= 0)
                abort();
            have += (size_t)got;
        } while (in[have - 1] != '}');
        ++*count;
    }
    close(fd);
    return NULL;
}

static double rate(unsigned connections, double seconds)
{
    pthread_t threads[64];
    size_t counts[64] = {0}, total = 0;
    uint64_t start = vz_now_ns();
    end_ns = start + (uint64_t)(seconds * 1e9);
    for (unsigned i = 0; i < connections; i++)
        pthread_create(&threads[i], NULL, client, &counts[i]);
    for (unsigned i = 0; i < connections; i++) {
        pthread_join(threads[i], NULL);
        total += counts[i];
    }
    return (double)total / ((double)(vz_now_ns() - start) / 1e9);
}

static size_t resident_bytes(void)
{
    size_t size = 0, resident = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    if (!f || fscanf(f, "%zu %zu", &size, &resident) != 2)
        resident = 0;
    if (f)
        fclose(f);
    return resident * (size_t)sysconf(_SC_PAGESIZE);
}

static void idle_connections(unsigned count)
{
    static int fds[4000];
    static const char request[] = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    char in[1024];
    size_t before = resident_bytes();
    for (unsigned i = 0; i < count; i++) {
        fds[i] = dial();
        if (write(fds[i], request, sizeof request - 1) < 0 || read(fds[i], in, sizeof in) <= 0)
            abort();
    }
    printf("%u idle connections: %zu bytes each\n", count, (resident_bytes() - before) / count);
    printf("  with them, 2 connections: %.0f requests/s\n", rate(2, 1));
    for (unsigned i = 0; i < count; i++)
        close(fds[i]);
}

static void measure(const char *name, struct vz_http_options options, unsigned connections,
                    double seconds)
{
    struct vz_http_server *server;
    struct vz_error err = {0};
    if (vz_http_start(&options, &server, &err) != VZ_OK) {
        fprintf(stderr, "%s\n", err.text);
        exit(1);
    }
    port = vz_http_port(server);
    double best = 0;
    for (int round = 0; round < 3; round++) {
        double now = rate(connections, seconds / 3);
        best = now > best ? now : best;
    }
    printf("%-34s %u connections: %8.0f requests/s\n", name, connections, best);
    if (connections == 2)
        idle_connections(1000);
    vz_http_stop(server, 1000);
}

int main(int argc, char **argv)
{
    unsigned connections = argc > 1 ? (unsigned)atoi(argv[1]) : 2;
    double seconds = argc > 2 ? atof(argv[2]) : 3;
    connections = connections < 1 ? 1 : connections > 64 ? 64 : connections;
    measure("on workers", (struct vz_http_options){.handle = answer}, connections, seconds);
    measure("quick, 1 network thread", (struct vz_http_options){.handle = answer, .quick = always},
            connections, seconds);
    measure("quick, 2 network threads",
            (struct vz_http_options){.handle = answer, .quick = always, .network_threads = 2},
            connections, seconds);
    return 0;
}
