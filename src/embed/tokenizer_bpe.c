/* embed/tokenizer_bpe.c - byte-pair encoding of one word.
 *
 * The word's characters are symbols in a list; the pair with the lowest rank (the leftmost of equal
 * ones) is merged until none is left. Short words look for the lowest rank anew each time, long
 * ones keep a heap, so that a megabyte without a blank costs n log n. Entries of the heap that a
 * merge has overtaken are told by their pair and skipped.
 * Whole words are remembered in a cache of fixed size, a slot a word; a slot that another thread
 * is using counts as empty, so nobody waits.
 * Source: Sennrich et al. 2016; tokenizers' word.rs for the order of ties.
 */
#include <stdlib.h>

#include "embed/tokenizer_parts.h"

#define FREE_PAIR UINT64_MAX
#define SHORT_WORD 24
#define CACHE_SLOTS 8192
#define CACHE_WORD_BYTES 31
#define CACHE_IDS 7

struct cache_slot {
    atomic_flag busy;
    uint8_t len, count;
    char word[CACHE_WORD_BYTES];
    uint32_t ids[CACHE_IDS];
};

struct tok_cache {
    struct cache_slot slots[CACHE_SLOTS];
};

struct symbol {
    uint32_t id;
    int32_t before, after; /* positions, -1 at the ends */
    uint32_t rank;         /* of the pair with `after`, TOK_NONE when it does not merge */
    uint32_t merged;       /* what that pair becomes */
};

struct candidate {
    uint32_t rank, merged;
    int32_t at;
    uint32_t left, right; /* the pair as it was */
};

/* ---- the table of merges ------------------------------------------------------------------------
 */

static size_t merge_slot(const struct tok_model *model, uint64_t pair)
{
    return (size_t)((pair ^ pair >> 29) * 0x9E3779B97F4A7C15ull >> 32) & (model->merge_slots - 1);
}

static const struct tok_merge *merge_get(const struct tok_model *model, uint32_t left,
                                         uint32_t right)
{
    uint64_t pair = (uint64_t)left << 32 | right;
    for (size_t at = merge_slot(model, pair);; at = (at + 1) & (model->merge_slots - 1)) {
        if (model->merges[at].pair == pair)
            return &model->merges[at];
        if (model->merges[at].pair == FREE_PAIR)
            return NULL;
    }
}

bool tok_bpe_merges_init(struct tok_model *model, size_t count)
{
    model->merge_slots = 16;
    while (model->merge_slots < count * 2)
        model->merge_slots *= 2;
    model->merges = vz_try_alloc(model->merge_slots, sizeof *model->merges);
    if (model->merges)
        memset(model->merges, 0xFF, model->merge_slots * sizeof *model->merges);
    return model->merges != NULL;
}

void tok_bpe_merge_put(struct tok_model *model, uint32_t left, uint32_t right, uint32_t rank,
                       uint32_t id)
{
    uint64_t pair = (uint64_t)left << 32 | right;
    size_t at = merge_slot(model, pair);
    while (model->merges[at].pair != FREE_PAIR && model->merges[at].pair != pair)
        at = (at + 1) & (model->merge_slots - 1);
    model->merges[at] = (struct tok_merge){pair, rank, id};
}

/* ---- a word's characters ------------------------------------------------------------------------
 */

static uint32_t char_id(const struct tok_model *model, struct vz_slice text, bool is_first,
                        bool is_last)
{
    const struct tok_trie *trie = &model->trie;
    uint32_t node = TOK_TRIE_ROOT;
    if (!is_first)
        node = tok_trie_walk(trie, node, model->prefix);
    if (node != TOK_NONE)
        node = tok_trie_walk(trie, node, text);
    if (node != TOK_NONE && is_last)
        node = tok_trie_walk(trie, node, model->suffix);
    return node == TOK_NONE ? TOK_NONE : trie->values[node];
}

void tok_bpe_prepare(struct tok_model *model)
{
    for (uint32_t c = 0; c < TOK_DIRECT_CHARS; c++) {
        char bytes[4];
        struct vz_slice text = {bytes, tok_put(c, bytes)};
        for (unsigned i = 0; i < 4; i++)
            model->direct[i][c] = char_id(model, text, !(i & 1), i & 2);
    }
    model->cache = vz_calloc(1, sizeof *model->cache);
    for (size_t i = 0; i < CACHE_SLOTS; i++)
        atomic_flag_clear(&model->cache->slots[i].busy);
}

static void symbol_put(struct symbol *symbols, size_t *count, uint32_t id)
{
    symbols[*count].id = id;
    ++*count;
}

/* <0x0A> for each byte of the character with its prefix and suffix; false when one is missing. */
static bool put_bytes(const struct tok_model *model, struct vz_slice text, bool is_first,
                      bool is_last, struct symbol *symbols, size_t *count)
{
    const struct vz_slice none = {NULL, 0};
    const struct vz_slice parts[] = {is_first ? none : model->prefix, text,
                                     is_last ? model->suffix : none};
    for (int pass = 0; pass < 2; pass++)
        for (size_t p = 0; p < VZ_COUNT_OF(parts); p++)
            for (size_t i = 0; i < parts[p].len; i++) {
                uint32_t id = model->bytes[(unsigned char)parts[p].ptr[i]];
                if (id == TOK_NONE)
                    return false;
                if (pass)
                    symbol_put(symbols, count, id);
            }
    return true;
}

/* The most symbols a piece can have: every byte one, with prefix and suffix as bytes. */
static size_t most_symbols(const struct tok_model *model, struct vz_slice piece)
{
    size_t extra = model->byte_fallback ? model->prefix.len * piece.len + model->suffix.len : 0;
    return piece.len + extra + 2;
}

/* Characters to ids. One that is not in the vocabulary is unk; fused, unks in a row are one. The
 * unk is held back until the next known character, and byte fallback overtakes it, as in the
 * library. */
static size_t symbols_make(const struct tok_model *model, struct vz_slice piece,
                           struct symbol *symbols)
{
    size_t count = 0;
    bool held = false;
    for (size_t at = 0, next; at < piece.len; at = next) {
        next = at;
        uint32_t c = tok_next(piece.ptr, &next);
        bool is_first = at == 0, is_last = next == piece.len;
        struct vz_slice text = {piece.ptr + at, next - at};
        uint32_t id = c < TOK_DIRECT_CHARS
                          ? model->direct[(unsigned)!is_first | (unsigned)is_last << 1][c]
                          : char_id(model, text, is_first, is_last);
        if (id != TOK_NONE) {
            if (held)
                symbol_put(symbols, &count, model->unk);
            held = false;
            symbol_put(symbols, &count, id);
            continue;
        }
        if (model->byte_fallback && put_bytes(model, text, is_first, is_last, symbols, &count))
            continue;
        if (model->unk == TOK_NONE)
            continue;
        if (held && !model->fuse_unk)
            symbol_put(symbols, &count, model->unk);
        held = true;
    }
    if (held)
        symbol_put(symbols, &count, model->unk);
    return count;
}

/* ---- merging ------------------------------------------------------------------------------------
 */

static void rank_set(const struct tok_model *model, struct symbol *symbols, int32_t at)
{
    const struct tok_merge *merge =
        symbols[at].after < 0 ? NULL
                              : merge_get(model, symbols[at].id, symbols[symbols[at].after].id);
    symbols[at].rank = merge ? merge->rank : TOK_NONE;
    symbols[at].merged = merge ? merge->id : TOK_NONE;
}

static void symbols_link(const struct tok_model *model, struct symbol *symbols, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        symbols[i].before = (int32_t)i - 1;
        symbols[i].after = i + 1 < count ? (int32_t)i + 1 : -1;
    }
    for (size_t i = 0; i < count; i++)
        rank_set(model, symbols, (int32_t)i);
}

/* The symbol at `at` swallows the one behind it. */
static void merge_at(const struct tok_model *model, struct symbol *symbols, int32_t at)
{
    struct symbol *s = &symbols[at];
    int32_t gone = s->after;
    s->id = s->merged;
    s->after = symbols[gone].after;
    symbols[gone].id = TOK_NONE;
    if (s->after >= 0)
        symbols[s->after].before = at;
    rank_set(model, symbols, at);
    if (s->before >= 0)
        rank_set(model, symbols, s->before);
}

static void merge_short(const struct tok_model *model, struct symbol *symbols)
{
    for (;;) {
        int32_t best = -1;
        uint32_t rank = TOK_NONE;
        for (int32_t i = 0; i >= 0; i = symbols[i].after)
            if (symbols[i].rank < rank) {
                rank = symbols[i].rank;
                best = i;
            }
        if (best < 0)
            return;
        merge_at(model, symbols, best);
    }
}

static bool goes_before(const struct candidate *a, const struct candidate *b)
{
    return a->rank != b->rank ? a->rank < b->rank : a->at < b->at;
}

static void heap_push(struct candidate *heap, size_t *count, struct candidate c)
{
    size_t at = (*count)++;
    for (; at > 0 && goes_before(&c, &heap[(at - 1) / 2]); at = (at - 1) / 2)
        heap[at] = heap[(at - 1) / 2];
    heap[at] = c;
}

static struct candidate heap_pop(struct candidate *heap, size_t *count)
{
    struct candidate top = heap[0], last = heap[--*count];
    size_t at = 0;
    for (size_t child; (child = at * 2 + 1) < *count; at = child) {
        if (child + 1 < *count && goes_before(&heap[child + 1], &heap[child]))
            child++;
        if (!goes_before(&heap[child], &last))
            break;
        heap[at] = heap[child];
    }
    heap[at] = last;
    return top;
}

static void candidate_push(struct candidate *heap, size_t *count, const struct symbol *symbols,
                           int32_t at)
{
    const struct symbol *s = &symbols[at];
    if (s->rank != TOK_NONE)
        heap_push(heap, count,
                  (struct candidate){s->rank, s->merged, at, s->id, symbols[s->after].id});
}

/* Each merge pushes at most two candidates and takes a symbol: 3 * count are enough. */
static void merge_long(const struct tok_model *model, struct symbol *symbols, size_t count,
                       struct candidate *heap)
{
    size_t heap_count = 0;
    for (size_t i = 0; i < count; i++)
        candidate_push(heap, &heap_count, symbols, (int32_t)i);
    while (heap_count) {
        struct candidate c = heap_pop(heap, &heap_count);
        const struct symbol *s = &symbols[c.at];
        if (s->id != c.left || s->after < 0 || symbols[s->after].id != c.right)
            continue; /* overtaken */
        merge_at(model, symbols, c.at);
        candidate_push(heap, &heap_count, symbols, c.at);
        if (s->before >= 0)
            candidate_push(heap, &heap_count, symbols, s->before);
    }
}

/* ---- a piece
 * ------------------------------------------------------------------------------------- */

static struct cache_slot *slot_lock(const struct tok_model *model, struct vz_slice piece)
{
    uint64_t hash = piece.len;
    for (size_t i = 0; i < piece.len; i++)
        hash = (hash ^ (unsigned char)piece.ptr[i]) * 0x100000001B3ull;
    struct cache_slot *slot = &model->cache->slots[(hash ^ hash >> 29) % CACHE_SLOTS];
    return atomic_flag_test_and_set_explicit(&slot->busy, memory_order_acquire) ? NULL : slot;
}

static void slot_unlock(struct cache_slot *slot)
{
    atomic_flag_clear_explicit(&slot->busy, memory_order_release);
}

static bool cache_get(struct tok_run *run, struct vz_slice piece)
{
    struct cache_slot *slot = slot_lock(&run->tokenizer->model, piece);
    if (!slot)
        return false;
    bool found = slot->len == piece.len && memcmp(slot->word, piece.ptr, piece.len) == 0;
    for (size_t i = 0; found && i < slot->count; i++)
        tok_run_add(run, slot->ids[i]);
    slot_unlock(slot);
    return found;
}

static void cache_put(struct tok_run *run, struct vz_slice piece, const uint32_t *ids, size_t count)
{
    struct cache_slot *slot = count <= CACHE_IDS ? slot_lock(&run->tokenizer->model, piece) : NULL;
    if (!slot)
        return;
    slot->len = (uint8_t)piece.len;
    slot->count = (uint8_t)count;
    memcpy(slot->word, piece.ptr, piece.len);
    if (count)
        memcpy(slot->ids, ids, count * sizeof *ids);
    slot_unlock(slot);
}

void tok_bpe_run(struct tok_run *run, struct vz_slice piece)
{
    const struct tok_model *model = &run->tokenizer->model;
    bool cacheable = piece.len <= CACHE_WORD_BYTES;
    if (cacheable && cache_get(run, piece))
        return;
    if (model->ignore_merges) {
        uint32_t whole = tok_trie_get(&model->trie, piece);
        if (whole != TOK_NONE) {
            tok_run_add(run, whole);
            return;
        }
    }
    size_t most = most_symbols(model, piece);
    size_t symbol_bytes = most * sizeof(struct symbol);
    char *scratch =
        tok_run_scratch(run, most, sizeof(struct symbol) + 3 * sizeof(struct candidate));
    if (!scratch)
        return;
    struct symbol *symbols = (struct symbol *)(void *)scratch;
    size_t count = symbols_make(model, piece, symbols);
    if (!count)
        return;
    symbols_link(model, symbols, count);
    if (count <= SHORT_WORD)
        merge_short(model, symbols);
    else
        merge_long(model, symbols, count, (struct candidate *)(void *)(scratch + symbol_bytes));
    size_t before = run->count;
    for (int32_t i = 0; i >= 0; i = symbols[i].after)
        tok_run_add(run, symbols[i].id);
    if (cacheable && !run->is_broke)
        cache_put(run, piece, run->ids + before, run->count - before);
}

void tok_bpe_deinit(struct tok_model *model)
{
    free(model->merges);
    free(model->cache);
}
