/* What the image tests share: reading test data, comparing pictures, walking folders. */
#ifndef IMAGE_TEST_SUPPORT_H
#define IMAGE_TEST_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/file.h"
#include "image/image.h"

#include <dirent.h>
#include <sys/stat.h>
#include <unistd.h>

static inline int start_images(void **state)
{
    struct vz_error err = {0};
    return vz_image_start(&err) == VZ_OK ? 0 : -1;
}

static inline int stop_images(void **state)
{
    vz_image_stop();
    return 0;
}

/* The path of `name` in the shared data; skips the test aloud when the folder is not there. */
static inline const char *data_path(const char *name)
{
    static char path[8][1024];
    static unsigned turn;
    const char *root = getenv("VIZSLA_TEST_DATA");
    struct stat info;
    if (!root || stat(root, &info) != 0) {
        print_message("SKIPPED: no test data (VIZSLA_TEST_DATA=%s)\n", root ? root : "");
        skip();
    }
    char *out = path[turn++ % 8];
    snprintf(out, sizeof path[0], "%s/%s", root, name);
    return out;
}

static inline struct vz_buf read_path(const char *path)
{
    struct vz_buf bytes = {0};
    struct vz_error err = {0};
    if (vz_file_read(path, 0, &bytes, &err) != VZ_OK)
        fail_msg("%s: %s", path, err.text);
    return bytes;
}

/* Decodes a file of the shared data that must decode. */
static inline struct vz_image decode_data(const char *name, int target_side)
{
    struct vz_buf bytes = read_path(data_path(name));
    struct vz_image image;
    struct vz_error err = {0};
    if (vz_image_decode(vz_buf_slice(&bytes), NULL, target_side, &image, &err) != VZ_OK)
        fail_msg("%s: %s", name, err.text);
    vz_buf_deinit(&bytes);
    return image;
}

/* Mean absolute difference of two pictures after both became 32 x 32. */
static inline double difference(const struct vz_image *a, const struct vz_image *b)
{
    struct vz_image small_a, small_b;
    struct vz_error err = {0};
    assert_int_equal(vz_image_resize(a, 32, 32, &small_a, &err), VZ_OK);
    assert_int_equal(vz_image_resize(b, 32, 32, &small_b, &err), VZ_OK);
    double sum = 0;
    for (size_t i = 0; i < 32 * 32 * 3; i++)
        sum += abs(small_a.rgb[i] - small_b.rgb[i]);
    vz_image_deinit(&small_a);
    vz_image_deinit(&small_b);
    return sum / (32 * 32 * 3);
}

static inline void assert_pixel_near(const struct vz_image *image, int x, int y, int r, int g,
                                     int b, int tolerance)
{
    const uint8_t *p = image->rgb + ((size_t)y * (size_t)image->width + (size_t)x) * 3;
    if (abs(p[0] - r) > tolerance || abs(p[1] - g) > tolerance || abs(p[2] - b) > tolerance)
        fail_msg("pixel %d,%d of %s is %d,%d,%d, expected about %d,%d,%d", x, y, image->format,
                 p[0], p[1], p[2], r, g, b);
}

/* A decode must give an upright RGB picture, or a status with a text and an empty picture. */
static inline enum vz_status decode_or_explain(struct vz_slice bytes, int target_side,
                                               const char *name)
{
    struct vz_image image;
    struct vz_error err = {0};
    /* An exact copy on the heap, so that the sanitizer sees a read past the end. */
    char *copy = malloc(bytes.len ? bytes.len : 1);
    memcpy(copy, bytes.ptr, bytes.len);
    enum vz_status status =
        vz_image_decode((struct vz_slice){copy, bytes.len},
                        &(struct vz_image_limits){.max_megapixels = 20}, target_side, &image, &err);
    free(copy);
    if (status == VZ_OK) {
        if (!image.rgb || image.width < 1 || image.height < 1 || !image.format[0])
            fail_msg("%s: decoded to nothing", name);
        volatile uint8_t last = image.rgb[(size_t)image.width * (size_t)image.height * 3 - 1];
        (void)last;
    } else {
        if (status != VZ_BAD_IMAGE && status != VZ_LIMIT)
            fail_msg("%s: status %s (%s)", name, vz_status_name(status), err.text);
        if (!err.text[0] || err.status != status)
            fail_msg("%s: failed without saying why", name);
        if (image.rgb || image.width || image.format[0])
            fail_msg("%s: failed and left a picture", name);
    }
    vz_image_deinit(&image);
    return status;
}

/* Calls `visit` with every regular file below `path`. */
static inline void walk(const char *path, void (*visit)(const char *path, void *context),
                        void *context)
{
    DIR *dir = opendir(path);
    if (!dir)
        fail_msg("cannot open %s", path);
    for (struct dirent *entry; (entry = readdir(dir));) {
        char below[4096];
        struct stat info;
        if (entry->d_name[0] == '.')
            continue;
        if (snprintf(below, sizeof below, "%s/%s", path, entry->d_name) >= (int)sizeof below ||
            stat(below, &info) != 0)
            continue;
        if (S_ISDIR(info.st_mode))
            walk(below, visit, context);
        else if (S_ISREG(info.st_mode))
            visit(below, context);
    }
    closedir(dir);
}

#endif
