/* registry_import.c - a folder that is already on this machine becomes an installed model.
 *
 * The same files are taken as a download would take, so an imported and a pulled model have the
 * same digest. The hub's own cache is understood: models--ORG--NAME/snapshots/COMMIT with links
 * into blobs/.
 */
#include "embed/registry_parts.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"

#define MAX_DEPTH 4

struct source {
    struct vz_arena *arena;
    const char *folder; /* absolute */
    const char *name;   /* what it is called, in hub form where known */
    const char *commit; /* of a hub cache's snapshot, or "" */
    const char **paths;
    size_t count, capacity;
    struct vz_error *err;
};

/* ---- what is there ------------------------------------------------------------------------- */

static enum vz_status add_path(struct source *s, const char *path)
{
    if (s->count == VZ_MODEL_MAX_LISTED)
        return vz_fail(s->err, VZ_LIMIT, "%s holds more than %d files: this is no model's folder",
                       s->folder, VZ_MODEL_MAX_LISTED);
    if (s->count == s->capacity) {
        s->capacity = s->capacity ? s->capacity * 2 : 64;
        s->paths = vz_realloc(s->paths, s->capacity * sizeof *s->paths);
    }
    s->paths[s->count++] = vz_arena_strdup(s->arena, vz_slice_from(path));
    return VZ_OK;
}

/* Hidden entries (.git, .cache) and names that a model cannot have are passed over: this is the
 * user's own folder and may hold anything. */
static enum vz_status walk(struct source *s, const char *below, int depth)
{
    struct vz_buf full = {0}, path = {0};
    vz_buf_printf(&full, "%s/%s", s->folder, below);
    DIR *dir = opendir(full.data);
    enum vz_status status =
        dir ? VZ_OK : vz_fail_errno(s->err, errno, "cannot read the folder %s", full.data);
    struct dirent *entry;
    while (status == VZ_OK && (entry = readdir(dir))) {
        struct stat info;
        if (entry->d_name[0] == '.')
            continue;
        vz_buf_clear(&path);
        vz_buf_printf(&path, "%s%s%s", below, *below ? "/" : "", entry->d_name);
        vz_buf_clear(&full);
        vz_buf_printf(&full, "%s/%s", s->folder, path.data);
        if (!vz_model_path_ok(vz_buf_slice(&path)) || stat(full.data, &info) != 0)
            continue;
        if (S_ISDIR(info.st_mode) && depth < MAX_DEPTH)
            status = walk(s, path.data, depth + 1);
        else if (S_ISREG(info.st_mode))
            status = add_path(s, path.data);
    }
    if (dir)
        closedir(dir);
    vz_buf_deinit(&full);
    vz_buf_deinit(&path);
    return status;
}

static enum vz_status read_small(void *context, const char *path, struct vz_buf *out,
                                 struct vz_error *err)
{
    const struct source *s = context;
    struct vz_buf full = {0};
    vz_buf_printf(&full, "%s/%s", s->folder, path);
    enum vz_status status = vz_file_read(full.data, VZ_MODEL_MAX_TEXT_BYTES, out, err);
    vz_buf_deinit(&full);
    return status;
}

/* models--ORG--NAME: its main snapshot. */
static const char *cached_snapshot(const char *folder, struct vz_arena *arena)
{
    struct vz_buf path = {0}, commit = {0};
    const char *found = folder;
    vz_buf_printf(&path, "%s/refs/main", folder);
    if (vz_file_read(path.data, 200, &commit, NULL) == VZ_OK) {
        while (commit.len && (unsigned char)commit.data[commit.len - 1] <= ' ')
            commit.len--;
        if (vz_model_path_ok(vz_buf_slice(&commit)))
            found =
                vz_arena_printf(arena, "%s/snapshots/%.*s", folder, (int)commit.len, commit.data);
    }
    vz_buf_deinit(&path);
    vz_buf_deinit(&commit);
    return found;
}

/* .../models--ORG--NAME/snapshots/COMMIT -> ORG/NAME and COMMIT; else the last part. */
static void name_source(struct source *s)
{
    const char *last = strrchr(s->folder, '/');
    s->name = last && last[1] ? last + 1 : "model";
    s->commit = "";
    const char *cache = strstr(s->folder, "/models--");
    for (const char *more = cache; more; more = strstr(more + 1, "/models--"))
        cache = more;
    const char *end = cache ? strchr(cache + 1, '/') : NULL;
    if (!end || strncmp(end, "/snapshots/", 11) != 0 || strchr(end + 11, '/'))
        return;
    const char *org = cache + strlen("/models--");
    char *name = vz_arena_strdup(s->arena, (struct vz_slice){org, (size_t)(end - org)});
    char *dashes = strstr(name, "--");
    if (dashes) {
        *dashes = '/';
        memmove(dashes + 1, dashes + 2, strlen(dashes + 2) + 1);
    }
    s->name = name;
    s->commit = end + 11;
}

static enum vz_status open_source(struct source *s, const char *folder)
{
    struct stat info;
    char *full = realpath(folder, NULL);
    if (!full)
        return vz_fail_errno(s->err, errno, "cannot open the folder %s", folder);
    s->folder = cached_snapshot(vz_arena_strdup(s->arena, vz_slice_from(full)), s->arena);
    free(full);
    if (stat(s->folder, &info) != 0 || !S_ISDIR(info.st_mode))
        return vz_fail(s->err, VZ_BAD_ARGUMENT, "%s is not a folder", s->folder);
    name_source(s);
    return walk(s, "", 0);
}

/* ---- taking it ----------------------------------------------------------------------------- */

static enum vz_status copy_file(const char *from, const char *to, struct vz_error *err)
{
    enum vz_status status = VZ_OK;
    const size_t size = 1 << 20;
    char *block = vz_alloc(size);
    int in = open(from, O_RDONLY | O_CLOEXEC);
    int out = in < 0 ? -1 : open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    if (in < 0 || out < 0)
        status = vz_fail_errno(err, errno, "cannot copy %s", from);
    while (status == VZ_OK) {
        ssize_t got = read(in, block, size);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            status = vz_fail_errno(err, errno, "cannot read %s", from);
        if (got <= 0)
            break;
        for (ssize_t at = 0; at < got && status == VZ_OK;) {
            ssize_t done = write(out, block + at, (size_t)(got - at));
            if (done < 0 && errno != EINTR)
                status = vz_fail_errno(err, errno, "cannot write %s", to);
            at += VZ_MAX(done, 0);
        }
    }
    if (status == VZ_OK && fsync(out) != 0)
        status = vz_fail_errno(err, errno, "cannot write %s", to);
    if (in >= 0)
        close(in);
    if (out >= 0)
        close(out);
    free(block);
    return status;
}

static enum vz_status take_file(const char *from, const char *to, bool copy, struct vz_error *err)
{
    enum vz_status status = vz_make_parents(to, err);
    if (status != VZ_OK)
        return status;
    if (!copy && linkat(AT_FDCWD, from, AT_FDCWD, to, AT_SYMLINK_FOLLOW) == 0)
        return VZ_OK;
    return copy_file(from, to, err);
}

static enum vz_status take_files(const struct source *s, const struct vz_model_picks *picks,
                                 const char *work, bool copy, const struct vz_model_watch *watch,
                                 struct vz_model *model, struct vz_error *err)
{
    struct vz_buf from = {0}, to = {0};
    enum vz_status status = VZ_OK;
    uint64_t total = 0, done = 0;
    for (size_t i = 0; status == VZ_OK && i < picks->count; i++) {
        struct stat info;
        vz_buf_clear(&from);
        vz_buf_printf(&from, "%s/%s", s->folder, picks->items[i].path);
        if (stat(from.data, &info) != 0) {
            status = vz_fail_errno(err, errno, "cannot read %s", from.data);
            break;
        }
        model->files[i].path = picks->items[i].path;
        model->files[i].bytes = (uint64_t)info.st_size;
        total += model->files[i].bytes;
    }
    model->file_count = picks->count;
    for (size_t i = 0; status == VZ_OK && i < picks->count; i++) {
        vz_buf_clear(&from);
        vz_buf_clear(&to);
        vz_buf_printf(&from, "%s/%s", s->folder, picks->items[i].path);
        vz_buf_printf(&to, "%s/%s", work, picks->items[i].path);
        status = take_file(from.data, to.data, copy, err);
        if (status == VZ_OK)
            status = vz_file_digest(to.data, VZ_DIGEST_SHA256, watch, done, total,
                                    model->files[i].sha256, err);
        done += model->files[i].bytes;
    }
    vz_buf_deinit(&from);
    vz_buf_deinit(&to);
    return status;
}

static enum vz_status check_place(const char *store, const struct vz_model_ref *ref,
                                  struct vz_arena *arena, struct vz_error *err)
{
    struct vz_model old;
    struct vz_buf place = {0};
    struct stat info;
    enum vz_status status = VZ_OK;
    vz_buf_printf(&place, "%s/%s", store, ref->folder);
    if (vz_model_read(place.data, arena, &old, NULL) == VZ_OK)
        status = vz_fail(err, VZ_EXISTS,
                         "%s is installed already; `vizsla models rm %s` removes it, --name gives "
                         "the new one another name",
                         ref->name, ref->name);
    else if (lstat(place.data, &info) == 0 && !S_ISDIR(info.st_mode))
        status = vz_fail(err, VZ_EXISTS, "%s is in the way", place.data);
    vz_buf_deinit(&place);
    return status;
}

/* Somebody else's folder in the place of the new model must not be lost; the source itself may be
 * there, as its files are linked first. */
static enum vz_status check_stranger(const char *store, const struct vz_model_ref *ref,
                                     const struct source *s, struct vz_error *err)
{
    struct vz_buf place = {0};
    struct stat there, from;
    enum vz_status status = VZ_OK;
    vz_buf_printf(&place, "%s/%s", store, ref->folder);
    if (stat(place.data, &there) == 0 && stat(s->folder, &from) == 0 &&
        (there.st_ino != from.st_ino || there.st_dev != from.st_dev))
        status = vz_fail(err, VZ_EXISTS,
                         "%s is there and is not an installed model; import or "
                         "remove it first",
                         place.data);
    vz_buf_deinit(&place);
    return status;
}

enum vz_status vz_model_import(const char *store, const struct vz_model_import *import,
                               const struct vz_model_watch *watch, struct vz_arena *arena,
                               struct vz_model *out, struct vz_error *err)
{
    struct source s = {.arena = arena, .err = err};
    struct vz_model_ref ref;
    struct vz_model_picks picks;
    struct vz_buf work = {0};
    int lock = -1;
    *out = (struct vz_model){.license = "", .revision = "", .type = ""};
    enum vz_status status = open_source(&s, import->folder);
    if (status == VZ_OK)
        status = vz_model_ref_local(import->name ? import->name : s.name, &ref, err);
    if (status == VZ_BAD_NAME && !import->name)
        vz_fail_cause(err, "give it a name with --name");
    if (status == VZ_OK) {
        struct vz_model_listing listing = {s.paths, s.count, read_small, &s};
        status = vz_model_pick_files(&listing, arena, &picks, err);
    }
    if (status != VZ_OK)
        goto out;
    status = vz_model_lock(store, &ref, &lock, err);
    if (status == VZ_OK)
        status = check_place(store, &ref, arena, err);
    if (status == VZ_OK)
        status = check_stranger(store, &ref, &s, err);
    if (status != VZ_OK)
        goto out;
    vz_buf_printf(&work, "%s/.pulling/%s+import", store, ref.folder);
    out->name = vz_arena_strdup(arena, vz_slice_from(ref.name));
    out->source = s.folder;
    out->commit = s.commit;
    out->files = vz_arena_zalloc(arena, picks.count * sizeof *out->files);
    status = vz_remove_all(work.data, err);
    if (status == VZ_OK)
        status = vz_mkdir_all(work.data, err);
    if (status == VZ_OK)
        status = take_files(&s, &picks, work.data, import->copy, watch, out, err);
    if (status == VZ_OK)
        status = vz_model_install(store, &ref, work.data, &picks, arena, out, err);
    if (status != VZ_OK)
        vz_remove_all(work.data, NULL);
out:
    vz_model_unlock(lock);
    free(s.paths);
    vz_buf_deinit(&work);
    return status;
}
