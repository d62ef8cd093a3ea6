#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

enum vz_status vz_file_read(const char *path, size_t max_bytes, struct vz_buf *out,
                            struct vz_error *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return vz_fail_errno(err, errno, "cannot open %s", path);
    enum vz_status status = VZ_OK;
    struct stat info;
    if (fstat(fd, &info) != 0) {
        status = vz_fail_errno(err, errno, "cannot read %s", path);
        goto out;
    }
    if (!S_ISREG(info.st_mode) && !S_ISFIFO(info.st_mode)) {
        status = vz_fail(err, VZ_BAD_ARGUMENT, "%s is not a file", path);
        goto out;
    }
    if (max_bytes && (size_t)info.st_size > max_bytes) {
        status = vz_fail(err, VZ_LIMIT, "%s holds %zu bytes, more than the limit of %zu", path,
                         (size_t)info.st_size, max_bytes);
        goto out;
    }
    size_t start = out->len;
    vz_buf_reserve(out, (size_t)info.st_size);
    for (;;) {
        vz_buf_reserve(out, 64 << 10);
        ssize_t got = read(fd, out->data + out->len, out->capacity - out->len - 1);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0) {
            status = vz_fail_errno(err, errno, "cannot read %s", path);
            break;
        }
        if (got == 0)
            break;
        out->len += (size_t)got;
        if (max_bytes && out->len - start > max_bytes) {
            status = vz_fail(err, VZ_LIMIT, "%s holds more than the limit of %zu bytes", path,
                             max_bytes);
            break;
        }
    }
    out->data[out->len] = '\0';
out:
    close(fd);
    return status;
}

static int write_all(int fd, const char *bytes, size_t len)
{
    while (len) {
        ssize_t done = write(fd, bytes, len);
        if (done < 0 && errno == EINTR)
            continue;
        if (done < 0)
            return -1;
        bytes += done;
        len -= (size_t)done;
    }
    return 0;
}

static enum vz_status sync_parent(const char *path, struct vz_error *err)
{
    const char *slash = strrchr(path, '/');
    if (!slash)
        return vz_sync_dir(".", err);
    char *dir = vz_strndup(path, slash == path ? 1 : (size_t)(slash - path));
    enum vz_status status = vz_sync_dir(dir, err);
    free(dir);
    return status;
}

enum vz_status vz_file_write_atomic(const char *path, const void *bytes, size_t len,
                                    struct vz_error *err)
{
    struct vz_buf temp = {0};
    vz_buf_printf(&temp, "%s.tmp.%d", path, (int)getpid());
    enum vz_status status = VZ_OK;
    int fd = open(temp.data, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0) {
        status = vz_fail_errno(err, errno, "cannot create %s", temp.data);
        goto out;
    }
    int failed = write_all(fd, bytes, len) != 0 || fsync(fd) != 0 ? errno : 0;
    if (close(fd) != 0 && !failed)
        failed = errno;
    if (!failed && rename(temp.data, path) != 0)
        failed = errno;
    if (failed) {
        status = vz_fail_errno(err, failed, "cannot write %s", path);
        unlink(temp.data);
        goto out;
    }
    status = sync_parent(path, err);
out:
    vz_buf_deinit(&temp);
    return status;
}

enum vz_status vz_mkdir_all(const char *path, struct vz_error *err)
{
    if (!*path)
        return vz_fail(err, VZ_BAD_ARGUMENT, "a folder's path must not be empty");
    char *copy = vz_strdup(path);
    enum vz_status status = VZ_OK;
    for (char *at = copy + 1; status == VZ_OK; at++) {
        if (*at != '/' && *at != '\0')
            continue;
        char kept = *at;
        *at = '\0';
        struct stat info;
        if (mkdir(copy, 0755) != 0) {
            int failed = errno;
            if (stat(copy, &info) != 0)
                status = vz_fail_errno(err, failed, "cannot create the folder %s", copy);
            else if (!S_ISDIR(info.st_mode))
                status = vz_fail(err, VZ_BAD_ARGUMENT, "%s is not a folder", copy);
        }
        *at = kept;
        if (!kept)
            break;
    }
    free(copy);
    return status;
}

static int remove_entry(const char *path, const struct stat *info, int type, struct FTW *walk)
{
    (void)info;
    (void)type;
    (void)walk;
    return remove(path) == 0 || errno == ENOENT ? 0 : -1;
}

enum vz_status vz_remove_all(const char *path, struct vz_error *err)
{
    struct stat info;
    for (;;) {
        if (nftw(path, remove_entry, 16, FTW_DEPTH | FTW_PHYS) == 0)
            return VZ_OK;
        if (errno != ENOENT)
            return vz_fail_errno(err, errno, "cannot remove %s", path);
        /* All of it gone, or only a folder that somebody else removed under the walk? */
        if (lstat(path, &info) != 0 && errno == ENOENT)
            return VZ_OK;
    }
}

enum vz_status vz_sync_dir(const char *path, struct vz_error *err)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return vz_fail_errno(err, errno, "cannot open the folder %s", path);
    enum vz_status status = VZ_OK;
    if (fsync(fd) != 0)
        status = vz_fail_errno(err, errno, "cannot sync the folder %s", path);
    close(fd);
    return status;
}

uint64_t vz_disk_free_bytes(const char *path)
{
    struct statvfs info;
    if (statvfs(path, &info) != 0)
        return 0;
    return (uint64_t)info.f_bavail * info.f_frsize;
}
