/* registry_files.c - which files of a model are needed, and checksums.
 *
 * A repository on a hub holds the same weights three to eight times (PyTorch, TensorFlow, ONNX in
 * several precisions, OpenVINO, Rust) beside pictures and training scripts. Needed is what this
 * program opens: the folders that modules.json names (or the repository's root), in each the
 * configuration and tokenizer, and one set of weights in the order in which nn/weights.h looks.
 * Names are picked by what they are, never by pattern, so a listing cannot smuggle a file in.
 */
#include "embed/registry_parts.h"

#include <errno.h>
#include <fcntl.h>
#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/strmap.h"
#include "base/text.h"
#include "json/json.h"

#define MAX_MODULES 16

static const char *const small_files[] = {
    "config.json",
    "preprocessor_config.json",
    "modules.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "vocab.json",
    "merges.txt",
    "vocab.txt",
    "added_tokens.json",
    "config_sentence_transformers.json",
};

/* ---- paths --------------------------------------------------------------------------------- */

bool vz_model_path_ok(struct vz_slice path)
{
    if (path.len == 0 || path.len > VZ_MODEL_MAX_PATH || path.ptr[0] == '/' ||
        vz_utf8_valid_prefix(path.ptr, path.len) != path.len)
        return false;
    size_t start = 0;
    for (size_t i = 0; i <= path.len; i++) {
        if (i < path.len && path.ptr[i] != '/') {
            if ((unsigned char)path.ptr[i] < 0x20 || path.ptr[i] == 0x7F || path.ptr[i] == '\\')
                return false;
            continue;
        }
        struct vz_slice part = {path.ptr + start, i - start};
        if (part.len == 0 || vz_slice_is(part, ".") || vz_slice_is(part, ".."))
            return false;
        start = i + 1;
    }
    return true;
}

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

static struct vz_slice folder_name(const char *path)
{
    size_t len = (size_t)(base_name(path) - path);
    return (struct vz_slice){path, len ? len - 1 : 0};
}

/* ---- picking ------------------------------------------------------------------------------- */

struct picker {
    const struct vz_model_listing *listing;
    struct vz_strmap by_path; /* -> index in the listing */
    struct vz_arena *arena;
    const char *modules[MAX_MODULES]; /* "" is the root */
    size_t module_count;
    struct vz_model_picks *out;
    struct vz_error *err;
};

static const char *listed(const struct picker *p, const char *folder, const char *name)
{
    char path[VZ_MODEL_MAX_PATH * 2 + 2];
    uint64_t at;
    snprintf(path, sizeof path, "%s%s%s", folder, *folder ? "/" : "", name);
    return vz_strmap_get(&p->by_path, vz_slice_from(path), &at) ? p->listing->paths[at] : NULL;
}

static enum vz_status index_listing(struct picker *p)
{
    if (p->listing->count > VZ_MODEL_MAX_LISTED)
        return vz_fail(p->err, VZ_LIMIT, "%zu files are listed, more than the limit of %d",
                       p->listing->count, VZ_MODEL_MAX_LISTED);
    for (size_t i = 0; i < p->listing->count; i++) {
        struct vz_slice path = vz_slice_from(p->listing->paths[i]);
        /* One such name means that the listing was made by somebody with a purpose. */
        if (!vz_model_path_ok(path))
            return vz_fail(p->err, VZ_CORRUPT,
                           "refused: file %zu of the listing has a name that leaves its folder or "
                           "is no plain text",
                           i + 1);
        vz_strmap_put(&p->by_path, path, i);
    }
    return VZ_OK;
}

static enum vz_status read_json(const struct picker *p, const char *path, struct vz_json_doc **doc,
                                struct vz_json *root)
{
    struct vz_buf text = {0};
    struct vz_error why = {0};
    enum vz_status status = p->listing->read(p->listing->context, path, &text, p->err);
    if (status == VZ_OK && vz_json_parse(vz_buf_slice(&text), doc, root, &why) != VZ_OK) {
        status = vz_fail(p->err, VZ_CORRUPT, "%s is no JSON", path);
        vz_fail_cause(p->err, "%s", why.text);
    }
    vz_buf_deinit(&text);
    return status;
}

static enum vz_status add_module(struct picker *p, struct vz_slice path)
{
    while (path.len && path.ptr[path.len - 1] == '/')
        path.len--;
    if (path.len && !vz_model_path_ok(path))
        return vz_fail(p->err, VZ_CORRUPT,
                       "refused: modules.json names a folder outside the model");
    for (size_t i = 0; i < p->module_count; i++)
        if (vz_slice_is(path, p->modules[i]))
            return VZ_OK;
    if (p->module_count == MAX_MODULES)
        return vz_fail(p->err, VZ_LIMIT, "modules.json names more than %d folders", MAX_MODULES);
    p->modules[p->module_count++] = vz_arena_strdup(p->arena, path);
    return VZ_OK;
}

static enum vz_status read_modules(struct picker *p)
{
    struct vz_json_doc *doc = NULL;
    struct vz_json root, module, path;
    if (!listed(p, "", "modules.json")) {
        bool nested = !listed(p, "", "config.json") && listed(p, "0_CLIPModel", "config.json");
        return add_module(p, nested ? VZ_SLICE("0_CLIPModel") : VZ_SLICE(""));
    }
    enum vz_status status = read_json(p, "modules.json", &doc, &root);
    if (status != VZ_OK)
        return status;
    if (vz_json_type(root) != VZ_JSON_ARRAY || vz_json_count(root) == 0)
        status = vz_fail(p->err, VZ_CORRUPT, "modules.json is no list of modules");
    struct vz_json_iter it = vz_json_iterate(root);
    while (status == VZ_OK && vz_json_next(&it, NULL, &module)) {
        if (!vz_json_get(module, "path", &path) || vz_json_type(path) != VZ_JSON_STRING)
            status = vz_fail(p->err, VZ_CORRUPT, "modules.json has a module without a path");
        else
            status = add_module(p, vz_json_string(path));
    }
    vz_json_free(doc);
    return status;
}

static enum vz_status pick(struct picker *p, const char *path, bool is_weights)
{
    for (size_t i = 0; i < p->out->count; i++)
        if (strcmp(p->out->items[i].path, path) == 0)
            return VZ_OK;
    if (p->out->count == VZ_MODEL_MAX_FILES)
        return vz_fail(p->err, VZ_LIMIT, "more than %d files are needed", VZ_MODEL_MAX_FILES);
    p->out->items[p->out->count++] = (struct vz_model_pick){path, is_weights};
    return VZ_OK;
}

/* sentence_bert_config.json, sentence_roberta_config.json, ... */
static bool is_sentence_config(const char *name)
{
    struct vz_slice text = vz_slice_from(name);
    size_t end = strlen("_config.json");
    return vz_slice_starts(text, "sentence_") && text.len > end &&
           strcmp(name + text.len - end, "_config.json") == 0;
}

static enum vz_status pick_small(struct picker *p, const char *folder)
{
    enum vz_status status = VZ_OK;
    for (size_t i = 0; status == VZ_OK && i < p->listing->count; i++) {
        const char *path = p->listing->paths[i], *name = base_name(path);
        if (!vz_slice_is(folder_name(path), folder))
            continue;
        bool wanted = is_sentence_config(name);
        for (size_t k = 0; k < VZ_COUNT_OF(small_files); k++)
            wanted = wanted || strcmp(name, small_files[k]) == 0;
        if (wanted)
            status = pick(p, path, false);
    }
    return status;
}

/* The shards that an index names: files of the same folder. */
static enum vz_status pick_shards(struct picker *p, const char *folder, const char *index)
{
    struct vz_json_doc *doc = NULL;
    struct vz_json root, map = {0}, value;
    enum vz_status status = read_json(p, index, &doc, &root);
    if (status != VZ_OK)
        return status;
    if (!vz_json_get(root, "weight_map", &map) || vz_json_count(map) == 0)
        status = vz_fail(p->err, VZ_CORRUPT, "%s has no weight_map", index);
    struct vz_json_iter it = vz_json_iterate(map);
    struct vz_strmap seen = {0};
    while (status == VZ_OK && vz_json_next(&it, NULL, &value)) {
        struct vz_slice name = vz_json_string(value);
        uint64_t ignored;
        if (name.len && vz_strmap_get(&seen, name, &ignored))
            continue;
        if (!vz_model_path_ok(name) || memchr(name.ptr, '/', name.len)) {
            status =
                vz_fail(p->err, VZ_CORRUPT, "refused: %s names a file outside its folder", index);
            break;
        }
        vz_strmap_put(&seen, name, 1);
        const char *path = listed(p, folder, vz_arena_strdup(p->arena, name));
        status = path ? pick(p, path, true)
                      : vz_fail(p->err, VZ_NOT_FOUND, "%s names %.*s, which is not there", index,
                                (int)name.len, name.ptr);
    }
    vz_strmap_deinit(&seen);
    vz_json_free(doc);
    return status == VZ_OK ? pick(p, index, false) : status;
}

/* *found is left alone when there are none. */
static enum vz_status pick_weights(struct picker *p, const char *folder, bool *found)
{
    const char *path = listed(p, folder, "model.safetensors"), *index;
    enum vz_status status = VZ_OK;
    if (path)
        status = pick(p, path, true);
    else if ((index = listed(p, folder, "model.safetensors.index.json")))
        status = pick_shards(p, folder, index);
    else if ((path = listed(p, folder, "pytorch_model.bin")))
        status = pick(p, path, true);
    else
        return VZ_OK;
    *found = true;
    return status;
}

static bool ends_with(const char *text, const char *end)
{
    size_t len = strlen(text), end_len = strlen(end);
    return len >= end_len && strcmp(text + len - end_len, end) == 0;
}

/* Says what there is instead: it is mostly another framework's. */
static enum vz_status fail_no_weights(const struct picker *p)
{
    static const char *const known[] = {".onnx",        ".h5", ".msgpack",        ".ot",
                                        ".gguf",        ".pt", ".bin.index.json", ".ckpt",
                                        ".safetensors", ".bin"};
    struct vz_buf seen = {0};
    for (size_t i = 0, told = 0; i < p->listing->count && told < 4; i++) {
        bool is_known = false;
        for (size_t k = 0; k < VZ_COUNT_OF(known); k++)
            is_known = is_known || ends_with(p->listing->paths[i], known[k]);
        if (!is_known)
            continue;
        vz_buf_printf(&seen, "%s%.60s", told++ ? ", " : "; it has ", p->listing->paths[i]);
    }
    enum vz_status status = vz_fail(
        p->err, VZ_NOT_FOUND,
        "no weights that vizsla reads (model.safetensors, its shards, or pytorch_model.bin)%s",
        seen.len ? seen.data : "");
    vz_buf_deinit(&seen);
    return status;
}

static enum vz_status pick_all(struct picker *p)
{
    enum vz_status status = index_listing(p);
    if (status == VZ_OK)
        status = read_modules(p);
    if (status == VZ_OK)
        status = pick_small(p, "");
    for (size_t i = 0; status == VZ_OK && i < p->module_count; i++)
        status = pick_small(p, p->modules[i]);
    if (status != VZ_OK)
        return status;
    /* The first module is the network; the others pool, project and normalise. */
    p->out->config = listed(p, p->modules[0], "config.json");
    if (!p->out->config)
        return vz_fail(p->err, VZ_NOT_FOUND, "no config.json%s%s: this is no model's folder",
                       *p->modules[0] ? " in " : "", p->modules[0]);
    bool found = false, ignored = false;
    status = pick_weights(p, p->modules[0], &found);
    if (status == VZ_OK && !found)
        return fail_no_weights(p);
    for (size_t i = 1; status == VZ_OK && i < p->module_count; i++)
        status = pick_weights(p, p->modules[i], &ignored);
    return status;
}

static int small_first(const void *a, const void *b)
{
    const struct vz_model_pick *x = a, *y = b;
    return x->is_weights != y->is_weights ? x->is_weights - y->is_weights
                                          : strcmp(x->path, y->path);
}

enum vz_status vz_model_pick_files(const struct vz_model_listing *listing, struct vz_arena *arena,
                                   struct vz_model_picks *out, struct vz_error *err)
{
    struct picker p = {.listing = listing, .arena = arena, .out = out, .err = err};
    *out = (struct vz_model_picks){0};
    out->items = vz_arena_zalloc(arena, VZ_MODEL_MAX_FILES * sizeof *out->items);
    enum vz_status status = pick_all(&p);
    if (status == VZ_OK)
        qsort(out->items, out->count, sizeof *out->items, small_first);
    vz_strmap_deinit(&p.by_path);
    return status;
}

/* ---- checksums ----------------------------------------------------------------------------- */

bool vz_watch_tell(const struct vz_model_watch *watch, const char *what, uint64_t done,
                   uint64_t total)
{
    return !watch || !watch->progress || watch->progress(watch->context, what, done, total);
}

static enum vz_status hash_fd(int fd, const char *path, gnutls_hash_hd_t hash,
                              const struct vz_model_watch *watch, uint64_t done, uint64_t total,
                              struct vz_error *err)
{
    const size_t size = 1 << 20;
    char *block = vz_alloc(size);
    enum vz_status status = VZ_OK;
    for (;;) {
        ssize_t got = read(fd, block, size);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            status = vz_fail_errno(err, errno, "cannot read %s", path);
        if (got <= 0)
            break;
        gnutls_hash(hash, block, (size_t)got);
        done += (uint64_t)got;
        if (!vz_watch_tell(watch, "checking", done, total)) {
            status = vz_fail(err, VZ_CANCELLED, "stopped while checking %s", path);
            break;
        }
    }
    free(block);
    return status;
}

static void to_hex(const unsigned char *bytes, size_t len, char *out)
{
    for (size_t i = 0; i < len; i++)
        snprintf(out + 2 * i, 3, "%02x", bytes[i]);
}

enum vz_status vz_file_digest(const char *path, enum vz_digest_kind kind,
                              const struct vz_model_watch *watch, uint64_t done, uint64_t total,
                              char out[65], struct vz_error *err)
{
    gnutls_digest_algorithm_t algorithm =
        kind == VZ_DIGEST_GIT ? GNUTLS_DIG_SHA1 : GNUTLS_DIG_SHA256;
    gnutls_hash_hd_t hash = NULL;
    struct stat info;
    unsigned char raw[32];
    *out = '\0';
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return vz_fail_errno(err, errno, "cannot open %s", path);
    enum vz_status status = VZ_OK;
    if (fstat(fd, &info) != 0)
        status = vz_fail_errno(err, errno, "cannot read %s", path);
    else if (gnutls_hash_init(&hash, algorithm) != 0)
        status = vz_fail(err, VZ_UNSUPPORTED, "this system's GnuTLS does not do %s",
                         gnutls_digest_get_name(algorithm));
    if (status != VZ_OK)
        goto out;
    if (kind == VZ_DIGEST_GIT) {
        char head[40];
        int len = snprintf(head, sizeof head, "blob %llu", (unsigned long long)info.st_size);
        gnutls_hash(hash, head, (size_t)len + 1); /* with its NUL */
    }
    status = hash_fd(fd, path, hash, watch, done, total, err);
    if (status == VZ_OK) {
        gnutls_hash_output(hash, raw);
        to_hex(raw, gnutls_hash_get_len(algorithm), out);
    }
out:
    if (hash)
        gnutls_hash_deinit(hash, NULL);
    close(fd);
    return status;
}
