/* cli/import_words.h - the words of a model's tokenizer, as `_ml/trained_models/{id}/vocabulary`
 * takes them. For import_model.c. Threads: pure functions. */
#ifndef VZ_CLI_IMPORT_WORDS_H
#define VZ_CLI_IMPORT_WORDS_H

#include "json/json.h"

struct vz_import_words {
    const char *kind; /* of tokenization: "bert", "mpnet", "roberta", "xlm_roberta" */
    bool lower_case, prefix_space;
    struct vz_buf body; /* {"vocabulary": [...], "merges": [...]?, "scores": [...]?}; owned */
};

/* From tokenizer.json, vocab.json with merges.txt, or vocab.txt in `base`. Errors: VZ_NOT_FOUND,
 * VZ_UNSUPPORTED; deinit words->body after any. */
enum vz_status vz_import_words_read(const char *base, struct vz_slice type,
                                    struct vz_import_words *words, struct vz_error *err);
/* folder/name as JSON; false when it is not there or no JSON. Free *doc. */
bool vz_import_json(const char *folder, const char *name, struct vz_json_doc **doc,
                    struct vz_json *root);

#endif
