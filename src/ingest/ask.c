/* Asking models: inputs of many documents in batches, and vectors put into documents.
 *
 * One request to src/infer holds up to BATCH inputs, so that a model computes them together. When a
 * request fails because of an input, it is asked again in halves until that input stands alone: a
 * broken picture costs a few requests more and spoils nobody else's document. */
#include "ingest/parts.h"

#include <stdlib.h>

#define BATCH 32
#define MAX_ENCODED ((size_t)44 << 20)

static enum vz_status no_models(struct vz_error *err)
{
    return vz_fail(err, VZ_UNSUPPORTED, "no model can be run here");
}

static bool is_about_input(enum vz_status status)
{
    return status == VZ_BAD_IMAGE || status == VZ_LIMIT || status == VZ_BAD_ARGUMENT ||
           status == VZ_UNSUPPORTED || status == VZ_BUDGET;
}

static void ask_range(struct vz_infer *infer, const struct vz_infer_request *request,
                      struct vz_ask **asks, size_t count, struct vz_arena *scratch,
                      struct vz_ask_about *about)
{
    struct vz_infer_input inputs[BATCH];
    struct vz_infer_request one = *request;
    struct vz_infer_answer answer = {0};
    struct vz_error err = {.offset = VZ_NO_OFFSET};
    for (size_t i = 0; i < count; i++)
        inputs[i] = asks[i]->input;
    one.inputs = inputs;
    one.count = count;
    enum vz_status status = vz_infer_run(infer, &one, scratch, &answer, &err);
    if (status == VZ_OK && answer.count != count)
        status = vz_fail(&err, VZ_INTERNAL, "the model gave [%zu] answers to [%zu] inputs",
                         answer.count, count);
    /* One *about for all batches: vectors of another length must not be read by it. */
    if (status == VZ_OK && about->model.len &&
        (answer.dims != about->dims || strcmp(answer.digest, about->digest) != 0))
        status = vz_fail(&err, VZ_BUSY, "the model [%.*s] was replaced while it worked: try again",
                         VZ_S(request->model));
    if (status != VZ_OK && count > 1 && is_about_input(status)) {
        ask_range(infer, request, asks, count / 2, scratch, about);
        ask_range(infer, request, asks + count / 2, count - count / 2, scratch, about);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        asks[i]->status = status;
        if (status == VZ_OK)
            asks[i]->one = answer.ones[i];
        else
            asks[i]->error = err;
    }
    if (status == VZ_OK) {
        about->task = answer.task;
        about->dims = answer.dims;
        about->model = answer.model;
        memcpy(about->digest, answer.digest, sizeof about->digest);
    }
}

void vz_ask_all(struct vz_ingest *ingest, const struct vz_infer_request *request,
                struct vz_ask *asks, size_t count, struct vz_arena *scratch,
                struct vz_ask_about *about)
{
    struct vz_infer *infer = vz_ingest_infer(ingest);
    struct vz_ask *batch[BATCH];
    size_t waiting = 0;
    struct vz_infer_request named = *request;
    *about = (struct vz_ask_about){0};
    named.model = vz_ingest_model(ingest, request->model, scratch);
    request = &named;
    for (size_t i = 0; i < count; i++) {
        if (asks[i].status != VZ_OK)
            continue;
        if (!infer) {
            asks[i].status = no_models(&asks[i].error);
            continue;
        }
        batch[waiting++] = &asks[i];
        if (waiting == BATCH) {
            ask_range(infer, request, batch, waiting, scratch, about);
            waiting = 0;
        }
    }
    if (waiting)
        ask_range(infer, request, batch, waiting, scratch, about);
}

/* Without models there is nobody to say how large a picture may be. */
static enum vz_status decode_picture(struct vz_slice text, struct vz_arena *arena,
                                     struct vz_slice *bytes, struct vz_error *err)
{
    const char *comma = text.len ? memchr(text.ptr, ',', text.len) : NULL;
    struct vz_buf out = {0};
    if (vz_slice_starts(text, "data:") && comma)
        text = (struct vz_slice){comma + 1, text.len - (size_t)(comma + 1 - text.ptr)};
    if (text.len > MAX_ENCODED)
        return vz_fail(err, VZ_LIMIT, "a picture has more than [%zu] bytes of base64", MAX_ENCODED);
    bool ok = vz_base64_decode(text, &out) && out.len;
    if (ok)
        *bytes = vz_arena_copy(arena, vz_buf_slice(&out));
    vz_buf_deinit(&out);
    return ok ? VZ_OK : vz_fail(err, VZ_BAD_ARGUMENT, "a picture is no valid base64");
}

static enum vz_status read_picture(struct vz_infer *infer, struct vz_slice text,
                                   struct vz_arena *arena, struct vz_infer_input *input,
                                   struct vz_error *err)
{
    input->is_image = true;
    if (!infer)
        return decode_picture(text, arena, &input->bytes, err);
    return vz_slice_starts(text, "data:")
               ? vz_infer_data_uri(infer, text, arena, &input->bytes, err)
               : vz_infer_base64(infer, text, arena, &input->bytes, err);
}

static struct vz_slice member_text(const struct vz_value *object, const char *name)
{
    const struct vz_value *value = vz_value_get(object, vz_slice_from(name));
    return value && value->type == VZ_VALUE_STRING ? value->string : (struct vz_slice){NULL, 0};
}

enum vz_status vz_ask_input(struct vz_ingest *ingest, const struct vz_value *value, bool as_image,
                            struct vz_arena *arena, struct vz_infer_input *input, bool *usable,
                            struct vz_error *err)
{
    struct vz_infer *infer = vz_ingest_infer(ingest);
    *input = (struct vz_infer_input){.weight = 1};
    *usable = true;
    if (value->type == VZ_VALUE_STRING) {
        if (as_image || vz_infer_is_data_uri(value->string))
            return read_picture(infer, value->string, arena, input, err);
        input->text = value->string;
        return VZ_OK;
    }
    struct vz_slice type = member_text(value, "type"), text = member_text(value, "value"),
                    file = member_text(value, "file");
    if (vz_slice_is(member_text(value, "format"), "file"))
        file = text;
    if (!type.ptr || (!text.ptr && !file.ptr)) {
        *usable = false;
        return VZ_OK;
    }
    if (vz_slice_is(type, "image") && file.ptr) {
        input->is_image = true;
        return infer ? vz_infer_file(infer, file, arena, &input->bytes, err) : no_models(err);
    }
    if (vz_slice_is(type, "image"))
        return read_picture(infer, text, arena, input, err);
    if (!vz_slice_is(type, "text") || !text.ptr)
        return vz_fail(err, VZ_BAD_ARGUMENT,
                       "an input of type [%.*s] is not known; [image] and [text] are", VZ_S(type));
    input->text = text;
    return VZ_OK;
}

struct vz_value *vz_ask_vector(struct vz_arena *arena, const float *vector, uint32_t dims)
{
    struct vz_value *list = vz_value_array(arena);
    for (uint32_t i = 0; i < dims; i++)
        vz_value_append(list, vz_value_of_float(arena, vector[i]));
    return list;
}

/* ---- vectors of documents without a pipeline --------------------------------------------------
 */

struct collector {
    struct vz_ingest *ingest;
    struct vz_ingest_doc *doc;
    struct vz_ask *asks;
    size_t count, capacity;
};

static void add_ask(struct collector *c, struct vz_value *value)
{
    struct vz_infer_input input;
    struct vz_error err = {.offset = VZ_NO_OFFSET};
    bool usable = false;
    if (c->doc->status != VZ_OK)
        return;
    if (value->type == VZ_VALUE_STRING && !vz_infer_is_data_uri(value->string))
        return;
    if (vz_ask_input(c->ingest, value, false, c->doc->arena, &input, &usable, &err) != VZ_OK) {
        vz_doc_fail(c->doc, &err);
        return;
    }
    if (!usable)
        return;
    if (c->count == c->capacity) {
        c->capacity = c->capacity ? c->capacity * 2 : 64;
        c->asks = vz_realloc(c->asks, c->capacity * sizeof *c->asks);
    }
    c->asks[c->count++] = (struct vz_ask){.doc = c->doc, .input = input, .context = value};
}

/* Every value at `path` below `value`: through objects, lists of objects, and keys with dots. */
static void collect(struct collector *c, struct vz_value *value, struct vz_slice path)
{
    if (value->type == VZ_VALUE_ARRAY) {
        for (size_t i = 0; i < value->array.count; i++)
            if (value->array.items[i]->type == VZ_VALUE_OBJECT)
                collect(c, value->array.items[i], path);
        return;
    }
    if (value->type != VZ_VALUE_OBJECT)
        return;
    for (size_t i = 0; i < value->object.count; i++) {
        struct vz_slice key = value->object.members[i].key;
        struct vz_value *member = value->object.members[i].value;
        if (vz_slice_eq(key, path) &&
            (member->type == VZ_VALUE_STRING || member->type == VZ_VALUE_OBJECT))
            add_ask(c, member);
        else if (key.len < path.len && path.ptr[key.len] == '.' &&
                 memcmp(path.ptr, key.ptr, key.len) == 0)
            collect(c, member, (struct vz_slice){path.ptr + key.len + 1, path.len - key.len - 1});
    }
}

static void take_vector(struct vz_ask *ask, const struct vz_ingest_vector *field,
                        const struct vz_ask_about *about)
{
    struct vz_value *value = ask->context;
    if (ask->doc->status != VZ_OK)
        return;
    if (ask->status != VZ_OK) {
        struct vz_error err = {.offset = VZ_NO_OFFSET};
        vz_fail(&err, ask->status, "field [%.*s]: %s", VZ_S(field->path), ask->error.text);
        vz_doc_fail(ask->doc, &err);
        return;
    }
    if (!ask->one.vector) {
        struct vz_error err = {.offset = VZ_NO_OFFSET};
        vz_fail(&err, VZ_BAD_ARGUMENT, "field [%.*s]: the model [%.*s] makes no vectors",
                VZ_S(field->path), VZ_S(field->model));
        vz_doc_fail(ask->doc, &err);
        return;
    }
    *value = *vz_ask_vector(ask->doc->arena, ask->one.vector, about->dims);
    vz_doc_mark(ask->doc, field->path, about);
}

/* By digest where that is known: a model may have got another name since. */
static struct vz_slice model_of(struct vz_ingest *ingest, const struct vz_ingest_vector *vector,
                                struct vz_arena *arena)
{
    struct vz_infer *infer = vz_ingest_infer(ingest);
    struct vz_infer_about about;
    return infer && vector->digest.len &&
                   vz_infer_about(infer, vector->digest, arena, &about, NULL) == VZ_OK
               ? vector->digest
               : vector->model;
}

void vz_ingest_embed(struct vz_ingest *ingest, const struct vz_ingest_vector *vectors, size_t count,
                     struct vz_ingest_doc **docs, size_t doc_count)
{
    struct vz_arena scratch = {0};
    struct collector c = {.ingest = ingest};
    for (size_t v = 0; v < count; v++) {
        struct vz_ask_about about;
        struct vz_infer_request request = {.task = VZ_TASK_EMBED};
        c.count = 0;
        for (size_t i = 0; i < doc_count; i++) {
            c.doc = docs[i];
            if (c.doc->status == VZ_OK && !c.doc->dropped)
                collect(&c, c.doc->ctx, vectors[v].path);
        }
        if (c.count)
            request.model = model_of(ingest, &vectors[v], &scratch);
        vz_ask_all(ingest, &request, c.asks, c.count, &scratch, &about);
        for (size_t i = 0; i < c.count; i++)
            take_vector(&c.asks[i], &vectors[v], &about);
        vz_arena_reset(&scratch);
    }
    free(c.asks);
    vz_arena_deinit(&scratch);
}

/* What stands behind `at`, which is behind a key's closing quote: a picture or an object? */
static bool begins_input(const char *at, const char *end)
{
    while (at < end && (*at == ' ' || *at == '\t' || *at == '\r' || *at == '\n'))
        at++;
    if (at == end || *at++ != ':')
        return false;
    while (at < end && (*at == ' ' || *at == '\t' || *at == '\r' || *at == '\n'))
        at++;
    return at < end && (*at == '{' || (end - at > 6 && memcmp(at, "\"data:", 6) == 0) ||
                        (end - at > 6 && memcmp(at, "\"DATA:", 6) == 0));
}

bool vz_ingest_may_embed(const struct vz_ingest_vector *vectors, size_t count,
                         struct vz_slice source)
{
    for (size_t v = 0; v < count; v++) {
        struct vz_slice path = vectors[v].path;
        const char *dot = memrchr(path.ptr, '.', path.len);
        size_t skip = dot ? (size_t)(dot + 1 - path.ptr) : 0;
        struct vz_slice name = {path.ptr + skip, path.len - skip};
        const char *at = source.ptr, *end = source.ptr + source.len;
        while (at && (at = memmem(at, (size_t)(end - at), name.ptr, name.len))) {
            bool is_key = at > source.ptr && (at[-1] == '"' || at[-1] == '.');
            at += name.len;
            if (is_key && at < end && *at == '"' && begins_input(at + 1, end))
                return true;
        }
    }
    return false;
}
