/* embed/eye_parts.h - the insides of the built-in eye, for eye*.c and bench/eye only.
 *
 * One picture goes: RGB -> working planes (OKLab, a smaller copy, a subject mask) -> blocks of
 * plain measurements -> each block made comparable and weighted -> one unit vector. The planes are
 * owned by struct eye_view; the blocks write into the caller's array.
 */
#ifndef VZ_EMBED_EYE_PARTS_H
#define VZ_EMBED_EYE_PARTS_H

#include "embed/eye.h"

/* The working picture: shorter side VIEW_SIDE, longer at most twice that. */
#define EYE_VIEW_SIDE 112
/* The small copy, for the mask and all that needs no detail: a quarter of that. */
#define EYE_SMALL_DIV 4

/* The palette: lightness levels x (neutral + two rings of hues). */
#define EYE_HUES 8
#define EYE_TINTS (1 + 2 * EYE_HUES)
#define EYE_LIGHTS 6
#define EYE_PALETTE (EYE_LIGHTS * EYE_TINTS)

struct eye_planes {
    int width, height;
    double *light, *a, *b; /* OKLab, [height * width] each */
    double *mask;          /* how much a pixel is subject, 0..1, [height * width] */
};

struct eye_view {
    struct eye_planes full, small;
    uint16_t *grey; /* luma of `full`, 0..65280, exact integers for the texture patterns */
    /* The subject's place in `full`, in fractions of width and height: centre and spread. */
    double centre_x, centre_y, spread_x, spread_y;
    double subject_share;  /* mean of the mask */
    double tint_a, tint_b; /* what the light adds to the subject's colours; blocks take it off */
    void *memory;
};

enum vz_status eye_view_init(const struct vz_image *image, struct eye_view *out,
                             struct vz_error *err);
void eye_view_deinit(struct eye_view *view);

/* Fills small.mask, full.mask and the subject's place from the planes. */
void eye_subject_find(struct eye_view *view);

/* A colour shared among at most eight palette entries; the weights sum to 1. */
struct eye_vote {
    int count;
    int bin[8];
    double weight[8];
};
void eye_palette_vote(double light, double a, double b, struct eye_vote *out);

/* The blocks: what each measures is in its source file. `out` is zeroed, block's dims long. */
void eye_block_colour(const struct eye_view *view, double *out);
void eye_block_zones(const struct eye_view *view, double *out);
void eye_block_gradient(const struct eye_view *view, double *out);
void eye_block_outline(const struct eye_view *view, double *out);
void eye_block_texture(const struct eye_view *view, double *out);
void eye_block_layout(const struct eye_view *view, double *out);

/* A block of the descriptor: its numbers are divided by (their sum + floor), so that a picture with
 * next to nothing of the kind has next to nothing in the block; rooted; centred on the mean of real
 * photos; brought to length sqrt(weight). The weights sum to 1. */
struct eye_block {
    const char *name;
    void (*measure)(const struct eye_view *view, double *out);
    int dims;
    double weight;
    double floor; /* per pixel of the plane that is measured */
};
extern const struct eye_block eye_blocks[];
extern const int eye_block_count;

/* The blocks up to the root, before the centring: for bench/eye, which fits the mean. */
enum vz_status eye_measure(const struct vz_image *image, double out[VZ_EYE_DIMS],
                           struct vz_error *err);
/* Centring, weighting, unit length. */
void eye_finish(const double measured[VZ_EYE_DIMS], const float mean[VZ_EYE_DIMS],
                float out[VZ_EYE_DIMS]);
/* Mean of eye_measure over real photos (bench/eye/run --fit prints it). */
extern const float eye_mean[VZ_EYE_DIMS];

#endif
