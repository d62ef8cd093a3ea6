/* Compiled multiplications, kept for the next time.
 *
 * Making a oneDNN primitive costs 0.3 to 1.5 ms (it writes machine code), running one for ten rows
 * 0.1 ms; so they are kept by shape. All layers of a model share the few shapes it has. Compiling
 * happens outside the lock: two threads may compile the same plan, the second is thrown away.
 */
#include "nn/parts.h"

#include <stdlib.h>

static dnnl_data_type_t src_type(enum vz_precision p)
{
    return p == VZ_PRECISION_F32 ? dnnl_f32 : p == VZ_PRECISION_BF16 ? dnnl_bf16 : dnnl_u8;
}

static dnnl_data_type_t weights_type(enum vz_precision p)
{
    return p == VZ_PRECISION_F32 ? dnnl_f32 : p == VZ_PRECISION_BF16 ? dnnl_bf16 : dnnl_s8;
}

static dnnl_status_t describe(struct nn_plan *plan, dnnl_engine_t engine,
                              const dnnl_memory_desc_t *layout, dnnl_primitive_desc_t *out)
{
    const struct nn_plan_key *key = &plan->key;
    bool sums = key->precision == VZ_PRECISION_INT8;
    dnnl_dim_t rows = (dnnl_dim_t)key->rows, in = (dnnl_dim_t)key->in, width = (dnnl_dim_t)key->out;
    dnnl_dims_t src = {rows, in}, weights = {in, width}, bias = {1, width}, dst = {rows, width};
    dnnl_memory_desc_init_by_tag(&plan->src, 2, src, src_type(key->precision), dnnl_ab);
    dnnl_memory_desc_init_by_tag(&plan->bias, 2, bias, dnnl_f32, dnnl_ab);
    dnnl_memory_desc_init_by_tag(&plan->dst, 2, dst, sums ? dnnl_s32 : dnnl_f32, dnnl_ab);
    if (layout)
        plan->weights = *layout;
    else
        dnnl_memory_desc_init_by_tag(&plan->weights, 2, weights, weights_type(key->precision),
                                     dnnl_format_tag_any);
    dnnl_primitive_attr_t attr;
    dnnl_post_ops_t ops;
    dnnl_status_t status = dnnl_primitive_attr_create(&attr);
    if (status != dnnl_success)
        return status;
    dnnl_primitive_attr_set_scratchpad_mode(attr, dnnl_scratchpad_mode_user);
    if ((status = dnnl_post_ops_create(&ops)) == dnnl_success) {
        if (key->add_to_output)
            dnnl_post_ops_append_sum(ops, 1.0f);
        dnnl_primitive_attr_set_post_ops(attr, ops);
        dnnl_post_ops_destroy(ops);
        dnnl_matmul_desc_t matmul;
        status = dnnl_matmul_desc_init(&matmul, &plan->src, &plan->weights,
                                       sums ? NULL : &plan->bias, &plan->dst);
        if (status == dnnl_success)
            status = dnnl_primitive_desc_create(out, &matmul, attr, engine, NULL);
    }
    dnnl_primitive_attr_destroy(attr);
    return status;
}

static bool layout_find(struct vz_nn *nn, const struct nn_layout *wanted, dnnl_memory_desc_t *out)
{
    bool found = false;
    pthread_mutex_lock(&nn->lock);
    for (size_t i = 0; i < nn->layout_count && !found; i++) {
        const struct nn_layout *l = &nn->layouts[i];
        found = l->in == wanted->in && l->out == wanted->out && l->precision == wanted->precision;
        if (found)
            *out = l->layout;
    }
    pthread_mutex_unlock(&nn->lock);
    return found;
}

enum vz_status nn_weights_layout(struct vz_nn *nn, size_t in, size_t out,
                                 enum vz_precision precision, dnnl_memory_desc_t *layout,
                                 struct vz_error *err)
{
    struct nn_layout known = {.in = in, .out = out, .precision = precision};
    if (layout_find(nn, &known, layout))
        return VZ_OK;
    struct nn_plan plan = {.key = {.rows = 64, .in = in, .out = out, .precision = precision}};
    dnnl_primitive_desc_t desc;
    dnnl_status_t status = describe(&plan, nn->engine, NULL, &desc);
    if (status != dnnl_success)
        return nn_fail_dnnl(err, status, "choose a layout for weights");
    known.layout = *layout = *dnnl_primitive_desc_query_md(desc, dnnl_query_weights_md, 0);
    dnnl_primitive_desc_destroy(desc);
    pthread_mutex_lock(&nn->lock);
    if (nn->layout_count < NN_MAX_LAYOUTS)
        nn->layouts[nn->layout_count++] = known;
    pthread_mutex_unlock(&nn->lock);
    return VZ_OK;
}

static enum vz_status compile(struct vz_nn *nn, const struct nn_plan_key *key,
                              const dnnl_memory_desc_t *layout, struct nn_plan **out,
                              struct vz_error *err)
{
    struct nn_plan *plan = vz_calloc(1, sizeof *plan);
    plan->key = *key;
    dnnl_primitive_desc_t desc;
    dnnl_status_t status = describe(plan, nn->engine, layout, &desc);
    if (status == dnnl_success) {
        plan->scratchpad = *dnnl_primitive_desc_query_md(desc, dnnl_query_scratchpad_md, 0);
        status = dnnl_primitive_create(&plan->primitive, desc);
        dnnl_primitive_desc_destroy(desc);
    }
    if (status != dnnl_success) {
        free(plan);
        return nn_fail_dnnl(err, status, "compile a multiplication");
    }
    *out = plan;
    return VZ_OK;
}

dnnl_status_t nn_memories_init(struct nn_memories *m, const struct nn_plan *plan,
                               dnnl_engine_t engine)
{
    const struct {
        dnnl_memory_t *memory;
        const dnnl_memory_desc_t *desc;
    } all[] = {{&m->src, &plan->src},
               {&m->weights, &plan->weights},
               {&m->bias, &plan->bias},
               {&m->dst, &plan->dst},
               {&m->scratchpad, &plan->scratchpad}};
    dnnl_status_t status = dnnl_success;
    for (size_t i = 0; i < VZ_COUNT_OF(all) && status == dnnl_success; i++)
        status = dnnl_memory_create(all[i].memory, all[i].desc, engine, DNNL_MEMORY_NONE);
    if (status != dnnl_success)
        nn_memories_deinit(m);
    return status;
}

void nn_memories_deinit(struct nn_memories *m)
{
    dnnl_memory_t *all[] = {&m->src, &m->weights, &m->bias, &m->dst, &m->scratchpad};
    for (size_t i = 0; i < VZ_COUNT_OF(all); i++) {
        if (*all[i])
            dnnl_memory_destroy(*all[i]);
        *all[i] = NULL;
    }
}

void nn_plan_free(struct nn_plan *plan)
{
    for (size_t i = 0; i < NN_PLAN_MEMORIES; i++)
        nn_memories_deinit(&plan->memories[i]);
    dnnl_primitive_destroy(plan->primitive);
    free(plan);
}

static bool same_key(const struct nn_plan_key *a, const struct nn_plan_key *b)
{
    return a->rows == b->rows && a->in == b->in && a->out == b->out &&
           a->precision == b->precision && a->whole_out == b->whole_out &&
           a->add_to_output == b->add_to_output;
}

static struct nn_plan *find_locked(struct vz_nn *nn, const struct nn_plan_key *key)
{
    for (size_t i = 0; i < nn->plan_count; i++)
        if (same_key(&nn->plans[i]->key, key)) {
            nn->plans[i]->used = ++nn->clock;
            nn->plans[i]->refs++;
            return nn->plans[i];
        }
    return NULL;
}

/* Where a new plan goes; the plan that must be freed for it, or NULL, in *victim. Plans in use are
 * never chosen; there are far fewer threads than places. */
static size_t place_locked(struct vz_nn *nn, struct nn_plan **victim)
{
    *victim = NULL;
    if (nn->plan_count < VZ_NN_MAX_PLANS)
        return nn->plan_count++;
    size_t oldest = 0;
    for (size_t i = 0; i < nn->plan_count; i++) {
        const struct nn_plan *plan = nn->plans[i], *best = nn->plans[oldest];
        if (plan->refs == 0 && (best->refs > 0 || plan->used < best->used))
            oldest = i;
    }
    *victim = nn->plans[oldest];
    return oldest;
}

enum vz_status nn_plan_get(struct vz_nn *nn, const struct nn_plan_key *key,
                           const dnnl_memory_desc_t *layout, struct nn_plan **out,
                           struct vz_error *err)
{
    pthread_mutex_lock(&nn->lock);
    *out = find_locked(nn, key);
    pthread_mutex_unlock(&nn->lock);
    if (*out)
        return VZ_OK;
    struct nn_plan *made = NULL, *dropped;
    enum vz_status status = compile(nn, key, layout, &made, err);
    if (status != VZ_OK)
        return status;
    pthread_mutex_lock(&nn->lock);
    *out = find_locked(nn, key);
    if (*out) {
        dropped = made;
    } else {
        made->used = ++nn->clock;
        made->refs = 1;
        nn->plans[place_locked(nn, &dropped)] = *out = made;
    }
    pthread_mutex_unlock(&nn->lock);
    if (dropped)
        nn_plan_free(dropped);
    return VZ_OK;
}

void nn_plan_release(struct vz_nn *nn, struct nn_plan *plan)
{
    pthread_mutex_lock(&nn->lock);
    plan->refs--;
    pthread_mutex_unlock(&nn->lock);
}
