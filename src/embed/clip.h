/* embed/clip.h - CLIP: pictures and texts to vectors of one space.
 *
 * Both towers of Hugging Face's CLIPModel (OpenAI's and LAION's weights; ViT-B/32, B/16, L/14 and
 * others by config.json). Not for: texts to tokens (tokenizer.h), bytes to pictures
 * (image/image.h).
 *
 * Threads: a model may be used from any number of threads at once; a single call uses all cores
 * that are free. Vectors are as the model gives them; `unit` makes them of length 1, as
 * sentence-transformers' users mostly do.
 *
 *     vz_clip_open("models/clip-ViT-B-32", NULL, &clip, &err);
 *     vz_clip_preprocess(clip, &image, pixels, &err);
 *     vz_clip_embed_images(clip, pixels, 1, true, vector, &err);
 *     vz_clip_free(clip);
 */
#ifndef VZ_EMBED_CLIP_H
#define VZ_EMBED_CLIP_H

#include "embed/text_model.h"
#include "image/image.h"
#include "nn/source.h"

struct vz_clip;

/* A folder with config.json and the weights, or with both in 0_CLIPModel/ (sentence-transformers);
 * preprocessor_config.json is read where there is one. NULL options: the defaults. Blocks for
 * packing. Errors: VZ_NOT_FOUND, VZ_CORRUPT, VZ_UNSUPPORTED, VZ_BUDGET, VZ_IO, VZ_BAD_JSON. */
enum vz_status vz_clip_open(const char *folder, const struct vz_nn_options *options,
                            struct vz_clip **out, struct vz_error *err);
/* From tensors that outlive the model. */
enum vz_status vz_clip_new(const struct vz_clip_config *config,
                           const struct vz_tensor_source *source,
                           const struct vz_nn_options *options, struct vz_clip **out,
                           struct vz_error *err);
/* NULL is allowed. */
void vz_clip_free(struct vz_clip *clip);

const struct vz_clip_config *vz_clip_config(const struct vz_clip *clip);
enum vz_precision vz_clip_precision(const struct vz_clip *clip);
/* Packed weights and tables, without scratch memory and mapped files. */
size_t vz_clip_bytes(const struct vz_clip *clip);
/* Numbers in the model's files that it was made of. */
size_t vz_clip_parameters(const struct vz_clip *clip);
/* The packed weights are pages of a file that processes share (nn/packed.h). */
bool vz_clip_shared(const struct vz_clip *clip);

/* Numbers of one picture's input: 3 * image_side * image_side. */
size_t vz_clip_pixel_count(const struct vz_clip *clip);
/* As Pillow and CLIPImageProcessor do, to the bit: the shorter side to image_side by antialiased
 * bicubic, centre crop, / 255, - mean, / deviation. out: [3, side, side]. The picture may be of any
 * size; decode it with target_side 0 for exactness, or 2 * image_side for speed. Errors: VZ_BUDGET,
 * VZ_BAD_ARGUMENT (stretched over 65,535 pixels). */
enum vz_status vz_clip_preprocess(const struct vz_clip *clip, const struct vz_image *image,
                                  float *out, struct vz_error *err);

/* The same without a model: `side` pixels, mean and deviation of each channel. */
enum vz_status vz_clip_preprocess_at(const struct vz_image *image, size_t side, const float mean[3],
                                     const float deviation[3], float *out, struct vz_error *err);

/* pixels [count, 3, side, side] -> out [count, dims]. Errors: VZ_BUDGET, VZ_INTERNAL. */
enum vz_status vz_clip_embed_images(const struct vz_clip *clip, const float *pixels, size_t count,
                                    bool unit, float *out, struct vz_error *err);
/* Texts with start and end tokens, not padded, without types -> out [count, dims]. Errors:
 * VZ_BAD_ARGUMENT (no tokens, or an id outside the vocabulary), VZ_LIMIT (more tokens than
 * positions), VZ_BUDGET, VZ_INTERNAL. */
enum vz_status vz_clip_embed_texts(const struct vz_clip *clip, const struct vz_text_ids *texts,
                                   size_t count, bool unit, float *out, struct vz_error *err);

#endif
