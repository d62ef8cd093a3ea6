/* Nearest neighbours through a snapshot: recall with filters of every strength, random ones and
 * ones that go with the vectors, on one vector a document and on several, graph and tail together.
 * Seeds are printed; VIZSLA_KNN_DOCS and VIZSLA_KNN_SEED change the size and the seed. */
#include "store_support.h"

#include "base/clock.h"

#define DIMS 96
#define QUERIES 40
#define K 10
#define BULK 500
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define DOCS 2500 /* half of them are listed then, not walked to; the code is the same */
#else
#define DOCS 10000
#endif

struct space {
    struct vz_store *store;
    struct vz_index *index;
    char *path;
    uint64_t seed;
    int docs, photos; /* photos: vectors a document, about */
    bool hard;        /* isotropic; otherwise 50 clusters */
};

static int number_of(const char *name, int otherwise)
{
    const char *text = getenv(name);
    return text ? atoi(text) : otherwise;
}

/* Vector number n. */
static void vector_of(const struct space *space, uint64_t n, float *out)
{
    float centre[DIMS], noise[DIMS];
    uint64_t state = space->seed + n * 77;
    random_vector(space->seed * 31 + vz_rng_next(&state) % 50, centre, DIMS);
    random_vector(space->seed * 1000003 + n, noise, DIMS);
    for (int i = 0; i < DIMS; i++)
        out[i] = (space->hard ? 0 : centre[i]) + (space->hard ? 1 : 0.6f) * noise[i];
}

static void source_of(const struct space *space, int n, struct vz_buf *out)
{
    float floats[DIMS];
    vz_buf_clear(out);
    vz_buf_append_str(out, space->photos > 1 ? "{\"p\":[" : "");
    for (int i = 0; i < (space->photos > 1 ? n % (2 * space->photos) : 1); i++) {
        vector_of(space, (uint64_t)n * 100 + (uint64_t)i, floats);
        vz_buf_append_str(out, i ? ",{\"v\":" : "{\"v\":");
        vz_json_append_floats(out, floats, DIMS);
        vz_buf_append_char(out, '}');
    }
    vz_buf_append_str(out, space->photos > 1 ? "]}" : "");
}

static void put_docs(struct space *space, int first, int last)
{
    struct vz_error err = {0};
    for (int from = first; from < last; from += BULK) {
        struct vz_write ops[BULK] = {{0}};
        struct vz_buf texts[BULK] = {{0}};
        char ids[BULK][12];
        int count = VZ_MIN(BULK, last - from);
        for (int i = 0; i < count; i++) {
            snprintf(ids[i], sizeof ids[i], "%d", from + i);
            source_of(space, from + i, &texts[i]);
            ops[i] = (struct vz_write){.verb = VZ_WRITE_INDEX,
                                       .id = vz_slice_from(ids[i]),
                                       .source = vz_buf_slice(&texts[i])};
        }
        OK(vz_index_write(space->index, ops, (size_t)count, NULL, &err));
        for (int i = 0; i < count; i++) {
            assert_int_equal(ops[i].status, VZ_OK);
            vz_buf_deinit(&texts[i]);
        }
    }
}

/* Nine tenths of the documents in the graph, the rest in the tail; some replaced. */
static void open_space(struct space *space, const char *kind)
{
    struct vz_error err = {0};
    char body[400];
    space->seed = (uint64_t)number_of("VIZSLA_KNN_SEED", 7);
    space->docs = number_of("VIZSLA_KNN_DOCS", DOCS) / space->photos;
    space->path = temp_folder();
    space->store = open_store(space->path);
    snprintf(body, sizeof body,
             space->photos > 1
                 ? "{\"mappings\":{\"properties\":{\"p\":{\"type\":\"nested\",\"properties\":{"
                   "\"v\":{\"type\":\"dense_vector\",\"dims\":%d,\"similarity\":\"cosine\","
                   "\"index_options\":{\"type\":\"%s\"}}}}}}}"
                 : "{\"mappings\":{\"properties\":{"
                   "\"v\":{\"type\":\"dense_vector\",\"dims\":%d,\"similarity\":\"cosine\","
                   "\"index_options\":{\"type\":\"%s\"}}}}}",
             DIMS, kind);
    space->index = make_index(space->store, "space", body);
    print_message("seed %llu, %d documents, %s\n", (unsigned long long)space->seed, space->docs,
                  kind);
    put_docs(space, 0, space->docs * 9 / 10);
    put_docs(space, 0, space->docs / 50);
    OK(vz_index_settle(space->index, &err));
    put_docs(space, space->docs * 9 / 10, space->docs);
    OK(vz_index_refresh(space->index, &err));
}

static void close_space(struct space *space)
{
    vz_index_release(space->index);
    vz_store_close(space->store);
    drop_folder(space->path);
}

/* Live documents: `share` of them at random. */
static void make_filter(struct vz_snapshot *snap, const struct space *space, double share,
                        uint64_t seed, struct vz_bitset *bits)
{
    uint64_t state = space->seed * 99 + seed;
    vz_snapshot_live_bits(snap, bits);
    for (uint32_t d = 0; d < vz_snapshot_doc_limit(snap); d++)
        if ((double)(vz_rng_next(&state) >> 11) * 0x1p-53 >= share)
            vz_bitset_clear(bits, d);
}

/* The `share` of the documents that are least like the query: nothing near it passes. */
static void make_far_filter(struct vz_snapshot *snap, const char *path, const float *query,
                            double share, struct vz_bitset *bits)
{
    uint32_t live = vz_snapshot_doc_count(snap);
    struct vz_knn_hit *hits = vz_alloc(live * sizeof *hits);
    size_t found = knn_of(snap, path, query, live, NULL, true, hits);
    vz_bitset_init(bits, vz_snapshot_doc_limit(snap));
    for (size_t i = (size_t)((double)found * (1 - share)); i < found; i++)
        vz_bitset_set(bits, hits[i].docno);
    free(hits);
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

/* Recall@10 with num_candidates `candidates` over all queries and their median time; every hit
 * passes the filter, no document comes twice, and K come when K exist. */
static double recall_of(struct space *space, double share, bool far, uint32_t candidates,
                        double *us)
{
    struct vz_error err = {0};
    struct vz_snapshot *snap = vz_index_snapshot(space->index);
    const char *path = space->photos > 1 ? "p.v" : "v";
    const struct vz_field *field = vz_mapping_find(vz_snapshot_mapping(snap), vz_slice_from(path));
    unsigned good = 0, all = 0;
    double times[QUERIES];
    for (uint64_t q = 0; q < QUERIES; q++) {
        struct vz_bitset bits = {0};
        struct vz_knn_hit got[K], want[K];
        float query[DIMS];
        uint32_t found = 0;
        vector_of(space, 1000000007ull + q, query);
        if (far)
            make_far_filter(snap, path, query, share, &bits);
        else
            make_filter(snap, space, share, q % 4, &bits);
        struct vz_knn knn = {.field = field,
                             .query = query,
                             .k = K,
                             .num_candidates = candidates,
                             .filter = share < 1 ? &bits : NULL};
        uint64_t start = vz_now_ns();
        OK(vz_snapshot_knn(snap, &knn, got, &found, NULL, &err));
        times[q] = (double)(vz_now_ns() - start) / 1000;
        size_t wanted = knn_of(snap, path, query, K, knn.filter, true, want);
        assert_int_equal(found, wanted);
        for (uint32_t i = 0; i < found; i++) {
            assert_true(vz_bitset_has(&bits, got[i].docno));
            for (uint32_t j = 0; j < i; j++)
                assert_int_not_equal(got[i].docno, got[j].docno);
            for (uint32_t j = 0; j < wanted; j++)
                good += got[i].docno == want[j].docno;
        }
        all += (unsigned)wanted;
        vz_bitset_deinit(&bits);
    }
    vz_snapshot_release(snap);
    qsort(times, QUERIES, sizeof *times, by_size);
    *us = times[QUERIES / 2];
    return (double)good / all;
}

static void check_filters(struct space *space, const char *kind, uint32_t candidates)
{
    static const double shares[] = {0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 0.9, 1};
    open_space(space, kind);
    for (size_t i = 0; i < VZ_COUNT_OF(shares); i++) {
        double us, far_us, recall = recall_of(space, shares[i], false, candidates, &us),
                           far = recall_of(space, shares[i], true, candidates, &far_us);
        print_message("  %3.0f %% accepted: recall@10 %.3f, %.0f us; all far %.3f, %.0f us\n",
                      shares[i] * 100, recall, us, far, far_us);
        /* Where half of the rows and more pass but none near the query does, what is looked for
         * lies in a wide shell of rows that are all about as far: hard for any graph. */
        assert_true(recall >= 0.95 && (far >= 0.95 || shares[i] >= 0.5));
    }
    close_space(space);
}

static void test_filters(void **state)
{
    check_filters(&(struct space){.photos = 1}, "hnsw", 50);
}

static void test_filters_on_codes(void **state)
{
    check_filters(&(struct space){.photos = 1}, "int8_hnsw", 50);
}

static void test_filters_hard(void **state)
{
    check_filters(&(struct space){.photos = 1, .hard = true}, "int8_hnsw", 250);
}

static void test_filters_many_vectors(void **state)
{
    check_filters(&(struct space){.photos = 4}, "hnsw", 50);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_filters),
        cmocka_unit_test(test_filters_on_codes),
        cmocka_unit_test(test_filters_hard),
        cmocka_unit_test(test_filters_many_vectors),
    };
    return cmocka_run_group_tests_name("store-knn", tests, NULL, NULL);
}
