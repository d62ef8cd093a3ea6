/* Graphs and scans over bfloat16, byte and bit rows, for every similarity they know. */
#include "vectors.h"

#include <unistd.h>

#ifdef VZ_TEST_SMALL
#define ROWS 1500
#else
#define ROWS 6000
#endif
#define DIMS 96
#define QUERIES 60
#define K 10

struct space {
    struct vz_hnsw_options options;
    void *rows, *queries; /* of the element; queries of bfloat16 rows are floats */
    size_t row_bytes, query_bytes;
};

/* Bytes from floats of about unit variance; bits from their signs. */
static void to_bytes(const float *from, size_t count, int8_t *to)
{
    for (size_t i = 0; i < count; i++)
        to[i] = (int8_t)fmaxf(-128, fminf(127, rintf(from[i] * 300)));
}

static void to_bits(const float *from, uint32_t rows, uint32_t dims, uint8_t *to)
{
    memset(to, 0, (size_t)rows * ((dims + 7) / 8));
    for (uint32_t r = 0; r < rows; r++)
        for (uint32_t d = 0; d < dims; d++)
            if (from[(size_t)r * dims + d] > 0)
                to[(size_t)r * ((dims + 7) / 8) + d / 8] |= (uint8_t)(0x80 >> d % 8);
}

static void convert(enum vz_element element, const struct vectors *from, void *to)
{
    size_t count = (size_t)from->count * from->dims;
    if (element == VZ_ELEMENT_BYTE)
        to_bytes(from->rows, count, to);
    else if (element == VZ_ELEMENT_BIT)
        to_bits(from->rows, from->count, from->dims, to);
    else
        for (size_t i = 0; i < count; i++)
            ((uint16_t *)to)[i] = vz_bf16_of(from->rows[i]);
}

static struct space space_new(enum vz_element element, enum vz_similarity kind, uint32_t dims,
                              uint32_t count)
{
    bool unit = element != VZ_ELEMENT_BFLOAT16 || kind == VZ_COSINE || kind == VZ_DOT;
    struct vectors v = vectors_new(count, dims, unit, SEED);
    struct vectors q = vectors_new(QUERIES, dims, unit, SEED + 1);
    struct space s = {.row_bytes = vz_element_bytes(element, dims)};
    s.rows = vz_try_alloc(count, s.row_bytes);
    convert(element, &v, s.rows);
    if (element == VZ_ELEMENT_BFLOAT16) {
        s.query_bytes = dims * sizeof(float);
        s.queries = q.rows;
    } else {
        s.query_bytes = s.row_bytes;
        s.queries = vz_try_alloc(QUERIES, s.row_bytes);
        convert(element, &q, s.queries);
        free(q.rows);
    }
    free(v.rows);
    s.options = (struct vz_hnsw_options){.similarity = kind,
                                         .element = element,
                                         .dims = dims,
                                         .rows = s.rows,
                                         .sample_rows = count,
                                         .max_rows = count};
    return s;
}

static void space_free(struct space *s)
{
    free(s->rows);
    free(s->queries);
}

/* What the header promises, in doubles. */
static double similarity_of(const struct space *s, uint32_t query, uint32_t row)
{
    const char *q = (const char *)s->queries + query * s->query_bytes;
    const char *r = (const char *)s->rows + row * s->row_bytes;
    double dot = 0, gaps = 0, of_q = 0, of_r = 0;
    for (uint32_t d = 0; d < s->options.dims; d++) {
        double a, b;
        if (s->options.element == VZ_ELEMENT_BFLOAT16) {
            a = ((const float *)(const void *)q)[d];
            b = vz_bf16_to(((const uint16_t *)(const void *)r)[d]);
        } else if (s->options.element == VZ_ELEMENT_BYTE) {
            a = ((const int8_t *)q)[d];
            b = ((const int8_t *)r)[d];
        } else {
            a = (q[d / 8] >> d % 8) & 1;
            b = (r[d / 8] >> d % 8) & 1;
        }
        dot += a * b;
        gaps += (a - b) * (a - b);
        of_q += a * a;
        of_r += b * b;
    }
    if (s->options.similarity == VZ_L2)
        return -gaps;
    if (s->options.similarity == VZ_COSINE && s->options.element == VZ_ELEMENT_BYTE)
        return dot / sqrt(of_q * of_r);
    return dot;
}

static struct vz_hnsw_search ask(const struct space *s, uint32_t query)
{
    return (struct vz_hnsw_search){
        .query = (const float *)(const void *)((const char *)s->queries + query * s->query_bytes),
        .k = K,
        .ef = 100};
}

/* Recall by similarity: bits tie often, and which of two equals is found does not matter. */
static double recall(const struct space *s, const struct vz_hnsw *graph, uint32_t count)
{
    uint32_t hits = 0;
    for (uint32_t q = 0; q < QUERIES; q++) {
        struct vz_hnsw_search search = ask(s, q);
        struct vz_near got[K], want[K];
        uint32_t found, exact;
        assert_int_equal(vz_hnsw_search(graph, &search, got, &found, NULL, NULL), VZ_OK);
        assert_int_equal(vz_exact_range(&s->options, &search, 0, count, want, &exact, NULL), VZ_OK);
        assert_int_equal(found, K);
        assert_int_equal(exact, K);
        for (uint32_t i = 0; i < K; i++) {
            double true_one = similarity_of(s, q, want[i].row);
            assert_true(fabs(want[i].similarity - true_one) <= 1e-6 * fabs(true_one) + 1e-6);
            double true_got = similarity_of(s, q, got[i].row);
            assert_true(fabs(got[i].similarity - true_got) <= 1e-6 * fabs(true_got) + 1e-6);
            hits += got[i].similarity >= want[K - 1].similarity;
        }
    }
    return hits / (double)(K * QUERIES);
}

static bool one_in_twenty(void *context, uint32_t row)
{
    return row % 20 == 3;
}

static void check_filter(const struct space *s, const struct vz_hnsw *graph)
{
    for (uint32_t q = 0; q < 10; q++) {
        struct vz_hnsw_search search = ask(s, q);
        search.accept = one_in_twenty;
        struct vz_near got[K];
        uint32_t found;
        assert_int_equal(vz_hnsw_search(graph, &search, got, &found, NULL, NULL), VZ_OK);
        assert_int_equal(found, K);
        for (uint32_t i = 0; i < K; i++)
            assert_true(got[i].row % 20 == 3);
    }
}

static void check(enum vz_element element, enum vz_similarity kind, uint32_t quantize, bool flat,
                  uint32_t dims, double floor)
{
    struct space s = space_new(element, kind, dims, ROWS);
    s.options.quantize = quantize;
    s.options.flat = flat;
    struct vz_hnsw *graph = graph_of(&s.options, ROWS);
    assert_valid(graph);
    double got = recall(&s, graph, ROWS);
    print_message("element %d similarity %d quantize %u%s dims %u: recall@10 %.4f\n", (int)element,
                  (int)kind, quantize, flat ? " flat" : "", dims, got);
    if (got < floor)
        fail_msg("recall@10 %.4f is below %.3f", got, floor);
    check_filter(&s, graph);
    vz_hnsw_free(graph);
    space_free(&s);
}

static void bytes_every_similarity(void **state)
{
    check(VZ_ELEMENT_BYTE, VZ_COSINE, 0, false, DIMS, 0.98);
    check(VZ_ELEMENT_BYTE, VZ_DOT, 0, false, DIMS, 0.97);
    check(VZ_ELEMENT_BYTE, VZ_L2, 0, false, DIMS + 3, 0.98);
    check(VZ_ELEMENT_BYTE, VZ_MAX_INNER, 0, false, DIMS, 0.97);
    check(VZ_ELEMENT_BYTE, VZ_L2, 0, true, DIMS, 1);
}

static void bits_by_hamming(void **state)
{
    check(VZ_ELEMENT_BIT, VZ_L2, 0, false, 256, 0.97);
    check(VZ_ELEMENT_BIT, VZ_L2, 0, false, 40, 0.97);
    check(VZ_ELEMENT_BIT, VZ_L2, 0, true, 256, 1);
}

static void bfloat16_every_similarity(void **state)
{
    check(VZ_ELEMENT_BFLOAT16, VZ_COSINE, 0, false, DIMS, 0.98);
    check(VZ_ELEMENT_BFLOAT16, VZ_DOT, 0, false, DIMS + 5, 0.98);
    check(VZ_ELEMENT_BFLOAT16, VZ_L2, 0, false, DIMS, 0.98);
    check(VZ_ELEMENT_BFLOAT16, VZ_MAX_INNER, 0, false, DIMS, 0.95);
}

static void bfloat16_quantized(void **state)
{
    for (uint32_t quantize = 1; quantize <= 3; quantize++) {
        double floor = quantize == VZ_QUANTIZE_BIT ? 0.85 : 0.97;
        check(VZ_ELEMENT_BFLOAT16, VZ_COSINE, quantize, false, DIMS, floor);
        check(VZ_ELEMENT_BFLOAT16, VZ_L2, quantize, true, DIMS, floor);
    }
}

static void zero_rows_of_bytes(void **state)
{
    int8_t rows[3][4] = {{0, 0, 0, 0}, {-128, 0, 0, 0}, {127, 1, 0, 0}};
    struct vz_hnsw_options o = {.element = VZ_ELEMENT_BYTE, .dims = 4, .bytes = rows[0]};
    o.max_rows = 3;
    struct vz_hnsw *graph = graph_of(&o, 3);
    int8_t query[4] = {-1, 0, 0, 0};
    struct vz_hnsw_search search = {.query_bytes = query, .k = 3};
    struct vz_near out[3];
    uint32_t found;
    assert_int_equal(vz_hnsw_search(graph, &search, out, &found, NULL, NULL), VZ_OK);
    assert_int_equal(found, 3);
    assert_int_equal(out[0].row, 1);
    assert_true(out[0].similarity == 1);
    assert_int_equal(out[1].row, 0);
    assert_true(out[1].similarity == 0);
    vz_hnsw_free(graph);
}

static void saved_and_opened(void **state)
{
#ifndef VZ_TEST_SMALL /* the NEON run has no checkpoints */
    char path[64];
    snprintf(path, sizeof path, "/tmp/vz-elements-%d.graph", (int)getpid());
    for (uint32_t element = 0; element < 4; element++) {
        struct space s = space_new(element ? element : VZ_ELEMENT_BYTE, VZ_L2, 64, 1000);
        struct vz_hnsw *graph = graph_of(&s.options, 1000), *opened;
        struct vz_error err = {0};
        assert_int_equal(vz_hnsw_save(graph, path, &err), VZ_OK);
        assert_int_equal(vz_hnsw_open(path, &s.options, &opened, &err), VZ_OK);
        assert_valid(opened);
        struct vz_hnsw_search search = ask(&s, 0);
        struct vz_near one[K], other[K];
        uint32_t found;
        assert_int_equal(vz_hnsw_search(graph, &search, one, &found, NULL, NULL), VZ_OK);
        assert_int_equal(vz_hnsw_search(opened, &search, other, &found, NULL, NULL), VZ_OK);
        assert_memory_equal(one, other, sizeof one);
        vz_hnsw_free(opened);
        struct vz_hnsw_options wrong = s.options;
        wrong.element = s.options.element == VZ_ELEMENT_BYTE ? VZ_ELEMENT_FLOAT : VZ_ELEMENT_BYTE;
        assert_int_equal(vz_hnsw_open(path, &wrong, &opened, &err), VZ_CORRUPT);
        vz_hnsw_free(graph);
        space_free(&s);
        unlink(path);
    }
#endif
}

static void what_cannot_be_is_refused(void **state)
{
    int8_t rows[8] = {0};
    struct vz_hnsw_options good = {.element = VZ_ELEMENT_BYTE, .dims = 4, .bytes = rows}, bad;
    struct vz_hnsw *graph;
#define REFUSED(change)                                                                            \
    do {                                                                                           \
        struct vz_error err = {0};                                                                 \
        bad = good;                                                                                \
        bad.change;                                                                                \
        assert_int_equal(vz_hnsw_new(&bad, &graph, &err), VZ_BAD_ARGUMENT);                        \
        assert_true(err.text[0] != 0);                                                             \
    } while (0)
    REFUSED(element = 4);
    REFUSED(quantize = VZ_QUANTIZE_INT8);
    REFUSED(dims = 4097);
    REFUSED(stride = 3);
    good = (struct vz_hnsw_options){
        .element = VZ_ELEMENT_BIT, .similarity = VZ_L2, .dims = 64, .bytes = rows};
    REFUSED(similarity = VZ_COSINE);
    REFUSED(quantize = VZ_QUANTIZE_BIT);
    REFUSED(dims = 32769);
    REFUSED(stride = 7);
    struct vz_near out[1];
    uint32_t found;
    struct vz_hnsw_search search = {.query_bytes = rows, .k = 1};
    bad = good;
    bad.similarity = VZ_DOT;
    assert_int_equal(vz_exact_range(&bad, &search, 0, 1, out, &found, NULL), VZ_BAD_ARGUMENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_every_similarity),    cmocka_unit_test(bits_by_hamming),
        cmocka_unit_test(bfloat16_every_similarity), cmocka_unit_test(bfloat16_quantized),
        cmocka_unit_test(zero_rows_of_bytes),        cmocka_unit_test(saved_and_opened),
        cmocka_unit_test(what_cannot_be_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
