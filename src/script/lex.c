/* Source to tokens. */
#include "script/parts.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>

/* Longest first. */
static const char *const signs[] = {
    ">>>=", "===", "!==", ">>>", "<<=", ">>=", "==~", "==", "!=", "<=", ">=", "&&", "||", "++",
    "--",   "+=",  "-=",  "*=",  "/=",  "%=",  "&=",  "|=", "^=", "<<", ">>", "?.", "?:", "->",
    "::",   "=~",  "+",   "-",   "*",   "/",   "%",   "=",  "<",  ">",  "!",  "~",  "&",  "|",
    "^",    "?",   ":",   ";",   ",",   ".",   "(",   ")",  "[",  "]",  "{",  "}",
};

static bool is_name_start(char c)
{
    return isalpha((unsigned char)c) || c == '_' || c == '$';
}

static bool is_name_part(char c)
{
    return is_name_start(c) || isdigit((unsigned char)c);
}

static char peek(const struct vz_lexer *lexer, size_t ahead)
{
    size_t at = lexer->at + ahead;
    return at < lexer->source.len ? lexer->source.ptr[at] : '\0';
}

static enum vz_status skip_blanks(struct vz_lexer *lexer, struct vz_error *err)
{
    for (;;) {
        char c = peek(lexer, 0);
        if (lexer->at < lexer->source.len && isspace((unsigned char)c)) {
            lexer->at++;
        } else if (c == '/' && peek(lexer, 1) == '/') {
            while (lexer->at < lexer->source.len && peek(lexer, 0) != '\n')
                lexer->at++;
        } else if (c == '/' && peek(lexer, 1) == '*') {
            uint32_t start = lexer->at;
            lexer->at += 2;
            while (lexer->at < lexer->source.len &&
                   !(peek(lexer, 0) == '*' && peek(lexer, 1) == '/'))
                lexer->at++;
            if (lexer->at >= lexer->source.len)
                return vz_fail_at(err, VZ_BAD_ARGUMENT, start, "unexpected end of script.");
            lexer->at += 2;
        } else {
            return VZ_OK;
        }
    }
}

static enum vz_status bad_number(const struct vz_token *token, struct vz_error *err)
{
    return vz_fail_at(err, VZ_BAD_ARGUMENT, token->offset, "Invalid int constant [%.*s].",
                      (int)VZ_MIN(token->text.len, (size_t)60), token->text.ptr);
}

static enum vz_status whole_number(struct vz_token *token, int base, struct vz_error *err)
{
    char digits[72];
    struct vz_slice text = token->text;
    bool is_long = text.ptr[text.len - 1] == 'l' || text.ptr[text.len - 1] == 'L';
    text.len -= is_long;
    if (base == 16) {
        text.ptr += 2;
        text.len -= 2;
    }
    if (text.len == 0 || text.len >= sizeof digits)
        return bad_number(token, err);
    memcpy(digits, text.ptr, text.len);
    digits[text.len] = '\0';
    errno = 0;
    char *end;
    unsigned long long value = strtoull(digits, &end, base);
    /* 2^31 and 2^63 are let through for a minus before them. */
    unsigned long long most =
        base != 10 ? (is_long ? UINT64_MAX : UINT32_MAX) : (is_long ? 1ull << 63 : 1ull << 31);
    if (errno || *end || value > most)
        return bad_number(token, err);
    token->constant = is_long ? vz_cell_long((int64_t)value) : vz_cell_int((int64_t)value);
    return VZ_OK;
}

static enum vz_status lex_number(struct vz_lexer *lexer, struct vz_token *token,
                                 struct vz_error *err)
{
    uint32_t start = lexer->at;
    bool is_real = false, hex = peek(lexer, 0) == '0' && (peek(lexer, 1) | 0x20) == 'x';
    if (hex)
        lexer->at += 2;
    for (;;) {
        char c = peek(lexer, 0), low = (char)(c | 0x20);
        if (!hex && c == '.' && isdigit((unsigned char)peek(lexer, 1)) && !is_real) {
            is_real = true;
        } else if (!hex && low == 'e' &&
                   (isdigit((unsigned char)peek(lexer, 1)) || peek(lexer, 1) == '-' ||
                    peek(lexer, 1) == '+')) {
            is_real = true;
            lexer->at++;
        } else if (!isdigit((unsigned char)c) && !(hex && isxdigit((unsigned char)c))) {
            break;
        }
        lexer->at++;
    }
    char suffix = (char)(peek(lexer, 0) | 0x20);
    if ((suffix == 'l' && !is_real) || (!hex && (suffix == 'f' || suffix == 'd')))
        lexer->at++;
    else
        suffix = '\0';
    token->kind = VZ_TOKEN_NUMBER;
    token->text = (struct vz_slice){lexer->source.ptr + start, lexer->at - start};
    if (is_name_part(peek(lexer, 0)))
        return bad_number(token, err);
    if (!is_real && suffix != 'f' && suffix != 'd') {
        bool octal = !hex && token->text.len > 1 && token->text.ptr[0] == '0' &&
                     isdigit((unsigned char)token->text.ptr[1]);
        return whole_number(token, hex ? 16 : octal ? 8 : 10, err);
    }
    char digits[128];
    size_t len = token->text.len - (suffix == 'f' || suffix == 'd');
    if (len >= sizeof digits)
        return bad_number(token, err);
    memcpy(digits, token->text.ptr, len);
    digits[len] = '\0';
    double value = strtod(digits, NULL);
    token->constant = vz_cell_double(value);
    if (suffix == 'f') {
        token->constant.tag = VZ_CELL_FLOAT;
        token->constant.number = (double)(float)value;
    }
    return VZ_OK;
}

static enum vz_status lex_string(struct vz_lexer *lexer, struct vz_token *token,
                                 struct vz_error *err)
{
    char quote = peek(lexer, 0);
    char *out = vz_arena_alloc(lexer->arena, lexer->source.len - lexer->at + 1);
    size_t len = 0;
    lexer->at++;
    for (;; lexer->at++) {
        char c = peek(lexer, 0);
        if (lexer->at >= lexer->source.len || c == '\n')
            return vz_fail_at(err, VZ_BAD_ARGUMENT, token->offset, "unexpected character [%c].",
                              quote);
        if (c == quote)
            break;
        if (c == '\\') {
            static const char from[] = "\\'\"ntrbf", to[] = "\\'\"\n\t\r\b\f";
            lexer->at++;
            c = peek(lexer, 0);
            const char *found = c ? strchr(from, c) : NULL;
            if (!found)
                return vz_fail_at(err, VZ_BAD_ARGUMENT, lexer->at - 1,
                                  "unexpected character [\\%c]. The only valid escape sequences "
                                  "in strings starting with [%c] are [\\\\], [\\%c], [\\n], [\\t], "
                                  "[\\r], [\\b] and [\\f].",
                                  c ? c : ' ', quote, quote);
            c = to[found - from];
        }
        out[len++] = c;
    }
    lexer->at++;
    out[len] = '\0';
    token->kind = VZ_TOKEN_STRING;
    token->text = (struct vz_slice){out, len};
    return VZ_OK;
}

enum vz_status vz_lex(struct vz_lexer *lexer, struct vz_token *token, struct vz_error *err)
{
    enum vz_status status = skip_blanks(lexer, err);
    if (status != VZ_OK)
        return status;
    bool after_operand = lexer->after_operand;
    *token = (struct vz_token){.offset = lexer->at};
    if (lexer->at >= lexer->source.len)
        return VZ_OK;
    char c = peek(lexer, 0);
    lexer->after_operand = true;
    if (is_name_start(c)) {
        while (is_name_part(peek(lexer, 0)))
            lexer->at++;
        token->kind = VZ_TOKEN_NAME;
        token->text =
            (struct vz_slice){lexer->source.ptr + token->offset, lexer->at - token->offset};
        lexer->after_operand = !vz_slice_is(token->text, "return");
        return VZ_OK;
    }
    if (isdigit((unsigned char)c))
        return lex_number(lexer, token, err);
    if (c == '\'' || c == '"')
        return lex_string(lexer, token, err);
    if (c == '/' && !after_operand)
        return vz_fail_at(err, VZ_UNSUPPORTED, lexer->at,
                          "regular expressions in scripts are not supported by vizsla");
    struct vz_slice rest = {lexer->source.ptr + lexer->at, lexer->source.len - lexer->at};
    for (size_t i = 0; i < VZ_COUNT_OF(signs); i++) {
        if (!vz_slice_starts(rest, signs[i]))
            continue;
        token->kind = VZ_TOKEN_SIGN;
        token->text = vz_slice_from(signs[i]);
        lexer->at += (uint32_t)token->text.len;
        lexer->after_operand = c == ')' || c == ']' || c == '}';
        return VZ_OK;
    }
    size_t bytes = c & 0x80 ? (c & 0x20 ? (c & 0x10 ? 4 : 3) : 2) : 1; /* of a UTF-8 character */
    return vz_fail_at(err, VZ_BAD_ARGUMENT, lexer->at, "unexpected character [%.*s].",
                      (int)VZ_MIN(bytes, rest.len), rest.ptr);
}
