/* Removing rows, and the repair that unlinks them.
 *
 * vz_hnsw_remove only marks a row. Searches walk through it and do not return it, inserts walk
 * through it and do not link to it. Nothing decays yet, but it costs: visits that find nothing.
 *
 * vz_hnsw_repair takes all rows marked so far (the batch) out of the graph. Links are directed, so
 * who links to a row is not known from the row; one pass over all lists finds out, which for a
 * batch is cheaper than searching for each row (the idea of FreshDiskANN: Singh and others,
 * "FreshDiskANN: A Fast and Accurate Graph-Based ANN Index for Streaming Similarity Search", 2021,
 * arXiv 2105.09613, whose consolidation this is but for the spanning tree).
 *
 *   1 begin     no insert runs: the batch is marked as leaving, the entry point moves to a row that
 *               stays. Inserts that come later know the batch and make no link to it.
 *   2 relink    a list that leads to a leaving row is selected anew from what it has left and from
 *               the lists of the leaving rows in it: as an insert would select, from what an insert
 *               would have found. Tree links to leaving rows stay yet.
 *   3 detach    a leaving row's neighbours in the spanning tree are joined to a chain, then let go
 *               of it. A neighbour whose list has its fill of tree links lets another row of its
 *               part of the tree be the chain's link.
 *   4 end       the rows are unlinked: searches need not ask about them any more.
 *
 * A row that leaves keeps its own list: searches that stand on it find their way on. Whether a row
 * may be inserted again is the caller's to know (hnsw.h).
 *
 * Tree links may be marked on one side only, when two inserts split one link at once; step 2 notes
 * those of which the leaving row does not know, so that step 3 sees all of a row's neighbours. */
#include "vector/links.h"

#include "base/text.h"

#include <stdlib.h>

#define CANDIDATES 512 /* for one list */
#define STEPS 64       /* along the tree, in search of a row with room */
#define TREE_MOST 1088

/* ---- remove ---- */

enum vz_status vz_hnsw_remove(struct vz_hnsw *graph, uint32_t row, struct vz_error *err)
{
    uint32_t limit = atomic_load_explicit(&graph->limit, memory_order_acquire);
    uint32_t place = row < limit ? vz_place_get(graph, row) : 0;
    enum vz_status status = VZ_OK;
    /* Counted first: whoever meets the mark finds the counts raised. */
    atomic_fetch_add_explicit(&graph->removed, 1, memory_order_acq_rel);
    atomic_fetch_add_explicit(&graph->removed_linked, 1, memory_order_acq_rel);
    while ((place & (VZ_PLACE_DONE | VZ_PLACE_REMOVED)) == VZ_PLACE_DONE)
        if (atomic_compare_exchange_weak_explicit(vz_place(graph, row), &place,
                                                  place | VZ_PLACE_REMOVED, memory_order_acq_rel,
                                                  memory_order_acquire))
            return VZ_OK;
    if (!(place & VZ_PLACE_REMOVED))
        status = vz_fail(err, VZ_NOT_FOUND, "row %u is not in the graph", row);
    atomic_fetch_sub_explicit(&graph->removed, 1, memory_order_acq_rel);
    atomic_fetch_sub_explicit(&graph->removed_linked, 1, memory_order_acq_rel);
    return status;
}

uint32_t vz_hnsw_removed_count(const struct vz_hnsw *graph)
{
    return atomic_load_explicit(&graph->removed_linked, memory_order_acquire);
}

bool vz_hnsw_is_removed(const struct vz_hnsw *graph, uint32_t row)
{
    return row < atomic_load_explicit(&graph->limit, memory_order_acquire) &&
           vz_is_removed(graph, row);
}

/* ---- begin ---- */

struct half {
    uint32_t leaving, level, row;
};

struct repair {
    struct vz_hnsw *graph;
    struct vz_scratch *scratch;
    bool (*cancelled)(void *context);
    void *context;
    uint32_t *batch; /* the rows that leave, ascending */
    uint32_t count, room, detached;
    struct half *halves; /* tree links of which the leaving row knows nothing, sorted */
    size_t half_count, half_room;
    uint32_t limit;
    bool alone; /* no row stays: there is nothing to link anew */
};

/* The highest row that stays becomes the entry point; none, when none stays. */
static void move_entry(struct repair *repair)
{
    struct vz_hnsw *graph = repair->graph;
    uint64_t entry = atomic_load_explicit(&graph->entry, memory_order_acquire), best = 0;
    if (graph->flat || !entry || !vz_is_leaving(graph, vz_entry_row(entry)))
        return;
    for (uint32_t row = 0; row < repair->limit; row++) {
        uint32_t place = vz_place_get(graph, row);
        if (!(place & VZ_PLACE_DONE))
            continue;
        unsigned level = place & VZ_PLACE_LIST ? vz_level(graph, row) : 0;
        if (!best || level > vz_entry_level(best))
            best = (uint64_t)level << 32 | (row + 1);
    }
    repair->alone = !best;
    atomic_store_explicit(&graph->entry, best, memory_order_release);
}

static bool batch_add(struct repair *repair, uint32_t row)
{
    if (repair->count == repair->room) {
        uint32_t room = repair->room * 2 + 1024;
        uint32_t *bigger = realloc(repair->batch, room * sizeof *bigger);
        if (!bigger)
            return false;
        repair->batch = bigger;
        repair->room = room;
    }
    repair->batch[repair->count++] = row;
    return true;
}

static enum vz_status begin(struct repair *repair, struct vz_error *err)
{
    struct vz_hnsw *graph = repair->graph;
    enum vz_status status = VZ_OK;
    pthread_rwlock_wrlock(&graph->insert_lock);
    atomic_store_explicit(&graph->repairing, true, memory_order_relaxed);
    repair->limit = atomic_load_explicit(&graph->limit, memory_order_acquire);
    repair->scratch = vz_scratch_get(graph, repair->limit, CANDIDATES);
    if (!repair->scratch)
        status = vz_fail(err, VZ_BUDGET, "no memory to repair a graph of %u rows", repair->limit);
    const uint32_t both = VZ_PLACE_DONE | VZ_PLACE_REMOVED;
    for (uint32_t row = 0; row < repair->limit && status == VZ_OK; row++) {
        if ((vz_place_get(graph, row) & both) != both)
            continue;
        if (!batch_add(repair, row))
            status = vz_fail(err, VZ_BUDGET, "no memory for the rows to unlink");
        else
            atomic_fetch_and_explicit(vz_place(graph, row), ~VZ_PLACE_DONE, memory_order_acq_rel);
    }
    if (status == VZ_OK)
        move_entry(repair);
    pthread_rwlock_unlock(&graph->insert_lock);
    return status;
}

/* Rows that are still linked, because the repair was stopped, are as before it. */
static void end(struct repair *repair)
{
    struct vz_hnsw *graph = repair->graph;
    for (uint32_t i = repair->detached; i < repair->count; i++)
        atomic_fetch_or_explicit(vz_place(graph, repair->batch[i]), VZ_PLACE_DONE,
                                 memory_order_acq_rel);
    atomic_fetch_sub_explicit(&graph->removed_linked, repair->detached, memory_order_acq_rel);
    atomic_store_explicit(&graph->repairing, false, memory_order_relaxed);
    free(repair->batch);
    free(repair->halves);
}

static bool is_cancelled(const struct repair *repair, uint32_t at)
{
    return repair->cancelled && at % 64 == 0 && repair->cancelled(repair->context);
}

/* ---- relink ---- */

/* What one list becomes. */
struct relink {
    uint32_t row;
    unsigned level;
    uint32_t found[CANDIDATES]; /* rows that it might link to */
    uint32_t found_count;
    uint32_t count;         /* candidates with those it links to already, in scratch->pool */
    uint32_t tree_count;    /* of them, those that stay: OPEN */
    uint32_t leaving[1024]; /* rows that it has tree links to and that leave */
    uint32_t leaving_count;
    uint32_t added[1024]; /* rows that were not in the list before */
    uint32_t added_count;
};

static bool list_has_leaving(const struct repair *repair, const vz_link *list, uint32_t width)
{
    for (uint32_t i = 0; i < width; i++) {
        uint32_t link = atomic_load_explicit(list + i, memory_order_acquire);
        if (!link)
            break;
        if (vz_link_row(link) < repair->limit && vz_is_leaving(repair->graph, vz_link_row(link)))
            return true;
    }
    return false;
}

/* A candidate, once; scored later. `mark` is VZ_KEY_OPEN for a tree link. */
static void gather(struct repair *repair, struct relink *relink, uint32_t row, uint64_t mark)
{
    struct vz_scratch *s = repair->scratch;
    if (row == relink->row || relink->count == CANDIDATES)
        return;
    if (row < repair->limit) {
        if (s->visited[row] == s->epoch)
            return;
        s->visited[row] = s->epoch;
    } else if (row >= atomic_load_explicit(&repair->graph->limit, memory_order_acquire)) {
        return; /* damage; rows from repair->limit on came meanwhile and are in one list once */
    }
    s->pool[relink->count++] = vz_key(0, row) | mark;
    relink->tree_count += mark != 0;
}

static bool stays(const struct repair *repair, uint32_t row)
{
    return row < repair->limit &&
           (vz_place_get(repair->graph, row) & (VZ_PLACE_DONE | VZ_PLACE_REMOVED)) == VZ_PLACE_DONE;
}

/* Level 0: what the leaving rows in the list link to. */
static void find_beyond(struct repair *repair, struct relink *relink, const vz_link *list,
                        uint32_t width)
{
    struct vz_hnsw *graph = repair->graph;
    for (uint32_t i = 0; i < width; i++) {
        uint32_t link = atomic_load_explicit(list + i, memory_order_acquire), next;
        if (!link)
            break;
        if (vz_link_row(link) >= repair->limit || !vz_is_leaving(graph, vz_link_row(link)))
            continue;
        const vz_link *beyond = vz_list(graph, vz_link_row(link), relink->level, &next);
        for (uint32_t j = 0; j < next && relink->found_count < CANDIDATES; j++) {
            uint32_t to = atomic_load_explicit(beyond + j, memory_order_acquire);
            if (!to)
                break;
            if (stays(repair, vz_link_row(to)))
                relink->found[relink->found_count++] = vz_link_row(to);
        }
    }
}

/* Above: what a walk finds, as in an insert. */
static void find_by_walk(struct repair *repair, struct relink *relink)
{
    struct vz_hnsw *graph = repair->graph;
    struct vz_scratch *s = repair->scratch;
    uint64_t entry = atomic_load_explicit(&graph->entry, memory_order_acquire);
    struct vz_scorer scorer = vz_scorer_of_row(graph, s, VZ_CODE_WALK, relink->row);
    struct vz_walk walk = {.graph = graph, .scorer = &scorer, .scratch = s, .limit = repair->limit};
    if (vz_entry_row(entry) >= repair->limit || vz_entry_level(entry) < relink->level)
        return;
    uint32_t ef = VZ_MIN(graph->options.ef_construction, (uint32_t)CANDIDATES);
    vz_scratch_fresh(s);
    s->pool_count = 0;
    vz_walk_descend(&walk, entry, relink->level, VZ_MIN(ef, VZ_DESCENT));
    vz_walk_level(&walk, relink->level, ef);
    for (uint32_t i = 0; i < s->pool_count; i++)
        if (stays(repair, vz_key_row(s->pool[i])))
            relink->found[relink->found_count++] = vz_key_row(s->pool[i]);
}

static void score_candidates(struct repair *repair, struct relink *relink)
{
    struct vz_scratch *s = repair->scratch;
    struct vz_scorer scorer = vz_scorer_of_row(repair->graph, s, VZ_CODE_LIST, relink->row);
    for (uint32_t from = 0; from < relink->count; from += s->batch_capacity) {
        uint32_t part = VZ_MIN(relink->count - from, s->batch_capacity);
        for (uint32_t i = 0; i < part; i++)
            s->batch[i] = vz_key_row(s->pool[from + i]);
        vz_score(&scorer, s->batch, part, s->batch_similarity);
        for (uint32_t i = 0; i < part; i++)
            s->pool[from + i] =
                vz_key(s->batch_similarity[i], s->batch[i]) | (s->pool[from + i] & VZ_KEY_OPEN);
    }
    vz_keys_sort(s->pool, relink->count);
}

/* What the list has left stays; what a selection among it and what was found would choose comes
 * to it, as far as there is room. The caller holds the row's stripe. */
static void select_anew(struct repair *repair, struct relink *relink, vz_link *list, uint32_t width)
{
    struct vz_hnsw *graph = repair->graph;
    struct vz_scratch *s = repair->scratch;
    uint32_t length = vz_list_length(list, width), at = 0;
    vz_scratch_fresh(s);
    for (uint32_t i = 0; i < length; i++) {
        uint32_t link = vz_slot_get(list, i), to = vz_link_row(link);
        bool leaving = to < repair->limit && vz_is_leaving(graph, to);
        if (leaving && !(link & VZ_LINK_TREE))
            continue;
        if (leaving)
            relink->leaving[relink->leaving_count++] = to;
        else
            gather(repair, relink, to, VZ_KEY_OPEN);
        vz_slot_set(list, at++, link);
    }
    for (uint32_t i = 0; i < relink->found_count; i++)
        gather(repair, relink, relink->found[i], 0);
    score_candidates(repair, relink);
    uint32_t own = relink->tree_count;
    uint32_t taken = vz_links_select(graph, s, s->pool, relink->count, width, own);
    for (uint32_t i = 0, key = 0; i < taken && at < width; i++) {
        while (key < relink->count && vz_key_row(s->pool[key]) != s->chosen[i])
            key++;
        if (key == relink->count) /* ties come last, out of order; they are new */
            key = 0;
        else if (s->pool[key] & VZ_KEY_OPEN)
            continue;
        relink->added[relink->added_count++] = s->chosen[i];
        vz_slot_set(list, at++, s->chosen[i] + 1);
    }
    while (at < length)
        vz_slot_set(list, at++, 0);
}

/* Whether `from` has a tree link to `to`. */
static bool has_tree_link(const struct repair *repair, uint32_t from, unsigned level, uint32_t to)
{
    uint32_t width;
    const vz_link *list = vz_list(repair->graph, from, level, &width);
    for (uint32_t i = 0; list && i < width; i++) {
        uint32_t link = atomic_load_explicit(list + i, memory_order_acquire);
        if (!link)
            break;
        if (link == ((to + 1) | VZ_LINK_TREE))
            return true;
    }
    return false;
}

static void note_half(struct repair *repair, uint32_t leaving, unsigned level, uint32_t row)
{
    if (has_tree_link(repair, leaving, level, row))
        return;
    if (repair->half_count == repair->half_room) {
        repair->half_room = repair->half_room * 2 + 64;
        repair->halves = vz_realloc(repair->halves, repair->half_room * sizeof *repair->halves);
    }
    repair->halves[repair->half_count++] = (struct half){leaving, level, row};
}

static void relink_list(struct repair *repair, uint32_t row, unsigned level)
{
    struct vz_hnsw *graph = repair->graph;
    struct relink relink;
    uint32_t width;
    vz_link *list = vz_list(graph, row, level, &width);
    if (!list || !list_has_leaving(repair, list, width))
        return;
    relink.row = row;
    relink.level = level;
    relink.count = relink.tree_count = relink.leaving_count = 0;
    relink.added_count = relink.found_count = 0;
    if (level)
        find_by_walk(repair, &relink);
    else
        find_beyond(repair, &relink, list, width);
    pthread_mutex_lock(vz_stripe_of(graph, row));
    select_anew(repair, &relink, list, width);
    pthread_mutex_unlock(vz_stripe_of(graph, row));
    for (uint32_t i = 0; i < relink.added_count; i++)
        if (level)
            vz_link_add(graph, repair->scratch, relink.added[i], level, row, VZ_LINK_PLAIN);
        else
            vz_link_add_if_room(graph, relink.added[i], level, row);
    for (uint32_t i = 0; i < relink.leaving_count; i++)
        note_half(repair, relink.leaving[i], level, row);
}

/* False when cancelled. */
static bool relink_all(struct repair *repair)
{
    struct vz_hnsw *graph = repair->graph;
    for (uint32_t row = 0; row < repair->limit; row++) {
        if (is_cancelled(repair, row))
            return false;
        uint32_t place = vz_place_get(graph, row);
        if (!(place & VZ_PLACE_DONE))
            continue;
        unsigned top = place & VZ_PLACE_LIST ? vz_level(graph, row) : 0;
        for (unsigned level = 0; level <= top; level++)
            relink_list(repair, row, level);
    }
    return true;
}

/* ---- detach ---- */

/* The rows that `row` has tree links to, but for `without`, into rows[]. */
static uint32_t tree_links(const struct repair *repair, uint32_t row, unsigned level,
                           uint32_t without, uint32_t rows[TREE_MOST])
{
    uint32_t width, count = 0;
    const vz_link *list = vz_list(repair->graph, row, level, &width);
    for (uint32_t i = 0; list && i < width; i++) {
        uint32_t link = atomic_load_explicit(list + i, memory_order_acquire);
        if (!link)
            break;
        if ((link & VZ_LINK_TREE) && vz_link_row(link) != without &&
            vz_link_row(link) < atomic_load_explicit(&repair->graph->limit, memory_order_acquire))
            rows[count++] = vz_link_row(link);
    }
    return count;
}

/* A row with room for a tree link in the part of the tree that hangs from `leaving` by `row`: the
 * row itself or one that a walk along tree links finds. A tree has leaves, so it finds one soon. */
static uint32_t row_with_room(const struct repair *repair, uint32_t row, unsigned level,
                              uint32_t leaving)
{
    uint32_t rows[TREE_MOST], at = row, from = leaving;
    uint32_t width = level ? repair->graph->m : repair->graph->m0;
    uint64_t chance = row;
    for (uint32_t step = 0; step < STEPS; step++) {
        uint32_t count = tree_links(repair, at, level, leaving, rows);
        if (count < (step < STEPS / 2 ? vz_tree_cap(width) : width))
            return at;
        uint32_t next = rows[vz_rng_next(&chance) % count];
        if (next == from && count > 1)
            next = rows[vz_rng_next(&chance) % count];
        from = at;
        at = next;
    }
    return row;
}

static int compare_halves(const void *a, const void *b)
{
    const struct half *one = a, *other = b;
    return one->leaving != other->leaving ? (one->leaving > other->leaving ? 1 : -1)
                                          : (int)one->level - (int)other->level;
}

static uint32_t add_halves(const struct repair *repair, uint32_t leaving, unsigned level,
                           uint32_t rows[TREE_MOST], uint32_t count)
{
    struct half wanted = {.leaving = leaving, .level = level};
    const struct half *end = repair->halves + repair->half_count, *at = NULL;
    if (repair->half_count)
        at = bsearch(&wanted, repair->halves, repair->half_count, sizeof wanted, compare_halves);
    while (at && at > repair->halves && compare_halves(at - 1, &wanted) == 0)
        at--;
    for (; at && at < end && compare_halves(at, &wanted) == 0 && count < TREE_MOST; at++)
        rows[count++] = at->row;
    return count;
}

static void detach_list(struct repair *repair, uint32_t leaving, unsigned level)
{
    struct vz_hnsw *graph = repair->graph;
    uint32_t ends[TREE_MOST], count = tree_links(repair, leaving, level, leaving, ends);
    count = add_halves(repair, leaving, level, ends, count);
    for (uint32_t i = 0; i + 1 < count; i++) {
        uint32_t one = row_with_room(repair, ends[i], level, leaving);
        uint32_t other = row_with_room(repair, ends[i + 1], level, leaving);
        if (one == other)
            continue;
        vz_link_swap(graph, repair->scratch, one, level, leaving, other);
        vz_link_swap(graph, repair->scratch, other, level, leaving, one);
    }
    for (uint32_t i = 0; i < count; i++) {
        vz_link_drop(graph, ends[i], level, leaving);
        vz_link_make_plain(graph, leaving, level, ends[i]);
    }
}

static unsigned top_level(const struct vz_hnsw *graph, uint32_t row)
{
    return vz_place_get(graph, row) & VZ_PLACE_LIST ? vz_level(graph, row) : 0;
}

/* Those between two rows that leave. */
static void note_halves(struct repair *repair, uint32_t row)
{
    uint32_t rows[TREE_MOST];
    for (unsigned level = 0; level <= top_level(repair->graph, row); level++) {
        uint32_t count = tree_links(repair, row, level, row, rows);
        for (uint32_t i = 0; i < count; i++)
            if (vz_is_leaving(repair->graph, rows[i]))
                note_half(repair, rows[i], level, row);
    }
}

static void detach_all(struct repair *repair)
{
    for (uint32_t i = 0; i < repair->count; i++)
        note_halves(repair, repair->batch[i]);
    if (repair->half_count)
        qsort(repair->halves, repair->half_count, sizeof *repair->halves, compare_halves);
    for (uint32_t i = 0; i < repair->count; i++) {
        uint32_t row = repair->batch[i];
        for (unsigned level = 0; level <= top_level(repair->graph, row); level++)
            detach_list(repair, row, level);
        repair->detached = i + 1;
    }
}

enum vz_status vz_hnsw_repair(struct vz_hnsw *graph, bool (*cancelled)(void *context),
                              void *context, struct vz_error *err)
{
    struct repair repair = {.graph = graph, .cancelled = cancelled, .context = context};
    pthread_mutex_lock(&graph->repair_lock);
    enum vz_status status = begin(&repair, err);
    if (status == VZ_OK && repair.count) {
        if (graph->flat || repair.alone)
            repair.detached = repair.count;
        else if (relink_all(&repair))
            detach_all(&repair);
    }
    end(&repair);
    pthread_mutex_unlock(&graph->repair_lock);
    return status;
}
