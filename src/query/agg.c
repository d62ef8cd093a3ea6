/* Aggregations: the flow of blocks, and what all nodes share. See agg.h. */
#include "query/agg.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define MAX_STATE_BYTES ((size_t)512 << 20)

bool vz_agg_fail(struct vz_agg_run *run, enum vz_status status, const char *format, ...)
{
    char text[400];
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

/* ---- columns --------------------------------------------------------------------------------- */

bool vz_agg_entries(struct vz_agg_node *node, uint32_t docno, size_t *from, size_t *to)
{
    const struct vz_column *column = &node->column;
    if (node->dense) {
        *from = docno;
        *to = (size_t)docno + 1;
        return true;
    }
    size_t at = node->at;
    for (int i = 0; i < 16 && at < column->count && column->docnos[at] < docno; i++)
        at++;
    if (at < column->count && column->docnos[at] < docno) { /* far: search behind here */
        size_t low = at, high = column->count;
        while (low < high) {
            size_t middle = low + (high - low) / 2;
            if (column->docnos[middle] < docno)
                low = middle + 1;
            else
                high = middle;
        }
        at = low;
    }
    node->at = at;
    *from = at;
    while (at < column->count && column->docnos[at] == docno)
        at++;
    *to = at;
    return at > *from;
}

double vz_agg_number(const struct vz_agg_node *node, size_t entry)
{
    if (node->column.kind == VZ_COLUMN_F64)
        return node->column.f64[entry];
    if (node->field->type == VZ_FIELD_UNSIGNED_LONG)
        return (double)((uint64_t)node->column.i64[entry] ^ 0x8000000000000000ull);
    return (double)node->column.i64[entry];
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

void vz_agg_flush(struct vz_agg_node *node)
{
    struct vz_agg_block block = {node->out_docs, node->out_owners, node->out_count};
    node->out_count = 0;
    for (size_t i = 0; i < node->agg->sub_count; i++)
        vz_agg_take(&node->subs[i], &block);
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
    if (node->subs)
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

static void init_nodes(struct vz_agg_run *run, const struct vz_agg *list,
                       struct vz_agg_node **nodes, size_t *count)
{
    size_t n = 0;
    for (const struct vz_agg *agg = list; agg; agg = agg->next)
        n++;
    *count = n;
    *nodes = vz_arena_zalloc(run->arena, (n + 1) * sizeof(**nodes));
    n = 0;
    for (const struct vz_agg *agg = list; agg; agg = agg->next) {
        struct vz_agg_node *node = &(*nodes)[n++];
        size_t subs;
        node->agg = agg;
        node->run = run;
        if (!agg->subs)
            continue;
        init_nodes(run, agg->subs, &node->subs, &subs);
        node->out_docs = vz_arena_alloc(run->arena, VZ_AGG_BLOCK * sizeof(uint32_t));
        node->out_owners = vz_arena_alloc(run->arena, VZ_AGG_BLOCK * sizeof(uint32_t));
    }
}

void vz_agg_begin(struct vz_agg_run *run, const struct vz_agg *aggs, bool single, bool typed,
                  struct vz_arena *arena)
{
    *run = (struct vz_agg_run){.arena = arena, .single = single, .typed = typed};
    init_nodes(run, aggs, &run->nodes, &run->count);
}

/* ---- a target's documents -------------------------------------------------------------------- */

struct feeder {
    struct vz_agg_run *run;
    struct vz_eval *eval;
    bool global; /* to the global ones, or to the others */
    uint32_t docs[VZ_AGG_BLOCK];
    size_t count, blocks;
};

static void feed(struct feeder *feeder)
{
    struct vz_agg_block block = {feeder->docs, NULL, feeder->count};
    struct vz_agg_run *run = feeder->run;
    feeder->count = 0;
    for (size_t i = 0; i < run->count; i++)
        if ((run->nodes[i].agg->kind == VZ_AGG_GLOBAL) == feeder->global)
            vz_agg_take(&run->nodes[i], &block);
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

static void feed_set(struct feeder *feeder, const struct vz_docset *set,
                     const struct vz_scored *extra, size_t extra_count)
{
    const struct vz_bitset *bits =
        set->kind == VZ_SET_ALL ? vz_eval_live(feeder->eval) : &set->bits;
    if (extra_count == 0) {
        if (set->kind != VZ_SET_NONE)
            feed_bits(feeder, bits);
        return;
    }
    struct vz_bitset joined;
    if (set->kind == VZ_SET_NONE)
        vz_bitset_init(&joined, feeder->eval->limit);
    else
        vz_bitset_copy(&joined, bits);
    for (size_t i = 0; i < extra_count; i++)
        vz_bitset_set(&joined, extra[i].docno);
    feed_bits(feeder, &joined);
    vz_bitset_deinit(&joined);
}

enum vz_status vz_agg_collect(struct vz_agg_run *run, struct vz_eval *eval,
                              const struct vz_docset *set, const struct vz_scored *extra,
                              size_t extra_count, struct vz_error *err)
{
    struct vz_error first = {0};
    struct feeder feeder = {.run = run, .eval = eval};
    bool global = false;
    run->err = &first;
    run->last = eval;
    for (size_t i = 0; i < run->count && run->status == VZ_OK; i++) {
        bind_all(&run->nodes[i], eval);
        global |= run->nodes[i].agg->kind == VZ_AGG_GLOBAL;
    }
    if (run->status == VZ_OK) {
        feed_set(&feeder, set, extra, extra_count);
        if (feeder.count)
            feed(&feeder);
    }
    if (run->status == VZ_OK && global) {
        struct vz_docset all = {.kind = VZ_SET_ALL};
        feeder.global = true;
        if (eval->alias)
            feed_bits(&feeder, eval->alias);
        else
            feed_set(&feeder, &all, NULL, 0);
        if (feeder.count)
            feed(&feeder);
    }
    for (size_t i = 0; i < run->count; i++)
        flush_all(&run->nodes[i]);
    for (size_t i = 0; i < run->count; i++)
        unbind_all(&run->nodes[i]);
    if (run->status != VZ_OK && err)
        *err = first;
    run->err = NULL;
    return run->status;
}

static void free_nodes(struct vz_agg_node *nodes, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct vz_agg_node *node = &nodes[i];
        free(node->counts);
        free(node->keys);
        free(node->slots);
        free(node->metrics);
        for (size_t v = 0; v < node->value_capacity; v++)
            free(node->values[v].items);
        free(node->values);
        if (node->subs)
            free_nodes(node->subs, node->agg->sub_count);
    }
}

void vz_agg_end(struct vz_agg_run *run)
{
    free_nodes(run->nodes, run->count);
    vz_agg_terms_free(run->terms);
    run->count = 0;
    run->terms = NULL;
}
