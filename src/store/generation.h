/* store/generation.h - one generation of one index: its files, and the only code that writes them.
 *
 * Private to the store room. A generation is a folder INDEX/GEN/ with truth.mdb (LMDB), a vec.F
 * file a vector field, and derived files (col.F.docs, col.F.vals, doc.F, graph.F). Compaction
 * writes a new generation beside the old one; nothing else ever replaces one.
 *
 * Model: vz_generation_begin opens the one write transaction, _add/_kill/_put_id stage changes in
 * it, _commit makes rows, then truth durable, then publishes counts; _abort forgets everything
 * staged. What is published may be read from any thread without a lock.
 *
 * Threads: begin .. commit, and every field marked "writer", belong to the thread that owns the
 * generation's writing (the index's writer; or the compacting thread before the swap).
 */
#ifndef VZ_STORE_GENERATION_H
#define VZ_STORE_GENERATION_H

#include "base/grow.h"
#include "base/thread.h"
#include "store/document.h"
#include "store/codes.h"
#include "store/packing.h"
#include "store/remembered.h"
#include "store/store.h"
#include "text/batch.h"
#include "vector/cold.h"

#include <assert.h>
#include <lmdb.h>
#include <pthread.h>
#include <stdatomic.h>

#define VZ_NO_DOC UINT32_MAX
/* Rows of one vector field, documents of one generation: what address space is reserved for. */
#define VZ_MAX_ROWS ((uint32_t)1 << 28)
#define VZ_MAX_ENTRIES ((size_t)1 << 29)
#define VZ_MAX_ID_BYTES 512

/* ---- records: how a document lies in `docs` (docs/format/store.md) ------------------------- */

struct vz_record {
    uint32_t prev; /* the docno this one replaced, VZ_NO_DOC when it was the first */
    uint64_t version, seq_no;
    uint16_t fields; /* fields of the mapping it was read with */
    uint16_t splice_count;
    bool compressed;
    bool shared; /* compressed with what the generation's documents share (packing.h) */
    struct vz_packer *packer; /* borrowed of the generation; NULL: it has none */
    uint32_t source_len; /* of the cut source, not compressed */
    struct vz_slice id, splices, stored;
};
/* One cut-out vector. raw_bits: 0 the row gives the floats back, 1 after multiplying by scale, 2 or
 * 4 bits of correction a float after that, 32 the floats themselves. */
struct vz_splice {
    uint32_t offset, row;
    uint16_t field, dims;
    uint8_t raw_bits, form; /* form: enum vz_vector_form */
    double scale;
    const char *raw;
};

size_t vz_record_bytes(const struct vz_record *record);
void vz_record_write(const struct vz_record *record, char *out);
/* False when the bytes are no record. Slices borrow `bytes`. */
bool vz_record_read(struct vz_slice bytes, struct vz_record *record);
/* Packs the splices of a parsed document; rows are 0 until vz_splices_set_row. In the arena. */
struct vz_slice vz_splices_encode(const struct vz_document *doc, struct vz_arena *arena);
/* Iterates; false at the end or on malformed bytes. */
bool vz_splice_next(struct vz_slice *rest, struct vz_splice *splice);
/* Writes the row into the splice that starts at `at`; returns the start of the next one. */
char *vz_splice_set_row(char *at, uint32_t row);
/* The floats as the client gave them, of a row of floats or bfloat16s. */
void vz_splice_floats(const struct vz_splice *splice, enum vz_element element, const void *row,
                      float *out);
/* Appends what stood in the document. */
void vz_splice_print(const struct vz_splice *splice, enum vz_element element, const void *row,
                     struct vz_buf *out);
/* The cut source. VZ_CORRUPT. */
enum vz_status vz_record_cut_source(const struct vz_record *record, struct vz_arena *arena,
                                    struct vz_slice *out, struct vz_error *err);

/* ---- vector rows --------------------------------------------------------------------------- */

/* What a graph is built as; a mapping's change of kind makes another one. */
struct vz_graph_shape {
    uint32_t m, quantize;
    bool flat;
};
/* A graph that searches may hold while another takes its place. */
struct vz_graph {
    struct vz_graph_shape shape;
    struct vz_hnsw *hnsw;
    _Atomic uint32_t references;
    /* Rows of documents that died in this epoch or before are removed from it; 0: not looked for
     * yet. Release by whoever removes, acquire by searches. */
    _Atomic uint32_t clean_epoch;
    uint32_t clean_deaths; /* guarded by graph_lock: deaths there were when it was last cleaned */
};

struct vz_rows {
    /* immutable */
    uint16_t field;
    const struct vz_grow *dead; /* the generation's: the epoch that each document died in */
    uint32_t dims;
    size_t stride; /* bytes, a multiple of 64 */
    enum vz_similarity similarity;
    enum vz_element element;
    struct vz_grow vectors; /* row r at r * stride; truth */
    struct vz_grow docnos;  /* u32 a row, ascending; derived */
    /* published by the writer, release; readers acquire */
    _Atomic uint32_t count;
    _Atomic bool multi; /* some document has several rows */
    /* More rows than half of the memory would hold: they are read here and there, not around. */
    struct vz_cold *cold;
    size_t cold_bytes; /* immutable: from this size of the file on */
    /* writer */
    size_t alone_bytes; /* of the mapping that are told so */
    uint32_t next; /* count + staged */
    uint32_t last_docno;
    bool staged_multi;
    const void **staged; /* [next - flushed] */
    uint32_t *staged_docnos;
    size_t staged_count, staged_capacity;
    bool dirty; /* flushed since the last sync */
    bool docnos_dirty;
    /* whoever inserts, saves or replaces a graph holds graph_lock; graph_lock before swap_lock */
    pthread_mutex_t graph_lock;
    pthread_mutex_t swap_lock; /* for the pointer alone: held for a few instructions */
    struct vz_graph *graph;    /* guarded by swap_lock; NULL: none yet */
    /* Guarded by graph_lock, not searched yet: a graph of new_shape, or the codes of one that will
     * have the links of `graph`. At most one of them. */
    struct vz_graph *growing;
    struct vz_recoding *recoding;
    struct vz_graph_shape new_shape;
    bool growing_failed; /* likewise: for want of room; said once */
    _Atomic size_t growing_bytes;
    bool graph_changed; /* guarded by graph_lock: rows were removed since it was saved */
    uint32_t graph_saved;
    uint32_t graph_tried;      /* rows it had when it was last tried to be saved */
    _Atomic bool graph_failed; /* refused by the budget: the tail is scanned instead */
};

/* rows.c. Absent files are made; vectors past `count` are cut off. */
enum vz_status vz_rows_open(const char *dir, const struct vz_field *field, uint32_t dims,
                            uint32_t count, struct vz_rows **out, struct vz_error *err);
void vz_rows_close(struct vz_rows *rows);
/* dims elements: float, uint16_t (bfloat16), int8_t; bits: (dims + 7) / 8 bytes. */
static inline const void *vz_rows_get(const struct vz_rows *rows, uint32_t row)
{
    return rows->vectors.base + (size_t)row * rows->stride;
}
static inline const uint32_t *vz_rows_docnos(const struct vz_rows *rows)
{
    return (const uint32_t *)(const void *)rows->docnos.base;
}
/* Stages one row; `elements` must live until the flush. */
enum vz_status vz_rows_add(struct vz_rows *rows, uint32_t docno, const void *elements,
                           uint32_t *row, struct vz_error *err);
/* Writes what is staged into the files, not synced; vz_rows_get works for it then. */
enum vz_status vz_rows_flush(struct vz_rows *rows, struct vz_error *err);
enum vz_status vz_rows_sync(struct vz_rows *rows, struct vz_error *err);
void vz_rows_publish(struct vz_rows *rows);
void vz_rows_rollback(struct vz_rows *rows);
/* Rows of documents below `docno`. */
uint32_t vz_rows_below(const struct vz_rows *rows, uint32_t docno);
void vz_rows_space(const struct vz_rows *rows, const struct vz_field *field,
                   struct vz_hnsw_options *out);

/* ---- columns ------------------------------------------------------------------------------- */

struct vz_column_file {
    /* immutable */
    uint16_t field;
    enum vz_column_kind kind;
    size_t width; /* bytes a value; 0 for presence */
    struct vz_grow docnos, values;
    /* published, release; readers acquire */
    _Atomic size_t count;
    struct vz_codes *codes; /* numbers only; has its own lock. Immutable pointer */
    /* writer */
    struct vz_buf staged_docnos, staged_values;
    size_t flushed; /* count + what lies in the files unpublished */
    bool dirty;     /* since the last checkpoint */
};

enum vz_status vz_column_open(const char *dir, uint16_t field, enum vz_column_kind kind,
                              size_t count, struct vz_column_file **out, struct vz_error *err);
void vz_column_close(struct vz_column_file *column);
void vz_column_add(struct vz_column_file *column, uint32_t docno,
                   const struct vz_typed_value *value, uint32_t ordinal);
enum vz_status vz_column_flush(struct vz_column_file *column, struct vz_error *err);
enum vz_status vz_column_sync(struct vz_column_file *column, struct vz_error *err);
void vz_column_publish(struct vz_column_file *column);
void vz_column_rollback(struct vz_column_file *column);
/* Entries of documents below `docno`. */
size_t vz_column_below(const struct vz_column_file *column, uint32_t docno);
/* First position in an ascending list whose docno is >= the one given. */
size_t vz_docnos_lower(const uint32_t *docnos, size_t count, uint32_t docno);

/* ---- texts --------------------------------------------------------------------------------- */

/* The tokens of one value of a text field. */
struct vz_field_tokens {
    uint16_t field;
    uint8_t flags; /* enum vz_text_flags */
    uint32_t gap;
    struct vz_tokens tokens; /* items and texts live in an arena or borrow the document's source */
};
/* Of one document that was added in the open transaction. */
struct vz_staged_tokens {
    uint32_t docno;
    const struct vz_field_tokens *fields;
    size_t count;
    const struct vz_text_batch *batch; /* NULL, or where its tokens are instead, as document `doc` */
    uint32_t doc;
};

/* ---- a generation -------------------------------------------------------------------------- */

/* 2: splices may be of other elements than floats, and of strings. 3: records may be compressed with
 * what `state`/"packer" holds. What 1 and 2 wrote is opened; the next commit makes it 3. */
#define VZ_STATE_FORMAT 3
struct vz_generation_state { /* `state`/"state" as it lies on disk */
    uint32_t format;
    uint32_t docs;     /* docnos 0 .. docs-1 exist */
    uint64_t next_seq; /* the next sequence number */
    uint32_t dead;     /* tombstones */
    uint32_t reserved;
};

struct vz_rows_state { /* an entry of `state`/"rows" */
    uint16_t field, multi;
    uint32_t dims, count, reserved;
};
struct vz_ordinals_state { /* an entry of `state`/"ordinals" */
    uint32_t field, count;
};
struct vz_id_state { /* a value of `ids`; the whole id follows when the key does not hold it */
    uint32_t docno, deleted;
    uint64_t version, seq_no;
};
#define VZ_TOMB_CHUNK_BYTES 1024

struct vz_id_entry {
    uint32_t docno; /* VZ_NO_DOC: deleted, and its document is gone */
    bool deleted;
    uint64_t version, seq_no;
};

struct vz_generation {
    /* immutable */
    _Atomic uint32_t references;
    uint64_t number;
    char *dir;
    MDB_env *env;
    MDB_dbi docs_db, ids_db, tombs_db, terms_db, ordinals_db, state_db;
    _Atomic bool condemned; /* the folder goes with the last reference */
    bool durable;           /* false while compaction fills it: one sync at the end */

    /* read transactions at rest; guarded by reader_lock */
    pthread_mutex_t reader_lock;
    pthread_cond_t reader_free;
    MDB_txn *readers[64];
    unsigned readers_idle, readers_out;

    /* published */
    struct vz_grow dead; /* u32 a docno: 0 alive, else the epoch it died in */
    _Atomic(struct vz_rows *) rows[VZ_MAX_FIELDS];
    _Atomic(struct vz_column_file *) columns[VZ_MAX_FIELDS];
    _Atomic uint32_t ordinals[VZ_MAX_FIELDS]; /* dictionary sizes */
    struct vz_generation_state state;         /* committed; writer, others under view_lock */

    /* writer */
    MDB_txn *txn;
    struct vz_generation_state staged;
    uint32_t staged_ordinals[VZ_MAX_FIELDS];
    uint32_t *staged_deaths;
    size_t staged_death_count, staged_death_capacity;
    /* Ids of this transaction that are remembered as deleted without a document that died: a length
     * of size_t and the bytes, one behind the other. */
    struct vz_buf staged_gone;
    struct vz_arena arena; /* until commit or abort */
    bool new_files;        /* a row file was made: sync the folder before commit */
    bool new_derived;
    uint32_t columns_synced; /* documents below it are in synced columns */
    struct vz_staged_tokens *staged_texts;
    size_t staged_text_count, staged_text_capacity;
    size_t kept_text_count; /* of them, copied into the arena */
    struct met_term *met_terms; /* dictionary.c: terms met lately and their ordinals */

    /* Postings of text fields: derived, made when the first document has a text. text_lock is held
     * while documents are added to them together with publishing `state`, and while they are
     * published to views: so a view's postings reach exactly to its watermark. text_work_lock: one
     * merges or writes at a time. */
    pthread_mutex_t text_work_lock, text_lock;
    _Atomic(struct vz_text_index *) texts;

    struct vz_remembered remembered; /* has its own lock */
    _Atomic size_t codes_bytes;      /* of all columns' codes */

    /* Owned; set once, when `state`/"packer" is durable. Release by the writer, acquire by all. */
    _Atomic(struct vz_packer *) packer;
};

/* Creates GEN (an empty folder) or opens it. `mapping` says what the row files hold. Opening cuts
 * rows past the committed count and replays documents that the columns' checkpoint lacks. */
enum vz_status vz_generation_create(const char *dir, uint64_t number, struct vz_generation **out,
                                    struct vz_error *err);
enum vz_status vz_generation_open(const char *dir, uint64_t number,
                                  const struct vz_mapping *mapping, struct vz_generation **out,
                                  struct vz_error *err);
struct vz_generation *vz_generation_acquire(struct vz_generation *gen);
void vz_generation_release(struct vz_generation *gen);

/* A read transaction of the newest commit; give it back with vz_reader_end. */
enum vz_status vz_reader_begin(struct vz_generation *gen, MDB_txn **txn, struct vz_error *err);
void vz_reader_end(struct vz_generation *gen, MDB_txn *txn);
/* mdb_env_open with its lock file allocated first: LMDB writes to that file through a mapping, and
 * a hole in it on a full disk would be a SIGBUS. */
enum vz_status vz_lmdb_open(MDB_env *env, const char *path, unsigned flags, unsigned readers,
                            struct vz_error *err);
/* LMDB's codes to ours. `what` says what was being done. */
enum vz_status vz_fail_lmdb(struct vz_error *err, int code, const char *what);
/* The same for a commit to a file in `dir`, which knows a full disk when it sees one. */
enum vz_status vz_fail_commit(struct vz_error *err, int code, const char *dir, const char *what);

enum vz_status vz_generation_begin(struct vz_generation *gen, struct vz_error *err);
/* What a request thread makes of a document before the writer sees it. */
struct vz_prepared {
    struct vz_document doc;
    struct vz_slice splices, stored;
    const struct vz_field_tokens *texts;
    size_t text_count;
    const struct vz_text_batch *batch; /* borrowed: holds the tokens instead of `texts`; or NULL */
    uint32_t batch_doc;
    bool compressed, shared;
    uint64_t packed_with; /* serial of the packer, when shared */
    uint16_t fields;
};
/* Appends a document: record, rows, columns, terms. A source packed with what is not this
 * generation's packer is packed again. The floats of prepared->doc must live until
 * the commit. record: id, version, seq_no, prev. */
enum vz_status vz_generation_add(struct vz_generation *gen, const struct vz_mapping *mapping,
                                 const struct vz_prepared *prepared, struct vz_record *record,
                                 uint32_t *docno, struct vz_error *err);
/* Columns and terms of a document only (recovery). */
enum vz_status vz_generation_add_values(struct vz_generation *gen, const struct vz_mapping *mapping,
                                        uint32_t docno, const struct vz_document *doc,
                                        struct vz_error *err);
enum vz_status vz_generation_kill(struct vz_generation *gen, uint32_t docno, struct vz_error *err);
/* VZ_NOT_FOUND when the id was never seen (err untouched). txn: gen->txn or a reader. */
enum vz_status vz_generation_get_id(struct vz_generation *gen, MDB_txn *txn, struct vz_slice id,
                                    struct vz_id_entry *entry, struct vz_error *err);
enum vz_status vz_generation_put_id(struct vz_generation *gen, struct vz_slice id,
                                    const struct vz_id_entry *entry, struct vz_error *err);
/* Both in one step, for an id that is most likely new: puts `fresh` (not deleted) where there is no
 * entry, and says so in *claimed; else *there is the entry, or VZ_NOT_FOUND (err untouched): look
 * and put yourself. */
enum vz_status vz_generation_claim_id(struct vz_generation *gen, struct vz_slice id,
                                      const struct vz_id_entry *fresh, struct vz_id_entry *there,
                                      bool *claimed, struct vz_error *err);
/* The id of an `ids` pair. */
struct vz_slice vz_id_of_pair(const MDB_val *key, const MDB_val *value, struct vz_id_entry *entry);
/* Rows and columns into the files, so that reads see what was staged. */
enum vz_status vz_generation_flush(struct vz_generation *gen, struct vz_error *err);
/* Durable (when gen->durable), then published but for the deaths, which the caller marks, and the
 * texts, which the caller adds. On an error everything staged is forgotten, as by _abort. */
enum vz_status vz_generation_commit(struct vz_generation *gen, struct vz_error *err);
void vz_generation_abort(struct vz_generation *gen);
/* After a commit: marks its deaths with `epoch` and forgets them. */
void vz_generation_mark_deaths(struct vz_generation *gen, uint32_t epoch);
/* Syncs columns and docno maps, then notes how far they reach. Own transaction. */
enum vz_status vz_generation_checkpoint(struct vz_generation *gen, struct vz_error *err);

/* Reads a record; slices borrow the transaction. VZ_NOT_FOUND, VZ_CORRUPT. */
enum vz_status vz_generation_record(struct vz_generation *gen, MDB_txn *txn, uint32_t docno,
                                    struct vz_record *record, struct vz_error *err);
/* recover.c: brings columns and docno maps up to the committed documents after an open. */
enum vz_status vz_generation_recover(struct vz_generation *gen, const struct vz_mapping *mapping,
                                     struct vz_error *err);
/* The column of a field, made when absent. Writer. */
enum vz_status vz_generation_column(struct vz_generation *gen, uint16_t field,
                                    enum vz_column_kind kind, struct vz_column_file **out,
                                    struct vz_error *err);
static inline struct vz_packer *vz_generation_packer(const struct vz_generation *gen)
{
    return atomic_load_explicit(&gen->packer, memory_order_acquire);
}
/* repack.c. Makes a packer of documents below `docs` that live; NULL: it would not be worth it. */
struct vz_packer *vz_generation_train(struct vz_generation *gen, uint32_t docs);
/* Puts `state`/"packer" into the open transaction. Writer. */
enum vz_status vz_generation_put_packer(struct vz_generation *gen, const struct vz_packer *packer,
                                        struct vz_error *err);
/* Copies a record's parts into the arena. */
enum vz_status vz_generation_doc(struct vz_generation *gen, MDB_txn *txn, uint32_t docno,
                                 enum vz_doc_parts parts, struct vz_arena *arena,
                                 struct vz_stored_doc *doc, struct vz_error *err);
/* Reads a stored document's values again, as its columns must hold them: the parse of the cut
 * source and the presence of its vectors, without fields younger than the document. */
enum vz_status vz_generation_reparse(const struct vz_mapping *lenient,
                                     const struct vz_record *record, struct vz_arena *arena,
                                     struct vz_document *doc, struct vz_error *err);

static inline uint32_t vz_generation_death(const struct vz_generation *gen, uint32_t docno)
{
    const uint32_t *dead = (const uint32_t *)(const void *)gen->dead.base;
    return __atomic_load_n(&dead[docno], __ATOMIC_RELAXED);
}
static inline struct vz_rows *vz_generation_rows(const struct vz_generation *gen, uint16_t field)
{
    return field < VZ_MAX_FIELDS ? atomic_load_explicit(&gen->rows[field], memory_order_acquire)
                                 : NULL;
}

/* texts.c */
/* Analyses the texts of a parsed document. `strict`: a term that is too long is the document's
 * fault; else it is left out. Errors: VZ_BAD_DOCUMENT, VZ_LIMIT. */
enum vz_status vz_texts_analyze(const struct vz_mapping *mapping, const struct vz_document *doc,
                                bool strict, struct vz_tokens *scratch, struct vz_arena *arena,
                                const struct vz_field_tokens **out, size_t *count,
                                struct vz_error *err);
/* The same into a batch, as its document `doc`. */
enum vz_status vz_texts_gather(const struct vz_mapping *mapping, const struct vz_document *parsed,
                               struct vz_tokens *scratch, struct vz_arena *arena,
                               struct vz_text_batch *batch, uint32_t doc, struct vz_error *err);
/* Notes a document's tokens until the commit. They must live until then, or be kept. Writer. */
void vz_texts_stage(struct vz_generation *gen, uint32_t docno, const struct vz_prepared *prepared);
/* Copies what is staged, so that the requests' memory may go. Writer. */
void vz_texts_keep(struct vz_generation *gen);
/* After a commit: adds what was staged. text_lock held, unless nobody else knows the generation.
 * Failures are logged: the documents cannot be found by their texts until the next open. */
void vz_texts_add_staged(struct vz_generation *gen);
/* Views of the generation may now show documents below `docs`. text_lock as above. */
struct vz_text_view *vz_texts_publish(struct vz_generation *gen, uint32_t docs);
/* Opens the postings and adds the documents that they lack. */
enum vz_status vz_texts_open(struct vz_generation *gen, const struct vz_mapping *mapping,
                             struct vz_error *err);
/* Everything published into files, in place. text_work_lock held, or the last reference. */
void vz_texts_save(struct vz_generation *gen);
void vz_texts_close(struct vz_generation *gen);
static inline struct vz_text_index *vz_generation_texts(struct vz_generation *gen)
{
    return atomic_load_explicit(&gen->texts, memory_order_acquire);
}

/* dictionary.c */
/* Sets the bits of the ordinals below out->bits whose terms begin with `prefix`. */
struct vz_bitset;
enum vz_status vz_terms_of_prefix(struct vz_generation *gen, MDB_txn *txn, uint16_t field,
                                  struct vz_slice prefix, struct vz_bitset *out,
                                  struct vz_error *err);
enum vz_status vz_term_find(struct vz_generation *gen, MDB_txn *txn, uint16_t field,
                            struct vz_slice term, uint32_t *ordinal, struct vz_error *err);
enum vz_status vz_term_add(struct vz_generation *gen, uint16_t field, struct vz_slice term,
                           uint32_t *ordinal, struct vz_error *err);
/* What vz_term_add remembers: the transaction was given up, or nothing is written for a while. */
void vz_terms_forget(struct vz_generation *gen);
enum vz_status vz_term_of(struct vz_generation *gen, MDB_txn *txn, uint16_t field, uint32_t ordinal,
                          struct vz_slice *term, struct vz_error *err);
/* An LMDB key for bytes of any length: short ones as they are, long ones by prefix and hash, with
 * `probe` told apart. Returns the key's length; out[511]. */
size_t vz_long_key(const char *prefix, size_t prefix_len, struct vz_slice bytes, unsigned probe,
                   char *out);
bool vz_key_is_long(struct vz_slice bytes);

/* memory.c: what one more vector of a field takes. */
struct vz_row_cost {
    size_t row_bytes;          /* on disk */
    size_t resident_row_bytes; /* of these, what walks read: all, or nothing of quantized kinds */
    size_t code_bytes, link_bytes, docno_bytes;
};
struct vz_row_cost vz_row_cost(const struct vz_field *field);
size_t vz_row_cost_memory(const struct vz_row_cost *cost);

/* graph.c: a generation's graphs. */
/* A reference to the graph to search, or NULL; any thread. Release it when the search is over. */
struct vz_graph *vz_graph_acquire(struct vz_rows *rows);
void vz_graph_release(struct vz_graph *graph);
/* Whether a field of this mapping has a graph (or codes) at all: not `flat` without codes. */
bool vz_graph_wanted(const struct vz_field *field);
/* Is there a graph of a shape that the field does not ask for any more? */
bool vz_graph_is_old(struct vz_rows *rows, const struct vz_field *field);
/* How an insertion works: up to `rows` rows, with helpers of a pool; a graph of another kind is not
 * begun unless there is `room_bytes` of memory for it. */
struct vz_graph_work {
    uint32_t rows;
    struct vz_pool *pool;
    unsigned helpers;
    size_t room_bytes;
};
/* *left says whether more rows wait. Holds graph_lock for a while. */
enum vz_status vz_graph_insert_some(struct vz_rows *rows, const struct vz_field *field,
                                    const struct vz_graph_work *work, bool *left,
                                    struct vz_error *err);
/* Removes the rows of documents that died in epoch `oldest` or before, which no view sees any more,
 * and repairs what linked to them when they are many, or with `now`. `deaths`: how many there are,
 * to see at once that nothing is new. Blocks for a repair; `cancelled` is asked often. */
enum vz_status vz_graph_tidy(struct vz_rows *rows, uint32_t oldest, uint32_t deaths, bool now,
                             bool (*cancelled)(void *context), void *context,
                             struct vz_error *err);
enum vz_status vz_graph_save(const char *dir, struct vz_rows *rows, struct vz_error *err);
/* Opens the checkpoint if there is a fitting one; without one the graph is built anew. */
void vz_graph_open(const char *dir, struct vz_rows *rows, const struct vz_field *field);

/* How much address space to reserve for a file (NULL: for memory) beside `dir`: at most `cap`. */
size_t vz_reserve_bytes(const char *dir, const char *file, size_t cap);

#endif
