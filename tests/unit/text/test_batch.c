/* Batches give the same segments, byte for byte, as the same documents added one by one. */
#include "base/text.h"
#include "text/analysis_parts.h"
#include "text/batch_parts.h"
#include "text/postings_parts.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
// clang-format off
#include <cmocka.h>
// clang-format on

#define BATCHES 4
#define DOCS 400
#define FIELDS 5

static const unsigned flags_of[FIELDS] = {VZ_TEXT_ALL, VZ_TEXT_ALL, VZ_TEXT_FREQS, VZ_TEXT_DOCS,
                                          VZ_TEXT_POSITIONS | VZ_TEXT_NORMS};

static char huge[VZ_MAX_TERM_BYTES + 2];

/* Terms of every length that the hash treats differently, the empty and the too long among them. */
static struct vz_slice some_term(uint64_t *rng, char room[64])
{
    unsigned kind = (unsigned)(vz_rng_next(rng) % 200), rank = 0;
    if (kind == 0)
        return (struct vz_slice){huge, VZ_MAX_TERM_BYTES + 1};
    if (kind == 1)
        return (struct vz_slice){huge, VZ_MAX_TERM_BYTES};
    if (kind == 2)
        return (struct vz_slice){room, 0};
    while (rank < 3000 && vz_rng_next(rng) % 100 < 97)
        rank += 1 + (unsigned)(vz_rng_next(rng) % 9);
    static const char *const forms[] = {"%u", "w%u", "word%u", "a longer one %u",
                                        "one that is longer than sixteen bytes %u"};
    snprintf(room, 64, forms[rank % VZ_COUNT_OF(forms)], rank);
    return vz_slice_from(room);
}

static void some_tokens(uint64_t *rng, struct vz_tokens *tokens, char rooms[40][64])
{
    unsigned count = (unsigned)(vz_rng_next(rng) % 40);
    uint32_t position = UINT32_MAX;
    tokens->count = 0;
    for (unsigned i = 0; i < count; i++) {
        struct vz_token *token = vz_tokens_push(tokens);
        token->increment = vz_rng_next(rng) % 10 ? 1 : (uint32_t)(vz_rng_next(rng) % 4);
        if (i == 0 && token->increment == 0)
            position = 0;
        else
            position += token->increment;
        token->position = position;
        token->text = some_term(rng, rooms[i]);
    }
    tokens->end_position = position + 1 + (uint32_t)(vz_rng_next(rng) % 3);
}

/* The same documents into a batch and, where they are written, into a builder. */
static void make_docs(uint64_t *rng, struct vz_text_batch *batch,
                      struct vz_text_builder *one_by_one, uint32_t *docnos, uint32_t *next)
{
    struct vz_error err = {0};
    struct vz_tokens tokens = {0};
    char rooms[40][64];
    for (uint32_t doc = 0; doc < DOCS; doc++) {
        bool written = vz_rng_next(rng) % 8 != 0;
        docnos[doc] = written ? *next : VZ_NOT_WRITTEN;
        *next += written;
        unsigned values = (unsigned)(vz_rng_next(rng) % 7); /* of any fields, also again */
        for (unsigned v = 0; v < values; v++) {
            uint16_t field = (uint16_t)(vz_rng_next(rng) % FIELDS);
            some_tokens(rng, &tokens, rooms);
            assert_int_equal(
                vz_text_batch_add(batch, doc, field, flags_of[field], &tokens, 100, &err), VZ_OK);
            if (written)
                vz_text_builder_add(one_by_one, docnos[doc], field, flags_of[field], &tokens, 100);
        }
    }
    vz_tokens_deinit(&tokens);
}

static void compare(uint64_t seed)
{
    struct vz_text_builder *one_by_one = vz_text_builder_new(17);
    struct vz_text_builder *together = vz_text_builder_new(17);
    struct vz_error err = {0};
    struct vz_segment *want, *got;
    uint32_t docnos[DOCS], next = 17;
    uint64_t rng = seed;
    for (int i = 0; i < BATCHES; i++) {
        struct vz_text_batch *batch = vz_text_batch_new();
        make_docs(&rng, batch, one_by_one, docnos, &next);
        vz_text_batch_finish(batch);
        assert_true(vz_text_batch_docs(batch) <= DOCS);
        vz_text_builder_add_batch(together, batch, docnos);
        vz_text_batch_free(batch);
        next += (uint32_t)i; /* documents without texts between */
    }
    assert_int_equal(vz_text_builder_seal(one_by_one, next, &want, &err), VZ_OK);
    assert_int_equal(vz_text_builder_seal(together, next, &got, &err), VZ_OK);
    assert_int_equal(vz_segment_validate(got, &err), VZ_OK);
    assert_int_equal(got->size, want->size);
    assert_memory_equal(got->bytes, want->bytes, want->size);
    vz_segment_release(want);
    vz_segment_release(got);
    vz_text_builder_free(one_by_one);
    vz_text_builder_free(together);
}

static void test_same_segments(void **state)
{
    memset(huge, 'h', sizeof huge);
    for (uint64_t seed = 1; seed <= 12; seed++) {
        printf("seed %llu\n", (unsigned long long)seed);
        compare(seed);
    }
}

/* What terms were hashed by before there was a seed: whoever read the source could choose terms that
 * all meet in one place. */
static uint32_t unseeded_hash(uint16_t field, struct vz_slice text)
{
    uint64_t a, b;
    memcpy(&a, text.ptr, 8);
    memcpy(&b, text.ptr + text.len - 8, 8);
    a ^= 0x9E3779B97F4A7C15ull + field;
    b ^= 0xC2B2AE3D27D4EB4Full + (text.len << 32);
    uint64_t mixed = vz_hash_fold(a, b);
    return (uint32_t)(mixed ^ mixed >> 29);
}

/* One half of the product is 0, whatever the rest of the term is. */
static struct vz_slice chosen_term(uint16_t field, unsigned i, char room[17])
{
    uint64_t half = 0x9E3779B97F4A7C15ull + field;
    memcpy(room, &half, 8);
    snprintf(room + 8, 9, "%08x", i);
    return (struct vz_slice){room, 16};
}

/* How many places of the table are looked at to find each of its terms once. */
static uint64_t probes_of(const struct vz_text_batch *b)
{
    uint64_t probes = 0;
    for (uint32_t slot = 0; slot < b->slots.count; slot++)
        if (b->slots.at[slot])
            probes += ((slot - b->terms[b->slots.at[slot] - 1].key.hash) & (b->slots.count - 1)) +
                      (uint64_t)1;
    return probes;
}

#define CHOSEN 50000

static uint64_t probes_for(uint16_t fields, bool chosen)
{
    struct vz_error err = {0};
    struct vz_tokens tokens = {0};
    struct vz_text_batch *batch = vz_text_batch_new();
    char room[32];
    struct vz_token *token = vz_tokens_push(&tokens);
    tokens.end_position = 1;
    for (unsigned i = 0; i < CHOSEN; i++) {
        uint16_t field = (uint16_t)(i % fields);
        if (chosen) {
            token->text = chosen_term(field, i / fields, room);
            assert_int_equal(unseeded_hash(field, token->text), 0);
        } else {
            snprintf(room, sizeof room, "word%u", i);
            token->text = vz_slice_from(room);
        }
        assert_int_equal(vz_text_batch_add(batch, i, field, VZ_TEXT_ALL, &tokens, 0, &err), VZ_OK);
    }
    uint64_t probes = probes_of(batch);
    vz_text_batch_free(batch);
    vz_tokens_deinit(&tokens);
    return probes;
}

static void test_chosen_terms_do_not_meet(void **state)
{
    for (uint64_t seed = 1; seed <= 20; seed++) {
        vz_hash_reseed(seed);
        /* 3/8 full, where linear probing looks at 1.3 places a term. */
        assert_in_range(probes_for(1, false), CHOSEN, CHOSEN * 3 / 2);
        assert_in_range(probes_for(1, true), CHOSEN, CHOSEN * 3 / 2);
        assert_in_range(probes_for(1000, true), CHOSEN, CHOSEN * 3 / 2);
    }
    vz_hash_reseed(0);
}

/* Short terms whose bits differ in a few places, of neighbouring fields and lengths. */
static void test_plain_terms_do_not_meet(void **state)
{
    enum { BITS = 17, PLACES = 1 << BITS, TERMS = PLACES / 2 };
    static unsigned char taken[PLACES];
    for (uint64_t seed = 1; seed <= 20; seed++) {
        unsigned met = 0;
        char room[40];
        vz_hash_reseed(seed);
        memset(taken, 0, sizeof taken);
        for (unsigned i = 0; i < TERMS; i++) {
            memset(room, 'a', sizeof room);
            room[0] += i & 15, room[1] += i >> 4 & 15, room[2] += i >> 8 & 15;
            struct vz_slice text = {room, 3 + (i >> 12 & 1) * 9 + (i >> 13 & 1)};
            uint32_t hash = vz_term_hash((uint16_t)(i >> 14), text);
            met += taken[hash & (PLACES - 1)]++ != 0;
        }
        /* Of chance: 65,536 - 131,072 * (1 - e^-1/2) = 13,963. */
        assert_in_range(met, 0, TERMS * 3 / 10);
    }
    vz_hash_reseed(0);
}

/* Nothing hangs on the seed but places in tables. */
static void test_the_seed_is_not_in_a_segment(void **state)
{
    struct vz_segment *segments[2];
    struct vz_error err = {0};
    memset(huge, 'h', sizeof huge);
    for (unsigned i = 0; i < 2; i++) {
        struct vz_text_builder *one_by_one = vz_text_builder_new(17);
        struct vz_text_builder *together = vz_text_builder_new(17);
        struct vz_text_batch *batch = vz_text_batch_new();
        uint32_t docnos[DOCS], next = 17;
        uint64_t rng = 4;
        vz_hash_reseed(i + 100);
        make_docs(&rng, batch, one_by_one, docnos, &next);
        vz_text_batch_finish(batch);
        vz_text_builder_add_batch(together, batch, docnos);
        assert_int_equal(vz_text_builder_seal(together, next, &segments[i], &err), VZ_OK);
        vz_text_batch_free(batch);
        vz_text_builder_free(one_by_one);
        vz_text_builder_free(together);
    }
    vz_hash_reseed(0);
    assert_int_equal(segments[0]->size, segments[1]->size);
    assert_memory_equal(segments[0]->bytes, segments[1]->bytes, segments[0]->size);
    vz_segment_release(segments[0]);
    vz_segment_release(segments[1]);
}

/* Nothing of it was written, or nothing is in it. */
static void test_empty_batches(void **state)
{
    struct vz_error err = {0};
    struct vz_tokens tokens = {0};
    uint32_t docnos[3] = {VZ_NOT_WRITTEN, VZ_NOT_WRITTEN, VZ_NOT_WRITTEN};
    struct vz_text_builder *builder = vz_text_builder_new(0);
    struct vz_text_batch *batch = vz_text_batch_new();
    vz_text_batch_finish(batch);
    vz_text_builder_add_batch(builder, batch, docnos);
    vz_text_batch_free(batch);
    batch = vz_text_batch_new();
    vz_tokens_push(&tokens)->text = VZ_SLICE("lost");
    tokens.end_position = 1;
    for (uint32_t doc = 0; doc < 3; doc++)
        assert_int_equal(vz_text_batch_add(batch, doc, 1, VZ_TEXT_ALL, &tokens, 100, &err), VZ_OK);
    vz_text_batch_finish(batch);
    vz_text_builder_add_batch(builder, batch, docnos);
    assert_true(vz_text_builder_is_empty(builder));
    struct vz_segment *segment;
    assert_int_equal(vz_text_builder_seal(builder, 3, &segment, &err), VZ_OK);
    assert_int_equal(vz_segment_validate(segment, &err), VZ_OK);
    assert_null(vz_segment_find_field(segment, 1));
    vz_segment_release(segment);
    vz_text_batch_free(batch);
    vz_text_builder_free(builder);
    vz_tokens_deinit(&tokens);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same_segments),
        cmocka_unit_test(test_empty_batches),
        cmocka_unit_test(test_chosen_terms_do_not_meet),
        cmocka_unit_test(test_plain_terms_do_not_meet),
        cmocka_unit_test(test_the_seed_is_not_in_a_segment),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
