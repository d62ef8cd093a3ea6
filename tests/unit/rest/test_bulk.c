/* _bulk: what is acknowledged is there; mutated requests neither crash nor half happen unseen;
 * many threads at once. */
#include "support.h"

#include <pthread.h>

static size_t count_docs(struct world *w, const char *index)
{
    char path[64];
    struct vz_buf answer = {0};
    size_t count = 0;
    snprintf(path, sizeof path, "/%s/_refresh", index);
    call(w, "POST", path, NULL, NULL);
    snprintf(path, sizeof path, "/%s/_count", index);
    if (call(w, "GET", path, NULL, &answer) == 200)
        sscanf(answer.data, "{\"count\":%zu", &count);
    vz_buf_deinit(&answer);
    return count;
}

static size_t occurrences(const char *text, const char *part)
{
    size_t count = 0;
    for (const char *at = strstr(text, part); at; at = strstr(at + 1, part))
        count++;
    return count;
}

static void white_space_and_line_ends(void **state)
{
    struct world *w = *state;
    expect(w, "POST", "/ws/_bulk",
           " { \"index\" : { \"_id\" : \"1\" } } \r\n { \"a\" : 1 } \r\n"
           "{\"index\":{\"_id\":\"2\"}}\n{\"a\":2}\n",
           200, "\"errors\":false");
    assert_int_equal(count_docs(w, "ws"), 2);
    expect(w, "GET", "/ws/_doc/1", NULL, 200, "\"_source\":");
}

/* The plain scanner must not take what JSON does not allow. */
static void no_json_no_action(void **state)
{
    static const char *const lines[] = {"{\"index\":{\"_id\":\"1\",}}",
                                        "{\"index\":{,\"_id\":\"1\"}}",
                                        "{\"index\":{\"_id\" \"1\"}}",
                                        "{\"index\":{\"_id\":\"1\"}",
                                        "{\"index\":{\"_id\":\"1\"}}}",
                                        "{\"index\":{\"_id\":'1'}}",
                                        "{\"index\":{\"_id\":01}}",
                                        "{\"index\":{\"_id\":-}}",
                                        "{\"index\":{\"_id\":tru}}",
                                        "{\"index\":{\"_id\":\"a\tb\"}}",
                                        "{index:{}}",
                                        "{\"index\":{}} x",
                                        "{\"index\":{\"_id\":\"\xff\"}}",
                                        "{\"index\"}",
                                        "{\"index\":}",
                                        "{",
                                        "\"index\"",
                                        "nope"};
    struct world *w = *state;
    for (size_t i = 0; i < VZ_COUNT_OF(lines); i++) {
        char body[256];
        snprintf(body, sizeof body, "{\"index\":{\"_id\":\"ok\"}}\n{}\n%s\n{\"a\":1}\n", lines[i]);
        struct vz_buf answer = {0};
        int status = call(w, "POST", "/nj/_bulk", body, &answer);
        if (status != 400)
            fail_msg("[%s] gave %d: %s", lines[i], status, answer.data);
        vz_buf_deinit(&answer);
    }
    expect(w, "HEAD", "/nj", NULL, 404, NULL); /* nothing of any of them was written */
}

static void many_items_in_chunks(void **state)
{
    enum { ITEMS = 20000 };
    struct world *w = *state;
    struct vz_buf body = {0}, answer = {0};
    expect(w, "PUT", "/many", "{\"mappings\":{\"properties\":{\"n\":{\"type\":\"integer\"}}}}", 200,
           NULL);
    for (int i = 0; i < ITEMS; i++) /* every tenth fails */
        vz_buf_printf(&body, "{\"index\":{\"_id\":\"%d\"}}\n{\"n\":%s}\n", i,
                      i % 10 == 9 ? "\"x\"" : "1");
    struct vz_http_answer got = {0};
    vz_rest_call(w->rest, "POST", "/many/_bulk?refresh=true", vz_buf_slice(&body), &got);
    answer = got.body;
    assert_int_equal(got.status, 200);
    assert_int_equal(occurrences(answer.data, "\"status\":201"), ITEMS / 10 * 9);
    assert_int_equal(occurrences(answer.data, "\"status\":400"), ITEMS / 10);
    assert_non_null(strstr(answer.data, "{\"index\":{\"_index\":\"many\",\"_id\":\"19998\""));
    assert_int_equal(count_docs(w, "many"), ITEMS / 10 * 9);
    vz_buf_deinit(&body);
    vz_buf_deinit(&answer);
}

/* Bytes of a good request changed, dropped, doubled or cut: the answer is well-formed and honest,
 * that is, as many documents are there as were acknowledged as created. */
static void mutations(void **state)
{
    static const char good[] =
        "{\"index\":{\"_index\":\"fz\",\"_id\":\"1\",\"routing\":\"r\"}}\n"
        "{\"a\":1,\"v\":[1,2,3]}\n"
        "{\"create\":{\"_index\":\"fz\",\"_id\":\"2\"}}\n"
        "{\"b\":{\"c\":\"text \\u00e4\"}}\n"
        "{\"update\":{\"_index\":\"fz\",\"_id\":\"1\",\"_source\":[\"a\"]}}\n"
        "{\"doc\":{\"a\":2},\"doc_as_upsert\":true}\n"
        "{\"delete\":{\"_index\":\"fz\",\"_id\":\"2\",\"if_seq_no\":0,"
        "\"if_primary_term\":1}}\n";
    struct world *w = *state;
    uint64_t seed = 20261120;
    print_message("seed %llu\n", (unsigned long long)seed);
    for (int round = 0; round < 800; round++) {
        char body[1024];
        size_t len = sizeof good - 1;
        memcpy(body, good, len);
        for (uint64_t n = 1 + vz_rng_next(&seed) % 3; n > 0 && len > 1; n--) {
            size_t at = vz_rng_next(&seed) % len;
            switch (vz_rng_next(&seed) % 4) {
            case 0:
                body[at] = (char)vz_rng_next(&seed);
                break;
            case 1:
                memmove(body + at, body + at + 1, len - at - 1);
                len--;
                break;
            case 2:
                memmove(body + at + 1, body + at, len - at);
                len++;
                break;
            case 3:
                body[at] = "{}[]\",:\n0a\\"[vz_rng_next(&seed) % 11];
                break;
            }
        }
        struct vz_http_answer got = {0};
        vz_rest_call(w->rest, "POST", "/_bulk?refresh=true", (struct vz_slice){body, len}, &got);
        assert_true(got.status == 200 || got.status == 400 || got.status == 404);
        struct vz_json_doc *doc;
        struct vz_json root;
        assert_int_equal(vz_json_parse(vz_buf_slice(&got.body), &doc, &root, NULL), VZ_OK);
        vz_json_free(doc);
        size_t created = occurrences(got.body.data, "\"result\":\"created\"");
        size_t deleted = occurrences(got.body.data, "\"result\":\"deleted\"");
        vz_buf_deinit(&got.body);
        struct vz_slice *names;
        struct vz_arena arena = {0};
        size_t there = 0, count = vz_store_names(w->store, &arena, &names);
        for (size_t i = 0; i < count; i++) {
            struct vz_index *index = vz_store_index(w->store, names[i]);
            struct vz_index_stats stats;
            vz_index_refresh(index, NULL);
            vz_index_stats(index, &stats);
            there += stats.docs;
            vz_index_release(index);
            vz_store_delete_index(w->store, names[i], NULL);
        }
        vz_arena_deinit(&arena);
        if (there != created - deleted)
            fail_msg("round %d: %zu documents are there, %zu created, %zu deleted: %.*s", round,
                     there, created, deleted, (int)len, body);
    }
}

struct loader {
    struct world *world;
    int id;
    size_t created;
};

static void *load(void *context)
{
    struct loader *loader = context;
    for (int round = 0; round < 20; round++) {
        struct vz_buf body = {0}, answer = {0};
        for (int i = 0; i < 50; i++) /* half of them are fought over by all threads */
            vz_buf_printf(&body, "{\"create\":{\"_id\":\"%d-%d\"}}\n{\"n\":%d}\n",
                          i % 2 ? loader->id : 0, round * 50 + i, i);
        if (call(loader->world, "POST", "/race/_bulk", body.data, &answer) == 200)
            loader->created += occurrences(answer.data, "\"status\":201");
        vz_buf_deinit(&body);
        vz_buf_deinit(&answer);
    }
    return NULL;
}

static void threads(void **state)
{
    struct loader loaders[4];
    pthread_t threads[4];
    size_t created = 0;
    for (int i = 0; i < 4; i++) {
        loaders[i] = (struct loader){.world = *state, .id = i + 1};
        pthread_create(&threads[i], NULL, load, &loaders[i]);
    }
    for (int i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
        created += loaders[i].created;
    }
    assert_int_equal(created, 4 * 500 + 500);
    assert_int_equal(count_docs(*state, "race"), created);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(white_space_and_line_ends, world_open, world_close),
        cmocka_unit_test_setup_teardown(no_json_no_action, world_open, world_close),
        cmocka_unit_test_setup_teardown(many_items_in_chunks, world_open, world_close),
        cmocka_unit_test_setup_teardown(mutations, world_open, world_close),
        cmocka_unit_test_setup_teardown(threads, world_open, world_close),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
