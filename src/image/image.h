/* image/image.h - a file's bytes to upright RGB, and what its EXIF says.
 *
 * Decoding is libvips', with its untrusted loaders blocked; limits are checked on the header,
 * before pixels are touched. Not for: embeddings (src/embed), files on disk (base/file.h reads
 * them). Threads: vz_image_start once, before other threads; then every function from any thread;
 * an image belongs to one thread at a time.
 *
 *     struct vz_image image;
 *     if (vz_image_decode(bytes, &(struct vz_image_limits){0}, 0, &image, &err) == VZ_OK) {
 *         use(image.rgb, image.width, image.height);
 *         vz_image_deinit(&image);
 *     }
 */
#ifndef VZ_IMAGE_IMAGE_H
#define VZ_IMAGE_IMAGE_H

#include "base/mem.h"
#include "base/status.h"

struct vz_image_limits {
    size_t max_bytes;      /* encoded; 0 means 100 MB */
    double max_megapixels; /* decoded; 0 means 100 */
};

struct vz_exif {
    bool has_date;
    int64_t date_ms;   /* of the exposure; local camera time read as UTC when no offset is given */
    char date_iso[32]; /* "2024-05-01T10:11:12.000Z", empty when absent */
    bool has_location; /* false for 0, 0 too: that is a receiver without a fix */
    double lat, lon;   /* degrees, WGS 84; -90..90, -180..180 */
    int orientation;   /* 1..8 as stored, 1 when absent or out of range */
};

struct vz_image {
    uint8_t *rgb; /* height * width * 3, rows tightly packed, sRGB, upright; owned */
    int width, height;
    int file_width, file_height; /* upright, before any shrinking on load */
    char format[12];             /* "jpeg", "png", "webp", "gif", "tiff", "heif", "avif", "svg" */
    struct vz_exif exif;
};

/* Once per process, before threads start. Fails only when libvips cannot start. */
enum vz_status vz_image_start(struct vz_error *err);
void vz_image_stop(void);

/* Decodes, turns upright (HEIF is not turned twice), converts to sRGB (by the embedded profile
 * where there is one), puts transparency on white, takes the first page of several.
 *
 * target_side > 0: a picture whose shorter side is larger comes back with a shorter side of exactly
 * target_side and the longer in proportion (JPEG and WebP are shrunk while decoding, the rest is
 * antialiased); a smaller one keeps its size. An SVG is drawn at that size, larger too. 0 keeps the
 * file's size. target_side < 0: nothing is resized; a JPEG is shrunk while decoding, by 2, 4 or 8,
 * as long as its shorter side stays at least -target_side.
 *
 * max_megapixels counts the one page that is decoded. A file cut off in the middle is an error, not
 * half a picture. An SVG reaches no other file or host: what it refers to is left out, and one
 * with pictures embedded as data: addresses is refused; so is one of more than 10 MB, 25 megapixels
 * or endless filters, and a JPEG of more than 50 scans.
 * NULL limits: the defaults. Blocks, also while others decode so much that a quarter of the machine's
 * memory could be gone; allocates 3 bytes a pixel for the picture, up to 7 on the way, or little more
 * than rows where the format can be shrunk while it streams. Bytes are not kept.
 * Errors: VZ_BAD_IMAGE (text says what is wrong), VZ_LIMIT (text names limit and size), VZ_BUDGET
 * (no memory); *out is empty then. */
enum vz_status vz_image_decode(struct vz_slice bytes, const struct vz_image_limits *limits,
                               int target_side, struct vz_image *out, struct vz_error *err);
void vz_image_deinit(struct vz_image *image);

/* Antialiased bicubic resize to exactly width x height (each 1..65535); stretches. Byte for byte
 * what Pillow's BICUBIC gives, on every machine. *out is a new image with the exif, format and
 * file size of `image`, which is unchanged. Errors: VZ_BAD_ARGUMENT, VZ_BUDGET; *out is untouched
 * then. */
enum vz_status vz_image_resize(const struct vz_image *image, int width, int height,
                               struct vz_image *out, struct vz_error *err);

/* A JPEG or PNG ("jpeg" | "png") of the image appended to `out`, without any metadata (a thumbnail
 * must not say where a photo was taken). quality 1..100 for JPEG. Errors: VZ_BAD_ARGUMENT,
 * VZ_INTERNAL; nothing is appended then. */
enum vz_status vz_image_encode(const struct vz_image *image, const char *format, int quality,
                               struct vz_buf *out, struct vz_error *err);

/* Terminal picture by Chafa: appends text of at most columns x rows cells (a cell counts as twice
 * as high as wide; the picture keeps its shape) for the terminal that the environment names: sixel,
 * kitty or iTerm2 graphics where that terminal has them, otherwise Unicode blocks in as many
 * colours as it has, without any escape code when TERM is unset or "dumb" or NO_COLOR is set. Ends
 * with a newline; appends nothing when columns or rows is below 1. Call it only for output that is
 * a terminal: this function does not look. Reads the environment: not while another thread sets it.
 */
void vz_image_terminal(const struct vz_image *image, int columns, int rows, struct vz_buf *out);

#endif
