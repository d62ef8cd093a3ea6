/* Scans of accepted rows by codes: what they answer is what a scan of the rows answers, whatever
 * the codes, the similarity and the filter; also behind a border, among copies and with rows that
 * are no numbers. Flat indexes, which scan always. */
#include "vectors.h"

#include "base/bitset.h"

enum { ROWS = 6000, QUERIES = 8, MOST = 200 };

static bool is_accepted(void *context, uint32_t row)
{
    return vz_bitset_has(context, row);
}

static uint32_t list_accepted(void *context, uint32_t from, uint32_t *out, uint32_t max)
{
    return vz_bitset_list(context, from, out, max);
}

static struct vz_hnsw *flat_of(struct vz_hnsw_options o, uint32_t quantize)
{
    o.quantize = quantize;
    o.sample_rows = ROWS;
    o.flat = true;
    return graph_of(&o, ROWS);
}

/* Of the accepted ones, how many of the k true answers were found; asserts that all found carry
 * their own similarity, in order. */
static double asked(const struct vz_hnsw *graph, const struct vz_hnsw_options *o,
                    struct vz_bitset *set, const float *query, uint32_t k, bool listed)
{
    struct vz_hnsw_search search = {.query = query,
                                    .k = k,
                                    .accept = is_accepted,
                                    .accept_context = set,
                                    .accepted = listed ? list_accepted : NULL};
    struct vz_near got[MOST], want[MOST];
    struct vz_hnsw_stats stats;
    uint32_t found, exact, hits = 0;
    assert_int_equal(vz_hnsw_search(graph, &search, got, &found, &stats, NULL), VZ_OK);
    assert_int_equal(vz_exact_range(o, &search, 0, ROWS, want, &exact, NULL), VZ_OK);
    assert_true(stats.scanned);
    assert_int_equal(found, exact);
    for (uint32_t i = 0; i < found; i++) {
        assert_true(!i || got[i].similarity < got[i - 1].similarity ||
                    (got[i].similarity == got[i - 1].similarity && got[i].row > got[i - 1].row));
        for (uint32_t j = 0; j < exact; j++)
            if (got[i].row == want[j].row) {
                assert_true(got[i].similarity == want[j].similarity);
                hits++;
            }
    }
    return exact ? (double)hits / exact : 1;
}

/* A third of all rows, or the half that is farther from the query. */
static void accept_rows(struct vz_bitset *set, const struct vz_hnsw_options *o, const float *query,
                        bool hole)
{
    struct vz_near *all = vz_try_alloc(ROWS, sizeof *all);
    uint32_t found;
    struct vz_hnsw_search search = {.query = query, .k = ROWS};
    assert_int_equal(vz_exact_range(o, &search, 0, ROWS, all, &found, NULL), VZ_OK);
    memset(set->words, 0, vz_bitset_word_count(set) * 8);
    for (uint32_t i = hole ? ROWS / 2 : 0; i < ROWS; i += hole ? 1 : 3)
        vz_bitset_set(set, all[(i * 7) % ROWS * !hole + i * hole].row);
    free(all);
}

static void scans_by_codes_are_exact(void **state)
{
    static const enum vz_similarity kinds[] = {VZ_COSINE, VZ_L2, VZ_MAX_INNER};
    static const uint32_t dims[] = {129, 256}, ks[] = {1, 10, MOST};
    struct vz_bitset set;
    vz_bitset_init(&set, ROWS);
    for (size_t d = 0; d < VZ_COUNT_OF(dims); d++)
        for (size_t i = 0; i < VZ_COUNT_OF(kinds); i++) {
            struct vectors rows = vectors_new(ROWS, dims[d], kinds[i] == VZ_COSINE, SEED);
            struct vectors queries = vectors_new(QUERIES, dims[d], kinds[i] == VZ_COSINE, SEED + 1);
            struct vz_hnsw_options o = options_of(&rows, kinds[i]);
            for (uint32_t quantize = 1; quantize <= VZ_QUANTIZE_BIT; quantize++) {
                struct vz_hnsw *graph = flat_of(o, quantize);
                double recall = 0;
                for (uint32_t q = 0; q < QUERIES * 6; q++) {
                    const float *query = queries.rows + (size_t)(q / 6) * dims[d];
                    accept_rows(&set, &o, query, q % 2);
                    recall += asked(graph, &o, &set, query, ks[q % 3], q % 4 < 2) / (QUERIES * 6);
                }
                print_message("%u dims, similarity %d, quantize %u: recall %.5f\n", dims[d],
                              (int)kinds[i], quantize, recall);
                /* Four deviations, of which those of one bit are an estimate themselves. */
                assert_true(recall >= (quantize == VZ_QUANTIZE_BIT ? 0.999 : 0.99999));
                vz_hnsw_free(graph);
            }
            free(rows.rows);
            free(queries.rows);
        }
    vz_bitset_deinit(&set);
}

/* Thousands of copies of one row cannot all be held; the first of them come back. */
static void copies_and_what_is_no_number(void **state)
{
    enum { DIMS = 64 };
    struct vectors rows = vectors_new(ROWS, DIMS, true, SEED);
    struct vz_bitset set;
    vz_bitset_init(&set, ROWS);
    vz_bitset_set_all(&set);
    for (uint32_t r = 100; r < ROWS - 100; r++)
        memcpy(rows.rows + (size_t)r * DIMS, rows.rows, DIMS * sizeof(float));
    for (uint32_t d = 0; d < DIMS; d++) {
        rows.rows[(size_t)50 * DIMS + d] = NAN;
        rows.rows[(size_t)51 * DIMS + d] = 3e38f;
        rows.rows[(size_t)52 * DIMS + d] = 0;
        rows.rows[(size_t)53 * DIMS + d] = d == 3 ? NAN : 0.1f;
    }
    struct vz_hnsw_options o = options_of(&rows, VZ_COSINE);
    for (uint32_t quantize = 1; quantize <= VZ_QUANTIZE_BIT; quantize++) {
        struct vz_hnsw *graph = flat_of(o, quantize);
        assert_true(asked(graph, &o, &set, rows.rows, 10, true) == 1);
        assert_true(asked(graph, &o, &set, rows.rows, MOST, false) == 1);
        assert_true(asked(graph, &o, &set, rows.rows + (size_t)60 * DIMS, 10, true) >= 0.9);
        vz_hnsw_free(graph);
    }
    free(rows.rows);
    vz_bitset_deinit(&set);
}

static bool stop_at_once(void *context)
{
    ++*(uint32_t *)context;
    return true;
}

static void removed_rows_and_cancelling(void **state)
{
    enum { DIMS = 64 };
    struct vectors rows = vectors_new(ROWS, DIMS, true, SEED);
    struct vz_hnsw_options o = options_of(&rows, VZ_COSINE);
    struct vz_hnsw *graph = flat_of(o, VZ_QUANTIZE_INT8);
    struct vz_bitset set;
    struct vz_near got[10];
    uint32_t found, times = 0;
    vz_bitset_init(&set, ROWS);
    vz_bitset_set_all(&set);
    for (uint32_t r = 0; r < ROWS; r += 2)
        assert_int_equal(vz_hnsw_remove(graph, r, NULL), VZ_OK);
    struct vz_hnsw_search search = {.query = rows.rows,
                                    .k = 10,
                                    .accept = is_accepted,
                                    .accept_context = &set,
                                    .accepted = list_accepted};
    assert_int_equal(vz_hnsw_search(graph, &search, got, &found, NULL, NULL), VZ_OK);
    assert_int_equal(found, 10);
    for (uint32_t i = 0; i < found; i++)
        assert_int_equal(got[i].row % 2, 1);
    search.cancelled = stop_at_once;
    search.cancelled_context = &times;
    assert_int_equal(vz_hnsw_search(graph, &search, got, &found, NULL, NULL), VZ_OK);
    assert_int_equal(times, 1);
    vz_hnsw_free(graph);
    free(rows.rows);
    vz_bitset_deinit(&set);
}

/* Every row asks for itself, one answer wanted: it is coded as wrongly as its query. */
static void every_row_finds_itself(void **state)
{
    enum { DIMS = 32, FEW_ROWS = 1200, ROUNDS = 20 };
    struct vz_bitset set;
    vz_bitset_init(&set, FEW_ROWS);
    vz_bitset_set_all(&set);
    for (uint32_t round = 0; round < ROUNDS; round++) {
        struct vectors rows = vectors_new(FEW_ROWS, DIMS, true, SEED + round);
        struct vz_hnsw_options o = options_of(&rows, VZ_COSINE);
        for (uint32_t quantize = 1; quantize <= VZ_QUANTIZE_BIT; quantize++) {
            o.quantize = quantize;
            o.flat = true;
            o.sample_rows = FEW_ROWS;
            struct vz_hnsw *graph = graph_of(&o, FEW_ROWS);
            for (uint32_t row = 0; row < FEW_ROWS; row++) {
                struct vz_hnsw_search search = {.query = rows.rows + (size_t)row * DIMS,
                                                .k = 1,
                                                .accept = is_accepted,
                                                .accept_context = &set,
                                                .accepted = list_accepted};
                struct vz_near got;
                uint32_t found;
                assert_int_equal(vz_hnsw_search(graph, &search, &got, &found, NULL, NULL), VZ_OK);
                assert_int_equal(found, 1);
                assert_int_equal(got.row, row);
            }
            vz_hnsw_free(graph);
        }
        free(rows.rows);
    }
    vz_bitset_deinit(&set);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scans_by_codes_are_exact),
        cmocka_unit_test(copies_and_what_is_no_number),
        cmocka_unit_test(removed_rows_and_cancelling),
        cmocka_unit_test(every_row_finds_itself),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
