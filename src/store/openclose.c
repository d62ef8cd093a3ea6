/* store/openclose.c - closed indices: what is left of them, and the way there and back.
 *
 *            create                      vz_store_close_index
 *   (none) ----------> open <----------------------------------> closed
 *                           vz_store_open_index
 *
 * The registry's entry is the truth. Of a closed index nothing is in memory: whoever asks for it
 * gets a shell, an index of its own with mapping and settings and no generation, which nobody may
 * read documents from or write to (src/rest sees to that). Each asker has another shell, so changes
 * of a closed index are made in the registry under store->lock, not in a shell.
 *
 * Requests that had the index open keep it until they are done, and so do scrolls, for hours. LMDB
 * forbids a process to open the same file twice, so opening must not race with such a left-over: a
 * list names those that still live. One that has references is taken back as it is, with the mapping
 * and the settings of now; one that has none is being taken down, which is waited for.
 *
 * Invariants:
 *  1. index->closed and the registry's word change together under mapping_lock: whoever persists an
 *     open index under that lock never says it is open after it was closed.
 *  2. An entry of store->closing dies after its index's files are closed (vz_store_index_gone). Its
 *     pointer is NULL from before the index is freed (vz_store_index_leaving).
 */
#include "base/log.h"
#include "store/index.h"

#include <stdio.h>
#include <stdlib.h>

struct vz_closing {
    char uuid[24];
    struct vz_index *index; /* NULL: being taken down */
    struct vz_closing *next;
};

bool vz_index_is_closed(const struct vz_index *index)
{
    return atomic_load(&index->closed);
}

/* ---- left-overs ---------------------------------------------------------------------------- */

static struct vz_closing *find_closing(struct vz_store *store, const char *uuid)
{
    struct vz_closing *at = store->closing;
    while (at && strcmp(at->uuid, uuid) != 0)
        at = at->next;
    return at;
}

void vz_store_index_leaving(struct vz_store *store, struct vz_index *index)
{
    pthread_mutex_lock(&store->lock);
    for (struct vz_closing *at = store->closing; at; at = at->next)
        if (at->index == index)
            at->index = NULL;
    pthread_mutex_unlock(&store->lock);
}

void vz_store_left_locked(struct vz_store *store, const char *uuid)
{
    for (struct vz_closing **at = &store->closing; *at; at = &(*at)->next) {
        struct vz_closing *gone = *at;
        if (gone->index || strcmp(gone->uuid, uuid) != 0)
            continue;
        *at = gone->next;
        free(gone);
        return;
    }
}

/* A reference, when somebody still has one. */
static struct vz_index *revive(struct vz_index *index)
{
    uint32_t references = atomic_load(&index->references);
    while (references)
        if (atomic_compare_exchange_weak(&index->references, &references, references + 1))
            return index;
    return NULL;
}

struct vz_index *vz_store_take_closing_locked(struct vz_store *store, const char *uuid)
{
    for (struct vz_closing **at = &store->closing; *at; at = &(*at)->next) {
        struct vz_closing *one = *at;
        if (!one->index || strcmp(one->uuid, uuid) != 0 || !revive(one->index))
            continue;
        struct vz_index *index = one->index;
        *at = one->next;
        free(one);
        return index;
    }
    return NULL;
}

/* ---- closing ------------------------------------------------------------------------------- */

static void add_closing(struct vz_store *store, struct vz_index *index)
{
    struct vz_closing *entry = vz_calloc(1, sizeof *entry);
    snprintf(entry->uuid, sizeof entry->uuid, "%s", index->uuid);
    entry->index = index;
    entry->next = store->closing;
    store->closing = entry;
}

static enum vz_status close_locked(struct vz_store *store, struct vz_slice name,
                                   struct vz_index **detached, struct vz_error *err)
{
    struct vz_index_entry entry;
    struct vz_index *index = vz_store_find_locked(store, name);
    if (index)
        pthread_mutex_lock(&index->mapping_lock);
    enum vz_status status = vz_registry_get(store, name, &entry, NULL, err);
    if (status == VZ_OK && !entry.closed) {
        entry.closed = true;
        status = vz_registry_put(store, &entry, NULL, NULL, 0, false, err);
        if (status == VZ_OK && index) {
            atomic_store(&index->closed, true);
            add_closing(store, index);
            *detached = vz_store_detach_locked(store, name);
        }
    }
    if (index)
        pthread_mutex_unlock(&index->mapping_lock);
    vz_settings_deinit(&entry.settings);
    return status;
}

enum vz_status vz_store_close_index(struct vz_store *store, struct vz_slice name,
                                    struct vz_error *err)
{
    struct vz_index *detached = NULL;
    pthread_mutex_lock(&store->lock);
    vz_store_await_opening(store, name);
    enum vz_status status = close_locked(store, name, &detached, err);
    pthread_mutex_unlock(&store->lock);
    if (!detached)
        return status;
    vz_log(VZ_LOG_INFO, "store", "[%.*s] closed", (int)name.len, name.ptr);
    atomic_store(&detached->compact_cancel, true);
    pthread_mutex_lock(&detached->view_lock);
    pthread_cond_broadcast(&detached->refreshed);
    pthread_mutex_unlock(&detached->view_lock);
    vz_index_release(detached);
    return status;
}

/* ---- opening ------------------------------------------------------------------------------- */

/* What an index is opened or changed with, made without the lock. */
struct prepared {
    struct vz_index_entry entry;
    struct vz_mapping *mapping;
    uint64_t seen; /* store->changes */
};

static enum vz_status read_prepared(struct vz_store *store, struct vz_slice name,
                                    struct prepared *p, struct vz_error *err)
{
    *p = (struct prepared){.seen = atomic_load(&store->changes)};
    return vz_registry_get(store, name, &p->entry, &p->mapping, err);
}

static void free_prepared(struct prepared *p)
{
    vz_mapping_release(p->mapping);
    vz_settings_deinit(&p->entry.settings);
}

/* Whether it is still what the registry says; after so many others' changes it is asked with the
 * lock held, so that nobody tries for ever. */
#define MAX_TRIES 4
static bool is_stale(struct vz_store *store, const struct prepared *p, unsigned tries)
{
    return tries < MAX_TRIES && atomic_load(&store->changes) != p->seen;
}

static enum vz_status open_locked(struct vz_store *store, struct vz_slice name, struct prepared *p,
                                  bool *again, struct vz_error *err)
{
    struct vz_index_entry *entry = &p->entry;
    enum vz_status status = VZ_OK;
    *again = false;
    struct vz_index *left = entry->closed ? vz_store_take_closing_locked(store, entry->uuid) : NULL;
    if (entry->closed && !left && find_closing(store, entry->uuid)) {
        pthread_cond_wait(&store->idle, &store->lock);
        *again = true;
    } else if (entry->closed) {
        struct vz_index_entry now;
        if (left) /* a rewrite of its files may have ended meanwhile */
            pthread_mutex_lock(&left->mapping_lock);
        status = vz_registry_get(store, name, &now, NULL, err);
        entry->generation = now.generation;
        vz_settings_deinit(&now.settings);
        entry->closed = false;
        if (status == VZ_OK)
            status = vz_registry_put(store, entry, NULL, NULL, 0, false, err);
        if (left && status == VZ_OK) {
            vz_index_readopt(left, p->mapping, &entry->settings);
            vz_store_attach_locked(store, left);
        } else if (left) {
            add_closing(store, left);
        }
        if (left)
            pthread_mutex_unlock(&left->mapping_lock);
    }
    if (left && status != VZ_OK) { /* still closed: give the reference back, without the lock */
        pthread_mutex_unlock(&store->lock);
        vz_index_release(left);
        pthread_mutex_lock(&store->lock);
    }
    return status;
}

/* An index that was closed opens with its analyzers or not at all: with others, what it has and
 * what it is asked for would be cut into different words. */
static enum vz_status prepare_opening(struct vz_store *store, struct vz_slice name,
                                      struct prepared *p, struct vz_error *err)
{
    enum vz_status status = read_prepared(store, name, p, err);
    if (status == VZ_OK && p->entry.closed)
        status = vz_settings_reload_mapping(store, &p->entry.settings, &p->mapping, err);
    return status;
}

static enum vz_status open_once(struct vz_store *store, struct vz_slice name, unsigned tries,
                                bool *again, struct vz_error *err)
{
    struct prepared p;
    enum vz_status status = prepare_opening(store, name, &p, err);
    pthread_mutex_lock(&store->lock);
    vz_store_await_opening(store, name);
    *again = is_stale(store, &p, tries);
    if (!*again && atomic_load(&store->changes) != p.seen) {
        free_prepared(&p);
        status = prepare_opening(store, name, &p, err);
    }
    if (!*again && status == VZ_OK)
        status = open_locked(store, name, &p, again, err);
    pthread_mutex_unlock(&store->lock);
    free_prepared(&p);
    return *again ? VZ_OK : status;
}

enum vz_status vz_store_open_index(struct vz_store *store, struct vz_slice name,
                                   struct vz_error *err)
{
    bool again = true;
    enum vz_status status = VZ_OK;
    for (unsigned tries = 0; status == VZ_OK && again; tries++)
        status = open_once(store, name, tries, &again, err);
    if (status != VZ_OK)
        return status;
    struct vz_index *index = vz_store_index(store, name);
    if (!index)
        return vz_fail(err, VZ_CORRUPT, "index [%.*s] cannot be opened, see the log", (int)name.len,
                       name.ptr);
    vz_index_release(index);
    vz_background_rows(store);
    return VZ_OK;
}

/* ---- changing what is closed --------------------------------------------------------------- */

/* Whether each analyzer that a field names is still there: reading from disk would not mind. */
static enum vz_status check_analyzers(const struct vz_mapping *mapping,
                                      struct vz_analysis *analysis, struct vz_error *err)
{
    struct vz_buf text = {0};
    struct vz_json_doc *doc = NULL;
    struct vz_json body;
    struct vz_mapping *empty = vz_mapping_new_with(analysis), *merged = NULL;
    vz_mapping_print(mapping, &text);
    enum vz_status status = vz_json_parse(vz_buf_slice(&text), &doc, &body, err);
    if (status == VZ_OK)
        status = vz_mapping_merge(empty, body, &merged, err);
    vz_json_free(doc);
    vz_buf_deinit(&text);
    vz_mapping_release(merged);
    vz_mapping_release(empty);
    return status;
}

enum vz_status vz_settings_reload_mapping(struct vz_store *store,
                                          const struct vz_settings *settings,
                                          struct vz_mapping **mapping, struct vz_error *err)
{
    struct vz_analysis *analysis = NULL;
    struct vz_mapping *fresh = NULL;
    struct vz_buf text = {0};
    enum vz_status status = vz_settings_analysis(store, settings, &analysis, err);
    if (status != VZ_OK)
        return status;
    vz_mapping_save(*mapping, &text);
    status = check_analyzers(*mapping, analysis, err);
    if (status == VZ_OK)
        status = vz_mapping_load_with(vz_buf_slice(&text), analysis, &fresh, err);
    vz_analysis_release(analysis);
    vz_buf_deinit(&text);
    struct vz_mapping_rules rules;
    if (status == VZ_OK) {
        if (vz_settings_mapping_rules(settings, false, &rules, NULL) == VZ_OK)
            vz_mapping_set_rules(fresh, &rules);
        vz_mapping_release(*mapping);
        *mapping = fresh;
    }
    return status;
}

static enum vz_status change_prepared(struct vz_index *index, struct vz_json settings,
                                      const struct vz_settings_change *how, struct vz_json mappings,
                                      struct prepared *p, struct vz_error *err)
{
    struct vz_mapping *merged = NULL;
    enum vz_status status = read_prepared(index->store, vz_index_name(index), p, err);
    if (status == VZ_OK && (!p->entry.closed || strcmp(p->entry.uuid, index->uuid) != 0))
        status = vz_fail(err, VZ_BUSY, "index [%s] is being opened", index->name);
    if (status == VZ_OK && vz_json_type(settings) == VZ_JSON_OBJECT) {
        status = vz_settings_change(&p->entry.settings, settings, how, err);
        if (status == VZ_OK)
            status = vz_settings_reload_mapping(index->store, &p->entry.settings, &p->mapping, err);
    }
    if (status == VZ_OK && vz_json_type(mappings) == VZ_JSON_OBJECT)
        status = vz_mapping_merge(p->mapping, mappings, &merged, err);
    if (merged) {
        vz_mapping_release(p->mapping);
        p->mapping = merged;
    }
    return status;
}

enum vz_status vz_closed_change(struct vz_index *index, struct vz_json settings,
                                const struct vz_settings_change *how, struct vz_json mappings,
                                struct vz_error *err)
{
    struct vz_store *store = index->store;
    enum vz_status status = VZ_OK;
    bool again = true;
    for (unsigned tries = 0; again; tries++) {
        struct prepared p;
        status = change_prepared(index, settings, how, mappings, &p, err);
        pthread_mutex_lock(&store->lock);
        again = is_stale(store, &p, tries);
        if (!again && atomic_load(&store->changes) != p.seen) {
            free_prepared(&p);
            status = change_prepared(index, settings, how, mappings, &p, err);
        }
        if (!again && status == VZ_OK)
            status = vz_registry_put(store, &p.entry, p.mapping, NULL, 0, false, err);
        pthread_mutex_unlock(&store->lock);
        free_prepared(&p);
    }
    return status;
}
