/* store/scratch.c - a store inside a store, for indices that are derived from its documents.
 *
 * It lies in DATA/objects, has no name anybody can ask for, begins empty whenever the store is
 * first asked for it, and goes with the store: nothing in it is truth. Its memory is limited apart.
 */
#include "base/file.h"
#include "store/index.h"

#include <stdlib.h>

#define SCRATCH_PART 4 /* of the memory that the store may take */

static char *scratch_path(const struct vz_store *store)
{
    struct vz_buf path = {0};
    vz_buf_printf(&path, "%s/objects", store->path);
    return vz_buf_take(&path);
}

enum vz_status vz_snapshot_scratch(const struct vz_snapshot *snap,
                                   const struct vz_scratch_owner *owner, struct vz_store **scratch,
                                   void **owned, struct vz_error *err)
{
    struct vz_store *store = snap->index->store;
    enum vz_status status = VZ_OK;
    pthread_mutex_lock(&store->scratch_lock);
    if (!store->scratch) {
        struct vz_store_options options = {.create = true,
                                           .max_memory_bytes =
                                               store->max_memory_bytes / SCRATCH_PART + 1,
                                           .graph_threads = 1};
        char *path = scratch_path(store);
        vz_remove_all(path, NULL);
        status = vz_store_open(path, &options, &store->scratch, err);
        free(path);
        if (status == VZ_OK) {
            store->scratch_owner = *owner;
            store->scratch_owned = owner->make();
        }
    }
    *scratch = store->scratch;
    *owned = store->scratch_owned;
    pthread_mutex_unlock(&store->scratch_lock);
    return status;
}

void vz_store_drop_scratch(struct vz_store *store)
{
    if (!store->scratch)
        return;
    char *path = scratch_path(store);
    store->scratch_owner.drop(store->scratch_owned);
    vz_store_close(store->scratch);
    store->scratch = NULL;
    vz_remove_all(path, NULL);
    free(path);
}

uint64_t vz_snapshot_generation(const struct vz_snapshot *snap)
{
    return snap->gen->number;
}
