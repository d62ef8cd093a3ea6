/* app/verdict.h - what a similarity is worth, in words, and where nobody can say, that.
 *
 * A cosine means something else for each model: the built-in eye's were measured on real photos
 * (docs/adr/0004-built-in-eye.md). For CLIP and all others nothing was measured here, so nothing is
 * claimed: scores stand alone, and the order says which picture is nearest. What is certain for any
 * model is a picture with the very same bytes.
 * Thread-safe, no state.
 */
#ifndef VZ_APP_VERDICT_H
#define VZ_APP_VERDICT_H

#include "app/api.h"
#include "embed/eye.h"

struct vz_verdict {
    bool is_measured; /* false: `match` is NONE and `probability` means nothing */
    enum vz_match match;
    double probability; /* that both show the same subject, at even odds */
};

/* `same_bytes`: the two files are equal. `is_text`: the question was no picture (never measured).
 */
struct vz_verdict vz_verdict_of(const struct vz_app_model *model, float cosine, bool same_bytes,
                                bool is_text);
/* "no good match" ... "same picture", or "not measured". Static storage. */
const char *vz_verdict_word(const struct vz_verdict *verdict);

#endif
