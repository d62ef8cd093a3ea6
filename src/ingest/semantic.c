/* Semantic fields: the texts and pictures of documents in, chunks with their vectors out.
 *
 * All documents of a call are gathered before a model is asked, field by field, so that it computes
 * the chunks of many documents together. A document that has a value no model can take fails alone
 * and whole: what was made for it is thrown away with it.
 *
 * What a document gets is a root member that clients do not see:
 *
 *     "_inference_fields": {"content": [{"start": 0, "end": 42, "embeddings": "<base64>"}, ...]}
 *
 * "start" and "end" count UTF-16 units, as Elasticsearch does, in the values of the source field
 * put one behind the other with one character between; "source" names that field when it is
 * another. */
#include "ingest/chunk.h"
#include "ingest/parts.h"

#include "base/text.h"

#include <stdlib.h>

#define MEMBER "_inference_fields"
#define MAX_VALUES 10000 /* of one field of one document */

struct piece {
    struct vz_ask ask; /* first: its context is the piece */
    struct vz_slice source;
    size_t start, end; /* UTF-16 units */
};

struct gathered {
    struct vz_ingest *ingest;
    const struct vz_ingest_semantic *field;
    struct vz_ingest_doc *doc;
    struct vz_slice source;
    struct piece *pieces; /* heap */
    size_t count, capacity;
    size_t values, offset; /* of the source field being read */
    bool touched;          /* the document says something of it, if only null */
};

/* ---- offsets --------------------------------------------------------------------------------- */

/* UTF-16 units of UTF-8 text. */
static size_t units(const char *text, size_t bytes)
{
    size_t count = 0;
    for (size_t i = 0; i < bytes; i++) {
        unsigned char c = (unsigned char)text[i];
        count += ((c & 0xC0) != 0x80) + (c >= 0xF0);
    }
    return count;
}

static bool is_blank(struct vz_slice text)
{
    for (size_t i = 0; i < text.len; i++)
        if ((unsigned char)text.ptr[i] > ' ')
            return false;
    return true;
}

/* ---- gathering ------------------------------------------------------------------------------- */

static void fail(struct vz_ingest_doc *doc, enum vz_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static void fail(struct vz_ingest_doc *doc, enum vz_status status, const char *format, ...)
{
    struct vz_error err = {.offset = VZ_NO_OFFSET};
    struct vz_buf text = {0};
    va_list args;
    va_start(args, format);
    vz_buf_vprintf(&text, format, args);
    va_end(args);
    vz_fail(&err, status, "%s", text.data);
    vz_buf_deinit(&text);
    vz_doc_fail(doc, &err);
}

static void add_piece(struct gathered *g, const struct vz_infer_input *input, size_t start,
                      size_t end)
{
    if (g->count == g->capacity) {
        g->capacity = VZ_MAX(g->capacity * 2, (size_t)64);
        g->pieces = vz_realloc(g->pieces, g->capacity * sizeof *g->pieces);
    }
    g->pieces[g->count++] = (struct piece){
        .ask = {.doc = g->doc, .input = *input}, .source = g->source, .start = start, .end = end};
}

static void add_text(struct gathered *g, struct vz_slice text)
{
    struct vz_chunk *chunks;
    struct vz_error err = {.offset = VZ_NO_OFFSET};
    size_t count, from = 0, to = 0, start = 0, end = 0;
    if (is_blank(text)) {
        g->offset += units(text.ptr, text.len) + 1;
        return;
    }
    if (vz_chunk(g->field->chunking, text, g->doc->arena, &chunks, &count, &err) != VZ_OK) {
        vz_doc_fail(g->doc, &err);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        const struct vz_infer_input input = {
            .weight = 1, .text = {text.ptr + chunks[i].start, chunks[i].end - chunks[i].start}};
        /* Starts and ends ascend: each byte is counted twice, however many chunks there are. */
        start += units(text.ptr + from, chunks[i].start - from);
        end += units(text.ptr + to, chunks[i].end - to);
        from = chunks[i].start;
        to = chunks[i].end;
        if (!is_blank(input.text))
            add_piece(g, &input, g->offset + start, g->offset + end);
    }
    g->offset += units(text.ptr, text.len) + 1;
}

static struct vz_value *image_of(const struct vz_value *object)
{
    struct vz_value *image = vz_value_get(object, VZ_SLICE("image"));
    return object->object.count == 1 && image && image->type == VZ_VALUE_STRING ? image : NULL;
}

static void add_input(struct gathered *g, const struct vz_value *value)
{
    struct vz_infer_input input;
    struct vz_error err = {.offset = VZ_NO_OFFSET};
    bool usable = true;
    const struct vz_value *image = value->type == VZ_VALUE_OBJECT ? image_of(value) : NULL;
    enum vz_status status = vz_ask_input(g->ingest, image ? image : value, image != NULL,
                                         g->doc->arena, &input, &usable, &err);
    if (status != VZ_OK) {
        fail(g->doc, status, "field [%.*s]: %s", VZ_S(g->field->path), err.text);
    } else if (!usable) {
        fail(g->doc, VZ_BAD_ARGUMENT,
             "Invalid format for field [%.*s], expected [String|Number|Boolean] or a picture, got "
             "[%s]",
             VZ_S(g->field->path), vz_java_type(value));
    } else if (input.is_image) {
        size_t len = value->type == VZ_VALUE_STRING ? value->string.len : 0;
        add_piece(g, &input, g->offset, g->offset + len);
        g->offset += len + 1;
    } else {
        add_text(g, input.text);
    }
}

static void add_value(struct gathered *g, const struct vz_value *value)
{
    struct vz_buf text = {0};
    if (g->doc->status != VZ_OK || value->type == VZ_VALUE_NULL)
        return;
    if (++g->values > MAX_VALUES) {
        fail(g->doc, VZ_LIMIT, "field [%.*s] has more than [%d] values", VZ_S(g->field->path),
             MAX_VALUES);
        return;
    }
    switch (value->type) {
    case VZ_VALUE_ARRAY:
        for (size_t i = 0; i < value->array.count; i++)
            add_value(g, value->array.items[i]);
        break;
    case VZ_VALUE_STRING:
    case VZ_VALUE_OBJECT:
        add_input(g, value);
        break;
    default:
        vz_value_print(value, &text);
        add_text(g, vz_arena_copy(g->doc->arena, vz_buf_slice(&text)));
        vz_buf_deinit(&text);
    }
}

/* Every value at `path`: through objects, lists of objects, and keys with dots. */
static void gather_path(struct gathered *g, const struct vz_value *value, struct vz_slice path)
{
    if (value->type == VZ_VALUE_ARRAY)
        for (size_t i = 0; i < value->array.count; i++)
            gather_path(g, value->array.items[i], path);
    if (value->type == VZ_VALUE_NULL)
        g->touched = true; /* an object on the way that an update takes away */
    if (value->type != VZ_VALUE_OBJECT)
        return;
    for (size_t i = 0; i < value->object.count; i++) {
        struct vz_slice key = value->object.members[i].key;
        const struct vz_value *member = value->object.members[i].value;
        if (vz_slice_eq(key, path)) {
            g->touched = true;
            add_value(g, member);
        } else if (key.len < path.len && path.ptr[key.len] == '.' &&
                   memcmp(path.ptr, key.ptr, key.len) == 0) {
            gather_path(g, member,
                        (struct vz_slice){path.ptr + key.len + 1, path.len - key.len - 1});
        }
    }
}

/* The pieces of one field of one document. False: the document says nothing of it. */
static bool gather(struct gathered *g, bool is_update)
{
    bool any = false;
    struct vz_slice missing = {0};
    for (size_t i = 0; i < g->field->source_count; i++) {
        g->source = g->field->sources[i];
        g->values = g->offset = 0;
        g->touched = false;
        gather_path(g, g->doc->ctx, g->source);
        any |= g->touched;
        if (!g->touched && !vz_slice_eq(g->source, g->field->path))
            missing = g->source;
    }
    /* The chunks of a field are replaced together. */
    if (any && is_update && missing.len && g->doc->status == VZ_OK)
        fail(g->doc, VZ_BAD_ARGUMENT,
             "Field [%.*s] must be specified on an update request to calculate inference for "
             "field [%.*s]",
             VZ_S(missing), VZ_S(g->field->path));
    return any;
}

/* ---- answers --------------------------------------------------------------------------------- */

/* Big-endian floats, as vectors are written in base64. */
static struct vz_value *encode(struct vz_arena *arena, const float *vector, uint32_t dims)
{
    struct vz_buf text = {0};
    uint32_t *swapped = vz_alloc((size_t)dims * sizeof *swapped + 1);
    for (uint32_t i = 0; i < dims; i++) {
        uint32_t bits;
        memcpy(&bits, &vector[i], sizeof bits);
        swapped[i] = __builtin_bswap32(bits);
    }
    vz_base64_encode(swapped, (size_t)dims * sizeof *swapped, &text);
    struct vz_value *value = vz_value_string(arena, vz_buf_slice(&text));
    free(swapped);
    vz_buf_deinit(&text);
    return value;
}

static struct vz_value *chunk_of(const struct piece *piece, const struct vz_ingest_semantic *field,
                                 uint32_t dims)
{
    struct vz_arena *arena = piece->ask.doc->arena;
    struct vz_value *chunk = vz_value_object(arena);
    if (!vz_slice_eq(piece->source, field->path))
        vz_value_put(chunk, VZ_SLICE("source"), vz_value_string(arena, piece->source));
    vz_value_put(chunk, VZ_SLICE("start"), vz_value_int(arena, (int64_t)piece->start));
    vz_value_put(chunk, VZ_SLICE("end"), vz_value_int(arena, (int64_t)piece->end));
    vz_value_put(chunk, VZ_SLICE("embeddings"), encode(arena, piece->ask.one.vector, dims));
    return chunk;
}

static void fail_piece(const struct vz_ingest_semantic *field, const struct vz_ask *ask)
{
    ask->doc->kind = ask->status == VZ_NOT_FOUND ? VZ_INGEST_MISSING : VZ_INGEST_PLAIN;
    if (ask->status == VZ_NOT_FOUND)
        fail(ask->doc, VZ_NOT_FOUND, "Inference id [%.*s] not found for field [%.*s]: %s",
             VZ_S(field->inference_id), VZ_S(field->path), ask->error.text);
    else
        fail(ask->doc, ask->status,
             "Exception when running inference id [%.*s] on field [%.*s]: %s",
             VZ_S(field->inference_id), VZ_S(field->path), ask->error.text);
}

/* The member that `doc` keeps its chunks in. */
static struct vz_value *chunks_of(struct vz_ingest_doc *doc)
{
    struct vz_value *all = vz_value_get(doc->ctx, VZ_SLICE(MEMBER));
    if (!all) {
        all = vz_value_object(doc->arena);
        vz_value_put(doc->ctx, VZ_SLICE(MEMBER), all);
    }
    return all;
}

static void take(struct gathered *g, const struct vz_ingest_semantic *field, size_t first,
                 size_t end, struct vz_ingest_doc *doc, const struct vz_ask_about *about)
{
    struct vz_value *list = vz_value_array(doc->arena);
    for (size_t i = first; i < end && doc->status == VZ_OK; i++) {
        const struct piece *piece = &g->pieces[i];
        if (piece->ask.status != VZ_OK)
            fail_piece(field, &piece->ask);
        else if (!piece->ask.one.vector)
            fail(doc, VZ_BAD_ARGUMENT, "the model [%.*s] of field [%.*s] makes no vectors",
                 VZ_S(field->inference_id), VZ_S(field->path));
        else
            vz_value_append(list, chunk_of(piece, field, about->dims));
    }
    if (doc->status != VZ_OK)
        return;
    /* A field without a model yet has no chunks to be taken away either. */
    if (first < end || field->is_known)
        vz_value_put(chunks_of(doc), field->path, list);
    if (first < end)
        vz_doc_mark(doc, field->path, about);
}

/* ---- one field of all documents -------------------------------------------------------------- */

/* By digest where that is known: a model may have got another name since. */
static struct vz_slice model_of(struct vz_ingest *ingest, const struct vz_ingest_semantic *field,
                                struct vz_arena *arena)
{
    struct vz_infer *infer = vz_ingest_infer(ingest);
    struct vz_infer_about about;
    struct vz_slice model = vz_ingest_model(ingest, field->inference_id, arena);
    if (infer && vz_infer_about(infer, model, arena, &about, NULL) != VZ_OK && field->digest.len &&
        vz_infer_about(infer, field->digest, arena, &about, NULL) == VZ_OK)
        return field->digest;
    return field->inference_id;
}

static void run_field(struct vz_ingest *ingest, const struct vz_ingest_semantic *field,
                      struct vz_ingest_doc **docs, const bool *is_update, size_t count)
{
    struct gathered g = {.ingest = ingest, .field = field};
    struct vz_arena scratch = {0};
    struct vz_ask_about about;
    const struct vz_infer_request request = {.model = model_of(ingest, field, &scratch),
                                             .task = VZ_TASK_EMBED};
    size_t *ends = vz_calloc(count + 1, sizeof *ends);
    bool *any = vz_calloc(count + 1, sizeof *any);
    for (size_t i = 0; i < count; i++) {
        g.doc = docs[i];
        if (g.doc->status == VZ_OK && !g.doc->dropped)
            any[i] = gather(&g, is_update[i]);
        ends[i] = g.count;
    }
    struct vz_ask *asks = vz_calloc(g.count + 1, sizeof *asks);
    for (size_t i = 0; i < g.count; i++) {
        asks[i] = g.pieces[i].ask;
        asks[i].status = asks[i].doc->status;
    }
    if (g.count && !field->inference_id.len)
        for (size_t i = 0; i < g.count; i++)
            fail(asks[i].doc, VZ_BAD_ARGUMENT,
                 "field [%.*s] has no [inference_id], and no model for texts is installed here: "
                 "vizsla models pull sentence-transformers/all-MiniLM-L6-v2",
                 VZ_S(field->path));
    else
        vz_ask_all(ingest, &request, asks, g.count, &scratch, &about);
    for (size_t i = 0; i < g.count; i++)
        g.pieces[i].ask = asks[i];
    for (size_t i = 0; i < count; i++)
        if (any[i] && docs[i]->status == VZ_OK)
            take(&g, field, i ? ends[i - 1] : 0, ends[i], docs[i], &about);
    free(asks);
    free(any);
    free(ends);
    free(g.pieces);
    vz_arena_deinit(&scratch);
}

/* What the program writes there is not for clients to write. */
static void refuse_member(struct vz_ingest_doc *doc)
{
    for (size_t i = 0; i < doc->ctx->object.count; i++) {
        struct vz_slice key = doc->ctx->object.members[i].key;
        if (vz_slice_is(key, MEMBER) || vz_slice_starts(key, MEMBER "."))
            fail(doc, VZ_BAD_ARGUMENT,
                 "Field [" MEMBER "] is a metadata field and cannot be added inside a document. "
                 "Use the index API request parameters.");
    }
}

void vz_ingest_semantic(struct vz_ingest *ingest, const struct vz_ingest_semantic *fields,
                        size_t count, struct vz_ingest_doc **docs, const bool *is_update,
                        size_t doc_count)
{
    for (size_t i = 0; i < doc_count; i++)
        if (docs[i]->status == VZ_OK && !docs[i]->dropped)
            refuse_member(docs[i]);
    for (size_t i = 0; i < count; i++)
        run_field(ingest, &fields[i], docs, is_update, doc_count);
}

/* ---- the model of a field that names none ---------------------------------------------------- */

/* Models of texts before those of texts and pictures, larger ones before smaller ones. */
bool vz_ingest_default_model(struct vz_ingest *ingest, struct vz_arena *arena,
                             struct vz_slice *model)
{
    struct vz_infer *infer = vz_ingest_infer(ingest);
    struct vz_infer_model *models = NULL, *best = NULL;
    size_t count = 0;
    if (!infer || vz_infer_models(infer, arena, &models, &count, NULL) != VZ_OK)
        return false;
    for (size_t i = 0; i < count; i++) {
        struct vz_infer_model *m = &models[i];
        if (m->status != VZ_OK || !m->about.reads || m->about.made_for != VZ_MADE_TO_EMBED)
            continue;
        if (!best || (best->about.sees && !m->about.sees) ||
            (best->about.sees == m->about.sees && m->bytes > best->bytes))
            best = m;
    }
    if (best)
        *model = best->id;
    return best != NULL;
}
