/* Everything at once: writers, readers, searches, refreshes, compactions, mapping changes. Run
 * under ThreadSanitizer too. What each reader sees must be a state that was. */
#include "store_support.h"

#include <pthread.h>
#include <stdatomic.h>

#define DIMS 16
#define IDS 40
#define WRITERS 3

static const char body[] =
    "{\"settings\":{\"refresh_interval\":\"10ms\"},\"mappings\":{\"properties\":{"
    "\"owner\":{\"type\":\"keyword\"},\"n\":{\"type\":\"long\"},"
    "\"v\":{\"type\":\"dense_vector\",\"dims\":16,\"similarity\":\"l2_norm\"}}}}";

struct shared {
    struct vz_index *index;
    _Atomic bool stop;
    _Atomic unsigned writes, reads;
    int rounds;
};
struct thread {
    struct shared *shared;
    int number;
};

/* Both documents of a pair are written by one call with the same n. */
static void *write_pairs(void *thread_void)
{
    struct thread *t = thread_void;
    struct vz_buf texts[2] = {{0}};
    uint64_t rng = (uint64_t)t->number + 5;
    for (int round = 0; round < t->shared->rounds; round++) {
        struct vz_error err = {0};
        char ids[2][16];
        struct vz_write ops[2] = {{0}};
        int pair = (int)(vz_rng_next(&rng) % IDS);
        bool gone = vz_rng_next(&rng) % 5 == 0;
        for (int i = 0; i < 2; i++) {
            snprintf(ids[i], sizeof ids[i], "%d-%d-%d", t->number, pair, i);
            vz_buf_clear(&texts[i]);
            vz_buf_printf(&texts[i], "{\"owner\":\"w%d\",\"n\":%d,\"x%d\":1,\"v\":", t->number,
                          round, round / 100);
            append_vector(&texts[i], (uint64_t)(round * 2 + i), DIMS);
            vz_buf_append_char(&texts[i], '}');
            ops[i] = (struct vz_write){.verb = gone ? VZ_WRITE_DELETE : VZ_WRITE_INDEX,
                                       .id = vz_slice_from(ids[i]),
                                       .source = vz_buf_slice(&texts[i])};
        }
        struct vz_write_options options = {.refresh =
                                               round % 50 ? VZ_REFRESH_NONE : VZ_REFRESH_WAIT_FOR};
        OK(vz_index_write(t->shared->index, ops, 2, &options, &err));
        assert_int_equal(ops[0].status, VZ_OK);
        assert_int_equal(ops[1].status, VZ_OK);
        atomic_fetch_add(&t->shared->writes, 2);
    }
    vz_buf_deinit(&texts[0]);
    vz_buf_deinit(&texts[1]);
    return NULL;
}

static bool n_of(struct vz_snapshot *snap, const char *id, int64_t *n)
{
    uint32_t docno;
    struct vz_error err = {0};
    struct vz_column column;
    if (vz_snapshot_find(snap, vz_slice_from(id), &docno, &err) != VZ_OK)
        return false;
    vz_snapshot_column(snap, vz_mapping_find(vz_snapshot_mapping(snap), VZ_SLICE("n"))->id,
                       &column);
    size_t at = vz_column_find(&column, docno);
    assert_true(at < column.count);
    *n = column.i64[at];
    return true;
}

static void *read_pairs(void *thread_void)
{
    struct thread *t = thread_void;
    uint64_t rng = (uint64_t)t->number + 50;
    while (!atomic_load(&t->shared->stop)) {
        struct vz_snapshot *snap = vz_index_snapshot(t->shared->index);
        struct vz_knn_hit hits[5], again[5];
        float query[DIMS];
        uint32_t live = 0;
        for (uint32_t d = 0; d < vz_snapshot_doc_limit(snap); d++)
            live += vz_snapshot_live(snap, d);
        assert_int_equal(live, vz_snapshot_doc_count(snap));
        for (int i = 0; i < 20; i++) {
            char left[16], right[16];
            int64_t a = -1, b = -1;
            int writer = (int)(vz_rng_next(&rng) % WRITERS), pair = (int)(vz_rng_next(&rng) % IDS);
            snprintf(left, sizeof left, "%d-%d-0", writer, pair);
            snprintf(right, sizeof right, "%d-%d-1", writer, pair);
            assert_int_equal(n_of(snap, left, &a), n_of(snap, right, &b));
            assert_int_equal(a, b);
        }
        random_vector(vz_rng_next(&rng), query, DIMS);
        size_t found = knn_of(snap, "v", query, 5, NULL, false, hits);
        assert_int_equal(found, VZ_MIN(live, 5u));
        for (size_t i = 0; i < found; i++)
            assert_true(vz_snapshot_live(snap, hits[i].docno));
        assert_int_equal(knn_of(snap, "v", query, 5, NULL, true, hits), found);
        assert_int_equal(knn_of(snap, "v", query, 5, NULL, true, again), found);
        assert_memory_equal(hits, again, found * sizeof *hits);
        vz_snapshot_release(snap);
        atomic_fetch_add(&t->shared->reads, 1);
    }
    return NULL;
}

static void *disturb(void *thread_void)
{
    struct thread *t = thread_void;
    struct vz_index_stats stats;
    while (!atomic_load(&t->shared->stop)) {
        struct vz_error err = {0};
        OK(vz_index_compact(t->shared->index, &err));
        OK(vz_index_refresh(t->shared->index, &err));
        OK(vz_index_settle(t->shared->index, &err));
        vz_index_stats(t->shared->index, &stats);
        OK(vz_index_validate(t->shared->index, &err));
        usleep(2000);
    }
    return NULL;
}

static void test_readers_see_states_that_were(void **state)
{
    struct vz_error err = {0};
    char *path = temp_folder();
    struct vz_store *store = open_store(path);
    struct shared shared = {.index = make_index(store, "dogs", body), .rounds = 400};
    struct thread threads[WRITERS + 3];
    pthread_t handles[WRITERS + 3];
    void *(*const mains[WRITERS + 3])(void *) = {write_pairs, write_pairs, write_pairs,
                                                 read_pairs,  read_pairs,  disturb};
    for (int i = 0; i < WRITERS + 3; i++) {
        threads[i] = (struct thread){&shared, i};
        pthread_create(&handles[i], NULL, mains[i], &threads[i]);
    }
    for (int i = 0; i < WRITERS; i++)
        pthread_join(handles[i], NULL);
    atomic_store(&shared.stop, true);
    for (int i = WRITERS; i < WRITERS + 3; i++)
        pthread_join(handles[i], NULL);
    OK(vz_index_validate(shared.index, &err));
    printf("%u writes, %u reads\n", atomic_load(&shared.writes), atomic_load(&shared.reads));
    vz_index_release(shared.index);
    vz_store_close(store);
    drop_folder(path);
}

static void *create_and_drop(void *thread_void)
{
    struct thread *t = thread_void;
    struct vz_store *store = (struct vz_store *)(void *)t->shared->index;
    for (int i = 0; i < 15; i++) {
        struct vz_error err = {0};
        char name[16];
        snprintf(name, sizeof name, "i%d", i % 3);
        enum vz_status status =
            vz_store_create_index(store, vz_slice_from(name), (struct vz_json){0}, &err);
        assert_true(status == VZ_OK || status == VZ_EXISTS);
        struct vz_index *index = vz_store_index(store, vz_slice_from(name));
        if (index) {
            struct vz_write op = {
                .verb = VZ_WRITE_INDEX, .id = VZ_SLICE("1"), .source = VZ_SLICE("{\"a\":1}")};
            status = vz_index_write(index, &op, 1, NULL, &err);
            assert_true(status == VZ_OK || status == VZ_NO_INDEX);
            vz_index_release(index);
        }
        if (i % 2) {
            status = vz_store_delete_index(store, vz_slice_from(name), &err);
            assert_true(status == VZ_OK || status == VZ_NO_INDEX);
        }
    }
    return NULL;
}

static void test_indices_come_and_go(void **state)
{
    char *path = temp_folder();
    struct vz_store *store = open_store(path);
    struct shared shared = {.index = (struct vz_index *)(void *)store};
    struct thread threads[3];
    pthread_t handles[3];
    for (int i = 0; i < 3; i++) {
        threads[i] = (struct thread){&shared, i};
        pthread_create(&handles[i], NULL, create_and_drop, &threads[i]);
    }
    for (int i = 0; i < 3; i++)
        pthread_join(handles[i], NULL);
    vz_store_close(store);
    store = open_store(path);
    struct vz_arena arena = {0};
    struct vz_slice *names;
    size_t count = vz_store_names(store, &arena, &names);
    for (size_t i = 0; i < count; i++) {
        struct vz_error err = {0};
        struct vz_index *index = vz_store_index(store, names[i]);
        assert_non_null(index);
        OK(vz_index_validate(index, &err));
        vz_index_release(index);
    }
    vz_arena_deinit(&arena);
    vz_store_close(store);
    drop_folder(path);
}

/* Many threads ask for indices of a store just opened, whose columns must be made anew, while some
 * of them are deleted: one opening each, and no answer from a half-opened or deleted one. */
static void *open_and_read(void *thread_void)
{
    struct thread *t = thread_void;
    struct vz_store *store = (struct vz_store *)(void *)t->shared->index;
    uint64_t rng = (uint64_t)t->number + 99;
    for (int i = 0; i < 12; i++) {
        char name[16];
        struct vz_error err = {0};
        int which = (int)(vz_rng_next(&rng) % 4);
        snprintf(name, sizeof name, "o%d", which);
        struct vz_index *index = vz_store_index(store, vz_slice_from(name));
        assert_true(index || which == 3); /* the last one is deleted by somebody */
        if (index) {
            struct vz_snapshot *snap = vz_index_snapshot(index);
            assert_int_equal(vz_snapshot_doc_count(snap), 300);
            vz_snapshot_release(snap);
            vz_index_release(index);
        }
        if (i == 6 && t->number == 0) {
            enum vz_status status = vz_store_delete_index(store, VZ_SLICE("o3"), &err);
            assert_true(status == VZ_OK);
        }
    }
    return NULL;
}

static void test_opening_at_once(void **state)
{
    enum { THREADS = 4 };
    char *path = temp_folder();
    struct vz_store *store = open_store(path);
    for (int i = 0; i < 4; i++) {
        char name[16];
        snprintf(name, sizeof name, "o%d", i);
        struct vz_index *index = make_index(store, name, body);
        for (int d = 0; d < 300; d++) {
            char id[16], source[64];
            struct vz_error err = {0};
            snprintf(id, sizeof id, "%d", d);
            snprintf(source, sizeof source, "{\"owner\":\"w\",\"n\":%d}", d);
            struct vz_write op = {
                .verb = VZ_WRITE_INDEX, .id = vz_slice_from(id), .source = vz_slice_from(source)};
            OK(vz_index_write(index, &op, 1, NULL, &err));
            if (d == 299)
                OK(vz_index_refresh(index, &err));
        }
        vz_index_release(index);
    }
    vz_store_close(store);
    struct vz_buf command = {0};
    vz_buf_printf(&command, "rm '%s'/indices/*/1/col.*", path);
    assert_int_equal(system(command.data), 0);
    vz_buf_deinit(&command);
    store = open_store(path);
    struct shared shared = {.index = (struct vz_index *)(void *)store};
    struct thread threads[THREADS];
    pthread_t handles[THREADS];
    for (int i = 0; i < THREADS; i++) {
        threads[i] = (struct thread){&shared, i};
        pthread_create(&handles[i], NULL, open_and_read, &threads[i]);
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(handles[i], NULL);
    assert_null(vz_store_index(store, VZ_SLICE("o3")));
    vz_store_close(store);
    drop_folder(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_readers_see_states_that_were),
        cmocka_unit_test(test_indices_come_and_go),
        cmocka_unit_test(test_opening_at_once),
    };
    return cmocka_run_group_tests_name("store-threads", tests, NULL, NULL);
}
