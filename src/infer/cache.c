/* Vectors of texts that are asked again: what people search for repeats, and a hit costs a
 * thousandth of computing it. A hash table and a list by last use, under one lock. */
#include "infer/parts.h"

#include "base/hash.h"

#include <stdlib.h>

#define MAX_TEXT_BYTES 2048
#define BUCKETS 1024 /* of a few thousand entries at most */

struct entry {
    uint64_t hash;
    struct entry *chain; /* in its bucket */
    struct entry *newer, *older;
    struct vz_text_note note;
    size_t prefix_len, len;
    float values[]; /* the vector, then prefix and text */
};

struct cache {
    pthread_mutex_t lock;
    size_t dims, max_bytes, bytes;
    uint64_t seed;
    struct entry *buckets[BUCKETS];
    struct entry *newest, *oldest;
};

struct cache *cache_new(uint64_t max_bytes, uint32_t dims)
{
    struct cache *c = vz_calloc(1, sizeof *c);
    pthread_mutex_init(&c->lock, NULL);
    c->dims = dims;
    c->max_bytes = (size_t)max_bytes;
    c->seed = vz_hash_seed.c;
    return c;
}

void cache_free(struct cache *c)
{
    if (!c)
        return;
    for (struct entry *e = c->newest, *next; e; e = next) {
        next = e->older;
        free(e);
    }
    pthread_mutex_destroy(&c->lock);
    free(c);
}

static char *text_of(const struct cache *c, struct entry *e)
{
    return (char *)(e->values + c->dims);
}

static size_t bytes_of(const struct cache *c, size_t text_len)
{
    return sizeof(struct entry) + c->dims * sizeof(float) + text_len;
}

static uint64_t hash_of(const struct cache *c, struct vz_slice prefix, struct vz_slice text)
{
    return vz_hash(text, vz_hash(prefix, c->seed));
}

static struct entry *find(const struct cache *c, uint64_t hash, struct vz_slice prefix,
                          struct vz_slice text)
{
    struct entry *e = c->buckets[hash % BUCKETS];
    for (; e; e = e->chain)
        if (e->hash == hash && e->prefix_len == prefix.len && e->len == text.len &&
            memcmp(text_of(c, e) + prefix.len, text.ptr, text.len) == 0 &&
            (!prefix.len || memcmp(text_of(c, e), prefix.ptr, prefix.len) == 0))
            return e;
    return NULL;
}

static void unhook(struct cache *c, struct entry *e)
{
    *(e->newer ? &e->newer->older : &c->newest) = e->older;
    *(e->older ? &e->older->newer : &c->oldest) = e->newer;
}

static void hook(struct cache *c, struct entry *e)
{
    e->newer = NULL;
    e->older = c->newest;
    *(c->newest ? &c->newest->newer : &c->oldest) = e;
    c->newest = e;
}

bool cache_get(struct cache *c, struct vz_slice prefix, struct vz_slice text, float *out,
               struct vz_text_note *note)
{
    if (!c || !text.len || prefix.len + text.len > MAX_TEXT_BYTES)
        return false;
    uint64_t hash = hash_of(c, prefix, text);
    pthread_mutex_lock(&c->lock);
    struct entry *e = find(c, hash, prefix, text);
    if (e) {
        memcpy(out, e->values, c->dims * sizeof *out);
        *note = e->note;
        unhook(c, e);
        hook(c, e);
    }
    pthread_mutex_unlock(&c->lock);
    return e != NULL;
}

static void drop_oldest(struct cache *c)
{
    struct entry *e = c->oldest;
    struct entry **at = &c->buckets[e->hash % BUCKETS];
    while (*at != e)
        at = &(*at)->chain;
    *at = e->chain;
    unhook(c, e);
    c->bytes -= bytes_of(c, e->prefix_len + e->len);
    free(e);
}

void cache_clear(struct cache *c)
{
    if (!c)
        return;
    pthread_mutex_lock(&c->lock);
    while (c->oldest)
        drop_oldest(c);
    pthread_mutex_unlock(&c->lock);
}

void cache_put(struct cache *c, struct vz_slice prefix, struct vz_slice text, const float *vector,
               struct vz_text_note note)
{
    size_t len = prefix.len + text.len;
    if (!c || !text.len || len > MAX_TEXT_BYTES || bytes_of(c, len) > c->max_bytes)
        return;
    struct entry *e = vz_alloc(bytes_of(c, len));
    *e = (struct entry){
        .hash = hash_of(c, prefix, text), .note = note, .prefix_len = prefix.len, .len = text.len};
    memcpy(e->values, vector, c->dims * sizeof *vector);
    if (prefix.len)
        memcpy(text_of(c, e), prefix.ptr, prefix.len);
    memcpy(text_of(c, e) + prefix.len, text.ptr, text.len);
    pthread_mutex_lock(&c->lock);
    if (find(c, e->hash, prefix, text)) {
        free(e); /* another thread was faster */
    } else {
        e->chain = c->buckets[e->hash % BUCKETS];
        c->buckets[e->hash % BUCKETS] = e;
        hook(c, e);
        c->bytes += bytes_of(c, len);
        while (c->bytes > c->max_bytes)
            drop_oldest(c);
    }
    pthread_mutex_unlock(&c->lock);
}
