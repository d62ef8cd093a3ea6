/* Sources packed with what an index's documents have in common: they come back byte for byte,
 * through reopening, updates, compaction and copies. */
#include "store/packing.h"
#include "store_support.h"

#include <pthread.h>

#define DOCS 600

static struct vz_slice product(struct vz_arena *arena, unsigned number, const char *mark)
{
    static const char *const words[] = {"amber",  "birch", "copper", "denim", "ebony", "flint",
                                        "ginger", "hazel", "indigo", "jade",  "khaki", "linen"};
    uint64_t rng = number * 7919u + 1;
    struct vz_buf text = {0};
    vz_buf_printf(&text, "{\"title\":\"%s", mark);
    for (unsigned i = 0; i < 12 + number % 9; i++)
        vz_buf_printf(&text, " %s", words[vz_rng_next(&rng) % VZ_COUNT_OF(words)]);
    vz_buf_printf(&text, "\",\"department\":\"department %u\",\"price\":%u.%02u,\"stock\":%u}",
                  number % 8, number % 97, number % 100, number);
    struct vz_slice made = vz_arena_copy(arena, vz_buf_slice(&text));
    vz_buf_deinit(&text);
    return made;
}

static struct vz_slice noise(struct vz_arena *arena, unsigned number)
{
    uint64_t rng = number * 104729u + 3;
    char *bytes = vz_arena_alloc(arena, 200);
    for (unsigned i = 0; i < 200; i++)
        bytes[i] = (char)vz_rng_next(&rng);
    return (struct vz_slice){bytes, 200};
}

static void test_pack_and_unpack(void **state)
{
    struct vz_arena arena = {0};
    struct vz_slice sources[DOCS], back;
    size_t together = 0, alone = 0;
    bool compressed, shared;
    for (unsigned i = 0; i < DOCS; i++)
        sources[i] = product(&arena, i, "");
    struct vz_packer *packer = vz_packer_train(sources, DOCS);
    assert_non_null(packer);
    struct vz_packer *again = vz_packer_new(vz_packer_bytes(packer)); /* as a reopening makes it */
    for (unsigned i = 0; i < DOCS; i++) {
        struct vz_slice stored = vz_source_pack(packer, sources[i], &arena, &compressed, &shared);
        assert_true(compressed && shared);
        together += stored.len;
        assert_true(vz_source_unpack(again, stored, sources[i].len, &arena, &back));
        assert_true(vz_slice_eq(back, sources[i]));
        assert_false(vz_source_unpack(again, stored, sources[i].len - 1, &arena, &back));
        assert_false(vz_source_unpack(again, stored, sources[i].len + 1, &arena, &back));
        assert_false(vz_source_unpack(NULL, stored, sources[i].len, &arena, &back));
        stored = vz_source_pack(NULL, sources[i], &arena, &compressed, &shared);
        assert_false(shared);
        alone += stored.len;
    }
    assert_true(together * 10 < alone * 7);
    struct vz_slice small = VZ_SLICE("{\"a\":1}");
    assert_ptr_equal(vz_source_pack(packer, small, &arena, &compressed, &shared).ptr, small.ptr);
    assert_false(compressed || shared);
    vz_packer_free(again);
    vz_packer_free(packer);
    vz_arena_deinit(&arena);
}

static void test_no_packer(void **state)
{
    struct vz_arena arena = {0};
    struct vz_slice sources[DOCS];
    for (unsigned i = 0; i < DOCS; i++)
        sources[i] = product(&arena, i, "");
    assert_null(vz_packer_train(sources, VZ_PACKER_SAMPLES - 1));
    assert_null(vz_packer_train(NULL, 0));
    for (unsigned i = 0; i < DOCS; i++)
        sources[i] = noise(&arena, i);
    assert_null(vz_packer_train(sources, DOCS));
    for (unsigned i = 0; i < DOCS; i++)
        sources[i] = VZ_SLICE("{\"too\":\"small\"}");
    assert_null(vz_packer_train(sources, DOCS));
    vz_arena_deinit(&arena);
}

/* ---- in an index --------------------------------------------------------------------------- */

static void write_products(struct vz_index *index, unsigned from, unsigned count, const char *mark)
{
    struct vz_error err = {0};
    struct vz_arena arena = {0};
    struct vz_write *ops = calloc(count, sizeof *ops);
    for (unsigned i = 0; i < count; i++) {
        char id[16];
        snprintf(id, sizeof id, "p%u", from + i);
        struct vz_slice source = product(&arena, from + i, mark);
        ops[i].verb = VZ_WRITE_INDEX;
        ops[i].id = vz_arena_copy(&arena, vz_slice_from(id));
        ops[i].source = source;
    }
    OK(vz_index_write(index, ops, count, NULL, &err));
    for (unsigned i = 0; i < count; i++)
        assert_int_equal(ops[i].status, VZ_OK);
    free(ops);
    vz_arena_deinit(&arena);
}

static void delete_product(struct vz_index *index, unsigned number)
{
    char id[16];
    snprintf(id, sizeof id, "p%u", number);
    write_one(index, (struct vz_write){.verb = VZ_WRITE_DELETE, .id = vz_slice_from(id)},
              VZ_REFRESH_NONE);
}

static void products_are(struct vz_index *index, unsigned from, unsigned count, const char *mark)
{
    struct vz_error err = {0};
    struct vz_arena arena = {0};
    struct vz_stored_doc doc;
    char id[16];
    for (unsigned i = from; i < from + count; i++) {
        snprintf(id, sizeof id, "p%u", i);
        OK(vz_index_get(index, vz_slice_from(id), VZ_DOC_SOURCE, &arena, &doc, &err));
        assert_true(vz_slice_eq(doc.source, product(&arena, i, mark)));
    }
    vz_arena_deinit(&arena);
}

static void valid(struct vz_index *index)
{
    struct vz_error err = {0};
    OK(vz_index_refresh(index, &err));
    OK(vz_index_validate(index, &err));
}

static const char mapping[] = "{\"mappings\":{\"properties\":{\"title\":{\"type\":\"text\"},"
                              "\"department\":{\"type\":\"keyword\"}}}}";

static void test_documents_come_back(void **state)
{
    struct vz_error err = {0};
    char *path = temp_folder();
    struct vz_store *store = open_store(path);
    struct vz_index *index = make_index(store, "shop", mapping);
    write_products(index, 0, 50, "alone"); /* too few: no packer yet */
    write_products(index, 50, DOCS, "many");
    write_products(index, 50 + DOCS, 20, "few");
    valid(index);
    vz_index_release(index);
    vz_store_close(store);
    store = open_store(path);
    index = vz_store_index(store, VZ_SLICE("shop"));
    products_are(index, 0, 50, "alone");
    products_are(index, 50, DOCS, "many");
    products_are(index, 50 + DOCS, 20, "few");
    write_products(index, 0, 30, "newer");
    for (unsigned i = 50; i < 150; i++)
        delete_product(index, i);
    struct vz_write op = write_one(index,
                                   (struct vz_write){.verb = VZ_WRITE_UPDATE,
                                                     .id = VZ_SLICE("p200"),
                                                     .source = VZ_SLICE("{\"doc\":{\"x\":1}}")},
                                   VZ_REFRESH_NONE);
    assert_int_equal(op.status, VZ_OK);
    assert_int_equal(op.result, VZ_RESULT_UPDATED);
    write_products(index, 200, 1, "whole");
    OK(vz_index_compact(index, &err));
    valid(index);
    products_are(index, 0, 30, "newer");
    products_are(index, 30, 20, "alone");
    products_are(index, 150, 50, "many");
    products_are(index, 200, 1, "whole");
    products_are(index, 50 + DOCS, 20, "few");
    write_products(index, 1000, 10, "behind");
    vz_index_release(index);
    vz_store_close(store);
    store = open_store(path);
    index = vz_store_index(store, VZ_SLICE("shop"));
    products_are(index, 201, DOCS - 151, "many");
    products_are(index, 1000, 10, "behind");
    valid(index);
    vz_index_release(index);
    vz_store_close(store);
    drop_folder(path);
}

static void *write_many(void *index)
{
    for (unsigned i = 0; i < 6; i++)
        write_products(index, 2000 + i * DOCS, DOCS, "while");
    return NULL;
}

/* The packer is made while a compaction copies what was written without one. */
static void test_compaction_meanwhile(void **state)
{
    struct vz_error err = {0};
    for (unsigned round = 0; round < 4; round++) {
        char *path = temp_folder();
        struct vz_store *store = open_store(path);
        struct vz_index *index = make_index(store, "shop", mapping);
        pthread_t thread;
        for (unsigned i = 0; i < 8; i++)
            write_products(index, i * 100, 100, "before");
        for (unsigned i = 0; i < 20; i++)
            delete_product(index, i);
        pthread_create(&thread, NULL, write_many, index);
        OK(vz_index_compact(index, &err));
        delete_product(index, 21);
        OK(vz_index_compact(index, &err));
        pthread_join(thread, NULL);
        products_are(index, 30, 770, "before");
        products_are(index, 2000, 6 * DOCS, "while");
        valid(index);
        vz_index_release(index);
        vz_store_close(store);
        store = open_store(path);
        index = vz_store_index(store, VZ_SLICE("shop"));
        products_are(index, 2000, 6 * DOCS, "while");
        vz_index_release(index);
        vz_store_close(store);
        drop_folder(path);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pack_and_unpack),
        cmocka_unit_test(test_no_packer),
        cmocka_unit_test(test_documents_come_back),
        cmocka_unit_test(test_compaction_meanwhile),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
