/* vector/links.h - internal to src/vector: lists of links, for insert.c and remove.c. */
#ifndef VZ_VECTOR_LINKS_H
#define VZ_VECTOR_LINKS_H

#include "vector/graph.h"

/* ---- lists; the caller holds the row's stripe ---- */

static inline pthread_mutex_t *vz_stripe_of(struct vz_hnsw *graph, uint32_t row)
{
    return &graph->stripes[row % VZ_STRIPES];
}

static inline uint32_t vz_slot_get(const vz_link *list, uint32_t at)
{
    return atomic_load_explicit(list + at, memory_order_relaxed);
}

static inline void vz_slot_set(vz_link *list, uint32_t at, uint32_t link)
{
    atomic_store_explicit(list + at, link, memory_order_release);
}

static inline uint32_t vz_list_length(const vz_link *list, uint32_t width)
{
    uint32_t n = 0;
    while (n < width && vz_slot_get(list, n))
        n++;
    return n;
}

static inline uint32_t vz_list_tree_count(const vz_link *list, uint32_t length)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < length; i++)
        n += vz_slot_get(list, i) >> 31;
    return n;
}

/* The slot of `row`, or `length`. */
static inline uint32_t vz_list_find(const vz_link *list, uint32_t length, uint32_t row)
{
    uint32_t i = 0;
    while (i < length && vz_link_row(vz_slot_get(list, i)) != row)
        i++;
    return i;
}

/* ---- links.c ---- */

/* The neighbour selection heuristic (algorithm 4 of the paper): of keys sorted nearest first, those
 * that no chosen row covers, up to `max`, into s->chosen; ties fill what is left. Tree links are
 * taken whether covered or not: keys[] carry VZ_KEY_OPEN for them when tree_count is not 0. Returns
 * how many. */
uint32_t vz_links_select(const struct vz_hnsw *graph, struct vz_scratch *s, const uint64_t *keys,
                         uint32_t count, uint32_t max, uint32_t tree_count);
/* The list becomes s->chosen[0 .. taken-1], selected from `keys`. */
void vz_list_write(struct vz_scratch *s, vz_link *list, uint32_t width, uint32_t taken,
                   const uint64_t *keys, uint32_t count);
void vz_keys_sort_few(uint64_t *keys, uint32_t count);

enum vz_link_kind { VZ_LINK_PLAIN, VZ_LINK_TREE_IF_ROOM, VZ_LINK_TREE_ALWAYS };
/* How many tree links a list takes before new rows must look elsewhere: the rest is for links that
 * are there for being good. */
uint32_t vz_tree_cap(uint32_t width);

/* These take the stripe of `row` themselves. */

/* `row` learns of `to`. False only for TREE_IF_ROOM, when the row has its fill of tree links. */
bool vz_link_add(struct vz_hnsw *graph, struct vz_scratch *s, uint32_t row, unsigned level,
                 uint32_t to, enum vz_link_kind kind);
/* The same as a plain link, only if the list has a free place. */
void vz_link_add_if_room(struct vz_hnsw *graph, uint32_t row, unsigned level, uint32_t to);
/* The tree link `row` -> `from` becomes `row` -> `to`. False when there is none any more. */
bool vz_link_replace(struct vz_hnsw *graph, uint32_t row, unsigned level, uint32_t from,
                     uint32_t to);
/* As vz_link_add for a tree link, but in a list of nothing but tree links the one to `from` gives
 * its place. */
void vz_link_swap(struct vz_hnsw *graph, struct vz_scratch *s, uint32_t row, unsigned level,
                  uint32_t from, uint32_t to);
void vz_link_make_plain(struct vz_hnsw *graph, uint32_t row, unsigned level, uint32_t to);
/* Takes the link to `to` away, whatever it is. */
void vz_link_drop(struct vz_hnsw *graph, uint32_t row, unsigned level, uint32_t to);
/* One of the tree links of `row`, chosen by `pick`; the row itself when it has none. */
uint32_t vz_tree_link_of(struct vz_hnsw *graph, uint32_t row, unsigned level, uint32_t pick);

#endif
