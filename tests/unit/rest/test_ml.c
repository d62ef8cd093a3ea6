/* What must survive a restart of machine learning's state, and what a full queue answers. */
#include "support.h"

#include "embed/registry.h"
#include "infer/parts.h"
#include "infer/tiny_path.h"
#include "rest/ml.h"

#include <unistd.h>

struct ml_world {
    struct world world;
    char models[80];
    struct vz_infer *infer;
};

static void open_again(struct ml_world *w, bool start)
{
    struct vz_error err = {0};
    if (w->world.rest)
        vz_rest_free(w->world.rest);
    vz_infer_free(w->infer);
    if (w->world.store)
        vz_store_close(w->world.store);
    if (vz_store_open(w->world.path, &(struct vz_store_options){.create = true}, &w->world.store,
                      &err) != VZ_OK ||
        vz_infer_new(&(struct vz_infer_options){.models = w->models}, &w->infer, &err) != VZ_OK)
        fail_msg("%s", err.text);
    w->world.rest = vz_rest_new(w->world.store,
                                &(struct vz_rest_options){.node_name = "unit", .infer = w->infer});
    if (start)
        vz_rest_start_models(w->world.rest);
}

static int ml_open(void **state)
{
    struct ml_world *w = vz_calloc(1, sizeof *w);
    strcpy(w->world.path, "/tmp/vizsla-ml-XXXXXX");
    assert_non_null(mkdtemp(w->world.path));
    snprintf(w->models, sizeof w->models, "%s/models", w->world.path);
    open_again(w, false);
    *state = w;
    return 0;
}

static int ml_close(void **state)
{
    struct ml_world *w = *state;
    vz_rest_free(w->world.rest);
    vz_infer_free(w->infer);
    vz_store_close(w->world.store);
    vz_remove_all(w->world.path, NULL);
    free(w);
    return 0;
}

static void it_survives_a_restart(void **state)
{
    struct ml_world *w = *state;
    struct world *world = &w->world;
    expect(world, "PUT", "/_ml/trained_models/eye/model_aliases/pictures", NULL, 200, NULL);
    expect(world, "PUT", "/_inference/embedding/mine",
           "{\"service\":\"vizsla\",\"service_settings\":{\"model_id\":\"eye\"}}", 200, NULL);
    expect(world, "POST",
           "/_ml/trained_models/eye/deployment/_start?deployment_id=kept&number_of_allocations=3&"
           "queue_capacity=5",
           NULL, 200, "\"number_of_allocations\":3");
    expect(world, "PUT", "/_ml/trained_models/put",
           "{\"inference_config\":{\"text_embedding\":{}},\"prefix_strings\":{\"search\":\"q: \"}}",
           200, NULL);
    expect(world, "PUT", "/_ml/trained_models/put/definition/0",
           "{\"definition\":\"AAAA\",\"total_definition_length\":6,\"total_parts\":2}", 200, NULL);
    open_again(w, true);
    expect(world, "GET", "/_ml/trained_models/pictures", NULL, 200, "\"model_id\":\"eye\"");
    expect(world, "GET", "/_inference/mine", NULL, 200, "\"model_id\":\"eye\"");
    expect(world, "GET", "/_ml/trained_models/eye/_stats", NULL, 200,
           "\"deployment_id\":\"kept\",\"model_id\":\"eye\"");
    expect(world, "GET", "/_ml/trained_models/put?include=definition_status", NULL, 200,
           "\"fully_defined\":false");
    /* The second half goes on where the first one was. */
    expect(world, "PUT", "/_ml/trained_models/put/definition/1",
           "{\"definition\":\"AAAA\",\"total_definition_length\":7,\"total_parts\":2}", 400,
           "differ from the other parts");
    expect(world, "PUT", "/_ml/trained_models/put/definition/1",
           "{\"definition\":\"AAAA\",\"total_definition_length\":6,\"total_parts\":2}", 200, NULL);
    expect(world, "POST", "/_ml/trained_models/kept/deployment/_stop", NULL, 200, "true");
    expect(world, "DELETE", "/_ml/trained_models/put", NULL, 200, NULL);
    open_again(w, true);
    expect(world, "POST", "/_ml/trained_models/kept/deployment/_stop", NULL, 404, NULL);
    expect(world, "GET", "/_ml/trained_models/put", NULL, 404, NULL);
    char left[120];
    snprintf(left, sizeof left, "%s/.put/put", w->models);
    assert_int_not_equal(access(left, F_OK), 0);
}

/* A command in the same process opens no deployments, a server does. */
static void commands_open_nothing(void **state)
{
    struct ml_world *w = *state;
    expect(&w->world, "POST", "/_ml/trained_models/eye/deployment/_start?deployment_id=later", NULL,
           200, NULL);
    open_again(w, false);
    struct vz_buf answer = {0};
    call(&w->world, "GET", "/_ml/trained_models/eye/_stats", NULL, &answer);
    assert_null(strstr(answer.data, "\"later\""));
    vz_buf_deinit(&answer);
    open_again(w, true);
    expect(&w->world, "GET", "/_ml/trained_models/eye/_stats", NULL, 200, "\"later\"");
    expect(&w->world, "POST", "/_ml/trained_models/later/deployment/_stop", NULL, 200, NULL);
}

static const char picture[] =
    "{\"docs\":[{\"image_field\":\"PHN2ZyB4bWxucz0iaHR0cDovL3d3dy53My5vcmcvMjAwMC9zdmciIHdpZHRoPSI2"
    "NCIgaGVpZ2h0PSI2NCI+PHJlY3Qgd2lkdGg9IjY0IiBoZWlnaHQ9IjMyIiBmaWxsPSJyZWQiLz48L3N2Zz4=\"}]}";

static void *ask(void *arg)
{
    struct world *world = arg;
    expect(world, "POST", "/_ml/trained_models/narrow/_infer", picture, 200, "predicted_value");
    return NULL;
}

static void full_queues_and_deadlines(void **state)
{
    struct ml_world *w = *state;
    struct world *world = &w->world;
    struct deployment *held;
    struct vz_deployment *list;
    struct vz_arena arena = {0};
    pthread_t waiting;
    expect(world, "POST",
           "/_ml/trained_models/eye/deployment/_start?deployment_id=narrow&queue_capacity=1&"
           "number_of_allocations=1",
           NULL, 200, NULL);
    assert_int_equal(deployment_enter(w->infer, VZ_SLICE("narrow"), 0, &held, NULL), VZ_OK);
    expect(
        world, "POST", "/_ml/trained_models/narrow/_infer?timeout=30ms", picture, 408,
        "\"type\":\"status_exception\",\"reason\":\"timeout [30ms] waiting for inference result\"");
    assert_int_equal(pthread_create(&waiting, NULL, ask, world), 0);
    for (bool there = false; !there; usleep(1000)) {
        size_t count = vz_infer_deployments(w->infer, &arena, &list);
        for (size_t i = 0; i < count; i++)
            there |= vz_slice_is(list[i].id, "narrow") && list[i].waiting == 1;
    }
    expect(world, "POST", "/_ml/trained_models/narrow/_infer", picture, 429,
           "\"type\":\"es_rejected_execution_exception\",\"reason\":\"[narrow] inference process "
           "queue "
           "is full");
    expect(world, "POST", "/_inference/embedding/narrow",
           "{\"input\":{\"type\":\"image\",\"value\":\"PHN2Zy8+\"}}", 429,
           "es_rejected_execution_exception");
    deployment_leave(w->infer, held, true, 1, 1, 0);
    pthread_join(waiting, NULL);
    expect(world, "GET", "/_ml/trained_models/eye/_stats", NULL, 200,
           "\"rejected_execution_count\":2,\"timeout_count\":1");
    vz_arena_deinit(&arena);
}

static void ignore_field(void *context, struct vz_slice name, struct vz_slice value)
{
    size_t *bytes = context;
    for (size_t i = 0; i < value.len; i++)
        *bytes += (unsigned char)value.ptr[i];
    *bytes += name.len;
}

/* Forms with bytes changed, cut and doubled: read or refused, never read beyond their end (the
 * copy has no room behind it). */
static void hostile_forms(void **state)
{
    static const char form[] =
        "--b\r\nContent-Disposition: form-data; name=\"input\"\r\n\r\na dog\r\n"
        "--b\r\nContent-Disposition: form-data; name=\"f\"; filename=\"a.png\""
        "\r\nContent-Type: image/png\r\n\r\n\x89PNG\r\n--\r\n--b\r\n"
        "Content-Disposition: form-data; name=\"compose\"\r\n\r\ntrue\r\n--b--"
        "\r\n";
    static const char letters[] = "\r\n-b\":; =a\0";
    struct ml_world *w = *state;
    uint64_t seed = 20261120;
    size_t whole = 0, sum = 0;
    print_message("seed %llu\n", (unsigned long long)seed);
    for (int i = 0; i < 20000; i++) {
        struct vz_arena arena = {0};
        struct vz_ml_groups groups;
        struct vz_error err = {0};
        size_t len = sizeof form - 1;
        char text[sizeof form];
        memcpy(text, form, len);
        for (uint64_t n = vz_rng_next(&seed) % 4; n; n--)
            text[vz_rng_next(&seed) % len] = letters[vz_rng_next(&seed) % (sizeof letters - 1)];
        if (vz_rng_next(&seed) % 4 == 0)
            len = vz_rng_next(&seed) % len;
        char *tight = vz_alloc(len ? len : 1);
        memcpy(tight, text, len);
        whole += vz_ml_multipart(w->infer, VZ_SLICE("multipart/form-data; boundary=b"),
                                 (struct vz_slice){tight, len}, &arena, &groups, ignore_field, &sum,
                                 &err) == VZ_OK;
        free(tight);
        vz_arena_deinit(&arena);
    }
    assert_true(whole > 2000 && whole < 18000);
}

static const char config[] = "{\"inference_config\":{\"text_embedding\":{}}}";

/* What may mean several models deletes none. */
static void one_model_is_deleted_at_a_time(void **state)
{
    struct ml_world *w = *state;
    struct world *world = &w->world;
    expect(world, "PUT", "/_ml/trained_models/aa", config, 200, NULL);
    expect(world, "PUT", "/_ml/trained_models/bb", config, 200, NULL);
    expect(world, "DELETE", "/_ml/trained_models/_all", NULL, 400, "one model at a time");
    expect(world, "DELETE", "/_ml/trained_models/%3F%3F", NULL, 400, "one model at a time");
    expect(world, "GET", "/_ml/trained_models/aa", NULL, 200, "\"model_id\":\"aa\"");
    expect(world, "GET", "/_ml/trained_models/bb", NULL, 200, "\"model_id\":\"bb\"");
    expect(world, "DELETE", "/_ml/trained_models/aa", NULL, 200, NULL);
    expect(world, "DELETE", "/_ml/trained_models/bb", NULL, 200, NULL);
}

/* A configuration that goes between two looks at it, or is damaged, costs its entry. */
static void a_configuration_that_cannot_be_read(void **state)
{
    struct ml_world *w = *state;
    assert_int_equal(
        vz_store_put_blob(w->world.store, VZ_BLOB_MODEL, VZ_SLICE("broken"), VZ_SLICE("{"), NULL),
        VZ_OK);
    expect(&w->world, "GET", "/_ml/trained_models", NULL, 200, "\"model_id\":\"eye\"");
    expect(&w->world, "GET", "/_ml/trained_models/_stats", NULL, 200, NULL);
    expect(&w->world, "DELETE", "/_ml/trained_models/broken", NULL, 200, NULL);
}

static bool has_prefixes(const struct ml_world *w, const char *id)
{
    const struct prefixes *p = w->infer->prefixes;
    while (p && strcmp(p->id, id) != 0)
        p = p->next;
    return p != NULL;
}

static void prefixes_go_with_their_model(void **state)
{
    struct ml_world *w = *state;
    expect(&w->world, "PUT", "/_ml/trained_models/pre",
           "{\"inference_config\":{\"text_embedding\":{}},\"prefix_strings\":{\"search\":\"q: \"}}",
           200, NULL);
    assert_true(has_prefixes(w, "pre"));
    expect(&w->world, "DELETE", "/_ml/trained_models/pre", NULL, 200, NULL);
    assert_false(has_prefixes(w, "pre"));
}

/* What an interrupted write left behind is no part. */
static void parts_are_counted_by_name(void **state)
{
    struct ml_world *w = *state;
    char path[160];
    expect(&w->world, "PUT", "/_ml/trained_models/cut", config, 200, NULL);
    expect(&w->world, "PUT", "/_ml/trained_models/cut/vocabulary", "{\"vocabulary\":[\"a\"]}", 200,
           NULL);
    snprintf(path, sizeof path, "%s/.put/cut/part-1.tmp.77", w->models);
    assert_int_equal(vz_file_write_atomic(path, "x", 1, NULL), VZ_OK);
    expect(&w->world, "PUT", "/_ml/trained_models/cut/definition/0",
           "{\"definition\":\"AAAA\",\"total_definition_length\":6,\"total_parts\":2}", 200,
           "acknowledged");
    expect(&w->world, "PUT", "/_ml/trained_models/cut/definition/1",
           "{\"definition\":\"AAAA\",\"total_definition_length\":6,\"total_parts\":2}", 200,
           "acknowledged");
    expect(&w->world, "DELETE", "/_ml/trained_models/cut", NULL, 200, NULL);
}

struct putter {
    struct world *world;
    pthread_t thread;
    int status;
};

static void *put_it(void *arg)
{
    struct putter *self = arg;
    struct vz_buf answer = {0};
    self->status = call(self->world, "PUT", "/_ml/trained_models/raced", config, &answer);
    vz_buf_deinit(&answer);
    return NULL;
}

static void a_model_is_put_once(void **state)
{
    struct ml_world *w = *state;
    for (int round = 0; round < 10; round++) {
        struct putter putters[4];
        int good = 0;
        for (size_t i = 0; i < VZ_COUNT_OF(putters); i++) {
            putters[i].world = &w->world;
            assert_int_equal(pthread_create(&putters[i].thread, NULL, put_it, &putters[i]), 0);
        }
        for (size_t i = 0; i < VZ_COUNT_OF(putters); i++) {
            pthread_join(putters[i].thread, NULL);
            good += putters[i].status == 200;
        }
        assert_int_equal(good, 1);
        expect(&w->world, "DELETE", "/_ml/trained_models/raced", NULL, 200, NULL);
    }
}

static void import_clip(struct ml_world *w)
{
    struct vz_arena arena = {0};
    struct vz_model model;
    const struct vz_model_import import = {.folder = VZ_TINY_MODELS "/tiny-clip",
                                           .name = "tiny-clip"};
    assert_int_equal(vz_model_import(w->models, &import, NULL, &arena, &model, NULL), VZ_OK);
    vz_arena_deinit(&arena);
}

/* Labels are the client's, and come back with every document. */
static void answers_with_long_labels_are_bounded(void **state)
{
    struct ml_world *w = *state;
    struct vz_buf body = {0};
    size_t most = w->world.rest->max_answer_bytes;
    import_clip(w);
    vz_buf_append_str(&body, "{\"docs\":[");
    for (int i = 0; i < 20; i++)
        vz_buf_printf(&body, "%s{\"text_field\":\"a\"}", i ? "," : "");
    vz_buf_append_str(&body,
                      "],\"inference_config\":{\"zero_shot_classification\":{\"labels\":[\"");
    for (int i = 0; i < 100000; i++)
        vz_buf_append_char(&body, 'a');
    vz_buf_append_str(&body, "\"]}}}");
    w->world.rest->max_answer_bytes = 1000000;
    vz_buf_append_char(&body, '\0');
    expect(&w->world, "POST", "/_ml/trained_models/tiny-clip/_infer", body.data, 429,
           "Data too large");
    w->world.rest->max_answer_bytes = most;
    vz_buf_deinit(&body);
    expect(&w->world, "DELETE", "/_ml/trained_models/tiny-clip", NULL, 200, NULL);
}

/* One that a request began and one that was started by name. */
static void a_model_with_two_deployments_is_deleted(void **state)
{
    struct ml_world *w = *state;
    struct deployment *held;
    import_clip(w);
    assert_int_equal(deployment_enter(w->infer, VZ_SLICE("tiny-clip"), 0, &held, NULL), VZ_OK);
    expect(&w->world, "POST", "/_ml/trained_models/tiny-clip/deployment/_start?deployment_id=zz",
           NULL, 200, NULL);
    deployment_leave(w->infer, held, true, 1, 1, 0);
    expect(&w->world, "DELETE", "/_ml/trained_models/tiny-clip", NULL, 409, "currently deployed");
    expect(&w->world, "DELETE", "/_ml/trained_models/tiny-clip?force=true", NULL, 200, NULL);
    expect(&w->world, "GET", "/_ml/trained_models/tiny-clip", NULL, 404, NULL);
}

/* Without models the API says so. */
static void a_rest_without_models(void **state)
{
    struct ml_world *w = *state;
    struct vz_rest *rest = vz_rest_new(w->world.store, &(struct vz_rest_options){0});
    struct world bare = {.store = w->world.store, .rest = rest};
    expect(&bare, "GET", "/_ml/trained_models", NULL, 400, "runs no models");
    expect(&bare, "POST", "/_inference/eye", "{\"input\":\"a\"}", 400, "runs no models");
    expect(&bare, "PUT", "/plain",
           "{\"mappings\":{\"properties\":{\"v\":{\"type\":\"dense_vector\",\"dims\":3}}}}", 200,
           NULL);
    expect(&bare, "POST", "/plain/_search",
           "{\"knn\":{\"field\":\"v\",\"k\":1,\"query_vector_builder\":{\"text_embedding\":{"
           "\"model_id\":\"a\",\"model_text\":\"b\"}}}}",
           400, "runs no models");
    vz_rest_free(rest);
}

int main(void)
{
    assert_int_equal(vz_image_start(NULL), VZ_OK);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_survives_a_restart),
        cmocka_unit_test(commands_open_nothing),
        cmocka_unit_test(full_queues_and_deadlines),
        cmocka_unit_test(hostile_forms),
        cmocka_unit_test(one_model_is_deleted_at_a_time),
        cmocka_unit_test(prefixes_go_with_their_model),
        cmocka_unit_test(parts_are_counted_by_name),
        cmocka_unit_test(a_model_is_put_once),
        cmocka_unit_test(answers_with_long_labels_are_bounded),
        cmocka_unit_test(a_model_with_two_deployments_is_deleted),
        cmocka_unit_test(a_configuration_that_cannot_be_read),
        cmocka_unit_test(a_rest_without_models),
    };
    return cmocka_run_group_tests(tests, ml_open, ml_close);
}
