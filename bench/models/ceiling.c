#include "ceiling.h"

#include <oneapi/dnnl/dnnl.h>
#include <stdlib.h>

struct product {
    dnnl_primitive_t primitive;
    dnnl_memory_t src, dst, bias, room;
    dnnl_memory_t *weights;
    size_t times;
    bool biased;
};

struct ceiling {
    dnnl_engine_t engine;
    dnnl_stream_t stream;
    struct product *products;
    size_t count;
};

static dnnl_memory_t memory_of(dnnl_engine_t engine, const dnnl_memory_desc_t *desc)
{
    dnnl_memory_t memory = NULL;
    void *data = NULL;
    dnnl_memory_create(&memory, desc, engine, DNNL_MEMORY_ALLOCATE);
    dnnl_memory_get_data_handle(memory, &data);
    if (data)
        memset(data, 0, dnnl_memory_desc_get_size(desc));
    return memory;
}

static bool product_init(struct ceiling *c, enum vz_precision precision,
                         const struct ceiling_shape *shape, struct product *p)
{
    dnnl_data_type_t src_type = precision == VZ_PRECISION_F32    ? dnnl_f32
                                : precision == VZ_PRECISION_BF16 ? dnnl_bf16
                                                                 : dnnl_u8;
    dnnl_data_type_t weights_type = precision == VZ_PRECISION_INT8 ? dnnl_s8 : src_type;
    dnnl_data_type_t dst_type = precision == VZ_PRECISION_INT8 ? dnnl_s32 : src_type;
    dnnl_dim_t rows = (dnnl_dim_t)shape->rows, in = (dnnl_dim_t)shape->in;
    dnnl_dim_t out = (dnnl_dim_t)shape->out;
    dnnl_dims_t src = {rows, in}, weights = {in, out}, bias = {1, out}, dst = {rows, out};
    dnnl_memory_desc_t src_desc, weights_desc, bias_desc, dst_desc;
    dnnl_memory_desc_init_by_tag(&src_desc, 2, src, src_type, dnnl_ab);
    dnnl_memory_desc_init_by_tag(&weights_desc, 2, weights, weights_type, dnnl_format_tag_any);
    dnnl_memory_desc_init_by_tag(&bias_desc, 2, bias, dnnl_f32, dnnl_ab);
    dnnl_memory_desc_init_by_tag(&dst_desc, 2, dst, dst_type, dnnl_ab);
    p->biased = precision != VZ_PRECISION_INT8;
    p->times = shape->times;
    dnnl_primitive_attr_t attr;
    dnnl_primitive_attr_create(&attr);
    dnnl_primitive_attr_set_scratchpad_mode(attr, dnnl_scratchpad_mode_user);
    dnnl_matmul_desc_t desc;
    dnnl_primitive_desc_t made;
    dnnl_matmul_desc_init(&desc, &src_desc, &weights_desc, p->biased ? &bias_desc : NULL,
                          &dst_desc);
    dnnl_status_t status = dnnl_primitive_desc_create(&made, &desc, attr, c->engine, NULL);
    dnnl_primitive_attr_destroy(attr);
    if (status != dnnl_success)
        return false;
    const dnnl_memory_desc_t *layout = dnnl_primitive_desc_query_md(made, dnnl_query_weights_md, 0);
    p->src = memory_of(c->engine, &src_desc);
    p->dst = memory_of(c->engine, &dst_desc);
    p->bias = memory_of(c->engine, &bias_desc);
    p->room = memory_of(c->engine, dnnl_primitive_desc_query_md(made, dnnl_query_scratchpad_md, 0));
    p->weights = calloc(p->times, sizeof *p->weights);
    for (size_t i = 0; i < p->times; i++)
        p->weights[i] = memory_of(c->engine, layout);
    status = dnnl_primitive_create(&p->primitive, made);
    dnnl_primitive_desc_destroy(made);
    return status == dnnl_success;
}

struct ceiling *ceiling_new(enum vz_precision precision, const struct ceiling_shape *shapes,
                            size_t count)
{
    struct ceiling *c = vz_calloc(1, sizeof *c);
    c->products = vz_calloc(count, sizeof *c->products);
    dnnl_engine_create(&c->engine, dnnl_cpu, 0);
    dnnl_stream_create(&c->stream, c->engine, dnnl_stream_default_flags);
    for (size_t i = 0; i < count; i++) {
        c->count++;
        if (!product_init(c, precision, &shapes[i], &c->products[i])) {
            ceiling_free(c);
            return NULL;
        }
    }
    return c;
}

void ceiling_run(struct ceiling *c)
{
    for (size_t round = 0, ran = 1; ran; round++) {
        ran = 0;
        for (size_t i = 0; i < c->count; i++) {
            struct product *p = &c->products[i];
            if (round >= p->times)
                continue;
            dnnl_exec_arg_t args[] = {{DNNL_ARG_SRC, p->src},
                                      {DNNL_ARG_WEIGHTS, p->weights[round]},
                                      {DNNL_ARG_DST, p->dst},
                                      {DNNL_ARG_SCRATCHPAD, p->room},
                                      {DNNL_ARG_BIAS, p->bias}};
            dnnl_primitive_execute(p->primitive, c->stream, p->biased ? 5 : 4, args);
            ran++;
        }
    }
}

void ceiling_free(struct ceiling *c)
{
    for (size_t i = 0; i < c->count; i++) {
        struct product *p = &c->products[i];
        for (size_t k = 0; p->weights && k < p->times; k++)
            dnnl_memory_destroy(p->weights[k]);
        free(p->weights);
        if (!p->src)
            continue;
        dnnl_memory_destroy(p->src);
        dnnl_memory_destroy(p->dst);
        dnnl_memory_destroy(p->bias);
        dnnl_memory_destroy(p->room);
        dnnl_primitive_destroy(p->primitive);
    }
    dnnl_stream_destroy(c->stream);
    dnnl_engine_destroy(c->engine);
    free(c->products);
    free(c);
}
