/* rest/bulk.h - what reading and writing a bulk request share. Private to bulk.c and bulk_read.c.
 */
#ifndef VZ_REST_BULK_H
#define VZ_REST_BULK_H

#include "rest/parts.h"

#define VZ_BULK_MAX_ITEMS 500000
#define VZ_NO_ITEM UINT32_MAX

struct vz_bulk_item {
    struct vz_slice index, id, source;
    uint64_t version, if_seq_no, if_primary_term, out_version, out_seq_no;
    struct vz_problem *problem;             /* NULL: it worked */
    const struct vz_source_choice *returns; /* update: print the document after it */
    uint32_t group, line, retry;
    uint32_t pipeline; /* 1 + its place in vz_bulk.pipelines; 0: not named */
    uint32_t next; /* item of the same index, or VZ_NO_ITEM */
    uint8_t verb, result;
    bool dropped; /* by a pipeline */
    bool scripted; /* an update by script */
    bool has_id, has_version, is_external, version_gte, has_if_seq_no, require_alias;
    bool no_create; /* an index that is not there is not made */
};

struct vz_bulk_group {
    struct vz_index *index; /* NULL: problem says why */
    struct vz_problem *problem;
    uint32_t same_as;     /* the group that holds this index's items */
    uint32_t first, last; /* those items, in their order */
    bool wants_index;     /* some item may make the index */
    bool require_alias;
    unsigned replicas;
    struct vz_slice name;
    struct vz_slice head;   /* ,"_index":"name","_id":" */
    struct vz_slice shards; /* the constant middle of an answer */
};

struct vz_bulk {
    struct vz_call *call;
    struct vz_slice default_index;
    bool default_require_alias;
    const struct vz_source_choice *default_returns;
    uint32_t default_pipeline;
    struct vz_slice *pipelines; /* the names that the request has; malloc'd */
    size_t pipeline_count, pipeline_capacity;
    struct vz_ingest_work *work; /* NULL: nothing to do before writing */
    struct vz_ingest_item *ingests; /* malloc'd */
    size_t ingest_count;
    struct vz_bulk_item *items; /* malloc'd */
    size_t count, capacity;
    struct vz_bulk_group *groups; /* malloc'd */
    size_t group_count, group_capacity;
    struct vz_strmap group_of;
    enum vz_refresh refresh;
    bool has_scripts; /* some item is an update by script */
};

/* "index", "create", "update", "delete", by enum vz_write_verb. */
extern const char *const vz_bulk_verbs[4];

/* Gives item->pipeline for a name; 0 with a problem when the request names too many. */
uint32_t vz_bulk_pipeline(struct vz_bulk *b, struct vz_slice name);
/* Reads and checks every line of the request's body into items; false with a problem, and then
 * nothing may be written. */
bool vz_bulk_read(struct vz_bulk *b);

/* Writes that did not come as text (by_query.h): begin with nothing, add items, apply, see what
 * became of each in the items, deinit. Items' texts must live until then; sources have 64 readable
 * bytes behind them. */
void vz_bulk_init(struct vz_bulk *b, struct vz_call *call);
/* Nothing filled in. Valid until the next one is added. NULL with a problem when there are
 * VZ_BULK_MAX_ITEMS. */
struct vz_bulk_item *vz_bulk_add(struct vz_bulk *b);
/* Pipelines, indices, writes. */
void vz_bulk_apply(struct vz_bulk *b);
void vz_bulk_deinit(struct vz_bulk *b);

#endif
