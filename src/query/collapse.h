/* query/collapse.h - the best document of each value of a field. Private to the room. */
#ifndef VZ_QUERY_COLLAPSE_H
#define VZ_QUERY_COLLAPSE_H

#include "query/fusion.h"

struct vz_run;
struct vz_collapser;

/* For one run: holds its targets until freed, so free it before those are closed. */
struct vz_collapser *vz_collapser_new(const struct vz_collapse *collapse, const struct vz_run *run);
void vz_collapser_free(struct vz_collapser *collapser);
/* A document that matches; found->values may be the collector's scratch. Any order. */
void vz_collapser_offer(struct vz_collapser *collapser, struct vz_collector *collector,
                        const struct vz_found *found);
/* The best of each group into the collector, best first, no more than its limit. */
void vz_collapser_finish(struct vz_collapser *collapser, struct vz_collector *collector);
/* Whether a field cannot be collapsed on, or a document has several values. NULL is fine. */
enum vz_status vz_collapser_failed(const struct vz_collapser *collapser, struct vz_error *err);
/* inner_hits of each hit: a search for its group. */
enum vz_status vz_collapse_expand(struct vz_run *run, struct vz_search_result *result,
                                  struct vz_error *err);

#endif
