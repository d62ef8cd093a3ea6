/* simple_query_string: a syntax in which everything means something.
 *
 * Source: apache/lucene, SimpleQueryParser; Elasticsearch, SimpleQueryStringQueryParser. Operators
 * + | - " ( ) * ~ \ and white space, each of which can be switched off; what does not fit where it
 * stands is skipped. A tree grows to the left: an operator other than the one before makes what is
 * there so far the first clause of a new one.
 *
 * The original looks for the end of a group from each opening parenthesis on, which takes the
 * square of the text's length; here all pairs are found in one walk beforehand. */
#include "query/query_string.h"

#include <stdlib.h>

enum operation { O_NONE, O_MUST, O_SHOULD };

struct state {
    size_t at, end;
    enum operation current, previous;
    bool negated;
    struct vz_node *top;
    struct vz_clause_list clauses; /* of top, when it is a bool of the parser's own */
    bool is_list;
};

struct simple {
    struct vz_string_run *run;
    struct vz_slice text;
    uint32_t *closing; /* of each opening parenthesis; 0: it has none */
    unsigned flags, depth;
};

static bool on(const struct simple *s, enum vz_simple_flag flag)
{
    return (s->flags & flag) != 0;
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static bool ends_token(const struct simple *s, char c)
{
    return (c == '"' && on(s, VZ_SIMPLE_PHRASE)) || (c == '|' && on(s, VZ_SIMPLE_OR)) ||
           (c == '+' && on(s, VZ_SIMPLE_AND)) ||
           ((c == '(' || c == ')') && on(s, VZ_SIMPLE_PRECEDENCE)) ||
           (is_space(c) && on(s, VZ_SIMPLE_WHITESPACE));
}

/* ---- the tree -------------------------------------------------------------------------------- */

/* What is there so far, as one node. */
static struct vz_node *whole(struct simple *s, struct state *state)
{
    if (state->is_list)
        return vz_clause_bool(s->run->eval, &state->clauses);
    return state->top;
}

static enum vz_occur occur_of(enum operation operation)
{
    return operation == O_MUST ? VZ_MUST : VZ_SHOULD;
}

static void add_branch(struct simple *s, struct state *state, struct vz_node *branch)
{
    struct vz_eval *eval = s->run->eval;
    if (!branch)
        return;
    if (state->negated) {
        struct vz_clause_list not = {0};
        vz_clause_add(eval, &not, branch, VZ_MUST_NOT);
        vz_clause_add(eval, &not, vz_made_node(eval, VZ_NODE_ALL), VZ_SHOULD);
        branch = vz_clause_bool(eval, &not );
    }
    if (!state->top && !state->is_list) {
        state->top = branch;
    } else {
        if (state->current == O_NONE)
            state->current = s->run->clause->every ? O_MUST : O_SHOULD;
        if (state->previous != state->current) {
            struct vz_clause_list list = {0};
            vz_clause_add(eval, &list, whole(s, state), occur_of(state->current));
            state->clauses = list;
            state->is_list = true;
        }
        vz_clause_add(eval, &state->clauses, branch, occur_of(state->current));
        state->previous = state->current;
    }
    state->current = O_NONE;
}

/* ---- words ----------------------------------------------------------------------------------- */

/* Behind a tilde: a number, 2 when there is nothing, 0 for anything else. */
static uint32_t read_number(const struct simple *s, struct state *state)
{
    char copy[16] = "", *end;
    size_t from = ++state->at;
    while (state->at < state->end && !ends_token(s, s->text.ptr[state->at]))
        state->at++;
    size_t len = state->at - from;
    if (len == 0)
        return 2;
    if (len >= sizeof copy)
        return 0;
    memcpy(copy, s->text.ptr + from, len);
    long number = strtol(copy, &end, 10);
    bool plain = copy[0] == '-' || copy[0] == '+' || (copy[0] >= '0' && copy[0] <= '9');
    return plain && !*end && number > 0 && number <= INT32_MAX ? (uint32_t)number : 0;
}

/* Characters up to one that `stops`, without the backslashes that escape. */
static enum vz_status read_phrase(struct simple *s, struct state *state)
{
    struct vz_buf text = {0};
    struct vz_node *branch = NULL;
    enum vz_status status = VZ_OK;
    size_t start = ++state->at;
    bool escaped = false, closed = false, slop = false;
    for (; state->at < state->end; state->at++) {
        char c = s->text.ptr[state->at];
        if (!escaped && c == '\\' && on(s, VZ_SIMPLE_ESCAPE)) {
            escaped = true;
            continue;
        }
        closed = !escaped && c == '"';
        if (closed)
            break;
        escaped = false;
        vz_buf_append_char(&text, c);
    }
    if (!closed) {
        state->at = start;
    } else if (state->at == start) {
        state->current = O_NONE;
        state->at++;
    } else {
        uint32_t edits = 0;
        if (state->at + 1 < state->end && s->text.ptr[state->at + 1] == '~' &&
            on(s, VZ_SIMPLE_NEAR)) {
            state->at++;
            slop = state->at + 1 < state->end;
        }
        if (slop)
            edits = read_number(s, state);
        status =
            vz_string_phrase(s->run, (struct vz_slice){0}, vz_buf_slice(&text), edits, &branch);
        add_branch(s, state, branch);
        state->at++;
    }
    vz_buf_deinit(&text);
    return status;
}

static enum vz_status read_token(struct simple *s, struct state *state)
{
    struct vz_buf text = {0};
    struct vz_node *branch = NULL;
    struct vz_string_run *run = s->run;
    bool escaped = false, prefix = false, fuzzy = false;
    for (; state->at < state->end; state->at++) {
        char c = s->text.ptr[state->at];
        if (!escaped) {
            if (c == '\\' && on(s, VZ_SIMPLE_ESCAPE)) {
                escaped = true;
                prefix = false;
                continue;
            }
            if (ends_token(s, c))
                break;
            fuzzy = text.len && c == '~' && on(s, VZ_SIMPLE_FUZZY);
            if (fuzzy)
                break;
            prefix = text.len && c == '*' && on(s, VZ_SIMPLE_PREFIX);
        }
        escaped = false;
        vz_buf_append_char(&text, c);
    }
    enum vz_status status = VZ_OK;
    struct vz_slice word = vz_buf_slice(&text), none = {0};
    if (word.len && fuzzy) {
        uint32_t edits = VZ_MIN(read_number(s, state), 2u);
        if (edits == 0)
            status = vz_string_term(run, none, word, &branch, NULL);
        else
            status = vz_string_fuzzy(run, none, word, edits == 1 ? VZ_SLICE("1") : VZ_SLICE("2"),
                                     &branch);
    } else if (word.len && prefix) {
        status = vz_string_prefix(run, none, (struct vz_slice){word.ptr, word.len - 1}, &branch);
    } else if (word.len) {
        status = vz_string_term(run, none, word, &branch, NULL);
    }
    if (status == VZ_OK && word.len)
        add_branch(s, state, branch);
    vz_buf_deinit(&text);
    return status;
}

/* ---- groups ---------------------------------------------------------------------------------- */

static enum vz_status read_group(struct simple *s, size_t from, size_t end, struct vz_node **out);

static enum vz_status read_sub(struct simple *s, struct state *state)
{
    size_t start = ++state->at, close = s->closing[start - 1];
    struct vz_node *branch;
    if (close == 0 || close >= state->end)
        return VZ_OK; /* it stands for nothing */
    state->at = close + 1;
    if (close == start) {
        state->current = O_NONE;
        return VZ_OK;
    }
    if (++s->depth > VZ_MAX_STRING_DEPTH)
        return vz_query_fail(s->run->err, VZ_BAD_QUERY,
                             "The nested depth of the query exceeds the maximum nested depth for "
                             "queries set in [indices.query.bool.max_nested_depth]");
    enum vz_status status = read_group(s, start, close, &branch);
    s->depth--;
    if (status == VZ_OK)
        add_branch(s, state, branch);
    return status;
}

static enum vz_status read_group(struct simple *s, size_t from, size_t end, struct vz_node **out)
{
    struct state state = {.at = from, .end = end};
    enum vz_status status = VZ_OK;
    while (state.at < end && status == VZ_OK) {
        char c = s->text.ptr[state.at];
        bool has = state.top || state.is_list;
        if (c == '-' && on(s, VZ_SIMPLE_NOT)) {
            state.negated = !state.negated;
            state.at++;
            continue;
        }
        if (c == '(' && on(s, VZ_SIMPLE_PRECEDENCE))
            status = read_sub(s, &state);
        else if (c == ')' && on(s, VZ_SIMPLE_PRECEDENCE))
            state.at++;
        else if (c == '"' && on(s, VZ_SIMPLE_PHRASE))
            status = read_phrase(s, &state);
        else if ((c == '+' && on(s, VZ_SIMPLE_AND)) || (c == '|' && on(s, VZ_SIMPLE_OR))) {
            if (state.current == O_NONE && has)
                state.current = c == '+' ? O_MUST : O_SHOULD;
            state.at++;
        } else if (is_space(c) && on(s, VZ_SIMPLE_WHITESPACE))
            state.at++;
        else
            status = read_token(s, &state);
        state.negated = false;
    }
    *out = status == VZ_OK ? whole(s, &state) : NULL;
    return status;
}

static void find_pairs(struct simple *s)
{
    struct vz_eval *eval = s->run->eval;
    uint32_t *open = vz_arena_alloc(eval->arena, (s->text.len + 1) * sizeof *open);
    size_t depth = 0;
    s->closing = vz_arena_zalloc(eval->arena, (s->text.len + 1) * sizeof *s->closing);
    for (size_t i = 0; i < s->text.len; i++) {
        char c = s->text.ptr[i];
        if (c == '\\' && on(s, VZ_SIMPLE_ESCAPE))
            i++;
        else if (c == '(')
            open[depth++] = (uint32_t)i;
        else if (c == ')' && depth)
            s->closing[open[--depth]] = (uint32_t)i;
    }
}

enum vz_status vz_simple_string_expand(struct vz_eval *eval, const struct vz_node *node,
                                       struct vz_node **out, struct vz_error *err)
{
    const struct vz_string_clause *clause = node->string;
    struct vz_string_run run;
    struct simple s = {.run = &run, .text = clause->query, .flags = clause->flags};
    struct vz_slice trimmed = clause->query;
    *out = NULL;
    while (trimmed.len && (unsigned char)trimmed.ptr[0] <= ' ')
        trimmed = (struct vz_slice){trimmed.ptr + 1, trimmed.len - 1};
    while (trimmed.len && (unsigned char)trimmed.ptr[trimmed.len - 1] <= ' ')
        trimmed.len--;
    if (vz_slice_is(trimmed, "*")) {
        *out = vz_made_node(eval, VZ_NODE_ALL);
        return VZ_OK;
    }
    if (s.text.len > VZ_MAX_STRING_BYTES)
        return vz_query_fail(err, VZ_BAD_QUERY,
                             "Query string length exceeds max allowed length %zu; actual length: "
                             "%zu",
                             VZ_MAX_STRING_BYTES, s.text.len);
    vz_string_run_init(&run, eval, clause, err);
    find_pairs(&s);
    enum vz_status status = read_group(&s, 0, s.text.len, out);
    if (status != VZ_OK || !*out)
        return status;
    return vz_made_minimum(eval, *out, clause->minimum, err);
}
