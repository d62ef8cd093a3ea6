/* Sources of intervals put together as Lucene's Intervals does (apache/lucene,
 * org.apache.lucene.queries.intervals); what they give is in interval_scorer.c.
 *
 * Intervals of a source are minimal: a disjunction of "a" and "a b" gives "a" only. Where a source
 * is made of others that matters, and the disjunction is pulled up: block(or(a, "a b"), c) becomes
 * or(block(a, c), block("a b", c)). Alternatives of one position stay together. */
#include "text/intervals.h"

#include "text/analysis.h"

#include <stdlib.h>

struct list {
    const struct vz_intervals **items;
    size_t count;
    bool failed; /* too many */
};

static struct list list_of(struct vz_arena *arena, size_t room)
{
    return (struct list){.items = vz_arena_alloc(arena, (room + 1) * sizeof(void *))};
}

static struct vz_intervals *new_source(struct vz_arena *arena, enum vz_interval_kind kind,
                                       const struct vz_intervals *const *parts, size_t count)
{
    struct vz_intervals *source = vz_arena_zalloc(arena, sizeof *source);
    source->kind = kind;
    source->parts = vz_arena_alloc(arena, (count + 1) * sizeof(void *));
    if (count)
        memcpy(source->parts, parts, count * sizeof(void *));
    source->part_count = count;
    source->size = 1;
    for (size_t i = 0; i < count; i++)
        source->size += parts[i]->size;
    bool sum =
        kind == VZ_INTERVAL_ORDERED || kind == VZ_INTERVAL_UNORDERED || kind == VZ_INTERVAL_BLOCK;
    if (sum) {
        for (size_t i = 0; i < count; i++)
            source->extent += parts[i]->extent;
    } else if (kind == VZ_INTERVAL_OR) {
        source->extent = INT32_MAX;
        for (size_t i = 0; i < count; i++)
            source->extent = VZ_MIN(source->extent, parts[i]->extent);
    } else if (kind == VZ_INTERVAL_UNTIL || kind == VZ_INTERVAL_SINCE) {
        source->extent = 1;
    } else {
        source->extent = count ? parts[0]->extent : 1;
    }
    source->extent = VZ_MIN(source->extent, INT32_MAX);
    return source;
}

static bool same(const struct vz_intervals *a, const struct vz_intervals *b)
{
    if (a == b)
        return true;
    if (a->kind != b->kind || a->field != b->field || a->number != b->number ||
        a->term_count != b->term_count || a->part_count != b->part_count)
        return false;
    for (size_t i = 0; i < a->term_count; i++)
        if (!vz_slice_eq(a->terms[i], b->terms[i]))
            return false;
    for (size_t i = 0; i < a->part_count; i++) {
        bool found = same(a->parts[i], b->parts[i]);
        for (size_t j = 0; a->kind == VZ_INTERVAL_OR && !found && j < b->part_count; j++)
            found = same(a->parts[i], b->parts[j]);
        if (!found)
            return false;
    }
    return true;
}

const struct vz_intervals *vz_intervals_terms(struct vz_arena *arena, uint16_t field,
                                              const struct vz_slice *terms, size_t count)
{
    struct vz_intervals *source = new_source(arena, VZ_INTERVAL_TERMS, NULL, 0);
    source->field = field;
    source->terms = terms;
    source->term_count = count;
    source->size += count;
    return source;
}

const struct vz_intervals *vz_intervals_or(struct vz_arena *arena,
                                           const struct vz_intervals *const *parts, size_t count)
{
    size_t room = 0;
    for (size_t i = 0; i < count; i++) {
        if (!parts[i])
            return NULL;
        room += parts[i]->kind == VZ_INTERVAL_OR ? parts[i]->part_count : 1;
    }
    struct list all = list_of(arena, room);
    for (size_t i = 0; i < count; i++) {
        const struct vz_intervals *const *from = &parts[i];
        size_t more = 1;
        if (parts[i]->kind == VZ_INTERVAL_OR) {
            from = parts[i]->parts;
            more = parts[i]->part_count;
        }
        for (size_t m = 0; m < more; m++) {
            bool there = false;
            for (size_t j = 0; j < all.count && !there; j++)
                there = same(all.items[j], from[m]);
            if (!there)
                all.items[all.count++] = from[m];
        }
    }
    if (all.count > VZ_MAX_DISJUNCTIONS)
        return NULL;
    return all.count == 1 ? all.items[0] : new_source(arena, VZ_INTERVAL_OR, all.items, all.count);
}

/* ---- pulling disjunctions up ------------------------------------------------------------------
 */

static struct list pull_up(struct vz_arena *arena, const struct vz_intervals *source);

/* What a source is a disjunction of; alternatives of one position are one. */
static struct list split(struct vz_arena *arena, const struct vz_intervals *source)
{
    struct list all = pull_up(arena, source), out = list_of(arena, all.count);
    struct list single = list_of(arena, all.count);
    out.failed = all.failed;
    for (size_t i = 0; i < all.count; i++)
        if (all.items[i]->extent == 1)
            single.items[single.count++] = all.items[i];
    if (single.count) {
        out.items[out.count] = vz_intervals_or(arena, single.items, single.count);
        out.failed |= !out.items[out.count];
        out.count++;
    }
    for (size_t i = 0; i < all.count; i++)
        if (all.items[i]->extent != 1)
            out.items[out.count++] = all.items[i];
    return out;
}

/* The kind over each choice of one disjunct a part. */
static struct list choices(struct vz_arena *arena, enum vz_interval_kind kind,
                           const struct vz_intervals *const *parts, size_t count)
{
    struct list out = {0}, *disjuncts = vz_arena_zalloc(arena, (count + 1) * sizeof *disjuncts);
    size_t total = 1;
    uint64_t size = 0;
    for (size_t i = 0; i < count; i++) {
        disjuncts[i] = split(arena, parts[i]);
        total *= disjuncts[i].count;
        size += parts[i]->size;
        out.failed |= disjuncts[i].failed || total > VZ_MAX_DISJUNCTIONS;
        if (out.failed)
            return out;
    }
    if (total > 1 && total * size > VZ_MAX_INTERVALS) {
        out.failed = true;
        return out;
    }
    bool failed = out.failed;
    out = list_of(arena, total);
    out.failed = failed;
    const struct vz_intervals **chosen = vz_arena_alloc(arena, (count + 1) * sizeof(void *));
    for (size_t c = 0; c < total; c++) {
        size_t rest = c;
        for (size_t i = 0; i < count; i++) {
            chosen[i] = disjuncts[i].items[rest % disjuncts[i].count];
            rest /= disjuncts[i].count;
        }
        out.items[out.count++] = new_source(arena, kind, chosen, count);
    }
    return out;
}

/* The kind over each disjunct of one of its two parts. */
static struct list choices_of(struct vz_arena *arena, enum vz_interval_kind kind,
                              const struct vz_intervals *const parts[2], int which)
{
    struct list disjuncts = split(arena, parts[which]), out = list_of(arena, disjuncts.count);
    out.failed = disjuncts.failed;
    for (size_t i = 0; i < disjuncts.count && !out.failed; i++) {
        const struct vz_intervals *pair[2] = {parts[0], parts[1]};
        pair[which] = disjuncts.items[i];
        out.items[out.count++] = new_source(arena, kind, pair, 2);
    }
    return out;
}

static struct list itself(struct vz_arena *arena, const struct vz_intervals *source)
{
    struct list out = list_of(arena, 1);
    out.items[out.count++] = source;
    return out;
}

static struct list pull_up(struct vz_arena *arena, const struct vz_intervals *source)
{
    struct list out;
    switch (source->kind) {
    case VZ_INTERVAL_OR:
        return (struct list){.items = source->parts, .count = source->part_count};
    case VZ_INTERVAL_ORDERED:
    case VZ_INTERVAL_UNORDERED:
    case VZ_INTERVAL_OVERLAPPING:
        return choices(arena, source->kind, source->parts, source->part_count);
    case VZ_INTERVAL_CONTAINING:
        return choices_of(arena, source->kind, source->parts, 0);
    case VZ_INTERVAL_CONTAINED_BY:
        return choices_of(arena, source->kind, source->parts, 1);
    case VZ_INTERVAL_EXTEND: {
        struct list inner = pull_up(arena, source->parts[0]);
        if (inner.count == 0)
            return itself(arena, source);
        out = list_of(arena, inner.count);
        out.failed = inner.failed;
        for (size_t i = 0; i < inner.count; i++)
            out.items[out.count++] = vz_intervals_extend(arena, inner.items[i], source->number);
        return out;
    }
    default:
        return itself(arena, source);
    }
}

static const struct vz_intervals *or_list(struct vz_arena *arena, struct list list)
{
    return list.failed ? NULL : vz_intervals_or(arena, list.items, list.count);
}

/* ---- combining --------------------------------------------------------------------------------
 */

static const struct vz_intervals *repeat(struct vz_arena *arena, const struct vz_intervals *source,
                                         size_t times)
{
    if (times == 1)
        return source;
    struct vz_intervals *out = new_source(arena, VZ_INTERVAL_REPEAT, &source, 1);
    out->number = (int32_t)times;
    return out;
}

/* Sources of the kind itself are taken apart. */
static struct list flatten(struct vz_arena *arena, enum vz_interval_kind kind,
                           const struct vz_intervals *const *parts, size_t count)
{
    size_t room = 0;
    for (size_t i = 0; i < count; i++)
        room += parts[i]->kind == kind ? parts[i]->part_count : 1;
    struct list out = list_of(arena, room);
    for (size_t i = 0; i < count; i++) {
        if (parts[i]->kind != kind) {
            out.items[out.count++] = parts[i];
            continue;
        }
        for (size_t p = 0; p < parts[i]->part_count; p++)
            out.items[out.count++] = parts[i]->parts[p];
    }
    return out;
}

/* Equal sources must not stand on the same words: neighbours (ordered) or all become one that
 * repeats. */
static const struct vz_intervals *together(struct vz_arena *arena, bool ordered,
                                           const struct vz_intervals *const *parts, size_t count)
{
    enum vz_interval_kind kind = ordered ? VZ_INTERVAL_ORDERED : VZ_INTERVAL_UNORDERED;
    struct list all = flatten(arena, kind, parts, count), kept = list_of(arena, all.count);
    size_t *times = vz_arena_zalloc(arena, (all.count + 1) * sizeof *times);
    for (size_t i = 0; i < all.count; i++) {
        size_t at = ordered && kept.count ? kept.count - 1 : 0;
        while (at < kept.count && !same(kept.items[at], all.items[i]))
            at++;
        if (at == kept.count)
            kept.items[kept.count++] = all.items[i];
        times[at]++;
    }
    for (size_t i = 0; i < kept.count; i++)
        kept.items[i] = repeat(arena, kept.items[i], times[i]);
    return kept.count == 1 ? kept.items[0] : new_source(arena, kind, kept.items, kept.count);
}

static const struct vz_intervals *block(struct vz_arena *arena,
                                        const struct vz_intervals *const *parts, size_t count)
{
    struct list list = choices(arena, VZ_INTERVAL_BLOCK, parts, count);
    for (size_t i = 0; i < list.count; i++) {
        struct list flat =
            flatten(arena, VZ_INTERVAL_BLOCK, list.items[i]->parts, list.items[i]->part_count);
        list.items[i] = new_source(arena, VZ_INTERVAL_BLOCK, flat.items, flat.count);
    }
    return or_list(arena, list);
}

const struct vz_intervals *vz_intervals_combine(struct vz_arena *arena,
                                                const struct vz_intervals *const *parts,
                                                size_t count, int32_t max_gaps, bool ordered)
{
    for (size_t i = 0; i < count; i++)
        if (!parts[i])
            return NULL;
    if (count == 0)
        return vz_intervals_or(arena, NULL, 0);
    if (count == 1)
        return parts[0];
    if (max_gaps == 0 && ordered)
        return block(arena, parts, count);
    const struct vz_intervals *inner = together(arena, ordered, parts, count);
    if (max_gaps == -1)
        return inner;
    struct list list = pull_up(arena, inner), out = list_of(arena, list.count);
    out.failed = list.failed;
    for (size_t i = 0; i < list.count; i++) {
        struct vz_intervals *gaps = new_source(arena, VZ_INTERVAL_GAPS, &list.items[i], 1);
        gaps->number = max_gaps;
        out.items[out.count++] = gaps;
    }
    return or_list(arena, out);
}

const struct vz_intervals *vz_intervals_extend(struct vz_arena *arena,
                                               const struct vz_intervals *source, int32_t before)
{
    if (!source || before == 0)
        return source;
    struct vz_intervals *out = new_source(arena, VZ_INTERVAL_EXTEND, &source, 1);
    out->number = before;
    out->extent = VZ_MIN(source->extent + before, (int64_t)INT32_MAX);
    return out;
}

const struct vz_intervals *vz_intervals_relate(struct vz_arena *arena, enum vz_interval_kind kind,
                                               const struct vz_intervals *source,
                                               const struct vz_intervals *reference)
{
    if (!source || !reference)
        return NULL;
    if (kind == VZ_INTERVAL_UNTIL || kind == VZ_INTERVAL_SINCE) {
        reference = new_source(arena, kind, &reference, 1);
        kind = VZ_INTERVAL_CONTAINED_BY;
    }
    const struct vz_intervals *pair[2] = {source, reference};
    switch (kind) {
    case VZ_INTERVAL_CONTAINING:
    case VZ_INTERVAL_NOT_CONTAINING:
        return or_list(arena, choices_of(arena, kind, pair, 0));
    case VZ_INTERVAL_CONTAINED_BY:
    case VZ_INTERVAL_NOT_CONTAINED_BY:
        return or_list(arena, choices_of(arena, kind, pair, 1));
    default:
        return new_source(arena, kind, pair, 2);
    }
}

/* ---- printing ---------------------------------------------------------------------------------
 */

static void print_list(const char *name, const struct vz_intervals *source, struct vz_buf *out)
{
    vz_buf_printf(out, "%s(", name);
    for (size_t i = 0; i < source->part_count; i++) {
        vz_buf_append_str(out, i ? "," : "");
        vz_intervals_describe(source->parts[i], out);
    }
    vz_buf_append_char(out, ')');
}

void vz_intervals_describe(const struct vz_intervals *source, struct vz_buf *out)
{
    static const char *const names[] = {
        [VZ_INTERVAL_OR] = "or",
        [VZ_INTERVAL_ORDERED] = "ORDERED",
        [VZ_INTERVAL_UNORDERED] = "UNORDERED",
        [VZ_INTERVAL_BLOCK] = "BLOCK",
        [VZ_INTERVAL_UNTIL] = "BEFORE",
        [VZ_INTERVAL_SINCE] = "AFTER",
        [VZ_INTERVAL_CONTAINING] = "CONTAINING",
        [VZ_INTERVAL_CONTAINED_BY] = "CONTAINED_BY",
        [VZ_INTERVAL_OVERLAPPING] = "OVERLAPPING",
        [VZ_INTERVAL_NOT_CONTAINING] = "NOT_CONTAINING",
        [VZ_INTERVAL_NOT_CONTAINED_BY] = "NOT_CONTAINED_BY",
        [VZ_INTERVAL_NOT_OVERLAPPING] = "NON_OVERLAPPING",
    };
    switch (source->kind) {
    case VZ_INTERVAL_TERMS:
        for (size_t i = 0; i < source->term_count; i++)
            vz_buf_printf(out, "%s%.*s", i ? "|" : "", (int)source->terms[i].len,
                          source->terms[i].ptr);
        return;
    case VZ_INTERVAL_REPEAT:
        for (int32_t i = 0; i < source->number; i++) {
            vz_buf_append_str(out, i ? "," : "");
            vz_intervals_describe(source->parts[0], out);
        }
        return;
    case VZ_INTERVAL_EXTEND:
        vz_buf_append_str(out, "EXTEND(");
        vz_intervals_describe(source->parts[0], out);
        vz_buf_printf(out, ",%d,0)", source->number);
        return;
    case VZ_INTERVAL_GAPS:
        vz_buf_printf(out, "MAXGAPS/%d(", source->number);
        vz_intervals_describe(source->parts[0], out);
        vz_buf_append_char(out, ')');
        return;
    case VZ_INTERVAL_OR:
        if (source->part_count == 0) {
            vz_buf_append_str(out, "no_match");
            return;
        }
        break;
    default:
        break;
    }
    print_list(names[source->kind], source, out);
}
