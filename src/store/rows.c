/* store/rows.c - fixed-width vector rows in a file, and beside them which document each belongs to.
 *
 * Invariants:
 *  1. Bytes are written with pwrite and read through a shared read-only view of the same pages.
 *     Nothing stores through a mapping, so a full disk is an error code and never a SIGBUS.
 *  2. A row below `count` never changes.
 *  3. docnos[] ascends (equal for the rows of one document).
 *  4. Bytes past count * stride mean nothing; opening cuts them off.
 */
#include "base/ahead.h"
#include "base/file.h"
#include "base/thread.h"
#include "store/generation.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/uio.h>
#include <unistd.h>

#define ROW_ALIGN_BYTES 64
#define VECTORS_A_CALL 512

/* New parts of a mapping know nothing of what the old ones were told. */
static void judge_cold(struct vz_rows *rows)
{
    size_t bytes = rows->vectors.size_bytes;
    if (bytes <= rows->alone_bytes || bytes < rows->cold_bytes)
        return;
    vz_ahead_alone(rows->vectors.base, bytes);
    rows->alone_bytes = bytes;
    if (!vz_cold_is_on(rows->cold))
        vz_cold_begin(rows->cold, 2 * rows->cold_bytes);
}

enum vz_status vz_rows_open(const char *dir, const struct vz_field *field, uint32_t dims,
                            uint32_t count, struct vz_rows **out, struct vz_error *err)
{
    struct vz_rows *rows = vz_calloc(1, sizeof *rows);
    struct vz_buf path = {0};
    rows->field = field->id;
    rows->dims = dims;
    rows->similarity = field->similarity;
    rows->element = field->element;
    rows->stride = (vz_element_bytes(field->element, dims) + ROW_ALIGN_BYTES - 1) /
                   ROW_ALIGN_BYTES * ROW_ALIGN_BYTES;
    rows->cold_bytes = vz_memory_bytes() / 2;
    rows->cold = vz_calloc(1, sizeof *rows->cold);
    rows->next = count;
    rows->last_docno = VZ_NO_DOC;
    rows->vectors.fd = rows->docnos.fd = -1;
    pthread_mutex_init(&rows->graph_lock, NULL);
    pthread_mutex_init(&rows->swap_lock, NULL);
    atomic_init(&rows->count, count);

    vz_buf_printf(&path, "%s/vec.%u", dir, (unsigned)field->id);
    enum vz_status status = vz_grow_open_file(
        &rows->vectors, path.data, VZ_GROW_WRITE,
        vz_reserve_bytes(dir, path.data, (size_t)VZ_MAX_ROWS * rows->stride), err);
    if (status != VZ_OK)
        goto out;
    if (rows->vectors.size_bytes < (size_t)count * rows->stride) {
        status = vz_fail(err, VZ_CORRUPT, "%s holds %zu bytes, %u rows of %zu were committed",
                         path.data, rows->vectors.size_bytes, count, rows->stride);
        goto out;
    }
    status = vz_grow_truncate(&rows->vectors, (size_t)count * rows->stride, err);
    if (status != VZ_OK)
        goto out;
    judge_cold(rows);
    vz_buf_clear(&path);
    vz_buf_printf(&path, "%s/doc.%u", dir, (unsigned)field->id);
    status = vz_grow_open_file(&rows->docnos, path.data, VZ_GROW_WRITE,
                               vz_reserve_bytes(dir, path.data, (size_t)VZ_MAX_ROWS * 4), err);
out:
    vz_buf_deinit(&path);
    if (status == VZ_OK)
        *out = rows;
    else
        vz_rows_close(rows);
    return status;
}

void vz_rows_close(struct vz_rows *rows)
{
    if (!rows)
        return;
    vz_graph_release(rows->growing);
    vz_recoding_free(rows->recoding); /* borrows the graph */
    vz_graph_release(rows->graph);
    vz_cold_deinit(rows->cold);
    free(rows->cold);
    vz_grow_close(&rows->vectors);
    vz_grow_close(&rows->docnos);
    pthread_mutex_destroy(&rows->graph_lock);
    pthread_mutex_destroy(&rows->swap_lock);
    free(rows->staged);
    free(rows->staged_docnos);
    free(rows);
}

enum vz_status vz_rows_add(struct vz_rows *rows, uint32_t docno, const void *elements,
                           uint32_t *row, struct vz_error *err)
{
    if (rows->next >= VZ_MAX_ROWS)
        return vz_fail(err, VZ_LIMIT, "an index holds at most %u vectors in one field",
                       VZ_MAX_ROWS);
    if (rows->staged_count == rows->staged_capacity) {
        rows->staged_capacity = VZ_MAX(rows->staged_capacity * 2, (size_t)64);
        rows->staged = vz_realloc(rows->staged, rows->staged_capacity * sizeof *rows->staged);
        rows->staged_docnos =
            vz_realloc(rows->staged_docnos, rows->staged_capacity * sizeof *rows->staged_docnos);
    }
    rows->staged[rows->staged_count] = elements;
    rows->staged_docnos[rows->staged_count++] = docno;
    if (rows->last_docno == docno)
        rows->staged_multi = true;
    rows->last_docno = docno;
    *row = rows->next++;
    return VZ_OK;
}

/* pwritev until all is written; the vector list is used up. */
static int write_vectors(int fd, struct iovec *list, int count, off_t at)
{
    while (count > 0) {
        ssize_t done = pwritev(fd, list, count, at);
        if (done < 0 && errno == EINTR)
            continue;
        if (done < 0)
            return errno;
        at += done;
        while (count > 0 && (size_t)done >= list->iov_len) {
            done -= (ssize_t)list->iov_len;
            list++;
            count--;
        }
        if (count > 0) {
            list->iov_base = (char *)list->iov_base + done;
            list->iov_len -= (size_t)done;
        }
    }
    return 0;
}

static int write_staged(struct vz_rows *rows, uint32_t first)
{
    static const char zeros[ROW_ALIGN_BYTES];
    size_t bytes = vz_element_bytes(rows->element, rows->dims), pad = rows->stride - bytes;
    for (size_t from = 0; from < rows->staged_count; from += VECTORS_A_CALL) {
        struct iovec list[VECTORS_A_CALL * 2];
        size_t count = VZ_MIN(rows->staged_count - from, (size_t)VECTORS_A_CALL);
        int used = 0;
        for (size_t i = 0; i < count; i++) {
            union {
                const void *from;
                void *to;
            } unconst = {.from = rows->staged[from + i]};
            list[used++] = (struct iovec){unconst.to, bytes};
            unconst.from = zeros;
            if (pad)
                list[used++] = (struct iovec){unconst.to, pad};
        }
        int failed =
            write_vectors(rows->vectors.fd, list, used, (off_t)((first + from) * rows->stride));
        if (failed)
            return failed;
    }
    struct iovec docnos = {rows->staged_docnos, rows->staged_count * 4};
    return write_vectors(rows->docnos.fd, &docnos, 1, (off_t)first * 4);
}

enum vz_status vz_rows_flush(struct vz_rows *rows, struct vz_error *err)
{
    if (rows->staged_count == 0)
        return VZ_OK;
    enum vz_status status = vz_grow_ensure(&rows->vectors, (size_t)rows->next * rows->stride, err);
    if (status == VZ_OK)
        status = vz_grow_ensure(&rows->docnos, (size_t)rows->next * 4, err);
    if (status != VZ_OK)
        return status;
    rows->dirty = rows->docnos_dirty = true;
    int failed = write_staged(rows, rows->next - (uint32_t)rows->staged_count);
    if (failed)
        return vz_fail_errno(err, failed, "cannot write vectors of field [%u]", rows->field);
    rows->staged_count = 0;
    return VZ_OK;
}

enum vz_status vz_rows_sync(struct vz_rows *rows, struct vz_error *err)
{
    if (!rows->dirty)
        return VZ_OK;
    if (fdatasync(rows->vectors.fd) != 0)
        return vz_fail_errno(err, errno, "cannot sync vectors of field [%u]", rows->field);
    rows->dirty = false;
    return VZ_OK;
}

void vz_rows_publish(struct vz_rows *rows)
{
    judge_cold(rows);
    if (rows->staged_multi)
        atomic_store_explicit(&rows->multi, true, memory_order_relaxed);
    atomic_store_explicit(&rows->count, rows->next, memory_order_release);
}

void vz_rows_rollback(struct vz_rows *rows)
{
    rows->staged_count = 0;
    rows->next = atomic_load_explicit(&rows->count, memory_order_relaxed);
    rows->staged_multi = atomic_load_explicit(&rows->multi, memory_order_relaxed);
    rows->last_docno = rows->next ? vz_rows_docnos(rows)[rows->next - 1] : VZ_NO_DOC;
}

uint32_t vz_rows_below(const struct vz_rows *rows, uint32_t docno)
{
    uint32_t count = atomic_load_explicit(&rows->count, memory_order_acquire);
    return (uint32_t)vz_docnos_lower(vz_rows_docnos(rows), count, docno);
}

void vz_rows_space(const struct vz_rows *rows, const struct vz_field *field,
                   struct vz_hnsw_options *out)
{
    *out = (struct vz_hnsw_options){
        .similarity = rows->similarity,
        .element = rows->element,
        .dims = rows->dims,
        .stride =
            rows->stride / vz_element_bytes(rows->element, rows->element == VZ_ELEMENT_BIT ? 8 : 1),
        .rows = (const float *)(const void *)rows->vectors.base,
        .cold = rows->cold,
        .m = field ? field->m : 0,
        .ef_construction = field ? field->ef_construction : 0,
        .quantize = field ? field->quantize : VZ_QUANTIZE_NONE,
        .flat = field && field->flat,
        .max_rows =
            (uint32_t)VZ_MIN(rows->vectors.reserved_bytes / rows->stride, (size_t)VZ_MAX_ROWS),
    };
}
