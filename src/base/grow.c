#include "base/grow.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define AHEAD_MAX_BYTES ((size_t)64 << 20)

static size_t page_round(size_t bytes)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    return (bytes + page - 1) / page * page;
}

static enum vz_status reserve(struct vz_grow *grow, size_t bytes, struct vz_error *err)
{
    grow->reserved_bytes = page_round(VZ_MAX(bytes, (size_t)1));
    void *base = mmap(NULL, grow->reserved_bytes, PROT_NONE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (base == MAP_FAILED)
        return vz_fail(err, VZ_BUDGET, "cannot reserve %zu bytes of address space",
                       grow->reserved_bytes);
    grow->base = base;
    return VZ_OK;
}

enum vz_status vz_grow_open(struct vz_grow *grow, size_t reserve_bytes, struct vz_error *err)
{
    *grow = (struct vz_grow){.fd = -1, .writable = true};
    enum vz_status status = reserve(grow, reserve_bytes, err);
    if (status == VZ_OK)
        return VZ_OK;
    *grow = (struct vz_grow){.fd = -1};
    return status;
}

/* Maps file bytes [from, to) at their place. `from` is page aligned. */
static enum vz_status map_file(struct vz_grow *grow, size_t from, size_t to, bool private_copy,
                               struct vz_error *err)
{
    if (to <= from)
        return VZ_OK;
    int protection = grow->writable || private_copy ? PROT_READ | PROT_WRITE : PROT_READ;
    int flags = (private_copy ? MAP_PRIVATE | MAP_NORESERVE : MAP_SHARED) | MAP_FIXED;
    void *at = mmap(grow->base + from, to - from, protection, flags, grow->fd, (off_t)from);
    if (at == MAP_FAILED)
        return vz_fail_errno(err, errno, "cannot map %zu bytes of a file", to - from);
    return VZ_OK;
}

enum vz_status vz_grow_open_file(struct vz_grow *grow, const char *path, enum vz_grow_mode mode,
                                 size_t reserve_bytes, struct vz_error *err)
{
    *grow = (struct vz_grow){.fd = -1, .writable = mode == VZ_GROW_WRITE};
    int flags = mode == VZ_GROW_WRITE ? O_RDWR | O_CREAT : O_RDONLY;
    int fd = open(path, flags | O_CLOEXEC, 0644);
    if (fd < 0)
        return vz_fail_errno(err, errno, "cannot open %s", path);
    struct stat info;
    enum vz_status status = VZ_OK;
    if (fstat(fd, &info) != 0) {
        status = vz_fail_errno(err, errno, "cannot read the size of %s", path);
        goto out;
    }
    grow->fd = fd;
    size_t size = (size_t)info.st_size;
    status = reserve(grow, VZ_MAX(reserve_bytes, size), err);
    if (status == VZ_OK)
        status = map_file(grow, 0, size, mode == VZ_GROW_PRIVATE, err);
    grow->size_bytes = size;
    if (status == VZ_OK && mode == VZ_GROW_PRIVATE) {
        /* From here on it is memory: the copy-on-write pages stay, growth is anonymous. */
        grow->size_bytes = page_round(size);
        grow->fd = -1;
        grow->writable = true;
        close(fd);
    }
out:
    if (status != VZ_OK) {
        grow->fd = fd;
        vz_grow_close(grow);
    }
    return status;
}

static enum vz_status grow_anonymous(struct vz_grow *grow, size_t from, size_t size,
                                     struct vz_error *err)
{
    if (from < size && mprotect(grow->base + from, size - from, PROT_READ | PROT_WRITE) != 0)
        return vz_fail(err, VZ_BUDGET, "cannot grow memory to %zu bytes", size);
    return VZ_OK;
}

static enum vz_status grow_file(struct vz_grow *grow, size_t mapped, size_t size,
                                struct vz_error *err)
{
    int failed =
        posix_fallocate(grow->fd, (off_t)grow->size_bytes, (off_t)(size - grow->size_bytes));
    if (failed) {
        /* What was allocated before the failure would only confuse the next open. */
        if (ftruncate(grow->fd, (off_t)grow->size_bytes) != 0)
            return vz_fail_errno(err, errno, "cannot shrink a file back after a failed growth");
        return vz_fail_errno(err, failed, "cannot grow a file to %zu bytes", size);
    }
    return map_file(grow, mapped, size, false, err);
}

enum vz_status vz_grow_ensure(struct vz_grow *grow, size_t bytes, struct vz_error *err)
{
    if (bytes <= grow->size_bytes)
        return VZ_OK;
    if (bytes > grow->reserved_bytes)
        return vz_fail(err, VZ_LIMIT, "an array of %zu bytes cannot grow to %zu bytes",
                       grow->reserved_bytes, bytes);
    size_t ahead = VZ_MIN(grow->size_bytes / 4, AHEAD_MAX_BYTES);
    size_t size = page_round(VZ_MAX(bytes, grow->size_bytes + ahead));
    size = VZ_MIN(size, grow->reserved_bytes);
    /* A last page that is filled in part is mapped whole already, and others may be reading it. */
    size_t mapped = page_round(grow->size_bytes);
    enum vz_status status =
        grow->fd < 0 ? grow_anonymous(grow, mapped, size, err) : grow_file(grow, mapped, size, err);
    if (status == VZ_OK)
        grow->size_bytes = size;
    return status;
}

enum vz_status vz_grow_sync(struct vz_grow *grow, size_t offset, size_t len, struct vz_error *err)
{
    if (grow->fd < 0 || len == 0)
        return VZ_OK;
    /* On Linux fdatasync also writes the pages dirtied through a shared mapping. */
    if (fdatasync(grow->fd) != 0)
        return vz_fail_errno(err, errno, "cannot sync %zu bytes at %zu of a file", len, offset);
    return VZ_OK;
}

enum vz_status vz_grow_truncate(struct vz_grow *grow, size_t bytes, struct vz_error *err)
{
    if (bytes >= grow->size_bytes)
        return VZ_OK;
    if (grow->fd >= 0 && ftruncate(grow->fd, (off_t)bytes) != 0)
        return vz_fail_errno(err, errno, "cannot cut a file to %zu bytes", bytes);
    size_t end = page_round(bytes), old_end = page_round(grow->size_bytes);
    if (old_end > end &&
        mmap(grow->base + end, old_end - end, PROT_NONE,
             MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0) == MAP_FAILED)
        return vz_fail_errno(err, errno, "cannot unmap the end of an array");
    if (grow->fd < 0 && end > bytes)
        memset(grow->base + bytes, 0, end - bytes);
    grow->size_bytes = bytes;
    return VZ_OK;
}

void vz_grow_close(struct vz_grow *grow)
{
    if (grow->base)
        munmap(grow->base, grow->reserved_bytes);
    if (grow->base || grow->fd > 0) {
        if (grow->fd >= 0)
            close(grow->fd);
    }
    *grow = (struct vz_grow){.fd = -1};
}
