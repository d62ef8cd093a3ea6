/* Perceptual hashes: versions of one picture stay near, others do not. */
#include "support.h"

#include "base/text.h"
#include "image/phash.h"

#include <math.h>

/* A smooth picture from a seed: a few coloured waves. */
static struct vz_image waves(uint64_t seed, int width, int height)
{
    struct vz_image image = {.width = width, .height = height};
    double fx[6], fy[6], phase[6];
    for (int i = 0; i < 6; i++) {
        fx[i] = vz_rng_unit(&seed) * 14;
        fy[i] = vz_rng_unit(&seed) * 14;
        phase[i] = vz_rng_unit(&seed) * 6.28;
    }
    image.rgb = malloc((size_t)(width * height * 3));
    for (int y = 0; y < height; y++)
        for (int x = 0; x < width; x++) {
            double sum = 0;
            for (int i = 0; i < 6; i++)
                sum += sin(fx[i] * x / width + fy[i] * y / height + phase[i]);
            for (int c = 0; c < 3; c++)
                image.rgb[(y * width + x) * 3 + c] = (uint8_t)(128 + 20 * sum);
        }
    return image;
}

static void versions_of_one_picture_are_near(void **state)
{
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct vz_image image = waves(seed, 640, 480), small, brighter = waves(seed, 640, 480);
        assert_int_equal(vz_image_resize(&image, 200, 150, &small, NULL), VZ_OK);
        for (int i = 0; i < 640 * 480 * 3; i++)
            brighter.rgb[i] = (uint8_t)VZ_MIN(255, brighter.rgb[i] + 12);
        struct vz_buf jpeg = {0};
        struct vz_image again;
        assert_int_equal(vz_image_encode(&image, "jpeg", 50, &jpeg, NULL), VZ_OK);
        assert_int_equal(vz_image_decode(vz_buf_slice(&jpeg), NULL, 0, &again, NULL), VZ_OK);
        uint64_t hash = vz_image_phash(&image);
        unsigned a = vz_phash_distance(hash, vz_image_phash(&small));
        unsigned b = vz_phash_distance(hash, vz_image_phash(&brighter));
        unsigned c = vz_phash_distance(hash, vz_image_phash(&again));
        if (a > VZ_PHASH_SAME || b > VZ_PHASH_SAME || c > VZ_PHASH_SAME)
            fail_msg("seed %d: distances %u %u %u", (int)seed, a, b, c);
        vz_buf_deinit(&jpeg);
        vz_image_deinit(&image);
        vz_image_deinit(&small);
        vz_image_deinit(&brighter);
        vz_image_deinit(&again);
    }
}

static void other_pictures_are_far(void **state)
{
    double sum = 0;
    unsigned pairs = 0, least = 64;
    uint64_t hashes[30];
    for (uint64_t seed = 0; seed < 30; seed++) {
        struct vz_image image = waves(seed + 100, 320, 200);
        hashes[seed] = vz_image_phash(&image);
        vz_image_deinit(&image);
        for (uint64_t other = 0; other < seed; other++, pairs++) {
            unsigned distance = vz_phash_distance(hashes[seed], hashes[other]);
            sum += distance;
            least = VZ_MIN(least, distance);
        }
    }
    if (sum / pairs < 24 || least <= VZ_PHASH_SAME)
        fail_msg("mean distance %.1f, least %u", sum / pairs, least);
}

static void odd_sizes_work(void **state)
{
    static const int sizes[][2] = {{1, 1}, {1, 500}, {500, 1}, {7, 3}, {33, 31}};
    for (size_t i = 0; i < VZ_COUNT_OF(sizes); i++) {
        struct vz_image image = waves(5, sizes[i][0], sizes[i][1]);
        (void)vz_image_phash(&image);
        memset(image.rgb, 77, (size_t)(image.width * image.height * 3));
        assert_int_equal(vz_image_phash(&image), 0);
        vz_image_deinit(&image);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(versions_of_one_picture_are_near),
        cmocka_unit_test(other_pictures_are_far),
        cmocka_unit_test(odd_sizes_work),
    };
    return cmocka_run_group_tests(tests, start_images, stop_images);
}
