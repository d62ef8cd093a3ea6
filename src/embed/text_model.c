/* BERT and its family, in the shape of transformers' models.
 *
 * What differs between families is names, positions and the head; `struct vz_text_naming` and three
 * small functions hold all of it. Positions: BERT and DistilBERT count from 0; RoBERTa and MPNet
 * count the tokens that are no padding, from pad_id + 1. MPNet adds to the scores a bias by
 * distance, in T5's buckets. Texts run at their own length, behind one another, unpadded.
 */
#include "embed/text_model.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/file.h"
#include "embed/text_names.h"
#include "nn/packed.h"
#include "nn/table.h"
#include "json/json.h"

#define PIECE_ROWS 200
#define MAX_FILE_BYTES (1u << 20)
#define MAX_DISTANCE 128 /* MPNet's, not in its config */

struct dense {
    struct vz_linear *linear;
    enum vz_activation activation;
};

struct vz_text_model {
    struct vz_text_config config;
    struct vz_nn *nn;
    struct vz_weights *weights; /* owned; NULL with vz_text_model_new */
    size_t max_tokens, dims;
    struct vz_encoder *encoder;
    struct vz_table token_vectors; /* [vocab, width] */
    const float *positions;        /* [config.positions, width] */
    const float *types;            /* [config.types, width]; NULL: none */
    struct vz_norm norm;           /* of the embeddings */
    enum vz_pooling pooling;
    bool unit;
    struct dense dense[VZ_MAX_DENSE]; /* a head's layers, too */
    size_t dense_count;
};

/* ---- names ---- */

const struct vz_text_naming vz_text_namings[] = {
    [VZ_FAMILY_BERT] = {"bert",
                        "encoder.layer",
                        "attention.self.query",
                        "attention.self.key",
                        "attention.self.value",
                        "attention.output.dense",
                        "attention.output.LayerNorm",
                        "intermediate.dense",
                        "output.dense",
                        "output.LayerNorm",
                        {"bert.pooler.dense", "classifier"}},
    [VZ_FAMILY_DISTILBERT] = {"distilbert",
                              "transformer.layer",
                              "attention.q_lin",
                              "attention.k_lin",
                              "attention.v_lin",
                              "attention.out_lin",
                              "sa_layer_norm",
                              "ffn.lin1",
                              "ffn.lin2",
                              "output_layer_norm",
                              {"pre_classifier", "classifier"}},
    [VZ_FAMILY_ROBERTA] = {"roberta",
                           "encoder.layer",
                           "attention.self.query",
                           "attention.self.key",
                           "attention.self.value",
                           "attention.output.dense",
                           "attention.output.LayerNorm",
                           "intermediate.dense",
                           "output.dense",
                           "output.LayerNorm",
                           {"classifier.dense", "classifier.out_proj"}},
    [VZ_FAMILY_MPNET] = {"mpnet",
                         "encoder.layer",
                         "attention.attn.q",
                         "attention.attn.k",
                         "attention.attn.v",
                         "attention.attn.o",
                         "attention.LayerNorm",
                         "intermediate.dense",
                         "output.dense",
                         "output.LayerNorm",
                         {"classifier.dense", "classifier.out_proj"}},
};

/* Where names are looked up: "PREFIX." is empty in files of the encoder alone. */
struct names {
    const struct vz_text_naming *naming;
    const struct vz_tensor_source *source;
    char prefix[24];
};

static struct names names_of(enum vz_text_family family, const struct vz_tensor_source *source)
{
    struct names names = {&vz_text_namings[family], source, ""};
    if (!vz_source_find(source, "embeddings.word_embeddings.weight"))
        snprintf(names.prefix, sizeof names.prefix, "%s.", names.naming->prefix);
    return names;
}

static enum vz_status find_layer(const struct names *names, size_t i, struct vz_layer_weights *w,
                                 struct vz_error *err)
{
    const struct vz_text_naming *n = names->naming;
    const struct {
        const struct vz_tensor_view **weight, **bias;
        const char *name;
        bool norm;
    } tensors[] = {
        {&w->q_weight, &w->q_bias, n->q, false},
        {&w->k_weight, &w->k_bias, n->k, false},
        {&w->v_weight, &w->v_bias, n->v, false},
        {&w->out_weight, &w->out_bias, n->out, false},
        {&w->norm1_weight, &w->norm1_bias, n->norm1, true},
        {&w->up_weight, &w->up_bias, n->up, false},
        {&w->down_weight, &w->down_bias, n->down, false},
        {&w->norm2_weight, &w->norm2_bias, n->norm2, true},
    };
    enum vz_status status = VZ_OK;
    for (size_t t = 0; t < VZ_COUNT_OF(tensors) && status == VZ_OK; t++) {
        char name[160];
        snprintf(name, sizeof name, "%s%s.%zu.%s", names->prefix, n->layer, i, tensors[t].name);
        /* Files converted from TensorFlow long ago call a norm's numbers gamma and beta. */
        if (tensors[t].norm &&
            (*tensors[t].weight = vz_source_find(names->source, "%s.gamma", name)))
            *tensors[t].bias = vz_source_find(names->source, "%s.beta", name);
        else
            status = vz_source_need(names->source, 0, tensors[t].weight, err, "%s.weight", name);
        if (status == VZ_OK && !*tensors[t].bias)
            status = vz_source_need(names->source, 0, tensors[t].bias, err, "%s.bias", name);
    }
    return status;
}

static enum vz_status read_table(const struct names *names, const char *name, size_t count,
                                 float **out, struct vz_error *err)
{
    const struct vz_tensor_view *view;
    enum vz_status status =
        vz_source_need(names->source, count, &view, err, "%s%s", names->prefix, name);
    if (status != VZ_OK)
        return status;
    *out = vz_try_alloc(count, sizeof **out);
    if (!*out)
        return vz_fail(err, VZ_BUDGET, "no memory for tensor [%s]", name);
    vz_tensor_read_f32(view, 0, count, *out);
    return VZ_OK;
}

/* ---- making ---- */

/* T5's bucket of key position - query position. Two halves by sign; in each, one bucket a distance
 * up to a quarter of all, then logarithmic. */
static size_t bucket_of(ptrdiff_t distance, size_t buckets)
{
    size_t half = buckets / 2, exact = half / 2, base = distance > 0 ? half : 0;
    size_t far = (size_t)(distance < 0 ? -distance : distance);
    if (far < exact)
        return base + far;
    /* In f32 as PyTorch does: a distance near a border must not fall on the other side. */
    float steps = logf((float)far / (float)exact) /
                  (float)log((double)MAX_DISTANCE / (double)exact) * (float)(half - exact);
    return base + VZ_MIN(exact + (size_t)steps, half - 1);
}

/* [heads, 2 * reach - 1] */
static enum vz_status relative_bias(const struct vz_text_model *m, const struct names *names,
                                    size_t reach, float **out, struct vz_error *err)
{
    size_t buckets = m->config.relative_buckets, heads = m->config.heads;
    float *table; /* [buckets, heads] */
    enum vz_status status =
        read_table(names, "encoder.relative_attention_bias.weight", buckets * heads, &table, err);
    if (status != VZ_OK)
        return status;
    *out = vz_try_alloc(heads, (2 * reach - 1) * sizeof(float));
    if (!*out) {
        free(table);
        return vz_fail(err, VZ_BUDGET, "no memory for a position bias");
    }
    for (size_t i = 0; i < 2 * reach - 1; i++) {
        size_t bucket = bucket_of((ptrdiff_t)i - (ptrdiff_t)(reach - 1), buckets);
        for (size_t h = 0; h < heads; h++)
            (*out)[h * (2 * reach - 1) + i] = table[bucket * heads + h];
    }
    free(table);
    return VZ_OK;
}

static enum vz_status encoder_init(struct vz_text_model *m, const struct names *names, bool one_row,
                                   struct vz_error *err)
{
    const struct vz_text_config *c = &m->config;
    struct vz_encoder_config config = {.layers = c->layers,
                                       .width = c->width,
                                       .heads = c->heads,
                                       .mlp = c->mlp,
                                       .activation = c->activation,
                                       .eps = c->eps,
                                       .one_row = one_row};
    struct vz_layer_weights *layers = vz_calloc(c->layers, sizeof *layers);
    float *bias = NULL;
    enum vz_status status = VZ_OK;
    for (size_t i = 0; i < c->layers && status == VZ_OK; i++)
        status = find_layer(names, i, &layers[i], err);
    if (status == VZ_OK && c->family == VZ_FAMILY_MPNET) {
        config.bias_reach = m->max_tokens;
        status = relative_bias(m, names, m->max_tokens, &bias, err);
        config.bias = bias;
    }
    if (status == VZ_OK)
        status = vz_encoder_new(m->nn, &config, layers, &m->encoder, err);
    free(bias);
    free(layers);
    return status;
}

static enum vz_status read_floats(const struct vz_text_model *m, const struct names *names,
                                  const char *name, size_t count, const float **out,
                                  struct vz_error *err)
{
    const struct vz_tensor_view *view;
    enum vz_status status =
        vz_source_need(names->source, count, &view, err, "%s%s", names->prefix, name);
    if (status == VZ_OK)
        status = vz_floats_init(m->nn, view, out, err);
    return status;
}

static enum vz_status embeddings_init(struct vz_text_model *m, const struct names *names,
                                      struct vz_error *err)
{
    const struct vz_text_config *c = &m->config;
    const char *p = names->prefix;
    const struct vz_tensor_view *tokens, *weight, *bias;
    enum vz_status status = vz_source_need(names->source, c->vocab * c->width, &tokens, err,
                                           "%sembeddings.word_embeddings.weight", p);
    if (status == VZ_OK)
        status = vz_table_init(m->nn, tokens, c->vocab, c->width, &m->token_vectors, err);
    if (status == VZ_OK)
        status = read_floats(m, names, "embeddings.position_embeddings.weight",
                             c->positions * c->width, &m->positions, err);
    if (status == VZ_OK && c->types)
        status = read_floats(m, names, "embeddings.token_type_embeddings.weight",
                             c->types * c->width, &m->types, err);
    weight = vz_source_find(names->source, "%sembeddings.LayerNorm.weight", p);
    bias = vz_source_find(names->source, "%sembeddings.LayerNorm.bias", p);
    if (!weight) {
        weight = vz_source_find(names->source, "%sembeddings.LayerNorm.gamma", p);
        bias = vz_source_find(names->source, "%sembeddings.LayerNorm.beta", p);
    }
    if (status == VZ_OK)
        status = vz_norm_init(m->nn, &m->norm, c->width, c->eps, weight, bias, err);
    return status;
}

static enum vz_status dense_add(struct vz_text_model *m, const struct vz_text_dense *dense,
                                struct vz_error *err)
{
    struct vz_linear_part part = {dense->weight, dense->bias, 1};
    struct dense *to = &m->dense[m->dense_count];
    if (!part.weight)
        return vz_fail(err, VZ_CORRUPT, "a dense layer's weights are missing");
    enum vz_status status =
        vz_linear_new(m->nn, VZ_PRECISION_F32, m->dims, &part, 1, &to->linear, err);
    if (status != VZ_OK)
        return status;
    to->activation = dense->activation;
    m->dims = vz_linear_out(to->linear);
    m->dense_count++;
    return VZ_OK;
}

/* The layers between the CLS row and the logits, by family. */
static enum vz_status head_init(struct vz_text_model *m, const struct names *names,
                                struct vz_error *err)
{
    bool is_distil = m->config.family == VZ_FAMILY_DISTILBERT;
    enum vz_activation activations[2] = {is_distil ? VZ_ACT_RELU : VZ_ACT_TANH, VZ_ACT_NONE};
    enum vz_status status = VZ_OK;
    for (size_t i = 0; i < 2 && status == VZ_OK; i++) {
        struct vz_text_dense dense = {.activation = activations[i]};
        const char *name = names->naming->head[i];
        status = vz_source_need(names->source, 0, &dense.weight, err, "%s.weight", name);
        if (status == VZ_OK)
            status = vz_source_need(names->source, 0, &dense.bias, err, "%s.bias", name);
        if (status == VZ_OK)
            status = dense_add(m, &dense, err);
    }
    return status;
}

static bool counts_from_pad(enum vz_text_family family)
{
    return family == VZ_FAMILY_ROBERTA || family == VZ_FAMILY_MPNET;
}

/* The context is there. */
static enum vz_status model_init(struct vz_text_model *m, const struct vz_text_modules *modules,
                                 const struct vz_tensor_source *source, struct vz_error *err)
{
    const struct vz_text_config *c = &m->config;
    size_t before = counts_from_pad(c->family) ? (size_t)c->pad_id + 1 : 0;
    if (c->positions <= before)
        return vz_fail(err, VZ_CORRUPT, "model config: %zu positions, the first of them %zu",
                       c->positions, before);
    m->max_tokens = c->positions - before;
    m->dims = c->width;
    m->pooling = modules ? modules->pooling : VZ_POOL_CLS;
    m->unit = modules && modules->unit;
    struct names names = names_of(c->family, source);
    bool one_row = m->pooling == VZ_POOL_CLS || m->pooling == VZ_POOL_LAST;
    enum vz_status status = embeddings_init(m, &names, err);
    if (status == VZ_OK)
        status = encoder_init(m, &names, one_row, err);
    if (status == VZ_OK && !modules)
        status = head_init(m, &names, err);
    for (size_t i = 0; modules && i < modules->dense_count && status == VZ_OK; i++)
        status = dense_add(m, &modules->dense[i], err);
    return status;
}

/* Where packed weights are kept, and what they are made of. */
struct packed_place {
    const char *folder;
    struct vz_weights *const *weights;
    size_t count;
};

static enum vz_status
model_make(const struct vz_text_config *config, const struct vz_text_modules *modules,
           const struct vz_tensor_source *source, const struct vz_nn_options *options,
           const struct packed_place *place, struct vz_text_model **out, struct vz_error *err)
{
    *out = NULL;
    struct vz_text_model *m = vz_calloc(1, sizeof *m);
    m->config = *config;
    enum vz_status status = vz_nn_new(options, &m->nn, err);
    if (status == VZ_OK && place)
        vz_packed_begin(m->nn, place->folder, place->weights, place->count);
    if (status == VZ_OK)
        status = model_init(m, modules, source, err);
    if (m->nn)
        vz_packed_end(m->nn, status == VZ_OK);
    if (status == VZ_OK)
        *out = m;
    else
        vz_text_model_free(m);
    return status;
}

enum vz_status vz_text_model_new(const struct vz_text_config *config,
                                 const struct vz_text_modules *modules,
                                 const struct vz_tensor_source *source,
                                 const struct vz_nn_options *options, struct vz_text_model **out,
                                 struct vz_error *err)
{
    return model_make(config, modules, source, options, NULL, out, err);
}

void vz_text_model_free(struct vz_text_model *m)
{
    if (!m)
        return;
    for (size_t i = 0; i < m->dense_count; i++)
        vz_linear_free(m->dense[i].linear);
    vz_encoder_free(m->encoder);
    vz_nn_free(m->nn);
    if (m->weights)
        vz_weights_close(m->weights);
    free(m);
}

size_t vz_text_model_dims(const struct vz_text_model *m)
{
    return m->dims;
}

size_t vz_text_model_max_tokens(const struct vz_text_model *m)
{
    return m->max_tokens;
}

enum vz_precision vz_text_model_precision(const struct vz_text_model *m)
{
    return vz_nn_precision(m->nn);
}

size_t vz_text_model_bytes(const struct vz_text_model *m)
{
    size_t bytes = vz_encoder_bytes(m->encoder) + vz_table_bytes(&m->token_vectors);
    for (size_t i = 0; i < m->dense_count; i++)
        bytes += vz_linear_bytes(m->dense[i].linear);
    return bytes + (m->config.positions + m->config.types) * m->config.width * sizeof(float);
}

/* ---- folders ---- */

struct folder {
    const char *path;
    struct vz_text_config config;
    struct vz_text_modules modules;
    struct vz_buf encoder_path;
    struct vz_weights *dense[VZ_MAX_DENSE]; /* open until the model is made */
    size_t max_tokens;                      /* 0: not said */
};

/* FOLDER/SUB/NAME; `sub` may be empty. */
static enum vz_status read_file(const char *folder, struct vz_slice sub, const char *name,
                                struct vz_buf *out, struct vz_error *err)
{
    struct vz_buf path = {0};
    vz_buf_printf(&path, "%s/%.*s/%s", folder, (int)sub.len, sub.ptr ? sub.ptr : "", name);
    vz_buf_clear(out);
    enum vz_status status = vz_file_read(path.data, MAX_FILE_BYTES, out, err);
    vz_buf_deinit(&path);
    return status;
}

static enum vz_status add_dense(struct folder *f, struct vz_slice sub, struct vz_error *err)
{
    struct vz_text_dense *dense = &f->modules.dense[f->modules.dense_count];
    struct vz_weights **weights = &f->dense[f->modules.dense_count];
    struct vz_buf text = {0}, path = {0};
    struct vz_json_doc *doc = NULL;
    struct vz_json root, name;
    if (f->modules.dense_count == VZ_MAX_DENSE)
        return vz_fail(err, VZ_UNSUPPORTED, "modules.json: more than %d dense layers",
                       VZ_MAX_DENSE);
    enum vz_status status = read_file(f->path, sub, "config.json", &text, err);
    if (status == VZ_OK)
        status = vz_json_parse(vz_buf_slice(&text), &doc, &root, err);
    dense->activation = VZ_ACT_TANH; /* what the module has when nothing is said */
    if (status == VZ_OK && vz_json_get(root, "activation_function", &name))
        status = vz_activation_read(vz_json_string(name), &dense->activation, err);
    vz_buf_printf(&path, "%s/%.*s", f->path, (int)sub.len, sub.ptr);
    if (status == VZ_OK)
        status = vz_weights_open(path.data, weights, err);
    if (status == VZ_OK) {
        f->modules.dense_count++;
        dense->weight = vz_weights_find(*weights, "linear.weight");
        dense->bias = vz_weights_find(*weights, "linear.bias");
    }
    if (doc)
        vz_json_free(doc);
    vz_buf_deinit(&text);
    vz_buf_deinit(&path);
    return status;
}

static bool ends_with(struct vz_slice text, const char *end)
{
    size_t len = strlen(end);
    return text.len >= len && memcmp(text.ptr + text.len - len, end, len) == 0;
}

static enum vz_status add_module(struct folder *f, struct vz_json module, struct vz_error *err)
{
    struct vz_json type_value = {0}, path_value = {0};
    vz_json_get(module, "type", &type_value);
    vz_json_get(module, "path", &path_value);
    struct vz_slice type = vz_json_string(type_value), sub = vz_json_string(path_value);
    /* The path comes from a file that was downloaded: it must stay inside the folder. */
    if (sub.len && (sub.ptr[0] == '/' || memmem(sub.ptr, sub.len, "..", 2)))
        return vz_fail(err, VZ_CORRUPT, "modules.json: path [%.*s]", (int)VZ_MIN(sub.len, 60),
                       sub.ptr);
    if (ends_with(type, ".Transformer")) {
        vz_buf_clear(&f->encoder_path);
        vz_buf_printf(&f->encoder_path, "%s/%.*s", f->path, (int)sub.len, sub.ptr ? sub.ptr : "");
        return VZ_OK;
    }
    if (ends_with(type, ".Normalize")) {
        f->modules.unit = true;
        return VZ_OK;
    }
    if (ends_with(type, ".Dropout"))
        return VZ_OK;
    if (ends_with(type, ".Dense"))
        return add_dense(f, sub, err);
    if (ends_with(type, ".Pooling")) {
        struct vz_buf text = {0};
        enum vz_status status = read_file(f->path, sub, "config.json", &text, err);
        if (status == VZ_OK)
            status = vz_pooling_read(vz_buf_slice(&text), &f->modules.pooling, err);
        vz_buf_deinit(&text);
        return status;
    }
    return vz_fail(err, VZ_UNSUPPORTED, "modules.json: module [%.*s] is not supported",
                   (int)VZ_MIN(type.len, 80), type.ptr ? type.ptr : "");
}

static enum vz_status read_modules(struct folder *f, struct vz_error *err)
{
    struct vz_buf text = {0};
    struct vz_json_doc *doc;
    struct vz_json root, module;
    enum vz_status status = read_file(f->path, VZ_SLICE(""), "modules.json", &text, err);
    if (status == VZ_NOT_FOUND) {
        vz_buf_deinit(&text);
        return VZ_OK;
    }
    if (status == VZ_OK)
        status = vz_json_parse(vz_buf_slice(&text), &doc, &root, err);
    if (status == VZ_OK) {
        struct vz_json_iter it = vz_json_iterate(root);
        while (status == VZ_OK && vz_json_next(&it, NULL, &module))
            status = add_module(f, module, err);
        vz_json_free(doc);
    }
    vz_buf_deinit(&text);
    return status;
}

/* sentence_bert_config.json's max_seq_length; nothing when there is none. */
static void read_max_tokens(struct folder *f)
{
    struct vz_buf text = {0};
    struct vz_json_doc *doc;
    struct vz_json root, value;
    if (read_file(f->encoder_path.data, VZ_SLICE(""), "sentence_bert_config.json", &text, NULL) ==
            VZ_OK &&
        vz_json_parse(vz_buf_slice(&text), &doc, &root, NULL) == VZ_OK) {
        if (vz_json_get(root, "max_seq_length", &value) && vz_json_int(value) > 0)
            f->max_tokens = (size_t)vz_json_int(value);
        vz_json_free(doc);
    }
    vz_buf_deinit(&text);
}

enum vz_status vz_text_model_open(const char *path, enum vz_text_task task,
                                  const struct vz_nn_options *options, struct vz_text_model **out,
                                  struct vz_error *err)
{
    struct folder f = {.path = path};
    struct vz_weights *weights = NULL;
    struct vz_buf text = {0};
    bool embed = task == VZ_TEXT_EMBED;
    *out = NULL;
    vz_buf_append_str(&f.encoder_path, path);
    enum vz_status status = embed ? read_modules(&f, err) : VZ_OK;
    if (status == VZ_OK)
        status = read_file(f.encoder_path.data, VZ_SLICE(""), "config.json", &text, err);
    if (status == VZ_OK)
        status = vz_text_config_read(vz_buf_slice(&text), &f.config, err);
    if (status == VZ_OK)
        status = vz_weights_open(f.encoder_path.data, &weights, err);
    if (status == VZ_OK) {
        struct vz_tensor_source source = vz_source_of_weights(weights);
        struct vz_weights *all[1 + VZ_MAX_DENSE] = {weights};
        struct packed_place place = {path, all, 1 + f.modules.dense_count};
        memcpy(all + 1, f.dense, f.modules.dense_count * sizeof *all);
        status =
            model_make(&f.config, embed ? &f.modules : NULL, &source, options, &place, out, err);
    }
    if (status == VZ_OK) {
        read_max_tokens(&f);
        (*out)->weights = weights;
        if (f.max_tokens)
            (*out)->max_tokens = VZ_MIN((*out)->max_tokens, f.max_tokens);
    } else if (weights) {
        vz_weights_close(weights);
    }
    for (size_t i = 0; i < f.modules.dense_count; i++)
        vz_weights_close(f.dense[i]);
    vz_buf_deinit(&f.encoder_path);
    vz_buf_deinit(&text);
    return status;
}

/* ---- running ---- */

struct job {
    const struct vz_text_model *m;
    const struct vz_text_ids *texts;
    float *out;
};

/* Token, position and segment of one text, summed. x: [text->count, width] */
static void embed_tokens(const struct vz_text_model *m, const struct vz_text_ids *text, float *x)
{
    const struct vz_text_config *c = &m->config;
    bool from_pad = counts_from_pad(c->family);
    size_t width = c->width, seen = 0;
    for (size_t t = 0; t < text->count; t++, x += width) {
        bool pad = from_pad && text->ids[t] == c->pad_id;
        seen += !pad;
        size_t at = !from_pad ? t : pad ? c->pad_id : c->pad_id + seen;
        const float *position = m->positions + at * width;
        /* One row of segments means all are the same, whatever the tokenizer says. */
        size_t type = text->types && c->types > 1 ? text->types[t] : 0;
        const float *segment = m->types ? m->types + type * width : NULL;
        vz_table_read(&m->token_vectors, text->ids[t], x);
        for (size_t d = 0; d < width; d++)
            x[d] += segment ? position[d] + segment[d] : position[d];
    }
}

/* x [count, width] -> out [width] */
static void pool(enum vz_pooling pooling, const float *x, size_t count, size_t width, float *out)
{
    memcpy(out, x, width * sizeof *out);
    for (size_t t = 1; t < count; t++)
        for (size_t d = 0; d < width; d++) {
            float v = x[t * width + d];
            out[d] = pooling != VZ_POOL_MAX ? out[d] + v : v > out[d] ? v : out[d];
        }
    float scale = pooling == VZ_POOL_MEAN        ? 1.0f / (float)count
                  : pooling == VZ_POOL_MEAN_SQRT ? 1.0f / sqrtf((float)count)
                                                 : 1.0f;
    for (size_t d = 0; d < width; d++)
        out[d] *= scale;
}

/* Dense layers and length; pooled: [P, width], P = vz_linear_rows(count). */
static enum vz_status finish(const struct job *job, struct vz_scratch *scratch, float *pooled,
                             size_t count, float *out, struct vz_error *err)
{
    const struct vz_text_model *m = job->m;
    float *rows = pooled;
    for (size_t i = 0; i < m->dense_count; i++) {
        const struct dense *dense = &m->dense[i];
        size_t width = vz_linear_out(dense->linear);
        /* [P, width], and the next layer reads rows of a multiple of 16 */
        if (i + 1 < m->dense_count && width % 16)
            return vz_fail(err, VZ_UNSUPPORTED, "a dense layer of %zu inside a model", width);
        float *next = vz_scratch_take(scratch, vz_linear_rows(count), width * sizeof *next);
        if (!next)
            return vz_fail(err, VZ_BUDGET, "no memory for %zu texts", count);
        enum vz_status status = vz_linear_floats(dense->linear, scratch, rows, count, next, err);
        if (status != VZ_OK)
            return status;
        if (dense->activation != VZ_ACT_NONE)
            vz_activate(m->nn, dense->activation, next, count * width);
        rows = next;
    }
    for (size_t i = 0; i < count && m->unit; i++)
        vz_unit_length(m->nn, rows + i * m->dims, m->dims);
    memcpy(out, rows, count * m->dims * sizeof *out);
    return VZ_OK;
}

static enum vz_status run_piece(void *arg, struct vz_scratch *scratch, size_t first, size_t last,
                                struct vz_error *err)
{
    const struct job *job = arg;
    const struct vz_text_model *m = job->m;
    size_t width = m->config.width, count = last - first, rows = 0;
    bool one_row = m->pooling == VZ_POOL_CLS || m->pooling == VZ_POOL_LAST;
    struct vz_sequence *sequences = vz_scratch_take(scratch, count, sizeof *sequences);
    if (!sequences)
        return vz_fail(err, VZ_BUDGET, "no memory for %zu texts", count);
    for (size_t i = 0; i < count; i++) {
        size_t len = job->texts[first + i].count;
        sequences[i] = (struct vz_sequence){rows, len, m->pooling == VZ_POOL_LAST ? len - 1 : 0};
        rows += len;
    }
    size_t padded = vz_linear_rows(rows);
    float *x = vz_scratch_take(scratch, padded, width * sizeof *x); /* [P, width] */
    /* [P', width], P' >= count */
    float *pooled = vz_scratch_take(scratch, vz_linear_rows(count), width * sizeof *pooled);
    if (!x || !pooled)
        return vz_fail(err, VZ_BUDGET, "no memory for %zu tokens", rows);
    for (size_t i = 0; i < count; i++)
        embed_tokens(m, &job->texts[first + i], x + sequences[i].first * width);
    vz_norm_run(m->nn, &m->norm, x, rows);
    enum vz_status status = vz_encoder_run(m->encoder, scratch, x, sequences, count, err);
    if (status != VZ_OK)
        return status;
    for (size_t i = 0; i < count && !one_row; i++)
        pool(m->pooling, x + sequences[i].first * width, sequences[i].count, width,
             pooled + i * width);
    if (one_row)
        memcpy(pooled, x, count * width * sizeof *x);
    return finish(job, scratch, pooled, count, job->out + first * m->dims, err);
}

static size_t text_rows(void *arg, size_t i)
{
    return ((const struct job *)arg)->texts[i].count;
}

static enum vz_status check_text(const struct vz_text_model *m, const struct vz_text_ids *text,
                                 struct vz_error *err)
{
    if (text->count == 0)
        return vz_fail(err, VZ_BAD_ARGUMENT, "a text without tokens");
    if (text->count > m->max_tokens)
        return vz_fail(err, VZ_LIMIT, "a text of %zu tokens, the model takes %zu", text->count,
                       m->max_tokens);
    for (size_t i = 0; i < text->count; i++) {
        if (text->ids[i] >= m->config.vocab)
            return vz_fail(err, VZ_BAD_ARGUMENT, "token %u of a vocabulary of %zu", text->ids[i],
                           m->config.vocab);
        if (text->types && m->config.types > 1 && text->types[i] >= m->config.types)
            return vz_fail(err, VZ_BAD_ARGUMENT, "segment %u of %zu", text->types[i],
                           m->config.types);
    }
    return VZ_OK;
}

enum vz_status vz_text_model_run(const struct vz_text_model *m, const struct vz_text_ids *texts,
                                 size_t count, float *out, struct vz_error *err)
{
    for (size_t i = 0; i < count; i++) {
        enum vz_status status = check_text(m, &texts[i], err);
        if (status != VZ_OK)
            return status;
    }
    struct job job = {m, texts, out};
    return vz_nn_run_rows(m->nn, count, text_rows, PIECE_ROWS, run_piece, &job, err);
}
