/* nn/weights.h - named tensors from model files, mapped and not copied.
 *
 * Formats: safetensors (one file, or a folder with model.safetensors.index.json and its shards) and
 * PyTorch's zip (pytorch_model.bin), whose pickle is read by a machine that can build tensors and
 * dictionaries and nothing else: every other opcode or global is refused by name.
 * torch.save's older stream (before torch 1.6) is read as well; sharded .bin folders too. A tensor
 * that torch saved transposed is put in order once, in memory of the set's own.
 * Not for: what the tensors mean (src/embed), computing with them (the rest of src/nn).
 *
 * Files are untrusted: every offset, size and shape is checked against the file before a view is
 * given; a bad file is VZ_CORRUPT with a text that says what and where, never a crash.
 *
 * Threads: an opened set may be read from any thread. Views live until vz_weights_close. The pages
 * are shared with every process that maps the same file.
 *
 *     vz_weights_open("models/clip", &weights, &err);
 *     if (vz_weights_find(weights, "visual_projection.weight", &view)) ...
 *     vz_weights_close(weights);
 */
#ifndef VZ_NN_WEIGHTS_H
#define VZ_NN_WEIGHTS_H

#include "base/mem.h"
#include "base/status.h"

enum vz_dtype {
    VZ_F32, VZ_F16, VZ_BF16, VZ_F64, VZ_I64, VZ_I32, VZ_I16, VZ_I8, VZ_U8, VZ_BOOL
};

#define VZ_TENSOR_MAX_RANK 8

struct vz_tensor_view {
    struct vz_slice name;
    enum vz_dtype dtype;
    unsigned rank;                    /* 0: a scalar */
    uint64_t dims[VZ_TENSOR_MAX_RANK]; /* row-major, contiguous */
    uint64_t count;                   /* product of dims */
    const void *data;                 /* count elements; alignment is the element's size or less */
};

struct vz_weights;

/* `path`: a file (*.safetensors, *.bin, *.pt), or a folder in Hugging Face layout: model.safetensors,
 * model.safetensors.index.json, pytorch_model.bin, pytorch_model.bin.index.json, in this order. The
 * format is told by the first bytes. A member "state_dict" of a checkpoint is taken. Errors: VZ_NOT_FOUND, VZ_CORRUPT,
 * VZ_UNSUPPORTED (a pickle that wants to run something; the text names it), VZ_IO. */
enum vz_status vz_weights_open(const char *path, struct vz_weights **out, struct vz_error *err);
void vz_weights_close(struct vz_weights *weights);
size_t vz_weights_count(const struct vz_weights *weights);
const struct vz_tensor_view *vz_weights_at(const struct vz_weights *weights, size_t i);
/* NULL when there is no tensor of that name. */
const struct vz_tensor_view *vz_weights_find(const struct vz_weights *weights, const char *name);
/* Bytes of tensor data in all files. */
uint64_t vz_weights_bytes(const struct vz_weights *weights);

/* Elements [first, first + count) as f32. F32, F16, BF16, F64 and integers. SIMD where it pays. */
void vz_tensor_read_f32(const struct vz_tensor_view *view, uint64_t first, uint64_t count,
                        float *out);
size_t vz_dtype_bytes(enum vz_dtype dtype);
const char *vz_dtype_name(enum vz_dtype dtype); /* "F32", as safetensors writes them */

#endif
