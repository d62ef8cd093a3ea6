/* Two threads insert while two search. Run under ThreadSanitizer too. */
#include "vectors.h"

#include "vector/graph.h"

#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

#define ROWS 4000
#define DIMS 24

struct job {
    struct vz_hnsw *graph;
    const struct vectors *rows;
    _Atomic uint32_t next;
    atomic_bool stop;
    _Atomic uint32_t searches, wrong;
};

static void *insert_rows(void *context)
{
    struct job *job = context;
    for (;;) {
        uint32_t row = atomic_fetch_add(&job->next, 1);
        if (row >= job->rows->count)
            return NULL;
        if (vz_hnsw_insert(job->graph, row, NULL) != VZ_OK)
            atomic_fetch_add(&job->wrong, 1);
    }
}

/* Rows below the count are findable, and a search never comes back nearly empty. */
static void *search_rows(void *context)
{
    struct job *job = context;
    uint64_t rng = SEED;
    while (!atomic_load(&job->stop)) {
        uint32_t count = vz_hnsw_count(job->graph), found;
        if (count < 100)
            continue;
        uint32_t row = (uint32_t)(vz_rng_next(&rng) % count);
        struct vz_near out[10];
        struct vz_hnsw_search search = {
            .query = job->rows->rows + (size_t)row * DIMS, .k = 10, .ef = 64};
        enum vz_status status = vz_hnsw_search(job->graph, &search, out, &found, NULL, NULL);
        if (status != VZ_OK || found < 10)
            atomic_fetch_add(&job->wrong, 1);
        for (uint32_t i = 0; i < found; i++)
            if (out[i].row >= job->rows->count || (i && out[i].similarity > out[i - 1].similarity))
                atomic_fetch_add(&job->wrong, 1);
        if (out[0].row != row)
            atomic_fetch_add(&job->wrong, 0x10000); /* a miss, allowed now and then */
        atomic_fetch_add(&job->searches, 1);
    }
    return NULL;
}

static void insert_and_search_at_once(void **state)
{
    struct vectors v = vectors_new(ROWS, DIMS, true, SEED);
    struct vectors q = vectors_new(100, DIMS, true, SEED + 1);
    for (uint32_t which = 0; which < 6; which++) { /* float, int8, int4, bit; two of them flat */
        uint32_t quantize = which < 4 ? which : which - 3;
        struct vz_hnsw_options o = options_of(&v, VZ_COSINE);
        o.quantize = quantize;
        o.flat = which >= 4;
        o.sample_rows = ROWS;
        struct job job = {.graph = graph_of(&o, 0), .rows = &v};
        pthread_t inserters[2], searchers[2];
        for (int i = 0; i < 2; i++)
            assert_int_equal(pthread_create(&searchers[i], NULL, search_rows, &job), 0);
        for (int i = 0; i < 2; i++)
            assert_int_equal(pthread_create(&inserters[i], NULL, insert_rows, &job), 0);
        for (int i = 0; i < 2; i++)
            pthread_join(inserters[i], NULL);
        atomic_store(&job.stop, true);
        for (int i = 0; i < 2; i++)
            pthread_join(searchers[i], NULL);
        uint32_t misses = job.wrong >> 16, wrong = job.wrong & 0xffff;
        print_message("%u searches meanwhile, %u misses\n", job.searches, misses);
        assert_int_equal(wrong, 0);
        assert_true(misses <= job.searches / (quantize == VZ_QUANTIZE_BIT ? 5 : 50));
        assert_int_equal(vz_hnsw_count(job.graph), ROWS);
        assert_valid(job.graph);
        double recall =
            recall_of(job.graph, &o, ROWS, &q, (struct vz_hnsw_search){.k = 10, .ef = 100});
        print_message("recall@10 %.4f\n", recall);
        /* 24 bits tell little: of 4,000 rows one in 40 is scored as floats. */
        assert_true(recall >= (quantize == VZ_QUANTIZE_BIT ? 0.85 : 0.97));
        vz_hnsw_free(job.graph);
    }
    free(v.rows);
    free(q.rows);
}

/* ---- an insert that is held up ---- */

struct late {
    struct vz_hnsw *graph;
    uint32_t row;
    enum vz_status status;
    atomic_bool held, let_go; /* by hold_entry */
};

static void *insert_late(void *context)
{
    struct late *late = context;
    late->status = vz_hnsw_insert(late->graph, late->row, NULL);
    return NULL;
}

/* A thread of its own, for whoever holds entry_lock may not insert. */
static void *hold_entry(void *context)
{
    struct late *late = context;
    pthread_mutex_lock(&late->graph->entry_lock);
    atomic_store(&late->held, true);
    while (!atomic_load(&late->let_go))
        usleep(1000);
    pthread_mutex_unlock(&late->graph->entry_lock);
    return NULL;
}

/* It waits for its turn to become the entry point, with memory for the rows there were; meanwhile a
 * row becomes it that came later than that. */
static void an_insert_waits_while_others_go_on(void **state)
{
    struct vectors v = vectors_new(ROWS, DIMS, true, SEED);
    struct vz_hnsw_options o = options_of(&v, VZ_COSINE);
    struct vz_hnsw *graph = graph_of(&o, 0);
    struct late late = {.graph = graph};
    pthread_t thread, holder;
    uint32_t first = 0, row;
    while (vz_level(graph, first) > 0)
        first++;
    assert_int_equal(vz_hnsw_insert(graph, first, NULL), VZ_OK);
    for (late.row = first + 1; vz_level(graph, late.row) == 0;)
        late.row++;
    assert_int_equal(pthread_create(&holder, NULL, hold_entry, &late), 0);
    while (!atomic_load(&late.held))
        usleep(1000);
    assert_int_equal(pthread_create(&thread, NULL, insert_late, &late), 0);
    while (atomic_load(&graph->limit) <= late.row) /* then it has its memory */
        usleep(1000);
    /* As much as walk.c's scratch_room makes, and what an allocation is rounded up by. */
    uint32_t room = late.row + 1 + (late.row + 1) / 4 + 1024 + 64;
    for (row = 0; row < room; row++)
        if (row != first && vz_level(graph, row) == 0)
            assert_int_equal(vz_hnsw_insert(graph, row, NULL), VZ_OK);
    while (vz_level(graph, row) > 0)
        row++;
    assert_true(row < ROWS);
    assert_int_equal(vz_hnsw_insert(graph, row, NULL), VZ_OK);
    atomic_store(&graph->entry, row + 1); /* of the same level: as good as the other */
    atomic_store(&late.let_go, true);
    pthread_join(holder, NULL);
    pthread_join(thread, NULL);
    assert_int_equal(late.status, VZ_OK);
    for (row = 0; row < ROWS; row++)
        assert_int_equal(vz_hnsw_insert(graph, row, NULL), VZ_OK);
    assert_valid(graph);
    vz_hnsw_free(graph);
    free(v.rows);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(insert_and_search_at_once),
                                       cmocka_unit_test(an_insert_waits_while_others_go_on)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
