/* text/spans.h - Lucene's span queries: where in a text words stand, near, first, within each
 * other.
 *
 * A tree of struct vz_spans gives, for a document, spans of positions [start, end), by start and
 * then by end. Other than intervals (intervals.h) they are not minimal; which ones there are
 * follows from how Lucene's iterators go forward, and so does the score: BM25 of the sum of 1 / (1
 * + width).
 *
 * Everything lives in the caller's arena and is immutable. Threads: any. */
#ifndef VZ_TEXT_SPANS_H
#define VZ_TEXT_SPANS_H

#include "base/mem.h"
#include "base/text.h"

enum vz_span_kind {
    VZ_SPAN_TERM,
    VZ_SPAN_OR,
    VZ_SPAN_NEAR,       /* parts, with `slop`, in their order where `ordered` */
    VZ_SPAN_NOT,        /* of parts[0] those `before`, `after` positions away from parts[1] */
    VZ_SPAN_FIRST,      /* of parts[0] those that end at `slop` at most */
    VZ_SPAN_CONTAINING, /* of parts[0] those with one of parts[1] in it */
    VZ_SPAN_WITHIN,     /* of parts[1] those in one of parts[0] */
    VZ_SPAN_MASK        /* parts[0], said to be of another field */
};

struct vz_spans {
    enum vz_span_kind kind;
    uint16_t field; /* that it counts as; of a TERM: where it is */
    struct vz_slice field_name, term;
    const struct vz_spans **parts;
    size_t part_count;
    int32_t slop, before, after;
    bool ordered;
};

/* The terms whose frequencies a score is worked out from, each once: those that must not be there
 * are not among them. Gives how many; arrays of the arena. */
size_t vz_spans_terms(const struct vz_spans *spans, struct vz_arena *arena, struct vz_slice **terms,
                      uint16_t **fields);
/* As Lucene prints it. */
void vz_spans_describe(const struct vz_spans *spans, struct vz_buf *out);

#endif
