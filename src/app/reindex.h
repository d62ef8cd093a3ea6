/* app/reindex.h - an index rebuilt with another model beside the old one, and put in its place.
 *
 * NAME is what people use; behind it is an index, of that name at first, later an alias of an index
 * NAME-000002, NAME-000003, ... The new one is made with the old one's mapping and settings, but
 * for the vector field's model; a mark in its mapping's `_meta` says that it is half made, so an
 * interrupted one is found again. The swap is one _aliases request: no moment in which NAME leads
 * nowhere. Every alias of the old index goes along, with its filter.
 *
 * The first time, NAME is the index itself and must go for the alias to take its name; what shall
 * be kept of it is copied to an index of its own before. Not for: the documents (cli/reindex.c
 * looks at their pictures again). Threads: those of the transport.
 */
#ifndef VZ_APP_REINDEX_H
#define VZ_APP_REINDEX_H

#include "app/api.h"

struct vz_reindex {
    const struct vz_transport *transport;
    char name[VZ_INDEX_NAME_MAX];      /* as people use it */
    char old_index[VZ_INDEX_NAME_MAX]; /* behind it now */
    char new_index[VZ_INDEX_NAME_MAX];
    char kept_index[VZ_INDEX_NAME_MAX]; /* takes a copy of the old one; "" when none is needed */
    char path_field[32], hash_field[32];
    struct vz_app_model model; /* the new one */
    struct vz_api_about about; /* of the old index */
    bool resumes;              /* new_index is half made already */
    uint64_t from_seq_no;      /* what the old index had, when the new one was begun */
};

/* Finds names and leftovers. `keep`: the old index shall remain. A half-made index of the same
 * model is taken up when `resume`; others are removed. Errors: VZ_NO_INDEX, VZ_EXISTS (the index
 * has this model already), VZ_UNSUPPORTED (no field that says where the pictures are). deinit after
 * VZ_OK only. */
enum vz_status vz_reindex_plan(const struct vz_transport *transport, const char *name,
                               const struct vz_app_model *model, bool keep, bool resume,
                               struct vz_reindex *plan, struct vz_error *err);
/* Makes the new index (and the one for the copy); `seq_no` is the old one's largest. */
enum vz_status vz_reindex_begin(struct vz_reindex *plan, uint64_t seq_no, struct vz_error *err);
/* Lets nobody write to the old index, or again. */
enum vz_status vz_reindex_block(const struct vz_reindex *plan, bool on, struct vz_error *err);
/* Takes the mark off and lets NAME lead to the new index. `drop`: the old index is removed. */
enum vz_status vz_reindex_swap(const struct vz_reindex *plan, bool drop, struct vz_error *err);
/* Removes what was made. */
void vz_reindex_abort(const struct vz_reindex *plan);
void vz_reindex_deinit(struct vz_reindex *plan);

#endif
