/* store/store.c - the data folder: its lock, its memory, which indices are open.
 *
 * One process holds the folder, by an open-file-description lock on DATA/lock (fcntl F_OFD_SETLK):
 * it dies with the process, and F_OFD_GETLK tells whether somebody has it without taking it, so
 * asking who holds a folder can never make an opening process fail. flock(2) cannot be asked.
 *
 * Indices are opened when first asked for. Each costs a handful of descriptors, so the soft limit
 * of open files is raised to the hard one.
 */
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/text.h"
#include "store/index.h"
#include "store/names.h"
#include "store/templates.h"
#include "text/analysis.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#define CLOSE_WAIT_SECONDS 10

/* ---- the lock ------------------------------------------------------------------------------ */

static enum vz_status write_owner(struct vz_store *store, const char *url, struct vz_error *err)
{
    struct vz_buf text = {0};
    vz_buf_printf(&text, "%ld\n%s\n", (long)getpid(), url ? url : "");
    enum vz_status status = VZ_OK;
    if (pwrite(store->lock_fd, text.data, text.len, 0) != (ssize_t)text.len ||
        ftruncate(store->lock_fd, (off_t)text.len) != 0)
        status = vz_fail_errno(err, errno, "cannot write %s/lock", store->path);
    vz_buf_deinit(&text);
    return status;
}

static enum vz_status take_lock(struct vz_store *store, const char *url, struct vz_error *err)
{
    struct vz_buf path = {0};
    vz_buf_printf(&path, "%s/lock", store->path);
    enum vz_status status = VZ_OK;
    struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    store->lock_fd = open(path.data, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (store->lock_fd < 0)
        status = vz_fail_errno(err, errno, "cannot open %s", path.data);
    else if (fcntl(store->lock_fd, F_OFD_SETLK, &whole) != 0)
        status =
            errno == EAGAIN || errno == EACCES
                ? vz_fail(err, VZ_BUSY, "another process holds the data folder %s", store->path)
                : vz_fail_errno(err, errno, "cannot lock %s", path.data);
    else
        status = write_owner(store, url, err);
    vz_buf_deinit(&path);
    return status;
}

bool vz_store_holder(const char *path, struct vz_buf *url)
{
    struct vz_buf name = {0}, text = {0};
    struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    vz_buf_printf(&name, "%s/lock", path);
    int fd = open(name.data, O_RDONLY | O_CLOEXEC);
    bool held = fd >= 0 && fcntl(fd, F_OFD_GETLK, &whole) == 0 && whole.l_type != F_UNLCK;
    if (fd >= 0)
        close(fd);
    if (held && url && vz_file_read(name.data, 4096, &text, NULL) == VZ_OK && text.len) {
        const char *line = strchr(text.data, '\n');
        if (line)
            vz_buf_append(url, line + 1, strcspn(line + 1, "\n"));
    }
    if (held && url && !url->data)
        vz_buf_append(url, "", 0);
    vz_buf_deinit(&name);
    vz_buf_deinit(&text);
    return held;
}

enum vz_status vz_store_set_url(struct vz_store *store, const char *url, struct vz_error *err)
{
    return write_owner(store, url, err);
}

/* ---- open and close ------------------------------------------------------------------------ */

static size_t half_of_memory(void)
{
    long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
    return pages > 0 && page > 0 ? (size_t)pages / 2 * (size_t)page : SIZE_MAX / 2;
}

static void raise_file_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = VZ_MIN(limit.rlim_max, (rlim_t)1 << 20);
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

static void note_uuid(void *map, struct vz_slice name, const struct vz_index_entry *entry)
{
    vz_strmap_put(map, vz_slice_from(entry->uuid), entry->generation);
}

/* Folders of indices that were deleted, or never finished, when the process died. While any entry
 * of the registry cannot be read nobody knows whose a folder is, and all of them stay. */
static void remove_orphans(struct vz_store *store)
{
    struct vz_strmap known = {0};
    struct vz_buf path = {0};
    struct vz_error err = {0};
    if (vz_registry_each(store, note_uuid, &known, &err) != VZ_OK) {
        vz_log(VZ_LOG_ERROR, "store", "%s: left-over folders stay: %s", store->path, err.text);
        vz_strmap_deinit(&known);
        return;
    }
    vz_buf_printf(&path, "%s/indices", store->path);
    DIR *dir = opendir(path.data);
    for (struct dirent *entry; dir && (entry = readdir(dir));) {
        uint64_t ignored;
        if (entry->d_name[0] == '.' ||
            vz_strmap_get(&known, vz_slice_from(entry->d_name), &ignored))
            continue;
        vz_buf_clear(&path);
        vz_buf_printf(&path, "%s/indices/%s", store->path, entry->d_name);
        vz_remove_all(path.data, NULL);
    }
    if (dir)
        closedir(dir);
    vz_buf_deinit(&path);
    vz_strmap_deinit(&known);
}

static enum vz_status open_folder(struct vz_store *store, const struct vz_store_options *options,
                                  struct vz_error *err)
{
    struct vz_buf indices = {0};
    struct stat info;
    enum vz_status status = VZ_OK;
    if (options->create)
        status = vz_mkdir_all(store->path, err);
    else if (stat(store->path, &info) != 0)
        status = vz_fail_errno(err, errno, "there is no data folder %s", store->path);
    if (status == VZ_OK)
        status = take_lock(store, options->owner_url, err);
    vz_buf_printf(&indices, "%s/indices", store->path);
    if (status == VZ_OK)
        status = vz_mkdir_all(indices.data, err);
    vz_buf_deinit(&indices);
    if (status == VZ_OK)
        status = vz_registry_open(store, err);
    if (status == VZ_OK)
        status = vz_sync_dir(store->path, err);
    return status;
}

static void free_store(struct vz_store *store)
{
    vz_pool_free(store->pool);
    vz_registry_close(store);
    if (store->lock_fd >= 0)
        close(store->lock_fd);
    pthread_mutex_destroy(&store->lock);
    pthread_cond_destroy(&store->idle);
    pthread_mutex_destroy(&store->cluster_lock);
    pthread_mutex_destroy(&store->scratch_lock);
    free(store->transient_settings);
    pthread_mutex_destroy(&store->work_lock);
    pthread_cond_destroy(&store->refresh_cond);
    pthread_cond_destroy(&store->graph_cond);
    pthread_cond_destroy(&store->settled_cond);
    free(store->open);
    free(store->path);
    free(store);
}

enum vz_status vz_store_open(const char *path, const struct vz_store_options *options,
                             struct vz_store **out, struct vz_error *err)
{
    struct vz_store *store = vz_calloc(1, sizeof *store);
    pthread_condattr_t monotonic;
    *out = NULL;
    store->path = vz_strdup(path);
    store->lock_fd = -1;
    store->max_memory_bytes =
        options->max_memory_bytes ? options->max_memory_bytes : half_of_memory();
    unsigned cores = vz_cpu_count();
    store->graph_threads = options->graph_threads ? options->graph_threads : VZ_MAX(cores, 2u) - 1;
    pthread_mutex_init(&store->lock, NULL);
    pthread_cond_init(&store->idle, NULL);
    pthread_mutex_init(&store->cluster_lock, NULL);
    pthread_mutex_init(&store->scratch_lock, NULL);
    pthread_mutex_init(&store->work_lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&store->refresh_cond, &monotonic);
    pthread_cond_init(&store->graph_cond, &monotonic);
    pthread_cond_init(&store->settled_cond, NULL);
    pthread_condattr_destroy(&monotonic);
    raise_file_limit();
    enum vz_status status = open_folder(store, options, err);
    if (status == VZ_OK) {
        remove_orphans(store);
        if (store->graph_threads > 1)
            store->pool = vz_pool_new("graph", store->graph_threads - 1, 64);
        status = vz_background_start(store, err);
    }
    if (status == VZ_OK)
        *out = store;
    else
        free_store(store);
    return status;
}

void vz_store_close(struct vz_store *store)
{
    if (!store)
        return;
    vz_store_drop_scratch(store);
    vz_background_stop(store);
    pthread_mutex_lock(&store->lock);
    struct vz_index **open = store->open;
    size_t count = store->open_count;
    store->open = NULL;
    store->open_count = store->open_capacity = 0;
    pthread_mutex_unlock(&store->lock);
    for (size_t i = 0; i < count; i++)
        vz_index_release(open[i]);
    free(open);
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += CLOSE_WAIT_SECONDS;
    int late = 0;
    pthread_mutex_lock(&store->lock);
    while (store->living && !late)
        late = pthread_cond_timedwait(&store->idle, &store->lock, &until);
    size_t living = store->living;
    pthread_mutex_unlock(&store->lock);
    if (living == 0) {
        free_store(store);
        return;
    }
    /* Somebody forgot a reference. What is durable stays durable; the lock must outlive the
     * forgotten index's files, so all of it is left to the end of the process. */
    vz_log(VZ_LOG_ERROR, "store", "%s is closed with %zu indices still in use", store->path,
           living);
}

const char *vz_store_path(const struct vz_store *store)
{
    return store->path;
}

const char *vz_store_cluster_uuid(const struct vz_store *store)
{
    return store->cluster_uuid;
}

/* ---- indices ------------------------------------------------------------------------------- */

void vz_store_attach_locked(struct vz_store *store, struct vz_index *index)
{
    if (store->open_count == store->open_capacity) {
        store->open_capacity = VZ_MAX(store->open_capacity * 2, (size_t)8);
        store->open = vz_realloc(store->open, store->open_capacity * sizeof *store->open);
    }
    store->open[store->open_count++] = index;
}

static void add_open_locked(struct vz_store *store, struct vz_index *index)
{
    vz_store_attach_locked(store, index);
    store->living++;
}

struct vz_index *vz_store_find_locked(struct vz_store *store, struct vz_slice name)
{
    for (size_t i = 0; i < store->open_count; i++)
        if (vz_slice_is(name, store->open[i]->name))
            return store->open[i];
    return NULL;
}

void vz_store_index_gone(struct vz_store *store, const char *uuid)
{
    pthread_mutex_lock(&store->lock);
    vz_store_left_locked(store, uuid);
    store->living--;
    pthread_cond_broadcast(&store->idle);
    pthread_mutex_unlock(&store->lock);
}

size_t vz_store_open_indices(struct vz_store *store, struct vz_index ***list)
{
    pthread_mutex_lock(&store->lock);
    size_t count = store->open_count;
    *list = vz_alloc((count + 1) * sizeof **list);
    for (size_t i = 0; i < count; i++)
        (*list)[i] = vz_index_acquire(store->open[i]);
    pthread_mutex_unlock(&store->lock);
    return count;
}

/* On the stack of whoever opens it. */
struct vz_opening {
    struct vz_slice name;
    struct vz_opening *next;
};

bool vz_store_await_opening(struct vz_store *store, struct vz_slice name)
{
    bool waited = false;
    for (struct vz_opening *at = store->opening; at;) {
        if (!vz_slice_eq(at->name, name)) {
            at = at->next;
            continue;
        }
        pthread_cond_wait(&store->idle, &store->lock);
        waited = true;
        at = store->opening;
    }
    return waited;
}

/* Recovery may take long (columns to be made anew), and other indices are asked for meanwhile: it
 * runs without the lock. Whoever wants this index waits, whoever would delete it too. */
static enum vz_status open_locked(struct vz_store *store, struct vz_slice name,
                                  struct vz_index_entry *entry, struct vz_mapping *mapping,
                                  struct vz_index **index, struct vz_error *err)
{
    struct vz_opening self = {name, store->opening};
    store->opening = &self;
    store->living++; /* closing the store waits for it */
    pthread_mutex_unlock(&store->lock);
    enum vz_status status =
        vz_index_open(store, name, entry->uuid, entry->generation, entry->created_ms,
                      &entry->settings, mapping, false, index, err);
    pthread_mutex_lock(&store->lock);
    store->living--;
    struct vz_opening **at = &store->opening;
    while (*at != &self)
        at = &(*at)->next;
    *at = self.next;
    pthread_cond_broadcast(&store->idle);
    return status;
}

#define MAX_TRIES 4 /* then with the lock, so that others' changes keep nobody for ever */

static void forget_entry(struct vz_index_entry *entry, struct vz_mapping **mapping)
{
    vz_mapping_release(*mapping);
    vz_settings_deinit(&entry->settings);
    *mapping = NULL;
    *entry = (struct vz_index_entry){0};
}

struct vz_index *vz_store_index(struct vz_store *store, struct vz_slice name)
{
    struct vz_index_entry entry = {0};
    struct vz_mapping *mapping = NULL;
    struct vz_error err = {0};
    struct vz_index *index;
    enum vz_status status = VZ_NO_INDEX;
    uint64_t seen = 0;
    pthread_mutex_lock(&store->lock);
    for (unsigned tries = 0;; tries++) { /* its analyzers are made without the lock */
        vz_store_await_opening(store, name);
        index = vz_store_find_locked(store, name);
        if (index) {
            vz_index_acquire(index);
            goto out;
        }
        if (tries && atomic_load(&store->changes) == seen)
            break;
        forget_entry(&entry, &mapping);
        seen = atomic_load(&store->changes);
        bool in_peace = tries >= MAX_TRIES;
        if (!in_peace)
            pthread_mutex_unlock(&store->lock);
        status = vz_registry_get(store, name, &entry, &mapping, &err);
        if (in_peace)
            break;
        pthread_mutex_lock(&store->lock);
    }
    if (status == VZ_OK && entry.closed) {
        index = vz_index_shell(store, &entry, mapping);
        store->living++;
        goto out;
    }
    if (status == VZ_OK)
        status = open_locked(store, name, &entry, mapping, &index, &err);
    if (status == VZ_OK) {
        add_open_locked(store, index);
        vz_index_acquire(index);
        vz_background_rows(store);
    } else if (status != VZ_NO_INDEX) {
        vz_log(VZ_LOG_ERROR, "store", "index [%.*s] cannot be opened: %s", (int)name.len, name.ptr,
               err.text);
    }
out:
    forget_entry(&entry, &mapping);
    pthread_mutex_unlock(&store->lock);
    return index;
}

/* What a create body says. */
struct creation {
    struct vz_index_entry entry;
    struct vz_mapping *mapping;
    struct vz_alias *aliases;
    size_t alias_count;
    struct vz_arena arena;
};

static enum vz_status read_creation(struct vz_store *store, struct vz_json body,
                                    struct creation *creation,
                                    struct vz_error *err)
{
    struct vz_json_iter it = vz_json_iterate(body);
    struct vz_slice key;
    struct vz_json value;
    enum vz_status status = VZ_OK;
    if (vz_json_type(body) != VZ_JSON_MISSING && vz_json_type(body) != VZ_JSON_OBJECT)
        return vz_fail(err, VZ_BAD_ARGUMENT, "the body of a create index request is no object");
    /* Settings first: mappings name the analyzers that they define. */
    if (vz_json_get(body, "settings", &value) && vz_json_type(value) != VZ_JSON_NULL)
        status = vz_settings_merge(&creation->entry.settings, value, true, "", err);
    struct vz_analysis *analysis = NULL;
    if (status == VZ_OK) {
        status = vz_settings_analysis(store, &creation->entry.settings, &analysis, err);
        if (status == VZ_BAD_MAPPING) { /* of settings: another type of error outside */
            status = VZ_BAD_ARGUMENT;
            if (err)
                err->status = status;
        }
    }
    if (status != VZ_OK)
        return status;
    creation->mapping = vz_mapping_new_with(analysis);
    vz_analysis_release(analysis);
    struct vz_mapping_rules rules;
    vz_settings_mapping_rules(&creation->entry.settings, false, &rules, NULL);
    vz_mapping_set_rules(creation->mapping, &rules);
    while (status == VZ_OK && vz_json_next(&it, &key, &value)) {
        bool null = vz_json_type(value) == VZ_JSON_NULL;
        if (vz_slice_is(key, "settings"))
            continue;
        if (vz_slice_is(key, "mappings")) {
            struct vz_mapping *merged = NULL;
            if (!null)
                status = vz_mapping_merge(creation->mapping, value, &merged, err);
            if (status == VZ_OK && merged) {
                vz_mapping_release(creation->mapping);
                creation->mapping = merged;
            }
        } else if (vz_slice_is(key, "aliases")) {
            if (!null)
                status = vz_registry_read_aliases(value, creation->entry.name, &creation->arena,
                                                  &creation->aliases, &creation->alias_count, err);
        } else {
            status = vz_fail(err, VZ_BAD_ARGUMENT, "unknown key [%.*s] for create index",
                             (int)key.len, key.ptr);
        }
    }
    return status;
}

enum vz_status vz_store_check_creation(struct vz_store *store, struct vz_json body,
                                       struct vz_buf *settings, struct vz_buf *mappings,
                                       struct vz_error *err)
{
    struct creation creation = {.entry = {.name = VZ_SLICE("validate")}};
    vz_settings_init(&creation.entry.settings);
    enum vz_status status = read_creation(store, body, &creation, err);
    if (status == VZ_OK && settings)
        vz_settings_print_nested(&creation.entry.settings, settings);
    if (status == VZ_OK && mappings)
        vz_mapping_print(creation.mapping, mappings);
    vz_mapping_release(creation.mapping);
    vz_settings_deinit(&creation.entry.settings);
    vz_arena_deinit(&creation.arena);
    return status;
}

static enum vz_status create_locked(struct vz_store *store, struct creation *creation,
                                    struct vz_error *err)
{
    struct vz_index_entry *entry = &creation->entry;
    struct vz_index *index = NULL;
    struct vz_index_entry there;
    if (vz_registry_get(store, entry->name, &there, NULL, NULL) == VZ_OK) {
        vz_settings_deinit(&there.settings);
        return vz_fail(err, VZ_EXISTS, "index [%.*s/%s] already exists", (int)entry->name.len,
                       entry->name.ptr, there.uuid);
    }
    /* Files first: a registered index has its folder. An orphan folder is swept on open. */
    enum vz_status status =
        vz_index_open(store, entry->name, entry->uuid, entry->generation, entry->created_ms,
                      &entry->settings, creation->mapping, true, &index, err);
    if (status != VZ_OK)
        return status;
    store->living++;
    status = vz_registry_put(store, entry, creation->mapping, creation->aliases,
                             creation->alias_count, true, err);
    store->living--;
    if (status == VZ_OK) {
        add_open_locked(store, index);
        return VZ_OK;
    }
    atomic_store(&index->deleted, true);
    store->living++;
    pthread_mutex_unlock(&store->lock);
    vz_index_release(index);
    pthread_mutex_lock(&store->lock);
    return status;
}

enum vz_status vz_store_create_index(struct vz_store *store, struct vz_slice name,
                                     struct vz_json body, struct vz_error *err)
{
    struct creation creation = {.entry = {.name = name, .generation = 1}};
    enum vz_status status = vz_index_name_check(name, err);
    if (status != VZ_OK)
        return status;
    char uuid[23];
    vz_new_uuid(uuid);
    memcpy(creation.entry.uuid, uuid, sizeof uuid);
    creation.entry.created_ms = vz_wall_ms();
    vz_settings_init(&creation.entry.settings);
    status = read_creation(store, body, &creation, err);
    if (status == VZ_OK) {
        pthread_mutex_lock(&store->lock);
        status = create_locked(store, &creation, err);
        pthread_mutex_unlock(&store->lock);
    }
    if (status == VZ_OK)
        vz_log(VZ_LOG_INFO, "store", "[%.*s] created, %s", (int)name.len, name.ptr, uuid);
    vz_mapping_release(creation.mapping);
    vz_settings_deinit(&creation.entry.settings);
    vz_arena_deinit(&creation.arena);
    return status;
}

/* For an index that is not open only its folder is left. */
static void remove_folder(struct vz_store *store, const char *uuid)
{
    struct vz_buf path = {0};
    struct vz_error err = {0};
    vz_buf_printf(&path, "%s/indices/%s", store->path, uuid);
    if (vz_remove_all(path.data, &err) != VZ_OK)
        vz_log(VZ_LOG_WARN, "store", "cannot remove %s: %s", path.data, err.text);
    vz_buf_deinit(&path);
}

struct vz_index *vz_store_detach_locked(struct vz_store *store, struct vz_slice name)
{
    struct vz_index *index = vz_store_find_locked(store, name);
    for (size_t i = 0; index && i < store->open_count; i++)
        if (store->open[i] == index) {
            store->open[i] = store->open[--store->open_count];
            break;
        }
    return index;
}

void vz_store_dispose(struct vz_store *store, struct vz_index *index, const char *uuid)
{
    if (!index) {
        remove_folder(store, uuid);
        return;
    }
    atomic_store(&index->deleted, true);
    atomic_store(&index->compact_cancel, true);
    pthread_mutex_lock(&index->view_lock);
    pthread_cond_broadcast(&index->refreshed);
    pthread_mutex_unlock(&index->view_lock);
    vz_index_release(index);
}

enum vz_status vz_store_delete_index(struct vz_store *store, struct vz_slice name,
                                     struct vz_error *err)
{
    struct vz_index_entry entry;
    struct vz_index *index = NULL;
    pthread_mutex_lock(&store->lock);
    vz_store_await_opening(store, name);
    enum vz_status status = vz_registry_get(store, name, &entry, NULL, err);
    if (status == VZ_OK) {
        vz_settings_deinit(&entry.settings);
        status = vz_registry_remove(store, name, err);
        if (status == VZ_OK)
            index = vz_store_detach_locked(store, name);
        if (status == VZ_OK && !index)
            index = vz_store_take_closing_locked(store, entry.uuid);
    }
    pthread_mutex_unlock(&store->lock);
    if (status == VZ_OK) {
        vz_log(VZ_LOG_INFO, "store", "[%.*s] deleted, %s", (int)name.len, name.ptr, entry.uuid);
        vz_store_dispose(store, index, entry.uuid);
    }
    return status;
}

struct name_list {
    struct vz_arena *arena;
    struct vz_listed *items;
    size_t count, capacity;
};

static void add_name(void *list_void, struct vz_slice name, const struct vz_index_entry *entry)
{
    struct name_list *list = list_void;
    if (list->count == list->capacity) {
        size_t capacity = VZ_MAX(list->capacity * 2, (size_t)16);
        struct vz_listed *grown = vz_arena_alloc(list->arena, capacity * sizeof *grown);
        if (list->count)
            memcpy(grown, list->items, list->count * sizeof *grown);
        list->items = grown;
        list->capacity = capacity;
    }
    struct vz_listed *item = &list->items[list->count++];
    *item = (struct vz_listed){.name = vz_arena_copy(list->arena, name),
                               .closed = entry->closed,
                               .hidden = entry->settings.hidden};
    memcpy(item->uuid, entry->uuid, sizeof item->uuid);
}

size_t vz_store_list(struct vz_store *store, struct vz_arena *arena, struct vz_listed **items)
{
    struct name_list list = {.arena = arena};
    vz_registry_each(store, add_name, &list, NULL); /* what it cannot read was said on open */
    *items = list.items;
    return list.count;
}

size_t vz_store_names(struct vz_store *store, struct vz_arena *arena, struct vz_slice **names)
{
    struct vz_listed *items;
    size_t count = vz_store_list(store, arena, &items);
    *names = vz_arena_alloc(arena, (count + 1) * sizeof **names);
    for (size_t i = 0; i < count; i++)
        (*names)[i] = items[i].name;
    return count;
}
