/* embed/vocabulary.h - a vocabulary as eland sends it, to a tokenizer's files.
 *
 * PUT _ml/trained_models/{id} names the tokenization and its options, PUT .../vocabulary sends the
 * words. Together they become what embed/tokenizer.h reads: vocab.txt (bert, mpnet), vocab.json and
 * merges.txt (roberta), tokenizer.json (xlm_roberta), and the length at which texts are cut.
 *
 *     vz_vocabulary_write(folder, config, vocabulary, 0, &err);
 */
#ifndef VZ_EMBED_VOCABULARY_H
#define VZ_EMBED_VOCABULARY_H

#include "json/json.h"

/* `config` is the body {"inference_config": {TASK: {"tokenization": {KIND: {..}}}}}, `vocabulary`
 * {"vocabulary": [..], "merges": [..]?, "scores": [..]?}. `most`: words that the model knows; 0: any
 * number. Errors: VZ_CORRUPT, VZ_UNSUPPORTED (another tokenization), VZ_IO, VZ_DISK_FULL. */
enum vz_status vz_vocabulary_write(const char *folder, struct vz_json config,
                                   struct vz_json vocabulary, size_t most, struct vz_error *err);

#endif
