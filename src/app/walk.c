#include "app/walk.h"

#include "base/strmap.h"
#include "base/text.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

struct vz_seen {
    struct vz_strmap folders; /* device and inode */
};

/* Folders still to go into. */
struct pending {
    char **paths;
    size_t count, capacity;
};

/* What systems keep beside pictures: thumbnails, waste, what a check of the disk found. */
static const char *const never[] = {"@eaDir", "#recycle", "$RECYCLE.BIN", "lost+found",
                                    "System Volume Information"};

bool vz_walk_is_picture(const char *name)
{
    static const char *const endings[] = {"jpg", "jpeg", "jpe",  "jfif", "png", "webp", "gif",
                                          "tif", "tiff", "heic", "heif", "hif", "avif", "svg"};
    const char *dot = strrchr(name, '.');
    for (size_t i = 0; dot && dot != name && i < VZ_COUNT_OF(endings); i++)
        if (strcasecmp(dot + 1, endings[i]) == 0)
            return true;
    return false;
}

static void *grow(void *list, size_t count, size_t *capacity, size_t bytes)
{
    if (count < *capacity)
        return list;
    *capacity = VZ_MAX((size_t)64, *capacity * 2);
    return vz_realloc(list, *capacity * bytes);
}

static void fail_at(struct vz_walk *walk, const char *path, bool is_folder, const char *reason)
{
    walk->failures =
        grow(walk->failures, walk->failure_count, &walk->failure_capacity, sizeof *walk->failures);
    walk->failures[walk->failure_count++] =
        (struct vz_walk_failure){vz_strdup(path), vz_strdup(reason), is_folder};
}

/* True the first time. */
static bool enter(struct vz_walk *walk, const struct stat *info)
{
    struct {
        uint64_t device, inode;
    } key = {(uint64_t)info->st_dev, (uint64_t)info->st_ino};
    if (!walk->seen)
        walk->seen = vz_calloc(1, sizeof *walk->seen);
    return vz_strmap_put(&walk->seen->folders, (struct vz_slice){(const char *)&key, sizeof key},
                         1);
}

static bool is_left_out(const struct vz_walk_options *options, const char *path, const char *name)
{
    if (!options->hidden && name[0] == '.')
        return true;
    for (size_t i = 0; i < VZ_COUNT_OF(never); i++)
        if (strcmp(name, never[i]) == 0)
            return true;
    for (size_t i = 0; i < options->excluded_count; i++) {
        struct vz_slice pattern = vz_slice_from(options->excluded[i]);
        if (vz_wildcard_match(pattern, vz_slice_from(name)) ||
            vz_wildcard_match(pattern, vz_slice_from(path)))
            return true;
    }
    return false;
}

static void add_file(struct vz_walk *walk, const char *path, const struct stat *info)
{
    /* JSON holds no other text, and a name changed on the way could not be opened again. */
    if (vz_utf8_valid_prefix(path, strlen(path)) != strlen(path)) {
        fail_at(walk, path, false, "its name is not UTF-8");
        return;
    }
    walk->files = grow(walk->files, walk->count, &walk->capacity, sizeof *walk->files);
    walk->files[walk->count++] = (struct vz_walk_file){vz_strdup(path), (uint64_t)info->st_size,
                                                       (int64_t)info->st_mtim.tv_sec * 1000 +
                                                           info->st_mtim.tv_nsec / 1000000};
}

static void see_entry(struct vz_walk *walk, const struct vz_walk_options *options,
                      struct pending *pending, const char *path, const char *name)
{
    struct stat info;
    if (is_left_out(options, path, name)) {
        walk->left_out_count++;
        return;
    }
    if (lstat(path, &info) != 0) {
        if (errno != ENOENT) /* gone meanwhile is no failure */
            fail_at(walk, path, true, strerror(errno));
        return;
    }
    if (S_ISLNK(info.st_mode)) {
        if (!options->follow) {
            walk->left_out_count++;
            return;
        }
        if (stat(path, &info) != 0) {
            if (vz_walk_is_picture(name))
                fail_at(walk, path, false, "a link that leads nowhere");
            return;
        }
    }
    if (S_ISDIR(info.st_mode)) {
        if (!enter(walk, &info))
            return;
        pending->paths =
            grow(pending->paths, pending->count, &pending->capacity, sizeof *pending->paths);
        pending->paths[pending->count++] = vz_strdup(path);
    } else if (S_ISREG(info.st_mode) && vz_walk_is_picture(name)) {
        add_file(walk, path, &info);
    } else {
        walk->other_count++;
    }
}

static bool is_marked(const char *folder)
{
    char path[PATH_MAX];
    int len = snprintf(path, sizeof path, "%s/.nomedia", folder);
    return len > 0 && (size_t)len < sizeof path && access(path, F_OK) == 0;
}

static enum vz_status see_folder(struct vz_walk *walk, const struct vz_walk_options *options,
                                 struct pending *pending, const char *folder, struct vz_error *err)
{
    enum vz_status status = VZ_OK;
    struct dirent *entry;
    if (!options->hidden && is_marked(folder)) {
        walk->left_out_count++;
        return VZ_OK;
    }
    DIR *dir = opendir(folder);
    if (!dir) {
        fail_at(walk, folder, true, strerror(errno));
        return VZ_OK;
    }
    for (errno = 0; status == VZ_OK && (entry = readdir(dir)); errno = 0) {
        char path[PATH_MAX];
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        int len =
            snprintf(path, sizeof path, "%s/%s", strcmp(folder, "/") ? folder : "", entry->d_name);
        if (len < 0 || (size_t)len >= sizeof path)
            fail_at(walk, folder, true, "a path in it is too long");
        else
            see_entry(walk, options, pending, path, entry->d_name);
        if (options->stop && options->stop())
            status = vz_fail(err, VZ_CANCELLED, "stopped while looking for pictures");
    }
    if (!entry && errno)
        fail_at(walk, folder, true, strerror(errno));
    closedir(dir);
    return status;
}

enum vz_status vz_walk_folder(const char *folder, const struct vz_walk_options *options,
                              struct vz_walk *walk, struct vz_error *err)
{
    char root[PATH_MAX];
    struct stat info;
    struct pending pending = {0};
    enum vz_status status = VZ_OK;
    if (!realpath(folder, root) || stat(root, &info) != 0)
        return vz_fail_errno(err, errno, "the folder %s", folder);
    if (!S_ISDIR(info.st_mode))
        return vz_fail(err, VZ_BAD_ARGUMENT, "%s is no folder", folder);
    if (access(root, R_OK | X_OK) != 0)
        return vz_fail_errno(err, errno, "the folder %s", folder);
    if (enter(walk, &info)) {
        pending.paths = grow(NULL, 0, &pending.capacity, sizeof *pending.paths);
        pending.paths[pending.count++] = vz_strdup(root);
    }
    while (pending.count) {
        char *path = pending.paths[--pending.count];
        if (status == VZ_OK)
            status = see_folder(walk, options, &pending, path, err);
        free(path);
    }
    free(pending.paths);
    return status;
}

static int by_path(const void *a, const void *b)
{
    const struct vz_walk_file *x = a, *y = b;
    return strcmp(x->path, y->path);
}

void vz_walk_sort(struct vz_walk *walk)
{
    size_t kept = 0;
    if (!walk->count)
        return;
    qsort(walk->files, walk->count, sizeof *walk->files, by_path);
    for (size_t i = 0; i < walk->count; i++) {
        if (kept && strcmp(walk->files[kept - 1].path, walk->files[i].path) == 0)
            free(walk->files[i].path);
        else
            walk->files[kept++] = walk->files[i];
    }
    walk->count = kept;
}

void vz_walk_deinit(struct vz_walk *walk)
{
    for (size_t i = 0; i < walk->count; i++)
        free(walk->files[i].path);
    for (size_t i = 0; i < walk->failure_count; i++) {
        free(walk->failures[i].path);
        free(walk->failures[i].reason);
    }
    if (walk->seen)
        vz_strmap_deinit(&walk->seen->folders);
    free(walk->seen);
    free(walk->files);
    free(walk->failures);
    *walk = (struct vz_walk){0};
}
