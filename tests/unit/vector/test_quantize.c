/* Every quantization with every similarity: recall after rescoring, walks and flat scans, filters,
 * checkpoints, memory. */
#include "vectors.h"

#include "base/file.h"

#include <unistd.h>

#ifdef VZ_TEST_SMALL /* neon.sh: every instruction is emulated */
#define ROWS 800
#define QUERIES 20
#else
#define ROWS 3000
#define QUERIES 50
#endif
#define DIMS 96
#define KINDS 4

static const char *kind_names[KINDS] = {"float", "int8", "int4", "bit"};

/* Rows that all point the same way, as CLIP's do: the mean is longer than what is left. */
static struct vectors shifted_new(uint32_t count, bool unit, uint64_t seed)
{
    struct vectors v = vectors_new(count, DIMS, unit, seed);
    for (uint32_t row = 0; row < count; row++) {
        for (uint32_t d = 0; d < DIMS; d++)
            v.rows[(size_t)row * DIMS + d] += d % 2 ? 0.15f : -0.15f;
        if (unit)
            unit_length(v.rows + (size_t)row * DIMS, DIMS);
    }
    return v;
}

static void check_kind(const struct vectors *v, const struct vectors *q, enum vz_similarity kind,
                       uint32_t quantize, bool flat)
{
    struct vz_hnsw_options o = options_of(v, kind);
    o.quantize = quantize;
    o.flat = flat;
    o.sample_rows = v->count;
    struct vz_hnsw *graph = graph_of(&o, v->count);
    assert_valid(graph);
    double recall = recall_of(graph, &o, v->count, q, (struct vz_hnsw_search){.k = 10, .ef = 64});
    print_message("%s%s similarity %d: recall@10 %.4f at ef 64, %zu bytes a row\n",
                  kind_names[quantize], flat ? " flat" : "", (int)kind, recall,
                  vz_hnsw_memory_bytes(graph) / v->count);
    if (recall < 0.97)
        fail_msg("recall@10 %.4f", recall);
    vz_hnsw_free(graph);
}

static void recall_of_every_kind(void **state)
{
    for (int kind = VZ_COSINE; kind <= VZ_MAX_INNER; kind++) {
        bool unit = kind == VZ_COSINE || kind == VZ_DOT;
        struct vectors v = shifted_new(ROWS, unit, SEED), q = shifted_new(QUERIES, unit, SEED + 1);
        for (uint32_t quantize = 0; quantize < KINDS; quantize++)
            for (int flat = 0; flat < 2; flat++)
                check_kind(&v, &q, (enum vz_similarity)kind, quantize, flat);
        free(v.rows);
        free(q.rows);
    }
}

/* The mean matters: without it bits say little about rows that all point the same way. */
static void the_mean_is_left_out(void **state)
{
    struct vectors v = shifted_new(ROWS, true, SEED), q = shifted_new(QUERIES, true, SEED + 1);
    double recall[2];
    for (uint32_t with = 0; with < 2; with++) {
        struct vz_hnsw_options o = options_of(&v, VZ_COSINE);
        o.quantize = VZ_QUANTIZE_BIT;
        o.flat = true;
        o.sample_rows = with ? ROWS : 0;
        struct vz_hnsw *graph = graph_of(&o, ROWS);
        recall[with] = recall_of(graph, &o, ROWS, &q, (struct vz_hnsw_search){.k = 2, .ef = 8});
        vz_hnsw_free(graph);
    }
    print_message("recall@2 among 8: %.4f without, %.4f with\n", recall[0], recall[1]);
    assert_true(recall[1] > recall[0] + 0.1);
    free(v.rows);
    free(q.rows);
}

static void odd_dims(void **state)
{
    for (uint32_t dims = 1; dims <= 131; dims = dims < 20 ? dims + 1 : dims + 37) {
        struct vectors v = vectors_new(200, dims, false, SEED + dims), q = {v.rows, 20, dims};
        for (uint32_t quantize = 1; quantize < KINDS; quantize++)
            for (int flat = 0; flat < 2; flat++) {
                struct vz_hnsw_options o = options_of(&v, VZ_L2);
                o.quantize = quantize;
                o.flat = flat;
                o.sample_rows = v.count;
                struct vz_hnsw *graph = graph_of(&o, v.count);
                assert_valid(graph);
                double recall =
                    recall_of(graph, &o, v.count, &q, (struct vz_hnsw_search){.k = 1, .ef = 200});
                if (recall < 1)
                    fail_msg("dims %u quantize %u flat %d: %.4f", dims, quantize, flat, recall);
                vz_hnsw_free(graph);
            }
        free(v.rows);
    }
}

/* Of a wide walk only what may be among the k best is scored again. The answer must be that of
 * scoring all of it, which a search for all of it does. */
static void few_floats(void **state)
{
    enum { WIDE = 200, K = 10 };
    for (int kind = VZ_COSINE; kind <= VZ_MAX_INNER; kind++) {
        bool unit = kind == VZ_COSINE || kind == VZ_DOT;
        struct vectors v = shifted_new(ROWS, unit, SEED), q = shifted_new(QUERIES, unit, SEED + 1);
        for (int flat = 0; flat < 2; flat++) {
            struct vz_hnsw_options o = options_of(&v, (enum vz_similarity)kind);
            o.quantize = VZ_QUANTIZE_INT8;
            o.flat = flat;
            struct vz_hnsw *graph = graph_of(&o, ROWS);
            for (uint32_t i = 0; i < QUERIES; i++) {
                struct vz_hnsw_search search = {.query = q.rows + i * DIMS, .k = K, .ef = WIDE};
                struct vz_near few[K], all[WIDE];
                uint32_t found;
                assert_int_equal(vz_hnsw_search(graph, &search, few, &found, NULL, NULL), VZ_OK);
                assert_int_equal(found, K);
                search.k = WIDE;
                assert_int_equal(vz_hnsw_search(graph, &search, all, &found, NULL, NULL), VZ_OK);
                assert_memory_equal(few, all, sizeof few);
            }
            vz_hnsw_free(graph);
        }
        free(v.rows);
        free(q.rows);
    }
}

static bool accept_fifth(void *context, uint32_t row)
{
    return row % 5 == 2;
}
static uint32_t group_by_three(void *context, uint32_t row)
{
    return row / 3;
}

static void filters_and_groups(void **state)
{
    struct vectors v = shifted_new(ROWS, true, SEED), q = shifted_new(QUERIES, true, SEED + 1);
    for (uint32_t quantize = 0; quantize < KINDS; quantize++)
        for (int flat = 0; flat < 2; flat++) {
            struct vz_hnsw_options o = options_of(&v, VZ_COSINE);
            o.quantize = quantize;
            o.flat = flat;
            o.sample_rows = ROWS;
            struct vz_hnsw *graph = graph_of(&o, ROWS);
            struct vz_hnsw_search search = {.k = 10, .ef = 15, .accept = accept_fifth};
            double recall = recall_of(graph, &o, ROWS, &q, search);
            print_message("%s%s: recall@10 %.4f of a fifth\n", kind_names[quantize],
                          flat ? " flat" : "", recall);
            assert_true(recall >= 0.95);
            struct vz_near out[10];
            uint32_t found;
            search.query = q.rows;
            search.group = group_by_three;
            assert_int_equal(vz_hnsw_search(graph, &search, out, &found, NULL, NULL), VZ_OK);
            assert_int_equal(found, 10);
            for (uint32_t i = 0; i < 10; i++)
                for (uint32_t j = 0; j < i; j++)
                    assert_true(out[i].row / 3 != out[j].row / 3 && out[i].row % 5 == 2);
            vz_hnsw_free(graph);
        }
    free(v.rows);
    free(q.rows);
}

#ifndef VZ_TEST_SMALL
static void checkpoints(void **state)
{
    char folder[] = "/tmp/vizsla-quantize-XXXXXX", path[64];
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/graph", folder);
    struct vectors v = shifted_new(1000, true, SEED);
    for (uint32_t quantize = 0; quantize < KINDS; quantize++)
        for (int flat = 0; flat < 2; flat++) {
            struct vz_hnsw_options o = options_of(&v, VZ_COSINE);
            o.quantize = quantize;
            o.flat = flat;
            o.sample_rows = 500;
            struct vz_hnsw *first = graph_of(&o, 700), *second, *wrong;
            struct vz_error err = {0};
            if (vz_hnsw_save(first, path, &err) != VZ_OK)
                fail_msg("%s", err.text);
            o.sample_rows = 0; /* the mean is in the file */
            if (vz_hnsw_open(path, &o, &second, &err) != VZ_OK)
                fail_msg("%s", err.text);
            for (uint32_t row = 700; row < v.count; row++) {
                assert_int_equal(vz_hnsw_insert(first, row, NULL), VZ_OK);
                assert_int_equal(vz_hnsw_insert(second, row, NULL), VZ_OK);
            }
            assert_valid(second);
            for (uint32_t i = 0; i < 50; i++) {
                struct vz_hnsw_search search = {.query = v.rows + i * DIMS, .k = 10, .ef = 20};
                struct vz_near left[10], right[10];
                uint32_t found;
                assert_int_equal(vz_hnsw_search(first, &search, left, &found, NULL, NULL), VZ_OK);
                assert_int_equal(found, 10);
                assert_int_equal(vz_hnsw_search(second, &search, right, &found, NULL, NULL), VZ_OK);
                assert_memory_equal(left, right, sizeof left);
            }
            vz_hnsw_free(second);
            vz_hnsw_free(first);
            o.flat = !flat;
            assert_int_equal(vz_hnsw_open(path, &o, &wrong, NULL), VZ_CORRUPT);
            o.flat = flat;
            o.quantize = (quantize + 1) % KINDS;
            assert_int_equal(vz_hnsw_open(path, &o, &wrong, NULL), VZ_CORRUPT);
        }
    free(v.rows);
    assert_int_equal(vz_remove_all(folder, NULL), VZ_OK);
}
#endif

/* Bytes a row at 512 dims, links (m 16) and all: what the documents say. */
static void memory(void **state)
{
    enum { COUNT = 2000, WIDE = 512 };
    struct vectors v = vectors_new(COUNT, WIDE, true, SEED);
    const size_t most[KINDS][2] = {{146, 6}, {722, 582}, {418, 278}, {226, 86}};
    for (uint32_t quantize = 0; quantize < KINDS; quantize++)
        for (int flat = 0; flat < 2; flat++) {
            struct vz_hnsw_options o = options_of(&v, VZ_COSINE);
            o.quantize = quantize;
            o.flat = flat;
            struct vz_hnsw *empty = graph_of(&o, 0), *graph = graph_of(&o, COUNT);
            size_t bytes =
                (vz_hnsw_memory_bytes(graph) - vz_hnsw_memory_bytes(empty) + COUNT - 1) / COUNT;
            print_message("%s%s: %zu bytes a row\n", kind_names[quantize], flat ? " flat" : "",
                          bytes);
            assert_true(bytes <= most[quantize][flat]);
            vz_hnsw_free(graph);
            vz_hnsw_free(empty);
        }
    free(v.rows);
}

static void odd_rows(void **state)
{
    float rows[64 * 16] = {0}; /* zeros, one huge, one not a number */
    rows[16 * 3] = 3e38f, rows[16 * 3 + 1] = -3e38f;
    rows[16 * 4] = NAN, rows[16 * 4 + 1] = INFINITY;
    for (int i = 16 * 10; i < 16 * 64; i++)
        rows[i] = (float)(i % 37) - 18;
    for (int kind = VZ_COSINE; kind <= VZ_MAX_INNER; kind++)
        for (uint32_t quantize = 0; quantize < KINDS; quantize++)
            for (int flat = 0; flat < 2; flat++) {
                struct vz_hnsw_options o = {.similarity = (enum vz_similarity)kind,
                                            .dims = 16,
                                            .rows = rows,
                                            .quantize = quantize,
                                            .flat = flat,
                                            .max_rows = 64};
                struct vz_hnsw *graph = graph_of(&o, 64);
                assert_valid(graph);
                struct vz_near out[10];
                uint32_t found;
                for (uint32_t row = 0; row < 64; row += 3) {
                    struct vz_hnsw_search search = {.query = rows + 16 * row, .k = 10, .ef = 64};
                    assert_int_equal(vz_hnsw_search(graph, &search, out, &found, NULL, NULL),
                                     VZ_OK);
                    assert_int_equal(found, 10);
                }
                vz_hnsw_free(graph);
            }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(recall_of_every_kind),
        cmocka_unit_test(the_mean_is_left_out),
        cmocka_unit_test(odd_dims),
        cmocka_unit_test(few_floats),
        cmocka_unit_test(filters_and_groups),
        cmocka_unit_test(memory),
        cmocka_unit_test(odd_rows),
#ifndef VZ_TEST_SMALL
        cmocka_unit_test(checkpoints),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
