/* embed/text_names.h - what transformers calls the tensors of each family. Between text_model.c,
 * which reads them, and traced.c, which writes them.
 *
 * A layer's tensor is "PREFIX.LAYER.0.q.weight"; files of the encoder alone leave out the prefix.
 */
#ifndef VZ_EMBED_TEXT_NAMES_H
#define VZ_EMBED_TEXT_NAMES_H

#include "embed/model_config.h"

struct vz_text_naming {
    const char *prefix; /* in front of all, in files that have a head */
    const char *layer;
    const char *q, *k, *v, *out, *norm1, *up, *down, *norm2;
    const char *head[2]; /* whole names of a classifier's layers */
};

extern const struct vz_text_naming vz_text_namings[]; /* by enum vz_text_family */

#endif
