/* store/recover.c - derived data after an open: columns and row-to-document maps.
 *
 * Columns are not synced with every commit. Now and then the writer syncs them and notes in
 * `state`/"columns" how far they reach (docs, and entries of each file). On open:
 *
 *   checkpoint reaches all documents  -> the files are taken as they are; nothing is read
 *   checkpoint reaches document d     -> files are cut to d, documents d.. are read again
 *   no checkpoint, or a file too short -> everything is read again from document 0
 *
 * A document is read again by parsing its cut source; vectors were cut out, so what their presence
 * columns hold comes from the splices. Fields younger than the document (added by a later put
 * mapping) are left out, as they were when it was written.
 *
 * Invariants:
 *  1. "columns" is written only after every file named in it was synced.
 *  2. checkpoint.docs <= state.docs, unless a power loss undid commits that were not synced
 *     (durability async): then the files are cut to state.docs by their docnos.
 */
#include "base/file.h"
#include "base/log.h"
#include "store/generation.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#define REPLAY_BATCH 20000
#define ROWS_KIND 255

struct checkpoint_head {
    uint32_t docs, count;
};
struct checkpoint_entry {
    uint16_t field;
    uint8_t kind; /* enum vz_column_kind, or ROWS_KIND: the docno map of a vector field */
    uint8_t zero;
    uint32_t reserved;
    uint64_t entries;
};

/* ---- reading a document's values again ----------------------------------------------------- */

struct vz_mapping *vz_mapping_lenient(const struct vz_mapping *mapping)
{
    struct vz_json_doc *doc;
    struct vz_json root;
    struct vz_mapping *lenient = NULL;
    if (vz_json_parse(VZ_SLICE("{\"dynamic\":\"false\"}"), &doc, &root, NULL) == VZ_OK) {
        if (vz_mapping_merge(mapping, root, &lenient, NULL) != VZ_OK)
            lenient = NULL;
        vz_json_free(doc);
    }
    return lenient;
}

static bool is_present_vector(const struct vz_mapping *mapping, uint16_t id)
{
    if (id >= vz_mapping_count(mapping))
        return false;
    const struct vz_field *field = vz_mapping_field(mapping, id);
    return field->column == VZ_COLUMN_PRESENCE && !field->under_nested;
}

enum vz_status vz_generation_reparse(const struct vz_mapping *lenient,
                                     const struct vz_record *record, struct vz_arena *arena,
                                     struct vz_document *doc, struct vz_error *err)
{
    struct vz_slice cut;
    enum vz_status status = vz_record_cut_source(record, arena, &cut, err);
    if (status == VZ_OK)
        status = vz_document_parse(lenient, record->id, cut, arena, doc, err);
    if (status != VZ_OK)
        return status;
    struct vz_typed_value *values =
        vz_arena_alloc(arena, (doc->value_count + record->splice_count + 1) * sizeof *values);
    size_t count = 0;
    for (size_t i = 0; i < doc->value_count; i++)
        if (doc->values[i].field < record->fields)
            values[count++] = doc->values[i];
    struct vz_slice rest = record->splices;
    struct vz_splice splice;
    while (vz_splice_next(&rest, &splice))
        if (is_present_vector(lenient, splice.field))
            values[count++] = (struct vz_typed_value){splice.field, VZ_COLUMN_PRESENCE, {0}};
    struct vz_doc_text *texts = vz_arena_alloc(arena, (doc->text_count + 1) * sizeof *texts);
    size_t text_count = 0;
    for (size_t i = 0; i < doc->text_count; i++)
        if (doc->texts[i].field < record->fields)
            texts[text_count++] = doc->texts[i];
    doc->texts = texts;
    doc->text_count = text_count;
    doc->values = values;
    doc->value_count = count;
    doc->source = cut;
    doc->new_fields = (struct vz_slice){0};
    return VZ_OK;
}

/* ---- the checkpoint ------------------------------------------------------------------------ */

static enum vz_status sync_derived(struct vz_generation *gen, struct vz_error *err)
{
    enum vz_status status = VZ_OK;
    for (size_t i = 0; status == VZ_OK && i < VZ_MAX_FIELDS; i++) {
        struct vz_rows *rows = atomic_load_explicit(&gen->rows[i], memory_order_relaxed);
        struct vz_column_file *column =
            atomic_load_explicit(&gen->columns[i], memory_order_relaxed);
        if (rows && rows->docnos_dirty) {
            if (fdatasync(rows->docnos.fd) != 0)
                return vz_fail_errno(err, errno, "cannot sync the map of field [%zu]", i);
            rows->docnos_dirty = false;
        }
        if (column)
            status = vz_column_sync(column, err);
    }
    if (status == VZ_OK && (gen->new_derived || gen->new_files)) {
        status = vz_sync_dir(gen->dir, err);
        if (status == VZ_OK)
            gen->new_derived = false;
    }
    return status;
}

static void describe_derived(struct vz_generation *gen, struct vz_buf *out)
{
    struct checkpoint_head head = {.docs = gen->state.docs};
    vz_buf_append(out, &head, sizeof head);
    for (size_t i = 0; i < VZ_MAX_FIELDS; i++) {
        struct vz_rows *rows = atomic_load_explicit(&gen->rows[i], memory_order_relaxed);
        struct vz_column_file *column =
            atomic_load_explicit(&gen->columns[i], memory_order_relaxed);
        struct checkpoint_entry entry = {.field = (uint16_t)i};
        if (rows) {
            entry.kind = ROWS_KIND;
            entry.entries = atomic_load(&rows->count);
            vz_buf_append(out, &entry, sizeof entry);
            head.count++;
        }
        if (column) {
            entry.kind = (uint8_t)column->kind;
            entry.entries = atomic_load(&column->count);
            vz_buf_append(out, &entry, sizeof entry);
            head.count++;
        }
    }
    memcpy(out->data, &head, sizeof head);
}

enum vz_status vz_generation_checkpoint(struct vz_generation *gen, struct vz_error *err)
{
    if (gen->columns_synced == gen->state.docs)
        return VZ_OK;
    enum vz_status status = sync_derived(gen, err);
    if (status != VZ_OK)
        return status;
    struct vz_buf blob = {0};
    describe_derived(gen, &blob);
    status = vz_generation_begin(gen, err);
    if (status == VZ_OK) {
        MDB_val key = {7, (char[]){"columns"}}, value = {blob.len, blob.data};
        int code = mdb_put(gen->txn, gen->state_db, &key, &value, 0);
        if (code) {
            status = vz_fail_lmdb(err, code, "writing the columns' checkpoint");
            vz_generation_abort(gen);
        } else {
            status = vz_generation_commit(gen, err);
        }
    }
    if (status == VZ_OK)
        gen->columns_synced = gen->state.docs;
    vz_buf_deinit(&blob);
    return status;
}

/* ---- opening ------------------------------------------------------------------------------- */

static enum vz_status open_entry(struct vz_generation *gen, const struct checkpoint_entry *entry,
                                 struct vz_error *err)
{
    if (entry->field >= VZ_MAX_FIELDS)
        return vz_fail(err, VZ_CORRUPT, "a column of field [%u]", (unsigned)entry->field);
    if (entry->kind == ROWS_KIND) {
        struct vz_rows *rows = vz_generation_rows(gen, entry->field);
        if (!rows || rows->docnos.size_bytes < entry->entries * 4)
            return vz_fail(err, VZ_CORRUPT, "the map of field [%u] is short",
                           (unsigned)entry->field);
        return VZ_OK;
    }
    struct vz_column_file *column;
    enum vz_status status = vz_column_open(gen->dir, entry->field, (enum vz_column_kind)entry->kind,
                                           (size_t)entry->entries, &column, err);
    if (status == VZ_OK)
        atomic_store(&gen->columns[entry->field], column);
    return status;
}

/* Forgets the columns opened so far: they will be made anew from document 0. */
static void drop_columns(struct vz_generation *gen)
{
    for (size_t i = 0; i < VZ_MAX_FIELDS; i++) {
        vz_column_close(atomic_load(&gen->columns[i]));
        atomic_store(&gen->columns[i], NULL);
    }
}

/* Opens what the checkpoint names; *docs is how far it reaches. */
static enum vz_status open_checkpoint(struct vz_generation *gen, struct vz_slice blob,
                                      uint32_t *docs, struct vz_error *err)
{
    struct checkpoint_head head;
    struct checkpoint_entry entry;
    *docs = 0;
    if (blob.len < sizeof head)
        return VZ_OK;
    memcpy(&head, blob.ptr, sizeof head);
    if (blob.len != sizeof head + head.count * sizeof entry)
        return vz_fail(err, VZ_CORRUPT, "the columns' checkpoint is malformed");
    for (uint32_t i = 0; i < head.count; i++) {
        memcpy(&entry, blob.ptr + sizeof head + i * sizeof entry, sizeof entry);
        enum vz_status status = open_entry(gen, &entry, err);
        if (status != VZ_OK)
            return status;
    }
    *docs = head.docs;
    return VZ_OK;
}

/* After commits were undone by a power loss (invariant 2). */
static void cut_columns(struct vz_generation *gen, uint32_t docs)
{
    for (size_t i = 0; i < VZ_MAX_FIELDS; i++) {
        struct vz_column_file *column = atomic_load(&gen->columns[i]);
        if (!column)
            continue;
        column->flushed = vz_column_below(column, docs);
        atomic_store(&column->count, column->flushed);
    }
}

/* A docno map being rewritten: rows come in order, a page of them is written at a time. */
struct map_writer {
    uint32_t first;
    struct vz_buf docnos;
};

static enum vz_status write_map(struct vz_rows *rows, struct map_writer *map, struct vz_error *err)
{
    size_t at = (size_t)map->first * 4, done = 0;
    enum vz_status status = vz_grow_ensure(&rows->docnos, at + map->docnos.len, err);
    while (status == VZ_OK && done < map->docnos.len) {
        ssize_t wrote = pwrite(rows->docnos.fd, map->docnos.data + done, map->docnos.len - done,
                               (off_t)(at + done));
        if (wrote >= 0)
            done += (size_t)wrote;
        else if (errno != EINTR)
            status = vz_fail_errno(err, errno, "cannot write a docno map");
    }
    rows->docnos_dirty = true;
    map->first += (uint32_t)(map->docnos.len / 4);
    vz_buf_clear(&map->docnos);
    return status;
}

struct replay {
    struct vz_generation *gen;
    struct vz_mapping *lenient;
    struct vz_arena arena;
    struct map_writer maps[VZ_MAX_FIELDS];
};

static enum vz_status replay_rows(struct replay *replay, const struct vz_record *record,
                                  uint32_t docno, struct vz_error *err)
{
    struct vz_slice rest = record->splices;
    struct vz_splice splice;
    enum vz_status status = VZ_OK;
    while (status == VZ_OK && vz_splice_next(&rest, &splice)) {
        struct vz_rows *rows = vz_generation_rows(replay->gen, splice.field);
        if (!rows || splice.row >= atomic_load(&rows->count))
            return vz_fail(err, VZ_CORRUPT,
                           "document [%.*s] has vector row [%u], which is not there",
                           (int)record->id.len, record->id.ptr, splice.row);
        struct map_writer *map = &replay->maps[splice.field];
        if (map->docnos.len == 0)
            map->first = splice.row;
        if (splice.row != map->first + map->docnos.len / 4)
            return vz_fail(err, VZ_CORRUPT, "vector rows of field [%u] are not in order",
                           (unsigned)splice.field);
        vz_buf_append(&map->docnos, &docno, sizeof docno);
        if (map->docnos.len >= 64 << 10)
            status = write_map(rows, map, err);
    }
    return status;
}

static enum vz_status replay_doc(struct replay *replay, uint32_t docno, struct vz_error *err)
{
    struct vz_record record;
    struct vz_document doc;
    vz_arena_reset(&replay->arena);
    enum vz_status status =
        vz_generation_record(replay->gen, replay->gen->txn, docno, &record, err);
    if (status == VZ_OK)
        status = replay_rows(replay, &record, docno, err);
    if (status != VZ_OK)
        return status;
    struct vz_error why = {0};
    if (vz_generation_reparse(replay->lenient, &record, &replay->arena, &doc, &why) != VZ_OK) {
        /* A mapping made stricter since: the document stays, unsearchable by its fields. */
        vz_log(VZ_LOG_WARN, "store", "document [%.*s] cannot be read again: %s", (int)record.id.len,
               record.id.ptr, why.text);
        return VZ_OK;
    }
    return vz_generation_add_values(replay->gen, replay->lenient, docno, &doc, err);
}

static enum vz_status replay_range(struct replay *replay, uint32_t first, uint32_t last,
                                   struct vz_error *err)
{
    enum vz_status status = vz_generation_begin(replay->gen, err);
    if (status != VZ_OK)
        return status;
    for (uint32_t docno = first; status == VZ_OK && docno < last; docno++)
        status = replay_doc(replay, docno, err);
    for (size_t i = 0; status == VZ_OK && i < VZ_MAX_FIELDS; i++)
        if (replay->maps[i].docnos.len)
            status = write_map(vz_generation_rows(replay->gen, (uint16_t)i), &replay->maps[i], err);
    if (status != VZ_OK) {
        vz_generation_abort(replay->gen);
        return status;
    }
    return vz_generation_commit(replay->gen, err);
}

enum vz_status vz_generation_recover(struct vz_generation *gen, const struct vz_mapping *mapping,
                                     struct vz_error *err)
{
    MDB_txn *txn;
    enum vz_status status = vz_reader_begin(gen, &txn, err);
    if (status != VZ_OK)
        return status;
    MDB_val key = {7, (char[]){"columns"}}, value = {0, NULL};
    int code = mdb_get(txn, gen->state_db, &key, &value);
    struct vz_slice blob = {value.mv_data, code ? 0 : value.mv_size};
    struct vz_error why = {0};
    uint32_t from = 0;
    if (open_checkpoint(gen, blob, &from, &why) != VZ_OK) {
        vz_log(VZ_LOG_WARN, "store", "%s: columns are made anew: %s", gen->dir, why.text);
        drop_columns(gen);
        from = 0;
    }
    vz_reader_end(gen, txn);
    if (from > gen->state.docs) {
        cut_columns(gen, gen->state.docs);
        from = gen->state.docs;
        gen->columns_synced = VZ_NO_DOC;
    } else {
        gen->columns_synced = from;
    }
    if (from == gen->state.docs && gen->columns_synced == from)
        return VZ_OK;
    struct replay *replay = vz_calloc(1, sizeof *replay);
    replay->gen = gen;
    replay->lenient = vz_mapping_lenient(mapping);
    if (!replay->lenient)
        status = vz_fail(err, VZ_INTERNAL, "no lenient mapping to read documents with");
    for (uint32_t at = from; status == VZ_OK && at < gen->state.docs; at += REPLAY_BATCH)
        status = replay_range(replay, at, VZ_MIN(gen->state.docs, at + REPLAY_BATCH), err);
    for (size_t i = 0; i < VZ_MAX_FIELDS; i++)
        vz_buf_deinit(&replay->maps[i].docnos);
    if (replay->lenient)
        vz_mapping_release(replay->lenient);
    vz_arena_deinit(&replay->arena);
    free(replay);
    return status == VZ_OK ? vz_generation_checkpoint(gen, err) : status;
}
