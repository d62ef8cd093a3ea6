/* nn/weights_parts.h - inside the room: what the files weights*.c share.
 *
 * weights.c maps files and keeps the list of views; weights_safetensors.c and weights_torch.c read
 * one format each and add views; weights_pickle.c is the machine that runs torch's pickles.
 */
#ifndef VZ_NN_WEIGHTS_PARTS_H
#define VZ_NN_WEIGHTS_PARTS_H

#include "base/mem.h"
#include "base/strmap.h"
#include "nn/weights.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "model files are little-endian");

struct nn_weights_file {
    char *path; /* for messages */
    const unsigned char *bytes;
    size_t size;
    int64_t changed_ns; /* its time of change, since 1970 */
};

struct vz_weights {
    struct nn_weights_file *files;
    size_t file_count;
    struct vz_tensor_view *views;
    size_t count, capacity;
    struct vz_strmap index; /* name -> position in views */
    struct vz_arena arena;  /* the names */
    void **copies;          /* tensors that a file holds transposed, put in order */
    size_t copy_count;
    uint64_t bytes;
};

/* Appends a view; its name is copied. VZ_CORRUPT when the name is there already. */
enum vz_status nn_weights_add(struct vz_weights *weights, const struct nn_weights_file *file,
                              const struct vz_tensor_view *view, struct vz_error *err);
/* Keeps a block made by malloc until close. */
void nn_weights_keep(struct vz_weights *weights, void *block);

/* Gives back the pages of the files; they come again when they are read. */
void nn_weights_drop_pages(struct vz_weights *weights);

/* Adds the tensors of a file of at least 16 bytes, of whichever format. The bytes stay the
 * caller's and must outlive the views. */
enum vz_status nn_weights_read(struct vz_weights *weights, const struct nn_weights_file *file,
                               struct vz_error *err);
enum vz_status nn_weights_read_safetensors(struct vz_weights *weights,
                                           const struct nn_weights_file *file,
                                           struct vz_error *err);
bool nn_weights_is_torch_zip(const struct nn_weights_file *file);
bool nn_weights_is_torch_legacy(const struct nn_weights_file *file);
enum vz_status nn_weights_read_torch_zip(struct vz_weights *weights,
                                         const struct nn_weights_file *file, struct vz_error *err);
enum vz_status nn_weights_read_torch_legacy(struct vz_weights *weights,
                                            const struct nn_weights_file *file,
                                            struct vz_error *err);

/* The program of a traced module (torchscript.h), as it lies in the zip. */
struct nn_traced_text {
    struct vz_slice packed;
    bool is_deflated;
    uint64_t bytes; /* of the text itself */
};
/* Maps the file and adds its constants as tensors "c0", "c1", ...; the text is borrowed from it.
 * VZ_UNSUPPORTED when it is another kind of zip, or not frozen. */
enum vz_status nn_weights_open_traced(const char *path, struct vz_weights **out,
                                      struct nn_traced_text *text, struct vz_error *err);
enum vz_status nn_weights_read_traced(struct vz_weights *weights,
                                      const struct nn_weights_file *file,
                                      struct nn_traced_text *text, struct vz_error *err);

/* ---- what a pickle can build --------------------------------------------------------------- */

enum nn_pickle_kind {
    NN_PICKLE_NONE,
    NN_PICKLE_BOOL,
    NN_PICKLE_INT,
    NN_PICKLE_FLOAT,
    NN_PICKLE_TEXT,
    NN_PICKLE_BYTES,
    NN_PICKLE_TUPLE,
    NN_PICKLE_LIST,
    NN_PICKLE_DICT,   /* and collections.OrderedDict */
    NN_PICKLE_GLOBAL, /* one of the few that are allowed */
    NN_PICKLE_STORAGE,
    NN_PICKLE_TENSOR
};

struct nn_pickle_value;

struct nn_pickle_storage {
    enum vz_dtype dtype;
    struct vz_slice key;
    uint64_t count; /* elements */
};

struct nn_pickle_tensor {
    const struct nn_pickle_storage *storage;
    uint64_t offset; /* elements */
    unsigned rank;
    uint64_t dims[VZ_TENSOR_MAX_RANK], strides[VZ_TENSOR_MAX_RANK];
    uint64_t count;
};

struct nn_pickle_items {
    struct nn_pickle_value **at; /* a dict's are key, value, key, value.. in order of insertion */
    size_t count, capacity;
};

struct nn_pickle_value {
    enum nn_pickle_kind kind;
    union {
        bool truth;
        int64_t integer;
        double number;
        struct vz_slice text; /* borrowed from the file */
        struct nn_pickle_items items;
        int global; /* the pickle's own */
        struct nn_pickle_storage storage;
        struct nn_pickle_tensor tensor;
    };
};

/* Runs the pickle at the start of `code`; *used is its length. Values live in the arena. `path` is
 * for messages. VZ_UNSUPPORTED (an opcode or global that is refused, by name), VZ_CORRUPT,
 * VZ_LIMIT (more values than any model needs). */
enum vz_status nn_pickle_run(struct vz_slice code, const char *path, struct vz_arena *arena,
                             struct nn_pickle_value **result, size_t *used, struct vz_error *err);
/* The value of a dictionary's text key; NULL when there is none or it is no dictionary. */
struct nn_pickle_value *nn_pickle_member(const struct nn_pickle_value *dict, const char *key);

#endif
