/* store/background.c - two threads a store: one refreshes, one fills and saves graphs.
 *
 * They are two because a refresh is due every second and a graph may take minutes. Neither holds a
 * lock while it works on an index; both hold a reference. The graph thread runs at a low priority
 * (nice 10) and in chunks of a few hundred rows, so ingest and searches go first; the exact tail
 * keeps answers right meanwhile.
 *
 *   vz-refresh: sleeps until the earliest index that has commits and whose interval has passed
 *   vz-graph:   insert a chunk of every graph that lags, again and again; then merge and write
 *               segments of texts, take the dead out
 *               of graphs, save what grew enough or has been quiet, compact what is mostly dead;
 *               sleep
 */
#include "base/clock.h"
#include "base/log.h"
#include "store/index.h"

#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#define CHUNK_ROWS 256
#define SAVE_ROWS 10000
#define QUIET_NS (10ull * 1000000000)
#define PINNED_NS (2ull * 1000000000)
#define COMPACT_DEAD 10000 /* and three of ten */
#define COMPACT_MOSTLY_DEAD 1000 /* and more than half: what the repair of a graph mends badly */
#define COMPACT_RETRY_NS (300ull * 1000000000)
#define GRAPH_NICE 10

/* ---- refresh ------------------------------------------------------------------------------- */

/* Refreshes what is due; returns when the next one is, or UINT64_MAX. */
static uint64_t refresh_due(struct vz_store *store)
{
    struct vz_index **list;
    uint64_t next = UINT64_MAX;
    size_t count = vz_store_open_indices(store, &list);
    for (size_t i = 0; i < count; i++) {
        struct vz_index *index = list[i];
        pthread_mutex_lock(&index->view_lock);
        uint64_t since = index->dirty_since_ns;
        int64_t interval = index->settings.refresh_interval_ms;
        pthread_mutex_unlock(&index->view_lock);
        if (since && interval >= 0) {
            uint64_t due = since + (uint64_t)interval * 1000000;
            if (due <= vz_now_ns())
                vz_index_refresh_now(index);
            else
                next = VZ_MIN(next, due);
        }
        vz_index_release(index);
    }
    free(list);
    return next;
}

static void *refresh_main(void *store_void)
{
    struct vz_store *store = store_void;
    vz_thread_name("refresh");
    pthread_mutex_lock(&store->work_lock);
    while (!store->stop) {
        store->refresh_wanted = false;
        pthread_mutex_unlock(&store->work_lock);
        uint64_t next = refresh_due(store);
        pthread_mutex_lock(&store->work_lock);
        if (store->stop || store->refresh_wanted)
            continue;
        if (next == UINT64_MAX) {
            pthread_cond_wait(&store->refresh_cond, &store->work_lock);
        } else {
            struct timespec at = {(time_t)(next / 1000000000), (long)(next % 1000000000)};
            pthread_cond_timedwait(&store->refresh_cond, &store->work_lock, &at);
        }
    }
    pthread_mutex_unlock(&store->work_lock);
    return NULL;
}

void vz_background_dirty(struct vz_store *store)
{
    pthread_mutex_lock(&store->work_lock);
    store->refresh_wanted = true;
    pthread_cond_signal(&store->refresh_cond);
    pthread_mutex_unlock(&store->work_lock);
}

/* ---- graphs -------------------------------------------------------------------------------- */

/* One chunk for each graph of an index that lags; true when rows are left. */
static bool insert_chunks(struct vz_index *index)
{
    struct vz_store *store = index->store;
    struct vz_generation *gen = vz_index_generation(index);
    struct vz_mapping *mapping = vz_index_mapping(index);
    struct vz_graph_work work = {CHUNK_ROWS, store->pool, store->graph_threads - 1,
                                 vz_store_memory_left(store)};
    bool any = false;
    for (size_t i = 0; i < vz_mapping_count(mapping) && !atomic_load(&index->deleted); i++) {
        struct vz_rows *rows = vz_generation_rows(gen, (uint16_t)i);
        bool left = false;
        struct vz_error err = {0};
        if (rows && vz_graph_insert_some(rows, vz_mapping_field(mapping, (uint16_t)i), &work, &left,
                                         &err) != VZ_OK)
            vz_log(VZ_LOG_WARN, "store", "[%s]: the graph of field [%zu] stops growing: %s",
                   index->name, i, err.text);
        any |= left;
    }
    vz_mapping_release(mapping);
    vz_generation_release(gen);
    return any;
}

/* Saves graphs that grew by a quarter or SAVE_ROWS, or all that changed when nobody writes. */
static bool save_grown(struct vz_index *index, bool all)
{
    struct vz_generation *gen = vz_index_generation(index);
    bool unsaved = false;
    for (size_t i = 0; i < VZ_MAX_FIELDS; i++) {
        struct vz_rows *rows = vz_generation_rows(gen, (uint16_t)i);
        struct vz_graph *graph = rows ? vz_graph_acquire(rows) : NULL;
        if (!graph)
            continue;
        uint32_t count = vz_hnsw_count(graph->hnsw);
        vz_graph_release(graph);
        pthread_mutex_lock(&rows->graph_lock);
        bool changed = rows->graph_changed;
        uint32_t saved = rows->graph_saved;
        uint32_t since = VZ_MAX(saved, rows->graph_tried); /* a full disk is not tried every time */
        pthread_mutex_unlock(&rows->graph_lock);
        struct vz_error err = {0};
        if (count == saved && !changed)
            continue;
        if (!all && count - VZ_MIN(count, since) < VZ_MAX((uint32_t)SAVE_ROWS, saved / 4))
            unsaved = true;
        else if (vz_graph_save(gen->dir, rows, &err) != VZ_OK)
            vz_log(VZ_LOG_WARN, "store", "[%s]: a graph is not saved: %s", index->name, err.text);
    }
    vz_generation_release(gen);
    return unsaved;
}

static bool stopping(void *index_void)
{
    const struct vz_index *index = index_void;
    return atomic_load(&index->compact_cancel) || atomic_load(&index->deleted);
}

/* Takes the dead out of an index's graphs. `now`: repairs even a few. True when some of the dead
 * are still seen by a view: look again later. */
static bool tidy_graphs(struct vz_index *index, bool now)
{
    pthread_mutex_lock(&index->view_lock);
    struct vz_generation *gen = vz_generation_acquire(index->gen);
    uint32_t deaths = gen->state.dead, newest = index->view->epoch;
    pthread_mutex_unlock(&index->view_lock);
    uint32_t oldest = vz_index_oldest_epoch(index, gen);
    for (size_t i = 0; i < VZ_MAX_FIELDS && deaths && !stopping(index); i++) {
        struct vz_rows *rows = vz_generation_rows(gen, (uint16_t)i);
        struct vz_error err = {0};
        if (rows && vz_graph_tidy(rows, VZ_MIN(oldest, newest), deaths, now, stopping, index,
                                  &err) != VZ_OK)
            vz_log(VZ_LOG_WARN, "store", "[%s]: a graph is not repaired: %s", index->name,
                   err.text);
    }
    vz_generation_release(gen);
    return deaths && oldest < newest;
}

static void compact_if_dead(struct vz_index *index)
{
    struct vz_error err = {0};
    pthread_mutex_lock(&index->view_lock);
    uint32_t docs = index->gen->state.docs, dead = index->gen->state.dead;
    pthread_mutex_unlock(&index->view_lock);
    bool many = dead > COMPACT_DEAD && dead >= docs / 10 * 3;
    bool most = dead > COMPACT_MOSTLY_DEAD && dead > docs / 2;
    if (!(many || most) || atomic_load(&index->deleted))
        return;
    if (vz_now_ns() < index->compact_after_ns || vz_index_compact(index, &err) == VZ_OK)
        return;
    index->compact_after_ns = vz_now_ns() + COMPACT_RETRY_NS;
    if (err.status != VZ_CANCELLED)
        vz_log(VZ_LOG_WARN, "store", "[%s]: compaction failed: %s", index->name, err.text);
}

/* One round over all indices; *wait_ns says when to look again. True when rows are left. */
static bool graph_round(struct vz_store *store, bool quiet_saves, uint64_t *wait_ns)
{
    struct vz_index **list;
    size_t count = vz_store_open_indices(store, &list);
    bool left = false;
    *wait_ns = UINT64_MAX;
    for (size_t i = 0; i < count; i++) {
        bool lags = insert_chunks(list[i]);
        uint64_t written = atomic_load(&list[i]->last_write_ns);
        bool quiet = !lags && quiet_saves && vz_now_ns() - written >= QUIET_NS;
        if (!lags && tidy_graphs(list[i], quiet))
            *wait_ns = VZ_MIN(*wait_ns, PINNED_NS);
        if (save_grown(list[i], quiet))
            *wait_ns = VZ_MIN(*wait_ns, QUIET_NS);
        if (vz_index_maintain_texts(list[i], quiet))
            *wait_ns = VZ_MIN(*wait_ns, QUIET_NS);
        if (!lags)
            compact_if_dead(list[i]);
        vz_index_pack_together(list[i]);
        vz_index_account(list[i]);
        left |= lags;
        vz_index_release(list[i]);
    }
    free(list);
    return left;
}

static void *graph_main(void *store_void)
{
    struct vz_store *store = store_void;
    vz_thread_name("graph");
    setpriority(PRIO_PROCESS, (id_t)gettid(), GRAPH_NICE); /* this thread only, on Linux */
    pthread_mutex_lock(&store->work_lock);
    while (!store->stop) {
        uint64_t wait_ns;
        store->graph_wanted = false;
        pthread_mutex_unlock(&store->work_lock);
        bool left = graph_round(store, true, &wait_ns);
        pthread_mutex_lock(&store->work_lock);
        store->graph_pass++;
        pthread_cond_broadcast(&store->settled_cond);
        if (left || store->stop || store->graph_wanted)
            continue;
        if (wait_ns == UINT64_MAX) {
            pthread_cond_wait(&store->graph_cond, &store->work_lock);
        } else {
            uint64_t until = vz_now_ns() + wait_ns;
            struct timespec at = {(time_t)(until / 1000000000), (long)(until % 1000000000)};
            pthread_cond_timedwait(&store->graph_cond, &store->work_lock, &at);
        }
    }
    pthread_mutex_unlock(&store->work_lock);
    return NULL;
}

void vz_background_rows(struct vz_store *store)
{
    pthread_mutex_lock(&store->work_lock);
    store->graph_wanted = true;
    pthread_cond_signal(&store->graph_cond);
    pthread_mutex_unlock(&store->work_lock);
}

/* ---- settle -------------------------------------------------------------------------------- */

static enum vz_status settle_rows(struct vz_index *index, struct vz_generation *gen,
                                  const struct vz_mapping *mapping, struct vz_error *err)
{
    struct vz_store *store = index->store;
    enum vz_status status = VZ_OK;
    for (size_t i = 0; status == VZ_OK && i < vz_mapping_count(mapping); i++) {
        struct vz_rows *rows = vz_generation_rows(gen, (uint16_t)i);
        bool left = rows != NULL;
        while (status == VZ_OK && left) {
            struct vz_graph_work work = {CHUNK_ROWS * 4, store->pool, store->graph_threads - 1,
                                         vz_store_memory_left(store)};
            status = vz_graph_insert_some(rows, vz_mapping_field(mapping, (uint16_t)i), &work,
                                          &left, err);
        }
    }
    if (status == VZ_OK)
        tidy_graphs(index, true);
    for (size_t i = 0; status == VZ_OK && i < vz_mapping_count(mapping); i++) {
        struct vz_rows *rows = vz_generation_rows(gen, (uint16_t)i);
        if (rows)
            status = vz_graph_save(gen->dir, rows, err);
    }
    return status;
}

enum vz_status vz_index_settle(struct vz_index *index, struct vz_error *err)
{
    if (atomic_load(&index->deleted))
        return vz_fail(err, VZ_NO_INDEX, "no such index [%s]", index->name);
    enum vz_status status = VZ_OK;
    bool swapped = true; /* a compaction may end meanwhile: what was settled is not used any more */
    while (status == VZ_OK && swapped) {
        struct vz_generation *gen = vz_index_generation(index);
        struct vz_mapping *mapping = vz_index_mapping(index);
        status = settle_rows(index, gen, mapping, err);
        vz_index_maintain_texts(index, true);
        struct vz_generation *now = vz_index_generation(index);
        swapped = now != gen;
        vz_generation_release(now);
        vz_mapping_release(mapping);
        vz_generation_release(gen);
    }
    vz_index_account(index);
    return status;
}

/* ---- threads ------------------------------------------------------------------------------- */

enum vz_status vz_background_start(struct vz_store *store, struct vz_error *err)
{
    int failed = pthread_create(&store->refresh_thread, NULL, refresh_main, store);
    if (failed)
        return vz_fail_errno(err, failed, "cannot start a thread");
    failed = pthread_create(&store->graph_thread, NULL, graph_main, store);
    store->threads_running = !failed;
    if (!failed)
        return VZ_OK;
    pthread_mutex_lock(&store->work_lock);
    store->stop = true;
    pthread_cond_signal(&store->refresh_cond);
    pthread_mutex_unlock(&store->work_lock);
    pthread_join(store->refresh_thread, NULL);
    return vz_fail_errno(err, failed, "cannot start a thread");
}

void vz_background_stop(struct vz_store *store)
{
    struct vz_index **list;
    size_t count = vz_store_open_indices(store, &list);
    for (size_t i = 0; i < count; i++) {
        atomic_store(&list[i]->compact_cancel, true);
        vz_index_release(list[i]);
    }
    free(list);
    pthread_mutex_lock(&store->work_lock);
    store->stop = true;
    pthread_cond_broadcast(&store->refresh_cond);
    pthread_cond_broadcast(&store->graph_cond);
    pthread_mutex_unlock(&store->work_lock);
    if (store->threads_running) {
        pthread_join(store->refresh_thread, NULL);
        pthread_join(store->graph_thread, NULL);
    }
    store->threads_running = false;
}
