/* Aggregations: shapes as Elasticsearch answers them, and random ones against a plain count. */
#include "support.h"

#include "base/text.h"

#include <math.h>

static struct vz_index *shop(struct fixture *f, const char *name)
{
    struct vz_index *index = fixture_create(
        f, name,
        "{\"mappings\":{\"properties\":{\"brand\":{\"type\":\"keyword\"},\"price\":{\"type\":"
        "\"double\"},\"n\":{\"type\":\"long\"},\"day\":{\"type\":\"date\"},\"ok\":{\"type\":"
        "\"boolean\"},\"t\":{\"type\":\"text\"}}}}");
    put_doc(
        index, "1",
        "{\"brand\":\"nyx\",\"price\":10,\"n\":1,\"day\":\"2024-01-15T10:00:00Z\",\"ok\":true}");
    put_doc(index, "2",
            "{\"brand\":[\"dior\",\"nyx\",\"dior\"],\"price\":25.5,\"n\":2,\"day\":\"2024-01-31T23:"
            "30:00Z\",\"ok\":false}");
    put_doc(
        index, "3",
        "{\"brand\":\"dior\",\"price\":31,\"n\":2,\"day\":\"2024-03-02T00:00:00Z\",\"ok\":true}");
    put_doc(index, "4", "{\"price\":5,\"n\":7}");
    put_doc(index, "5", "{\"brand\":\"dior\",\"price\":1000,\"n\":9}");
    put_doc(index, "5", NULL);
    refresh(index);
    return index;
}

static void expect_aggs(struct vz_index *index, const char *body, const char *expected)
{
    struct answer answer;
    search_index(index, body, &answer);
    if (!vz_slice_is(answer.result.aggregations, expected))
        fail_msg("%s\n  gives     %.*s\n  expected  %s", body, (int)answer.result.aggregations.len,
                 answer.result.aggregations.ptr, expected);
    answer_deinit(&answer);
}
#define AGG(inside) "{\"size\":0,\"aggs\":{\"a\":{" inside "}}}"
#define CHECK(inside, expected) expect_aggs(index, AGG(inside), "{\"a\":{" expected "}}")
#define TERMS(other, buckets)                                                                      \
    "\"doc_count_error_upper_bound\":0,\"sum_other_doc_count\":" other ",\"buckets\":[" buckets "]"

static void test_terms(void **state)
{
    struct fixture f;
    fixture_open(&f);
    struct vz_index *index = shop(&f, "shop");
    CHECK("\"terms\":{\"field\":\"brand\"}",
          TERMS("0", "{\"key\":\"dior\",\"doc_count\":2},{\"key\":\"nyx\",\"doc_count\":2}"));
    CHECK("\"terms\":{\"field\":\"brand\",\"size\":1}",
          TERMS("2", "{\"key\":\"dior\",\"doc_count\":2}"));
    CHECK("\"terms\":{\"field\":\"brand\",\"order\":{\"_key\":\"desc\"}}",
          TERMS("0", "{\"key\":\"nyx\",\"doc_count\":2},{\"key\":\"dior\",\"doc_count\":2}"));
    CHECK("\"terms\":{\"field\":\"brand\",\"missing\":\"none\"}",
          TERMS("0", "{\"key\":\"dior\",\"doc_count\":2},{\"key\":\"nyx\",\"doc_count\":2},{"
                     "\"key\":\"none\",\"doc_count\":1}"));
    CHECK("\"terms\":{\"field\":\"brand\",\"missing\":\"nyx\"}",
          TERMS("0", "{\"key\":\"nyx\",\"doc_count\":3},{\"key\":\"dior\",\"doc_count\":2}"));
    CHECK("\"terms\":{\"field\":\"brand\",\"include\":[\"nyx\",\"zz\"]}",
          TERMS("0", "{\"key\":\"nyx\",\"doc_count\":2}"));
    CHECK("\"terms\":{\"field\":\"brand\",\"exclude\":[\"nyx\"]}",
          TERMS("0", "{\"key\":\"dior\",\"doc_count\":2}"));
    CHECK("\"terms\":{\"field\":\"brand\",\"min_doc_count\":3}", TERMS("0", ""));
    CHECK(
        "\"terms\":{\"field\":\"n\"}",
        TERMS(
            "0",
            "{\"key\":2,\"doc_count\":2},{\"key\":1,\"doc_count\":1},{\"key\":7,\"doc_count\":1}"));
    CHECK(
        "\"terms\":{\"field\":\"n\",\"order\":[{\"_count\":\"asc\"},{\"_key\":\"desc\"}]}",
        TERMS(
            "0",
            "{\"key\":7,\"doc_count\":1},{\"key\":1,\"doc_count\":1},{\"key\":2,\"doc_count\":2}"));
    CHECK("\"terms\":{\"field\":\"price\",\"size\":2,\"order\":{\"_key\":\"asc\"}}",
          TERMS("2", "{\"key\":5.0,\"doc_count\":1},{\"key\":10.0,\"doc_count\":1}"));
    CHECK("\"terms\":{\"field\":\"ok\"}",
          TERMS("0", "{\"key\":1,\"key_as_string\":\"true\",\"doc_count\":2},{\"key\":0,\"key_as_"
                     "string\":\"false\",\"doc_count\":1}"));
    CHECK("\"terms\":{\"field\":\"nix\"}", TERMS("0", ""));
    CHECK("\"terms\":{\"field\":\"brand\",\"order\":{\"m\":\"desc\"}},\"aggs\":{\"m\":{\"max\":{"
          "\"field\":\"price\"}}}",
          TERMS("0", "{\"key\":\"dior\",\"doc_count\":2,\"m\":{\"value\":31.0}},{\"key\":\"nyx\","
                     "\"doc_count\":2,\"m\":{\"value\":25.5}}"));
    CHECK(
        "\"terms\":{\"field\":\"brand\",\"order\":{\"s.min\":\"asc\"}},\"aggs\":{\"s\":{\"stats\":{"
        "\"field\":\"price\"}},\"t\":{\"terms\":{\"field\":\"ok\"}}}",
        TERMS(
            "0",
            "{\"key\":\"nyx\",\"doc_count\":2,\"s\":{\"count\":2,\"min\":10.0,\"max\":25.5,\"avg\":"
            "17.75,\"sum\":35.5},\"t\":{" TERMS(
                "0",
                "{\"key\":0,\"key_as_string\":\"false\",\"doc_count\":1},{\"key\":1,\"key_as_"
                "string\":\"true\",\"doc_count\":1}") "}},"
                                                      "{\"key\":\"dior\",\"doc_count\":2,\"s\":{"
                                                      "\"count\":2,\"min\":25.5,\"max\":31.0,"
                                                      "\"avg\":28.25,\"sum\":56.5},\"t\":{" TERMS(
                                                          "0", "{\"key\":0,\"key_as_string\":"
                                                               "\"false\",\"doc_count\":1},{"
                                                               "\"key\":1,\"key_as_string\":"
                                                               "\"true\",\"doc_count\":1}") "}}"));
    fixture_close(&f);
}

static void test_metrics(void **state)
{
    struct fixture f;
    fixture_open(&f);
    struct vz_index *index = shop(&f, "shop");
    CHECK("\"min\":{\"field\":\"price\"}", "\"value\":5.0");
    CHECK("\"max\":{\"field\":\"n\"}", "\"value\":7.0");
    CHECK("\"avg\":{\"field\":\"price\"}", "\"value\":17.875");
    CHECK("\"sum\":{\"field\":\"price\"}", "\"value\":71.5");
    CHECK("\"value_count\":{\"field\":\"brand\"}", "\"value\":4");
    CHECK("\"cardinality\":{\"field\":\"brand\"}", "\"value\":2");
    CHECK("\"cardinality\":{\"field\":\"n\"}", "\"value\":3");
    CHECK("\"min\":{\"field\":\"day\"}",
          "\"value\":1.7053128E12,\"value_as_string\":\"2024-01-15T10:00:00.000Z\"");
    CHECK("\"avg\":{\"field\":\"nix\"}", "\"value\":null");
    CHECK("\"sum\":{\"field\":\"nix\"}", "\"value\":0.0");
    CHECK("\"stats\":{\"field\":\"nix\"}",
          "\"count\":0,\"min\":null,\"max\":null,\"avg\":null,\"sum\":0.0");
    CHECK("\"stats\":{\"field\":\"n\"}",
          "\"count\":4,\"min\":1.0,\"max\":7.0,\"avg\":3.0,\"sum\":12.0");
    CHECK("\"extended_stats\":{\"field\":\"n\"}",
          "\"count\":4,\"min\":1.0,\"max\":7.0,\"avg\":3.0,\"sum\":12.0,\"sum_of_squares\":58.0,"
          "\"variance\":5.5,\"variance_population\":5.5,\"variance_sampling\":7.333333333333333,"
          "\"std_deviation\":2.345207879911715,\"std_deviation_population\":2.345207879911715,"
          "\"std_deviation_sampling\":2.70801280154532,\"std_deviation_bounds\":{\"upper\":7."
          "69041575982343,\"lower\":-1.6904157598234297,"
          "\"upper_population\":7.69041575982343,\"lower_population\":-1.6904157598234297,\"upper_"
          "sampling\":8.41602560309064,\"lower_sampling\":-2.41602560309064}");
    CHECK("\"percentiles\":{\"field\":\"n\",\"percents\":[0,50,75]}",
          "\"values\":{\"0.0\":1.0,\"50.0\":2.0,\"75.0\":3.25}");
    CHECK("\"percentiles\":{\"field\":\"n\",\"percents\":[50],\"keyed\":false}",
          "\"values\":[{\"key\":50.0,\"value\":2.0}]");
    CHECK("\"percentiles\":{\"field\":\"nix\",\"percents\":[50]}", "\"values\":{\"50.0\":null}");
    CHECK("\"avg\":{\"field\":\"nix\",\"missing\":3}", "\"value\":3.0");
    CHECK("\"missing\":{\"field\":\"day\"},\"aggs\":{\"p\":{\"sum\":{\"field\":\"price\"}}}",
          "\"doc_count\":1,\"p\":{\"value\":5.0}");
    CHECK("\"meta\":{\"x\":[1]},\"max\":{\"field\":\"n\"}", "\"meta\":{\"x\":[1]},\"value\":7.0");
    fixture_close(&f);
}

static void test_histograms(void **state)
{
    struct fixture f;
    fixture_open(&f);
    struct vz_index *index = shop(&f, "shop");
    CHECK("\"histogram\":{\"field\":\"price\",\"interval\":10}",
          "\"buckets\":[{\"key\":0.0,\"doc_count\":1},{\"key\":10.0,\"doc_count\":1},{\"key\":20.0,"
          "\"doc_count\":1},{\"key\":30.0,\"doc_count\":1}]");
    CHECK("\"histogram\":{\"field\":\"n\",\"interval\":2}",
          "\"buckets\":[{\"key\":0.0,\"doc_count\":1},{\"key\":2.0,\"doc_count\":2},{\"key\":4.0,"
          "\"doc_count\":0},{\"key\":6.0,\"doc_count\":1}]");
    CHECK("\"histogram\":{\"field\":\"n\",\"interval\":2,\"min_doc_count\":1,\"keyed\":true,"
          "\"offset\":1}",
          "\"buckets\":{\"1.0\":{\"key\":1.0,\"doc_count\":3},\"7.0\":{\"key\":7.0,\"doc_count\":1}"
          "}");
    CHECK("\"histogram\":{\"field\":\"n\",\"interval\":5,\"extended_bounds\":{\"min\":-1,\"max\":"
          "12},\"order\":{\"_key\":\"desc\"}}",
          "\"buckets\":[{\"key\":10.0,\"doc_count\":0},{\"key\":5.0,\"doc_count\":1},{\"key\":0.0,"
          "\"doc_count\":3},{\"key\":-5.0,\"doc_count\":0}]");
    CHECK("\"histogram\":{\"field\":\"n\",\"interval\":5,\"hard_bounds\":{\"min\":0,\"max\":4}}",
          "\"buckets\":[{\"key\":0.0,\"doc_count\":3}]");
    CHECK("\"date_histogram\":{\"field\":\"day\",\"calendar_interval\":\"month\"}",
          "\"buckets\":[{\"key_as_string\":\"2024-01-01T00:00:00.000Z\",\"key\":1704067200000,"
          "\"doc_count\":2},{\"key_as_string\":\"2024-02-01T00:00:00.000Z\",\"key\":1706745600000,"
          "\"doc_count\":0},{\"key_as_string\":\"2024-03-01T00:00:00.000Z\",\"key\":1709251200000,"
          "\"doc_count\":1}]");
    CHECK("\"date_histogram\":{\"field\":\"day\",\"calendar_interval\":\"1M\",\"time_zone\":\"+01:"
          "00\",\"min_doc_count\":1}",
          "\"buckets\":[{\"key_as_string\":\"2024-01-01T00:00:00.000+01:00\",\"key\":1704063600000,"
          "\"doc_count\":1},{\"key_as_string\":\"2024-02-01T00:00:00.000+01:00\",\"key\":"
          "1706742000000,\"doc_count\":1},{\"key_as_string\":\"2024-03-01T00:00:00.000+01:00\","
          "\"key\":1709247600000,\"doc_count\":1}]");
    CHECK("\"date_histogram\":{\"field\":\"day\",\"calendar_interval\":\"week\",\"format\":\"yyyy-"
          "MM-dd\",\"min_doc_count\":1}",
          "\"buckets\":[{\"key_as_string\":\"2024-01-15\",\"key\":1705276800000,\"doc_count\":1},{"
          "\"key_as_string\":\"2024-01-29\",\"key\":1706486400000,\"doc_count\":1},{\"key_as_"
          "string\":\"2024-02-26\",\"key\":1708905600000,\"doc_count\":1}]");
    CHECK("\"date_histogram\":{\"field\":\"day\",\"calendar_interval\":\"quarter\"}",
          "\"buckets\":[{\"key_as_string\":\"2024-01-01T00:00:00.000Z\",\"key\":1704067200000,"
          "\"doc_count\":3}]");
    CHECK("\"date_histogram\":{\"field\":\"day\",\"fixed_interval\":\"30d\",\"min_doc_count\":1}",
          "\"buckets\":[{\"key_as_string\":\"2023-12-19T00:00:00.000Z\",\"key\":1702944000000,"
          "\"doc_count\":1},{\"key_as_string\":\"2024-01-18T00:00:00.000Z\",\"key\":1705536000000,"
          "\"doc_count\":1},{\"key_as_string\":\"2024-02-17T00:00:00.000Z\",\"key\":1708128000000,"
          "\"doc_count\":1}]");
    CHECK(
        "\"date_histogram\":{\"field\":\"day\",\"calendar_interval\":\"year\",\"offset\":\"+14d\"}",
        "\"buckets\":[{\"key_as_string\":\"2024-01-15T00:00:00.000Z\",\"key\":1705276800000,\"doc_"
        "count\":3}]");
    fixture_close(&f);
}

/* Values of a document come in the order of its text; one interval counts once. */
static void test_histogram_values(void **state)
{
    struct fixture f;
    fixture_open(&f);
    struct vz_index *index = fixture_create(
        &f, "many",
        "{\"mappings\":{\"properties\":{\"n\":{\"type\":\"long\"},\"big\":{\"type\":\"long\"},"
        "\"day\":{\"type\":\"date\"}}}}");
    put_doc(index, "1",
            "{\"n\":[1,30,2,31],\"big\":4000000000000000000,\"day\":[\"2024-01-05\","
            "\"2024-02-01\",\"2024-01-07\"]}");
    refresh(index);
    CHECK("\"histogram\":{\"field\":\"n\",\"interval\":10,\"min_doc_count\":1}",
          "\"buckets\":[{\"key\":0.0,\"doc_count\":1},{\"key\":30.0,\"doc_count\":1}]");
    CHECK("\"date_histogram\":{\"field\":\"day\",\"calendar_interval\":\"month\",\"format\":"
          "\"yyyy-MM-dd\"}",
          "\"buckets\":[{\"key_as_string\":\"2024-01-01\",\"key\":1704067200000,\"doc_count\":1},"
          "{\"key_as_string\":\"2024-02-01\",\"key\":1706745600000,\"doc_count\":1}]");
    /* Large values are fine as long as the interval is. */
    CHECK("\"histogram\":{\"field\":\"big\",\"interval\":1000000000000000000}",
          "\"buckets\":[{\"key\":4.0E18,\"doc_count\":1}]");
    put_doc(index, "2", "{\"n\":[1,9000000000000000000]}");
    put_doc(index, "3", "{\"day\":9100000000000000}");
    refresh(index);
    CHECK(
        "\"date_histogram\":{\"field\":\"day\",\"calendar_interval\":\"year\",\"min_doc_count\":2}",
        "\"buckets\":[]");
    struct answer answer;
    struct vz_search_target target = {.index = index};
    const char *order = AGG("\"terms\":{\"field\":\"n\",\"order\":{\"s.foo\":\"asc\"}},\"aggs\":{"
                            "\"s\":{\"stats\":{\"field\":\"n\"}}}");
    assert_int_equal(search_targets(&target, 1, order, NULL, &answer), VZ_BAD_ARGUMENT);
    assert_non_null(strstr(answer.err.text, "s.foo"));
    answer_deinit(&answer);
    assert_int_equal(search_targets(&target, 1,
                                    AGG("\"histogram\":{\"field\":\"n\",\"interval\":0.0001}"),
                                    NULL, &answer),
                     VZ_BAD_ARGUMENT);
    assert_non_null(strstr(answer.err.text, "too small"));
    answer_deinit(&answer);
    fixture_close(&f);
}

static void test_fixed_sets(void **state)
{
    struct fixture f;
    fixture_open(&f);
    struct vz_index *index = shop(&f, "shop");
    CHECK("\"range\":{\"field\":\"price\",\"ranges\":[{\"from\":20},{\"to\":10},{\"from\":10,"
          "\"to\":20,\"key\":\"mid\"}]},\"aggs\":{\"n\":{\"sum\":{\"field\":\"n\"}}}",
          "\"buckets\":[{\"key\":\"*-10.0\",\"to\":10.0,\"doc_count\":1,\"n\":{\"value\":7.0}},{"
          "\"key\":\"mid\",\"from\":10.0,\"to\":20.0,\"doc_count\":1,\"n\":{\"value\":1.0}},{"
          "\"key\":\"20.0-*\",\"from\":20.0,\"doc_count\":2,\"n\":{\"value\":4.0}}]");
    CHECK("\"range\":{\"field\":\"price\",\"keyed\":true,\"ranges\":[{\"to\":10}]}",
          "\"buckets\":{\"*-10.0\":{\"to\":10.0,\"doc_count\":1}}");
    CHECK(
        "\"date_range\":{\"field\":\"day\",\"ranges\":[{\"from\":\"2024-02-01\"},{\"to\":\"2024-02-"
        "01\"}]}",
        "\"buckets\":[{\"key\":\"*-2024-02-01T00:00:00.000Z\",\"to\":1.7067456E12,\"to_as_string\":"
        "\"2024-02-01T00:00:00.000Z\",\"doc_count\":2},{\"key\":\"2024-02-01T00:00:00.000Z-*\","
        "\"from\":1.7067456E12,\"from_as_string\":\"2024-02-01T00:00:00.000Z\",\"doc_count\":1}]");
    CHECK("\"filter\":{\"term\":{\"brand\":\"dior\"}},\"aggs\":{\"p\":{\"avg\":{\"field\":"
          "\"price\"}}}",
          "\"doc_count\":2,\"p\":{\"value\":28.25}");
    CHECK("\"filters\":{\"filters\":{\"cheap\":{\"range\":{\"price\":{\"lt\":11}}},\"ok\":{"
          "\"term\":{\"ok\":true}}},\"other_bucket_key\":\"rest\"}",
          "\"buckets\":{\"cheap\":{\"doc_count\":2},\"ok\":{\"doc_count\":2},\"rest\":{\"doc_"
          "count\":1}}");
    CHECK("\"filters\":{\"filters\":[{\"term\":{\"ok\":false}},{\"match_none\":{}}]}",
          "\"buckets\":[{\"doc_count\":1},{\"doc_count\":0}]");
    expect_aggs(index,
                "{\"size\":0,\"query\":{\"term\":{\"brand\":\"nyx\"}},\"aggs\":{\"here\":{\"max\":{"
                "\"field\":\"price\"}},\"all\":{\"global\":{},\"aggs\":{\"p\":{\"max\":{\"field\":"
                "\"price\"}}}}}}",
                "{\"here\":{\"value\":25.5},\"all\":{\"doc_count\":4,\"p\":{\"value\":31.0}}}");
    expect_aggs(index,
                "{\"size\":0,\"post_filter\":{\"term\":{\"ok\":true}},\"aggs\":{\"a\":{\"value_"
                "count\":{\"field\":\"n\"}}}}",
                "{\"a\":{\"value\":4}}");
    expect_aggs(
        index,
        "{\"size\":0,\"min_score\":20,\"query\":{\"script_score\":{\"query\":{\"match_all\":{}},"
        "\"script\":\"doc['price'].value\"}},\"aggs\":{\"a\":{\"value_count\":{\"field\":\"n\"}}}}",
        "{\"a\":{\"value\":2}}");
    fixture_close(&f);
}

static void test_several_indices(void **state)
{
    struct fixture f;
    fixture_open(&f);
    struct vz_index *one = shop(&f, "one"),
                    *two = fixture_create(&f, "two",
                                          "{\"mappings\":{\"properties\":{\"brand\":{\"type\":"
                                          "\"keyword\"},\"n\":{\"type\":\"long\"}}}}");
    put_doc(two, "1", "{\"brand\":\"zoeva\",\"n\":5}");
    put_doc(two, "2", "{\"brand\":\"nyx\",\"n\":6}");
    refresh(two);
    struct vz_search_target targets[2] = {{.index = one}, {.index = two}};
    struct answer answer;
    must(search_targets(targets, 2,
                        "{\"size\":0,\"aggs\":{\"b\":{\"terms\":{\"field\":\"brand\",\"missing\":"
                        "\"-\"},\"aggs\":{\"m\":{\"max\":{\"field\":\"n\"}},\"c\":{\"cardinality\":"
                        "{\"field\":\"brand\"}}}},\"c\":{\"cardinality\":{\"field\":\"brand\"}}}}",
                        NULL, &answer),
         &answer.err);
    const char *expected = "{\"b\":{" TERMS(
        "0", "{\"key\":\"nyx\",\"doc_count\":3,\"m\":{\"value\":6.0},\"c\":{\"value\":2}},{\"key\":"
             "\"dior\",\"doc_count\":2,\"m\":{\"value\":2.0},\"c\":{\"value\":2}},{\"key\":\"-\","
             "\"doc_count\":1,\"m\":{\"value\":7.0},\"c\":{\"value\":0}},{\"key\":\"zoeva\",\"doc_"
             "count\":1,\"m\":{\"value\":5.0},\"c\":{\"value\":1}}") "},\"c\":{\"value\":3}}";
    if (!vz_slice_is(answer.result.aggregations, expected))
        fail_msg("%.*s\nexpected %s", (int)answer.result.aggregations.len,
                 answer.result.aggregations.ptr, expected);
    answer_deinit(&answer);
    must(search_targets(targets, 0, AGG("\"terms\":{\"field\":\"brand\"}"), NULL, &answer),
         &answer.err);
    assert_true(vz_slice_is(answer.result.aggregations, "{\"a\":{" TERMS("0", "") "}}"));
    answer_deinit(&answer);
    must(search_targets(targets, 1, AGG("\"terms\":{\"field\":\"brand\",\"size\":1}"),
                        &(struct vz_search_params){.typed_keys = true}, &answer),
         &answer.err);
    assert_true(
        vz_slice_is(answer.result.aggregations,
                    "{\"sterms#a\":{" TERMS("2", "{\"key\":\"dior\",\"doc_count\":2}") "}}"));
    answer_deinit(&answer);
    fixture_close(&f);
}

static void expect_error(struct vz_index *index, const char *body, enum vz_status status,
                         const char *text)
{
    struct answer answer;
    struct vz_search_target target = {.index = index};
    if (search_targets(&target, 1, body, NULL, &answer) != status || !strstr(answer.err.text, text))
        fail_msg("%s\n  gives %s: %s", body, vz_status_name(answer.status), answer.err.text);
    answer_deinit(&answer);
}

static void test_refusals(void **state)
{
    struct fixture f;
    fixture_open(&f);
    struct vz_index *index = shop(&f, "shop");
    expect_error(index, AGG("\"foo\":{}"), VZ_BAD_QUERY, "Unknown aggregation type [foo]");
    expect_error(index, AGG("\"matrix_stats\":{}"), VZ_UNSUPPORTED, "[matrix_stats]");
    expect_error(index, AGG("\"terms\":{}"), VZ_BAD_ARGUMENT,
                 "Required one of fields [field, script]");
    expect_error(index, AGG("\"terms\":{\"field\":\"n\",\"x\":1}"), VZ_BAD_QUERY,
                 "[terms] unknown field [x]");
    expect_error(index, AGG("\"terms\":{\"field\":\"n\",\"size\":0}"), VZ_BAD_ARGUMENT,
                 "must be greater than 0");
    expect_error(index, AGG("\"terms\":{\"field\":\"t\"}"), VZ_BAD_ARGUMENT,
                 "Fielddata is disabled on [t] in [shop]");
    expect_error(index, AGG("\"avg\":{\"field\":\"brand\"}"), VZ_BAD_ARGUMENT,
                 "Field [brand] of type [keyword] is not supported for aggregation [avg]");
    expect_error(index, AGG("\"histogram\":{\"field\":\"n\",\"interval\":0}"), VZ_BAD_ARGUMENT,
                 "[interval] must be >0");
    expect_error(index, AGG("\"histogram\":{\"field\":\"n\",\"interval\":0.00001}"), VZ_LIMIT,
                 "Trying to create too many buckets. Must be less than or equal to: [65536]");
    expect_error(index, AGG("\"date_histogram\":{\"field\":\"day\",\"fixed_interval\":\"1ms\"}"),
                 VZ_LIMIT, "too many buckets");
    expect_error(index, AGG("\"date_histogram\":{\"field\":\"day\",\"calendar_interval\":\"2d\"}"),
                 VZ_BAD_QUERY, "calendar interval");
    expect_error(index, AGG("\"terms\":{\"field\":\"n\",\"order\":{\"x\":\"asc\"}}"), VZ_BAD_ARGUMENT,
                 "Invalid aggregator order path [x]");
    expect_error(index,
                 AGG("\"max\":{\"field\":\"n\"},\"aggs\":{\"b\":{\"max\":{\"field\":\"n\"}}}"),
                 VZ_BAD_QUERY, "cannot accept sub-aggregations");
    expect_error(index, AGG("\"max\":{\"field\":\"n\"},\"min\":{\"field\":\"n\"}"), VZ_BAD_QUERY,
                 "two aggregation type definitions");
    expect_error(index, AGG("\"filter\":{\"term\":{\"ok\":true}},\"aggs\":{\"g\":{\"global\":{}}}"),
                 VZ_BAD_QUERY, "cannot have a global sub-aggregation");
    expect_error(index, "{\"aggs\":{\"a[\":{\"max\":{\"field\":\"n\"}}}}", VZ_BAD_QUERY,
                 "Invalid aggregation name");
    expect_error(index, AGG(""), VZ_BAD_QUERY, "Missing definition");
    fixture_close(&f);
}

/* ---- random ---------------------------------------------------------------------------------- */

#define DOCS 3000
#define BRANDS 40

struct doc {
    bool alive;
    int brands[3], brand_count;
    double price;
    bool has_price;
    int n;
};

static struct vz_json find(struct vz_json object, const char *path)
{
    struct vz_json out;
    if (!vz_json_get_path(object, path, &out))
        fail_msg("no %s", path);
    return out;
}

static bool in_brand(const struct doc *doc, int brand)
{
    for (int i = 0; i < doc->brand_count; i++)
        if (doc->brands[i] == brand)
            return true;
    return false;
}

static void check_bucket(const struct doc *docs, struct vz_json bucket, int brand, int low,
                         int high)
{
    uint64_t count = 0, priced = 0;
    double sum = 0, max = -1;
    for (int i = 0; i < DOCS; i++) {
        const struct doc *d = &docs[i];
        if (!d->alive || d->n < low || d->n >= high || (brand >= 0 && !in_brand(d, brand)))
            continue;
        count++;
        if (!d->has_price)
            continue;
        priced++;
        sum += d->price;
        max = VZ_MAX(max, d->price);
    }
    assert_int_equal(vz_json_int(find(bucket, "doc_count")), count);
    assert_int_equal(vz_json_int(find(bucket, "s.count")), priced);
    if (priced) {
        assert_true(fabs(vz_json_double(find(bucket, "s.sum")) - sum) < 1e-9 * sum);
        assert_true(vz_json_double(find(bucket, "s.max")) == max);
    }
}

static int by_number(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void check_percentiles(struct vz_index *index, const struct doc *docs)
{
    static const int percents[] = {0, 1, 25, 50, 75, 99, 100};
    double values[DOCS];
    size_t count = 0;
    struct answer answer;
    struct vz_json_doc *parsed;
    struct vz_json root, found;
    for (int i = 0; i < DOCS; i++)
        if (docs[i].alive && docs[i].has_price)
            values[count++] = docs[i].price;
    qsort(values, count, sizeof *values, by_number);
    search_index(index, AGG("\"percentiles\":{\"field\":\"p\",\"percents\":[100,0,1,25,50,75,99]}"),
                 &answer);
    must(vz_json_parse(answer.result.aggregations, &parsed, &root, &answer.err), &answer.err);
    root = find(root, "a.values");
    for (size_t i = 0; i < sizeof percents / sizeof *percents; i++) {
        char key[16];
        snprintf(key, sizeof key, "%d.0", percents[i]);
        assert_true(vz_json_get(root, key, &found));
        double rank = percents[i] / 100.0 * (double)(count - 1);
        size_t low = (size_t)rank, high = low + 1 < count ? low + 1 : low;
        double expected = values[low] + (values[high] - values[low]) * (rank - (double)low);
        assert_true(fabs(vz_json_double(found) - expected) < 1e-9);
    }
    vz_json_free(parsed);
    answer_deinit(&answer);
}

static void test_random(void **state)
{
    static struct doc docs[DOCS];
    struct fixture f;
    uint64_t seed = 77;
    print_message("seed %llu\n", (unsigned long long)seed);
    fixture_open(&f);
    struct vz_index *index =
        fixture_create(&f, "r",
                       "{\"mappings\":{\"properties\":{\"b\":{\"type\":\"keyword\"},\"p\":{"
                       "\"type\":\"double\"},\"n\":{\"type\":\"integer\"}}}}");
    struct vz_buf text = {0};
    for (int i = 0; i < DOCS; i++) {
        struct doc *d = &docs[i];
        char id[16];
        snprintf(id, sizeof id, "%d", i);
        *d = (struct doc){.alive = true, .n = (int)(vz_rng_next(&seed) % 100)};
        d->brand_count = (int)(vz_rng_next(&seed) % 4);
        d->has_price = vz_rng_next(&seed) % 5 > 0;
        d->price = (double)(vz_rng_next(&seed) % 100000) / 64;
        vz_buf_clear(&text);
        vz_buf_printf(&text, "{\"n\":%d,\"b\":[", d->n);
        for (int b = 0; b < d->brand_count; b++) {
            d->brands[b] = (int)(vz_rng_next(&seed) % BRANDS);
            vz_buf_printf(&text, b ? ",\"b%d\"" : "\"b%d\"", d->brands[b]);
        }
        vz_buf_append_char(&text, ']');
        if (d->has_price)
            vz_buf_printf(&text, ",\"p\":%.17g", d->price);
        vz_buf_append_char(&text, '}');
        struct vz_error err = {0};
        struct vz_write op = {
            .verb = VZ_WRITE_INDEX, .id = vz_slice_from(id), .source = vz_buf_slice(&text)};
        must(vz_index_write(index, &op, 1, &(struct vz_write_options){0}, &err), &err);
    }
    for (int i = 0; i < DOCS; i += 7) {
        char id[16];
        snprintf(id, sizeof id, "%d", i);
        docs[i].alive = false;
        put_doc(index, id, NULL);
    }
    refresh(index);
    check_percentiles(index, docs);
    struct answer answer;
    search_index(
        index,
        "{\"size\":0,\"aggs\":{\"b\":{\"terms\":{\"field\":\"b\",\"size\":100},\"aggs\":{\"s\":{"
        "\"stats\":{\"field\":\"p\"}},\"h\":{\"histogram\":{\"field\":\"n\",\"interval\":10,\"min_"
        "doc_count\":1},\"aggs\":{\"s\":{\"stats\":{\"field\":\"p\"}}}}}},\"r\":{\"range\":{"
        "\"field\":\"n\",\"ranges\":[{\"from\":0,\"to\":30},{\"from\":20,\"to\":100}]},\"aggs\":{"
        "\"s\":{\"stats\":{\"field\":\"p\"}},\"b\":{\"terms\":{\"field\":\"b\",\"size\":3},"
        "\"aggs\":{\"s\":{\"stats\":{\"field\":\"p\"}}}}}}}}",
        &answer);
    struct vz_json_doc *parsed;
    struct vz_json root, bucket, inner;
    must(vz_json_parse(answer.result.aggregations, &parsed, &root, &answer.err), &answer.err);
    struct vz_json_iter it = vz_json_iterate(find(root, "b.buckets"));
    int64_t before = INT64_MAX;
    size_t seen = 0;
    while (vz_json_next(&it, NULL, &bucket)) {
        int brand = atoi(vz_json_string(find(bucket, "key")).ptr + 1);
        check_bucket(docs, bucket, brand, 0, 100);
        assert_true(vz_json_int(find(bucket, "doc_count")) <= before);
        before = vz_json_int(find(bucket, "doc_count"));
        struct vz_json_iter in = vz_json_iterate(find(bucket, "h.buckets"));
        while (vz_json_next(&in, NULL, &inner)) {
            int low = (int)vz_json_double(find(inner, "key"));
            check_bucket(docs, inner, brand, low, low + 10);
        }
        seen++;
    }
    assert_int_equal(seen, BRANDS);
    it = vz_json_iterate(find(root, "r.buckets"));
    while (vz_json_next(&it, NULL, &bucket)) {
        int from = (int)vz_json_double(find(bucket, "from")),
            to = (int)vz_json_double(find(bucket, "to"));
        check_bucket(docs, bucket, -1, from, to);
        struct vz_json_iter in = vz_json_iterate(find(bucket, "b.buckets"));
        while (vz_json_next(&in, NULL, &inner))
            check_bucket(docs, inner, atoi(vz_json_string(find(inner, "key")).ptr + 1), from, to);
    }
    vz_json_free(parsed);
    answer_deinit(&answer);
    vz_buf_deinit(&text);
    fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_terms),           cmocka_unit_test(test_metrics),
        cmocka_unit_test(test_histograms),      cmocka_unit_test(test_fixed_sets),
        cmocka_unit_test(test_several_indices), cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_random),          cmocka_unit_test(test_histogram_values),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
