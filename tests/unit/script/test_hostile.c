/* Scripts that mean harm, and random ones: bounded time and memory, no crash, no leak. */
#include "support.h"

#include "base/text.h"

#include <time.h>

static struct vz_slice repeated(struct vz_buf *out, const char *before, const char *what,
                                size_t times, const char *after)
{
    vz_buf_clear(out);
    vz_buf_append_str(out, before);
    for (size_t i = 0; i < times; i++)
        vz_buf_append_str(out, what);
    vz_buf_append_str(out, after);
    return vz_buf_slice(out);
}

/* Compiles and, if that works, runs; the status of whichever failed. */
static enum vz_status attempt(struct vz_slice source, struct vz_error *err)
{
    struct vz_arena arena = {0}, scratch = {0};
    struct vz_script_host host =
        test_host(&arena, "{\"a\":7,\"f\":2.5,\"s\":\"text\",\"l\":[1,2,3],\"m\":{\"k\":9}}");
    struct vz_script *script;
    struct vz_value *result, *state[] = {vz_value_object(&scratch)};
    enum vz_status status = vz_script_compile(source, &host, &arena, &script, err);
    if (status == VZ_OK) {
        struct vz_script_run run = {.arena = &scratch,
                                    .field = give_field,
                                    .score = 0.5,
                                    .ctx = read_json(&scratch, "{\"a\":{\"b\":[1,\"x\"]}}"),
                                    .variables = state};
        status = vz_script_run(script, &run, &result, err);
        if (status == VZ_OK) {
            struct vz_buf text = {0};
            vz_value_print(result, &text);
            vz_buf_deinit(&text);
        }
        double number;
        bool truth;
        struct vz_error ignored = {0};
        vz_script_run_number(script, &run, &number, &ignored);
        vz_script_run_bool(script, &run, &truth, &ignored);
    }
    if (status != VZ_OK && status != VZ_BAD_ARGUMENT && status != VZ_LIMIT &&
        status != VZ_UNSUPPORTED)
        fail_msg("status %s for %.*s", vz_status_name(status), (int)VZ_MIN(source.len, 200),
                 source.ptr);
    vz_arena_deinit(&arena);
    vz_arena_deinit(&scratch);
    return status;
}

static void expect_status(struct vz_slice source, enum vz_status expected)
{
    struct vz_error err = {0};
    clock_t start = clock();
    enum vz_status status = attempt(source, &err);
    if (status != expected)
        fail_msg("%.*s ... gives %s (%s), expected %s", (int)VZ_MIN(source.len, (size_t)100),
                 source.ptr, vz_status_name(status), err.text, vz_status_name(expected));
    assert_true(clock() - start < 20 * CLOCKS_PER_SEC); /* under sanitizers */
}

static void test_nesting_bombs(void **state)
{
    struct vz_buf source = {0};
    struct {
        const char *before, *what, *after;
    } bombs[] = {
        {"", "(", ""},
        {"", "[", ""},
        {"", "{", ""},
        {"", "-", "1"},
        {"", "!", "true"},
        {"", "- ", "1"},
        {"1", "+1", ""},
        {"1", "==1", ""},
        {"1", "?1", ""},
        {"1", "?1:1", ""},
        {"params", ".a", ""},
        {"params", "[0", ""},
        {"params", "[0]", ""},
        {"", "if(true)", "1"},
        {"", "if(true){}else ", "{}"},
        {"", "for(;;)", ""},
        {"", "(int)", "1"},
        {"", "[1,", ""},
        {"", "['a':", ""},
        {"", "do{", ""},
        {"def x;", "x=", "1"},
        {"", "Math.abs(", ""},
        {"'a'", ".trim()", ""},
        {"1", "?:1", ""},
        {"", "true&&", "true"},
        {"", "new ArrayList(", ""},
        {"", "1;", ""},
        {"", "return;", ""},
        {"", "{}", ""},
        {"", ";", ""},
        {"", "int ", ""},
        {"", "\"", ""},
        {"", "/*", ""},
        {"def x=1;", "++x;", ""},
        {"[", "1,", "1]"},
    };
    for (size_t i = 0; i < VZ_COUNT_OF(bombs); i++) {
        for (size_t bytes = 1000; bytes <= VZ_SCRIPT_MAX_SOURCE; bytes *= 4) {
            size_t times = (bytes - 20) / strlen(bombs[i].what);
            struct vz_error err = {0};
            attempt(repeated(&source, bombs[i].before, bombs[i].what, times, bombs[i].after), &err);
        }
    }
    expect_status(repeated(&source, "", "(", 5000, ""), VZ_LIMIT);
    expect_status(repeated(&source, "1", "+1", 5000, ""), VZ_LIMIT);
    expect_status(repeated(&source, "", " ", VZ_SCRIPT_MAX_SOURCE + 1, ""), VZ_LIMIT);
    vz_buf_deinit(&source);
}

static void test_endless(void **state)
{
    static const char *const sources[] = {
        "while (true) {}",
        "for (;;);",
        "int i = 0; do { i++ } while (true)",
        "def l = []; for (;;) l.add(1)",
        "def s = 'x'; for (;;) s += s",
        "def l = [1]; for (x in l) l.add(x)",
        "def l = [1]; for (;;) l.addAll(l)",
        "def l = [1]; for (;;) l = new ArrayList(l)",
        "def m = [:]; for (int i = 0;; i++) m['' + i] = i",
        "def l = []; for (;;) l = [l, l]",
        "def l = []; for (int i = 0; i < 50; i++) l = [l, l]; '' + l",
        "def l = []; for (int i = 0; i < 50; i++) l = [l, l]; l == [l]",
        "'x'.repeat(2000000000)",
        "'x'.repeat(10000000).repeat(10000000)",
        "def s = 'x'.repeat(1000000); s.replace('x', s)",
        "def s = 'x'.repeat(1000000); for (;;) s.indexOf('y')",
        "def l = new ArrayList(1000000000); for (;;) l.add('x'.repeat(100000))",
        "for (;;) [1, 2, 3, 4]",
        "def s = ''; for (;;) s += doc['tag'].values",
        "def m = ['a': 1]; for (;;) m.entrySet()",
        "def n = 'price'; for (;;) doc[n + ''].value",
    };
    for (size_t i = 0; i < VZ_COUNT_OF(sources); i++) {
        struct vz_error err = {0};
        clock_t start = clock();
        enum vz_status status = attempt(vz_slice_from(sources[i]), &err);
        if (status != VZ_LIMIT && status != VZ_BAD_ARGUMENT)
            fail_msg("%s gives %s", sources[i], vz_status_name(status));
        assert_true(clock() - start < 20 * CLOCKS_PER_SEC);
    }
}

/* Words of the language in any order. */
static void test_token_soup(void **state)
{
    static const char *const words[] = {
        "(",           ")",
        "[",           "]",
        "{",           "}",
        ";",           ",",
        ".",           "?",
        ":",           "?.",
        "?:",          "+",
        "-",           "*",
        "/",           "%",
        "<",           ">",
        "==",          "!=",
        "===",         "&&",
        "||",          "!",
        "~",           "=",
        "+=",          "++",
        "--",          "<<",
        ">>>",         "&",
        "|",           "^",
        " 1",          " 2L",
        " 0.5",        " 3f",
        " 0",          "'a'",
        "\"b\"",       " x",
        " y",          " params",
        " doc",        " _score",
        " ctx",        " state",
        " def",        " int",
        " long",       " double",
        " String",     " boolean",
        " if",         " else",
        " for",        " while",
        " do",         " return",
        " break",      " continue",
        " new",        " ArrayList()",
        " HashMap()",  " true",
        " false",      " null",
        ".a",          ".value",
        ".size()",     ".add(",
        ".get(",       ".length()",
        ".substring(", ".put(",
        "['price']",   "doc['price'].value",
        "doc['tag']",  " Math.max(",
        " Math.E",     " twice(",
        " instanceof", " in",
        " x:",         ".l",
        "[0]",         "(int)",
        "(String)",    ".entrySet()",
        ".keySet()",   ".remove(",
        " throw",      "def x=",
        "x=",          "for(x in",
        "ctx.a",       "ctx.a.b",
        ".b",          "field('price')",
        "$('x',",      "[1,2]",
        "['k':1]",     "[:]",
        ".toString()", ".hashCode()",
        ".join('')",   ".splitOnToken(",
        ".indexOf(",   ".contains(",
    };
    uint64_t seed = getenv("SEED") ? strtoull(getenv("SEED"), NULL, 10) : 4;
    int rounds = getenv("ROUNDS") ? atoi(getenv("ROUNDS")) : 30000;
    size_t fine = 0;
    print_message("seed %llu\n", (unsigned long long)seed);
    struct vz_buf source = {0};
    for (int round = 0; round < rounds; round++) {
        vz_buf_clear(&source);
        size_t count = 1 + vz_rng_next(&seed) % 14;
        for (size_t i = 0; i < count; i++)
            vz_buf_append_str(&source, words[vz_rng_next(&seed) % VZ_COUNT_OF(words)]);
        struct vz_error err = {0};
        enum vz_status status = attempt(vz_buf_slice(&source), &err);
        fine += status == VZ_OK;
        if (status != VZ_OK && err.offset != VZ_NO_OFFSET)
            assert_true(err.offset <= source.len);
    }
    print_message("%zu of %d ran\n", fine, rounds);
    vz_buf_deinit(&source);
}

/* Working scripts with a piece taken out, doubled or changed. */
static void test_mutations(void **state)
{
    static const char *const sources[] = {
        "int s = 0; for (int i = 0; i < 10; i++) { if (i == 3) continue; s += i } return s",
        "def m = ['a': 1, 'b': [1, 2]]; m.c = m.b[0]++; for (e in m.entrySet()) { m[e.key] = 1 } m",
        "doc['price'].value > 10 && doc['tag'].contains('red') ? Math.log(_score + 2) : params.f",
        "ctx.a.b.add('h\xc3\xa9llo'.substring(1, 3).toUpperCase()); ctx.a.x = ctx.a?.b?.length; "
        "ctx",
        "def l = new ArrayList([3, 1, 2]); Collections.sort(l); l.subList(0, 2).join(',') + "
        "l.sum()",
        "ZonedDateTime.parse('2024-01-31T00:00:00Z').plusMonths(1).getDayOfWeekEnum().value * "
        "twice(params.l) - ((int) 2.7 >>> 1)",
    };
    uint64_t seed = getenv("SEED") ? strtoull(getenv("SEED"), NULL, 10) : 5;
    int rounds = getenv("ROUNDS") ? atoi(getenv("ROUNDS")) : 20000;
    print_message("seed %llu\n", (unsigned long long)seed);
    struct vz_buf source = {0};
    for (size_t i = 0; i < VZ_COUNT_OF(sources); i++)
        expect_status(vz_slice_from(sources[i]), VZ_OK);
    for (int round = 0; round < rounds; round++) {
        const char *from = sources[vz_rng_next(&seed) % VZ_COUNT_OF(sources)];
        size_t len = strlen(from), at = vz_rng_next(&seed) % len;
        size_t piece = vz_rng_next(&seed) % VZ_MIN(len - at, (size_t)12);
        vz_buf_clear(&source);
        vz_buf_append(&source, from, at);
        switch (vz_rng_next(&seed) % 3) {
        case 0:
            vz_buf_append_char(&source, (char)(32 + vz_rng_next(&seed) % 95));
            break;
        case 1:
            vz_buf_append(&source, from + at, piece);
            vz_buf_append(&source, from + at, piece);
            break;
        default:
            break;
        }
        vz_buf_append_str(&source, from + at + piece);
        struct vz_error err = {0};
        attempt(vz_buf_slice(&source), &err);
    }
    vz_buf_deinit(&source);
}

/* Numbers only: nothing is allocated. */
static void test_number_path(void **state)
{
    struct vz_arena arena = {0}, scratch = {0};
    struct vz_script_host host = test_host(&arena, "{\"a\":7,\"w\":[0.5,2]}");
    struct vz_script *script;
    struct vz_error err = {0};
    struct vz_script_run run = {.arena = &scratch, .field = give_field, .score = 3};
    const char *source = "double s = 0; for (int i = 0; i < 3; i++) s += Math.log(2 + i) * "
                         "doc['price'].value; return _score > 1 ? s + params.w[1] * twice(_score) "
                         ": params.a / 2";
    assert_int_equal(vz_script_compile(vz_slice_from(source), &host, &arena, &script, &err), VZ_OK);
    double out;
    for (int i = 0; i < 1000; i++)
        assert_int_equal(vz_script_run_number(script, &run, &out, &err), VZ_OK);
    assert_true(fabs(out - (12 * (log(2) + log(3) + log(4)) + 12)) < 1e-9);
    assert_int_equal(scratch.total_bytes, 0);
    assert_true(vz_script_uses_score(script));
    unsigned function;
    void *prepared;
    double factor, summand;
    assert_false(vz_script_is_linear(script, &function, &prepared, &factor, &summand));
    vz_arena_deinit(&arena);
    vz_arena_deinit(&scratch);
}

static void expect_linear(const char *source, bool is, double a, double b)
{
    struct vz_arena arena = {0};
    struct vz_script_host host = test_host(&arena, "{\"a\":7}");
    struct vz_script *script;
    struct vz_error err = {0};
    unsigned function;
    void *prepared;
    double factor = 0, summand = 0;
    assert_int_equal(vz_script_compile(vz_slice_from(source), &host, &arena, &script, &err), VZ_OK);
    assert_int_equal(vz_script_is_linear(script, &function, &prepared, &factor, &summand), is);
    assert_true(factor == a && summand == b);
    vz_arena_deinit(&arena);
}

static void test_linear(void **state)
{
    expect_linear("twice(5) + 1.0", true, 1, 1);
    expect_linear("return (twice(params.a) + 1) / 2;", true, 0.5, 0.5);
    expect_linear("3 - 2 * twice(5)", true, -2, 3);
    expect_linear("twice(5)", true, 1, 0);
    expect_linear("twice(5) + twice(6)", false, 0, 0);
    expect_linear("twice(_score)", false, 0, 0);
    expect_linear("1 / twice(5)", false, 0, 0);
    expect_linear("twice(5) * _score", false, 0, 0);
}

struct asking {
    unsigned asked, limit;
};

static bool stop_after(void *context)
{
    struct asking *asking = context;
    return ++asking->asked >= asking->limit;
}

/* Whoever waits is asked within one run, and now and then while many do little. */
static void test_watched(void **state)
{
    struct vz_arena arena = {0}, scratch = {0};
    struct vz_script_host host = {0};
    struct vz_error err = {0};
    struct vz_script *endless, *little;
    double number;
    struct asking asking = {.limit = 3};
    struct vz_script_watch watch = {.stopped = stop_after, .context = &asking};
    struct vz_script_run run = {.arena = &scratch, .watch = &watch};
    assert_int_equal(vz_script_compile(VZ_SLICE("while (true) {}"), &host, &arena, &endless, &err),
                     VZ_OK);
    assert_int_equal(vz_script_run_number(endless, &run, &number, &err), VZ_CANCELLED);
    assert_int_equal(asking.asked, 3);
    assert_int_equal(vz_script_compile(VZ_SLICE("double x = 0; for (int i = 0; i < 100; i++) { x "
                                                "+= i } return x"),
                                       &host, &arena, &little, &err),
                     VZ_OK);
    asking = (struct asking){.limit = 5};
    watch.steps = 0;
    enum vz_status status = VZ_OK;
    unsigned runs = 0;
    for (; runs < 100000 && status == VZ_OK; runs++)
        status = vz_script_run_number(little, &run, &number, &err);
    assert_int_equal(status, VZ_CANCELLED);
    /* A turn of the loop is some 5 to 12 steps. */
    assert_in_range(runs, 5 * VZ_SCRIPT_WATCHED_STEPS / 1200,
                    5 * VZ_SCRIPT_WATCHED_STEPS / 500 + 1);
    vz_arena_deinit(&arena);
    vz_arena_deinit(&scratch);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nesting_bombs), cmocka_unit_test(test_endless),
        cmocka_unit_test(test_token_soup),    cmocka_unit_test(test_mutations),
        cmocka_unit_test(test_number_path),   cmocka_unit_test(test_linear),
        cmocka_unit_test(test_watched),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
