/* store/snapshot.c - frozen views and what can be read from one.
 *
 * A view is (generation, mapping, watermark, epoch). Document d is visible when d < watermark and
 * it is alive or died in an epoch after the view's. Refresh makes a new view; nothing in an old one
 * changes, so whoever holds it needs no lock.
 *
 * Why no read transaction is held: records never change within a generation, so any transaction
 * newer than the view reads the view's documents. Only `ids` moves on; an id is found by walking
 * from its newest document back along `prev` to the one below the watermark.
 *
 * Invariants:
 *  1. deaths not yet refreshed are marked with view->epoch + 1, so the view sees them alive.
 *  2. watermark and epoch rise together under view_lock, where the writer publishes a whole
 *     transaction at once: an update is never seen twice nor not at all.
 */
#include "store/index.h"

#include <stdlib.h>

void vz_view_drop(struct vz_snapshot *view)
{
    if (!view || atomic_fetch_sub_explicit(&view->references, 1, memory_order_acq_rel) != 1)
        return;
    struct vz_index *index = view->index;
    pthread_mutex_lock(&index->views_lock);
    if (view->before)
        view->before->after = view->after;
    else
        index->views = view->after;
    if (view->after)
        view->after->before = view->before;
    pthread_mutex_unlock(&index->views_lock);
    vz_text_view_release(view->texts);
    vz_generation_release(view->gen);
    vz_mapping_release(view->mapping);
    free(view);
}

void vz_index_set_view_locked(struct vz_index *index, struct vz_text_view *texts,
                              uint32_t watermark, uint32_t epoch, uint32_t live,
                              uint64_t commit_number)
{
    struct vz_snapshot *view = vz_calloc(1, sizeof *view);
    atomic_init(&view->references, 1);
    view->index = index;
    view->gen = vz_generation_acquire(index->gen);
    view->mapping = vz_mapping_acquire(index->mapping);
    view->texts = texts;
    view->watermark = watermark;
    view->epoch = epoch;
    view->live = live;
    view->commit_number = commit_number;
    pthread_mutex_lock(&index->views_lock);
    view->after = index->views;
    if (view->after)
        view->after->before = view;
    index->views = view;
    pthread_mutex_unlock(&index->views_lock);
    struct vz_snapshot *old = index->view;
    index->view = view;
    vz_view_drop(old);
}

uint32_t vz_index_oldest_epoch(struct vz_index *index, const struct vz_generation *gen)
{
    uint32_t oldest = UINT32_MAX;
    pthread_mutex_lock(&index->views_lock);
    for (const struct vz_snapshot *view = index->views; view; view = view->after)
        if (view->gen == gen)
            oldest = VZ_MIN(oldest, view->epoch);
    pthread_mutex_unlock(&index->views_lock);
    return oldest;
}

bool vz_index_refresh_now(struct vz_index *index)
{
    vz_writer_flush(index);
    struct vz_generation *gen = vz_index_generation(index);
    pthread_mutex_lock(&gen->text_lock); /* no commit is published meanwhile */
    pthread_mutex_lock(&index->view_lock);
    bool fresh = index->gen == gen && index->view->commit_number != index->commit_number;
    uint32_t docs = gen->state.docs;
    pthread_mutex_unlock(&index->view_lock);
    struct vz_text_view *texts = fresh ? vz_texts_publish(gen, docs) : NULL;
    pthread_mutex_lock(&index->view_lock);
    bool deaths = index->deaths_pending;
    /* A compaction that swapped its generation in meanwhile has refreshed. */
    fresh = fresh && index->gen == gen;
    if (fresh) {
        const struct vz_generation_state *state = &gen->state;
        vz_index_set_view_locked(index, texts, state->docs,
                                 index->view->epoch + (index->deaths_pending ? 1 : 0),
                                 state->docs - state->dead, index->commit_number);
        index->deaths_pending = false;
        texts = NULL;
    }
    index->dirty_since_ns = 0;
    pthread_cond_broadcast(&index->refreshed);
    pthread_mutex_unlock(&index->view_lock);
    pthread_mutex_unlock(&gen->text_lock);
    atomic_fetch_add_explicit(&index->counters.refresh_total, 1, memory_order_relaxed);
    vz_text_view_release(texts);
    if (fresh && (deaths || vz_generation_texts(gen)))
        vz_background_rows(index->store); /* rows of the dead leave graphs, segments are merged */
    vz_generation_release(gen);
    return fresh;
}

enum vz_status vz_index_refresh(struct vz_index *index, struct vz_error *err)
{
    if (atomic_load(&index->deleted))
        return vz_fail(err, VZ_NO_INDEX, "no such index [%s]", index->name);
    vz_index_refresh_now(index);
    return VZ_OK;
}

struct vz_snapshot *vz_index_snapshot(struct vz_index *index)
{
    vz_index_acquire(index);
    pthread_mutex_lock(&index->view_lock);
    struct vz_snapshot *view = index->view;
    atomic_fetch_add_explicit(&view->references, 1, memory_order_relaxed);
    pthread_mutex_unlock(&index->view_lock);
    return view;
}

struct vz_snapshot *vz_snapshot_acquire(struct vz_snapshot *snap)
{
    vz_index_acquire(snap->index);
    atomic_fetch_add_explicit(&snap->references, 1, memory_order_relaxed);
    return snap;
}

void vz_snapshot_release(struct vz_snapshot *snap)
{
    if (!snap)
        return;
    struct vz_index *index = snap->index;
    vz_view_drop(snap);
    vz_index_release(index);
}

struct vz_index *vz_snapshot_index(const struct vz_snapshot *snap)
{
    return snap->index;
}

const struct vz_text_view *vz_snapshot_texts(const struct vz_snapshot *snap)
{
    return snap->texts;
}

const struct vz_mapping *vz_snapshot_mapping(const struct vz_snapshot *snap)
{
    return snap->mapping;
}

uint32_t vz_snapshot_doc_limit(const struct vz_snapshot *snap)
{
    return snap->watermark;
}

uint32_t vz_snapshot_doc_count(const struct vz_snapshot *snap)
{
    return snap->live;
}

bool vz_snapshot_live(const struct vz_snapshot *snap, uint32_t docno)
{
    if (docno >= snap->watermark)
        return false;
    uint32_t death = vz_generation_death(snap->gen, docno);
    return death == 0 || death > snap->epoch;
}

void vz_snapshot_live_bits(const struct vz_snapshot *snap, struct vz_bitset *bits)
{
    vz_bitset_init(bits, snap->watermark);
    vz_bitset_set_all(bits);
    if (snap->live == snap->watermark)
        return;
    for (size_t word = 0; word < vz_bitset_word_count(bits); word++) {
        uint32_t first = (uint32_t)word * 64, count = VZ_MIN(snap->watermark - first, 64u);
        uint64_t live = 0;
        /* 0 - 1 is the largest number, so one comparison asks for "alive, or died later". */
        for (uint32_t i = 0; i < count; i++)
            live |= (uint64_t)(vz_generation_death(snap->gen, first + i) - 1 >= snap->epoch) << i;
        bits->words[word] = live;
    }
}

/* ---- documents ----------------------------------------------------------------------------- */

static enum vz_status find_docno(const struct vz_snapshot *snap, MDB_txn *txn, struct vz_slice id,
                                 uint32_t *docno, struct vz_error *err)
{
    struct vz_id_entry entry;
    enum vz_status status = vz_generation_get_id(snap->gen, txn, id, &entry, err);
    if (status != VZ_OK && status != VZ_NOT_FOUND)
        return status;
    uint32_t at = status == VZ_OK ? entry.docno : VZ_NO_DOC;
    while (at != VZ_NO_DOC && at >= snap->watermark) {
        struct vz_record record;
        status = vz_generation_record(snap->gen, txn, at, &record, err);
        if (status != VZ_OK)
            return status;
        at = record.prev;
    }
    if (at == VZ_NO_DOC || !vz_snapshot_live(snap, at))
        return vz_fail(err, VZ_NOT_FOUND, "[%.*s]: document missing", (int)id.len, id.ptr);
    *docno = at;
    return VZ_OK;
}

enum vz_status vz_snapshot_find(const struct vz_snapshot *snap, struct vz_slice id, uint32_t *docno,
                                struct vz_error *err)
{
    MDB_txn *txn;
    enum vz_status status = vz_reader_begin(snap->gen, &txn, err);
    if (status != VZ_OK)
        return status;
    status = find_docno(snap, txn, id, docno, err);
    vz_reader_end(snap->gen, txn);
    return status;
}

enum vz_status vz_snapshot_doc(const struct vz_snapshot *snap, uint32_t docno,
                               enum vz_doc_parts parts, struct vz_arena *arena,
                               struct vz_stored_doc *doc, struct vz_error *err)
{
    if (!vz_snapshot_live(snap, docno))
        return vz_fail(err, VZ_NOT_FOUND, "there is no document number [%u]", docno);
    return vz_snapshot_any_doc(snap, docno, parts, arena, doc, err);
}

enum vz_status vz_snapshot_any_doc(const struct vz_snapshot *snap, uint32_t docno,
                                   enum vz_doc_parts parts, struct vz_arena *arena,
                                   struct vz_stored_doc *doc, struct vz_error *err)
{
    MDB_txn *txn;
    enum vz_status status = vz_reader_begin(snap->gen, &txn, err);
    if (status != VZ_OK)
        return status;
    status = vz_generation_doc(snap->gen, txn, docno, parts, arena, doc, err);
    vz_reader_end(snap->gen, txn);
    if (status == VZ_OK && parts == VZ_DOC_SOURCE && vz_mapping_filters_source(snap->mapping))
        doc->source = vz_mapping_filter_source(snap->mapping, doc->source, arena);
    return status;
}

enum vz_status vz_index_get(struct vz_index *index, struct vz_slice id, enum vz_doc_parts parts,
                            struct vz_arena *arena, struct vz_stored_doc *doc, struct vz_error *err)
{
    vz_writer_flush(index);
    struct vz_generation *gen = vz_index_generation(index);
    MDB_txn *txn;
    struct vz_id_entry entry;
    atomic_fetch_add_explicit(&index->counters.get_total, 1, memory_order_relaxed);
    enum vz_status status = vz_reader_begin(gen, &txn, err);
    if (status == VZ_OK) {
        status = vz_generation_get_id(gen, txn, id, &entry, err);
        if (status == VZ_NOT_FOUND || (status == VZ_OK && entry.deleted))
            status = vz_fail(err, VZ_NOT_FOUND, "[%.*s]: document missing", (int)id.len, id.ptr);
        else if (status == VZ_OK)
            status = vz_generation_doc(gen, txn, entry.docno, parts, arena, doc, err);
        vz_reader_end(gen, txn);
    }
    vz_generation_release(gen);
    struct vz_mapping *mapping = vz_index_mapping(index);
    if (status == VZ_OK && parts == VZ_DOC_SOURCE && vz_mapping_filters_source(mapping))
        doc->source = vz_mapping_filter_source(mapping, doc->source, arena);
    vz_mapping_release(mapping);
    return status;
}

/* ---- columns and terms --------------------------------------------------------------------- */

uint32_t vz_snapshot_recall(const struct vz_snapshot *snap, const struct vz_filter_key *key,
                            struct vz_bitset *bits)
{
    return vz_remembered_get(&snap->gen->remembered, key, bits);
}

void vz_snapshot_remember(const struct vz_snapshot *snap, const struct vz_filter_key *key,
                          const struct vz_bitset *bits)
{
    vz_remembered_put(&snap->gen->remembered, key, bits);
}

void vz_snapshot_recall_totals(const struct vz_snapshot *snap, uint16_t field,
                               struct vz_column_totals *totals)
{
    vz_remembered_totals_get(&snap->gen->remembered, field, snap->watermark,
                             snap->watermark - snap->live, totals);
}

void vz_snapshot_remember_totals(const struct vz_snapshot *snap, uint16_t field, uint64_t docs,
                                 uint64_t values)
{
    struct vz_column_totals totals = {.docno = snap->watermark, .docs = docs, .values = values};
    vz_remembered_totals_put(&snap->gen->remembered, field, snap->watermark - snap->live, &totals);
}

void vz_snapshot_column(const struct vz_snapshot *snap, uint16_t field, struct vz_column *column)
{
    *column = (struct vz_column){.kind = VZ_COLUMN_NONE};
    if (field < vz_mapping_count(snap->mapping))
        column->kind = vz_mapping_field(snap->mapping, field)->column;
    if (field >= VZ_MAX_FIELDS)
        return;
    const struct vz_column_file *file =
        atomic_load_explicit(&snap->gen->columns[field], memory_order_acquire);
    if (!file)
        return;
    column->kind = file->kind;
    column->count = vz_column_below(file, snap->watermark);
    column->docnos = (const uint32_t *)(const void *)file->docnos.base;
    column->i64 = (const int64_t *)(const void *)file->values.base;
}

size_t vz_column_find(const struct vz_column *column, uint32_t docno)
{
    size_t at = vz_docnos_lower(column->docnos, column->count, docno);
    return at < column->count && column->docnos[at] == docno ? at : column->count;
}

bool vz_snapshot_term_ordinal(const struct vz_snapshot *snap, uint16_t field, struct vz_slice term,
                              uint32_t *ordinal)
{
    MDB_txn *txn;
    if (vz_reader_begin(snap->gen, &txn, NULL) != VZ_OK)
        return false;
    bool found = vz_term_find(snap->gen, txn, field, term, ordinal, NULL) == VZ_OK;
    vz_reader_end(snap->gen, txn);
    return found;
}

struct vz_slice vz_snapshot_ordinal_term(const struct vz_snapshot *snap, uint16_t field,
                                         uint32_t ordinal, struct vz_arena *arena)
{
    MDB_txn *txn;
    struct vz_slice term = {0};
    if (vz_reader_begin(snap->gen, &txn, NULL) != VZ_OK)
        return term;
    if (vz_term_of(snap->gen, txn, field, ordinal, &term, NULL) == VZ_OK)
        term = vz_arena_copy(arena, term);
    vz_reader_end(snap->gen, txn);
    return term;
}

enum vz_status vz_snapshot_prefix_ordinals(const struct vz_snapshot *snap, uint16_t field,
                                           struct vz_slice prefix, struct vz_bitset *out,
                                           struct vz_error *err)
{
    MDB_txn *txn;
    enum vz_status status = vz_reader_begin(snap->gen, &txn, err);
    if (status != VZ_OK)
        return status;
    status = vz_terms_of_prefix(snap->gen, txn, field, prefix, out, err);
    vz_reader_end(snap->gen, txn);
    return status;
}

uint32_t vz_snapshot_ordinal_count(const struct vz_snapshot *snap, uint16_t field)
{
    return field < VZ_MAX_FIELDS
               ? atomic_load_explicit(&snap->gen->ordinals[field], memory_order_acquire)
               : 0;
}

/* ---- vectors ------------------------------------------------------------------------------- */

bool vz_snapshot_vectors(const struct vz_snapshot *snap, uint16_t field, struct vz_vector_rows *out)
{
    *out = (struct vz_vector_rows){0};
    const struct vz_rows *rows = vz_generation_rows(snap->gen, field);
    if (!rows)
        return false;
    *out = (struct vz_vector_rows){.element = rows->element,
                                   .dims = rows->dims,
                                   .count = vz_rows_below(rows, snap->watermark),
                                   .stride_bytes = rows->stride,
                                   .base = rows->vectors.base,
                                   .docnos = vz_rows_docnos(rows)};
    return out->count > 0;
}

uint32_t vz_vector_rows_find(const struct vz_vector_rows *rows, uint32_t docno)
{
    size_t at = vz_docnos_lower(rows->docnos, rows->count, docno);
    return at < rows->count && rows->docnos[at] == docno ? (uint32_t)at : rows->count;
}
