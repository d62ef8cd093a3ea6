/* bench/server/load.c - a load generator for the running server, and the same queries in process.
 *
 *     load bulk   PORT INDEX DOCS BATCH CONNECTIONS       index DOCS documents of 512-d vectors
 *     load knn    PORT INDEX DOCS SECONDS CONNECTIONS EF  kNN searches over keep-alive connections
 *     load direct DATA INDEX DOCS SECONDS THREADS EF      the same queries, without HTTP and JSON
 *
 * Vectors are seeded (load_vector): DOCS must be the same in all three for queries to be of the
 * same distribution. Prints one JSON object. bench/server/run drives it.
 */
#include "load/load.h"

#include "base/clock.h"
#include "store/store.h"
#include "json/json.h"

#include <stdio.h>
#include <stdlib.h>

#define DIMS LOAD_DIMS
#define QUERIES 1000

struct direct {
    struct vz_snapshot *snap;
    const struct vz_field *field;
    const float *queries;
    unsigned ef;
};

static void *search_directly(void *context)
{
    struct load_worker *worker = context;
    const struct direct *direct = worker->context;
    for (;;) {
        size_t i = atomic_fetch_add(worker->next, 1);
        uint64_t began = vz_now_ns();
        if (began >= worker->until_ns)
            break;
        struct vz_knn knn = {.field = direct->field,
                             .query = direct->queries + i % QUERIES * DIMS,
                             .k = 10,
                             .num_candidates = direct->ef};
        struct vz_knn_hit hits[10];
        uint32_t found = 0;
        enum vz_status status = vz_snapshot_knn(direct->snap, &knn, hits, &found, NULL, NULL);
        load_note(worker, began, status == VZ_OK && found == 10);
    }
    return NULL;
}

static void bulk(int port, const char *index, size_t docs, size_t batch, int connections)
{
    size_t count = (docs + batch - 1) / batch;
    struct vz_buf *requests = vz_calloc(count, sizeof *requests);
    char path[300];
    snprintf(path, sizeof path, "/%s/_bulk", index);
    for (size_t i = 0; i < count; i++) {
        struct vz_buf body = {0};
        for (size_t d = i * batch; d < VZ_MIN(docs, (i + 1) * batch); d++) {
            float vector[DIMS];
            load_vector(d, vector);
            vz_buf_printf(&body, "{\"index\":{\"_id\":\"%zu\"}}\n{\"dog_id\":\"dog %zu\",", d, d);
            vz_buf_printf(
                &body, "\"breed\":\"breed %zu\",\"age\":%zu,\"image_embedding\":", d % 120, d % 15);
            vz_json_append_floats(&body, vector, DIMS);
            vz_buf_append_str(&body, "}\n");
        }
        load_wrap(&requests[i], path, "application/x-ndjson", &body);
        vz_buf_deinit(&body);
    }
    struct load_worker worker = {.port = port, .requests = requests, .count = count};
    load_run("bulk", &worker, connections, load_send, (double)docs / (double)count);
}

/* Queries are vectors past the documents', of the same kind. */
static float *make_queries(size_t docs)
{
    float *queries = vz_alloc(QUERIES * DIMS * sizeof *queries);
    for (size_t i = 0; i < QUERIES; i++)
        load_vector(docs + 12345 + i, queries + i * DIMS);
    return queries;
}

static void knn(int port, const char *index, size_t docs, int seconds, int connections, unsigned ef)
{
    float *queries = make_queries(docs);
    struct vz_buf *requests = vz_calloc(QUERIES, sizeof *requests);
    char path[300];
    snprintf(path, sizeof path, "/%s/_search", index);
    for (size_t i = 0; i < QUERIES; i++) {
        struct vz_buf body = {0};
        vz_buf_append_str(&body, "{\"knn\":{\"field\":\"image_embedding\",\"query_vector\":");
        vz_json_append_floats(&body, queries + i * DIMS, DIMS);
        vz_buf_printf(&body,
                      ",\"k\":10,\"num_candidates\":%u},\"size\":10,\"_source\":[\"dog_id\"]}", ef);
        load_wrap(&requests[i], path, "application/json", &body);
        vz_buf_deinit(&body);
    }
    struct load_worker worker = {.port = port,
                                 .requests = requests,
                                 .count = QUERIES,
                                 .until_ns = vz_now_ns() + (uint64_t)seconds * 1000000000u};
    load_run("knn over HTTP", &worker, connections, load_send, 1);
}

static void direct(const char *data, const char *index, size_t docs, int seconds, int threads,
                   unsigned ef)
{
    struct vz_store *store;
    struct vz_error err = {0};
    if (vz_store_open(data, &(struct vz_store_options){0}, &store, &err) != VZ_OK) {
        fprintf(stderr, "%s\n", err.text);
        exit(1);
    }
    struct vz_index *open_index = vz_store_index(store, vz_slice_from(index));
    struct vz_snapshot *snap = vz_index_snapshot(open_index);
    struct direct what = {
        .snap = snap,
        .field = vz_mapping_find(vz_snapshot_mapping(snap), VZ_SLICE("image_embedding")),
        .queries = make_queries(docs),
        .ef = ef};
    struct load_worker worker = {.context = &what,
                                 .until_ns = vz_now_ns() + (uint64_t)seconds * 1000000000u};
    load_run("knn in process", &worker, threads, search_directly, 1);
    vz_snapshot_release(snap);
    vz_index_release(open_index);
    vz_store_close(store);
}

int main(int argc, char **argv)
{
    if (argc == 7 && strcmp(argv[1], "bulk") == 0)
        bulk(atoi(argv[2]), argv[3], strtoul(argv[4], NULL, 10), strtoul(argv[5], NULL, 10),
             atoi(argv[6]));
    else if (argc == 8 && strcmp(argv[1], "knn") == 0)
        knn(atoi(argv[2]), argv[3], strtoul(argv[4], NULL, 10), atoi(argv[5]), atoi(argv[6]),
            (unsigned)atoi(argv[7]));
    else if (argc == 8 && strcmp(argv[1], "direct") == 0)
        direct(argv[2], argv[3], strtoul(argv[4], NULL, 10), atoi(argv[5]), atoi(argv[6]),
               (unsigned)atoi(argv[7]));
    else
        return fprintf(stderr, "see the top of bench/server/load.c\n"), 2;
    return 0;
}
