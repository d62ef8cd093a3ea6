/* Searching with a filter, or for distinct groups: three ways, one answer.
 *
 *   bridged  only accepted rows are scored (bridge.c; here, with two structures, for groups).
 *            Where a neighbour is rejected its own neighbours are looked at instead (the idea of
 *            ACORN: Patel and others, "ACORN: Performant and Predicate-Agnostic Search Over Vector
 *            Embeddings and Structured Data", 2024, arXiv 2403.04871, with the graph left as it
 *            is). A rejected row costs a question and at most one reading of its list, never a
 *            distance.
 *   dense    groups with a filter that lets most rows pass: all rows lead, accepted ones are kept.
 *   scan     all accepted rows, exactly (sieve.c); for groups by codes, or by rows when few.
 *
 * Where it differs from ACORN: lists are those of the plain graph, not longer ones; the walk starts
 * from some accepted rows drawn from all over as well as from where the descent ends, because rows
 * that pass may all lie far from the query, behind thousands of rejected ones (anti-correlated
 * filters, where walks that only start near the query never see one); and it has a budget: what a
 * scan of the accepted rows would cost. A walk that spends it hands over to the scan.
 *
 * Which way: the share accepted around the end of the descent tells what a walk will cost, which is
 * compared with what a scan does before anything else is read. A search is to take no longer than a
 * scan of the accepted rows as they are: codes are scanned in a third of that, so a descent and
 * even a walk in vain fit in. A graph of floats scans what others scan, and can only lose by
 * looking: its first look at the surroundings is a narrow one (60 rows).
 *
 * Costs are counted in distances of a walk (55 ns and 0.05 a byte, of which most is waiting).
 * Reading a link is VZ_LINK_COST of one, a row of a scan VZ_SCAN_NS.
 *
 * Invariants:
 *  1. Only accepted rows enter the pool; with groups at most one row a group, its best.
 *  2. Fewer than k rows come back only when fewer are accepted, or the search was cancelled.
 *  3. visited[row]: epoch - scored, or its list was read; epoch + 1 - rejected, its list may still
 *     be read once. */
#include "vector/pool.h"

#include "base/text.h"

#include <math.h>
#include <stdlib.h>

#define WIDE_ODDS 1.5 /* what a walk that had to be widened may cost more than it should */
#define DENSE_SHARE 0.7
#define SAMPLE 256
#define PROBE 512 /* rows around the query that are asked */
#define NEARLY_ALL 0.6
#define DEVIATIONS 4.0
#define QUICK_SCAN 12000 /* distances */
#define SEEDS 24
#define BLOCK 64
#define BY_ROWS 4096 /* so few are scanned by rows: nothing that codes say wrongly is lost */
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

bool vz_walk_accepts(const struct vz_walk *walk, uint32_t row)
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
    if (accepted || vz_walk_accepts(walk, vz_key_row(key)))
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
        if (!rejected && vz_walk_accepts(walk, to)) {
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

uint32_t vz_walk_accepted(const struct vz_walk *walk, uint32_t *from, uint32_t *rows, uint32_t max)
{
    const struct vz_hnsw_search *search = walk->search;
    uint32_t count = 0;
    if (!search->accepted) {
        for (; *from < walk->limit && count < max; ++*from)
            if (vz_walk_accepts(walk, *from))
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
            count = vz_walk_accepted(walk, &from, rows, BLOCK);
        else if (!vz_walk_accepts(walk, from))
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
        if ((double)walk->visited + (double)walk->links * VZ_LINK_COST > walk->allowed) {
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
        if (walk->search->accepted ? vz_walk_accepted(walk, &from, &row, 1) == 0 || row >= whole
                                   : row >= whole || !vz_walk_accepts(walk, row))
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
    while (!vz_walk_cancelled(walk) && (count = vz_walk_accepted(walk, &from, rows, BLOCK))) {
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
        hits += vz_walk_accepts(walk, (uint32_t)((vz_rng_next(&chance) >> 32) * walk->limit >> 32));
    return ((double)hits + 0.5) / (SAMPLE + 1) * walk->limit;
}

/* A row in a scan costs less than in a walk: what is read next is known, and nearly nothing is
 * kept. In distances of a walk; both measured, in ns. */
static double scan_cost_of_row(const struct vz_walk *walk)
{
    double bytes = walk->scorer->coded ? walk->graph->code_stride : walk->graph->space.row_bytes;
    return VZ_SCAN_NS(bytes) / (55 + 0.05 * bytes);
}

/* What a bridged walk costs: ef nodes and some, each with new accepted rows and the lists read to
 * find them. */
static double bridged_cost(const struct vz_walk *walk, double share, uint32_t ef)
{
    double m0 = walk->graph->m0, lists = VZ_MIN(1 / share, m0);
    return (1.1 * ef + 30) * (m0 / 2 + lists * m0 * VZ_LINK_COST);
}

/* The share accepted among rows around the end of the descent; -1 when too few are known to tell
 * whether it is less than `share`. */
static double share_nearby(struct vz_walk *walk, double share, double *asked_count)
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
            accepted += vz_walk_accepts(walk, vz_link_row(to));
            asked++;
        }
    }
    walk->links += asked;
    *asked_count = asked;
    return share * asked < 4 ? -1 : (accepted + 0.5) / asked;
}

/* How many times wider a walk must be because the filter lets few rows near the query pass: what it
 * looks for then lies spread over the border of a far region, and a query from outside is the hard
 * case for any graph (20 % accepted, all far away: recall@10 0.87 with ef 64, 0.95 with 384). */
static uint32_t widening(double share, double nearby, double asked)
{
    double times = nearby < 0 ? 1 : share / nearby;
    if (times >= 2)
        return (uint32_t)VZ_MIN(2 * times, (double)VZ_WIDEST);
    /* Also a hole that is not much wider than what was asked about. */
    double expected = share * asked, chance = sqrt(expected * VZ_MAX(1 - share, 0));
    return nearby >= 0 && nearby * asked < expected - DEVIATIONS * chance ? 3 : 1;
}

/* How wide a walk of ef must at least be. Where nearly all rows near the query pass, a node has its
 * own neighbours only, as in a plain walk, and not those of its neighbours too. */
static uint32_t least_ef(const struct vz_walk *walk, double nearby, uint32_t times)
{
    bool bit = walk->graph->quantize == VZ_QUANTIZE_BIT;
    if (nearby > NEARLY_ALL && bit)
        return 96;
    return walk->search->group || nearby > NEARLY_ALL || times > 1 || bit ? 64 : 0;
}

/* The walk that the share accepted and what was found around the query ask for; whether the pool
 * then holds the answer. */
static bool walk_accepted(struct vz_walk *walk, uint64_t entry, uint32_t ef, double scan_cost,
                          bool *ok)
{
    /* Where a scan is quick, a narrow descent shows whether to walk. */
    double matches = walk->share * walk->limit, cost, nearby, asked;
    bool narrow = !walk->scorer->coded && scan_cost < QUICK_SCAN;
    vz_walk_descend(walk, entry, 0, narrow ? 1 : VZ_DESCENT);
    nearby = share_nearby(walk, walk->share, &asked);
    uint32_t times = widening(walk->share, nearby, asked);
    if (nearby > walk->share)
        walk->share = VZ_MIN(nearby, 1.0);
    ef = VZ_MIN(times * VZ_MAX(ef, least_ef(walk, nearby, times)), walk->limit);
    cost = bridged_cost(walk, walk->share, ef) * (times > 1 ? WIDE_ODDS : 1);
    if (cost > scan_cost || (times > 1 && on_border(walk, matches)))
        return false;
    walk->allowed = times > 1 ? cost : scan_cost;
    if (times > 1)
        walk->share =
            1.0 / walk->graph->m0; /* all the lists there are: a border is hard to cross */
    if (narrow) {
        vz_scratch_fresh(walk->scratch);
        vz_walk_descend(walk, entry, 0, VZ_DESCENT);
    }
    if (!walk->search->group)
        vz_walk_bridged(walk, ef);
    else if (walk->share >= DENSE_SHARE && times == 1)
        /* In a hole of the filter a dense walk would see all of the hole first. */
        *ok = walk_dense(walk, ef);
    else
        *ok = walk_bridged(walk, ef);
    return walk->stopped || (!walk->gave_up && walk->scratch->pool_count >= walk->search->k);
}

enum vz_status vz_walk_filtered(struct vz_walk *walk, uint64_t entry, uint32_t ef, uint32_t keep,
                                struct vz_error *err)
{
    const struct vz_hnsw_search *search = walk->search;
    double matches = estimate(walk), share = VZ_MAX(matches, 1.0) / walk->limit;
    /* Without a list every row is asked. */
    double scan_cost =
        matches * scan_cost_of_row(walk) + (search->accepted ? 0 : walk->limit * VZ_LINK_COST);
    bool done = false, ok = true;
    walk->share = share;
    /* Where the descent ends all rows may pass. */
    if (bridged_cost(walk, 1, ef) < scan_cost)
        done = walk_accepted(walk, entry, ef, scan_cost, &ok);
    if (ok && !done && search->group)
        ok = vz_walk_scan(walk, keep, 2 * keep, matches);
    else if (ok && !done)
        ok = vz_walk_sieve(walk, VZ_MIN(search->k, walk->limit), matches <= BY_ROWS);
    return ok ? VZ_OK : vz_fail(err, VZ_BUDGET, "no memory for a filtered search");
}
