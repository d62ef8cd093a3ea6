/* The server over real sockets: what a well-behaved client sees. */
#include "support.h"

#include "http/coding.h"

#include <zlib.h>

static void test_show(void **state)
{
    struct answer a;
    int fd = dial();
    send_text(fd, "GET /show/a%2Fb/%C3%A9?pretty&q=a%20b+c&e=&=x&&z=1=2 HTTP/1.1\r\nHost: x\r\n"
                  "Content-Type: application/json; charset=utf-8\r\nACCEPT: text/plain\r\n"
                  "Authorization: ApiKey abc\r\nX-Opaque-Id: 77\r\n\r\n");
    receive(fd, &a);
    assert_int_equal(a.status, 200);
    assert_string_equal(a.body.data, "GET /show/a%2Fb/%C3%A9\npretty=\nq=a b c\ne=\n=x\nz=1=2\n"
                                     "type: application/json; charset=utf-8\naccept: text/plain\n"
                                     "auth: ApiKey abc\nid: 77\nremote: 127.0.0.1\n");
    assert_string_equal(header(&a, "content-type"), "application/json");
    assert_string_equal(header(&a, "X-elastic-product"), "Elasticsearch");
    assert_non_null(header(&a, "X-Sum"));
    vz_buf_deinit(&a.body);
    send_text(fd, "DELETE http://localhost:9200/show?a HTTP/1.1\r\nHost: x\r\n\r\n");
    receive(fd, &a);
    assert_int_equal(strncmp(a.body.data, "DELETE /show\na=\n", 16), 0);
    vz_buf_deinit(&a.body);
    send_text(fd, "GET /show?a=%zz HTTP/1.1\r\nHost: x\r\n\r\n");
    receive(fd, &a);
    assert_int_equal(a.status, 400);
    assert_non_null(strstr(a.body.data, "malformed percent escape"));
    assert_string_equal(header(&a, "X-elastic-product"), "Elasticsearch");
    vz_buf_deinit(&a.body);
    send_text(fd, "GET /status/404 HTTP/1.1\r\nHost: x\r\n\r\n");
    expect(fd, 404, "404");
    close(fd);
}

static void test_bodies(void **state)
{
    int fd = dial();
    send_text(fd, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello");
    expect(fd, 200, "hello");
    send_text(fd, "GET /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nbody");
    expect(fd, 200, "body");
    send_text(fd, "PUT /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
                  "5\r\nhello\r\n1;ext=1\r\n,\r\n6\r\n world\r\n0\r\nTrailer: x\r\n\r\n");
    expect(fd, 200, "hello, world");
    send_text(fd, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n");
    expect(fd, 200, "");
    close(fd);
}

static void test_large_body(void **state)
{
    size_t len = 1 << 20; /* exactly the limit */
    char *bytes = malloc(len), line[200];
    for (size_t i = 0; i < len; i++)
        bytes[i] = (char)(i * 2654435761u >> 13);
    int fd = dial();
    snprintf(line, sizeof line, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: %zu\r\n\r\n",
             len);
    for (int round = 0; round < 3; round++) {
        struct answer a;
        send_text(fd, line);
        send_bytes(fd, bytes, len);
        receive(fd, &a);
        assert_int_equal(a.body.len, len);
        assert_memory_equal(a.body.data, bytes, len);
        vz_buf_deinit(&a.body);
    }
    close(fd);
    free(bytes);
}

static void test_head(void **state)
{
    struct vz_buf in = {0};
    struct answer a;
    int fd = dial();
    send_text(fd, "HEAD /big HTTP/1.1\r\nHost: x\r\nAccept-Encoding: gzip\r\n\r\n"
                  "GET /x HTTP/1.1\r\nHost: x\r\n\r\n");
    receive_next(fd, &in, true, &a);
    assert_int_equal(a.status, 200);
    assert_string_equal(header(&a, "content-length"), "100000");
    vz_buf_deinit(&a.body);
    receive_next(fd, &in, false, &a);
    assert_string_equal(a.body.data, "ok");
    assert_int_equal(in.len, 0);
    vz_buf_deinit(&a.body);
    vz_buf_deinit(&in);
    close(fd);
}

static void test_pipelined(void **state)
{
    struct vz_buf out = {0}, in = {0};
    int fd = dial();
    for (int i = 0; i < 50; i++)
        vz_buf_printf(&out, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\n%04d", i);
    send_bytes(fd, out.data, out.len);
    for (int i = 0; i < 50; i++) {
        struct answer a;
        receive_next(fd, &in, false, &a);
        assert_int_equal(atoi(a.body.data), i);
        vz_buf_deinit(&a.body);
    }
    vz_buf_deinit(&out);
    vz_buf_deinit(&in);
    close(fd);
}

/* Compresses in the given zlib format. */
static struct vz_buf pack(int window_bits, struct vz_slice plain)
{
    struct vz_buf out = {0};
    z_stream z = {0};
    assert_int_equal(deflateInit2(&z, 9, Z_DEFLATED, window_bits, 8, Z_DEFAULT_STRATEGY), Z_OK);
    vz_buf_reserve(&out, deflateBound(&z, plain.len));
    z.next_in = (Bytef *)(uintptr_t)plain.ptr;
    z.avail_in = (uInt)plain.len;
    z.next_out = (Bytef *)out.data;
    z.avail_out = (uInt)out.capacity;
    assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
    out.len = out.capacity - z.avail_out;
    deflateEnd(&z);
    return out;
}

static void post_packed(int fd, const char *coding, struct vz_slice packed)
{
    char line[200];
    snprintf(
        line, sizeof line,
        "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Encoding: %s\r\nContent-Length: %zu\r\n\r\n",
        coding, packed.len);
    send_text(fd, line);
    send_bytes(fd, packed.ptr, packed.len);
}

static void test_compressed_bodies(void **state)
{
    static const struct {
        const char *name;
        int window_bits;
    } kinds[] = {{"gzip", 31}, {"GZIP", 31}, {"deflate", 15}, {"deflate", -15}, {"x-gzip", 31}};
    int fd = dial();
    for (size_t i = 0; i < VZ_COUNT_OF(kinds); i++) {
        struct vz_buf packed = pack(kinds[i].window_bits, VZ_SLICE("squeeze me, squeeze me"));
        post_packed(fd, kinds[i].name, vz_buf_slice(&packed));
        expect(fd, 200, "squeeze me, squeeze me");
        struct answer a;
        post_packed(fd, kinds[i].name, (struct vz_slice){packed.data, packed.len - 3});
        receive(fd, &a);
        assert_int_equal(a.status, 400);
        assert_non_null(strstr(a.body.data, "cut short"));
        vz_buf_deinit(&a.body);
        memset(packed.data, 0xEE, packed.len);
        post_packed(fd, kinds[i].name, vz_buf_slice(&packed));
        receive(fd, &a);
        assert_int_equal(a.status, 400);
        assert_non_null(strstr(a.body.data, "damaged"));
        vz_buf_deinit(&a.body);
        vz_buf_deinit(&packed);
    }
    struct answer a;
    post_packed(fd, "br", VZ_SLICE("xxx"));
    receive(fd, &a);
    assert_int_equal(a.status, 415);
    vz_buf_deinit(&a.body);
    struct vz_buf packed = pack(31, VZ_SLICE("one "));
    struct vz_buf second = pack(31, VZ_SLICE("two"));
    vz_buf_append_slice(&packed, vz_buf_slice(&second)); /* two members make one body */
    post_packed(fd, "gzip", vz_buf_slice(&packed));
    expect(fd, 200, "one two");
    vz_buf_deinit(&packed);
    vz_buf_deinit(&second);
    close(fd);
}

static void test_bomb(void **state)
{
    size_t len = 64 << 20;
    char *zeros = calloc(1, len);
    struct vz_buf packed = pack(31, (struct vz_slice){zeros, len});
    free(zeros);
    assert_true(packed.len < 100000);
    int fd = dial();
    struct answer a;
    post_packed(fd, "gzip", vz_buf_slice(&packed));
    receive(fd, &a);
    assert_int_equal(a.status, 413);
    assert_non_null(strstr(a.body.data, "over the limit of 1048576 bytes"));
    vz_buf_deinit(&a.body);
    vz_buf_deinit(&packed);
    /* Exactly the limit passes. */
    zeros = calloc(1, 1 << 20);
    packed = pack(31, (struct vz_slice){zeros, 1 << 20});
    post_packed(fd, "gzip", vz_buf_slice(&packed));
    receive(fd, &a);
    assert_int_equal(a.status, 200);
    assert_int_equal(a.body.len, 1 << 20);
    vz_buf_deinit(&a.body);
    vz_buf_deinit(&packed);
    free(zeros);
    close(fd);
}

static void test_compressed_answers(void **state)
{
    static const struct {
        const char *accept;
        bool gzip;
    } rows[] = {{"gzip", true},
                {"deflate, gzip;q=0.5", true},
                {"*", true},
                {"identity", false},
                {"gzip;q=0", false},
                {"*;q=0", false},
                {"gzip;q=0, *", false},
                {"br, zstd", false}};
    int fd = dial();
    for (size_t i = 0; i < VZ_COUNT_OF(rows); i++) {
        char text[200];
        struct answer a;
        struct vz_buf plain = {0};
        snprintf(text, sizeof text, "GET /big HTTP/1.1\r\nHost: x\r\nAccept-Encoding: %s\r\n\r\n",
                 rows[i].accept);
        send_text(fd, text);
        receive(fd, &a);
        assert_int_equal(header(&a, "content-encoding") != NULL, rows[i].gzip);
        if (rows[i].gzip) {
            assert_true(a.body.len < 2000);
            assert_int_equal(
                vz_http_inflate(VZ_HTTP_GZIP, vz_buf_slice(&a.body), 1 << 20, &plain, NULL), VZ_OK);
            assert_int_equal(plain.len, 100000);
            assert_memory_equal(plain.data + 99990, "0123456789", 10);
        } else {
            assert_int_equal(a.body.len, 100000);
        }
        vz_buf_deinit(&a.body);
        vz_buf_deinit(&plain);
    }
    send_text(fd, "GET /small HTTP/1.1\r\nHost: x\r\nAccept-Encoding: gzip\r\n\r\n");
    struct answer a;
    receive(fd, &a);
    assert_null(header(&a, "content-encoding"));
    vz_buf_deinit(&a.body);
    close(fd);
}

static void test_expect_continue(void **state)
{
    struct vz_buf in = {0};
    struct answer a;
    int fd = dial();
    send_text(
        fd, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n");
    receive_next(fd, &in, true, &a);
    assert_int_equal(a.status, 100);
    vz_buf_deinit(&a.body);
    send_text(fd, "hello");
    receive_next(fd, &in, false, &a);
    assert_string_equal(a.body.data, "hello");
    vz_buf_deinit(&a.body);
    /* Too large: refused instead of invited. */
    send_text(fd, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 2000000\r\n"
                  "Expect: 100-continue\r\n\r\n");
    receive_next(fd, &in, false, &a);
    assert_int_equal(a.status, 413);
    vz_buf_deinit(&a.body);
    vz_buf_deinit(&in);
    close(fd);
}

static void test_counters(void **state)
{
    struct vz_http_counts before, after;
    vz_http_count(server, &before);
    int fd = dial();
    send_text(fd, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello");
    expect(fd, 200, "hello");
    send_text(fd, "GET /status/503 HTTP/1.1\r\nHost: x\r\n\r\n");
    expect(fd, 503, "503");
    vz_http_count(server, &after);
    assert_int_equal(after.requests - before.requests, 2);
    assert_int_equal(after.connections_total - before.connections_total, 1);
    assert_int_equal(after.bytes_in - before.bytes_in, 5);
    assert_int_equal(after.bytes_out - before.bytes_out, 8);
    assert_int_equal(after.by_class[2] - before.by_class[2], 1);
    assert_int_equal(after.by_class[5] - before.by_class[5], 1);
    assert_true(after.connections_open >= 1);
    assert_int_equal(after.running, 0);
    close(fd);
}

static void test_call(void **state)
{
    char url[64];
    struct vz_http_answer answer;
    struct vz_error err = {0};
    struct vz_http_counts before, after;
    snprintf(url, sizeof url, "http://127.0.0.1:%u/", vz_http_port(server));
    vz_http_count(server, &before);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(
            vz_http_call(url, "POST", "/echo?x=1", VZ_SLICE("{\"a\":1}"), NULL, &answer, &err),
            VZ_OK);
        assert_int_equal(answer.status, 200);
        assert_string_equal(answer.body.data, "{\"a\":1}");
        vz_buf_deinit(&answer.body);
        assert_int_equal(
            vz_http_call(url, "HEAD", "/status/404", (struct vz_slice){0}, NULL, &answer, &err),
            VZ_OK);
        assert_int_equal(answer.status, 404);
        assert_int_equal(answer.body.len, 0);
        vz_buf_deinit(&answer.body);
        assert_int_equal(
            vz_http_call(url, "PUT", "/show", (struct vz_slice){0}, NULL, &answer, &err), VZ_OK);
        assert_int_equal(strncmp(answer.body.data, "PUT /show\n", 10), 0);
        vz_buf_deinit(&answer.body);
        assert_int_equal(vz_http_call(url, "DELETE", "/show/../x", VZ_SLICE("{}"),
                                      "application/x-ndjson", &answer, &err),
                         VZ_OK);
        assert_int_equal(
            strncmp(answer.body.data, "DELETE /show/../x\ntype: application/x-ndjson", 43), 0);
        vz_buf_deinit(&answer.body);
    }
    vz_http_count(server, &after);
    assert_int_equal(after.connections_total - before.connections_total, 1);
    assert_int_equal(
        vz_http_call("http://127.0.0.1:1", "GET", "/", (struct vz_slice){0}, NULL, &answer, &err),
        VZ_IO);
    assert_non_null(strstr(err.text, "http://127.0.0.1:1"));
    assert_int_equal(
        vz_http_call("file:///etc/passwd", "GET", "/", (struct vz_slice){0}, NULL, &answer, &err),
        VZ_IO);
}

/* Answers whoever calls with x for ever. */
static void *talk(void *context)
{
    static char noise[1 << 16];
    int *listener = context;
    int fd = accept(*listener, NULL, NULL);
    memset(noise, 'x', sizeof noise);
    send_text(fd, "HTTP/1.1 200 OK\r\n\r\n");
    while (send(fd, noise, sizeof noise, MSG_NOSIGNAL) > 0)
        ;
    close(fd);
    return NULL;
}

static void test_call_of_an_endless_answer(void **state)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof at;
    struct vz_http_answer answer;
    struct vz_error err = {0};
    char url[64];
    pthread_t thread;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(listener, (struct sockaddr *)&at, sizeof at), 0);
    assert_int_equal(listen(listener, 1), 0);
    getsockname(listener, (struct sockaddr *)&at, &len);
    snprintf(url, sizeof url, "http://127.0.0.1:%u", ntohs(at.sin_port));
    assert_int_equal(pthread_create(&thread, NULL, talk, &listener), 0);
    assert_int_equal(vz_http_call(url, "GET", "/", (struct vz_slice){0}, NULL, &answer, &err),
                     VZ_LIMIT);
    assert_non_null(strstr(err.text, url));
    assert_null(answer.body.data);
    pthread_join(thread, NULL);
    close(listener);
}

static bool path_is_quick(void *context, const struct vz_http_request *rq)
{
    return vz_slice_is(rq->path, "/echo");
}

static void test_quick(void **state)
{
    start_with((struct vz_http_options){
        .quick = path_is_quick, .network_threads = 2, .worker_threads = 1});
    int slow = dial(), fd = dial();
    send_text(slow, "GET /wait HTTP/1.1\r\nHost: x\r\n\r\n");
    wait_for(&handler_entered, 1); /* the only worker is busy: quick ones do not need it */
    for (int i = 0; i < 100; i++) {
        send_text(fd, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello");
        expect(fd, 200, "hello");
    }
    atomic_store(&handler_released, 1);
    expect(slow, 200, "waited");
    close(fd);
    close(slow);
    stop(NULL);
}

static pthread_t served_by; /* the network thread that saw the last request */

static bool note_thread(void *context, const struct vz_http_request *rq)
{
    served_by = pthread_self();
    return false;
}

/* Connections that come at once are shared out, or one core would serve them all. */
static void test_connections_are_spread(void **state)
{
    for (int round = 0; round < 5; round++) {
        int fds[6], of_first = 0;
        pthread_t first = 0;
        start_with((struct vz_http_options){
            .quick = note_thread, .network_threads = 2, .worker_threads = 1});
        for (size_t i = 0; i < VZ_COUNT_OF(fds); i++)
            fds[i] = dial();
        for (size_t i = 0; i < VZ_COUNT_OF(fds); i++) {
            send_text(fds[i], "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
            expect(fds[i], 200, "ok"); /* after which served_by is not written */
            if (i == 0)
                first = served_by;
            of_first += pthread_equal(first, served_by) != 0;
        }
        assert_int_equal(of_first, VZ_COUNT_OF(fds) / 2);
        for (size_t i = 0; i < VZ_COUNT_OF(fds); i++)
            close(fds[i]);
        stop(NULL);
    }
}

static void expect_status(const char *request, int status)
{
    struct answer a;
    int fd = dial();
    send_text(fd, request);
    receive(fd, &a);
    if (a.status != status)
        fail_msg("%d instead of %d for %s", a.status, status, request);
    vz_buf_deinit(&a.body);
    close(fd);
}

static void test_foreign_pages(void **state)
{
    start_with((struct vz_http_options){
        .reject = reject, .guard_origin = true, .guard_host = true, .known_hosts = "dogs.example"});
    expect_status("GET / HTTP/1.1\r\nHost: localhost:9200\r\n\r\n", 200);
    expect_status("GET / HTTP/1.1\r\nHost: dogs.example\r\n\r\n", 200);
    expect_status("GET / HTTP/1.0\r\n\r\n", 200);
    expect_status("GET / HTTP/1.1\r\nHost: evil.example:9200\r\n\r\n", 403);
    expect_status("DELETE /x HTTP/1.1\r\nHost: localhost\r\nOrigin: http://evil.example\r\n\r\n",
                  403);
    expect_status("POST /x HTTP/1.1\r\nHost: 127.0.0.1\r\norigin: null\r\nContent-Type: "
                  "text/plain\r\nContent-Length: 2\r\n\r\n{}",
                  403);
    expect_status("OPTIONS /x HTTP/1.1\r\nHost: localhost\r\nOrigin: http://evil.example\r\n"
                  "Access-Control-Request-Method: PUT\r\n\r\n",
                  403);
    expect_status("POST /x HTTP/1.1\r\nHost: 127.0.0.1\r\nOrigin: http://localhost:3000\r\n"
                  "Content-Length: 2\r\n\r\n{}",
                  200);
    stop(NULL);
    start_with((struct vz_http_options){.guard_origin = true});
    expect_status("POST /x HTTP/1.1\r\nHost: here.example\r\nOrigin: http://here.example:80\r\n"
                  "Content-Length: 0\r\n\r\n",
                  200);
    expect_status("GET / HTTP/1.1\r\nHost: here.example\r\nOrigin: http://evil.example\r\n\r\n",
                  403);
    stop(NULL);
}

static void test_start_errors(void **state)
{
    struct vz_http_server *second;
    struct vz_error err = {0};
    start(NULL);
    assert_int_equal(
        vz_http_start(&(struct vz_http_options){.handle = handle, .port = vz_http_port(server)},
                      &second, &err),
        VZ_BUSY);
    char port[8];
    snprintf(port, sizeof port, "%u", vz_http_port(server));
    assert_non_null(strstr(err.text, port));
    assert_null(second);
    assert_int_equal(vz_http_start(&(struct vz_http_options){.handle = handle, .host = "nowhere"},
                                   &second, &err),
                     VZ_BAD_ARGUMENT);
    assert_int_equal(vz_http_start(&(struct vz_http_options){0}, &second, &err), VZ_BAD_ARGUMENT);
    stop(NULL);
}

int main(void)
{
#define WITH_SERVER(test) cmocka_unit_test_setup_teardown(test, start, stop)
    const struct CMUnitTest tests[] = {
        WITH_SERVER(test_show),
        WITH_SERVER(test_bodies),
        WITH_SERVER(test_large_body),
        WITH_SERVER(test_head),
        WITH_SERVER(test_pipelined),
        WITH_SERVER(test_compressed_bodies),
        WITH_SERVER(test_bomb),
        WITH_SERVER(test_compressed_answers),
        WITH_SERVER(test_expect_continue),
        WITH_SERVER(test_counters),
        WITH_SERVER(test_call),
        cmocka_unit_test(test_call_of_an_endless_answer),
        cmocka_unit_test(test_quick),
        cmocka_unit_test(test_connections_are_spread),
        cmocka_unit_test(test_foreign_pages),
        cmocka_unit_test(test_start_errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
