/* How many documents have any of several terms, up to a limit. The lists are gathered as bits, a
 * range of documents after the other, until there are too many: this costs a fraction of scoring
 * them, and leaves the search for the best free to look at few. */
#include "text/top_parts.h"

#include <stdlib.h>

#define RANGE 65536

/* Documents of [low, low + RANGE) that were not there yet and may be found. */
static uint64_t add_list(struct vz_postings *p, const struct vz_bitset *filter, uint32_t low,
                         uint64_t *bits)
{
    uint64_t added = 0;
    uint32_t doc = p->doc;
    while (doc - low < RANGE) { /* it is not below */
        for (; p->at < p->count; p->at++) {
            uint32_t at = (doc = p->docs[p->at]) - low;
            if (at >= RANGE)
                break;
            uint64_t word = bits[at / 64], bit = 1ull << at % 64;
            bool is_new = !(word & bit);
            bits[at / 64] = word | bit;
            added += filter ? is_new && vz_bitset_has(filter, doc) : is_new;
        }
        if (p->at < p->count) {
            p->doc = doc;
        } else {
            p->at = p->count - 1;
            p->doc = p->docs[p->at];
            doc = vz_postings_next(p);
        }
    }
    return added;
}

static void count_segment(struct vz_top *top, const struct vz_weight **parts, size_t count,
                          const struct vz_segment *segment, uint64_t *bits)
{
    struct vz_postings *lists = vz_try_alloc_aligned(count, sizeof *lists);
    size_t open = 0;
    for (size_t i = 0; lists && i < count; i++) {
        const struct vz_text_query *query = parts[i]->query;
        open += vz_postings_open(&lists[open], segment, query->field, query->terms[0]);
    }
    for (size_t i = 0; i < open; i++)
        vz_postings_next(&lists[i]);
    while (top->counting && !vz_top_stop(top)) {
        uint32_t low = VZ_TEXT_END;
        uint64_t added = 0;
        for (size_t i = 0; i < open; i++)
            low = VZ_MIN(low, lists[i].doc);
        if (low == VZ_TEXT_END)
            break;
        memset(bits, 0, RANGE / 8);
        for (size_t i = 0; i < open; i++)
            if (lists[i].doc != VZ_TEXT_END)
                added += add_list(&lists[i], top->search->filter, low, bits);
        vz_top_count(top, added);
    }
    for (size_t i = 0; i < open; i++)
        vz_postings_close(&lists[i]);
    free(lists);
}

void vz_top_total(struct vz_top *top, const struct vz_text_view *view,
                  const struct vz_weight **parts, size_t count)
{
    uint64_t *bits = vz_alloc(RANGE / 8);
    for (size_t i = 0; i < view->count && top->counting && !top->stopped; i++)
        count_segment(top, parts, count, view->segments[i], bits);
    free(bits);
}
