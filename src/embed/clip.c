/* CLIP (Radford et al. 2021), in the shape of transformers' CLIPModel.
 *
 * Pictures: patches [side / patch]^2 times the patch matrix (a convolution without overlap is a
 * multiplication), CLS in front, positions added, norm, encoder, the CLS row normed and projected.
 * Texts: token and position rows, encoder with a causal mask, the end token's row normed and
 * projected. A text computes its own length only: the mask makes the 77-token padding of other
 * programs change nothing but the time.
 *
 * Pieces of about PIECE_ROWS rows keep a layer's rows in the second cache, while the weights stream
 * through it once a piece.
 */
#include "embed/clip.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/file.h"
#include "nn/encoder.h"
#include "nn/packed.h"
#include "nn/table.h"

#define PIECE_ROWS 200
#define MAX_CONFIG_BYTES (1u << 20)

struct tower {
    struct vz_encoder *encoder;
    struct vz_norm norm; /* behind the encoder */
    struct vz_linear *projection;
    const float *positions; /* [positions, width] */
};

struct vz_clip {
    struct vz_clip_config config;
    struct vz_nn *nn;
    struct vz_weights *weights; /* owned; NULL with vz_clip_new */
    struct tower image, text;
    struct vz_norm pre;
    struct vz_linear *patches;
    const float *cls;              /* [width] */
    struct vz_table token_vectors; /* [vocab, width] */
    size_t grid;                   /* patches a side */
};

/* ---- making ---- */

static enum vz_status read_floats(const struct vz_clip *clip, const struct vz_tensor_source *source,
                                  const char *name, size_t count, const float **out,
                                  struct vz_error *err)
{
    const struct vz_tensor_view *view;
    enum vz_status status = vz_source_need(source, count, &view, err, "%s", name);
    if (status == VZ_OK)
        status = vz_floats_init(clip->nn, view, out, err);
    return status;
}

static enum vz_status find_layer(const struct vz_tensor_source *source, const char *tower, size_t i,
                                 struct vz_layer_weights *w, struct vz_error *err)
{
    const struct {
        const struct vz_tensor_view **weight, **bias;
        const char *name;
    } tensors[] = {
        {&w->q_weight, &w->q_bias, "self_attn.q_proj"},
        {&w->k_weight, &w->k_bias, "self_attn.k_proj"},
        {&w->v_weight, &w->v_bias, "self_attn.v_proj"},
        {&w->out_weight, &w->out_bias, "self_attn.out_proj"},
        {&w->norm1_weight, &w->norm1_bias, "layer_norm1"},
        {&w->up_weight, &w->up_bias, "mlp.fc1"},
        {&w->down_weight, &w->down_bias, "mlp.fc2"},
        {&w->norm2_weight, &w->norm2_bias, "layer_norm2"},
    };
    enum vz_status status = VZ_OK;
    for (size_t t = 0; t < VZ_COUNT_OF(tensors) && status == VZ_OK; t++) {
        status = vz_source_need(source, 0, tensors[t].weight, err,
                                "%s.encoder.layers.%zu.%s.weight", tower, i, tensors[t].name);
        if (status == VZ_OK)
            status = vz_source_need(source, 0, tensors[t].bias, err,
                                    "%s.encoder.layers.%zu.%s.bias", tower, i, tensors[t].name);
    }
    return status;
}

struct tower_names {
    const char *tower, *norm, *projection;
};

static enum vz_status tower_init(struct vz_clip *clip, const struct vz_tensor_source *source,
                                 const struct vz_clip_tower *c, const struct tower_names *names,
                                 bool causal, size_t positions, struct tower *out,
                                 struct vz_error *err)
{
    struct vz_encoder_config config = {.layers = c->layers,
                                       .width = c->width,
                                       .heads = c->heads,
                                       .mlp = c->mlp,
                                       .activation = c->activation,
                                       .eps = c->eps,
                                       .pre_norm = true,
                                       .causal = causal,
                                       .one_row = true};
    struct vz_layer_weights *layers = vz_calloc(c->layers, sizeof *layers);
    enum vz_status status = VZ_OK;
    char name[80];
    for (size_t i = 0; i < c->layers && status == VZ_OK; i++)
        status = find_layer(source, names->tower, i, &layers[i], err);
    if (status == VZ_OK)
        status = vz_encoder_new(clip->nn, &config, layers, &out->encoder, err);
    free(layers);
    if (status != VZ_OK)
        return status;
    const struct vz_tensor_view *projection;
    status = vz_norm_init(clip->nn, &out->norm, c->width, c->eps,
                          vz_source_find(source, "%s.%s.weight", names->tower, names->norm),
                          vz_source_find(source, "%s.%s.bias", names->tower, names->norm), err);
    if (status == VZ_OK)
        status = vz_source_need(source, clip->config.dims * c->width, &projection, err, "%s.weight",
                                names->projection);
    if (status == VZ_OK) {
        struct vz_linear_part part = {.weight = projection};
        status =
            vz_linear_new(clip->nn, VZ_PRECISION_F32, c->width, &part, 1, &out->projection, err);
    }
    snprintf(name, sizeof name, "%s.embeddings.position_embedding.weight", names->tower);
    if (status == VZ_OK)
        status = read_floats(clip, source, name, positions * c->width, &out->positions, err);
    return status;
}

static enum vz_status image_init(struct vz_clip *clip, const struct vz_tensor_source *source,
                                 struct vz_error *err)
{
    static const struct tower_names names = {"vision_model", "post_layernorm", "visual_projection"};
    const struct vz_clip_config *c = &clip->config;
    size_t width = c->image.width, cells = 3 * c->patch * c->patch;
    struct vz_linear_part part = {0};
    clip->grid = c->image_side / c->patch;
    enum vz_status status = tower_init(clip, source, &c->image, &names, false,
                                       clip->grid * clip->grid + 1, &clip->image, err);
    if (status == VZ_OK)
        status = vz_norm_init(clip->nn, &clip->pre, width, c->image.eps,
                              vz_source_find(source, "vision_model.pre_layrnorm.weight"),
                              vz_source_find(source, "vision_model.pre_layrnorm.bias"), err);
    if (status == VZ_OK)
        status = read_floats(clip, source, "vision_model.embeddings.class_embedding", width,
                             &clip->cls, err);
    if (status == VZ_OK)
        status = vz_source_need(source, width * cells, &part.weight, err,
                                "vision_model.embeddings.patch_embedding.weight");
    if (status == VZ_OK)
        status = vz_linear_new(clip->nn, VZ_PRECISION_AUTO, cells, &part, 1, &clip->patches, err);
    return status;
}

static enum vz_status text_init(struct vz_clip *clip, const struct vz_tensor_source *source,
                                struct vz_error *err)
{
    static const struct tower_names names = {"text_model", "final_layer_norm", "text_projection"};
    const struct vz_clip_config *c = &clip->config;
    const struct vz_tensor_view *tokens;
    enum vz_status status =
        tower_init(clip, source, &c->text, &names, true, c->positions, &clip->text, err);
    if (status == VZ_OK)
        status = vz_source_need(source, c->vocab * c->text.width, &tokens, err,
                                "text_model.embeddings.token_embedding.weight");
    if (status == VZ_OK)
        status =
            vz_table_init(clip->nn, tokens, c->vocab, c->text.width, &clip->token_vectors, err);
    return status;
}

/* `folder` NULL: no packed file. Takes `weights` (may be NULL) when it is made. */
static enum vz_status clip_make(const struct vz_clip_config *config,
                                const struct vz_tensor_source *source,
                                const struct vz_nn_options *options, const char *folder,
                                struct vz_weights *weights, struct vz_clip **out,
                                struct vz_error *err)
{
    *out = NULL;
    struct vz_clip *clip = vz_calloc(1, sizeof *clip);
    clip->config = *config;
    enum vz_status status = vz_nn_new(options, &clip->nn, err);
    if (status == VZ_OK && folder)
        vz_packed_begin(clip->nn, folder, &weights, 1);
    if (status == VZ_OK)
        status = image_init(clip, source, err);
    if (status == VZ_OK)
        status = text_init(clip, source, err);
    if (clip->nn)
        vz_packed_end(clip->nn, status == VZ_OK);
    if (status != VZ_OK) {
        vz_clip_free(clip);
        return status;
    }
    clip->weights = weights;
    *out = clip;
    return VZ_OK;
}

enum vz_status vz_clip_new(const struct vz_clip_config *config,
                           const struct vz_tensor_source *source,
                           const struct vz_nn_options *options, struct vz_clip **out,
                           struct vz_error *err)
{
    return clip_make(config, source, options, NULL, NULL, out, err);
}

static void tower_deinit(struct tower *tower)
{
    vz_encoder_free(tower->encoder);
    vz_linear_free(tower->projection);
}

void vz_clip_free(struct vz_clip *clip)
{
    if (!clip)
        return;
    tower_deinit(&clip->image);
    tower_deinit(&clip->text);
    vz_linear_free(clip->patches);
    vz_nn_free(clip->nn);
    if (clip->weights)
        vz_weights_close(clip->weights);
    free(clip);
}

static enum vz_status read_configs(const char *folder, struct vz_clip_config *config,
                                   struct vz_error *err)
{
    struct vz_buf path = {0}, text = {0};
    vz_buf_printf(&path, "%s/config.json", folder);
    enum vz_status status = vz_file_read(path.data, MAX_CONFIG_BYTES, &text, err);
    if (status == VZ_OK)
        status = vz_clip_config_read(vz_buf_slice(&text), config, err);
    if (status == VZ_OK) {
        vz_buf_clear(&path);
        vz_buf_clear(&text);
        vz_buf_printf(&path, "%s/preprocessor_config.json", folder);
        if (vz_file_read(path.data, MAX_CONFIG_BYTES, &text, NULL) == VZ_OK)
            status = vz_clip_config_read_preprocessor(vz_buf_slice(&text), config, err);
    }
    vz_buf_deinit(&path);
    vz_buf_deinit(&text);
    return status;
}

enum vz_status vz_clip_open(const char *folder, const struct vz_nn_options *options,
                            struct vz_clip **out, struct vz_error *err)
{
    *out = NULL;
    struct vz_buf inner = {0};
    struct vz_clip_config config;
    struct vz_weights *weights = NULL;
    vz_buf_printf(&inner, "%s/0_CLIPModel", folder);
    enum vz_status status = read_configs(folder, &config, err);
    if (status == VZ_NOT_FOUND && read_configs(inner.data, &config, NULL) == VZ_OK) {
        status = VZ_OK;
        folder = inner.data;
    }
    if (status == VZ_OK)
        status = vz_weights_open(folder, &weights, err);
    if (status == VZ_OK) {
        struct vz_tensor_source source = vz_source_of_weights(weights);
        status = clip_make(&config, &source, options, folder, weights, out, err);
    }
    if (status != VZ_OK && weights)
        vz_weights_close(weights);
    vz_buf_deinit(&inner);
    return status;
}

const struct vz_clip_config *vz_clip_config(const struct vz_clip *clip)
{
    return &clip->config;
}

enum vz_precision vz_clip_precision(const struct vz_clip *clip)
{
    return vz_nn_precision(clip->nn);
}

size_t vz_clip_bytes(const struct vz_clip *clip)
{
    const struct vz_clip_config *c = &clip->config;
    return vz_encoder_bytes(clip->image.encoder) + vz_encoder_bytes(clip->text.encoder) +
           vz_linear_bytes(clip->image.projection) + vz_linear_bytes(clip->text.projection) +
           vz_linear_bytes(clip->patches) + vz_table_bytes(&clip->token_vectors) +
           sizeof(float) *
               ((clip->grid * clip->grid + 2) * c->image.width + c->positions * c->text.width);
}

static size_t tower_parameters(const struct vz_clip_tower *t)
{
    size_t layer = 4 * t->width * t->width + 2 * t->width * t->mlp + 9 * t->width + t->mlp;
    return t->layers * layer + 2 * t->width;
}

size_t vz_clip_parameters(const struct vz_clip *clip)
{
    const struct vz_clip_config *c = &clip->config;
    return tower_parameters(&c->image) + tower_parameters(&c->text) +
           c->image.width * (3 * c->patch * c->patch + clip->grid * clip->grid + 4) +
           c->text.width * (c->vocab + c->positions) + c->dims * (c->image.width + c->text.width);
}

bool vz_clip_shared(const struct vz_clip *clip)
{
    return vz_packed_shared(clip->nn);
}

/* ---- pictures ---- */

size_t vz_clip_pixel_count(const struct vz_clip *clip)
{
    return 3 * clip->config.image_side * clip->config.image_side;
}

enum vz_status vz_clip_preprocess_at(const struct vz_image *image, size_t side, const float mean[3],
                                     const float deviation[3], float *out, struct vz_error *err)
{
    int64_t w = image->width, h = image->height, s = (int64_t)side;
    int64_t new_w = w <= h ? s : s * w / h, new_h = w <= h ? s * h / w : s;
    struct vz_image sized = {0};
    if (new_w > 65535 || new_h > 65535)
        return vz_fail(err, VZ_BAD_ARGUMENT, "a picture of %d x %d pixels is too narrow",
                       image->width, image->height);
    if (new_w != w || new_h != h) {
        enum vz_status status = vz_image_resize(image, (int)new_w, (int)new_h, &sized, err);
        if (status != VZ_OK)
            return status;
        image = &sized;
    }
    float levels[3][256]; /* what a byte becomes: PyTorch's steps, each rounded to f32 */
    for (size_t c = 0; c < 3; c++)
        for (int v = 0; v < 256; v++)
            levels[c][v] = ((float)v / 255.0f - mean[c]) / deviation[c];
    size_t left = (size_t)(new_w - s) / 2, top = (size_t)(new_h - s) / 2;
    for (size_t y = 0; y < side; y++) {
        const uint8_t *row = image->rgb + ((top + y) * (size_t)new_w + left) * 3;
        for (size_t c = 0; c < 3; c++) {
            float *to = out + (c * side + y) * side;
            for (size_t x = 0; x < side; x++)
                to[x] = levels[c][row[3 * x + c]];
        }
    }
    vz_image_deinit(&sized);
    return VZ_OK;
}

enum vz_status vz_clip_preprocess(const struct vz_clip *clip, const struct vz_image *image,
                                  float *out, struct vz_error *err)
{
    return vz_clip_preprocess_at(image, clip->config.image_side, clip->config.mean,
                                 clip->config.deviation, out, err);
}

struct job {
    const struct vz_clip *clip;
    const float *pixels;
    const struct vz_text_ids *texts;
    bool unit;
    float *out;
};

/* [3, side, side] -> [grid * grid, cells], cells >= 3 * patch * patch, zeros behind */
static void cut_patches(const struct vz_clip *clip, const float *pixels, size_t cells, float *out)
{
    size_t side = clip->config.image_side, patch = clip->config.patch, grid = clip->grid;
    for (size_t gy = 0; gy < grid; gy++)
        for (size_t gx = 0; gx < grid; gx++, out += cells) {
            float *to = out;
            for (size_t c = 0; c < 3; c++)
                for (size_t y = 0; y < patch; y++, to += patch)
                    memcpy(to, pixels + (c * side + gy * patch + y) * side + gx * patch,
                           patch * sizeof(float));
            memset(to, 0, (cells - 3 * patch * patch) * sizeof(float));
        }
}

/* The picked rows of x -> vectors. */
static enum vz_status project(const struct job *job, const struct tower *tower,
                              struct vz_scratch *scratch, float *x, size_t count, float *out,
                              struct vz_error *err)
{
    size_t dims = job->clip->config.dims;
    float *vectors = vz_scratch_take(scratch, vz_linear_rows(count), dims * sizeof(float));
    if (!vectors)
        return vz_fail(err, VZ_BUDGET, "no memory for %zu vectors", count);
    vz_norm_run(job->clip->nn, &tower->norm, x, count);
    enum vz_status status =
        vz_linear_floats(tower->projection, scratch, x, count, vectors, err); /* [count, dims] */
    if (status != VZ_OK)
        return status;
    for (size_t i = 0; i < count && job->unit; i++)
        vz_unit_length(job->clip->nn, vectors + i * dims, dims);
    memcpy(out, vectors, count * dims * sizeof(float));
    return VZ_OK;
}

static enum vz_status image_piece(void *arg, struct vz_scratch *scratch, size_t first, size_t last,
                                  struct vz_error *err)
{
    const struct job *job = arg;
    const struct vz_clip *clip = job->clip;
    size_t width = clip->config.image.width, cells = vz_linear_in(clip->patches);
    size_t count = last - first, spots = clip->grid * clip->grid, tokens = spots + 1;
    /* [P, width], P >= count * (1 + spots) */
    float *x = vz_scratch_take(scratch, vz_linear_rows(count * tokens), width * sizeof(float));
    size_t mark = vz_scratch_mark(scratch);
    /* [P, cells] and [P, width], P >= count * spots */
    float *cut = vz_scratch_take(scratch, vz_linear_rows(count * spots), cells * sizeof(float));
    float *seen = vz_scratch_take(scratch, vz_linear_rows(count * spots), width * sizeof(float));
    struct vz_sequence *sequences = vz_scratch_take(scratch, count, sizeof *sequences);
    if (!x || !cut || !seen || !sequences)
        return vz_fail(err, VZ_BUDGET, "no memory for %zu pictures", count);
    for (size_t i = 0; i < count; i++)
        cut_patches(clip, job->pixels + (first + i) * vz_clip_pixel_count(clip), cells,
                    cut + i * spots * cells);
    enum vz_status status = vz_linear_floats(clip->patches, scratch, cut, count * spots, seen, err);
    if (status != VZ_OK)
        return status;
    for (size_t i = 0; i < count; i++)
        for (size_t t = 0; t < tokens; t++) {
            const float *from = t ? seen + (i * spots + t - 1) * width : clip->cls;
            const float *position = clip->image.positions + t * width;
            float *to = x + (i * tokens + t) * width;
            for (size_t d = 0; d < width; d++)
                to[d] = from[d] + position[d];
        }
    vz_scratch_release(scratch, mark);
    sequences = vz_scratch_take(scratch, count, sizeof *sequences);
    if (!sequences)
        return vz_fail(err, VZ_BUDGET, "no memory for %zu pictures", count);
    for (size_t i = 0; i < count; i++)
        sequences[i] = (struct vz_sequence){i * tokens, tokens, 0};
    vz_norm_run(clip->nn, &clip->pre, x, count * tokens);
    status = vz_encoder_run(clip->image.encoder, scratch, x, sequences, count, err);
    if (status != VZ_OK)
        return status;
    return project(job, &clip->image, scratch, x, count, job->out + first * clip->config.dims, err);
}

enum vz_status vz_clip_embed_images(const struct vz_clip *clip, const float *pixels, size_t count,
                                    bool unit, float *out, struct vz_error *err)
{
    size_t tokens = clip->grid * clip->grid + 1;
    struct job job = {.clip = clip, .pixels = pixels, .unit = unit, .out = out};
    return vz_nn_run_even(clip->nn, count, VZ_MAX(PIECE_ROWS / tokens, 1), image_piece, &job, err);
}

/* ---- texts ---- */

static size_t end_of(const struct vz_clip *clip, const struct vz_text_ids *text)
{
    size_t at = 0;
    for (size_t i = 0; i < text->count; i++) {
        if (clip->config.eos_id != 2 && text->ids[i] == clip->config.eos_id)
            return i;
        if (clip->config.eos_id == 2 && text->ids[i] > text->ids[at])
            at = i;
    }
    return at;
}

static enum vz_status text_piece(void *arg, struct vz_scratch *scratch, size_t first, size_t last,
                                 struct vz_error *err)
{
    const struct job *job = arg;
    const struct vz_clip *clip = job->clip;
    size_t width = clip->config.text.width, count = last - first, rows = 0;
    struct vz_sequence *sequences = vz_scratch_take(scratch, count, sizeof *sequences);
    if (!sequences)
        return vz_fail(err, VZ_BUDGET, "no memory for %zu texts", count);
    for (size_t i = 0; i < count; i++) {
        const struct vz_text_ids *text = &job->texts[first + i];
        sequences[i] = (struct vz_sequence){rows, text->count, end_of(clip, text)};
        rows += text->count;
    }
    float *x =
        vz_scratch_take(scratch, vz_linear_rows(rows), width * sizeof(float)); /* [P, width] */
    if (!x)
        return vz_fail(err, VZ_BUDGET, "no memory for %zu tokens", rows);
    for (size_t i = 0; i < count; i++) {
        const struct vz_text_ids *text = &job->texts[first + i];
        for (size_t t = 0; t < text->count; t++) {
            const float *position = clip->text.positions + t * width;
            float *to = x + (sequences[i].first + t) * width;
            vz_table_read(&clip->token_vectors, text->ids[t], to);
            for (size_t d = 0; d < width; d++)
                to[d] += position[d];
        }
    }
    enum vz_status status = vz_encoder_run(clip->text.encoder, scratch, x, sequences, count, err);
    if (status != VZ_OK)
        return status;
    return project(job, &clip->text, scratch, x, count, job->out + first * clip->config.dims, err);
}

static enum vz_status check_text(const struct vz_clip *clip, const struct vz_text_ids *text,
                                 struct vz_error *err)
{
    if (text->count == 0)
        return vz_fail(err, VZ_BAD_ARGUMENT, "a text without tokens");
    if (text->count > clip->config.positions)
        return vz_fail(err, VZ_LIMIT, "a text of %zu tokens, the model takes %zu", text->count,
                       clip->config.positions);
    for (size_t i = 0; i < text->count; i++)
        if (text->ids[i] >= clip->config.vocab)
            return vz_fail(err, VZ_BAD_ARGUMENT, "token %u of a vocabulary of %zu", text->ids[i],
                           clip->config.vocab);
    return VZ_OK;
}

static size_t text_rows(void *arg, size_t i)
{
    return ((const struct job *)arg)->texts[i].count;
}

enum vz_status vz_clip_embed_texts(const struct vz_clip *clip, const struct vz_text_ids *texts,
                                   size_t count, bool unit, float *out, struct vz_error *err)
{
    for (size_t i = 0; i < count; i++) {
        enum vz_status status = check_text(clip, &texts[i], err);
        if (status != VZ_OK)
            return status;
    }
    struct job job = {.clip = clip, .texts = texts, .unit = unit, .out = out};
    return vz_nn_run_rows(clip->nn, count, text_rows, PIECE_ROWS, text_piece, &job, err);
}
