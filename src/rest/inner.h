/* rest/inner.h - a handler run for another body, within a call. For what is made of searches:
 * templates, rank evaluation. Private to the room. */
#ifndef VZ_REST_INNER_H
#define VZ_REST_INNER_H

#include "rest/parts.h"

/* The URL's parameters and path are the call's. Deinit it. */
struct vz_inner_call {
    struct vz_http_request request;
    struct vz_http_response response;
    struct vz_call call; /* problem.status 0: response.body is the answer */
};
/* `body` has 64 readable bytes behind it. `inner` must not be moved meanwhile. */
void vz_inner_call_run(struct vz_inner_call *inner, const struct vz_call *outer,
                       struct vz_slice body, void (*handle)(struct vz_call *call));
void vz_inner_call_deinit(struct vz_inner_call *inner);

/* A template's text as {"source" | "id", "params"} says it, rendered, in the arena with 64 readable
 * bytes behind it. `id`: of the path, or empty. Members that are none of these are told to
 * `explain` and `profile`, or refused. False with a problem. */
bool vz_search_template_render(struct vz_call *call, struct vz_arena *arena, struct vz_json body,
                               struct vz_slice id, struct vz_slice *out,
                               struct vz_problem *problem);
/* The same for a line of _msearch/template. */
bool vz_search_template_line(struct vz_call *call, struct vz_arena *arena, struct vz_slice line,
                             struct vz_slice *out, struct vz_problem *problem);
/* A source with params; params may be MISSING. */
bool vz_search_template_text(struct vz_arena *arena, struct vz_slice source, struct vz_json params,
                             struct vz_slice *out, struct vz_problem *problem);

#endif
