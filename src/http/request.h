/* http/request.h - inside the room: taking a request target apart. */
#ifndef VZ_HTTP_REQUEST_H
#define VZ_HTTP_REQUEST_H

#include "http/http.h"

/* Splits "/a%2Fb/_doc?x=1&y" (or an absolute "http://host/a?x") into the raw path and decoded
 * parameters, which live in the arena. False when an escape of the query is malformed or holds a
 * NUL; path is set all the same. */
bool vz_http_split_target(struct vz_slice target, struct vz_arena *arena, struct vz_slice *path,
                          struct vz_http_param **params, size_t *param_count);

#endif
