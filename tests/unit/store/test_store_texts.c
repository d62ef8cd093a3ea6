/* Texts in an index: what a view finds agrees with what it shows, after refreshes, deaths, lost
 * files, power losses, compactions, and while everything happens at once. */
#include "store_support.h"
#include "text/score.h"

#include <dirent.h>
#include <pthread.h>
#include <stdatomic.h>

static const char body[] =
    "{\"settings\":{\"refresh_interval\":\"-1\",\"analysis\":{\"normalizer\":{\"low\":{\"type\":"
    "\"custom\",\"filter\":[\"lowercase\"]}}}},\"mappings\":{\"properties\":{"
    "\"t\":{\"type\":\"text\",\"copy_to\":\"all\"},\"k\":{\"type\":\"keyword\",\"normalizer\":"
    "\"low\"},\"all\":{\"type\":\"text\",\"analyzer\":\"english\"}}}}";

/* Live documents of a snapshot that have a term. */
static size_t count_term(const struct vz_snapshot *snap, const char *path, const char *term)
{
    const struct vz_field *field = vz_mapping_find(vz_snapshot_mapping(snap), vz_slice_from(path));
    const struct vz_text_view *texts = vz_snapshot_texts(snap);
    struct vz_bitset bits;
    size_t count = 0;
    if (!field || !texts)
        return 0;
    vz_bitset_init(&bits, vz_snapshot_doc_limit(snap));
    vz_text_term_docs(texts, field->id, vz_slice_from(term), &bits);
    for (uint32_t d = 0; d < vz_snapshot_doc_limit(snap); d++)
        count += vz_bitset_has(&bits, d) && vz_snapshot_live(snap, d);
    vz_bitset_deinit(&bits);
    return count;
}

static size_t count_now(struct vz_index *index, const char *path, const char *term)
{
    struct vz_snapshot *snap = vz_index_snapshot(index);
    size_t count = count_term(snap, path, term);
    vz_snapshot_release(snap);
    return count;
}

static void validate(struct vz_index *index)
{
    struct vz_error err = {0};
    OK(vz_index_validate(index, &err));
}

static void put_many(struct vz_index *index, int from, int to)
{
    for (int i = from; i < to; i++) {
        char id[16], source[128];
        snprintf(id, sizeof id, "%d", i);
        snprintf(source, sizeof source,
                 "{\"t\":[\"common word%d\",\"running n%d\"],\"k\":\"Big%d\"}", i % 10, i, i % 3);
        put_doc(index, id, source);
    }
}

static void test_views_show_what_was_refreshed(void **state)
{
    char *path = temp_folder();
    struct vz_error err = {0};
    struct vz_store *store = open_store(path);
    struct vz_index *index = make_index(store, "texts", body);
    assert_int_equal(count_now(index, "t", "common"), 0);
    put_doc(index, "1", "{\"t\":\"Common Foxes\",\"k\":\"ONE\"}");
    assert_int_equal(count_now(index, "t", "common"), 1);
    assert_int_equal(count_now(index, "t", "foxes"), 1);
    assert_int_equal(count_now(index, "all", "fox"), 1);
    struct vz_snapshot *old = vz_index_snapshot(index);
    struct vz_write op = {
        .verb = VZ_WRITE_INDEX, .id = VZ_SLICE("2"), .source = VZ_SLICE("{\"t\":\"common\"}")};
    write_one(index, op, VZ_REFRESH_NONE);
    assert_int_equal(count_now(index, "t", "common"), 1);
    OK(vz_index_refresh(index, &err));
    assert_int_equal(count_now(index, "t", "common"), 2);
    put_doc(index, "1", "{\"t\":\"other\"}");
    assert_int_equal(count_now(index, "t", "common"), 1);
    assert_int_equal(count_term(old, "t", "common"), 1);
    assert_int_equal(count_term(old, "t", "foxes"), 1);
    struct vz_snapshot *snap = vz_index_snapshot(index);
    uint32_t ordinal;
    assert_true(vz_snapshot_term_ordinal(
        snap, vz_mapping_find(vz_snapshot_mapping(snap), VZ_SLICE("k"))->id, VZ_SLICE("one"),
        &ordinal));
    vz_snapshot_release(snap);
    vz_snapshot_release(old);
    validate(index);
    vz_index_release(index);
    vz_store_close(store);
    drop_folder(path);
}

/* Files text.* of all generations: removed, or counted. */
static size_t each_text_file(const char *path, bool remove)
{
    size_t count = 0;
    DIR *dir = opendir(path);
    for (struct dirent *entry; dir && (entry = readdir(dir));) {
        struct vz_buf child = {0};
        if (entry->d_name[0] == '.')
            continue;
        vz_buf_printf(&child, "%s/%s", path, entry->d_name);
        if (strncmp(entry->d_name, "text.", 5) == 0) {
            count++;
            if (remove)
                assert_int_equal(unlink(child.data), 0);
        } else {
            count += each_text_file(child.data, remove);
        }
        vz_buf_deinit(&child);
    }
    if (dir)
        closedir(dir);
    return count;
}

static void test_lost_postings_are_made_again(void **state)
{
    char *path = temp_folder();
    struct vz_error err = {0};
    struct vz_store *store = open_store(path);
    struct vz_index *index = make_index(store, "texts", body);
    put_many(index, 0, 200);
    for (int round = 0; round < 3; round++) {
        vz_index_release(index);
        vz_store_close(store);
        assert_true(each_text_file(path, round == 1) > 0);
        store = open_store(path);
        index = vz_store_index(store, VZ_SLICE("texts"));
        assert_non_null(index);
        assert_int_equal(count_now(index, "t", "common"), 200);
        assert_int_equal(count_now(index, "t", "word3"), 20);
        assert_int_equal(count_now(index, "all", "run"), 200);
        assert_int_equal(count_now(index, "t", "n17"), 1);
        validate(index);
    }
    put_many(index, 200, 210);
    assert_int_equal(count_now(index, "t", "common"), 210);
    OK(vz_index_settle(index, &err));
    struct vz_index_stats stats;
    vz_index_stats(index, &stats);
    assert_true(stats.text_bytes > 0);
    assert_true(stats.text_segments < 20);
    assert_int_equal(count_now(index, "t", "common"), 210);
    validate(index);
    vz_index_release(index);
    vz_store_close(store);
    drop_folder(path);
}

static void test_compaction_carries_texts_over(void **state)
{
    char *path = temp_folder();
    struct vz_error err = {0};
    struct vz_store *store = open_store(path);
    struct vz_index *index = make_index(store, "texts", body);
    put_many(index, 0, 50);
    put_many(index, 0, 30); /* 30 dead ones */
    struct vz_snapshot *old = vz_index_snapshot(index);
    OK(vz_index_compact(index, &err));
    assert_int_equal(count_now(index, "t", "common"), 50);
    assert_int_equal(count_term(old, "t", "common"), 50);
    vz_snapshot_release(old);
    put_many(index, 50, 60);
    assert_int_equal(count_now(index, "t", "common"), 60);
    validate(index);
    vz_index_release(index);
    vz_store_close(store);
    store = open_store(path);
    index = vz_store_index(store, VZ_SLICE("texts"));
    assert_int_equal(count_now(index, "t", "common"), 60);
    vz_index_release(index);
    vz_store_close(store);
    drop_folder(path);
}

/* Durability async: requests' memory is gone before the commit. */
static void test_async_texts_outlive_their_requests(void **state)
{
    char *path = temp_folder();
    struct vz_error err = {0};
    struct vz_store *store = open_store(path);
    struct vz_index *index = make_index(
        store, "texts",
        "{\"settings\":{\"translog\":{\"durability\":\"async\"},\"refresh_interval\":\"-1\"}}");
    for (int i = 0; i < 300; i++) {
        char id[16], source[64];
        snprintf(id, sizeof id, "%d", i);
        snprintf(source, sizeof source, "{\"t\":\"async Word%d\"}", i);
        struct vz_write op = {
            .verb = VZ_WRITE_INDEX, .id = vz_slice_from(id), .source = vz_slice_from(source)};
        assert_int_equal(write_one(index, op, VZ_REFRESH_NONE).status, VZ_OK);
    }
    OK(vz_index_refresh(index, &err));
    assert_int_equal(count_now(index, "t", "async"), 300);
    assert_int_equal(count_now(index, "t", "word299"), 1);
    validate(index);
    vz_index_release(index);
    vz_store_close(store);
    drop_folder(path);
}

/* ---- everything at once ---------------------------------------------------------------------- */

#define ROUNDS 300

struct shared {
    struct vz_index *index;
    _Atomic bool stop;
    _Atomic unsigned reads;
};
struct writer {
    struct shared *shared;
    int number;
};

/* Each call writes two documents with the same words, and takes the two before away. */
static void *write_pairs(void *writer_void)
{
    struct writer *writer = writer_void;
    for (int round = 0; round < ROUNDS; round++) {
        struct vz_error err = {0};
        char ids[2][32], sources[2][96];
        struct vz_write ops[2] = {{0}};
        for (int i = 0; i < 2; i++) {
            snprintf(ids[i], sizeof ids[i], "%d-%d-%d", writer->number, round % 20, i);
            snprintf(sources[i], sizeof sources[i], "{\"t\":\"pair writer%d r%d\"}", writer->number,
                     round);
            ops[i] = (struct vz_write){.verb = round % 7 == 6 ? VZ_WRITE_DELETE : VZ_WRITE_INDEX,
                                       .id = vz_slice_from(ids[i]),
                                       .source = vz_slice_from(sources[i])};
        }
        struct vz_write_options options = {.refresh =
                                               round % 5 ? VZ_REFRESH_NONE : VZ_REFRESH_TRUE};
        OK(vz_index_write(writer->shared->index, ops, 2, &options, &err));
    }
    return NULL;
}

/* A view has both or none, and its postings say what its documents say. */
static void *read_pairs(void *shared_void)
{
    struct shared *shared = shared_void;
    while (!atomic_load(&shared->stop)) {
        struct vz_snapshot *snap = vz_index_snapshot(shared->index);
        size_t count = count_term(snap, "t", "pair");
        assert_int_equal(count % 2, 0);
        assert_int_equal(count, vz_snapshot_doc_count(snap));
        assert_int_equal(count_term(snap, "t", "writer0") % 2, 0);
        vz_snapshot_release(snap);
        atomic_fetch_add(&shared->reads, 1);
    }
    return NULL;
}

static void test_writers_and_readers(void **state)
{
    char *path = temp_folder();
    struct vz_error err = {0};
    struct vz_store *store = open_store(path);
    struct vz_index *index = make_index(store, "texts", body);
    struct shared shared = {.index = index};
    struct writer writers[2] = {{&shared, 0}, {&shared, 1}};
    pthread_t write_threads[2], read_threads[2];
    for (int i = 0; i < 2; i++) {
        pthread_create(&write_threads[i], NULL, write_pairs, &writers[i]);
        pthread_create(&read_threads[i], NULL, read_pairs, &shared);
    }
    for (int i = 0; i < 3; i++) {
        OK(vz_index_settle(index, &err));
        OK(vz_index_compact(index, &err));
    }
    for (int i = 0; i < 2; i++)
        pthread_join(write_threads[i], NULL);
    atomic_store(&shared.stop, true);
    for (int i = 0; i < 2; i++)
        pthread_join(read_threads[i], NULL);
    OK(vz_index_refresh(index, &err));
    OK(vz_index_settle(index, &err));
    assert_true(atomic_load(&shared.reads) > 0);
    validate(index);
    vz_index_release(index);
    vz_store_close(store);
    drop_folder(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_views_show_what_was_refreshed),
        cmocka_unit_test(test_lost_postings_are_made_again),
        cmocka_unit_test(test_compaction_carries_texts_over),
        cmocka_unit_test(test_async_texts_outlive_their_requests),
        cmocka_unit_test(test_writers_and_readers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
