/* Writers, numbers as Java prints them, escapes, pretty printing, raw walking. */
#include "json/json.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void test_writer(void **state)
{
    struct vz_buf out = {0};
    struct vz_json_writer w = vz_json_writer_on(&out);
    vz_json_begin_object(&w);
    vz_json_field_str(&w, "name", "Luigi");
    vz_json_field_str(&w, "none", NULL);
    vz_json_key(&w, "list");
    vz_json_begin_array(&w);
    vz_json_put_int(&w, INT64_MIN);
    vz_json_put_uint(&w, UINT64_MAX);
    vz_json_begin_object(&w);
    vz_json_end_object(&w);
    vz_json_begin_array(&w);
    vz_json_put_null(&w);
    vz_json_end_array(&w);
    vz_json_put_raw(&w, VZ_SLICE("{\"r\":1}"));
    vz_json_end_array(&w);
    vz_json_field_bool(&w, "b", true);
    vz_json_field_double(&w, "d", 1);
    vz_json_field_int(&w, "i", 0);
    vz_json_field_string(&w, "s", VZ_SLICE("x"));
    vz_json_end_object(&w);
    assert_string_equal(out.data,
                        "{\"name\":\"Luigi\",\"none\":null,\"list\":[-9223372036854775808,"
                        "18446744073709551615,{},[null],{\"r\":1}],\"b\":true,\"d\":1.0,"
                        "\"i\":0,\"s\":\"x\"}");
    vz_buf_deinit(&out);
}

static void expect_double(double value, const char *expected)
{
    struct vz_buf out = {0};
    struct vz_json_writer w = vz_json_writer_on(&out);
    vz_json_put_double(&w, value);
    assert_string_equal(out.data, expected);
    vz_buf_deinit(&out);
}

static void expect_float(float value, const char *expected)
{
    struct vz_buf out = {0};
    struct vz_json_writer w = vz_json_writer_on(&out);
    vz_json_put_float(&w, value);
    assert_string_equal(out.data, expected);
    vz_buf_deinit(&out);
}

static void test_numbers_look_like_java(void **state)
{
    expect_double(0, "0.0");
    expect_double(-0.0, "-0.0");
    expect_double(1, "1.0");
    expect_double(-1.5, "-1.5");
    expect_double(0.1, "0.1");
    expect_double(100, "100.0");
    expect_double(1234567, "1234567.0");
    expect_double(9999999, "9999999.0");
    expect_double(1e7, "1.0E7");
    expect_double(12345678.5, "1.23456785E7");
    expect_double(0.001, "0.001");
    expect_double(0.00123, "0.00123");
    expect_double(0.0009999, "9.999E-4");
    expect_double(1e-5, "1.0E-5");
    expect_double(1e10, "1.0E10");
    expect_double(-1.7976931348623157e308, "-1.7976931348623157E308");
    expect_double(5e-324, "5.0E-324");
    expect_double(0.1 + 0.2, "0.30000000000000004");
    expect_double(123456.789, "123456.789");
    expect_double(NAN, "null");
    expect_double(INFINITY, "null");
    expect_double(-INFINITY, "null");
    expect_float(0.1f, "0.1");
    expect_float(1.0f, "1.0");
    expect_float(0.8183127f, "0.8183127");
    expect_float(3.4028235e38f, "3.4028235E38");
    expect_float(-0.0f, "-0.0");
    expect_float(NAN, "null");
}

static void test_append_floats(void **state)
{
    static const float values[] = {0.1f,     -0.25f,          0,    -0.0f, 1, NAN,
                                   INFINITY, 1.17549435e-38f, 3e30f};
    struct vz_buf out = {0};
    vz_json_append_floats(&out, values, VZ_COUNT_OF(values));
    struct vz_json_doc *doc;
    struct vz_json root, value;
    assert_int_equal(vz_json_parse(vz_buf_slice(&out), &doc, &root, NULL), VZ_OK);
    struct vz_json_iter it = vz_json_iterate(root);
    for (size_t i = 0; vz_json_next(&it, NULL, &value); i++) {
        float back = (float)vz_json_double(value);
        if (isfinite(values[i]))
            assert_true(back == values[i] && !signbit(back) == !signbit(values[i]));
        else
            assert_int_equal(vz_json_type(value), VZ_JSON_NULL);
    }
    assert_int_equal(vz_json_count(root), VZ_COUNT_OF(values));
    assert_int_equal(strncmp(out.data, "[0.1,-0.25,", 11), 0);
    vz_json_free(doc);
    vz_buf_clear(&out);
    vz_json_append_floats(&out, NULL, 0);
    assert_string_equal(out.data, "[]");
    vz_buf_deinit(&out);
}

static void expect_quoted(struct vz_slice text, const char *expected)
{
    struct vz_buf out = {0};
    struct vz_json_writer w = vz_json_writer_on(&out);
    vz_json_put_string(&w, text);
    assert_string_equal(out.data, expected);
    vz_buf_deinit(&out);
}

static void test_strings(void **state)
{
    expect_quoted(VZ_SLICE(""), "\"\"");
    expect_quoted((struct vz_slice){NULL, 0}, "\"\"");
    expect_quoted(VZ_SLICE("a\"b\\c/d\b\f\n\r\t\x01\x1f\x7f"),
                  "\"a\\\"b\\\\c/d\\b\\f\\n\\r\\t\\u0001\\u001F\x7f\"");
    expect_quoted(VZ_SLICE("\xC3\xA9\0z"), "\"\xC3\xA9\\u0000z\"");
    expect_quoted(VZ_SLICE("a\xFF"
                           "b"),
                  "\"a\xEF\xBF\xBD"
                  "b\"");
    expect_quoted(VZ_SLICE("\xC3"), "\"\xEF\xBF\xBD\"");
    expect_quoted(
        VZ_SLICE("long enough for a vector step, then a quote \" and a bad \xC0 one"),
        "\"long enough for a vector step, then a quote \\\" and a bad \xEF\xBF\xBD one\"");
    /* Each place of an escape within the sixteen-byte steps. */
    for (size_t at = 0; at < 40; at++) {
        char text[40], expected[64];
        memset(text, 'x', sizeof text);
        text[at] = '\n';
        memset(expected, 'x', sizeof expected);
        expected[0] = '"';
        expected[at + 1] = '\\';
        expected[at + 2] = 'n';
        expected[42] = '"';
        expected[43] = 0;
        expect_quoted((struct vz_slice){text, 40}, expected);
    }
}

/* Each byte at each place: most texts have none that is special and go a shorter way. */
static void test_strings_of_every_byte(void **state)
{
    for (unsigned byte = 1; byte < 256; byte++)
        for (size_t at = 0; at < 35; at++) {
            char text[36], escaped[8] = {(char)byte, 0};
            const char *named = byte < 0x20 ? strchr("\bb\ff\nn\rr\tt", (int)byte) : NULL;
            memset(text, 'x', sizeof text);
            text[at] = (char)byte;
            if (named)
                snprintf(escaped, sizeof escaped, "\\%c", named[1]);
            else if (byte < 0x20)
                snprintf(escaped, sizeof escaped, "\\u%04X", byte);
            else if (byte == '"' || byte == '\\')
                snprintf(escaped, sizeof escaped, "\\%c", (int)byte);
            else if (byte >= 0x80)
                strcpy(escaped, "\xEF\xBF\xBD");
            char expected[64];
            snprintf(expected, sizeof expected, "\"%.*s%s%.*s\"", (int)at, text, escaped,
                     (int)(35 - at), text + at + 1);
            expect_quoted((struct vz_slice){text, sizeof text}, expected);
        }
}

static void test_print(void **state)
{
    static const char text[] =
        " { \"a\" : [ 1 , -2.50 , 1e2, true, null, \"\\u0041\\n\" ], \"\\\"\" : {} } ";
    struct vz_json_doc *doc;
    struct vz_json root;
    assert_int_equal(vz_json_parse(VZ_SLICE(text), &doc, &root, NULL), VZ_OK);
    struct vz_buf out = {0};
    struct vz_json_writer w = vz_json_writer_on(&out);
    vz_json_begin_array(&w);
    vz_json_put_value(&w, root);
    vz_json_put_value(&w, (struct vz_json){0});
    vz_json_end_array(&w);
    assert_string_equal(out.data, "[{\"a\":[1,-2.5,100.0,true,null,\"A\\n\"],\"\\\"\":{}},null]");
    vz_json_free(doc);
    vz_buf_deinit(&out);
}

static void test_pretty(void **state)
{
    struct vz_buf out = {0};
    vz_json_pretty(
        VZ_SLICE("{\"a\":1,\"b\":[1,\"x,{}:\\\"\"],\"c\":{},\"d\":[ ],\"e\":[{\"f\":null}]}"),
        &out);
    assert_string_equal(out.data, "{\n"
                                  "  \"a\" : 1,\n"
                                  "  \"b\" : [\n"
                                  "    1,\n"
                                  "    \"x,{}:\\\"\"\n"
                                  "  ],\n"
                                  "  \"c\" : { },\n"
                                  "  \"d\" : [ ],\n"
                                  "  \"e\" : [\n"
                                  "    {\n"
                                  "      \"f\" : null\n"
                                  "    }\n"
                                  "  ]\n"
                                  "}\n");
    /* Idempotent on its own output. */
    struct vz_buf again = {0};
    vz_json_pretty(vz_buf_slice(&out), &again);
    assert_string_equal(again.data, out.data);
    vz_buf_deinit(&again);
    vz_buf_deinit(&out);
}

static void expect_raw(const char *text, const char *const *pairs)
{
    size_t len = strlen(text);
    char *copy = malloc(len ? len : 1);
    memcpy(copy, text, len);
    struct vz_slice rest = {copy, len}, key, value;
    while (vz_json_raw_next(&rest, &key, &value)) {
        assert_non_null(*pairs);
        assert_true(vz_slice_is(key, *pairs++));
        assert_true(vz_slice_is(value, *pairs++));
    }
    assert_null(*pairs);
    free(copy);
}

static void test_raw(void **state)
{
    expect_raw("{}", (const char *[]){NULL});
    expect_raw(" [ ] ", (const char *[]){NULL});
    expect_raw("{\"a\":1}", (const char *[]){"a", "1", NULL});
    expect_raw(
        " { \"a\" : [1, 2,\"]\"] , \"b\\\"\" : \"x\\\\\" ,\"c\":{\"d\":{}} , \"e\":-1.5e3 } ",
        (const char *[]){"a", "[1, 2,\"]\"]", "b\\\"", "\"x\\\\\"", "c", "{\"d\":{}}", "e",
                         "-1.5e3", NULL});
    expect_raw("[\"a\",\"b:\", [\"}\"] ,null]",
               (const char *[]){"", "\"a\"", "", "\"b:\"", "", "[\"}\"]", "", "null", NULL});
    expect_raw("[\"a\" , {\"a\" : 1}]", (const char *[]){"", "\"a\"", "", "{\"a\" : 1}", NULL});
}

/* Whatever it is given, it ends and stays inside the bytes (the copy is exact, for ASan). */
static void test_raw_on_cut_text(void **state)
{
    static const char text[] = "{\"a\":[1,{\"b\":\"c\\\"\"}],\"d\":\"e\",\"f\":tru";
    for (size_t len = 0; len < sizeof text; len++) {
        char *copy = malloc(len ? len : 1);
        memcpy(copy, text, len);
        struct vz_slice rest = {copy, len}, key, value;
        int steps = 0;
        while (vz_json_raw_next(&rest, &key, &value))
            assert_true(++steps < 10);
        struct vz_buf out = {0};
        vz_json_pretty((struct vz_slice){copy, len}, &out);
        vz_buf_deinit(&out);
        free(copy);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_writer),
        cmocka_unit_test(test_numbers_look_like_java),
        cmocka_unit_test(test_append_floats),
        cmocka_unit_test(test_strings),
        cmocka_unit_test(test_strings_of_every_byte),
        cmocka_unit_test(test_print),
        cmocka_unit_test(test_pretty),
        cmocka_unit_test(test_raw),
        cmocka_unit_test(test_raw_on_cut_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
