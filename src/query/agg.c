/* Aggregations: the flow of blocks, and what all nodes share. See agg.h. */
#include "query/agg.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define MAX_STATE_BYTES ((size_t)512 << 20)

bool vz_agg_fail(struct vz_agg_run *run, enum vz_status status, const char *format, ...)
{
    char text[480];
    if (run->status != VZ_OK)
        return false;
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    run->status = vz_fail(run->err, status, "%s", text);
    return false;
}

bool vz_agg_more(struct vz_agg_run *run, size_t bytes)
{
    run->bytes += bytes;
    if (run->bytes <= MAX_STATE_BYTES)
        return true;
    return vz_agg_fail(run, VZ_BUDGET,
                       "[request] Data too large, aggregations would be [%zu] bytes, which is "
                       "larger than the limit of [%zu]",
                       run->bytes, MAX_STATE_BYTES);
}

bool vz_agg_grow(struct vz_agg_run *run, void **array, size_t *capacity, size_t item, size_t owner)
{
    if (owner < *capacity)
        return true;
    size_t old = *capacity, wanted = VZ_MAX(VZ_MAX(old * 2, owner + 1), (size_t)16);
    if (!vz_agg_more(run, (wanted - old) * item))
        return false;
    *array = vz_realloc(*array, wanted * item);
    memset((char *)*array + old * item, 0, (wanted - old) * item);
    *capacity = wanted;
    return true;
}

bool vz_agg_reserve(struct vz_agg_node *node, size_t buckets)
{
    if (buckets <= node->bucket_capacity)
        return true;
    size_t capacity = VZ_MAX(buckets, node->bucket_capacity * 2), old = node->bucket_capacity;
    capacity = VZ_MAX(capacity, (size_t)16);
    if (!vz_agg_more(node->run, (capacity - old) * (sizeof *node->counts + sizeof *node->keys)))
        return false;
    node->counts = vz_realloc(node->counts, capacity * sizeof *node->counts);
    memset(node->counts + old, 0, (capacity - old) * sizeof *node->counts);
    node->keys = vz_realloc(node->keys, capacity * sizeof *node->keys);
    node->bucket_capacity = capacity;
    return true;
}

bool vz_agg_reserve_set(struct vz_agg_node *node, uint32_t owner, size_t set)
{
    size_t needed = ((size_t)owner + 1) * set;
    if (needed <= node->bucket_count)
        return true;
    if (needed >= VZ_AGG_NOTHING)
        return vz_agg_fail(node->run, VZ_LIMIT, "too many buckets");
    if (!vz_agg_reserve(node, needed))
        return false;
    node->bucket_count = needed;
    return true;
}

/* ---- flow ------------------------------------------------------------------------------------ */

void vz_agg_take(struct vz_agg_node *node, const struct vz_agg_block *block)
{
    if (node->run->status != VZ_OK || block->count == 0)
        return;
    if (vz_agg_is_metric(node->agg->kind))
        vz_agg_take_metrics(node, block);
    else
        vz_agg_take_buckets(node, block);
}

static void to_children(struct vz_agg_node *node, const struct vz_agg_block *block)
{
    for (size_t i = 0; i < node->agg->sub_count; i++)
        vz_agg_take(&node->subs[i], block);
}

void vz_agg_flush(struct vz_agg_node *node)
{
    struct vz_agg_block block = {node->out_docs, node->out_owners, node->out_count, false};
    node->out_count = 0;
    to_children(node, &block);
}

void vz_agg_hand_on(struct vz_agg_node *node, const struct vz_agg_block *block,
                    const uint32_t *buckets)
{
    struct vz_agg_block on = {block->docs, buckets, block->count, block->whole};
    if (!node->subs)
        return;
    if (node->out_count)
        vz_agg_flush(node);
    to_children(node, &on);
}

void vz_agg_count(struct vz_agg_node *node, uint32_t docno, uint32_t bucket)
{
    node->counts[bucket]++;
    if (!node->subs)
        return;
    node->out_docs[node->out_count] = docno;
    node->out_owners[node->out_count++] = bucket;
    if (node->out_count == VZ_AGG_BLOCK)
        vz_agg_flush(node);
}

/* From the top down: a parent's rest goes to its children before they give away theirs. */
static void flush_all(struct vz_agg_node *node)
{
    if (node->agg->kind == VZ_AGG_SAMPLER || node->agg->kind == VZ_AGG_DIVERSIFIED_SAMPLER)
        vz_agg_sample_replay(node);
    if (node->subs && node->out_count)
        vz_agg_flush(node);
    for (size_t i = 0; i < node->agg->sub_count; i++)
        flush_all(&node->subs[i]);
}

static bool bind_all(struct vz_agg_node *node, struct vz_eval *eval)
{
    if (!vz_agg_bind(node, eval))
        return false;
    for (size_t i = 0; i < node->agg->sub_count; i++)
        if (!bind_all(&node->subs[i], eval))
            return false;
    return true;
}

static void unbind_all(struct vz_agg_node *node)
{
    vz_agg_unbind(node);
    for (size_t i = 0; i < node->agg->sub_count; i++)
        unbind_all(&node->subs[i]);
}

/* ---- nodes ----------------------------------------------------------------------------------- */

static void init_values(struct vz_agg_node *node)
{
    const struct vz_agg *agg = node->agg;
    bool has_own = agg->source.field.len || agg->source.script;
    node->value_count = agg->source_count ? agg->source_count : has_own;
    node->values =
        vz_arena_zalloc(node->run->arena, (node->value_count + 1) * sizeof(*node->values));
    for (size_t i = 0; i < node->value_count; i++) {
        node->values[i].node = node;
        node->values[i].source = agg->source_count ? &agg->sources[i] : &agg->source;
    }
}

static struct vz_agg_node *init_nodes(struct vz_agg_run *run, struct vz_agg_node *parent,
                                      const struct vz_agg *list, size_t count)
{
    struct vz_agg_node *nodes = vz_arena_zalloc(run->arena, (count + 1) * sizeof(*nodes));
    size_t n = 0;
    for (const struct vz_agg *agg = list; agg; agg = agg->next) {
        struct vz_agg_node *node = &nodes[n++];
        node->agg = agg;
        node->run = run;
        node->parent = parent;
        init_values(node);
        if (!agg->subs)
            continue;
        node->out_docs = vz_arena_alloc(run->arena, VZ_AGG_BLOCK * sizeof(uint32_t));
        node->out_owners = vz_arena_alloc(run->arena, VZ_AGG_BLOCK * sizeof(uint32_t));
        node->subs = init_nodes(run, node, agg->subs, agg->sub_count);
    }
    return nodes;
}

void vz_agg_begin(struct vz_agg_run *run, const struct vz_aggs *aggs, bool single, bool typed,
                  struct vz_arena *arena)
{
    *run = (struct vz_agg_run){.arena = arena, .aggs = aggs, .single = single, .typed = typed};
    struct vz_agg *top = vz_arena_zalloc(arena, sizeof *top);
    top->subs = aggs->first;
    top->sub_count = aggs->count;
    top->pipelines = aggs->pipelines;
    top->pipeline_count = aggs->pipeline_count;
    run->root.agg = top;
    run->root.run = run;
    run->root.subs = init_nodes(run, NULL, aggs->first, aggs->count);
}

/* ---- a target's documents -------------------------------------------------------------------- */

float vz_agg_score(const struct vz_agg_run *run, uint32_t docno)
{
    float score = 0;
    const struct vz_docset *set = run->set;
    if (set && vz_docset_has(set, docno))
        score = set->scores ? set->scores[docno] : set->constant;
    size_t low = 0, high = run->extra_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (run->extra[middle].docno < docno)
            low = middle + 1;
        else
            high = middle;
    }
    if (low < run->extra_count && run->extra[low].docno == docno)
        score += run->extra[low].score;
    return score;
}

struct feeder {
    struct vz_agg_run *run;
    struct vz_eval *eval;
    bool global; /* to the global ones, or to the others */
    uint32_t docs[VZ_AGG_BLOCK];
    size_t count, blocks;
};

static void feed(struct feeder *feeder)
{
    struct vz_agg_run *run = feeder->run;
    size_t count = feeder->count;
    struct vz_agg_block block = {feeder->docs, NULL, count, false};
    if (count == 0)
        return;
    block.whole = feeder->docs[count - 1] - feeder->docs[0] == count - 1;
    feeder->count = 0;
    for (size_t i = 0; i < run->aggs->count; i++)
        if ((run->root.subs[i].agg->kind == VZ_AGG_GLOBAL) == feeder->global)
            vz_agg_take(&run->root.subs[i], &block);
    if (++feeder->blocks % 16 == 0 && vz_eval_late(feeder->eval))
        vz_agg_fail(run, VZ_CANCELLED, "the search took too long");
}

/* Whole words of a bitset at a time. */
static void feed_bits(struct feeder *feeder, const struct vz_bitset *bits)
{
    for (size_t w = 0; w < vz_bitset_word_count(bits) && feeder->run->status == VZ_OK; w++) {
        uint64_t word = bits->words[w];
        if (feeder->count + 64 > VZ_AGG_BLOCK)
            feed(feeder);
        if (word == UINT64_MAX) {
            for (uint32_t i = 0; i < 64; i++)
                feeder->docs[feeder->count + i] = (uint32_t)w * 64 + i;
            feeder->count += 64;
            continue;
        }
        for (; word; word &= word - 1)
            feeder->docs[feeder->count++] = (uint32_t)(w * 64) + (uint32_t)__builtin_ctzll(word);
    }
}

static void feed_all(struct feeder *feeder)
{
    struct vz_eval *eval = feeder->eval;
    if (vz_snapshot_doc_count(eval->snap) != eval->limit) {
        feed_bits(feeder, vz_eval_live(eval));
        return;
    }
    for (uint32_t d = 0; d < eval->limit && feeder->run->status == VZ_OK;) {
        uint32_t count = VZ_MIN(eval->limit - d, (uint32_t)VZ_AGG_BLOCK);
        for (uint32_t i = 0; i < count; i++)
            feeder->docs[i] = d + i;
        feeder->count = count;
        d += count;
        feed(feeder);
    }
}

static void feed_set(struct feeder *feeder, const struct vz_docset *set,
                     const struct vz_scored *extra, size_t extra_count)
{
    struct vz_bitset joined;
    if (extra_count == 0 || set->kind == VZ_SET_ALL) {
        if (set->kind == VZ_SET_ALL)
            feed_all(feeder);
        else if (set->kind != VZ_SET_NONE)
            feed_bits(feeder, &set->bits);
        return;
    }
    if (set->kind == VZ_SET_NONE)
        vz_bitset_init(&joined, feeder->eval->limit);
    else
        vz_bitset_copy(&joined, &set->bits);
    for (size_t i = 0; i < extra_count; i++)
        vz_bitset_set(&joined, extra[i].docno);
    feed_bits(feeder, &joined);
    vz_bitset_deinit(&joined);
}

static void feed_global(struct feeder *feeder)
{
    feeder->global = true;
    if (feeder->eval->alias)
        feed_bits(feeder, feeder->eval->alias);
    else
        feed_all(feeder);
    feed(feeder);
}

static void add_target(struct vz_agg_run *run, struct vz_eval *eval)
{
    if (run->target_count == run->target_capacity) {
        run->target_capacity = run->target_capacity * 2 + 16;
        run->evals = vz_realloc(run->evals, run->target_capacity * sizeof(*run->evals));
    }
    run->evals[run->target_count++] = eval;
    run->last = eval;
}

enum vz_status vz_agg_collect(struct vz_agg_run *run, struct vz_eval *eval,
                              const struct vz_docset *set, const struct vz_scored *extra,
                              size_t extra_count, struct vz_error *err)
{
    struct vz_error first = {0};
    struct feeder feeder = {.run = run, .eval = eval};
    struct vz_agg_node *nodes = run->root.subs;
    bool global = false, others = false;
    run->err = &first;
    add_target(run, eval);
    run->set = set;
    run->extra = extra;
    run->extra_count = extra_count;
    for (size_t i = 0; i < run->aggs->count && run->status == VZ_OK; i++) {
        bind_all(&nodes[i], eval);
        global |= nodes[i].agg->kind == VZ_AGG_GLOBAL;
        others |= nodes[i].agg->kind != VZ_AGG_GLOBAL;
    }
    if (run->status == VZ_OK && others) {
        feed_set(&feeder, set, extra, extra_count);
        feed(&feeder);
    }
    if (run->status == VZ_OK && global)
        feed_global(&feeder);
    for (size_t i = 0; i < run->aggs->count; i++)
        flush_all(&nodes[i]);
    for (size_t i = 0; i < run->aggs->count; i++)
        unbind_all(&nodes[i]);
    vz_agg_nest_unbind(run);
    if (run->status != VZ_OK && err)
        *err = first;
    run->err = NULL;
    run->set = NULL;
    return run->status;
}

static void free_nodes(struct vz_agg_node *nodes, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct vz_agg_node *node = &nodes[i];
        for (size_t v = 0; v < node->value_count; v++)
            vz_agg_values_deinit(&node->values[v]);
        vz_agg_hits_free(node);
        vz_agg_sample_free(node);
        for (size_t v = 0; v < node->list_capacity; v++)
            free(node->lists[v].items);
        for (size_t v = 0; v < node->seen_capacity; v++)
            vz_bitset_deinit(&node->seen[v]);
        void *owned[] = {node->counts, node->keys,  node->slots, node->grid,       node->pairs,
                         node->pair_slots, node->metrics, node->lists, node->seen, node->places,
                         node->last_seen, node->background, node->set};
        for (size_t v = 0; v < VZ_COUNT_OF(owned); v++)
            free(owned[v]);
        if (node->subs)
            free_nodes(node->subs, node->agg->sub_count);
    }
}

void vz_agg_end(struct vz_agg_run *run)
{
    if (!run->aggs)
        return;
    free_nodes(run->root.subs, run->aggs->count);
    vz_agg_nest_free(run);
    vz_agg_terms_free(run->terms);
    free(run->evals);
    *run = (struct vz_agg_run){0};
}
