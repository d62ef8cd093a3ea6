/* nn/parts.h - inside the room: what the files of src/nn share. */
#ifndef VZ_NN_PARTS_H
#define VZ_NN_PARTS_H

#include <oneapi/dnnl/dnnl.h>
#include <pthread.h>
#include <stdatomic.h>

#include "nn/context.h"
#include "nn/kernels.h"

#define NN_PLAN_MEMORIES 2

/* A compiled multiplication [rows, in] x [in, out] for one shape and precision, on one thread.
 * Immutable after it is made; `used` and `refs` are guarded by the context's lock. */
struct nn_plan {
    struct nn_plan_key {
        size_t rows, in, out;
        size_t whole_out; /* of the layer, when this is a slice of it; a layout's strides */
        enum vz_precision precision;
        bool add_to_output;
    } key;
    dnnl_primitive_t primitive;
    dnnl_memory_desc_t src, weights, bias, dst, scratchpad;
    struct nn_memories { /* oneDNN's handles, for who finds a set free; others make their own */
        atomic_flag taken;
        dnnl_memory_t src, weights, bias, dst, scratchpad; /* all or none */
    } memories[NN_PLAN_MEMORIES];
    uint64_t used;
    unsigned refs;
};

/* Memory for packed weights, from `first` (a huge page's border) on. */
struct weights_slab {
    struct weights_slab *older;
    char *base; /* the mapping */
    size_t mapped, first, used;
};

/* The weights' layout for one shape, asked for once. */
struct nn_layout {
    size_t in, out;
    enum vz_precision precision;
    dnnl_memory_desc_t layout;
};
#define NN_MAX_LAYOUTS 32

struct nn_packed;

struct vz_nn {
    enum vz_precision precision;
    unsigned threads;
    bool no_packed_file;
    struct nn_packed *packed; /* set and cleared while nothing else uses the context */
    dnnl_engine_t engine;     /* the process's one CPU engine; borrowed */
    const struct nn_kernels *kernels;

    pthread_mutex_t lock; /* guards all below; not held while anything is computed or compiled */
    struct nn_plan *plans[VZ_NN_MAX_PLANS];
    size_t plan_count;
    uint64_t clock;
    struct vz_scratch *idle; /* list */
    struct weights_slab *slabs;
    struct nn_layout layouts[NN_MAX_LAYOUTS];
    size_t layout_count;
    struct nn_room *rooms; /* list, idle */
    size_t scratch_bytes;
};

struct vz_scratch {
    struct vz_nn *nn;
    unsigned threads; /* cores this piece may use */
    dnnl_stream_t stream;
    struct scratch_block *block; /* newest; older ones behind it until the piece is done */
    struct vz_scratch *next;
};

/* Room for packed weights, 64-byte aligned, zeroed, on huge pages where the system gives them: a
 * short text reads all weights once and does little else. Lives until vz_nn_free. NULL without
 * memory. */
void *nn_weights_take(struct vz_nn *nn, size_t bytes);
/* The same under a name that says all its bytes depend on ("": none). *found: they are there
 * already, from a file (packed.h), and must not be written to. */
void *nn_packed_take(struct vz_nn *nn, const char *name, size_t bytes, bool *found);
void nn_packed_free(struct vz_nn *nn);
/* Memory for packing, from the pieces given back before. NULL without memory. */
struct nn_room {
    struct nn_room *next;
    size_t bytes;
    char *data;
};
struct nn_room *nn_room_take(struct vz_nn *nn, size_t bytes);
void nn_room_give_back(struct vz_nn *nn, struct nn_room *room);
/* Frees those not in use. */
void nn_rooms_trim(struct vz_nn *nn);

/* oneDNN on one thread between these two, for the calling thread only. */
int nn_alone_begin(void);
void nn_alone_end(int before);

/* "oneDNN: WHAT: out of memory" and so on; VZ_BUDGET when memory is gone, else VZ_INTERNAL. */
enum vz_status nn_fail_dnnl(struct vz_error *err, dnnl_status_t status, const char *what);

/* The weights' layout that multiplications of this shape want, whatever the number of rows. */
enum vz_status nn_weights_layout(struct vz_nn *nn, size_t in, size_t out,
                                 enum vz_precision precision, dnnl_memory_desc_t *layout,
                                 struct vz_error *err);
/* Finds or compiles; give back with nn_plan_release. `layout` is the weights' own. */
enum vz_status nn_plan_get(struct vz_nn *nn, const struct nn_plan_key *key,
                           const dnnl_memory_desc_t *layout, struct nn_plan **out,
                           struct vz_error *err);
void nn_plan_release(struct vz_nn *nn, struct nn_plan *plan);
void nn_plan_free(struct nn_plan *plan);
/* Makes or frees the handles of one set, without data. */
dnnl_status_t nn_memories_init(struct nn_memories *m, const struct nn_plan *plan,
                               dnnl_engine_t engine);
void nn_memories_deinit(struct nn_memories *m);

#endif
