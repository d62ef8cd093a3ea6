/* A store with one field of vectors in clusters: filled, changed to another kind of index, asked.
 */
#ifndef TEST_STORE_KINDS_H
#define TEST_STORE_KINDS_H

#include "store_support.h"

#include "store/generation.h"
#include "store/index.h"

#define DIMS 96
#define K 10
#define QUERIES 40
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define DOCS 2600
#else
#define DOCS 8000
#endif

/* Enough for a mean, of which kinds of few bits are coded. */
#define FEWER VZ_MAX(DOCS / 2, 2100)
#define SEED 11

/* 40 clusters around a common mean, as embeddings lie. */
static inline void vector_of(uint64_t n, float *out)
{
    float mean[DIMS], centre[DIMS], noise[DIMS];
    random_vector(SEED, mean, DIMS);
    random_vector(SEED + 100 + n % 40, centre, DIMS);
    random_vector(SEED * 1000003 + n, noise, DIMS);
    for (int i = 0; i < DIMS; i++)
        out[i] = 1.2f * mean[i] + 0.7f * centre[i] + 0.6f * noise[i];
}

static inline void put_docs(struct vz_index *index, int first, int last)
{
    enum { BULK = 500 };
    struct vz_error err = {0};
    for (int from = first; from < last; from += BULK) {
        struct vz_write ops[BULK] = {{0}};
        struct vz_buf texts[BULK] = {{0}};
        char ids[BULK][12];
        int count = VZ_MIN(BULK, last - from);
        for (int i = 0; i < count; i++) {
            float floats[DIMS];
            vector_of((uint64_t)(from + i), floats);
            snprintf(ids[i], sizeof ids[i], "%d", from + i);
            vz_buf_append_str(&texts[i], "{\"v\":");
            vz_json_append_floats(&texts[i], floats, DIMS);
            vz_buf_append_char(&texts[i], '}');
            ops[i] = (struct vz_write){.verb = VZ_WRITE_INDEX,
                                       .id = vz_slice_from(ids[i]),
                                       .source = vz_buf_slice(&texts[i])};
        }
        OK(vz_index_write(index, ops, (size_t)count,
                          &(struct vz_write_options){.refresh = VZ_REFRESH_TRUE}, &err));
        for (int i = 0; i < count; i++) {
            assert_int_equal(ops[i].status, VZ_OK);
            vz_buf_deinit(&texts[i]);
        }
    }
}

static inline struct vz_index *index_of(struct vz_store *store, const char *kind,
                                        const char *similarity)
{
    char body[400];
    snprintf(body, sizeof body,
             "{\"mappings\":{\"properties\":{\"v\":{\"type\":\"dense_vector\",\"dims\":%d,"
             "\"similarity\":\"%s\",\"index_options\":{\"type\":\"%s\"}}}}}",
             DIMS, similarity, kind);
    return make_index(store, "kinds", body);
}

static inline enum vz_status change_kind(struct vz_index *index, const char *options,
                                         const char *meta, struct vz_error *err)
{
    char body[400];
    struct vz_json_doc *doc;
    struct vz_json root;
    snprintf(body, sizeof body,
             "{\"properties\":{\"v\":{\"type\":\"dense_vector\",\"dims\":%d,\"similarity\":"
             "\"cosine\",\"index_options\":{%s}%s}}}",
             DIMS, options, meta);
    assert_int_equal(vz_json_parse(vz_slice_from(body), &doc, &root, err), VZ_OK);
    enum vz_status status = vz_index_put_mapping(index, root, err);
    vz_json_free(doc);
    return status;
}

/* Recall@10 at defaults. */
static inline double recall_of(struct vz_index *index)
{
    struct vz_error err = {0};
    struct vz_snapshot *snap = vz_index_snapshot(index);
    const struct vz_field *field = vz_mapping_find(vz_snapshot_mapping(snap), VZ_SLICE("v"));
    unsigned good = 0;
    for (uint64_t q = 0; q < QUERIES; q++) {
        struct vz_knn_hit got[K], want[K];
        float query[DIMS];
        uint32_t found = 0;
        vector_of(1000000 + q * 7, query);
        struct vz_knn knn = {
            .field = field, .query = query, .k = K, .oversample = field->oversample};
        OK(vz_snapshot_knn(snap, &knn, got, &found, NULL, &err));
        assert_int_equal(found, K);
        assert_int_equal(knn_of(snap, "v", query, K, NULL, true, want), K);
        for (uint32_t i = 0; i < K; i++)
            for (uint32_t j = 0; j < K; j++)
                if (got[i].docno == want[j].docno) {
                    good++;
                    /* Scores are those of the floats, whatever was walked on. */
                    assert_true(fabsf(got[i].similarity - want[j].similarity) < 1e-5f);
                }
    }
    vz_snapshot_release(snap);
    return (double)good / (QUERIES * K);
}

static inline struct vz_graph_shape shape_now(struct vz_index *index, uint32_t *count)
{
    struct vz_generation *gen = vz_index_generation(index);
    struct vz_graph_shape shape = {0};
    *count = 0;
    for (uint16_t i = 0; i < 8; i++) {
        struct vz_rows *rows = vz_generation_rows(gen, i);
        struct vz_graph *graph = rows ? vz_graph_acquire(rows) : NULL;
        if (graph) {
            shape = graph->shape;
            *count = vz_hnsw_count(graph->hnsw);
        }
        vz_graph_release(graph);
    }
    vz_generation_release(gen);
    return shape;
}

static const struct {
    const char *name;
    bool graph, flat;
    uint32_t quantize;
} kinds[] = {
    {"flat", false, true, VZ_QUANTIZE_NONE},      {"int8_flat", true, true, VZ_QUANTIZE_INT8},
    {"int4_flat", true, true, VZ_QUANTIZE_INT4},  {"bbq_flat", true, true, VZ_QUANTIZE_BIT},
    {"hnsw", true, false, VZ_QUANTIZE_NONE},      {"int8_hnsw", true, false, VZ_QUANTIZE_INT8},
    {"int4_hnsw", true, false, VZ_QUANTIZE_INT4}, {"bbq_hnsw", true, false, VZ_QUANTIZE_BIT},
};

static inline void check_shape(struct vz_index *index, size_t kind, uint32_t docs)
{
    uint32_t count;
    struct vz_graph_shape shape = shape_now(index, &count);
    assert_int_equal(count, kinds[kind].graph ? docs : 0);
    if (!kinds[kind].graph)
        return;
    assert_int_equal(shape.flat, kinds[kind].flat);
    assert_int_equal(shape.quantize, kinds[kind].quantize);
    assert_int_equal(shape.m, kinds[kind].flat ? 0 : 16);
}

#endif
