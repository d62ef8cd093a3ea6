/* store/templates.h - what a new index gets from templates, and whether it may be made by a write.
 *
 * Templates are blobs of the registry (durable when they are put), by kind: composable ones, the
 * components they are composed of, and legacy ones. A blob is the JSON that the API prints; src/rest
 * checks it before it is put. A composable template wins over all legacy ones; of several the one
 * of the highest priority is taken alone. Legacy ones are laid over each other by their order.
 *
 * Threads: any. Putting templates is serialised by the caller (they are checked against each other).
 */
#ifndef VZ_STORE_TEMPLATES_H
#define VZ_STORE_TEMPLATES_H

#include "store/store.h"

#define VZ_KIND_INDEX_TEMPLATE VZ_SLICE("index_template")
#define VZ_KIND_COMPONENT_TEMPLATE VZ_SLICE("component_template")
#define VZ_KIND_LEGACY_TEMPLATE VZ_SLICE("legacy_template")

/* A create body in parts, each a JSON object; the settings flat ("index.refresh_interval"). */
struct vz_composed {
    struct vz_buf settings, mappings, aliases;
};
void vz_composed_deinit(struct vz_composed *composed);

/* A component as it would be, in place of the stored one. */
struct vz_component {
    struct vz_slice name;
    struct vz_json body;
};
/* What a composable template makes: its components in order, then its own `template`. Components
 * that do not exist are left out. `instead` may be NULL. Errors: those of settings. */
enum vz_status vz_template_compose(struct vz_store *store, struct vz_json index_template,
                                   const struct vz_component *instead, struct vz_composed *composed,
                                   struct vz_error *err);
/* The composable template for an index of that name, its name and text in the arena. False: none.
 * `skip`: a template not to look at, or empty. */
bool vz_template_find(struct vz_store *store, struct vz_arena *arena, struct vz_slice index,
                      bool hidden, struct vz_slice skip, struct vz_slice *name,
                      struct vz_slice *text);
/* The parts that templates and the body of a create request make together. *any: there was a
 * template; without one nothing is composed. */
enum vz_status vz_templates_apply(struct vz_store *store, struct vz_slice index,
                                  struct vz_json body, struct vz_composed *composed, bool *any,
                                  struct vz_error *err);
/* vz_store_create_index with templates below the body. */
enum vz_status vz_store_create_templated(struct vz_store *store, struct vz_slice name,
                                         struct vz_json body, struct vz_error *err);
/* Checks a create body without making an index; appends its settings (nested, only those given) and
 * its mappings as GET prints them. Either may be NULL. */
enum vz_status vz_store_check_creation(struct vz_store *store, struct vz_json body,
                                       struct vz_buf *settings, struct vz_buf *mappings,
                                       struct vz_error *err);
/* The setting `key` ("index.default_pipeline") that an index of that name would be born with,
 * appended without quotes. False: none. */
bool vz_templates_setting(struct vz_store *store, struct vz_slice index, const char *key,
                          struct vz_buf *value);

/* Whether some name matches both patterns ('*' only). */
bool vz_patterns_meet(struct vz_slice a, struct vz_slice b);
/* Whether any of two JSON arrays of patterns meet. */
bool vz_pattern_lists_meet(struct vz_json a, struct vz_json b);

/* Whether a write may make an index of that name: action.auto_create_index, and the template's
 * allow_auto_create before it. VZ_NO_INDEX in Elasticsearch's words when not. */
enum vz_status vz_store_may_create(struct vz_store *store, struct vz_slice name,
                                   struct vz_error *err);

#endif
