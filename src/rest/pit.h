/* rest/pit.h - points in time (pit.c) for those who search in them (search.c). Private to the room.
 */
#ifndef VZ_REST_PIT_H
#define VZ_REST_PIT_H

#include "rest/parts.h"

struct vz_pits; /* locks itself */
struct vz_pit;

struct vz_pits *vz_pits_new(void);
void vz_pits_free(struct vz_pits *pits);
unsigned vz_pits_open(struct vz_pits *pits);
/* Ends what nobody asked for in time. Cheap when nothing is due. */
void vz_pits_expire(struct vz_pits *pits, uint64_t now_ns);

/* The point that a body names, kept for as long as it says; release it. NULL with a problem. */
struct vz_pit *vz_pit_acquire(struct vz_pits *pits, const struct vz_search_pit *asked,
                              struct vz_arena *arena, struct vz_problem *problem);
void vz_pit_release(struct vz_pits *pits, struct vz_pit *pit);
/* What to search in, as long as the point is held. */
struct vz_search_target *vz_pit_targets(const struct vz_pit *pit, struct vz_arena *arena,
                                        size_t *count);
/* Whether the URL says nothing that a point in time has decided already. */
bool vz_pit_check(struct vz_call *call);

#endif
