/* nn/torchscript.h - a traced and frozen PyTorch module as a graph of calls, read and never run.
 *
 * torch.jit.save writes a zip: `code/__torch__/....py` holds forward() as straight-line text, one
 * call behind another, `constants.pkl` the tensors that it names CONSTANTS.c0, c1, ... This reads
 * both and gives the graph that leads to the result; who knows what the module should be
 * (embed/traced.h) finds the weights in it. Nothing is executed: a file with branches, loops,
 * submodules, attributes or quantised weights is refused by name.
 * Source: torch/csrc/jit/serialization (python_print.cpp, export_module.cpp, pickler.cpp).
 *
 * Files are untrusted; a bad one is VZ_CORRUPT or VZ_UNSUPPORTED with a text that says where.
 * Threads: an opened module may be read from any thread. Nodes and views live until it is closed.
 *
 *     vz_torchscript_open("traced_pytorch_model.pt", &module, &err);
 *     node = vz_torchscript_result(module);
 *     vz_torchscript_close(module);
 */
#ifndef VZ_NN_TORCHSCRIPT_H
#define VZ_NN_TORCHSCRIPT_H

#include "nn/weights.h"

enum vz_script_node_kind {
    VZ_NODE_INPUT,    /* a parameter of forward(): name */
    VZ_NODE_CONSTANT, /* a tensor of the file */
    VZ_NODE_INT,
    VZ_NODE_FLOAT,
    VZ_NODE_WORD, /* True, False, None, a string: name */
    VZ_NODE_LIST, /* [..] and (..): args */
    VZ_NODE_CALL  /* name ("torch.linear"), args; keyword arguments stand behind, without names */
};

struct vz_script_node {
    enum vz_script_node_kind kind;
    struct vz_slice name;
    int64_t integer;
    double number;
    const struct vz_tensor_view *tensor;
    const struct vz_script_node **args;
    size_t arg_count;
};

struct vz_torchscript;

/* Errors: VZ_NOT_FOUND, VZ_CORRUPT, VZ_UNSUPPORTED, VZ_LIMIT, VZ_BUDGET, VZ_IO. */
enum vz_status vz_torchscript_open(const char *path, struct vz_torchscript **out,
                                   struct vz_error *err);
/* NULL is allowed. */
void vz_torchscript_close(struct vz_torchscript *module);
/* What forward() returns. */
const struct vz_script_node *vz_torchscript_result(const struct vz_torchscript *module);

#endif
