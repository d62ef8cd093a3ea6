/* What goes wrong: a full disk, a read-only folder, files that a crash left half done, files that
 * were damaged, a memory budget. Full and read-only folders need a small tmpfs, so root; elsewhere
 * these cases are skipped aloud. */
#include "store_support.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <lmdb.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define DIMS 64

static const char body[] =
    "{\"mappings\":{\"properties\":{\"tag\":{\"type\":\"keyword\"},\"n\":{\"type\":\"long\"},"
    "\"v\":{\"type\":\"dense_vector\",\"dims\":64,\"similarity\":\"cosine\"}}}}";

static void source_of(int n, struct vz_buf *out)
{
    vz_buf_clear(out);
    vz_buf_printf(out, "{\"tag\":\"t%d\",\"n\":%d,\"v\":", n, n);
    append_vector(out, (uint64_t)n, DIMS);
    vz_buf_append_char(out, '}');
}

/* Writes documents [first, last) in one call; its status. */
static enum vz_status put_range(struct vz_index *index, int first, int last, struct vz_error *err)
{
    struct vz_write ops[200] = {{0}};
    struct vz_buf texts[200] = {{0}};
    char ids[200][16];
    int count = last - first;
    for (int i = 0; i < count; i++) {
        snprintf(ids[i], sizeof ids[i], "%d", first + i);
        source_of(first + i, &texts[i]);
        ops[i] = (struct vz_write){
            .verb = VZ_WRITE_INDEX, .id = vz_slice_from(ids[i]), .source = vz_buf_slice(&texts[i])};
    }
    enum vz_status status = vz_index_write(index, ops, (size_t)count, NULL, err);
    for (int i = 0; i < count; i++) {
        if (status == VZ_OK)
            assert_int_equal(ops[i].status, VZ_OK);
        vz_buf_deinit(&texts[i]);
    }
    return status;
}

static void reopen_and_check(const char *path, int count);

static void check_range(struct vz_index *index, int count)
{
    struct vz_error err = {0};
    struct vz_arena arena = {0};
    struct vz_buf text = {0};
    for (int n = 0; n < count; n++) {
        char id[16];
        struct vz_stored_doc doc;
        snprintf(id, sizeof id, "%d", n);
        source_of(n, &text);
        OK(vz_index_get(index, vz_slice_from(id), VZ_DOC_SOURCE, &arena, &doc, &err));
        assert_true(vz_slice_eq(doc.source, vz_buf_slice(&text)));
        vz_arena_reset(&arena);
    }
    OK(vz_index_refresh(index, &err));
    struct vz_snapshot *snap = vz_index_snapshot(index);
    assert_int_equal(vz_snapshot_doc_count(snap), count);
    vz_snapshot_release(snap);
    OK(vz_index_validate(index, &err));
    vz_buf_deinit(&text);
    vz_arena_deinit(&arena);
}

/* A tmpfs of `megabytes`; NULL (and words) when this user may not mount. */
static char *small_disk(unsigned megabytes)
{
    char *path = temp_folder(), options[32];
    snprintf(options, sizeof options, "size=%um", megabytes);
    if (mount("tmpfs", path, "tmpfs", 0, options) == 0)
        return path;
    printf("SKIPPED: cannot mount a small tmpfs here (%s)\n", strerror(errno));
    drop_folder(path);
    return NULL;
}

static void drop_disk(char *path)
{
    umount2(path, MNT_DETACH);
    drop_folder(path);
}

/* Takes up what is free but `leave` bytes. The graph thread may take some of it meanwhile: what is
 * free is asked again. */
static void fill_disk(const char *path, size_t leave)
{
    char name[256];
    snprintf(name, sizeof name, "%s/filler", path);
    int fd = open(name, O_CREAT | O_WRONLY, 0644);
    assert_true(fd >= 0);
    int failed = ENOSPC;
    for (int tries = 0; failed == ENOSPC && tries < 1000; tries++) {
        uint64_t free_bytes = vz_disk_free_bytes(path);
        failed = free_bytes > leave ? posix_fallocate(fd, 0, (off_t)(free_bytes - leave)) : 0;
    }
    assert_int_equal(failed, 0);
    close(fd);
}

static void empty_disk(const char *path)
{
    char name[256];
    snprintf(name, sizeof name, "%s/filler", path);
    unlink(name);
}

static void test_a_full_disk_loses_nothing(void **state)
{
    char *path = small_disk(24);
    if (!path)
        skip();
    struct vz_error err = {0};
    struct vz_store *store = open_store(path);
    struct vz_index *index = make_index(store, "dogs", body);
    int written = 0, refusals = 0;
    /* Every amount of room left: the failure moves through rows, columns, pages of truth. */
    for (int kilobytes = 0; kilobytes <= 160; kilobytes += 4) {
        fill_disk(path, (size_t)kilobytes << 10);
        for (int tries = 0; tries < 30; tries++) {
            err = (struct vz_error){0};
            enum vz_status status = put_range(index, written, written + 20, &err);
            if (status == VZ_OK) {
                written += 20;
                continue;
            }
            assert_int_equal(status, VZ_DISK_FULL);
            assert_true(err.text[0] != '\0');
            refusals++;
            break;
        }
        check_range(index, written);
        empty_disk(path);
    }
    assert_true(refusals > 20);
    printf("%d documents, %d refusals\n", written, refusals);
    OK(put_range(index, written, written + 20, &err));
    written += 20;
    check_range(index, written);
    vz_index_release(index);
    vz_store_close(store);
    store = open_store(path);
    index = vz_store_index(store, VZ_SLICE("dogs"));
    check_range(index, written);
    /* The registry and new indices, too. */
    fill_disk(path, 0);
    assert_int_equal(vz_store_create_index(store, VZ_SLICE("cats"), (struct vz_json){0}, &err),
                     VZ_DISK_FULL);
    assert_null(vz_store_index(store, VZ_SLICE("cats")));
    empty_disk(path);
    OK(vz_store_create_index(store, VZ_SLICE("cats"), (struct vz_json){0}, &err));
    vz_index_release(index);
    vz_store_close(store);
    drop_disk(path);
}

static void test_a_full_disk_fails_a_compaction_only(void **state)
{
    char *path = small_disk(24);
    if (!path)
        skip();
    struct vz_error err = {0};
    struct vz_store *store = open_store(path);
    struct vz_index *index = make_index(store, "dogs", body);
    for (int i = 0; i < 1000; i += 200)
        OK(put_range(index, i, i + 200, &err));
    OK(put_range(index, 0, 200, &err));
    fill_disk(path, 100 << 10);
    assert_int_equal(vz_index_compact(index, &err), VZ_DISK_FULL);
    check_range(index, 1000);
    empty_disk(path);
    OK(vz_index_compact(index, &err));
    check_range(index, 1000);
    vz_index_release(index);
    vz_store_close(store);
    drop_disk(path);
}

/* A graph that cannot be saved is no loss: answers stay right, the checkpoint there is stays. */
static void test_a_full_disk_spares_the_graph(void **state)
{
    char *path = small_disk(24);
    if (!path)
        skip();
    struct vz_error err = {0};
    struct vz_store *store = open_store(path);
    struct vz_index *index = make_index(store, "dogs", body);
    OK(put_range(index, 0, 200, &err));
    OK(vz_index_settle(index, &err));
    for (int i = 200; i < 1000; i += 200)
        OK(put_range(index, i, i + 200, &err));
    fill_disk(path, 8 << 10);
    assert_int_equal(vz_index_settle(index, &err), VZ_DISK_FULL);
    check_range(index, 1000);
    empty_disk(path);
    vz_index_release(index);
    vz_store_close(store);
    reopen_and_check(path, 1000);
    drop_disk(path);
}

/* Durability async: the commit comes after the answer. When it fails, who waits for the refresh is
 * told so and does not wait for ever. */
static void test_async_losses_end_the_wait(void **state)
{
    char *path = small_disk(24);
    if (!path)
        skip();
    struct vz_error err = {0};
    struct vz_store *store = open_store(path);
    struct vz_index *index = make_index(
        store, "dogs",
        "{\"settings\":{\"index\":{\"translog\":{\"durability\":\"async\"}}},\"mappings\":{"
        "\"properties\":{\"o\":{\"type\":\"object\",\"enabled\":false}}}}");
    struct vz_buf text = {0};
    uint64_t rng = 5;
    vz_buf_append_str(&text, "{\"o\":{\"t\":\"");
    for (int i = 0; i < 300000; i++)
        vz_buf_append_char(&text, (char)('a' + vz_rng_next(&rng) % 26));
    vz_buf_append_str(&text, "\"}}");
    static const enum vz_refresh ways[] = {VZ_REFRESH_WAIT_FOR, VZ_REFRESH_TRUE};
    for (size_t i = 0; i < VZ_COUNT_OF(ways); i++) {
        struct vz_write op = {
            .verb = VZ_WRITE_INDEX, .id = VZ_SLICE("1"), .source = vz_buf_slice(&text)};
        struct vz_write_options options = {.refresh = ways[i]};
        fill_disk(path, 0);
        alarm(120);
        assert_int_not_equal(vz_index_write(index, &op, 1, &options, &err), VZ_OK);
        alarm(0);
        check_range(index, 0);
        empty_disk(path);
        OK(vz_index_write(index, &op, 1, &options, &err));
        op.verb = VZ_WRITE_DELETE;
        OK(vz_index_write(index, &op, 1, &options, &err));
    }
    vz_buf_deinit(&text);
    vz_index_release(index);
    vz_store_close(store);
    drop_disk(path);
}

static void test_a_read_only_folder_says_so(void **state)
{
    char *path = small_disk(24);
    if (!path)
        skip();
    struct vz_error err = {0};
    struct vz_store *store = open_store(path);
    struct vz_index *index = make_index(store, "dogs", body);
    OK(put_range(index, 0, 100, &err));
    vz_index_release(index);
    vz_store_close(store);
    assert_int_equal(mount(NULL, path, NULL, MS_REMOUNT | MS_RDONLY, NULL), 0);
    assert_int_equal(vz_store_open(path, &(struct vz_store_options){0}, &store, &err),
                     VZ_READ_ONLY);
    assert_non_null(strstr(err.text, path));
    assert_int_equal(mount(NULL, path, NULL, MS_REMOUNT, NULL), 0);
    store = open_store(path);
    index = vz_store_index(store, VZ_SLICE("dogs"));
    check_range(index, 100);
    vz_index_release(index);
    vz_store_close(store);
    drop_disk(path);
}

static void test_an_absent_folder_is_not_made(void **state)
{
    struct vz_error err = {0};
    struct vz_store *store;
    assert_int_equal(
        vz_store_open("/nonexistent/data", &(struct vz_store_options){0}, &store, &err),
        VZ_NOT_FOUND);
}

/* ---- after a crash ------------------------------------------------------------------------- */

/* The generation's folder of the only index. */
static void generation_of(const char *path, char out[512])
{
    char indices[200];
    snprintf(indices, sizeof indices, "%s/indices", path);
    DIR *dir = opendir(indices);
    struct dirent *entry;
    out[0] = '\0';
    while ((entry = readdir(dir)))
        if (entry->d_name[0] != '.')
            snprintf(out, 512, "%s/%.100s/1", indices, entry->d_name);
    closedir(dir);
    assert_true(out[0]);
}

/* A child writes and leaves without closing anything. */
static void write_and_die(const char *path, int count)
{
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        struct vz_error err = {0};
        struct vz_store *store = open_store(path);
        struct vz_index *index = vz_store_index(store, VZ_SLICE("dogs"));
        if (!index)
            index = make_index(store, "dogs", body);
        for (int i = 0; i < count; i += 100)
            if (put_range(index, i, i + 100, &err) != VZ_OK)
                _exit(1);
        _exit(0);
    }
    int status;
    waitpid(pid, &status, 0);
    assert_int_equal(status, 0);
}

static void append_garbage(const char *dir, const char *file)
{
    char name[600], garbage[5000];
    memset(garbage, 0xA5, sizeof garbage);
    snprintf(name, sizeof name, "%s/%s", dir, file);
    int fd = open(name, O_WRONLY | O_APPEND);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, garbage, sizeof garbage), sizeof garbage);
    close(fd);
}

static void reopen_and_check(const char *path, int count)
{
    struct vz_error err = {0};
    struct vz_store *store = open_store(path);
    struct vz_index *index = vz_store_index(store, VZ_SLICE("dogs"));
    assert_non_null(index);
    check_range(index, count);
    float query[DIMS];
    struct vz_knn_hit hit;
    struct vz_snapshot *snap = vz_index_snapshot(index);
    for (int n = 0; n < count; n += 13) {
        uint32_t docno;
        char id[16];
        snprintf(id, sizeof id, "%d", n);
        random_vector((uint64_t)n, query, DIMS);
        OK(vz_snapshot_find(snap, vz_slice_from(id), &docno, &err));
        assert_int_equal(knn_of(snap, "v", query, 1, NULL, false, &hit), 1);
        assert_int_equal(hit.docno, docno);
    }
    vz_snapshot_release(snap);
    vz_index_release(index);
    vz_store_close(store);
}

static void test_what_a_crash_left_is_mended(void **state)
{
    char *path = temp_folder(), dir[512], name[600];
    write_and_die(path, 1000);
    generation_of(path, dir);
    append_garbage(dir, "vec.2");
    append_garbage(dir, "col.0.docs");
    append_garbage(dir, "col.1.vals");
    append_garbage(dir, "doc.2");
    snprintf(name, sizeof name, "%s/graph.2.tmp", dir);
    /* Another generation that a compaction left half made, and an index nobody knows. */
    snprintf(name, sizeof name, "%.*s/2", (int)(strlen(dir) - 2), dir);
    assert_int_equal(mkdir(name, 0755), 0);
    reopen_and_check(path, 1000);
    assert_int_equal(access(name, F_OK), -1);
    drop_folder(path);
}

/* Derived files may vanish or be damaged without a loss. */
/* Puts `text` for `name` into the registry, behind the store's back. */
static void register_text(const char *path, const char *name, const char *text)
{
    char file[600], key_text[64], value_text[64];
    MDB_env *env;
    MDB_txn *txn;
    MDB_dbi dbi;
    snprintf(file, sizeof file, "%s/meta.mdb", path);
    snprintf(key_text, sizeof key_text, "%s", name);
    snprintf(value_text, sizeof value_text, "%s", text);
    MDB_val key = {strlen(key_text), key_text}, value = {strlen(value_text), value_text};
    assert_int_equal(mdb_env_create(&env), 0);
    assert_int_equal(mdb_env_set_maxdbs(env, 8), 0);
    assert_int_equal(mdb_env_open(env, file, MDB_NOSUBDIR, 0644), 0);
    assert_int_equal(mdb_txn_begin(env, NULL, 0, &txn), 0);
    assert_int_equal(mdb_dbi_open(txn, "indices", 0, &dbi), 0);
    assert_int_equal(mdb_put(txn, dbi, &key, &value, 0), 0);
    assert_int_equal(mdb_txn_commit(txn), 0);
    mdb_env_close(env);
}

/* An index whose entry cannot be read keeps its folder: to sweep it would be to delete documents
 * because of one damaged page, or of a setting that a newer program wrote. */
static void test_an_unreadable_entry_loses_no_folder(void **state)
{
    char *path = temp_folder(), dir[512];
    struct stat info;
    write_and_die(path, 100);
    generation_of(path, dir);
    register_text(path, "dogs", "{\"uuid\":");
    struct vz_store *store = open_store(path);
    assert_null(vz_store_index(store, VZ_SLICE("dogs")));
    struct vz_error err = {0};
    assert_int_not_equal(vz_store_create_index(store, VZ_SLICE("dogs"), (struct vz_json){0}, &err),
                         VZ_OK);
    vz_store_close(store);
    assert_int_equal(stat(dir, &info), 0);
    drop_folder(path);
}

static void test_derived_files_are_made_anew(void **state)
{
    static const char *const files[] = {"col.0.docs", "col.0.vals", "col.1.docs", "col.1.vals",
                                        "col.2.docs", "doc.2",      "graph.2"};
    char *path = temp_folder(), dir[512], name[600];
    struct vz_error err = {0};
    struct vz_store *store = open_store(path);
    struct vz_index *index = make_index(store, "dogs", body);
    for (int i = 0; i < 1000; i += 100)
        OK(put_range(index, i, i + 100, &err));
    OK(vz_index_settle(index, &err));
    vz_index_release(index);
    vz_store_close(store);
    generation_of(path, dir);
    for (size_t i = 0; i < VZ_COUNT_OF(files); i++) {
        snprintf(name, sizeof name, "%s/%s", dir, files[i]);
        assert_int_equal(access(name, F_OK), 0);
        assert_int_equal(i % 2 ? truncate(name, 100) : unlink(name), 0);
        reopen_and_check(path, 1000);
    }
    drop_folder(path);
}

/* Truth that is damaged is reported, not served. */
static void test_missing_rows_are_an_error(void **state)
{
    char *path = temp_folder(), dir[512], name[600];
    write_and_die(path, 300);
    generation_of(path, dir);
    snprintf(name, sizeof name, "%s/vec.2", dir);
    assert_int_equal(truncate(name, 1000), 0);
    struct vz_store *store = open_store(path);
    assert_null(vz_store_index(store, VZ_SLICE("dogs")));
    vz_store_close(store);
    drop_folder(path);
}

/* The validator must see what it is there to see. */
static void test_validation_notices(void **state)
{
    static const struct {
        const char *file;
        off_t at;
    } damage[] = {
        {"col.0.docs", 40},
        {"col.0.vals", 40},
        {"col.1.vals", 80},
        {"doc.2", 400},
    };
    for (size_t i = 0; i < VZ_COUNT_OF(damage); i++) {
        char *path = temp_folder(), dir[512], name[600];
        struct vz_error err = {0};
        struct vz_store *store = open_store(path);
        struct vz_index *index = make_index(store, "dogs", body);
        OK(put_range(index, 0, 200, &err));
        OK(vz_index_validate(index, &err));
        generation_of(path, dir);
        snprintf(name, sizeof name, "%s/%s", dir, damage[i].file);
        int fd = open(name, O_WRONLY);
        assert_int_equal(pwrite(fd, "\x77\x01", 2, damage[i].at), 2);
        close(fd);
        assert_int_equal(vz_index_validate(index, &err), VZ_CORRUPT);
        printf("%s: %s\n", damage[i].file, err.text);
        vz_index_release(index);
        vz_store_close(store);
        drop_folder(path);
    }
}

static void test_the_budget_refuses(void **state)
{
    char *path = temp_folder();
    struct vz_error err = {0};
    struct vz_store *store;
    struct vz_store_options options = {.create = true, .max_memory_bytes = 200 << 10};
    OK(vz_store_open(path, &options, &store, &err));
    struct vz_index *index = make_index(store, "dogs", body);
    enum vz_status status = VZ_OK;
    int written = 0;
    while (status == VZ_OK && written < 10000) {
        status = put_range(index, written, written + 100, &err);
        written += status == VZ_OK ? 100 : 0;
    }
    assert_int_equal(status, VZ_BUDGET);
    assert_true(written >= 100 && written <= 1000);
    check_range(index, written);
    vz_index_release(index);
    vz_store_close(store);
    drop_folder(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_full_disk_loses_nothing),
        cmocka_unit_test(test_a_full_disk_fails_a_compaction_only),
        cmocka_unit_test(test_a_full_disk_spares_the_graph),
        cmocka_unit_test(test_async_losses_end_the_wait),
        cmocka_unit_test(test_a_read_only_folder_says_so),
        cmocka_unit_test(test_an_absent_folder_is_not_made),
        cmocka_unit_test(test_what_a_crash_left_is_mended),
        cmocka_unit_test(test_an_unreadable_entry_loses_no_folder),
        cmocka_unit_test(test_derived_files_are_made_anew),
        cmocka_unit_test(test_missing_rows_are_an_error),
        cmocka_unit_test(test_validation_notices),
        cmocka_unit_test(test_the_budget_refuses),
    };
    return cmocka_run_group_tests_name("store-faults", tests, NULL, NULL);
}
