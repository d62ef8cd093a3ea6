/* registry.c - what models are called, where they are, whether they are whole.
 *
 * A hub id and a folder's name are the same thing written twice: "org/name@rev" is the folder
 * "org--name@rev", with '/' in a revision as "%2F". The hub allows no "--" in either part, so this
 * goes back without doubt.
 */
#include "embed/registry_parts.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"

/* Short names as these models' documentation writes them. */
static const struct {
    const char *prefix, *org;
} organisations[] = {
    {"all-", "sentence-transformers"},
    {"clip-ViT-", "sentence-transformers"},
    {"multi-qa-", "sentence-transformers"},
    {"paraphrase-", "sentence-transformers"},
    {"distiluse-", "sentence-transformers"},
    {"msmarco-", "sentence-transformers"},
    {"clip-vit-", "openai"},
    {"CLIP-ViT-", "laion"},
    {"multilingual-e5-", "intfloat"},
    {"e5-", "intfloat"},
    {"bge-", "BAAI"},
    {"ms-marco-", "cross-encoder"},
};

/* ---- names --------------------------------------------------------------------------------- */

static bool part_ok(struct vz_slice part)
{
    if (part.len == 0 || part.len > 96)
        return false;
    for (size_t i = 0; i < part.len; i++) {
        char c = part.ptr[i], next = i + 1 < part.len ? part.ptr[i + 1] : '\0';
        if (!isalnum((unsigned char)c) && c != '_' && c != '-' && c != '.')
            return false;
        if ((c == '-' || c == '.') && (i == 0 || !next || next == c))
            return false;
    }
    return true;
}

static bool revision_ok(struct vz_slice revision)
{
    if (revision.len == 0 || revision.len >= VZ_MODEL_REVISION_MAX)
        return false;
    for (size_t i = 0; i < revision.len; i++) {
        char c = revision.ptr[i], next = i + 1 < revision.len ? revision.ptr[i + 1] : '\0';
        if (!isalnum((unsigned char)c) && !strchr("_-./", c))
            return false;
        if ((c == '.' || c == '/') && (i == 0 || !next || next == '.' || next == '/'))
            return false;
    }
    return true;
}

static const char *organisation_of(struct vz_slice name)
{
    for (size_t i = 0; i < VZ_COUNT_OF(organisations); i++)
        if (vz_slice_starts(name, organisations[i].prefix))
            return organisations[i].org;
    return NULL;
}

static void fill_names(struct vz_model_ref *ref, bool pinned)
{
    snprintf(ref->name, sizeof ref->name, "%s%s%s", ref->repo, pinned ? "@" : "",
             pinned ? ref->revision : "");
    size_t at = 0;
    for (const char *c = ref->repo; *c; c++)
        at += (size_t)snprintf(ref->folder + at, sizeof ref->folder - at, "%s",
                               *c == '/' ? "--" : (char[]){*c, 0});
    if (!pinned)
        return;
    ref->folder[at++] = '@';
    for (const char *c = ref->revision; *c; c++)
        at += (size_t)snprintf(ref->folder + at, sizeof ref->folder - at, "%s",
                               *c == '/' ? "%2F" : (char[]){*c, 0});
}

static enum vz_status parse(const char *text, const char *default_org, struct vz_model_ref *out,
                            struct vz_error *err)
{
    *out = (struct vz_model_ref){.revision = "main"};
    const char *at = strchr(text, '@'), *slash = NULL;
    struct vz_slice repo = {text, at ? (size_t)(at - text) : strlen(text)};
    struct vz_slice revision = vz_slice_from(at ? at + 1 : "main");
    slash = memchr(repo.ptr, '/', repo.len);
    struct vz_slice org = {text, slash ? (size_t)(slash - text) : 0};
    struct vz_slice name = repo;
    if (slash)
        name = (struct vz_slice){slash + 1, repo.len - org.len - 1};
    if (!part_ok(name) || (slash && !part_ok(org)))
        return vz_fail(
            err, VZ_BAD_NAME,
            "[%.200s] is no model's name: expected NAME or ORGANISATION/NAME of letters, "
            "digits and single - _ . between them, and @REVISION where one is meant",
            text);
    if (!revision_ok(revision))
        return vz_fail(err, VZ_BAD_NAME, "[%.200s]: what follows @ is no branch, tag or commit",
                       text);
    if (!slash && organisation_of(name))
        default_org = organisation_of(name);
    if (!slash && default_org)
        snprintf(out->repo, sizeof out->repo, "%s/%.*s", default_org, (int)name.len, name.ptr);
    else
        snprintf(out->repo, sizeof out->repo, "%.*s", (int)repo.len, repo.ptr);
    memcpy(out->revision, revision.ptr, revision.len);
    out->revision[revision.len] = '\0';
    fill_names(out, at != NULL);
    return VZ_OK;
}

enum vz_status vz_model_ref_hub(const char *text, struct vz_model_ref *out, struct vz_error *err)
{
    return parse(text, "sentence-transformers", out, err);
}

enum vz_status vz_model_ref_local(const char *text, struct vz_model_ref *out, struct vz_error *err)
{
    return parse(text, NULL, out, err);
}

void vz_models_folder(const char *data, struct vz_buf *out)
{
    const char *from_env = getenv("VIZSLA_MODELS");
    if (from_env && *from_env)
        vz_buf_append_str(out, from_env);
    else
        vz_buf_printf(out, "%s/models", data);
}

/* "org--name@refs%2Fpr%2F1" -> "org/name@refs/pr/1". */
static const char *name_of_folder(const char *folder, size_t len, struct vz_arena *arena)
{
    struct vz_buf name = {0};
    bool had_org = false;
    for (size_t i = 0; i < len; i++) {
        bool dashes = !had_org && i + 1 < len && memcmp(folder + i, "--", 2) == 0;
        bool slash = i + 2 < len && memcmp(folder + i, "%2F", 3) == 0;
        vz_buf_append_char(&name, dashes || slash ? '/' : folder[i]);
        had_org = had_org || dashes;
        i += dashes ? 1 : slash ? 2 : 0;
    }
    const char *copy = vz_arena_strdup(arena, vz_buf_slice(&name));
    vz_buf_deinit(&name);
    return copy;
}

/* ---- listing ------------------------------------------------------------------------------- */

struct lister {
    struct vz_arena *arena;
    struct vz_model_list *list;
    size_t model_capacity, stray_capacity;
};

static void add_model(struct lister *l, const struct vz_model *model)
{
    if (l->list->count == l->model_capacity) {
        l->model_capacity = l->model_capacity ? l->model_capacity * 2 : 16;
        struct vz_model *more = vz_arena_zalloc(l->arena, l->model_capacity * sizeof *more);
        if (l->list->count)
            memcpy(more, l->list->models, l->list->count * sizeof *more);
        l->list->models = more;
    }
    l->list->models[l->list->count++] = *model;
}

static void add_stray(struct lister *l, const char *name, enum vz_model_stray_kind kind,
                      const char *path)
{
    if (l->list->stray_count == l->stray_capacity) {
        l->stray_capacity = l->stray_capacity ? l->stray_capacity * 2 : 16;
        struct vz_model_stray *more = vz_arena_zalloc(l->arena, l->stray_capacity * sizeof *more);
        if (l->list->stray_count)
            memcpy(more, l->list->strays, l->list->stray_count * sizeof *more);
        l->list->strays = more;
    }
    l->list->strays[l->list->stray_count++] =
        (struct vz_model_stray){name, kind, vz_folder_bytes(path)};
}

static bool is_folder(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 && S_ISDIR(info.st_mode);
}

static void look_at(struct lister *l, const char *path, const char *entry)
{
    struct vz_model model;
    enum vz_status status = vz_model_read(path, l->arena, &model, NULL);
    if (status == VZ_OK)
        add_model(l, &model);
    else
        add_stray(l, name_of_folder(entry, strlen(entry), l->arena),
                  status == VZ_NOT_FOUND ? VZ_STRAY_NO_MANIFEST : VZ_STRAY_BROKEN, path);
}

/* Work folders are called "FOLDER+WHAT"; lock files are no folders. */
static void look_at_work(struct lister *l, const char *path, const char *entry)
{
    const char *plus = strchr(entry, '+');
    if (plus)
        add_stray(l, name_of_folder(entry, (size_t)(plus - entry), l->arena), VZ_STRAY_UNFINISHED,
                  path);
}

static enum vz_status each_folder(struct lister *l, const char *folder,
                                  void (*look)(struct lister *, const char *, const char *),
                                  struct vz_error *err)
{
    DIR *dir = opendir(folder);
    if (!dir)
        return errno == ENOENT ? VZ_OK : vz_fail_errno(err, errno, "cannot read %s", folder);
    struct vz_buf path = {0};
    struct dirent *entry;
    while ((entry = readdir(dir))) {
        if (entry->d_name[0] == '.')
            continue;
        vz_buf_clear(&path);
        vz_buf_printf(&path, "%s/%s", folder, entry->d_name);
        if (is_folder(path.data))
            look(l, path.data, entry->d_name);
    }
    closedir(dir);
    vz_buf_deinit(&path);
    return VZ_OK;
}

static int by_name(const void *a, const void *b)
{
    const struct vz_model *x = a, *y = b;
    return strcmp(x->name, y->name);
}

static int by_stray_name(const void *a, const void *b)
{
    const struct vz_model_stray *x = a, *y = b;
    return strcmp(x->name, y->name);
}

enum vz_status vz_model_list(const char *store, struct vz_arena *arena, struct vz_model_list *out,
                             struct vz_error *err)
{
    struct lister l = {.arena = arena, .list = out};
    struct vz_buf work = {0};
    *out = (struct vz_model_list){0};
    vz_buf_printf(&work, "%s/.pulling", store);
    enum vz_status status = each_folder(&l, store, look_at, err);
    if (status == VZ_OK)
        status = each_folder(&l, work.data, look_at_work, err);
    if (out->count)
        qsort(out->models, out->count, sizeof *out->models, by_name);
    if (out->stray_count)
        qsort(out->strays, out->stray_count, sizeof *out->strays, by_stray_name);
    vz_buf_deinit(&work);
    return status;
}

/* ---- finding ------------------------------------------------------------------------------- */

static enum vz_status read_named(const char *store, const struct vz_model_ref *ref,
                                 struct vz_arena *arena, struct vz_model *out, struct vz_error *err)
{
    struct vz_buf path = {0};
    vz_buf_printf(&path, "%s/%s", store, ref->folder);
    enum vz_status status = vz_model_read(path.data, arena, out, err);
    vz_buf_deinit(&path);
    return status;
}

static enum vz_status find_by_last_part(const char *store, const char *name, struct vz_arena *arena,
                                        struct vz_model *out, struct vz_error *err)
{
    struct vz_model_list list;
    const struct vz_model *found = NULL;
    enum vz_status status = vz_model_list(store, arena, &list, err);
    for (size_t i = 0; status == VZ_OK && i < list.count; i++) {
        const char *slash = strchr(list.models[i].name, '/');
        if (!slash || strcmp(slash + 1, name) != 0)
            continue;
        if (found)
            return vz_fail(err, VZ_BAD_ARGUMENT, "[%s] may be %s or %s: say which", name,
                           found->name, list.models[i].name);
        found = &list.models[i];
    }
    if (status == VZ_OK && !found)
        return vz_fail(err, VZ_NOT_FOUND,
                       "the model [%s] is not installed; `vizsla models pull %s` gets it, "
                       "`vizsla models list` shows what is there",
                       name, name);
    if (found)
        *out = *found;
    return status;
}

enum vz_status vz_model_find(const char *store, const char *name, struct vz_arena *arena,
                             struct vz_model *out, struct vz_error *err)
{
    struct vz_model_ref local, hub;
    enum vz_status status = vz_model_ref_local(name, &local, err);
    if (status != VZ_OK)
        return status;
    status = read_named(store, &local, arena, out, err);
    if (status != VZ_NOT_FOUND)
        return status;
    vz_model_ref_hub(name, &hub, NULL); /* names that are right locally are right there */
    status = read_named(store, &hub, arena, out, err);
    return status == VZ_NOT_FOUND ? find_by_last_part(store, name, arena, out, err) : status;
}

/* ---- removing ------------------------------------------------------------------------------ */

/* The folder goes out of sight in one step and is then taken apart. */
static enum vz_status remove_named(const char *store, const struct vz_model_ref *ref,
                                   uint64_t *bytes, bool *found, struct vz_error *err)
{
    struct vz_buf path = {0}, away = {0};
    int lock = -1;
    vz_buf_printf(&path, "%s/%s", store, ref->folder);
    vz_buf_printf(&away, "%s/.pulling/%s+removed", store, ref->folder);
    enum vz_status status = vz_model_lock(store, ref, &lock, err);
    if (status == VZ_OK && is_folder(path.data)) {
        *found = true;
        status = vz_remove_all(away.data, err);
        if (status == VZ_OK && rename(path.data, away.data) != 0)
            status = vz_fail_errno(err, errno, "cannot remove %s", path.data);
        if (status == VZ_OK)
            status = vz_sync_dir(store, err);
    }
    uint64_t freed = 0;
    if (status == VZ_OK)
        status = vz_model_clear_work(store, ref, NULL, &freed, err);
    *found = *found || freed;
    *bytes += freed;
    vz_model_unlock(lock);
    vz_buf_deinit(&path);
    vz_buf_deinit(&away);
    return status;
}

enum vz_status vz_model_remove(const char *store, const char *name, uint64_t *bytes,
                               struct vz_error *err)
{
    struct vz_arena arena = {0};
    struct vz_model model;
    struct vz_model_ref ref;
    uint64_t freed = 0;
    bool found = false;
    enum vz_status status = vz_model_find(store, name, &arena, &model, err);
    if (status == VZ_OK) {
        status = vz_model_ref_local(model.name, &ref, err);
        if (status == VZ_OK)
            status = remove_named(store, &ref, &freed, &found, err);
    } else if ((status == VZ_NOT_FOUND || status == VZ_CORRUPT) && is_folder(store)) {
        struct vz_error why = {0};
        enum vz_status tried = vz_model_ref_local(name, &ref, NULL);
        if (tried == VZ_OK)
            tried = remove_named(store, &ref, &freed, &found, &why);
        if (tried == VZ_OK && !found && vz_model_ref_hub(name, &ref, NULL) == VZ_OK)
            tried = remove_named(store, &ref, &freed, &found, &why);
        if (found || tried != VZ_OK) {
            status = tried;
            if (err)
                *err = why;
        }
    }
    if (bytes)
        *bytes = freed;
    vz_arena_deinit(&arena);
    return status;
}

/* ---- verifying ----------------------------------------------------------------------------- */

enum vz_status vz_model_verify(const struct vz_model *model, const struct vz_model_watch *watch,
                               enum vz_model_file_state *states, bool *good, struct vz_error *err)
{
    struct vz_buf path = {0};
    enum vz_status status = VZ_OK;
    uint64_t done = 0;
    *good = true;
    for (size_t i = 0; status == VZ_OK && i < model->file_count; i++) {
        const struct vz_model_file *file = &model->files[i];
        struct stat info;
        char digest[65];
        vz_buf_clear(&path);
        vz_buf_printf(&path, "%s/%s", model->folder, file->path);
        states[i] = VZ_FILE_GOOD;
        if (stat(path.data, &info) != 0 || !S_ISREG(info.st_mode)) {
            states[i] = VZ_FILE_MISSING;
        } else if ((uint64_t)info.st_size != file->bytes) {
            states[i] = VZ_FILE_CHANGED;
        } else {
            status =
                vz_file_digest(path.data, VZ_DIGEST_SHA256, watch, done, model->bytes, digest, err);
            if (status == VZ_OK && strcmp(digest, file->sha256) != 0)
                states[i] = VZ_FILE_CHANGED;
        }
        *good = *good && states[i] == VZ_FILE_GOOD;
        done += file->bytes;
    }
    vz_buf_deinit(&path);
    return status;
}
