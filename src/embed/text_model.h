/* embed/text_model.h - sentences to vectors, and texts to labels: BERT, DistilBERT, RoBERTa, XLM-R,
 * CamemBERT and MPNet.
 *
 * Embedding: the encoder, then sentence-transformers' modules (pooling, dense layers, normalise).
 * Classifying: the encoder and the family's own head (sentiment, emotion; with one label a
 * cross-encoder's score); logits come out, what they mean is the caller's.
 * Not for: texts to tokens (tokenizer.h), CLIP's text tower (clip.h).
 *
 * Threads: a model may be used from any number of threads at once; a single call uses all cores
 * that are free.
 *
 *     vz_text_model_open("models/all-MiniLM-L6-v2", VZ_TEXT_EMBED, NULL, &model, &err);
 *     vz_text_model_run(model, &text, 1, vector, &err);
 *     vz_text_model_free(model);
 */
#ifndef VZ_EMBED_TEXT_MODEL_H
#define VZ_EMBED_TEXT_MODEL_H

#include "embed/model_config.h"
#include "nn/source.h"

struct vz_text_model;

/* One text as ids, with the special tokens, not padded; `types` says which segment each is of
 * (NULL: all the first). Borrowed. */
struct vz_text_ids {
    const uint32_t *ids;
    const uint8_t *types;
    size_t count;
};

enum vz_text_task { VZ_TEXT_EMBED, VZ_TEXT_CLASSIFY };

#define VZ_MAX_DENSE 4

/* What comes behind the encoder. */
struct vz_text_modules {
    enum vz_pooling pooling;
    struct vz_text_dense {
        const struct vz_tensor_view *weight, *bias; /* bias may be NULL */
        enum vz_activation activation;
    } dense[VZ_MAX_DENSE];
    size_t dense_count;
    bool unit; /* length 1 in the end */
};

/* A folder in Hugging Face layout; modules.json and what it names are read where they are there,
 * otherwise mean pooling and nothing else. NULL options: the defaults. Blocks for packing. Errors:
 * VZ_NOT_FOUND, VZ_CORRUPT, VZ_UNSUPPORTED, VZ_BUDGET, VZ_IO, VZ_BAD_JSON. */
enum vz_status vz_text_model_open(const char *folder, enum vz_text_task task,
                                  const struct vz_nn_options *options, struct vz_text_model **out,
                                  struct vz_error *err);
/* From tensors that outlive the model. `modules` NULL with VZ_TEXT_CLASSIFY. */
enum vz_status vz_text_model_new(const struct vz_text_config *config,
                                 const struct vz_text_modules *modules,
                                 const struct vz_tensor_source *source,
                                 const struct vz_nn_options *options, struct vz_text_model **out,
                                 struct vz_error *err);
/* NULL is allowed. */
void vz_text_model_free(struct vz_text_model *model);

/* Numbers of an answer: the vector's dimensions, or the labels. */
size_t vz_text_model_dims(const struct vz_text_model *model);
/* Of one text, special tokens counted. */
size_t vz_text_model_max_tokens(const struct vz_text_model *model);
enum vz_precision vz_text_model_precision(const struct vz_text_model *model);
/* Packed weights and tables, without scratch memory and mapped files. */
size_t vz_text_model_bytes(const struct vz_text_model *model);

/* out [count, dims]. Errors: VZ_BAD_ARGUMENT (no tokens, or an id outside the vocabulary), VZ_LIMIT
 * (more than max_tokens), VZ_BUDGET, VZ_INTERNAL. */
enum vz_status vz_text_model_run(const struct vz_text_model *model, const struct vz_text_ids *texts,
                                 size_t count, float *out, struct vz_error *err);

#endif
