/* Automata under construction: states, pieces put together, sets of states. See automaton.h. */
#include "text/automaton.h"

#include <stdlib.h>

int32_t vz_automaton_state(struct vz_pattern_parser *p, struct vz_state state)
{
    struct vz_automaton *a = p->a;
    if (a->count >= VZ_MAX_STATES) {
        if (p->status == VZ_OK)
            p->status = vz_fail(p->err, VZ_LIMIT, "the pattern [%.*s] needs more than [%d] states",
                                (int)VZ_MIN(p->text.len, 200), p->text.ptr, VZ_MAX_STATES);
        return 0;
    }
    if (a->count == a->capacity) {
        a->capacity = a->capacity ? a->capacity * 2 : 64;
        a->states = vz_realloc(a->states, a->capacity * sizeof *a->states);
    }
    a->states[a->count] = state;
    return (int32_t)a->count++;
}

void vz_automaton_range(struct vz_automaton *a, UChar32 low, UChar32 high)
{
    if (a->range_count == a->range_capacity) {
        a->range_capacity = a->range_capacity ? a->range_capacity * 2 : 64;
        a->ranges = vz_realloc(a->ranges, a->range_capacity * sizeof *a->ranges);
    }
    a->ranges[a->range_count++] = (struct vz_char_range){low, high};
}

struct vz_piece vz_piece_empty(struct vz_pattern_parser *p)
{
    int32_t end =
        vz_automaton_state(p, (struct vz_state){.kind = STATE_SPLIT, .next = -1, .other = -1});
    return (struct vz_piece){end, end};
}

/* A state over the ranges added since `first`. */
struct vz_piece vz_piece_chars(struct vz_pattern_parser *p, size_t first, bool negated)
{
    int32_t end =
        vz_automaton_state(p, (struct vz_state){.kind = STATE_SPLIT, .next = -1, .other = -1});
    int32_t start = vz_automaton_state(
        p, (struct vz_state){.kind = STATE_CHARS,
                             .negated = negated,
                             .first_range = (uint32_t)first,
                             .range_count = (uint32_t)(p->a->range_count - first),
                             .next = end,
                             .other = -1});
    return (struct vz_piece){start, end};
}

struct vz_piece vz_piece_char(struct vz_pattern_parser *p, UChar32 c)
{
    size_t first = p->a->range_count;
    vz_automaton_range(p->a, c, c);
    return vz_piece_chars(p, first, false);
}

struct vz_piece vz_piece_any(struct vz_pattern_parser *p)
{
    size_t first = p->a->range_count;
    vz_automaton_range(p->a, 0, 0x10FFFF);
    return vz_piece_chars(p, first, false);
}

struct vz_piece vz_piece_join(struct vz_pattern_parser *p, struct vz_piece a, struct vz_piece b)
{
    p->a->states[a.end].next = b.start;
    return (struct vz_piece){a.start, b.end};
}

struct vz_piece vz_piece_either(struct vz_pattern_parser *p, struct vz_piece a, struct vz_piece b)
{
    int32_t end =
        vz_automaton_state(p, (struct vz_state){.kind = STATE_SPLIT, .next = -1, .other = -1});
    int32_t start = vz_automaton_state(
        p, (struct vz_state){.kind = STATE_SPLIT, .next = a.start, .other = b.start});
    p->a->states[a.end].next = end;
    p->a->states[b.end].next = end;
    return (struct vz_piece){start, end};
}

struct vz_piece vz_piece_star(struct vz_pattern_parser *p, struct vz_piece a)
{
    int32_t end =
        vz_automaton_state(p, (struct vz_state){.kind = STATE_SPLIT, .next = -1, .other = -1});
    int32_t start = vz_automaton_state(
        p, (struct vz_state){.kind = STATE_SPLIT, .next = a.start, .other = end});
    p->a->states[a.end].next = start;
    return (struct vz_piece){start, end};
}

void vz_automaton_deinit(struct vz_automaton *a)
{
    free(a->states);
    free(a->ranges);
}

void vz_automaton_enter(const struct vz_automaton *a, uint64_t *set, int32_t state, int32_t *stack)
{
    size_t depth = 0;
    stack[depth++] = state;
    while (depth) {
        int32_t at = stack[--depth];
        if (at < 0 || (set[at >> 6] >> (at & 63) & 1))
            continue;
        set[at >> 6] |= 1ull << (at & 63);
        if (a->states[at].kind == STATE_SPLIT) {
            stack[depth++] = a->states[at].next;
            stack[depth++] = a->states[at].other;
        }
    }
}

bool vz_automaton_accepts(const struct vz_automaton *a, const struct vz_state *state, UChar32 c)
{
    bool in = false;
    const struct vz_char_range *ranges = a->ranges + state->first_range;
    for (uint32_t i = 0; i < state->range_count && !in; i++)
        in = c >= ranges[i].low && c <= ranges[i].high;
    if (!in && a->ignore_case && c < 0x80 && ((c | 32) >= 'a' && (c | 32) <= 'z'))
        for (uint32_t i = 0; i < state->range_count && !in; i++)
            in = (c ^ 32) >= ranges[i].low && (c ^ 32) <= ranges[i].high;
    return in != state->negated;
}
