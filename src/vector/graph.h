/* vector/graph.h - internal to src/vector: the graph's memory and what its verbs share.
 *
 * The essay, with the invariants and the threading model, is at the top of hnsw.c. One file a verb:
 * hnsw.c (new, free, room for rows), score.c (similarities of rows), walk.c (the walk that build
 * and search share), filter.c (walks with a filter or groups: which way), bridge.c (a filtered
 * walk), sieve.c (a filtered scan), links.c (lists), insert.c, remove.c, recode.c (another kind),
 * search.c, exact.c, codes.c (the small copies), checkpoint.c, validate.c.
 */
#ifndef VZ_VECTOR_GRAPH_H
#define VZ_VECTOR_GRAPH_H

#include "base/grow.h"
#include "vector/cold.h"
#include "vector/hnsw.h"
#include "vector/kernels.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

/* A link holds row + 1 and whether it is a tree link; 0 ends a list, so zeroed memory is an empty
 * list. */
typedef _Atomic uint32_t vz_link;
#define VZ_LINK_TREE 0x80000000u
static inline uint32_t vz_link_row(uint32_t link)
{
    return (link & ~VZ_LINK_TREE) - 1;
}

#define VZ_LEVEL_MAX 31
#define VZ_STRIPES 1024
/* What a row is: 0 - unknown or in the middle of its insert; DONE - in; DONE and REMOVED - removed,
 * still linked; REMOVED - a repair is unlinking it ("leaving") or has done so. */
#define VZ_PLACE_DONE 0x80000000u
#define VZ_PLACE_REMOVED 0x40000000u
#define VZ_PLACE_LIST 0x3fffffffu
#define VZ_RECORD_LINKS 16 /* a level-0 list starts at a cache line */

/* What scoring needs to know of the rows. Immutable. */
struct vz_space {
    const char *rows;
    size_t stride; /* bytes from one row to the next */
    uint32_t dims;
    uint32_t row_bytes; /* of one row, unpadded */
    bool l2, cosine;
    enum vz_element element;
    const struct vz_kernels *kernels;
    struct vz_cold *cold; /* NULL: memory holds the rows */
};
/* Cold rows that are read one after the other are asked for so many at a time. */
static inline uint32_t vz_space_ahead_rows(const struct vz_space *space)
{
    return (uint32_t)(((size_t)4 << 20) / space->stride) + 1;
}
/* Has cold rows first .. first+count-1 read; does not wait. Nothing when they are not cold. */
void vz_space_ask(const struct vz_space *space, uint32_t first, uint32_t count);
/* For whoever reads row after row, from several threads perhaps. */
static inline void vz_space_pass(const struct vz_space *space, uint32_t row)
{
    uint32_t rows = vz_space_ahead_rows(space);
    if (row % rows == 0)
        vz_space_ask(space, row, 2 * rows);
}
/* Are element, dims and similarity of `options` possible, and together? VZ_BAD_ARGUMENT. */
enum vz_status vz_space_check(const struct vz_hnsw_options *options, struct vz_error *err);
void vz_space_init(struct vz_space *space, const struct vz_hnsw_options *options);
/* A row as it is; what its elements are, space->element says. */
static inline const void *vz_space_row(const struct vz_space *space, uint32_t row)
{
    return space->rows + (size_t)row * space->stride;
}

struct vz_hnsw {
    /* Immutable once the graph is handed out. */
    struct vz_hnsw_options options; /* zeros replaced by what they mean */
    uint32_t m, m0;                 /* list widths above and at level 0 */
    uint32_t record;                /* links from one level-0 list to the next: m0 rounded up */
    uint32_t max_rows;
    double level_scale; /* 1 / ln(m) */
    struct vz_space space;
    enum vz_quantize quantize;
    bool quantized, flat;
    uint32_t code_bytes;  /* of one code, what kernels multiply */
    uint32_t query_bytes; /* of a query's code */
    uint32_t code_stride; /* bytes from one code to the next: code and its correction */
    struct vz_grow mean;  /* INT4 and BIT: float[dims]; written before the first insert */

    /* Grown under grow_lock; bases never move. Contents: links are atomics, published by release
     * stores and read by acquire loads; place[row] and the code of a row are written before the
     * first link to the row is published. */
    struct vz_grow level0; /* vz_link[record] per row */
    /* vz_link per row: DONE, REMOVED and the number of the first upper list + 1, or 0 */
    struct vz_grow place;
    struct vz_grow upper; /* vz_link[m] per list; lists of levels 1, 2, .. of a row are adjacent */
    struct vz_grow codes; /* quantized only: code_stride bytes per row */
    _Atomic uint32_t upper_lists; /* lists handed out; raised before a place that names them */
    pthread_mutex_t grow_lock;

    /* Rows below it have memory; any row a reader may follow a link to. Raised under grow_lock with
     * release, read with acquire. */
    _Atomic uint32_t limit;
    /* Rows 0 .. count-1 are in. Raised under count_lock with release, read with acquire. */
    _Atomic uint32_t count;
    pthread_mutex_t count_lock;
    /* level << 32 | row + 1; 0 when the graph is empty. Stored under entry_lock with release, read
     * with acquire. An insert that raises the top level holds entry_lock throughout. */
    _Atomic uint64_t entry;
    pthread_mutex_t entry_lock;
    /* Removed rows that are still linked; and all that were removed and not inserted again. Raised
     * with release after a row's place says so, read with acquire by a search. */
    _Atomic uint32_t removed_linked, removed;
    /* Read-held by every insert. A repair holds it for writing for a moment: inserts that run after
     * that know which rows are leaving. */
    pthread_rwlock_t insert_lock;
    pthread_mutex_t repair_lock; /* held by the one repair */
    atomic_bool repairing;       /* written under repair_lock */
    /* stripes[row % VZ_STRIPES] is held while that row's lists change. Never two at once. Searches
     * take none. */
    pthread_mutex_t stripes[VZ_STRIPES];
};

/* ---- keys: a similarity and a row in one integer, larger is nearer, ties by smaller row ---- */

#define VZ_KEY_OPEN 1u /* bit 0: not expanded yet */

static inline uint64_t vz_key(float similarity, uint32_t row)
{
    uint32_t bits;
    similarity = similarity == similarity ? similarity + 0.0f : -__builtin_inff();
    memcpy(&bits, &similarity, sizeof bits);
    bits ^= (uint32_t)((int32_t)bits >> 31) | 0x80000000u;
    return (uint64_t)bits << 32 | (uint32_t)((0x7fffffffu - row) << 1);
}
static inline uint32_t vz_key_row(uint64_t key)
{
    return 0x7fffffffu - ((uint32_t)key >> 1);
}
static inline float vz_key_similarity(uint64_t key)
{
    uint32_t bits = (uint32_t)(key >> 32);
    bits ^= bits >> 31 ? 0x80000000u : 0xffffffffu;
    float similarity;
    memcpy(&similarity, &bits, sizeof similarity);
    return similarity;
}
/* The part of a key that orders by similarity only. */
static inline uint32_t vz_key_order(uint64_t key)
{
    return (uint32_t)(key >> 32);
}

/* exact.c: sorts keys largest (nearest) first. */
void vz_keys_sort(uint64_t *keys, uint32_t count);

/* ---- the graph's parts ---- */

/* The floats of a float or bfloat16 row; `room` has dims floats and is used for the second. */
static inline const float *vz_row_floats(const struct vz_hnsw *graph, uint32_t row, float *room)
{
    const void *at = vz_space_row(&graph->space, row);
    if (graph->space.element == VZ_ELEMENT_FLOAT)
        return at;
    for (uint32_t d = 0; d < graph->space.dims; d++)
        room[d] = vz_bf16_to(((const uint16_t *)at)[d]);
    return room;
}
static inline vz_link *vz_place(const struct vz_hnsw *graph, uint32_t row)
{
    return (vz_link *)graph->place.base + row;
}
static inline uint8_t *vz_code(const struct vz_hnsw *graph, uint32_t row)
{
    return (uint8_t *)graph->codes.base + (size_t)row * graph->code_stride;
}
static inline float *vz_mean(const struct vz_hnsw *graph)
{
    return (float *)(void *)graph->mean.base;
}
static inline uint32_t vz_place_get(const struct vz_hnsw *graph, uint32_t row)
{
    return atomic_load_explicit(vz_place(graph, row), memory_order_acquire);
}
static inline bool vz_is_removed(const struct vz_hnsw *graph, uint32_t row)
{
    return vz_place_get(graph, row) & VZ_PLACE_REMOVED;
}
/* No link to it may be made. */
static inline bool vz_is_leaving(const struct vz_hnsw *graph, uint32_t row)
{
    return (vz_place_get(graph, row) & (VZ_PLACE_DONE | VZ_PLACE_REMOVED)) == VZ_PLACE_REMOVED;
}
/* Codes of a few bits lead a walk well and select neighbours badly: floats do that. */
static inline bool vz_is_coarse(const struct vz_hnsw *graph)
{
    return graph->quantize >= VZ_QUANTIZE_INT4;
}
/* The list of `row` on `level` and its width; NULL when the row has none there (or a damaged
 * checkpoint says so). */
static inline vz_link *vz_list(const struct vz_hnsw *graph, uint32_t row, unsigned level,
                               uint32_t *width)
{
    if (level == 0) {
        *width = graph->m0;
        return (vz_link *)graph->level0.base + (size_t)row * graph->record;
    }
    *width = graph->m;
    uint32_t place = atomic_load_explicit(vz_place(graph, row), memory_order_relaxed);
    uint64_t list = (uint64_t)(place & VZ_PLACE_LIST) + level - 2;
    if ((place & VZ_PLACE_LIST) == 0 ||
        list >= atomic_load_explicit(&graph->upper_lists, memory_order_relaxed))
        return NULL;
    return (vz_link *)graph->upper.base + list * graph->m;
}
/* The level of a row: a function of seed and row alone. */
unsigned vz_level(const struct vz_hnsw *graph, uint32_t row);
static inline unsigned vz_entry_level(uint64_t entry)
{
    return (unsigned)(entry >> 32);
}
static inline uint32_t vz_entry_row(uint64_t entry)
{
    return (uint32_t)entry - 1;
}
/* hnsw.c: checks options, fills defaults; a graph without memory for rows yet. */
enum vz_status vz_graph_init(const struct vz_hnsw_options *options, struct vz_hnsw **out,
                             struct vz_error *err);

/* ---- scoring ---- */

/* score.c: a query against rows. Lives on the caller's stack; borrows the query. */
struct vz_scorer {
    const struct vz_space *space;
    union {
        const void *any; /* as the rows' elements are, floats for bfloat16 */
        const float *query;
    };
    const struct vz_hnsw *coded; /* NULL: float rows. Otherwise whose codes to score instead */
    const uint8_t *codes;        /* the query's code, query_bytes long */
    float scale, norm, sum, low, offset; /* of the query's code, see codes.c */
    int32_t query_norm;                  /* bytes: |query|^2 */
};
/* A scorer of the rows themselves. */
struct vz_scorer vz_scorer_of_query(const struct vz_space *space, const void *query);
/* similarities[i] of rows[i]; asks for the memory of later rows while it scores earlier ones. */
void vz_score(const struct vz_scorer *scorer, const uint32_t *rows, uint32_t count,
              float *similarities);
/* The same for rows first .. first+count-1 by themselves, one after the other: a single stream is
 * what the hardware reads ahead best. */
void vz_score_adjacent(const struct vz_scorer *scorer, uint32_t first, uint32_t count,
                       float *similarities);
static inline float vz_score_one(const struct vz_scorer *scorer, uint32_t row)
{
    float similarity;
    vz_score(scorer, &row, 1, &similarity);
    return similarity;
}

/* ---- per-thread scratch ---- */

enum { VZ_CODE_WALK, VZ_CODE_LIST, VZ_CODE_PAIR, VZ_SCRATCH_CODES };

struct vz_scratch {
    uint8_t *visited; /* visited[row] == epoch: seen in this walk; epoch is even */
    uint32_t visited_rows;
    uint8_t epoch;
    uint64_t *pool; /* the nearest so far, best first */
    uint32_t pool_capacity, pool_count;
    uint64_t *heap; /* filtered walk: candidates, a max-heap */
    size_t heap_capacity, heap_count;
    uint32_t *batch;      /* rows to score, and their similarities */
    uint32_t *batch_next; /* those to score after them */
    float *batch_similarity;
    uint64_t *batch_key;
    uint32_t batch_capacity;
    uint32_t *chosen; /* insert: the rows selected, m per level */
    float *chosen_similarity;
    uint32_t chosen_capacity;
    uint32_t *group; /* filter.c: the groups in the pool; group_key[slot] == 0 is an empty slot */
    uint64_t *group_key;
    uint32_t group_slots; /* a power of two */
    uint8_t *codes;       /* quantized: codes of up to VZ_SCRATCH_CODES queries at a time */
    size_t codes_bytes;
    float *floats; /* bfloat16: as many rows, widened */
    size_t floats_count;
};
/* The calling thread's scratch, ready for rows below `limit`, pools of `ef` and lists of this
 * graph. NULL when memory is refused. Kept until the thread ends. */
struct vz_scratch *vz_scratch_get(const struct vz_hnsw *graph, uint32_t limit, uint32_t ef);
/* A scorer of one of the graph's own rows, by codes when the graph has them and they are good
 * enough for that use (held in the scratch's place `use` until that is used again). */
struct vz_scorer vz_scorer_of_row(const struct vz_hnsw *graph, struct vz_scratch *scratch, int use,
                                  uint32_t row);
/* Forgets what was visited. */
void vz_scratch_fresh(struct vz_scratch *scratch);
bool vz_scratch_heap_room(struct vz_scratch *scratch, size_t count);
/* Room for the groups of a pool of `ef`. */
bool vz_scratch_group_room(struct vz_scratch *scratch, uint32_t ef);

/* ---- walks ---- */

struct vz_walk {
    const struct vz_hnsw *graph;
    const struct vz_scorer *scorer;
    struct vz_scratch *scratch;
    const struct vz_hnsw_search *search; /* for cancelled, accept, group; NULL while building */
    uint32_t limit;                      /* rows at or past it are not followed */
    uint64_t visited, hops, asked;
    uint64_t links; /* filter.c: links read */
    double allowed; /* filter.c: distances after which a scan is cheaper */
    double share;   /* filter.c: of all rows, that are accepted */
    bool stopped, gave_up, scanned;
    bool removed; /* there are removed rows to pass over */
    bool exact;   /* the pool holds similarities of floats already */
};
/* Expects scratch->pool to hold the seeds (visited, open) and leaves there the up to ef nearest
 * rows reachable on `level`, best first. */
void vz_walk_level(struct vz_walk *walk, unsigned level, uint32_t ef);
/* With search->accept or search->group, from `entry` on: leaves in the pool the accepted rows found
 * by a walk with ef or a scan that keeps `keep`, both at least k. The scratch has room for keep
 * groups. Errors: VZ_BUDGET. */
enum vz_status vz_walk_filtered(struct vz_walk *walk, uint64_t entry, uint32_t ef, uint32_t keep,
                                struct vz_error *err);
#define VZ_FEW 5ull  /* times what is kept: so many rows are scanned as floats, not codes */
#define VZ_WIDEST 12 /* times ef: how wide a filtered walk may get; the pool has room for it */
/* All accepted rows below the limit, about `matches`; the best `keep` of them into the pool, or
 * `keep_codes` (up to VZ_WIDEST times as many) when codes are scanned: where many rows are about as
 * near, codes tell them apart badly. */
bool vz_walk_scan(struct vz_walk *walk, uint32_t keep, uint32_t keep_codes, double matches);
/* Parts of walks. */
bool vz_walk_cancelled(struct vz_walk *walk);
/* Collects the rows linked from `row` that were not visited yet into scratch->batch. */
uint32_t vz_walk_gather(struct vz_walk *walk, uint32_t row, unsigned level);
/* Rows of one and the same similarity are copies of one row, or nearly always so. Only so many may
 * stay in a pool: the k best never need more than k of them, and a pool full of copies would end
 * the walk before it saw anything else. */
uint32_t vz_walk_ties(const struct vz_walk *walk, uint32_t ef);
/* Ask for the memory of a row to score soon, of a list to read soon. */
static inline void vz_walk_fetch(const struct vz_walk *walk, uint32_t row)
{
    const char *at = walk->scorer->coded ? (const char *)vz_code(walk->graph, row)
                                         : vz_space_row(&walk->graph->space, row);
    uint32_t bytes = walk->scorer->coded ? walk->graph->code_stride : walk->graph->space.row_bytes;
    int lines = bytes < 640 ? (int)bytes / 64 + 1 : 8;
    for (int line = 0; line < lines; line++)
        __builtin_prefetch(at + 64 * line);
}
static inline void vz_walk_fetch_links(const struct vz_walk *walk, uint32_t row, unsigned level)
{
    if (level)
        return;
    const char *at = (const char *)walk->graph->level0.base +
                     (size_t)row * walk->graph->record * sizeof(vz_link);
    __builtin_prefetch(at);
    __builtin_prefetch(at + 64);
}
/* From the entry point down to `level`; the pool then holds the seeds for `level`, open, and
 * nothing else is marked visited: VZ_DESCENT of them or, when that is more, half of `most`; at most
 * `most`. */
void vz_walk_descend(struct vz_walk *walk, uint64_t entry, unsigned level, uint32_t most);
/* How many rows a descent keeps on its way: one is the paper's; see the essay, difference 9. */
#define VZ_DESCENT 4u
/* What is best in the pool, open again, is where the next walk starts. */
void vz_walk_seed(struct vz_walk *walk, uint32_t most);
/* After a walk on codes: scores the pool again with the float rows and sorts it. For a search on
 * int8 only those rows that may be among the k best: the others keep similarities by code, below.
 */
void vz_walk_rescore(struct vz_walk *walk);

/* The parts that a walk on a level has: the first open place of the pool from `at` on (pool_count
 * when there is none); asks for all rows of a batch; scores a batch and puts what is good enough
 * into the pool of `ef`, the foremost place it took or `at`. */
uint32_t vz_walk_open_from(const struct vz_scratch *s, uint32_t at);
void vz_walk_fetch_batch(const struct vz_walk *walk, const uint32_t *batch, uint32_t count);
uint32_t vz_walk_keep_best(struct vz_walk *walk, const uint32_t *batch, uint32_t count, uint32_t ef,
                           uint32_t at);

/* ---- filter.c, bridge.c, sieve.c ---- */

/* Accepted rows from *from on, ascending, at most max; *from moves past them. 0: no more. */
uint32_t vz_walk_accepted(const struct vz_walk *walk, uint32_t *from, uint32_t *rows, uint32_t max);
bool vz_walk_accepts(const struct vz_walk *walk, uint32_t row);
/* bridge.c: collects into batch[] (batch_capacity places) the accepted rows that are linked from
 * `row`, or from its rejected neighbours when those are few, and asks for their memory. */
uint32_t vz_bridge_gather(struct vz_walk *walk, uint32_t row, uint32_t *batch);
/* bridge.c: a walk that scores accepted rows only, without groups: from what a descent left in the
 * pool and some accepted rows from all over to the ef nearest that it finds. */
void vz_walk_bridged(struct vz_walk *walk, uint32_t ef);
/* What reading a link costs, in distances of a walk: most of it waiting for the list. */
#define VZ_LINK_COST 0.03
/* Nanoseconds that a scan takes for a row of so many bytes, gathered; measured. */
#define VZ_SCAN_NS(bytes) (16 + 0.047 * (double)(bytes))
/* sieve.c: the k best of all accepted rows into the pool, by codes where those are sure and by the
 * rows themselves where not. Without groups, on codes. False: no memory. */
/* by_rows: codes are not looked at. */
bool vz_walk_sieve(struct vz_walk *walk, uint32_t k, bool by_rows);

/* ---- codes.c ---- */

void vz_codes_layout(struct vz_hnsw *graph);
void vz_codes_write(struct vz_hnsw *graph, uint32_t row);
/* The mean of the first `rows` rows, which codes leave out. */
void vz_codes_mean(struct vz_hnsw *graph, uint32_t rows);
/* Makes the scorer score the graph's codes; `code` has query_bytes and lives as long. */
void vz_codes_query(struct vz_scorer *scorer, const struct vz_hnsw *graph, uint8_t *code);
/* The same for a row whose code is there already. */
void vz_codes_query_row(struct vz_scorer *scorer, const struct vz_hnsw *graph, uint32_t row,
                        uint8_t *code);
/* How far a similarity by code may be from the true one, as good as always. */
float vz_codes_doubt(const struct vz_scorer *scorer, uint32_t row);
/* doubts: the same for each row, or NULL. */
void vz_codes_score(const struct vz_scorer *scorer, const uint32_t *rows, uint32_t count,
                    float *similarities, float *doubts);

#endif
