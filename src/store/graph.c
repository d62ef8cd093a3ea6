/* store/graph.c - a generation's HNSW graphs: filled behind the writer's back, checkpointed,
 * replaced when the mapping asks for another kind.
 *
 * Rows are committed first and enter the graph later; a search scans exactly what the graph lacks.
 * So a graph may be behind, missing, or thrown away at any time without changing an answer.
 *
 *   none --(rows, enough to take a mean of)--> graph --(m changed, flat no more)--> graph + growing
 *     ^                                        ^ | ^                                       |
 *     | no checkpoint that opens               | | +-------(growing has all rows: swap)----+
 *                                              | +--(codes changed)---> graph + recoding
 *                                              |                                |
 *                                              +--(all coded: links, swap)------+
 *
 * A new kind is made beside the old graph, which goes on being searched and fed: as a recoding of
 * it where it can keep the links (vz_recoding_new), else by inserting every row anew. A recoding
 * follows the old graph; it ends with as many rows as that has, and what is removed there stays
 * removed. A checkpoint of an old kind is opened as what it is, so a restart in the middle begins
 * it anew and loses nothing else. Until the new one is whole both are in memory; where the budget
 * forbids that, the old one stays.
 *
 * Dead documents' rows leave in two steps. What no living view sees any more is marked in the graph
 * (vz_hnsw_remove): searches of newer views need not ask about deaths then. When a twentieth of the
 * rows is marked, or nothing else is to do, the graph is repaired around them. A view older than a
 * death still finds the row: it is not marked while the view lives.
 *
 * Invariants:
 *  1. Only committed rows are inserted, each once, in order; a row never changes after.
 *  2. rows->graph_lock is held while inserting, saving or swapping; searches hold a reference.
 *  3. A checkpoint with more rows than were committed (a power loss undid commits) is removed.
 *  5. A row is removed only when its document's death is no younger than every view of the
 *     generation. clean_epoch says up to which death all rows below count are removed; rows that
 *     enter later and are that dead are removed right behind their insertion.
 *  4. Kinds that code what rows have beside their mean start with MEAN_ROWS rows at least.
 */
#include "base/log.h"
#include "store/generation.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define PARALLEL_FROM 64
/* A mean of fewer rows says little of those to come, and so few are scanned in 0.2 ms. */
#define MEAN_ROWS 2048
#define MEAN_ROWS_MOST 4096
/* A repair costs about a fifth of an insert for each row around; until then a search walks through
 * marked rows, one in so many. */
#define REPAIR_SHARE 20
#define REPAIR_FROM 64
/* Rows coded for one that is inserted: the graph thread takes about as long for a chunk. */
#define CODES_AN_INSERT 32

static void graph_path(const char *dir, uint16_t field, struct vz_buf *path)
{
    vz_buf_printf(path, "%s/graph.%u", dir, (unsigned)field);
}

/* ---- references ---------------------------------------------------------------------------- */

struct vz_graph *vz_graph_acquire(struct vz_rows *rows)
{
    pthread_mutex_lock(&rows->swap_lock);
    struct vz_graph *graph = rows->graph;
    if (graph)
        atomic_fetch_add_explicit(&graph->references, 1, memory_order_relaxed);
    pthread_mutex_unlock(&rows->swap_lock);
    return graph;
}

void vz_graph_release(struct vz_graph *graph)
{
    if (!graph || atomic_fetch_sub_explicit(&graph->references, 1, memory_order_acq_rel) != 1)
        return;
    vz_hnsw_free(graph->hnsw);
    free(graph);
}

static struct vz_graph *graph_of(struct vz_hnsw *hnsw, const struct vz_graph_shape *shape)
{
    struct vz_graph *graph = vz_calloc(1, sizeof *graph);
    graph->hnsw = hnsw;
    graph->shape = *shape;
    atomic_init(&graph->references, 1);
    return graph;
}

/* Takes the reference over. */
static void publish(struct vz_rows *rows, struct vz_graph *graph)
{
    pthread_mutex_lock(&rows->swap_lock);
    struct vz_graph *old = rows->graph;
    rows->graph = graph;
    pthread_mutex_unlock(&rows->swap_lock);
    vz_graph_release(old);
}

/* ---- shapes -------------------------------------------------------------------------------- */

static struct vz_graph_shape shape_of(const struct vz_field *field)
{
    return (struct vz_graph_shape){
        .m = field->flat ? 0 : field->m, .quantize = field->quantize, .flat = field->flat};
}

static bool same_shape(const struct vz_graph_shape *a, const struct vz_graph_shape *b)
{
    return a->m == b->m && a->quantize == b->quantize && a->flat == b->flat;
}

bool vz_graph_wanted(const struct vz_field *field)
{
    return field->indexed && !(field->flat && field->quantize == VZ_QUANTIZE_NONE);
}

static void space_of(const struct vz_rows *rows, const struct vz_field *field,
                     const struct vz_graph_shape *shape, struct vz_hnsw_options *space)
{
    vz_rows_space(rows, field, space);
    space->m = shape->m;
    space->quantize = shape->quantize;
    space->flat = shape->flat;
}

bool vz_graph_is_old(struct vz_rows *rows, const struct vz_field *field)
{
    struct vz_graph_shape wanted = shape_of(field);
    struct vz_graph *graph = vz_graph_acquire(rows);
    bool old = graph && !same_shape(&graph->shape, &wanted);
    vz_graph_release(graph);
    return old;
}

/* ---- opening ------------------------------------------------------------------------------- */

/* The checkpoint as the field's kind; or as any kind it may have been before an upgrade. */
static enum vz_status open_any(const char *path, const struct vz_rows *rows,
                               const struct vz_field *field, struct vz_graph **out,
                               struct vz_error *err)
{
    struct vz_graph_shape wanted = shape_of(field);
    struct vz_hnsw_options space;
    struct vz_hnsw *hnsw;
    space_of(rows, field, &wanted, &space);
    enum vz_status status = vz_hnsw_open(path, &space, &hnsw, err);
    if (status == VZ_OK)
        *out = graph_of(hnsw, &wanted);
    if (status != VZ_CORRUPT)
        return status;
    /* Upgrades raise m; 16 is what nearly every field has. */
    const uint32_t ms[] = {wanted.m, 16, 0};
    for (size_t i = 0; i < VZ_COUNT_OF(ms); i++)
        for (uint32_t quantize = VZ_QUANTIZE_NONE; quantize <= VZ_QUANTIZE_BIT; quantize++) {
            struct vz_graph_shape shape = {ms[i], quantize, ms[i] == 0};
            space_of(rows, field, &shape, &space);
            if (vz_hnsw_open(path, &space, &hnsw, NULL) == VZ_OK) {
                *out = graph_of(hnsw, &shape);
                return VZ_OK;
            }
        }
    return status;
}

void vz_graph_open(const char *dir, struct vz_rows *rows, const struct vz_field *field)
{
    struct vz_buf path = {0};
    struct vz_graph *graph = NULL;
    struct vz_error err = {0};
    graph_path(dir, rows->field, &path);
    enum vz_status status = open_any(path.data, rows, field, &graph, &err);
    if (status == VZ_OK && vz_hnsw_count(graph->hnsw) > atomic_load(&rows->count)) {
        vz_graph_release(graph);
        status = vz_fail(&err, VZ_CORRUPT, "it holds rows that were never committed");
    }
    if (status == VZ_OK) {
        rows->graph_saved = vz_hnsw_count(graph->hnsw);
        publish(rows, graph);
    } else if (status != VZ_NOT_FOUND) {
        vz_log(VZ_LOG_WARN, "store", "%s is built anew: %s", path.data, err.text);
        unlink(path.data);
    }
    vz_buf_deinit(&path);
}

/* ---- inserting ----------------------------------------------------------------------------- */

static enum vz_status new_graph(const struct vz_rows *rows, const struct vz_field *field,
                                uint32_t count, struct vz_graph **out, struct vz_error *err)
{
    struct vz_graph_shape shape = shape_of(field);
    struct vz_hnsw_options space;
    struct vz_hnsw *hnsw;
    space_of(rows, field, &shape, &space);
    space.sample_rows = VZ_MIN(count, (uint32_t)MEAN_ROWS_MOST);
    enum vz_status status = vz_hnsw_new(&space, &hnsw, err);
    if (status == VZ_OK)
        *out = graph_of(hnsw, &shape);
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

/* Marks the dead of [first, last), both below the graph's count. True when any was. */
static bool remove_dead(const struct vz_rows *rows, struct vz_hnsw *hnsw, uint32_t first,
                        uint32_t last, uint32_t epoch)
{
    const uint32_t *docnos = vz_rows_docnos(rows);
    const uint32_t *dead = (const uint32_t *)(const void *)rows->dead->base;
    bool any = false;
    for (uint32_t row = first; row < last; row++) {
        uint32_t death = __atomic_load_n(&dead[docnos[row]], __ATOMIC_RELAXED);
        if (death == 0 || death > epoch || vz_hnsw_is_removed(hnsw, row))
            continue;
        any |= vz_hnsw_remove(hnsw, row, NULL) == VZ_OK;
    }
    return any;
}

/* Up to work->rows of the committed rows that a graph lacks; *left says whether more wait. */
static enum vz_status feed(struct vz_rows *rows, struct vz_graph *graph, uint32_t count,
                           const struct vz_graph_work *work, bool *left, struct vz_error *err)
{
    uint32_t first = vz_hnsw_count(graph->hnsw), last = VZ_MIN(count, first + work->rows);
    *left = last < count;
    if (first >= last)
        return VZ_OK;
    enum vz_status status = insert_range(graph->hnsw, first, last, work->pool, work->helpers, err);
    uint32_t clean = atomic_load_explicit(&graph->clean_epoch, memory_order_relaxed);
    if (status == VZ_OK && clean)
        rows->graph_changed |= remove_dead(rows, graph->hnsw, first, last, clean);
    return status;
}

static void drop_new(struct vz_rows *rows)
{
    vz_graph_release(rows->growing);
    vz_recoding_free(rows->recoding);
    rows->growing = NULL;
    rows->recoding = NULL;
    atomic_store(&rows->growing_bytes, 0);
}

/* Whether links selected for one shape are as good for the other. A graph that was refused memory
 * lacks rows that a new one may have room for. */
static bool keeps_links(struct vz_rows *rows, const struct vz_graph_shape *to)
{
    const struct vz_graph_shape *from = &rows->graph->shape;
    return from->flat == to->flat && from->m == to->m && !atomic_load(&rows->graph_failed);
}

/* Memory for a whole graph beside the one in use? */
static enum vz_status begin_new(struct vz_rows *rows, const struct vz_field *field, uint32_t count,
                                const struct vz_graph_work *work, struct vz_error *err)
{
    struct vz_row_cost cost = vz_row_cost(field);
    size_t needed = count * (cost.code_bytes + cost.link_bytes);
    if (needed > work->room_bytes)
        return vz_fail(err, VZ_BUDGET,
                       "another kind takes [%zu] bytes until it is built, [%zu] are left", needed,
                       work->room_bytes);
    rows->new_shape = shape_of(field);
    if (!keeps_links(rows, &rows->new_shape))
        return new_graph(rows, field, count, &rows->growing, err);
    struct vz_hnsw_options space;
    space_of(rows, field, &rows->new_shape, &space);
    space.sample_rows = VZ_MIN(count, (uint32_t)MEAN_ROWS_MOST);
    return vz_recoding_new(rows->graph->hnsw, &space, &rows->recoding, err);
}

/* A chunk of codes. When the graph in use has no row without one, *done is what takes its place,
 * with the same rows removed: nothing enters or leaves a graph while graph_lock is held. */
static enum vz_status recode_some(struct vz_rows *rows, const struct vz_graph_work *work,
                                  struct vz_graph **done, struct vz_error *err)
{
    bool left;
    struct vz_hnsw *hnsw;
    enum vz_status status =
        vz_recoding_advance(rows->recoding, work->rows * CODES_AN_INSERT, &left, err);
    if (status == VZ_OK && !left) {
        status = vz_recoding_finish(rows->recoding, &hnsw, err);
        if (status == VZ_OK) {
            *done = graph_of(hnsw, &rows->new_shape);
            (*done)->clean_deaths = rows->graph->clean_deaths;
            atomic_init(&(*done)->clean_epoch,
                        atomic_load_explicit(&rows->graph->clean_epoch, memory_order_relaxed));
        }
    }
    if (status == VZ_OK)
        atomic_store(&rows->growing_bytes, vz_recoding_memory_bytes(rows->recoding));
    return status;
}

/* The same by inserting. */
static enum vz_status grow_some(struct vz_rows *rows, uint32_t count,
                                const struct vz_graph_work *work, struct vz_graph **done,
                                struct vz_error *err)
{
    bool left;
    enum vz_status status = feed(rows, rows->growing, count, work, &left, err);
    atomic_store(&rows->growing_bytes, vz_hnsw_memory_bytes(rows->growing->hnsw));
    if (status == VZ_OK && !left) {
        *done = rows->growing;
        rows->growing = NULL;
    }
    return status;
}

/* graph_lock held. A chunk of the graph that shall take the place of the one in use; then the
 * swap. What the new one is refused for leaves the old one in use. */
static void grow_new(struct vz_rows *rows, const struct vz_field *field, uint32_t count,
                     const struct vz_graph_work *work, bool *left)
{
    struct vz_graph_shape wanted = shape_of(field);
    struct vz_graph *done = NULL;
    struct vz_error err = {0};
    enum vz_status status = VZ_OK;
    bool begun = rows->growing || rows->recoding;
    if (begun && (!same_shape(&rows->new_shape, &wanted) ||
                  (rows->recoding && !keeps_links(rows, &wanted)))) {
        drop_new(rows);
        begun = false;
    }
    if (same_shape(&rows->graph->shape, &wanted))
        return;
    if (!begun)
        status = begin_new(rows, field, count, work, &err);
    if (status == VZ_OK)
        status = rows->recoding ? recode_some(rows, work, &done, &err)
                                : grow_some(rows, count, work, &done, &err);
    if (status != VZ_OK) {
        if (!rows->growing_failed)
            vz_log(VZ_LOG_WARN, "store", "the graph of field [%.*s] stays as it was: %s",
                   (int)field->path.len, field->path.ptr, err.text);
        drop_new(rows);
        rows->growing_failed = true;
        return;
    }
    rows->growing_failed = false;
    *left = !done;
    if (!done)
        return;
    drop_new(rows);
    publish(rows, done);
    rows->graph_saved = rows->graph_tried = 0;
    atomic_store(&rows->graph_failed, false);
}

enum vz_status vz_graph_insert_some(struct vz_rows *rows, const struct vz_field *field,
                                    const struct vz_graph_work *work, bool *left,
                                    struct vz_error *err)
{
    *left = false;
    if (!vz_graph_wanted(field))
        return VZ_OK;
    uint32_t count = atomic_load_explicit(&rows->count, memory_order_acquire);
    if (count == 0)
        return VZ_OK;
    bool coarse = field->quantize == VZ_QUANTIZE_INT4 || field->quantize == VZ_QUANTIZE_BIT;
    bool too_few = coarse && count < MEAN_ROWS;
    enum vz_status status = VZ_OK;
    pthread_mutex_lock(&rows->graph_lock);
    if (!rows->graph && !too_few) {
        struct vz_graph *graph;
        status = new_graph(rows, field, count, &graph, err);
        if (status == VZ_OK)
            publish(rows, graph);
    }
    if (status == VZ_OK && rows->graph && !atomic_load(&rows->graph_failed))
        status = feed(rows, rows->graph, count, work, left, err);
    if (status != VZ_OK)
        atomic_store(&rows->graph_failed, true);
    bool more = false;
    if (rows->graph && !too_few)
        grow_new(rows, field, count, work, &more);
    *left |= more;
    pthread_mutex_unlock(&rows->graph_lock);
    return status;
}

enum vz_status vz_graph_tidy(struct vz_rows *rows, uint32_t oldest, uint32_t deaths, bool now,
                             bool (*cancelled)(void *context), void *context, struct vz_error *err)
{
    enum vz_status status = VZ_OK;
    pthread_mutex_lock(&rows->graph_lock);
    struct vz_graph *graph = atomic_load(&rows->graph_failed) ? NULL : rows->graph;
    if (graph) {
        uint32_t count = vz_hnsw_count(graph->hnsw);
        uint32_t clean = atomic_load_explicit(&graph->clean_epoch, memory_order_relaxed);
        if (clean != oldest || graph->clean_deaths != deaths) {
            rows->graph_changed |= remove_dead(rows, graph->hnsw, 0, count, oldest);
            graph->clean_deaths = deaths;
            atomic_store_explicit(&graph->clean_epoch, oldest, memory_order_release);
        }
        uint32_t removed = vz_hnsw_removed_count(graph->hnsw);
        bool many = removed >= REPAIR_FROM && removed >= count / REPAIR_SHARE;
        if (removed && (now || many)) {
            status = vz_hnsw_repair(graph->hnsw, cancelled, context, err);
            rows->graph_changed = true;
        }
    }
    pthread_mutex_unlock(&rows->graph_lock);
    return status;
}

enum vz_status vz_graph_save(const char *dir, struct vz_rows *rows, struct vz_error *err)
{
    struct vz_buf path = {0};
    enum vz_status status = VZ_OK;
    graph_path(dir, rows->field, &path);
    pthread_mutex_lock(&rows->graph_lock);
    if (rows->graph && !atomic_load(&rows->graph_failed)) {
        uint32_t count = vz_hnsw_count(rows->graph->hnsw);
        if (count != rows->graph_saved || rows->graph_changed) {
            rows->graph_tried = count;
            status = vz_hnsw_save(rows->graph->hnsw, path.data, err);
            if (status == VZ_OK) {
                rows->graph_saved = count;
                rows->graph_changed = false;
            }
        }
    }
    pthread_mutex_unlock(&rows->graph_lock);
    vz_buf_deinit(&path);
    return status;
}
