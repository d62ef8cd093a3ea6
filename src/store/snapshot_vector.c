/* A vector as the client gave it: the row, corrected by what its document's record says. */
#include "store/elements.h"
#include "store/index.h"

enum vz_status vz_snapshot_vector(const struct vz_snapshot *snap, uint16_t field, uint32_t row,
                                  float *out, struct vz_error *err)
{
    MDB_txn *txn;
    struct vz_record record;
    struct vz_splice splice;
    const struct vz_rows *rows = vz_generation_rows(snap->gen, field);
    if (!rows || !vz_element_is_float(rows->element) || row >= vz_rows_below(rows, snap->watermark))
        return vz_fail(err, VZ_NOT_FOUND, "there is no vector number [%u] of floats", row);
    enum vz_status status = vz_reader_begin(snap->gen, &txn, err);
    if (status != VZ_OK)
        return status;
    status = vz_generation_record(snap->gen, txn, vz_rows_docnos(rows)[row], &record, err);
    if (status == VZ_OK) {
        struct vz_slice rest = record.splices;
        status = VZ_NOT_FOUND;
        while (status == VZ_NOT_FOUND && vz_splice_next(&rest, &splice))
            if (splice.field == field && splice.row == row && splice.dims == rows->dims)
                status = VZ_OK;
        if (status == VZ_OK)
            vz_splice_floats(&splice, rows->element, vz_rows_get(rows, row), out);
        else
            vz_fail(err, status, "vector number [%u] is not in its document", row);
    }
    vz_reader_end(snap->gen, txn);
    return status;
}
