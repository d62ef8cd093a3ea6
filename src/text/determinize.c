/* The complement of a part of a regular expression, by the subset construction.
 *
 * The characters are cut where any state's ranges begin or end; all characters of a piece of that
 * line are alike to every state. A set of states is a bitset; sets are numbered as they are met and
 * looked up by a hash. What Lucene calls effort (the sizes of all sets, at most ten times
 * max_determinized_states for a whole pattern) bounds time and memory. The result is put back as
 * states of the same automaton: for each set a chain of ways, one for each set that it leads to,
 * and one out where the set had no end in it. */
#include "text/automaton.h"

#include <stdlib.h>

#define MAX_WORK ((size_t)1 << 28) /* of a whole pattern: ranges that characters are held against  \
                                    */
#define MAX_WAYS ((size_t)1 << 20) /* of one complement: sets by pieces of the line */

struct subset {
    uint64_t hash;
    size_t size;
    bool ends;
    int32_t head; /* the state that stands for it */
};
struct sets {
    struct vz_pattern_parser *p;
    struct vz_piece piece;
    size_t words;
    uint64_t *bits; /* [capacity][words] */
    struct subset *items;
    size_t count, capacity;
    int32_t *table; /* hashed; -1: free */
    size_t table_size;
    int32_t *stack;
    UChar32 *cuts; /* where pieces of the line of characters begin; the last is beyond all */
    size_t cut_count;
};

static int by_char(const void *a, const void *b)
{
    UChar32 x = *(const UChar32 *)a, y = *(const UChar32 *)b;
    return x < y ? -1 : x > y;
}

/* Cuts at the ranges of what the piece leads to, not at those of all that was made before. */
static void cut_characters(struct sets *s)
{
    const struct vz_automaton *a = s->p->a;
    uint64_t *seen = vz_calloc(s->words, sizeof *seen);
    size_t count = 0, room = 64, depth = 0;
    s->cuts = vz_alloc(room * sizeof *s->cuts);
    s->cuts[count++] = 0;
    s->cuts[count++] = 0x110000;
    for (UChar32 c = 'a'; a->ignore_case && c <= '{'; c++) {
        s->cuts = count + 2 > room ? vz_realloc(s->cuts, (room *= 2) * sizeof *s->cuts) : s->cuts;
        s->cuts[count++] = c;
        s->cuts[count++] = c - 32;
    }
    s->stack[depth++] = s->piece.start;
    while (depth) {
        int32_t at = s->stack[--depth];
        if (at < 0 || (seen[at >> 6] >> (at & 63) & 1))
            continue;
        const struct vz_state *state = &a->states[at];
        seen[at >> 6] |= 1ull << (at & 63);
        s->stack[depth++] = state->next;
        s->stack[depth++] = state->other;
        if (state->kind != STATE_CHARS)
            continue;
        while (count + 2 * (size_t)state->range_count > room)
            s->cuts = vz_realloc(s->cuts, (room *= 2) * sizeof *s->cuts);
        for (uint32_t i = 0; i < state->range_count; i++) {
            s->cuts[count++] = a->ranges[state->first_range + i].low;
            s->cuts[count++] = a->ranges[state->first_range + i].high + 1;
        }
    }
    free(seen);
    qsort(s->cuts, count, sizeof *s->cuts, by_char);
    for (size_t i = 0; i < count; i++)
        if (s->cut_count == 0 || s->cuts[i] != s->cuts[s->cut_count - 1])
            s->cuts[s->cut_count++] = s->cuts[i];
}

static void make_table(struct sets *s)
{
    size_t mask = s->table_size - 1;
    memset(s->table, -1, s->table_size * sizeof *s->table);
    for (size_t i = 0; i < s->count; i++) {
        size_t at = s->items[i].hash & mask;
        while (s->table[at] >= 0)
            at = (at + 1) & mask;
        s->table[at] = (int32_t)i;
    }
}

static void grow(struct sets *s)
{
    if (s->count < s->capacity)
        return;
    s->capacity = s->capacity ? s->capacity * 2 : 32;
    s->table_size = s->capacity * 4;
    /* One more than there is room for: the set being made. */
    s->bits = vz_realloc(s->bits, (s->capacity + 1) * s->words * sizeof *s->bits);
    s->items = vz_realloc(s->items, s->capacity * sizeof *s->items);
    s->table = vz_realloc(s->table, s->table_size * sizeof *s->table);
    make_table(s);
}

/* The number of the set whose bits stand behind the last one. */
static size_t number_of(struct sets *s)
{
    const uint64_t *made = s->bits + s->count * s->words;
    uint64_t hash = 1469598103934665603u;
    size_t size = 0, mask = s->table_size - 1;
    for (size_t w = 0; w < s->words; w++) {
        hash = (hash ^ made[w]) * 1099511628211u;
        hash ^= hash >> 29;
        size += (size_t)__builtin_popcountll(made[w]);
    }
    size_t at = hash & mask;
    for (; s->table[at] >= 0; at = (at + 1) & mask)
        if (s->items[s->table[at]].hash == hash &&
            memcmp(s->bits + (size_t)s->table[at] * s->words, made, s->words * 8) == 0)
            return (size_t)s->table[at];
    int32_t end = s->piece.end;
    s->table[at] = (int32_t)s->count;
    s->items[s->count] = (struct subset){
        .hash = hash, .size = size, .ends = made[end >> 6] >> (end & 63) & 1, .head = -1};
    s->count++;
    grow(s);
    return s->count - 1;
}

static uint64_t *new_bits(struct sets *s)
{
    uint64_t *bits = s->bits + s->count * s->words;
    memset(bits, 0, s->words * sizeof *bits);
    return bits;
}

static size_t follow(struct sets *s, size_t from, UChar32 c)
{
    const struct vz_automaton *a = s->p->a;
    uint64_t *to = new_bits(s);
    for (size_t w = 0; w < s->words; w++)
        for (uint64_t word = s->bits[from * s->words + w]; word; word &= word - 1) {
            const struct vz_state *state = &a->states[w * 64 + (size_t)__builtin_ctzll(word)];
            s->p->a->work += state->range_count + 1;
            if (state->kind == STATE_CHARS && vz_automaton_accepts(a, state, c))
                vz_automaton_enter(a, to, state->next, s->stack);
        }
    return number_of(s);
}

/* All sets, and where each piece of the line leads from each: [set][piece]. */
static int32_t *find_sets(struct sets *s)
{
    struct vz_pattern_parser *p = s->p;
    size_t classes = s->cut_count - 1, room = 0;
    int32_t *ways = NULL;
    vz_automaton_enter(p->a, new_bits(s), s->piece.start, s->stack);
    number_of(s);
    for (size_t i = 0; i < s->count && p->status == VZ_OK; i++) {
        p->spent += s->items[i].size;
        if (p->spent >= (size_t)p->effort * 10 || s->count > VZ_MAX_STATES ||
            s->count * classes > MAX_WAYS || p->a->work > MAX_WORK) {
            p->status = vz_fail(p->err, VZ_BAD_QUERY,
                                "Determinizing automaton with %zu states and %zu transitions would "
                                "require more than %u effort.",
                                p->a->count, p->a->range_count, p->effort);
            break;
        }
        if (i >= room) {
            room = room ? room * 2 : 32;
            ways = vz_realloc(ways, room * classes * sizeof *ways);
        }
        for (size_t c = 0; c < classes; c++)
            ways[i * classes + c] = (int32_t)follow(s, i, s->cuts[c]);
    }
    return ways;
}

/* One more way out of a chain of splits, whose last link is *link. */
static void add_way(struct vz_pattern_parser *p, int32_t *link, int32_t way)
{
    if (p->a->states[*link].next < 0) {
        p->a->states[*link].next = way;
        return;
    }
    int32_t more = vz_automaton_state(p, (struct vz_state){STATE_SPLIT, .next = way, .other = -1});
    p->a->states[*link].other = more;
    *link = more;
}

static void put_set(struct sets *s, size_t set, const int32_t *ways, int32_t end)
{
    struct vz_pattern_parser *p = s->p;
    size_t classes = s->cut_count - 1;
    int32_t link = s->items[set].head;
    bool *done = vz_calloc(classes + 1, sizeof *done);
    if (!s->items[set].ends)
        add_way(p, &link, end);
    for (size_t c = 0; c < classes && p->status == VZ_OK; c++) {
        if (done[c])
            continue;
        size_t first = p->a->range_count;
        for (size_t d = c; d < classes; d++)
            if (ways[d] == ways[c]) {
                if (d > c && ways[d - 1] == ways[c])
                    p->a->ranges[p->a->range_count - 1].high = s->cuts[d + 1] - 1;
                else
                    vz_automaton_range(p->a, s->cuts[d], s->cuts[d + 1] - 1);
                done[d] = true;
            }
        int32_t way = vz_automaton_state(
            p, (struct vz_state){.kind = STATE_CHARS,
                                 .first_range = (uint32_t)first,
                                 .range_count = (uint32_t)(p->a->range_count - first),
                                 .next = s->items[ways[c]].head,
                                 .other = -1});
        add_way(p, &link, way);
    }
    free(done);
}

struct vz_piece vz_piece_complement(struct vz_pattern_parser *p, struct vz_piece a)
{
    if (p->status != VZ_OK)
        return vz_piece_empty(p);
    struct sets s = {.p = p, .piece = a, .words = (p->a->count + 63) / 64};
    s.stack = vz_alloc((2 * p->a->count + 8) * sizeof *s.stack);
    cut_characters(&s);
    grow(&s);
    int32_t *ways = find_sets(&s);
    const struct vz_state split = {.kind = STATE_SPLIT, .next = -1, .other = -1};
    struct vz_piece made = {0, 0};
    if (p->status == VZ_OK)
        made.end = vz_automaton_state(p, split);
    for (size_t i = 0; i < s.count && p->status == VZ_OK; i++)
        s.items[i].head = vz_automaton_state(p, split);
    for (size_t i = 0; i < s.count && p->status == VZ_OK; i++)
        put_set(&s, i, ways + i * (s.cut_count - 1), made.end);
    made.start = s.items[0].head;
    free(ways);
    free(s.stack);
    free(s.cuts);
    free(s.bits);
    free(s.items);
    free(s.table);
    return p->status == VZ_OK ? made : vz_piece_empty(p);
}
