/* embed/traced.c - what traced_match.c recognised, as files: weights, configuration, modules, in
 * the layout that transformers and sentence-transformers write.
 */
#include "embed/traced.h"

#include <errno.h>
#include <stdlib.h>
#include <stdio.h>
#include <unistd.h>

#include "base/file.h"
#include "embed/text_names.h"
#include "embed/traced_parts.h"
#include "embed/vocabulary.h"
#include "json/json.h"

struct unpack {
    const struct vz_traced_upload *upload;
    struct vz_error *err;
    struct traced_model model;
    struct vz_json config, vocabulary; /* roots */
    struct vz_slice task;              /* "text_embedding", ... */
    struct vz_json task_options;
};

/* ---- writing ------------------------------------------------------------------------------- */

static enum vz_status write_text(struct unpack *u, const char *name, struct vz_slice text)
{
    struct vz_buf path = {0};
    vz_buf_printf(&path, "%s/%s", u->upload->folder, name);
    enum vz_status status = vz_file_write_atomic(path.data, text.ptr, text.len, u->err);
    vz_buf_deinit(&path);
    return status;
}

static enum vz_status write_buffer(struct unpack *u, const char *name, struct vz_buf *text)
{
    enum vz_status status = write_text(u, name, vz_buf_slice(text));
    vz_buf_deinit(text);
    return status;
}

static enum vz_status make_folder(struct unpack *u, const char *name)
{
    struct vz_buf path = {0};
    vz_buf_printf(&path, "%s/%s", u->upload->folder, name);
    enum vz_status status = vz_mkdir_all(path.data, u->err);
    vz_buf_deinit(&path);
    return status;
}

/* ---- weights: safetensors ------------------------------------------------------------------ */

struct tensor_list {
    struct vz_buf header; /* JSON */
    struct vz_json_writer w;
    const struct vz_tensor_view **views;
    size_t count, capacity;
    uint64_t bytes;
};

static void tensor_list_begin(struct tensor_list *list)
{
    *list = (struct tensor_list){0};
    list->w = vz_json_writer_on(&list->header);
    vz_json_begin_object(&list->w);
}

static void tensor_put(struct tensor_list *list, const char *name,
                       const struct vz_tensor_view *view)
{
    struct vz_json_writer *w = &list->w;
    if (!view)
        return;
    uint64_t bytes = view->count * vz_dtype_bytes(view->dtype);
    vz_json_key(w, name);
    vz_json_begin_object(w);
    vz_json_field_str(w, "dtype", vz_dtype_name(view->dtype));
    vz_json_key(w, "shape");
    vz_json_begin_array(w);
    for (unsigned i = 0; i < view->rank; i++)
        vz_json_put_uint(w, view->dims[i]);
    vz_json_end_array(w);
    vz_json_key(w, "data_offsets");
    vz_json_begin_array(w);
    vz_json_put_uint(w, list->bytes);
    vz_json_put_uint(w, list->bytes + bytes);
    vz_json_end_array(w);
    vz_json_end_object(w);
    list->bytes += bytes;
    if (list->count == list->capacity) {
        list->capacity = list->capacity ? list->capacity * 2 : 64;
        list->views = vz_realloc(list->views, list->capacity * sizeof(*list->views));
    }
    list->views[list->count++] = view;
}

static void linear_put(struct tensor_list *list, const char *name,
                       const struct traced_linear *linear)
{
    char whole[200];
    snprintf(whole, sizeof whole, "%s.weight", name);
    tensor_put(list, whole, linear->weight);
    snprintf(whole, sizeof whole, "%s.bias", name);
    tensor_put(list, whole, linear->bias);
}

static void norm_put(struct tensor_list *list, const char *name, const struct traced_norm *norm)
{
    struct traced_linear pair = {norm->weight, norm->bias};
    linear_put(list, name, &pair);
}

/* The header's length, the header padded to 8 bytes, the tensors. */
static enum vz_status tensor_list_write(struct unpack *u, struct tensor_list *list,
                                        const char *name)
{
    struct vz_buf path = {0};
    vz_json_end_object(&list->w);
    while (list->header.len % 8)
        vz_buf_append_str(&list->header, " ");
    vz_buf_printf(&path, "%s/%s", u->upload->folder, name);
    uint64_t len = list->header.len;
    enum vz_status status = VZ_OK;
    FILE *file = fopen(path.data, "wb");
    bool good = file && fwrite(&len, sizeof len, 1, file) == 1 &&
                fwrite(list->header.data, list->header.len, 1, file) == 1;
    for (size_t i = 0; i < list->count && good; i++) {
        const struct vz_tensor_view *view = list->views[i];
        size_t bytes = (size_t)view->count * vz_dtype_bytes(view->dtype);
        good = bytes == 0 || fwrite(view->data, bytes, 1, file) == 1;
    }
    good = good && fflush(file) == 0 && fsync(fileno(file)) == 0;
    if (!good)
        status = vz_fail_errno(u->err, errno, "cannot write %s", path.data);
    if (file)
        fclose(file);
    free(list->views);
    vz_buf_deinit(&list->header);
    vz_buf_deinit(&path);
    return status;
}

static void layer_put(struct tensor_list *list, const struct vz_text_naming *names, size_t i,
                      const struct traced_layer *layer)
{
    const struct {
        const char *name;
        const struct traced_linear *linear;
    } linears[] = {{names->q, &layer->q},     {names->k, &layer->k},   {names->v, &layer->v},
                   {names->out, &layer->out}, {names->up, &layer->up}, {names->down, &layer->down}};
    char name[160];
    for (size_t n = 0; n < VZ_COUNT_OF(linears); n++) {
        snprintf(name, sizeof name, "%s.%zu.%s", names->layer, i, linears[n].name);
        linear_put(list, name, linears[n].linear);
    }
    snprintf(name, sizeof name, "%s.%zu.%s", names->layer, i, names->norm1);
    norm_put(list, name, &layer->norm1);
    snprintf(name, sizeof name, "%s.%zu.%s", names->layer, i, names->norm2);
    norm_put(list, name, &layer->norm2);
}

static enum vz_status write_weights(struct unpack *u)
{
    const struct traced_model *m = &u->model;
    const struct vz_text_naming *names = &vz_text_namings[m->family];
    struct tensor_list list;
    tensor_list_begin(&list);
    tensor_put(&list, "embeddings.word_embeddings.weight", m->words);
    tensor_put(&list, "embeddings.position_embeddings.weight", m->positions);
    tensor_put(&list, "embeddings.token_type_embeddings.weight", m->types);
    norm_put(&list, "embeddings.LayerNorm", &m->norm);
    tensor_put(&list, "encoder.relative_attention_bias.weight", m->relative);
    for (size_t i = 0; i < m->layer_count; i++)
        layer_put(&list, names, i, &m->layers[i]);
    for (size_t i = 0; i < 2 && m->is_classifier; i++)
        linear_put(&list, names->head[i], &m->head[i]);
    return tensor_list_write(u, &list, "model.safetensors");
}

/* ---- configuration ------------------------------------------------------------------------- */

static void write_labels(struct unpack *u, struct vz_json_writer *w)
{
    struct vz_json labels = {0};
    vz_json_get(u->task_options, "classification_labels", &labels);
    size_t count = (size_t)u->model.head[1].weight->dims[0], i = 0;
    vz_json_key(w, "id2label");
    vz_json_begin_object(w);
    struct vz_json_iter it = vz_json_iterate(labels);
    struct vz_json label;
    for (; i < count; i++) {
        char key[24], otherwise[32];
        snprintf(key, sizeof key, "%zu", i);
        snprintf(otherwise, sizeof otherwise, "LABEL_%zu", i);
        bool named = vz_json_type(labels) == VZ_JSON_ARRAY && vz_json_next(&it, NULL, &label);
        vz_json_field_string(w, key,
                             named ? vz_json_string(label) : vz_slice_from(otherwise));
    }
    vz_json_end_object(w);
}

static enum vz_status write_config(struct unpack *u)
{
    static const struct {
        const char *type, *architecture;
    } families[] = {[VZ_FAMILY_BERT] = {"bert", "Bert"},
                    [VZ_FAMILY_DISTILBERT] = {"distilbert", "DistilBert"},
                    [VZ_FAMILY_ROBERTA] = {"roberta", "Roberta"},
                    [VZ_FAMILY_MPNET] = {"mpnet", "MPNet"}};
    const struct traced_model *m = &u->model;
    bool distil = m->family == VZ_FAMILY_DISTILBERT;
    struct vz_buf text = {0};
    struct vz_json_writer w = vz_json_writer_on(&text);
    char architecture[64];
    snprintf(architecture, sizeof architecture, "%s%s", families[m->family].architecture,
             m->is_classifier ? "ForSequenceClassification" : "Model");
    vz_json_begin_object(&w);
    vz_json_key(&w, "architectures");
    vz_json_begin_array(&w);
    vz_json_put_str(&w, architecture);
    vz_json_end_array(&w);
    vz_json_field_str(&w, "model_type", families[m->family].type);
    vz_json_field_int(&w, distil ? "n_layers" : "num_hidden_layers", (int64_t)m->layer_count);
    vz_json_field_int(&w, distil ? "dim" : "hidden_size", (int64_t)m->width);
    vz_json_field_int(&w, distil ? "n_heads" : "num_attention_heads", (int64_t)m->heads);
    vz_json_field_int(&w, distil ? "hidden_dim" : "intermediate_size", (int64_t)m->mlp);
    vz_json_field_int(&w, "vocab_size", (int64_t)m->words->dims[0]);
    vz_json_field_int(&w, "max_position_embeddings", (int64_t)m->positions->dims[0]);
    vz_json_field_int(&w, "type_vocab_size", m->types ? (int64_t)m->types->dims[0] : 0);
    vz_json_field_int(&w, "pad_token_id", m->pad_id);
    if (m->relative)
        vz_json_field_int(&w, "relative_attention_num_buckets", (int64_t)m->relative->dims[0]);
    vz_json_field_str(&w, distil ? "activation" : "hidden_act", m->activation);
    vz_json_field_double(&w, "layer_norm_eps", m->eps);
    if (m->is_classifier)
        write_labels(u, &w);
    vz_json_end_object(&w);
    return write_buffer(u, "config.json", &text);
}

static void module_put(struct vz_json_writer *w, int64_t i, const char *type, const char *path)
{
    char whole[80];
    snprintf(whole, sizeof whole, "sentence_transformers.models.%s", type);
    vz_json_begin_object(w);
    vz_json_field_int(w, "idx", i);
    vz_json_field_str(w, "path", path);
    vz_json_field_str(w, "type", whole);
    vz_json_end_object(w);
}

static enum vz_status write_dense(struct unpack *u, size_t i, const char *folder)
{
    const struct traced_dense *dense = &u->model.dense[i];
    struct vz_buf text = {0};
    struct vz_json_writer w = vz_json_writer_on(&text);
    struct tensor_list list;
    char name[64];
    enum vz_status status = make_folder(u, folder);
    if (status != VZ_OK)
        return status;
    vz_json_begin_object(&w);
    vz_json_field_int(&w, "in_features", (int64_t)dense->linear.weight->dims[1]);
    vz_json_field_int(&w, "out_features", (int64_t)dense->linear.weight->dims[0]);
    vz_json_field_bool(&w, "bias", dense->linear.bias != NULL);
    vz_json_field_str(&w, "activation_function", dense->activation);
    vz_json_end_object(&w);
    snprintf(name, sizeof name, "%s/config.json", folder);
    status = write_buffer(u, name, &text);
    if (status != VZ_OK)
        return status;
    tensor_list_begin(&list);
    linear_put(&list, "linear", &dense->linear);
    snprintf(name, sizeof name, "%s/model.safetensors", folder);
    return tensor_list_write(u, &list, name);
}

static enum vz_status write_pooling(struct unpack *u)
{
    struct vz_buf text = {0};
    bool mean = u->model.pooling == VZ_POOL_MEAN;
    enum vz_status status = make_folder(u, "1_Pooling");
    if (status != VZ_OK)
        return status;
    vz_buf_printf(&text,
                  "{\"word_embedding_dimension\":%zu,\"pooling_mode_mean_tokens\":%s,"
                  "\"pooling_mode_cls_token\":%s}",
                  u->model.width, mean ? "true" : "false", mean ? "false" : "true");
    return write_buffer(u, "1_Pooling/config.json", &text);
}

/* modules.json and the folders that it names; nothing for a classifier. */
static enum vz_status write_modules(struct unpack *u)
{
    struct vz_buf text = {0};
    struct vz_json_writer w = vz_json_writer_on(&text);
    int64_t next = 0;
    if (u->model.is_classifier)
        return VZ_OK;
    vz_json_begin_array(&w);
    module_put(&w, next++, "Transformer", "");
    module_put(&w, next++, "Pooling", "1_Pooling");
    enum vz_status status = write_pooling(u);
    for (size_t i = 0; i < u->model.dense_count && status == VZ_OK; i++) {
        char folder[32];
        snprintf(folder, sizeof folder, "%d_Dense", (int)next);
        module_put(&w, next++, "Dense", folder);
        status = write_dense(u, i, folder);
    }
    if (u->model.unit)
        module_put(&w, next++, "Normalize", "");
    vz_json_end_array(&w);
    if (status != VZ_OK) {
        vz_buf_deinit(&text);
        return status;
    }
    return write_buffer(u, "modules.json", &text);
}

/* ---- all ----------------------------------------------------------------------------------- */

/* {"inference_config": {TASK: {..}}} */
static enum vz_status read_task(struct unpack *u)
{
    struct vz_json inference;
    if (!vz_json_get(u->config, "inference_config", &inference))
        return vz_fail(u->err, VZ_CORRUPT, "the model's configuration has no [inference_config]");
    struct vz_json_iter it = vz_json_iterate(inference);
    return vz_json_next(&it, &u->task, &u->task_options)
               ? VZ_OK
               : vz_fail(u->err, VZ_CORRUPT, "[inference_config] is empty");
}

static enum vz_status unpack(struct unpack *u)
{
    enum vz_status status = read_task(u);
    struct vz_torchscript *module = NULL;
    if (status == VZ_OK)
        status = vz_torchscript_open(u->upload->definition, &module, u->err);
    if (status == VZ_OK)
        status = traced_match(vz_torchscript_result(module), &u->model, u->err);
    if (status == VZ_OK) {
        bool embeds = vz_slice_is(u->task, "text_embedding");
        u->model.is_classifier &= !embeds;
        if (!embeds && !u->model.is_classifier)
            status = vz_fail(u->err, VZ_UNSUPPORTED,
                             "the traced module has no classification head, which [%.*s] needs",
                             (int)VZ_MIN(u->task.len, 60), u->task.ptr);
    }
    if (status == VZ_OK)
        status = vz_vocabulary_write(u->upload->folder, u->config, u->vocabulary,
                                     (size_t)u->model.words->dims[0], u->err);
    if (status == VZ_OK)
        status = write_weights(u);
    if (status == VZ_OK)
        status = write_config(u);
    if (status == VZ_OK)
        status = write_modules(u);
    vz_torchscript_close(module);
    return status;
}

enum vz_status vz_traced_unpack(const struct vz_traced_upload *upload, struct vz_error *err)
{
    struct unpack u = {.upload = upload, .err = err};
    struct vz_json_doc *config = NULL, *vocabulary = NULL;
    enum vz_status status = vz_json_parse(upload->config, &config, &u.config, err);
    if (status == VZ_OK)
        status = vz_json_parse(upload->vocabulary, &vocabulary, &u.vocabulary, err);
    if (status == VZ_OK)
        status = unpack(&u);
    vz_json_free(config);
    vz_json_free(vocabulary);
    return status;
}
