/* What each task computes, from one deployment's weights.
 *
 * Work goes in pieces (texts by number, pictures by number and memory), and the deadline is looked
 * at between them. Pictures of a piece are decoded by as many threads as there are cores; what is
 * kept of each is the model's input, not the picture. */
#include "infer/parts.h"

#include <math.h>
#include <stdlib.h>

#define MAX_INPUTS 65536
#define TEXTS_A_PIECE 64
#define IMAGES_A_PIECE 16
#define MAX_PAIRS 262144
#define MAX_LABELS 10000
#define MAX_TEMPLATE 4096
#define MAX_DECODERS 16

static enum vz_status on_time(const struct task *t, struct vz_error *err)
{
    uint64_t deadline = t->request->deadline_ns;
    if (deadline && vz_now_ns() >= deadline)
        return vz_fail(err, VZ_CANCELLED, "the request to [%.*s] timed out while it computed",
                       (int)t->deployment->id.len, t->deployment->id.ptr);
    return VZ_OK;
}

static enum vz_status too_long(const struct task *t, size_t number, struct vz_error *err)
{
    return vz_fail(err, VZ_LIMIT,
                   "input [%zu] is longer than the %u tokens that model [%.*s] reads", number,
                   t->deployment->model.about.max_tokens, (int)t->deployment->model.name.len,
                   t->deployment->model.name.ptr);
}

static enum vz_status note_text(const struct task *t, size_t number, struct vz_text_note note,
                                struct vz_infer_one *one, struct vz_error *err)
{
    one->is_truncated = note.is_truncated;
    one->tokens = note.tokens;
    return note.is_truncated && t->request->refuse_long ? too_long(t, number, err) : VZ_OK;
}

/* ---- vectors of texts ---- */

/* Texts numbers[0..count) to their places in `vectors`. */
static enum vz_status embed_texts(struct task *t, const size_t *numbers, size_t count,
                                  float *vectors, struct vz_infer_one *ones, struct vz_error *err)
{
    struct vz_slice texts[TEXTS_A_PIECE];
    struct vz_text_note notes[TEXTS_A_PIECE];
    const struct vz_opened_model *model = t->deployment->opened->model;
    uint32_t dims = t->answer->dims;
    float *out = vz_try_alloc((size_t)dims * VZ_MIN(count, (size_t)TEXTS_A_PIECE), sizeof *out);
    enum vz_status status = out ? VZ_OK : vz_fail(err, VZ_BUDGET, "no memory for vectors");
    for (size_t first = 0; status == VZ_OK && first < count; first += TEXTS_A_PIECE) {
        size_t piece = VZ_MIN(count - first, (size_t)TEXTS_A_PIECE);
        for (size_t i = 0; i < piece; i++)
            texts[i] = t->request->inputs[numbers[first + i]].text;
        status = on_time(t, err);
        if (status == VZ_OK)
            status = vz_model_embed_texts(model, t->prefix, texts, piece, out, notes, err);
        for (size_t i = 0; status == VZ_OK && i < piece; i++) {
            size_t number = numbers[first + i];
            memcpy(vectors + number * dims, out + i * dims, dims * sizeof *out);
            cache_put(t->deployment->cache, t->prefix, texts[i], out + i * dims, notes[i]);
            status = note_text(t, number, notes[i], &ones[number], err);
        }
    }
    free(out);
    return status;
}

/* ---- vectors of pictures ---- */

struct decoding {
    struct task *task;
    const size_t *numbers;
    size_t count, pixel_count;
    float *pixels;  /* [count, pixel_count]; NULL: vectors at once */
    float *vectors; /* [inputs, dims] */
    atomic_size_t next;
    pthread_mutex_t lock; /* of what follows: the first failure by number */
    size_t failed;
    enum vz_status status;
    struct vz_error error;
};

static void *decode_some(void *arg)
{
    struct decoding *work = arg;
    const struct task *t = work->task;
    for (;;) {
        /* Only the number counts; results are read after the join. */
        size_t i = atomic_fetch_add_explicit(&work->next, 1, memory_order_relaxed);
        if (i >= work->count)
            return NULL;
        size_t number = work->numbers[i];
        struct vz_error error = {0};
        enum vz_status status =
            image_prepare(t->infer, t->deployment->opened->model, t->request->inputs[number].bytes,
                          number, work->pixels ? work->pixels + i * work->pixel_count : NULL,
                          work->vectors + number * t->answer->dims, &error);
        if (status == VZ_OK)
            continue;
        pthread_mutex_lock(&work->lock);
        if (work->status == VZ_OK || i < work->failed) {
            work->status = status;
            work->failed = i;
            work->error = error;
        }
        pthread_mutex_unlock(&work->lock);
    }
}

static enum vz_status decode_piece(struct decoding *work, struct vz_error *err)
{
    pthread_t threads[MAX_DECODERS];
    size_t started = 0;
    size_t wanted = VZ_MIN(VZ_MIN(work->count, (size_t)work->task->infer->cores), MAX_DECODERS);
    atomic_init(&work->next, 0);
    pthread_mutex_init(&work->lock, NULL);
    while (started + 1 < wanted && pthread_create(&threads[started], NULL, decode_some, work) == 0)
        started++;
    decode_some(work);
    for (size_t i = 0; i < started; i++)
        pthread_join(threads[i], NULL);
    pthread_mutex_destroy(&work->lock);
    if (work->status != VZ_OK && err)
        *err = work->error;
    return work->status;
}

static enum vz_status embed_images(struct task *t, const size_t *numbers, size_t count,
                                   float *vectors, struct vz_error *err)
{
    const struct vz_opened_model *model = t->deployment->opened->model;
    size_t pixel_count = vz_model_pixel_count(model), dims = t->answer->dims;
    size_t most = VZ_MIN(count, (size_t)IMAGES_A_PIECE);
    float *pixels = NULL, *out = NULL;
    enum vz_status status = VZ_OK;
    if (pixel_count) {
        pixels = vz_try_alloc(most * pixel_count, sizeof *pixels);
        out = vz_try_alloc(most * dims, sizeof *out);
        if (!pixels || !out)
            status = vz_fail(err, VZ_BUDGET, "no memory for the pictures' inputs");
    }
    for (size_t first = 0; status == VZ_OK && first < count; first += IMAGES_A_PIECE) {
        size_t piece = VZ_MIN(count - first, (size_t)IMAGES_A_PIECE);
        struct decoding work = {.task = t,
                                .numbers = numbers + first,
                                .count = piece,
                                .pixel_count = pixel_count,
                                .pixels = pixels,
                                .vectors = vectors};
        status = on_time(t, err);
        if (status == VZ_OK)
            status = decode_piece(&work, err);
        if (status != VZ_OK || !pixels)
            continue;
        status = on_time(t, err);
        if (status == VZ_OK)
            status = vz_model_embed_pixels(model, pixels, piece, out, err);
        for (size_t i = 0; status == VZ_OK && i < piece; i++)
            memcpy(vectors + numbers[first + i] * dims, out + i * dims, dims * sizeof *out);
    }
    free(pixels);
    free(out);
    return status;
}

/* vectors [inputs, dims] of all inputs. */
static enum vz_status embed_all(struct task *t, float *vectors, struct vz_infer_one *ones,
                                struct vz_error *err)
{
    const struct vz_infer_request *r = t->request;
    size_t *numbers = vz_arena_alloc(t->arena, (r->count + 1) * sizeof *numbers);
    size_t texts = 0, images = 0;
    enum vz_status status = VZ_OK;
    for (size_t i = 0; i < r->count && status == VZ_OK; i++) {
        struct vz_text_note note;
        if (r->inputs[i].is_image) {
            numbers[r->count - ++images] = i;
        } else if (cache_get(t->deployment->cache, t->prefix, r->inputs[i].text,
                             vectors + i * t->answer->dims, &note)) {
            t->cache_hits++;
            status = note_text(t, i, note, &ones[i], err);
        } else {
            numbers[texts++] = i;
        }
    }
    if (status == VZ_OK && texts)
        status = embed_texts(t, numbers, texts, vectors, ones, err);
    if (status == VZ_OK && images)
        status = embed_images(t, numbers + r->count - images, images, vectors, err);
    return status;
}

static enum vz_status new_vectors(struct task *t, size_t count, float **out, struct vz_error *err)
{
    size_t bytes;
    if (vz_mul_overflow(count, (size_t)t->answer->dims * sizeof **out, &bytes) || bytes > (size_t)1
                                                                                              << 30)
        return vz_fail(err, VZ_LIMIT, "%zu vectors of %u dimensions in one request", count,
                       t->answer->dims);
    *out = vz_arena_alloc(t->arena, bytes);
    return VZ_OK;
}

static enum vz_status embed(struct task *t, struct vz_error *err)
{
    float *vectors = NULL;
    enum vz_status status = new_vectors(t, t->request->count, &vectors, err);
    if (status == VZ_OK)
        status = embed_all(t, vectors, t->answer->ones, err);
    for (size_t i = 0; i < t->request->count; i++)
        t->answer->ones[i].vector = status == VZ_OK ? vectors + i * t->answer->dims : NULL;
    return status;
}

static double length_of(const float *vector, size_t dims)
{
    double sum = 0;
    for (size_t i = 0; i < dims; i++)
        sum += (double)vector[i] * vector[i];
    return sqrt(sum);
}

static enum vz_status compose(struct task *t, struct vz_error *err)
{
    const struct vz_infer_request *r = t->request;
    size_t dims = t->answer->dims;
    struct vz_infer_one *ones = vz_arena_zalloc(t->arena, r->count * sizeof *ones);
    struct vz_infer_one *one = &t->answer->ones[0];
    float *vectors = NULL, *sum = vz_arena_zalloc(t->arena, dims * sizeof *sum);
    enum vz_status status = new_vectors(t, r->count, &vectors, err);
    if (status == VZ_OK)
        status = embed_all(t, vectors, ones, err);
    if (status != VZ_OK)
        return status;
    for (size_t i = 0; i < r->count; i++) {
        double length = length_of(vectors + i * dims, dims);
        double weight = r->inputs[i].weight != 0 ? r->inputs[i].weight : 1;
        for (size_t k = 0; length > 0 && k < dims; k++)
            sum[k] += (float)(weight / length * vectors[i * dims + k]);
        one->is_truncated |= ones[i].is_truncated;
        one->tokens += ones[i].tokens;
    }
    double length = length_of(sum, dims);
    if (!(length > 1e-6))
        return vz_fail(err, VZ_BAD_ARGUMENT,
                       "the inputs of the composed question cancel each other out");
    for (size_t k = 0; k < dims; k++)
        sum[k] = (float)(sum[k] / length);
    one->vector = sum;
    return VZ_OK;
}

/* ---- labels ---- */

static void softmax(double *values, size_t count)
{
    double most = values[0], sum = 0;
    for (size_t i = 1; i < count; i++)
        most = VZ_MAX(most, values[i]);
    for (size_t i = 0; i < count; i++)
        sum += values[i] = exp(values[i] - most);
    for (size_t i = 0; i < count; i++)
        values[i] /= sum;
}

static int by_probability(const void *a, const void *b)
{
    double x = ((const struct vz_infer_class *)a)->probability;
    double y = ((const struct vz_infer_class *)b)->probability;
    return (x < y) - (x > y);
}

/* The most likely ones first, as many as were asked for. */
static void put_classes(struct task *t, const struct vz_slice *labels, const double *probabilities,
                        size_t count, struct vz_infer_one *one)
{
    one->classes = vz_arena_zalloc(t->arena, (count + 1) * sizeof *one->classes);
    for (size_t i = 0; i < count; i++)
        one->classes[i] = (struct vz_infer_class){labels[i], probabilities[i]};
    qsort(one->classes, count, sizeof *one->classes, by_probability);
    one->class_count =
        t->request->top_classes ? VZ_MIN(count, (size_t)t->request->top_classes) : count;
}

/* Pairs or texts through the classifier, in pieces: logits [count, labels]. */
static enum vz_status run_classifier(struct task *t, const struct vz_slice *texts,
                                     const struct vz_slice *pairs, size_t count, float *logits,
                                     struct vz_text_note *notes, struct vz_error *err)
{
    const struct vz_classifier *c = t->deployment->opened->classifier;
    size_t labels = vz_classifier_label_count(c);
    enum vz_status status = VZ_OK;
    for (size_t first = 0; status == VZ_OK && first < count; first += TEXTS_A_PIECE) {
        size_t piece = VZ_MIN(count - first, (size_t)TEXTS_A_PIECE);
        status = on_time(t, err);
        if (status == VZ_OK)
            status = vz_classifier_run(c, texts + first, pairs ? pairs + first : NULL,
                                       t->request->cut, piece, logits + first * labels,
                                       notes + first, err);
    }
    return status;
}

static struct vz_slice *input_texts(struct task *t)
{
    struct vz_slice *texts = vz_arena_zalloc(t->arena, (t->request->count + 1) * sizeof *texts);
    for (size_t i = 0; i < t->request->count; i++)
        texts[i] = t->request->inputs[i].text;
    return texts;
}

static const struct vz_slice *label_names(struct task *t, size_t count)
{
    /* Copies: the answer may outlive the deployment. */
    const struct vz_model_about *about = &t->deployment->model.about;
    struct vz_slice *names = vz_arena_zalloc(t->arena, count * sizeof *names);
    for (size_t i = 0; i < count; i++)
        names[i] = about->label_count == count
                       ? vz_arena_copy(t->arena, about->labels[i])
                       : vz_slice_from(vz_arena_printf(t->arena, "LABEL_%zu", i));
    return names;
}

static enum vz_status classify(struct task *t, struct vz_error *err)
{
    size_t count = t->request->count;
    size_t labels = vz_classifier_label_count(t->deployment->opened->classifier);
    const struct vz_slice *names = label_names(t, labels);
    if (t->request->label_count && t->request->label_count != labels)
        return vz_fail(err, VZ_BAD_ARGUMENT, "%zu labels for a model that has %zu",
                       t->request->label_count, labels);
    if (t->request->label_count)
        names = t->request->labels;
    float *logits = vz_arena_alloc(t->arena, (count * labels + 1) * sizeof *logits);
    double *p = vz_arena_alloc(t->arena, labels * sizeof *p);
    struct vz_text_note *notes = vz_arena_zalloc(t->arena, (count + 1) * sizeof *notes);
    enum vz_status status = run_classifier(t, input_texts(t), NULL, count, logits, notes, err);
    for (size_t i = 0; i < count && status == VZ_OK; i++) {
        for (size_t k = 0; k < labels; k++)
            p[k] = logits[i * labels + k];
        if (t->deployment->model.about.multi_label || labels == 1)
            for (size_t k = 0; k < labels; k++)
                p[k] = 1 / (1 + exp(-p[k]));
        else
            softmax(p, labels);
        put_classes(t, names, p, labels, &t->answer->ones[i]);
        status = note_text(t, i, notes[i], &t->answer->ones[i], err);
    }
    return status;
}

static enum vz_status similarity(struct task *t, struct vz_error *err)
{
    size_t count = t->request->count;
    float *logits = vz_arena_alloc(t->arena, (count + 1) * sizeof *logits);
    struct vz_text_note *notes = vz_arena_zalloc(t->arena, (count + 1) * sizeof *notes);
    struct vz_slice *queries = vz_arena_zalloc(t->arena, (count + 1) * sizeof *queries);
    for (size_t i = 0; i < count; i++)
        queries[i] = t->request->query;
    enum vz_status status = run_classifier(t, queries, input_texts(t), count, logits, notes, err);
    for (size_t i = 0; i < count && status == VZ_OK; i++) {
        t->answer->ones[i].score = logits[i];
        status = note_text(t, i, notes[i], &t->answer->ones[i], err);
    }
    return status;
}

/* ---- zero-shot ---- */

/* A client chooses inputs, labels and template: what they multiply to is memory. */
static enum vz_status check_zero_shot(const struct vz_infer_request *r, struct vz_error *err)
{
    size_t pairs;
    if (r->label_count > MAX_LABELS)
        return vz_fail(err, VZ_LIMIT, "%zu labels: at most %d", r->label_count, MAX_LABELS);
    if (r->template.len > MAX_TEMPLATE)
        return vz_fail(err, VZ_LIMIT, "a template of %zu bytes: at most %d", r->template.len,
                       MAX_TEMPLATE);
    if (vz_mul_overflow(r->count, r->label_count, &pairs) || pairs > MAX_PAIRS)
        return vz_fail(err, VZ_LIMIT, "%zu inputs with %zu labels each: at most %d pairs", r->count,
                       r->label_count, MAX_PAIRS);
    return VZ_OK;
}

/* The template with the label for its "{}", or behind it when it has none. */
static struct vz_slice hypothesis(struct task *t, const char *own, struct vz_slice label)
{
    struct vz_slice template = t->request->template.len ? t->request->template : vz_slice_from(own);
    const char *place = memmem(template.ptr, template.len, "{}", 2);
    size_t before = place ? (size_t)(place - template.ptr) : template.len;
    size_t after = place ? template.len - before - 2 : 0;
    char *text = vz_arena_alloc(t->arena, before + label.len + after + 1);
    memcpy(text, template.ptr, before);
    memcpy(text + before, label.ptr, label.len);
    if (after)
        memcpy(text + before + label.len, place + 2, after);
    return (struct vz_slice){text, before + label.len + after};
}

/* CLIP: labels and inputs in one space; the softmax over scaled cosines that it was trained with.
 */
static enum vz_status zero_shot_clip(struct task *t, struct vz_error *err)
{
    const struct vz_infer_request *r = t->request;
    const struct vz_opened_model *model = t->deployment->opened->model;
    size_t dims = t->answer->dims;
    float *vectors = NULL, *labels = NULL;
    if (r->multi_label)
        return vz_fail(err, VZ_UNSUPPORTED,
                       "[multi_label] with CLIP: it compares labels with one another");
    struct vz_slice *texts = vz_arena_zalloc(t->arena, r->label_count * sizeof *texts);
    for (size_t i = 0; i < r->label_count; i++)
        texts[i] = hypothesis(t, "This is a photo of {}.", r->labels[i]);
    enum vz_status status = new_vectors(t, r->count, &vectors, err);
    if (status == VZ_OK)
        status = new_vectors(t, r->label_count, &labels, err);
    if (status == VZ_OK)
        status = vz_model_embed_texts(model, (struct vz_slice){0}, texts, r->label_count, labels,
                                      NULL, err);
    if (status == VZ_OK)
        status = embed_all(t, vectors, t->answer->ones, err);
    if (status != VZ_OK)
        return status;
    double *p = vz_arena_alloc(t->arena, r->label_count * sizeof *p);
    for (size_t i = 0; i < r->count; i++) {
        for (size_t k = 0; k < r->label_count; k++) {
            double dot = 0;
            for (size_t j = 0; j < dims; j++)
                dot += (double)vectors[i * dims + j] * labels[k * dims + j];
            p[k] = dot * vz_model_logit_scale(model);
        }
        softmax(p, r->label_count);
        put_classes(t, r->labels, p, r->label_count, &t->answer->ones[i]);
    }
    return VZ_OK;
}

/* NLI: does the text entail "This example is LABEL."? Alone: entailment against contradiction;
 * otherwise the labels' entailments against one another (as transformers' pipeline does). */
static enum vz_status zero_shot_text(struct task *t, struct vz_error *err)
{
    const struct vz_infer_request *r = t->request;
    const struct vz_model_about *about = &t->deployment->model.about;
    size_t labels = r->label_count, pairs = r->count * labels, outs;
    size_t width = vz_classifier_label_count(t->deployment->opened->classifier);
    if (vz_mul_overflow(pairs, width, &outs))
        return vz_fail(err, VZ_LIMIT, "%zu pairs for a head of %zu labels", pairs, width);
    size_t entail = (size_t)about->entailment;
    size_t against = about->contradiction >= 0 ? (size_t)about->contradiction
                     : entail == 0             ? width - 1
                                               : 0;
    if (entail >= width || against >= width)
        return vz_fail(err, VZ_CORRUPT, "the model's labels do not fit its head");
    struct vz_slice *texts = vz_arena_zalloc(t->arena, (pairs + 1) * sizeof *texts);
    struct vz_slice *claims = vz_arena_zalloc(t->arena, (pairs + 1) * sizeof *claims);
    struct vz_text_note *notes = vz_arena_zalloc(t->arena, (pairs + 1) * sizeof *notes);
    float *logits = vz_arena_alloc(t->arena, (outs + 1) * sizeof *logits);
    double *p = vz_arena_alloc(t->arena, labels * sizeof *p);
    for (size_t i = 0; i < pairs; i++) {
        texts[i] = r->inputs[i / labels].text;
        claims[i] =
            i < labels ? hypothesis(t, "This example is {}.", r->labels[i]) : claims[i - labels];
    }
    enum vz_status status = run_classifier(t, texts, claims, pairs, logits, notes, err);
    bool alone = r->multi_label || labels == 1;
    for (size_t i = 0; i < r->count && status == VZ_OK; i++) {
        for (size_t k = 0; k < labels; k++) {
            const float *at = logits + (i * labels + k) * width;
            p[k] = alone ? 1 / (1 + exp((double)at[against] - at[entail])) : at[entail];
        }
        if (!alone)
            softmax(p, labels);
        put_classes(t, r->labels, p, labels, &t->answer->ones[i]);
        status = note_text(t, i, notes[i * labels], &t->answer->ones[i], err);
    }
    return status;
}

/* ---- all ---- */

enum vz_status task_run(struct task *t, struct vz_error *err)
{
    const struct vz_infer_request *r = t->request;
    enum vz_task task = t->answer->task;
    if (r->count > MAX_INPUTS)
        return vz_fail(err, VZ_LIMIT, "%zu inputs in one request: the limit is %d", r->count,
                       MAX_INPUTS);
    enum vz_status status = on_time(t, err);
    if (status == VZ_OK && task == VZ_TASK_ZERO_SHOT)
        status = check_zero_shot(r, err);
    if (status != VZ_OK)
        return status;
    t->answer->count = task == VZ_TASK_COMPOSE ? 1 : r->count;
    t->answer->ones = vz_arena_zalloc(t->arena, (t->answer->count + 1) * sizeof *t->answer->ones);
    switch (task) {
    case VZ_TASK_EMBED:
        return embed(t, err);
    case VZ_TASK_COMPOSE:
        return compose(t, err);
    case VZ_TASK_CLASSIFY:
        return classify(t, err);
    case VZ_TASK_SIMILARITY:
        return similarity(t, err);
    default:
        return t->deployment->opened->model ? zero_shot_clip(t, err) : zero_shot_text(t, err);
    }
}
