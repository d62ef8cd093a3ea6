/* Retrieval figures, and the pairs that the calibration is made of. */
#include <stdlib.h>

#include "base/text.h"
#include "bench.h"

const float *vector_eye(const struct photo *photo)
{
    return photo->eye;
}

const float *vector_histogram(const struct photo *photo)
{
    return photo->histogram;
}

double cosine(const float *a, const float *b)
{
    float lanes[8] = {0}; /* independent sums, so that the compiler may use vectors */
    for (int i = 0; i < VZ_EYE_DIMS; i += 8)
        for (int k = 0; k < 8; k++)
            lanes[k] += a[i + k] * b[i + k];
    double sum = 0;
    for (int k = 0; k < 8; k++)
        sum += lanes[k];
    return sum;
}

struct hit {
    double score;
    bool relevant;
};

static int hit_order(const void *a, const void *b)
{
    const struct hit *x = a, *y = b;
    return (x->score < y->score) - (x->score > y->score);
}

struct retrieval retrieval_measure(const struct photos *photos, photo_vector vector, int of,
                                   int part)
{
    struct retrieval result = {0, 0};
    struct hit *hits = vz_calloc((size_t)photos->count, sizeof *hits);
    int asked = 0;
    for (int q = 0; q < photos->count; q++) {
        const struct photo *query = &photos->item[q];
        int count = 0, relevant = 0, found = 0;
        if (query->label % of != part)
            continue;
        for (int i = 0; i < photos->count; i++) {
            const struct photo *other = &photos->item[i];
            if (i == q || other->label % of != part)
                continue;
            hits[count].score = cosine(vector(query), vector(other));
            hits[count].relevant = other->label == query->label;
            relevant += hits[count++].relevant;
        }
        if (relevant == 0)
            continue;
        qsort(hits, (size_t)count, sizeof *hits, hit_order);
        double precision = 0;
        for (int i = 0; i < count; i++) {
            if (!hits[i].relevant)
                continue;
            precision += ++found / (double)(i + 1);
            result.precision_at_5 += i < 5 ? 0.2 : 0;
        }
        result.mean_average_precision += precision / relevant;
        asked++;
    }
    free(hits);
    result.mean_average_precision /= asked ? asked : 1;
    result.precision_at_5 /= asked ? asked : 1;
    return result;
}

void pairs_add(struct pairs *pairs, double value)
{
    if (pairs->count == pairs->capacity) {
        pairs->capacity = pairs->capacity ? 2 * pairs->capacity : 1024;
        pairs->cosine = vz_realloc(pairs->cosine, (size_t)pairs->capacity * sizeof *pairs->cosine);
    }
    pairs->cosine[pairs->count++] = value;
}

static int number_order(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

void pairs_sort(struct pairs *pairs)
{
    qsort(pairs->cosine, (size_t)pairs->count, sizeof *pairs->cosine, number_order);
}

void pairs_deinit(struct pairs *pairs)
{
    free(pairs->cosine);
    *pairs = (struct pairs){0};
}

double pairs_share_above(const struct pairs *pairs, double value)
{
    int low = 0, high = pairs->count;
    while (low < high) {
        int middle = (low + high) / 2;
        if (pairs->cosine[middle] < value)
            low = middle + 1;
        else
            high = middle;
    }
    return pairs->count ? (pairs->count - low) / (double)pairs->count : 0;
}

double pairs_quantile(const struct pairs *pairs, double share)
{
    int at = (int)((1 - share) * pairs->count);
    return pairs->count ? pairs->cosine[VZ_MIN(VZ_MAX(at, 0), pairs->count - 1)] : 0;
}

static void altered_pairs(const struct photo *photo, bool mild, uint64_t *rng, struct pairs *out)
{
    struct vz_image image, altered;
    struct photo again;
    picture_load(photo->path, &image);
    for (int k = 0; k < 4; k++) {
        struct alteration how = alteration_draw(mild, rng);
        picture_alter(&image, &how, rng, &altered);
        photo_see(&again, &altered);
        pairs_add(out, cosine(photo->eye, again.eye));
        vz_image_deinit(&altered);
    }
    vz_image_deinit(&image);
}

/* The best cosine of `gallery` random photos that do not show what `query` shows. */
static double stranger_best(const struct photo *query, const struct photos *photos, int gallery,
                            uint64_t *rng)
{
    double best = -1;
    for (int n = 0; n < gallery;) {
        const struct photo *other = &photos->item[vz_rng_next(rng) % (uint64_t)photos->count];
        if (other->label == query->label)
            continue;
        best = VZ_MAX(best, cosine(query->eye, other->eye));
        n++;
    }
    return best;
}

static void pets_measure(const struct photos *pets, uint64_t *rng, struct pair_sets *out)
{
    for (int q = 0; q < pets->count; q++) {
        const struct photo *query = &pets->item[q];
        altered_pairs(query, true, rng, &out->mild);
        altered_pairs(query, false, rng, &out->hard);
        for (int i = q + 1; i < pets->count; i++)
            pairs_add(pets->item[i].label == query->label ? &out->same_label : &out->other,
                      cosine(query->eye, pets->item[i].eye));
        for (int k = 0; k < 20; k++)
            pairs_add(&out->stranger_best, stranger_best(query, pets, GALLERY, rng));
        for (int k = 0; k < 20; k++)
            pairs_add(&out->stranger_100, stranger_best(query, pets, 100, rng));
    }
}

void pair_sets_measure(const struct photos *pets, const struct photos *clothing,
                       const struct photos *dogs, struct pair_sets *out)
{
    uint64_t rng = 20;
    *out = (struct pair_sets){0};
    pets_measure(pets, &rng, out);
    for (int q = 0; q < clothing->count; q++)
        for (int k = 0; k < 5; k++)
            pairs_add(&out->clothing_best,
                      stranger_best(&clothing->item[q], clothing, GALLERY, &rng));
    for (int q = 0; q < pets->count; q++) {
        double best = -1;
        for (int i = 0; i < dogs->count; i++)
            best = VZ_MAX(best, cosine(pets->item[q].eye, dogs->item[i].eye));
        pairs_add(&out->dogs_best, best);
    }
    for (size_t i = 0; i < PAIR_KINDS; i++)
        pairs_sort(pair_kind(out, i));
}

const char *const pair_kind_names[PAIR_KINDS] = {"copy",          "other_look",      "same_breed",
                                                 "other_breed",   "stranger_11",     "stranger_100",
                                                 "stranger_dogs", "stranger_clothes"};

struct pairs *pair_kind(struct pair_sets *sets, size_t kind)
{
    struct pairs *all[PAIR_KINDS] = {&sets->mild,      &sets->hard,          &sets->same_label,
                                     &sets->other,     &sets->stranger_best, &sets->stranger_100,
                                     &sets->dogs_best, &sets->clothing_best};
    return all[kind];
}

void pair_sets_deinit(struct pair_sets *sets)
{
    for (size_t i = 0; i < PAIR_KINDS; i++)
        pairs_deinit(pair_kind(sets, i));
}
