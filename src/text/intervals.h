/* text/intervals.h - trees of intervals: where in a text words stand together.
 *
 * A source gives, for a document, intervals of positions (start, end, both within), none of which
 * holds another of the same source: what Elasticsearch's `intervals` query is made of. Sources are
 * made from the leaves up by the functions here, which put them into the shape that Lucene's
 * Intervals gives them (disjunctions are pulled up where a shorter alternative would hide a longer
 * one), so that what matches, and the scores, are Lucene's.
 *
 * Everything lives in the caller's arena and is immutable; strings are borrowed. Threads: any.
 *
 *     either = vz_intervals_or(arena, parts, 2);
 *     both = vz_intervals_combine(arena, list, 2, 3, true);
 *     query.kind = VZ_TEXT_INTERVALS; query.intervals = both;
 */
#ifndef VZ_TEXT_INTERVALS_H
#define VZ_TEXT_INTERVALS_H

#include "base/mem.h"
#include "base/text.h"

#define VZ_MAX_DISJUNCTIONS 1024 /* that pulling up may make of one source */
#define VZ_MAX_INTERVALS 131072  /* the `size` of a source; of it lists of postings are opened */

enum vz_interval_kind {
    VZ_INTERVAL_TERMS, /* any of terms */
    VZ_INTERVAL_OR,    /* any of parts; of none: nothing */
    VZ_INTERVAL_ORDERED,
    VZ_INTERVAL_UNORDERED,
    VZ_INTERVAL_BLOCK,  /* one behind the other */
    VZ_INTERVAL_REPEAT, /* `number` of parts[0] in a row of its intervals */
    VZ_INTERVAL_EXTEND, /* parts[0] with `number` positions before */
    VZ_INTERVAL_GAPS,   /* those of parts[0] with `number` gaps at most */
    VZ_INTERVAL_UNTIL,  /* from the beginning of the text up to before one of parts[0] */
    VZ_INTERVAL_SINCE,  /* from behind one of parts[0] on */
    /* those of parts[0] that ... parts[1] */
    VZ_INTERVAL_CONTAINING,
    VZ_INTERVAL_CONTAINED_BY,
    VZ_INTERVAL_OVERLAPPING,
    VZ_INTERVAL_NOT_CONTAINING,
    VZ_INTERVAL_NOT_CONTAINED_BY,
    VZ_INTERVAL_NOT_OVERLAPPING
};

struct vz_intervals {
    enum vz_interval_kind kind;
    uint16_t field;               /* TERMS */
    const struct vz_slice *terms; /* TERMS */
    size_t term_count;
    const struct vz_intervals **parts;
    size_t part_count;
    int32_t number;
    int64_t extent; /* the least width of one */
    uint64_t size;  /* sources and terms in the tree, each as often as it stands there */
};

const struct vz_intervals *vz_intervals_terms(struct vz_arena *arena, uint16_t field,
                                              const struct vz_slice *terms, size_t count);
/* Those below give NULL where more than VZ_MAX_DISJUNCTIONS or VZ_MAX_INTERVALS would be made; a
 * NULL in `parts` goes on. */
const struct vz_intervals *vz_intervals_or(struct vz_arena *arena,
                                           const struct vz_intervals *const *parts, size_t count);
/* max_gaps -1: any. None of parts: nothing; one: that one. */
const struct vz_intervals *vz_intervals_combine(struct vz_arena *arena,
                                                const struct vz_intervals *const *parts,
                                                size_t count, int32_t max_gaps, bool ordered);
const struct vz_intervals *vz_intervals_extend(struct vz_arena *arena,
                                               const struct vz_intervals *source, int32_t before);
/* CONTAINING and what follows; UNTIL: those of `source` before one of `reference`; SINCE: behind.
 */
const struct vz_intervals *vz_intervals_relate(struct vz_arena *arena, enum vz_interval_kind kind,
                                               const struct vz_intervals *source,
                                               const struct vz_intervals *reference);
/* As Lucene prints it. */
void vz_intervals_describe(const struct vz_intervals *source, struct vz_buf *out);

#endif
