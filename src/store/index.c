/* store/index.c - an index as an object: open, references, mapping, settings, numbers. */
#include "store/index.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

char *vz_generation_path(const struct vz_index *index, uint64_t number)
{
    struct vz_buf path = {0};
    vz_buf_printf(&path, "%s/%llu", index->dir, (unsigned long long)number);
    return vz_buf_take(&path);
}

/* Generations that a crash left half made or not yet removed. */
static void remove_other_generations(const struct vz_index *index, uint64_t number)
{
    DIR *dir = opendir(index->dir);
    char keep[24];
    snprintf(keep, sizeof keep, "%llu", (unsigned long long)number);
    for (struct dirent *entry; dir && (entry = readdir(dir));) {
        if (entry->d_name[0] == '.' || strcmp(entry->d_name, keep) == 0)
            continue;
        struct vz_buf path = {0};
        vz_buf_printf(&path, "%s/%s", index->dir, entry->d_name);
        vz_remove_all(path.data, NULL);
        vz_buf_deinit(&path);
    }
    if (dir)
        closedir(dir);
}

static struct vz_index *new_index(struct vz_store *store, struct vz_slice name, const char *uuid,
                                  int64_t created_ms, const struct vz_settings *settings,
                                  struct vz_mapping *mapping)
{
    struct vz_index *index = vz_calloc(1, sizeof *index);
    struct vz_buf dir = {0};
    vz_buf_printf(&dir, "%s/indices/%s", store->path, uuid);
    index->store = store;
    index->name = vz_strndup(name.ptr, name.len);
    index->dir = vz_buf_take(&dir);
    snprintf(index->uuid, sizeof index->uuid, "%s", uuid);
    index->created_ms = created_ms;
    atomic_init(&index->references, 1);
    vz_settings_copy(&index->settings, settings);
    index->mapping = vz_mapping_acquire(mapping);
    pthread_mutex_init(&index->mapping_lock, NULL);
    pthread_mutex_init(&index->view_lock, NULL);
    pthread_mutex_init(&index->views_lock, NULL);
    pthread_cond_init(&index->refreshed, NULL);
    pthread_mutex_init(&index->queue_lock, NULL);
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&index->queue_cond, &monotonic);
    pthread_condattr_destroy(&monotonic);
    pthread_mutex_init(&index->compact_lock, NULL);
    return index;
}

static void free_index(struct vz_index *index)
{
    vz_view_drop(index->view);
    bool remove = atomic_load(&index->deleted);
    if (index->gen && remove)
        atomic_store(&index->gen->condemned, true);
    vz_generation_release(index->gen);
    struct vz_error err = {0};
    if (remove && vz_remove_all(index->dir, &err) != VZ_OK)
        vz_log(VZ_LOG_WARN, "store", "cannot remove %s: %s", index->dir, err.text);
    vz_mapping_release(index->mapping);
    vz_settings_deinit(&index->settings);
    pthread_mutex_destroy(&index->mapping_lock);
    pthread_mutex_destroy(&index->view_lock);
    pthread_mutex_destroy(&index->views_lock);
    pthread_cond_destroy(&index->refreshed);
    pthread_mutex_destroy(&index->queue_lock);
    pthread_cond_destroy(&index->queue_cond);
    pthread_mutex_destroy(&index->compact_lock);
    free(index->death_log);
    vz_buf_deinit(&index->gone_log);
    free(index->name);
    free(index->dir);
    free(index);
}

struct vz_index *vz_index_shell(struct vz_store *store, const struct vz_index_entry *entry,
                                struct vz_mapping *mapping)
{
    struct vz_index *index =
        new_index(store, entry->name, entry->uuid, entry->created_ms, &entry->settings, mapping);
    atomic_store(&index->closed, true);
    index->shell_generation = entry->generation;
    return index;
}

enum vz_status vz_index_open(struct vz_store *store, struct vz_slice name, const char *uuid,
                             uint64_t generation, int64_t created_ms,
                             const struct vz_settings *settings, struct vz_mapping *mapping,
                             bool create, struct vz_index **out, struct vz_error *err)
{
    struct vz_index *index = new_index(store, name, uuid, created_ms, settings, mapping);
    char *path = vz_generation_path(index, generation);
    if (!create)
        remove_other_generations(index, generation);
    enum vz_status status = create
                                ? vz_generation_create(path, generation, &index->gen, err)
                                : vz_generation_open(path, generation, mapping, &index->gen, err);
    if (create && status == VZ_OK) {
        struct vz_buf indices = {0};
        vz_buf_printf(&indices, "%s/indices", store->path);
        status = vz_sync_dir(index->dir, err);
        if (status == VZ_OK)
            status = vz_sync_dir(indices.data, err);
        vz_buf_deinit(&indices);
    }
    free(path);
    if (status != VZ_OK) {
        atomic_store(&index->deleted, create);
        free_index(index);
        return status;
    }
    const struct vz_generation_state *state = &index->gen->state;
    index->commit_number = 1;
    vz_index_set_view_locked(index, vz_texts_publish(index->gen, state->docs), state->docs, 1,
                             state->docs - state->dead, 1);
    vz_index_account(index);
    *out = index;
    return VZ_OK;
}

struct vz_index *vz_index_acquire(struct vz_index *index)
{
    atomic_fetch_add_explicit(&index->references, 1, memory_order_relaxed);
    return index;
}

/* The last reference: no snapshot, no request, no background pass is left. */
static void close_index(struct vz_index *index)
{
    struct vz_store *store = index->store;
    struct vz_error err = {0};
    char uuid[24];
    memcpy(uuid, index->uuid, sizeof uuid);
    if (!index->gen) { /* a shell */
        free_index(index);
        vz_store_index_gone(store, "");
        return;
    }
    vz_store_index_leaving(store, index);
    vz_writer_stop(index);
    if (!atomic_load(&index->deleted)) {
        if (vz_generation_checkpoint(index->gen, &err) != VZ_OK)
            vz_log(VZ_LOG_WARN, "store", "[%s]: columns are not checkpointed: %s", index->name,
                   err.text);
        vz_text_view_release(vz_texts_publish(index->gen, index->gen->state.docs));
        vz_texts_save(index->gen);
        for (size_t i = 0; i < VZ_MAX_FIELDS; i++) {
            struct vz_rows *rows = vz_generation_rows(index->gen, (uint16_t)i);
            if (rows && vz_graph_save(index->gen->dir, rows, &err) != VZ_OK)
                vz_log(VZ_LOG_WARN, "store", "[%s]: a graph is not saved: %s", index->name,
                       err.text);
        }
    }
    atomic_fetch_sub(&store->memory_bytes, atomic_load(&index->memory_bytes));
    free_index(index);
    vz_store_index_gone(store, uuid);
}

void vz_index_release(struct vz_index *index)
{
    if (index && atomic_fetch_sub_explicit(&index->references, 1, memory_order_acq_rel) == 1)
        close_index(index);
}

struct vz_slice vz_index_name(const struct vz_index *index)
{
    return vz_slice_from(index->name);
}

const char *vz_index_uuid(const struct vz_index *index)
{
    return index->uuid;
}

int64_t vz_index_created_ms(const struct vz_index *index)
{
    return index->created_ms;
}

struct vz_generation *vz_index_generation(struct vz_index *index)
{
    pthread_mutex_lock(&index->view_lock);
    struct vz_generation *gen = index->gen ? vz_generation_acquire(index->gen) : NULL;
    pthread_mutex_unlock(&index->view_lock);
    return gen;
}

struct vz_mapping *vz_index_mapping(struct vz_index *index)
{
    pthread_mutex_lock(&index->view_lock);
    struct vz_mapping *mapping = vz_mapping_acquire(index->mapping);
    pthread_mutex_unlock(&index->view_lock);
    return mapping;
}

void vz_index_settings(struct vz_index *index, struct vz_settings *copy)
{
    pthread_mutex_lock(&index->view_lock);
    vz_settings_copy(copy, &index->settings);
    pthread_mutex_unlock(&index->view_lock);
}

/* ---- changes, which are durable before they are seen ---------------------------------------- */

static enum vz_status persist(struct vz_index *index, const struct vz_mapping *mapping,
                              const struct vz_settings *settings, struct vz_error *err)
{
    struct vz_generation *gen = vz_index_generation(index);
    struct vz_index_entry entry = {.name = vz_index_name(index),
                                   .generation = gen->number,
                                   .created_ms = index->created_ms,
                                   .settings = *settings};
    memcpy(entry.uuid, index->uuid, sizeof entry.uuid);
    vz_generation_release(gen);
    return vz_registry_put(index->store, &entry, mapping, NULL, 0, false, err);
}

/* view_lock and mapping_lock are held. Takes `mapping`. */
static void swap_mapping_locked(struct vz_index *index, struct vz_mapping *mapping)
{
    struct vz_mapping *old = index->mapping;
    index->mapping = mapping;
    const struct vz_snapshot *view = index->view;
    struct vz_text_view *texts = view->texts ? vz_text_view_acquire(view->texts) : NULL;
    vz_index_set_view_locked(index, texts, view->watermark, view->epoch, view->live,
                             view->commit_number);
    vz_mapping_release(old);
}

/* mapping_lock held. The mapping read anew with these analyzers, swapped in. */
static enum vz_status adopt_locked(struct vz_index *index, struct vz_analysis *analysis,
                                   struct vz_error *err)
{
    struct vz_mapping *base = vz_index_mapping(index), *fresh = NULL;
    struct vz_buf text = {0};
    vz_mapping_save(base, &text);
    enum vz_status status = vz_mapping_load_with(vz_buf_slice(&text), analysis, &fresh, err);
    if (status == VZ_OK) {
        vz_mapping_set_rules(fresh, vz_mapping_get_rules(base));
        pthread_mutex_lock(&index->view_lock);
        swap_mapping_locked(index, vz_mapping_acquire(fresh));
        pthread_mutex_unlock(&index->view_lock);
    }
    vz_mapping_release(fresh);
    vz_mapping_release(base);
    vz_buf_deinit(&text);
    return status;
}

enum vz_status vz_index_reload_analysis(struct vz_index *index, struct vz_error *err)
{
    struct vz_settings settings = {0};
    struct vz_analysis *analysis = NULL;
    pthread_mutex_lock(&index->mapping_lock);
    vz_index_settings(index, &settings);
    enum vz_status status = vz_settings_analysis(index->store, &settings, &analysis, err);
    if (status == VZ_OK)
        status = adopt_locked(index, analysis, err);
    pthread_mutex_unlock(&index->mapping_lock);
    vz_analysis_release(analysis);
    vz_settings_deinit(&settings);
    return status;
}

enum vz_status vz_index_adopt_analysis(struct vz_index *index, struct vz_analysis *analysis,
                                       struct vz_error *err)
{
    pthread_mutex_lock(&index->mapping_lock);
    enum vz_status status = adopt_locked(index, analysis, err);
    pthread_mutex_unlock(&index->mapping_lock);
    return status;
}

enum vz_status vz_index_merge_mapping(struct vz_index *index, struct vz_json body,
                                      const struct vz_mapping *seen, struct vz_error *err)
{
    struct vz_mapping *merged = NULL;
    struct vz_settings settings = {0};
    pthread_mutex_lock(&index->mapping_lock);
    struct vz_mapping *base = vz_index_mapping(index);
    enum vz_status status = VZ_OK;
    if (seen && seen != base)
        goto out;
    if (atomic_load(&index->closed))
        status = vz_fail(err, VZ_CLOSED, "closed");
    if (atomic_load(&index->deleted))
        status = vz_fail(err, VZ_NO_INDEX, "no such index [%s]", index->name);
    if (status == VZ_OK)
        status = vz_mapping_merge(base, body, &merged, err);
    if (status != VZ_OK)
        goto out;
    vz_index_settings(index, &settings);
    status = persist(index, merged, &settings, err);
    if (status != VZ_OK)
        goto out;
    pthread_mutex_lock(&index->view_lock);
    swap_mapping_locked(index, vz_mapping_acquire(merged));
    pthread_mutex_unlock(&index->view_lock);
    vz_background_rows(index->store); /* a flat field may have become a graph */
out:
    pthread_mutex_unlock(&index->mapping_lock);
    vz_settings_deinit(&settings);
    if (merged)
        vz_mapping_release(merged);
    vz_mapping_release(base);
    return status;
}

enum vz_status vz_index_put_mapping(struct vz_index *index, struct vz_json body,
                                    struct vz_error *err)
{
    if (atomic_load(&index->closed))
        return vz_closed_change(index, (struct vz_json){0}, NULL, body, err);
    return vz_index_merge_mapping(index, body, NULL, err);
}

/* mapping_lock and view_lock: as a change of the mapping and one of the settings. */
void vz_index_readopt(struct vz_index *index, struct vz_mapping *mapping,
                      const struct vz_settings *settings)
{
    struct vz_settings fresh;
    vz_settings_copy(&fresh, settings);
    pthread_mutex_lock(&index->view_lock);
    struct vz_settings old_settings = index->settings;
    struct vz_mapping *old_mapping = index->mapping;
    index->settings = fresh;
    index->mapping = vz_mapping_acquire(mapping);
    const struct vz_snapshot *view = index->view;
    struct vz_text_view *texts = view->texts ? vz_text_view_acquire(view->texts) : NULL;
    vz_index_set_view_locked(index, texts, view->watermark, view->epoch, view->live,
                             view->commit_number);
    pthread_mutex_unlock(&index->view_lock);
    vz_settings_deinit(&old_settings);
    vz_mapping_release(old_mapping);
    atomic_store(&index->compact_cancel, false);
    atomic_store(&index->closed, false);
}

enum vz_status vz_index_put_settings(struct vz_index *index, struct vz_json body,
                                     struct vz_error *err)
{
    return vz_index_change_settings(index, body, false, err);
}

enum vz_status vz_index_change_settings(struct vz_index *index, struct vz_json body, bool preserve,
                                        struct vz_error *err)
{
    struct vz_settings settings = {0};
    struct vz_buf label = {0};
    vz_buf_printf(&label, "%s/%s", index->name, index->uuid);
    struct vz_settings_change how = {.preserve = preserve, .index = label.data};
    pthread_mutex_lock(&index->mapping_lock);
    if (atomic_load(&index->closed)) {
        pthread_mutex_unlock(&index->mapping_lock);
        how =
            (struct vz_settings_change){.closed = true, .preserve = preserve, .index = index->name};
        enum vz_status changed = vz_closed_change(index, body, &how, (struct vz_json){0}, err);
        vz_buf_deinit(&label);
        return changed;
    }
    struct vz_mapping *mapping = vz_index_mapping(index);
    vz_index_settings(index, &settings);
    enum vz_status status = VZ_OK;
    if (atomic_load(&index->deleted))
        status = vz_fail(err, VZ_NO_INDEX, "no such index [%s]", index->name);
    if (status == VZ_OK)
        status = vz_settings_change(&settings, body, &how, err);
    struct vz_mapping_rules rules;
    struct vz_mapping *ruled = NULL;
    if (status == VZ_OK)
        status = vz_settings_mapping_rules(&settings, false, &rules, err);
    if (status == VZ_OK && memcmp(&rules, vz_mapping_get_rules(mapping), sizeof rules) != 0)
        status = vz_mapping_with_rules(mapping, &rules, &ruled, err);
    if (status == VZ_OK)
        status = persist(index, mapping, &settings, err);
    if (status != VZ_OK && ruled)
        vz_mapping_release(ruled);
    if (status == VZ_OK) {
        pthread_mutex_lock(&index->view_lock);
        if (ruled)
            swap_mapping_locked(index, ruled);
        struct vz_settings old = index->settings;
        index->settings = settings;
        settings = old;
        pthread_cond_broadcast(&index->refreshed);
        pthread_mutex_unlock(&index->view_lock);
        vz_background_dirty(index->store);
    }
    pthread_mutex_unlock(&index->mapping_lock);
    vz_mapping_release(mapping);
    vz_settings_deinit(&settings);
    vz_buf_deinit(&label);
    return status;
}

void vz_index_print_settings(struct vz_index *index, struct vz_buf *out)
{
    struct vz_settings settings = {0};
    struct vz_buf name = {0};
    struct vz_json_writer w = vz_json_writer_on(&name);
    char created[32], uuid[32];
    char created_key[] = "index.creation_date", uuid_key[] = "index.uuid",
         name_key[] = "index.provided_name", version_key[] = "index.version.created",
         version[] = "\"8536000\"";
    vz_index_settings(index, &settings);
    vz_json_put_string(&w, vz_index_name(index));
    snprintf(created, sizeof created, "\"%lld\"", (long long)index->created_ms);
    snprintf(uuid, sizeof uuid, "\"%s\"", index->uuid);
    struct vz_setting extra[] = {
        {created_key, created}, {uuid_key, uuid}, {name_key, name.data}, {version_key, version}};
    vz_settings_print(&settings, extra, VZ_COUNT_OF(extra), out);
    vz_settings_deinit(&settings);
    vz_buf_deinit(&name);
}

uint32_t vz_index_max_result_window(struct vz_index *index)
{
    pthread_mutex_lock(&index->view_lock);
    uint32_t window = index->settings.max_result_window;
    pthread_mutex_unlock(&index->view_lock);
    return window;
}

uint32_t vz_index_max_inner_result_window(struct vz_index *index)
{
    pthread_mutex_lock(&index->view_lock);
    uint32_t window = index->settings.max_inner_result_window;
    pthread_mutex_unlock(&index->view_lock);
    return window;
}

uint32_t vz_index_max_analyzed_offset(struct vz_index *index)
{
    pthread_mutex_lock(&index->view_lock);
    uint32_t most = index->settings.max_analyzed_offset;
    pthread_mutex_unlock(&index->view_lock);
    return most;
}

/* ---- numbers ------------------------------------------------------------------------------- */

static uint64_t folder_bytes(const char *path)
{
    uint64_t sum = 0;
    DIR *dir = opendir(path);
    for (struct dirent *entry; dir && (entry = readdir(dir));) {
        struct stat info;
        if (entry->d_name[0] != '.' &&
            fstatat(dirfd(dir), entry->d_name, &info, AT_SYMLINK_NOFOLLOW) == 0)
            sum += (uint64_t)info.st_blocks * 512;
    }
    if (dir)
        closedir(dir);
    return sum;
}

void vz_index_stats(struct vz_index *index, struct vz_index_stats *stats)
{
    struct vz_counters *c = &index->counters;
    *stats = (struct vz_index_stats){
        .index_total = atomic_load(&c->index_total),
        .index_failed = atomic_load(&c->index_failed),
        .delete_total = atomic_load(&c->delete_total),
        .get_total = atomic_load(&c->get_total),
        .search_total = atomic_load(&c->search_total),
        .refresh_total = atomic_load(&c->refresh_total),
        .commit_total = atomic_load(&c->commit_total),
        .compaction_total = atomic_load(&c->compaction_total),
        .index_time_ns = atomic_load(&c->index_time_ns),
        .search_time_ns = atomic_load(&c->search_time_ns),
    };
    pthread_mutex_lock(&index->view_lock);
    if (!index->gen) { /* a shell */
        pthread_mutex_unlock(&index->view_lock);
        char *dir = vz_generation_path(index, index->shell_generation);
        stats->disk_bytes = folder_bytes(dir);
        free(dir);
        return;
    }
    struct vz_generation *gen = vz_generation_acquire(index->gen);
    struct vz_mapping *mapping = vz_mapping_acquire(index->mapping);
    stats->docs = index->view->live;
    stats->deleted = index->view->watermark - index->view->live;
    stats->docs_written = gen->state.docs - gen->state.dead;
    stats->max_seq_no = gen->state.next_seq - 1;
    pthread_mutex_unlock(&index->view_lock);
    stats->memory_bytes = vz_generation_memory(gen, mapping, stats);
    vz_mapping_release(mapping);
    stats->disk_bytes = folder_bytes(gen->dir);
    vz_generation_release(gen);
}

void vz_index_note_search(struct vz_index *index, uint64_t time_ns)
{
    atomic_fetch_add_explicit(&index->counters.search_total, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&index->counters.search_time_ns, time_ns, memory_order_relaxed);
}
