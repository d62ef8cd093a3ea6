/* Words in several fields: the best k of the search that leaves out against all matches, to the
 * bit. Random catalogues of three fields that share words (a short one, a long one that has the
 * short one's words in it, one of a single word that many share, so that scores tie), in one
 * segment and several; random trees of sums and bests over their terms, ties, boosts, constants,
 * filters, limits of counting. */
#include "text/analysis_parts.h"
#include "text/score.h"
#include "text/top_parts.h"

#include "base/text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
// clang-format off
#include <cmocka.h>
// clang-format on

#define WORDS 2000
#define FIELDS 3
#define SHORT 6
#define LONG 30
#define MOST_PARTS 4

static uint32_t below(uint64_t *seed, uint32_t limit)
{
    return (uint32_t)(vz_rng_next(seed) >> 33) % limit;
}

/* The smallest of some picks: frequent ones are frequent. */
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
    unsigned picks;
    uint32_t samples[64][2]; /* words of titles */
};

static void add(struct vz_text_builder *builder, uint32_t docno, uint16_t field,
                const uint32_t *words, size_t count, struct vz_tokens *tokens)
{
    static char names[LONG + SHORT][8];
    tokens->count = 0;
    for (size_t i = 0; i < count; i++) {
        struct vz_token *token = vz_tokens_push(tokens);
        snprintf(names[i], sizeof names[i], "w%u", words[i]);
        token->text = vz_slice_from(names[i]);
        token->position = (uint32_t)i;
    }
    tokens->end_position = (uint32_t)count;
    vz_text_builder_add(builder, docno, field, VZ_TEXT_ALL, tokens, 100);
}

static struct catalogue make(uint64_t *seed, uint32_t documents, uint32_t segment, unsigned picks)
{
    struct catalogue c = {.documents = documents, .picks = picks};
    struct vz_text_builder *builder = vz_text_builder_new(0);
    struct vz_segment *segments[64];
    size_t count = 0;
    struct vz_error err = {0};
    struct vz_tokens tokens = {0};
    for (uint32_t d = 0; d < documents; d++) {
        uint32_t words[LONG + SHORT], title = 1 + below(seed, SHORT), more = below(seed, LONG);
        for (uint32_t i = 0; i < title + more; i++)
            words[i] = word(seed, picks);
        memcpy(c.samples[below(seed, 64)], words, sizeof c.samples[0]);
        bool repeats = below(seed, 2);
        if (below(seed, 20))
            add(builder, d, 3, words, title, &tokens);
        if (title + more > 2 && below(seed, 10))
            add(builder, d, 5, words + (repeats ? 0 : title), repeats ? title + more : more,
                &tokens);
        uint32_t brand = word(seed, 3 * picks);
        add(builder, d, 9, &brand, 1, &tokens);
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

/* ---- trees ----------------------------------------------------------------------------------- */

struct tree {
    struct vz_arena arena;
    uint64_t *seed;
    const struct catalogue *catalogue;
    const struct vz_slice *words;
    size_t word_count;
};

static const uint16_t fields[FIELDS] = {3, 5, 9};

static float boost(struct tree *t)
{
    static const float boosts[] = {1, 1, 1, 1, 2.5f, 0.3f, 7};
    return boosts[below(t->seed, VZ_COUNT_OF(boosts))];
}

static struct vz_text_query *node(struct tree *t, enum vz_text_kind kind, size_t parts)
{
    struct vz_text_query *query = vz_arena_zalloc(&t->arena, sizeof *query);
    query->kind = kind;
    query->boost = boost(t);
    query->parts = vz_arena_zalloc(&t->arena, (parts + 1) * sizeof(struct vz_text_query *));
    query->part_count = parts;
    if (kind == VZ_TEXT_BEST) {
        static const float ties[] = {0, 0, 0.1f, 0.3f, 0.9f, 1};
        query->tie = ties[below(t->seed, VZ_COUNT_OF(ties))];
    }
    return query;
}

static void set_part(struct vz_text_query *query, size_t at, struct vz_text_query *part)
{
    ((struct vz_text_query **)(uintptr_t)query->parts)[at] = part;
}

static struct vz_text_query *term(struct tree *t, uint16_t field, size_t word_at)
{
    struct vz_text_query *query = node(t, VZ_TEXT_TERM, 0);
    query->field = field;
    query->terms = &t->words[word_at];
    query->term_count = 1;
    query->constant = below(t->seed, 25) == 0;
    query->doc_freq = below(t->seed, 6) ? 0 : 1 + below(t->seed, 50);
    return query;
}

/* Any of the words in a field. */
static struct vz_text_query *of_field(struct tree *t, uint16_t field)
{
    if (t->word_count == 1 && below(t->seed, 2))
        return term(t, field, 0);
    struct vz_text_query *query = node(t, VZ_TEXT_ANY, t->word_count);
    for (size_t i = 0; i < t->word_count; i++)
        set_part(query, i, term(t, field, i));
    return query;
}

static struct vz_text_query *random_tree(struct tree *t, unsigned depth)
{
    if (depth == 0 || below(t->seed, 4) == 0)
        return below(t->seed, 12) ? of_field(t, fields[below(t->seed, FIELDS)])
                                  : node(t, VZ_TEXT_NONE, 0);
    size_t count = 1 + below(t->seed, 3);
    struct vz_text_query *query = node(t, below(t->seed, 2) ? VZ_TEXT_BEST : VZ_TEXT_ANY, count);
    for (size_t i = 0; i < count; i++)
        set_part(query, i, random_tree(t, depth - 1));
    return query;
}

/* Any of the words in fields that are one. */
static struct vz_text_query *combined_fields(struct tree *t)
{
    struct vz_text_query *query = node(t, VZ_TEXT_ANY, t->word_count);
    size_t count = 1 + below(t->seed, FIELDS);
    struct vz_text_field_weight *weights = vz_arena_zalloc(&t->arena, FIELDS * sizeof *weights);
    for (size_t f = 0; f < FIELDS; f++)
        weights[f] = (struct vz_text_field_weight){
            .id = fields[f], .weight = below(t->seed, 2) ? 1 : 1 + (float)below(t->seed, 50) / 7};
    for (size_t i = 0; i < t->word_count; i++) {
        struct vz_text_query *part = term(t, fields[0], i);
        part->kind = VZ_TEXT_COMBINED;
        part->constant = false;
        part->fields = weights;
        part->field_count = count;
        /* alternatives of a place */
        part->term_count = i + 1 < t->word_count && below(t->seed, 5) == 0 ? 2 : 1;
        set_part(query, i, part);
    }
    return t->word_count == 1 && below(t->seed, 2) ? query->parts[0] : query;
}

/* All of the words in a field: the best such field. */
static struct vz_text_query *best_of_every(struct tree *t)
{
    size_t count = 2 + below(t->seed, 2);
    struct vz_text_query *query = node(t, VZ_TEXT_BEST, count);
    for (size_t f = 0; f < count; f++) {
        struct vz_text_query *part = of_field(t, fields[f]);
        if (part->kind == VZ_TEXT_ANY)
            part->kind = VZ_TEXT_EVERY;
        set_part(query, f, below(t->seed, 20) ? part : node(t, VZ_TEXT_NONE, 0));
    }
    query->tie = below(t->seed, 8) ? 0 : query->tie;
    return query;
}

/* What match and multi_match make of some words over the fields, or any tree. */
static struct vz_text_query *ask(struct tree *t)
{
    unsigned shape = below(t->seed, 12);
    if (shape >= 10)
        return best_of_every(t);
    if (shape >= 8)
        return combined_fields(t);
    if (shape == 0)
        return random_tree(t, 3);
    if (shape <= 2) { /* cross_fields */
        struct vz_text_query *query = node(t, VZ_TEXT_ANY, t->word_count);
        for (size_t i = 0; i < t->word_count; i++) {
            struct vz_text_query *best = node(t, VZ_TEXT_BEST, FIELDS);
            for (size_t f = 0; f < FIELDS; f++)
                set_part(best, f, term(t, fields[f], i));
            set_part(query, i, best);
        }
        return query;
    }
    size_t count = 2 + below(t->seed, 2);
    struct vz_text_query *query =
        node(t, shape == 3 ? VZ_TEXT_ANY : VZ_TEXT_BEST, count); /* a bool's should; dis_max */
    for (size_t f = 0; f < count; f++)
        set_part(query, f, of_field(t, fields[f]));
    return query;
}

/* ---- comparing ------------------------------------------------------------------------------- */

static const float *order_scores;
static int best_first(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    if (order_scores[x] != order_scores[y])
        return order_scores[x] > order_scores[y] ? -1 : 1;
    return x < y ? -1 : x > y;
}

static void compare(const struct catalogue *c, const struct vz_text_query *query,
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
    assert_int_equal(vz_text_collect(c->view, query, &bits, scores, NULL, NULL, &err), VZ_OK);
    if (how->filter)
        vz_bitset_and(&bits, how->filter);
    for (size_t d = vz_bitset_next(&bits, 0); d < bits.bits; d = vz_bitset_next(&bits, d + 1))
        all[count++] = (uint32_t)d;
    order_scores = scores;
    qsort(all, count, sizeof *all, best_first);
    assert_int_equal(vz_text_top(c->view, query, how, hits, &result, &err), VZ_OK);
    bool same = result.count == VZ_MIN(count, how->k);
    for (size_t i = 0; i < result.count && same; i++)
        if (hits[i].docno != all[i] || hits[i].score != scores[all[i]]) {
            printf("place %zu: %u %.9g, not %u %.9g\n", i, hits[i].docno, (double)hits[i].score,
                   all[i], (double)scores[all[i]]);
            same = false;
        }
    if (how->total_limit && result.total_exact)
        same &= result.total == count;
    else if (how->total_limit)
        same &= count > how->total_limit && result.total == how->total_limit + 1;
    if (!same) {
        struct vz_buf text = {0};
        vz_text_describe(query, &text);
        fail_msg("%.*s\nk %zu, limit %llu, filter %d: %zu matches, %zu hits, total %llu, exact %d",
                 (int)text.len, text.data, how->k, (unsigned long long)how->total_limit,
                 how->filter != NULL, count, result.count, (unsigned long long)result.total,
                 result.total_exact);
    }
    vz_bitset_deinit(&bits);
    free(hits);
    free(all);
    free(scores);
}

static void ask_many(const struct catalogue *c, uint64_t *seed, unsigned rounds)
{
    static const size_t ks[] = {0, 1, 3, 10, 10, 10, 57, 400};
    static const uint64_t limits[] = {0, 20, 1000, 10000};
    static const unsigned dead[] = {0, 0, 0, 10, 2};
    for (unsigned i = 0; i < rounds; i++) {
        struct vz_bitset bits;
        char names[MOST_PARTS][8];
        struct vz_slice words[MOST_PARTS];
        unsigned share = dead[below(seed, 5)], sample = below(seed, 64);
        struct vz_text_search how = {.k = ks[below(seed, 8)],
                                     .total_limit = limits[below(seed, 4)]};
        struct tree tree = {.seed = seed, .catalogue = c, .words = words};
        tree.word_count = 1 + below(seed, MOST_PARTS);
        for (size_t w = 0; w < tree.word_count; w++) {
            uint32_t one = w < 2 && i % 2 ? c->samples[sample][w]
                                          : word(seed, below(seed, 3) ? c->picks + 2 : 1);
            snprintf(names[w], sizeof names[w], "w%u", one);
            words[w] = vz_slice_from(names[w]);
        }
        vz_bitset_init(&bits, c->documents);
        for (uint32_t d = 0; share && d < c->documents; d++)
            if (below(seed, share))
                vz_bitset_set(&bits, d);
        if (share) {
            how.filter = &bits;
            how.excluded = below(seed, 2) ? c->documents - vz_bitset_count(&bits) : UINT64_MAX;
        }
        compare(c, ask(&tree), &how);
        vz_bitset_deinit(&bits);
        vz_arena_deinit(&tree.arena);
    }
}

static void the_best_of_several_fields_are_the_best(void **state)
{
    static const struct {
        uint32_t documents, segment;
        unsigned picks, rounds;
    } shapes[] = {
        {20000, 20000, 5, 400}, {20000, 6000, 12, 300}, {60000, 60000, 2, 100}, {300, 47, 20, 400}};
    uint64_t seed = 20261121;
    const char *given = getenv("VIZSLA_TEST_SEED");
    if (given)
        seed = strtoull(given, NULL, 10);
    printf("seed %llu\n", (unsigned long long)seed);
    for (size_t i = 0; i < VZ_COUNT_OF(shapes); i++) {
        struct catalogue c = make(&seed, shapes[i].documents, shapes[i].segment, shapes[i].picks);
        ask_many(&c, &seed, shapes[i].rounds);
        vz_text_view_release(c.view);
    }
}

/* A document of the second search comes before one of the first that has the same score. */
static void equal_scores_of_two_fields_go_by_number(void **state)
{
    struct vz_text_builder *builder = vz_text_builder_new(0);
    struct vz_segment *segment;
    struct vz_error err = {0};
    struct vz_tokens tokens = {0};
    struct catalogue c = {.documents = 600};
    const uint32_t w = 1;
    for (uint32_t d = 0; d < c.documents; d++)
        add(builder, d, d % 4 == 1 || d % 4 == 2 ? 3 : 5, &w, 1, &tokens);
    assert_int_equal(vz_text_builder_seal(builder, c.documents, &segment, &err), VZ_OK);
    c.view = vz_text_view_new(&segment, 1);
    vz_segment_release(segment);
    for (unsigned i = 0; i < 8; i++) {
        struct vz_slice name = VZ_SLICE("w1");
        struct vz_text_query parts[2], *pointers[2] = {&parts[0], &parts[1]};
        for (unsigned f = 0; f < 2; f++)
            parts[f] = (struct vz_text_query){.kind = VZ_TEXT_TERM,
                                              .boost = 1,
                                              .constant = i % 2,
                                              .field = fields[f],
                                              .terms = &name,
                                              .term_count = 1};
        struct vz_text_query best = {.kind = VZ_TEXT_BEST,
                                     .boost = 1,
                                     .tie = i / 2 % 2 ? 0.5f : 0,
                                     .parts = pointers,
                                     .part_count = 2};
        compare(&c, &best, &(struct vz_text_search){.k = i / 4 ? 3 : 10, .total_limit = 10000});
    }
    vz_text_view_release(c.view);
    vz_tokens_deinit(&tokens);
    vz_text_builder_free(builder);
}

/* Words times fields: a client chooses both. */
static struct vz_text_query *wide(struct tree *t, size_t words, size_t width, bool is_one)
{
    struct vz_text_query *query = node(t, VZ_TEXT_ANY, words);
    struct vz_text_field_weight *weights = vz_arena_zalloc(&t->arena, width * sizeof *weights);
    for (size_t f = 0; f < width; f++)
        weights[f] = (struct vz_text_field_weight){.id = fields[f % FIELDS], .weight = 1};
    for (size_t i = 0; i < words; i++) {
        struct vz_text_query *part = node(t, VZ_TEXT_BEST, is_one ? 0 : width);
        for (size_t f = 0; f < part->part_count; f++)
            set_part(part, f, term(t, fields[f % FIELDS], i % t->word_count));
        if (is_one) {
            part = term(t, fields[0], i % t->word_count);
            part->kind = VZ_TEXT_COMBINED;
            part->constant = false;
            part->fields = weights;
            part->field_count = width;
        }
        set_part(query, i, part);
    }
    return query;
}

/* Many words in many fields are found by a walk, without a list open for each of each. */
static void of_very_many_words_no_plan_is_made(void **state)
{
    static const struct {
        size_t words, width;
        bool planned;
    } shapes[] = {{1, 1, true}, {40, 60, true}, {64, 64, true}, {64, 65, false}, {300, 200, false}};
    const struct vz_slice words[] = {VZ_SLICE("w1"), VZ_SLICE("w4"), VZ_SLICE("w30")};
    uint64_t seed = 7;
    struct catalogue c = make(&seed, 300, 100, 5);
    for (size_t i = 0; i < 2 * VZ_COUNT_OF(shapes); i++) {
        struct tree tree = {.seed = &seed, .catalogue = &c, .words = words, .word_count = 3};
        struct vz_arena arena = {0};
        struct vz_error err = {0};
        struct vz_top_plan plan;
        struct vz_text_query *query = wide(&tree, shapes[i / 2].words, shapes[i / 2].width, i % 2);
        struct vz_weight *weight = vz_weigh(c.view, query, 1, &arena, &err);
        assert_non_null(weight);
        assert_int_equal(vz_top_plan(weight, &arena, &plan), shapes[i / 2].planned);
        vz_arena_deinit(&arena);
        if (shapes[i / 2].words < 300)
            compare(&c, query, &(struct vz_text_search){.k = 10, .total_limit = 10000});
        vz_arena_deinit(&tree.arena);
    }
    vz_text_view_release(c.view);
}

/* Boosts are finite, and their product is not: all matches are found still. */
static void weights_without_end_leave_nobody_out(void **state)
{
    const struct vz_slice words[] = {VZ_SLICE("w1"), VZ_SLICE("w4"), VZ_SLICE("w30")};
    uint64_t seed = 11;
    struct catalogue c = make(&seed, 300, 100, 5);
    for (unsigned i = 0; i < 8; i++) {
        struct tree tree = {.seed = &seed, .catalogue = &c, .words = words, .word_count = 3};
        struct vz_bitset bits;
        struct vz_error err = {0};
        struct vz_text_hit hits[400];
        struct vz_text_result result;
        struct vz_text_query *query =
            i % 2 ? wide(&tree, 3, FIELDS, i % 4 == 1) : node(&tree, VZ_TEXT_BEST, FIELDS);
        for (unsigned f = 0; i % 2 == 0 && f < FIELDS; f++) {
            set_part(query, f, of_field(&tree, fields[f]));
            ((struct vz_text_query *)(uintptr_t)query->parts[f])->boost = 3e38f;
        }
        for (size_t p = 0; i % 2 && p < query->part_count; p++)
            ((struct vz_text_query *)(uintptr_t)query->parts[p])->boost = 3e38f;
        query->boost = 3e38f;
        if (i % 4 == 1) { /* of the fields alone */
            query->boost = 1;
            for (size_t p = 0; p < query->part_count; p++)
                ((struct vz_text_query *)(uintptr_t)query->parts[p])->boost = 1;
            for (size_t f = 0; f < FIELDS; f++)
                ((struct vz_text_field_weight *)(uintptr_t)query->parts[0]->fields)[f].weight =
                    3e38f;
        }
        vz_bitset_init(&bits, c.documents);
        assert_int_equal(vz_text_collect(c.view, query, &bits, NULL, NULL, NULL, &err), VZ_OK);
        assert_int_equal(
            vz_text_top(c.view, query, &(struct vz_text_search){.k = 400}, hits, &result, &err),
            VZ_OK);
        assert_true(vz_bitset_count(&bits) > 0);
        assert_int_equal(result.count, vz_bitset_count(&bits));
        vz_bitset_deinit(&bits);
        vz_arena_deinit(&tree.arena);
    }
    vz_text_view_release(c.view);
}

/* What words times fields may come to. */
static void clauses_without_end_are_refused(void **state)
{
    const struct vz_slice words[] = {VZ_SLICE("w1"), VZ_SLICE("w4"), VZ_SLICE("w30")};
    uint64_t seed = 13;
    struct catalogue c = make(&seed, 300, 100, 5);
    struct tree tree = {.seed = &seed, .catalogue = &c, .words = words, .word_count = 3};
    struct vz_error err = {0};
    struct vz_text_hit hit;
    struct vz_text_result result;
    struct vz_text_search how = {.k = 1};
    struct vz_text_query *query = wide(&tree, 255, 256, false); /* 1 + 255 + 255 * 256 */
    assert_int_equal(vz_text_top(c.view, query, &how, &hit, &result, &err), VZ_OK);
    query = wide(&tree, 256, 256, false);
    assert_int_equal(vz_text_top(c.view, query, &how, &hit, &result, &err), VZ_BAD_QUERY);
    assert_string_equal(err.text,
                        "Query contains too many nested clauses; maxClauseCount is set to 65536");
    vz_arena_deinit(&tree.arena);
    vz_text_view_release(c.view);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(the_best_of_several_fields_are_the_best),
                                       cmocka_unit_test(of_very_many_words_no_plan_is_made),
                                       cmocka_unit_test(weights_without_end_leave_nobody_out),
                                       cmocka_unit_test(clauses_without_end_are_refused),
                                       cmocka_unit_test(equal_scores_of_two_fields_go_by_number)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
