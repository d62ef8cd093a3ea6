/* embed/tokenizer_match.c - the few patterns that published tokenizers look for, by hand.
 *
 * Each is a regular expression of tokenizer.json, told by its exact text (tokenizer_config.c);
 * others are refused there. ICU's regex was the alternative: it wants UTF-16, takes its classes
 * from another Unicode than the library's and is some twenty times slower.
 */
#include "embed/tokenizer_parts.h"

static unsigned class_at(struct vz_slice text, size_t at, size_t *next)
{
    *next = at;
    return at < text.len ? tok_class_of(tok_next(text.ptr, next)) : 0;
}

/* The end of the run of characters from `at` with one of `any` and none of `none` (0: no matter).
 */
static size_t run_end(struct vz_slice text, size_t at, unsigned any, unsigned none)
{
    size_t next;
    while (at < text.len) {
        unsigned classes = class_at(text, at, &next);
        if ((any && !(classes & any)) || classes & none)
            break;
        at = next;
    }
    return at;
}

#define OTHER (TOK_SPACE | TOK_LETTER | TOK_NUMBER) /* what [^\s\p{L}\p{N}] is not */

/* 's 't 're 've 'm 'll 'd */
static size_t contraction(struct vz_slice text, size_t at)
{
    if (text.len - at < 2 || text.ptr[at] != '\'')
        return 0;
    char a = text.ptr[at + 1], b = text.len - at > 2 ? text.ptr[at + 2] : '\0';
    if (a == 's' || a == 't' || a == 'm' || a == 'd')
        return 2;
    return (a == 'r' && b == 'e') || (a == 'v' && b == 'e') || (a == 'l' && b == 'l') ? 3 : 0;
}

/* 's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+ matches everywhere. */
static size_t gpt2_end(struct vz_slice text, size_t start)
{
    size_t at = contraction(text, start), next;
    if (at)
        return start + at;
    at = start + (text.ptr[start] == ' ');
    if (at < text.len) {
        unsigned classes = class_at(text, at, &next);
        if (classes & TOK_LETTER)
            return run_end(text, next, TOK_LETTER, 0);
        if (classes & TOK_NUMBER)
            return run_end(text, next, TOK_NUMBER, 0);
        if (!(classes & TOK_SPACE))
            return run_end(text, next, 0, OTHER);
    }
    /* White space; the last of it is left to the word behind, if there is one. */
    size_t end = run_end(text, start, TOK_SPACE, 0);
    if (end == text.len)
        return end;
    size_t last = end - 1;
    while (((unsigned char)text.ptr[last] & 0xC0) == 0x80)
        last--;
    return last > start ? last : end;
}

/* <\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+
 * matches everything but white space. */
static size_t clip_end(const struct tok_matcher *find, struct vz_slice text, size_t start)
{
    static const char *const marks[] = {"<|startoftext|>", "<|endoftext|>"};
    struct vz_slice rest = {text.ptr + start, text.len - start};
    for (size_t i = 0; find->has_marks && i < VZ_COUNT_OF(marks); i++)
        if (rest.ptr[0] == '<' && vz_slice_starts(rest, marks[i]))
            return start + strlen(marks[i]);
    size_t len = contraction(text, start), next;
    if (len)
        return start + len;
    unsigned classes = class_at(text, start, &next);
    if (classes & TOK_LETTER)
        return run_end(text, next, TOK_LETTER, 0);
    if (classes & TOK_NUMBER)
        return next;
    return run_end(text, next, 0, OTHER);
}

static size_t words_end(struct vz_slice text, size_t start)
{
    size_t next;
    if (class_at(text, start, &next) & TOK_WORD)
        return run_end(text, next, TOK_WORD, 0);
    return run_end(text, next, 0, TOK_WORD | TOK_SPACE);
}

static bool text_find(const struct tok_matcher *find, struct vz_slice text, size_t from,
                      size_t *start, size_t *end)
{
    if (from >= text.len)
        return false;
    const char *hit = memmem(text.ptr + from, text.len - from, find->text.ptr, find->text.len);
    if (!hit)
        return false;
    *start = (size_t)(hit - text.ptr);
    *end = *start + find->text.len;
    return true;
}

/* A run of two blanks or more. */
static bool blanks_find(struct vz_slice text, size_t from, size_t *start, size_t *end)
{
    static const struct tok_matcher two = {.pattern = TOK_PAT_TEXT, .text = {"  ", 2}};
    if (!text_find(&two, text, from, start, end))
        return false;
    while (*end < text.len && text.ptr[*end] == ' ')
        ++*end;
    return true;
}

/* The next character with one of `any`, or without any of `none` where `any` is 0. */
static bool class_find(struct vz_slice text, size_t from, unsigned any, unsigned none,
                       size_t *start, size_t *end)
{
    while (from < text.len) {
        unsigned classes = class_at(text, from, end);
        if (any ? classes & any : !(classes & none)) {
            *start = from;
            return true;
        }
        from = *end;
    }
    return false;
}

bool tok_match(const struct tok_matcher *find, struct vz_slice text, size_t from, size_t *start,
               size_t *end)
{
    switch (find->pattern) {
    case TOK_PAT_TEXT:
        return text_find(find, text, from, start, end);
    case TOK_PAT_CLASS:
        return class_find(text, from, find->classes, 0, start, end);
    case TOK_PAT_SPACE:
        return class_find(text, from, TOK_SPACE, 0, start, end);
    case TOK_PAT_SPACES:
        if (!class_find(text, from, TOK_SPACE, 0, start, end))
            return false;
        *end = run_end(text, *end, TOK_SPACE, 0);
        return true;
    case TOK_PAT_BLANKS:
        return blanks_find(text, from, start, end);
    case TOK_PAT_GPT2:
        if (from >= text.len)
            return false;
        *start = from;
        *end = gpt2_end(text, from);
        return true;
    case TOK_PAT_CLIP:
    case TOK_PAT_WORDS:
        if (!class_find(text, from, 0, TOK_SPACE, start, end))
            return false;
        *end =
            find->pattern == TOK_PAT_CLIP ? clip_end(find, text, *start) : words_end(text, *start);
        return true;
    }
    return false;
}
