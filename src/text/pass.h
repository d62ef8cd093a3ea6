/* text/pass.h - which documents of a block a filter lets through; private to the room. */
#ifndef VZ_TEXT_PASS_H
#define VZ_TEXT_PASS_H

#include "base/bitset.h"
#include "text/pack.h"

/* The places in [from, to) of docs whose bit is set in the filter, rising; gives how many. docs
 * rise and have VZ_BLOCK entries, to is at most as many. */
unsigned vz_pass(const uint32_t *docs, unsigned from, unsigned to, const struct vz_bitset *filter,
                 unsigned char places[VZ_BLOCK]);
/* The same in plain C, for tests. */
unsigned vz_pass_plain(const uint32_t *docs, unsigned from, unsigned to,
                       const struct vz_bitset *filter, unsigned char places[VZ_BLOCK]);

#endif
