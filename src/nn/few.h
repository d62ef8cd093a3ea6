/* nn/few.h - inside the room: multiplications of a few rows, as one short question has.
 *
 * oneDNN's kernel for ten rows waits for memory: nothing asks for weights before they are needed.
 * This one reads oneDNN's packed layout, asks ahead, and writes where the result belongs.
 */
#ifndef VZ_NN_FEW_H
#define VZ_NN_FEW_H

#include "nn/parts.h"

#define NN_FEW_ROWS 28

/* Of outputs [first, first + count), multiples of 64. */
struct nn_few {
    enum vz_precision precision;
    const void *x; /* [rows, in] f32, bf16 or u8 */
    size_t rows, in;
    const void *weights; /* the layer's, packed */
    const float *bias;   /* [out]; not in INT8 */
    void *y;             /* [rows, y_ld] f32; INT8: s32 */
    size_t y_ld, first, count;
    bool add; /* y += instead of y =; not in INT8 */
};

/* Whether this processor can, and the layout is the one that is known: blocks of 64 outputs, in
 * them rows of 64 groups of 1, 2 or 4 inputs. */
bool nn_few_fits(enum vz_precision precision, const dnnl_memory_desc_t *layout, size_t in,
                 size_t out);
void nn_few_run(const struct nn_few *job);

#endif
