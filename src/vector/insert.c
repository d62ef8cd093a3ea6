/* Inserting a row. The rules are in the essay at the top of hnsw.c.
 *
 *   make_room      memory for the row's lists; the only step that can fail; nothing is linked yet
 *   choose_links   walk down, select neighbours on every level, write the row's own lists
 *   join_tree      from level 0 up: now the row can be found, and will be for good
 *   link_add       its neighbours learn of it
 *   mark_done      the count rises
 */
#include "vector/links.h"

#include "base/text.h"

/* ---- room ---- */

/* Memory for the lists of `row`, zeroed, and its place. */
static enum vz_status make_room_locked(struct vz_hnsw *graph, uint32_t row, unsigned level,
                                       struct vz_error *err)
{
    size_t rows = (size_t)row + 1, list_bytes = graph->m * sizeof(vz_link);
    uint32_t limit = atomic_load_explicit(&graph->limit, memory_order_relaxed);
    enum vz_status status = vz_grow_ensure(&graph->place, rows * sizeof(vz_link), err);
    if (status == VZ_OK && !graph->flat)
        status = vz_grow_ensure(&graph->level0, rows * graph->record * sizeof(vz_link), err);
    if (status == VZ_OK && graph->quantized)
        status = vz_grow_ensure(&graph->codes, rows * graph->code_stride, err);
    if (status != VZ_OK)
        return status;
    if (level && (vz_place_get(graph, row) & VZ_PLACE_LIST) == 0) {
        uint32_t first = atomic_load_explicit(&graph->upper_lists, memory_order_relaxed);
        if ((uint64_t)first + level >= VZ_PLACE_LIST)
            return vz_fail(err, VZ_LIMIT, "a graph holds at most 2^30 upper lists");
        status = vz_grow_ensure(&graph->upper, (first + level) * list_bytes, err);
        if (status != VZ_OK)
            return status;
        atomic_store_explicit(&graph->upper_lists, first + level, memory_order_relaxed);
        atomic_fetch_or_explicit(vz_place(graph, row), first + 1, memory_order_relaxed);
    }
    if (rows > limit)
        atomic_store_explicit(&graph->limit, (uint32_t)rows, memory_order_release);
    return VZ_OK;
}

/* Of a row that is inserted again. */
static void forget_lists(struct vz_hnsw *graph, uint32_t row, unsigned level)
{
    for (unsigned l = 0; l <= level && !graph->flat; l++) {
        uint32_t width;
        vz_link *list = vz_list(graph, row, l, &width);
        for (uint32_t i = 0; list && i < width; i++)
            vz_slot_set(list, i, 0);
    }
}

static enum vz_status make_room(struct vz_hnsw *graph, uint32_t row, unsigned level, bool *done,
                                struct vz_error *err)
{
    enum vz_status status = VZ_OK;
    pthread_mutex_lock(&graph->grow_lock);
    uint32_t place = row < atomic_load_explicit(&graph->limit, memory_order_relaxed)
                         ? vz_place_get(graph, row)
                         : 0;
    bool removed = place & VZ_PLACE_REMOVED;
    *done = (place & VZ_PLACE_DONE) && !removed;
    if (removed &&
        ((place & VZ_PLACE_DONE) || atomic_load_explicit(&graph->repairing, memory_order_relaxed)))
        status = vz_fail(err, VZ_BUSY, "row %u was removed and is not unlinked yet", row);
    else if (!*done)
        status = make_room_locked(graph, row, level, err);
    if (removed && status == VZ_OK)
        forget_lists(graph, row, level);
    pthread_mutex_unlock(&graph->grow_lock);
    return status;
}

/* Hangs `row` into the level's tree: as a leaf of the nearest chosen row that has room, else into
 * the middle of a tree link. Always one stripe at a time; every step leaves a way from each row to
 * each other, because a link is taken away only after both halves of its detour are there. */
static void join_tree(struct vz_hnsw *graph, struct vz_scratch *s, uint32_t row, unsigned level,
                      const uint32_t *chosen, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        if (vz_link_add(graph, s, chosen[i], level, row, VZ_LINK_TREE_IF_ROOM)) {
            vz_link_add(graph, s, row, level, chosen[i], VZ_LINK_TREE_ALWAYS);
            return;
        }
    uint64_t chance = row;
    for (int attempt = 0; attempt < 16; attempt++) {
        uint32_t one = chosen[vz_rng_next(&chance) % count];
        uint32_t other = vz_tree_link_of(graph, one, level, (uint32_t)vz_rng_next(&chance));
        if (other == one || other == row || vz_is_leaving(graph, other))
            continue;
        vz_link_add(graph, s, row, level, one, VZ_LINK_TREE_ALWAYS);
        vz_link_add(graph, s, row, level, other, VZ_LINK_TREE_ALWAYS);
        if (vz_link_replace(graph, one, level, other, row)) {
            vz_link_replace(graph, other, level, one, row);
            return;
        }
        vz_link_make_plain(graph, row, level, one); /* another thread was there first */
        vz_link_make_plain(graph, row, level, other);
    }
    vz_link_add(graph, s, chosen[0], level, row, VZ_LINK_TREE_ALWAYS);
    vz_link_add(graph, s, row, level, chosen[0], VZ_LINK_TREE_ALWAYS);
}

/* ---- the insert ---- */

/* What choose_links leaves for link_back: up to m rows a level, in scratch->chosen from `base` on.
 */
struct choice {
    uint32_t base;
    uint64_t entry;
    unsigned top;
    uint32_t counts[VZ_LEVEL_MAX + 1];
};

/* Moves the keys of rows that are not removed to the front, in order; returns how many. When all
 * are removed, those that are not leaving. A repair may have ended since this walk saw a row: what
 * was removed at any time is asked for. */
static uint32_t linkable(const struct vz_hnsw *graph, uint64_t *keys, uint32_t count)
{
    if (!atomic_load_explicit(&graph->removed, memory_order_acquire))
        return count;
    uint32_t kept = 0;
    for (uint32_t i = 0; i < count; i++)
        if (!vz_is_removed(graph, vz_key_row(keys[i])))
            keys[kept++] = keys[i];
    for (uint32_t i = 0; !kept && i < count; i++)
        if (!vz_is_leaving(graph, vz_key_row(keys[i])))
            keys[kept++] = keys[i];
    return kept;
}

/* Nothing leads to the row yet, so its lists are written without a lock. */
static void choose_links(struct vz_walk *walk, uint32_t row, struct choice *choice)
{
    const struct vz_hnsw *graph = walk->graph;
    struct vz_scratch *s = walk->scratch;
    for (unsigned level = choice->top + 1; level-- > 0;) {
        vz_walk_level(walk, level, graph->options.ef_construction);
        if (vz_is_coarse(graph))
            vz_walk_rescore(walk);
        uint32_t *chosen = s->chosen + choice->base + level * graph->m;
        uint64_t best = s->pool[0];
        uint32_t left = linkable(graph, s->pool, s->pool_count);
        uint32_t taken = vz_links_select(graph, s, s->pool, left, graph->m, 0);
        if (!taken && s->pool_count) /* all around is removed; the entry is never leaving */
            s->chosen[taken++] = vz_entry_row(choice->entry);
        memcpy(chosen, s->chosen, taken * sizeof *chosen);
        choice->counts[level] = taken;
        uint32_t width;
        vz_link *list = vz_list(graph, row, level, &width);
        for (uint32_t i = 0; i < taken; i++)
            vz_slot_set(list, i, chosen[i] + 1);
        s->pool_count = 1;
        s->pool[0] = best | VZ_KEY_OPEN;
        vz_scratch_fresh(s);
        s->visited[vz_key_row(best)] = s->epoch;
    }
}

static void insert_below(struct vz_hnsw *graph, struct vz_scratch *s, uint32_t row, unsigned level,
                         uint64_t entry)
{
    struct vz_scorer scorer = vz_scorer_of_row(graph, s, VZ_CODE_WALK, row);
    struct vz_walk walk = {.graph = graph,
                           .scorer = &scorer,
                           .scratch = s,
                           .limit = atomic_load_explicit(&graph->limit, memory_order_acquire)};
    walk.limit = VZ_MIN(walk.limit, s->visited_rows);
    struct choice choice = {
        .base = graph->m0 * 2, .entry = entry, .top = VZ_MIN(level, vz_entry_level(entry))};
    vz_walk_descend(&walk, entry, choice.top, VZ_MIN(graph->options.ef_construction, VZ_DESCENT));
    choose_links(&walk, row, &choice);
    /* Bottom up: whoever finds the row on a level can go on from it below. */
    for (unsigned l = 0; l <= choice.top; l++) {
        const uint32_t *chosen = s->chosen + choice.base + l * graph->m;
        uint32_t count = choice.counts[l];
        if (count)
            join_tree(graph, s, row, l, chosen, count);
        for (uint32_t i = 0; i < count; i++)
            vz_link_add(graph, s, chosen[i], l, row, VZ_LINK_PLAIN);
    }
}

static void mark_done(struct vz_hnsw *graph, uint32_t row)
{
    uint32_t place = atomic_load_explicit(vz_place(graph, row), memory_order_relaxed);
    if (place & VZ_PLACE_REMOVED)
        atomic_fetch_sub_explicit(&graph->removed, 1, memory_order_relaxed);
    atomic_store_explicit(vz_place(graph, row), (place & VZ_PLACE_LIST) | VZ_PLACE_DONE,
                          memory_order_release);
    pthread_mutex_lock(&graph->count_lock);
    uint32_t count = atomic_load_explicit(&graph->count, memory_order_relaxed);
    uint32_t limit = atomic_load_explicit(&graph->limit, memory_order_acquire);
    while (count < limit && (vz_place_get(graph, count) & (VZ_PLACE_DONE | VZ_PLACE_REMOVED)))
        count++;
    atomic_store_explicit(&graph->count, count, memory_order_release);
    pthread_mutex_unlock(&graph->count_lock);
}

/* The entry point may be a row that came after the scratch was sized: others went on inserting
 * while this thread had no processor, or waited for a lock. */
static bool room_for_entry(const struct vz_hnsw *graph, const struct vz_scratch *scratch,
                           uint64_t entry)
{
    return !entry || vz_entry_row(entry) < scratch->visited_rows ||
           vz_scratch_get(graph, atomic_load_explicit(&graph->limit, memory_order_acquire),
                          graph->options.ef_construction);
}

static enum vz_status insert_linked(struct vz_hnsw *graph, struct vz_scratch *scratch, uint32_t row,
                                    unsigned level, struct vz_error *err)
{
    enum vz_status status = VZ_OK;
    uint64_t entry = atomic_load_explicit(&graph->entry, memory_order_acquire);
    bool rises = !entry || level > vz_entry_level(entry);
    if (rises) {
        pthread_mutex_lock(&graph->entry_lock);
        entry = atomic_load_explicit(&graph->entry, memory_order_acquire);
    }
    if (!room_for_entry(graph, scratch, entry))
        status = vz_fail(err, VZ_BUDGET, "no memory to insert row %u", row);
    else if (entry)
        insert_below(graph, scratch, row, level, entry);
    if (status == VZ_OK && (!entry || level > vz_entry_level(entry)))
        atomic_store_explicit(&graph->entry, (uint64_t)level << 32 | (row + 1),
                              memory_order_release);
    if (rises)
        pthread_mutex_unlock(&graph->entry_lock);
    return status;
}

enum vz_status vz_hnsw_insert(struct vz_hnsw *graph, uint32_t row, struct vz_error *err)
{
    if (row >= graph->max_rows)
        return vz_fail(err, VZ_LIMIT, "a graph of at most %u rows cannot take row %u",
                       graph->max_rows, row);
    uint32_t limit = VZ_MAX(atomic_load_explicit(&graph->limit, memory_order_acquire), row + 1);
    struct vz_scratch *scratch = vz_scratch_get(graph, limit, graph->options.ef_construction);
    if (!scratch)
        return vz_fail(err, VZ_BUDGET, "no memory to insert row %u", row);
    unsigned level = vz_level(graph, row);
    bool done;
    pthread_rwlock_rdlock(&graph->insert_lock);
    enum vz_status status = make_room(graph, row, level, &done, err);
    if (status == VZ_OK && !done) {
        vz_space_pass(&graph->space, row);
        if (graph->quantized)
            vz_codes_write(graph, row);
        if (!graph->flat)
            status = insert_linked(graph, scratch, row, level, err);
        if (status == VZ_OK)
            mark_done(graph, row);
    }
    pthread_rwlock_unlock(&graph->insert_lock);
    return status;
}
