/* Docsets and what a target is searched with: see parts.h. */
#include "query/texts.h"
#include "query/objects.h"

#include "base/clock.h"

#include <stdlib.h>

void vz_eval_init(struct vz_eval *eval, const struct vz_snapshot *snap, struct vz_arena *arena,
                  int64_t now_ms, uint64_t deadline_ns)
{
    *eval = (struct vz_eval){.snap = snap,
                             .mapping = vz_snapshot_mapping(snap),
                             .arena = arena,
                             .limit = vz_snapshot_doc_limit(snap),
                             .now_ms = now_ms,
                             .deadline_ns = deadline_ns};
}

void vz_eval_deinit(struct vz_eval *eval)
{
    if (eval->has_live)
        vz_bitset_deinit(&eval->live);
    eval->has_live = false;
    vz_expanded_free(eval);
    vz_objects_forget(eval);
    vz_runtime_close(eval);
}

const struct vz_bitset *vz_eval_live(struct vz_eval *eval)
{
    if (!eval->has_live)
        vz_snapshot_live_bits(eval->snap, &eval->live);
    eval->has_live = true;
    return &eval->live;
}

void vz_docset_deinit(struct vz_docset *set)
{
    if (set->kind == VZ_SET_BITS)
        vz_bitset_deinit(&set->bits);
    free(set->scores);
    *set = (struct vz_docset){0};
}

void vz_docset_begin(struct vz_docset *set, struct vz_eval *eval)
{
    vz_bitset_init(&set->bits, eval->limit);
    set->kind = VZ_SET_BITS;
}

void vz_docset_materialize(struct vz_docset *set, struct vz_eval *eval)
{
    if (set->kind == VZ_SET_NONE)
        vz_bitset_init(&set->bits, eval->limit);
    else if (set->kind == VZ_SET_ALL)
        vz_bitset_copy(&set->bits, vz_eval_live(eval));
    set->kind = VZ_SET_BITS;
}

void vz_docset_settle(struct vz_docset *set, struct vz_eval *eval)
{
    if (set->kind == VZ_SET_BITS && vz_snapshot_doc_count(eval->snap) != eval->limit)
        vz_bitset_and(&set->bits, vz_eval_live(eval));
}

void vz_docset_and(struct vz_docset *set, const struct vz_docset *other)
{
    if (other->kind == VZ_SET_ALL || set->kind == VZ_SET_NONE)
        return;
    if (other->kind == VZ_SET_NONE) {
        vz_docset_deinit(set);
    } else if (set->kind == VZ_SET_ALL) {
        vz_bitset_copy(&set->bits, &other->bits);
        set->kind = VZ_SET_BITS;
    } else
        vz_bitset_and(&set->bits, &other->bits);
}

uint64_t vz_docset_count(const struct vz_docset *set, const struct vz_eval *eval)
{
    if (set->kind == VZ_SET_NONE)
        return 0;
    return set->kind == VZ_SET_ALL ? vz_snapshot_doc_count(eval->snap)
                                   : vz_bitset_count(&set->bits);
}

bool vz_docset_has(const struct vz_docset *set, uint32_t docno)
{
    return set->kind == VZ_SET_ALL ||
           (set->kind == VZ_SET_BITS && vz_bitset_has(&set->bits, docno));
}

uint32_t vz_docset_next(const struct vz_docset *set, const struct vz_eval *eval, uint32_t from)
{
    if (set->kind == VZ_SET_NONE)
        return eval->limit;
    if (set->kind == VZ_SET_BITS)
        return (uint32_t)vz_bitset_next(&set->bits, from);
    while (from < eval->limit && !vz_snapshot_live(eval->snap, from))
        from++;
    return from;
}
