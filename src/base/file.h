/* base/file.h - small files. Thread-safe; paths are NUL-terminated and not kept. */
#ifndef VZ_BASE_FILE_H
#define VZ_BASE_FILE_H

#include "base/mem.h"
#include "base/status.h"

/* Appends the whole file to `out`. VZ_LIMIT when it holds more than max_bytes (0: no limit). A
 * directory or device is VZ_BAD_ARGUMENT. */
enum vz_status vz_file_read(const char *path, size_t max_bytes, struct vz_buf *out,
                            struct vz_error *err);
/* Replaces the file atomically and durably: temporary file beside it, fsync, rename, fsync of the
 * folder. On an error the old file is untouched (the new one is there when only the folder's sync
 * failed) and no temporary file is left. One writer a path at a time. */
enum vz_status vz_file_write_atomic(const char *path, const void *bytes, size_t len,
                                    struct vz_error *err);
/* mkdir -p; an existing folder is fine. An empty path is VZ_BAD_ARGUMENT. */
enum vz_status vz_mkdir_all(const char *path, struct vz_error *err);
/* rm -rf; what is not there, or vanishes meanwhile, is fine. Does not follow links. */
enum vz_status vz_remove_all(const char *path, struct vz_error *err);
/* Makes entries of a folder (creations, renames, deletions) durable. */
enum vz_status vz_sync_dir(const char *path, struct vz_error *err);
/* Bytes free to this user on the file system that holds `path`; 0 when unknown. */
uint64_t vz_disk_free_bytes(const char *path);

#endif
