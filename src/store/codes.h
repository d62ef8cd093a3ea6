/* store/codes.h - a number column's values in two bytes each, for ranges that are asked once.
 *
 * The model. Up to 254 edges, quantiles of a sample, cut the values into bins of about the same
 * number; the high byte of an entry's code is the number of edges that are not over its value, the
 * low byte tells where in the bin it lies, in 256 steps. So codes rise with values, and a range of
 * values is a range of codes: those between are in it, and only entries with the very codes of its
 * ends are looked up in the column. Where a bin's smallest and largest value, which are known, both
 * lie in the range, not even these. A scan reads a quarter of the column and, where every document
 * has one value, no document numbers.
 *
 * Derived and in memory only. Made when a field of many entries is asked for its MADE_AFTERth range
 * that nobody remembers, STEP entries a request, so that no request waits for all; later documents
 * get the codes of the same edges: exact whatever they hold, as fast as before while they look like
 * the earlier ones. VZ_CODES_BYTES a generation at most: fields that come later go without.
 *
 * Threads: any may ask; one at a time makes codes, the others scan what is not made. `count` is
 * published with release and read with acquire; entries below it never change. A bin's ends only
 * grow apart, so one read too late is wider than needed and costs lookups, nothing else.
 */
#ifndef VZ_STORE_CODES_H
#define VZ_STORE_CODES_H

#include "store/store.h"

#include <pthread.h>
#include <stdatomic.h>

#define VZ_CODES_BYTES ((size_t)64 << 20)
#define VZ_CODES_FROM ((size_t)50000) /* entries: fewer are scanned as fast as they are */
#define VZ_CODES_EDGES 254            /* so that 0xFFFF is no code */
#define VZ_CODE_NONE 0xFFFF

/* What a range is among a column's codes. Valid while the snapshot is held. */
struct vz_coded_range {
    const uint16_t *codes;
    size_t count;         /* the column's first entries, which have one; a multiple of 64 */
    size_t in_a_row;      /* of these, the first ones are of documents 0, 1, 2 ... */
    uint16_t first, last; /* entries with a code from first to last may be in the range ... */
    uint16_t ends[2];     /* ... and are, but for these codes, whose values decide */
    bool none;            /* no entry is in it */
};
/* False where the field has no codes (yet). `column` is the snapshot's, of kind I64 or F64;
 * low and high are no NaN. */
bool vz_snapshot_code_i64(const struct vz_snapshot *snap, uint16_t field,
                          const struct vz_column *column, int64_t low, int64_t high,
                          struct vz_coded_range *out);
bool vz_snapshot_code_f64(const struct vz_snapshot *snap, uint16_t field,
                          const struct vz_column *column, double low, double high,
                          struct vz_coded_range *out);

/* ---- of a column file ------------------------------------------------------------------------ */

struct vz_codes;
/* For columns of any kind; NULL is free. */
struct vz_codes *vz_codes_new(enum vz_column_kind kind);
void vz_codes_free(struct vz_codes *codes);
size_t vz_codes_bytes(const struct vz_codes *codes);

#endif
