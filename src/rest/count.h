/* rest/count.h - counts that take a search. Private to the room. */
#ifndef VZ_REST_COUNT_H
#define VZ_REST_COUNT_H

#include "rest/parts.h"

/* Whether the URL asks for what only a search can tell. */
bool vz_count_needs_search(const struct vz_call *call);
/* Answers such a count; `body` has a query or nothing. */
void vz_count_by_search(struct vz_call *call, struct vz_json body);

#endif
