/* One small picture in every format that is promised, written here by libvips: the same four
 * colours come back. And what a format can do that a JPEG cannot: transparency, 16 bits, grey,
 * CMYK, several pages, turned HEIF, references in an SVG. */
#include "support.h"

#include "base/text.h"
#include "image/parts.h"

#include <limits.h>
#include <vips/vips.h>

enum { WIDTH = 96, HEIGHT = 64 };
static const uint8_t quarters[4][3] = {{230, 40, 40}, {40, 200, 40}, {50, 60, 220}, {240, 220, 60}};

/* Red and green above blue and yellow. */
static VipsImage *four_colours(void)
{
    uint8_t *rgb = malloc(WIDTH * HEIGHT * 3);
    for (int y = 0; y < HEIGHT; y++)
        for (int x = 0; x < WIDTH; x++)
            memcpy(rgb + (y * WIDTH + x) * 3, quarters[(y >= HEIGHT / 2) * 2 + (x >= WIDTH / 2)],
                   3);
    VipsImage *raw = vips_image_new_from_memory_copy(rgb, WIDTH * HEIGHT * 3, WIDTH, HEIGHT, 3,
                                                     VIPS_FORMAT_UCHAR);
    VipsImage *image;
    assert_int_equal(vips_copy(raw, &image, "interpretation", VIPS_INTERPRETATION_sRGB, NULL), 0);
    g_object_unref(raw);
    free(rgb);
    return image;
}

/* `suffix` as libvips writes it: ".webp[Q=90]". Takes the image; skips aloud when there is no
 * encoder for it on this machine. */
static struct vz_buf write_as(VipsImage *image, const char *suffix)
{
    void *bytes = NULL;
    size_t len = 0;
    if (vips_image_write_to_buffer(image, suffix, &bytes, &len, NULL) != 0) {
        print_message("SKIPPED: cannot write %s here: %s\n", suffix, vips_error_buffer());
        vips_error_clear();
        g_object_unref(image);
        skip();
    }
    struct vz_buf out = {0};
    vz_buf_append(&out, bytes, len);
    g_free(bytes);
    g_object_unref(image);
    return out;
}

/* Takes the bytes. */
static struct vz_image decode_bytes(struct vz_buf bytes, int target_side)
{
    struct vz_image image;
    struct vz_error err = {0};
    if (vz_image_decode(vz_buf_slice(&bytes), NULL, target_side, &image, &err) != VZ_OK)
        fail_msg("%s", err.text);
    vz_buf_deinit(&bytes);
    return image;
}

static struct vz_image decode_text(const char *svg, int target_side)
{
    struct vz_buf bytes = {0};
    vz_buf_append_str(&bytes, svg);
    return decode_bytes(bytes, target_side);
}

static void assert_four_colours(const struct vz_image *image, int tolerance)
{
    for (int i = 0; i < 4; i++)
        assert_pixel_near(image, image->width / 4 + i % 2 * image->width / 2,
                          image->height / 4 + i / 2 * image->height / 2, quarters[i][0],
                          quarters[i][1], quarters[i][2], tolerance);
}

static void round_trip(const char *suffix, const char *format, int tolerance)
{
    struct vz_buf bytes = write_as(four_colours(), suffix);
    for (int target = 0; target <= 16; target += 16) {
        struct vz_buf copy = {0};
        vz_buf_append(&copy, bytes.data, bytes.len);
        struct vz_image image = decode_bytes(copy, target);
        assert_string_equal(image.format, format);
        assert_int_equal(image.width, target ? 24 : WIDTH);
        assert_int_equal(image.height, target ? 16 : HEIGHT);
        assert_int_equal(image.file_width, WIDTH);
        assert_int_equal(image.file_height, HEIGHT);
        assert_int_equal(image.exif.orientation, 1);
        assert_false(image.exif.has_date || image.exif.has_location);
        assert_four_colours(&image, tolerance);
        vz_image_deinit(&image);
    }
    vz_buf_deinit(&bytes);
}

static void jpeg(void **state)
{
    round_trip(".jpg[Q=95]", "jpeg", 8);
}
static void png(void **state)
{
    round_trip(".png", "png", 0);
}
static void webp(void **state)
{
    round_trip(".webp[Q=95]", "webp", 16);
}
static void webp_lossless(void **state)
{
    round_trip(".webp[lossless]", "webp", 1);
}
static void gif(void **state)
{
    round_trip(".gif", "gif", 8);
}
static void tiff(void **state)
{
    round_trip(".tif", "tiff", 0);
}
static void tiff_tiled(void **state)
{
    round_trip(".tif[tile,compression=deflate]", "tiff", 0);
}
static void tiff_jpeg(void **state)
{
    round_trip(".tif[compression=jpeg,Q=95]", "tiff", 8);
}
static void bigtiff(void **state)
{
    round_trip(".tif[bigtiff]", "tiff", 0);
}
static void heic(void **state)
{
    round_trip(".heic[Q=90]", "heif", 16);
}
static void avif(void **state)
{
    round_trip(".avif[Q=90]", "avif", 16);
}

static void svg(void **state)
{
    static const char drawing[] =
        "<?xml version='1.0'?>\n<!-- a drawing -->\n"
        "<svg xmlns='http://www.w3.org/2000/svg' width='96' height='64' viewBox='0 0 2 2' "
        "preserveAspectRatio='none'>"
        "<rect width='1' height='1' fill='rgb(230,40,40)'/>"
        "<rect x='1' width='1' height='1' fill='rgb(40,200,40)'/>"
        "<rect y='1' width='1' height='1' fill='rgb(50,60,220)'/>"
        "<rect x='1' y='1' width='1' height='1' fill='rgb(240,220,60)'/></svg>";
    static const int targets[] = {0, 16, 64, 200, 333};
    for (size_t i = 0; i < VZ_COUNT_OF(targets); i++) {
        struct vz_image image = decode_text(drawing, targets[i]);
        int height = targets[i] ? targets[i] : 64;
        assert_string_equal(image.format, "svg");
        assert_int_equal(image.height, height);
        assert_in_range(image.width, height * 3 / 2, height * 3 / 2 + 1);
        assert_int_equal(image.file_width, 96);
        assert_int_equal(image.file_height, 64);
        assert_four_colours(&image, 1);
        vz_image_deinit(&image);
    }
    struct vz_image huge = decode_text(drawing, INT_MAX);
    assert_true((double)huge.width * huge.height <= 26e6);
    assert_four_colours(&huge, 1);
    vz_image_deinit(&huge);
    struct vz_image clear =
        decode_text("<svg xmlns='http://www.w3.org/2000/svg' width='9' height='9'/>", 0);
    assert_pixel_near(&clear, 4, 4, 255, 255, 255, 0);
    vz_image_deinit(&clear);
}

/* A file and a host that an SVG names are not read: a red picture next to it leaves no red. */
static void svg_reaches_nothing(void **state)
{
    char path[] = "/tmp/vizsla-image-XXXXXX", text[1024];
    int fd = mkstemp(path);
    struct vz_buf red = write_as(four_colours(), ".png");
    assert_int_equal(write(fd, red.data, red.len), (ssize_t)red.len);
    vz_buf_deinit(&red);
    static const char *const addresses[] = {"file://%s", "%s", "http://127.0.0.1:1%s"};
    for (size_t i = 0; i < VZ_COUNT_OF(addresses); i++) {
        char address[256];
        snprintf(address, sizeof address, addresses[i], path);
        snprintf(text, sizeof text,
                 "<svg xmlns='http://www.w3.org/2000/svg' "
                 "xmlns:xlink='http://www.w3.org/1999/xlink' width='96' height='64'>"
                 "<image xlink:href='%s' href='%s' width='96' height='64'/></svg>",
                 address, address);
        struct vz_image image = decode_text(text, 0);
        assert_pixel_near(&image, 24, 16, 255, 255, 255, 0);
        vz_image_deinit(&image);
    }
    close(fd);
    unlink(path);
}

static void svg_objections(void **state)
{
    static const struct {
        const char *svg;
        bool fine;
    } cases[] = {
        {"<svg><image href='a.png'/></svg>", true},
        {"<svg><image href='data:image/png;base64,AAAA'/></svg>", false},
        {"<svg><image href=\"DATA:image/png;base64,AAAA\"/></svg>", false},
        {"<svg><s:image xmlns:s='http://www.w3.org/2000/svg' href='data:x'/></svg>", false},
        {"<svg><image alt='>' href='data:x'/></svg>", false},
        {"<svg><image href='&#100;ata:x'/></svg>", false},
        {"<svg><feImage href='data:x'/></svg>", false},
        {"<svg><xi:include href='data:x'/></svg>", false},
        {"<!DOCTYPE svg [<!ENTITY ns 'http://www.w3.org/2000/svg'>]><svg xmlns='&ns;'/>", true},
        {"<!DOCTYPE svg [<!ENTITY a '<image/>'>]><svg>&a;</svg>", false},
        {"<!DOCTYPE svg [<!ENTITY a '&#60;image/>'>]><svg>&a;</svg>", false},
        {"<!DOCTYPE svg [<!ENTITY a SYSTEM 'file:///etc/passwd'>]><svg>&a;</svg>", false},
        {"<!DOCTYPE svg [<!ATTLIST image href CDATA 'data:x'>]><svg><image/></svg>", false},
        {"<svg><style>@font-face{src:url(data:font/woff,x)}</style></svg>", true},
        {"<svg><filter id='f'><feBlend/></filter><g filter='url(#f)'/></svg>", true},
        {"<svg><image", true},
        {"<", true},
        {"", true},
    };
    for (size_t i = 0; i < VZ_COUNT_OF(cases); i++) {
        size_t len = strlen(cases[i].svg);
        char *copy = malloc(len + 1);
        memcpy(copy, cases[i].svg, len);
        const char *objection = vz_svg_objection((struct vz_slice){copy, len});
        if ((objection == NULL) != cases[i].fine)
            fail_msg("%s: %s", cases[i].svg, objection ? objection : "no objection");
        free(copy);
    }
}

/* `head`, `piece` so often, `tail`: is it too many filters? */
static bool filters_too_much(const char *head, const char *piece, int times, const char *tail)
{
    struct vz_buf svg = {0};
    vz_buf_append_str(&svg, "<svg>");
    vz_buf_append_str(&svg, head);
    for (int i = 0; i < times; i++)
        vz_buf_append_str(&svg, piece);
    vz_buf_append_str(&svg, tail);
    vz_buf_append_str(&svg, "</svg>");
    const char *objection = vz_svg_objection(vz_buf_slice(&svg));
    vz_buf_deinit(&svg);
    return objection && strstr(objection, "filters");
}

#define BLUR "<filter id='f'><feGaussianBlur/></filter>"

static void svg_filters_without_end(void **state)
{
    static const struct {
        const char *head, *piece, *tail;
    } cases[] = {
        {"<filter id='f'>", "<feTurbulence/>", "</filter><g filter='url(#f)'/>"},
        {BLUR, "<g filter='url(#f)'/>", ""},
        {"<g style='filter:", "blur(9px) ", "'/>"},
        {"<g filter='", "Drop-Shadow(1px 1px 1px) ", "'/>"},
        {BLUR "<style>g{FILTER:url(#f)}</style>", "<g/>", ""},
        {BLUR "<style>g{f\\69lter:url(#f)}</style>", "<g/>", ""},
        {BLUR, "<g style='&#102;ilter:url(#f)'/>", ""},
        {BLUR "<g id='a' filter='url(#f)'/>", "<use href='#a'/>", ""},
        {BLUR "<mask id='m'><g filter='url(#f)'/></mask>", "<g mask='url(#m)'/>", ""},
        {"<g style='", "f\\69lter:bl\\75r(9px);", "'/>"},
    };
    for (size_t i = 0; i < VZ_COUNT_OF(cases); i++) {
        if (!filters_too_much(cases[i].head, cases[i].piece, 1200, cases[i].tail))
            fail_msg("no objection to %s%s...%s", cases[i].head, cases[i].piece, cases[i].tail);
        if (filters_too_much(cases[i].head, cases[i].piece, 2, cases[i].tail))
            fail_msg("an objection to two of %s%s...%s", cases[i].head, cases[i].piece,
                     cases[i].tail);
    }
    assert_true(filters_too_much(BLUR "<marker id='m'><g filter='url(#f)'/></marker>", "", 0, ""));
    /* Much of anything else is fine, and a shadow on each of a hundred shapes. */
    assert_false(filters_too_much("<g id='a'/><marker/>", "<use href='#a'/>", 5000, ""));
    assert_false(filters_too_much("<style>g{fill:red}</style>", "<g/>", 5000, ""));
    assert_false(filters_too_much("<a title='C:\\a\\b'/>" BLUR
                                  "<marker/><style>g{fill:red}</style>",
                                  "<g filter='url(#f)'/><g/><g/>", 100, ""));
}

/* "pixi", which only describes, becomes "irot" by 270 degrees anticlockwise: what EXIF calls 6. */
static void turned_once(const char *suffix, bool irot)
{
    VipsImage *plain = four_colours(), *tagged;
    assert_int_equal(vips_copy(plain, &tagged, NULL), 0);
    g_object_unref(plain);
    vips_image_set_int(tagged, "orientation", 6);
    struct vz_buf bytes = write_as(tagged, suffix);
    if (irot) {
        char *box = memmem(bytes.data, bytes.len, "pixi", 4);
        assert_non_null(box);
        memcpy(box, "irot", 4);
        box[4] = 3;
    }
    struct vz_image image = decode_bytes(bytes, 0);
    assert_int_equal(image.exif.orientation, 6); /* the tag is there and must not count */
    assert_int_equal(image.width, irot ? HEIGHT : WIDTH);
    assert_int_equal(image.height, irot ? WIDTH : HEIGHT);
    assert_int_equal(image.file_width, image.width);
    if (irot) { /* clockwise: bottom left comes to the top left */
        assert_pixel_near(&image, HEIGHT / 4, WIDTH / 4, 50, 60, 220, 16);
        assert_pixel_near(&image, HEIGHT * 3 / 4, WIDTH / 4, 230, 40, 40, 16);
    } else {
        assert_four_colours(&image, 16);
    }
    vz_image_deinit(&image);
}

static void heic_turns_by_its_box(void **state)
{
    turned_once(".heic[Q=90]", true);
    turned_once(".heic[Q=90]", false);
}

static void avif_turns_by_its_box(void **state)
{
    turned_once(".avif[Q=90]", true);
    turned_once(".avif[Q=90]", false);
}

static uint32_t crc32_png(const char *bytes, size_t len)
{
    uint32_t crc = 0xFFFFFFFF;
    for (size_t i = 0; i < len; i++) {
        crc ^= (unsigned char)bytes[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? 0xEDB88320 : 0);
    }
    return ~crc;
}

/* libvips writes no eXIf chunk for an orientation alone; this puts one behind IHDR. */
static void add_exif_chunk(struct vz_buf *png)
{
    enum { BEHIND_IHDR = 33 };
    char chunk[] = "\0\0\0\x1A"
                   "eXIf"
                   "MM\0\x2A\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0....";
    uint32_t crc = crc32_png(chunk + 4, 30);
    for (int i = 0; i < 4; i++)
        chunk[34 + i] = (char)(crc >> (24 - 8 * i));
    struct vz_buf out = {0};
    vz_buf_append(&out, png->data, BEHIND_IHDR);
    vz_buf_append(&out, chunk, 38);
    vz_buf_append(&out, png->data + BEHIND_IHDR, png->len - BEHIND_IHDR);
    vz_buf_deinit(png);
    *png = out;
}

/* Stored as `orientation` says, every format with EXIF comes back upright. */
static void others_turn_by_exif(void **state)
{
    static const char *const suffixes[] = {".jpg[Q=95]", ".webp[lossless]", ".tif", ".tif[bigtiff]",
                                           ".png"};
    for (size_t i = 0; i < VZ_COUNT_OF(suffixes); i++) {
        VipsImage *plain = four_colours(), *turned, *tagged;
        assert_int_equal(vips_rot(plain, &turned, VIPS_ANGLE_D270, NULL), 0);
        assert_int_equal(vips_copy(turned, &tagged, NULL), 0);
        g_object_unref(plain);
        g_object_unref(turned);
        vips_image_set_int(tagged, "orientation", 6);
        struct vz_buf bytes = write_as(tagged, suffixes[i]);
        if (strcmp(suffixes[i], ".png") == 0)
            add_exif_chunk(&bytes);
        struct vz_image image = decode_bytes(bytes, 0);
        if (image.exif.orientation != 6 || image.width != WIDTH)
            fail_msg("%s: orientation %d, width %d", suffixes[i], image.exif.orientation,
                     image.width);
        assert_four_colours(&image, 8);
        vz_image_deinit(&image);
    }
}

/* The exposure's date is found wherever a format keeps its EXIF. */
static void every_format_tells_its_date(void **state)
{
    static const char *const suffixes[] = {".jpg", ".webp", ".png", ".heic", ".avif"};
    for (size_t i = 0; i < VZ_COUNT_OF(suffixes); i++) {
        VipsImage *plain = four_colours(), *tagged;
        assert_int_equal(vips_copy(plain, &tagged, NULL), 0);
        g_object_unref(plain);
        vips_image_set_blob_copy(tagged, VIPS_META_EXIF_NAME,
                                 "Exif\0\0II\x2A\0\x08\0\0\0\0\0\0\0\0\0", 20);
        vips_image_set_string(tagged, "exif-ifd2-DateTimeOriginal",
                              "2024:05:01 10:11:12 (2024:05:01 10:11:12, ASCII, 20 components, "
                              "20 bytes)");
        struct vz_image image = decode_bytes(write_as(tagged, suffixes[i]), 16);
        if (strcmp(image.exif.date_iso, "2024-05-01T10:11:12.000Z") != 0)
            fail_msg("%s: date [%s]", suffixes[i], image.exif.date_iso);
        vz_image_deinit(&image);
    }
}

/* Half transparent red on white is pink; clear is white, whatever colour is under it. */
static void transparency_is_white(void **state)
{
    static const char *const suffixes[] = {".png", ".png[bitdepth=16]", ".webp[lossless]", ".tif"};
    uint8_t rgba[64 * 64 * 4];
    for (int i = 0; i < 64 * 64; i++) {
        static const uint8_t alphas[] = {0, 128, 255};
        memcpy(rgba + i * 4, (uint8_t[]){255, 0, 0, alphas[VZ_MIN(i % 64 / 21, 2)]}, 4);
    }
    for (size_t i = 0; i < VZ_COUNT_OF(suffixes); i++)
        for (int target = 0; target <= 24; target += 24) {
            VipsImage *raw =
                vips_image_new_from_memory(rgba, sizeof rgba, 64, 64, 4, VIPS_FORMAT_UCHAR);
            VipsImage *image;
            if (strstr(suffixes[i], "16"))
                assert_int_equal(vips_colourspace(raw, &image, VIPS_INTERPRETATION_RGB16,
                                                  "source_space", VIPS_INTERPRETATION_sRGB, NULL),
                                 0);
            else
                assert_int_equal(
                    vips_copy(raw, &image, "interpretation", VIPS_INTERPRETATION_sRGB, NULL), 0);
            struct vz_image decoded = decode_bytes(write_as(image, suffixes[i]), target);
            g_object_unref(raw);
            int y = decoded.height / 2, w = decoded.width;
            assert_pixel_near(&decoded, w / 6, y, 255, 255, 255, 2);
            assert_pixel_near(&decoded, w / 2, y, 255, 127, 127, 2);
            assert_pixel_near(&decoded, w * 5 / 6, y, 255, 0, 0, 2);
            vz_image_deinit(&decoded);
        }
}

static void convert_and_check(VipsInterpretation space, const char *suffix, int r, int g, int b,
                              int tolerance)
{
    VipsImage *plain = four_colours(), *other;
    assert_int_equal(vips_colourspace(plain, &other, space, NULL), 0);
    g_object_unref(plain);
    struct vz_image image = decode_bytes(write_as(other, suffix), 0);
    assert_pixel_near(&image, WIDTH / 4, HEIGHT / 4, r, g, b, tolerance);
    vz_image_deinit(&image);
}

static void other_colour_spaces(void **state)
{
    convert_and_check(VIPS_INTERPRETATION_RGB16, ".png", 230, 40, 40, 1);
    convert_and_check(VIPS_INTERPRETATION_RGB16, ".tif", 230, 40, 40, 1);
    convert_and_check(VIPS_INTERPRETATION_B_W, ".png", 118, 118, 118, 12);
    convert_and_check(VIPS_INTERPRETATION_B_W, ".jpg[Q=95]", 118, 118, 118, 12);
    convert_and_check(VIPS_INTERPRETATION_GREY16, ".png", 118, 118, 118, 12);
    convert_and_check(VIPS_INTERPRETATION_CMYK, ".jpg[Q=95]", 230, 40, 40, 30);
    convert_and_check(VIPS_INTERPRETATION_CMYK, ".tif", 230, 40, 40, 30);
    convert_and_check(VIPS_INTERPRETATION_LAB, ".tif", 230, 40, 40, 4);
}

/* With an embedded profile the numbers change and the colour stays. */
static void profiles_are_applied(void **state)
{
    VipsImage *plain = four_colours(), *p3;
    if (vips_icc_transform(plain, &p3, "p3", "input_profile", "srgb", NULL) != 0)
        fail_msg("%s", vips_error_buffer());
    g_object_unref(plain);
    struct vz_image image = decode_bytes(write_as(p3, ".png"), 0);
    assert_four_colours(&image, 3);
    vz_image_deinit(&image);
}

static void a_broken_profile_is_ignored(void **state)
{
    VipsImage *plain = four_colours(), *tagged;
    assert_int_equal(vips_copy(plain, &tagged, NULL), 0);
    g_object_unref(plain);
    vips_image_set_blob_copy(tagged, VIPS_META_ICC_NAME, "this is no profile, not even nearly", 35);
    struct vz_image image = decode_bytes(write_as(tagged, ".tif"), 0);
    assert_four_colours(&image, 1);
    vz_image_deinit(&image);
}

/* The first page of three; its size is what the limits and the file size speak of. */
static void first_page_only(void **state)
{
    static const char *const suffixes[] = {".gif", ".webp[lossless]", ".tif"};
    for (size_t i = 0; i < VZ_COUNT_OF(suffixes); i++) {
        VipsImage *pages[3] = {four_colours(), NULL, NULL}, *joined, *tagged;
        assert_int_equal(vips_invert(pages[0], &pages[1], NULL), 0);
        assert_int_equal(vips_flip(pages[0], &pages[2], VIPS_DIRECTION_VERTICAL, NULL), 0);
        assert_int_equal(vips_arrayjoin(pages, &joined, 3, "across", 1, NULL), 0);
        assert_int_equal(vips_copy(joined, &tagged, NULL), 0);
        vips_image_set_int(tagged, VIPS_META_PAGE_HEIGHT, HEIGHT);
        g_object_unref(joined);
        for (int k = 0; k < 3; k++)
            g_object_unref(pages[k]);
        struct vz_image image = decode_bytes(write_as(tagged, suffixes[i]), 0);
        assert_int_equal(image.height, HEIGHT);
        assert_int_equal(image.file_height, HEIGHT);
        assert_four_colours(&image, 8);
        vz_image_deinit(&image);
    }
}

/* Each format cut anywhere, and with bits flipped. */
static void damaged(void **state)
{
    static const char *const suffixes[] = {".webp", ".gif", ".tif[compression=deflate]", ".heic",
                                           ".avif"};
    uint64_t seed = 7;
    print_message("seed %llu\n", (unsigned long long)seed);
    for (size_t i = 0; i < VZ_COUNT_OF(suffixes); i++) {
        struct vz_buf good = write_as(four_colours(), suffixes[i]);
        unsigned decoded = 0, rounds = 120;
        for (unsigned round = 0; round < rounds; round++) {
            char name[64];
            size_t len = vz_rng_next(&seed) % good.len;
            snprintf(name, sizeof name, "%s cut at %zu", suffixes[i], len);
            decoded += decode_or_explain((struct vz_slice){good.data, len}, 0, name) == VZ_OK;
        }
        print_message("%s: %u of %u cuts decoded\n", suffixes[i], decoded, rounds);
        assert_true(decoded <= rounds / 10);
        for (unsigned round = 0; round < rounds; round++) {
            char *copy = malloc(good.len), name[64];
            memcpy(copy, good.data, good.len);
            for (size_t k = 0; k < 1 + round % 8; k++)
                copy[vz_rng_next(&seed) % good.len] ^= (char)(1 << vz_rng_next(&seed) % 8);
            snprintf(name, sizeof name, "%s with flips, round %u", suffixes[i], round);
            decode_or_explain((struct vz_slice){copy, good.len}, round % 2 ? 16 : 0, name);
            free(copy);
        }
        vz_buf_deinit(&good);
    }
}

/* What is blocked stays blocked, whoever asks libvips. */
static void untrusted_loaders_are_blocked(void **state)
{
    static const char pgm[] = "P5 1 1 255 x";
    VipsImage *image = vips_image_new_from_buffer(pgm, sizeof pgm - 1, "", NULL);
    assert_null(image);
    vips_error_clear();
    struct vz_error err = {0};
    assert_int_equal(
        vz_image_decode(VZ_SLICE("P5 1 1 255 x"), NULL, 0, &(struct vz_image){0}, &err),
        VZ_BAD_IMAGE);
}

/* The encoders that only this test uses: x265 keeps its tables for the process. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
    return "leak:x265_malloc\n";
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(jpeg),
        cmocka_unit_test(png),
        cmocka_unit_test(webp),
        cmocka_unit_test(webp_lossless),
        cmocka_unit_test(gif),
        cmocka_unit_test(tiff),
        cmocka_unit_test(tiff_tiled),
        cmocka_unit_test(tiff_jpeg),
        cmocka_unit_test(bigtiff),
        cmocka_unit_test(heic),
        cmocka_unit_test(avif),
        cmocka_unit_test(svg),
        cmocka_unit_test(svg_reaches_nothing),
        cmocka_unit_test(svg_objections),
        cmocka_unit_test(svg_filters_without_end),
        cmocka_unit_test(heic_turns_by_its_box),
        cmocka_unit_test(avif_turns_by_its_box),
        cmocka_unit_test(others_turn_by_exif),
        cmocka_unit_test(every_format_tells_its_date),
        cmocka_unit_test(transparency_is_white),
        cmocka_unit_test(other_colour_spaces),
        cmocka_unit_test(profiles_are_applied),
        cmocka_unit_test(a_broken_profile_is_ignored),
        cmocka_unit_test(first_page_only),
        cmocka_unit_test(damaged),
        cmocka_unit_test(untrusted_loaders_are_blocked),
    };
    return cmocka_run_group_tests(tests, start_images, stop_images);
}
