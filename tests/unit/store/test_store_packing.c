/* Sources packed with what an index's documents have in common: they come back byte for byte,
 * through reopening, updates, compaction and copies. */
#include "store/packing.h"
#include "store_support.h"

#include "store/generation.h"
#include "store/index.h"

#include <pthread.h>
#include <unistd.h>

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

/* What a damaged packer packs can be read with it, or it packs nothing. */
static void test_damaged_packer(void **state)
{
    struct vz_arena arena = {0};
    struct vz_slice sources[DOCS], back;
    bool compressed, shared;
    for (unsigned i = 0; i < DOCS; i++)
        sources[i] = product(&arena, i, "");
    struct vz_packer *packer = vz_packer_train(sources, DOCS);
    assert_non_null(packer);
    struct vz_slice whole = vz_packer_bytes(packer);
    char *bytes = test_malloc(whole.len);
    for (size_t round = 0; round < whole.len * 2; round++) {
        size_t len = round < whole.len ? round : whole.len, at = round - len;
        memcpy(bytes, whole.ptr, whole.len);
        if (len == whole.len)
            bytes[at] = (char)(bytes[at] ^ (1 << at % 8));
        struct vz_packer *damaged = vz_packer_new((struct vz_slice){bytes, len});
        struct vz_slice source = sources[round % DOCS];
        struct vz_slice stored = vz_source_pack(damaged, source, &arena, &compressed, &shared);
        assert_true(shared <= compressed);
        if (compressed) {
            assert_true(
                vz_source_unpack(shared ? damaged : NULL, stored, source.len, &arena, &back));
            assert_true(vz_slice_eq(back, source));
        }
        stored = vz_source_pack(packer, source, &arena, &compressed, &shared);
        vz_source_unpack(damaged, stored, source.len, &arena, &back); /* must not crash */
        vz_packer_free(damaged);
    }
    test_free(bytes);
    vz_packer_free(packer);
    vz_arena_deinit(&arena);
}

/* A length that its bytes cannot unpack to is no record: nothing is allocated for it. */
static void test_impossible_lengths(void **state)
{
    static const struct {
        bool compressed, shared;
        uint32_t stored, source;
        bool good;
    } cases[] = {
        {false, false, 10, 10, true},          {false, false, 0, 0, true},
        {false, false, 10, 11, false},         {false, false, 10, 0, false},
        {false, true, 10, 10, false},          {true, false, 100, 3000, true},
        {true, true, 100, 3 << 20, true},      {true, true, 100, 4 << 20, false},
        {true, false, 100, UINT32_MAX, false}, {true, false, 65536, UINT32_MAX / 2 + 1, false},
    };
    char *stored = test_calloc(1, 65536);
    for (size_t i = 0; i < VZ_COUNT_OF(cases); i++) {
        struct vz_record record = {.id = VZ_SLICE("a"),
                                   .compressed = cases[i].compressed,
                                   .shared = cases[i].shared,
                                   .source_len = cases[i].source,
                                   .stored = {stored, cases[i].stored}},
                         back;
        size_t len = vz_record_bytes(&record);
        char *bytes = test_malloc(len);
        vz_record_write(&record, bytes);
        if (vz_record_read((struct vz_slice){bytes, len}, &back) != cases[i].good)
            fail_msg("case %zu", i);
        bytes[1] = (char)(bytes[1] | 4); /* a flag that nobody writes */
        assert_false(vz_record_read((struct vz_slice){bytes, len}, &back));
        test_free(bytes);
    }
    test_free(stored);
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

/* ---- whose pieces they are ----------------------------------------------------------------- */

static bool packer_says(struct vz_index *index, const char *words)
{
    struct vz_generation *gen = vz_index_generation(index);
    struct vz_packer *packer = vz_generation_packer(gen);
    struct vz_slice bytes = packer ? vz_packer_bytes(packer) : (struct vz_slice){"", 0};
    bool says = memmem(bytes.ptr, bytes.len, words, strlen(words)) != NULL;
    vz_generation_release(gen);
    return says;
}

/* How many documents in `docs` are packed with the packer. */
static unsigned shared_docs(struct vz_index *index)
{
    struct vz_error err = {0};
    struct vz_generation *gen = vz_index_generation(index);
    struct vz_record record;
    MDB_txn *txn;
    unsigned shared = 0;
    OK(vz_reader_begin(gen, &txn, &err));
    for (uint32_t d = 0; d < gen->state.docs; d++) {
        OK(vz_generation_record(gen, txn, d, &record, &err));
        shared += record.shared;
    }
    vz_reader_end(gen, txn);
    vz_generation_release(gen);
    return shared;
}

static bool file_says(const char *dir, const char *name, const char *words)
{
    struct vz_error err = {0};
    struct vz_buf path = {0}, bytes = {0};
    vz_buf_printf(&path, "%s/%s", dir, name);
    OK(vz_file_read(path.data, 0, &bytes, &err));
    bool says = memmem(bytes.data, bytes.len, words, strlen(words)) != NULL;
    vz_buf_deinit(&path);
    vz_buf_deinit(&bytes);
    return says;
}

/* The first documents, of which the packer was made, are deleted: after a compaction it has nothing
 * of theirs, and neither has the file. */
static void test_deleted_pieces_go(void **state)
{
    static const char secret[] = "Casimira Lindqvist of 7 Harbour Lane";
    struct vz_error err = {0};
    char *path = temp_folder();
    struct vz_store *store = open_store(path);
    struct vz_index *index = make_index(store, "shop", "{\"mappings\":{\"dynamic\":false}}");
    write_products(index, 0, DOCS, secret);
    write_products(index, 1000, DOCS, "plain");
    assert_true(packer_says(index, secret));
    for (unsigned i = 0; i < DOCS; i++)
        delete_product(index, i);
    assert_true(packer_says(index, secret));
    OK(vz_index_compact(index, &err));
    assert_false(packer_says(index, secret));
    assert_true(packer_says(index, "plain"));
    assert_int_equal(shared_docs(index), DOCS);
    products_are(index, 1000, DOCS, "plain");
    write_products(index, 2000, 20, "later");
    valid(index);
    struct vz_generation *gen = vz_index_generation(index);
    char *dir = strdup(gen->dir);
    vz_generation_release(gen);
    vz_index_release(index);
    vz_store_close(store);
    assert_false(file_says(dir, "truth.mdb", secret));
    store = open_store(path);
    index = vz_store_index(store, VZ_SLICE("shop"));
    products_are(index, 1000, DOCS, "plain");
    products_are(index, 2000, 20, "later");
    /* With few documents left there is nothing to make one of. */
    for (unsigned i = 1000; i < 1000 + DOCS - 50; i++)
        delete_product(index, i);
    OK(vz_index_compact(index, &err));
    assert_false(packer_says(index, "plain"));
    assert_int_equal(shared_docs(index), 0);
    products_are(index, 1000 + DOCS - 50, 50, "plain");
    products_are(index, 2000, 20, "later");
    valid(index);
    vz_index_release(index);
    vz_store_close(store);
    free(dir);
    drop_folder(path);
}

/* Documents come a few at a time: no request is large enough to make a packer of. */
static void test_few_at_a_time(void **state)
{
    struct vz_error err = {0};
    char *path = temp_folder();
    struct vz_store *store = open_store(path);
    struct vz_index *index = make_index(store, "shop", mapping);
    for (unsigned i = 0; i < 9; i++)
        write_products(index, i * 100, 100, "first");
    assert_int_equal(shared_docs(index), 0);
    for (unsigned i = 9; i < 12; i++)
        write_products(index, i * 100, 100, "first");
    for (unsigned tries = 0; tries < 60000 && !packer_says(index, "\"price\":"); tries++)
        usleep(1000); /* until the graph thread has made it */
    assert_true(packer_says(index, "\"price\":"));
    unsigned before = shared_docs(index);
    write_products(index, 1200, 100, "then");
    assert_int_equal(shared_docs(index), before + 100);
    products_are(index, 0, 1200, "first");
    products_are(index, 1200, 100, "then");
    valid(index);
    delete_product(index, 0);
    OK(vz_index_compact(index, &err));
    assert_int_equal(shared_docs(index), 1299);
    vz_index_release(index);
    vz_store_close(store);
    store = open_store(path);
    index = vz_store_index(store, VZ_SLICE("shop"));
    products_are(index, 1, 1199, "first");
    products_are(index, 1200, 100, "then");
    valid(index);
    vz_index_release(index);
    vz_store_close(store);
    drop_folder(path);
}

/* A request's documents were packed when a compaction gave the index another packer: they wait for
 * the writer with the old one's marks. */
static void test_packed_for_the_one_before(void **state)
{
    struct vz_error err = {0};
    struct vz_arena arena = {0}, back = {0};
    struct vz_slice others[DOCS], source = product(&arena, 7, "waiting"), text;
    char *path = temp_folder();
    struct vz_store *store = open_store(path);
    struct vz_index *index = make_index(store, "shop", "{\"mappings\":{\"dynamic\":false}}");
    write_products(index, 0, DOCS, "many");
    for (unsigned i = 0; i < DOCS; i++)
        others[i] = product(&arena, i + 5000, "others");
    struct vz_packer *other = vz_packer_train(others, DOCS);
    assert_non_null(other);
    struct vz_generation *gen = vz_index_generation(index);
    struct vz_mapping *known = vz_index_mapping(index);
    struct vz_prepared prepared = {.doc = {.source = source}};
    struct vz_packer *packers[] = {other, vz_generation_packer(gen), NULL};
    for (unsigned i = 0; i < VZ_COUNT_OF(packers); i++) {
        struct vz_record record = {.id = VZ_SLICE("w"), .prev = VZ_NO_DOC}, found;
        uint32_t docno;
        vz_prepared_pack(&prepared, packers[i], &arena);
        assert_int_equal(prepared.shared, packers[i] != NULL);
        OK(vz_generation_begin(gen, &err));
        OK(vz_generation_add(gen, known, &prepared, &record, &docno, &err));
        OK(vz_generation_record(gen, gen->txn, docno, &found, &err));
        assert_int_equal(found.shared, packers[i] != NULL);
        OK(vz_record_cut_source(&found, &back, &text, &err));
        assert_true(vz_slice_eq(text, source));
        vz_generation_abort(gen);
    }
    vz_packer_free(other);
    vz_mapping_release(known);
    vz_generation_release(gen);
    vz_arena_deinit(&arena);
    vz_arena_deinit(&back);
    vz_index_release(index);
    vz_store_close(store);
    drop_folder(path);
}

/* Of a closed generation. NULL: removes it. */
static void set_packer(const char *truth, const char *bytes, size_t len)
{
    MDB_env *env;
    MDB_txn *txn;
    MDB_dbi db;
    union {
        const char *from;
        void *to;
    } unconst = {.from = bytes};
    MDB_val key = {6, (char[]){"packer"}}, value = {len, unconst.to};
    assert_int_equal(mdb_env_create(&env), 0);
    mdb_env_set_maxdbs(env, 8);
    mdb_env_set_mapsize(env, (size_t)1 << 30);
    assert_int_equal(mdb_env_open(env, truth, MDB_NOSUBDIR, 0644), 0);
    assert_int_equal(mdb_txn_begin(env, NULL, 0, &txn), 0);
    assert_int_equal(mdb_dbi_open(txn, "state", 0, &db), 0);
    assert_int_equal(bytes ? mdb_put(txn, db, &key, &value, 0) : mdb_del(txn, db, &key, NULL), 0);
    assert_int_equal(mdb_txn_commit(txn), 0);
    mdb_env_close(env);
}

static void packed_are_lost(struct vz_index *index, unsigned from, unsigned count)
{
    struct vz_arena arena = {0};
    struct vz_stored_doc doc;
    char id[16];
    for (unsigned i = from; i < from + count; i++) {
        struct vz_error err = {0};
        snprintf(id, sizeof id, "p%u", i);
        if (vz_index_get(index, vz_slice_from(id), VZ_DOC_SOURCE, &arena, &doc, &err) == VZ_OK)
            fail_msg("%s was read: %s", id, doc.source.ptr);
        assert_int_equal(err.status, VZ_CORRUPT);
    }
    vz_arena_deinit(&arena);
}

/* Without the packer that packed them documents are refused, not misread, whatever lies in its
 * place; others are what they were, and new ones can be written. */
static void test_wrong_packer(void **state)
{
    struct vz_arena arena = {0};
    struct vz_buf truth = {0};
    struct vz_slice others[DOCS];
    char *path = temp_folder(), *large = test_calloc(1, VZ_PACKER_MAX_BYTES + 1);
    struct vz_store *store = open_store(path);
    struct vz_index *index = make_index(store, "shop", mapping);
    write_products(index, 0, 50, "alone");
    write_products(index, 50, DOCS, "many");
    struct vz_generation *gen = vz_index_generation(index);
    assert_non_null(vz_generation_packer(gen));
    struct vz_slice right = vz_arena_copy(&arena, vz_packer_bytes(vz_generation_packer(gen)));
    vz_buf_printf(&truth, "%s/truth.mdb", gen->dir);
    vz_generation_release(gen);
    for (unsigned i = 0; i < DOCS; i++)
        others[i] = product(&arena, 5000 + i, "of another shop, with other things to say of it");
    struct vz_packer *other = vz_packer_train(others, DOCS);
    assert_non_null(other);
    char *flipped = test_malloc(right.len);
    memcpy(flipped, right.ptr, right.len);
    flipped[right.len - 100] ^= 1;
    struct vz_slice wrong[] = {{0},
                               vz_packer_bytes(other),
                               {right.ptr, right.len / 2},
                               {right.ptr + 4, right.len - 4},
                               {right.ptr, 1},
                               {flipped, right.len},
                               {large, VZ_PACKER_MAX_BYTES + 1}};
    for (unsigned i = 0; i < VZ_COUNT_OF(wrong); i++) {
        unsigned first = 3000 + i * 1000;
        vz_index_release(index);
        vz_store_close(store);
        set_packer(truth.data, wrong[i].ptr, wrong[i].len);
        store = open_store(path);
        index = vz_store_index(store, VZ_SLICE("shop"));
        assert_non_null(index);
        packed_are_lost(index, 50, DOCS);
        products_are(index, 0, 50, "alone");
        write_products(index, first, DOCS, "since");
        products_are(index, first, DOCS, "since");
        packed_are_lost(index, 50, DOCS);
        vz_index_release(index);
        vz_store_close(store);
        set_packer(truth.data, right.ptr, right.len);
        store = open_store(path);
        index = vz_store_index(store, VZ_SLICE("shop"));
        products_are(index, 50, DOCS, "many");
        products_are(index, 0, 50, "alone");
    }
    vz_index_release(index);
    vz_store_close(store);
    vz_packer_free(other);
    test_free(flipped);
    test_free(large);
    vz_buf_deinit(&truth);
    vz_arena_deinit(&arena);
    drop_folder(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pack_and_unpack),
        cmocka_unit_test(test_no_packer),
        cmocka_unit_test(test_damaged_packer),
        cmocka_unit_test(test_impossible_lengths),
        cmocka_unit_test(test_documents_come_back),
        cmocka_unit_test(test_compaction_meanwhile),
        cmocka_unit_test(test_wrong_packer),
        cmocka_unit_test(test_deleted_pieces_go),
        cmocka_unit_test(test_few_at_a_time),
        cmocka_unit_test(test_packed_for_the_one_before),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
