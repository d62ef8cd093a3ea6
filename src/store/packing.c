/* store/packing.c - documents' sources, compressed: zstd, alone or with a dictionary.
 *
 * Measured on 343-byte products (bench/search): alone 3.8 us and 243 bytes a document, back in 1.7
 * us; with 4 KiB made of 1,000 of them 1.5 us and 137 bytes, back in 0.4. More samples or a larger
 * dictionary give a few bytes and cost their time in training (26 ms so).
 *
 * Lock order: `lock` is innermost. It guards the making of `pack` and `unpack`; they are published
 * with release and never change. */
#include "store/packing.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <zdict.h>
#include <zstd.h>

#define LEVEL 1
#define ALONE_FROM_BYTES 256
#define PACKER_BYTES 4096
#define MAX_SAMPLES 1000
#define SAMPLE_BYTES 2048 /* of the beginning of each */
#define MIN_SAMPLE_BYTES ((size_t)32 << 10)
#define TRIED 100

struct vz_packer {
    pthread_mutex_t lock;
    _Atomic(ZSTD_CDict *) pack;
    _Atomic(ZSTD_DDict *) unpack;
    uint64_t serial;
    size_t len;
    char bytes[];
};

/* ---- contexts ------------------------------------------------------------------------------ */

static pthread_key_t zstd_key;
static pthread_once_t zstd_once = PTHREAD_ONCE_INIT;

struct zstd_pair {
    ZSTD_CCtx *pack;
    ZSTD_DCtx *unpack;
};

static void free_zstd(void *pair_void)
{
    struct zstd_pair *pair = pair_void;
    ZSTD_freeCCtx(pair->pack);
    ZSTD_freeDCtx(pair->unpack);
    free(pair);
}

static void make_zstd_key(void)
{
    pthread_key_create(&zstd_key, free_zstd);
}

/* A context a thread: making one costs more than compressing a document. */
static struct zstd_pair *zstd_pair(void)
{
    pthread_once(&zstd_once, make_zstd_key);
    struct zstd_pair *pair = pthread_getspecific(zstd_key);
    if (!pair) {
        pair = vz_calloc(1, sizeof *pair);
        pthread_setspecific(zstd_key, pair);
    }
    return pair;
}

/* ---- packers ------------------------------------------------------------------------------- */

struct vz_packer *vz_packer_new(struct vz_slice bytes)
{
    static _Atomic uint64_t made;
    struct vz_packer *packer = vz_calloc(1, sizeof *packer + bytes.len);
    pthread_mutex_init(&packer->lock, NULL);
    packer->serial = atomic_fetch_add_explicit(&made, 1, memory_order_relaxed) + 1;
    packer->len = bytes.len;
    if (bytes.len)
        memcpy(packer->bytes, bytes.ptr, bytes.len);
    return packer;
}

void vz_packer_free(struct vz_packer *packer)
{
    if (!packer)
        return;
    ZSTD_freeCDict(atomic_load(&packer->pack));
    ZSTD_freeDDict(atomic_load(&packer->unpack));
    pthread_mutex_destroy(&packer->lock);
    free(packer);
}

uint64_t vz_packer_serial(const struct vz_packer *packer)
{
    return packer ? packer->serial : 0;
}

struct vz_slice vz_packer_bytes(const struct vz_packer *packer)
{
    return (struct vz_slice){packer->bytes, packer->len};
}

static ZSTD_CDict *pack_of(struct vz_packer *packer)
{
    ZSTD_CDict *pack = atomic_load_explicit(&packer->pack, memory_order_acquire);
    if (pack || !packer->len)
        return pack;
    pthread_mutex_lock(&packer->lock);
    pack = atomic_load_explicit(&packer->pack, memory_order_relaxed);
    if (!pack) {
        pack = ZSTD_createCDict(packer->bytes, packer->len, LEVEL);
        atomic_store_explicit(&packer->pack, pack, memory_order_release);
    }
    pthread_mutex_unlock(&packer->lock);
    return pack;
}

static ZSTD_DDict *unpack_of(struct vz_packer *packer)
{
    ZSTD_DDict *unpack = atomic_load_explicit(&packer->unpack, memory_order_acquire);
    if (unpack || !packer->len)
        return unpack;
    pthread_mutex_lock(&packer->lock);
    unpack = atomic_load_explicit(&packer->unpack, memory_order_relaxed);
    if (!unpack) {
        unpack = ZSTD_createDDict(packer->bytes, packer->len);
        atomic_store_explicit(&packer->unpack, unpack, memory_order_release);
    }
    pthread_mutex_unlock(&packer->lock);
    return unpack;
}

/* ---- sources ------------------------------------------------------------------------------- */

struct vz_slice vz_source_pack(struct vz_packer *packer, struct vz_slice source,
                               struct vz_arena *arena, bool *compressed, bool *shared)
{
    *compressed = *shared = false;
    ZSTD_CDict *with = packer && source.len >= VZ_PACKED_FROM_BYTES ? pack_of(packer) : NULL;
    if (!with && source.len < ALONE_FROM_BYTES)
        return source;
    struct zstd_pair *pair = zstd_pair();
    if (!pair->pack)
        pair->pack = ZSTD_createCCtx();
    size_t bound = source.len - source.len / 8; /* worth it from an eighth on */
    char *out = vz_arena_alloc(arena, bound);
    size_t packed =
        with ? ZSTD_compress_usingCDict(pair->pack, out, bound, source.ptr, source.len, with)
             : ZSTD_compressCCtx(pair->pack, out, bound, source.ptr, source.len, LEVEL);
    if (ZSTD_isError(packed))
        return source;
    *compressed = true;
    *shared = with != NULL;
    return (struct vz_slice){out, packed};
}

bool vz_source_unpack(struct vz_packer *packer, struct vz_slice stored, size_t source_len,
                      struct vz_arena *arena, struct vz_slice *out)
{
    struct zstd_pair *pair = zstd_pair();
    if (!pair->unpack)
        pair->unpack = ZSTD_createDCtx();
    ZSTD_DDict *with = packer ? unpack_of(packer) : NULL;
    if (packer && !with)
        return false;
    char *text = vz_arena_alloc(arena, source_len + 1);
    size_t got = with ? ZSTD_decompress_usingDDict(pair->unpack, text, source_len, stored.ptr,
                                                   stored.len, with)
                      : ZSTD_decompressDCtx(pair->unpack, text, source_len, stored.ptr, stored.len);
    if (ZSTD_isError(got) || got != source_len)
        return false;
    text[got] = '\0';
    *out = (struct vz_slice){text, got};
    return true;
}

/* ---- training ------------------------------------------------------------------------------ */

/* Sources large enough to be packed, evenly taken from all. */
static size_t choose(const struct vz_slice *sources, size_t count, struct vz_slice *chosen)
{
    size_t fit = 0, taken = 0, seen = 0;
    for (size_t i = 0; i < count; i++)
        fit += sources[i].len >= VZ_PACKED_FROM_BYTES;
    size_t want = VZ_MIN(fit, (size_t)MAX_SAMPLES);
    for (size_t i = 0; i < count && taken < want; i++) {
        if (sources[i].len < VZ_PACKED_FROM_BYTES)
            continue;
        if (seen++ * want / fit >= taken)
            chosen[taken++] =
                (struct vz_slice){sources[i].ptr, VZ_MIN(sources[i].len, (size_t)SAMPLE_BYTES)};
    }
    return taken;
}

/* Does it save a tenth of what sources come to without it? */
static bool is_worth_it(struct vz_packer *packer, const struct vz_slice *sources, size_t count)
{
    struct vz_arena arena = {0};
    size_t alone = 0, together = 0;
    bool compressed, shared;
    for (size_t i = 0; i < count; i += VZ_MAX(count / TRIED, (size_t)1)) {
        alone += vz_source_pack(NULL, sources[i], &arena, &compressed, &shared).len;
        together += vz_source_pack(packer, sources[i], &arena, &compressed, &shared).len;
        vz_arena_reset(&arena);
    }
    vz_arena_deinit(&arena);
    return together * 10 < alone * 9;
}

static struct vz_packer *train(const struct vz_slice *samples, size_t count)
{
    struct vz_buf all = {0};
    size_t *lengths = vz_alloc(count * sizeof *lengths);
    for (size_t i = 0; i < count; i++) {
        vz_buf_append_slice(&all, samples[i]);
        lengths[i] = samples[i].len;
    }
    char bytes[PACKER_BYTES];
    size_t len = 0;
    if (all.len >= MIN_SAMPLE_BYTES)
        len = ZDICT_trainFromBuffer(bytes, sizeof bytes, all.data, lengths, (unsigned)count);
    vz_buf_deinit(&all);
    free(lengths);
    return len == 0 || ZDICT_isError(len) ? NULL : vz_packer_new((struct vz_slice){bytes, len});
}

struct vz_packer *vz_packer_train(const struct vz_slice *sources, size_t count)
{
    if (count < VZ_PACKER_SAMPLES)
        return NULL;
    struct vz_slice *samples = vz_alloc(MAX_SAMPLES * sizeof *samples);
    size_t taken = choose(sources, count, samples);
    struct vz_packer *packer = taken >= VZ_PACKER_SAMPLES ? train(samples, taken) : NULL;
    if (packer && !is_worth_it(packer, samples, taken)) {
        vz_packer_free(packer);
        packer = NULL;
    }
    free(samples);
    return packer;
}
