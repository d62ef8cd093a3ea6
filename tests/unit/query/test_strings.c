/* Query strings that mean harm: nesting, lengths, numbers of clauses, expressions, and noise. */
#include "support.h"

#include <time.h>

#define SECONDS(n) ((uint64_t)(n)*1000000000ull)

static struct fixture fixture;

static int open_fixture(void **state)
{
    fixture_open(&fixture);
    struct vz_index *index = fixture_create(
        &fixture, "words",
        "{\"mappings\":{\"properties\":{\"t\":{\"type\":\"text\"},\"k\":{\"type\":\"keyword\"},"
        "\"n\":{\"type\":\"integer\"},\"d\":{\"type\":\"date\"}}}}");
    put_doc(index, "1", "{\"t\":\"red fox jumps\",\"k\":\"red\",\"n\":1,\"d\":\"2024-01-01\"}");
    put_doc(index, "2", "{\"t\":\"blue bird\",\"k\":[\"blue\",\"red\"],\"n\":2}");
    refresh(index);
    return 0;
}

static int close_fixture(void **state)
{
    fixture_close(&fixture);
    return 0;
}

/* Answers as {"query": {KIND: {"query": TEXT}}} does, explaining its hits; soon. */
static enum vz_status ask_string(const char *kind, struct vz_slice text, struct answer *answer)
{
    struct vz_search_target target = {.index = fixture.index[0]};
    struct vz_buf body = {0};
    clock_t before = clock();
    vz_buf_printf(&body, "{\"explain\":true,\"query\":{\"%s\":{\"query\":", kind);
    struct vz_json_writer w = vz_json_writer_on(&body);
    vz_json_put_string(&w, text);
    vz_buf_append_str(&body, "}}}");
    vz_buf_append_char(&body, 0);
    enum vz_status status = search_targets(&target, 1, body.data, NULL, answer);
    vz_buf_deinit(&body);
    assert_true(clock() - before < 20 * CLOCKS_PER_SEC); /* with sanitizers */
    return status;
}

static void expect(const char *kind, struct vz_slice text, enum vz_status status, const char *words)
{
    struct answer answer;
    enum vz_status seen = ask_string(kind, text, &answer);
    if (seen != status ||
        (words && !strstr(answer.err.text, words) && !strstr(answer.err.cause, words)))
        fail_msg("%s %.60s\n  got %s: %s (%s)", kind, text.ptr, vz_status_name(seen),
                 answer.err.text, answer.err.cause);
    answer_deinit(&answer);
}

static struct vz_slice repeated(const char *text, size_t times, struct vz_buf *out)
{
    vz_buf_clear(out);
    for (size_t i = 0; i < times; i++)
        vz_buf_append_str(out, text);
    return vz_buf_slice(out);
}

static void test_bombs(void **state)
{
    struct vz_buf text = {0};
    expect("query_string", repeated("(", 300000, &text), VZ_BAD_QUERY, "nested depth");
    expect("query_string", repeated("(a OR ", 100000, &text), VZ_BAD_QUERY, "nested depth");
    expect("query_string", repeated("t:(", 300, &text), VZ_BAD_QUERY, "nested depth");
    repeated("a ", 5000, &text);
    memcpy((char *)text.data, "t:(", 3);
    vz_buf_append_char(&text, ')');
    expect("query_string", vz_buf_slice(&text), VZ_BAD_QUERY, "maxClauseCount");
    expect("query_string", repeated("a OR ", 9999, &text), VZ_BAD_QUERY, "maxClauseCount");
    expect("query_string", repeated("n:1 ", 9999, &text), VZ_BAD_QUERY, "maxClauseCount");
    expect("query_string", repeated("a", 1100000, &text), VZ_BAD_QUERY, "length exceeds");
    expect("query_string", repeated("\\", 1000001, &text), VZ_BAD_QUERY, "Lexical error");
    expect("query_string", repeated("\"", 1000001, &text), VZ_BAD_QUERY, NULL);
    expect("query_string", repeated("t:*a", 1, &text), VZ_OK, NULL);
    expect("query_string", VZ_SLICE("t:/(((((a*)*)*)*)*)*b/"), VZ_OK, NULL);
    expect("query_string", VZ_SLICE("t:/[ac]*a[ac]{50,200}/"), VZ_OK, NULL);
    expect("query_string", VZ_SLICE("t:a~99999999999999999999"), VZ_BAD_QUERY, NULL);
    expect("query_string", VZ_SLICE("t:\"a b\"~99999999999999999999"), VZ_OK, NULL);
    expect("query_string", VZ_SLICE("t:a^99999999999999999999999999999999999999999999"),
           VZ_BAD_QUERY, "boost");
    expect("simple_query_string", repeated("(", 1000000, &text), VZ_OK, NULL);
    expect("simple_query_string", repeated("\"", 999999, &text), VZ_OK, NULL);
    expect("simple_query_string", repeated("-", 1000000, &text), VZ_OK, NULL);
    expect("simple_query_string", repeated("a ", 9999, &text), VZ_BAD_QUERY, "maxClauseCount");
    expect("simple_query_string", repeated("a|", 9999, &text), VZ_BAD_QUERY, "maxClauseCount");
    repeated("(a ", 2000, &text);
    for (int i = 0; i < 2000; i++)
        vz_buf_append_char(&text, ')');
    expect("simple_query_string", vz_buf_slice(&text), VZ_BAD_QUERY, "nested depth");
    vz_buf_deinit(&text);
}

/* The tree that a text becomes is told by how it is printed. */
static void test_trees(void **state)
{
    static const struct {
        const char *text, *tree;
    } cases[] = {
        {"t:a", "t:a"},
        {"t:(a b c)", "t:a t:b t:c"},
        {"t:(a AND b OR c)", "+t:a +t:b t:c"},
        {"t:(a OR b AND c)", "+t:b +t:c t:a"},
        {"+t:a -t:b t:c", "+t:a -t:b t:c"},
        {"t:a AND NOT t:b", "+t:a -t:b"},
        {"NOT t:a", "-t:a #*:*"},
        {"t:(a b)^2", "(t:a t:b)^2.0"},
        {"t:\"a b\"~3^2", "(t:\"a b\"~3)^2.0"},
        {"t:\"a b\"^2~3", "(t:\"a b\"~3)^2.0"},
        {"t:a* k:b?c n:[1 TO 3}", "t:a* k:b?c n:[1 TO 2]"},
        {"k:a\\ b", "k:a b"},
        {"k:\\u0041", "k:A"},
        {"t:(a (b c) d)", "t:a (t:b t:c) t:d"},
        {"t:(a b AND c)", "+t:b +t:c t:a"},
        {"t:a t:b AND t:c", "+t:b +t:c t:a"},
        {"(t:a)", "t:a"},
        {"((t:a))", "t:a"},
        {"*:*", "*:*"},
        {"k:*", "ConstantScore(FieldExistsQuery [field=k])"},
        {"n:>1 n:<=3", "n:[2 TO 2147483647] n:[-2147483648 TO 3]"},
        {"k:{a TO *]", "k:{a TO *}"},
        {"t:&&", NULL},
        {"&&", NULL},
        {"t:a b:", NULL},
        {"t:[a TO", NULL},
        {"t:[a b]", NULL},
        {"^2", NULL},
        {"~", NULL},
        {"t:a^x", NULL},
        {"()", NULL},
        {"t:a \\", NULL},
        {"k:\\u12", NULL},
        {"k:\\u12zz", NULL},
    };
    struct vz_search_target target = {.index = fixture.index[0]};
    for (size_t i = 0; i < VZ_COUNT_OF(cases); i++) {
        struct vz_arena arena = {0};
        struct vz_search *search;
        struct vz_error err = {0};
        struct vz_slice text = {0};
        struct vz_search_params params = {.uri = {.q = vz_slice_from(cases[i].text)}};
        must(vz_search_parse((struct vz_json){0}, &params, &arena, &search, &err), &err);
        enum vz_status status = vz_search_validate(&target, search, &arena, &text, &err);
        if (cases[i].tree
                ? status != VZ_OK || !vz_slice_is(text, cases[i].tree)
                : status != VZ_BAD_QUERY || strncmp(err.text, "Failed to parse query [", 23))
            fail_msg("%s\n  is %.*s\n  (%s: %s)\n  expected %s", cases[i].text, (int)text.len,
                     text.ptr, vz_status_name(status), err.text,
                     cases[i].tree ? cases[i].tree : "Failed to parse query");
        vz_arena_deinit(&arena);
    }
}

/* Noise of what means something: an answer or a refusal, never more. */
static void test_noise(void **state)
{
    static const char *const pieces[] = {"t:",        "k:",
                                         "n:",        "d:",
                                         "_exists_:", "*:",
                                         "a",         "red",
                                         "fox~",      "fox~1",
                                         "b*",        "*c",
                                         "?",         "*",
                                         "(",         ")",
                                         "[",         "]",
                                         "{",         "}",
                                         " TO ",      "1",
                                         "\"",        "/",
                                         "\\",        " AND",
                                         " OR ",      " NOT",
                                         "&&",        "||",
                                         "!",         "+",
                                         "-",         "^",
                                         "^2",        "~",
                                         "~2",        ":",
                                         " ",         "\t",
                                         "|",         "<",
                                         ">=",        "2024-01-01",
                                         "\xC3\xA9",  "\xE3\x80\x80",
                                         "\\u0041",   ".",
                                         "0.5",       "_id:1",
                                         "#",         "@"};
    unsigned seed = 20260;
    printf("seed %u\n", seed);
    for (int round = 0; round < 6000; round++) {
        struct vz_buf text = {0};
        struct answer answer;
        size_t count = (size_t)(rand_r(&seed) % 14);
        for (size_t i = 0; i <= count; i++)
            vz_buf_append_str(&text, pieces[(size_t)rand_r(&seed) % VZ_COUNT_OF(pieces)]);
        bool simple = round % 3 == 0;
        enum vz_status status = ask_string(simple ? "simple_query_string" : "query_string",
                                           vz_buf_slice(&text), &answer);
        if (status != VZ_OK &&
            (simple || (status != VZ_BAD_QUERY && !strstr(answer.err.text, "regular expression"))))
            fail_msg("%.*s: %s: %s", (int)text.len, text.data, vz_status_name(status),
                     answer.err.text);
        answer_deinit(&answer);
        vz_buf_deinit(&text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bombs),
        cmocka_unit_test(test_trees),
        cmocka_unit_test(test_noise),
    };
    return cmocka_run_group_tests(tests, open_fixture, close_fixture);
}
