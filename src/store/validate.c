/* store/validate.c - does an index hold what docs/format says? For tests and after crashes.
 *
 * Runs on the index's writer between transactions, so nothing moves but graphs, whose locks are
 * taken. Every record, id, tombstone, term, row and column entry is looked at; documents are parsed
 * again and compared with their columns, a sample of them when there are more than FULL_DOCS.
 */
#include "store/index.h"

#include <stdlib.h>

#define FULL_DOCS 50000

struct check {
    struct vz_generation *gen;
    MDB_txn *txn;
    struct vz_mapping *lenient;
    struct vz_arena arena;
    struct vz_error *err;
    uint32_t step; /* every step-th document is parsed again */
    uint32_t rows_seen[VZ_MAX_FIELDS];
    size_t column_at[VZ_MAX_FIELDS]; /* the next entry */
    size_t column_seen[VZ_MAX_FIELDS];
    uint32_t column_docno[VZ_MAX_FIELDS]; /* the document column_at stands in */
};

#define WRONG(check, ...) vz_fail((check)->err, VZ_CORRUPT, __VA_ARGS__)

/* ---- documents, rows, columns -------------------------------------------------------------- */

static enum vz_status check_splices(struct check *check, uint32_t docno,
                                    const struct vz_record *record)
{
    struct vz_slice cut, rest = record->splices;
    struct vz_splice splice;
    unsigned count = 0;
    uint32_t last_end = 0;
    enum vz_status status = vz_record_cut_source(record, &check->arena, &cut, check->err);
    if (status != VZ_OK)
        return status;
    for (; vz_splice_next(&rest, &splice); count++) {
        const struct vz_rows *rows = vz_generation_rows(check->gen, splice.field);
        if (!rows || splice.dims != rows->dims)
            return WRONG(check, "document [%u] has a vector of field [%u], which has no such rows",
                         docno, (unsigned)splice.field);
        if (splice.offset < last_end || splice.offset + 4 > cut.len ||
            memcmp(cut.ptr + splice.offset, "null", 4) != 0)
            return WRONG(check, "document [%u] has no hole for a vector at [%u]", docno,
                         splice.offset);
        last_end = splice.offset + 4;
        if (splice.row != check->rows_seen[splice.field]++ ||
            splice.row >= atomic_load(&rows->count))
            return WRONG(check, "document [%u] has row [%u] of field [%u] out of order", docno,
                         splice.row, (unsigned)splice.field);
        if (vz_rows_docnos(rows)[splice.row] != docno)
            return WRONG(check, "row [%u] of field [%u] belongs to document [%u], not [%u]",
                         splice.row, (unsigned)splice.field, vz_rows_docnos(rows)[splice.row],
                         docno);
    }
    if (rest.len || count != record->splice_count)
        return WRONG(check, "document [%u] has malformed splices", docno);
    return VZ_OK;
}

static bool same_entry(struct check *check, const struct vz_column_file *column, size_t at,
                       const struct vz_typed_value *value)
{
    const char *values = column->values.base;
    struct vz_slice term;
    uint32_t ordinal;
    double geo[2];
    switch (column->kind) {
    case VZ_COLUMN_I64:
        return memcmp(values + at * 8, &value->i64, 8) == 0;
    case VZ_COLUMN_F64:
        return memcmp(values + at * 8, &value->f64, 8) == 0;
    case VZ_COLUMN_GEO:
        memcpy(geo, values + at * 16, 16);
        return geo[0] == value->geo.lat && geo[1] == value->geo.lon;
    case VZ_COLUMN_ORDINAL:
        memcpy(&ordinal, values + at * 4, 4);
        return vz_term_of(check->gen, check->txn, column->field, ordinal, &term, NULL) == VZ_OK &&
               vz_slice_eq(term, value->term);
    case VZ_COLUMN_NONE:
    case VZ_COLUMN_PRESENCE:
        break;
    }
    return true;
}

static enum vz_status check_value(struct check *check, uint32_t docno,
                                  const struct vz_typed_value *value)
{
    const struct vz_column_file *column = atomic_load(&check->gen->columns[value->field]);
    if (!column || column->kind != value->kind)
        return WRONG(check, "field [%u] has no column of its kind", (unsigned)value->field);
    const uint32_t *docnos = (const uint32_t *)(const void *)column->docnos.base;
    size_t count = atomic_load(&column->count);
    if (check->column_docno[value->field] != docno) {
        check->column_docno[value->field] = docno;
        check->column_at[value->field] = vz_docnos_lower(docnos, count, docno);
    }
    size_t at = check->column_at[value->field]++;
    check->column_seen[value->field]++;
    if (at >= count || docnos[at] != docno || !same_entry(check, column, at, value))
        return WRONG(check, "the column of field [%u] does not hold what document [%u] has",
                     (unsigned)value->field, docno);
    return VZ_OK;
}

static enum vz_status check_values(struct check *check, uint32_t docno,
                                   const struct vz_record *record)
{
    struct vz_document doc;
    enum vz_status status =
        vz_generation_reparse(check->lenient, record, &check->arena, &doc, check->err);
    for (size_t i = 0; status == VZ_OK && i < doc.value_count; i++)
        if (doc.values[i].kind != VZ_COLUMN_NONE)
            status = check_value(check, docno, &doc.values[i]);
    for (size_t i = 0; status == VZ_OK && i < doc.value_count; i++) {
        const struct vz_column_file *column =
            atomic_load(&check->gen->columns[doc.values[i].field]);
        size_t at = check->column_at[doc.values[i].field];
        if (column && at < atomic_load(&column->count) &&
            ((const uint32_t *)(const void *)column->docnos.base)[at] == docno)
            return WRONG(check, "the column of field [%u] holds more than document [%u] has",
                         (unsigned)doc.values[i].field, docno);
    }
    return status;
}

static enum vz_status check_doc(struct check *check, uint32_t docno, struct vz_slice bytes)
{
    struct vz_record record;
    vz_arena_reset(&check->arena);
    if (!vz_record_read(bytes, &record))
        return WRONG(check, "document [%u] is no record", docno);
    record.packer = vz_generation_packer(check->gen);
    if (record.prev != VZ_NO_DOC && record.prev >= docno)
        return WRONG(check, "document [%u] replaced the later document [%u]", docno, record.prev);
    if (record.seq_no >= check->gen->state.next_seq)
        return WRONG(check, "document [%u] has the future sequence number [%llu]", docno,
                     (unsigned long long)record.seq_no);
    enum vz_status status = check_splices(check, docno, &record);
    if (status == VZ_OK && docno % check->step == 0)
        status = check_values(check, docno, &record);
    return status;
}

static enum vz_status check_docs(struct check *check)
{
    MDB_cursor *cursor;
    MDB_val key, value;
    uint32_t docs = 0, docno;
    enum vz_status status = VZ_OK;
    if (mdb_cursor_open(check->txn, check->gen->docs_db, &cursor) != 0)
        return WRONG(check, "docs cannot be read");
    for (; status == VZ_OK && mdb_cursor_get(cursor, &key, &value, MDB_NEXT) == 0; docs++) {
        memcpy(&docno, key.mv_data, sizeof docno);
        status = docno == docs
                     ? check_doc(check, docno, (struct vz_slice){value.mv_data, value.mv_size})
                     : WRONG(check, "document [%u] is missing", docs);
    }
    mdb_cursor_close(cursor);
    if (status == VZ_OK && docs != check->gen->state.docs)
        return WRONG(check, "there are [%u] documents, the state says [%u]", docs,
                     check->gen->state.docs);
    return status;
}

static enum vz_status check_ascending(struct check *check, const char *what, size_t field,
                                      const uint32_t *docnos, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if ((i && docnos[i] < docnos[i - 1]) || docnos[i] >= check->gen->state.docs)
            return WRONG(check, "the %s of field [%zu] has document [%u] at [%zu]", what, field,
                         docnos[i], i);
    return VZ_OK;
}

static enum vz_status check_files(struct check *check)
{
    enum vz_status status = VZ_OK;
    for (size_t i = 0; status == VZ_OK && i < VZ_MAX_FIELDS; i++) {
        const struct vz_rows *rows = vz_generation_rows(check->gen, (uint16_t)i);
        const struct vz_column_file *column = atomic_load(&check->gen->columns[i]);
        if (rows) {
            uint32_t count = atomic_load(&rows->count);
            if (check->rows_seen[i] != count)
                return WRONG(check, "field [%zu] has [%u] rows, documents have [%u]", i, count,
                             check->rows_seen[i]);
            status = check_ascending(check, "docno map", i, vz_rows_docnos(rows), count);
        }
        if (status == VZ_OK && column) {
            size_t count = atomic_load(&column->count);
            if (check->step == 1 && check->column_seen[i] != count)
                return WRONG(check,
                             "the column of field [%zu] has [%zu] entries, documents have "
                             "[%zu]",
                             i, count, check->column_seen[i]);
            status = check_ascending(check, "column", i,
                                     (const uint32_t *)(const void *)column->docnos.base, count);
        }
    }
    return status;
}

/* ---- deaths, ids, terms, graphs ------------------------------------------------------------ */

static enum vz_status check_deaths(struct check *check)
{
    MDB_cursor *cursor;
    MDB_val key, value;
    uint32_t bits = 0, dead = 0;
    if (mdb_cursor_open(check->txn, check->gen->tombs_db, &cursor) != 0)
        return WRONG(check, "tombstones cannot be read");
    while (mdb_cursor_get(cursor, &key, &value, MDB_NEXT) == 0)
        for (size_t i = 0; i < value.mv_size; i++)
            bits += (uint32_t)__builtin_popcount(((const unsigned char *)value.mv_data)[i]);
    mdb_cursor_close(cursor);
    for (uint32_t docno = 0; docno < check->gen->state.docs; docno++)
        dead += vz_generation_death(check->gen, docno) != 0;
    if (bits != check->gen->state.dead || dead != bits)
        return WRONG(check, "[%u] tombstones, [%u] deaths, the state says [%u]", bits, dead,
                     check->gen->state.dead);
    return VZ_OK;
}

static enum vz_status check_id(struct check *check, struct vz_slice id,
                               const struct vz_id_entry *entry)
{
    struct vz_record record;
    if (!id.ptr)
        return WRONG(check, "an id is malformed");
    if (entry->docno == VZ_NO_DOC && entry->deleted)
        return VZ_OK;
    if (entry->docno >= check->gen->state.docs)
        return WRONG(check, "id [%.*s] names document [%u]", (int)id.len, id.ptr, entry->docno);
    bool dead = vz_generation_death(check->gen, entry->docno) != 0;
    if (dead != entry->deleted)
        return WRONG(check, "id [%.*s] is %sdeleted, its document [%u] is %s", (int)id.len, id.ptr,
                     entry->deleted ? "" : "not ", entry->docno, dead ? "dead" : "alive");
    enum vz_status status =
        vz_generation_record(check->gen, check->txn, entry->docno, &record, check->err);
    if (status != VZ_OK)
        return status;
    if (!vz_slice_eq(record.id, id) ||
        (!dead && (record.version != entry->version || record.seq_no != entry->seq_no)))
        return WRONG(check, "id [%.*s] and its document [%u] disagree", (int)id.len, id.ptr,
                     entry->docno);
    return VZ_OK;
}

static enum vz_status check_ids(struct check *check)
{
    MDB_cursor *cursor;
    MDB_val key, value;
    uint32_t live = 0, want = check->gen->state.docs - check->gen->state.dead;
    enum vz_status status = VZ_OK;
    if (mdb_cursor_open(check->txn, check->gen->ids_db, &cursor) != 0)
        return WRONG(check, "ids cannot be read");
    while (status == VZ_OK && mdb_cursor_get(cursor, &key, &value, MDB_NEXT) == 0) {
        struct vz_id_entry entry = {0};
        status = check_id(check, vz_id_of_pair(&key, &value, &entry), &entry);
        live += !entry.deleted;
    }
    mdb_cursor_close(cursor);
    if (status == VZ_OK && live != want)
        return WRONG(check, "[%u] ids are alive, [%u] documents are", live, want);
    return status;
}

static enum vz_status check_terms(struct check *check)
{
    MDB_stat terms, ordinals;
    size_t total = 0;
    if (mdb_stat(check->txn, check->gen->terms_db, &terms) != 0 ||
        mdb_stat(check->txn, check->gen->ordinals_db, &ordinals) != 0)
        return WRONG(check, "the dictionary cannot be read");
    for (size_t field = 0; field < VZ_MAX_FIELDS; field++) {
        uint32_t count = atomic_load(&check->gen->ordinals[field]), found;
        struct vz_slice term;
        total += count;
        for (uint32_t ordinal = 0; ordinal < count; ordinal++)
            if (vz_term_of(check->gen, check->txn, (uint16_t)field, ordinal, &term, NULL) !=
                    VZ_OK ||
                vz_term_find(check->gen, check->txn, (uint16_t)field, term, &found, NULL) !=
                    VZ_OK ||
                found != ordinal)
                return WRONG(check, "ordinal [%u] of field [%zu] does not lead back to itself",
                             ordinal, field);
    }
    if (terms.ms_entries != total || ordinals.ms_entries != total)
        return WRONG(check, "[%zu] terms, [%zu] ordinals, the state says [%zu]", terms.ms_entries,
                     ordinals.ms_entries, total);
    return VZ_OK;
}

static enum vz_status check_graphs(struct check *check)
{
    enum vz_status status = VZ_OK;
    for (size_t i = 0; status == VZ_OK && i < VZ_MAX_FIELDS; i++) {
        struct vz_rows *rows = vz_generation_rows(check->gen, (uint16_t)i);
        if (!rows)
            continue;
        pthread_mutex_lock(&rows->graph_lock);
        const struct vz_graph *graphs[] = {rows->graph, rows->growing};
        for (size_t g = 0; g < 2 && status == VZ_OK; g++)
            if (graphs[g] && vz_hnsw_count(graphs[g]->hnsw) > atomic_load(&rows->count))
                status = WRONG(check, "the graph of field [%zu] has [%u] rows of [%u]", i,
                               vz_hnsw_count(graphs[g]->hnsw), atomic_load(&rows->count));
            else if (graphs[g])
                status = vz_hnsw_validate(graphs[g]->hnsw, check->err);
        pthread_mutex_unlock(&rows->graph_lock);
    }
    return status;
}

/* Every segment by its own rules; together they reach as far as documents were published. */
static enum vz_status check_texts(struct check *check)
{
    struct vz_text_index *index = vz_generation_texts(check->gen);
    if (!index)
        return VZ_OK;
    struct vz_text_view *view = vz_text_index_view(index);
    enum vz_status status = VZ_OK;
    uint32_t at = 0;
    for (size_t i = 0; status == VZ_OK && i < vz_text_view_count(view); i++) {
        const struct vz_segment *segment = vz_text_view_segment(view, i);
        if (vz_segment_base(segment) != at)
            status = WRONG(check, "text segment [%zu] starts at [%u], not [%u]", i,
                           vz_segment_base(segment), at);
        at = vz_segment_limit(segment);
        if (status == VZ_OK)
            status = vz_segment_validate(segment, check->err);
    }
    if (status == VZ_OK && at > check->gen->state.docs)
        status = WRONG(check, "texts reach to [%u], documents to [%u]", at, check->gen->state.docs);
    vz_text_view_release(view);
    return status;
}

static enum vz_status check_state(struct check *check)
{
    MDB_val key = {5, (char[]){"state"}}, value;
    struct vz_generation_state state = check->gen->state, there;
    if (mdb_get(check->txn, check->gen->state_db, &key, &value) != 0 ||
        value.mv_size != sizeof state)
        return WRONG(check, "there is no state on disk");
    memcpy(&there, value.mv_data, sizeof there);
    state.format = there.format; /* a checkpoint makes an older one new, on disk first */
    if (memcmp(&there, &state, sizeof state) != 0)
        return WRONG(check, "the state on disk is not the state in memory");
    return VZ_OK;
}

static enum vz_status validate(struct vz_index *index, void *context, struct vz_error *err)
{
    struct check *check = vz_calloc(1, sizeof *check);
    struct vz_mapping *mapping = vz_index_mapping(index);
    check->gen = index->gen;
    check->err = err;
    check->step = check->gen->state.docs / FULL_DOCS + 1;
    check->lenient = vz_mapping_lenient(mapping);
    for (size_t i = 0; i < VZ_MAX_FIELDS; i++)
        check->column_docno[i] = VZ_NO_DOC;
    enum vz_status status = check->lenient
                                ? vz_reader_begin(check->gen, &check->txn, err)
                                : vz_fail(err, VZ_INTERNAL, "no mapping to read documents with");
    if (status == VZ_OK) {
        enum vz_status (*const checks[])(struct check *) = {
            check_state, check_docs,  check_files,  check_deaths,
            check_ids,   check_terms, check_graphs, check_texts,
        };
        for (size_t i = 0; status == VZ_OK && i < VZ_COUNT_OF(checks); i++)
            status = checks[i](check);
        vz_reader_end(check->gen, check->txn);
    }
    if (check->lenient)
        vz_mapping_release(check->lenient);
    vz_mapping_release(mapping);
    vz_arena_deinit(&check->arena);
    free(check);
    return status;
}

enum vz_status vz_index_validate(struct vz_index *index, struct vz_error *err)
{
    struct vz_task task = {.run = validate};
    return vz_writer_run(index, &task, err);
}
