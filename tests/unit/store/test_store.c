/* The store as one user sees it: create, write, get, snapshot, search, reopen. */
#include "store_support.h"

static const char dogs[] =
    "{\"settings\":{\"number_of_shards\":1,\"index\":{\"refresh_interval\":\"-1\"}},"
    "\"mappings\":{\"properties\":{"
    "\"name\":{\"type\":\"keyword\"},\"age\":{\"type\":\"integer\"},"
    "\"at\":{\"type\":\"geo_point\"},\"weight\":{\"type\":\"float\"},"
    "\"image_embedding\":{\"type\":\"dense_vector\",\"dims\":8,\"similarity\":\"cosine\"}}},"
    "\"aliases\":{\"pets\":{}}}";

struct fixture {
    char *path;
    struct vz_store *store;
    struct vz_index *index;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    f->path = temp_folder();
    f->store = open_store(f->path);
    f->index = make_index(f->store, "dogs", dogs);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    vz_index_release(f->index);
    vz_store_close(f->store);
    drop_folder(f->path);
    free(f);
    return 0;
}

static void reopen(struct fixture *f)
{
    vz_index_release(f->index);
    vz_store_close(f->store);
    f->store = open_store(f->path);
    f->index = vz_store_index(f->store, VZ_SLICE("dogs"));
    assert_non_null(f->index);
}

static void valid(struct vz_index *index)
{
    struct vz_error err = {0};
    OK(vz_index_validate(index, &err));
}

static void assert_source(struct vz_index *index, const char *id, const char *want)
{
    struct vz_arena arena = {0};
    struct vz_stored_doc doc;
    struct vz_error err = {0};
    OK(vz_index_get(index, vz_slice_from(id), VZ_DOC_SOURCE, &arena, &doc, &err));
    char *text = vz_strndup(doc.source.ptr, doc.source.len);
    assert_string_equal(text, want);
    free(text);
    vz_arena_deinit(&arena);
}

static const char luigi[] = "{\"name\":\"Luigi\", \"age\":3,\"image_embedding\":[0.1,0.2,0.3,0.4,"
                            "0.5,0.6,0.7,0.8],\"at\":\"47.5,19.0\",\"weight\":7.5}";

static void test_a_document_comes_back_as_it_was_sent(void **state)
{
    struct fixture *f = *state;
    struct vz_write op = put_doc(f->index, "1", luigi);
    assert_int_equal(op.result, VZ_RESULT_CREATED);
    assert_int_equal(op.out_version, 1);
    assert_int_equal(op.out_seq_no, 0);
    assert_source(f->index, "1", luigi);
    op = put_doc(f->index, "1", "{\"name\":\"Luigi\",\"age\":4}");
    assert_int_equal(op.result, VZ_RESULT_UPDATED);
    assert_int_equal(op.out_version, 2);
    assert_int_equal(op.out_seq_no, 1);
    assert_source(f->index, "1", "{\"name\":\"Luigi\",\"age\":4}");
    valid(f->index);
    reopen(f);
    assert_source(f->index, "1", "{\"name\":\"Luigi\",\"age\":4}");
    valid(f->index);
}

static void test_versions_go_on_after_a_delete(void **state)
{
    struct fixture *f = *state;
    struct vz_arena arena = {0};
    struct vz_stored_doc doc;
    struct vz_error err = {0};
    put_doc(f->index, "1", luigi);
    struct vz_write gone = {.verb = VZ_WRITE_DELETE, .id = VZ_SLICE("1")};
    gone = write_one(f->index, gone, VZ_REFRESH_NONE);
    assert_int_equal(gone.result, VZ_RESULT_DELETED);
    assert_int_equal(gone.out_version, 2);
    assert_int_equal(vz_index_get(f->index, VZ_SLICE("1"), VZ_DOC_META, &arena, &doc, &err),
                     VZ_NOT_FOUND);
    struct vz_write never = {.verb = VZ_WRITE_DELETE, .id = VZ_SLICE("2")};
    never = write_one(f->index, never, VZ_REFRESH_NONE);
    assert_int_equal(never.status, VZ_OK);
    assert_int_equal(never.result, VZ_RESULT_NOT_FOUND);
    reopen(f);
    assert_int_equal(put_doc(f->index, "1", luigi).out_version, 3);
    valid(f->index);
    vz_arena_deinit(&arena);
}

static void test_conflicts_in_elasticsearchs_words(void **state)
{
    struct fixture *f = *state;
    put_doc(f->index, "1", luigi);
    struct vz_write op = {.verb = VZ_WRITE_CREATE, .id = VZ_SLICE("1"), .source = VZ_SLICE("{}")};
    op = write_one(f->index, op, VZ_REFRESH_NONE);
    assert_int_equal(op.status, VZ_CONFLICT);
    assert_string_equal(op.error.text, "[1]: version conflict, document already exists (current "
                                       "version [1])");
    op = (struct vz_write){.verb = VZ_WRITE_INDEX,
                           .id = VZ_SLICE("1"),
                           .source = VZ_SLICE("{}"),
                           .has_if_seq_no = true,
                           .if_seq_no = 3,
                           .if_primary_term = 1};
    op = write_one(f->index, op, VZ_REFRESH_NONE);
    assert_int_equal(op.status, VZ_CONFLICT);
    assert_string_equal(op.error.text,
                        "[1]: version conflict, required seqNo [3], primary term [1]. current "
                        "document has seqNo [0] and primary term [1]");
    op.if_seq_no = 0;
    op = write_one(f->index, op, VZ_REFRESH_NONE);
    assert_int_equal(op.status, VZ_OK);
    op = (struct vz_write){.verb = VZ_WRITE_INDEX,
                           .id = VZ_SLICE("1"),
                           .source = VZ_SLICE("{}"),
                           .has_version = true,
                           .version = 2};
    op = write_one(f->index, op, VZ_REFRESH_NONE);
    assert_int_equal(op.status, VZ_CONFLICT);
    assert_string_equal(op.error.text, "[1]: version conflict, current version [2] is higher or "
                                       "equal to the one provided [2]");
    op.version = 7;
    op = write_one(f->index, op, VZ_REFRESH_NONE);
    assert_int_equal(op.out_version, 7);
    valid(f->index);
}

static struct vz_write update(struct vz_index *index, const char *id, const char *body)
{
    return write_one(index,
                     (struct vz_write){.verb = VZ_WRITE_UPDATE,
                                       .id = vz_slice_from(id),
                                       .source = vz_slice_from(body)},
                     VZ_REFRESH_NONE);
}

static void test_partial_updates_merge(void **state)
{
    struct fixture *f = *state;
    put_doc(f->index, "1", "{\"name\":\"Luigi\",\"o\":{\"a\":1,\"b\":[1,2]},\"age\":3}");
    struct vz_write op = update(f->index, "1", "{\"doc\":{\"o\":{\"b\":[3],\"c\":\"x\"}}}");
    assert_int_equal(op.status, VZ_OK);
    assert_int_equal(op.result, VZ_RESULT_UPDATED);
    assert_source(f->index, "1",
                  "{\"name\":\"Luigi\",\"o\":{\"a\":1,\"b\":[3],\"c\":\"x\"},\"age\":3}");
    op = update(f->index, "1", "{\"doc\":{\"age\":3}}");
    assert_int_equal(op.result, VZ_RESULT_NOOP);
    assert_int_equal(op.out_version, 2);
    op = update(f->index, "1", "{\"doc\":{\"age\":3},\"detect_noop\":false}");
    assert_int_equal(op.result, VZ_RESULT_UPDATED);
    op = update(f->index, "2", "{\"doc\":{\"age\":3}}");
    assert_int_equal(op.status, VZ_NOT_FOUND);
    assert_string_equal(op.error.text, "[2]: document missing");
    op = update(f->index, "2", "{\"doc\":{\"age\":3},\"upsert\":{\"age\":9}}");
    assert_int_equal(op.result, VZ_RESULT_CREATED);
    assert_source(f->index, "2", "{\"age\":9}");
    op = update(f->index, "3", "{\"doc\":{\"age\":4},\"doc_as_upsert\":true}");
    assert_source(f->index, "3", "{\"age\":4}");
    op = update(f->index, "3", "{\"script\":{\"source\":\"x\"}}");
    assert_int_equal(op.status, VZ_UNSUPPORTED);
    op = update(f->index, "3", "{\"doc\":{\"age\":\"old\"}}");
    assert_int_equal(op.status, VZ_BAD_DOCUMENT);
    assert_source(f->index, "3", "{\"age\":4}");
    valid(f->index);
}

static void test_an_update_keeps_the_vector(void **state)
{
    struct fixture *f = *state;
    struct vz_write ops[] = {
        {.verb = VZ_WRITE_INDEX, .id = VZ_SLICE("1"), .source = VZ_SLICE(luigi)},
        {.verb = VZ_WRITE_UPDATE, .id = VZ_SLICE("1"), .source = VZ_SLICE("{\"doc\":{\"age\":5}}")},
        {.verb = VZ_WRITE_DELETE, .id = VZ_SLICE("2")},
    };
    struct vz_error err = {0};
    OK(vz_index_write(f->index, ops, 3, NULL, &err));
    assert_int_equal(ops[0].status, VZ_OK);
    assert_int_equal(ops[1].status, VZ_OK);
    assert_int_equal(ops[1].out_version, 2);
    assert_source(f->index, "1",
                  "{\"name\":\"Luigi\",\"age\":5,\"image_embedding\":[0.1,0.2,0.3,0.4,"
                  "0.5,0.6,0.7,0.8],\"at\":\"47.5,19.0\",\"weight\":7.5}");
    valid(f->index);
}

static void test_snapshots_are_frozen(void **state)
{
    struct fixture *f = *state;
    struct vz_error err = {0};
    struct vz_arena arena = {0};
    struct vz_stored_doc doc;
    uint32_t docno;
    struct vz_snapshot *empty = vz_index_snapshot(f->index);
    put_doc(f->index, "1", "{\"age\":1}");
    struct vz_snapshot *one = vz_index_snapshot(f->index);
    for (int i = 2; i < 6; i++) {
        char source[32];
        snprintf(source, sizeof source, "{\"age\":%d}", i);
        write_one(f->index,
                  (struct vz_write){
                      .verb = VZ_WRITE_INDEX, .id = VZ_SLICE("1"), .source = vz_slice_from(source)},
                  VZ_REFRESH_NONE);
    }
    struct vz_snapshot *same = vz_index_snapshot(f->index);
    assert_int_equal(vz_snapshot_doc_count(empty), 0);
    assert_int_equal(vz_snapshot_doc_limit(same), 1);
    OK(vz_snapshot_find(same, VZ_SLICE("1"), &docno, &err));
    assert_int_equal(docno, 0);
    OK(vz_snapshot_doc(same, docno, VZ_DOC_SOURCE, &arena, &doc, &err));
    assert_int_equal(doc.version, 1);
    OK(vz_index_refresh(f->index, &err));
    struct vz_snapshot *two = vz_index_snapshot(f->index);
    OK(vz_snapshot_find(one, VZ_SLICE("1"), &docno, &err));
    assert_int_equal(docno, 0);
    assert_true(vz_snapshot_live(one, 0));
    OK(vz_snapshot_find(two, VZ_SLICE("1"), &docno, &err));
    assert_int_equal(docno, 4);
    assert_false(vz_snapshot_live(two, 0));
    assert_int_equal(vz_snapshot_doc_count(two), 1);
    assert_int_equal(vz_snapshot_find(empty, VZ_SLICE("1"), &docno, &err), VZ_NOT_FOUND);
    write_one(f->index, (struct vz_write){.verb = VZ_WRITE_DELETE, .id = VZ_SLICE("1")},
              VZ_REFRESH_TRUE);
    OK(vz_snapshot_find(two, VZ_SLICE("1"), &docno, &err));
    vz_snapshot_release(empty);
    vz_snapshot_release(one);
    vz_snapshot_release(same);
    vz_snapshot_release(two);
    vz_arena_deinit(&arena);
    valid(f->index);
}

static void test_columns_hold_the_values(void **state)
{
    struct fixture *f = *state;
    put_doc(f->index, "1", luigi);
    put_doc(f->index, "2", "{\"name\":[\"Rex\",\"Luigi\"],\"age\":[5,1]}");
    put_doc(f->index, "3", "{\"weight\":2.25}");
    for (int pass = 0; pass < 2; pass++) {
        struct vz_snapshot *snap = vz_index_snapshot(f->index);
        const struct vz_mapping *mapping = vz_snapshot_mapping(snap);
        struct vz_arena arena = {0};
        struct vz_column column;
        uint32_t ordinal;
        uint16_t name = vz_mapping_find(mapping, VZ_SLICE("name"))->id;
        vz_snapshot_column(snap, vz_mapping_find(mapping, VZ_SLICE("age"))->id, &column);
        assert_int_equal(column.count, 3);
        assert_int_equal(column.docnos[2], 1);
        assert_int_equal(column.i64[0], 3);
        assert_int_equal(vz_column_find(&column, 2), 3);
        assert_int_equal(vz_column_find(&column, 1), 1);
        vz_snapshot_column(snap, name, &column);
        assert_int_equal(column.count, 3);
        assert_true(vz_snapshot_term_ordinal(snap, name, VZ_SLICE("Luigi"), &ordinal));
        assert_int_equal(column.ordinals[0], ordinal);
        assert_false(vz_snapshot_term_ordinal(snap, name, VZ_SLICE("Nobody"), &ordinal));
        assert_int_equal(vz_snapshot_ordinal_count(snap, name), 2);
        assert_true(vz_slice_is(vz_snapshot_ordinal_term(snap, name, 1, &arena), "Rex"));
        vz_snapshot_column(snap, vz_mapping_find(mapping, VZ_SLICE("at"))->id, &column);
        assert_int_equal(column.count, 1);
        assert_true(column.geo[0].lat == 47.5 && column.geo[0].lon == 19.0);
        vz_snapshot_column(snap, vz_mapping_find(mapping, VZ_SLICE("image_embedding"))->id,
                           &column);
        assert_int_equal(column.count, 1);
        vz_arena_deinit(&arena);
        vz_snapshot_release(snap);
        reopen(f);
    }
    valid(f->index);
}

static void add_vectors(struct vz_index *index, int first, int last)
{
    struct vz_error err = {0};
    struct vz_buf texts[500] = {{0}};
    char ids[500][16];
    for (int from = first; from < last; from += 500) {
        struct vz_write ops[500] = {{0}};
        int count = VZ_MIN(last - from, 500);
        for (int i = 0; i < count; i++) {
            snprintf(ids[i], sizeof ids[i], "v%d", from + i);
            vz_buf_clear(&texts[i]);
            vz_buf_printf(&texts[i], "{\"age\":%d,\"image_embedding\":", from + i);
            append_vector(&texts[i], (uint64_t)(from + i), 8);
            vz_buf_append_str(&texts[i], "}");
            ops[i] = (struct vz_write){.verb = VZ_WRITE_INDEX,
                                       .id = vz_slice_from(ids[i]),
                                       .source = vz_buf_slice(&texts[i])};
        }
        OK(vz_index_write(index, ops, (size_t)count, NULL, &err));
        for (int i = 0; i < count; i++)
            assert_int_equal(ops[i].status, VZ_OK);
    }
    for (size_t i = 0; i < VZ_COUNT_OF(texts); i++)
        vz_buf_deinit(&texts[i]);
    OK(vz_index_refresh(index, &err));
}

/* Graph plus tail must agree with the scan nearly always; filters must hold always. */
static void check_knn(struct vz_index *index, int count)
{
    struct vz_snapshot *snap = vz_index_snapshot(index);
    size_t agreed = 0, asked = 0;
    for (uint64_t q = 0; q < 20; q++) {
        float query[8];
        struct vz_knn_hit got[10], want[10];
        struct vz_bitset odd;
        random_vector(q + 1000000, query, 8);
        size_t found = knn_of(snap, "image_embedding", query, 10, NULL, false, got);
        assert_int_equal(knn_of(snap, "image_embedding", query, 10, NULL, true, want), 10);
        assert_int_equal(found, 10);
        for (size_t i = 0; i < 10; i++, asked++)
            for (size_t j = 0; j < 10; j++)
                agreed += got[i].docno == want[j].docno;
        vz_bitset_init(&odd, vz_snapshot_doc_limit(snap));
        for (uint32_t d = 1; d < vz_snapshot_doc_limit(snap); d += q % 2 ? 2 : 97)
            vz_bitset_set(&odd, d);
        found = knn_of(snap, "image_embedding", query, 10, &odd, false, got);
        assert_int_equal(found, knn_of(snap, "image_embedding", query, 10, &odd, true, want));
        assert_true(found > 0);
        for (size_t i = 0; i < found; i++)
            assert_true(vz_bitset_has(&odd, got[i].docno) && vz_snapshot_live(snap, got[i].docno));
        vz_bitset_deinit(&odd);
    }
    assert_true(agreed * 100 >= asked * 97);
    for (int i = 0; i < count; i += 37) {
        float query[8];
        struct vz_knn_hit hit;
        random_vector((uint64_t)i, query, 8);
        assert_int_equal(knn_of(snap, "image_embedding", query, 1, NULL, false, &hit), 1);
        assert_true(hit.similarity > 0.999f);
    }
    vz_snapshot_release(snap);
}

static void test_knn_through_graph_and_tail(void **state)
{
    struct fixture *f = *state;
    struct vz_error err = {0};
    struct vz_index_stats stats;
    add_vectors(f->index, 0, 3000);
    check_knn(f->index, 3000);
    OK(vz_index_settle(f->index, &err));
    vz_index_stats(f->index, &stats);
    assert_int_equal(stats.rows_in_graph, 3000);
    check_knn(f->index, 3000);
    add_vectors(f->index, 3000, 4000);
    check_knn(f->index, 4000);
    reopen(f);
    check_knn(f->index, 4000);
    valid(f->index);
}

static void test_compaction_keeps_the_living(void **state)
{
    struct fixture *f = *state;
    struct vz_error err = {0};
    struct vz_index_stats stats;
    char want[64], id[16];
    add_vectors(f->index, 0, 1000);
    put_doc(f->index, "x", luigi);
    struct vz_snapshot *before = vz_index_snapshot(f->index);
    assert_int_equal(vz_snapshot_doc_count(before), 1001);
    for (int i = 0; i < 1000; i++) {
        snprintf(id, sizeof id, "v%d", i);
        snprintf(want, sizeof want, "{\"age\":%d,\"name\":\"n%d\"}", -i, i);
        struct vz_write op = {.verb = i % 3 ? VZ_WRITE_DELETE : VZ_WRITE_INDEX,
                              .id = vz_slice_from(id),
                              .source = vz_slice_from(want)};
        if (i % 3 != 2)
            write_one(f->index, op, VZ_REFRESH_NONE);
    }
    OK(vz_index_compact(f->index, &err));
    valid(f->index);
    vz_index_stats(f->index, &stats);
    assert_int_equal(stats.docs, 334 + 333 + 1);
    assert_int_equal(stats.deleted, 0);
    assert_int_equal(stats.rows, 333 + 1);
    assert_source(f->index, "v3", "{\"age\":-3,\"name\":\"n3\"}");
    assert_source(f->index, "x", luigi);
    assert_int_equal(vz_snapshot_doc_count(before), 1001);
    float old_query[8];
    struct vz_knn_hit old_hit;
    random_vector(1, old_query, 8);
    assert_int_equal(knn_of(before, "image_embedding", old_query, 1, NULL, false, &old_hit), 1);
    assert_true(old_hit.similarity > 0.999f && old_hit.docno == 1);
    vz_snapshot_release(before);
    check_knn(f->index, 0);
    struct vz_write op = put_doc(f->index, "v3", luigi);
    assert_int_equal(op.out_version, 3);
    assert_int_equal(op.out_seq_no, 1001 + 667);
    op = put_doc(f->index, "v1", luigi); /* deleted before, at version 2: it is not forgotten */
    assert_int_equal(op.out_version, 3);
    assert_int_equal(op.result, VZ_RESULT_CREATED);
    op = write_one(f->index,
                   (struct vz_write){.verb = VZ_WRITE_INDEX,
                                     .id = VZ_SLICE("v4"),
                                     .source = VZ_SLICE("{}"),
                                     .has_version = true,
                                     .version = 2},
                   VZ_REFRESH_NONE);
    assert_int_equal(op.status, VZ_CONFLICT); /* an old version that comes late */
    reopen(f);
    valid(f->index);
    assert_source(f->index, "x", luigi);
    struct vz_knn_hit hits[1];
    float query[8] = {1, 2, 3, 4, 5, 6, 7, 8};
    struct vz_snapshot *after = vz_index_snapshot(f->index);
    assert_int_equal(knn_of(after, "image_embedding", query, 1, NULL, false, hits), 1);
    assert_true(hits[0].similarity > 0.9999f);
    vz_snapshot_release(after);
}

static void test_aliases_and_names(void **state)
{
    struct fixture *f = *state;
    struct vz_error err = {0};
    struct vz_arena arena = {0};
    struct vz_alias *aliases;
    struct vz_slice *names;
    assert_int_equal(vz_store_create_index(f->store, VZ_SLICE("dogs"), (struct vz_json){0}, &err),
                     VZ_EXISTS);
    assert_int_equal(vz_store_create_index(f->store, VZ_SLICE("pets"), (struct vz_json){0}, &err),
                     VZ_BAD_NAME);
    assert_int_equal(vz_store_create_index(f->store, VZ_SLICE("Dogs"), (struct vz_json){0}, &err),
                     VZ_BAD_NAME);
    OK(vz_store_create_index(f->store, VZ_SLICE("cats"), (struct vz_json){0}, &err));
    assert_int_equal(vz_store_aliases(f->store, &arena, &aliases), 1);
    assert_true(vz_slice_is(aliases[0].name, "pets") && vz_slice_is(aliases[0].index, "dogs"));
    struct vz_alias_action actions[] = {
        {VZ_ALIAS_ADD,
         {.name = VZ_SLICE("all"),
          .index = VZ_SLICE("cats"),
          .has_write_index = true,
          .is_write_index = true},
         false},
        {VZ_ALIAS_REMOVE, {.name = VZ_SLICE("pets"), .index = VZ_SLICE("dogs")}, true},
        {VZ_ALIAS_REMOVE, {.name = VZ_SLICE("none"), .index = VZ_SLICE("dogs")}, true},
    };
    assert_int_equal(vz_store_update_aliases(f->store, actions, 3, &err), VZ_NOT_FOUND);
    assert_int_equal(vz_store_aliases(f->store, &arena, &aliases), 1);
    OK(vz_store_update_aliases(f->store, actions, 2, &err));
    reopen(f);
    assert_int_equal(vz_store_aliases(f->store, &arena, &aliases), 1);
    assert_true(vz_slice_is(aliases[0].name, "all") && aliases[0].is_write_index);
    assert_int_equal(vz_store_names(f->store, &arena, &names), 2);
    assert_true(vz_slice_is(names[0], "cats") && vz_slice_is(names[1], "dogs"));
    OK(vz_store_delete_index(f->store, VZ_SLICE("cats"), &err));
    assert_int_equal(vz_store_aliases(f->store, &arena, &aliases), 0);
    assert_int_equal(vz_store_delete_index(f->store, VZ_SLICE("cats"), &err), VZ_NO_INDEX);
    assert_null(vz_store_index(f->store, VZ_SLICE("cats")));
    vz_arena_deinit(&arena);
}

static void test_a_snapshot_outlives_its_index(void **state)
{
    struct fixture *f = *state;
    struct vz_error err = {0};
    struct vz_arena arena = {0};
    struct vz_stored_doc doc;
    put_doc(f->index, "1", luigi);
    struct vz_snapshot *snap = vz_index_snapshot(f->index);
    OK(vz_store_delete_index(f->store, VZ_SLICE("dogs"), &err));
    struct vz_write op = {.verb = VZ_WRITE_INDEX, .id = VZ_SLICE("2"), .source = VZ_SLICE("{}")};
    assert_int_equal(vz_index_write(f->index, &op, 1, NULL, &err), VZ_NO_INDEX);
    OK(vz_snapshot_doc(snap, 0, VZ_DOC_SOURCE, &arena, &doc, &err));
    assert_true(vz_slice_is(doc.source, luigi));
    vz_index_release(f->index);
    f->index = make_index(f->store, "dogs", dogs);
    vz_snapshot_release(snap);
    vz_arena_deinit(&arena);
}

static void test_one_process_holds_the_folder(void **state)
{
    struct fixture *f = *state;
    struct vz_error err = {0};
    struct vz_store *second;
    struct vz_buf url = {0};
    assert_int_equal(vz_store_open(f->path, &(struct vz_store_options){0}, &second, &err), VZ_BUSY);
    OK(vz_store_set_url(f->store, "http://127.0.0.1:9200", &err));
    assert_true(vz_store_holder(f->path, &url));
    assert_string_equal(url.data, "http://127.0.0.1:9200");
    assert_false(vz_store_holder("/nonexistent", &url));
    vz_buf_deinit(&url);
}

static void test_settings_print_and_change(void **state)
{
    struct fixture *f = *state;
    struct vz_error err = {0};
    struct vz_buf out = {0};
    struct vz_json_doc *doc;
    struct vz_json body;
    vz_index_print_settings(f->index, &out);
    assert_non_null(strstr(out.data, "\"refresh_interval\":\"-1\""));
    assert_non_null(strstr(out.data, "\"version\":{\"created\":"));
    assert_non_null(strstr(out.data, "\"number_of_replicas\":\"1\""));
    OK(vz_json_parse(VZ_SLICE("{\"index\":{\"blocks\":{\"write\":true}},"
                              "\"max_result_window\":50}"),
                     &doc, &body, &err));
    OK(vz_index_put_settings(f->index, body, &err));
    vz_json_free(doc);
    reopen(f);
    assert_int_equal(vz_index_max_result_window(f->index), 50);
    struct vz_write op = {.verb = VZ_WRITE_INDEX, .id = VZ_SLICE("2"), .source = VZ_SLICE("{}")};
    assert_int_equal(vz_index_write(f->index, &op, 1, NULL, &err), VZ_READ_ONLY);
    OK(vz_json_parse(VZ_SLICE("{\"index.number_of_shards\":2}"), &doc, &body, &err));
    assert_int_equal(vz_index_put_settings(f->index, body, &err), VZ_BAD_MAPPING);
    vz_json_free(doc);
    OK(vz_json_parse(VZ_SLICE("{\"index.foo\":2}"), &doc, &body, &err));
    assert_int_equal(vz_index_put_settings(f->index, body, &err), VZ_BAD_MAPPING);
    vz_json_free(doc);
    vz_buf_deinit(&out);
}

/* Acknowledged before the commit, seen all the same, and durable after the interval. */
static void test_async_durability(void **state)
{
    struct fixture *f = *state;
    struct vz_error err = {0};
    struct vz_index_stats stats;
    struct vz_index *index =
        make_index(f->store, "fast",
                   "{\"settings\":{\"index.translog.durability\":\"async\","
                   "\"index.translog.sync_interval\":\"10m\","
                   "\"refresh_interval\":\"-1\"},"
                   "\"mappings\":{\"properties\":{\"v\":{\"type\":\"dense_vector\","
                   "\"dims\":4,\"similarity\":\"cosine\"}}}}");
    struct vz_write op = {.verb = VZ_WRITE_INDEX,
                          .id = VZ_SLICE("1"),
                          .source = VZ_SLICE("{\"v\":[1,2,3,4],\"a\":1}")};
    for (int i = 0; i < 100; i++)
        assert_int_equal(write_one(index, op, VZ_REFRESH_NONE).out_version, i + 1);
    vz_index_stats(index, &stats);
    assert_true(stats.commit_total < 50);
    assert_source(index, "1", "{\"v\":[1,2,3,4],\"a\":1}");
    op = update(index, "1", "{\"doc\":{\"a\":2}}");
    assert_int_equal(op.result, VZ_RESULT_UPDATED);
    op = (struct vz_write){.verb = VZ_WRITE_CREATE, .id = VZ_SLICE("1"), .source = VZ_SLICE("{}")};
    assert_int_equal(write_one(index, op, VZ_REFRESH_NONE).status, VZ_CONFLICT);
    op = (struct vz_write){.verb = VZ_WRITE_CREATE, .id = VZ_SLICE("2"), .source = VZ_SLICE("{}")};
    assert_int_equal(write_one(index, op, VZ_REFRESH_WAIT_FOR).status, VZ_OK);
    struct vz_snapshot *snap = vz_index_snapshot(index);
    assert_int_equal(vz_snapshot_doc_count(snap), 2);
    vz_snapshot_release(snap);
    op = (struct vz_write){.verb = VZ_WRITE_CREATE, .id = VZ_SLICE("3"), .source = VZ_SLICE("{}")};
    write_one(index, op, VZ_REFRESH_NONE);
    vz_index_stats(index, &stats);
    assert_int_equal(stats.docs_written, 2);
    struct vz_json_doc *doc;
    struct vz_json body;
    OK(vz_json_parse(VZ_SLICE("{\"index.translog.sync_interval\":\"100ms\"}"), &doc, &body, &err));
    OK(vz_index_put_settings(index, body, &err));
    vz_json_free(doc);
    op = (struct vz_write){.verb = VZ_WRITE_CREATE, .id = VZ_SLICE("4"), .source = VZ_SLICE("{}")};
    write_one(index, op, VZ_REFRESH_NONE);
    for (int tries = 0; stats.docs_written < 4 && tries < 6000; tries++) { /* a minute */
        usleep(10000);
        vz_index_stats(index, &stats);
    }
    assert_int_equal(stats.docs_written, 4);
    OK(vz_index_validate(index, &err));
    op = (struct vz_write){.verb = VZ_WRITE_CREATE, .id = VZ_SLICE("5"), .source = VZ_SLICE("{}")};
    write_one(index, op, VZ_REFRESH_NONE);
    vz_index_release(index);
    reopen(f);
    index = vz_store_index(f->store, VZ_SLICE("fast"));
    assert_source(index, "5", "{}");
    OK(vz_index_validate(index, &err));
    vz_index_release(index);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_a_document_comes_back_as_it_was_sent, setup, teardown),
        cmocka_unit_test_setup_teardown(test_versions_go_on_after_a_delete, setup, teardown),
        cmocka_unit_test_setup_teardown(test_conflicts_in_elasticsearchs_words, setup, teardown),
        cmocka_unit_test_setup_teardown(test_partial_updates_merge, setup, teardown),
        cmocka_unit_test_setup_teardown(test_an_update_keeps_the_vector, setup, teardown),
        cmocka_unit_test_setup_teardown(test_snapshots_are_frozen, setup, teardown),
        cmocka_unit_test_setup_teardown(test_columns_hold_the_values, setup, teardown),
        cmocka_unit_test_setup_teardown(test_knn_through_graph_and_tail, setup, teardown),
        cmocka_unit_test_setup_teardown(test_compaction_keeps_the_living, setup, teardown),
        cmocka_unit_test_setup_teardown(test_aliases_and_names, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_snapshot_outlives_its_index, setup, teardown),
        cmocka_unit_test_setup_teardown(test_one_process_holds_the_folder, setup, teardown),
        cmocka_unit_test_setup_teardown(test_async_durability, setup, teardown),
        cmocka_unit_test_setup_teardown(test_settings_print_and_change, setup, teardown),
    };
    return cmocka_run_group_tests_name("store", tests, NULL, NULL);
}
