/* store/compact.c - rewriting an index without its dead documents, while it is written to.
 *
 *   1. start    (writer)  deaths are logged from now on
 *   2. bulk     (here)    live documents below the committed count go to GEN+1, in batches
 *   3. graph    (here)    GEN+1's graphs are built, so that the swap does not throw a search back
 *                         on scanning everything
 *   4. catch up (here)    documents and deaths that came meanwhile, until few are left; then sync
 *   5. swap     (writer)  the last ones; commit; the registry says GEN+1; views change over
 *
 * The old generation stays, whole and readable, until the last snapshot of it is released; then its
 * folder goes. A crash before the registry's commit leaves GEN, after it GEN+1; the other folder is
 * removed by the next open.
 *
 * What is not carried over: tombstones, terms that only dead documents had, entries of ids deleted
 * more than KEPT_DELETIONS operations ago (their versions start again, as Elasticsearch's do after
 * index.gc_deletes). The swap is a refresh too.
 *
 * Invariants:
 *  1. map[d] is the new docno of old document d, for d < copied; VZ_NO_DOC when d was dead when its
 *     turn came.
 *  2. A document that dies after its turn is in the death log: the log is written before the death
 *     is marked, and taken by the writer itself, between transactions.
 *  3. Copies keep id, version, seq_no, the source's text, row floats; they get docno, rows, ordinals
 *     anew, and are packed anew with a packer of the fresh generation's own.
 *  4. A copy has no `prev`: every view of the new generation sees all that was copied.
 *
 * Rejected: copying columns instead of reading documents again. It saves about a third of the bulk
 * step, and needs a second path for everything that vz_generation_add does.
 */
#include "base/file.h"
#include "store/index.h"

#include <stdlib.h>

#define BATCH_DOCS 5000
#define FEW_DOCS 2000
#define MAX_CATCH_UPS 20
#define GRAPH_CHUNK 256
#define KEPT_DELETIONS 100000

struct compaction {
    struct vz_index *index;
    struct vz_generation *old, *fresh;
    struct vz_mapping *mapping; /* the index's, as of the last batch */
    struct vz_mapping *lenient; /* made of it */
    uint32_t *map;
    uint32_t copied, map_capacity;
    uint32_t *deaths; /* taken from the writer's log, not applied yet */
    size_t death_count;
    struct vz_buf gone; /* ids deleted without a document, taken from the writer's log */
    struct vz_tokens tokens;
};

/* ---- copying ------------------------------------------------------------------------------- */

/* The vectors of a record, their floats where they lie in the old rows. */
static enum vz_status old_vectors(struct compaction *c, const struct vz_record *record,
                                  struct vz_document *doc, struct vz_error *err)
{
    struct vz_slice rest = record->splices;
    struct vz_splice splice;
    struct vz_doc_vector *vectors =
        vz_arena_zalloc(&c->fresh->arena, (record->splice_count + 1) * sizeof *vectors);
    size_t count = 0;
    while (count < record->splice_count && vz_splice_next(&rest, &splice)) {
        const struct vz_rows *rows = vz_generation_rows(c->old, splice.field);
        if (!rows || splice.row >= atomic_load(&rows->count))
            return vz_fail(err, VZ_CORRUPT, "document [%.*s] has a row that is not there",
                           (int)record->id.len, record->id.ptr);
        vectors[count++] = (struct vz_doc_vector){.field = splice.field,
                                                  .offset = splice.offset,
                                                  .elements = vz_rows_get(rows, splice.row),
                                                  .dims = splice.dims};
    }
    doc->vectors = vectors;
    doc->vector_count = count;
    return VZ_OK;
}

static enum vz_status copy_doc(struct compaction *c, MDB_txn *from, uint32_t docno,
                               struct vz_error *err)
{
    struct vz_record record;
    struct vz_prepared prepared = {0};
    uint32_t fresh_docno;
    enum vz_status status = vz_generation_record(c->old, from, docno, &record, err);
    if (status == VZ_OK)
        status = vz_generation_reparse(c->lenient, &record, &c->fresh->arena, &prepared.doc, err);
    if (status == VZ_OK)
        status = old_vectors(c, &record, &prepared.doc, err);
    if (status != VZ_OK)
        return status;
    status = vz_texts_analyze(c->lenient, &prepared.doc, false, &c->tokens, &c->fresh->arena,
                              &prepared.texts, &prepared.text_count, err);
    if (status != VZ_OK)
        return status;
    prepared.fields = record.fields;
    prepared.splices = record.splices;
    vz_prepared_pack(&prepared, vz_generation_packer(c->fresh), &c->fresh->arena);
    record.prev = VZ_NO_DOC;
    status = vz_generation_add(c->fresh, c->lenient, &prepared, &record, &fresh_docno, err);
    struct vz_id_entry entry = {
        .docno = fresh_docno, .version = record.version, .seq_no = record.seq_no};
    if (status == VZ_OK)
        status = vz_generation_put_id(c->fresh, record.id, &entry, err);
    c->map[docno] = fresh_docno;
    return status;
}

static void grow_map(struct compaction *c, uint32_t docs)
{
    if (docs <= c->map_capacity)
        return;
    c->map_capacity = VZ_MAX(docs, c->map_capacity + c->map_capacity / 2);
    c->map = vz_realloc(c->map, (size_t)c->map_capacity * sizeof *c->map);
}

/* Live documents of [c->copied, last), inside the fresh generation's transaction. */
static enum vz_status copy_docs(struct compaction *c, uint32_t last, struct vz_error *err)
{
    MDB_txn *from;
    enum vz_status status = vz_reader_begin(c->old, &from, err);
    if (status != VZ_OK)
        return status;
    grow_map(c, last);
    for (; status == VZ_OK && c->copied < last; c->copied++) {
        c->map[c->copied] = VZ_NO_DOC;
        if (vz_generation_death(c->old, c->copied) == 0)
            status = copy_doc(c, from, c->copied, err);
    }
    vz_reader_end(c->old, from);
    return status;
}

/* If an id is deleted by now, so is its copy. */
static enum vz_status apply_deletion(struct compaction *c, MDB_txn *from, struct vz_slice id,
                                     struct vz_error *err)
{
    struct vz_id_entry now, there;
    enum vz_status status = vz_generation_get_id(c->old, from, id, &now, err);
    if (status != VZ_OK || !now.deleted)
        return status;
    enum vz_status known = vz_generation_get_id(c->fresh, c->fresh->txn, id, &there, err);
    if (known != VZ_OK && known != VZ_NOT_FOUND)
        return known;
    now.docno = known == VZ_OK ? there.docno : VZ_NO_DOC;
    return vz_generation_put_id(c->fresh, id, &now, err);
}

/* One dead document: its copy dies, and its id's deletion is told. */
static enum vz_status apply_death(struct compaction *c, MDB_txn *from, uint32_t docno,
                                  struct vz_error *err)
{
    struct vz_record record;
    enum vz_status status = VZ_OK;
    if (docno < c->copied && c->map[docno] != VZ_NO_DOC)
        status = vz_generation_kill(c->fresh, c->map[docno], err);
    if (status == VZ_OK)
        status = vz_generation_record(c->old, from, docno, &record, err);
    return status == VZ_OK ? apply_deletion(c, from, record.id, err) : status;
}

/* Deletions that no document tells of: only the id's entry has their version. */
static enum vz_status apply_gone(struct compaction *c, MDB_txn *from, struct vz_error *err)
{
    enum vz_status status = VZ_OK;
    for (size_t at = 0; status == VZ_OK && at < c->gone.len;) {
        size_t len;
        memcpy(&len, c->gone.data + at, sizeof len);
        struct vz_slice id = {c->gone.data + at + sizeof len, len};
        status = apply_deletion(c, from, id, err);
        at += sizeof len + len;
    }
    if (status == VZ_OK)
        vz_buf_clear(&c->gone);
    return status;
}

static enum vz_status apply_deaths(struct compaction *c, struct vz_error *err)
{
    MDB_txn *from;
    enum vz_status status = vz_reader_begin(c->old, &from, err);
    if (status != VZ_OK)
        return status;
    for (size_t i = 0; status == VZ_OK && i < c->death_count; i++)
        status = apply_death(c, from, c->deaths[i], err);
    if (status == VZ_OK)
        status = apply_gone(c, from, err);
    vz_reader_end(c->old, from);
    if (status == VZ_OK)
        c->death_count = 0;
    return status;
}

/* Commits what was staged in the fresh generation, which nobody else sees yet. */
static enum vz_status commit_fresh(struct compaction *c, struct vz_error *err)
{
    enum vz_status status = vz_generation_commit(c->fresh, err);
    if (status == VZ_OK) {
        vz_texts_add_staged(c->fresh);
        c->fresh->state = c->fresh->staged;
        vz_generation_mark_deaths(c->fresh, 1);
    }
    return status;
}

/* Documents written meanwhile may have fields that the mapping did not have at the start. */
static enum vz_status refresh_mapping(struct compaction *c, struct vz_error *err)
{
    struct vz_mapping *now = vz_index_mapping(c->index);
    if (now == c->mapping) {
        vz_mapping_release(now);
        return VZ_OK;
    }
    if (c->mapping) {
        vz_mapping_release(c->mapping);
        vz_mapping_release(c->lenient);
    }
    c->mapping = now;
    c->lenient = vz_mapping_lenient(now);
    if (c->lenient)
        return VZ_OK;
    vz_mapping_release(c->mapping);
    c->mapping = NULL;
    return vz_fail(err, VZ_INTERNAL, "no mapping to read documents with");
}

/* Made of documents that live, before any is copied (repack.c). */
static enum vz_status give_packer(struct compaction *c, uint32_t docs, struct vz_error *err)
{
    struct vz_packer *packer = vz_generation_train(c->old, docs);
    if (!packer)
        return VZ_OK;
    enum vz_status status = vz_generation_begin(c->fresh, err);
    if (status == VZ_OK && (status = vz_generation_put_packer(c->fresh, packer, err)) != VZ_OK)
        vz_generation_abort(c->fresh);
    else if (status == VZ_OK)
        status = commit_fresh(c, err);
    if (status == VZ_OK)
        atomic_store_explicit(&c->fresh->packer, packer, memory_order_release);
    else
        vz_packer_free(packer);
    return status;
}

/* Stages documents up to `last` and the deaths taken so far. */
static enum vz_status stage(struct compaction *c, uint32_t last, struct vz_error *err)
{
    enum vz_status status = refresh_mapping(c, err);
    if (status == VZ_OK)
        status = vz_generation_begin(c->fresh, err);
    if (status != VZ_OK)
        return status;
    status = copy_docs(c, last, err);
    if (status == VZ_OK && (c->death_count || c->gone.len))
        status = apply_deaths(c, err);
    if (status != VZ_OK)
        vz_generation_abort(c->fresh);
    return status;
}

/* Ids deleted lately, so that an old version that comes late is still told to be old. Before any
 * document is copied: one written since under such an id overwrites its entry. */
static enum vz_status keep_deletions(struct compaction *c, struct vz_error *err)
{
    MDB_txn *from;
    MDB_cursor *cursor = NULL;
    MDB_val key, value;
    pthread_mutex_lock(&c->index->view_lock);
    uint64_t next = c->old->state.next_seq, oldest = next - VZ_MIN(next, (uint64_t)KEPT_DELETIONS);
    pthread_mutex_unlock(&c->index->view_lock);
    enum vz_status status = vz_reader_begin(c->old, &from, err);
    if (status != VZ_OK)
        return status;
    int code = mdb_cursor_open(from, c->old->ids_db, &cursor);
    status = code ? vz_fail_lmdb(err, code, "reading ids") : vz_generation_begin(c->fresh, err);
    bool begun = status == VZ_OK;
    for (MDB_cursor_op op = MDB_FIRST; status == VZ_OK; op = MDB_NEXT) {
        struct vz_id_entry entry;
        code = mdb_cursor_get(cursor, &key, &value, op);
        if (code)
            break;
        struct vz_slice id = vz_id_of_pair(&key, &value, &entry);
        if (!id.ptr || !entry.deleted || entry.seq_no < oldest)
            continue;
        entry.docno = VZ_NO_DOC;
        status = vz_generation_put_id(c->fresh, id, &entry, err);
    }
    if (status == VZ_OK && code != MDB_NOTFOUND)
        status = vz_fail_lmdb(err, code, "reading ids");
    if (cursor)
        mdb_cursor_close(cursor);
    vz_reader_end(c->old, from);
    if (begun && status != VZ_OK)
        vz_generation_abort(c->fresh);
    return status == VZ_OK ? commit_fresh(c, err) : status;
}

static enum vz_status check_cancel(const struct compaction *c, struct vz_error *err)
{
    if (atomic_load(&c->index->compact_cancel))
        return vz_fail(err, VZ_CANCELLED, "the compaction of [%s] was cancelled", c->index->name);
    return VZ_OK;
}

static enum vz_status copy_until(struct compaction *c, uint32_t last, struct vz_error *err)
{
    enum vz_status status = check_cancel(c, err);
    while (status == VZ_OK && (c->copied < last || c->death_count || c->gone.len)) {
        status = stage(c, VZ_MIN(last, c->copied + BATCH_DOCS), err);
        if (status == VZ_OK)
            status = commit_fresh(c, err);
        if (status == VZ_OK)
            status = check_cancel(c, err);
    }
    return status;
}

/* ---- on the writer's thread ---------------------------------------------------------------- */

static enum vz_status start_log(struct vz_index *index, void *context, struct vz_error *err)
{
    index->log_deaths = true;
    index->death_log_count = 0;
    vz_buf_clear(&index->gone_log);
    return VZ_OK;
}

static enum vz_status stop_log(struct vz_index *index, void *context, struct vz_error *err)
{
    index->log_deaths = false;
    free(index->death_log);
    index->death_log = NULL;
    index->death_log_count = index->death_log_capacity = 0;
    vz_buf_deinit(&index->gone_log);
    index->gone_log = (struct vz_buf){0};
    return VZ_OK;
}

static enum vz_status take_deaths(struct vz_index *index, void *context, struct vz_error *err)
{
    struct compaction *c = context;
    c->deaths =
        vz_realloc(c->deaths, (c->death_count + index->death_log_count + 1) * sizeof *c->deaths);
    if (index->death_log_count)
        memcpy(c->deaths + c->death_count, index->death_log,
               index->death_log_count * sizeof *c->deaths);
    c->death_count += index->death_log_count;
    index->death_log_count = 0;
    vz_buf_append_slice(&c->gone, vz_buf_slice(&index->gone_log));
    vz_buf_clear(&index->gone_log);
    return VZ_OK;
}

static enum vz_status register_fresh(struct vz_index *index, struct vz_generation *fresh,
                                     struct vz_error *err)
{
    struct vz_index_entry entry = {
        .name = vz_index_name(index), .generation = fresh->number, .created_ms = index->created_ms};
    memcpy(entry.uuid, index->uuid, sizeof entry.uuid);
    vz_index_settings(index, &entry.settings);
    struct vz_mapping *mapping = vz_index_mapping(index);
    enum vz_status status = vz_registry_put(index->store, &entry, mapping, NULL, 0, false, err);
    vz_mapping_release(mapping);
    vz_settings_deinit(&entry.settings);
    return status;
}

static void change_over(struct vz_index *index, struct vz_generation *fresh)
{
    struct vz_text_view *texts = vz_texts_publish(fresh, fresh->state.docs);
    pthread_mutex_lock(&index->view_lock);
    struct vz_generation *old = index->gen;
    index->gen = vz_generation_acquire(fresh);
    index->deaths_pending = false;
    index->dirty_since_ns = 0;
    vz_index_set_view_locked(index, texts, fresh->state.docs, 1,
                             fresh->state.docs - fresh->state.dead, index->commit_number);
    pthread_cond_broadcast(&index->refreshed);
    pthread_mutex_unlock(&index->view_lock);
    atomic_store(&old->condemned, true);
    vz_generation_release(old);
}

/* The last documents go over, and the new generation is on disk. On the writer's thread. */
static enum vz_status complete(struct vz_index *index, struct compaction *c, const char *what,
                               struct vz_error *err)
{
    enum vz_status status = take_deaths(index, c, err);
    if (status == VZ_OK)
        status = stage(c, c->old->state.docs, err);
    if (status != VZ_OK)
        return status;
    c->fresh->staged.next_seq = c->old->state.next_seq;
    c->fresh->durable = true;
    mdb_env_set_flags(c->fresh->env, MDB_NOSYNC, 0);
    status = commit_fresh(c, err);
    int code = status == VZ_OK ? mdb_env_sync(c->fresh->env, 1) : 0;
    return code ? vz_fail_lmdb(err, code, what) : status;
}

static enum vz_status swap(struct vz_index *index, void *context, struct vz_error *err)
{
    struct compaction *c = context;
    enum vz_status status = complete(index, c, "syncing a generation", err);
    if (status == VZ_OK)
        status = vz_sync_dir(index->dir, err);
    if (status != VZ_OK)
        return status;
    /* mapping_lock: nobody registers the old number over ours. Its holders never wait for us. */
    pthread_mutex_lock(&index->mapping_lock);
    if (atomic_load(&index->deleted))
        status = vz_fail(err, VZ_NO_INDEX, "no such index [%s]", index->name);
    else if (atomic_load(&index->closed))
        status = vz_fail(err, VZ_CANCELLED, "[%s] is closed", index->name);
    else
        status = register_fresh(index, c->fresh, err);
    if (status == VZ_OK)
        change_over(index, c->fresh);
    pthread_mutex_unlock(&index->mapping_lock);
    return status;
}

static enum vz_status on_writer(struct compaction *c,
                                enum vz_status (*run)(struct vz_index *, void *, struct vz_error *),
                                struct vz_error *err)
{
    struct vz_task task = {.run = run, .context = c};
    return vz_writer_run(c->index, &task, err);
}

/* ---- the whole ----------------------------------------------------------------------------- */

static enum vz_status build_graphs(struct compaction *c, struct vz_error *err)
{
    struct vz_store *store = c->index->store;
    struct vz_mapping *mapping = vz_index_mapping(c->index);
    enum vz_status status = VZ_OK;
    for (size_t i = 0; status == VZ_OK && i < vz_mapping_count(mapping); i++) {
        struct vz_rows *rows = vz_generation_rows(c->fresh, (uint16_t)i);
        bool left = rows != NULL;
        while (status == VZ_OK && left) {
            /* A graph that is refused is not an error: its rows are scanned. */
            struct vz_graph_work work = {GRAPH_CHUNK, store->pool, store->graph_threads - 1,
                                         vz_store_memory_left(store)};
            if (vz_graph_insert_some(rows, vz_mapping_field(mapping, (uint16_t)i), &work, &left,
                                     NULL) != VZ_OK)
                left = false;
            status = check_cancel(c, err);
        }
        if (status == VZ_OK && rows)
            status = vz_graph_save(c->fresh->dir, rows, err);
    }
    vz_mapping_release(mapping);
    return status;
}

static uint32_t committed_docs(struct compaction *c)
{
    pthread_mutex_lock(&c->index->view_lock);
    uint32_t docs = c->old->state.docs;
    pthread_mutex_unlock(&c->index->view_lock);
    return docs;
}

/* Makes nearly everything durable before the writer is asked to stop for the rest. */
static enum vz_status sync_fresh(struct compaction *c, struct vz_error *err)
{
    vz_text_view_release(vz_texts_publish(c->fresh, c->fresh->state.docs));
    vz_texts_save(c->fresh);
    enum vz_status status = vz_generation_checkpoint(c->fresh, err);
    for (size_t i = 0; status == VZ_OK && i < VZ_MAX_FIELDS; i++) {
        struct vz_rows *rows = vz_generation_rows(c->fresh, (uint16_t)i);
        if (rows)
            status = vz_rows_sync(rows, err);
    }
    if (status != VZ_OK)
        return status;
    int code = mdb_env_sync(c->fresh->env, 1);
    return code ? vz_fail_lmdb(err, code, "syncing a generation") : VZ_OK;
}

static enum vz_status catch_up(struct compaction *c, struct vz_error *err)
{
    enum vz_status status = VZ_OK;
    for (int i = 0; status == VZ_OK && i < MAX_CATCH_UPS; i++) {
        uint32_t docs = committed_docs(c);
        status = on_writer(c, take_deaths, err);
        bool few = docs - c->copied < FEW_DOCS && c->death_count < FEW_DOCS;
        if (status == VZ_OK)
            status = copy_until(c, docs, err);
        if (few)
            break;
    }
    return status == VZ_OK ? sync_fresh(c, err) : status;
}

/* Makes the generation `number` in `dir` and fills it with everything that lives; `finish` runs on
 * the writer's thread, when nearly nothing is left to be taken over. */
static enum vz_status fill(struct compaction *c, const char *dir, uint64_t number,
                           enum vz_status (*finish)(struct vz_index *, void *, struct vz_error *),
                           struct vz_error *err)
{
    enum vz_status status = vz_generation_create(dir, number, &c->fresh, err);
    if (status != VZ_OK)
        return status;
    c->fresh->durable = false;
    mdb_env_set_flags(c->fresh->env, MDB_NOSYNC, 1);
    status = on_writer(c, start_log, err);
    if (status != VZ_OK)
        return status;
    status = keep_deletions(c, err);
    if (status == VZ_OK)
        status = give_packer(c, committed_docs(c), err);
    if (status == VZ_OK)
        status = copy_until(c, committed_docs(c), err);
    if (status == VZ_OK)
        status = build_graphs(c, err);
    if (status == VZ_OK)
        status = catch_up(c, err);
    if (status == VZ_OK)
        status = on_writer(c, finish, err);
    on_writer(c, stop_log, NULL);
    return status;
}

static enum vz_status compact(struct compaction *c, struct vz_error *err)
{
    uint64_t number = c->old->number + 1;
    char *dir = vz_generation_path(c->index, number);
    enum vz_status status = vz_remove_all(dir, err); /* left by one that failed */
    if (status == VZ_OK)
        status = fill(c, dir, number, swap, err);
    free(dir);
    return status;
}

/* ---- a copy elsewhere ---------------------------------------------------------------------- */

/* On the writer's thread: nothing is written any more that the copy does not have. */
static enum vz_status finish_copy(struct vz_index *index, void *context, struct vz_error *err)
{
    struct compaction *c = context;
    return complete(index, c, "syncing a copy", err);
}

enum vz_status vz_index_copy_to(struct vz_index *index, const char *dir, struct vz_error *err)
{
    struct compaction c = {.index = index};
    pthread_mutex_lock(&index->compact_lock);
    c.old = vz_index_generation(index);
    enum vz_status status = fill(&c, dir, 1, finish_copy, err);
    if (c.mapping) {
        vz_mapping_release(c.mapping);
        vz_mapping_release(c.lenient);
    }
    vz_generation_release(c.fresh);
    vz_generation_release(c.old);
    vz_tokens_deinit(&c.tokens);
    free(c.map);
    free(c.deaths);
    vz_buf_deinit(&c.gone);
    pthread_mutex_unlock(&index->compact_lock);
    return status;
}

enum vz_status vz_index_compact(struct vz_index *index, struct vz_error *err)
{
    struct compaction c = {.index = index};
    if (atomic_load(&index->deleted))
        return vz_fail(err, VZ_NO_INDEX, "no such index [%s]", index->name);
    pthread_mutex_lock(&index->compact_lock);
    c.old = vz_index_generation(index);
    pthread_mutex_lock(&index->view_lock);
    bool clean = c.old->state.dead == 0;
    pthread_mutex_unlock(&index->view_lock);
    enum vz_status status = VZ_OK;
    if (!clean) {
        status = compact(&c, err);
        if (status == VZ_OK)
            atomic_fetch_add(&index->counters.compaction_total, 1);
        else if (c.fresh)
            atomic_store(&c.fresh->condemned, true);
    }
    if (c.mapping) {
        vz_mapping_release(c.mapping);
        vz_mapping_release(c.lenient);
    }
    vz_generation_release(c.fresh);
    vz_generation_release(c.old);
    vz_tokens_deinit(&c.tokens);
    free(c.map);
    free(c.deaths);
    vz_buf_deinit(&c.gone);
    pthread_mutex_unlock(&index->compact_lock);
    if (status == VZ_OK && !clean) {
        vz_index_account(index);
        vz_background_rows(index->store);
    }
    return status;
}
