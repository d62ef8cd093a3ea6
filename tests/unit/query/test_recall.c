/* Recall through the search body, at default settings, against `"exact": true` of the same body:
 * with filters of every strength that have nothing to do with the query, that let through what is
 * near it, and that let through only what is far. Seeds are printed. */
#include "support.h"

#include "base/text.h"

#include <math.h>

#define DIMS 64
#define SIZE 10
#define QUERIES 12
#define SEED 77
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define DOCS 4000
#else
#define DOCS 20000
#endif

static struct fixture fixture;

static void vector_of(uint64_t n, float *out)
{
    uint64_t state = SEED + n * 1000003, kind = vz_rng_next(&state) % 60;
    uint64_t centre = SEED * 31 + kind, noise = vz_rng_next(&state);
    for (int i = 0; i < DIMS; i++)
        out[i] = (float)vz_rng_normal(&centre) + 0.8f * (float)vz_rng_normal(&noise);
}

/* Of thousandths: how near query q a document is, by its rank among all. */
struct near {
    uint32_t doc;
    float cosine;
};

static int by_cosine(const void *a, const void *b)
{
    float x = ((const struct near *)a)->cosine, y = ((const struct near *)b)->cosine;
    return x < y ? -1 : x > y;
}

static float cosine(const float *a, const float *b)
{
    double dot = 0, x = 0, y = 0;
    for (int i = 0; i < DIMS; i++) {
        dot += (double)a[i] * (double)b[i];
        x += (double)a[i] * (double)a[i];
        y += (double)b[i] * (double)b[i];
    }
    return (float)(dot / sqrt(x * y));
}

/* "r": a random thousandth; "q3": how near the document is to query 3, in thousandths. */
static struct vz_index *fill(const char *kind)
{
    enum { BULK = 500 };
    static uint16_t ranks[QUERIES][DOCS];
    static struct near order[DOCS];
    char body[300];
    uint64_t rng = SEED;
    struct vz_error err = {0};
    snprintf(body, sizeof body,
             "{\"mappings\":{\"properties\":{\"v\":{\"type\":\"dense_vector\",\"dims\":%d,"
             "\"index_options\":{\"type\":\"%s\"}}}}}",
             DIMS, kind);
    struct vz_index *index = fixture_create(&fixture, kind, body);
    for (int q = 0; q < QUERIES; q++) {
        float query[DIMS], vector[DIMS];
        vector_of(5000000 + (uint64_t)q, query);
        for (uint32_t d = 0; d < DOCS; d++) {
            vector_of(d, vector);
            order[d] = (struct near){d, cosine(query, vector)};
        }
        qsort(order, DOCS, sizeof *order, by_cosine);
        for (uint32_t i = 0; i < DOCS; i++)
            ranks[q][order[i].doc] = (uint16_t)((uint64_t)i * 1000 / DOCS);
    }
    for (uint32_t from = 0; from < DOCS; from += BULK) {
        static struct vz_write ops[BULK];
        static struct vz_buf texts[BULK];
        static char ids[BULK][12];
        for (uint32_t i = 0; i < BULK; i++) {
            float vector[DIMS];
            vector_of(from + i, vector);
            texts[i] = (struct vz_buf){0};
            snprintf(ids[i], sizeof ids[i], "%u", from + i);
            vz_buf_printf(&texts[i], "{\"r\":%u", (unsigned)(vz_rng_next(&rng) % 1000));
            for (int q = 0; q < QUERIES; q++)
                vz_buf_printf(&texts[i], ",\"q%d\":%u", q, ranks[q][from + i]);
            vz_buf_append_str(&texts[i], ",\"v\":");
            vz_json_append_floats(&texts[i], vector, DIMS);
            vz_buf_append_char(&texts[i], '}');
            ops[i] = (struct vz_write){.verb = VZ_WRITE_INDEX,
                                       .id = vz_slice_from(ids[i]),
                                       .source = vz_buf_slice(&texts[i])};
        }
        must(vz_index_write(index, ops, BULK, &(struct vz_write_options){0}, &err), &err);
        for (uint32_t i = 0; i < BULK; i++) {
            must(ops[i].status, &ops[i].error);
            vz_buf_deinit(&texts[i]);
        }
    }
    refresh(index);
    must(vz_index_settle(index, &err), &err);
    return index;
}

static void ask(struct vz_index *index, int q, const char *filter, bool exact,
                struct answer *answer, uint64_t *operations)
{
    struct vz_buf body = {0};
    float query[DIMS];
    vector_of(5000000 + (uint64_t)q, query);
    vz_buf_append_str(&body, "{\"_source\":false,\"profile\":true,\"knn\":{\"field\":\"v\",");
    if (filter)
        vz_buf_printf(&body, "\"filter\":{\"range\":%s},", filter);
    vz_buf_printf(&body, "\"exact\":%s,\"query_vector\":", exact ? "true" : "false");
    vz_json_append_floats(&body, query, DIMS);
    vz_buf_append_str(&body, "}}");
    search_index(index, body.data, answer);
    vz_buf_deinit(&body);
    const char *at = strstr(answer->result.profile.ptr, "vector_operations_count\":");
    assert_non_null(at);
    *operations = strtoull(strchr(at, ':') + 1, NULL, 10);
}

/* Recall of all queries with a filter of `thousandths`: of "r", or of "qN" from one end. */
static double recall(struct vz_index *index, const char *way, int thousandths, double *operations)
{
    unsigned good = 0, all = 0;
    *operations = 0;
    for (int q = 0; q < QUERIES; q++) {
        char filter[80];
        struct answer got, want;
        uint64_t walked, scanned;
        if (!strcmp(way, "any"))
            snprintf(filter, sizeof filter, "{\"r\":{\"lt\":%d}}", thousandths);
        else if (!strcmp(way, "near"))
            snprintf(filter, sizeof filter, "{\"q%d\":{\"gte\":%d}}", q, 1000 - thousandths);
        else
            snprintf(filter, sizeof filter, "{\"q%d\":{\"lt\":%d}}", q, thousandths);
        ask(index, q, thousandths < 1000 ? filter : NULL, false, &got, &walked);
        ask(index, q, thousandths < 1000 ? filter : NULL, true, &want, &scanned);
        assert_int_equal(got.result.hit_count, want.result.hit_count); /* k when k exist */
        for (size_t i = 0; i < got.result.hit_count; i++)
            for (size_t j = 0; j < want.result.hit_count; j++)
                good += vz_slice_eq(got.result.hits[i].id, want.result.hits[j].id);
        all += (unsigned)want.result.hit_count;
        *operations += (double)walked / VZ_MAX((double)scanned, 1.0) / QUERIES;
        answer_deinit(&got);
        answer_deinit(&want);
    }
    return (double)good / VZ_MAX(all, 1u);
}

static void check(const char *kind)
{
    static const int shares[] = {1000, 500, 200, 100, 50, 10, 1};
    static const char *const ways[] = {"any", "near", "far"};
    struct vz_index *index = fill(kind);
    print_message("seed %d, %d documents, %s\n", SEED, DOCS, kind);
    for (size_t i = 0; i < VZ_COUNT_OF(shares); i++)
        for (size_t w = 0; w < VZ_COUNT_OF(ways); w++) {
            double operations, found = recall(index, ways[w], shares[i], &operations);
            print_message("  %5.1f %% %-4s recall@10 %.3f, %.2f of an exact scan's operations\n",
                          shares[i] / 10.0, ways[w], found, operations);
            assert_true(found >= 0.95);
            /* A walk that finds nothing is followed by the scan: never much more than twice. */
            assert_true(operations <= 1.6);
        }
}

static void test_int8(void **state)
{
    check("int8_hnsw");
}

static void test_float(void **state)
{
    check("hnsw");
}

static int open_all(void **state)
{
    fixture_open(&fixture);
    return 0;
}

static int close_all(void **state)
{
    fixture_close(&fixture);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_int8),
        cmocka_unit_test(test_float),
    };
    return cmocka_run_group_tests(tests, open_all, close_all);
}
