/* The small copies of the rows that a quantized graph walks on; the float rows rescore what it
 * finds. All kinds score a query held in more bits than the rows: what is lost is lost on one side
 * only.
 *
 * int8     c = round(x / s), s = max|x| / 127 of the row's own. A query is coded alike and shifted
 *          by 128, because the instruction multiplies unsigned by signed bytes:
 *              dot(q, x) = s_q s_x sum(c_q c_x) = s_q s_x (sum((c_q + 128) c_x) - 128 sum(c_x))
 *
 * The two smaller kinds code the rest r = x - mean, and the query's rest p = q - mean:
 *              dot(q, x) = dot(p, r) + dot(q, mean) + dot(x, mean) - |mean|^2
 *              |q - x|^2 = |p|^2 + |r|^2 - 2 dot(p, r)
 *
 * int4     c = round((r - low) / step), 0 to 15, low and step of the row's own; the query as signed
 *          bytes: dot(p, r) = low sum(p) + step s_p sum(c_p c)
 *
 * bit      the signs of r: b = 1 where r >= 0, after RaBitQ (Gao and Long, "RaBitQ: Quantizing
 *          High-Dimensional Vectors with a Theoretical Error Bound for Approximate Nearest Neighbor
 *          Search", 2024, arXiv 2405.12497). With s = 2b - 1 the estimate
 *              dot(p, r) = |r|^2 / sum|r| * sum(s p)
 *          is right for p = r and unbiased over random rotations. The query has VZ_BIT_PLANES bits
 *          a dimension, stored as planes: sum(b p) = low sum(b) + step sum over j of
 *          2^j popcount(plane_j & b).
 *
 * A code's tail lies behind its bytes. The query's code is 0 past dims. */
#include "vector/graph.h"

#include <math.h>

struct tail {
    float scale;
    int32_t shift; /* 128 * sum(c) */
    float norm;    /* |x|^2 */
};

/* int4 and bit. */
struct rest_tail {
    float low;  /* int4: of code 0; bit: |r|^2 / sum|r| */
    float step; /* int4: from one code to the next; bit: how many bits are 1 */
    float norm; /* |r|^2 */
    float mean; /* dot(x, mean) */
};

void vz_codes_layout(struct vz_hnsw *graph)
{
    uint32_t dims = graph->options.dims;
    switch (graph->quantize) {
    case VZ_QUANTIZE_NONE:
        return;
    case VZ_QUANTIZE_INT8:
        graph->code_bytes = graph->query_bytes = (dims + 63) / 64 * 64;
        graph->code_stride = (dims + (uint32_t)sizeof(struct tail) + 63) / 64 * 64;
        return;
    case VZ_QUANTIZE_INT4:
        graph->code_bytes = ((dims + 1) / 2 + 15) / 16 * 16;
        graph->query_bytes = graph->code_bytes * 2;
        break;
    case VZ_QUANTIZE_BIT:
        graph->code_bytes = ((dims + 7) / 8 + 15) / 16 * 16;
        graph->query_bytes = graph->code_bytes * VZ_BIT_PLANES;
        break;
    }
    graph->code_stride = graph->code_bytes + (uint32_t)sizeof(struct rest_tail);
}

/* The mean of up to MEAN_ROWS rows from all over the first `rows`. */
#define MEAN_ROWS 4096
void vz_codes_mean(struct vz_hnsw *graph, uint32_t rows)
{
    uint32_t dims = graph->options.dims, taken = VZ_MIN(rows, MEAN_ROWS);
    float *mean = vz_mean(graph), room[4096];
    for (uint32_t d = 0; d < dims; d++)
        mean[d] = 0;
    for (uint32_t i = 0; i < taken; i++) {
        const float *row = vz_row_floats(graph, (uint32_t)((uint64_t)i * rows / taken), room);
        for (uint32_t d = 0; d < dims; d++)
            mean[d] += row[d] / (float)taken;
    }
}

/* ---- int8 ---- */

static float scale_of(const float *row, uint32_t dims, float *norm)
{
    float largest = 0, sum = 0;
    for (uint32_t d = 0; d < dims; d++) {
        float size = fabsf(row[d]);
        largest = size > largest ? size : largest;
        sum += row[d] * row[d];
    }
    *norm = sum;
    return largest > 0 && largest <= 3e38f ? largest / 127 : 1;
}

static int code_of(float value, float scale)
{
    float code = value / scale + 12582912.0f - 12582912.0f; /* rintf, of what is below 2^22 */
    return code >= -127 && code <= 127 ? (int)code : 0;
}

static void write_int8(struct vz_hnsw *graph, const float *from, int8_t *code)
{
    uint32_t dims = graph->options.dims;
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

static void query_int8(struct vz_scorer *scorer, const struct vz_hnsw *graph, uint8_t *code)
{
    uint32_t dims = graph->options.dims;
    scorer->scale = scale_of(scorer->query, dims, &scorer->norm);
    for (uint32_t d = 0; d < dims; d++)
        code[d] = (uint8_t)(code_of(scorer->query[d], scorer->scale) + 128);
    memset(code + dims, 0, graph->code_bytes - dims);
}

/* ---- what is left of a row without the mean ---- */

struct rest {
    float at[4096];
    float low, high, norm, mean; /* of the rest: least, largest, |r|^2; dot(x, mean) */
};

static void rest_of(const struct vz_hnsw *graph, const float *row, struct rest *rest)
{
    const float *mean = vz_mean(graph);
    float low = INFINITY, high = -INFINITY, norm = 0, dot = 0;
    for (uint32_t d = 0; d < graph->options.dims; d++) {
        float r = row[d] - mean[d];
        r = fabsf(r) <= 3e38f ? r : 0;
        rest->at[d] = r;
        low = fminf(low, r);
        high = fmaxf(high, r);
        norm += r * r;
        dot += row[d] * mean[d];
    }
    rest->low = low;
    rest->high = high;
    rest->norm = norm;
    rest->mean = dot;
}

/* round((value - low) / step), 0 to most; step 0 gives 0. */
static int level_of(float value, float low, float per_step, int most)
{
    float level = rintf((value - low) * per_step);
    return level > 0 ? level < (float)most ? (int)level : most : 0;
}

/* ---- int4 ---- */

static void write_int4(struct vz_hnsw *graph, const float *from, uint8_t *code)
{
    struct rest rest;
    rest_of(graph, from, &rest);
    float step = (rest.high - rest.low) / 15, per_step = step > 0 ? 1 / step : 0;
    struct rest_tail tail = {rest.low, step, rest.norm, rest.mean};
    uint32_t dims = graph->options.dims, bytes = graph->code_bytes;
    memset(code, 0, bytes);
    for (uint32_t d = 0; d < VZ_MIN(bytes, dims); d++)
        code[d] = (uint8_t)level_of(rest.at[d], rest.low, per_step, 15);
    for (uint32_t d = bytes; d < dims; d++)
        code[d - bytes] |= (uint8_t)(level_of(rest.at[d], rest.low, per_step, 15) << 4);
    memcpy(code + bytes, &tail, sizeof tail);
}

static void query_rest(struct vz_scorer *scorer, const struct vz_hnsw *graph,
                       const struct rest *rest)
{
    const float *mean = vz_mean(graph);
    float norm = 0;
    for (uint32_t d = 0; d < graph->options.dims; d++)
        norm += mean[d] * mean[d];
    scorer->norm = rest->norm;
    scorer->offset = rest->mean - norm;
}

static void query_int4(struct vz_scorer *scorer, const struct vz_hnsw *graph, uint8_t *code)
{
    struct rest rest;
    uint32_t dims = graph->options.dims;
    int32_t sum = 0;
    rest_of(graph, scorer->query, &rest);
    query_rest(scorer, graph, &rest);
    float norm;
    scorer->scale = scale_of(rest.at, dims, &norm);
    for (uint32_t d = 0; d < dims; d++) {
        int c = code_of(rest.at[d], scorer->scale);
        code[d] = (uint8_t)(int8_t)c;
        sum += c;
    }
    memset(code + dims, 0, graph->query_bytes - dims);
    scorer->sum = scorer->scale * (float)sum;
}

/* ---- bit ---- */

static void write_bits(struct vz_hnsw *graph, const float *from, uint8_t *code)
{
    struct rest rest;
    rest_of(graph, from, &rest);
    uint32_t ones = 0;
    float size = 0;
    memset(code, 0, graph->code_bytes);
    for (uint32_t d = 0; d < graph->options.dims; d++) {
        bool positive = rest.at[d] >= 0;
        code[d / 8] |= (uint8_t)(positive << d % 8);
        ones += positive;
        size += fabsf(rest.at[d]);
    }
    struct rest_tail tail = {size > 0 ? rest.norm / size : 0, (float)ones, rest.norm, rest.mean};
    memcpy(code + graph->code_bytes, &tail, sizeof tail);
}

static void query_bits(struct vz_scorer *scorer, const struct vz_hnsw *graph, uint8_t *planes)
{
    enum { MOST = (1 << VZ_BIT_PLANES) - 1 };
    struct rest rest;
    uint32_t dims = graph->options.dims, bytes = graph->code_bytes, sum = 0;
    rest_of(graph, scorer->query, &rest);
    query_rest(scorer, graph, &rest);
    float step = (rest.high - rest.low) / MOST, per_step = step > 0 ? 1 / step : 0;
    memset(planes, 0, graph->query_bytes);
    for (uint32_t d = 0; d < dims; d++) {
        uint32_t level = (uint32_t)level_of(rest.at[d], rest.low, per_step, MOST);
        sum += level;
        for (uint32_t j = 0; j < VZ_BIT_PLANES; j++)
            planes[j * bytes + d / 8] |= (uint8_t)((level >> j & 1) << d % 8);
    }
    scorer->scale = step;
    scorer->low = rest.low;
    scorer->sum = rest.low * (float)dims + step * (float)sum;
}

/* ---- for all kinds ---- */

void vz_codes_write(struct vz_hnsw *graph, uint32_t row)
{
    float room[4096];
    const float *from = vz_row_floats(graph, row, room);
    uint8_t *code = vz_code(graph, row);
    if (graph->quantize == VZ_QUANTIZE_INT8)
        write_int8(graph, from, (int8_t *)code);
    else if (graph->quantize == VZ_QUANTIZE_INT4)
        write_int4(graph, from, code);
    else
        write_bits(graph, from, code);
}

void vz_codes_query(struct vz_scorer *scorer, const struct vz_hnsw *graph, uint8_t *code)
{
    if (graph->quantize == VZ_QUANTIZE_INT8)
        query_int8(scorer, graph, code);
    else if (graph->quantize == VZ_QUANTIZE_INT4)
        query_int4(scorer, graph, code);
    else
        query_bits(scorer, graph, code);
    scorer->coded = graph;
    scorer->codes = code;
}

void vz_codes_query_row(struct vz_scorer *scorer, const struct vz_hnsw *graph, uint32_t row,
                        uint8_t *code)
{
    uint32_t dims = graph->options.dims;
    const uint8_t *from = vz_code(graph, row);
    if (graph->quantize != VZ_QUANTIZE_INT8) {
        vz_codes_query(scorer, graph, code);
        return;
    }
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

static float undo_int8(const struct vz_scorer *scorer, const uint8_t *code, int32_t sum)
{
    struct tail tail;
    memcpy(&tail, code + scorer->space->dims, sizeof tail);
    float dot = scorer->scale * tail.scale * (float)(sum - tail.shift);
    return scorer->space->l2 ? 2 * dot - scorer->norm - tail.norm : dot;
}

static float undo_rest(const struct vz_scorer *scorer, const uint8_t *code, int32_t sum)
{
    struct rest_tail tail;
    float dot;
    memcpy(&tail, code + scorer->coded->code_bytes, sizeof tail);
    if (scorer->coded->quantize == VZ_QUANTIZE_INT4)
        dot = tail.low * scorer->sum + tail.step * scorer->scale * (float)sum;
    else
        dot = tail.low * (2 * (scorer->low * tail.step + scorer->scale * (float)sum) - scorer->sum);
    return scorer->space->l2 ? 2 * dot - scorer->norm - tail.norm
                             : dot + scorer->offset + tail.mean;
}

/* Rounding to int8 or int4 moves each coordinate by up to half a step, evenly: a variance of a
 * twelfth of the step's square, for the query's and for the row's. Of 100,000 rows and 2,000
 * queries two deviations lost 0.0003 of recall, three and four nothing.
 *
 * Of a row's signs the estimate sees c = |r| / (low sqrt(dims)) of the rest's direction, and what
 * of the query's rest is at right angles to r goes into it as it falls: a variance of |p|^2 low^2
 * (1 - c^2) dims / (dims - 1), as RaBitQ's bound has it. */
#define DEVIATIONS 4.0f
/* Sums of floats are off too, which shows where codes are not: in rows of one value. */
#define ROUNDING 2e-6f
static float doubt_of(const struct vz_scorer *scorer, const uint8_t *code)
{
    enum vz_quantize quantize = scorer->coded->quantize;
    float dims = (float)scorer->space->dims, scale = scorer->scale * scorer->scale, variance, size;
    if (quantize == VZ_QUANTIZE_INT8) {
        struct tail tail;
        memcpy(&tail, code + scorer->space->dims, sizeof tail);
        variance = (scale * tail.norm + tail.scale * tail.scale * scorer->norm) / 12;
        size = scorer->norm + tail.norm;
    } else {
        struct rest_tail tail;
        memcpy(&tail, code + scorer->coded->code_bytes, sizeof tail);
        float low = tail.low * tail.low;
        if (quantize == VZ_QUANTIZE_INT4)
            variance = (scale * tail.norm + tail.step * tail.step * scorer->norm) / 12;
        else
            variance = scorer->norm * fmaxf(low * dims - tail.norm, 0) / fmaxf(dims - 1, 1) +
                       low * dims * scale / 12;
        size = scorer->norm + tail.norm + fabsf(scorer->offset) + fabsf(tail.mean);
    }
    return (scorer->space->l2 ? 2 : 1) * (DEVIATIONS * sqrtf(variance) + ROUNDING * size);
}

float vz_codes_doubt(const struct vz_scorer *scorer, uint32_t row)
{
    return doubt_of(scorer, vz_code(scorer->coded, row));
}

void vz_codes_score(const struct vz_scorer *scorer, const uint32_t *rows, uint32_t count,
                    float *similarities, float *doubts)
{
    const struct vz_hnsw *graph = scorer->coded;
    const struct vz_kernels *kernels = graph->space.kernels;
    bool int8 = graph->quantize == VZ_QUANTIZE_INT8;
    vz_kernel_codes *four = int8                                  ? kernels->codes4
                            : graph->quantize == VZ_QUANTIZE_INT4 ? kernels->nibbles4
                                                                  : kernels->bits4;
    const uint8_t *now[4], *next[4];
    int32_t sums[4];
    /* A scan knows what comes: 60 ns a row with int8 when four rows ahead, 43 when sixteen. */
    uint32_t lead = doubts ? 16 : 4;
    for (uint32_t i = 0; i < count; i += 4) {
        uint32_t part = VZ_MIN(count - i, 4u);
        for (uint32_t j = 0; j < 4; j++) {
            now[j] = vz_code(graph, rows[i + VZ_MIN(j, part - 1)]);
            next[j] = i + lead + j < count ? vz_code(graph, rows[i + lead + j]) : now[j];
        }
        four(scorer->codes, now, next, graph->code_bytes, sums);
        for (uint32_t j = 0; j < part; j++)
            similarities[i + j] =
                int8 ? undo_int8(scorer, now[j], sums[j]) : undo_rest(scorer, now[j], sums[j]);
        for (uint32_t j = 0; doubts && j < part; j++)
            doubts[i + j] = doubt_of(scorer, now[j]);
    }
}
