/* How fast the models are: a JSON line for each measurement.
 *
 *   bench_models [--seconds S] [--precision P] [--threads N] clip FOLDER    images, texts, loading
 *   bench_models [...] short FOLDER                     CLIP texts of 12 and 77 tokens
 *   bench_models [...] text FOLDER                                          sentences
 *   bench_models [...] photo FOLDER FILE...    decoding beside embedding
 *   bench_models [...] encode FOLDER FILE...   lines of text, tokens and all
 *   bench_models [...] load FOLDER    CLIP from disk to first vectors; a line a line on stdin
 *
 * Each number is the best of the rounds that fit in --seconds: the machine may be shared, and
 * what disturbs only ever makes a round slower. With one thread the clock is the thread's own
 * processor time, so that others on the machine hardly matter; with several it is the wall's.
 * Images are measured in turns with `ceiling`, the model's multiplications alone (weights of their
 * own for each layer, no bias in int8, nothing between), run in the same pieces of the batch on the
 * same threads.
 */
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>

#include "base/file.h"
#include "base/text.h"
#include "ceiling.h"
#include "embed/clip.h"
#include "embed/model.h"
#include "nn/linear.h"

static double seconds = 3;
static unsigned threads;
static enum vz_precision only = VZ_PRECISION_AUTO;

static double clock_read(clockid_t id)
{
    struct timespec t;
    clock_gettime(id, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static double now(void)
{
    return clock_read(threads == 1 ? CLOCK_THREAD_CPUTIME_ID : CLOCK_MONOTONIC);
}

static void die(const struct vz_error *err)
{
    fprintf(stderr, "bench_models: %s\n", err->text);
    exit(1);
}

struct ceilings {
    enum vz_precision precision;
    const struct ceiling_shape *shapes;
    size_t count, chunks;
    unsigned team;
    struct ceiling *all[64]; /* one a thread */
};

/* `chunks` pieces over `team` threads, or one piece with all threads inside. */
static void ceilings_run(struct ceilings *c)
{
    if (c->team == 1) {
        for (size_t i = 0; i < c->chunks; i++)
            ceiling_run(c->all[0]);
        return;
    }
#pragma omp parallel for num_threads(c->team) schedule(dynamic, 1)
    for (size_t i = 0; i < c->chunks; i++)
        ceiling_run(c->all[omp_get_thread_num()]);
}

static bool ceilings_init(struct ceilings *c)
{
    bool ok = true;
    int before = omp_get_max_threads();
    omp_set_num_threads(c->team == 1 ? (int)threads : 1);
    for (unsigned t = 0; t < c->team; t++)
        ok = (c->all[t] = ceiling_new(c->precision, c->shapes, c->count)) && ok;
    omp_set_num_threads(before);
    return ok;
}

static void ceilings_deinit(struct ceilings *c)
{
    for (unsigned t = 0; t < c->team; t++)
        if (c->all[t])
            ceiling_free(c->all[t]);
}

static void bench_images(const struct vz_clip *clip, size_t batch)
{
    const struct vz_clip_config *c = vz_clip_config(clip);
    size_t grid = c->image_side / c->patch, tokens = grid * grid + 1, w = c->image.width;
    float *pixels = calloc(batch, vz_clip_pixel_count(clip) * sizeof *pixels);
    float *out = calloc(batch, c->dims * sizeof *out);
    uint64_t seed = 1;
    for (size_t i = 0; i < batch * vz_clip_pixel_count(clip); i++)
        pixels[i] = (float)(3 * vz_rng_unit(&seed) - 1.5);
    size_t piece = batch == 1 ? 1 : 4, rows = piece * tokens, layers = c->image.layers;
    struct ceiling_shape shapes[] = {{piece * grid * grid, 3 * c->patch * c->patch, w, 1},
                                     {rows, w, 3 * w, layers},
                                     {rows, w, w, layers},
                                     {rows, w, c->image.mlp, layers},
                                     {rows, c->image.mlp, w, layers}};
    struct ceilings bare = {.precision = vz_clip_precision(clip),
                            .shapes = shapes,
                            .count = VZ_COUNT_OF(shapes),
                            .chunks = batch / piece,
                            .team = batch == 1 ? 1 : threads};
    if (!ceilings_init(&bare))
        fprintf(stderr, "no ceiling\n");
    double best = 1e9, best_bare = 1e9, start = now();
    struct vz_error err = {0};
    for (int round = 0; round < 3 || now() - start < seconds; round++) {
        double t0 = now();
        if (vz_clip_embed_images(clip, pixels, batch, true, out, &err) != VZ_OK)
            die(&err);
        double t1 = now();
        omp_set_num_threads((int)threads);
        ceilings_run(&bare);
        double t2 = now();
        best = VZ_MIN(best, t1 - t0);
        best_bare = VZ_MIN(best_bare, t2 - t1);
    }
    ceilings_deinit(&bare);
    printf("{\"bench\":\"clip-image\",\"precision\":\"%s\",\"threads\":%u,\"batch\":%zu,"
           "\"images_per_s\":%.2f,\"ms\":%.3f,\"ceiling_images_per_s\":%.2f,\"of_ceiling\":%.3f}\n",
           vz_precision_name(vz_clip_precision(clip)), threads, batch, (double)batch / best,
           best * 1e3, (double)batch / best_bare, best_bare / best);
    fflush(stdout);
    free(pixels);
    free(out);
}

static void bench_texts(const struct vz_clip *clip, size_t tokens)
{
    const struct vz_clip_config *c = vz_clip_config(clip);
    uint32_t ids[77];
    struct vz_text_ids text = {ids, NULL, tokens};
    float *out = calloc(1, c->dims * sizeof *out);
    struct vz_error err = {0};
    for (size_t i = 0; i < tokens; i++)
        ids[i] = (uint32_t)(i * 977 % (c->vocab - 2));
    ids[tokens - 1] = (uint32_t)c->vocab - 1;
    double best = 1e9, start = now();
    for (int round = 0; round < 3 || now() - start < seconds / 2; round++) {
        double t0 = now();
        if (vz_clip_embed_texts(clip, &text, 1, true, out, &err) != VZ_OK)
            die(&err);
        best = VZ_MIN(best, now() - t0);
    }
    printf("{\"bench\":\"clip-text\",\"precision\":\"%s\",\"threads\":%u,\"tokens\":%zu,"
           "\"ms\":%.3f}\n",
           vz_precision_name(vz_clip_precision(clip)), threads, tokens, best * 1e3);
    fflush(stdout);
    free(out);
}

/* MB of this process's memory, by /proc's names. */
struct memory {
    double rss, pss, anonymous, huge;
};

static struct memory memory_now(void)
{
    struct memory m = {0};
    char line[256];
    double kb;
    FILE *f = fopen("/proc/self/smaps_rollup", "r");
    while (f && fgets(line, sizeof line, f)) {
        if (sscanf(line, "Rss: %lf", &kb) == 1)
            m.rss = kb / 1024;
        else if (sscanf(line, "Pss: %lf", &kb) == 1)
            m.pss = kb / 1024;
        else if (sscanf(line, "Anonymous: %lf", &kb) == 1)
            m.anonymous = kb / 1024;
        else if (sscanf(line, "FilePmdMapped: %lf", &kb) == 1)
            m.huge = kb / 1024;
    }
    if (f)
        fclose(f);
    return m;
}

static double wall(void)
{
    return clock_read(CLOCK_MONOTONIC);
}

/* Wall time, since that is what one waits for. A line on stdin asks for the memory again. */
/* Short texts only, for a profiler. */
static void bench_short(const char *folder, enum vz_precision precision)
{
    struct vz_clip *clip;
    struct vz_error err = {0};
    struct vz_nn_options options = {.precision = precision, .threads = threads};
    if (vz_clip_open(folder, &options, &clip, &err) != VZ_OK)
        die(&err);
    bench_texts(clip, 12);
    bench_texts(clip, vz_clip_config(clip)->positions);
    vz_clip_free(clip);
}

static void bench_load(const char *folder, enum vz_precision precision)
{
    struct vz_clip *clip;
    struct vz_error err = {0};
    double t0 = wall();
    struct vz_nn_options options = {.precision = precision, .threads = threads};
    if (vz_clip_open(folder, &options, &clip, &err) != VZ_OK)
        die(&err);
    double t1 = wall();
    float *pixels = calloc(vz_clip_pixel_count(clip), sizeof *pixels), out[4096];
    if (vz_clip_embed_images(clip, pixels, 1, true, out, &err) != VZ_OK)
        die(&err);
    double t2 = wall();
    uint32_t ids[12] = {49406, 1,     5000,  10000, 15000, 20000,
                        25000, 30000, 35000, 40000, 45000, 49407};
    if (vz_clip_embed_texts(clip, &(struct vz_text_ids){ids, NULL, 12}, 1, true, out, &err) !=
        VZ_OK)
        die(&err);
    double t3 = wall(), weights = (double)vz_clip_parameters(clip) / 1048576;
    weights *= precision == VZ_PRECISION_F32 ? 4 : precision == VZ_PRECISION_BF16 ? 2 : 1;
    char line[16];
    do {
        struct memory m = memory_now();
        printf("{\"bench\":\"load\",\"precision\":\"%s\",\"threads\":%u,\"shared\":%s,"
               "\"open_ms\":%.1f,\"first_image_ms\":%.1f,\"first_text_ms\":%.1f,"
               "\"weights_mb\":%.1f,\"rss_mb\":%.1f,\"rss_of_weights\":%.3f,\"pss_mb\":%.1f,"
               "\"anonymous_mb\":%.1f,\"huge_file_mb\":%.1f}\n",
               vz_precision_name(precision), threads, vz_clip_shared(clip) ? "true" : "false",
               (t1 - t0) * 1e3, (t2 - t0) * 1e3, (t3 - t0) * 1e3, weights, m.rss, m.rss / weights,
               m.pss, m.anonymous, m.huge);
        fflush(stdout);
    } while (fgets(line, sizeof line, stdin));
    free(pixels);
    vz_clip_free(clip);
}

static void bench_clip(const char *folder, enum vz_precision precision)
{
    struct vz_clip *clip;
    struct vz_error err = {0};
    double t0 = now();
    enum vz_status status = vz_clip_open(
        folder, &(struct vz_nn_options){.precision = precision, .threads = threads}, &clip, &err);
    if (status == VZ_UNSUPPORTED) {
        fprintf(stderr, "%s\n", err.text);
        return;
    }
    if (status != VZ_OK)
        die(&err);
    double opened = now() - t0;
    float *pixels = calloc(vz_clip_pixel_count(clip), sizeof *pixels), out[4096];
    if (vz_clip_embed_images(clip, pixels, 1, true, out, &err) != VZ_OK)
        die(&err);
    printf("{\"bench\":\"clip-load\",\"precision\":\"%s\",\"threads\":%u,\"open_ms\":%.1f,"
           "\"first_vector_ms\":%.1f,\"packed_mb\":%.1f,\"anonymous_mb\":%.1f}\n",
           vz_precision_name(vz_clip_precision(clip)), threads, opened * 1e3, (now() - t0) * 1e3,
           (double)vz_clip_bytes(clip) / 1048576, memory_now().anonymous);
    fflush(stdout);
    free(pixels);
    bench_images(clip, 1);
    bench_images(clip, 32);
    size_t longest = vz_clip_config(clip)->positions;
    bench_texts(clip, 10);
    bench_texts(clip, 12);
    bench_texts(clip, longest);
    vz_clip_free(clip);
}

/* Numbers of one way to read a picture; times in ms. */
struct reading {
    double decode, preprocess, embed;
    float vector[4096];
};

/* Wall time: libvips decodes on threads of its own. */
static void read_photo(const struct vz_clip *clip, struct vz_slice bytes, int side, float *pixels,
                       struct reading *out)
{
    struct vz_error err = {0};
    struct vz_image image;
    double t0 = wall();
    if (vz_image_decode(bytes, NULL, side, &image, &err) != VZ_OK)
        die(&err);
    double t1 = wall();
    if (vz_clip_preprocess(clip, &image, pixels, &err) != VZ_OK)
        die(&err);
    double t2 = wall();
    if (vz_clip_embed_images(clip, pixels, 1, true, out->vector, &err) != VZ_OK)
        die(&err);
    double t3 = wall();
    out->decode = VZ_MIN(out->decode, (t1 - t0) * 1e3);
    out->preprocess = VZ_MIN(out->preprocess, (t2 - t1) * 1e3);
    out->embed = VZ_MIN(out->embed, (t3 - t2) * 1e3);
    vz_image_deinit(&image);
}

static double cosine(const float *a, const float *b, size_t count)
{
    double dot = 0;
    for (size_t i = 0; i < count; i++)
        dot += (double)a[i] * b[i];
    return dot;
}

/* FILES decoded whole and shrunk while decoding: times, and how near the vectors are. */
static void bench_photos(const char *folder, enum vz_precision precision, char **files, int count)
{
    struct vz_clip *clip;
    struct vz_error err = {0};
    struct vz_nn_options options = {.precision = precision, .threads = threads};
    if (vz_clip_open(folder, &options, &clip, &err) != VZ_OK)
        die(&err);
    size_t dims = vz_clip_config(clip)->dims;
    int side = (int)vz_clip_config(clip)->image_side;
    float *pixels = calloc(vz_clip_pixel_count(clip), sizeof *pixels);
    static struct reading whole, fast;
    for (int times = 1; times <= 3; times++) {
        double sums[6] = {0}, least = 1, mean = 0;
        for (int i = 0; i < count; i++) {
            struct vz_buf bytes = {0};
            if (vz_file_read(files[i], 0, &bytes, &err) != VZ_OK)
                die(&err);
            whole.decode = whole.preprocess = whole.embed = 1e9;
            fast.decode = fast.preprocess = fast.embed = 1e9;
            double start = now();
            do {
                read_photo(clip, vz_buf_slice(&bytes), 0, pixels, &whole);
                read_photo(clip, vz_buf_slice(&bytes), -times * side, pixels, &fast);
            } while (now() - start < seconds / count);
            double near = cosine(whole.vector, fast.vector, dims);
            double parts[] = {whole.decode, whole.preprocess, whole.embed,
                              fast.decode,  fast.preprocess,  fast.embed};
            for (int k = 0; k < 6; k++)
                sums[k] += parts[k] / count;
            least = VZ_MIN(least, near);
            mean += near / count;
            vz_buf_deinit(&bytes);
        }
        printf("{\"bench\":\"photo\",\"precision\":\"%s\",\"threads\":%u,\"photos\":%d,"
               "\"side\":%d,\"decode_ms\":%.2f,\"preprocess_ms\":%.2f,\"embed_ms\":%.2f,"
               "\"share\":%.3f,\"whole_decode_ms\":%.2f,\"whole_preprocess_ms\":%.2f,"
               "\"whole_share\":%.3f,\"least_cosine\":%.6f,\"mean_cosine\":%.6f}\n",
               vz_precision_name(precision), threads, count, times * side, sums[3], sums[4],
               sums[5], (sums[3] + sums[4]) / (sums[3] + sums[4] + sums[5]), sums[0], sums[1],
               (sums[0] + sums[1]) / (sums[0] + sums[1] + sums[2]), least, mean);
        fflush(stdout);
    }
    free(pixels);
    vz_clip_free(clip);
}

static void bench_text(const char *folder, enum vz_precision precision)
{
    struct vz_text_model *model;
    struct vz_error err = {0};
    enum vz_status status = vz_text_model_open(
        folder, VZ_TEXT_EMBED, &(struct vz_nn_options){.precision = precision, .threads = threads},
        &model, &err);
    if (status == VZ_UNSUPPORTED) {
        fprintf(stderr, "%s\n", err.text);
        return;
    }
    if (status != VZ_OK)
        die(&err);
    enum { COUNT = 64, MOST = 64 };
    static uint32_t ids[COUNT][MOST];
    struct vz_text_ids texts[COUNT];
    float *out = calloc(COUNT, vz_text_model_dims(model) * sizeof *out);
    for (size_t i = 0; i < COUNT; i++) {
        texts[i] = (struct vz_text_ids){ids[i], NULL, 8 + i * 37 % 32}; /* 8 .. 39, mean 23.5 */
        for (size_t k = 0; k < MOST; k++)
            ids[i][k] = (uint32_t)(1 + (i * 131 + k * 977) % 30000);
    }
    for (size_t batch = 1; batch <= COUNT; batch *= COUNT) {
        double best = 1e9, start = now();
        for (int round = 0; round < 3 || now() - start < seconds; round++) {
            double t0 = now();
            if (vz_text_model_run(model, texts, batch, out, &err) != VZ_OK)
                die(&err);
            best = VZ_MIN(best, now() - t0);
        }
        printf("{\"bench\":\"sentences\",\"precision\":\"%s\",\"threads\":%u,\"batch\":%zu,"
               "\"sentences_per_s\":%.1f,\"ms\":%.3f}\n",
               vz_precision_name(vz_text_model_precision(model)), threads, batch,
               (double)batch / best, best * 1e3);
        fflush(stdout);
    }
    free(out);
    vz_text_model_free(model);
}

/* ---- texts as they come: tokens and all ---- */

enum { MOST_LINES = 4096 };

static size_t read_lines(const char *path, struct vz_buf *text, struct vz_slice *lines)
{
    struct vz_error err = {0};
    size_t count = 0;
    if (vz_file_read(path, 0, text, &err) != VZ_OK)
        die(&err);
    for (char *at = text->data, *end; count < MOST_LINES && (end = strchr(at, '\n')); at = end + 1)
        lines[count++] = (struct vz_slice){at, (size_t)(end - at)};
    return count;
}

/* Each file's lines: all at once, and one by one. */
static void bench_encode(const char *folder, enum vz_precision precision, char **files, int count)
{
    struct vz_opened_model *model;
    struct vz_error err = {0};
    struct vz_nn_options options = {.precision = precision, .threads = threads};
    static struct vz_slice lines[MOST_LINES];
    if (vz_model_open(folder, &options, &model, &err) != VZ_OK)
        die(&err);
    float *out = calloc(MOST_LINES, vz_model_dims(model) * sizeof *out);
    for (int f = 0; f < count; f++) {
        struct vz_buf text = {0};
        size_t n = read_lines(files[f], &text, lines), few = VZ_MIN(n, 16);
        double together = 1e9, alone = 1e9, start = now();
        for (int round = 0; round < 3 || now() - start < seconds; round++) {
            double t0 = now();
            if (vz_model_embed_texts(model, VZ_SLICE(""), lines, n, out, NULL, &err) != VZ_OK)
                die(&err);
            double t1 = now();
            for (size_t i = 0; i < few; i++)
                if (vz_model_embed_text(model, lines[i], out, NULL, &err) != VZ_OK)
                    die(&err);
            together = VZ_MIN(together, t1 - t0);
            alone = VZ_MIN(alone, now() - t1);
        }
        const char *slash = strrchr(files[f], '/');
        printf("{\"bench\":\"encode\",\"precision\":\"%s\",\"threads\":%u,\"file\":\"%s\","
               "\"texts\":%zu,\"together_per_s\":%.1f,\"alone_per_s\":%.1f}\n",
               vz_precision_name(precision), threads, slash ? slash + 1 : files[f], n,
               (double)n / together, (double)few / alone);
        fflush(stdout);
        vz_buf_deinit(&text);
    }
    free(out);
    vz_model_close(model);
}

int main(int argc, char **argv)
{
    int i = 1;
    threads = (unsigned)omp_get_num_procs();
    for (; i + 1 < argc && argv[i][0] == '-'; i += 2) {
        if (strcmp(argv[i], "--seconds") == 0)
            seconds = atof(argv[i + 1]);
        else if (strcmp(argv[i], "--threads") == 0)
            threads = (unsigned)atoi(argv[i + 1]);
        else if (strcmp(argv[i], "--precision") != 0 ||
                 !vz_precision_parse(vz_slice_from(argv[i + 1]), &only))
            break;
    }
    if (i + 2 > argc ||
        (i + 2 < argc && strcmp(argv[i], "photo") != 0 && strcmp(argv[i], "encode") != 0) ||
        threads < 1 || threads > 64) {
        fprintf(stderr,
                "usage: bench_models [--seconds S] [--precision f32|bf16|int8] "
                "[--threads N] clip|text|short|load FOLDER | photo|encode FOLDER FILE...\n");
        return 2;
    }
    for (enum vz_precision p = VZ_PRECISION_F32; p <= VZ_PRECISION_INT8; p++) {
        if (only != VZ_PRECISION_AUTO && only != p)
            continue;
        if (strcmp(argv[i], "short") == 0)
            bench_short(argv[i + 1], p);
        else if (strcmp(argv[i], "encode") == 0)
            bench_encode(argv[i + 1], p, argv + i + 2, argc - i - 2);
        else if (strcmp(argv[i], "photo") == 0)
            bench_photos(argv[i + 1], p, argv + i + 2, argc - i - 2);
        else if (strcmp(argv[i], "load") == 0)
            bench_load(argv[i + 1], p);
        else if (strcmp(argv[i], "clip") == 0)
            bench_clip(argv[i + 1], p);
        else
            bench_text(argv[i + 1], p);
    }
    return 0;
}
