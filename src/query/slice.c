/* slice: one of `max` parts of all documents, for clients that read an index in parallel.
 *
 * With several targets each belongs to some slices first, as shards do in Elasticsearch; a target
 * that several slices share is cut by document number, or by a hash of the field's number. Any cut
 * will do as long as every document is in exactly one slice and stays there while the snapshot is
 * held.
 */
#include "query/parts.h"

static uint64_t mix(uint64_t x)
{
    x ^= x >> 33;
    x *= 0xff51afd7ed558ccdull;
    x ^= x >> 33;
    x *= 0xc4ceb9fe1a85ec53ull;
    return x ^ x >> 33;
}

/* Documents without a value are in the first slice. */
static enum vz_status cut_by_field(struct vz_eval *eval, struct vz_slice name, uint64_t part,
                                   uint64_t parts, struct vz_bitset *bits, struct vz_error *err)
{
    const struct vz_field *field = vz_mapping_find(eval->mapping, name);
    struct vz_column column;
    if (!field)
        return vz_fail(err, VZ_BAD_ARGUMENT, "field %.*s not found", VZ_ARG(name));
    if (field->column != VZ_COLUMN_I64 && field->column != VZ_COLUMN_F64)
        return vz_fail(err, VZ_BAD_ARGUMENT, "cannot load numeric doc values on %.*s",
                       VZ_ARG(name));
    vz_field_column(eval, field, &column);
    size_t at = 0;
    for (size_t d = vz_bitset_next(bits, 0); d < bits->bits; d = vz_bitset_next(bits, d + 1)) {
        uint64_t hash = 0;
        while (at < column.count && column.docnos[at] < d)
            at++;
        if (at < column.count && column.docnos[at] == d)
            hash = mix((uint64_t)column.i64[at]); /* a double's bits do as well */
        if (hash % parts != part)
            vz_bitset_clear(bits, d);
    }
    return VZ_OK;
}

enum vz_status vz_slice_bits(struct vz_eval *eval, const struct vz_search_slice *slice, size_t at,
                             size_t count, bool is_scroll, struct vz_bitset *bits,
                             struct vz_error *err)
{
    uint64_t id = (uint64_t)slice->id, max = (uint64_t)slice->max, part = id, parts = max;
    enum vz_status status = VZ_OK;
    bool by_id = vz_slice_is(slice->field, "_id");
    if (by_id && !is_scroll)
        return vz_fail(err, VZ_BAD_ARGUMENT, "cannot slice on [_id] when using [point-in-time]");
    vz_bitset_copy(bits, vz_eval_live(eval));
    if (count > 1 && max >= count) {
        bool mine = id % count == at;
        part = id / count;
        parts = mine ? max / count + (max % count > at) : 0;
    } else if (count > 1) {
        parts = at % max == id;
        part = 0;
    }
    for (size_t w = 0; w < vz_bitset_word_count(bits) && parts == 0; w++)
        bits->words[w] = 0;
    if (parts > 1 && slice->field.len && !by_id)
        status = cut_by_field(eval, slice->field, part, parts, bits, err);
    else if (parts > 1)
        for (size_t d = vz_bitset_next(bits, 0); d < bits->bits; d = vz_bitset_next(bits, d + 1))
            if (mix(d) % parts != part)
                vz_bitset_clear(bits, d);
    if (status != VZ_OK)
        vz_bitset_deinit(bits);
    return status;
}
