#include "app/verdict.h"

static bool is_eye(const struct vz_app_model *model)
{
    return strcmp(model->name, VZ_EYE_ID) == 0;
}

struct vz_verdict vz_verdict_of(const struct vz_app_model *model, float cosine, bool same_bytes,
                                bool is_text)
{
    if (same_bytes)
        return (struct vz_verdict){true, VZ_MATCH_SAME, 1};
    if (is_text || !is_eye(model))
        return (struct vz_verdict){0};
    return (struct vz_verdict){true, vz_eye_match(cosine), vz_eye_probability(cosine)};
}

const char *vz_verdict_word(const struct vz_verdict *verdict)
{
    return verdict->is_measured ? vz_match_word(verdict->match) : "not measured";
}
