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
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
