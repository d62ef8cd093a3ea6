/* The int8 copy of the rows that a quantized graph walks on; the float rows rescore what it finds.
 *
 * A row x is stored as c = round(x / s) with s = max|x| / 127 of its own, and with what is needed
 * to undo that: s, 128 * sum(c) and |x|^2. A query is coded alike and shifted by 128, because the
 * instruction multiplies unsigned by signed bytes:
 *
 *     dot(q, x) = s_q s_x sum(c_q c_x) = s_q s_x (sum((c_q + 128) c_x) - 128 sum(c_x))
 *
 * A code's tail lies behind its dims bytes; the query's code is 0 there, so that whole cache lines
 * can be multiplied. */
#include "vector/graph.h"

#include <math.h>

struct tail {
    float scale;
    int32_t shift; /* 128 * sum(c) */
    float norm;    /* |x|^2 */
};

void vz_codes_layout(struct vz_hnsw *graph)
{
    uint32_t dims = graph->options.dims;
    if (!graph->quantized)
        return;
    graph->code_bytes = (dims + 63) / 64 * 64;
    graph->code_stride = (dims + (uint32_t)sizeof(struct tail) + 63) / 64 * 64;
}

static float scale_of(const float *row, uint32_t dims, float *norm)
{
    float largest = 0, sum = 0;
    for (uint32_t d = 0; d < dims; d++) {
        largest = fmaxf(largest, fabsf(row[d]));
        sum += row[d] * row[d];
    }
    *norm = sum;
    return largest > 0 && largest <= 3e38f ? largest / 127 : 1;
}

static int code_of(float value, float scale)
{
    float code = rintf(value / scale);
    return code >= -127 && code <= 127 ? (int)code : 0;
}

void vz_codes_write(struct vz_hnsw *graph, uint32_t row)
{
    uint32_t dims = graph->options.dims;
    const float *from = vz_row(graph, row);
    int8_t *code = vz_code(graph, row);
    struct tail tail;
    tail.scale = scale_of(from, dims, &tail.norm);
    int32_t sum = 0;
    for (uint32_t d = 0; d < dims; d++) {
        int c = code_of(from[d], tail.scale);
        code[d] = (int8_t)c;
        sum += c;
    }
    tail.shift = 128 * sum;
    memcpy(code + dims, &tail, sizeof tail);
}

void vz_codes_query(struct vz_scorer *scorer, const struct vz_hnsw *graph, uint8_t *code)
{
    uint32_t dims = scorer->space->dims;
    scorer->scale = scale_of(scorer->query, dims, &scorer->norm);
    for (uint32_t d = 0; d < dims; d++)
        code[d] = (uint8_t)(code_of(scorer->query[d], scorer->scale) + 128);
    memset(code + dims, 0, graph->code_bytes - dims);
    scorer->coded = graph;
    scorer->codes = code;
}

void vz_codes_query_row(struct vz_scorer *scorer, const struct vz_hnsw *graph, uint32_t row,
                        uint8_t *code)
{
    uint32_t dims = graph->options.dims;
    const int8_t *from = vz_code(graph, row);
    struct tail tail;
    memcpy(&tail, from + dims, sizeof tail);
    for (uint32_t d = 0; d < dims; d++)
        code[d] = (uint8_t)(from[d] + 128);
    memset(code + dims, 0, graph->code_bytes - dims);
    scorer->scale = tail.scale;
    scorer->norm = tail.norm;
    scorer->coded = graph;
    scorer->codes = code;
}

static float undo(const struct vz_scorer *scorer, const int8_t *code, int32_t sum)
{
    struct tail tail;
    memcpy(&tail, code + scorer->space->dims, sizeof tail);
    float dot = scorer->scale * tail.scale * (float)(sum - tail.shift);
    return scorer->space->l2 ? 2 * dot - scorer->norm - tail.norm : dot;
}

void vz_codes_score(const struct vz_scorer *scorer, const uint32_t *rows, uint32_t count,
                    float *similarities)
{
    const struct vz_hnsw *graph = scorer->coded;
    const int8_t *now[4], *next[4];
    int32_t sums[4];
    for (uint32_t i = 0; i < count; i += 4) {
        uint32_t part = VZ_MIN(count - i, 4u);
        for (uint32_t j = 0; j < 4; j++) {
            now[j] = vz_code(graph, rows[i + VZ_MIN(j, part - 1)]);
            next[j] = i + 4 + j < count ? vz_code(graph, rows[i + 4 + j]) : now[j];
        }
        graph->space.kernels->codes4(scorer->codes, now, next, graph->code_bytes, sums);
        for (uint32_t j = 0; j < part; j++)
            similarities[i + j] = undo(scorer, now[j], sums[j]);
    }
}
