/* Closing, opening and copying: with readers in the way, over restarts, while others write. */
#include "store_support.h"

#include "store/index.h"
#include "store/templates.h"

#include <pthread.h>
#include <stdatomic.h>

static char *folder;
static struct vz_store *store;

#define MAPPING                                                                                    \
    "{\"mappings\":{\"properties\":{\"k\":{\"type\":\"keyword\"},\"t\":{\"type\":\"text\"},"       \
    "\"v\":{\"type\":\"dense_vector\",\"dims\":8,\"similarity\":\"l2_norm\"}}},"                   \
    "\"aliases\":{\"al\":{}}}"

static int setup(void **state)
{
    folder = temp_folder();
    store = open_store(folder);
    return 0;
}

static int teardown(void **state)
{
    vz_store_close(store);
    drop_folder(folder);
    return 0;
}

static void put_vectors(struct vz_index *index, unsigned from, unsigned to)
{
    for (unsigned i = from; i < to; i++) {
        struct vz_buf text = {0};
        char id[16];
        snprintf(id, sizeof id, "%u", i);
        vz_buf_printf(&text, "{\"k\":\"k%u\",\"t\":\"some words %u\",\"v\":", i % 7, i);
        append_vector(&text, i, 8);
        vz_buf_append_char(&text, '}');
        put_doc(index, id, text.data);
        vz_buf_deinit(&text);
    }
}

static void assert_docs(struct vz_index *index, uint64_t docs)
{
    struct vz_error err = {0};
    struct vz_index_stats stats;
    OK(vz_index_validate(index, &err));
    vz_index_stats(index, &stats);
    assert_int_equal(stats.docs, docs);
}

static void test_close_and_restart(void **state)
{
    struct vz_error err = {0};
    struct vz_index *index = make_index(store, "a", MAPPING);
    put_vectors(index, 0, 50);
    vz_index_release(index);
    OK(vz_store_close_index(store, VZ_SLICE("a"), &err));
    OK(vz_store_close_index(store, VZ_SLICE("a"), &err));
    assert_int_equal(vz_store_close_index(store, VZ_SLICE("none"), &err), VZ_NO_INDEX);
    index = vz_store_index(store, VZ_SLICE("a"));
    assert_true(vz_index_is_closed(index));
    struct vz_index_stats stats;
    vz_index_stats(index, &stats);
    assert_int_equal(stats.docs, 0);
    assert_int_equal(stats.memory_bytes, 0);
    assert_true(stats.disk_bytes > 0);
    vz_index_release(index);
    vz_store_close(store);
    store = open_store(folder);
    index = vz_store_index(store, VZ_SLICE("a"));
    assert_true(vz_index_is_closed(index));
    vz_index_release(index);
    OK(vz_store_open_index(store, VZ_SLICE("a"), &err));
    OK(vz_store_open_index(store, VZ_SLICE("a"), &err));
    index = vz_store_index(store, VZ_SLICE("a"));
    assert_false(vz_index_is_closed(index));
    assert_docs(index, 50);
    vz_index_release(index);
}

/* A scroll holds a snapshot over closing and opening: the same files are not opened twice. */
static void test_a_reader_in_the_way(void **state)
{
    struct vz_error err = {0};
    struct vz_index *index = make_index(store, "a", MAPPING);
    put_vectors(index, 0, 20);
    struct vz_snapshot *snap = vz_index_snapshot(index);
    OK(vz_store_close_index(store, VZ_SLICE("a"), &err));
    struct vz_write op = {.verb = VZ_WRITE_INDEX, .id = VZ_SLICE("x"), .source = VZ_SLICE("{}")};
    assert_int_equal(vz_index_write(index, &op, 1, NULL, &err), VZ_CLOSED);
    vz_index_release(index);
    assert_int_equal(vz_snapshot_doc_count(snap), 20);
    struct vz_index *shell = vz_store_index(store, VZ_SLICE("a"));
    struct vz_json_doc *doc;
    struct vz_json body;
    OK(vz_json_parse(VZ_SLICE("{\"properties\":{\"late\":{\"type\":\"long\"}}}"), &doc, &body,
                     &err));
    OK(vz_index_put_mapping(shell, body, &err));
    vz_json_free(doc);
    vz_index_release(shell);
    OK(vz_store_open_index(store, VZ_SLICE("a"), &err));
    index = vz_store_index(store, VZ_SLICE("a"));
    assert_ptr_equal(index, vz_snapshot_index(snap));
    put_doc(index, "new", "{\"late\":5}");
    assert_docs(index, 21);
    assert_int_equal(vz_snapshot_doc_count(snap), 20);
    struct vz_mapping *mapping = vz_index_mapping(index);
    assert_non_null(vz_mapping_find(mapping, VZ_SLICE("late")));
    vz_mapping_release(mapping);
    vz_index_release(index);
    /* And deleted while it is closed and still read. */
    OK(vz_store_close_index(store, VZ_SLICE("a"), &err));
    OK(vz_store_delete_index(store, VZ_SLICE("a"), &err));
    assert_int_equal(vz_snapshot_doc_count(snap), 20);
    vz_snapshot_release(snap);
    assert_null(vz_store_index(store, VZ_SLICE("a")));
}

#define WRITERS 3
static atomic_bool stop;
static atomic_uint acknowledged, refused;

static void *write_always(void *number_void)
{
    unsigned number = (unsigned)(uintptr_t)number_void;
    for (unsigned i = 0; !atomic_load(&stop); i++) {
        struct vz_index *index = vz_store_index(store, VZ_SLICE("a"));
        char id[32];
        struct vz_error err = {0};
        snprintf(id, sizeof id, "%u-%u", number, i);
        if (vz_index_is_closed(index)) {
            atomic_fetch_add(&refused, 1);
        } else {
            struct vz_write op = {.verb = VZ_WRITE_INDEX,
                                  .id = vz_slice_from(id),
                                  .source = VZ_SLICE("{\"k\":\"x\"}")};
            enum vz_status status = vz_index_write(index, &op, 1, NULL, &err);
            if (status == VZ_OK && op.status == VZ_OK)
                atomic_fetch_add(&acknowledged, 1);
            else if (status == VZ_CLOSED || op.status == VZ_CLOSED)
                atomic_fetch_add(&refused, 1);
            else
                fail_msg("%s", status == VZ_OK ? op.error.text : err.text);
        }
        vz_index_release(index);
    }
    return NULL;
}

static void test_writers_meanwhile(void **state)
{
    struct vz_error err = {0};
    pthread_t threads[WRITERS];
    vz_index_release(make_index(store, "a", MAPPING));
    atomic_store(&stop, false);
    for (uintptr_t i = 0; i < WRITERS; i++)
        pthread_create(&threads[i], NULL, write_always, (void *)i);
    for (int round = 0; round < 30; round++) {
        unsigned before = atomic_load(&acknowledged);
        for (int i = 0; i < 60000 && atomic_load(&acknowledged) == before; i++) /* a minute */
            usleep(1000);
        usleep(5000);
        OK(vz_store_close_index(store, VZ_SLICE("a"), &err));
        OK(vz_store_open_index(store, VZ_SLICE("a"), &err));
    }
    atomic_store(&stop, true);
    for (int i = 0; i < WRITERS; i++)
        pthread_join(threads[i], NULL);
    struct vz_index *index = vz_store_index(store, VZ_SLICE("a"));
    OK(vz_index_refresh(index, &err));
    assert_true(atomic_load(&acknowledged) > 0);
    assert_docs(index, atomic_load(&acknowledged));
    vz_index_release(index);
}

static void block_writes(struct vz_index *index, const char *body)
{
    struct vz_error err = {0};
    struct vz_json_doc *doc;
    struct vz_json root;
    OK(vz_json_parse(vz_slice_from(body), &doc, &root, &err));
    OK(vz_index_put_settings(index, root, &err));
    vz_json_free(doc);
}

static void test_copy(void **state)
{
    struct vz_error err = {0};
    struct vz_copy_options options = {.shards = 1};
    struct vz_arena arena = {0};
    struct vz_stored_doc was, is;
    struct vz_index *index = make_index(store, "a", MAPPING);
    put_vectors(index, 0, 300);
    put_vectors(index, 10, 20); /* versions 2 */
    assert_int_equal(vz_store_copy_index(store, index, VZ_SLICE("b"), &options, &err),
                     VZ_INTERNAL);
    block_writes(index, "{\"blocks.write\":true}");
    OK(vz_store_copy_index(store, index, VZ_SLICE("b"), &options, &err));
    assert_int_equal(vz_store_copy_index(store, index, VZ_SLICE("b"), &options, &err), VZ_EXISTS);
    assert_int_equal(vz_store_copy_index(store, index, VZ_SLICE("al"), &options, &err),
                     VZ_BAD_NAME);
    struct vz_index *copy = vz_store_index(store, VZ_SLICE("b"));
    assert_docs(copy, 300);
    for (unsigned i = 0; i < 300; i++) {
        char id[16];
        snprintf(id, sizeof id, "%u", i);
        OK(vz_index_get(index, vz_slice_from(id), VZ_DOC_SOURCE, &arena, &was, &err));
        OK(vz_index_get(copy, vz_slice_from(id), VZ_DOC_SOURCE, &arena, &is, &err));
        assert_true(vz_slice_eq(was.source, is.source));
        assert_int_equal(was.version, is.version);
        assert_int_equal(was.seq_no, is.seq_no);
    }
    vz_arena_deinit(&arena);
    block_writes(copy, "{\"blocks.write\":null}");
    put_vectors(copy, 300, 310);
    assert_docs(copy, 310);
    assert_docs(index, 300);
    vz_index_release(copy);
    vz_index_release(index);
    OK(vz_store_delete_index(store, VZ_SLICE("a"), &err));
    vz_store_close(store);
    store = open_store(folder);
    copy = vz_store_index(store, VZ_SLICE("b"));
    assert_docs(copy, 310);
    vz_index_release(copy);
}

static atomic_uint deleted_ids;

/* Versions of ids that never had a document, deleted while a compaction runs. */
static void *delete_unknown(void *index_void)
{
    for (unsigned i = 0; !atomic_load(&stop); i++) {
        char id[32];
        struct vz_error err = {0};
        snprintf(id, sizeof id, "unknown-%u", i);
        struct vz_write op = {.verb = VZ_WRITE_DELETE,
                              .id = vz_slice_from(id),
                              .has_version = true,
                              .version = 1000 + i};
        if (vz_index_write(index_void, &op, 1, NULL, &err) != VZ_OK || op.status != VZ_OK)
            fail_msg("%s %s", err.text, op.error.text);
        atomic_store(&deleted_ids, i + 1);
    }
    return NULL;
}

static void test_unknown_ids_deleted_while_compacting(void **state)
{
    struct vz_error err = {0};
    pthread_t thread;
    struct vz_index *index = make_index(store, "a", MAPPING);
    put_vectors(index, 0, 300);
    put_vectors(index, 0, 100); /* the dead */
    atomic_store(&stop, false);
    atomic_store(&deleted_ids, 0);
    pthread_create(&thread, NULL, delete_unknown, index);
    while (atomic_load(&deleted_ids) < 20)
        usleep(1000);
    /* On one processor a compaction can be through before the other thread has its turn. */
    unsigned before, during;
    int tries = 0;
    do {
        before = atomic_load(&deleted_ids);
        OK(vz_index_compact(index, &err));
        during = atomic_load(&deleted_ids);
    } while (during < before + 2 && ++tries < 1000);
    atomic_store(&stop, true);
    pthread_join(thread, NULL);
    assert_true(during >= before + 2); /* the first of them may have begun earlier */
    /* A version that comes late is told to be old, for each of them. */
    for (unsigned i = 0; i < atomic_load(&deleted_ids); i++) {
        char id[32];
        snprintf(id, sizeof id, "unknown-%u", i);
        struct vz_write op = {.verb = VZ_WRITE_INDEX,
                              .id = vz_slice_from(id),
                              .source = VZ_SLICE("{}"),
                              .has_version = true,
                              .version = 999 + i};
        OK(vz_index_write(index, &op, 1, NULL, &err));
        if (op.status != VZ_CONFLICT)
            fail_msg("the version of %s of %u is lost (%u were deleted by the end of the compaction)",
                     id, atomic_load(&deleted_ids), during);
    }
    OK(vz_index_validate(index, &err));
    vz_index_release(index);
}

/* A change that was past its look at `deleted` when its index went: the name is another's by now. */
static void test_a_late_change_of_a_deleted_index(void **state)
{
    struct vz_error err = {0};
    struct vz_json_doc *doc;
    struct vz_json body;
    struct vz_index *old = make_index(store, "a", MAPPING);
    OK(vz_store_delete_index(store, VZ_SLICE("a"), &err));
    struct vz_index *index = make_index(store, "a", MAPPING);
    put_vectors(index, 0, 20);
    vz_index_release(index);
    OK(vz_json_parse(VZ_SLICE("{\"properties\":{\"late\":{\"type\":\"keyword\"}}}"), &doc, &body,
                     &err));
    atomic_store(&old->deleted, false);
    assert_int_equal(vz_index_put_mapping(old, body, &err), VZ_NO_INDEX);
    atomic_store(&old->deleted, true);
    vz_json_free(doc);
    vz_index_release(old);
    vz_store_close(store);
    store = open_store(folder);
    index = vz_store_index(store, VZ_SLICE("a"));
    assert_non_null(index);
    assert_docs(index, 20);
    vz_index_release(index);
}

static void test_too_many_settings(void **state)
{
    struct vz_error err = {0};
    struct vz_json_doc *doc;
    struct vz_json body;
    struct vz_buf text = {0};
    struct vz_index *index = make_index(store, "a", MAPPING);
    for (unsigned i = 0; i < 10001; i++)
        vz_buf_printf(&text, "%c\"index.routing.x%u\":1", i ? ',' : '{', i);
    vz_buf_append_char(&text, '}');
    OK(vz_json_parse(vz_buf_slice(&text), &doc, &body, &err));
    assert_int_equal(vz_index_put_settings(index, body, &err), VZ_BAD_MAPPING);
    vz_json_free(doc);
    vz_buf_clear(&text);
    vz_index_print_settings(index, &text);
    assert_null(strstr(text.data, "x1\""));
    vz_buf_deinit(&text);
    vz_index_release(index);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_close_and_restart, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_reader_in_the_way, setup, teardown),
        cmocka_unit_test_setup_teardown(test_writers_meanwhile, setup, teardown),
        cmocka_unit_test_setup_teardown(test_copy, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_late_change_of_a_deleted_index, setup, teardown),
        cmocka_unit_test_setup_teardown(test_too_many_settings, setup, teardown),
        cmocka_unit_test_setup_teardown(test_unknown_ids_deleted_while_compacting, setup,
                                        teardown),
    };
    return cmocka_run_group_tests_name("store-openclose", tests, NULL, NULL);
}
