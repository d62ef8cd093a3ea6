/* embed/tokenizer_parts.h - the insides of a tokenizer, for tokenizer*.c only.
 *
 * A text goes: bytes -> UTF-8 -> pieces between added tokens -> normalisers (whole pieces, text to
 * text) -> splitters (a piece to smaller ones, depth first, each calling the next) -> the model
 * (a piece to ids) -> cut -> template. The pipeline is read from tokenizer.json; for older folders
 * tokenizer_legacy.c writes that JSON first, so that there is one way in.
 *
 * A tokenizer is immutable after it is opened, but for the cache of words, which locks itself.
 */
#ifndef VZ_EMBED_TOKENIZER_PARTS_H
#define VZ_EMBED_TOKENIZER_PARTS_H

#include <stdatomic.h>

#include "embed/tokenizer.h"
#include "json/json.h"

#define TOK_NONE UINT32_MAX

/* ---- characters (tokenizer_classes.c) -------------------------------------------------------- */

/* What `tokenizers` takes a character for. Its crates hold different Unicode versions, so these are
 * its answers, not ICU's. */
enum tok_class {
    TOK_DROP = 1,       /* BERT's clean-up takes it away */
    TOK_NONSPACING = 2, /* BERT's accents */
    TOK_MARK = 4,       /* StripAccents' accents */
    TOK_PUNCT = 8,
    TOK_NUMERIC = 16, /* Digits */
    TOK_SPACE = 32,
    TOK_LETTER = 64,  /* \p{L} */
    TOK_NUMBER = 128, /* \p{N} */
    TOK_WORD = 256    /* \w of Whitespace */
};

/* Two tables: page of a character, flags in the page. Made at the first tok_classes_init. */
extern uint16_t tok_class_pages[0x110000 >> 7];
extern uint16_t tok_class_flags[];
void tok_classes_init(void);
static inline unsigned tok_class_of(uint32_t c)
{
    return tok_class_flags[tok_class_pages[c >> 7] << 7 | (c & 127)];
}
/* The small letter of c, or c. U+0130 has two characters and is the caller's. */
uint32_t tok_lower(uint32_t c);

/* The character at text[*at] of valid UTF-8; *at moves behind it. */
static inline uint32_t tok_next(const char *text, size_t *at)
{
    const unsigned char *p = (const unsigned char *)text + *at;
    if (p[0] < 0x80) {
        *at += 1;
        return p[0];
    }
    if (p[0] < 0xE0) {
        *at += 2;
        return (p[0] & 31u) << 6 | (p[1] & 63u);
    }
    if (p[0] < 0xF0) {
        *at += 3;
        return (p[0] & 15u) << 12 | (p[1] & 63u) << 6 | (p[2] & 63u);
    }
    *at += 4;
    return (p[0] & 7u) << 18 | (p[1] & 63u) << 12 | (p[2] & 63u) << 6 | (p[3] & 63u);
}
/* The character that ends at text[end], end > 0. */
uint32_t tok_before(const char *text, size_t end);
/* 1 to 4 bytes. */
size_t tok_put(uint32_t c, char out[4]);
/* GPT-2's visible stand-in for a byte: one or two bytes of UTF-8. */
extern const uint16_t tok_byte_char[256];

/* Copies text with each maximal malformed part replaced by U+FFFD (Unicode 15, table 3-7). */
void tok_utf8_mend(struct vz_slice text, struct vz_buf *out);

/* ---- texts to numbers (tokenizer_trie.c) ----------------------------------------------------- */

struct tok_edge {
    uint32_t key;  /* node << 8 | byte, TOK_NONE when free */
    uint32_t next; /* the node behind it */
};

struct tok_trie {
    struct tok_edge *edges; /* open addressing, a power of two */
    uint32_t *values;       /* of each node, TOK_NONE: no text ends here */
    size_t slots, nodes, node_capacity;
};

#define TOK_TRIE_ROOT 0
/* False when there are more than 2^24 nodes. A text that is there already gets the new value. */
bool tok_trie_add(struct tok_trie *trie, struct vz_slice text, uint32_t value);
/* Makes room for about so many nodes. */
void tok_trie_expect(struct tok_trie *trie, size_t nodes);
void tok_trie_deinit(struct tok_trie *trie);
/* TOK_NONE: nothing goes on this way. An empty trie is allowed. */
static inline size_t tok_trie_slot(const struct tok_trie *trie, uint32_t key)
{
    return (size_t)(key * 0x9E3779B97F4A7C15ull >> 38) & (trie->slots - 1);
}
static inline uint32_t tok_trie_step(const struct tok_trie *trie, uint32_t node, unsigned char byte)
{
    uint32_t key = node << 8 | byte;
    size_t at = tok_trie_slot(trie, key);
    while (trie->edges[at].key != key) {
        if (trie->edges[at].key == TOK_NONE)
            return TOK_NONE;
        at = (at + 1) & (trie->slots - 1);
    }
    return trie->edges[at].next;
}
/* The node reached from `node` by all of text. */
uint32_t tok_trie_walk(const struct tok_trie *trie, uint32_t node, struct vz_slice text);
/* The value of exactly this text, TOK_NONE when there is none. */
uint32_t tok_trie_get(const struct tok_trie *trie, struct vz_slice text);

/* ---- the parts of a pipeline ----------------------------------------------------------------- */

enum tok_normalizer_kind {
    TOK_NORM_CLEAN, /* BERT's, its first half */
    TOK_NORM_LOWER,
    TOK_NORM_UNICODE,
    TOK_NORM_WITHOUT, /* characters of some classes */
    TOK_NORM_REPLACE,
    TOK_NORM_PREPEND,
    TOK_NORM_STRIP,
    TOK_NORM_NMT,
    TOK_NORM_BYTES,
    TOK_NORM_CHARSMAP
};

enum tok_form { TOK_NFC, TOK_NFD, TOK_NFKC, TOK_NFKD };

/* What a Replace or Split looks for. */
enum tok_pattern {
    TOK_PAT_TEXT,   /* a literal text */
    TOK_PAT_SPACE,  /* \s */
    TOK_PAT_SPACES, /* \s+ */
    TOK_PAT_BLANKS, /* {2,} blanks */
    TOK_PAT_GPT2,
    TOK_PAT_CLIP,
    TOK_PAT_WORDS, /* \w+|[^\w\s]+ */
    TOK_PAT_CLASS  /* one character of a class, or one that is the text */
};

struct tok_matcher {
    enum tok_pattern pattern;
    struct vz_slice text;
    unsigned classes; /* TOK_PAT_CLASS */
    bool has_marks;   /* TOK_PAT_CLIP: <|startoftext|> and <|endoftext|> are matches too */
};

struct tok_charsmap {
    const uint32_t *units; /* darts-clone's double array */
    size_t unit_count;
    struct vz_slice texts; /* NUL-terminated replacements */
};

struct tok_normalizer {
    enum tok_normalizer_kind kind;
    bool clean, chinese; /* CLEAN: control characters away, blanks round Chinese ones */
    unsigned classes;    /* WITHOUT */
    bool left, right;    /* STRIP */
    enum tok_form form;
    struct tok_matcher find;
    struct vz_slice text; /* REPLACE by, PREPEND */
    struct tok_charsmap charsmap;
};

enum tok_splitter_kind { TOK_SPLIT_MATCHER, TOK_SPLIT_BYTES, TOK_SPLIT_METASPACE };

enum tok_behavior { TOK_REMOVED, TOK_ISOLATED, TOK_WITH_PREVIOUS, TOK_WITH_NEXT, TOK_CONTIGUOUS };

struct tok_splitter {
    enum tok_splitter_kind kind;
    struct tok_matcher find;
    enum tok_behavior behavior;
    bool invert;
    bool prefix; /* BYTES: a blank first. METASPACE: the mark first */
    bool first;  /* METASPACE: only before the text's first piece */
    bool split;  /* BYTES: by GPT-2's pattern. METASPACE: before each mark */
};

#define TOK_MAX_STAGES 16

struct tok_added {
    struct vz_slice text;
    uint32_t id;
    bool single_word, lstrip, rstrip, normalized;
};

enum tok_item_kind { TOK_ITEM_SPECIAL, TOK_ITEM_A, TOK_ITEM_B };
struct tok_item {
    enum tok_item_kind kind;
    uint8_t type;
    uint32_t id; /* SPECIAL */
};
#define TOK_MAX_ITEMS 32
struct tok_template {
    struct tok_item items[TOK_MAX_ITEMS];
    size_t count, specials;
};

enum tok_model_kind { TOK_BPE, TOK_WORDPIECE, TOK_UNIGRAM, TOK_WORDLEVEL };

struct tok_merge {
    uint64_t pair; /* left id << 32 | right id; all ones when free */
    uint32_t rank, id;
};

#define TOK_DIRECT_CHARS 0x250

struct tok_cache;

struct tok_model {
    enum tok_model_kind kind;
    struct tok_trie trie; /* text -> id */
    uint32_t unk;         /* TOK_NONE: none */
    bool fuse_unk, byte_fallback;
    uint32_t bytes[256]; /* ids of <0x00>.., TOK_NONE when not in the vocabulary */
    /* BPE */
    bool ignore_merges;
    struct vz_slice prefix, suffix; /* of characters that are not the first, the last */
    struct tok_merge *merges;
    size_t merge_slots;
    uint32_t direct[4][TOK_DIRECT_CHARS]; /* id of a character: bit 0 not first, bit 1 last */
    struct tok_cache *cache;
    /* WORDPIECE */
    uint32_t prefix_node; /* the trie behind the prefix; TOK_NONE when nothing has it */
    size_t max_chars;
    /* UNIGRAM */
    double *scores; /* by id */
    double unk_score;
};

struct vz_tokenizer {
    struct vz_arena arena; /* all texts */
    size_t max_tokens;
    uint32_t vocab_count;
    struct vz_slice *texts; /* by id */
    struct tok_normalizer normalizers[TOK_MAX_STAGES];
    size_t normalizer_count;
    struct tok_splitter splitters[TOK_MAX_STAGES];
    size_t splitter_count;
    struct tok_model model;
    struct tok_added *added;
    size_t added_count;
    struct tok_trie added_raw, added_normalized; /* text -> position in added */
    struct tok_template single, pair;
};

/* ---- one text on its way --------------------------------------------------------------------- */

/* No text on its way grows beyond this; it is cut there, which counts as truncated. */
#define TOK_MAX_WORK_BYTES (16u << 20)
/* A text is cut to this first, or to 64 bytes a token wanted if that is more. */
#define TOK_MAX_TEXT_BYTES (1u << 20)

struct tok_span {
    uint32_t start, end;
    bool is_match;
};

struct tok_run {
    const struct vz_tokenizer *tokenizer;
    uint32_t *ids; /* malloc */
    size_t count, capacity;
    size_t enough; /* stop here: more would be cut anyway */
    bool is_cut;   /* some text was left out */
    /* Normalizers took the text's first character away: Metaspace's "first" asks for it. */
    bool starts_late;
    bool is_broke;                           /* out of memory */
    struct vz_buf work[2];                   /* normalisers' */
    struct vz_buf rewritten[TOK_MAX_STAGES]; /* splitters' */
    struct tok_span *spans[TOK_MAX_STAGES];
    size_t span_capacity[TOK_MAX_STAGES];
    void *scratch; /* the model's */
    size_t scratch_bytes;
    struct vz_buf mended; /* the text, where it was no UTF-8 */
};
void tok_run_deinit(struct tok_run *run);

static inline bool tok_run_full(const struct tok_run *run)
{
    return run->count >= run->enough || run->is_broke;
}
void tok_run_add(struct tok_run *run, uint32_t id);
/* Appends unless the limit is reached; then is_cut. */
void tok_run_append(struct tok_run *run, struct vz_buf *out, const char *text, size_t len);
/* At least `bytes` of scratch memory; NULL without memory (is_broke then). Valid until the next. */
void *tok_run_scratch(struct tok_run *run, size_t count, size_t bytes);

/* The next match at or after `from`: false when there is none. Matches are never empty. */
bool tok_match(const struct tok_matcher *find, struct vz_slice text, size_t from, size_t *start,
               size_t *end);

/* All normalisers, in work[]; the result is valid until the next call. */
struct vz_slice tok_normalize(struct tok_run *run, struct vz_slice text);
void tok_charsmap_apply(struct tok_run *run, const struct tok_charsmap *map, struct vz_slice text,
                        struct vz_buf *out);
/* `blob` lives as long as the map. */
enum vz_status tok_charsmap_init(struct tok_charsmap *map, struct vz_slice blob,
                                 struct vz_error *err);

/* Through splitters stage.. to the model. is_first: the piece begins the text. */
void tok_split(struct tok_run *run, size_t stage, struct vz_slice piece, bool is_first);

/* A piece to ids. */
void tok_model_run(struct tok_run *run, struct vz_slice piece);
void tok_bpe_run(struct tok_run *run, struct vz_slice piece);
/* After the trie is full and prefix and suffix are set. */
void tok_bpe_prepare(struct tok_model *model);
/* Room for `count` merges; false without memory. */
bool tok_bpe_merges_init(struct tok_model *model, size_t count);
void tok_bpe_merge_put(struct tok_model *model, uint32_t left, uint32_t right, uint32_t rank,
                       uint32_t id);
void tok_bpe_deinit(struct tok_model *model);
void tok_model_deinit(struct tok_model *model);

/* ---- reading ----------------------------------------------------------------------------------
 */

/* Of tokenizer.json's text already parsed; `folder` is for messages. For fuzzing, too. */
enum vz_status tok_open_json(struct vz_json root, struct vz_json config, const char *folder,
                             size_t max_tokens, struct vz_tokenizer **out, struct vz_error *err);
/* Each takes its member of tokenizer.json; a missing value is an absent one. Lists add up. */
enum vz_status tok_normalizers_read(struct vz_tokenizer *tokenizer, struct vz_json entry,
                                    struct vz_error *err);
enum vz_status tok_splitters_read(struct vz_tokenizer *tokenizer, struct vz_json entry,
                                  struct vz_error *err);
enum vz_status tok_templates_read(struct vz_tokenizer *tokenizer, struct vz_json entry,
                                  struct vz_error *err);
enum vz_status tok_model_read(struct vz_tokenizer *tokenizer, struct vz_json entry,
                              struct vz_error *err);

/* After the model. */
enum vz_status tok_added_read(struct vz_tokenizer *tokenizer, struct vz_json list,
                              struct vz_error *err);

/* tokenizer.json's text for a folder that has none: from vocab.json + merges.txt or vocab.txt and
 * tokenizer_config.json (`config`). VZ_NOT_FOUND when these are missing too. */
enum vz_status tok_legacy_write(const char *folder, struct vz_json config, struct vz_buf *out,
                                struct vz_error *err);

#endif
