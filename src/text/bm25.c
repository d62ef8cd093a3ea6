/* BM25 in Lucene's steps: which of them are float and which are double is part of the result. */
#include "text/bm25.h"

#include "base/mem.h"

#include <math.h>
#include <pthread.h>

/* A number of any size in a byte: as it is below 24, then with three bits behind the leading one,
 * as Lucene's SmallFloat.intToByte4 and longToInt4. */
static uint32_t to_int4(uint64_t value)
{
    unsigned bits = value ? 64 - (unsigned)__builtin_clzll(value) : 0;
    if (bits < 4)
        return (uint32_t)value;
    unsigned shift = bits - 4;
    uint32_t encoded = (uint32_t)(value >> shift) & 7;
    return encoded | (shift + 1) << 3;
}

static uint64_t from_int4(uint32_t encoded)
{
    uint32_t bits = encoded & 7;
    unsigned shift = encoded >> 3;
    return shift == 0 ? bits : (uint64_t)(bits | 8) << (shift - 1);
}

/* Values below this keep themselves: 255 - to_int4(INT_MAX). */
#define FREE_VALUES 24

unsigned char vz_norm_encode(uint32_t length)
{
    if (length > INT32_MAX)
        length = INT32_MAX;
    if (length < FREE_VALUES)
        return (unsigned char)length;
    return (unsigned char)(FREE_VALUES + to_int4(length - FREE_VALUES));
}

uint32_t vz_norm_decode(unsigned char norm)
{
    return norm < FREE_VALUES ? norm : (uint32_t)(FREE_VALUES + from_int4(norm - FREE_VALUES));
}

/* What each byte stands for: every term of every query asks for all of them. */
static float lengths[256];
static pthread_once_t lengths_made = PTHREAD_ONCE_INIT;

static void make_lengths(void)
{
    for (unsigned i = 0; i < VZ_COUNT_OF(lengths); i++)
        lengths[i] = (float)vz_norm_decode((unsigned char)i);
}

float vz_bm25_idf(uint64_t doc_count, uint64_t doc_freq)
{
    return (float)log(1 + ((double)doc_count - (double)doc_freq + 0.5) / ((double)doc_freq + 0.5));
}

void vz_bm25_init(struct vz_bm25 *bm25, const struct vz_bm25_stats *stats,
                  const uint64_t *doc_freqs, unsigned count)
{
    float k1 = stats->k1, b = stats->b;
    double idf = 0;
    for (unsigned i = 0; i < count; i++)
        idf += vz_bm25_idf(stats->doc_count, doc_freqs[i]);
    bm25->boost = stats->boost;
    bm25->k1 = k1;
    bm25->b = b;
    bm25->idf = (float)idf;
    bm25->average_length =
        stats->doc_count ? (float)((double)stats->sum_total_freqs / (double)stats->doc_count) : 1;
    /* LegacyBM25Similarity: the boost is multiplied first. */
    bm25->weight = stats->boost * (1 + k1) * bm25->idf;
    pthread_once(&lengths_made, make_lengths);
    float average = bm25->average_length;
    for (unsigned i = 0; i < 256; i++)
        bm25->inverse[i] = 1.0f / (k1 * ((1 - b) + b * lengths[i] / average));
}

float vz_bm25_tf(const struct vz_bm25 *bm25, float freq, unsigned char norm)
{
    return 1.0f - 1.0f / (1.0f + freq * bm25->inverse[norm]);
}
