/* Dates: formats, date math, rounding, printing; what is refused. */
#include "base/clock.h"
#include "store/mapping_parts.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define DAY 86400000ll

static int64_t at(int year, int month, int day, int hour, int minute, int second, int milli)
{
    return vz_days_from_civil(year, month, day) * DAY + hour * 3600000ll + minute * 60000ll +
           second * 1000ll + milli;
}

struct date_case {
    const char *format, *text;
    int y, mo, d, h, mi, s, ms;
};

static void check_case(const struct date_case *c, bool math, bool round_up)
{
    int64_t ms = 0;
    struct vz_error err = {0};
    enum vz_status status = vz_date_parse(vz_slice_from(c->format), vz_slice_from(c->text), math,
                                          round_up, at(2024, 5, 15, 13, 45, 30, 500), &ms, &err);
    int64_t want = at(c->y, c->mo, c->d, c->h, c->mi, c->s, c->ms);
    if (status != VZ_OK || ms != want)
        print_message("format [%s] text [%s]: status %s (%s), got %lld, want %lld\n", c->format,
                      c->text, vz_status_name(status), err.text, (long long)ms, (long long)want);
    assert_int_equal(status, VZ_OK);
    assert_true(ms == want);
}

static void formats(void **state)
{
    static const struct date_case cases[] = {
        {"", "2024-05-06T07:08:09.123Z", 2024, 5, 6, 7, 8, 9, 123},
        {"week_date", "2020-W53-5", 2021, 1, 1, 0, 0, 0, 0},
        {"strict_weekyear_week_day", "2024-W01-1", 2024, 1, 1, 0, 0, 0, 0},
        {"basic_week_date", "2009W537", 2010, 1, 3, 0, 0, 0, 0},
        {"weekyear_week", "2016-W01", 2016, 1, 4, 0, 0, 0, 0},
        {"weekyear", "1977", 1977, 1, 3, 0, 0, 0, 0},
        {"basic_week_date_time_no_millis", "2015W011T070809Z", 2014, 12, 29, 7, 8, 9, 0},
        {"", "2024-05-06T07:08:09.123456789Z", 2024, 5, 6, 7, 8, 9, 123},
        {"", "2024-05-06T07:08:09,5Z", 2024, 5, 6, 7, 8, 9, 500},
        {"", "2024-05-06T07:08:09Z", 2024, 5, 6, 7, 8, 9, 0},
        {"", "2024-05-06T07:08:09", 2024, 5, 6, 7, 8, 9, 0},
        {"", "2024-05-06T07:08", 2024, 5, 6, 7, 8, 0, 0},
        {"", "2024-05-06T07", 2024, 5, 6, 7, 0, 0, 0},
        {"", "2024-01-01T10", 2024, 1, 1, 10, 0, 0, 0},
        {"", "2024-05-06", 2024, 5, 6, 0, 0, 0, 0},
        {"", "2024-01", 2024, 1, 1, 0, 0, 0, 0},
        {"", "2024", 2024, 1, 1, 0, 0, 0, 0},
        {"", "0001-01-01", 1, 1, 1, 0, 0, 0, 0},
        {"", "-0044-03-15", -44, 3, 15, 0, 0, 0, 0},
        {"", "+12024-03-15", 12024, 3, 15, 0, 0, 0, 0},
        {"", "2024-05-06T07:08:09.123+02:00", 2024, 5, 6, 5, 8, 9, 123},
        {"", "2024-05-06T07:08:09.123+0200", 2024, 5, 6, 5, 8, 9, 123},
        {"", "2024-05-06T07:08:09-05", 2024, 5, 6, 12, 8, 9, 0},
        {"", "2024-05-06T00:30:00+01:00", 2024, 5, 5, 23, 30, 0, 0},
        {"", "2024-02-29", 2024, 2, 29, 0, 0, 0, 0},
        {"", "2024-12-31T24:00:00", 2025, 1, 1, 0, 0, 0, 0},
        {"", "1714979289123", 2024, 5, 6, 7, 8, 9, 123},
        {"", "-1", 1969, 12, 31, 23, 59, 59, 999},
        {"", "0", 1970, 1, 1, 0, 0, 0, 0},
        {"epoch_millis", "1714979289123.75", 2024, 5, 6, 7, 8, 9, 123},
        {"epoch_millis", "2024", 1970, 1, 1, 0, 0, 2, 24},
        {"epoch_second", "1714979289", 2024, 5, 6, 7, 8, 9, 0},
        {"epoch_second", "1714979289.5", 2024, 5, 6, 7, 8, 9, 500},
        {"epoch_second", "-1", 1969, 12, 31, 23, 59, 59, 0},
        {"date_optional_time", "2024-5-6T7:8:9", 2024, 5, 6, 7, 8, 9, 0},
        {"strict_date", "2024-05-06", 2024, 5, 6, 0, 0, 0, 0},
        {"date", "2024-5-6", 2024, 5, 6, 0, 0, 0, 0},
        {"basic_date", "20240506", 2024, 5, 6, 0, 0, 0, 0},
        {"basic_date_time", "20240506T070809.123Z", 2024, 5, 6, 7, 8, 9, 123},
        {"basic_date_time_no_millis", "20240506T070809+0100", 2024, 5, 6, 6, 8, 9, 0},
        {"strict_date_time", "2024-05-06T07:08:09.123Z", 2024, 5, 6, 7, 8, 9, 123},
        {"strict_date_time_no_millis", "2024-05-06T07:08:09Z", 2024, 5, 6, 7, 8, 9, 0},
        {"date_hour_minute_second", "2024-05-06T07:08:09", 2024, 5, 6, 7, 8, 9, 0},
        {"strict_year_month", "2024-05", 2024, 5, 1, 0, 0, 0, 0},
        {"ordinal_date", "2024-060", 2024, 2, 29, 0, 0, 0, 0},
        {"hour_minute_second", "07:08:09", 1970, 1, 1, 7, 8, 9, 0},
        {"yyyy-MM-dd", "2024-05-06", 2024, 5, 6, 0, 0, 0, 0},
        {"yyyy-MM-dd HH:mm:ss", "2024-05-06 07:08:09", 2024, 5, 6, 7, 8, 9, 0},
        {"uuuu/MM/dd'T'HH:mm", "2024/05/06T07:08", 2024, 5, 6, 7, 8, 0, 0},
        {"dd.MM.yyyy", "06.05.2024", 2024, 5, 6, 0, 0, 0, 0},
        {"d.M.yyyy", "6.5.2024", 2024, 5, 6, 0, 0, 0, 0},
        {"d.M.yyyy", "16.12.2024", 2024, 12, 16, 0, 0, 0, 0},
        {"dd/MMM/yyyy:HH:mm:ss Z", "06/May/2024:07:08:09 +0200", 2024, 5, 6, 5, 8, 9, 0},
        {"EEE, dd MMM yyyy HH:mm:ss zzz", "Mon, 06 May 2024 07:08:09 GMT", 2024, 5, 6, 7, 8, 9, 0},
        {"MMMM d, yyyy", "May 6, 2024", 2024, 5, 6, 0, 0, 0, 0},
        {"hh:mm a, yyyy-MM-dd", "12:15 AM, 2024-05-06", 2024, 5, 6, 0, 15, 0, 0},
        {"hh:mm a, yyyy-MM-dd", "01:15 pm, 2024-05-06", 2024, 5, 6, 13, 15, 0, 0},
        {"yyyy:MM:dd HH:mm:ss", "2024:05:06 07:08:09", 2024, 5, 6, 7, 8, 9, 0},
        {"yyyy-MM-dd[ HH:mm[:ss]]", "2024-05-06", 2024, 5, 6, 0, 0, 0, 0},
        {"yyyy-MM-dd[ HH:mm[:ss]]", "2024-05-06 07:08", 2024, 5, 6, 7, 8, 0, 0},
        {"yyyy-MM-dd[ HH:mm[:ss]]", "2024-05-06 07:08:09", 2024, 5, 6, 7, 8, 9, 0},
        {"yyyy-MM-dd HH:mm:ss.SSSSSS", "2024-05-06 07:08:09.123456", 2024, 5, 6, 7, 8, 9, 123},
        {"yyyy-MM-dd||dd.MM.yyyy||epoch_millis", "06.05.2024", 2024, 5, 6, 0, 0, 0, 0},
        {"yyyy-MM-dd||dd.MM.yyyy||epoch_millis", "1714979289123", 2024, 5, 6, 7, 8, 9, 123},
        {"yyMMdd", "240506", 2024, 5, 6, 0, 0, 0, 0},
        {"yyyy-MM-dd''HH", "2024-05-06'07", 2024, 5, 6, 7, 0, 0, 0},
    };
    (void)state;
    for (size_t i = 0; i < VZ_COUNT_OF(cases); i++)
        check_case(&cases[i], false, false);
}

static void refused(void **state)
{
    static const char *const cases[][2] = {
        {"", ""},
        {"", "x"},
        {"", "2024-13-01"},
        {"", "2023-02-29"},
        {"", "2024-00-01"},
        {"", "2024-05-32"},
        {"", "2024-05-06T25:00:00"},
        {"", "2024-05-06T07:60"},
        {"", "2024-05-06T07:08:60"},
        {"", "2024-5-6"},
        {"", "2024-05-06 07:08"},
        {"", "2024-05-06T07:08:09.1234567890Z"},
        {"", "2024-05-06T07:08:09+19:00"},
        {"", "2024-05-06Z"},
        {"", "24-05-06"},
        {"", "now"},
        {"", "99999999999999999999"},
        {"", "2024-05-06T07:08:09ZZ"},
        {"", "--1"},
        {"", "2024-05-06T07:08:"},
        {"epoch_millis", "2024-05-06"},
        {"epoch_second", "9999999999999999999"},
        {"epoch_second", "999999999999999999"},
        {"strict_date", "2024-5-6"},
        {"basic_date", "2024056"},
        {"yyyy-MM-dd", "2024-05-06T"},
        {"yyyy-MM-dd", "2024-05"},
        {"dd/MMM/yyyy", "06/Mai/2024"},
        {"hh a", "13 AM"},
        {"ordinal_date", "2023-366"},
        {"strict_date_time", "2024-05-06T07:08:09Z"},
    };
    (void)state;
    for (size_t i = 0; i < VZ_COUNT_OF(cases); i++) {
        int64_t ms;
        struct vz_error err = {0};
        enum vz_status status = vz_date_parse(
            vz_slice_from(cases[i][0]), vz_slice_from(cases[i][1]), false, false, 0, &ms, &err);
        if (status != VZ_BAD_ARGUMENT)
            print_message("format [%s] text [%s] was taken\n", cases[i][0], cases[i][1]);
        assert_int_equal(status, VZ_BAD_ARGUMENT);
        assert_non_null(strstr(err.text, "failed to parse date field ["));
    }
    struct vz_error err = {0};
    int64_t ms;
    vz_date_parse((struct vz_slice){0}, VZ_SLICE("soon"), false, false, 0, &ms, &err);
    assert_string_equal(err.text, "failed to parse date field [soon] with format "
                                  "[strict_date_optional_time||epoch_millis]");
}

static void math(void **state)
{
    /* now is 2024-05-15T13:45:30.500Z, a Wednesday */
    static const struct date_case down[] = {
        {"", "now", 2024, 5, 15, 13, 45, 30, 500},
        {"", "now-1d", 2024, 5, 14, 13, 45, 30, 500},
        {"", "now-1d/d", 2024, 5, 14, 0, 0, 0, 0},
        {"", "now/w", 2024, 5, 13, 0, 0, 0, 0},
        {"", "now/M", 2024, 5, 1, 0, 0, 0, 0},
        {"", "now/y", 2024, 1, 1, 0, 0, 0, 0},
        {"", "now/h", 2024, 5, 15, 13, 0, 0, 0},
        {"", "now/m", 2024, 5, 15, 13, 45, 0, 0},
        {"", "now/s", 2024, 5, 15, 13, 45, 30, 0},
        {"", "now+1y-1M+2w", 2025, 4, 29, 13, 45, 30, 500},
        {"", "now-36h", 2024, 5, 14, 1, 45, 30, 500},
        {"", "now+d", 2024, 5, 16, 13, 45, 30, 500},
        {"", "2024-01-01||+1M", 2024, 2, 1, 0, 0, 0, 0},
        {"", "2024-01-31||+1M", 2024, 2, 29, 0, 0, 0, 0},
        {"", "2024-02-29||+1y", 2025, 2, 28, 0, 0, 0, 0},
        {"", "2024-03-31||-1M/d", 2024, 2, 29, 0, 0, 0, 0},
        {"", "2024-05-15||/M", 2024, 5, 1, 0, 0, 0, 0},
        {"", "1969-12-31T10:00:00||/d", 1969, 12, 31, 0, 0, 0, 0},
        {"", "1969-12-29||/w", 1969, 12, 29, 0, 0, 0, 0},
        {"dd.MM.yyyy", "06.05.2024||+10m", 2024, 5, 6, 0, 10, 0, 0},
        {"", "0||+1d", 1970, 1, 2, 0, 0, 0, 0},
    };
    static const struct date_case up[] = {
        {"", "now", 2024, 5, 15, 13, 45, 30, 500},
        {"", "now/d", 2024, 5, 15, 23, 59, 59, 999},
        {"", "now/w", 2024, 5, 19, 23, 59, 59, 999},
        {"", "now/M", 2024, 5, 31, 23, 59, 59, 999},
        {"", "now/y", 2024, 12, 31, 23, 59, 59, 999},
        {"", "2024-02||/M", 2024, 2, 29, 23, 59, 59, 999},
        {"", "2024-05-06", 2024, 5, 6, 23, 59, 59, 999},
        {"", "2024-02", 2024, 2, 29, 23, 59, 59, 999},
        {"", "2024", 2024, 12, 31, 23, 59, 59, 999},
        {"", "2024-05-06T07", 2024, 5, 6, 7, 59, 59, 999},
        {"", "2024-05-06T07:08:09", 2024, 5, 6, 7, 8, 9, 999},
        {"", "2024-05-06T07:08:09.1Z", 2024, 5, 6, 7, 8, 9, 100},
        {"", "1714979289123", 2024, 5, 6, 7, 8, 9, 123},
        {"dd.MM.yyyy", "06.05.2024", 2024, 5, 6, 23, 59, 59, 999},
    };
    static const char *const bad[] = {"now+",
                                      "now+1",
                                      "now*1d",
                                      "now/2d",
                                      "now-1x",
                                      "now1d",
                                      "2024-01-01||+1",
                                      "2024-01-01||now",
                                      "||+1d",
                                      "now+999999999999999999y",
                                      "now+999999999999999999d"};
    (void)state;
    for (size_t i = 0; i < VZ_COUNT_OF(down); i++)
        check_case(&down[i], true, false);
    for (size_t i = 0; i < VZ_COUNT_OF(up); i++)
        check_case(&up[i], true, true);
    for (size_t i = 0; i < VZ_COUNT_OF(bad); i++) {
        int64_t ms;
        struct vz_error err = {0};
        enum vz_status status =
            vz_date_parse((struct vz_slice){0}, vz_slice_from(bad[i]), true, false, 0, &ms, &err);
        if (status != VZ_BAD_ARGUMENT)
            print_message("[%s] was taken\n", bad[i]);
        assert_int_equal(status, VZ_BAD_ARGUMENT);
    }
}

static void printing(void **state)
{
    static const char *const cases[][2] = {
        {"", "2024-05-06T07:08:09.123Z"},
        {"strict_date_optional_time", "2024-05-06T07:08:09.123Z"},
        {"yyyy-MM-dd HH:mm:ss||epoch_millis", "2024-05-06 07:08:09"},
        {"epoch_millis", "1714979289123"},
        {"epoch_second", "1714979289.123"},
        {"basic_date", "20240506"},
        {"d.M.yy", "6.5.24"},
        {"EEE, dd MMM yyyy HH:mm:ss Z", "Mon, 06 May 2024 07:08:09 +0000"},
        {"EEEE h 'o''clock' a", "Monday 7 o'clock AM"},
        {"strict_date_time", "2024-05-06T07:08:09.123Z"},
        {"ordinal_date", "2024-127"},
    };
    (void)state;
    for (size_t i = 0; i < VZ_COUNT_OF(cases); i++) {
        struct vz_buf out = {0};
        vz_date_print(vz_slice_from(cases[i][0]), at(2024, 5, 6, 7, 8, 9, 123), &out);
        assert_string_equal(out.data, cases[i][1]);
        vz_buf_deinit(&out);
    }
}

static void any_printed_date_is_read_back(void **state)
{
    static const char *const list[] = {"",
                                       "strict_date_time",
                                       "basic_date_time",
                                       "yyyy-MM-dd HH:mm:ss.SSS",
                                       "EEE, d MMM yyyy HH:mm:ss.SSS X",
                                       "epoch_millis",
                                       "hh:mm:ss.SSS a yyyy/DDD"};
    uint64_t seed = 42;
    (void)state;
    print_message("seed %llu\n", (unsigned long long)seed);
    for (size_t i = 0; i < 20000; i++) {
        seed = seed * 6364136223846793005ull + 1442695040888963407ull;
        int64_t ms = (int64_t)(seed >> 20) % (9999 - 1970) * 31556952000 / 1000 * 997;
        ms %= at(9999, 1, 1, 0, 0, 0, 0);
        ms -= at(2400, 1, 1, 0, 0, 0, 0) / (1 + (int64_t)(seed & 7));
        struct vz_slice format = vz_slice_from(list[i % VZ_COUNT_OF(list)]);
        struct vz_buf out = {0};
        struct vz_error err = {0};
        int64_t back = 0;
        if (ms < at(1, 1, 1, 0, 0, 0, 0))
            ms = -ms;
        vz_date_print(format, ms, &out);
        enum vz_status status =
            vz_date_parse(format, vz_buf_slice(&out), false, false, 0, &back, &err);
        if (status != VZ_OK || back != ms)
            print_message("%lld printed as [%s]: %s\n", (long long)ms, out.data, err.text);
        assert_int_equal(status, VZ_OK);
        assert_true(back == ms);
        vz_buf_deinit(&out);
    }
}

static void format_checks(void **state)
{
    (void)state;
    struct vz_error err = {0};
    assert_int_equal(vz_date_format_check(VZ_SLICE("yyyy-MM-dd||epoch_millis"), &err), VZ_OK);
    assert_int_equal(vz_date_format_check(VZ_SLICE("strict_basic_date"), &err), VZ_OK);
    assert_int_equal(vz_date_format_check(VZ_SLICE("yyyy-jj"), &err), VZ_BAD_MAPPING);
    assert_non_null(strstr(err.text, "Invalid format: [yyyy-jj]: Unknown pattern letter: j"));
    assert_int_equal(vz_date_format_check(VZ_SLICE(""), &err), VZ_BAD_MAPPING);
    assert_int_equal(vz_date_format_check(VZ_SLICE("yyyy||"), &err), VZ_OK);
    assert_int_equal(vz_date_format_check(VZ_SLICE("||yyyy"), &err), VZ_BAD_MAPPING);
    assert_int_equal(vz_date_format_check(VZ_SLICE("yyyy["), &err), VZ_BAD_MAPPING);
    assert_int_equal(vz_date_format_check(VZ_SLICE("yyyy]"), &err), VZ_BAD_MAPPING);
    assert_int_equal(vz_date_format_check(VZ_SLICE("yyyy'T"), &err), VZ_BAD_MAPPING);
    assert_int_equal(vz_date_format_check(VZ_SLICE("yyyy-Q"), &err), VZ_UNSUPPORTED);
}

/* A search's format is checked by nobody before it comes here. */
static void formats_of_clients_are_bounded(void **state)
{
    size_t len = 1 << 20;
    char *text = malloc(len);
    int64_t ms;
    struct vz_buf out = {0};
    memset(text, '[', len);
    assert_int_equal(
        vz_date_parse((struct vz_slice){text, len}, VZ_SLICE("2024"), false, false, 0, &ms, NULL),
        VZ_BAD_ARGUMENT);
    memset(text, 'y', len);
    assert_int_equal(
        vz_date_parse((struct vz_slice){text, len}, VZ_SLICE("2024"), false, false, 0, &ms, NULL),
        VZ_BAD_ARGUMENT);
    vz_date_print((struct vz_slice){text, len}, 0, &out);
    assert_string_equal(out.data, "1970-01-01T00:00:00.000Z");
    vz_buf_deinit(&out);
    free(text);
}

/* 2^64 + 2000 is no year 2000. */
static void numbers_do_not_wrap(void **state)
{
    int64_t ms;
    assert_int_equal(vz_date_parse(VZ_SLICE("yyyyyyyyyyyyyyyyyyyy"),
                                   VZ_SLICE("18446744073709553616"), false, false, 0, &ms, NULL),
                     VZ_BAD_ARGUMENT);
    assert_int_equal(vz_date_parse(VZ_SLICE("yyyy-MM-dddddddddddd"),
                                   VZ_SLICE("2000-01-004294967297"), false, false, 0, &ms, NULL),
                     VZ_BAD_ARGUMENT);
    assert_int_equal(vz_date_parse(VZ_SLICE("epoch_second"), VZ_SLICE("9223372036854775.999"),
                                   false, false, 0, &ms, NULL),
                     VZ_BAD_ARGUMENT);
    assert_int_equal(vz_date_parse(VZ_SLICE("epoch_second"), VZ_SLICE("9223372036854775.807"),
                                   false, false, 0, &ms, NULL),
                     VZ_OK);
    assert_true(ms == INT64_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(formats),
        cmocka_unit_test(refused),
        cmocka_unit_test(math),
        cmocka_unit_test(printing),
        cmocka_unit_test(format_checks),
        cmocka_unit_test(any_printed_date_is_read_back),
        cmocka_unit_test(formats_of_clients_are_bounded),
        cmocka_unit_test(numbers_do_not_wrap),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
