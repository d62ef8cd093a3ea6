/* Index expressions against a store with a few indices and aliases. */
#include "support.h"

static int open_indices(void **state)
{
    world_open(state);
    struct world *w = *state;
    expect(w, "PUT", "/dogs-1", NULL, 200, NULL);
    expect(w, "PUT", "/dogs-2", NULL, 200, NULL);
    expect(w, "PUT", "/cats", NULL, 200, NULL);
    expect(w, "PUT", "/dogs-1/_alias/pets", "{\"filter\":{\"term\":{\"a\":1}}}", 200, NULL);
    expect(w, "PUT", "/cats/_alias/pets", NULL, 200, NULL);
    expect(w, "PUT", "/dogs-1/_alias/old", "{\"filter\":{\"term\":{\"b\":2}}}", 200, NULL);
    return 0;
}

/* Names joined by commas with their filters, or the error's type. */
static const char *resolve(struct world *w, const char *expression,
                           const struct vz_resolve_options *options)
{
    static char text[512];
    struct vz_arena arena = {0};
    struct vz_resolved found;
    struct vz_problem problem = {0};
    text[0] = '\0';
    if (!vz_resolve_with(w->store, &arena, vz_slice_from(expression), options, &found, &problem)) {
        assert_int_equal(found.count, 0);
        snprintf(text, sizeof text, "!%s", problem.type);
    }
    for (size_t i = 0; i < found.count; i++) {
        size_t len = strlen(text);
        snprintf(text + len, sizeof text - len, "%s%.*s%s%.*s", i ? "," : "",
                 VZ_S(vz_index_name(found.indices[i])), found.filters[i].len ? "?" : "",
                 VZ_S(found.filters[i]));
    }
    vz_resolved_release(&found);
    vz_arena_deinit(&arena);
    return text;
}

static void expressions(void **state)
{
    static const struct vz_resolve_options usual = {
        .aliases = true, .allow_no_indices = true, .expand = true};
    static const struct vz_resolve_options lenient = {
        .aliases = true, .allow_no_indices = true, .expand = true, .ignore_unavailable = true};
    static const struct vz_resolve_options some = {.aliases = true, .expand = true};
    static const struct vz_resolve_options names = {.allow_no_indices = true};
    static const struct {
        const char *expression;
        const struct vz_resolve_options *options;
        const char *found;
    } cases[] = {
        {"", &usual, "cats,dogs-1,dogs-2"},
        {"_all", &usual, "cats,dogs-1,dogs-2"},
        {"*", &usual, "cats,dogs-1,dogs-2"},
        {"cats", &usual, "cats"},
        {"dogs-*", &usual, "dogs-1,dogs-2"},
        {"dogs-2,dogs-1", &usual, "dogs-1,dogs-2"},
        {"dogs-1,dogs-1", &usual, "dogs-1"},
        {"*,-dogs-1", &usual, "cats,dogs-2"},
        {"*,-dogs-*", &usual, "cats"},
        {"-dogs-1,*", &usual, "!index_not_found_exception"},
        {"old", &usual, "dogs-1?{\"term\":{\"b\":2}}"},
        {"pets", &usual, "cats,dogs-1?{\"term\":{\"a\":1}}"},
        {"old,pets", &usual,
         "cats,dogs-1?{\"bool\":{\"should\":[{\"term\":{\"b\":2}},{\"term\":{\"a\":1}}]}}"},
        {"old,dogs-1", &usual, "dogs-1"},
        {"ol*", &usual, "dogs-1?{\"term\":{\"b\":2}}"},
        {"nope", &usual, "!index_not_found_exception"},
        {"nope", &lenient, ""},
        {"nope,cats", &usual, "!index_not_found_exception"},
        {"nope,cats", &lenient, "cats"},
        {"nope*", &usual, ""},
        {"nope*", &some, "!index_not_found_exception"},
        {"pets", &names, "!illegal_argument_exception"},
        {"cats", &names, "cats"},
        {"c*", &names, ""},
        {"_nope", &usual, "!invalid_index_name_exception"},
        {"..", &usual, "!invalid_index_name_exception"},
        {"<logs-{now/d}>", &usual, "!unsupported_operation_exception"},
        {"far:cats", &usual, "!no_such_remote_cluster_exception"},
        {",,cats,,", &usual, "cats"},
    };
    for (size_t i = 0; i < VZ_COUNT_OF(cases); i++) {
        const char *found = resolve(*state, cases[i].expression, cases[i].options);
        if (strcmp(found, cases[i].found) != 0)
            fail_msg("[%s] gave [%s], wanted [%s]", cases[i].expression, found, cases[i].found);
    }
}

static void one_index(void **state)
{
    struct world *w = *state;
    struct vz_arena arena = {0};
    struct vz_problem problem = {0};
    struct vz_index *index = vz_resolve_one(w->store, &arena, VZ_SLICE("old"), &problem);
    assert_non_null(index);
    assert_true(vz_slice_is(vz_index_name(index), "dogs-1"));
    vz_index_release(index);
    assert_null(vz_resolve_one(w->store, &arena, VZ_SLICE("pets"), &problem));
    assert_int_equal(problem.status, 400);
    assert_null(vz_resolve_one(w->store, &arena, VZ_SLICE("nope"), &problem));
    assert_int_equal(problem.status, 404);
    vz_arena_deinit(&arena);
}

static void the_index_to_write(void **state)
{
    struct world *w = *state;
    struct vz_arena arena = {0};
    struct vz_problem problem = {0};
    assert_null(vz_resolve_write(w->store, &arena, VZ_SLICE("nope"), false, false, &problem));
    assert_string_equal(problem.type, "index_not_found_exception");
    problem = (struct vz_problem){0};
    assert_null(vz_resolve_write(w->store, &arena, VZ_SLICE("pets"), true, false, &problem));
    assert_string_equal(problem.type, "illegal_argument_exception");
    expect(w, "PUT", "/cats/_alias/pets", "{\"is_write_index\":true}", 200, NULL);
    problem = (struct vz_problem){0};
    struct vz_index *index =
        vz_resolve_write(w->store, &arena, VZ_SLICE("pets"), true, true, &problem);
    assert_non_null(index);
    assert_true(vz_slice_is(vz_index_name(index), "cats"));
    vz_index_release(index);
    index = vz_resolve_write(w->store, &arena, VZ_SLICE("fresh"), true, false, &problem);
    assert_non_null(index);
    vz_index_release(index);
    assert_null(vz_resolve_write(w->store, &arena, VZ_SLICE("Fresh"), true, false, &problem));
    assert_string_equal(problem.type, "invalid_index_name_exception");
    assert_int_equal(problem.status, 400);
    vz_arena_deinit(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(expressions, open_indices, world_close),
        cmocka_unit_test_setup_teardown(one_index, open_indices, world_close),
        cmocka_unit_test_setup_teardown(the_index_to_write, open_indices, world_close),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
