/* nn/packed.h - packed weights in a file beside the model, so that the next process need not pack.
 *
 * FOLDER/.packed/PRECISION-ISA.vzp holds what packing made (docs/format/packed.md). Later opens map
 * it shared and read-only: pages come in when they are first used, and every process that has the
 * model open uses the same ones. The file is a cache: whatever is wrong with it (another model,
 * another oneDNN, cut short, a read-only folder, a full disk), the model opens as if there were
 * none, and a new one replaces it where that can be written.
 *
 * Threads: begin and end by the thread that makes the model.
 *
 *     vz_nn_new(options, &nn, &err);
 *     vz_packed_begin(nn, folder, &weights, 1);
 *     ... vz_encoder_new, vz_linear_new, vz_table_init ...
 *     vz_packed_end(nn, status == VZ_OK);
 */
#ifndef VZ_NN_PACKED_H
#define VZ_NN_PACKED_H

#include "nn/context.h"
#include "nn/weights.h"

#define VZ_PACKED_FOLDER ".packed"

/* Maps the folder's file when it was made of these weight files (size, time of change and samples
 * of the contents) for this context's precision and processor; otherwise notes what will be packed.
 * A context whose options say `no_packed_file` does nothing. Never fails. */
void vz_packed_begin(struct vz_nn *nn, const char *folder, struct vz_weights *const *weights,
                     size_t count);
/* `made`: the model is whole. Writes what was packed, maps it in place of the memory it was packed
 * into, and gives the weight files' pages back. A thread waits for the disk and gives the file its
 * name; vz_nn_free waits for that thread. */
void vz_packed_end(struct vz_nn *nn, bool made);
/* The packed weights are pages of a file, not of this process. */
bool vz_packed_shared(const struct vz_nn *nn);

#endif
