/* query/highlight.h - between highlight_parse.c (the body), highlight_marks.c (what of a text a
 * query matched) and highlight.c (values of a document to fragments). Private to the room.
 *
 * A field's text comes from _source and is analysed again: postings have no offsets. What is marked
 * follows the query as it matched: of a bool clause that the document does not satisfy nothing is
 * marked, a phrase is marked as a whole and only where it stands.
 */
#ifndef VZ_QUERY_HIGHLIGHT_H
#define VZ_QUERY_HIGHLIGHT_H

#include "query/parts.h"
#include "text/passages.h"
#include "text/score.h"

#define VZ_MAX_HIGHLIGHT_FIELDS 1000
#define VZ_MAX_HIGHLIGHT_FRAGMENTS 100000
#define VZ_MAX_HIGHLIGHT_TAGS 100

enum vz_highlight_type { VZ_HIGHLIGHT_UNIFIED, VZ_HIGHLIGHT_PLAIN, VZ_HIGHLIGHT_FAST };

/* What one field's fragments are like; `set` bits tell what was given. */
struct vz_highlight_options {
    uint32_t set;
    struct vz_slice type_name, fragmenter, encoder;
    struct vz_slice *pre_tags, *post_tags;
    size_t pre_tag_count, post_tag_count;
    uint32_t fragment_size, number_of_fragments, no_match_size, boundary_max_scan;
    bool by_score, require_field_match;
    enum vz_boundary boundary;
    struct vz_slice boundary_chars;
    const char *locale;
    int64_t max_analyzed_offset; /* -1: the index's; 0: not given */
    const struct vz_node *query; /* highlight_query, or NULL */
};

struct vz_highlight_field {
    struct vz_slice name;                /* may hold wildcards */
    struct vz_highlight_options options; /* merged with those of all fields */
    struct vz_slice *matched_fields;
    size_t matched_field_count;
};
struct vz_highlight {
    struct vz_highlight_field *fields;
    size_t field_count;
};
enum vz_status vz_highlight_parse(struct vz_parser *parser, struct vz_json value,
                                  struct vz_highlight **out, struct vz_error *err);

/* A field whose values are one term each. */
static inline bool vz_highlight_keyword(const struct vz_field *field)
{
    return field->type == VZ_FIELD_KEYWORD || field->type == VZ_FIELD_CONSTANT_KEYWORD ||
           field->type == VZ_FIELD_WILDCARD;
}

/* ---- marks ----------------------------------------------------------------------------------- */

/* The leaves of a query with the clauses above that a document may fail to satisfy. */
struct vz_marking;
/* `implied`: documents asked about match the query. `guarded` false: clauses are not checked (the
 * objects of inner hits, of which no docset is known). Memory: the eval's arena, and docsets on the
 * heap until it is closed. */
enum vz_status vz_marking_open(struct vz_eval *eval, const struct vz_node *query, bool implied,
                               bool guarded, struct vz_marking **out, struct vz_error *err);
void vz_marking_close(struct vz_marking *marking);

/* The tokens of a document's values of a field, as one of the fields sees them. */
struct vz_marked_tokens {
    const struct vz_marked_text *text;
    struct vz_plain_token *tokens; /* start, end, position; mark is filled by vz_marking_tokens */
    struct vz_slice *terms;        /* of each token */
    uint32_t *next;                /* the next token of the same term, UINT32_MAX: none */
    uint32_t *freqs;               /* of its term in the document */
    size_t count;
    uint32_t *distinct; /* the first token of each term */
    size_t distinct_count;
    struct vz_strmap *by_term; /* term -> first token */
};

struct vz_mark_list {
    struct vz_mark *items;
    size_t count, capacity; /* on the heap */
};
/* Appends the marks of a document, unsorted. `field`: leaves of this field only; NULL: of all.
 * `whole`: phrases are one mark, clauses must match (Lucene's weight matches); else each word of a
 * phrase is one and clauses are not looked at. */
enum vz_status vz_marking_collect(struct vz_marking *marking, uint32_t docno,
                                  const struct vz_field *field, bool whole,
                                  struct vz_marked_tokens *tokens, struct vz_mark_list *marks,
                                  struct vz_error *err);

/* ---- fragments ------------------------------------------------------------------------------- */

/* What is highlighted in one target, worked out once. */
struct vz_highlighter;
enum vz_status vz_highlighter_open(struct vz_eval *eval, const struct vz_highlight *highlight,
                                   const struct vz_node *query, bool implied, bool guarded,
                                   struct vz_highlighter **out, struct vz_error *err);
/* The fragments of a document or of a nested object in a document of its own, as a JSON object in
 * the eval's arena; empty when there are none. */
enum vz_status vz_highlighter_write(struct vz_highlighter *highlighter, uint32_t docno,
                                    struct vz_slice id, struct vz_json source, struct vz_slice *out,
                                    struct vz_error *err);
void vz_highlighter_close(struct vz_highlighter *highlighter);

#endif
