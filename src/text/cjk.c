/* cjk_bigram: Chinese, Japanese and Korean characters that stand side by side as pairs, as Lucene
 * 9.12's CJKBigramFilter makes them. The standard tokenizer gives Han and Hiragana as single
 * characters, Katakana and Hangul as words; all are taken apart here. */
#include "text/analysis_parts.h"

#include <stdlib.h>

struct bigrams {
    bool types[VZ_TOKEN_FINGERPRINT + 1]; /* which tokens are made pairs of */
    bool unigrams;
};

/* Characters that follow one another without a gap. */
struct run {
    struct piece {
        struct vz_slice text;
        uint32_t start, end;
    } * items;
    size_t count, capacity;
};

static void add_piece(struct run *run, struct piece piece)
{
    if (run->count == run->capacity) {
        run->capacity = run->capacity ? run->capacity * 2 : 64;
        run->items = vz_realloc(run->items, run->capacity * sizeof *run->items);
    }
    run->items[run->count++] = piece;
}

/* Where a char filter or a synonym made the offsets, each character has the word's. */
static void add_pieces(struct run *run, const struct vz_token *token)
{
    struct vz_slice text = token->text;
    bool exact = vz_unit_count(text) == token->end - token->start;
    uint32_t at_unit = token->start;
    for (size_t at = 0; at < text.len;) {
        size_t from = at;
        uint32_t units = vz_next_char(text, &at) > 0xFFFF ? 2 : 1;
        add_piece(run, (struct piece){{text.ptr + from, at - from},
                                      exact ? at_unit : token->start,
                                      exact ? at_unit + units : token->end});
        at_unit += units;
    }
}

static void add_token(struct vz_tokens *out, const struct run *run, size_t at, bool pair,
                      bool beside, struct vz_arena *arena)
{
    const struct piece *first = &run->items[at], *last = pair ? first + 1 : first;
    struct vz_token *token = vz_tokens_push(out);
    token->text = first->text;
    if (pair) {
        char *text = vz_arena_alloc(arena, first->text.len + last->text.len);
        memcpy(text, first->text.ptr, first->text.len);
        memcpy(text + first->text.len, last->text.ptr, last->text.len);
        token->text = (struct vz_slice){text, first->text.len + last->text.len};
    }
    token->start = first->start;
    token->end = last->end;
    token->increment = beside ? 0 : 1;
    token->position_length = beside ? 2 : 1;
    token->type = pair ? VZ_TOKEN_DOUBLE : VZ_TOKEN_SINGLE;
}

static void end_run(struct vz_tokens *out, struct run *run, bool unigrams, struct vz_arena *arena)
{
    for (size_t i = 0; i < run->count; i++) {
        if (unigrams || run->count == 1)
            add_token(out, run, i, false, false, arena);
        if (i + 1 < run->count)
            add_token(out, run, i, true, unigrams, arena);
    }
    run->count = 0;
}

static enum vz_status run_bigrams(const struct vz_token_filter *filter, struct vz_tokens *tokens,
                                  struct vz_error *err)
{
    const struct bigrams *how = filter->config;
    struct vz_tokens out = {0};
    struct run run = {0};
    uint32_t end = 0;
    for (size_t i = 0; i < tokens->count; i++) {
        const struct vz_token *token = &tokens->items[i];
        bool taken = token->type < VZ_COUNT_OF(how->types) && how->types[token->type];
        if (!taken || token->start != end)
            end_run(&out, &run, how->unigrams, &tokens->arena);
        if (!taken) {
            *vz_tokens_push(&out) = *token;
            continue;
        }
        end = token->end;
        add_pieces(&run, token);
    }
    end_run(&out, &run, how->unigrams, &tokens->arena);
    vz_tokens_swap_items(tokens, &out);
    tokens->overlaps |= how->unigrams;
    free(out.items);
    free(run.items);
    return vz_tokens_check(tokens, err);
}

enum vz_status vz_make_cjk_bigram(const struct vz_making *making, struct vz_token_filter *out,
                                  struct vz_error *err)
{
    static const struct {
        const char *name;
        enum vz_token_type type;
    } scripts[] = {{"han", VZ_TOKEN_IDEOGRAPHIC},
                   {"hiragana", VZ_TOKEN_HIRAGANA},
                   {"katakana", VZ_TOKEN_KATAKANA},
                   {"hangul", VZ_TOKEN_HANGUL}};
    struct bigrams *how = vz_making_zalloc(making, sizeof *how);
    struct vz_slice *ignored;
    size_t count;
    enum vz_status status = vz_making_check(making, "ignored_scripts output_unigrams", err);
    if (status == VZ_OK)
        status = vz_making_bool(making, "output_unigrams", &how->unigrams, err);
    for (size_t i = 0; i < VZ_COUNT_OF(scripts); i++)
        how->types[scripts[i].type] = true;
    if (vz_making_list(making, "ignored_scripts", &ignored, &count))
        for (size_t i = 0; i < count; i++)
            for (size_t k = 0; k < VZ_COUNT_OF(scripts); k++)
                if (vz_slice_is(ignored[i], scripts[k].name))
                    how->types[scripts[k].type] = false;
    out->config = how;
    out->run = run_bigrams;
    return status;
}
