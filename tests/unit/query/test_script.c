/* script_score and function_score: scores against values worked out here, and what is refused. */
#include "support.h"

#include "base/clock.h"
#include "base/text.h"

#include <math.h>

static float score_of_id(struct answer *answer, const char *id)
{
    for (size_t i = 0; i < answer->result.hit_count; i++)
        if (vz_slice_is(answer->result.hits[i].id, id))
            return answer->result.hits[i].score;
    fail_msg("no hit %s", id);
    return 0;
}

static void expect_scores(struct vz_index *index, const char *body, const double *expected,
                          size_t count)
{
    struct answer answer;
    search_index(index, body, &answer);
    if (answer.result.hit_count != count)
        fail_msg("%s\n  has %zu hits, expected %zu", body, answer.result.hit_count, count);
    for (size_t i = 0; i < count; i++) {
        char id[8];
        snprintf(id, sizeof id, "%zu", i + 1);
        double found = (double)score_of_id(&answer, id);
        if (fabs(found - expected[i]) > 1e-6 * fabs(expected[i]) + 1e-9)
            fail_msg("%s\n  document %s scores %.9g, expected %.9g", body, id, found, expected[i]);
    }
    answer_deinit(&answer);
}
#define SCORES(index, body, ...)                                                                   \
    expect_scores(index, body, (const double[]){__VA_ARGS__},                                      \
                  sizeof((const double[]){__VA_ARGS__}) / sizeof(double))

static void expect_error(struct vz_index *index, const char *body, enum vz_status status,
                         const char *text, const char *cause)
{
    struct answer answer;
    struct vz_search_target target = {.index = index};
    if (search_targets(&target, 1, body, NULL, &answer) != status)
        fail_msg("%s\n  gives %s: %s", body, vz_status_name(answer.status), answer.err.text);
    if (!strstr(answer.err.text, text) || !strstr(answer.err.cause, cause))
        fail_msg("%s\n  says %s (%s), expected %s (%s)", body, answer.err.text, answer.err.cause,
                 text, cause);
    answer_deinit(&answer);
}

static struct vz_index *shop(struct fixture *f)
{
    struct vz_index *index = fixture_create(
        f, "shop",
        "{\"mappings\":{\"properties\":{\"price\":{\"type\":\"long\"},\"rating\":{\"type\":"
        "\"double\"},\"tag\":{\"type\":\"keyword\"},\"day\":{\"type\":\"date\"},\"place\":{"
        "\"type\":\"geo_point\"},\"ok\":{\"type\":\"boolean\"},\"t\":{\"type\":\"text\"}}}}");
    put_doc(index, "1",
            "{\"price\":10,\"rating\":4.5,\"tag\":[\"red\",\"big\"],\"day\":"
            "\"2024-05-01\",\"place\":{\"lat\":52.5,\"lon\":13.4},\"ok\":true}");
    put_doc(index, "2",
            "{\"price\":[40,20],\"rating\":3,\"tag\":\"blue\",\"day\":\"2024-05-11\","
            "\"place\":{\"lat\":48.1,\"lon\":11.6},\"ok\":false}");
    put_doc(index, "3",
            "{\"price\":30,\"rating\":1.5,\"tag\":\"red\",\"day\":\"2024-06-01\","
            "\"place\":{\"lat\":40,\"lon\":-74},\"ok\":true}");
    refresh(index);
    return index;
}

static void test_script_score(void **state)
{
    struct fixture f;
    fixture_open(&f);
    struct vz_index *index = shop(&f);
    SCORES(index,
           "{\"query\":{\"script_score\":{\"query\":{\"match_all\":{}},\"script\":\"doc['price']."
           "value * doc['rating'].value\"}}}",
           45, 60, 45);
    SCORES(index,
           "{\"query\":{\"script_score\":{\"query\":{\"match_all\":{\"boost\":2}},\"script\":{"
           "\"source\":\"_score + "
           "params.x\",\"params\":{\"x\":0.5},\"lang\":\"painless\"},\"boost\":3}}}",
           7.5, 7.5, 7.5);
    SCORES(index,
           "{\"query\":{\"script_score\":{\"query\":{\"match_all\":{}},\"script\":{\"source\":"
           "\"doc['tag'].contains('red') ? Math.log(2 + doc['price'].size()) : doc['ok'].value ? 1 "
           ": 0.25\"}}}}",
           log(3), 0.25, log(3));
    SCORES(index,
           "{\"query\":{\"script_score\":{\"query\":{\"match_all\":{}},\"script\":\"saturation(doc["
           "'price'].value, 10)\"}}}",
           0.5, 20.0 / 30, 0.75);
    SCORES(index,
           "{\"query\":{\"script_score\":{\"query\":{\"match_all\":{}},\"script\":\"sigmoid(doc['"
           "price'].value, 10, 2)\"}}}",
           0.5, 400.0 / 500, 900.0 / 1000);
    SCORES(index,
           "{\"query\":{\"script_score\":{\"query\":{\"match_all\":{}},\"script\":"
           "\"decayNumericGauss(10, 20, 0, 0.5, doc['price'].value)\"}}}",
           1, exp(-100 * log(2) / 400), exp(-400 * log(2) / 400));
    SCORES(index,
           "{\"query\":{\"script_score\":{\"query\":{\"match_all\":{}},\"script\":\"decayDateExp('"
           "2024-05-01', '10d', '0', 0.5, doc['day'].value)\"}}}",
           1, 0.5, pow(0.5, 3.1));
    SCORES(index,
           "{\"query\":{\"script_score\":{\"query\":{\"match_all\":{}},\"script\":\"Math.max(0, "
           "decayGeoLinear('52.5, 13.4', '2000km', '0km', 0.5, doc['place'].value))\"}}}",
           1, 1 - 505644.0 / 4000000, 0);
    SCORES(index,
           "{\"query\":{\"script_score\":{\"query\":{\"match_all\":{}},\"script\":\"doc['day']."
           "value.getMonthValue() + doc['day'].value.dayOfMonth / 100.0\"}}}",
           5.01, 5.11, 6.01);
    assert_ids(index,
               "{\"query\":{\"script_score\":{\"query\":{\"term\":{\"tag\":\"red\"}},\"script\":"
               "\"doc['price'].value\",\"min_score\":20}}}",
               "3");
    assert_ids(index,
               "{\"query\":{\"bool\":{\"filter\":{\"script_score\":{\"query\":{\"match_all\":{}},"
               "\"script\":\"doc['price'].value\",\"min_score\":20}}}}}",
               "2,3");
    SCORES(index,
           "{\"query\":{\"bool\":{\"must\":[{\"script_score\":{\"query\":{\"match_all\":{}},"
           "\"script\":\"1\"}},{\"match_all\":{}}],\"filter\":{\"term\":{\"ok\":true}},\"should\":{"
           "\"script_score\":{\"query\":{\"term\":{\"tag\":\"blue\"}},\"script\":\"5\"}},\"minimum_"
           "should_match\":0}},\"sort\":[\"_doc\"],\"track_scores\":true,\"post_filter\":{\"term\":"
           "{\"price\":10}}}",
           1 + 1);
    fixture_close(&f);
}

static void test_script_errors(void **state)
{
    struct fixture f;
    fixture_open(&f);
    struct vz_index *index = shop(&f);
#define SCRIPT(source)                                                                             \
    "{\"query\":{\"script_score\":{\"query\":{\"match_all\":{}},\"script\":" source "}}}"
    expect_error(index, SCRIPT("\"doc['price'].value - 1000\""), VZ_BAD_ARGUMENT,
                 "script_score script returned an invalid score [-990.0] for doc [0]. Must be a "
                 "non-negative score!",
                 "");
    expect_error(index, SCRIPT("\"0.0 / 0\""), VZ_BAD_ARGUMENT, "invalid score [NaN]", "");
    expect_error(index, SCRIPT("\"1 +\""), VZ_BAD_QUERY, "compile error\n3\n1 +",
                 "illegal_argument_exception\nunexpected end of script.");
    expect_error(index, SCRIPT("\"doc['price'].value / 0\""), VZ_BAD_QUERY, "runtime error\n19\n",
                 "arithmetic_exception\n/ by zero");
    expect_error(index, SCRIPT("\"doc['nix'].value\""), VZ_BAD_QUERY, "runtime error\n",
                 "illegal_argument_exception\nNo field found for [nix] in mapping");
    expect_error(index, SCRIPT("\"doc['t'].value\""), VZ_BAD_QUERY, "runtime error\n",
                 "Fielddata is disabled on [t] in [shop]");
    expect_error(index, SCRIPT("\"doc['price'].value > 5\""), VZ_BAD_QUERY, "runtime error\n",
                 "class_cast_exception\nCannot cast from [java.lang.Boolean] to [double].");
    expect_error(index, SCRIPT("\"cosineSimilarity([1.0], 'price')\""), VZ_BAD_QUERY,
                 "compile error\n", "[price] is no [dense_vector] field");
    expect_error(index, SCRIPT("\"while (true) {}\""), VZ_BAD_QUERY, "runtime error\n",
                 "painless_error\nThe maximum number of statements");
    expect_error(index, SCRIPT("{\"id\":\"x\"}"), VZ_UNSUPPORTED, "stored scripts", "");
    expect_error(index, SCRIPT("{\"source\":\"1\",\"lang\":\"mvel\"}"), VZ_BAD_QUERY,
                 "script_lang not supported [mvel]", "");
    expect_error(index, SCRIPT("{\"params\":{}}"), VZ_BAD_QUERY, "must specify either [source]",
                 "");
    expect_error(index, SCRIPT("{\"source\":\"1\",\"x\":1}"), VZ_BAD_QUERY, "unknown field [x]",
                 "");
    expect_error(index, "{\"query\":{\"script_score\":{\"script\":\"1\"}}}", VZ_BAD_QUERY,
                 "Required [query]", "");
    fixture_close(&f);
}

/* ---- vectors --------------------------------------------------------------------------------- */

#define DIMS 67
#define DOCS 120

struct reference {
    float rows[DOCS][DIMS], query[DIMS];
};

static void print_floats(struct vz_buf *out, const float *v, int scale)
{
    vz_buf_append_char(out, '[');
    for (int i = 0; i < DIMS; i++)
        vz_buf_printf(out, i ? ",%.9g" : "%.9g", (double)v[i] * scale);
    vz_buf_append_char(out, ']');
}

static double reference_measure(const struct reference *r, int doc, const char *function)
{
    double dot = 0, l1 = 0, l2 = 0, a = 0, b = 0;
    for (int i = 0; i < DIMS; i++) {
        double x = (double)r->query[i], y = (double)r->rows[doc][i];
        dot += x * y;
        l1 += fabs(x - y);
        l2 += (x - y) * (x - y);
        a += x * x;
        b += y * y;
    }
    if (strcmp(function, "cosineSimilarity") == 0)
        return dot / sqrt(a * b);
    if (strcmp(function, "dotProduct") == 0)
        return dot;
    return strcmp(function, "l1norm") == 0 ? l1 : sqrt(l2);
}

static void check_function(struct vz_index *index, const struct reference *r, const char *function,
                           const char *format, double (*make)(double))
{
    struct vz_buf body = {0};
    char source[200];
    snprintf(source, sizeof source, format, function);
    vz_buf_printf(
        &body,
        "{\"size\":%d,\"query\":{\"script_score\":{\"query\":{\"match_all\":{}},\"script\":"
        "{\"source\":\"%s\",\"params\":{\"v\":",
        DOCS, source);
    print_floats(&body, r->query, 1);
    vz_buf_append_str(&body, "}}}}}");
    struct answer answer;
    search_index(index, body.data, &answer);
    assert_int_equal(answer.result.hit_count, DOCS - DOCS / 10);
    for (int d = 0; d < DOCS; d++) {
        char id[8];
        if (d % 10 == 3)
            continue;
        snprintf(id, sizeof id, "%d", d);
        double expected = make(reference_measure(r, d, function));
        double found = (double)score_of_id(&answer, id);
        if (fabs(found - expected) > 1e-6 * fabs(expected))
            fail_msg("%s: %.9g, expected %.9g", source, found, expected);
    }
    vz_buf_deinit(&body);
    answer_deinit(&answer);
}

static double add_ten(double x)
{
    return x + 10;
}
static double add_thousand(double x)
{
    return x + 1000;
}
static double one_over(double x)
{
    return 1 / (1 + x);
}
static double is(double x)
{
    return x;
}

static void test_vectors(void **state)
{
    static const char *const similarities[] = {"cosine", "l2_norm", "max_inner_product"};
    uint64_t seed = 11;
    print_message("seed %llu\n", (unsigned long long)seed);
    struct reference *r = vz_calloc(1, sizeof *r);
    for (int i = 0; i < DIMS; i++)
        r->query[i] = (float)vz_rng_normal(&seed);
    for (int d = 0; d < DOCS; d++)
        for (int i = 0; i < DIMS; i++)
            r->rows[d][i] = (float)(3 * vz_rng_normal(&seed));
    for (size_t s = 0; s < VZ_COUNT_OF(similarities); s++) {
        struct fixture f;
        struct vz_buf body = {0};
        fixture_open(&f);
        vz_buf_printf(&body,
                      "{\"mappings\":{\"properties\":{\"v\":{\"type\":\"dense_vector\",\"dims\":%d,"
                      "\"similarity\":\"%s\"}}}}",
                      DIMS, similarities[s]);
        struct vz_index *index = fixture_create(&f, "vectors", body.data);
        for (int d = 0; d < DOCS; d++) {
            char id[8];
            snprintf(id, sizeof id, "%d", d);
            vz_buf_clear(&body);
            vz_buf_append_str(&body, "{\"v\":");
            print_floats(&body, r->rows[d], 1);
            vz_buf_append_str(&body, "}");
            put_doc(index, id, body.data);
        }
        for (int d = 3; d < DOCS; d += 10) { /* rows and documents do not agree any more */
            char id[8];
            snprintf(id, sizeof id, "%d", d);
            put_doc(index, id, NULL);
        }
        refresh(index);
        check_function(index, r, "cosineSimilarity", "%s(params.v, 'v') + 10.0", add_ten);
        check_function(index, r, "cosineSimilarity", "double x = %s(params.v, 'v'); return x + 10",
                       add_ten);
        check_function(index, r, "dotProduct", "%s(params.v, 'v') + 1000", add_thousand);
        check_function(index, r, "l1norm", "1 / (1 + %s(params.v, 'v'))", one_over);
        check_function(index, r, "l2norm", "1 / (1 + %s(params.v, 'v'))", one_over);
        check_function(index, r, "l1norm", "%s(params.v, 'v')", is);
        check_function(index, r, "l2norm", "%s(params.v, 'v')", is);
        expect_error(index, SCRIPT("\"cosineSimilarity([1.0, 2.0], 'v')\""), VZ_BAD_QUERY,
                     "compile error",
                     "different number of dimensions [2] than the document "
                     "vectors [67]");
        expect_error(index, SCRIPT("\"hamming([1.0, 2.0], 'v')\""), VZ_BAD_QUERY, "compile error",
                     "hamming distance is only supported for byte or bit vectors");
        put_doc(index, "none", "{\"x\":1}");
        refresh(index);
        vz_buf_clear(&body);
        vz_buf_append_str(
            &body, "{\"query\":{\"script_score\":{\"query\":{\"match_all\":{}},\"script\":{"
                   "\"source\":\"cosineSimilarity(params.v, 'v') + 1.0\",\"params\":{\"v\":");
        print_floats(&body, r->query, 1);
        vz_buf_append_str(&body, "}}}}}");
        expect_error(index, body.data, VZ_BAD_QUERY, "runtime error",
                     "A document doesn't have a value for a vector field!");
        vz_buf_deinit(&body);
        fixture_close(&f);
    }
    free(r);
}

static void test_bytes_and_bits(void **state)
{
    struct fixture f;
    fixture_open(&f);
    struct vz_index *index = fixture_create(
        &f, "b",
        "{\"mappings\":{\"properties\":{\"y\":{\"type\":\"dense_vector\",\"dims\":3,"
        "\"element_type\":\"byte\",\"similarity\":\"l2_norm\"},\"i\":{\"type\":\"dense_vector\","
        "\"dims\":16,\"element_type\":\"bit\"},\"f\":{\"type\":\"dense_vector\",\"dims\":2,"
        "\"similarity\":\"cosine\"}}}}");
    put_doc(index, "1", "{\"y\":[1,-2,3],\"i\":[15,1],\"f\":[3,4]}");
    put_doc(index, "2", "{\"y\":[-128,127,0],\"i\":[0,0],\"f\":[0.6,0.8]}");
    refresh(index);
    SCORES(index, SCRIPT("\"dotProduct([2, -1, 1], 'y') + 1000\""), 1007, 1000 - 256 - 127);
    SCORES(index, SCRIPT("\"l1norm([2, -1, 1], 'y')\""), 4, 130 + 128 + 1);
    SCORES(index, SCRIPT("\"l2norm([2, -1, 1], 'y')\""), sqrt(6), sqrt(130 * 130 + 128 * 128 + 1));
    SCORES(index, SCRIPT("\"cosineSimilarity([2, -1, 1], 'y') + 1\""), 1 + 7 / sqrt(6 * 14),
           1 - 383 / sqrt(6 * (128 * 128 + 127 * 127)));
    SCORES(index, SCRIPT("\"hamming([0, 1], 'i')\""), 4, 1);
    SCORES(index, SCRIPT("\"hamming('0f00', 'i')\""), 1, 4);
    SCORES(index, SCRIPT("\"doc['f'].magnitude + doc['f'].vectorValue[1]\""), 9, 1.8);
    SCORES(index, SCRIPT("\"doc['y'].size() == 0 ? 0 : doc['y'].vectorValue[2] + 5\""), 8, 5);
    fixture_close(&f);
}

/* ---- function_score -------------------------------------------------------------------------- */

static void test_function_score(void **state)
{
    struct fixture f;
    fixture_open(&f);
    struct vz_index *index = shop(&f);
#define FUNCTION(inside) "{\"query\":{\"function_score\":{" inside "}}}"
    SCORES(index, FUNCTION("\"weight\":3"), 3, 3, 3);
    SCORES(index, FUNCTION("\"query\":{\"match_all\":{}},\"boost\":5"), 5, 5, 5);
    SCORES(index, FUNCTION("\"boost\":5,\"weight\":2,\"boost_mode\":\"sum\""), 7, 7, 7);
    SCORES(index, FUNCTION("\"boost\":5,\"weight\":2,\"boost_mode\":\"replace\""), 2, 2, 2);
    SCORES(index, FUNCTION("\"boost\":5,\"weight\":2,\"boost_mode\":\"avg\""), 3.5, 3.5, 3.5);
    SCORES(index, FUNCTION("\"boost\":5,\"weight\":2,\"boost_mode\":\"max\""), 5, 5, 5);
    SCORES(index, FUNCTION("\"boost\":5,\"weight\":2,\"boost_mode\":\"min\""), 2, 2, 2);
    SCORES(index, FUNCTION("\"weight\":20,\"max_boost\":7"), 7, 7, 7);
    SCORES(index, FUNCTION("\"field_value_factor\":{\"field\":\"price\"}"), 10, 20, 30);
    SCORES(index,
           FUNCTION("\"field_value_factor\":{\"field\":\"price\",\"factor\":1.2,\"modifier\":"
                    "\"sqrt\"},\"weight\":2"),
           2 * sqrt(12), 2 * sqrt(24), 2 * sqrt(36));
    SCORES(index, FUNCTION("\"field_value_factor\":{\"field\":\"price\",\"modifier\":\"log\"}"), 1,
           log10(20), log10(30));
    SCORES(index, FUNCTION("\"field_value_factor\":{\"field\":\"price\",\"modifier\":\"log1p\"}"),
           log10(11), log10(21), log10(31));
    SCORES(index, FUNCTION("\"field_value_factor\":{\"field\":\"price\",\"modifier\":\"log2p\"}"),
           log10(12), log10(22), log10(32));
    SCORES(index, FUNCTION("\"field_value_factor\":{\"field\":\"price\",\"modifier\":\"ln\"}"),
           log(10), log(20), log(30));
    SCORES(index, FUNCTION("\"field_value_factor\":{\"field\":\"price\",\"modifier\":\"ln1p\"}"),
           log(11), log(21), log(31));
    SCORES(index, FUNCTION("\"field_value_factor\":{\"field\":\"price\",\"modifier\":\"ln2p\"}"),
           log(12), log(22), log(32));
    SCORES(index, FUNCTION("\"field_value_factor\":{\"field\":\"rating\",\"modifier\":\"square\"}"),
           20.25, 9, 2.25);
    SCORES(index,
           FUNCTION("\"field_value_factor\":{\"field\":\"rating\",\"modifier\":\"reciprocal\"}"),
           1 / 4.5, 1 / 3.0, 1 / 1.5);
    SCORES(index, FUNCTION("\"field_value_factor\":{\"field\":\"nix\",\"missing\":4}"), 4, 4, 4);
    SCORES(index, FUNCTION("\"gauss\":{\"price\":{\"origin\":10,\"scale\":20}}"), 1,
           exp(100 * log(0.5) / 400), 0.5);
    SCORES(
        index,
        FUNCTION("\"gauss\":{\"price\":{\"origin\":10,\"scale\":20},\"multi_value_mode\":\"max\"}"),
        1, exp(900 * log(0.5) / 400), 0.5);
    SCORES(
        index,
        FUNCTION("\"linear\":{\"price\":{\"origin\":10,\"scale\":10,\"offset\":5,\"decay\":0.25}}"),
        1, 1 - 5 * 0.75 / 10, 0);
    SCORES(index,
           FUNCTION("\"exp\":{\"day\":{\"origin\":\"2024-05-01\",\"scale\":\"10d\",\"offset\":"
                    "\"5d\",\"decay\":0.5}}"),
           1, pow(0.5, 0.5), pow(0.5, 2.6));
    SCORES(index, FUNCTION("\"gauss\":{\"place\":{\"origin\":\"52.5,13.4\",\"scale\":\"500km\"}}"),
           1, exp(log(0.5) * pow(505.6440 / 500, 2)),
           exp(log(0.5) * pow(6384.0 / 500, 2)) < 1e-30 ? 0 : 1);
    /* functions with filters, in every score_mode */
#define FUNCTIONS                                                                                  \
    "\"functions\":[{\"filter\":{\"term\":{\"tag\":\"red\"}},\"weight\":2},{\"filter\":{"          \
    "\"range\":{\"price\":{\"gte\":30}}},\"field_value_factor\":{\"field\":\"rating\"},"           \
    "\"weight\":3}]"
    SCORES(index, FUNCTION(FUNCTIONS), 2, 3 * 3, 2 * 4.5);
    SCORES(index, FUNCTION(FUNCTIONS ",\"score_mode\":\"sum\""), 2, 9, 6.5);
    SCORES(index, FUNCTION(FUNCTIONS ",\"score_mode\":\"avg\""), 1, 3, 6.5 / 5);
    /* Weights that are 0 together say nothing; one function alone is taken as it is. */
#define ZEROS "\"functions\":[{\"weight\":0},{\"weight\":0}],\"score_mode\":"
    SCORES(index, FUNCTION(ZEROS "\"avg\""), 1, 1, 1);
    SCORES(index, FUNCTION(ZEROS "\"sum\""), 1, 1, 1);
    SCORES(index, FUNCTION("\"functions\":[{\"weight\":0}],\"score_mode\":\"avg\""), 0, 0, 0);
    SCORES(index, FUNCTION("\"functions\":[{\"weight\":3}],\"score_mode\":\"avg\""), 3, 3, 3);
    SCORES(index, FUNCTION(FUNCTIONS ",\"score_mode\":\"first\""), 2, 9, 2);
    SCORES(index, FUNCTION(FUNCTIONS ",\"score_mode\":\"max\""), 2, 9, 4.5);
    SCORES(index, FUNCTION(FUNCTIONS ",\"score_mode\":\"min\""), 2, 9, 2);
    SCORES(index,
           FUNCTION("\"functions\":[{\"filter\":{\"term\":{\"tag\":\"red\"}},\"weight\":2}]"), 2, 1,
           2);
    SCORES(index, FUNCTION("\"functions\":[]"), 1, 1, 1);
    SCORES(index,
           FUNCTION("\"script_score\":{\"script\":\"_score * doc['price'].value\"},\"boost\":2"),
           40, 80, 120);
    assert_ids(index, FUNCTION("\"field_value_factor\":{\"field\":\"price\"},\"min_score\":20"),
               "3,2");
    assert_ids(
        index,
        FUNCTION(
            "\"query\":{\"term\":{\"tag\":\"red\"}},\"field_value_factor\":{\"field\":\"price\"}"),
        "3,1");
    fixture_close(&f);
}

static void test_random_score(void **state)
{
    struct fixture f;
    fixture_open(&f);
    struct vz_index *index = shop(&f);
    const char *body = FUNCTION("\"random_score\":{\"seed\":42,\"field\":\"price\"}");
    struct answer a, b;
    search_index(index, body, &a);
    search_index(index, body, &b);
    for (int i = 1; i <= 3; i++) {
        char id[2] = {(char)('0' + i), 0};
        float x = score_of_id(&a, id);
        assert_true(x >= 0 && x < 1 && x == score_of_id(&b, id));
    }
    assert_true(score_of_id(&a, "1") != score_of_id(&a, "2"));
    answer_deinit(&a);
    answer_deinit(&b);
    search_index(index, FUNCTION("\"random_score\":{}"), &a);
    assert_int_equal(a.result.hit_count, 3);
    answer_deinit(&a);
    fixture_close(&f);
}

static void test_function_errors(void **state)
{
    struct fixture f;
    fixture_open(&f);
    struct vz_index *index = shop(&f);
    expect_error(index, FUNCTION("\"functions\":[{\"filter\":{\"match_all\":{}}}]"), VZ_BAD_QUERY,
                 "missing a function", "");
    expect_error(index, FUNCTION("\"foo\":1"), VZ_BAD_QUERY,
                 "[function_score] query does not support [foo]", "");
    expect_error(index, FUNCTION("\"gauss\":{\"nix\":{\"origin\":1,\"scale\":1}}"), VZ_BAD_QUERY,
                 "unknown field [nix]", "");
    expect_error(index, FUNCTION("\"gauss\":{\"price\":{\"origin\":1,\"scale\":0}}"), VZ_BAD_QUERY,
                 "scale must be > 0", "");
    expect_error(index, FUNCTION("\"gauss\":{\"price\":{\"origin\":1,\"scale\":1,\"decay\":1}}"),
                 VZ_BAD_QUERY, "decay must be", "");
    expect_error(index, FUNCTION("\"gauss\":{\"price\":{\"scale\":1}}"), VZ_BAD_QUERY, "[origin]",
                 "");
    expect_error(index, FUNCTION("\"gauss\":{\"tag\":{\"origin\":1,\"scale\":1}}"), VZ_BAD_QUERY,
                 "no distances", "");
    expect_error(index, FUNCTION("\"field_value_factor\":{\"field\":\"nix\"}"), VZ_BAD_QUERY,
                 "Unable to find a field mapper", "");
    expect_error(index, FUNCTION("\"field_value_factor\":{\"field\":\"price\",\"factor\":-1}"),
                 VZ_BAD_ARGUMENT,
                 "must not produce negative scores, but got: [-10.0] for field value: [10.0]", "");
    expect_error(
        index,
        FUNCTION("\"field_value_factor\":{\"field\":\"price\",\"factor\":-1,\"modifier\":\"ln\"}"),
        VZ_BAD_ARGUMENT, "must be a number", "");
    expect_error(index, FUNCTION("\"weight\":1,\"functions\":[{\"weight\":1}]"), VZ_BAD_QUERY,
                 "already found a function", "");
    expect_error(index, FUNCTION("\"functions\":[{\"weight\":1}],\"random_score\":{}"),
                 VZ_BAD_QUERY, "already found [functions] array", "");
    expect_error(index, FUNCTION("\"functions\":[{\"gauss\":{},\"exp\":{}}]"), VZ_BAD_QUERY,
                 "malformed score function", "");
    expect_error(index, FUNCTION("\"score_mode\":\"none\""), VZ_BAD_QUERY,
                 "illegal score_mode [none]", "");
    put_doc(index, "4", "{\"rating\":1}");
    refresh(index);
    expect_error(index, FUNCTION("\"field_value_factor\":{\"field\":\"price\"}"), VZ_BAD_ARGUMENT,
                 "Missing value for field [price]", "");
    SCORES(index, FUNCTION("\"field_value_factor\":{\"field\":\"price\",\"missing\":7}"), 10, 20,
           30, 7);
    SCORES(index, FUNCTION("\"exp\":{\"price\":{\"origin\":10,\"scale\":10}}"), 1, 0.5, 0.25, 1);
    fixture_close(&f);
}

static void expect_fields(struct vz_index *index, const char *body, const char *fields)
{
    struct answer answer;
    search_index(index, body, &answer);
    struct vz_slice found = answer.result.hits[0].fields;
    if (!vz_slice_is(found, fields))
        fail_msg("%s\n  gives %.*s, expected %s", body, (int)found.len, found.ptr, fields);
    assert_int_equal(answer.result.hits[0].source.len, 0);
    answer_deinit(&answer);
}

static void test_script_fields(void **state)
{
    struct fixture f;
    fixture_open(&f);
    struct vz_index *index = shop(&f);
    expect_fields(
        index,
        "{\"script_fields\":{\"double\":{\"script\":{\"source\":\"doc['price'].value * "
        "params.f\",\"params\":{\"f\":2}}},\"tags\":{\"script\":\"doc['tag']\"},\"day\":{"
        "\"script\":\"doc['day'].value\"},\"place\":{\"script\":\"doc['place'].value\"}}}",
        "{\"double\":[20],\"tags\":[\"big\",\"red\"],\"day\":[\"2024-05-01T00:00:00.000Z\"],"
        "\"place\":[{\"lat\":52.5,\"lon\":13.4}]}");
    expect_fields(index,
                  "{\"script_fields\":{\"a\":{\"script\":\"doc['price'].value / "
                  "0\",\"ignore_failure\":true},\"b\":{\"script\":\"1\"}}}",
                  "{\"b\":[1]}");
    expect_error(index, "{\"script_fields\":{\"a\":{\"script\":\"doc['price'].value / 0\"}}}",
                 VZ_BAD_QUERY, "runtime error", "/ by zero");
    expect_error(index, "{\"script_fields\":{\"a\":{}}}", VZ_BAD_QUERY, "has no [script]", "");
    /* Only running may fail unheard: a script that is none is told of, with several hits too. */
    expect_error(index,
                 "{\"script_fields\":{\"a\":{\"script\":\"1 +\",\"ignore_failure\":true}}}",
                 VZ_BAD_QUERY, "compile error", "");
    fixture_close(&f);
}

static void test_script_sort(void **state)
{
    struct fixture f;
    fixture_open(&f);
    struct vz_index *index = shop(&f);
#define SORT(inside) "{\"sort\":{\"_script\":{" inside "}}}"
    assert_ids(
        index,
        SORT("\"type\":\"number\",\"order\":\"desc\",\"script\":\"doc['price'].value % 20\""),
        "1,3,2");
    assert_ids(index,
               SORT("\"type\":\"number\",\"script\":{\"source\":\"Math.abs(doc['rating'].value - "
                    "params.r)\",\"params\":{\"r\":3.2}}"),
               "2,1,3");
    assert_ids(index,
               SORT("\"type\":\"string\",\"order\":\"asc\",\"script\":\"doc['tag'].value + "
                    "doc['price'].value\""),
               "1,2,3");
    struct answer answer;
    search_index(index,
                 "{\"sort\":[{\"_script\":{\"type\":\"number\",\"script\":\"doc['price'].value * "
                 "1.5\"}},\"_doc\"],\"search_after\":[15,0]}",
                 &answer);
    assert_string_equal(ids_of(&answer), "2,3");
    assert_true(vz_slice_is(answer.result.hits[0].sort, "[30.0,1]"));
    answer_deinit(&answer);
    expect_error(index, SORT("\"type\":\"number\",\"script\":\"1 / (doc['price'].value - 30)\""),
                 VZ_BAD_QUERY, "runtime error", "/ by zero");
    expect_error(index, SORT("\"type\":\"string\",\"script\":\"1\""), VZ_BAD_ARGUMENT,
                 "gave no string", "");
    expect_error(index, SORT("\"script\":\"1\""), VZ_BAD_QUERY, "needs a [script] and a [type]",
                 "");
    fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_script_score),    cmocka_unit_test(test_script_errors),
        cmocka_unit_test(test_vectors),         cmocka_unit_test(test_bytes_and_bits),
        cmocka_unit_test(test_function_score),  cmocka_unit_test(test_random_score),
        cmocka_unit_test(test_function_errors), cmocka_unit_test(test_script_fields),
        cmocka_unit_test(test_script_sort),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
