/* Taking targets apart and percent decoding, without sockets. */
#include "http/coding.h"
#include "http/guard.h"
#include "http/request.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void test_decode(void **state)
{
    struct vz_arena arena = {0};
    struct vz_slice out;
    assert_true(vz_http_decode(VZ_SLICE("a%2Fb+c%C3%a9"), &arena, &out));
    assert_true(vz_slice_is(out, "a/b+c\xC3\xA9"));
    assert_int_equal(out.ptr[out.len], 0);
    assert_true(vz_http_decode(VZ_SLICE(""), &arena, &out));
    assert_int_equal(out.len, 0);
    static const char *const bad[] = {"%", "%4", "%zz", "a%4g", "%00", "x%", "%%41"};
    for (size_t i = 0; i < VZ_COUNT_OF(bad); i++)
        assert_false(vz_http_decode(vz_slice_from(bad[i]), &arena, &out));
    vz_arena_deinit(&arena);
}

static void expect_target(const char *target, const char *path, size_t params)
{
    struct vz_arena arena = {0};
    struct vz_slice got;
    struct vz_http_param *list;
    size_t count;
    assert_true(vz_http_split_target(vz_slice_from(target), &arena, &got, &list, &count));
    assert_true(vz_slice_is(got, path));
    assert_int_equal(count, params);
    vz_arena_deinit(&arena);
}

static void test_targets(void **state)
{
    expect_target("/", "/", 0);
    expect_target("/a?", "/a", 0);
    expect_target("/a?&&", "/a", 0);
    expect_target("/a?b", "/a", 1);
    expect_target("/a?b=c&d", "/a", 2);
    expect_target("?b", "/", 1);
    expect_target("http://h:1/a/b?c", "/a/b", 1);
    expect_target("HTTPS://h?c", "/", 1);
    expect_target("http://h", "/", 0);
    expect_target("http:", "http:", 0);
    expect_target("*", "*", 0);
    expect_target("/a?b?c=d?e", "/a", 1);
}

static void test_params(void **state)
{
    struct vz_arena arena = {0};
    struct vz_http_request rq = {0};
    struct vz_http_param *list;
    struct vz_slice value;
    assert_true(vz_http_split_target(VZ_SLICE("/x?pretty&a=1&a=2&q=x+y%2B"), &arena, &rq.path,
                                     &list, &rq.param_count));
    rq.params = list;
    assert_true(vz_http_param(&rq, "pretty", &value));
    assert_true(value.len == 0 && value.ptr);
    assert_true(vz_http_param(&rq, "a", &value) && vz_slice_is(value, "1"));
    assert_true(vz_http_param(&rq, "q", &value) && vz_slice_is(value, "x y+"));
    assert_false(vz_http_param(&rq, "nothing", &value));
    vz_arena_deinit(&arena);
}

static void test_gzip_round_trip(void **state)
{
    struct vz_buf plain = {0}, small = {0}, back = {0};
    uint64_t x = 88172645463325252ull;
    assert_false(vz_http_gzip(VZ_SLICE("short"), &small));
    for (int i = 0; i < 100000; i++)
        vz_buf_printf(&plain, "%d,", i % 1000);
    for (int round = 0; round < 3; round++) {
        vz_buf_clear(&small);
        vz_buf_clear(&back);
        assert_true(vz_http_gzip(vz_buf_slice(&plain), &small));
        assert_true(small.len < plain.len / 3);
        assert_int_equal(
            vz_http_inflate(VZ_HTTP_GZIP, vz_buf_slice(&small), plain.len, &back, NULL), VZ_OK);
        assert_int_equal(back.len, plain.len);
        assert_memory_equal(back.data, plain.data, plain.len);
        vz_buf_clear(&back); /* a limit beyond zlib's 32 bits is a limit like another */
        assert_int_equal(
            vz_http_inflate(VZ_HTTP_GZIP, vz_buf_slice(&small), (size_t)8 << 30, &back, NULL),
            VZ_OK);
        assert_int_equal(back.len, plain.len);
        vz_buf_clear(&back);
        assert_int_equal(
            vz_http_inflate(VZ_HTTP_GZIP, vz_buf_slice(&small), plain.len - 1, &back, NULL),
            VZ_LIMIT);
    }
    for (size_t i = 0; i < plain.len; i++) { /* noise does not shrink */
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        plain.data[i] = (char)x;
    }
    vz_buf_clear(&small);
    assert_false(vz_http_gzip(vz_buf_slice(&plain), &small));
    assert_int_equal(small.len, 0);
    vz_buf_deinit(&plain);
    vz_buf_deinit(&small);
    vz_buf_deinit(&back);
}

static void test_hosts(void **state)
{
    static const char *const known[] = {
        "",          "localhost",   "localhost:9200", "LOCALHOST.",      "a.localhost:1",
        "127.0.0.1", "127.0.0.1:0", "[::1]:9200",     "[::1]",           "192.168.1.5:9200",
        "[fe80::1]", "dogs.example", "DOGS.example:443", "other.example."};
    static const char *const strange[] = {
        "evil.example",   "evil.example:9200", "127.0.0.1.evil.example", "localhost.evil.example",
        "notlocalhost:1", ".localhost",        "[::1",                   "dogs.example.evil",
        "127.0.0.1@evil", ":9200",             "xn--dogs.example"};
    const char *names = "dogs.example, other.example";
    for (size_t i = 0; i < VZ_COUNT_OF(known); i++)
        if (!vz_http_host_is_known(vz_slice_from(known[i]), names))
            fail_msg("%s is refused", known[i]);
    for (size_t i = 0; i < VZ_COUNT_OF(strange); i++) {
        if (vz_http_host_is_known(vz_slice_from(strange[i]), names))
            fail_msg("%s is let in", strange[i]);
        assert_true(vz_http_host_is_known(vz_slice_from(strange[i]), "*"));
    }
    assert_false(vz_http_host_is_known(VZ_SLICE("dogs.example"), NULL));
    assert_false(vz_http_host_is_known(VZ_SLICE("dogs.example"), ""));
}

static void test_origins(void **state)
{
    struct vz_slice host = VZ_SLICE("192.168.1.5:9200");
    static const char *const known[] = {"",
                                        "http://localhost:3000",
                                        "https://127.0.0.1",
                                        "http://[::1]:9200",
                                        "http://192.168.1.5",
                                        "http://192.168.1.5:8080",
                                        "https://dogs.example",
                                        "chrome-extension://abc"};
    static const char *const strange[] = {"null",
                                          "http://evil.example",
                                          "http://192.168.1.6:9200",
                                          "http://localhost.evil.example",
                                          "http://evil.example?://localhost",
                                          "file://",
                                          "://",
                                          "localhost"};
    for (size_t i = 0; i < VZ_COUNT_OF(known); i++)
        if (!vz_http_origin_is_known(vz_slice_from(known[i]), host, "dogs.example,abc"))
            fail_msg("%s is refused", known[i]);
    for (size_t i = 0; i < VZ_COUNT_OF(strange); i++)
        if (vz_http_origin_is_known(vz_slice_from(strange[i]), host, "dogs.example,abc"))
            fail_msg("%s is let in", strange[i]);
    assert_true(vz_http_origin_is_known(VZ_SLICE("null"), host, "*"));
    assert_false(vz_http_origin_is_known(VZ_SLICE("http://x"), (struct vz_slice){0}, NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_decode),
        cmocka_unit_test(test_targets),
        cmocka_unit_test(test_params),
        cmocka_unit_test(test_gzip_round_trip),
        cmocka_unit_test(test_hosts),
        cmocka_unit_test(test_origins),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
