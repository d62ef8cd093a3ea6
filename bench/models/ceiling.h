/* The multiplications of a model and nothing else: what oneDNN reaches for its shapes. */
#ifndef VZ_BENCH_MODELS_CEILING_H
#define VZ_BENCH_MODELS_CEILING_H

#include "nn/context.h"

/* One multiplication [rows, in] x [in, out], `times` over, each time with weights of its own. */
struct ceiling_shape {
    size_t rows, in, out, times;
};

struct ceiling;
/* NULL when oneDNN has no such arithmetic here. Inner threads by omp_set_num_threads before. */
struct ceiling *ceiling_new(enum vz_precision precision, const struct ceiling_shape *shapes,
                            size_t count);
/* All of them once, in a model's order (the first of each, the second of each, ...). */
void ceiling_run(struct ceiling *ceiling);
void ceiling_free(struct ceiling *ceiling);

#endif
