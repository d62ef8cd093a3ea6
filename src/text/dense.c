/* Frequent terms as bits: see dense.h. */
#include "text/dense.h"

#include <pthread.h>
#include <stdlib.h>

#define SEEN 256
#define DENSE_PART 64 /* at least one document of so many */

struct vz_dense_cache {
    pthread_mutex_t lock;
    struct vz_dense *entries[VZ_DENSE_MOST];
    unsigned count, most_seen;
    size_t bytes;
    uint64_t clock;
    const unsigned char *seen[SEEN]; /* lists asked for once, a ring */
};

struct vz_dense_cache *vz_dense_cache_new(const struct vz_segment *segment)
{
    if (segment->limit - segment->base < VZ_DENSE_FROM)
        return NULL;
    struct vz_dense_cache *cache = vz_calloc(1, sizeof *cache);
    pthread_mutex_init(&cache->lock, NULL);
    return cache;
}

void vz_dense_cache_free(struct vz_dense_cache *cache)
{
    if (!cache)
        return;
    for (unsigned i = 0; i < cache->count; i++)
        vz_dense_release(cache->entries[i]);
    pthread_mutex_destroy(&cache->lock);
    free(cache);
}

size_t vz_dense_cache_bytes(struct vz_dense_cache *cache)
{
    if (!cache)
        return 0;
    pthread_mutex_lock(&cache->lock);
    size_t bytes = cache->bytes;
    pthread_mutex_unlock(&cache->lock);
    return bytes;
}

void vz_dense_release(struct vz_dense *dense)
{
    if (dense && atomic_fetch_sub_explicit(&dense->references, 1, memory_order_acq_rel) == 1)
        free(dense);
}

bool vz_dense_is(const struct vz_segment *segment, uint32_t doc_freq)
{
    return segment->dense && doc_freq >= (segment->limit - segment->base) / DENSE_PART;
}

static size_t bytes_of(const struct vz_dense *dense)
{
    return sizeof *dense + dense->word_count * sizeof *dense->words;
}

/* A reference to what is kept, or NULL; then *again is whether it was asked for before. */
static struct vz_dense *find_locked(struct vz_dense_cache *cache, const unsigned char *list,
                                    bool *again)
{
    for (unsigned i = 0; i < cache->count; i++)
        if (cache->entries[i]->list == list) {
            cache->entries[i]->used = ++cache->clock;
            atomic_fetch_add_explicit(&cache->entries[i]->references, 1, memory_order_relaxed);
            return cache->entries[i];
        }
    *again = false;
    for (unsigned i = 0; i < SEEN; i++)
        *again |= cache->seen[i] == list;
    if (!*again)
        cache->seen[cache->most_seen++ % SEEN] = list;
    return NULL;
}

static struct vz_dense *make(const struct vz_segment *segment, struct vz_postings *p)
{
    uint32_t first = segment->base / 64, count = (segment->limit + 63) / 64 - first;
    struct vz_dense *dense = vz_calloc(1, sizeof *dense + count * sizeof *dense->words);
    atomic_init(&dense->references, 1);
    dense->list = p->list;
    dense->first_word = first;
    dense->word_count = count;
    for (uint32_t block = 0; block < p->block_count; block++) {
        vz_postings_load(p, block);
        for (unsigned n = 0; n < p->count && p->docs[n] < segment->limit; n++)
            dense->words[p->docs[n] / 64 - first] |= 1ull << p->docs[n] % 64;
    }
    return dense;
}

/* Keeps it, unless another thread was first; what is unused for longest makes room. */
static void keep(struct vz_dense_cache *cache, struct vz_dense *dense)
{
    size_t bytes = bytes_of(dense);
    bool again;
    if (bytes > VZ_DENSE_BYTES)
        return;
    pthread_mutex_lock(&cache->lock);
    struct vz_dense *other = find_locked(cache, dense->list, &again);
    while (!other && cache->count &&
           (cache->count == VZ_DENSE_MOST || cache->bytes + bytes > VZ_DENSE_BYTES)) {
        unsigned oldest = 0;
        for (unsigned i = 1; i < cache->count; i++)
            if (cache->entries[i]->used < cache->entries[oldest]->used)
                oldest = i;
        cache->bytes -= bytes_of(cache->entries[oldest]);
        vz_dense_release(cache->entries[oldest]);
        cache->entries[oldest] = cache->entries[--cache->count];
    }
    if (!other) {
        dense->used = ++cache->clock;
        atomic_fetch_add_explicit(&dense->references, 1, memory_order_relaxed);
        cache->entries[cache->count++] = dense;
        cache->bytes += bytes;
    }
    pthread_mutex_unlock(&cache->lock);
    vz_dense_release(other);
}

struct vz_dense *vz_dense_get(const struct vz_segment *segment,
                              const struct vz_segment_field *field, const struct vz_term_info *info)
{
    const unsigned char *list = segment->bytes + field->postings_at + info->at;
    bool again = false;
    pthread_mutex_lock(&segment->dense->lock);
    struct vz_dense *dense = find_locked(segment->dense, list, &again);
    pthread_mutex_unlock(&segment->dense->lock);
    if (dense || !again)
        return dense;
    struct vz_postings *p = vz_alloc(sizeof *p);
    if (vz_postings_open_info(p, segment, field, info)) {
        dense = make(segment, p);
        keep(segment->dense, dense);
        vz_postings_close(p);
    }
    free(p);
    return dense;
}
