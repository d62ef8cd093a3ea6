/* Time zones: where the clock changes, and how far it is from UTC on both sides. */
#include "base/zone.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void test_changes(void **state)
{
    const struct vz_zone *zone = vz_zone_find(VZ_SLICE("Europe/Amsterdam"));
    int32_t offset;
    assert_non_null(zone);
    assert_false(vz_zone_is_fixed(zone, &offset));
    int64_t spring = 1711846800; /* 2024-03-31T01:00:00Z */
    int64_t autumn = 1729990800; /* 2024-10-27T01:00:00Z */
    assert_int_equal(vz_zone_offset(zone, spring - 1), 3600);
    assert_int_equal(vz_zone_offset(zone, spring), 7200);
    assert_int_equal(vz_zone_next_change(zone, 1704067200), spring);
    assert_int_equal(vz_zone_next_change(zone, spring), autumn);
    /* Past the file's table the rule of its footer goes on: 2050-03-27T01:00:00Z. */
    assert_int_equal(vz_zone_next_change(zone, 2524608000), 2531955600);
    assert_int_equal(vz_zone_offset(zone, 2531955600), 7200);
}

static void test_fixed(void **state)
{
    int32_t offset;
    const struct vz_zone *zone = vz_zone_find(VZ_SLICE("-03:30"));
    assert_true(vz_zone_is_fixed(zone, &offset));
    assert_int_equal(offset, -12600);
    assert_true(vz_zone_next_change(zone, 0) == INT64_MAX);
    assert_null(vz_zone_find(VZ_SLICE("Nowhere/Land")));
    assert_null(vz_zone_find(VZ_SLICE("../../etc/passwd")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_changes), cmocka_unit_test(test_fixed)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
