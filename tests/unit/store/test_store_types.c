/* Types with values of their own: addresses, constants, wildcard, scaled numbers, flattened
 * objects. Their columns are derived data: made again from the documents they are the same. */
#include "base/bitset.h"
#include "store/ip.h"
#include "store/mapping.h"
#include "store_support.h"

/* ---- addresses ----------------------------------------------------------------------------- */

static void test_addresses(void **state)
{
    static const struct {
        const char *text, *printed; /* NULL: none */
    } cases[] = {
        {"192.168.0.1", "192.168.0.1"},
        {"0.0.0.0", "0.0.0.0"},
        {"255.255.255.255", "255.255.255.255"},
        {"::", "::"},
        {"::1", "::1"},
        {"1::", "1::"},
        {"2001:DB8:0:0:0:0:0:1", "2001:db8::1"},
        {"2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"},
        {"1:0:0:2:0:0:0:3", "1:0:0:2::3"},
        {"1:0:0:2:3:0:0:4", "1::2:3:0:0:4"},
        {"::ffff:1.2.3.4", "1.2.3.4"},
        {"::102:304", "::102:304"},
        {"fe80::ffff:ffff:ffff:ffff", "fe80::ffff:ffff:ffff:ffff"},
        {"", NULL},
        {"1.2.3", NULL},
        {"1.2.3.4.5", NULL},
        {"256.1.1.1", NULL},
        {"1.2.3.4 ", NULL},
        {"01.2.3.4", NULL},
        {":::", NULL},
        {"1::2::3", NULL},
        {"12345::", NULL},
        {"fe80::1%eth0", NULL},
        {"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", NULL},
    };
    (void)state;
    for (size_t i = 0; i < VZ_COUNT_OF(cases); i++) {
        unsigned char address[VZ_IP_BYTES], again[VZ_IP_BYTES];
        char text[VZ_IP_TEXT];
        struct vz_error err = {0};
        bool ok = vz_ip_parse(vz_slice_from(cases[i].text), address, &err) == VZ_OK;
        if (ok != (cases[i].printed != NULL))
            fail_msg("[%s] %s", cases[i].text, ok ? "was taken" : err.text);
        if (!ok)
            continue;
        vz_ip_print(address, text);
        assert_string_equal(text, cases[i].printed);
        assert_int_equal(vz_ip_parse(vz_slice_from(text), again, &err), VZ_OK);
        assert_memory_equal(address, again, VZ_IP_BYTES);
    }
}

/* Any 16 bytes print as a text that reads back to them. */
static void test_addresses_at_random(void **state)
{
    uint64_t seed = 77;
    (void)state;
    for (int i = 0; i < 20000; i++) {
        unsigned char address[VZ_IP_BYTES], again[VZ_IP_BYTES];
        char text[VZ_IP_TEXT];
        for (int j = 0; j < VZ_IP_BYTES; j++)
            address[j] = vz_rng_next(&seed) % 3 ? 0 : (unsigned char)vz_rng_next(&seed);
        vz_ip_print(address, text);
        if (vz_ip_parse(vz_slice_from(text), again, NULL) != VZ_OK ||
            memcmp(address, again, VZ_IP_BYTES) != 0)
            fail_msg("%s does not come back", text);
    }
}

static void test_blocks(void **state)
{
    static const struct {
        const char *text, *low, *high;
    } cases[] = {
        {"10.0.0.0/8", "10.0.0.0", "10.255.255.255"},
        {"10.1.2.3/16", "10.1.0.0", "10.1.255.255"},
        {"10.1.2.3/32", "10.1.2.3", "10.1.2.3"},
        {"0.0.0.0/0", "0.0.0.0", "255.255.255.255"},
        {"2001:db8::/33", "2001:db8::", "2001:db8:7fff:ffff:ffff:ffff:ffff:ffff"},
        {"::/0", "::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"},
        {"10.0.0.0/33", NULL, NULL},
        {"::/129", NULL, NULL},
        {"10.0.0.0/", NULL, NULL},
        {"10.0.0.0/-1", NULL, NULL},
        {"10.0.0.0/8/8", NULL, NULL},
        {"/8", NULL, NULL},
    };
    (void)state;
    for (size_t i = 0; i < VZ_COUNT_OF(cases); i++) {
        unsigned char low[VZ_IP_BYTES], high[VZ_IP_BYTES];
        char text[VZ_IP_TEXT];
        bool ok = vz_ip_parse_cidr(vz_slice_from(cases[i].text), low, high, NULL) == VZ_OK;
        if (ok != (cases[i].low != NULL))
            fail_msg("[%s]", cases[i].text);
        if (!ok)
            continue;
        vz_ip_print(low, text);
        assert_string_equal(text, cases[i].low);
        vz_ip_print(high, text);
        assert_string_equal(text, cases[i].high);
    }
}

/* ---- columns ------------------------------------------------------------------------------- */

/* "docno=term docno=term ..." of a field. */
static char *terms_of(struct vz_index *index, const char *path)
{
    struct vz_buf out = {0};
    struct vz_arena arena = {0};
    struct vz_snapshot *snap = vz_index_snapshot(index);
    const struct vz_mapping *mapping = vz_snapshot_mapping(snap);
    const struct vz_field *field = vz_mapping_find(mapping, vz_slice_from(path));
    struct vz_column column;
    assert_non_null(field);
    vz_buf_reserve(&out, 1);
    vz_snapshot_column(snap, field->id, &column);
    for (size_t i = 0; i < column.count; i++) {
        vz_buf_printf(&out, "%s%u=", i ? " " : "", column.docnos[i]);
        if (column.kind == VZ_COLUMN_F64) {
            vz_buf_printf(&out, "%.17g", column.f64[i]);
            continue;
        }
        struct vz_slice term =
            vz_snapshot_ordinal_term(snap, field->id, column.ordinals[i], &arena);
        for (size_t j = 0; j < term.len; j++)
            vz_buf_append_char(&out, term.ptr[j] ? term.ptr[j] : '|');
    }
    vz_buf_append_char(&out, 0);
    vz_snapshot_release(snap);
    vz_arena_deinit(&arena);
    return vz_buf_take(&out);
}

static void expect_terms(struct vz_index *index, const char *path, const char *want)
{
    char *terms = terms_of(index, path);
    assert_string_equal(terms, want);
    free(terms);
}

static void expect_all(struct vz_index *index)
{
    struct vz_error err = {0};
    expect_terms(index, "addr", "0=10.0.0.1 0=2001:db8::1 2=1.2.3.4");
    expect_terms(index, "price", "0=1.23 1=2.5");
    expect_terms(index, "path", "0=/a 1=none");
    expect_terms(index, "fixed", "0=shop 1=shop 2=shop");
    expect_terms(index, "labels", "0=red 0=x 0=y 1=true 1=nothing 2=7");
    expect_terms(index, "labels.\x01",
                 "0=colour|red 0=a.b|x 0=a.b|y 1=on|true 1=off|nothing "
                 "2=n.m|7");
    expect_terms(index, "many.in.\x01", "");
    OK(vz_index_validate(index, &err));
}

static void test_columns_come_back(void **state)
{
    (void)state;
    char *path = temp_folder();
    struct vz_error err = {0};
    struct vz_store *store = open_store(path);
    struct vz_index *index = make_index(
        store, "t",
        "{\"mappings\":{\"properties\":{\"addr\":{\"type\":\"ip\"},"
        "\"price\":{\"type\":\"scaled_float\",\"scaling_factor\":100},"
        "\"path\":{\"type\":\"wildcard\",\"null_value\":\"none\"},"
        "\"fixed\":{\"type\":\"constant_keyword\",\"value\":\"shop\"},"
        "\"many\":{\"type\":\"nested\",\"properties\":{\"in\":{\"type\":\"flattened\"}}},"
        "\"labels\":{\"type\":\"flattened\",\"null_value\":\"nothing\",\"ignore_above\":8}}}}");
    /* Below a nested object nothing is in a column. */
    put_doc(index, "0",
            "{\"addr\":[\"10.0.0.1\",\"2001:DB8::0:1\"],\"price\":1.234,\"path\":\"/a\","
            "\"labels\":{\"colour\":\"red\",\"a\":{\"b\":[\"x\",[\"y\"]]}},"
            "\"many\":[{\"in\":{\"k\":1}}]}");
    put_doc(index, "1",
            "{\"price\":\"2.4951\",\"path\":null,\"labels\":[{\"on\":true},"
            "{\"off\":null,\"long\":\"longer than eight\"}]}");
    put_doc(index, "2", "{\"addr\":\"::ffff:1.2.3.4\",\"fixed\":\"shop\",\"labels.n.m\":7}");
    const struct vz_field *hidden;
    struct vz_mapping *mapping = vz_index_mapping(index);
    struct vz_field key;
    assert_true(vz_mapping_find_key(mapping, VZ_SLICE("labels.a.b"), &key));
    hidden = vz_mapping_field(mapping, key.id);
    assert_int_equal(hidden->type, VZ_FIELD_FLATTENED_KEYED);
    assert_true(vz_slice_is(key.key, "a.b"));
    assert_false(vz_mapping_find_key(mapping, VZ_SLICE("labels."), &key));
    assert_false(vz_mapping_find_key(mapping, VZ_SLICE("price.x"), &key));
    vz_mapping_release(mapping);

    char command[600];
    snprintf(command, sizeof command, "rm -f %s/indices/*/*/col.*", path);
    expect_all(index);
    for (int round = 0; round < 3; round++) {
        if (round == 1)
            OK(vz_index_compact(index, &err));
        vz_index_release(index);
        vz_store_close(store);
        if (round == 2) /* made again from the documents */
            assert_int_equal(system(command), 0);
        store = open_store(path);
        index = vz_store_index(store, VZ_SLICE("t"));
        assert_non_null(index);
        expect_all(index);
    }
    vz_index_release(index);
    vz_store_close(store);
    drop_folder(path);
}

/* ---- terms by their beginnings ------------------------------------------------------------- */

/* Terms of "a", "b" and bytes beyond, of every length around the limits of keys; what begins with a
 * prefix by the dictionary's order is what does by comparing all. */
static void test_terms_of_prefix(void **state)
{
    (void)state;
    static const size_t lengths[] = {1, 2, 3, 447, 448, 449, 450, 479, 480, 481, 482, 600, 1100};
    char *path = temp_folder();
    struct vz_error err = {0};
    struct vz_store *store = open_store(path);
    struct vz_index *index = make_index(
        store, "p",
        "{\"mappings\":{\"properties\":{\"k\":{\"type\":\"keyword\"},\"z\":{\"type\":\"keyword\"}}}}");
    char text[1200], body[1400], name[16];
    int made = 0;
    for (size_t l = 0; l < VZ_COUNT_OF(lengths); l++)
        for (int kind = 0; kind < 4; kind++) { /* "aaa", "aab", "baa", and another field's */
            memset(text, 'a', lengths[l]);
            text[lengths[l]] = '\0';
            if (kind == 1)
                text[lengths[l] - 1] = 'b';
            if (kind == 2)
                text[0] = 'b';
            snprintf(body, sizeof body, "{\"%s\":\"%s\"}", kind == 3 ? "z" : "k", text);
            snprintf(name, sizeof name, "%d", made++);
            put_doc(index, name, body);
        }
    OK(vz_index_refresh(index, &err));
    struct vz_mapping *mapping = vz_index_mapping(index);
    uint16_t field = vz_mapping_find(mapping, VZ_SLICE("k"))->id;
    vz_mapping_release(mapping);
    struct vz_snapshot *snap = vz_index_snapshot(index);
    uint32_t count = vz_snapshot_ordinal_count(snap, field);
    assert_int_equal(count, VZ_COUNT_OF(lengths) * 3 - 1); /* "b" comes twice */
    struct vz_arena arena = {0};
    for (size_t l = 0; l <= VZ_COUNT_OF(lengths); l++)
        for (int kind = 0; kind < 3; kind++) {
            size_t len = l < VZ_COUNT_OF(lengths) ? lengths[l] : 0, matched = 0;
            memset(text, 'a', sizeof text);
            if (kind == 1 && len)
                text[len - 1] = 'b';
            if (kind == 2)
                text[0] = 'b';
            struct vz_bitset found;
            vz_bitset_init(&found, count);
            OK(vz_snapshot_prefix_ordinals(snap, field, (struct vz_slice){text, len}, &found, &err));
            for (uint32_t o = 0; o < count; o++) {
                struct vz_slice term = vz_snapshot_ordinal_term(snap, field, o, &arena);
                bool begins = term.len >= len && memcmp(term.ptr, text, len) == 0;
                assert_int_equal(begins, vz_bitset_has(&found, o));
                matched += begins;
            }
            assert_true(matched > 0);
            vz_bitset_deinit(&found);
        }
    vz_arena_deinit(&arena);
    vz_snapshot_release(snap);
    vz_index_release(index);
    vz_store_close(store);
    drop_folder(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_addresses),
        cmocka_unit_test(test_addresses_at_random),
        cmocka_unit_test(test_blocks),
        cmocka_unit_test(test_columns_come_back),
        cmocka_unit_test(test_terms_of_prefix),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
