/* Pictures sent by many at once: each gets its vector, broken ones fail alone, fields remember. */
#include "ingest_support.h"

#include "image/image.h"

/* ---- pictures ---------------------------------------------------------------------------------
 */

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
    expect(
        &p->world, "PUT", "/_ingest/pipeline/embed",
        "{\"processors\":[{\"inference\":{\"model_id\":\"eye\",\"input_output\":{\"input_field\":"
        "\"photo\",\"output_field\":\"vector\"}}},{\"remove\":{\"field\":[\"photo\",\"model_id\""
        "]}}]}",
        200, NULL);
    expect(&p->world, "PUT", "/fresh", "{\"settings\":{\"default_pipeline\":\"embed\"}}", 200,
           NULL);
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
        cmocka_unit_test_setup_teardown(many_send_pictures, open_world, close_world),
        cmocka_unit_test_setup_teardown(many_make_one_field_remember, open_world, close_world),
    };
    return cmocka_run_group_tests(tests, start_images, NULL);
}
