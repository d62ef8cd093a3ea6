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

#include "base/mem.h"
#include "embed/tokenizer.h"
#include "image/image.h"
#include "nn/context.h"

struct vz_opened_model;

/* ---- what a folder holds, without opening its weights -------------------------------------- */

enum vz_model_made_for {
    VZ_MADE_TO_EMBED,    /* vectors */
    VZ_MADE_TO_CLASSIFY, /* texts to labels */
    VZ_MADE_TO_RANK,     /* a pair of texts to one number: cross-encoders */
    VZ_MADE_TO_ENTAIL    /* a pair of texts to entailment or not: NLI, zero-shot classification */
};

struct vz_model_about {
    enum vz_model_made_for made_for;
    bool sees, reads;
    uint32_t dims;             /* of its vectors; 0 for the others */
    uint32_t max_tokens;       /* as the configuration says; 0: unknown */
    struct vz_slice type;      /* "clip", "bert", ...; "eye" */
    struct vz_slice *labels;   /* in the order of the logits; none for those that embed */
    size_t label_count;
    bool multi_label;          /* each label on its own (sigmoid) instead of softmax over them */
    int entailment, contradiction; /* VZ_MADE_TO_ENTAIL: numbers of labels; contradiction may be -1 */
    /* In front of questions and of documents, as sentence-transformers' prompts or the family's
     * habit say (e5); mostly empty. */
    struct vz_slice query_prefix, document_prefix;
    uint64_t weights_bytes; /* of the weight files as stored */
    unsigned weight_bytes;  /* of one stored number: 4, 2 */
};

/* A NULL folder is the built-in eye. Reads small files only; texts are the arena's. `name` (may be
 * empty) is the model's whole name, for families told by name. Errors: VZ_NOT_FOUND, VZ_CORRUPT,
 * VZ_UNSUPPORTED (a family that is not done), VZ_BAD_JSON, VZ_IO. */
enum vz_status vz_model_about(const char *folder, struct vz_slice name, struct vz_arena *arena,
                              struct vz_model_about *out, struct vz_error *err);

/* ---- vectors ------------------------------------------------------------------------------- */

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
/* vz_image_decode's target_side for this model's pictures: below 0 for CLIP, which large JPEGs are
 * shrunk for while decoding (the vector stays within cosine 0.999) and others are not. */
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

/* What became of one text. */
struct vz_text_note {
    bool is_truncated;
    uint32_t tokens; /* read, special ones counted */
};
/* Several at once, which is faster: out [count, dims], notes [count] (may be NULL). `prefix` goes
 * in front of each. Errors as for one. */
enum vz_status vz_model_embed_texts(const struct vz_opened_model *model, struct vz_slice prefix,
                                    const struct vz_slice *texts, size_t count, float *out,
                                    struct vz_text_note *notes, struct vz_error *err);
/* Pictures in two steps, so that only inputs of the model's size are kept: vz_model_prepare_image
 * writes vz_model_pixel_count floats, vz_model_embed_pixels takes [count, pixel_count]. A count of
 * 0: the model has no such steps (the eye, text models). */
size_t vz_model_pixel_count(const struct vz_opened_model *model);
enum vz_status vz_model_prepare_image(const struct vz_opened_model *model,
                                      const struct vz_image *image, float *pixels,
                                      struct vz_error *err);
enum vz_status vz_model_embed_pixels(const struct vz_opened_model *model, const float *pixels,
                                     size_t count, float *out, struct vz_error *err);
/* By how much CLIP multiplies cosines before its softmax; 100 for others. */
float vz_model_logit_scale(const struct vz_opened_model *model);
/* Packed weights and tables. The eye: 0. */
size_t vz_model_bytes(const struct vz_opened_model *model);

/* ---- labels -------------------------------------------------------------------------------- */

/* A text model with a head: sentiment, emotion, cross-encoders, NLI. Threads as above. */
struct vz_classifier;
enum vz_status vz_classifier_open(const char *folder, const struct vz_nn_options *options,
                                  struct vz_classifier **out, struct vz_error *err);
/* NULL is allowed. */
void vz_classifier_close(struct vz_classifier *classifier);
size_t vz_classifier_label_count(const struct vz_classifier *classifier);
size_t vz_classifier_bytes(const struct vz_classifier *classifier);
/* logits [count, labels] of `texts`, or of pairs (texts[i], pairs[i]) when `pairs` is given; `cut` is
 * for those. notes [count] may be NULL. Errors: VZ_BUDGET, VZ_INTERNAL. */
enum vz_status vz_classifier_run(const struct vz_classifier *classifier,
                                 const struct vz_slice *texts, const struct vz_slice *pairs,
                                 enum vz_cut cut, size_t count, float *logits,
                                 struct vz_text_note *notes, struct vz_error *err);

#endif
