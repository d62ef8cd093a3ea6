/* Parts of aggregations by themselves: patterns of numbers, cells, paths, intervals of calendars;
 * and documents with many values. */
#include "support.h"

#include "query/agg.h"

#include <math.h>

static void expect_decimal(const char *pattern, double value, const char *expected)
{
    struct vz_buf out = {0};
    bool fine = vz_decimal_format(vz_slice_from(pattern), value, &out);
    if (fine != (expected != NULL) || (fine && strcmp(out.len ? out.data : "", expected) != 0))
        fail_msg("%s of %g gives %s, not %s", pattern, value, fine ? out.data : "nothing",
                 expected ? expected : "nothing");
    vz_buf_deinit(&out);
}

/* As java.text.DecimalFormat prints them. */
static void test_decimals(void **state)
{
    expect_decimal("0.00", 3.14159, "3.14");
    expect_decimal("0.00", 0.125, "0.12"); /* half to even */
    expect_decimal("0.00", 0.375, "0.38");
    expect_decimal("#,##0.##", 1234567.5, "1,234,567.5");
    expect_decimal("#,##0", 999, "999");
    expect_decimal("0000", 7, "0007");
    expect_decimal("#.##", 0.5, ".5");
    expect_decimal("#", 0, "0");
    expect_decimal("0.0%", 0.256, "25.6%");
    expect_decimal("'$'0.00 'each'", -2, "-$2.00 each");
    expect_decimal("0.###E0", 12345, "1.234E4");
    expect_decimal("0.00", NAN, "NaN");
    expect_decimal("", 1, NULL);
    expect_decimal("abc", 1, NULL);
    expect_decimal("0.0.0", 1, NULL);
}

static void expect_cell(double lat, double lon, unsigned precision, const char *expected)
{
    struct vz_buf out = {0};
    vz_geohash_text(vz_geohash_encode(lat, lon, precision), precision, &out);
    assert_string_equal(out.data, expected);
    vz_buf_deinit(&out);
}

static void test_cells(void **state)
{
    struct vz_buf out = {0};
    uint64_t tile;
    expect_cell(57.64911, 10.40744, 11, "u4pruydqqvj");
    expect_cell(-90, -180, 12, "000000000000");
    expect_cell(90, 180, 12, "zzzzzzzzzzzz");
    expect_cell(42.6, -5.6, 5, "ezs42");
    vz_geotile_text(vz_geotile_encode(52.374081, 4.912350, 8), &out);
    assert_string_equal(out.data, "8/131/84");
    assert_true(vz_geotile_parse(VZ_SLICE("8/131/84"), &tile));
    assert_true(tile == vz_geotile_encode(52.374081, 4.912350, 8));
    assert_false(vz_geotile_parse(VZ_SLICE("8/256/84"), &tile));
    assert_false(vz_geotile_parse(VZ_SLICE("8/1"), &tile));
    assert_true(vz_geotile_encode(89.9, -180, 0) == 0);
    vz_buf_deinit(&out);
}

static void test_paths(void **state)
{
    struct vz_agg_steps_of_path steps;
    assert_true(vz_agg_path_parse(VZ_SLICE("a>b['x>y']>c.avg"), &steps));
    assert_int_equal(steps.count, 3);
    assert_true(vz_slice_is(steps.items[1].name, "b") && steps.items[1].has_key);
    assert_true(vz_slice_is(steps.items[1].key, "x>y"));
    assert_true(vz_slice_is(steps.items[2].property, "avg"));
    assert_true(vz_agg_path_parse(VZ_SLICE("p[99.0]"), &steps));
    assert_true(vz_slice_is(steps.items[0].property, "99.0"));
    assert_true(vz_agg_path_parse(VZ_SLICE("p.99.9"), &steps));
    assert_true(vz_slice_is(steps.items[0].property, "99.9"));
    assert_false(vz_agg_path_parse(VZ_SLICE("a>"), &steps));
    assert_false(vz_agg_path_parse(VZ_SLICE(""), &steps));
    assert_false(vz_agg_path_parse(VZ_SLICE("a['b'"), &steps));
    assert_false(vz_agg_path_parse(VZ_SLICE("a>a>a>a>a>a>a>a>a>a>a>a>a>a>a>a"), &steps));
}

/* Every moment lies in the interval that its floor begins, and intervals leave no gap. */
static void check_interval(struct vz_agg_interval *interval, const char *zone)
{
    int32_t seconds;
    interval->dates = true;
    interval->zone = vz_zone_find(vz_slice_from(zone));
    assert_non_null(interval->zone);
    interval->zone_fixed = vz_zone_is_fixed(interval->zone, &seconds);
    interval->zone_ms = interval->zone_fixed ? (int64_t)seconds * 1000 : 0;
    int64_t begin = INT64_MIN;
    for (int64_t ms = 1672531200000; ms < 1672531200000 + 400 * 86400000ll; ms += 17 * 60000) {
        int64_t floor = vz_agg_date_floor(interval, ms), next = vz_agg_date_next(interval, floor);
        if (floor > ms || next <= ms || vz_agg_date_floor(interval, floor) != floor ||
            vz_agg_date_floor(interval, next - 1) != floor ||
            vz_agg_date_floor(interval, next) != next || floor < begin)
            fail_msg("%s, unit %d, fixed %lld: %lld lies in [%lld, %lld)", zone,
                     (int)interval->unit, (long long)interval->fixed_ms, (long long)ms,
                     (long long)floor, (long long)next);
        begin = floor;
    }
}

static void test_calendars(void **state)
{
    static const char *const zones[] = {"UTC",          "+05:30",           "Europe/Amsterdam",
                                        "Asia/Beirut",  "America/New_York", "Australia/Adelaide",
                                        "Africa/Cairo", "America/Havana",   "Asia/Kathmandu"};
    for (size_t z = 0; z < VZ_COUNT_OF(zones); z++) {
        for (int unit = VZ_UNIT_HOUR; unit <= VZ_UNIT_YEAR; unit++)
            check_interval(&(struct vz_agg_interval){.unit = (enum vz_agg_unit)unit}, zones[z]);
        for (int hours = 1; hours <= 24; hours *= 2)
            check_interval(&(struct vz_agg_interval){.fixed_ms = hours * 3600000ll}, zones[z]);
    }
    check_interval(
        &(struct vz_agg_interval){.unit = VZ_UNIT_DAY, .offset_ms = 6 * 3600000}, "Europe/Paris");
}

/* A document with 3,000 values, each of them twice. */
static void test_many_values(void **state)
{
    struct fixture f;
    struct answer answer;
    struct vz_buf doc = {0};
    fixture_open(&f);
    struct vz_index *index =
        fixture_create(&f, "many",
                       "{\"mappings\":{\"properties\":{\"k\":{\"type\":\"keyword\"},\"n\":{"
                       "\"type\":\"integer\"}}}}");
    vz_buf_append_str(&doc, "{\"k\":[");
    for (int i = 0; i < 6000; i++)
        vz_buf_printf(&doc, "%s\"v%04d\"", i ? "," : "", i % 3000);
    vz_buf_append_str(&doc, "],\"n\":[");
    for (int i = 0; i < 6000; i++)
        vz_buf_printf(&doc, "%s%d", i ? "," : "", i % 3000);
    vz_buf_append_str(&doc, "]}");
    put_doc(index, "1", doc.data);
    put_doc(index, "2", "{\"k\":[\"v0001\",\"x\",\"v0001\"],\"n\":[1,1]}");
    refresh(index);
    search_index(index,
                 "{\"size\":0,\"aggs\":{\"k\":{\"terms\":{\"field\":\"k\",\"size\":2}},\"n\":{"
                 "\"histogram\":{\"field\":\"n\",\"interval\":1500}},\"c\":{\"cardinality\":{"
                 "\"field\":\"k\"}},\"v\":{\"value_count\":{\"field\":\"k\"}},\"s\":{\"terms\":{"
                 "\"field\":\"k\",\"size\":1},\"aggs\":{\"m\":{\"max\":{\"field\":\"n\"}}}}}}",
                 &answer);
    const char *expected =
        "{\"k\":{\"doc_count_error_upper_bound\":0,\"sum_other_doc_count\":2999,\"buckets\":[{"
        "\"key\":\"v0001\",\"doc_count\":2},{\"key\":\"v0000\",\"doc_count\":1}]},\"n\":{"
        "\"buckets\":[{\"key\":0.0,\"doc_count\":2},{\"key\":1500.0,\"doc_count\":1}]},\"c\":{"
        "\"value\":3001},\"v\":{\"value\":3002},\"s\":{\"doc_count_error_upper_bound\":0,"
        "\"sum_other_doc_count\":3000,\"buckets\":[{\"key\":\"v0001\",\"doc_count\":2,\"m\":{"
        "\"value\":2999.0}}]}}";
    if (!vz_slice_is(answer.result.aggregations, expected))
        fail_msg("%.*s", (int)answer.result.aggregations.len, answer.result.aggregations.ptr);
    answer_deinit(&answer);
    vz_buf_deinit(&doc);
    fixture_close(&f);
}

/* Ranks among many values without sorting them all agree with sorting. */
static void test_percentiles(void **state)
{
    static const double percents[] = {0, 0.01, 1, 25, 50, 75, 99, 99.99, 100};
    size_t count = 200000;
    double *items = vz_alloc(count * sizeof *items), *sorted = vz_alloc(count * sizeof *items);
    for (int shape = 0; shape < 3; shape++) {
        uint64_t seed = 7;
        for (size_t i = 0; i < count; i++) {
            seed = seed * 6364136223846793005ull + 1442695040888963407ull;
            double u = (double)(seed >> 11) / 9007199254740992.0;
            sorted[i] = items[i] = shape == 0 ? u : shape == 1 ? floor(u * 50) : pow(u, -3);
        }
        for (size_t p = 0; p < VZ_COUNT_OF(percents); p++) {
            double found = vz_agg_percentile(items, count, percents[p]);
            size_t below = 0, at_most = 0;
            for (size_t i = 0; i < count; i++) {
                below += sorted[i] < found;
                at_most += sorted[i] <= found;
            }
            double rank = percents[p] / 100 * (double)(count - 1);
            assert_true((double)below <= rank + 1 && (double)at_most >= floor(rank));
        }
    }
    free(items);
    free(sorted);
}

/* Columns with one value for every document take short cuts: a document without any takes them away,
 * and nothing else may change. */
static void test_short_cuts(void **state)
{
    static const char *const bodies[] = {
        "{\"terms\":{\"field\":\"k\"},\"aggs\":{\"p\":{\"avg\":{\"field\":\"p\"}}}}",
        "{\"terms\":{\"field\":\"n\",\"size\":50},\"aggs\":{\"p\":{\"max\":{\"field\":\"p\"}}}}",
        "{\"terms\":{\"field\":\"k\"},\"aggs\":{\"n\":{\"terms\":{\"field\":\"n\"}}}}",
        "{\"terms\":{\"field\":\"k\"},\"aggs\":{\"t\":{\"date_histogram\":{\"field\":\"t\","
        "\"calendar_interval\":\"month\",\"time_zone\":\"Europe/Amsterdam\"},\"aggs\":{\"s\":{\"sum\":"
        "{\"field\":\"n\"}}}}}}",
        "{\"date_histogram\":{\"field\":\"t\",\"fixed_interval\":\"7h\"}}",
        "{\"date_histogram\":{\"field\":\"t\",\"calendar_interval\":\"day\",\"time_zone\":"
        "\"America/Havana\",\"offset\":\"-3h\"}}",
        "{\"histogram\":{\"field\":\"p\",\"interval\":0.7},\"aggs\":{\"c\":{\"cardinality\":{"
        "\"field\":\"p\"}},\"v\":{\"value_count\":{\"field\":\"k\"}}}}",
        "{\"composite\":{\"size\":300,\"sources\":[{\"a\":{\"terms\":{\"field\":\"k\",\"order\":"
        "\"desc\"}}},{\"b\":{\"terms\":{\"field\":\"n\"}}}],\"after\":{\"a\":\"k13\",\"b\":7}},"
        "\"aggs\":{\"p\":{\"min\":{\"field\":\"p\"}}}}",
        "{\"multi_terms\":{\"size\":900,\"terms\":[{\"field\":\"k\"},{\"field\":\"n\"}]}}",
        "{\"range\":{\"field\":\"p\",\"ranges\":[{\"to\":10},{\"from\":5,\"to\":50}]}}",
        "{\"percentiles\":{\"field\":\"p\"}}",
        "{\"extended_stats\":{\"field\":\"n\"}}",
        "{\"cardinality\":{\"field\":\"p\"}}",
        "{\"cardinality\":{\"field\":\"t\"}}",
        "{\"filters\":{\"filters\":[{\"term\":{\"k\":\"k1\"}},{\"range\":{\"n\":{\"lt\":9}}}]}}",
    };
    struct fixture f;
    fixture_open(&f);
    struct vz_index *indices[2];
    for (int i = 0; i < 2; i++) {
        uint64_t seed = 3;
        indices[i] = fixture_create(
            &f, i ? "sparse" : "dense",
            "{\"mappings\":{\"properties\":{\"k\":{\"type\":\"keyword\"},\"n\":{\"type\":\"integer\"},"
            "\"p\":{\"type\":\"double\"},\"t\":{\"type\":\"date\"}}}}");
        static char ids[5001][16], docs[5001][160];
        static struct vz_write ops[5001];
        struct vz_error err = {0};
        size_t count = 0;
        for (int d = i ? -1 : 0; d < 5000; d++, count++) {
            seed = seed * 6364136223846793005ull + 1442695040888963407ull;
            uint32_t r = (uint32_t)(seed >> 33);
            snprintf(ids[count], sizeof ids[count], "%d", d);
            snprintf(docs[count], sizeof docs[count],
                     "{\"k\":\"k%u\",\"n\":%d,\"p\":%u.%02u,\"t\":%lld}", r % 23,
                     (int)(r / 31 % 40) - 5, r / 7 % 90, r / 11 % 100,
                     1672531200000ll + (long long)(r % 1000003) * 60000);
            if (d < 0) {
                snprintf(docs[count], sizeof docs[count], "{}");
                seed = 3;
            }
            ops[count] = (struct vz_write){.verb = VZ_WRITE_INDEX,
                                           .id = vz_slice_from(ids[count]),
                                           .source = vz_slice_from(docs[count])};
        }
        must(vz_index_write(indices[i], ops, count, &(struct vz_write_options){0}, &err), &err);
        refresh(indices[i]);
    }
    for (size_t b = 0; b < VZ_COUNT_OF(bodies); b++) {
        char body[800];
        struct answer dense, sparse;
        snprintf(body, sizeof body, "{\"size\":0,\"aggs\":{\"a\":%s}}", bodies[b]);
        search_index(indices[0], body, &dense);
        search_index(indices[1], body, &sparse);
        struct vz_slice x = dense.result.aggregations, y = sparse.result.aggregations;
        bool sums = strstr(bodies[b], "stats") || strstr(bodies[b], "avg"); /* other roundings */
        if (sums ? memcmp(x.ptr, y.ptr, 15) != 0 : !vz_slice_eq(x, y))
            fail_msg("%s\n  gives %.*s\n  and   %.*s", body, (int)VZ_MIN(x.len, (size_t)600), x.ptr,
                     (int)VZ_MIN(y.len, (size_t)600), y.ptr);
        assert_true(x.len > 15);
        answer_deinit(&dense);
        answer_deinit(&sparse);
    }
    fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_decimals),    cmocka_unit_test(test_cells),
        cmocka_unit_test(test_paths),       cmocka_unit_test(test_calendars),
        cmocka_unit_test(test_many_values), cmocka_unit_test(test_percentiles),
        cmocka_unit_test(test_short_cuts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
