/* app/duplicates.h - which pictures are the same one: copies, versions, look-alikes, kept apart.
 *
 *     exact    the same bytes, or the same pixels with other metadata: certain
 *     near     perceptual hashes that differ in few bits: another size or quality; nearly certain
 *     similar  vectors that are close: the same scene or subject; worth a look, not a copy
 *
 * A group has a centre, its largest picture, and what is near the *centre*: chains (A like B, B
 * like C, so A like C) are what fills such lists with pictures that have nothing in common. A
 * picture is in at most one group of each kind; of an exact group only the centre goes on to the
 * next kinds.
 *
 * Neighbours by hash are found as in "Fast Search in Hamming Space with Multi-Index Hashing"
 * (Norouzi, Punjani, Fleet; CVPR 2012): 64 bits are four bands of 16; hashes that differ in at most
 * b bits differ in at most b / 4 in some band, so only buckets that near in one band are looked
 * into. Not for: reading pictures or indices (cli/dedupe.c). Threads: pure functions.
 *
 *     vz_duplicates_find(pictures, count, &options, &arena, &found);
 */
#ifndef VZ_APP_DUPLICATES_H
#define VZ_APP_DUPLICATES_H

#include "base/mem.h"

#define VZ_NEAR_MOST_BITS 15

struct vz_dup_picture {
    struct vz_slice path, content_hash, pixel_hash; /* borrowed; empty hashes are like no other */
    uint64_t perceptual_hash;
    bool has_perceptual_hash;
    uint64_t pixels, size; /* the more, the rather a centre */
};

/* Two pictures whose vectors are close, by place; each pair once or twice. */
struct vz_dup_link {
    uint32_t a, b;
    float cosine;
};

struct vz_dup_options {
    int near_bits; /* 0..VZ_NEAR_MOST_BITS; below 0: no near ones */
    const struct vz_dup_link *links;
    size_t link_count;
    float similar_cosine; /* links below it do not count */
    /* Whether somebody said that these two are no duplicates; NULL: nobody. */
    bool (*is_apart)(void *context, size_t a, size_t b);
    void *context;
};

enum vz_dup_kind { VZ_DUP_EXACT, VZ_DUP_NEAR, VZ_DUP_SIMILAR, VZ_DUP_KINDS };

struct vz_dup_member {
    size_t at;       /* place in `pictures` */
    bool same_bytes; /* EXACT: as the centre */
    unsigned bits;   /* NEAR: differing from the centre */
    float cosine;    /* SIMILAR: with the centre */
};
struct vz_dup_group {
    struct vz_dup_member *members; /* the centre first, then the nearest first, then by path */
    size_t count;                  /* at least 2 */
};
struct vz_dup_found {
    struct vz_dup_group *groups[VZ_DUP_KINDS]; /* by the centre's path */
    size_t counts[VZ_DUP_KINDS];
};

/* Everything in *found is the arena's. */
void vz_duplicates_find(const struct vz_dup_picture *pictures, size_t count,
                        const struct vz_dup_options *options, struct vz_arena *arena,
                        struct vz_dup_found *found);

#endif
