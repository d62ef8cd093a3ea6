/* Phrases: documents that have all terms, then positions.
 *
 * Exact: positions that follow each other as in the query; the freq is how often. With slop:
 * Lucene's sloppy matching. Each term's positions are moved back by its place in the phrase, so
 * that an exact match has all of them equal; the width of a match is how far they are apart, and
 * the freq is the sum of 1 / (1 + width) over the matches found by always moving the term that is
 * behind. Terms that stand in the phrase more than once must not use one position twice: of two
 * that do, the lesser is moved on (apache/lucene, SloppyPhraseMatcher). */
#include "text/scorer.h"

#include <stdlib.h>

struct place {
    struct vz_union lists;
    uint32_t offset;           /* in the phrase */
    const uint32_t *positions; /* of the document */
    uint32_t count, at;
    int64_t position; /* positions[at] - offset */
    uint32_t order;
    int group; /* of places with a common term; -1: none */
    uint32_t in_group;
    const struct vz_slice *terms;
    size_t term_count;
};

struct phrase {
    struct vz_scorer base;
    struct place *places; /* by position in the phrase */
    struct place **by_cost;
    size_t count;
    float freq;
    bool has_repeats;
    struct place **queue; /* a heap, the least first */
    size_t queue_count;
    struct place **stack;
    struct place **group; /* scratch */
};

/* ---- exact ------------------------------------------------------------------------------------
 */

static float exact_freq(struct phrase *p)
{
    uint32_t freq = 0;
    struct place *first = &p->places[0];
    for (size_t i = 1; i < p->count; i++)
        p->places[i].at = 0;
    for (uint32_t n = 0; n < first->count; n++) {
        int64_t start = (int64_t)first->positions[n] - first->offset;
        bool all = true;
        for (size_t i = 1; i < p->count && all; i++) {
            struct place *place = &p->places[i];
            int64_t want = start + place->offset;
            while (place->at < place->count && place->positions[place->at] < want)
                place->at++;
            if (place->at == place->count)
                return (float)freq;
            all = place->positions[place->at] == want;
        }
        freq += all;
    }
    return (float)freq;
}

/* ---- with slop --------------------------------------------------------------------------------
 */

static bool less(const struct place *a, const struct place *b)
{
    if (a->position != b->position)
        return a->position < b->position;
    if (a->offset != b->offset)
        return a->offset < b->offset;
    return a->order < b->order;
}

static void push(struct phrase *p, struct place *place)
{
    size_t at = p->queue_count++;
    for (; at && less(place, p->queue[(at - 1) / 2]); at = (at - 1) / 2)
        p->queue[at] = p->queue[(at - 1) / 2];
    p->queue[at] = place;
}

static struct place *pop(struct phrase *p)
{
    struct place *top = p->queue[0], *last = p->queue[--p->queue_count];
    size_t at = 0;
    for (;;) {
        size_t child = 2 * at + 1;
        if (child >= p->queue_count)
            break;
        if (child + 1 < p->queue_count && less(p->queue[child + 1], p->queue[child]))
            child++;
        if (!less(p->queue[child], last))
            break;
        p->queue[at] = p->queue[child];
        at = child;
    }
    p->queue[at] = last;
    return top;
}

static bool step(struct place *place)
{
    if (place->at + 1 >= place->count)
        return false;
    place->position = (int64_t)place->positions[++place->at] - place->offset;
    return true;
}

static int64_t real_position(const struct place *place)
{
    return place->position + place->offset;
}

/* A place of the same group on the same real position. */
static struct place *collision(struct phrase *p, const struct place *place)
{
    for (size_t i = 0; i < p->count; i++) {
        struct place *other = &p->places[i];
        if (other != place && other->group == place->group &&
            real_position(other) == real_position(place))
            return other;
    }
    return NULL;
}

static struct place *lesser(struct place *a, struct place *b)
{
    return a->position < b->position || (a->position == b->position && a->offset < b->offset) ? a
                                                                                              : b;
}

/* Moves repeated terms apart after `place` was moved; puts those that moved back in order. */
static bool part_repeats(struct phrase *p, struct place *place, int64_t *end)
{
    if (place->group < 0)
        return true;
    struct place *moved = place, *other;
    uint64_t changed = 0;
    while ((other = collision(p, moved))) {
        moved = lesser(moved, other);
        if (!step(moved))
            return false;
        *end = VZ_MAX(*end, moved->position);
        if (moved != place)
            changed |= 1ull << VZ_MIN(moved->order, 63);
    }
    if (!changed)
        return true;
    size_t count = p->queue_count;
    memcpy(p->stack, p->queue, count * sizeof *p->stack);
    p->queue_count = 0;
    for (size_t i = 0; i < count; i++)
        push(p, p->stack[i]);
    return true;
}

/* Stands all places on their first positions, repeated ones on different ones. */
static bool start(struct phrase *p, int64_t *end)
{
    p->queue_count = 0;
    *end = INT64_MIN;
    for (size_t i = 0; i < p->count; i++) {
        struct place *place = &p->places[i];
        place->at = 0;
        place->position = (int64_t)place->positions[0] - place->offset;
        for (uint32_t n = 0; n < place->in_group; n++)
            if (!step(place))
                return false;
    }
    for (size_t i = 0; i < p->count; i++) {
        *end = VZ_MAX(*end, p->places[i].position);
        push(p, &p->places[i]);
    }
    return true;
}

static float sloppy_freq(struct phrase *p)
{
    int64_t end;
    float freq = 0;
    uint32_t slop = p->base.weight->query->slop;
    if (!start(p, &end))
        return 0;
    for (bool positioned = true; positioned;) {
        struct place *place = pop(p);
        int64_t width = end - place->position;
        int64_t next = p->queue[0]->position;
        bool found = false;
        for (;;) {
            if (!step(place)) {
                positioned = false;
                break;
            }
            end = VZ_MAX(end, place->position);
            if (p->has_repeats && !part_repeats(p, place, &end)) {
                positioned = false;
                break;
            }
            if (place->position > next) {
                push(p, place);
                if (width <= (int64_t)slop) {
                    freq += 1.0f / (1.0f + (float)width);
                    found = true;
                    break;
                }
                place = pop(p);
                next = p->queue[0]->position;
                width = end - place->position;
            } else {
                width = VZ_MIN(width, end - place->position);
            }
        }
        if (!found && width <= (int64_t)slop)
            freq += 1.0f / (1.0f + (float)width);
    }
    return freq;
}

/* ---- the scorer -------------------------------------------------------------------------------
 */

static bool matches(struct phrase *p)
{
    for (size_t i = 0; i < p->count; i++) {
        struct place *place = &p->places[i];
        place->positions = vz_union_positions(&place->lists, &place->count);
        if (!place->count)
            return false;
    }
    if (p->count == 1)
        p->freq = (float)p->places[0].count;
    else
        p->freq = p->base.weight->query->slop ? sloppy_freq(p) : exact_freq(p);
    return p->freq > 0;
}

static uint32_t advance(struct vz_scorer *scorer, uint32_t target)
{
    struct phrase *p = (struct phrase *)scorer;
    if (scorer->started && (scorer->doc >= target || scorer->doc == VZ_TEXT_END))
        return scorer->doc;
    scorer->started = true;
    for (;;) {
        uint32_t doc = vz_union_advance(&p->by_cost[0]->lists, target);
        for (size_t i = 1; i < p->count && doc != VZ_TEXT_END;) {
            uint32_t at = vz_union_advance(&p->by_cost[i]->lists, doc);
            if (at == doc) {
                i++;
                continue;
            }
            doc = at == VZ_TEXT_END ? at : vz_union_advance(&p->by_cost[0]->lists, at);
            i = 1;
        }
        if (doc == VZ_TEXT_END || matches(p))
            return scorer->doc = doc;
        target = doc + 1;
    }
}

static float score(struct vz_scorer *scorer)
{
    struct phrase *p = (struct phrase *)scorer;
    const struct vz_union *lists = &p->places[0].lists;
    struct vz_postings *any = NULL;
    for (size_t i = 0; !any; i++)
        if (lists->lists[i].doc == scorer->doc)
            any = &lists->lists[i];
    if (scorer->weight->query->constant)
        return scorer->weight->constant;
    return vz_bm25_score(&scorer->weight->bm25, p->freq, vz_postings_norm(any));
}

static void close_phrase(struct vz_scorer *scorer)
{
    struct phrase *p = (struct phrase *)scorer;
    for (size_t i = 0; i < p->count; i++)
        vz_union_close(&p->places[i].lists);
}

static const struct vz_scorer_kind phrase_kind = {advance, score, close_phrase};

float vz_phrase_freq(struct vz_scorer *scorer)
{
    return ((struct phrase *)scorer)->freq;
}

static bool share_a_term(const struct place *a, const struct place *b)
{
    for (size_t i = 0; i < a->term_count; i++)
        for (size_t j = 0; j < b->term_count; j++)
            if (vz_slice_eq(a->terms[i], b->terms[j]))
                return true;
    return false;
}

static void find_repeats(struct phrase *p)
{
    int groups = 0;
    for (size_t i = 0; i < p->count; i++)
        p->places[i].group = -1;
    for (size_t i = 0; i < p->count; i++) {
        if (p->places[i].group >= 0)
            continue;
        uint32_t members = 1;
        for (size_t j = i + 1; j < p->count; j++) {
            if (!share_a_term(&p->places[i], &p->places[j]))
                continue;
            p->places[i].group = p->places[j].group = groups;
            p->places[j].in_group = members++;
            p->has_repeats = true;
        }
        groups += members > 1;
    }
}

static int by_list_cost(const void *a, const void *b)
{
    const struct place *x = *(struct place *const *)a, *y = *(struct place *const *)b;
    uint64_t cost_x = 0, cost_y = 0;
    for (size_t i = 0; i < x->lists.count; i++)
        cost_x += x->lists.lists[i].doc_freq;
    for (size_t i = 0; i < y->lists.count; i++)
        cost_y += y->lists.lists[i].doc_freq;
    return cost_x < cost_y ? -1 : cost_x > cost_y;
}

struct vz_scorer *vz_phrase_scorer_new(const struct vz_weight *weight,
                                       const struct vz_segment *segment, struct vz_arena *arena)
{
    const struct vz_text_query *query = weight->query;
    struct phrase *p = vz_arena_zalloc(arena, sizeof *p);
    size_t room = query->term_count + 1;
    p->base = (struct vz_scorer){.kind = &phrase_kind, .weight = weight};
    p->places = vz_arena_zalloc(arena, room * sizeof *p->places);
    p->by_cost = vz_arena_zalloc(arena, room * sizeof *p->by_cost);
    p->queue = vz_arena_zalloc(arena, room * sizeof *p->queue);
    p->stack = vz_arena_zalloc(arena, room * sizeof *p->stack);
    /* Terms of one position stand together. */
    for (size_t i = 0; i < query->term_count;) {
        uint32_t offset = query->positions ? query->positions[i] : (uint32_t)i;
        size_t n = 1;
        while (query->positions && i + n < query->term_count && query->positions[i + n] == offset)
            n++;
        struct place *place = &p->places[p->count];
        place->offset = offset;
        place->order = (uint32_t)p->count;
        place->terms = query->terms + i;
        place->term_count = n;
        if (!vz_union_open(&place->lists, segment, query->field, query->terms + i, n, arena)) {
            close_phrase(&p->base);
            return NULL;
        }
        p->by_cost[p->count++] = place;
        i += n;
    }
    if (p->count == 0)
        return NULL;
    find_repeats(p);
    qsort(p->by_cost, p->count, sizeof *p->by_cost, by_list_cost);
    p->base.cost = p->by_cost[0]->lists.lists[0].doc_freq;
    return &p->base;
}
