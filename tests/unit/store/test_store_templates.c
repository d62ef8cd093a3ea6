/* Templates: which patterns meet (against all words of a small alphabet), what is laid over what,
 * and what of it is there after the store was opened again. */
#include "store_support.h"

#include "store/cluster_settings.h"
#include "store/templates.h"

static char *folder;
static struct vz_store *store;

static int setup(void **state)
{
    folder = temp_folder();
    store = open_store(folder);
    return 0;
}

static int teardown(void **state)
{
    vz_store_close(store);
    drop_folder(folder);
    return 0;
}

static void put(struct vz_slice kind, const char *name, const char *body)
{
    struct vz_error err = {0};
    OK(vz_store_put_blob(store, kind, vz_slice_from(name), vz_slice_from(body), &err));
}

/* The n-th pattern over "ab*" of up to four characters. */
static struct vz_slice pattern_number(unsigned n, char out[8])
{
    size_t len = 0;
    while (n) {
        out[len++] = "ab*"[(n - 1) % 3];
        n = (n - 1) / 3;
    }
    return (struct vz_slice){out, len};
}

/* A common word of two patterns of at most four characters has at most eight: the stars of one
 * stand for what the other needs. */
static bool meet_by_words(struct vz_slice a, struct vz_slice b)
{
    for (unsigned len = 0; len <= 8; len++) {
        for (unsigned bits = 0; bits < 1u << len; bits++) {
            char word[8];
            for (unsigned i = 0; i < len; i++)
                word[i] = bits >> i & 1 ? 'b' : 'a';
            struct vz_slice text = {word, len};
            if (vz_wildcard_match(a, text) && vz_wildcard_match(b, text))
                return true;
        }
    }
    return false;
}

static void test_patterns_meet(void **state)
{
    unsigned met = 0, apart = 0;
    for (unsigned i = 1; i <= 120; i++) {
        for (unsigned j = 1; j <= 120; j++) {
            char x[8], y[8];
            struct vz_slice a = pattern_number(i, x), b = pattern_number(j, y);
            bool expected = meet_by_words(a, b);
            if (vz_patterns_meet(a, b) != expected)
                fail_msg("[%.*s] [%.*s]: expected %d", (int)a.len, a.ptr, (int)b.len, b.ptr,
                         expected);
            *(expected ? &met : &apart) += 1;
        }
    }
    assert_true(met > 1000 && apart > 1000);
}

static struct vz_json_doc *doc;
static struct vz_json parse(const char *text)
{
    struct vz_error err = {0};
    struct vz_json root;
    OK(vz_json_parse(vz_slice_from(text), &doc, &root, &err));
    return root;
}

static void test_layers(void **state)
{
    struct vz_error err = {0};
    struct vz_composed composed;
    bool any;
    put(VZ_KIND_COMPONENT_TEMPLATE, "one",
        "{\"template\":{\"settings\":{\"index.refresh_interval\":\"1s\",\"number_of_replicas\":0},"
        "\"mappings\":{\"_meta\":{\"a\":1,\"b\":1},\"properties\":{\"f\":{\"type\":\"text\","
        "\"analyzer\":\"simple\"},\"o\":{\"properties\":{\"x\":{\"type\":\"long\"}}}},"
        "\"dynamic_templates\":[{\"p\":{\"match\":\"p*\"}},{\"q\":{\"match\":\"q*\"}}]}}}");
    put(VZ_KIND_INDEX_TEMPLATE, "low", "{\"index_patterns\":[\"*\"],\"priority\":1}");
    put(VZ_KIND_INDEX_TEMPLATE, "high",
        "{\"index_patterns\":[\"a*\"],\"priority\":2,\"composed_of\":[\"one\",\"gone\"],"
        "\"template\":{\"settings\":{\"index\":{\"refresh_interval\":\"2s\"}},\"mappings\":"
        "{\"_meta\":{\"b\":2},\"properties\":{\"f\":{\"type\":\"keyword\"},\"o\":{\"properties\":"
        "{\"y\":{\"type\":\"date\"}}}},\"dynamic_templates\":[{\"q\":{\"match\":\"r*\"}},"
        "{\"s\":{\"match\":\"s*\"}}]},\"aliases\":{\"al-{index}\":{},\"both\":{\"filter\":1}}}}");
    struct vz_json body = parse("{\"settings\":{\"number_of_replicas\":5},\"aliases\":{\"both\":{}}}");
    OK(vz_templates_apply(store, VZ_SLICE("abc"), body, &composed, &any, &err));
    assert_true(any);
    assert_string_equal(composed.settings.data,
                        "{\"index.number_of_replicas\":\"5\",\"index.refresh_interval\":\"2s\"}");
    assert_string_equal(composed.mappings.data,
                        "{\"_meta\":{\"a\":1,\"b\":2},\"properties\":{\"f\":{\"type\":\"keyword\"},"
                        "\"o\":{\"properties\":{\"x\":{\"type\":\"long\"},\"y\":{\"type\":\"date\"}"
                        "}}},\"dynamic_templates\":[{\"p\":{\"match\":\"p*\"}},{\"q\":{\"match\":"
                        "\"r*\"}},{\"s\":{\"match\":\"s*\"}}]}");
    assert_string_equal(composed.aliases.data, "{\"al-abc\":{},\"both\":{}}");
    vz_composed_deinit(&composed);
    vz_json_free(doc);
    /* Nothing of templates that match everything for a hidden index. */
    body = parse("{\"settings\":{\"index.hidden\":true}}");
    OK(vz_templates_apply(store, VZ_SLICE("zzz"), body, &composed, &any, &err));
    assert_false(any);
    vz_composed_deinit(&composed);
    vz_json_free(doc);
}

static void test_legacy_layers(void **state)
{
    struct vz_error err = {0};
    struct vz_composed composed;
    bool any;
    put(VZ_KIND_LEGACY_TEMPLATE, "b",
        "{\"index_patterns\":[\"a*\"],\"order\":2,\"settings\":{\"priority\":2},\"mappings\":"
        "{\"properties\":{\"f\":{\"ignore_above\":2}}}}");
    put(VZ_KIND_LEGACY_TEMPLATE, "c",
        "{\"index_patterns\":[\"*\"],\"order\":1,\"settings\":{\"priority\":1,\"codec\":\"x\"},"
        "\"mappings\":{\"properties\":{\"f\":{\"type\":\"keyword\",\"ignore_above\":1}}}}");
    OK(vz_templates_apply(store, VZ_SLICE("a"), (struct vz_json){0}, &composed, &any, &err));
    assert_true(any);
    assert_string_equal(composed.settings.data,
                        "{\"index.codec\":\"x\",\"index.priority\":\"2\"}");
    assert_string_equal(
        composed.mappings.data,
        "{\"properties\":{\"f\":{\"type\":\"keyword\",\"ignore_above\":2}}}");
    vz_composed_deinit(&composed);
    /* A composable one hides them all. */
    put(VZ_KIND_INDEX_TEMPLATE, "new", "{\"index_patterns\":[\"a\"]}");
    OK(vz_templates_apply(store, VZ_SLICE("a"), (struct vz_json){0}, &composed, &any, &err));
    assert_string_equal(composed.settings.data, "{}");
    vz_composed_deinit(&composed);
}

static void test_after_a_restart(void **state)
{
    struct vz_error err = {0};
    struct vz_buf persistent = {0}, transient = {0}, value = {0};
    put(VZ_KIND_INDEX_TEMPLATE, "kept",
        "{\"index_patterns\":[\"k*\"],\"template\":{\"settings\":{\"refresh_interval\":\"9s\"}}}");
    struct vz_json body = parse("{\"persistent\":{\"action.auto_create_index\":\"false\"},"
                                "\"transient\":{\"action.auto_create_index\":\"k*\"}}");
    OK(vz_cluster_settings_put(store, body, &persistent, &transient, &err));
    vz_json_free(doc);
    OK(vz_store_may_create(store, VZ_SLICE("k1"), &err));
    assert_int_equal(vz_store_may_create(store, VZ_SLICE("l1"), &err), VZ_NO_INDEX);
    vz_store_close(store);
    store = open_store(folder);
    /* The transient one is gone, the persistent one counts. */
    assert_int_equal(vz_store_may_create(store, VZ_SLICE("k1"), &err), VZ_NO_INDEX);
    assert_string_equal(err.text, "no such index [k1] and [action.auto_create_index] is [false]");
    assert_true(vz_templates_setting(store, VZ_SLICE("k1"), "index.refresh_interval", &value));
    assert_string_equal(value.data, "9s");
    OK(vz_store_create_templated(store, VZ_SLICE("k1"), (struct vz_json){0}, &err));
    vz_buf_deinit(&persistent);
    vz_buf_deinit(&transient);
    vz_buf_deinit(&value);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_patterns_meet, setup, teardown),
        cmocka_unit_test_setup_teardown(test_layers, setup, teardown),
        cmocka_unit_test_setup_teardown(test_legacy_layers, setup, teardown),
        cmocka_unit_test_setup_teardown(test_after_a_restart, setup, teardown),
    };
    return cmocka_run_group_tests_name("store-templates", tests, NULL, NULL);
}
