/* bench_eye DATA [--json] [--fit] [--per-class N]: retrieval of breeds and clothes beside a plain
 * colour histogram, time per image, the calibration; --fit prints src/embed/eye_mean.c. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/cpu.h"
#include "bench.h"

struct options {
    const char *data;
    bool json, fit;
    int per_class;
};

struct results {
    struct retrieval pets[2], clothing[2]; /* eye, histogram */
    /* Inside halves of the labels: with the shipped mean, and with the other half's. */
    struct retrieval pets_half, clothing_half, pets_held, clothing_held;
    double ms_median;
    int pets_count, clothing_count;
    struct pair_sets pairs;
    char lost[12][64];
    double lost_cosine[12];
    int lost_count;
};

static void mean_add(double sum[VZ_EYE_DIMS], const struct photos *photos, int of, int part)
{
    int count = 0;
    for (int i = 0; i < photos->count; i++)
        count += photos->item[i].label % of == part;
    for (int i = 0; i < photos->count; i++)
        if (photos->item[i].label % of == part)
            for (int d = 0; d < VZ_EYE_DIMS; d++)
                sum[d] += photos->item[i].measured[d] / count / 2;
}

/* Pets and clothing count the same, however many there are of each. */
static void mean_fit(const struct photos *pets, const struct photos *clothing, int of, int part,
                     float out[VZ_EYE_DIMS])
{
    double sum[VZ_EYE_DIMS] = {0};
    mean_add(sum, pets, of, part);
    mean_add(sum, clothing, of, part);
    for (int d = 0; d < VZ_EYE_DIMS; d++)
        out[d] = (float)sum[d];
}

static void mean_print(const float mean[VZ_EYE_DIMS])
{
    puts(
        "/* Mean of eye_measure over the photos of pets and of clothing, each kind counting half.\n"
        " * Made by `bench/eye/run --fit > src/embed/eye_mean.c`; ADR 4 says what it is for. A "
        "new\n"
        " * mean is a new eye: VZ_EYE_ID must change with it. */\n"
        "#include \"embed/eye_parts.h\"\n\n"
        "const float eye_mean[VZ_EYE_DIMS] = {");
    for (int d = 0; d < VZ_EYE_DIMS; d++)
        printf("%s%9.6ff,%s", d % 8 ? " " : "    ", (double)mean[d], d % 8 == 7 ? "\n" : "");
    puts("};");
}

static int number_order(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median_ms(const struct photos *photos)
{
    double *ms = vz_calloc((size_t)photos->count, sizeof *ms);
    for (int i = 0; i < photos->count; i++)
        ms[i] = photos->item[i].ms;
    qsort(ms, (size_t)photos->count, sizeof *ms, number_order);
    double median = ms[photos->count / 2];
    free(ms);
    return median;
}

static struct retrieval halves_mean(struct retrieval a, struct retrieval b)
{
    return (struct retrieval){(a.mean_average_precision + b.mean_average_precision) / 2,
                              (a.precision_at_5 + b.precision_at_5) / 2};
}

/* Does the mean generalise? Labels in two halves; each half is searched with the other's mean. */
static void held_out(struct photos *pets, struct photos *clothing, struct results *out)
{
    struct retrieval p[2], c[2];
    for (int part = 0; part < 2; part++) {
        p[part] = retrieval_measure(pets, vector_eye, 2, part);
        c[part] = retrieval_measure(clothing, vector_eye, 2, part);
    }
    out->pets_half = halves_mean(p[0], p[1]);
    out->clothing_half = halves_mean(c[0], c[1]);
    for (int part = 0; part < 2; part++) {
        float mean[VZ_EYE_DIMS];
        mean_fit(pets, clothing, 2, 1 - part, mean);
        photos_recentre(pets, mean);
        photos_recentre(clothing, mean);
        p[part] = retrieval_measure(pets, vector_eye, 2, part);
        c[part] = retrieval_measure(clothing, vector_eye, 2, part);
    }
    out->pets_held = halves_mean(p[0], p[1]);
    out->clothing_held = halves_mean(c[0], c[1]);
    photos_recentre(pets, eye_mean);
    photos_recentre(clothing, eye_mean);
}

static void ask_lost_dog(const char *data, const struct photos *dogs, struct results *out)
{
    char path[512];
    struct vz_image image;
    struct photo lost;
    snprintf(path, sizeof path, "%s/lost-dogs/lost_dog1.png", data);
    picture_load(path, &image);
    photo_see(&lost, &image);
    vz_image_deinit(&image);
    for (int i = 0; i < dogs->count && i < 12; i++) {
        double score = cosine(lost.eye, dogs->item[i].eye);
        int at = out->lost_count++;
        for (; at > 0 && out->lost_cosine[at - 1] < score; at--) {
            out->lost_cosine[at] = out->lost_cosine[at - 1];
            memcpy(out->lost[at], out->lost[at - 1], sizeof out->lost[at]);
        }
        out->lost_cosine[at] = score;
        snprintf(out->lost[at], sizeof out->lost[at], "%.60s",
                 strrchr(dogs->item[i].path, '/') + 1);
    }
}

static void print_row(const char *name, struct retrieval pets, struct retrieval clothing)
{
    printf("%-40s %8.4f %7.4f   %8.4f %7.4f\n", name, pets.mean_average_precision,
           pets.precision_at_5, clothing.mean_average_precision, clothing.precision_at_5);
}

/* The lowest cosine, to 0.001, that gets a word. */
static double threshold_of(enum vz_match match)
{
    for (int i = -1000; i <= 1000; i++)
        if (vz_eye_match((float)(i / 1000.0)) >= match)
            return i / 1000.0;
    return 2;
}

/* Share of same-subject pairs among all of [low, high), half the weight on pairs of
 * other breeds, a quarter each on hard alterations and on same breeds. */
static double measured_probability(const struct pair_sets *sets, double low, double high)
{
    const struct pairs *kinds[3] = {&sets->other, &sets->hard, &sets->same_label};
    static const double weight[3] = {0.5, 0.25, 0.25};
    double part[3];
    for (int k = 0; k < 3; k++)
        part[k] =
            weight[k] * (pairs_share_above(kinds[k], low) - pairs_share_above(kinds[k], high));
    return (part[1] + part[2]) / (part[0] + part[1] + part[2]);
}

static void print_reliability(struct results *r)
{
    printf("\n%-12s %9s %9s\n", "cosine", "measured", "answered");
    for (int i = -3; i < 9; i++) {
        double middle = i / 10.0 + 0.05;
        printf("%5.1f..%-5.1f %9.3f %9.3f\n", i / 10.0, (i + 1) / 10.0,
               measured_probability(&r->pairs, i / 10.0, (i + 1) / 10.0),
               vz_eye_probability((float)middle));
    }
}

static void print_calibration(struct results *r)
{
    printf("\n%-28s %7s %7s %7s %7s %7s\n", "cosines of pairs of pets", "5%", "25%", "50%", "75%",
           "95%");
    for (size_t k = 0; k < PAIR_KINDS; k++) {
        const struct pairs *p = pair_kind(&r->pairs, k);
        printf("%-28s %7.3f %7.3f %7.3f %7.3f %7.3f\n", pair_kind_names[k], pairs_quantile(p, 0.95),
               pairs_quantile(p, 0.75), pairs_quantile(p, 0.5), pairs_quantile(p, 0.25),
               pairs_quantile(p, 0.05));
    }
    printf("\n%-16s %7s %5s  share of pairs at or above\n%-16s %7s %5s", "word", "cosine", "P", "",
           "", "");
    for (size_t k = 0; k < PAIR_KINDS; k++)
        printf("  %s", pair_kind_names[k]);
    for (enum vz_match m = VZ_MATCH_POSSIBLE; m <= VZ_MATCH_SAME; m++) {
        double t = threshold_of(m);
        printf("\n%-16s %7.3f %5.2f", vz_match_word(m), t, vz_eye_probability((float)t));
        for (size_t k = 0; k < PAIR_KINDS; k++)
            printf("  %*.4f", (int)strlen(pair_kind_names[k]),
                   pairs_share_above(pair_kind(&r->pairs, k), t));
    }
    printf("\n");
}

static void print_text(struct results *r)
{
    printf("%d pets of 37 breeds, %d pieces of clothing of 10 classes; cpu %s\n\n", r->pets_count,
           r->clothing_count, vz_cpu_describe());
    printf("%-40s %8s %7s   %8s %7s\n", "retrieval, each photo asks the others", "pets mAP", "P@5",
           "clothing", "P@5");
    print_row("plain RGB histogram, 8 x 8 x 8", r->pets[1], r->clothing[1]);
    print_row("built-in eye", r->pets[0], r->clothing[0]);
    print_row("  inside halves of the labels", r->pets_half, r->clothing_half);
    print_row("  the same, mean of the other half", r->pets_held, r->clothing_held);
    printf("\n%.2f ms of processor time an image (median, decoding not counted)\n", r->ms_median);
    print_calibration(r);
    print_reliability(r);
    printf("\nlost_dog1.png asks the eleven dogs:");
    for (int i = 0; i < r->lost_count; i++)
        printf("%s%s %.3f", i ? ", " : " ", r->lost[i], r->lost_cosine[i]);
    printf("\n  the first is \"%s\", P %.2f\n",
           vz_match_word(vz_eye_match((float)r->lost_cosine[0])),
           vz_eye_probability((float)r->lost_cosine[0]));
}

static void json_retrieval(const char *name, struct retrieval pets, struct retrieval clothing)
{
    printf("  \"%s\": {\"pets\": {\"map\": %.4f, \"p_at_5\": %.4f}, "
           "\"clothing\": {\"map\": %.4f, \"p_at_5\": %.4f}},\n",
           name, pets.mean_average_precision, pets.precision_at_5, clothing.mean_average_precision,
           clothing.precision_at_5);
}

static void print_json(struct results *r)
{
    struct utsname host;
    uname(&host);
    printf("{\n  \"bench\": \"eye\", \"eye\": \"%s\",\n", VZ_EYE_ID);
    printf("  \"machine\": {\"arch\": \"%s\", \"system\": \"%s %s\", \"cpu\": \"%s\", "
           "\"cores\": %ld},\n",
           host.machine, host.sysname, host.release, vz_cpu_describe(),
           sysconf(_SC_NPROCESSORS_ONLN));
    printf("  \"pets\": %d, \"clothing\": %d,\n", r->pets_count, r->clothing_count);
    json_retrieval("rgb_histogram", r->pets[1], r->clothing[1]);
    json_retrieval("built_in_eye", r->pets[0], r->clothing[0]);
    json_retrieval("inside_halves", r->pets_half, r->clothing_half);
    json_retrieval("inside_halves_held_out_mean", r->pets_held, r->clothing_held);
    printf("  \"ms_per_image\": %.3f,\n  \"probability\": [", r->ms_median);
    for (int i = -3; i < 9; i++)
        printf("%s\n    {\"cosine\": %.2f, \"measured\": %.4f, \"answered\": %.4f}",
               i > -3 ? "," : "", i / 10.0 + 0.05,
               measured_probability(&r->pairs, i / 10.0, (i + 1) / 10.0),
               vz_eye_probability((float)(i / 10.0 + 0.05)));
    printf("\n  ],\n");
    printf("  \"words\": [");
    for (enum vz_match m = VZ_MATCH_POSSIBLE; m <= VZ_MATCH_SAME; m++) {
        double t = threshold_of(m);
        printf("%s\n    {\"word\": \"%s\", \"cosine\": %.3f, \"probability\": %.4f",
               m > VZ_MATCH_POSSIBLE ? "," : "", vz_match_word(m), t, vz_eye_probability((float)t));
        for (size_t k = 0; k < PAIR_KINDS; k++)
            printf(", \"%s\": %.5f", pair_kind_names[k],
                   pairs_share_above(pair_kind(&r->pairs, k), t));
        printf("}");
    }
    printf("\n  ],\n  \"lost_dog\": [");
    for (int i = 0; i < r->lost_count; i++)
        printf("%s{\"file\": \"%s\", \"cosine\": %.4f}", i ? ", " : "", r->lost[i],
               r->lost_cosine[i]);
    printf("]\n}\n");
}

static struct options options_read(int argc, char **argv)
{
    struct options o = {.per_class = 80};
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--json") == 0)
            o.json = true;
        else if (strcmp(argv[i], "--fit") == 0)
            o.fit = true;
        else if (strcmp(argv[i], "--per-class") == 0 && i + 1 < argc)
            o.per_class = atoi(argv[++i]);
        else if (argv[i][0] != '-' && o.data == NULL)
            o.data = argv[i];
        else
            o.per_class = 0;
    }
    if (o.data == NULL || o.per_class <= 0) {
        fprintf(stderr, "usage: bench_eye DATA [--json] [--fit] [--per-class N]\n");
        exit(2);
    }
    return o;
}

static void measure_all(const struct options *o, struct photos *pets, struct photos *clothing)
{
    struct results r = {.pets_count = pets->count, .clothing_count = clothing->count};
    r.pets[0] = retrieval_measure(pets, vector_eye, 1, 0);
    r.pets[1] = retrieval_measure(pets, vector_histogram, 1, 0);
    r.clothing[0] = retrieval_measure(clothing, vector_eye, 1, 0);
    r.clothing[1] = retrieval_measure(clothing, vector_histogram, 1, 0);
    r.ms_median = median_ms(pets);
    held_out(pets, clothing, &r);
    struct photos dogs = {0};
    char path[512];
    snprintf(path, sizeof path, "%s/dogs", o->data);
    photos_load_folder(&dogs, path);
    pair_sets_measure(pets, clothing, &dogs, &r.pairs);
    ask_lost_dog(o->data, &dogs, &r);
    photos_deinit(&dogs);
    if (o->json)
        print_json(&r);
    else
        print_text(&r);
    pair_sets_deinit(&r.pairs);
}

int main(int argc, char **argv)
{
    struct options o = options_read(argc, argv);
    struct photos pets = {0}, clothing = {0};
    struct vz_error err = {0};
    char path[512];
    if (vz_image_start(&err) != VZ_OK) {
        fprintf(stderr, "bench_eye: %s\n", err.text);
        return 1;
    }
    snprintf(path, sizeof path, "%s/pets", o.data);
    photos_load_classes(&pets, path, o.per_class);
    snprintf(path, sizeof path, "%s/clothing", o.data);
    photos_load_classes(&clothing, path, o.per_class);
    if (o.fit) {
        float mean[VZ_EYE_DIMS];
        mean_fit(&pets, &clothing, 1, 0, mean);
        mean_print(mean);
    } else {
        measure_all(&o, &pets, &clothing);
    }
    photos_deinit(&pets);
    photos_deinit(&clothing);
    vz_image_stop();
    return 0;
}
