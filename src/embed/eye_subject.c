/* The subject: what stands in the middle and has other colours than the border.
 *
 * Two palettes are counted, one with weights that favour the border and one that favour the
 * middle; a cell's chance of being subject is the share of its colours' weight that comes from the
 * middle, times the same favour for the middle, smoothed. Three rounds, each counting with the
 * last round's answer. No edges are followed: a wrong half of a dog costs less than a lost dog.
 */
#include <math.h>
#include <stdlib.h>

#include "embed/eye_parts.h"

#define ROUNDS 3
/* A cell that no colour gives away is this much subject. */
#define FLOOR 0.02

/* -1 at the first of n cells, 1 at the last. */
static double middle(int i, int n)
{
    return (2.0 * i + 1) / n - 1;
}

/* How much the place alone says "subject": a soft ellipse a little below the middle. */
static double place_prior(const struct eye_planes *p, int x, int y)
{
    double u = middle(x, p->width), v = middle(y, p->height) - 0.05;
    return exp(-(u * u / (2 * 0.45 * 0.45) + v * v / (2 * 0.55 * 0.55)));
}

/* The border: the left, right and top edges, and the lower corners. */
static double border_prior(const struct eye_planes *p, int x, int y)
{
    double u = fabs(middle(x, p->width)), v = middle(y, p->height);
    double side = u > 0.75 ? (u - 0.75) / 0.25 : 0, top = v < -0.75 ? (-v - 0.75) / 0.25 : 0;
    double bottom = v > 0.85 ? (v - 0.85) / 0.15 * u : 0;
    double most = VZ_MAX(side, VZ_MAX(top, bottom));
    return most * most;
}

static void palette_count(const struct eye_vote *votes, const double *weights, int count,
                          double out[EYE_PALETTE])
{
    double sum = 0;
    for (int c = 0; c < EYE_PALETTE; c++)
        out[c] = 0;
    for (int i = 0; i < count; i++) {
        for (int v = 0; v < votes[i].count; v++)
            out[votes[i].bin[v]] += weights[i] * votes[i].weight[v];
        sum += weights[i];
    }
    for (int c = 0; c < EYE_PALETTE; c++)
        out[c] /= sum > 0 ? sum : 1;
}

/* 3 x 3 binomial smoothing, edges repeated, in place through `scratch`. */
static void smooth(double *plane, double *scratch, int width, int height)
{
    for (int y = 0; y < height; y++)
        for (int x = 0; x < width; x++) {
            const double *row = plane + y * width;
            scratch[y * width + x] =
                0.25 * row[VZ_MAX(x - 1, 0)] + 0.5 * row[x] + 0.25 * row[VZ_MIN(x + 1, width - 1)];
        }
    for (int y = 0; y < height; y++)
        for (int x = 0; x < width; x++)
            plane[y * width + x] = 0.25 * scratch[VZ_MAX(y - 1, 0) * width + x] +
                                   0.5 * scratch[y * width + x] +
                                   0.25 * scratch[VZ_MIN(y + 1, height - 1) * width + x];
}

static void one_round(const struct eye_planes *p, const struct eye_vote *votes, double *inside,
                      double *outside, double *scratch)
{
    int count = p->width * p->height;
    double in[EYE_PALETTE], out[EYE_PALETTE], share[EYE_PALETTE];
    palette_count(votes, inside, count, in);
    palette_count(votes, outside, count, out);
    for (int c = 0; c < EYE_PALETTE; c++)
        share[c] = (in[c] + 1e-4) / (in[c] + out[c] + 2e-4);
    for (int i = 0; i < count; i++) {
        double chance = 0;
        for (int v = 0; v < votes[i].count; v++)
            chance += votes[i].weight[v] * share[votes[i].bin[v]];
        double prior = place_prior(p, i % p->width, i / p->width);
        double odds =
            chance * chance * prior / ((1 - chance) * (1 - chance) * (1.1 - prior) + 1e-9);
        inside[i] = odds / (1 + odds) + FLOOR * prior;
    }
    smooth(inside, scratch, p->width, p->height);
    for (int i = 0; i < count; i++)
        outside[i] =
            VZ_MAX(1 - inside[i], 0) * (0.15 + border_prior(p, i % p->width, i / p->width));
}

static void measure_place(struct eye_view *view)
{
    const struct eye_planes *p = &view->small;
    double sum = 0, sx = 0, sy = 0, sxx = 0, syy = 0;
    for (int y = 0; y < p->height; y++)
        for (int x = 0; x < p->width; x++) {
            double w = p->mask[y * p->width + x];
            double u = (x + 0.5) / p->width, v = (y + 0.5) / p->height;
            sum += w;
            sx += w * u;
            sy += w * v;
            sxx += w * u * u;
            syy += w * v * v;
        }
    view->subject_share = sum / (p->width * p->height);
    view->centre_x = sx / sum;
    view->centre_y = sy / sum;
    view->spread_x = sqrt(VZ_MAX(sxx / sum - view->centre_x * view->centre_x, 0)) + 0.03;
    view->spread_y = sqrt(VZ_MAX(syy / sum - view->centre_y * view->centre_y, 0)) + 0.03;
}

/* The light's tint, as far as it can be told: the brightest of the subject is taken to be whiter
 * than it looks (fur is bluish in the shade and yellowish under a lamp). WHITENED of the way, and
 * never by more than TINT_MOST, or a fox would turn grey. Breeds are found better for it, and a
 * black and white dog is still one in another light (bench/eye, ADR 4). */
#define WHITENED 0.35
#define TINT_MOST 0.03

static void measure_tint(struct eye_view *view)
{
    const struct eye_planes *p = &view->small;
    int count = p->width * p->height;
    double sum = 0, light = 0;
    for (int i = 0; i < count; i++) {
        sum += p->mask[i];
        light += p->mask[i] * p->light[i];
    }
    light /= sum;
    double weights = 1e-4 * sum, a = 0, b = 0;
    for (int i = 0; i < count; i++) {
        double over = VZ_MAX(p->light[i] - light, 0);
        double weight = p->mask[i] * over * over;
        weights += weight;
        a += weight * p->a[i];
        b += weight * p->b[i];
    }
    double chroma = sqrt(a * a + b * b) / weights;
    double part = WHITENED * (chroma > TINT_MOST ? TINT_MOST / chroma : 1) / weights;
    view->tint_a = a * part;
    view->tint_b = b * part;
}

/* The small mask, bilinearly enlarged. */
static void mask_enlarge(struct eye_view *view)
{
    const struct eye_planes *s = &view->small;
    struct eye_planes *f = &view->full;
    for (int y = 0; y < f->height; y++)
        for (int x = 0; x < f->width; x++) {
            double v = (y + 0.5) / EYE_SMALL_DIV - 0.5, u = (x + 0.5) / EYE_SMALL_DIV - 0.5;
            v = VZ_MIN(VZ_MAX(v, 0), s->height - 1);
            u = VZ_MIN(VZ_MAX(u, 0), s->width - 1);
            int y0 = (int)VZ_MIN(v, s->height - 2), x0 = (int)VZ_MIN(u, s->width - 2);
            const double *m = s->mask + y0 * s->width + x0;
            double ky = v - y0, kx = u - x0;
            f->mask[y * f->width + x] = (1 - ky) * ((1 - kx) * m[0] + kx * m[1]) +
                                        ky * ((1 - kx) * m[s->width] + kx * m[s->width + 1]);
        }
}

void eye_subject_find(struct eye_view *view)
{
    struct eye_planes *p = &view->small;
    int count = p->width * p->height;
    struct eye_vote *votes = vz_alloc((size_t)count * sizeof *votes);
    double *inside = vz_alloc(3 * (size_t)count * sizeof *inside);
    double *outside = inside + count, *scratch = outside + count;
    for (int i = 0; i < count; i++) {
        eye_palette_vote(p->light[i], p->a[i], p->b[i], &votes[i]);
        inside[i] = place_prior(p, i % p->width, i / p->width);
        inside[i] *= inside[i];
        outside[i] = border_prior(p, i % p->width, i / p->width);
    }
    for (int r = 0; r < ROUNDS; r++)
        one_round(p, votes, inside, outside, scratch);
    for (int i = 0; i < count; i++)
        p->mask[i] = VZ_MIN(inside[i], 1.0);
    free(inside);
    free(votes);
    measure_place(view);
    measure_tint(view);
    mask_enlarge(view);
}
