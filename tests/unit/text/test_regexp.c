/* Complements, intersections and intervals of regular expressions against what they say of the same
 * words by themselves: over every word of up to four letters, and every number. */
#include "text/postings.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
// clang-format off
#include <cmocka.h>
// clang-format on

static struct vz_matcher *open_pattern(const char *pattern, bool ignore_case)
{
    struct vz_walk walk = {
        .kind = VZ_WALK_REGEXP, .text = vz_slice_from(pattern), .ignore_case = ignore_case};
    struct vz_matcher *matcher;
    struct vz_error err = {0};
    if (vz_matcher_open(&walk, &matcher, &err) != VZ_OK)
        fail_msg("%s: %s", pattern, err.text);
    return matcher;
}

/* The n-th word over `letters`, of all lengths up to four; false when there are no more. */
static bool word_at(size_t n, const char *letters, char out[8])
{
    size_t base = strlen(letters), length = 0, block = 1;
    while (n >= block) {
        n -= block;
        block *= base;
        if (++length > 4)
            return false;
    }
    for (size_t i = 0; i < length; i++, n /= base)
        out[i] = letters[n % base];
    out[length] = 0;
    return true;
}

static const char *const parts[] = {
    "a",    "ab*",  "(a|b)+c?",   "",       "[^a].*", ".{2}",    "(ab)*", "@",           "#",
    "c|()", "a.?b", "[a-b]{1,3}", "~(ab*)", "~a~b",   "b&(b|c)", "a*a",   "(a|ab)(c|bc)"};

static void test_complement_and_intersection(void **state)
{
    char pattern[256], word[8];
    (void)state;
    for (size_t i = 0; i < VZ_COUNT_OF(parts); i++)
        for (size_t j = 0; j < VZ_COUNT_OF(parts); j++)
            for (int fold = 0; fold < 2; fold++) {
                struct vz_matcher *one = open_pattern(parts[i], fold);
                struct vz_matcher *two = open_pattern(parts[j], fold);
                snprintf(pattern, sizeof pattern, "~(%s)", parts[i]);
                struct vz_matcher *not_one = open_pattern(pattern, fold);
                snprintf(pattern, sizeof pattern, "(%s)&(%s)", parts[i], parts[j]);
                struct vz_matcher *both = open_pattern(pattern, fold);
                for (size_t n = 0; word_at(n, fold ? "aAbC" : "abc", word); n++) {
                    bool is_one = vz_matcher_matches(one, vz_slice_from(word));
                    bool is_two = vz_matcher_matches(two, vz_slice_from(word));
                    if (vz_matcher_matches(not_one, vz_slice_from(word)) == is_one)
                        fail_msg("~(%s) of %s", parts[i], word);
                    if (vz_matcher_matches(both, vz_slice_from(word)) != (is_one && is_two))
                        fail_msg("%s of %s", pattern, word);
                }
                vz_matcher_close(one);
                vz_matcher_close(two);
                vz_matcher_close(not_one);
                vz_matcher_close(both);
            }
}

static void check_interval(unsigned low, unsigned high, int width)
{
    char pattern[64], text[32];
    snprintf(pattern, sizeof pattern, "<%0*u-%0*u>", width, low, width, high);
    bool fixed = strchr(pattern, '-') - pattern - 1 == (long)strlen(strchr(pattern, '-')) - 2;
    size_t digits = (size_t)(strchr(pattern, '-') - pattern - 1);
    struct vz_matcher *matcher = open_pattern(pattern, false);
    for (unsigned n = 0; n < 1300; n++)
        for (int zeros = 1; zeros < 7; zeros++) {
            snprintf(text, sizeof text, "%0*u", zeros, n);
            bool want = n >= low && n <= high && (!fixed || strlen(text) == digits);
            if (vz_matcher_matches(matcher, vz_slice_from(text)) != want)
                fail_msg("%s of %s", pattern, text);
        }
    vz_matcher_close(matcher);
}

static void test_intervals(void **state)
{
    static const unsigned ends[] = {0, 1, 7, 9, 10, 11, 42, 99, 100, 101, 360, 999, 1000, 1234};
    (void)state;
    for (size_t i = 0; i < VZ_COUNT_OF(ends); i++)
        for (size_t j = i; j < VZ_COUNT_OF(ends); j++)
            for (int width = 0; width < 6; width += 5)
                check_interval(ends[i], ends[j], width);
}

static void test_errors(void **state)
{
    static const struct {
        const char *pattern, *error;
    } cases[] = {
        {"~", "unexpected end-of-string"},
        {"<a>", "'a' not found"},
        {"<1-x>", "interval syntax error"},
        {"<1", "expected '>'"},
        {"~((a|b)*a(a|b)(a|b)(a|b)(a|b)(a|b)(a|b)(a|b)(a|b)(a|b)(a|b)(a|b)(a|b))", "effort"}};
    (void)state;
    for (size_t i = 0; i < VZ_COUNT_OF(cases); i++) {
        struct vz_walk walk = {.kind = VZ_WALK_REGEXP, .text = vz_slice_from(cases[i].pattern)};
        struct vz_matcher *matcher;
        struct vz_error err = {0};
        assert_int_not_equal(vz_matcher_open(&walk, &matcher, &err), VZ_OK);
        assert_null(matcher);
        assert_non_null(strstr(err.text, cases[i].error));
    }
    char deep[900] = {0};
    memset(deep, '~', 899);
    struct vz_walk walk = {.kind = VZ_WALK_REGEXP, .text = vz_slice_from(deep)};
    struct vz_matcher *matcher;
    assert_int_not_equal(vz_matcher_open(&walk, &matcher, NULL), VZ_OK);
}

/* Each complement looks at its own ranges, not at those of all made before: half a minute else. */
static void test_many_complements(void **state)
{
    struct vz_buf text = {0};
    struct vz_matcher *matcher = NULL;
    struct vz_error err = {0};
    (void)state;
    vz_buf_printf(&text, "(~[");
    for (int c = 0; c < 300; c++) /* U+4E00 and on */
        vz_buf_printf(&text, "%c%c%c", 0xE4, 0xB8 + c / 64, 0x80 + c % 64);
    vz_buf_printf(&text, "]){500}");
    struct vz_walk walk = {.kind = VZ_WALK_REGEXP, .text = vz_buf_slice(&text)};
    clock_t start = clock();
    assert_int_not_equal(vz_matcher_open(&walk, &matcher, &err), VZ_OK);
    assert_true(clock() - start < 20 * CLOCKS_PER_SEC);
    vz_buf_deinit(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_complement_and_intersection), cmocka_unit_test(test_intervals),
        cmocka_unit_test(test_errors), cmocka_unit_test(test_many_complements)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
