/* text/count.h - how many documents match, without their scores; private to the room. */
#ifndef VZ_TEXT_COUNT_H
#define VZ_TEXT_COUNT_H

#include "text/scorer.h"

/* Documents of the filter that have any of some terms, or every one (queries of one term each), up
 * to `limit` and one. False, and nothing counted, where that is no cheaper than meeting them one by
 * one: no list is frequent, or a frequent one is asked for the first time (dense.h). */
bool vz_count_plain(const struct vz_text_view *view, const struct vz_weight **parts, size_t count,
                    bool every, const struct vz_bitset *filter, uint64_t limit, uint64_t *total);

#endif
