/* Spans at work in one segment, and their terms and names. See spans.h.
 *
 * As interval_scorer.c does, a part makes the whole list of its spans of a document from those of
 * its parts, by the loop of Lucene's iterator of that name (apache/lucene,
 * org.apache.lucene.queries.spans): behind a list everything is END, before it -1. */
#include "base/strmap.h"
#include "text/scorer.h"

#include <stdlib.h>

#define END INT32_MAX

/* ---- terms and names --------------------------------------------------------------------------
 */

static size_t count_terms(const struct vz_spans *spans)
{
    size_t count = spans->kind == VZ_SPAN_TERM;
    for (size_t i = 0; i < spans->part_count; i++)
        count += count_terms(spans->parts[i]);
    return count;
}

static void take_terms(const struct vz_spans *spans, struct vz_slice *terms, uint16_t *fields,
                       struct vz_strmap *seen, size_t *count)
{
    if (spans->kind == VZ_SPAN_TERM) {
        struct vz_buf key = {0};
        uint64_t ignored;
        vz_buf_printf(&key, "%u ", spans->field);
        vz_buf_append_slice(&key, spans->term);
        if (!vz_strmap_get(seen, vz_buf_slice(&key), &ignored)) {
            vz_strmap_put(seen, vz_buf_slice(&key), 1);
            terms[*count] = spans->term;
            fields[(*count)++] = spans->field;
        }
        vz_buf_deinit(&key);
    }
    for (size_t i = 0; i < (spans->kind == VZ_SPAN_NOT ? 1 : spans->part_count); i++)
        take_terms(spans->parts[i], terms, fields, seen, count);
}

size_t vz_spans_terms(const struct vz_spans *spans, struct vz_arena *arena, struct vz_slice **terms,
                      uint16_t **fields)
{
    size_t room = count_terms(spans), count = 0;
    struct vz_strmap seen = {0};
    *terms = vz_arena_alloc(arena, (room + 1) * sizeof **terms);
    *fields = vz_arena_alloc(arena, (room + 1) * sizeof **fields);
    take_terms(spans, *terms, *fields, &seen, &count);
    vz_strmap_deinit(&seen);
    return count;
}

static void describe_list(const struct vz_spans *spans, struct vz_buf *out)
{
    for (size_t i = 0; i < spans->part_count; i++) {
        vz_buf_append_str(out, i ? ", " : "");
        vz_spans_describe(spans->parts[i], out);
    }
}

void vz_spans_describe(const struct vz_spans *spans, struct vz_buf *out)
{
    static const char *const heads[] = {[VZ_SPAN_TERM] = "",
                                        [VZ_SPAN_OR] = "spanOr([",
                                        [VZ_SPAN_NEAR] = "spanNear([",
                                        [VZ_SPAN_NOT] = "spanNot(",
                                        [VZ_SPAN_FIRST] = "spanFirst(",
                                        [VZ_SPAN_CONTAINING] = "SpanContaining(",
                                        [VZ_SPAN_WITHIN] = "SpanWithin(",
                                        [VZ_SPAN_MASK] = "mask("};
    vz_buf_append_str(out, heads[spans->kind]);
    describe_list(spans, out);
    switch (spans->kind) {
    case VZ_SPAN_TERM:
        vz_buf_printf(out, "%.*s:%.*s", (int)spans->field_name.len, spans->field_name.ptr,
                      (int)spans->term.len, spans->term.ptr);
        break;
    case VZ_SPAN_OR:
        vz_buf_append_str(out, "])");
        break;
    case VZ_SPAN_NEAR:
        vz_buf_printf(out, "], %d, %s)", spans->slop, spans->ordered ? "true" : "false");
        break;
    case VZ_SPAN_NOT:
        vz_buf_printf(out, ", %d, %d)", spans->before, spans->after);
        break;
    case VZ_SPAN_FIRST:
        vz_buf_printf(out, ", %d)", spans->slop);
        break;
    case VZ_SPAN_MASK:
        vz_buf_printf(out, ") as %.*s", (int)spans->field_name.len, spans->field_name.ptr);
        break;
    default:
        vz_buf_append_char(out, ')');
    }
}

/* ---- lists ------------------------------------------------------------------------------------
 */

struct span {
    int32_t start, end, width;
};

struct at {
    const struct vz_spans *spans;
    struct at *parts;
    uint32_t doc;
    struct vz_union lists; /* TERM */
    bool open;
    uint64_t cost;
    struct span *items;
    size_t count, capacity;
    int64_t next; /* of whoever reads it: -1 before the first */
};

struct scorer {
    struct vz_scorer base;
    struct at root;
    const struct vz_segment *segment;
    uint32_t *heap;
};

static int32_t start_of(const struct at *a)
{
    return a->next < 0 ? -1 : (size_t)a->next < a->count ? a->items[a->next].start : END;
}

static int32_t end_of(const struct at *a)
{
    return a->next < 0 ? -1 : (size_t)a->next < a->count ? a->items[a->next].end : END;
}

static bool step(struct at *a)
{
    if (a->next < (int64_t)a->count)
        a->next++;
    return (size_t)a->next < a->count;
}

static void put(struct at *a, int32_t start, int32_t end, int32_t width)
{
    if (a->count == a->capacity) {
        a->capacity = VZ_MAX(a->capacity * 2, (size_t)16);
        a->items = vz_realloc(a->items, a->capacity * sizeof *a->items);
    }
    a->items[a->count++] = (struct span){start, end, width};
}

static void keep(struct at *a, const struct at *from)
{
    const struct span *item = &from->items[from->next];
    put(a, item->start, item->end, item->width);
}

static void make_term(struct at *a)
{
    uint32_t count;
    const uint32_t *positions = vz_union_positions(&a->lists, &count);
    for (uint32_t i = 0; i < count; i++)
        if (positions[i] < END - 1)
            put(a, (int32_t)positions[i], (int32_t)positions[i] + 1, 0);
}

static int by_start(const void *a, const void *b)
{
    const struct span *x = a, *y = b;
    if (x->start != y->start)
        return x->start < y->start ? -1 : 1;
    return x->end < y->end ? -1 : x->end > y->end;
}

static void make_or(struct at *a)
{
    for (size_t p = 0; p < a->spans->part_count; p++)
        for (size_t i = 0; i < a->parts[p].count; i++) {
            const struct span *item = &a->parts[p].items[i];
            put(a, item->start, item->end, item->width);
        }
    if (a->count > 1)
        qsort(a->items, a->count, sizeof *a->items, by_start);
}

/* From each span of the first part on, the others as soon as they come. */
static void make_ordered(struct at *a)
{
    struct at *parts = a->parts;
    while (step(&parts[0])) {
        int64_t width = 0;
        for (size_t i = 1; i < a->spans->part_count; i++) {
            while (start_of(&parts[i]) < end_of(&parts[i - 1]))
                step(&parts[i]);
            if (start_of(&parts[i]) == END)
                return;
            width += start_of(&parts[i]) - end_of(&parts[i - 1]);
        }
        if (width <= a->spans->slop)
            put(a, start_of(&parts[0]), end_of(&parts[a->spans->part_count - 1]), (int32_t)width);
    }
}

static bool before(const struct at *a, const struct at *b)
{
    int32_t x = start_of(a), y = start_of(b);
    return x < y || (x == y && end_of(a) <= end_of(b));
}

static void sift(const struct at *parts, uint32_t *heap, size_t count, size_t at)
{
    for (;;) {
        size_t least = at, left = 2 * at + 1;
        for (size_t child = left; child < count && child <= left + 1; child++)
            if (!before(&parts[heap[least]], &parts[heap[child]]))
                least = child;
        if (least == at)
            return;
        uint32_t moved = heap[at];
        heap[at] = heap[least];
        heap[least] = moved;
        at = least;
    }
}

/* A window over one span of each part; the part whose span begins first goes on. */
static void make_unordered(struct scorer *s, struct at *a)
{
    size_t count = a->spans->part_count;
    int64_t length = 0, furthest = -1;
    uint32_t *heap = s->heap;
    for (size_t i = 0; i < count; i++) {
        if (!step(&a->parts[i]))
            return;
        heap[i] = (uint32_t)i;
        length += end_of(&a->parts[i]) - start_of(&a->parts[i]);
        furthest = VZ_MAX(furthest, (int64_t)end_of(&a->parts[i]));
    }
    for (size_t i = count; i-- > 0;)
        sift(a->parts, heap, count, i);
    for (;;) {
        struct at *first = &a->parts[heap[0]];
        if (furthest - start_of(first) - length <= a->spans->slop)
            put(a, start_of(first), (int32_t)furthest, (int32_t)furthest - start_of(first));
        length -= end_of(first) - start_of(first);
        if (!step(first))
            return;
        length += end_of(first) - start_of(first);
        furthest = VZ_MAX(furthest, (int64_t)end_of(first));
        sift(a->parts, heap, count, 0);
    }
}

static void make_not(struct at *a)
{
    struct at *from = &a->parts[0], *not = &a->parts[1];
    bool has = step(not );
    while (step(from)) {
        while (has && (int64_t)end_of(not ) <= (int64_t)start_of(from) - a->spans->before)
            has = step(not );
        if (!has || (int64_t)start_of(not ) - a->spans->after >= end_of(from))
            keep(a, from);
    }
}

static void make_first(struct at *a)
{
    while (step(&a->parts[0]) && start_of(&a->parts[0]) < a->spans->slop)
        if (end_of(&a->parts[0]) <= a->spans->slop)
            keep(a, &a->parts[0]);
}

static void make_containing(struct at *a)
{
    struct at *big = &a->parts[0], *little = &a->parts[1];
    while (step(big)) {
        while (start_of(little) < start_of(big))
            if (!step(little))
                return;
        if (end_of(big) >= end_of(little))
            keep(a, big);
    }
}

static void make_within(struct at *a)
{
    struct at *big = &a->parts[0], *little = &a->parts[1];
    while (step(little)) {
        while (end_of(big) < end_of(little))
            if (!step(big))
                return;
        if (start_of(big) <= start_of(little))
            keep(a, little);
    }
}

static void make(struct scorer *s, struct at *a, uint32_t doc)
{
    a->count = 0;
    a->next = -1;
    for (size_t i = 0; i < a->spans->part_count; i++)
        make(s, &a->parts[i], doc);
    if (a->doc != doc)
        return;
    switch (a->spans->kind) {
    case VZ_SPAN_TERM:
        make_term(a);
        break;
    case VZ_SPAN_OR:
    case VZ_SPAN_MASK:
        make_or(a);
        break;
    case VZ_SPAN_NEAR:
        if (a->spans->ordered)
            make_ordered(a);
        else
            make_unordered(s, a);
        break;
    case VZ_SPAN_NOT:
        make_not(a);
        break;
    case VZ_SPAN_FIRST:
        make_first(a);
        break;
    case VZ_SPAN_CONTAINING:
        make_containing(a);
        break;
    case VZ_SPAN_WITHIN:
        make_within(a);
    }
}

/* ---- documents --------------------------------------------------------------------------------
 */

static uint32_t advance_part(struct at *a, uint32_t target)
{
    const struct vz_spans *spans = a->spans;
    if (a->doc >= target && a->doc != 0)
        return a->doc;
    if (spans->kind == VZ_SPAN_TERM)
        return a->doc = a->open ? vz_union_advance(&a->lists, target) : VZ_TEXT_END;
    if (spans->kind == VZ_SPAN_NOT)
        return a->doc = advance_part(&a->parts[0], target);
    if (spans->kind == VZ_SPAN_OR) {
        uint32_t doc = VZ_TEXT_END;
        for (size_t i = 0; i < spans->part_count; i++)
            doc = VZ_MIN(doc, advance_part(&a->parts[i], target));
        return a->doc = doc;
    }
    uint32_t doc = target;
    for (size_t i = 0; i < spans->part_count && doc != VZ_TEXT_END;) {
        uint32_t at = advance_part(&a->parts[i], doc);
        i = at == doc ? i + 1 : 0;
        doc = at;
    }
    return a->doc = doc;
}

/* What is not asked for documents: that which must not be there. */
static void settle(struct at *a, uint32_t doc)
{
    for (size_t i = 0; i < a->spans->part_count; i++)
        settle(&a->parts[i], doc);
    if (a->spans->kind == VZ_SPAN_NOT)
        advance_part(&a->parts[1], doc);
}

static uint32_t advance(struct vz_scorer *base, uint32_t target)
{
    struct scorer *s = (struct scorer *)base;
    if (base->started && (base->doc >= target || base->doc == VZ_TEXT_END))
        return base->doc;
    base->started = true;
    for (;; target++) {
        target = advance_part(&s->root, target);
        if (target == VZ_TEXT_END)
            return base->doc = VZ_TEXT_END;
        settle(&s->root, target);
        make(s, &s->root, target);
        if (s->root.count)
            return base->doc = target;
    }
}

float vz_spans_freq(struct vz_scorer *base)
{
    const struct scorer *s = (const struct scorer *)base;
    float freq = 0;
    for (size_t i = 0; i < s->root.count; i++)
        freq = (float)((double)freq + 1.0 / (1.0 + s->root.items[i].width));
    return freq;
}

unsigned char vz_spans_norm(struct vz_scorer *base)
{
    const struct scorer *s = (const struct scorer *)base;
    const struct vz_segment_field *field =
        vz_segment_find_field(s->segment, base->weight->query->field);
    unsigned char norm = field ? vz_segment_norm(s->segment, field, base->doc) : 1;
    return norm ? norm : 1;
}

static float score(struct vz_scorer *base)
{
    if (base->weight->query->constant)
        return base->weight->constant;
    return vz_bm25_score(&base->weight->bm25, vz_spans_freq(base), vz_spans_norm(base));
}

static void close_part(struct at *a)
{
    for (size_t i = 0; a->parts && i < a->spans->part_count; i++)
        close_part(&a->parts[i]);
    if (a->open)
        vz_union_close(&a->lists);
    free(a->items);
}

static void close_scorer(struct vz_scorer *base)
{
    close_part(&((struct scorer *)base)->root);
}

static const struct vz_scorer_kind spans_kind = {advance, score, close_scorer};

/* Gives the most parts that one below has. */
static size_t open_part(struct at *a, const struct vz_spans *spans,
                        const struct vz_segment *segment, struct vz_arena *arena)
{
    size_t most = spans->part_count;
    a->spans = spans;
    a->parts = vz_arena_zalloc(arena, (spans->part_count + 1) * sizeof *a->parts);
    if (spans->kind == VZ_SPAN_TERM)
        a->open = vz_union_open(&a->lists, segment, spans->field, &spans->term, 1, arena);
    a->cost = a->open ? a->lists.lists[0].doc_freq : 0;
    for (size_t i = 0; i < spans->part_count; i++) {
        size_t below = open_part(&a->parts[i], spans->parts[i], segment, arena);
        most = VZ_MAX(most, below);
        if (spans->kind == VZ_SPAN_OR)
            a->cost += a->parts[i].cost;
        else if (i == 0 || (spans->kind != VZ_SPAN_NOT && a->parts[i].cost < a->cost))
            a->cost = a->parts[i].cost;
    }
    return most;
}

struct vz_scorer *vz_spans_scorer_new(const struct vz_weight *weight,
                                      const struct vz_segment *segment, struct vz_arena *arena)
{
    struct scorer *s = vz_arena_zalloc(arena, sizeof *s);
    s->segment = segment;
    size_t most = open_part(&s->root, weight->query->spans, segment, arena);
    s->heap = vz_arena_alloc(arena, (most + 1) * sizeof *s->heap);
    s->base = (struct vz_scorer){.kind = &spans_kind, .weight = weight, .cost = s->root.cost};
    return &s->base;
}
