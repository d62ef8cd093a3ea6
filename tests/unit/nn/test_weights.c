/* Files that torch and safetensors wrote (tools/make_golden_weights.py), read back element for
 * element; and numbers of every type, converted by every path the machine has. */
#include "nn/weights.h"

#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "base/text.h"
#include "nn/golden_path.h" /* VZ_GOLDEN_DIR, made by meson.build */

static struct vz_weights *open_golden(const char *name)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/weights/%s", VZ_GOLDEN_DIR, name);
    struct vz_weights *weights;
    struct vz_error err = {0};
    if (vz_weights_open(path, &weights, &err) != VZ_OK)
        fail_msg("%s: %s", path, err.text);
    return weights;
}

static const struct expected {
    const char *name;
    enum vz_dtype dtype;
    unsigned rank;
    uint64_t dims[3];
} expected[] = {
    {"f32", VZ_F32, 2, {3, 4}},        {"f16", VZ_F16, 1, {33}},
    {"bf16", VZ_BF16, 2, {5, 7}},      {"f64", VZ_F64, 1, {4}},
    {"i64", VZ_I64, 2, {2, 3}},        {"i32", VZ_I32, 1, {7}},
    {"i16", VZ_I16, 1, {7}},           {"i8", VZ_I8, 1, {130}},
    {"u8", VZ_U8, 1, {130}},           {"bool", VZ_BOOL, 1, {9}},
    {"scalar", VZ_F32, 0, {0}},        {"empty", VZ_F32, 2, {0, 3}},
    {"transposed", VZ_F32, 2, {6, 4}}, {"permuted", VZ_F32, 3, {2, 3, 4}},
    {"window", VZ_F32, 2, {3, 6}},     {"offset", VZ_F32, 2, {5, 6}},
    {"parameter", VZ_F32, 2, {2, 2}},  {"tied", VZ_F32, 2, {3, 4}},
};

static float ramp(enum vz_dtype dtype, uint64_t i)
{
    if (dtype == VZ_BOOL)
        return i % 3 == 0;
    return (float)(i % 120) - (dtype == VZ_U8 ? 0.0f : 20.0f);
}

static void check_all(const char *file)
{
    struct vz_weights *weights = open_golden(file);
    assert_int_equal(vz_weights_count(weights), VZ_COUNT_OF(expected));
    for (size_t i = 0; i < VZ_COUNT_OF(expected); i++) {
        const struct expected *want = &expected[i];
        const struct vz_tensor_view *view = vz_weights_find(weights, want->name);
        assert_non_null(view);
        assert_true(vz_slice_is(view->name, want->name));
        assert_string_equal(vz_dtype_name(view->dtype), vz_dtype_name(want->dtype));
        assert_int_equal(view->rank, want->rank);
        uint64_t count = 1;
        for (unsigned d = 0; d < want->rank; d++) {
            assert_int_equal(view->dims[d], want->dims[d]);
            count *= want->dims[d];
        }
        assert_int_equal(view->count, count);
        float values[160];
        vz_tensor_read_f32(view, 0, count, values);
        for (uint64_t k = 0; k < count; k++)
            if (values[k] != ramp(want->dtype, k))
                fail_msg("%s: %s[%d] is %g", file, want->name, (int)k, values[k]);
        if (count > 3) { /* a part, from the middle */
            vz_tensor_read_f32(view, 2, count - 3, values);
            for (uint64_t k = 0; k < count - 3; k++)
                assert_true(values[k] == ramp(want->dtype, k + 2));
        }
    }
    assert_null(vz_weights_find(weights, "f3"));
    assert_null(vz_weights_find(weights, ""));
    assert_null(vz_weights_at(weights, VZ_COUNT_OF(expected)));
    vz_weights_close(weights);
}

static void reads_safetensors(void **state)
{
    check_all("model.safetensors");
    check_all(""); /* the folder: model.safetensors comes first */
}

static void reads_shards(void **state)
{
    check_all("sharded");
}

static void reads_torch(void **state)
{
    check_all("zip.bin");
    check_all("protocol4.bin");
    check_all("legacy.bin");
    check_all("checkpoint.pt");
}

static void ties_share_bytes(void **state)
{
    static const char *const files[] = {"zip.bin", "legacy.bin"};
    for (size_t i = 0; i < VZ_COUNT_OF(files); i++) {
        struct vz_weights *weights = open_golden(files[i]);
        assert_ptr_equal(vz_weights_find(weights, "f32")->data,
                         vz_weights_find(weights, "tied")->data);
        vz_weights_close(weights);
    }
}

static void counts_bytes(void **state)
{
    struct vz_weights *weights = open_golden("model.safetensors");
    uint64_t bytes = 0;
    for (size_t i = 0; i < vz_weights_count(weights); i++) {
        const struct vz_tensor_view *view = vz_weights_at(weights, i);
        bytes += view->count * vz_dtype_bytes(view->dtype);
    }
    assert_int_equal(vz_weights_bytes(weights), bytes);
    vz_weights_close(weights);
}

static void refused(const char *name, enum vz_status status, const char *text)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/weights/%s", VZ_GOLDEN_DIR, name);
    struct vz_weights *weights;
    struct vz_error err = {0};
    assert_int_equal(vz_weights_open(path, &weights, &err), status);
    assert_null(weights);
    if (!strstr(err.text, text))
        fail_msg("expected [%s] in: %s", text, err.text);
}

static void refuses_what_is_no_tensor(void **state)
{
    refused("module.bin", VZ_UNSUPPORTED, "[torch.nn.modules.linear.Linear]");
    refused("expanded.bin", VZ_UNSUPPORTED, "twice");
    refused("sharded/model.safetensors.index.json", VZ_CORRUPT, "neither safetensors");
    refused("nowhere", VZ_NOT_FOUND, "nowhere");
    refused("..", VZ_NOT_FOUND, "model.safetensors.index.json");
}

/* ---- conversions ----------------------------------------------------------------------------- */

static double half_by_definition(uint16_t half)
{
    int exponent = half >> 10 & 31, fraction = half & 0x3FF;
    double sign = half & 0x8000 ? -1 : 1;
    if (exponent == 31)
        return fraction ? NAN : sign * INFINITY;
    return exponent ? sign * ldexp(1024 + fraction, exponent - 25) : sign * ldexp(fraction, -24);
}

/* All 65,536 of them, from an odd address, whole and in short runs. */
static void halves_are_exact(void **state)
{
    char *bytes = malloc(2 * 65536 + 1);
    float *out = malloc(65536 * sizeof *out);
    for (unsigned i = 0; i < 65536; i++)
        memcpy(bytes + 1 + 2 * i, &(uint16_t){(uint16_t)i}, 2);
    struct vz_tensor_view view = {
        .dtype = VZ_F16, .rank = 1, .dims = {65536}, .count = 65536, .data = bytes + 1};
    for (unsigned run = 65536; run; run = run == 65536 ? 7 : 0) {
        for (unsigned at = 0; at < 65536; at += run)
            vz_tensor_read_f32(&view, at, VZ_MIN(run, 65536 - at), out + at);
        for (unsigned i = 0; i < 65536; i++) {
            float want = (float)half_by_definition((uint16_t)i);
            uint32_t bits;
            memcpy(&bits, out + i, sizeof bits);
            if (isnan(want)) /* the fraction is kept, the quiet bit set */
                assert_int_equal(bits, (i & 0x8000u) << 16 | 0x7FC00000 | (i & 0x3FF) << 13);
            else
                assert_memory_equal(out + i, &want, sizeof want);
        }
    }
    free(bytes);
    free(out);
}

static void brains_are_upper_halves(void **state)
{
    uint16_t bytes[300];
    float out[300];
    uint64_t rng = 7;
    for (size_t i = 0; i < 300; i++)
        bytes[i] = (uint16_t)vz_rng_next(&rng);
    struct vz_tensor_view view = {
        .dtype = VZ_BF16, .rank = 1, .dims = {300}, .count = 300, .data = bytes};
    vz_tensor_read_f32(&view, 0, 300, out);
    for (size_t i = 0; i < 300; i++) {
        uint32_t bits;
        memcpy(&bits, out + i, sizeof bits);
        assert_int_equal(bits, (uint32_t)bytes[i] << 16);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_safetensors), cmocka_unit_test(reads_shards),
        cmocka_unit_test(reads_torch),       cmocka_unit_test(ties_share_bytes),
        cmocka_unit_test(counts_bytes),      cmocka_unit_test(refuses_what_is_no_tensor),
        cmocka_unit_test(halves_are_exact),  cmocka_unit_test(brains_are_upper_halves),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
