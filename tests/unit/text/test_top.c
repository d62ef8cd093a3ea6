/* The best k against all of them: what is pruned must not be seen. Random catalogues of short texts
 * over few words, where many documents share a score, in one segment and several, with and without
 * lengths; random words, conjunctions and phrases (repeated words and gaps among them), boosts,
 * constants, filters as deletions make them, limits of counting. */
#include "text/analysis_parts.h"
#include "text/block.h"
#include "text/score.h"

#include "base/text.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
// clang-format off
#include <cmocka.h>
// clang-format on

#define WORDS 3000
#define LONGEST 60
#define MOST_TERMS 4
#define SAMPLES 256

static uint32_t below(uint64_t *seed, uint32_t limit)
{
    return (uint32_t)(vz_rng_next(seed) >> 33) % limit;
}

/* Frequent ones are frequent: the smallest of some picks. */
static uint32_t word(uint64_t *seed, unsigned picks)
{
    uint32_t least = WORDS;
    for (unsigned i = 0; i < picks; i++) {
        uint32_t one = below(seed, WORDS);
        least = VZ_MIN(least, one);
    }
    return least;
}

struct catalogue {
    struct vz_text_view *view;
    uint32_t documents;
    unsigned flags, picks;
    struct {
        uint32_t words[MOST_TERMS], count;
    } samples[SAMPLES]; /* what some documents begin with */
};

static struct catalogue make(uint64_t *seed, uint32_t documents, uint32_t segment, unsigned flags,
                             unsigned shortest, unsigned longest, unsigned picks)
{
    struct catalogue c = {.documents = documents, .flags = flags, .picks = picks};
    struct vz_text_builder *builder = vz_text_builder_new(0);
    struct vz_segment *segments[64];
    size_t count = 0;
    struct vz_error err = {0};
    struct vz_tokens tokens = {0};
    char names[WORDS][8];
    uint32_t words[LONGEST] = {0}; /* of the document before: neighbours are about the same */
    for (unsigned i = 0; i < WORDS; i++)
        snprintf(names[i], sizeof names[i], "w%u", i);
    for (uint32_t d = 0; d < documents; d++) {
        uint32_t length = shortest + below(seed, longest - shortest + 1);
        uint32_t place = 0;
        bool fresh = below(seed, 3) == 0;
        tokens.count = 0;
        for (uint32_t i = 0; i < length; i++) {
            struct vz_token *token = vz_tokens_push(&tokens);
            if (fresh || below(seed, 4) == 0)
                words[i] = word(seed, picks);
            token->text = vz_slice_from(names[words[i]]);
            token->position = place;
            place += below(seed, 30) ? 1 : 2;
        }
        tokens.end_position = place;
        unsigned sample = below(seed, SAMPLES);
        c.samples[sample].count = VZ_MIN(length, MOST_TERMS);
        memcpy(c.samples[sample].words, words, sizeof c.samples[sample].words);
        if (below(seed, 50)) /* some have no text */
            vz_text_builder_add(builder, d, 7, flags, &tokens, 100);
        if ((d + 1) % segment == 0 || d + 1 == documents) {
            assert_int_equal(vz_text_builder_seal(builder, d + 1, &segments[count], &err), VZ_OK);
            count++;
        }
    }
    c.view = vz_text_view_new(segments, count);
    for (size_t i = 0; i < count; i++)
        vz_segment_release(segments[i]);
    vz_tokens_deinit(&tokens);
    vz_text_builder_free(builder);
    return c;
}

struct question {
    struct vz_text_query root, parts[MOST_TERMS];
    struct vz_text_query *pointers[MOST_TERMS];
    struct vz_slice terms[MOST_TERMS];
    uint32_t positions[MOST_TERMS];
    char names[MOST_TERMS][8];
};

static void ask(struct question *q, uint64_t *seed, const struct catalogue *c)
{
    static const float boosts[] = {1, 1, 1, 2.5f, 0.3f};
    memset(q, 0, sizeof *q);
    size_t n = 1 + below(seed, MOST_TERMS);
    uint32_t place = 0;
    bool constant = below(seed, 12) == 0;
    unsigned sample = below(seed, SAMPLES);
    bool from_sample = below(seed, 2) && c->samples[sample].count;
    if (from_sample)
        n = c->samples[sample].count;
    for (size_t i = 0; i < n; i++) {
        unsigned picks = below(seed, 3) ? c->picks + below(seed, 4) : 1;
        uint32_t one = from_sample ? c->samples[sample].words[i] : word(seed, picks);
        snprintf(q->names[i], sizeof q->names[i], "w%u", one);
        if (i && below(seed, 5) == 0)
            memcpy(q->names[i], q->names[i - 1], sizeof q->names[i]);
        q->terms[i] = vz_slice_from(q->names[i]);
        q->positions[i] = place;
        place += below(seed, 8) ? 1 : 2;
        q->parts[i] = (struct vz_text_query){.kind = VZ_TEXT_TERM,
                                             .boost = boosts[below(seed, 5)],
                                             .constant = constant && below(seed, 2),
                                             .field = 7,
                                             .terms = &q->terms[i],
                                             .term_count = 1};
        q->pointers[i] = &q->parts[i];
    }
    unsigned kind = below(seed, c->flags & VZ_TEXT_POSITIONS ? 4 : 2);
    q->root = (struct vz_text_query){.boost = boosts[below(seed, 5)],
                                     .field = 7,
                                     .parts = q->pointers,
                                     .part_count = n,
                                     .kind = kind == 0 ? VZ_TEXT_EVERY : VZ_TEXT_ANY};
    if (kind >= 2) {
        q->root.kind = VZ_TEXT_PHRASE;
        q->root.terms = q->terms;
        q->root.term_count = n;
        q->root.constant = constant;
        q->root.positions = below(seed, 3) ? NULL : q->positions;
        q->root.slop = below(seed, 6) ? 0 : below(seed, 3);
        if (q->root.positions && n > 2 && below(seed, 3) == 0)
            q->positions[n - 1] = q->positions[n - 2]; /* alternatives of one place */
    }
}

static const float *order_scores;
static int best_first(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    if (order_scores[x] != order_scores[y])
        return order_scores[x] > order_scores[y] ? -1 : 1;
    return x < y ? -1 : x > y;
}

static void print_question(const struct question *q, const struct vz_text_search *how)
{
    struct vz_buf text = {0};
    vz_text_describe(&q->root, &text);
    printf("%.*s, k %zu, limit %llu, filter %d\n", (int)text.len, text.data, how->k,
           (unsigned long long)how->total_limit, how->filter != NULL);
    vz_buf_deinit(&text);
}

/* Every match, sorted, and the first k of the pruned search. */
static void compare(const struct catalogue *c, const struct question *q,
                    const struct vz_text_search *how)
{
    struct vz_bitset bits;
    struct vz_error err = {0};
    struct vz_text_result result;
    float *scores = vz_calloc(c->documents + 1, sizeof *scores);
    uint32_t *all = vz_alloc((c->documents + 1) * sizeof *all);
    struct vz_text_hit *hits = vz_alloc((how->k + 1) * sizeof *hits);
    size_t count = 0;
    vz_bitset_init(&bits, c->documents);
    assert_int_equal(vz_text_collect(c->view, &q->root, &bits, scores, NULL, NULL, &err), VZ_OK);
    if (how->filter)
        vz_bitset_and(&bits, how->filter);
    for (size_t d = vz_bitset_next(&bits, 0); d < bits.bits; d = vz_bitset_next(&bits, d + 1))
        all[count++] = (uint32_t)d;
    order_scores = scores;
    qsort(all, count, sizeof *all, best_first);
    assert_int_equal(vz_text_top(c->view, &q->root, how, hits, &result, &err), VZ_OK);
    bool same = result.count == VZ_MIN(count, how->k);
    for (size_t i = 0; i < result.count && same; i++)
        if (hits[i].docno != all[i] || hits[i].score != scores[all[i]]) {
            printf("place %zu: %u %.9g, not %u %.9g\n", i, hits[i].docno, (double)hits[i].score,
                   all[i], (double)scores[all[i]]);
            same = false;
        }
    if (how->total_limit && count <= how->total_limit)
        same &= result.total_exact && result.total == count;
    else if (how->total_limit && !result.total_exact)
        same &= result.total == how->total_limit + 1;
    else if (how->total_limit)
        same &= result.total == count;
    if (!same) {
        print_question(q, how);
        fail_msg("%zu matches, %zu hits, total %llu, exact %d", count, result.count,
                 (unsigned long long)result.total, result.total_exact);
    }
    vz_bitset_deinit(&bits);
    free(hits);
    free(all);
    free(scores);
}

static void ask_many(const struct catalogue *c, uint64_t *seed, unsigned rounds)
{
    static const size_t ks[] = {0, 1, 3, 10, 10, 10, 57, 400};
    static const uint64_t limits[] = {0, 1, 20, 1000, 10000, 1000000};
    static const unsigned dead[] = {0, 0, 10, 2, 20};
    struct vz_bitset bits;
    for (unsigned i = 0; i < rounds; i++) {
        struct question q;
        unsigned share = dead[below(seed, 5)];
        struct vz_text_search how = {.k = ks[below(seed, 8)],
                                     .total_limit = limits[below(seed, 6)]};
        ask(&q, seed, c);
        vz_bitset_init(&bits, c->documents);
        for (uint32_t d = 0; share && d < c->documents; d++)
            if (share == 20 ? below(seed, 20) == 0 : below(seed, share) != 0)
                vz_bitset_set(&bits, d);
        if (share) {
            how.filter = &bits;
            how.excluded = below(seed, 2) ? c->documents - vz_bitset_count(&bits) : UINT64_MAX;
        }
        compare(c, &q, &how);
        vz_bitset_deinit(&bits);
    }
}

static void the_best_are_the_best(void **state)
{
    static const struct {
        uint32_t documents, segment;
        unsigned flags, shortest, longest, picks, rounds;
    } shapes[] = {
        {30000, 30000, VZ_TEXT_ALL, 4, 8, 6, 300},
        {30000, 7000, VZ_TEXT_ALL, 4, 8, 12, 200},
        {9000, 9000, VZ_TEXT_ALL, 1, 60, 4, 200},
        {120000, 120000, VZ_TEXT_ALL, 1, 4, 3, 150}, /* blocks longer than windows */
        {90000, 40000, VZ_TEXT_ALL, 2, 6, 1, 100},
        {200, 37, VZ_TEXT_ALL, 1, 5, 20, 300},
        {30000, 30000, VZ_TEXT_FREQS | VZ_TEXT_POSITIONS, 2, 12, 10, 100},
        {30000, 11000, VZ_TEXT_DOCS, 2, 12, 10, 60},
    };
    uint64_t seed = 20261120;
    const char *given = getenv("VIZSLA_TEST_SEED");
    if (given)
        seed = strtoull(given, NULL, 10);
    printf("seed %llu\n", (unsigned long long)seed);
    for (size_t i = 0; i < VZ_COUNT_OF(shapes); i++) {
        struct catalogue c = make(&seed, shapes[i].documents, shapes[i].segment, shapes[i].flags,
                                  shapes[i].shortest, shapes[i].longest, shapes[i].picks);
        ask_many(&c, &seed, shapes[i].rounds);
        vz_text_view_release(c.view);
    }
}

/* "middle" has a block of good documents and then one that is left out in one window and has the
 * best document in the next. */
static void a_block_is_left_out_in_one_window_only(void **state)
{
    struct vz_text_builder *builder = vz_text_builder_new(0);
    struct vz_segment *segment;
    struct vz_error err = {0};
    struct vz_tokens tokens = {0};
    struct catalogue c = {.documents = 20000};
    for (uint32_t d = 0; d < c.documents; d++) {
        bool good = d == 0 || (d >= 4096 && d < 4223);
        bool poor = d >= 4223 && (d - 4223) % 100 == 0, best = d == 9223;
        const char *texts[8] = {"often", "x", "x", "x", "x", "x", "x", "x"};
        texts[0] = good || poor ? "middle" : "often";
        texts[1] = good ? "middle" : best ? "rare" : "x";
        tokens.count = 0;
        for (uint32_t i = 0; i < (good ? 2 : 8); i++) {
            struct vz_token *token = vz_tokens_push(&tokens);
            token->text = vz_slice_from(texts[i]);
            token->position = i;
        }
        tokens.end_position = 8;
        vz_text_builder_add(builder, d, 7, VZ_TEXT_ALL, &tokens, 100);
    }
    assert_int_equal(vz_text_builder_seal(builder, c.documents, &segment, &err), VZ_OK);
    c.view = vz_text_view_new(&segment, 1);
    vz_segment_release(segment);
    static const char *const names[] = {"rare", "middle", "often"};
    struct question q = {
        .root = {
            .kind = VZ_TEXT_ANY, .boost = 1, .field = 7, .parts = q.pointers, .part_count = 3}};
    for (size_t i = 0; i < 3; i++) {
        q.terms[i] = vz_slice_from(names[i]);
        q.parts[i] = (struct vz_text_query){
            .kind = VZ_TEXT_TERM, .boost = 1, .field = 7, .terms = &q.terms[i], .term_count = 1};
        q.pointers[i] = &q.parts[i];
    }
    compare(&c, &q, &(struct vz_text_search){.k = 1});
    compare(&c, &q, &(struct vz_text_search){.k = 3, .total_limit = 10000});
    vz_text_view_release(c.view);
    vz_tokens_deinit(&tokens);
    vz_text_builder_free(builder);
}

/* A list of several blocks is over before the first document that it is asked for. */
static void a_list_may_end_before_it_is_asked(void **state)
{
    struct vz_text_builder *builder = vz_text_builder_new(0);
    struct vz_segment *segment;
    struct vz_error err = {0};
    struct vz_tokens tokens = {0};
    struct catalogue c = {.documents = 9000, .flags = VZ_TEXT_ALL};
    for (uint32_t d = 0; d < c.documents; d++) {
        const char *first = d < 500 ? "early" : d % 100 == 0 ? "late" : "x";
        tokens.count = 0;
        for (uint32_t i = 0; i < 2 + d % 3; i++) {
            struct vz_token *token = vz_tokens_push(&tokens);
            token->text = vz_slice_from(i ? "x" : first);
            token->position = i;
        }
        tokens.end_position = 8;
        vz_text_builder_add(builder, d, 7, VZ_TEXT_ALL, &tokens, 100);
    }
    assert_int_equal(vz_text_builder_seal(builder, c.documents, &segment, &err), VZ_OK);
    c.view = vz_text_view_new(&segment, 1);
    vz_segment_release(segment);
    static const char *const names[] = {"late", "early", "x"};
    static const enum vz_text_kind kinds[] = {VZ_TEXT_ANY, VZ_TEXT_EVERY, VZ_TEXT_PHRASE};
    for (unsigned i = 0; i < 3 * 2 * 2; i++) {
        struct question q = {.root = {.kind = kinds[i % 3],
                                      .boost = 1,
                                      .field = 7,
                                      .terms = q.terms,
                                      .term_count = 2 + i / 3 % 2,
                                      .parts = q.pointers,
                                      .part_count = 2 + i / 3 % 2}};
        for (size_t n = 0; n < 3; n++) {
            q.terms[n] = vz_slice_from(names[n]);
            q.parts[n] = (struct vz_text_query){.kind = VZ_TEXT_TERM,
                                                .boost = 1,
                                                .field = 7,
                                                .terms = &q.terms[n],
                                                .term_count = 1};
            q.pointers[n] = &q.parts[n];
        }
        compare(&c, &q, &(struct vz_text_search){.k = 10, .total_limit = i / 6 ? 10000 : 0});
    }
    vz_text_view_release(c.view);
    vz_tokens_deinit(&tokens);
    vz_text_builder_free(builder);
}

/* Whatever lies behind the count, and for documents from 0 on. */
static void blocks_meet_as_in_plain_c(void **state)
{
    uint64_t seed = 7;
    for (unsigned round = 0; round < 3000; round++) {
        uint32_t docs[VZ_BLOCK], others[VZ_BLOCK], doc = 0, other = 0;
        uint8_t places[VZ_BLOCK];
        struct vz_meeting fast, plain;
        unsigned count = 1 + below(&seed, VZ_BLOCK), at = below(&seed, count), place_count = 0;
        unsigned stride = 1 + below(&seed, 40), used, used_plain;
        for (unsigned i = 0; i < VZ_BLOCK; i++) {
            doc += (i || below(&seed, 2)) + below(&seed, 1 + below(&seed, 9));
            other += (i || below(&seed, 2)) + below(&seed, stride);
            docs[i] = doc;
            others[i] = i < count ? other : docs[below(&seed, i + 1)];
        }
        for (unsigned i = 0; i < VZ_BLOCK; i++) /* none that is before others[at] */
            if (below(&seed, 3) && (!at || docs[i] > others[at - 1]))
                places[place_count++] = (uint8_t)i;
        unsigned want =
            vz_block_meet_plain(docs, places, place_count, others, at, count, &plain, &used_plain);
        unsigned have = vz_block_meet(docs, places, place_count, others, at, count, &fast, &used);
        assert_int_equal(have, want);
        assert_int_equal(used, used_plain);
        assert_memory_equal(fast.mine, plain.mine, want);
        assert_memory_equal(fast.theirs, plain.theirs, want);
        if (others[count - 1] >= doc / 2)
            for (unsigned i = 0; i < count; i++)
                if (others[i] >= doc / 2) {
                    assert_int_equal(vz_block_find(others, 0, doc / 2), i);
                    break;
                }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(blocks_meet_as_in_plain_c),
                                       cmocka_unit_test(the_best_are_the_best),
                                       cmocka_unit_test(a_list_may_end_before_it_is_asked),
                                       cmocka_unit_test(a_block_is_left_out_in_one_window_only)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
