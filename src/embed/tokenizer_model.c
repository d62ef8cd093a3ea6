/* embed/tokenizer_model.c - a piece to ids: WordPiece, Unigram, whole words.
 *
 * Sources: Schuster & Nakajima 2012 (WordPiece, greedy longest match); Kudo 2018 (Unigram, the most
 * probable cut by Viterbi); tokenizers for ties and for what happens to unknown characters.
 */
#include <stdlib.h>

#include "embed/tokenizer_parts.h"

/* ---- WordPiece
 * ----------------------------------------------------------------------------------- */

/* The longest vocabulary entry at `at`: its end, or `at` when there is none. */
static size_t longest(const struct tok_model *model, struct vz_slice piece, size_t at, uint32_t *id)
{
    const struct tok_trie *trie = &model->trie;
    uint32_t node = at ? model->prefix_node : TOK_TRIE_ROOT;
    size_t found = at;
    for (size_t i = at; i < piece.len && node != TOK_NONE;) {
        node = tok_trie_step(trie, node, (unsigned char)piece.ptr[i++]);
        if (node != TOK_NONE && trie->values[node] != TOK_NONE) {
            *id = trie->values[node];
            found = i;
        }
    }
    return found;
}

static bool more_chars_than(struct vz_slice text, size_t max)
{
    if (text.len <= max)
        return false;
    size_t count = 0;
    for (size_t i = 0; i < text.len; i++)
        count += ((unsigned char)text.ptr[i] & 0xC0) != 0x80;
    return count > max;
}

static void wordpiece_run(struct tok_run *run, struct vz_slice piece)
{
    const struct tok_model *model = &run->tokenizer->model;
    size_t before = run->count;
    if (more_chars_than(piece, model->max_chars)) {
        tok_run_add(run, model->unk);
        return;
    }
    for (size_t at = 0, end; at < piece.len; at = end) {
        uint32_t id = model->unk;
        end = longest(model, piece, at, &id);
        if (end == at) { /* a word with an unknown part is unknown as a whole */
            run->count = before;
            tok_run_add(run, model->unk);
            return;
        }
        tok_run_add(run, id);
    }
}

/* ---- Unigram
 * ------------------------------------------------------------------------------------- */

struct node {
    double score;   /* of the best way to here */
    uint32_t start; /* where its last part begins, TOK_NONE: no way yet */
    uint32_t id;
};

static void offer(struct node *node, double score, size_t start, uint32_t id)
{
    if (node->start == TOK_NONE || score > node->score)
        *node = (struct node){score, (uint32_t)start, id};
}

/* nodes[i]: the best way to cut piece[0..i). */
static void viterbi(const struct tok_model *model, struct vz_slice piece, struct node *nodes)
{
    for (size_t i = 0; i <= piece.len; i++)
        nodes[i] = (struct node){0, TOK_NONE, TOK_NONE};
    for (size_t start = 0, next; start < piece.len; start = next) {
        double here = nodes[start].score;
        bool has_char = false;
        next = start;
        tok_next(piece.ptr, &next);
        uint32_t trie_node = TOK_TRIE_ROOT;
        for (size_t i = start; i < piece.len;) {
            trie_node = tok_trie_step(&model->trie, trie_node, (unsigned char)piece.ptr[i++]);
            if (trie_node == TOK_NONE)
                break;
            uint32_t id = model->trie.values[trie_node];
            if (id == TOK_NONE)
                continue;
            offer(&nodes[i], here + model->scores[id], start, id);
            has_char |= i == next;
        }
        if (!has_char)
            offer(&nodes[next], here + model->unk_score, start, model->unk);
    }
}

/* A part of unknown characters: the vocabulary may still know it as a whole, or by bytes. */
static void unknown_add(struct tok_run *run, struct vz_slice part)
{
    const struct tok_model *model = &run->tokenizer->model;
    uint32_t id = tok_trie_get(&model->trie, part);
    if (id == TOK_NONE && model->byte_fallback) {
        size_t i = 0;
        while (i < part.len && model->bytes[(unsigned char)part.ptr[i]] != TOK_NONE)
            i++;
        if (i == part.len) {
            for (i = 0; i < part.len; i++)
                tok_run_add(run, model->bytes[(unsigned char)part.ptr[i]]);
            return;
        }
    }
    tok_run_add(run, id == TOK_NONE ? model->unk : id);
}

static void unigram_run(struct tok_run *run, struct vz_slice piece)
{
    const struct tok_model *model = &run->tokenizer->model;
    struct node *nodes = tok_run_scratch(run, piece.len + 1, sizeof *nodes);
    if (!nodes)
        return;
    viterbi(model, piece, nodes);
    /* Back along the best way, turning the links round: nodes[start].start becomes its end. */
    uint32_t next = (uint32_t)piece.len, id = TOK_NONE;
    for (uint32_t at = (uint32_t)piece.len; at > 0;) {
        uint32_t start = nodes[at].start, its_id = nodes[at].id;
        nodes[at].start = next;
        nodes[at].id = id;
        next = at;
        id = its_id;
        at = start;
    }
    nodes[0].start = next;
    nodes[0].id = id;
    for (uint32_t at = 0; at < piece.len && !tok_run_full(run);) {
        uint32_t end = nodes[at].start;
        if (nodes[at].id != model->unk) {
            tok_run_add(run, nodes[at].id);
            at = end;
            continue;
        }
        while (end < piece.len && nodes[end].id == model->unk) /* unknown ones in a row are one */
            end = nodes[end].start;
        unknown_add(run, (struct vz_slice){piece.ptr + at, end - at});
        at = end;
    }
}

/* ---- all
 * ----------------------------------------------------------------------------------------- */

void tok_model_run(struct tok_run *run, struct vz_slice piece)
{
    const struct tok_model *model = &run->tokenizer->model;
    uint32_t id;
    switch (model->kind) {
    case TOK_BPE:
        tok_bpe_run(run, piece);
        break;
    case TOK_WORDPIECE:
        wordpiece_run(run, piece);
        break;
    case TOK_UNIGRAM:
        unigram_run(run, piece);
        break;
    default:
        id = tok_trie_get(&model->trie, piece);
        if (id != TOK_NONE || model->unk != TOK_NONE)
            tok_run_add(run, id == TOK_NONE ? model->unk : id);
    }
}

void tok_model_deinit(struct tok_model *model)
{
    tok_trie_deinit(&model->trie);
    tok_bpe_deinit(model);
    free(model->scores);
}
