/* Another look at the same thing: one inverse mapping does crop, turn, mirror and scale. */
#include <math.h>
#include <stdlib.h>

#include "base/text.h"
#include "bench.h"

static double between(uint64_t *rng, double low, double high)
{
    return low + (high - low) * vz_rng_unit(rng);
}

struct alteration alteration_draw(bool mild, uint64_t *rng)
{
    struct alteration how = {0};
    how.keep = mild ? between(rng, 0.85, 1) : between(rng, 0.6, 0.85);
    how.turn = mild ? 0 : between(rng, -15, 15);
    how.light = mild ? between(rng, -0.1, 0.1) : between(rng, -0.33, 0.33);
    how.warm = mild ? 0 : between(rng, -0.12, 0.12);
    how.scale = mild ? between(rng, 0.5, 1) : between(rng, 0.4, 1);
    how.mirror = !mild && vz_rng_unit(rng) < 0.5;
    how.jpeg_quality = (int)between(rng, 40, 85);
    return how;
}

static double sample(const struct vz_image *image, double x, double y, int c)
{
    x = VZ_MIN(VZ_MAX(x, 0), image->width - 1.001);
    y = VZ_MIN(VZ_MAX(y, 0), image->height - 1.001);
    x = VZ_MAX(x, 0);
    y = VZ_MAX(y, 0);
    int x0 = (int)x, y0 = (int)y;
    int x1 = VZ_MIN(x0 + 1, image->width - 1), y1 = VZ_MIN(y0 + 1, image->height - 1);
    double kx = x - x0, ky = y - y0;
#define AT(v, u) image->rgb[((size_t)(v) * (size_t)image->width + (size_t)(u)) * 3 + (size_t)c]
    return (1 - ky) * ((1 - kx) * AT(y0, x0) + kx * AT(y0, x1)) +
           ky * ((1 - kx) * AT(y1, x0) + kx * AT(y1, x1));
#undef AT
}

static void jpeg_again(struct vz_image *image, int quality)
{
    struct vz_buf bytes = {0};
    struct vz_image again;
    struct vz_image_limits limits = {0};
    if (vz_image_encode(image, "jpeg", quality, &bytes, NULL) != VZ_OK ||
        vz_image_decode(vz_buf_slice(&bytes), &limits, VZ_EYE_SIDE, &again, NULL) != VZ_OK)
        abort();
    vz_buf_deinit(&bytes);
    vz_image_deinit(image);
    *image = again;
}

void picture_alter(const struct vz_image *image, const struct alteration *how, uint64_t *rng,
                   struct vz_image *out)
{
    double keep = how->keep > 0 ? how->keep : 1, scale = how->scale > 0 ? how->scale : 1;
    double left = between(rng, 0, 1 - keep) * image->width;
    double top = between(rng, 0, 1 - keep) * image->height;
    double width = keep * image->width, height = keep * image->height;
    double cosine_turn = cos(how->turn * M_PI / 180), sine_turn = sin(how->turn * M_PI / 180);
    double gain[3] = {(1 + how->light) * (1 + how->warm), 1 + how->light,
                      (1 + how->light) * (1 - how->warm)};
    *out = (struct vz_image){0};
    out->width = VZ_MAX((int)(width * scale), 1);
    out->height = VZ_MAX((int)(height * scale), 1);
    out->rgb = vz_alloc((size_t)out->width * (size_t)out->height * 3);
    for (int y = 0; y < out->height; y++)
        for (int x = 0; x < out->width; x++) {
            double u = ((x + 0.5) / out->width - 0.5) * width;
            double v = ((y + 0.5) / out->height - 0.5) * height;
            u = how->mirror ? -u : u;
            double sx = left + width / 2 + cosine_turn * u - sine_turn * v - 0.5;
            double sy = top + height / 2 + sine_turn * u + cosine_turn * v - 0.5;
            for (int c = 0; c < 3; c++) {
                double value = sample(image, sx, sy, c) * gain[c] + 0.5;
                out->rgb[((size_t)y * (size_t)out->width + (size_t)x) * 3 + (size_t)c] =
                    (uint8_t)VZ_MIN(value, 255);
            }
        }
    if (how->jpeg_quality > 0)
        jpeg_again(out, how->jpeg_quality);
}
