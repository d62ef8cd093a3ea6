/* text/automaton.h - between automaton.c (states and sets of them), regexp.c (Lucene's regular
 * expressions) and walk.c (walks over a dictionary). Private to the room.
 *
 * A pattern becomes an automaton of at most VZ_MAX_STATES states over characters (Thompson's
 * construction). A piece is one under construction; what is made of it afterwards may not use it
 * again. A failure is kept in the parser: pieces made after it mean nothing.
 */
#ifndef VZ_TEXT_AUTOMATON_H
#define VZ_TEXT_AUTOMATON_H

#include "text/analysis_parts.h"
#include "text/postings.h"

#define VZ_MAX_STATES 4096

struct vz_char_range {
    UChar32 low, high;
};
enum vz_state_kind { STATE_CHARS, STATE_SPLIT, STATE_END };
struct vz_state {
    enum vz_state_kind kind;
    bool negated;
    uint32_t first_range, range_count;
    int32_t next, other; /* other: SPLIT's second way, -1: none */
};
struct vz_automaton {
    struct vz_state *states;
    size_t count, capacity;
    struct vz_char_range *ranges;
    size_t range_count, range_capacity;
    int32_t start;
    bool ignore_case; /* of ASCII letters */
    size_t words;     /* of a set of states */
    size_t work;      /* ranges looked at while parts were determinized */
};
/* Where it begins and the one state it ends in (a SPLIT without ways). */
struct vz_piece {
    int32_t start, end;
};

struct vz_pattern_parser {
    struct vz_automaton *a;
    struct vz_slice text;
    size_t at;
    unsigned depth;
    unsigned off;    /* enum vz_regexp_flag: operators that stand for themselves */
    uint32_t effort; /* max_determinized_states */
    size_t spent;    /* of ten times that */
    enum vz_status status;
    struct vz_error *err;
};

void vz_automaton_deinit(struct vz_automaton *a);
int32_t vz_automaton_state(struct vz_pattern_parser *p, struct vz_state state);
void vz_automaton_range(struct vz_automaton *a, UChar32 low, UChar32 high);
struct vz_piece vz_piece_empty(struct vz_pattern_parser *p);
/* A state over the ranges added since `first`. */
struct vz_piece vz_piece_chars(struct vz_pattern_parser *p, size_t first, bool negated);
struct vz_piece vz_piece_char(struct vz_pattern_parser *p, UChar32 c);
struct vz_piece vz_piece_any(struct vz_pattern_parser *p);
struct vz_piece vz_piece_join(struct vz_pattern_parser *p, struct vz_piece a, struct vz_piece b);
struct vz_piece vz_piece_either(struct vz_pattern_parser *p, struct vz_piece a, struct vz_piece b);
struct vz_piece vz_piece_star(struct vz_pattern_parser *p, struct vz_piece a);
/* determinize.c: whatever `a` does not match. VZ_BAD_QUERY in p->status when that takes more than
 * p->effort. */
struct vz_piece vz_piece_complement(struct vz_pattern_parser *p, struct vz_piece a);

/* regexp.c: the whole of p->text as an automaton. */
void vz_regexp_parse(struct vz_pattern_parser *p);

/* Adds a state and all that it leads to without a character. `stack`: 2 * count + 8. */
void vz_automaton_enter(const struct vz_automaton *a, uint64_t *set, int32_t state, int32_t *stack);
bool vz_automaton_accepts(const struct vz_automaton *a, const struct vz_state *state, UChar32 c);

#endif
