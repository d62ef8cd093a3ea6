/* Cutting texts: by words, sentences and separators, with offsets worked out by hand, and what must
 * hold for any text. */
#include "ingest/chunk.h"

#include "base/text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

static void cut(const char *settings, const char *text, const size_t (*expected)[2], size_t count)
{
    struct vz_arena arena = {0};
    struct vz_chunking *chunking;
    struct vz_chunk *chunks;
    struct vz_error err = {0};
    size_t found;
    assert_int_equal(vz_chunking_new(vz_slice_from(settings), &chunking, &err), VZ_OK);
    assert_int_equal(vz_chunk(chunking, vz_slice_from(text), &arena, &chunks, &found, &err), VZ_OK);
    for (size_t i = 0; i < found; i++)
        printf("[%zu, %zu) ", chunks[i].start, chunks[i].end);
    printf("\n");
    assert_int_equal(found, count);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(chunks[i].start, expected[i][0]);
        assert_int_equal(chunks[i].end, expected[i][1]);
    }
    vz_chunking_free(chunking);
    vz_arena_deinit(&arena);
}

#define CUT(settings, text, ...)                                                                   \
    do {                                                                                           \
        static const size_t expected[][2] = {__VA_ARGS__};                                         \
        cut(settings, text, expected, VZ_COUNT_OF(expected));                                      \
    } while (0)

static void test_words(void **state)
{
    (void)state;
#define WORDS(size, overlap)                                                                       \
    "{\"strategy\":\"word\",\"max_chunk_size\":" size ",\"overlap\":" overlap "}"
    const char *ten = "a b c d e f g h i j";
    CUT(WORDS("4", "0"), ten, {0, 7}, {7, 15}, {15, 19});
    CUT(WORDS("4", "1"), ten, {0, 7}, {5, 13}, {11, 19});
    CUT(WORDS("4", "2"), ten, {0, 7}, {3, 11}, {7, 15}, {11, 19});
    CUT(WORDS("20", "5"), ten, {0, 19});
    CUT(WORDS("5", "0"), ten, {0, 9}, {9, 19});
    CUT(WORDS("2", "0"), "one, two! three.", {0, 8}, {8, 16});
    CUT(WORDS("2", "0"), "   ", {0, 3});
    CUT(WORDS("2", "0"), "", {0, 0});
    CUT(WORDS("1", "0"), "äö ü", {0, 4}, {4, 7}); /* bytes */
}

static void test_sentences(void **state)
{
    (void)state;
#define SENTENCES(size, overlap)                                                                   \
    "{\"strategy\":\"sentence\",\"max_chunk_size\":" size ",\"sentence_overlap\":" overlap "}"
    const char *three = "One two three. Four five six. Seven eight nine.";
    CUT("", three, {0, 47});
    CUT(SENTENCES("5", "0"), three, {0, 15}, {15, 30}, {30, 47});
    CUT(SENTENCES("6", "0"), three, {0, 30}, {30, 47});
    /* A whole sentence fits before the next one, or its last words do. */
    CUT(SENTENCES("6", "1"), three, {0, 30}, {15, 47});
    CUT(SENTENCES("5", "1"), three, {0, 15}, {4, 30}, {20, 47});
    /* A sentence longer than a chunk: windows that share (2 - 1) / 2 = 0 words. */
    CUT(SENTENCES("2", "0"), "a b c d e. F.", {0, 3}, {3, 7}, {7, 13});
}

static void test_separators(void **state)
{
    (void)state;
#define SEPARATED(size, more) "{\"strategy\":\"recursive\",\"max_chunk_size\":" size more "}"
    CUT(SEPARATED("5", ""), "a b c\n\nd e f\n\ng h i", {0, 5}, {5, 12}, {12, 19});
    CUT(SEPARATED("9", ""), "a b c\n\nd e f\n\ng h i", {0, 19});
    CUT(SEPARATED("3", ",\"separators\":[\";\",\",\"]"), "a b;c d,e f;g", {0, 3}, {3, 7}, {7, 11},
        {11, 13});
    CUT(SEPARATED("4", ",\"separator_group\":\"markdown\""), "x y z\n# a b c\n# d e f", {0, 5},
        {5, 13}, {13, 21});
    CUT("{\"strategy\":\"none\"}", "a b. c d.", {0, 9});
}

static void test_bad_separator(void **state)
{
    (void)state;
    struct vz_chunking *chunking;
    struct vz_error err = {0};
    assert_int_equal(vz_chunking_new(VZ_SLICE("{\"strategy\":\"recursive\",\"max_chunk_size\":10,"
                                              "\"separators\":[\"a\",\"(\"]}"),
                                     &chunking, &err),
                     VZ_BAD_ARGUMENT);
    assert_null(chunking);
}

/* A separator that backtracks without end is given up. */
static void test_slow_separator(void **state)
{
    (void)state;
    struct vz_arena arena = {0};
    struct vz_chunking *chunking;
    struct vz_chunk *chunks;
    struct vz_error err = {0};
    struct vz_buf text = {0};
    size_t count;
    for (int i = 0; i < 2000; i++)
        vz_buf_append_str(&text, i % 20 ? "a" : " a");
    assert_int_equal(vz_chunking_new(VZ_SLICE("{\"strategy\":\"recursive\",\"max_chunk_size\":10,"
                                              "\"separators\":[\"(([ a]+)+)+[bc]\"]}"),
                                     &chunking, &err),
                     VZ_OK);
    assert_int_equal(vz_chunk(chunking, vz_buf_slice(&text), &arena, &chunks, &count, &err),
                     VZ_LIMIT);
    vz_chunking_free(chunking);
    vz_buf_deinit(&text);
    vz_arena_deinit(&arena);
}

/* Any text, any settings: chunks ascend, end with the text, lose none of its words. */
static void test_random(void **state)
{
    (void)state;
    static const char *const parts[] = {
        "word", " ",   ". ", "\n", "\n\n", "ä", "日本", "! ", "\xF0\x9F\x98\x80",
        "a",    "7.5", "# ", "'s", ","};
    uint64_t seed = 20;
    printf("seed %llu\n", (unsigned long long)seed);
    for (int round = 0; round < 2000; round++) {
        struct vz_arena arena = {0};
        struct vz_buf text = {0}, settings = {0};
        struct vz_chunking *chunking;
        struct vz_chunk *chunks;
        struct vz_error err = {0};
        size_t count, size = 1 + vz_rng_next(&seed) % 12, reached = 0;
        static const char *const names[] = {"word", "sentence", "recursive"};
        for (size_t i = vz_rng_next(&seed) % 60; i; i--)
            vz_buf_append_str(&text, parts[vz_rng_next(&seed) % VZ_COUNT_OF(parts)]);
        vz_buf_printf(&settings,
                      "{\"strategy\":\"%s\",\"max_chunk_size\":%zu,\"overlap\":%llu,"
                      "\"sentence_overlap\":%llu}",
                      names[vz_rng_next(&seed) % 3], size,
                      (unsigned long long)(vz_rng_next(&seed) % (size / 2 + 1)),
                      (unsigned long long)(vz_rng_next(&seed) % 2));
        assert_int_equal(vz_chunking_new(vz_buf_slice(&settings), &chunking, &err), VZ_OK);
        assert_int_equal(vz_chunk(chunking, vz_buf_slice(&text), &arena, &chunks, &count, &err),
                         VZ_OK);
        assert_true(count > 0);
        for (size_t i = 0; i < count; i++) {
            assert_true(chunks[i].start <= reached && chunks[i].start <= chunks[i].end);
            assert_true(chunks[i].end >= reached && chunks[i].end <= text.len);
            assert_true(i == 0 || chunks[i].start >= chunks[i - 1].start);
            reached = chunks[i].end;
        }
        /* What is behind the last window of words holds none. */
        for (size_t i = reached; i < text.len; i++)
            assert_false((text.data[i] >= 'a' && text.data[i] <= 'z') || text.data[i] == '7');
        vz_chunking_free(chunking);
        vz_buf_deinit(&text);
        vz_buf_deinit(&settings);
        vz_arena_deinit(&arena);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_words),          cmocka_unit_test(test_sentences),
        cmocka_unit_test(test_separators),     cmocka_unit_test(test_bad_separator),
        cmocka_unit_test(test_slow_separator), cmocka_unit_test(test_random),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
