/* Filtered searches and groups: recall, k results whenever k exist, work that a scan would not
 * exceed by much, whatever the caller says about the filter. */
#include "vectors.h"

#include "base/bitset.h"

#define ROWS 20000
#define DIMS 32
#define QUERIES 40
#define K 10
#define DEFAULT_EF 15 /* what Elasticsearch makes of k 10 */

enum filter_kind { RANDOM, NEAR, FAR, OUTER, FILTER_KINDS };
static const char *kind_names[] = {"random", "near", "far", "outer"};
static const double percents[] = {90, 50, 20, 10, 5, 1, 0.1};

static struct vectors rows, queries;
static struct vz_hnsw *graphs[3]; /* float, int8, bit */
static struct vz_hnsw_options options[3];

static int build(void **state)
{
    rows = vectors_new(ROWS, DIMS, true, SEED);
    queries = vectors_new(QUERIES, DIMS, true, SEED + 1);
    for (uint32_t quantize = 0; quantize < 3; quantize++) {
        options[quantize] = options_of(&rows, VZ_COSINE);
        options[quantize].quantize = quantize == 2 ? VZ_QUANTIZE_BIT : quantize;
        options[quantize].sample_rows = ROWS;
        graphs[quantize] = graph_of(&options[quantize], ROWS);
    }
    return 0;
}

static int tear_down(void **state)
{
    vz_hnsw_free(graphs[0]);
    vz_hnsw_free(graphs[1]);
    vz_hnsw_free(graphs[2]);
    free(rows.rows);
    free(queries.rows);
    return 0;
}

static bool is_accepted(void *context, uint32_t row)
{
    return vz_bitset_has(context, row);
}

static uint32_t list_accepted(void *context, uint32_t from, uint32_t *out, uint32_t max)
{
    return vz_bitset_list(context, from, out, max);
}

/* The `matches` rows nearest to the query's nearest row, to the row farthest from it, any, or all
 * but the nearest to the query: a hole around it. */
static void make_filter(struct vz_bitset *set, enum filter_kind kind, uint32_t matches,
                        const float *query, uint64_t *chance)
{
    memset(set->words, 0, vz_bitset_word_count(set) * 8);
    if (kind == RANDOM) {
        for (uint32_t left = matches; left;) {
            uint32_t row = (uint32_t)(vz_rng_next(chance) % ROWS);
            left -= !vz_bitset_has(set, row);
            vz_bitset_set(set, row);
        }
        return;
    }
    float *minus = vz_try_alloc(DIMS, sizeof *minus);
    for (uint32_t d = 0; d < DIMS; d++)
        minus[d] = kind == FAR || kind == OUTER ? -query[d] : query[d];
    struct vz_near pivot, *all = vz_try_alloc(ROWS, sizeof *all);
    uint32_t found;
    struct vz_hnsw_search search = {.query = minus, .k = 1};
    assert_int_equal(vz_exact_range(&options[0], &search, 0, ROWS, &pivot, &found, NULL), VZ_OK);
    if (kind != OUTER)
        search.query = rows.rows + (size_t)pivot.row * DIMS;
    search.k = matches;
    assert_int_equal(vz_exact_range(&options[0], &search, 0, ROWS, all, &found, NULL), VZ_OK);
    for (uint32_t i = 0; i < found; i++)
        vz_bitset_set(set, all[i].row);
    free(minus);
    free(all);
}

enum told { RIGHT_WITH_LIST, RIGHT, NOTHING, TOO_MANY, TOO_FEW, TOLDS };

struct outcome {
    double recall, visited, scans;
};

/* Asserts that every search returns as many rows as it can, sorted, accepted, with true
 * similarities. */
static struct outcome measure(uint32_t quantize, enum filter_kind kind, double percent, uint32_t ef,
                              enum told told)
{
    struct vz_bitset set;
    struct outcome sum = {0};
    uint64_t chance = SEED, hits = 0, wanted = 0;
    uint32_t matches = (uint32_t)(ROWS * percent / 100);
    uint32_t estimates[TOLDS] = {matches, matches, 0, ROWS / 2, 1};
    vz_bitset_init(&set, ROWS);
    for (uint32_t q = 0; q < QUERIES; q++) {
        const float *query = queries.rows + (size_t)q * DIMS;
        make_filter(&set, kind, matches, query, &chance);
        struct vz_hnsw_search search = {.query = query,
                                        .k = K,
                                        .ef = ef,
                                        .accept = is_accepted,
                                        .accept_context = &set,
                                        .accept_estimate = estimates[told]};
        if (told == RIGHT_WITH_LIST)
            search.accepted = list_accepted;
        struct vz_near got[K], want[K];
        struct vz_hnsw_stats stats;
        uint32_t found, exact;
        assert_int_equal(vz_hnsw_search(graphs[quantize], &search, got, &found, &stats, NULL),
                         VZ_OK);
        assert_int_equal(vz_exact_range(&options[0], &search, 0, ROWS, want, &exact, NULL), VZ_OK);
        assert_int_equal(found, VZ_MIN(matches, (uint32_t)K));
        for (uint32_t i = 0; i < found; i++) {
            assert_true(vz_bitset_has(&set, got[i].row));
            assert_true(i == 0 || got[i].similarity <= got[i - 1].similarity);
            for (uint32_t j = 0; j < exact; j++)
                if (got[i].row == want[j].row) {
                    assert_true(got[i].similarity == want[j].similarity);
                    hits++;
                }
        }
        wanted += exact;
        sum.visited += (double)stats.visited / QUERIES;
        sum.scans += (double)stats.scanned / QUERIES;
    }
    vz_bitset_deinit(&set);
    sum.recall = (double)hits / (double)wanted;
    return sum;
}

static void recall_at_every_selectivity(void **state)
{
    for (uint32_t quantize = 0; quantize < 2; quantize++)
        for (int kind = 0; kind < FILTER_KINDS; kind++)
            for (size_t p = 0; p < VZ_COUNT_OF(percents); p++) {
                struct outcome got = measure(quantize, (enum filter_kind)kind, percents[p],
                                             DEFAULT_EF, RIGHT_WITH_LIST);
                print_message("quantize %u %6s %5g %%: recall@10 %.4f, %.0f distances, %.0f %% "
                              "scanned\n",
                              quantize, kind_names[kind], percents[p], got.recall, got.visited,
                              100 * got.scans);
                if (got.recall < 0.95)
                    fail_msg("recall@10 %.4f is below 0.95", got.recall);
                /* A scan's distances, and a walk's in vain before it. */
                assert_true(got.visited <= ROWS * percents[p] / 100 * 1.5 + 200);
            }
}

/* The caller knows nothing or is wrong: the same results, at some cost. */
static void wrong_estimates_cost_time_only(void **state)
{
    for (int told = RIGHT; told < TOLDS; told++)
        for (int kind = 0; kind < FILTER_KINDS; kind++)
            for (size_t p = 1; p < VZ_COUNT_OF(percents); p++) {
                struct outcome got =
                    measure(p % 2, (enum filter_kind)kind, percents[p], 64, (enum told)told);
                print_message("told %d %6s %5g %%: recall@10 %.4f, %.0f distances, %.0f %% "
                              "scanned\n",
                              told, kind_names[kind], percents[p], got.recall, got.visited,
                              100 * got.scans);
                assert_true(got.recall >= (told == TOO_MANY ? 0.85 : 0.95));
            }
}

/* A walk in which most neighbours are rejected computes no distances to them. */
static void rejected_rows_are_not_scored(void **state)
{
    struct outcome half = measure(0, RANDOM, 50, 64, RIGHT_WITH_LIST);
    struct outcome third = measure(0, RANDOM, 30, 64, RIGHT_WITH_LIST);
    print_message("distances: %.0f at 50 %%, %.0f at 30 %%\n", half.visited, third.visited);
    assert_true(half.scans < 0.2 && third.scans < 0.2);
    assert_true(third.visited < half.visited * 1.2); /* all of them scored: 1.7 times as many */
}

static bool refuse(void *context, uint32_t row)
{
    return false;
}

static void nothing_accepted(void **state)
{
    struct vz_near out[K];
    uint32_t found = 9;
    struct vz_hnsw_stats stats;
    struct vz_hnsw_search search = {.query = queries.rows, .k = K, .ef = 100, .accept = refuse};
    for (uint32_t estimate = 0; estimate <= ROWS; estimate += ROWS / 2) {
        search.accept_estimate = estimate;
        assert_int_equal(vz_hnsw_search(graphs[1], &search, out, &found, &stats, NULL), VZ_OK);
        assert_int_equal(found, 0);
    }
}

/* ---- groups ---- */

struct grouping {
    uint32_t groups;
    const struct vz_bitset *set; /* or NULL */
};

static uint32_t scattered_group(void *context, uint32_t row)
{
    const struct grouping *grouping = context;
    return (uint32_t)(row * 2654435761u) % grouping->groups;
}

static int by_nearness(const void *left, const void *right)
{
    const struct vz_near *a = left, *b = right;
    if (a->similarity != b->similarity)
        return a->similarity > b->similarity ? -1 : 1;
    return a->row < b->row ? -1 : a->row > b->row;
}

/* The best row of each group, sorted: the plain way. */
static uint32_t plain_groups(const float *query, struct grouping *grouping, struct vz_near *out,
                             uint32_t k)
{
    struct vz_near *all = vz_try_alloc(ROWS, sizeof *all);
    struct vz_bitset seen;
    uint32_t count = 0, kept = 0;
    vz_bitset_init(&seen, grouping->groups);
    for (uint32_t row = 0; row < ROWS; row++)
        if (!grouping->set || vz_bitset_has(grouping->set, row))
            all[count++] = (struct vz_near){
                row, vz_similarity_f32(VZ_COSINE, query, rows.rows + (size_t)row * DIMS, DIMS)};
    qsort(all, count, sizeof *all, by_nearness);
    for (uint32_t i = 0; i < count && kept < k; i++) {
        uint32_t group = scattered_group(grouping, all[i].row);
        if (!vz_bitset_has(&seen, group))
            out[kept++] = all[i];
        vz_bitset_set(&seen, group);
    }
    vz_bitset_deinit(&seen);
    free(all);
    return kept;
}

static double group_recall(uint32_t quantize, struct grouping *grouping, uint32_t k, uint32_t ef)
{
    struct vz_near *got = vz_try_alloc(k, sizeof *got), *want = vz_try_alloc(k, sizeof *want);
    uint64_t hits = 0, wanted = 0;
    for (uint32_t q = 0; q < QUERIES; q++) {
        const float *query = queries.rows + (size_t)q * DIMS;
        struct vz_hnsw_search search = {
            .query = query, .k = k, .ef = ef, .group = scattered_group, .group_context = grouping};
        union {
            const struct vz_bitset *from;
            void *to;
        } set = {.from = grouping->set};
        if (set.to) {
            search.accept = is_accepted;
            search.accept_context = set.to;
        }
        uint32_t found, exact = plain_groups(query, grouping, want, k);
        assert_int_equal(vz_hnsw_search(graphs[quantize], &search, got, &found, NULL, NULL), VZ_OK);
        assert_int_equal(found, exact);
        for (uint32_t i = 0; i < found; i++)
            for (uint32_t j = 0; j < i; j++)
                assert_true(scattered_group(grouping, got[i].row) !=
                            scattered_group(grouping, got[j].row));
        for (uint32_t i = 0; i < found; i++)
            for (uint32_t j = 0; j < exact; j++)
                hits += got[i].row == want[j].row;
        wanted += exact;
    }
    free(got);
    free(want);
    return (double)hits / (double)wanted;
}

static void k_distinct_groups(void **state)
{
    struct vz_bitset half;
    vz_bitset_init(&half, ROWS);
    for (uint32_t row = 0; row < ROWS; row += 2)
        vz_bitset_set(&half, row);
    uint32_t counts[] = {ROWS / 5, 200, 12, 7, 1}; /* the last two have fewer than k groups */
    for (uint32_t quantize = 0; quantize < 2; quantize++)
        for (size_t i = 0; i < VZ_COUNT_OF(counts); i++)
            for (int filtered = 0; filtered < 2; filtered++) {
                struct grouping grouping = {counts[i], filtered ? &half : NULL};
                double recall = group_recall(quantize, &grouping, K, DEFAULT_EF);
                print_message("quantize %u, %u groups%s: recall@10 %.4f\n", quantize, counts[i],
                              filtered ? ", half accepted" : "", recall);
                assert_true(recall >= 0.97);
            }
    vz_bitset_deinit(&half);
}

/* The nearest rows are excluded, so that thousands are about as near as the best that is left:
 * codes alone cannot rank them. */
static void the_border_of_a_hole(void **state)
{
    static const double accepted[] = {50, 20};
    for (uint32_t quantize = 1; quantize < 3; quantize++)
        for (size_t i = 0; i < VZ_COUNT_OF(accepted); i++) {
            struct outcome got = measure(quantize, OUTER, accepted[i], DEFAULT_EF, RIGHT_WITH_LIST);
            print_message("%s, the farthest %g %%: recall@10 %.4f, visited %.0f\n",
                          quantize == 1 ? "int8" : "bit", accepted[i], got.recall, got.visited);
            /* 32 bits tell little, also on an ordinary walk; with 512 the bench finds all. */
            assert_true(got.recall >= (quantize == 1 ? 0.99 : 0.85));
            assert_true(got.visited <= ROWS * accepted[i] / 100 * 1.2 + 1000);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_border_of_a_hole),
        cmocka_unit_test(recall_at_every_selectivity),
        cmocka_unit_test(wrong_estimates_cost_time_only),
        cmocka_unit_test(rejected_rows_are_not_scored),
        cmocka_unit_test(nothing_accepted),
        cmocka_unit_test(k_distinct_groups),
    };
    return cmocka_run_group_tests(tests, build, tear_down);
}
