/* base/grow.h - a growable mapped array: address space is reserved once, memory or a file grows
 * inside it, and pointers into it stay valid until close.
 *
 * Threads: one writer grows; any number of readers may read bytes below a count that the writer
 * published to them with a release store after vz_grow_ensure returned. The array itself holds no
 * lock and no count.
 *
 * A file-backed array is grown with posix_fallocate before it is mapped, so that a full disk is an
 * error from vz_grow_ensure and never a SIGBUS in the middle of a store.
 *
 *     struct vz_grow rows = {0};
 *     vz_grow_open_file(&rows, path, VZ_GROW_WRITE, (size_t)1 << 40, &err);
 *     vz_grow_ensure(&rows, 4096, &err);
 *     memcpy(rows.base, row, 4096);
 *     vz_grow_sync(&rows, 0, 4096, &err);
 *     vz_grow_close(&rows);
 */
#ifndef VZ_BASE_GROW_H
#define VZ_BASE_GROW_H

#include "base/mem.h"
#include "base/status.h"

enum vz_grow_mode {
    VZ_GROW_READ,  /* the file must exist; reads only */
    VZ_GROW_WRITE, /* created when absent; shared mapping */
    VZ_GROW_PRIVATE /* maps an existing file copy-on-write and grows in anonymous memory beyond it */
};

struct vz_grow {
    char *base;            /* fixed for the life of the array */
    size_t reserved_bytes; /* address space */
    size_t size_bytes;     /* usable bytes; reads and writes below it are safe */
    int fd;                /* -1 for anonymous */
    bool writable;
};

/* Anonymous zeroed memory; pages cost nothing until touched. `reserve_bytes` is rounded up to
 * pages. Errors: VZ_BUDGET when address space is refused. */
enum vz_status vz_grow_open(struct vz_grow *grow, size_t reserve_bytes, struct vz_error *err);
/* A file; size_bytes is the file's size rounded down to what is there. Takes nothing over; `path`
 * is not kept. Errors: VZ_NOT_FOUND, VZ_IO, VZ_READ_ONLY, VZ_DISK_FULL; *grow is closed then. */
enum vz_status vz_grow_open_file(struct vz_grow *grow, const char *path, enum vz_grow_mode mode,
                                 size_t reserve_bytes, struct vz_error *err);
/* Makes at least `bytes` usable, growing by a quarter (at most 64 MiB) ahead. New bytes are zero.
 * Errors: VZ_LIMIT past the reservation, VZ_DISK_FULL, VZ_IO; the array is unchanged then. */
enum vz_status vz_grow_ensure(struct vz_grow *grow, size_t bytes, struct vz_error *err);
/* Makes [offset, offset + len) of a shared file durable (contents and size). Blocks. */
enum vz_status vz_grow_sync(struct vz_grow *grow, size_t offset, size_t len, struct vz_error *err);
/* Cuts a file to `bytes`; later growth is zero again. No reader may look past it any more. */
enum vz_status vz_grow_truncate(struct vz_grow *grow, size_t bytes, struct vz_error *err);
/* Unmaps and closes; zeroes *grow. Safe on a zeroed struct. */
void vz_grow_close(struct vz_grow *grow);

#endif
