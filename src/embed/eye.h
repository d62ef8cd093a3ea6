/* embed/eye.h - the built-in eye: a classical descriptor of a picture, 512 dimensions, no download.
 *
 * Colour in a perceptual space, gradients, texture and coarse layout, the subject weighted over the
 * border. Deterministic across machines to 1e-6 per element. What it is and is not good for, with
 * numbers, is in bench/eye and docs/adr. Thread-safe, no state.
 */
#ifndef VZ_EMBED_EYE_H
#define VZ_EMBED_EYE_H

#include "base/status.h"
#include "image/image.h"

#define VZ_EYE_DIMS 512
/* Goes into mappings and answers: which eye made a vector. Bump when the descriptor changes. */
#define VZ_EYE_ID "vizsla-eye-1"
/* Decode with this target_side: the descriptor looks at no more. */
#define VZ_EYE_SIDE 256

/* A unit vector of VZ_EYE_DIMS floats of an upright RGB image (any size >= 1 x 1). A uniform
 * picture still has a vector (its colour); never NaN. Errors: VZ_BUDGET. */
enum vz_status vz_eye_embed(const struct vz_image *image, float out[VZ_EYE_DIMS],
                            struct vz_error *err);

/* How sure a match is, from the cosine of two vz_eye_embed vectors: a calibrated probability, 0..1,
 * that both pictures show the same subject (fitted on real photos; see docs/adr), and the word for
 * it. */
enum vz_match { VZ_MATCH_NONE, VZ_MATCH_POSSIBLE, VZ_MATCH_LIKELY, VZ_MATCH_SAME };
double vz_eye_probability(float cosine);
enum vz_match vz_eye_match(float cosine);
/* "no good match", "possible match", "likely match", "same picture". Static storage. */
const char *vz_match_word(enum vz_match match);

#endif
