/* Rows in a file that memory does not hold: the same answers, to the bit, as from memory. */
#include "vectors.h"

#include "base/ahead.h"
#include "vector/cold.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

enum { ROWS = 3000, DIMS = 100, QUERIES = 20, K = 10 };

struct file_rows {
    int fd;
    float *rows;
    size_t bytes;
};

static struct file_rows into_file(const struct vectors *v)
{
    char path[] = "/tmp/vizsla-cold-XXXXXX";
    struct file_rows file = {.fd = mkstemp(path), .bytes = (size_t)v->count * v->dims * 4};
    unlink(path);
    assert_int_equal(write(file.fd, v->rows, file.bytes), (ssize_t)file.bytes);
    assert_int_equal(fsync(file.fd), 0);
    file.rows = mmap(NULL, file.bytes, PROT_READ, MAP_SHARED, file.fd, 0);
    assert_ptr_not_equal(file.rows, MAP_FAILED);
    vz_ahead_alone(file.rows, file.bytes);
    return file;
}

static void forget(const struct file_rows *file)
{
    assert_int_equal(madvise(file->rows, file->bytes, MADV_DONTNEED), 0);
    assert_int_equal(posix_fadvise(file->fd, 0, 0, POSIX_FADV_DONTNEED), 0);
}

static bool accept_third(void *context, uint32_t row)
{
    return row % 3 == 0;
}

/* Four answers a query: a walk, a filtered one, a scan of all, a scan of some. */
static void ask_all(const struct vz_hnsw *graph, const struct vz_hnsw_options *o,
                    const float *query, struct vz_near got[4][K])
{
    uint32_t found, some[200];
    for (uint32_t i = 0; i < VZ_COUNT_OF(some); i++)
        some[i] = i * 14 + i % 5;
    struct vz_hnsw_search search = {.query = query, .k = K, .ef = 40};
    assert_int_equal(vz_hnsw_search(graph, &search, got[0], &found, NULL, NULL), VZ_OK);
    assert_int_equal(found, K);
    assert_int_equal(vz_exact_range(o, &search, 7, ROWS, got[1], &found, NULL), VZ_OK);
    assert_int_equal(found, K);
    assert_int_equal(vz_exact_rows(o, &search, some, VZ_COUNT_OF(some), got[2], &found, NULL),
                     VZ_OK);
    assert_int_equal(found, K);
    search.accept = accept_third;
    assert_int_equal(vz_hnsw_search(graph, &search, got[3], &found, NULL, NULL), VZ_OK);
    assert_int_equal(found, K);
}

static void cold_rows_answer_alike(void **state)
{
    struct vectors v = vectors_new(ROWS, DIMS, true, SEED), q = vectors_new(QUERIES, DIMS, true, 5);
    struct file_rows file = into_file(&v);
    struct vz_cold cold = {0};
    vz_cold_begin(&cold, (size_t)1 << 23); /* forgets all after 512 rows */
    for (uint32_t quantize = VZ_QUANTIZE_NONE; quantize <= VZ_QUANTIZE_BIT; quantize++) {
        struct vz_hnsw_options warm = options_of(&v, VZ_COSINE), other = warm;
        warm.quantize = other.quantize = quantize;
        warm.sample_rows = other.sample_rows = ROWS;
        other.rows = file.rows;
        other.cold = &cold;
        forget(&file);
        struct vz_hnsw *graph = graph_of(&warm, ROWS), *colder = graph_of(&other, ROWS);
        assert_valid(colder);
        for (uint32_t i = 0; i < QUERIES; i++) {
            struct vz_near want[4][K], got[4][K];
            ask_all(graph, &warm, q.rows + (size_t)i * DIMS, want);
            forget(&file);
            ask_all(colder, &other, q.rows + (size_t)i * DIMS, got);
            assert_memory_equal(got, want, sizeof got);
        }
        vz_hnsw_free(graph);
        vz_hnsw_free(colder);
    }
    vz_cold_deinit(&cold);
    munmap(file.rows, file.bytes);
    close(file.fd);
    free(v.rows);
    free(q.rows);
}

static void rows_are_asked_for_once_in_a_while(void **state)
{
    struct vz_cold cold = {0};
    assert_false(vz_cold_is_on(&cold));
    assert_false(vz_cold_is_on(NULL));
    vz_cold_begin(&cold, 100 * 4 * 4096); /* 100 pages stay */
    assert_true(vz_cold_is_on(&cold));
    for (int round = 0; round < 3; round++) {
        for (uint32_t row = 0; row < 99; row++)
            assert_true(vz_cold_note(&cold, row * 64 + row % 64));
        for (uint32_t row = 0; row < 99; row++)
            assert_false(vz_cold_note(&cold, row * 64 + row % 64));
        assert_true(vz_cold_note(&cold, 4000000000u)); /* the hundredth: all are forgotten */
    }
    vz_cold_deinit(&cold);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(cold_rows_answer_alike),
                                       cmocka_unit_test(rows_are_asked_for_once_in_a_while)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
