/* image/decode.c - bytes to upright RGB by libvips.
 *
 * The way of a picture: sniff -> open (header only) -> limits -> EXIF -> reopen smaller where the
 * loader can shrink -> shrink, sRGB, white behind -> pixels in memory -> exact size -> upright.
 *
 * 1. The loader is chosen here by the first bytes and called by name. libvips' own search over
 *    loaders is never used, so a file cannot pick an ImageMagick or OpenSlide reader; blocking
 *    untrusted operations is the second fence.
 * 2. No pixel is decoded before the header passed the limits.
 * 3. Everything before "pixels in memory" streams, so a 100-megapixel PNG asked for at 256 pixels
 *    needs rows, not 300 MB.
 * 4. Shrinking happens in two steps: whole factors (by the JPEG or WebP decoder, or a box) down to
 *    no less than twice the wanted side, then the exact cubic of resample.c. All of it is integer
 *    arithmetic, so vectors do not depend on the machine's SIMD.
 * 5. Not every decoder streams: of 100 megapixels HEIC and AVIF hold 700 MB, an interlaced PNG 430,
 *    a progressive JPEG 340. So 7 bytes a pixel are reckoned for each, all that are decoded at once
 *    are held to a quarter of the memory there is, and what is over that waits.
 * 6. A truncated file is an error, not a picture that is grey from the middle on: a vector of the
 *    half picture would silently match nothing.
 */
#include "base/log.h"
#include "base/thread.h"
#include "image/parts.h"

#include <math.h>
#include <stdlib.h>
#include <vips/vips.h>

enum {
    DEFAULT_MAX_BYTES = 100 * 1000 * 1000,
    SVG_MAX_BYTES = 10 * 1000 * 1000,
    SVG_MAX_SIDE = 32767, /* librsvg's */
    JPEG_MAX_SCANS = 50   /* encoders write 1 to about 15 */
};
static const double DEFAULT_MEGAPIXELS = 100;
/* A drawing is as good at any size, and its filters cost time by the pixel. */
static const double SVG_MAX_MEGAPIXELS = 25;

enum { PIXEL_BYTES = 7 };
static struct vz_gate gate = VZ_GATE_INIT(400e6); /* bytes; vz_image_start knows better */

static void to_log(const char *domain, GLogLevelFlags level, const char *text, void *context)
{
    vz_log(VZ_LOG_DEBUG, "image", "%s: %s", domain ? domain : "glib", text);
}

enum vz_status vz_image_start(struct vz_error *err)
{
    static const char *const allowed[] = {"VipsForeignLoadSvgBuffer"};
    gate.most = (double)vz_memory_bytes() / 4;
    if (vips_init("vizsla") != 0)
        return vz_fail(err, VZ_INTERNAL, "libvips does not start: %s", vips_error_buffer());
    /* Blocks every loader that libvips calls untrusted; 8.14 counts librsvg among them, which the
     * checks of sniff.c make fit for use. JPEG, PNG, WebP, GIF, TIFF and HEIF are trusted. */
    vips_block_untrusted_set(TRUE);
    for (size_t i = 0; i < VZ_COUNT_OF(allowed); i++)
        vips_operation_block_set(allowed[i], FALSE);
    /* Many pictures at once, one thread each; nothing is asked for twice. */
    vips_concurrency_set(1);
    vips_cache_set_max(0);
    /* Loaders warn about broken metadata on standard error; a server's log decides instead. */
    g_log_set_handler("VIPS", G_LOG_LEVEL_MASK, to_log, NULL);
    g_log_set_handler("GLib-GObject", G_LOG_LEVEL_WARNING, to_log, NULL); /* svg_is_too_large */
    return VZ_OK;
}

void vz_image_stop(void)
{
    vips_shutdown();
}

void vz_image_deinit(struct vz_image *image)
{
    free(image->rgb);
    *image = (struct vz_image){0};
}

/* Fails with our sentence and the first line of libvips' reason. The error buffer is one for the
 * process, so under load the reason may be another picture's; ours never is. */
static enum vz_status fail_vips(struct vz_error *err, const char *what)
{
    char *reason = vips_error_buffer_copy();
    for (char *p = reason; *p; p++) {
        if (*p == '\n')
            *p = 0;
        else if ((unsigned char)*p < 32 || (unsigned char)*p > 126)
            *p = '?';
        if (!*p)
            break;
    }
    vz_fail(err, VZ_BAD_IMAGE, "%s%s%s", what, *reason ? ": " : "", reason);
    g_free(reason);
    return VZ_BAD_IMAGE;
}

/* How to open: shrink is a whole factor (JPEG: 1, 2, 4, 8), scale a real one (WebP, SVG). */
struct opening {
    int shrink;
    double scale;
};

static VipsImage *open_image(enum vz_image_format format, struct vz_slice bytes,
                             struct opening opening)
{
    VipsImage *image = NULL;
    void *data = (void *)(uintptr_t)bytes.ptr; /* libvips only reads it */
    size_t len = bytes.len;
    int failed = -1;
#define COMMON "access", VIPS_ACCESS_SEQUENTIAL, "fail_on", VIPS_FAIL_ON_TRUNCATED
    switch (format) {
    case VZ_FORMAT_JPEG:
        failed = vips_jpegload_buffer(data, len, &image, COMMON, "shrink", opening.shrink, NULL);
        break;
    case VZ_FORMAT_PNG:
        failed = vips_pngload_buffer(data, len, &image, COMMON, NULL);
        break;
    case VZ_FORMAT_WEBP:
        failed = vips_webpload_buffer(data, len, &image, COMMON, "scale", opening.scale, NULL);
        break;
    case VZ_FORMAT_GIF:
        failed = vips_gifload_buffer(data, len, &image, COMMON, NULL);
        break;
    case VZ_FORMAT_TIFF:
        failed = vips_tiffload_buffer(data, len, &image, COMMON, NULL);
        break;
    case VZ_FORMAT_HEIF:
    case VZ_FORMAT_AVIF:
        failed = vips_heifload_buffer(data, len, &image, COMMON, NULL);
        break;
    case VZ_FORMAT_SVG:
        failed = vips_svgload_buffer(data, len, &image, COMMON, "scale", opening.scale, NULL);
        break;
    case VZ_FORMAT_NONE:
        break;
    }
#undef COMMON
    return failed ? NULL : image;
}

/* Replaces *image by `next`, the result of an operation on it. */
static bool step(VipsImage **image, int failed, VipsImage *next)
{
    g_object_unref(*image);
    *image = failed ? NULL : next;
    return !failed;
}

/* A broken or mismatched profile is ignored: the plain conversion is what viewers show then. */
static bool to_srgb(VipsImage **image)
{
    VipsImage *next = NULL;
    if (vips_image_get_typeof(*image, VIPS_META_ICC_NAME)) {
        if (vips_icc_transform(*image, &next, "srgb", "embedded", TRUE, "depth", 8, NULL) == 0)
            return step(image, 0, next);
        vips_error_clear();
        next = NULL;
    }
    if (!vips_colourspace_issupported(*image)) {
        VipsInterpretation guess =
            (*image)->Bands >= 3 ? VIPS_INTERPRETATION_sRGB : VIPS_INTERPRETATION_B_W;
        int failed = vips_copy(*image, &next, "interpretation", guess, NULL);
        if (!step(image, failed, next))
            return false;
        next = NULL;
    }
    int failed = vips_colourspace(*image, &next, VIPS_INTERPRETATION_sRGB, NULL);
    return step(image, failed, next);
}

static bool onto_white(VipsImage **image)
{
    VipsImage *next = NULL;
    if ((*image)->Bands > 3) {
        VipsArrayDouble *white = vips_array_double_newv(3, 255.0, 255.0, 255.0);
        int failed = vips_image_hasalpha(*image) && (*image)->Bands == 4
                         ? vips_flatten(*image, &next, "background", white, NULL)
                         : vips_extract_band(*image, &next, 0, "n", 3, NULL);
        vips_area_unref(VIPS_AREA(white));
        if (!step(image, failed, next))
            return false;
        next = NULL;
    }
    if ((*image)->BandFmt != VIPS_FORMAT_UCHAR) {
        int failed = vips_cast(*image, &next, VIPS_FORMAT_UCHAR, NULL);
        return step(image, failed, next);
    }
    return true;
}

static bool box_shrink(VipsImage **image, int factor)
{
    VipsImage *next = NULL;
    if (factor < 2)
        return true;
    int failed = vips_shrink(*image, &next, factor, factor, NULL);
    return step(image, failed, next);
}

/* Colour before shrinking only where there is transparency, because what is behind a transparent
 * pixel must not bleed into its neighbours; otherwise after, when there are fewer pixels. */
static bool to_rgb(VipsImage **image, int factor)
{
    if (vips_image_hasalpha(*image))
        return to_srgb(image) && onto_white(image) && box_shrink(image, factor);
    return box_shrink(image, factor) && to_srgb(image) && onto_white(image);
}

static enum vz_status check_size(const VipsImage *image, double max_megapixels,
                                 struct vz_error *err)
{
    double megapixels = (double)image->Xsize * image->Ysize / 1e6;
    if (image->Xsize < 1 || image->Ysize < 1)
        return vz_fail(err, VZ_BAD_IMAGE, "the picture has no pixels");
    if (megapixels > max_megapixels)
        return vz_fail(err, VZ_LIMIT,
                       "the picture is %d x %d, %.1f megapixels; the limit is %g megapixels",
                       image->Xsize, image->Ysize, megapixels, max_megapixels);
    return VZ_OK;
}

/* libvips writes an SVG's sides into properties that refuse more than ten million, warns, and goes
 * on with a side of 1. A side that really is 1 grows when drawn a thousand times larger. */
static bool svg_is_too_large(struct vz_slice bytes, const VipsImage *image)
{
    if (VZ_MAX(image->Xsize, image->Ysize) > SVG_MAX_SIDE)
        return true;
    if (image->Xsize > 1 && image->Ysize > 1)
        return false;
    VipsImage *larger = open_image(VZ_FORMAT_SVG, bytes, (struct opening){1, 1000.0});
    if (!larger) {
        vips_error_clear();
        return true;
    }
    bool too_large =
        (image->Xsize == 1 && larger->Xsize == 1) || (image->Ysize == 1 && larger->Ysize == 1);
    g_object_unref(larger);
    return too_large;
}

static void read_exif(enum vz_image_format format, struct vz_slice bytes, VipsImage *image,
                      struct vz_exif *out)
{
    const void *blob;
    size_t len;
    struct vz_slice block = {0};
    if (format == VZ_FORMAT_TIFF)
        block = bytes; /* a TIFF file is itself the structure that EXIF borrowed */
    else if (vips_image_get_typeof(image, VIPS_META_EXIF_NAME) &&
             vips_image_get_blob(image, VIPS_META_EXIF_NAME, &blob, &len) == 0)
        block = (struct vz_slice){blob, len};
    vz_exif_read(block, out);
    /* BigTIFF has another structure; libvips still knows which way up. */
    if (format == VZ_FORMAT_TIFF && out->orientation == 1)
        out->orientation = vips_image_get_orientation(image);
}

/* The whole factor that leaves the shorter side at least twice `target`, for the cubic to finish.
 */
static int whole_factor(int shorter, int target)
{
    return target > 0 ? VZ_MAX(shorter / 2 / target, 1) : 1;
}

/* Reopens *image smaller where the loader can do it cheaply; *factor is what remains to shrink. */
static bool reopen_smaller(enum vz_image_format format, struct vz_slice bytes, int target,
                           double max_megapixels, VipsImage **image, int *factor)
{
    int shorter = VZ_MIN((*image)->Xsize, (*image)->Ysize);
    int longer = VZ_MAX((*image)->Xsize, (*image)->Ysize);
    struct opening opening = {1, 1.0};
    *factor = whole_factor(shorter, target);
    if (target == 0 || (target < 0 && format != VZ_FORMAT_JPEG))
        return true;
    if (target < 0) {
        while (opening.shrink < 8 && shorter / (opening.shrink * 2) >= -target)
            opening.shrink *= 2;
    } else if (format == VZ_FORMAT_JPEG) {
        while (opening.shrink < 8 && opening.shrink * 2 <= *factor)
            opening.shrink *= 2;
        *factor = whole_factor(shorter / opening.shrink, target);
    } else if (format == VZ_FORMAT_WEBP) {
        opening.scale = 1.0 / *factor;
        *factor = 1;
    } else if (format == VZ_FORMAT_SVG) {
        /* Drawn at the wanted size, larger too: a drawing has no pixels of its own. */
        double scale = (target + 0.5) / shorter; /* rounds to no less; fit() trims */
        double side_cap = (double)SVG_MAX_SIDE / longer;
        double area_cap = sqrt(max_megapixels * 1e6 / ((double)shorter * longer));
        scale = VZ_MIN(scale, VZ_MAX(VZ_MIN(side_cap, area_cap), 1.0));
        opening.scale = VZ_MAX(scale, 0.001); /* the loader's least */
        *factor = 1;
    }
    if (opening.shrink == 1 && opening.scale == 1.0)
        return true;
    g_object_unref(*image);
    *image = open_image(format, bytes, opening);
    return *image != NULL;
}

/* Shorter side exactly `target`, where it is larger. */
static enum vz_status fit(struct vz_image *image, int target, struct vz_error *err)
{
    int shorter = VZ_MIN(image->width, image->height);
    int file_shorter = VZ_MIN(image->file_width, image->file_height);
    int file_longer = VZ_MAX(image->file_width, image->file_height);
    if (target <= 0 || shorter <= target)
        return VZ_OK;
    int longer = VZ_MAX((int)lround((double)target * file_longer / file_shorter), target);
    bool wide = image->width > image->height;
    int width = wide ? longer : target, height = wide ? target : longer;
    uint8_t *rgb = vz_rgb_resize(image->rgb, image->width, image->height, width, height);
    if (!rgb)
        return vz_fail(err, VZ_BUDGET, "no memory to resize a picture of %d x %d", image->width,
                       image->height);
    free(image->rgb);
    image->rgb = rgb;
    image->width = width;
    image->height = height;
    return VZ_OK;
}

/* Runs the pipeline. The bytes come from g_malloc, which is malloc (GLib 2.46 on), so that
 * vz_image_deinit may free() them. */
static enum vz_status take_pixels(VipsImage *image, struct vz_image *out, struct vz_error *err)
{
    size_t len;
    if (image->Bands != 3 || image->BandFmt != VIPS_FORMAT_UCHAR)
        return vz_fail(err, VZ_BAD_IMAGE, "a colour space of %d channels is not supported",
                       image->Bands);
    out->rgb = vips_image_write_to_memory(image, &len);
    if (!out->rgb)
        return fail_vips(err, "the picture is broken or cut off");
    out->width = image->Xsize;
    out->height = image->Ysize;
    return VZ_OK;
}

static enum vz_status check_bytes(struct vz_slice bytes, size_t max_bytes,
                                  enum vz_image_format *format, struct vz_error *err)
{
    if (bytes.len == 0)
        return vz_fail(err, VZ_BAD_IMAGE, "the picture is empty (0 bytes)");
    if (bytes.len > max_bytes)
        return vz_fail(err, VZ_LIMIT, "the picture has %zu bytes; the limit is %zu bytes",
                       bytes.len, max_bytes);
    *format = vz_image_sniff(bytes);
    if (*format == VZ_FORMAT_NONE) {
        const char *other = vz_image_sniff_other(bytes);
        return vz_fail(err, VZ_BAD_IMAGE,
                       "%s%s; JPEG, PNG, WebP, GIF, TIFF, HEIC, AVIF and SVG are read",
                       other ? "not a supported picture but " : "not a picture of a known format",
                       other ? other : "");
    }
    int scans = *format == VZ_FORMAT_JPEG ? vz_jpeg_scan_count(bytes) : 0;
    if (scans > JPEG_MAX_SCANS)
        return vz_fail(err, VZ_LIMIT, "the JPEG has %d scans; the limit is %d scans", scans,
                       JPEG_MAX_SCANS);
    if (*format == VZ_FORMAT_SVG) {
        if (bytes.len > SVG_MAX_BYTES)
            return vz_fail(err, VZ_LIMIT, "the SVG has %zu bytes; the limit for SVG is %d bytes",
                           bytes.len, SVG_MAX_BYTES);
        const char *objection = vz_svg_objection(bytes);
        if (objection)
            return vz_fail(err, VZ_BAD_IMAGE, "the SVG holds %s, which is not allowed", objection);
    }
    return VZ_OK;
}

/* Opens the header and holds it against the limits; *image is the caller's to release. */
static enum vz_status open_checked(enum vz_image_format format, struct vz_slice bytes,
                                   double max_megapixels, const char *what, VipsImage **image,
                                   struct vz_error *err)
{
    *image = open_image(format, bytes, (struct opening){1, 1.0});
    if (!*image)
        return fail_vips(err, what);
    if (format == VZ_FORMAT_SVG && svg_is_too_large(bytes, *image))
        return vz_fail(err, VZ_LIMIT, "the SVG is too large; a side is at most %d pixels",
                       SVG_MAX_SIDE);
    return check_size(*image, max_megapixels, err);
}

static enum vz_status turn_upright(struct vz_image *image, struct vz_error *err)
{
    int orientation = image->exif.orientation;
    image->rgb = vz_rgb_orient(image->rgb, &image->width, &image->height, orientation);
    if (!image->rgb)
        return vz_fail(err, VZ_BUDGET, "no memory to turn a picture upright");
    if (orientation >= 5) {
        int width = image->file_width;
        image->file_width = image->file_height;
        image->file_height = width;
    }
    return VZ_OK;
}

enum vz_status vz_image_decode(struct vz_slice bytes, const struct vz_image_limits *limits,
                               int target_side, struct vz_image *out, struct vz_error *err)
{
    size_t max_bytes = limits && limits->max_bytes ? limits->max_bytes : DEFAULT_MAX_BYTES;
    double max_megapixels =
        limits && limits->max_megapixels > 0 ? limits->max_megapixels : DEFAULT_MEGAPIXELS;
    enum vz_image_format format = VZ_FORMAT_NONE;
    char what[64];
    VipsImage *image = NULL;
    int factor = 1;
    double weight = 0;

    *out = (struct vz_image){0};
    enum vz_status status = check_bytes(bytes, max_bytes, &format, err);
    if (status != VZ_OK)
        return status;
    if (format == VZ_FORMAT_SVG)
        max_megapixels = VZ_MIN(max_megapixels, SVG_MAX_MEGAPIXELS);
    snprintf(out->format, sizeof out->format, "%s", vz_image_format_name(format));
    snprintf(what, sizeof what, "not a readable %s", out->format);

    if ((status = open_checked(format, bytes, max_megapixels, what, &image, err)) != VZ_OK)
        goto out;
    out->file_width = image->Xsize;
    out->file_height = image->Ysize;
    weight = (double)image->Xsize * image->Ysize * PIXEL_BYTES;
    vz_gate_enter(&gate, weight);
    read_exif(format, bytes, image, &out->exif);
    if (!reopen_smaller(format, bytes, target_side, max_megapixels, &image, &factor) ||
        !to_rgb(&image, factor)) {
        status = fail_vips(err, what);
        goto out;
    }
    if ((status = take_pixels(image, out, err)) != VZ_OK ||
        (status = fit(out, target_side, err)) != VZ_OK)
        goto out;
    if (format != VZ_FORMAT_HEIF && format != VZ_FORMAT_AVIF) /* libheif has turned those */
        status = turn_upright(out, err);
out:
    if (image)
        g_object_unref(image);
    if (weight > 0)
        vz_gate_leave(&gate, weight);
    if (status != VZ_OK)
        vz_image_deinit(out);
    else
        vips_error_clear(); /* a loader's complaint about a picture that was read all the same */
    return status;
}
