/* Decoding the shared photos: upright, of the wanted size, within limits. */
#include "image/parts.h"
#include "support.h"

#include <limits.h>
#include <stdatomic.h>
#include <unistd.h>

static void check_orientations(const char *kind, int width, int height)
{
    char name[64];
    snprintf(name, sizeof name, "exif-orientation/%s_1.jpg", kind);
    struct vz_image first = decode_data(name, 0);
    assert_int_equal(first.width, width);
    assert_int_equal(first.height, height);
    for (int i = 0; i <= 8; i++)
        for (int target = 0; target <= 256; target += 256) {
            snprintf(name, sizeof name, "exif-orientation/%s_%d.jpg", kind, i);
            struct vz_image image = decode_data(name, target);
            assert_int_equal(image.exif.orientation, i == 0 ? 1 : i);
            assert_int_equal(image.file_width, width);
            assert_int_equal(image.file_height, height);
            assert_int_equal(VZ_MIN(image.width, image.height),
                             target ? target : VZ_MIN(width, height));
            assert_true((image.width > image.height) == (width > height));
            double away = difference(&first, &image);
            if (away > 1.0)
                fail_msg("%s differs from the first by %.2f levels", name, away);
            vz_image_deinit(&image);
        }
    vz_image_deinit(&first);
}

static void nine_orientations_look_the_same(void **state)
{
    check_orientations("Landscape", 1800, 1200);
    check_orientations("Portrait", 1200, 1800);
}

static void heif_is_not_turned_twice(void **state)
{
    struct vz_image image = decode_data("exif/heic/samplefilehub.heif", 0);
    assert_string_equal(image.format, "heif");
    assert_true(image.width == image.file_width && image.height == image.file_height);
    print_message("heif %d x %d, orientation tag %d\n", image.width, image.height,
                  image.exif.orientation);
    vz_image_deinit(&image);
}

static void limits_are_on_the_header(void **state)
{
    struct vz_buf bytes = read_path(data_path("exif-orientation/Landscape_6.jpg"));
    struct vz_image image;
    struct vz_error err = {0};
    assert_int_equal(vz_image_decode(vz_buf_slice(&bytes),
                                     &(struct vz_image_limits){.max_megapixels = 2.1}, 0, &image,
                                     &err),
                     VZ_LIMIT);
    assert_non_null(strstr(err.text, "megapixels"));
    assert_null(image.rgb);
    err = (struct vz_error){0};
    assert_int_equal(vz_image_decode(vz_buf_slice(&bytes),
                                     &(struct vz_image_limits){.max_bytes = 1000}, 0, &image, &err),
                     VZ_LIMIT);
    assert_non_null(strstr(err.text, "1000 bytes"));
    vz_buf_deinit(&bytes);
}

static void bytes_of_no_picture_are_named(void **state)
{
    static const struct {
        const char *bytes, *says;
    } cases[] = {{"", "empty"},
                 {"hello, world, this is no picture", "known format"},
                 {"%PDF-1.7 and so on", "PDF"},
                 {"BM0000000000000000000000000000", "BMP"},
                 {"<html><body>no</body></html>", "known format"}};
    for (size_t i = 0; i < VZ_COUNT_OF(cases); i++) {
        struct vz_image image;
        struct vz_error err = {0};
        assert_int_equal(vz_image_decode(vz_slice_from(cases[i].bytes), NULL, 0, &image, &err),
                         VZ_BAD_IMAGE);
        if (!strstr(err.text, cases[i].says))
            fail_msg("[%s] does not say [%s]", err.text, cases[i].says);
    }
}

static void the_shorter_side_is_the_target(void **state)
{
    static const int targets[] = {1,   7,    64,   224,  256,  599,    600,
                                  601, 1199, 1200, 1201, 5000, INT_MAX};
    for (size_t i = 0; i < VZ_COUNT_OF(targets); i++) {
        struct vz_image image = decode_data("exif-orientation/Portrait_7.jpg", targets[i]);
        assert_int_equal(image.width, VZ_MIN(targets[i], 1200));
        assert_int_equal(image.height, (VZ_MIN(targets[i], 1200) * 3 + 1) / 2);
        vz_image_deinit(&image);
    }
}

/* A negative target: halves, quarters and eighths that the JPEG decoder gives, nothing resized. */
static void a_jpeg_is_shrunk_and_not_resized(void **state)
{
    static const struct {
        int target, width;
    } cases[] = {{-1, 150},   {-150, 150},  {-151, 300},   {-300, 300},    {-599, 600},
                 {-600, 600}, {-601, 1200}, {-1200, 1200}, {-100000, 1200}};
    for (size_t i = 0; i < VZ_COUNT_OF(cases); i++) {
        struct vz_image image = decode_data("exif-orientation/Portrait_7.jpg", cases[i].target);
        assert_int_equal(image.width, cases[i].width);
        assert_int_equal(image.height, cases[i].width * 3 / 2);
        assert_int_equal(image.file_width, 1200);
        vz_image_deinit(&image);
    }
}

static struct vz_gate test_gate = VZ_GATE_INIT(10);
static atomic_int inside_weight, inside_count, heavy_done;

static void *pass_the_gate(void *context)
{
    int weight = (int)(intptr_t)context;
    for (int i = 0; i < (weight > 10 ? 3 : 300); i++) {
        vz_gate_enter(&test_gate, weight);
        int together = atomic_fetch_add(&inside_weight, weight) + weight;
        int count = atomic_fetch_add(&inside_count, 1) + 1;
        if (together > 10 && count > 1)
            heavy_done = -1000000;
        usleep(100);
        atomic_fetch_sub(&inside_count, 1);
        atomic_fetch_sub(&inside_weight, weight);
        vz_gate_leave(&test_gate, weight);
    }
    atomic_fetch_add(&heavy_done, weight > 10);
    return NULL;
}

/* What is too heavy goes in alone, and is not passed by the light ones for ever. */
static void the_gate_lets_in_what_fits(void **state)
{
    static const int weights[] = {1, 2, 3, 5, 7, 10, 25};
    pthread_t threads[VZ_COUNT_OF(weights)];
    for (size_t i = 0; i < VZ_COUNT_OF(weights); i++)
        assert_int_equal(
            pthread_create(&threads[i], NULL, pass_the_gate, (void *)(intptr_t)weights[i]), 0);
    for (size_t i = 0; i < VZ_COUNT_OF(weights); i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(atomic_load(&heavy_done), 1);
    assert_int_equal(test_gate.inside, 0);
    assert_true(test_gate.weight == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nine_orientations_look_the_same),
        cmocka_unit_test(heif_is_not_turned_twice),
        cmocka_unit_test(limits_are_on_the_header),
        cmocka_unit_test(bytes_of_no_picture_are_named),
        cmocka_unit_test(the_shorter_side_is_the_target),
        cmocka_unit_test(a_jpeg_is_shrunk_and_not_resized),
        cmocka_unit_test(the_gate_lets_in_what_fits),
    };
    return cmocka_run_group_tests(tests, start_images, stop_images);
}
