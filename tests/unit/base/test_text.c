/* UTF-8, base64, wildcards, ids, dates. */
#include "base/clock.h"
#include "base/text.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

static void utf8_accepts_and_refuses_as_rfc_3629(void **state)
{
    static const struct {
        const char *text;
        size_t valid;
    } cases[] = {
        {"", 0},
        {"abc", 3},
        {"\xC3\xA9!", 3},
        {"\xE2\x82\xAC", 3},
        {"\xF0\x9F\x90\xB6", 4},
        {"a\xC0\x80", 1},         /* overlong */
        {"a\xE0\x80\x80", 1},     /* overlong */
        {"a\xED\xA0\x80", 1},     /* surrogate */
        {"a\xF4\x90\x80\x80", 1}, /* past U+10FFFF */
        {"a\xF5\x80\x80\x80", 1},
        {"a\x80", 1},
        {"a\xE2\x82", 1}, /* cut */
        {"a\xF0\x9F\x90", 1},
    };
    for (size_t i = 0; i < VZ_COUNT_OF(cases); i++)
        assert_int_equal(vz_utf8_valid_prefix(cases[i].text, strlen(cases[i].text)),
                         cases[i].valid);
}

/* Eight ASCII bytes are taken at a time. */
static void utf8_ends_at_the_first_bad_byte(void **state)
{
    for (size_t len = 1; len < 40; len++)
        for (size_t at = 0; at < len; at++) {
            char text[40];
            memset(text, 'x', sizeof text);
            text[at] = '\xFF';
            assert_int_equal(vz_utf8_valid_prefix(text, len), at);
            text[at] = '\xC3';
            bool whole = at + 1 < len;
            if (whole)
                text[at + 1] = '\xA9';
            assert_int_equal(vz_utf8_valid_prefix(text, len), whole ? len : at);
        }
}

static void base64_round_trips(void **state)
{
    uint64_t seed = 3;
    for (size_t len = 0; len < 100; len++) {
        unsigned char bytes[100];
        for (size_t i = 0; i < len; i++)
            bytes[i] = (unsigned char)vz_rng_next(&seed);
        struct vz_buf text = {0}, back = {0};
        vz_base64_encode(bytes, len, &text);
        assert_int_equal(text.len, (len + 2) / 3 * 4);
        assert_true(vz_base64_decode(vz_buf_slice(&text), &back));
        assert_int_equal(back.len, len);
        assert_true(len == 0 || memcmp(back.data, bytes, len) == 0);
        vz_buf_deinit(&text);
        vz_buf_deinit(&back);
    }
    struct vz_buf out = {0};
    assert_true(vz_base64_decode(VZ_SLICE("aGVs\nbG8="), &out));
    assert_string_equal(out.data, "hello");
    assert_false(vz_base64_decode(VZ_SLICE("a$b="), &out));
    assert_false(vz_base64_decode(VZ_SLICE("aGVsb"), &out));
    assert_false(vz_base64_decode(VZ_SLICE("aG=Vs"), &out));
    vz_buf_deinit(&out);
}

static void wildcards_match(void **state)
{
    static const struct {
        const char *pattern, *text;
        bool match;
    } cases[] = {
        {"*", "", true},        {"*", "abc", true},     {"a*c", "abbc", true},
        {"a*c", "abbd", false}, {"a?c", "abc", true},   {"a?c", "ac", false},
        {"", "", true},         {"", "a", false},       {"**a**", "bab", true},
        {"dog-*", "dog-", true}, {"*b*b*b*", "abcbab", true}, {"*b*b*b*", "abcba", false},
    };
    for (size_t i = 0; i < VZ_COUNT_OF(cases); i++)
        assert_int_equal(
            vz_wildcard_match(vz_slice_from(cases[i].pattern), vz_slice_from(cases[i].text)),
            cases[i].match);
}

static void ids_are_distinct_and_ordered(void **state)
{
    char last[21] = "", id[21], uuid[23];
    for (int i = 0; i < 1000; i++) {
        vz_new_doc_id(id);
        assert_int_equal(strlen(id), 20);
        assert_string_not_equal(id, last);
        memcpy(last, id, sizeof id);
    }
    vz_new_uuid(uuid);
    assert_int_equal(strlen(uuid), 22);
}

static void dates_agree_with_the_c_library(void **state)
{
    uint64_t seed = 5;
    for (int i = 0; i < 20000; i++) {
        int64_t days = (int64_t)(vz_rng_next(&seed) % 3000000) - 700000;
        time_t seconds = days * 86400;
        struct tm tm;
        gmtime_r(&seconds, &tm);
        int year, month, day;
        vz_civil_from_days(days, &year, &month, &day);
        assert_int_equal(year, tm.tm_year + 1900);
        assert_int_equal(month, tm.tm_mon + 1);
        assert_int_equal(day, tm.tm_mday);
        assert_int_equal(vz_days_from_civil(year, month, day), days);
    }
    char text[32];
    vz_format_iso_ms(-1, text, sizeof text);
    assert_string_equal(text, "1969-12-31T23:59:59.999Z");
    vz_format_iso_ms(1709209845006, text, sizeof text);
    assert_string_equal(text, "2024-02-29T12:30:45.006Z");
}

static void normal_deviates_have_unit_variance(void **state)
{
    uint64_t seed = 11;
    double sum = 0, squares = 0;
    for (int i = 0; i < 100000; i++) {
        double x = vz_rng_normal(&seed);
        sum += x;
        squares += x * x;
    }
    assert_true(fabs(sum / 100000) < 0.02);
    assert_true(fabs(squares / 100000 - 1) < 0.02);
}

static void slices_are_trimmed_and_cut(void **state)
{
    static const struct {
        const char *text, *java, *blanks, *line;
    } cases[] = {
        {"", "", "", ""},
        {" \t\n", "", "", "\n"},
        {"a", "a", "a", "a"},
        {" a b\t", "a b", "a b", "a b"},
        {"\r\na\v", "a", "a", "\r\na\v"},
        {"\x01 a \x02", "a", "\x01 a \x02", "\x01 a \x02"},
        {"\xC2\xA0", "\xC2\xA0", "\xC2\xA0", "\xC2\xA0"},
    };
    for (size_t i = 0; i < VZ_COUNT_OF(cases); i++) {
        struct vz_slice text = vz_slice_from(cases[i].text);
        assert_true(vz_slice_is(vz_slice_trim(text), cases[i].java));
        assert_true(vz_slice_is(vz_slice_trim_of(text, VZ_BLANKS), cases[i].blanks));
        assert_true(vz_slice_is(vz_slice_trim_of(text, " \t"), cases[i].line));
    }
    struct vz_slice nul = {"\0", 1}, rest = VZ_SLICE("a..b."), none = {NULL, 0};
    assert_int_equal(vz_slice_trim_of(nul, " ").len, 1);
    assert_true(vz_slice_is(vz_slice_cut(&rest, '.'), "a"));
    assert_true(vz_slice_is(vz_slice_cut(&rest, '.'), ""));
    assert_true(vz_slice_is(vz_slice_cut(&rest, '.'), "b"));
    assert_int_equal(rest.len, 0);
    assert_int_equal(vz_slice_cut(&rest, '.').len, 0);
    assert_int_equal(vz_slice_cut(&none, '.').len, 0);
    for (int c = 0; c < 256; c++) {
        const char *digits = "0123456789abcdef", *at = c ? strchr(digits, c | 0x20) : NULL;
        bool digit = at && (c >= 'A' || (c >= '0' && c <= '9'));
        assert_int_equal(vz_hex_digit((char)c), digit ? at - digits : -1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(utf8_accepts_and_refuses_as_rfc_3629),
        cmocka_unit_test(utf8_ends_at_the_first_bad_byte),
        cmocka_unit_test(base64_round_trips),
        cmocka_unit_test(wildcards_match),
        cmocka_unit_test(slices_are_trimmed_and_cut),
        cmocka_unit_test(ids_are_distinct_and_ordered),
        cmocka_unit_test(dates_agree_with_the_c_library),
        cmocka_unit_test(normal_deviates_have_unit_variance),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
