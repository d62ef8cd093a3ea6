#include "nn/linear.h"

#include <stdio.h>
#include <stdlib.h>

#include "nn/few.h"
#include "nn/parts.h"
#include "nn/team.h"

struct vz_linear {
    struct vz_nn *nn; /* borrowed */
    enum vz_precision precision;
    size_t in, out;
    dnnl_memory_desc_t layout;
    /* One block, the context's: weights, biases, scales. */
    void *packed;
    size_t packed_bytes; /* of the weights alone, a multiple of 64 */
    float *bias;         /* [out] */
    float *weight_scale; /* [out], INT8 only */
    float *weight_total; /* [out], INT8 only */
    bool few;            /* nn_few_run can read the layout */
};

/* ---- packing ---- */

static enum vz_status check_part(const struct vz_linear_part *part, size_t in, struct vz_error *err)
{
    const struct vz_tensor_view *w = part->weight, *b = part->bias;
    if (w->rank < 2 || w->dims[0] == 0 || w->count / w->dims[0] != in || w->count % w->dims[0])
        return vz_fail(err, VZ_CORRUPT, "tensor [%.*s]: expected rows of %zu numbers",
                       (int)w->name.len, w->name.ptr, in);
    if (b && b->count != w->dims[0])
        return vz_fail(err, VZ_CORRUPT, "tensor [%.*s]: expected %llu numbers, got %llu",
                       (int)b->name.len, b->name.ptr, (unsigned long long)w->dims[0],
                       (unsigned long long)b->count);
    return VZ_OK;
}

static enum vz_status read_part(const struct vz_linear *l, const struct vz_tensor_view *view,
                                float scale, float *to, struct vz_error *err)
{
    vz_tensor_read_f32(view, 0, view->count, to);
    if (!l->nn->kernels->scale_finite(to, view->count, scale))
        return vz_fail(err, VZ_CORRUPT, "tensor [%.*s] holds a number that is not finite",
                       (int)view->name.len, view->name.ptr);
    return VZ_OK;
}

/* [rows, from] -> [rows, to] in place, zeros behind each row. */
static void widen(float *floats, size_t rows, size_t from, size_t to)
{
    for (size_t r = rows; r-- > 0;) {
        memmove(floats + r * to, floats + r * from, from * sizeof(float));
        memset(floats + r * to + from, 0, (to - from) * sizeof(float));
    }
}

/* [out, in] f32 -> s8, a scale and the sum of the quantized numbers a channel. */
static void quantize(struct vz_linear *l, const float *from, int8_t *to)
{
    for (size_t n = 0; n < l->out; n++)
        l->weight_scale[n] = l->nn->kernels->quantize_weights(from + n * l->in, l->in,
                                                              to + n * l->in, &l->weight_total[n]);
}

static dnnl_status_t reorder(struct vz_nn *nn, const dnnl_memory_desc_t *from_desc, void *from,
                             const dnnl_memory_desc_t *to_desc, void *to)
{
    dnnl_memory_t src = NULL, dst = NULL;
    dnnl_primitive_desc_t desc = NULL;
    dnnl_primitive_t primitive = NULL;
    dnnl_stream_t stream = NULL;
    dnnl_status_t status = dnnl_memory_create(&src, from_desc, nn->engine, from);
    if (status == dnnl_success)
        status = dnnl_memory_create(&dst, to_desc, nn->engine, to);
    if (status == dnnl_success)
        status = dnnl_reorder_primitive_desc_create(&desc, from_desc, nn->engine, to_desc,
                                                    nn->engine, NULL);
    if (status == dnnl_success)
        status = dnnl_primitive_create(&primitive, desc);
    if (status == dnnl_success)
        status = dnnl_stream_create(&stream, nn->engine, dnnl_stream_default_flags);
    if (status == dnnl_success) {
        dnnl_exec_arg_t args[] = {{DNNL_ARG_FROM, src}, {DNNL_ARG_TO, dst}};
        status = dnnl_primitive_execute(primitive, stream, 2, args);
        dnnl_stream_wait(stream);
    }
    if (stream)
        dnnl_stream_destroy(stream);
    if (primitive)
        dnnl_primitive_destroy(primitive);
    if (desc)
        dnnl_primitive_desc_destroy(desc);
    if (src)
        dnnl_memory_destroy(src);
    if (dst)
        dnnl_memory_destroy(dst);
    return status;
}

/* `bytes` is room for the s8 numbers. */
static enum vz_status pack(struct vz_linear *l, float *floats, int8_t *bytes, struct vz_error *err)
{
    dnnl_memory_desc_t plain;
    dnnl_dims_t dims = {(dnnl_dim_t)l->in, (dnnl_dim_t)l->out};
    bool int8 = l->precision == VZ_PRECISION_INT8;
    if (int8)
        quantize(l, floats, bytes);
    dnnl_memory_desc_init_by_tag(&plain, 2, dims, int8 ? dnnl_s8 : dnnl_f32, dnnl_ba);
    dnnl_status_t made =
        reorder(l->nn, &plain, int8 ? (void *)bytes : (void *)floats, &l->layout, l->packed);
    return made == dnnl_success ? VZ_OK : nn_fail_dnnl(err, made, "pack weights");
}

/* All that the block's bytes depend on, beside the files; empty when it is too long. */
static void name_block(const struct vz_linear *l, const struct vz_linear_part *parts, size_t count,
                       char *out, size_t room)
{
    const dnnl_blocking_desc_t *b = &l->layout.format_desc.blocking;
    int len = snprintf(out, room, "linear %s %zu>%zu %d,%d", vz_precision_name(l->precision), l->in,
                       l->out, (int)b->strides[0], (int)b->strides[1]);
    for (int i = 0; i < b->inner_nblks; i++)
        len += snprintf(out + len, room - (size_t)len, "%c%d", "ab"[b->inner_idxs[i] == 1],
                        (int)b -> inner_blks[i]);
    for (size_t i = 0; i < count && (size_t)len < room; i++) {
        const struct vz_tensor_view *w = parts[i].weight, *bias = parts[i].bias;
        len +=
            snprintf(out + len, room - (size_t)len, " %.*s*%a+%.*s", (int)w->name.len, w->name.ptr,
                     parts[i].scale, bias ? (int)bias->name.len : 0, bias ? bias->name.ptr : "");
    }
    if ((size_t)len >= room)
        *out = '\0';
}

/* The block; *found when it holds the weights already. */
static enum vz_status take_block(struct vz_linear *l, const struct vz_linear_part *parts,
                                 size_t count, bool *found, struct vz_error *err)
{
    char name[1024];
    enum vz_status status = nn_weights_layout(l->nn, l->in, l->out, l->precision, &l->layout, err);
    if (status != VZ_OK)
        return status;
    size_t rows = l->precision == VZ_PRECISION_INT8 ? 3 : 1;
    l->few = nn_few_fits(l->precision, &l->layout, l->in, l->out);
    l->packed_bytes = (dnnl_memory_desc_get_size(&l->layout) + 63) & ~(size_t)63;
    name_block(l, parts, count, name, sizeof name);
    l->packed = nn_packed_take(l->nn, name, l->packed_bytes + rows * l->out * sizeof(float), found);
    if (!l->packed)
        return vz_fail(err, VZ_BUDGET, "no memory for weights of %zu x %zu", l->out, l->in);
    l->bias = (float *)(void *)((char *)l->packed + l->packed_bytes);
    l->weight_scale = rows == 3 ? l->bias + l->out : NULL;
    l->weight_total = rows == 3 ? l->bias + 2 * l->out : NULL;
    return VZ_OK;
}

static enum vz_status linear_init(struct vz_linear *l, size_t in,
                                  const struct vz_linear_part *parts, size_t count,
                                  struct vz_error *err)
{
    size_t numbers, bytes, at = 0;
    bool found;
    struct nn_room *room = NULL;
    enum vz_status status = take_block(l, parts, count, &found, err);
    if (status != VZ_OK || found)
        return status;
    if (!vz_mul_overflow(l->out, l->in, &numbers) && !vz_mul_overflow(numbers, 5, &bytes))
        room = nn_room_take(l->nn, bytes);
    if (!room)
        return vz_fail(err, VZ_BUDGET, "no memory for weights of %zu x %zu", l->out, in);
    float *floats = (float *)(void *)room->data;
    for (size_t i = 0; i < count && status == VZ_OK; i++) {
        float scale = parts[i].scale == 0 ? 1.0f : parts[i].scale;
        status = read_part(l, parts[i].weight, scale, floats + at * in, err);
        if (status == VZ_OK && parts[i].bias)
            status = read_part(l, parts[i].bias, scale, l->bias + at, err);
        at += (size_t)parts[i].weight->dims[0];
    }
    if (status == VZ_OK && l->in > in)
        widen(floats, l->out, in, l->in);
    if (status == VZ_OK)
        status = pack(l, floats, (int8_t *)(floats + numbers), err);
    nn_room_give_back(l->nn, room);
    return status;
}

enum vz_status vz_linear_new(struct vz_nn *nn, enum vz_precision precision, size_t in,
                             const struct vz_linear_part *parts, size_t count,
                             struct vz_linear **out, struct vz_error *err)
{
    enum vz_status status = VZ_OK;
    size_t width = 0;
    *out = NULL;
    for (size_t i = 0; i < count && status == VZ_OK; i++) {
        status = check_part(&parts[i], in, err);
        width += (size_t)parts[i].weight->dims[0];
    }
    if (status != VZ_OK)
        return status;
    precision = precision == VZ_PRECISION_AUTO ? nn->precision : precision;
    if (precision != VZ_PRECISION_F32 && width % 16)
        return vz_fail(err, VZ_UNSUPPORTED, "a layer of %zu to %zu: not a multiple of 16", in,
                       width);
    struct vz_linear *l = vz_calloc(1, sizeof *l);
    l->nn = nn;
    l->precision = precision;
    l->in = (in + 15) & ~(size_t)15;
    l->out = width;
    int before = nn_alone_begin();
    status = linear_init(l, in, parts, count, err);
    nn_alone_end(before);
    if (status == VZ_OK)
        *out = l;
    else
        vz_linear_free(l);
    return status;
}

void vz_linear_free(struct vz_linear *l)
{
    free(l);
}

size_t vz_linear_in(const struct vz_linear *l)
{
    return l->in;
}

size_t vz_linear_out(const struct vz_linear *l)
{
    return l->out;
}

enum vz_precision vz_linear_precision(const struct vz_linear *l)
{
    return l->precision;
}

size_t vz_linear_bytes(const struct vz_linear *l)
{
    return l->packed_bytes + (l->weight_scale ? 3 : 1) * l->out * sizeof(float);
}

/* ---- running ---- */

/* Steps of at most an eighth: 1..16 each, then 18, 20, .. 32, 36, .. 64, 72, .. */
size_t vz_linear_rows(size_t rows)
{
    size_t step = 1;
    while (step * 16 < rows)
        step *= 2;
    return (rows + step - 1) / step * step;
}

static size_t element_bytes(enum vz_precision precision)
{
    return precision == VZ_PRECISION_F32 ? 4 : precision == VZ_PRECISION_BF16 ? 2 : 1;
}

bool vz_act_take(struct vz_scratch *scratch, enum vz_precision precision, size_t rows, size_t width,
                 struct nn_act *act)
{
    act->precision = precision;
    act->data = vz_scratch_take(scratch, rows, width * element_bytes(precision));
    act->scales =
        precision == VZ_PRECISION_INT8 ? vz_scratch_take(scratch, rows, sizeof *act->scales) : NULL;
    return act->data && (act->scales || precision != VZ_PRECISION_INT8);
}

/* One multiplication, maybe of a slice of the outputs. */
struct product {
    struct nn_plan *plan;
    void *src, *weights, *bias, *dst, *pad;
};

static dnnl_status_t product_run_in(const struct vz_linear *l, dnnl_stream_t stream,
                                    const struct product *p, const struct nn_memories *m)
{
    dnnl_memory_set_data_handle(m->src, p->src);
    dnnl_memory_set_data_handle(m->weights, p->weights);
    dnnl_memory_set_data_handle(m->bias, p->bias);
    dnnl_memory_set_data_handle(m->dst, p->dst);
    dnnl_memory_set_data_handle(m->scratchpad, p->pad);
    dnnl_exec_arg_t args[] = {{DNNL_ARG_SRC, m->src},
                              {DNNL_ARG_WEIGHTS, m->weights},
                              {DNNL_ARG_DST, m->dst},
                              {DNNL_ARG_SCRATCHPAD, m->scratchpad},
                              {DNNL_ARG_BIAS, m->bias}};
    return dnnl_primitive_execute(p->plan->primitive, stream,
                                  l->precision == VZ_PRECISION_INT8 ? 4 : 5, args);
}

/* Making and freeing oneDNN's handles costs 2 us, of 40 for ten rows. */
static dnnl_status_t product_run(const struct vz_linear *l, dnnl_stream_t stream,
                                 const struct product *p)
{
    struct nn_memories own = {0}, *m = NULL;
    dnnl_status_t done = dnnl_success;
    for (size_t i = 0; i < NN_PLAN_MEMORIES && !m; i++)
        if (!atomic_flag_test_and_set_explicit(&p->plan->memories[i].taken, memory_order_acquire))
            m = &p->plan->memories[i];
    bool kept = m != NULL;
    m = kept ? m : &own;
    if (!m->src)
        done = nn_memories_init(m, p->plan, l->nn->engine);
    if (done == dnnl_success)
        done = product_run_in(l, stream, p, m);
    if (kept)
        atomic_flag_clear_explicit(&m->taken, memory_order_release);
    else
        nn_memories_deinit(m);
    return done;
}

static enum vz_status multiply_whole(const struct vz_linear *l, struct vz_scratch *scratch,
                                     struct nn_act x, size_t rows, void *y, bool add,
                                     struct vz_error *err)
{
    struct nn_plan_key key = {.rows = vz_linear_rows(rows),
                              .in = l->in,
                              .out = l->out,
                              .whole_out = l->out,
                              .precision = l->precision,
                              .add_to_output = add};
    struct product p = {.src = x.data, .weights = l->packed, .bias = l->bias, .dst = y};
    enum vz_status status = nn_plan_get(l->nn, &key, &l->layout, &p.plan, err);
    if (status != VZ_OK)
        return status;
    size_t mark = vz_scratch_mark(scratch);
    size_t bytes = dnnl_memory_desc_get_size(&p.plan->scratchpad);
    p.pad = bytes ? vz_scratch_take(scratch, bytes, 1) : NULL;
    dnnl_status_t done = bytes && !p.pad ? dnnl_out_of_memory : product_run(l, scratch->stream, &p);
    vz_scratch_release(scratch, mark);
    nn_plan_release(l->nn, p.plan);
    return done == dnnl_success ? VZ_OK : nn_fail_dnnl(err, done, "multiply");
}

/* ---- on several cores ----
 *
 * Outputs are cut at the layout's own blocks, so that each slice's weights are one piece of memory.
 * oneDNN writes a slice of rows only densely; it is copied into place, or added there, by the core
 * that has it in its cache. */

#define MAX_SLICES 64
/* Below this many products a slice is not worth handing out (about 5 us). */
#define SLICE_PRODUCTS ((size_t)200000)

struct slices {
    const struct vz_linear *l;
    struct nn_act x;
    size_t rows;
    float *y;
    bool add;
    dnnl_stream_t stream;
    unsigned count;
    struct slice {
        struct product p;
        size_t first, width;
        dnnl_status_t done;
    } all[MAX_SLICES];
};

/* Outputs in one block of the layout. */
static size_t block_of(const dnnl_memory_desc_t *layout)
{
    const dnnl_blocking_desc_t *b = &layout->format_desc.blocking;
    size_t block = 1;
    for (int i = 0; i < b->inner_nblks; i++)
        if (b->inner_idxs[i] == 1)
            block *= (size_t)b->inner_blks[i];
    return block;
}

static void slice_run(void *arg, unsigned i)
{
    struct slices *s = arg;
    struct slice *slice = &s->all[i];
    slice->done = product_run(s->l, s->stream, &slice->p);
    const float *from = slice->p.dst; /* or s32: copying does not look */
    for (size_t r = 0; r < s->rows; r++, from += slice->width) {
        float *to = s->y + r * s->l->out + slice->first;
        if (s->add)
            for (size_t n = 0; n < slice->width; n++)
                to[n] += from[n];
        else
            memcpy(to, from, slice->width * sizeof *to);
    }
}

static enum vz_status slice_init(struct slices *s, struct slice *slice, struct vz_scratch *scratch,
                                 struct vz_error *err)
{
    const struct vz_linear *l = s->l;
    size_t padded = vz_linear_rows(s->rows), block = block_of(&l->layout), width = slice->width;
    dnnl_memory_desc_t layout = l->layout;
    layout.dims[1] = (dnnl_dim_t)width;
    layout.padded_dims[1] = (dnnl_dim_t)((width + block - 1) / block * block);
    struct nn_plan_key key = {
        .rows = padded, .in = l->in, .out = width, .whole_out = l->out, .precision = l->precision};
    enum vz_status status = nn_plan_get(l->nn, &key, &layout, &slice->p.plan, err);
    if (status != VZ_OK)
        return status;
    size_t element = element_bytes(l->precision);
    size_t stride = (size_t)layout.format_desc.blocking.strides[1];
    size_t bytes = dnnl_memory_desc_get_size(&slice->p.plan->scratchpad);
    slice->p.src = s->x.data;
    slice->p.weights = (char *)l->packed + slice->first / block * stride * element;
    slice->p.bias = l->bias + slice->first;
    slice->p.dst = vz_scratch_take(scratch, padded, width * sizeof(float)); /* [P, width] */
    slice->p.pad = bytes ? vz_scratch_take(scratch, bytes, 1) : NULL;
    if (!slice->p.dst || (bytes && !slice->p.pad))
        return vz_fail(err, VZ_BUDGET, "no memory for %zu rows of %zu", s->rows, width);
    return VZ_OK;
}

static enum vz_status multiply_sliced(struct slices *s, size_t unit, struct vz_scratch *scratch,
                                      struct vz_error *err)
{
    size_t mark = vz_scratch_mark(scratch), units = (s->l->out + unit - 1) / unit;
    enum vz_status status = VZ_OK;
    for (unsigned i = 0; i < s->count && status == VZ_OK; i++) {
        struct slice *slice = &s->all[i];
        slice->first = units * i / s->count * unit;
        slice->width = VZ_MIN(units * (i + 1) / s->count * unit, s->l->out) - slice->first;
        status = slice_init(s, slice, scratch, err);
    }
    if (status == VZ_OK)
        nn_team_run(s->count, scratch->threads - 1, slice_run, s);
    for (unsigned i = 0; i < s->count; i++) {
        if (status == VZ_OK && s->all[i].done != dnnl_success)
            status = nn_fail_dnnl(err, s->all[i].done, "multiply");
        if (s->all[i].p.plan)
            nn_plan_release(s->l->nn, s->all[i].p.plan);
    }
    vz_scratch_release(scratch, mark);
    return status;
}

struct few_job {
    struct nn_few all;
    unsigned parts;
};

static void few_part(void *arg, unsigned i)
{
    const struct few_job *job = arg;
    struct nn_few part = job->all;
    size_t blocks = job->all.count / 64;
    part.first = blocks * i / job->parts * 64;
    part.count = blocks * (i + 1) / job->parts * 64 - part.first;
    nn_few_run(&part);
}

static void multiply_few(const struct vz_linear *l, struct vz_scratch *scratch, struct nn_act x,
                         size_t rows, void *y, bool add)
{
    struct few_job job = {.all = {.precision = l->precision,
                                  .x = x.data,
                                  .rows = rows,
                                  .in = l->in,
                                  .weights = l->packed,
                                  .bias = l->bias,
                                  .y = y,
                                  .y_ld = l->out,
                                  .count = l->out,
                                  .add = add}};
    size_t parts = VZ_MIN(l->out / 64, rows * l->in * l->out / SLICE_PRODUCTS);
    job.parts = (unsigned)VZ_MAX(VZ_MIN(parts, (size_t)scratch->threads * 2), 1);
    if (scratch->threads < 2)
        job.parts = 1;
    nn_team_run(job.parts, scratch->threads - 1, few_part, &job);
}

/* f32: y (+)= x W^T + b; INT8: y = sums, s32. */
static enum vz_status multiply(const struct vz_linear *l, struct vz_scratch *scratch,
                               struct nn_act x, size_t rows, void *y, bool add,
                               struct vz_error *err)
{
    size_t padded = vz_linear_rows(rows), row_bytes = l->in * element_bytes(l->precision);
    if (l->few && rows <= NN_FEW_ROWS) {
        multiply_few(l, scratch, x, rows, y, add);
        return VZ_OK;
    }
    memset((char *)x.data + rows * row_bytes, 0, (padded - rows) * row_bytes);
    size_t unit = VZ_MAX(block_of(&l->layout), 32), units = (l->out + unit - 1) / unit;
    size_t slices = VZ_MIN(units, padded * l->in * l->out / SLICE_PRODUCTS);
    slices = VZ_MIN(slices, VZ_MIN((size_t)scratch->threads * 2, MAX_SLICES));
    if (scratch->threads < 2 || slices < 2 || l->out % 16)
        return multiply_whole(l, scratch, x, rows, y, add, err);
    struct slices s = {.l = l,
                       .x = x,
                       .rows = rows,
                       .y = y,
                       .add = add,
                       .stream = scratch->stream,
                       .count = (unsigned)slices};
    return multiply_sliced(&s, unit, scratch, err);
}

struct row_job {
    const struct vz_linear *l;
    struct nn_dequant by;
    enum vz_activation f;
    const int32_t *sums;
    float *line;
    bool add;
    struct nn_act out;
};

static void dequant_range(void *arg, size_t first, size_t last, unsigned part)
{
    const struct row_job *job = arg;
    job->l->nn->kernels->dequant(job->sums, job->l->out, &job->by, job->add, job->line, first,
                                 last);
}

static void activate_range(void *arg, size_t first, size_t last, unsigned part)
{
    const struct row_job *job = arg;
    bool int8 = job->l->precision == VZ_PRECISION_INT8;
    job->l->nn->kernels->activate(job->line, job->l->out, int8 ? &job->by : NULL, job->f, job->out,
                                  first, last);
}

static struct nn_dequant dequant_of(const struct vz_linear *l, struct nn_act x)
{
    return (struct nn_dequant){x.scales, l->weight_scale, l->weight_total, l->bias};
}

enum vz_status vz_linear_run(const struct vz_linear *l, struct vz_scratch *scratch, struct nn_act x,
                             size_t rows, float *y, bool add, struct vz_error *err)
{
    if (l->precision != VZ_PRECISION_INT8)
        return multiply(l, scratch, x, rows, y, add, err);
    size_t mark = vz_scratch_mark(scratch);
    int32_t *sums = add ? vz_scratch_take(scratch, vz_linear_rows(rows), l->out * sizeof *sums)
                        : (int32_t *)(void *)y;
    if (!sums)
        return vz_fail(err, VZ_BUDGET, "no memory for %zu rows of %zu", rows, l->out);
    enum vz_status status = multiply(l, scratch, x, rows, sums, false, err);
    if (status == VZ_OK) {
        struct row_job job = {.l = l, .by = dequant_of(l, x), .sums = sums, .line = y, .add = add};
        vz_nn_split(scratch, rows, 1, dequant_range, &job);
    }
    vz_scratch_release(scratch, mark);
    return status;
}

enum vz_status vz_linear_activate(const struct vz_linear *l, struct vz_scratch *scratch,
                                  struct nn_act x, size_t rows, enum vz_activation f, float *line,
                                  struct nn_act y, struct vz_error *err)
{
    enum vz_status status = multiply(l, scratch, x, rows, line, false, err);
    if (status != VZ_OK)
        return status;
    struct row_job job = {.l = l, .by = dequant_of(l, x), .f = f, .line = line, .out = y};
    vz_nn_split(scratch, rows, 1, activate_range, &job);
    return VZ_OK;
}

enum vz_status vz_linear_floats(const struct vz_linear *l, struct vz_scratch *scratch, float *x,
                                size_t rows, float *y, struct vz_error *err)
{
    size_t mark = vz_scratch_mark(scratch);
    struct nn_act act = {.precision = VZ_PRECISION_F32, .data = x};
    if (l->precision != VZ_PRECISION_F32) {
        if (!vz_act_take(scratch, l->precision, vz_linear_rows(rows), l->in, &act))
            return vz_fail(err, VZ_BUDGET, "no memory for %zu rows of %zu", rows, l->in);
        struct row_job job = {.l = l, .line = x, .out = act};
        l->nn->kernels->activate(x, l->in, NULL, VZ_ACT_NONE, job.out, 0, rows);
    }
    enum vz_status status = vz_linear_run(l, scratch, act, rows, y, false, err);
    vz_scratch_release(scratch, mark);
    return status;
}
