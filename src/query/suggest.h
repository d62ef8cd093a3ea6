/* query/suggest.h - between suggest_parse.c (the body), suggest.c (what runs them and prints) and a
 * file a suggester. Private to the room.
 */
#ifndef VZ_QUERY_SUGGEST_H
#define VZ_QUERY_SUGGEST_H

#include "query/run.h"
#include "text/analysis.h"
#include "text/postings.h"

#define VZ_MAX_SUGGESTIONS 256
#define VZ_MAX_SUGGEST_SIZE 10000  /* options of one */
#define VZ_MAX_SUGGEST_TOKENS 1000 /* words of a text: each looks through the dictionary */

enum vz_suggester { VZ_SUGGEST_TERM, VZ_SUGGEST_PHRASE, VZ_SUGGEST_COMPLETION };
enum vz_suggest_mode { VZ_SUGGEST_MISSING, VZ_SUGGEST_POPULAR, VZ_SUGGEST_ALWAYS };
enum vz_string_distance {
    VZ_DISTANCE_INTERNAL,
    VZ_DISTANCE_DAMERAU,
    VZ_DISTANCE_LEVENSHTEIN,
    VZ_DISTANCE_JARO_WINKLER,
    VZ_DISTANCE_NGRAM
};

/* How candidates for a word are found: the term suggester, and generators of phrases. */
struct vz_speller {
    enum vz_suggest_mode mode;
    enum vz_string_distance distance;
    bool by_frequency;
    float accuracy, max_term_freq, min_doc_freq;
    uint32_t max_edits, prefix_length, min_word_length, max_inspections;
};

struct vz_completion_options {
    bool skip_duplicates, fuzzy, transpositions;
    struct vz_slice fuzziness;
    uint32_t min_length, prefix_length;
};

struct vz_suggestion {
    struct vz_slice name;
    enum vz_suggester kind;
    struct vz_slice text, prefix, regex; /* ptr NULL: not given */
    struct vz_slice field, analyzer;
    uint32_t size, shard_size;
    struct vz_speller speller;
    struct vz_completion_options completion;
};
struct vz_suggest {
    struct vz_suggestion *items;
    size_t count;
};
enum vz_status vz_suggest_parse(struct vz_parser *parser, struct vz_json value,
                                struct vz_suggest **out, struct vz_error *err);
/* The same of URL parameters: one term suggestion. */
enum vz_status vz_suggest_parse_params(const struct vz_search_params *params,
                                       struct vz_arena *arena, struct vz_suggest **out,
                                       struct vz_error *err);
/* The answer's "suggest" object, in the run's arena. Errors: VZ_BAD_ARGUMENT (no such field, not a
 * completion field, no text), VZ_LIMIT, VZ_CANCELLED. */
enum vz_status vz_suggest_run(struct vz_run *run, struct vz_slice *out, struct vz_error *err);

/* ---- for the suggesters ---------------------------------------------------------------------- */

/* The field of a suggestion in a target and what analyses its text. */
enum vz_status vz_suggest_field(const struct vz_suggestion *suggestion, struct vz_eval *eval,
                                const struct vz_field **field, const struct vz_analyzer **analyzer,
                                struct vz_error *err);

/* A correction of a word. */
struct vz_correction {
    struct vz_slice text;
    float score;
    uint64_t freq;
};
/* The best `size` corrections of a word by the speller, best first, in the eval's arena. */
enum vz_status vz_speller_run(struct vz_eval *eval, const struct vz_speller *speller,
                              const struct vz_field *field, struct vz_slice word, size_t size,
                              struct vz_correction **out, size_t *count, struct vz_error *err);
/* By the speller's sort, best first. */
void vz_corrections_sort(struct vz_correction *items, size_t count, bool by_frequency);
/* 1 for equal texts, less for others. */
float vz_string_similarity(enum vz_string_distance distance, struct vz_slice a, struct vz_slice b);

enum vz_status vz_suggest_term(struct vz_run *run, const struct vz_suggestion *suggestion,
                               struct vz_json_writer *w, struct vz_error *err);
enum vz_status vz_suggest_completion(struct vz_run *run, const struct vz_suggestion *suggestion,
                                     struct vz_json_writer *w, struct vz_error *err);
/* {"text", "offset", "length", "options": [ - the caller closes both. */
void vz_suggest_begin_entry(struct vz_json_writer *w, struct vz_slice text, uint32_t offset,
                            uint32_t length);
/* UTF-16 units of a text. */
uint32_t vz_suggest_units(struct vz_slice text);

#endif
