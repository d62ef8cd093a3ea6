/* What a cosine is worth. The numbers are bench/eye's, from pairs of the 185 pets; ADR 4 has the
 * tables and the reasons.
 *
 * The probability is a monotone curve through the measured share, at each cosine, of pairs that
 * show the same subject, among as many pairs of the same subject as of different ones. Half of the
 * former are one photo changed as another photographer might have taken it (crop, turn, mirror,
 * light, tint, size, JPEG), half are two animals of one breed, which stand in for two different
 * photos of one animal. So it is the answer before anything is known about who is registered: with
 * many dogs registered, the best of them is a stranger more often than this says, and that is what
 * the words are for.
 *
 * The words are thresholds for the best of a search. POSSIBLE is where most strangers still get
 * "no good match" when a hundred others are registered (59 of 100; 92 of 100 when eleven are);
 * LIKELY is where no stranger among pets passes, nor among the tutorial's eleven portraits, which
 * share a style and reach 0.72; SAME is where no two photos of different pets come, and 95 of 100
 * copies of a photo do.
 *
 * A logistic curve was fitted first and dropped: the two kinds of same-subject pairs make the
 * measured curve steeper at its top than at its foot.
 */
#include <assert.h>

#include "base/mem.h"
#include "embed/eye.h"

#define POSSIBLE 0.55f
#define LIKELY 0.75f
#define SAME 0.85f

static const struct {
    float cosine;
    double probability;
} curve[] = {
    {-1.00f, 0.05}, {-0.25f, 0.10}, {-0.15f, 0.17}, {-0.05f, 0.23}, {0.05f, 0.27},
    {0.15f, 0.37},  {0.25f, 0.44},  {0.35f, 0.52},  {0.45f, 0.66},  {0.55f, 0.86},
    {0.65f, 0.97},  {0.75f, 0.995}, {0.85f, 0.999}, {1.00f, 1.00},
};

double vz_eye_probability(float cosine)
{
    size_t last = VZ_COUNT_OF(curve) - 1, i = 0;
    if (!(cosine > curve[0].cosine)) /* NaN too */
        return curve[0].probability;
    if (cosine >= curve[last].cosine)
        return curve[last].probability;
    while (cosine >= curve[i + 1].cosine)
        i++;
    double part =
        ((double)cosine - curve[i].cosine) / ((double)curve[i + 1].cosine - curve[i].cosine);
    return curve[i].probability + (curve[i + 1].probability - curve[i].probability) * part;
}

enum vz_match vz_eye_match(float cosine)
{
    if (cosine >= SAME)
        return VZ_MATCH_SAME;
    if (cosine >= LIKELY)
        return VZ_MATCH_LIKELY;
    return cosine >= POSSIBLE ? VZ_MATCH_POSSIBLE : VZ_MATCH_NONE;
}

const char *vz_match_word(enum vz_match match)
{
    static const char *const words[] = {"no good match", "possible match", "likely match",
                                        "same picture"};
    assert((size_t)match < VZ_COUNT_OF(words));
    return words[match];
}
