/* Several fields as if they were one: BM25F in its simple form (S. Robertson, H. Zaragoza, "The
 * Probabilistic Relevance Framework: BM25 and Beyond", 2009), in Lucene's steps
 * (apache/lucene, CombinedFieldQuery, MultiNormsLeafSimScorer):
 *
 *  - n is the largest document frequency of any of the terms in any of the fields, N the largest
 *    number of documents that any of the fields has;
 *  - the tokens of all fields, each times its field's weight, are the tokens of the one (a sum that
 *    is cut to an integer after each field);
 *  - a document's freq is the weighted sum over the fields, a float; its length is the weighted sum
 *    of the lengths as each field's byte keeps them, rounded and put into a byte again. */
#include "text/scorer.h"

#include <math.h>

struct combined {
    struct vz_scorer base;
    struct vz_union *lists; /* of those fields that the segment has terms of */
    float *weights;
    size_t count;
    const struct vz_segment *segment;
};

void vz_combined_weigh(const struct vz_text_view *view, struct vz_weight *weight)
{
    const struct vz_text_query *query = weight->query;
    weight->field = (struct vz_field_stats){0};
    for (size_t f = 0; f < query->field_count; f++) {
        const struct vz_text_field_weight *field = &query->fields[f];
        struct vz_field_stats stats;
        if (!vz_text_field_stats(view, field->id, &stats))
            continue;
        weight->field.doc_count = VZ_MAX(weight->field.doc_count, stats.doc_count);
        weight->field.flags |= stats.flags;
        weight->field.sum_total_freqs =
            (uint64_t)((double)weight->field.sum_total_freqs +
                       (double)field->weight * (double)stats.sum_total_freqs);
        for (size_t i = 0; i < query->term_count; i++) {
            struct vz_term_stats term;
            if (vz_text_term_stats(view, field->id, query->terms[i], &term))
                weight->doc_freq = VZ_MAX(weight->doc_freq, term.doc_freq);
        }
    }
    weight->idf_freq = weight->doc_freq;
    struct vz_bm25_stats stats = {.boost = weight->boost,
                                  .k1 = query->k1 > 0 ? query->k1 : 1.2f,
                                  .b = query->has_b ? query->b : 0.75f,
                                  .doc_count = weight->field.doc_count,
                                  .sum_total_freqs = weight->field.sum_total_freqs};
    vz_bm25_init(&weight->bm25, &stats, &weight->doc_freq, 1);
}

static uint32_t advance(struct vz_scorer *scorer, uint32_t target)
{
    struct combined *c = (struct combined *)scorer;
    if (scorer->started && (scorer->doc >= target || scorer->doc == VZ_TEXT_END))
        return scorer->doc;
    scorer->started = true;
    uint32_t doc = VZ_TEXT_END;
    for (size_t i = 0; i < c->count; i++)
        doc = VZ_MIN(doc, vz_union_advance(&c->lists[i], target));
    return scorer->doc = doc;
}

float vz_combined_freq(struct vz_scorer *scorer)
{
    struct combined *c = (struct combined *)scorer;
    float freq = 0;
    for (size_t i = 0; i < c->count; i++)
        if (c->lists[i].doc == scorer->doc)
            freq += c->weights[i] * (float)vz_union_freq(&c->lists[i]);
    return freq;
}

unsigned char vz_combined_norm(struct vz_scorer *scorer)
{
    struct combined *c = (struct combined *)scorer;
    const struct vz_text_query *query = scorer->weight->query;
    float length = 0;
    if (!(scorer->weight->field.flags & VZ_TEXT_NORMS))
        return 1;
    for (size_t i = 0; i < query->field_count; i++) {
        const struct vz_segment_field *field =
            vz_segment_find_field(c->segment, query->fields[i].id);
        unsigned char norm = field ? vz_segment_norm(c->segment, field, scorer->doc) : 0;
        length += query->fields[i].weight * (float)vz_norm_decode(norm);
    }
    return vz_norm_encode((uint32_t)floorf(length + 0.5f));
}

static float score(struct vz_scorer *scorer)
{
    return vz_bm25_score(&scorer->weight->bm25, vz_combined_freq(scorer), vz_combined_norm(scorer));
}

static void close_combined(struct vz_scorer *scorer)
{
    struct combined *c = (struct combined *)scorer;
    for (size_t i = 0; i < c->count; i++)
        vz_union_close(&c->lists[i]);
}

static const struct vz_scorer_kind combined_kind = {advance, score, close_combined};

struct vz_scorer *vz_combined_scorer_new(const struct vz_weight *weight,
                                         const struct vz_segment *segment, struct vz_arena *arena)
{
    const struct vz_text_query *query = weight->query;
    struct combined *c = vz_arena_zalloc(arena, sizeof *c);
    c->base = (struct vz_scorer){.kind = &combined_kind, .weight = weight};
    c->segment = segment;
    c->lists = vz_arena_zalloc(arena, (query->field_count + 1) * sizeof *c->lists);
    c->weights = vz_arena_zalloc(arena, (query->field_count + 1) * sizeof *c->weights);
    for (size_t i = 0; i < query->field_count; i++) {
        struct vz_union *lists = &c->lists[c->count];
        if (!vz_union_open(lists, segment, query->fields[i].id, query->terms, query->term_count,
                           arena))
            continue;
        for (size_t n = 0; n < lists->count; n++)
            c->base.cost += lists->lists[n].doc_freq;
        c->weights[c->count++] = query->fields[i].weight;
    }
    return c->count ? &c->base : NULL;
}
