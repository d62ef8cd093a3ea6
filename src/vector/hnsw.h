/* vector/hnsw.h - an HNSW graph over the rows of a growable array; exact scans beside it.
 *
 * Knows no disk layout but its own checkpoint, no documents, no HTTP. Rows live elsewhere (the
 * store's mapped row file); the graph keeps their base address, which must stay valid and whose
 * rows, once inserted, must never change.
 *
 * Model: rows 0 .. n-1 are inserted in order by row number. vz_hnsw_count() rows are reachable by
 * search; rows past it are "the tail" that the caller scans with vz_exact_range().
 *
 * Removing is in two steps, a cheap one and a thorough one:
 *
 *     vz_hnsw_remove(graph, row, &err);    per dead row: searches return it no more
 *     ..                                   they still walk through it, as through a filtered row
 *     vz_hnsw_repair(graph, NULL, NULL);   now and then: unlinks all dead rows and links those
 *                                          around them anew, so that recall does not decay
 *
 * Searches cost what filtered ones do while removed rows wait for repair; after it they are plain
 * again. Repair when vz_hnsw_removed_count() passes some hundredths of the rows and when idle.
 *
 * Threads: inserts may run from several threads at once (rows claimed by the caller, each once), so
 * may removals; one repair runs beside them (a second one waits). Searches run at any time from
 * any number of threads without locks and see a graph that is always valid. vz_hnsw_save needs
 * inserts, removals and repair paused, searches may run.
 */
#ifndef VZ_VECTOR_HNSW_H
#define VZ_VECTOR_HNSW_H

#include "base/bitset.h"
#include "base/status.h"
#include "vector/distance.h"

#include <stdbool.h>

struct vz_cold; /* cold.h */
struct vz_hnsw;

struct vz_hnsw_options {
    enum vz_similarity similarity; /* any of a float, bfloat16, byte row; VZ_L2 for bits */
    uint32_t dims;                 /* 1..4096; bits: 1..32768 */
    /* Elements from one row to the next, >= dims; for bits BYTES, >= dims / 8 rounded up. 0 means
     * that least. */
    size_t stride;
    union { /* row r at rows + r * stride; by `element` */
        const float *rows;
        const uint16_t *bfloats;
        const int8_t *bytes;
        const uint8_t *bits;
    };
    uint32_t m;               /* links a node above level 0; level 0 has 2m; 0 means 16; 2..512 */
    uint32_t ef_construction; /* 0 means 100; 1..3200 */
    uint64_t seed;            /* level generator; 0 means 42 */
    uint32_t max_rows;        /* address space is reserved for so many; 0 means 2^31 - 1 */
    /* enum vz_quantize. Otherwise than NONE the graph keeps a small copy of the rows, walks on it
     * and scores the final candidates again with the float rows. */
    uint32_t quantize;
    /* INT4 and BIT code what rows have beside their mean. Rows 0 .. sample_rows-1 are written when
     * vz_hnsw_new is called: the mean is taken over them (up to 4,096 of them). 0: no mean; recall
     * is then poor for rows that all point the same way, as CLIP's do. Ignored by vz_hnsw_open. */
    uint32_t sample_rows;
    /* No links: searches scan the codes (the rows themselves for NONE) and score the best again. */
    bool flat;
    /* enum vz_element: what rows are made of; 0 is float. Bytes and bits are small already:
     * quantize must be NONE for them. */
    uint32_t element;
    /* While it is on, rows lie in a mapped file that memory does not hold: whoever reads several
     * asks the disk for all of them first. NULL: never. Must live as long as the graph. */
    struct vz_cold *cold;
};

enum vz_quantize {
    VZ_QUANTIZE_NONE,
    VZ_QUANTIZE_INT8, /* dims + 12 bytes a row, rounded up to 64 */
    VZ_QUANTIZE_INT4, /* dims / 2, rounded up to 16, + 16 */
    VZ_QUANTIZE_BIT,  /* dims / 8, rounded up to 16, + 16 */
};

/* A found row; larger similarity is nearer (see distance.h). */
struct vz_near {
    uint32_t row;
    float similarity;
};

struct vz_hnsw_search {
    union {
        const float *query; /* dims floats; unit length for VZ_COSINE. Float and bfloat16 rows */
        const int8_t *query_bytes;
        const uint8_t *query_bits;
    };
    uint32_t k; /* >= 1 */
    /* Candidates kept, all of them scored again when the graph is quantized (oversampling by x is
     * an ef of k times x). Raised to k; to 2 k for INT4, to 4 k for BIT; to 56 with a filter or
     * with groups, and further where a walk among the accepted rows needs it (filter.c). */
    uint32_t ef;
    /* NULL: every row counts. Otherwise only rows for which it answers true are returned. Called
     * from the searching thread, for a row several times perhaps, always with the same answer. */
    bool (*accept)(void *context, uint32_t row);
    void *accept_context;
    /* Stop and return what was found so far when it answers true; asked every few hundred
     * distances. NULL: never. */
    bool (*cancelled)(void *context);
    void *cancelled_context;
    /* How many rows `accept` answers true for, about: it decides between walking and scanning. 0:
     * not known, then a few hundred rows are asked. A wrong number costs time, never results. */
    uint32_t accept_estimate;
    /* With `accept`: the same rows as a list. Up to `max` accepted rows at or after `from`,
     * ascending, into rows[]; answers how many, 0 when there are no more. accept_context is passed.
     * NULL: a scan asks `accept` about every row. */
    uint32_t (*accepted)(void *context, uint32_t from, uint32_t *rows, uint32_t max);
    /* NULL: rows are what is searched. Otherwise k distinct groups are, each by its best row: the
     * group of a row, such as the document that it belongs to. */
    uint32_t (*group)(void *context, uint32_t row);
    void *group_context;
};

struct vz_hnsw_stats {
    uint64_t visited; /* distances computed */
    uint64_t hops;    /* nodes expanded */
    bool scanned;     /* all accepted rows were scored: by a scan instead of a walk, or after it */
};

/* Errors: VZ_BAD_ARGUMENT, VZ_BUDGET. */
enum vz_status vz_hnsw_new(const struct vz_hnsw_options *options, struct vz_hnsw **out,
                           struct vz_error *err);
void vz_hnsw_free(struct vz_hnsw *graph);

/* Adds `row`, whose floats are written already. Every row from 0 on must be inserted; a row that is
 * in already is left alone; several threads may insert different rows at once. vz_hnsw_count()
 * rises to n when rows 0..n-1 are all in. Errors: VZ_BUDGET, VZ_LIMIT; the graph is unchanged then.
 */
enum vz_status vz_hnsw_insert(struct vz_hnsw *graph, uint32_t row, struct vz_error *err);

/* Removes a row that is in: searches that begin after this returned do not return it, new rows do
 * not link to it. Nothing is computed and no memory moves; a second removal does nothing. The row's
 * memory must stay readable, and its contents as they are, until a repair that began later is over
 * and every search and insert that began before the end of that repair is too. From then on the row
 * may be inserted again, with other contents. vz_hnsw_count() does not change. Flat indexes too.
 * Errors: VZ_NOT_FOUND (never inserted, or its insert is not over). */
enum vz_status vz_hnsw_remove(struct vz_hnsw *graph, uint32_t row, struct vz_error *err);
/* Rows removed that no repair has unlinked yet: since the last repair, or ever. */
uint32_t vz_hnsw_removed_count(const struct vz_hnsw *graph);
bool vz_hnsw_is_removed(const struct vz_hnsw *graph, uint32_t row);
/* Unlinks all rows that were removed before the call and gives each row that linked to one as good
 * links as an insert would. Runs in the caller's thread beside searches, inserts and removals;
 * about a fifth of an insert for each row around. `cancelled` (NULL: never) is asked often; a
 * cancelled repair is VZ_OK, leaves a valid graph, and the next one does the rest. Errors:
 * VZ_BUDGET, the graph is as after a cancelled one. */
enum vz_status vz_hnsw_repair(struct vz_hnsw *graph, bool (*cancelled)(void *context),
                              void *context, struct vz_error *err);

/* Rows 0 .. count-1 are findable, except removed ones. */
uint32_t vz_hnsw_count(const struct vz_hnsw *graph);

/* Up to k accepted rows, nearest first, ties by smaller row, into out[k]; *found says how many. May
 * find rows past vz_hnsw_count() whose inserts are done or nearly so. A cancelled search is VZ_OK.
 * With a filter (or groups), k accepted rows (groups) are found whenever so many are in: a walk
 * that finds fewer, or would cost more than a scan of the accepted rows, gives way to that scan;
 * give accept_estimate and accepted with a filter that few rows pass. stats may be NULL. Errors:
 * VZ_BAD_ARGUMENT, VZ_BUDGET. Scratch memory is per thread, kept between calls. */
enum vz_status vz_hnsw_search(const struct vz_hnsw *graph, const struct vz_hnsw_search *search,
                              struct vz_near *out, uint32_t *found, struct vz_hnsw_stats *stats,
                              struct vz_error *err);

/* Exact: the k nearest accepted rows of [first, last). Same order, same accept contract. */
enum vz_status vz_exact_range(const struct vz_hnsw_options *space,
                              const struct vz_hnsw_search *search, uint32_t first, uint32_t last,
                              struct vz_near *out, uint32_t *found, struct vz_error *err);
/* Exact over a list of rows (ascending, distinct); accept is not asked. */
enum vz_status vz_exact_rows(const struct vz_hnsw_options *space,
                             const struct vz_hnsw_search *search, const uint32_t *rows,
                             size_t row_count, struct vz_near *out, uint32_t *found,
                             struct vz_error *err);
/* Merges sorted lists a and b into out[k], nearest first; returns how many. A row that is in both
 * (inserted between a search and a scan of the tail) is taken once. out may not overlap. */
uint32_t vz_near_merge(const struct vz_near *a, uint32_t a_count, const struct vz_near *b,
                       uint32_t b_count, uint32_t k, struct vz_near *out);

/* Checkpoint: a versioned, checksummed file written beside `path` and renamed. Inserts paused;
 * searches may run. Blocks until it is on disk. Errors: VZ_BUSY when rows below the highest
 * inserted one are missing, VZ_IO, VZ_DISK_FULL, VZ_READ_ONLY; a file of that name is untouched
 * then. */
enum vz_status vz_hnsw_save(const struct vz_hnsw *graph, const char *path, struct vz_error *err);
/* Opens a checkpoint: mapped privately, so that opening costs the same for any size and pages come
 * in on demand. `options` must agree with what was saved (similarity, element, dims, m, quantize);
 * removed rows are removed in it. VZ_CORRUPT when
 * the file is not a whole checkpoint of that shape, VZ_NOT_FOUND when there is none. The caller
 * then builds anew: a graph is always derived data. The file knows nothing of the rows themselves:
 * the caller checks that it has at least vz_hnsw_count() of them before it searches. */
enum vz_status vz_hnsw_open(const char *path, const struct vz_hnsw_options *options,
                            struct vz_hnsw **out, struct vz_error *err);

/* Another kind for a graph that is there: links, levels, entry point and what was removed are kept,
 * codes are written anew from the rows, 28 to 95 times faster than inserting them (docs/adr/0005).
 *
 *     vz_recoding_new(from, &options, &recoding, &err);
 *     do                                              from goes on: searches, inserts, removals,
 *         vz_recoding_advance(recoding, 4096, &left, &err);      repairs
 *     while (left);
 *     vz_recoding_finish(recoding, &graph, &err);     what `from` holds now, as the other kind
 *     vz_recoding_free(recoding);                     at any time before, too: it is given up then
 *
 * What may differ: quantize (with sample_rows), flat (a graph may lose its links, a flat index not
 * get any), ef_construction, max_rows; seed is ignored. `rows` must be the same rows.
 * While a recoding lives `from` must; a row that was removed must not be inserted again with other
 * contents, nor its memory be given to another use. Otherwise inserts, removals and repair need not
 * wait, and nothing has to be done twice: what is inserted, removed or repaired in `from` before
 * finish is so in the new graph. During finish inserts and repair of `from` wait (for a copy of
 * about 140 bytes a row, and the codes of rows that came since the last advance); a removal that
 * runs beside finish may be missing in the new graph and is to be repeated there.
 * One thread at a time for a recoding. */
struct vz_recoding;
/* Errors: VZ_BAD_ARGUMENT (similarity, element, dims or m differ; links out of a flat index),
 * VZ_BUDGET. */
enum vz_status vz_recoding_new(struct vz_hnsw *from, const struct vz_hnsw_options *to,
                               struct vz_recoding **out, struct vz_error *err);
/* Codes of up to `rows` more rows; *left says whether some that are in have none yet. Errors:
 * VZ_BUDGET, VZ_LIMIT (max_rows of the new graph); may be repeated. */
enum vz_status vz_recoding_advance(struct vz_recoding *recoding, uint32_t rows, bool *left,
                                   struct vz_error *err);
/* Rows coded so far. */
uint32_t vz_recoding_count(const struct vz_recoding *recoding);
size_t vz_recoding_memory_bytes(const struct vz_recoding *recoding);
/* *out is the caller's. Blocks for a repair of `from` that runs. Errors as vz_recoding_advance, the
 * recoding is as before then; VZ_BAD_ARGUMENT when it is finished. */
enum vz_status vz_recoding_finish(struct vz_recoding *recoding, struct vz_hnsw **out,
                                  struct vz_error *err);
/* NULL is fine. `from` is as it was. */
void vz_recoding_free(struct vz_recoding *recoding);

/* Checks every invariant named in hnsw.c's essay (ids in range, no self links, no duplicates,
 * degrees, levels, every row that is not removed reachable on level 0 from the entry point, no way
 * to removed rows that a repair unlinked). For tests and crash checks; inserts and repair paused.
 * VZ_CORRUPT names the first violation. */
enum vz_status vz_hnsw_validate(const struct vz_hnsw *graph, struct vz_error *err);

/* Bytes of memory in use, all parts; and by part. The rows themselves are the caller's. */
struct vz_hnsw_memory {
    size_t links;  /* level 0 */
    size_t upper;  /* the levels above */
    size_t places; /* where each row's upper lists begin */
    size_t codes;  /* the small copy of the rows; 0 without `quantize` */
    size_t fixed;  /* locks, mean; the same for any number of rows */
};
size_t vz_hnsw_memory_bytes(const struct vz_hnsw *graph);
void vz_hnsw_memory_parts(const struct vz_hnsw *graph, struct vz_hnsw_memory *out);

#endif
