/* Scrolls: their number, their end, their view of an index that changes under them. */
#include "support.h"

#include <pthread.h>
#include <unistd.h>

static int open_hundred(void **state)
{
    world_open(state);
    struct vz_buf body = {0};
    for (int i = 0; i < 100; i++)
        vz_buf_printf(&body, "{\"index\":{\"_id\":\"%d\"}}\n{\"n\":%d}\n", i, i);
    expect(*state, "POST", "/s/_bulk?refresh=true", body.data, 200, "\"errors\":false");
    vz_buf_deinit(&body);
    return 0;
}

static void start(struct world *w, const char *path, char id[64])
{
    struct vz_buf answer = {0};
    int status = call(w, "POST", path, "{}", &answer);
    if (status != 200 || sscanf(answer.data, "{\"_scroll_id\":\"%32[^\"]", id) != 1)
        fail_msg("%s: %d %s", path, status, answer.data);
    vz_buf_deinit(&answer);
}

/* Hits of the next page, or minus the status. */
static int next(struct world *w, const char *id)
{
    char body[128];
    struct vz_buf answer = {0};
    snprintf(body, sizeof body, "{\"scroll_id\":\"%s\",\"scroll\":\"1h\"}", id);
    int status = call(w, "POST", "/_search/scroll", body, &answer), hits = 0;
    for (const char *at = answer.data; (at = strstr(at, "\"_id\":")); at++)
        hits++;
    vz_buf_deinit(&answer);
    return status == 200 ? hits : -status;
}

static void not_too_many(void **state)
{
    struct world *w = *state;
    char first[64] = "", id[64];
    start(w, "/s/_search?scroll=1h&size=10", first);
    for (int i = 1; i < 500; i++)
        start(w, "/s/_search?scroll=1h&size=1", id);
    expect(w, "POST", "/s/_search?scroll=1h", "{}", 429, "too_many_scroll_contexts_exception");
    assert_int_equal(vz_scrolls_open(w->rest->scrolls), 500);
    assert_int_equal(next(w, first), 10);
    expect(w, "DELETE", "/_search/scroll/_all", NULL, 200, "\"num_freed\":500");
    assert_int_equal(vz_scrolls_open(w->rest->scrolls), 0);
    start(w, "/s/_search?scroll=1m", id);
}

static void they_expire(void **state)
{
    struct world *w = *state;
    char id[64] = "", kept[64] = "";
    start(w, "/s/_search?scroll=20ms&size=1", id);
    start(w, "/s/_search?scroll=1h&size=1", kept);
    usleep(50000);
    assert_int_equal(next(w, id), -404);
    assert_int_equal(next(w, kept), 1);
    assert_int_equal(vz_scrolls_open(w->rest->scrolls), 1);
}

/* Deletions, new documents, a compaction and even the deletion of the index change nothing. */
static void the_view_stays(void **state)
{
    struct world *w = *state;
    char id[64] = "";
    start(w, "/s/_search?scroll=1m&size=10", id);
    for (int i = 0; i < 60; i++) {
        char path[64];
        snprintf(path, sizeof path, "/s/_doc/%d", i);
        expect(w, "DELETE", path, NULL, 200, NULL);
    }
    expect(w, "PUT", "/s/_doc/new?refresh=true", "{\"n\":1000}", 201, NULL);
    assert_int_equal(next(w, id), 10);
    expect(w, "POST", "/s/_forcemerge", NULL, 200, NULL);
    assert_int_equal(next(w, id), 10);
    expect(w, "DELETE", "/s", NULL, 200, NULL);
    for (int page = 3; page < 10; page++)
        assert_int_equal(next(w, id), 10);
    assert_int_equal(next(w, id), 0);
}

struct reader {
    struct world *world;
    const char *id;
    int hits, busy;
};

static void *read_pages(void *context)
{
    struct reader *reader = context;
    for (;;) {
        int hits = next(reader->world, reader->id);
        if (hits == 0 || hits == -404)
            return NULL;
        if (hits > 0)
            reader->hits += hits;
        else
            reader->busy++;
    }
}

/* Two readers of one scroll never see the same page. */
static void shared(void **state)
{
    char id[64] = "";
    start(*state, "/s/_search?scroll=1m&size=1", id);
    struct reader readers[3];
    pthread_t threads[3];
    int hits = 1;
    for (int i = 0; i < 3; i++) {
        readers[i] = (struct reader){.world = *state, .id = id};
        pthread_create(&threads[i], NULL, read_pages, &readers[i]);
    }
    for (int i = 0; i < 3; i++) {
        pthread_join(threads[i], NULL);
        hits += readers[i].hits;
    }
    assert_int_equal(hits, 100);
}

static void *clear_soon(void *context)
{
    struct reader *reader = context;
    usleep(2000);
    call(reader->world, "DELETE", "/_search/scroll/_all", NULL, NULL);
    return NULL;
}

/* One that is ended while its page is being made ends after it. */
static void ended_while_read(void **state)
{
    struct world *w = *state;
    for (int round = 0; round < 20; round++) {
        char id[64] = "";
        start(w, "/s/_search?scroll=1m&size=1", id);
        struct reader readers[2] = {{.world = w, .id = id}, {.world = w, .id = id}};
        pthread_t threads[2];
        pthread_create(&threads[0], NULL, read_pages, &readers[0]);
        pthread_create(&threads[1], NULL, clear_soon, &readers[1]);
        pthread_join(threads[0], NULL);
        pthread_join(threads[1], NULL);
    }
    assert_int_equal(vz_scrolls_open(w->rest->scrolls), 0);
}

/* A client chooses how much it asks for; what is too much is 429, and a scroll's page that was not
 * given is given later. */
static void answers_are_bounded(void **state)
{
    struct world *w = *state;
    const char *const too_large = "circuit_breaking_exception";
    struct vz_buf body = {0};
    char id[64] = "";
    start(w, "/s/_search?scroll=1m&size=10", id);
    w->rest->max_answer_bytes = 60;
    assert_int_equal(next(w, id), -429);
    expect(w, "POST", "/s/_search?size=100", "{}", 429, too_large);
    expect(w, "POST", "/s/_search?size=2&_source=n", "{}", 200, "\"n\":0");
    expect(w, "POST", "/s/_search?size=100&scroll=1m", "{}", 429, too_large);
    expect(w, "POST", "/s/_search?size=100&scroll=1m", "{\"sort\":\"n\"}", 429, too_large);
    assert_int_equal(vz_scrolls_open(w->rest->scrolls), 1);
    for (int i = 0; i < 100; i++)
        vz_buf_append_str(&body, "{\"index\":\"s\"}\n{\"size\":1}\n");
    expect(w, "POST", "/_msearch", body.data, 429, too_large);
    vz_buf_clear(&body);
    vz_buf_append_str(&body, "{\"ids\":[\"0\"");
    for (int i = 0; i < 100; i++)
        vz_buf_append_str(&body, ",\"1\"");
    vz_buf_append_str(&body, "]}");
    expect(w, "POST", "/s/_mget", body.data, 429, too_large);
    w->rest->max_answer_bytes = 100000;
    expect(w, "POST", "/s/_mget", body.data, 200, "\"n\":1");
    for (int page = 1; page < 10; page++)
        assert_int_equal(next(w, id), 10);
    assert_int_equal(next(w, id), 0);
    vz_buf_deinit(&body);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(not_too_many, open_hundred, world_close),
        cmocka_unit_test_setup_teardown(they_expire, open_hundred, world_close),
        cmocka_unit_test_setup_teardown(the_view_stays, open_hundred, world_close),
        cmocka_unit_test_setup_teardown(shared, open_hundred, world_close),
        cmocka_unit_test_setup_teardown(ended_while_read, open_hundred, world_close),
        cmocka_unit_test_setup_teardown(answers_are_bounded, open_hundred, world_close),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
