/* Documents of unusual shapes: many vectors, long ids and terms, no dims, mappings that change. */
#include "store_support.h"

struct fixture {
    char *path;
    struct vz_store *store;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    f->path = temp_folder();
    f->store = open_store(f->path);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    vz_store_close(f->store);
    drop_folder(f->path);
    free(f);
    return 0;
}

static struct vz_index *reopen(struct fixture *f, struct vz_index *index, const char *name)
{
    vz_index_release(index);
    vz_store_close(f->store);
    f->store = open_store(f->path);
    index = vz_store_index(f->store, vz_slice_from(name));
    assert_non_null(index);
    return index;
}

/* Removes derived files, so that the next open makes them from truth. */
static void drop_columns(struct fixture *f, struct vz_index **index, const char *name)
{
    char command[600];
    vz_index_release(*index);
    vz_store_close(f->store);
    snprintf(command, sizeof command, "rm -f %s/indices/*/*/col.*", f->path);
    assert_int_equal(system(command), 0);
    f->store = open_store(f->path);
    *index = vz_store_index(f->store, vz_slice_from(name));
    assert_non_null(*index);
}

static void put_mapping(struct vz_index *index, const char *text)
{
    struct vz_error err = {0};
    struct vz_json_doc *doc;
    struct vz_json root;
    OK(vz_json_parse(vz_slice_from(text), &doc, &root, &err));
    OK(vz_index_put_mapping(index, root, &err));
    vz_json_free(doc);
}

static void valid(struct vz_index *index)
{
    struct vz_error err = {0};
    OK(vz_index_validate(index, &err));
}

static bool source_is(struct vz_index *index, const char *id, struct vz_slice want)
{
    struct vz_arena arena = {0};
    struct vz_stored_doc doc;
    bool same =
        vz_index_get(index, vz_slice_from(id), VZ_DOC_SOURCE, &arena, &doc, NULL) == VZ_OK &&
        vz_slice_eq(doc.source, want);
    vz_arena_deinit(&arena);
    return same;
}

/* 60 dogs with 0 to 9 photos each: k distinct dogs come back, each once, by its best photo. */
static void test_many_vectors_a_document(void **state)
{
    struct fixture *f = *state;
    struct vz_error err = {0};
    struct vz_index *index =
        make_index(f->store, "photos",
                   "{\"mappings\":{\"properties\":{\"photos\":{\"type\":\"nested\",\"properties\":{"
                   "\"v\":{\"type\":\"dense_vector\",\"dims\":8,\"similarity\":\"cosine\"}}}}}}");
    struct vz_buf texts[60] = {{0}};
    char ids[60][8];
    for (int i = 0; i < 60; i++) {
        vz_buf_append_str(&texts[i], "{\"photos\":[");
        for (int p = 0; p < i % 10; p++) {
            vz_buf_append_str(&texts[i], p ? ", {\"v\":" : "{\"v\":");
            append_vector(&texts[i], (uint64_t)(i * 10 + p), 8);
            vz_buf_append_char(&texts[i], '}');
        }
        vz_buf_append_str(&texts[i], "]}");
        snprintf(ids[i], sizeof ids[i], "%d", i);
        put_doc(index, ids[i], texts[i].data);
    }
    for (int pass = 0; pass < 4; pass++) {
        struct vz_snapshot *snap = vz_index_snapshot(index);
        for (uint64_t q = 0; q < 10; q++) {
            struct vz_knn_hit got[54], want[54];
            float query[8];
            random_vector(q + 5000, query, 8);
            uint32_t k = q % 2 ? 54 : 7;
            size_t found = knn_of(snap, "photos.v", query, k, NULL, false, got);
            assert_int_equal(found, k); /* 54 of the 60 have photos */
            assert_int_equal(knn_of(snap, "photos.v", query, k, NULL, true, want), k);
            for (size_t i = 0; i < k; i++) {
                assert_int_equal(got[i].docno, want[i].docno);
                assert_int_equal(got[i].row, want[i].row);
                for (size_t j = 0; j < i; j++)
                    assert_int_not_equal(got[i].docno, got[j].docno);
            }
        }
        vz_snapshot_release(snap);
        for (int i = 0; i < 60; i++)
            assert_true(source_is(index, ids[i], vz_buf_slice(&texts[i])));
        valid(index);
        if (pass == 0)
            OK(vz_index_settle(index, &err));
        else if (pass == 1)
            index = reopen(f, index, "photos");
        else if (pass == 2) {
            put_doc(index, "59", texts[59].data);
            OK(vz_index_compact(index, &err));
        }
    }
    vz_index_release(index);
    for (int i = 0; i < 60; i++)
        vz_buf_deinit(&texts[i]);
}

static void test_long_ids_and_terms(void **state)
{
    struct fixture *f = *state;
    struct vz_index *index = make_index(
        f->store, "long", "{\"mappings\":{\"properties\":{\"t\":{\"type\":\"keyword\"}}}}");
    char ids[3][514], term[3000], source[3100];
    for (int i = 0; i < 3; i++) {
        memset(ids[i], 'x', 512);
        ids[i][512] = '\0';
        ids[i][511] = (char)('a' + i);
        memset(term, 'y', sizeof term);
        term[2999] = '\0';
        term[2998] = (char)('a' + i);
        snprintf(source, sizeof source, "{\"t\":[\"%s\",\"short\",\"\"]}", term);
        assert_int_equal(put_doc(index, ids[i], source).out_version, 1);
        assert_int_equal(put_doc(index, ids[i], source).out_version, 2);
    }
    memset(ids[0], 'x', 513);
    ids[0][513] = '\0';
    struct vz_write op = {
        .verb = VZ_WRITE_INDEX, .id = vz_slice_from(ids[0]), .source = VZ_SLICE("{}")};
    op = write_one(index, op, VZ_REFRESH_NONE);
    assert_int_equal(op.status, VZ_BAD_ARGUMENT);
    assert_non_null(strstr(op.error.text, "must be no longer than 512 bytes but was: 513"));
    valid(index);
    struct vz_snapshot *snap = vz_index_snapshot(index);
    struct vz_arena arena = {0};
    uint32_t ordinal;
    assert_int_equal(vz_snapshot_ordinal_count(snap, 0), 5);
    assert_true(vz_snapshot_term_ordinal(snap, 0, vz_slice_from(term), &ordinal));
    assert_true(vz_slice_is(vz_snapshot_ordinal_term(snap, 0, ordinal, &arena), term));
    assert_true(vz_snapshot_term_ordinal(snap, 0, VZ_SLICE(""), &ordinal));
    term[10] = 'z';
    assert_false(vz_snapshot_term_ordinal(snap, 0, vz_slice_from(term), &ordinal));
    vz_arena_deinit(&arena);
    vz_snapshot_release(snap);
    vz_index_release(index);
}

/* Fields that came after a document do not appear in it when it is read again. */
static void test_mappings_grow(void **state)
{
    struct fixture *f = *state;
    struct vz_error err = {0};
    struct vz_index *index = make_index(f->store, "grow", "{}");
    put_doc(index, "1", "{\"a\":\"one\",\"late\":null}");
    put_mapping(index, "{\"properties\":{\"a\":{\"type\":\"text\",\"fields\":{\"keyword\":"
                       "{\"type\":\"keyword\"},\"len\":{\"type\":\"keyword\"}}}}}");
    put_doc(index, "2", "{\"a\":\"two\",\"b\":{\"c\":1.5,\"d\":true}}");
    valid(index);
    put_mapping(index, "{\"dynamic\":\"strict\"}");
    struct vz_write op = {
        .verb = VZ_WRITE_INDEX, .id = VZ_SLICE("3"), .source = VZ_SLICE("{\"new\":1}")};
    assert_int_equal(write_one(index, op, VZ_REFRESH_NONE).status, VZ_STRICT_MAPPING);
    valid(index);
    drop_columns(f, &index, "grow");
    valid(index);
    struct vz_snapshot *snap = vz_index_snapshot(index);
    const struct vz_field *late = vz_mapping_find(vz_snapshot_mapping(snap), VZ_SLICE("a.len"));
    struct vz_column column;
    assert_non_null(late);
    vz_snapshot_column(snap, late->id, &column);
    assert_int_equal(column.count, 1);
    assert_int_equal(column.docnos[0], 1);
    vz_snapshot_release(snap);
    put_doc(index, "2", "{\"a\":\"zwei\"}");
    OK(vz_index_compact(index, &err));
    valid(index);
    assert_true(source_is(index, "1", VZ_SLICE("{\"a\":\"one\",\"late\":null}")));
    vz_index_release(index);
}

static void test_the_first_vector_sets_dims(void **state)
{
    struct fixture *f = *state;
    struct vz_index *index = make_index(
        f->store, "dims", "{\"mappings\":{\"properties\":{\"v\":{\"type\":\"dense_vector\"}}}}");
    put_doc(index, "1", "{\"v\":[3,4,0]}");
    struct vz_write op = {
        .verb = VZ_WRITE_INDEX, .id = VZ_SLICE("2"), .source = VZ_SLICE("{\"v\":[1,2]}")};
    assert_int_equal(write_one(index, op, VZ_REFRESH_NONE).status, VZ_BAD_DOCUMENT);
    index = reopen(f, index, "dims");
    assert_true(source_is(index, "1", VZ_SLICE("{\"v\":[3,4,0]}")));
    valid(index);
    vz_index_release(index);
}

/* Vectors of any length come back bit for bit, through every way a splice keeps them. */
static void test_vectors_come_back_exactly(void **state)
{
    struct fixture *f = *state;
    struct vz_index *index =
        make_index(f->store, "exact",
                   "{\"mappings\":{\"properties\":{"
                   "\"v\":{\"type\":\"dense_vector\",\"dims\":33,\"similarity\":\"cosine\"},"
                   "\"w\":{\"type\":\"dense_vector\",\"dims\":33,\"similarity\":\"l2_norm\"}}}}");
    uint64_t rng = 3;
    struct vz_buf text = {0};
    for (int i = 0; i < 300; i++) {
        float v[33], w[33];
        char id[8];
        /* Ordinary, tiny, huge, mixed magnitudes, denormals, zeros. */
        double scale = pow(10, (double)(i % 47) - 30);
        for (int j = 0; j < 33; j++) {
            double mixed = i % 3 == 2 ? pow(10, -(double)(vz_rng_next(&rng) % 20)) : 1;
            v[j] = (float)(vz_rng_normal(&rng) * scale * mixed);
            w[j] = (float)(vz_rng_normal(&rng) * scale * mixed);
        }
        v[5] = 0.0f;
        v[6] = w[6] = -0.0f; /* printed -0.0: JSON reads -0 as the integer 0 */
        w[7] = 1e-42f;
        vz_buf_clear(&text);
        vz_buf_append_str(&text, "{\"v\":");
        vz_json_append_floats(&text, v, 33);
        vz_buf_append_str(&text, ",\"w\":");
        vz_json_append_floats(&text, w, 33);
        vz_buf_append_char(&text, '}');
        snprintf(id, sizeof id, "%d", i);
        struct vz_write op = {
            .verb = VZ_WRITE_INDEX, .id = vz_slice_from(id), .source = vz_buf_slice(&text)};
        op = write_one(index, op, VZ_REFRESH_NONE);
        if (op.status != VZ_OK)
            fail_msg("%d: %s", i, op.error.text);
        if (!source_is(index, id, vz_buf_slice(&text)))
            fail_msg("%d: %s", i, text.data);
    }
    valid(index);
    vz_buf_deinit(&text);
    vz_index_release(index);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_many_vectors_a_document, setup, teardown),
        cmocka_unit_test_setup_teardown(test_long_ids_and_terms, setup, teardown),
        cmocka_unit_test_setup_teardown(test_mappings_grow, setup, teardown),
        cmocka_unit_test_setup_teardown(test_the_first_vector_sets_dims, setup, teardown),
        cmocka_unit_test_setup_teardown(test_vectors_come_back_exactly, setup, teardown),
    };
    return cmocka_run_group_tests_name("store-shapes", tests, NULL, NULL);
}
