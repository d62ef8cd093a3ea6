/* Spans of random texts against what they are said to be: for each span of the first part the
 * nearest of the others, what is away from another, first, within. Segments are cut at random. */
#include "text/bm25.h"
#include "text/score.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#define DOCS 150
#define WORDS 5
#define LONGEST 16
#define MOST 2048

static uint64_t seed;

static uint32_t below(uint32_t limit)
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(seed >> 33) % limit;
}

struct span {
    int start, end, width;
};
struct set {
    struct span items[MOST];
    size_t count;
};

static int words_of[DOCS][LONGEST], length_of[DOCS];
static const char names[WORDS][2] = {"a", "b", "c", "d", "e"};

static void add(struct set *set, struct span span)
{
    assert_true(set->count < MOST);
    set->items[set->count++] = span;
}

static int by_start(const void *a, const void *b)
{
    const struct span *x = a, *y = b;
    return x->start != y->start ? x->start - y->start : x->end - y->end;
}

/* For each of the first part, the first of each next one behind the one before. */
static void chain(const struct vz_spans *spans, const struct set *parts, struct set *out)
{
    for (size_t i = 0; i < parts[0].count; i++) {
        struct span whole = {parts[0].items[i].start, parts[0].items[i].end, 0};
        bool all = true;
        for (size_t p = 1; p < spans->part_count && all; p++) {
            all = false;
            for (size_t j = 0; j < parts[p].count && !all; j++)
                if (parts[p].items[j].start >= whole.end) {
                    whole.width += parts[p].items[j].start - whole.end;
                    whole.end = parts[p].items[j].end;
                    all = true;
                }
        }
        if (all && whole.width <= spans->slop)
            add(out, whole);
    }
}

/* Two words in any order: as the window goes on, the later word with the last one of the other
 * before it, from where the two first meet. */
static void window(const struct vz_spans *spans, const struct set *parts, struct set *out)
{
    size_t at[2] = {0, 0};
    int furthest = 0;
    while (at[0] < parts[0].count && at[1] < parts[1].count) {
        const struct span *x = &parts[0].items[at[0]], *y = &parts[1].items[at[1]];
        furthest = VZ_MAX(furthest, VZ_MAX(x->end, y->end));
        int start = VZ_MIN(x->start, y->start);
        if (furthest - start - 2 <= spans->slop)
            add(out, (struct span){start, furthest, furthest - start});
        at[y->start < x->start]++;
    }
}

static void define(const struct vz_spans *spans, int doc, struct set *out)
{
    struct set *parts = calloc(spans->part_count + 1, sizeof *parts);
    out->count = 0;
    for (size_t i = 0; i < spans->part_count; i++)
        define(spans->parts[i], doc, &parts[i]);
    if (spans->kind == VZ_SPAN_TERM)
        for (int at = 0; at < length_of[doc]; at++)
            if (vz_slice_is(spans->term, names[words_of[doc][at]]))
                add(out, (struct span){at, at + 1, 0});
    for (size_t p = 0; p < spans->part_count; p++)
        for (size_t i = 0; i < parts[p].count; i++) {
            struct span *x = &parts[p].items[i];
            const struct set *other = &parts[!p];
            bool any = false;
            if (spans->kind == VZ_SPAN_OR || spans->kind == VZ_SPAN_MASK ||
                (spans->kind == VZ_SPAN_FIRST && x->end <= spans->slop))
                add(out, *x);
            for (size_t j = 0; j < other->count && spans->part_count == 2; j++) {
                const struct span *y = &other->items[j];
                if (spans->kind == VZ_SPAN_CONTAINING)
                    any |= p == 0 && x->start <= y->start && x->end >= y->end;
                if (spans->kind == VZ_SPAN_WITHIN)
                    any |= p == 1 && y->start <= x->start && y->end >= x->end;
                if (spans->kind == VZ_SPAN_NOT)
                    any |= y->end > x->start - spans->before && y->start - spans->after < x->end;
            }
            if (any ? spans->kind != VZ_SPAN_NOT : spans->kind == VZ_SPAN_NOT && p == 0)
                add(out, *x);
        }
    if (spans->kind == VZ_SPAN_NEAR && spans->ordered)
        chain(spans, parts, out);
    else if (spans->kind == VZ_SPAN_NEAR)
        window(spans, parts, out);
    qsort(out->items, out->count, sizeof *out->items, by_start);
    free(parts);
}

static struct vz_text_view *make_view(void)
{
    struct vz_text_builder *builder = vz_text_builder_new(0);
    struct vz_segment *segments[DOCS];
    size_t count = 0;
    struct vz_error err = {0};
    for (uint32_t doc = 0; doc < DOCS; doc++) {
        struct vz_token items[LONGEST + 1] = {0};
        struct vz_tokens tokens = {.items = items};
        length_of[doc] = (int)below(LONGEST + 1);
        for (int i = 0; i < length_of[doc]; i++) {
            words_of[doc][i] = (int)below(WORDS);
            items[tokens.count++] =
                (struct vz_token){.text = vz_slice_from(names[words_of[doc][i]]),
                                  .position = (uint32_t)i,
                                  .increment = 1,
                                  .position_length = 1};
        }
        tokens.end_position = (uint32_t)length_of[doc];
        vz_text_builder_add(builder, doc, 3, VZ_TEXT_ALL, &tokens, 100);
        if (doc + 1 == DOCS || below(40) == 0)
            assert_int_equal(vz_text_builder_seal(builder, doc + 1, &segments[count++], &err),
                             VZ_OK);
    }
    struct vz_text_view *view = vz_text_view_new(segments, count);
    for (size_t i = 0; i < count; i++)
        vz_segment_release(segments[i]);
    vz_text_builder_free(builder);
    return view;
}

static struct vz_spans *new_spans(struct vz_arena *arena, enum vz_span_kind kind)
{
    struct vz_spans *spans = vz_arena_zalloc(arena, sizeof *spans);
    *spans = (struct vz_spans){.kind = kind, .field = 3, .field_name = VZ_SLICE("f")};
    spans->parts = vz_arena_zalloc(arena, 4 * sizeof(void *));
    return spans;
}

static const struct vz_spans *word(struct vz_arena *arena)
{
    struct vz_spans *spans = new_spans(arena, VZ_SPAN_TERM);
    spans->term = vz_slice_from(names[below(WORDS)]);
    return spans;
}

static bool same_word(const struct vz_spans *a, const struct vz_spans *b)
{
    return vz_slice_eq(a->term, b->term);
}

/* Words in what must be told apart; anything in what only chooses. */
static const struct vz_spans *random_spans(struct vz_arena *arena, int depth)
{
    if (depth == 0)
        return word(arena);
    struct vz_spans *spans = new_spans(arena, VZ_SPAN_OR + (enum vz_span_kind)below(7));
    bool one = spans->kind == VZ_SPAN_FIRST || spans->kind == VZ_SPAN_MASK;
    bool near = spans->kind == VZ_SPAN_NEAR;
    spans->ordered = near && below(3);
    spans->slop = (int32_t)below(near ? 4 : LONGEST);
    spans->before = (int32_t)below(3);
    spans->after = (int32_t)below(3);
    spans->part_count =
        one ? 1 : 2 + (spans->kind == VZ_SPAN_OR && below(2)) + (spans->ordered && below(2));
    for (size_t i = 0; i < spans->part_count; i++) {
        bool inner = one || spans->kind == VZ_SPAN_OR || (spans->kind == VZ_SPAN_NOT && i == 0);
        spans->parts[i] = inner ? random_spans(arena, (int)below((uint32_t)depth)) : word(arena);
    }
    if (near && !spans->ordered)
        while (same_word(spans->parts[0], spans->parts[1]))
            spans->parts[1] = word(arena);
    if (!near && (spans->kind == VZ_SPAN_CONTAINING || spans->kind == VZ_SPAN_WITHIN)) {
        struct vz_spans *big = new_spans(arena, VZ_SPAN_NEAR);
        big->ordered = true;
        big->slop = (int32_t)below(5);
        big->part_count = 2;
        big->parts[0] = word(arena);
        big->parts[1] = word(arena);
        spans->parts[0] = big;
    }
    return spans;
}

static void check(const struct vz_text_view *view, const struct vz_spans *spans,
                  struct vz_arena *arena, size_t *matched)
{
    static struct set want;
    struct vz_slice *terms;
    uint16_t *fields;
    struct vz_error err = {0};
    struct vz_text_query query = {
        .kind = VZ_TEXT_SPANS, .boost = 1, .field = 3, .field_name = VZ_SLICE("f"), .spans = spans};
    query.term_count = vz_spans_terms(spans, arena, &terms, &fields);
    query.terms = terms;
    query.term_fields = fields;
    struct vz_field_stats stats;
    double idf = 0;
    vz_text_field_stats(view, 3, &stats);
    for (size_t i = 0; i < query.term_count; i++) {
        struct vz_term_stats term;
        vz_text_term_stats(view, 3, terms[i], &term);
        if (term.doc_freq)
            idf += log(1 + ((double)stats.doc_count - (double)term.doc_freq + 0.5) /
                               ((double)term.doc_freq + 0.5));
    }
    struct vz_bitset bits;
    float scores[DOCS];
    vz_bitset_init(&bits, DOCS);
    assert_int_equal(vz_text_collect(view, &query, &bits, scores, NULL, NULL, &err), VZ_OK);
    for (int doc = 0; doc < DOCS; doc++) {
        double freq = 0, average = (double)stats.sum_total_freqs / (double)stats.doc_count;
        define(spans, doc, &want);
        for (size_t i = 0; i < want.count; i++)
            freq += 1.0 / (1 + want.items[i].width);
        double score = idf * 2.2 * freq / (freq + 1.2 * (0.25 + 0.75 * length_of[doc] / average));
        if (vz_bitset_has(&bits, (size_t)doc) != (want.count > 0) ||
            (want.count && fabs((double)scores[doc] - score) > 1e-5 * score)) {
            struct vz_buf text = {0};
            vz_spans_describe(spans, &text);
            for (int i = 0; i < length_of[doc]; i++)
                vz_buf_printf(&text, " %s", names[words_of[doc][i]]);
            fail_msg("%s: %zu spans, score %g and not %g", text.data, want.count,
                     (double)scores[doc], score);
        }
        *matched += want.count > 0;
    }
    vz_bitset_deinit(&bits);
}

static void test_spans(void **state)
{
    (void)state;
    size_t matched = 0;
    seed = 20261122;
    print_message("seed %llu\n", (unsigned long long)seed);
    for (int round = 0; round < 10; round++) {
        struct vz_text_view *view = make_view();
        for (int q = 0; q < 50; q++) {
            struct vz_arena arena = {0};
            check(view, random_spans(&arena, 1 + (int)below(2)), &arena, &matched);
            vz_arena_deinit(&arena);
        }
        vz_text_view_release(view);
    }
    print_message("%zu matches\n", matched);
    assert_true(matched > 5000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_spans)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
