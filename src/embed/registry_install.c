/* registry_install.c - locks, manifests, and how a folder becomes an installed model.
 *
 * Invariants:
 * 1. A folder in the store with a manifest is whole: every file was synced, checked and named in
 * the manifest before the manifest was written, and the manifest before the folder was renamed.
 * 2. Only who holds a model's lock changes its folder or its work folders. Locks are flock(2) on
 *    files that stay, so that a killed process frees its own and no name is raced for.
 * 3. The old version stays in place until the new one takes it: two folders change names in one
 * step (RENAME_EXCHANGE) where the file system can.
 */
#include "embed/registry_parts.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <gnutls/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "nn/weights.h"
#include "json/json.h"

#define MANIFEST_VERSION 1
#define MAX_MANIFEST_BYTES (1u << 20)

/* ---- folders ------------------------------------------------------------------------------- */

static __thread uint64_t walked_bytes; /* nftw has no context argument */

static int add_size(const char *path, const struct stat *info, int type, struct FTW *walk)
{
    (void)path;
    (void)walk;
    if (type == FTW_F)
        walked_bytes += (uint64_t)info->st_size;
    return 0;
}

uint64_t vz_folder_bytes(const char *path)
{
    walked_bytes = 0;
    nftw(path, add_size, 16, FTW_PHYS);
    return walked_bytes;
}

enum vz_status vz_make_parents(const char *path, struct vz_error *err)
{
    const char *slash = strrchr(path, '/');
    if (!slash || slash == path)
        return VZ_OK;
    char *folder = vz_strndup(path, (size_t)(slash - path));
    enum vz_status status = vz_mkdir_all(folder, err);
    free(folder);
    return status;
}

enum vz_status vz_model_lock(const char *store, const struct vz_model_ref *ref, int *fd,
                             struct vz_error *err)
{
    struct vz_buf path = {0};
    vz_buf_printf(&path, "%s/.pulling", store);
    enum vz_status status = vz_mkdir_all(path.data, err);
    if (status == VZ_OK) {
        vz_buf_printf(&path, "/%s.lock", ref->folder);
        *fd = open(path.data, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
        if (*fd < 0)
            status = vz_fail_errno(err, errno, "cannot create %s", path.data);
        else if (flock(*fd, LOCK_EX | LOCK_NB) != 0) {
            status =
                errno == EWOULDBLOCK
                    ? vz_fail(err, VZ_BUSY, "another process is pulling, importing or removing %s",
                              ref->name)
                    : vz_fail_errno(err, errno, "cannot lock %s", path.data);
            close(*fd);
            *fd = -1;
        }
    }
    vz_buf_deinit(&path);
    return status;
}

void vz_model_unlock(int fd)
{
    if (fd >= 0)
        close(fd);
}

enum vz_status vz_model_clear_work(const char *store, const struct vz_model_ref *ref,
                                   const char *keep, uint64_t *bytes, struct vz_error *err)
{
    struct vz_buf folder = {0}, path = {0};
    vz_buf_printf(&folder, "%s/.pulling", store);
    enum vz_status status = VZ_OK;
    size_t len = strlen(ref->folder);
    DIR *dir = opendir(folder.data);
    struct dirent *entry;
    while (dir && status == VZ_OK && (entry = readdir(dir))) {
        if (strncmp(entry->d_name, ref->folder, len) != 0 || entry->d_name[len] != '+')
            continue;
        vz_buf_clear(&path);
        vz_buf_printf(&path, "%s/%s", folder.data, entry->d_name);
        if (keep && strcmp(path.data, keep) == 0)
            continue;
        uint64_t size = vz_folder_bytes(path.data);
        status = vz_remove_all(path.data, err);
        if (bytes && status == VZ_OK)
            *bytes += size;
    }
    if (dir)
        closedir(dir);
    vz_buf_deinit(&folder);
    vz_buf_deinit(&path);
    return status;
}

/* ---- manifests ----------------------------------------------------------------------------- */

static int by_path(const void *a, const void *b)
{
    const struct vz_model_file *x = a, *y = b;
    return strcmp(x->path, y->path);
}

static void finish(struct vz_model *model)
{
    gnutls_hash_hd_t hash = NULL;
    unsigned char raw[32] = {0};
    model->bytes = 0;
    if (gnutls_hash_init(&hash, GNUTLS_DIG_SHA256) != 0)
        hash = NULL;
    for (size_t i = 0; i < model->file_count; i++) {
        const struct vz_model_file *file = &model->files[i];
        model->bytes += file->bytes;
        if (!hash)
            continue;
        gnutls_hash(hash, file->path, strlen(file->path) + 1);
        gnutls_hash(hash, file->sha256, strlen(file->sha256) + 1);
    }
    if (hash)
        gnutls_hash_deinit(hash, raw);
    for (size_t i = 0; i < sizeof raw; i++)
        snprintf(model->digest + 2 * i, 3, "%02x", raw[i]);
}

static const char *text_member(struct vz_json object, const char *key, struct vz_arena *arena)
{
    struct vz_json value;
    return vz_json_get(object, key, &value) ? vz_arena_strdup(arena, vz_json_string(value)) : "";
}

static bool is_hex(struct vz_slice text, size_t len)
{
    if (text.len != len)
        return false;
    for (size_t i = 0; i < len; i++)
        if (!strchr("0123456789abcdef", text.ptr[i]))
            return false;
    return true;
}

static bool read_files(struct vz_json root, struct vz_arena *arena, struct vz_model *out)
{
    struct vz_json files, entry, path, bytes, sha;
    if (!vz_json_get(root, "files", &files) || vz_json_type(files) != VZ_JSON_ARRAY ||
        vz_json_count(files) == 0 || vz_json_count(files) > VZ_MODEL_MAX_FILES)
        return false;
    out->files = vz_arena_zalloc(arena, vz_json_count(files) * sizeof *out->files);
    struct vz_json_iter it = vz_json_iterate(files);
    while (vz_json_next(&it, NULL, &entry)) {
        struct vz_model_file *file = &out->files[out->file_count++];
        if (!vz_json_get(entry, "path", &path) || !vz_model_path_ok(vz_json_string(path)) ||
            !vz_json_get(entry, "bytes", &bytes) || vz_json_type(bytes) != VZ_JSON_INT ||
            vz_json_int(bytes) < 0 || (uint64_t)vz_json_int(bytes) > VZ_MODEL_MAX_TOTAL_BYTES ||
            !vz_json_get(entry, "sha256", &sha) || !is_hex(vz_json_string(sha), 64))
            return false;
        file->path = vz_arena_strdup(arena, vz_json_string(path));
        file->bytes = (uint64_t)vz_json_int(bytes);
        memcpy(file->sha256, vz_json_string(sha).ptr, 64);
    }
    return true;
}

static enum vz_status read_manifest(struct vz_slice text, const char *path, struct vz_arena *arena,
                                    struct vz_model *out, struct vz_error *err)
{
    struct vz_json_doc *doc = NULL;
    struct vz_json root, version;
    struct vz_error why = {0};
    enum vz_status status = VZ_OK;
    if (vz_json_parse(text, &doc, &root, &why) != VZ_OK) {
        status = vz_fail(err, VZ_CORRUPT, "%s is no JSON", path);
        vz_fail_cause(err, "%s", why.text);
    } else if (!vz_json_get(root, "vizsla_model", &version) || vz_json_int(version) < 1) {
        status = vz_fail(err, VZ_CORRUPT, "%s is no manifest", path);
    } else if (vz_json_int(version) > MANIFEST_VERSION) {
        status = vz_fail(err, VZ_CORRUPT, "%s was written by a newer vizsla", path);
    } else {
        out->name = text_member(root, "name", arena);
        out->source = text_member(root, "source", arena);
        out->revision = text_member(root, "revision", arena);
        out->commit = text_member(root, "commit", arena);
        out->license = text_member(root, "license", arena);
        out->type = text_member(root, "type", arena);
        out->installed = text_member(root, "installed", arena);
        struct vz_model_ref ref;
        if (vz_model_ref_local(out->name, &ref, NULL) != VZ_OK || !read_files(root, arena, out))
            status = vz_fail(err, VZ_CORRUPT, "%s is damaged", path);
    }
    vz_json_free(doc);
    return status;
}

enum vz_status vz_model_read(const char *folder, struct vz_arena *arena, struct vz_model *out,
                             struct vz_error *err)
{
    struct vz_buf path = {0}, text = {0};
    *out = (struct vz_model){0};
    vz_buf_printf(&path, "%s/%s", folder, VZ_MODEL_MANIFEST);
    enum vz_status status = vz_file_read(path.data, MAX_MANIFEST_BYTES, &text, err);
    if (status == VZ_OK)
        status = read_manifest(vz_buf_slice(&text), path.data, arena, out, err);
    if (status == VZ_OK) {
        out->folder = vz_arena_strdup(arena, vz_slice_from(folder));
        finish(out);
    }
    vz_buf_deinit(&path);
    vz_buf_deinit(&text);
    return status;
}

static enum vz_status write_manifest(const char *folder, const struct vz_model *model,
                                     struct vz_error *err)
{
    struct vz_buf json = {0}, pretty = {0}, path = {0};
    struct vz_json_writer w = vz_json_writer_on(&json);
    vz_json_begin_object(&w);
    vz_json_field_int(&w, "vizsla_model", MANIFEST_VERSION);
    vz_json_field_str(&w, "name", model->name);
    vz_json_field_str(&w, "type", model->type);
    vz_json_field_str(&w, "source", model->source);
    vz_json_field_str(&w, "revision", model->revision);
    vz_json_field_str(&w, "commit", model->commit);
    vz_json_field_str(&w, "license", model->license);
    vz_json_field_str(&w, "installed", model->installed);
    vz_json_key(&w, "files");
    vz_json_begin_array(&w);
    for (size_t i = 0; i < model->file_count; i++) {
        vz_json_begin_object(&w);
        vz_json_field_str(&w, "path", model->files[i].path);
        vz_json_field_int(&w, "bytes", (int64_t)model->files[i].bytes);
        vz_json_field_str(&w, "sha256", model->files[i].sha256);
        vz_json_end_object(&w);
    }
    vz_json_end_array(&w);
    vz_json_end_object(&w);
    vz_json_pretty(vz_buf_slice(&json), &pretty);
    vz_buf_printf(&path, "%s/%s", folder, VZ_MODEL_MANIFEST);
    enum vz_status status = vz_file_write_atomic(path.data, pretty.data, pretty.len, err);
    vz_buf_deinit(&json);
    vz_buf_deinit(&pretty);
    vz_buf_deinit(&path);
    return status;
}

/* ---- installing ---------------------------------------------------------------------------- */

/* That the files are what their names say; whether the architecture is known is for who opens. */
static enum vz_status check_folder(const char *work, const struct vz_model_picks *picks,
                                   struct vz_arena *arena, struct vz_model *model,
                                   struct vz_error *err)
{
    struct vz_buf path = {0}, text = {0};
    struct vz_json_doc *doc = NULL;
    struct vz_json root;
    vz_buf_printf(&path, "%s/%s", work, picks->config);
    enum vz_status status = vz_file_read(path.data, VZ_MODEL_MAX_TEXT_BYTES, &text, err);
    if (status == VZ_OK && (vz_json_parse(vz_buf_slice(&text), &doc, &root, NULL) != VZ_OK ||
                            vz_json_type(root) != VZ_JSON_OBJECT))
        status = vz_fail(err, VZ_CORRUPT, "%s is no JSON object: this is no model's folder",
                         picks->config);
    if (status == VZ_OK)
        model->type = text_member(root, "model_type", arena);
    vz_json_free(doc);
    for (size_t i = 0; status == VZ_OK && i < picks->count; i++) {
        struct vz_weights *weights = NULL;
        if (!picks->items[i].is_weights)
            continue;
        vz_buf_clear(&path);
        vz_buf_printf(&path, "%s/%s", work, picks->items[i].path);
        status = vz_weights_open(path.data, &weights, err);
        vz_weights_close(weights);
    }
    vz_buf_deinit(&path);
    vz_buf_deinit(&text);
    return status;
}

/* Folders of the files, the deepest level being one below the work folder in practice. */
static enum vz_status sync_folders(const char *work, const struct vz_model *model,
                                   struct vz_error *err)
{
    struct vz_buf path = {0};
    enum vz_status status = VZ_OK;
    for (size_t i = 0; status == VZ_OK && i < model->file_count; i++) {
        const char *slash = strrchr(model->files[i].path, '/');
        vz_buf_clear(&path);
        vz_buf_printf(&path, "%s/%.*s", work, slash ? (int)(slash - model->files[i].path) : 0,
                      model->files[i].path);
        if (slash)
            status = vz_sync_dir(path.data, err);
    }
    vz_buf_deinit(&path);
    return status;
}

static enum vz_status put_in_place(const char *store, const char *work, const char *place,
                                   struct vz_error *err)
{
    struct stat info;
    enum vz_status status = VZ_OK;
    struct vz_buf old = {0};
    if (lstat(place, &info) != 0) {
        if (rename(work, place) != 0)
            status = vz_fail_errno(err, errno, "cannot rename %s to %s", work, place);
    } else if (renameat2(AT_FDCWD, work, AT_FDCWD, place, RENAME_EXCHANGE) == 0) {
        vz_buf_append_str(&old, work);
    } else {
        vz_buf_printf(&old, "%s.old", work);
        if (rename(place, old.data) != 0 || rename(work, place) != 0)
            status = vz_fail_errno(err, errno, "cannot rename %s to %s", work, place);
    }
    if (status == VZ_OK)
        status = vz_sync_dir(store, err);
    if (status == VZ_OK && old.len)
        vz_remove_all(old.data, NULL); /* else the next pull or rm does */
    vz_buf_deinit(&old);
    return status;
}

enum vz_status vz_model_install(const char *store, const struct vz_model_ref *ref, const char *work,
                                const struct vz_model_picks *picks, struct vz_arena *arena,
                                struct vz_model *model, struct vz_error *err)
{
    struct vz_buf place = {0};
    char now[32];
    enum vz_status status = check_folder(work, picks, arena, model, err);
    if (status != VZ_OK)
        return status;
    qsort(model->files, model->file_count, sizeof *model->files, by_path);
    vz_format_iso_ms(vz_wall_ms(), now, sizeof now);
    model->installed = vz_arena_strdup(arena, vz_slice_from(now));
    status = sync_folders(work, model, err);
    if (status == VZ_OK)
        status = write_manifest(work, model, err);
    vz_buf_printf(&place, "%s/%s", store, ref->folder);
    if (status == VZ_OK)
        status = put_in_place(store, work, place.data, err);
    model->folder = vz_arena_strdup(arena, vz_buf_slice(&place));
    finish(model);
    vz_buf_deinit(&place);
    return status;
}
