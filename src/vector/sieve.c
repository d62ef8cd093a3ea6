/* All accepted rows, the k best of them, exactly: by codes where those are sure, by the rows
 * themselves where not.
 *
 * A code says a similarity to within a doubt that is known for each row (codes.c). So a row has a
 * least and a greatest similarity; whatever has a greatest one below `least`, the k-th best of the
 * least ones, is out. The others are held and, when there are too many to hold or no rows left,
 * scored again from their rows, which raises `least` further as it goes. Ordinarily a few dozen
 * are: then a scan reads 576 bytes a row (int8, 512 dims) where one of the rows reads 2,048. Behind
 * a border of the filter, such as when the nearest half of all rows is excluded, thousands are
 * about as near as the best, and thousands are read; the answer is exact all the same. When nearly
 * all would be (one bit, a tenth of the rows accepted), the first few rows show it, and the
 * others are scored at once.
 *
 * 100,000 CLIP-like rows of 512 dims, us a query (scan of the rows themselves): 5 % accepted at
 * random int8 265, int4 163, one bit 231 (540); 1 % 70, 44, 62 (113). What led there, int8, ns a
 * row: 60 with codes asked for four rows ahead, 43 with sixteen. Asking so for float rows loses a
 * fifth: the kernel, four rows at once while it asks for the next four, is better alone. Looking at
 * 256 rows with the bound that their k-th best gives told one bit to read everything at 5 % (316 us
 * for 155); the best of 64 is as near as the k-th best of all will be.
 *
 * A doubt is four deviations, and now and then a row is further off: one that asks for itself is
 * coded with the very error of its query. Were it the best and by that off more than its doubt, it
 * would raise `least` above what it is held for itself, and be out. So what is dropped must be
 * below `least` by the most that any of the k best was seen to be off (`slack`).
 *
 * Invariant: every accepted row seen so far that may be one of the k best is in `best` (with its
 * true similarity) or held. */
#include "vector/pool.h"

#include <math.h>

#define BLOCK 256 /* rows listed at a time */
#define HELD 8192
#define AHEAD 16u /* rows of a block asked for before it is scored */
#define FIRST 32  /* rows scored before it is asked anew which need be */
#define FEW 64    /* rows after which it is asked whether that is worth it */
#define IN_VAIN 0.4

struct sieve {
    struct vz_walk *walk;
    struct vz_scorer exact;
    struct vz_best best;  /* keys of true similarities, in the pool's memory */
    struct vz_best lower; /* keys of least similarities; in the heap's, as is what is held */
    uint64_t *held;       /* keys of greatest similarities */
    uint32_t held_count;
    float least, slack;
};

static void raise_least(struct sieve *sieve, const struct vz_best *best)
{
    if (best->count == best->k)
        sieve->least = fmaxf(sieve->least, vz_key_similarity(best->heap[0]));
}

static bool is_out(const struct sieve *sieve, uint64_t held)
{
    return vz_key_similarity(held) < sieve->least - sieve->slack;
}

static void ask_for(const struct vz_scorer *scorer, const uint32_t *rows, uint32_t count)
{
    const struct vz_hnsw *graph = scorer->coded;
    uint32_t bytes = graph ? graph->code_stride : scorer->space->row_bytes;
    for (uint32_t i = 0; i < count; i++) {
        const char *at = graph ? (const char *)vz_code(graph, rows[i])
                               : (const char *)vz_space_row(scorer->space, rows[i]);
        for (uint32_t byte = 0; byte < bytes; byte += 64)
            __builtin_prefetch(at + byte, 0, 2);
    }
}

/* The next accepted rows. The first of them are asked for before the others are listed, so that
 * listing costs nothing. */
static uint32_t next_block(const struct sieve *sieve, const struct vz_scorer *scorer,
                           uint32_t *from, uint32_t *rows, uint32_t most)
{
    const struct vz_walk *walk = sieve->walk;
    uint32_t ahead = scorer->coded ? AHEAD : AHEAD / 4;
    uint32_t count = vz_walk_accepted(walk, from, rows, ahead);
    ask_for(scorer, rows, count);
    return count < ahead ? count : count + vz_walk_accepted(walk, from, rows + count, most - ahead);
}

/* ---- true similarities ---- */

/* The rows that are best by their least similarity, scored for what they are: their worst is a
 * bound nearer to the truth. They stay among those held. */
static void sharpen(struct sieve *sieve)
{
    const struct vz_best *lower = &sieve->lower;
    uint32_t rows[BLOCK];
    float similarities[BLOCK], codes[BLOCK], doubts[BLOCK], least = INFINITY;
    if (lower->count < lower->k)
        return;
    for (uint32_t i = 0, count; i < lower->count; i += count) {
        count = VZ_MIN(lower->count - i, (uint32_t)BLOCK);
        for (uint32_t j = 0; j < count; j++)
            rows[j] = vz_key_row(lower->heap[i + j]);
        vz_score(&sieve->exact, rows, count, similarities);
        vz_codes_score(sieve->walk->scorer, rows, count, codes, doubts);
        sieve->walk->visited += count;
        for (uint32_t j = 0; j < count; j++) { /* NaN is -infinity; fmaxf passes over it */
            least = fminf(least, vz_key_similarity(vz_key(similarities[j], 0)));
            sieve->slack = fmaxf(sieve->slack, similarities[j] - codes[j] - doubts[j]);
        }
    }
    sieve->least = fmaxf(sieve->least, least);
}

static void settle_rows(struct sieve *sieve, const uint32_t *rows, uint32_t count)
{
    struct vz_best *best = &sieve->best;
    float similarities[BLOCK];
    vz_score(&sieve->exact, rows, count, similarities);
    sieve->walk->visited += count;
    for (uint32_t i = 0; i < count; i++) {
        uint64_t key = vz_key(similarities[i], rows[i]);
        if (best->count < best->k || key > best->heap[0])
            vz_best_offer(best, key);
    }
    raise_least(sieve, best);
}

/* Nothing is held afterwards. The first few tell which of the others need not be scored. */
static void settle(struct sieve *sieve)
{
    uint32_t rows[BLOCK], count = 0, enough = FIRST;
    sharpen(sieve);
    for (uint32_t i = 0; i < sieve->held_count; i++) {
        if (is_out(sieve, sieve->held[i]))
            continue;
        rows[count++] = vz_key_row(sieve->held[i]);
        if (count == enough) {
            settle_rows(sieve, rows, count);
            count = 0;
            enough = BLOCK;
        }
    }
    settle_rows(sieve, rows, count);
    sieve->held_count = 0;
}

static void score_rest(struct sieve *sieve, uint32_t from)
{
    uint32_t rows[BLOCK], count;
    while (!vz_walk_cancelled(sieve->walk) &&
           (count = next_block(sieve, &sieve->exact, &from, rows, BLOCK)))
        settle_rows(sieve, rows, count);
}

/* ---- codes ---- */

static void drop(struct sieve *sieve)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < sieve->held_count; i++) {
        sieve->held[kept] = sieve->held[i];
        kept += !is_out(sieve, sieve->held[i]);
    }
    sieve->held_count = kept;
}

/* Whether so many rows will have to be scored again that their codes might as well not be read. The
 * k-th best of all rows will be about as near as the best of these few. */
static bool in_vain(struct sieve *sieve, uint32_t seen)
{
    const struct vz_hnsw *graph = sieve->walk->graph;
    double saved = 1 - VZ_SCAN_NS(graph->code_stride) / VZ_SCAN_NS(graph->space.row_bytes);
    uint64_t best = 0;
    uint32_t near = 0;
    for (uint32_t i = 0; i < sieve->lower.count; i++)
        best = VZ_MAX(best, sieve->lower.heap[i]);
    float similarity = vz_score_one(&sieve->exact, vz_key_row(best));
    sieve->walk->visited++;
    for (uint32_t i = 0; i < sieve->held_count; i++)
        near += !(vz_key_similarity(sieve->held[i]) < similarity);
    return near > IN_VAIN * saved * seen;
}

static void hold(struct sieve *sieve, uint32_t row, float similarity, float doubt)
{
    float most = similarity + doubt;
    if (most < sieve->least - sieve->slack)
        return;
    sieve->held[sieve->held_count++] = vz_key(most == most ? most : INFINITY, row);
    vz_best_offer(&sieve->lower, vz_key(similarity - doubt, row));
    raise_least(sieve, &sieve->lower);
}

static void sift(struct sieve *sieve)
{
    struct vz_walk *walk = sieve->walk;
    uint32_t rows[BLOCK], from = 0, count, seen = 0;
    float similarities[BLOCK], doubts[BLOCK];
    bool vain = false;
    while (!vain && !vz_walk_cancelled(walk) &&
           (count = next_block(sieve, walk->scorer, &from, rows, seen ? BLOCK : FEW))) {
        if (sieve->held_count + count > HELD)
            drop(sieve);
        if (sieve->held_count > HELD / 2)
            settle(sieve);
        vz_codes_score(walk->scorer, rows, count, similarities, doubts);
        walk->visited += count;
        for (uint32_t i = 0; i < count; i++)
            hold(sieve, rows[i], similarities[i], doubts[i]);
        if (!seen && count == FEW)
            vain = in_vain(sieve, count);
        seen += count;
    }
    settle(sieve);
    if (vain)
        score_rest(sieve, from);
}

bool vz_walk_sieve(struct vz_walk *walk, uint32_t k, bool by_rows)
{
    struct vz_scratch *s = walk->scratch;
    if (!vz_scratch_heap_room(s, (size_t)k + HELD))
        return false;
    struct sieve sieve = {.walk = walk,
                          .exact = vz_scorer_of_query(walk->scorer->space, walk->scorer->any),
                          .best = {.heap = s->pool, .k = k},
                          .lower = {.heap = s->heap, .k = k},
                          .held = s->heap + k,
                          .least = -INFINITY};
    /* Rows past the count may be in the middle of their insert. */
    walk->limit = VZ_MIN(walk->limit, vz_hnsw_count(walk->graph));
    if (walk->scorer->coded && !by_rows)
        sift(&sieve);
    else
        score_rest(&sieve, 0);
    s->pool_count = sieve.best.count;
    vz_keys_sort(s->pool, s->pool_count);
    walk->exact = walk->scanned = true;
    return true;
}
