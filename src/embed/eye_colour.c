/* Colour: the palette, and the blocks made of it.
 *
 * The palette is polar in OKLab: six levels of lightness, and at each a neutral grey and two rings
 * of eight hues. Coats differ mostly in lightness and in how brown they are, so the inner ring is
 * close to grey. Every pixel is shared among its nearest entries (linearly in lightness, chroma
 * and hue), so that a small change of light moves weight, never flips a bin.
 */
#include <math.h>

#include "embed/eye_parts.h"

#define RING_1 0.03
#define RING_2 0.1
#define VIVID 0.04
#define TINGE 0.01
#define DARKEST 0.12
#define LIGHTEST 0.95

static double clamp(double v, double low, double high)
{
    return v < low ? low : v > high ? high : v;
}

/* Distance from grey, with a tinge of colour counted for little: white fur is bluish in the shade
 * and yellowish under a lamp. */
static double chroma_of(double a, double b)
{
    double chroma = sqrt(a * a + b * b);
    return chroma * chroma / (chroma + TINGE);
}

void eye_palette_vote(double light, double a, double b, struct eye_vote *out)
{
    double level = clamp((light - DARKEST) / (LIGHTEST - DARKEST), 0, 1) * (EYE_LIGHTS - 1);
    int l0 = (int)VZ_MIN(level, EYE_LIGHTS - 2);
    double lw[2] = {1 - (level - l0), level - l0};

    double chroma = chroma_of(a, b);
    double ring =
        chroma < RING_1 ? chroma / RING_1 : clamp(1 + (chroma - RING_1) / (RING_2 - RING_1), 1, 2);
    int r0 = (int)VZ_MIN(ring, 1);
    double rw[2] = {1 - (ring - r0), ring - r0};

    double hue = chroma > 0 ? atan2(b, a) / (2 * M_PI) * EYE_HUES : 0;
    hue = hue < 0 ? hue + EYE_HUES : hue;
    int h0 = (int)hue % EYE_HUES, h1 = (h0 + 1) % EYE_HUES;
    double hw[2] = {1 - (hue - (int)hue), hue - (int)hue};

    out->count = 0;
    for (int l = 0; l < 2; l++)
        for (int r = 0; r < 2; r++) {
            int base = (l0 + l) * EYE_TINTS;
            double weight = lw[l] * rw[r];
            if (r0 + r == 0) {
                out->bin[out->count] = base;
                out->weight[out->count++] = weight;
                continue;
            }
            base += 1 + (r0 + r - 1) * EYE_HUES;
            out->bin[out->count] = base + h0;
            out->weight[out->count++] = weight * hw[0];
            out->bin[out->count] = base + h1;
            out->weight[out->count++] = weight * hw[1];
        }
}

/* The subject's colours: the mask-weighted palette. [EYE_PALETTE] */
void eye_block_colour(const struct eye_view *view, double *out)
{
    const struct eye_planes *p = &view->full;
    for (int i = 0; i < p->width * p->height; i++) {
        struct eye_vote vote;
        eye_palette_vote(p->light[i], p->a[i] - view->tint_a, p->b[i] - view->tint_b, &vote);
        for (int v = 0; v < vote.count; v++)
            out[vote.bin[v]] += vote.weight[v] * p->mask[i];
    }
}

/* Where on the subject which colour is: a coarse palette (four lights x neutral and four warm or
 * cool hues) in the subject's own frame, three bands from top to bottom x inner and outer half.
 * Left and right are one, so a dog may face either way. [ZONES * ZONE_COLOURS] */
#define ZONE_LIGHTS 4
#define ZONE_TINTS 7
#define ZONE_COLOURS (ZONE_LIGHTS * ZONE_TINTS)

static void zone_vote(double light, double a, double b, double out[ZONE_COLOURS])
{
    double level = clamp((light - DARKEST) / (LIGHTEST - DARKEST), 0, 1) * (ZONE_LIGHTS - 1);
    int l0 = (int)VZ_MIN(level, ZONE_LIGHTS - 2);
    double lw[2] = {1 - (level - l0), level - l0};
    double chroma = chroma_of(a, b);
    double vivid = clamp(chroma / VIVID, 0, 1);
    double hue = chroma > 0 ? atan2(b, a) / (2 * M_PI) * (ZONE_TINTS - 1) : 0;
    hue = hue < 0 ? hue + (ZONE_TINTS - 1) : hue;
    int h0 = (int)hue % (ZONE_TINTS - 1), h1 = (h0 + 1) % (ZONE_TINTS - 1);
    double part = hue - (int)hue;
    for (int l = 0; l < 2; l++) {
        double *row = out + (l0 + l) * ZONE_TINTS;
        row[0] += lw[l] * (1 - vivid);
        row[1 + h0] += lw[l] * vivid * (1 - part);
        row[1 + h1] += lw[l] * vivid * part;
    }
}

void eye_block_zones(const struct eye_view *view, double *out)
{
    const struct eye_planes *p = &view->small;
    for (int y = 0; y < p->height; y++)
        for (int x = 0; x < p->width; x++) {
            int i = y * p->width + x;
            double colours[ZONE_COLOURS] = {0};
            zone_vote(p->light[i], p->a[i] - view->tint_a, p->b[i] - view->tint_b, colours);
            double v = ((y + 0.5) / p->height - view->centre_y) / view->spread_y;
            double u = fabs((x + 0.5) / p->width - view->centre_x) / view->spread_x;
            double side = clamp((u - 0.3) / 0.9, 0, 1);
            double band = clamp(v / 0.9 + 1, 0, 2);
            int b0 = (int)VZ_MIN(band, 1);
            double far = exp(-0.125 * (u * u + v * v)); /* out of the frame: background */
            double bw[2] = {1 - (band - b0), band - b0}, sw[2] = {1 - side, side};
            for (int z = 0; z < 4; z++) {
                double w = bw[z >> 1] * sw[z & 1] * far * p->mask[i];
                double *zone = out + ((b0 + (z >> 1)) * 2 + (z & 1)) * ZONE_COLOURS;
                for (int c = 0; c < ZONE_COLOURS; c++)
                    zone[c] += w * colours[c];
            }
        }
}

/* The whole frame, subject or not: mean colour of 4 x 4 cells, mirrored halves added, each channel
 * less its mean over the frame (the light falls out). [4 * 2 * 3] */
void eye_block_layout(const struct eye_view *view, double *out)
{
    const struct eye_planes *p = &view->small;
    const double *channels[3] = {p->light, p->a, p->b};
    static const double scale[3] = {1, 3, 3};
    for (int c = 0; c < 3; c++) {
        double cell[4][4] = {{0}}, n[4][4] = {{0}}, mean = 0;
        for (int y = 0; y < p->height; y++)
            for (int x = 0; x < p->width; x++) {
                int cy = y * 4 / p->height, cx = x * 4 / p->width;
                cell[cy][cx] += channels[c][y * p->width + x];
                n[cy][cx] += 1;
            }
        for (int k = 0; k < 16; k++)
            mean += cell[k / 4][k % 4] / n[k / 4][k % 4] / 16;
        for (int y = 0; y < 4; y++)
            for (int x = 0; x < 4; x++) {
                int fold = x < 2 ? x : 3 - x;
                out[(y * 2 + fold) * 3 + c] += scale[c] * (cell[y][x] / n[y][x] - mean);
            }
    }
}
