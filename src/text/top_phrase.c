/* The best k of an exact phrase of single terms.
 *
 * The rarest term leads, a block of 128 documents at a time; positions are read last, and only of
 * documents that have all terms and can get over the threshold:
 *
 *  1. A phrase is in a document at most as often as each of its terms. Where a term stands m times
 *     in the phrase, its places of the n matches are the starts moved by m different distances:
 *     at least n + m - 1 places. So freq(phrase) <= freq(term) - (m - 1), and the phrase's score of
 *     that freq is an upper bound, in a document as in a block's impacts. A block's bound also
 *     tells below which freq no document of it can be over the threshold; most of a frequent word's
 *     documents have it once, so most fall here, before their lengths are looked at.
 *  2. The others are advanced to what is left, unless their block's bound is too little, too.
 *  3. The same bound of the least freq of all terms and the document's length.
 *  4. Positions.
 *
 * While matches are counted every document with all terms gets to 4. */
#include "text/block.h"
#include "text/top_parts.h"

#include <math.h>
#include <stdlib.h>

#define MOST_TERMS 32 /* they are compared with each other */
#define FREQS 8

struct part {
    struct vz_postings p;
    size_t term;     /* of the query, the first of m */
    uint32_t offset; /* in the phrase, of the first */
    uint32_t extra;  /* m - 1 */
    float list_max;
    /* The bound of block `bounded`, and the freq that its documents must be over; they held for a
     * threshold that was lower or the same. */
    uint32_t bounded, least;
    float bound;
};

struct spot {
    struct part *part;
    uint32_t offset; /* in the phrase */
    const uint32_t *positions;
    uint32_t count, at;
};

struct phrase {
    struct vz_top *top;
    const struct vz_weight *weight;
    struct part *parts; /* the rarest first */
    struct spot *spots; /* by offset */
    size_t part_count, spot_count;
    uint32_t next; /* documents before it are known not to be among the best */
    /* For a freq: the longest that is over the threshold, -1 when none is; good for limits_for. */
    int limits[FREQS];
    unsigned limits_known;
    float limits_for;
};

/* ---- bounds -----------------------------------------------------------------------------------
 */

static float score_of(const struct phrase *phrase, float freq, unsigned char norm)
{
    if (phrase->weight->query->constant)
        return phrase->weight->constant;
    return vz_bm25_score(&phrase->weight->bm25, freq, norm);
}

/* Impacts rise in freq and in length: where all up to one are too little, so is every document
 * whose freq is not over that one's. */
static void bound_impacts(const struct phrase *phrase, struct part *part,
                          const struct vz_impact *impacts)
{
    bool none_over = true;
    part->bound = 0;
    part->least = part->extra;
    for (unsigned i = 0; i < VZ_IMPACTS && impacts[i].freq; i++) {
        if (impacts[i].freq <= part->extra)
            continue;
        float freq = impacts[i].freq == 255 ? 1e30f : (float)(impacts[i].freq - part->extra);
        float score = score_of(phrase, freq, impacts[i].norm);
        part->bound = fmaxf(part->bound, score);
        none_over &= score <= phrase->top->threshold;
        if (none_over)
            part->least = impacts[i].freq;
    }
}

/* Whether block `block` can have one over the threshold. */
static bool is_worth(const struct phrase *phrase, struct part *part, uint32_t block)
{
    if (part->bounded != block) {
        part->bounded = block;
        bound_impacts(phrase, part, part->p.skips[block].impacts);
    }
    return part->bound > phrase->top->threshold;
}

/* ---- positions --------------------------------------------------------------------------------
 */

static uint32_t count_matches(struct phrase *phrase)
{
    uint32_t freq = 0;
    struct spot *first = &phrase->spots[0];
    for (size_t i = 0; i < phrase->spot_count; i++) {
        struct spot *spot = &phrase->spots[i];
        spot->positions = vz_postings_positions(&spot->part->p);
        spot->count = vz_postings_freq(&spot->part->p); /* after: a damaged file's is cut there */
        spot->at = 0;
    }
    for (uint32_t n = 0; n < first->count; n++) {
        uint64_t start = (uint64_t)first->positions[n] - first->offset;
        bool all = true;
        for (size_t i = 1; i < phrase->spot_count && all; i++) {
            struct spot *spot = &phrase->spots[i];
            uint64_t want = start + spot->offset;
            while (spot->at < spot->count && spot->positions[spot->at] < want)
                spot->at++;
            if (spot->at == spot->count)
                return freq;
            all = spot->positions[spot->at] == want;
        }
        freq += all;
    }
    return freq;
}

/* ---- documents --------------------------------------------------------------------------------
 */

/* The freq over which a document of the decoded block must be. */
static uint32_t least_of(const struct phrase *phrase, const struct part *part)
{
    bool bounded = phrase->top->threshold >= 0 && part->p.skips && part->bounded == part->p.block;
    return bounded ? part->least : part->extra;
}

/* Decodes the block that has the first document at or behind `doc`. False when there is none, or
 * none of it can be over the threshold: `next` tells how far that holds. */
static bool stand(struct phrase *phrase, struct part *part, uint32_t doc)
{
    struct vz_postings *p = &part->p;
    if (p->started && p->docs[p->count - 1] >= doc)
        return true;
    uint32_t block = vz_postings_find_block(p, doc);
    if (block >= p->block_count || (p->started && !p->skips)) {
        phrase->next = VZ_TEXT_END;
        return false;
    }
    if (p->skips && phrase->top->threshold >= 0 && !is_worth(phrase, part, block)) {
        phrase->next = p->base + p->skips[block].last + 1;
        return false;
    }
    if (vz_postings_advance(p, doc) != VZ_TEXT_END)
        return true;
    phrase->next = VZ_TEXT_END;
    return false;
}

/* Brings the third and later ones to the document. False when one of them does not have it or
 * cannot. */
static bool meet_rest(struct phrase *phrase, uint32_t doc, uint32_t *least_freq)
{
    for (size_t i = 2; i < phrase->part_count; i++) {
        struct part *part = &phrase->parts[i];
        if (!stand(phrase, part, doc))
            return false;
        uint32_t at = vz_postings_advance(&part->p, doc);
        if (at != doc) {
            phrase->next = at;
            return false;
        }
        uint32_t freq = vz_postings_freq(&part->p);
        if (freq <= least_of(phrase, part))
            return false;
        *least_freq = VZ_MIN(*least_freq, freq - part->extra);
    }
    return true;
}

/* A document of the phrase. */
static void found(struct phrase *phrase, uint32_t doc, uint32_t freq)
{
    struct vz_postings *lead = &phrase->parts[0].p;
    vz_top_count(phrase->top, 1);
    if (phrase->top->search->k)
        vz_top_offer(phrase->top, doc, score_of(phrase, (float)freq, vz_postings_norm(lead)));
}

/* The longest norm with which a freq is over the threshold: scores fall with the length. */
static int longest_over(const struct phrase *phrase, uint32_t freq)
{
    int low = -1, high = 255;
    while (low < high) {
        int middle = low + (high - low + 1) / 2;
        if (score_of(phrase, (float)freq, (unsigned char)middle) > phrase->top->threshold)
            low = middle;
        else
            high = middle - 1;
    }
    return low;
}

/* Whether the document on which the lead stands is not over the threshold with that freq. */
static bool is_too_little(struct phrase *phrase, uint32_t freq)
{
    float threshold = phrase->top->threshold;
    if (threshold < 0)
        return false;
    unsigned char norm = vz_postings_norm(&phrase->parts[0].p);
    if (freq >= FREQS)
        return score_of(phrase, (float)freq, norm) <= threshold;
    if (phrase->limits_for != threshold) {
        phrase->limits_for = threshold;
        phrase->limits_known = 0;
    }
    if (!(phrase->limits_known >> freq & 1)) {
        phrase->limits_known |= 1u << freq;
        phrase->limits[freq] = longest_over(phrase, freq);
    }
    return norm > phrase->limits[freq];
}

/* A document that the lead and the second have; both stand on it. `is_sure`: the words of both
 * stand there once each, and where they must. */
static void examine(struct phrase *phrase, uint32_t least_freq, bool is_sure)
{
    uint32_t doc = phrase->parts[0].p.doc, freq = 1;
    if (is_too_little(phrase, least_freq))
        return;
    if (phrase->part_count > 2) {
        uint32_t before = least_freq;
        if (!meet_rest(phrase, doc, &least_freq) ||
            (least_freq < before && is_too_little(phrase, least_freq)))
            return;
    }
    if (!is_sure || phrase->part_count > 2)
        freq = count_matches(phrase);
    if (freq)
        found(phrase, doc, freq);
}

/* Places of the lead's decoded block from `next` on that may be found and can be enough. */
static unsigned gather(struct phrase *phrase, uint8_t *places)
{
    struct part *lead = &phrase->parts[0];
    struct vz_postings *p = &lead->p;
    uint64_t masks[2];
    unsigned count = 0;
    if (!p->freqs_ready)
        vz_postings_load_freqs(p);
    vz_block_over(p->freqs, p->count, least_of(phrase, lead), masks);
    for (unsigned half = 0; half < 2; half++)
        for (uint64_t left = masks[half]; left; left &= left - 1) {
            unsigned at = half * 64 + (unsigned)__builtin_ctzll(left);
            uint32_t doc = p->docs[at];
            if (doc < phrase->next || !vz_top_passes(phrase->top, doc))
                continue;
            p->doc = doc;
            places[count] = (uint8_t)at;
            count += !is_too_little(phrase, p->freqs[at] - lead->extra);
        }
    return count;
}

#define FEW 4 /* their places are summed one by one */

/* Leaves out pairs below the second's least freq, and then those of documents with each word once
 * that are not as far apart as in the phrase; without branches, which nobody could foresee. Gives
 * how many are left; sure[i]: both words once and where they must be. */
static unsigned sift_pairs(struct phrase *phrase, struct vz_meeting *pairs, unsigned count,
                           uint8_t *sure)
{
    struct part *lead = &phrase->parts[0], *second = &phrase->parts[1];
    struct vz_postings *p = &lead->p, *other = &second->p;
    uint32_t least = least_of(phrase, second), wanted = second->offset - lead->offset;
    unsigned left = 0, sifted = 0;
    if (!other->freqs_ready)
        vz_postings_load_freqs(other);
    for (unsigned i = 0; i < count; i++) {
        pairs->mine[left] = pairs->mine[i];
        pairs->theirs[left] = pairs->theirs[i];
        sure[left] = 0;
        left += other->freqs[pairs->theirs[i]] > least;
    }
    if (left < FEW || lead->extra || second->extra || least)
        return left;
    if (!p->starts_ready)
        vz_postings_load_starts(p);
    if (!other->starts_ready)
        vz_postings_load_starts(other);
    if (!p->positions_inside || !other->positions_inside)
        return left;
    for (unsigned i = 0; i < left; i++) {
        unsigned a = pairs->mine[i], b = pairs->theirs[i];
        bool once = (p->freqs[a] == 1) & (other->freqs[b] == 1);
        uint32_t apart = vz_postings_position_of(other, b) - vz_postings_position_of(p, a);
        pairs->mine[sifted] = (uint8_t)a;
        pairs->theirs[sifted] = (uint8_t)b;
        sure[sifted] = once;
        sifted += !once | (apart == wanted);
    }
    return sifted;
}

/* Pairs of the lead's and the second's decoded blocks. */
static void examine_pairs(struct phrase *phrase, struct vz_meeting *pairs, unsigned count)
{
    struct part *lead = &phrase->parts[0], *second = &phrase->parts[1];
    struct vz_postings *p = &lead->p, *other = &second->p;
    uint8_t sure[VZ_BLOCK];
    count = sift_pairs(phrase, pairs, count, sure);
    for (unsigned i = 0; i < count; i++) {
        p->at = pairs->mine[i];
        p->doc = p->docs[p->at];
        if (p->doc < phrase->next)
            continue;
        other->at = pairs->theirs[i];
        other->doc = p->doc;
        uint32_t freq = p->freqs[p->at] - lead->extra;
        examine(phrase, VZ_MIN(freq, other->freqs[other->at] - second->extra), sure[i]);
    }
}

/* Documents of the lead's decoded block from `next` on. */
static void walk_block(struct phrase *phrase)
{
    struct vz_postings *p = &phrase->parts[0].p;
    uint8_t places[VZ_BLOCK];
    struct vz_meeting pairs;
    unsigned count = gather(phrase, places), used;
    if (phrase->part_count == 1) {
        for (unsigned i = 0; i < count; i++) {
            p->at = places[i];
            p->doc = p->docs[p->at];
            examine(phrase, p->freqs[p->at] - phrase->parts[0].extra, false);
        }
        return;
    }
    struct part *second = &phrase->parts[1];
    for (unsigned at = 0; at < count; at += used) {
        uint32_t doc = p->docs[places[at]];
        used = 1;
        if (doc < phrase->next || !stand(phrase, second, doc))
            continue;
        unsigned met = vz_block_meet(p->docs, places + at, count - at, second->p.docs, second->p.at,
                                     second->p.count, &pairs, &used);
        used = VZ_MAX(used, 1);
        if (met)
            examine_pairs(phrase, &pairs, met);
    }
}

static void walk(struct phrase *phrase)
{
    struct vz_top *top = phrase->top;
    struct part *lead = &phrase->parts[0];
    struct vz_postings *p = &lead->p;
    float most = INFINITY;
    for (size_t i = 0; i < phrase->part_count; i++)
        most = fminf(most, phrase->parts[i].list_max);
    for (;;) {
        phrase->next = vz_top_next_passing(top, phrase->next);
        if (phrase->next == VZ_TEXT_END || most <= top->threshold || vz_top_stop(top))
            return;
        uint32_t block = vz_postings_find_block(p, phrase->next);
        if (block >= p->block_count)
            return;
        if (p->skips && top->threshold >= 0 && !is_worth(phrase, lead, block)) {
            phrase->next = p->base + p->skips[block].last + 1;
            continue;
        }
        if (!p->started || p->block != block)
            vz_postings_load(p, block);
        p->started = true;
        uint32_t last = p->docs[p->count - 1];
        if (last == VZ_TEXT_END) /* a damaged file */
            return;
        if (last < phrase->next) { /* a list of one block is over */
            if (!p->skips)
                return;
            phrase->next = p->base + p->skips[block].last + 1; /* a damaged file */
            continue;
        }
        walk_block(phrase);
        phrase->next = VZ_MAX(phrase->next, last + 1);
    }
}

/* ---- opening ----------------------------------------------------------------------------------
 */

static int rarest_first(const void *a, const void *b)
{
    const struct part *x = a, *y = b;
    return x->p.doc_freq < y->p.doc_freq ? -1 : x->p.doc_freq > y->p.doc_freq;
}

static bool is_exact(const struct vz_text_query *query)
{
    if (query->kind != VZ_TEXT_PHRASE || query->slop || query->term_count < 2 ||
        query->term_count > MOST_TERMS)
        return false;
    for (size_t i = 1; query->positions && i < query->term_count; i++)
        if (query->positions[i] <= query->positions[i - 1])
            return false;
    return true;
}

/* Opens a list of each term. False when one has none here. */
static bool open_parts(struct phrase *phrase, const struct vz_segment *segment)
{
    const struct vz_text_query *query = phrase->weight->query;
    for (size_t i = 0; i < query->term_count; i++) {
        size_t same = 0;
        while (same < i && !vz_slice_eq(query->terms[same], query->terms[i]))
            same++;
        if (same < i)
            continue;
        struct part *part = &phrase->parts[phrase->part_count];
        if (!vz_postings_open(&part->p, segment, query->field, query->terms[i]))
            return false;
        phrase->part_count++;
        part->term = i;
        part->offset = query->positions ? query->positions[i] : (uint32_t)i;
        for (size_t j = i + 1; j < query->term_count; j++)
            part->extra += vz_slice_eq(query->terms[j], query->terms[i]);
        part->bounded = UINT32_MAX;
        part->list_max = INFINITY;
        if (part->p.has_impacts) {
            bound_impacts(phrase, part, part->p.head);
            part->list_max = part->bound;
        }
    }
    return true;
}

static void set_spots(struct phrase *phrase)
{
    const struct vz_text_query *query = phrase->weight->query;
    for (size_t i = 0; i < query->term_count; i++) {
        struct spot *spot = &phrase->spots[phrase->spot_count++];
        spot->offset = query->positions ? query->positions[i] : (uint32_t)i;
        for (size_t n = 0; n < phrase->part_count; n++)
            if (vz_slice_eq(query->terms[phrase->parts[n].term], query->terms[i]))
                spot->part = &phrase->parts[n];
    }
}

bool vz_top_phrase(struct vz_top *top, const struct vz_weight *weight,
                   const struct vz_segment *segment, struct vz_arena *arena)
{
    const struct vz_text_query *query = weight->query;
    if (!is_exact(query))
        return false;
    struct phrase phrase = {.top = top, .weight = weight, .next = segment->base};
    phrase.parts = vz_try_alloc_aligned(query->term_count, sizeof *phrase.parts);
    phrase.spots = vz_arena_zalloc(arena, query->term_count * sizeof *phrase.spots);
    if (!phrase.parts)
        return false;
    if (open_parts(&phrase, segment)) {
        qsort(phrase.parts, phrase.part_count, sizeof *phrase.parts, rarest_first);
        set_spots(&phrase);
        walk(&phrase);
    }
    for (size_t i = 0; i < phrase.part_count; i++)
        vz_postings_close(&phrase.parts[i].p);
    free(phrase.parts);
    return true;
}
