/* The text index over its life: publish, maintain, checkpoint, close, open, crash. */
#include "base/file.h"
#include "base/text.h"
#include "text/index.h"
#include "text/score.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
// clang-format off
#include <cmocka.h>
// clang-format on

static void folder_path(char path[64])
{
    snprintf(path, 64, "/tmp/vizsla-test-text-%d", (int)getpid());
}

/* Document d has the words "all", "mod<d % 7>" and "doc<d>". */
static void add(struct vz_text_index *index, uint32_t docno)
{
    struct vz_error err = {0};
    char text[32];
    assert_int_equal(vz_text_index_add_term(index, docno, 1, VZ_TEXT_ALL, VZ_SLICE("all"), &err),
                     VZ_OK);
    snprintf(text, sizeof text, "mod%u", docno % 7);
    vz_text_index_add_term(index, docno, 1, VZ_TEXT_ALL, vz_slice_from(text), &err);
    snprintf(text, sizeof text, "doc%u", docno);
    vz_text_index_add_term(index, docno, 1, VZ_TEXT_ALL, vz_slice_from(text), &err);
}

static void check(struct vz_text_view *view, uint32_t limit)
{
    struct vz_term_stats stats;
    char text[32];
    vz_text_term_stats(view, 1, VZ_SLICE("all"), &stats);
    assert_int_equal(stats.doc_freq, limit);
    for (uint32_t d = 0; d < limit; d += 1 + limit / 50) {
        snprintf(text, sizeof text, "doc%u", d);
        assert_true(vz_text_term_stats(view, 1, vz_slice_from(text), &stats));
        assert_int_equal(stats.doc_freq, 1);
    }
    vz_text_term_stats(view, 1, VZ_SLICE("mod3"), &stats);
    assert_int_equal(stats.doc_freq, (limit + 3) / 7);
}

static void maintain(struct vz_text_index *index)
{
    struct vz_error err = {0};
    bool more = true;
    for (int i = 0; i < 100 && more; i++)
        if (vz_text_index_maintain(index, NULL, NULL, NULL, &more, &err) != VZ_OK)
            fail_msg("%s", err.text);
    assert_false(more);
}

static void lives_and_opens_again(void **state)
{
    struct vz_text_index_options options = {
        .buffer_bytes = 200000, .flush_bytes = 60000, .merge_fan_in = 4};
    struct vz_text_index *index;
    struct vz_text_index_stats stats;
    struct vz_error err = {0};
    char dir[64];
    uint64_t seed = 4;
    folder_path(dir);
    vz_remove_all(dir, &err);
    assert_int_equal(vz_mkdir_all(dir, &err), VZ_OK);
    assert_int_equal(vz_text_index_open(dir, &options, &index, &err), VZ_OK);
    assert_int_equal(vz_text_index_limit(index), 0);
    struct vz_text_view *old = NULL;
    uint32_t limit = 0, old_limit = 0;
    for (int round = 0; round < 150; round++) {
        uint32_t count = (uint32_t)(vz_rng_next(&seed) % (round == 60 ? 9000 : 90));
        for (uint32_t i = 0; i < count; i++)
            add(index, limit++);
        struct vz_text_view *before = vz_text_index_view(index);
        assert_int_equal(vz_text_index_publish(index, limit, &err), VZ_OK);
        vz_text_view_release(before);
        struct vz_text_view *view = vz_text_index_view(index);
        check(view, limit);
        if (round == 50) {
            old = vz_text_view_acquire(view);
            old_limit = limit;
        }
        vz_text_view_release(view);
        if (round % 3 == 0)
            maintain(index);
    }
    check(old, old_limit); /* its files may be gone: it has them mapped */
    vz_text_view_release(old);
    vz_text_index_stats(index, &stats);
    assert_in_range(stats.segments, 1, 30);
    assert_true(stats.mapped_bytes > 0);
    assert_int_equal(vz_text_index_checkpoint(index, &err), VZ_OK);
    vz_text_index_stats(index, &stats);
    assert_int_equal(stats.memory_bytes, 0);
    add(index, limit); /* lost: never published */
    vz_text_index_close(index);

    assert_int_equal(vz_text_index_open(dir, &options, &index, &err), VZ_OK);
    assert_int_equal(vz_text_index_limit(index), limit);
    struct vz_text_view *view = vz_text_index_view(index);
    check(view, limit);
    vz_text_view_release(view);
    vz_text_index_close(index);

    /* A crash left the end of the documents behind: files past it go. */
    options.limit = limit - 1;
    assert_int_equal(vz_text_index_open(dir, &options, &index, &err), VZ_OK);
    uint32_t kept = vz_text_index_limit(index);
    assert_true(kept < limit);
    for (uint32_t d = kept; d < limit - 1; d++)
        add(index, d);
    assert_int_equal(vz_text_index_publish(index, limit - 1, &err), VZ_OK);
    view = vz_text_index_view(index);
    check(view, limit - 1);
    vz_text_view_release(view);
    assert_int_equal(vz_text_index_checkpoint(index, &err), VZ_OK);
    vz_text_index_close(index);

    /* A file that is no segment: what came from it is added again. */
    char path[96];
    snprintf(path, sizeof path, "%s/text.0-%u", dir, 3u);
    assert_int_equal(vz_file_write_atomic(path, "nothing", 7, &err), VZ_OK);
    assert_int_equal(vz_text_index_open(dir, NULL, &index, &err), VZ_OK);
    assert_int_equal(vz_text_index_limit(index), limit - 1);
    assert_int_not_equal(access(path, F_OK), 0);
    vz_text_index_close(index);
    vz_remove_all(dir, &err);
}

/* One writer, one merger, two readers. */
struct shared {
    struct vz_text_index *index;
    _Atomic uint32_t published;
    _Atomic bool done;
};

static void *read_on(void *context)
{
    struct shared *shared = context;
    while (!atomic_load(&shared->done)) {
        uint32_t least = atomic_load(&shared->published);
        struct vz_text_view *view = vz_text_index_view(shared->index);
        struct vz_term_stats stats;
        struct vz_slice term = VZ_SLICE("mod2");
        struct vz_text_query query = {
            .kind = VZ_TEXT_TERM, .boost = 1, .field = 1, .terms = &term, .term_count = 1};
        struct vz_text_search search = {.k = 5, .total_limit = 10000000};
        struct vz_text_hit hits[5];
        struct vz_text_result result;
        vz_text_term_stats(view, 1, VZ_SLICE("all"), &stats);
        if (stats.doc_freq < least)
            return (void *)"documents are missing";
        vz_text_top(view, &query, &search, hits, &result, NULL);
        if (result.total != (stats.doc_freq + 4) / 7)
            return (void *)"a view does not fit together";
        vz_text_view_release(view);
    }
    return NULL;
}

static void *maintain_on(void *context)
{
    struct shared *shared = context;
    bool more;
    while (!atomic_load(&shared->done))
        vz_text_index_maintain(shared->index, NULL, NULL, NULL, &more, NULL);
    return NULL;
}

static void readers_see_whole_views(void **state)
{
    struct vz_text_index_options options = {.flush_bytes = 100000, .merge_fan_in = 4};
    struct shared shared = {0};
    struct vz_error err = {0};
    pthread_t threads[3];
    char dir[64];
    folder_path(dir);
    vz_remove_all(dir, &err);
    vz_mkdir_all(dir, &err);
    assert_int_equal(vz_text_index_open(dir, &options, &shared.index, &err), VZ_OK);
    pthread_create(&threads[0], NULL, maintain_on, &shared);
    pthread_create(&threads[1], NULL, read_on, &shared);
    pthread_create(&threads[2], NULL, read_on, &shared);
    uint32_t limit = 0;
    for (int round = 0; round < 300; round++) {
        for (int i = 0; i < 23; i++)
            add(shared.index, limit++);
        assert_int_equal(vz_text_index_publish(shared.index, limit, &err), VZ_OK);
        atomic_store(&shared.published, limit);
    }
    atomic_store(&shared.done, true);
    for (int i = 0; i < 3; i++) {
        void *why;
        pthread_join(threads[i], &why);
        if (why)
            fail_msg("%s", (const char *)why);
    }
    struct vz_text_view *view = vz_text_index_view(shared.index);
    check(view, limit);
    vz_text_view_release(view);
    vz_text_index_close(shared.index);
    vz_remove_all(dir, &err);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lives_and_opens_again),
        cmocka_unit_test(readers_see_whole_views),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
