/* embed/traced_match.c - which encoder a traced module is.
 *
 * The graph is walked from its result backwards: normalising, dense layers, pooling (or a head),
 * then layer by layer down to the embeddings. Each step must be exactly the arithmetic that
 * embed/text_model.c does; names of variables mean nothing. What only moves numbers about (views,
 * permutations, expanding masks) is passed over where it cannot change the meaning.
 */
#include <math.h>

#include "embed/traced_parts.h"

#define MAX_WALK 60 /* steps through views and sums */

typedef const struct vz_script_node *node_t;

static enum vz_status odd(struct vz_error *err, const char *what, node_t node)
{
    struct vz_slice name = node ? node->name : (struct vz_slice){"nothing", 7};
    return vz_fail(err, VZ_UNSUPPORTED, "the traced module is not one that is known here: %s: [%.*s]",
                   what, (int)VZ_MIN(name.len, 60), name.ptr ? name.ptr : "");
}

static bool is_call(node_t node, const char *name, size_t min_args)
{
    return node && node->kind == VZ_NODE_CALL && node->arg_count >= min_args &&
           vz_slice_is(node->name, name);
}

static bool is_any(node_t node, const char *const *names)
{
    for (; node && node->kind == VZ_NODE_CALL && node->arg_count && *names; names++)
        if (vz_slice_is(node->name, *names))
            return true;
    return false;
}

/* Passes over calls that only move numbers about. */
static node_t strip(node_t node)
{
    static const char *const moves[] = {"torch.contiguous", "torch.view",    "torch.reshape",
                                        "torch.permute",    "torch.flatten", "torch.transpose",
                                        "torch.to",         NULL};
    for (int i = 0; i < MAX_WALK && is_any(node, moves); i++)
        node = node->args[0];
    return node;
}

/* Whether a call of that name is in the graph below `node`, a few steps down. */
static bool contains(node_t node, const char *name, int depth)
{
    if (!node || depth == 0)
        return false;
    if (is_call(node, name, 0))
        return true;
    for (size_t i = 0; i < node->arg_count; i++)
        if (contains(node->args[i], name, depth - 1))
            return true;
    return false;
}

static node_t input_below(node_t node)
{
    for (int i = 0; i < MAX_WALK && node && node->kind == VZ_NODE_CALL && node->arg_count; i++)
        node = node->args[0];
    return node && node->kind == VZ_NODE_INPUT ? node : NULL;
}

/* The one number of a float, an integer or a tensor of one element. */
static bool number_of(node_t node, double *out)
{
    float value;
    if (node->kind == VZ_NODE_FLOAT || node->kind == VZ_NODE_INT) {
        *out = node->number;
        return true;
    }
    if (node->kind != VZ_NODE_CONSTANT || node->tensor->count != 1)
        return false;
    vz_tensor_read_f32(node->tensor, 0, 1, &value);
    *out = (double)value;
    return true;
}

/* ---- single steps -------------------------------------------------------------------------- */

static bool take_linear(node_t node, struct traced_linear *out, node_t *input)
{
    if (!is_call(node, "torch.linear", 2) || node->args[1]->kind != VZ_NODE_CONSTANT ||
        node->args[1]->tensor->rank != 2)
        return false;
    out->weight = node->args[1]->tensor;
    out->bias = NULL;
    if (node->arg_count > 2 && node->args[2]->kind == VZ_NODE_CONSTANT)
        out->bias = node->args[2]->tensor;
    *input = node->args[0];
    return !out->bias || (out->bias->rank == 1 && out->bias->count == out->weight->dims[0]);
}

static bool take_norm(node_t node, struct traced_model *m, struct traced_norm *out, node_t *input)
{
    if (!is_call(node, "torch.layer_norm", 5) || node->args[2]->kind != VZ_NODE_CONSTANT ||
        node->args[3]->kind != VZ_NODE_CONSTANT || node->args[4]->kind != VZ_NODE_FLOAT)
        return false;
    out->weight = node->args[2]->tensor;
    out->bias = node->args[3]->tensor;
    m->eps = node->args[4]->number;
    *input = node->args[0];
    return out->weight->rank == 1 && out->bias->rank == 1 &&
           out->weight->count == out->bias->count;
}

static bool take_sum(node_t node, node_t *a, node_t *b)
{
    double alpha;
    if (!is_call(node, "torch.add", 2) && !is_call(node, "torch.add_", 2))
        return false;
    if (node->arg_count > 2 && (!number_of(node->args[2], &alpha) || alpha != 1))
        return false;
    *a = node->args[0];
    *b = node->args[1];
    return true;
}

static const char *activation_of(node_t node)
{
    if (is_call(node, "torch.relu", 1))
        return "relu";
    if (!is_call(node, "torch.gelu", 1))
        return NULL;
    if (node->arg_count == 1 || vz_slice_is(node->args[1]->name, "none"))
        return "gelu";
    return vz_slice_is(node->args[1]->name, "tanh") ? "gelu_pytorch_tanh" : NULL;
}

/* ---- attention ----------------------------------------------------------------------------- */

/* One of the three projections: linear, cut into heads. *heads from the view's last number. */
static bool take_projection(node_t node, struct traced_linear *out, node_t *input, size_t *heads)
{
    node_t view = node;
    for (int i = 0; i < MAX_WALK && view && view->kind == VZ_NODE_CALL && view->arg_count > 1; i++) {
        if (is_call(view, "torch.view", 2) && view->args[1]->kind == VZ_NODE_LIST &&
            view->args[1]->arg_count == 4)
            break;
        view = view->args[0];
    }
    if (!is_call(view, "torch.view", 2) || !take_linear(strip(node), out, input))
        return false;
    node_t last = view->args[1]->args[3];
    if (last->kind != VZ_NODE_INT || last->integer < 1 ||
        out->weight->dims[0] % (uint64_t)last->integer)
        return false;
    *heads = (size_t)(out->weight->dims[0] / (uint64_t)last->integer);
    return true;
}

/* Scores down to the product of queries and keys: masks and position biases are added, one division
 * scales. *bias is the embedding of relative positions where one is added. */
static node_t scores_product(node_t node, double *scale, node_t *bias)
{
    double number;
    node_t a, b;
    *scale = 1;
    for (int i = 0; i < MAX_WALK && node; i++) {
        if (is_call(node, "torch.matmul", 2))
            return node;
        if (take_sum(node, &a, &b)) {
            if (contains(b, "torch.embedding", 6))
                *bias = b;
            node = a;
        } else if (is_call(node, "torch.div", 2) && number_of(node->args[1], &number)) {
            *scale /= number;
            node = node->args[0];
        } else if (is_call(node, "torch.mul", 2) && number_of(node->args[1], &number)) {
            *scale *= number;
            node = node->args[0];
        } else if (is_call(node, "torch.masked_fill", 2) || is_call(node, "torch.to", 1)) {
            node = node->args[0];
        } else {
            return NULL;
        }
    }
    return NULL;
}

/* DistilBERT divides the queries before the product. */
static node_t unscaled(node_t node, double *scale)
{
    double number;
    if (is_call(node, "torch.div", 2) && number_of(node->args[1], &number)) {
        *scale /= number;
        return node->args[0];
    }
    return node;
}

/* The embedding of relative positions: [buckets, heads], moved about and expanded. */
static enum vz_status take_bias(node_t node, struct traced_model *m, struct vz_error *err)
{
    for (int i = 0; i < MAX_WALK && node && !is_call(node, "torch.embedding", 2); i++)
        node = node->kind == VZ_NODE_CALL && node->arg_count ? node->args[0] : NULL;
    if (!node || node->args[0]->kind != VZ_NODE_CONSTANT || node->args[0]->tensor->rank != 2)
        return odd(err, "a bias of positions", node);
    if (m->relative && m->relative != node->args[0]->tensor)
        return odd(err, "two biases of positions", node);
    m->relative = node->args[0]->tensor;
    return VZ_OK;
}

/* softmax(q k' / sqrt(d) + mask) v, fused or spelt out. */
static enum vz_status take_attention(node_t node, struct traced_model *m,
                                     struct traced_layer *layer, node_t *input,
                                     struct vz_error *err)
{
    node_t q, k, v, bias = NULL, inputs[3];
    double scale = 0;
    node = strip(node);
    bool fused = is_call(node, "torch.scaled_dot_product_attention", 3);
    if (fused) {
        q = node->args[0];
        k = node->args[1];
        v = node->args[2];
    } else {
        if (!is_call(node, "torch.matmul", 2))
            return odd(err, "attention", node);
        node_t weights = strip(node->args[0]);
        if (!is_call(weights, "torch.softmax", 1))
            return odd(err, "attention's softmax", weights);
        node_t product = scores_product(weights->args[0], &scale, &bias);
        if (!product)
            return odd(err, "attention's scores", weights->args[0]);
        q = unscaled(product->args[0], &scale);
        k = product->args[1];
        v = node->args[1];
    }
    size_t heads[3];
    if (!take_projection(q, &layer->q, &inputs[0], &heads[0]) ||
        !take_projection(k, &layer->k, &inputs[1], &heads[1]) ||
        !take_projection(v, &layer->v, &inputs[2], &heads[2]) || inputs[0] != inputs[1] ||
        inputs[0] != inputs[2] || heads[0] != heads[1] || heads[0] != heads[2])
        return odd(err, "the projections of attention", q);
    double wanted = 1 / sqrt((double)layer->q.weight->dims[0] / (double)heads[0]);
    if (!fused && fabs(scale - wanted) > 1e-5)
        return odd(err, "attention's scale", node);
    if (m->heads && m->heads != heads[0])
        return odd(err, "layers with different heads", node);
    m->heads = heads[0];
    *input = inputs[0];
    return bias ? take_bias(bias, m, err) : VZ_OK;
}

/* ---- layers -------------------------------------------------------------------------------- */

/* norm(linear(..) + x): the linear layer's input and x. */
static bool take_residual(node_t node, struct traced_model *m, struct traced_norm *norm,
                          struct traced_linear *linear, node_t *inner, node_t *rest)
{
    node_t sum, a, b;
    if (!take_norm(node, m, norm, &sum) || !take_sum(sum, &a, &b))
        return false;
    if (take_linear(a, linear, inner)) {
        *rest = b;
        return true;
    }
    *rest = a;
    return take_linear(b, linear, inner);
}

/* One layer from its result to its input. VZ_NOT_FOUND: `node` is no layer's result. */
static enum vz_status take_layer(node_t node, struct traced_model *m, struct traced_layer *layer,
                                 node_t *input, struct vz_error *err)
{
    node_t raised, middle, up_input, merged, below;
    if (!take_residual(node, m, &layer->norm2, &layer->down, &raised, &middle))
        return VZ_NOT_FOUND;
    const char *activation = activation_of(raised);
    if (!activation || (m->activation && strcmp(activation, m->activation) != 0))
        return odd(err, "a layer's activation", raised);
    m->activation = activation;
    if (!take_linear(raised->args[0], &layer->up, &up_input) || up_input != middle)
        return odd(err, "a layer's feed-forward part", raised->args[0]);
    if (!take_residual(middle, m, &layer->norm1, &layer->out, &merged, &below))
        return odd(err, "a layer's residual", middle);
    enum vz_status status = take_attention(merged, m, layer, input, err);
    if (status == VZ_OK && *input != below)
        status = odd(err, "a layer's input", below);
    return status;
}

static enum vz_status take_layers(node_t node, struct traced_model *m, node_t *bottom,
                                  struct vz_error *err)
{
    for (;;) {
        if (m->layer_count == VZ_TRACED_MAX_LAYERS)
            return vz_fail(err, VZ_LIMIT, "the traced module has more than %d layers",
                           VZ_TRACED_MAX_LAYERS);
        enum vz_status status =
            take_layer(node, m, &m->layers[m->layer_count], bottom, err);
        if (status == VZ_NOT_FOUND)
            break;
        if (status != VZ_OK)
            return status;
        m->layer_count++;
        node = *bottom;
    }
    *bottom = node;
    for (size_t i = 0; i < m->layer_count / 2; i++) {
        struct traced_layer swap = m->layers[i];
        m->layers[i] = m->layers[m->layer_count - 1 - i];
        m->layers[m->layer_count - 1 - i] = swap;
    }
    return m->layer_count ? VZ_OK : odd(err, "no layer of an encoder", node);
}

/* ---- embeddings ---------------------------------------------------------------------------- */

/* The numbers of a whole-number tensor: all 0, or 0, 1, 2, ... */
static bool is_zeros(const struct vz_tensor_view *view)
{
    float values[64];
    for (uint64_t at = 0; at < view->count; at += VZ_COUNT_OF(values)) {
        uint64_t some = VZ_MIN(view->count - at, (uint64_t)VZ_COUNT_OF(values));
        vz_tensor_read_f32(view, at, some, values);
        for (uint64_t i = 0; i < some; i++)
            if (values[i] != 0.0f)
                return false;
    }
    return view->count > 0;
}

static bool is_counting(const struct vz_tensor_view *view)
{
    for (uint64_t i = 0; i < view->count; i++) {
        float value;
        vz_tensor_read_f32(view, i, 1, &value);
        if (value != (float)i)
            return false;
    }
    return view->count > 1;
}

/* The tensor at the bottom of expand(slice(CONSTANT, ..)). */
static const struct vz_tensor_view *constant_below(node_t node)
{
    for (int i = 0; i < MAX_WALK && node && node->kind == VZ_NODE_CALL && node->arg_count; i++)
        node = node->args[0];
    return node && node->kind == VZ_NODE_CONSTANT ? node->tensor : NULL;
}

static enum vz_status take_positions(node_t index, const struct vz_tensor_view *table,
                                     struct traced_model *m, bool *from_pad, struct vz_error *err)
{
    const struct vz_tensor_view *constant = constant_below(index);
    node_t input = input_below(index);
    if (contains(index, "torch.cumsum", 12))
        *from_pad = true;
    else if (!(constant && is_counting(constant)) &&
             !(index->kind == VZ_NODE_INPUT && vz_slice_is(input->name, "position_ids")))
        return odd(err, "positions", index);
    m->positions = table;
    return VZ_OK;
}

/* One summand of the embeddings. */
static enum vz_status take_embedding(node_t node, struct traced_model *m, bool *from_pad,
                                     struct vz_error *err)
{
    if (!is_call(node, "torch.embedding", 2) || node->args[0]->kind != VZ_NODE_CONSTANT ||
        node->args[0]->tensor->rank != 2)
        return odd(err, "embeddings", node);
    const struct vz_tensor_view *table = node->args[0]->tensor, *constant;
    node_t index = strip(node->args[1]), input = index->kind == VZ_NODE_INPUT ? index : NULL;
    constant = constant_below(index);
    if (input && vz_slice_is(input->name, "input_ids") && !m->words) {
        m->words = table;
        if (node->arg_count > 2 && node->args[2]->kind == VZ_NODE_INT)
            m->pad_id = node->args[2]->integer;
        return VZ_OK;
    }
    if (!m->types && ((input && vz_slice_is(input->name, "token_type_ids")) ||
                      (constant && is_zeros(constant) && !contains(index, "torch.cumsum", 12)))) {
        m->types = table;
        return VZ_OK;
    }
    if (m->positions)
        return odd(err, "embeddings", index);
    return take_positions(index, table, m, from_pad, err);
}

static enum vz_status take_embeddings(node_t node, struct traced_model *m, struct vz_error *err)
{
    node_t sum, a, b;
    bool from_pad = false;
    enum vz_status status = VZ_OK;
    if (!take_norm(node, m, &m->norm, &sum))
        return odd(err, "the norm of the embeddings", node);
    for (int i = 0; i < 4 && status == VZ_OK && take_sum(sum, &a, &b); i++) {
        status = take_embedding(b, m, &from_pad, err);
        sum = a;
    }
    if (status == VZ_OK)
        status = take_embedding(sum, m, &from_pad, err);
    if (status != VZ_OK)
        return status;
    if (!m->words || !m->positions)
        return odd(err, "embeddings of words and positions", node);
    if (m->relative && (!from_pad || m->types))
        return odd(err, "a bias of positions in another family than MPNet", node);
    m->family = m->relative ? VZ_FAMILY_MPNET
                : from_pad  ? VZ_FAMILY_ROBERTA
                : m->types  ? VZ_FAMILY_BERT
                            : VZ_FAMILY_DISTILBERT;
    return m->types || m->family != VZ_FAMILY_ROBERTA ? VZ_OK
                                                      : odd(err, "RoBERTa's segments", node);
}

/* ---- behind the encoder -------------------------------------------------------------------- */

/* x / |x| */
static node_t take_unit(node_t node, struct traced_model *m)
{
    if (!is_call(node, "torch.div", 2))
        return node;
    node_t below = node->args[1];
    for (int i = 0; i < MAX_WALK && below && below->kind == VZ_NODE_CALL && below->arg_count; i++) {
        if ((is_call(below, "torch.linalg_vector_norm", 1) || is_call(below, "torch.norm", 1)) &&
            below->args[0] == node->args[0]) {
            m->unit = true;
            return node->args[0];
        }
        below = below->args[0];
    }
    return node;
}

/* cat([x], 1) is x. */
static node_t alone(node_t node)
{
    if (is_call(node, "torch.cat", 1) && node->args[0]->kind == VZ_NODE_LIST &&
        node->args[0]->arg_count == 1)
        return node->args[0]->args[0];
    return node;
}

static bool is_first_row(node_t node, node_t *rows)
{
    if (is_call(node, "torch.slice", 1))
        node = node->args[0];
    if (!is_call(node, "torch.select", 3) || node->args[1]->integer != 1 ||
        node->args[2]->kind != VZ_NODE_INT || node->args[2]->integer != 0)
        return false;
    *rows = node->args[0];
    if (is_call(*rows, "torch.slice", 1))
        *rows = (*rows)->args[0];
    return true;
}

/* sum(x * mask) / sum(mask) */
static bool is_mean(node_t node, node_t *rows)
{
    if (!is_call(node, "torch.div", 2) || !is_call(node->args[0], "torch.sum", 1) ||
        !contains(node->args[1], "torch.sum", 4))
        return false;
    node_t product = node->args[0]->args[0];
    if (!is_call(product, "torch.mul", 2))
        return false;
    *rows = product->args[0];
    node_t mask = input_below(product->args[1]);
    return mask && vz_slice_is(mask->name, "attention_mask");
}

/* Dense layers, from the last to the first; they end up in order. */
static enum vz_status take_dense(node_t *node, struct traced_model *m, struct vz_error *err)
{
    for (;;) {
        struct traced_dense dense = {.activation = "torch.nn.modules.linear.Identity"};
        node_t inner = *node;
        if (is_call(inner, "torch.tanh", 1)) {
            dense.activation = "torch.nn.modules.activation.Tanh";
            inner = inner->args[0];
        } else if (is_call(inner, "torch.relu", 1)) {
            dense.activation = "torch.nn.modules.activation.ReLU";
            inner = inner->args[0];
        }
        if (!take_linear(inner, &dense.linear, &inner))
            return VZ_OK;
        if (m->dense_count == VZ_TRACED_MAX_DENSE)
            return odd(err, "more dense layers than there can be", *node);
        memmove(m->dense + 1, m->dense, m->dense_count++ * sizeof *m->dense);
        m->dense[0] = dense;
        *node = alone(inner);
    }
}

/* A classifier ends in two linear layers with an activation between, over the first row. */
static bool is_head(const struct traced_model *m)
{
    return m->dense_count == 2 && !m->unit && m->pooling == VZ_POOL_CLS &&
           strstr(m->dense[1].activation, "Identity") &&
           !strstr(m->dense[0].activation, "Identity");
}

static enum vz_status take_tail(node_t result, struct traced_model *m, node_t *rows,
                                struct vz_error *err)
{
    node_t node = result->kind == VZ_NODE_LIST && result->arg_count ? result->args[0] : result;
    node = alone(take_unit(node, m));
    enum vz_status status = take_dense(&node, m, err);
    if (status != VZ_OK)
        return status;
    if (is_mean(node, rows))
        m->pooling = VZ_POOL_MEAN;
    else if (is_first_row(node, rows))
        m->pooling = VZ_POOL_CLS;
    else
        return odd(err, "pooling (mean and first token are known)", node);
    m->is_classifier = is_head(m);
    for (size_t i = 0; i < 2 && m->is_classifier; i++)
        m->head[i] = m->dense[i].linear;
    return VZ_OK;
}

/* ---- shapes -------------------------------------------------------------------------------- */

static bool linear_fits(const struct traced_linear *linear, uint64_t out, uint64_t in)
{
    return linear->bias && linear->weight->dims[0] == out && linear->weight->dims[1] == in;
}

static bool table_fits(const struct vz_tensor_view *table, uint64_t width)
{
    return !table || table->dims[1] == width;
}

static bool head_fits(const struct traced_model *m, uint64_t w)
{
    const char *activation = m->family == VZ_FAMILY_DISTILBERT ? "ReLU" : "Tanh";
    return !m->is_classifier || (linear_fits(&m->head[0], w, w) && m->head[1].bias &&
                                 m->head[1].weight->dims[1] == w &&
                                 strstr(m->dense[0].activation, activation));
}

static enum vz_status check_shapes(struct traced_model *m, struct vz_error *err)
{
    uint64_t w = m->words->dims[1], mlp = m->layers[0].up.weight->dims[0];
    bool fits = m->norm.weight->count == w && table_fits(m->positions, w) &&
                table_fits(m->types, w) && head_fits(m, w) &&
                (!m->relative || m->relative->dims[1] == m->heads);
    for (size_t i = 0; i < m->layer_count && fits; i++) {
        const struct traced_layer *l = &m->layers[i];
        fits = linear_fits(&l->q, w, w) && linear_fits(&l->k, w, w) && linear_fits(&l->v, w, w) &&
               linear_fits(&l->out, w, w) && linear_fits(&l->up, mlp, w) &&
               linear_fits(&l->down, w, mlp) && l->norm1.weight->count == w &&
               l->norm2.weight->count == w;
    }
    m->width = (size_t)w;
    m->mlp = (size_t)mlp;
    return fits ? VZ_OK
                : vz_fail(err, VZ_UNSUPPORTED,
                          "the traced module's layers do not fit one another in an encoder");
}

enum vz_status traced_match(const struct vz_script_node *result, struct traced_model *model,
                            struct vz_error *err)
{
    node_t rows = NULL, bottom = NULL;
    *model = (struct traced_model){.pad_id = 0};
    enum vz_status status = take_tail(result, model, &rows, err);
    if (status == VZ_OK)
        status = take_layers(rows, model, &bottom, err);
    if (status == VZ_OK)
        status = take_embeddings(bottom, model, err);
    return status == VZ_OK ? check_shapes(model, err) : status;
}
