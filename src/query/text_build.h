/* query/text_build.h - between the files that make queries over one text field: text.c (leaves of a
 * request, running them), text_match.c (texts), text_pieces.c (terms, fuzzy terms, patterns).
 *
 * What is made lies in eval->arena. Errors are those of vz_text_build_match (texts.h).
 */
#ifndef VZ_QUERY_TEXT_BUILD_H
#define VZ_QUERY_TEXT_BUILD_H

#include "query/texts.h"

#define VZ_LONGEST_BEGINNING 20 /* UTF-16 units that a field of beginnings has */

/* What a query is made for. */
struct vz_build {
    struct vz_eval *eval;
    const struct vz_text_view *view; /* NULL: no document has text */
    const struct vz_field *field;
    const struct vz_match *match;
    struct vz_error *err;
    const struct vz_spread *spread; /* NULL: the field alone */
    bool *listed;                   /* or NULL: see struct vz_text_built */
};

/* ---- text_pieces.c --------------------------------------------------------------------------- */

/* With the field's scoring; boost 1. */
struct vz_text_query *vz_build_query(const struct vz_build *b, enum vz_text_kind kind);
/* The only one of one; of none: a NONE that says something was asked for. Copies the list. */
struct vz_text_query *vz_build_parts(const struct vz_build *b, enum vz_text_kind kind,
                                     struct vz_text_query *const *parts, size_t count);
/* Alternatives of one place in the field. Copies the list; borrows the texts. */
struct vz_text_query *vz_build_terms(const struct vz_build *b, const struct vz_slice *terms,
                                     size_t count);
/* The same in the field, or spread over several. */
struct vz_text_query *vz_build_place(const struct vz_build *b, const struct vz_slice *terms,
                                     size_t count);
/* Terms of the dictionary; the request pays for what was looked at. */
enum vz_status vz_build_walk(const struct vz_build *b, const struct vz_walk *how,
                             struct vz_walk_term **terms, size_t *count);
enum vz_status vz_build_fuzzy(const struct vz_build *b, struct vz_slice word,
                              struct vz_text_query **out);
/* How a PREFIX, WILDCARD or REGEXP walks. */
enum vz_status vz_build_pattern(const struct vz_node *node, struct vz_walk *how,
                                struct vz_error *err);
/* All terms of a walk: every match scores the same. */
enum vz_status vz_build_constant(const struct vz_build *b, const struct vz_walk *how,
                                 struct vz_text_query **out);
/* One term, whatever the case of its letters. */
enum vz_status vz_build_folded(const struct vz_build *b, struct vz_slice term,
                               struct vz_text_query **out);
/* *out stays NULL where the field has no index of beginnings for the text. */
enum vz_status vz_build_beginning(const struct vz_build *b, struct vz_slice text, bool fold_case,
                                  struct vz_text_query **out);
/* A phrase of a search_as_you_type is one of its longest shingles that have no more words: *out is
 * for their field, and the tokens become shingles; else *out is *b. */
enum vz_status vz_build_shingles(const struct vz_build *b, struct vz_tokens *tokens,
                                 struct vz_build *out);
/* Of a text, in UTF-16 units. */
size_t vz_build_units(struct vz_slice text);

/* ---- text_match.c ---------------------------------------------------------------------------- */

/* *everything: a text without terms that shall match all. */
enum vz_status vz_build_match(const struct vz_build *b, struct vz_slice text, bool *everything,
                              struct vz_text_query **out);

#endif
