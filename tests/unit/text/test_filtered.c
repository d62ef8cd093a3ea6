/* The best of a query among the documents of a filter, and how many there are, against all matches
 * looked at one by one: random texts in segments that begin anywhere, words of one document in two
 * and of one in ten thousand, filters of every width, again and again, so that the bits of frequent
 * words are kept, used and pushed out. And the block filter against its plain twin. */
#include "base/text.h"
#include "text/dense.h"
#include "text/pass.h"
#include "text/score.h"

#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
// clang-format off
#include <cmocka.h>
// clang-format on

#define FIELD 3
#define WORDS 400
#define DOCS 90000
#define MOST 20

static uint64_t rng = 20261122;

static uint64_t below(uint64_t limit)
{
    return vz_rng_next(&rng) % limit;
}

/* Word w is in about one of w + 2 documents. */
static void add_document(struct vz_text_builder *builder, uint32_t docno)
{
    static char names[WORDS][8];
    static struct vz_token items[64];
    struct vz_tokens tokens = {0};
    uint32_t position = 0;
    for (int n = 0, count = 1 + (int)below(12); n < count; n++) {
        uint64_t word = below(3) ? below(4) : below(2) ? below(40) : below(WORDS);
        int len = snprintf(names[word], sizeof names[word], "w%d", (int)word);
        items[n] = (struct vz_token){.text = {names[word], (size_t)len}, .position = position++};
    }
    tokens.items = items;
    tokens.count = position;
    vz_text_builder_add(builder, docno, FIELD, VZ_TEXT_ALL, &tokens, 100);
}

static struct vz_text_view *build(void)
{
    static const uint32_t limits[] = {50001, 50064, 83137, DOCS};
    struct vz_segment *segments[4];
    struct vz_error err = {0};
    uint32_t docno = 0;
    struct vz_text_builder *builder = vz_text_builder_new(0);
    for (size_t i = 0; i < VZ_COUNT_OF(limits); i++) {
        for (; docno < limits[i]; docno++)
            if (below(20))
                add_document(builder, docno);
        if (vz_text_builder_seal(builder, limits[i], &segments[i], &err) != VZ_OK)
            fail_msg("%s", err.text);
    }
    vz_text_builder_free(builder);
    struct vz_text_view *view = vz_text_view_new(segments, VZ_COUNT_OF(limits));
    for (size_t i = 0; i < VZ_COUNT_OF(limits); i++)
        vz_segment_release(segments[i]);
    return view;
}

struct ask {
    struct vz_text_query root, terms[4];
    struct vz_text_query *parts[4];
    struct vz_slice words[4];
    char names[4][8];
    struct vz_bitset filter;
    size_t k;
    uint64_t limit;
};

static void make(struct ask *ask, uint64_t *chance)
{
    static const uint64_t limits[] = {0, 1, 100, 10000, UINT64_MAX};
    static const uint64_t widths[] = {1, 2, 9, 60, 700, 20000};
    size_t count = 1 + vz_rng_next(chance) % 4;
    memset(ask, 0, sizeof *ask);
    for (size_t i = 0; i < count; i++) {
        uint64_t word = vz_rng_next(chance) % (vz_rng_next(chance) % 2 ? 4 : WORDS + 5);
        int len = snprintf(ask->names[i], sizeof ask->names[i], "w%d", (int)word);
        ask->words[i] = (struct vz_slice){ask->names[i], (size_t)len};
        ask->terms[i] = (struct vz_text_query){.kind = VZ_TEXT_TERM,
                                               .boost = vz_rng_next(chance) % 4 ? 1 : 2.5f,
                                               .constant = vz_rng_next(chance) % 8 == 0,
                                               .field = FIELD,
                                               .terms = &ask->words[i],
                                               .term_count = 1};
        ask->parts[i] = &ask->terms[i];
    }
    ask->root =
        (struct vz_text_query){.kind = vz_rng_next(chance) % 3 ? VZ_TEXT_ANY : VZ_TEXT_EVERY,
                               .boost = 1,
                               .parts = ask->parts,
                               .part_count = count};
    if (count == 1 && vz_rng_next(chance) % 2)
        ask->root = ask->terms[0];
    ask->k = vz_rng_next(chance) % MOST;
    ask->limit = limits[vz_rng_next(chance) % VZ_COUNT_OF(limits)];
    uint64_t width = widths[vz_rng_next(chance) % VZ_COUNT_OF(widths)];
    vz_bitset_init(&ask->filter, DOCS - vz_rng_next(chance) % 3 * 100);
    for (size_t d = 0; d < ask->filter.bits; d++)
        if (vz_rng_next(chance) % width == 0)
            vz_bitset_set(&ask->filter, d);
}

/* The k best by looking at all; gives how many match. */
static uint64_t plainly(const struct ask *ask, const struct vz_bitset *bits, const float *scores,
                        struct vz_text_hit *hits, size_t *count)
{
    uint64_t total = 0;
    *count = 0;
    for (size_t d = vz_bitset_next(bits, 0); d < bits->bits; d = vz_bitset_next(bits, d + 1)) {
        if (!vz_bitset_has(&ask->filter, d))
            continue;
        total++;
        size_t at = *count;
        while (at && scores[d] > hits[at - 1].score)
            at--;
        if (at >= ask->k)
            continue;
        *count = VZ_MIN(*count + 1, ask->k);
        memmove(hits + at + 1, hits + at, (*count - at - 1) * sizeof *hits);
        hits[at] = (struct vz_text_hit){(uint32_t)d, scores[d]};
    }
    return total;
}

/* Who matches, without scores, as far as somebody looks: the same as with scores. */
static void collect_again(const struct vz_text_view *view, const struct ask *ask,
                          const struct vz_bitset *want, size_t until)
{
    struct vz_bitset bits;
    struct vz_error err = {0};
    vz_bitset_init(&bits, until);
    if (vz_text_collect(view, &ask->root, &bits, NULL, NULL, NULL, &err) != VZ_OK)
        fail_msg("%s", err.text);
    for (size_t w = 0; w < vz_bitset_word_count(&bits); w++) {
        uint64_t word = want->words[w];
        if (until - w * 64 < 64)
            word &= (1ull << until % 64) - 1;
        if (bits.words[w] != word)
            fail_msg("word %zu: %016llx, not %016llx", w, (unsigned long long)bits.words[w],
                     (unsigned long long)word);
    }
    vz_bitset_deinit(&bits);
}

static void compare(const struct vz_text_view *view, uint64_t seed, int rounds)
{
    float *scores = vz_calloc(DOCS, sizeof *scores);
    for (int round = 0; round < rounds; round++) {
        struct ask ask;
        struct vz_text_hit want[MOST + 1], got[MOST + 1];
        struct vz_text_result result;
        struct vz_bitset bits;
        struct vz_error err = {0};
        size_t count;
        make(&ask, &seed);
        vz_bitset_init(&bits, DOCS);
        if (vz_text_collect(view, &ask.root, &bits, scores, NULL, NULL, &err) != VZ_OK)
            fail_msg("%s", err.text);
        collect_again(view, &ask, &bits,
                      DOCS - vz_rng_next(&seed) % 2 * (vz_rng_next(&seed) % 50000));
        uint64_t total = plainly(&ask, &bits, scores, want, &count);
        struct vz_text_search search = {
            .filter = &ask.filter,
            .excluded = ask.limit % 2 ? UINT64_MAX : DOCS - vz_bitset_count(&ask.filter),
            .k = ask.k,
            .total_limit = ask.limit};
        if (vz_text_top(view, &ask.root, &search, got, &result, &err) != VZ_OK)
            fail_msg("%s", err.text);
        assert_int_equal(result.count, count);
        for (size_t i = 0; i < count; i++)
            if (got[i].docno != want[i].docno || got[i].score != want[i].score)
                fail_msg("round %d, hit %zu: %u with %g, not %u with %g", round, i, got[i].docno,
                         (double)got[i].score, want[i].docno, (double)want[i].score);
        if (ask.limit && total <= ask.limit) {
            assert_int_equal(result.total, total);
            assert_true(result.total_exact);
        } else if (ask.limit) {
            assert_int_equal(result.total, ask.limit + 1);
            assert_false(result.total_exact);
        }
        vz_bitset_deinit(&ask.filter);
        vz_bitset_deinit(&bits);
    }
    free(scores);
}

static void the_best_of_a_filter(void **state)
{
    struct vz_text_view *view = build();
    compare(view, 1, 150);
    compare(view, 2, 150);
    assert_true(vz_dense_cache_bytes(vz_text_view_segment(view, 0)->dense) > 50000 / 8);
    assert_null(vz_text_view_segment(view, 1)->dense);
    vz_text_view_release(view);
}

static void *ask_some(void *view)
{
    static _Atomic uint64_t seeds = 100;
    compare(view, atomic_fetch_add(&seeds, 1), 25);
    return NULL;
}

static void many_may_ask(void **state)
{
    struct vz_text_view *view = build();
    pthread_t threads[4];
    for (size_t i = 0; i < VZ_COUNT_OF(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, ask_some, view), 0);
    for (size_t i = 0; i < VZ_COUNT_OF(threads); i++)
        pthread_join(threads[i], NULL);
    vz_text_view_release(view);
}

/* More frequent words than are kept: the bits of each stay right. */
static void what_is_kept_is_bounded(void **state)
{
    struct vz_segment *segment;
    struct vz_error err = {0};
    struct vz_text_builder *builder = vz_text_builder_new(7);
    for (uint32_t d = 7; d < VZ_DENSE_FROM + 100; d++)
        for (unsigned w = d % 40; w < 160; w += 40) {
            char name[8];
            int len = snprintf(name, sizeof name, "k%u", w);
            vz_text_builder_add_term(builder, d, FIELD, VZ_TEXT_DOCS,
                                     (struct vz_slice){name, (size_t)len});
        }
    assert_int_equal(vz_text_builder_seal(builder, VZ_DENSE_FROM + 100, &segment, &err), VZ_OK);
    vz_text_builder_free(builder);
    const struct vz_segment_field *field = vz_segment_find_field(segment, FIELD);
    for (int again = 0; again < 4; again++)
        for (unsigned w = 0; w < 160; w++) {
            char name[8];
            struct vz_term_info info;
            int len = snprintf(name, sizeof name, "k%u", w);
            assert_true(
                vz_segment_find_term(segment, field, (struct vz_slice){name, (size_t)len}, &info));
            assert_true(vz_dense_is(segment, info.doc_freq));
            struct vz_dense *dense = vz_dense_get(segment, field, &info);
            assert_true((dense == NULL) == (again == 0));
            for (uint32_t d = 0; dense && d < VZ_DENSE_FROM + 128; d++) {
                bool is = d / 64 < dense->word_count && dense->words[d / 64] >> d % 64 & 1;
                assert_int_equal(is, d >= 7 && d < VZ_DENSE_FROM + 100 && d % 40 == w % 40);
            }
            vz_dense_release(dense);
        }
    size_t each = sizeof(struct vz_dense) + (VZ_DENSE_FROM + 100 + 63) / 64 * 8;
    assert_int_equal(vz_dense_cache_bytes(segment->dense), VZ_DENSE_MOST * each);
    vz_segment_release(segment);
}

static void blocks_are_filtered_alike(void **state)
{
    struct vz_bitset filter;
    uint32_t docs[VZ_BLOCK];
    for (int round = 0; round < 4000; round++) {
        vz_bitset_init(&filter, 64 + below(5000));
        uint64_t width = 1 + below(8), step = 1 + below(round % 5 == 0 ? 60 : 9);
        for (size_t d = 0; d < filter.bits; d++)
            if (below(width) == 0)
                vz_bitset_set(&filter, d);
        docs[0] = (uint32_t)below(filter.bits + 40);
        for (unsigned i = 1; i < VZ_BLOCK; i++)
            docs[i] = docs[i - 1] + 1 + (uint32_t)below(step);
        unsigned from = (unsigned)below(VZ_BLOCK), to = from + (unsigned)below(VZ_BLOCK + 1 - from);
        unsigned char got[VZ_BLOCK], twin[VZ_BLOCK];
        unsigned count = vz_pass(docs, from, to, &filter, got), want = 0;
        assert_int_equal(vz_pass_plain(docs, from, to, &filter, twin), count);
        for (unsigned i = from; i < to; i++)
            if (vz_bitset_has(&filter, docs[i])) {
                assert_true(want < count);
                assert_int_equal(got[want], i);
                assert_int_equal(twin[want++], i);
            }
        assert_int_equal(want, count);
        vz_bitset_deinit(&filter);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_best_of_a_filter),
        cmocka_unit_test(many_may_ask),
        cmocka_unit_test(what_is_kept_is_bounded),
        cmocka_unit_test(blocks_are_filtered_alike),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
