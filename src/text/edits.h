/* text/edits.h - how many characters of a text have to change to make it another. */
#ifndef VZ_TEXT_EDITS_H
#define VZ_TEXT_EDITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* out[j], j from 0 to m: the edits (a character put in, taken out or replaced) that make `a` of n
 * characters the first j of `b`; with `swaps`, neighbours that changed places are one. `rows` is
 * scratch of 3 * (m + 1); `out` lies in it. Time n * m. */
const unsigned *vz_edits(const uint32_t *a, size_t n, const uint32_t *b, size_t m, bool swaps,
                         unsigned *rows);

#endif
