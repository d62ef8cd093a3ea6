/* image/phash.h - perceptual hashes: pictures that look alike have hashes that differ in few bits.
 *
 * For finding the same photo again (another size, another JPEG quality, a little brighter), not for
 * finding the same subject: that is what embeddings are for. Not for secrets: anybody can make a
 * picture with a given hash.
 * Threads: pure functions.
 *
 *     uint64_t a = vz_image_phash(&one), b = vz_image_phash(&other);
 *     if (vz_phash_distance(a, b) <= VZ_PHASH_SAME) ... the same photo
 */
#ifndef VZ_IMAGE_PHASH_H
#define VZ_IMAGE_PHASH_H

#include "image/image.h"

/* Up to so many different bits two versions of one photo mostly have; unrelated photos differ in
 * about 32. Among 3,420 photos and drawings of the test data 4 bits join three pairs: one photo
 * filed twice, and two of different things that look alike (trousers, a rucksack). 6 bits join 27,
 * nearly all of them clothes laid out the same way. */
#define VZ_PHASH_SAME 4

/* The signs of the 64 lowest frequencies (without the mean) of the picture as 32 x 32 grey values
 * against their median. Stable against resizing, recompression and changes of brightness. A picture
 * of one colour has hash 0. `image` must have pixels. */
uint64_t vz_image_phash(const struct vz_image *image);

static inline unsigned vz_phash_distance(uint64_t a, uint64_t b)
{
    return (unsigned)__builtin_popcountll(a ^ b);
}

#endif
