/* text/analysis.h - text to tokens: char filters, a tokenizer, token filters, as Elasticsearch
 * configures them and as Lucene computes them.
 *
 * The model. `vz_analysis` is the compiled `index.analysis` object of an index's settings plus the
 * built-in analyzers; it is immutable and counted by reference. An analyzer turns a text into a
 * list of tokens: UTF-8 text, a position, a position length (graphs of synonyms), offsets into the
 * original text in UTF-16 units (as Elasticsearch reports them) and a type. Normalizers are
 * analyzers that give one token.
 *
 * Not for: documents, mappings, indices; what of a token is kept is text/postings.h.
 *
 * Threads: everything compiled may be used from any thread; a vz_tokens belongs to one at a time.
 * Bounds: a text gives at most VZ_MAX_TOKENS tokens and VZ_MAX_TOKEN_BYTES bytes of token text, a
 * regular expression a bounded number of steps; past that VZ_LIMIT.
 *
 *     struct vz_tokens tokens = {0};
 *     vz_analysis_new(settings, NULL, &analysis, &err);
 *     analyzer = vz_analysis_analyzer(analysis, VZ_SLICE("portuguese"));
 *     vz_analyze(analyzer, VZ_SLICE("Os cães dormem"), &tokens, &err);   // "cao", "dorm"
 *     vz_tokens_deinit(&tokens); vz_analysis_release(analysis);
 */
#ifndef VZ_TEXT_ANALYSIS_H
#define VZ_TEXT_ANALYSIS_H

#include "base/mem.h"
#include "base/status.h"
#include "json/json.h"

#define VZ_MAX_TOKENS ((size_t)1 << 24)
#define VZ_MAX_TOKEN_BYTES ((size_t)1 << 30)

enum vz_token_type {
    VZ_TOKEN_WORD, /* "word" */
    VZ_TOKEN_ALPHANUM,
    VZ_TOKEN_NUM,
    VZ_TOKEN_SOUTHEAST_ASIAN,
    VZ_TOKEN_IDEOGRAPHIC,
    VZ_TOKEN_HIRAGANA,
    VZ_TOKEN_KATAKANA,
    VZ_TOKEN_HANGUL,
    VZ_TOKEN_EMOJI,
    VZ_TOKEN_URL,
    VZ_TOKEN_EMAIL,
    VZ_TOKEN_SYNONYM,
    VZ_TOKEN_SHINGLE,
    VZ_TOKEN_FINGERPRINT,
    VZ_TOKEN_SINGLE,
    VZ_TOKEN_DOUBLE
};
/* "<ALPHANUM>", "word", "SYNONYM" ... */
const char *vz_token_type_name(enum vz_token_type type);

struct vz_token {
    struct vz_slice text;     /* lives as long as the vz_tokens, or as the analyzed text */
    uint32_t start, end;      /* UTF-16 units of the original text */
    uint32_t position;        /* from 0; tokens come in rising order of it */
    uint32_t increment;       /* to the position of the token before; the first: 1 + position */
    uint32_t position_length; /* 1, more in a graph */
    uint8_t type;             /* enum vz_token_type */
    bool keyword;             /* stemmers leave it alone */
    bool was_word;            /* internal to filters */
};

/* Zero-initialised is empty and ready; reused without freeing by the next vz_analyze. */
struct vz_tokens {
    struct vz_token *items;
    size_t count, capacity;
    struct vz_arena arena;  /* of texts that are not the input's */
    uint32_t end_offset;    /* of the whole text, UTF-16 */
    uint32_t end_increment; /* positions removed behind the last token */
    uint32_t end_position;  /* one past the last position, removed ones included */
    bool overlaps;          /* shingles or pairs: position lengths make no graph for queries */
    size_t max_count;       /* of this text; 0: VZ_MAX_TOKENS */
    size_t max_bytes;       /* of `arena`; 0: VZ_MAX_TOKEN_BYTES */
};
void vz_tokens_deinit(struct vz_tokens *tokens);

struct vz_analysis;
struct vz_analyzer;

struct vz_analysis_options {
    unsigned max_ngram_diff;   /* index.max_ngram_diff; 0: 1 */
    unsigned max_shingle_diff; /* index.max_shingle_diff; 0: 3 */
    /* The rules of a synonyms set in Solr's form, a line a rule; NULL or false: there is none. */
    bool (*synonyms_set)(void *context, struct vz_slice name, struct vz_buf *rules);
    void *context;
};

/* Compiles {"analyzer": {...}, "tokenizer": {...}, "filter": {...}, "char_filter": {...},
 * "normalizer": {...}} or a missing value. Values may be strings, as settings keep them. Errors:
 * VZ_BAD_MAPPING with Elasticsearch's words ("Custom Analyzer [a] failed to find filter under name
 * [b]"), VZ_UNSUPPORTED (known to Elasticsearch, not here; files by path), VZ_LIMIT. One
 * reference. */
enum vz_status vz_analysis_new(struct vz_json settings, const struct vz_analysis_options *options,
                               struct vz_analysis **out, struct vz_error *err);
struct vz_analysis *vz_analysis_acquire(struct vz_analysis *analysis);
void vz_analysis_release(struct vz_analysis *analysis);

/* By name: the index's own first, then built-in ones ("standard", "portuguese" ...); NULL when
 * there is none. "default" is the index's own of that name, or standard. Valid while `analysis`
 * is. Locks for a moment the first time a built-in one is asked for. */
const struct vz_analyzer *vz_analysis_analyzer(struct vz_analysis *analysis, struct vz_slice name);
/* Another one (borrowed from `analysis`) with shingles of `size` words (2..4) behind it; beginnings:
 * and of those all beginnings of 1..20 characters, of shorter ones at the end of the text, too. What
 * search_as_you_type fields are made of. Lives as long as `analysis`; made once. NULL when the
 * analyzer has too many filters. */
const struct vz_analyzer *vz_analysis_shingled(struct vz_analysis *analysis,
                                               const struct vz_analyzer *analyzer, unsigned size,
                                               bool beginnings);
/* Makes such shingles of analyzed tokens, in place. VZ_LIMIT. */
enum vz_status vz_tokens_shingle(struct vz_tokens *tokens, unsigned size, struct vz_error *err);
/* The index's own and "lowercase". */
const struct vz_analyzer *vz_analysis_normalizer(struct vz_analysis *analysis,
                                                 struct vz_slice name);

/* An analyzer put together from one `_analyze` body: "tokenizer", "filter" (or "token_filters"),
 * "char_filter", each a name or an object with a "type", and "normalizer" forms of these (no
 * tokenizer: keyword). Free with vz_analyzer_free before `analysis` is released. Errors as above
 * ("failed to find global tokenizer under [x]" is VZ_BAD_ARGUMENT). */
enum vz_status vz_analyzer_custom(struct vz_analysis *analysis, struct vz_json body,
                                  struct vz_analyzer **out, struct vz_error *err);
void vz_analyzer_free(struct vz_analyzer *analyzer);

/* A whole text. Tokens of an earlier call die. VZ_LIMIT. */
enum vz_status vz_analyze(const struct vz_analyzer *analyzer, struct vz_slice text,
                          struct vz_tokens *tokens, struct vz_error *err);
/* The same for a query: shingles and pairs, which overlap and never meet, are one position long. */
enum vz_status vz_analyze_query(const struct vz_analyzer *analyzer, struct vz_slice text,
                                struct vz_tokens *tokens, struct vz_error *err);
/* The text of the one token that a normalizer makes; also for the terms of prefix and wildcard
 * queries (char filters and those filters that keep one token one token). In the arena. */
enum vz_status vz_normalize(const struct vz_analyzer *analyzer, struct vz_slice text,
                            struct vz_arena *arena, struct vz_slice *out, struct vz_error *err);

/* What explain shows: `stage` is called after each char filter (tokens NULL, text set), the
 * tokenizer and each token filter, with its name. */
enum vz_analysis_stage { VZ_STAGE_CHAR_FILTER, VZ_STAGE_TOKENIZER, VZ_STAGE_FILTER };
typedef void vz_analyze_watch(void *context, enum vz_analysis_stage stage, struct vz_slice name,
                              struct vz_slice text, const struct vz_tokens *tokens);
enum vz_status vz_analyze_watched(const struct vz_analyzer *analyzer, struct vz_slice text,
                                  struct vz_tokens *tokens, vz_analyze_watch *watch, void *context,
                                  struct vz_error *err);
/* Custom ones are shown stage by stage, others as a whole. */
bool vz_analyzer_is_custom(const struct vz_analyzer *analyzer);
struct vz_slice vz_analyzer_name(const struct vz_analyzer *analyzer);
/* The name of a filter that may not run when documents are indexed (updateable synonyms); empty:
 * none. */
struct vz_slice vz_analyzer_search_only(const struct vz_analyzer *analyzer);
/* position_increment_gap of the analyzer's settings, 100. */
uint32_t vz_analyzer_gap(const struct vz_analyzer *analyzer);

/* Whether a regular expression of Java's syntax, as far as PCRE2 shares it, is the whole text.
 * Compiles it each time. VZ_BAD_MAPPING when it is none, VZ_LIMIT when it takes too long. */
enum vz_status vz_java_pattern_fits(struct vz_slice pattern, struct vz_slice text, bool *fits,
                                    struct vz_error *err);

#endif
