/* Values that can be changed: trees, objects of all sizes, paths. */
#include "json/value.h"

#include "base/text.h"

#include <stdio.h>

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static struct vz_value *read_value(struct vz_arena *arena, const char *text)
{
    struct vz_json_doc *doc;
    struct vz_json root;
    struct vz_error err = {0};
    if (vz_json_parse(vz_slice_from(text), &doc, &root, &err) != VZ_OK)
        fail_msg("%s: %s", text, err.text);
    struct vz_value *value = vz_value_from(arena, root);
    vz_json_free(doc); /* nothing is borrowed from it */
    return value;
}

static void expect(const struct vz_value *value, const char *json)
{
    struct vz_buf out = {0};
    vz_value_print(value, &out);
    assert_string_equal(out.data, json);
    vz_buf_deinit(&out);
}

static void test_round_trip(void **state)
{
    struct vz_arena arena = {0};
    const char *texts[] = {
        "null",
        "true",
        "-9223372036854775808",
        "0.1",
        "1.8446744073709552E19",
        "\"a\\\"\\u0001\xc3\xa9\"",
        "[]",
        "{}",
        "[1,[2,[3.5,null]],{\"a\":{\"b\":[]}}]",
        "{\"z\":1,\"a\":2,\"\":3}",
    };
    for (size_t i = 0; i < VZ_COUNT_OF(texts); i++) {
        struct vz_value *value = read_value(&arena, texts[i]);
        expect(value, texts[i]);
        struct vz_arena other = {0};
        struct vz_value *copy = vz_value_copy(&other, value);
        assert_true(vz_value_equal(copy, value));
        expect(copy, texts[i]);
        vz_arena_deinit(&other);
    }
    expect(read_value(&arena, "18446744073709551615"), "1.8446744073709552E19");
    expect(vz_value_from(&arena, (struct vz_json){0}), "null");
    vz_arena_deinit(&arena);
}

static void test_objects(void **state)
{
    struct vz_arena arena = {0};
    struct vz_value *object = read_value(&arena, "{\"a\":1,\"b\":2,\"a\":3}");
    expect(object, "{\"a\":3,\"b\":2}");
    assert_null(vz_value_get(object, VZ_SLICE("c")));
    assert_null(vz_value_get(vz_value_int(&arena, 1), VZ_SLICE("c")));
    assert_null(vz_value_get(NULL, VZ_SLICE("c")));
    char key[] = "key";
    vz_value_put(object, (struct vz_slice){key, 3}, vz_value_null(&arena));
    key[0] = 'x'; /* it was copied */
    struct vz_value *taken = vz_value_remove(object, VZ_SLICE("a"));
    assert_int_equal(taken->integer, 3);
    assert_null(vz_value_remove(object, VZ_SLICE("a")));
    expect(object, "{\"b\":2,\"key\":null}");
    vz_arena_deinit(&arena);
}

/* Against a plain array of what must be there, through growth past the table's threshold. */
static void test_large_objects(void **state)
{
    enum { KEYS = 300 };
    struct vz_arena arena = {0};
    struct vz_value *object = vz_value_object(&arena);
    int64_t expected[KEYS];
    size_t count = 0;
    uint64_t seed = 20;
    print_message("seed %llu\n", (unsigned long long)seed);
    for (int i = 0; i < KEYS; i++)
        expected[i] = -1;
    for (int round = 0; round < 20000; round++) {
        int k = (int)(vz_rng_next(&seed) % KEYS);
        char name[16];
        struct vz_slice key = {name, (size_t)snprintf(name, sizeof name, "k%d", k)};
        if (vz_rng_next(&seed) % 3) {
            count += expected[k] < 0;
            expected[k] = round;
            vz_value_put(object, key, vz_value_int(&arena, round));
        } else {
            struct vz_value *taken = vz_value_remove(object, key);
            assert_int_equal(taken ? taken->integer : -1, expected[k]);
            count -= expected[k] >= 0;
            expected[k] = -1;
        }
        assert_int_equal(object->object.count, count);
        k = (int)(vz_rng_next(&seed) % KEYS);
        key.len = (size_t)snprintf(name, sizeof name, "k%d", k);
        struct vz_value *found = vz_value_get(object, key);
        assert_int_equal(found ? found->integer : -1, expected[k]);
    }
    vz_arena_deinit(&arena);
}

static void test_arrays(void **state)
{
    struct vz_arena arena = {0};
    struct vz_value *array = vz_value_array(&arena);
    for (int i = 0; i < 10; i++)
        vz_value_append(array, vz_value_int(&arena, i));
    vz_value_insert(array, 0, vz_value_bool(&arena, true));
    vz_value_insert(array, 11, vz_value_string(&arena, VZ_SLICE("end")));
    vz_value_insert(array, 5, vz_value_double(&arena, 0.5));
    expect(array, "[true,0,1,2,3,0.5,4,5,6,7,8,9,\"end\"]");
    assert_true(vz_value_take(array, 0)->boolean);
    assert_int_equal(vz_value_take(array, 11)->string.len, 3);
    expect(array, "[0,1,2,3,0.5,4,5,6,7,8,9]");
    vz_arena_deinit(&arena);
}

static void test_equal(void **state)
{
    struct vz_arena arena = {0};
    struct {
        const char *a, *b;
        bool equal;
    } cases[] = {
        {"1", "1.0", true},
        {"1", "1.5", false},
        {"9007199254740993", "9007199254740992.0", false},
        {"9223372036854775807", "9.223372036854775807E18", false},
        {"null", "null", true},
        {"null", "false", false},
        {"\"a\"", "\"a\"", true},
        {"\"1\"", "1", false},
        {"[1,2]", "[1.0,2]", true},
        {"[1,2]", "[2,1]", false},
        {"[1]", "[1,1]", false},
        {"{\"a\":1,\"b\":[]}", "{\"b\":[],\"a\":1}", true},
        {"{\"a\":1}", "{\"a\":1,\"b\":1}", false},
        {"{\"a\":1}", "{\"b\":1}", false},
    };
    for (size_t i = 0; i < VZ_COUNT_OF(cases); i++) {
        struct vz_value *a = read_value(&arena, cases[i].a), *b = read_value(&arena, cases[i].b);
        assert_int_equal(vz_value_equal(a, b), cases[i].equal);
        assert_int_equal(vz_value_equal(b, a), cases[i].equal);
    }
    vz_arena_deinit(&arena);
}

static void expect_at(struct vz_value *root, const char *path, const char *json)
{
    struct vz_value *found = vz_value_at(root, vz_slice_from(path));
    if (!json)
        assert_null(found);
    else {
        assert_non_null(found);
        expect(found, json);
    }
}

static void test_paths(void **state)
{
    struct vz_arena arena = {0};
    struct vz_value *root = read_value(&arena, "{\"a\":{\"b\":[1,{\"c\":2}]},\"n\":null}");
    expect_at(root, "a", "{\"b\":[1,{\"c\":2}]}");
    expect_at(root, "a.b.1.c", "2");
    expect_at(root, "a.b.0", "1");
    expect_at(root, "a.b.2", NULL);
    expect_at(root, "a.b.-1", NULL);
    expect_at(root, "a.b.99999999999999999999", NULL);
    expect_at(root, "a.b.c", NULL);
    expect_at(root, "a.b.0.c", NULL);
    expect_at(root, "a.", NULL);
    expect_at(root, "", NULL);
    expect_at(root, "n", "null");
    expect_at(root, "n.x", NULL);
    assert_int_equal(vz_value_remove_at(root, VZ_SLICE("a.b.0"))->integer, 1);
    assert_int_equal(vz_value_remove_at(root, VZ_SLICE("a.b.0.c"))->integer, 2);
    assert_null(vz_value_remove_at(root, VZ_SLICE("a.b.0.c")));
    assert_null(vz_value_remove_at(root, VZ_SLICE("x.y")));
    assert_null(vz_value_remove_at(root, VZ_SLICE("a.b.7")));
    expect(root, "{\"a\":{\"b\":[{}]},\"n\":null}");
    vz_arena_deinit(&arena);
}

static void expect_refused(struct vz_value *root, const char *path, const char *why)
{
    struct vz_error err = {0};
    struct vz_arena arena = {0};
    assert_int_equal(vz_value_put_at(root, vz_slice_from(path), vz_value_null(&arena), &err),
                     VZ_BAD_ARGUMENT);
    assert_string_equal(err.text, why);
    vz_arena_deinit(&arena);
}

static void test_put_at(void **state)
{
    struct vz_arena arena = {0};
    struct vz_error err = {0};
    struct vz_value *root = read_value(&arena, "{\"a\":1,\"l\":[1,{}],\"n\":null}");
    assert_int_equal(
        vz_value_put_at(root, VZ_SLICE("x.y.z"), vz_value_bool(&arena, false), &err), VZ_OK);
    assert_int_equal(vz_value_put_at(root, VZ_SLICE("l.0"), vz_value_int(&arena, 9), &err), VZ_OK);
    assert_int_equal(vz_value_put_at(root, VZ_SLICE("l.1.k"), vz_value_int(&arena, 8), &err),
                     VZ_OK);
    expect(root, "{\"a\":1,\"l\":[9,{\"k\":8}],\"n\":null,\"x\":{\"y\":{\"z\":false}}}");
    expect_refused(root, "a.b", "cannot set [a.b]: [a] is a number");
    expect_refused(root, "x.y.z.w", "cannot set [x.y.z.w]: [x.y.z] is a boolean");
    expect_refused(root, "n.b", "cannot set [n.b]: [n] is null");
    expect_refused(root, "l.2", "cannot set [l.2]: [2] is out of bounds for array with length [2]");
    expect_refused(root, "l.b.c",
                   "cannot set [l.b.c]: [b] is not an integer, cannot be used as an index");
    expect_refused(root, "", "path cannot be null nor empty");
    vz_arena_deinit(&arena);
}

static void test_within(void **state)
{
    struct vz_arena arena = {0};
    struct vz_value *tree = read_value(&arena, "[1,[2,{\"a\":[]}]]");
    assert_true(vz_value_within(tree, 3, 6));
    assert_false(vz_value_within(tree, 2, 5));
    assert_false(vz_value_within(tree, 3, 5));
    assert_false(vz_value_within(tree, 1, 100));
    vz_value_append(tree, tree); /* itself */
    assert_false(vz_value_within(tree, 100, SIZE_MAX));
    struct vz_value *doubled = vz_value_array(&arena); /* 2^60 values when walked */
    for (int i = 0; i < 60; i++) {
        struct vz_value *next = vz_value_array(&arena);
        vz_value_append(next, doubled);
        vz_value_append(next, doubled);
        doubled = next;
    }
    assert_false(vz_value_within(doubled, 100, 100000));
    vz_arena_deinit(&arena);
}

/* A tree deeper than JSON may be is cut, not overrun. */
static void test_deep_print(void **state)
{
    struct vz_arena arena = {0};
    struct vz_value *tree = vz_value_array(&arena);
    for (int i = 0; i < 200; i++) {
        struct vz_value *next = vz_value_array(&arena);
        vz_value_append(next, tree);
        tree = next;
    }
    struct vz_buf out = {0};
    vz_value_print(tree, &out);
    assert_int_equal(out.len, 64 + 4 + 64);
    assert_memory_equal(out.data + 64, "null", 4);
    vz_buf_deinit(&out);
    vz_arena_deinit(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip), cmocka_unit_test(test_objects),
        cmocka_unit_test(test_large_objects), cmocka_unit_test(test_arrays),
        cmocka_unit_test(test_equal), cmocka_unit_test(test_paths),
        cmocka_unit_test(test_put_at), cmocka_unit_test(test_within),
        cmocka_unit_test(test_deep_print),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
