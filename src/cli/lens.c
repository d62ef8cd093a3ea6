#include "cli/lens.h"

#include "app/dogs.h"
#include "base/text.h"
#include "embed/registry.h"

#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/stat.h>

static bool is_eye(const char *name)
{
    return strcmp(name, VZ_EYE_ID) == 0 || strcmp(name, "eye") == 0;
}

static bool is_folder_name(const char *name)
{
    return name[0] == '/' || name[0] == '.';
}

static void set_model(struct vz_lens *lens, const struct vz_model *model)
{
    snprintf(lens->model.name, sizeof lens->model.name, "%s", model->name);
    snprintf(lens->model.digest, sizeof lens->model.digest, "%s", model->digest);
    snprintf(lens->folder, sizeof lens->folder, "%s", model->folder);
}

/* By name, among the installed ones. */
static enum vz_status find_model(const char *data, const char *name, struct vz_lens *lens,
                                 struct vz_error *err)
{
    struct vz_buf folder = {0}, store = {0};
    struct vz_arena arena = {0};
    struct vz_model model;
    vz_data_folder(data, &folder);
    vz_models_folder(folder.data, &store);
    enum vz_status status = vz_model_find(store.data, name, &arena, &model, err);
    if (status == VZ_OK)
        set_model(lens, &model);
    vz_buf_deinit(&folder);
    vz_buf_deinit(&store);
    vz_arena_deinit(&arena);
    return status;
}

/* The installed model with these weights, whatever it is called. */
static bool find_weights(const char *data, const char *digest, struct vz_lens *lens)
{
    struct vz_buf folder = {0}, store = {0};
    struct vz_arena arena = {0};
    struct vz_model_list list = {0};
    bool found = false;
    vz_data_folder(data, &folder);
    vz_models_folder(folder.data, &store);
    if (vz_model_list(store.data, &arena, &list, NULL) == VZ_OK)
        for (size_t i = 0; i < list.count && !found; i++)
            if (strcmp(list.models[i].digest, digest) == 0) {
                set_model(lens, &list.models[i]);
                found = true;
            }
    vz_buf_deinit(&folder);
    vz_buf_deinit(&store);
    vz_arena_deinit(&arena);
    return found;
}

/* A name, a folder or the eye; fills lens->model and folder, dims not yet. */
static enum vz_status resolve(const char *data, const char *name, struct vz_lens *lens,
                              struct vz_error *err)
{
    char path[PATH_MAX];
    if (is_eye(name)) {
        snprintf(lens->model.name, sizeof lens->model.name, "%s", VZ_EYE_ID);
        lens->model.digest[0] = lens->folder[0] = '\0';
        return VZ_OK;
    }
    if (!is_folder_name(name))
        return find_model(data, name, lens, err);
    if (!realpath(name, path))
        return vz_fail(err, VZ_NOT_FOUND, "there is no model folder %s", name);
    /* A folder without a manifest has no digest: its path is its name. */
    if (strlen(path) >= sizeof lens->model.name)
        return vz_fail(err, VZ_LIMIT, "the path %s is too long for a model's name", path);
    snprintf(lens->model.name, sizeof lens->model.name, "%s", path);
    snprintf(lens->folder, sizeof lens->folder, "%s", path);
    return VZ_OK;
}

/* The model that the index remembers, as it is installed here. */
static enum vz_status resolve_remembered(const char *data, const struct vz_app_model *remembered,
                                         const char *index, struct vz_lens *lens,
                                         struct vz_error *err)
{
    struct vz_error why = {0};
    enum vz_status status = resolve(data, remembered->name, lens, &why);
    if (status == VZ_OK && vz_app_model_same(&lens->model, remembered))
        return VZ_OK;
    if (remembered->digest[0] && find_weights(data, remembered->digest, lens))
        return VZ_OK;
    if (status == VZ_OK)
        return vz_fail(err, VZ_CONFLICT,
                       "the vectors of index [%s] were made by other weights of [%s] than are "
                       "installed here; to make them again: vizsla reindex --model %s --index %s",
                       index, remembered->name, remembered->name, index);
    return vz_fail(err, status,
                   "the vectors of index [%s] were made by [%s], which is not installed here: "
                   "vizsla models pull %s; or make them again with another: vizsla reindex "
                   "--model eye --index %s",
                   index, remembered->name, remembered->name, index);
}

/* ---- a server that looks instead ----------------------------------------------------------- */

const struct vz_transport *vz_lens_server(struct vz_reach *reach)
{
    return strncmp(vz_reach_where(reach), "http", 4) == 0 ? vz_reach_transport(reach) : NULL;
}

/* Whether the server has the model that the index remembers, the same weights. */
static bool server_has(const struct vz_transport *server, const struct vz_app_model *remembered)
{
    struct vz_buf path = {0};
    struct vz_json_doc *doc;
    struct vz_json root, configs, config, value;
    bool has = false;
    vz_buf_append_str(&path, "/_ml/trained_models/");
    vz_api_escape(&path, remembered->name);
    if (vz_api_ask(server, "GET", path.data, (struct vz_slice){0}, "asking for the model", &doc,
                   &root, NULL) == VZ_OK &&
        vz_json_get(root, "trained_model_configs", &configs)) {
        struct vz_json_iter it = vz_json_iterate(configs);
        if (vz_json_next(&it, NULL, &config))
            has =
                vz_json_get_path(config, "metadata.digest", &value) &&
                (!remembered->digest[0] || vz_slice_is(vz_json_string(value), remembered->digest));
    }
    vz_json_free(doc);
    vz_buf_deinit(&path);
    return has;
}

/* `input` is JSON: a text, or a picture. */
static enum vz_status ask_server(const struct vz_lens *lens, struct vz_slice input, float *out,
                                 struct vz_error *err)
{
    struct vz_buf path = {0}, body = {0};
    struct vz_json_doc *doc = NULL;
    struct vz_json root, list, first, vector;
    size_t count = 0;
    vz_buf_append_str(&path, "/_inference/embedding/");
    vz_api_escape(&path, lens->model.name);
    vz_buf_append_str(&body, "{\"input\":[");
    vz_buf_append_slice(&body, input);
    vz_buf_append_str(&body, "]}");
    enum vz_status status = vz_api_ask(lens->server, "POST", path.data, vz_buf_slice(&body),
                                       "having the server look", &doc, &root, err);
    if (status == VZ_OK) {
        struct vz_json_iter it = {0};
        if (vz_json_get(root, "embeddings", &list))
            it = vz_json_iterate(list);
        if (!it.end || !vz_json_next(&it, NULL, &first) ||
            !vz_json_get(first, "embedding", &vector) ||
            vz_json_floats(vector, out, lens->model.dims, &count, NULL) != VZ_OK ||
            count != lens->model.dims)
            status = vz_api_strange("having the server look", err);
    }
    vz_json_free(doc);
    vz_buf_deinit(&path);
    vz_buf_deinit(&body);
    return status;
}

static enum vz_status server_text(const struct vz_lens *lens, const char *text, float *out,
                                  struct vz_error *err)
{
    struct vz_buf input = {0};
    struct vz_json_writer w = vz_json_writer_on(&input);
    vz_json_begin_object(&w);
    vz_json_field_str(&w, "type", "text");
    vz_json_field_str(&w, "value", text);
    vz_json_end_object(&w);
    enum vz_status status = ask_server(lens, vz_buf_slice(&input), out, err);
    vz_buf_deinit(&input);
    return status;
}

static enum vz_status server_picture(const struct vz_lens *lens, struct vz_slice bytes, float *out,
                                     struct vz_error *err)
{
    struct vz_buf input = {0};
    vz_buf_append_str(&input, "{\"type\":\"image\",\"format\":\"base64\",\"value\":\"");
    vz_base64_encode(bytes.ptr, bytes.len, &input);
    vz_buf_append_str(&input, "\"}");
    enum vz_status status = ask_server(lens, vz_buf_slice(&input), out, err);
    vz_buf_deinit(&input);
    return status;
}

/* ---- choosing ------------------------------------------------------------------------------ */

static enum vz_status choose(const struct vz_lens_want *want, const struct vz_app_model *remembered,
                             const char *index, struct vz_lens *lens, struct vz_error *err)
{
    if (want->model)
        return resolve(want->data, want->model, lens, err);
    if (remembered && remembered->name[0]) {
        enum vz_status status = resolve_remembered(want->data, remembered, index, lens, err);
        if (status == VZ_OK || !want->server || !remembered->dims ||
            !server_has(want->server, remembered))
            return status;
        lens->server = want->server;
        lens->model = *remembered;
        return VZ_OK;
    }
    lens->by_default = true;
    if (find_model(want->data, VZ_LENS_DEFAULT, lens, NULL) == VZ_OK)
        return VZ_OK;
    return resolve(want->data, VZ_EYE_ID, lens, err);
}

static enum vz_status open_texts(const struct vz_lens_want *want, struct vz_lens *lens,
                                 struct vz_error *err)
{
    struct vz_lens other = {0};
    enum vz_status status = resolve(want->data, want->text_model, &other, err);
    if (status == VZ_OK)
        status =
            vz_model_open(other.folder[0] ? other.folder : NULL, &want->options, &lens->texts, err);
    if (status == VZ_OK && !vz_model_reads(lens->texts))
        status = vz_fail(err, VZ_UNSUPPORTED, "[%s] reads no texts", other.model.name);
    if (status == VZ_OK && vz_model_dims(lens->texts) != lens->model.dims)
        status = vz_fail(err, VZ_CONFLICT,
                         "vectors of [%s] have %zu numbers, those of [%s] %u: they are not of one "
                         "space",
                         other.model.name, vz_model_dims(lens->texts), lens->model.name,
                         lens->model.dims);
    return status;
}

enum vz_status vz_lens_open(const struct vz_lens_want *want, const struct vz_app_model *remembered,
                            const char *index, struct vz_lens *lens, struct vz_error *err)
{
    *lens = (struct vz_lens){0};
    enum vz_status status = choose(want, remembered, index, lens, err);
    if (status == VZ_OK && lens->server && want->text_model)
        status = vz_fail(err, VZ_UNSUPPORTED,
                         "--text-model needs [%s] installed here too: vizsla models pull %s",
                         lens->model.name, lens->model.name);
    if (lens->server)
        return status;
    if (status == VZ_OK && remembered) /* before a model is opened for nothing */
        status = vz_dog_repository_check_model(index, remembered, &lens->model, err);
    if (status == VZ_OK)
        status = vz_model_open(lens->folder[0] ? lens->folder : NULL, &want->options, &lens->images,
                               err);
    if (status == VZ_OK) {
        lens->model.dims = (uint32_t)vz_model_dims(lens->images);
        lens->texts = lens->images;
        if (remembered)
            status = vz_dog_repository_check_model(index, remembered, &lens->model, err);
    }
    if (status == VZ_OK && !vz_model_sees(lens->images))
        status = vz_fail(err, VZ_UNSUPPORTED,
                         "[%s] reads texts and sees no pictures; clip-ViT-B-32 does both",
                         lens->model.name);
    if (status == VZ_OK && want->text_model)
        status = open_texts(want, lens, err);
    if (status != VZ_OK)
        vz_lens_close(lens);
    return status;
}

enum vz_status vz_lens_open_for(const struct vz_lens_want *want,
                                const struct vz_transport *transport, const char *index,
                                struct vz_lens *lens, struct vz_error *err)
{
    struct vz_api_about about;
    *lens = (struct vz_lens){0};
    enum vz_status status = vz_api_about(transport, index, &about, err);
    if (status == VZ_NO_INDEX)
        return vz_lens_open(want, NULL, index, lens, err);
    if (status != VZ_OK)
        return status;
    status = vz_lens_open(want, &about.model, index, lens, err);
    vz_api_about_deinit(&about);
    return status;
}

void vz_lens_close(struct vz_lens *lens)
{
    if (lens->texts != lens->images)
        vz_model_close(lens->texts);
    vz_model_close(lens->images);
    lens->images = lens->texts = NULL;
}

/* Models end in a unit vector, or not; sums of several need it. */
static void make_unit(float *vector, size_t dims)
{
    double sum = 0;
    for (size_t i = 0; i < dims; i++)
        sum += (double)vector[i] * vector[i];
    if (!(sum > 0))
        return;
    float scale = (float)(1 / sqrt(sum));
    for (size_t i = 0; i < dims; i++)
        vector[i] *= scale;
}

enum vz_status vz_lens_text(const struct vz_lens *lens, const char *text, float *out,
                            struct vz_error *err)
{
    bool truncated = false;
    if (lens->server)
        return server_text(lens, text, out, err);
    enum vz_status status =
        vz_model_embed_text(lens->texts, vz_slice_from(text), out, &truncated, err);
    if (status != VZ_OK)
        return status;
    make_unit(out, lens->model.dims);
    if (truncated)
        fprintf(stderr, "vizsla: the text is longer than the model reads; its end was cut off\n");
    return VZ_OK;
}

enum vz_status vz_lens_picture(const struct vz_lens *lens, struct vz_slice bytes,
                               const struct vz_image_limits *limits, float *out,
                               struct vz_error *err)
{
    struct vz_image image = {0};
    if (lens->server)
        return server_picture(lens, bytes, out, err);
    enum vz_status status =
        vz_image_decode(bytes, limits, vz_model_image_side(lens->images), &image, err);
    if (status == VZ_OK)
        status = vz_model_embed_image(lens->images, &image, out, err);
    vz_image_deinit(&image);
    return status;
}

void vz_lens_say(const struct vz_lens *lens, const char *index)
{
    if (!lens->by_default)
        return;
    if (lens->folder[0])
        fprintf(stderr, "vizsla: the new index %s uses the installed model %s (--model chooses)\n",
                index, lens->model.name);
    else
        fprintf(stderr,
                "vizsla: the new index %s uses the built-in eye; CLIP sees far better and also "
                "reads: vizsla models pull %s, then vizsla reindex --model %s --index %s\n",
                index, VZ_LENS_DEFAULT, VZ_LENS_DEFAULT, index);
}

bool vz_lens_is_picture(const char *word)
{
    static const char *const endings[] = {".jpg",  ".jpeg", ".png",  ".webp", ".gif", ".tif",
                                          ".tiff", ".heic", ".heif", ".avif", ".svg", ".bmp"};
    struct stat info;
    if (stat(word, &info) == 0)
        return !S_ISDIR(info.st_mode) || strchr(word, '/');
    size_t len = strlen(word);
    for (size_t i = 0; i < VZ_COUNT_OF(endings); i++) {
        size_t ending = strlen(endings[i]);
        if (len > ending && strcasecmp(word + len - ending, endings[i]) == 0)
            return true;
    }
    return strchr(word, '/') && !strchr(word, ' ');
}
