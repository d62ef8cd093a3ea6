/* embed/registry.h - models on this disk: their names, where they are, whether they are whole.
 *
 * A store is a folder with a folder a model, each in Hugging Face layout. A model is installed when
 * its folder holds `vizsla.json`, the manifest, which is written last: where the model came from
 * and each file's size and SHA-256 (docs/models.md). Folders come into being elsewhere in the store
 * and are renamed, so a reader sees a whole model or none. Not for: fetching (hub.h), what the
 * weights mean (clip.h and others). Uses no network.
 *
 *     STORE/sentence-transformers--clip-ViT-B-32/vizsla.json, modules.json, 0_CLIPModel/...
 *     STORE/.pulling/   what is being made or was interrupted, and a lock file a model
 *
 * Names: a hub id, with a revision where one was asked for ("openai/clip-vit-base-patch32",
 * "org/name@v2"), or a local name without a slash (an imported folder). Short names stand for hub
 * ids ("clip-ViT-B-32" -> "sentence-transformers/clip-ViT-B-32").
 *
 * Threads: any; any number of processes may read. Those that change a model hold its lock.
 *
 *     vz_models_folder(data, &store);
 *     vz_model_find(store.data, "clip-ViT-B-32", &arena, &model, &err);
 *     vz_clip_open(model.folder, NULL, &clip, &err);
 */
#ifndef VZ_EMBED_REGISTRY_H
#define VZ_EMBED_REGISTRY_H

#include "base/mem.h"
#include "base/status.h"

#define VZ_MODEL_MANIFEST "vizsla.json"
#define VZ_MODEL_REPO_MAX 200
#define VZ_MODEL_REVISION_MAX 120
/* A name is at most this long with its NUL; a folder's name too, where a '/' takes two bytes. */
#define VZ_MODEL_NAME_MAX 500

/* What a name stands for. */
struct vz_model_ref {
    char repo[VZ_MODEL_REPO_MAX]; /* "org/name", or a local name */
    char
        revision[VZ_MODEL_REVISION_MAX]; /* branch, tag or commit; "main" when none was asked for */
    char name[VZ_MODEL_NAME_MAX];        /* repo, and "@revision" where one was asked for */
    char folder[VZ_MODEL_NAME_MAX];      /* the folder's name in the store */
};

/* Told during long work: `done` of `total` bytes of `what` ("checking"; static). `total` may grow.
 * False stops the work: VZ_CANCELLED. A NULL function is fine. Called from the working thread. */
struct vz_model_watch {
    bool (*progress)(void *context, const char *what, uint64_t done, uint64_t total);
    void *context;
};

struct vz_model_file {
    const char *path; /* relative, '/' between folders, no ".." */
    uint64_t bytes;
    char sha256[65]; /* lower-case hex */
};

/* One installed model. All text is the arena's; unknown text is "". */
struct vz_model {
    const char *name;      /* as in struct vz_model_ref */
    const char *folder;    /* path of the folder */
    const char *source;    /* URL of the hub's page, or the folder it was imported from */
    const char *revision;  /* as asked for */
    const char *commit;    /* what that was then */
    const char *license;   /* as the hub says: "apache-2.0" */
    const char *type;      /* config.json's model_type: "clip", "bert", ... */
    const char *installed; /* "2026-11-20T12:34:56.789Z" */
    struct vz_model_file *files;
    size_t file_count;
    uint64_t bytes; /* of all files */
    /* SHA-256 over every file's path and SHA-256: two models with the same digest give the same
     * vectors, whatever they are called and wherever they came from. */
    char digest[65];
};

/* Something in a store that is no installed model. */
enum vz_model_stray_kind {
    VZ_STRAY_UNFINISHED,  /* a download that was interrupted; pulling again goes on */
    VZ_STRAY_NO_MANIFEST, /* a folder put there by hand: import it */
    VZ_STRAY_BROKEN       /* a manifest that cannot be read */
};
struct vz_model_stray {
    const char *name;
    enum vz_model_stray_kind kind;
    uint64_t bytes;
};

struct vz_model_list {
    struct vz_model *models; /* by name */
    size_t count;
    struct vz_model_stray *strays;
    size_t stray_count;
};

/* ---- names ---- */

/* As the hub means it: short names get their organisation, others without one get
 * "sentence-transformers/", as that library does. VZ_BAD_NAME says what is allowed. */
enum vz_status vz_model_ref_hub(const char *text, struct vz_model_ref *out, struct vz_error *err);
/* As a folder's name means it: only known short names get an organisation. */
enum vz_status vz_model_ref_local(const char *text, struct vz_model_ref *out, struct vz_error *err);

/* ---- the store ---- */

/* $VIZSLA_MODELS when set, else DATA/models. Appends to `out`. */
void vz_models_folder(const char *data, struct vz_buf *out);

/* The model a user means: by whole name, by short name, or by the last part of a name when only one
 * model has it. VZ_NOT_FOUND says how to get it; VZ_BAD_ARGUMENT when several have that last part;
 * VZ_BAD_NAME, VZ_CORRUPT (its manifest). *out lives in the arena. */
enum vz_status vz_model_find(const char *store, const char *name, struct vz_arena *arena,
                             struct vz_model *out, struct vz_error *err);
/* A store that is not there is empty. Errors: VZ_IO, VZ_READ_ONLY. */
enum vz_status vz_model_list(const char *store, struct vz_arena *arena, struct vz_model_list *out,
                             struct vz_error *err);
/* Removes the model and what an interrupted download of it left. *bytes (may be NULL): how many
 * were freed. The name is resolved as by vz_model_find; folders without a readable manifest go by
 * their name. Processes that have the model open keep it until they close it. Errors as
 * vz_model_find; VZ_BUSY while it is being pulled. */
enum vz_status vz_model_remove(const char *store, const char *name, uint64_t *bytes,
                               struct vz_error *err);

/* ---- checking ---- */

enum vz_model_file_state { VZ_FILE_GOOD, VZ_FILE_MISSING, VZ_FILE_CHANGED };
/* Reads every file and holds it against the manifest. states[model->file_count] is the caller's.
 * VZ_OK also when some differ; *good says whether none does. Errors: VZ_IO, VZ_CANCELLED. */
enum vz_status vz_model_verify(const struct vz_model *model, const struct vz_model_watch *watch,
                               enum vz_model_file_state *states, bool *good, struct vz_error *err);

/* ---- importing ---- */

struct vz_model_import {
    const char *folder; /* a model's folder, or the hub cache's "models--org--name" */
    const char *name;   /* NULL: the folder's own */
    bool copy;          /* never hard link: changes to the source must not reach the store */
};
/* Takes a copy of the needed files by hard links where the file system can, else by copying. The
 * folder must hold a config.json and weights whose header can be read. Errors: VZ_NOT_FOUND (what
 * is missing), VZ_CORRUPT, VZ_UNSUPPORTED (the weights), VZ_EXISTS, VZ_BAD_NAME, VZ_BUSY,
 * VZ_DISK_FULL, VZ_IO, VZ_READ_ONLY, VZ_CANCELLED; nothing is installed then. */
enum vz_status vz_model_import(const char *store, const struct vz_model_import *import,
                               const struct vz_model_watch *watch, struct vz_arena *arena,
                               struct vz_model *out, struct vz_error *err);

#endif
