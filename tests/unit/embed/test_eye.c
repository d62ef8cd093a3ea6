/* The built-in eye: what it promises about its vectors, and whom it finds. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/text.h"
#include "embed/eye_parts.h"
#include "embed/samples_path.h" /* VZ_SAMPLES_DIR, made by meson.build */

static double dot(const float *a, const float *b)
{
    double sum = 0;
    for (int i = 0; i < VZ_EYE_DIMS; i++)
        sum += (double)a[i] * b[i];
    return sum;
}

static void check_unit(const float *v)
{
    for (int i = 0; i < VZ_EYE_DIMS; i++)
        assert_true(isfinite(v[i]));
    assert_true(fabs(dot(v, v) - 1) < 1e-6);
}

static struct vz_image image_new(int width, int height)
{
    struct vz_image image = {.width = width, .height = height};
    image.rgb = vz_calloc((size_t)width * (size_t)height, 3);
    return image;
}

static uint8_t *at(struct vz_image *image, int x, int y)
{
    return image->rgb + 3 * ((size_t)y * (size_t)image->width + (size_t)x);
}

/* A picture made of integers only: a red disc with a chequered band on a green slope. */
static struct vz_image picture_of_integers(void)
{
    struct vz_image image = image_new(300, 220);
    for (int y = 0; y < 220; y++)
        for (int x = 0; x < 300; x++) {
            uint8_t *p = at(&image, x, y);
            int dx = x - 140, dy = y - 120;
            bool inside = dx * dx + dy * dy < 70 * 70, band = (x / 7 + y / 9) % 2;
            p[0] = (uint8_t)(inside ? 210 : 30 + y / 3);
            p[1] = (uint8_t)(inside ? (dy > 10 && band ? 240 : 40) : 90 + x / 4);
            p[2] = (uint8_t)(inside ? 50 + (dx & 15) : 60);
        }
    return image;
}

static void embed(const struct vz_image *image, float *out)
{
    struct vz_error err = {0};
    if (vz_eye_embed(image, out, &err) != VZ_OK)
        fail_msg("%s", err.text);
}

static void test_extremes_have_unit_vectors(void **state)
{
    static const int sizes[][2] = {{1, 1},   {1, 2}, {2, 1},     {1, 1000}, {1000, 1},
                                   {3, 700}, {7, 7}, {112, 112}, {2000, 30}};
    for (size_t s = 0; s < VZ_COUNT_OF(sizes); s++)
        for (int fill = 0; fill < 4; fill++) {
            struct vz_image image = image_new(sizes[s][0], sizes[s][1]);
            size_t bytes = 3 * (size_t)image.width * (size_t)image.height;
            uint64_t rng = 5;
            for (size_t i = 0; i < bytes; i++)
                image.rgb[i] = fill < 3 ? (uint8_t)(fill * 255 / 2) : (uint8_t)vz_rng_next(&rng);
            float v[VZ_EYE_DIMS];
            embed(&image, v);
            check_unit(v);
            free(image.rgb);
        }
}

static void uniform(uint8_t r, uint8_t g, uint8_t b, int side, float *out)
{
    struct vz_image image = image_new(side, side);
    for (int i = 0; i < side * side; i++) {
        image.rgb[3 * i] = r;
        image.rgb[3 * i + 1] = g;
        image.rgb[3 * i + 2] = b;
    }
    embed(&image, out);
    free(image.rgb);
}

/* "A uniform picture still has a vector (its colour)." */
static void test_uniform_pictures_are_their_colour(void **state)
{
    float red[VZ_EYE_DIMS], large_red[VZ_EYE_DIMS], blue[VZ_EYE_DIMS];
    uniform(200, 30, 30, 64, red);
    uniform(200, 30, 30, 400, large_red);
    uniform(30, 30, 200, 64, blue);
    assert_true(dot(red, large_red) > 0.9999);
    assert_true(dot(red, blue) < 0.9);
}

static void test_the_same_picture_has_the_same_vector(void **state)
{
    struct vz_image image = picture_of_integers();
    float a[VZ_EYE_DIMS], b[VZ_EYE_DIMS];
    embed(&image, a);
    embed(&image, b);
    assert_memory_equal(a, b, sizeof a);
    free(image.rgb);
}

/* Made on x86-64 with GCC; the header promises 1e-6 on every machine. Print them again with
 * VIZSLA_PRINT_GOLDEN=1 when VZ_EYE_ID changes. */
static const struct {
    int index;
    float value;
} golden[] = {
    {0, -0.06108767f},   {16, -0.00027349f},  {32, -0.01034748f},  {48, -0.00836510f},
    {64, 0.04750687f},   {80, 0.07649525f},   {96, 0.07697367f},   {112, 0.01350608f},
    {128, -0.00677390f}, {144, -0.09142024f}, {160, -0.00958274f}, {176, -0.00836288f},
    {192, -0.00857322f}, {208, -0.00342347f}, {224, 0.01203259f},  {240, -0.00579922f},
    {256, -0.09255793f}, {272, -0.03069820f}, {288, -0.00779244f}, {304, -0.01821521f},
    {320, -0.02054449f}, {336, -0.05878920f}, {352, -0.05761321f}, {368, -0.00384215f},
    {384, 0.00535586f},  {400, 0.02077120f},  {416, -0.02533225f}, {432, 0.01271871f},
    {448, 0.00104490f},  {464, -0.00886630f}, {480, -0.04464310f}, {496, -0.04843131f},
};

static void test_golden_values(void **state)
{
    struct vz_image image = picture_of_integers();
    float v[VZ_EYE_DIMS];
    embed(&image, v);
    free(image.rgb);
    if (getenv("VIZSLA_PRINT_GOLDEN") != NULL)
        for (int i = 0; i < VZ_EYE_DIMS; i += 16)
            printf("    {%d, %.8ff},\n", i, (double)v[i]);
    for (size_t i = 0; i < VZ_COUNT_OF(golden); i++)
        assert_true(fabsf(v[golden[i].index] - golden[i].value) < 1e-6f);
}

static void test_left_and_right_are_one(void **state)
{
    struct vz_image image = picture_of_integers(), mirrored = image_new(300, 220);
    for (int y = 0; y < 220; y++)
        for (int x = 0; x < 300; x++)
            memcpy(at(&mirrored, 299 - x, y), at(&image, x, y), 3);
    float a[VZ_EYE_DIMS], b[VZ_EYE_DIMS];
    embed(&image, a);
    embed(&mirrored, b);
    assert_true(dot(a, b) > 0.999);
    free(image.rgb);
    free(mirrored.rgb);
}

static void test_blocks_fill_the_vector(void **state)
{
    int dims = 0;
    double weight = 0;
    for (int b = 0; b < eye_block_count; b++) {
        dims += eye_blocks[b].dims;
        weight += eye_blocks[b].weight;
    }
    assert_int_equal(dims, VZ_EYE_DIMS);
    assert_true(fabs(weight - 1) < 1e-9);
}

static void test_probability_and_words(void **state)
{
    double last = 0;
    enum vz_match match = VZ_MATCH_NONE;
    for (int i = -120; i <= 120; i++) {
        double p = vz_eye_probability((float)i / 100);
        assert_true(p >= last && p >= 0 && p <= 1);
        assert_true(vz_eye_match((float)i / 100) >= match);
        last = p;
        match = vz_eye_match((float)i / 100);
    }
    assert_true(vz_eye_probability(1) == 1);
    assert_int_equal(vz_eye_match(1), VZ_MATCH_SAME);
    assert_int_equal(vz_eye_match(0), VZ_MATCH_NONE);
    assert_int_equal(vz_eye_match(NAN), VZ_MATCH_NONE);
    assert_true(vz_eye_probability(NAN) < 0.1);
    assert_string_equal(vz_match_word(VZ_MATCH_NONE), "no good match");
    assert_string_equal(vz_match_word(VZ_MATCH_POSSIBLE), "possible match");
    assert_string_equal(vz_match_word(VZ_MATCH_LIKELY), "likely match");
    assert_string_equal(vz_match_word(VZ_MATCH_SAME), "same picture");
}

/* --- with pictures from files ------------------------------------------------------------- */

static bool embed_file(const char *folder, const char *name, float *out)
{
    char path[1024];
    struct vz_buf bytes = {0};
    struct vz_error err = {0};
    struct vz_image image;
    struct vz_image_limits limits = {0};
    snprintf(path, sizeof path, "%s/%s", folder, name);
    if (vz_file_read(path, 0, &bytes, &err) != VZ_OK) {
        printf("SKIPPED: no file %s\n", path);
        vz_buf_deinit(&bytes);
        return false;
    }
    if (vz_image_decode(vz_buf_slice(&bytes), &limits, VZ_EYE_SIDE, &image, &err) != VZ_OK)
        fail_msg("%s: %s", path, err.text);
    embed(&image, out);
    check_unit(out);
    vz_image_deinit(&image);
    vz_buf_deinit(&bytes);
    return true;
}

static const char *data_folder(const char *name, char *path, size_t capacity)
{
    const char *data = getenv("VIZSLA_TEST_DATA");
    snprintf(path, capacity, "%s/%s", data ? data : "../shared/data", name);
    return path;
}

/* The lost picture's cosine with names[0] must lead the others' by `margin`. */
static double found_first(const char *folder, const char *lost_folder, const char *lost,
                          const char *const *names, size_t count, double margin)
{
    float query[VZ_EYE_DIMS], v[VZ_EYE_DIMS];
    double first = -2, second = -2;
    const char *rival = "";
    if (!embed_file(lost_folder, lost, query))
        skip();
    for (size_t i = 0; i < count; i++) {
        if (!embed_file(folder, names[i], v))
            skip();
        double score = dot(query, v);
        if (i == 0) {
            first = score;
        } else if (score > second) {
            second = score;
            rival = names[i];
        }
    }
    printf("%s: %s %.3f, then %s %.3f\n", lost, names[0], first, rival, second);
    if (first < second + margin)
        fail_msg("%s is not found first by %.2f", names[0], margin);
    return first;
}

static void test_lost_dog_finds_luigi(void **state)
{
    static const char *const dogs[] = {"Luigi.png",   "Bella.png", "Bigu.png", "Buddy.png",
                                       "Charlie.png", "Luna.png",  "Max.png",  "Milo.png",
                                       "Oscar.png",   "Ruby.png",  "Zoe.png"};
    char folder[900], lost[900];
    data_folder("dogs", folder, sizeof folder);
    data_folder("lost-dogs", lost, sizeof lost);
    found_first(folder, lost, "lost_dog1.png", dogs, VZ_COUNT_OF(dogs), 0.02);
}

static void test_sample_lost_dog_is_found(void **state)
{
    static const char *const dogs[] = {"luigi.svg",   "mango.svg",  "biscuit.svg", "pepper.svg",
                                       "olive.svg",   "nimbus.svg", "pretzel.svg", "truffle.svg",
                                       "paprika.svg", "otto.svg",   "bruno.svg",   "clover.svg"};
    double score =
        found_first(VZ_SAMPLES_DIR, VZ_SAMPLES_DIR, "lost.svg", dogs, VZ_COUNT_OF(dogs), 0.15);
    assert_true(vz_eye_match((float)score) >= VZ_MATCH_POSSIBLE);
    assert_true(vz_eye_match((float)score) < VZ_MATCH_SAME);
}

static void test_nine_orientations_are_one(void **state)
{
    static const char *const kinds[] = {"Landscape", "Portrait"};
    char folder[900], name[64];
    data_folder("exif-orientation", folder, sizeof folder);
    for (int k = 0; k < 2; k++) {
        float first[VZ_EYE_DIMS], v[VZ_EYE_DIMS];
        double least = 1;
        for (int i = 0; i <= 8; i++) {
            snprintf(name, sizeof name, "%s_%d.jpg", kinds[k], i);
            if (!embed_file(folder, name, i == 0 ? first : v))
                skip();
            least = i == 0 ? least : VZ_MIN(least, dot(first, v));
        }
        printf("%s: least cosine %.5f\n", kinds[k], least);
        assert_true(least > 0.98);
    }
}

static int start(void **state)
{
    return vz_image_start(NULL) == VZ_OK ? 0 : -1;
}

static int stop(void **state)
{
    vz_image_stop();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_extremes_have_unit_vectors),
        cmocka_unit_test(test_uniform_pictures_are_their_colour),
        cmocka_unit_test(test_the_same_picture_has_the_same_vector),
        cmocka_unit_test(test_golden_values),
        cmocka_unit_test(test_left_and_right_are_one),
        cmocka_unit_test(test_blocks_fill_the_vector),
        cmocka_unit_test(test_probability_and_words),
        cmocka_unit_test(test_lost_dog_finds_luigi),
        cmocka_unit_test(test_sample_lost_dog_is_found),
        cmocka_unit_test(test_nine_orientations_are_one),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
