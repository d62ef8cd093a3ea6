/* store/synonyms.h - synonyms sets: rules by id, durable, read by analyzers when they are compiled.
 *
 * A set is one blob of the registry, a JSON object of rule by id, sorted by id. Filters that name it
 * as `synonyms_set` with `updateable: true` follow its changes: their indices' analyzers are compiled
 * anew and swapped in, as a change of the mapping is; searches that run keep the old ones.
 *
 * Threads: any. Changes of sets are serialised by the caller.
 */
#ifndef VZ_STORE_SYNONYMS_H
#define VZ_STORE_SYNONYMS_H

#include "store/store.h"

#define VZ_KIND_SYNONYMS VZ_SLICE("synonyms")
#define VZ_MAX_SYNONYM_RULES 10000

/* The filters of indices that name a set (empty: any), and the analyzers that have these filters.
 * Strings live in the arena. */
struct vz_synonym_use {
    struct vz_slice index;
    bool updateable; /* any of the filters is */
    bool open;
    struct vz_slice *analyzers; /* sorted; of updateable filters only */
    size_t analyzer_count;
};
size_t vz_synonym_uses(struct vz_store *store, struct vz_arena *arena, struct vz_slice set,
                       struct vz_synonym_use **uses);
/* Compiles an index's analyzers anew. One that is not open has nothing to compile. Errors of the
 * rules (VZ_BAD_MAPPING), with the old ones staying. */
enum vz_status vz_synonyms_reload(struct vz_store *store, struct vz_slice index,
                                  struct vz_error *err);
/* For vz_analysis_options: context is the store. Rules in Solr's form, a line each. */
bool vz_synonyms_rules(void *store, struct vz_slice set, struct vz_buf *rules);

#endif
