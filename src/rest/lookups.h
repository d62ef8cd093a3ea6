/* rest/lookups.h - queries in a search's body that stand for others before it is read: `terms` whose
 * values are in a document, `wrapper` whose query is base64. Private to the room. */
#ifndef VZ_REST_LOOKUPS_H
#define VZ_REST_LOOKUPS_H

#include "json/value.h"
#include "rest/parts.h"

/* Whether a body may have any. Cheap. */
bool vz_lookups_may_be_there(struct vz_slice body);
/* Put into an object what it stands for: the lists of the lookups among the members of a `terms`,
 * counted in call->lookups and limited together; the query in an object whose one member is
 * `wrapper`. *changed is set where something was put. False with a problem. */
bool vz_lookup_terms(struct vz_call *call, struct vz_arena *arena, struct vz_value *terms,
                     bool *changed, struct vz_problem *problem);
bool vz_lookup_wrapper(struct vz_arena *arena, struct vz_value *query, bool *changed,
                       struct vz_problem *problem);

#endif
