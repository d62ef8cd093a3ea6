/* Intervals at work in one segment. See intervals.h.
 *
 * On a document each source makes the whole list of its intervals from the lists of its parts, so
 * that a source is the same loop that Lucene's iterator of that name is, over arrays: from the end
 * of a list on everything is END, before its first interval -1. Lists rise by start and by end.
 *
 * The score is Lucene's saturation of the sloppy frequency, w * S / (S + 1), where S adds up
 * 1 / (1 + what an interval is longer than its source's least). */
#include "text/scorer.h"

#include <stdlib.h>

#define END INT32_MAX

struct interval {
    int32_t start, end;
    int32_t width; /* of what it is made of, as Lucene's width() */
    int32_t gaps;
};

struct at {
    const struct vz_intervals *source;
    struct at *parts;
    uint32_t doc;
    struct vz_union lists; /* TERMS */
    bool open;
    uint64_t cost;
    struct interval *items;
    size_t count, capacity;
    int64_t next; /* of whoever reads it: -1 before the first */
};

struct scorer {
    struct vz_scorer base;
    struct at root;
    const struct vz_segment *segment;
    struct interval *sorting;
    size_t sorting_capacity;
    uint32_t *heap;
};

/* ---- reading a list as an iterator ------------------------------------------------------------
 */

static int32_t start_of(const struct at *a)
{
    return a->next < 0 ? -1 : (size_t)a->next < a->count ? a->items[a->next].start : END;
}

static int32_t end_of(const struct at *a)
{
    return a->next < 0 ? -1 : (size_t)a->next < a->count ? a->items[a->next].end : END;
}

static int32_t width_of(const struct at *a)
{
    return a->next >= 0 && (size_t)a->next < a->count ? a->items[a->next].width : 1;
}

static bool step(struct at *a)
{
    if (a->next < (int64_t)a->count)
        a->next++;
    return (size_t)a->next < a->count;
}

static void put(struct at *a, int32_t start, int32_t end, int32_t width, int32_t gaps)
{
    if (a->count == a->capacity) {
        a->capacity = VZ_MAX(a->capacity * 2, (size_t)16);
        a->items = vz_realloc(a->items, a->capacity * sizeof *a->items);
    }
    a->items[a->count++] = (struct interval){start, end, width, gaps};
}

static void put_plain(struct at *a, int32_t start, int32_t end, int32_t gaps)
{
    put(a, start, end, end - start + 1, gaps);
}

/* ---- sources ----------------------------------------------------------------------------------
 */

static void make_terms(struct at *a)
{
    uint32_t count;
    const uint32_t *positions = vz_union_positions(&a->lists, &count);
    for (uint32_t i = 0; i < count; i++)
        if ((i == 0 || positions[i] != positions[i - 1]) && positions[i] < END)
            put_plain(a, (int32_t)positions[i], (int32_t)positions[i], 0);
}

static int by_end(const void *a, const void *b)
{
    const struct interval *x = a, *y = b;
    if (x->end != y->end)
        return x->end < y->end ? -1 : 1;
    return x->start > y->start ? -1 : x->start < y->start;
}

/* All of the parts' that hold no other: by end, of one end the shortest, none around the one
 * before. */
static void make_or(struct scorer *s, struct at *a)
{
    size_t count = 0;
    for (size_t i = 0; i < a->source->part_count; i++)
        count += a->parts[i].count;
    if (count > s->sorting_capacity) {
        s->sorting_capacity = count * 2;
        s->sorting = vz_realloc(s->sorting, s->sorting_capacity * sizeof *s->sorting);
    }
    count = 0;
    for (size_t i = 0; i < a->source->part_count; i++) {
        const struct at *part = &a->parts[i];
        if (part->count)
            memcpy(s->sorting + count, part->items, part->count * sizeof *part->items);
        count += part->count;
    }
    if (count)
        qsort(s->sorting, count, sizeof *s->sorting, by_end);
    for (size_t i = 0; i < count; i++) {
        const struct interval *found = &s->sorting[i];
        const struct interval *last = a->count ? &a->items[a->count - 1] : NULL;
        if (!last || found->start > last->start)
            put(a, found->start, found->end, found->end - found->start + 1, found->gaps);
    }
}

/* One interval of an ordered source; false: there is none. *at: the part that goes on next, 1 at
 * first. */
static bool next_ordered(struct at *a, size_t *at, int32_t *start, int32_t *end, int32_t *gaps)
{
    struct at *parts = a->parts;
    size_t count = a->source->part_count, i = *at;
    int32_t last_start = END;
    bool found = false;
    for (;;) {
        for (;;) {
            *at = i;
            if (end_of(&parts[i - 1]) >= last_start)
                return found;
            if (i == count || (found && start_of(&parts[i]) > end_of(&parts[i - 1])))
                break;
            do {
                if (end_of(&parts[i]) >= last_start || !step(&parts[i]))
                    return found;
            } while (start_of(&parts[i]) <= end_of(&parts[i - 1]));
            i++;
        }
        if (start_of(&parts[0]) == END)
            return false;
        *start = start_of(&parts[0]);
        *end = end_of(&parts[count - 1]);
        *gaps = *end - *start + 1;
        for (size_t p = 0; p < count; p++)
            *gaps -= width_of(&parts[p]);
        last_start = start_of(&parts[count - 1]);
        found = true;
        *at = i = 1;
        if (!step(&parts[0]))
            return true;
    }
}

static void make_ordered(struct at *a)
{
    int32_t start, end, gaps;
    size_t at = 1;
    step(&a->parts[0]);
    while (next_ordered(a, &at, &start, &end, &gaps))
        put_plain(a, start, end, gaps);
}

/* The part whose interval begins first; of one beginning the longest. */
static bool before(const struct at *a, const struct at *b)
{
    int32_t x = start_of(a), y = start_of(b);
    return x < y || (x == y && end_of(a) >= end_of(b));
}

static void sift(const struct at *parts, uint32_t *heap, size_t count, size_t at)
{
    for (;;) {
        size_t least = at, left = 2 * at + 1;
        if (left < count && !before(&parts[heap[least]], &parts[heap[left]]))
            least = left;
        if (left + 1 < count && !before(&parts[heap[least]], &parts[heap[left + 1]]))
            least = left + 1;
        if (least == at)
            return;
        uint32_t moved = heap[at];
        heap[at] = heap[least];
        heap[least] = moved;
        at = least;
    }
}

/* The first part goes on; false: it has no more, and so has the source. */
static bool step_first(struct at *a, uint32_t *heap, int32_t *furthest)
{
    struct at *first = &a->parts[heap[0]];
    if (!step(first))
        return false;
    *furthest = VZ_MAX(*furthest, end_of(first));
    sift(a->parts, heap, a->source->part_count, 0);
    return true;
}

static void make_unordered(struct scorer *s, struct at *a)
{
    size_t count = a->source->part_count;
    int32_t start = -1, end = -1, gaps = 0, furthest = -1;
    uint32_t *heap = s->heap;
    for (size_t i = 0; i < count; i++) {
        if (!step(&a->parts[i]))
            return;
        heap[i] = (uint32_t)i;
        furthest = VZ_MAX(furthest, end_of(&a->parts[i]));
    }
    for (size_t i = count; i-- > 0;)
        sift(a->parts, heap, count, i);
    for (bool more = true; more;) {
        while (more && start_of(&a->parts[heap[0]]) == start)
            more = step_first(a, heap, &furthest);
        if (!more)
            return;
        do { /* as short as it can be */
            start = start_of(&a->parts[heap[0]]);
            end = furthest;
            gaps = end - start + 1;
            for (size_t i = 0; i < count; i++)
                gaps -= width_of(&a->parts[i]);
            if (end_of(&a->parts[heap[0]]) == end)
                break;
            more = step_first(a, heap, &furthest);
        } while (more && end == furthest);
        put_plain(a, start, end, gaps);
    }
}

static void make_block(struct at *a)
{
    struct at *parts = a->parts;
    size_t count = a->source->part_count;
    while (step(&parts[0])) {
        size_t i = 1;
        while (i < count) {
            while (start_of(&parts[i]) <= end_of(&parts[i - 1]))
                if (!step(&parts[i]))
                    return;
            if (start_of(&parts[i]) == end_of(&parts[i - 1]) + 1) {
                i++;
                continue;
            }
            if (!step(&parts[0]))
                return;
            i = 1;
        }
        put_plain(a, start_of(&parts[0]), end_of(&parts[count - 1]), 0);
    }
}

static void make_repeat(struct at *a)
{
    const struct at *in = &a->parts[0];
    size_t times = (size_t)a->source->number;
    int64_t width = 0;
    for (size_t i = 0; i < in->count; i++) {
        const struct interval *last = &in->items[i];
        width += last->start - last->end + 1;
        if (i + 1 < times)
            continue;
        const struct interval *first = &in->items[i + 1 - times];
        put(a, first->start, last->end, (int32_t)width,
            last->end - first->start + 1 - (int32_t)width);
        width -= first->start - first->end + 1;
    }
}

static void make_one(struct at *a)
{
    const struct at *in = &a->parts[0];
    for (size_t i = 0; i < in->count; i++) {
        const struct interval *item = &in->items[i];
        switch (a->source->kind) {
        case VZ_INTERVAL_EXTEND:
            put_plain(a, VZ_MAX(item->start - a->source->number, 0), item->end, item->gaps);
            break;
        case VZ_INTERVAL_UNTIL:
            put_plain(a, 0, VZ_MAX(item->start - 1, 0), 0);
            break;
        case VZ_INTERVAL_SINCE:
            put_plain(a, item->end + 1, END - 1, 0);
            break;
        default:
            if (item->gaps <= a->source->number)
                put(a, item->start, item->end, item->end - item->start + 1, item->gaps);
        }
    }
}

static void keep(struct at *a)
{
    const struct at *from = &a->parts[0];
    put_plain(a, start_of(from), end_of(from), from->items[from->next].gaps);
}

/* Those of the first part by what the second has; see Lucene's classes of these names. */
static void make_related(struct at *a)
{
    struct at *from = &a->parts[0], *to = &a->parts[1];
    bool has = step(to);
    enum vz_interval_kind kind = a->source->kind;
    bool negated = kind >= VZ_INTERVAL_NOT_CONTAINING;
    while ((has || negated) && step(from)) {
        bool behind = true;
        while (has && behind) {
            switch (kind) {
            case VZ_INTERVAL_CONTAINING:
            case VZ_INTERVAL_NOT_CONTAINING:
                behind = start_of(to) < start_of(from) && end_of(to) < end_of(from);
                break;
            case VZ_INTERVAL_CONTAINED_BY:
            case VZ_INTERVAL_NOT_CONTAINED_BY:
                behind = end_of(to) < end_of(from);
                break;
            default:
                behind = end_of(to) < start_of(from);
            }
            if (behind)
                has = step(to);
        }
        bool related = has;
        if (has)
            switch (kind) {
            case VZ_INTERVAL_CONTAINING:
                related = start_of(from) <= start_of(to) && end_of(from) >= end_of(to);
                break;
            case VZ_INTERVAL_CONTAINED_BY:
            case VZ_INTERVAL_NOT_CONTAINED_BY:
                related = start_of(to) <= start_of(from);
                break;
            default:
                related = start_of(to) <= end_of(from);
            }
        if (related != negated)
            keep(a);
    }
}

/* The list of a source whose document is `doc`. */
static void make(struct scorer *s, struct at *a, uint32_t doc)
{
    a->count = 0;
    a->next = -1;
    for (size_t i = 0; i < a->source->part_count; i++)
        make(s, &a->parts[i], doc);
    if (a->doc != doc)
        return;
    switch (a->source->kind) {
    case VZ_INTERVAL_TERMS:
        make_terms(a);
        break;
    case VZ_INTERVAL_OR:
        make_or(s, a);
        break;
    case VZ_INTERVAL_ORDERED:
        make_ordered(a);
        break;
    case VZ_INTERVAL_UNORDERED:
        make_unordered(s, a);
        break;
    case VZ_INTERVAL_BLOCK:
        make_block(a);
        break;
    case VZ_INTERVAL_REPEAT:
        make_repeat(a);
        break;
    case VZ_INTERVAL_EXTEND:
    case VZ_INTERVAL_GAPS:
    case VZ_INTERVAL_UNTIL:
    case VZ_INTERVAL_SINCE:
        make_one(a);
        break;
    default:
        make_related(a);
    }
}

/* ---- documents --------------------------------------------------------------------------------
 */

/* Documents that may have intervals: all that the source needs is in them. */
static uint32_t advance_source(struct at *a, uint32_t target)
{
    const struct vz_intervals *source = a->source;
    if (a->doc >= target && a->doc != 0)
        return a->doc;
    if (source->kind == VZ_INTERVAL_TERMS)
        return a->doc = a->open ? vz_union_advance(&a->lists, target) : VZ_TEXT_END;
    if (source->kind == VZ_INTERVAL_OR) {
        uint32_t doc = VZ_TEXT_END;
        for (size_t i = 0; i < source->part_count; i++)
            doc = VZ_MIN(doc, advance_source(&a->parts[i], target));
        return a->doc = doc;
    }
    if (source->kind >= VZ_INTERVAL_NOT_CONTAINING)
        return a->doc = advance_source(&a->parts[0], target);
    uint32_t doc = target;
    for (size_t i = 0; i < source->part_count && doc != VZ_TEXT_END;) {
        uint32_t at = advance_source(&a->parts[i], doc);
        i = at == doc ? i + 1 : 0;
        doc = at;
    }
    return a->doc = doc;
}

/* What nothing asked for yet: the subtrahends. */
static void settle(struct at *a, uint32_t doc)
{
    for (size_t i = 0; i < a->source->part_count; i++)
        settle(&a->parts[i], doc);
    if (a->source->kind >= VZ_INTERVAL_NOT_CONTAINING)
        advance_source(&a->parts[1], doc);
}

static uint32_t advance(struct vz_scorer *base, uint32_t target)
{
    struct scorer *s = (struct scorer *)base;
    if (base->started && (base->doc >= target || base->doc == VZ_TEXT_END))
        return base->doc;
    base->started = true;
    for (;; target++) {
        target = advance_source(&s->root, target);
        if (target == VZ_TEXT_END)
            return base->doc = VZ_TEXT_END;
        settle(&s->root, target);
        make(s, &s->root, target);
        if (s->root.count)
            return base->doc = target;
    }
}

float vz_intervals_freq(struct vz_scorer *base)
{
    const struct scorer *s = (const struct scorer *)base;
    float freq = 0;
    for (size_t i = 0; i < s->root.count; i++) {
        int64_t length = (int64_t)s->root.items[i].end - s->root.items[i].start + 1;
        freq += 1.0f / (float)VZ_MAX(length - s->root.source->extent + 1, 1);
    }
    return freq;
}

static float score(struct vz_scorer *base)
{
    return base->weight->boost * (1.0f - 1.0f / (1.0f + vz_intervals_freq(base)));
}

static void close_source(struct at *a)
{
    for (size_t i = 0; a->parts && i < a->source->part_count; i++)
        close_source(&a->parts[i]);
    if (a->open)
        vz_union_close(&a->lists);
    free(a->items);
}

static void close_scorer(struct vz_scorer *base)
{
    struct scorer *s = (struct scorer *)base;
    close_source(&s->root);
    free(s->sorting);
}

static const struct vz_scorer_kind intervals_kind = {advance, score, close_scorer};

/* Gives the most parts that a source below has. */
static size_t open_source(struct at *a, const struct vz_intervals *source,
                          const struct vz_segment *segment, struct vz_arena *arena)
{
    size_t most = source->part_count;
    a->source = source;
    a->parts = vz_arena_zalloc(arena, (source->part_count + 1) * sizeof *a->parts);
    if (source->kind == VZ_INTERVAL_TERMS)
        a->open = vz_union_open(&a->lists, segment, source->field, source->terms,
                                source->term_count, arena);
    for (size_t i = 0; a->open && i < a->lists.count; i++)
        a->cost += a->lists.lists[i].doc_freq;
    for (size_t i = 0; i < source->part_count; i++) {
        size_t below = open_source(&a->parts[i], source->parts[i], segment, arena);
        most = VZ_MAX(most, below);
        bool sum = source->kind == VZ_INTERVAL_OR;
        a->cost = sum ? a->cost + a->parts[i].cost
                  : i ? VZ_MIN(a->cost, a->parts[i].cost)
                      : a->parts[i].cost;
    }
    return most;
}

struct vz_scorer *vz_intervals_scorer_new(const struct vz_weight *weight,
                                          const struct vz_segment *segment, struct vz_arena *arena)
{
    struct scorer *s = vz_arena_zalloc(arena, sizeof *s);
    s->segment = segment;
    size_t most = open_source(&s->root, weight->query->intervals, segment, arena);
    s->heap = vz_arena_alloc(arena, (most + 1) * sizeof *s->heap);
    s->base = (struct vz_scorer){.kind = &intervals_kind, .weight = weight, .cost = s->root.cost};
    return &s->base;
}
