/* The kernels' one text. Before including it: VEC_BYTES (16, 32, 64), TILE_VECS (vectors of a
 * register tile's row) and KERNELS (the table's name).
 *
 * Attention runs a block of six query rows at a time: scores against all keys (keys transposed once
 * a head, so that both products are "broadcast times row"), softmax while the scores are in the
 * first cache, times values. Nothing of size tokens x tokens exists. 6 x TILE_VECS accumulators
 * fill the registers. exp is Cephes' polynomial (relative error below 2e-7), erf is Abramowitz and
 * Stegun 7.1.26 (absolute error below 2e-7).
 */
#include <math.h>

#define LANES (VEC_BYTES / 4)
#define ROWS 6
#define FORCE static inline __attribute__((always_inline))

typedef float vf __attribute__((vector_size(VEC_BYTES)));
typedef int32_t vi __attribute__((vector_size(VEC_BYTES)));
typedef uint32_t vu __attribute__((vector_size(VEC_BYTES)));
typedef uint16_t vh __attribute__((vector_size(VEC_BYTES / 2)));
typedef uint8_t vb __attribute__((vector_size(VEC_BYTES / 4)));

FORCE vf load(const float *p)
{
    vf v;
    memcpy(&v, p, sizeof v);
    return v;
}
FORCE void store(float *p, vf v)
{
    memcpy(p, &v, sizeof v);
}
FORCE vf splat(float x)
{
    return x - (vf){0};
}
FORCE vf either(vi mask, vf a, vf b)
{
    return (vf)((mask & (vi)a) | (~mask & (vi)b));
}
/* The includer may know an instruction; the plain forms take three or four. */
#ifndef VEC_MAX
#define VEC_MAX(a, b) either((a) > (b), a, b)
#define VEC_MIN(a, b) either((a) < (b), a, b)
#endif
FORCE vf vmax(vf a, vf b)
{
    return VEC_MAX(a, b);
}
FORCE vf vmin(vf a, vf b)
{
    return VEC_MIN(a, b);
}
/* 1 / x for x >= 1: an estimate and one step of Newton's where there is an instruction for it. */
FORCE vf reciprocal(vf x)
{
#ifdef VEC_RECIPROCAL
    vf r = VEC_RECIPROCAL(x);
    return r * (2.0f - x * r);
#else
    return 1.0f / x;
#endif
}

#if VEC_BYTES == 16
#define LANE_LIST(f, s) f(0, s), f(1, s), f(2, s), f(3, s)
#elif VEC_BYTES == 32
#define LANE_LIST(f, s) f(0, s), f(1, s), f(2, s), f(3, s), f(4, s), f(5, s), f(6, s), f(7, s)
#else
#define LANE_LIST(f, s)                                                                            \
    f(0, s), f(1, s), f(2, s), f(3, s), f(4, s), f(5, s), f(6, s), f(7, s), f(8, s), f(9, s),      \
        f(10, s), f(11, s), f(12, s), f(13, s), f(14, s), f(15, s)
#endif

/* Each lane with the one s away, until all hold the same. */
#define ACROSS(l, s) (l) ^ (s)
#define FOLD(op, v, s) v = op(v, __builtin_shufflevector(v, v, LANE_LIST(ACROSS, s)))
#if VEC_BYTES == 16
#define FOLD_ALL(op, v) FOLD(op, v, 2), FOLD(op, v, 1)
#elif VEC_BYTES == 32
#define FOLD_ALL(op, v) FOLD(op, v, 4), FOLD(op, v, 2), FOLD(op, v, 1)
#else
#define FOLD_ALL(op, v) FOLD(op, v, 8), FOLD(op, v, 4), FOLD(op, v, 2), FOLD(op, v, 1)
#endif
#define VEC_ADD(a, b) ((a) + (b))

FORCE float sum_of(vf v)
{
    FOLD_ALL(VEC_ADD, v);
    return v[0];
}
FORCE float max_of(vf v)
{
    FOLD_ALL(vmax, v);
    return v[0];
}

/* Adding 1.5 * 2^23 leaves the nearest integer in the low bits. */
#define TO_INT 12582912.0f

FORCE vf vexp(vf x)
{
    x = vmin(vmax(x, splat(-87.3f)), splat(88.0f));
    vf n = x * 1.44269504f + TO_INT;
    vi power = (vi)n << 23; /* the constant's own bits fall off the top */
    n -= TO_INT;
    vf r = x - n * 0.693359375f + n * 2.12194440e-4f;
    vf p = r * 1.9875691500e-4f + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    p = p * r * r + r + 1.0f;
    return (vf)((vi)p + power);
}

FORCE vf sigmoid_times(vf x, vf z) /* x * sigmoid(z) */
{
    return x * reciprocal(1.0f + vexp(-z));
}

FORCE vf gelu(vf x)
{
    vf z = (vf)((vi)x & 0x7fffffff) * 0.70710678f;
    vf t = reciprocal(1.0f + 0.3275911f * z);
    vf p = t * 1.061405429f - 1.453152027f;
    p = p * t + 1.421413741f;
    p = p * t - 0.284496736f;
    p = (p * t + 0.254829592f) * t;
    vf tail = p * vexp(-z * z) * 0.5f; /* 1 - Phi(|x|) */
    return x * either(x > 0.0f, 1.0f - tail, tail);
}

FORCE vf vtanh(vf x)
{
    return 1.0f - 2.0f * reciprocal(1.0f + vexp(2.0f * x));
}

FORCE vf apply(enum vz_activation f, vf x)
{
    switch (f) {
    case VZ_ACT_GELU:
        return gelu(x);
    case VZ_ACT_QUICK_GELU:
        return sigmoid_times(x, x * 1.702f);
    case VZ_ACT_GELU_TANH:
        return sigmoid_times(x, x * (1.0f + x * x * 0.044715f) * 1.5957691216f);
    case VZ_ACT_RELU:
        return vmax(x, splat(0));
    case VZ_ACT_SILU:
        return sigmoid_times(x, x);
    case VZ_ACT_TANH:
        return vtanh(x);
    default:
        return x;
    }
}

/* Nearest, ties to even; NaN is not kept apart, weights and activations have none. */
FORCE void store_bf16(uint16_t *p, vf v)
{
    vu u = (vu)v;
    u = (u + 0x7fff + ((u >> 16) & 1)) >> 16;
    vh h = __builtin_convertvector(u, vh);
    memcpy(p, &h, sizeof h);
}

/* A row of f32 -> 0..255 with its scale and zero. Zero is in the range, so that it stays exact. */
FORCE void quantize_row(const float *x, size_t width, uint8_t *out, struct nn_row_scale *scale)
{
    vf low = splat(0), high = splat(0);
    for (size_t i = 0; i < width; i += LANES) {
        vf v = load(x + i);
        low = vmin(low, v);
        high = vmax(high, v);
    }
    float least = -max_of(-low), span = max_of(high) - least;
    float step = span > 0 ? span / 255.0f : 1.0f;
    float zero = (float)(int)(-least / step + 0.5f);
    vf inverse = splat(1.0f / step), shift = splat(zero + TO_INT);
    for (size_t i = 0; i < width; i += LANES) {
        vf q = vmin(vmax(load(x + i) * inverse + shift, splat(TO_INT)), splat(TO_INT + 255.0f));
        vb b = __builtin_convertvector((vu)q & 0xff, vb);
        memcpy(out + i, &b, sizeof b);
    }
    *scale = (struct nn_row_scale){step, zero};
}

FORCE void emit_row(const float *x, size_t width, struct nn_act out, size_t row)
{
    if (out.precision == VZ_PRECISION_INT8) {
        quantize_row(x, width, (uint8_t *)out.data + row * width, &out.scales[row]);
    } else if (out.precision == VZ_PRECISION_BF16) {
        uint16_t *to = (uint16_t *)out.data + row * width;
        for (size_t i = 0; i < width; i += LANES)
            store_bf16(to + i, load(x + i));
    } else if ((float *)out.data + row * width != x) {
        memcpy((float *)out.data + row * width, x, width * sizeof(float));
    }
}

static void norm(const float *x, size_t width, const float *gamma, const float *beta, float eps,
                 float *copy, struct nn_act out, size_t first, size_t last)
{
    for (size_t row = first; row < last; row++) {
        const float *from = x + row * width;
        /* Where the f32 result goes first. Without a place of its own it uses the act's (f32) or
         * the scratch row behind it. */
        float line[NN_MAX_WIDTH];
        float *to = copy                                ? copy + row * width
                    : out.precision == VZ_PRECISION_F32 ? (float *)out.data + row * width
                                                        : line;
        vf sum = {0};
        for (size_t i = 0; i < width; i += LANES)
            sum += load(from + i);
        float mean = sum_of(sum) / (float)width;
        vf square = {0};
        for (size_t i = 0; i < width; i += LANES) {
            vf d = load(from + i) - mean;
            square += d * d;
        }
        float scale = 1.0f / sqrtf(sum_of(square) / (float)width + eps);
        for (size_t i = 0; i < width; i += LANES)
            store(to + i, (load(from + i) - mean) * scale * load(gamma + i) + load(beta + i));
        if (out.data)
            emit_row(to, width, out, row);
    }
}

FORCE vf dequant_at(const int32_t *sums, const struct nn_dequant *by, struct nn_row_scale row,
                    size_t i)
{
    vi s;
    memcpy(&s, sums + i, sizeof s);
    vf centred = __builtin_convertvector(s, vf) - row.zero * load(by->total + i);
    return centred * (load(by->weight + i) * row.scale) + load(by->bias + i);
}

FORCE void activate_as(float *x, size_t width, const struct nn_dequant *sums, enum vz_activation f,
                       struct nn_act out, size_t first, size_t last)
{
    for (size_t row = first; row < last; row++) {
        float *line = x + row * width;
        for (size_t i = 0; i < width; i += LANES) {
            vf v = sums ? dequant_at((const int32_t *)(const void *)line, sums, sums->rows[row], i)
                        : load(line + i);
            v = apply(f, v);
            if (out.precision == VZ_PRECISION_BF16)
                store_bf16((uint16_t *)out.data + row * width + i, v);
            else
                store(line + i, v);
        }
        if (out.precision != VZ_PRECISION_BF16)
            emit_row(line, width, out, row);
    }
}

static void activate(float *x, size_t width, const struct nn_dequant *sums, enum vz_activation f,
                     struct nn_act out, size_t first, size_t last)
{
    switch (f) { /* a constant in each inlined copy */
    case VZ_ACT_GELU:
        activate_as(x, width, sums, VZ_ACT_GELU, out, first, last);
        break;
    case VZ_ACT_QUICK_GELU:
        activate_as(x, width, sums, VZ_ACT_QUICK_GELU, out, first, last);
        break;
    default:
        activate_as(x, width, sums, f, out, first, last);
    }
}

static void dequant(const int32_t *sums, size_t width, const struct nn_dequant *by, bool add,
                    float *out, size_t first, size_t last)
{
    for (size_t row = first; row < last; row++)
        for (size_t i = 0; i < width; i += LANES) {
            float *to = out + row * width + i;
            vf v = dequant_at(sums + row * width, by, by->rows[row], i);
            store(to, add ? load(to) + v : v);
        }
}

/* c[rows][vecs] (=) a[rows][depth] * b[depth][vecs]; strides in floats; all constant but depth. */
FORCE void tile(const float *a, size_t a_ld, const float *b, size_t b_ld, size_t depth, float *c,
                size_t c_ld, int rows, int vecs)
{
    vf sum[ROWS][TILE_VECS];
    for (int r = 0; r < rows; r++)
        for (int v = 0; v < vecs; v++)
            sum[r][v] = (vf){0};
    for (size_t d = 0; d < depth; d++) {
        vf line[TILE_VECS];
        for (int v = 0; v < vecs; v++)
            line[v] = load(b + d * b_ld + (size_t)v * LANES);
        for (int r = 0; r < rows; r++)
            for (int v = 0; v < vecs; v++)
                sum[r][v] += a[(size_t)r * a_ld + d] * line[v];
    }
    for (int r = 0; r < rows; r++)
        for (int v = 0; v < vecs; v++)
            store(c + (size_t)r * c_ld + (size_t)v * LANES, sum[r][v]);
}

/* The same for any number of columns (a multiple of LANES) and 1..ROWS rows. */
FORCE void product(const float *a, size_t a_ld, const float *b, size_t b_ld, size_t depth,
                   size_t columns, float *c, size_t c_ld, int rows)
{
    size_t at = 0;
    for (; at + TILE_VECS * LANES <= columns; at += TILE_VECS * LANES)
        tile(a, a_ld, b + at, b_ld, depth, c + at, c_ld, rows, TILE_VECS);
    for (; at < columns; at += LANES)
        tile(a, a_ld, b + at, b_ld, depth, c + at, c_ld, rows, 1);
}

static void product_of_rows(const float *a, size_t a_ld, const float *b, size_t b_ld, size_t depth,
                            size_t columns, float *c, size_t c_ld, size_t rows)
{
    switch (rows) {
    case 6:
        product(a, a_ld, b, b_ld, depth, columns, c, c_ld, 6);
        break;
    case 5:
        product(a, a_ld, b, b_ld, depth, columns, c, c_ld, 5);
        break;
    case 4:
        product(a, a_ld, b, b_ld, depth, columns, c, c_ld, 4);
        break;
    case 3:
        product(a, a_ld, b, b_ld, depth, columns, c, c_ld, 3);
        break;
    case 2:
        product(a, a_ld, b, b_ld, depth, columns, c, c_ld, 2);
        break;
    default:
        product(a, a_ld, b, b_ld, depth, columns, c, c_ld, 1);
    }
}

/* LANES x LANES, by Eklundh's exchanges of halves, quarters, ... */
/* Exchanges rows i and i + s, for i without bit s: blocks of s lanes change places. */
#define EVEN(l, s) ((l) & (s) ? LANES + (l) - (s) : (l))
#define ODD(l, s) ((l) & (s) ? LANES + (l) : (l) + (s))
#define EXCHANGE(rows, s)                                                                          \
    for (int i = 0; i < LANES; i++)                                                                \
        if (!(i & (s))) {                                                                          \
            vf a = rows[i], b = rows[i | (s)];                                                     \
            rows[i] = __builtin_shufflevector(a, b, LANE_LIST(EVEN, s));                           \
            rows[i | (s)] = __builtin_shufflevector(a, b, LANE_LIST(ODD, s));                      \
        }

static void transpose_block(const float *from, size_t ld, size_t rows, float *to, size_t to_ld)
{
    vf line[LANES];
    for (size_t i = 0; i < LANES; i++)
        line[i] = i < rows ? load(from + i * ld) : (vf){0};
    EXCHANGE(line, 1)
    EXCHANGE(line, 2)
#if VEC_BYTES >= 32
    EXCHANGE(line, 4)
#endif
#if VEC_BYTES >= 64
    EXCHANGE(line, 8)
#endif
    for (size_t i = 0; i < LANES; i++)
        store(to + i * to_ld, line[i]);
}

/* scores[0..count) -> exp(score - max), zero up to `padded`; gives the sum. */
FORCE float softmax_row(float *scores, size_t count, size_t padded)
{
    for (size_t i = count; i < padded; i++)
        scores[i] = -INFINITY;
    vf high = splat(-INFINITY);
    for (size_t i = 0; i < padded; i += LANES)
        high = vmax(high, load(scores + i));
    float top = max_of(high);
    vf sum = {0};
    for (size_t i = 0; i < padded; i += LANES) {
        vf e = vexp(load(scores + i) - top);
        sum += e;
        store(scores + i, e);
    }
    float total = sum_of(sum);
    for (size_t i = count; i < padded; i++) {
        total -= scores[i]; /* exp(-87), not quite nothing */
        scores[i] = 0;
    }
    return total;
}

static void attention(const struct nn_attention *a)
{
    size_t dims = a->head_dims, padded = (a->kv_count + LANES - 1) & ~(size_t)(LANES - 1);
    float *keys = a->scratch;              /* [dims, padded] */
    float *scores = keys + dims * padded;  /* [ROWS, padded] */
    float *lines = scores + ROWS * padded; /* [ROWS, dims] */
    for (size_t t = 0; t < padded; t += LANES)
        for (size_t d = 0; d < dims; d += LANES)
            transpose_block(a->k + t * a->kv_ld + d, a->kv_ld, VZ_MIN(a->kv_count - t, LANES),
                            keys + d * padded + t, padded);
    for (size_t q = 0; q < a->q_count; q += ROWS) {
        size_t rows = VZ_MIN(a->q_count - q, ROWS), at = a->q_first + q;
        size_t seen = a->causal ? at + rows : a->kv_count; /* keys any of these rows may see */
        size_t columns = (seen + LANES - 1) & ~(size_t)(LANES - 1);
        product_of_rows(a->q + q * a->q_ld, a->q_ld, keys, padded, dims, columns, scores, padded,
                        rows);
        float weight[ROWS];
        for (size_t r = 0; r < rows; r++) {
            float *line = scores + r * padded;
            size_t count = a->causal ? at + r + 1 : a->kv_count;
            if (a->bias)
                for (size_t j = 0; j < count; j++)
                    line[j] += a->bias[(ptrdiff_t)j - (ptrdiff_t)(at + r)];
            weight[r] = 1.0f / softmax_row(line, count, columns);
        }
        product_of_rows(scores, padded, a->v, a->kv_ld, seen, dims, lines, dims, rows);
        for (size_t r = 0; r < rows; r++)
            for (size_t d = 0; d < dims; d += LANES) {
                vf v = load(lines + r * dims + d) * weight[r];
                size_t to = (q + r) * a->out_ld + d;
                if (a->out_precision == VZ_PRECISION_BF16)
                    store_bf16((uint16_t *)a->out + to, v);
                else
                    store((float *)a->out + to, v);
            }
    }
}

static void normalize(float *x, size_t width)
{
    double square = 0;
    for (size_t i = 0; i < width; i++)
        square += (double)x[i] * x[i];
    float scale = square > 0 ? (float)(1 / sqrt(square)) : 0;
    for (size_t i = 0; i < width; i++)
        x[i] *= scale;
}

static bool scale_finite(float *x, size_t count, float scale)
{
    uint32_t bits, bad = 0;
    vu worst = {0};
    size_t i = 0;
    for (; i + LANES <= count; i += LANES) {
        vf v = load(x + i);
        worst |= (vu)(((vi)v & 0x7f800000) == 0x7f800000);
        store(x + i, v * scale);
    }
    for (; i < count; i++) {
        memcpy(&bits, x + i, sizeof bits);
        bad |= (bits & 0x7f800000) == 0x7f800000;
        x[i] *= scale;
    }
    for (int l = 0; l < LANES; l++)
        bad |= worst[l];
    return bad == 0;
}

/* count is a multiple of LANES */
static float quantize_weights(const float *x, size_t count, int8_t *out, float *total)
{
    vf high = {0};
    for (size_t i = 0; i < count; i += LANES)
        high = vmax(high, (vf)((vi)load(x + i) & 0x7fffffff));
    float most = max_of(high), scale = most > 0 ? most / 127.0f : 1.0f;
    vf inverse = splat(1.0f / scale), sum = {0};
    for (size_t i = 0; i < count; i += LANES) {
        vf q = load(x + i) * inverse + TO_INT;
        vb b = __builtin_convertvector((vu)q & 0xff, vb);
        sum += q - TO_INT;
        memcpy(out + i, &b, sizeof b);
    }
    *total = sum_of(sum);
    return scale;
}

const struct nn_kernels KERNELS = {
    KERNELS_NAME, norm, activate, dequant, attention, scale_finite, quantize_weights, normalize,
};
