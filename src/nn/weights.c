/* nn/weights.c - opening model files and folders, and the list of tensors.
 *
 * The format is told by the first bytes, not by the name. Files are mapped shared and read-only, so
 * that processes with the same model share its pages; like every mapped file they must not be cut
 * short while open.
 */
#include "nn/weights_parts.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "json/json.h"

#define MAX_SHARDS 4096
#define MAX_INDEX_BYTES (64u << 20)

static const struct {
    const char *name;
    size_t bytes;
} dtypes[] = {
    [VZ_F32] = {"F32", 4}, [VZ_F16] = {"F16", 2},   [VZ_BF16] = {"BF16", 2}, [VZ_F64] = {"F64", 8},
    [VZ_I64] = {"I64", 8}, [VZ_I32] = {"I32", 4},   [VZ_I16] = {"I16", 2},   [VZ_I8] = {"I8", 1},
    [VZ_U8] = {"U8", 1},   [VZ_BOOL] = {"BOOL", 1},
};

size_t vz_dtype_bytes(enum vz_dtype dtype)
{
    return dtypes[dtype].bytes;
}

const char *vz_dtype_name(enum vz_dtype dtype)
{
    return dtypes[dtype].name;
}

enum vz_status nn_weights_add(struct vz_weights *weights, const struct nn_weights_file *file,
                              const struct vz_tensor_view *view, struct vz_error *err)
{
    if (!vz_strmap_put(&weights->index, view->name, weights->count))
        return vz_fail(err, VZ_CORRUPT, "%s: two tensors are named [%.*s]", file->path,
                       (int)VZ_MIN(view->name.len, 200), view->name.ptr);
    if (weights->count == weights->capacity) {
        weights->capacity = weights->capacity ? weights->capacity * 2 : 64;
        weights->views =
            vz_realloc(weights->views, weights->capacity * sizeof(struct vz_tensor_view));
    }
    struct vz_tensor_view *added = &weights->views[weights->count++];
    *added = *view;
    added->name = vz_arena_copy(&weights->arena, view->name);
    return VZ_OK;
}

void nn_weights_keep(struct vz_weights *weights, void *block)
{
    weights->copies =
        vz_realloc(weights->copies, (weights->copy_count + 1) * sizeof(*weights->copies));
    weights->copies[weights->copy_count++] = block;
}

enum vz_status nn_weights_read(struct vz_weights *weights, const struct nn_weights_file *file,
                               struct vz_error *err)
{
    if (nn_weights_is_torch_zip(file))
        return nn_weights_read_torch_zip(weights, file, err);
    if (nn_weights_is_torch_legacy(file))
        return nn_weights_read_torch_legacy(weights, file, err);
    return nn_weights_read_safetensors(weights, file, err);
}

/* ---- files --------------------------------------------------------------------------------- */

static enum vz_status file_map(const char *path, struct nn_weights_file *file, struct vz_error *err)
{
    enum vz_status status = VZ_OK;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a pipe must not hang us */
    if (fd < 0)
        return vz_fail_errno(err, errno, "cannot open %s", path);
    struct stat info;
    if (fstat(fd, &info) != 0) {
        status = vz_fail_errno(err, errno, "cannot read %s", path);
        goto out;
    }
    if (!S_ISREG(info.st_mode)) {
        status = vz_fail(err, VZ_BAD_ARGUMENT, "%s is not a file", path);
        goto out;
    }
    if (info.st_size < 16) {
        status = vz_fail(err, VZ_CORRUPT, "%s holds %lld bytes: no model file", path,
                         (long long)info.st_size);
        goto out;
    }
    void *bytes = mmap(NULL, (size_t)info.st_size, PROT_READ, MAP_SHARED, fd, 0);
    if (bytes == MAP_FAILED) {
        status = vz_fail_errno(err, errno, "cannot map %s", path);
        goto out;
    }
    int64_t changed = (int64_t)info.st_mtim.tv_sec * 1000000000 + info.st_mtim.tv_nsec;
    *file = (struct nn_weights_file){vz_strdup(path), bytes, (size_t)info.st_size, changed};
out:
    close(fd);
    return status;
}

static enum vz_status file_add(struct vz_weights *weights, const char *path, struct vz_error *err)
{
    struct nn_weights_file file;
    enum vz_status status = file_map(path, &file, err);
    if (status != VZ_OK)
        return status;
    weights->files =
        vz_realloc(weights->files, (weights->file_count + 1) * sizeof(*weights->files));
    weights->files[weights->file_count++] = file;
    return nn_weights_read(weights, &file, err);
}

/* ---- folders ------------------------------------------------------------------------------- */

/* A shard lies beside its index: a name with a folder in it would reach elsewhere. */
static bool shard_name_ok(struct vz_slice name)
{
    return name.len > 0 && name.len < 256 && name.ptr[0] != '.' &&
           !memchr(name.ptr, '/', name.len) && !memchr(name.ptr, '\0', name.len);
}

/* Opens each file that the weight map names, once, in order of appearance. */
static enum vz_status shards_open(struct vz_weights *weights, const char *folder,
                                  const char *index_path, struct vz_json map, struct vz_error *err)
{
    enum vz_status status = VZ_OK;
    struct vz_strmap seen = {0};
    struct vz_slice name;
    struct vz_json file;
    struct vz_json_iter it = vz_json_iterate(map);
    while (status == VZ_OK && vz_json_next(&it, &name, &file)) {
        struct vz_slice shard = vz_json_string(file);
        if (!shard_name_ok(shard)) {
            status = vz_fail(err, VZ_CORRUPT, "%s: tensor [%.*s] is in no file of this folder",
                             index_path, (int)VZ_MIN(name.len, 200), name.ptr);
        } else if (vz_strmap_put(&seen, shard, 1)) {
            char *path =
                vz_arena_printf(&weights->arena, "%s/%.*s", folder, (int)shard.len, shard.ptr);
            status =
                weights->file_count < MAX_SHARDS
                    ? file_add(weights, path, err)
                    : vz_fail(err, VZ_LIMIT, "%s names more than %d files", index_path, MAX_SHARDS);
        }
    }
    it = vz_json_iterate(map);
    uint64_t at;
    while (status == VZ_OK && vz_json_next(&it, &name, &file))
        if (!vz_strmap_get(&weights->index, name, &at))
            status = vz_fail(err, VZ_CORRUPT, "%s names the tensor [%.*s], which no file holds",
                             index_path, (int)VZ_MIN(name.len, 200), name.ptr);
    vz_strmap_deinit(&seen);
    return status;
}

static enum vz_status index_open(struct vz_weights *weights, const char *folder,
                                 const char *index_path, struct vz_error *err)
{
    struct vz_buf text = {0};
    struct vz_json_doc *doc = NULL;
    struct vz_json root, map;
    struct vz_error why = {0};
    enum vz_status status = vz_file_read(index_path, MAX_INDEX_BYTES, &text, err);
    if (status == VZ_OK && vz_json_parse(vz_buf_slice(&text), &doc, &root, &why) != VZ_OK)
        status = vz_fail(err, VZ_CORRUPT, "%s: %s", index_path, why.text);
    if (status == VZ_OK)
        status = vz_json_get(root, "weight_map", &map) && vz_json_count(map) > 0
                     ? shards_open(weights, folder, index_path, map, err)
                     : vz_fail(err, VZ_CORRUPT, "%s has no weight_map", index_path);
    vz_json_free(doc);
    vz_buf_deinit(&text);
    return status;
}

static enum vz_status folder_open(struct vz_weights *weights, const char *folder,
                                  struct vz_error *err)
{
    static const struct {
        const char *name;
        bool is_index;
    } looked_for[] = {{"model.safetensors", false},
                      {"model.safetensors.index.json", true},
                      {"pytorch_model.bin", false},
                      {"pytorch_model.bin.index.json", true}};
    for (size_t i = 0; i < VZ_COUNT_OF(looked_for); i++) {
        char *path = vz_arena_printf(&weights->arena, "%s/%s", folder, looked_for[i].name);
        if (access(path, F_OK) != 0)
            continue;
        return looked_for[i].is_index ? index_open(weights, folder, path, err)
                                      : file_add(weights, path, err);
    }
    return vz_fail(err, VZ_NOT_FOUND,
                   "%s holds no model.safetensors, model.safetensors.index.json, "
                   "pytorch_model.bin or pytorch_model.bin.index.json",
                   folder);
}

enum vz_status vz_weights_open(const char *path, struct vz_weights **out, struct vz_error *err)
{
    *out = NULL;
    struct stat info;
    if (stat(path, &info) != 0)
        return vz_fail_errno(err, errno, "cannot open %s", path);
    struct vz_weights *weights = vz_calloc(1, sizeof *weights);
    enum vz_status status =
        S_ISDIR(info.st_mode) ? folder_open(weights, path, err) : file_add(weights, path, err);
    if (status != VZ_OK) {
        vz_weights_close(weights);
        return status;
    }
    *out = weights;
    return VZ_OK;
}

enum vz_status nn_weights_open_traced(const char *path, struct vz_weights **out,
                                      struct nn_traced_text *text, struct vz_error *err)
{
    *out = NULL;
    struct nn_weights_file file;
    enum vz_status status = file_map(path, &file, err);
    if (status != VZ_OK)
        return status;
    struct vz_weights *weights = vz_calloc(1, sizeof *weights);
    weights->files = vz_alloc(sizeof *weights->files);
    weights->files[weights->file_count++] = file;
    status = nn_weights_read_traced(weights, &file, text, err);
    if (status == VZ_OK)
        *out = weights;
    else
        vz_weights_close(weights);
    return status;
}

void vz_weights_close(struct vz_weights *weights)
{
    if (!weights)
        return;
    for (size_t i = 0; i < weights->file_count; i++) {
        struct nn_weights_file *file = &weights->files[i];
        munmap((void *)(uintptr_t)file->bytes, file->size);
        free(file->path);
    }
    for (size_t i = 0; i < weights->copy_count; i++)
        free(weights->copies[i]);
    free(weights->copies);
    free(weights->files);
    free(weights->views);
    vz_strmap_deinit(&weights->index);
    vz_arena_deinit(&weights->arena);
    free(weights);
}

void nn_weights_drop_pages(struct vz_weights *weights)
{
    for (size_t i = 0; i < weights->file_count; i++)
        madvise((void *)(uintptr_t)weights->files[i].bytes, weights->files[i].size, MADV_DONTNEED);
}

size_t vz_weights_count(const struct vz_weights *weights)
{
    return weights->count;
}

const struct vz_tensor_view *vz_weights_at(const struct vz_weights *weights, size_t i)
{
    return i < weights->count ? &weights->views[i] : NULL;
}

const struct vz_tensor_view *vz_weights_find(const struct vz_weights *weights, const char *name)
{
    uint64_t at;
    return vz_strmap_get(&weights->index, vz_slice_from(name), &at) ? &weights->views[at] : NULL;
}

uint64_t vz_weights_bytes(const struct vz_weights *weights)
{
    return weights->bytes;
}
