/* A change of kind that keeps a graph's links: they are the same on disk afterwards, searches and
 * writes go on meanwhile, and a kill -9 at any moment leaves the old kind or the new one. The seed
 * is printed. Run under ThreadSanitizer too. */
#include "store_kinds.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>

static void delete_docs(struct vz_index *index, int first, int last, int step)
{
    enum { BULK = 200 };
    struct vz_error err = {0};
    for (int from = first; from < last;) {
        struct vz_write ops[BULK] = {{0}};
        char ids[BULK][12];
        int count = 0;
        for (; from < last && count < BULK; from += step, count++) {
            snprintf(ids[count], sizeof ids[count], "%d", from);
            ops[count] =
                (struct vz_write){.verb = VZ_WRITE_DELETE, .id = vz_slice_from(ids[count])};
        }
        OK(vz_index_write(index, ops, (size_t)count,
                          &(struct vz_write_options){.refresh = VZ_REFRESH_TRUE}, &err));
    }
}

static void change_to(struct vz_index *index, size_t kind)
{
    struct vz_error err = {0};
    char options[64];
    snprintf(options, sizeof options, "\"type\":\"%s\"", kinds[kind].name);
    OK(change_kind(index, options, "", &err));
}

static size_t kind_in_mapping(struct vz_index *index)
{
    struct vz_snapshot *snap = vz_index_snapshot(index);
    const struct vz_field *field = vz_mapping_find(vz_snapshot_mapping(snap), VZ_SLICE("v"));
    size_t kind = 0;
    while (!vz_slice_is(field->index_type, kinds[kind].name))
        kind++;
    vz_snapshot_release(snap);
    return kind;
}

/* ---- the links ------------------------------------------------------------------------------ */

/* What a checkpoint says of its links: size and hash of LEVEL0, PLACE and UPPER
 * (docs/format/graph.md), how many rows are removed. */
struct links {
    uint64_t bytes[3], hash[3];
    uint32_t removed;
};

static struct links links_on_disk(struct vz_index *index)
{
    struct vz_buf path = {0};
    struct links links = {0};
    unsigned char header[4096];
    struct vz_generation *gen = vz_index_generation(index);
    vz_buf_printf(&path, "%s/graph.0", gen->dir);
    vz_generation_release(gen);
    int fd = open(path.data, O_RDONLY);
    assert_true(fd >= 0);
    assert_int_equal(read(fd, header, sizeof header), sizeof header);
    close(fd);
    vz_buf_deinit(&path);
    for (size_t i = 0; i < 3; i++) {
        memcpy(&links.bytes[i], header + 64 + i * 24 + 8, 8);
        memcpy(&links.hash[i], header + 64 + i * 24 + 16, 8);
    }
    memcpy(&links.removed, header + 188, 4);
    return links;
}

/* Half of it written, a seventh of that deleted, through all kinds of one sort. */
static void check_links_of(size_t first, size_t last)
{
    struct vz_error err = {0};
    char *path = temp_folder();
    struct vz_store *store = open_store(path);
    struct vz_index *index = index_of(store, kinds[first].name, "cosine");
    int docs = FEWER;
    put_docs(index, 0, docs);
    delete_docs(index, 0, docs, 7);
    OK(vz_index_settle(index, &err));
    struct links before = links_on_disk(index);
    assert_int_equal(before.removed, (docs + 6) / 7);
    for (size_t kind = first + 1; kind <= last; kind++) {
        change_to(index, kind);
        assert_true(recall_of(index) >= 0.95);
        OK(vz_index_settle(index, &err));
        check_shape(index, kind, (uint32_t)docs);
        struct links after = links_on_disk(index);
        assert_memory_equal(&before, &after, sizeof before);
        double recall = recall_of(index);
        print_message("  %s: recall@10 %.3f\n", kinds[kind].name, recall);
        assert_true(recall >= 0.95);
        OK(vz_index_validate(index, &err));
    }
    /* What comes afterwards is linked as ever. */
    put_docs(index, docs, docs + 200);
    OK(vz_index_settle(index, &err));
    check_shape(index, last, (uint32_t)docs + 200);
    assert_true(recall_of(index) >= 0.95);
    if (!kinds[last].flat) { /* other lists are built anew */
        OK(change_kind(index, "\"type\":\"bbq_hnsw\",\"m\":20", "", &err));
        OK(vz_index_settle(index, &err));
        assert_true(links_on_disk(index).bytes[0] != before.bytes[0]);
        assert_true(recall_of(index) >= 0.95);
    }
    vz_index_release(index);
    vz_store_close(store);
    drop_folder(path);
}

static void test_links_are_kept(void **state)
{
    print_message("seed %d, %d documents\n", SEED, FEWER);
    check_links_of(4, 7);
    check_links_of(1, 3);
}

/* ---- at once -------------------------------------------------------------------------------- */

struct asker {
    struct vz_index *index;
    _Atomic bool stop;
    _Atomic unsigned asked, wrong;
};

/* K hits that are visible, each once, the nearest first. */
static bool is_right(const struct vz_snapshot *snap, const struct vz_knn_hit *hits, uint32_t found)
{
    bool right = found == K;
    for (uint32_t i = 0; i < found; i++) {
        right &= vz_snapshot_live(snap, hits[i].docno);
        right &= i == 0 || hits[i].similarity <= hits[i - 1].similarity;
        for (uint32_t j = 0; j < i; j++)
            right &= hits[i].docno != hits[j].docno;
    }
    return right;
}

static void *ask(void *asker_void)
{
    struct asker *asker = asker_void;
    for (uint64_t q = 0; !atomic_load(&asker->stop); q++) {
        struct vz_snapshot *snap = vz_index_snapshot(asker->index);
        const struct vz_field *field = vz_mapping_find(vz_snapshot_mapping(snap), VZ_SLICE("v"));
        struct vz_knn_hit hits[K];
        float query[DIMS];
        uint32_t found = 0;
        vector_of(2000000 + q, query);
        struct vz_knn knn = {
            .field = field, .query = query, .k = K, .oversample = field->oversample};
        if (vz_snapshot_knn(snap, &knn, hits, &found, NULL, NULL) != VZ_OK ||
            !is_right(snap, hits, found))
            atomic_fetch_add(&asker->wrong, 1);
        vz_snapshot_release(snap);
        atomic_fetch_add(&asker->asked, 1);
        usleep(200); /* others want the processor too */
    }
    return NULL;
}

/* Through all kinds while documents come and go, without waiting for any to be done. */
static void test_asked_and_written_meanwhile(void **state)
{
    struct vz_error err = {0};
    char *path = temp_folder();
    struct vz_store *store = open_store(path);
    struct vz_index *index = index_of(store, kinds[1].name, "cosine");
    int docs = FEWER;
    put_docs(index, 0, docs);
    struct asker asker = {.index = index};
    pthread_t threads[2];
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, ask, &asker), 0);
    for (size_t kind = 2; kind < VZ_COUNT_OF(kinds); kind++) {
        change_to(index, kind);
        put_docs(index, docs, docs + 150);
        delete_docs(index, docs - 100, docs, 3);
        docs += 150;
        if (kind % 2)
            OK(vz_index_settle(index, &err));
    }
    atomic_store(&asker.stop, true);
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    OK(vz_index_settle(index, &err));
    print_message("%u searches meanwhile\n", atomic_load(&asker.asked));
    assert_int_equal(atomic_load(&asker.wrong), 0);
    assert_true(atomic_load(&asker.asked) > 0);
    check_shape(index, VZ_COUNT_OF(kinds) - 1, (uint32_t)docs);
    assert_true(recall_of(index) >= 0.95);
    OK(vz_index_validate(index, &err));
    vz_index_release(index);
    vz_store_close(store);
    drop_folder(path);
}

/* ---- killed --------------------------------------------------------------------------------- */

/* The child: asks for the next kind, says so, waits for it to be built, and for its end. */
static void change_and_wait(const char *path, size_t kind, int say)
{
    struct vz_error err = {0};
    struct vz_store *store = open_store(path);
    struct vz_index *index = vz_store_index(store, VZ_SLICE("kinds"));
    if (!index)
        _exit(2);
    if (kind < VZ_COUNT_OF(kinds))
        change_to(index, kind);
    if (write(say, "", 1) != 1 || vz_index_settle(index, &err) != VZ_OK)
        _exit(3);
    for (;;)
        pause();
}

/* In every other round the mapping was changed before the kill. */
static void kill_while_changing(const char *path, size_t kind, bool wait, unsigned us)
{
    int pipes[2], status;
    char byte;
    assert_int_equal(pipe(pipes), 0);
    fflush(NULL);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        close(pipes[0]);
        change_and_wait(path, kind, pipes[1]);
    }
    close(pipes[1]);
    if (wait)
        assert_int_equal(read(pipes[0], &byte, 1), 1);
    usleep(us);
    kill(pid, SIGKILL);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    close(pipes[0]);
}

static void test_killed(void **state)
{
    enum { ROUNDS = 11 };
    struct vz_error err = {0};
    char *path = temp_folder();
    struct vz_store *store = open_store(path);
    struct vz_index *index = index_of(store, kinds[1].name, "cosine");
    uint64_t chance = SEED;
    size_t kind = 1;
    put_docs(index, 0, FEWER);
    delete_docs(index, 0, FEWER, 9);
    OK(vz_index_settle(index, &err));
    uint32_t removed = links_on_disk(index).removed;
    vz_index_release(index);
    vz_store_close(store);
    for (int round = 0; round < ROUNDS; round++) {
        uint32_t count;
        kill_while_changing(path, kind + 1, round % 3 != 0,
                            (unsigned)(vz_rng_next(&chance) % 6000));
        store = open_store(path);
        index = vz_store_index(store, VZ_SLICE("kinds"));
        assert_non_null(index);
        size_t now = kind_in_mapping(index);
        assert_in_range(now, kind, VZ_MIN(kind + 1, VZ_COUNT_OF(kinds) - 1));
        assert_true(now > kind || round % 3 == 0 || kind + 1 == VZ_COUNT_OF(kinds));
        shape_now(index, &count);
        assert_int_equal(count, FEWER); /* whichever it is by now, all rows are in it */
        assert_true(recall_of(index) >= 0.95);
        if (round % 2) { /* else the next kind is asked for before this one is built */
            OK(vz_index_settle(index, &err));
            check_shape(index, now, FEWER);
            assert_int_equal(links_on_disk(index).removed, removed);
            OK(vz_index_validate(index, &err));
        }
        vz_index_release(index);
        vz_store_close(store);
        print_message("  killed on the way from %s to %s, which the mapping says\n",
                      kinds[kind].name, kinds[now].name);
        kind = now;
    }
    assert_int_equal(kind, VZ_COUNT_OF(kinds) - 1);
    drop_folder(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_links_are_kept),
        cmocka_unit_test(test_asked_and_written_meanwhile),
        cmocka_unit_test(test_killed),
    };
    return cmocka_run_group_tests_name("store-recode", tests, NULL, NULL);
}
