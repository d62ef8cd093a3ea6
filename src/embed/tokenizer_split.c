/* embed/tokenizer_split.c - pieces to smaller pieces, depth first.
 *
 * Each splitter cuts its piece and hands every part to the next one; the last hands it to the
 * model. tokenizers goes breadth first, which gives the same, because no splitter looks beyond its
 * piece. Depth first needs no list of pieces and stops as soon as enough tokens are there.
 */
#include <stdlib.h>

#include "embed/tokenizer_parts.h"

static bool span_put(struct tok_run *run, size_t stage, size_t *count, size_t start, size_t end,
                     bool is_match)
{
    if (*count == run->span_capacity[stage]) {
        size_t capacity = *count ? *count * 2 : 64;
        struct tok_span *grown = realloc(run->spans[stage], capacity * sizeof *grown);
        if (!grown) {
            run->is_broke = true;
            return false;
        }
        run->spans[stage] = grown;
        run->span_capacity[stage] = capacity;
    }
    run->spans[stage][(*count)++] = (struct tok_span){(uint32_t)start, (uint32_t)end, is_match};
    return true;
}

/* The whole piece as matches and what is between them, inverted if so asked. */
static size_t spans_find(struct tok_run *run, size_t stage, const struct tok_splitter *splitter,
                         struct vz_slice piece)
{
    size_t count = 0, done = 0, start, end;
    while (!run->is_broke && tok_match(&splitter->find, piece, done, &start, &end)) {
        if (start > done)
            span_put(run, stage, &count, done, start, splitter->invert);
        span_put(run, stage, &count, start, end, !splitter->invert);
        done = end;
    }
    if (done < piece.len)
        span_put(run, stage, &count, done, piece.len, splitter->invert);
    return run->is_broke ? 0 : count;
}

/* A match joins the piece before it, but not one that a match has joined already. */
static size_t join_previous(struct tok_span *spans, size_t count)
{
    size_t kept = 0;
    bool after_match = false;
    for (size_t i = 0; i < count; i++) {
        struct tok_span span = spans[i];
        if (span.is_match && !after_match && kept)
            spans[kept - 1].end = span.end;
        else
            spans[kept++] = span;
        after_match = span.is_match;
    }
    return kept;
}

/* The same from the end: kept spans gather at the top of the array. */
static size_t join_next(struct tok_span *spans, size_t count)
{
    size_t top = count;
    bool after_match = false;
    for (size_t i = count; i-- > 0;) {
        struct tok_span span = spans[i];
        if (span.is_match && !after_match && top < count)
            spans[top].start = span.start;
        else
            spans[--top] = span;
        after_match = span.is_match;
    }
    memmove(spans, spans + top, (count - top) * sizeof *spans);
    return count - top;
}

static size_t join_alike(struct tok_span *spans, size_t count)
{
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        if (kept && spans[kept - 1].is_match == spans[i].is_match)
            spans[kept - 1].end = spans[i].end;
        else
            spans[kept++] = spans[i];
    }
    return kept;
}

static void hand_on(struct tok_run *run, size_t stage, const struct tok_splitter *splitter,
                    struct vz_slice piece, bool is_first)
{
    size_t count = spans_find(run, stage, splitter, piece);
    struct tok_span *spans = run->spans[stage];
    if (splitter->behavior == TOK_WITH_PREVIOUS)
        count = join_previous(spans, count);
    else if (splitter->behavior == TOK_WITH_NEXT)
        count = join_next(spans, count);
    else if (splitter->behavior == TOK_CONTIGUOUS)
        count = join_alike(spans, count);
    for (size_t i = 0; i < count && !tok_run_full(run); i++) {
        struct tok_span span = spans[i];
        if (splitter->behavior == TOK_REMOVED && span.is_match)
            continue;
        struct vz_slice part = {piece.ptr + span.start, span.end - span.start};
        tok_split(run, stage + 1, part, is_first && span.start == 0);
    }
}

/* GPT-2's words, and each byte as the character that stands for it. */
static void split_bytes(struct tok_run *run, size_t stage, const struct tok_splitter *splitter,
                        struct vz_slice piece, bool is_first)
{
    struct vz_buf *out = &run->rewritten[stage];
    vz_buf_clear(out);
    vz_buf_reserve(out, piece.len * 2 + 8);
    bool needs_blank = splitter->prefix && piece.ptr[0] != ' ';
    if (!splitter->split) {
        if (needs_blank)
            out->len += tok_put(tok_byte_char[' '], out->data + out->len);
        for (size_t i = 0; i < piece.len; i++)
            out->len += tok_put(tok_byte_char[(unsigned char)piece.ptr[i]], out->data + out->len);
        tok_split(run, stage + 1, vz_buf_slice(out), is_first);
        return;
    }
    static const struct tok_matcher words = {.pattern = TOK_PAT_GPT2};
    struct vz_buf blank_first = {0};
    if (needs_blank) {
        vz_buf_append_char(&blank_first, ' ');
        vz_buf_append_slice(&blank_first, piece);
        piece = vz_buf_slice(&blank_first);
    }
    for (size_t at = 0, start, end;
         !tok_run_full(run) && tok_match(&words, piece, at, &start, &end); at = end) {
        vz_buf_clear(out);
        vz_buf_reserve(out, (end - start) * 2 + 8);
        for (size_t i = start; i < end; i++)
            out->len += tok_put(tok_byte_char[(unsigned char)piece.ptr[i]], out->data + out->len);
        tok_split(run, stage + 1, vz_buf_slice(out), is_first && start == 0);
    }
    vz_buf_deinit(&blank_first);
}

/* Blanks become the mark, one stands before the first word. */
static void split_metaspace(struct tok_run *run, size_t stage, const struct tok_splitter *splitter,
                            struct vz_slice piece, bool is_first)
{
    struct vz_buf *out = &run->rewritten[stage];
    struct vz_slice mark = splitter->find.text;
    vz_buf_clear(out);
    bool has_mark = piece.ptr[0] == ' ' ||
                    (piece.len >= mark.len && memcmp(piece.ptr, mark.ptr, mark.len) == 0);
    if (splitter->prefix && !has_mark && (is_first || !splitter->first))
        vz_buf_append_slice(out, mark);
    vz_buf_reserve(out, piece.len * mark.len + 8);
    for (size_t i = 0; i < piece.len; i++) {
        if (piece.ptr[i] == ' ') {
            memcpy(out->data + out->len, mark.ptr, mark.len);
            out->len += mark.len;
        } else {
            out->data[out->len++] = piece.ptr[i];
        }
    }
    if (splitter->split)
        hand_on(run, stage, splitter, vz_buf_slice(out), is_first);
    else
        tok_split(run, stage + 1, vz_buf_slice(out), is_first);
}

void tok_split(struct tok_run *run, size_t stage, struct vz_slice piece, bool is_first)
{
    if (!piece.len || tok_run_full(run))
        return;
    if (stage == run->tokenizer->splitter_count) {
        tok_model_run(run, piece);
        return;
    }
    const struct tok_splitter *splitter = &run->tokenizer->splitters[stage];
    switch (splitter->kind) {
    case TOK_SPLIT_BYTES:
        split_bytes(run, stage, splitter, piece, is_first);
        break;
    case TOK_SPLIT_METASPACE:
        split_metaspace(run, stage, splitter, piece, is_first);
        break;
    default:
        hand_on(run, stage, splitter, piece, is_first);
    }
}
