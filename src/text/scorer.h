/* text/scorer.h - a query at work in one segment; private to the room.
 *
 * A scorer stands on a document (or before the first, or on VZ_TEXT_END) and goes forward. Its
 * weights were worked out over the view before (struct vz_weight, a tree like the query's). */
#ifndef VZ_TEXT_SCORER_H
#define VZ_TEXT_SCORER_H

#include "text/bm25.h"
#include "text/score.h"
#include "text/view.h"

struct vz_weight {
    const struct vz_text_query *query;
    struct vz_bm25 bm25;
    struct vz_field_stats field;
    uint64_t *doc_freqs; /* of each term of the query */
    uint64_t doc_freq;   /* TERM: the largest of the alternatives */
    uint64_t idf_freq;   /* what the idf was worked out from */
    float constant;
    float boost; /* of this one and those above */
    struct vz_weight **parts;
};
/* In the arena. NULL with err for queries that cannot run, of more clauses than these together too.
 */
enum { VZ_MAX_NESTED_CLAUSES = 1 << 16 };
struct vz_weight *vz_weigh(const struct vz_text_view *view, const struct vz_text_query *query,
                           float boost, struct vz_arena *arena, struct vz_error *err);

struct vz_scorer;
struct vz_scorer_kind {
    uint32_t (*advance)(struct vz_scorer *scorer, uint32_t target);
    float (*score)(struct vz_scorer *scorer);
    void (*close)(struct vz_scorer *scorer);
};
struct vz_scorer {
    const struct vz_scorer_kind *kind;
    const struct vz_weight *weight;
    uint32_t doc; /* valid after the first advance */
    bool started;
    uint64_t cost;
};
/* NULL when nothing in the segment can match. Memory: the arena, and heap until closed. */
struct vz_scorer *vz_scorer_new(const struct vz_weight *weight, const struct vz_segment *segment,
                                struct vz_arena *arena);
static inline uint32_t vz_scorer_advance(struct vz_scorer *scorer, uint32_t target)
{
    return scorer->kind->advance(scorer, target);
}
static inline float vz_scorer_score(struct vz_scorer *scorer)
{
    return scorer->kind->score(scorer);
}
static inline void vz_scorer_close(struct vz_scorer *scorer)
{
    if (scorer && scorer->kind->close)
        scorer->kind->close(scorer);
}
/* describe.c: without the boost. */
void vz_text_describe_plain(const struct vz_text_query *query, struct vz_buf *out);
/* combined.c */
void vz_combined_weigh(const struct vz_text_view *view, struct vz_weight *weight);
struct vz_scorer *vz_combined_scorer_new(const struct vz_weight *weight,
                                         const struct vz_segment *segment, struct vz_arena *arena);
/* Of the document it stands on. */
float vz_combined_freq(struct vz_scorer *scorer);
unsigned char vz_combined_norm(struct vz_scorer *scorer);
/* interval_scorer.c */
struct vz_scorer *vz_intervals_scorer_new(const struct vz_weight *weight,
                                          const struct vz_segment *segment,
                                          struct vz_arena *arena);
float vz_intervals_freq(struct vz_scorer *scorer);
/* spans.c */
struct vz_scorer *vz_spans_scorer_new(const struct vz_weight *weight,
                                      const struct vz_segment *segment, struct vz_arena *arena);
float vz_spans_freq(struct vz_scorer *scorer);
unsigned char vz_spans_norm(struct vz_scorer *scorer);
/* phrase.c */
struct vz_scorer *vz_phrase_scorer_new(const struct vz_weight *weight,
                                       const struct vz_segment *segment, struct vz_arena *arena);
float vz_phrase_freq(struct vz_scorer *scorer);

/* Several lists as one: alternatives of a place. */
struct vz_union {
    struct vz_postings *lists;
    size_t count;
    uint32_t doc;
    uint32_t *positions;
    size_t capacity;
};
uint32_t vz_union_advance(struct vz_union *lists, uint32_t target);
uint32_t vz_union_freq(struct vz_union *lists);
/* Positions of all lists on the document, in order, each once; *count of them. */
const uint32_t *vz_union_positions(struct vz_union *lists, uint32_t *count);
void vz_union_close(struct vz_union *lists);
/* Opens those of `terms` the segment has. False when it has none. */
bool vz_union_open(struct vz_union *lists, const struct vz_segment *segment, uint16_t field,
                   const struct vz_slice *terms, size_t count, struct vz_arena *arena);

#endif
