/* Lucene's regular expressions: . ? + * {n,m} | ( ) [ ] [^ ] " " \\ # @ ~ & <n-m>; always the whole
 * term. Operators behind a flag stand for themselves where it is off. ~ and & become automata that
 * were determinized (determinize.c), within the request's max_determinized_states. */
#include "text/automaton.h"

#include <stdio.h>

#define MAX_REGEXP_BYTES 1000
#define MAX_DEPTH 64 /* of parentheses and complements */

static struct vz_piece parse_either(struct vz_pattern_parser *p);
static struct vz_piece parse_atom(struct vz_pattern_parser *p);

static struct vz_piece fail(struct vz_pattern_parser *p, const char *why)
{
    if (p->status == VZ_OK)
        p->status = vz_fail(p->err, VZ_BAD_QUERY, "%s at position %zu in [%.*s]", why, p->at,
                            (int)VZ_MIN(p->text.len, 200), p->text.ptr);
    return vz_piece_empty(p);
}

static bool peek(const struct vz_pattern_parser *p, char c)
{
    return p->at < p->text.len && p->text.ptr[p->at] == c;
}

static bool more(const struct vz_pattern_parser *p)
{
    return p->at < p->text.len && p->status == VZ_OK;
}

/* \d \w \s and their opposites, as ranges. False when c is none of these. */
static bool class_ranges(struct vz_automaton *a, UChar32 c)
{
    static const struct {
        char name;
        struct vz_char_range ranges[5];
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
                vz_automaton_range(a, classes[i].ranges[r].low, classes[i].ranges[r].high);
            return true;
        }
    return false;
}

static struct vz_piece parse_class(struct vz_pattern_parser *p)
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
        vz_automaton_range(p->a, low, high);
    }
    if (!peek(p, ']'))
        return fail(p, "expected ']'");
    p->at++;
    return vz_piece_chars(p, first, negated);
}

static bool parse_number(struct vz_pattern_parser *p, unsigned *value)
{
    size_t start = p->at;
    *value = 0;
    while (p->at < p->text.len && p->text.ptr[p->at] >= '0' && p->text.ptr[p->at] <= '9' &&
           p->at - start < 9)
        *value = *value * 10 + (unsigned)(p->text.ptr[p->at++] - '0');
    return p->at > start;
}

static struct vz_piece digit_piece(struct vz_pattern_parser *p, char low, char high)
{
    size_t first = p->a->range_count;
    vz_automaton_range(p->a, low, high);
    return vz_piece_chars(p, first, false);
}

/* Numbers of as many digits as both texts have left, between them: a text that is NULL bounds
 * nothing any more. */
static struct vz_piece between(struct vz_pattern_parser *p, const char *low, const char *high,
                               size_t left)
{
    struct vz_piece all = vz_piece_empty(p);
    if (!low && !high)
        for (size_t i = 0; i < left; i++)
            all = vz_piece_join(p, all, digit_piece(p, '0', '9'));
    if (left == 0 || (!low && !high) || p->status != VZ_OK)
        return all;
    char from = low ? *low : '0', to = high ? *high : '9';
    const char *low_next = low ? low + 1 : NULL, *high_next = high ? high + 1 : NULL;
    if (low && high && from == to)
        return vz_piece_join(p, digit_piece(p, from, to),
                             between(p, low_next, high_next, left - 1));
    bool any = false;
    for (int part = 0; part < 3; part++) { /* the lowest digit, those between, the highest */
        char a = part == 0 ? from : part == 1 ? (char)(from + (low != NULL)) : to;
        char b = part == 0 ? from : part == 1 ? (char)(to - (high != NULL)) : to;
        if ((part == 0 && !low) || (part == 2 && !high) || a > b)
            continue;
        struct vz_piece rest =
            between(p, part == 0 ? low_next : NULL, part == 2 ? high_next : NULL, left - 1);
        struct vz_piece one = vz_piece_join(p, digit_piece(p, a, b), rest);
        all = any ? vz_piece_either(p, all, one) : one;
        any = true;
    }
    return all;
}

/* <n-m>: the numbers from n to m, with as many digits as both have when they have the same, else
 * with any number of zeros before them. */
static struct vz_piece parse_interval(struct vz_pattern_parser *p)
{
    unsigned low, high;
    size_t low_at = p->at, low_len, high_at;
    if (!parse_number(p, &low) || !peek(p, '-'))
        return fail(p, "interval syntax error");
    low_len = p->at - low_at;
    high_at = ++p->at;
    if (!parse_number(p, &high) || !peek(p, '>'))
        return fail(p, "interval syntax error");
    bool fixed = p->at - high_at == low_len;
    p->at++;
    if (low > high) {
        unsigned swap = low;
        low = high;
        high = swap;
    }
    char from[16], to[16];
    if (fixed) {
        snprintf(from, sizeof from, "%0*u", (int)low_len, low);
        snprintf(to, sizeof to, "%0*u", (int)low_len, high);
        return between(p, from, to, low_len);
    }
    struct vz_piece all = {0, 0};
    unsigned least = 1; /* of the numbers with so many digits */
    bool any = false;
    for (size_t digits = 1; digits <= 9 && least <= high && p->status == VZ_OK; digits++) {
        unsigned most = least * 10 - 1, first = digits == 1 ? 0 : least;
        if (low <= most) {
            snprintf(from, sizeof from, "%u", VZ_MAX(low, first));
            snprintf(to, sizeof to, "%u", VZ_MIN(high, most));
            struct vz_piece one = between(p, from, to, digits);
            all = any ? vz_piece_either(p, all, one) : one;
            any = true;
        }
        least *= 10;
    }
    if (!any) /* 0 alone */
        all = digit_piece(p, '0', '0');
    return vz_piece_join(p, vz_piece_star(p, digit_piece(p, '0', '0')), all);
}

static bool is_on(const struct vz_pattern_parser *p, unsigned flag)
{
    return !(p->off & flag);
}

/* <name>: automata with names, of which there are none here, as in Elasticsearch. */
static struct vz_piece parse_named(struct vz_pattern_parser *p)
{
    size_t end = p->at;
    while (end < p->text.len && p->text.ptr[end] != '>')
        end++;
    if (end == p->text.len)
        return fail(p, "expected '>'");
    if (memchr(p->text.ptr + p->at, '-', end - p->at))
        return is_on(p, VZ_REGEXP_INTERVAL) ? parse_interval(p) : fail(p, "illegal identifier");
    if (is_on(p, VZ_REGEXP_AUTOMATON) && p->status == VZ_OK)
        p->status = vz_fail(p->err, VZ_BAD_QUERY, "'%.*s' not found", (int)(end - p->at),
                            p->text.ptr + p->at);
    return fail(p, "interval syntax error");
}

static struct vz_piece parse_atom(struct vz_pattern_parser *p)
{
    UChar32 c = vz_next_char(p->text, &p->at);
    switch (c) {
    case '.':
        return vz_piece_any(p);
    case '@':
        return is_on(p, VZ_REGEXP_ANYSTRING) ? vz_piece_star(p, vz_piece_any(p))
                                             : vz_piece_char(p, c);
    case '#': {
        if (!is_on(p, VZ_REGEXP_EMPTY))
            return vz_piece_char(p, c);
        size_t first = p->a->range_count; /* no character is in an empty class */
        return vz_piece_chars(p, first, false);
    }
    case '[':
        return parse_class(p);
    case '<':
        return is_on(p, VZ_REGEXP_INTERVAL) || is_on(p, VZ_REGEXP_AUTOMATON) ? parse_named(p)
                                                                             : vz_piece_char(p, c);
    case '(': {
        if (peek(p, ')')) {
            p->at++;
            return vz_piece_empty(p);
        }
        if (++p->depth > MAX_DEPTH)
            return fail(p, "parentheses are nested too deeply");
        struct vz_piece inner = parse_either(p);
        p->depth--;
        if (!peek(p, ')'))
            return fail(p, "expected ')'");
        p->at++;
        return inner;
    }
    case '"': {
        struct vz_piece all = vz_piece_empty(p);
        while (more(p) && !peek(p, '"'))
            all = vz_piece_join(p, all, vz_piece_char(p, vz_next_char(p->text, &p->at)));
        if (!peek(p, '"'))
            return fail(p, "expected '\"'");
        p->at++;
        return all;
    }
    case '~':
        if (!is_on(p, VZ_REGEXP_COMPLEMENT))
            return vz_piece_char(p, c);
        if (!more(p))
            return fail(p, "unexpected end-of-string");
        if (++p->depth > MAX_DEPTH)
            return fail(p, "complements are nested too deeply");
        struct vz_piece complement = vz_piece_complement(p, parse_atom(p));
        p->depth--;
        return complement;
    case '\\': {
        if (!more(p))
            return fail(p, "unexpected end-of-string");
        size_t first = p->a->range_count;
        c = vz_next_char(p->text, &p->at);
        return class_ranges(p->a, c) ? vz_piece_chars(p, first, false) : vz_piece_char(p, c);
    }
    default:
        return vz_piece_char(p, c);
    }
}

/* Reads the atom at `from` again: each copy has states of its own. */
static struct vz_piece copy_atom(struct vz_pattern_parser *p, size_t from)
{
    size_t here = p->at;
    p->at = from;
    struct vz_piece copy = parse_atom(p);
    p->at = here;
    return copy;
}

static struct vz_piece parse_counted(struct vz_pattern_parser *p, struct vz_piece atom, size_t from)
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
    struct vz_piece all = vz_piece_empty(p);
    bool used = false;
    for (unsigned i = 0; i < least && p->status == VZ_OK; i++) {
        all = vz_piece_join(p, all, used ? copy_atom(p, from) : atom);
        used = true;
    }
    if (open)
        return vz_piece_join(p, all, vz_piece_star(p, used ? copy_atom(p, from) : atom));
    for (unsigned i = least; i < most && p->status == VZ_OK; i++) {
        struct vz_piece one = used ? copy_atom(p, from) : atom;
        used = true;
        all = vz_piece_join(p, all, vz_piece_either(p, one, vz_piece_empty(p)));
    }
    return all;
}

static struct vz_piece parse_repeat(struct vz_pattern_parser *p)
{
    size_t from = p->at;
    struct vz_piece atom = parse_atom(p);
    while (more(p)) {
        if (peek(p, '*')) {
            p->at++;
            atom = vz_piece_star(p, atom);
        } else if (peek(p, '+')) {
            p->at++;
            size_t here = p->at;
            struct vz_pattern_parser again = *p;
            again.text.len = here - 1;
            again.at = from;
            struct vz_piece copy = parse_repeat(&again);
            p->status = again.status;
            p->spent = again.spent;
            atom = vz_piece_join(p, atom, vz_piece_star(p, copy));
        } else if (peek(p, '?')) {
            p->at++;
            atom = vz_piece_either(p, atom, vz_piece_empty(p));
        } else if (peek(p, '{')) {
            p->at++;
            atom = parse_counted(p, atom, from);
        } else {
            break;
        }
    }
    return atom;
}

static struct vz_piece parse_sequence(struct vz_pattern_parser *p)
{
    struct vz_piece all = vz_piece_empty(p);
    if (p->text.len == 0)
        return all;
    if (!more(p))
        return fail(p, "unexpected end-of-string");
    do /* the first is read whatever it is, as Lucene does: "(|a)" is a bar and an a */
        all = vz_piece_join(p, all, parse_repeat(p));
    while (more(p) && !peek(p, '|') && !peek(p, ')') &&
           !(is_on(p, VZ_REGEXP_INTERSECTION) && peek(p, '&')));
    return all;
}

/* a&b: what is not out of one of them. */
static struct vz_piece parse_both(struct vz_pattern_parser *p)
{
    struct vz_piece all = parse_sequence(p);
    if (!is_on(p, VZ_REGEXP_INTERSECTION) || !more(p) || !peek(p, '&'))
        return all;
    all = vz_piece_complement(p, all);
    while (more(p) && peek(p, '&')) {
        p->at++;
        all = vz_piece_either(p, all, vz_piece_complement(p, parse_sequence(p)));
    }
    return vz_piece_complement(p, all);
}

static struct vz_piece parse_either(struct vz_pattern_parser *p)
{
    struct vz_piece all = parse_both(p);
    while (more(p) && peek(p, '|')) {
        p->at++;
        all = vz_piece_either(p, all, parse_both(p));
    }
    return all;
}

void vz_regexp_parse(struct vz_pattern_parser *p)
{
    if (p->text.len > MAX_REGEXP_BYTES) {
        p->status = vz_fail(p->err, VZ_BAD_QUERY,
                            "The length of regex [%zu] used in the Regexp Query request has "
                            "exceeded the allowed maximum of [%d]. This maximum can be set by "
                            "changing the [index.max_regex_length] index level setting.",
                            p->text.len, MAX_REGEXP_BYTES);
        return;
    }
    struct vz_piece all = parse_either(p);
    if (p->at < p->text.len)
        fail(p, "end-of-string expected");
    p->a->start = all.start;
    if (p->a->count)
        p->a->states[all.end].kind = STATE_END;
}
