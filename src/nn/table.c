#include "nn/table.h"

#include <stdio.h>
#include <stdlib.h>

#include "nn/parts.h"

#define CHUNK_ROWS 256

struct packing {
    struct vz_nn *nn;
    const struct vz_tensor_view *view;
    size_t rows, width;
    uint16_t *halves;
    int8_t *bytes;
    float *scales;
};

/* Items are chunks of rows. */
static enum vz_status pack_chunks(void *arg, struct vz_scratch *scratch, size_t first, size_t last,
                                  struct vz_error *err)
{
    const struct packing *p = arg;
    const struct nn_kernels *k = p->nn->kernels;
    float *floats = vz_scratch_take(scratch, CHUNK_ROWS, p->width * sizeof *floats), total;
    if (!floats)
        return vz_fail(err, VZ_BUDGET, "no memory for a table of %zu rows", p->rows);
    for (size_t row = first * CHUNK_ROWS; row < VZ_MIN(last * CHUNK_ROWS, p->rows);) {
        size_t count = VZ_MIN(p->rows - row, CHUNK_ROWS);
        vz_tensor_read_f32(p->view, (uint64_t)row * p->width, count * p->width, floats);
        if (!k->scale_finite(floats, count * p->width, 1))
            return vz_fail(err, VZ_CORRUPT, "tensor [%.*s] holds a number that is not finite",
                           (int)p->view->name.len, p->view->name.ptr);
        struct nn_act halves = {.precision = VZ_PRECISION_BF16};
        if (p->halves) {
            halves.data = p->halves + row * p->width;
            k->activate(floats, p->width, NULL, VZ_ACT_NONE, halves, 0, count);
        }
        for (size_t i = 0; p->bytes && i < count; i++)
            p->scales[row + i] = k->quantize_weights(floats + i * p->width, p->width,
                                                     p->bytes + (row + i) * p->width, &total);
        row += count;
    }
    return VZ_OK;
}

enum vz_status vz_table_init(struct vz_nn *nn, const struct vz_tensor_view *view, size_t rows,
                             size_t width, struct vz_table *out, struct vz_error *err)
{
    char name[512];
    size_t numbers, scales_at;
    bool found, int8 = nn->precision == VZ_PRECISION_INT8;
    *out = (struct vz_table){.rows = rows, .width = width};
    if (nn->precision == VZ_PRECISION_F32) {
        out->view = view;
        return VZ_OK;
    }
    if (width % 16)
        return vz_fail(err, VZ_UNSUPPORTED, "a table of width %zu: not a multiple of 16", width);
    if (vz_mul_overflow(rows, width, &numbers) || numbers > SIZE_MAX / 8)
        return vz_fail(err, VZ_BUDGET, "no memory for a table of %zu rows", rows);
    scales_at = int8 ? (numbers + 63) & ~(size_t)63 : 2 * numbers;
    int len = snprintf(name, sizeof name, "table %s %zu*%zu %.*s", vz_precision_name(nn->precision),
                       rows, width, (int)VZ_MIN(view->name.len, sizeof name), view->name.ptr);
    if ((size_t)len >= sizeof name)
        *name = '\0';
    char *block = nn_packed_take(nn, name, scales_at + (int8 ? rows * sizeof(float) : 0), &found);
    if (!block)
        return vz_fail(err, VZ_BUDGET, "no memory for a table of %zu rows", rows);
    struct packing p = {.nn = nn, .view = view, .rows = rows, .width = width};
    if (int8) {
        out->bytes = p.bytes = (int8_t *)block;
        out->scales = p.scales = (float *)(void *)(block + scales_at);
    } else {
        out->halves = p.halves = (uint16_t *)(void *)block;
    }
    if (found)
        return VZ_OK;
    return vz_nn_run_even(nn, (rows + CHUNK_ROWS - 1) / CHUNK_ROWS, 8, pack_chunks, &p, err);
}

void vz_table_read(const struct vz_table *table, size_t row, float *out)
{
    size_t width = table->width;
    if (table->view) {
        vz_tensor_read_f32(table->view, (uint64_t)row * width, width, out);
    } else if (table->halves) {
        const uint16_t *from = table->halves + row * width;
        for (size_t i = 0; i < width; i++) {
            uint32_t bits = (uint32_t)from[i] << 16;
            memcpy(out + i, &bits, sizeof bits);
        }
    } else {
        const int8_t *from = table->bytes + row * width;
        float scale = table->scales[row];
        for (size_t i = 0; i < width; i++)
            out[i] = (float)from[i] * scale;
    }
}

size_t vz_table_bytes(const struct vz_table *table)
{
    if (table->view)
        return 0;
    return table->rows * (table->halves ? table->width * 2 : table->width + sizeof(float));
}

enum vz_status vz_floats_init(struct vz_nn *nn, const struct vz_tensor_view *view,
                              const float **out, struct vz_error *err)
{
    char name[512];
    bool found;
    int len = snprintf(name, sizeof name, "floats %llu %.*s", (unsigned long long)view->count,
                       (int)VZ_MIN(view->name.len, sizeof name), view->name.ptr);
    if ((size_t)len >= sizeof name)
        *name = '\0';
    float *floats = view->count < SIZE_MAX / 8
                        ? nn_packed_take(nn, name, view->count * sizeof *floats, &found)
                        : NULL;
    if (!floats)
        return vz_fail(err, VZ_BUDGET, "no memory for tensor [%.*s]", (int)view->name.len,
                       view->name.ptr);
    if (!found)
        vz_tensor_read_f32(view, 0, view->count, floats);
    *out = floats;
    return VZ_OK;
}
