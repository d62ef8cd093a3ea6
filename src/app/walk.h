/* app/walk.h - the pictures below a folder: found, not opened.
 *
 * Goes down iteratively, never into the same folder twice (by device and inode, so loops of links
 * and bind mounts end), and does not stop at what cannot be read: that is noted. Not for: reading
 * pictures (pictures.h).
 * Threads: none; one walk belongs to one thread.
 *
 *     vz_walk_folder("/home/anna/photos", &(struct vz_walk_options){0}, &walk, &err);
 *     for (size_t i = 0; i < walk.count; i++) see(walk.files[i].path);
 *     vz_walk_deinit(&walk);
 */
#ifndef VZ_APP_WALK_H
#define VZ_APP_WALK_H

#include "base/mem.h"
#include "base/status.h"

struct vz_walk_options {
    bool hidden; /* also names that start with '.', and folders with a .nomedia file */
    bool follow; /* follow links */
    const char *const *excluded; /* patterns with '*' and '?', held against names and whole paths */
    size_t excluded_count;
    bool (*stop)(void); /* asked now and then; NULL: never */
};

struct vz_walk_file {
    char *path; /* absolute, without links in the folder that the walk began at */
    uint64_t size;
    int64_t modified_ms;
};

struct vz_walk_failure {
    char *path, *reason;
    bool is_folder; /* nothing is known about what is in it */
};

/* Zeroed is ready; several folders may be walked into one. */
struct vz_walk {
    struct vz_walk_file *files; /* pictures by their ending; in order of path after vz_walk_sort */
    size_t count, capacity;
    struct vz_walk_failure *failures;
    size_t failure_count, failure_capacity;
    size_t other_count;    /* files that are no pictures, by their ending */
    size_t left_out_count; /* hidden, excluded, links */
    struct vz_seen *seen;  /* folders gone into */
};

/* Adds what is below `folder`. Errors: VZ_NOT_FOUND, VZ_READ_ONLY, VZ_IO for `folder` itself,
 * VZ_BAD_ARGUMENT (no folder), VZ_CANCELLED. */
enum vz_status vz_walk_folder(const char *folder, const struct vz_walk_options *options,
                              struct vz_walk *walk, struct vz_error *err);
/* In order of path, each path once. */
void vz_walk_sort(struct vz_walk *walk);
void vz_walk_deinit(struct vz_walk *walk);

/* By the name's ending: "jpg", "jpeg", "png", "webp", "gif", "tif", "tiff", "heic", "heif", "avif",
 * "svg" and rarer ones of these. */
bool vz_walk_is_picture(const char *name);

#endif
