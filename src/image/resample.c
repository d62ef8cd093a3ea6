/* image/resample.c - turning and resizing packed 8-bit RGB.
 *
 * The resize is the separable antialiased cubic (Keys, a = -0.5) that Pillow (up to 12) uses for
 * BICUBIC: the kernel is stretched by the shrink factor, weights are rounded to 22-bit fixed point,
 * and each pass rounds to 8 bits, rows first. Integer sums make the result the same on every
 * machine, which libvips' own resize (SIMD with 6-bit weights where it finds it) does not promise;
 * and models trained on Pillow's pixels see exactly those. (Pillow 13 does columns first where that
 * is cheaper, which differs only for wild changes of shape.) Rejected: a float intermediate between
 * the passes (better by less than one level, but no longer equal to Pillow).
 */
#include "image/parts.h"

#include <math.h>
#include <stdlib.h>

enum { WEIGHT_BITS = 22 };

/* One output position's window into the input: weights[0..count) apply from `first` on. */
struct window {
    int first, count;
};
struct kernel {
    struct window *windows; /* out_size */
    int32_t *weights;       /* out_size * taps */
    int taps;
};

static double cubic(double x)
{
    const double a = -0.5;
    x = fabs(x);
    if (x < 1.0)
        return ((a + 2.0) * x - (a + 3.0)) * x * x + 1;
    if (x < 2.0)
        return (((x - 5) * x + 8) * x - 4) * a;
    return 0.0;
}

static void kernel_deinit(struct kernel *kernel)
{
    free(kernel->windows);
    free(kernel->weights);
}

static bool kernel_init(struct kernel *kernel, int in_size, int out_size)
{
    double scale = (double)in_size / out_size;
    double stretch = scale < 1.0 ? 1.0 : scale;
    double support = 2.0 * stretch;
    kernel->taps = (int)ceil(support) * 2 + 1;
    size_t count;
    kernel->windows = vz_try_alloc((size_t)out_size, sizeof *kernel->windows);
    kernel->weights = vz_mul_overflow((size_t)out_size, (size_t)kernel->taps, &count)
                          ? NULL
                          : vz_try_alloc(count, sizeof *kernel->weights);
    double *exact = vz_try_alloc((size_t)kernel->taps, sizeof *exact);
    if (!kernel->windows || !kernel->weights || !exact) {
        kernel_deinit(kernel);
        free(exact);
        return false;
    }
    for (int o = 0; o < out_size; o++) {
        double center = (o + 0.5) * scale, sum = 0;
        double inverse = 1.0 / stretch;
        int first = VZ_MAX((int)(center - support + 0.5), 0);
        int n = VZ_MIN((int)(center + support + 0.5), in_size) - first;
        for (int i = 0; i < n; i++) {
            exact[i] = cubic((i + first - center + 0.5) * inverse);
            sum += exact[i];
        }
        int32_t *weights = kernel->weights + (size_t)o * (size_t)kernel->taps;
        for (int i = 0; i < n; i++) {
            double w = sum != 0.0 ? exact[i] / sum : exact[i];
            weights[i] = (int32_t)(w * (1 << WEIGHT_BITS) + (w < 0 ? -0.5 : 0.5));
        }
        kernel->windows[o] = (struct window){first, n};
    }
    free(exact);
    return true;
}

static inline uint8_t clip8(int32_t sum)
{
    int32_t value = sum >> WEIGHT_BITS;
    return value < 0 ? 0 : value > 255 ? 255 : (uint8_t)value;
}

static void resize_rows(const uint8_t *rgb, int width, int height, const struct kernel *kernel,
                        int out_width, uint8_t *out)
{
    for (int y = 0; y < height; y++) {
        const uint8_t *row = rgb + (size_t)y * (size_t)width * 3;
        uint8_t *to = out + (size_t)y * (size_t)out_width * 3;
        for (int x = 0; x < out_width; x++) {
            const int32_t *w = kernel->weights + (size_t)x * (size_t)kernel->taps;
            const uint8_t *p = row + (size_t)kernel->windows[x].first * 3;
            int32_t r = 1 << (WEIGHT_BITS - 1), g = r, b = r;
            for (int i = 0; i < kernel->windows[x].count; i++, p += 3) {
                r += p[0] * w[i];
                g += p[1] * w[i];
                b += p[2] * w[i];
            }
            *to++ = clip8(r);
            *to++ = clip8(g);
            *to++ = clip8(b);
        }
    }
}

/* `sums` holds out_width * 3 running sums, so the inner loop walks rows in memory order. */
static void resize_columns(const uint8_t *rgb, size_t row_bytes, const struct kernel *kernel,
                           int out_height, int32_t *sums, uint8_t *out)
{
    for (int y = 0; y < out_height; y++) {
        const int32_t *w = kernel->weights + (size_t)y * (size_t)kernel->taps;
        for (size_t i = 0; i < row_bytes; i++)
            sums[i] = 1 << (WEIGHT_BITS - 1);
        for (int k = 0; k < kernel->windows[y].count; k++) {
            const uint8_t *row = rgb + (size_t)(kernel->windows[y].first + k) * row_bytes;
            for (size_t i = 0; i < row_bytes; i++)
                sums[i] += row[i] * w[k];
        }
        uint8_t *to = out + (size_t)y * row_bytes;
        for (size_t i = 0; i < row_bytes; i++)
            to[i] = clip8(sums[i]);
    }
}

uint8_t *vz_rgb_resize(const uint8_t *rgb, int width, int height, int out_width, int out_height)
{
    struct kernel across = {0}, down = {0};
    size_t row_bytes = (size_t)out_width * 3;
    uint8_t *half = NULL, *out = NULL;
    int32_t *sums = NULL;
    if (!kernel_init(&across, width, out_width))
        return NULL;
    if (!kernel_init(&down, height, out_height)) {
        kernel_deinit(&across);
        return NULL;
    }
    half = vz_try_alloc((size_t)height, row_bytes);
    out = vz_try_alloc((size_t)out_height, row_bytes);
    sums = vz_try_alloc(row_bytes, sizeof *sums);
    if (half && out && sums) {
        /* Pillow leaves a side alone that keeps its size; the kernel would be the identity. */
        resize_rows(rgb, width, height, &across, out_width, half);
        resize_columns(half, row_bytes, &down, out_height, sums, out);
    } else {
        free(out);
        out = NULL;
    }
    free(half);
    free(sums);
    kernel_deinit(&across);
    kernel_deinit(&down);
    return out;
}

/* Walks the output in order and the input with two strides: for orientation o, output (x, y) comes
 * from input origin + x * step_x + y * step_y. */
uint8_t *vz_rgb_orient(uint8_t *rgb, int *width, int *height, int orientation)
{
    if (orientation < 2 || orientation > 8)
        return rgb;
    ptrdiff_t w = *width, h = *height;
    ptrdiff_t origin, step_x, step_y;
    switch (orientation) {
    case 2:
        origin = w - 1, step_x = -1, step_y = w;
        break; /* mirrored */
    case 3:
        origin = w * h - 1, step_x = -1, step_y = -w;
        break; /* half turn */
    case 4:
        origin = (h - 1) * w, step_x = 1, step_y = -w;
        break; /* upside down mirror */
    case 5:
        origin = 0, step_x = w, step_y = 1;
        break; /* transposed */
    case 6:
        origin = (h - 1) * w, step_x = -w, step_y = 1;
        break; /* needs 90 clockwise */
    case 7:
        origin = w * h - 1, step_x = -w, step_y = -1;
        break; /* transversed */
    default:
        origin = w - 1, step_x = w, step_y = -1;
        break; /* 8: 90 the other way */
    }
    bool swap = orientation >= 5;
    ptrdiff_t out_w = swap ? h : w, out_h = swap ? w : h;
    uint8_t *out = vz_try_alloc((size_t)(w * h), 3);
    if (out) {
        uint8_t *to = out;
        for (ptrdiff_t y = 0; y < out_h; y++) {
            const uint8_t *from = rgb + (origin + y * step_y) * 3;
            for (ptrdiff_t x = 0; x < out_w; x++, to += 3)
                memcpy(to, from + x * step_x * 3, 3);
        }
        *width = (int)out_w;
        *height = (int)out_h;
    }
    free(rgb);
    return out;
}
