/* Shape and texture: gradients, the subject's outline, and fine patterns. All folded left on
 * right: a mirrored picture has the same blocks. */
#include <math.h>

#include "embed/eye_parts.h"

static double clamp(double v, double low, double high)
{
    return v < low ? low : v > high ? high : v;
}

/* Oriented gradients (after Dalal and Triggs 2005) in the subject's frame: GRID x GRID cells, eight
 * directions without sign. A cell right of the middle is folded onto its left twin with the
 * direction mirrored. [GRID * GRID / 2 * DIRECTIONS] */
#define DIRECTIONS 8
#define GRID 6

struct gradient {
    double strength, direction; /* direction 0..DIRECTIONS, of the gradient, without sign */
};

static struct gradient gradient_at(const struct eye_planes *p, int x, int y)
{
    const double *row = p->light + y * p->width;
    double gx = row[VZ_MIN(x + 1, p->width - 1)] - row[VZ_MAX(x - 1, 0)];
    double gy = p->light[VZ_MIN(y + 1, p->height - 1) * p->width + x] -
                p->light[VZ_MAX(y - 1, 0) * p->width + x];
    double strength = sqrt(gx * gx + gy * gy);
    double angle = strength > 0 ? atan2(gy, gx) / M_PI : 0; /* -1..1, half turns */
    angle = angle < 0 ? angle + 1 : angle;
    return (struct gradient){strength, angle * DIRECTIONS};
}

/* Shares `weight` among the four nearest cells of the folded grid and two directions. u and v are
 * -1..1 over the grid. */
static void grid_add(double *out, double u, double v, double direction, double weight)
{
    double turned = u > 0 ? DIRECTIONS - direction : direction;
    double column = clamp((1 - fabs(u)) * (GRID / 2) - 0.5, 0, GRID / 2 - 1);
    double row = clamp((v + 1) * (GRID / 2) - 0.5, 0, GRID - 1);
    int c0 = (int)VZ_MIN(column, GRID / 2 - 2), r0 = (int)VZ_MIN(row, GRID - 2);
    int d0 = (int)VZ_MIN(turned, DIRECTIONS - 1);
    double kc[2] = {1 - (column - c0), column - c0}, kr[2] = {1 - (row - r0), row - r0};
    double kd[2] = {1 - (turned - d0), turned - d0};
    for (int k = 0; k < 8; k++) {
        int cell = (r0 + (k >> 1 & 1)) * (GRID / 2) + c0 + (k & 1);
        out[cell * DIRECTIONS + (d0 + (k >> 2)) % DIRECTIONS] +=
            kc[k & 1] * kr[k >> 1 & 1] * kd[k >> 2] * weight;
    }
}

void eye_block_gradient(const struct eye_view *view, double *out)
{
    const struct eye_planes *p = &view->full;
    double reach_x = 1.6 * view->spread_x, reach_y = 1.9 * view->spread_y;
    for (int y = 0; y < p->height; y++)
        for (int x = 0; x < p->width; x++) {
            double u = ((x + 0.5) / p->width - view->centre_x) / reach_x;
            double v = ((y + 0.5) / p->height - view->centre_y) / reach_y;
            /* Fades out rather than ends: an ulp must not move a pixel out of the grid. */
            double fade = clamp((1.3 - fabs(u)) / 0.2, 0, 1) * clamp((1.3 - fabs(v)) / 0.2, 0, 1);
            if (fade <= 0)
                continue;
            struct gradient g = gradient_at(p, x, y);
            grid_add(out, u, v, g.direction, g.strength * fade * (0.1 + p->mask[y * p->width + x]));
        }
}

/* The mask itself on 8 x 8 cells of the frame, folded: where the subject is and how it is cut;
 * then how tall it is for its width and how much of the picture it fills, as shared votes over six
 * steps each. [8 * 4 + 6 + 6] */
static void scale_vote(double out[6], double t, double weight)
{
    double at = clamp(t, 0, 1) * 5;
    int low = (int)VZ_MIN(at, 4);
    out[low] += weight * (1 - (at - low));
    out[low + 1] += weight * (at - low);
}

void eye_block_outline(const struct eye_view *view, double *out)
{
    const struct eye_planes *p = &view->small;
    double aspect = view->spread_y * p->height / (view->spread_x * p->width);
    double all = (double)p->width * p->height;
    for (int y = 0; y < p->height; y++)
        for (int x = 0; x < p->width; x++) {
            int row = y * 8 / p->height, column = x * 8 / p->width;
            column = column < 4 ? column : 7 - column;
            out[row * 4 + column] += p->mask[y * p->width + x];
        }
    scale_vote(out + 32, 0.5 + log(aspect) / (2 * log(3)), all / 16);
    scale_vote(out + 38, view->subject_share / 0.6, all / 16);
}

/* Fine patterns: rotation-invariant uniform local binary patterns (Ojala et al. 2002) at three
 * radii on exact integers, a neighbour counting as brighter when it is so by more than the noise.
 * [3 * 10] */
static const int ring[8][2] = {{1, 0},  {1, 1},   {0, 1},  {-1, 1},
                               {-1, 0}, {-1, -1}, {0, -1}, {1, -1}};
#define NOISE 512 /* two of 256 steps */

static int pattern_at(const uint16_t *grey, int width, int step)
{
    unsigned bits = 0;
    for (int k = 0; k < 8; k++) {
        int there = grey[(ring[k][1] * width + ring[k][0]) * step];
        bits |= (unsigned)(there > *grey + NOISE) << k;
    }
    unsigned turned = (bits >> 1 | bits << 7) & 255;
    return __builtin_popcount(bits ^ turned) <= 2 ? __builtin_popcount(bits) : 9;
}

void eye_block_texture(const struct eye_view *view, double *out)
{
    const struct eye_planes *p = &view->full;
    for (int r = 0; r < 3; r++) {
        int step = 1 << r;
        for (int y = step; y < p->height - step; y++)
            for (int x = step; x < p->width - step; x++) {
                int i = y * p->width + x;
                out[r * 10 + pattern_at(view->grey + i, p->width, step)] += p->mask[i];
            }
    }
}
