/* The applications' words with a REST API, against answers that are right, wrong and hostile. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "app/verdict.h"

/* A server that gives prepared answers, one a call, the last again and again. */
struct fake {
    const char *answers[8];
    int statuses[8];
    size_t count, calls;
    struct vz_buf asked; /* "METHOD path body\n" each */
};

static enum vz_status answer(void *context, const char *method, const char *path,
                             struct vz_slice body, const char *content_type, int *http_status,
                             struct vz_buf *out, struct vz_error *err)
{
    struct fake *fake = context;
    size_t at = VZ_MIN(fake->calls, fake->count - 1);
    fake->calls++;
    (void)content_type;
    (void)err;
    vz_buf_printf(&fake->asked, "%s %s %.*s\n", method, path, (int)body.len,
                  body.ptr ? body.ptr : "");
    *http_status = fake->statuses[at] ? fake->statuses[at] : 200;
    vz_buf_append_str(out, fake->answers[at]);
    return VZ_OK;
}

static void an_index_tells_its_model(void **state)
{
    (void)state;
    struct fake fake = {
        .count = 1,
        .answers = {"{\"dogs-000002\":{\"mappings\":{\"properties\":{\"x\":{\"type\":\"keyword\"},"
                    "\"v\":{\"type\":\"dense_vector\",\"dims\":7,"
                    "\"meta\":{\"model\":\"m\",\"model_digest\":\"d\"}}}}}}"}};
    const struct vz_transport transport = {answer, &fake};
    struct vz_api_about about;
    assert_int_equal(vz_api_about(&transport, "do gs", &about, NULL), VZ_OK);
    assert_string_equal(fake.asked.data, "GET /do%20gs/_mapping \n");
    assert_string_equal(about.name, "dogs-000002");
    assert_true(about.is_alias);
    assert_string_equal(about.vector_field, "v");
    assert_string_equal(about.model.name, "m");
    assert_string_equal(about.model.digest, "d");
    assert_int_equal(about.model.dims, 7);
    vz_api_about_deinit(&about);
    vz_buf_deinit(&fake.asked);
}

static void nonsense_is_an_error(void **state)
{
    (void)state;
    const char *const answers[] = {"",   "[]",        "7",
                                   "{}", "{\"a\":5}", "{\"a\":{\"mappings\":{}},\"b\":1}"};
    for (size_t i = 0; i < VZ_COUNT_OF(answers); i++) {
        struct fake fake = {.count = 1, .answers = {answers[i]}};
        const struct vz_transport transport = {answer, &fake};
        struct vz_api_about about;
        struct vz_error err = {0};
        assert_int_not_equal(vz_api_about(&transport, "x", &about, &err), VZ_OK);
        assert_true(err.text[0]);
        vz_buf_deinit(&fake.asked);
    }
}

/* Elasticsearch's limit of a meta value is 50 characters: the digest has 64. */
static void put_body(void *context, bool with_digest, struct vz_buf *out)
{
    *(int *)context += with_digest ? 10 : 1;
    vz_buf_append_str(out, with_digest ? "long" : "short");
}

static void a_meta_that_is_too_long_goes_without_the_digest(void **state)
{
    (void)state;
    struct fake fake = {.count = 2,
                        .answers = {"{\"error\":{\"type\":\"mapper_parsing_exception\",\"reason\":"
                                    "\"[meta] values can't be longer than 50 chars\"}}",
                                    "{\"acknowledged\":true}"},
                        .statuses = {400, 200}};
    const struct vz_transport transport = {answer, &fake};
    int made = 0;
    assert_int_equal(vz_api_create(&transport, "x", put_body, &made, NULL), VZ_OK);
    assert_int_equal(made, 11);
    assert_string_equal(fake.asked.data, "PUT /x long\nPUT /x short\n");
    vz_buf_deinit(&fake.asked);
    struct fake other = {
        .count = 1,
        .statuses = {400},
        .answers = {
            "{\"error\":{\"type\":\"resource_already_exists_exception\",\"reason\":\"r\"}}"}};
    const struct vz_transport there = {answer, &other};
    assert_int_equal(vz_api_create(&there, "x", put_body, &made, NULL), VZ_EXISTS);
    vz_buf_deinit(&other.asked);
}

static enum vz_status count_hit(void *context, const struct vz_api_hit *hit, struct vz_error *err)
{
    struct vz_json value;
    (void)err;
    assert_true(vz_json_get(hit->source, "n", &value));
    *(uint64_t *)context += hit->seq_no * 100 + (uint64_t)vz_json_int(value);
    return VZ_OK;
}

static void every_page_of_a_scan_is_visited_and_the_scroll_ended(void **state)
{
    (void)state;
    struct fake fake = {
        .count = 4,
        .answers = {"{\"_scroll_id\":\"s1\",\"hits\":{\"hits\":[{\"_id\":\"a\",\"_seq_no\":3,"
                    "\"_source\":{\"n\":1}}]}}",
                    "{\"_scroll_id\":\"s2\",\"hits\":{\"hits\":[{\"_id\":\"b\",\"_seq_no\":4,"
                    "\"_source\":{\"n\":2}}]}}",
                    "{\"_scroll_id\":\"s2\",\"hits\":{\"hits\":[]}}", "{}"}};
    const struct vz_transport transport = {answer, &fake};
    uint64_t sum = 0;
    const struct vz_api_scan scan = {.query = "{\"q\":1}", .source = "[\"n\"]", .page = 1};
    assert_int_equal(vz_api_scan(&transport, "x", &scan, count_hit, &sum, NULL), VZ_OK);
    assert_int_equal(sum, 703);
    assert_int_equal(fake.calls, 4);
    assert_non_null(strstr(fake.asked.data, "DELETE /_search/scroll {\"scroll_id\":\"s2\"}"));
    assert_non_null(strstr(fake.asked.data, "\"query\":{\"q\":1},\"_source\":[\"n\"]"));
    vz_buf_deinit(&fake.asked);
}

struct outcome {
    size_t created, failed;
    char reason[64];
};

static void note(void *context, size_t i, const struct vz_api_written *written)
{
    struct outcome *outcome = context;
    (void)i;
    outcome->created += written->created;
    if (written->failure) {
        outcome->failed++;
        snprintf(outcome->reason, sizeof outcome->reason, "%.60s", written->failure->text);
    }
}

static void each_write_has_its_outcome(void **state)
{
    (void)state;
    struct fake fake = {.count = 1,
                        .answers = {"{\"items\":[{\"index\":{\"result\":\"created\"}},{\"update\":{"
                                    "\"result\":\"updated\"}},"
                                    "{\"delete\":{\"result\":\"not_found\"}},{\"index\":{\"error\":"
                                    "{\"reason\":\"no\"}}},[],7]}"}};
    const struct vz_transport transport = {answer, &fake};
    struct outcome outcome = {0};
    assert_int_equal(vz_api_bulk(&transport, "x", VZ_SLICE("b"), 6, true, note, &outcome, NULL),
                     VZ_OK);
    assert_int_equal(outcome.created, 1);
    assert_int_equal(outcome.failed, 3);
    assert_int_equal(vz_api_bulk(&transport, "x", VZ_SLICE("b"), 5, false, note, &outcome, NULL),
                     VZ_IO);
    vz_buf_deinit(&fake.asked);
}

static void models_are_the_same_by_their_weights(void **state)
{
    (void)state;
    const struct vz_app_model a = {.name = "a", .digest = "1"}, b = {.name = "b", .digest = "1"},
                              c = {.name = "a", .digest = "2"}, d = {.name = "a"};
    assert_true(vz_app_model_same(&a, &b));
    assert_false(vz_app_model_same(&a, &c));
    assert_true(vz_app_model_same(&a, &d));
    assert_false(vz_app_model_same(&b, &d));
}

static void only_what_was_measured_is_claimed(void **state)
{
    (void)state;
    const struct vz_app_model eye = {.name = VZ_EYE_ID}, clip = {.name = "clip-ViT-B-32"};
    struct vz_verdict verdict = vz_verdict_of(&eye, 0.9f, false, false);
    assert_true(verdict.is_measured && verdict.match == VZ_MATCH_SAME);
    verdict = vz_verdict_of(&clip, 0.99f, false, false);
    assert_false(verdict.is_measured);
    assert_string_equal(vz_verdict_word(&verdict), "not measured");
    verdict = vz_verdict_of(&clip, 0.99f, true, false);
    assert_string_equal(vz_verdict_word(&verdict), "same picture");
    verdict = vz_verdict_of(&eye, 0.99f, false, true);
    assert_false(verdict.is_measured);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_index_tells_its_model),
        cmocka_unit_test(nonsense_is_an_error),
        cmocka_unit_test(a_meta_that_is_too_long_goes_without_the_digest),
        cmocka_unit_test(every_page_of_a_scan_is_visited_and_the_scroll_ended),
        cmocka_unit_test(each_write_has_its_outcome),
        cmocka_unit_test(models_are_the_same_by_their_weights),
        cmocka_unit_test(only_what_was_measured_is_claimed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
