/* store/batch.c - one write transaction of a generation: stage, make durable, publish.
 *
 * The order of a commit, which is the whole of crash safety:
 *   1. vector rows and columns go to their files, past the published counts (vz_generation_flush);
 *   2. vector row files are synced; the folder too, when a file is new;
 *   3. the LMDB transaction commits, with a sync of its own: from here on it happened;
 *   4. counts are published: rows, columns, dictionaries (release stores). Deaths and the watermark
 *      follow under the index's view lock (vz_index_publish in writer.c).
 * A crash before 3 leaves bytes past the counts, which the next open cuts off. An error before 3
 * leaves the counts as they were, and the next transaction writes over those bytes.
 *
 * Invariants:
 *  1. state.docs documents lie in `docs` under 0 .. docs-1.
 *  2. The rows of all documents together are 0 .. count-1 of each vector field, in order of docno.
 *  3. ids holds each id once; an entry not deleted names its one live document.
 *  4. A bit in `tombs` is set for exactly state.dead documents, and never cleared.
 */
#include "base/file.h"
#include "base/strmap.h"
#include "store/index.h"

#include <stdlib.h>

enum vz_status vz_generation_begin(struct vz_generation *gen, struct vz_error *err)
{
    int code = mdb_txn_begin(gen->env, NULL, 0, &gen->txn);
    if (code) {
        gen->txn = NULL;
        return vz_fail_lmdb(err, code, "starting to write");
    }
    gen->staged = gen->state;
    gen->staged.format = VZ_STATE_FORMAT;
    for (size_t i = 0; i < VZ_MAX_FIELDS; i++)
        gen->staged_ordinals[i] = atomic_load_explicit(&gen->ordinals[i], memory_order_relaxed);
    gen->staged_death_count = 0;
    vz_buf_clear(&gen->staged_gone);
    gen->staged_text_count = gen->kept_text_count = 0;
    vz_arena_reset(&gen->arena);
    return VZ_OK;
}

enum vz_status vz_generation_column(struct vz_generation *gen, uint16_t field,
                                    enum vz_column_kind kind, struct vz_column_file **out,
                                    struct vz_error *err)
{
    struct vz_column_file *column =
        atomic_load_explicit(&gen->columns[field], memory_order_relaxed);
    if (!column) {
        enum vz_status status = vz_column_open(gen->dir, field, kind, 0, &column, err);
        if (status != VZ_OK)
            return status;
        gen->new_derived = true;
        atomic_store_explicit(&gen->columns[field], column, memory_order_release);
    }
    *out = column;
    return VZ_OK;
}

enum vz_status vz_generation_add_values(struct vz_generation *gen, const struct vz_mapping *mapping,
                                        uint32_t docno, const struct vz_document *doc,
                                        struct vz_error *err)
{
    enum vz_status status = VZ_OK;
    for (size_t i = 0; status == VZ_OK && i < doc->value_count; i++) {
        const struct vz_typed_value *value = &doc->values[i];
        if (value->kind == VZ_COLUMN_NONE)
            continue;
        struct vz_column_file *column = NULL;
        uint32_t ordinal = 0;
        status = vz_generation_column(gen, value->field, value->kind, &column, err);
        if (status == VZ_OK && value->kind == VZ_COLUMN_ORDINAL)
            status = vz_term_add(gen, value->field, value->term, &ordinal, err);
        if (status == VZ_OK)
            vz_column_add(column, docno, value, ordinal);
    }
    return status;
}

static enum vz_status rows_of(struct vz_generation *gen, const struct vz_field *field,
                              uint32_t dims, struct vz_rows **out, struct vz_error *err)
{
    struct vz_rows *rows = atomic_load_explicit(&gen->rows[field->id], memory_order_relaxed);
    if (!rows) {
        enum vz_status status = vz_rows_open(gen->dir, field, dims, 0, &rows, err);
        if (status != VZ_OK)
            return status;
        gen->new_files = true;
        rows->dead = &gen->dead;
        atomic_store_explicit(&gen->rows[field->id], rows, memory_order_release);
    }
    if (rows->dims != dims)
        return vz_fail(err, VZ_INTERNAL, "field [%.*s] has rows of %u dimensions, not %u",
                       (int)field->path.len, field->path.ptr, rows->dims, dims);
    *out = rows;
    return VZ_OK;
}

/* Assigns rows to the vectors of a document and writes them into its splices. */
static enum vz_status add_vectors(struct vz_generation *gen, const struct vz_mapping *mapping,
                                  const struct vz_document *doc, uint32_t docno, char *splices,
                                  struct vz_error *err)
{
    for (size_t v = 0; v < doc->vector_count; v++) {
        const struct vz_doc_vector *vector = &doc->vectors[v];
        struct vz_rows *rows = NULL;
        uint32_t row;
        enum vz_status status =
            rows_of(gen, vz_mapping_field(mapping, vector->field), vector->dims, &rows, err);
        if (status == VZ_OK)
            status = vz_rows_add(rows, docno, vector->elements, &row, err);
        if (status != VZ_OK)
            return status;
        splices = vz_splice_set_row(splices, row);
    }
    return VZ_OK;
}

enum vz_status vz_generation_add(struct vz_generation *gen, const struct vz_mapping *mapping,
                                 const struct vz_prepared *prepared, struct vz_record *record,
                                 uint32_t *docno_out, struct vz_error *err)
{
    uint32_t docno = gen->staged.docs;
    if (docno >= VZ_MAX_ENTRIES - 1)
        return vz_fail(err, VZ_LIMIT, "an index holds at most %zu documents", VZ_MAX_ENTRIES);
    struct vz_packer *packer = vz_generation_packer(gen);
    struct vz_prepared again;
    if (prepared->shared && prepared->packed_with != vz_packer_serial(packer)) {
        again = *prepared; /* for the generation before this one: repack.c */
        vz_prepared_pack(&again, packer, &gen->arena);
        prepared = &again;
    }
    record->fields = prepared->fields;
    record->splice_count = (uint16_t)prepared->doc.vector_count;
    record->compressed = prepared->compressed;
    record->shared = prepared->shared;
    record->source_len = (uint32_t)prepared->doc.source.len;
    record->splices = prepared->splices;
    record->stored = prepared->stored;
    char *splices = vz_arena_alloc(&gen->arena, record->splices.len + 1);
    if (record->splices.len)
        memcpy(splices, record->splices.ptr, record->splices.len);
    record->splices.ptr = splices;
    enum vz_status status = add_vectors(gen, mapping, &prepared->doc, docno, splices, err);
    if (status == VZ_OK)
        status = vz_generation_add_values(gen, mapping, docno, &prepared->doc, err);
    if (status != VZ_OK)
        return status;
    MDB_val key = {sizeof docno, &docno}, value = {vz_record_bytes(record), NULL};
    int code = mdb_put(gen->txn, gen->docs_db, &key, &value, MDB_APPEND | MDB_RESERVE);
    if (code)
        return vz_fail_lmdb(err, code, "writing a document");
    vz_record_write(record, value.mv_data);
    vz_texts_stage(gen, docno, prepared);
    gen->staged.docs++;
    *docno_out = docno;
    return VZ_OK;
}

enum vz_status vz_generation_kill(struct vz_generation *gen, uint32_t docno, struct vz_error *err)
{
    unsigned char bytes[VZ_TOMB_CHUNK_BYTES] = {0};
    uint32_t chunk = docno / (VZ_TOMB_CHUNK_BYTES * 8), bit = docno % (VZ_TOMB_CHUNK_BYTES * 8);
    MDB_val key = {sizeof chunk, &chunk}, value;
    int code = mdb_get(gen->txn, gen->tombs_db, &key, &value);
    if (code && code != MDB_NOTFOUND)
        return vz_fail_lmdb(err, code, "reading tombstones");
    if (!code && value.mv_size == sizeof bytes)
        memcpy(bytes, value.mv_data, sizeof bytes);
    if (bytes[bit / 8] >> (bit % 8) & 1)
        return vz_fail(err, VZ_CORRUPT, "document number [%u] died twice", docno);
    bytes[bit / 8] |= (unsigned char)(1u << (bit % 8));
    value = (MDB_val){sizeof bytes, bytes};
    code = mdb_put(gen->txn, gen->tombs_db, &key, &value, 0);
    if (code)
        return vz_fail_lmdb(err, code, "writing tombstones");
    if (gen->staged_death_count == gen->staged_death_capacity) {
        gen->staged_death_capacity = VZ_MAX(gen->staged_death_capacity * 2, (size_t)256);
        gen->staged_deaths =
            vz_realloc(gen->staged_deaths, gen->staged_death_capacity * sizeof *gen->staged_deaths);
    }
    gen->staged_deaths[gen->staged_death_count++] = docno;
    gen->staged.dead++;
    return VZ_OK;
}

enum vz_status vz_generation_flush(struct vz_generation *gen, struct vz_error *err)
{
    enum vz_status status = VZ_OK;
    for (size_t i = 0; status == VZ_OK && i < VZ_MAX_FIELDS; i++) {
        struct vz_rows *rows = atomic_load_explicit(&gen->rows[i], memory_order_relaxed);
        struct vz_column_file *column =
            atomic_load_explicit(&gen->columns[i], memory_order_relaxed);
        if (rows)
            status = vz_rows_flush(rows, err);
        if (status == VZ_OK && column)
            status = vz_column_flush(column, err);
    }
    return status;
}

static enum vz_status put_state(struct vz_generation *gen, const char *name, const void *bytes,
                                size_t len, struct vz_error *err)
{
    struct vz_slice text = vz_slice_from(name);
    union {
        const void *from;
        void *to;
    } key_ptr = {.from = text.ptr}, value_ptr = {.from = bytes};
    MDB_val key = {text.len, key_ptr.to}, value = {len, value_ptr.to};
    int code = mdb_put(gen->txn, gen->state_db, &key, &value, 0);
    return code ? vz_fail_lmdb(err, code, "writing the state of an index") : VZ_OK;
}

enum vz_status vz_generation_put_packer(struct vz_generation *gen, const struct vz_packer *packer,
                                        struct vz_error *err)
{
    struct vz_slice bytes = vz_packer_bytes(packer);
    uint64_t hash = vz_hash(bytes, 0);
    enum vz_status status = put_state(gen, "packer", bytes.ptr, bytes.len, err);
    return status == VZ_OK ? put_state(gen, "packer_hash", &hash, sizeof hash, err) : status;
}

/* "rows" and "ordinals" change seldom or little; they are written when they did. */
static enum vz_status put_counts(struct vz_generation *gen, struct vz_error *err)
{
    struct vz_buf rows_state = {0}, ordinals_state = {0};
    bool rows_changed = false, ordinals_changed = false;
    for (size_t i = 0; i < VZ_MAX_FIELDS; i++) {
        struct vz_rows *rows = atomic_load_explicit(&gen->rows[i], memory_order_relaxed);
        if (rows) {
            struct vz_rows_state entry = {.field = (uint16_t)i,
                                          .multi = rows->staged_multi,
                                          .dims = rows->dims,
                                          .count = rows->next};
            rows_changed |= rows->next != atomic_load(&rows->count);
            vz_buf_append(&rows_state, &entry, sizeof entry);
        }
        if (gen->staged_ordinals[i]) {
            struct vz_ordinals_state entry = {(uint32_t)i, gen->staged_ordinals[i]};
            ordinals_changed |= gen->staged_ordinals[i] != atomic_load(&gen->ordinals[i]);
            vz_buf_append(&ordinals_state, &entry, sizeof entry);
        }
    }
    enum vz_status status = put_state(gen, "state", &gen->staged, sizeof gen->staged, err);
    if (status == VZ_OK && rows_changed)
        status = put_state(gen, "rows", rows_state.data, rows_state.len, err);
    if (status == VZ_OK && ordinals_changed)
        status = put_state(gen, "ordinals", ordinals_state.data, ordinals_state.len, err);
    vz_buf_deinit(&rows_state);
    vz_buf_deinit(&ordinals_state);
    return status;
}

static enum vz_status sync_rows(struct vz_generation *gen, struct vz_error *err)
{
    enum vz_status status = VZ_OK;
    for (size_t i = 0; status == VZ_OK && i < VZ_MAX_FIELDS; i++) {
        struct vz_rows *rows = atomic_load_explicit(&gen->rows[i], memory_order_relaxed);
        if (rows)
            status = vz_rows_sync(rows, err);
    }
    if (status == VZ_OK && gen->new_files) {
        status = vz_sync_dir(gen->dir, err);
        gen->new_files = status != VZ_OK;
    }
    return status;
}

static void publish_counts(struct vz_generation *gen)
{
    for (size_t i = 0; i < VZ_MAX_FIELDS; i++) {
        struct vz_rows *rows = atomic_load_explicit(&gen->rows[i], memory_order_relaxed);
        struct vz_column_file *column =
            atomic_load_explicit(&gen->columns[i], memory_order_relaxed);
        if (rows)
            vz_rows_publish(rows);
        if (column)
            vz_column_publish(column);
        if (gen->staged_ordinals[i])
            atomic_store_explicit(&gen->ordinals[i], gen->staged_ordinals[i], memory_order_release);
    }
}

enum vz_status vz_generation_commit(struct vz_generation *gen, struct vz_error *err)
{
    enum vz_status status = vz_generation_flush(gen, err);
    if (status == VZ_OK)
        status = put_counts(gen, err);
    if (status == VZ_OK)
        status = vz_grow_ensure(&gen->dead, (size_t)gen->staged.docs * 4 + 4, err);
    if (status == VZ_OK && gen->durable)
        status = sync_rows(gen, err);
    if (status != VZ_OK) {
        vz_generation_abort(gen);
        return status;
    }
    int code = mdb_txn_commit(gen->txn);
    gen->txn = NULL;
    if (code) {
        status = vz_fail_commit(err, code, gen->dir, "committing");
        vz_generation_abort(gen);
        return status;
    }
    publish_counts(gen); /* the arena stays until the next begin: staged texts are in it */
    return VZ_OK;
}

void vz_generation_abort(struct vz_generation *gen)
{
    if (gen->txn)
        mdb_txn_abort(gen->txn);
    gen->txn = NULL;
    vz_terms_forget(gen); /* ordinals that it gave are given again */
    for (size_t i = 0; i < VZ_MAX_FIELDS; i++) {
        struct vz_rows *rows = atomic_load_explicit(&gen->rows[i], memory_order_relaxed);
        struct vz_column_file *column =
            atomic_load_explicit(&gen->columns[i], memory_order_relaxed);
        if (rows)
            vz_rows_rollback(rows);
        if (column)
            vz_column_rollback(column);
    }
    gen->staged_death_count = 0;
    gen->staged_text_count = gen->kept_text_count = 0;
    vz_arena_reset(&gen->arena);
}

void vz_generation_mark_deaths(struct vz_generation *gen, uint32_t epoch)
{
    uint32_t *dead = (uint32_t *)(void *)gen->dead.base;
    for (size_t i = 0; i < gen->staged_death_count; i++)
        __atomic_store_n(&dead[gen->staged_deaths[i]], epoch, __ATOMIC_RELAXED);
    gen->staged_death_count = 0;
}
