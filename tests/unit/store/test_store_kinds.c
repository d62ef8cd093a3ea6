/* Kinds of index through a store: each finds what an exact scan finds, keeps what it says in
 * memory, and becomes the next kind while it is searched. The seed is printed. */
#include "store_kinds.h"

/* Every kind with every similarity: recall, shape, and again after opening. */
static void test_kinds(void **state)
{
    static const char *const similarities[] = {"cosine", "l2_norm", "max_inner_product"};
    struct vz_error err = {0};
    print_message("seed %d, %d documents\n", SEED, DOCS);
    for (size_t kind = 0; kind < VZ_COUNT_OF(kinds); kind++)
        for (size_t s = 0; s < VZ_COUNT_OF(similarities); s++) {
            char *path = temp_folder();
            struct vz_store *store = open_store(path);
            struct vz_index *index = index_of(store, kinds[kind].name, similarities[s]);
            put_docs(index, 0, DOCS);
            OK(vz_index_settle(index, &err));
            check_shape(index, kind, DOCS);
            double recall = recall_of(index);
            print_message("  %-9s %-17s recall@10 %.3f\n", kinds[kind].name, similarities[s],
                          recall);
            /* The largest products are those of the longest rows, which few others link to: hard
             * for any graph. */
            double floor = strcmp(similarities[s], "max_inner_product") ? 0.95 : 0.9;
            assert_true(recall >= floor);
            OK(vz_index_validate(index, &err));
            vz_index_release(index);
            vz_store_close(store);
            store = open_store(path);
            index = vz_store_index(store, VZ_SLICE("kinds"));
            check_shape(index, kind, DOCS);
            assert_true(recall_of(index) >= floor);
            vz_index_release(index);
            vz_store_close(store);
            drop_folder(path);
        }
}

/* Fewer rows than a mean needs are scanned; once there are enough, they are coded. */
static void test_few_rows(void **state)
{
    struct vz_error err = {0};
    uint32_t count;
    char *path = temp_folder();
    struct vz_store *store = open_store(path);
    struct vz_index *index = index_of(store, "bbq_hnsw", "cosine");
    put_docs(index, 0, 500);
    OK(vz_index_settle(index, &err));
    shape_now(index, &count);
    assert_int_equal(count, 0);
    assert_true(recall_of(index) == 1);
    put_docs(index, 500, 2100);
    OK(vz_index_settle(index, &err));
    shape_now(index, &count);
    assert_int_equal(count, 2100);
    assert_true(recall_of(index) >= 0.95);
    vz_index_release(index);
    vz_store_close(store);
    drop_folder(path);
}

/* Through all kinds as Elasticsearch allows, searched all the way, written to meanwhile. */
static void test_upgrades(void **state)
{
    struct vz_error err = {0};
    char *path = temp_folder();
    struct vz_store *store = open_store(path);
    struct vz_index *index = index_of(store, kinds[0].name, "cosine");
    int docs = FEWER;
    put_docs(index, 0, docs);
    for (size_t kind = 1; kind < VZ_COUNT_OF(kinds); kind++) {
        char options[64];
        OK(vz_index_settle(index, &err));
        check_shape(index, kind - 1, (uint32_t)docs);
        snprintf(options, sizeof options, "\"type\":\"%s\"", kinds[kind].name);
        OK(change_kind(index, options, "", &err));
        assert_true(recall_of(index) >= 0.95); /* by the old one, or in between */
        put_docs(index, docs, docs + 100);
        docs += 100;
        assert_true(recall_of(index) >= 0.95);
        OK(vz_index_settle(index, &err));
        check_shape(index, kind, (uint32_t)docs);
        assert_true(recall_of(index) >= 0.95);
        OK(vz_index_validate(index, &err));
        if (kind % 2) { /* what was built is on disk */
            vz_index_release(index);
            vz_store_close(store);
            store = open_store(path);
            index = vz_store_index(store, VZ_SLICE("kinds"));
            check_shape(index, kind, (uint32_t)docs);
        }
    }
    assert_int_equal(change_kind(index, "\"type\":\"int8_hnsw\"", "", &err), VZ_BAD_MAPPING);
    assert_non_null(
        strstr(err.text, "Cannot update parameter [index_options] from [{type=bbq_hnsw"));
    assert_int_equal(change_kind(index, "\"type\":\"bbq_hnsw\",\"m\":8", "", &err), VZ_BAD_MAPPING);
    OK(change_kind(index, "\"type\":\"bbq_hnsw\",\"m\":24", "", &err));
    OK(vz_index_settle(index, &err));
    uint32_t count;
    assert_int_equal(shape_now(index, &count).m, 24);
    assert_int_equal(count, docs);
    assert_true(recall_of(index) >= 0.95);
    vz_index_release(index);
    vz_store_close(store);
    drop_folder(path);
}

/* A crash between the mapping's change and the new graph's checkpoint: the old one is opened as
 * what it is, searched, and replaced. */
static void test_upgrade_cut_short(void **state)
{
    struct vz_error err = {0};
    uint32_t count;
    char *path = temp_folder();
    struct vz_buf graph = {0}, kept = {0}, command = {0};
    struct vz_store *store = open_store(path);
    struct vz_index *index = index_of(store, "hnsw", "cosine");
    put_docs(index, 0, FEWER);
    OK(vz_index_settle(index, &err));
    struct vz_generation *gen = vz_index_generation(index);
    vz_buf_printf(&graph, "%s/graph.0", gen->dir);
    vz_buf_printf(&kept, "%s/kept", path);
    vz_generation_release(gen);
    vz_buf_printf(&command, "cp '%s' '%s'", graph.data, kept.data);
    assert_int_equal(system(command.data), 0);
    OK(change_kind(index, "\"type\":\"int4_hnsw\"", "", &err));
    OK(vz_index_settle(index, &err));
    vz_index_release(index);
    vz_store_close(store);
    vz_buf_clear(&command);
    vz_buf_printf(&command, "mv '%s' '%s'", kept.data, graph.data);
    assert_int_equal(system(command.data), 0);

    store = open_store(path);
    index = vz_store_index(store, VZ_SLICE("kinds"));
    shape_now(index, &count);
    assert_int_equal(count, FEWER); /* whichever it is by now, all rows are in it */
    assert_true(recall_of(index) >= 0.95);
    OK(vz_index_settle(index, &err));
    assert_int_equal(shape_now(index, &count).quantize, VZ_QUANTIZE_INT4);
    assert_int_equal(count, FEWER);
    vz_index_release(index);
    vz_store_close(store);
    vz_buf_deinit(&graph);
    vz_buf_deinit(&kept);
    vz_buf_deinit(&command);
    drop_folder(path);
}

/* ---- other elements than floats ------------------------------------------------------------- */

struct sort_of {
    const char *element, *kind, *similarity;
};

/* Bytes as signed numbers, bits as bytes of signs. */
static size_t elements_of(const struct sort_of *sort, uint64_t n, float *floats, int8_t *bytes)
{
    vector_of(n, floats);
    if (!strcmp(sort->element, "bfloat16"))
        return 0;
    bool bits = !strcmp(sort->element, "bit");
    memset(bytes, 0, DIMS);
    for (int i = 0; i < DIMS; i++)
        if (bits)
            bytes[i / 8] = (int8_t)(bytes[i / 8] | (floats[i] > 0) << i % 8);
        else
            bytes[i] = (int8_t)VZ_MAX(-128.0f, VZ_MIN(127.0f, floats[i] * 40));
    return bits ? DIMS / 8 : DIMS;
}

static void put_elements(struct vz_index *index, const struct sort_of *sort, int first, int last,
                         int offset)
{
    struct vz_error err = {0};
    for (int n = first; n < last; n += 100) {
        struct vz_write ops[100] = {{0}};
        struct vz_buf texts[100] = {{0}};
        char ids[100][12];
        for (int i = 0; i < 100; i++) {
            float floats[DIMS];
            int8_t bytes[DIMS];
            size_t count = elements_of(sort, (uint64_t)(n + i + offset), floats, bytes);
            snprintf(ids[i], sizeof ids[i], "%d", n + i);
            vz_buf_append_str(&texts[i], "{\"v\":");
            if (count == 0)
                vz_json_append_floats(&texts[i], floats, DIMS);
            for (size_t b = 0; b < count; b++)
                vz_buf_printf(&texts[i], "%c%d", b ? ',' : '[', bytes[b]);
            vz_buf_append_str(&texts[i], count ? "]}" : "}");
            ops[i] = (struct vz_write){.verb = VZ_WRITE_INDEX,
                                       .id = vz_slice_from(ids[i]),
                                       .source = vz_buf_slice(&texts[i])};
        }
        OK(vz_index_write(index, ops, 100, &(struct vz_write_options){.refresh = VZ_REFRESH_TRUE},
                          &err));
        for (int i = 0; i < 100; i++) {
            if (ops[i].status != VZ_OK)
                fail_msg("%s", ops[i].error.text);
            vz_buf_deinit(&texts[i]);
        }
    }
}

/* Hits that are as near as the tenth of an exact scan: many are equally far in bits. */
static double element_recall(struct vz_index *index, const struct sort_of *sort)
{
    struct vz_error err = {0};
    struct vz_snapshot *snap = vz_index_snapshot(index);
    const struct vz_field *field = vz_mapping_find(vz_snapshot_mapping(snap), VZ_SLICE("v"));
    unsigned good = 0;
    for (uint64_t q = 0; q < QUERIES; q++) {
        struct vz_knn_hit got[K], want[K];
        float floats[DIMS];
        int8_t bytes[DIMS];
        uint32_t found = 0;
        struct vz_knn knn = {.field = field, .k = K, .oversample = field->oversample};
        knn.query = floats;
        if (elements_of(sort, 1000000 + q * 7, floats, bytes))
            knn.query_bytes = bytes;
        OK(vz_snapshot_knn(snap, &knn, got, &found, NULL, &err));
        assert_int_equal(found, K);
        knn.exact = true;
        OK(vz_snapshot_knn(snap, &knn, want, &found, NULL, &err));
        assert_int_equal(found, K);
        for (uint32_t i = 0; i < K; i++)
            good += got[i].similarity >= want[K - 1].similarity;
    }
    vz_snapshot_release(snap);
    return (double)good / (QUERIES * K);
}

static void test_elements(void **state)
{
    static const struct sort_of sorts[] = {
        {"byte", "hnsw", "cosine"},         {"byte", "hnsw", "l2_norm"},
        {"byte", "flat", "dot_product"},    {"byte", "hnsw", "max_inner_product"},
        {"bit", "hnsw", "l2_norm"},         {"bit", "flat", "l2_norm"},
        {"bfloat16", "hnsw", "cosine"},     {"bfloat16", "int8_hnsw", "cosine"},
        {"bfloat16", "bbq_hnsw", "cosine"}, {"bfloat16", "int4_flat", "l2_norm"},
    };
    struct vz_error err = {0};
    int docs = FEWER / 100 * 100;
    for (size_t i = 0; i < VZ_COUNT_OF(sorts); i++) {
        const struct sort_of *sort = &sorts[i];
        char body[400], *path = temp_folder();
        snprintf(body, sizeof body,
                 "{\"mappings\":{\"properties\":{\"v\":{\"type\":\"dense_vector\",\"dims\":%d,"
                 "\"element_type\":\"%s\",\"similarity\":\"%s\",\"index_options\":{\"type\":"
                 "\"%s\"}}}}}",
                 DIMS, sort->element, sort->similarity, sort->kind);
        struct vz_store *store = open_store(path);
        struct vz_index *index = make_index(store, "kinds", body);
        put_elements(index, sort, 0, docs, 0);
        OK(vz_index_settle(index, &err));
        double recall = element_recall(index, sort);
        print_message("  %-8s %-9s %-17s recall@10 %.3f\n", sort->element, sort->kind,
                      sort->similarity, recall);
        double floor = strcmp(sort->similarity, "max_inner_product") ? 0.95 : 0.9;
        assert_true(recall >= floor);
        OK(vz_index_validate(index, &err));
        put_elements(index, sort, 0, docs / 2, 7777); /* half of them anew, and rewritten */
        assert_true(element_recall(index, sort) >= floor);
        OK(vz_index_compact(index, &err));
        OK(vz_index_validate(index, &err));
        vz_index_release(index);
        vz_store_close(store);
        store = open_store(path);
        index = vz_store_index(store, VZ_SLICE("kinds"));
        assert_true(element_recall(index, sort) >= floor);
        OK(vz_index_validate(index, &err));
        vz_index_release(index);
        vz_store_close(store);
        drop_folder(path);
    }
}

/* ---- what an older program wrote ------------------------------------------------------------- */

/* Reads the format of a closed generation's state, and makes it `set` unless that is NULL. */
static uint32_t exchange_format(const char *path, const uint32_t *set)
{
    MDB_env *env;
    MDB_txn *txn;
    MDB_dbi db;
    MDB_val key = {5, (char[]){"state"}}, value;
    struct vz_generation_state state;
    assert_int_equal(mdb_env_create(&env), 0);
    mdb_env_set_maxdbs(env, 8);
    mdb_env_set_mapsize(env, (size_t)1 << 30);
    assert_int_equal(mdb_env_open(env, path, MDB_NOSUBDIR, 0644), 0);
    assert_int_equal(mdb_txn_begin(env, NULL, 0, &txn), 0);
    assert_int_equal(mdb_dbi_open(txn, "state", 0, &db), 0);
    assert_int_equal(mdb_get(txn, db, &key, &value), 0);
    assert_int_equal(value.mv_size, sizeof state);
    memcpy(&state, value.mv_data, sizeof state);
    uint32_t was = state.format;
    if (set) {
        state.format = *set;
        value = (MDB_val){sizeof state, &state};
        assert_int_equal(mdb_put(txn, db, &key, &value, 0), 0);
    }
    assert_int_equal(mdb_txn_commit(txn), 0);
    mdb_env_close(env);
    return was;
}

static uint32_t state_format(const char *path)
{
    return exchange_format(path, NULL);
}

static void set_format(const char *path, uint32_t format)
{
    exchange_format(path, &format);
}

/* Floats as numbers lie in 1 as in 2 and 3, and nothing is packed together. */
static void test_older_format(void **state)
{
    enum { NOW = VZ_STATE_FORMAT };
    struct vz_error err = {0};
    struct vz_buf truth = {0}, map = {0};
    char *path = temp_folder();
    struct vz_store *store = open_store(path);
    struct vz_index *index = index_of(store, "int8_hnsw", "cosine");
    put_docs(index, 0, 500);
    struct vz_generation *gen = vz_index_generation(index);
    vz_buf_printf(&truth, "%s/truth.mdb", gen->dir);
    vz_buf_printf(&map, "%s/doc.0", gen->dir);
    vz_generation_release(gen);
    vz_index_release(index);
    vz_store_close(store);
    for (uint32_t older = 1; older <= NOW; older++) {
        int docs = 500 + 100 * (int)older;
        assert_int_equal(state_format(truth.data), NOW);
        set_format(truth.data, older);
        store = open_store(path);
        index = vz_store_index(store, VZ_SLICE("kinds"));
        assert_non_null(index);
        assert_true(recall_of(index) >= 0.95);
        OK(vz_index_validate(index, &err));
        vz_index_release(index);
        vz_store_close(store);
        assert_int_equal(state_format(truth.data), older); /* who only reads changes nothing */
        assert_int_equal(truncate(map.data, 0), 0);        /* so opening has something to mend */
        store = open_store(path);
        index = vz_store_index(store, VZ_SLICE("kinds"));
        assert_non_null(index);
        OK(vz_index_validate(index, &err));
        put_docs(index, docs - 100, docs);
        OK(vz_index_validate(index, &err));
        vz_index_release(index);
        vz_store_close(store);
    }
    const uint32_t unknown[] = {0, NOW + 1, UINT32_MAX}; /* of nobody, or from a newer program */
    for (size_t i = 0; i < VZ_COUNT_OF(unknown); i++) {
        set_format(truth.data, unknown[i]);
        store = open_store(path);
        assert_null(vz_store_index(store, VZ_SLICE("kinds")));
        vz_store_close(store);
    }
    vz_buf_deinit(&map);
    vz_buf_deinit(&truth);
    drop_folder(path);
}

/* ---- memory ---------------------------------------------------------------------------------- */

/* What is said of a kind is what it takes, and what the budget counts is its sum. */
static void test_memory_by_part(void **state)
{
    struct vz_error err = {0};
    for (size_t kind = 0; kind < VZ_COUNT_OF(kinds); kind++) {
        static const size_t codes[] = {0, 128, 64, 32}; /* of 96 dims, by enum vz_quantize */
        struct vz_arena arena = {0};
        struct vz_vector_stats *stats;
        struct vz_index_stats sums;
        char *path = temp_folder();
        struct vz_store *store = open_store(path);
        struct vz_index *index = index_of(store, kinds[kind].name, "cosine");
        uint64_t docs = 2500;
        put_docs(index, 0, (int)docs);
        OK(vz_index_settle(index, &err));
        assert_int_equal(vz_index_vector_stats(index, &arena, &stats), 1);
        vz_index_stats(index, &sums);
        assert_true(vz_slice_is(stats->path, "v"));
        assert_int_equal(stats->rows, docs);
        assert_int_equal(stats->row_bytes, docs * 384);
        assert_int_equal(stats->rows_in_graph, kinds[kind].graph ? docs : 0);
        assert_in_range(stats->code_bytes, docs * codes[kinds[kind].quantize],
                        docs * codes[kinds[kind].quantize] * 11 / 10);
        uint64_t links = !kinds[kind].graph ? 0 : kinds[kind].flat ? 4 : 137;
        assert_in_range(stats->link_bytes, docs * links * 9 / 10, docs * links * 12 / 10);
        uint64_t rows = kinds[kind].quantize ? 0 : stats->row_bytes;
        assert_int_equal(stats->memory_bytes, rows + stats->code_bytes + stats->link_bytes +
                                                  stats->docno_bytes + stats->fixed_bytes);
        assert_true(sums.memory_bytes >= stats->memory_bytes);
        assert_true(sums.memory_bytes < stats->memory_bytes + 100000);
        vz_arena_deinit(&arena);
        vz_index_release(index);
        vz_store_close(store);
        drop_folder(path);
    }
    struct vz_buf text = {0};
    vz_vector_memory_statement(512, &text);
    assert_string_equal(text.data,
                        "hnsw 2189, int8_hnsw 717, int4_hnsw 413, bbq_hnsw 221; 2048 on disk");
    vz_buf_deinit(&text);
}

/* Writes are refused before the graph that they will grow passes the budget; a change of kind for
 * which there is no room leaves the old graph in use. */
static void test_budget(void **state)
{
    enum { LIMIT = 2 << 20 };
    struct vz_error err = {0};
    struct vz_index_stats stats;
    char *path = temp_folder();
    struct vz_store *store = NULL;
    uint32_t count;
    OK(vz_store_open(path, &(struct vz_store_options){.create = true, .max_memory_bytes = LIMIT},
                     &store, &err));
    struct vz_index *index = index_of(store, "hnsw", "cosine");
    int docs = 0;
    enum vz_status status = VZ_OK;
    while (status == VZ_OK) { /* what waits for the graph is counted as if it were in */
        enum { BULK = 64 };
        struct vz_write ops[BULK] = {{0}};
        struct vz_buf texts[BULK] = {{0}};
        char ids[BULK][12];
        for (int i = 0; i < BULK; i++) {
            float floats[DIMS];
            vector_of((uint64_t)(docs + i), floats);
            snprintf(ids[i], sizeof ids[i], "%d", docs + i);
            vz_buf_append_str(&texts[i], "{\"v\":");
            vz_json_append_floats(&texts[i], floats, DIMS);
            vz_buf_append_char(&texts[i], '}');
            ops[i] = (struct vz_write){.verb = VZ_WRITE_INDEX,
                                       .id = vz_slice_from(ids[i]),
                                       .source = vz_buf_slice(&texts[i])};
        }
        status = vz_index_write(index, ops, BULK, NULL, &err);
        for (int i = 0; i < BULK; i++)
            vz_buf_deinit(&texts[i]);
        docs += status == VZ_OK ? BULK : 0;
        assert_true(docs < 20000);
        usleep(1000);
    }
    assert_int_equal(status, VZ_BUDGET);
    assert_non_null(strstr(err.text, "[parent] Data too large, data for [kinds] would be ["));
    OK(vz_index_refresh(index, &err));
    OK(vz_index_settle(index, &err));
    vz_index_stats(index, &stats);
    print_message("%d documents, %llu bytes of %d\n", docs, (unsigned long long)stats.memory_bytes,
                  LIMIT);
    assert_true(stats.memory_bytes <= LIMIT + 64 * 1024);
    assert_true(stats.memory_bytes >= LIMIT / 2);
    OK(change_kind(index, "\"type\":\"hnsw\",\"m\":64", "", &err));
    OK(vz_index_settle(index, &err));
    assert_int_equal(shape_now(index, &count).m, 16);
    assert_int_equal(count, docs);
    vz_index_release(index);
    vz_store_close(store);
    drop_folder(path);
}

/* More vectors than half of the memory holds: told to the file and to whoever reads it. */
static void test_cold(void **state)
{
    struct vz_error err = {0};
    char *path = temp_folder();
    struct vz_store *store = open_store(path);
    struct vz_index *index = index_of(store, "int8_hnsw", "cosine");
    put_docs(index, 0, FEWER);
    struct vz_generation *gen = vz_index_generation(index);
    struct vz_rows *rows = NULL;
    for (uint16_t i = 0; i < 8 && !rows; i++)
        rows = vz_generation_rows(gen, i);
    assert_false(vz_cold_is_on(rows->cold));
    rows->cold_bytes = (size_t)FEWER * rows->stride + 1; /* as if memory were that small */
    put_docs(index, FEWER, 2 * FEWER);
    assert_true(vz_cold_is_on(rows->cold));
    OK(vz_index_settle(index, &err));
    assert_true(recall_of(index) >= 0.95);
    vz_generation_release(gen);
    vz_index_release(index);
    vz_store_close(store);
    drop_folder(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kinds),          cmocka_unit_test(test_few_rows),
        cmocka_unit_test(test_upgrades),       cmocka_unit_test(test_upgrade_cut_short),
        cmocka_unit_test(test_elements),       cmocka_unit_test(test_older_format),
        cmocka_unit_test(test_memory_by_part), cmocka_unit_test(test_budget),
        cmocka_unit_test(test_cold),
    };
    return cmocka_run_group_tests_name("store-kinds", tests, NULL, NULL);
}
