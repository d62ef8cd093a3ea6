/* Parsing, cursors, floats, errors and where they point. */
#include "base/text.h"
#include "json/json.h"

#include <float.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

/* Parses a copy of exactly len bytes, so that a sanitizer sees any read past the end. */
static enum vz_status parse_exact(struct vz_slice text, struct vz_json_doc **doc,
                                  struct vz_json *root, struct vz_error *err)
{
    char *copy = malloc(text.len ? text.len : 1);
    if (text.len)
        memcpy(copy, text.ptr, text.len);
    enum vz_status status = vz_json_parse((struct vz_slice){copy, text.len}, doc, root, err);
    free(copy);
    return status;
}

static struct vz_json parse_ok(const char *text, struct vz_json_doc **doc)
{
    struct vz_json root;
    struct vz_error err = {0};
    if (parse_exact(vz_slice_from(text), doc, &root, &err) != VZ_OK)
        fail_msg("%s: %s", text, err.text);
    return root;
}

static void test_types(void **state)
{
    struct vz_json_doc *doc;
    struct vz_json root =
        parse_ok("[null,true,false,1,-1,18446744073709551615,1.5,\"x\",[],{}]", &doc);
    static const enum vz_json_type expected[] = {
        VZ_JSON_NULL, VZ_JSON_BOOL,   VZ_JSON_BOOL,   VZ_JSON_INT,   VZ_JSON_INT,
        VZ_JSON_UINT, VZ_JSON_DOUBLE, VZ_JSON_STRING, VZ_JSON_ARRAY, VZ_JSON_OBJECT};
    static const char *names[] = {"null",   "boolean", "boolean", "number", "number",
                                  "number", "number",  "string",  "array",  "object"};
    struct vz_json_iter it = vz_json_iterate(root);
    struct vz_json value;
    struct vz_slice key;
    size_t i = 0;
    while (vz_json_next(&it, &key, &value)) {
        assert_int_equal(vz_json_type(value), expected[i]);
        assert_string_equal(vz_json_type_name(value), names[i]);
        assert_int_equal(key.len, 0);
        i++;
    }
    assert_int_equal(i, 10);
    assert_int_equal(vz_json_count(root), 10);
    struct vz_json missing = {0};
    assert_int_equal(vz_json_type(missing), VZ_JSON_MISSING);
    assert_string_equal(vz_json_type_name(missing), "nothing");
    assert_false(vz_json_get(missing, "a", &value));
    assert_int_equal(vz_json_count(missing), 0);
    vz_json_free(doc);
}

static void test_scalar_roots(void **state)
{
    static const char *texts[] = {"1", " true ", "null", "\"a\"", "-0.0", "12345678901234567890"};
    for (size_t i = 0; i < VZ_COUNT_OF(texts); i++) {
        struct vz_json_doc *doc;
        assert_int_not_equal(vz_json_type(parse_ok(texts[i], &doc)), VZ_JSON_MISSING);
        vz_json_free(doc);
    }
}

static void test_get(void **state)
{
    struct vz_json_doc *doc;
    struct vz_json root = parse_ok("{\"a\":{\"b\":{\"c\":1}},\"a.b\":{\"d\":2},\"x.y\":3,"
                                   "\"long\":[1,[2,{\"a\":9}],3],\"dup\":1,\"dup\":2,\"\":7,"
                                   "\"nul\\u0000key\":4}",
                                   &doc);
    struct vz_json value;
    assert_true(vz_json_get_path(root, "a.b.c", &value));
    assert_int_equal(vz_json_int(value), 1);
    assert_true(vz_json_get_path(root, "a.b.d", &value));
    assert_int_equal(vz_json_int(value), 2);
    assert_true(vz_json_get_path(root, "x.y", &value));
    assert_int_equal(vz_json_int(value), 3);
    assert_false(vz_json_get_path(root, "a.c", &value));
    assert_false(vz_json_get_path(root, "long.a", &value));
    assert_false(vz_json_get(root, "c", &value));
    assert_true(vz_json_get(root, "dup", &value));
    assert_int_equal(vz_json_int(value), 1);
    assert_true(vz_json_get(root, "", &value));
    assert_int_equal(vz_json_int(value), 7);
    assert_false(vz_json_get(root, "nul", &value));
    assert_true(vz_json_get(root, "long", &value));
    assert_int_equal(vz_json_count(value), 3);
    vz_json_free(doc);
}

static void test_strings(void **state)
{
    struct vz_json_doc *doc;
    struct vz_json root = parse_ok("\"a\\u00e9\\n\\\"\\u0000z\\ud83d\\ude00\"", &doc);
    assert_true(vz_slice_eq(vz_json_string(root), VZ_SLICE("a\xC3\xA9\n\"\0z\xF0\x9F\x98\x80")));
    assert_null(vz_json_string((struct vz_json){0}).ptr);
    vz_json_free(doc);
}

static void test_integers(void **state)
{
    struct vz_json_doc *doc;
    struct vz_json root = parse_ok(
        "[9223372036854775807,-9223372036854775808,9223372036854775808,18446744073709551615,"
        "18446744073709551616,-9223372036854775809,1e300,-1e300,1.9,-1.9,123456789012345678901]",
        &doc);
    static const int64_t ints[] = {INT64_MAX, INT64_MIN, INT64_MAX, INT64_MAX, INT64_MAX, INT64_MIN,
                                   INT64_MAX, INT64_MIN, 1,         -1,        INT64_MAX};
    static const double doubles[] = {0x1p63,
                                     -0x1p63,
                                     0x1p63,
                                     0x1p64,
                                     0x1p64,
                                     -0x1p63,
                                     1e300,
                                     -1e300,
                                     1.9,
                                     -1.9,
                                     123456789012345678901.0};
    struct vz_json_iter it = vz_json_iterate(root);
    struct vz_json value;
    for (size_t i = 0; vz_json_next(&it, NULL, &value); i++) {
        assert_int_equal(vz_json_int(value), ints[i]);
        assert_true(vz_json_double(value) == doubles[i]);
    }
    vz_json_free(doc);
}

static void test_lenient(void **state)
{
    struct vz_json_doc *doc;
    struct vz_json root = parse_ok(
        "{\"t\":[true,\"true\"],\"f\":[false,\"false\",\"\"],\"nb\":[1,\"yes\",null,\"TRUE\"],"
        "\"i\":[12,\"12\",12.0,\"12.0\",\"1.2e1\"],"
        "\"ni\":[1.5,\"1.5\",\"\",\"x\",\"0x10\",\"inf\",\"nan\",\" 1\",\"1 \",true,null,[],"
        "1e300,18446744073709551615,\"1e19\",\"9223372036854775808\","
        "\"-9223372036854775809\",\"18446744073709551616\"],"
        "\"edge\":[\"9223372036854775807\",\"-9223372036854775808\",9223372036854775807],"
        "\"nd\":[\"\",\"x\",\"inf\",\"nan\",\"0x1\",\"1e999\",true,[1]]}",
        &doc);
    struct vz_json list, value;
    struct vz_json_iter it;
    bool b;
    int64_t n;
    double d;
    assert_true(vz_json_get(root, "t", &list));
    for (it = vz_json_iterate(list); vz_json_next(&it, NULL, &value);)
        assert_true(vz_json_as_bool(value, &b) && b);
    assert_true(vz_json_get(root, "f", &list));
    for (it = vz_json_iterate(list); vz_json_next(&it, NULL, &value);)
        assert_true(vz_json_as_bool(value, &b) && !b);
    assert_true(vz_json_get(root, "nb", &list));
    for (it = vz_json_iterate(list); vz_json_next(&it, NULL, &value);)
        assert_false(vz_json_as_bool(value, &b));
    assert_true(vz_json_get(root, "i", &list));
    for (it = vz_json_iterate(list); vz_json_next(&it, NULL, &value);) {
        assert_true(vz_json_as_int(value, &n) && n == 12);
        assert_true(vz_json_as_double(value, &d) && d == 12);
    }
    assert_true(vz_json_get(root, "ni", &list));
    for (it = vz_json_iterate(list); vz_json_next(&it, NULL, &value);)
        assert_false(vz_json_as_int(value, &n));
    assert_true(vz_json_get(root, "edge", &list));
    for (it = vz_json_iterate(list); vz_json_next(&it, NULL, &value);)
        assert_true(vz_json_as_int(value, &n) && (n == INT64_MAX || n == INT64_MIN));
    assert_true(vz_json_get(root, "nd", &list));
    for (it = vz_json_iterate(list); vz_json_next(&it, NULL, &value);)
        assert_false(vz_json_as_double(value, &d));
    vz_json_free(doc);
}

static void test_floats(void **state)
{
    struct vz_json_doc *doc;
    struct vz_json root = parse_ok("[0.5,-1,18446744073709551615,3.4028234e38,1e-60,2]", &doc);
    float out[8] = {0};
    size_t count = 99;
    struct vz_error err = {0};
    assert_int_equal(vz_json_floats(root, out, 8, &count, &err), VZ_OK);
    assert_int_equal(count, 6);
    assert_true(out[0] == 0.5f && out[1] == -1 && out[2] == 0x1p64f && out[4] == 0 && out[5] == 2);
    float two[3] = {7, 7, 7};
    assert_int_equal(vz_json_floats(root, two, 2, &count, &err), VZ_OK);
    assert_int_equal(count, 6);
    assert_true(two[0] == 0.5f && two[1] == -1 && two[2] == 7);
    vz_json_free(doc);

    static const struct {
        const char *text, *says;
    } bad[] = {{"[1,2,\"3\"]", "element 2: expected a number, got string"},
               {"[1,[2]]", "element 1: expected a number, got array"},
               {"[{\"a\":1},2]", "element 0: expected a number, got object"},
               {"[1,null]", "element 1: expected a number, got null"},
               {"[1,1e39]", "element 1: 1e+39 is not finite as a 32-bit float"},
               {"{\"a\":1}", "expected an array of numbers, got object"},
               {"3", "expected an array of numbers, got number"}};
    for (size_t i = 0; i < VZ_COUNT_OF(bad); i++) {
        root = parse_ok(bad[i].text, &doc);
        err = (struct vz_error){0};
        assert_int_equal(vz_json_floats(root, out, 8, &count, &err), VZ_BAD_ARGUMENT);
        assert_string_equal(err.text, bad[i].says);
        assert_int_equal(count, 0);
        vz_json_free(doc);
    }
    root = parse_ok("[]", &doc);
    assert_int_equal(vz_json_floats(root, NULL, 0, &count, NULL), VZ_OK);
    assert_int_equal(count, 0);
    vz_json_free(doc);
}

static void test_errors_point_at_the_place(void **state)
{
    static const struct {
        const char *text;
        size_t offset;
        const char *says;
    } bad[] = {
        {"", 0, "unexpected end of text at line 1 column 1, expected a value"},
        {"  ", 2, "unexpected end of text"},
        {"{\"a\":\n\n  x}", 9, "unexpected character 'x' at line 3 column 3, expected a value"},
        {"[1,2", 4, "unexpected end of text at line 1 column 5, expected ',' or ']'"},
        {"[1 2]", 3, "unexpected character '2' at line 1 column 4, expected ',' or ']'"},
        {"[1,]", 3, "unexpected character ']'"},
        {"{\"a\" 1}", 5, "expected ':' after a key"},
        {"{a:1}", 1, "expected a key in double quotes"},
        {"{\"a\":1,}", 7, "expected a key in double quotes"},
        {"{} {}", 3, "expected nothing behind the value"},
        {"tru", 3, "expected 'true'"},
        {"nulL", 3, "expected 'null'"},
        {"01", 1, "leading zero"},
        {"[-]", 2, "expected a digit"},
        {"[1.]", 3, "after the decimal point"},
        {"[1e+]", 4, "in the exponent"},
        {"[.5]", 1, "expected a value"},
        {"[NaN]", 1, "unexpected character 'N'"},
        {"[Infinity]", 1, "unexpected character 'I'"},
        {"[1e400]", 1, "out of the range of a double"},
        {"\"abc", 4, "in the string that begins at line 1 column 1"},
        {"\"a\nb\"", 2, "control character"},
        {"\"a\\qb\"", 3, "after a backslash"},
        {"\"\\u12g4\"", 1, "four hexadecimal"},
        {"\"\\ud800\"", 1, "surrogate"},
        {"\"\\udc00\"", 1, "surrogate"},
        {"\"\\ud800\\u0041\"", 1, "surrogate"},
        {"\"\xFF\"", 1, "invalid UTF-8"},
        {"\"\xC3\"", 1, "invalid UTF-8"},
        {"\"\xC0\x80\"", 1, "invalid UTF-8"},
        {"\"\xED\xA0\x80\"", 1, "invalid UTF-8"},
        {"\"\xF5\x80\x80\x80\"", 1, "invalid UTF-8"},
        {"\"\xC3\xA9\" x", 5, "unexpected character 'x'"},
        {"\xFF", 0, "unexpected byte 0xff"},
        {"'a'", 0, "unexpected character '''"},
        {"[1]\x01", 3, "unexpected byte 0x01"},
        {"// c\n1", 0, "unexpected character '/'"},
    };
    for (size_t i = 0; i < VZ_COUNT_OF(bad); i++) {
        struct vz_json_doc *doc = (void *)1;
        struct vz_json root;
        struct vz_error err = {0};
        assert_int_equal(parse_exact(vz_slice_from(bad[i].text), &doc, &root, &err), VZ_BAD_JSON);
        assert_null(doc);
        assert_null(root.doc);
        if (err.offset != bad[i].offset || !strstr(err.text, bad[i].says))
            fail_msg("%s: %s (offset %zu)", bad[i].text, err.text, err.offset);
    }
}

static void test_every_truncation_is_an_error(void **state)
{
    static const char text[] =
        "{\"name\":\"Luigi \\u00e9\\\\ \xC3\xA9\",\"v\":[0.25,-1e-3,17,true,false,null],"
        "\"o\":{\"a\":{},\"b\":[]}}";
    for (size_t len = 0; len < sizeof text - 1; len++) {
        struct vz_json_doc *doc;
        struct vz_json root;
        struct vz_error err = {0};
        assert_int_equal(parse_exact((struct vz_slice){text, len}, &doc, &root, &err), VZ_BAD_JSON);
        assert_true(err.offset <= len);
        assert_non_null(strstr(err.text, "line 1"));
    }
    struct vz_json_doc *doc;
    parse_ok(text, &doc);
    vz_json_free(doc);
}

static void test_nesting_bomb(void **state)
{
    size_t n = 1000000;
    char *text = malloc(n);
    static const char *units[] = {"[", "{\"a\":", "[[],"};
    for (size_t u = 0; u < VZ_COUNT_OF(units); u++) {
        size_t unit = strlen(units[u]);
        for (size_t i = 0; i < n; i++)
            text[i] = units[u][i % unit];
        struct vz_json_doc *doc;
        struct vz_json root;
        struct vz_error err = {0};
        assert_int_equal(parse_exact((struct vz_slice){text, n}, &doc, &root, &err), VZ_LIMIT);
        assert_non_null(strstr(err.text, "64"));
    }
    char edge[140];
    for (unsigned depth = 60; depth <= 66; depth++) {
        memset(edge, '[', depth);
        edge[depth] = '1';
        memset(edge + depth + 1, ']', depth);
        struct vz_json_doc *doc;
        struct vz_json root;
        enum vz_status status =
            parse_exact((struct vz_slice){edge, 2 * depth + 1}, &doc, &root, NULL);
        assert_int_equal(status, depth <= 64 ? VZ_OK : VZ_LIMIT);
        vz_json_free(doc);
    }
    free(text);
}

static void test_padded(void **state)
{
    /* The line's neighbours must not leak into it, even where it ends in a number. */
    static const char body[] =
        "{\"a\":1}\n123\n456 garbage \"unclosed [[[[[[{{{{{{ and padding so that "
        "64 bytes follow each line of interest ..............................";
    struct vz_json_doc *doc;
    struct vz_json root, value;
    assert_int_equal(vz_json_parse_padded((struct vz_slice){body, 7}, &doc, &root, NULL), VZ_OK);
    assert_true(vz_json_get(root, "a", &value));
    vz_json_free(doc);
    assert_int_equal(vz_json_parse_padded((struct vz_slice){body + 8, 3}, &doc, &root, NULL),
                     VZ_OK);
    assert_int_equal(vz_json_int(root), 123);
    vz_json_free(doc);
    assert_int_equal(vz_json_parse_padded((struct vz_slice){body + 8, 2}, &doc, &root, NULL),
                     VZ_OK);
    assert_int_equal(vz_json_int(root), 12);
    vz_json_free(doc);
}

static void test_duplicates(void **state)
{
    struct vz_json_doc *doc;
    struct vz_slice key;
    assert_false(
        vz_json_find_duplicate(parse_ok("{\"a\":1,\"b\":{\"a\":[1,{\"a\":2}]}}", &doc), &key));
    vz_json_free(doc);
    assert_true(
        vz_json_find_duplicate(parse_ok("[1,{\"b\":{\"x\":1,\"y\":2,\"x\":3}}]", &doc), &key));
    assert_true(vz_slice_is(key, "x"));
    vz_json_free(doc);
    struct vz_buf text = {0};
    vz_buf_append_str(&text, "{");
    for (int i = 0; i < 5000; i++)
        vz_buf_printf(&text, "\"k%d\":%d,", i, i);
    size_t mark = text.len;
    vz_buf_append_str(&text, "\"k\":1}");
    assert_false(vz_json_find_duplicate(parse_ok(text.data, &doc), &key));
    vz_json_free(doc);
    text.len = mark;
    vz_buf_append_str(&text, "\"k77\":1}");
    assert_true(vz_json_find_duplicate(parse_ok(text.data, &doc), &key));
    assert_true(vz_slice_is(key, "k77"));
    vz_json_free(doc);
    vz_buf_deinit(&text);
}

/* Past 0xFFFFFF members the tape's own count saturates. */
static void test_count_of_a_huge_array(void **state)
{
    size_t n = 0xFFFFFF + 10;
    struct vz_buf text = {0};
    vz_buf_reserve(&text, 2 * n + 2);
    char *p = text.data;
    *p++ = '[';
    for (size_t i = 0; i < n; i++) {
        *p++ = '1';
        *p++ = ',';
    }
    p[-1] = ']';
    struct vz_json_doc *doc;
    struct vz_json root;
    assert_int_equal(
        vz_json_parse((struct vz_slice){text.data, (size_t)(p - text.data)}, &doc, &root, NULL),
        VZ_OK);
    assert_int_equal(vz_json_count(root), n);
    vz_json_free(doc);
    vz_buf_deinit(&text);
}

/* A text too large for the memory there is must be an error, not an abort. */
static void test_out_of_memory(void **state)
{
#if defined __SANITIZE_ADDRESS__ || defined __SANITIZE_THREAD__
    print_message("skipped: a sanitizer's allocator does not honour the limit\n");
    skip();
#else
    size_t len = 64 << 20;
    char *text = malloc(len + 64);
    memset(text, ' ', len + 64);
    text[0] = '1';
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct vz_json_doc *doc;
        struct vz_json root;
        struct rlimit limit;
        size_t pages = 0;
        FILE *f = fopen("/proc/self/statm", "r");
        if (!f || fscanf(f, "%zu", &pages) != 1 || getrlimit(RLIMIT_AS, &limit) != 0)
            _exit(10);
        limit.rlim_cur = pages * (size_t)sysconf(_SC_PAGESIZE) + (100 << 20);
        setrlimit(RLIMIT_AS, &limit);
        if (vz_json_parse((struct vz_slice){text, len}, &doc, &root, NULL) != VZ_BUDGET || doc)
            _exit(11);
        if (vz_json_parse(VZ_SLICE("[1]"), &doc, &root, NULL) != VZ_OK)
            _exit(12); /* life goes on */
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(WEXITSTATUS(status), 0);
    assert_true(WIFEXITED(status));
    free(text);
#endif
}

static void *free_elsewhere(void *context)
{
    struct vz_json_doc **docs = context;
    for (int i = 0; i < 16; i++)
        vz_json_free(docs[i]);
    struct vz_json root;
    for (int i = 0; i < 100; i++) { /* reuses what it just freed */
        struct vz_json_doc *doc;
        assert_int_equal(vz_json_parse(VZ_SLICE("{\"a\":[1,2,3]}"), &doc, &root, NULL), VZ_OK);
        vz_json_free(doc);
    }
    return NULL;
}

static void test_free_on_another_thread(void **state)
{
    for (int round = 0; round < 20; round++) {
        struct vz_json_doc *docs[2][16];
        struct vz_json root;
        for (int i = 0; i < 32; i++)
            assert_int_equal(
                vz_json_parse(VZ_SLICE("[1,\"two\",3.0]"), &docs[i / 16][i % 16], &root, NULL),
                VZ_OK);
        pthread_t threads[2];
        for (int i = 0; i < 2; i++)
            pthread_create(&threads[i], NULL, free_elsewhere, docs[i]);
        for (int i = 0; i < 2; i++)
            pthread_join(threads[i], NULL);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_types),
        cmocka_unit_test(test_scalar_roots),
        cmocka_unit_test(test_get),
        cmocka_unit_test(test_strings),
        cmocka_unit_test(test_integers),
        cmocka_unit_test(test_lenient),
        cmocka_unit_test(test_floats),
        cmocka_unit_test(test_errors_point_at_the_place),
        cmocka_unit_test(test_every_truncation_is_an_error),
        cmocka_unit_test(test_nesting_bomb),
        cmocka_unit_test(test_padded),
        cmocka_unit_test(test_duplicates),
        cmocka_unit_test(test_count_of_a_huge_array),
        cmocka_unit_test(test_out_of_memory),
        cmocka_unit_test(test_free_on_another_thread),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
