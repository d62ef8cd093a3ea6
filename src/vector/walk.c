/* The walk that building and searching share, and the memory it needs.
 *
 * The classical walk keeps two heaps: candidates and results. Without a filter they hold the same
 * rows, so one array sorted best first does (a search stops when its ef best are all expanded).
 * Inserting moves a few hundred bytes at worst, which is cheaper than heaps up to ef of a few
 * thousand, and the worst result is always at hand to reject a row early. With a filter candidates
 * and results differ and the two structures are back.
 *
 * Memory is what a walk waits for: a row of 512 floats is 32 cache lines, its int8 code nine. So on
 * level 0 a walk is always one row ahead: the best open row is expanded (its unvisited links are
 * collected and all their codes asked for) before the batch collected last time is scored, and the
 * list of the row after it is asked for. What the scoring then finds is expanded one step later
 * than the paper would, which costs 1 % more distances and gains as much recall.
 *
 * Otherwise it waits for branches that cannot be predicted: was this row visited, is it good
 * enough, where does it go? None of these is a branch here. */
#include "vector/pool.h"

#include <math.h>
#include <stdlib.h>

#define CANCEL_EVERY 256 /* distances between two questions whether to stop */

/* ---- scratch ---- */

static pthread_key_t scratch_key;
/* Keys' destructors do not run for the main thread; its scratch goes with the process. */
static pthread_once_t scratch_once = PTHREAD_ONCE_INIT;

static void scratch_free(void *memory)
{
    struct vz_scratch *scratch = memory;
    if (!scratch)
        return;
    free(scratch->visited);
    free(scratch->pool);
    free(scratch->heap);
    free(scratch->batch);
    free(scratch->batch_similarity);
    free(scratch->batch_key);
    free(scratch->batch_next);
    free(scratch->chosen);
    free(scratch->chosen_similarity);
    free(scratch->group);
    free(scratch->group_key);
    free(scratch->codes);
    free(scratch->floats);
    free(scratch);
}

static void scratch_make_key(void)
{
    if (pthread_key_create(&scratch_key, scratch_free) != 0)
        abort();
}

static bool room(void **memory, size_t have, size_t want, size_t bytes)
{
    if (want <= have)
        return true;
    void *bigger = vz_try_alloc_aligned(want, bytes);
    if (!bigger)
        return false;
    free(*memory);
    *memory = bigger;
    return true;
}

static bool scratch_room(struct vz_scratch *s, const struct vz_hnsw *graph, uint32_t limit,
                         uint32_t ef)
{
    if (limit > s->visited_rows) {
        uint32_t rows = (uint32_t)VZ_MIN((uint64_t)limit + limit / 4 + 1024, (uint64_t)1 << 31);
        if (!room((void **)&s->visited, s->visited_rows, rows, 1))
            return false;
        s->visited_rows = rows;
        s->epoch = 0;
    }
    if (!room((void **)&s->pool, s->pool_capacity, (size_t)ef + 1, sizeof *s->pool))
        return false;
    s->pool_capacity = VZ_MAX(s->pool_capacity, ef + 1);
    uint32_t batch = graph->record + 1;
    if (batch > s->batch_capacity) {
        if (!room((void **)&s->batch, 0, batch, sizeof *s->batch) ||
            !room((void **)&s->batch_similarity, 0, batch, sizeof *s->batch_similarity) ||
            !room((void **)&s->batch_next, 0, batch, sizeof *s->batch_next) ||
            !room((void **)&s->batch_key, 0, batch, sizeof *s->batch_key))
            return false;
        s->batch_capacity = batch;
    }
    uint32_t chosen = graph->m0 * 2 + graph->m * (VZ_LEVEL_MAX + 1);
    if (chosen > s->chosen_capacity) {
        if (!room((void **)&s->chosen, 0, chosen, sizeof *s->chosen) ||
            !room((void **)&s->chosen_similarity, 0, chosen, sizeof *s->chosen_similarity))
            return false;
        s->chosen_capacity = chosen;
    }
    size_t codes = (size_t)graph->query_bytes * VZ_SCRATCH_CODES;
    if (!room((void **)&s->codes, s->codes_bytes, codes, 1))
        return false;
    s->codes_bytes = VZ_MAX(s->codes_bytes, codes);
    size_t floats = graph->space.element == VZ_ELEMENT_BFLOAT16
                        ? (size_t)graph->space.dims * VZ_SCRATCH_CODES
                        : 0;
    if (!room((void **)&s->floats, s->floats_count, floats, sizeof *s->floats))
        return false;
    s->floats_count = VZ_MAX(s->floats_count, floats);
    return true;
}

struct vz_scratch *vz_scratch_get(const struct vz_hnsw *graph, uint32_t limit, uint32_t ef)
{
    pthread_once(&scratch_once, scratch_make_key);
    struct vz_scratch *scratch = pthread_getspecific(scratch_key);
    if (!scratch) {
        scratch = vz_calloc(1, sizeof *scratch);
        if (pthread_setspecific(scratch_key, scratch) != 0) {
            free(scratch);
            return NULL;
        }
    }
    if (!scratch_room(scratch, graph, limit, ef))
        return NULL;
    vz_scratch_fresh(scratch);
    scratch->pool_count = 0;
    scratch->heap_count = 0;
    return scratch;
}

void vz_scratch_fresh(struct vz_scratch *scratch)
{
    scratch->epoch += 2; /* epoch + 1 is filter.c's: known to be rejected */
    if (scratch->epoch == 0) {
        memset(scratch->visited, 0, scratch->visited_rows);
        scratch->epoch = 2;
    }
}

bool vz_scratch_heap_room(struct vz_scratch *scratch, size_t count)
{
    if (count <= scratch->heap_capacity)
        return true;
    size_t capacity = VZ_MAX(count, scratch->heap_capacity * 2 + 256);
    uint64_t *bigger = vz_try_alloc(capacity, sizeof *bigger);
    if (!bigger)
        return false;
    if (scratch->heap_count)
        memcpy(bigger, scratch->heap, scratch->heap_count * sizeof *bigger);
    free(scratch->heap);
    scratch->heap = bigger;
    scratch->heap_capacity = capacity;
    return true;
}

bool vz_scratch_group_room(struct vz_scratch *scratch, uint32_t ef)
{
    uint64_t slots = 64;
    while (slots < 4 * (uint64_t)ef)
        slots *= 2;
    if (slots <= scratch->group_slots)
        return true;
    if (slots > (uint64_t)1 << 31 ||
        !room((void **)&scratch->group, 0, (size_t)slots, sizeof *scratch->group) ||
        !room((void **)&scratch->group_key, 0, (size_t)slots, sizeof *scratch->group_key)) {
        scratch->group_slots = 0; /* one of the two may be larger than the other */
        return false;
    }
    scratch->group_slots = (uint32_t)slots;
    return true;
}

/* ---- walking ---- */

/* Half of the links lead to rows visited before, in no order a processor could predict: nothing
 * here branches on it. A list that is being rewritten may name a row twice. */
static uint32_t gather(struct vz_walk *walk, uint32_t row, unsigned level, uint32_t *batch)
{
    struct vz_scratch *s = walk->scratch;
    uint8_t epoch = s->epoch, *visited = s->visited;
    uint32_t width, limit = walk->limit, linked = 0, count = 0;
    vz_link *list = vz_list(walk->graph, row, level, &width);
    if (!list)
        return 0;
    for (uint32_t i = 0; i < width; i++) {
        /* Rows past the limit came after this search began, or from a damaged checkpoint; the 0
         * that ends a list is one of them too. */
        uint32_t to = vz_link_row(atomic_load_explicit(list + i, memory_order_acquire));
        batch[linked] = to;
        linked += to < limit;
    }
    for (uint32_t i = 0; i < linked; i++) {
        uint32_t to = batch[i];
        bool is_new = visited[to] != epoch;
        visited[to] = epoch;
        batch[count] = to;
        count += is_new;
    }
    return count;
}

uint32_t vz_walk_gather(struct vz_walk *walk, uint32_t row, unsigned level)
{
    uint32_t *batch = walk->scratch->batch, count = gather(walk, row, level, batch);
    for (uint32_t i = 0; i < VZ_MIN(count, 4u); i++)
        vz_walk_fetch(walk, batch[i]);
    return count;
}

bool vz_walk_cancelled(struct vz_walk *walk)
{
    if (!walk->search || !walk->search->cancelled || walk->visited < walk->asked)
        return walk->stopped;
    walk->asked = walk->visited + CANCEL_EVERY;
    if (walk->search->cancelled(walk->search->cancelled_context))
        walk->stopped = true;
    return walk->stopped;
}

uint32_t vz_walk_ties(const struct vz_walk *walk, uint32_t ef)
{
    uint32_t k = walk->search ? walk->search->k : 1;
    return VZ_MAX(k, (ef + 1) / 2);
}

uint32_t vz_walk_open_from(const struct vz_scratch *s, uint32_t at)
{
    while (at < s->pool_count && !(s->pool[at] & VZ_KEY_OPEN))
        at++;
    return at;
}

/* Asks for all of the rows, into the second level: the first is too small for them. */
void vz_walk_fetch_batch(const struct vz_walk *walk, const uint32_t *batch, uint32_t count)
{
    const struct vz_hnsw *graph = walk->graph;
    bool coded = walk->scorer->coded;
    const char *base = coded ? graph->codes.base : graph->space.rows;
    size_t stride = coded ? graph->code_stride : graph->space.stride;
    uint32_t bytes = coded ? graph->code_stride : graph->space.row_bytes;
    for (uint32_t i = 0; i < count; i++)
        for (uint32_t byte = 0; byte < bytes; byte += 64)
            __builtin_prefetch(base + batch[i] * stride + byte, 0, 2);
}

/* Closes what stands at `at` in the pool; its unvisited links go to `batch`. */
static uint32_t expand(struct vz_walk *walk, uint32_t at, unsigned level, uint32_t *batch)
{
    struct vz_scratch *s = walk->scratch;
    s->pool[at] &= ~(uint64_t)VZ_KEY_OPEN;
    uint32_t count = gather(walk, vz_key_row(s->pool[at]), level, batch);
    vz_walk_fetch_batch(walk, batch, count);
    walk->hops++;
    return count;
}

/* Scores the batch and puts what is good enough into the pool; the foremost place it took, or
 * `at`. */
uint32_t vz_walk_keep_best(struct vz_walk *walk, const uint32_t *batch, uint32_t count, uint32_t ef,
                           uint32_t at)
{
    struct vz_scratch *s = walk->scratch;
    uint64_t worst = s->pool_count < ef ? 0 : s->pool[ef - 1];
    uint32_t kept = 0, ties = vz_walk_ties(walk, ef);
    vz_score(walk->scorer, batch, count, s->batch_similarity);
    walk->visited += count;
    for (uint32_t i = 0; i < count; i++) { /* no branch: as in gather() */
        uint64_t key = vz_key(s->batch_similarity[i], batch[i]) | VZ_KEY_OPEN;
        s->batch_key[kept] = key;
        kept += key > worst;
    }
    for (uint32_t i = 0; i < kept; i++) {
        uint64_t key = s->batch_key[i], evicted;
        uint32_t went = vz_pool_insert(s->pool, &s->pool_count, ef, ties, key, &evicted);
        at = VZ_MIN(at, went);
    }
    return at;
}

void vz_walk_level(struct vz_walk *walk, unsigned level, uint32_t ef)
{
    struct vz_scratch *s = walk->scratch;
    uint32_t at = 0, count = 0, *now = s->batch, *next = s->batch_next;
    while (count || (at = vz_walk_open_from(s, at)) < s->pool_count) {
        if (vz_walk_cancelled(walk))
            return;
        if (!count)
            count = expand(walk, at, level, now);
        uint32_t next_count = 0, following = vz_walk_open_from(s, at);
        if (level == 0 && following < s->pool_count) {
            next_count = expand(walk, following, level, next);
            following = vz_walk_open_from(s, following);
        }
        if (following < s->pool_count)
            vz_walk_fetch_links(walk, vz_key_row(s->pool[following]), level);
        at = vz_walk_keep_best(walk, now, count, ef, at);
        uint32_t *scored = now;
        now = next;
        next = scored;
        count = next_count;
    }
}

void vz_walk_descend(struct vz_walk *walk, uint64_t entry, unsigned level, uint32_t most)
{
    struct vz_scratch *s = walk->scratch;
    uint32_t row = vz_entry_row(entry);
    s->pool[0] = vz_key(vz_score_one(walk->scorer, row), row) | VZ_KEY_OPEN;
    s->pool_count = 1;
    walk->visited++;
    /* Going down, rows seen above are worse than those kept, so they stay visited. */
    s->visited[row] = s->epoch;
    for (unsigned l = vz_entry_level(entry); l > level; l--) {
        uint32_t width = l == level + 1 ? VZ_MAX(VZ_DESCENT, most / 2) : VZ_DESCENT;
        vz_walk_level(walk, l, VZ_MIN(most, width));
        vz_walk_seed(walk, s->pool_count);
    }
    vz_walk_seed(walk, s->pool_count);
    vz_scratch_fresh(s);
    for (uint32_t i = 0; i < s->pool_count; i++)
        s->visited[vz_key_row(s->pool[i])] = s->epoch;
}

void vz_walk_seed(struct vz_walk *walk, uint32_t most)
{
    struct vz_scratch *s = walk->scratch;
    s->pool_count = VZ_MIN(s->pool_count, most);
    for (uint32_t i = 0; i < s->pool_count; i++)
        s->pool[i] |= VZ_KEY_OPEN;
}

/* Scores again pool[from .. to-1] and returns the least similarity that came out. */
static float rescore_range(struct vz_walk *walk, const struct vz_scorer *exact, uint32_t from,
                           uint32_t to)
{
    struct vz_scratch *s = walk->scratch;
    float least = INFINITY;
    for (; from < to; from += s->batch_capacity) {
        uint32_t part = VZ_MIN(to - from, s->batch_capacity);
        for (uint32_t i = 0; i < part; i++)
            s->batch[i] = vz_key_row(s->pool[from + i]);
        vz_score(exact, s->batch, part, s->batch_similarity);
        for (uint32_t i = 0; i < part; i++) {
            s->pool[from + i] = vz_key(s->batch_similarity[i], s->batch[i]);
            least = fminf(least, vz_key_similarity(s->pool[from + i])); /* NaN is -infinity */
        }
    }
    return least;
}

/* Moves those of pool[from ..] to its front that may be better than `least` by floats; returns
 * where they end. The others keep similarities by code, all of them less than `least`. */
static uint32_t doubtful(struct vz_walk *walk, uint32_t from, float least)
{
    struct vz_scratch *s = walk->scratch;
    uint32_t end = from;
    for (uint32_t i = from; i < s->pool_count; i++) {
        uint64_t key = s->pool[i];
        float similarity = vz_key_similarity(key);
        if (similarity + vz_codes_doubt(walk->scorer, vz_key_row(key)) < least)
            continue;
        s->pool[i] = s->pool[end];
        s->pool[end++] = key;
    }
    return end;
}

void vz_walk_rescore(struct vz_walk *walk)
{
    struct vz_scratch *s = walk->scratch;
    struct vz_scorer exact = vz_scorer_of_query(walk->scorer->space, walk->scorer->any);
    uint32_t first = s->pool_count;
    if (walk->search && walk->graph->quantize == VZ_QUANTIZE_INT8)
        first = VZ_MIN(first, walk->search->k);
    float least = rescore_range(walk, &exact, 0, first);
    rescore_range(walk, &exact, first, doubtful(walk, first, least));
    vz_keys_sort(s->pool, s->pool_count);
}
