/* bench/eye/bench.h - how well the built-in eye sees, on the photos of shared/data. */
#ifndef BENCH_EYE_BENCH_H
#define BENCH_EYE_BENCH_H

#include "embed/eye_parts.h"

/* One photo as the eye and the baseline see it. */
struct photo {
    char path[768];
    int label;                    /* same label: same breed, class or dog */
    double measured[VZ_EYE_DIMS]; /* eye_measure */
    float eye[VZ_EYE_DIMS];       /* unit */
    float histogram[VZ_EYE_DIMS]; /* the plain colour histogram, unit */
    double ms;                    /* vz_eye_embed alone */
};

struct photos {
    struct photo *item;
    int count, capacity, labels;
};

/* Appends up to `most` pictures of every folder in `dir` (a label a folder), sorted by name. */
void photos_load_classes(struct photos *photos, const char *dir, int most);
/* Appends the pictures of one folder, a label each. */
void photos_load_folder(struct photos *photos, const char *dir);
void photos_deinit(struct photos *photos);
/* Reads a picture as the program does (VZ_EYE_SIDE). Exits when it cannot. */
void picture_load(const char *path, struct vz_image *out);
/* Fills measured, eye, histogram and ms. */
void photo_see(struct photo *photo, const struct vz_image *image);
/* Makes `eye` again of `measured` with another mean. */
void photos_recentre(struct photos *photos, const float mean[VZ_EYE_DIMS]);

/* What a second look at the same thing may change. Zero is no change but the decoding. */
struct alteration {
    double keep;  /* share of each side that a crop keeps; 0 means all */
    double turn;  /* degrees */
    double light; /* factor - 1 on the bytes */
    double warm;  /* red up, blue down by this share */
    double scale; /* of each side; 0 means 1 */
    bool mirror;
    int jpeg_quality; /* 0: not encoded again */
};
/* `mild`: what an app does to a copy (crop to 85-100 %, smaller, JPEG, a little light). Otherwise
 * hard: another photographer's view of the same moment (crop to 60-85 %, turned by up to 15
 * degrees, light by a third, tint, mirrored). */
struct alteration alteration_draw(bool mild, uint64_t *rng);
void picture_alter(const struct vz_image *image, const struct alteration *how, uint64_t *rng,
                   struct vz_image *out);

typedef const float *(*photo_vector)(const struct photo *photo);
const float *vector_eye(const struct photo *photo);
const float *vector_histogram(const struct photo *photo);
double cosine(const float *a, const float *b);

/* Leave-one-out retrieval: every photo asks, all others answer. */
struct retrieval {
    double mean_average_precision, precision_at_5;
};
/* Only photos with label % of == part ask and answer; of = 1 is all. */
struct retrieval retrieval_measure(const struct photos *photos, photo_vector vector, int of,
                                   int part);

/* The cosines of one kind of pairs. */
struct pairs {
    double *cosine;
    int count, capacity;
};
void pairs_add(struct pairs *pairs, double cosine);
void pairs_sort(struct pairs *pairs);
void pairs_deinit(struct pairs *pairs);
/* Share of (sorted) pairs at or above; and the cosine that `share` of them reach. */
double pairs_share_above(const struct pairs *pairs, double cosine);
double pairs_quantile(const struct pairs *pairs, double share);

struct pair_sets {
    struct pairs mild, hard, same_label, other; /* pairs of pets */
    /* A query asks a gallery that does not have it; the best cosine that comes back: a pet asks
     * GALLERY (or 100) pets of other breeds, a piece of clothing GALLERY pieces of other classes, a
     * pet the eleven dogs. */
    struct pairs stranger_best, stranger_100, clothing_best, dogs_best;
};
#define GALLERY 11
#define PAIR_KINDS 8
/* What the tables call the sets, and the sets in that order. */
extern const char *const pair_kind_names[PAIR_KINDS];
struct pairs *pair_kind(struct pair_sets *sets, size_t kind);
void pair_sets_measure(const struct photos *pets, const struct photos *clothing,
                       const struct photos *dogs, struct pair_sets *out);
void pair_sets_deinit(struct pair_sets *sets);

#endif
