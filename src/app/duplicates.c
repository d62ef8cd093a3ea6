#include "app/duplicates.h"

#include "base/strmap.h"

#include <stdlib.h>

#define BANDS 4
#define BAND_BITS 16
#define BUCKETS (1u << BAND_BITS)

struct finding {
    const struct vz_dup_picture *pictures;
    size_t count;
    const struct vz_dup_options *options;
    struct vz_arena *arena;
    struct vz_dup_found *found;
    size_t *order; /* places, the best centre first */
    bool *copied;  /* in an exact group and not its centre: out of the other kinds */
    bool *taken;   /* in a group of the kind at hand */
    struct vz_dup_member *members; /* of the group at hand */
    size_t member_count;
    size_t capacity[VZ_DUP_KINDS];
};

static bool is_apart(const struct finding *f, size_t a, size_t b)
{
    return f->options->is_apart && f->options->is_apart(f->options->context, a, b);
}

/* ---- order --------------------------------------------------------------------------------- */

static int better_centre(const void *x, const void *y, void *context)
{
    const struct vz_dup_picture *pictures = context;
    const struct vz_dup_picture *a = &pictures[*(const size_t *)x];
    const struct vz_dup_picture *b = &pictures[*(const size_t *)y];
    if (a->pixels != b->pixels)
        return a->pixels > b->pixels ? -1 : 1;
    if (a->size != b->size)
        return a->size > b->size ? -1 : 1;
    return vz_slice_cmp(a->path, b->path);
}

static int nearer_member(const void *x, const void *y, void *context)
{
    const struct vz_dup_picture *pictures = context;
    const struct vz_dup_member *a = x, *b = y;
    if (a->same_bytes != b->same_bytes)
        return a->same_bytes ? -1 : 1;
    if (a->bits != b->bits)
        return a->bits < b->bits ? -1 : 1;
    if (a->cosine != b->cosine)
        return a->cosine > b->cosine ? -1 : 1;
    return vz_slice_cmp(pictures[a->at].path, pictures[b->at].path);
}

static int by_centre(const void *x, const void *y, void *context)
{
    const struct vz_dup_picture *pictures = context;
    const struct vz_dup_group *a = x, *b = y;
    return vz_slice_cmp(pictures[a->members[0].at].path, pictures[b->members[0].at].path);
}

/* ---- groups -------------------------------------------------------------------------------- */

static void begin_group(struct finding *f, size_t centre)
{
    f->members[0] = (struct vz_dup_member){.at = centre, .same_bytes = true, .cosine = 1};
    f->member_count = 1;
}

static void join(struct finding *f, struct vz_dup_member member)
{
    f->members[f->member_count++] = member;
    f->taken[member.at] = true;
}

static void end_group(struct finding *f, enum vz_dup_kind kind)
{
    if (f->member_count < 2)
        return;
    size_t *count = &f->found->counts[kind], bytes = f->member_count * sizeof *f->members;
    struct vz_dup_group **groups = &f->found->groups[kind];
    f->taken[f->members[0].at] = true;
    qsort_r(f->members + 1, f->member_count - 1, sizeof *f->members, nearer_member,
            (void *)(uintptr_t)f->pictures);
    if (*count == f->capacity[kind]) {
        f->capacity[kind] = VZ_MAX((size_t)16, *count * 2);
        struct vz_dup_group *more = vz_arena_alloc(f->arena, f->capacity[kind] * sizeof *more);
        if (*count)
            memcpy(more, *groups, *count * sizeof *more);
        *groups = more;
    }
    struct vz_dup_group *group = &(*groups)[(*count)++];
    group->count = f->member_count;
    group->members = vz_arena_alloc(f->arena, bytes);
    memcpy(group->members, f->members, bytes);
}

static void begin_kind(struct finding *f)
{
    if (f->count)
        memcpy(f->taken, f->copied, f->count * sizeof *f->taken);
}

/* ---- exact --------------------------------------------------------------------------------- */

/* The chain of pictures with one hash: `heads` leads to the first, `next` on. */
struct chains {
    struct vz_strmap heads;
    size_t *next; /* place + 1; 0 ends */
};

static void chain(const struct finding *f, bool pixels, struct chains *chains)
{
    chains->next = vz_calloc(f->count + 1, sizeof *chains->next);
    for (size_t i = f->count; i-- > 0;) {
        const struct vz_dup_picture *picture = &f->pictures[f->order[i]];
        struct vz_slice hash = pixels ? picture->pixel_hash : picture->content_hash;
        uint64_t first = 0;
        if (!hash.len)
            continue;
        vz_strmap_get(&chains->heads, hash, &first);
        chains->next[f->order[i]] = (size_t)first;
        vz_strmap_put(&chains->heads, hash, f->order[i] + 1);
    }
}

static void join_chain(struct finding *f, const struct chains *chains, struct vz_slice hash)
{
    uint64_t at = 0;
    size_t centre = f->members[0].at;
    if (!hash.len || !vz_strmap_get(&chains->heads, hash, &at))
        return;
    for (; at; at = chains->next[at - 1]) {
        size_t other = (size_t)at - 1;
        if (other == centre || f->taken[other])
            continue;
        bool same_bytes =
            f->pictures[other].content_hash.len &&
            vz_slice_eq(f->pictures[other].content_hash, f->pictures[centre].content_hash);
        if (same_bytes || !is_apart(f, centre, other))
            join(f, (struct vz_dup_member){.at = other, .same_bytes = same_bytes, .cosine = 1});
    }
}

static void find_exact(struct finding *f)
{
    struct chains bytes = {0}, pixels = {0};
    chain(f, false, &bytes);
    chain(f, true, &pixels);
    begin_kind(f);
    for (size_t i = 0; i < f->count; i++) {
        if (f->taken[f->order[i]])
            continue;
        const struct vz_dup_picture *centre = &f->pictures[f->order[i]];
        begin_group(f, f->order[i]);
        join_chain(f, &bytes, centre->content_hash);
        join_chain(f, &pixels, centre->pixel_hash);
        end_group(f, VZ_DUP_EXACT);
        for (size_t m = 1; m < f->member_count; m++)
            f->copied[f->members[m].at] = true;
    }
    vz_strmap_deinit(&bytes.heads);
    vz_strmap_deinit(&pixels.heads);
    free(bytes.next);
    free(pixels.next);
}

/* ---- near ---------------------------------------------------------------------------------- */

/* For each band, places ordered by its 16 bits: those of value v are at[band][from[band][v]] up to
 * from[band][v + 1]. */
struct bands {
    uint32_t *from[BANDS], *at[BANDS];
    uint16_t *masks; /* all of at most near_bits / BANDS bits */
    size_t mask_count;
};

static unsigned band_of(uint64_t hash, int band)
{
    return (unsigned)(hash >> (band * BAND_BITS)) & (BUCKETS - 1);
}

/* One colour has hash 0, and all of those are not one picture. */
static bool is_hashed(const struct vz_dup_picture *picture)
{
    return picture->has_perceptual_hash && picture->perceptual_hash;
}

static void fill_bands(const struct finding *f, struct bands *bands)
{
    for (int band = 0; band < BANDS; band++) {
        uint32_t *from = vz_calloc(BUCKETS + 2, sizeof *from);
        uint32_t *at = vz_calloc(f->count + 1, sizeof *at);
        for (size_t i = 0; i < f->count; i++)
            if (is_hashed(&f->pictures[i]))
                from[band_of(f->pictures[i].perceptual_hash, band) + 2]++;
        for (size_t v = 2; v < BUCKETS + 2; v++)
            from[v] += from[v - 1];
        for (size_t i = 0; i < f->count; i++)
            if (is_hashed(&f->pictures[i]))
                at[from[band_of(f->pictures[i].perceptual_hash, band) + 1]++] = (uint32_t)i;
        bands->from[band] = from;
        bands->at[band] = at;
    }
    bands->masks = vz_alloc(BUCKETS * sizeof *bands->masks);
    for (unsigned mask = 0; mask < BUCKETS; mask++)
        if (__builtin_popcount(mask) <= f->options->near_bits / BANDS)
            bands->masks[bands->mask_count++] = (uint16_t)mask;
}

/* Found in an earlier band too: counted there. */
static bool is_in_earlier(uint64_t difference, int band, int most)
{
    for (int b = 0; b < band; b++)
        if (__builtin_popcount(band_of(difference, b)) <= most)
            return true;
    return false;
}

static void join_near(struct finding *f, const struct bands *bands, size_t centre)
{
    uint64_t hash = f->pictures[centre].perceptual_hash;
    int most = f->options->near_bits / BANDS;
    for (int band = 0; band < BANDS; band++) {
        for (size_t m = 0; m < bands->mask_count; m++) {
            unsigned value = band_of(hash, band) ^ bands->masks[m];
            for (uint32_t i = bands->from[band][value]; i < bands->from[band][value + 1]; i++) {
                size_t other = bands->at[band][i];
                uint64_t difference = hash ^ f->pictures[other].perceptual_hash;
                int bits = __builtin_popcountll(difference);
                if (other == centre || f->taken[other] || bits > f->options->near_bits ||
                    is_in_earlier(difference, band, most) || is_apart(f, centre, other))
                    continue;
                join(f, (struct vz_dup_member){.at = other, .bits = (unsigned)bits, .cosine = 1});
            }
        }
    }
}

static void find_near(struct finding *f)
{
    struct bands bands = {0};
    if (f->options->near_bits < 0)
        return;
    fill_bands(f, &bands);
    begin_kind(f);
    for (size_t i = 0; i < f->count; i++) {
        size_t centre = f->order[i];
        if (f->taken[centre] || !is_hashed(&f->pictures[centre]))
            continue;
        begin_group(f, centre);
        join_near(f, &bands, centre);
        end_group(f, VZ_DUP_NEAR);
    }
    for (int band = 0; band < BANDS; band++) {
        free(bands.from[band]);
        free(bands.at[band]);
    }
    free(bands.masks);
}

/* ---- similar ------------------------------------------------------------------------------- */

/* Links of each picture, both ways: places[from[i]] .. places[from[i + 1]]. */
struct neighbours {
    size_t *from;
    uint32_t *places;
    float *cosines;
};

static bool is_close(const struct finding *f, const struct vz_dup_link *link)
{
    return link->a != link->b && link->a < f->count && link->b < f->count &&
           link->cosine >= f->options->similar_cosine;
}

static void add_neighbour(struct neighbours *n, uint32_t of, uint32_t other, float cosine)
{
    size_t at = n->from[of + 1]++;
    n->places[at] = other;
    n->cosines[at] = cosine;
}

static void fill_neighbours(const struct finding *f, struct neighbours *n)
{
    const struct vz_dup_options *options = f->options;
    n->from = vz_calloc(f->count + 2, sizeof *n->from);
    for (size_t i = 0; i < options->link_count; i++) {
        if (!is_close(f, &options->links[i]))
            continue;
        n->from[options->links[i].a + 2]++;
        n->from[options->links[i].b + 2]++;
    }
    for (size_t i = 2; i < f->count + 2; i++)
        n->from[i] += n->from[i - 1];
    n->places = vz_alloc((n->from[f->count + 1] + 1) * sizeof *n->places);
    n->cosines = vz_alloc((n->from[f->count + 1] + 1) * sizeof *n->cosines);
    for (size_t i = 0; i < options->link_count; i++) {
        const struct vz_dup_link *link = &options->links[i];
        if (!is_close(f, link))
            continue;
        add_neighbour(n, link->a, link->b, link->cosine);
        add_neighbour(n, link->b, link->a, link->cosine);
    }
}

/* The near group of each picture, from 1. */
static size_t *near_groups(const struct finding *f)
{
    size_t *group_of = vz_calloc(f->count + 1, sizeof *group_of);
    for (size_t g = 0; g < f->found->counts[VZ_DUP_NEAR]; g++) {
        const struct vz_dup_group *group = &f->found->groups[VZ_DUP_NEAR][g];
        for (size_t m = 0; m < group->count; m++)
            group_of[group->members[m].at] = g + 1;
    }
    return group_of;
}

static void find_similar(struct finding *f)
{
    struct neighbours n = {0};
    if (!f->options->link_count)
        return;
    size_t *near_of = near_groups(f);
    fill_neighbours(f, &n);
    begin_kind(f);
    for (size_t i = 0; i < f->count; i++) {
        size_t centre = f->order[i];
        if (f->taken[centre])
            continue;
        begin_group(f, centre);
        f->taken[centre] = true; /* not its own neighbour */
        for (size_t k = n.from[centre]; k < n.from[centre + 1]; k++) {
            size_t other = n.places[k];
            bool is_near = near_of[other] && near_of[other] == near_of[centre];
            if (!f->taken[other] && !is_near && !is_apart(f, centre, other))
                join(f, (struct vz_dup_member){.at = other, .cosine = n.cosines[k]});
        }
        if (f->member_count < 2)
            f->taken[centre] = false; /* may be near another centre */
        end_group(f, VZ_DUP_SIMILAR);
    }
    free(near_of);
    free(n.from);
    free(n.places);
    free(n.cosines);
}

/* ---- all ----------------------------------------------------------------------------------- */

void vz_duplicates_find(const struct vz_dup_picture *pictures, size_t count,
                        const struct vz_dup_options *options, struct vz_arena *arena,
                        struct vz_dup_found *found)
{
    struct finding f = {
        .pictures = pictures, .count = count, .options = options, .arena = arena, .found = found};
    *found = (struct vz_dup_found){0};
    f.order = vz_calloc(count + 1, sizeof *f.order);
    f.copied = vz_calloc(count + 1, sizeof *f.copied);
    f.taken = vz_calloc(count + 1, sizeof *f.taken);
    f.members = vz_calloc(count + 1, sizeof *f.members);
    for (size_t i = 0; i < count; i++)
        f.order[i] = i;
    qsort_r(f.order, count, sizeof *f.order, better_centre, (void *)(uintptr_t)pictures);
    find_exact(&f);
    find_near(&f);
    find_similar(&f);
    for (int kind = 0; kind < VZ_DUP_KINDS; kind++)
        if (found->counts[kind])
            qsort_r(found->groups[kind], found->counts[kind], sizeof *found->groups[kind],
                    by_centre, (void *)(uintptr_t)pictures);
    free(f.order);
    free(f.copied);
    free(f.taken);
    free(f.members);
}
