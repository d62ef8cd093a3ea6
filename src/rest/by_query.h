/* rest/by_query.h - what _update, _update_by_query, _delete_by_query and _reindex share: scripts
 * over a document's ctx, and sweeps, which go over all matches of a query batch by batch.
 *
 * A sweep pins a snapshot of each index, marks the matches (a bit a document), and then takes one
 * batch after the other: documents are read, a script changes them, a bulk request in memory
 * (bulk.h) writes them. So it holds one batch of documents at a time, however many match, and takes
 * a place among the computing requests only for as long as a batch. Private to the room.
 */
#ifndef VZ_REST_BY_QUERY_H
#define VZ_REST_BY_QUERY_H

#include "rest/bulk.h"
#include "rest/tasks.h"

/* ---- scripts over ctx (ctx_script.c) --------------------------------------------------------- */

struct vz_ctx_script;

/* What is being written decides what a script may change and which operations there are. */
enum vz_ctx_kind { VZ_CTX_UPDATE, VZ_CTX_UPSERT, VZ_CTX_BY_QUERY, VZ_CTX_REINDEX };
enum vz_ctx_op { VZ_CTX_INDEX, VZ_CTX_CREATE, VZ_CTX_DELETE, VZ_CTX_NOOP };

struct vz_ctx_doc {
    struct vz_slice index, id, routing; /* id.ptr NULL: none */
    int64_t version;                    /* -1: not known */
    struct vz_slice source;             /* comes out with 64 readable bytes behind it */
    enum vz_ctx_op op;                  /* out */
};

/* Compiles a body's "script": a string or {"source" | "id", "lang", "params"}. NULL with a problem
 * in Elasticsearch's words. Lives in the call's arena. Any number of threads may run it. */
struct vz_ctx_script *vz_ctx_script_new(struct vz_call *call, struct vz_json script,
                                        struct vz_problem *problem);
/* "Script{type=inline, lang='painless', idOrCode='...', ...}" for descriptions. */
struct vz_slice vz_ctx_script_describe(const struct vz_ctx_script *script, struct vz_arena *arena);
/* Changes *doc; texts go to the arena. False with a problem. */
bool vz_ctx_script_run(const struct vz_ctx_script *script, enum vz_ctx_kind kind,
                       struct vz_ctx_doc *doc, struct vz_arena *arena, struct vz_problem *problem);
/* A copy with the 64 bytes behind it that parsers read over. */
struct vz_slice vz_padded_copy(struct vz_arena *arena, struct vz_slice text);

/* ---- updates by script (update.c) ------------------------------------------------------------ */

/* Whether an update's body has a script, which the store does not run. Cheap. */
bool vz_update_has_script(struct vz_slice body);
/* Reads the document, runs the script of an update's body and makes `op` the write that comes of
 * it: an index, create or delete that names the version it was decided on. *noop: nothing is to be
 * written, op's result and versions are filled. False with a problem. `get` is told of an index
 * that may not be there (NULL: the document is not, either). */
bool vz_update_prepare(struct vz_call *call, struct vz_index *index, struct vz_slice index_name,
                       struct vz_write *op, struct vz_arena *arena, bool *noop,
                       struct vz_problem *problem);
/* Checks the members of an update's body as UpdateRequest does. *returns: its "_source" or MISSING.
 */
bool vz_update_check(struct vz_call *call, struct vz_json body, struct vz_json *returns);

/* ---- sweeps (sweep.c) ------------------------------------------------------------------------ */

enum vz_sweep_kind { VZ_SWEEP_DELETE, VZ_SWEEP_UPDATE, VZ_SWEEP_REINDEX };

#define VZ_SWEEP_MAX_SLICES 1024
#define VZ_SWEEP_MAX_BATCH 10000

/* One document on its way. */
struct vz_sweep_doc {
    struct vz_slice index, id, routing, source;
    uint64_t version, seq_no;
    bool has_seq_no;
};

struct vz_remote; /* reindex_remote.c */

struct vz_sweep {
    struct vz_call *call;
    enum vz_sweep_kind kind;
    struct vz_resolved resolved;   /* where from; released by vz_sweep_deinit */
    struct vz_search *search;      /* which documents */
    struct vz_json_doc *query_doc; /* that it borrows; or NULL */
    struct vz_remote *remote;      /* where from instead; or NULL */
    size_t batch;
    uint64_t max_docs;            /* UINT64_MAX: all */
    unsigned slices;              /* made here, side by side */
    bool is_sliced;               /* the answer shows them */
    unsigned slice_id, slice_max; /* slice_max > 0: only this part, by the ids' hashes */
    bool proceed, refresh, with_version;
    double per_second;            /* 0: no throttle */
    struct vz_ctx_script *script; /* or NULL */
    struct vz_slice pipeline;     /* ptr NULL: none named */
    /* Of a reindex: */
    struct vz_slice dest;
    bool creates;                  /* op_type create */
    bool is_external, version_gte; /* version_type */
    bool has_choice;
    struct vz_source_choice choice;
    struct vz_sweep_run *run; /* sweep.c's own */
};

/* The parameters that all three have in common, from the URL. False with a problem. */
bool vz_sweep_params(struct vz_call *call, struct vz_sweep *sweep);
/* max_docs and conflicts, which may stand in the body, too. */
bool vz_sweep_max_docs(struct vz_call *call, struct vz_sweep *sweep, struct vz_json value);
bool vz_sweep_conflicts(struct vz_call *call, struct vz_sweep *sweep, struct vz_slice value);
/* What only makes sense with all of them known. */
bool vz_sweep_check(struct vz_call *call, const struct vz_sweep *sweep);
/* "slice": {"id": 0, "max": 2} */
bool vz_sweep_slice(struct vz_call *call, struct vz_sweep *sweep, struct vz_json value);
/* Parses {"query": ...}; MISSING: all documents. */
bool vz_sweep_query(struct vz_call *call, struct vz_sweep *sweep, struct vz_json query);
/* Does it all and answers. */
void vz_sweep_run(struct vz_sweep *sweep);
void vz_sweep_deinit(struct vz_sweep *sweep);

/* ---- another server as the source (reindex_remote.c) ------------------------------------------
 */

/* Reads "remote" of a reindex's source. NULL with a problem. In the call's arena. */
struct vz_remote *vz_remote_read(struct vz_call *call, struct vz_json remote);
/* What is asked for: the index expression and the search body without size. */
void vz_remote_ask(struct vz_remote *remote, struct vz_slice indices, struct vz_slice body,
                   size_t batch);
/* The next batch; *count 0 at the end. *total: all matches. Texts are in the arena. False with a
 * problem. Blocks. */
bool vz_remote_next(struct vz_remote *remote, struct vz_arena *arena, struct vz_sweep_doc **docs,
                    size_t *count, uint64_t *total, struct vz_problem *problem);
/* Ends the scroll over there. */
void vz_remote_close(struct vz_remote *remote);

#endif
