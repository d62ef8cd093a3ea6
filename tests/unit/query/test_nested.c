/* Texts of nested objects over the life of an index: deletes, updates, older snapshots, compaction,
 * closing; deadlines; many at once. Scores by plain BM25 over the objects, written out below. */
#include "support.h"

#include <math.h>
#include <pthread.h>

static struct fixture fixture;

static const char fox[] = "{\"query\":{\"nested\":{\"path\":\"c\",\"score_mode\":\"max\","
                          "\"query\":{\"match\":{\"c.t\":\"fox\"}}}},\"sort\":[\"_doc\"],"
                          "\"track_scores\":true}";

static struct vz_index *open_fixture(void)
{
    fixture_open(&fixture);
    return fixture_create(
        &fixture, "nests",
        "{\"mappings\":{\"properties\":{\"c\":{\"type\":\"nested\",\"properties\":{"
        "\"t\":{\"type\":\"text\"}}}}}}");
}

/* Of a term that stands once in an object of `length` words, all objects being as long. */
static double bm25(double with, double objects)
{
    return log(1 + (objects - with + 0.5) / (with + 0.5));
}

static void expect(struct vz_index *index, struct vz_snapshot *snap, const char *ids, double score)
{
    struct vz_search_target target = {.index = index, .snap = snap};
    struct answer answer;
    if (search_targets(&target, 1, fox, NULL, &answer) != VZ_OK)
        fail_msg("%s", answer.err.text);
    assert_string_equal(ids_of(&answer), ids);
    for (size_t i = 0; i < answer.result.hit_count; i++)
        if (fabs(answer.result.hits[i].score - score) > 1e-6)
            fail_msg("hit %zu scores %.7f instead of %.7f", i, answer.result.hits[i].score, score);
    answer_deinit(&answer);
}

static void delete_doc(struct vz_index *index, const char *id)
{
    struct vz_error err = {0};
    struct vz_write op = {.verb = VZ_WRITE_DELETE, .id = vz_slice_from(id)};
    must(vz_index_write(index, &op, 1, &(struct vz_write_options){0}, &err), &err);
}

static void test_life(void **state)
{
    struct vz_error err = {0};
    struct vz_index *index = open_fixture();
    expect(index, NULL, "", 0); /* nothing at all */
    put_doc(index, "1", "{\"c\":[{\"t\":\"red fox\"},{\"t\":\"red dog\"}]}");
    put_doc(index, "2", "{\"c\":{\"t\":\"blue fox\"}}");
    put_doc(index, "3", "{\"c\":{\"t\":\"blue bird\"}}");
    put_doc(index, "4", "{\"x\":1}");
    expect(index, NULL, "", 0); /* not refreshed */
    refresh(index);
    struct vz_snapshot *first = vz_index_snapshot(index);
    delete_doc(index, "1");
    put_doc(index, "3", "{\"c\":{\"t\":\"grey fox\"}}");
    refresh(index);
    /* Dead ones count until they are gone: 5 objects, 3 with the word. */
    expect(index, NULL, "2,3", bm25(3, 5));
    expect(index, first, "1,2", bm25(3, 5));
    put_doc(index, "5", "{\"c\":[{\"t\":\"no foxes\"}]}");
    refresh(index);
    expect(index, NULL, "2,3", bm25(3, 6));
    expect(index, first, "1,2", bm25(3, 6));
    must(vz_index_compact(index, &err), &err);
    refresh(index);
    expect(index, NULL, "2,3", bm25(2, 3));  /* 2, 3 and 5 are left */
    expect(index, first, "1,2", bm25(2, 4)); /* as it was */
    vz_snapshot_release(first);

    vz_index_release(index);
    fixture.index_count = 0;
    vz_store_close(fixture.store);
    must(vz_store_open(fixture.path, &(struct vz_store_options){.create = false}, &fixture.store,
                       &err),
         &err);
    index = vz_store_index(fixture.store, VZ_SLICE("nests"));
    fixture.index[fixture.index_count++] = index;
    expect(index, NULL, "2,3", bm25(2, 3));
    must(vz_store_delete_index(fixture.store, VZ_SLICE("nests"), &err), &err);
    fixture_close(&fixture);
}

#define MANY 3000

static void *ask_many(void *index)
{
    for (unsigned i = 0; i < 20; i++) {
        struct vz_search_target target = {.index = index};
        struct answer answer;
        assert_int_equal(search_targets(&target, 1, fox, NULL, &answer), VZ_OK);
        assert_true(answer.result.hit_count > 0);
        answer_deinit(&answer);
    }
    return NULL;
}

static void test_at_once(void **state)
{
    struct vz_index *index = open_fixture();
    pthread_t threads[4];
    struct vz_error err = {0};
    struct vz_arena arena = {0};
    struct vz_write *ops = vz_calloc(MANY, sizeof *ops);
    for (unsigned i = 0; i < MANY; i++)
        ops[i] = (struct vz_write){
            .verb = VZ_WRITE_INDEX,
            .id = vz_slice_from(vz_arena_printf(&arena, "%u", i)),
            .source = VZ_SLICE("{\"c\":[{\"t\":\"red fox\"},{\"t\":\"red dog\"}]}")};
    must(vz_index_write(index, ops, MANY, &(struct vz_write_options){0}, &err), &err);
    free(ops);
    vz_arena_deinit(&arena);
    refresh(index);
    /* A deadline that passes while the objects are read: nothing is found, nothing is lost. */
    struct vz_search_target target = {.index = index};
    char body[512];
    struct answer answer;
    snprintf(body, sizeof body, "{\"timeout\":\"1nanos\",%s", fox + 1);
    search_targets(&target, 1, body, NULL, &answer);
    assert_true(answer.result.timed_out || answer.status == VZ_CANCELLED);
    answer_deinit(&answer);
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, ask_many, index), 0);
    for (unsigned i = 0; i < 20; i++) {
        put_doc(index, "7", "{\"c\":[{\"t\":\"red fox\"},{\"t\":\"red dog\"}]}");
        refresh(index);
    }
    for (size_t i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    assert_ids(index, "{\"size\":1,\"query\":{\"ids\":{\"values\":[\"7\"]}}}", "7");
    fixture_close(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_life),
        cmocka_unit_test(test_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
