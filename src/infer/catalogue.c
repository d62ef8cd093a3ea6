/* Which models are installed, and what names mean.
 *
 * Reading the folder costs a file or five a model, so what was read is kept until the folder's
 * modification time says that a model came or went (models are renamed into it whole). Requests
 * that are on their way keep the catalogue they started with. */
#include "infer/parts.h"

#include "embed/registry.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/stat.h>

#define ID_MAX 64
/* A folder that changed so short a time ago may change again within the same tick of its clock. */
#define YOUNG_NS 100000000ll

/* ---- names ---- */

struct vz_slice vz_infer_id_of(struct vz_slice name, struct vz_arena *arena)
{
    struct vz_buf id = {0};
    for (size_t i = 0; i < name.len; i++) {
        char c = name.ptr[i];
        if (c == '/' || c == '\\' || c == ' ')
            vz_buf_append_str(&id, "__");
        else
            vz_buf_append_char(&id, (char)tolower((unsigned char)c));
    }
    struct vz_slice text = vz_buf_slice(&id);
    if (text.len > ID_MAX) {
        text.ptr += text.len - ID_MAX;
        text.len = ID_MAX;
    }
    text = vz_arena_copy(arena, text);
    vz_buf_deinit(&id);
    return text;
}

static bool same_word(struct vz_slice a, struct vz_slice b)
{
    return a.len == b.len && strncasecmp(a.ptr, b.ptr, a.len) == 0;
}

static struct vz_slice last_part(struct vz_slice name)
{
    const char *slash = name.len ? memrchr(name.ptr, '/', name.len) : NULL;
    if (!slash)
        return name;
    return (struct vz_slice){slash + 1, (size_t)(name.ptr + name.len - slash - 1)};
}

static bool is_eye(struct vz_slice name)
{
    return vz_slice_is(name, VZ_INFER_EYE) || vz_slice_is(name, "vizsla-eye-1") ||
           vz_slice_is(name, VZ_INFER_EYE_DIGEST);
}

const struct vz_infer_model *catalogue_find(const struct vz_infer *infer,
                                            const struct catalogue *catalogue, struct vz_slice name,
                                            struct vz_error *err)
{
    const struct vz_infer_model *found = NULL;
    size_t shorts = 0;
    bool eye = is_eye(name); /* whatever else may be called so */
    for (size_t i = 0; i < catalogue->count; i++) {
        const struct vz_infer_model *m = &catalogue->models[i];
        if (eye && m->folder.len)
            continue;
        if (vz_slice_eq(m->id, name) || same_word(m->name, name) ||
            (m->digest[0] && vz_slice_is(name, m->digest)) || (eye && !m->folder.len))
            return m;
        if (same_word(last_part(m->name), name)) {
            found = m;
            shorts++;
        }
    }
    if (shorts == 1)
        return found;
    /* What the registry knows beyond this: short names that stand for another organisation's. */
    struct vz_model_ref ref;
    char text[VZ_MODEL_NAME_MAX];
    int len = (int)VZ_MIN(name.len, sizeof text - 1);
    snprintf(text, sizeof text, "%.*s", len, name.len ? name.ptr : "");
    if (vz_model_ref_local(text, &ref, NULL) == VZ_OK)
        for (size_t i = 0; i < catalogue->count; i++)
            if (vz_slice_is(catalogue->models[i].name, ref.name))
                return &catalogue->models[i];
    if (shorts > 1)
        vz_fail(err, VZ_NOT_FOUND, "several installed models are called [%s]: say the whole name",
                text);
    else
        vz_fail(err, VZ_NOT_FOUND,
                "no model [%s] is installed here; `vizsla models pull %s` gets one from the hub, "
                "`vizsla models list` and GET /_ml/trained_models show what there is",
                text, text);
    return NULL;
}

/* ---- reading ---- */

/* Weights are packed at their precision; what is read in place (token tables) stays as stored.
 * Sixteen MiB and a tenth for tables, plans and scratch memory. */
static uint64_t memory_of(const struct vz_infer *infer, const struct vz_model_about *about)
{
    static const unsigned bytes[] = {[VZ_PRECISION_AUTO] = 4,
                                     [VZ_PRECISION_F32] = 4,
                                     [VZ_PRECISION_BF16] = 2,
                                     [VZ_PRECISION_INT8] = 1};
    if (!about->weights_bytes)
        return 0;
    uint64_t numbers = about->weights_bytes / (about->weight_bytes ? about->weight_bytes : 4);
    uint64_t packed = numbers * bytes[infer->precision];
    return packed + packed / 10 + (16u << 20);
}

static void add_eye(struct vz_infer_model *model)
{
    *model = (struct vz_infer_model){.id = VZ_SLICE(VZ_INFER_EYE),
                                     .name = VZ_SLICE(VZ_INFER_EYE),
                                     .digest = VZ_INFER_EYE_DIGEST};
    vz_model_about(NULL, model->name, NULL, &model->about, NULL);
}

static void add_model(const struct vz_infer *infer, const struct vz_model *from,
                      struct vz_arena *arena, struct vz_infer_model *model)
{
    struct vz_error err = {0};
    *model = (struct vz_infer_model){
        .name = vz_slice_from(from->name),
        .folder = vz_slice_from(from->folder),
        .source = vz_slice_from(from->source),
        .license = vz_slice_from(from->license),
        .installed = vz_slice_from(from->installed),
        .bytes = from->bytes,
    };
    model->id = vz_infer_id_of(model->name, arena);
    memcpy(model->digest, from->digest, sizeof model->digest);
    model->status = vz_model_about(from->folder, model->name, arena, &model->about, &err);
    if (model->status != VZ_OK)
        model->why = vz_arena_copy(arena, vz_slice_from(err.text));
    model->memory_bytes = memory_of(infer, &model->about);
}

static int by_id(const void *a, const void *b)
{
    const struct vz_infer_model *x = a, *y = b;
    return vz_slice_cmp(x->id, y->id);
}

static int64_t folder_mtime_ns(const struct vz_infer *infer)
{
    struct stat info;
    if (!infer->models || stat(infer->models, &info) != 0)
        return -1;
    return (int64_t)info.st_mtim.tv_sec * 1000000000 + info.st_mtim.tv_nsec;
}

static enum vz_status catalogue_read(const struct vz_infer *infer, int64_t mtime_ns,
                                     struct catalogue **out, struct vz_error *err)
{
    struct catalogue *c = vz_calloc(1, sizeof *c);
    struct vz_model_list list = {0};
    enum vz_status status =
        infer->models ? vz_model_list(infer->models, &c->arena, &list, err) : VZ_OK;
    c->models = vz_arena_zalloc(&c->arena, (list.count + 1) * sizeof *c->models);
    for (size_t i = 0; i < list.count; i++)
        add_model(infer, &list.models[i], &c->arena, &c->models[c->count++]);
    add_eye(&c->models[c->count++]);
    qsort(c->models, c->count, sizeof *c->models, by_id);
    c->mtime_ns = mtime_ns;
    c->is_young = vz_wall_ms() * 1000000 - mtime_ns < YOUNG_NS;
    atomic_init(&c->refs, 1);
    if (status != VZ_OK) {
        catalogue_release(c);
        return status;
    }
    *out = c;
    return VZ_OK;
}

enum vz_status catalogue_get(struct vz_infer *infer, struct catalogue **out, struct vz_error *err)
{
    enum vz_status status = VZ_OK;
    pthread_mutex_lock(&infer->catalogue_lock);
    int64_t mtime_ns = folder_mtime_ns(infer);
    if (!infer->catalogue || infer->catalogue->is_young || infer->catalogue->mtime_ns != mtime_ns) {
        struct catalogue *fresh = NULL;
        status = catalogue_read(infer, mtime_ns, &fresh, err);
        if (status == VZ_OK) {
            catalogue_release(infer->catalogue);
            infer->catalogue = fresh;
        }
    }
    *out = NULL;
    if (status == VZ_OK) {
        atomic_fetch_add_explicit(&infer->catalogue->refs, 1, memory_order_relaxed);
        *out = infer->catalogue;
    }
    pthread_mutex_unlock(&infer->catalogue_lock);
    return status;
}

void catalogue_release(struct catalogue *c)
{
    /* Pairs with itself: the last one must see what the others read. */
    if (!c || atomic_fetch_sub_explicit(&c->refs, 1, memory_order_acq_rel) != 1)
        return;
    vz_arena_deinit(&c->arena);
    free(c);
}

/* ---- what the outside asks ---- */

static void copy_model(const struct vz_infer_model *from, struct vz_arena *arena,
                       struct vz_infer_model *to)
{
    *to = *from;
    struct vz_slice *texts[] = {&to->id,
                                &to->name,
                                &to->folder,
                                &to->source,
                                &to->license,
                                &to->installed,
                                &to->why,
                                &to->about.type,
                                &to->about.query_prefix,
                                &to->about.document_prefix};
    for (size_t i = 0; i < VZ_COUNT_OF(texts); i++)
        *texts[i] = vz_arena_copy(arena, *texts[i]);
    if (from->about.labels) {
        to->about.labels =
            vz_arena_zalloc(arena, (from->about.label_count + 1) * sizeof *to->about.labels);
        for (size_t i = 0; i < from->about.label_count; i++)
            to->about.labels[i] = vz_arena_copy(arena, from->about.labels[i]);
    }
}

static void apply_prefixes(struct vz_infer *infer, struct vz_arena *arena,
                           struct vz_infer_model *model)
{
    pthread_mutex_lock(&infer->lock);
    for (const struct prefixes *p = infer->prefixes; p; p = p->next)
        if (vz_slice_is(model->id, p->id)) {
            model->about.query_prefix = vz_arena_copy(arena, vz_slice_from(p->query));
            model->about.document_prefix = vz_arena_copy(arena, vz_slice_from(p->document));
        }
    pthread_mutex_unlock(&infer->lock);
}

enum vz_status vz_infer_models(struct vz_infer *infer, struct vz_arena *arena,
                               struct vz_infer_model **models, size_t *count, struct vz_error *err)
{
    struct catalogue *c;
    enum vz_status status = catalogue_get(infer, &c, err);
    *models = NULL;
    *count = 0;
    if (status != VZ_OK)
        return status;
    *models = vz_arena_zalloc(arena, c->count * sizeof **models);
    *count = c->count;
    for (size_t i = 0; i < c->count; i++) {
        copy_model(&c->models[i], arena, &(*models)[i]);
        apply_prefixes(infer, arena, &(*models)[i]);
    }
    catalogue_release(c);
    return VZ_OK;
}

enum vz_status vz_infer_find(struct vz_infer *infer, struct vz_slice name, struct vz_arena *arena,
                             struct vz_infer_model *model, struct vz_error *err)
{
    struct catalogue *c;
    enum vz_status status = catalogue_get(infer, &c, err);
    if (status != VZ_OK)
        return status;
    const struct vz_infer_model *found =
        catalogue_find(infer, c, alias_resolve(infer, name, arena), err);
    if (found) {
        copy_model(found, arena, model);
        apply_prefixes(infer, arena, model);
    }
    catalogue_release(c);
    return found ? VZ_OK : VZ_NOT_FOUND;
}

const char *vz_infer_models_folder(const struct vz_infer *infer)
{
    return infer->models ? infer->models : "";
}

/* ---- aliases and prefixes ---- */

enum vz_status vz_infer_alias(struct vz_infer *infer, struct vz_slice alias, struct vz_slice model,
                              struct vz_error *err)
{
    enum vz_status status = VZ_OK;
    pthread_mutex_lock(&infer->lock);
    struct alias **at = &infer->aliases;
    while (*at && !vz_slice_is(alias, (*at)->name))
        at = &(*at)->next;
    struct alias *old = *at;
    if (old) {
        *at = old->next;
        free(old->name);
        free(old->model);
        free(old);
    }
    if (model.len) {
        struct alias *fresh = vz_calloc(1, sizeof *fresh);
        fresh->name = vz_strndup(alias.ptr, alias.len);
        fresh->model = vz_strndup(model.ptr, model.len);
        fresh->next = infer->aliases;
        infer->aliases = fresh;
    } else if (!old) {
        status =
            vz_fail(err, VZ_NOT_FOUND, "there is no model alias [%.*s]", (int)alias.len, alias.ptr);
    }
    pthread_mutex_unlock(&infer->lock);
    return status;
}

bool vz_infer_alias_get(struct vz_infer *infer, struct vz_slice alias, struct vz_arena *arena,
                        struct vz_slice *model)
{
    bool found = false;
    pthread_mutex_lock(&infer->lock);
    for (const struct alias *a = infer->aliases; a && !found; a = a->next)
        if (vz_slice_is(alias, a->name)) {
            *model = vz_arena_copy(arena, vz_slice_from(a->model));
            found = true;
        }
    pthread_mutex_unlock(&infer->lock);
    return found;
}

struct vz_slice alias_resolve(struct vz_infer *infer, struct vz_slice name, struct vz_arena *arena)
{
    struct vz_slice model;
    return vz_infer_alias_get(infer, name, arena, &model) ? model : name;
}

size_t vz_infer_aliases(struct vz_infer *infer, struct vz_arena *arena, struct vz_slice **aliases,
                        struct vz_slice **models)
{
    size_t count = 0, i = 0;
    pthread_mutex_lock(&infer->lock);
    for (const struct alias *a = infer->aliases; a; a = a->next)
        count++;
    *aliases = vz_arena_zalloc(arena, (count + 1) * sizeof **aliases);
    *models = vz_arena_zalloc(arena, (count + 1) * sizeof **models);
    for (const struct alias *a = infer->aliases; a; a = a->next, i++) {
        (*aliases)[i] = vz_arena_copy(arena, vz_slice_from(a->name));
        (*models)[i] = vz_arena_copy(arena, vz_slice_from(a->model));
    }
    pthread_mutex_unlock(&infer->lock);
    return count;
}

void vz_infer_prefixes(struct vz_infer *infer, struct vz_slice id, struct vz_slice query,
                       struct vz_slice document)
{
    pthread_mutex_lock(&infer->lock);
    struct prefixes **at = &infer->prefixes;
    while (*at && !vz_slice_is(id, (*at)->id))
        at = &(*at)->next;
    struct prefixes *p = *at;
    if (!query.ptr && !document.ptr) {
        if (p) {
            *at = p->next;
            free(p->id);
            free(p->query);
            free(p->document);
            free(p);
        }
        pthread_mutex_unlock(&infer->lock);
        return;
    }
    if (!p) {
        p = vz_calloc(1, sizeof *p);
        p->id = vz_strndup(id.ptr, id.len);
        p->next = infer->prefixes;
        infer->prefixes = p;
    }
    free(p->query);
    free(p->document);
    p->query = vz_strndup(query.ptr ? query.ptr : "", query.len);
    p->document = vz_strndup(document.ptr ? document.ptr : "", document.len);
    pthread_mutex_unlock(&infer->lock);
}
