/* sampler and diversified_sampler: only the best documents of each target go on to the children.
 *
 * Documents are kept until the target is through, then the best are chosen and handed on in their
 * order. A plain sampler throws the worse half away whenever it holds twice what it may; the
 * diversified one keeps all, because a worse document may take the place of a repeated value.
 */
#include "query/agg.h"

#include <stdlib.h>

struct sampled {
    float score;
    uint32_t docno, owner;
    int64_t value;
    bool has_value;
};
struct pile {
    struct sampled *items;
    size_t count, capacity;
};
struct vz_agg_sample {
    struct pile *piles; /* by owner */
    size_t capacity;
};

static int by_score(const void *a, const void *b)
{
    const struct sampled *x = a, *y = b;
    if (x->score != y->score)
        return x->score > y->score ? -1 : 1;
    return x->docno < y->docno ? -1 : x->docno > y->docno;
}

static int by_document(const void *a, const void *b)
{
    const struct sampled *x = a, *y = b;
    if (x->docno != y->docno)
        return x->docno < y->docno ? -1 : 1;
    return x->owner < y->owner ? -1 : x->owner > y->owner;
}

static int by_value(const void *a, const void *b)
{
    const struct sampled *x = a, *y = b;
    if (x->value != y->value)
        return x->value < y->value ? -1 : 1;
    return by_score(a, b);
}

static void keep(struct vz_agg_node *node, struct pile *pile, const struct sampled *one)
{
    bool diversified = node->agg->kind == VZ_AGG_DIVERSIFIED_SAMPLER;
    size_t most = node->agg->shard_size;
    if (pile->count == pile->capacity && !diversified && pile->count >= 2 * most) {
        qsort(pile->items, pile->count, sizeof *pile->items, by_score);
        pile->count = most;
    } else if (pile->count == pile->capacity) {
        size_t wanted = VZ_MAX(pile->capacity * 2, (size_t)64);
        if (!diversified && wanted > 2 * most && pile->capacity < 2 * most)
            wanted = 2 * most;
        if (!vz_agg_more(node->run, (wanted - pile->capacity) * sizeof *pile->items))
            return;
        pile->items = vz_realloc(pile->items, wanted * sizeof *pile->items);
        pile->capacity = wanted;
    }
    pile->items[pile->count++] = *one;
}

void vz_agg_take_sample(struct vz_agg_node *node, const struct vz_agg_block *block)
{
    struct vz_agg_run *run = node->run;
    struct vz_agg_values *values = node->value_count ? &node->values[0] : NULL;
    if (!node->sample)
        node->sample = vz_calloc(1, sizeof *node->sample);
    for (size_t i = 0; i < block->count && run->status == VZ_OK; i++) {
        struct sampled one = {.docno = block->docs[i],
                              .owner = block->owners ? block->owners[i] : 0};
        size_t from, to;
        if (!vz_agg_grow(run, (void **)&node->sample->piles, &node->sample->capacity,
                         sizeof *node->sample->piles, one.owner))
            return;
        one.score = node->nest ? 0 : vz_agg_score(run, one.docno);
        if (values && values->readable && vz_agg_entries(values, one.docno, &from, &to)) {
            if (to - from > 1) {
                vz_agg_fail(run, VZ_BAD_ARGUMENT,
                            "Sample diversifying key must be a single valued-field");
                return;
            }
            one.has_value = true;
            one.value = vz_agg_key(values, from);
        }
        keep(node, &node->sample->piles[one.owner], &one);
    }
}

/* At most per_value of each value; those without one are all kept. */
static void diversify(struct pile *pile, uint32_t per_value)
{
    size_t kept = 0, same = 0;
    qsort(pile->items, pile->count, sizeof *pile->items, by_value);
    for (size_t i = 0; i < pile->count; i++) {
        bool again = i > 0 && pile->items[i].has_value && pile->items[i - 1].has_value &&
                     pile->items[i].value == pile->items[i - 1].value;
        same = again ? same + 1 : 0;
        if (!pile->items[i].has_value || same < per_value)
            pile->items[kept++] = pile->items[i];
    }
    pile->count = kept;
}

void vz_agg_sample_replay(struct vz_agg_node *node)
{
    struct vz_agg_sample *sample = node->sample;
    struct pile all = {0};
    if (!sample)
        return;
    for (size_t o = 0; o < sample->capacity; o++) {
        struct pile *pile = &sample->piles[o];
        if (node->agg->kind == VZ_AGG_DIVERSIFIED_SAMPLER && pile->count)
            diversify(pile, node->agg->per_value);
        if (pile->count)
            qsort(pile->items, pile->count, sizeof *pile->items, by_score);
        size_t count = VZ_MIN(pile->count, (size_t)node->agg->shard_size);
        if (all.count + count > all.capacity) {
            all.capacity = (all.count + count) * 2;
            all.items = vz_realloc(all.items, all.capacity * sizeof *all.items);
        }
        if (count)
            memcpy(all.items + all.count, pile->items, count * sizeof *all.items);
        all.count += count;
    }
    if (all.count)
        qsort(all.items, all.count, sizeof *all.items, by_document);
    for (size_t i = 0; i < all.count && node->run->status == VZ_OK; i++)
        if (vz_agg_reserve_set(node, all.items[i].owner, 1))
            vz_agg_count(node, all.items[i].docno, all.items[i].owner);
    free(all.items);
    vz_agg_sample_free(node);
}

void vz_agg_sample_free(struct vz_agg_node *node)
{
    for (size_t i = 0; node->sample && i < node->sample->capacity; i++)
        free(node->sample->piles[i].items);
    if (node->sample)
        free(node->sample->piles);
    free(node->sample);
    node->sample = NULL;
}
