/* query/inner.h - between inner.c (which objects of a hit matched, in which order) and inner_hit.c
 * (what is shown of them). Private to the room. */
#ifndef VZ_QUERY_INNER_H
#define VZ_QUERY_INNER_H

#include "query/explain.h"
#include "query/nested.h"
#include "query/objects.h"

struct vz_inner_object {
    struct vz_nest_place place;
    uint32_t number, row; /* number: in the order of the text */
    float score;
    struct vz_sort_value *values; /* of the sort's keys, or NULL */
};

/* What one inner_hits keeps from hit to hit, beside the objects it asks. */
struct vz_inner_view {
    struct vz_sort_reader *readers; /* bound to the objects */
    size_t reader_count;
    struct vz_fetch_plan plan; /* of scripts */
    struct vz_sampler *sampler; /* of all objects that match; NULL: too many, or not asked */
};
void vz_inner_view_free(struct vz_inner_view *view);

struct vz_inner_gather {
    struct vz_eval *eval;
    const struct vz_inner *inner;
    const struct vz_nest_place *within; /* objects of this one alone; NULL: of the document */
    const struct vz_field *scope, *vector;
    struct vz_node_list filters; /* of the clause, those about the objects */
    bool asked;                  /* the objects' index answered the query */
    struct vz_object_answer *answer; /* or holds the objects; NULL: they are not needed */
    uint32_t docno, first;           /* of the hit, and its first object there */
    const struct vz_search_hit *hit;
    struct vz_json rows, source; /* the document with row numbers, and without vectors */
    struct vz_inner_object *objects;
    size_t count, capacity;
    uint32_t number;
    enum vz_status status;
    struct vz_error *err;
};
/* Whether an inner_hits wants its matches explained or named, or read from columns. */
bool vz_inner_wants_objects(const struct vz_inner *inner);
/* Best first, into gather->objects (heap). *none: this index has no such objects. */
enum vz_status vz_inner_gather(struct vz_inner_gather *gather, bool *none);
/* One inner_hits of a document or, `within`, of an object of it. */
enum vz_status vz_inner_put(struct vz_eval *eval, const struct vz_inner *inner, uint32_t docno,
                            const struct vz_search_hit *hit, struct vz_json rows,
                            struct vz_json source, const struct vz_nest_place *within,
                            struct vz_json_writer *w, struct vz_error *err);

#endif
