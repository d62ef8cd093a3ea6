/* Another kind for a graph that is there: the links are the old ones, what is found is what a graph
 * built anew finds, what is removed stays so, and inserts, removals, repairs and searches go on in
 * the old one meanwhile. Run under ThreadSanitizer too. */
#include "vectors.h"

#include "vector/graph.h"

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

static void inserted(struct vz_hnsw *graph, uint32_t first, uint32_t last)
{
    struct vz_error err = {0};
    for (uint32_t row = first; row < last; row++)
        must(vz_hnsw_insert(graph, row, &err), &err);
}

/* Both as wanted; options for rows of [0, count). */
static struct vz_hnsw_options kind_of(const struct vz_hnsw_options *base, uint32_t quantize,
                                      bool flat, uint32_t count)
{
    struct vz_hnsw_options o = *base;
    o.quantize = quantize;
    o.flat = flat;
    o.sample_rows = count;
    return o;
}

static struct vz_recoding *begun(struct vz_hnsw *from, const struct vz_hnsw_options *to)
{
    struct vz_recoding *recoding;
    struct vz_error err = {0};
    must(vz_recoding_new(from, to, &recoding, &err), &err);
    return recoding;
}

static struct vz_hnsw *finished(struct vz_recoding *recoding)
{
    struct vz_hnsw *graph;
    struct vz_error err = {0};
    must(vz_recoding_finish(recoding, &graph, &err), &err);
    vz_recoding_free(recoding);
    must(vz_hnsw_validate(graph, &err), &err);
    return graph;
}

static struct vz_hnsw *recoded(struct vz_hnsw *from, const struct vz_hnsw_options *to)
{
    struct vz_recoding *recoding = begun(from, to);
    struct vz_error err = {0};
    bool left = true;
    for (uint32_t coded = 0; left; coded = vz_recoding_count(recoding)) {
        must(vz_recoding_advance(recoding, 300, &left, &err), &err);
        assert_in_range(vz_recoding_count(recoding) - coded, left ? 300 : 0, 300);
    }
    return finished(recoding);
}

/* Nothing runs in either. */
static void assert_same_links(const struct vz_hnsw *a, const struct vz_hnsw *b)
{
    size_t limit = atomic_load(&a->limit), lists = atomic_load(&a->upper_lists);
    assert_int_equal(limit, atomic_load(&b->limit));
    assert_int_equal(lists, atomic_load(&b->upper_lists));
    assert_int_equal(vz_hnsw_count(a), vz_hnsw_count(b));
    assert_int_equal(atomic_load(&a->entry), atomic_load(&b->entry));
    assert_int_equal(atomic_load(&a->removed), atomic_load(&b->removed));
    assert_int_equal(vz_hnsw_removed_count(a), vz_hnsw_removed_count(b));
    assert_memory_equal(a->level0.base, b->level0.base, limit * a->record * sizeof(vz_link));
    assert_memory_equal(a->upper.base, b->upper.base, lists * a->m * sizeof(vz_link));
    assert_memory_equal(a->place.base, b->place.base, limit * sizeof(vz_link));
}

/* ---- what comes out ------------------------------------------------------------------------- */

static double recall_at(struct vz_hnsw *graph, const struct vz_hnsw_options *o, uint32_t count,
                        const struct vectors *q, uint32_t ef)
{
    return recall_of(graph, o, count, q, (struct vz_hnsw_search){.k = K, .ef = ef});
}

/* From every kind of graph to every kind, and to a flat one; from flat to flat. */
static void every_kind_becomes_every_other(void **state)
{
    enum { FEW = 16 }; /* candidates, so that much depends on the links */
    uint32_t rows = SLOW_BUILD ? 800 : 6000, dims = 64;
    struct vectors v = vectors_new(rows, dims, true, SEED);
    struct vectors q = vectors_new(SLOW_BUILD ? 60 : 400, dims, true, SEED + 1);
    struct vz_hnsw_options base = options_of(&v, VZ_COSINE);
    struct vz_hnsw *anew[8];
    double recalls[8];
    for (uint32_t kind = 0; kind < 8; kind++) {
        struct vz_hnsw_options o = kind_of(&base, kind % 4, kind >= 4, rows);
        anew[kind] = graph_of(&o, rows);
        recalls[kind] = recall_at(anew[kind], &o, rows, &q, FEW);
        assert_true(recalls[kind] > 0.8);
    }
    for (uint32_t from = 0; from < 8; from++)
        for (uint32_t to = from < 4 ? 0 : 4; to < 8; to++) {
            struct vz_hnsw_options o = kind_of(&base, to % 4, to >= 4, rows);
            struct vz_hnsw *graph = recoded(anew[from], &o);
            double recall = recall_at(graph, &o, rows, &q, FEW);
            print_message("%u to %u: recall@10 %.4f, built anew %.4f\n", from, to, recall,
                          recalls[to]);
            assert_true(recall >= recalls[to] - 0.01);
            if (to < 4)
                assert_same_links(anew[from], graph);
            if (to == from || to >= 4) /* no walk had a part in it: the very same codes */
                assert_memory_equal(anew[to]->codes.base, graph->codes.base,
                                    (size_t)rows * graph->code_stride);
            assert_int_equal(vz_hnsw_memory_bytes(graph), vz_hnsw_memory_bytes(anew[to]));
            vz_hnsw_free(graph);
        }
    for (uint32_t kind = 0; kind < 8; kind++) {
        assert_valid(anew[kind]);
        vz_hnsw_free(anew[kind]);
    }
    free(v.rows);
    free(q.rows);
}

/* What a search of `graph` finds is no removed row, and all of the nearest others. */
static double recall_alive(struct vz_hnsw *graph, const struct vz_hnsw_options *o,
                           const struct vectors *q, bool (*is_in)(void *context, uint32_t row))
{
    uint32_t hits = 0, found, exact;
    for (uint32_t i = 0; i < q->count; i++) {
        struct vz_hnsw_search search = {.query = q->rows + (size_t)i * q->dims, .k = K, .ef = 100};
        struct vz_near got[K], want[K];
        assert_int_equal(vz_hnsw_search(graph, &search, got, &found, NULL, NULL), VZ_OK);
        search.accept = is_in;
        assert_int_equal(vz_exact_range(o, &search, 0, vz_hnsw_count(graph), want, &exact, NULL),
                         VZ_OK);
        assert_int_equal(found, K);
        assert_int_equal(exact, K);
        for (uint32_t a = 0; a < K; a++) {
            assert_true(is_in(NULL, got[a].row));
            for (uint32_t b = 0; b < K; b++)
                hits += got[a].row == want[b].row;
        }
    }
    return hits / (double)(q->count * K);
}

/* A third was removed and unlinked, another row in nine only removed. */
static bool stays(void *context, uint32_t row)
{
    return row % 3 != 0 && row % 9 != 1;
}

static void what_is_removed_stays_removed(void **state)
{
    enum { ROWS = 1800, DIMS = 48 };
    struct vectors v = vectors_new(ROWS, DIMS, true, SEED);
    struct vectors q = vectors_new(40, DIMS, true, SEED + 1);
    struct vz_hnsw_options base = options_of(&v, VZ_COSINE);
    struct vz_error err = {0};
    for (uint32_t kind = 0; kind < 8; kind++) {
        struct vz_hnsw_options o = kind_of(&base, (kind + 2) % 4, kind >= 4, ROWS);
        struct vz_hnsw *from = graph_of(&o, ROWS);
        o = kind_of(&base, kind % 4, kind >= 4, ROWS);
        struct vz_recoding *recoding = begun(from, &o);
        bool left;
        must(vz_recoding_advance(recoding, ROWS / 2, &left, &err), &err);
        assert_true(left);
        for (uint32_t row = 0; row < ROWS; row += 3)
            must(vz_hnsw_remove(from, row, &err), &err);
        must(vz_hnsw_repair(from, NULL, NULL, &err), &err);
        must(vz_recoding_advance(recoding, ROWS / 4, &left, &err), &err);
        for (uint32_t row = 1; row < ROWS; row += 9)
            must(vz_hnsw_remove(from, row, &err), &err);
        struct vz_hnsw *graph = finished(recoding); /* the last quarter is coded here */
        vz_hnsw_free(from);
        assert_int_equal(vz_hnsw_count(graph), ROWS);
        assert_int_equal(vz_hnsw_removed_count(graph), ROWS / 9);
        for (uint32_t row = 0; row < ROWS; row++)
            assert_int_equal(vz_hnsw_is_removed(graph, row), !stays(NULL, row));
        double floor = o.quantize == VZ_QUANTIZE_BIT ? 0.9 : 0.97;
        assert_true(recall_alive(graph, &o, &q, stays) >= floor);
        /* The new one is repaired, and the rows inserted again, as any graph's. */
        must(vz_hnsw_repair(graph, NULL, NULL, &err), &err);
        assert_valid(graph);
        assert_true(recall_alive(graph, &o, &q, stays) >= floor);
        inserted(graph, 0, ROWS);
        assert_valid(graph);
        assert_true(recall_at(graph, &o, ROWS, &q, 64) >= floor);
        vz_hnsw_free(graph);
    }
    free(v.rows);
    free(q.rows);
}

/* Rows that come between the steps and after them. */
static void rows_come_meanwhile(void **state)
{
    enum { ROWS = 2000, DIMS = 48 };
    struct vectors v = vectors_new(ROWS, DIMS, true, SEED);
    struct vectors q = vectors_new(40, DIMS, true, SEED + 1);
    struct vz_hnsw_options base = options_of(&v, VZ_COSINE);
    struct vz_error err = {0};
    for (uint32_t to = 0; to < 5; to++) {
        struct vz_hnsw_options o = kind_of(&base, (to + 1) % 4, false, ROWS / 2);
        struct vz_hnsw *from = graph_of(&o, ROWS / 2);
        o = kind_of(&base, to % 4, to == 4, ROWS / 2);
        struct vz_recoding *recoding = begun(from, &o);
        bool left;
        must(vz_recoding_advance(recoding, UINT32_MAX, &left, &err), &err);
        assert_false(left);
        inserted(from, ROWS / 2, ROWS / 2 + 100);
        must(vz_recoding_advance(recoding, 40, &left, &err), &err);
        assert_true(left);
        inserted(from, ROWS / 2 + 100, ROWS / 2 + 200);
        /* Another thread claimed the row between and is not there yet. */
        inserted(from, ROWS / 2 + 201, ROWS / 2 + 230);
        struct vz_hnsw *graph = finished(recoding);
        vz_hnsw_free(from);
        assert_int_equal(vz_hnsw_count(graph), ROWS / 2 + 200);
        inserted(graph, ROWS / 2 + 200, ROWS / 2 + 201);
        assert_int_equal(vz_hnsw_count(graph), ROWS / 2 + 230);
        for (uint32_t row = ROWS / 2 + 201; row < ROWS / 2 + 230; row++) {
            struct vz_hnsw_search search = {.query = v.rows + (size_t)row * DIMS, .k = 1, .ef = 8};
            struct vz_near near = {0};
            uint32_t found;
            must(vz_hnsw_search(graph, &search, &near, &found, NULL, &err), &err);
            assert_int_equal(near.row, row);
        }
        inserted(graph, ROWS / 2 + 230, ROWS);
        assert_valid(graph);
        double recall = recall_at(graph, &o, ROWS, &q, 64);
        print_message("to %u%s: recall@10 %.4f\n", o.quantize, o.flat ? " flat" : "", recall);
        assert_true(recall >= (o.quantize == VZ_QUANTIZE_BIT ? 0.9 : 0.97));
        vz_hnsw_free(graph);
    }
    free(v.rows);
    free(q.rows);
}

/* A graph that was opened is mapped from its file; what came out is saved as its own kind. */
static void opened_and_saved(void **state)
{
    enum { ROWS = 1500, DIMS = 32 };
    char path[64];
    snprintf(path, sizeof path, "/tmp/vz-recode-%d.graph", (int)getpid());
    struct vectors v = vectors_new(ROWS, DIMS, true, SEED);
    struct vectors q = vectors_new(20, DIMS, true, SEED + 1);
    struct vz_hnsw_options base = options_of(&v, VZ_COSINE), o = base;
    struct vz_error err = {0};
    o.seed = 7; /* the levels come from the file */
    struct vz_hnsw *graph = graph_of(&o, ROWS), *opened;
    must(vz_hnsw_remove(graph, 17, &err), &err);
    must(vz_hnsw_save(graph, path, &err), &err);
    vz_hnsw_free(graph);
    for (uint32_t kind = 1; kind < 4; kind++) {
        must(vz_hnsw_open(path, &o, &opened, &err), &err);
        o = kind_of(&base, kind, false, ROWS);
        graph = recoded(opened, &o);
        vz_hnsw_free(opened);
        must(vz_hnsw_save(graph, path, &err), &err);
        vz_hnsw_free(graph);
    }
    must(vz_hnsw_open(path, &o, &opened, &err), &err);
    assert_valid(opened);
    assert_int_equal(vz_hnsw_count(opened), ROWS);
    assert_true(vz_hnsw_is_removed(opened, 17));
    assert_int_equal(vz_hnsw_insert(opened, 3, &err), VZ_OK); /* it is in already */
    assert_true(recall_at(opened, &o, ROWS, &q, 64) >= 0.85);
    vz_hnsw_free(opened);
    unlink(path);
    free(v.rows);
    free(q.rows);
}

/* bfloat16 is coded as floats are; bytes and bits have no codes but may lose their links. */
static void other_elements(void **state)
{
    enum { ROWS = 800, DIMS = 64 };
    uint64_t chance = SEED;
    uint16_t *bfloats = vz_try_alloc((size_t)ROWS * DIMS, sizeof *bfloats);
    int8_t *bytes = vz_try_alloc((size_t)ROWS * DIMS, sizeof *bytes);
    for (size_t i = 0; i < (size_t)ROWS * DIMS; i++) {
        bfloats[i] = vz_bf16_of((float)vz_rng_normal(&chance));
        bytes[i] = (int8_t)vz_rng_next(&chance);
    }
    for (uint32_t quantize = 0; quantize < 4; quantize++) {
        struct vz_hnsw_options o = {.similarity = VZ_L2,
                                    .element = VZ_ELEMENT_BFLOAT16,
                                    .dims = DIMS,
                                    .bfloats = bfloats,
                                    .max_rows = ROWS};
        struct vz_hnsw *from = graph_of(&o, ROWS);
        o = kind_of(&o, quantize, false, ROWS);
        struct vz_hnsw *graph = recoded(from, &o);
        assert_same_links(from, graph);
        vz_hnsw_free(from);
        vz_hnsw_free(graph);
    }
    for (uint32_t element = VZ_ELEMENT_BYTE; element <= VZ_ELEMENT_BIT; element++) {
        struct vz_hnsw_options o = {.similarity = VZ_L2,
                                    .element = element,
                                    .dims = DIMS,
                                    .bytes = bytes,
                                    .max_rows = ROWS};
        struct vz_hnsw *from = graph_of(&o, ROWS), *graph = recoded(from, &o);
        assert_same_links(from, graph);
        vz_hnsw_free(graph);
        o.flat = true;
        graph = recoded(from, &o);
        vz_hnsw_free(from);
        assert_int_equal(vz_hnsw_count(graph), ROWS);
        vz_hnsw_free(graph);
    }
    free(bfloats);
    free(bytes);
}

/* Rows that memory does not hold are asked for ahead; the codes are the same. */
static void cold_rows(void **state)
{
    enum { ROWS = 5000, DIMS = 512 }; /* more than is asked for at a time */
    struct vectors v = vectors_new(ROWS, DIMS, true, SEED);
    struct vz_cold cold = {0};
    vz_cold_begin(&cold, 1 << 20);
    struct vz_hnsw_options base = options_of(&v, VZ_COSINE);
    struct vz_hnsw_options from = kind_of(&base, VZ_QUANTIZE_INT8, true, ROWS);
    struct vz_hnsw_options o = kind_of(&base, VZ_QUANTIZE_BIT, true, ROWS);
    struct vz_hnsw *graph = graph_of(&from, ROWS), *warm = recoded(graph, &o);
    o.cold = &cold;
    struct vz_hnsw *colder = recoded(graph, &o);
    assert_memory_equal(warm->codes.base, colder->codes.base, (size_t)ROWS * warm->code_stride);
    vz_cold_deinit(&cold);
    vz_hnsw_free(graph);
    vz_hnsw_free(warm);
    vz_hnsw_free(colder);
    free(v.rows);
}

/* ---- what cannot be ------------------------------------------------------------------------- */

static void refused(struct vz_hnsw *from, struct vz_hnsw_options to, const char *why)
{
    struct vz_recoding *recoding = (struct vz_recoding *)&to;
    struct vz_error err = {0};
    assert_int_equal(vz_recoding_new(from, &to, &recoding, &err), VZ_BAD_ARGUMENT);
    assert_null(recoding);
    if (!strstr(err.text, why))
        fail_msg("[%s] says nothing of [%s]", err.text, why);
}

static void what_is_refused(void **state)
{
    enum { ROWS = 300, DIMS = 16 };
    struct vectors v = vectors_new(ROWS, DIMS, true, SEED);
    struct vz_hnsw_options o = options_of(&v, VZ_COSINE), other = o;
    struct vz_hnsw *from = graph_of(&o, ROWS), *graph;
    struct vz_recoding *recoding;
    struct vz_error err = {0};
    bool left;
    other.m = 17;
    refused(from, other, "lists of 16 links");
    other.flat = true; /* without links their number says nothing */
    vz_hnsw_free(recoded(from, &other));
    other = o;
    other.dims = 8;
    refused(from, other, "same dims");
    other = o;
    other.similarity = VZ_L2;
    refused(from, other, "similarity");
    other = o;
    other.element = VZ_ELEMENT_BFLOAT16;
    refused(from, other, "element");
    other = o;
    other.quantize = 9;
    refused(from, other, "quantization 9");
    other = o;
    other.flat = true;
    struct vz_hnsw *flat = graph_of(&other, ROWS);
    refused(flat, o, "no links");
    vz_hnsw_free(flat);
    /* Too few rows allowed: said when they come, and from is none the worse. */
    other = kind_of(&o, VZ_QUANTIZE_BIT, false, ROWS);
    other.max_rows = ROWS - 1;
    recoding = begun(from, &other);
    assert_int_equal(vz_recoding_advance(recoding, ROWS - 1, &left, &err), VZ_OK);
    assert_true(left);
    assert_int_equal(vz_recoding_advance(recoding, 1, &left, &err), VZ_LIMIT);
    assert_int_equal(vz_recoding_finish(recoding, &graph, &err), VZ_LIMIT);
    assert_null(graph);
    assert_int_equal(vz_recoding_count(recoding), ROWS - 1);
    vz_recoding_free(recoding);
    inserted(from, 0, ROWS);
    assert_valid(from);
    vz_hnsw_free(from);
    free(v.rows);
}

/* Given up at any step; an empty graph; twice finished. */
static void given_up(void **state)
{
    enum { ROWS = 500, DIMS = 16 };
    struct vectors v = vectors_new(ROWS, DIMS, true, SEED);
    struct vz_hnsw_options base = options_of(&v, VZ_COSINE);
    struct vz_hnsw *from = graph_of(&base, 0), *graph;
    struct vz_hnsw_options o = kind_of(&base, VZ_QUANTIZE_INT4, false, 0);
    struct vz_error err = {0};
    graph = recoded(from, &o);
    assert_int_equal(vz_hnsw_count(graph), 0);
    inserted(graph, 0, 100);
    assert_valid(graph);
    vz_hnsw_free(graph);
    inserted(from, 0, ROWS);
    vz_recoding_free(NULL);
    for (uint32_t coded = 0; coded < ROWS; coded += 123) {
        bool left;
        struct vz_recoding *recoding = begun(from, &o);
        size_t before = vz_recoding_memory_bytes(recoding);
        must(vz_recoding_advance(recoding, coded, &left, &err), &err);
        assert_true(left);
        assert_int_equal(vz_recoding_memory_bytes(recoding) - before, coded * (size_t)(16 + 16));
        vz_recoding_free(recoding);
    }
    assert_valid(from);
    struct vz_recoding *recoding = begun(from, &o);
    must(vz_recoding_finish(recoding, &graph, &err), &err);
    assert_same_links(from, graph);
    vz_hnsw_free(graph);
    assert_int_equal(vz_recoding_finish(recoding, &graph, &err), VZ_BAD_ARGUMENT);
    assert_null(graph);
    assert_int_equal(vz_recoding_memory_bytes(recoding), 0);
    vz_recoding_free(recoding);
    vz_hnsw_free(from);
    free(v.rows);
}

/* ---- at once -------------------------------------------------------------------------------- */

#define MANY (SLOW_BUILD ? 1500u : 6000u)
#define KEPT (SLOW_BUILD ? 300u : 1000u) /* the newest */
#define FEW_DIMS 24

struct job {
    struct vz_hnsw *graph;
    const struct vectors *rows;
    _Atomic uint32_t next;
    atomic_bool stop;
    _Atomic uint32_t searches, wrong, repairs;
    _Atomic uint32_t removed_below; /* rows below it were removed before it was raised */
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
        atomic_fetch_add(&job->repairs, 1);
    }
    return NULL;
}

static uint32_t search_once(struct job *job, const struct vz_hnsw *graph, uint32_t row)
{
    uint32_t below = atomic_load(&job->removed_below), found, wrong = 0;
    struct vz_near out[K];
    struct vz_hnsw_search search = {
        .query = job->rows->rows + (size_t)row * FEW_DIMS, .k = K, .ef = 64};
    bool many = vz_hnsw_count(graph) > KEPT;
    if (vz_hnsw_search(graph, &search, out, &found, NULL, NULL) != VZ_OK || (many && found < K))
        wrong++;
    for (uint32_t i = 0; i < found; i++)
        wrong += out[i].row >= job->rows->count || (graph == job->graph && out[i].row < below) ||
                 (i && out[i].similarity > out[i - 1].similarity);
    return wrong;
}

static void *search_rows(void *context)
{
    struct job *job = context;
    uint64_t rng = SEED;
    while (!atomic_load(&job->stop)) {
        uint32_t row = (uint32_t)(vz_rng_next(&rng) % job->rows->count);
        atomic_fetch_add(&job->wrong, search_once(job, job->graph, row));
        atomic_fetch_add(&job->searches, 1);
        if (SLOW_BUILD)
            usleep(200); /* or the inserts get no processor */
    }
    return NULL;
}

/* One after the other while the rest goes on; each is whole, and rows go on coming into it. */
static uint32_t recode_again_and_again(struct job *job, const struct vz_hnsw_options *o)
{
    uint32_t times = 0;
    bool last = false;
    while (!last) {
        last = atomic_load(&job->next) >= job->rows->count; /* once more, of them all */
        struct vz_hnsw *graph = recoded(job->graph, o);
        uint32_t count = vz_hnsw_count(graph);
        if (!o->flat && count > KEPT)
            for (uint32_t row = 0; row < count; row += count / 8)
                atomic_fetch_add(&job->wrong, search_once(job, graph, row));
        vz_hnsw_free(graph);
        times++;
        usleep(SLOW_BUILD ? 5000 : 1000);
    }
    return times;
}

static void all_at_once(void **state)
{
    struct vectors v = vectors_new(MANY, FEW_DIMS, true, SEED);
    for (uint32_t to = 0; to < 5; to++) {
        struct vz_hnsw_options base = options_of(&v, VZ_COSINE);
        struct vz_hnsw_options o = kind_of(&base, (to + 1) % 4, false, MANY);
        struct job job = {.graph = graph_of(&o, 0), .rows = &v};
        pthread_t inserters[2], searchers[2], remover;
        o = kind_of(&base, to % 4, to == 4, MANY);
        assert_int_equal(pthread_create(&remover, NULL, remove_rows, &job), 0);
        for (int i = 0; i < 2; i++) {
            assert_int_equal(pthread_create(&searchers[i], NULL, search_rows, &job), 0);
            assert_int_equal(pthread_create(&inserters[i], NULL, insert_rows, &job), 0);
        }
        uint32_t times = recode_again_and_again(&job, &o);
        for (int i = 0; i < 2; i++)
            pthread_join(inserters[i], NULL);
        atomic_store(&job.stop, true);
        pthread_join(remover, NULL);
        for (int i = 0; i < 2; i++)
            pthread_join(searchers[i], NULL);
        print_message("to %u%s: %u times, %u searches, %u repairs meanwhile\n", o.quantize,
                      o.flat ? " flat" : "", times, job.searches, job.repairs);
        assert_valid(job.graph);
        struct vz_hnsw *graph = recoded(job.graph, &o);
        if (!o.flat)
            assert_same_links(job.graph, graph);
        assert_int_equal(vz_hnsw_count(graph), MANY);
        assert_int_equal(job.wrong, 0);
        vz_hnsw_free(graph);
        vz_hnsw_free(job.graph);
    }
    free(v.rows);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind_becomes_every_other),
        cmocka_unit_test(what_is_removed_stays_removed),
        cmocka_unit_test(rows_come_meanwhile),
        cmocka_unit_test(opened_and_saved),
        cmocka_unit_test(other_elements),
        cmocka_unit_test(cold_rows),
        cmocka_unit_test(what_is_refused),
        cmocka_unit_test(given_up),
        cmocka_unit_test(all_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
