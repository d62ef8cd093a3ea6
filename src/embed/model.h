/* embed/model.h - one face for every model that makes vectors: the built-in eye, CLIP, sentence
 * models. A model sees pictures, reads texts, or both.
 *
 * Not for: names and installed models (registry.h), classifying (text_model.h).
 * Threads: an opened model may be used from any number of threads at once.
 *
 *     vz_model_open("models/all-MiniLM-L6-v2", NULL, &opened, &err);
 *     vz_model_embed_text(opened, VZ_SLICE("hello world"), vector, &truncated, &err);
 *     vz_model_close(opened);
 */
#ifndef VZ_EMBED_MODEL_H
#define VZ_EMBED_MODEL_H

#include "image/image.h"
#include "nn/context.h"

struct vz_opened_model;

/* A folder in Hugging Face or sentence-transformers layout: CLIP by its config.json (there or in
 * 0_CLIPModel/), otherwise a text model. A NULL folder is the built-in eye. NULL options: the
 * defaults. Blocks while weights are packed. Errors: those of vz_clip_open, vz_text_model_open and
 * vz_tokenizer_open. */
enum vz_status vz_model_open(const char *folder, const struct vz_nn_options *options,
                             struct vz_opened_model **out, struct vz_error *err);
/* NULL is allowed. */
void vz_model_close(struct vz_opened_model *model);

size_t vz_model_dims(const struct vz_opened_model *model);
bool vz_model_sees(const struct vz_opened_model *model);  /* pictures */
bool vz_model_reads(const struct vz_opened_model *model); /* texts */
/* What vz_image_decode should shrink to for this model's pictures; 0: decode whole. */
int vz_model_image_side(const struct vz_opened_model *model);

/* out[dims], of unit length. Errors: VZ_UNSUPPORTED (the model does not see), VZ_BUDGET,
 * VZ_INTERNAL. */
enum vz_status vz_model_embed_image(const struct vz_opened_model *model,
                                    const struct vz_image *image, float *out,
                                    struct vz_error *err);
/* out[dims]; unit length where the model's own pipeline ends so (CLIP always). *truncated (may be
 * NULL): the text was longer than the model reads. Errors: VZ_UNSUPPORTED (the model does not
 * read), VZ_BUDGET, VZ_INTERNAL. */
enum vz_status vz_model_embed_text(const struct vz_opened_model *model, struct vz_slice text,
                                   float *out, bool *truncated, struct vz_error *err);

#endif
