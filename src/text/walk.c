/* Walks over a dictionary: ranges, prefixes, wildcards, regular expressions, fuzzy words.
 *
 * A pattern becomes an automaton of at most MAX_STATES states over characters (Thompson's
 * construction; sets of states are bitsets). Terms come in order, so what two neighbours share is
 * computed once: a stack holds the set (for fuzzy words: the row of the edit-distance table) after
 * each character of the last term. Where the stack shows that no term with this beginning can
 * match, the walk seeks past all of them. There is no determinization, so no blow-up: a step costs
 * at most the number of states.
 *
 * Lucene's regular expressions: . ? + * {n,m} | ( ) [ ] [^ ] " " \ # @ <n-m>; always the whole
 * term. ~ and & (complement, intersection) are refused. */
#include "text/analysis_parts.h"
#include "text/view.h"

#include <stdio.h>
#include <stdlib.h>

#define MAX_STATES 4096
#define MAX_REGEXP_BYTES 1000
#define MAX_DEPTH 64 /* of parentheses */
#define MAX_EDITS 2

/* ---- automata ---------------------------------------------------------------------------------
 */

struct range {
    UChar32 low, high;
};
enum state_kind { STATE_CHARS, STATE_SPLIT, STATE_END };
struct state {
    enum state_kind kind;
    bool negated;
    uint32_t first_range, range_count;
    int32_t next, other; /* other: SPLIT's second way, -1: none */
};
struct automaton {
    struct state *states;
    size_t count, capacity;
    struct range *ranges;
    size_t range_count, range_capacity;
    int32_t start;
    bool ignore_case;
    size_t words; /* of a set of states */
};
/* A piece under construction: where it begins and the one state it ends in (a SPLIT without ways).
 */
struct piece {
    int32_t start, end;
};

struct parser {
    struct automaton *a;
    struct vz_slice text;
    size_t at;
    unsigned depth;
    enum vz_status status;
    struct vz_error *err;
};

static int32_t add_state(struct parser *p, struct state state)
{
    struct automaton *a = p->a;
    if (a->count >= MAX_STATES) {
        if (p->status == VZ_OK)
            p->status = vz_fail(p->err, VZ_LIMIT, "the pattern [%.*s] needs more than [%d] states",
                                (int)VZ_MIN(p->text.len, 200), p->text.ptr, MAX_STATES);
        return 0;
    }
    if (a->count == a->capacity) {
        a->capacity = a->capacity ? a->capacity * 2 : 64;
        a->states = vz_realloc(a->states, a->capacity * sizeof *a->states);
    }
    a->states[a->count] = state;
    return (int32_t)a->count++;
}

static void add_range(struct automaton *a, UChar32 low, UChar32 high)
{
    if (a->range_count == a->range_capacity) {
        a->range_capacity = a->range_capacity ? a->range_capacity * 2 : 64;
        a->ranges = vz_realloc(a->ranges, a->range_capacity * sizeof *a->ranges);
    }
    a->ranges[a->range_count++] = (struct range){low, high};
}

static struct piece empty_piece(struct parser *p)
{
    int32_t end = add_state(p, (struct state){.kind = STATE_SPLIT, .next = -1, .other = -1});
    return (struct piece){end, end};
}

/* A state over the ranges added since `first`. */
static struct piece chars_piece(struct parser *p, size_t first, bool negated)
{
    int32_t end = add_state(p, (struct state){.kind = STATE_SPLIT, .next = -1, .other = -1});
    int32_t start =
        add_state(p, (struct state){.kind = STATE_CHARS,
                                    .negated = negated,
                                    .first_range = (uint32_t)first,
                                    .range_count = (uint32_t)(p->a->range_count - first),
                                    .next = end,
                                    .other = -1});
    return (struct piece){start, end};
}

static struct piece char_piece(struct parser *p, UChar32 c)
{
    size_t first = p->a->range_count;
    add_range(p->a, c, c);
    return chars_piece(p, first, false);
}

static struct piece any_piece(struct parser *p)
{
    size_t first = p->a->range_count;
    add_range(p->a, 0, 0x10FFFF);
    return chars_piece(p, first, false);
}

static struct piece join(struct parser *p, struct piece a, struct piece b)
{
    p->a->states[a.end].next = b.start;
    return (struct piece){a.start, b.end};
}

static struct piece either(struct parser *p, struct piece a, struct piece b)
{
    int32_t end = add_state(p, (struct state){.kind = STATE_SPLIT, .next = -1, .other = -1});
    int32_t start =
        add_state(p, (struct state){.kind = STATE_SPLIT, .next = a.start, .other = b.start});
    p->a->states[a.end].next = end;
    p->a->states[b.end].next = end;
    return (struct piece){start, end};
}

static struct piece star(struct parser *p, struct piece a)
{
    int32_t end = add_state(p, (struct state){.kind = STATE_SPLIT, .next = -1, .other = -1});
    int32_t start =
        add_state(p, (struct state){.kind = STATE_SPLIT, .next = a.start, .other = end});
    p->a->states[a.end].next = start;
    return (struct piece){start, end};
}

static void automaton_deinit(struct automaton *a)
{
    free(a->states);
    free(a->ranges);
}

/* ---- wildcards --------------------------------------------------------------------------------
 */

static void parse_wildcard(struct parser *p)
{
    struct piece all = empty_piece(p);
    while (p->at < p->text.len && p->status == VZ_OK) {
        UChar32 c = vz_next_char(p->text, &p->at);
        struct piece one;
        if (c == '*')
            one = star(p, any_piece(p));
        else if (c == '?')
            one = any_piece(p);
        else {
            if (c == '\\' && p->at < p->text.len)
                c = vz_next_char(p->text, &p->at);
            one = char_piece(p, c);
        }
        all = join(p, all, one);
    }
    p->a->start = all.start;
    p->a->states[all.end].kind = STATE_END;
}

/* ---- regular expressions ----------------------------------------------------------------------
 */

static struct piece parse_either(struct parser *p);

static struct piece fail(struct parser *p, const char *why)
{
    if (p->status == VZ_OK)
        p->status = vz_fail(p->err, VZ_BAD_QUERY, "%s at position %zu in [%.*s]", why, p->at,
                            (int)VZ_MIN(p->text.len, 200), p->text.ptr);
    return empty_piece(p);
}

static bool peek(const struct parser *p, char c)
{
    return p->at < p->text.len && p->text.ptr[p->at] == c;
}

static bool more(const struct parser *p)
{
    return p->at < p->text.len && p->status == VZ_OK;
}

/* \d \w \s and their opposites, as ranges. False when c is none of these. */
static bool class_ranges(struct automaton *a, UChar32 c)
{
    static const struct {
        char name;
        struct range ranges[5];
        int count;
    } classes[] = {
        {'d', {{'0', '9'}}, 1},
        {'w', {{'0', '9'}, {'A', 'Z'}, {'_', '_'}, {'a', 'z'}}, 4},
        {'s', {{9, 10}, {12, 13}, {' ', ' '}}, 3},
        {'D', {{0, '0' - 1}, {'9' + 1, 0x10FFFF}}, 2},
        {'W',
         {{0, '0' - 1}, {'9' + 1, 'A' - 1}, {'Z' + 1, '_' - 1}, {'`', '`'}, {'z' + 1, 0x10FFFF}},
         5},
        {'S', {{0, 8}, {11, 11}, {14, 31}, {33, 0x10FFFF}}, 4},
    };
    for (size_t i = 0; i < VZ_COUNT_OF(classes); i++)
        if (classes[i].name == c) {
            for (int r = 0; r < classes[i].count; r++)
                add_range(a, classes[i].ranges[r].low, classes[i].ranges[r].high);
            return true;
        }
    return false;
}

static struct piece parse_class(struct parser *p)
{
    size_t first = p->a->range_count;
    bool negated = peek(p, '^');
    p->at += negated;
    for (bool start = true; more(p) && (start || !peek(p, ']')); start = false) {
        UChar32 low = vz_next_char(p->text, &p->at);
        if (low == '\\' && p->at < p->text.len) {
            low = vz_next_char(p->text, &p->at);
            if (class_ranges(p->a, low))
                continue;
        }
        UChar32 high = low;
        if (peek(p, '-') && p->at + 1 < p->text.len && p->text.ptr[p->at + 1] != ']') {
            p->at++;
            high = vz_next_char(p->text, &p->at);
            if (high == '\\' && p->at < p->text.len)
                high = vz_next_char(p->text, &p->at);
        }
        if (low > high)
            return fail(p, "invalid range");
        add_range(p->a, low, high);
    }
    if (!peek(p, ']'))
        return fail(p, "expected ']'");
    p->at++;
    return chars_piece(p, first, negated);
}

static bool parse_number(struct parser *p, unsigned *value)
{
    size_t start = p->at;
    *value = 0;
    while (p->at < p->text.len && p->text.ptr[p->at] >= '0' && p->text.ptr[p->at] <= '9' &&
           p->at - start < 6)
        *value = *value * 10 + (unsigned)(p->text.ptr[p->at++] - '0');
    return p->at > start;
}

/* <n-m>: the numbers from n to m, with as many digits as both have when they have the same. */
static struct piece parse_interval(struct parser *p)
{
    unsigned low, high;
    size_t low_at = p->at, low_len, high_at;
    if (!parse_number(p, &low) || !peek(p, '-'))
        return fail(p, "interval syntax error");
    low_len = p->at - low_at;
    high_at = ++p->at;
    if (!parse_number(p, &high) || !peek(p, '>'))
        return fail(p, "interval syntax error");
    size_t digits = p->at - high_at == low_len ? low_len : 0;
    p->at++;
    if (low > high) {
        unsigned swap = low;
        low = high;
        high = swap;
    }
    if (high - low > 500)
        return fail(p, "interval of more than 500 numbers");
    struct piece all = {0, 0};
    for (unsigned n = low; n <= high && p->status == VZ_OK; n++) {
        char text[16];
        struct piece one = empty_piece(p);
        int len = snprintf(text, sizeof text, "%0*u", (int)digits, n);
        for (int i = 0; i < len; i++)
            one = join(p, one, char_piece(p, text[i]));
        all = n == low ? one : either(p, all, one);
    }
    return all;
}

static struct piece parse_atom(struct parser *p)
{
    UChar32 c = vz_next_char(p->text, &p->at);
    switch (c) {
    case '.':
        return any_piece(p);
    case '@':
        return star(p, any_piece(p));
    case '#': {
        size_t first = p->a->range_count; /* no character is in an empty class */
        return chars_piece(p, first, false);
    }
    case '[':
        return parse_class(p);
    case '<':
        return parse_interval(p);
    case '(': {
        if (peek(p, ')')) {
            p->at++;
            return empty_piece(p);
        }
        if (++p->depth > MAX_DEPTH)
            return fail(p, "parentheses are nested too deeply");
        struct piece inner = parse_either(p);
        p->depth--;
        if (!peek(p, ')'))
            return fail(p, "expected ')'");
        p->at++;
        return inner;
    }
    case '"': {
        struct piece all = empty_piece(p);
        while (more(p) && !peek(p, '"'))
            all = join(p, all, char_piece(p, vz_next_char(p->text, &p->at)));
        if (!peek(p, '"'))
            return fail(p, "expected '\"'");
        p->at++;
        return all;
    }
    case '~':
    case '&':
        if (p->status == VZ_OK)
            p->status =
                vz_fail(p->err, VZ_UNSUPPORTED,
                        "the operator [%c] of regular expressions is not supported", (char)c);
        return empty_piece(p);
    case '\\': {
        if (!more(p))
            return fail(p, "unexpected end-of-string");
        size_t first = p->a->range_count;
        c = vz_next_char(p->text, &p->at);
        return class_ranges(p->a, c) ? chars_piece(p, first, false) : char_piece(p, c);
    }
    default:
        return char_piece(p, c);
    }
}

/* Reads the atom at `from` again: each copy has states of its own. */
static struct piece copy_atom(struct parser *p, size_t from)
{
    size_t here = p->at;
    p->at = from;
    struct piece copy = parse_atom(p);
    p->at = here;
    return copy;
}

static struct piece parse_counted(struct parser *p, struct piece atom, size_t from)
{
    unsigned least, most;
    bool open = false;
    if (!parse_number(p, &least))
        return fail(p, "integer expected");
    most = least;
    if (peek(p, ',')) {
        p->at++;
        if (!parse_number(p, &most))
            open = true;
    }
    if (!peek(p, '}'))
        return fail(p, "expected '}'");
    p->at++;
    if (!open && most < least)
        return fail(p, "invalid repetition range (out of order)");
    struct piece all = empty_piece(p);
    bool used = false;
    for (unsigned i = 0; i < least && p->status == VZ_OK; i++) {
        all = join(p, all, used ? copy_atom(p, from) : atom);
        used = true;
    }
    if (open)
        return join(p, all, star(p, used ? copy_atom(p, from) : atom));
    for (unsigned i = least; i < most && p->status == VZ_OK; i++) {
        struct piece one = used ? copy_atom(p, from) : atom;
        used = true;
        all = join(p, all, either(p, one, empty_piece(p)));
    }
    return all;
}

static struct piece parse_repeat(struct parser *p)
{
    size_t from = p->at;
    struct piece atom = parse_atom(p);
    while (more(p)) {
        if (peek(p, '*')) {
            p->at++;
            atom = star(p, atom);
        } else if (peek(p, '+')) {
            p->at++;
            size_t here = p->at;
            struct parser again = *p;
            again.text.len = here - 1;
            again.at = from;
            struct piece copy = parse_repeat(&again);
            p->status = again.status;
            atom = join(p, atom, star(p, copy));
        } else if (peek(p, '?')) {
            p->at++;
            atom = either(p, atom, empty_piece(p));
        } else if (peek(p, '{')) {
            p->at++;
            atom = parse_counted(p, atom, from);
        } else {
            break;
        }
    }
    return atom;
}

static struct piece parse_sequence(struct parser *p)
{
    struct piece all = empty_piece(p);
    if (p->text.len == 0)
        return all;
    if (!more(p))
        return fail(p, "unexpected end-of-string");
    do /* the first is read whatever it is, as Lucene does: "(|a)" is a bar and an a */
        all = join(p, all, parse_repeat(p));
    while (more(p) && !peek(p, '|') && !peek(p, ')'));
    return all;
}

static struct piece parse_either(struct parser *p)
{
    struct piece all = parse_sequence(p);
    while (more(p) && peek(p, '|')) {
        p->at++;
        all = either(p, all, parse_sequence(p));
    }
    return all;
}

static void parse_regexp(struct parser *p)
{
    if (p->text.len > MAX_REGEXP_BYTES) {
        p->status = vz_fail(p->err, VZ_BAD_QUERY,
                            "The length of regex [%zu] used in the Regexp Query request has "
                            "exceeded the allowed maximum of [%d]. This maximum can be set by "
                            "changing the [index.max_regex_length] index level setting.",
                            p->text.len, MAX_REGEXP_BYTES);
        return;
    }
    struct piece all = parse_either(p);
    if (p->at < p->text.len)
        fail(p, "end-of-string expected");
    p->a->start = all.start;
    if (p->a->count)
        p->a->states[all.end].kind = STATE_END;
}

/* ---- sets of states ---------------------------------------------------------------------------
 */

static void add_to_set(const struct automaton *a, uint64_t *set, int32_t state, int32_t *stack)
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

static bool accepts(const struct automaton *a, const struct state *state, UChar32 c)
{
    bool in = false;
    const struct range *ranges = a->ranges + state->first_range;
    for (uint32_t i = 0; i < state->range_count && !in; i++)
        in = c >= ranges[i].low && c <= ranges[i].high;
    if (!in && a->ignore_case && c < 0x80 && ((c | 32) >= 'a' && (c | 32) <= 'z'))
        for (uint32_t i = 0; i < state->range_count && !in; i++)
            in = (c ^ 32) >= ranges[i].low && (c ^ 32) <= ranges[i].high;
    return in != state->negated;
}

/* The states after one character; false when there are none. */
static bool step_set(const struct automaton *a, const uint64_t *from, UChar32 c, uint64_t *to,
                     int32_t *stack)
{
    bool any = false;
    memset(to, 0, a->words * sizeof *to);
    for (size_t w = 0; w < a->words; w++)
        for (uint64_t word = from[w]; word; word &= word - 1) {
            size_t at = w * 64 + (size_t)__builtin_ctzll(word);
            const struct state *state = &a->states[at];
            if (state->kind == STATE_CHARS && accepts(a, state, c)) {
                add_to_set(a, to, state->next, stack);
                any = true;
            }
        }
    return any;
}

static bool set_ends(const struct automaton *a, const uint64_t *set)
{
    for (size_t w = 0; w < a->words; w++)
        for (uint64_t word = set[w]; word; word &= word - 1)
            if (a->states[w * 64 + (size_t)__builtin_ctzll(word)].kind == STATE_END)
                return true;
    return false;
}

/* ---- matching in order ------------------------------------------------------------------------
 */

struct matcher {
    const struct vz_walk *walk;
    struct automaton automaton;
    bool fuzzy;
    UChar32 *word; /* fuzzy */
    size_t word_len;
    size_t row_words; /* 64-bit words of a level */
    uint64_t *levels;
    size_t level_capacity;
    UChar32 *chars; /* of the last term */
    size_t depth;   /* levels that are computed for it: level i stands behind i characters */
    int32_t *stack;
};

static unsigned char *row_of(const struct matcher *m, size_t level)
{
    return (unsigned char *)(m->levels + level * m->row_words);
}

static void make_room(struct matcher *m, size_t levels)
{
    if (levels <= m->level_capacity)
        return;
    m->level_capacity = levels * 2 + 32;
    m->levels = vz_realloc(m->levels, m->level_capacity * m->row_words * sizeof *m->levels);
    m->chars = vz_realloc(m->chars, m->level_capacity * sizeof *m->chars);
}

static enum vz_status matcher_init(struct matcher *m, const struct vz_walk *walk,
                                   struct vz_error *err)
{
    *m = (struct matcher){.walk = walk, .fuzzy = walk->kind == VZ_WALK_FUZZY};
    if (m->fuzzy) {
        if (walk->text.len > 4096 || walk->distance > MAX_EDITS)
            return vz_fail(err, VZ_BAD_QUERY, "Valid edit distances are [0, 1, 2]");
        m->word = vz_alloc((walk->text.len + 1) * sizeof *m->word);
        for (size_t at = 0; at < walk->text.len;)
            m->word[m->word_len++] = vz_next_char(walk->text, &at);
        m->row_words = (m->word_len + 1 + 7) / 8;
        make_room(m, 1);
        for (size_t i = 0; i <= m->word_len; i++)
            row_of(m, 0)[i] = (unsigned char)VZ_MIN(i, 100);
        return VZ_OK;
    }
    struct parser p = {.a = &m->automaton, .text = walk->text, .err = err};
    m->automaton.ignore_case = walk->ignore_case;
    if (walk->kind == VZ_WALK_WILDCARD)
        parse_wildcard(&p);
    else
        parse_regexp(&p);
    if (p.status != VZ_OK)
        return p.status;
    m->automaton.words = (m->automaton.count + 63) / 64;
    m->row_words = m->automaton.words;
    m->stack = vz_alloc((2 * m->automaton.count + 8) * sizeof *m->stack);
    make_room(m, 1);
    memset(m->levels, 0, m->row_words * sizeof *m->levels);
    add_to_set(&m->automaton, m->levels, m->automaton.start, m->stack);
    return VZ_OK;
}

static void matcher_deinit(struct matcher *m)
{
    automaton_deinit(&m->automaton);
    free(m->word);
    free(m->levels);
    free(m->chars);
    free(m->stack);
}

/* The next row of the edit-distance table (optimal string alignment when transpositions count as
 * one). False when every cell is over the distance: no longer word can match either. */
static bool step_row(struct matcher *m, size_t level, UChar32 c)
{
    const unsigned char *before = row_of(m, level);
    const unsigned char *two = level ? row_of(m, level - 1) : NULL;
    unsigned char *row = row_of(m, level + 1);
    UChar32 last = level ? m->chars[level - 1] : -1;
    unsigned least = row[0] = (unsigned char)VZ_MIN(before[0] + 1, 100);
    for (size_t i = 1; i <= m->word_len; i++) {
        unsigned best = before[i - 1] + (m->word[i - 1] != c);
        best = VZ_MIN(best, before[i] + 1u);
        best = VZ_MIN(best, row[i - 1] + 1u);
        if (m->walk->transpositions && two && i > 1 && m->word[i - 1] == last &&
            m->word[i - 2] == c)
            best = VZ_MIN(best, two[i - 2] + 1u);
        row[i] = (unsigned char)VZ_MIN(best, 100);
        least = VZ_MIN(least, best);
    }
    return least <= m->walk->distance ||
           /* a transposition may still mend the last two */
           (m->walk->transpositions && least <= m->walk->distance + 1);
}

/* Whether `term` matches; *dead: the bytes of a beginning with which none does, 0 when there is
 * none. */
static bool match(struct matcher *m, struct vz_slice term, size_t *dead, unsigned *edits)
{
    size_t at = 0, level = 0;
    bool shared = true;
    *dead = 0;
    *edits = 0;
    while (at < term.len) {
        UChar32 c = vz_next_char(term, &at);
        make_room(m, level + 2);
        if (shared && level < m->depth && m->chars[level] == c) {
            level++;
            continue;
        }
        shared = false;
        m->chars[level] = c;
        bool alive = m->fuzzy ? step_row(m, level, c)
                              : step_set(&m->automaton, m->levels + level * m->row_words, c,
                                         m->levels + (level + 1) * m->row_words, m->stack);
        if (!alive) {
            m->depth = level;
            *dead = at;
            return false;
        }
        level++;
    }
    m->depth = level;
    if (!m->fuzzy)
        return set_ends(&m->automaton, m->levels + level * m->row_words);
    *edits = row_of(m, level)[m->word_len];
    return *edits <= m->walk->distance;
}

/* ---- the walk ---------------------------------------------------------------------------------
 */

/* Dictionaries of all segments as one, in order. */
struct walker {
    struct vz_dictionary *walks;
    bool *open;
    size_t count;
    struct vz_buf term;
    struct vz_term_stats stats;
};

static void walker_init(struct walker *w, const struct vz_text_view *view, uint16_t id)
{
    *w = (struct walker){0};
    w->walks = vz_alloc((view->count + 1) * sizeof *w->walks);
    w->open = vz_calloc(view->count + 1, sizeof *w->open);
    for (size_t i = 0; i < view->count; i++) {
        const struct vz_segment_field *field = vz_segment_find_field(view->segments[i], id);
        if (field)
            vz_dictionary_init(&w->walks[w->count++], view->segments[i], field);
    }
    vz_buf_append_str(&w->term, "");
}

static void walker_deinit(struct walker *w)
{
    for (size_t i = 0; i < w->count; i++)
        vz_dictionary_deinit(&w->walks[i]);
    free(w->walks);
    free(w->open);
    vz_buf_deinit(&w->term);
}

static void walker_seek(struct walker *w, struct vz_slice term)
{
    for (size_t i = 0; i < w->count; i++)
        if (!w->open[i] || vz_slice_cmp(vz_dictionary_term(&w->walks[i]), term) < 0)
            w->open[i] = vz_dictionary_seek(&w->walks[i], term);
}

/* The smallest of all; its statistics added up. False at the end. */
static bool walker_next(struct walker *w)
{
    const struct vz_dictionary *first = NULL;
    for (size_t i = 0; i < w->count; i++)
        if (w->open[i] && (!first || vz_slice_cmp(vz_dictionary_term(&w->walks[i]),
                                                  vz_dictionary_term(first)) < 0))
            first = &w->walks[i];
    if (!first)
        return false;
    vz_buf_clear(&w->term);
    vz_buf_append_slice(&w->term, vz_dictionary_term(first));
    w->stats = (struct vz_term_stats){0};
    for (size_t i = 0; i < w->count; i++) {
        if (!w->open[i] || !vz_slice_eq(vz_dictionary_term(&w->walks[i]), vz_buf_slice(&w->term)))
            continue;
        w->stats.doc_freq += w->walks[i].info.doc_freq;
        w->stats.total_freq += w->walks[i].info.total_freq;
        w->open[i] = vz_dictionary_next(&w->walks[i]);
    }
    return true;
}

/* Behind every term that begins with `prefix`: its last byte that can be raised is. False when
 * there is no such place. */
static bool after_prefix(struct vz_slice prefix, struct vz_buf *out)
{
    vz_buf_clear(out);
    vz_buf_append_slice(out, prefix);
    while (out->len && (unsigned char)out->data[out->len - 1] == 0xFF)
        out->len--;
    if (!out->len)
        return false;
    out->data[out->len - 1]++;
    return true;
}

/* What every match begins with: literal characters of a pattern. */
static struct vz_slice literal_prefix(const struct vz_walk *walk)
{
    size_t len = 0;
    if (walk->ignore_case)
        return (struct vz_slice){NULL, 0};
    if (walk->kind == VZ_WALK_PREFIX)
        return walk->text;
    if (walk->kind == VZ_WALK_FUZZY) {
        len = vz_char_offset(walk->text, walk->prefix_length);
    } else {
        const char *special = walk->kind == VZ_WALK_WILDCARD ? "*?\\" : ".?+*{}|()[]\"\\#@&<>~";
        while (len < walk->text.len && walk->text.ptr[len] && !strchr(special, walk->text.ptr[len]))
            len++;
        /* An operator behind a character is about that character; '|' about everything. */
        if (walk->kind == VZ_WALK_REGEXP) {
            if (len < walk->text.len)
                do
                    len -= len > 0;
                while (len && ((unsigned char)walk->text.ptr[len] & 0xC0) == 0x80);
            if (memchr(walk->text.ptr ? walk->text.ptr : "", '|', walk->text.len))
                len = 0;
        }
    }
    return (struct vz_slice){walk->text.ptr, len};
}

static bool starts_folded(struct vz_slice term, struct vz_slice prefix)
{
    if (term.len < prefix.len)
        return false;
    for (size_t i = 0; i < prefix.len; i++) {
        unsigned char a = (unsigned char)term.ptr[i], b = (unsigned char)prefix.ptr[i];
        if (a != b && !((a ^ b) == 32 && (a | 32) >= 'a' && (a | 32) <= 'z'))
            return false;
    }
    return true;
}

static bool in_range(const struct vz_walk *walk, struct vz_slice term, bool *past)
{
    if (walk->lower.ptr) {
        int order = vz_slice_cmp(term, walk->lower);
        if (order < 0 || (order == 0 && !walk->lower_inclusive))
            return false;
    }
    if (walk->upper.ptr) {
        int order = vz_slice_cmp(term, walk->upper);
        if (order > 0 || (order == 0 && !walk->upper_inclusive)) {
            *past = true;
            return false;
        }
    }
    return true;
}

static bool has_automaton(const struct vz_walk *walk)
{
    return walk->kind == VZ_WALK_WILDCARD || walk->kind == VZ_WALK_REGEXP ||
           walk->kind == VZ_WALK_FUZZY;
}

/* One term: whether it matches, where to go on, whether the walk is over. */
static bool examine(const struct vz_walk *walk, struct matcher *m, struct vz_slice prefix,
                    struct vz_slice term, size_t *dead, bool *past, unsigned *edits)
{
    *dead = 0;
    *past = false;
    *edits = 0;
    if (walk->kind == VZ_WALK_RANGE)
        return in_range(walk, term, past);
    if (prefix.len && (term.len < prefix.len || memcmp(term.ptr, prefix.ptr, prefix.len) != 0)) {
        *past = vz_slice_cmp(term, prefix) > 0;
        return false;
    }
    if (walk->kind == VZ_WALK_PREFIX)
        return !walk->ignore_case || starts_folded(term, walk->text);
    return match(m, term, dead, edits);
}

struct found {
    struct vz_walk_term *items;
    size_t count, capacity;
};

static void found_add(struct found *found, struct vz_arena *arena, const struct walker *w,
                      unsigned edits)
{
    if (found->count == found->capacity) {
        found->capacity = found->capacity ? found->capacity * 2 : 64;
        found->items = vz_realloc(found->items, found->capacity * sizeof *found->items);
    }
    found->items[found->count++] = (struct vz_walk_term){
        vz_arena_copy(arena, (struct vz_slice){w->term.data, w->term.len}), w->stats, edits};
}

enum vz_status vz_text_walk(const struct vz_text_view *view, uint16_t field,
                            const struct vz_walk *walk, struct vz_arena *arena,
                            struct vz_walk_term **terms, size_t *count, bool *truncated,
                            struct vz_error *err)
{
    struct matcher m = {0};
    struct walker w;
    struct found found = {0};
    struct vz_buf target = {0};
    size_t most = walk->max_terms ? walk->max_terms : VZ_MAX_WALK_TERMS;
    enum vz_status status = has_automaton(walk) ? matcher_init(&m, walk, err) : VZ_OK;
    struct vz_slice prefix = literal_prefix(walk);
    *terms = NULL;
    *count = 0;
    *truncated = false;
    walker_init(&w, view, field);
    if (status == VZ_OK)
        walker_seek(&w, walk->kind == VZ_WALK_RANGE && walk->lower.ptr ? walk->lower
                        : prefix.len                                   ? prefix
                                                                       : VZ_SLICE(""));
    for (size_t steps = 0; status == VZ_OK && walker_next(&w); steps++) {
        struct vz_slice term = vz_buf_slice(&w.term);
        size_t dead;
        bool past;
        unsigned edits;
        if (steps % 1024 == 0 && walk->cancelled && walk->cancelled(walk->context))
            status = vz_fail(err, VZ_CANCELLED, "the search was stopped");
        if (examine(walk, &m, prefix, term, &dead, &past, &edits)) {
            if (found.count == most) {
                *truncated = true;
                break;
            }
            found_add(&found, arena, &w, edits);
        }
        if (past)
            break;
        if (dead) {
            if (!after_prefix((struct vz_slice){term.ptr, dead}, &target))
                break;
            walker_seek(&w, vz_buf_slice(&target));
        }
    }
    walker_deinit(&w);
    matcher_deinit(&m);
    vz_buf_deinit(&target);
    if (status == VZ_OK && found.count) {
        *terms = vz_arena_alloc(arena, found.count * sizeof **terms);
        memcpy(*terms, found.items, found.count * sizeof **terms);
        *count = found.count;
    }
    free(found.items);
    return status;
}

enum vz_status vz_walk_matches(const struct vz_walk *walk, struct vz_slice term, bool *matches,
                               struct vz_error *err)
{
    struct matcher m = {0};
    size_t dead;
    bool past;
    unsigned edits;
    enum vz_status status = has_automaton(walk) ? matcher_init(&m, walk, err) : VZ_OK;
    if (status == VZ_OK)
        *matches = examine(walk, &m, literal_prefix(walk), term, &dead, &past, &edits);
    matcher_deinit(&m);
    return status;
}
