/* Weights and scorers: what a query is worth, and walking a segment document by document.
 *
 * Sums over clauses are made in double and given as float, as Lucene does. */
#include "text/scorer.h"

#include <stdlib.h>

/* ---- weights ----------------------------------------------------------------------------------
 */

static enum vz_status weigh_terms(const struct vz_text_view *view, struct vz_weight *weight,
                                  struct vz_arena *arena, struct vz_error *err)
{
    const struct vz_text_query *query = weight->query;
    bool phrase = query->kind == VZ_TEXT_PHRASE;
    vz_text_field_stats(view, query->field, &weight->field);
    if (phrase && weight->field.doc_count && !(weight->field.flags & VZ_TEXT_POSITIONS))
        return vz_fail(err, VZ_BAD_QUERY,
                       "field:[%.*s] was indexed without position data; cannot run PhraseQuery",
                       (int)query->field_name.len, query->field_name.ptr);
    weight->doc_freqs = vz_arena_zalloc(arena, (query->term_count + 1) * sizeof(uint64_t));
    unsigned count = 0;
    for (size_t i = 0; i < query->term_count; i++) {
        struct vz_term_stats stats;
        uint16_t field = query->term_fields ? query->term_fields[i] : query->field;
        if (vz_text_term_stats(view, field, query->terms[i], &stats))
            weight->doc_freqs[count++] = stats.doc_freq;
        weight->doc_freq = VZ_MAX(weight->doc_freq, stats.doc_freq);
    }
    weight->idf_freq = query->doc_freq ? query->doc_freq : weight->doc_freq;
    struct vz_bm25_stats stats = {.boost = weight->boost,
                                  .k1 = query->k1 > 0 ? query->k1 : 1.2f,
                                  .b = query->has_b ? query->b : 0.75f,
                                  .doc_count = weight->field.doc_count,
                                  .sum_total_freqs = weight->field.sum_total_freqs};
    if (phrase || query->kind == VZ_TEXT_SPANS)
        vz_bm25_init(&weight->bm25, &stats, weight->doc_freqs, count);
    else
        vz_bm25_init(&weight->bm25, &stats, &weight->idf_freq, 1);
    weight->constant = weight->boost;
    return VZ_OK;
}

static struct vz_weight *weigh(const struct vz_text_view *view, const struct vz_text_query *query,
                               float boost, struct vz_arena *arena, struct vz_error *err)
{
    struct vz_weight *weight = vz_arena_zalloc(arena, sizeof *weight);
    weight->query = query;
    weight->boost = boost * query->boost;
    if (query->kind == VZ_TEXT_TERM || query->kind == VZ_TEXT_PHRASE ||
        query->kind == VZ_TEXT_SPANS)
        return weigh_terms(view, weight, arena, err) == VZ_OK ? weight : NULL;
    if (query->kind == VZ_TEXT_COMBINED) {
        vz_combined_weigh(view, weight);
        return weight;
    }
    weight->parts = vz_arena_zalloc(arena, (query->part_count + 1) * sizeof *weight->parts);
    for (size_t i = 0; i < query->part_count; i++) {
        weight->parts[i] = weigh(view, query->parts[i], weight->boost, arena, err);
        if (!weight->parts[i])
            return NULL;
    }
    return weight;
}

/* Words times fields: a weight takes more than a KiB. As Lucene, which counts nested clauses. */
static void count_clauses(const struct vz_text_query *query, size_t *count)
{
    ++*count;
    for (size_t i = 0; i < query->part_count && *count <= VZ_MAX_NESTED_CLAUSES; i++)
        count_clauses(query->parts[i], count);
}

struct vz_weight *vz_weigh(const struct vz_text_view *view, const struct vz_text_query *query,
                           float boost, struct vz_arena *arena, struct vz_error *err)
{
    size_t count = 0;
    count_clauses(query, &count);
    if (count > VZ_MAX_NESTED_CLAUSES) {
        vz_fail(err, VZ_BAD_QUERY,
                "Query contains too many nested clauses; maxClauseCount is set to %d",
                VZ_MAX_NESTED_CLAUSES);
        return NULL;
    }
    return weigh(view, query, boost, arena, err);
}

/* ---- several lists as one ---------------------------------------------------------------------
 */

bool vz_union_open(struct vz_union *lists, const struct vz_segment *segment, uint16_t field,
                   const struct vz_slice *terms, size_t count, struct vz_arena *arena)
{
    *lists = (struct vz_union){0};
    size_t room = 0;
    const struct vz_segment_field *found = vz_segment_find_field(segment, field);
    struct vz_term_info *infos = vz_arena_alloc(arena, (count + 1) * sizeof *infos);
    for (size_t i = 0; found && i < count; i++)
        room += vz_segment_find_term(segment, found, terms[i], &infos[room]);
    if (!room)
        return false;
    lists->lists = vz_arena_alloc(arena, room * sizeof *lists->lists);
    for (size_t i = 0; i < room; i++)
        lists->count +=
            vz_postings_open_info(&lists->lists[lists->count], segment, found, &infos[i]);
    return lists->count > 0;
}

void vz_union_close(struct vz_union *lists)
{
    for (size_t i = 0; i < lists->count; i++)
        vz_postings_close(&lists->lists[i]);
    free(lists->positions);
}

uint32_t vz_union_advance(struct vz_union *lists, uint32_t target)
{
    uint32_t doc = VZ_TEXT_END;
    for (size_t i = 0; i < lists->count; i++)
        doc = VZ_MIN(doc, vz_postings_advance(&lists->lists[i], target));
    return lists->doc = doc;
}

uint32_t vz_union_freq(struct vz_union *lists)
{
    uint32_t freq = 0;
    for (size_t i = 0; i < lists->count; i++)
        if (lists->lists[i].doc == lists->doc)
            freq += vz_postings_freq(&lists->lists[i]);
    return freq;
}

static int by_value(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

const uint32_t *vz_union_positions(struct vz_union *lists, uint32_t *count)
{
    size_t total = 0, on = 0;
    struct vz_postings *only = NULL;
    for (size_t i = 0; i < lists->count; i++) {
        if (lists->lists[i].doc != lists->doc)
            continue;
        only = &lists->lists[i];
        total += vz_postings_freq(only);
        on++;
    }
    if (on == 1) {
        const uint32_t *positions = vz_postings_positions(only);
        *count = vz_postings_freq(only);
        return positions;
    }
    if (total > lists->capacity) {
        lists->capacity = total * 2;
        lists->positions = vz_realloc(lists->positions, lists->capacity * sizeof(uint32_t));
    }
    total = 0;
    for (size_t i = 0; i < lists->count; i++) {
        struct vz_postings *list = &lists->lists[i];
        if (list->doc != lists->doc)
            continue;
        const uint32_t *positions = vz_postings_positions(list);
        uint32_t freq = vz_postings_freq(list); /* after: a damaged file's is cut there */
        memcpy(lists->positions + total, positions, freq * sizeof(uint32_t));
        total += freq;
    }
    qsort(lists->positions, total, sizeof(uint32_t), by_value);
    *count = (uint32_t)total;
    return lists->positions;
}

/* ---- terms ------------------------------------------------------------------------------------
 */

struct term_scorer {
    struct vz_scorer base;
    struct vz_union lists;
};

static uint32_t term_advance(struct vz_scorer *scorer, uint32_t target)
{
    struct term_scorer *term = (struct term_scorer *)scorer;
    if (term->lists.count == 1)
        return scorer->doc = term->lists.doc = vz_postings_advance(&term->lists.lists[0], target);
    return scorer->doc = vz_union_advance(&term->lists, target);
}

static float term_score(struct vz_scorer *scorer)
{
    struct term_scorer *term = (struct term_scorer *)scorer;
    if (scorer->weight->query->constant)
        return scorer->weight->constant;
    struct vz_postings *any = NULL;
    for (size_t i = 0; !any; i++)
        if (term->lists.lists[i].doc == scorer->doc)
            any = &term->lists.lists[i];
    return vz_bm25_score(&scorer->weight->bm25, (float)vz_union_freq(&term->lists),
                         vz_postings_norm(any));
}

static void term_close(struct vz_scorer *scorer)
{
    vz_union_close(&((struct term_scorer *)scorer)->lists);
}

static const struct vz_scorer_kind term_kind = {term_advance, term_score, term_close};

static struct vz_scorer *new_term(const struct vz_weight *weight, const struct vz_segment *segment,
                                  struct vz_arena *arena)
{
    struct term_scorer *term = vz_arena_zalloc(arena, sizeof *term);
    const struct vz_text_query *query = weight->query;
    if (!vz_union_open(&term->lists, segment, query->field, query->terms, query->term_count, arena))
        return NULL;
    term->base = (struct vz_scorer){.kind = &term_kind, .weight = weight};
    for (size_t i = 0; i < term->lists.count; i++)
        term->base.cost += term->lists.lists[i].doc_freq;
    return &term->base;
}

/* ---- any, best --------------------------------------------------------------------------------
 */

struct many_scorer {
    struct vz_scorer base;
    struct vz_scorer **parts;
    size_t count;
    size_t minimum;
};

static uint32_t any_advance(struct vz_scorer *scorer, uint32_t target)
{
    struct many_scorer *any = (struct many_scorer *)scorer;
    if (scorer->started && (scorer->doc >= target || scorer->doc == VZ_TEXT_END))
        return scorer->doc;
    scorer->started = true;
    for (;;) {
        uint32_t doc = VZ_TEXT_END;
        size_t matching = 0;
        for (size_t i = 0; i < any->count; i++) {
            struct vz_scorer *part = any->parts[i];
            uint32_t at =
                part->started && part->doc >= target ? part->doc : vz_scorer_advance(part, target);
            part->started = true;
            if (at < doc) {
                doc = at;
                matching = 0;
            }
            matching += at == doc;
        }
        if (doc == VZ_TEXT_END || matching >= any->minimum)
            return scorer->doc = doc;
        target = doc + 1;
    }
}

static float any_score(struct vz_scorer *scorer)
{
    struct many_scorer *any = (struct many_scorer *)scorer;
    double sum = 0;
    for (size_t i = 0; i < any->count; i++)
        if (any->parts[i]->doc == scorer->doc)
            sum += vz_scorer_score(any->parts[i]);
    return (float)sum;
}

static float best_score(struct vz_scorer *scorer)
{
    struct many_scorer *any = (struct many_scorer *)scorer;
    float best = 0, tie = scorer->weight->query->tie;
    double others = 0;
    for (size_t i = 0; i < any->count; i++) {
        if (any->parts[i]->doc != scorer->doc)
            continue;
        float score = vz_scorer_score(any->parts[i]);
        if (score >= best) {
            if (tie != 0)
                others += best;
            best = score;
        } else if (tie != 0) {
            others += score;
        }
    }
    return (float)(best + others * tie);
}

static void many_close(struct vz_scorer *scorer)
{
    struct many_scorer *many = (struct many_scorer *)scorer;
    for (size_t i = 0; i < many->count; i++)
        vz_scorer_close(many->parts[i]);
}

/* ---- every ------------------------------------------------------------------------------------
 */

static uint32_t every_advance(struct vz_scorer *scorer, uint32_t target)
{
    struct many_scorer *every = (struct many_scorer *)scorer;
    if (scorer->started && (scorer->doc >= target || scorer->doc == VZ_TEXT_END))
        return scorer->doc;
    scorer->started = true;
    uint32_t doc = vz_scorer_advance(every->parts[0], target);
    for (size_t i = 1; i < every->count && doc != VZ_TEXT_END;) {
        uint32_t at = vz_scorer_advance(every->parts[i], doc);
        if (at == doc) {
            i++;
            continue;
        }
        doc = at == VZ_TEXT_END ? at : vz_scorer_advance(every->parts[0], at);
        i = 1;
    }
    return scorer->doc = doc;
}

static const struct vz_scorer_kind any_kind = {any_advance, any_score, many_close};
static const struct vz_scorer_kind best_kind = {any_advance, best_score, many_close};
static const struct vz_scorer_kind every_kind = {every_advance, any_score, many_close};

static int by_cost(const void *a, const void *b)
{
    const struct vz_scorer *x = *(struct vz_scorer *const *)a, *y = *(struct vz_scorer *const *)b;
    return x->cost < y->cost ? -1 : x->cost > y->cost;
}

static struct vz_scorer *new_many(const struct vz_weight *weight, const struct vz_segment *segment,
                                  struct vz_arena *arena)
{
    const struct vz_text_query *query = weight->query;
    struct many_scorer *many = vz_arena_zalloc(arena, sizeof *many);
    bool every = query->kind == VZ_TEXT_EVERY;
    many->parts = vz_arena_zalloc(arena, (query->part_count + 1) * sizeof *many->parts);
    many->minimum = query->kind == VZ_TEXT_ANY ? VZ_MAX(query->minimum, 1) : 1;
    for (size_t i = 0; i < query->part_count; i++) {
        struct vz_scorer *part = vz_scorer_new(weight->parts[i], segment, arena);
        if (part)
            many->parts[many->count++] = part;
        else if (every)
            break;
    }
    size_t needed = every ? query->part_count : many->minimum;
    if (many->count < needed || many->count == 0) {
        for (size_t i = 0; i < many->count; i++)
            vz_scorer_close(many->parts[i]);
        return NULL;
    }
    many->base.weight = weight;
    many->base.kind = every ? &every_kind : query->kind == VZ_TEXT_BEST ? &best_kind : &any_kind;
    if (every)
        qsort(many->parts, many->count, sizeof *many->parts, by_cost);
    for (size_t i = 0; i < many->count; i++)
        many->base.cost = every ? many->parts[0]->cost : many->base.cost + many->parts[i]->cost;
    return &many->base;
}

struct vz_scorer *vz_scorer_new(const struct vz_weight *weight, const struct vz_segment *segment,
                                struct vz_arena *arena)
{
    switch (weight->query->kind) {
    case VZ_TEXT_TERM:
        return new_term(weight, segment, arena);
    case VZ_TEXT_PHRASE:
        return vz_phrase_scorer_new(weight, segment, arena);
    case VZ_TEXT_COMBINED:
        return vz_combined_scorer_new(weight, segment, arena);
    case VZ_TEXT_SPANS:
        return vz_spans_scorer_new(weight, segment, arena);
    case VZ_TEXT_INTERVALS:
        return vz_intervals_scorer_new(weight, segment, arena);
    case VZ_TEXT_ANY:
    case VZ_TEXT_EVERY:
    case VZ_TEXT_BEST:
        return new_many(weight, segment, arena);
    default:
        return NULL;
    }
}
