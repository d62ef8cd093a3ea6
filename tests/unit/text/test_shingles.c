/* Shingles of one size and their beginnings, against what FixedShingleFilter's rules give by hand. */
#include "text/analysis.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
// clang-format off
#include <cmocka.h>
// clang-format on

static struct vz_analysis *analysis_of(const char *text, struct vz_json_doc **doc)
{
    struct vz_analysis *analysis;
    struct vz_json root;
    struct vz_error err = {0};
    assert_int_equal(vz_json_parse(vz_slice_from(text), doc, &root, &err), VZ_OK);
    if (vz_analysis_new(root, NULL, &analysis, &err) != VZ_OK)
        fail_msg("%s", err.text);
    return analysis;
}

/* Each token as text@position:start-end|. */
static void check(const char *settings, const char *name, unsigned size, bool beginnings,
                  const char *text, const char *want)
{
    struct vz_json_doc *doc;
    struct vz_analysis *analysis = analysis_of(settings, &doc);
    const struct vz_analyzer *base = vz_analysis_analyzer(analysis, vz_slice_from(name));
    const struct vz_analyzer *made = vz_analysis_shingled(analysis, base, size, beginnings);
    assert_ptr_equal(made, vz_analysis_shingled(analysis, base, size, beginnings));
    struct vz_tokens tokens = {0};
    struct vz_buf got = {0};
    assert_int_equal(vz_analyze(made, vz_slice_from(text), &tokens, NULL), VZ_OK);
    for (size_t i = 0; i < tokens.count; i++)
        vz_buf_printf(&got, "%.*s@%u:%u-%u|", (int)tokens.items[i].text.len,
                      tokens.items[i].text.ptr, tokens.items[i].position, tokens.items[i].start,
                      tokens.items[i].end);
    vz_buf_append_char(&got, 0);
    assert_string_equal(got.data, want);
    vz_buf_deinit(&got);
    vz_tokens_deinit(&tokens);
    vz_analysis_release(analysis);
    vz_json_free(doc);
}

static void words_in_a_row(void **state)
{
    (void)state;
    check("{}", "simple", 2, false, "a b c", "a b@0:0-3|b c@1:2-5|");
    check("{}", "simple", 3, false, "a b c", "a b c@0:0-5|");
    check("{}", "simple", 4, false, "a b c", "");
    check("{}", "simple", 2, false, "", "");
}

/* A removed word is an empty one, and never the first. */
static void holes(void **state)
{
    (void)state;
    check("{}", "stop", 2, false, "quick the fox runs", "quick @0:0-5|fox runs@2:10-18|");
    check("{}", "stop", 3, false, "quick the fox runs", "quick  fox@0:0-13|");
    check("{}", "stop", 2, false, "quick fox the", "quick fox@0:0-9|fox @1:6-9|");
    check("{}", "stop", 2, false, "the quick fox", "quick fox@1:4-13|");
}

static void ways_through_a_graph(void **state)
{
    (void)state;
    const char *settings =
        "{\"filter\":{\"s\":{\"type\":\"synonym_graph\",\"synonyms\":[\"wifi, wi fi\"]}},"
        "\"analyzer\":{\"g\":{\"tokenizer\":\"whitespace\",\"filter\":[\"s\"]}}}";
    check(settings, "g", 2, false, "wifi spot",
          "wi fi@0:0-4|wifi spot@0:0-9|fi spot@1:0-9|");
}

static void beginnings(void **state)
{
    (void)state;
    check("{}", "simple", 2, true, "ab c",
          "a@0:0-4|ab@0:0-4|ab @0:0-4|ab c@0:0-4|c@1:3-4|c @1:3-4|");
    /* Longer than 20 characters: the whole, too. */
    check("{}", "keyword", 2, true, "éééééééééééééééééééé",
          "é@0:0-20|éé@0:0-20|ééé@0:0-20|éééé@0:0-20|ééééé@0:0-20|éééééé@0:0-20|ééééééé@0:0-20|"
          "éééééééé@0:0-20|ééééééééé@0:0-20|éééééééééé@0:0-20|ééééééééééé@0:0-20|"
          "éééééééééééé@0:0-20|ééééééééééééé@0:0-20|éééééééééééééé@0:0-20|ééééééééééééééé@0:0-20|"
          "éééééééééééééééé@0:0-20|ééééééééééééééééé@0:0-20|éééééééééééééééééé@0:0-20|"
          "ééééééééééééééééééé@0:0-20|éééééééééééééééééééé@0:0-20|éééééééééééééééééééé @0:0-20|");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_in_a_row),
        cmocka_unit_test(holes),
        cmocka_unit_test(ways_through_a_graph),
        cmocka_unit_test(beginnings),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
