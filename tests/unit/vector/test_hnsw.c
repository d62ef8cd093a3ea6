#include "vectors.h"

#define ROWS 6000
#define DIMS 48
#define QUERIES 200

static void check_recall(enum vz_similarity kind, bool unit, uint32_t quantize, double floor)
{
    struct vectors v = vectors_new(ROWS, DIMS, unit, SEED);
    struct vectors q = vectors_new(QUERIES, DIMS, unit, SEED + 1);
    struct vz_hnsw_options o = options_of(&v, kind);
    o.quantize = quantize;
    struct vz_hnsw *graph = graph_of(&o, ROWS);
    assert_valid(graph);
    double recall = recall_of(graph, &o, ROWS, &q, (struct vz_hnsw_search){.k = 10, .ef = 100});
    print_message("similarity %d quantize %u: recall@10 %.4f at ef 100\n", (int)kind, quantize,
                  recall);
    if (recall < floor)
        fail_msg("recall@10 %.4f is below %.3f", recall, floor);
    vz_hnsw_free(graph);
    free(v.rows);
    free(q.rows);
}

static void recall_cosine(void **state)
{
    check_recall(VZ_COSINE, true, 0, 0.985);
}
static void recall_dot(void **state)
{
    check_recall(VZ_DOT, true, 0, 0.985);
}
static void recall_l2(void **state)
{
    check_recall(VZ_L2, false, 0, 0.985);
}
static void recall_max_inner(void **state)
{
    check_recall(VZ_MAX_INNER, false, 0, 0.95);
}
static void recall_cosine_int8(void **state)
{
    check_recall(VZ_COSINE, true, 1, 0.98);
}
static void recall_l2_int8(void **state)
{
    check_recall(VZ_L2, false, 1, 0.98);
}
static void recall_max_inner_int8(void **state)
{
    check_recall(VZ_MAX_INNER, false, 1, 0.94);
}

static void empty_and_one(void **state)
{
    float rows[8] = {1, 0, 0, 0, 0, 1, 0, 0};
    struct vz_hnsw_options o = {.dims = 4, .rows = rows, .max_rows = 2};
    struct vz_hnsw *graph = graph_of(&o, 0);
    struct vz_hnsw_search search = {.query = rows, .k = 5, .ef = 10};
    struct vz_near out[5];
    uint32_t found = 9;
    struct vz_error err = {0};
    assert_valid(graph);
    assert_int_equal(vz_hnsw_search(graph, &search, out, &found, NULL, NULL), VZ_OK);
    assert_int_equal(found, 0);
    assert_int_equal(vz_hnsw_insert(graph, 0, NULL), VZ_OK);
    assert_valid(graph);
    assert_int_equal(vz_hnsw_search(graph, &search, out, &found, NULL, NULL), VZ_OK);
    assert_int_equal(found, 1);
    assert_int_equal(out[0].row, 0);
    assert_true(out[0].similarity == 1);
    assert_int_equal(vz_hnsw_insert(graph, 1, NULL), VZ_OK);
    assert_int_equal(vz_hnsw_insert(graph, 1, NULL), VZ_OK); /* once more changes nothing */
    assert_int_equal(vz_hnsw_count(graph), 2);
    assert_valid(graph);
    assert_int_equal(vz_hnsw_search(graph, &search, out, &found, NULL, NULL), VZ_OK);
    assert_int_equal(found, 2);
    assert_int_equal(vz_hnsw_insert(graph, 2, &err), VZ_LIMIT);
    assert_non_null(strstr(err.text, "2"));
    assert_int_equal(vz_hnsw_count(graph), 2);
    assert_true(vz_hnsw_memory_bytes(graph) > 0);
    vz_hnsw_free(graph);
    vz_hnsw_free(NULL);
}

static void bad_options_are_refused(void **state)
{
    float rows[4] = {0};
    struct vz_hnsw *graph = (void *)rows;
    struct vz_hnsw_options good = {.dims = 4, .rows = rows, .max_rows = 10}, bad;
#define REFUSED(change)                                                                            \
    do {                                                                                           \
        struct vz_error err = {0};                                                                 \
        bad = good;                                                                                \
        bad.change;                                                                                \
        assert_int_equal(vz_hnsw_new(&bad, &graph, &err), VZ_BAD_ARGUMENT);                        \
        assert_null(graph);                                                                        \
        assert_true(err.text[0] != 0);                                                             \
    } while (0)
    REFUSED(dims = 0);
    REFUSED(dims = 4097);
    REFUSED(stride = 3);
    REFUSED(m = 1);
    REFUSED(m = 513);
    REFUSED(ef_construction = 3201);
    REFUSED(rows = NULL);
    REFUSED(similarity = (enum vz_similarity)9);
    graph = graph_of(&good, 1);
    struct vz_near out[1];
    uint32_t found;
    struct vz_hnsw_search search = {.query = NULL, .k = 1};
    assert_int_equal(vz_hnsw_search(graph, &search, out, &found, NULL, NULL), VZ_BAD_ARGUMENT);
    search.query = rows;
    search.k = 0;
    assert_int_equal(vz_hnsw_search(graph, &search, out, &found, NULL, NULL), VZ_BAD_ARGUMENT);
    vz_hnsw_free(graph);
}

/* 10,000 copies of one row between 1,000 others: the copies can all be reached, the others are
 * still found through and around them. */
static void duplicates(void **state)
{
    enum { OTHERS = 1000, COPIES = 10000, EACH = 16 };
    struct vectors v = vectors_new(OTHERS + COPIES, EACH, true, SEED);
    for (uint32_t row = OTHERS / 2; row < OTHERS / 2 + COPIES; row++)
        memcpy(v.rows + (size_t)row * EACH, v.rows, EACH * sizeof(float));
    for (uint32_t quantize = 0; quantize < 2; quantize++) {
        struct vz_hnsw_options o = options_of(&v, VZ_COSINE);
        o.quantize = quantize;
        struct vz_hnsw *graph = graph_of(&o, v.count);
        assert_valid(graph);
        struct vz_near out[50];
        uint32_t found, own = 0;
        for (uint32_t row = 0; row < v.count; row++) {
            if (row >= OTHERS / 2 && row < OTHERS / 2 + COPIES && row % 97)
                continue;
            struct vz_hnsw_search search = {
                .query = v.rows + (size_t)row * EACH, .k = 50, .ef = 100};
            assert_int_equal(vz_hnsw_search(graph, &search, out, &found, NULL, NULL), VZ_OK);
            assert_int_equal(found, 50);
            bool copy = row == 0 || (row >= OTHERS / 2 && row < OTHERS / 2 + COPIES);
            for (uint32_t i = 0; copy && i < 50; i++)
                assert_true(out[i].similarity == out[0].similarity);
            own += copy || out[0].row == row;
        }
        uint32_t asked = OTHERS + (OTHERS / 2 + COPIES - 1) / 97 - (OTHERS / 2 - 1) / 97;
        print_message("quantize %u: %u of %u found themselves\n", quantize, own, asked);
        assert_true(own >= asked - asked / 100);
        vz_hnsw_free(graph);
    }
    free(v.rows);
}

/* Nothing but one row, many times: the tie rule and the chain behind it. */
static void only_duplicates(void **state)
{
    enum { COPIES = 10000 };
    float *rows = vz_try_alloc(COPIES * 8, sizeof(float));
    for (size_t i = 0; i < COPIES * 8; i++)
        rows[i] = 0.25f;
    struct vz_hnsw_options o = {.dims = 8, .rows = rows, .similarity = VZ_L2, .max_rows = COPIES};
    struct vz_hnsw *graph = graph_of(&o, COPIES);
    assert_valid(graph);
    struct vz_near out[100];
    uint32_t found;
    struct vz_hnsw_search search = {.query = rows, .k = 100, .ef = 100};
    assert_int_equal(vz_hnsw_search(graph, &search, out, &found, NULL, NULL), VZ_OK);
    assert_int_equal(found, 100);
    vz_hnsw_free(graph);
    free(rows);
}

static bool accept_one_percent(void *context, uint32_t row)
{
    return row % 100 == 7;
}
static bool accept_nothing(void *context, uint32_t row)
{
    return false;
}

static void filters(void **state)
{
    struct vectors v = vectors_new(ROWS, DIMS, true, SEED);
    struct vectors q = vectors_new(50, DIMS, true, SEED + 1);
    for (uint32_t quantize = 0; quantize < 2; quantize++) {
        struct vz_hnsw_options o = options_of(&v, VZ_COSINE);
        o.quantize = quantize;
        struct vz_hnsw *graph = graph_of(&o, ROWS);
        struct vz_hnsw_search search = {.k = 10, .ef = 20, .accept = accept_one_percent};
        double recall = recall_of(graph, &o, ROWS, &q, search);
        print_message("1 %% accepted, quantize %u: recall@10 %.4f\n", quantize, recall);
        assert_true(recall >= 0.97);
        search.accept = accept_nothing;
        search.query = q.rows;
        struct vz_near out[10];
        uint32_t found = 9;
        assert_int_equal(vz_hnsw_search(graph, &search, out, &found, NULL, NULL), VZ_OK);
        assert_int_equal(found, 0);
        vz_hnsw_free(graph);
    }
    free(v.rows);
    free(q.rows);
}

static bool cancel_at_once(void *context)
{
    ++*(int *)context;
    return true;
}

static void a_walk_can_be_cancelled(void **state)
{
    struct vectors v = vectors_new(ROWS, DIMS, true, SEED);
    struct vz_hnsw_options o = options_of(&v, VZ_COSINE);
    struct vz_hnsw *graph = graph_of(&o, ROWS);
    int asked = 0;
    struct vz_hnsw_search search = {.query = v.rows,
                                    .k = 10,
                                    .ef = 3000,
                                    .cancelled = cancel_at_once,
                                    .cancelled_context = &asked};
    struct vz_near out[10];
    uint32_t found;
    struct vz_hnsw_stats stopped, whole;
    assert_int_equal(vz_hnsw_search(graph, &search, out, &found, &stopped, NULL), VZ_OK);
    assert_true(asked > 0);
    search.cancelled = NULL;
    assert_int_equal(vz_hnsw_search(graph, &search, out, &found, &whole, NULL), VZ_OK);
    assert_true(stopped.visited * 4 < whole.visited);
    assert_true(whole.hops >= 3000);
    assert_int_equal(out[0].row, 0);
    search.accept = accept_nothing;
    search.cancelled = cancel_at_once;
    assert_int_equal(vz_hnsw_search(graph, &search, out, &found, &stopped, NULL), VZ_OK);
    assert_true(stopped.visited * 4 < whole.visited);
    vz_hnsw_free(graph);
    free(v.rows);
}

/* ef of all rows is an exact search, if everything can be reached. */
static void a_full_walk_finds_everything(void **state)
{
    struct vectors v = vectors_new(1500, 8, false, SEED);
    struct vz_hnsw_options o = options_of(&v, VZ_L2);
    for (uint32_t m = 2; m <= 64; m *= 4) {
        o.m = m;
        struct vz_hnsw *graph = graph_of(&o, v.count);
        struct vz_near *out = vz_try_alloc(v.count, sizeof *out);
        uint32_t found;
        struct vz_hnsw_search search = {.query = v.rows, .k = v.count, .ef = UINT32_MAX};
        assert_int_equal(vz_hnsw_search(graph, &search, out, &found, NULL, NULL), VZ_OK);
        print_message("m %u: %u of %u\n", m, found, v.count);
        assert_true(found >= v.count - v.count / 200);
        free(out);
        vz_hnsw_free(graph);
    }
    free(v.rows);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(recall_cosine),
        cmocka_unit_test(recall_dot),
        cmocka_unit_test(recall_l2),
        cmocka_unit_test(recall_max_inner),
        cmocka_unit_test(recall_cosine_int8),
        cmocka_unit_test(recall_l2_int8),
        cmocka_unit_test(recall_max_inner_int8),
        cmocka_unit_test(empty_and_one),
        cmocka_unit_test(bad_options_are_refused),
        cmocka_unit_test(duplicates),
        cmocka_unit_test(only_duplicates),
        cmocka_unit_test(filters),
        cmocka_unit_test(a_walk_can_be_cancelled),
        cmocka_unit_test(a_full_walk_finds_everything),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
