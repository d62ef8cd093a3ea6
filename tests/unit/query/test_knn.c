/* knn clauses beyond the plain vector: builders, models, kinds, nested vectors. */
#include "support.h"

static struct fixture fixture;

/* ---- a builder ------------------------------------------------------------------------------ */

struct fake {
    unsigned calls;
    char seen[256];
    const char *model, *digest;
    float vector[3];
    size_t dims;
    bool fails;
};

static enum vz_status fake_embed(void *context, struct vz_slice kind, struct vz_json builder,
                                 const struct vz_query_embedder_field *field,
                                 struct vz_arena *arena, const float **vector, size_t *dims,
                                 struct vz_slice *model, struct vz_slice *digest,
                                 struct vz_error *err)
{
    struct fake *fake = context;
    struct vz_json text;
    fake->calls++;
    if (fake->fails)
        return vz_fail(err, VZ_BAD_QUERY, "unknown field [%.*s]", (int)kind.len, kind.ptr);
    assert_true(vz_json_get(builder, "model_text", &text));
    struct vz_slice words = vz_json_string(text);
    snprintf(fake->seen, sizeof fake->seen, "%.*s %.*s %.*s %.*s %u %.*s %.*s", (int)kind.len,
             kind.ptr, (int)words.len, words.ptr, (int)field->index.len, field->index.ptr,
             (int)field->path.len, field->path.ptr, field->dims, (int)field->model.len,
             field->model.ptr, (int)field->model_digest.len, field->model_digest.ptr);
    float *copy = vz_arena_alloc(arena, sizeof fake->vector);
    memcpy(copy, fake->vector, sizeof fake->vector);
    *vector = copy;
    *dims = fake->dims;
    *model = vz_slice_from(fake->model);
    *digest = vz_slice_from(fake->digest);
    return VZ_OK;
}

static struct vz_index *builder_index(void)
{
    static struct vz_index *index;
    if (index)
        return index;
    index = fixture_create(&fixture, "dogs",
                           "{\"mappings\":{\"properties\":{\"v\":{\"type\":\"dense_vector\","
                           "\"dims\":3,\"meta\":{\"model\":\"clip\",\"model_digest\":\"abc\"}},"
                           "\"w\":{\"type\":\"dense_vector\",\"dims\":3,"
                           "\"meta\":{\"model\":\"clip\"}},"
                           "\"x\":{\"type\":\"dense_vector\",\"dims\":3}}}}");
    put_doc(index, "a", "{\"v\":[1,0,0],\"w\":[1,0,0],\"x\":[1,0,0]}");
    put_doc(index, "b", "{\"v\":[0,1,0],\"w\":[0,1,0],\"x\":[0,1,0]}");
    refresh(index);
    return index;
}

static void run_fake(struct fake *fake, const char *body, struct answer *answer)
{
    struct vz_query_embedder embedder = {fake_embed, fake};
    struct vz_search_target targets[] = {{.index = builder_index()}, {.index = builder_index()}};
    struct vz_search_params params = {.embedder = fake ? &embedder : NULL};
    search_targets(targets, 2, body, &params, answer);
}

#define BUILDER(field)                                                                             \
    "\"field\":\"" field "\",\"query_vector_builder\":{\"text_embedding\":{\"model_text\":"        \
    "\"red dog\"}}"

static void test_builder(void **state)
{
    struct fake fake = {.model = "clip", .digest = "abc", .vector = {0.1f, 1, 0}, .dims = 3};
    struct answer answer;
    run_fake(&fake, "{\"knn\":{" BUILDER("v") ",\"k\":2}}", &answer);
    must(answer.status, &answer.err);
    assert_string_equal(ids_of(&answer), "b,b");
    assert_int_equal(fake.calls, 1);
    assert_string_equal(fake.seen, "text_embedding red dog dogs v 3 clip abc");
    answer_deinit(&answer);
    /* As a query, deep inside another one. */
    run_fake(&fake, "{\"query\":{\"bool\":{\"should\":[{\"knn\":{" BUILDER("v") "}}]}}}", &answer);
    must(answer.status, &answer.err);
    assert_string_equal(ids_of(&answer), "b,b,a,a");
    assert_int_equal(fake.calls, 2);
    answer_deinit(&answer);
    /* An unmapped field has no neighbours and asks no model. */
    run_fake(&fake, "{\"knn\":{" BUILDER("nowhere") "}}", &answer);
    must(answer.status, &answer.err);
    assert_int_equal(answer.result.hit_count, 0);
    assert_int_equal(fake.calls, 2);
    answer_deinit(&answer);
}

static void expect_status(struct fake *fake, const char *body, enum vz_status status,
                          const char *text)
{
    struct answer answer;
    run_fake(fake, body, &answer);
    if (answer.status != status || (text && !strstr(answer.err.text, text)))
        fail_msg("%s\n  gave %s: %s\n  not %s: %s", body, vz_status_name(answer.status),
                 answer.err.text, vz_status_name(status), text ? text : "");
    answer_deinit(&answer);
}

static void test_builder_refusals(void **state)
{
    struct fake fake = {.fails = true};
    expect_status(&fake, "{\"knn\":{" BUILDER("v") "}}", VZ_BAD_QUERY,
                  "unknown field [text_embedding]");
    expect_status(NULL, "{\"knn\":{" BUILDER("v") "}}", VZ_UNSUPPORTED, "query_vector_builder");
    expect_status(&fake, "{\"knn\":{" BUILDER("v") ",\"query_vector\":[1,0,0]}}", VZ_BAD_QUERY,
                  "cannot provide both [query_vector_builder] and [query_vector]");
    expect_status(&fake, "{\"knn\":{\"field\":\"v\",\"query_vector_builder\":{}}}", VZ_BAD_QUERY,
                  "[query_vector_builder] must be an object with one field");
    expect_status(&fake, "{\"knn\":{\"field\":\"v\",\"query_vector_builder\":[]}}", VZ_BAD_QUERY,
                  "query_vector_builder doesn't support values of type: START_ARRAY");
    fake = (struct fake){.model = "", .digest = "", .dims = 0};
    expect_status(&fake, "{\"knn\":{" BUILDER("v") "}}", VZ_BAD_QUERY,
                  "[query_vector_builder] with name [text_embedding] returned null query_vector");
    fake = (struct fake){.model = "", .digest = "", .vector = {1}, .dims = 2};
    expect_status(&fake, "{\"knn\":{" BUILDER("v") "}}", VZ_BAD_QUERY,
                  "the query vector has a different dimension [2] than the index vectors [3]");
}

/* ---- which model made it -------------------------------------------------------------------- */

static void test_models(void **state)
{
    static const struct {
        const char *field, *model, *digest;
        const char *refusal; /* NULL: fine */
    } cases[] = {
        {"v", "clip", "abc", NULL},
        {"v", "renamed", "abc", NULL}, /* the same weights under another name */
        {"v", "clip", "", NULL},
        {"v", "", "", NULL}, /* nobody knows */
        {"v", "clip", "abd",
         "by model [clip] (digest abd) but the vectors of field [v] were made "
         "by model [clip] (digest abc)"},
        {"v", "minilm", "",
         "the query vector was made by model [minilm] but the vectors of field "
         "[v] were made by model [clip]"},
        {"w", "clip", "abd", NULL}, /* the field remembers no digest */
        {"w", "minilm", "abc", "made by model [minilm]"},
        {"x", "minilm", "abc", NULL},
    };
    for (size_t i = 0; i < VZ_COUNT_OF(cases); i++) {
        struct fake fake = {
            .model = cases[i].model, .digest = cases[i].digest, .vector = {1, 0, 0}, .dims = 3};
        char body[256];
        snprintf(body, sizeof body,
                 "{\"knn\":{\"field\":\"%s\",\"query_vector_builder\":"
                 "{\"text_embedding\":{\"model_text\":\"x\"}}}}",
                 cases[i].field);
        expect_status(&fake, body, cases[i].refusal ? VZ_BAD_QUERY : VZ_OK, cases[i].refusal);
    }
}

static void test_model_key(void **state)
{
    const char *right[] = {"clip", "abc"};
    for (size_t i = 0; i < 2; i++) {
        char body[200];
        snprintf(body, sizeof body,
                 "{\"knn\":{\"field\":\"v\",\"query_vector\":[1,0,0],\"model\":\"%s\"}}", right[i]);
        expect_status(NULL, body, VZ_OK, NULL);
    }
    expect_status(NULL, "{\"knn\":{\"field\":\"v\",\"query_vector\":[1,0,0],\"model\":\"bert\"}}",
                  VZ_BAD_QUERY,
                  "made by model [bert] but the vectors of field [v] were made by "
                  "model [clip]");
    expect_status(NULL, "{\"knn\":{\"field\":\"x\",\"query_vector\":[1,0,0],\"model\":\"bert\"}}",
                  VZ_OK, NULL);
    expect_status(NULL, "{\"knn\":{\"field\":\"x\",\"query_vector\":[1,0,0],\"model\":7}}",
                  VZ_BAD_QUERY, "[knn] model doesn't support values of type: VALUE_NUMBER");
}

static int open_all(void **state)
{
    fixture_open(&fixture);
    return 0;
}

static int close_all(void **state)
{
    fixture_close(&fixture);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_builder),
        cmocka_unit_test(test_builder_refusals),
        cmocka_unit_test(test_models),
        cmocka_unit_test(test_model_key),
    };
    return cmocka_run_group_tests(tests, open_all, close_all);
}
