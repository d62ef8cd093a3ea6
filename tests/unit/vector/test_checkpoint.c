#include "vectors.h"

#include "base/file.h"
#include "base/strmap.h"

#include <unistd.h>

#define ROWS 2000
#define DIMS 20

static char folder[] = "/tmp/vizsla-graph-XXXXXX";
static char path[64];

static int make_folder(void **state)
{
    if (!mkdtemp(folder))
        return -1;
    snprintf(path, sizeof path, "%s/graph", folder);
    return 0;
}
static int remove_folder(void **state)
{
    return vz_remove_all(folder, NULL) == VZ_OK ? 0 : -1;
}

static struct vz_hnsw *reopen(const struct vz_hnsw_options *o)
{
    struct vz_hnsw *graph;
    struct vz_error err = {0};
    if (vz_hnsw_open(path, o, &graph, &err) != VZ_OK)
        fail_msg("%s", err.text);
    return graph;
}

static void same_answers(const struct vz_hnsw *a, const struct vz_hnsw *b, const struct vectors *q)
{
    for (uint32_t i = 0; i < q->count; i++) {
        struct vz_hnsw_search search = {.query = q->rows + (size_t)i * q->dims, .k = 10, .ef = 50};
        struct vz_near left[10], right[10];
        uint32_t left_found, right_found;
        assert_int_equal(vz_hnsw_search(a, &search, left, &left_found, NULL, NULL), VZ_OK);
        assert_int_equal(vz_hnsw_search(b, &search, right, &right_found, NULL, NULL), VZ_OK);
        assert_int_equal(left_found, right_found);
        assert_memory_equal(left, right, left_found * sizeof left[0]);
    }
}

static void save_open_insert_more(void **state)
{
    struct vectors v = vectors_new(ROWS, DIMS, true, SEED);
    struct vectors q = vectors_new(50, DIMS, true, SEED + 1);
    for (uint32_t quantize = 0; quantize < 2; quantize++) {
        struct vz_hnsw_options o = options_of(&v, VZ_COSINE);
        o.quantize = quantize;
        o.seed = 7;
        struct vz_hnsw *first = graph_of(&o, ROWS / 2);
        assert_int_equal(vz_hnsw_save(first, path, NULL), VZ_OK);
        o.seed = 0; /* the file knows it */
        struct vz_hnsw *second = reopen(&o);
        assert_int_equal(vz_hnsw_count(second), ROWS / 2);
        assert_valid(second);
        same_answers(first, second, &q);
        for (uint32_t row = ROWS / 2; row < ROWS; row++) {
            assert_int_equal(vz_hnsw_insert(first, row, NULL), VZ_OK);
            assert_int_equal(vz_hnsw_insert(second, row, NULL), VZ_OK);
        }
        assert_valid(second);
        same_answers(first, second, &q); /* going on makes the same graph as never stopping */
        /* Saving over the file that is mapped, and again from the copy. */
        assert_int_equal(vz_hnsw_save(second, path, NULL), VZ_OK);
        struct vz_hnsw *third = reopen(&o);
        vz_hnsw_free(second);
        assert_int_equal(vz_hnsw_count(third), ROWS);
        assert_valid(third);
        same_answers(first, third, &q);
        vz_hnsw_free(third);
        vz_hnsw_free(first);
    }
    free(v.rows);
    free(q.rows);
}

static void empty_and_one_row(void **state)
{
    struct vectors v = vectors_new(3, DIMS, true, SEED);
    struct vz_hnsw_options o = options_of(&v, VZ_COSINE);
    for (uint32_t count = 0; count < 2; count++) {
        struct vz_hnsw *graph = graph_of(&o, count);
        assert_int_equal(vz_hnsw_save(graph, path, NULL), VZ_OK);
        vz_hnsw_free(graph);
        graph = reopen(&o);
        assert_valid(graph);
        assert_int_equal(vz_hnsw_count(graph), count);
        for (uint32_t row = count; row < 3; row++)
            assert_int_equal(vz_hnsw_insert(graph, row, NULL), VZ_OK);
        assert_valid(graph);
        vz_hnsw_free(graph);
    }
    free(v.rows);
}

static void refused(const struct vz_hnsw_options *o, enum vz_status want)
{
    struct vz_hnsw *graph = (void *)path;
    struct vz_error err = {0};
    assert_int_equal(vz_hnsw_open(path, o, &graph, &err), want);
    assert_null(graph);
    assert_true(err.text[0] != 0);
}

static void another_shape_is_refused(void **state)
{
    struct vectors v = vectors_new(100, DIMS, true, SEED);
    struct vz_hnsw_options good = options_of(&v, VZ_COSINE), o;
    struct vz_hnsw *graph = graph_of(&good, 100);
    assert_int_equal(vz_hnsw_save(graph, path, NULL), VZ_OK);
    vz_hnsw_free(graph);
    o = good, o.similarity = VZ_L2;
    refused(&o, VZ_CORRUPT);
    o = good, o.dims = DIMS - 1, o.stride = DIMS;
    refused(&o, VZ_CORRUPT);
    o = good, o.m = 8;
    refused(&o, VZ_CORRUPT);
    o = good, o.quantize = 1;
    refused(&o, VZ_CORRUPT);
    o = good, o.max_rows = 99;
    refused(&o, VZ_CORRUPT);
    o = good, o.dims = 0;
    refused(&o, VZ_BAD_ARGUMENT);
    vz_hnsw_free(reopen(&good));
    unlink(path);
    refused(&good, VZ_NOT_FOUND);
    free(v.rows);
}

static void save_into_nowhere(void **state)
{
    struct vectors v = vectors_new(10, DIMS, true, SEED);
    struct vz_hnsw_options o = options_of(&v, VZ_COSINE);
    struct vz_hnsw *graph = graph_of(&o, 10);
    struct vz_error err = {0};
    assert_int_equal(vz_hnsw_save(graph, "/nonexistent/folder/graph", &err), VZ_NOT_FOUND);
    vz_hnsw_free(graph);
    free(v.rows);
}

static void rows_missing_in_between(void **state)
{
    struct vectors v = vectors_new(10, DIMS, true, SEED);
    struct vz_hnsw_options o = options_of(&v, VZ_COSINE);
    struct vz_hnsw *graph = graph_of(&o, 3);
    assert_int_equal(vz_hnsw_insert(graph, 5, NULL), VZ_OK);
    assert_int_equal(vz_hnsw_count(graph), 3);
    assert_int_equal(vz_hnsw_save(graph, path, NULL), VZ_BUSY);
    assert_int_equal(vz_hnsw_insert(graph, 4, NULL), VZ_OK);
    assert_int_equal(vz_hnsw_insert(graph, 3, NULL), VZ_OK);
    assert_int_equal(vz_hnsw_count(graph), 6);
    assert_int_equal(vz_hnsw_save(graph, path, NULL), VZ_OK);
    vz_hnsw_free(graph);
    free(v.rows);
}

/* A damaged file: refused, and if not, then harmless. */
static void use(const struct vz_hnsw_options *o, const struct vectors *q, enum vz_status want)
{
    struct vz_hnsw *graph;
    enum vz_status status = vz_hnsw_open(path, o, &graph, NULL);
    assert_int_equal(status, want);
    if (status != VZ_OK)
        return;
    struct vz_near out[10];
    uint32_t found;
    for (uint32_t i = 0; i < q->count; i++) {
        struct vz_hnsw_search search = {.query = q->rows + (size_t)i * q->dims, .k = 10, .ef = 50};
        assert_int_equal(vz_hnsw_search(graph, &search, out, &found, NULL, NULL), VZ_OK);
    }
    vz_hnsw_free(graph);
}

static void write_bytes(const struct vz_buf *file, size_t len)
{
    assert_int_equal(vz_file_write_atomic(path, file->data, len, NULL), VZ_OK);
}

static void damage_is_found(void **state)
{
    print_message("seed %u\n", SEED);
    uint64_t rng = SEED;
    struct vectors v = vectors_new(500, DIMS, true, SEED);
    struct vectors q = vectors_new(3, DIMS, true, SEED + 1);
    struct vz_hnsw_options o = options_of(&v, VZ_COSINE);
    o.quantize = 1;
    struct vz_hnsw *graph = graph_of(&o, v.count);
    assert_int_equal(vz_hnsw_save(graph, path, NULL), VZ_OK);
    vz_hnsw_free(graph);
    struct vz_buf file = {0};
    assert_int_equal(vz_file_read(path, 0, &file, NULL), VZ_OK);
    size_t cuts[] = {0, 1, 7, 8, 100, 4095, 4096, 65536, 65537, file.len / 2, file.len - 1};
    for (size_t i = 0; i < VZ_COUNT_OF(cuts); i++) {
        write_bytes(&file, cuts[i]);
        use(&o, &q, VZ_CORRUPT);
    }
    for (size_t offset = 0; offset < 4096; offset += offset < 256 ? 1 : 61) {
        file.data[offset] ^= (char)(1 << (offset % 8));
        write_bytes(&file, file.len);
        use(&o, &q, VZ_CORRUPT);
        file.data[offset] ^= (char)(1 << (offset % 8));
    }
    /* Anywhere: padding between sections is not covered, everything else is. */
    for (int round = 0; round < 100; round++) {
        size_t offset = vz_rng_next(&rng) % file.len;
        bool counts = file.data[offset] != 0;
        file.data[offset] ^= (char)0xff;
        write_bytes(&file, file.len);
        if (counts)
            use(&o, &q, VZ_CORRUPT);
        file.data[offset] ^= (char)0xff;
    }
    write_bytes(&file, file.len);
    use(&o, &q, VZ_OK);
    vz_buf_deinit(&file);
    free(v.rows);
    free(q.rows);
}

/* Damage that no checksum tells (they are mended after it), as in a file too large to verify on
 * open: walks, filters, inserts and the validator go on within bounds. The sanitizers watch. */
static void undetected_damage_is_harmless(void **state)
{
    enum { SECTION = 64, COUNT = 4, HEADER = 4096 };
    print_message("seed %u\n", SEED);
    uint64_t rng = SEED;
    struct vectors v = vectors_new(1200, DIMS, true, SEED);
    struct vectors q = vectors_new(5, DIMS, true, SEED + 1);
    unsigned refusals = 0;
    for (int round = 0; round < 60; round++) {
        struct vz_hnsw_options o = options_of(&v, round % 2 ? VZ_L2 : VZ_COSINE);
        o.quantize = round % 4 < 2;
        o.m = 4;
        struct vz_hnsw *graph = graph_of(&o, 1000);
        assert_int_equal(vz_hnsw_save(graph, path, NULL), VZ_OK);
        vz_hnsw_free(graph);
        struct vz_buf file = {0};
        assert_int_equal(vz_file_read(path, 0, &file, NULL), VZ_OK);
        for (int i = 0; i < COUNT; i++) {
            uint64_t part[3]; /* offset, bytes, hash */
            memcpy(part, file.data + SECTION + 24 * i, sizeof part);
            for (int flips = 0; part[1] && flips < 1 << (round % 10); flips++)
                file.data[part[0] + vz_rng_next(&rng) % part[1]] ^= (char)vz_rng_next(&rng);
            part[2] = vz_hash((struct vz_slice){file.data + part[0], part[1]}, 0);
            memcpy(file.data + SECTION + 24 * i, part, sizeof part);
        }
        uint64_t hash = vz_hash((struct vz_slice){file.data, HEADER - 8}, 0);
        memcpy(file.data + HEADER - 8, &hash, sizeof hash);
        write_bytes(&file, file.len);
        vz_buf_deinit(&file);
        use(&o, &q, VZ_OK);
        graph = reopen(&o);
        refusals += vz_hnsw_validate(graph, NULL) == VZ_CORRUPT;
        for (uint32_t row = 1000; row < v.count; row++)
            assert_int_equal(vz_hnsw_insert(graph, row, NULL), VZ_OK);
        (void)vz_hnsw_validate(graph, NULL);
        vz_hnsw_free(graph);
    }
    print_message("the validator refused %u of 60\n", refusals);
    assert_true(refusals > 30);
    free(v.rows);
    free(q.rows);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(save_open_insert_more),         cmocka_unit_test(empty_and_one_row),
        cmocka_unit_test(another_shape_is_refused),      cmocka_unit_test(save_into_nowhere),
        cmocka_unit_test(rows_missing_in_between),       cmocka_unit_test(damage_is_found),
        cmocka_unit_test(undetected_damage_is_harmless),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
