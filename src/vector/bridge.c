/* The bridged walk: only accepted rows are scored. Where a neighbour is rejected its own neighbours
 * are looked at instead, nearest neighbours first, until the node has as many accepted ones as a
 * list has places, or as many lists were read as that takes on average. filter.c says where the
 * idea is from and what surrounds it.
 *
 * What is found and what leads on are the same rows, so that one pool does, as in walk.c, and the
 * walk is one row ahead of itself as there: the accepted neighbours of the next best row are
 * collected and their memory asked for before those of the last one are scored.
 *
 * Reading lists is what costs, so they are asked for BRIDGES_AHEAD at a time, and a node reads one
 * over the share accepted of them: with all of them, most of which lead to rows seen before, a
 * search at 20 % takes 240 us for 150 (one bit; recall@10 0.976 both). */
#include "vector/pool.h"

#include "base/text.h"

#define BRIDGES_AHEAD 6
#define SEEDS 24
#define BLOCK 64

/* ---- neighbours ---- */

/* The links of `row` to rows that were not scored and, without `again`, not rejected before. Here
 * and below what is written may be anything to the compiler, so that what does not change is held
 * in variables: twice as fast. */
static uint32_t fresh_links(struct vz_walk *walk, uint32_t row, bool again, uint32_t *links)
{
    const uint8_t *visited = walk->scratch->visited, epoch = walk->scratch->epoch;
    uint32_t width, count = 0, known = again ? 0 : 1, limit = walk->limit, i = 0;
    vz_link *list = vz_list(walk->graph, row, 0, &width);
    for (; i < width; i++) {
        uint32_t link = atomic_load_explicit(list + i, memory_order_acquire);
        if (link == 0)
            break;
        uint32_t to = vz_link_row(link);
        if (to >= limit)
            continue;
        links[count] = to;
        count += (uint8_t)(visited[to] - epoch) > known; /* epoch or epoch + 1: no more */
    }
    walk->links += i;
    return count;
}

/* Accepted ones of links[] behind batch[count], as many as have room; rejected ones into bridges[]:
 * *bridged of them. No branch on what cannot be predicted. A list that is being rewritten may name
 * a row twice. */
static uint32_t take(struct vz_walk *walk, const uint32_t *links, uint32_t linked, uint32_t *batch,
                     uint32_t count, uint32_t *bridges, uint32_t *bridged)
{
    uint8_t *visited = walk->scratch->visited, epoch = walk->scratch->epoch;
    bool (*accept)(void *, uint32_t) = walk->search->accept;
    void *context = walk->search->accept_context;
    const struct vz_hnsw *removed = walk->removed ? walk->graph : NULL;
    uint32_t room = walk->scratch->batch_capacity, rejected = 0;
    for (uint32_t i = 0; i < linked && count < room; i++) {
        uint32_t to = links[i];
        bool first = visited[to] != epoch, yes = !accept || accept(context, to);
        if (removed)
            yes = yes && !vz_is_removed(removed, to);
        visited[to] = (uint8_t)(epoch + !yes);
        batch[count] = to;
        count += first & yes;
        bridges[rejected] = to;
        rejected += !yes;
    }
    *bridged = rejected;
    return count;
}

uint32_t vz_bridge_gather(struct vz_walk *walk, uint32_t row, uint32_t *batch)
{
    struct vz_scratch *s = walk->scratch;
    uint32_t m0 = walk->graph->m0, bridged, ignored;
    uint32_t enough = m0, most = (uint32_t)(1 / walk->share) + 1;
    uint32_t *bridges = s->chosen, *links = s->chosen + m0; /* 2 * m0 places */
    uint32_t linked = fresh_links(walk, row, true, links);
    uint32_t count = take(walk, links, linked, batch, 0, bridges, &bridged);
    for (uint32_t i = 0; i < VZ_MIN(bridged, (uint32_t)BRIDGES_AHEAD) && count < enough; i++)
        vz_walk_fetch_links(walk, bridges[i], 0);
    vz_walk_fetch_batch(walk, batch, count);
    bridged = VZ_MIN(bridged, most);
    for (uint32_t i = 0; i < bridged && count < enough; i++) {
        uint32_t before = count;
        if (i + BRIDGES_AHEAD < bridged)
            vz_walk_fetch_links(walk, bridges[i + BRIDGES_AHEAD], 0);
        s->visited[bridges[i]] = s->epoch;
        linked = fresh_links(walk, bridges[i], false, links);
        count = take(walk, links, linked, batch, count, links, &ignored);
        vz_walk_fetch_batch(walk, batch + before, count - before);
    }
    return count;
}

/* ---- the walk ---- */

static uint32_t expand(struct vz_walk *walk, uint32_t at, uint32_t *batch)
{
    struct vz_scratch *s = walk->scratch;
    s->pool[at] &= ~(uint64_t)VZ_KEY_OPEN;
    walk->hops++;
    return vz_bridge_gather(walk, vz_key_row(s->pool[at]), batch);
}

/* Accepted rows from all over into the pool. Without a list, random rows are asked. */
static void add_seeds(struct vz_walk *walk, uint32_t ef)
{
    struct vz_scratch *s = walk->scratch;
    /* Rows past the count may be in the middle of their insert; links lead to no such row. */
    uint32_t rows[BLOCK], whole = vz_hnsw_count(walk->graph), taken = 0;
    uint32_t most = VZ_MIN((uint32_t)SEEDS, s->batch_capacity);
    uint64_t chance = 0x5eed;
    for (uint32_t i = 0; i < 8 * SEEDS && taken < most; i++) {
        uint32_t from = (uint32_t)((vz_rng_next(&chance) >> 32) * walk->limit >> 32);
        uint32_t count = 1, step;
        rows[0] = from;
        if (walk->search->accepted)
            count = vz_walk_accepted(walk, &from, rows, BLOCK);
        else if (!vz_walk_accepts(walk, from))
            continue;
        step = VZ_MAX(count / 3, 1u);
        for (uint32_t j = step / 2; j < count && taken < most; j += step)
            if (rows[j] < whole && s->visited[rows[j]] != s->epoch) {
                s->visited[rows[j]] = s->epoch;
                s->batch[taken++] = rows[j];
            }
    }
    vz_walk_keep_best(walk, s->batch, taken, ef, 0);
}

/* Where the descent ended the walk begins: with what is accepted of it, and with what the best of
 * the others lead to. */
static void begin(struct vz_walk *walk, uint32_t ef)
{
    struct vz_scratch *s = walk->scratch;
    uint32_t rejected[VZ_DESCENT], count = 0, kept = 0;
    for (uint32_t i = 0; i < s->pool_count; i++) {
        uint32_t row = vz_key_row(s->pool[i]);
        if (vz_walk_accepts(walk, row))
            s->pool[kept++] = s->pool[i] | VZ_KEY_OPEN;
        else if (count < VZ_DESCENT)
            rejected[count++] = row;
    }
    s->pool_count = VZ_MIN(kept, ef);
    for (uint32_t i = 0; i < count; i++)
        vz_walk_keep_best(walk, s->batch, vz_bridge_gather(walk, rejected[i], s->batch), ef, 0);
}

void vz_walk_bridged(struct vz_walk *walk, uint32_t ef)
{
    struct vz_scratch *s = walk->scratch;
    uint32_t at = 0, count = 0, *now = s->batch, *next = s->batch_next;
    begin(walk, ef);
    add_seeds(walk, ef);
    while (count || (at = vz_walk_open_from(s, at)) < s->pool_count) {
        if (vz_walk_cancelled(walk))
            return;
        if ((double)walk->visited + (double)walk->links * VZ_LINK_COST > walk->allowed) {
            walk->gave_up = true;
            return;
        }
        if (!count)
            count = expand(walk, at, now);
        uint32_t next_count = 0, following = vz_walk_open_from(s, at);
        if (following < s->pool_count) {
            next_count = expand(walk, following, next);
            following = vz_walk_open_from(s, following);
        }
        if (following < s->pool_count)
            vz_walk_fetch_links(walk, vz_key_row(s->pool[following]), 0);
        at = vz_walk_keep_best(walk, now, count, ef, at);
        uint32_t *scored = now;
        now = next;
        next = scored;
        count = next_count;
    }
}
