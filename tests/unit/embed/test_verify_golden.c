/* The comparer of published vectors, with published vectors. What models say is tests/models. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/file.h"
#include "embed/verify_golden.h"

enum { DIMS = 512 };

/* Rows of a .npy file of f32. */
static size_t npy(const char *path, float *out, size_t most)
{
    const char *data = getenv("VIZSLA_TEST_DATA");
    struct vz_buf name = {0}, text = {0};
    vz_buf_printf(&name, "%s/golden/%s", data ? data : "", path);
    size_t rows = 0;
    if (vz_file_read(name.data, 1 << 20, &text, NULL) == VZ_OK) {
        uint16_t header;
        memcpy(&header, text.data + 8, sizeof header);
        size_t bytes = text.len - 10 - header;
        rows = bytes / (DIMS * sizeof(float));
        assert_true(rows <= most);
        memcpy(out, text.data + 10 + header, bytes);
    }
    vz_buf_deinit(&name);
    vz_buf_deinit(&text);
    return rows;
}

static const struct vz_golden *find(const char *text)
{
    const struct vz_golden *all;
    size_t count = vz_golden_of("clip-ViT-B-32", &all);
    for (size_t i = 0; i < count; i++)
        if (all[i].text && strcmp(all[i].text, text) == 0)
            return &all[i];
    fail_msg("nothing is published of \"%s\"", text);
    return NULL;
}

static void names_are_known(void **state)
{
    const struct vz_golden *a, *b;
    assert_int_equal(vz_golden_of("sentence-transformers/clip-ViT-B-32", &a), 6);
    assert_int_equal(vz_golden_of("openai/clip-vit-base-patch32@main", &b), 6);
    assert_ptr_equal(a, b);
    assert_int_equal(vz_golden_of("all-minilm-l6-v2", &a), 1);
    assert_int_equal(vz_golden_of("clip-ViT-B-16", &a), 0);
    assert_int_equal(vz_golden_of("my-clip-ViT-B-32", &a), 0);
    assert_int_equal(vz_golden_of("clip-ViT-B-32/other", &a), 0);
    assert_null(a);
}

static void published_vectors_are_the_same(void **state)
{
    static const char *const texts[] = {"Han likes eating pizza", "Han likes pizza", "Jina rocks"};
    float rows[3 * DIMS];
    double off;
    if (npy("clip-golden-jina/CLIPTextEncoder/tests/expected_batch.npy", rows, 3) != 3) {
        print_message("SKIP: there is no VIZSLA_TEST_DATA\n");
        skip();
    }
    for (size_t i = 0; i < 3; i++)
        for (size_t k = 0; k < 3; k++)
            assert_int_equal(vz_golden_same(find(texts[i]), rows + k * DIMS, DIMS, &off), i == k);
    /* One number beside what is listed shows in the sum or the length. */
    for (size_t at = 0; at < DIMS; at += 37) {
        float before = rows[at];
        rows[at] += 0.05f;
        assert_false(vz_golden_same(find(texts[0]), rows, DIMS, &off));
        rows[at] = before;
    }
    for (size_t i = 0; i < DIMS; i++)
        rows[i] /= 8.831444f; /* of length 1 */
    assert_false(vz_golden_same(find(texts[0]), rows, DIMS, &off));
}

static void what_is_no_vector_differs(void **state)
{
    float x[DIMS] = {0};
    double off;
    const struct vz_golden *all;
    for (size_t i = vz_golden_of("clip-ViT-B-32", &all); i-- > 0;) {
        assert_false(vz_golden_same(&all[i], x, DIMS, &off));
        x[7] = NAN;
        assert_false(vz_golden_same(&all[i], x, DIMS, &off));
        x[7] = 0;
        assert_false(vz_golden_same(&all[i], x, 0, &off));
    }
}

static void unknown_models_are_not_asked(void **state)
{
    struct vz_golden_report report;
    struct vz_error err;
    assert_int_equal(vz_model_verify_golden("somebody/else", "/nowhere", NULL, &report, &err), VZ_OK);
    assert_int_equal(report.result, VZ_GOLDEN_UNKNOWN);
    assert_int_equal(vz_model_verify_golden("clip-ViT-B-32", "/nowhere", NULL, &report, &err),
                     VZ_NOT_FOUND);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_known),
        cmocka_unit_test(published_vectors_are_the_same),
        cmocka_unit_test(what_is_no_vector_differs),
        cmocka_unit_test(unknown_models_are_not_asked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
