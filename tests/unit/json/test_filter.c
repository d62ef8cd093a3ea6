/* _source filtering and filter_path: each row is value, patterns, what stays. */
#include "json/filter.h"

#include "base/text.h"

#include <stdio.h>

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

/* "a,b" -> slices. */
static struct vz_json_patterns split(const char *text, struct vz_slice *items)
{
    size_t count = 0;
    while (*text) {
        size_t len = strcspn(text, ",");
        items[count++] = (struct vz_slice){text, len};
        text += len + (text[len] == ',');
    }
    return (struct vz_json_patterns){items, count};
}

static void expect_source(const char *json, const char *includes, const char *excludes,
                          const char *expected)
{
    struct vz_json_doc *doc;
    struct vz_json root;
    struct vz_slice in[16], ex[16];
    struct vz_buf out = {0};
    assert_int_equal(vz_json_parse(vz_slice_from(json), &doc, &root, NULL), VZ_OK);
    vz_json_filter_source(root, split(includes, in), split(excludes, ex), &out);
    if (strcmp(out.data, expected) != 0)
        fail_msg("%s +[%s] -[%s]\n  is        %s\n  should be %s", json, includes, excludes,
                 out.data, expected);
    struct vz_buf short_way = {0};
    if (vz_json_filter_source_text(vz_slice_from(json), split(includes, in), split(excludes, ex),
                                   &short_way))
        assert_string_equal(short_way.data, expected);
    else
        assert_int_equal(short_way.len, 0);
    vz_buf_deinit(&short_way);
    vz_buf_deinit(&out);
    vz_json_free(doc);
}

/* Both ways give the same bytes; true when the text's own way was gone. */
static bool same_both_ways(const char *json, const char *includes, const char *excludes)
{
    struct vz_json_doc *doc;
    struct vz_json root;
    struct vz_slice in[16], ex[16];
    struct vz_buf parsed = {0}, text = {0};
    if (vz_json_parse(vz_slice_from(json), &doc, &root, NULL) != VZ_OK)
        fail_msg("%s", json);
    vz_json_filter_source(root, split(includes, in), split(excludes, ex), &parsed);
    bool done = vz_json_filter_source_text(vz_slice_from(json), split(includes, in),
                                           split(excludes, ex), &text);
    if (done && strcmp(parsed.data, text.data) != 0)
        fail_msg("%s\n  is        %s\n  should be %s", json, text.data, parsed.data);
    vz_json_free(doc);
    vz_buf_deinit(&parsed);
    vz_buf_deinit(&text);
    return done;
}

static void test_source_text(void **state)
{
    static const char *const values[] = {"1",
                                         "-1",
                                         "0",
                                         "-0",
                                         "0.0",
                                         "-0.0",
                                         "1.0",
                                         "1.50",
                                         "1.5",
                                         "10.0",
                                         "0.001",
                                         "0.0009",
                                         "0.00010",
                                         "1e3",
                                         "1E-2",
                                         "9999999.5",
                                         "10000000.5",
                                         "123456789012345678",
                                         "1234567890123456789",
                                         "99999999999999999999",
                                         "0.123456789012345",
                                         "1234567.12345678",
                                         "1234567.123456789",
                                         "-12.75",
                                         "true",
                                         "false",
                                         "null",
                                         "\"\"",
                                         "\"a b\"",
                                         "\"a\\u00e9\\/\"",
                                         "\"\xC3\xA9\"",
                                         "\"\x7f\"",
                                         "[]",
                                         "{}",
                                         "[1, 2.50 ,\"x\"]",
                                         "{\"y\" : {\"z\":1}}"};
    uint64_t seed = 11;
    char json[400];
    for (size_t i = 0; i < VZ_COUNT_OF(values); i++) {
        snprintf(json, sizeof json, " { \"a\" : %s , \"b\":%s,\"c\":7} ", values[i],
                 values[VZ_COUNT_OF(values) - 1 - i]);
        assert_true(same_both_ways(json, "", ""));
        assert_true(same_both_ways(json, "a,c", ""));
        assert_true(same_both_ways(json, "*", "b"));
        assert_true(same_both_ways(json, "", "c,a"));
        assert_true(same_both_ways(json, "b", "b"));
        (void)same_both_ways(json, "a.y", "");
        (void)same_both_ways(json, "a", "*.z");
        assert_true(same_both_ways(json, "c.x", ""));
    }
    assert_false(same_both_ways("{\"a\":{\"b\":1,\"c\":2}}", "a.b", ""));
    assert_false(same_both_ways("{\"a\":[{\"b\":1}]}", "", "a.b"));
    assert_false(same_both_ways("{\"a\\u0062\":1}", "ab", ""));
    assert_true(same_both_ways("{}", "ab", ""));
    for (int i = 0; i < 20000; i++) {
        unsigned whole = (unsigned)(vz_rng_next(&seed) % 9),
                 part = (unsigned)(vz_rng_next(&seed) % 12);
        char number[40] = "";
        size_t len = 0;
        if (vz_rng_next(&seed) % 3 == 0)
            number[len++] = '-';
        for (unsigned d = 0; d < whole; d++)
            number[len++] =
                (char)(d ? '0' + vz_rng_next(&seed) % 10 : '1' + vz_rng_next(&seed) % 9);
        if (whole == 0)
            number[len++] = '0';
        if (part)
            number[len++] = '.';
        for (unsigned d = 0; d < part; d++)
            number[len++] = (char)('0' + (vz_rng_next(&seed) % 3 ? vz_rng_next(&seed) % 10 : 0));
        snprintf(json, sizeof json, "{\"a\":%s}", number);
        assert_true(same_both_ways(json, "a", ""));
    }
}

static void test_source(void **state)
{
    static const char dog[] =
        "{\"dog_id\":\"L1\",\"breed\":\"Jack\",\"exif\":{\"date\":\"d\",\"location\":{\"lat\":1,"
        "\"lon\":2}},\"image_embedding\":[1,2],\"tags\":[],\"n\":[{\"a\":1,\"b\":2},{\"b\":3}]}";
    expect_source(dog, "", "", dog);
    expect_source(dog, "dog_id,breed", "", "{\"dog_id\":\"L1\",\"breed\":\"Jack\"}");
    expect_source(dog, "dog", "", "{}");
    expect_source(dog, "exif", "",
                  "{\"exif\":{\"date\":\"d\",\"location\":{\"lat\":1,\"lon\":2}}}");
    expect_source(dog, "exif.date", "", "{\"exif\":{\"date\":\"d\"}}");
    expect_source(dog, "exif.location", "", "{\"exif\":{\"location\":{\"lat\":1,\"lon\":2}}}");
    expect_source(dog, "*.lat", "", "{\"exif\":{\"location\":{\"lat\":1}}}");
    expect_source(dog, "exif", "exif.location", "{\"exif\":{\"date\":\"d\"}}");
    expect_source(dog, "exif", "*.lon", "{\"exif\":{\"date\":\"d\",\"location\":{\"lat\":1}}}");
    expect_source(dog, "", "image_embedding,exif,n",
                  "{\"dog_id\":\"L1\",\"breed\":\"Jack\",\"tags\":[]}");
    expect_source(dog, "n.a", "", "{\"n\":[{\"a\":1}]}");
    expect_source(dog, "n", "n.a", "{\"n\":[{\"b\":2},{\"b\":3}]}");
    expect_source(dog, "*_id", "", "{\"dog_id\":\"L1\"}");
    expect_source(dog, "*", "n.*,*exif*,image*,tags,*breed", "{\"dog_id\":\"L1\",\"n\":[{},{}]}");
    expect_source(dog, "dog_id.x", "", "{}");
    expect_source(dog, "image_embedding.x", "", "{}");
    expect_source(dog, "nothing,d*d", "", "{\"dog_id\":\"L1\"}");
    expect_source("{\"a.b\":1,\"a\":{\"b\":2,\"c\":3}}", "a.b", "", "{\"a.b\":1,\"a\":{\"b\":2}}");
    expect_source("{\"a\":{}}", "a", "", "{\"a\":{}}");
    expect_source("{\"a\":{}}", "a.b", "", "{}");
    expect_source("{\"a\":{\"b\":1}}", "a", "a.b", "{\"a\":{}}");
    expect_source("{\"a\":{\"b\":1}}", "", "a.b", "{\"a\":{}}");
    expect_source("{\"a\":[[1,{\"b\":2}],3]}", "a.b", "", "{\"a\":[[{\"b\":2}]]}");
    expect_source("{\"a\":[[1,{\"b\":2}],3]}", "", "a.b", "{\"a\":[[1,{}],3]}");
    expect_source("{\"exif2\":1,\"exif\":2}", "exif", "", "{\"exif\":2}");
}

static void test_source_keeps(void **state)
{
    struct vz_slice in[8], ex[8];
    struct vz_json_patterns none = {NULL, 0};
    assert_true(vz_json_source_keeps(none, none, VZ_SLICE("x")));
    assert_false(vz_json_source_keeps(split("a", in), none, VZ_SLICE("x")));
    assert_true(vz_json_source_keeps(split("exif", in), none, VZ_SLICE("exif.date")));
    assert_false(vz_json_source_keeps(split("exif.date", in), none, VZ_SLICE("exif")));
    assert_false(vz_json_source_keeps(none, split("*embedding", ex), VZ_SLICE("image_embedding")));
    assert_true(vz_json_source_keeps(none, split("embedding", ex), VZ_SLICE("image_embedding")));
    assert_false(vz_json_source_keeps(split("*", in), split("a.b", ex), VZ_SLICE("a.b.c")));
    assert_true(vz_json_source_keeps(split("a*z", in), none, VZ_SLICE("a.b.z.more")));
}

/* A pattern full of stars must cost its length times the path's, not two to the power of it. */
static void test_hostile_stars(void **state)
{
    char pattern[600], path[600];
    for (int i = 0; i < 599; i++)
        pattern[i] = i % 2 ? 'a' : '*';
    pattern[598] = 'b';
    pattern[599] = 0;
    memset(path, 'a', 599);
    path[599] = 0;
    struct vz_slice in = vz_slice_from(pattern);
    struct vz_json_patterns none = {NULL, 0};
    assert_false(
        vz_json_source_keeps((struct vz_json_patterns){&in, 1}, none, vz_slice_from(path)));
}

static void expect_path(const char *json, const char *paths, const char *expected)
{
    struct vz_json_doc *doc;
    struct vz_json root;
    struct vz_buf out = {0};
    assert_int_equal(vz_json_parse(vz_slice_from(json), &doc, &root, NULL), VZ_OK);
    vz_json_filter_path(root, vz_slice_from(paths), &out);
    if (strcmp(out.data, expected) != 0)
        fail_msg("%s [%s]\n  is        %s\n  should be %s", json, paths, out.data, expected);
    vz_buf_deinit(&out);
    vz_json_free(doc);
}

static void test_filter_path(void **state)
{
    static const char answer[] =
        "{\"took\":3,\"timed_out\":false,\"hits\":{\"total\":{\"value\":1},\"hits\":[{\"_id\":"
        "\"1\","
        "\"_score\":0.5,\"_source\":{\"a\":1,\"b\":{}}},{\"_id\":\"2\",\"_score\":0.4}]}}";
    expect_path(answer, "took", "{\"took\":3}");
    expect_path(answer, "took,hits.hits._id,hits.hits._score",
                "{\"took\":3,\"hits\":{\"hits\":[{\"_id\":\"1\",\"_score\":0.5},{\"_id\":\"2\","
                "\"_score\":0.4}]}}");
    expect_path(answer, "hits.total", "{\"hits\":{\"total\":{\"value\":1}}}");
    expect_path(answer, "hits.hits._source",
                "{\"hits\":{\"hits\":[{\"_source\":{\"a\":1,\"b\":{}}}]}}");
    expect_path(answer, "**._id", "{\"hits\":{\"hits\":[{\"_id\":\"1\"},{\"_id\":\"2\"}]}}");
    expect_path(answer, "**", answer);
    expect_path(answer, "*", answer);
    expect_path(answer, "", answer);
    expect_path(answer, "*.total.*", "{\"hits\":{\"total\":{\"value\":1}}}");
    expect_path(answer, "hits.**.a", "{\"hits\":{\"hits\":[{\"_source\":{\"a\":1}}]}}");
    expect_path(answer, "t*", "{\"took\":3,\"timed_out\":false}");
    expect_path(answer, "nothing", "{}");
    expect_path(answer, "took.x", "{}");
    expect_path(answer, "hits.hits.nothing", "{}");
    expect_path(answer, "-hits", "{\"took\":3,\"timed_out\":false}");
    expect_path(answer, "-hits.hits,-t*", "{\"hits\":{\"total\":{\"value\":1}}}");
    expect_path(answer, "-hits.total.value,-hits.hits._*,-took", "{\"timed_out\":false}");
    expect_path(answer, "hits.hits,-**._source",
                "{\"hits\":{\"hits\":[{\"_id\":\"1\",\"_score\":0.5},{\"_id\":\"2\","
                "\"_score\":0.4}]}}");
    expect_path("{\"a\":[1,2,{\"b\":3,\"c\":4}],\"e\":{}}", "a.b", "{\"a\":[{\"b\":3}]}");
    expect_path("{\"a\":[1,2,{\"b\":3,\"c\":4}],\"e\":{}}", "-a.b",
                "{\"a\":[1,2,{\"c\":4}],\"e\":{}}");
    expect_path("{\"a.b\":1,\"a\":{\"b\":2}}", "a\\.b", "{\"a.b\":1}");
    expect_path("{\"a.b\":1,\"a\":{\"b\":2}}", "a.b", "{\"a\":{\"b\":2}}");
    expect_path("[{\"index\":\"x\",\"docs\":1},{\"index\":\"y\"}]", "index",
                "[{\"index\":\"x\"},{\"index\":\"y\"}]");
    expect_path("{\"a\":{\"x\":{\"a\":{\"x\":1}}}}", "**.a.x", "{\"a\":{\"x\":{\"a\":{\"x\":1}}}}");
    expect_path("{\"a\":1}", "a.**", "{}");
    expect_path("{\"a\":{\"b\":1}}", "a.**", "{\"a\":{\"b\":1}}");
    expect_path("{\"a\":1}", "-", "{\"a\":1}");
    expect_path("{\"a\":1}", ",,a,", "{\"a\":1}");
    expect_path("{\"a\":1}", ".", "{}");
}

static void test_filter_path_long(void **state)
{
    char pattern[2000];
    for (size_t i = 0; i < sizeof pattern - 1; i++)
        pattern[i] = i % 3 == 2 ? '.' : '*';
    pattern[sizeof pattern - 1] = 0;
    expect_path("{\"a\":{\"b\":1}}", pattern, "{}"); /* more names than a value can nest */
    pattern[62 * 3 + 2] = 0;                         /* 63 names: the most that are kept */
    expect_path("{\"a\":{\"b\":1}}", pattern, "{\"a\":{\"b\":1}}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_source),       cmocka_unit_test(test_source_text),
        cmocka_unit_test(test_source_keeps), cmocka_unit_test(test_hostile_stars),
        cmocka_unit_test(test_filter_path),  cmocka_unit_test(test_filter_path_long),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
