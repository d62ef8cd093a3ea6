/* Groups of duplicates beside a plain search over all pairs, with hashes and links from a seed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "app/duplicates.h"
#include "base/text.h"

#define COUNT 600

static struct vz_dup_picture *make_pictures(uint64_t seed, struct vz_arena *arena)
{
    struct vz_dup_picture *pictures = vz_arena_zalloc(arena, COUNT * sizeof *pictures);
    for (size_t i = 0; i < COUNT; i++) {
        struct vz_dup_picture *p = &pictures[i];
        uint64_t kind = vz_rng_next(&seed) % 4;
        size_t of = i ? vz_rng_next(&seed) % i : 0;
        p->path = vz_slice_from(vz_arena_printf(arena, "/p/%04zu", i));
        p->size = 1000 + vz_rng_next(&seed) % 5;
        p->pixels = 100 + vz_rng_next(&seed) % 3;
        p->content_hash = vz_slice_from(
            vz_arena_printf(arena, "c%zu", kind == 0 && i ? (size_t)(of % 50) : 1000 + i));
        p->pixel_hash = kind <= 1 && i ? pictures[of].pixel_hash
                                       : vz_slice_from(vz_arena_printf(arena, "x%zu", i));
        p->has_perceptual_hash = vz_rng_next(&seed) % 20 != 0;
        p->perceptual_hash = vz_rng_next(&seed);
        if (kind == 2 && i) { /* some bits of another's flipped */
            p->perceptual_hash = pictures[of].perceptual_hash;
            for (uint64_t flips = vz_rng_next(&seed) % 20; flips; flips--)
                p->perceptual_hash ^= 1ull << (vz_rng_next(&seed) & 63);
        }
        if (vz_rng_next(&seed) % 30 == 0)
            p->perceptual_hash = 0;
    }
    return pictures;
}

static bool odd_pairs_apart(void *context, size_t a, size_t b)
{
    (void)context;
    return (a + b) % 7 == 0;
}

static bool better(const struct vz_dup_picture *a, const struct vz_dup_picture *b)
{
    if (a->pixels != b->pixels)
        return a->pixels > b->pixels;
    if (a->size != b->size)
        return a->size > b->size;
    return vz_slice_cmp(a->path, b->path) < 0;
}

/* Whether `other` belongs to a group of `centre`, for a kind. */
static bool belongs(const struct vz_dup_picture *p, enum vz_dup_kind kind, size_t centre,
                    size_t other, int bits)
{
    const struct vz_dup_picture *a = &p[centre], *b = &p[other];
    bool apart = odd_pairs_apart(NULL, centre, other);
    if (kind == VZ_DUP_EXACT)
        return vz_slice_eq(a->content_hash, b->content_hash) ||
               (vz_slice_eq(a->pixel_hash, b->pixel_hash) && !apart);
    return a->has_perceptual_hash && b->has_perceptual_hash && a->perceptual_hash &&
           b->perceptual_hash && !apart &&
           __builtin_popcountll(a->perceptual_hash ^ b->perceptual_hash) <= bits;
}

/* The group number of each picture by the plain way: centres from the best on take what is free. */
static void plain(const struct vz_dup_picture *p, enum vz_dup_kind kind, int bits,
                  const bool *copied, size_t *group_of, size_t *centre_of)
{
    bool done[COUNT];
    for (size_t i = 0; i < COUNT; i++) {
        group_of[i] = 0;
        done[i] = copied && copied[i];
    }
    for (size_t round = 0; round < COUNT; round++) {
        size_t best = COUNT;
        for (size_t i = 0; i < COUNT; i++)
            if (!done[i] && (best == COUNT || better(&p[i], &p[best])))
                best = i;
        if (best == COUNT)
            break;
        done[best] = true;
        for (size_t j = 0; j < COUNT; j++) {
            if (done[j] && !(group_of[j] == 0 && !(copied && copied[j])))
                continue;
            if (j == best || group_of[j] || (copied && copied[j]) ||
                !belongs(p, kind, best, j, bits))
                continue;
            group_of[j] = group_of[best] = best + 1;
            centre_of[j] = centre_of[best] = best;
            done[j] = true;
        }
    }
}

static void compare(const struct vz_dup_found *found, enum vz_dup_kind kind, const size_t *group_of)
{
    size_t in_groups = 0, expected = 0;
    for (size_t i = 0; i < COUNT; i++)
        expected += group_of[i] != 0;
    for (size_t g = 0; g < found->counts[kind]; g++) {
        const struct vz_dup_group *group = &found->groups[kind][g];
        assert_true(group->count >= 2);
        for (size_t m = 0; m < group->count; m++, in_groups++)
            if (group_of[group->members[m].at] != group->members[0].at + 1)
                fail_msg("kind %d: picture %zu is in the group of %zu, not of %zu", kind,
                         group->members[m].at, group->members[0].at,
                         group_of[group->members[m].at] - 1);
    }
    assert_int_equal(in_groups, expected);
    assert_true(expected > 20);
}

static void groups_equal_those_of_all_pairs(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 4; seed++) {
        for (int bits = 0; bits <= VZ_NEAR_MOST_BITS; bits += 3) {
            struct vz_arena arena = {0};
            struct vz_dup_found found;
            size_t group_of[COUNT], centre_of[COUNT];
            bool copied[COUNT] = {0};
            struct vz_dup_picture *pictures = make_pictures(seed, &arena);
            const struct vz_dup_options options = {.near_bits = bits, .is_apart = odd_pairs_apart};
            print_message("seed %llu, %d bits\n", (unsigned long long)seed, bits);
            vz_duplicates_find(pictures, COUNT, &options, &arena, &found);
            plain(pictures, VZ_DUP_EXACT, 0, NULL, group_of, centre_of);
            compare(&found, VZ_DUP_EXACT, group_of);
            for (size_t i = 0; i < COUNT; i++)
                copied[i] = group_of[i] && centre_of[i] != i;
            plain(pictures, VZ_DUP_NEAR, bits, copied, group_of, centre_of);
            if (bits >= 9) /* fewer have too few groups to say much */
                compare(&found, VZ_DUP_NEAR, group_of);
            vz_arena_deinit(&arena);
        }
    }
}

static void similar_ones_are_stars_without_chains(void **state)
{
    (void)state;
    struct vz_arena arena = {0};
    struct vz_dup_found found;
    struct vz_dup_picture pictures[5] = {{.path = VZ_SLICE("a"), .size = 5}, /* the largest */
                                         {.path = VZ_SLICE("b"), .size = 4},
                                         {.path = VZ_SLICE("c"), .size = 3},
                                         {.path = VZ_SLICE("d"), .size = 2},
                                         {.path = VZ_SLICE("e"), .size = 1}};
    /* a - b - c - d in a chain; e only with d, too far. */
    const struct vz_dup_link links[] = {{0, 1, 0.9f}, {1, 2, 0.95f}, {2, 3, 0.9f}, {3, 2, 0.9f},
                                        {3, 4, 0.5f}, {4, 4, 1},     {9, 1, 1}};
    const struct vz_dup_options options = {
        .near_bits = -1, .links = links, .link_count = VZ_COUNT_OF(links), .similar_cosine = 0.85f};
    vz_duplicates_find(pictures, 5, &options, &arena, &found);
    assert_int_equal(found.counts[VZ_DUP_SIMILAR], 2);
    for (size_t g = 0; g < 2; g++) {
        assert_int_equal(found.groups[VZ_DUP_SIMILAR][g].count, 2);
        assert_int_equal(found.groups[VZ_DUP_SIMILAR][g].members[0].at, 2 * g);
        assert_int_equal(found.groups[VZ_DUP_SIMILAR][g].members[1].at, 2 * g + 1);
    }
    vz_arena_deinit(&arena);
}

static void nothing_is_no_trouble(void **state)
{
    (void)state;
    struct vz_arena arena = {0};
    struct vz_dup_found found;
    struct vz_dup_picture one = {.path = VZ_SLICE("a")};
    vz_duplicates_find(NULL, 0, &(struct vz_dup_options){0}, &arena, &found);
    assert_int_equal(found.counts[VZ_DUP_EXACT] + found.counts[VZ_DUP_NEAR], 0);
    vz_duplicates_find(&one, 1, &(struct vz_dup_options){.near_bits = 6}, &arena, &found);
    assert_int_equal(found.counts[VZ_DUP_EXACT] + found.counts[VZ_DUP_NEAR], 0);
    vz_arena_deinit(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(groups_equal_those_of_all_pairs),
        cmocka_unit_test(similar_ones_are_stars_without_chains),
        cmocka_unit_test(nothing_is_no_trouble),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
