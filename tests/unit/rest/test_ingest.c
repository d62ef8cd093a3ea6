/* Pipelines under fire: replaced while requests run them, and over a restart. Runs under
 * ThreadSanitizer too, so there is no picture here: libvips is not built for it. */
#include "ingest_support.h"

enum { ROUNDS = 12, DOCS = 150 };

/* ---- replaced while in use --------------------------------------------------------------------
 */

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
        snprintf(
            query, sizeof query,
            "{\"query\":{\"bool\":{\"filter\":[{\"term\":{\"v\":%d}},{\"term\":{\"w\":%d}}]}}}", v,
            2 * v);
        call(w, "POST", "/swap/_count", query, &answer);
        sscanf(answer.data, "{\"count\":%d", &count);
        sum += count;
        vz_buf_deinit(&answer);
    }
    assert_int_equal(sum, WRITERS * ROUNDS * DOCS);
}

/* ---- over a restart ---------------------------------------------------------------------------
 */

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_pipeline_is_replaced_during_bulk, open_world,
                                        close_world),
        cmocka_unit_test_setup_teardown(pipelines_survive_a_restart, open_world, close_world),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
