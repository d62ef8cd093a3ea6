/* The encoder.
 *
 * The residual stream x stays f32 in every precision. Between two multiplications there is one pass
 * over the rows (norm, activation or attention) which writes them as the next multiplication reads
 * them: f32, bf16, or u8 with a scale and a zero a row.
 *
 * Query, key and value are one multiplication. Where one row of a sequence is wanted in the end
 * (CLS, EOS), the last layer computes keys and values for all rows and the rest for that row only,
 * which saves 10 of its 12 width^2 products: 7 % of ViT-B/32's work, exactly the same result.
 */
#include "nn/encoder.h"

#include <math.h>
#include <stdlib.h>

#include "nn/parts.h"
#include "nn/table.h"

struct layer {
    struct vz_linear *qkv;    /* [3 * width, width]; NULL in the last layer of one_row */
    struct vz_linear *q, *kv; /* only there */
    struct vz_linear *out, *up, *down;
    struct vz_norm norm1, norm2;
};

struct vz_encoder {
    struct vz_nn *nn;
    struct vz_encoder_config config;
    float *bias; /* owned copy */
    struct layer *layers;
};

/* ---- norms ---- */

enum vz_status vz_norm_init(struct vz_nn *nn, struct vz_norm *norm, size_t width, float eps,
                            const struct vz_tensor_view *weight, const struct vz_tensor_view *bias,
                            struct vz_error *err)
{
    *norm = (struct vz_norm){.width = width, .eps = eps};
    if (!weight || !bias)
        return vz_fail(err, VZ_CORRUPT, "a layer norm's weight or bias is missing");
    if (weight->count != width || bias->count != width)
        return vz_fail(err, VZ_CORRUPT, "tensor [%.*s]: expected %zu numbers, got %llu",
                       (int)weight->name.len, weight->name.ptr, width,
                       (unsigned long long)weight->count);
    if (width % 16 || width > NN_MAX_WIDTH)
        return vz_fail(err, VZ_UNSUPPORTED, "a width of %zu: expected a multiple of 16 up to %d",
                       width, NN_MAX_WIDTH);
    enum vz_status status = vz_floats_init(nn, weight, &norm->gamma, err);
    if (status == VZ_OK)
        status = vz_floats_init(nn, bias, &norm->beta, err);
    return status;
}

void vz_norm_run(struct vz_nn *nn, const struct vz_norm *norm, float *x, size_t rows)
{
    struct nn_act none = {.precision = VZ_PRECISION_F32};
    nn->kernels->norm(x, norm->width, norm->gamma, norm->beta, norm->eps, x, none, 0, rows);
}

void vz_unit_length(struct vz_nn *nn, float *x, size_t width)
{
    nn->kernels->normalize(x, width);
}

void vz_activate(struct vz_nn *nn, enum vz_activation f, float *x, size_t count)
{
    float rest[16] = {0};
    size_t whole = count & ~(size_t)15;
    struct nn_act out = {.precision = VZ_PRECISION_F32, .data = x};
    nn->kernels->activate(x, whole, NULL, f, out, 0, 1);
    memcpy(rest, x + whole, (count - whole) * sizeof *x);
    out.data = rest;
    nn->kernels->activate(rest, 16, NULL, f, out, 0, 1);
    memcpy(x + whole, rest, (count - whole) * sizeof *x);
}

/* ---- making ---- */

static enum vz_status linear_make(struct vz_nn *nn, size_t in, size_t out,
                                  const struct vz_linear_part *parts, size_t count,
                                  struct vz_linear **linear, struct vz_error *err)
{
    for (size_t i = 0; i < count; i++)
        if (!parts[i].weight)
            return vz_fail(err, VZ_CORRUPT, "a layer's weights are missing");
    enum vz_status status = vz_linear_new(nn, VZ_PRECISION_AUTO, in, parts, count, linear, err);
    if (status == VZ_OK && vz_linear_out(*linear) != out)
        status = vz_fail(err, VZ_CORRUPT, "tensor [%.*s]: expected %zu rows, got %zu",
                         (int)parts[0].weight->name.len, parts[0].weight->name.ptr, out / count,
                         vz_linear_out(*linear) / count);
    return status;
}

static enum vz_status layer_init(struct vz_encoder *e, const struct vz_layer_weights *w, bool last,
                                 struct layer *layer, struct vz_error *err)
{
    const struct vz_encoder_config *c = &e->config;
    size_t width = c->width;
    float scale = 1.0f / sqrtf((float)(width / c->heads));
    struct vz_linear_part qkv[] = {
        {w->q_weight, w->q_bias, scale}, {w->k_weight, w->k_bias, 1}, {w->v_weight, w->v_bias, 1}};
    struct vz_linear_part out = {w->out_weight, w->out_bias, 1};
    struct vz_linear_part up = {w->up_weight, w->up_bias, 1};
    struct vz_linear_part down = {w->down_weight, w->down_bias, 1};
    enum vz_status status;
    if (last && c->one_row) {
        status = linear_make(e->nn, width, width, qkv, 1, &layer->q, err);
        if (status == VZ_OK)
            status = linear_make(e->nn, width, 2 * width, qkv + 1, 2, &layer->kv, err);
    } else {
        status = linear_make(e->nn, width, 3 * width, qkv, 3, &layer->qkv, err);
    }
    if (status == VZ_OK)
        status = linear_make(e->nn, width, width, &out, 1, &layer->out, err);
    if (status == VZ_OK)
        status = linear_make(e->nn, width, c->mlp, &up, 1, &layer->up, err);
    if (status == VZ_OK)
        status = linear_make(e->nn, c->mlp, width, &down, 1, &layer->down, err);
    if (status == VZ_OK)
        status =
            vz_norm_init(e->nn, &layer->norm1, width, c->eps, w->norm1_weight, w->norm1_bias, err);
    if (status == VZ_OK)
        status =
            vz_norm_init(e->nn, &layer->norm2, width, c->eps, w->norm2_weight, w->norm2_bias, err);
    return status;
}

static enum vz_status check_config(const struct vz_encoder_config *c, struct vz_error *err)
{
    if (c->layers == 0 || c->heads == 0 || c->width % c->heads)
        return vz_fail(err, VZ_CORRUPT, "an encoder of %zu layers, %zu heads, width %zu", c->layers,
                       c->heads, c->width);
    size_t dims = c->width / c->heads;
    if (dims % 16 || dims > NN_MAX_HEAD_DIMS || c->mlp % 16 || c->width > NN_MAX_WIDTH)
        return vz_fail(
            err, VZ_UNSUPPORTED,
            "an encoder of width %zu, %zu heads, MLP %zu: sizes of heads and MLP must be "
            "multiples of 16, heads at most %d, the width at most %d",
            c->width, c->heads, c->mlp, NN_MAX_HEAD_DIMS, NN_MAX_WIDTH);
    return VZ_OK;
}

struct making {
    struct vz_encoder *e;
    const struct vz_layer_weights *layers;
};

/* Layers are packed on all cores. */
static enum vz_status layers_init(void *arg, struct vz_scratch *scratch, size_t first, size_t last,
                                  struct vz_error *err)
{
    const struct making *making = arg;
    struct vz_encoder *e = making->e;
    enum vz_status status = VZ_OK;
    for (size_t i = first; i < last && status == VZ_OK; i++)
        status = layer_init(e, &making->layers[i], i + 1 == e->config.layers, &e->layers[i], err);
    return status;
}

enum vz_status vz_encoder_new(struct vz_nn *nn, const struct vz_encoder_config *config,
                              const struct vz_layer_weights *layers, struct vz_encoder **out,
                              struct vz_error *err)
{
    *out = NULL;
    enum vz_status status = check_config(config, err);
    if (status != VZ_OK)
        return status;
    struct vz_encoder *e = vz_calloc(1, sizeof *e);
    e->nn = nn;
    e->config = *config;
    e->layers = vz_calloc(config->layers, sizeof *e->layers);
    if (config->bias) {
        size_t bytes = config->heads * (2 * config->bias_reach - 1) * sizeof(float);
        e->bias = vz_alloc(bytes);
        memcpy(e->bias, config->bias, bytes);
    }
    e->config.bias = e->bias;
    struct making making = {e, layers};
    status = vz_nn_run_even(nn, config->layers, 1, layers_init, &making, err);
    nn_rooms_trim(nn);
    if (status == VZ_OK)
        *out = e;
    else
        vz_encoder_free(e);
    return status;
}

void vz_encoder_free(struct vz_encoder *e)
{
    if (!e)
        return;
    for (size_t i = 0; i < e->config.layers; i++) {
        struct layer *layer = &e->layers[i];
        struct vz_linear *all[] = {layer->qkv, layer->q,  layer->kv,
                                   layer->out, layer->up, layer->down};
        for (size_t k = 0; k < VZ_COUNT_OF(all); k++)
            vz_linear_free(all[k]);
    }
    free(e->layers);
    free(e->bias);
    free(e);
}

size_t vz_encoder_bytes(const struct vz_encoder *e)
{
    size_t bytes = 0;
    for (size_t i = 0; i < e->config.layers; i++) {
        const struct layer *layer = &e->layers[i];
        const struct vz_linear *all[] = {layer->qkv, layer->q,  layer->kv,
                                         layer->out, layer->up, layer->down};
        for (size_t k = 0; k < VZ_COUNT_OF(all); k++)
            bytes += all[k] ? vz_linear_bytes(all[k]) : 0;
        bytes += 4 * e->config.width * sizeof(float);
    }
    return bytes;
}

/* ---- running ---- */

/* One piece's tensors. P is vz_linear_rows of the rows. */
struct state {
    const struct vz_encoder *e;
    struct vz_scratch *scratch;
    const struct vz_sequence *sequences;
    size_t count, rows;
    float *x;           /* [P, width] residual stream */
    float *picked;      /* [P', width] the last layer's, one_row only */
    struct nn_act h;    /* [P, width] what a multiplication reads */
    float *qkv;         /* [P, 3 * width] */
    float *mixed;       /* [P, width] attention's result where it is not written to h directly */
    float *line;        /* [P, mlp] */
    struct nn_act wide; /* [P, mlp] */
    float *attention;   /* scratch of each core */
    size_t attention_floats;
};

struct attention_job {
    struct state *s;
    const float *q, *k, *v;
    size_t q_ld, kv_ld;
    bool picked; /* q has one row a sequence */
    struct nn_act out;
};

/* Items are (sequence, head). */
static void attention_range(void *arg, size_t first, size_t last, unsigned part)
{
    const struct attention_job *job = arg;
    const struct state *s = job->s;
    const struct vz_encoder_config *c = &s->e->config;
    size_t dims = c->width / c->heads, reach = 2 * c->bias_reach - 1;
    size_t element = job->out.precision == VZ_PRECISION_BF16 ? 2 : 4;
    for (size_t i = first; i < last; i++) {
        size_t n = i / c->heads, head = i % c->heads;
        const struct vz_sequence *seq = &s->sequences[n];
        size_t q_row = job->picked ? n : seq->first;
        struct nn_attention a = {
            .q = job->q + q_row * job->q_ld + head * dims,
            .k = job->k + seq->first * job->kv_ld + head * dims,
            .v = job->v + seq->first * job->kv_ld + head * dims,
            .q_ld = job->q_ld,
            .kv_ld = job->kv_ld,
            .q_count = job->picked ? 1 : seq->count,
            .kv_count = seq->count,
            .q_first = job->picked ? seq->pick : 0,
            .head_dims = dims,
            .causal = c->causal,
            .bias = c->bias ? c->bias + head * reach + c->bias_reach - 1 : NULL,
            .scratch = s->attention + part * s->attention_floats,
            .out_precision = job->out.precision,
            .out = (char *)job->out.data + (q_row * c->width + head * dims) * element,
            .out_ld = c->width,
        };
        s->e->nn->kernels->attention(&a);
    }
}

struct rows_job {
    const struct vz_encoder *e;
    const struct vz_norm *norm; /* NULL: only converts */
    float *x, *copy;
    struct nn_act out;
};

static void rows_range(void *arg, size_t first, size_t last, unsigned part)
{
    const struct rows_job *job = arg;
    const struct nn_kernels *k = job->e->nn->kernels;
    if (job->norm)
        k->norm(job->x, job->norm->width, job->norm->gamma, job->norm->beta, job->norm->eps,
                job->copy, job->out, first, last);
    else
        k->activate(job->x, job->e->config.width, NULL, VZ_ACT_NONE, job->out, first, last);
}

static void norm_rows(struct state *s, const struct vz_norm *norm, float *x, float *copy,
                      size_t rows)
{
    struct rows_job job = {s->e, norm, x, copy, s->h};
    vz_nn_split(s->scratch, rows, 1, rows_range, &job);
}

/* Attention of the rows in `job`, its result in s->h. */
static void attend(struct state *s, struct attention_job *job, size_t rows)
{
    bool direct = s->h.precision != VZ_PRECISION_INT8;
    job->s = s;
    job->out = direct ? s->h : (struct nn_act){.precision = VZ_PRECISION_F32, .data = s->mixed};
    vz_nn_split(s->scratch, s->count * s->e->config.heads, 1, attention_range, job);
    if (!direct) {
        struct rows_job convert = {.e = s->e, .x = s->mixed, .out = s->h};
        vz_nn_split(s->scratch, rows, 1, rows_range, &convert);
    }
}

/* x[rows] += mlp(s->h) */
static enum vz_status mlp(struct state *s, const struct layer *layer, float *x, size_t rows,
                          struct vz_error *err)
{
    enum vz_status status = vz_linear_activate(layer->up, s->scratch, s->h, rows,
                                               s->e->config.activation, s->line, s->wide, err);
    if (status == VZ_OK)
        status = vz_linear_run(layer->down, s->scratch, s->wide, rows, x, true, err);
    return status;
}

/* Behind the attention: s->h holds its result for `rows` rows of x. */
static enum vz_status layer_rest(struct state *s, const struct layer *layer, float *x, size_t rows,
                                 struct vz_error *err)
{
    bool pre = s->e->config.pre_norm;
    enum vz_status status = vz_linear_run(layer->out, s->scratch, s->h, rows, x, true, err);
    if (status != VZ_OK)
        return status;
    norm_rows(s, pre ? &layer->norm2 : &layer->norm1, x, pre ? NULL : x, rows);
    status = mlp(s, layer, x, rows, err);
    if (status == VZ_OK && !pre)
        norm_rows(s, &layer->norm2, x, x, rows); /* s->h is the next layer's input */
    return status;
}

static enum vz_status layer_run(struct state *s, const struct layer *layer, struct vz_error *err)
{
    size_t width = s->e->config.width;
    if (s->e->config.pre_norm)
        norm_rows(s, &layer->norm1, s->x, NULL, s->rows);
    enum vz_status status =
        vz_linear_run(layer->qkv, s->scratch, s->h, s->rows, s->qkv, false, err);
    if (status != VZ_OK)
        return status;
    struct attention_job job = {.q = s->qkv,
                                .k = s->qkv + width,
                                .v = s->qkv + 2 * width,
                                .q_ld = 3 * width,
                                .kv_ld = 3 * width};
    attend(s, &job, s->rows);
    return layer_rest(s, layer, s->x, s->rows, err);
}

static void pick_rows(struct state *s, float *x)
{
    size_t width = s->e->config.width;
    for (size_t i = 0; i < s->count; i++)
        memcpy(x + i * width, s->x + (s->sequences[i].first + s->sequences[i].pick) * width,
               width * sizeof(float));
}

/* The last layer of one_row. */
static enum vz_status layer_run_picked(struct state *s, const struct layer *layer,
                                       struct vz_error *err)
{
    size_t width = s->e->config.width;
    bool pre = s->e->config.pre_norm;
    if (pre)
        norm_rows(s, &layer->norm1, s->x, NULL, s->rows);
    enum vz_status status = vz_linear_run(layer->kv, s->scratch, s->h, s->rows, s->qkv, false, err);
    if (status != VZ_OK)
        return status;
    float *q = s->qkv + vz_linear_rows(s->rows) * 2 * width; /* [P', width] */
    pick_rows(s, s->picked);
    norm_rows(s, pre ? &layer->norm1 : NULL, s->picked, NULL, s->count);
    status = vz_linear_run(layer->q, s->scratch, s->h, s->count, q, false, err);
    if (status != VZ_OK)
        return status;
    struct attention_job job = {.q = q,
                                .k = s->qkv,
                                .v = s->qkv + width,
                                .q_ld = width,
                                .kv_ld = 2 * width,
                                .picked = true};
    attend(s, &job, s->count);
    status = layer_rest(s, layer, s->picked, s->count, err);
    if (status == VZ_OK)
        memcpy(s->x, s->picked, s->count * width * sizeof(float));
    return status;
}

static bool state_take(struct state *s)
{
    const struct vz_encoder_config *c = &s->e->config;
    struct vz_scratch *scratch = s->scratch;
    enum vz_precision precision = s->e->nn->precision;
    size_t padded = vz_linear_rows(s->rows), longest = 0;
    for (size_t i = 0; i < s->count; i++)
        longest = VZ_MAX(longest, s->sequences[i].count);
    s->attention_floats = (nn_attention_scratch(longest, c->width / c->heads) + 15) & ~(size_t)15;
    s->attention = vz_scratch_take(scratch, scratch->threads * s->attention_floats, sizeof(float));
    s->qkv = vz_scratch_take(scratch, padded, 3 * c->width * sizeof(float));
    s->line = vz_scratch_take(scratch, padded, c->mlp * sizeof(float));
    bool ok = s->attention && s->qkv && s->line;
    ok = vz_act_take(scratch, precision, padded, c->width, &s->h) && ok;
    if (precision == VZ_PRECISION_F32)
        s->wide = (struct nn_act){.precision = precision, .data = s->line};
    else
        ok = vz_act_take(scratch, precision, padded, c->mlp, &s->wide) && ok;
    if (precision == VZ_PRECISION_INT8)
        ok = (s->mixed = vz_scratch_take(scratch, padded, c->width * sizeof(float))) && ok;
    if (c->one_row)
        ok = (s->picked =
                  vz_scratch_take(scratch, vz_linear_rows(s->count), c->width * sizeof(float))) &&
             ok;
    return ok;
}

enum vz_status vz_encoder_run(const struct vz_encoder *e, struct vz_scratch *scratch, float *x,
                              const struct vz_sequence *sequences, size_t count,
                              struct vz_error *err)
{
    struct state s = {.e = e, .scratch = scratch, .sequences = sequences, .count = count, .x = x};
    if (count == 0)
        return VZ_OK;
    s.rows = sequences[count - 1].first + sequences[count - 1].count;
    size_t mark = vz_scratch_mark(scratch);
    enum vz_status status = VZ_OK;
    if (!state_take(&s))
        status = vz_fail(err, VZ_BUDGET, "no memory for %zu rows", s.rows);
    if (status == VZ_OK && !e->config.pre_norm)
        norm_rows(&s, NULL, x, NULL, s.rows);
    for (size_t i = 0; i < e->config.layers && status == VZ_OK; i++) {
        const struct layer *layer = &e->layers[i];
        status = layer->qkv ? layer_run(&s, layer, err) : layer_run_picked(&s, layer, err);
    }
    vz_scratch_release(scratch, mark);
    return status;
}
