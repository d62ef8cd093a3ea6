/* What filters matched: see remembered.h. */
#include "store/remembered.h"

#include <stdlib.h>
#include <string.h>

void vz_remembered_init(struct vz_remembered *remembered)
{
    *remembered = (struct vz_remembered){0};
    pthread_mutex_init(&remembered->lock, NULL);
}

void vz_remembered_deinit(struct vz_remembered *remembered)
{
    for (unsigned i = 0; i < remembered->count; i++)
        vz_bitset_deinit(&remembered->entries[i].bits);
    pthread_mutex_destroy(&remembered->lock);
}

static bool same(const struct vz_filter_key *a, const struct vz_filter_key *b)
{
    return a->field == b->field && a->kind == b->kind && a->low == b->low && a->high == b->high;
}

static struct vz_remembered_entry *find(struct vz_remembered *remembered,
                                        const struct vz_filter_key *key)
{
    for (unsigned i = 0; i < remembered->count; i++)
        if (same(&remembered->entries[i].key, key))
            return &remembered->entries[i];
    return NULL;
}

uint32_t vz_remembered_get(struct vz_remembered *remembered, const struct vz_filter_key *key,
                           struct vz_bitset *bits)
{
    size_t known = 0;
    pthread_mutex_lock(&remembered->lock);
    struct vz_remembered_entry *entry = find(remembered, key);
    if (entry) {
        known = VZ_MIN(entry->bits.bits, bits->bits);
        memcpy(bits->words, entry->bits.words, (known + 63) / 64 * sizeof(uint64_t));
        entry->used = ++remembered->clock;
    }
    pthread_mutex_unlock(&remembered->lock);
    if (known % 64) /* what an older snapshot does not see */
        bits->words[known / 64] &= (1ull << known % 64) - 1;
    return (uint32_t)known;
}

static size_t bytes_of(const struct vz_bitset *bits)
{
    return vz_bitset_word_count(bits) * sizeof(uint64_t);
}

/* Whether the key was asked before; it was from now on. */
static bool seen_before(struct vz_remembered *remembered, const struct vz_filter_key *key)
{
    for (unsigned i = 0; i < VZ_REMEMBERED_SEEN; i++)
        if (remembered->seen[i].kind && same(&remembered->seen[i], key))
            return true;
    remembered->seen[remembered->most_seen++ % VZ_REMEMBERED_SEEN] = *key;
    return false;
}

static void drop(struct vz_remembered *remembered, struct vz_remembered_entry *entry)
{
    remembered->bytes -= bytes_of(&entry->bits);
    vz_bitset_deinit(&entry->bits);
    *entry = remembered->entries[--remembered->count];
}

static void make_room(struct vz_remembered *remembered, size_t bytes)
{
    while (remembered->count && (remembered->count == VZ_REMEMBERED_MOST ||
                                 remembered->bytes + bytes > VZ_REMEMBERED_BYTES)) {
        struct vz_remembered_entry *oldest = &remembered->entries[0];
        for (unsigned i = 1; i < remembered->count; i++)
            if (remembered->entries[i].used < oldest->used)
                oldest = &remembered->entries[i];
        drop(remembered, oldest);
    }
}

void vz_remembered_put(struct vz_remembered *remembered, const struct vz_filter_key *key,
                       const struct vz_bitset *bits)
{
    if (bytes_of(bits) > VZ_REMEMBERED_BYTES)
        return;
    pthread_mutex_lock(&remembered->lock);
    struct vz_remembered_entry *entry = find(remembered, key);
    if (entry && entry->bits.bits < bits->bits)
        drop(remembered, entry);
    else if (entry || !seen_before(remembered, key)) {
        pthread_mutex_unlock(&remembered->lock);
        return;
    }
    make_room(remembered, bytes_of(bits));
    entry = &remembered->entries[remembered->count++];
    entry->key = *key;
    entry->used = ++remembered->clock;
    vz_bitset_copy(&entry->bits, bits);
    remembered->bytes += bytes_of(bits);
    pthread_mutex_unlock(&remembered->lock);
}

static struct vz_remembered_totals *find_totals(struct vz_remembered *remembered, uint16_t field)
{
    for (unsigned i = 0; i < remembered->totals_count; i++)
        if (remembered->totals[i].field == field)
            return &remembered->totals[i];
    return NULL;
}

void vz_remembered_totals_get(struct vz_remembered *remembered, uint16_t field, uint32_t watermark,
                              uint32_t dead, struct vz_column_totals *totals)
{
    *totals = (struct vz_column_totals){0};
    pthread_mutex_lock(&remembered->lock);
    const struct vz_remembered_totals *known = find_totals(remembered, field);
    /* The dead of a later snapshot are those of an earlier one and more: as many are the same. */
    if (known && known->dead == dead && known->totals.docno <= watermark)
        *totals = known->totals;
    pthread_mutex_unlock(&remembered->lock);
}

void vz_remembered_totals_put(struct vz_remembered *remembered, uint16_t field, uint32_t dead,
                              const struct vz_column_totals *totals)
{
    pthread_mutex_lock(&remembered->lock);
    struct vz_remembered_totals *known = find_totals(remembered, field);
    bool older = known && (known->totals.docno > totals->docno || known->dead > dead);
    if (!known) {
        if (remembered->totals_count < VZ_REMEMBERED_TOTALS)
            known = &remembered->totals[remembered->totals_count++];
        else
            known = &remembered->totals[remembered->totals_next++ % VZ_REMEMBERED_TOTALS];
    }
    if (!older)
        *known = (struct vz_remembered_totals){.field = field, .dead = dead, .totals = *totals};
    pthread_mutex_unlock(&remembered->lock);
}
