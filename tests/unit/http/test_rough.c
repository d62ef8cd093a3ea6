/* The server among rough company: too large, too slow, too many, malformed, gone; and stopping. */
#include "support.h"

#include "base/text.h"

#include <pthread.h>
#include <time.h>

/* Sanitizers keep shadows and quarantines of their own. */
#if defined __SANITIZE_THREAD__ || defined __SANITIZE_ADDRESS__
enum { SLACK = 20 };
#else
enum { SLACK = 1 };
#endif

static size_t resident_bytes(void)
{
    size_t size = 0, resident = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    assert_non_null(f);
    assert_int_equal(fscanf(f, "%zu %zu", &size, &resident), 2);
    fclose(f);
    return resident * (size_t)sysconf(_SC_PAGESIZE);
}

/* The peer hangs up, within the time limit. What it still said is dropped. */
static void expect_end(int fd)
{
    struct vz_buf in = {0};
    while (receive_some(fd, &in))
        ;
    vz_buf_deinit(&in);
}

/* What is said about nonsense, if anything: the server may also wait for the rest of it, which its
 * idle timeout ends. */
static void hear(int fd)
{
    struct vz_buf in = {0};
    while (comes_within(fd, 20) && receive_some(fd, &in))
        ;
    vz_buf_deinit(&in);
}

static void test_4_gigabytes_cost_nothing(void **state)
{
    size_t before = resident_bytes();
    int fds[20];
    for (int i = 0; i < 20; i++) {
        struct answer a;
        fds[i] = dial();
        send_text(fds[i], "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 4294967296\r\n\r\n");
        receive(fds[i], &a);
        assert_int_equal(a.status, 413);
        assert_string_equal(header(&a, "connection"), "close");
        assert_string_equal(header(&a, "X-elastic-product"), "Elasticsearch");
        assert_non_null(strstr(a.body.data, "\"status\":413"));
        vz_buf_deinit(&a.body);
        expect_end(fds[i]);
    }
    for (int i = 0; i < 20; i++)
        close(fds[i]);
    assert_true(resident_bytes() < before + (8 << 20) * SLACK);
    int fd = dial();
    send_text(fd, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999\r\n\r\n");
    expect_end(fd); /* not even a size: refused one way or the other */
    close(fd);
}

/* A body below the limit that never comes must not cost its promised size either. */
static void test_promised_bodies_cost_little(void **state)
{
    enum { COUNT = 100 };
    size_t before = resident_bytes();
    int fds[COUNT];
    for (int i = 0; i < COUNT; i++) {
        fds[i] = dial();
        send_text(fds[i], "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\nx");
    }
    int fd = dial();
    send_text(fd, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    expect(fd, 200, "ok");
    assert_true(resident_bytes() < before + COUNT * 50000 * SLACK);
    for (int i = 0; i < COUNT; i++)
        close(fds[i]);
    close(fd);
}

static void test_chunked_over_the_limit(void **state)
{
    struct answer a;
    char *chunk = malloc(100000);
    memset(chunk, 'x', 100000);
    int fd = dial();
    send_text(fd, "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
    for (int i = 0; i < 15; i++) {
        send_text(fd, "186a0\r\n");
        send_bytes(fd, chunk, 100000);
        send_text(fd, "\r\n");
    }
    send_text(fd, "0\r\n\r\n");
    receive(fd, &a);
    assert_int_equal(a.status, 413);
    vz_buf_deinit(&a.body);
    close(fd);
    fd = dial(); /* one that never ends is cut */
    send_text(fd, "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
    for (int i = 0; i < 50; i++) {
        send_text(fd, "186a0\r\n");
        send_bytes(fd, chunk, 100000);
        send_text(fd, "\r\n");
    }
    expect_end(fd);
    close(fd);
    free(chunk);
}

/* Bodies that fit one by one but not together: the last one is told so, the others are served. */
static void test_bodies_over_their_common_limit(void **state)
{
    static const char head[] = "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 400000\r\n\r\n";
    struct vz_http_counts counts;
    struct answer a;
    char *bytes = malloc(400000);
    memset(bytes, 'x', 400000);
    start_with((struct vz_http_options){.reject = reject, .max_bodies_bytes = 1000000});
    int fds[3];
    for (int i = 0; i < 3; i++) { /* all but the last byte of each */
        fds[i] = dial();
        send_text(fds[i], head);
        send_bytes(fds[i], bytes, 399999);
        do {
            usleep(1000);
            vz_http_count(server, &counts);
        } while (counts.bytes_in < 399999ull * (unsigned)(i + 1));
    }
    assert_int_equal(counts.bodies_bytes, 2 * 399999);
    send_text(fds[2], "x");
    receive(fds[2], &a);
    assert_int_equal(a.status, 429);
    vz_buf_deinit(&a.body);
    for (int i = 0; i < 2; i++) {
        send_text(fds[i], "x");
        receive(fds[i], &a);
        assert_int_equal(a.status, 200);
        assert_int_equal(a.body.len, 400000);
        vz_buf_deinit(&a.body);
    }
    send_text(fds[2], head); /* there is room again */
    send_bytes(fds[2], bytes, 400000);
    receive(fds[2], &a);
    assert_int_equal(a.status, 200);
    vz_buf_deinit(&a.body);
    vz_http_count(server, &counts);
    assert_true(counts.bodies_bytes <= 400000);
    for (int i = 0; i < 3; i++)
        close(fds[i]);
    free(bytes);
    stop(NULL);
}

static void test_slow_client(void **state)
{
    static const char slow_text[] =
        "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 11\r\n\r\nbyte by one";
    int slow = dial(), fast = dial();
    for (size_t i = 0; i < sizeof slow_text - 1; i++) {
        send_bytes(slow, slow_text + i, 1);
        send_text(fast, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
        expect(fast, 200, "ok");
    }
    expect(slow, 200, "byte by one");
    close(slow);
    close(fast);
}

static atomic_int told_gone;

static void wait_until_gone(void *context, const struct vz_http_request *rq,
                            struct vz_http_response *rs)
{
    atomic_fetch_add(&handler_entered, 1);
    while (!atomic_load(&handler_released)) {
        if (vz_http_gone(rq)) {
            atomic_fetch_add(&told_gone, 1);
            return;
        }
        usleep(1000);
    }
    vz_buf_append_str(&rs->body, "stayed");
}

/* Whoever works for a client can see that it left, also when there are bytes of it unread. */
static void test_client_leaves(void **state)
{
    struct vz_error err = {0};
    const struct vz_http_options options = {.handle = wait_until_gone, .worker_threads = 3};
    atomic_store(&handler_entered, 0);
    atomic_store(&handler_released, 0);
    assert_int_equal(vz_http_start(&options, &server, &err), VZ_OK);
    int stays = dial(), leaves = dial(), talks = dial();
    send_text(stays, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    send_text(leaves, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    send_text(talks, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    wait_for(&handler_entered, 3);
    assert_int_equal(atomic_load(&told_gone), 0);
    close(leaves);
    wait_for(&told_gone, 1);
    send_text(talks, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    close(talks);
    wait_for(&told_gone, 2);
    atomic_store(&handler_released, 1);
    expect(stays, 200, "stayed");
    close(stays);
    stop(NULL);
}

static void test_queue_full(void **state)
{
    start_with((struct vz_http_options){.reject = reject, .worker_threads = 1, .max_queue = 1});
    int running = dial(), waiting = dial(), third = dial();
    struct vz_http_counts counts;
    send_text(running, "GET /wait HTTP/1.1\r\nHost: x\r\n\r\n");
    wait_for(&handler_entered, 1);
    send_text(waiting, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    do {
        usleep(1000);
        vz_http_count(server, &counts);
    } while (counts.queued < 1);
    assert_int_equal(counts.running, 1);
    for (int i = 0; i < 10; i++) {
        struct answer a;
        send_text(third, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
        receive(third, &a);
        assert_int_equal(a.status, 429);
        assert_string_equal(header(&a, "X-elastic-product"), "Elasticsearch");
        assert_non_null(strstr(a.body.data, "too many requests"));
        vz_buf_deinit(&a.body);
    }
    vz_http_count(server, &counts);
    assert_int_equal(counts.rejected, 10);
    atomic_store(&handler_released, 1);
    expect(running, 200, "waited");
    expect(waiting, 200, "ok");
    send_text(third, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    expect(third, 200, "ok");
    close(running);
    close(waiting);
    close(third);
    stop(NULL);
}

static void test_idle_connections(void **state)
{
    enum { COUNT = 1000 };
    static int fds[COUNT];
    size_t before = resident_bytes();
    for (int i = 0; i < COUNT; i++) {
        fds[i] = dial();
        send_text(fds[i], "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
        expect(fds[i], 200, "ok");
    }
    size_t each = (resident_bytes() - before) / COUNT;
    print_message("%zu bytes an idle connection\n", each);
    assert_true(each < 40000 * SLACK);
    int fd = dial();
    uint64_t start_ns = vz_now_ns();
    for (int i = 0; i < 500; i++) {
        send_text(fd, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
        expect(fd, 200, "ok");
    }
    print_message("%.0f us a request beside them\n", (double)(vz_now_ns() - start_ns) / 500e3);
    for (int i = 0; i < COUNT; i += 37) { /* they still work */
        send_text(fds[i], "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
        expect(fds[i], 200, "ok");
    }
    struct vz_http_counts counts;
    vz_http_count(server, &counts);
    assert_int_equal(counts.connections_open, COUNT + 1);
    for (int i = 0; i < COUNT; i++)
        close(fds[i]);
    close(fd);
}

static void test_malformed(void **state)
{
    static const char *const texts[] = {
        "\r\n\r\n",
        "x\r\n\r\n",
        "GET\r\n\r\n",
        "GET /\r\n\r\n",
        "GET / HTTP/9.9\r\n\r\n",
        "GET / HTTP/1.1\r\nbroken header\r\n\r\n",
        "GET / HTTP/1.1\r\n: no name\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: x\r\n continued\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: abc\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n",
        "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: nonsense\r\n\r\nab",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 a TLS greeting",
        "OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET /%00 HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET /../../etc/passwd HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET http:// HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET ? HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET /?% HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET /?%4 HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET /?a=%00 HTTP/1.1\r\nHost: x\r\n\r\n",
        "CONNECT a:1 HTTP/1.1\r\nHost: x\r\n\r\n",
    };
    for (size_t i = 0; i < VZ_COUNT_OF(texts); i++) {
        int fd = dial();
        send_text(fd, texts[i]);
        if (i % 2)
            shutdown(fd, SHUT_WR);
        hear(fd);
        close(fd);
        fd = dial();
        send_text(fd, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
        expect(fd, 200, "ok");
        close(fd);
    }
}

static void test_large_headers(void **state)
{
    struct vz_buf text = {0};
    for (size_t size = 1000; size <= 64000; size *= 4) {
        struct vz_buf in = {0};
        vz_buf_clear(&text);
        vz_buf_append_str(&text, "GET / HTTP/1.1\r\nHost: x\r\nAuthorization: ");
        for (size_t i = 0; i < size; i++)
            vz_buf_append_char(&text, 'a');
        vz_buf_append_str(&text, "\r\nConnection: close\r\n\r\n");
        int fd = dial();
        send_bytes(fd, text.data, text.len);
        while (receive_some(fd, &in))
            ;
        if (size <= 16000)
            assert_int_equal(strncmp(in.data, "HTTP/1.1 200", 12), 0);
        else if (in.len) /* a reset may have eaten the refusal */
            assert_int_equal(strncmp(in.data, "HTTP/1.1 4", 10), 0);
        vz_buf_deinit(&in);
        close(fd);
    }
    vz_buf_deinit(&text);
}

/* Random damage to good requests, cut at random places. The seed is printed. */
static void test_noise(void **state)
{
    static const char *const good[] = {
        "POST /echo?a=b%20c HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello",
        "PUT /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: "
        "chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        "GET /big HTTP/1.1\r\nHost: x\r\nAccept-Encoding: gzip;q=1, *\r\nExpect: "
        "100-continue\r\n\r\n",
        "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Encoding: gzip\r\nContent-Length: "
        "4\r\n\r\n\x1f\x8b\x08",
    };
    const char *seed = getenv("VIZSLA_SEED");
    uint64_t rng = seed ? strtoull(seed, NULL, 0) : (uint64_t)time(NULL);
    print_message("seed %llu\n", (unsigned long long)rng);
    for (int round = 0; round < 1500; round++) {
        const char *text = good[vz_rng_next(&rng) % VZ_COUNT_OF(good)];
        struct vz_buf out = {0};
        vz_buf_append_str(&out, text);
        for (uint64_t hits = vz_rng_next(&rng) % 4; hits > 0; hits--)
            out.data[vz_rng_next(&rng) % out.len] = (char)vz_rng_next(&rng);
        if (vz_rng_next(&rng) % 4 == 0)
            out.len = vz_rng_next(&rng) % out.len;
        int fd = dial();
        send_bytes(fd, out.data, out.len);
        if (vz_rng_next(&rng) % 2)
            shutdown(fd, SHUT_WR);
        if (vz_rng_next(&rng) % 4 == 0)
            hear(fd);
        close(fd);
        vz_buf_deinit(&out);
    }
    int fd = dial();
    send_text(fd, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    expect(fd, 200, "ok");
    close(fd);
}

static void test_client_leaves_while_its_request_runs(void **state)
{
    for (int i = 0; i < 2; i++) {
        int fd = dial();
        send_text(fd, "GET /wait HTTP/1.1\r\nHost: x\r\n\r\n");
        wait_for(&handler_entered, i + 1);
        struct linger reset = {.l_onoff = 1};
        setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
        close(fd);
    }
    atomic_store(&handler_released, 1);
    int fd = dial();
    send_text(fd, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    expect(fd, 200, "ok");
    close(fd);
}

static void *stop_slowly(void *context)
{
    vz_http_stop(server, *(unsigned *)context);
    return NULL;
}

static void test_stop_finishes_what_runs(void **state)
{
    start_with((struct vz_http_options){.reject = reject, .worker_threads = 1});
    uint16_t port = vz_http_port(server);
    int running = dial(), waiting = dial(), idle = dial(), half = dial();
    unsigned grace_ms = WAIT_MS;
    pthread_t stopper;
    send_text(idle, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    expect(idle, 200, "ok");
    send_text(running, "GET /wait HTTP/1.1\r\nHost: x\r\n\r\n");
    wait_for(&handler_entered, 1);
    send_text(waiting, "GET /big HTTP/1.1\r\nHost: x\r\n\r\n");
    struct vz_http_counts counts;
    do {
        usleep(1000);
        vz_http_count(server, &counts);
    } while (counts.queued < 1);
    pthread_create(&stopper, NULL, stop_slowly, &grace_ms);
    bool let_in = true; /* a late one is closed at once, without an answer */
    for (uint64_t until = vz_now_ns() + WAIT_MS * 500000ull; let_in && vz_now_ns() < until;) {
        char byte;
        int late = dial_port(port);
        let_in = late >= 0 && recv(late, &byte, 1, MSG_DONTWAIT) < 0 && errno == EAGAIN;
        if (late >= 0)
            close(late);
        usleep(1000);
    }
    assert_false(let_in);
    atomic_store(&handler_released, 1);
    struct answer a;
    receive(running, &a);
    assert_string_equal(a.body.data, "waited");
    assert_string_equal(header(&a, "connection"), "close");
    vz_buf_deinit(&a.body);
    receive(waiting, &a);
    assert_int_equal(a.status, 200);
    assert_int_equal(a.body.len, 100000);
    vz_buf_deinit(&a.body);
    pthread_join(stopper, NULL);
    expect_end(idle);
    expect_end(half);
    close(running);
    close(waiting);
    close(idle);
    close(half);
    server = NULL;
}

static bool path_is_quick(void *context, const struct vz_http_request *rq)
{
    return vz_slice_is(rq->path, "/quick");
}

/* The grace is too short: the running handler is waited for, the queued request refused, a request
 * half sent is dropped, and stopping ends. */
static void test_stop_without_grace(void **state)
{
    enum { PROBES = 300 };
    static int probes[PROBES];
    start_with(
        (struct vz_http_options){.reject = reject, .worker_threads = 1, .quick = path_is_quick});
    int running = dial(), waiting = dial(), half = dial();
    unsigned grace_ms = 1;
    pthread_t stopper;
    struct vz_http_counts counts;
    send_text(half, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhalf");
    send_text(running, "GET /wait HTTP/1.1\r\nHost: x\r\n\r\n");
    wait_for(&handler_entered, 1);
    send_text(waiting, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    do {
        usleep(1000);
        vz_http_count(server, &counts);
    } while (counts.queued < 1);
    for (int i = 0; i < PROBES; i++)
        probes[i] = dial();
    do { /* until all are let in, which later nobody is */
        usleep(1000);
        vz_http_count(server, &counts);
    } while (counts.connections_open < PROBES + 3);
    pthread_create(&stopper, NULL, stop_slowly, &grace_ms);
    struct answer a = {0};
    for (int i = 0; a.status != 503; i++) { /* until what comes now is refused */
        assert_true(i < PROBES);            /* after 45 seconds */
        usleep((unsigned)i * 1000);
        send_text(probes[i], "GET /quick HTTP/1.1\r\nHost: x\r\n\r\n");
        receive(probes[i], &a);
        vz_buf_deinit(&a.body);
    }
    atomic_store(&handler_released, 1);
    expect(running, 200, "waited");
    receive(waiting, &a);
    assert_int_equal(a.status, 503);
    vz_buf_deinit(&a.body);
    pthread_join(stopper, NULL);
    for (int i = 0; i < PROBES; i++)
        close(probes[i]);
    expect_end(half);
    close(running);
    close(waiting);
    close(half);
    server = NULL;
}

static void *hammer(void *context)
{
    struct vz_buf in = {0};
    int fd = dial_port(*(uint16_t *)context);
    for (int i = 0; fd >= 0 && i < 100000; i++) {
        send_text(fd, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello");
        vz_buf_clear(&in);
        if (!receive_some(fd, &in))
            break;
    }
    close(fd);
    vz_buf_deinit(&in);
    return NULL;
}

static void test_stop_under_load(void **state)
{
    for (int round = 0; round < 10; round++) {
        pthread_t threads[8];
        start_with((struct vz_http_options){.reject = reject, .network_threads = 1 + round % 2});
        uint16_t port = vz_http_port(server);
        for (int i = 0; i < 8; i++)
            pthread_create(&threads[i], NULL, hammer, &port);
        usleep(20000);
        vz_http_stop(server, round % 3 == 0 ? 0 : 1000);
        for (int i = 0; i < 8; i++)
            pthread_join(threads[i], NULL);
        server = NULL;
    }
}

int main(void)
{
#define WITH_SERVER(test) cmocka_unit_test_setup_teardown(test, start, stop)
    const struct CMUnitTest tests[] = {
        WITH_SERVER(test_4_gigabytes_cost_nothing),
        WITH_SERVER(test_promised_bodies_cost_little),
        WITH_SERVER(test_chunked_over_the_limit),
        cmocka_unit_test(test_bodies_over_their_common_limit),
        WITH_SERVER(test_slow_client),
        cmocka_unit_test(test_client_leaves),
        cmocka_unit_test(test_queue_full),
        WITH_SERVER(test_idle_connections),
        WITH_SERVER(test_malformed),
        WITH_SERVER(test_large_headers),
        WITH_SERVER(test_noise),
        WITH_SERVER(test_client_leaves_while_its_request_runs),
        cmocka_unit_test(test_stop_finishes_what_runs),
        cmocka_unit_test(test_stop_without_grace),
        cmocka_unit_test(test_stop_under_load),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
