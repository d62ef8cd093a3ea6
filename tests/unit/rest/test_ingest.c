/* Pipelines under fire: replaced while requests run them, over a restart; pictures sent by many at
 * once; what a pipeline makes is never half there. */
#include "support.h"

#include "image/image.h"
#include "infer/infer.h"

#include <pthread.h>

enum { WRITERS = 3, ROUNDS = 12, DOCS = 150 };

struct pictures {
    struct world world;
    struct vz_infer *infer;
};

static void open_again(struct pictures *p)
{
    struct vz_error err = {0};
    vz_rest_free(p->world.rest);
    vz_infer_free(p->infer);
    if (p->world.store)
        vz_store_close(p->world.store);
    if (vz_store_open(p->world.path, &(struct vz_store_options){.create = true}, &p->world.store,
                      &err) != VZ_OK ||
        vz_infer_new(&(struct vz_infer_options){.models = p->world.path}, &p->infer, &err) != VZ_OK)
        fail_msg("%s", err.text);
    p->world.rest = vz_rest_new(
        p->world.store, &(struct vz_rest_options){.node_name = "unit", .infer = p->infer});
}

static int open_world(void **state)
{
    struct pictures *p = vz_calloc(1, sizeof *p);
    strcpy(p->world.path, "/tmp/vizsla-ingest-XXXXXX");
    assert_non_null(mkdtemp(p->world.path));
    open_again(p);
    *state = p;
    return 0;
}

static int close_world(void **state)
{
    struct pictures *p = *state;
    vz_rest_free(p->world.rest);
    vz_infer_free(p->infer);
    vz_store_close(p->world.store);
    vz_remove_all(p->world.path, NULL);
    free(p);
    return 0;
}

static size_t occurrences(const char *text, const char *part)
{
    size_t count = 0;
    for (const char *at = strstr(text, part); at; at = strstr(at + 1, part))
        count++;
    return count;
}

/* ---- replaced while in use -------------------------------------------------------------------- */

static void put_version(struct world *w, int version)
{
    char body[512];
    snprintf(body, sizeof body,
             "{\"version\":%d,\"processors\":[{\"gsub\":{\"field\":\"t\",\"pattern\":\"a+\","
             "\"replacement\":\"b\"}},{\"set\":{\"field\":\"v\",\"value\":%d}},{\"script\":{"
             "\"source\":\"ctx.w = ctx.v * 2\"}}]}",
             version, version);
    expect(w, "PUT", "/_ingest/pipeline/swapped", body, 200, "\"acknowledged\":true");
}

struct writer {
    struct world *w;
    int number;
};

static void *write_all(void *context)
{
    struct writer *writer = context;
    for (int round = 0; round < ROUNDS; round++) {
        struct vz_buf body = {0}, answer = {0};
        for (int i = 0; i < DOCS; i++)
            vz_buf_printf(&body, "{\"index\":{\"_id\":\"%d-%d-%d\"}}\n{\"t\":\"caat\"}\n",
                          writer->number, round, i);
        int status = call(writer->w, "POST", "/swap/_bulk?pipeline=swapped", body.data, &answer);
        if (status != 200 || occurrences(answer.data, "\"status\":201") != DOCS)
            print_error("status %d: %.300s\n", status, answer.data);
        vz_buf_deinit(&body);
        vz_buf_deinit(&answer);
    }
    return NULL;
}

static void a_pipeline_is_replaced_during_bulk(void **state)
{
    struct pictures *p = *state;
    struct world *w = &p->world;
    pthread_t threads[WRITERS];
    struct writer writers[WRITERS];
    put_version(w, 1);
    expect(w, "PUT", "/swap",
           "{\"mappings\":{\"properties\":{\"v\":{\"type\":\"long\"},\"w\":{\"type\":\"long\"},"
           "\"t\":{\"type\":\"keyword\"}}}}",
           200, NULL);
    for (int i = 0; i < WRITERS; i++) {
        writers[i] = (struct writer){w, i};
        pthread_create(&threads[i], NULL, write_all, &writers[i]);
    }
    for (int i = 0; i < 60; i++) {
        put_version(w, i % 7 + 1);
        expect(w, "GET", "/_ingest/pipeline/swapped", NULL, 200, "\"version\"");
    }
    for (int i = 0; i < WRITERS; i++)
        pthread_join(threads[i], NULL);
    expect(w, "POST", "/swap/_refresh", NULL, 200, NULL);
    char want[64];
    snprintf(want, sizeof want, "{\"count\":%d,", WRITERS * ROUNDS * DOCS);
    expect(w, "GET", "/swap/_count", NULL, 200, want);
    expect(w, "POST", "/swap/_count", "{\"query\":{\"term\":{\"t\":\"cbt\"}}}", 200, want);
    /* Each document went through one version, whole. */
    int sum = 0;
    for (int v = 1; v <= 7; v++) {
        char query[160];
        struct vz_buf answer = {0};
        int count = 0;
        snprintf(query, sizeof query,
                 "{\"query\":{\"bool\":{\"filter\":[{\"term\":{\"v\":%d}},{\"term\":{\"w\":%d}}]}}}",
                 v, 2 * v);
        call(w, "POST", "/swap/_count", query, &answer);
        sscanf(answer.data, "{\"count\":%d", &count);
        sum += count;
        vz_buf_deinit(&answer);
    }
    assert_int_equal(sum, WRITERS * ROUNDS * DOCS);
}

/* ---- over a restart --------------------------------------------------------------------------- */

static void pipelines_survive_a_restart(void **state)
{
    struct pictures *p = *state;
    expect(&p->world, "PUT", "/_ingest/pipeline/kept",
           "{\"processors\":[{\"set\":{\"field\":\"kept\",\"value\":true}}]}", 200, NULL);
    expect(&p->world, "PUT", "/_ingest/pipeline/gone", "{\"processors\":[]}", 200, NULL);
    expect(&p->world, "DELETE", "/_ingest/pipeline/gone", NULL, 200, NULL);
    open_again(p);
    expect(&p->world, "GET", "/_ingest/pipeline/kept", NULL, 200, "\"kept\"");
    expect(&p->world, "GET", "/_ingest/pipeline/gone", NULL, 404, NULL);
    expect(&p->world, "PUT", "/restart/_doc/1?pipeline=kept", "{}", 201, NULL);
    expect(&p->world, "GET", "/restart/_doc/1", NULL, 200, "{\"kept\":true}");
}

/* ---- pictures --------------------------------------------------------------------------------- */

/* "data:image/png;base64,..." of a picture that the number chooses. */
static void append_picture(int number, struct vz_buf *out)
{
    enum { SIDE = 40 };
    uint8_t rgb[SIDE * SIDE * 3];
    for (int i = 0; i < SIDE * SIDE; i++) {
        rgb[i * 3] = (uint8_t)(i % SIDE * number);
        rgb[i * 3 + 1] = (uint8_t)(i / SIDE * (7 - number % 7));
        rgb[i * 3 + 2] = (uint8_t)(number * 37);
    }
    struct vz_image image = {.rgb = rgb, .width = SIDE, .height = SIDE};
    struct vz_buf png = {0};
    assert_int_equal(vz_image_encode(&image, "png", 0, &png, NULL), VZ_OK);
    vz_buf_append_str(out, "data:image/png;base64,");
    vz_base64_encode(png.data, png.len, out);
    vz_buf_deinit(&png);
}

struct sender {
    struct world *w;
    const char *index, *field;
    int number, created, refused;
};

static void *send_pictures(void *context)
{
    struct sender *s = context;
    struct vz_buf body = {0}, answer = {0};
    char path[128];
    for (int i = 0; i < 80; i++) {
        vz_buf_printf(&body, "{\"index\":{\"_id\":\"%d-%d\"}}\n{\"%s\":\"", s->number, i, s->field);
        if (i % 40 == 11) /* no picture */
            vz_buf_append_str(&body, "data:image/png;base64,AAAA");
        else
            append_picture(i % 10, &body);
        vz_buf_append_str(&body, "\"}\n");
    }
    snprintf(path, sizeof path, "/%s/_bulk", s->index);
    call(s->w, "POST", path, body.data, &answer);
    s->created = (int)occurrences(answer.data, "\"status\":201");
    s->refused = (int)occurrences(answer.data, "\"status\":400");
    vz_buf_deinit(&body);
    vz_buf_deinit(&answer);
    return NULL;
}

static void send_from_many(struct world *w, const char *index, const char *field)
{
    pthread_t threads[WRITERS];
    struct sender senders[WRITERS];
    for (int i = 0; i < WRITERS; i++) {
        senders[i] = (struct sender){w, index, field, i, 0, 0};
        pthread_create(&threads[i], NULL, send_pictures, &senders[i]);
    }
    for (int i = 0; i < WRITERS; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(senders[i].created, 78);
        assert_int_equal(senders[i].refused, 2);
    }
}

static void many_send_pictures(void **state)
{
    struct pictures *p = *state;
    expect(&p->world, "PUT", "/photos",
           "{\"mappings\":{\"properties\":{\"v\":{\"type\":\"dense_vector\",\"dims\":512,\"meta\":{"
           "\"model\":\"eye\"}}}}}",
           200, NULL);
    send_from_many(&p->world, "photos", "v");
    expect(&p->world, "POST", "/photos/_refresh", NULL, 200, NULL);
    expect(&p->world, "GET", "/photos/_count", NULL, 200, "{\"count\":234,");
    expect(&p->world, "GET", "/photos/_mapping", NULL, 200, "\"model_digest\":\"eye-");
}

/* A field that no mapping has yet gets one model, whoever comes first. */
static void many_make_one_field_remember(void **state)
{
    struct pictures *p = *state;
    expect(&p->world, "PUT", "/_ingest/pipeline/embed",
           "{\"processors\":[{\"inference\":{\"model_id\":\"eye\",\"input_output\":{\"input_field\":"
           "\"photo\",\"output_field\":\"vector\"}}},{\"remove\":{\"field\":[\"photo\",\"model_id\""
           "]}}]}",
           200, NULL);
    expect(&p->world, "PUT", "/fresh", "{\"settings\":{\"default_pipeline\":\"embed\"}}", 200, NULL);
    send_from_many(&p->world, "fresh", "photo");
    expect(&p->world, "GET", "/fresh/_mapping", NULL, 200,
           "\"meta\":{\"model\":\"eye\",\"model_digest\":\"eye-");
    expect(&p->world, "GET", "/fresh/_mapping", NULL, 200, "\"type\":\"dense_vector\"");
}

static int start_images(void **state)
{
    return vz_image_start(NULL) == VZ_OK ? 0 : -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_pipeline_is_replaced_during_bulk, open_world,
                                        close_world),
        cmocka_unit_test_setup_teardown(pipelines_survive_a_restart, open_world, close_world),
        cmocka_unit_test_setup_teardown(many_send_pictures, open_world, close_world),
        cmocka_unit_test_setup_teardown(many_make_one_field_remember, open_world, close_world),
    };
    return cmocka_run_group_tests(tests, start_images, NULL);
}
