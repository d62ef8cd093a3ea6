/* `vizsla import-model`: a model of the hub, or of a folder, into a server; the flags are those of
 * eland_import_hub_model.
 *
 * Two ways. When the target is this machine's data folder (no --url, or the URL of the server that
 * holds it), the model is installed there as `vizsla models pull` does: nothing is sent. Otherwise
 * it is sent through the server's _ml/trained_models API: a configuration, the weights' file in
 * parts of 4 MiB, the vocabulary. Unlike eland this sends the model's own tensors with its
 * config.json as metadata instead of a traced program, so a real Elasticsearch, which runs nothing
 * but TorchScript, is refused.
 */
#include "cli/cli.h"
#include "cli/import_words.h"

#include "base/file.h"
#include "base/text.h"
#include "http/http.h"
#include "embed/hub.h"
#include "embed/model.h"
#include "embed/registry.h"
#include "store/store.h"
#include "json/json.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "app/api.h"

#define PART_BYTES ((size_t)4 << 20)
#define ES_ID_MAX 64

struct import_options {
    const char *url, *hub_model_id, *task_type, *es_model_id, *api_key, *username, *password,
        *ca_certs, *token, *ingest_prefix, *search_prefix, *data;
    long max_length;
    bool start, insecure, clear_previous, quantize, json;
};

struct import {
    const struct import_options *options;
    struct vz_arena arena;
    struct vz_buf store;
    struct vz_model model; /* as installed here; folder is also set for a plain folder */
    struct vz_model_about about;
    const char *base; /* the folder with config.json and the weights */
    const char *es_id;
    const char *task;
    struct vz_progress bar;
    const char *bar_what;
    const struct vz_transport *transport;
};

/* ---- what to import ------------------------------------------------------------------------ */

static bool show(void *context, const char *what, uint64_t done, uint64_t total)
{
    struct import *m = context;
    if (m->bar_what != what) {
        vz_progress_start_bytes(&m->bar, what, done, total);
        m->bar_what = what;
    }
    vz_progress_at(&m->bar, done, total);
    return !vz_stop_asked();
}

static bool is_folder(const char *name)
{
    struct stat info;
    return stat(name, &info) == 0 && S_ISDIR(info.st_mode);
}

/* eland's rule: "sentence-transformers/clip-ViT-B-32" -> "sentence-transformers__clip-vit-b-32". */
static const char *es_id_of(struct vz_arena *arena, const char *name)
{
    struct vz_buf id = {0};
    for (; *name; name++) {
        if (strchr("/\\ ", *name))
            vz_buf_append_str(&id, "__");
        else
            vz_buf_append_char(&id, (char)tolower((unsigned char)*name));
    }
    const char *last = id.len > ES_ID_MAX ? id.data + id.len - ES_ID_MAX : id.data;
    const char *copy = vz_arena_strdup(arena, vz_slice_from(last));
    vz_buf_deinit(&id);
    return copy;
}

static const char *last_part(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash && slash[1] ? slash + 1 : path;
}

static enum vz_status get_model(struct import *m, struct vz_error *err)
{
    const char *id = m->options->hub_model_id;
    const char *name = id;
    enum vz_status status = VZ_OK;
    if (is_folder(id)) {
        char *resolved = realpath(id, NULL);
        m->model.folder = vz_arena_strdup(&m->arena, vz_slice_from(resolved ? resolved : id));
        free(resolved);
        name = last_part(m->model.folder);
        m->model.name = name;
    } else {
        const struct vz_hub_options hub = {.token = m->options->token, .watch = {show, m}};
        struct vz_hub_pulled pulled;
        status = vz_hub_pull(m->store.data, id, &hub, &m->arena, &pulled, err);
        vz_progress_end(&m->bar);
        if (status == VZ_OK)
            m->model = pulled.model;
    }
    if (status != VZ_OK)
        return status;
    m->es_id = m->options->es_model_id ? m->options->es_model_id
                                       : es_id_of(&m->arena, is_folder(id) ? name : m->model.name);
    const char *inner = vz_arena_printf(&m->arena, "%s/0_CLIPModel", m->model.folder);
    m->base = is_folder(inner) ? inner : m->model.folder;
    return vz_model_about(m->model.folder, vz_slice_from(m->model.name), &m->arena, &m->about, err);
}

/* The task that eland would be told; a wrong one is refused before anything is sent. */
static enum vz_status choose_task(struct import *m, struct vz_error *err)
{
    static const char *const tasks[] = {"text_embedding", "text_classification", "text_similarity",
                                        "zero_shot_classification"};
    const char *asked = m->options->task_type;
    m->task = tasks[m->about.made_for];
    if (!asked || strcmp(asked, "auto") == 0 || strcmp(asked, m->task) == 0)
        return VZ_OK;
    if (strcmp(asked, "zero_shot_classification") == 0 && m->about.made_for == VZ_MADE_TO_ENTAIL)
        return VZ_OK;
    return vz_fail(err, VZ_UNSUPPORTED, "--task-type %s: [%s] is made for %s", asked, m->model.name,
                   m->task);
}

/* ---- the direct way ------------------------------------------------------------------------ */

static enum vz_status install_here(struct import *m, struct vz_error *err)
{
    const struct import_options *o = m->options;
    bool from_folder = is_folder(o->hub_model_id);
    if (o->max_length || o->ingest_prefix || o->search_prefix)
        return vz_fail(err, VZ_UNSUPPORTED,
                       "--max-model-input-length, --ingest-prefix and --search-prefix belong to a "
                       "model that is sent; on this machine the model's own files say them");
    if (!from_folder && !o->es_model_id)
        return VZ_OK; /* pulled: installed already */
    const struct vz_model_import import = {.folder = m->model.folder,
                                           .name = o->es_model_id ? o->es_model_id : NULL};
    const struct vz_model_watch watch = {show, m};
    struct vz_model installed;
    if (o->clear_previous)
        vz_model_remove(m->store.data, m->es_id, NULL, NULL);
    enum vz_status status =
        vz_model_import(m->store.data, &import, &watch, &m->arena, &installed, err);
    vz_progress_end(&m->bar);
    if (status == VZ_EXISTS)
        return vz_fail(err, status, "[%s] is installed already; --clear-previous replaces it",
                       m->es_id);
    if (status == VZ_OK) {
        m->model = installed;
        m->es_id = es_id_of(&m->arena, installed.name);
    }
    return status;
}

/* ---- the configuration --------------------------------------------------------------------- */

/* How a sentence model ends: "mean", "cls", "max"; whether in a unit vector. */
static enum vz_status read_modules(const struct import *m, const char **pooling, bool *normalize,
                                   struct vz_error *err)
{
    struct vz_json_doc *doc;
    struct vz_json root, module, type, value;
    enum vz_status status = VZ_OK;
    *pooling = "mean";
    *normalize = false;
    if (!vz_import_json(m->model.folder, "modules.json", &doc, &root)) {
        vz_json_free(doc);
        return VZ_OK;
    }
    struct vz_json_iter it = vz_json_iterate(root);
    while (vz_json_next(&it, NULL, &module)) {
        if (!vz_json_get(module, "type", &type))
            continue;
        struct vz_slice name = vz_json_string(type);
        if (memmem(name.ptr, name.len, "Normalize", 9))
            *normalize = true;
        if (memmem(name.ptr, name.len, "Dense", 5))
            status =
                vz_fail(err, VZ_UNSUPPORTED,
                        "[%s] ends in a dense layer, which the API cannot be sent; run `vizsla "
                        "import-model --hub-model-id %s` on the server's machine",
                        m->model.name, m->options->hub_model_id);
    }
    vz_json_free(doc);
    if (vz_import_json(m->model.folder, "1_Pooling/config.json", &doc, &root)) {
        if (vz_json_get(root, "pooling_mode_cls_token", &value) && vz_json_bool(value))
            *pooling = "cls";
        if (vz_json_get(root, "pooling_mode_max_tokens", &value) && vz_json_bool(value))
            *pooling = "max";
    }
    vz_json_free(doc);
    return status;
}

static void put_tokenization(struct vz_json_writer *w, const struct import *m,
                             const struct vz_import_words *v)
{
    long length = m->options->max_length ? m->options->max_length : (long)m->about.max_tokens;
    vz_json_key(w, "tokenization");
    vz_json_begin_object(w);
    vz_json_key(w, v->kind);
    vz_json_begin_object(w);
    if (strcmp(v->kind, "roberta") == 0)
        vz_json_field_bool(w, "add_prefix_space", v->prefix_space);
    else if (strcmp(v->kind, "xlm_roberta") != 0)
        vz_json_field_bool(w, "do_lower_case", v->lower_case);
    if (length > 0)
        vz_json_field_int(w, "max_sequence_length", length);
    vz_json_end_object(w);
    vz_json_end_object(w);
}

static void put_task(struct vz_json_writer *w, const struct import *m,
                     const struct vz_import_words *v)
{
    vz_json_key(w, "inference_config");
    vz_json_begin_object(w);
    vz_json_key(w, m->task);
    vz_json_begin_object(w);
    put_tokenization(w, m, v);
    if (m->about.made_for == VZ_MADE_TO_EMBED)
        vz_json_field_int(w, "embedding_size", m->about.dims);
    if (m->about.made_for == VZ_MADE_TO_CLASSIFY || m->about.made_for == VZ_MADE_TO_ENTAIL) {
        vz_json_key(w, "classification_labels");
        vz_json_begin_array(w);
        for (size_t i = 0; i < m->about.label_count; i++)
            vz_json_put_string(w, m->about.labels[i]);
        vz_json_end_array(w);
    }
    vz_json_end_object(w);
    vz_json_end_object(w);
}

static enum vz_status put_config(const struct import *m, const struct vz_import_words *v,
                                 struct vz_buf *body, struct vz_error *err)
{
    struct vz_json_writer w = vz_json_writer_on(body);
    struct vz_json_doc *doc;
    struct vz_json architecture;
    const char *pooling;
    bool normalize;
    enum vz_status status = read_modules(m, &pooling, &normalize, err);
    if (status == VZ_OK && !vz_import_json(m->base, "config.json", &doc, &architecture)) {
        vz_json_free(doc);
        status = vz_fail(err, VZ_NOT_FOUND, "%s holds no config.json", m->base);
    }
    if (status != VZ_OK)
        return status;
    vz_json_begin_object(&w);
    vz_json_field_str(&w, "description",
                      vz_arena_printf((struct vz_arena *)(uintptr_t)&m->arena,
                                      "Model %s for task type '%s'", m->model.name, m->task));
    vz_json_field_str(&w, "model_type", "pytorch");
    put_task(&w, m, v);
    vz_json_key(&w, "input");
    vz_json_put_raw(&w, VZ_SLICE("{\"field_names\":[\"text_field\"]}"));
    vz_json_key(&w, "metadata");
    vz_json_begin_object(&w);
    vz_json_field_str(&w, "pooling", pooling);
    vz_json_field_bool(&w, "normalize", normalize);
    vz_json_key(&w, "config");
    vz_json_put_value(&w, architecture);
    vz_json_end_object(&w);
    if (m->options->ingest_prefix || m->options->search_prefix) {
        vz_json_key(&w, "prefix_strings");
        vz_json_begin_object(&w);
        if (m->options->ingest_prefix)
            vz_json_field_str(&w, "ingest", m->options->ingest_prefix);
        if (m->options->search_prefix)
            vz_json_field_str(&w, "search", m->options->search_prefix);
        vz_json_end_object(&w);
    }
    vz_json_end_object(&w);
    vz_json_free(doc);
    return VZ_OK;
}

/* ---- sending ------------------------------------------------------------------------------- */

static enum vz_status tell(const struct import *m, const char *method, const char *rest,
                           struct vz_slice body, const char *doing, struct vz_error *err)
{
    struct vz_buf path = {0};
    struct vz_json_doc *doc;
    struct vz_json root;
    vz_buf_append_str(&path, "/_ml/trained_models/");
    vz_api_escape(&path, m->es_id);
    vz_buf_append_str(&path, rest);
    enum vz_status status =
        vz_api_ask(m->transport, method, path.data, body, doing, &doc, &root, err);
    vz_json_free(doc);
    vz_buf_deinit(&path);
    return status;
}

/* A server of ours says so; what else runs models wants TorchScript. */
static enum vz_status check_server(const struct import *m, struct vz_error *err)
{
    struct vz_json_doc *doc;
    struct vz_json root, value;
    enum vz_status status = vz_api_ask(m->transport, "GET", "/", (struct vz_slice){0},
                                       "asking the server", &doc, &root, err);
    if (status == VZ_OK && !vz_json_get_path(root, "version.vizsla", &value))
        status = vz_fail(err, VZ_UNSUPPORTED,
                         "there is no vizsla at %s: Elasticsearch runs nothing but TorchScript, "
                         "which eland makes and sends: eland_import_hub_model --url %s "
                         "--hub-model-id %s",
                         m->options->url, m->options->url, m->options->hub_model_id);
    vz_json_free(doc);
    return status;
}

static enum vz_status clear_previous(const struct import *m, struct vz_error *err)
{
    enum vz_status status = tell(m, "GET", "", (struct vz_slice){0}, "looking for the model", err);
    if (status == VZ_NOT_FOUND)
        return VZ_OK;
    if (status != VZ_OK)
        return status;
    if (!m->options->clear_previous)
        return vz_fail(err, VZ_EXISTS, "[%s] is there already; --clear-previous replaces it",
                       m->es_id);
    tell(m, "POST", "/deployment/_stop?force=true", (struct vz_slice){0}, "stopping", NULL);
    return tell(m, "DELETE", "?force=true", (struct vz_slice){0}, "removing the old model", err);
}

static enum vz_status open_weights(const struct import *m, FILE **file, uint64_t *bytes,
                                   struct vz_error *err)
{
    static const char *const names[] = {"model.safetensors", "pytorch_model.bin"};
    for (size_t i = 0; i < VZ_COUNT_OF(names); i++) {
        char *path = NULL;
        struct stat info;
        if (asprintf(&path, "%s/%s", m->base, names[i]) < 0)
            abort();
        *file = fopen(path, "rbe");
        free(path);
        if (!*file)
            continue;
        *bytes = fstat(fileno(*file), &info) == 0 ? (uint64_t)info.st_size : 0;
        return VZ_OK;
    }
    return vz_fail(err, VZ_UNSUPPORTED,
                   "%s holds no single file of weights (model.safetensors, pytorch_model.bin); run "
                   "this on the server's machine, where they need not be sent",
                   m->base);
}

static enum vz_status send_part(const struct import *m, const void *bytes, size_t len,
                                uint64_t part, uint64_t parts, uint64_t total, struct vz_error *err)
{
    struct vz_buf body = {0};
    char rest[64];
    snprintf(rest, sizeof rest, "/definition/%llu", (unsigned long long)part);
    vz_buf_reserve(&body, len / 3 * 4 + 256);
    vz_buf_append_str(&body, "{\"definition\":\"");
    vz_base64_encode(bytes, len, &body);
    vz_buf_printf(&body, "\",\"total_definition_length\":%llu,\"total_parts\":%llu}",
                  (unsigned long long)total, (unsigned long long)parts);
    enum vz_status status = tell(m, "PUT", rest, vz_buf_slice(&body), "sending the weights", err);
    vz_buf_deinit(&body);
    return status;
}

static enum vz_status send_weights(struct import *m, struct vz_error *err)
{
    FILE *file = NULL;
    uint64_t total = 0, sent = 0;
    enum vz_status status = open_weights(m, &file, &total, err);
    if (status != VZ_OK)
        return status;
    char *bytes = vz_alloc(PART_BYTES);
    uint64_t parts = VZ_MAX((total + PART_BYTES - 1) / PART_BYTES, 1ull);
    for (uint64_t part = 0; part < parts && status == VZ_OK; part++) {
        size_t len = fread(bytes, 1, PART_BYTES, file);
        if (len != VZ_MIN(PART_BYTES, total - sent))
            status = vz_fail(err, VZ_IO, "the weights in %s changed while they were read", m->base);
        else
            status = send_part(m, bytes, len, part, parts, total, err);
        sent += len;
        if (status == VZ_OK && !show(m, "sending", sent, total))
            status = vz_fail(err, VZ_CANCELLED, "stopped");
    }
    vz_progress_end(&m->bar);
    free(bytes);
    fclose(file);
    return status;
}

static enum vz_status send_model(struct import *m, struct vz_error *err)
{
    struct vz_import_words v = {0};
    struct vz_buf config = {0};
    bool begun = false;
    enum vz_status status = vz_import_words_read(m->base, m->about.type, &v, err);
    if (status == VZ_OK)
        status = put_config(m, &v, &config, err);
    if (status == VZ_OK)
        status = clear_previous(m, err);
    if (status == VZ_OK) {
        status = tell(m, "PUT", "", vz_buf_slice(&config), "sending the configuration", err);
        begun = status == VZ_OK;
    }
    if (status == VZ_OK)
        status = send_weights(m, err);
    if (status == VZ_OK)
        status =
            tell(m, "PUT", "/vocabulary", vz_buf_slice(&v.body), "sending the vocabulary", err);
    if (status != VZ_OK && begun) /* half a model is of no use to anybody */
        tell(m, "DELETE", "?force=true", (struct vz_slice){0}, "removing", NULL);
    vz_buf_deinit(&config);
    vz_buf_deinit(&v.body);
    return status;
}

/* ---- the command --------------------------------------------------------------------------- */

static bool same_url(const char *a, const char *b)
{
    size_t a_len = strlen(a), b_len = strlen(b);
    while (a_len && a[a_len - 1] == '/')
        a_len--;
    while (b_len && b[b_len - 1] == '/')
        b_len--;
    return a_len == b_len && memcmp(a, b, a_len) == 0;
}

/* Whether the models of `url` are those of this data folder. */
static bool is_here(const struct import_options *options, const char *folder)
{
    struct vz_buf url = {0};
    bool here = !options->url ||
                (vz_store_holder(folder, &url) && url.len && same_url(url.data, options->url));
    vz_buf_deinit(&url);
    return here;
}

/* "http://user:password@host", as libcurl takes it. */
static const char *with_user(struct import *m)
{
    const struct import_options *o = m->options;
    const char *scheme_end = strstr(o->url, "://");
    if (!o->username || !scheme_end)
        return o->url;
    struct vz_buf url = {0};
    vz_buf_append(&url, o->url, (size_t)(scheme_end - o->url) + 3);
    vz_api_escape(&url, o->username);
    vz_buf_append_char(&url, ':');
    vz_api_escape(&url, o->password ? o->password : "");
    vz_buf_append_char(&url, '@');
    vz_buf_append_str(&url, scheme_end + 3);
    const char *copy = vz_arena_strdup(&m->arena, vz_buf_slice(&url));
    vz_buf_deinit(&url);
    return copy;
}

static void print_done(const struct import *m, bool here)
{
    if (m->options->json) {
        struct vz_buf out = {0};
        struct vz_json_writer w = vz_json_writer_on(&out);
        vz_json_begin_object(&w);
        vz_json_field_str(&w, "model_id", m->es_id);
        vz_json_field_str(&w, "name", m->model.name);
        vz_json_field_str(&w, "task_type", m->task);
        vz_json_field_bool(&w, "sent", !here);
        vz_json_field_bool(&w, "started", m->options->start);
        vz_json_end_object(&w);
        puts(out.data);
        vz_buf_deinit(&out);
    } else {
        printf("%s is %s as %s%s.\n", m->model.name, here ? "installed" : "sent and installed",
               m->es_id, m->options->start ? ", and started" : "");
    }
}

static int do_import(const struct import_options *options)
{
    struct vz_error err = {0};
    struct import *m = vz_calloc(1, sizeof *m);
    struct vz_reach *reach = NULL;
    struct vz_buf folder = {0};
    m->options = options;
    vz_data_folder(options->data, &folder);
    vz_models_folder(folder.data, &m->store);
    bool here = is_here(options, folder.data);
    vz_stop_watch();
    enum vz_status status = VZ_OK;
    if (!here || options->start) /* before anything is downloaded */
        status = vz_reach_new(here ? NULL : with_user(m), options->data, true, &reach, &err);
    if (reach)
        m->transport = vz_reach_transport(reach);
    if (status == VZ_OK && !here)
        status = check_server(m, &err);
    if (status == VZ_OK)
        status = get_model(m, &err);
    if (status == VZ_OK)
        status = choose_task(m, &err);
    if (status == VZ_OK)
        status = here ? install_here(m, &err) : send_model(m, &err);
    if (status == VZ_OK && options->start)
        status = tell(m, "POST", "/deployment/_start?timeout=60s&wait_for=started",
                      (struct vz_slice){0}, "starting the model", &err);
    vz_progress_end(&m->bar);
    int code = VZ_EXIT_OK;
    if (status != VZ_OK)
        code = vz_complain(&err);
    else
        print_done(m, here);
    vz_reach_free(reach);
    vz_arena_deinit(&m->arena);
    vz_buf_deinit(&m->store);
    vz_buf_deinit(&folder);
    free(m);
    return code;
}

/* What is known and cannot be had is refused, not ignored. */
static bool check_options(const struct import_options *o)
{
    const char *why = NULL;
    if (!o->hub_model_id)
        why = "expected --hub-model-id NAME";
    else if (o->api_key && o->username)
        why = "either --es-api-key or --es-username";
    else if (o->api_key && (strchr(o->api_key, '\n') || strchr(o->api_key, '\r')))
        why = "--es-api-key: a key has no line ends";
    else if (o->password && !o->username)
        why = "--es-password needs --es-username";
    else if ((o->username || o->api_key || o->insecure || o->ca_certs || o->ingest_prefix ||
              o->search_prefix) &&
             !o->url)
        why = "--es-username, --es-api-key, --insecure, --ca-certs, --ingest-prefix and "
              "--search-prefix need --url";
    if (why)
        fprintf(stderr, "vizsla import-model: %s; see `vizsla import-model --help`\n", why);
    else if (o->quantize)
        fprintf(stderr, "vizsla: --quantize: the weights stay as they are; how exactly a model "
                        "computes is chosen where it runs\n");
    return !why;
}

int vz_cli_import_model(int argc, char **argv)
{
    struct import_options o = {0};
    const struct vz_arg args[] = {
        {"--hub-model-id", VZ_ARG_TEXT, &o.hub_model_id, "NAME",
         "a model of the hub, ORGANISATION/NAME, or a folder", 0, 0},
        {"--url", VZ_ARG_TEXT, &o.url, "URL", "the server (default: this machine's data folder)", 0,
         0},
        {"--es-model-id", VZ_ARG_TEXT, &o.es_model_id, "ID",
         "its id there (default: made of the name, as eland does)", 0, 0},
        {"--task-type", VZ_ARG_TEXT, &o.task_type, "TASK",
         "text_embedding, text_classification, zero_shot_classification, text_similarity or auto",
         0, 0},
        {"--start", VZ_ARG_FLAG, &o.start, NULL, "start it in the end", 0, 0},
        {"--clear-previous", VZ_ARG_FLAG, &o.clear_previous, NULL,
         "replace the one that is there under this id", 0, 0},
        {"--max-model-input-length", VZ_ARG_NUMBER, &o.max_length, "N",
         "cut texts at so many tokens", 1, 1 << 20},
        {"--ingest-prefix", VZ_ARG_TEXT, &o.ingest_prefix, "TEXT", "in front of documents", 0, 0},
        {"--search-prefix", VZ_ARG_TEXT, &o.search_prefix, "TEXT", "in front of questions", 0, 0},
        {"--quantize", VZ_ARG_FLAG, &o.quantize, NULL, "taken, without effect (says so)", 0, 0},
        {"--hub-access-token", VZ_ARG_TEXT, &o.token, "TOKEN",
         "for models that need one (better: $HF_TOKEN)", 0, 0},
        {"--es-username", VZ_ARG_TEXT, &o.username, "NAME", "for a server behind a password", 0, 0},
        {"--es-password", VZ_ARG_TEXT, &o.password, "PASSWORD", "the password", 0, 0},
        {"--es-api-key", VZ_ARG_TEXT, &o.api_key, "KEY", "the key, as the server gave it", 0, 0},
        {"--insecure", VZ_ARG_FLAG, &o.insecure, NULL, "do not check the server's certificate", 0,
         0},
        {"--ca-certs", VZ_ARG_TEXT, &o.ca_certs, "FILE",
         "trust the certificates in this file (PEM)", 0, 0},
        {"--data", VZ_ARG_TEXT, &o.data, "DIR",
         "data folder (default: $VIZSLA_DATA or ~/.local/share/vizsla)", 0, 0},
        {"--json", VZ_ARG_FLAG, &o.json, NULL, "print JSON", 0, 0},
        {0},
    };
    const struct vz_command command = {
        .name = "import-model",
        .usage = "vizsla import-model --hub-model-id NAME [--url URL] [options]",
        .summary = "Puts a model of the hub into a server; the flags are eland_import_hub_model's.",
        .details = "When the server holds this machine's data folder the model is installed there "
                   "directly\n"
                   "(as `vizsla models pull` does); otherwise its tensors, configuration and "
                   "vocabulary are\n"
                   "sent through the server's _ml/trained_models API. Elasticsearch itself runs "
                   "nothing but\n"
                   "TorchScript, so it is refused here; eland does that.\n"
                   "Exit code: 0 installed, 2 not.",
        .examples =
            "  vizsla import-model --hub-model-id sentence-transformers/all-MiniLM-L6-v2 --start\n"
            "  vizsla import-model --url http://127.0.0.1:9200 --hub-model-id ./my-model "
            "--clear-previous",
        .args = args,
    };
    int rest, leave = vz_args_parse(&command, argc, argv, &rest);
    if (leave >= 0)
        return leave;
    if (rest) {
        fprintf(stderr, "vizsla import-model: unexpected '%s'; see `vizsla import-model --help`\n",
                argv[1]);
        return VZ_EXIT_FAILED;
    }
    if (!check_options(&o))
        return VZ_EXIT_FAILED;
    vz_http_client_access(&(struct vz_http_access){
        .api_key = o.api_key, .ca_certs = o.ca_certs, .insecure = o.insecure});
    return do_import(&o);
}
