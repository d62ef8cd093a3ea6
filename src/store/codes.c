/* Values to codes: see codes.h.
 *
 * Rejected: codes of one byte. Half the memory, but a range's end bins hold one of 128 entries, and
 * each of these is a cache miss: of the time of a range over 1,000,000 prices two thirds went
 * there. Bitmaps of everything below each of 64 quantiles, of which two make a range: 8 bytes an
 * entry, and the ends hold one of 32 entries. */
#include "store/index.h"

#include <stdlib.h>

#define MADE_AFTER 4
#define STEP ((size_t)1 << 20)
#define SAMPLE 32768
#define BINS 256 /* a power of two over VZ_CODES_EDGES */
#define STEPS 256
#define CODE_BYTES 2

/* Numbers of either kind by one order: doubles keep theirs as integers when the negative ones are
 * turned round. -0.0 is made 0.0 before; NaN, which no column has, is over or under all. */
static int64_t key_of(double value)
{
    int64_t bits;
    value += 0.0;
    memcpy(&bits, &value, sizeof bits);
    return bits < 0 ? bits ^ INT64_MAX : bits;
}

struct bins {
    int64_t edges[BINS]; /* rising; INT64_MAX behind the last. Immutable */
    unsigned edge_count;
    int64_t base[BINS];                    /* where a bin's steps begin */
    double scale[BINS];                    /* steps a unit */
    _Atomic int64_t low[BINS], high[BINS]; /* low > high: empty. Relaxed, see codes.h */
};

struct vz_codes {
    bool is_f64; /* immutable */
    /* made once under `lock`, before the first publication */
    struct bins *bins;
    struct vz_grow codes; /* its base stays; the rest is of who holds `lock` */
    /* published, release; readers acquire */
    _Atomic size_t count, in_a_row;
    _Atomic uint32_t asked;
    pthread_mutex_t lock; /* of who makes more */
};

struct vz_codes *vz_codes_new(enum vz_column_kind kind)
{
    struct vz_codes *codes = vz_calloc(1, sizeof *codes);
    codes->is_f64 = kind == VZ_COLUMN_F64;
    codes->codes.fd = -1;
    pthread_mutex_init(&codes->lock, NULL);
    return codes;
}

void vz_codes_free(struct vz_codes *codes)
{
    if (!codes)
        return;
    vz_grow_close(&codes->codes);
    free(codes->bins);
    pthread_mutex_destroy(&codes->lock);
    free(codes);
}

size_t vz_codes_bytes(const struct vz_codes *codes)
{
    return codes ? atomic_load_explicit(&codes->count, memory_order_relaxed) * CODE_BYTES : 0;
}

/* ---- making them ------------------------------------------------------------------------------
 */

static int64_t key_at(const struct vz_codes *codes, const struct vz_column_file *column, size_t at)
{
    if (codes->is_f64)
        return key_of(((const double *)(const void *)column->values.base)[at]);
    return ((const int64_t *)(const void *)column->values.base)[at];
}

static int compare_keys(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return x < y ? -1 : x > y;
}

/* All distinct values of the sample where they are few, so that a bin is a value; else quantiles.
 */
static struct bins *choose_bins(const struct vz_codes *codes, const struct vz_column_file *column,
                                size_t count)
{
    struct bins *bins = vz_calloc(1, sizeof *bins);
    size_t sample = VZ_MIN(count, (size_t)SAMPLE), distinct = 0;
    int64_t *keys = vz_alloc(sample * sizeof *keys);
    for (size_t i = 0; i < sample; i++)
        keys[i] = key_at(codes, column, (size_t)((double)i * (double)count / (double)sample));
    qsort(keys, sample, sizeof *keys, compare_keys);
    for (size_t i = 0; i < sample; i++)
        distinct += i == 0 || keys[i] != keys[i - 1];
    bool each = distinct <= VZ_CODES_EDGES;
    size_t from = each ? sample : VZ_CODES_EDGES;
    for (size_t i = 0; i < from; i++) {
        int64_t key = each ? keys[i] : keys[(i + 1) * sample / (VZ_CODES_EDGES + 1)];
        if (!bins->edge_count || bins->edges[bins->edge_count - 1] != key)
            bins->edges[bins->edge_count++] = key;
    }
    for (unsigned i = 0; i < BINS; i++) {
        if (i >= bins->edge_count)
            bins->edges[i] = INT64_MAX;
        int64_t top = i < bins->edge_count ? bins->edges[i] : keys[sample - 1];
        bins->base[i] = i ? bins->edges[i - 1] : keys[0];
        double width = top > bins->base[i] ? (double)((uint64_t)top - (uint64_t)bins->base[i]) : 1;
        bins->scale[i] = STEPS / width;
        atomic_init(&bins->low[i], INT64_MAX);
        atomic_init(&bins->high[i], INT64_MIN);
    }
    free(keys);
    return bins;
}

/* How many edges are not over the key. */
static unsigned bin_of(const struct bins *bins, int64_t key)
{
    unsigned at = 0;
    for (unsigned half = BINS / 2; half; half /= 2)
        at += bins->edges[at + half - 1] <= key ? half : 0;
    return VZ_MIN(at, bins->edge_count);
}

/* Rises with the key within a bin: every step of the way does. */
static unsigned code_of(const struct bins *bins, unsigned bin, int64_t key)
{
    int64_t base = bins->base[bin];
    double way = key > base ? (double)((uint64_t)key - (uint64_t)base) * bins->scale[bin] : 0;
    return bin << 8 | (way < STEPS - 1 ? (unsigned)way : STEPS - 1);
}

static void code_some(struct vz_codes *codes, const struct vz_column_file *column, size_t from,
                      size_t to)
{
    uint16_t *out = (uint16_t *)(void *)codes->codes.base;
    struct bins *bins = codes->bins;
    int64_t low[BINS], high[BINS];
    for (unsigned i = 0; i < BINS; i++) {
        low[i] = atomic_load_explicit(&bins->low[i], memory_order_relaxed);
        high[i] = atomic_load_explicit(&bins->high[i], memory_order_relaxed);
    }
    for (size_t i = from; i < to; i++) {
        int64_t key = key_at(codes, column, i);
        unsigned bin = bin_of(bins, key);
        out[i] = (uint16_t)code_of(bins, bin, key);
        low[bin] = VZ_MIN(low[bin], key);
        high[bin] = VZ_MAX(high[bin], key);
    }
    for (unsigned i = 0; i < BINS; i++) {
        atomic_store_explicit(&bins->low[i], low[i], memory_order_relaxed);
        atomic_store_explicit(&bins->high[i], high[i], memory_order_relaxed);
    }
    size_t row = atomic_load_explicit(&codes->in_a_row, memory_order_relaxed);
    const uint32_t *docnos = (const uint32_t *)(const void *)column->docnos.base;
    while (row == from && from < to && docnos[from] == from)
        row = ++from;
    atomic_store_explicit(&codes->in_a_row, row, memory_order_release);
}

/* One step of what is published, where there is room and no other thread is at it. */
static void make_more(struct vz_generation *gen, struct vz_codes *codes,
                      const struct vz_column_file *column)
{
    if (pthread_mutex_trylock(&codes->lock) != 0)
        return;
    size_t from = atomic_load_explicit(&codes->count, memory_order_relaxed);
    size_t there = atomic_load_explicit(&column->count, memory_order_acquire) / 64 * 64;
    size_t to = VZ_MIN(there, from + STEP), more = (to - VZ_MIN(from, to)) * CODE_BYTES;
    bool room = more && atomic_fetch_add(&gen->codes_bytes, more) + more <= VZ_CODES_BYTES;
    if (more && !room)
        atomic_fetch_sub(&gen->codes_bytes, more);
    bool made =
        room &&
        (codes->codes.base ||
         vz_grow_open(&codes->codes, vz_reserve_bytes(gen->dir, NULL, VZ_MAX_ENTRIES * CODE_BYTES),
                      NULL) == VZ_OK) &&
        vz_grow_ensure(&codes->codes, to * CODE_BYTES, NULL) == VZ_OK;
    if (made) {
        if (!codes->bins)
            codes->bins = choose_bins(codes, column, there);
        code_some(codes, column, from, to);
        atomic_store_explicit(&codes->count, to, memory_order_release);
    } else if (room)
        atomic_fetch_sub(&gen->codes_bytes, more);
    pthread_mutex_unlock(&codes->lock);
}

/* ---- asking them ------------------------------------------------------------------------------
 */

/* The bins of a field's codes, and as many codes as are made and the snapshot sees. NULL: none. */
static const struct bins *bins_of(const struct vz_snapshot *snap, uint16_t field,
                                  const struct vz_column *column, struct vz_coded_range *out)
{
    *out = (struct vz_coded_range){0};
    if (field >= VZ_MAX_FIELDS || column->count < VZ_CODES_FROM)
        return NULL;
    const struct vz_column_file *file =
        atomic_load_explicit(&snap->gen->columns[field], memory_order_acquire);
    if (!file || file->kind != column->kind || !file->codes)
        return NULL;
    struct vz_codes *codes = file->codes;
    size_t count = atomic_load_explicit(&codes->count, memory_order_acquire);
    if (count + VZ_CODES_FROM / 4 < column->count &&
        (count ||
         atomic_fetch_add_explicit(&codes->asked, 1, memory_order_relaxed) + 1 >= MADE_AFTER)) {
        make_more(snap->gen, codes, file);
        count = atomic_load_explicit(&codes->count, memory_order_acquire);
    }
    if (!count)
        return NULL;
    size_t row = atomic_load_explicit(&codes->in_a_row, memory_order_acquire);
    out->count = VZ_MIN(count, column->count / 64 * 64);
    out->in_a_row = VZ_MIN(row, out->count) / 64 * 64;
    out->codes = (const uint16_t *)(const void *)codes->codes.base;
    return codes->bins;
}

static bool is_whole(const struct bins *bins, unsigned bin, int64_t low, int64_t high)
{
    return atomic_load_explicit(&bins->low[bin], memory_order_relaxed) >= low &&
           atomic_load_explicit(&bins->high[bin], memory_order_relaxed) <= high;
}

static bool has_any(const struct bins *bins, unsigned bin, int64_t low, int64_t high)
{
    int64_t from = atomic_load_explicit(&bins->low[bin], memory_order_relaxed);
    int64_t to = atomic_load_explicit(&bins->high[bin], memory_order_relaxed);
    return from <= to && from <= high && to >= low;
}

static void place(const struct bins *bins, int64_t low, int64_t high, struct vz_coded_range *out)
{
    unsigned first = bin_of(bins, low), last = bin_of(bins, high);
    while (first < last && !has_any(bins, first, low, high))
        first++;
    while (last > first && !has_any(bins, last, low, high))
        last--;
    out->none = low > high || (first == last && !has_any(bins, first, low, high));
    out->first = (uint16_t)(first << 8);
    out->last = (uint16_t)(last << 8 | (STEPS - 1));
    out->ends[0] = out->ends[1] = VZ_CODE_NONE;
    if (!is_whole(bins, first, low, high))
        out->first = out->ends[0] = (uint16_t)VZ_MAX(code_of(bins, first, low), first << 8);
    if (!is_whole(bins, last, low, high))
        out->last = out->ends[1] = (uint16_t)code_of(bins, last, high);
}

bool vz_snapshot_code_i64(const struct vz_snapshot *snap, uint16_t field,
                          const struct vz_column *column, int64_t low, int64_t high,
                          struct vz_coded_range *out)
{
    const struct bins *bins = bins_of(snap, field, column, out);
    if (bins)
        place(bins, low, high, out);
    return bins != NULL;
}

bool vz_snapshot_code_f64(const struct vz_snapshot *snap, uint16_t field,
                          const struct vz_column *column, double low, double high,
                          struct vz_coded_range *out)
{
    const struct bins *bins = bins_of(snap, field, column, out);
    if (bins)
        place(bins, key_of(low), key_of(high), out);
    return bins != NULL;
}
