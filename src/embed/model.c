#include "embed/model.h"

#include "base/file.h"
#include "embed/clip.h"
#include "embed/eye.h"
#include "embed/text_model.h"
#include "embed/tokenizer.h"
#include "json/json.h"

#include <stdlib.h>
#include <unistd.h>

/* Neither clip nor text: the built-in eye. */
struct vz_opened_model {
    struct vz_clip *clip;
    struct vz_text_model *text;
    struct vz_tokenizer *tokenizer; /* of either */
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

enum vz_status vz_model_open(const char *folder, const struct vz_nn_options *options,
                             struct vz_opened_model **out, struct vz_error *err)
{
    struct vz_opened_model *model = vz_calloc(1, sizeof *model);
    struct vz_buf inner = {0};
    enum vz_status status = VZ_OK;
    *out = NULL;
    if (folder && clip_folder(folder, &inner)) {
        status = vz_clip_open(folder, options, &model->clip, err);
        if (status == VZ_OK)
            status = vz_tokenizer_open(inner.data, 0, &model->tokenizer, err);
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
    return model->clip || model->text;
}

int vz_model_image_side(const struct vz_opened_model *model)
{
    return model->clip ? 0 : VZ_EYE_SIDE;
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
                       "the built-in eye sees pictures and reads no texts; install CLIP for both: "
                       "vizsla models pull clip-ViT-B-32");
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
