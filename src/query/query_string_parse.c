/* Lucene's classic query syntax: tokens, then its grammar by recursive descent.
 *
 * Source: apache/lucene, QueryParser.jj and QueryParserBase, of which this keeps the rules that
 * surprise: the longest token wins and of equal ones the first in the list of kinds; words in a row
 * are one text for the analyzer unless an operator follows the last of them; AND makes the clause
 * before it required, too, and precedence there is none; a sign before white space is a word.
 *
 *     Query  := (Words | Modifiers Clause) (Words | Conjunction Modifiers Clause)*
 *     Clause := [(TERM | "*") ":"] (Term | "(" Query ")" ["^" NUMBER])
 *
 * Bounds: the text (VZ_MAX_STRING_BYTES), parentheses (VZ_MAX_STRING_DEPTH), clauses
 * (VZ_MAX_CLAUSES). Tokens take memory of a small multiple of the text. */
#include "base/text.h"
#include "query/query_string.h"

#include <stdio.h>
#include <stdlib.h>

enum token_kind {
    T_END,
    T_AND,
    T_OR,
    T_NOT,
    T_PLUS,
    T_MINUS,
    T_BARE, /* a sign before white space */
    T_OPEN,
    T_CLOSE,
    T_COLON,
    T_STAR,
    T_CARAT,
    T_QUOTED,
    T_TERM,
    T_TILDE, /* with what is behind it */
    T_PREFIX,
    T_WILD,
    T_REGEXP,
    T_RANGE_IN,
    T_RANGE_EX,
    T_NUMBER,
    T_TO,
    T_RANGE_IN_END,
    T_RANGE_EX_END,
    T_RANGE_QUOTED,
    T_RANGE_WORD
};

static const char *const token_names[] = {
    [T_END] = "<EOF>",
    [T_AND] = "<AND>",
    [T_OR] = "<OR>",
    [T_NOT] = "<NOT>",
    [T_PLUS] = "\"+\"",
    [T_MINUS] = "\"-\"",
    [T_BARE] = "<BAREOPER>",
    [T_OPEN] = "\"(\"",
    [T_CLOSE] = "\")\"",
    [T_COLON] = "\":\"",
    [T_STAR] = "\"*\"",
    [T_CARAT] = "\"^\"",
    [T_QUOTED] = "<QUOTED>",
    [T_TERM] = "<TERM>",
    [T_TILDE] = "<FUZZY_SLOP>",
    [T_PREFIX] = "<PREFIXTERM>",
    [T_WILD] = "<WILDTERM>",
    [T_REGEXP] = "<REGEXPTERM>",
    [T_RANGE_IN] = "\"[\"",
    [T_RANGE_EX] = "\"{\"",
    [T_NUMBER] = "<NUMBER>",
    [T_TO] = "\"TO\"",
    [T_RANGE_IN_END] = "\"]\"",
    [T_RANGE_EX_END] = "\"}\"",
    [T_RANGE_QUOTED] = "<RANGE_QUOTED>",
    [T_RANGE_WORD] = "<RANGE_GOOP>",
};

struct token {
    enum token_kind kind;
    uint32_t at, len;
};

struct parser {
    struct vz_string_run *run;
    struct vz_slice text;
    struct token *tokens;
    size_t count, next;
    unsigned depth;
};

/* ---- tokens ---------------------------------------------------------------------------------- */

enum lexer_state { S_DEFAULT, S_BOOST, S_RANGE };

static size_t space_at(struct vz_slice text, size_t at)
{
    if (strchr(" \t\n\r", text.ptr[at]) && text.ptr[at])
        return 1;
    return at + 3 <= text.len && memcmp(text.ptr + at, "\xE3\x80\x80", 3) == 0 ? 3 : 0;
}

/* Bytes of one character of a word at `at`; 0 when it is none. */
static size_t start_char(struct vz_slice text, size_t at)
{
    if (at >= text.len || space_at(text, at))
        return 0;
    if (text.ptr[at] == '\\') {
        size_t len = 2;
        if (at + 1 >= text.len)
            return 0;
        while (at + len < text.len && ((unsigned char)text.ptr[at + len] & 0xC0) == 0x80)
            len++;
        return len;
    }
    return text.ptr[at] && strchr("+-!():^[]\"{}~*?/", text.ptr[at]) ? 0 : 1;
}

static size_t word_char(struct vz_slice text, size_t at)
{
    if (at < text.len && (text.ptr[at] == '+' || text.ptr[at] == '-'))
        return 1;
    return start_char(text, at);
}

/* To behind the closing quote; 0 without one. */
static size_t quoted_end(struct vz_slice text, size_t at)
{
    for (size_t i = at + 1; i < text.len; i++) {
        if (text.ptr[i] == '\\')
            i++;
        else if (text.ptr[i] == '"')
            return i + 1;
    }
    return 0;
}

/* A slash ends an expression; one behind a backslash only when no other does. */
static size_t regexp_end(struct vz_slice text, size_t at, char end)
{
    size_t found = 0;
    for (size_t i = at + 1; i < text.len; i++) {
        if (text.ptr[i] != end)
            continue;
        found = i + 1;
        if (text.ptr[i - 1] != '\\')
            break;
    }
    return found;
}

static struct token word_token(struct vz_slice text, size_t at)
{
    size_t end = at, wild = 0, step, last_star = 0;
    while (end < text.len) {
        bool is_wild = text.ptr[end] == '*' || text.ptr[end] == '?';
        step = is_wild ? 1 : end == at ? start_char(text, end) : word_char(text, end);
        if (!step)
            break;
        wild += is_wild;
        last_star = text.ptr[end] == '*' && is_wild ? end : 0;
        end += step;
    }
    struct token token = {T_TERM, (uint32_t)at, (uint32_t)(end - at)};
    if (wild == 1 && text.ptr[at] == '*' && end == at + 1)
        token.kind = T_STAR;
    else if (wild == 1 && last_star && last_star + 1 == end)
        token.kind = T_PREFIX;
    else if (wild)
        token.kind = T_WILD;
    return token;
}

static bool is_word(struct vz_slice text, const struct token *token, const char *word)
{
    return vz_slice_is((struct vz_slice){text.ptr + token->at, token->len}, word);
}

static struct token default_token(struct vz_slice text, size_t at)
{
    struct token token = {T_END, (uint32_t)at, 1};
    char c = text.ptr[at];
    static const struct {
        char c;
        enum token_kind kind;
    } single[] = {{'(', T_OPEN},  {')', T_CLOSE},    {':', T_COLON},
                  {'^', T_CARAT}, {'[', T_RANGE_IN}, {'{', T_RANGE_EX}};
    size_t end;
    for (size_t i = 0; i < VZ_COUNT_OF(single); i++)
        if (c == single[i].c) {
            token.kind = single[i].kind;
            return token;
        }
    if (c == '+' || c == '-' || c == '!') {
        size_t space = at + 1 < text.len ? space_at(text, at + 1) : 0;
        token.kind = space ? T_BARE : c == '+' ? T_PLUS : c == '-' ? T_MINUS : T_NOT;
        token.len = (uint32_t)(1 + space);
        return token;
    }
    if (c == '"' || c == '/') {
        end = c == '"' ? quoted_end(text, at) : regexp_end(text, at, '/');
        token.kind = !end ? T_END : c == '"' ? T_QUOTED : T_REGEXP;
        token.len = (uint32_t)(end ? end - at : 1);
        return token;
    }
    if (c == '~') {
        token.kind = T_TILDE;
        for (size_t step; (step = word_char(text, at + token.len));)
            token.len += (uint32_t)step;
        return token;
    }
    if (c == '*' || c == '?' || start_char(text, at)) {
        token = word_token(text, at);
        if (token.kind == T_TERM && (is_word(text, &token, "AND") || is_word(text, &token, "&&")))
            token.kind = T_AND;
        else if (token.kind == T_TERM &&
                 (is_word(text, &token, "OR") || is_word(text, &token, "||")))
            token.kind = T_OR;
        else if (token.kind == T_TERM && is_word(text, &token, "NOT"))
            token.kind = T_NOT;
    }
    return token;
}

static struct token boost_token(struct vz_slice text, size_t at)
{
    size_t end = at;
    while (end < text.len && text.ptr[end] >= '0' && text.ptr[end] <= '9')
        end++;
    if (end > at && end + 1 < text.len && text.ptr[end] == '.' && text.ptr[end + 1] >= '0' &&
        text.ptr[end + 1] <= '9')
        for (end++; end < text.len && text.ptr[end] >= '0' && text.ptr[end] <= '9';)
            end++;
    return (struct token){end > at ? T_NUMBER : T_END, (uint32_t)at, (uint32_t)(end - at)};
}

static struct token range_token(struct vz_slice text, size_t at)
{
    struct token token = {T_RANGE_WORD, (uint32_t)at, 0};
    if (text.ptr[at] == ']' || text.ptr[at] == '}') {
        token.kind = text.ptr[at] == ']' ? T_RANGE_IN_END : T_RANGE_EX_END;
        token.len = 1;
        return token;
    }
    size_t end = at, quoted = 0;
    while (end < text.len && !strchr(" ]}", text.ptr[end]))
        end++;
    if (text.ptr[at] == '"') {
        quoted = regexp_end(text, at, '"');
        quoted = quoted > at + 2 ? quoted : 0;
    }
    token.len = (uint32_t)(VZ_MAX(end, quoted) - at);
    if (quoted && quoted >= end)
        token.kind = T_RANGE_QUOTED;
    else if (is_word(text, &token, "TO"))
        token.kind = T_TO;
    return token;
}

static uint32_t characters(struct vz_slice text, size_t end)
{
    uint32_t count = 0;
    for (size_t i = 0; i < end && i < text.len; i++)
        count += ((unsigned char)text.ptr[i] & 0xC0) != 0x80;
    return count;
}

/* As much of the query as a message has room for. */
#define QUOTED_BYTES 60
static int quoted_len(struct vz_slice text)
{
    size_t len = VZ_MIN(text.len, (size_t)QUOTED_BYTES);
    while (len && len < text.len && ((unsigned char)text.ptr[len] & 0xC0) == 0x80)
        len--;
    return (int)len;
}

static enum vz_status lexical_error(struct parser *p, size_t at)
{
    struct vz_slice rest = {p->text.ptr + at, p->text.len - at};
    bool opens = rest.len && (rest.ptr[0] == '"' || rest.ptr[0] == '/' || rest.ptr[0] == '\\');
    char seen[32] = "<EOF>";
    if (rest.len && !opens)
        snprintf(seen, sizeof seen, "\"%.*s\" (%u)", (int)VZ_MIN(rest.len, (size_t)1), rest.ptr,
                 (unsigned char)rest.ptr[0]);
    return vz_string_fail(p->run,
                          "Cannot parse '%.*s': Lexical error at line 1, column %u.  Encountered: "
                          "%s after : \"%.*s\"",
                          quoted_len(p->text), p->text.ptr,
                          characters(p->text, opens ? p->text.len : at) + 1, seen,
                          opens ? quoted_len(rest) : 0, rest.ptr);
}

static enum vz_status tokenize(struct parser *p)
{
    enum lexer_state state = S_DEFAULT;
    struct vz_slice text = p->text;
    p->tokens = vz_arena_alloc(p->run->eval->arena, (text.len + 2) * sizeof *p->tokens);
    for (size_t at = 0; at < text.len;) {
        size_t space = space_at(text, at);
        if (space) {
            at += space;
            continue;
        }
        struct token token = state == S_BOOST   ? boost_token(text, at)
                             : state == S_RANGE ? range_token(text, at)
                                                : default_token(text, at);
        if (token.kind == T_END || token.len == 0)
            return lexical_error(p, at);
        p->tokens[p->count++] = token;
        at += token.len;
        if (token.kind == T_CARAT)
            state = S_BOOST;
        else if (token.kind == T_RANGE_IN || token.kind == T_RANGE_EX)
            state = S_RANGE;
        else if (state == S_BOOST || token.kind == T_RANGE_IN_END || token.kind == T_RANGE_EX_END)
            state = S_DEFAULT;
    }
    p->tokens[p->count] = (struct token){T_END, (uint32_t)text.len, 0};
    return VZ_OK;
}

/* ---- grammar --------------------------------------------------------------------------------- */

static const struct token *look(const struct parser *p, size_t ahead)
{
    return &p->tokens[VZ_MIN(p->next + ahead, p->count)];
}

static enum token_kind kind_at(const struct parser *p, size_t ahead)
{
    return look(p, ahead)->kind;
}

static struct vz_slice image(const struct parser *p, const struct token *token)
{
    return (struct vz_slice){p->text.ptr + token->at, token->len};
}

static enum vz_status unexpected(struct parser *p)
{
    const struct token *token = look(p, 0);
    struct vz_slice text = image(p, token);
    char seen[128];
    if (token->kind == T_END)
        snprintf(seen, sizeof seen, "<EOF>");
    else
        snprintf(seen, sizeof seen, " %s \"%.*s \"", token_names[token->kind], quoted_len(text),
                 text.ptr);
    return vz_string_fail(p->run, "Cannot parse '%.*s': Encountered \"%s\" at line 1, column %u.",
                          quoted_len(p->text), p->text.ptr, seen, characters(p->text, token->at));
}

static void put_utf8(struct vz_buf *out, uint32_t code)
{
    char bytes[3];
    size_t len = code < 0x80 ? 1 : code < 0x800 ? 2 : 3;
    if (len == 1)
        bytes[0] = (char)code;
    else if (len == 2) {
        bytes[0] = (char)(0xC0 | code >> 6);
        bytes[1] = (char)(0x80 | (code & 63));
    } else {
        bytes[0] = (char)(0xE0 | code >> 12);
        bytes[1] = (char)(0x80 | (code >> 6 & 63));
        bytes[2] = (char)(0x80 | (code & 63));
    }
    vz_buf_append(out, bytes, len);
}

/* Takes the backslashes away; \uXXXX is a character (half of a pair becomes U+FFFD). */
static enum vz_status unescape(struct parser *p, struct vz_slice text, struct vz_slice *out)
{
    struct vz_buf buf = {0};
    enum vz_status status = VZ_OK;
    for (size_t i = 0; i < text.len && status == VZ_OK; i++) {
        if (text.ptr[i] != '\\') {
            vz_buf_append_char(&buf, text.ptr[i]);
            continue;
        }
        if (++i == text.len) {
            status = vz_string_fail(p->run,
                                    "Cannot parse '%.*s': Term can not end with escape character.",
                                    quoted_len(p->text), p->text.ptr);
            break;
        }
        if (text.ptr[i] != 'u') {
            vz_buf_append_char(&buf, text.ptr[i]);
            continue;
        }
        uint32_t code = 0;
        for (int n = 0; n < 4 && status == VZ_OK; n++) {
            int digit = i + 1 < text.len ? vz_hex_digit(text.ptr[i + 1]) : -2;
            if (digit == -2)
                status = vz_string_fail(p->run,
                                        "Cannot parse '%.*s': Truncated unicode escape sequence.",
                                        quoted_len(p->text), p->text.ptr);
            else if (digit < 0)
                status = vz_string_fail(
                    p->run, "Cannot parse '%.*s': Non-hex character in Unicode escape sequence: %c",
                    quoted_len(p->text), p->text.ptr, text.ptr[i + 1]);
            else {
                code = code * 16 + (uint32_t)digit;
                i++;
            }
        }
        put_utf8(&buf, code >= 0xD800 && code < 0xE000 ? 0xFFFD : code);
    }
    *out = vz_arena_copy(p->run->eval->arena, vz_buf_slice(&buf));
    vz_buf_deinit(&buf);
    return status;
}

/* "^2" and "~1" behind a term, in either order; each once. */
struct tail {
    bool has_boost, has_tilde;
    float boost;
    struct vz_slice tilde; /* what stands behind it */
};

static enum vz_status read_boost(struct parser *p, struct tail *tail)
{
    char copy[40] = "";
    p->next++;
    if (kind_at(p, 0) != T_NUMBER)
        return unexpected(p);
    struct vz_slice number = image(p, look(p, 0));
    memcpy(copy, number.ptr, VZ_MIN(number.len, sizeof copy - 1));
    tail->boost = strtof(copy, NULL);
    tail->has_boost = true;
    p->next++;
    return tail->boost <= 3e38f ? VZ_OK
                                : vz_string_fail(p->run, "boost must be finite, got %s", copy);
}

static enum vz_status read_tail(struct parser *p, bool with_tilde, struct tail *tail)
{
    *tail = (struct tail){.boost = 1};
    for (;;) {
        enum token_kind kind = kind_at(p, 0);
        if (kind == T_CARAT && !tail->has_boost) {
            enum vz_status status = read_boost(p, tail);
            if (status != VZ_OK)
                return status;
        } else if (kind == T_TILDE && with_tilde && !tail->has_tilde) {
            tail->tilde = image(p, look(p, 0));
            tail->tilde = (struct vz_slice){tail->tilde.ptr + 1, tail->tilde.len - 1};
            tail->has_tilde = true;
            p->next++;
        } else {
            return VZ_OK;
        }
    }
}

static void boost_node(struct vz_node *node, const struct tail *tail)
{
    if (node && tail->has_boost)
        node->boost *= tail->boost;
}

static enum vz_status check_edits(struct parser *p, struct vz_slice edits)
{
    if (edits.len == 0 || vz_slice_is(edits, "0") || vz_slice_is(edits, "1") ||
        vz_slice_is(edits, "2") || vz_slice_is(edits, "AUTO") || vz_slice_is(edits, "auto") ||
        vz_slice_is(edits, "0.0") || vz_slice_is(edits, "1.0") || vz_slice_is(edits, "2.0"))
        return VZ_OK;
    char copy[24] = "", *end;
    memcpy(copy, edits.ptr, VZ_MIN(edits.len, sizeof copy - 1));
    float number = strtof(copy, &end);
    if (*end || end == copy)
        return vz_query_fail(p->run->err, VZ_BAD_QUERY, "failed to parse [%.*s] as a \"fuzziness\"",
                             quoted_len(edits), edits.ptr);
    if (number < 1 && number > 0)
        return VZ_OK;
    return vz_query_fail(
        p->run->err, VZ_BAD_QUERY, "Valid edit distances are [0, 1, 2] but was [%s]",
        number == (float)(int)number ? vz_arena_printf(p->run->eval->arena, "%d", (int)number)
                                     : copy);
}

static enum vz_status parse_bare(struct parser *p, struct vz_slice field, struct vz_node **out)
{
    struct token token = *look(p, 0);
    struct vz_slice text = image(p, &token), plain;
    struct tail tail;
    p->next++;
    if (token.kind == T_BARE)
        text.len = 1;
    enum vz_status status = read_tail(p, true, &tail);
    if (status == VZ_OK)
        status = unescape(p, text, &plain);
    if (status != VZ_OK)
        return status;
    if (token.kind == T_STAR || token.kind == T_WILD)
        status = vz_string_wildcard(p->run, field, vz_arena_copy(p->run->eval->arena, text), out);
    else if (token.kind == T_PREFIX)
        status = vz_string_prefix(p->run, field, (struct vz_slice){plain.ptr, plain.len - 1}, out);
    else if (token.kind == T_REGEXP)
        status =
            vz_string_regexp(p->run, field, (struct vz_slice){text.ptr + 1, text.len - 2}, out);
    else if (tail.has_tilde) {
        status = check_edits(p, tail.tilde);
        if (status == VZ_OK)
            status = vz_string_fuzzy(p->run, field, plain, tail.tilde, out);
    } else
        status = vz_string_term(p->run, field, plain, out, NULL);
    if (status == VZ_OK)
        boost_node(*out, &tail);
    return status;
}

static enum vz_status range_bound(struct parser *p, bool *set, struct vz_slice *out)
{
    const struct token *token = look(p, 0);
    struct vz_slice text = image(p, token);
    if (token->kind != T_RANGE_WORD && token->kind != T_RANGE_QUOTED && token->kind != T_TO)
        return unexpected(p);
    p->next++;
    *set = !(token->kind == T_RANGE_WORD && vz_slice_is(text, "*"));
    if (token->kind == T_RANGE_QUOTED)
        text = (struct vz_slice){text.ptr + 1, text.len - 2};
    return unescape(p, text, out);
}

static enum vz_status parse_range(struct parser *p, struct vz_slice field, struct vz_node **out)
{
    struct vz_string_bounds bounds = {.lower_inclusive = kind_at(p, 0) == T_RANGE_IN};
    struct tail tail;
    p->next++;
    enum vz_status status = range_bound(p, &bounds.has_lower, &bounds.lower);
    if (status != VZ_OK)
        return status;
    if (kind_at(p, 0) != T_TO)
        return unexpected(p);
    p->next++;
    status = range_bound(p, &bounds.has_upper, &bounds.upper);
    if (status != VZ_OK)
        return status;
    if (kind_at(p, 0) != T_RANGE_IN_END && kind_at(p, 0) != T_RANGE_EX_END)
        return unexpected(p);
    bounds.upper_inclusive = kind_at(p, 0) == T_RANGE_IN_END;
    p->next++;
    status = read_tail(p, false, &tail);
    if (status == VZ_OK)
        status = vz_string_range(p->run, field, &bounds, out);
    if (status == VZ_OK)
        boost_node(*out, &tail);
    return status;
}

static enum vz_status parse_quoted(struct parser *p, struct vz_slice field, struct vz_node **out)
{
    struct vz_slice text = image(p, look(p, 0)), plain;
    struct tail tail;
    uint32_t slop = p->run->clause->phrase_slop;
    p->next++;
    enum vz_status status = read_tail(p, true, &tail);
    if (status == VZ_OK)
        status = unescape(p, (struct vz_slice){text.ptr + 1, text.len - 2}, &plain);
    if (status == VZ_OK && tail.has_tilde) {
        char copy[24] = "", *end;
        memcpy(copy, tail.tilde.ptr, VZ_MIN(tail.tilde.len, sizeof copy - 1));
        float number = strtof(copy, &end);
        if (end != copy && !*end && number >= 0)
            slop = number < 1e9f ? (uint32_t)number : 1000000000;
    }
    if (status == VZ_OK)
        status = vz_string_phrase(p->run, field, plain, slop, out);
    if (status == VZ_OK)
        boost_node(*out, &tail);
    return status;
}

static enum vz_status parse_query(struct parser *p, struct vz_slice field, struct vz_node **out);

static enum vz_status parse_group(struct parser *p, struct vz_slice field, struct vz_node **out)
{
    struct tail tail = {.boost = 1};
    p->next++;
    if (++p->depth > VZ_MAX_STRING_DEPTH)
        return vz_string_fail(p->run,
                              "The nested depth of the query exceeds the maximum nested depth for "
                              "queries set in [indices.query.bool.max_nested_depth]");
    enum vz_status status = parse_query(p, field, out);
    p->depth--;
    if (status != VZ_OK)
        return status;
    if (kind_at(p, 0) != T_CLOSE)
        return unexpected(p);
    p->next++;
    if (kind_at(p, 0) == T_CARAT)
        status = read_boost(p, &tail);
    if (status == VZ_OK)
        boost_node(*out, &tail);
    return status;
}

static enum vz_status parse_clause(struct parser *p, struct vz_slice field, struct vz_node **out)
{
    *out = NULL;
    if ((kind_at(p, 0) == T_TERM || kind_at(p, 0) == T_STAR) && kind_at(p, 1) == T_COLON) {
        enum vz_status status = unescape(p, image(p, look(p, 0)), &field);
        if (status != VZ_OK)
            return status;
        p->next += 2;
    }
    switch (kind_at(p, 0)) {
    case T_OPEN:
        return parse_group(p, field, out);
    case T_QUOTED:
        return parse_quoted(p, field, out);
    case T_RANGE_IN:
    case T_RANGE_EX:
        return parse_range(p, field, out);
    case T_TERM:
    case T_STAR:
    case T_PREFIX:
    case T_WILD:
    case T_REGEXP:
    case T_BARE:
        return parse_bare(p, field, out);
    default:
        return unexpected(p);
    }
}

/* Whether two words stand in a row, and nothing behind the second makes it a clause of its own. */
static bool words_ahead(const struct parser *p, size_t first)
{
    enum token_kind behind = kind_at(p, first + 1);
    return kind_at(p, first) == T_TERM && behind != T_COLON && behind != T_STAR &&
           behind != T_TILDE && behind != T_CARAT && behind != T_AND && behind != T_OR;
}

/* Words in a row are one text; the clauses that it is made of stand beside the others. */
static enum vz_status parse_words(struct parser *p, struct vz_slice field,
                                  struct vz_clause_list *clauses)
{
    struct vz_buf text = {0};
    struct vz_slice plain;
    struct vz_node *node = NULL;
    struct vz_node_list list = {0};
    enum vz_occur occur = p->run->clause->every ? VZ_MUST : VZ_SHOULD;
    vz_buf_append_slice(&text, image(p, look(p, 0)));
    p->next++;
    while (words_ahead(p, 0)) {
        vz_buf_append_char(&text, ' ');
        vz_buf_append_slice(&text, image(p, look(p, 0)));
        p->next++;
    }
    enum vz_status status = unescape(p, vz_buf_slice(&text), &plain);
    vz_buf_deinit(&text);
    if (status == VZ_OK)
        status = vz_string_term(p->run, field, plain, &node, &list);
    if (status != VZ_OK || !node)
        return status;
    for (size_t i = 0; i < list.count; i++) {
        if (vz_string_count(p->run) != VZ_OK)
            return VZ_BAD_QUERY;
        vz_clause_add(p->run->eval, clauses, list.items[i], occur);
    }
    if (list.count == 0)
        vz_clause_add(p->run->eval, clauses, node, occur);
    return VZ_OK;
}

enum conjunction { C_NONE, C_AND, C_OR };
enum modifier { M_NONE, M_NOT, M_REQUIRED };

static enum conjunction read_conjunction(struct parser *p)
{
    enum token_kind kind = kind_at(p, 0);
    p->next += kind == T_AND || kind == T_OR;
    return kind == T_AND ? C_AND : kind == T_OR ? C_OR : C_NONE;
}

static enum modifier read_modifier(struct parser *p)
{
    enum token_kind kind = kind_at(p, 0);
    p->next += kind == T_PLUS || kind == T_MINUS || kind == T_NOT;
    return kind == T_PLUS ? M_REQUIRED : kind == T_MINUS || kind == T_NOT ? M_NOT : M_NONE;
}

static void add_clause(struct parser *p, struct vz_clause_list *clauses, enum conjunction conj,
                       enum modifier mod, struct vz_node *node)
{
    bool every = p->run->clause->every;
    if (clauses->count && clauses->items[clauses->count - 1].occur != VZ_MUST_NOT) {
        if (conj == C_AND)
            clauses->items[clauses->count - 1].occur = VZ_MUST;
        else if (conj == C_OR && every)
            clauses->items[clauses->count - 1].occur = VZ_SHOULD;
    }
    if (!node)
        return;
    bool required = every ? conj != C_OR : mod == M_REQUIRED || conj == C_AND;
    vz_clause_add(p->run->eval, clauses, node,
                  mod == M_NOT ? VZ_MUST_NOT
                  : required   ? VZ_MUST
                               : VZ_SHOULD);
}

static bool clause_ahead(const struct parser *p)
{
    switch (kind_at(p, 0)) {
    case T_END:
    case T_CLOSE:
    case T_COLON:
    case T_CARAT:
    case T_TILDE:
        return false;
    default:
        return true;
    }
}

static enum vz_status parse_query(struct parser *p, struct vz_slice field, struct vz_node **out)
{
    struct vz_clause_list clauses = {0};
    struct vz_node *first = NULL;
    bool any = false;
    *out = NULL;
    do {
        struct vz_node *node;
        enum vz_status status;
        if (kind_at(p, 0) == T_TERM && words_ahead(p, 1)) {
            status = parse_words(p, field, &clauses);
        } else {
            enum conjunction conj = any ? read_conjunction(p) : C_NONE;
            enum modifier mod = read_modifier(p);
            status = parse_clause(p, field, &node);
            if (status == VZ_OK)
                add_clause(p, &clauses, conj, mod, node);
            if (status == VZ_OK && !any && mod == M_NONE)
                first = node;
        }
        if (status != VZ_OK)
            return status;
        any = true;
    } while (clause_ahead(p));
    if (clauses.count == 1 && first) {
        *out = first;
    } else if (clauses.count) {
        *out = vz_clause_bool(p->run->eval, &clauses);
        vz_fix_negative(p->run->eval, *out);
    }
    return VZ_OK;
}

enum vz_status vz_string_parse(struct vz_string_run *run, struct vz_slice text,
                               struct vz_node **out)
{
    struct parser p = {.run = run, .text = text};
    *out = NULL;
    if (text.len > VZ_MAX_STRING_BYTES)
        return vz_query_fail(run->err, VZ_BAD_QUERY,
                             "Query string length exceeds max allowed length %zu; actual length: "
                             "%zu",
                             VZ_MAX_STRING_BYTES, text.len);
    enum vz_status status = tokenize(&p);
    if (status == VZ_OK)
        status = parse_query(&p, (struct vz_slice){0}, out);
    if (status == VZ_OK && kind_at(&p, 0) != T_END)
        status = unexpected(&p);
    return status;
}
