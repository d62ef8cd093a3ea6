/* store/cluster_settings.h - settings of the one-node cluster: persistent ones are a blob of the
 * registry, transient ones die with the process. Transient wins over persistent.
 *
 * Known settings are obeyed or, where one node has nothing that they could change, kept and printed
 * back; those that would change answers and do not are refused, unknown ones too.
 * Threads: any; one change at a time (the store's lock for them).
 */
#ifndef VZ_STORE_CLUSTER_SETTINGS_H
#define VZ_STORE_CLUSTER_SETTINGS_H

#include "store/store.h"

/* Reads {"persistent": {...}, "transient": {...}}; durable when it returns. null resets a key, or
 * all that a key with '*' matches. `persistent`, `transient`: what was changed, as nested objects,
 * appended. On an error nothing is changed: VZ_BAD_ARGUMENT ("persistent setting [x], not
 * recognized"), VZ_UNSUPPORTED. */
enum vz_status vz_cluster_settings_put(struct vz_store *store, struct vz_json body,
                                       struct vz_buf *persistent, struct vz_buf *transient,
                                       struct vz_error *err);
/* Appends all of them, nested or flat. */
void vz_cluster_settings_print(struct vz_store *store, bool transient, bool flat,
                               struct vz_buf *out);
/* The value that counts, appended without quotes. False: not set. */
bool vz_cluster_setting(struct vz_store *store, const char *key, struct vz_buf *value);

#endif
