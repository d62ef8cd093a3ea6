/* Arena, buffer, bitset, map, pool, status. */
#include "base/bitset.h"
#include "base/cpu.h"
#include "base/status.h"
#include "base/strmap.h"
#include "base/text.h"
#include "base/thread.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static void arena_gives_aligned_and_distinct_memory(void **state)
{
    struct vz_arena arena = {0};
    char *last = NULL;
    for (size_t size = 7; size < 3000; size += 7) {
        char *memory = vz_arena_alloc(&arena, size);
        assert_int_equal((uintptr_t)memory % 16, 0);
        memset(memory, (int)size, size);
        assert_ptr_not_equal(memory, last);
        last = memory;
    }
    char *big = vz_arena_zalloc(&arena, 1 << 20);
    assert_int_equal(big[(1 << 20) - 1], 0);
    vz_arena_reset(&arena);
    assert_int_equal(arena.total_bytes, 0);
    assert_string_equal(vz_arena_printf(&arena, "%d-%s", 7, "x"), "7-x");
    vz_arena_deinit(&arena);
}

static void buffer_grows_and_stays_terminated(void **state)
{
    struct vz_buf buf = {0};
    for (int i = 0; i < 10000; i++) {
        vz_buf_printf(&buf, "%d,", i);
        assert_int_equal(buf.data[buf.len], '\0');
    }
    assert_int_equal(strlen(buf.data), buf.len);
    char *taken = vz_buf_take(&buf);
    assert_memory_equal(taken, "0,1,2,", 6);
    assert_null(buf.data);
    free(taken);
    taken = vz_buf_take(&buf);
    assert_string_equal(taken, "");
    free(taken);
}

static void sizes_that_overflow_are_refused(void **state)
{
    assert_null(vz_try_alloc(SIZE_MAX / 2, 3));
    assert_null(vz_try_alloc_aligned(SIZE_MAX, 1));
    char *zeroed = vz_try_alloc_aligned(3, 21);
    assert_int_equal((uintptr_t)zeroed % 64, 0);
    assert_int_equal(zeroed[62], 0);
    free(zeroed);
}

static void bitset_agrees_with_an_array(void **state)
{
    uint64_t seed = 7;
    for (size_t bits = 0; bits < 300; bits += 13) {
        struct vz_bitset set, other;
        bool expected[300] = {0};
        vz_bitset_init(&set, bits);
        vz_bitset_init(&other, bits);
        vz_bitset_set_all(&other);
        assert_int_equal(vz_bitset_count(&other), bits);
        for (size_t i = 0; i < bits; i++)
            if ((expected[i] = vz_rng_next(&seed) % 3 == 0))
                vz_bitset_set(&set, i);
        uint32_t list[300], listed = vz_bitset_list(&set, 0, list, 300), at = 0;
        size_t count = 0, next = vz_bitset_next(&set, 0);
        for (size_t i = 0; i < bits; i++) {
            assert_int_equal(vz_bitset_has(&set, i), expected[i]);
            if (expected[i]) {
                assert_int_equal(list[at++], i);
                uint32_t one = 0, rest = vz_bitset_list(&set, i, &one, 1);
                assert_true(rest == 1 && one == i);
                assert_int_equal(next, i);
                next = vz_bitset_next(&set, i + 1);
                count++;
            }
        }
        assert_int_equal(next, bits);
        assert_int_equal(listed, count);
        assert_int_equal(vz_bitset_list(&set, 0, list, 2), VZ_MIN(count, 2u));
        assert_int_equal(vz_bitset_list(&set, bits, list, 300), 0);
        assert_int_equal(vz_bitset_count(&set), count);
        vz_bitset_and_not(&other, &set);
        assert_int_equal(vz_bitset_count(&other), bits - count);
        vz_bitset_and(&other, &set);
        assert_int_equal(vz_bitset_count(&other), 0);
        vz_bitset_or(&other, &set);
        assert_int_equal(vz_bitset_count(&other), count);
        assert_false(vz_bitset_has(&set, bits + 1000));
        vz_bitset_deinit(&set);
        vz_bitset_deinit(&other);
    }
}

/* Long stretches of nothing are skipped; of words and eights of words at once. */
static void bits_far_apart_are_listed(void **state)
{
    static const uint32_t at[] = {0, 63, 64, 700, 1216, 5000, 5001, 9999};
    struct vz_bitset set;
    uint32_t got[10];
    vz_bitset_init(&set, 10000);
    for (size_t i = 0; i < VZ_COUNT_OF(at); i++)
        vz_bitset_set(&set, at[i]);
    for (uint32_t i = 0; i <= VZ_COUNT_OF(at); i++) {
        uint32_t from = i ? at[i - 1] + 1 : 0, count = vz_bitset_list(&set, from, got, 10);
        assert_int_equal(count, VZ_COUNT_OF(at) - i);
        assert_memory_equal(got, at + i, count * sizeof *got);
    }
    vz_bitset_deinit(&set);
}

static void map_keeps_what_was_put(void **state)
{
    struct vz_strmap map = {0};
    uint64_t value = 99;
    assert_false(vz_strmap_get(&map, VZ_SLICE("x"), &value));
    for (uint64_t i = 0; i < 5000; i++) {
        char key[16];
        snprintf(key, sizeof key, "key %d", (int)(i % 2500));
        assert_int_equal(vz_strmap_put(&map, vz_slice_from(key), i), i < 2500);
    }
    assert_int_equal(map.count, 2500);
    assert_true(vz_strmap_get(&map, VZ_SLICE("key 17"), &value));
    assert_int_equal(value, 2517);
    assert_false(vz_strmap_get(&map, VZ_SLICE("key 2500"), &value));
    vz_strmap_clear(&map);
    assert_false(vz_strmap_get(&map, VZ_SLICE("key 17"), &value));
    vz_strmap_deinit(&map);
}

static void count_up(void *context)
{
    atomic_fetch_add((atomic_int *)context, 1);
}

static void pool_runs_everything_it_took(void **state)
{
    atomic_int count = 0;
    int taken = 0;
    struct vz_pool *pool = vz_pool_new("test", 3, 64);
    for (int i = 0; i < 10000; i++)
        taken += vz_pool_push(pool, count_up, &count) == VZ_OK;
    vz_pool_free(pool);
    assert_true(taken >= 64);
    assert_int_equal(atomic_load(&count), taken);
    assert_true(vz_cpu_count() >= 1);
    assert_true(vz_memory_bytes() >= 1 << 20);
    assert_true(vz_memory_bytes() <=
                (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE));
}

static void errors_are_cut_at_whole_characters(void **state)
{
    struct vz_error err = {0};
    char text[1000] = "";
    for (size_t i = 0; i + 4 < sizeof text; i += 3)
        memcpy(text + i, "\xE2\x82\xAC", 4);
    assert_int_equal(vz_fail(&err, VZ_LIMIT, "%s", text), VZ_LIMIT);
    assert_int_equal(vz_utf8_valid_prefix(err.text, strlen(err.text)), strlen(err.text));
    assert_int_equal(vz_fail_errno(&err, ENOSPC, "writing %s", "x"), VZ_DISK_FULL);
    assert_non_null(strstr(err.text, "writing x: "));
    assert_int_equal(vz_fail_errno(&err, ENOENT, "x%s", text), VZ_NOT_FOUND);
    assert_int_equal(vz_utf8_valid_prefix(err.text, strlen(err.text)), strlen(err.text));
    assert_int_equal(vz_fail(NULL, VZ_IO, "nobody listens"), VZ_IO);
    assert_string_equal(vz_status_name(VZ_BAD_QUERY), "bad_query");
}

/* What a processor can do is asked once a process, so each answer needs one of its own. */
static void expect_cpu(const char *cap, const char *most)
{
    pid_t child = fork();
    if (child == 0) {
        setenv("VIZSLA_CPU", cap, 1);
        const struct vz_cpu *cpu = vz_cpu();
        bool extras = cpu->avx512_vnni || cpu->avx512_vpopcnt || cpu->avx512_bf16;
        bool fits = !extras && (strcmp(most, "avx512") == 0 || !cpu->avx512) &&
                    (strcmp(most, "scalar") != 0 || !cpu->avx2_fma);
        _exit(fits ? 0 : 1);
    }
    int code = -1;
    assert_int_equal(waitpid(child, &code, 0), child);
    assert_int_equal(code, 0);
}

static void the_processor_can_be_told_to_do_less(void **state)
{
    expect_cpu("scalar", "scalar");
    expect_cpu("avx2", "avx2");
    expect_cpu("avx512", "avx512");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        /* First: what the processor can do is asked once, and counting bits asks. */
        cmocka_unit_test(the_processor_can_be_told_to_do_less),
        cmocka_unit_test(arena_gives_aligned_and_distinct_memory),
        cmocka_unit_test(buffer_grows_and_stays_terminated),
        cmocka_unit_test(sizes_that_overflow_are_refused),
        cmocka_unit_test(bitset_agrees_with_an_array),
        cmocka_unit_test(bits_far_apart_are_listed),
        cmocka_unit_test(map_keeps_what_was_put),
        cmocka_unit_test(pool_runs_everything_it_took),
        cmocka_unit_test(errors_are_cut_at_whole_characters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
