/* store/index.h - what the store room's files share about a store, an index and its writer.
 *
 * Private to the room. Lock order (outer first): store->lock, index->compact_lock,
 * index->mapping_lock, index->queue_lock, a generation's text_work_lock and
 * text_lock, index->view_lock, then other locks inside a generation. No
 * lock but mapping_lock and compact_lock is held across a commit; view_lock is held for
 * microseconds.
 */
#ifndef VZ_STORE_INDEX_H
#define VZ_STORE_INDEX_H

#include "base/strmap.h"
#include "store/generation.h"

/* ---- settings ------------------------------------------------------------------------------ */

struct vz_setting {
    char *key;   /* "index.refresh_interval" */
    char *value; /* text of a JSON value; scalars are strings */
};
struct vz_settings {
    struct vz_setting *list; /* sorted by key */
    size_t count;
    /* read from the list */
    int64_t refresh_interval_ms; /* -1: only when asked */
    uint32_t max_result_window, max_inner_result_window;
    uint32_t max_analyzed_offset; /* of highlighting, UTF-16 units */
    int64_t sync_interval_ms; /* with async: acknowledged is durable at latest after this */
    bool async;
    bool block_write, block_read_only, block_delete, block_read, block_metadata;
    bool hidden;
};

/* What they say about the mapping. check: out of range or unknown is an error (VZ_BAD_MAPPING,
 * VZ_UNSUPPORTED); without it nothing fails. mapping_rules.c. */
enum vz_status vz_settings_mapping_rules(const struct vz_settings *settings, bool check,
                                         struct vz_mapping_rules *rules, struct vz_error *err);

void vz_settings_init(struct vz_settings *settings);
void vz_settings_deinit(struct vz_settings *settings);
void vz_settings_copy(struct vz_settings *to, const struct vz_settings *from);
/* Reads a settings body (nested, dotted, with or without "index."). creating: static settings are
 * welcome; otherwise they are refused with Elasticsearch's words (`index` is "name/uuid"). On an
 * error *settings is unchanged. */
enum vz_status vz_settings_merge(struct vz_settings *settings, struct vz_json body, bool creating,
                                 const char *index, struct vz_error *err);
/* creating: as above. closed: static ones are welcome, final ones are not. preserve: what is set
 * stays. */
struct vz_settings_change {
    bool creating, closed, preserve;
    const char *index;
};
enum vz_status vz_settings_change(struct vz_settings *settings, struct vz_json body,
                                  const struct vz_settings_change *how, struct vz_error *err);
/* A flat object of the list, for disk, and back. */
void vz_settings_save(const struct vz_settings *settings, struct vz_buf *out);
/* value NULL removes; `value` is the text of a JSON value. Nothing is checked or read. */
void vz_settings_set(struct vz_settings *settings, const char *key, const char *value);
/* A pattern's trailing '*' stands for anything. */
bool vz_setting_matches(const char *pattern, const char *key);
/* Every value of nested objects with its dotted key, until one fails; lists are values. */
typedef enum vz_status vz_setting_leaf(void *context, const char *key, struct vz_json value);
enum vz_status vz_settings_walk(const char *path, struct vz_json object, vz_setting_leaf *leaf,
                                void *context);
/* Nested by the dots of the keys. */
void vz_settings_print_nested(const struct vz_settings *settings, struct vz_buf *out);
enum vz_status vz_settings_load(struct vz_settings *settings, struct vz_json flat,
                                struct vz_error *err);
/* {"index": {...}} with the extra keys merged in. */
void vz_settings_print(const struct vz_settings *settings, const struct vz_setting *extra,
                       size_t extra_count, struct vz_buf *out);

/* The analyzers of `index.analysis`, compiled. Errors as vz_analysis_new. One reference. */
enum vz_status vz_settings_analysis(struct vz_store *store, const struct vz_settings *settings,
                                    struct vz_analysis **out, struct vz_error *err);

/* *mapping becomes one whose fields name the analyzers of these settings (openclose.c). Errors,
 * with *mapping as it was: an analyzer that cannot be made, or is not there any more. Takes long.
 */
enum vz_status vz_settings_reload_mapping(struct vz_store *store,
                                          const struct vz_settings *settings,
                                          struct vz_mapping **mapping, struct vz_error *err);

/* ---- a view, which is a snapshot ----------------------------------------------------------- */

struct vz_snapshot { /* immutable but for the references */
    _Atomic uint32_t references;
    struct vz_index *index;
    struct vz_generation *gen;
    struct vz_mapping *mapping;
    struct vz_text_view *texts; /* of documents below the watermark; NULL: none has any */
    uint32_t watermark, epoch, live;
    uint64_t commit_number; /* commits up to this one are visible */
    /* guarded by the index's views_lock */
    struct vz_snapshot *before, *after;
};

/* ---- the writer's queue -------------------------------------------------------------------- */

/* What a request thread hands to the writer: a group of operations, or a function to run between
 * transactions. Lives on the stack of the waiting thread. */
struct vz_task {
    struct vz_task *next;
    enum vz_status (*run)(struct vz_index *index, void *context, struct vz_error *err);
    void *context;
    struct vz_write *ops;
    struct vz_prepared *prepared;
    size_t count;
    struct vz_text_batch *batch; /* NULL, or of all that is prepared */
    const uint64_t *semantics;   /* of struct vz_write_options */
    enum vz_status status;
    struct vz_error err;
    uint64_t commit_number;
    bool done;
    pthread_cond_t finished;
};

struct vz_counters {
    _Atomic uint64_t index_total, index_failed, delete_total, get_total, search_total,
        refresh_total, commit_total, compaction_total, index_time_ns, search_time_ns;
};

/* ---- an index ------------------------------------------------------------------------------ */

struct vz_index {
    /* immutable */
    struct vz_store *store;
    char *name, *dir;
    char uuid[24];
    int64_t created_ms;

    _Atomic uint32_t references;
    _Atomic bool deleted;
    _Atomic bool closed;       /* set under mapping_lock; a shell is born so */
    uint64_t shell_generation; /* of a shell: the number of the one on disk; `gen`, `view` are NULL */

    pthread_mutex_t mapping_lock; /* one change of the mapping or settings at a time */

    pthread_mutex_t view_lock;
    pthread_cond_t refreshed;
    /* guarded by view_lock */
    struct vz_generation *gen;
    struct vz_mapping *mapping;
    struct vz_snapshot *view;
    struct vz_settings settings;
    uint64_t commit_number;
    uint64_t lost_commit; /* the newest number whose operations async lost; 0: none */
    bool deaths_pending;
    uint64_t dirty_since_ns; /* 0: nothing to refresh */

    pthread_mutex_t views_lock; /* innermost: nothing is locked while it is held */
    struct vz_snapshot *views;  /* all that live, guarded by it */

    pthread_mutex_t queue_lock;
    pthread_cond_t queue_cond;
    /* guarded by queue_lock */
    struct vz_task *queue_head, *queue_tail;
    bool writer_running, writer_joinable, writer_stop;
    pthread_t writer;

    pthread_mutex_t compact_lock; /* one compaction at a time */
    _Atomic bool compact_cancel;
    uint64_t compact_after_ns; /* the graph thread's: not by itself before this */
    /* the writer's: documents that died while a compaction copies */
    bool log_deaths;
    uint32_t *death_log;
    size_t death_log_count, death_log_capacity;
    struct vz_buf gone_log; /* ids deleted meanwhile that had no document, see staged_gone */
    uint64_t checkpoint_due_ns;
    uint64_t commit_due_ns; /* 0: no transaction is open */
    size_t open_ops;        /* acknowledged operations in the open transaction */
    /* writer sets, others read: acknowledged operations wait for their commit (async) */
    _Atomic bool uncommitted;

    _Atomic bool packer_tried; /* by a request's thread: one tries, once */
    uint32_t packed_at_docs; /* the graph thread's: how many there were when it tried */
    _Atomic uint64_t last_write_ns;
    _Atomic size_t memory_bytes; /* as last added to the store's sum */
    struct vz_counters counters;
};

/* index.c */
struct vz_index_entry;
enum vz_status vz_index_open(struct vz_store *store, struct vz_slice name, const char *uuid,
                             uint64_t generation, int64_t created_ms,
                             const struct vz_settings *settings, struct vz_mapping *mapping,
                             bool create, struct vz_index **out, struct vz_error *err);
/* What vz_store_index gives of a closed one. */
struct vz_index *vz_index_shell(struct vz_store *store, const struct vz_index_entry *entry,
                                struct vz_mapping *mapping);
/* mapping_lock held: one that was closed while somebody read it is open again, with what the
 * registry says now. */
void vz_index_readopt(struct vz_index *index, struct vz_mapping *mapping,
                      const struct vz_settings *settings);
/* The analyzers of the index compiled anew, with the synonyms of now. */
enum vz_status vz_index_reload_analysis(struct vz_index *index, struct vz_error *err);
/* compact.c: a copy of all that is committed in a folder of its own, durable. Writes must be blocked.
 */
enum vz_status vz_index_copy_to(struct vz_index *index, const char *dir, struct vz_error *err);
/* openclose.c: changes a closed index in the registry. Either body may be missing. */
enum vz_status vz_closed_change(struct vz_index *index, struct vz_json settings,
                                const struct vz_settings_change *how, struct vz_json mappings,
                                struct vz_error *err);
/* No lock held: the last reference is gone, the index will be freed. */
void vz_store_index_leaving(struct vz_store *store, struct vz_index *index);
/* store->lock held: its files are closed. */
void vz_store_left_locked(struct vz_store *store, const char *uuid);
/* store->lock held: a reference to a closed index that is still read; NULL: nobody does. */
struct vz_index *vz_store_take_closing_locked(struct vz_store *store, const char *uuid);
/* store->lock held: the open index of that name, borrowed; NULL. */
struct vz_index *vz_store_find_locked(struct vz_store *store, struct vz_slice name);
/* store->lock held: takes a reference over into the list of open ones. */
void vz_store_attach_locked(struct vz_store *store, struct vz_index *index);
/* A reference to the current generation; NULL of a closed one's shell. */
struct vz_generation *vz_index_generation(struct vz_index *index);
/* Merges and persists a mapping change, then swaps it in. `seen`: the mapping the caller worked
 * with; when the index has another by now nothing is merged and VZ_OK tells to look again. */
enum vz_status vz_index_merge_mapping(struct vz_index *index, struct vz_json body,
                                      const struct vz_mapping *seen, struct vz_error *err);
void vz_index_settings(struct vz_index *index, struct vz_settings *copy);
char *vz_generation_path(const struct vz_index *index, uint64_t number);
/* memory.c */
void vz_index_account(struct vz_index *index);
/* What the budget counts of a generation; adds the parts to stats. */
size_t vz_generation_memory(const struct vz_generation *gen, const struct vz_mapping *mapping,
                            struct vz_index_stats *stats);
size_t vz_store_memory_left(const struct vz_store *store);

/* snapshot.c; view_lock held. Replaces the view; `gen` and `mapping` are acquired, `texts` is
 * taken over: the published texts of exactly the documents below `watermark`. */
void vz_index_set_view_locked(struct vz_index *index, struct vz_text_view *texts,
                              uint32_t watermark, uint32_t epoch, uint32_t live,
                              uint64_t commit_number);
/* texts.c. Merges and writes text segments of the current generation, then lets new snapshots read
 * the merged ones. `save`: writes all of them. True when some are in memory only. */
bool vz_index_maintain_texts(struct vz_index *index, bool save);
void vz_view_drop(struct vz_snapshot *view);
/* What died in this epoch or before is seen by no view of the generation any more. */
uint32_t vz_index_oldest_epoch(struct vz_index *index, const struct vz_generation *gen);
/* Makes all that is committed visible; true when something was new. */
bool vz_index_refresh_now(struct vz_index *index);

/* write.c */
/* What reading the documents of one request needs. */
struct vz_preparing {
    struct vz_index *index;
    struct vz_mapping *mapping; /* a reference; a newer one's, where a document made fields */
    struct vz_arena *arena;
    struct vz_text_batch *batch; /* NULL: each document keeps its tokens */
    uint32_t doc;                /* its number in the batch */
    const uint64_t *semantics;   /* of struct vz_write_options */
    struct vz_tokens scratch;    /* grows to the longest text and is used again */
};
/* Reads a document. Not packed yet. */
enum vz_status vz_prepare(struct vz_preparing *p, struct vz_slice id, struct vz_slice source,
                          struct vz_prepared *prepared, struct vz_error *err);
/* repack.c. Takes the packer, NULL for none: the index's generation has it from now on, unless it has
 * one. Waits for the writer. */
void vz_index_keep_packer(struct vz_index *index, struct vz_packer *packer);
/* Makes a packer of an index's documents where it has none and there are many. The graph thread. */
void vz_index_pack_together(struct vz_index *index);
/* Gives prepared->stored. packer: of the index's generation, or NULL. */
void vz_prepared_pack(struct vz_prepared *prepared, struct vz_packer *packer,
                      struct vz_arena *arena);
/* Notes the failure of one operation; returns the status. */
enum vz_status vz_write_failed(struct vz_index *index, struct vz_write *op, enum vz_status status);

/* writer.c */
/* Queues and waits. VZ_NO_INDEX when the index is being closed. */
enum vz_status vz_writer_run(struct vz_index *index, struct vz_task *task, struct vz_error *err);
void vz_writer_stop(struct vz_index *index);
/* With durability async: commits what was acknowledged, so that reads see it. */
void vz_writer_flush(struct vz_index *index);
/* Writer only: commits gen's transaction and publishes it. */
enum vz_status vz_writer_commit(struct vz_index *index, struct vz_generation *gen,
                                struct vz_error *err);

/* update.c. Writer only, inside gen's transaction: what the update body makes of the current
 * document. *noop: nothing to write. The source lives in the arena. */
enum vz_status vz_update_source(struct vz_generation *gen, const struct vz_write *op,
                                const struct vz_id_entry *current, struct vz_arena *arena,
                                struct vz_slice *source, bool *noop, struct vz_error *err);
/* The deep merge of two JSON objects' texts; members of `patch` win, objects are merged. Appends
 * to out; true when the result differs from base. */
bool vz_source_merge(struct vz_slice base, struct vz_slice patch, struct vz_buf *out);

/* ---- a store ------------------------------------------------------------------------------- */

struct vz_store {
    /* immutable */
    char *path;
    char cluster_uuid[24];
    size_t max_memory_bytes;
    unsigned graph_threads;
    int lock_fd;
    MDB_env *meta;
    MDB_dbi info_db, indices_db, mappings_db, aliases_db, blobs_db;
    struct vz_pool *pool; /* helpers of the graph thread; NULL with one thread */

    pthread_mutex_t lock;
    pthread_cond_t idle; /* open_count fell, or background passes ended */
    /* guarded by lock */
    struct vz_index **open; /* opened indices, referenced by the store unless deleted */
    size_t open_count, open_capacity;
    size_t living; /* index structs that exist, deleted ones too */
    struct vz_closing *closing; /* closed indices that are still read */
    struct vz_opening *opening; /* indices being recovered, without the lock */

    /* Rises with each change of an index's entry in the registry: what was read of one before is
     * still true while it stands. Analyzers take long to make (a synonyms set has up to 10,000
     * rules), so whoever needs them under `lock` makes them before, and looks at this. */
    _Atomic uint64_t changes;
    _Atomic size_t memory_bytes;

    pthread_mutex_t cluster_lock; /* innermost but for the registry's */
    char *transient_settings;     /* flat JSON or NULL, guarded by it */

    pthread_mutex_t scratch_lock; /* outermost: scratch.c */
    struct vz_store *scratch;     /* this and the next two guarded by it */
    struct vz_scratch_owner scratch_owner;
    void *scratch_owned;

    pthread_mutex_t work_lock;
    pthread_cond_t refresh_cond, graph_cond, settled_cond;
    /* guarded by work_lock */
    bool stop, refresh_wanted, graph_wanted;
    uint64_t graph_pass;
    bool threads_running;
    pthread_t refresh_thread, graph_thread;
};

/* registry.c: meta.mdb. All durable when they return. */
struct vz_index_entry {
    struct vz_slice name;
    char uuid[24];
    uint64_t generation;
    int64_t created_ms;
    bool closed;
    struct vz_settings settings; /* deinit */
};
enum vz_status vz_registry_open(struct vz_store *store, struct vz_error *err);
void vz_registry_close(struct vz_store *store);
/* VZ_NO_INDEX when absent. */
enum vz_status vz_registry_get(struct vz_store *store, struct vz_slice name,
                               struct vz_index_entry *entry, struct vz_mapping **mapping,
                               struct vz_error *err);
enum vz_status vz_registry_put(struct vz_store *store, const struct vz_index_entry *entry,
                               const struct vz_mapping *mapping, const struct vz_alias *aliases,
                               size_t alias_count, bool create, struct vz_error *err);
enum vz_status vz_registry_remove(struct vz_store *store, struct vz_slice name,
                                  struct vz_error *err);
/* Calls each for every index, in order of name. An entry that cannot be read is left out and its
 * error returned after the others: whoever acts on what is not in the list must not act then. */
enum vz_status vz_registry_each(struct vz_store *store,
                                void (*each)(void *context, struct vz_slice name,
                                             const struct vz_index_entry *entry),
                                void *context, struct vz_error *err);
enum vz_status vz_registry_read_aliases(struct vz_json body, struct vz_slice index,
                                        struct vz_arena *arena, struct vz_alias **aliases,
                                        size_t *count, struct vz_error *err);

/* scratch.c. Closing: nobody searches any more. */
void vz_store_drop_scratch(struct vz_store *store);

/* store.c */
/* store->lock held: waits until nobody is opening an index of that name. True when it had to: the
 * lock was let go meanwhile. */
bool vz_store_await_opening(struct vz_store *store, struct vz_slice name);
/* store->lock held: takes an index out of the open ones; NULL when it is not open. */
struct vz_index *vz_store_detach_locked(struct vz_store *store, struct vz_slice name);
/* No lock held: the end of an index that the registry does not know any more. Its files go with
 * the last reference; at once when it was not open (index NULL). */
void vz_store_dispose(struct vz_store *store, struct vz_index *index, const char *uuid);
void vz_store_index_gone(struct vz_store *store, const char *uuid);
/* Open indices, each with a reference; free() the list. */
size_t vz_store_open_indices(struct vz_store *store, struct vz_index ***list);

/* background.c */
enum vz_status vz_background_start(struct vz_store *store, struct vz_error *err);
void vz_background_stop(struct vz_store *store);
void vz_background_dirty(struct vz_store *store);
void vz_background_rows(struct vz_store *store);

#endif
