#include "vectors.h"

#include "base/cpu.h"
#include "vector/kernels.h"

#include <sys/wait.h>
#include <unistd.h>

#define DIMS_MAX 1030

/* Rows start at every byte offset that a float may have, and past their end lies poison: a kernel
 * that reads too far is off by a lot. */
static float *at_offset(char *memory, size_t floats)
{
    return (float *)(void *)(memory + floats * sizeof(float));
}

static size_t tables(const struct vz_kernels *out[5])
{
    size_t n = 0;
    const struct vz_cpu *cpu = vz_cpu();
    (void)cpu;
    out[n++] = &vz_kernels_scalar;
#if defined(__x86_64__)
    if (cpu->avx2_fma)
        out[n++] = &vz_kernels_avx2;
    if (cpu->avx512)
        out[n++] = &vz_kernels_avx512;
    if (cpu->avx512_vnni)
        out[n++] = &vz_kernels_avx512_vnni;
    if (cpu->avx512_vnni && cpu->avx512_vpopcnt)
        out[n++] = &vz_kernels_avx512_vpopcnt;
#elif defined(__aarch64__)
    out[n++] = &vz_kernels_neon;
    if (cpu->neon_dot)
        out[n++] = &vz_kernels_neon_dot;
#endif
    return n;
}

static void check_dims(const struct vz_kernels *table, char *memory[5], size_t dims)
{
    float *query = at_offset(memory[4], dims % 16), four[4];
    const float *rows[4];
    for (size_t i = 0; i < 4; i++)
        rows[i] = at_offset(memory[i], (dims + i) % 16);
    for (int l2 = 0; l2 < 2; l2++) {
        (l2 ? table->l2sq4 : table->dot4)(query, rows, rows, dims, four);
        for (size_t i = 0; i < 4; i++) {
            double want = 0, size = 0;
            for (size_t d = 0; d < dims; d++) {
                double term = l2 ? ((double)query[d] - rows[i][d]) * ((double)query[d] - rows[i][d])
                                 : (double)query[d] * rows[i][d];
                want += term;
                size += fabs(term);
            }
            float one = (l2 ? table->l2sq : table->dot)(query, rows[i], dims);
            if (!(fabs(one - want) <= 1e-6 * size + 1e-12))
                fail_msg("%s l2=%d dims %zu: %.9g, expected %.9g", table->name, l2, dims,
                         (double)one, want);
            if (one != four[i])
                fail_msg("%s l2=%d dims %zu: one row gives %.9g, four %.9g", table->name, l2, dims,
                         (double)one, (double)four[i]);
        }
        /* Two rows that overlap: whatever the stride, a run is what single rows are. */
        float run[2];
        (l2 ? table->l2sq_run : table->dot_run)(query, rows[0], 1, 2, dims, run);
        for (size_t i = 0; i < 2; i++)
            if (run[i] != (l2 ? table->l2sq : table->dot)(query, rows[0] + i, dims))
                fail_msg("%s l2=%d dims %zu: row %zu of a run differs", table->name, l2, dims, i);
    }
}

static void every_dims_on_every_level(void **state)
{
    print_message("seed %u\n", SEED);
    uint64_t rng = SEED;
    char *memory[5];
    float *floats[5];
    for (int i = 0; i < 5; i++) {
        floats[i] = vz_try_alloc_aligned(DIMS_MAX + 32, sizeof(float));
        memory[i] = (char *)floats[i];
        for (size_t d = 0; d < DIMS_MAX + 32; d++)
            floats[i][d] = (float)vz_rng_normal(&rng);
    }
    const struct vz_kernels *list[5];
    size_t count = tables(list);
    for (size_t t = 0; t < count; t++) {
        print_message("kernels: %s\n", list[t]->name);
        for (size_t dims = 1; dims <= DIMS_MAX; dims++)
            check_dims(list[t], memory, dims);
        check_dims(list[t], memory, 1);
    }
    for (int i = 0; i < 5; i++)
        free(floats[i]);
}

/* An allocation of exactly dims floats: AddressSanitizer sees a read past the end. */
static void nothing_is_read_past_the_end(void **state)
{
    const struct vz_kernels *list[5];
    size_t count = tables(list);
    for (size_t dims = 1; dims <= 200; dims++) {
        float *a = vz_try_alloc(dims, sizeof *a), *b = vz_try_alloc(dims, sizeof *b), out[4];
        for (size_t d = 0; d < dims; d++)
            a[d] = b[d] = 1;
        const float *rows[4] = {b, b, b, b};
        for (size_t t = 0; t < count; t++) {
            assert_true(list[t]->dot(a, b, dims) == (float)dims);
            assert_true(list[t]->l2sq(a, b, dims) == 0);
            list[t]->dot4(a, rows, rows, dims, out);
            assert_true(out[0] == (float)dims && out[3] == (float)dims);
            list[t]->l2sq4(a, rows, rows, dims, out);
            assert_true(out[0] == 0 && out[3] == 0);
        }
        free(a);
        free(b);
    }
}

static void same_sums(const char *table, const char *what, vz_kernel_codes *scalar,
                      vz_kernel_codes *kernel, const uint8_t *query, const uint8_t *const rows[4],
                      size_t bytes)
{
    int32_t got[4], want[4];
    scalar(query, rows, rows, bytes, want);
    kernel(query, rows, rows, bytes, got);
    for (int i = 0; i < 4; i++)
        if (got[i] != want[i])
            fail_msg("%s %s bytes %zu row %d: %d, expected %d", table, what, bytes, i, got[i],
                     want[i]);
}

static void codes_are_exact_on_every_level(void **state)
{
    print_message("seed %u\n", SEED);
    uint64_t rng = SEED;
    enum { BYTES = 4096 };
    uint8_t *query = vz_try_alloc(BYTES, 1);
    uint8_t *rows[4];
    for (size_t d = 0; d < BYTES; d++)
        query[d] = (uint8_t)vz_rng_next(&rng);
    for (int i = 0; i < 4; i++) {
        rows[i] = vz_try_alloc(BYTES, 1);
        for (size_t d = 0; d < BYTES; d++)
            rows[i][d] = (uint8_t)vz_rng_next(&rng);
    }
    memset(query, 255, 128); /* where a saturating multiply would show */
    memset(rows[0], 127, 128);
    memset(rows[1], 0x80, 128);
    const uint8_t *borrowed[4] = {rows[0], rows[1], rows[2], rows[3]};
    const struct vz_kernels *list[5];
    size_t count = tables(list);
    for (size_t t = 1; t < count; t++)
        for (size_t bytes = 16; bytes <= BYTES / VZ_BIT_PLANES; bytes += 16) {
            if (bytes % 64 == 0)
                same_sums(list[t]->name, "codes4", list[0]->codes4, list[t]->codes4, query,
                          borrowed, bytes);
            same_sums(list[t]->name, "nibbles4", list[0]->nibbles4, list[t]->nibbles4, query,
                      borrowed, bytes);
            same_sums(list[t]->name, "bits4", list[0]->bits4, list[t]->bits4, query, borrowed,
                      bytes);
        }
    int32_t sums[4]; /* and what scalar says is right */
    memset(query, 0, BYTES);
    query[0] = 3, query[16] = 0xff; /* times 127's low nibble, -1 times its high one */
    list[0]->nibbles4(query, borrowed, borrowed, 16, sums);
    assert_int_equal(sums[0], 3 * 15 - 7);
    query[16] = 0, query[32] = 1;
    list[0]->bits4(query, borrowed, borrowed, 16, sums); /* planes 0 and 2: 0b11, 0b1 */
    assert_int_equal(sums[0], 2 * 1 + 1 * 4);
    free(query);
    for (int i = 0; i < 4; i++)
        free(rows[i]);
}

/* Rows of `bytes` bytes each at an odd address, every row in memory of its own size, so that
 * AddressSanitizer sees a read past the end. */
struct raw {
    uint8_t *memory[5];
};

static void raw_init(struct raw *raw, size_t bytes, size_t offset, uint64_t *rng)
{
    for (int i = 0; i < 5; i++) {
        raw->memory[i] = malloc(bytes + offset);
        assert_non_null(raw->memory[i]);
        for (size_t d = 0; d < bytes + offset; d++)
            raw->memory[i][d] = (uint8_t)vz_rng_next(rng);
    }
}

static void raw_deinit(struct raw *raw)
{
    for (int i = 0; i < 5; i++)
        free(raw->memory[i]);
}

static void check_bytes(const struct vz_kernels *table, size_t dims, uint64_t *rng)
{
    struct raw raw;
    size_t offset = dims % 3;
    raw_init(&raw, dims, offset, rng);
    if (dims % 5 == 0) /* where 16 bits would overflow */
        memset(raw.memory[4] + offset, 0x80, dims), memset(raw.memory[0] + offset, 0x80, dims);
    const int8_t *rows[4], *query = (const int8_t *)raw.memory[4] + offset;
    int32_t dots[4], norms[4], dot, norm, want_dot, want_norm;
    for (int i = 0; i < 4; i++)
        rows[i] = (const int8_t *)raw.memory[i] + offset;
    table->elements->bytes4(query, rows, rows, dims, dots, norms);
    for (int i = 0; i < 4; i++) {
        vz_elements_scalar.bytes(query, rows + i, rows, dims, &want_dot, &want_norm);
        table->elements->bytes(query, rows + i, rows, dims, &dot, &norm);
        if (dot != want_dot || norm != want_norm || dots[i] != dot || norms[i] != norm)
            fail_msg("%s bytes dims %zu row %d: %d %d, four %d %d, expected %d %d", table->name,
                     dims, i, dot, norm, dots[i], norms[i], want_dot, want_norm);
    }
    raw_deinit(&raw);
}

static void check_hamming(const struct vz_kernels *table, size_t bytes, uint64_t *rng)
{
    struct raw raw;
    size_t offset = bytes % 7;
    raw_init(&raw, bytes, offset, rng);
    const uint8_t *rows[4], *query = raw.memory[4] + offset;
    uint32_t four[4], one, want;
    for (int i = 0; i < 4; i++)
        rows[i] = raw.memory[i] + offset;
    table->elements->hamming4(query, rows, rows, bytes, four);
    for (int i = 0; i < 4; i++) {
        vz_elements_scalar.hamming(query, rows + i, rows, bytes, &want);
        table->elements->hamming(query, rows + i, rows, bytes, &one);
        if (one != want || four[i] != want)
            fail_msg("%s hamming bytes %zu row %d: %u, four %u, expected %u", table->name, bytes, i,
                     one, four[i], want);
    }
    raw_deinit(&raw);
}

static void check_bf16(const struct vz_kernels *table, size_t dims, uint64_t *rng)
{
    const struct vz_element_kernels *e = table->elements;
    uint16_t *rows[4];
    float *query = malloc(dims * sizeof *query), four[4], one;
    for (size_t d = 0; d < dims; d++)
        query[d] = (float)vz_rng_normal(rng);
    for (int i = 0; i < 4; i++) {
        rows[i] = malloc(dims * sizeof *rows[i]);
        for (size_t d = 0; d < dims; d++)
            rows[i][d] = vz_bf16_of((float)vz_rng_normal(rng));
    }
    const uint16_t *borrowed[4] = {rows[0], rows[1], rows[2], rows[3]};
    for (int l2 = 0; l2 < 2; l2++) {
        (l2 ? e->l2sq4_bf16 : e->dot4_bf16)(query, borrowed, borrowed, dims, four);
        for (int i = 0; i < 4; i++) {
            double want = 0, size = 0;
            for (size_t d = 0; d < dims; d++) {
                double value = vz_bf16_to(rows[i][d]), gap = query[d] - value;
                want += l2 ? gap * gap : query[d] * value;
                size += fabs(l2 ? gap * gap : query[d] * value);
            }
            (l2 ? e->l2sq_bf16 : e->dot_bf16)(query, borrowed + i, borrowed, dims, &one);
            if (!(fabs(one - want) <= 1e-6 * size + 1e-12) || one != four[i])
                fail_msg("%s bfloat16 l2=%d dims %zu: %.9g, four %.9g, expected %.9g", table->name,
                         l2, dims, (double)one, (double)four[i], want);
        }
    }
    for (int i = 0; i < 4; i++)
        free(rows[i]);
    free(query);
}

static void other_elements_on_every_level(void **state)
{
    print_message("seed %u\n", SEED);
    uint64_t rng = SEED;
    const struct vz_kernels *list[5];
    size_t count = tables(list);
    for (size_t t = 0; t < count; t++)
        for (size_t dims = 1; dims <= DIMS_MAX; dims++) {
            check_bytes(list[t], dims, &rng);
            check_hamming(list[t], dims, &rng);
            check_bf16(list[t], dims, &rng);
        }
    check_bytes(list[count - 1], 4096, &rng);
    check_hamming(list[count - 1], 4096, &rng);
}

static void pairs_of_other_elements(void **state)
{
    int8_t a[3] = {-128, 127, 3}, b[3] = {-128, -128, 5};
    assert_int_equal(vz_dot_i8(a, b, 3), 128 * 128 - 127 * 128 + 15);
    assert_int_equal(vz_l2sq_i8(a, b, 3), 255 * 255 + 4);
    uint8_t one[2] = {0xff, 0x01}, two[2] = {0x0f, 0x03};
    assert_int_equal(vz_hamming(one, two, 2), 5);
    float query[2] = {2, 3};
    uint16_t row[2] = {vz_bf16_of(1.5f), vz_bf16_of(-4)};
    assert_true(vz_dot_bf16(query, row, 2) == -9);
    assert_true(vz_l2sq_bf16(query, row, 2) == 49.25f);
}

static void bfloat16_rounds_to_nearest_even(void **state)
{
    assert_int_equal(vz_bf16_of(1.0f), 0x3f80);
    assert_int_equal(vz_bf16_of(1.00390625f), 0x3f80); /* half way: to even */
    assert_int_equal(vz_bf16_of(1.01171875f), 0x3f82); /* half way: to even */
    assert_int_equal(vz_bf16_of(1.003907f), 0x3f81);
    assert_int_equal(vz_bf16_of(-0.0f), 0x8000);
    assert_int_equal(vz_bf16_of(3.4e38f), 0x7f80); /* past the largest: infinity */
    assert_true(isnan(vz_bf16_to(vz_bf16_of(NAN))));
    for (uint32_t bits = 0; bits < 0x7f80; bits++)
        assert_int_equal(vz_bf16_of(vz_bf16_to((uint16_t)bits)), bits);
}

static void scores_as_elasticsearch_makes_them(void **state)
{
    assert_true(vz_similarity_score(VZ_ELEMENT_FLOAT, VZ_COSINE, 4, 0.5f) == 0.75f);
    assert_true(vz_similarity_score(VZ_ELEMENT_BFLOAT16, VZ_DOT, 4, -1) == 0);
    assert_true(vz_similarity_score(VZ_ELEMENT_BYTE, VZ_DOT, 4, 32768) == 0.75f);
    assert_true(vz_similarity_score(VZ_ELEMENT_BYTE, VZ_COSINE, 4, -0.5f) == 0.25f);
    assert_true(vz_similarity_score(VZ_ELEMENT_BYTE, VZ_L2, 4, -3) == 0.25f);
    assert_true(vz_similarity_score(VZ_ELEMENT_FLOAT, VZ_MAX_INNER, 4, -1) == 0.5f);
    assert_true(vz_similarity_score(VZ_ELEMENT_BYTE, VZ_MAX_INNER, 4, 7) == 8);
    assert_true(vz_similarity_score(VZ_ELEMENT_BIT, VZ_L2, 64, -16) == 0.75f);
}

/* The environment chooses the table. Each level in a child, before anything was resolved. */
static void environment_lowers_the_level(void **state)
{
    const char *levels[] = {"scalar", "avx2", "avx512"};
    for (size_t i = 0; i < VZ_COUNT_OF(levels); i++) {
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            setenv("VIZSLA_CPU", levels[i], 1);
            const char *name = vz_kernels()->name;
            float a[3] = {1, 2, 3}, b[3] = {4, 5, 6};
            bool right = vz_dot_f32(a, b, 3) == 32 && vz_l2sq_f32(a, b, 3) == 27 &&
                         vz_similarity_f32(VZ_L2, a, b, 3) == -27 &&
                         vz_similarity_f32(VZ_COSINE, a, b, 3) == 32;
            if (i == 0)
                right = right && strcmp(name, "scalar") == 0;
            if (i == 1)
                right = right && strncmp(name, "avx512", 6) != 0;
            _exit(right ? 0 : 1);
        }
        int result;
        assert_int_equal(waitpid(child, &result, 0), child);
        if (!WIFEXITED(result) || WEXITSTATUS(result) != 0)
            fail_msg("VIZSLA_CPU=%s", levels[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(environment_lowers_the_level), /* first: resolves nothing itself */
        cmocka_unit_test(every_dims_on_every_level),
        cmocka_unit_test(nothing_is_read_past_the_end),
        cmocka_unit_test(codes_are_exact_on_every_level),
        cmocka_unit_test(other_elements_on_every_level),
        cmocka_unit_test(pairs_of_other_elements),
        cmocka_unit_test(bfloat16_rounds_to_nearest_even),
        cmocka_unit_test(scores_as_elasticsearch_makes_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
