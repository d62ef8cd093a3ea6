/* Marked text to fragments: where passages end, how they score, what plain and fast ones hold. The
 * scores are worked out from the formula by hand (Python), boundaries from the text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "text/passages.h"

#include <stdlib.h>
#include <string.h>

static const struct vz_slice pre[] = {{"<", 1}, {"{", 1}}, post[] = {{">", 1}};
static const struct vz_passage_options usual = {.pre_tags = pre,
                                                .post_tags = post,
                                                .pre_tag_count = 1,
                                                .post_tag_count = 1,
                                                .trim = true,
                                                .fragment_size = 100,
                                                .max_fragments = 5,
                                                .locale = "",
                                                .boundary_max_scan = 20,
                                                .boundary_chars = {".,!? \t\n", 7}};

static struct vz_arena arena;
static struct vz_marked_text text;
static struct vz_mark marks[64];
static size_t mark_count;

static void values(size_t count, const char *const *of)
{
    struct vz_slice slices[8];
    struct vz_error err = {0};
    for (size_t i = 0; i < count; i++)
        slices[i] = vz_slice_from(of[i]);
    assert_int_equal(vz_marked_text_init(&text, slices, count, &arena, &err), VZ_OK);
    mark_count = 0;
}

static int by_start(const void *a, const void *b)
{
    const struct vz_mark *x = a, *y = b;
    return x->start < y->start ? -1 : x->start > y->start;
}

/* Marks every place of an ASCII word. */
static void mark(const char *word, uint32_t term)
{
    size_t len = strlen(word);
    for (uint32_t i = 0; i + len <= text.length; i++) {
        size_t same = 0;
        while (same < len && text.units[i + same] == (unsigned char)word[same])
            same++;
        if (same == len)
            marks[mark_count++] =
                (struct vz_mark){i, i + (uint32_t)len, .term = term, .freq = 1, .weight = 1};
    }
    qsort(marks, mark_count, sizeof *marks, by_start);
}

static const char *joined(struct vz_slice *fragments, size_t count)
{
    struct vz_buf out = {0};
    for (size_t i = 0; i < count; i++) {
        if (i)
            vz_buf_append_char(&out, '|');
        vz_buf_append_slice(&out, fragments[i]);
    }
    const char *copy = vz_arena_strdup(&arena, vz_buf_slice(&out));
    vz_buf_deinit(&out);
    return copy;
}

static const char *unified(struct vz_passage_options options)
{
    struct vz_slice *fragments;
    size_t count;
    struct vz_error err = {0};
    assert_int_equal(
        vz_passages(&text, marks, mark_count, &options, &arena, &fragments, &count, &err), VZ_OK);
    return joined(fragments, count);
}

static const char *fast(struct vz_passage_options options)
{
    struct vz_slice *fragments;
    size_t count;
    struct vz_error err = {0};
    assert_int_equal(
        vz_fast_fragments(&text, marks, mark_count, &options, &arena, &fragments, &count, &err),
        VZ_OK);
    return joined(fragments, count);
}

/* Tokens are words between spaces. */
static const char *plain(struct vz_passage_options options)
{
    struct vz_plain_token tokens[64];
    struct vz_slice *fragments;
    size_t count = 0, fragment_count;
    for (uint32_t at = 0; at < text.length;) {
        while (at < text.length && (text.units[at] == ' ' || text.units[at] == 0))
            at++;
        uint32_t start = at;
        while (at < text.length && text.units[at] != ' ' && text.units[at] != 0)
            at++;
        if (at == start)
            break;
        tokens[count] = (struct vz_plain_token){start, at, UINT32_MAX, (uint32_t)count, 0};
        for (size_t m = 0; m < mark_count; m++)
            if (marks[m].start == start)
                tokens[count].mark = (uint32_t)m;
        count++;
    }
    assert_int_equal(vz_plain_fragments(&text, tokens, count, marks, &options, &arena, &fragments,
                                        &fragment_count),
                     VZ_OK);
    return joined(fragments, fragment_count);
}

static int teardown(void **state)
{
    vz_arena_deinit(&arena);
    return 0;
}

static void sentences(void **state)
{
    const char *one[] = {"A cat sat. Then it left the cat. It ran."};
    values(1, one);
    mark("cat", 0);
    /* Sentences are joined while they fit. */
    assert_string_equal(unified(usual), "A <cat> sat. Then it left the <cat>. It ran.");
    struct vz_passage_options options = usual;
    options.fragment_size = 0;
    assert_string_equal(unified(options), "A <cat> sat.|Then it left the <cat>.");
    options.fragment_size = 25;
    assert_string_equal(unified(options), "A <cat> sat.|Then it left the <cat>.");
    options.by_value = true;
    assert_string_equal(unified(options), "A <cat> sat. Then it left the <cat>. It ran.");
}

static void a_long_sentence_is_cut_at_words(void **state)
{
    const char *one[] = {"one two three four five six cat seven eight nine ten eleven twelve"};
    struct vz_passage_options options = usual;
    values(1, one);
    mark("cat", 0);
    options.fragment_size = 18;
    /* Middle of cat at 29: boundary before 29 - 18 = 11 is 8; nothing is left of 18, so the end is
     * the word's. */
    assert_string_equal(unified(options), "three four five six <cat>");
    options.fragment_size = 30;
    /* 29 - 30 < 0: from 0; 30 - 29 = 1 is left: the first boundary behind 30. */
    assert_string_equal(unified(options), "one two three four five six <cat>");
}

static void values_stay_apart(void **state)
{
    const char *two[] = {"a cat", "", "the dog"};
    struct vz_passage_options options = usual;
    values(3, two);
    mark("cat", 0);
    mark("dog", 1);
    assert_string_equal(unified(usual), "a <cat>|the <dog>");
    options.max_fragments = 0;
    options.by_value = true;
    assert_string_equal(unified(options), "a <cat>|the <dog>");
}

static void the_best_passages_stay(void **state)
{
    const char *one[] = {"One cat here. No match here. A dog and a cat here. A cat."};
    struct vz_passage_options options = usual;
    options.fragment_size = 0;
    options.max_fragments = 1;
    values(1, one);
    mark("cat", 0);
    mark("dog", 1);
    assert_string_equal(unified(options), "A <dog> and a <cat> here.");
    options.max_fragments = 2;
    /* By the formula: 1.6599 for "One cat here. ", 3.1052 for the dog's, 1.7306 for "A cat." */
    assert_string_equal(unified(options), "A <dog> and a <cat> here.|A <cat>.");
    options.score_ordered = true;
    options.max_fragments = 3;
    assert_string_equal(unified(options), "A <dog> and a <cat> here.|A <cat>.|One <cat> here.");
}

static void overlapping_marks_are_one(void **state)
{
    const char *one[] = {"abcdef"};
    values(1, one);
    mark("abc", 0);
    mark("bcd", 1);
    mark("ef", 2);
    assert_string_equal(unified(usual), "<abcd><ef>");
}

static void no_match(void **state)
{
    const char *two[] = {"", "some words here"};
    struct vz_passage_options options = usual;
    values(2, two);
    assert_string_equal(unified(options), "");
    options.no_match_size = 6;
    assert_string_equal(unified(options), "some words");
    options.no_match_size = 100;
    assert_string_equal(unified(options), "some words here");
    assert_string_equal(plain(options), "");
    const char *one[] = {"some words here"};
    values(1, one);
    options.no_match_size = 11;
    assert_string_equal(plain(options), "some words");
}

static void beyond_ascii(void **state)
{
    /* The cat of four bytes is two units; the text before is longer in bytes than in units. */
    const char *one[] = {"Árvíztűrő 🐈 cat & <b>"};
    struct vz_passage_options options = usual;
    values(1, one);
    mark("cat", 0);
    assert_string_equal(unified(options), "Árvíztűrő 🐈 <cat> & <b>");
    options.html = true;
    assert_string_equal(unified(options), "Árvíztűrő 🐈 <cat> &amp; &lt;b&gt;");
    /* A mark through the middle of a pair does not tear it into bad UTF-8. */
    marks[0] = (struct vz_mark){.start = 11, .end = 13, .freq = 1};
    mark_count = 1;
    options.html = false;
    assert_string_equal(unified(options), "Árvíztűrő \xEF\xBF\xBD<\xEF\xBF\xBD >cat & <b>");
}

static void plain_fragments(void **state)
{
    const char *one[] = {"aa bb cat dd ee ff gg hh cat cat kk ll mm nn oo"};
    struct vz_passage_options options = usual;
    values(1, one);
    mark("cat", 0);
    mark("dd", 1);
    options.fragment_size = 12;
    /* A token that ends at or behind 12, 24 ... begins the next. Each term counts once. */
    assert_string_equal(plain(options), "aa bb <cat>| <dd> ee ff gg| hh <cat> <cat> kk");
    options.max_fragments = 1;
    assert_string_equal(plain(options), "aa bb <cat>");
    options.max_fragments = 0;
    assert_string_equal(plain(options), "aa bb <cat> <dd> ee ff gg hh <cat> <cat> kk ll mm nn oo");
}

static void fast_fragments(void **state)
{
    const char *one[] = {"This is a test where foo is highlighed and should be highlighted"};
    struct vz_passage_options options = usual;
    values(1, one);
    mark("foo", 1);
    options.pre_tag_count = 2;
    options.max_fragments = 0;
    assert_string_equal(fast(options),
                        "This is a test where {foo> is highlighed and should be highlighted");
    options.max_fragments = 5;
    options.fragment_size = 18;
    /* Centred: 21 - 7 = 14 to 32; both move outwards to the next boundary character. */
    assert_string_equal(fast(options), "test where {foo> is highlighed");
    options.boundary_max_scan = 0;
    assert_string_equal(fast(options), " where {foo> is high");
    options.fragment_size = 17;
    struct vz_slice *fragments;
    size_t count;
    struct vz_error err = {0};
    assert_int_equal(
        vz_fast_fragments(&text, marks, mark_count, &options, &arena, &fragments, &count, &err),
        VZ_BAD_ARGUMENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sentences),
        cmocka_unit_test(a_long_sentence_is_cut_at_words),
        cmocka_unit_test(values_stay_apart),
        cmocka_unit_test(the_best_passages_stay),
        cmocka_unit_test(overlapping_marks_are_one),
        cmocka_unit_test(no_match),
        cmocka_unit_test(beyond_ascii),
        cmocka_unit_test(plain_fragments),
        cmocka_unit_test(fast_fragments),
    };
    return cmocka_run_group_tests(tests, NULL, teardown);
}
