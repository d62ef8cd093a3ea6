/* text/passages.h - marked text to the fragments of it that a search page shows.
 *
 * The model. The values of a field lie one behind the other in one text of UTF-16 units, with a
 * NUL between; marks are stretches of it that a query matched. Three ways to cut it, as
 * Elasticsearch's highlighters do:
 *
 *  unified  each mark begins or joins a passage that ends where a sentence or word ends, bounded by
 *           a size; passages are scored like small documents, the best stay (Lucene's
 *           UnifiedHighlighter with Elasticsearch's bounded sentence scanner).
 *  plain    the tokens are grouped into fragments of about a size; the best come first.
 *  fast     a fragment of a size around each cluster of marks, moved to the next boundary.
 *
 * Not for: queries, documents, which tokens match.
 * Threads: nothing is shared. Memory: results in the arena, scratch on the heap.
 *
 *     vz_marked_text_init(&text, values, count, &arena);
 *     vz_passages(&text, marks, mark_count, &options, &arena, &fragments, &fragment_count, &err);
 */
#ifndef VZ_TEXT_PASSAGES_H
#define VZ_TEXT_PASSAGES_H

#include "base/mem.h"
#include "base/status.h"

/* Values joined; in the arena. */
struct vz_marked_text {
    uint16_t *units;
    uint32_t length;
    uint32_t *starts; /* of each value; value i ends at starts[i + 1] - 1 */
    size_t count;
};
/* VZ_LIMIT over 2^30 units. */
enum vz_status vz_marked_text_init(struct vz_marked_text *text, const struct vz_slice *values,
                                   size_t count, struct vz_arena *arena, struct vz_error *err);

/* A stretch that matched: units [start, end) of the whole text. Ascending by start, then end. */
struct vz_mark {
    uint32_t start, end;
    uint32_t term; /* which term or phrase of the query: equal ones count together */
    uint32_t freq; /* of the term in the document, as passages are scored; at least 1 */
    float weight;  /* its boost: plain and fast add them up */
};

enum vz_boundary { VZ_BOUNDARY_DEFAULT, VZ_BOUNDARY_SENTENCE, VZ_BOUNDARY_WORD, VZ_BOUNDARY_CHARS };
struct vz_passage_options {
    const struct vz_slice *pre_tags, *post_tags; /* at least one each; only fast uses more */
    size_t pre_tag_count, post_tag_count;
    bool html;          /* encode what is special in HTML */
    bool by_value;      /* unified: a value is a passage, whatever its length */
    bool trim;          /* unified: number_of_fragments is not 0 */
    bool score_ordered; /* best first, else as they stand in the text */
    bool simple;        /* plain: fragments may begin within a phrase */
    uint32_t fragment_size;
    uint32_t max_fragments; /* 0: the whole field */
    uint32_t no_match_size; /* so much of the beginning when nothing matched; 0: nothing */
    enum vz_boundary boundary;
    const char *locale; /* ICU's name; "": root */
    uint32_t boundary_max_scan;
    struct vz_slice boundary_chars; /* UTF-8 */
};
/* Unified. *count 0: nothing to show. VZ_INTERNAL when ICU fails. */
enum vz_status vz_passages(const struct vz_marked_text *text, const struct vz_mark *marks,
                           size_t mark_count, const struct vz_passage_options *options,
                           struct vz_arena *arena, struct vz_slice **fragments, size_t *count,
                           struct vz_error *err);

/* A token, for plain: which mark it is, UINT32_MAX for none; its position, and where the phrase
 * that begins there ends, 0 for none. */
struct vz_plain_token {
    uint32_t start, end, mark, position, wait_for;
};
/* Plain: of all values; tokens in the order of the text. */
enum vz_status vz_plain_fragments(const struct vz_marked_text *text,
                                  const struct vz_plain_token *tokens, size_t token_count,
                                  const struct vz_mark *marks,
                                  const struct vz_passage_options *options, struct vz_arena *arena,
                                  struct vz_slice **fragments, size_t *count);

/* Fast: VZ_BAD_ARGUMENT for a fragment_size under 18. */
enum vz_status vz_fast_fragments(const struct vz_marked_text *text, const struct vz_mark *marks,
                                 size_t mark_count, const struct vz_passage_options *options,
                                 struct vz_arena *arena, struct vz_slice **fragments, size_t *count,
                                 struct vz_error *err);

#endif
