/* Memory of the graph; essay follows. */
#include "vector/hnsw.h"

#include "base/text.h"
#include "vector/graph.h"

#include <math.h>
#include <stdlib.h>
#include <sys/mman.h>

#define DEFAULT_M 16
#define DEFAULT_EF_CONSTRUCTION 100
#define DEFAULT_SEED 42
#define MAX_ROWS 0x7fffffffu

unsigned vz_level(const struct vz_hnsw *graph, uint32_t row)
{
    uint64_t state = graph->options.seed ^ (uint64_t)row * 0xD1342543DE82EF95ull;
    vz_rng_next(&state);
    double unit = 1.0 - vz_rng_unit(&state); /* (0, 1] */
    double level = -log(unit) * graph->level_scale;
    return level >= VZ_LEVEL_MAX ? VZ_LEVEL_MAX : (unsigned)level;
}

void vz_space_init(struct vz_space *space, const struct vz_hnsw_options *options)
{
    *space = (struct vz_space){
        .rows = options->rows,
        .stride = options->stride ? options->stride : options->dims,
        .dims = options->dims,
        .l2 = options->similarity == VZ_L2,
        .kernels = vz_kernels(),
    };
}

static enum vz_status check_options(struct vz_hnsw_options *o, struct vz_error *err)
{
    if (o->dims < 1 || o->dims > 4096)
        return vz_fail(err, VZ_BAD_ARGUMENT, "dims must be 1 to 4096, got %u", o->dims);
    if (!o->stride)
        o->stride = o->dims;
    if (o->stride < o->dims)
        return vz_fail(err, VZ_BAD_ARGUMENT, "stride %zu is less than dims %u", o->stride, o->dims);
    if (!o->m)
        o->m = DEFAULT_M;
    if (o->m < 2 || o->m > 512)
        return vz_fail(err, VZ_BAD_ARGUMENT, "m must be 2 to 512, got %u", o->m);
    if (!o->ef_construction)
        o->ef_construction = DEFAULT_EF_CONSTRUCTION;
    if (o->ef_construction > 3200)
        return vz_fail(err, VZ_BAD_ARGUMENT, "ef_construction must be 1 to 3200, got %u",
                       o->ef_construction);
    if (!o->seed)
        o->seed = DEFAULT_SEED;
    if (!o->max_rows || o->max_rows > MAX_ROWS)
        o->max_rows = MAX_ROWS;
    if ((unsigned)o->similarity > VZ_MAX_INNER)
        return vz_fail(err, VZ_BAD_ARGUMENT, "unknown similarity %d", (int)o->similarity);
    if (!o->rows)
        return vz_fail(err, VZ_BAD_ARGUMENT, "a graph needs the address of its rows");
    return VZ_OK;
}

/* Address space for max_rows. A row has 1 / (m - 1) upper lists on average; twice that and a
 * constant is never reached by chance. */
static enum vz_status reserve(struct vz_hnsw *graph, struct vz_error *err)
{
    size_t rows = graph->max_rows, m = graph->m;
    size_t lists = rows / (m - 1) * 2 + 65536;
    enum vz_status status =
        vz_grow_open(&graph->level0, rows * graph->record * sizeof(vz_link), err);
    if (status == VZ_OK)
        status = vz_grow_open(&graph->place, rows * sizeof(vz_link), err);
    if (status == VZ_OK)
        status = vz_grow_open(&graph->upper, lists * m * sizeof(vz_link), err);
    if (status == VZ_OK && graph->quantized) {
        status = vz_grow_open(&graph->codes, rows * graph->code_stride, err);
#ifdef MADV_HUGEPAGE
        /* Random rows of a large array: without huge pages most of them miss the TLB too. */
        if (status == VZ_OK)
            (void)madvise(graph->codes.base, graph->codes.reserved_bytes, MADV_HUGEPAGE);
#endif
    }
    return status;
}

enum vz_status vz_graph_init(const struct vz_hnsw_options *options, struct vz_hnsw **out,
                             struct vz_error *err)
{
    struct vz_hnsw_options resolved = *options;
    enum vz_status status = check_options(&resolved, err);
    if (status != VZ_OK)
        return status;
    struct vz_hnsw *graph = vz_calloc(1, sizeof *graph);
    graph->options = resolved;
    graph->m = resolved.m;
    graph->m0 = resolved.m * 2;
    graph->record = (graph->m0 + VZ_RECORD_LINKS - 1) / VZ_RECORD_LINKS * VZ_RECORD_LINKS;
    graph->max_rows = resolved.max_rows;
    graph->level_scale = 1.0 / log(resolved.m);
    vz_space_init(&graph->space, &resolved);
    graph->quantized = resolved.quantize != 0;
    vz_codes_layout(graph);
    pthread_mutex_init(&graph->grow_lock, NULL);
    pthread_mutex_init(&graph->count_lock, NULL);
    pthread_mutex_init(&graph->entry_lock, NULL);
    for (size_t i = 0; i < VZ_STRIPES; i++)
        pthread_mutex_init(&graph->stripes[i], NULL);
    status = reserve(graph, err);
    if (status != VZ_OK) {
        vz_hnsw_free(graph);
        return status;
    }
    *out = graph;
    return VZ_OK;
}

enum vz_status vz_hnsw_new(const struct vz_hnsw_options *options, struct vz_hnsw **out,
                           struct vz_error *err)
{
    *out = NULL;
    return vz_graph_init(options, out, err);
}

void vz_hnsw_free(struct vz_hnsw *graph)
{
    if (!graph)
        return;
    vz_grow_close(&graph->level0);
    vz_grow_close(&graph->place);
    vz_grow_close(&graph->upper);
    vz_grow_close(&graph->codes);
    pthread_mutex_destroy(&graph->grow_lock);
    pthread_mutex_destroy(&graph->count_lock);
    pthread_mutex_destroy(&graph->entry_lock);
    for (size_t i = 0; i < VZ_STRIPES; i++)
        pthread_mutex_destroy(&graph->stripes[i]);
    free(graph);
}

uint32_t vz_hnsw_count(const struct vz_hnsw *graph)
{
    return atomic_load_explicit(&graph->count, memory_order_acquire);
}

size_t vz_hnsw_memory_bytes(const struct vz_hnsw *graph)
{
    size_t rows = atomic_load_explicit(&graph->limit, memory_order_acquire);
    size_t lists = atomic_load_explicit(&graph->upper_lists, memory_order_relaxed);
    return sizeof *graph + rows * (graph->record + 1) * sizeof(vz_link) +
           lists * graph->m * sizeof(vz_link) +
           (graph->quantized ? rows * graph->code_stride : 0);
}
