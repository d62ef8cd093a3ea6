/* knn clauses beyond the plain vector: builders, models, kinds, nested vectors. */
#include "support.h"

#include "base/text.h"

#include <math.h>

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

/* ---- elements ------------------------------------------------------------------------------- */

static struct vz_index *element_index(const char *name, const char *element, const char *similarity,
                                      int dims)
{
    char body[300];
    snprintf(body, sizeof body,
             "{\"mappings\":{\"properties\":{\"v\":{\"type\":\"dense_vector\",\"dims\":%d,"
             "\"element_type\":\"%s\",\"similarity\":\"%s\"}}}}",
             dims, element, similarity);
    return fixture_create(&fixture, name, body);
}

static void expect_scores(struct vz_index *index, const char *body, const char *ids,
                          const float *scores)
{
    struct answer answer;
    search_index(index, body, &answer);
    assert_string_equal(ids_of(&answer), ids);
    for (size_t i = 0; i < answer.result.hit_count; i++)
        if (fabsf(answer.result.hits[i].score - scores[i]) > 1e-5f)
            fail_msg("%s: hit %zu scores %.7f, not %.7f", body, i,
                     (double)answer.result.hits[i].score, (double)scores[i]);
    answer_deinit(&answer);
}

static void expect_source(struct vz_index *index, const char *id, const char *source)
{
    struct vz_arena arena = {0};
    struct vz_stored_doc doc;
    struct vz_error err = {0};
    must(vz_index_get(index, vz_slice_from(id), VZ_DOC_SOURCE, &arena, &doc, &err), &err);
    assert_slice(doc.source, source);
    vz_arena_deinit(&arena);
}

/* Scores by Elasticsearch's formulas, worked out by hand. */
static void test_bytes(void **state)
{
    struct vz_index *cosine = element_index("b-cos", "byte", "cosine", 4);
    put_doc(cosine, "a", "{\"v\":[127,0,0,0]}");
    put_doc(cosine, "b", "{\"v\":\"807f0001\"}"); /* -128, 127, 0, 1 */
    put_doc(cosine, "c", "{\"v\":\"AQIDBA==\"}"); /* 1, 2, 3, 4 */
    refresh(cosine);
    float b = (1 - 128 / sqrtf(128 * 128 + 127 * 127 + 1)) / 2, c = (1 + 1 / sqrtf(30)) / 2;
    expect_scores(cosine, "{\"knn\":{\"field\":\"v\",\"query_vector\":[2,0,0,0]}}", "a,c,b",
                  (float[]){1, c, b});
    expect_scores(cosine, "{\"knn\":{\"field\":\"v\",\"query_vector\":\"02000000\"}}", "a,c,b",
                  (float[]){1, c, b});
    expect_scores(cosine, "{\"knn\":{\"field\":\"v\",\"query_vector\":\"AgAAAA==\"}}", "a,c,b",
                  (float[]){1, c, b});
    expect_source(cosine, "a", "{\"v\":[127,0,0,0]}");
    expect_source(cosine, "b", "{\"v\":\"807f0001\"}");
    expect_source(cosine, "c", "{\"v\":\"AQIDBA==\"}");

    struct vz_index *dot = element_index("b-dot", "byte", "dot_product", 2);
    put_doc(dot, "a", "{\"v\":[-128,-128]}");
    put_doc(dot, "b", "{\"v\":[3,4]}");
    refresh(dot);
    expect_scores(dot, "{\"knn\":{\"field\":\"v\",\"query_vector\":[-128,-128]}}", "a,b",
                  (float[]){1, 0.5f - 896 / (32768.0f * 2)});
    /* `similarity` is the product itself. */
    expect_scores(dot, "{\"knn\":{\"field\":\"v\",\"query_vector\":[1,1],\"similarity\":6.5}}", "b",
                  (float[]){0.5f + 7 / (32768.0f * 2)});

    struct vz_index *l2 = element_index("b-l2", "byte", "l2_norm", 2);
    put_doc(l2, "a", "{\"v\":[127,127]}");
    put_doc(l2, "b", "{\"v\":[0,1]}");
    refresh(l2);
    expect_scores(l2, "{\"knn\":{\"field\":\"v\",\"query_vector\":[0,-1]}}", "b,a",
                  (float[]){1 / 5.0f, 1 / (1.0f + 127 * 127 + 128 * 128)});
    expect_scores(l2, "{\"knn\":{\"field\":\"v\",\"query_vector\":[0,-1],\"similarity\":2}}", "b",
                  (float[]){1 / 5.0f});

    struct vz_index *inner = element_index("b-mip", "byte", "max_inner_product", 2);
    put_doc(inner, "a", "{\"v\":[10,10]}");
    put_doc(inner, "b", "{\"v\":[-10,0]}");
    refresh(inner);
    expect_scores(inner, "{\"knn\":{\"field\":\"v\",\"query_vector\":[1,2]}}", "a,b",
                  (float[]){31, 1 / 11.0f});
}

static void test_bits(void **state)
{
    struct vz_index *bits = element_index("bits", "bit", "l2_norm", 16);
    put_doc(bits, "a", "{\"v\":\"ffff\"}");
    put_doc(bits, "b", "{\"v\":[0,1]}");
    put_doc(bits, "c", "{\"v\":[-1,127]}");
    refresh(bits);
    expect_scores(bits, "{\"knn\":{\"field\":\"v\",\"query_vector\":\"ffff\"}}", "a,c,b",
                  (float[]){1, 15 / 16.0f, 1 / 16.0f});
    expect_scores(bits, "{\"knn\":{\"field\":\"v\",\"query_vector\":[0,0],\"similarity\":1}}", "b",
                  (float[]){15 / 16.0f});
    expect_source(bits, "a", "{\"v\":\"ffff\"}");
    expect_source(bits, "c", "{\"v\":[-1,127]}");
}

static void test_bfloats(void **state)
{
    struct vz_index *index = element_index("bf", "bfloat16", "cosine", 4);
    put_doc(index, "a", "{\"v\":[1,1,0,0]}");
    put_doc(index, "b", "{\"v\":[0,0,3,4]}");
    /* 1.0 and 0.5 and two zeros, big-endian: bfloat16s, and floats. */
    put_doc(index, "c", "{\"v\":\"P4A/AAAAAAA=\"}");
    put_doc(index, "d", "{\"v\":\"P4AAAD8AAAAAAAAAAAAAAA==\"}");
    refresh(index);
    struct answer answer;
    search_index(index, "{\"knn\":{\"field\":\"v\",\"query_vector\":[1,1,0,0]}}", &answer);
    assert_string_equal(ids_of(&answer), "a,c,d,b");
    assert_true(fabsf(answer.result.hits[0].score - 1) < 0.004f);
    assert_true(fabsf(answer.result.hits[1].score - (1 + 3 / sqrtf(10)) / 2) < 0.004f);
    assert_true(answer.result.hits[1].score == answer.result.hits[2].score);
    answer_deinit(&answer);
    expect_source(index, "c", "{\"v\":\"P4A/AAAAAAA=\"}");
    struct vz_index *plain = element_index("bf-l2", "bfloat16", "l2_norm", 2);
    put_doc(plain, "a", "{\"v\":[1.5,-2]}");
    refresh(plain);
    expect_source(plain, "a", "{\"v\":[1.5,-2]}");
    expect_scores(plain, "{\"knn\":{\"field\":\"v\",\"query_vector\":[1.5,0]}}", "a",
                  (float[]){1 / 5.0f});
}

/* Floats in base64 come back as they went in, whatever the row keeps. */
static void test_base64(void **state)
{
    struct vz_index *index = element_index("base64", "float", "cosine", 2);
    put_doc(index, "a", "{\"x\":1,\"v\":\"QEAAAECAAAA=\",\"y\":2}"); /* 3, 4 */
    refresh(index);
    expect_source(index, "a", "{\"x\":1,\"v\":\"QEAAAECAAAA=\",\"y\":2}");
    expect_scores(index, "{\"knn\":{\"field\":\"v\",\"query_vector\":\"QEAAAECAAAA=\"}}", "a",
                  (float[]){1});
    expect_scores(index, "{\"knn\":{\"field\":\"v\",\"query_vector\":[4,3]}}", "a",
                  (float[]){(1 + 24 / 25.0f) / 2});
}

static void expect_refused(struct vz_index *index, const char *source, const char *text)
{
    struct vz_error err = {0};
    struct vz_write op = {
        .verb = VZ_WRITE_INDEX, .id = VZ_SLICE("no"), .source = vz_slice_from(source)};
    must(vz_index_write(index, &op, 1, &(struct vz_write_options){0}, &err), &err);
    if (op.status != VZ_BAD_DOCUMENT || !strstr(op.error.text, text))
        fail_msg("%s: %s: %s, not %s", source, vz_status_name(op.status), op.error.text, text);
}

static void expect_bad_query(struct vz_index *index, const char *vector, const char *text)
{
    struct vz_search_target target = {.index = index};
    struct answer answer;
    char body[300];
    snprintf(body, sizeof body, "{\"knn\":{\"field\":\"v\",\"query_vector\":%s}}", vector);
    search_targets(&target, 1, body, NULL, &answer);
    if (answer.status != VZ_BAD_QUERY || !strstr(answer.err.text, text))
        fail_msg("%s: %s: %s, not %s", body, vz_status_name(answer.status), answer.err.text, text);
    answer_deinit(&answer);
}

static void test_element_refusals(void **state)
{
    struct vz_index *bytes = vz_store_index(fixture.store, VZ_SLICE("b-cos"));
    struct vz_index *bits = vz_store_index(fixture.store, VZ_SLICE("bits"));
    struct vz_index *floats = vz_store_index(fixture.store, VZ_SLICE("base64"));
    expect_refused(bytes, "{\"v\":[1,2,3.5,4]}",
                   "element_type [byte] vectors only support non-decimal values but found decimal "
                   "value [3.5] at dim [2]; Preview of invalid vector: [1.0, 2.0, 3.5, 4.0]");
    expect_refused(
        bytes, "{\"v\":[1,2,3,128]}",
        "element_type [byte] vectors only support integers between [-128, 127] but found "
        "[128] at dim [3]");
    expect_refused(bytes, "{\"v\":[0,0,0,0]}", "does not support vectors with zero magnitude");
    expect_refused(bytes, "{\"v\":[1,2,3]}", "different number of dimensions [3] than defined");
    expect_refused(bytes, "{\"v\":\"0102\"}", "different number of dimensions [2] than defined");
    expect_refused(bytes, "{\"v\":\"01 2\"}", "must be a valid base64 or hex string");
    expect_refused(bytes, "{\"v\":[1,2,\"3\",4]}", "[dense_vector] field [v]");
    expect_refused(bits, "{\"v\":[1,2,3]}", "different number of dimensions [24] than defined");
    expect_refused(bits, "{\"v\":[1,-129]}", "element_type [bit] vectors only support integers");
    /* NaN and infinity cannot be said in JSON, but in base64: f32 7FC00000, 7F800000. */
    expect_refused(floats, "{\"v\":\"f8AAAAAAAAA=\"}",
                   "element_type [float] vectors do not support NaN values but found [NaN] at dim "
                   "[0];");
    expect_refused(floats, "{\"v\":\"AAAAAH+AAAA=\"}",
                   "do not support infinite values but found [Infinity] at dim [1];");
    expect_bad_query(floats, "\"f8AAAAAAAAA=\"", "do not support NaN values");
    expect_bad_query(bytes, "[1,2,3.5,4]", "only support non-decimal values");
    expect_bad_query(bytes, "[1,2,3,400]", "only support integers between [-128, 127]");
    expect_bad_query(bytes, "[0,0,0,0]", "does not support vectors with zero magnitude");
    expect_bad_query(bytes, "\"0102\"", "different dimension [2] than the index vectors [4]");
    expect_bad_query(bits, "[1,2,3]", "different dimension [24] than the index vectors [16]");
    vz_index_release(bytes);
    vz_index_release(bits);
    vz_index_release(floats);
}

/* ---- nested vectors ------------------------------------------------------------------------- */

static struct vz_index *album(void)
{
    static struct vz_index *index;
    if (index)
        return index;
    index = fixture_create(
        &fixture, "album",
        "{\"mappings\":{\"properties\":{\"name\":{\"type\":\"keyword\"},\"p\":{\"type\":"
        "\"nested\",\"properties\":{\"kind\":{\"type\":\"keyword\"},\"n\":{\"type\":"
        "\"integer\"},\"at\":{\"type\":\"date\"},\"v\":{\"type\":\"dense_vector\",\"dims\":2,"
        "\"similarity\":\"l2_norm\"}}}}}}");
    put_doc(index, "a",
            "{\"name\":\"luigi\",\"p\":[{\"kind\":\"face\",\"n\":1,\"v\":[0,0]},{\"kind\":"
            "\"body\",\"n\":2,\"v\":[1,0]},{\"kind\":\"face\",\"n\":3}]}");
    put_doc(index, "b",
            "{\"name\":\"mario\",\"p\":[{\"kind\":\"tail\",\"v\":null},{\"kind\":\"face\","
            "\"n\":9,\"at\":\"2024-05-06\",\"v\":[0,2]}]}");
    put_doc(index, "c", "{\"name\":\"toad\",\"p\":{\"kind\":\"body\",\"v\":[0,1]}}");
    put_doc(index, "d", "{\"name\":\"none\"}");
    refresh(index);
    return index;
}

static void expect_inner(const char *body, size_t hit, const char *inner)
{
    struct answer answer;
    search_index(album(), body, &answer);
    assert_true(hit < answer.result.hit_count);
    assert_slice(answer.result.hits[hit].inner_hits, inner);
    answer_deinit(&answer);
}

#define AT_ORIGIN "\"field\":\"p.v\",\"query_vector\":[0,0]"

static void test_nested_knn(void **state)
{
    struct vz_index *index = album();
    /* Distinct documents, each by its best object. */
    expect_scores(index, "{\"knn\":{" AT_ORIGIN ",\"k\":3}}", "a,c,b", (float[]){1, 0.5f, 0.2f});
    expect_scores(index,
                  "{\"query\":{\"nested\":{\"path\":\"p\",\"boost\":2,\"query\":{\"knn\":"
                  "{" AT_ORIGIN "}}}}}",
                  "a,c,b", (float[]){2, 1, 0.4f});
    /* Filters of the whole document, of the object, and both. */
    assert_ids(index,
               "{\"knn\":{" AT_ORIGIN ",\"filter\":{\"terms\":{\"name\":[\"toad\",\"mario\"]}}}}",
               "c,b");
    expect_scores(index, "{\"knn\":{" AT_ORIGIN ",\"filter\":{\"term\":{\"p.kind\":\"body\"}}}}",
                  "a,c", (float[]){0.5f, 0.5f});
    expect_scores(index,
                  "{\"knn\":{" AT_ORIGIN ",\"filter\":[{\"term\":{\"p.kind\":\"body\"}},"
                  "{\"term\":{\"name\":\"luigi\"}}]}}",
                  "a", (float[]){0.5f});
    expect_scores(index,
                  "{\"knn\":{" AT_ORIGIN ",\"filter\":{\"bool\":{\"must\":{\"range\":"
                  "{\"p.n\":{\"gt\":1}}},\"must_not\":{\"term\":{\"p.kind\":\"body\"}}}}}}",
                  "b", (float[]){0.2f});
    /* Any object of the document may match a nested query, also another one than the nearest. */
    expect_scores(index,
                  "{\"knn\":{" AT_ORIGIN ",\"filter\":{\"nested\":{\"path\":\"p\",\"query\":"
                  "{\"term\":{\"p.kind\":\"body\"}}}}}}",
                  "a,c", (float[]){1, 0.5f});
    assert_ids(index, "{\"knn\":{" AT_ORIGIN ",\"filter\":{\"term\":{\"p.kind\":\"nose\"}}}}", "");
    assert_ids(index, "{\"knn\":{" AT_ORIGIN ",\"exact\":true,\"k\":2}}", "a,c");
}

static void test_inner_hits(void **state)
{
    expect_inner("{\"knn\":{" AT_ORIGIN ",\"k\":2,\"inner_hits\":{\"_source\":[\"p.kind\"]}}}", 0,
                 "{\"p\":{\"hits\":{\"total\":{\"value\":2,\"relation\":\"eq\"},\"max_score\":1.0,"
                 "\"hits\":[{\"_index\":\"album\",\"_id\":\"a\",\"_nested\":{\"field\":\"p\","
                 "\"offset\":0},\"_score\":1.0,\"_source\":{\"kind\":\"face\"}},{\"_index\":"
                 "\"album\",\"_id\":\"a\",\"_nested\":{\"field\":\"p\",\"offset\":1},\"_score\":"
                 "0.5,\"_source\":{\"kind\":\"body\"}}]}}}");
    /* The object without a vector is counted in offsets; its own source; fields. */
    expect_inner(
        "{\"knn\":{" AT_ORIGIN ",\"inner_hits\":{\"size\":1,\"name\":\"best\",\"fields\":"
        "[\"p.at\",\"p.v\"],\"_source\":false}}}",
        2,
        "{\"best\":{\"hits\":{\"total\":{\"value\":1,\"relation\":\"eq\"},\"max_score\":0.2,"
        "\"hits\":[{\"_index\":\"album\",\"_id\":\"b\",\"_nested\":{\"field\":\"p\","
        "\"offset\":1},\"_score\":0.2,\"fields\":{\"p\":[{\"at\":"
        "[\"2024-05-06T00:00:00.000Z\"],\"v\":[0.0,2.0]}]}}]}}}");
    expect_inner("{\"knn\":{" AT_ORIGIN ",\"inner_hits\":{}}}", 1,
                 "{\"p\":{\"hits\":{\"total\":{\"value\":1,\"relation\":\"eq\"},\"max_score\":0.5,"
                 "\"hits\":[{\"_index\":\"album\",\"_id\":\"c\",\"_nested\":{\"field\":\"p\","
                 "\"offset\":0},\"_score\":0.5,\"_source\":{\"kind\":\"body\",\"v\":[0,1]}}]}}}");
    /* From the second on; and only those that the clause's filter lets through. */
    expect_inner("{\"knn\":{" AT_ORIGIN ",\"inner_hits\":{\"from\":1,\"_source\":false}}}", 0,
                 "{\"p\":{\"hits\":{\"total\":{\"value\":2,\"relation\":\"eq\"},\"max_score\":1.0,"
                 "\"hits\":[{\"_index\":\"album\",\"_id\":\"a\",\"_nested\":{\"field\":\"p\","
                 "\"offset\":1},\"_score\":0.5}]}}}");
    expect_inner("{\"knn\":{" AT_ORIGIN
                 ",\"filter\":{\"term\":{\"p.kind\":\"body\"}},\"inner_hits\":"
                 "{\"_source\":false}}}",
                 0,
                 "{\"p\":{\"hits\":{\"total\":{\"value\":1,\"relation\":\"eq\"},\"max_score\":0.5,"
                 "\"hits\":[{\"_index\":\"album\",\"_id\":\"a\",\"_nested\":{\"field\":\"p\","
                 "\"offset\":1},\"_score\":0.5}]}}}");
    expect_inner("{\"query\":{\"nested\":{\"path\":\"p\",\"query\":{\"knn\":{" AT_ORIGIN "}},"
                 "\"inner_hits\":{\"size\":1,\"_source\":false}}}}",
                 0,
                 "{\"p\":{\"hits\":{\"total\":{\"value\":2,\"relation\":\"eq\"},\"max_score\":1.0,"
                 "\"hits\":[{\"_index\":\"album\",\"_id\":\"a\",\"_nested\":{\"field\":\"p\","
                 "\"offset\":0},\"_score\":1.0}]}}}");
    /* Objects are scored among objects: three of six with a kind are faces, ln(1 + 3.5 / 3.5). */
    expect_inner(
        "{\"query\":{\"nested\":{\"path\":\"p\",\"query\":{\"term\":{\"p.kind\":\"face\"}},"
        "\"inner_hits\":{\"_source\":false}}}}",
        0,
        "{\"p\":{\"hits\":{\"total\":{\"value\":2,\"relation\":\"eq\"},\"max_score\":0.6931471,"
        "\"hits\":[{\"_index\":\"album\",\"_id\":\"a\",\"_nested\":{\"field\":\"p\","
        "\"offset\":0},\"_score\":0.6931471},{\"_index\":\"album\",\"_id\":\"a\",\"_nested\":"
        "{\"field\":\"p\",\"offset\":2},\"_score\":0.6931471}]}}}");
}

/* Nested queries without vectors: a document matches when one of its objects does, wholly. */
static void test_nested_query(void **state)
{
    struct vz_index *index = album();
#define NESTED(query)                                                                              \
    "{\"query\":{\"nested\":{\"path\":\"p\",\"query\":" query "}},\"sort\":\"_doc\"}"
    assert_ids(index, NESTED("{\"match_all\":{}}"), "a,b,c");
    assert_ids(index, NESTED("{\"terms\":{\"p.kind\":[\"tail\",\"nose\"]}}"), "b");
    assert_ids(
        index,
        NESTED("{\"bool\":{\"must\":[{\"term\":{\"p.kind\":\"face\"}},{\"term\":{\"p.n\":2}}]}}"),
        "");
    assert_ids(
        index,
        NESTED("{\"bool\":{\"must\":[{\"term\":{\"p.kind\":\"body\"}},{\"term\":{\"p.n\":2}}]}}"),
        "a");
    assert_ids(index, NESTED("{\"range\":{\"p.n\":{\"gte\":3,\"lt\":9.5}}}"), "a,b");
    assert_ids(index, NESTED("{\"range\":{\"p.at\":{\"gte\":\"2024-05\",\"lte\":\"2024-05\"}}}"),
               "b");
    assert_ids(index, NESTED("{\"exists\":{\"field\":\"p.at\"}}"), "b");
    assert_ids(index, NESTED("{\"bool\":{\"must_not\":{\"exists\":{\"field\":\"p.n\"}}}}"), "b,c");
    assert_ids(index, NESTED("{\"prefix\":{\"p.kind\":\"bo\"}}"), "a,c");
    assert_ids(index, NESTED("{\"wildcard\":{\"p.kind\":\"?a*\"}}"), "a,b");
    assert_ids(index, NESTED("{\"term\":{\"name\":\"luigi\"}}"),
               ""); /* not a field of the object */
    expect_scores(index,
                  "{\"query\":{\"nested\":{\"path\":\"p\",\"score_mode\":\"sum\",\"query\":"
                  "{\"term\":{\"p.kind\":\"face\"}}}}}",
                  "a,b", (float[]){1.3862944f, 0.6931472f});
    assert_ids(index,
               "{\"query\":{\"nested\":{\"path\":\"q\",\"ignore_unmapped\":true,\"query\":"
               "{\"match_all\":{}}}}}",
               "");
}

/* An object in an object: offsets of both. */
static void test_nested_twice(void **state)
{
    struct vz_index *index = fixture_create(
        &fixture, "twice",
        "{\"mappings\":{\"properties\":{\"o\":{\"properties\":{\"p\":{\"type\":\"nested\","
        "\"properties\":{\"q\":{\"type\":\"nested\",\"properties\":{\"v\":{\"type\":"
        "\"dense_vector\",\"dims\":1,\"similarity\":\"l2_norm\"}}}}}}}}}}");
    struct answer answer;
    put_doc(index, "a",
            "{\"o\":{\"p\":[{\"q\":[{\"v\":[5]},{\"v\":[6]}]},{\"x\":1},{\"q\":[{\"v\":[7]},"
            "{\"v\":[0]}]}]}}");
    refresh(index);
    search_index(index,
                 "{\"knn\":{\"field\":\"o.p.q.v\",\"query_vector\":[0],\"inner_hits\":"
                 "{\"size\":1}}}",
                 &answer);
    assert_slice(
        answer.result.hits[0].inner_hits,
        "{\"o.p.q\":{\"hits\":{\"total\":{\"value\":4,\"relation\":\"eq\"},\"max_score\":"
        "1.0,\"hits\":[{\"_index\":\"twice\",\"_id\":\"a\",\"_nested\":{\"field\":\"o.p\","
        "\"offset\":2,\"_nested\":{\"field\":\"q\",\"offset\":1}},\"_score\":1.0,\"_source\":"
        "{\"v\":[0]}}]}}}");
    answer_deinit(&answer);
}

/* Many documents with many photos: nested filters against a plain loop. */
static void test_nested_many(void **state)
{
    enum { DOCS = 400, PHOTOS = 5 };
    struct vz_index *index = fixture_create(
        &fixture, "many",
        "{\"mappings\":{\"properties\":{\"p\":{\"type\":\"nested\",\"properties\":{\"n\":{\"type\":"
        "\"integer\"},\"v\":{\"type\":\"dense_vector\",\"dims\":2,\"similarity\":\"l2_norm\"}}}}}"
        "}");
    static float at[DOCS][PHOTOS][2];
    struct vz_error err = {0};
    uint64_t rng = 5;
    for (int d = 0; d < DOCS; d++) {
        struct vz_buf text = {0};
        char id[8];
        vz_buf_append_str(&text, "{\"p\":[");
        for (int p = 0; p < PHOTOS; p++) {
            at[d][p][0] = (float)vz_rng_normal(&rng);
            at[d][p][1] = (float)vz_rng_normal(&rng);
            vz_buf_printf(&text, "%s{\"n\":%d,\"v\":[%.9g,%.9g]}", p ? "," : "", (d + p) % 7,
                          (double)at[d][p][0], (double)at[d][p][1]);
        }
        vz_buf_append_str(&text, "]}");
        snprintf(id, sizeof id, "%d", d);
        put_doc(index, id, text.data);
        vz_buf_deinit(&text);
    }
    refresh(index);
    must(vz_index_settle(index, &err), &err);
    for (int n = 0; n < 7; n++) {
        struct answer answer;
        char body[300];
        snprintf(
            body, sizeof body,
            "{\"knn\":{\"field\":\"p.v\",\"query_vector\":[0.3,0.1],\"k\":20,\"filter\":{\"term\":"
            "{\"p.n\":%d}}},\"size\":20}",
            n);
        search_index(index, body, &answer);
        assert_int_equal(answer.result.hit_count, 20);
        float last = 0;
        size_t nearer = 0;
        for (size_t i = 0; i < 20; i++) {
            int d = atoi(answer.result.hits[i].id.ptr);
            float best = INFINITY;
            for (int p = 0; p < PHOTOS; p++)
                if ((d + p) % 7 == n) {
                    float x = at[d][p][0] - 0.3f, y = at[d][p][1] - 0.1f;
                    best = fminf(best, x * x + y * y);
                }
            assert_true(fabsf(answer.result.hits[i].score - 1 / (1 + best)) < 1e-4f);
            assert_true(best >= last - 1e-6f);
            last = best;
        }
        for (int d = 0; d < DOCS; d++)
            for (int p = 0; p < PHOTOS; p++) {
                float x = at[d][p][0] - 0.3f, y = at[d][p][1] - 0.1f;
                nearer += (d + p) % 7 == n && x * x + y * y < last - 1e-6f;
            }
        assert_int_equal(nearer, 19); /* no document has two photos of one n */
        answer_deinit(&answer);
    }
}

/* A search of a view that is held sees what the view saw. */
static void test_held_view(void **state)
{
    struct vz_index *index = element_index("held", "float", "l2_norm", 1);
    struct answer answer;
    put_doc(index, "a", "{\"v\":[1]}");
    put_doc(index, "b", "{\"v\":[2]}");
    refresh(index);
    struct vz_search_target target = {.index = index, .snap = vz_index_snapshot(index)};
    put_doc(index, "a", "{\"v\":[9]}");
    put_doc(index, "b", NULL);
    put_doc(index, "c", "{\"v\":[0]}");
    refresh(index);
    search_targets(&target, 1, "{\"knn\":{\"field\":\"v\",\"query_vector\":[0]}}", NULL, &answer);
    must(answer.status, &answer.err);
    assert_string_equal(ids_of(&answer), "a,b");
    answer_deinit(&answer);
    assert_ids(index, "{\"knn\":{\"field\":\"v\",\"query_vector\":[0]}}", "c,a");
    vz_snapshot_release(target.snap);
}

/* ---- profile -------------------------------------------------------------------------------- */

static void test_profile(void **state)
{
    struct answer answer;
    struct vz_json_doc *doc;
    struct vz_json value, item;
    struct vz_error err = {0};
    search_index(album(), "{\"profile\":true,\"knn\":{" AT_ORIGIN "}}", &answer);
    must(vz_json_parse(answer.result.profile, &doc, &value, &err), &err);
    const char *const path[] = {"shards", "dfs", "knn"};
    for (size_t i = 0; i < 3; i++) {
        assert_true(vz_json_get(value, path[i], &item));
        value = item;
        if (vz_json_type(value) == VZ_JSON_ARRAY) {
            struct vz_json_iter it = vz_json_iterate(value);
            assert_true(vz_json_next(&it, NULL, &value));
        }
    }
    assert_true(vz_json_get(value, "vector_operations_count", &item));
    assert_int_equal(vz_json_int(item), 4); /* the rows there are */
    assert_true(vz_json_get(value, "rewrite_time", &item));
    vz_json_free(doc);
    answer_deinit(&answer);
    search_index(album(), "{\"profile\":false,\"knn\":{" AT_ORIGIN "}}", &answer);
    assert_int_equal(answer.result.profile.len, 0);
    answer_deinit(&answer);
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
        cmocka_unit_test(test_bytes),
        cmocka_unit_test(test_bits),
        cmocka_unit_test(test_bfloats),
        cmocka_unit_test(test_base64),
        cmocka_unit_test(test_element_refusals),
        cmocka_unit_test(test_nested_knn),
        cmocka_unit_test(test_inner_hits),
        cmocka_unit_test(test_nested_query),
        cmocka_unit_test(test_nested_twice),
        cmocka_unit_test(test_nested_many),
        cmocka_unit_test(test_held_view),
        cmocka_unit_test(test_profile),
    };
    return cmocka_run_group_tests(tests, open_all, close_all);
}
