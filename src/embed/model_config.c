#include "embed/model_config.h"

#include "json/json.h"

/* The largest of each that any model we know comes near. */
#define MAX_LAYERS 256
#define MAX_WIDTH 8192
#define MAX_MLP 65536
#define MAX_VOCAB (1u << 24)
#define MAX_POSITIONS (1u << 20)
#define MAX_SIDE 4096

static enum vz_status read_size(struct vz_json object, const char *key, size_t fallback,
                                size_t least, size_t most, size_t *out, struct vz_error *err)
{
    struct vz_json value;
    *out = fallback;
    if (!vz_json_get(object, key, &value) || vz_json_type(value) == VZ_JSON_NULL)
        return VZ_OK;
    int64_t number = vz_json_int(value);
    if (!vz_json_is_number(value) || number < (int64_t)least || number > (int64_t)most)
        return vz_fail(err, VZ_CORRUPT, "model config: [%s] must be a number from %zu to %zu", key,
                       least, most);
    *out = (size_t)number;
    return VZ_OK;
}

static float read_float(struct vz_json object, const char *key, float fallback)
{
    struct vz_json value;
    return vz_json_get(object, key, &value) && vz_json_is_number(value)
               ? (float)vz_json_double(value)
               : fallback;
}

enum vz_status vz_activation_read(struct vz_slice name, enum vz_activation *out,
                                  struct vz_error *err)
{
    static const struct {
        const char *name;
        enum vz_activation activation;
    } known[] = {
        {"gelu", VZ_ACT_GELU},
        {"quick_gelu", VZ_ACT_QUICK_GELU},
        {"gelu_new", VZ_ACT_GELU_TANH},
        {"gelu_fast", VZ_ACT_GELU_TANH},
        {"gelu_pytorch_tanh", VZ_ACT_GELU_TANH},
        {"relu", VZ_ACT_RELU},
        {"silu", VZ_ACT_SILU},
        {"swish", VZ_ACT_SILU},
        {"tanh", VZ_ACT_TANH},
        {"torch.nn.modules.linear.Identity", VZ_ACT_NONE},
        {"torch.nn.modules.activation.Tanh", VZ_ACT_TANH},
        {"torch.nn.modules.activation.ReLU", VZ_ACT_RELU},
        {"torch.nn.modules.activation.GELU", VZ_ACT_GELU},
        {"torch.nn.modules.activation.SiLU", VZ_ACT_SILU},
    };
    for (size_t i = 0; i < VZ_COUNT_OF(known); i++)
        if (vz_slice_is(name, known[i].name)) {
            *out = known[i].activation;
            return VZ_OK;
        }
    return vz_fail(err, VZ_UNSUPPORTED, "model config: activation [%.*s] is not supported",
                   (int)VZ_MIN(name.len, 60), name.ptr);
}

static enum vz_status read_activation(struct vz_json object, const char *key,
                                      enum vz_activation fallback, enum vz_activation *out,
                                      struct vz_error *err)
{
    struct vz_json value;
    *out = fallback;
    if (!vz_json_get(object, key, &value))
        return VZ_OK;
    return vz_activation_read(vz_json_string(value), out, err);
}

/* ---- CLIP ---- */

static enum vz_status read_tower(struct vz_json o, const struct vz_clip_tower *defaults,
                                 struct vz_clip_tower *out, struct vz_error *err)
{
    enum vz_status s =
        read_size(o, "num_hidden_layers", defaults->layers, 1, MAX_LAYERS, &out->layers, err);
    if (s == VZ_OK)
        s = read_size(o, "hidden_size", defaults->width, 16, MAX_WIDTH, &out->width, err);
    if (s == VZ_OK)
        s = read_size(o, "num_attention_heads", defaults->heads, 1, MAX_WIDTH, &out->heads, err);
    if (s == VZ_OK)
        s = read_size(o, "intermediate_size", defaults->mlp, 16, MAX_MLP, &out->mlp, err);
    if (s == VZ_OK)
        s = read_activation(o, "hidden_act", VZ_ACT_QUICK_GELU, &out->activation, err);
    out->eps = read_float(o, "layer_norm_eps", 1e-5f);
    return s;
}

static enum vz_status clip_config_read(struct vz_json root, struct vz_clip_config *c,
                                       struct vz_error *err)
{
    static const struct vz_clip_tower text_defaults = {
        .layers = 12, .width = 512, .heads = 8, .mlp = 2048};
    static const struct vz_clip_tower image_defaults = {
        .layers = 12, .width = 768, .heads = 12, .mlp = 3072};
    struct vz_json text = {0}, image = {0}, type;
    if (vz_json_get(root, "model_type", &type) && !vz_slice_is(vz_json_string(type), "clip"))
        return vz_fail(err, VZ_UNSUPPORTED, "model config: model_type [%.*s] is not clip",
                       (int)VZ_MIN(vz_json_string(type).len, 60), vz_json_string(type).ptr);
    vz_json_get(root, "text_config", &text);
    vz_json_get(root, "vision_config", &image);
    enum vz_status s = read_tower(text, &text_defaults, &c->text, err);
    if (s == VZ_OK)
        s = read_tower(image, &image_defaults, &c->image, err);
    if (s == VZ_OK)
        s = read_size(image, "image_size", 224, 16, MAX_SIDE, &c->image_side, err);
    if (s == VZ_OK)
        s = read_size(image, "patch_size", 32, 4, MAX_SIDE, &c->patch, err);
    if (s == VZ_OK)
        s = read_size(text, "vocab_size", 49408, 3, MAX_VOCAB, &c->vocab, err);
    if (s == VZ_OK)
        s = read_size(text, "max_position_embeddings", 77, 2, MAX_POSITIONS, &c->positions, err);
    size_t eos = 0;
    if (s == VZ_OK)
        s = read_size(text, "eos_token_id", 49407, 0, MAX_VOCAB, &eos, err);
    c->eos_id = (uint32_t)eos;
    if (s == VZ_OK)
        s = read_size(root, "projection_dim", 512, 1, MAX_WIDTH, &c->dims, err);
    if (s == VZ_OK && (c->image_side % c->patch || c->image_side / c->patch > 256))
        s = vz_fail(err, VZ_CORRUPT, "model config: pictures of %zu pixels in patches of %zu",
                    c->image_side, c->patch);
    return s;
}

enum vz_status vz_clip_config_read(struct vz_slice json, struct vz_clip_config *out,
                                   struct vz_error *err)
{
    *out = (struct vz_clip_config){.mean = {0.48145466f, 0.4578275f, 0.40821073f},
                                   .deviation = {0.26862954f, 0.26130258f, 0.27577711f}};
    struct vz_json_doc *doc;
    struct vz_json root;
    enum vz_status status = vz_json_parse(json, &doc, &root, err);
    if (status != VZ_OK)
        return status;
    status = clip_config_read(root, out, err);
    vz_json_free(doc);
    return status;
}

static enum vz_status read_channels(struct vz_json root, const char *key, float out[3],
                                    struct vz_error *err)
{
    struct vz_json value;
    size_t count = 0;
    if (!vz_json_get(root, key, &value))
        return VZ_OK;
    enum vz_status status = vz_json_floats(value, out, 3, &count, err);
    if (status == VZ_OK && count != 3)
        status = vz_fail(err, VZ_CORRUPT, "preprocessor config: [%s] must have 3 numbers", key);
    return status;
}

enum vz_status vz_clip_config_read_preprocessor(struct vz_slice json, struct vz_clip_config *config,
                                                struct vz_error *err)
{
    struct vz_json_doc *doc;
    struct vz_json root, crop;
    enum vz_status status = vz_json_parse(json, &doc, &root, err);
    if (status != VZ_OK)
        return status;
    status = read_channels(root, "image_mean", config->mean, err);
    if (status == VZ_OK)
        status = read_channels(root, "image_std", config->deviation, err);
    for (int i = 0; i < 3 && status == VZ_OK; i++)
        if (!(config->deviation[i] > 0))
            status = vz_fail(err, VZ_CORRUPT, "preprocessor config: [image_std] must be positive");
    size_t side = config->image_side;
    if (status == VZ_OK && vz_json_get(root, "crop_size", &crop)) {
        if (vz_json_type(crop) == VZ_JSON_OBJECT)
            status = read_size(crop, "height", side, 1, MAX_SIDE, &side, err);
        else
            status = read_size(root, "crop_size", side, 1, MAX_SIDE, &side, err);
    }
    if (status == VZ_OK && side != config->image_side)
        status =
            vz_fail(err, VZ_UNSUPPORTED, "preprocessor config: crops %zu pixels for a model of %zu",
                    side, config->image_side);
    vz_json_free(doc);
    return status;
}

/* ---- text models ---- */

static enum vz_status read_family(struct vz_json root, enum vz_text_family *out,
                                  struct vz_error *err)
{
    static const struct {
        const char *name;
        enum vz_text_family family;
    } known[] = {
        {"bert", VZ_FAMILY_BERT},         {"distilbert", VZ_FAMILY_DISTILBERT},
        {"roberta", VZ_FAMILY_ROBERTA},   {"xlm-roberta", VZ_FAMILY_ROBERTA},
        {"camembert", VZ_FAMILY_ROBERTA}, {"mpnet", VZ_FAMILY_MPNET},
    };
    struct vz_json type;
    if (!vz_json_get(root, "model_type", &type))
        return vz_fail(err, VZ_CORRUPT, "model config: [model_type] is missing");
    struct vz_slice name = vz_json_string(type);
    for (size_t i = 0; i < VZ_COUNT_OF(known); i++)
        if (vz_slice_is(name, known[i].name)) {
            *out = known[i].family;
            return VZ_OK;
        }
    return vz_fail(err, VZ_UNSUPPORTED, "model config: model_type [%.*s] is not supported",
                   (int)VZ_MIN(name.len, 60), name.ptr);
}

static enum vz_status text_config_read(struct vz_json root, struct vz_text_config *c,
                                       struct vz_error *err)
{
    enum vz_status s = read_family(root, &c->family, err);
    if (s != VZ_OK)
        return s;
    /* Only a relative bias is absent from these: position_embedding_type of old BERT files. */
    struct vz_json kind;
    if (vz_json_get(root, "position_embedding_type", &kind) &&
        vz_json_type(kind) == VZ_JSON_STRING && !vz_slice_is(vz_json_string(kind), "absolute"))
        return vz_fail(err, VZ_UNSUPPORTED, "model config: position_embedding_type [%.*s]",
                       (int)VZ_MIN(vz_json_string(kind).len, 60), vz_json_string(kind).ptr);
    bool distil = c->family == VZ_FAMILY_DISTILBERT;
    size_t vocab = c->family == VZ_FAMILY_ROBERTA ? 50265
                   : c->family == VZ_FAMILY_MPNET ? 30527
                                                  : 30522;
    size_t pad = c->family == VZ_FAMILY_ROBERTA || c->family == VZ_FAMILY_MPNET;
    s = read_size(root, distil ? "n_layers" : "num_hidden_layers", distil ? 6 : 12, 1, MAX_LAYERS,
                  &c->layers, err);
    if (s == VZ_OK)
        s = read_size(root, distil ? "dim" : "hidden_size", 768, 16, MAX_WIDTH, &c->width, err);
    if (s == VZ_OK)
        s = read_size(root, distil ? "n_heads" : "num_attention_heads", 12, 1, MAX_WIDTH, &c->heads,
                      err);
    if (s == VZ_OK)
        s = read_size(root, distil ? "hidden_dim" : "intermediate_size", 3072, 16, MAX_MLP, &c->mlp,
                      err);
    if (s == VZ_OK)
        s = read_size(root, "vocab_size", vocab, 1, MAX_VOCAB, &c->vocab, err);
    if (s == VZ_OK)
        s = read_size(root, "max_position_embeddings", 512, 1, MAX_POSITIONS, &c->positions, err);
    if (s == VZ_OK)
        s = read_size(root, "type_vocab_size", 2, 0, 1024, &c->types, err);
    if (s == VZ_OK)
        s = read_size(root, "pad_token_id", pad, 0, MAX_VOCAB, &pad, err);
    if (s == VZ_OK)
        s = read_size(root, "relative_attention_num_buckets", 32, 4, 4096, &c->relative_buckets,
                      err);
    if (s == VZ_OK)
        s = read_activation(root, distil ? "activation" : "hidden_act", VZ_ACT_GELU, &c->activation,
                            err);
    c->pad_id = (uint32_t)pad;
    c->eps = distil ? 1e-12f : read_float(root, "layer_norm_eps", 1e-12f);
    if (distil || c->family == VZ_FAMILY_MPNET)
        c->types = 0;
    struct vz_json labels;
    if (vz_json_get(root, "id2label", &labels))
        c->labels = vz_json_count(labels);
    return s;
}

enum vz_status vz_text_config_read(struct vz_slice json, struct vz_text_config *out,
                                   struct vz_error *err)
{
    *out = (struct vz_text_config){0};
    struct vz_json_doc *doc;
    struct vz_json root;
    enum vz_status status = vz_json_parse(json, &doc, &root, err);
    if (status != VZ_OK)
        return status;
    status = text_config_read(root, out, err);
    vz_json_free(doc);
    return status;
}

static bool is_true(struct vz_json root, const char *key)
{
    struct vz_json value;
    return vz_json_get(root, key, &value) && vz_json_bool(value);
}

enum vz_status vz_pooling_read(struct vz_slice json, enum vz_pooling *out, struct vz_error *err)
{
    static const struct {
        const char *key, *word;
        enum vz_pooling pooling;
    } modes[] = {
        {"pooling_mode_mean_tokens", "mean", VZ_POOL_MEAN},
        {"pooling_mode_cls_token", "cls", VZ_POOL_CLS},
        {"pooling_mode_max_tokens", "max", VZ_POOL_MAX},
        {"pooling_mode_lasttoken", "lasttoken", VZ_POOL_LAST},
        {"pooling_mode_mean_sqrt_len_tokens", "mean_sqrt_len_tokens", VZ_POOL_MEAN_SQRT},
        {"pooling_mode_weightedmean_tokens", "weightedmean", (enum vz_pooling) - 1},
    };
    struct vz_json_doc *doc;
    struct vz_json root, word = {0};
    enum vz_status status = vz_json_parse(json, &doc, &root, err);
    if (status != VZ_OK)
        return status;
    int found = 0;
    vz_json_get(root, "pooling_mode", &word); /* sentence-transformers since 5 */
    for (size_t i = 0; i < VZ_COUNT_OF(modes); i++)
        if (is_true(root, modes[i].key) || vz_slice_is(vz_json_string(word), modes[i].word)) {
            *out = modes[i].pooling;
            found++;
        }
    vz_json_free(doc);
    if (found != 1 || (int)*out < 0)
        return vz_fail(err, VZ_UNSUPPORTED,
                       "pooling config: expected one of mean, cls, max, "
                       "lasttoken or mean_sqrt_len_tokens");
    return VZ_OK;
}
