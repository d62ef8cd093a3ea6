#include "embed/model.h"

#include "base/file.h"
#include "embed/clip.h"
#include "embed/eye.h"
#include "embed/text_model.h"
#include "embed/tokenizer.h"
#include "json/json.h"
#include "nn/weights.h"

#include <math.h>
#include <stdlib.h>
#include <unistd.h>

/* Neither clip nor text: the built-in eye. */
struct vz_opened_model {
    struct vz_clip *clip;
    struct vz_text_model *text;
    struct vz_tokenizer *tokenizer; /* of either */
    float logit_scale;              /* CLIP's, as e raised to it; 0: unknown */
};

#define CLIP_SUBFOLDER "0_CLIPModel"

/* Where CLIP's config.json and tokenizer are, when this folder is CLIP's; appends to `out`. */
static bool clip_folder(const char *folder, struct vz_buf *out)
{
    struct vz_buf path = {0}, text = {0};
    struct vz_json_doc *doc = NULL;
    struct vz_json root, type;
    bool is_clip = false;
    vz_buf_printf(&path, "%s/" CLIP_SUBFOLDER "/config.json", folder);
    if (access(path.data, R_OK) == 0) {
        vz_buf_printf(out, "%s/" CLIP_SUBFOLDER, folder);
        is_clip = true;
        goto out;
    }
    vz_buf_clear(&path);
    vz_buf_printf(&path, "%s/config.json", folder);
    if (vz_file_read(path.data, (size_t)1 << 20, &text, NULL) == VZ_OK &&
        vz_json_parse(vz_buf_slice(&text), &doc, &root, NULL) == VZ_OK &&
        vz_json_get(root, "model_type", &type) && vz_slice_is(vz_json_string(type), "clip")) {
        vz_buf_append_str(out, folder);
        is_clip = true;
    }
out:
    vz_json_free(doc);
    vz_buf_deinit(&path);
    vz_buf_deinit(&text);
    return is_clip;
}

/* One number of the weights; files without it are as good, so no error. */
static float read_logit_scale(const char *folder)
{
    struct vz_weights *weights = NULL;
    float scale = 0;
    if (vz_weights_open(folder, &weights, NULL) != VZ_OK)
        return 0;
    const struct vz_tensor_view *view = vz_weights_find(weights, "logit_scale");
    if (view && view->count == 1)
        vz_tensor_read_f32(view, 0, 1, &scale);
    vz_weights_close(weights);
    return scale > 0 && scale < 10 ? expf(scale) : 0;
}

enum vz_status vz_model_open(const char *folder, const struct vz_nn_options *options,
                             struct vz_opened_model **out, struct vz_error *err)
{
    struct vz_opened_model *model = vz_calloc(1, sizeof *model);
    struct vz_buf inner = {0};
    enum vz_status status = VZ_OK;
    *out = NULL;
    if (folder && clip_folder(folder, &inner)) {
        status = vz_clip_open(folder, options, &model->clip, err);
        if (status == VZ_OK) {
            status = vz_tokenizer_open(inner.data, 0, &model->tokenizer, err);
            if (status == VZ_NOT_FOUND) /* without one it sees pictures all the same */
                status = VZ_OK;
        }
        if (status == VZ_OK)
            model->logit_scale = read_logit_scale(inner.data);
    } else if (folder) {
        status = vz_text_model_open(folder, VZ_TEXT_EMBED, options, &model->text, err);
        if (status == VZ_OK)
            status = vz_tokenizer_open(folder, vz_text_model_max_tokens(model->text),
                                       &model->tokenizer, err);
    }
    vz_buf_deinit(&inner);
    if (status == VZ_OK)
        *out = model;
    else
        vz_model_close(model);
    return status;
}

void vz_model_close(struct vz_opened_model *model)
{
    if (!model)
        return;
    vz_clip_free(model->clip);
    vz_text_model_free(model->text);
    vz_tokenizer_free(model->tokenizer);
    free(model);
}

size_t vz_model_dims(const struct vz_opened_model *model)
{
    if (model->clip)
        return vz_clip_config(model->clip)->dims;
    return model->text ? vz_text_model_dims(model->text) : VZ_EYE_DIMS;
}

bool vz_model_sees(const struct vz_opened_model *model)
{
    return !model->text;
}

bool vz_model_reads(const struct vz_opened_model *model)
{
    return model->tokenizer != NULL;
}

int vz_model_image_side(const struct vz_opened_model *model)
{
    /* Twice what the model sees leaves the exact resize enough: within cosine 0.9999. */
    return model->clip ? -2 * (int)vz_clip_config(model->clip)->image_side : VZ_EYE_SIDE;
}

enum vz_status vz_model_embed_image(const struct vz_opened_model *model,
                                    const struct vz_image *image, float *out, struct vz_error *err)
{
    if (model->text)
        return vz_fail(err, VZ_UNSUPPORTED, "this model reads texts and sees no pictures");
    if (!model->clip)
        return vz_eye_embed(image, out, err);
    float *pixels = vz_try_alloc(vz_clip_pixel_count(model->clip), sizeof *pixels);
    if (!pixels)
        return vz_fail(err, VZ_BUDGET, "no memory for a picture's input");
    enum vz_status status = vz_clip_preprocess(model->clip, image, pixels, err);
    if (status == VZ_OK)
        status = vz_clip_embed_images(model->clip, pixels, 1, true, out, err);
    free(pixels);
    return status;
}

enum vz_status vz_model_embed_text(const struct vz_opened_model *model, struct vz_slice text,
                                   float *out, bool *truncated, struct vz_error *err)
{
    struct vz_arena arena = {0};
    struct vz_tokens tokens = {0};
    if (!vz_model_reads(model))
        return vz_fail(err, VZ_UNSUPPORTED,
                       model->clip ? "the model's folder holds no tokenizer (tokenizer.json, or "
                                     "vocab.json with merges.txt), so it sees pictures and reads "
                                     "no texts"
                                   : "the built-in eye sees pictures and reads no texts; install "
                                     "CLIP for both: vizsla models pull clip-ViT-B-32");
    enum vz_status status = vz_tokenize(model->tokenizer, text, &arena, &tokens, err);
    if (status == VZ_OK) {
        const struct vz_text_ids ids = {.ids = tokens.ids, .count = tokens.count};
        status = model->clip ? vz_clip_embed_texts(model->clip, &ids, 1, true, out, err)
                             : vz_text_model_run(model->text, &ids, 1, out, err);
    }
    if (truncated)
        *truncated = tokens.is_truncated;
    vz_arena_deinit(&arena);
    return status;
}

static enum vz_status tokenize_all(const struct vz_tokenizer *tokenizer, struct vz_slice prefix,
                                   const struct vz_slice *texts, size_t count,
                                   struct vz_arena *arena, struct vz_text_ids *ids,
                                   struct vz_text_note *notes, struct vz_error *err)
{
    for (size_t i = 0; i < count; i++) {
        struct vz_tokens tokens = {0};
        struct vz_slice text = texts[i];
        if (prefix.len) {
            char *joined = vz_arena_alloc(arena, prefix.len + text.len);
            memcpy(joined, prefix.ptr, prefix.len);
            if (text.len)
                memcpy(joined + prefix.len, text.ptr, text.len);
            text = (struct vz_slice){joined, prefix.len + text.len};
        }
        enum vz_status status = vz_tokenize(tokenizer, text, arena, &tokens, err);
        if (status != VZ_OK)
            return status;
        ids[i] = (struct vz_text_ids){.ids = tokens.ids, .count = tokens.count};
        if (notes)
            notes[i] = (struct vz_text_note){tokens.is_truncated, (uint32_t)tokens.count};
    }
    return VZ_OK;
}

enum vz_status vz_model_embed_texts(const struct vz_opened_model *model, struct vz_slice prefix,
                                    const struct vz_slice *texts, size_t count, float *out,
                                    struct vz_text_note *notes, struct vz_error *err)
{
    struct vz_arena arena = {0};
    if (!vz_model_reads(model))
        return vz_model_embed_text(model, (struct vz_slice){0}, out, NULL, err); /* says why */
    struct vz_text_ids *ids = vz_arena_zalloc(&arena, count * sizeof *ids);
    enum vz_status status =
        tokenize_all(model->tokenizer, prefix, texts, count, &arena, ids, notes, err);
    if (status == VZ_OK && count)
        status = model->clip ? vz_clip_embed_texts(model->clip, ids, count, true, out, err)
                             : vz_text_model_run(model->text, ids, count, out, err);
    vz_arena_deinit(&arena);
    return status;
}

size_t vz_model_pixel_count(const struct vz_opened_model *model)
{
    return model->clip ? vz_clip_pixel_count(model->clip) : 0;
}

enum vz_status vz_model_prepare_image(const struct vz_opened_model *model,
                                      const struct vz_image *image, float *pixels,
                                      struct vz_error *err)
{
    return vz_clip_preprocess(model->clip, image, pixels, err);
}

enum vz_status vz_model_embed_pixels(const struct vz_opened_model *model, const float *pixels,
                                     size_t count, float *out, struct vz_error *err)
{
    return vz_clip_embed_images(model->clip, pixels, count, true, out, err);
}

float vz_model_logit_scale(const struct vz_opened_model *model)
{
    return model->logit_scale > 0 ? model->logit_scale : 100;
}

size_t vz_model_bytes(const struct vz_opened_model *model)
{
    if (model->clip)
        return vz_clip_bytes(model->clip);
    return model->text ? vz_text_model_bytes(model->text) : 0;
}

/* ---- classifiers ---- */

struct vz_classifier {
    struct vz_text_model *text;
    struct vz_tokenizer *tokenizer;
};

enum vz_status vz_classifier_open(const char *folder, const struct vz_nn_options *options,
                                  struct vz_classifier **out, struct vz_error *err)
{
    struct vz_classifier *c = vz_calloc(1, sizeof *c);
    *out = NULL;
    enum vz_status status = vz_text_model_open(folder, VZ_TEXT_CLASSIFY, options, &c->text, err);
    if (status == VZ_OK)
        status = vz_tokenizer_open(folder, vz_text_model_max_tokens(c->text), &c->tokenizer, err);
    if (status == VZ_OK)
        *out = c;
    else
        vz_classifier_close(c);
    return status;
}

void vz_classifier_close(struct vz_classifier *c)
{
    if (!c)
        return;
    vz_text_model_free(c->text);
    vz_tokenizer_free(c->tokenizer);
    free(c);
}

size_t vz_classifier_label_count(const struct vz_classifier *c)
{
    return vz_text_model_dims(c->text);
}

size_t vz_classifier_bytes(const struct vz_classifier *c)
{
    return vz_text_model_bytes(c->text);
}

static enum vz_status tokenize_pairs(const struct vz_classifier *c, const struct vz_slice *texts,
                                     const struct vz_slice *pairs, enum vz_cut cut, size_t count,
                                     struct vz_arena *arena, struct vz_text_ids *ids,
                                     struct vz_text_note *notes, struct vz_error *err)
{
    for (size_t i = 0; i < count; i++) {
        struct vz_tokens tokens = {0};
        uint8_t *types = NULL;
        enum vz_status status =
            vz_tokenize_pair(c->tokenizer, texts[i], pairs[i], cut, arena, &tokens, &types, err);
        if (status != VZ_OK)
            return status;
        ids[i] = (struct vz_text_ids){tokens.ids, types, tokens.count};
        if (notes)
            notes[i] = (struct vz_text_note){tokens.is_truncated, (uint32_t)tokens.count};
    }
    return VZ_OK;
}

enum vz_status vz_classifier_run(const struct vz_classifier *c, const struct vz_slice *texts,
                                 const struct vz_slice *pairs, enum vz_cut cut, size_t count,
                                 float *logits, struct vz_text_note *notes, struct vz_error *err)
{
    struct vz_arena arena = {0};
    struct vz_text_ids *ids = vz_arena_zalloc(&arena, count * sizeof *ids);
    enum vz_status status =
        pairs ? tokenize_pairs(c, texts, pairs, cut, count, &arena, ids, notes, err)
              : tokenize_all(c->tokenizer, (struct vz_slice){0}, texts, count, &arena, ids, notes,
                             err);
    if (status == VZ_OK && count)
        status = vz_text_model_run(c->text, ids, count, logits, err);
    vz_arena_deinit(&arena);
    return status;
}
