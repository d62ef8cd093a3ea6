/* embed/traced.h - a model as eland uploads it, to a folder in sentence-transformers' layout.
 *
 * `eland_import_hub_model` sends a traced and frozen TorchScript module, a vocabulary and a
 * configuration. Here the module's graph is recognised as one of the families that
 * embed/text_model.h runs (BERT, DistilBERT, RoBERTa and XLM-R, MPNet; pooling, dense layers and
 * normalising behind it, or a classification head), its weights get their names back, and all is
 * written as the files that every other model has. What is recognised only in part is refused:
 * no model is guessed.
 * Not for: reading the zip and the code (nn/torchscript.h), uploads (src/rest).
 *
 *     vz_traced_unpack(&(struct vz_traced_upload){.definition = "x.pt", .config = put_body,
 *                      .vocabulary = vocabulary_body, .folder = "models/.new"}, &err);
 */
#ifndef VZ_EMBED_TRACED_H
#define VZ_EMBED_TRACED_H

#include "base/mem.h"
#include "base/status.h"

struct vz_traced_upload {
    const char *definition;     /* path of the module's zip */
    struct vz_slice config;     /* JSON: the body of PUT _ml/trained_models/{id} */
    struct vz_slice vocabulary; /* JSON: {"vocabulary": [..], "merges": [..]?, "scores": [..]?} */
    const char *folder;         /* is there; files are written into it */
};

/* Blocks while the weights are copied. Errors: VZ_UNSUPPORTED (says what is not recognised),
 * VZ_CORRUPT, VZ_BAD_JSON, VZ_LIMIT, VZ_IO, VZ_DISK_FULL; the folder's content is then undefined. */
enum vz_status vz_traced_unpack(const struct vz_traced_upload *upload, struct vz_error *err);

#endif
