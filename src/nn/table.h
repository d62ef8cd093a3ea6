/* nn/table.h - rows to look up by number: embeddings of tokens.
 *
 * In F32 rows are read from the model's file in place; in BF16 and INT8 they are packed once, half
 * and a quarter of the size (INT8 with a scale a row). Threads: immutable after it is made.
 */
#ifndef VZ_NN_TABLE_H
#define VZ_NN_TABLE_H

#include "nn/context.h"
#include "nn/weights.h"

struct vz_table {
    const struct vz_tensor_view *view; /* F32; must live as long as the table */
    const uint16_t *halves;            /* BF16 */
    const int8_t *bytes;               /* INT8 */
    const float *scales;               /* [rows], INT8 */
    size_t rows, width;
};

/* view: rows * width numbers. What was packed goes with the context. Errors: VZ_CORRUPT (a number
 * that is not finite), VZ_UNSUPPORTED (a width that is no multiple of 16), VZ_BUDGET. */
enum vz_status vz_table_init(struct vz_nn *nn, const struct vz_tensor_view *view, size_t rows,
                             size_t width, struct vz_table *out, struct vz_error *err);
/* out[width]; row < rows. */
void vz_table_read(const struct vz_table *table, size_t row, float *out);
/* Memory of its own. */
size_t vz_table_bytes(const struct vz_table *table);

/* The view's numbers as f32, all of them, kept by the context (positions, a class's row). Errors:
 * VZ_BUDGET. */
enum vz_status vz_floats_init(struct vz_nn *nn, const struct vz_tensor_view *view,
                              const float **out, struct vz_error *err);

#endif
