/* The scores of some documents, named beforehand: lists are skipped to each of them instead of
 * being walked, so that few documents cost little however long the lists are. */
#include "text/scorer.h"

#include <math.h>

enum vz_status vz_text_pick(const struct vz_text_view *view, const struct vz_text_query *query,
                            const uint32_t *docs, size_t count, float *scores,
                            bool (*cancelled)(void *context), void *context, struct vz_error *err)
{
    struct vz_arena arena = {0};
    struct vz_weight *weight = vz_weigh(view, query, 1, &arena, err);
    enum vz_status status = weight ? VZ_OK : VZ_BAD_QUERY;
    for (size_t i = 0; i < count; i++)
        scores[i] = NAN;
    for (size_t s = 0; s < view->count && status == VZ_OK && count; s++) {
        struct vz_scorer *scorer = vz_scorer_new(weight, view->segments[s], &arena);
        if (!scorer)
            continue;
        uint32_t at = vz_scorer_advance(scorer, docs[0]);
        for (size_t i = 0; i < count && at != VZ_TEXT_END; i++) {
            if (i % 4096 == 4095 && cancelled && cancelled(context)) {
                status = vz_fail(err, VZ_CANCELLED, "the search was stopped");
                break;
            }
            if (at < docs[i])
                at = vz_scorer_advance(scorer, docs[i]);
            if (at == docs[i])
                scores[i] = vz_scorer_score(scorer);
        }
        vz_scorer_close(scorer);
    }
    vz_arena_deinit(&arena);
    return status;
}
