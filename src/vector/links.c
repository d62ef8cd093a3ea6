/* A row's lists of links: which rows they choose, and how they change while others read them.
 *
 * One list at a time, under its row's stripe; the rules are in the essay at the top of hnsw.c. */
#include "vector/links.h"

#include "base/text.h"

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

/* Ties are kept aside behind the first `max` meanwhile. */
uint32_t vz_links_select(const struct vz_hnsw *graph, struct vz_scratch *s, const uint64_t *keys,
                         uint32_t count, uint32_t max, uint32_t tree_count)
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

void vz_keys_sort_few(uint64_t *keys, uint32_t count)
{
    for (uint32_t i = 1; i < count; i++) { /* a few dozen, mostly sorted */
        uint64_t key = keys[i];
        uint32_t j = i;
        for (; j && keys[j - 1] < key; j--)
            keys[j] = keys[j - 1];
        keys[j] = key;
    }
}

void vz_list_write(struct vz_scratch *s, vz_link *list, uint32_t width, uint32_t taken,
                   const uint64_t *keys, uint32_t count)
{
    const uint32_t *chosen = s->chosen;
    for (uint32_t i = 0, at = 0; i < taken; i++) {
        /* Chosen rows keep the order of the keys, ties excepted: those are no tree links. */
        while (at < count && vz_key_row(keys[at]) != chosen[i])
            at++;
        bool is_tree = at < count && (keys[at] & VZ_KEY_OPEN);
        if (at == count)
            at = 0;
        vz_slot_set(list, i, (chosen[i] + 1) | (is_tree ? VZ_LINK_TREE : 0));
    }
    for (uint32_t i = taken; i < width; i++)
        vz_slot_set(list, i, 0);
}

/* A full list of `row` and one more link: select again. Readers meanwhile see a mixture of the old
 * and the new list, all of it real rows. Links that a damaged checkpoint brought are dropped, and
 * those to rows that a repair is about to unlink. */
static void list_select(struct vz_hnsw *graph, struct vz_scratch *s, uint32_t row, vz_link *list,
                        uint32_t width, uint32_t link)
{
    uint32_t count = 0, tree_count = 0;
    uint32_t limit = atomic_load_explicit(&graph->limit, memory_order_relaxed);
    uint32_t tree[2 * 512 + 1];
    for (uint32_t i = 0; i <= width; i++) {
        uint32_t from = i < width ? vz_slot_get(list, i) : link;
        if (vz_link_row(from) >= limit ||
            (!(from & VZ_LINK_TREE) && vz_is_leaving(graph, vz_link_row(from))))
            continue;
        s->batch[count] = vz_link_row(from);
        tree[count++] = from >> 31;
        tree_count += from >> 31;
    }
    struct vz_scorer scorer = vz_scorer_of_row(graph, s, VZ_CODE_LIST, row);
    vz_score(&scorer, s->batch, count, s->batch_similarity);
    for (uint32_t i = 0; i < count; i++)
        s->batch_key[i] = vz_key(s->batch_similarity[i], s->batch[i]) | (tree[i] ? VZ_KEY_OPEN : 0);
    vz_keys_sort_few(s->batch_key, count);
    uint32_t taken = vz_links_select(graph, s, s->batch_key, count, width, tree_count);
    vz_list_write(s, list, width, taken, s->batch_key, count);
}

/* ---- linking ---- */

uint32_t vz_tree_cap(uint32_t width)
{
    return width - width / 4 - 1;
}

bool vz_link_add(struct vz_hnsw *graph, struct vz_scratch *s, uint32_t row, unsigned level,
                 uint32_t to, enum vz_link_kind kind)
{
    uint32_t width, link = (to + 1) | (kind == VZ_LINK_PLAIN ? 0 : VZ_LINK_TREE);
    vz_link *list = vz_list(graph, row, level, &width);
    if (!list)
        return false;
    pthread_mutex_lock(vz_stripe_of(graph, row));
    uint32_t length = vz_list_length(list, width), at = vz_list_find(list, length, to);
    bool fits =
        kind != VZ_LINK_TREE_IF_ROOM || vz_list_tree_count(list, length) < vz_tree_cap(width);
    if (!fits)
        ;
    else if (at < length)
        vz_slot_set(list, at, vz_slot_get(list, at) | link);
    else if (length < width)
        vz_slot_set(list, length, link);
    else
        list_select(graph, s, row, list, width, link);
    pthread_mutex_unlock(vz_stripe_of(graph, row));
    return fits;
}

bool vz_link_replace(struct vz_hnsw *graph, uint32_t row, unsigned level, uint32_t from,
                     uint32_t to)
{
    uint32_t width;
    vz_link *list = vz_list(graph, row, level, &width);
    if (!list)
        return false;
    pthread_mutex_lock(vz_stripe_of(graph, row));
    uint32_t length = vz_list_length(list, width), at = vz_list_find(list, length, from);
    bool found = at < length && (vz_slot_get(list, at) & VZ_LINK_TREE);
    if (found) {
        uint32_t there = vz_list_find(list, length, to);
        vz_slot_set(list, at, (to + 1) | VZ_LINK_TREE);
        if (there < length) { /* it was a plain link already: close the gap */
            vz_slot_set(list, there, vz_slot_get(list, length - 1));
            vz_slot_set(list, length - 1, 0);
        }
    }
    pthread_mutex_unlock(vz_stripe_of(graph, row));
    return found;
}

void vz_link_swap(struct vz_hnsw *graph, struct vz_scratch *s, uint32_t row, unsigned level,
                  uint32_t from, uint32_t to)
{
    uint32_t width;
    vz_link *list = vz_list(graph, row, level, &width);
    if (!list)
        return;
    pthread_mutex_lock(vz_stripe_of(graph, row));
    bool full = vz_list_tree_count(list, vz_list_length(list, width)) == width;
    pthread_mutex_unlock(vz_stripe_of(graph, row));
    if (!full || !vz_link_replace(graph, row, level, from, to))
        vz_link_add(graph, s, row, level, to, VZ_LINK_TREE_ALWAYS);
}

void vz_link_make_plain(struct vz_hnsw *graph, uint32_t row, unsigned level, uint32_t to)
{
    uint32_t width;
    vz_link *list = vz_list(graph, row, level, &width);
    if (!list)
        return;
    pthread_mutex_lock(vz_stripe_of(graph, row));
    uint32_t length = vz_list_length(list, width), at = vz_list_find(list, length, to);
    if (at < length)
        vz_slot_set(list, at, to + 1);
    pthread_mutex_unlock(vz_stripe_of(graph, row));
}

void vz_link_add_if_room(struct vz_hnsw *graph, uint32_t row, unsigned level, uint32_t to)
{
    uint32_t width;
    vz_link *list = vz_list(graph, row, level, &width);
    if (!list)
        return;
    pthread_mutex_lock(vz_stripe_of(graph, row));
    uint32_t length = vz_list_length(list, width);
    if (length < width && vz_list_find(list, length, to) == length)
        vz_slot_set(list, length, to + 1);
    pthread_mutex_unlock(vz_stripe_of(graph, row));
}

void vz_link_drop(struct vz_hnsw *graph, uint32_t row, unsigned level, uint32_t to)
{
    uint32_t width;
    vz_link *list = vz_list(graph, row, level, &width);
    if (!list)
        return;
    pthread_mutex_lock(vz_stripe_of(graph, row));
    uint32_t length = vz_list_length(list, width), at = vz_list_find(list, length, to);
    if (at < length) { /* the last one first twice, then once: no reader misses it */
        vz_slot_set(list, at, vz_slot_get(list, length - 1));
        vz_slot_set(list, length - 1, 0);
    }
    pthread_mutex_unlock(vz_stripe_of(graph, row));
}

uint32_t vz_tree_link_of(struct vz_hnsw *graph, uint32_t row, unsigned level, uint32_t pick)
{
    uint32_t width, result = row;
    vz_link *list = vz_list(graph, row, level, &width);
    if (!list)
        return row;
    pthread_mutex_lock(vz_stripe_of(graph, row));
    uint32_t length = vz_list_length(list, width), trees = vz_list_tree_count(list, length);
    for (uint32_t i = 0, seen = 0; trees && i < length; i++)
        if ((vz_slot_get(list, i) & VZ_LINK_TREE) && seen++ == pick % trees)
            result = vz_link_row(vz_slot_get(list, i));
    pthread_mutex_unlock(vz_stripe_of(graph, row));
    /* Damage may name any row. */
    return result < atomic_load_explicit(&graph->limit, memory_order_relaxed) ? result : row;
}
