/* image/encode.c - resized copies and encoded files. No metadata is written: a thumbnail must not
 * carry the place a photo was taken. */
#include "image/parts.h"

#include <stdlib.h>
#include <vips/vips.h>

enum { MAX_SIDE = 65535 };

enum vz_status vz_image_resize(const struct vz_image *image, int width, int height,
                               struct vz_image *out, struct vz_error *err)
{
    if (width < 1 || height < 1 || width > MAX_SIDE || height > MAX_SIDE)
        return vz_fail(err, VZ_BAD_ARGUMENT, "cannot resize to %d x %d; a side is 1 to %d", width,
                       height, MAX_SIDE);
    struct vz_image made = *image;
    made.rgb = vz_rgb_resize(image->rgb, image->width, image->height, width, height);
    if (!made.rgb)
        return vz_fail(err, VZ_BUDGET, "no memory to resize to %d x %d", width, height);
    made.width = width;
    made.height = height;
    *out = made;
    return VZ_OK;
}

enum vz_status vz_image_encode(const struct vz_image *image, const char *format, int quality,
                               struct vz_buf *out, struct vz_error *err)
{
    bool jpeg = strcmp(format, "jpeg") == 0;
    if (!jpeg && strcmp(format, "png") != 0)
        return vz_fail(err, VZ_BAD_ARGUMENT, "cannot write [%s]; jpeg or png", format);
    if (jpeg && (quality < 1 || quality > 100))
        return vz_fail(err, VZ_BAD_ARGUMENT, "JPEG quality %d is not within 1 to 100", quality);

    VipsImage *raw = NULL, *srgb = NULL;
    void *bytes = NULL;
    size_t len = 0, size = (size_t)image->width * (size_t)image->height * 3;
    raw = vips_image_new_from_memory(image->rgb, size, image->width, image->height, 3,
                                     VIPS_FORMAT_UCHAR);
    int failed = !raw ||
                 vips_copy(raw, &srgb, "interpretation", VIPS_INTERPRETATION_sRGB, NULL) != 0 ||
                 (jpeg ? vips_jpegsave_buffer(srgb, &bytes, &len, "Q", quality, "strip", TRUE, NULL)
                       : vips_pngsave_buffer(srgb, &bytes, &len, "strip", TRUE, NULL)) != 0;
    if (!failed)
        vz_buf_append(out, bytes, len);
    g_free(bytes);
    g_clear_object(&srgb);
    g_clear_object(&raw);
    if (failed) {
        vz_fail(err, VZ_INTERNAL, "cannot write a %s of %d x %d", format, image->width,
                image->height);
        vz_fail_cause(err, "%s", vips_error_buffer());
        vips_error_clear();
        return VZ_INTERNAL;
    }
    return VZ_OK;
}
