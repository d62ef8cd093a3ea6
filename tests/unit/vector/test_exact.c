#include "vectors.h"

struct one_in {
    uint32_t n;
    uint64_t asked;
};

static bool accept_one_in(void *context, uint32_t row)
{
    struct one_in *filter = context;
    filter->asked++;
    return row % filter->n == 0;
}

static int by_nearness(const void *left, const void *right)
{
    const struct vz_near *a = left, *b = right;
    if (a->similarity != b->similarity)
        return a->similarity > b->similarity ? -1 : 1;
    return a->row < b->row ? -1 : 1;
}

/* Every row scored and sorted, the slow and plain way. */
static struct vz_near *plain(const struct vz_hnsw_options *o, const float *query, uint32_t first,
                             uint32_t last)
{
    struct vz_near *all = vz_try_alloc(last - first + 1, sizeof *all);
    for (uint32_t row = first; row < last; row++)
        all[row - first] = (struct vz_near){
            row, vz_similarity_f32(o->similarity, query, o->rows + row * o->stride, o->dims)};
    qsort(all, last - first, sizeof *all, by_nearness);
    return all;
}

static void a_range_equals_a_sort(void **state)
{
    struct vectors v = vectors_new(700, 37, false, SEED);
    memcpy(v.rows + 37 * 100, v.rows + 37 * 5, 37 * sizeof(float)); /* a tie */
    for (int kind = VZ_COSINE; kind <= VZ_MAX_INNER; kind++) {
        struct vz_hnsw_options o = options_of(&v, (enum vz_similarity)kind);
        o.stride = o.dims;
        const float *query = v.rows + 37 * 5;
        struct vz_near *want = plain(&o, query, 3, 650), got[800];
        for (uint32_t k = 1; k <= 800; k = k * 2 + 1) {
            uint32_t found;
            struct vz_hnsw_search search = {.query = query, .k = k};
            assert_int_equal(vz_exact_range(&o, &search, 3, 650, got, &found, NULL), VZ_OK);
            assert_int_equal(found, VZ_MIN(k, 647u));
            for (uint32_t i = 0; i < found; i++) {
                assert_int_equal(got[i].row, want[i].row);
                assert_true(got[i].similarity == want[i].similarity);
            }
        }
        free(want);
    }
    free(v.rows);
}

static void stride_is_honoured(void **state)
{
    struct vectors v = vectors_new(40, 16, false, SEED);
    struct vz_hnsw_options o = options_of(&v, VZ_L2);
    o.dims = 10;
    o.stride = 16;
    struct vz_near got[1];
    uint32_t found;
    struct vz_hnsw_search search = {.query = v.rows + 16 * 33, .k = 1};
    assert_int_equal(vz_exact_range(&o, &search, 0, 40, got, &found, NULL), VZ_OK);
    assert_int_equal(got[0].row, 33);
    assert_true(got[0].similarity == 0);
    free(v.rows);
}

static void filters_and_lists(void **state)
{
    struct vectors v = vectors_new(500, 24, true, SEED);
    struct vz_hnsw_options o = options_of(&v, VZ_COSINE);
    struct one_in seventh = {7, 0};
    struct vz_hnsw_search search = {
        .query = v.rows, .k = 20, .accept = accept_one_in, .accept_context = &seventh};
    struct vz_near by_filter[20], by_list[20];
    uint32_t rows[500], listed = 0, found, found_listed;
    for (uint32_t row = 0; row < 500; row += 7)
        rows[listed++] = row;
    assert_int_equal(vz_exact_range(&o, &search, 0, 500, by_filter, &found, NULL), VZ_OK);
    assert_int_equal(seventh.asked, 500);
    assert_int_equal(vz_exact_rows(&o, &search, rows, listed, by_list, &found_listed, NULL), VZ_OK);
    assert_int_equal(found, 20);
    assert_int_equal(found_listed, 20);
    for (uint32_t i = 0; i < 20; i++) {
        assert_int_equal(by_filter[i].row % 7, 0);
        assert_int_equal(by_filter[i].row, by_list[i].row);
    }
    struct one_in none = {1000000, 0};
    search.accept_context = &none;
    assert_int_equal(vz_exact_range(&o, &search, 1, 500, by_filter, &found, NULL), VZ_OK);
    assert_int_equal(found, 0);
    assert_int_equal(vz_exact_range(&o, &search, 500, 500, by_filter, &found, NULL), VZ_OK);
    assert_int_equal(found, 0);
    assert_int_equal(vz_exact_rows(&o, &search, NULL, 0, by_filter, &found, NULL), VZ_OK);
    assert_int_equal(found, 0);
    free(v.rows);
}

static bool cancel_second_time(void *context)
{
    return ++*(int *)context == 2;
}

static void a_scan_can_be_cancelled(void **state)
{
    struct vectors v = vectors_new(5000, 4, true, SEED);
    struct vz_hnsw_options o = options_of(&v, VZ_COSINE);
    int asked = 0;
    struct vz_hnsw_search search = {
        .query = v.rows, .k = 5000, .cancelled = cancel_second_time, .cancelled_context = &asked};
    struct vz_near *got = vz_try_alloc(5000, sizeof *got);
    uint32_t found;
    assert_int_equal(vz_exact_range(&o, &search, 0, 5000, got, &found, NULL), VZ_OK);
    assert_int_equal(asked, 2);
    assert_true(found > 0 && found < 5000);
    free(got);
    free(v.rows);
}

static void lists_merge(void **state)
{
    struct vz_near a[] = {{4, 9}, {7, 5}, {1, 1}}, b[] = {{2, 9}, {7, 5}, {3, 4}}, out[6];
    uint32_t want[] = {2, 4, 7, 3, 1};
    uint32_t n = vz_near_merge(a, 3, b, 3, 6, out);
    assert_int_equal(n, 5); /* row 7 is in both */
    for (uint32_t i = 0; i < n; i++)
        assert_int_equal(out[i].row, want[i]);
    assert_int_equal(vz_near_merge(a, 3, b, 3, 2, out), 2);
    assert_int_equal(out[1].row, 4);
    assert_int_equal(vz_near_merge(a, 0, b, 3, 6, out), 3);
    assert_int_equal(vz_near_merge(a, 3, NULL, 0, 6, out), 3);
    assert_int_equal(vz_near_merge(NULL, 0, NULL, 0, 6, out), 0);
}

static void bad_arguments_are_refused(void **state)
{
    float row[4] = {0};
    struct vz_hnsw_options o = {.dims = 4, .rows = row};
    struct vz_hnsw_search search = {.query = row, .k = 0};
    struct vz_near out[1];
    uint32_t found = 9;
    assert_int_equal(vz_exact_range(&o, &search, 0, 1, out, &found, NULL), VZ_BAD_ARGUMENT);
    assert_int_equal(found, 0);
    search.k = 1;
    search.query = NULL;
    assert_int_equal(vz_exact_range(&o, &search, 0, 1, out, &found, NULL), VZ_BAD_ARGUMENT);
    search.query = row;
    o.dims = 5000;
    assert_int_equal(vz_exact_range(&o, &search, 0, 1, out, &found, NULL), VZ_BAD_ARGUMENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_range_equals_a_sort), cmocka_unit_test(stride_is_honoured),
        cmocka_unit_test(filters_and_lists),     cmocka_unit_test(a_scan_can_be_cancelled),
        cmocka_unit_test(lists_merge),           cmocka_unit_test(bad_arguments_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
