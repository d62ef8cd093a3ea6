/* text/bm25.h - BM25 as Elasticsearch computes it, in Lucene's steps of float and double.
 *
 * Source: apache/lucene BM25Similarity, LegacyBM25Similarity, SmallFloat (Elasticsearch multiplies
 * the weight by k1 + 1). A field's length is kept in one byte: exact up to 39, then four
 * significant bits. Threads: plain values.
 */
#ifndef VZ_TEXT_BM25_H
#define VZ_TEXT_BM25_H

#include <stdint.h>

/* 0 .. 255 for a length in tokens; smaller is shorter. */
unsigned char vz_norm_encode(uint32_t length);
/* The length that a byte stands for. */
uint32_t vz_norm_decode(unsigned char norm);

struct vz_bm25_stats {
    float boost;              /* of the query, 1 */
    float k1, b;              /* 1.2, 0.75 */
    uint64_t doc_count;       /* N: documents with the field */
    uint64_t sum_total_freqs; /* tokens of the field */
};
struct vz_bm25 {
    float boost, k1, b;
    float idf, average_length;
    float weight;       /* boost * (k1 + 1) * idf */
    float inverse[256]; /* 1 / (k1 * (1 - b + b * length / average)) */
};
/* ln(1 + (N - n + 0.5) / (n + 0.5)) as a float. */
float vz_bm25_idf(uint64_t doc_count, uint64_t doc_freq);
/* For one term (count 1), or for a phrase: the idfs of its terms added up. Fields without norms are
 * scored with norm 1. */
void vz_bm25_init(struct vz_bm25 *bm25, const struct vz_bm25_stats *stats,
                  const uint64_t *doc_freqs, unsigned count);
static inline float vz_bm25_score(const struct vz_bm25 *bm25, float freq, unsigned char norm)
{
    return bm25->weight - bm25->weight / (1.0f + freq * bm25->inverse[norm]);
}
/* tf as explain shows it: freq / (freq + k1 * (1 - b + b * dl / avgdl)). */
float vz_bm25_tf(const struct vz_bm25 *bm25, float freq, unsigned char norm);

#endif
