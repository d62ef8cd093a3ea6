/* store/graph.c - a generation's HNSW graphs: filled behind the writer's back, checkpointed.
 *
 * Rows are committed first and enter the graph later; a search scans exactly what the graph lacks.
 * So a graph may be behind, missing, or thrown away at any time without changing an answer.
 *
 * Invariants:
 *  1. Only committed rows are inserted, each once, in order; a row never changes after.
 *  2. rows->graph_lock is held while inserting or saving; searches take no lock.
 *  3. A checkpoint with more rows than were committed (a power loss undid commits) is removed.
 */
#include "base/log.h"
#include "store/generation.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define PARALLEL_FROM 64

static void graph_path(const char *dir, uint16_t field, struct vz_buf *path)
{
    vz_buf_printf(path, "%s/graph.%u", dir, (unsigned)field);
}

void vz_graph_open(const char *dir, struct vz_rows *rows, const struct vz_field *field)
{
    struct vz_buf path = {0};
    struct vz_hnsw_options space;
    struct vz_hnsw *graph = NULL;
    struct vz_error err = {0};
    graph_path(dir, rows->field, &path);
    vz_rows_space(rows, field, &space);
    enum vz_status status = vz_hnsw_open(path.data, &space, &graph, &err);
    if (status == VZ_OK && vz_hnsw_count(graph) > atomic_load(&rows->count)) {
        vz_hnsw_free(graph);
        status = vz_fail(&err, VZ_CORRUPT, "it holds rows that were never committed");
    }
    if (status == VZ_OK) {
        rows->graph_saved = vz_hnsw_count(graph);
        atomic_store_explicit(&rows->graph, graph, memory_order_release);
    } else if (status != VZ_NOT_FOUND) {
        vz_log(VZ_LOG_WARN, "store", "%s is built anew: %s", path.data, err.text);
        unlink(path.data);
    }
    vz_buf_deinit(&path);
}

static enum vz_status graph_of(struct vz_rows *rows, const struct vz_field *field,
                               struct vz_hnsw **out, struct vz_error *err)
{
    *out = atomic_load_explicit(&rows->graph, memory_order_acquire);
    if (*out)
        return VZ_OK;
    struct vz_hnsw_options space;
    vz_rows_space(rows, field, &space);
    enum vz_status status = vz_hnsw_new(&space, out, err);
    if (status == VZ_OK)
        atomic_store_explicit(&rows->graph, *out, memory_order_release);
    return status;
}

/* One worker's share of a batch: it claims rows one by one. */
struct share {
    struct vz_hnsw *graph;
    _Atomic uint32_t *next;
    uint32_t last;
    enum vz_status status;
    struct vz_error err;
    struct gate *gate;
};
struct gate {
    pthread_mutex_t lock;
    pthread_cond_t done;
    unsigned running;
};

static void insert_share(void *share_void)
{
    struct share *share = share_void;
    for (;;) {
        uint32_t row = atomic_fetch_add(share->next, 1);
        if (row >= share->last)
            break;
        share->status = vz_hnsw_insert(share->graph, row, &share->err);
        if (share->status != VZ_OK)
            break;
    }
    if (!share->gate)
        return;
    pthread_mutex_lock(&share->gate->lock);
    share->gate->running--;
    pthread_cond_signal(&share->gate->done);
    pthread_mutex_unlock(&share->gate->lock);
}

/* Rows [first, last): this thread and the pool's workers. A row whose insertion failed leaves the
 * graph unable to count past it, so the caller gives the graph up for the tail. */
static enum vz_status insert_range(struct vz_hnsw *graph, uint32_t first, uint32_t last,
                                   struct vz_pool *pool, unsigned helpers, struct vz_error *err)
{
    struct gate gate = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0};
    struct share shares[16];
    _Atomic uint32_t next = first;
    helpers = last - first < PARALLEL_FROM ? 0 : VZ_MIN(helpers, 15u);
    for (unsigned i = 0; i <= helpers; i++)
        shares[i] =
            (struct share){.graph = graph, .next = &next, .last = last, .gate = i ? &gate : NULL};
    for (unsigned i = 1; i <= helpers; i++) {
        pthread_mutex_lock(&gate.lock);
        gate.running++;
        pthread_mutex_unlock(&gate.lock);
        if (vz_pool_push(pool, insert_share, &shares[i]) != VZ_OK) {
            pthread_mutex_lock(&gate.lock);
            gate.running--;
            pthread_mutex_unlock(&gate.lock);
        }
    }
    insert_share(&shares[0]);
    pthread_mutex_lock(&gate.lock);
    while (gate.running)
        pthread_cond_wait(&gate.done, &gate.lock);
    pthread_mutex_unlock(&gate.lock);
    for (unsigned i = 0; i <= helpers; i++)
        if (shares[i].status != VZ_OK) {
            if (err)
                *err = shares[i].err;
            return shares[i].status;
        }
    return VZ_OK;
}

enum vz_status vz_graph_insert_some(struct vz_rows *rows, const struct vz_field *field,
                                    uint32_t budget, struct vz_pool *pool, unsigned helpers,
                                    bool *left, struct vz_error *err)
{
    *left = false;
    if (field->flat || atomic_load(&rows->graph_failed))
        return VZ_OK;
    uint32_t count = atomic_load_explicit(&rows->count, memory_order_acquire);
    if (count == 0)
        return VZ_OK;
    struct vz_hnsw *graph;
    pthread_mutex_lock(&rows->graph_lock);
    enum vz_status status = graph_of(rows, field, &graph, err);
    if (status == VZ_OK) {
        uint32_t first = vz_hnsw_count(graph), last = VZ_MIN(count, first + budget);
        if (first < last)
            status = insert_range(graph, first, last, pool, helpers, err);
        *left = last < count;
    }
    if (status != VZ_OK)
        atomic_store(&rows->graph_failed, true);
    pthread_mutex_unlock(&rows->graph_lock);
    return status;
}

enum vz_status vz_graph_save(const char *dir, struct vz_rows *rows, struct vz_error *err)
{
    struct vz_hnsw *graph = atomic_load_explicit(&rows->graph, memory_order_acquire);
    if (!graph || atomic_load(&rows->graph_failed))
        return VZ_OK;
    struct vz_buf path = {0};
    graph_path(dir, rows->field, &path);
    pthread_mutex_lock(&rows->graph_lock);
    enum vz_status status = VZ_OK;
    uint32_t count = vz_hnsw_count(graph);
    if (count != rows->graph_saved) {
        rows->graph_tried = count;
        status = vz_hnsw_save(graph, path.data, err);
        if (status == VZ_OK)
            rows->graph_saved = count;
    }
    pthread_mutex_unlock(&rows->graph_lock);
    vz_buf_deinit(&path);
    return status;
}
