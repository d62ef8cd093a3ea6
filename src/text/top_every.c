/* The best k of documents that have all of several single terms. The rarest leads; where the
 * blocks' largest scores add up to too little, everything to the end of the shortest block is
 * skipped. */
#include "text/top_parts.h"

#include <stdlib.h>

static int rarest_first(const void *a, const void *b)
{
    const struct vz_clause *x = a, *y = b;
    return x->p.doc_freq < y->p.doc_freq ? -1 : x->p.doc_freq > y->p.doc_freq;
}

/* clauses: the rarest first. */
static void walk(struct vz_top *top, struct vz_clause *clauses, size_t count)
{
    struct vz_clause *lead = &clauses[0];
    uint32_t bound_to = 0; /* the blocks' bound holds below it */
    uint32_t doc = vz_postings_advance(&lead->p, 0);
    bool bounded = false;
    for (unsigned steps = 0; doc != VZ_TEXT_END; steps++) {
        if (steps % 1024 == 0 && vz_top_stop(top))
            break;
        if (top->threshold >= 0 && (!bounded || doc >= bound_to)) {
            double most = 0;
            uint32_t last = VZ_TEXT_END - 1;
            for (size_t i = 0; i < count; i++) {
                struct vz_postings *p = &clauses[i].p;
                uint32_t block = vz_postings_find_block(p, doc);
                if (!p->skips) {
                    most += clauses[i].list_max;
                } else if (block < p->block_count) {
                    most += vz_impact_score(clauses[i].weight, p->skips[block].impacts);
                    last = VZ_MIN(last, p->base + p->skips[block].last);
                } else {
                    return; /* it ends before: so do all */
                }
            }
            bounded = true;
            bound_to = last + 1;
            if ((float)most <= top->threshold && last >= doc) {
                bounded = false;
                doc = vz_postings_advance(&lead->p, last + 1);
                continue;
            }
        }
        uint32_t at = doc;
        for (size_t i = 1; i < count && at == doc; i++)
            at = vz_postings_advance(&clauses[i].p, doc);
        if (at != doc) {
            doc = at == VZ_TEXT_END ? at : vz_postings_advance(&lead->p, at);
            continue;
        }
        if (vz_top_passes(top, doc)) {
            double score = 0;
            for (size_t i = 0; i < count; i++)
                score += vz_clause_score(&clauses[i]);
            vz_top_met(top, doc);
            vz_top_found(top, doc, (float)score);
        }
        if (top->search->filter) {
            uint32_t target = vz_top_next_passing(top, doc + 1);
            doc = target == VZ_TEXT_END ? target : vz_postings_advance(&lead->p, target);
        } else
            doc = vz_postings_next(&lead->p);
    }
}

void vz_top_every(struct vz_top *top, const struct vz_weight **parts, size_t count,
                  const struct vz_segment *segment)
{
    struct vz_clause *clauses = vz_try_alloc_aligned(count, sizeof *clauses);
    size_t open = 0;
    while (clauses && open < count && vz_clause_open(&clauses[open], parts[open], segment))
        open++;
    if (open == count) {
        qsort(clauses, open, sizeof *clauses, rarest_first);
        walk(top, clauses, open);
    }
    for (size_t i = 0; i < open; i++)
        vz_postings_close(&clauses[i].p);
    free(clauses);
}
