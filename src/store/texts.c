/* store/texts.c - the postings of an index's text fields: analysed on the requests' threads, added
 * by the writer, merged and written in the background.
 *
 *   prepare (request)   each value becomes tokens, in the request's memory; those of many
 *                       documents are grouped by term (text/batch.h)
 *   stage   (writer)    noted beside the transaction; nothing can be taken out of postings again,
 * so nothing is put in before the commit add     (writer)    after the commit, together with
 * publishing the document count publish (refresh)   a segment of what was added; the new view has
 * it maintain (graph thread)  segments are merged and written; a view with the same documents and
 *                       fewer segments takes the place of the newest one
 *   open                what files lack is analysed again from the stored documents
 *
 * Invariants:
 *  1. The postings of a view reach exactly to its watermark (text_lock).
 *  2. A document in a file is committed: files are cut to the committed count on open.
 */
#include "base/log.h"
#include "store/completion.h"
#include "store/index.h"

#include <dirent.h>
#include <stdlib.h>
#include <unistd.h>

#define REPLAY_DOCS 20000

/* ---- on the request's thread --------------------------------------------------------------- */

/* A copy of a list that its owner will use again. Texts that lie in `whole` stay there. */
static struct vz_tokens copy_tokens(const struct vz_tokens *tokens, struct vz_slice whole,
                                    struct vz_arena *arena)
{
    struct vz_tokens copy = *tokens;
    size_t bytes = 0;
    copy.arena = (struct vz_arena){0};
    copy.capacity = tokens->count;
    copy.items = vz_arena_alloc(arena, (tokens->count + 1) * sizeof *copy.items);
    if (tokens->count)
        memcpy(copy.items, tokens->items, tokens->count * sizeof *copy.items);
    uintptr_t from = (uintptr_t)whole.ptr, to = from + whole.len;
    for (size_t i = 0; i < copy.count; i++) {
        uintptr_t at = (uintptr_t)copy.items[i].text.ptr;
        if (at < from || at >= to)
            bytes += copy.items[i].text.len;
    }
    char *next = vz_arena_alloc(arena, bytes + 1);
    for (size_t i = 0; i < copy.count; i++) {
        struct vz_slice *text = &copy.items[i].text;
        uintptr_t at = (uintptr_t)text->ptr;
        if ((at >= from && at < to) || text->len == 0)
            continue;
        memcpy(next, text->ptr, text->len);
        text->ptr = next;
        next += text->len;
    }
    return copy;
}

static enum vz_status check_terms(const struct vz_field *field, const struct vz_tokens *tokens,
                                  struct vz_error *err)
{
    for (size_t i = 0; i < tokens->count; i++)
        if (tokens->items[i].text.len > VZ_MAX_TERM_BYTES)
            return vz_fail(err, VZ_BAD_DOCUMENT,
                           "Document contains at least one immense term in field=\"%.*s\" (whose "
                           "UTF8 encoding is longer than the max length %d), all of which were "
                           "skipped. Please correct the analyzer to not produce such terms.",
                           (int)field->path.len, field->path.ptr, VZ_MAX_TERM_BYTES);
    return VZ_OK;
}

/* The tokens of one value, in the scratch or the arena. */
static enum vz_status analyze(const struct vz_field *field, struct vz_slice text, bool strict,
                              struct vz_tokens *scratch, struct vz_arena *arena,
                              struct vz_field_tokens *out, struct vz_error *err)
{
    *out = (struct vz_field_tokens){.field = field->id, .flags = field->text_flags};
    if (field->type == VZ_FIELD_COMPLETION)
        return vz_completion_tokens(field, text, scratch, arena, &out->tokens, err);
    enum vz_status status = vz_analyze(field->analyzer, text, scratch, err);
    if (status == VZ_OK && strict)
        status = check_terms(field, scratch, err);
    out->gap = field->gap;
    out->tokens = *scratch;
    return status;
}

enum vz_status vz_texts_analyze(const struct vz_mapping *mapping, const struct vz_document *doc,
                                bool strict, struct vz_tokens *scratch, struct vz_arena *arena,
                                const struct vz_field_tokens **out, size_t *count,
                                struct vz_error *err)
{
    *out = NULL;
    *count = 0;
    if (doc->text_count == 0)
        return VZ_OK;
    struct vz_field_tokens *fields = vz_arena_alloc(arena, doc->text_count * sizeof *fields);
    for (size_t i = 0; i < doc->text_count; i++) {
        const struct vz_field *field = vz_mapping_field(mapping, doc->texts[i].field);
        struct vz_slice text = doc->texts[i].text;
        enum vz_status status = analyze(field, text, strict, scratch, arena, &fields[i], err);
        if (status != VZ_OK)
            return status;
        if (field->type != VZ_FIELD_COMPLETION)
            fields[i].tokens = copy_tokens(scratch, text, arena);
    }
    *out = fields;
    *count = doc->text_count;
    return VZ_OK;
}

enum vz_status vz_texts_gather(const struct vz_mapping *mapping, const struct vz_document *parsed,
                               struct vz_tokens *scratch, struct vz_arena *arena,
                               struct vz_text_batch *batch, uint32_t doc, struct vz_error *err)
{
    enum vz_status status = VZ_OK;
    for (size_t i = 0; status == VZ_OK && i < parsed->text_count; i++) {
        const struct vz_field *field = vz_mapping_field(mapping, parsed->texts[i].field);
        struct vz_field_tokens made;
        status = analyze(field, parsed->texts[i].text, true, scratch, arena, &made, err);
        if (status == VZ_OK)
            status = vz_text_batch_add(batch, doc, made.field, made.flags, &made.tokens, made.gap,
                                       err);
    }
    return status;
}

/* ---- the writer ---------------------------------------------------------------------------- */

void vz_texts_stage(struct vz_generation *gen, uint32_t docno, const struct vz_prepared *prepared)
{
    if (prepared->text_count == 0 && !prepared->batch)
        return;
    if (gen->staged_text_count == gen->staged_text_capacity) {
        gen->staged_text_capacity = VZ_MAX(gen->staged_text_capacity * 2, (size_t)256);
        gen->staged_texts =
            vz_realloc(gen->staged_texts, gen->staged_text_capacity * sizeof *gen->staged_texts);
    }
    gen->staged_texts[gen->staged_text_count++] =
        (struct vz_staged_tokens){
        docno, prepared->texts, prepared->text_count, prepared->batch, prepared->batch_doc};
}

void vz_texts_keep(struct vz_generation *gen)
{
    for (size_t i = gen->kept_text_count; i < gen->staged_text_count; i++) {
        struct vz_staged_tokens *staged = &gen->staged_texts[i];
        struct vz_field_tokens *fields =
            vz_arena_alloc(&gen->arena, staged->count * sizeof *fields);
        for (size_t f = 0; f < staged->count; f++) {
            fields[f] = staged->fields[f];
            fields[f].tokens =
                copy_tokens(&staged->fields[f].tokens, (struct vz_slice){0}, &gen->arena);
        }
        staged->fields = fields;
    }
    gen->kept_text_count = gen->staged_text_count;
}

/* The postings, made when the first text comes. */
static struct vz_text_index *texts_of(struct vz_generation *gen, uint32_t docs,
                                      struct vz_error *err)
{
    struct vz_text_index *index = vz_generation_texts(gen);
    struct vz_text_index_options options = {.limit = docs};
    if (index)
        return index;
    if (vz_text_index_open(gen->dir, &options, &index, err) != VZ_OK)
        return NULL;
    atomic_store_explicit(&gen->texts, index, memory_order_release);
    return index;
}

static enum vz_status add_fields(struct vz_text_index *index, uint32_t docno,
                                 const struct vz_field_tokens *fields, size_t count,
                                 struct vz_error *err)
{
    enum vz_status status = VZ_OK;
    for (size_t i = 0; status == VZ_OK && i < count; i++)
        status = vz_text_index_add(index, docno, fields[i].field, fields[i].flags,
                                   &fields[i].tokens, fields[i].gap, err);
    return status;
}

/* The documents of one batch, which stand together from *at on. */
static enum vz_status add_batch(struct vz_generation *gen, struct vz_text_index *index, size_t *at,
                                struct vz_error *err)
{
    const struct vz_text_batch *batch = gen->staged_texts[*at].batch;
    uint32_t docs = vz_text_batch_docs(batch);
    uint32_t *docnos = vz_alloc(((size_t)docs + 1) * sizeof *docnos);
    for (uint32_t i = 0; i < docs; i++)
        docnos[i] = VZ_NOT_WRITTEN;
    for (; *at < gen->staged_text_count && gen->staged_texts[*at].batch == batch; ++*at)
        if (gen->staged_texts[*at].doc < docs) /* others have no texts */
            docnos[gen->staged_texts[*at].doc] = gen->staged_texts[*at].docno;
    enum vz_status status = vz_text_index_add_batch(index, batch, docnos, err);
    free(docnos);
    return status;
}

void vz_texts_add_staged(struct vz_generation *gen)
{
    struct vz_error err = {0};
    enum vz_status status = VZ_OK;
    struct vz_text_index *index =
        gen->staged_text_count ? texts_of(gen, gen->state.docs, &err) : NULL;
    if (gen->staged_text_count && !index)
        status = err.status;
    for (size_t i = 0; index && status == VZ_OK && i < gen->staged_text_count;) {
        const struct vz_staged_tokens *staged = &gen->staged_texts[i];
        if (staged->batch) {
            status = add_batch(gen, index, &i, &err);
            continue;
        }
        status = add_fields(index, staged->docno, staged->fields, staged->count, &err);
        i++;
    }
    if (status != VZ_OK)
        vz_log(VZ_LOG_ERROR, "store", "%s: texts are not searchable before the next start: %s",
               gen->dir, err.text);
    gen->staged_text_count = gen->kept_text_count = 0;
}

struct vz_text_view *vz_texts_publish(struct vz_generation *gen, uint32_t docs)
{
    struct vz_text_index *index = vz_generation_texts(gen);
    struct vz_error err = {0};
    if (!index)
        return NULL;
    if (vz_text_index_publish(index, docs, &err) != VZ_OK)
        vz_log(VZ_LOG_ERROR, "store", "%s: texts are not published: %s", gen->dir, err.text);
    return vz_text_index_view(index);
}

/* ---- the background ------------------------------------------------------------------------ */

static bool stopping(void *index_void)
{
    const struct vz_index *index = index_void;
    return atomic_load(&index->compact_cancel) || atomic_load(&index->deleted);
}

void vz_texts_save(struct vz_generation *gen)
{
    struct vz_text_index *index = vz_generation_texts(gen);
    struct vz_error err = {0};
    if (index && vz_text_index_checkpoint(index, &err) != VZ_OK)
        vz_log(VZ_LOG_WARN, "store", "%s: texts are not saved: %s", gen->dir, err.text);
}

/* Lets new snapshots read what was merged: the same documents in fewer segments. */
static void renew_view(struct vz_index *index, struct vz_generation *gen)
{
    pthread_mutex_lock(&gen->text_lock);
    struct vz_text_view *texts = vz_text_index_view(vz_generation_texts(gen));
    pthread_mutex_lock(&index->view_lock);
    const struct vz_snapshot *view = index->view;
    bool same = index->gen == gen && view->gen == gen;
    if (same)
        vz_index_set_view_locked(index, texts, view->watermark, view->epoch, view->live,
                                 view->commit_number);
    pthread_mutex_unlock(&index->view_lock);
    pthread_mutex_unlock(&gen->text_lock);
    if (!same)
        vz_text_view_release(texts);
}

/* All steps of merging that are due. Documents that no new view sees are dropped. */
static bool merge(struct vz_index *index, struct vz_text_index *texts)
{
    struct vz_bitset live = {0};
    struct vz_error err = {0};
    bool more = true, any = false;
    struct vz_snapshot *snap = vz_index_snapshot(index);
    bool deaths = vz_snapshot_doc_count(snap) != vz_snapshot_doc_limit(snap);
    if (deaths)
        vz_snapshot_live_bits(snap, &live);
    while (more && !stopping(index)) {
        if (vz_text_index_maintain(texts, deaths ? &live : NULL, stopping, index, &more, &err) !=
            VZ_OK) {
            if (err.status != VZ_CANCELLED)
                vz_log(VZ_LOG_WARN, "store", "[%s]: texts are not merged: %s", index->name,
                       err.text);
            break;
        }
        any |= more;
    }
    if (deaths)
        vz_bitset_deinit(&live);
    vz_snapshot_release(snap);
    return any;
}

bool vz_index_maintain_texts(struct vz_index *index, bool save)
{
    struct vz_generation *gen = vz_index_generation(index);
    struct vz_text_index *texts = vz_generation_texts(gen);
    struct vz_text_index_stats stats = {0};
    if (texts) {
        pthread_mutex_lock(&gen->text_work_lock);
        bool changed = merge(index, texts);
        vz_text_index_stats(texts, &stats);
        if (save && stats.memory_bytes) {
            vz_texts_save(gen);
            vz_text_index_stats(texts, &stats);
            changed = true;
        }
        pthread_mutex_unlock(&gen->text_work_lock);
        if (changed)
            renew_view(index, gen);
    }
    vz_generation_release(gen);
    return stats.memory_bytes > 0;
}

/* ---- opening and closing ------------------------------------------------------------------- */

static bool has_texts(const struct vz_mapping *mapping)
{
    for (size_t i = 0; i < vz_mapping_count(mapping); i++) {
        const struct vz_field *field = vz_mapping_field(mapping, (uint16_t)i);
        if ((field->type == VZ_FIELD_TEXT || field->type == VZ_FIELD_COMPLETION) &&
            field->indexed && !field->under_nested)
            return true;
    }
    return false;
}

/* Of an index whose documents are all gone (commits undone by a power loss). */
static void remove_files(const char *path)
{
    DIR *dir = opendir(path);
    for (struct dirent *entry; dir && (entry = readdir(dir));)
        if (strncmp(entry->d_name, "text.", 5) == 0)
            unlinkat(dirfd(dir), entry->d_name, 0);
    if (dir)
        closedir(dir);
}

struct replay {
    struct vz_generation *gen;
    struct vz_mapping *lenient;
    struct vz_text_index *index;
    struct vz_arena arena;
    struct vz_tokens tokens;
};

static enum vz_status replay_doc(struct replay *replay, MDB_txn *txn, uint32_t docno,
                                 struct vz_error *err)
{
    struct vz_record record;
    struct vz_document doc;
    const struct vz_field_tokens *fields = NULL;
    size_t count = 0;
    vz_arena_reset(&replay->arena);
    enum vz_status status = vz_generation_record(replay->gen, txn, docno, &record, err);
    if (status != VZ_OK)
        return status;
    /* A document that cannot be read any more was told of when its columns were made. */
    if (vz_generation_reparse(replay->lenient, &record, &replay->arena, &doc, NULL) != VZ_OK ||
        vz_texts_analyze(replay->lenient, &doc, false, &replay->tokens, &replay->arena, &fields,
                         &count, NULL) != VZ_OK)
        return VZ_OK;
    return add_fields(replay->index, docno, fields, count, err);
}

static enum vz_status replay_docs(struct replay *replay, uint32_t from, struct vz_error *err)
{
    enum vz_status status = VZ_OK;
    uint32_t docs = replay->gen->state.docs;
    for (uint32_t docno = from; status == VZ_OK && docno < docs;) {
        MDB_txn *txn;
        uint32_t end = VZ_MIN(docs, docno + REPLAY_DOCS);
        status = vz_reader_begin(replay->gen, &txn, err);
        if (status != VZ_OK)
            break;
        for (; status == VZ_OK && docno < end; docno++)
            if (vz_generation_death(replay->gen, docno) == 0)
                status = replay_doc(replay, txn, docno, err);
        vz_reader_end(replay->gen, txn);
    }
    return status;
}

enum vz_status vz_texts_open(struct vz_generation *gen, const struct vz_mapping *mapping,
                             struct vz_error *err)
{
    uint32_t docs = gen->state.docs;
    if (!has_texts(mapping))
        return VZ_OK;
    if (docs == 0) {
        remove_files(gen->dir);
        return VZ_OK;
    }
    struct vz_text_index *index = texts_of(gen, docs, err);
    if (!index)
        return err ? err->status : VZ_IO;
    uint32_t from = vz_text_index_limit(index);
    if (from >= docs)
        return VZ_OK;
    struct replay replay = {.gen = gen, .index = index, .lenient = vz_mapping_lenient(mapping)};
    enum vz_status status = replay.lenient
                                ? replay_docs(&replay, from, err)
                                : vz_fail(err, VZ_INTERNAL, "no mapping to read documents with");
    if (replay.lenient)
        vz_mapping_release(replay.lenient);
    vz_arena_deinit(&replay.arena);
    vz_tokens_deinit(&replay.tokens);
    return status;
}

void vz_texts_close(struct vz_generation *gen)
{
    vz_text_index_close(vz_generation_texts(gen));
    free(gen->staged_texts);
}
