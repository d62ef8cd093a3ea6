/* The room's life, and a request's. */
#include "infer/parts.h"

#include "base/file.h"
#include "base/thread.h"

#include <errno.h>
#include <stdlib.h>

#define MAX_IMAGE_BYTES ((size_t)32 << 20)

/* AUTO as what it will be on this machine, so that memory can be estimated. */
static enum vz_precision precision_here(enum vz_precision precision)
{
    struct vz_nn *nn = NULL;
    if (precision == VZ_PRECISION_AUTO &&
        vz_nn_new(&(struct vz_nn_options){.threads = 1}, &nn, NULL) == VZ_OK)
        precision = vz_nn_precision(nn);
    vz_nn_free(nn);
    return precision;
}

enum vz_status vz_infer_new(const struct vz_infer_options *options, struct vz_infer **out,
                            struct vz_error *err)
{
    struct vz_infer *infer = vz_calloc(1, sizeof *infer);
    *out = NULL;
    if (options->image_folder) {
        infer->image_folder = realpath(options->image_folder, NULL);
        if (!infer->image_folder) {
            free(infer);
            return vz_fail_errno(err, errno, "image folder %s", options->image_folder);
        }
    }
    infer->models = options->models ? vz_strdup(options->models) : NULL;
    infer->max_memory_bytes =
        options->max_memory_bytes ? options->max_memory_bytes : (size_t)vz_memory_bytes() / 2;
    infer->max_image_bytes = options->max_image_bytes ? options->max_image_bytes : MAX_IMAGE_BYTES;
    infer->precision = precision_here(options->precision);
    infer->cores = vz_cpu_count();
    pthread_mutex_init(&infer->catalogue_lock, NULL);
    pthread_mutex_init(&infer->lock, NULL);
    cond_init(&infer->changed);
    const struct vz_deployment_options eye = {.model = VZ_SLICE(VZ_INFER_EYE)};
    enum vz_status status = vz_infer_start(infer, &eye, 0, err);
    if (status != VZ_OK) {
        vz_infer_free(infer);
        return status;
    }
    *out = infer;
    return VZ_OK;
}

void vz_infer_free(struct vz_infer *infer)
{
    if (!infer)
        return;
    deployments_close(infer);
    catalogue_release(infer->catalogue);
    for (struct alias *a = infer->aliases, *next; a; a = next) {
        next = a->next;
        free(a->name);
        free(a->model);
        free(a);
    }
    for (struct prefixes *p = infer->prefixes, *next; p; p = next) {
        next = p->next;
        free(p->id);
        free(p->query);
        free(p->document);
        free(p);
    }
    pthread_cond_destroy(&infer->changed);
    pthread_mutex_destroy(&infer->lock);
    pthread_mutex_destroy(&infer->catalogue_lock);
    free(infer->models);
    free(infer->image_folder);
    free(infer);
}

const char *vz_task_name(enum vz_task task)
{
    static const char *const names[] = {
        [VZ_TASK_AUTO] = "auto",
        [VZ_TASK_EMBED] = "text_embedding",
        [VZ_TASK_COMPOSE] = "embedding",
        [VZ_TASK_CLASSIFY] = "text_classification",
        [VZ_TASK_ZERO_SHOT] = "zero_shot_classification",
        [VZ_TASK_SIMILARITY] = "text_similarity",
    };
    return names[task];
}

static enum vz_task made_for(const struct vz_model_about *about)
{
    static const enum vz_task tasks[] = {
        [VZ_MADE_TO_EMBED] = VZ_TASK_EMBED,
        [VZ_MADE_TO_CLASSIFY] = VZ_TASK_CLASSIFY,
        [VZ_MADE_TO_RANK] = VZ_TASK_SIMILARITY,
        [VZ_MADE_TO_ENTAIL] = VZ_TASK_ZERO_SHOT,
    };
    return tasks[about->made_for];
}

enum vz_status task_choose(const struct vz_infer_model *model,
                           const struct vz_infer_request *request, enum vz_task *task,
                           struct vz_error *err)
{
    const struct vz_model_about *about = &model->about;
    enum vz_task own = made_for(about), asked = request->task;
    bool can;
    if (asked == VZ_TASK_AUTO)
        asked = own;
    switch (asked) {
    case VZ_TASK_EMBED:
    case VZ_TASK_COMPOSE:
        can = own == VZ_TASK_EMBED;
        break;
    case VZ_TASK_CLASSIFY:
        can = own == VZ_TASK_CLASSIFY || own == VZ_TASK_ZERO_SHOT;
        break;
    case VZ_TASK_ZERO_SHOT:
        can = own == VZ_TASK_ZERO_SHOT || (about->sees && about->reads);
        break;
    default:
        can = own == asked;
    }
    *task = asked;
    if (!can)
        return vz_fail(
            err, VZ_UNSUPPORTED, "model [%.*s] is made for [%s] and cannot be asked for [%s]",
            (int)model->name.len, model->name.ptr, vz_task_name(own), vz_task_name(asked));
    return VZ_OK;
}

static enum vz_status check(const struct vz_infer_model *model,
                            const struct vz_infer_request *request, enum vz_task task,
                            struct vz_error *err)
{
    for (size_t i = 0; i < request->count; i++) {
        bool image = request->inputs[i].is_image;
        if (image && !model->about.sees)
            return vz_fail(err, VZ_UNSUPPORTED,
                           "input [%zu] is a picture: model [%.*s] reads texts only", i,
                           (int)model->name.len, model->name.ptr);
        if (!image && !model->about.reads)
            return vz_fail(err, VZ_UNSUPPORTED,
                           "input [%zu] is a text: the built-in eye sees pictures and reads no "
                           "texts; CLIP does both: vizsla models pull clip-ViT-B-32",
                           i);
    }
    if (task == VZ_TASK_ZERO_SHOT && !request->label_count)
        return vz_fail(err, VZ_BAD_ARGUMENT, "zero-shot classification wants at least one label");
    if (task == VZ_TASK_SIMILARITY && !request->query.len)
        return vz_fail(err, VZ_BAD_ARGUMENT, "text similarity wants the text to compare with");
    if (task == VZ_TASK_COMPOSE && !request->count)
        return vz_fail(err, VZ_BAD_ARGUMENT, "a composed question wants at least one input");
    return VZ_OK;
}

enum vz_status vz_infer_run(struct vz_infer *infer, const struct vz_infer_request *request,
                            struct vz_arena *arena, struct vz_infer_answer *answer,
                            struct vz_error *err)
{
    struct deployment *d;
    *answer = (struct vz_infer_answer){0};
    enum vz_status status = deployment_enter(infer, request->model, request->deadline_ns, &d, err);
    if (status != VZ_OK)
        return status;
    uint64_t start_ns = vz_now_ns();
    const struct vz_model_about *about = &d->model.about;
    struct task task = {
        .infer = infer, .deployment = d, .request = request, .arena = arena, .answer = answer};
    if (!request->without_prefix)
        task.prefix = request->is_query ? about->query_prefix : about->document_prefix;
    answer->dims = about->dims;
    answer->model = vz_arena_copy(arena, d->model.name);
    memcpy(answer->digest, d->model.digest, sizeof answer->digest);
    status = task_choose(&d->model, request, &answer->task, err);
    if (status == VZ_OK)
        status = check(&d->model, request, answer->task, err);
    if (status == VZ_OK)
        status = task_run(&task, err);
    deployment_leave(infer, d, status == VZ_OK, request->count, vz_now_ns() - start_ns,
                     task.cache_hits);
    return status;
}

enum vz_status vz_infer_about(struct vz_infer *infer, struct vz_slice model, struct vz_arena *arena,
                              struct vz_infer_about *about, struct vz_error *err)
{
    struct vz_infer_model found;
    enum vz_status status =
        vz_infer_find(infer, deployment_model(infer, model, arena), arena, &found, err);
    if (status != VZ_OK)
        return status;
    if (found.status != VZ_OK)
        return vz_fail(err, found.status, "model [%.*s] cannot be run: %.*s", (int)found.name.len,
                       found.name.ptr, (int)found.why.len, found.why.ptr);
    *about = (struct vz_infer_about){.name = found.name,
                                     .task = made_for(&found.about),
                                     .dims = found.about.dims,
                                     .sees = found.about.sees,
                                     .reads = found.about.reads};
    memcpy(about->digest, found.digest, sizeof about->digest);
    return VZ_OK;
}
