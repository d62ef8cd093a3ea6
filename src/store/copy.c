/* store/copy.c - a new index with the documents of another: _clone, _shrink, _split.
 *
 * The files are written by the compactor (compact.c), which reads the source's documents and keeps
 * versions and sequence numbers, so the copy shares nothing with its source. The registry learns of
 * the copy when it is durable; before that its folder is an orphan, which the next open sweeps. */
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/text.h"
#include "store/index.h"
#include "store/names.h"

#include <stdio.h>
#include <stdlib.h>

static void set_source(struct vz_settings *settings, const char *key, struct vz_slice value)
{
    struct vz_buf text = {0};
    struct vz_json_writer w = vz_json_writer_on(&text);
    vz_json_put_string(&w, value);
    vz_settings_set(settings, key, text.data);
    vz_buf_deinit(&text);
}

static enum vz_status register_copy(struct vz_store *store, const struct vz_index_entry *entry,
                                    struct vz_index *source, struct vz_json aliases,
                                    struct vz_error *err)
{
    struct vz_arena arena = {0};
    struct vz_alias *list = NULL;
    size_t count = 0;
    enum vz_status status = VZ_OK;
    if (vz_json_type(aliases) == VZ_JSON_OBJECT)
        status = vz_registry_read_aliases(aliases, entry->name, &arena, &list, &count, err);
    struct vz_mapping *mapping = vz_index_mapping(source);
    if (status == VZ_OK) {
        pthread_mutex_lock(&store->lock);
        status = vz_registry_put(store, entry, mapping, list, count, true, err);
        pthread_mutex_unlock(&store->lock);
    }
    vz_mapping_release(mapping);
    vz_arena_deinit(&arena);
    return status;
}

static enum vz_status copy_files(struct vz_store *store, struct vz_index *source, const char *dir,
                                 struct vz_error *err)
{
    struct vz_buf path = {0};
    vz_buf_printf(&path, "%s/1", dir);
    enum vz_status status = vz_index_copy_to(source, path.data, err);
    if (status == VZ_OK)
        status = vz_sync_dir(dir, err);
    vz_buf_clear(&path);
    vz_buf_printf(&path, "%s/indices", store->path);
    if (status == VZ_OK)
        status = vz_sync_dir(path.data, err);
    vz_buf_deinit(&path);
    return status;
}

/* Settings of its own may name analyzers, or leave out some that the fields name. */
static enum vz_status check_analysis(struct vz_store *store, struct vz_index *source,
                                     const struct vz_settings *settings, struct vz_error *err)
{
    struct vz_mapping *mapping = vz_index_mapping(source);
    enum vz_status status = vz_settings_reload_mapping(store, settings, &mapping, err);
    vz_mapping_release(mapping);
    return status;
}

enum vz_status vz_store_copy_index(struct vz_store *store, struct vz_index *source,
                                   struct vz_slice target, const struct vz_copy_options *options,
                                   struct vz_error *err)
{
    struct vz_index_entry entry = {.name = target, .generation = 1, .created_ms = vz_wall_ms()};
    struct vz_index_entry there;
    char uuid[23];
    enum vz_status status = vz_index_name_check(target, err);
    if (status != VZ_OK)
        return status;
    if (vz_index_check_block(source, VZ_BLOCK_WRITE, NULL) == VZ_OK)
        return vz_fail(err, VZ_INTERNAL,
                       "index %s must block write operations to resize index. use "
                       "\"index.blocks.write=true\"",
                       source->name);
    if (vz_registry_get(store, target, &there, NULL, NULL) == VZ_OK) {
        vz_settings_deinit(&there.settings);
        return vz_fail(err, VZ_EXISTS, "index [%.*s/%s] already exists", (int)target.len,
                       target.ptr, there.uuid);
    }
    vz_new_uuid(uuid);
    memcpy(entry.uuid, uuid, sizeof uuid);
    vz_index_settings(source, &entry.settings);
    if (vz_json_type(options->settings) == VZ_JSON_OBJECT)
        status = vz_settings_merge(&entry.settings, options->settings, true, "", err);
    if (status == VZ_OK)
        status = check_analysis(store, source, &entry.settings, err);
    char shards[32];
    snprintf(shards, sizeof shards, "\"%lld\"", (long long)options->shards);
    vz_settings_set(&entry.settings, "index.number_of_shards", shards);
    set_source(&entry.settings, "index.resize.source.name", vz_index_name(source));
    set_source(&entry.settings, "index.resize.source.uuid", vz_slice_from(source->uuid));
    struct vz_buf dir = {0};
    vz_buf_printf(&dir, "%s/indices/%s", store->path, uuid);
    if (status == VZ_OK)
        status = copy_files(store, source, dir.data, err);
    if (status == VZ_OK)
        status = register_copy(store, &entry, source, options->aliases, err);
    if (status == VZ_OK)
        vz_log(VZ_LOG_INFO, "store", "[%.*s] copied from [%s], %s", (int)target.len, target.ptr,
               source->name, uuid);
    else
        vz_remove_all(dir.data, NULL);
    vz_buf_deinit(&dir);
    vz_settings_deinit(&entry.settings);
    return status;
}
