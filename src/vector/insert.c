/* Inserting a row. The rules are in the essay at the top of hnsw.c.
 *
 *   make_room      memory for the row's lists; the only step that can fail; nothing is linked yet
 *   choose_links   walk down, select neighbours on every level, write the row's own lists
 *   link_back      from level 0 up, the neighbours learn of the row: now it can be found
 *   adopt          where no neighbour kept the row, the nearest must
 *   mark_done      the count rises
 */
#include "vector/graph.h"

/* ---- room ---- */

/* Memory for the lists of `row`, zeroed, and its place. */
static enum vz_status make_room_locked(struct vz_hnsw *graph, uint32_t row, unsigned level,
                                       struct vz_error *err)
{
    size_t rows = (size_t)row + 1, list_bytes = graph->m * sizeof(vz_link);
    uint32_t limit = atomic_load_explicit(&graph->limit, memory_order_relaxed);
    enum vz_status status =
        vz_grow_ensure(&graph->level0, rows * graph->record * sizeof(vz_link), err);
    if (status == VZ_OK)
        status = vz_grow_ensure(&graph->place, rows * sizeof(vz_link), err);
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

/* Whether a row already chosen is nearer to the candidate than the candidate is to the node. On an
 * exact tie with none nearer *tie is set: duplicates. */
static bool is_covered(const struct vz_hnsw *graph, uint32_t candidate, uint32_t order,
                       const uint32_t *chosen, uint32_t count, float *similarities, bool *tie)
{
    struct vz_scorer scorer = {.space = &graph->space, .query = vz_row(graph, candidate)};
    *tie = false;
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
 * that no chosen row covers, up to `max`, into chosen[]; ties fill what is left. Returns how many.
 * `chosen` has room for `max`; ties are kept aside behind it. */
static uint32_t select_links(const struct vz_hnsw *graph, const uint64_t *keys, uint32_t count,
                             uint32_t max, uint32_t *chosen)
{
    uint32_t taken = 0, tied = 0;
    uint32_t *ties = chosen + max;
    float similarities[4];
    for (uint32_t i = 0; i < count && taken < max; i++) {
        uint32_t row = vz_key_row(keys[i]);
        bool tie;
        if (i + 1 < count) {
            const char *next = (const char *)vz_row(graph, vz_key_row(keys[i + 1]));
            __builtin_prefetch(next);
            __builtin_prefetch(next + 64);
        }
        if (is_covered(graph, row, vz_key_order(keys[i]), chosen, taken, similarities, &tie))
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

/* ---- linking ---- */

static pthread_mutex_t *stripe_of(struct vz_hnsw *graph, uint32_t row)
{
    return &graph->stripes[row % VZ_STRIPES];
}

static uint32_t list_length(const vz_link *list, uint32_t width)
{
    uint32_t n = 0;
    while (n < width && atomic_load_explicit(list + n, memory_order_relaxed))
        n++;
    return n;
}

static void list_set(vz_link *list, uint32_t at, uint32_t row)
{
    atomic_store_explicit(list + at, row + 1, memory_order_release);
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

/* A full list of `row` and one more: select again. Readers meanwhile see a mixture of the old and
 * the new list, all of it real rows. Returns whether `link` is among them. */
static bool list_select(struct vz_hnsw *graph, struct vz_scratch *s, uint32_t row, vz_link *list,
                        uint32_t width, uint32_t link, float similarity)
{
    for (uint32_t i = 0; i < width; i++)
        s->batch[i] = atomic_load_explicit(list + i, memory_order_relaxed) - 1;
    struct vz_scorer scorer = {.space = &graph->space, .query = vz_row(graph, row)};
    vz_score(&scorer, s->batch, width, s->batch_similarity);
    for (uint32_t i = 0; i < width; i++)
        s->batch_key[i] = vz_key(s->batch_similarity[i], s->batch[i]);
    s->batch_key[width] = vz_key(similarity, link);
    sort_keys(s->batch_key, width + 1);
    uint32_t *chosen = s->chosen;
    uint32_t taken = select_links(graph, s->batch_key, width + 1, width, chosen);
    bool kept = false;
    for (uint32_t i = 0; i < taken; i++) {
        list_set(list, i, chosen[i]);
        kept |= chosen[i] == link;
    }
    for (uint32_t i = taken; i < width; i++)
        atomic_store_explicit(list + i, 0, memory_order_release);
    return kept;
}

/* `row` learns of `link`. Returns whether it kept it. */
static bool link_back(struct vz_hnsw *graph, struct vz_scratch *s, uint32_t row, unsigned level,
                      uint32_t link, float similarity)
{
    uint32_t width;
    vz_link *list = vz_list(graph, row, level, &width);
    if (!list)
        return false;
    bool kept = true;
    pthread_mutex_lock(stripe_of(graph, row));
    uint32_t length = list_length(list, width);
    if (length < width)
        list_set(list, length, link);
    else
        kept = list_select(graph, s, row, list, width, link, similarity);
    pthread_mutex_unlock(stripe_of(graph, row));
    return kept;
}

/* Appends to `row`'s list when there is room and it is not there. */
static void list_append(struct vz_hnsw *graph, uint32_t row, unsigned level, uint32_t link)
{
    uint32_t width;
    vz_link *list = vz_list(graph, row, level, &width);
    pthread_mutex_lock(stripe_of(graph, row));
    uint32_t length = list_length(list, width);
    bool there = false;
    for (uint32_t i = 0; i < length; i++)
        there |= atomic_load_explicit(list + i, memory_order_relaxed) == link + 1;
    if (!there && length < width)
        list_set(list, length, link);
    pthread_mutex_unlock(stripe_of(graph, row));
}

/* No neighbour kept `link`, so nothing leads to it: `row`, its nearest, must. If its list is full,
 * the last link gives way and `link` adopts it, so that what it led to stays reachable. */
static void adopt(struct vz_hnsw *graph, uint32_t row, unsigned level, uint32_t link)
{
    uint32_t width;
    vz_link *list = vz_list(graph, row, level, &width);
    if (!list)
        return;
    pthread_mutex_t *stripe = stripe_of(graph, row);
    for (int attempt = 0; attempt < 8; attempt++) {
        pthread_mutex_lock(stripe);
        uint32_t length = list_length(list, width);
        if (length < width) {
            list_set(list, length, link);
            pthread_mutex_unlock(stripe);
            return;
        }
        uint32_t last = atomic_load_explicit(list + width - 1, memory_order_relaxed);
        pthread_mutex_unlock(stripe);
        /* Adopt first, replace second: stripes are never nested, and a reader always finds a way. */
        list_append(graph, link, level, last - 1);
        pthread_mutex_lock(stripe);
        bool same = atomic_load_explicit(list + width - 1, memory_order_relaxed) == last;
        if (same)
            list_set(list, width - 1, link);
        pthread_mutex_unlock(stripe);
        if (same)
            return;
    }
}

/* ---- the insert ---- */

/* What choose_links leaves for link_back: up to m rows a level, in scratch->chosen from `base` on. */
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
        uint32_t *chosen = s->chosen + choice->base + level * graph->m;
        uint32_t taken = select_links(graph, s->pool, s->pool_count, graph->m, s->chosen);
        memcpy(chosen, s->chosen, taken * sizeof *chosen);
        choice->counts[level] = taken;
        uint32_t width;
        vz_link *list = vz_list(graph, row, level, &width);
        for (uint32_t i = 0; i < taken; i++)
            list_set(list, i, chosen[i]);
        s->pool_count = 1;
        s->pool[0] |= VZ_KEY_OPEN;
        vz_scratch_fresh(s);
        s->visited[vz_key_row(s->pool[0])] = s->epoch;
    }
}

static void insert_below(struct vz_hnsw *graph, struct vz_scratch *s, uint32_t row, unsigned level,
                         uint64_t entry)
{
    struct vz_scorer scorer = {.space = &graph->space, .query = vz_row(graph, row)};
    struct vz_walk walk = {.graph = graph, .scorer = &scorer, .scratch = s,
                           .limit = atomic_load_explicit(&graph->limit, memory_order_acquire)};
    walk.limit = VZ_MIN(walk.limit, s->visited_rows);
    struct choice choice = {.base = graph->m0 * 2,
                            .top = VZ_MIN(level, vz_entry_level(entry))};
    vz_walk_descend(&walk, entry, choice.top);
    choose_links(&walk, row, &choice);
    /* Bottom up: whoever finds the row on a level can go on from it below. */
    for (unsigned l = 0; l <= choice.top; l++) {
        const uint32_t *chosen = s->chosen + choice.base + l * graph->m;
        bool kept = false;
        for (uint32_t i = 0; i < choice.counts[l]; i++) {
            float similarity = vz_score_one(&scorer, chosen[i]);
            kept |= link_back(graph, s, chosen[i], l, row, similarity);
        }
        if (!kept && choice.counts[l])
            adopt(graph, chosen[0], l, row);
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
