/* Intervals of random texts against their definition: all ways to put the parts together, of which
 * those stay that hold no other. Segments are cut at random, so that documents come from several.
 */
#include "text/score.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#define DOCS 120
#define WORDS 5
#define LONGEST 14
#define MOST 4096

static uint64_t seed;

static uint32_t below(uint32_t limit)
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(seed >> 33) % limit;
}

struct span {
    int start, end, gaps;
};
struct set {
    struct span items[MOST];
    size_t count;
};

static int words_of[DOCS][LONGEST], length_of[DOCS];
static const char names[WORDS][2] = {"a", "b", "c", "d", "e"};

static void add(struct set *set, int start, int end, int gaps)
{
    for (size_t i = 0; i < set->count; i++)
        if (set->items[i].start == start && set->items[i].end == end && set->items[i].gaps == gaps)
            return;
    assert_true(set->count < MOST);
    set->items[set->count++] = (struct span){start, end, gaps};
}

/* Those that hold no other; of equal ones the one of fewest gaps. */
static void minimal(struct set *set)
{
    static struct set kept;
    kept.count = 0;
    for (size_t i = 0; i < set->count; i++) {
        const struct span *a = &set->items[i];
        bool holds = false;
        for (size_t j = 0; j < set->count && !holds; j++) {
            const struct span *b = &set->items[j];
            bool same = a->start == b->start && a->end == b->end;
            holds =
                i != j && a->start <= b->start && a->end >= b->end && (!same || b->gaps < a->gaps);
        }
        if (!holds)
            add(&kept, a->start, a->end, a->gaps);
    }
    *set = kept;
}

static void define(const struct vz_intervals *source, int doc, struct set *out);

/* All choices of an interval of each part. */
static void choose(const struct vz_intervals *source, const struct set *parts, size_t at,
                   struct span *chosen, struct set *out)
{
    if (at == source->part_count) {
        int start = chosen[0].start, end = chosen[0].end, width = 0;
        for (size_t i = 0; i < at; i++) {
            start = VZ_MIN(start, chosen[i].start);
            end = VZ_MAX(end, chosen[i].end);
            width += chosen[i].end - chosen[i].start + 1;
        }
        add(out, start, end, end - start + 1 - width);
        return;
    }
    for (size_t i = 0; i < parts[at].count; i++) {
        const struct span *next = &parts[at].items[i];
        if (at && source->kind == VZ_INTERVAL_ORDERED && next->start <= chosen[at - 1].end)
            continue;
        if (at && source->kind == VZ_INTERVAL_BLOCK && next->start != chosen[at - 1].end + 1)
            continue;
        chosen[at] = *next;
        choose(source, parts, at + 1, chosen, out);
    }
}

static bool related(enum vz_interval_kind kind, const struct span *a, const struct set *to)
{
    bool any = false;
    for (size_t i = 0; i < to->count && !any; i++) {
        const struct span *b = &to->items[i];
        if (kind == VZ_INTERVAL_CONTAINING || kind == VZ_INTERVAL_NOT_CONTAINING)
            any = a->start <= b->start && a->end >= b->end;
        else if (kind == VZ_INTERVAL_CONTAINED_BY || kind == VZ_INTERVAL_NOT_CONTAINED_BY)
            any = b->start <= a->start && b->end >= a->end;
        else
            any = a->start <= b->end && a->end >= b->start;
    }
    return any == (kind < VZ_INTERVAL_NOT_CONTAINING);
}

static void define(const struct vz_intervals *source, int doc, struct set *out)
{
    struct set *parts = calloc(source->part_count + 1, sizeof *parts);
    struct span chosen[16];
    out->count = 0;
    for (size_t i = 0; i < source->part_count; i++)
        define(source->parts[i], doc, &parts[i]);
    switch (source->kind) {
    case VZ_INTERVAL_TERMS:
        for (int at = 0; at < length_of[doc]; at++)
            for (size_t t = 0; t < source->term_count; t++)
                if (vz_slice_is(source->terms[t], names[words_of[doc][at]]))
                    add(out, at, at, 0);
        break;
    case VZ_INTERVAL_OR:
        for (size_t p = 0; p < source->part_count; p++)
            for (size_t i = 0; i < parts[p].count; i++)
                add(out, parts[p].items[i].start, parts[p].items[i].end, parts[p].items[i].gaps);
        break;
    case VZ_INTERVAL_ORDERED:
    case VZ_INTERVAL_UNORDERED:
    case VZ_INTERVAL_BLOCK:
        assert_true(source->part_count <= 16);
        choose(source, parts, 0, chosen, out);
        break;
    case VZ_INTERVAL_REPEAT: /* of words: so many of them in a row */
        for (size_t i = 0; i + (size_t)source->number <= parts[0].count; i++) {
            const struct span *first = &parts[0].items[i];
            const struct span *last = &parts[0].items[i + (size_t)source->number - 1];
            add(out, first->start, last->end, last->end - first->start + 1 - source->number);
        }
        break;
    case VZ_INTERVAL_GAPS:
        for (size_t i = 0; i < parts[0].count; i++)
            if (parts[0].items[i].gaps <= source->number)
                add(out, parts[0].items[i].start, parts[0].items[i].end, parts[0].items[i].gaps);
        break;
    default:
        for (size_t i = 0; i < parts[0].count; i++)
            if (related(source->kind, &parts[0].items[i], &parts[1]))
                add(out, parts[0].items[i].start, parts[0].items[i].end, parts[0].items[i].gaps);
    }
    if (source->kind != VZ_INTERVAL_REPEAT && source->kind != VZ_INTERVAL_TERMS)
        minimal(out);
    free(parts);
}

/* ---- the index --------------------------------------------------------------------------------
 */

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

static const struct vz_intervals *word(struct vz_arena *arena)
{
    struct vz_slice *terms = vz_arena_alloc(arena, 2 * sizeof *terms);
    terms[0] = vz_slice_from(names[below(WORDS)]);
    terms[1] = vz_slice_from(names[below(WORDS)]);
    return vz_intervals_terms(arena, 3, terms, below(8) == 0 ? 2 : 1);
}

/* Disjunctions stand at the top or in blocks, where what is pulled up is what is defined. */
static const struct vz_intervals *random_source(struct vz_arena *arena, int depth)
{
    static const enum vz_interval_kind relations[] = {
        VZ_INTERVAL_CONTAINING,     VZ_INTERVAL_CONTAINED_BY,     VZ_INTERVAL_OVERLAPPING,
        VZ_INTERVAL_NOT_CONTAINING, VZ_INTERVAL_NOT_CONTAINED_BY, VZ_INTERVAL_NOT_OVERLAPPING};
    const struct vz_intervals *parts[3];
    size_t count = 2 + below(2);
    if (depth == 0)
        return word(arena);
    for (size_t i = 0; i < count; i++)
        parts[i] = random_source(arena, (int)below((uint32_t)depth));
    switch (below(6)) {
    case 0:
        return vz_intervals_or(arena, parts, count);
    case 1:
        return vz_intervals_relate(arena, relations[below(VZ_COUNT_OF(relations))], parts[0],
                                   word(arena));
    case 2:
        return vz_intervals_combine(arena, parts, count, 0, true);
    case 3:
        return vz_intervals_combine(arena, parts, count, (int32_t)below(4), below(2));
    default:
        return vz_intervals_combine(arena, parts, count, -1, below(2));
    }
}

/* What the definition does not tell: gaps of what may be put together in several ways, rows of more
 * than words, what is within a thing that is itself part of another. */
static bool is_defined(const struct vz_intervals *source)
{
    for (size_t i = 0; i < source->part_count; i++) {
        const struct vz_intervals *part = source->parts[i];
        if (!is_defined(part) ||
            (source->kind == VZ_INTERVAL_REPEAT && part->kind != VZ_INTERVAL_TERMS) ||
            (source->kind == VZ_INTERVAL_GAPS &&
             (part->kind != VZ_INTERVAL_ORDERED && part->kind != VZ_INTERVAL_UNORDERED)))
            return false;
        if (source->kind == VZ_INTERVAL_GAPS)
            for (size_t p = 0; p < part->part_count; p++)
                if (part->parts[p]->kind != VZ_INTERVAL_TERMS)
                    return false;
    }
    return true;
}

static void test_definition(void **state)
{
    (void)state;
    static struct set want;
    size_t matched = 0, tried = 0;
    seed = 20261121;
    print_message("seed %llu\n", (unsigned long long)seed);
    for (int round = 0; round < 12; round++) {
        struct vz_text_view *view = make_view();
        for (int q = 0; q < 60; q++) {
            struct vz_arena arena = {0};
            struct vz_error err = {0};
            const struct vz_intervals *source = random_source(&arena, 1 + (int)below(3));
            struct vz_text_query query = {
                .kind = VZ_TEXT_INTERVALS, .boost = 1.5f, .field = 3, .intervals = source};
            struct vz_bitset bits;
            float scores[DOCS];
            if (!source || !is_defined(source)) {
                vz_arena_deinit(&arena);
                continue;
            }
            tried++;
            vz_bitset_init(&bits, DOCS);
            assert_int_equal(vz_text_collect(view, &query, &bits, scores, NULL, NULL, &err), VZ_OK);
            for (int doc = 0; doc < DOCS; doc++) {
                float freq = 0;
                define(source, doc, &want);
                for (size_t i = 0; i < want.count; i++) {
                    int64_t length = want.items[i].end - want.items[i].start + 1;
                    freq += 1.0f / (float)VZ_MAX(length - source->extent + 1, 1);
                }
                if (vz_bitset_has(&bits, (size_t)doc) != (want.count > 0) ||
                    (want.count && fabsf(scores[doc] - 1.5f * freq / (1 + freq)) > 1e-5f)) {
                    struct vz_buf text = {0};
                    vz_intervals_describe(source, &text);
                    for (int i = 0; i < length_of[doc]; i++)
                        vz_buf_printf(&text, " %s", names[words_of[doc][i]]);
                    fail_msg("%s: %zu intervals, score %g, found %d", text.data, want.count,
                             (double)scores[doc], vz_bitset_has(&bits, (size_t)doc));
                }
                matched += want.count > 0;
            }
            vz_bitset_deinit(&bits);
            vz_arena_deinit(&arena);
        }
        vz_text_view_release(view);
    }
    print_message("%zu queries, %zu matches\n", tried, matched);
    assert_true(tried > 300 && matched > 5000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_definition)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
