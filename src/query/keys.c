/* query/keys.c - a key within a flattened field ("labels.priority") as if it were a keyword field.
 *
 * A flattened field's hidden child holds "key\0value" terms of all keys in one column. A copy of
 * that child with its `key` set stands for one key; the functions here give such a copy the column,
 * the terms and the ordinals that a keyword field of that name would have, and pass every other
 * field through. Ordinals stay those of the child: few, with gaps.
 */
#include "query/filter.h"

const struct vz_field *vz_eval_field(struct vz_eval *eval, struct vz_slice path)
{
    const struct vz_field *field = vz_runtime_field(eval, path);
    struct vz_field key;
    if (!field)
        field = vz_mapping_find(eval->mapping, path);
    if (field || !vz_mapping_find_key(eval->mapping, path, &key))
        return field;
    struct vz_field *copy = vz_arena_alloc(eval->arena, sizeof *copy);
    *copy = key;
    return copy;
}

/* Whether a term is of the key, and its value. */
static bool take_key(const struct vz_field *field, struct vz_slice *term)
{
    struct vz_slice key = field->key;
    if (term->len <= key.len || term->ptr[key.len] != 0 || memcmp(term->ptr, key.ptr, key.len) != 0)
        return false;
    term->ptr += key.len + 1;
    term->len -= key.len + 1;
    return true;
}

bool vz_field_has_ordinal(struct vz_eval *eval, const struct vz_field *field, uint32_t ordinal,
                          struct vz_arena *scratch)
{
    if (field->key.len == 0)
        return true;
    struct vz_slice term = vz_snapshot_ordinal_term(eval->snap, field->id, ordinal, scratch);
    return take_key(field, &term);
}

void vz_field_ordinals(struct vz_eval *eval, const struct vz_field *field, struct vz_bitset *out)
{
    uint32_t count = vz_field_ordinal_count(eval->snap, field);
    struct vz_buf prefix = {0};
    vz_bitset_init(out, count);
    vz_buf_append_slice(&prefix, field->key);
    vz_buf_append_char(&prefix, 0);
    if (field->key.len == 0 || field->derived)
        for (uint32_t i = 0; i < count; i++)
            vz_bitset_set(out, i);
    else /* unreadable: as a term that cannot be read, it is not there */
        vz_snapshot_prefix_ordinals(eval->snap, field->id, vz_buf_slice(&prefix), out, NULL);
    vz_buf_deinit(&prefix);
}

void vz_field_column(struct vz_eval *eval, const struct vz_field *field, struct vz_column *column)
{
    if (field->derived) {
        vz_derived_column(field->derived, column);
        return;
    }
    vz_snapshot_column(eval->snap, field->id, column);
    if (field->key.len == 0 || column->kind != VZ_COLUMN_ORDINAL)
        return;
    struct vz_bitset wanted;
    vz_field_ordinals(eval, field, &wanted);
    size_t kept = 0;
    for (size_t i = 0; i < column->count; i++)
        kept += vz_bitset_has(&wanted, column->ordinals[i]);
    uint32_t *docnos = vz_arena_alloc(eval->arena, (kept + 1) * sizeof *docnos);
    uint32_t *ordinals = vz_arena_alloc(eval->arena, (kept + 1) * sizeof *ordinals);
    kept = 0;
    for (size_t i = 0; i < column->count; i++) {
        if (!vz_bitset_has(&wanted, column->ordinals[i]))
            continue;
        docnos[kept] = column->docnos[i];
        ordinals[kept++] = column->ordinals[i];
    }
    vz_bitset_deinit(&wanted);
    column->docnos = docnos;
    column->ordinals = ordinals;
    column->count = kept;
}

struct vz_slice vz_field_term(const struct vz_snapshot *snap, const struct vz_field *field,
                              uint32_t ordinal, struct vz_arena *arena)
{
    if (field->derived)
        return vz_derived_term(field->derived, ordinal);
    struct vz_slice term = vz_snapshot_ordinal_term(snap, field->id, ordinal, arena);
    if (field->key.len)
        take_key(field, &term);
    return term;
}

bool vz_field_find_term(const struct vz_snapshot *snap, const struct vz_field *field,
                        struct vz_slice text, uint32_t *ordinal)
{
    if (field->derived)
        return vz_derived_find(field->derived, text, ordinal);
    if (field->key.len == 0)
        return vz_snapshot_term_ordinal(snap, field->id, text, ordinal);
    struct vz_buf term = {0};
    vz_buf_append_slice(&term, field->key);
    vz_buf_append_char(&term, 0);
    vz_buf_append_slice(&term, text);
    bool found = vz_snapshot_term_ordinal(snap, field->id, vz_buf_slice(&term), ordinal);
    vz_buf_deinit(&term);
    return found;
}

uint32_t vz_field_ordinal_count(const struct vz_snapshot *snap, const struct vz_field *field)
{
    return field->derived ? vz_derived_term_count(field->derived)
                          : vz_snapshot_ordinal_count(snap, field->id);
}

enum vz_status vz_field_check_doc_values(const struct vz_field *field, struct vz_error *err)
{
    if (field->type == VZ_FIELD_RANK_FEATURE)
        return vz_fail(err, VZ_BAD_ARGUMENT,
                       "[rank_feature] fields do not support sorting, scripting or aggregating");
    if (field->doc_values || field->column <= VZ_COLUMN_PRESENCE)
        return VZ_OK;
    return vz_fail(err, VZ_BAD_QUERY,
                   "Can't load fielddata on [%.*s] because fielddata is unsupported on fields of "
                   "type [%s]. Use doc values instead.",
                   VZ_ARG(field->path), vz_field_type_name(field->type));
}
