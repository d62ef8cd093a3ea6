/* Decoding the shared photos: upright, of the wanted size, within limits. */
#include "support.h"

#include <limits.h>

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nine_orientations_look_the_same),
        cmocka_unit_test(heif_is_not_turned_twice),
        cmocka_unit_test(limits_are_on_the_header),
        cmocka_unit_test(bytes_of_no_picture_are_named),
        cmocka_unit_test(the_shorter_side_is_the_target),
    };
    return cmocka_run_group_tests(tests, start_images, stop_images);
}
