/* text/completion.h - completions among the terms of a field.
 *
 * What a user may be completing lies in the dictionary as a term of its own: what its analysis
 * gives, NUL, its weight as eight hex digits, NUL, the input as it was given. So a prefix of the
 * analysed form is a prefix of the term, merging and deleting need nothing of their own, and
 * everything can be made again from the documents.
 *
 * Threads: nothing is shared.
 */
#ifndef VZ_TEXT_COMPLETION_H
#define VZ_TEXT_COMPLETION_H

#include "text/analysis.h"

struct vz_completion_form {
    const struct vz_analyzer *analyzer;
    bool no_separators; /* preserve_separators: false */
    bool no_gaps;       /* preserve_position_increments: false */
};
/* Appends the analysed form: tokens with a separator between, of tokens of one position the first.
 * `tokens` is scratch. VZ_LIMIT. */
enum vz_status vz_completion_analyze(const struct vz_completion_form *form, struct vz_slice text,
                                     struct vz_tokens *tokens, struct vz_buf *out,
                                     struct vz_error *err);

struct vz_completion {
    struct vz_slice form, surface; /* borrow the term */
    uint32_t weight;
};
void vz_completion_put(struct vz_slice form, uint32_t weight, struct vz_slice surface,
                       struct vz_buf *out);
/* False for a term that is no completion. */
bool vz_completion_read(struct vz_slice term, struct vz_completion *out);
/* The edits that make the query a prefix of the form, or UINT_MAX when they are more than `most`;
 * the first `exact` characters must be the same. *common: how many bytes they begin with alike.
 * Texts are looked at up to 256 characters. */
unsigned vz_completion_edits(struct vz_slice query, struct vz_slice form, unsigned most,
                             size_t exact, bool swaps, size_t *common);

#endif
