/* embed/tokenizer_vocab.c - tokenizer.json's model: the vocabulary, its merges or scores, and the
 * added tokens. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "embed/tokenizer_parts.h"

/* Ids may have gaps, as published files do, but not so many that a small file takes gigabytes. */
#define MAX_ID_GAP (1u << 17)
#define MAX_AFFIX_BYTES 16

static struct vz_slice text_of(struct vz_json entry, const char *key)
{
    struct vz_json value;
    return vz_json_get(entry, key, &value) ? vz_json_string(value) : (struct vz_slice){NULL, 0};
}

static bool flag_of(struct vz_json entry, const char *key)
{
    struct vz_json value;
    return vz_json_get(entry, key, &value) && vz_json_bool(value);
}

static enum vz_status fail_token(struct vz_slice token, const char *what, struct vz_error *err)
{
    return vz_fail(err, VZ_CORRUPT, "token [%.*s] %s", (int)VZ_MIN(token.len, 200), token.ptr,
                   what);
}

/* ---- the vocabulary
 * ------------------------------------------------------------------------------ */

static enum vz_status id_read(struct vz_slice token, struct vz_json value, size_t limit,
                              uint32_t *out, struct vz_error *err)
{
    int64_t id = vz_json_int(value);
    if (vz_json_type(value) != VZ_JSON_INT || id < 0 || (uint64_t)id >= limit)
        return fail_token(token, "has no id, or one out of range", err);
    *out = (uint32_t)id;
    return VZ_OK;
}

static enum vz_status texts_grow(struct vz_tokenizer *t, uint32_t count)
{
    if (count <= t->vocab_count)
        return VZ_OK;
    struct vz_slice *grown = realloc(t->texts, count * sizeof *grown);
    if (!grown)
        return VZ_BUDGET;
    memset(grown + t->vocab_count, 0, (count - t->vocab_count) * sizeof *grown);
    t->texts = grown;
    t->vocab_count = count;
    return VZ_OK;
}

static enum vz_status token_add(struct vz_tokenizer *t, struct vz_slice token, uint32_t id,
                                struct vz_error *err)
{
    t->texts[id] = vz_arena_copy(&t->arena, token);
    return tok_trie_add(&t->model.trie, token, id)
               ? VZ_OK
               : vz_fail(err, VZ_LIMIT, "the vocabulary is larger than 2^24 nodes");
}

/* Published vocabularies have three to four nodes a token. */
#define NODES_A_TOKEN 3

/* {"token": id, ..} */
static enum vz_status vocab_object_read(struct vz_tokenizer *t, struct vz_json vocab,
                                        struct vz_error *err)
{
    struct vz_slice token;
    struct vz_json value;
    uint32_t id = 0, most = 0;
    size_t limit = vz_json_count(vocab) * 2 + MAX_ID_GAP;
    struct vz_json_iter it = vz_json_iterate(vocab);
    enum vz_status status = VZ_OK;
    while (status == VZ_OK && vz_json_next(&it, &token, &value)) {
        status = id_read(token, value, limit, &id, err);
        most = status == VZ_OK ? VZ_MAX(most, id) : 0;
    }
    if (status == VZ_OK && texts_grow(t, most + 1) != VZ_OK)
        status = vz_fail(err, VZ_BUDGET, "out of memory");
    tok_trie_expect(&t->model.trie, vz_json_count(vocab) * NODES_A_TOKEN);
    it = vz_json_iterate(vocab);
    while (status == VZ_OK && vz_json_next(&it, &token, &value))
        status = token_add(t, token, (uint32_t)vz_json_int(value), err);
    return status;
}

/* The score as the library reads it: digits as an integer, divided by a power of ten, which is up
 * to a unit in the last place off. It decides between cuts of the same total score (a run of one
 * letter); the digits are those of the shortest text, which is what published files hold. */
static double library_double(double exact)
{
    struct vz_buf text = {0};
    uint64_t digits = 0;
    int exponent = 0;
    struct vz_json_writer w = vz_json_writer_on(&text);
    vz_json_put_double(&w, fabs(exact));
    bool in_fraction = false;
    char *at = text.data;
    for (; *at && *at != 'E'; at++) {
        if (*at == '.') {
            in_fraction = true;
            continue;
        }
        if (in_fraction && *at == '0' && strspn(at, "0") == strcspn(at, "E"))
            continue; /* "1.0": a zero that is no digit of the value */
        digits = digits * 10 + (uint64_t)(*at - '0');
        exponent -= in_fraction;
    }
    if (*at == 'E')
        exponent += atoi(at + 1);
    vz_buf_deinit(&text);
    char power[16];
    snprintf(power, sizeof power, "1e%d", abs(exponent));
    double scale = strtod(power, NULL);
    double value = exponent < 0 ? (double)digits / scale : (double)digits * scale;
    return copysign(value, exact);
}

/* [["token", score], ..] */
static enum vz_status vocab_scores_read(struct vz_tokenizer *t, struct vz_json vocab,
                                        struct vz_error *err)
{
    size_t count = vz_json_count(vocab);
    double least = 0;
    t->model.scores = vz_try_alloc(count, sizeof *t->model.scores);
    if (!t->model.scores || texts_grow(t, (uint32_t)count) != VZ_OK)
        return vz_fail(err, VZ_BUDGET, "out of memory");
    tok_trie_expect(&t->model.trie, count * NODES_A_TOKEN);
    struct vz_json entry, token, score;
    struct vz_json_iter it = vz_json_iterate(vocab);
    for (uint32_t id = 0; vz_json_next(&it, NULL, &entry); id++) {
        struct vz_json_iter pair = vz_json_iterate(entry);
        if (!vz_json_next(&pair, NULL, &token) || !vz_json_next(&pair, NULL, &score) ||
            vz_json_type(token) != VZ_JSON_STRING || !vz_json_is_number(score))
            return vz_fail(err, VZ_CORRUPT, "vocabulary entry %" PRIu32 " is no text and number",
                           id);
        t->model.scores[id] = library_double(vz_json_double(score));
        least = id ? VZ_MIN(least, t->model.scores[id]) : t->model.scores[id];
        enum vz_status status = token_add(t, vz_json_string(token), id, err);
        if (status != VZ_OK)
            return status;
    }
    t->model.unk_score = least - 10; /* the library's penalty */
    return VZ_OK;
}

static void bytes_find(struct tok_model *model)
{
    for (int i = 0; i < 256; i++) {
        char name[8];
        snprintf(name, sizeof name, "<0x%02X>", (unsigned)i);
        model->bytes[i] = tok_trie_get(&model->trie, vz_slice_from(name));
    }
}

/* ---- BPE
 * ----------------------------------------------------------------------------------------- */

/* "a b" or ["a", "b"]. */
static bool merge_split(struct vz_json merge, struct vz_slice *left, struct vz_slice *right)
{
    if (vz_json_type(merge) == VZ_JSON_ARRAY) {
        struct vz_json a, b;
        struct vz_json_iter it = vz_json_iterate(merge);
        if (vz_json_count(merge) != 2 || !vz_json_next(&it, NULL, &a) ||
            !vz_json_next(&it, NULL, &b))
            return false;
        *left = vz_json_string(a);
        *right = vz_json_string(b);
        return left->len && right->len;
    }
    struct vz_slice text = vz_json_string(merge);
    const char *blank = text.len ? memchr(text.ptr, ' ', text.len) : NULL;
    if (!blank)
        return false;
    *left = (struct vz_slice){text.ptr, (size_t)(blank - text.ptr)};
    *right = (struct vz_slice){blank + 1, text.len - left->len - 1};
    return left->len && right->len && !memchr(right->ptr, ' ', right->len);
}

static enum vz_status merges_read(struct vz_tokenizer *t, struct vz_json merges,
                                  struct vz_error *err)
{
    struct tok_model *model = &t->model;
    if (!tok_bpe_merges_init(model, vz_json_count(merges)))
        return vz_fail(err, VZ_BUDGET, "out of memory");
    struct vz_json merge;
    struct vz_json_iter it = vz_json_iterate(merges);
    for (uint32_t rank = 0; vz_json_next(&it, NULL, &merge); rank++) {
        struct vz_slice left, right;
        if (!merge_split(merge, &left, &right))
            return vz_fail(err, VZ_CORRUPT, "merge %" PRIu32 " is no pair of tokens", rank);
        /* The right one loses its prefix when it is joined. */
        size_t prefix = model->prefix.len;
        if (right.len < prefix)
            return vz_fail(err, VZ_CORRUPT, "merge %" PRIu32 " is shorter than the prefix", rank);
        struct vz_slice rest = {right.ptr + prefix, right.len - prefix};
        uint32_t left_node = tok_trie_walk(&model->trie, TOK_TRIE_ROOT, left);
        uint32_t left_id = left_node == TOK_NONE ? TOK_NONE : model->trie.values[left_node];
        uint32_t right_id = tok_trie_get(&model->trie, right);
        uint32_t node =
            left_id == TOK_NONE ? TOK_NONE : tok_trie_walk(&model->trie, left_node, rest);
        uint32_t id = node == TOK_NONE ? TOK_NONE : model->trie.values[node];
        if (right_id == TOK_NONE || id == TOK_NONE)
            return vz_fail(
                err, VZ_CORRUPT, "merge %" PRIu32 " [%.*s %.*s] is not in the vocabulary", rank,
                (int)VZ_MIN(left.len, 100), left.ptr, (int)VZ_MIN(right.len, 100), right.ptr);
        tok_bpe_merge_put(model, left_id, right_id, rank, id);
    }
    return VZ_OK;
}

static enum vz_status affix_read(struct vz_tokenizer *t, struct vz_json entry, const char *key,
                                 struct vz_slice *out, struct vz_error *err)
{
    struct vz_slice text = text_of(entry, key);
    if (text.len > MAX_AFFIX_BYTES)
        return vz_fail(err, VZ_LIMIT, "%s is longer than %d bytes", key, MAX_AFFIX_BYTES);
    *out = vz_arena_copy(&t->arena, text);
    return VZ_OK;
}

static enum vz_status bpe_read(struct vz_tokenizer *t, struct vz_json entry, struct vz_error *err)
{
    struct tok_model *model = &t->model;
    struct vz_json merges = {0}, dropout;
    if (vz_json_get(entry, "dropout", &dropout) && vz_json_double(dropout) != 0)
        return vz_fail(err, VZ_UNSUPPORTED, "BPE with dropout");
    enum vz_status status = affix_read(t, entry, "continuing_subword_prefix", &model->prefix, err);
    if (status == VZ_OK)
        status = affix_read(t, entry, "end_of_word_suffix", &model->suffix, err);
    vz_json_get(entry, "merges", &merges);
    if (status == VZ_OK)
        status = merges_read(t, merges, err);
    if (status != VZ_OK)
        return status;
    model->fuse_unk = flag_of(entry, "fuse_unk");
    model->ignore_merges = flag_of(entry, "ignore_merges");
    tok_bpe_prepare(model);
    return VZ_OK;
}

/* ---- all models
 * ---------------------------------------------------------------------------------- */

/* Old files do not name the type. */
static enum vz_status kind_read(struct vz_json entry, struct vz_json vocab,
                                enum tok_model_kind *out, struct vz_error *err)
{
    static const char *const names[] = {[TOK_BPE] = "BPE",
                                        [TOK_WORDPIECE] = "WordPiece",
                                        [TOK_UNIGRAM] = "Unigram",
                                        [TOK_WORDLEVEL] = "WordLevel"};
    struct vz_slice type = text_of(entry, "type");
    struct vz_json ignored;
    for (size_t i = 0; i < VZ_COUNT_OF(names); i++)
        if (vz_slice_is(type, names[i])) {
            *out = (enum tok_model_kind)i;
            return VZ_OK;
        }
    if (type.len)
        return vz_fail(err, VZ_UNSUPPORTED, "the model [%.*s] is not done",
                       (int)VZ_MIN(type.len, 100), type.ptr);
    *out = vz_json_type(vocab) == VZ_JSON_ARRAY                       ? TOK_UNIGRAM
           : vz_json_get(entry, "merges", &ignored)                   ? TOK_BPE
           : vz_json_get(entry, "max_input_chars_per_word", &ignored) ? TOK_WORDPIECE
                                                                      : TOK_WORDLEVEL;
    return VZ_OK;
}

static enum vz_status unk_read(struct vz_tokenizer *t, struct vz_json entry, struct vz_error *err)
{
    struct tok_model *model = &t->model;
    struct vz_json number = {0};
    if (model->kind == TOK_UNIGRAM) {
        vz_json_get(entry, "unk_id", &number);
        if (vz_json_type(number) != VZ_JSON_INT)
            return vz_fail(err, VZ_UNSUPPORTED, "a Unigram model without unk_id");
        return id_read(VZ_SLICE("unk"), number, t->vocab_count, &model->unk, err);
    }
    struct vz_slice unk = text_of(entry, "unk_token");
    model->unk = unk.len ? tok_trie_get(&model->trie, unk) : TOK_NONE;
    if (model->unk == TOK_NONE && (unk.len || model->kind == TOK_WORDPIECE))
        return vz_fail(err, VZ_CORRUPT, "the unknown token [%.*s] is not in the vocabulary",
                       (int)VZ_MIN(unk.len, 100), unk.ptr);
    return VZ_OK;
}

static enum vz_status wordpiece_read(struct vz_tokenizer *t, struct vz_json entry,
                                     struct vz_error *err)
{
    struct tok_model *model = &t->model;
    struct vz_json most = {0}, given;
    vz_json_get(entry, "max_input_chars_per_word", &most);
    int64_t chars = vz_json_type(most) == VZ_JSON_INT ? vz_json_int(most) : 100;
    if (chars < 0 || chars > 1 << 20)
        return vz_fail(err, VZ_CORRUPT, "max_input_chars_per_word is out of range");
    model->max_chars = (size_t)chars;
    enum vz_status status = affix_read(t, entry, "continuing_subword_prefix", &model->prefix, err);
    if (!vz_json_get(entry, "continuing_subword_prefix", &given))
        model->prefix = VZ_SLICE("##");
    model->prefix_node = tok_trie_walk(&model->trie, TOK_TRIE_ROOT, model->prefix);
    return status;
}

enum vz_status tok_model_read(struct vz_tokenizer *t, struct vz_json entry, struct vz_error *err)
{
    struct tok_model *model = &t->model;
    struct vz_json vocab = {0};
    vz_json_get(entry, "vocab", &vocab);
    if (!vz_json_count(vocab))
        return vz_fail(err, VZ_CORRUPT, "the model has no vocabulary");
    enum vz_status status = kind_read(entry, vocab, &model->kind, err);
    if (status == VZ_OK)
        status = model->kind == TOK_UNIGRAM ? vocab_scores_read(t, vocab, err)
                                            : vocab_object_read(t, vocab, err);
    if (status == VZ_OK)
        status = unk_read(t, entry, err);
    if (status != VZ_OK)
        return status;
    if (model->trie.nodes < 2)
        return vz_fail(err, VZ_CORRUPT, "the model's vocabulary is empty");
    model->byte_fallback = flag_of(entry, "byte_fallback");
    bytes_find(model);
    if (model->kind == TOK_BPE)
        return bpe_read(t, entry, err);
    return model->kind == TOK_WORDPIECE ? wordpiece_read(t, entry, err) : VZ_OK;
}

/* ---- added tokens
 * -------------------------------------------------------------------------------- */

static enum vz_status added_read(struct vz_tokenizer *t, struct vz_json entry, size_t limit,
                                 struct tok_added *out, struct vz_error *err)
{
    struct vz_slice text = text_of(entry, "content");
    struct vz_json id = {0};
    vz_json_get(entry, "id", &id);
    *out = (struct tok_added){.text = vz_arena_copy(&t->arena, text),
                              .single_word = flag_of(entry, "single_word"),
                              .lstrip = flag_of(entry, "lstrip"),
                              .rstrip = flag_of(entry, "rstrip"),
                              .normalized = flag_of(entry, "normalized")};
    enum vz_status status = id_read(text, id, limit, &out->id, err);
    if (status != VZ_OK)
        return status;
    uint32_t own = tok_trie_get(&t->model.trie, text);
    if (own != TOK_NONE) /* the vocabulary knows better */
        out->id = own;
    if (texts_grow(t, out->id + 1) != VZ_OK)
        return vz_fail(err, VZ_BUDGET, "out of memory");
    if (!t->texts[out->id].ptr)
        t->texts[out->id] = out->text;
    return VZ_OK;
}

/* What is looked for after the normalizers is what they make of it. */
static enum vz_status added_index(struct vz_tokenizer *t, uint32_t i, struct vz_error *err)
{
    struct tok_added *added = &t->added[i];
    struct tok_run run = {.tokenizer = t};
    struct vz_slice text = added->normalized ? tok_normalize(&run, added->text) : added->text;
    struct tok_trie *trie = added->normalized ? &t->added_normalized : &t->added_raw;
    bool done = !text.len || tok_trie_add(trie, text, i);
    tok_run_deinit(&run);
    return done ? VZ_OK : vz_fail(err, VZ_LIMIT, "the added tokens are larger than 2^24 nodes");
}

enum vz_status tok_added_read(struct vz_tokenizer *t, struct vz_json list, struct vz_error *err)
{
    size_t count = vz_json_count(list), limit = (size_t)t->vocab_count + count * 2 + MAX_ID_GAP;
    t->added = vz_try_alloc(count + 1, sizeof *t->added);
    if (!t->added)
        return vz_fail(err, VZ_BUDGET, "out of memory");
    struct vz_json entry;
    struct vz_json_iter it = vz_json_iterate(list);
    enum vz_status status = VZ_OK;
    while (status == VZ_OK && vz_json_next(&it, NULL, &entry)) {
        status = added_read(t, entry, limit, &t->added[t->added_count], err);
        t->added_count += status == VZ_OK;
    }
    for (size_t i = 0; i < t->added_count && status == VZ_OK; i++)
        status = added_index(t, (uint32_t)i, err);
    return status;
}
