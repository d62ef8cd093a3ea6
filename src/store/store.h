/* store/store.h - indices on disk: documents, columns, vector rows, commit, recovery, snapshots.
 *
 * A store is a data folder, held by one process at a time. In it live indices by name, aliases,
 * and each index's settings and mapping. Not for: queries (src/query), HTTP words (src/rest).
 *
 * The model. A document never changes in place. Each accepted write gets the next docno (u32); an
 * update is a new docno and a tombstone for the old one. Truth is in LMDB and in vector row files;
 * rows are synced before the LMDB commit that makes them visible. Columns and graphs are derived
 * and rebuilt from truth for what a crash lost. A reader takes a snapshot (watermark, epoch) and
 * sees exactly the documents refreshed by then, for as long as it holds it. Get by id is real-time.
 *
 * Threads: everything here may be called from any thread. One writer thread per index commits
 * groups of waiting requests; one background thread per store inserts into graphs, refreshes,
 * checkpoints. Readers take no locks that a commit holds.
 * Lifetime: an acquired index or snapshot stays valid until released, also when deleted meanwhile.
 *
 *     vz_store_open("data", &(struct vz_store_options){0}, &store, &err);
 *     vz_store_create_index(store, VZ_SLICE("dogs"), body, &err);
 *     index = vz_store_index(store, VZ_SLICE("dogs"));
 *     vz_index_write(index, &op, 1, &(struct vz_write_options){.refresh = VZ_REFRESH_TRUE}, &err);
 *     snap = vz_index_snapshot(index); ...; vz_snapshot_release(snap); vz_index_release(index);
 */
#ifndef VZ_STORE_STORE_H
#define VZ_STORE_STORE_H

#include "base/bitset.h"
#include "store/mapping.h"
#include "vector/hnsw.h"

/* ---- the store ---------------------------------------------------------------------------- */

struct vz_store;
struct vz_index;

struct vz_store_options {
    bool create;              /* make the folder when absent */
    const char *owner_url;    /* written to the lock file: where the holder can be reached; or NULL */
    size_t max_memory_bytes;  /* 0: half of the machine's */
    unsigned graph_threads;   /* 0: cores - 1, at least 1 */
};

/* Errors: VZ_BUSY (another process holds it; its url, if any, is what vz_store_holder gives),
 * VZ_READ_ONLY, VZ_IO, VZ_CORRUPT, VZ_DISK_FULL, VZ_NOT_FOUND. */
enum vz_status vz_store_open(const char *path, const struct vz_store_options *options,
                             struct vz_store **out, struct vz_error *err);
/* Waits for writers, checkpoints, unlocks. */
void vz_store_close(struct vz_store *store);
/* Who holds the folder now: true and its URL ("" when it serves none) when somebody does. */
bool vz_store_holder(const char *path, struct vz_buf *url);
/* A server that learns its port after open. */
enum vz_status vz_store_set_url(struct vz_store *store, const char *url, struct vz_error *err);
/* The data folder. */
const char *vz_store_path(const struct vz_store *store);
const char *vz_store_cluster_uuid(const struct vz_store *store);

/* `body` is the create-index body: {"settings", "mappings", "aliases"} or a missing value. Errors:
 * VZ_EXISTS, VZ_BAD_NAME (Elasticsearch's rules and words: lower case, none of
 * \ / * ? " < > | , # : or space, not starting with - _ +, not . or .., at most 255 bytes), VZ_BAD_MAPPING, VZ_DISK_FULL ... */
enum vz_status vz_store_create_index(struct vz_store *store, struct vz_slice name,
                                     struct vz_json body, struct vz_error *err);
/* Closed: refuses reads and writes (VZ_CLOSED), takes no memory, keeps its files, over restarts too.
 * What read it before goes on to. Closing and opening what is so already is VZ_OK. VZ_NO_INDEX. */
enum vz_status vz_store_close_index(struct vz_store *store, struct vz_slice name,
                                    struct vz_error *err);
enum vz_status vz_store_open_index(struct vz_store *store, struct vz_slice name,
                                   struct vz_error *err);
/* A closed index, as vz_store_index gives one, has a name, a uuid, settings, a mapping, statistics of
 * its files, and nothing else: no snapshot may be taken of it. */
bool vz_index_is_closed(const struct vz_index *index);
struct vz_copy_options {
    struct vz_json settings, aliases; /* the target's beside the source's settings; or missing */
    int64_t shards;                   /* number_of_shards as the target's settings say it */
};
/* Copies a source that blocks writes into a new index: the same documents, versions and sequence
 * numbers, files of its own. Blocks; writes into the target's folder only. VZ_INTERNAL (the source
 * does not block writes), VZ_BAD_MAPPING, VZ_EXISTS, VZ_BAD_NAME, VZ_DISK_FULL ... */
enum vz_status vz_store_copy_index(struct vz_store *store, struct vz_index *source,
                                   struct vz_slice target, const struct vz_copy_options *options,
                                   struct vz_error *err);
/* VZ_NO_INDEX when absent. Snapshots already taken stay valid; files go when the last is released. */
enum vz_status vz_store_delete_index(struct vz_store *store, struct vz_slice name,
                                     struct vz_error *err);
/* A reference by index name (not alias), or NULL. */
struct vz_index *vz_store_index(struct vz_store *store, struct vz_slice name);
struct vz_index *vz_index_acquire(struct vz_index *index);
void vz_index_release(struct vz_index *index);

/* All index names, sorted; copied into the arena. */
size_t vz_store_names(struct vz_store *store, struct vz_arena *arena, struct vz_slice **names);

struct vz_listed {
    struct vz_slice name;
    char uuid[24];
    bool closed, hidden;
};
/* The same with what wildcards look at. */
size_t vz_store_list(struct vz_store *store, struct vz_arena *arena, struct vz_listed **list);

/* One alias of one index. Strings as text of JSON values; empty when absent. */
struct vz_alias {
    struct vz_slice name, index;
    struct vz_slice filter;         /* JSON query or empty */
    struct vz_slice index_routing, search_routing;
    bool has_write_index, is_write_index, is_hidden;
};
/* All aliases, sorted by name then index; copied into the arena. */
size_t vz_store_aliases(struct vz_store *store, struct vz_arena *arena, struct vz_alias **aliases);
enum vz_alias_verb { VZ_ALIAS_ADD, VZ_ALIAS_REMOVE, VZ_ALIAS_REMOVE_INDEX };
struct vz_alias_action {
    enum vz_alias_verb verb;
    struct vz_alias alias;
    bool must_exist;
};
/* All or nothing, durable. */
enum vz_status vz_store_update_aliases(struct vz_store *store, const struct vz_alias_action *actions,
                                       size_t count, struct vz_error *err);

/* Small documents of other rooms (pipelines, keys, templates): a durable string map by kind. */
enum vz_status vz_store_put_blob(struct vz_store *store, struct vz_slice kind, struct vz_slice name,
                                 struct vz_slice value, struct vz_error *err);
bool vz_store_get_blob(struct vz_store *store, struct vz_slice kind, struct vz_slice name,
                       struct vz_buf *value);
enum vz_status vz_store_delete_blob(struct vz_store *store, struct vz_slice kind,
                                    struct vz_slice name, struct vz_error *err);
/* The names of all blobs of a kind, sorted by their bytes; copied into the arena. 0 when the
 * registry cannot be read. */
size_t vz_store_blob_names(struct vz_store *store, struct vz_slice kind, struct vz_arena *arena,
                           struct vz_slice **names);

/* ---- an index ----------------------------------------------------------------------------- */

struct vz_slice vz_index_name(const struct vz_index *index);
const char *vz_index_uuid(const struct vz_index *index);
int64_t vz_index_created_ms(const struct vz_index *index);
/* A reference; release with vz_mapping_release. */
struct vz_mapping *vz_index_mapping(struct vz_index *index);
enum vz_status vz_index_put_mapping(struct vz_index *index, struct vz_json body,
                                    struct vz_error *err);
/* The settings as nested JSON {"index": {...}}, strings as Elasticsearch prints them, with
 * creation_date, uuid, provided_name, version.created, number_of_shards, number_of_replicas. */
void vz_index_print_settings(struct vz_index *index, struct vz_buf *out);
/* Dynamic settings: refresh_interval, number_of_replicas, max_result_window,
 * translog.durability (request|async), blocks.write ...; of a closed index static ones too.
 * VZ_BAD_MAPPING for unknown or final ones. `preserve`: those that are set stay. */
enum vz_status vz_index_change_settings(struct vz_index *index, struct vz_json body, bool preserve,
                                        struct vz_error *err);
/* Without `preserve`. */
enum vz_status vz_index_put_settings(struct vz_index *index, struct vz_json body,
                                     struct vz_error *err);
/* What index.blocks.* forbid. */
enum vz_block_level { VZ_BLOCK_READ, VZ_BLOCK_WRITE, VZ_BLOCK_METADATA_READ, VZ_BLOCK_METADATA_WRITE,
                      VZ_BLOCK_DELETE };
/* VZ_READ_ONLY in Elasticsearch's words when a block of the index forbids it. */
enum vz_status vz_index_check_block(struct vz_index *index, enum vz_block_level level,
                                    struct vz_error *err);
uint32_t vz_index_max_result_window(struct vz_index *index);
uint32_t vz_index_max_inner_result_window(struct vz_index *index); /* of inner_hits, top_hits */
/* index.highlight.max_analyzed_offset, in UTF-16 units. */
uint32_t vz_index_max_analyzed_offset(struct vz_index *index);

struct vz_index_stats {
    uint64_t docs, deleted;          /* as of the last refresh */
    uint64_t docs_written;           /* committed, maybe not refreshed */
    uint64_t max_seq_no;             /* ~0 when none */
    uint64_t disk_bytes, vector_bytes, graph_bytes, column_bytes, memory_bytes;
    uint64_t rows, rows_in_graph;    /* over all vector fields */
    uint64_t text_bytes, text_segments; /* postings of text fields */
    uint64_t index_total, index_failed, delete_total, get_total, search_total, refresh_total,
        commit_total, compaction_total;
    uint64_t index_time_ns, search_time_ns;
};
void vz_index_stats(struct vz_index *index, struct vz_index_stats *stats);
/* What the vectors of one field take. */
struct vz_vector_stats {
    struct vz_slice path;
    uint64_t rows, rows_in_graph, removed; /* removed: dead rows that the graph still has */
    uint64_t row_bytes;                    /* on disk, mapped */
    uint64_t code_bytes;                   /* quantized copy */
    uint64_t link_bytes;
    uint64_t docno_bytes, fixed_bytes;
    uint64_t growing_bytes; /* a graph of another kind that takes this one's place */
    uint64_t memory_bytes;  /* what the budget counts */
    uint32_t quantize;      /* enum vz_quantize */
    bool old_kind;          /* the graph is of the kind before the last change of the mapping */
    const struct vz_field *field; /* the store's own; NULL */
};
/* Bytes of files, in blocks of the disk, by what they hold. */
enum vz_usage_part { VZ_USAGE_DOCUMENTS, VZ_USAGE_TEXTS, VZ_USAGE_DOC_VALUES, VZ_USAGE_VECTORS };
#define VZ_USAGE_PARTS 4
struct vz_usage {
    struct vz_slice path; /* of a field; empty: of all together */
    uint64_t bytes[VZ_USAGE_PARTS];
};
/* Of an open index, in the arena; how many. */
size_t vz_index_usage(struct vz_index *index, struct vz_arena *arena, struct vz_usage **usage);
/* Rises by one with each rewrite (vz_index_compact). */
uint64_t vz_index_generation_number(struct vz_index *index);
/* Of every vector field with rows, in the arena; how many. */
size_t vz_index_vector_stats(struct vz_index *index, struct vz_arena *arena,
                             struct vz_vector_stats **stats);
/* Appends what a float vector takes of memory in each kind of index: "hnsw 2193, int8_hnsw ..." */
void vz_vector_memory_statement(uint32_t dims, struct vz_buf *out);
/* For the query room: one search done. */
void vz_index_note_search(struct vz_index *index, uint64_t time_ns);

/* ---- writing ------------------------------------------------------------------------------ */

enum vz_write_verb { VZ_WRITE_INDEX, VZ_WRITE_CREATE, VZ_WRITE_UPDATE, VZ_WRITE_DELETE };
enum vz_write_result {
    VZ_RESULT_CREATED, VZ_RESULT_UPDATED, VZ_RESULT_DELETED, VZ_RESULT_NOT_FOUND, VZ_RESULT_NOOP
};

struct vz_write {
    enum vz_write_verb verb;
    struct vz_slice id;       /* empty: one is made (index, create) and put into the arena */
    struct vz_slice source;   /* INDEX, CREATE: the document. UPDATE: the update body
                               * ({"doc", "upsert", "doc_as_upsert", "detect_noop"}) */
    bool has_if_seq_no;
    uint64_t if_seq_no, if_primary_term;
    bool has_version;         /* external versions */
    bool version_gte;         /* external_gte */
    uint64_t version;
    unsigned retry_on_conflict; /* UPDATE */

    /* Filled for every operation: */
    enum vz_status status;
    struct vz_error error;     /* when status is not VZ_OK */
    enum vz_write_result result;
    uint64_t out_version, out_seq_no;
};

enum vz_refresh { VZ_REFRESH_NONE, VZ_REFRESH_TRUE, VZ_REFRESH_WAIT_FOR };

struct vz_write_options {
    enum vz_refresh refresh;
    struct vz_arena *arena;   /* for made ids; required when an id is empty */
    /* What vz_mapping_semantics was when the documents' texts were given to models, or NULL: one
     * that the mapping of now would have more of fails alone with VZ_BUSY, and may be sent again.
     */
    const uint64_t *semantics;
};

/* Does all operations in order, each with its own outcome in the struct; returns when what
 * succeeded is durable (or handed to the OS with durability async) and, as asked, refreshed. The
 * return value is VZ_OK also when single operations failed; otherwise nothing of the whole group
 * was written: VZ_DISK_FULL, VZ_READ_ONLY, VZ_IO, VZ_NO_INDEX (deleted meanwhile), VZ_BUDGET.
 * Later operations see earlier ones of the same call. Single errors: VZ_CONFLICT ("[1]: version
 * conflict, required seqNo [3], primary term [1]. current document has seqNo [5] and primary term
 * [1]", "[1]: version conflict, document already exists (current version [1])"), VZ_NOT_FOUND
 * (update of a missing document: "[1]: document missing"), VZ_BAD_JSON, VZ_BAD_DOCUMENT, ... */
enum vz_status vz_index_write(struct vz_index *index, struct vz_write *ops, size_t count,
                              const struct vz_write_options *options, struct vz_error *err);

/* Makes everything committed visible to new snapshots. Blocks until it is. */
enum vz_status vz_index_refresh(struct vz_index *index, struct vz_error *err);
/* Waits until all visible rows are in the graphs and checkpoints them (tests, benches,
 * _forcemerge). */
enum vz_status vz_index_settle(struct vz_index *index, struct vz_error *err);
/* Rewrites without tombstones into a new generation and swaps it in; writes go on meanwhile. */
enum vz_status vz_index_compact(struct vz_index *index, struct vz_error *err);
/* Checks every invariant of docs/format and of the graphs against truth. For tests. */
enum vz_status vz_index_validate(struct vz_index *index, struct vz_error *err);

/* ---- reading ------------------------------------------------------------------------------ */

struct vz_stored_doc {
    struct vz_slice id;
    struct vz_slice source;  /* full text, vectors in place; or the cut one, see below */
    uint64_t version, seq_no;
};
enum vz_doc_parts {
    VZ_DOC_META = 0,        /* id, version, seq_no */
    VZ_DOC_CUT_SOURCE = 1,  /* source with `null` for each indexed vector: cheap */
    VZ_DOC_SOURCE = 2,      /* source as given, vectors printed from their rows */
    VZ_DOC_ROW_SOURCE = 3,  /* source with the number of its row for each indexed vector */
    VZ_DOC_WHOLE_SOURCE = 4 /* with VZ_INFERENCE_FIELDS, which the others leave out */
};
/* Real-time: also what is committed and not yet refreshed. Texts go to the arena. VZ_NOT_FOUND. */
enum vz_status vz_index_get(struct vz_index *index, struct vz_slice id, enum vz_doc_parts parts,
                            struct vz_arena *arena, struct vz_stored_doc *doc,
                            struct vz_error *err);

/* A frozen view. */
struct vz_snapshot;
/* A store within the snapshot's, for indices derived from its documents: empty when first asked for,
 * gone with the store. What `make` makes then is kept beside it and dropped first. VZ_IO ... */
struct vz_scratch_owner {
    void *(*make)(void);
    void (*drop)(void *owned);
};
enum vz_status vz_snapshot_scratch(const struct vz_snapshot *snap,
                                   const struct vz_scratch_owner *owner, struct vz_store **scratch,
                                   void **owned, struct vz_error *err);
/* The index's fields use these analyzers from now on, compiled of other settings than its own: for an
 * index in such a store. Takes a reference. VZ_BAD_MAPPING, with the old ones staying. */
struct vz_analysis;
enum vz_status vz_index_adopt_analysis(struct vz_index *index, struct vz_analysis *analysis,
                                       struct vz_error *err);
/* Docnos mean the same in all snapshots of one generation of an index. */
uint64_t vz_snapshot_generation(const struct vz_snapshot *snap);
struct vz_snapshot *vz_index_snapshot(struct vz_index *index);
/* One more reference to the same view. */
struct vz_snapshot *vz_snapshot_acquire(struct vz_snapshot *snap);
void vz_snapshot_release(struct vz_snapshot *snap);
struct vz_index *vz_snapshot_index(const struct vz_snapshot *snap);
const struct vz_mapping *vz_snapshot_mapping(const struct vz_snapshot *snap);

/* docnos are 0 .. limit-1; some are dead. */
uint32_t vz_snapshot_doc_limit(const struct vz_snapshot *snap);
uint32_t vz_snapshot_doc_count(const struct vz_snapshot *snap); /* live ones */
bool vz_snapshot_live(const struct vz_snapshot *snap, uint32_t docno);
/* Inits *bits to doc_limit bits with the live ones set. */
void vz_snapshot_live_bits(const struct vz_snapshot *snap, struct vz_bitset *bits);
/* VZ_NOT_FOUND for an id without a live document in this view. */
enum vz_status vz_snapshot_find(const struct vz_snapshot *snap, struct vz_slice id, uint32_t *docno,
                                struct vz_error *err);
enum vz_status vz_snapshot_doc(const struct vz_snapshot *snap, uint32_t docno,
                               enum vz_doc_parts parts, struct vz_arena *arena,
                               struct vz_stored_doc *doc, struct vz_error *err);
/* The same for a dead one, too: it stays until a compaction. `docno` is below the limit. */
enum vz_status vz_snapshot_any_doc(const struct vz_snapshot *snap, uint32_t docno,
                                   enum vz_doc_parts parts, struct vz_arena *arena,
                                   struct vz_stored_doc *doc, struct vz_error *err);

/* A field's values: entry i belongs to document docnos[i]; ascending by docno, several entries for
 * several values, none for absent ones. Dead documents' entries are still there. Valid while the
 * snapshot is held. `i64` etc. is chosen by `kind`; PRESENCE has docnos only. */
struct vz_column {
    enum vz_column_kind kind;
    size_t count;
    const uint32_t *docnos;
    union {
        const int64_t *i64;
        const double *f64;
        const uint32_t *ordinals;
        const struct vz_geo { double lat, lon; } *geo;
    };
};
void vz_snapshot_column(const struct vz_snapshot *snap, uint16_t field, struct vz_column *column);
/* The first entry of `docno` in the column, or column->count. */
size_t vz_column_find(const struct vz_column *column, uint32_t docno);

/* A condition on a column, for remembering what it matched (store/remembered.h). `kind` is the
 * caller's, not 0; low and high what makes it different from others of the kind. */
struct vz_filter_key {
    uint16_t field, kind;
    int64_t low, high;
};
/* Sets the bits (all zero, as many as the snapshot has documents) of documents that are known to
 * match, dead ones among them. Documents below the result are answered, the others not. */
uint32_t vz_snapshot_recall(const struct vz_snapshot *snap, const struct vz_filter_key *key,
                            struct vz_bitset *bits);
/* Keeps a whole answer, when the condition is asked a second time. Copies the bits. */
void vz_snapshot_remember(const struct vz_snapshot *snap, const struct vz_filter_key *key,
                          const struct vz_bitset *bits);

/* Live documents of a column, and the distinct values of each summed up: what BM25 of a keyword asks
 * for. Documents below `docno` are counted. */
struct vz_column_totals {
    uint32_t docno;
    uint64_t docs, values;
};
/* What is known for this snapshot: no document below totals->docno has died since it was counted.
 * All zero when nothing is. */
void vz_snapshot_recall_totals(const struct vz_snapshot *snap, uint16_t field,
                               struct vz_column_totals *totals);
/* Keeps the totals of the whole column in this snapshot. */
void vz_snapshot_remember_totals(const struct vz_snapshot *snap, uint16_t field, uint64_t docs,
                                 uint64_t values);

/* The postings of text fields, of exactly the documents below the limit, dead ones included; NULL
 * when no document has a text. Valid while the snapshot is held. */
struct vz_text_view;
const struct vz_text_view *vz_snapshot_texts(const struct vz_snapshot *snap);

/* The dictionary of a keyword field (ordinals are in order of first appearance, not sorted). */
bool vz_snapshot_term_ordinal(const struct vz_snapshot *snap, uint16_t field, struct vz_slice term,
                              uint32_t *ordinal);
/* The text of an ordinal, in the arena. */
struct vz_slice vz_snapshot_ordinal_term(const struct vz_snapshot *snap, uint16_t field,
                                         uint32_t ordinal, struct vz_arena *arena);
/* Sets the bits of the ordinals below out->bits whose terms begin with `prefix`; costs what these are,
 * not what the dictionary is. VZ_IO, VZ_CORRUPT. */
struct vz_bitset;
enum vz_status vz_snapshot_prefix_ordinals(const struct vz_snapshot *snap, uint16_t field,
                                           struct vz_slice prefix, struct vz_bitset *out,
                                           struct vz_error *err);
/* Ordinals 0 .. n-1 exist. */
uint32_t vz_snapshot_ordinal_count(const struct vz_snapshot *snap, uint16_t field);

/* The rows of a dense_vector field as they lie: row r, of docnos[r] (ascending; several rows of one
 * document in a nested field), at base + r * stride_bytes. Floats and bfloat16s of cosine fields are
 * of unit length there. Valid while the snapshot is held; dead documents' rows are still there. */
struct vz_vector_rows {
    enum vz_element element;
    uint32_t dims, count;
    size_t stride_bytes;
    const char *base;
    const uint32_t *docnos;
};
/* False (and zeroed) when the field has no rows. */
bool vz_snapshot_vectors(const struct vz_snapshot *snap, uint16_t field,
                         struct vz_vector_rows *rows);
/* The floats of a row as the client gave them, also where cosine keeps them at unit length: `dims` of
 * them into out. Reads the document's record, so about a microsecond. Fields of floats and bfloat16s
 * only. VZ_NOT_FOUND for a row that is not there. */
enum vz_status vz_snapshot_vector(const struct vz_snapshot *snap, uint16_t field, uint32_t row,
                                  float *out, struct vz_error *err);
/* The first row of a document, or rows->count. */
uint32_t vz_vector_rows_find(const struct vz_vector_rows *rows, uint32_t docno);

/* A vector found. similarity: larger is nearer, see vector/distance.h. */
struct vz_knn_hit {
    uint32_t docno, row;
    float similarity;
};
struct vz_knn {
    const struct vz_field *field;
    union {                    /* by field->element */
        const float *query;    /* float, bfloat16: dims floats as given; made unit length here for
                                * cosine */
        const int8_t *query_bytes;
        const uint8_t *query_bits;
    };
    uint32_t k;
    /* How wide the walk is; raised to k. 0: as wide as recall@10 of 0.95 takes on 100,000 rows. */
    uint32_t num_candidates;
    float oversample; /* of quantized kinds: at least k times it candidates; 0: none */
    const struct vz_bitset *filter; /* documents that may be returned; NULL: all live ones */
    /* Or only some of their rows: asked about rows whose documents pass. NULL: all. Called from the
     * searching thread, several times for a row perhaps, always with the same answer. */
    bool (*accept_row)(void *context, uint32_t docno, uint32_t row);
    void *accept_context;
    bool has_min_similarity;
    float min_similarity;      /* in vz_knn_hit's terms */
    bool exact;                /* scan everything: ground truth */
    bool (*cancelled)(void *context);
    void *cancelled_context;
};
struct vz_knn_report {
    uint64_t visited;          /* similarities computed */
    bool scanned;              /* all rows that may be returned were compared */
};
/* Up to k distinct documents, the best row of each, nearest first, ties by smaller docno, into
 * hits[k]. Graph and tail merged; few matches are scanned; k are found when k exist. Errors:
 * VZ_BAD_ARGUMENT ("the query vector has a different dimension [3] than the index vectors [512]";
 * the caller checks the length through field->dims), VZ_CANCELLED. */
enum vz_status vz_snapshot_knn(const struct vz_snapshot *snap, const struct vz_knn *knn,
                               struct vz_knn_hit *hits, uint32_t *found,
                               struct vz_knn_report *report, struct vz_error *err);
/* The similarity of each of a few rows (ascending, distinct) to knn's query, nearest first, into
 * near[count]; the filters and k are not looked at. */
enum vz_status vz_snapshot_similarities(const struct vz_snapshot *snap, const struct vz_knn *knn,
                                        const uint32_t *rows, size_t count, struct vz_near *near,
                                        struct vz_error *err);

#endif
