/* nn/linear.h - y = x W^T + b with weights packed once for the processor.
 *
 * Weights come as files hold them, [out, in] row by row, in any dtype; several of the same `in` can
 * be packed as one (query, key, value). Biases stay f32. Results are f32.
 *
 * Threads: immutable after it is made. Not for: what is between two of them (kernels.h).
 */
#ifndef VZ_NN_LINEAR_H
#define VZ_NN_LINEAR_H

#include "nn/context.h"
#include "nn/kernels.h"
#include "nn/weights.h"

struct vz_linear;

struct vz_linear_part {
    const struct vz_tensor_view *weight; /* [out, in], or any shape whose rest multiplies to in */
    const struct vz_tensor_view *bias;   /* [out]; NULL: none */
    float scale;                         /* of both; 0 means 1 */
};

/* `precision` AUTO: the context's. Views are not kept. Errors: VZ_CORRUPT (shapes do not fit, or a
 * number is not finite; the text names the tensor), VZ_UNSUPPORTED (`out` is no multiple of 16; any
 * in F32), VZ_BUDGET, VZ_INTERNAL. */
enum vz_status vz_linear_new(struct vz_nn *nn, enum vz_precision precision, size_t in,
                             const struct vz_linear_part *parts, size_t count,
                             struct vz_linear **out, struct vz_error *err);
/* The packed weights' memory goes with the context. NULL is allowed. */
void vz_linear_free(struct vz_linear *linear);
/* Width of input rows: `in` rounded up to 16; what is in the added columns must be finite. */
size_t vz_linear_in(const struct vz_linear *linear);
size_t vz_linear_out(const struct vz_linear *linear);
enum vz_precision vz_linear_precision(const struct vz_linear *linear);
/* Packed weights, biases and scales. */
size_t vz_linear_bytes(const struct vz_linear *linear);

/* Numbers of rows are rounded up so that few primitives are compiled; every buffer of rows given to
 * vz_linear_run must hold this many. What is in the added rows is overwritten. */
size_t vz_linear_rows(size_t rows);

/* Takes room for rows as `precision` stores them. False without memory. */
bool vz_act_take(struct vz_scratch *scratch, enum vz_precision precision, size_t rows, size_t width,
                 struct nn_act *act);

/* x [rows, in] -> y [rows, out]; add: y += instead of y =. Errors: VZ_BUDGET, VZ_INTERNAL. */
enum vz_status vz_linear_run(const struct vz_linear *linear, struct vz_scratch *scratch,
                             struct nn_act x, size_t rows, float *y, bool add,
                             struct vz_error *err);
/* y = f(x W^T + b) in x's precision, through `line` [rows, out] f32 (y.data itself when f32). */
enum vz_status vz_linear_activate(const struct vz_linear *linear, struct vz_scratch *scratch,
                                  struct nn_act x, size_t rows, enum vz_activation f, float *line,
                                  struct nn_act y, struct vz_error *err);
/* f32 rows in, f32 rows out, whatever the linear's precision: for the small layers at the ends. */
enum vz_status vz_linear_floats(const struct vz_linear *linear, struct vz_scratch *scratch,
                                float *x, size_t rows, float *y, struct vz_error *err);

#endif
