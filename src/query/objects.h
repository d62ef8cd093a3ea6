/* query/objects.h - the objects of a nested field as documents of an index of their own. Private to
 * the room.
 *
 * The index is derived: made when a nested query first asks, brought up to the snapshot that asks,
 * forgotten with the process (store/scratch.c). Its documents are the objects, each at its whole
 * path, in the order of their documents; those of dead ones are among them until a
 * compaction, as in the documents' own texts: an older snapshot may see them. So whatever can be
 * asked of documents can be asked of objects, with the statistics of the objects.
 */
#ifndef VZ_QUERY_OBJECTS_H
#define VZ_QUERY_OBJECTS_H

#include "query/parts.h"

struct vz_object_index;
struct vz_object_cache;

struct vz_objects {
    const struct vz_snapshot *snap; /* of the objects */
    uint32_t limit;                 /* objects in it */
    struct vz_object_index *index;
    struct vz_object_cache *cache;
};
/* Which document of the asking snapshot an object lies in, and which of its objects it is. */
struct vz_object_place {
    uint32_t docno, number;
};

/* Holds the index until closed. Waits while another thread brings it up to date. VZ_CANCELLED after
 * the eval's deadline, with what was done kept; VZ_BUDGET, VZ_DISK_FULL ... */
enum vz_status vz_objects_open(struct vz_eval *eval, const struct vz_field *scope,
                               struct vz_objects *out, struct vz_error *err);
void vz_objects_close(struct vz_objects *objects);
struct vz_object_place vz_objects_place(const struct vz_objects *objects, uint32_t object);
/* The first object of the document, or of the one after it that has any; limit: none. */
uint32_t vz_objects_first(const struct vz_objects *objects, uint32_t docno);

struct vz_inner_view; /* inner.h */

/* The documents of an id [*from, *to): one or none; of objects, all of the document of that id. */
void vz_objects_of_id(const struct vz_eval *eval, struct vz_slice id, uint32_t *from, uint32_t *to);
/* The name of the index that is searched, also of its objects. */
struct vz_slice vz_objects_index_name(const struct vz_eval *eval);

/* What matched one query, kept for the inner_hits of the same search. */
struct vz_object_answer {
    struct vz_object_answer *next;
    const void *key; /* the query, or who holds the objects without one */
    const struct vz_field *scope;
    struct vz_objects objects;
    struct vz_eval eval;        /* of the objects */
    struct vz_docset set;       /* of a query: materialized, with scores */
    struct vz_inner_view *view; /* how they are shown; NULL: not yet */
};
/* *out is the eval's. */
enum vz_status vz_objects_answer(struct vz_eval *eval, const struct vz_node *query,
                                 const struct vz_field *scope, struct vz_object_answer **out,
                                 struct vz_error *err);
/* The objects without a query: set is empty. */
enum vz_status vz_objects_hold(struct vz_eval *eval, const void *key, const struct vz_field *scope,
                               struct vz_object_answer **out, struct vz_error *err);
/* For vz_eval_deinit. */
void vz_objects_forget(struct vz_eval *eval);

/* Whether the objects' index can answer; false: only the objects themselves, one by one (a vector's
 * presence). VZ_UNSUPPORTED for what neither can. */
enum vz_status vz_objects_serve(const struct vz_mapping *mapping, const struct vz_node *query,
                                bool *served, struct vz_error *err);

#endif
