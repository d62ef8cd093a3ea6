/* text/analysis_parts.h - what the files of the analysis share. Private to the room.
 *
 * A chain runs as a batch: char filters rewrite the whole text and leave maps back to the original
 * offsets; the tokenizer fills a list of tokens; each filter edits that list in place or makes a
 * new one. Positions are increments until the end, as in Lucene: whoever removes a token adds its
 * increment to the next one.
 */
#ifndef VZ_TEXT_ANALYSIS_PARTS_H
#define VZ_TEXT_ANALYSIS_PARTS_H

#include "text/analysis.h"

#include "base/strmap.h"

#include <stdatomic.h>
#include <unicode/uchar.h>
#include <unicode/utf8.h>

/* ---- offsets through char filters ------------------------------------------------------------ */

/* Behind offset `at` of the filtered text (UTF-16), the text before was longer by `more`. */
struct offset_step {
    uint32_t at;
    int32_t more;
};
struct vz_offset_map {
    struct offset_step *steps;
    size_t count, capacity;
};
void vz_offset_map_add(struct vz_offset_map *map, struct vz_arena *arena, size_t at, int64_t more);

#define VZ_MAX_CHAR_FILTERS 32

/* The text being analyzed, what the tokenizer reads. */
struct vz_source {
    struct vz_slice text;
    bool ascii;
    struct vz_offset_map maps[VZ_MAX_CHAR_FILTERS];
    unsigned map_count;
    size_t max_bytes; /* of the arena that filtered texts and maps are in */
};
/* A cursor from bytes to UTF-16 units of the filtered text; goes forward fastest. */
struct vz_utf16 {
    const struct vz_source *source;
    size_t byte, unit;
};
/* The unit of a byte offset, in the filtered text. */
size_t vz_utf16_at(struct vz_utf16 *cursor, size_t byte);
/* The same in the original text. */
uint32_t vz_offset_at(struct vz_utf16 *cursor, size_t byte);
uint32_t vz_offset_correct(const struct vz_source *source, size_t unit);
bool vz_text_is_ascii(struct vz_slice text);

/* Decodes one code point at text[*at] and moves on; bad bytes are U+FFFD. */
static inline UChar32 vz_next_char(struct vz_slice text, size_t *at)
{
    UChar32 c;
    int64_t i = (int64_t)*at;
    U8_NEXT_OR_FFFD((const uint8_t *)text.ptr, i, (int64_t)text.len, c);
    *at = (size_t)i;
    return c;
}
static inline size_t vz_put_char(char *out, UChar32 c)
{
    size_t n = 0;
    U8_APPEND_UNSAFE((uint8_t *)out, n, c);
    return n;
}
/* Code points of a text. */
size_t vz_char_count(struct vz_slice text);
/* UTF-16 units of a text. */
size_t vz_unit_count(struct vz_slice text);
/* The byte behind the first `chars` code points; text.len when there are fewer. */
size_t vz_char_offset(struct vz_slice text, size_t chars);

/* ---- components -------------------------------------------------------------------------------
 */

struct vz_char_filter {
    struct vz_slice name;
    /* Rewrites source->text; new text lives in the arena; adds one map. */
    enum vz_status (*run)(const struct vz_char_filter *filter, struct vz_source *source,
                          struct vz_arena *arena, struct vz_error *err);
    void (*deinit)(struct vz_char_filter *filter);
    void *config;
    struct vz_char_filter *next;
};
struct vz_tokenizer {
    struct vz_slice name;
    enum vz_status (*run)(const struct vz_tokenizer *tokenizer, const struct vz_source *source,
                          struct vz_tokens *tokens, struct vz_error *err);
    void (*deinit)(struct vz_tokenizer *tokenizer);
    void *config;
    struct vz_tokenizer *next;
};
struct vz_token_filter {
    struct vz_slice name;
    enum vz_status (*run)(const struct vz_token_filter *filter, struct vz_tokens *tokens,
                          struct vz_error *err);
    void (*deinit)(struct vz_token_filter *filter);
    void *config;
    bool normalizes; /* allowed in normalizers: one character to others, no words */
    bool graphs;
    bool search_only; /* updateable synonyms: what is indexed could not follow */
    struct vz_token_filter *next;
};

#define VZ_MAX_FILTERS 64

struct vz_analyzer {
    struct vz_slice name;
    bool custom;
    bool is_normalizer;
    uint32_t gap;
    const struct vz_char_filter *char_filters[VZ_MAX_CHAR_FILTERS];
    unsigned char_filter_count;
    const struct vz_tokenizer *tokenizer;
    const struct vz_token_filter *filters[VZ_MAX_FILTERS];
    unsigned filter_count;
    bool fast; /* standard + lowercase, nothing else: the short way for ASCII */
    unsigned max_token_length;
    struct vz_components *own; /* of one made for a request; NULL: the analysis's */
    struct vz_analyzer *next;
};

/* Owns components and their memory. */
struct vz_components {
    struct vz_arena arena;
    struct vz_char_filter *char_filters;
    struct vz_tokenizer *tokenizers;
    struct vz_token_filter *filters;
};
void vz_components_deinit(struct vz_components *components);

/* ---- making components ------------------------------------------------------------------------
 */

/* What a maker gets: the settings object of the component (missing for built-in ones). */
struct vz_making {
    struct vz_analysis *analysis;
    struct vz_components *components;
    struct vz_slice name; /* of the component, for messages */
    struct vz_json settings;
    /* For synonyms: the chain in front, to analyze the rules with. */
    const struct vz_analyzer *before;
    const struct vz_analysis_options *options;
    bool lenient; /* settings of somebody else: unknown ones are not ours to refuse */
};
bool vz_making_get(const struct vz_making *making, const char *key, struct vz_json *value);
enum vz_status vz_making_int(const struct vz_making *making, const char *key, int64_t least,
                             int64_t most, int64_t *value, struct vz_error *err);
enum vz_status vz_making_bool(const struct vz_making *making, const char *key, bool *value,
                              struct vz_error *err);
/* The sizes of ngrams: in order and, but at an edge, not further apart than the index allows. */
enum vz_status vz_making_check_grams(const struct vz_making *making, bool edge, int64_t min,
                                     int64_t max, struct vz_error *err);
/* A string, or `otherwise`; in the components' arena. */
struct vz_slice vz_making_text(const struct vz_making *making, const char *key,
                               const char *otherwise);
/* A list of strings, or one with commas, into the arena. False when the key is absent. */
bool vz_making_list(const struct vz_making *making, const char *key, struct vz_slice **items,
                    size_t *count);
/* Refuses settings that are not in `known` (words separated by spaces; "type" always is). */
enum vz_status vz_making_check(const struct vz_making *making, const char *known,
                               struct vz_error *err);
static inline void *vz_making_zalloc(const struct vz_making *making, size_t bytes)
{
    return vz_arena_zalloc(&making->components->arena, bytes);
}

enum vz_status vz_char_filter_make(const struct vz_making *making, struct vz_slice type,
                                   struct vz_char_filter *out, struct vz_error *err);
enum vz_status vz_tokenizer_make(const struct vz_making *making, struct vz_slice type,
                                 struct vz_tokenizer *out, struct vz_error *err);
enum vz_status vz_token_filter_make(const struct vz_making *making, struct vz_slice type,
                                    struct vz_token_filter *out, struct vz_error *err);
typedef enum vz_status vz_filter_maker(const struct vz_making *making, struct vz_token_filter *out,
                                       struct vz_error *err);
vz_filter_maker vz_make_synonym, vz_make_synonym_graph, vz_make_word_delimiter_graph,
    vz_make_shingle, vz_make_stemmer, vz_make_snowball, vz_make_stop, vz_make_ngram,
    vz_make_edge_ngram, vz_make_pattern_replace, vz_make_elision, vz_make_porter_stem,
    vz_make_stemmer_override, vz_make_keyword_marker, vz_make_cjk_bigram;
vz_filter_maker vz_make_lowercase, vz_make_uppercase, vz_make_fold, vz_make_keep, vz_make_length,
    vz_make_limit, vz_make_unique, vz_make_remove_duplicates, vz_make_fingerprint, vz_make_trim,
    vz_make_reverse, vz_make_apostrophe, vz_make_digits, vz_make_german, vz_make_keyword_repeat,
    vz_make_truncate;
#define VZ_EACH_TOKEN(token, tokens)                                                               \
    for (struct vz_token *token = (tokens)->items, *end_ = token ? token + (tokens)->count : NULL; \
         token < end_; token++)
/* The maker of a filter without settings. */
#define VZ_PLAIN_FILTER(function, run_function, is_normal)                                         \
    enum vz_status function(const struct vz_making *making, struct vz_token_filter *out,           \
                            struct vz_error *err)                                                  \
    {                                                                                              \
        out->run = run_function;                                                                   \
        out->normalizes = is_normal;                                                               \
        return vz_making_check(making, "", err);                                                   \
    }

/* text/normalize.c: "arabic_normalization" ..., "lowercase:greek" ...; VZ_NOT_FOUND for others. */
enum vz_status vz_normalization_make(const struct vz_making *making, struct vz_slice type,
                                     struct vz_token_filter *out, struct vz_error *err);
/* text/stem.c: "arabic_stem", "brazilian_stem" ...; VZ_NOT_FOUND for others. */
enum vz_status vz_stem_filter_make(const struct vz_making *making, struct vz_slice type,
                                   struct vz_token_filter *out, struct vz_error *err);
/* text/thai.c */
enum vz_status vz_thai_make(const struct vz_making *making, struct vz_tokenizer *out,
                            struct vz_error *err);

/* text/recipes.c: analyzers that are chains with a name. A recipe's words stand with spaces between
 * them: each is a component's type with settings of its own. */
struct vz_recipe {
    const char *name;
    const char *chain;
    const char *stop; /* default stop words */
};
const struct vz_recipe *vz_recipe_find(struct vz_slice name);
/* What Elasticsearch has and we have not, so that it is refused and not unknown. */
bool vz_recipe_known_elsewhere(struct vz_slice name);
struct vz_slice vz_recipe_type(struct vz_slice word);
/* A word's settings as a JSON object's text in `out`; false when the word adds nothing. */
bool vz_recipe_settings(const struct vz_making *making, const struct vz_recipe *recipe,
                        struct vz_slice word, struct vz_buf *out);

/* text/shingles.c: shingles of one size. trailing: the last words begin some, too. */
enum vz_status vz_shingles_make(const struct vz_making *making, unsigned size, bool trailing,
                                struct vz_token_filter *out);

/* The plain lowercase filter; the standard tokenizer's max_token_length, 0 for other tokenizers. */
bool vz_filter_is_lowercase(const struct vz_token_filter *filter);
unsigned vz_tokenizer_standard_length(const struct vz_tokenizer *tokenizer);
/* Names a component of a built-in analyzer; aborts never, returns NULL on failure. */
const struct vz_token_filter *vz_builtin_filter(struct vz_analysis *analysis,
                                                struct vz_components *components, const char *type,
                                                const char *settings, struct vz_error *err);

/* ---- tokens -----------------------------------------------------------------------------------
 */

/* A new token at the end; VZ_LIMIT is told by the caller through vz_tokens_full. */
struct vz_token *vz_tokens_push(struct vz_tokens *tokens);
/* How many there may be; lists that are made of it share its limit. */
static inline size_t vz_tokens_limit(const struct vz_tokens *tokens)
{
    return tokens->max_count ? tokens->max_count : VZ_MAX_TOKENS;
}
enum vz_status vz_tokens_check(const struct vz_tokens *tokens, struct vz_error *err);
/* A list without an arena of its own, to be swapped in: texts go to the arena of the real one. */
void vz_tokens_swap_items(struct vz_tokens *tokens, struct vz_tokens *scratch);
enum vz_status vz_analyzer_run(const struct vz_analyzer *analyzer, struct vz_slice text,
                               struct vz_tokens *tokens, vz_analyze_watch *watch, void *context,
                               struct vz_error *err);
/* The next character of a type decides; true keeps the token. */
typedef bool vz_token_test(const void *config, struct vz_token *token);
/* Drops tokens that `keep` says no to, passing increments on. */
void vz_tokens_keep(struct vz_tokens *tokens, vz_token_test *keep, const void *config);

/* ---- standard.c -------------------------------------------------------------------------------
 */

enum vz_status vz_standard_run(struct vz_slice text, const struct vz_source *source,
                               unsigned max_token_length, bool urls, struct vz_tokens *tokens,
                               struct vz_error *err);
/* Standard and lowercase in one pass over ASCII text. */
enum vz_status vz_standard_fast(struct vz_slice text, unsigned max_token_length,
                                struct vz_tokens *tokens, struct vz_error *err);

/* ---- words ------------------------------------------------------------------------------------
 */

/* A set of words, folded when `ignore_case`. */
struct vz_word_set {
    struct vz_strmap map;
    bool ignore_case;
    unsigned char lengths[32]; /* bit n: a word of n bytes is in it; last bit: or longer */
};
void vz_word_set_add(struct vz_word_set *set, struct vz_slice word);
bool vz_word_set_has(const struct vz_word_set *set, struct vz_slice word);
void vz_word_set_deinit(struct vz_word_set *set);
/* Adds the words of a setting: a list, "a,b", "_portuguese_", "_none_"; `otherwise` or none without
 * one. VZ_UNSUPPORTED: stop words of a language that there are none of. */
enum vz_status vz_word_set_read(const struct vz_making *making, const char *key,
                                const char *otherwise, struct vz_word_set *set,
                                struct vz_error *err);
/* A list such as "_portuguese_"; NULL when there is none of that name. Words separated by spaces,
 * ended by NUL. */
const char *vz_stop_words(struct vz_slice name);
const char *vz_stop_words_of_the_world(struct vz_slice name); /* text/stopwords_world.c */

/* Simple lower case, as Java's Character.toLowerCase; in the arena unless nothing changes. */
struct vz_slice vz_lowercase(struct vz_slice text, struct vz_arena *arena);
struct vz_slice vz_uppercase(struct vz_slice text, struct vz_arena *arena);
/* text/folding.c: ASCII for a character, or NULL when it has none. */
const char *vz_fold_char(UChar32 c);

/* text/light.c: stemmers that are no Snowball programs. chars[*len] in UTF-16-like code units; the
 * buffer has two spare. */
#define VZ_LIGHT_MAX 256
typedef size_t vz_light_stemmer(UChar32 *chars, size_t len);
vz_light_stemmer *vz_light_stemmer_find(struct vz_slice name);

/* ---- regular expressions (pattern.c) ----------------------------------------------------------
 */

struct vz_pattern;
/* Java's syntax as far as PCRE2 shares it. `flags`: "CASE_INSENSITIVE|COMMENTS|...". */
enum vz_status vz_pattern_new(struct vz_slice pattern, struct vz_slice flags,
                              struct vz_pattern **out, struct vz_error *err);
void vz_pattern_free(struct vz_pattern *pattern);
unsigned vz_pattern_groups(const struct vz_pattern *pattern);
/* A search from `from`; *found false when there is none. spans[2 * groups + 2] are byte offsets,
 * SIZE_MAX for groups that took no part. VZ_LIMIT when it takes too long. */
enum vz_status vz_pattern_find(const struct vz_pattern *pattern, struct vz_slice text, size_t from,
                               size_t *spans, bool *found, struct vz_error *err);
/* The whole text. */
enum vz_status vz_pattern_full(const struct vz_pattern *pattern, struct vz_slice text, bool *found,
                               struct vz_error *err);
/* Java's replacement ("$1", "\$"). Appends the text for one match; VZ_LIMIT past max_bytes of it. */
enum vz_status vz_pattern_expand(struct vz_slice replacement, struct vz_slice text,
                                 const size_t *spans, unsigned groups, size_t max_bytes,
                                 struct vz_buf *out, struct vz_error *err);

#endif
