/* Walks over a dictionary: ranges, prefixes, wildcards, regular expressions, fuzzy words.
 *
 * A pattern becomes an automaton of at most VZ_MAX_STATES states over characters (automaton.h,
 * regexp.c; sets of states are bitsets). Terms come in order, so what two neighbours share is
 * computed once: a stack holds the set (for fuzzy words: the row of the edit-distance table) after
 * each character of the last term. Where the stack shows that no term with this beginning can
 * match, the walk seeks past all of them. There is no determinization but of
 * what ~ and & stand before, so no blow-up: a step costs at most the number of states. */
#include "text/automaton.h"
#include "text/view.h"

#include <stdlib.h>

#define MAX_EDITS 2

/* ---- wildcards --------------------------------------------------------------------------------
 */

static void parse_wildcard(struct vz_pattern_parser *p)
{
    struct vz_piece all = vz_piece_empty(p);
    while (p->at < p->text.len && p->status == VZ_OK) {
        UChar32 c = vz_next_char(p->text, &p->at);
        struct vz_piece one;
        if (c == '*')
            one = vz_piece_star(p, vz_piece_any(p));
        else if (c == '?')
            one = vz_piece_any(p);
        else {
            if (c == '\\' && p->at < p->text.len)
                c = vz_next_char(p->text, &p->at);
            one = vz_piece_char(p, c);
        }
        all = vz_piece_join(p, all, one);
    }
    p->a->start = all.start;
    p->a->states[all.end].kind = STATE_END;
}

/* ---- sets of states ---------------------------------------------------------------------------
 */

/* The states after one character; false when there are none. */
static bool step_set(const struct vz_automaton *a, const uint64_t *from, UChar32 c, uint64_t *to,
                     int32_t *stack)
{
    bool any = false;
    memset(to, 0, a->words * sizeof *to);
    for (size_t w = 0; w < a->words; w++)
        for (uint64_t word = from[w]; word; word &= word - 1) {
            size_t at = w * 64 + (size_t)__builtin_ctzll(word);
            const struct vz_state *state = &a->states[at];
            if (state->kind == STATE_CHARS && vz_automaton_accepts(a, state, c)) {
                vz_automaton_enter(a, to, state->next, stack);
                any = true;
            }
        }
    return any;
}

static bool set_ends(const struct vz_automaton *a, const uint64_t *set)
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
    struct vz_automaton automaton;
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
    struct vz_pattern_parser p = {.a = &m->automaton,
                                  .text = walk->text,
                                  .off = walk->regexp_off,
                                  .effort = walk->max_determinized ? walk->max_determinized - 1
                                                                   : VZ_REGEXP_MAX_DETERMINIZED,
                                  .err = err};
    m->automaton.ignore_case = walk->ignore_case;
    if (walk->kind == VZ_WALK_WILDCARD)
        parse_wildcard(&p);
    else
        vz_regexp_parse(&p);
    if (p.status != VZ_OK)
        return p.status;
    m->automaton.words = (m->automaton.count + 63) / 64;
    m->row_words = m->automaton.words;
    m->stack = vz_alloc((2 * m->automaton.count + 8) * sizeof *m->stack);
    make_room(m, 1);
    memset(m->levels, 0, m->row_words * sizeof *m->levels);
    vz_automaton_enter(&m->automaton, m->levels, m->automaton.start, m->stack);
    return VZ_OK;
}

static void matcher_deinit(struct matcher *m)
{
    vz_automaton_deinit(&m->automaton);
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
    size_t steps = 0;
    for (; status == VZ_OK && walker_next(&w); steps++) {
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
    if (walk->looked_at)
        *walk->looked_at += steps;
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

struct vz_matcher {
    struct vz_walk walk;
    struct matcher m;
    struct vz_slice prefix;
};

enum vz_status vz_matcher_open(const struct vz_walk *walk, struct vz_matcher **out,
                               struct vz_error *err)
{
    struct vz_matcher *matcher = vz_calloc(1, sizeof *matcher);
    matcher->walk = *walk;
    matcher->prefix = literal_prefix(&matcher->walk);
    enum vz_status status =
        has_automaton(walk) ? matcher_init(&matcher->m, &matcher->walk, err) : VZ_OK;
    *out = status == VZ_OK ? matcher : NULL;
    if (status != VZ_OK)
        vz_matcher_close(matcher);
    return status;
}

bool vz_matcher_matches(struct vz_matcher *matcher, struct vz_slice term)
{
    size_t dead;
    bool past;
    unsigned edits;
    return examine(&matcher->walk, &matcher->m, matcher->prefix, term, &dead, &past, &edits);
}

void vz_matcher_close(struct vz_matcher *matcher)
{
    if (!matcher)
        return;
    matcher_deinit(&matcher->m);
    free(matcher);
}

enum vz_status vz_walk_matches(const struct vz_walk *walk, struct vz_slice term, bool *matches,
                               struct vz_error *err)
{
    struct vz_matcher *matcher;
    enum vz_status status = vz_matcher_open(walk, &matcher, err);
    if (status == VZ_OK)
        *matches = vz_matcher_matches(matcher, term);
    vz_matcher_close(matcher);
    return status;
}
