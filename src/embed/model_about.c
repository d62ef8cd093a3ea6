/* What a model's folder holds, told from its small files: config.json, modules.json and what that
 * names, sentence-transformers' prompts. Weights are not opened. */
#include "embed/model.h"

#include "base/file.h"
#include "embed/eye.h"
#include "embed/model_config.h"
#include "json/json.h"

#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_FILE_BYTES ((size_t)1 << 20)
#define MAX_LABELS 10000

struct reader {
    const char *folder;
    struct vz_arena *arena;
    struct vz_model_about *out;
};

static enum vz_status read_file(const struct reader *r, struct vz_slice sub, const char *name,
                                struct vz_buf *out, struct vz_error *err)
{
    struct vz_buf path = {0};
    vz_buf_printf(&path, "%s/%.*s/%s", r->folder, (int)sub.len, sub.ptr ? sub.ptr : "", name);
    vz_buf_clear(out);
    enum vz_status status = vz_file_read(path.data, MAX_FILE_BYTES, out, err);
    vz_buf_deinit(&path);
    return status;
}

/* NULL when the file is absent or no JSON. */
static struct vz_json_doc *read_json(const struct reader *r, struct vz_slice sub, const char *name,
                                     struct vz_json *root)
{
    struct vz_buf text = {0};
    struct vz_json_doc *doc = NULL;
    if (read_file(r, sub, name, &text, NULL) != VZ_OK ||
        vz_json_parse(vz_buf_slice(&text), &doc, root, NULL) != VZ_OK)
        doc = NULL;
    vz_buf_deinit(&text);
    return doc;
}

static bool has_word(struct vz_slice text, const char *word)
{
    size_t len = strlen(word);
    for (size_t i = 0; i + len <= text.len; i++)
        if (strncasecmp(text.ptr + i, word, len) == 0)
            return true;
    return false;
}

static bool ends_with(struct vz_slice text, const char *end)
{
    size_t len = strlen(end);
    return text.len >= len && memcmp(text.ptr + text.len - len, end, len) == 0;
}

static bool is_safe(struct vz_slice sub)
{
    return !(sub.len && (sub.ptr[0] == '/' || memmem(sub.ptr, sub.len, "..", 2)));
}

/* ---- the parts ---- */

/* The bytes of weights in one folder: what vz_weights_open would take. */
static void add_weights(const struct reader *r, struct vz_slice sub)
{
    static const char *const whole[] = {"model.safetensors", "pytorch_model.bin"};
    static const char *const shards[] = {"model.safetensors.index.json",
                                         "pytorch_model.bin.index.json"};
    struct vz_buf path = {0};
    struct stat info;
    for (size_t i = 0; i < VZ_COUNT_OF(whole); i++) {
        vz_buf_clear(&path);
        vz_buf_printf(&path, "%s/%.*s/%s", r->folder, (int)sub.len, sub.ptr ? sub.ptr : "",
                      whole[i]);
        if (stat(path.data, &info) == 0) {
            r->out->weights_bytes += (uint64_t)info.st_size;
            break;
        }
        struct vz_json root, total;
        struct vz_json_doc *doc = read_json(r, sub, shards[i], &root);
        if (doc && vz_json_get_path(root, "metadata.total_size", &total) &&
            vz_json_int(total) > 0) {
            r->out->weights_bytes += (uint64_t)vz_json_int(total);
            vz_json_free(doc);
            break;
        }
        vz_json_free(doc);
    }
    vz_buf_deinit(&path);
}

static void read_labels(struct vz_json config, const struct reader *r)
{
    struct vz_model_about *out = r->out;
    struct vz_json labels, kind, value;
    struct vz_slice key;
    out->entailment = out->contradiction = -1;
    if (!vz_json_get(config, "id2label", &labels))
        return;
    size_t count = VZ_MIN(vz_json_count(labels), (size_t)MAX_LABELS);
    out->labels = vz_arena_zalloc(r->arena, (count + 1) * sizeof *out->labels);
    out->label_count = count;
    struct vz_json_iter it = vz_json_iterate(labels);
    while (vz_json_next(&it, &key, &value)) {
        size_t number = 0;
        for (size_t i = 0; i < key.len && i < 8 && key.ptr[i] >= '0' && key.ptr[i] <= '9'; i++)
            number = number * 10 + (size_t)(key.ptr[i] - '0');
        if (number >= count)
            continue;
        out->labels[number] = vz_arena_copy(r->arena, vz_json_string(value));
        if (has_word(out->labels[number], "entail") &&
            !has_word(out->labels[number], "not_entail") &&
            !has_word(out->labels[number], "not entail"))
            out->entailment = (int)number;
        if (has_word(out->labels[number], "contradict") ||
            has_word(out->labels[number], "not_entail"))
            out->contradiction = (int)number;
    }
    out->multi_label = vz_json_get(config, "problem_type", &kind) &&
                       vz_slice_is(vz_json_string(kind), "multi_label_classification");
}

static bool has_head(struct vz_json config)
{
    struct vz_json names, name;
    if (!vz_json_get(config, "architectures", &names))
        return false;
    struct vz_json_iter it = vz_json_iterate(names);
    while (vz_json_next(&it, NULL, &name))
        if (ends_with(vz_json_string(name), "ForSequenceClassification"))
            return true;
    return false;
}

/* The encoder's folder and the dimensions behind the dense layers. */
static void read_modules(const struct reader *r, struct vz_slice *encoder, bool *are_there)
{
    struct vz_json root, module;
    struct vz_json_doc *doc = read_json(r, VZ_SLICE(""), "modules.json", &root);
    *are_there = doc != NULL;
    if (!doc)
        return;
    struct vz_json_iter it = vz_json_iterate(root);
    while (vz_json_next(&it, NULL, &module)) {
        struct vz_json type = {0}, path = {0}, dims, dense;
        vz_json_get(module, "type", &type);
        vz_json_get(module, "path", &path);
        struct vz_slice sub = vz_json_string(path);
        if (!is_safe(sub))
            continue;
        if (ends_with(vz_json_string(type), ".Transformer"))
            *encoder = vz_arena_copy(r->arena, sub);
        if (!ends_with(vz_json_string(type), ".Dense"))
            continue;
        struct vz_json_doc *inner = read_json(r, sub, "config.json", &dense);
        if (inner && vz_json_get(dense, "out_features", &dims) && vz_json_int(dims) > 0 &&
            vz_json_int(dims) < 1 << 20)
            r->out->dims = (uint32_t)vz_json_int(dims);
        vz_json_free(inner);
        add_weights(r, sub);
    }
    vz_json_free(doc);
}

static struct vz_slice prompt(struct vz_json prompts, const char *const *names,
                              struct vz_arena *arena)
{
    struct vz_json value;
    for (; *names; names++)
        if (vz_json_get(prompts, *names, &value))
            return vz_arena_copy(arena, vz_json_string(value));
    return (struct vz_slice){0};
}

/* sentence-transformers' prompts; e5 was trained with its two words and published without them. */
static void read_prefixes(const struct reader *r, struct vz_slice name)
{
    static const char *const queries[] = {"query", "search_query", NULL};
    static const char *const documents[] = {"passage", "document", "search_document", NULL};
    struct vz_json root, prompts;
    struct vz_json_doc *doc =
        read_json(r, VZ_SLICE(""), "config_sentence_transformers.json", &root);
    if (doc && vz_json_get(root, "prompts", &prompts)) {
        r->out->query_prefix = prompt(prompts, queries, r->arena);
        r->out->document_prefix = prompt(prompts, documents, r->arena);
    }
    vz_json_free(doc);
    bool is_e5 =
        has_word(name, "/e5-") || has_word(name, "multilingual-e5-") || has_word(name, "__e5-");
    if (is_e5 && !has_word(name, "instruct") && !r->out->query_prefix.len) {
        r->out->query_prefix = VZ_SLICE("query: ");
        r->out->document_prefix = VZ_SLICE("passage: ");
    }
}

static void read_max_tokens(const struct reader *r, struct vz_slice encoder, size_t positions)
{
    struct vz_json root, value;
    struct vz_json_doc *doc = read_json(r, encoder, "sentence_bert_config.json", &root);
    r->out->max_tokens = (uint32_t)positions;
    if (doc && vz_json_get(root, "max_seq_length", &value) && vz_json_int(value) > 0)
        r->out->max_tokens = (uint32_t)VZ_MIN((size_t)vz_json_int(value), positions);
    vz_json_free(doc);
}

static void read_dtype(struct vz_json config, struct vz_model_about *out)
{
    struct vz_json type;
    out->weight_bytes = 4;
    if (!vz_json_get(config, "torch_dtype", &type) && !vz_json_get(config, "dtype", &type))
        return;
    if (has_word(vz_json_string(type), "float16"))
        out->weight_bytes = 2;
}

/* ---- the whole ---- */

static bool has_tokenizer(const struct reader *r, struct vz_slice sub)
{
    static const char *const names[] = {"tokenizer.json", "vocab.json"};
    bool found = false;
    for (size_t i = 0; i < VZ_COUNT_OF(names) && !found; i++) {
        struct vz_buf path = {0};
        vz_buf_printf(&path, "%s/%.*s/%s", r->folder, (int)sub.len, sub.ptr ? sub.ptr : "",
                      names[i]);
        found = access(path.data, R_OK) == 0;
        vz_buf_deinit(&path);
    }
    return found;
}

static enum vz_status about_clip(const struct reader *r, struct vz_slice sub, struct vz_slice text,
                                 struct vz_error *err)
{
    struct vz_clip_config clip;
    enum vz_status status = vz_clip_config_read(text, &clip, err);
    if (status != VZ_OK)
        return status;
    r->out->sees = true;
    r->out->reads = has_tokenizer(r, sub);
    r->out->dims = (uint32_t)clip.dims;
    r->out->max_tokens = (uint32_t)clip.positions;
    r->out->type = VZ_SLICE("clip");
    add_weights(r, sub);
    return VZ_OK;
}

static enum vz_status about_text(const struct reader *r, struct vz_slice encoder, bool has_modules,
                                 struct vz_json config, struct vz_slice text, struct vz_error *err)
{
    struct vz_text_config read;
    struct vz_model_about *out = r->out;
    enum vz_status status = vz_text_config_read(text, &read, err);
    if (status != VZ_OK)
        return status;
    bool from_pad = read.family == VZ_FAMILY_ROBERTA || read.family == VZ_FAMILY_MPNET;
    size_t before = from_pad ? (size_t)read.pad_id + 1 : 0;
    out->reads = true;
    if (!out->dims)
        out->dims = (uint32_t)read.width;
    read_max_tokens(r, encoder, read.positions > before ? read.positions - before : 1);
    add_weights(r, encoder);
    if (!has_modules && has_head(config)) {
        read_labels(config, r);
        out->dims = 0;
        out->made_for = out->label_count == 1  ? VZ_MADE_TO_RANK
                        : out->entailment >= 0 ? VZ_MADE_TO_ENTAIL
                                               : VZ_MADE_TO_CLASSIFY;
    }
    return VZ_OK;
}

static enum vz_status about_folder(const struct reader *r, struct vz_slice name,
                                   struct vz_error *err)
{
    struct vz_buf text = {0};
    struct vz_json_doc *doc = NULL;
    struct vz_json config, type;
    struct vz_slice encoder = VZ_SLICE("");
    bool has_modules;
    read_modules(r, &encoder, &has_modules);
    struct vz_slice clip = VZ_SLICE("0_CLIPModel");
    enum vz_status status = read_file(r, clip, "config.json", &text, NULL);
    if (status != VZ_OK) {
        clip = VZ_SLICE("");
        status = read_file(r, encoder, "config.json", &text, err);
    }
    if (status == VZ_OK)
        status = vz_json_parse(vz_buf_slice(&text), &doc, &config, err);
    if (status == VZ_OK) {
        read_dtype(config, r->out);
        struct vz_slice word = {0};
        if (vz_json_get(config, "model_type", &type))
            word = vz_json_string(type);
        r->out->type = vz_arena_copy(r->arena, word);
        bool is_clip = clip.len || vz_slice_is(word, "clip");
        status = is_clip ? about_clip(r, clip, vz_buf_slice(&text), err)
                         : about_text(r, encoder, has_modules, config, vz_buf_slice(&text), err);
    }
    if (status == VZ_OK)
        read_prefixes(r, name);
    vz_json_free(doc);
    vz_buf_deinit(&text);
    return status;
}

enum vz_status vz_model_about(const char *folder, struct vz_slice name, struct vz_arena *arena,
                              struct vz_model_about *out, struct vz_error *err)
{
    *out = (struct vz_model_about){.entailment = -1, .contradiction = -1};
    if (!folder) {
        out->sees = true;
        out->dims = VZ_EYE_DIMS;
        out->type = VZ_SLICE("eye");
        return VZ_OK;
    }
    struct reader r = {folder, arena, out};
    return about_folder(&r, name, err);
}
