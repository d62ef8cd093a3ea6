/* Completions as terms, and how far a text is from being a prefix of one. */
#include "text/completion.h"
#include "text/analysis_parts.h"
#include "text/edits.h"

#include <limits.h>
#include <stdio.h>

#define SEPARATOR '\x1F'
#define HOLE '\x1E' /* a word that a filter took out */
#define MAX_CHARS 256

enum vz_status vz_completion_analyze(const struct vz_completion_form *form, struct vz_slice text,
                                     struct vz_tokens *tokens, struct vz_buf *out,
                                     struct vz_error *err)
{
    enum vz_status status = vz_analyze(form->analyzer, text, tokens, err);
    uint32_t next = 0; /* position */
    bool any = false;
    for (size_t i = 0; status == VZ_OK && i < tokens->count; i++) {
        const struct vz_token *token = &tokens->items[i];
        if (any && token->position < next)
            continue; /* another word of the same place */
        for (uint32_t p = next; !form->no_gaps && p < token->position && p - next < MAX_CHARS;
             p++) {
            vz_buf_append_char(out, HOLE);
            if (!form->no_separators)
                vz_buf_append_char(out, SEPARATOR);
        }
        vz_buf_append_slice(out, token->text);
        next = token->position + VZ_MAX(token->position_length, 1u);
        any = true;
        if (i + 1 < tokens->count && tokens->items[tokens->count - 1].position >= next &&
            !form->no_separators)
            vz_buf_append_char(out, SEPARATOR);
    }
    return status;
}

void vz_completion_put(struct vz_slice form, uint32_t weight, struct vz_slice surface,
                       struct vz_buf *out)
{
    vz_buf_append_slice(out, form);
    vz_buf_append_char(out, 0);
    vz_buf_printf(out, "%08x", weight);
    vz_buf_append_char(out, 0);
    vz_buf_append_slice(out, surface);
}

bool vz_completion_read(struct vz_slice term, struct vz_completion *out)
{
    const char *end = term.len ? memchr(term.ptr, 0, term.len) : NULL;
    if (!end)
        return false;
    size_t len = (size_t)(end - term.ptr);
    if (term.len < len + 10 || end[9] != 0)
        return false;
    uint32_t weight = 0;
    for (int i = 1; i <= 8; i++) {
        char c = end[i];
        unsigned digit = c >= '0' && c <= '9' ? (unsigned)(c - '0') : (unsigned)(c - 'a') + 10;
        if (digit > 15)
            return false;
        weight = weight << 4 | digit;
    }
    *out = (struct vz_completion){{term.ptr, len}, {end + 10, term.len - len - 10}, weight};
    return true;
}

static size_t characters(struct vz_slice text, uint32_t out[MAX_CHARS])
{
    size_t count = 0;
    for (size_t at = 0; at < text.len && count < MAX_CHARS;)
        out[count++] = (uint32_t)vz_next_char(text, &at);
    return count;
}

unsigned vz_completion_edits(struct vz_slice query, struct vz_slice form, unsigned most,
                             size_t exact, bool swaps, size_t *common)
{
    uint32_t a[MAX_CHARS], b[MAX_CHARS];
    unsigned rows[3 * (MAX_CHARS + 1)];
    size_t n = characters(query, a);
    size_t m = VZ_MIN(characters(form, b), n + most); /* longer prefixes are further away */
    for (*common = 0; *common < query.len && *common < form.len; ++*common)
        if (query.ptr[*common] != form.ptr[*common])
            break;
    for (size_t i = 0; i < exact && i < n; i++)
        if (i >= m || a[i] != b[i])
            return UINT_MAX;
    const unsigned *last = vz_edits(a, n, b, m, swaps, rows);
    unsigned least = UINT_MAX;
    for (size_t j = 0; j <= m; j++)
        least = VZ_MIN(least, last[j]);
    return least <= most ? least : UINT_MAX;
}
