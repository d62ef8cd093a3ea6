/* EXIF: real cameras' blocks against values read by Pillow, blocks made here for the corners, and
 * damaged blocks for the bounds. */
#include "support.h"

#include "base/text.h"
#include "image/parts.h"

#include <math.h>

/* A writer of TIFF structures, one directory after the other. */
struct writer {
    uint8_t bytes[2048];
    size_t len;
    bool big;
};

static void put(struct writer *w, size_t at, uint32_t value, int bytes)
{
    for (int i = 0; i < bytes; i++)
        w->bytes[at + (size_t)i] = (uint8_t)(value >> 8 * (w->big ? bytes - 1 - i : i));
}

static void begin(struct writer *w, bool big)
{
    *w = (struct writer){.big = big, .len = 8};
    memcpy(w->bytes, big ? "MM\0\x2A" : "II\x2A\0", 4);
    put(w, 4, 8, 4);
}

/* Starts a directory with room for `count` entries at the end; returns where. */
static size_t directory(struct writer *w, int count)
{
    size_t at = w->len;
    w->len += 2 + (size_t)count * 12 + 4;
    return at;
}

static size_t add(struct writer *w, size_t ifd, unsigned tag, unsigned type, uint32_t count)
{
    unsigned used = w->big ? w->bytes[ifd + 1] : w->bytes[ifd];
    put(w, ifd, used + 1, 2);
    size_t at = ifd + 2 + used * 12;
    put(w, at, tag, 2);
    put(w, at + 2, type, 2);
    put(w, at + 4, count, 4);
    return at + 8;
}

static void add_text(struct writer *w, size_t ifd, unsigned tag, const char *text)
{
    size_t len = strlen(text) + 1, value = add(w, ifd, tag, 2, (uint32_t)len);
    size_t at = value;
    if (len > 4) {
        at = w->len;
        put(w, value, (uint32_t)at, 4);
        w->len += len;
    }
    memcpy(w->bytes + at, text, len);
}

static void add_short(struct writer *w, size_t ifd, unsigned tag, uint32_t value)
{
    put(w, add(w, ifd, tag, 3, 1), value, 2);
}

static void add_long(struct writer *w, size_t ifd, unsigned tag, uint32_t value)
{
    put(w, add(w, ifd, tag, 4, 1), value, 4);
}

static void add_angle(struct writer *w, size_t ifd, unsigned tag, const uint32_t values[6])
{
    put(w, add(w, ifd, tag, 5, 3), (uint32_t)w->len, 4);
    for (int i = 0; i < 6; i++, w->len += 4)
        put(w, w->len, values[i], 4);
}

static struct vz_exif read_block(const struct writer *w)
{
    struct vz_exif exif;
    uint8_t *copy = malloc(w->len); /* exact, for the sanitizer */
    memcpy(copy, w->bytes, w->len);
    vz_exif_read((struct vz_slice){(const char *)copy, w->len}, &exif);
    free(copy);
    return exif;
}

struct facts {
    const char *original, *offset, *subsec, *digitized, *date_time;
};

static struct vz_exif with_dates(bool big, struct facts facts)
{
    struct writer w;
    begin(&w, big);
    size_t ifd0 = directory(&w, 2), exif = directory(&w, 4);
    add_long(&w, ifd0, 0x8769, (uint32_t)exif);
    if (facts.date_time)
        add_text(&w, ifd0, 0x0132, facts.date_time);
    if (facts.original)
        add_text(&w, exif, 0x9003, facts.original);
    if (facts.digitized)
        add_text(&w, exif, 0x9004, facts.digitized);
    if (facts.offset)
        add_text(&w, exif, 0x9011, facts.offset);
    if (facts.subsec)
        add_text(&w, exif, 0x9291, facts.subsec);
    return read_block(&w);
}

static void dates(void **state)
{
    static const struct {
        struct facts facts;
        const char *iso;
    } cases[] = {
        {{.original = "2024:05:01 10:11:12"}, "2024-05-01T10:11:12.000Z"},
        {{.original = "2024:05:01 10:11:12", .subsec = "5"}, "2024-05-01T10:11:12.500Z"},
        {{.original = "2024:05:01 10:11:12", .subsec = "123456"}, "2024-05-01T10:11:12.123Z"},
        {{.original = "2024:05:01 10:11:12", .subsec = "  "}, "2024-05-01T10:11:12.000Z"},
        {{.original = "2024:05:01 10:11:12", .offset = "+02:00"}, "2024-05-01T08:11:12.000Z"},
        {{.original = "2024:05:01 10:11:12", .offset = "-05:30"}, "2024-05-01T15:41:12.000Z"},
        {{.original = "2024:01:01 00:30:00", .offset = "+01:00"}, "2023-12-31T23:30:00.000Z"},
        {{.original = "2024:05:01 10:11:12", .offset = "Z"}, "2024-05-01T10:11:12.000Z"},
        {{.original = "2024:05:01 10:11:12", .offset = "+99:00"}, "2024-05-01T10:11:12.000Z"},
        {{.original = "2024-05-01T10:11:12"}, "2024-05-01T10:11:12.000Z"},
        {{.original = "0000:00:00 00:00:00", .digitized = "2023:12:24 18:00:00"},
         "2023-12-24T18:00:00.000Z"},
        {{.original = "    :  :     :  :  ", .date_time = "2022:02:28 23:59:59"},
         "2022-02-28T23:59:59.000Z"},
        {{.digitized = "2021:01:01 00:00:00", .date_time = "2022:02:02 00:00:00"},
         "2021-01-01T00:00:00.000Z"},
        {{.original = "2024:02:29 00:00:00"}, "2024-02-29T00:00:00.000Z"},
        {{.original = "2023:02:29 00:00:00"}, ""},
        {{.original = "2024:13:01 00:00:00"}, ""},
        {{.original = "2024:05:01 24:00:00"}, ""},
        {{.original = "2024:05:01"}, ""},
        {{.original = "2024:05:0110:11:12"}, ""},
        {{.original = "99999999999999999999"}, ""},
        {{0}, ""},
    };
    for (size_t i = 0; i < VZ_COUNT_OF(cases); i++)
        for (int big = 0; big < 2; big++) {
            struct vz_exif exif = with_dates(big, cases[i].facts);
            assert_string_equal(exif.date_iso, cases[i].iso);
            assert_int_equal(exif.has_date, cases[i].iso[0] != 0);
        }
    assert_true(with_dates(false, cases[0].facts).date_ms == 1714558272000);
}

static struct vz_exif with_place(bool big, const char *lat_ref, const uint32_t lat[6],
                                 const char *lon_ref, const uint32_t lon[6])
{
    struct writer w;
    begin(&w, big);
    size_t ifd0 = directory(&w, 1), gps = directory(&w, 4);
    add_long(&w, ifd0, 0x8825, (uint32_t)gps);
    if (lat_ref)
        add_text(&w, gps, 1, lat_ref);
    add_angle(&w, gps, 2, lat);
    if (lon_ref)
        add_text(&w, gps, 3, lon_ref);
    add_angle(&w, gps, 4, lon);
    return read_block(&w);
}

static void places(void **state)
{
    static const struct {
        const char *lat_ref, *lon_ref;
        uint32_t lat[6], lon[6];
        bool there;
        double lat_is, lon_is;
    } cases[] = {
        {"N", "E", {48, 1, 12, 1, 30, 1}, {11, 1, 30, 1, 0, 1}, true, 48.2083333333, 11.5},
        {"S", "W", {33, 1, 5160, 100, 0, 1}, {151, 1, 0, 1, 36, 1}, true, -33.86, -151.01},
        {"s", "w", {1, 2, 0, 1, 0, 1}, {1, 4, 0, 1, 0, 1}, true, -0.5, -0.25},
        {"N", "W", {90, 1, 0, 1, 0, 1}, {180, 1, 0, 1, 0, 1}, true, 90, -180},
        {"N", "E", {90, 1, 0, 1, 1, 1}, {11, 1, 0, 1, 0, 1}, false, 0, 0},
        {"N", "E", {48, 1, 0, 1, 0, 1}, {180, 1, 1, 1, 0, 1}, false, 0, 0},
        {"N", "E", {48, 0, 0, 1, 0, 1}, {11, 1, 0, 1, 0, 1}, false, 0, 0},
        {"N", "E", {0, 0, 0, 0, 0, 0}, {11, 1, 0, 1, 0, 1}, false, 0, 0},
        {"N", "E", {4000000000u, 1, 0, 1, 0, 1}, {11, 1, 0, 1, 0, 1}, false, 0, 0},
        {"N", "E", {48, 1, 61, 1, 0, 1}, {11, 1, 0, 1, 0, 1}, false, 0, 0},
        {"X", "E", {48, 1, 0, 1, 0, 1}, {11, 1, 0, 1, 0, 1}, false, 0, 0},
        {"", "E", {48, 1, 0, 1, 0, 1}, {11, 1, 0, 1, 0, 1}, false, 0, 0},
        {NULL, "E", {48, 1, 0, 1, 0, 1}, {11, 1, 0, 1, 0, 1}, false, 0, 0},
        {"N", "E", {0, 1, 0, 1, 0, 1}, {0, 1, 0, 1, 0, 1}, false, 0, 0},
    };
    for (size_t i = 0; i < VZ_COUNT_OF(cases); i++)
        for (int big = 0; big < 2; big++) {
            struct vz_exif exif =
                with_place(big, cases[i].lat_ref, cases[i].lat, cases[i].lon_ref, cases[i].lon);
            if (exif.has_location != cases[i].there)
                fail_msg("place %zu: has_location %d", i, exif.has_location);
            assert_true(fabs(exif.lat - cases[i].lat_is) < 1e-9);
            assert_true(fabs(exif.lon - cases[i].lon_is) < 1e-9);
        }
}

static void orientations(void **state)
{
    for (int stored = 0; stored <= 300; stored++)
        for (int big = 0; big < 2; big++) {
            struct writer w;
            begin(&w, big);
            add_short(&w, directory(&w, 1), 0x0112, (uint32_t)stored);
            int expected = stored >= 1 && stored <= 8 ? stored : 1;
            assert_int_equal(read_block(&w).orientation, expected);
        }
}

/* Directories that name each other and themselves must end, and quickly. */
static void cycles_end(void **state)
{
    struct writer w;
    begin(&w, false);
    size_t ifd0 = directory(&w, 3);
    add_short(&w, ifd0, 0x0112, 6);
    add_long(&w, ifd0, 0x8769, (uint32_t)ifd0);
    add_long(&w, ifd0, 0x8825, (uint32_t)ifd0);
    put(&w, ifd0 + 2 + 36, (uint32_t)ifd0, 4); /* the next directory is itself */
    struct vz_exif exif = read_block(&w);
    assert_int_equal(exif.orientation, 6);
    assert_false(exif.has_date || exif.has_location);
}

static void check_sane(const struct vz_exif *exif)
{
    assert_in_range(exif->orientation, 1, 8);
    assert_true(memchr(exif->date_iso, 0, sizeof exif->date_iso) != NULL);
    assert_true(exif->has_date == (exif->date_iso[0] != 0));
    if (exif->has_location)
        assert_true(exif->lat >= -90 && exif->lat <= 90 && exif->lon >= -180 && exif->lon <= 180);
}

/* Every truncation and 200,000 random changes of a full block stay inside it (the sanitizer
 * watches) and give nothing out of range. */
static void damage_is_harmless(void **state)
{
    static const uint32_t lat[6] = {48, 1, 12, 1, 30, 1}, lon[6] = {11, 1, 30, 1, 0, 1};
    struct writer w;
    uint64_t seed = 20260101;
    print_message("seed %llu\n", (unsigned long long)seed);
    for (int big = 0; big < 2; big++) {
        begin(&w, big);
        size_t ifd0 = directory(&w, 4), exif = directory(&w, 3), gps = directory(&w, 4);
        add_short(&w, ifd0, 0x0112, 6);
        add_text(&w, ifd0, 0x0132, "2024:05:01 10:11:12");
        add_long(&w, ifd0, 0x8769, (uint32_t)exif);
        add_long(&w, ifd0, 0x8825, (uint32_t)gps);
        add_text(&w, exif, 0x9003, "2024:05:01 10:11:12");
        add_text(&w, exif, 0x9011, "+02:00");
        add_text(&w, exif, 0x9291, "123");
        add_text(&w, gps, 1, "N");
        add_angle(&w, gps, 2, lat);
        add_text(&w, gps, 3, "E");
        add_angle(&w, gps, 4, lon);
        struct vz_exif whole = read_block(&w);
        assert_true(whole.has_date && whole.has_location && whole.orientation == 6);
        for (size_t len = 0; len < w.len; len++) {
            struct writer cut = w;
            cut.len = len;
            struct vz_exif read = read_block(&cut);
            check_sane(&read);
        }
        for (int round = 0; round < 100000; round++) {
            struct writer bad = w;
            for (int k = 0; k < 1 + round % 4; k++)
                bad.bytes[vz_rng_next(&seed) % w.len] = (uint8_t)vz_rng_next(&seed);
            struct vz_exif read = read_block(&bad);
            check_sane(&read);
        }
    }
}

/* A TIFF file carries these directories itself: three pixels in a row, stored turned. */
static void a_tiff_file_is_read_itself(void **state)
{
    for (int big = 0; big < 2; big++) {
        struct writer w;
        begin(&w, big);
        size_t ifd0 = directory(&w, 11), exif = directory(&w, 1);
        size_t pixels = w.len;
        memcpy(w.bytes + pixels, "\xFF\0\0\0\xFF\0\0\0\xFF", 9);
        w.len += 10;
        size_t bits = w.len;
        for (int i = 0; i < 3; i++, w.len += 2)
            put(&w, w.len, 8, 2);
        add_short(&w, ifd0, 256, 3);
        add_short(&w, ifd0, 257, 1);
        put(&w, add(&w, ifd0, 258, 3, 3), (uint32_t)bits, 4);
        add_short(&w, ifd0, 259, 1);
        add_short(&w, ifd0, 262, 2);
        add_long(&w, ifd0, 273, (uint32_t)pixels);
        add_short(&w, ifd0, 0x0112, 6);
        add_short(&w, ifd0, 277, 3);
        add_short(&w, ifd0, 278, 1);
        add_long(&w, ifd0, 279, 9);
        add_long(&w, ifd0, 0x8769, (uint32_t)exif);
        add_text(&w, exif, 0x9003, "2024:05:01 10:11:12");
        struct vz_image image;
        struct vz_error err = {0};
        struct vz_slice bytes = {(const char *)w.bytes, w.len};
        if (vz_image_decode(bytes, NULL, 0, &image, &err) != VZ_OK)
            fail_msg("%s", err.text);
        assert_string_equal(image.format, "tiff");
        assert_string_equal(image.exif.date_iso, "2024-05-01T10:11:12.000Z");
        assert_int_equal(image.width, 1);
        assert_int_equal(image.height, 3);
        assert_memory_equal(image.rgb, "\xFF\0\0\0\xFF\0\0\0\xFF", 9);
        vz_image_deinit(&image);
    }
}

/* Values by Pillow 12 (getexif, get_ifd 0x8769 and 0x8825). */
static void real_cameras(void **state)
{
    static const struct {
        const char *name, *iso;
        double lat, lon;
    } cases[] = {
        {"DSCN0010.jpg", "2008-10-22T16:28:39.000Z", 43.46744833333334, 11.885126666663888},
        {"DSCN0012.jpg", "2008-10-22T16:29:49.000Z", 43.46715666666389, 11.885394999997223},
        {"DSCN0025.jpg", "2008-10-22T16:43:21.000Z", 43.468365, 11.881634999972222},
        {"DSCN0029.jpg", "2008-10-22T16:46:53.000Z", 43.468243333330555, 11.880171666638889},
        {"DSCN0042.jpg", "2008-10-22T17:00:07.000Z", 43.464455, 11.881478333333334},
    };
    for (size_t i = 0; i < VZ_COUNT_OF(cases); i++) {
        char name[64];
        snprintf(name, sizeof name, "exif/gps/%s", cases[i].name);
        struct vz_image image = decode_data(name, 64);
        assert_true(image.exif.has_date && image.exif.has_location);
        assert_string_equal(image.exif.date_iso, cases[i].iso);
        assert_true(fabs(image.exif.lat - cases[i].lat) < 1e-9);
        assert_true(fabs(image.exif.lon - cases[i].lon) < 1e-9);
        vz_image_deinit(&image);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(dates),
        cmocka_unit_test(places),
        cmocka_unit_test(orientations),
        cmocka_unit_test(cycles_end),
        cmocka_unit_test(damage_is_harmless),
        cmocka_unit_test(a_tiff_file_is_read_itself),
        cmocka_unit_test(real_cameras),
    };
    return cmocka_run_group_tests(tests, start_images, stop_images);
}
