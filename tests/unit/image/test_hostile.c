/* Files made to break decoders: every one decodes or fails with a status and a reason. What a
 * sanitizer build adds is that nothing is read or written out of bounds and nothing leaks. */
#include "support.h"

#include "base/text.h"

#include <time.h>

struct tally {
    unsigned decoded, refused;
    double slowest_ms;
};

static void try_file(const char *path, void *context)
{
    struct tally *tally = context;
    struct vz_buf bytes = read_path(path);
    for (int target = 0; target <= 64; target += 64) {
        clock_t start = clock(); /* the processor's time, also on a busy machine */
        if (decode_or_explain(vz_buf_slice(&bytes), target, path) == VZ_OK)
            tally->decoded++;
        else
            tally->refused++;
        double ms = (double)(clock() - start) * 1e3 / CLOCKS_PER_SEC;
        if (ms > tally->slowest_ms)
            tally->slowest_ms = ms;
    }
    vz_buf_deinit(&bytes);
}

static void try_folder(const char *name, unsigned at_least)
{
    struct tally tally = {0};
    walk(data_path(name), try_file, &tally);
    print_message("%s: %u decoded, %u refused, slowest %.0f ms\n", name, tally.decoded,
                  tally.refused, tally.slowest_ms);
    assert_true(tally.decoded >= at_least && tally.refused > 0);
    assert_true(tally.slowest_ms < 20000);
}

static void hostile_corpus(void **state)
{
    try_folder("hostile", 300);
}

static void exif_samples(void **state)
{
    try_folder("exif", 30);
}

static void orientation_samples(void **state)
{
    try_folder("exif-orientation", 36);
}

/* Truncations and bit flips of a good picture in `format`. */
static void damage(const char *format, const struct vz_buf *good, uint64_t *seed)
{
    unsigned refused = 0;
    for (int i = 0; i < 60; i++) {
        size_t len = vz_rng_next(seed) % good->len;
        struct vz_slice cut = {good->data, len};
        char name[64];
        snprintf(name, sizeof name, "%s cut at %zu", format, len);
        refused += decode_or_explain(cut, i % 2 ? 32 : 0, name) != VZ_OK;
    }
    /* Half of it gone is never a picture. */
    struct vz_slice half = {good->data, good->len / 2};
    assert_int_equal(decode_or_explain(half, 0, "half"), VZ_BAD_IMAGE);
    assert_true(refused >= 50);
    for (int i = 0; i < 200; i++) {
        char *copy = malloc(good->len), name[64];
        memcpy(copy, good->data, good->len);
        size_t flips = 1 + vz_rng_next(seed) % 8;
        /* Half of the rounds near the front, where the headers are. */
        size_t span = i % 2 ? good->len : VZ_MIN(good->len, (size_t)200);
        for (size_t k = 0; k < flips; k++)
            copy[vz_rng_next(seed) % span] ^= (char)(1 << vz_rng_next(seed) % 8);
        snprintf(name, sizeof name, "%s with flips, round %d", format, i);
        decode_or_explain((struct vz_slice){copy, good->len}, i % 2 ? 32 : 0, name);
        free(copy);
    }
}

static void damaged_good_files(void **state)
{
    uint64_t seed = 42;
    print_message("seed %llu\n", (unsigned long long)seed);
    struct vz_image image = decode_data("exif-orientation/Landscape_1.jpg", 160);
    static const char *const formats[] = {"jpeg", "png"};
    for (size_t i = 0; i < VZ_COUNT_OF(formats); i++) {
        struct vz_buf good = {0};
        struct vz_error err = {0};
        assert_int_equal(vz_image_encode(&image, formats[i], 85, &good, &err), VZ_OK);
        damage(formats[i], &good, &seed);
        vz_buf_deinit(&good);
    }
    vz_image_deinit(&image);
}

/* Header fields that promise more than there is: refused on the header, at once. */
static void bombs(void **state)
{
    static const char png[] =
        "\x89PNG\r\n\x1A\n\0\0\0\x0DIHDR\0\0\xC3\x50\0\0\xC3\x50\x08\x02\0\0\0"
        "\x6A\xD0\x2E\x27";
    static const struct {
        const char *name;
        struct vz_slice bytes;
    } cases[] = {
        {"png of 50000 x 50000", VZ_SLICE(png)},
        {"svg of 1e9", VZ_SLICE("<svg xmlns='http://www.w3.org/2000/svg' width='1000000000' "
                                "height='1000000000'/>")},
        {"svg of 20000", VZ_SLICE("<svg xmlns='http://www.w3.org/2000/svg' width='20000' "
                                  "height='20000'/>")},
        {"svg of 1e300", VZ_SLICE("<svg xmlns='http://www.w3.org/2000/svg' width='1e300' "
                                  "height='1'/>")},
        {"gif of 65535",
         VZ_SLICE("GIF89a\xFF\xFF\xFF\xFF\0\0\0,\0\0\0\0\xFF\xFF\xFF\xFF\0\2\1\0\0;")},
    };
    for (size_t i = 0; i < VZ_COUNT_OF(cases); i++)
        for (int target = 0; target <= 64; target += 64) {
            clock_t start = clock();
            if (decode_or_explain(cases[i].bytes, target, cases[i].name) == VZ_OK)
                fail_msg("%s was decoded", cases[i].name);
            assert_true(clock() - start < 5 * CLOCKS_PER_SEC);
        }
}

/* A progressive JPEG whose last scan is repeated: small, and endless work without a limit. */
static void jpeg_of_many_scans(void **state)
{
    struct vz_buf good =
        read_path(data_path("hostile/jpeg/corpus/video-001.q50.440.progressive.jpeg"));
    assert_int_equal(decode_or_explain(vz_buf_slice(&good), 0, "progressive"), VZ_OK);
    const char *scan = NULL;
    for (const char *p = good.data;
         (p = memmem(p, good.len - (size_t)(p - good.data), "\xFF\xDA", 2)); p++)
        scan = p;
    assert_non_null(scan);
    size_t scan_len = good.len - 2 - (size_t)(scan - good.data);
    for (int more = 10; more <= 1000; more *= 10) {
        struct vz_buf bad = {0};
        struct vz_error err = {0};
        struct vz_image image;
        vz_buf_append(&bad, good.data, good.len - 2);
        for (int i = 0; i < more; i++)
            vz_buf_append(&bad, scan, scan_len);
        vz_buf_append(&bad, "\xFF\xD9", 2);
        enum vz_status status = vz_image_decode(vz_buf_slice(&bad), NULL, 0, &image, &err);
        if (more > 50) {
            assert_int_equal(status, VZ_LIMIT);
            assert_non_null(strstr(err.text, "scans"));
        }
        vz_image_deinit(&image);
        vz_buf_deinit(&bad);
    }
    vz_buf_deinit(&good);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hostile_corpus),
        cmocka_unit_test(exif_samples),
        cmocka_unit_test(orientation_samples),
        cmocka_unit_test(damaged_good_files),
        cmocka_unit_test(bombs),
        cmocka_unit_test(jpeg_of_many_scans),
    };
    return cmocka_run_group_tests(tests, start_images, stop_images);
}
