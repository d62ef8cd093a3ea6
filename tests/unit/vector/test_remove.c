/* Removing rows and the repair: what searches see, that the graph stays whole, that recall does not
 * decay however often rows are replaced, and all of it beside inserts and searches. Run under
 * ThreadSanitizer too. */
#include "vectors.h"

#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
#define SLOW_BUILD 1
#else
#define SLOW_BUILD 0
#endif

#define K 10

static void must(enum vz_status status, struct vz_error *err)
{
    if (status != VZ_OK)
        fail_msg("%s", err->text);
}

static void removed(struct vz_hnsw *graph, uint32_t row)
{
    struct vz_error err = {0};
    must(vz_hnsw_remove(graph, row, &err), &err);
}

static void repaired(struct vz_hnsw *graph)
{
    struct vz_error err = {0};
    must(vz_hnsw_repair(graph, NULL, NULL, &err), &err);
    assert_int_equal(vz_hnsw_removed_count(graph), 0);
    must(vz_hnsw_validate(graph, &err), &err);
}

/* Mean recall@K against an exact scan of the rows that are not removed. */
static bool is_in(void *context, uint32_t row)
{
    return !vz_hnsw_is_removed(context, row);
}

static double recall_alive(struct vz_hnsw *graph, const struct vz_hnsw_options *options,
                           const struct vectors *q, uint32_t ef)
{
    uint32_t hits = 0, wanted = 0, found, exact;
    for (uint32_t i = 0; i < q->count; i++) {
        struct vz_hnsw_search search = {.query = q->rows + (size_t)i * q->dims, .k = K, .ef = ef};
        struct vz_near got[K], want[K];
        assert_int_equal(vz_hnsw_search(graph, &search, got, &found, NULL, NULL), VZ_OK);
        search.accept = is_in;
        search.accept_context = graph;
        assert_int_equal(
            vz_exact_range(options, &search, 0, vz_hnsw_count(graph), want, &exact, NULL), VZ_OK);
        assert_int_equal(found, exact);
        for (uint32_t a = 0; a < found; a++) {
            assert_false(vz_hnsw_is_removed(graph, got[a].row));
            for (uint32_t b = 0; b < exact; b++)
                hits += got[a].row == want[b].row;
        }
        wanted += exact;
    }
    return wanted ? hits / (double)wanted : 1;
}

static void every_kind_forgets_what_is_removed(void **state)
{
    enum { ROWS = 2000, DIMS = 32 };
    struct vectors v = vectors_new(ROWS, DIMS, true, SEED);
    struct vectors q = vectors_new(40, DIMS, true, SEED + 1);
    for (uint32_t which = 0; which < 8; which++) {
        struct vz_hnsw_options o = options_of(&v, VZ_COSINE);
        o.quantize = which % 4;
        o.flat = which >= 4;
        o.sample_rows = ROWS;
        struct vz_hnsw *graph = graph_of(&o, ROWS);
        uint64_t chance = SEED;
        for (uint32_t i = 0; i < ROWS / 3; i++)
            removed(graph, (uint32_t)(vz_rng_next(&chance) % ROWS));
        uint32_t count = vz_hnsw_removed_count(graph);
        assert_in_range(count, ROWS / 5, ROWS / 3);
        assert_valid(graph);
        double marked = recall_alive(graph, &o, &q, 100);
        repaired(graph);
        double after = recall_alive(graph, &o, &q, 100);
        print_message("quantize %u%s, %u removed: recall %.4f, repaired %.4f\n", o.quantize,
                      o.flat ? " flat" : "", count, marked, after);
        double floor = o.quantize == VZ_QUANTIZE_BIT ? 0.9 : 0.98;
        assert_true(marked >= floor && after >= floor);
        assert_int_equal(vz_hnsw_count(graph), ROWS);
        vz_hnsw_free(graph);
    }
    free(v.rows);
    free(q.rows);
}

static void what_can_be_removed(void **state)
{
    enum { ROWS = 50, DIMS = 8 };
    struct vectors v = vectors_new(ROWS, DIMS, true, SEED);
    struct vz_hnsw_options o = options_of(&v, VZ_COSINE);
    struct vz_hnsw *graph = graph_of(&o, ROWS);
    struct vz_error err = {0};
    assert_int_equal(vz_hnsw_remove(graph, ROWS, &err), VZ_NOT_FOUND);
    assert_non_null(strstr(err.text, "50"));
    removed(graph, 7);
    removed(graph, 7);
    assert_int_equal(vz_hnsw_removed_count(graph), 1);
    assert_true(vz_hnsw_is_removed(graph, 7));
    assert_false(vz_hnsw_is_removed(graph, 8));
    assert_false(vz_hnsw_is_removed(graph, ROWS));
    assert_int_equal(vz_hnsw_insert(graph, 7, &err), VZ_BUSY);
    repaired(graph);
    assert_true(vz_hnsw_is_removed(graph, 7));
    removed(graph, 7); /* still nothing */
    assert_int_equal(vz_hnsw_removed_count(graph), 0);
    must(vz_hnsw_insert(graph, 7, &err), &err);
    assert_false(vz_hnsw_is_removed(graph, 7));
    assert_valid(graph);
    /* All of them: the graph is empty, and begins anew. */
    for (uint32_t row = 0; row < ROWS; row++)
        removed(graph, row);
    struct vz_hnsw_search search = {.query = v.rows, .k = K, .ef = 20};
    struct vz_near out[K];
    uint32_t found;
    must(vz_hnsw_search(graph, &search, out, &found, NULL, &err), &err);
    assert_int_equal(found, 0);
    repaired(graph);
    must(vz_hnsw_search(graph, &search, out, &found, NULL, &err), &err);
    assert_int_equal(found, 0);
    for (uint32_t row = 0; row < ROWS; row += 2)
        must(vz_hnsw_insert(graph, row, &err), &err);
    assert_valid(graph);
    must(vz_hnsw_search(graph, &search, out, &found, NULL, &err), &err);
    assert_int_equal(found, K);
    assert_int_equal(out[0].row, 0);
    vz_hnsw_free(graph);
    free(v.rows);
}

/* Narrow lists, copies and the entry point itself: where the tree has the least room. */
static void the_graph_stays_whole(void **state)
{
    enum { ROWS = 3000, DIMS = 8 };
    static const uint32_t widths[] = {2, 3, 4, 16};
    struct vectors v = vectors_new(ROWS, DIMS, false, SEED);
    for (uint32_t row = 1; row < ROWS; row += 3) /* a third are copies of one row */
        memcpy(v.rows + (size_t)row * DIMS, v.rows, DIMS * sizeof(float));
    for (size_t w = 0; w < VZ_COUNT_OF(widths); w++) {
        struct vz_hnsw_options o = options_of(&v, VZ_L2);
        o.m = widths[w];
        struct vz_hnsw *graph = graph_of(&o, ROWS);
        uint64_t chance = SEED;
        for (int round = 0; round < 12; round++) {
            uint32_t many = round % 3 == 0 ? ROWS / 2 : round % 3 == 1 ? 1 : ROWS / 20;
            for (uint32_t i = 0; i < many; i++)
                removed(graph, (uint32_t)(vz_rng_next(&chance) % ROWS));
            repaired(graph);
            for (uint32_t row = 0; row < ROWS; row++)
                if (vz_hnsw_is_removed(graph, row) && vz_rng_next(&chance) % 4)
                    assert_int_equal(vz_hnsw_insert(graph, row, NULL), VZ_OK);
            assert_valid(graph);
        }
        vz_hnsw_free(graph);
    }
    free(v.rows);
}

struct countdown {
    int left;
};

static bool is_over(void *context)
{
    return ((struct countdown *)context)->left-- <= 0;
}

static void a_repair_can_be_stopped(void **state)
{
    enum { ROWS = 3000, DIMS = 16 };
    struct vectors v = vectors_new(ROWS, DIMS, true, SEED);
    struct vectors q = vectors_new(20, DIMS, true, SEED + 1);
    struct vz_hnsw_options o = options_of(&v, VZ_COSINE);
    for (int stop = 0; stop < 70; stop += 7) {
        struct vz_hnsw *graph = graph_of(&o, ROWS);
        for (uint32_t row = 0; row < ROWS; row += 3)
            removed(graph, row);
        struct countdown countdown = {stop};
        assert_int_equal(vz_hnsw_repair(graph, is_over, &countdown, NULL), VZ_OK);
        assert_valid(graph);
        assert_true(recall_alive(graph, &o, &q, 100) > 0.98);
        repaired(graph);
        assert_true(recall_alive(graph, &o, &q, 100) > 0.98);
        vz_hnsw_free(graph);
    }
    free(v.rows);
    free(q.rows);
}

static void removed_rows_are_saved(void **state)
{
    enum { ROWS = 1500, DIMS = 16 };
    char path[64];
    snprintf(path, sizeof path, "/tmp/vz-remove-%d.graph", (int)getpid());
    struct vectors v = vectors_new(ROWS, DIMS, true, SEED);
    struct vectors q = vectors_new(20, DIMS, true, SEED + 1);
    struct vz_hnsw_options o = options_of(&v, VZ_COSINE);
    struct vz_hnsw *graph = graph_of(&o, ROWS), *opened;
    struct vz_error err = {0};
    for (uint32_t row = 0; row < ROWS / 2; row++)
        removed(graph, row);
    repaired(graph);
    for (uint32_t row = ROWS / 2; row < ROWS / 2 + 200; row++)
        removed(graph, row);
    must(vz_hnsw_save(graph, path, &err), &err);
    vz_hnsw_free(graph);
    must(vz_hnsw_open(path, &o, &opened, &err), &err);
    assert_valid(opened);
    assert_int_equal(vz_hnsw_removed_count(opened), 200);
    assert_true(recall_alive(opened, &o, &q, 100) > 0.98);
    repaired(opened);
    for (uint32_t row = 0; row < ROWS / 2 + 200; row++)
        must(vz_hnsw_insert(opened, row, &err), &err);
    assert_valid(opened);
    assert_true(recall_alive(opened, &o, &q, 100) > 0.98);
    vz_hnsw_free(opened);
    unlink(path);
    free(v.rows);
    free(q.rows);
}

/* Ten times half of the rows are replaced by others; then the graph is compared with one that was
 * built from what is there now. */
static void check_replacing(uint32_t quantize, uint32_t rows, uint32_t dims)
{
    struct vectors v = vectors_new(rows, dims, true, SEED);
    struct vectors q = vectors_new(300, dims, true, SEED + 1);
    struct vz_hnsw_options o = options_of(&v, VZ_COSINE);
    o.quantize = quantize;
    o.sample_rows = rows;
    struct vz_hnsw *graph = graph_of(&o, rows);
    uint64_t chance = SEED;
    static const uint32_t efs[] = {16, 32, 64};
    for (int round = 0; round < 10; round++) {
        struct vectors others = vectors_new(rows / 2, dims, true, SEED + 100 + (uint64_t)round);
        for (uint32_t left = rows / 2; left;) {
            uint32_t row = (uint32_t)(vz_rng_next(&chance) % rows);
            left -= !vz_hnsw_is_removed(graph, row);
            removed(graph, row);
        }
        repaired(graph);
        uint32_t next = 0;
        for (uint32_t row = 0; row < rows; row++) {
            if (!vz_hnsw_is_removed(graph, row))
                continue;
            memcpy(v.rows + (size_t)row * dims, others.rows + (size_t)next++ * dims,
                   dims * sizeof(float));
            assert_int_equal(vz_hnsw_insert(graph, row, NULL), VZ_OK);
        }
        assert_valid(graph);
        free(others.rows);
    }
    struct vz_hnsw *fresh = graph_of(&o, rows);
    for (size_t i = 0; i < VZ_COUNT_OF(efs); i++) {
        double old = recall_alive(graph, &o, &q, efs[i]);
        double new = recall_alive(fresh, &o, &q, efs[i]);
        print_message("quantize %u ef %u: recall@10 %.4f after 10 rounds, %.4f built anew\n",
                      quantize, efs[i], old, new);
        assert_true(old >= new - 0.005);
    }
    vz_hnsw_free(graph);
    vz_hnsw_free(fresh);
    free(v.rows);
    free(q.rows);
}

static void recall_does_not_decay(void **state)
{
    uint32_t rows = SLOW_BUILD ? 800 : 20000;
    check_replacing(VZ_QUANTIZE_INT8, rows, SLOW_BUILD ? 32 : 128);
    if (!SLOW_BUILD)
        check_replacing(VZ_QUANTIZE_NONE, rows, 128);
}

/* ---- at once ---- */

#define MANY (SLOW_BUILD ? 1500u : 6000u)
#define KEPT (SLOW_BUILD ? 300u : 1000u) /* the newest */
#define FEW_DIMS 24

struct job {
    struct vz_hnsw *graph;
    const struct vectors *rows;
    _Atomic uint32_t next;
    atomic_bool stop;
    bool eager; /* searches do not pause */
    _Atomic uint32_t searches, wrong, repairs;
    /* Rows below it were removed before it was raised; and, of those, the ones unlinked, too. */
    _Atomic uint32_t removed_below, repaired_below;
};

/* Not further ahead of the removals than the rows that stay: a graph of which most rows go at once
 * is repaired worse than one built anew, and on one processor the inserts could be through before
 * the others have their turn. */
static bool is_ahead(struct job *job, uint32_t row)
{
    return row >= atomic_load(&job->repaired_below) + 2 * KEPT ||
           (row >= MANY / 2 && atomic_load(&job->searches) <= 10);
}

static void *insert_rows(void *context)
{
    struct job *job = context;
    for (;;) {
        uint32_t row = atomic_fetch_add(&job->next, 1);
        if (row >= job->rows->count)
            return NULL;
        for (int i = 0; i < 60000 && is_ahead(job, row); i++) /* a minute */
            usleep(1000);
        if (vz_hnsw_insert(job->graph, row, NULL) != VZ_OK)
            atomic_fetch_add(&job->wrong, 1);
    }
}

/* Follows the inserts: all rows but the newest go, and now and then they are unlinked. */
static void *remove_rows(void *context)
{
    struct job *job = context;
    uint32_t row = 0;
    while (!atomic_load(&job->stop)) {
        uint32_t count = vz_hnsw_count(job->graph);
        for (; row + KEPT < count; row++) {
            if (vz_hnsw_remove(job->graph, row, NULL) != VZ_OK)
                atomic_fetch_add(&job->wrong, 1);
            atomic_store(&job->removed_below, row + 1);
        }
        usleep(1000);
        if (vz_hnsw_repair(job->graph, NULL, NULL, NULL) != VZ_OK)
            atomic_fetch_add(&job->wrong, 1);
        atomic_store(&job->repaired_below, row);
        atomic_fetch_add(&job->repairs, 1);
    }
    return NULL;
}

static void *search_rows(void *context)
{
    struct job *job = context;
    uint64_t rng = SEED;
    while (!atomic_load(&job->stop)) {
        uint32_t below = atomic_load(&job->removed_below), found;
        bool many = vz_hnsw_count(job->graph) > KEPT;
        uint32_t row = (uint32_t)(vz_rng_next(&rng) % job->rows->count);
        struct vz_near out[K];
        struct vz_hnsw_search search = {
            .query = job->rows->rows + (size_t)row * FEW_DIMS, .k = K, .ef = 64};
        enum vz_status status = vz_hnsw_search(job->graph, &search, out, &found, NULL, NULL);
        if (status != VZ_OK || (many && found < K))
            atomic_fetch_add(&job->wrong, 1);
        for (uint32_t i = 0; i < found; i++)
            if (out[i].row >= job->rows->count || out[i].row < below ||
                (i && out[i].similarity > out[i - 1].similarity))
                atomic_fetch_add(&job->wrong, 1);
        atomic_fetch_add(&job->searches, 1);
        if (SLOW_BUILD && !job->eager)
            usleep(200); /* or the inserts get no processor */
    }
    return NULL;
}

/* Rows go one after the other, each unlinked before the next: a search that begins without removed
 * rows may be at work when there is one, and has to stay within the memory that it took. */
static void the_first_removal_beside_searches(void **state)
{
    enum { GO = SLOW_BUILD ? 2000 : 5000, ROWS = GO + 400 };
    struct vectors v = vectors_new(ROWS, FEW_DIMS, true, SEED);
    struct vz_hnsw_options o = options_of(&v, VZ_COSINE);
    o.quantize = VZ_QUANTIZE_INT8;
    o.sample_rows = ROWS;
    struct job job = {.graph = graph_of(&o, ROWS), .rows = &v, .eager = true};
    pthread_t searchers[2];
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&searchers[i], NULL, search_rows, &job), 0);
    for (uint32_t row = 0; row < GO; row++) {
        assert_int_equal(vz_hnsw_remove(job.graph, row, NULL), VZ_OK);
        atomic_store(&job.removed_below, row + 1);
        assert_int_equal(vz_hnsw_repair(job.graph, NULL, NULL, NULL), VZ_OK);
    }
    atomic_store(&job.stop, true);
    for (int i = 0; i < 2; i++)
        pthread_join(searchers[i], NULL);
    print_message("%u searches meanwhile\n", job.searches);
    assert_int_equal(job.wrong, 0);
    assert_valid(job.graph);
    vz_hnsw_free(job.graph);
    free(v.rows);
}

static void all_at_once(void **state)
{
    struct vectors v = vectors_new(MANY, FEW_DIMS, true, SEED);
    struct vectors q = vectors_new(50, FEW_DIMS, true, SEED + 1);
    for (uint32_t quantize = 0; quantize < 3; quantize++) {
        struct vz_hnsw_options o = options_of(&v, VZ_COSINE);
        o.quantize = quantize;
        o.sample_rows = MANY;
        struct job job = {.graph = graph_of(&o, 0), .rows = &v};
        pthread_t inserters[2], searchers[2], remover;
        assert_int_equal(pthread_create(&remover, NULL, remove_rows, &job), 0);
        for (int i = 0; i < 2; i++) {
            assert_int_equal(pthread_create(&searchers[i], NULL, search_rows, &job), 0);
            assert_int_equal(pthread_create(&inserters[i], NULL, insert_rows, &job), 0);
        }
        for (int i = 0; i < 2; i++)
            pthread_join(inserters[i], NULL);
        usleep(20000);
        atomic_store(&job.stop, true);
        pthread_join(remover, NULL);
        for (int i = 0; i < 2; i++)
            pthread_join(searchers[i], NULL);
        assert_valid(job.graph);
        repaired(job.graph);
        double recall = recall_alive(job.graph, &o, &q, 100);
        print_message("quantize %u: %u searches, %u repairs meanwhile; recall@10 %.4f\n", quantize,
                      job.searches, job.repairs, recall);
        assert_int_equal(job.wrong, 0);
        assert_true(job.repairs > 1 && job.searches > 10);
        assert_true(recall >= 0.97);
        vz_hnsw_free(job.graph);
    }
    free(v.rows);
    free(q.rows);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind_forgets_what_is_removed),
        cmocka_unit_test(what_can_be_removed),
        cmocka_unit_test(the_graph_stays_whole),
        cmocka_unit_test(a_repair_can_be_stopped),
        cmocka_unit_test(removed_rows_are_saved),
        cmocka_unit_test(recall_does_not_decay),
        cmocka_unit_test(the_first_removal_beside_searches),
        cmocka_unit_test(all_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
