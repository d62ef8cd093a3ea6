/* The working planes: an exact integer resampling, then OKLab (Ottosson 2020), then half-way light.
 *
 * The resampling is a tent filter as wide as the shrinking needs (two source pixels where the
 * picture is enlarged), with weights that are quotients of integers, so that every machine gets
 * the same 16-bit planes whatever its floating point does. What follows is in double precision,
 * and nothing decides by comparing two numbers that an ulp could swap: votes are shared among
 * neighbours, so an ulp stays an ulp.
 *
 * Exposure: the lightness of the whole picture is moved EXPOSURE of the way to a common mean. All
 * of the way would take a black dog's blackness where he fills the picture (retrieval of breeds
 * falls), none of it leaves the photographer's exposure in. Evening out the tint in the same way
 * (grey world) was tried and dropped: it takes a brown dog's brown (bench/eye, ADR 4).
 */
#include <math.h>
#include <stdlib.h>

#include "embed/eye_parts.h"

#define EXPOSURE 0.3
#define MEAN_LIGHT 0.6

struct taps {
    int start, count;
    uint16_t *weight; /* borrowed from one array, sums to 1 << 14 */
};

/* Weights of output pixel `o` when `in` pixels become `out`. */
static void taps_fill(struct taps *taps, int64_t in, int64_t out, int64_t o)
{
    int64_t span = 2 * VZ_MAX(in, out);
    int64_t centre = (2 * o + 1) * in; /* of o, in units of 1 / (2 * out) source pixels */
    int64_t first = (centre - span) / (2 * out) - 1, last = (centre + span) / (2 * out) + 1;
    first = VZ_MAX(first, 0);
    last = VZ_MIN(last, in - 1);
    int64_t sum = 0;
    for (int64_t i = first; i <= last; i++) {
        int64_t gap = llabs((2 * i + 1) * out - centre);
        sum += gap < span ? span - gap : 0;
    }
    int64_t left = 1 << 14, best = 0;
    taps->start = (int)first;
    taps->count = (int)(last - first + 1);
    for (int64_t i = first; i <= last; i++) {
        int64_t gap = llabs((2 * i + 1) * out - centre);
        int64_t part = gap < span ? (span - gap) * (1 << 14) / sum : 0;
        taps->weight[i - first] = (uint16_t)part;
        left -= part;
        if (part > taps->weight[best])
            best = i - first;
    }
    taps->weight[best] = (uint16_t)(taps->weight[best] + left);
}

static struct taps *taps_new(int in, int out)
{
    /* A tent covers at most 2 * max(1, in / out) + 3 source pixels. */
    size_t reach = 2 * (size_t)(VZ_MAX(in, out) / out + 1) + 5;
    struct taps *taps = vz_alloc((size_t)out * (sizeof *taps + reach * sizeof(uint16_t)));
    uint16_t *weights = (uint16_t *)(taps + out);
    for (int o = 0; o < out; o++) {
        taps[o].weight = weights + (size_t)o * reach;
        taps_fill(&taps[o], in, out, o);
    }
    return taps;
}

/* RGB bytes [ih, iw, 3] -> 0..65280 [oh, ow, 3], through rows [ih, ow, 3]. */
static bool resample(const struct vz_image *image, int width, int height, uint16_t *out)
{
    int ih = image->height, iw = image->width;
    uint16_t *rows = vz_try_alloc((size_t)ih * (size_t)width, 3 * sizeof *rows);
    if (rows == NULL)
        return false;
    struct taps *across = taps_new(iw, width), *down = taps_new(ih, height);
    for (int y = 0; y < ih; y++) {
        const uint8_t *src = image->rgb + (size_t)y * (size_t)iw * 3;
        uint16_t *dst = rows + (size_t)y * (size_t)width * 3;
        for (int x = 0; x < width; x++) {
            uint32_t sum[3] = {0, 0, 0};
            for (int t = 0; t < across[x].count; t++)
                for (int c = 0; c < 3; c++)
                    sum[c] += across[x].weight[t] * (uint32_t)src[3 * (across[x].start + t) + c];
            for (int c = 0; c < 3; c++)
                dst[3 * x + c] = (uint16_t)(sum[c] >> 6);
        }
    }
    size_t stride = (size_t)width * 3;
    for (int y = 0; y < height; y++)
        for (size_t x = 0; x < stride; x++) {
            uint32_t sum = 0;
            const uint16_t *src = rows + (size_t)down[y].start * stride + x;
            for (int t = 0; t < down[y].count; t++)
                sum += (uint32_t)down[y].weight[t] * src[(size_t)t * stride];
            out[(size_t)y * stride + x] = (uint16_t)(sum >> 14);
        }
    free(across);
    free(down);
    free(rows);
    return true;
}

static void linear_table(double table[257])
{
    for (int i = 0; i <= 256; i++) {
        double v = VZ_MIN(i / 255.0, 1.0);
        table[i] = v <= 0.04045 ? v / 12.92 : pow((v + 0.055) / 1.055, 2.4);
    }
}

static double linear_of(const double table[257], uint16_t value)
{
    int i = value >> 8;
    double part = (value & 255) / 256.0;
    return table[i] + (table[i + 1] - table[i]) * part;
}

static void to_oklab(const uint16_t *rgb, struct eye_view *view)
{
    struct eye_planes *p = &view->full;
    double table[257];
    linear_table(table);
    size_t count = (size_t)p->width * (size_t)p->height;
    for (size_t i = 0; i < count; i++) {
        const uint16_t *px = rgb + 3 * i;
        double r = linear_of(table, px[0]), g = linear_of(table, px[1]),
               b = linear_of(table, px[2]);
        double l = cbrt(0.4122214708 * r + 0.5363325363 * g + 0.0514459929 * b);
        double m = cbrt(0.2119034982 * r + 0.6806995451 * g + 0.1073969566 * b);
        double s = cbrt(0.0883024619 * r + 0.2817188376 * g + 0.6299787005 * b);
        p->light[i] = 0.2104542553 * l + 0.7936177850 * m - 0.0040720468 * s;
        p->a[i] = 1.9779984951 * l - 2.4285922050 * m + 0.4505937099 * s;
        p->b[i] = 0.0259040371 * l + 0.7827717662 * m - 0.8086757660 * s;
        view->grey[i] = (uint16_t)((px[0] * 77u + px[1] * 150u + px[2] * 29u) >> 8);
    }
}

static void even_exposure(struct eye_planes *p)
{
    size_t count = (size_t)p->width * (size_t)p->height;
    double sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += p->light[i];
    double shift = EXPOSURE * (MEAN_LIGHT - sum / (double)count);
    for (size_t i = 0; i < count; i++)
        p->light[i] += shift;
}

/* Mean of each EYE_SMALL_DIV square block; sizes of `full` are multiples of it. */
static void shrink(const double *from, int width, const struct eye_planes *small, double *to)
{
    for (int y = 0; y < small->height; y++)
        for (int x = 0; x < small->width; x++) {
            double sum = 0;
            for (int v = 0; v < EYE_SMALL_DIV; v++)
                for (int u = 0; u < EYE_SMALL_DIV; u++)
                    sum += from[(y * EYE_SMALL_DIV + v) * width + x * EYE_SMALL_DIV + u];
            to[y * small->width + x] = sum / (EYE_SMALL_DIV * EYE_SMALL_DIV);
        }
}

static void planes_place(struct eye_planes *p, int width, int height, double **next)
{
    size_t count = (size_t)width * (size_t)height;
    double **planes[] = {&p->light, &p->a, &p->b, &p->mask};
    p->width = width;
    p->height = height;
    for (size_t i = 0; i < VZ_COUNT_OF(planes); i++, *next += count)
        *planes[i] = *next;
}

static int view_side(int64_t this_side, int64_t shorter)
{
    int64_t side = (2 * this_side * EYE_VIEW_SIDE / shorter + EYE_SMALL_DIV) / 2 / EYE_SMALL_DIV;
    side *= EYE_SMALL_DIV;
    return (int)VZ_MIN(VZ_MAX(side, EYE_VIEW_SIDE), 2 * EYE_VIEW_SIDE);
}

enum vz_status eye_view_init(const struct vz_image *image, struct eye_view *out,
                             struct vz_error *err)
{
    *out = (struct eye_view){0};
    int shorter = VZ_MIN(image->width, image->height);
    int width = view_side(image->width, shorter), height = view_side(image->height, shorter);
    size_t count = (size_t)width * (size_t)height;
    uint16_t *rgb = vz_alloc(count * 3 * sizeof *rgb);
    if (!resample(image, width, height, rgb)) {
        free(rgb);
        return vz_fail(err, VZ_BUDGET, "no memory to look at a picture of %d x %d pixels",
                       image->width, image->height);
    }
    size_t numbers = 4 * (count + count / (EYE_SMALL_DIV * EYE_SMALL_DIV));
    out->memory = vz_alloc(numbers * sizeof(double) + count * sizeof(uint16_t));
    double *next = out->memory;
    planes_place(&out->full, width, height, &next);
    planes_place(&out->small, width / EYE_SMALL_DIV, height / EYE_SMALL_DIV, &next);
    out->grey = (uint16_t *)next;
    to_oklab(rgb, out);
    free(rgb);
    even_exposure(&out->full);
    shrink(out->full.light, width, &out->small, out->small.light);
    shrink(out->full.a, width, &out->small, out->small.a);
    shrink(out->full.b, width, &out->small, out->small.b);
    eye_subject_find(out);
    return VZ_OK;
}

void eye_view_deinit(struct eye_view *view)
{
    free(view->memory);
    *view = (struct eye_view){0};
}
