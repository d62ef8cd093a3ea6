/* Models that clients send, as eland does: a configuration, the definition in parts, a vocabulary.
 *
 * The configuration is a blob of the store; parts lie as files in MODELS/.put/ID until all are
 * there. Then the definition is put together, its kind is told from its first bytes, and what this
 * program can run (eland's traced modules; tensors: safetensors or torch.save's zip) becomes a
 * folder in Hugging Face layout and is imported like any other model, under the same id. What it
 * cannot run is kept, and starting it says why.
 *
 *     configuration --parts, vocabulary--> whole --import--> installed
 *                                            \--cannot be run: why_not in the blob
 *
 * A definition that is tensors needs to know its architecture: the model's config.json, as the
 * member "config" of the configuration's metadata; pooling ("mean", "cls", "max") and "normalize"
 * beside it for sentence models.
 *
 * `put_lock` guards every change of a model that was put, so that two last parts do not both
 * install it. */
#include "rest/ml.h"

#include "base/file.h"
#include "base/log.h"
#include "embed/registry.h"
#include "embed/traced.h"
#include "embed/vocabulary.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define MAX_PARTS 10000
#define MAX_DEFINITION_BYTES ((uint64_t)16 << 30)
#define SPARE_DISK_BYTES ((uint64_t)256 << 20)

static pthread_mutex_t put_lock = PTHREAD_MUTEX_INITIALIZER;

/* ---- where things are ---------------------------------------------------------------------------
 */

/* MODELS/.put/ID and what is in it; ids hold nothing but [a-z0-9._-]. */
static const char *put_path(struct vz_rest *rest, struct vz_slice id, struct vz_arena *arena,
                            const char *name)
{
    return vz_arena_printf(arena, "%s/.put/%.*s%s%s", vz_infer_models_folder(rest->infer), VZ_S(id),
                           *name ? "/" : "", name);
}

struct vz_json_doc *vz_ml_put_config(struct vz_rest *rest, struct vz_slice id,
                                     struct vz_json *config)
{
    struct vz_json root;
    struct vz_json_doc *doc = vz_ml_blob(rest, VZ_BLOB_MODEL, id, &root);
    if (doc && !vz_json_get(root, "config", config)) {
        vz_json_free(doc);
        return NULL;
    }
    return doc;
}

/* ---- the state ----------------------------------------------------------------------------- */

static void count_parts(const char *folder, struct vz_ml_put_state *state)
{
    DIR *dir = opendir(folder);
    struct dirent *entry;
    while (dir && (entry = readdir(dir))) {
        /* And nothing behind the number: an interrupted write leaves "part-3.tmp.77". */
        const char *name = entry->d_name;
        state->parts += strncmp(name, "part-", 5) == 0 && name[5] &&
                        strspn(name + 5, "0123456789") == strlen(name + 5);
        state->has_vocabulary |= strcmp(entry->d_name, "vocabulary.json") == 0;
    }
    if (dir)
        closedir(dir);
}

bool vz_ml_put_state(struct vz_call *call, struct vz_slice id, struct vz_ml_put_state *state)
{
    struct vz_json root;
    struct vz_infer_model model;
    struct vz_json_doc *doc = vz_ml_blob(call->rest, VZ_BLOB_MODEL, id, &root);
    *state = (struct vz_ml_put_state){0};
    if (!doc)
        return false;
    state->created_ms = vz_json_int(vz_ml_get(root, "created_ms"));
    state->total_bytes = (uint64_t)vz_json_int(vz_ml_get(root, "total_bytes"));
    state->total_parts = (uint32_t)vz_json_int(vz_ml_get(root, "total_parts"));
    state->why_not = vz_arena_copy(call->arena, vz_json_string(vz_ml_get(root, "why_not")));
    vz_json_free(doc);
    count_parts(put_path(call->rest, id, call->arena, ""), state);
    state->is_installed =
        vz_infer_find(call->rest->infer, id, call->arena, &model, NULL) == VZ_OK &&
        vz_slice_eq(model.id, id);
    return true;
}

/* Writes the blob anew: the configuration as it is, the state as given. */
static enum vz_status keep(struct vz_rest *rest, struct vz_slice id, struct vz_json config,
                           const struct vz_ml_put_state *state, struct vz_error *err)
{
    struct vz_buf text = {0};
    struct vz_json_writer w = vz_json_writer_on(&text);
    vz_json_begin_object(&w);
    vz_json_key(&w, "config");
    vz_json_put_value(&w, config);
    vz_json_field_int(&w, "created_ms", state->created_ms);
    vz_json_field_int(&w, "total_bytes", (int64_t)state->total_bytes);
    vz_json_field_int(&w, "total_parts", state->total_parts);
    if (state->why_not.len)
        vz_json_field_string(&w, "why_not", state->why_not);
    vz_json_end_object(&w);
    enum vz_status status =
        vz_store_put_blob(rest->store, VZ_BLOB_MODEL, id, vz_buf_slice(&text), err);
    vz_buf_deinit(&text);
    return status;
}

void vz_ml_put_remove(struct vz_rest *rest, struct vz_slice id)
{
    struct vz_arena arena = {0};
    pthread_mutex_lock(&put_lock);
    vz_store_delete_blob(rest->store, VZ_BLOB_MODEL, id, NULL);
    if (rest->infer)
        vz_infer_prefixes(rest->infer, id, (struct vz_slice){0}, (struct vz_slice){0});
    vz_remove_all(put_path(rest, id, &arena, ""), NULL);
    pthread_mutex_unlock(&put_lock);
    vz_arena_deinit(&arena);
}

/* ---- PUT: the configuration ---------------------------------------------------------------- */

static bool check_config(struct vz_call *call, struct vz_json body)
{
    static const char *const known[] = {"model_type",       "description",
                                        "inference_config", "input",
                                        "metadata",         "tags",
                                        "prefix_strings",   "platform_architecture",
                                        "model_size_bytes", "default_field_map"};
    struct vz_json_iter it = vz_json_iterate(body);
    struct vz_slice key, type = vz_json_string(vz_ml_get(body, "model_type"));
    struct vz_json value;
    while (vz_json_next(&it, &key, &value)) {
        size_t i = 0;
        while (i < VZ_COUNT_OF(known) && !vz_slice_is(key, known[i]))
            i++;
        if (i < VZ_COUNT_OF(known))
            continue;
        if (vz_slice_is(key, "definition") || vz_slice_is(key, "compressed_definition"))
            return vz_call_unsupported(call, "[%.*s] inside the configuration (decision trees) is",
                                       VZ_S(key));
        return vz_call_fail(call, 400, "x_content_parse_exception",
                            "[trained_model_config] unknown field [%.*s]", VZ_S(key));
    }
    if (type.len && !vz_slice_is(type, "pytorch"))
        return vz_call_unsupported(call, "model_type [%.*s] is", VZ_S(type));
    struct vz_json inference = vz_ml_get(body, "inference_config");
    if (vz_json_type(inference) != VZ_JSON_OBJECT || vz_json_count(inference) != 1)
        return vz_call_fail(call, 400, "action_request_validation_exception",
                            "Validation Failed: 1: [inference_config] must not be null;");
    return true;
}

/* The lock is held. */
static bool put_locked(struct vz_call *call, struct vz_slice id, struct vz_json body,
                       const struct vz_ml_put_state *state)
{
    struct vz_json config;
    struct vz_infer_model model;
    struct vz_error err = {0};
    struct vz_json_doc *old = vz_ml_put_config(call->rest, id, &config);
    bool exists =
        old || (vz_infer_find(call->rest->infer, id, call->arena, &model, NULL) == VZ_OK &&
                vz_slice_eq(model.id, id));
    vz_json_free(old);
    if (exists)
        return vz_call_fail(call, 400, "resource_already_exists_exception",
                            "Trained machine learning model [%.*s] already exists", VZ_S(id));
    enum vz_status status = vz_mkdir_all(put_path(call->rest, id, call->arena, ""), &err);
    if (status == VZ_OK)
        status = keep(call->rest, id, body, state, &err);
    if (status != VZ_OK)
        return vz_call_fail_error(call, &err, VZ_AT_REQUEST);
    struct vz_json strings = vz_ml_get(body, "prefix_strings");
    if (vz_json_count(strings))
        vz_infer_prefixes(call->rest->infer, id, vz_json_string(vz_ml_get(strings, "search")),
                          vz_json_string(vz_ml_get(strings, "ingest")));
    return true;
}

void vz_rest_ml_put(struct vz_call *call)
{
    struct vz_json body;
    struct vz_slice id = call->args[0];
    const struct vz_ml_put_state state = {.created_ms = vz_wall_ms()};
    if (!vz_ml_there(call) || !vz_ml_check_id(call, "model_id", id) ||
        !vz_call_body(call, VZ_AT_BODY, true, &body) || !check_config(call, body))
        return;
    pthread_mutex_lock(&put_lock);
    bool good = put_locked(call, id, body, &state);
    pthread_mutex_unlock(&put_lock);
    if (!good)
        return;
    /* The configuration comes back with what the server adds. */
    struct vz_json_iter it = vz_json_iterate(body);
    struct vz_slice key;
    struct vz_json value;
    vz_json_begin_object(&call->w);
    vz_json_field_string(&call->w, "model_id", id);
    vz_json_field_str(&call->w, "created_by", "api_user");
    vz_json_field_str(&call->w, "version", "12.0.0");
    vz_json_field_int(&call->w, "create_time", state.created_ms);
    vz_json_field_str(&call->w, "license_level", "basic");
    if (!vz_json_get(body, "tags", &value)) {
        vz_json_key(&call->w, "tags");
        vz_json_put_raw(&call->w, VZ_SLICE("[]"));
    }
    if (!vz_json_get(body, "model_type", &value))
        vz_json_field_str(&call->w, "model_type", "pytorch");
    while (vz_json_next(&it, &key, &value)) {
        vz_json_key_slice(&call->w, key);
        vz_json_put_value(&call->w, value);
    }
    vz_json_end_object(&call->w);
}

/* ---- putting a whole one together ---------------------------------------------------------- */

enum kind { KIND_UNKNOWN, KIND_SAFETENSORS, KIND_TORCH, KIND_TORCHSCRIPT };

static enum vz_status append_file(int to, const char *path, struct vz_error *err)
{
    struct vz_buf bytes = {0};
    enum vz_status status = vz_file_read(path, 0, &bytes, err);
    for (size_t done = 0; status == VZ_OK && done < bytes.len;) {
        ssize_t n = write(to, bytes.data + done, bytes.len - done);
        if (n < 0 && errno != EINTR)
            status = vz_fail_errno(err, errno, "putting a model together");
        done += n > 0 ? (size_t)n : 0;
    }
    vz_buf_deinit(&bytes);
    return status;
}

/* All parts into one file, whose length must be what was announced. */
static enum vz_status join_parts(struct vz_rest *rest, struct vz_slice id, struct vz_arena *arena,
                                 const struct vz_ml_put_state *state, const char *path,
                                 struct vz_error *err)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0)
        return vz_fail_errno(err, errno, "putting model [%.*s] together", VZ_S(id));
    enum vz_status status = VZ_OK;
    for (uint32_t i = 0; i < state->total_parts && status == VZ_OK; i++) {
        char name[32];
        snprintf(name, sizeof name, "part-%u", i);
        status = append_file(fd, put_path(rest, id, arena, name), err);
    }
    off_t bytes = lseek(fd, 0, SEEK_END);
    if (status == VZ_OK && (uint64_t)bytes != state->total_bytes)
        status = vz_fail(err, VZ_BAD_ARGUMENT,
                         "the definition's parts hold %lld bytes together, total_definition_length "
                         "is %llu",
                         (long long)bytes, (unsigned long long)state->total_bytes);
    if (close(fd) != 0 && status == VZ_OK)
        status = vz_fail_errno(err, errno, "putting model [%.*s] together", VZ_S(id));
    return status;
}

/* By the first bytes; a torch.jit.save archive is a torch.save archive with code in it. */
static enum kind kind_of(const char *path)
{
    unsigned char head[16] = {0};
    char tail[65536];
    enum kind kind = KIND_UNKNOWN;
    FILE *file = fopen(path, "rb");
    if (!file)
        return kind;
    size_t got = fread(head, 1, sizeof head, file);
    if (got > 9 && head[8] == '{' && head[3] == 0 && head[7] == 0)
        kind = KIND_SAFETENSORS;
    if (got > 9 && memcmp(head, "PK\3\4", 4) == 0) {
        /* The directory at the end names every member. */
        kind = KIND_TORCH;
        if (fseek(file, 0, SEEK_END) == 0) {
            long bytes = ftell(file), from = VZ_MAX(bytes - (long)sizeof tail, 0l);
            fseek(file, from, SEEK_SET);
            size_t count = fread(tail, 1, sizeof tail, file);
            if (memmem(tail, count, "constants.pkl", 13) ||
                memmem(tail, count, "/code/__torch__", 15))
                kind = KIND_TORCHSCRIPT;
        }
    }
    fclose(file);
    return kind;
}

static enum vz_status write_text(const char *folder, const char *name, struct vz_slice text,
                                 struct vz_error *err)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return vz_file_write_atomic(path, text.ptr, text.len, err);
}

/* A tokenizer's files from the vocabulary as it was put. */
static enum vz_status write_tokenizer(const char *folder, struct vz_slice vocabulary,
                                      struct vz_json config, struct vz_error *err)
{
    struct vz_json_doc *doc;
    struct vz_json root;
    enum vz_status status = vz_json_parse(vocabulary, &doc, &root, err);
    if (status != VZ_OK)
        return status;
    status = vz_vocabulary_write(folder, config, root, 0, err);
    vz_json_free(doc);
    return status;
}

/* modules.json for sentence models: pooling and normalising as the metadata says. */
static enum vz_status write_modules(const char *folder, struct vz_json metadata,
                                    struct vz_error *err)
{
    struct vz_slice pooling = vz_json_string(vz_ml_get(metadata, "pooling"));
    struct vz_json normalize;
    bool unit = !vz_json_get(metadata, "normalize", &normalize) || vz_json_bool(normalize);
    const char *mode = vz_slice_is(pooling, "cls")   ? "pooling_mode_cls_token"
                       : vz_slice_is(pooling, "max") ? "pooling_mode_max_tokens"
                                                     : "pooling_mode_mean_tokens";
    struct vz_buf text = {0}, path = {0};
    if (pooling.len && !vz_slice_is(pooling, "cls") && !vz_slice_is(pooling, "max") &&
        !vz_slice_is(pooling, "mean"))
        return vz_fail(err, VZ_UNSUPPORTED, "metadata.pooling is mean, cls or max, not [%.*s]",
                       VZ_S(pooling));
    vz_buf_printf(&path, "%s/1_Pooling", folder);
    enum vz_status status = vz_mkdir_all(path.data, err);
    vz_buf_printf(&text, "{\"%s\":true}", mode);
    if (status == VZ_OK)
        status = write_text(path.data, "config.json", vz_buf_slice(&text), err);
    vz_buf_clear(&text);
    vz_buf_printf(
        &text,
        "[{\"idx\":0,\"name\":\"0\",\"path\":\"\",\"type\":"
        "\"sentence_transformers.models.Transformer\"},{\"idx\":1,\"name\":\"1\",\"path\":"
        "\"1_Pooling\",\"type\":\"sentence_transformers.models.Pooling\"}%s]",
        unit ? ",{\"idx\":2,\"name\":\"2\",\"path\":\"2_Normalize\",\"type\":"
               "\"sentence_transformers.models.Normalize\"}"
             : "");
    if (status == VZ_OK)
        status = write_text(folder, "modules.json", vz_buf_slice(&text), err);
    vz_buf_deinit(&text);
    vz_buf_deinit(&path);
    return status;
}

/* A program, as eland traces it: what it computes is recognised, never run. */
static enum vz_status write_traced(const char *folder, const char *definition,
                                   struct vz_json config, struct vz_slice vocabulary,
                                   struct vz_error *err)
{
    struct vz_buf text = {0};
    vz_json_print(config, &text);
    const struct vz_traced_upload upload = {.definition = definition,
                                            .config = vz_buf_slice(&text),
                                            .vocabulary = vocabulary,
                                            .folder = folder};
    enum vz_status status = vz_traced_unpack(&upload, err);
    vz_buf_deinit(&text);
    if (status == VZ_OK)
        unlink(definition);
    return status;
}

/* Tensors beside the architecture that the metadata names. */
static enum vz_status write_tensors(const char *folder, enum kind kind, const char *definition,
                                    struct vz_json config, struct vz_slice vocabulary,
                                    struct vz_error *err)
{
    struct vz_json metadata = vz_ml_get(config, "metadata");
    struct vz_json architecture = vz_ml_get(metadata, "config"), embedding;
    struct vz_buf text = {0}, weights = {0};
    if (kind == KIND_UNKNOWN)
        return vz_fail(err, VZ_UNSUPPORTED,
                       "its definition is neither safetensors nor an archive of torch.save");
    if (vz_json_type(architecture) != VZ_JSON_OBJECT)
        return vz_fail(err, VZ_UNSUPPORTED,
                       "its definition is tensors without an architecture: put the model's "
                       "config.json as [metadata.config]");
    vz_json_print(architecture, &text);
    enum vz_status status = write_text(folder, "config.json", vz_buf_slice(&text), err);
    vz_buf_deinit(&text);
    if (status == VZ_OK)
        status = write_tokenizer(folder, vocabulary, config, err);
    if (status == VZ_OK &&
        vz_json_get(vz_ml_get(config, "inference_config"), "text_embedding", &embedding))
        status = write_modules(folder, metadata, err);
    vz_buf_printf(&weights, "%s/%s", folder,
                  kind == KIND_SAFETENSORS ? "model.safetensors" : "pytorch_model.bin");
    if (status == VZ_OK && rename(definition, weights.data) != 0)
        status = vz_fail_errno(err, errno, "putting a model together in %s", folder);
    vz_buf_deinit(&weights);
    return status;
}

/* The folder in Hugging Face layout that is imported. */
static enum vz_status write_folder(struct vz_rest *rest, struct vz_slice id, const char *definition,
                                   struct vz_json config, struct vz_arena *arena,
                                   struct vz_error *err)
{
    const char *folder = put_path(rest, id, arena, "folder");
    struct vz_buf vocabulary = {0};
    enum kind kind = kind_of(definition);
    vz_remove_all(folder, NULL);
    enum vz_status status = vz_mkdir_all(folder, err);
    if (status == VZ_OK)
        status = vz_file_read(put_path(rest, id, arena, "vocabulary.json"), 0, &vocabulary, err);
    struct vz_slice words = vz_buf_slice(&vocabulary);
    if (status == VZ_OK)
        status = kind == KIND_TORCHSCRIPT
                     ? write_traced(folder, definition, config, words, err)
                     : write_tensors(folder, kind, definition, config, words, err);
    vz_buf_deinit(&vocabulary);
    return status;
}

static void drop_parts(struct vz_rest *rest, struct vz_slice id, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        struct vz_arena arena = {0};
        char name[32];
        snprintf(name, sizeof name, "part-%u", i);
        unlink(put_path(rest, id, &arena, name));
        vz_arena_deinit(&arena);
    }
}

/* Installs what is whole. Only a wrong length is the client's error; a model that cannot be run is
 * kept, with the reason. The lock is held. */
static enum vz_status install(struct vz_call *call, struct vz_slice id, struct vz_json config,
                              struct vz_ml_put_state *state, struct vz_error *err)
{
    const char *definition = put_path(call->rest, id, call->arena, "definition");
    const char *folder = put_path(call->rest, id, call->arena, "folder");
    struct vz_error why = {0};
    struct vz_model model;
    enum vz_status status = join_parts(call->rest, id, call->arena, state, definition, err);
    if (status != VZ_OK) {
        unlink(definition);
        return status;
    }
    status = write_folder(call->rest, id, definition, config, call->arena, &why);
    char *name = vz_arena_strdup(call->arena, id);
    const struct vz_model_import import = {.folder = folder, .name = name};
    if (status == VZ_OK)
        status = vz_model_import(vz_infer_models_folder(call->rest->infer), &import, NULL,
                                 call->arena, &model, &why);
    vz_remove_all(folder, NULL);
    if (status == VZ_DISK_FULL || status == VZ_IO || status == VZ_READ_ONLY) {
        *err = why;
        return status; /* the parts stay: sending the last one again tries once more */
    }
    if (status == VZ_OK) {
        vz_remove_all(put_path(call->rest, id, call->arena, ""), NULL);
        return VZ_OK;
    }
    vz_log(VZ_LOG_WARN, "rest", "model [%.*s] was put and cannot be run: %s", VZ_S(id), why.text);
    drop_parts(call->rest, id, state->total_parts);
    state->why_not = vz_arena_copy(call->arena, vz_slice_from(why.text));
    return keep(call->rest, id, config, state, err);
}

static bool install_when_whole(struct vz_call *call, struct vz_slice id, struct vz_json config)
{
    struct vz_ml_put_state state;
    struct vz_error err = {0};
    if (!vz_ml_put_state(call, id, &state) || !state.total_parts ||
        state.parts != state.total_parts || !state.has_vocabulary || state.is_installed)
        return true;
    if (install(call, id, config, &state, &err) == VZ_OK)
        return true;
    return vz_call_fail_error(call, &err, VZ_AT_REQUEST);
}

/* The configuration of a model that is being put; NULL with a problem. The lock is held. */
static struct vz_json_doc *open_put(struct vz_call *call, struct vz_slice id,
                                    struct vz_json *config, struct vz_ml_put_state *state)
{
    struct vz_json_doc *doc = vz_ml_put_config(call->rest, id, config);
    if (!doc || !vz_ml_put_state(call, id, state)) {
        vz_call_fail(call, 404, "resource_not_found_exception",
                     "No known trained model with model_id [%.*s]", VZ_S(id));
    } else if (state->is_installed || state->why_not.len) {
        vz_call_fail(call, 400, "illegal_argument_exception",
                     "model [%.*s] is whole already; delete it to put it anew", VZ_S(id));
    } else {
        return doc;
    }
    vz_json_free(doc);
    return NULL;
}

/* ---- PUT: a part --------------------------------------------------------------------------- */

static bool read_part(struct vz_call *call, struct vz_json body, int64_t *part,
                      struct vz_ml_put_state *state)
{
    struct vz_slice text = call->args[1];
    int64_t parts = vz_json_int(vz_ml_get(body, "total_parts"));
    int64_t bytes = vz_json_int(vz_ml_get(body, "total_definition_length"));
    *part = 0;
    bool number = text.len > 0 && text.len < 8;
    for (size_t i = 0; number && i < text.len; i++) {
        number = text.ptr[i] >= '0' && text.ptr[i] <= '9';
        *part = *part * 10 + (text.ptr[i] - '0');
    }
    const char *wrong =
        !number                                               ? "part must be a number"
        : parts < 1 || parts > MAX_PARTS                      ? "total_parts"
        : bytes < 1 || (uint64_t)bytes > MAX_DEFINITION_BYTES ? "total_definition_length"
        : *part >= parts                                      ? "part must be below total_parts"
        : vz_json_type(vz_ml_get(body, "definition")) != VZ_JSON_STRING ? "definition"
                                                                        : NULL;
    if (wrong)
        return vz_call_fail(call, 400, "action_request_validation_exception",
                            "Validation Failed: 1: [%s] is missing or out of range (at most %d "
                            "parts, %llu bytes);",
                            wrong, MAX_PARTS, (unsigned long long)MAX_DEFINITION_BYTES);
    if (state->total_parts &&
        (state->total_parts != (uint32_t)parts || state->total_bytes != (uint64_t)bytes))
        return vz_call_fail(call, 400, "illegal_argument_exception",
                            "total_parts [%lld] and total_definition_length [%lld] differ from the "
                            "other parts': [%u] and [%llu]",
                            (long long)parts, (long long)bytes, state->total_parts,
                            (unsigned long long)state->total_bytes);
    state->total_parts = (uint32_t)parts;
    state->total_bytes = (uint64_t)bytes;
    return true;
}

static bool write_part(struct vz_call *call, struct vz_slice id, struct vz_slice base64,
                       int64_t part, const struct vz_ml_put_state *state)
{
    struct vz_buf bytes = {0};
    struct vz_error err = {0};
    bool good = vz_base64_decode(base64, &bytes) && bytes.len;
    uint64_t free_bytes = vz_disk_free_bytes(vz_infer_models_folder(call->rest->infer));
    if (!good)
        vz_call_fail(call, 400, "illegal_argument_exception", "[definition] is no base64");
    else if (bytes.len > state->total_bytes)
        good = vz_call_fail(call, 400, "illegal_argument_exception",
                            "the part holds more than total_definition_length");
    /* The parts and what is made of them lie side by side for a moment. */
    else if (free_bytes && free_bytes < 2 * state->total_bytes + SPARE_DISK_BYTES)
        good = vz_call_fail(call, 507, "status_exception",
                            "a model of %llu bytes does not fit on the disk",
                            (unsigned long long)state->total_bytes);
    if (good) {
        char name[32];
        snprintf(name, sizeof name, "part-%lld", (long long)part);
        if (vz_file_write_atomic(put_path(call->rest, id, call->arena, name), bytes.data, bytes.len,
                                 &err) != VZ_OK)
            good = vz_call_fail_error(call, &err, VZ_AT_REQUEST);
    }
    vz_buf_deinit(&bytes);
    return good;
}

void vz_rest_ml_put_part(struct vz_call *call)
{
    struct vz_slice id = call->args[0];
    struct vz_json body, config;
    struct vz_ml_put_state state;
    struct vz_error err = {0};
    int64_t part;
    if (!vz_ml_there(call) || !vz_ml_check_id(call, "model_id", id) ||
        !vz_call_body(call, VZ_AT_BODY, true, &body))
        return;
    pthread_mutex_lock(&put_lock);
    struct vz_json_doc *doc = open_put(call, id, &config, &state);
    bool is_first = doc && !state.total_parts;
    bool good = doc && read_part(call, body, &part, &state) &&
                write_part(call, id, vz_json_string(vz_ml_get(body, "definition")), part, &state);
    if (good && is_first && keep(call->rest, id, config, &state, &err) != VZ_OK)
        good = vz_call_fail_error(call, &err, VZ_AT_REQUEST);
    if (good && install_when_whole(call, id, config))
        vz_call_acknowledge(call);
    vz_json_free(doc);
    pthread_mutex_unlock(&put_lock);
}

/* ---- PUT: the vocabulary ------------------------------------------------------------------- */

static bool check_vocabulary(struct vz_call *call, struct vz_json body)
{
    static const char *const lists[] = {"vocabulary", "merges", "scores"};
    struct vz_json_iter it = vz_json_iterate(body);
    struct vz_slice key;
    struct vz_json list, item;
    while (vz_json_next(&it, &key, &list)) {
        size_t i = 0;
        while (i < VZ_COUNT_OF(lists) && !vz_slice_is(key, lists[i]))
            i++;
        if (i == VZ_COUNT_OF(lists) || vz_json_type(list) != VZ_JSON_ARRAY)
            return vz_call_fail(call, 400, "x_content_parse_exception",
                                "[put_trained_model_vocabulary] unknown field or no list [%.*s]",
                                VZ_S(key));
        struct vz_json_iter items = vz_json_iterate(list);
        while (vz_json_next(&items, NULL, &item)) {
            struct vz_slice text = vz_json_string(item);
            bool good =
                i == 2 ? vz_json_is_number(item)
                       : vz_json_type(item) == VZ_JSON_STRING && !memchr(text.ptr, '\n', text.len);
            if (!good)
                return vz_call_fail(call, 400, "illegal_argument_exception",
                                    "[%.*s] holds something else than %s", VZ_S(key),
                                    i == 2 ? "numbers" : "strings of one line");
        }
    }
    if (!vz_json_count(vz_ml_get(body, "vocabulary")))
        return vz_call_fail(call, 400, "action_request_validation_exception",
                            "Validation Failed: 1: [vocabulary] must not be empty;");
    return true;
}

void vz_rest_ml_put_vocabulary(struct vz_call *call)
{
    struct vz_slice id = call->args[0];
    struct vz_json body, config;
    struct vz_ml_put_state state;
    struct vz_error err = {0};
    if (!vz_ml_there(call) || !vz_ml_check_id(call, "model_id", id) ||
        !vz_call_body(call, VZ_AT_BODY, true, &body) || !check_vocabulary(call, body))
        return;
    pthread_mutex_lock(&put_lock);
    struct vz_json_doc *doc = open_put(call, id, &config, &state);
    if (doc &&
        vz_file_write_atomic(put_path(call->rest, id, call->arena, "vocabulary.json"),
                             call->request->body.ptr, call->request->body.len, &err) != VZ_OK)
        vz_call_fail_error(call, &err, VZ_AT_REQUEST);
    else if (doc && install_when_whole(call, id, config))
        vz_call_acknowledge(call);
    vz_json_free(doc);
    pthread_mutex_unlock(&put_lock);
}
