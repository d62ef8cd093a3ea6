/* The resize against Pillow, and the eight turns against a hand-written table. */
#include "support.h"

#include "base/text.h"
#include "image/parts.h"

static uint64_t fnv1a(const uint8_t *bytes, size_t len)
{
    uint64_t hash = 0xcbf29ce484222325ull;
    for (size_t i = 0; i < len; i++)
        hash = (hash ^ bytes[i]) * 0x100000001b3ull;
    return hash;
}

/* Made by Pillow 11.3: Image.frombytes("RGB", (w, h), top bytes of splitmix64(w * 1000 + h))
 * .resize((ow, oh), Image.BICUBIC), FNV-1a 64 of the result. */
static void resize_equals_pillow(void **state)
{
    static const struct {
        int w, h, ow, oh;
        uint64_t hash;
    } cases[] = {
        {97, 61, 32, 32, 0x69fbd786c735e066ull},  {640, 427, 224, 224, 0x1acd7645abfdaa46ull},
        {33, 500, 224, 7, 0xc748de7fabe4b662ull}, {10, 10, 37, 23, 0x80103689a078bec6ull},
        {1, 1, 5, 3, 0xc5647bd6b9b6dfb4ull},      {300, 2, 1, 1, 0x37e56b1ae5f98a32ull},
        {50, 50, 50, 20, 0x4ba32b29410160d6ull},
    };
    for (size_t i = 0; i < VZ_COUNT_OF(cases); i++) {
        size_t len = (size_t)(cases[i].w * cases[i].h * 3);
        uint64_t seed = (uint64_t)(cases[i].w * 1000 + cases[i].h);
        uint8_t *rgb = malloc(len);
        for (size_t k = 0; k < len; k++)
            rgb[k] = (uint8_t)(vz_rng_next(&seed) >> 56);
        uint8_t *out = vz_rgb_resize(rgb, cases[i].w, cases[i].h, cases[i].ow, cases[i].oh);
        uint64_t hash = fnv1a(out, (size_t)(cases[i].ow * cases[i].oh * 3));
        if (hash != cases[i].hash)
            fail_msg("%d x %d to %d x %d differs from Pillow", cases[i].w, cases[i].h, cases[i].ow,
                     cases[i].oh);
        free(out);
        free(rgb);
    }
}

/* The picture "ab/cd/ef" (2 wide, 3 high) as a file with each orientation stores it. */
static void turns_are_right(void **state)
{
    static const struct {
        int width, height;
        const char *stored;
    } cases[9] = {{0},
                  {2, 3, "abcdef"},
                  {2, 3, "badcfe"},
                  {2, 3, "fedcba"},
                  {2, 3, "efcdab"},
                  {3, 2, "acebdf"},
                  {3, 2, "bdface"},
                  {3, 2, "fdbeca"},
                  {3, 2, "ecafdb"}};
    for (int o = 1; o <= 8; o++) {
        int width = cases[o].width, height = cases[o].height;
        uint8_t *rgb = malloc(18);
        for (int i = 0; i < 6; i++)
            memset(rgb + i * 3, cases[o].stored[i], 3);
        rgb = vz_rgb_orient(rgb, &width, &height, o);
        assert_int_equal(width, 2);
        assert_int_equal(height, 3);
        for (int i = 0; i < 18; i++)
            if (rgb[i] != "abcdef"[i / 3])
                fail_msg("orientation %d: pixel %d is %c", o, i / 3, rgb[i]);
        free(rgb);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(resize_equals_pillow),
        cmocka_unit_test(turns_are_right),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
