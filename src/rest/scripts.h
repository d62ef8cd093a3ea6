/* rest/scripts.h - stored scripts and templates: kept in the store's blobs of the kind "script", so
 * they outlive a restart; named by {"id": ...} wherever a script may stand. Private to the room. */
#ifndef VZ_REST_SCRIPTS_H
#define VZ_REST_SCRIPTS_H

#include "rest/parts.h"

#define VZ_BLOB_SCRIPT VZ_SLICE("script")

/* A script as a body names it. Texts are in the arena or borrowed from the body. */
struct vz_script_named {
    struct vz_slice id;     /* empty: inline */
    struct vz_slice source; /* found, where an id was given */
    struct vz_slice lang;
    struct vz_json params; /* an object or MISSING */
};
/* Reads a string or {"source" | "id", "lang", "params", "options"}; a stored one is looked up.
 * False with a problem. */
bool vz_script_read(struct vz_rest *rest, struct vz_arena *arena, struct vz_json value,
                    struct vz_script_named *script, struct vz_problem *problem);
/* A stored script's source and language in the arena; false when there is none. */
bool vz_script_stored(struct vz_rest *rest, struct vz_slice id, struct vz_arena *arena,
                      struct vz_slice *source, struct vz_slice *lang);
/* What a script's compiler or run left in `err`, as a script_exception. */
void vz_script_problem(struct vz_arena *arena, const char *what, struct vz_slice source,
                       enum vz_status status, const struct vz_error *err,
                       struct vz_problem *problem);
/* Whether a search's body may name stored scripts, or have what lookups.h is about. Cheap. */
bool vz_scripts_may_be_named(struct vz_slice body);
/* Puts stored scripts in the place of their names, terms in that of lookups: parses `text`, one
 * search of the call, and when it names any, *out is the new text in the arena, with 64 readable
 * bytes behind it. *out is `text` itself otherwise. False with a problem. */
bool vz_scripts_inline(struct vz_call *call, struct vz_arena *arena, struct vz_slice text,
                       struct vz_slice *out, struct vz_problem *problem);

#endif
