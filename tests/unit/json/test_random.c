/* Random values, written by the writer and read back against a recording of what was written; and
 * random damage, which must be refused with a place or read without harm. The seed is printed;
 * VIZSLA_SEED sets it. */
#include "base/text.h"
#include "json/json.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static uint64_t rng;

/* The tiny reference: the value itself, as a tree. */
struct node {
    enum vz_json_type type;
    int64_t integer;
    uint64_t natural;
    double number;
    bool truth;
    char key[24], text[24];
    size_t key_len, text_len, count;
    struct node *children;
};

static size_t random_text(char *out)
{
    size_t len = 0, chars = vz_rng_next(&rng) % 6;
    for (size_t i = 0; i < chars; i++) {
        switch (vz_rng_next(&rng) % 6) {
        case 0:
            out[len++] = (char)(vz_rng_next(&rng) % 32); /* control characters, NUL too */
            break;
        case 1:
            out[len++] = "\"\\/"[vz_rng_next(&rng) % 3];
            break;
        case 2:
            memcpy(out + len, "\xC3\xA9", 2);
            len += 2;
            break;
        case 3:
            memcpy(out + len, "\xF0\x9F\x90\xB6", 4);
            len += 4;
            break;
        default:
            out[len++] = (char)('a' + vz_rng_next(&rng) % 26);
        }
    }
    return len;
}

static void grow(struct node *n, unsigned depth)
{
    static const enum vz_json_type types[] = {VZ_JSON_NULL,   VZ_JSON_BOOL,   VZ_JSON_INT,
                                              VZ_JSON_UINT,   VZ_JSON_DOUBLE, VZ_JSON_STRING,
                                              VZ_JSON_OBJECT, VZ_JSON_ARRAY,  VZ_JSON_OBJECT};
    n->type = types[vz_rng_next(&rng) % (depth < 6 ? 9 : 6)];
    n->truth = vz_rng_next(&rng) & 1;
    n->integer = (int64_t)vz_rng_next(&rng) >> vz_rng_next(&rng) % 64;
    n->natural = vz_rng_next(&rng) | 1ull << 63; /* more than an int64 */
    do {
        uint64_t bits = vz_rng_next(&rng);
        memcpy(&n->number, &bits, sizeof bits);
    } while (n->number - n->number != 0); /* finite */
    n->text_len = random_text(n->text);
    n->key_len = random_text(n->key);
    if (n->type == VZ_JSON_OBJECT || n->type == VZ_JSON_ARRAY) {
        n->count = vz_rng_next(&rng) % 5;
        n->children = calloc(n->count ? n->count : 1, sizeof *n);
        for (size_t i = 0; i < n->count; i++)
            grow(&n->children[i], depth + 1);
    }
}

static void fell(struct node *n)
{
    for (size_t i = 0; i < n->count; i++)
        fell(&n->children[i]);
    free(n->children);
}

static void write_node(const struct node *n, struct vz_json_writer *w)
{
    switch (n->type) {
    case VZ_JSON_BOOL:
        vz_json_put_bool(w, n->truth);
        return;
    case VZ_JSON_INT:
        vz_json_put_int(w, n->integer);
        return;
    case VZ_JSON_UINT:
        vz_json_put_uint(w, n->natural);
        return;
    case VZ_JSON_DOUBLE:
        vz_json_put_double(w, n->number);
        return;
    case VZ_JSON_STRING:
        vz_json_put_string(w, (struct vz_slice){n->text, n->text_len});
        return;
    case VZ_JSON_ARRAY:
        vz_json_begin_array(w);
        for (size_t i = 0; i < n->count; i++)
            write_node(&n->children[i], w);
        vz_json_end_array(w);
        return;
    case VZ_JSON_OBJECT:
        vz_json_begin_object(w);
        for (size_t i = 0; i < n->count; i++) {
            vz_json_key_slice(w, (struct vz_slice){n->children[i].key, n->children[i].key_len});
            write_node(&n->children[i], w);
        }
        vz_json_end_object(w);
        return;
    default:
        vz_json_put_null(w);
    }
}

static void compare(const struct node *n, struct vz_json value)
{
    assert_int_equal(vz_json_type(value), n->type);
    double number = vz_json_double(value);
    switch (n->type) {
    case VZ_JSON_BOOL:
        assert_int_equal(vz_json_bool(value), n->truth);
        return;
    case VZ_JSON_INT:
        assert_int_equal(vz_json_int(value), n->integer);
        return;
    case VZ_JSON_UINT:
        assert_true(number == (double)n->natural);
        return;
    case VZ_JSON_DOUBLE:
        assert_memory_equal(&number, &n->number, sizeof number);
        return;
    case VZ_JSON_STRING:
        assert_true(vz_slice_eq(vz_json_string(value), (struct vz_slice){n->text, n->text_len}));
        return;
    default:
        break;
    }
    assert_int_equal(vz_json_count(value), n->count);
    struct vz_json_iter it = vz_json_iterate(value);
    struct vz_slice key;
    struct vz_json member;
    size_t i = 0;
    for (; vz_json_next(&it, &key, &member); i++) {
        if (n->type == VZ_JSON_OBJECT)
            assert_true(
                vz_slice_eq(key, (struct vz_slice){n->children[i].key, n->children[i].key_len}));
        compare(&n->children[i], member);
    }
    assert_int_equal(i, n->count);
}

/* Each raw member parses to what the document says. */
static void compare_raw(struct vz_slice text, struct vz_json value)
{
    struct vz_json_iter it = vz_json_iterate(value);
    struct vz_json member, inner;
    struct vz_slice rest = text, raw;
    struct vz_buf a = {0}, b = {0};
    while (vz_json_next(&it, NULL, &member)) {
        struct vz_json_doc *doc;
        assert_true(vz_json_raw_next(&rest, NULL, &raw));
        assert_int_equal(vz_json_parse(raw, &doc, &inner, NULL), VZ_OK);
        vz_buf_clear(&a);
        vz_buf_clear(&b);
        vz_json_print(member, &a);
        vz_json_print(inner, &b);
        assert_string_equal(a.data, b.data);
        vz_json_free(doc);
        compare_raw(raw, member);
    }
    if (vz_json_type(value) == VZ_JSON_ARRAY || vz_json_type(value) == VZ_JSON_OBJECT)
        assert_false(vz_json_raw_next(&rest, NULL, &raw));
    vz_buf_deinit(&a);
    vz_buf_deinit(&b);
}

static void test_round_trips(void **state)
{
    for (int round = 0; round < 2000; round++) {
        struct node tree = {0};
        struct vz_buf text = {0}, pretty = {0}, printed = {0};
        struct vz_json_writer w = vz_json_writer_on(&text);
        grow(&tree, 0);
        write_node(&tree, &w);
        struct vz_json_doc *doc;
        struct vz_json root;
        struct vz_error err = {0};
        if (vz_json_parse(vz_buf_slice(&text), &doc, &root, &err) != VZ_OK)
            fail_msg("%s: %s", text.data, err.text);
        compare(&tree, root);
        compare_raw(vz_buf_slice(&text), root);
        vz_json_print(root, &printed);
        assert_string_equal(printed.data, text.data);
        vz_json_free(doc);
        vz_json_pretty(vz_buf_slice(&text), &pretty);
        assert_int_equal(vz_json_parse(vz_buf_slice(&pretty), &doc, &root, &err), VZ_OK);
        compare(&tree, root);
        compare_raw(vz_buf_slice(&pretty), root);
        vz_json_free(doc);
        vz_buf_deinit(&text);
        vz_buf_deinit(&pretty);
        vz_buf_deinit(&printed);
        fell(&tree);
    }
}

static void test_damage(void **state)
{
    int refused = 0, accepted = 0;
    for (int round = 0; round < 20000; round++) {
        struct node tree = {0};
        struct vz_buf text = {0};
        struct vz_json_writer w = vz_json_writer_on(&text);
        grow(&tree, 2);
        write_node(&tree, &w);
        for (uint64_t hits = 1 + vz_rng_next(&rng) % 3; hits > 0; hits--) {
            size_t at = vz_rng_next(&rng) % text.len;
            text.data[at] = vz_rng_next(&rng) % 2
                                ? (char)vz_rng_next(&rng)
                                : "{}[]\",:-+.eE0189\\u tfn\n"[vz_rng_next(&rng) % 24];
        }
        char *exact = malloc(text.len);
        memcpy(exact, text.data, text.len);
        struct vz_json_doc *doc;
        struct vz_json root;
        struct vz_error err = {0};
        if (vz_json_parse((struct vz_slice){exact, text.len}, &doc, &root, &err) == VZ_OK) {
            accepted++;
            compare_raw((struct vz_slice){exact, text.len}, root);
            vz_json_free(doc);
        } else {
            refused++;
            /* The scanner, not the parser, gave the reason: they agree on what is wrong. */
            if (!strstr(err.text, "at line ") || err.offset > text.len)
                fail_msg("no place in \"%s\" for: %s", err.text, text.data);
        }
        free(exact);
        vz_buf_deinit(&text);
        fell(&tree);
    }
    print_message("refused %d, accepted %d\n", refused, accepted);
    assert_true(refused > 1000 && accepted > 200);
}

int main(void)
{
    const char *seed = getenv("VIZSLA_SEED");
    rng = seed ? strtoull(seed, NULL, 0) : (uint64_t)time(NULL);
    print_message("seed %llu\n", (unsigned long long)rng);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trips),
        cmocka_unit_test(test_damage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
