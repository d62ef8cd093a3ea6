/* Tasks: by many threads at once, work behind answers, its bounds, its end with the server. */
#include "support.h"

#include "rest/tasks.h"

#include <pthread.h>
#include <unistd.h>

static int open_some(void **state)
{
    world_open(state);
    struct vz_buf body = {0};
    for (int i = 0; i < 200; i++)
        vz_buf_printf(&body, "{\"index\":{\"_id\":\"%d\"}}\n{\"n\":%d}\n", i, i);
    expect(*state, "POST", "/s/_bulk?refresh=true", body.data, 200, "\"errors\":false");
    vz_buf_deinit(&body);
    return 0;
}

/* Starts work behind its answer; its id. */
static void start(struct world *w, const char *path, const char *body, char id[64])
{
    struct vz_buf answer = {0};
    int status = call(w, "POST", path, body, &answer);
    if (status != 200 || sscanf(answer.data, "{\"task\":\"%63[^\"]", id) != 1)
        fail_msg("%s: %d %s", path, status, answer.data);
    vz_buf_deinit(&answer);
}

struct churn {
    struct world *world;
    int which;
};

static void *churn(void *context)
{
    const struct churn *c = context;
    char id[64], path[160];
    for (int i = 0; i < 12; i++) {
        switch (c->which) {
        case 0:
            expect(c->world, "GET", "/_tasks?detailed&group_by=parents", NULL, 200, "tasks");
            expect(c->world, "GET", "/_tasks?group_by=none", NULL, 200, "tasks");
            expect(c->world, "POST", "/s/_search", "{\"query\":{\"range\":{\"n\":{\"gte\":10}}}}",
                   200, "hits");
            break;
        case 1:
            start(c->world,
                  "/s/_update_by_query?wait_for_completion=false&conflicts=proceed&slices=3&"
                  "scroll_size=20",
                  "{\"script\":\"ctx._source.m = ctx._source.n * 2\"}", id);
            snprintf(path, sizeof path, "/_tasks/%s?wait_for_completion&timeout=10m", id);
            expect(c->world, "GET", path, NULL, 200, "\"failures\":[]");
            break;
        case 2:
            start(c->world,
                  "/s/_update_by_query?wait_for_completion=false&conflicts=proceed&"
                  "requests_per_second=0.1&scroll_size=5&slices=2",
                  "{}", id);
            snprintf(path, sizeof path, "/_update_by_query/%s/_rethrottle?requests_per_second=20",
                     id);
            expect(c->world, "POST", path, NULL, 200, NULL);
            snprintf(path, sizeof path, "/_tasks/%s/_cancel?wait_for_completion", id);
            expect(c->world, "POST", path, NULL, 200, NULL);
            snprintf(path, sizeof path, "/_tasks/%s", id);
            expect(c->world, "GET", path, NULL, 200, "\"completed\":true");
            break;
        default:
            expect(c->world, "POST", "/_reindex?slices=2&refresh=true",
                   "{\"source\":{\"index\":\"s\",\"size\":30},\"dest\":{\"index\":\"d\"},"
                   "\"conflicts\":\"proceed\"}",
                   200, "\"total\":200");
        }
    }
    return NULL;
}

static void by_many_threads(void **state)
{
    struct churn jobs[8];
    pthread_t threads[8];
    for (int i = 0; i < 8; i++) {
        jobs[i] = (struct churn){*state, i % 4};
        pthread_create(&threads[i], NULL, churn, &jobs[i]);
    }
    for (int i = 0; i < 8; i++)
        pthread_join(threads[i], NULL);
    expect(*state, "GET", "/_tasks?actions=indices:*", NULL, 200, "{\"nodes\":{}}");
    expect(*state, "GET", "/d/_count", NULL, 200, "\"count\":200");
}

static void not_too_many_behind(void **state)
{
    struct world *w = *state;
    char id[64];
    for (int i = 0; i < VZ_TASK_MAX_BACKGROUND; i++)
        start(w,
              "/s/_update_by_query?wait_for_completion=false&requests_per_second=0.001&"
              "scroll_size=1&conflicts=proceed",
              "{}", id);
    expect(w, "POST", "/s/_update_by_query?wait_for_completion=false", "{}", 429,
           "es_rejected_execution_exception");
    expect(w, "POST", "/s/_search", "{}", 200, "hits");
    expect(w, "POST", "/_tasks/_cancel?actions=*byquery&wait_for_completion", NULL, 200,
           "\"cancelled\":true");
    expect(w, "GET", "/_tasks?actions=*byquery", NULL, 200, "{\"nodes\":{}}");
    start(w, "/s/_update_by_query?wait_for_completion=false&conflicts=proceed", "{}", id);
}

static void not_too_many_results(void **state)
{
    struct world *w = *state;
    char first[64], id[64], path[128];
    start(w, "/s/_delete_by_query?wait_for_completion=false", "{\"query\":{\"match_none\":{}}}",
          first);
    snprintf(path, sizeof path, "/_tasks/%s?wait_for_completion&timeout=10m", first);
    expect(w, "GET", path, NULL, 200, "\"completed\":true");
    for (int i = 0; i < VZ_TASK_MAX_RESULTS; i++) {
        start(w, "/s/_delete_by_query?wait_for_completion=false", "{\"query\":{\"match_none\":{}}}",
              id);
        snprintf(path, sizeof path, "/_tasks/%s?wait_for_completion&timeout=10m", id);
        expect(w, "GET", path, NULL, 200, "\"completed\":true");
    }
    snprintf(path, sizeof path, "/_tasks/%s", first);
    expect(w, "GET", path, NULL, 404, "hasn't stored its results");
}

/* Slow work neither keeps the server from ending nor outlives it. */
static void ends_with_the_server(void **state)
{
    struct world *w = *state;
    char id[64], path[128];
    start(w,
          "/s/_update_by_query?wait_for_completion=false&requests_per_second=0.001&scroll_size=1&"
          "conflicts=proceed",
          "{}", id);
    vz_rest_stop(w->rest);
    snprintf(path, sizeof path, "/_tasks/%s", id);
    for (int i = 0; i < 6000; i++) { /* a minute */
        struct vz_buf answer = {0};
        assert_int_equal(call(w, "GET", path, NULL, &answer), 200);
        bool done = strstr(answer.data, "\"completed\":true") != NULL;
        if (done)
            assert_non_null(strstr(answer.data, "\"canceled\":\"the node is stopping\""));
        vz_buf_deinit(&answer);
        if (done)
            return;
        usleep(10000);
    }
    fail_msg("it still runs");
}

/* A batch more than a script's documents may take at a time, and more documents than one batch. */
static void all_of_many(void **state)
{
    struct world *w = *state;
    expect(w, "POST", "/s/_update_by_query?refresh=true&scroll_size=7",
           "{\"script\":\"ctx._source.k = 'v' + ctx._id\"}", 200, "\"updated\":200");
    expect(w, "POST", "/s/_count", "{\"query\":{\"exists\":{\"field\":\"k\"}}}", 200,
           "\"count\":200");
    expect(w, "POST", "/s/_delete_by_query?refresh=true&scroll_size=7&slices=5",
           "{\"query\":{\"range\":{\"n\":{\"lt\":150}}}}", 200, "\"deleted\":150");
    expect(w, "GET", "/s/_count", NULL, 200, "\"count\":50");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(by_many_threads, open_some, world_close),
        cmocka_unit_test_setup_teardown(not_too_many_behind, open_some, world_close),
        cmocka_unit_test_setup_teardown(not_too_many_results, open_some, world_close),
        cmocka_unit_test_setup_teardown(ends_with_the_server, open_some, world_close),
        cmocka_unit_test_setup_teardown(all_of_many, open_some, world_close),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
