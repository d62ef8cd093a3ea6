/* Inserting a row. The rules are in the essay at the top of hnsw.c.
 *
 *   make_room      memory for the row's lists; the only step that can fail; nothing is linked yet
 *   choose_links   walk down, select neighbours on every level, write the row's own lists
 *   join_tree      from level 0 up: now the row can be found, and will be for good
 *   link_add       its neighbours learn of it
 *   mark_done      the count rises
 */
#include "vector/graph.h"

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
    if (level && atomic_load_explicit(vz_place(graph, row), memory_order_relaxed) == 0) {
        uint32_t first = atomic_load_explicit(&graph->upper_lists, memory_order_relaxed);
        if ((uint64_t)first + level >= VZ_PLACE_DONE)
            return vz_fail(err, VZ_LIMIT, "a graph holds at most 2^31 upper lists");
        status = vz_grow_ensure(&graph->upper, (first + level) * list_bytes, err);
        if (status != VZ_OK)
            return status;
        atomic_store_explicit(&graph->upper_lists, first + level, memory_order_relaxed);
        atomic_store_explicit(vz_place(graph, row), first + 1, memory_order_relaxed);
    }
    if (rows > limit)
        atomic_store_explicit(&graph->limit, (uint32_t)rows, memory_order_release);
    return VZ_OK;
}

static enum vz_status make_room(struct vz_hnsw *graph, uint32_t row, unsigned level, bool *done,
                                struct vz_error *err)
{
    enum vz_status status = VZ_OK;
    pthread_mutex_lock(&graph->grow_lock);
    *done = row < atomic_load_explicit(&graph->limit, memory_order_relaxed) &&
            (atomic_load_explicit(vz_place(graph, row), memory_order_relaxed) & VZ_PLACE_DONE);
    if (!*done)
        status = make_room_locked(graph, row, level, err);
    pthread_mutex_unlock(&graph->grow_lock);
    return status;
}

/* ---- selection ---- */

static void fetch_row(const struct vz_hnsw *graph, uint32_t row)
{
    const char *at = graph->quantized && !vz_is_coarse(graph) ? (const char *)vz_code(graph, row)
                                                              : vz_space_row(&graph->space, row);
    __builtin_prefetch(at);
    __builtin_prefetch(at + 64);
}

/* Whether a row already chosen is nearer to the candidate than the candidate is to the node. On an
 * exact tie with none nearer *tie is set: duplicates. */
static bool is_covered(const struct vz_hnsw *graph, struct vz_scratch *s, uint64_t candidate,
                       const uint32_t *chosen, uint32_t count, bool *tie)
{
    *tie = false;
    if (!count)
        return false;
    uint32_t order = vz_key_order(candidate);
    float similarities[4];
    struct vz_scorer scorer = vz_scorer_of_row(graph, s, VZ_CODE_PAIR, vz_key_row(candidate));
    for (uint32_t i = 0; i < count; i += 4) {
        uint32_t part = VZ_MIN(count - i, 4u);
        vz_score(&scorer, chosen + i, part, similarities);
        for (uint32_t j = 0; j < part; j++) {
            uint32_t between = vz_key_order(vz_key(similarities[j], 0));
            if (between > order)
                return true;
            *tie |= between == order;
        }
    }
    return false;
}

/* The neighbour selection heuristic (algorithm 4 of the paper): of keys sorted nearest first, those
 * that no chosen row covers, up to `max`, into s->chosen; ties fill what is left. Tree links are
 * taken whether covered or not: keys[] carry VZ_KEY_OPEN for them. Returns how many. Ties are kept
 * aside behind the first `max` meanwhile. */
static uint32_t select_links(const struct vz_hnsw *graph, struct vz_scratch *s,
                             const uint64_t *keys, uint32_t count, uint32_t max,
                             uint32_t tree_count)
{
    uint32_t taken = 0, tied = 0;
    uint32_t *chosen = s->chosen, *ties = chosen + max;
    for (uint32_t i = 0; i < count && taken < max; i++) {
        uint32_t row = vz_key_row(keys[i]);
        if (tree_count && (keys[i] & VZ_KEY_OPEN)) {
            chosen[taken++] = row;
            tree_count--;
            continue;
        }
        if (taken + tree_count >= max)
            continue;
        bool tie;
        if (i + 1 < count)
            fetch_row(graph, vz_key_row(keys[i + 1]));
        if (is_covered(graph, s, keys[i], chosen, taken, &tie))
            continue;
        if (!tie)
            chosen[taken++] = row;
        else if (tied < max)
            ties[tied++] = row;
    }
    for (uint32_t i = 0; i < tied && taken < max; i++)
        chosen[taken++] = ties[i];
    return taken;
}

/* ---- lists; the caller holds the row's stripe ---- */

static pthread_mutex_t *stripe_of(struct vz_hnsw *graph, uint32_t row)
{
    return &graph->stripes[row % VZ_STRIPES];
}

static uint32_t slot_get(const vz_link *list, uint32_t at)
{
    return atomic_load_explicit(list + at, memory_order_relaxed);
}

static void slot_set(vz_link *list, uint32_t at, uint32_t link)
{
    atomic_store_explicit(list + at, link, memory_order_release);
}

static uint32_t list_length(const vz_link *list, uint32_t width)
{
    uint32_t n = 0;
    while (n < width && slot_get(list, n))
        n++;
    return n;
}

static uint32_t list_tree_count(const vz_link *list, uint32_t length)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < length; i++)
        n += slot_get(list, i) >> 31;
    return n;
}

/* The slot of `row`, or `length`. */
static uint32_t list_find(const vz_link *list, uint32_t length, uint32_t row)
{
    uint32_t i = 0;
    while (i < length && vz_link_row(slot_get(list, i)) != row)
        i++;
    return i;
}

static void sort_keys(uint64_t *keys, uint32_t count)
{
    for (uint32_t i = 1; i < count; i++) { /* a few dozen, mostly sorted */
        uint64_t key = keys[i];
        uint32_t j = i;
        for (; j && keys[j - 1] < key; j--)
            keys[j] = keys[j - 1];
        keys[j] = key;
    }
}

/* A full list of `row` and one more link: select again. Readers meanwhile see a mixture of the old
 * and the new list, all of it real rows. Links that a damaged checkpoint brought are dropped. */
static void list_select(struct vz_hnsw *graph, struct vz_scratch *s, uint32_t row, vz_link *list,
                        uint32_t width, uint32_t link)
{
    uint32_t count = 0, tree_count = 0;
    uint32_t limit = atomic_load_explicit(&graph->limit, memory_order_relaxed);
    uint32_t tree[2 * 512 + 1];
    for (uint32_t i = 0; i <= width; i++) {
        uint32_t from = i < width ? slot_get(list, i) : link;
        if (vz_link_row(from) >= limit)
            continue;
        s->batch[count] = vz_link_row(from);
        tree[count++] = from >> 31;
        tree_count += from >> 31;
    }
    struct vz_scorer scorer = vz_scorer_of_row(graph, s, VZ_CODE_LIST, row);
    vz_score(&scorer, s->batch, count, s->batch_similarity);
    for (uint32_t i = 0; i < count; i++)
        s->batch_key[i] = vz_key(s->batch_similarity[i], s->batch[i]) | (tree[i] ? VZ_KEY_OPEN : 0);
    sort_keys(s->batch_key, count);
    uint32_t *chosen = s->chosen;
    uint32_t taken = select_links(graph, s, s->batch_key, count, width, tree_count);
    for (uint32_t i = 0, at = 0; i < taken; i++) {
        /* Chosen rows keep the order of the keys, ties excepted: those are no tree links. */
        while (at < count && vz_key_row(s->batch_key[at]) != chosen[i])
            at++;
        bool is_tree = at < count && (s->batch_key[at] & VZ_KEY_OPEN);
        if (at == count)
            at = 0;
        slot_set(list, i, (chosen[i] + 1) | (is_tree ? VZ_LINK_TREE : 0));
    }
    for (uint32_t i = taken; i < width; i++)
        slot_set(list, i, 0);
}

/* ---- linking ---- */

enum link_kind { PLAIN, TREE_IF_ROOM, TREE };

/* How many tree links a list takes before new rows must look elsewhere: the rest is for links that
 * are there for being good. */
static uint32_t tree_cap(uint32_t width)
{
    return width - width / 4 - 1;
}

/* `row` learns of `to`. False only for TREE_IF_ROOM, when the row has its fill of tree links. */
static bool link_add(struct vz_hnsw *graph, struct vz_scratch *s, uint32_t row, unsigned level,
                     uint32_t to, enum link_kind kind)
{
    uint32_t width, link = (to + 1) | (kind == PLAIN ? 0 : VZ_LINK_TREE);
    vz_link *list = vz_list(graph, row, level, &width);
    if (!list)
        return false;
    pthread_mutex_lock(stripe_of(graph, row));
    uint32_t length = list_length(list, width), at = list_find(list, length, to);
    bool fits = kind != TREE_IF_ROOM || list_tree_count(list, length) < tree_cap(width);
    if (!fits)
        ;
    else if (at < length)
        slot_set(list, at, slot_get(list, at) | link);
    else if (length < width)
        slot_set(list, length, link);
    else
        list_select(graph, s, row, list, width, link);
    pthread_mutex_unlock(stripe_of(graph, row));
    return fits;
}

/* The tree link `row` -> `from` becomes `row` -> `to`. False when there is none any more. */
static bool link_replace(struct vz_hnsw *graph, uint32_t row, unsigned level, uint32_t from,
                         uint32_t to)
{
    uint32_t width;
    vz_link *list = vz_list(graph, row, level, &width);
    if (!list)
        return false;
    pthread_mutex_lock(stripe_of(graph, row));
    uint32_t length = list_length(list, width), at = list_find(list, length, from);
    bool found = at < length && (slot_get(list, at) & VZ_LINK_TREE);
    if (found) {
        uint32_t there = list_find(list, length, to);
        slot_set(list, at, (to + 1) | VZ_LINK_TREE);
        if (there < length) { /* it was a plain link already: close the gap */
            slot_set(list, there, slot_get(list, length - 1));
            slot_set(list, length - 1, 0);
        }
    }
    pthread_mutex_unlock(stripe_of(graph, row));
    return found;
}

static void link_make_plain(struct vz_hnsw *graph, uint32_t row, unsigned level, uint32_t to)
{
    uint32_t width;
    vz_link *list = vz_list(graph, row, level, &width);
    if (!list)
        return;
    pthread_mutex_lock(stripe_of(graph, row));
    uint32_t length = list_length(list, width), at = list_find(list, length, to);
    if (at < length)
        slot_set(list, at, to + 1);
    pthread_mutex_unlock(stripe_of(graph, row));
}

/* One of the tree links of `row`, chosen by `pick`; the row itself when it has none. */
static uint32_t tree_link_of(struct vz_hnsw *graph, uint32_t row, unsigned level, uint32_t pick)
{
    uint32_t width, result = row;
    vz_link *list = vz_list(graph, row, level, &width);
    if (!list)
        return row;
    pthread_mutex_lock(stripe_of(graph, row));
    uint32_t length = list_length(list, width), trees = list_tree_count(list, length);
    for (uint32_t i = 0, seen = 0; trees && i < length; i++)
        if ((slot_get(list, i) & VZ_LINK_TREE) && seen++ == pick % trees)
            result = vz_link_row(slot_get(list, i));
    pthread_mutex_unlock(stripe_of(graph, row));
    /* Damage may name any row. */
    return result < atomic_load_explicit(&graph->limit, memory_order_relaxed) ? result : row;
}

/* Hangs `row` into the level's tree: as a leaf of the nearest chosen row that has room, else into
 * the middle of a tree link. Always one stripe at a time; every step leaves a way from each row to
 * each other, because a link is taken away only after both halves of its detour are there. */
static void join_tree(struct vz_hnsw *graph, struct vz_scratch *s, uint32_t row, unsigned level,
                      const uint32_t *chosen, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        if (link_add(graph, s, chosen[i], level, row, TREE_IF_ROOM)) {
            link_add(graph, s, row, level, chosen[i], TREE);
            return;
        }
    uint64_t chance = row;
    for (int attempt = 0; attempt < 16; attempt++) {
        uint32_t one = chosen[vz_rng_next(&chance) % count];
        uint32_t other = tree_link_of(graph, one, level, (uint32_t)vz_rng_next(&chance));
        if (other == one || other == row)
            continue;
        link_add(graph, s, row, level, one, TREE);
        link_add(graph, s, row, level, other, TREE);
        if (link_replace(graph, one, level, other, row)) {
            link_replace(graph, other, level, one, row);
            return;
        }
        link_make_plain(graph, row, level, one); /* another thread was there first */
        link_make_plain(graph, row, level, other);
    }
    link_add(graph, s, chosen[0], level, row, TREE);
    link_add(graph, s, row, level, chosen[0], TREE);
}

/* ---- the insert ---- */

/* What choose_links leaves for link_back: up to m rows a level, in scratch->chosen from `base` on.
 */
struct choice {
    uint32_t base;
    unsigned top;
    uint32_t counts[VZ_LEVEL_MAX + 1];
};

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
        uint32_t taken = select_links(graph, s, s->pool, s->pool_count, graph->m, 0);
        memcpy(chosen, s->chosen, taken * sizeof *chosen);
        choice->counts[level] = taken;
        uint32_t width;
        vz_link *list = vz_list(graph, row, level, &width);
        for (uint32_t i = 0; i < taken; i++)
            slot_set(list, i, chosen[i] + 1);
        s->pool_count = 1;
        s->pool[0] |= VZ_KEY_OPEN;
        vz_scratch_fresh(s);
        s->visited[vz_key_row(s->pool[0])] = s->epoch;
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
    struct choice choice = {.base = graph->m0 * 2, .top = VZ_MIN(level, vz_entry_level(entry))};
    vz_walk_descend(&walk, entry, choice.top);
    choose_links(&walk, row, &choice);
    /* Bottom up: whoever finds the row on a level can go on from it below. */
    for (unsigned l = 0; l <= choice.top; l++) {
        const uint32_t *chosen = s->chosen + choice.base + l * graph->m;
        uint32_t count = choice.counts[l];
        if (count)
            join_tree(graph, s, row, l, chosen, count);
        for (uint32_t i = 0; i < count; i++)
            link_add(graph, s, chosen[i], l, row, PLAIN);
    }
}

static void mark_done(struct vz_hnsw *graph, uint32_t row)
{
    atomic_fetch_or_explicit(vz_place(graph, row), VZ_PLACE_DONE, memory_order_release);
    pthread_mutex_lock(&graph->count_lock);
    uint32_t count = atomic_load_explicit(&graph->count, memory_order_relaxed);
    uint32_t limit = atomic_load_explicit(&graph->limit, memory_order_acquire);
    while (count < limit &&
           (atomic_load_explicit(vz_place(graph, count), memory_order_acquire) & VZ_PLACE_DONE))
        count++;
    atomic_store_explicit(&graph->count, count, memory_order_release);
    pthread_mutex_unlock(&graph->count_lock);
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
    enum vz_status status = make_room(graph, row, level, &done, err);
    if (status != VZ_OK || done)
        return status;
    if (graph->quantized)
        vz_codes_write(graph, row);
    if (graph->flat) {
        mark_done(graph, row);
        return VZ_OK;
    }
    uint64_t entry = atomic_load_explicit(&graph->entry, memory_order_acquire);
    bool rises = !entry || level > vz_entry_level(entry);
    if (rises) {
        pthread_mutex_lock(&graph->entry_lock);
        entry = atomic_load_explicit(&graph->entry, memory_order_acquire);
    }
    if (entry)
        insert_below(graph, scratch, row, level, entry);
    if (!entry || level > vz_entry_level(entry))
        atomic_store_explicit(&graph->entry, (uint64_t)level << 32 | (row + 1),
                              memory_order_release);
    if (rises)
        pthread_mutex_unlock(&graph->entry_lock);
    mark_done(graph, row);
    return VZ_OK;
}
