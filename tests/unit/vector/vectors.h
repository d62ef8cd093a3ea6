/* Shared by the vector tests: seeded rows, an exact answer to compare with, recall. */
#ifndef VZ_TEST_VECTORS_H
#define VZ_TEST_VECTORS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/text.h"
#include "vector/hnsw.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define SEED 20261120u

struct vectors {
    float *rows;
    uint32_t count, dims;
};

static inline void unit_length(float *row, uint32_t dims)
{
    double sum = 0;
    for (uint32_t d = 0; d < dims; d++)
        sum += (double)row[d] * row[d];
    for (uint32_t d = 0; d < dims; d++)
        row[d] = (float)(row[d] / sqrt(sum));
}

/* Clusters of normal deviates; unit length when asked (dot_product and cosine want it), otherwise
 * of lengths between 0.5 and 2. */
static inline struct vectors vectors_new(uint32_t count, uint32_t dims, bool unit, uint64_t seed)
{
    print_message("seed %llu\n", (unsigned long long)seed);
    enum { CENTRES = 50 };
    struct vectors v = {vz_try_alloc((size_t)count * dims, sizeof(float)), count, dims};
    assert_non_null(v.rows);
    float *centres = vz_try_alloc((size_t)CENTRES * dims, sizeof(float));
    uint64_t state = 77; /* queries and rows of one test come from the same clusters */
    for (size_t i = 0; i < (size_t)CENTRES * dims; i++)
        centres[i] = (float)vz_rng_normal(&state);
    state = seed;
    for (uint32_t r = 0; r < count; r++) {
        float *row = v.rows + (size_t)r * dims;
        const float *centre = centres + (vz_rng_next(&state) % CENTRES) * dims;
        for (uint32_t d = 0; d < dims; d++)
            row[d] = centre[d] + (float)vz_rng_normal(&state);
        unit_length(row, dims);
        float length = unit ? 1.0f : 0.5f + 1.5f * (float)vz_rng_unit(&state);
        for (uint32_t d = 0; d < dims; d++)
            row[d] *= length;
    }
    free(centres);
    return v;
}

static inline struct vz_hnsw_options options_of(const struct vectors *v, enum vz_similarity kind)
{
    return (struct vz_hnsw_options){
        .similarity = kind, .dims = v->dims, .rows = v->rows, .max_rows = 1u << 20};
}

static inline struct vz_hnsw *graph_of(const struct vz_hnsw_options *options, uint32_t count)
{
    struct vz_hnsw *graph;
    struct vz_error err = {0};
    if (vz_hnsw_new(options, &graph, &err) != VZ_OK)
        fail_msg("%s", err.text);
    for (uint32_t row = 0; row < count; row++)
        if (vz_hnsw_insert(graph, row, &err) != VZ_OK)
            fail_msg("%s", err.text);
    assert_int_equal(vz_hnsw_count(graph), count);
    return graph;
}

static inline void assert_valid(const struct vz_hnsw *graph)
{
    struct vz_error err = {0};
    if (vz_hnsw_validate(graph, &err) != VZ_OK)
        fail_msg("%s", err.text);
}

/* Mean recall@k of the graph over the queries, against an exact scan of rows [0, count). Asserts
 * on the way that what is found is sorted and carries the exact scan's own similarities. */
static inline double recall_of(const struct vz_hnsw *graph, const struct vz_hnsw_options *options,
                               uint32_t count, const struct vectors *queries,
                               struct vz_hnsw_search search)
{
    struct vz_near *got = vz_try_alloc(search.k, sizeof *got);
    struct vz_near *want = vz_try_alloc(search.k, sizeof *want);
    uint64_t hits = 0, wanted = 0;
    for (uint32_t q = 0; q < queries->count; q++) {
        uint32_t found, exact;
        search.query = queries->rows + (size_t)q * queries->dims;
        assert_int_equal(vz_hnsw_search(graph, &search, got, &found, NULL, NULL), VZ_OK);
        assert_int_equal(vz_exact_range(options, &search, 0, count, want, &exact, NULL), VZ_OK);
        for (uint32_t i = 0; i + 1 < found; i++)
            assert_true(
                got[i].similarity > got[i + 1].similarity ||
                (got[i].similarity == got[i + 1].similarity && got[i].row < got[i + 1].row));
        for (uint32_t i = 0; i < exact; i++)
            for (uint32_t j = 0; j < found; j++)
                if (got[j].row == want[i].row) {
                    assert_true(got[j].similarity == want[i].similarity);
                    hits++;
                }
        wanted += exact;
    }
    free(got);
    free(want);
    return wanted ? (double)hits / (double)wanted : 1;
}

#endif
