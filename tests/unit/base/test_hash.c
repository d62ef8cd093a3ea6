/* Numbers that clients choose lie apart in tables, whatever the seed and whatever they have in
 * common. */
#include "base/hash.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
// clang-format off
#include <cmocka.h>
// clang-format on

#define NUMBERS 50000u
#define PLACES (1u << 17)

/* The place in a table that an aggregation gave to a key before there was a seed: every step of it
 * can be undone. */
static uint64_t unseeded(uint64_t key)
{
    uint64_t z = key * 0x9E3779B97F4A7C15ull;
    z ^= z >> 32;
    z *= 0xD6E8FEB86659FD93ull;
    return z ^ z >> 29;
}

static uint64_t inverse(uint64_t odd)
{
    uint64_t x = odd;
    for (int i = 0; i < 6; i++)
        x *= 2 - odd * x;
    return x;
}

static uint64_t chosen(uint64_t place)
{
    uint64_t z = place ^ place >> 29;
    z ^= place >> 58;
    z *= inverse(0xD6E8FEB86659FD93ull);
    z ^= z >> 32;
    return z * inverse(0x9E3779B97F4A7C15ull);
}

/* How many places are looked at while all go into a table, linearly probed. */
static uint64_t probes_of(const int64_t *keys, const uint32_t *owners)
{
    static bool taken[PLACES];
    uint64_t probes = 0;
    memset(taken, 0, sizeof taken);
    for (unsigned i = 0; i < NUMBERS; i++) {
        size_t at = vz_hash_number(keys[i], owners ? owners[i] : 0) & (PLACES - 1);
        for (probes++; taken[at]; probes++)
            at = (at + 1) & (PLACES - 1);
        taken[at] = true;
    }
    return probes;
}

static int64_t keys[NUMBERS];
static uint32_t owners[NUMBERS];

static void chosen_numbers_do_not_meet(void **state)
{
    for (unsigned i = 0; i < NUMBERS; i++) {
        keys[i] = (int64_t)chosen((uint64_t)i << 20 | 0x1234);
        assert_int_equal(unseeded((uint64_t)keys[i]) & 0xFFFFF, 0x1234);
    }
    for (uint64_t seed = 1; seed <= 50; seed++) {
        vz_hash_reseed(seed);
        assert_in_range(probes_of(keys, NULL), NUMBERS, NUMBERS * 3 / 2);
    }
}

/* Multiples of every power of two, whole numbers as doubles, and the same under many owners. */
static void plain_numbers_do_not_meet(void **state)
{
    for (unsigned shift = 0; shift <= 48; shift++) {
        for (unsigned i = 0; i < NUMBERS; i++)
            keys[i] = (int64_t)((uint64_t)i << shift);
        vz_hash_reseed(shift + 1);
        uint64_t probes = probes_of(keys, NULL);
        if (probes > NUMBERS * 2)
            fail_msg("shift %u: %llu", shift, (unsigned long long)probes);
    }
    for (uint64_t seed = 1; seed <= 50; seed++) {
        vz_hash_reseed(seed);
        for (unsigned i = 0; i < NUMBERS; i++) {
            double number = i;
            memcpy(&keys[i], &number, sizeof number);
        }
        assert_in_range(probes_of(keys, NULL), NUMBERS, NUMBERS * 2);
        for (unsigned i = 0; i < NUMBERS; i++) {
            keys[i] = i % 50;
            owners[i] = i / 50;
        }
        assert_in_range(probes_of(keys, owners), NUMBERS, NUMBERS * 2);
        for (unsigned i = 0; i < NUMBERS; i++) { /* what one has more the other has less */
            keys[i] = (int64_t)((uint64_t)(i / 2) ^ (uint64_t)(i & 1) << 40);
            owners[i] = i & 1;
        }
        assert_in_range(probes_of(keys, owners), NUMBERS, NUMBERS * 2);
    }
}

static void seeds_are_drawn(void **state)
{
    vz_hash_reseed(0);
    struct vz_hash_seed one = vz_hash_seed;
    vz_hash_reseed(0);
    assert_true(one.a != vz_hash_seed.a && one.b != vz_hash_seed.b && one.c != vz_hash_seed.c);
    assert_true(vz_hash_seed.c & 1);
}

int main(void)
{
    if (vz_hash_seed.a == 0 || vz_hash_seed.b == 0) /* drawn before main */
        return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(chosen_numbers_do_not_meet),
        cmocka_unit_test(plain_numbers_do_not_meet),
        cmocka_unit_test(seeds_are_drawn),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
