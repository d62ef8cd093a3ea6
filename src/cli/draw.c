/* Pictures on a terminal: scaled to one height, put side by side on one canvas, drawn once. */
#include "cli/cli.h"

#include "base/file.h"

#include <stdio.h>
#include <stdlib.h>

#define CELL_PIXELS 16 /* of a canvas; a cell is twice as high as wide */
#define GAP_CELLS 2

/* The picture in a file, at most width x height pixels, its shape kept. */
static bool load(struct vz_slice path, int width, int height, struct vz_image *out)
{
    struct vz_buf bytes = {0};
    struct vz_image image = {0};
    char *name = vz_strndup(path.ptr, path.len);
    bool good =
        vz_file_read(name, (size_t)100 << 20, &bytes, NULL) == VZ_OK &&
        vz_image_decode(vz_buf_slice(&bytes), NULL, VZ_MIN(width, height), &image, NULL) == VZ_OK;
    if (good) {
        double scale = VZ_MIN((double)width / image.width, (double)height / image.height);
        good = vz_image_resize(&image, VZ_MAX(1, (int)(image.width * scale)),
                               VZ_MAX(1, (int)(image.height * scale)), out, NULL) == VZ_OK;
    }
    vz_image_deinit(&image);
    vz_buf_deinit(&bytes);
    free(name);
    return good;
}

static void put_picture(struct vz_image *canvas, const struct vz_image *picture, int left)
{
    for (int y = 0; y < picture->height; y++)
        memcpy(canvas->rgb + ((size_t)y * (size_t)canvas->width + (size_t)left) * 3,
               picture->rgb + (size_t)y * (size_t)picture->width * 3, (size_t)picture->width * 3);
}

static size_t draw_row(const struct vz_slice *paths, size_t count, int columns, int rows)
{
    int wide = columns * CELL_PIXELS, high = rows * CELL_PIXELS * 2;
    int step = wide + GAP_CELLS * CELL_PIXELS;
    int room = (vz_term_columns() + GAP_CELLS) / (columns + GAP_CELLS);
    size_t fit = VZ_MIN(count, (size_t)VZ_MAX(1, room)), shown = 0;
    struct vz_image canvas = {.width = step * (int)fit - GAP_CELLS * CELL_PIXELS, .height = high};
    canvas.rgb = vz_try_alloc((size_t)canvas.width * (size_t)canvas.height, 3);
    if (!canvas.rgb)
        return fit;
    memset(canvas.rgb, 0, (size_t)canvas.width * (size_t)canvas.height * 3);
    int right = 0, low = 0;
    for (size_t i = 0; i < fit; i++) {
        struct vz_image picture = {0};
        if (!load(paths[i], wide, high, &picture))
            continue;
        put_picture(&canvas, &picture, step * (int)i);
        right = VZ_MAX(right, step * (int)i + picture.width);
        low = VZ_MAX(low, picture.height);
        vz_image_deinit(&picture);
        shown++;
    }
    /* Cut to what is there, so that a lone upright picture is not drawn on black. */
    for (int y = 1; y < low; y++)
        memmove(canvas.rgb + (size_t)y * (size_t)right * 3,
                canvas.rgb + (size_t)y * (size_t)canvas.width * 3, (size_t)right * 3);
    canvas.width = right;
    canvas.height = low;
    if (shown) {
        struct vz_buf out = {0};
        vz_image_terminal(&canvas, (right + CELL_PIXELS - 1) / CELL_PIXELS, rows, &out);
        fwrite(out.data, 1, out.len, stdout);
        vz_buf_deinit(&out);
    }
    free(canvas.rgb);
    return fit;
}

void vz_draw_pictures(const struct vz_slice *paths, size_t count, int columns, int rows)
{
    columns = VZ_MAX(1, VZ_MIN(columns, vz_term_columns()));
    for (size_t i = 0; i < count;)
        i += draw_row(paths + i, count - i, columns, rows);
}
