/* Searching with a filter, or for distinct groups: three ways, one answer.
 *
 *   dense    the plain walk with two structures: all rows lead it, accepted ones are kept. For
 *            filters that let most rows pass, and for groups.
 *   bridged  only accepted rows are scored. Where a neighbour is rejected its own neighbours are
 *            looked at instead, nearest neighbours first, until the node has as many accepted ones
 *            as a list has places (the idea of ACORN: Patel and others, "ACORN: Performant and
 *            Predicate-Agnostic Search Over Vector Embeddings and Structured Data", 2024, arXiv
 *            2403.04871, with the graph left as it is). A rejected row costs a question and at most
 *            one reading of its list, never a distance.
 *   scan     all accepted rows, on codes when there are any, or on floats when they are few.
 *
 * Where it differs from ACORN: lists are those of the plain graph, not longer ones; the walk starts
 * from some accepted rows drawn from all over as well as from where the descent ends, because rows
 * that pass may all lie far from the query, behind thousands of rejected ones (anti-correlated
 * filters, where walks that only start near the query never see one); and it has a budget: what a
 * scan of the accepted rows would cost. A walk that spends it hands over to the scan.
 *
 * Costs are counted in distances of a walk (156 ns on codes of 512 dims, of which most is waiting
 * and the heap). Asking about a link is LINK_COST of one (3 ns), a row of a scan SCAN_COST (60 ns).
 *
 * Invariants:
 *  1. Only accepted rows enter the pool; with groups at most one row a group, its best.
 *  2. Fewer than k rows come back only when fewer are accepted, or the search was cancelled.
 *  3. visited[row]: epoch - scored, or its list was read; epoch + 1 - rejected, its list may still
 *     be read once. */
#include "vector/pool.h"

#include "base/text.h"

#include <stdlib.h>

#define LINK_COST 0.02
#define SCAN_COST 0.45 /* of a row in a scan: nothing to wait for, nearly nothing to keep */
#define DENSE_SHARE 0.7
#define SAMPLE 256
#define PROBE 512 /* rows around the query that are asked */
#define SEEDS 24
#define BLOCK 64
#define BORDER_SAMPLE 256
#define BORDER_SHARE 0.85f

/* ---- the heap of candidates ---- */

static void heap_push(struct vz_scratch *s, uint64_t key)
{
    size_t i = s->heap_count++;
    while (i && s->heap[(i - 1) / 2] < key) {
        s->heap[i] = s->heap[(i - 1) / 2];
        i = (i - 1) / 2;
    }
    s->heap[i] = key;
}

static uint64_t heap_pop(struct vz_scratch *s)
{
    uint64_t top = s->heap[0], last = s->heap[--s->heap_count];
    size_t i = 0, child;
    while ((child = 2 * i + 1) < s->heap_count) {
        if (child + 1 < s->heap_count && s->heap[child + 1] > s->heap[child])
            child++;
        if (s->heap[child] <= last)
            break;
        s->heap[i] = s->heap[child];
        i = child;
    }
    s->heap[i] = last;
    return top;
}

/* ---- groups ---- */

static uint32_t group_slot(const struct vz_scratch *s, uint32_t group)
{
    uint32_t mask = s->group_slots - 1, slot = group * 0x9E3779B1u & mask;
    while (s->group_key[slot] && s->group[slot] != group)
        slot = (slot + 1) & mask;
    return slot;
}

/* Empties a slot and closes the gap in its run. */
static void group_remove(struct vz_scratch *s, uint32_t slot)
{
    uint32_t mask = s->group_slots - 1, next = slot;
    for (;;) {
        next = (next + 1) & mask;
        if (!s->group_key[next])
            break;
        uint32_t home = s->group[next] * 0x9E3779B1u & mask;
        if (((next - home) & mask) < ((next - slot) & mask))
            continue; /* it would land before its home */
        s->group_key[slot] = s->group_key[next];
        s->group[slot] = s->group[next];
        slot = next;
    }
    s->group_key[slot] = 0;
}

static void pool_remove(struct vz_scratch *s, uint64_t key)
{
    uint32_t low = 0, high = s->pool_count;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (s->pool[middle] > key)
            low = middle + 1;
        else
            high = middle;
    }
    memmove(s->pool + low, s->pool + low + 1, (s->pool_count - low - 1) * sizeof *s->pool);
    s->pool_count--;
}

static uint32_t group_of(const struct vz_walk *walk, uint64_t key)
{
    return walk->search->group(walk->search->group_context, vz_key_row(key));
}

/* The key of an accepted row into the pool, in place of its group's when that is worse. */
static void offer(struct vz_walk *walk, uint32_t ef, uint32_t ties, uint64_t key)
{
    struct vz_scratch *s = walk->scratch;
    uint64_t evicted;
    if (s->pool_count == ef && key <= s->pool[ef - 1])
        return;
    if (!walk->search->group) {
        vz_pool_insert(s->pool, &s->pool_count, ef, ties, key, &evicted);
        return;
    }
    uint32_t group = group_of(walk, key), slot = group_slot(s, group);
    if (s->group_key[slot] >= key)
        return;
    if (s->group_key[slot])
        pool_remove(s, s->group_key[slot]);
    s->group_key[slot] = key;
    s->group[slot] = group;
    vz_pool_insert(s->pool, &s->pool_count, ef, ties, key, &evicted);
    if (evicted)
        group_remove(s, group_slot(s, group_of(walk, evicted)));
}

static void pool_clear(struct vz_walk *walk)
{
    struct vz_scratch *s = walk->scratch;
    s->pool_count = 0;
    s->heap_count = 0;
    if (walk->search->group)
        memset(s->group_key, 0, s->group_slots * sizeof *s->group_key);
}

/* ---- dense ---- */

static bool accepts(const struct vz_walk *walk, uint32_t row)
{
    const struct vz_hnsw_search *search = walk->search;
    return !(walk->removed && vz_is_removed(walk->graph, row)) &&
           (!search->accept || search->accept(search->accept_context, row));
}

static void consider(struct vz_walk *walk, uint64_t key, uint32_t ef, uint32_t ties, bool accepted)
{
    struct vz_scratch *s = walk->scratch;
    if (s->pool_count == ef && key <= s->pool[ef - 1])
        return;
    heap_push(s, key);
    if (accepted || accepts(walk, vz_key_row(key)))
        offer(walk, ef, ties, key);
}

/* Where the descent ended, the walk begins. */
static bool begin(struct vz_walk *walk, uint32_t ef, uint32_t ties)
{
    struct vz_scratch *s = walk->scratch;
    uint64_t seeds[VZ_DESCENT];
    uint32_t count = VZ_MIN(s->pool_count, VZ_DESCENT);
    memcpy(seeds, s->pool, count * sizeof *seeds);
    pool_clear(walk);
    if (!vz_scratch_heap_room(s, count))
        return false;
    for (uint32_t i = 0; i < count; i++)
        consider(walk, seeds[i] & ~(uint64_t)VZ_KEY_OPEN, ef, ties, false);
    return true;
}

static bool walk_dense(struct vz_walk *walk, uint32_t ef)
{
    struct vz_scratch *s = walk->scratch;
    uint32_t ties = vz_walk_ties(walk, ef);
    if (!begin(walk, ef, ties))
        return false;
    while (s->heap_count && !vz_walk_cancelled(walk)) {
        uint64_t best = heap_pop(s);
        if (s->pool_count == ef && best < s->pool[ef - 1])
            break;
        uint32_t count = vz_walk_gather(walk, vz_key_row(best), 0);
        if (!vz_scratch_heap_room(s, s->heap_count + count))
            return false;
        vz_score(walk->scorer, s->batch, count, s->batch_similarity);
        walk->visited += count;
        walk->hops++;
        for (uint32_t i = 0; i < count; i++)
            consider(walk, vz_key(s->batch_similarity[i], s->batch[i]), ef, ties, false);
    }
    return true;
}

/* ---- bridged ---- */

struct bridged {
    struct vz_walk *walk;
    uint32_t ef, ties;
    uint32_t held;  /* accepted rows in scratch->batch, not scored yet */
    uint32_t found; /* accepted rows of the node at hand */
};

static bool flush(struct bridged *b)
{
    struct vz_walk *walk = b->walk;
    struct vz_scratch *s = walk->scratch;
    if (!vz_scratch_heap_room(s, s->heap_count + b->held))
        return false;
    vz_score(walk->scorer, s->batch, b->held, s->batch_similarity);
    walk->visited += b->held;
    for (uint32_t i = 0; i < b->held; i++)
        consider(walk, vz_key(s->batch_similarity[i], s->batch[i]), b->ef, b->ties, true);
    b->held = 0;
    return true;
}

static bool take(struct bridged *b, uint32_t row)
{
    struct vz_scratch *s = b->walk->scratch;
    s->visited[row] = s->epoch;
    vz_walk_fetch(b->walk, row);
    s->batch[b->held++] = row;
    b->found++;
    return b->held < s->batch_capacity || flush(b);
}

/* Takes the accepted rows linked from `row`. Rejected ones go into bridges[] if there is such an
 * array. */
static bool look(struct bridged *b, uint32_t row, uint32_t *bridges, uint32_t *bridge_count)
{
    struct vz_walk *walk = b->walk;
    struct vz_scratch *s = walk->scratch;
    uint32_t width;
    vz_link *list = vz_list(walk->graph, row, 0, &width);
    for (uint32_t i = 0; i < width; i++) {
        uint32_t link = atomic_load_explicit(list + i, memory_order_acquire);
        if (link == 0)
            break;
        uint32_t to = vz_link_row(link);
        walk->links++;
        if (to >= walk->limit || s->visited[to] == s->epoch)
            continue;
        bool rejected = s->visited[to] == s->epoch + 1;
        if (rejected && !bridges)
            continue;
        if (!rejected && accepts(walk, to)) {
            if (!take(b, to))
                return false;
            continue;
        }
        s->visited[to] = (uint8_t)(s->epoch + 1);
        if (bridges)
            bridges[(*bridge_count)++] = to;
    }
    return true;
}

static bool expand(struct bridged *b, uint32_t row)
{
    struct vz_walk *walk = b->walk;
    struct vz_scratch *s = walk->scratch;
    uint32_t count = 0, enough = walk->graph->m0, *bridges = s->chosen; /* 2 * m0 places */
    b->found = 0;
    if (!look(b, row, bridges, &count))
        return false;
    for (uint32_t i = 0; i < count && b->found < enough; i++) {
        if (i + 1 < count)
            vz_walk_fetch_links(walk, bridges[i + 1], 0);
        s->visited[bridges[i]] = s->epoch;
        if (!look(b, bridges[i], NULL, NULL))
            return false;
    }
    walk->hops++;
    return flush(b);
}

/* Rows from `from` on that are accepted, ascending; *from moves past them. */
static uint32_t next_accepted(const struct vz_walk *walk, uint32_t *from, uint32_t *rows,
                              uint32_t max)
{
    const struct vz_hnsw_search *search = walk->search;
    uint32_t count = 0;
    if (!search->accepted) {
        for (; *from < walk->limit && count < max; ++*from)
            if (accepts(walk, *from))
                rows[count++] = *from;
        return count;
    }
    do {
        uint32_t listed = search->accepted(search->accept_context, *from, rows, max);
        while (listed && rows[listed - 1] >= walk->limit)
            listed--;
        *from = listed ? rows[listed - 1] + 1 : walk->limit;
        count = 0;
        for (uint32_t i = 0; i < listed; i++)
            if (!walk->removed || !vz_is_removed(walk->graph, rows[i]))
                rows[count++] = rows[i];
    } while (!count && *from < walk->limit);
    return count;
}

/* Accepted rows from all over into the batch. Without a list, random rows are asked. */
static bool add_seeds(struct bridged *b)
{
    struct vz_walk *walk = b->walk;
    struct vz_scratch *s = walk->scratch;
    /* Rows past the count may be in the middle of their insert; links lead to no such row. */
    uint32_t rows[BLOCK], whole = vz_hnsw_count(walk->graph);
    uint64_t chance = 0x5eed;
    for (uint32_t i = 0, taken = 0; i < 8 * SEEDS && taken < SEEDS; i++) {
        uint32_t from = (uint32_t)((vz_rng_next(&chance) >> 32) * walk->limit >> 32);
        uint32_t count = 1, step;
        rows[0] = from;
        if (walk->search->accepted)
            count = next_accepted(walk, &from, rows, BLOCK);
        else if (!accepts(walk, from))
            continue;
        step = VZ_MAX(count / 3, 1u);
        for (uint32_t j = step / 2; j < count; j += step, taken++)
            if (rows[j] < whole && s->visited[rows[j]] != s->epoch && !take(b, rows[j]))
                return false;
    }
    return flush(b);
}

static bool walk_bridged(struct vz_walk *walk, uint32_t ef)
{
    struct vz_scratch *s = walk->scratch;
    struct bridged b = {.walk = walk, .ef = ef, .ties = vz_walk_ties(walk, ef)};
    if (!begin(walk, ef, b.ties) || !add_seeds(&b))
        return false;
    while (s->heap_count && !vz_walk_cancelled(walk)) {
        uint64_t best = heap_pop(s);
        if (s->pool_count == ef && best < s->pool[ef - 1])
            break;
        if ((double)walk->visited + (double)walk->links * LINK_COST > walk->allowed) {
            walk->gave_up = true;
            break;
        }
        if (!expand(&b, vz_key_row(best)))
            return false;
    }
    return true;
}

/* ---- scan ---- */

static int descending(const void *a, const void *b)
{
    const float *one = a, *other = b;
    return (*one < *other) - (*one > *other);
}

/* Whether what is nearest among the accepted rows lies on a border of the filter around the query,
 * such as when the nearest half of all rows is excluded: then thousands of rows are about as near
 * as the best one, codes cannot tell them apart (recall@10 0.46 by int8 and 0.14 by one bit,
 * 100,000 rows of which the farther half is accepted), and neither can a walk: only floats of all
 * of them can. Seen in the similarities of a sample: behind a border they begin
 * at once, in equal steps (from the 1st to the 16th of 256 it is 0.3 of the way from there to the
 * 64th); where nothing is cut off the best are few and far between (1.2 times that way). */
static bool on_border(struct vz_walk *walk, double matches)
{
    struct vz_scorer exact = vz_scorer_of_query(walk->scorer->space, walk->scorer->any);
    uint32_t rows[BORDER_SAMPLE], taken = 0, whole = vz_hnsw_count(walk->graph);
    float similarities[BORDER_SAMPLE];
    uint64_t chance = 0xb0de;
    if (!walk->search->accept || matches < 8 * BORDER_SAMPLE)
        return false;
    for (uint32_t i = 0; i < 16 * BORDER_SAMPLE && taken < BORDER_SAMPLE; i++) {
        uint32_t row = (uint32_t)((vz_rng_next(&chance) >> 32) * walk->limit >> 32), from = row;
        if (walk->search->accepted ? next_accepted(walk, &from, &row, 1) == 0 || row >= whole
                                   : row >= whole || !accepts(walk, row))
            continue;
        rows[taken++] = row;
    }
    if (taken < BORDER_SAMPLE)
        return false;
    vz_score(&exact, rows, taken, similarities);
    walk->visited += taken;
    qsort(similarities, taken, sizeof *similarities, descending);
    float near = similarities[0] - similarities[BORDER_SAMPLE / 16],
          far = similarities[BORDER_SAMPLE / 16] - similarities[BORDER_SAMPLE / 4];
    return near < BORDER_SHARE * far;
}

bool vz_walk_scan(struct vz_walk *walk, uint32_t keep, uint32_t keep_codes, double matches)
{
    const struct vz_scorer *given = walk->scorer;
    struct vz_scorer exact = vz_scorer_of_query(given->space, given->any);
    /* Codes first and floats for the best pay off for many rows only, and not on a border. */
    if (walk->scorer->coded && (matches < VZ_FEW * (double)keep || on_border(walk, matches))) {
        walk->scorer = &exact;
        walk->exact = true;
    }
    if (walk->scorer->coded)
        keep = VZ_MIN(keep_codes, walk->limit);
    uint32_t rows[BLOCK], from = 0, count, ties = keep;
    float similarities[BLOCK];
    pool_clear(walk);
    /* Rows past the count may be in the middle of their insert. */
    walk->limit = VZ_MIN(walk->limit, vz_hnsw_count(walk->graph));
    while (!vz_walk_cancelled(walk) && (count = next_accepted(walk, &from, rows, BLOCK))) {
        vz_score(walk->scorer, rows, count, similarities);
        walk->visited += count;
        for (uint32_t i = 0; i < count; i++)
            offer(walk, keep, ties, vz_key(similarities[i], rows[i]));
    }
    walk->scorer = given;
    walk->scanned = true;
    return true;
}

/* ---- which way ---- */

static double estimate(const struct vz_walk *walk)
{
    const struct vz_hnsw_search *search = walk->search;
    if (!search->accept) {
        uint32_t removed = atomic_load_explicit(&walk->graph->removed, memory_order_relaxed);
        return walk->limit - VZ_MIN(removed, walk->limit);
    }
    if (search->accept_estimate)
        return VZ_MIN(search->accept_estimate, walk->limit);
    uint32_t hits = 0;
    uint64_t chance = 0x5a3e;
    for (uint32_t i = 0; i < SAMPLE; i++)
        hits += accepts(walk, (uint32_t)((vz_rng_next(&chance) >> 32) * walk->limit >> 32));
    return ((double)hits + 0.5) / (SAMPLE + 1) * walk->limit;
}

/* What a bridged walk costs: ef nodes and a few, each with new accepted rows and the links read to
 * find them. Measured constants. */
static double bridged_cost(const struct vz_walk *walk, double share, uint32_t ef)
{
    double m0 = walk->graph->m0;
    double links = VZ_MIN(m0 / share, m0 * m0);
    return 1.2 * ef * (m0 / 3 + links * LINK_COST);
}

/* How many times wider a walk must be because the filter lets few rows near the query pass: what it
 * looks for then lies spread over the border of a far region, and a query from outside is the hard
 * case for any graph (20 % accepted, all far away: recall@10 0.87 with ef 64, 0.95 with 384). The
 * share accepted among rows around the end of the descent is compared with the overall share. */
static uint32_t widening(struct vz_walk *walk, double share)
{
    const struct vz_hnsw *graph = walk->graph;
    uint32_t asked = 0, accepted = 0, width, middle_width,
             seed = vz_key_row(walk->scratch->pool[0]);
    vz_link *middle = vz_list(graph, seed, 0, &middle_width);
    for (uint32_t i = 0; i < middle_width && asked < PROBE; i++) {
        uint32_t link = atomic_load_explicit(middle + i, memory_order_acquire);
        if (link == 0)
            break;
        if (vz_link_row(link) >= walk->limit)
            continue;
        vz_link *list = vz_list(graph, vz_link_row(link), 0, &width);
        for (uint32_t j = 0; j < width && asked < PROBE; j++) {
            uint32_t to = atomic_load_explicit(list + j, memory_order_acquire);
            if (to == 0)
                break;
            if (vz_link_row(to) >= walk->limit)
                continue;
            accepted += accepts(walk, vz_link_row(to));
            asked++;
        }
    }
    walk->links += asked;
    double expected = share * asked;
    if (expected < 4) /* too few to tell */
        return 1;
    double times = expected / (accepted + 0.5);
    return times < 2 ? 1 : (uint32_t)VZ_MIN(2 * times, (double)VZ_WIDEST);
}

enum vz_status vz_walk_filtered(struct vz_walk *walk, uint64_t entry, uint32_t ef, uint32_t keep,
                                struct vz_error *err)
{
    const struct vz_hnsw_search *search = walk->search;
    double matches = estimate(walk), share = VZ_MAX(matches, 1.0) / walk->limit;
    bool done = false, ok = true;
    uint32_t wide = 2 * keep; /* how many a scan of codes keeps */
    /* Without a list every row is asked. */
    double scan_cost = matches * SCAN_COST + (search->accepted ? 0 : walk->limit * LINK_COST);
    if (bridged_cost(walk, share, ef) < scan_cost) {
        vz_walk_descend(walk, entry, 0, VZ_DESCENT);
        wide = ef * widening(walk, share);
        /* In a hole of the filter a dense walk would see all of the hole first. */
        bool dense = share >= DENSE_SHARE && wide == ef;
        walk->allowed = scan_cost;
        if (wide > ef && walk->scorer->coded && on_border(walk, matches))
            walk->gave_up = true;
        else if (dense)
            ok = walk_dense(walk, wide);
        else if (wide == ef || bridged_cost(walk, share, wide) < scan_cost)
            ok = walk_bridged(walk, VZ_MIN(wide, walk->limit));
        else
            walk->gave_up = true;
        done = walk->stopped || (!walk->gave_up && walk->scratch->pool_count >= search->k);
    }
    if (ok && !done)
        ok = vz_walk_scan(walk, keep, VZ_MAX(wide, 2 * keep), matches);
    return ok ? VZ_OK : vz_fail(err, VZ_BUDGET, "no memory for a filtered search");
}
