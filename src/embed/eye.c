/* The built-in eye: blocks of plain measurements, made comparable.
 *
 * Each block is a histogram (only `layout` has negative numbers). It is brought to sum 1, rooted
 * (so that a large flat patch does not drown the small patches; Arandjelovic and Zisserman 2012),
 * less the mean of real photos (without that two photos of anything have a cosine near 0.9 and the
 * blocks with the least contrast would decide least), and brought to its weight.
 *
 * The weights: colour and where it sits on the subject have 65 %, form has 35 %. Breeds and classes
 * of clothing alone would have more form (bench/eye, ADR 4), but a lost dog is photographed in
 * another pose, and his coat is what stays.
 *
 * Invariants: the block sizes sum to VZ_EYE_DIMS, the weights to 1; the output has unit length and
 * no NaN for any picture.
 */
#include <math.h>

#include "embed/eye_parts.h"

const struct eye_block eye_blocks[] = {
    {"colour", eye_block_colour, EYE_PALETTE, 0.30, 1e-6},
    {"zones", eye_block_zones, 6 * 28, 0.35, 1e-6},
    {"layout", eye_block_layout, 24, 0.04, 0},
    {"gradient", eye_block_gradient, 144, 0.24, 1e-4},
    {"outline", eye_block_outline, 44, 0.03, 1e-6},
    {"texture", eye_block_texture, 30, 0.04, 1e-6},
};
const int eye_block_count = (int)VZ_COUNT_OF(eye_blocks);

_Static_assert(EYE_PALETTE + 6 * 28 + 24 + 144 + 44 + 30 == VZ_EYE_DIMS, "blocks fill the vector");

/* A root that is straight near zero: its slope is at most 50, so noise of 1e-12 stays noise. */
#define ROOT_EPSILON 1e-4

static double signed_root(double v)
{
    double root = sqrt(fabs(v) + ROOT_EPSILON) - sqrt(ROOT_EPSILON);
    return v < 0 ? -root : root;
}

enum vz_status eye_measure(const struct vz_image *image, double out[VZ_EYE_DIMS],
                           struct vz_error *err)
{
    struct eye_view view;
    enum vz_status status = eye_view_init(image, &view, err);
    if (status != VZ_OK)
        return status;
    for (int i = 0; i < VZ_EYE_DIMS; i++)
        out[i] = 0;
    double *at = out;
    double pixels = (double)view.full.width * view.full.height;
    for (int b = 0; b < eye_block_count; b++) {
        const struct eye_block *block = &eye_blocks[b];
        block->measure(&view, at);
        /* `layout` is means, not sums: 0.5 in all is a picture of moderate contrast. */
        double sum = block->floor > 0 ? block->floor * pixels : 0.5;
        for (int i = 0; i < block->dims; i++)
            sum += fabs(at[i]);
        for (int i = 0; i < block->dims; i++)
            at[i] = signed_root(at[i] / sum);
        at += block->dims;
    }
    eye_view_deinit(&view);
    return VZ_OK;
}

void eye_finish(const double measured[VZ_EYE_DIMS], const float mean[VZ_EYE_DIMS],
                float out[VZ_EYE_DIMS])
{
    double result[VZ_EYE_DIMS], total = 0;
    int at = 0;
    for (int b = 0; b < eye_block_count; at += eye_blocks[b++].dims) {
        double square = 0;
        for (int i = at; i < at + eye_blocks[b].dims; i++) {
            result[i] = measured[i] - mean[i];
            square += result[i] * result[i];
        }
        /* A block that equals the mean says nothing: it stays near zero. */
        double scale = sqrt(eye_blocks[b].weight / (square + 1e-6));
        for (int i = at; i < at + eye_blocks[b].dims; i++)
            result[i] *= scale;
        total += eye_blocks[b].weight * square / (square + 1e-6);
    }
    if (!(total > 0)) { /* not reachable with a mean of photos; a unit vector all the same */
        result[0] = 1;
        total = 1;
    }
    double scale = 1 / sqrt(total);
    for (int i = 0; i < VZ_EYE_DIMS; i++)
        out[i] = (float)(result[i] * scale);
}

enum vz_status vz_eye_embed(const struct vz_image *image, float out[VZ_EYE_DIMS],
                            struct vz_error *err)
{
    double measured[VZ_EYE_DIMS];
    enum vz_status status = eye_measure(image, measured, err);
    if (status == VZ_OK)
        eye_finish(measured, eye_mean, out);
    return status;
}
