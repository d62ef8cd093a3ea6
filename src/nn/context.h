/* nn/context.h - where a model computes: precision, threads, primitives, scratch memory.
 *
 * A context belongs to one model (or to several that share a precision). It keeps oneDNN's compiled
 * primitives (at most VZ_NN_MAX_PLANS, the least recently used goes first) and a pool of scratch
 * arenas, one for each thread that computes at the moment.
 *
 * Not for: what is computed (linear.h, encoder.h), model files (weights.h).
 *
 * Threads: everything here may be called from any thread. A call takes the cores that no other
 * call of any context is using, and at least one: a lone question uses the whole machine, many
 * questions at once use a core each instead of fighting for them.
 *
 *     vz_nn_new(&(struct vz_nn_options){.precision = VZ_PRECISION_AUTO}, &nn, &err);
 *     vz_nn_run(nn, bounds, chunks, body, model, &err);
 *     vz_nn_free(nn);
 */
#ifndef VZ_NN_CONTEXT_H
#define VZ_NN_CONTEXT_H

#include "base/mem.h"
#include "base/status.h"

/* AUTO is bf16 where the processor multiplies it, else f32. INT8: weights a scale an output
 * channel, activations a scale and a zero a row, both measured at run time. */
enum vz_precision { VZ_PRECISION_AUTO, VZ_PRECISION_F32, VZ_PRECISION_BF16, VZ_PRECISION_INT8 };

/* "auto", "f32", "bf16", "int8". Static storage. */
const char *vz_precision_name(enum vz_precision precision);
/* False for any other word. */
bool vz_precision_parse(struct vz_slice word, enum vz_precision *out);

struct vz_nn_options {
    enum vz_precision precision;
    unsigned threads;    /* 0: all cores this process may use */
    bool no_packed_file; /* neither read nor write packed weights beside the model (packed.h) */
};

#define VZ_NN_MAX_PLANS 256

struct vz_nn;

/* Errors: VZ_UNSUPPORTED (the processor has no such arithmetic; the text names it), VZ_INTERNAL
 * (oneDNN does not start). NULL options: the defaults. */
enum vz_status vz_nn_new(const struct vz_nn_options *options, struct vz_nn **out,
                         struct vz_error *err);
/* Nothing made with the context may be in use. NULL is allowed. */
void vz_nn_free(struct vz_nn *nn);
/* Never AUTO. */
enum vz_precision vz_nn_precision(const struct vz_nn *nn);
/* Bytes of scratch memory held now, for the memory budget. */
size_t vz_nn_scratch_bytes(struct vz_nn *nn);

/* ---- computing --------------------------------------------------------------------------- */

/* One thread's working memory. Everything taken from it dies when the body returns. */
struct vz_scratch;

/* 64-byte aligned, not zeroed. NULL without memory. */
void *vz_scratch_take(struct vz_scratch *scratch, size_t count, size_t bytes);
/* Gives back everything taken after `mark` was asked for. */
size_t vz_scratch_mark(const struct vz_scratch *scratch);
void vz_scratch_release(struct vz_scratch *scratch, size_t mark);

typedef enum vz_status (*vz_nn_body)(void *arg, struct vz_scratch *scratch, size_t first,
                                     size_t last, struct vz_error *err);

/* Cuts items 0..bounds[chunks] into `chunks` pieces [bounds[i], bounds[i + 1]) and runs `body` on
 * each: pieces in parallel when there are several, all cores inside the piece when there is one.
 * bounds[0] is 0. Blocks until all are done. The first failure is what is returned; pieces not yet
 * begun are left out then. `body` may be called from several threads at once. */
enum vz_status vz_nn_run(struct vz_nn *nn, const size_t *bounds, size_t chunks, vz_nn_body body,
                         void *arg, struct vz_error *err);

/* The same with pieces chosen here: at most `most` items each, or about `most_rows` rows (an item
 * with more is a piece of its own), all cores busy to the end where there are enough items. */
enum vz_status vz_nn_run_even(struct vz_nn *nn, size_t count, size_t most, vz_nn_body body,
                              void *arg, struct vz_error *err);
enum vz_status vz_nn_run_rows(struct vz_nn *nn, size_t count, size_t (*rows)(void *arg, size_t i),
                              size_t most_rows, vz_nn_body body, void *arg, struct vz_error *err);

/* Inside a body: splits 0..count over the cores this piece has and runs `range` on each part.
 * Parts are multiples of `grain` but the last; `part` is their number. */
void vz_nn_split(struct vz_scratch *scratch, size_t count, size_t grain,
                 void (*range)(void *arg, size_t first, size_t last, unsigned part), void *arg);

#endif
