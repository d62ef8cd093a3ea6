/* store/columns.c - a field's values, two ascending arrays in files: docnos and values.
 *
 * Derived data: whatever a crash lost is read again from the documents. Invariants as in rows.c:
 * written with pwrite only, entries below `count` never change, docnos ascend.
 */
#include "store/generation.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

static size_t width_of(enum vz_column_kind kind)
{
    switch (kind) {
    case VZ_COLUMN_I64:
    case VZ_COLUMN_F64:
        return 8;
    case VZ_COLUMN_ORDINAL:
        return 4;
    case VZ_COLUMN_GEO:
        return 16;
    case VZ_COLUMN_NONE:
    case VZ_COLUMN_PRESENCE:
        break;
    }
    return 0;
}

static enum vz_status open_part(const char *dir, uint16_t field, const char *part, size_t width,
                                size_t count, struct vz_grow *grow, struct vz_error *err)
{
    struct vz_buf path = {0};
    vz_buf_printf(&path, "%s/col.%u.%s", dir, (unsigned)field, part);
    enum vz_status status =
        vz_grow_open_file(grow, path.data, VZ_GROW_WRITE,
                          vz_reserve_bytes(dir, path.data, VZ_MAX_ENTRIES * width), err);
    if (status == VZ_OK && grow->size_bytes < count * width)
        status = vz_fail(err, VZ_CORRUPT, "%s is shorter than its checkpoint", path.data);
    if (status == VZ_OK)
        status = vz_grow_truncate(grow, count * width, err);
    vz_buf_deinit(&path);
    return status;
}

enum vz_status vz_column_open(const char *dir, uint16_t field, enum vz_column_kind kind,
                              size_t count, struct vz_column_file **out, struct vz_error *err)
{
    struct vz_column_file *column = vz_calloc(1, sizeof *column);
    column->field = field;
    column->kind = kind;
    column->width = width_of(kind);
    column->flushed = count;
    column->docnos.fd = column->values.fd = -1;
    atomic_init(&column->count, count);
    enum vz_status status = open_part(dir, field, "docs", 4, count, &column->docnos, err);
    if (kind == VZ_COLUMN_I64 || kind == VZ_COLUMN_F64)
        column->codes = vz_codes_new(kind);
    if (status == VZ_OK && column->width)
        status = open_part(dir, field, "vals", column->width, count, &column->values, err);
    if (status == VZ_OK)
        *out = column;
    else
        vz_column_close(column);
    return status;
}

void vz_column_close(struct vz_column_file *column)
{
    if (!column)
        return;
    vz_grow_close(&column->docnos);
    vz_grow_close(&column->values);
    vz_codes_free(column->codes);
    vz_buf_deinit(&column->staged_docnos);
    vz_buf_deinit(&column->staged_values);
    free(column);
}

static inline void stage(struct vz_buf *buf, const void *value, size_t bytes)
{
    if (buf->capacity - buf->len <= bytes)
        vz_buf_reserve(buf, VZ_MAX(buf->len, (size_t)1024));
    memcpy(buf->data + buf->len, value, bytes);
    buf->len += bytes;
}

void vz_column_add(struct vz_column_file *column, uint32_t docno,
                   const struct vz_typed_value *value, uint32_t ordinal)
{
    stage(&column->staged_docnos, &docno, sizeof docno);
    switch (column->kind) {
    case VZ_COLUMN_I64:
        stage(&column->staged_values, &value->i64, 8);
        break;
    case VZ_COLUMN_F64:
        stage(&column->staged_values, &value->f64, 8);
        break;
    case VZ_COLUMN_ORDINAL:
        stage(&column->staged_values, &ordinal, 4);
        break;
    case VZ_COLUMN_GEO:
        stage(&column->staged_values, &value->geo.lat, 8);
        stage(&column->staged_values, &value->geo.lon, 8);
        break;
    case VZ_COLUMN_NONE:
    case VZ_COLUMN_PRESENCE:
        break;
    }
}

static enum vz_status flush_part(struct vz_grow *grow, struct vz_buf *staged, size_t at,
                                 struct vz_error *err)
{
    enum vz_status status = vz_grow_ensure(grow, at + staged->len, err);
    size_t done = 0;
    while (status == VZ_OK && done < staged->len) {
        ssize_t wrote =
            pwrite(grow->fd, staged->data + done, staged->len - done, (off_t)(at + done));
        if (wrote >= 0)
            done += (size_t)wrote;
        else if (errno != EINTR)
            status = vz_fail_errno(err, errno, "cannot write a column");
    }
    return status;
}

enum vz_status vz_column_flush(struct vz_column_file *column, struct vz_error *err)
{
    size_t entries = column->staged_docnos.len / 4;
    if (entries == 0)
        return VZ_OK;
    column->dirty = true;
    enum vz_status status =
        flush_part(&column->docnos, &column->staged_docnos, column->flushed * 4, err);
    if (status == VZ_OK && column->width)
        status = flush_part(&column->values, &column->staged_values,
                            column->flushed * column->width, err);
    if (status != VZ_OK)
        return status;
    column->flushed += entries;
    vz_buf_clear(&column->staged_docnos);
    vz_buf_clear(&column->staged_values);
    return VZ_OK;
}

enum vz_status vz_column_sync(struct vz_column_file *column, struct vz_error *err)
{
    if (!column->dirty)
        return VZ_OK;
    if (fdatasync(column->docnos.fd) != 0 || (column->width && fdatasync(column->values.fd) != 0))
        return vz_fail_errno(err, errno, "cannot sync column [%u]", column->field);
    column->dirty = false;
    return VZ_OK;
}

void vz_column_publish(struct vz_column_file *column)
{
    atomic_store_explicit(&column->count, column->flushed, memory_order_release);
}

void vz_column_rollback(struct vz_column_file *column)
{
    vz_buf_clear(&column->staged_docnos);
    vz_buf_clear(&column->staged_values);
    column->flushed = atomic_load_explicit(&column->count, memory_order_relaxed);
}

size_t vz_docnos_lower(const uint32_t *docnos, size_t count, uint32_t docno)
{
    size_t low = 0, high = count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (docnos[middle] < docno)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

size_t vz_column_below(const struct vz_column_file *column, uint32_t docno)
{
    size_t count = atomic_load_explicit(&column->count, memory_order_acquire);
    const uint32_t *docnos = (const uint32_t *)(const void *)column->docnos.base;
    /* Nearly always everything is visible. */
    if (count == 0 || docnos[count - 1] < docno)
        return count;
    return vz_docnos_lower(docnos, count, docno);
}
