/* embed/registry_parts.h - what the registry and the hub share, for registry*.c and hub*.c only. */
#ifndef VZ_EMBED_REGISTRY_PARTS_H
#define VZ_EMBED_REGISTRY_PARTS_H

#include "embed/registry.h"

/* Bounds on what a listing or manifest, written by others, may ask for. */
#define VZ_MODEL_MAX_LISTED 20000
#define VZ_MODEL_MAX_FILES 500
#define VZ_MODEL_MAX_PATH 400
#define VZ_MODEL_MAX_TEXT_BYTES ((uint64_t)64 << 20)    /* one file that is no weights */
#define VZ_MODEL_MAX_WEIGHTS_BYTES ((uint64_t)64 << 30) /* one weights file */
#define VZ_MODEL_MAX_TOTAL_BYTES ((uint64_t)256 << 30)

/* ---- registry_files.c: which files a model needs, and their checksums ---- */

/* A relative path that stays inside its folder and is plain text. */
bool vz_model_path_ok(struct vz_slice path);

/* All files of a model, wherever they are. `read` appends one small file. */
struct vz_model_listing {
    const char *const *paths;
    size_t count;
    enum vz_status (*read)(void *context, const char *path, struct vz_buf *out,
                           struct vz_error *err);
    void *context;
};
struct vz_model_pick {
    const char *path; /* the listing's */
    bool is_weights;
};
struct vz_model_picks {
    struct vz_model_pick *items; /* in the arena; small files first */
    size_t count;
    const char *config; /* path of the model's config.json */
};
/* Picks what this program reads: configurations, tokenizers and one set of weights a module.
 * Errors: VZ_NOT_FOUND (no config.json, no weights that can be read), VZ_CORRUPT (unsafe names,
 * modules.json or a weights index that makes no sense), VZ_LIMIT, and those of `read`. */
enum vz_status vz_model_pick_files(const struct vz_model_listing *listing, struct vz_arena *arena,
                                   struct vz_model_picks *out, struct vz_error *err);

enum vz_digest_kind { VZ_DIGEST_SHA256, VZ_DIGEST_GIT /* SHA-1 of git's blob */ };
/* Hashes a file into lower-case hex (65 bytes at most). `done` bytes of the watch's total were done
 * before. Errors: VZ_NOT_FOUND, VZ_IO, VZ_CANCELLED. */
enum vz_status vz_file_digest(const char *path, enum vz_digest_kind kind,
                              const struct vz_model_watch *watch, uint64_t done, uint64_t total,
                              char out[65], struct vz_error *err);
bool vz_watch_tell(const struct vz_model_watch *watch, const char *what, uint64_t done,
                   uint64_t total);

/* ---- registry_install.c: locks, manifests, the last rename ---- */

/* One writer a model. Creates the store. VZ_BUSY when another process is at it. */
enum vz_status vz_model_lock(const char *store, const struct vz_model_ref *ref, int *fd,
                             struct vz_error *err);
void vz_model_unlock(int fd);

/* Reads a model's manifest. VZ_NOT_FOUND when it is not installed, VZ_CORRUPT. */
enum vz_status vz_model_read(const char *folder, struct vz_arena *arena, struct vz_model *out,
                             struct vz_error *err);

/* Takes a finished work folder into the store. `model` has name, source, revision, commit, license
 * and files with sizes and checksums; the rest is filled in. Checks that config.json is JSON and
 * the weights have a header, syncs, writes the manifest, and puts the folder in place of any older
 * one in one step. */
enum vz_status vz_model_install(const char *store, const struct vz_model_ref *ref, const char *work,
                                const struct vz_model_picks *picks, struct vz_arena *arena,
                                struct vz_model *model, struct vz_error *err);
/* Removes what interrupted work left for this model, but not `keep` (a folder's path, may be NULL).
 * *bytes, when given, gets what was freed added. */
enum vz_status vz_model_clear_work(const char *store, const struct vz_model_ref *ref,
                                   const char *keep, uint64_t *bytes, struct vz_error *err);
/* Bytes of all files below a folder. */
uint64_t vz_folder_bytes(const char *path);
/* Creates the folders on the way to a file. */
enum vz_status vz_make_parents(const char *path, struct vz_error *err);

#endif
