/* query/terms_enum.c - terms of a field that begin with a text, in order: for boxes that complete
 * while somebody types.
 *
 * Texts walk their dictionary, which is sorted, and stop after enough. Keywords' dictionaries are
 * in order of first appearance, so all their terms are looked at; the time limit is for them.
 */
#include "query/filter.h"
#include "query/search.h"

#include "base/clock.h"
#include "text/postings.h"

#include <stdlib.h>

struct terms {
    const struct vz_terms_enum *how;
    struct vz_arena *arena;
    struct vz_slice *items;
    size_t count, capacity;
    uint64_t deadline_ns;
    bool late;
};

static char folded(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
}

static bool wanted(const struct terms *t, struct vz_slice term)
{
    struct vz_slice prefix = t->how->prefix;
    if (term.len < prefix.len)
        return false;
    for (size_t i = 0; i < prefix.len; i++)
        if (t->how->ignore_case ? folded(term.ptr[i]) != folded(prefix.ptr[i])
                                : term.ptr[i] != prefix.ptr[i])
            return false;
    return !t->how->after.ptr || vz_slice_cmp(term, t->how->after) > 0;
}

static void add(struct terms *t, struct vz_slice term)
{
    if (t->count == t->capacity) {
        t->capacity = VZ_MAX(t->capacity * 2, (size_t)64);
        t->items = vz_realloc(t->items, t->capacity * sizeof *t->items);
    }
    t->items[t->count++] = vz_arena_copy(t->arena, term);
}

static bool is_late(void *terms_void)
{
    struct terms *t = terms_void;
    t->late |= vz_now_ns() > t->deadline_ns;
    return t->late;
}

static enum vz_status add_text(struct terms *t, const struct vz_snapshot *snap,
                               const struct vz_field *field, struct vz_error *err)
{
    struct vz_walk walk = {.kind = VZ_WALK_PREFIX,
                           .text = t->how->prefix,
                           .ignore_case = t->how->ignore_case,
                           .cancelled = is_late,
                           .context = t};
    struct vz_walk_term *found;
    size_t count;
    bool truncated;
    if (!vz_snapshot_texts(snap))
        return VZ_OK;
    if (!t->how->after.ptr)
        walk.max_terms = t->how->size;
    enum vz_status status = vz_text_walk(vz_snapshot_texts(snap), field->id, &walk, t->arena,
                                         &found, &count, &truncated, err);
    if (status == VZ_CANCELLED && t->late)
        return VZ_OK;
    for (size_t i = 0; status == VZ_OK && i < count; i++)
        if (wanted(t, found[i].term))
            add(t, found[i].term);
    return status;
}

static void add_keywords(struct terms *t, struct vz_eval *eval, const struct vz_field *field)
{
    struct vz_arena scratch = {0};
    struct vz_bitset ordinals;
    size_t looked = 0;
    vz_field_ordinals(eval, field, &ordinals);
    for (size_t i = vz_bitset_next(&ordinals, 0); i < ordinals.bits && !t->late;
         i = vz_bitset_next(&ordinals, i + 1)) {
        struct vz_slice term = vz_field_term(eval->snap, field, (uint32_t)i, &scratch);
        if (wanted(t, term))
            add(t, term);
        if (++looked % 1024 == 0) {
            vz_arena_reset(&scratch);
            is_late(t);
        }
    }
    vz_bitset_deinit(&ordinals);
    vz_arena_deinit(&scratch);
}

static int by_term(const void *a, const void *b)
{
    return vz_slice_cmp(*(const struct vz_slice *)a, *(const struct vz_slice *)b);
}

enum vz_status vz_terms_enum_run(const struct vz_search_target *targets, size_t target_count,
                                 const struct vz_terms_enum *how, struct vz_arena *arena,
                                 struct vz_slice **out, size_t *count, bool *complete,
                                 struct vz_error *err)
{
    struct terms t = {
        .how = how, .arena = arena, .deadline_ns = vz_now_ns() + how->timeout_ms * 1000000};
    enum vz_status status = VZ_OK;
    for (size_t i = 0; status == VZ_OK && i < target_count && !t.late; i++) {
        struct vz_snapshot *snap = vz_index_snapshot(targets[i].index);
        struct vz_eval eval;
        struct vz_field keyed;
        vz_eval_init(&eval, snap, arena, vz_wall_ms(), 0);
        const struct vz_field *field = vz_mapping_find(eval.mapping, how->field);
        if (!field && vz_mapping_find_key(eval.mapping, how->field, &keyed))
            field = &keyed;
        if (field && field->type == VZ_FIELD_TEXT && field->indexed)
            status = add_text(&t, snap, field, err);
        else if (field && field->type == VZ_FIELD_CONSTANT_KEYWORD && field->has_value &&
                 wanted(&t, field->value))
            add(&t, field->value);
        else if (field && vz_field_is_keyword(field) && field->column == VZ_COLUMN_ORDINAL &&
                 field->type != VZ_FIELD_CONSTANT_KEYWORD)
            add_keywords(&t, &eval, field);
        vz_eval_deinit(&eval);
        vz_snapshot_release(snap);
    }
    if (t.count > 1)
        qsort(t.items, t.count, sizeof *t.items, by_term);
    *out = vz_arena_alloc(arena, (VZ_MIN(t.count, how->size) + 1) * sizeof **out);
    *count = 0;
    for (size_t i = 0; i < t.count && *count < how->size; i++)
        if (i == 0 || !vz_slice_eq(t.items[i], t.items[i - 1]))
            (*out)[(*count)++] = t.items[i];
    *complete = !t.late;
    free(t.items);
    return status;
}
