/* Contexts, cores and scratch memory.
 *
 * Cores. One counter for the process says how many cores are computing (`cores_busy`); a call takes
 * what is left, at least one. A call of several pieces runs whole pieces on single cores, which
 * has nothing to wait for inside; a call of one piece splits every multiplication (linear.c).
 * oneDNN (Debian's) computes with OpenMP and is told one thread wherever it is called: a team of
 * OpenMP's whose thread the kernel has set aside stands still at each of 75 barriers a picture. On
 * two cores with twenty other threads ready to run, a picture of batch 1 took 930 ms that way.
 *
 * Scratch. A list of blocks; a piece that needed several gets one block of the whole size next
 * time, so a steady load allocates nothing.
 */
#include "nn/parts.h"

#include <omp.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "base/cpu.h"
#include "base/thread.h"
#include "nn/team.h"

#define FIRST_BLOCK (1u << 20)
#define HUGE_PAGE ((size_t)2 << 20)
#define SLAB_BYTES ((size_t)64 << 20) /* of addresses; memory only where written */

struct scratch_block {
    struct scratch_block *older;
    size_t capacity, used; /* of data */
    size_t before;         /* bytes in older blocks, so that marks are one number */
    char *data;
};

static const char *const precision_names[] = {"auto", "f32", "bf16", "int8"};

static dnnl_engine_t process_engine;
static dnnl_status_t engine_status;
static pthread_once_t engine_once = PTHREAD_ONCE_INIT;
static atomic_uint cores_busy; /* relaxed: a hint, nothing is published by it */

const char *vz_precision_name(enum vz_precision precision)
{
    return precision_names[precision];
}

bool vz_precision_parse(struct vz_slice word, enum vz_precision *out)
{
    for (size_t i = 0; i < VZ_COUNT_OF(precision_names); i++)
        if (vz_slice_is(word, precision_names[i])) {
            *out = (enum vz_precision)i;
            return true;
        }
    return false;
}

enum vz_status nn_fail_dnnl(struct vz_error *err, dnnl_status_t status, const char *what)
{
    if (status == dnnl_out_of_memory)
        return vz_fail(err, VZ_BUDGET, "no memory to %s", what);
    return vz_fail(err, VZ_INTERNAL, "oneDNN could not %s (status %d)", what, (int)status);
}

static void start_engine(void)
{
    /* What VIZSLA_CPU takes from our kernels it takes from oneDNN's, too. */
    const struct vz_cpu *cpu = vz_cpu();
    const char *cap = getenv("VIZSLA_CPU");
    if (cap && !cpu->avx512)
        dnnl_set_max_cpu_isa(cpu->avx2_fma ? dnnl_cpu_isa_avx2 : dnnl_cpu_isa_sse41);
    /* A context keeps its own, bounded; twice would be memory that no budget sees. */
    dnnl_set_primitive_cache_capacity(0);
    engine_status = dnnl_engine_create(&process_engine, dnnl_cpu, 0);
}

static enum vz_status choose_precision(enum vz_precision wish, enum vz_precision *out,
                                       struct vz_error *err)
{
    const struct vz_cpu *cpu = vz_cpu();
    *out = wish;
    if (wish == VZ_PRECISION_AUTO)
        *out = cpu->avx512_bf16 ? VZ_PRECISION_BF16 : VZ_PRECISION_F32;
    if (wish == VZ_PRECISION_BF16 && !cpu->avx512_bf16)
        return vz_fail(err, VZ_UNSUPPORTED,
                       "precision bf16 needs a processor with AVX512_BF16, "
                       "this one has %s; use auto or f32",
                       vz_cpu_describe());
    if (wish == VZ_PRECISION_INT8 && !cpu->avx512_vnni)
        return vz_fail(err, VZ_UNSUPPORTED,
                       "precision int8 needs a processor with AVX512_VNNI, "
                       "this one has %s; use auto or f32",
                       vz_cpu_describe());
    return VZ_OK;
}

enum vz_status vz_nn_new(const struct vz_nn_options *options, struct vz_nn **out,
                         struct vz_error *err)
{
    struct vz_nn_options defaults = {0};
    options = options ? options : &defaults;
    *out = NULL;
    enum vz_precision precision;
    enum vz_status status = choose_precision(options->precision, &precision, err);
    if (status != VZ_OK)
        return status;
    pthread_once(&engine_once, start_engine);
    if (engine_status != dnnl_success)
        return nn_fail_dnnl(err, engine_status, "start its CPU engine");
    struct vz_nn *nn = vz_calloc(1, sizeof *nn);
    nn->precision = precision;
    nn->threads = options->threads ? options->threads : vz_cpu_count();
    nn->no_packed_file = options->no_packed_file;
    nn->engine = process_engine;
    nn->kernels = nn_kernels();
    pthread_mutex_init(&nn->lock, NULL);
    *out = nn;
    return VZ_OK;
}

static void scratch_free(struct vz_scratch *scratch)
{
    while (scratch->block) {
        struct scratch_block *older = scratch->block->older;
        free(scratch->block->data);
        free(scratch->block);
        scratch->block = older;
    }
    dnnl_stream_destroy(scratch->stream);
    free(scratch);
}

void vz_nn_free(struct vz_nn *nn)
{
    if (!nn)
        return;
    nn_rooms_trim(nn);
    for (size_t i = 0; i < nn->plan_count; i++)
        nn_plan_free(nn->plans[i]);
    while (nn->idle) {
        struct vz_scratch *next = nn->idle->next;
        scratch_free(nn->idle);
        nn->idle = next;
    }
    while (nn->slabs) {
        struct weights_slab *older = nn->slabs->older;
        munmap(nn->slabs->base, nn->slabs->mapped);
        free(nn->slabs);
        nn->slabs = older;
    }
    nn_packed_free(nn);
    pthread_mutex_destroy(&nn->lock);
    free(nn);
}

enum vz_precision vz_nn_precision(const struct vz_nn *nn)
{
    return nn->precision;
}

size_t vz_nn_scratch_bytes(struct vz_nn *nn)
{
    pthread_mutex_lock(&nn->lock);
    size_t bytes = nn->scratch_bytes;
    pthread_mutex_unlock(&nn->lock);
    return bytes;
}

/* ---- weights ---- */

static bool slab_push(struct vz_nn *nn, size_t bytes)
{
    size_t mapped = VZ_MAX(bytes, SLAB_BYTES) + HUGE_PAGE;
    void *base = mmap(NULL, mapped, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (base == MAP_FAILED)
        return false;
    madvise(base, mapped, MADV_HUGEPAGE); /* a wish; refused is fine */
    struct weights_slab *slab = vz_calloc(1, sizeof *slab);
    slab->base = base;
    slab->mapped = mapped;
    slab->first = slab->used = HUGE_PAGE - (uintptr_t)base % HUGE_PAGE;
    slab->older = nn->slabs;
    nn->slabs = slab;
    return true;
}

void *nn_weights_take(struct vz_nn *nn, size_t bytes)
{
    if (bytes > SIZE_MAX / 4)
        return NULL;
    bytes = (bytes + 63) & ~(size_t)63;
    void *at = NULL;
    pthread_mutex_lock(&nn->lock);
    struct weights_slab *slab = nn->slabs;
    if ((slab && slab->mapped - slab->used >= bytes) || slab_push(nn, bytes)) {
        slab = nn->slabs;
        at = slab->base + slab->used;
        slab->used += bytes;
    }
    pthread_mutex_unlock(&nn->lock);
    return at;
}

/* Mapped, not malloc's: what is given back must leave the process. */
static bool room_size(struct nn_room *room, size_t bytes)
{
    if (room->data)
        munmap(room->data, room->bytes);
    room->data = NULL;
    room->bytes = bytes;
    void *data = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (data == MAP_FAILED)
        return false;
    madvise(data, bytes, MADV_HUGEPAGE);
    room->data = data;
    return true;
}

struct nn_room *nn_room_take(struct vz_nn *nn, size_t bytes)
{
    pthread_mutex_lock(&nn->lock);
    struct nn_room *room = nn->rooms;
    if (room)
        nn->rooms = room->next;
    pthread_mutex_unlock(&nn->lock);
    if (!room)
        room = vz_calloc(1, sizeof *room);
    if (room->bytes >= bytes || room_size(room, bytes))
        return room;
    free(room);
    return NULL;
}

void nn_room_give_back(struct vz_nn *nn, struct nn_room *room)
{
    pthread_mutex_lock(&nn->lock);
    room->next = nn->rooms;
    nn->rooms = room;
    pthread_mutex_unlock(&nn->lock);
}

void nn_rooms_trim(struct vz_nn *nn)
{
    pthread_mutex_lock(&nn->lock);
    struct nn_room *rooms = nn->rooms;
    nn->rooms = NULL;
    pthread_mutex_unlock(&nn->lock);
    while (rooms) {
        struct nn_room *next = rooms->next;
        munmap(rooms->data, rooms->bytes);
        free(rooms);
        rooms = next;
    }
}

/* ---- scratch ---- */

static bool block_push(struct vz_scratch *scratch, size_t capacity)
{
    void *data;
    if (posix_memalign(&data, 64, capacity) != 0)
        return false;
    struct scratch_block *block = vz_calloc(1, sizeof *block);
    block->data = data;
    block->capacity = capacity;
    block->older = scratch->block;
    block->before = scratch->block ? scratch->block->before + scratch->block->used : 0;
    scratch->block = block;
    pthread_mutex_lock(&scratch->nn->lock);
    scratch->nn->scratch_bytes += capacity;
    pthread_mutex_unlock(&scratch->nn->lock);
    return true;
}

static void block_pop(struct vz_scratch *scratch)
{
    struct scratch_block *block = scratch->block;
    scratch->block = block->older;
    pthread_mutex_lock(&scratch->nn->lock);
    scratch->nn->scratch_bytes -= block->capacity;
    pthread_mutex_unlock(&scratch->nn->lock);
    free(block->data);
    free(block);
}

void *vz_scratch_take(struct vz_scratch *scratch, size_t count, size_t bytes)
{
    size_t size;
    if (vz_mul_overflow(count, bytes, &size) || size > SIZE_MAX / 2)
        return NULL;
    size = (size + 63) & ~(size_t)63;
    struct scratch_block *block = scratch->block;
    if (!block || block->capacity - block->used < size) {
        size_t capacity = VZ_MAX(size, block ? block->capacity * 2 : FIRST_BLOCK);
        if (!block_push(scratch, capacity))
            return NULL;
        block = scratch->block;
    }
    void *at = block->data + block->used;
    block->used += size;
    return at;
}

size_t vz_scratch_mark(const struct vz_scratch *scratch)
{
    return scratch->block ? scratch->block->before + scratch->block->used : 0;
}

/* Blocks that hold nothing any more stay until the piece is done, so that a loop over layers does
 * not allocate in each round. Only the newest block is rewound into; older ones are left full. */
void vz_scratch_release(struct vz_scratch *scratch, size_t mark)
{
    struct scratch_block *block = scratch->block;
    if (block)
        block->used = mark > block->before ? mark - block->before : 0;
}

static struct vz_scratch *scratch_acquire(struct vz_nn *nn, unsigned threads, struct vz_error *err)
{
    pthread_mutex_lock(&nn->lock);
    struct vz_scratch *scratch = nn->idle;
    if (scratch)
        nn->idle = scratch->next;
    pthread_mutex_unlock(&nn->lock);
    if (!scratch) {
        scratch = vz_calloc(1, sizeof *scratch);
        scratch->nn = nn;
        dnnl_status_t made =
            dnnl_stream_create(&scratch->stream, nn->engine, dnnl_stream_default_flags);
        if (made != dnnl_success) {
            free(scratch);
            nn_fail_dnnl(err, made, "make a stream");
            return NULL;
        }
    }
    scratch->threads = threads;
    return scratch;
}

static void scratch_give_back(struct vz_scratch *scratch)
{
    struct vz_nn *nn = scratch->nn;
    if (scratch->block && scratch->block->older) {
        size_t whole = 0;
        while (scratch->block) {
            whole += scratch->block->capacity;
            block_pop(scratch);
        }
        block_push(scratch, whole); /* without memory the next piece starts small again */
    }
    if (scratch->block)
        scratch->block->used = 0;
    pthread_mutex_lock(&nn->lock);
    scratch->next = nn->idle;
    nn->idle = scratch;
    pthread_mutex_unlock(&nn->lock);
}

/* ---- cores ---- */

static unsigned cores_take(unsigned wish)
{
    unsigned busy = atomic_load_explicit(&cores_busy, memory_order_relaxed), take;
    do
        take = busy < wish ? wish - busy : 1;
    while (!atomic_compare_exchange_weak_explicit(&cores_busy, &busy, busy + take,
                                                  memory_order_relaxed, memory_order_relaxed));
    return take;
}

int nn_alone_begin(void)
{
    int before = omp_get_max_threads();
    omp_set_num_threads(1);
    return before;
}

void nn_alone_end(int before)
{
    omp_set_num_threads(before);
}

struct run {
    struct vz_nn *nn;
    const size_t *bounds;
    size_t chunks;
    unsigned inner; /* cores inside one piece */
    vz_nn_body body;
    void *arg;
    atomic_size_t next; /* piece to begin; relaxed, the team's end publishes results */
    atomic_bool failed;
    pthread_mutex_t lock; /* guards status and error */
    enum vz_status status;
    struct vz_error error;
};

static void run_pieces(void *arg, unsigned part)
{
    struct run *run = arg;
    struct vz_error error = {0};
    enum vz_status status = VZ_OK;
    struct vz_scratch *scratch = scratch_acquire(run->nn, run->inner, &error);
    if (!scratch)
        status = error.status;
    while (status == VZ_OK && !atomic_load_explicit(&run->failed, memory_order_relaxed)) {
        size_t i = atomic_fetch_add_explicit(&run->next, 1, memory_order_relaxed);
        if (i >= run->chunks)
            break;
        vz_scratch_release(scratch, 0);
        status = run->body(run->arg, scratch, run->bounds[i], run->bounds[i + 1], &error);
    }
    if (scratch)
        scratch_give_back(scratch);
    if (status == VZ_OK)
        return;
    atomic_store_explicit(&run->failed, true, memory_order_relaxed);
    pthread_mutex_lock(&run->lock);
    if (run->status == VZ_OK) {
        run->status = status;
        run->error = error;
    }
    pthread_mutex_unlock(&run->lock);
}

enum vz_status vz_nn_run(struct vz_nn *nn, const size_t *bounds, size_t chunks, vz_nn_body body,
                         void *arg, struct vz_error *err)
{
    if (chunks == 0)
        return VZ_OK;
    unsigned cores = cores_take(nn->threads);
    unsigned team = (unsigned)VZ_MIN(chunks, cores);
    struct run run = {.nn = nn, .bounds = bounds, .chunks = chunks, .body = body, .arg = arg};
    run.inner = team > 1 ? 1 : cores;
    pthread_mutex_init(&run.lock, NULL);
    int before = nn_alone_begin();
    nn_team_run(team, team - 1, run_pieces, &run);
    nn_alone_end(before);
    pthread_mutex_destroy(&run.lock);
    atomic_fetch_sub_explicit(&cores_busy, cores, memory_order_relaxed);
    if (run.status != VZ_OK && err)
        *err = run.error;
    return run.status;
}

static size_t one_row(void *arg, size_t i)
{
    return 1;
}

enum vz_status vz_nn_run_even(struct vz_nn *nn, size_t count, size_t most, vz_nn_body body,
                              void *arg, struct vz_error *err)
{
    return vz_nn_run_rows(nn, count, one_row, most, body, arg, err);
}

/* The number of pieces is a multiple of the cores, so that all end at about the same time. */
enum vz_status vz_nn_run_rows(struct vz_nn *nn, size_t count, size_t (*rows)(void *arg, size_t i),
                              size_t most_rows, vz_nn_body body, void *arg, struct vz_error *err)
{
    size_t total = 0, chunks = 0;
    if (count == 0)
        return VZ_OK;
    for (size_t i = 0; i < count; i++)
        total += rows(arg, i);
    size_t wanted = (total + most_rows - 1) / most_rows;
    wanted = (wanted + nn->threads - 1) / nn->threads * nn->threads;
    size_t each = VZ_MAX((total + wanted - 1) / wanted, 1), held = 0;
    size_t *bounds = vz_try_alloc(count + 1, sizeof *bounds);
    if (!bounds)
        return vz_fail(err, VZ_BUDGET, "no memory for %zu inputs", count);
    bounds[0] = 0;
    for (size_t i = 0; i < count; i++) {
        size_t here = rows(arg, i);
        /* An item goes where more of it fits. */
        if (held && held + here / 2 > each) {
            bounds[++chunks] = i;
            held = 0;
        }
        held += here;
    }
    bounds[++chunks] = count;
    enum vz_status status = vz_nn_run(nn, bounds, chunks, body, arg, err);
    free(bounds);
    return status;
}

struct split {
    void (*range)(void *arg, size_t first, size_t last, unsigned part);
    void *arg;
    size_t count, grain, grains;
    unsigned parts;
};

static void split_part(void *arg, unsigned i)
{
    const struct split *s = arg;
    s->range(s->arg, VZ_MIN(s->grains * i / s->parts * s->grain, s->count),
             VZ_MIN(s->grains * (i + 1) / s->parts * s->grain, s->count), i);
}

void vz_nn_split(struct vz_scratch *scratch, size_t count, size_t grain,
                 void (*range)(void *arg, size_t first, size_t last, unsigned part), void *arg)
{
    struct split s = {range, arg, count, grain, (count + grain - 1) / grain, 0};
    s.parts = (unsigned)VZ_MIN(s.grains, (size_t)scratch->threads);
    nn_team_run(s.parts, scratch->threads - 1, split_part, &s);
}
